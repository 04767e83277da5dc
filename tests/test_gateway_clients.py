"""Requests as client libraries send them: small invented ones, each in the form of its library.

The libraries themselves are tried by hand, see `benchmarks/clients`.
"""

import asyncio
import json
import random
import re
import subprocess
import sys

import pytest

pytest.importorskip("starlette")

import httpx

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.core.records import Usage
from crmeval.layer.callers import new_key
from crmeval.layer.demasking import demask
from crmeval.layer.masking import MaskingSession, mask
from crmeval.layer.server import gateway_app

NAME, MAIL = "Marisol Quintero", "marisol.quintero@mail.example"
PHONE, IBAN = "+49 30 5550 0134", "DE89 3704 0044 0532 0130 00"
SAID = f"My name is {NAME}. Call me at {PHONE} or write to {MAIL}. My IBAN is {IBAN}."
SYSTEM = "You help our colleague Tobias Lindqvist at the claims desk."
RESULT = json.dumps({"name": NAME, "phone": PHONE, "email": MAIL, "iban": IBAN})
CLEAR = ("Marisol", "Quintero", "marisol", "5550 0134", "0532 0130", "Lindqvist")
CODE = re.compile(r"\[[A-Z]+_\w+\]")
KEYS = {name: new_key() for name in ("crm", "batch")}


class Model:
    "Says the last text again; `calls` makes it call tools with the codes that it saw."

    name, provider, model, cacheable = "m", "local", "m", False

    def __init__(self):
        self.seen, self.calls = [], ()

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        self.seen.append({"messages": messages, **options})
        if self.calls and messages[-1]["role"] != "tool":
            codes = dict.fromkeys(CODE.findall(messages[-1]["content"]))
            made = json.dumps({f"v{n}": code for n, code in enumerate(codes)})
            function = {"arguments": made}
            calls = [
                {"id": f"c{n}", "type": "function", "function": {"name": x, **function}}
                for n, x in self.calls
            ]
            return Completion("", usage=Usage(9, 3), tool_calls=tuple(calls))
        return Completion(messages[-1]["content"], usage=Usage(9, 3))

    async def chat_stream(self, messages, **options):
        done = await self.chat(messages, **options)
        for letter in done.text:
            yield letter
        yield done

    async def aclose(self):
        pass


def sending(work, **server):
    "Run `work(http, model, gateway)` with a gateway in this process."
    model = Model()
    keys = {f"K_{name.upper()}": key for name, key in KEYS.items()}
    callers = {name: {"key_env": f"K_{name.upper()}"} for name in KEYS}
    with pytest.MonkeyPatch.context() as patch:
        for name, key in keys.items():
            patch.setenv(name, key)
        policy = {"stream": "sentences", "server": {"callers": callers, **server}}
        app = gateway_app({"m": TrustLayer(model, policy)})

    async def all_of():
        options = {"transport": httpx.ASGITransport(app), "base_url": "http://localhost/v1"}
        async with httpx.AsyncClient(**options, headers={"Authorization": f"Bearer {KEYS['crm']}"}) as http:
            return await work(http, model, app.state.gateway)

    done = asyncio.run(all_of())
    left = json.dumps(model.seen, ensure_ascii=False)
    assert not [word for word in CLEAR if word in left]
    return done


def user(text=SAID, **more):
    return {"role": "user", "content": text, **more}


def call(n=1, name="find_customer"):
    function = {"name": name, "arguments": json.dumps({"name": NAME, "email": MAIL})}
    return {"id": f"call_{n}", "type": "function", "function": function}


def result(text=RESULT, n=1, **more):
    return {"role": "tool", "tool_call_id": f"call_{n}", "content": text, **more}


FIELDS = {"name": {"type": "string", "title": "Name"}, "email": {"type": "string"}}
SCHEMA = {"type": "object", "properties": FIELDS, "required": ["name"], "additionalProperties": False}
TOOL = {"name": "find_customer", "description": "Find a customer.", "parameters": SCHEMA, "strict": True}
TOOLS = [{"type": "function", "function": TOOL}]
FORM = {"type": "json_schema", "json_schema": {"name": "Caller", "schema": SCHEMA, "strict": True}}
SYS = {"role": "system", "content": SYSTEM}
TURN = [SYS, user(), {"role": "assistant", "content": None, "tool_calls": [call()]}]

CHAT = {
    "an official library that asks for usage": {
        "messages": [SYS, user()],
        "stream": True,
        "stream_options": {"include_usage": True},
        "modalities": ["text"],
        "prompt_cache_retention": "24h",
        "service_tier": "auto",
        "user": MAIL,
        "metadata": {"agent": NAME},
        "store": True,
    },
    "an official library with an answer as it arrived": {
        "messages": [
            *TURN[:2],
            {**TURN[2], "refusal": None, "annotations": [], "audio": None, "function_call": None},
            result(),
        ],
        "tools": TOOLS,
        "parallel_tool_calls": False,
    },
    "a router that names the tool in its result": {
        "messages": [*TURN, result(name="find_customer")],
        "tools": [{"type": "function", "function": {"name": "find_customer", "parameters": SCHEMA}}],
        "max_tokens": 100,
    },
    "an agent that forces a tool and streams": {
        "messages": [SYS, user()],
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "find_customer"}},
        "stream": True,
    },
    "an agent of reasoning models": {
        "messages": [{"role": "developer", "content": SYSTEM}, user()],
        "max_completion_tokens": 100,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": FORM,
    },
    "parts with a cache mark": {
        "messages": [user([{"type": "text", "text": SAID, "cache_control": {"type": "ephemeral"}}])],
    },
    "results as parts, and an empty one": {
        "messages": [
            SYS,
            user(),
            {"role": "assistant", "content": "", "tool_calls": [call(), call(2)]},
            result("", 1),
            result([{"type": "text", "text": RESULT}], 2),
        ],
    },
    "an earlier refusal as a part": {
        "messages": [
            user(),
            {"role": "assistant", "content": [{"type": "refusal", "refusal": f"I cannot, {NAME}."}]},
            user(),
        ],
    },
    "thoughts of another server in the history": {
        "messages": [user(), {"role": "assistant", "content": "Yes?", "reasoning_content": NAME}, user()],
        "temperature": None,
        "stop": None,
    },
}

ITEM = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "find_customer",
    "id": "fc_1",
    "status": "completed",
}
ITEM |= {"arguments": call()["function"]["arguments"]}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": RESULT}
SPOKEN = {"type": "output_text", "text": f"Dear {NAME}", "annotations": [], "logprobs": []}
MESSAGE = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": [SPOKEN]}
PLAIN_TOOL = [{"type": "function", **TOOL}]

RESPONSES = {
    "an agent library": {
        "instructions": SYSTEM,
        "input": [user(), ITEM, OUTPUT],
        "tools": PLAIN_TOOL,
        "include": [],
        "store": True,
    },
    "a library that sends the instruction as an item": {
        "input": [
            {"type": "message", **SYS},
            {"type": "message", **user()},
            MESSAGE,
            {"type": "message", **user()},
        ],
        "stream": True,
    },
    "results as parts": {
        "input": [SYS, user([{"type": "input_text", "text": SAID}]), ITEM]
        + [{**OUTPUT, "output": [{"type": "input_text", "text": RESULT}]}],
        "tools": PLAIN_TOOL,
    },
    "an agent of reasoning models, begun at another server": {
        "instructions": SYSTEM,
        "input": [
            user(),
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": NAME}]},
            MESSAGE,
            user(),
        ],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "json_schema", "name": "Caller", "schema": SCHEMA}, "verbosity": "low"},
        "prompt_cache_key": MAIL,
        "truncation": "disabled",
    },
}


def shown(answered):
    "Return the text of an answer, whole or streamed, in either interface."
    if not answered.headers["content-type"].startswith("text/event-stream"):
        body = answered.json()
        if "output" in body:
            return "".join(p["text"] for item in body["output"] for p in item["content"])
        return body["choices"][0]["message"]["content"]
    lines = [line[6:] for line in answered.text.splitlines() if line.startswith("data: ")]
    rows = [json.loads(line) for line in lines if line != "[DONE]"]
    if rows[0].get("type", "").startswith("response."):
        assert rows[-1]["type"] == "response.completed"
        return "".join(r["delta"] for r in rows if r["type"] == "response.output_text.delta")
    assert lines[-1] == "[DONE]"
    return "".join(c["delta"].get("content") or "" for r in rows for c in r["choices"])


@pytest.mark.parametrize(
    "path, body",
    [("/chat/completions", body) for body in CHAT.values()]
    + [("/responses", body) for body in RESPONSES.values()],
    ids=[*CHAT, *RESPONSES],
)
def test_a_request_of_a_library_is_served_and_its_values_come_back(path, body):
    async def work(http, model, gateway):
        return await http.post(path, json={"model": "m", **body})

    answered = sending(work)
    assert answered.status_code == 200, answered.text
    text = shown(answered)
    assert text in (SAID, RESULT)


def test_what_is_passed_on_and_what_is_left_out():
    async def work(http, model, gateway):
        for path, bodies in (("/chat/completions", CHAT), ("/responses", RESPONSES)):
            for body in bodies.values():
                await http.post(path, json={"model": "m", **body})
        return {key for body in model.seen for key in body}

    passed = sending(work)
    assert passed >= {
        "tools",
        "tool_choice",
        "response_format",
        "service_tier",
        "reasoning_effort",
        "verbosity",
    }
    assert not passed & {"user", "metadata", "modalities", "prompt_cache_key", "prompt_cache_retention"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_second_turn_may_refer_to_the_first_answer(stream):
    async def work(http, model, gateway):
        model.calls = [(0, "find_customer")]
        request = {"model": "m", "tools": PLAIN_TOOL, "stream": stream}
        first = await http.post("/responses", json={**request, "input": [user()]})
        made = last_of(first)["output"]
        assert json.loads(made[0]["arguments"])["v0"] == NAME
        turn = [user(), {"type": "item_reference", "id": made[0]["id"]}]
        turn.append({"type": "function_call_output", "call_id": made[0]["call_id"], "output": RESULT})
        second = last_of(await http.post("/responses", json={**request, "input": turn}))
        assert second["output"][0]["content"][0]["text"] == RESULT
        model.calls = ()
        turn += [{"type": "item_reference", "id": second["output"][0]["id"]}, user(f"{NAME} once more.")]
        third = last_of(await http.post("/responses", json={**request, "input": turn}))
        assert third["output"][0]["content"][0]["text"] == f"{NAME} once more."
        roles = [m["role"] for m in model.seen[-1]["messages"]]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]
        return [set(re.findall(r"\[PERSON_\w+\]", json.dumps(b["messages"]))) for b in model.seen]

    codes = sending(work)
    assert len(codes) == 3 and codes[0] == codes[1] == codes[2] and len(codes[0]) == 1


def last_of(answered):
    "Return the whole response, also of a stream."
    assert answered.status_code == 200, answered.text
    if not answered.headers["content-type"].startswith("text/event-stream"):
        return answered.json()
    lines = [line for line in answered.text.splitlines() if line.startswith("data: ")]
    return json.loads(lines[-1][6:])["response"]


def test_a_reference_finds_only_what_is_held_for_this_caller():
    def refer(name):
        return {"model": "m", "input": [user(), {"type": "item_reference", "id": name}, user("And?")]}

    async def work(http, model, gateway):
        async def answer_of(**more):
            done = await http.post("/responses", json={"model": "m", "input": [user()], **more})
            return done.json()["output"][0]["id"]

        def status_of(answered):
            return answered.status_code, (answered.json().get("error") or {}).get("code")

        own, unkept = await answer_of(), await answer_of(store=False)
        assert status_of(await http.post("/responses", json=refer(own))) == (200, None)
        other = {"Authorization": f"Bearer {KEYS['batch']}"}
        lost = [await http.post("/responses", json=refer(own), headers=other)]
        lost += [
            await http.post("/responses", json=refer(name)) for name in (unkept, "msg_0", None, 5, ["x"])
        ]
        assert [status_of(each) for each in lost] == [(404, "item_not_found")] * 6
        assert all("store: false" in each.text and "Marisol" not in each.text for each in lost)
        gateway.drop_conversations()  # as `POST /v1/erase` does
        assert status_of(await http.post("/responses", json=refer(own))) == (404, "item_not_found")
        assert len(gateway.items) == 0

    sending(work)


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
def test_a_policy_may_hold_no_answers_and_chat_holds_none(path):
    async def work(http, model, gateway):
        body = (
            {"model": "m", "input": [user()]}
            if path == "/responses"
            else {"model": "m", "messages": [user()]}
        )
        assert (await http.post(path, json=body)).status_code == 200
        return len(gateway.items)

    assert sending(work, item_characters=0) == 0
    assert sending(work) == (1 if path == "/responses" else 0)


@pytest.mark.parametrize(
    "path, more, field",
    [
        ("/chat/completions", {"logprobs": True}, "logprobs"),
        ("/chat/completions", {"n": 2}, "n"),
        ("/chat/completions", {"modalities": ["text", "audio"]}, "modalities"),
        ("/chat/completions", {"prediction": {"type": "content", "content": NAME}}, "prediction"),
        ("/chat/completions", {"moderation": {}}, "moderation"),
        ("/chat/completions", {"top_k": 5}, "top_k"),
        ("/responses", {"include": ["message.output_text.logprobs"]}, "include message.output_text.logprobs"),
        ("/responses", {"include": [NAME]}, "include is not"),
        ("/responses", {"include": ["reasoning.encrypted_content", 5]}, "include is not"),
        ("/responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("/responses", {"reasoning": {"context": "all"}}, "reasoning"),
    ],
)
def test_what_cannot_be_served_is_refused_by_its_name(path, more, field):
    async def work(http, model, gateway):
        body = {"input": [user()]} if path == "/responses" else {"messages": [user()]}
        answered = await http.post(path, json={"model": "m", **body, **more})
        return answered.status_code, answered.json()["error"], len(model.seen)

    status, error, calls = sending(work)
    assert (status, calls) == (400, 0) and field in error["message"]
    assert error["param"] == next(iter(more)) and "Marisol" not in str(error)


def test_a_call_in_the_old_form_is_not_lost_silently():
    old = {"role": "assistant", "content": None, "function_call": call()["function"]}

    async def work(http, model, gateway):
        return await http.post(
            "/chat/completions", json={"model": "m", "messages": [user(), old, user("And?")]}
        )

    error = sending(work).json()["error"]
    assert error["param"] == "messages[1].function_call" and "tool_calls" in error["message"]


def test_a_value_has_one_code_in_words_in_arguments_and_in_results():
    async def work(http, model, gateway):
        model.calls = [(0, "find_customer")]
        messages = [user()]
        done = (
            await http.post("/chat/completions", json={"model": "m", "messages": messages, "tools": TOOLS})
        ).json()
        messages += [done["choices"][0]["message"]]
        messages += [
            {"role": "tool", "tool_call_id": "c0", "content": RESULT},
            user(f"{NAME}, {MAIL}, {PHONE}, {IBAN}"),
        ]
        model.calls = ()
        await http.post("/chat/completions", json={"model": "m", "messages": messages, "tools": TOOLS})
        return [sorted(set(CODE.findall(json.dumps(b["messages"])))) for b in model.seen]

    first, second = sending(work)
    assert first == second and len(first) == 4


HARD = [
    'Ana "Nita" Lopes',
    "Zoë O'Brien",
    "Bo\\Berg Lund",
    "José/María Gil",
    "Åsa\tLind",
    "Lê Văn An",
    "A. B. Ong",
]


def test_one_code_inside_and_outside_json_and_every_text_comes_back():
    rng = random.Random(11)
    for n in range(300):
        name = rng.choice(HARD)
        with MaskingSession() as session:
            usual = json.dumps({"who": name, "n": n}, ensure_ascii=False)
            texts = [
                f"It is {name}.",
                usual,
                json.dumps([name, {"a": name}]),
                f"```json\n{usual}\n``` {name}",
            ]
            rng.shuffle(texts)
            done = {text: mask(text, {"name": name}, session).text for text in texts}
            for text, masked in done.items():
                assert name not in masked and demask(masked, session.vault) == text
            inside = json.loads(done[usual])["who"]
            outside = done[f"It is {name}."].removeprefix("It is ").removesuffix(".")
            assert inside == outside, (name, done)


def test_a_failed_call_is_told_without_loading_the_sdk():
    code = (
        "import sys, aiohttp\n"
        "from crmeval.core.calls import call_failure\n"
        "assert call_failure(ConnectionError('reset')).retryable\n"
        "assert call_failure(aiohttp.ClientError('gone')).retryable\n"
        "assert not call_failure(KeyError('x')).retryable\n"
        "print('openai' in sys.modules)\n"
        "import httpx, openai\n"
        "answer = httpx.Response(429, headers={'retry-after': '7'}, text='{}')\n"
        "answer.request = httpx.Request('POST', 'http://localhost')\n"
        "told = call_failure(openai.RateLimitError('busy', response=answer, body=None))\n"
        "print(told.http_status, told.after_s)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "429", "7.0"], done.stdout + done.stderr


def test_the_first_request_of_a_server_waits_for_no_package():
    code = (
        "import sys\n"
        "from crmeval.layer.warm_up import settle\n"
        "settle()\n"
        "print('aiohttp' in sys.modules, 'openai' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", "False"], done.stdout + done.stderr


def test_unknown_numbers_of_tokens_are_numbers_in_the_responses_interface():
    async def work(http, model, gateway):
        return (await http.post("/responses", json={"model": "m", "input": "Hello"})).json()["usage"]

    usage = sending(work)
    details = [usage["input_tokens_details"], usage["output_tokens_details"]]
    assert details == [{"cached_tokens": 0}, {"reasoning_tokens": 0}]


def test_an_instruction_alone_is_sent_alone():
    async def work(http, model, gateway):
        await http.post("/chat/completions", json={"model": "m", "messages": [SYS]})
        return [m["role"] for m in model.seen[0]["messages"]]

    assert sending(work) == ["system"]
