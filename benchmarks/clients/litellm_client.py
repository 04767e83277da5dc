"LiteLLM with the provider openai and an own address."

import asyncio
import json

import litellm
from trial import (
    ADDRESS,
    ECHO,
    KEY,
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

litellm.suppress_debug_info = True
FIELDS = {k: {"type": "string"} for k in ("name", "phone", "email", "iban")}
TOOL = {"name": "find_customer", "parameters": {"type": "object", "properties": FIELDS}}
TOOLS = [
    {"type": "function", "function": TOOL},
    {"type": "function", "function": {**TOOL, "name": "open_case"}},
]
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": SAID}]


def ask(model=ECHO, messages=MESSAGES, **options):
    told = {"api_base": ADDRESS, "api_key": KEY, "num_retries": 0, "max_retries": 0, **options}
    return litellm.completion(model=f"openai/{model}", messages=messages, **told)


def answer():
    done = ask(seed=3, user="u-1", max_tokens=100)
    assert done.choices[0].message.content == SAID and done.usage.total_tokens == 120


def streamed():
    parts = list(ask(stream=True, stream_options={"include_usage": True}))
    assert "".join(p.choices[0].delta.content or "" for p in parts if p.choices) == SAID
    assert parts[-1].usage.total_tokens == 120
    assert "".join(p.choices[0].delta.content or "" for p in ask(stream=True)) == SAID


def tool_loop():
    done = ask(PARALLEL, tools=TOOLS, parallel_tool_calls=True).choices[0].message
    for call in done.tool_calls:
        data_is_whole(json.loads(call.function.arguments))
    results = [
        {"role": "tool", "tool_call_id": c.id, "name": c.function.name, "content": RESULT}
        for c in done.tool_calls
    ]
    assert len(results) == 2
    whole(ask(messages=[*MESSAGES, done, *results], tools=TOOLS).choices[0].message.content)


def tools_streamed():
    built = litellm.stream_chunk_builder(list(ask(PARALLEL, tools=TOOLS, stream=True)))
    calls = built.choices[0].message.tool_calls
    assert len(calls) == 2
    for call in calls:
        data_is_whole(json.loads(call.function.arguments))


def schema():
    data_is_whole(json.loads(ask(response_format=Caller).choices[0].message.content))


def asynchronous():
    async def both():
        told = {"api_base": ADDRESS, "api_key": KEY}
        done = await litellm.acompletion(model=f"openai/{ECHO}", messages=MESSAGES, **told)
        parts = await litellm.acompletion(model=f"openai/{ECHO}", messages=MESSAGES, stream=True, **told)
        return done.choices[0].message.content, "".join(
            [p.choices[0].delta.content or "" async for p in parts]
        )

    assert asyncio.run(both()) == (SAID, SAID)


def _kind(event):
    return getattr(event.type, "value", event.type)


def responses():
    told = {"api_base": ADDRESS, "api_key": KEY}
    done = litellm.responses(model=f"openai/{ECHO}", input=SAID, instructions=SYSTEM, **told)
    whole(done.output_text)
    events = list(litellm.responses(model=f"openai/{ECHO}", input=SAID, stream=True, **told))
    assert "".join(e.delta for e in events if _kind(e) == "response.output_text.delta") == SAID


def errors():
    raised(litellm.RateLimitError, lambda: ask("busy"), "too many requests")
    raised(litellm.BadGatewayError, lambda: ask("down"), "HTTP 500")
    raised(litellm.BadRequestError, lambda: ask("refuses"), "HTTP 400")
    raised(litellm.BadRequestError, lambda: ask(logprobs=True), "logprobs")
    raised(litellm.BadRequestError, lambda: ask(n=2), "n: one answer")
    raised(litellm.NotFoundError, lambda: ask("nobody"), "nobody")
    raised(litellm.Timeout, lambda: ask("slow", timeout=1))


def picture_is_refused():
    parts = [
        {"type": "text", "text": SAID},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
    ]
    raised(
        litellm.BadRequestError,
        lambda: ask(messages=[{"role": "user", "content": parts}]),
        "messages[0].content",
    )
    assert not seen()


TRIALS = [
    answer,
    streamed,
    tool_loop,
    tools_streamed,
    schema,
    asynchronous,
    responses,
    errors,
    picture_is_refused,
]

if __name__ == "__main__":
    run("litellm", TRIALS)
