"LangChain and LangGraph over the chat and the responses interface."

import openai
import trial
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from trial import (
    ADDRESS,
    ECHO,
    GIVEN,
    KEY,
    NAME,
    PARALLEL,
    RESULT,
    SAID,
    SYSTEM,
    Caller,
    data_is_whole,
    raised,
    run,
    seen,
    whole,
)

find_customer = tool(trial.find_customer)
open_case = tool(trial.open_case)

MESSAGES = [SystemMessage(SYSTEM), HumanMessage(SAID)]


def model(name=ECHO, **options):
    return ChatOpenAI(model=name, base_url=ADDRESS, api_key=KEY, **{"max_retries": 0, **options})


def invoke():
    done = model(temperature=0.3, seed=3).invoke(MESSAGES)
    assert done.content == SAID and done.usage_metadata["total_tokens"] == 120


def streamed():
    parts = list(model(stream_usage=True).stream(MESSAGES))
    assert (
        "".join(p.content for p in parts) == SAID
        and sum((p.usage_metadata or {}).get("total_tokens", 0) for p in parts) == 120
    )


def batch():
    done = model().batch([MESSAGES] * 4)
    assert [d.content for d in done] == [SAID] * 4


async def asynchronous():
    assert (await model().ainvoke(MESSAGES)).content == SAID
    assert "".join([p.content async for p in model().astream(MESSAGES)]) == SAID


def bound_tools():
    done = model(PARALLEL).bind_tools([find_customer, open_case], parallel_tool_calls=True).invoke(MESSAGES)
    assert [c["name"] for c in done.tool_calls] == ["find_customer", "open_case"]
    for call in done.tool_calls:
        data_is_whole(call["args"])
    again = [*MESSAGES, done, *(ToolMessage(RESULT, tool_call_id=c["id"]) for c in done.tool_calls)]
    whole(model().bind_tools([find_customer, open_case]).invoke(again).content)


def bound_tools_streamed():
    out = None
    for part in model(PARALLEL).bind_tools([find_customer, open_case], strict=True).stream(MESSAGES):
        out = part if out is None else out + part
    assert len(out.tool_calls) == 2
    for call in out.tool_calls:
        data_is_whole(call["args"])


def structured_output(method="json_schema"):
    data_is_whole(model().with_structured_output(Caller, method=method).invoke(MESSAGES))


def structured_output_by_function():
    structured_output("function_calling")


def structured_output_streamed():
    *_, last = model().with_structured_output(Caller).stream(MESSAGES)
    data_is_whole(last)


def agent():
    GIVEN.clear()
    done = create_agent(model(PARALLEL), [find_customer, open_case], system_prompt=SYSTEM).invoke(
        {"messages": [HumanMessage(SAID)]}
    )
    for given in GIVEN:
        data_is_whole(given)
    assert len(GIVEN) == 2
    whole(done["messages"][-1].content)


def agent_with_schema():
    done = create_agent(model(), [find_customer], system_prompt=SYSTEM, response_format=Caller).invoke(
        {"messages": [HumanMessage(SAID)]}
    )
    data_is_whole(done["structured_response"])


def agent_over_turns_streamed():
    made = create_agent(model(), [find_customer], system_prompt=SYSTEM)
    said, shown = [HumanMessage(SAID)], ""
    for part, _ in made.stream({"messages": said}, stream_mode="messages"):
        shown += part.content if isinstance(part.content, str) and part.type == "AIMessageChunk" else ""
    whole(shown)


def responses_interface():
    held = model(use_responses_api=True)
    whole(held.invoke(MESSAGES).text)
    assert "".join(p.text for p in held.stream(MESSAGES)) == SAID


def responses_interface_tools():
    held = model(use_responses_api=True).bind_tools([find_customer])
    done = held.invoke(MESSAGES)
    data_is_whole(done.tool_calls[0]["args"])
    again = [*MESSAGES, done, ToolMessage(RESULT, tool_call_id=done.tool_calls[0]["id"])]
    whole(held.invoke(again).text)


def responses_interface_agent():
    made = create_agent(
        model(PARALLEL, use_responses_api=True), [find_customer, open_case], system_prompt=SYSTEM
    )
    done = made.invoke({"messages": [HumanMessage(SAID)]})
    whole(done["messages"][-1].text)
    last = made.invoke({"messages": [*done["messages"], HumanMessage(f"{NAME} once more.")]})
    assert last["messages"][-1].text == f"{NAME} once more." or "Done" in last["messages"][-1].text


def responses_interface_schema():
    data_is_whole(model(use_responses_api=True).with_structured_output(Caller).invoke(MESSAGES))


def picture_is_refused():
    parts = [{"type": "text", "text": SAID}, {"type": "image", "url": "https://x.example/a.png"}]
    raised(openai.BadRequestError, lambda: model().invoke([HumanMessage(parts)]), "messages[0].content")
    assert not seen()


def errors():
    raised(openai.RateLimitError, lambda: model("busy").invoke(MESSAGES), "too many requests")
    raised(openai.InternalServerError, lambda: model("down").invoke(MESSAGES), "HTTP 500")
    raised(openai.BadRequestError, lambda: model(logprobs=True).invoke(MESSAGES), "logprobs")
    raised(openai.BadRequestError, lambda: model(n=2).invoke(MESSAGES), "n: one answer")


TRIALS = [invoke, streamed, batch, asynchronous, bound_tools, bound_tools_streamed, structured_output]
TRIALS += [structured_output_by_function, structured_output_streamed, agent, agent_with_schema]
TRIALS += [
    agent_over_turns_streamed,
    responses_interface,
    responses_interface_tools,
    responses_interface_agent,
]
TRIALS += [responses_interface_schema, picture_is_refused, errors]

if __name__ == "__main__":
    run("langchain-openai", TRIALS)
