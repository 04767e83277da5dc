"Limits of requests and tokens per minute, with several processes and an endpoint that enforces them."

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import endpoint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import cpu_since

from crmeval.core.calls import estimate_tokens
from crmeval.core.records import Sample
from crmeval.runs.evaluation import run
from crmeval.runs.limit_headers import LONGEST_S, MOST, read_limits, read_reset, window_of
from crmeval.runs.plan import RunPlan, make_plan, plan_command, plan_text
from crmeval.runs.progress import Shown
from crmeval.runs.rate_limits import Booking, Books, RateLimit, RateLimits, Wait, heard_limits
from crmeval.runs.runner import answer_all
from crmeval.runs.shared_windows import SharedNotes
from crmeval.runs.traffic import Traffic, send
from crmeval.systems.openai import OpenAIClient

ONE = {"requests": 1, "tokens": 100, "input_tokens": 60, "output_tokens": 40}


class Enforcing(BaseHTTPRequestHandler):
    "Enforces limits of requests and tokens per model in a sliding window; answers 429 beyond them."

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        came, server = time.monotonic(), self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = body["model"]
        prompt = estimate_tokens(body["messages"][-1]["content"])
        limits = server.limits.get(model, {})
        with server.lock:
            seen = [s for s in server.seen.get(model, []) if s[0] > came - server.window_s]
            used = {"requests": len(seen), "tokens": sum(s[1] for s in seen)}
            need = {"requests": 1, "tokens": prompt + 5}
            refused = any(used[k] + need[k] > n for k, n in limits.items())
            if not refused:
                server.seen.setdefault(model, []).append((came, prompt + 5, body.get("user")))
            server.refused += refused
        free_s = server.window_s if not refused else max(s[0] + server.window_s - came for s in seen)
        headers = {} if not server.tells else told_headers(limits, used, need, refused, free_s)
        self.answer(429 if refused else 200, headers, prompt)

    def answer(self, status, headers, prompt):
        out = {"error": {"message": "too many"}}
        if status == 200:
            message = {"content": "The customer asked, the agent answered."}
            usage = {"prompt_tokens": prompt, "completion_tokens": 5}
            out = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        data = json.dumps(out).encode()
        self.send_response(status)
        for k, v in {"content-type": "application/json", "content-length": len(data), **headers}.items():
            self.send_header(k, str(v))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def told_headers(limits, used, need, refused, free_s):
    found = {"retry-after-ms": int(free_s * 1000)} if refused else {}
    for what, limit in limits.items():
        left = limit - used[what] - (0 if refused else need[what])
        found[f"x-ratelimit-limit-{what}"] = limit
        found[f"x-ratelimit-remaining-{what}"] = max(0, left)
        found[f"x-ratelimit-reset-{what}"] = f"{int(free_s * 1000)}ms"
    return found


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256  # many simultaneous connections


@pytest.fixture
def provider(monkeypatch):
    "An endpoint that enforces limits."
    monkeypatch.setenv("OPENAI_API_KEY", endpoint.KEY)
    httpd = Server(("127.0.0.1", 0), Enforcing)
    httpd.lock, httpd.seen, httpd.refused = threading.Lock(), {}, 0
    httpd.limits, httpd.window_s, httpd.tells = {}, 1.0, False
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def most_in_a_window(seen, span, amount=lambda s: 1):
    return max(sum(amount(s) for s in seen if t <= s[0] < t + span) for t, *_ in seen)


CHILD = """
import asyncio, json, selectors, sys
from pathlib import Path
from types import SimpleNamespace
from crmeval.core.calls import estimate_tokens
from crmeval.core.records import Usage
from crmeval.runs.rate_limits import RateLimits
from crmeval.runs.traffic import Traffic, send
from crmeval.systems.openai import OpenAIClient

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
NOW, SENT = [1000.0], []


class Asking(selectors.DefaultSelector):
    "Where nothing is to be done until a time, the test says when it has come: no stall counts."

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout != 0:
            print(json.dumps(NOW[0] + timeout), flush=True)
            NOW[0] = float(sys.stdin.readline())
        return found


class Loop(asyncio.SelectorEventLoop):
    def time(self):
        return NOW[0]


async def main():
    limits = RateLimits({"r": 12}, {"t": 600}, folder=folder, window_s=1.0, clock=lambda: NOW[0])
    clients = [OpenAIClient(m, base_url="http://127.0.0.1:9/v1", max_tokens=20) for m in ("r", "t")]
    traffic, prompt = Traffic(8, limits=limits, timer=lambda: NOW[0]), "word " * 40

    async def call(client):
        SENT.append((client.model, NOW[0], estimate_tokens(prompt) + 5))
        await asyncio.sleep(0.02)
        return SimpleNamespace(usage=Usage(estimate_tokens(prompt), 5))

    async def work(client):
        while True:
            await send(traffic, client, lambda: call(client), prompt, 20)

    tasks = [asyncio.ensure_future(work(c)) for c in clients for _ in range(4)]
    done, open_ = await asyncio.wait(tasks, timeout=seconds)
    for task in open_:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    waited = sum(s["limit_wait_s"] for s in traffic.summary())
    failed = [repr(t.exception()) for t in done]
    print(json.dumps({"sent": SENT, "waited": waited, "failed": failed}), flush=True)


loop = Loop(Asking())
asyncio.set_event_loop(loop)
loop.run_until_complete(main())
loop.close()
"""


def in_one_time(processes, grain=0.002):
    "Drive processes by a simulated clock that advances to the earliest wake-up; return their last lines."
    wake_at = {p: json.loads(p.stdout.readline()) for p in processes}
    results = {}
    while wake_at:
        now = min(wake_at.values()) + grain
        awake = [p for p, at in wake_at.items() if at <= now]
        for p in awake:  # all are woken first, so that they access the files at the same time
            p.stdin.write(f"{now}\n")
            p.stdin.flush()
        for p in awake:
            message = json.loads(p.stdout.readline())
            if isinstance(message, dict):
                results[p] = message
                del wake_at[p]
            else:
                wake_at[p] = message
    return [results[p] for p in processes]


def test_three_processes_use_what_is_allowed_and_no_more(tmp_path, monkeypatch):
    "Files and locks are real; the clock advances only when all processes wait."
    monkeypatch.setenv("OPENAI_API_KEY", endpoint.KEY)
    seconds, processes = 4.6, []
    words = [sys.executable, "-c", CHILD, str(tmp_path / "limits"), str(seconds)]
    try:
        for _ in range(3):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            processes.append(subprocess.Popen(words, **pipes, text=True))
        results = in_one_time(processes)
    finally:
        for p in processes:
            p.kill()
            p.communicate()
    sent = [
        (at, tokens, i, model) for i, result in enumerate(results) for model, at, tokens in result["sent"]
    ]
    requests, tokens = ([s for s in sent if s[3] == model] for model in ("r", "t"))
    assert not any(result["failed"] for result in results), results
    assert most_in_a_window(requests, 1.0) <= 12
    assert most_in_a_window(tokens, 1.0, lambda s: s[1]) <= 600
    assert len(requests) >= 0.9 * 12 * seconds and sum(s[1] for s in tokens) >= 0.9 * 600 * seconds
    each = [sum(s[2] == i for s in requests) for i in range(3)]
    assert min(each) >= len(requests) * 0.2, each
    assert all(result["waited"] > 1 for result in results)
    names = [p.name for p in (tmp_path / "limits").iterdir()]
    raw = b"".join(p.read_bytes() for p in (tmp_path / "limits").iterdir())
    assert len(names) == 3 and not any(x in str(names) + str(raw) for x in (endpoint.KEY, "127.0.0.1"))


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    path = tmp_path / "notes"
    code = (
        "import sys, time; from pathlib import Path; from crmeval.runs.shared_windows import SharedNotes\n"
        "def work(notes):\n"
        "    print('in', flush=True); time.sleep(60)\n"
        "SharedNotes(Path(sys.argv[1])).change(work)"
    )
    notes = SharedNotes(path)
    notes.change(lambda d: d.update(n=1))
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(BlockingIOError):
            notes.change(dict)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert notes.change(dict) == {"n": 1}


def test_one_that_waited_and_died_is_not_waited_for():
    notes, limit = {}, RateLimit("requests", 10)
    for who, now in ("alive", 0.0), ("dead", 1.0):
        books = Books(notes, now, [limit])
        while isinstance(books.take(who, ONE, lease_s=1.0), Booking):
            pass
        books.close()
    books = Books(notes, 62.5, [limit])  # the dead process's lease has expired
    assert isinstance(books.take("alive", ONE), Booking)


def test_limits_are_learnt_from_headers_alone(provider, tmp_path):
    "Two runs without known limits: the first burst may be refused, then both keep to the reported limits."
    provider.limits, provider.tells = {"r": {"requests": 20}}, True

    async def work(traffic, client, end):
        while time.monotonic() < end and len(provider.seen.get("r", ())) < 41:
            try:
                await send(traffic, client, lambda: client.chat("hello"), "hello")
            except Exception:
                await asyncio.sleep(0.05)

    async def main():
        warm, client = (OpenAIClient(m, base_url=provider.url) for m in ("warm", "r"))
        await asyncio.gather(*[warm.chat("hello") for _ in range(12)])
        end = time.monotonic() + 9
        both = [Traffic(6, limits=RateLimits(folder=tmp_path, window_s=1.0)) for _ in range(2)]
        await asyncio.gather(*[work(t, client, end) for t in both for _ in range(6)])
        await client.aclose()
        await warm.aclose()
        return both[0].summary()[0]

    lane = asyncio.run(main())
    seen = provider.seen["r"]
    assert len(seen) >= 41 and seen[40][0] - seen[0][0] < 6, "two windows, or three if a burst was refused"
    assert provider.refused <= 12, provider.refused  # in the first window the limit is unknown
    assert lane["limits"] == [{"what": "requests", "amount": 20, "window_s": 1.0, "from": "response headers"}]
    assert lane["limit_wait_s"] > 0.5 and lane["limit_headers_refused"] == 0


def test_without_limits_nothing_is_written(provider, tmp_path, monkeypatch):
    monkeypatch.setenv("CRMEVAL_LIMITS", str(tmp_path / "limits"))
    done = run([f"openai:any@{provider.url}"], limit=1, out=tmp_path / "r", progress=False)
    assert {r.status for r in done.responses} == {"ok"}
    assert not (tmp_path / "limits").exists()
    assert "limits" not in done.manifest.traffic[0]


def test_a_run_and_its_judge_keep_the_limits_of_the_plan(server, tmp_path, monkeypatch):
    monkeypatch.setenv("CRMEVAL_LIMITS", str(tmp_path / "limits"))
    done = run(
        [f"openai:good@{server.url}"],
        judge=f"openai:judge@{server.url}",
        use_cases=["service_call_summary"],
        limit=1,
        requests_per_minute={"openai": 1e6, "nobody": 3},
        tokens_per_minute=1e9,
        out=tmp_path / "r",
        progress=False,
    )
    lanes = {lane["endpoint"].split(" at ")[0]: lane for lane in done.manifest.traffic}
    assert set(lanes) == {"good", "judge"}
    for lane in lanes.values():
        assert [(r["what"], r["amount"]) for r in lane["limits"]] == [("requests", 1e6), ("tokens", 1e9)]
    assert any("requests_per_minute" in w and "'nobody'" in w for w in done.manifest.warnings)
    assert len(list((tmp_path / "limits").iterdir())) == 3  # two accounts and the salt


@pytest.mark.parametrize("named", ["requests_per_minute", "tokens_per_minute"])
def test_a_limit_for_nobody_is_told_before_the_first_call(named, server, tmp_path, monkeypatch):
    monkeypatch.setenv("CRMEVAL_LIMITS", str(tmp_path / "limits"))
    messages = []
    monkeypatch.setattr(Shown, "tell", lambda self, text: messages.append((text, len(server.bodies))))
    limits = {"nosuch": 5, "judge": 1e6, "good": 1e6, "openai": 1e6}
    judge = f"openai:judge@{server.url}"
    more = {named: limits, "out": tmp_path / "r", "progress": False}
    run([f"openai:good@{server.url}"], judge=judge, use_cases=["service_call_summary"], limit=1, **more)
    assert [calls for text, calls in messages if named in text and "'nosuch'" in text] == [0]
    assert len([text for text, _ in messages if named in text]) == 1, "the others must be asked"


def test_waiting_holds_no_slot_is_no_latency_and_can_be_cancelled(tmp_path):
    class Quick:
        name, provider, model, cacheable, max_tokens = "quick", "openai", "quick", False, 5

        def settings(self):
            return {"base_url": "http://127.0.0.1:9/v1"}

        async def attempt(self, sample, prompt, *, repeat=0):
            from crmeval.core.records import Response, Usage

            return Response(sample.id, self.name, "Yes.", usage=Usage(3, 2), latency_s=0.001)

        answer = attempt

        async def aclose(self):
            pass

    async def main():
        limits = RateLimits({"quick": 2}, folder=tmp_path, window_s=0.3)
        traffic, in_flight = Traffic(4, limits=limits), []
        samples = [Sample(str(i), "service_call_summary", {}, dataset="x") for i in range(5)]
        asking = {"concurrency": 4, "prompt_of": lambda s: "hello", "traffic": traffic}
        rows = await answer_all(samples, [Quick()], **asking)
        waiting = asyncio.ensure_future(answer_all(samples * 20, [Quick()], **asking))  # 15 s and more
        await asyncio.sleep(0.05)
        in_flight.append(traffic.lane(Quick()).in_flight)
        waiting.cancel()
        start = time.perf_counter()
        await asyncio.gather(waiting, return_exceptions=True)
        return [r for r, _ in rows], in_flight, time.perf_counter() - start, traffic.summary()[0]

    rows, in_flight, took_s, lane = asyncio.run(main())
    assert in_flight == [0] and took_s < 2
    assert max(r.queue_s for r in rows) > 0.5 and {r.latency_s for r in rows} == {0.001}
    assert lane["slow"] == 0 and lane["limit_wait_s"] > 0.5


def test_a_long_wait_is_told_once_on_the_progress_line(tmp_path):
    messages = []

    async def main():
        limits = RateLimits({"*": 1}, folder=tmp_path)
        gate = limits.gate(object(), ("p", "a", "m"), messages.append)
        gate.done((await gate.through(asyncio.sleep0, gate.amounts("x")))[1])
        waiting = [asyncio.ensure_future(gate.through(asyncio.sleep0, gate.amounts("x"))) for _ in range(4)]
        await asyncio.sleep(0.3)
        for w in waiting:
            w.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.sleep0 = lambda: asyncio.sleep(0)
    try:
        asyncio.run(main())
    finally:
        del asyncio.sleep0
    assert len(messages) == 1 and "1 requests a minute (from the plan)" in messages[0]


# third-party headers

UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
NAMES = [
    f"x-ratelimit-{part}-{what}"
    for part in ("limit", "remaining", "reset")
    for what in ("requests", "tokens")
]
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["1e309", "0x10", "١٢", "6m0s", "-0", "00060", "1_000", "60, 60", "2026-02-30T00:00:00Z", "NaN"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*NAMES, "retry-after"]), VALUES), st.sampled_from([200, 429, 503]))
def test_no_header_breaks_or_steers_beyond_its_bounds(headers, status):
    limits = read_limits(headers, status=status, now=1.8e9)
    for limit in limits.told:
        assert 1 <= limit.limit <= MOST and 0 <= limit.remaining <= limit.limit
        assert limit.reset_s is None or 0 <= limit.reset_s <= LONGEST_S
        assert limit.window_s in (60, 3600, 86_400)
    books = Books({}, 1000.0)
    for limit in limits.told:
        books.hear(limit, None)
    books.shut(limits.pause_s or 0, "x")
    books.close()
    later = Books(json.loads(json.dumps(books.notes)), 1000.0)
    taken = later.take("me", ONE)
    assert isinstance(taken, Booking) or 0 <= taken.seconds <= 63


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.sampled_from(list(UNITS))), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts):
    text, wanted = "".join(f"{n}{u}" for n, u in parts), sum(n * UNITS[u] for n, u in parts)
    if wanted <= LONGEST_S:
        assert read_reset(text) == pytest.approx(wanted)
    with pytest.raises(ValueError, match="a reset"):
        read_reset(text + "!")


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**6), st.data(), st.sampled_from([60, 3600, 86_400]))
def test_the_window_of_a_bucket_that_refills_is_found_where_it_shows(limit, data, window_s):
    "Reset in t seconds, in proportion to the used share: a window longer than a minute is recognized."
    used = data.draw(st.integers(1, limit))
    reset_s = window_s * used / limit
    assert window_of(limit, limit - used, reset_s) == (window_s if reset_s > 66 else 60)


def test_long_headers_are_read_at_once():
    start = time.process_time()
    for text in ("9" * 50_000, "1s" * 25_000, "1m" * 25_000 + "!", "1." * 25_000, "T" * 50_000):
        read_limits(dict.fromkeys(NAMES, text), status=429)
    assert cpu_since(start) < 0.5


def test_an_endpoint_that_says_nothing_is_left_never_stops_a_run(tmp_path):
    "A wrong header slows a run down to one call per window at worst; it never stops the run."
    now, notes = 0.0, {}
    lie = {"x-ratelimit-limit-requests": "5", "x-ratelimit-remaining-requests": "0"}
    gate = RateLimits(folder=tmp_path).gate(object(), ("p", "a", "m"))
    sent = []
    while len(sent) < 4:
        books = Books(notes, now)
        taken = books.take("me", ONE)
        if isinstance(taken, Wait):
            assert taken.seconds <= 62
        else:
            sent.append(now)
            books.hear(heard_limits(gate, 200, lie).told[0], taken)
        books.close()
        now += 0.5
    assert now < 4 * 63


# clocks


@pytest.mark.parametrize(
    "later, goes",
    [(1.0, False), (61.0, False), (63.0, True), (3600.0, True), (-50.0, True)],
    ids=["at once", "a minute", "two slices later", "after a sleep", "after a new start"],
)
def test_the_window_follows_the_clock_of_the_machine(later, goes):
    notes, limit = {}, RateLimit("requests", 1)
    books = Books(notes, 1000.0, [limit])
    assert isinstance(books.take("a", ONE), Booking)
    books.close()
    assert isinstance(Books(notes, 1000.0 + later, [limit]).take("a", ONE), Booking) == goes


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 200))
def test_a_file_of_any_bytes_counts_as_empty(raw, cut):
    with tempfile.TemporaryDirectory() as folder:
        notes = SharedNotes(Path(folder) / "notes")
        notes.change(lambda d: d.update(n=list(range(20))))
        whole = notes.path.read_bytes()
        for torn in (raw, whole[:cut], whole[:cut] + raw):
            notes.path.write_bytes(torn)
            assert notes.change(dict) in ({}, {"n": list(range(20))})


# the plan


def test_a_plan_says_limits_in_all_its_forms(tmp_path):
    plan = RunPlan(models=["openai:m"], requests_per_minute=60, tokens_per_minute={"m": 9000.5})
    assert plan_command(plan).endswith("--requests-per-minute '*=60' --tokens-per-minute m=9000.5")
    (tmp_path / "p.yaml").write_text(plan_text(plan))
    assert make_plan(tmp_path / "p.yaml") == plan
    (tmp_path / "p.yaml").write_text(
        "requests_per_minute: 60\ntokens_per_minute: {m: 9000.5}\nmodels: [openai:m]\n"
    )
    assert make_plan(tmp_path / "p.yaml") == plan


def test_a_folder_that_cannot_be_written_to_is_told_of(tmp_path):
    messages = []
    (tmp_path / "file").write_text("x")
    gate = RateLimits({"*": 2}, folder=tmp_path / "file" / "limits").gate(object(), ("p",), messages.append)

    async def main():
        for _ in range(2):
            gate.done((await gate.through(lambda: asyncio.sleep(0), gate.amounts("x")))[1])
        return gate._taken(gate.amounts("x"))

    assert isinstance(asyncio.run(main()), Wait)  # counted for this run only
    assert len(messages) == 1 and "for this run alone" in messages[0]


def test_two_keys_are_two_accounts(tmp_path, monkeypatch):
    limits = [RateLimits({"*": 1}, folder=tmp_path) for _ in range(3)]
    names = []
    for key, made in zip(["key-one-1234567", "key-two-1234567", "key-one-1234567"], limits):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        client = OpenAIClient("m", base_url="http://127.0.0.1:9/v1")
        gate = made.gate(client, ("openai", client.base_url, "m"))
        names.append(gate._notes_of(True).path.name)
    assert names[0] == names[2] != names[1]
    assert os.stat(tmp_path).st_mode & 0o777 in (0o700, 0o755)
