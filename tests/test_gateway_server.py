"The gateway over HTTP, called with the client library of applications, against a scripted model."

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

import httpx
import openai
from aiohttp import web

from crmeval import TrustLayer
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.callers import new_key
from crmeval.layer.chat_forms import Refused, read_chat
from crmeval.layer.masking import MaskingPolicy
from crmeval.layer.response_forms import read_response
from crmeval.layer.server import gateway_app
from crmeval.layer.server_policy import ServerPolicy
from crmeval.layer.serving import listen, serving
from crmeval.layer.sessions import Sessions
from crmeval.layer.traffic import BOUNDS, Traffic
from crmeval.systems.openai import OpenAIClient

KEYS = {name: new_key() for name in ("crm", "batch", "slow")}
CALLERS = {
    "crm": {"key_env": "K_CRM", "tenant": "acme", "users": "*"},
    "batch": {"key_env": "K_BATCH", "tenant": "globex"},
    "slow": {"key_env": "K_SLOW", "requests_per_minute": 2},
}


class Upstream:
    "A model endpoint that behaves as `mode` says and records every request that reaches it."

    def __init__(self):
        self.seen, self.mode, self.left, self.say = [], "echo", threading.Event(), None
        self.paused = threading.Event()

    async def answer(self, request):
        body = await request.json()
        self.seen.append(body)
        if isinstance(self.mode, int):
            return web.json_response({"error": {"message": f"no: {body['messages']}"}}, status=self.mode)
        if self.mode == "down":
            return web.json_response({"error": {"message": f"no: {body['messages']}"}}, status=500)
        if self.mode == "busy":
            return web.json_response(
                {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "7"}
            )
        if self.mode == "slow":
            self.paused.set()
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                self.left.set()
                raise
        message = self.say(body) if self.say else {"content": body["messages"][-1]["content"]}
        if body.get("stream"):
            return await self.stream(request, message)
        choice = {"message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 3}
        return web.json_response({"model": "m", "choices": [choice], "usage": usage})

    async def stream(self, request, message):
        "Send the answer letter by letter."
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        for n, letter in enumerate(message["content"]):
            if self.mode == "cut" and n == 300:
                return out
            if self.mode == "pause" and n == 200:
                try:
                    await asyncio.sleep(5)
                except (asyncio.CancelledError, ConnectionError):
                    self.left.set()
                    raise
            await self.piece(out, {"content": letter}, None)
        if message.get("refusal"):
            await self.piece(out, {"refusal": message["refusal"]}, None)
        await self.piece(out, {}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 3})
        await out.write(b"data: [DONE]\n\n")
        return out

    async def piece(self, out, delta, finish, **more):
        chunk = {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
        await out.write(f"data: {json.dumps(chunk)}\n\n".encode())


@pytest.fixture(scope="module")
def endpoint():
    "Yield (the upstream, its address)."
    upstream, loop, ready = Upstream(), asyncio.new_event_loop(), threading.Event()
    server = {}

    async def start():
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", upstream.answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server["port"], server["runner"] = site._server.sockets[0].getsockname()[1], runner
        ready.set()

    def work():
        asyncio.set_event_loop(loop)
        loop.create_task(start())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(10)
    yield upstream, f"http://127.0.0.1:{server['port']}/v1"
    asyncio.run_coroutine_threadsafe(server["runner"].cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)


@pytest.fixture
def upstream(endpoint):
    server = endpoint[0]
    server.seen, server.mode, server.say = [], "echo", None
    server.left.clear()
    return server


def layer_at(url, policy=None, trail=None, **server):
    for name, key in KEYS.items():
        os.environ[f"K_{name.upper()}"] = key
    policy = {"server": {"callers": CALLERS, **server}, **(policy or {})}
    client = OpenAIClient(
        "m", base_url=url, api_key_env=None, temperature=None, timeout_s=server.get("timeout_s", 20)
    )
    return TrustLayer(client, policy, trail=trail)


@contextlib.contextmanager
def gateway(endpoint, policy=None, trail=None, **server):
    "Yield (address, the state of the gateway)."
    app = gateway_app({"m": layer_at(endpoint[1], policy, trail, **server)})
    with serving(app) as address:
        yield address, app.state.gateway


@contextlib.contextmanager
def calling(address, name="crm", **options):
    with openai.OpenAI(base_url=address, api_key=KEYS.get(name, name), max_retries=0, **options) as client:
        yield client


def person(n):
    letters = "".join("bdklmnrst"[n // 9**i % 9] + "aeiou"[(n + i) % 5] for i in range(4))
    return f"{['Marisol', 'Anouk', 'Tobias', 'Ifeoma'][n % 4]} {letters.capitalize()}"


def ask(client, text, record=None, **options):
    body = {"crmeval": {"record": record}} if record else {}
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(
        model="m", messages=messages, extra_body={**body, **options.pop("more", {})}, **options
    )


LETTER = (
    "Dear {0}, thank you for your letter about the router, which we read with great care. "
    "It will be sent to {0} on Friday, and the bill of 240 euros comes with it. We are sorry for the wait. "
) * 3


def test_names_never_reach_the_model_and_come_back(endpoint, upstream):
    with gateway(endpoint) as (address, state), calling(address) as client:
        done = ask(client, LETTER.format(person(1)), {"contact": {"name": person(1)}}, temperature=0.3)
        assert done.choices[0].message.content == LETTER.format(person(1))
        assert done.choices[0].finish_reason == "stop" and done.usage.total_tokens == 12
        left = json.dumps(upstream.seen)
        assert not any(word in left for word in person(1).split())
        assert upstream.seen[0]["temperature"] == 0.3 and upstream.seen[0]["store"] is False
        assert done.crmeval["masked"]["PERSON"] >= 1 and person(1).split()[1] not in json.dumps(done.crmeval)
        assert [m.id for m in client.models.list()] == ["m"]
        figures = httpx.get(f"{address}/../metrics", headers={"Authorization": f"Bearer {KEYS['crm']}"}).text
        assert 'requests_total{endpoint="chat",caller="crm",code="200"} 1' in figures
        assert person(1).split()[1] not in figures and KEYS["crm"] not in figures
        assert state.running == 0


@pytest.mark.parametrize("mode", ["hold", "sentences"])
def test_a_stream_gives_names_and_equals_the_whole(endpoint, upstream, mode):
    with gateway(endpoint, {"stream": mode}) as (address, _), calling(address) as client:
        text, record = LETTER.format(person(2)), {"contact": {"name": person(2)}}
        parts = list(ask(client, text, record, stream=True, stream_options={"include_usage": True}))
        shown = [p.choices[0].delta.content for p in parts if p.choices and p.choices[0].delta.content]
        assert "".join(shown) == text and len(shown) >= (3 if mode == "sentences" else 1)
        assert parts[-2].choices[0].finish_reason == "stop" and parts[-1].usage.completion_tokens == 3
        assert not any(word in json.dumps(upstream.seen) for word in person(2).split())


def test_a_hundred_callers_at_once_get_their_own_names(endpoint, upstream):
    async def one(clients, n):
        name, client = person(n), clients[n % 2]
        text = f"Dear {name}, your number is +1 415 555 {n:04d}. " + LETTER.format(name)[:90]
        extra_body = {"crmeval": {"record": {"contact": {"name": name}}, "conversation": f"c{n // 4}"}}
        request = {"model": "m", "messages": [{"role": "user", "content": text}], "extra_body": extra_body}
        if n % 3:
            done = await client.chat.completions.create(**request)
            return text, done.choices[0].message.content
        parts = await client.chat.completions.create(stream=True, **request)
        return text, "".join([p.choices[0].delta.content or "" async for p in parts if p.choices])

    async def all_of(address):
        connection = {"base_url": address, "max_retries": 0}
        clients = [openai.AsyncOpenAI(api_key=KEYS[name], **connection) for name in ("crm", "batch")]
        try:
            return await asyncio.gather(*(one(clients, n) for n in range(100)))
        finally:
            for client in clients:
                await client.close()

    with gateway(endpoint, {"stream": "sentences"}) as (address, state):
        rows = asyncio.run(all_of(address))
        assert state.running == 0 and len(state.sessions) <= 100
    assert all(own_name == shown for own_name, shown in rows)
    left = json.dumps(upstream.seen)
    assert not any(person(n).split()[1] in left or f"555 {n:04d}" in left for n in range(100))


def test_a_conversation_keeps_its_placeholders_and_tenants_share_none(endpoint, upstream):
    record = {"contact": {"name": person(3)}}
    with gateway(endpoint) as (address, _):
        for name in ("crm", "crm", "batch"):
            with calling(address, name) as client:
                ask(client, f"Hello, it is {person(3)}.", record)
        with calling(address) as client:  # a second turn, and a call with a conversation id
            turns = [
                {"role": "user", "content": f"Hello, it is {person(3)}."},
                {"role": "assistant", "content": "Yes?"},
            ]
            again = [*turns, {"role": "user", "content": f"{person(3)} once more."}]
            client.chat.completions.create(model="m", messages=again)
            ask(
                client,
                f"Hello, it is {person(3)}.",
                record,
                more={"crmeval": {"conversation": "x", "record": record}},
            )
    seen = [re.findall(r"\[PERSON_\w+\]", json.dumps(b["messages"])) for b in upstream.seen]
    assert seen[0] == seen[1] and set(seen[3]) == set(seen[0])
    assert not set(seen[0]) & set(seen[2]) and not set(seen[0]) & set(seen[4])


def test_calls_of_tools_have_their_values_and_strangers_get_none(endpoint, upstream):
    tools = [{"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}]
    name, record = 'Ana "Nita" Lopes', {"contact": {"name": 'Ana "Nita" Lopes'}}

    def call(to):
        function = {"name": "send", "arguments": json.dumps({"to": to, "n": 3})}
        return {"content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]}

    with gateway(endpoint) as (address, _), calling(address) as client:
        upstream.say = lambda body: call(body["messages"][-1]["content"][len("Write to ") : -1])
        done = ask(client, f"Write to {name}.", record, tools=tools)
        made = done.choices[0].message.tool_calls[0].function
        assert (
            json.loads(made.arguments) == {"to": name, "n": 3}
            and done.choices[0].finish_reason == "tool_calls"
        )
        messages = [
            {"role": "user", "content": f"Write to {name}."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [done.choices[0].message.tool_calls[0].model_dump()],
            },
            {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"sent": name})},
        ]
        upstream.say = None
        back = client.chat.completions.create(
            model="m", messages=messages, tools=tools, extra_body={"crmeval": {"record": record}}
        )
        assert json.loads(back.choices[0].message.content) == {"sent": name}
        assert [m["role"] for m in upstream.seen[-1]["messages"]] == ["user", "assistant", "tool"]
        assert "Lopes" not in json.dumps(upstream.seen)
        upstream.say = lambda body: call("eve.stone@evil.example")
        done = ask(client, f"Write to {name}.", record, tools=tools)
        assert done.choices[0].finish_reason == "content_filter" and not done.choices[0].message.tool_calls


def test_the_responses_interface_goes_the_same_way(endpoint, upstream):
    record = {"contact": {"name": person(5)}}
    options = {"extra_body": {"crmeval": {"record": record}}}
    with gateway(endpoint, {"stream": "sentences"}) as (address, state), calling(address) as client:
        text = LETTER.format(person(5))
        done = client.responses.create(
            model="m", input=text, instructions="Echo.", temperature=0.3, **options
        )
        assert done.output_text == text and done.status == "completed" and done.usage.total_tokens == 12
        assert upstream.seen[0]["temperature"] == 0.3 and upstream.seen[0]["store"] is False
        with client.responses.stream(model="m", input=text, instructions="Echo.", **options) as stream:
            deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
            whole = stream.get_final_response()
        assert "".join(deltas) == whole.output_text == text and len(deltas) >= 3
        again = [
            {"role": "user", "content": [{"type": "input_text", "text": text}]},
            *(item.model_dump() for item in whole.output),
            {"role": "user", "content": f"{person(5)} once more."},
        ]
        last = client.responses.create(model="m", input=again, instructions="Echo.")
        assert last.output_text == f"{person(5)} once more."
        assert [m["role"] for m in upstream.seen[-1]["messages"]] == ["system", "user", "assistant", "user"]
        assert state.running == 0
    left = json.dumps(upstream.seen)
    assert not any(word in left for word in person(5).split())
    found = [set(re.findall(r"\[PERSON_\w+\]", json.dumps(b["messages"]))) for b in upstream.seen]
    assert found[0] and found[0] == found[1] <= found[2]  # one conversation, however its beginning is sent


def test_tools_of_the_responses_interface_have_their_values(endpoint, upstream):
    tool = {"type": "function", "name": "send", "parameters": {"type": "object"}}
    name, options = person(6), {"extra_body": {"crmeval": {"record": {"contact": {"name": person(6)}}}}}

    def call(to):
        made = {"name": "send", "arguments": json.dumps({"to": to})}
        return {"content": None, "tool_calls": [{"id": "c1", "type": "function", "function": made}]}

    with gateway(endpoint) as (address, _), calling(address) as client:
        messages = [{"role": "user", "content": f"Write to {name}."}]
        upstream.say = lambda body: call(body["messages"][-1]["content"][len("Write to ") : -1])
        done = client.responses.create(model="m", input=messages, tools=[tool], **options)
        made = done.output[0]
        assert (made.type, json.loads(made.arguments)) == ("function_call", {"to": name})
        assert upstream.seen[-1]["tools"][0]["function"]["name"] == "send"
        upstream.say = None
        result = {"type": "function_call_output", "call_id": made.call_id, "output": json.dumps({"to": name})}
        last = client.responses.create(
            model="m", input=[*messages, made.model_dump(), result], tools=[tool], **options
        )
        assert json.loads(last.output_text) == {"to": name}
        assert [m["role"] for m in upstream.seen[-1]["messages"]] == ["user", "assistant", "tool"]
        assert name.split()[1] not in json.dumps(upstream.seen)
        upstream.say = lambda body: call("eve.stone@evil.example")
        stopped = client.responses.create(model="m", input=messages, tools=[tool], **options)
        assert stopped.incomplete_details.reason == "content_filter"
        assert all(item.type != "function_call" for item in stopped.output)


def test_what_the_responses_interface_cannot_have_here_is_told(endpoint, upstream):
    with gateway(endpoint) as (address, _), calling(address) as client:
        for wrong, message in (
            ({"previous_response_id": "resp_1"}, "nothing is stored"),
            ({"tools": [{"type": "web_search"}]}, "not screened"),
            ({"background": True}, "nothing to come back for"),
            ({"max_output_tokens": -1.5}, "not a whole number"),
        ):
            with pytest.raises(openai.BadRequestError, match=message):
                client.responses.create(model="m", input="Hello", **wrong)
        with pytest.raises(openai.NotFoundError, match="did you mean 'm'"):
            client.responses.create(model="mm", input="Hello")
        assert not upstream.seen
        upstream.mode = "down"
        with pytest.raises(openai.InternalServerError) as caught:
            client.responses.create(model="m", input="Hello, it is Ada Brook.")
        assert "Ada" not in str(caught.value)


def test_a_stream_of_responses_that_breaks_off_ends_with_an_error_event(endpoint, upstream):
    upstream.mode = "cut"
    with gateway(endpoint, {"stream": "sentences"}) as (address, _), calling(address) as client:
        parts, error = [], None
        try:
            for each in client.responses.create(model="m", input=LETTER.format("you"), stream=True):
                parts.append(each)
        except openai.APIError as e:
            error = str(e)
        assert any(p.type == "response.output_text.delta" for p in parts)
        assert error or parts[-1].type == "error"
        assert all(p.type != "response.completed" for p in parts)
        numbers = [p.sequence_number for p in parts]
        assert numbers == [*range(len(parts))]


def test_who_may_not_call_is_told(endpoint, upstream, capfd):
    agreed = {"openai": {"regions": "*", "kinds": "*", "retention": "provider"}}
    with gateway(endpoint, {"gateway": {"users": ["batch"], "providers": agreed}}) as (address, _):
        for key in ("sk-wrong-wrong-wrong-wrong", "x"):
            with calling(address, key) as client, pytest.raises(openai.AuthenticationError) as caught:
                ask(client, "Hello")
            assert key not in str(caught.value)
        with (
            calling(address) as client,
            pytest.raises(openai.PermissionDeniedError, match="may not call any model"),
        ):
            ask(client, "Hello")
        with calling(address, "batch") as client:
            assert ask(client, "Hello").choices[0].message.content == "Hello"
            with pytest.raises(openai.PermissionDeniedError, match="may not act for"):
                ask(client, "Hello", more={"crmeval": {"user": "jessica"}})
            with pytest.raises(openai.NotFoundError, match="there are m"):
                client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "x"}])
        assert httpx.get(f"{address}/models").status_code == 401
        assert httpx.get(address.replace("/v1", "/health")).json() == {"status": "ok"}
    assert len(upstream.seen) == 1
    assert capfd.readouterr() == ("", "")


def test_limits(endpoint, upstream):
    limits = {"body_bytes": 5000, "messages": 3, "characters": 1000, "at_once": 1}
    with gateway(endpoint, **limits) as (address, state):
        with calling(address) as client:
            for text in ("x" * 1100, "x" * 6000):
                with pytest.raises(openai.APIStatusError) as caught:
                    ask(client, text)
                assert caught.value.status_code == 413
            with pytest.raises(openai.APIStatusError, match="at most 3"):
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}] * 4)
            state.running = 1  # as if another call were running
            with pytest.raises(openai.InternalServerError) as caught:
                ask(client, "Hello")
            assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (503, "1")
            state.running = 0
        with calling(address, "slow") as client:
            assert [bool(ask(client, "Hello")) for _ in range(2)] == [True, True]
            with pytest.raises(openai.RateLimitError) as caught:
                ask(client, "Hello")
            assert caught.value.response.headers["retry-after"] == "30"
        with calling(address) as client:  # other callers are answered meanwhile
            assert ask(client, "Hello").choices


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b'{"model": "m", "messages": NaN}',
    b'{"model": "m", "messages": ' + b"9" * 5000 + b"}",
    b'{"model": "m", "messages": [{"role": "user", "content": 5}]}',
    b'{"model": "m", "messages": [{"role": ["user"], "content": "x"}]}',
    b'{"model": {"a": 1}, "messages": [{"role": "user", "content": "x"}]}',
    b'{"model": "m", "messages": {"role": "user"}}',
    b'{"model": "m", "messages": [{"role": "assistant", "tool_calls": {"a": 1}}]}',
    b'{"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": 1}]}]}',
    b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": {"a": 1}}',
    b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": "Ana Lopes"}',
    b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "crmeval": 3}',
    b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "crmeval": {"record": "x"}}',
    b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "hidden": "Ana Lopes"}',
]


def test_hostile_bodies_are_refused_and_reach_nobody(endpoint, upstream):
    with gateway(endpoint) as (address, _):
        head = {"Authorization": f"Bearer {KEYS['crm']}", "Content-Type": "application/json"}
        with httpx.Client(base_url=address, headers=head) as http:
            for raw in HOSTILE:
                answer = http.post("/chat/completions", content=raw)
                assert answer.status_code == 400 and set(answer.json()) == {"error"}, raw[:80]
                assert "Lopes" not in answer.text
            assert (
                http.post(
                    "/chat/completions", content=b"{}", headers={"Content-Type": "text/plain"}
                ).status_code
                == 415
            )
            assert http.get("/chat/completions").status_code == 405
            assert http.get("/nothing").json()["error"]["type"] == "not_found_error"
            halves = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a\ud800b"}]})
            assert http.post("/chat/completions", content=halves).status_code == 200
    assert len(upstream.seen) == 1


LEAVES = [
    None,
    True,
    -1,
    2.5,
    "",
    "Ana Lopes",
    [],
    {},
    [{}],
    [None],
    {"type": "function"},
    [["x"]],
    {"": "x"},
]
NAMES = (
    "input",
    "tools",
    "tool_choice",
    "reasoning",
    "text",
    "include",
    "truncation",
    "model",
    "crmeval",
    "stream",
)


def test_whatever_is_sent_as_a_response_is_read_or_refused_by_name():
    rng, limits, read = random.Random(7), ServerPolicy(), 0
    keys = (
        "type",
        "role",
        "content",
        "text",
        "name",
        "call_id",
        "arguments",
        "output",
        "format",
        "schema",
        "effort",
    )
    kinds = (
        "message",
        "function_call",
        "function_call_output",
        "input_text",
        "output_text",
        "json_schema",
        "user",
    )

    def anything(depth):
        roll = rng.random()
        if depth == 0 or roll < 0.3:
            return rng.choice([*LEAVES, *kinds])
        if roll < 0.5:
            return [anything(depth - 1) for _ in range(rng.randint(0, 3))]
        return {rng.choice(keys): anything(depth - 1) for _ in range(rng.randint(0, 4))}

    for _ in range(5000):
        body = {"model": "m", "input": "Hi", **{rng.choice(NAMES): anything(3) for _ in range(2)}}
        try:
            got = read_response(body, limits)
            read += 1
            assert all(isinstance(m["content"], (str, type(None))) for m in got.messages)
        except Refused as e:
            assert e.status in (400, 413) and "Lopes" not in str(e)
    assert 100 < read < 4900


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_fails_is_an_error_in_our_words(endpoint, upstream, stream):
    with (
        gateway(endpoint, {"stream": "sentences"}, timeout_s=0.5) as (address, _),
        calling(address) as client,
    ):
        for mode, status, code in (
            ("down", 502, "upstream_error"),
            ("busy", 429, "upstream_busy"),
            ("slow", 504, "upstream_timeout"),
        ):
            upstream.mode = mode
            with pytest.raises(openai.APIStatusError) as caught:
                list(ask(client, "Is Ana Lopes there?", stream=stream))
            assert (caught.value.status_code, caught.value.body["code"]) == (status, code)
            assert "PERSON" not in str(caught.value) and "Lopes" not in str(caught.value)
    nobody = layer_at("http://127.0.0.1:9/v1")
    with serving(gateway_app({"m": nobody})) as address, calling(address) as client:
        with pytest.raises(openai.InternalServerError, match="cannot be reached") as caught:
            list(ask(client, "Hello", stream=stream))
        assert caught.value.status_code == 502


def test_a_stream_that_breaks_off_is_an_error_behind_what_was_shown(endpoint, upstream, tmp_path):
    upstream.mode = "cut"
    trail = tmp_path / "audit.jsonl"
    with gateway(endpoint, {"stream": "sentences"}, trail) as (address, _), calling(address) as client:
        shown = []
        with pytest.raises(openai.APIError, match="gave no answer"):
            for part in ask(client, LETTER.format(person(4)), {"name": person(4)}, stream=True):
                shown.append(part.choices[0].delta.content or "")
    whole = "".join(shown)
    assert whole and LETTER.format(person(4)).startswith(whole)
    with AuditTrail(trail) as kept:
        assert kept.verify().ok
        reply = list(kept.records("reply"))[-1]
        assert reply.content["status"] == "broken off" and reply.private["text"] == whole


def test_a_stream_that_is_refused_ends_with_a_mark(endpoint, upstream):
    upstream.say = lambda body: {
        "content": LETTER.format("you") + "You are a stupid idiot and I hate you, you worthless dirt. " * 3
    }
    with gateway(endpoint, {"stream": "sentences"}) as (address, _), calling(address) as client:
        parts = list(ask(client, "Hello", stream=True))
    shown = "".join(p.choices[0].delta.content or "" for p in parts)
    assert parts[-1].choices[0].finish_reason == "content_filter" and parts[-1].crmeval["status"] == "refused"
    assert shown.startswith("Dear you") and "idiot" not in shown and "withheld" in shown


@pytest.mark.parametrize("mode, stream", [("slow", False), ("slow", True), ("pause", True)])
def test_who_leaves_is_not_waited_for(endpoint, upstream, mode, stream):
    with gateway(endpoint, {"stream": "sentences"}) as (address, state):
        with calling(address) as client:
            ask(client, "Hello")  # a first call, so that one-time loading does not slow the next one
        upstream.mode = mode
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": LETTER.format("you")}],
            "stream": stream,
        }
        head = {"Authorization": f"Bearer {KEYS['crm']}"}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/chat/completions", json=body, headers=head, timeout=0.4)
        assert upstream.left.wait(2)
        ends = time.monotonic() + 2
        while state.running and time.monotonic() < ends:
            time.sleep(0.01)
        assert state.running == 0 and not [h for h in state.sessions._held.values() if h.users]


def test_feedback_and_an_audit_trail_without_a_value_in_clear(endpoint, upstream, tmp_path):
    trail = tmp_path / "audit.jsonl"
    with gateway(endpoint, trail=trail) as (address, _), calling(address) as client:
        record = {"contact": {"name": person(5)}}
        done = ask(
            client,
            LETTER.format(person(5)),
            more={"crmeval": {"record": record, "user": "jessica", "person": "p5"}},
        )
        head = {"Authorization": f"Bearer {KEYS['crm']}"}
        feedback = {
            "reply": done.id,
            "action": "edit",
            "shown": "It leaves today.",
            "edited": "It leaves tomorrow.",
            "person": "p5",
        }
        kept = httpx.post(f"{address}/feedback", json={**feedback, "reasons": ["wrong_fact"]}, headers=head)
        assert kept.status_code == 200 and kept.json()["distance"] == 1
        for wrong, message in (
            ({"action": "acept"}, "did you mean 'accept'?"),
            ({"reply": "../x"}, "id of an answer"),
            ({"hidden": 1}, "unknown field"),
        ):
            refused = httpx.post(f"{address}/feedback", json={**feedback, **wrong}, headers=head)
            assert refused.status_code == 400 and message in refused.json()["error"]["message"]
    raw = "".join(
        p.read_text(errors="replace") for p in tmp_path.rglob("*") if p.is_file() and "key" not in p.name
    )
    assert not any(word in raw for word in [*person(5).split(), KEYS["crm"]])
    with AuditTrail(trail) as opened:
        assert opened.verify().ok
        rows = list(opened.records())
        assert {r.content.get("tenant") for r in rows} == {"acme"}
        assert next(r for r in rows if r.kind == "feedback").content["reply"] == done.id.removeprefix(
            "chatcmpl-"
        )


def test_a_request_is_found_by_its_case_and_has_an_id_that_libraries_show(endpoint, upstream, tmp_path):
    trail = tmp_path / "audit.jsonl"
    with gateway(endpoint, trail=trail) as (address, _), calling(address) as client:
        messages = [{"role": "user", "content": "Is the boiler on its way?"}]
        call = client.chat.completions.with_raw_response.create
        raw = call(model="m", messages=messages, extra_body={"crmeval": {"case": "00-4471"}})
        ask(client, "And the pump?")
        assert raw.request_id and raw.request_id in raw.parse().id
        too_long = httpx.post(
            f"{address}/chat/completions",
            json={"model": "m", "messages": messages, "crmeval": {"case": 4471}},
            headers={"Authorization": f"Bearer {KEYS['crm']}"},
        )
        assert too_long.status_code == 400 and "crmeval.case" in too_long.text
    with AuditTrail(trail) as kept:
        found = list(kept.records(case="00-4471"))
        assert {"prompt", "answer", "reply"} <= {r.kind for r in found}
        assert (
            len({r.content["reply"] for r in found}) == 1 < len({r.content["reply"] for r in kept.records()})
        )


def test_feedback_is_taken_for_an_answer_of_ones_own_tenant_and_no_other(endpoint, upstream, tmp_path):
    trail, rng = tmp_path / "audit.jsonl", random.Random(5)

    def send(address, caller, **fields):
        head = {"Authorization": f"Bearer {KEYS[caller]}"}
        return httpx.post(f"{address}/feedback", json={"action": "accept", **fields}, headers=head)

    with gateway(endpoint, trail=trail) as (address, _), calling(address) as client:
        ids = [ask(client, "Hello").id, next(iter(ask(client, "Hello", stream=True))).id]
        ids.append(client.responses.create(model="m", input="Hello").id)
        assert [send(address, "crm", reply=name).status_code for name in ids] == [200] * 3
        assert [send(address, "batch", reply=name).status_code for name in ids] == [404] * 3
        bare = ids[0].removeprefix("chatcmpl-")
        wrong = [f"chatcmpl-{rng.randbytes(n).hex()}" for n in (1, 4, 8, 12, 16, 16, 16, 20)]
        at = rng.randrange(len(bare))
        wrong += [
            bare[:16],
            bare[:-1],
            bare + "0",
            bare[:at] + ("1" if bare[at] == "0" else "0") + bare[at + 1 :],
        ]
        for name in wrong:
            answer = send(address, "crm", reply=name)
            assert answer.status_code == 404 and answer.json()["error"]["code"] == "reply_not_found", name
        for name in (5, None, ["x"], "", "../x", "٣٤", "a b"):
            assert send(address, "crm", reply=name).status_code == 400
        edit = {"reply": bare, "action": "edit", "edited": "It leaves tomorrow."}
        assert send(address, "crm", **edit).json()["error"]["param"] == "shown"
        stored = send(address, "crm", **edit, shown="It leaves today.").json()
        assert (stored["distance"], stored["texts_kept"]) == (1, False)
        assert send(address, "crm", **edit, shown="It leaves today.", person="p5").json()["texts_kept"]
    with gateway(endpoint, trail=trail) as (address, _):  # after a restart, earlier answers are known
        assert send(address, "crm", reply=bare).status_code == 200
    with AuditTrail(trail) as opened:
        rows = [r for r in opened.records("feedback")]
        assert len(rows) == 6 and {r.content["tenant"] for r in rows} == {"acme"}


RANGES = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}


def refused_field(**fields):
    "Return the field that is refused; None: the request is served."
    try:
        read_chat({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}, ServerPolicy())
    except Refused as e:
        assert e.status == 400 and str(e).strip()
        return e.param
    return None


def test_numbers_outside_their_range_are_refused_before_anybody_is_asked():
    rng = random.Random(3)
    for name, (low, high) in RANGES.items():
        for _ in range(50):
            inside = rng.choice([low, high, rng.uniform(low, high)])
            assert refused_field(**{name: inside}) is None, (name, inside)
            outside = rng.choice([low - rng.uniform(1e-6, 1e6), high + rng.uniform(1e-6, 1e6)])
            assert refused_field(**{name: outside}) == name, (name, outside)
    for name in ("max_tokens", "max_completion_tokens"):
        assert refused_field(**{name: 1}) is None
        for wrong in (0, -rng.randrange(1, 10**9), 10**30, 1.5, True, "9"):
            assert refused_field(**{name: wrong}) == name, wrong
    assert (
        refused_field(logit_bias={"7": 100}) is None
        and refused_field(logit_bias={"7": 100.1}) == "logit_bias"
    )
    assert refused_field(seed=10**30) == "seed" and refused_field(seed=-4) is None


@pytest.mark.parametrize(
    "field, value",
    [
        ("response_format", {"type": "yaml"}),
        ("response_format", {"type": "json_schema"}),
        ("response_format", {"type": "json_schema", "json_schema": {"schema": {}}}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "r", "schema": 5}}),
        ("response_format", {"type": "text", "json_schema": {}}),
        ("stream_options", 5),
        ("stream_options", {"include_usage": "yes"}),
        ("stream_options", {"usage": True}),
        ("metadata", {"a": 5}),
        ("user", 5),
        ("store", "no"),
        ("service_tier", []),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "nowhere"}}),
    ],
)
def test_a_field_that_openai_would_refuse_is_refused_here(field, value):
    assert refused_field(**{field: value}) == field
    assert refused_field(**{field: None}) is None


CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "before, message, field",
    [
        ([], {"role": "user"}, "content"),
        ([], {"role": "user", "content": None}, "content"),
        ([], {"role": "system", "content": []}, "content"),
        ([], {"role": "user", "content": "x", "name": 5}, "name"),
        ([], {"role": "tool", "content": "x"}, "tool_call_id"),
        ([], {"role": "tool", "content": "x", "tool_call_id": "c1"}, "tool_call_id"),
        (["c1"], {"role": "tool", "content": "x", "tool_call_id": "c2"}, "tool_call_id"),
        (["c1"], {"role": "tool", "content": None, "tool_call_id": "c1"}, "content"),
        (["c1"], {"role": "tool", "content": "x", "tool_call_id": "c1"}, None),
        (
            [],
            {"role": "assistant", "content": None, "tool_calls": [{"id": "Ana Lopes", **CALL}]},
            "tool_calls",
        ),
        ([], {"role": "assistant", "tool_calls": [{"id": "ana@example.org", **CALL}]}, "tool_calls"),
        ([], {"role": "assistant", "tool_calls": [CALL]}, "tool_calls"),
        ([], {"role": "assistant", "tool_calls": [{"id": "functions.f:0", **CALL}]}, None),
    ],
)
def test_a_message_that_is_not_whole_is_named(before, message, field):
    made = [{"role": "assistant", "tool_calls": [{"id": name, **CALL}]} for name in before]
    refused = refused_field(messages=[{"role": "user", "content": "Hi"}, *made, message])
    assert refused == (field and f"messages[{1 + len(made)}].{field}")


def test_every_text_of_a_tool_and_a_schema_is_masked_but_its_structure(endpoint, upstream):
    who, rng = person(3), random.Random(8)
    words = [f"x-{rng.randbytes(3).hex()}" for _ in range(4)] + [
        "$comment",
        "title",
        "description",
        "markdown",
    ]
    property_schema = {w: f"{who} wrote" for w in words} | {
        "x-list": [who, f"of {who}"],
        "default": {"name": who, "type": who},
    }
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "format": "email", "pattern": "^[A-Z]+$", **property_schema}
        },
        "required": ["name"],
    }
    tools = [{"type": "function", "function": {"name": "find", "parameters": schema}}]
    form = {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}
    with gateway(endpoint) as (address, _), calling(address) as client:
        more = {"crmeval": {"record": {"contact": {"name": who}}}}
        ask(client, "Hello", more=more, tools=tools, response_format=form)
    sent = upstream.seen[-1]
    assert not any(word in json.dumps(sent, ensure_ascii=False) for word in who.split())
    for got in (sent["tools"][0]["function"]["parameters"], sent["response_format"]["json_schema"]["schema"]):
        kept = got["properties"]["name"]
        assert (kept["type"], kept["format"], kept["pattern"]) == ("string", "email", "^[A-Z]+$")
        assert got["required"] == ["name"] and set(kept["default"]) == {"name", "type"}


@pytest.mark.parametrize("status, returned", [(400, 400), (413, 400), (422, 400), (404, 502), (503, 502)])
def test_what_no_other_try_would_mend_is_no_failure_of_the_server(endpoint, upstream, status, returned):
    upstream.mode = status
    with gateway(endpoint) as (address, _), calling(address) as client:
        with pytest.raises(openai.APIStatusError) as refused:
            ask(client, "Is Ana Lopes there?")
    assert refused.value.status_code == returned and str(status) in str(refused.value)
    assert "Lopes" not in str(refused.value)


def test_the_buckets_of_a_histogram_stand_in_order_whatever_came_first():
    traffic, rng = Traffic(), random.Random(1)
    for _ in range(300):
        traffic.time("seconds", rng.choice([1e-4, 0.02, 0.7, 8, 500]), part=rng.choice(["model", "layer"]))
    for part in ("model", "layer"):
        lines = [x for x in traffic.text().splitlines() if f'_bucket{{part="{part}"' in x]
        bounds = [float(re.search(r'le="([^"]+)"', x)[1].replace("+Inf", "inf")) for x in lines]
        counts = [float(x.rpartition(" ")[2]) for x in lines]
        assert bounds == sorted(bounds) and counts == sorted(counts) and len(bounds) == len(BOUNDS) + 1


def test_without_keys_it_serves_this_machine_alone(endpoint, upstream):
    app = gateway_app({"m": TrustLayer(OpenAIClient("m", base_url=endpoint[1], api_key_env=None))})
    with serving(app) as address:
        assert httpx.get(f"{address}/models").status_code == 200
        assert httpx.get(f"{address}/models", headers={"Host": "evil.example"}).status_code == 403


def test_no_more_conversations_are_held_than_allowed():
    now = [0.0]
    sessions = Sessions(MaskingPolicy(), minutes=1, most=5, clock=lambda: now[0])
    open_sessions = []
    for n in range(50):
        with sessions.use(sessions.name_of(str(n))) as session:
            open_sessions.append(session)
    sessions.sweep()
    assert len(sessions) == 5 and sum(not s.vault.closed for s in open_sessions) == 5
    now[0] = 100
    sessions.sweep()
    assert len(sessions) == 0 and all(s.vault.closed for s in open_sessions)


def test_the_command_serves_and_stops_in_order(endpoint, upstream, tmp_path):
    upstream.mode = "echo"
    policy = tmp_path / "policy.yaml"
    policy.write_text("server:\n  callers:\n    crm: {key_env: K_CRM}\n")
    words = [
        "--model",
        "openai:m",
        "--base-url",
        endpoint[1],
        "--policy",
        str(policy),
        "--port",
        "0",
        "--json",
    ]
    env = {**os.environ, "K_CRM": KEYS["crm"], "OPENAI_API_KEY": "unused-unused-unused"}
    command = [sys.executable, "-m", "crmeval", "gateway", *words]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        address = json.loads(process.stdout.readline())["address"]
        with calling(address) as client:
            assert ask(client, "Is Ana Lopes there?").choices[0].message.content == "Is Ana Lopes there?"
            upstream.say = lambda body: (
                process.send_signal(signal.SIGTERM) or time.sleep(0.3) or {"content": "Done."}
            )
            assert ask(client, "Hello").choices[0].message.content == "Done."  # the running call was finished
        output, wrong = process.communicate(timeout=20)
    assert process.returncode == 0 and (output, wrong) == ("", "")
    assert "Lopes" not in json.dumps(upstream.seen)


def test_a_port_that_is_taken_is_told_in_one_line(capfd):
    from crmeval.cli import main

    taken = listen(port=0)
    port = taken.getsockname()[1]
    assert main(["gateway", "--model", "ollama:llama3", "--port", str(port)]) == 2
    errors = capfd.readouterr().err
    assert (
        f"--port is {port}, which cannot be opened on 127.0.0.1" in errors and len(errors.splitlines()) == 1
    )
    taken.close()


@pytest.mark.parametrize("path", ["chat/completions", "responses", "feedback"])
def test_bodies_that_never_end_take_no_place_of_other_callers(endpoint, path):
    def half(address):
        host, port = address.removeprefix("http://").partition("/")[0].split(":")
        sent = f"POST /v1/{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEYS['crm']}\r\n"
        sent += 'Content-Type: application/json\r\nContent-Length: 999\r\n\r\n{"model": '
        opened = socket.create_connection((host, int(port)), timeout=10)
        opened.sendall(sent.encode())
        return opened

    def until(done):
        ends = time.monotonic() + 10
        while not done() and time.monotonic() < ends:
            time.sleep(0.02)
        assert done()

    with gateway(endpoint, at_once=6) as (address, state), calling(address) as client:
        door, slow = state.callers.doors["crm"], [half(address) for _ in range(15)]
        until(lambda: door.reading == 6)
        with calling(address, "batch") as other:
            assert all(ask(other, "Hello").choices[0].message.content for _ in range(3))
        with pytest.raises(openai.InternalServerError, match="too many calls"):
            ask(client, "Hello")
        for opened in slow:
            opened.close()
        until(lambda: door.reading == 0)
        assert ask(client, "Hello").choices[0].message.content and state.running == 0


def test_a_tenant_sees_its_own_figures_and_an_operator_all(endpoint, upstream):
    desk = new_key()
    os.environ["K_DESK"] = desk
    callers = {**CALLERS, "desk": {"key_env": "K_DESK", "operator": True}}
    with gateway(endpoint, callers=callers) as (address, _):

        def figures(key):
            head = {"Authorization": f"Bearer {key}"}
            return httpx.get(address.replace("/v1", "/metrics"), headers=head).text

        for name, n in (("crm", 2), ("batch", 3)):
            with calling(address, name) as client:
                for _ in range(n):
                    ask(client, "My name is Ines Tavares.")
        httpx.get(f"{address}/models", headers={"Authorization": "Bearer wrong-wrong-wrong-wrong"})
        own, others, whole = figures(KEYS["crm"]), figures(KEYS["batch"]), figures(desk)
        for seen, other, n in ((own, "batch", 2), (others, "crm", 3)):
            assert (
                f'"{other}"' not in seen
                and '"none"' not in seen
                and "\ncrmeval_gateway_sessions " not in seen
            )
            assert f'crmeval_gateway_masked_total{{kind="PERSON"}} {n}\n' in seen
            assert f'crmeval_gateway_seconds_count{{part="model"}} {n}\n' in seen
        assert 'crmeval_gateway_masked_total{kind="PERSON"} 5\n' in whole
        assert all(f'caller="{name}"' in whole for name in ("crm", "batch", "none"))


def test_a_running_gateway_forgets_a_person_while_calls_about_others_go_on(
    endpoint, upstream, tmp_path, capfd
):
    from crmeval.cli import main

    os.environ["K_DESK"] = new_key()
    callers = {**CALLERS, "desk": {"key_env": "K_DESK", "operator": True}}
    path = tmp_path / "audit.jsonl"
    with gateway(endpoint, trail=path, callers=callers) as (address, state), calling(address) as client:
        for who in ("p5", "p6"):
            ask(client, LETTER.format(person(5)), more={"crmeval": {"person": who}})
        words = ["audit", "erase", "--person", "p5", "--gateway", address]
        assert main(["audit", "erase", str(path), "--person", "p5"]) != 0  # another process holds the trail
        assert "--gateway" in capfd.readouterr().err
        for refused in (words, [*words, "--api-key-env", "K_CRM"]):
            assert main(refused) != 0 and "removed nothing" in capfd.readouterr().err
        upstream.mode, slow = "slow", []

        def call():
            messages = [{"role": "user", "content": LETTER.format(person(5))}]
            extra = {"crmeval": {"person": "p5"}}
            for piece in client.chat.completions.create(
                model="m", messages=messages, stream=True, extra_body=extra
            ):
                slow.append(piece)

        thread = threading.Thread(target=call)
        thread.start()
        while not state.persons._running:
            time.sleep(0.01)
        erasing = threading.Thread(target=main, args=([*words, "--api-key-env", "K_DESK", "--json"],))
        erasing.start()
        while not state.persons._erased:
            time.sleep(0.01)
        assert upstream.paused.wait(20)  # otherwise the slow call would be an echo
        upstream.mode = "echo"
        with pytest.raises(openai.InternalServerError, match="being erased"):
            ask(client, "Hello", more={"crmeval": {"person": "p5"}})
        ask(client, "Hello", more={"crmeval": {"person": "p6"}})
        assert erasing.is_alive()
        thread.join(20)
        erasing.join(20)
        assert json.loads(capfd.readouterr().out)["records"] >= 5 and len(slow) > 1
        with AuditTrail(path) as reading:  # a reader takes no lock
            assert [r for r in reading.records(person="p5") if r.private is not None] == []
            assert [r for r in reading.records(person="p6") if r.private is not None]
            assert reading.verify().ok and len(list(reading.records("erased"))) == 1
        ask(client, "Hello again", more={"crmeval": {"person": "p5"}})  # a returning person is served


@pytest.mark.parametrize("stream", [False, True])
def test_an_id_stands_on_every_answer_and_every_error(endpoint, upstream, stream):
    with gateway(endpoint) as (address, _), calling(address) as client:
        request = {"model": "m", "messages": [{"role": "user", "content": "Hello there."}], "stream": stream}
        with client.chat.completions.with_streaming_response.create(**request) as raw:
            named, body = raw.headers["x-request-id"], "".join(raw.iter_text())
            assert named and f"chatcmpl-{named}" in body and raw.headers["x-crmeval-reply"] == named
        for mode, wrong in (("echo", {"temperature": 7}), (500, {}), (400, {})):
            upstream.mode = mode
            with pytest.raises(openai.APIStatusError) as failed:
                client.chat.completions.create(**request, **wrong)
            assert failed.value.request_id
        with pytest.raises(openai.NotFoundError) as failed:
            client.models.retrieve("nothing")
        assert failed.value.request_id


COUNTED = {
    "prompt_tokens": 90,
    "completion_tokens": 30,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": True, "said_by": "Ines Tavares"},
    "completion_tokens_details": {"reasoning_tokens": 20, "text_tokens": -1, "Ines Tavares": 5},
}


@pytest.mark.parametrize(
    "counts, prompt, completion",
    [
        (COUNTED, {"cached_tokens": 64}, {"reasoning_tokens": 20}),
        (
            {**COUNTED, "prompt_tokens_details": None, "prompt_cache_hit_tokens": 7},
            {"cached_tokens": 7},
            None,
        ),
        ({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": [1]}, {}, {}),
        (None, {}, {}),
    ],
)
def test_tokens_by_kind_go_on_and_nothing_else_of_what_an_endpoint_says(counts, prompt, completion):
    from crmeval.core.calls import Completion
    from crmeval.layer.chat_forms import about_reply, usage_of
    from crmeval.layer.reply import Reply
    from crmeval.systems.completions import read_completion

    choice = {"message": {"content": "Fine."}, "finish_reason": "stop"}
    done = read_completion({"choices": [choice], "usage": counts}, prompt="Hello")
    assert isinstance(done, Completion)
    usage = usage_of(done)
    assert usage.get("prompt_tokens_details", {}) == prompt
    assert usage.get("completion_tokens_details", {}) == (
        {"reasoning_tokens": 20} if completion is None else completion
    )
    assert about_reply(Reply("1", "Fine.", completion=done)).get("usage_estimated", False) is (counts is None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_models_refusal_is_shown_with_its_names_and_never_stands_in_clear(
    endpoint, upstream, tmp_path, stream
):
    path = tmp_path / "audit.jsonl"
    messages = [
        {"role": "user", "content": "My name is Ines Tavares. Tell me all about Rosamund Quellworth."}
    ]

    def refuse(body):  # with a placeholder, and with a name that the model invents
        code = re.search(r"\[PERSON_\w+\]", body["messages"][-1]["content"])[0]
        return {"content": "", "refusal": f"I can't tell {code} about the Marchioness Zanthe."}

    upstream.say = refuse
    whole = "I can't tell Ines Tavares about the Marchioness Zanthe."
    with gateway(endpoint, trail=path) as (address, _), calling(address) as client:
        about = {"crmeval": {"person": "p5"}}
        answer = client.chat.completions.create(model="m", messages=messages, stream=stream, extra_body=about)
        newer = client.responses.create(model="m", input=messages, stream=stream, extra_body=about)
        if stream:
            pieces = [piece.choices[0] for piece in answer]
            assert "".join(piece.delta.refusal or "" for piece in pieces) == whole
            assert "".join(piece.delta.content or "" for piece in pieces) == ""
            assert pieces[-1].finish_reason == "stop"
            newer = next(event.response for event in newer if event.type == "response.completed")
        else:
            message = answer.choices[0].message
            assert (message.content, message.refusal, answer.choices[0].finish_reason) == (
                None,
                whole,
                "stop",
            )
        part = newer.output[0].content[0]
        assert (part.type, part.refusal) == ("refusal", whole)
        again = [
            *messages,
            {"role": "assistant", "content": None, "refusal": whole},
            {"role": "user", "content": "Why?"},
        ]
        upstream.say = None
        client.chat.completions.create(model="m", messages=again)
        history = json.dumps(upstream.seen[-1]["messages"])
        assert "I can't tell [PERSON_" in history and "Ines" not in history
    assert "Zanthe" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["models", "chat/completions", "responses"])
@pytest.mark.parametrize("second", ["Bearer wrong", "", "Basic eA==", None])
def test_two_authorization_headers_are_refused_whichever_is_right(endpoint, path, second):
    right = f"Bearer {KEYS['crm']}"
    with gateway(endpoint) as (address, _):
        for pair in ((right, second), (second, right)):
            head = [("Authorization", right if v is None else v) for v in pair]
            body = None if path == "models" else {"model": "m", "messages": [], "input": "Hello"}
            got = httpx.request("POST" if body else "GET", f"{address}/{path}", headers=head, json=body)
            assert got.status_code == 400 and got.json()["error"]["code"] == "several_keys"
            assert KEYS["crm"] not in got.text
