"Pydantic AI over both interfaces."

from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
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
    find_customer,
    raised,
    run,
    whole,
)


def open_case(name: str, iban: str) -> dict:
    "Open a case."
    GIVEN.append({"name": name, "iban": iban})
    return {"case": "C-1", "for": name}


def agent(name=ECHO, kind=OpenAIChatModel, **options):
    made = kind(name, provider=OpenAIProvider(base_url=ADDRESS, api_key=KEY))
    return Agent(made, instructions=SYSTEM, **options)


def answer():
    assert agent().run_sync(SAID).output == SAID


def tool_loop(kind=OpenAIChatModel):
    GIVEN.clear()
    made = agent(PARALLEL, kind, tools=[find_customer, open_case])
    done = made.run_sync(SAID)
    whole(done.output)
    assert len(GIVEN) == 2
    for given in GIVEN:
        data_is_whole(given)
    again = agent(kind=kind).run_sync(f"{NAME} once more.", message_history=done.all_messages())
    whole(again.output, NAME)


def tool_loop_in_responses():
    tool_loop(OpenAIResponsesModel)


async def streamed(kind=OpenAIChatModel):
    async with agent(kind=kind, tools=[find_customer]).run_stream(SAID) as done:
        shown = "".join([part async for part in done.stream_text(delta=True, debounce_by=None)])
    whole(shown)


async def streamed_in_responses():
    await streamed(OpenAIResponsesModel)


def output_tool(kind=OpenAIChatModel):
    data_is_whole(agent(kind=kind, output_type=Caller).run_sync(SAID).output)
    data_is_whole(agent(kind=kind, output_type=Caller, tools=[find_customer]).run_sync(SAID).output)


def output_tool_in_responses():
    output_tool(OpenAIResponsesModel)


def native_output(kind=OpenAIChatModel):
    data_is_whole(agent(kind=kind, output_type=NativeOutput(Caller)).run_sync(SAID).output)


def native_output_in_responses():
    native_output(OpenAIResponsesModel)


async def output_streamed():
    async with agent(output_type=Caller).run_stream(SAID) as done:
        data_is_whole(await done.get_output())


def errors():
    raised(ModelHTTPError, lambda: agent("down").run_sync(SAID), "502")
    raised(ModelHTTPError, lambda: agent("refuses").run_sync(SAID), "400")
    raised(
        ModelHTTPError,
        lambda: agent("echo").run_sync(SAID, model_settings={"openai_logprobs": True}),
        "logprobs",
    )


TRIALS = [answer, tool_loop, tool_loop_in_responses, streamed, streamed_in_responses, output_tool]
TRIALS += [output_tool_in_responses, native_output, native_output_in_responses, output_streamed, errors]

if __name__ == "__main__":
    run("pydantic-ai-slim", TRIALS)
