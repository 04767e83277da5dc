"""Raw sockets against the gateway: what HTTP libraries never send, and attackers do.

Nothing may reach the model unmasked or twice, no worker may hang, and no value of a caller may be logged.
"""

import asyncio
import contextlib
import gzip
import json
import logging
import os
import random
import socket
import time
import zlib
from collections import Counter

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.callers import new_key
from crmeval.layer.server import gateway_app
from crmeval.layer.serving import serving

KEY = new_key()
NAME, MAIL = "Marisol Okonkwo", "marisol.okonkwo@example.org"
PATH = "/v1/chat/completions"


class Model:
    "A model that keeps what reaches it."

    name = model = "m"
    provider, cacheable = "scripted", False

    def __init__(self):
        self.seen = []

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        self.seen.append(messages)
        return Completion("Hello.")

    async def aclose(self):
        pass


class Open:
    "A running gateway: its model, port, state and trail."

    def __init__(self, model, address, state, trail):
        self.model, self.state, self.trail = model, state, trail
        self.port = int(address.rpartition(":")[2].partition("/")[0])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, raw, half_close=False):
        "Send bytes, and return everything that is answered until the connection closes or is silent."
        with self.connect() as opened:
            with contextlib.suppress(OSError):  # closed by the gateway before everything was sent
                opened.sendall(raw)
                if half_close:
                    opened.shutdown(socket.SHUT_WR)
            return heard(opened)

    def is_at_work(self):
        "Whether an ordinary call is still answered."
        return self.send(call(body(), "Connection: close")).startswith(b"HTTP/1.1 200")


def heard(opened, silent_s=3.0):
    "Return what arrives until the connection closes, is silent, or has answered without more to come."
    got = b""
    opened.settimeout(silent_s)
    with contextlib.suppress(OSError):
        while piece := opened.recv(65536):
            got += piece
            opened.settimeout(0.5)
    return got


def body(text=f"Write to {MAIL}.", **more):
    asked = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    return json.dumps(asked).encode()


def call(content, *headers, length=True, first=f"POST {PATH} HTTP/1.1", kind="application/json"):
    lines = [first, "Host: 127.0.0.1", f"Authorization: Bearer {KEY}", f"Content-Type: {kind}"]
    lines += [f"Content-Length: {len(content)}"] if length else []
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + content


def chunked(content, extension=""):
    return b"%x%s\r\n%s\r\n0\r\n\r\n" % (len(content), extension.encode(), content)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    os.environ["K_RAW"] = KEY
    model, path = Model(), tmp_path_factory.mktemp("trail") / "audit.jsonl"
    policy = {"server": {"callers": {"crm": {"key_env": "K_RAW", "tenant": "acme"}}, "body_bytes": 200_000}}
    app = gateway_app({"m": TrustLayer(model, policy, trail=path)})
    with serving(app) as address:
        running = Open(model, address, app.state.gateway, path)
        for _ in range(10):  # the first call loads what it needs
            if running.is_at_work():
                break
        yield running


@pytest.fixture
def gateway(opened, caplog, capfd):
    "Afterwards: nothing in clear reached the model or a log, and the gateway is at work."
    opened.model.seen.clear()
    caplog.set_level(logging.DEBUG)
    yield opened
    sent = repr(opened.model.seen)
    said = caplog.text + "".join(capfd.readouterr())
    for word in (MAIL, KEY):
        assert word not in sent and word not in said
    ends = time.monotonic() + 10
    while opened.state.running and time.monotonic() < ends:
        time.sleep(0.02)
    assert opened.state.running == 0 and opened.is_at_work()


def statuses(answer):
    return [int(part[1:4]) for part in answer.split(b"HTTP/1.1")[1:] if part[1:4].isdigit()]


INNER = call(body("smuggled"))
MORE = body() + INNER
SMUGGLED = {  # name -> bytes; each is refused, or is one call and what follows belongs to its body
    "length and chunked": call(chunked(body()) + INNER, "Transfer-Encoding: chunked"),
    "chunked and length 4": call(
        chunked(body()), "Content-Length: 4", "Transfer-Encoding: chunked", length=False
    ),
    "two lengths": call(MORE, f"Content-Length: {len(body())}"),
    "two lengths in one line": call(MORE, f"Content-Length: {len(body())}, {len(MORE)}", length=False),
    "length with a sign": call(MORE, f"Content-Length: +{len(body())}", length=False),
    "length in hexadecimal": call(MORE, f"Content-Length: {len(body()):#x}", length=False),
    "length with an underscore": call(
        MORE, f"Content-Length: {len(body()) // 10}_{len(body()) % 10}", length=False
    ),
    "negative length": call(MORE, "Content-Length: -1", length=False),
    "length of another script": call(MORE, "Content-Length: \xb2\xb2", length=False),
    "endless length": call(body(), "Content-Length: " + "9" * 5000, length=False),
    "chunked behind another": call(
        chunked(body()) + INNER, "Transfer-Encoding: chunked, identity", length=False
    ),
    "chunked, disguised": call(chunked(body()) + INNER, "Transfer-Encoding: xchunked", length=False),
    "chunked behind a tab": call(
        chunked(body()), "Transfer-Encoding:\tchunked", "Content-Length: 3", length=False
    ),
    "chunked with a space before the colon": call(MORE, "Transfer-Encoding : chunked"),
    "two encodings": call(
        chunked(body()), "Transfer-Encoding: chunked", "Transfer-Encoding: identity", length=False
    ),
    "continued line": call(body(), "X-A: b", " Transfer-Encoding: chunked"),
    "bare carriage return": call(MORE, "X-A: b\rContent-Length: 5"),
    "a zero byte": call(body(), "X-A: b\0c"),
    "size of a chunk with a sign": call(b"+" + chunked(body()), "Transfer-Encoding: chunked", length=False),
    "size of a chunk in 0x": call(b"0x" + chunked(body()), "Transfer-Encoding: chunked", length=False),
    "a chunk longer than it says": call(
        b"2\r\n" + body() + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=False
    ),
    "an endless size of a chunk": call(
        b"f" * 40 + b"\r\n" + body(), "Transfer-Encoding: chunked", length=False
    ),
}


@pytest.mark.parametrize("name", list(SMUGGLED))
def test_no_second_call_is_smuggled_in_a_body(gateway, name):
    answer = gateway.send(SMUGGLED[name])
    said = statuses(answer)
    assert len(said) <= 1, answer[:2000]
    assert len(gateway.model.seen) <= (said == [200]) and "smuggled" not in repr(gateway.model.seen)


@pytest.mark.parametrize(
    "first", ["GET /health", "GET /metrics", "POST /none", f"POST {PATH}", "PUT /v1/models"]
)
@pytest.mark.parametrize("key", [KEY, "wrong"], ids=["caller", "stranger"])
def test_two_ends_of_a_body_are_refused_at_every_address_and_the_connection_closes(gateway, first, key):
    sent = call(chunked(body()) + INNER, "Transfer-Encoding: chunked", first=f"{first} HTTP/1.1")
    answer = gateway.send(sent.replace(KEY.encode(), key.encode(), 1))
    assert statuses(answer) == [400] and b"two_lengths" in answer and not gateway.model.seen


def test_calls_that_follow_each_other_on_a_connection_are_each_masked_and_made_once(gateway):
    assert statuses(gateway.send(call(body()) * 5)) == [200] * 5
    assert len(gateway.model.seen) == 5


def test_a_call_without_its_end_reaches_nobody(gateway):
    whole, rng = call(body()), random.Random(2)
    for n in rng.sample(range(1, len(whole)), 25):
        assert not statuses(gateway.send(whole[:n], half_close=True))[1:]
    assert not gateway.model.seen


HEADS = {  # name -> (bytes, statuses that may be answered)
    "bare line feeds": (call(body()).replace(b"\r\n", b"\n"), (200, 400)),
    "a huge header": (call(body(), "X-A: " + "a" * 200_000), (400, 431)),
    "a chunk's extension": (
        call(chunked(body(), ";a=b"), "Transfer-Encoding: chunked", length=False),
        (200,),
    ),
    "a huge extension": (
        call(chunked(body(), ";a=" + "b" * 300_000), "Transfer-Encoding: chunked", length=False),
        (400,),
    ),
    "expects to continue": (call(body(), "Expect: 100-continue"), (100,)),
    "HTTP/0.9": (b"GET /v1/models\r\n\r\n", (400,)),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", (400, 404)),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), (400,)),
    "asks for HTTP/2": (call(body(), "Connection: Upgrade", "Upgrade: h2c"), (200,)),
    "two hosts": (call(body(), "Host: evil.example"), (400,)),
    "a tunnel": (call(b"", first="CONNECT evil.example:443 HTTP/1.1"), (404, 405)),
    "a trace": (call(body(), first=f"TRACE {PATH} HTTP/1.1"), (405,)),
    "another server": (call(body(), first=f"POST http://evil.example{PATH} HTTP/1.1"), (404,)),
    "two encodings of a body": (
        call(chunked(body()), "Transfer-Encoding: gzip, chunked", length=False),
        (400,),
    ),
}
TARGETS = [
    "/v1/../v1/chat/completions",
    "/v1/%2e%2e/v1/chat/completions",
    "/v1/chat%252fcompletions",
    "//v1/chat",
]
TARGETS += [PATH + end for end in ("/", ";x", "%00", "#x", "%0d%0aX-A:b")] + ["*", "/v1/models/..%2f..%2fetc"]


@pytest.mark.parametrize("name", list(HEADS))
def test_odd_heads_are_refused_or_one_masked_call(gateway, name):
    sent, expected = HEADS[name]
    said = statuses(gateway.send(sent))
    assert said[0] in expected and len(gateway.model.seen) == said.count(200)


@pytest.mark.parametrize("target", TARGETS)
def test_odd_targets_lead_nowhere_and_redirect_nobody(gateway, target):
    "A redirect would have the body sent again, to whatever host and without TLS."
    answer = gateway.send(call(body(), first=f"POST {target} HTTP/1.1"))
    assert statuses(answer)[0] in (400, 404, 405) and b"ocation:" not in answer and not gateway.model.seen


BOMB = gzip.compress(body("a" * 10**7))
ODD = {  # name -> (content, headers, status)
    "NaN": (body().replace(b"{", b'{"temperature": NaN, ', 1), (), 400),
    "a number without end": (body().replace(b"{", b'{"seed": ' + b"9" * 5000 + b", ", 1), (), 400),
    "deep lists": (b"[" * 100_000, (), 400),
    "deep objects": (b'{"a":' * 30_000, (), 400),
    "deep and whole": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, (), 400),
    "UTF-16": (body().decode().encode("utf-16"), (), 400),
    "Latin-1": (body().replace(b"Write", b"\xe9"), (), 400),
    "a mark of byte order": (b"\xef\xbb\xbf" + body(), (), 400),
    "no JSON": (b"Write to " + MAIL.encode(), (), 400),
    "nothing": (b"", (), 400),
    "something behind": (body() + b"}", (), 400),
    "ten megabytes": (body("a" * 10**7), (), 413),
    "packed": (gzip.compress(body()), ("Content-Encoding: gzip",), 415),
    "packed as another": (zlib.compress(body()), ("Content-Encoding: br, deflate",), 415),
    "a bomb": (BOMB, ("Content-Encoding: gzip",), 415),
    "a bomb that says nothing": (BOMB, (), 400),
}


def is_of_caller(record):
    "Whether a record is of a refused call with a key: those without are written at any time."
    return record.kind == "refused_call" and record.content["user"] == "crm"


@pytest.mark.parametrize("name", list(ODD))
def test_odd_bodies_are_refused_and_stand_in_the_trail(gateway, name):
    content, headers, status = ODD[name]
    with AuditTrail(gateway.trail) as trail:
        before = sum(1 for r in trail.records() if is_of_caller(r))
        answer = gateway.send(call(content, *headers))
        refused = [r.content for r in trail.records() if is_of_caller(r)][before:]
    assert statuses(answer) == [status] and not gateway.model.seen
    assert [(r["user"], r["tenant"], r["status"], r["calls"]) for r in refused] == [
        ("crm", "acme", status, 1)
    ]
    assert refused[0]["reply"].encode() in answer and MAIL not in repr(refused)


@pytest.mark.parametrize("charset", ["utf-7", '"utf-16"', "ISO-8859-1", "utf-8x", "UTF_32"])
def test_a_body_in_another_charset_is_refused_by_its_name(gateway, charset):
    answer = gateway.send(call(body(), kind=f"application/json; charset={charset}"))
    assert statuses(answer) == [415] and b"content_charset" in answer and not gateway.model.seen


@pytest.mark.parametrize("charset", ["utf-8", '"UTF-8"', "utf8"])
def test_utf_8_is_taken_however_it_is_written(gateway, charset):
    assert statuses(gateway.send(call(body(), kind=f"application/json; a=b; charset = {charset}"))) == [200]


def test_of_two_equal_keys_the_model_gets_what_was_masked(gateway):
    twice = b'{"role": "user", "content": "' + MAIL.encode() + b'", "content": "to ' + MAIL.encode() + b'"}'
    content = b'{"model": "m", "messages": [], "messages": [' + twice + b"]}"
    assert statuses(gateway.send(call(content))) == [200] and len(gateway.model.seen) == 1


def test_half_a_character_and_escapes_are_masked_as_text(gateway):
    escaped = body().replace(b"marisol", b"\\u006darisol").replace(b"Write", b"\\ud83d Write")
    assert statuses(gateway.send(call(escaped))) == [200] and len(gateway.model.seen) == 1


@pytest.mark.parametrize("before", [b"", call(body())], ids=["at once", "behind a call"])
def test_heads_that_never_end_are_given_up(gateway, monkeypatch, before):
    monkeypatch.setattr("crmeval.layer.serving._HEAD_S", 1.0)
    with contextlib.ExitStack() as held:
        slow = []
        for n in range(3 if before else 20):
            each = held.enter_context(gateway.connect())
            if before:
                each.sendall(before)
                assert heard(each).startswith(b"HTTP/1.1 200")
            each.sendall(call(body())[: 10 + n])
            slow.append(each)
        assert gateway.is_at_work()
        for each in slow:
            each.settimeout(10)
            assert each.recv(1) == b""  # closed


def test_strangers_and_what_is_no_http_stand_in_the_trail_as_sums(gateway):
    with AuditTrail(gateway.trail) as trail:
        asyncio.run(gateway.state.refusals.flush())
        before = len(list(trail.records()))
        for _ in range(3):
            gateway.send(b"\x16\x03\x01 what is this\r\n\r\n")
            assert statuses(gateway.send(call(body()).replace(KEY.encode(), b"x" * 30))) == [401]
        asyncio.run(gateway.state.refusals.flush())
        rows = [r.content for r in trail.records()][before:]
    sums = Counter()
    for row in rows:
        sums[row["code"]] += row["calls"]
    assert sums == {"not_http": 3, "invalid_api_key": 3}
