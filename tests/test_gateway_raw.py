"""Raw sockets against the gateway: what HTTP libraries never send, and attackers do.

Nothing may reach the model unmasked or twice, no worker may hang, and no value of a caller may be logged.
"""

import contextlib
import json
import logging
import os
import socket
import time

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from crmeval import TrustLayer
from crmeval.core.calls import Completion
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
        return self.send(call(body())).startswith(b"HTTP/1.1 200")


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
