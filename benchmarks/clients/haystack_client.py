"Haystack's generators and agent."

import trial
from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator, OpenAIResponsesChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool
from haystack.utils import Secret
from openai import InternalServerError
from trial import ADDRESS, ECHO, GIVEN, KEY, SAID, SYSTEM, Caller, data_is_whole, raised, run, whole

find_customer = tool(trial.find_customer)
MESSAGES = [ChatMessage.from_system(SYSTEM), ChatMessage.from_user(SAID)]


def made(name=ECHO, kind=OpenAIChatGenerator, **options):
    return kind(model=name, api_base_url=ADDRESS, api_key=Secret.from_token(KEY), max_retries=0, **options)


def answer(kind=OpenAIChatGenerator):
    assert made(kind=kind).run(MESSAGES)["replies"][0].text == SAID


def answer_in_responses():
    answer(OpenAIResponsesChatGenerator)


def streamed(kind=OpenAIChatGenerator):
    parts = []
    made(kind=kind, streaming_callback=lambda part: parts.append(part.content or "")).run(MESSAGES)
    assert "".join(parts) == SAID


def streamed_in_responses():
    streamed(OpenAIResponsesChatGenerator)


def agent(kind=OpenAIChatGenerator):
    GIVEN.clear()
    done = Agent(chat_generator=made(kind=kind), tools=[find_customer], system_prompt=SYSTEM)
    whole(done.run(messages=[ChatMessage.from_user(SAID)])["messages"][-1].text)
    data_is_whole(GIVEN[0])


def agent_in_responses():
    agent(OpenAIResponsesChatGenerator)


def schema():
    told = {"response_format": Caller}
    data_is_whole(Caller.model_validate_json(made(generation_kwargs=told).run(MESSAGES)["replies"][0].text))


def errors():
    raised(InternalServerError, lambda: made("down").run(MESSAGES), "HTTP 500")


TRIALS = [
    answer,
    answer_in_responses,
    streamed,
    streamed_in_responses,
    agent,
    agent_in_responses,
    schema,
    errors,
]

if __name__ == "__main__":
    run("haystack-ai", TRIALS)
