"The official library for Python: both interfaces, whole and streamed, tools, schemas, errors and retries."

import base64
import json

import openai
import trial
from trial import (
    ADDRESS,
    ECHO,
    KEY,
    NAME,
    PARALLEL,
    RESULT,
    SAID,
    SYSTEM,
    data_is_whole,
    left,
    raised,
    run,
    seen,
    until,
    whole,
)


class Caller(trial.Caller):
    urgent: bool


FIELDS = {k: {"type": "string"} for k in ("name", "phone", "email", "iban")}
SCHEMA = {"type": "object", "properties": FIELDS, "required": [*FIELDS], "additionalProperties": False}
TOOL = {"name": "find_customer", "description": "Find a customer.", "parameters": SCHEMA, "strict": True}
TOOLS = [{"type": "function", "function": TOOL}]
TWO = [*TOOLS, {"type": "function", "function": {**TOOL, "name": "open_case"}}]
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": SAID}]


def client(**options):
    return openai.OpenAI(base_url=ADDRESS, api_key=KEY, **{"max_retries": 0, **options})


def chat(model=ECHO, messages=MESSAGES, **options):
    return client().chat.completions.create(model=model, messages=messages, **options)


def chat_whole():
    done = chat(seed=7, user="u-1", metadata={"team": "claims"}, store=True, max_completion_tokens=500)
    whole(done.choices[0].message.content)
    assert done.choices[0].message.content == SAID and done.usage.total_tokens == 120
    assert done.choices[0].finish_reason == "stop"


def chat_streamed():
    parts = list(chat(stream=True))
    shown = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
    assert shown == SAID and parts[-1].choices[0].finish_reason == "stop"
    assert all(p.usage is None for p in parts)


def chat_streamed_with_usage():
    parts = list(chat(stream=True, stream_options={"include_usage": True}))
    assert "".join(p.choices[0].delta.content or "" for p in parts if p.choices) == SAID
    assert parts[-1].choices == [] and parts[-1].usage.total_tokens == 120


def chat_stream_helper():
    with client().chat.completions.stream(model=ECHO, messages=MESSAGES) as stream:
        kinds = [event.type for event in stream]
        done = stream.get_final_completion()
    assert done.choices[0].message.content == SAID and "content.done" in kinds


def parts_of_a_message():
    parts = [{"type": "text", "text": SAID}, {"type": "text", "text": "Please hurry."}]
    done = chat(messages=[{"role": "user", "content": parts}])
    whole(done.choices[0].message.content)


def picture_is_refused_by_name():
    picture = "data:image/png;base64," + base64.b64encode(b"x" * 30).decode()
    parts = [{"type": "text", "text": SAID}, {"type": "image_url", "image_url": {"url": picture}}]
    told = raised(
        openai.BadRequestError,
        lambda: chat(messages=[{"role": "user", "content": parts}]),
        "messages[0].content",
    )
    assert told.param == "messages[0].content" and not seen()


def tools_over_several_turns():
    said, found = list(MESSAGES), []
    for _ in range(2):
        done = chat(messages=said, tools=TOOLS, parallel_tool_calls=False)
        call = done.choices[0].message.tool_calls[0]
        data_is_whole(json.loads(call.function.arguments))
        assert done.choices[0].finish_reason == "tool_calls"
        said += [done.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": RESULT}]
        done = chat(messages=said, tools=TOOLS)
        whole(done.choices[0].message.content)
        said += [done.choices[0].message, {"role": "user", "content": f"{NAME} again: find me once more."}]
        found.append(done)
    import re

    codes = [set(re.findall(r"\[PERSON_\w+\]", json.dumps(b["messages"]))) for b in seen()]
    assert codes[0] and all(c == codes[0] for c in codes), codes


def parallel_tools():
    done = chat(PARALLEL, tools=TWO)
    calls = done.choices[0].message.tool_calls
    assert [c.function.name for c in calls] == ["find_customer", "open_case"]
    for call in calls:
        data_is_whole(json.loads(call.function.arguments))


def parallel_tools_streamed():
    held = {}
    for part in chat(PARALLEL, tools=TWO, stream=True):
        for call in part.choices[0].delta.tool_calls or ():
            name, said = held.get(call.index, ("", ""))
            held[call.index] = (name + (call.function.name or ""), said + (call.function.arguments or ""))
    assert [held[n][0] for n in (0, 1)] == ["find_customer", "open_case"]
    for _, said in held.values():
        data_is_whole(json.loads(said))


def schema_by_parse():
    done = client().chat.completions.parse(model=ECHO, messages=MESSAGES, response_format=Caller)
    data_is_whole(done.choices[0].message.parsed)


def schema_streamed():
    with client().chat.completions.stream(model=ECHO, messages=MESSAGES, response_format=Caller) as stream:
        for _ in stream:
            pass
        data_is_whole(stream.get_final_completion().choices[0].message.parsed)


def tools_by_pydantic():
    tools = [openai.pydantic_function_tool(Caller, name="note")]
    done = client().chat.completions.parse(model=ECHO, messages=MESSAGES, tools=tools)
    data_is_whole(done.choices[0].message.tool_calls[0].function.parsed_arguments)


def responses_whole():
    done = client().responses.create(model=ECHO, instructions=SYSTEM, input=SAID, store=False)
    assert done.output_text == SAID and done.status == "completed" and done.usage.total_tokens == 120


def responses_streamed():
    events = list(client().responses.create(model=ECHO, input=SAID, instructions=SYSTEM, stream=True))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == SAID
    assert events[-1].type == "response.completed"


def responses_parse():
    done = client().responses.parse(model=ECHO, input=SAID, text_format=Caller)
    data_is_whole(done.output_parsed)


def responses_tools_over_turns():
    tools = [{"type": "function", **TOOL}]
    said = [{"role": "user", "content": SAID}]
    done = client().responses.create(model=ECHO, input=said, tools=tools)
    call = done.output[0]
    data_is_whole(json.loads(call.arguments))
    said += done.output
    said += [{"type": "function_call_output", "call_id": call.call_id, "output": RESULT}]
    whole(client().responses.create(model=ECHO, input=said, tools=tools).output_text)


def responses_parallel_tools_streamed():
    tools = [{"type": "function", **TOOL}, {"type": "function", **TOOL, "name": "open_case"}]
    with client().responses.stream(model=PARALLEL, input=SAID, tools=tools) as stream:
        for _ in stream:
            pass
        calls = stream.get_final_response().output
    assert [c.name for c in calls] == ["find_customer", "open_case"]
    for call in calls:
        data_is_whole(json.loads(call.arguments))


def responses_picture_is_refused():
    parts = [
        {"type": "input_text", "text": SAID},
        {"type": "input_image", "image_url": "data:image/png;base64,eA=="},
    ]
    work = lambda: client().responses.create(model=ECHO, input=[{"role": "user", "content": parts}])  # noqa: E731
    raised(openai.BadRequestError, work, "input[0].content")


def raw_response():
    raw = client().chat.completions.with_raw_response.create(model=ECHO, messages=MESSAGES)
    assert raw.headers["x-request-id"] and raw.parse().choices[0].message.content == SAID
    with client().chat.completions.with_streaming_response.create(model=ECHO, messages=MESSAGES) as raw:
        whole(b"".join(raw.iter_bytes()).decode())


async def asynchronous():
    async with openai.AsyncOpenAI(base_url=ADDRESS, api_key=KEY) as held:
        done = await held.chat.completions.create(model=ECHO, messages=MESSAGES)
        assert done.choices[0].message.content == SAID
        parts = await held.chat.completions.create(model=ECHO, messages=MESSAGES, stream=True)
        assert "".join([p.choices[0].delta.content or "" async for p in parts]) == SAID


def retries_after_429():
    done = client(max_retries=3).chat.completions.create(model="busy", messages=MESSAGES)
    assert done.choices[0].message.content == SAID and len(seen()) == 3


def errors_have_their_class():
    for model, kind, word in (
        ("busy", openai.RateLimitError, "too many requests"),
        ("down", openai.InternalServerError, "HTTP 500"),
        ("refuses", openai.BadRequestError, "HTTP 400"),
        ("nobody", openai.NotFoundError, "nobody"),
    ):
        raised(kind, lambda model=model: chat(model), word)
        raised(kind, lambda model=model: list(chat(model, stream=True)), word)
    wrong = openai.OpenAI(base_url=ADDRESS, api_key="sk-wrong-wrong-wrong", max_retries=0)
    raised(openai.AuthenticationError, lambda: wrong.models.list(), "no caller has this key")


def timeouts():
    held = client(timeout=1)
    raised(openai.APITimeoutError, lambda: held.chat.completions.create(model="slow", messages=MESSAGES))
    until(lambda: left() == 1)


def a_stream_that_breaks_off():
    raised(
        openai.APIError,
        lambda: list(chat("cut", messages=[{"role": "user", "content": SAID * 4}], stream=True)),
    )


def leaving_a_stream():
    stream = chat("drip", messages=[{"role": "user", "content": SAID * 4}], stream=True)
    next(iter(stream))
    stream.close()
    until(lambda: left() == 1)


SERVED = {
    **{"seed": 7, "user": "u", "metadata": {"a": "b"}, "store": True, "parallel_tool_calls": True, "n": 1},
    **{"reasoning_effort": "low", "max_completion_tokens": 100, "service_tier": "auto", "verbosity": "low"},
    **{"logit_bias": {"50256": -100}, "stop": ["END"], "top_p": 1, "logprobs": False, "max_tokens": 10},
    **{"modalities": ["text"], "prompt_cache_key": "k", "prompt_cache_retention": "24h"},
    **{"response_format": {"type": "text"}, "safety_identifier": "s"},
}
REFUSED = {
    **{"logprobs": True, "top_logprobs": 3, "n": 2, "prediction": {"type": "content", "content": NAME}},
    **{"audio": {"voice": "alloy", "format": "mp3"}, "modalities": ["text", "audio"]},
    **{"web_search_options": {}, "functions": [{"name": "f"}]},
}


def fields_served_or_refused_by_name():
    for name, value in SERVED.items():
        chat(**{name: value})
    for name, value in REFUSED.items():
        told = raised(openai.BadRequestError, lambda n=name, v=value: chat(**{n: v}), name)
        assert told.param == name


def models():
    assert ECHO in [m.id for m in client().models.list()]
    assert client().models.retrieve(ECHO).id == ECHO


TRIALS = [v for k, v in list(globals().items()) if callable(v) and getattr(v, "__module__", "") == "__main__"]
TRIALS = [t for t in TRIALS if t not in (Caller, client, chat)]

if __name__ == "__main__":
    run("openai", TRIALS)
