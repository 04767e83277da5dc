"The OpenAI Agents SDK: the responses interface by default, the chat interface on request."

import trial
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI, BadRequestError
from trial import (
    ADDRESS,
    ECHO,
    GIVEN,
    KEY,
    NAME,
    PARALLEL,
    SAID,
    SYSTEM,
    Caller,
    data_is_whole,
    raised,
    run,
    whole,
)

set_tracing_disabled(True)
find_customer = function_tool(trial.find_customer)
open_case = function_tool(trial.open_case)


def agent(name=ECHO, kind=OpenAIResponsesModel, **options):
    held = AsyncOpenAI(base_url=ADDRESS, api_key=KEY, max_retries=0)
    return Agent(name="desk", instructions=SYSTEM, model=kind(name, openai_client=held), **options)


def answer():
    whole(Runner.run_sync(agent(), SAID).final_output)


def tool_loop(kind=OpenAIResponsesModel):
    GIVEN.clear()
    made = agent(PARALLEL, kind, tools=[find_customer, open_case])
    done = Runner.run_sync(made, SAID)
    whole(done.final_output)
    assert len(GIVEN) == 2
    for given in GIVEN:
        data_is_whole(given)
    again = [*done.to_input_list(), {"role": "user", "content": f"{NAME} once more."}]
    whole(Runner.run_sync(agent(kind=kind), again).final_output, NAME)


def tool_loop_in_chat():
    tool_loop(OpenAIChatCompletionsModel)


async def streamed(kind=OpenAIResponsesModel):
    GIVEN.clear()
    shown, done = "", Runner.run_streamed(agent(PARALLEL, kind, tools=[find_customer, open_case]), SAID)
    async for event in done.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            shown += event.data.delta
    whole(shown)
    whole(done.final_output)
    assert len(GIVEN) == 2


async def streamed_in_chat():
    await streamed(OpenAIChatCompletionsModel)


def output_type(kind=OpenAIResponsesModel):
    data_is_whole(Runner.run_sync(agent(kind=kind, output_type=Caller), SAID).final_output)


def output_type_in_chat():
    output_type(OpenAIChatCompletionsModel)


def handoff():
    other = agent(handoff_description="Claims", output_type=Caller)
    done = Runner.run_sync(agent(handoffs=[other]), SAID)
    data_is_whole(done.final_output)


def settings():
    told = ModelSettings(
        temperature=0.2, metadata={"a": "b"}, store=False, parallel_tool_calls=True, max_tokens=90
    )
    whole(Runner.run_sync(agent(model_settings=told, tools=[find_customer]), SAID).final_output)


def refused_by_name():
    told = ModelSettings(truncation="auto")
    raised(BadRequestError, lambda: Runner.run_sync(agent(model_settings=told), SAID), "truncation")
    told = ModelSettings(top_logprobs=2)
    raised(BadRequestError, lambda: Runner.run_sync(agent(model_settings=told), SAID), "output_text.logprobs")


TRIALS = [answer, tool_loop, tool_loop_in_chat, streamed, streamed_in_chat, output_type, output_type_in_chat]
TRIALS += [handoff, settings, refused_by_name]

if __name__ == "__main__":
    run("openai-agents", TRIALS)
