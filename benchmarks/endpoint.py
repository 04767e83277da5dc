"""A local OpenAI-compatible chat endpoint for benchmarks, with settable latency, seeded faults, and counts.

    python endpoint.py --port 0 --latency-ms 200 --faults 429=0.2,500=0.05,reset=0.02,truncated=0.02,hang=0.01

The first line that it prints is its base URL. It ends on SIGTERM or when its standard input closes,
and prints its counts as JSON.
Models whose name starts with 'judge' answer as judges, all others with a fixed text.
POST /v1/chat/completions is the endpoint, GET /counts returns the counts,
POST /reset returns them and sets them to 0.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import struct
import sys
import time
from collections import Counter
from functools import lru_cache

ANSWER = (
    "The customer reported that the invoice was charged twice. "
    "The agent checked the account, refunded the second charge and sent a confirmation. "
    "The refund arrives within five working days."
)
FAULTS = ("429", "500", "reset", "truncated", "broken", "hang")
CRITERIA = (b"factuality", b"completeness", b"conciseness", b"instruction_following")
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,200})"')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.I)
_TICKET = re.compile(rb"<<<BEGIN name (\w+)>>>")


def judge_text(body):
    "Return a favourable judgement in the format that the prompt asks for."
    if ticket := _TICKET.search(body):  # crmeval, rubric style: points for each requested criterion
        ratings = [
            {"criterion": c.decode(), "evidence": "The words agree.", "points": 3}
            for c in CRITERIA
            if b"\\n- " + c + b": " in body
        ]
        return json.dumps({"ticket": ticket[1].decode(), "ratings": ratings})
    if b"GRADE: " in body:
        return "The summary states what the conversation says.\n\nGRADE: C"  # Inspect
    return json.dumps(
        {
            "reason": "The summary states what the conversation says.",
            "verdict": 1,
            "score": 8,
            "value": "pass",
        }
    )


def http(status, body, headers=b""):
    return (
        b"HTTP/1.1 "
        + status
        + b"\r\ncontent-type: application/json\r\n"
        + headers
        + b"content-length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )


@lru_cache(maxsize=1000)
def completion(model, text):
    "Return the HTTP bytes of a chat completion."
    message = {"role": "assistant", "content": text, "refusal": None}
    usage = {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340}
    return http(
        b"200 OK",
        json.dumps(
            {
                "id": "chatcmpl-local",
                "object": "chat.completion",
                "created": 1700000000,
                "model": model.decode(),
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
                "usage": usage,
            }
        ).encode(),
    )


class Counts:
    "Counts of received calls, sent responses and concurrent calls."

    def __init__(self):
        self.flying = Counter()
        self.reset()

    def reset(self):
        self.calls, self.sent, self.most = Counter(), Counter(), Counter()
        self.at_once = 0

    def begin(self, kind):
        self.calls[kind] += 1
        self.flying[kind] += 1
        self.most[kind] = max(self.most[kind], self.flying[kind])
        self.at_once = max(self.at_once, self.flying["generation"] + self.flying["judge"])

    def end(self, kind):
        self.flying[kind] -= 1

    def as_dict(self):
        return {
            "calls": sum(self.calls.values()),
            "generation": self.calls["generation"],
            "judge": self.calls["judge"],
            "sent": dict(sorted(self.sent.items())),
            "most_at_once": self.at_once,
            "most_generations_at_once": self.most["generation"],
            "most_judge_calls_at_once": self.most["judge"],
        }


class Faults:
    "Fault of each call, determined by seed, request body and attempt, independent of the order of arrival."

    def __init__(self, shares, seed):
        self.shares, self.seed, self.seen = shares, str(seed).encode(), Counter()

    def draw(self, body):
        if not self.shares:
            return None
        key = hashlib.sha1(body).digest()
        self.seen[key] += 1
        x = (
            int.from_bytes(hashlib.sha1(b"%s %d %s" % (self.seed, self.seen[key], key)).digest()[:8], "big")
            / 2**64
        )
        for name, share in self.shares.items():
            if x < share:
                return name
            x -= share
        return None


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server, self.data, self.timers, self.hanging = server, b"", {}, []

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc):
        for timer, kind in self.timers.values():
            timer.cancel()
            self.server.counts.sent["client went away"] += 1
            self.server.counts.end(kind)
        for kind in self.hanging:
            self.server.counts.end(kind)
        self.timers, self.hanging = {}, []

    def data_received(self, data):
        self.data = self.data + data if self.data else data
        while self.data:
            at = self.data.find(b"\r\n\r\n")
            if at < 0:
                return
            found = _LENGTH.search(self.data, 0, at + 1)
            end = at + 4 + (int(found[1]) if found else 0)
            if len(self.data) < end:
                return
            head, body, self.data = self.data[:at], self.data[at + 4 : end], self.data[end:]
            self.request(head, body)

    def request(self, head, body):
        path = head[: head.find(b" HTTP/")]
        if path == b"POST /v1/chat/completions":
            return self.chat(body)
        if path in (b"GET /counts", b"POST /reset"):
            body_of_counts = json.dumps(self.server.counts.as_dict()).encode()
            if path[:4] == b"POST":
                self.server.counts.reset()
            return self.transport.write(http(b"200 OK", body_of_counts))
        if path == b"GET /v1/models":
            return self.transport.write(http(b"200 OK", b'{"object": "list", "data": []}'))
        return self.transport.write(
            http(b"404 Not Found", b'{"error": {"message": "there is no such path here"}}')
        )

    def chat(self, body):
        server, model = self.server, _MODEL.search(body)
        if model is None:
            return self.transport.write(
                http(b"400 Bad Request", b'{"error": {"message": "there is no model"}}')
            )
        kind = "judge" if model[1].startswith(b"judge") else "generation"
        server.counts.begin(kind)
        fault = server.faults.draw(body)
        good = None
        if fault not in ("429", "500", "reset", "hang"):
            good = completion(model[1], judge_text(body) if kind == "judge" else ANSWER)
        if fault == "hang":
            server.counts.sent["hang"] += 1
            self.hanging.append(kind)
        elif not server.latency_s:
            self.reply(None, kind, fault, good)
        else:
            key = object()
            self.timers[key] = (
                server.loop.call_later(server.latency_s, self.reply, key, kind, fault, good),
                kind,
            )

    def reply(self, key, kind, fault, good):
        self.timers.pop(key, None)
        self.server.counts.end(kind)
        self.server.counts.sent[fault or "answer"] += 1
        if self.transport.is_closing():
            return
        if fault is None:
            self.transport.write(good)
        elif fault == "429":
            self.transport.write(
                http(
                    b"429 Too Many Requests",
                    b'{"error": {"message": "too many requests"}}',
                    self.server.retry_after,
                )
            )
        elif fault == "500":
            self.transport.write(
                http(b"500 Internal Server Error", b'{"error": {"message": "something broke"}}')
            )
        elif fault == "broken":
            self.transport.write(http(b"200 OK", good[good.index(b"\r\n\r\n") + 4 :][:120]))
        elif fault == "truncated":
            self.transport.write(good[: len(good) - 60])
            self.transport.close()
        else:  # a connection that is reset, not closed
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.transport.abort()


class Server:
    def __init__(self, latency_s, faults, retry_after_s):
        self.latency_s, self.faults, self.counts = latency_s, faults, Counts()
        self.retry_after = f"retry-after: {retry_after_s:g}\r\n".encode()
        self.loop = asyncio.get_running_loop()


def shares(text):
    "Parse '429=0.2,500=0.05' to {'429': 0.2, '500': 0.05}."
    parts = [part.partition("=") for part in text.split(",") if part]
    found = {name: float(share) for name, _, share in parts}
    if unknown := set(found) - set(FAULTS):
        raise argparse.ArgumentTypeError(
            f"fault is {sorted(unknown)[0]!r}, expected some of {', '.join(FAULTS)}"
        )
    if min(found.values(), default=0) < 0 or sum(found.values()) > 1:
        raise argparse.ArgumentTypeError(f"faults are {text!r}, expected shares that sum to at most 1")
    return found


async def serve(args):
    server, stop = (
        Server(args.latency_ms / 1000, Faults(args.faults, args.seed), args.retry_after_s),
        asyncio.Event(),
    )
    listening = await server.loop.create_server(
        lambda: Connection(server), "127.0.0.1", args.port, backlog=1024
    )
    for sig in (signal.SIGTERM, signal.SIGINT):
        server.loop.add_signal_handler(sig, stop.set)

    def stdin_spoke():
        if not os.read(0, 65536):  # end of file: the parent process has ended
            server.loop.remove_reader(0)
            stop.set()

    try:
        server.loop.add_reader(0, stdin_spoke)
    except (OSError, PermissionError):
        pass  # a regular file as standard input cannot be watched; SIGTERM still works
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", flush=True)
    start = time.process_time()
    await stop.wait()
    listening.close()
    print(json.dumps({**server.counts.as_dict(), "cpu_s": round(time.process_time() - start, 3)}), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--port", type=int, default=0, help="0: a free one")
    p.add_argument("--latency-ms", type=float, default=200)
    p.add_argument(
        "--faults",
        type=shares,
        default={},
        help="for example 429=0.2,500=0.05,reset=0.02,truncated=0.02,broken=0.02,hang=0.01",
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--retry-after-s", type=float, default=1)
    try:
        asyncio.run(serve(p.parse_args()))
    except BrokenPipeError:
        sys.stderr.close()


if __name__ == "__main__":
    main()
