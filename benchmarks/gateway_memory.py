"""Memory and load of the gateway: python benchmarks/gateway_memory.py [CALLS] [--plain] [--short] [--write]

First the application is called in this process, CALLS times, with a new person in every call and a client
that answers at once; the resident memory is printed at ten steps. It must be flat once the caches of
conversations and of detectors' words are full. With --plain nothing is detected or screened: only server,
sessions and vaults; with --short the whole layer processes two sentences instead of five. Then requests
go over loopback to a bare endpoint, and to the same one through the gateway in another process: requests
per second, and the milliseconds added by the gateway. With --write the memory at each step is saved in
results/gateway_memory.json, also if the run is ended early.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.layer.server import gateway_app

RESULTS = Path(__file__).parent / "results" / "gateway_memory.json"
SAID = (
    "Dear team, I am {name}. My router has been dead since Monday, and nobody called me back "
    "under +1 415 555 {n:04d} as it was promised. The order is {order}; please write to {mail} today. "
    "Kind regards, {name}"
)

SHORT = "I am {name}, order {order}. Write to {mail}."


class Echo:
    "Answers at once with the last message."

    name, provider, model, cacheable = "echo", "local", "m", False

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        return Completion(messages[-1]["content"])

    async def aclose(self):
        pass


def _name(rng):
    return "".join(rng.choice("bdklmnrst") + rng.choice("aeiou") for _ in range(3)).capitalize()


NAMES = [_name(random.Random(n)) for n in range(2000)]  # four million combinations


def person(rng):
    return f"{rng.choice(NAMES)} {rng.choice(NAMES)}"


def request(rng, said=SAID):
    "Return (body, text) of a request about a new person."
    name, n = person(rng), rng.randrange(10_000)
    mail = f"{name.replace(' ', '.').lower()}@mail.example"
    text = said.format(name=name, n=n, order=rng.randrange(10**6), mail=mail)
    record = {"contact": {"name": name, "email": mail}}
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "crmeval": {"record": record}}
    return body, text


def resident_mb():
    with open("/proc/self/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def call(app, body):
    "Call an ASGI application directly, without a client that uses memory itself."
    raw, out = json.dumps(body).encode(), []
    sent = iter([{"type": "http.request", "body": raw, "more_body": False}])
    head = [(b"content-type", b"application/json"), (b"host", b"localhost")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
    }
    scope |= {"path": "/v1/chat/completions", "raw_path": b"", "query_string": b"", "root_path": ""}
    scope |= {"headers": head, "client": ("127.0.0.1", 1), "server": ("localhost", 80)}

    async def receive():
        message = next(sent, None)
        return message if message else await asyncio.Event().wait()

    async def send(message):
        out.append(message.get("body", b""))

    await app(scope, receive, send)
    return json.loads(b"".join(out))


PLAIN = {"prompt": ["masking"], "answer": ["demasking"], "masking": {"detect": False}}


def kept(found, calls, plain, template):
    "Write the measurements so far."
    flat = [row["mb"] for row in found if row["calls"] >= calls // 2]
    growth = round(flat[-1] - flat[0], 1) if len(flat) > 1 else None
    results = {
        "calls": calls,
        "text": template,
        "nothing searched for": plain,
        "rows": found,
        "growth of the second half, MB": growth,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


async def memory(calls, plain, write=False, said=SAID):
    limits = {"requests_per_minute": 10**9, "sessions": 200}
    policy = {"server": limits, **(PLAIN if plain else {})}
    app, rng = gateway_app(TrustLayer(Echo(), policy)), random.Random(7)
    found = []
    start, step, worked = time.perf_counter(), max(1, calls // 10), time.process_time()
    for n in range(1, calls + 1):
        body, text = request(rng, said)
        answer_body = await call(app, body)
        assert answer_body["choices"][0]["message"]["content"] == text, answer_body
        if n % step == 0 or n == 500:
            gc.collect()
            spent = time.perf_counter() - start
            cpu = 1000 * (time.process_time() - worked) / n
            print(
                f"{n:>7,} calls  {resident_mb():6.1f} MB  {n / spent:5.0f}/s  {cpu:5.2f} ms CPU each",
                flush=True,
            )
            found.append({"calls": n, "mb": round(resident_mb(), 1), "cpu_ms": round(cpu, 2)})
            if write:
                kept(found, calls, plain, said)


UPSTREAM = """
import asyncio, json
from aiohttp import web
async def answer(request):
    body = await request.json()
    await asyncio.sleep(0.02)
    said = {"content": body["messages"][-1]["content"]}
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    choice = {"message": said, "finish_reason": "stop"}
    return web.json_response({"model": "m", "choices": [choice], "usage": usage})
app = web.Application()
app.router.add_post("/v1/chat/completions", answer)
async def main():
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def load(address, at_once, seconds):
    "Return requests per second and the milliseconds of each request."
    import aiohttp

    taken, rng, ends = [], random.Random(at_once), time.perf_counter() + seconds

    async def caller(session):
        while time.perf_counter() < ends:
            body, text = request(rng)
            if address[1]:
                body.pop("crmeval")
            start = time.perf_counter()
            async with session.post(f"{address[0]}/chat/completions", json=body) as answer:
                content = await answer.json()
            assert content["choices"][0]["message"]["content"] == text, content
            taken.append(1000 * (time.perf_counter() - start))

    async with aiohttp.ClientSession() as session:
        start = time.perf_counter()
        await asyncio.gather(*(caller(session) for _ in range(at_once)))
        return len(taken) / (time.perf_counter() - start), sorted(taken)


@contextlib.contextmanager
def started(words):
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()


def loads(seconds):
    with started(["-c", UPSTREAM]) as port, tempfile.TemporaryDirectory() as folder:
        bare = f"http://127.0.0.1:{port.strip()}/v1"
        policy = Path(folder, "policy.yaml")
        policy.write_text("server: {requests_per_minute: 100000000, sessions: 200}\n", encoding="utf-8")
        words = [
            "-m",
            "crmeval",
            "gateway",
            "--model",
            "openai:m",
            "--base-url",
            bare,
            "--port",
            "0",
            "--json",
        ]
        with started([*words, "--policy", str(policy)]) as line:
            through = json.loads(line)["address"]
            for at_once in (1, 8, 64):
                rate, without = asyncio.run(load((bare, True), at_once, seconds / 2))
                through_rate, taken = asyncio.run(load((through, False), at_once, seconds))
                p50, p99 = statistics.median(taken), taken[int(0.99 * len(taken))]
                bare50, bare99 = statistics.median(without), without[int(0.99 * len(without))]
                print(
                    f"{at_once:>3} at once: bare {rate:6.0f}/s, through the gateway {through_rate:5.0f}/s; "
                    f"added {p50 - bare50:6.1f} ms p50, {p99 - bare99:6.1f} ms p99 ({len(taken)} calls)",
                    flush=True,
                )


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("calls", nargs="?", type=int, default=20_000)
    words.add_argument("--plain", action="store_true", help="search for nothing and screen nothing")
    words.add_argument("--short", action="store_true", help="two sentences in place of five")
    words.add_argument("--load", type=float, default=8, help="seconds for each load; 0: none")
    words.add_argument("--write", action="store_true", help=f"keep memory in results/{RESULTS.name}")
    given = words.parse_args()
    if given.calls:
        asyncio.run(memory(given.calls, given.plain, given.write, SHORT if given.short else SAID))
    if given.load:
        loads(given.load)
