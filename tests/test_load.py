"The speed protocol against an endpoint on loopback, the command, and the published raw data."

import asyncio
import json
from collections import Counter
from dataclasses import replace
from statistics import median
from types import SimpleNamespace

import endpoint
import pytest
from aiohttp import web

from crmeval.cli.app import main
from crmeval.core.records import Response, read_parquet
from crmeval.metrics.speed import interval_status, llmperf_responses, percentiles, speed, timed, timings
from crmeval.runs.load import ameasure_load, load_counts, load_table
from crmeval.runs.load_plan import LoadPlan, planned_usage
from crmeval.systems.openai import OpenAIClient
from crmeval.tasks.public import find_file, get_source, load_rows


class Server:
    "An endpoint in the test's own loop that takes `service_s` per call and records what it sees."

    def __init__(self, service_s=0.02):
        self.service_s, self.now, self.most, self.seen = service_s, 0, 0, []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()

    async def chat(self, request):
        body = await request.json()
        self.seen.append((body, request.headers.get("Authorization", "")))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await (self.stream(request) if body.get("stream") else self.whole(body))
        finally:
            self.now -= 1

    async def whole(self, body):
        await asyncio.sleep(self.service_s)
        if body["model"] == "echo":
            return web.json_response({"error": {"message": f"who is {self.seen[-1][1]}?"}}, status=401)
        return web.json_response(
            {
                "model": "m",
                "choices": [{"message": {"content": "Done."}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 480, "completion_tokens": 250},
            }
        )

    async def stream(self, request):
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        for i in range(5):
            await asyncio.sleep(self.service_s)
            choice = {"index": 0, "delta": {"content": f"w{i} "}, "finish_reason": "stop" if i == 4 else None}
            more = (
                {"usage": {"prompt_tokens": 480, "completion_tokens": 5, "total_tokens": 485}}
                if i == 4
                else {}
            )
            await out.write(
                b"data: "
                + json.dumps(
                    {
                        "id": "1",
                        "object": "chat.completion.chunk",
                        "created": 0,
                        "model": "m",
                        "choices": [choice],
                        **more,
                    }
                ).encode()
                + b"\n\n"
            )
        await out.write(b"data: [DONE]\n\n")
        return out


def measure(model="m", service_s=0.02, stream=False, out=None, **plan):
    "Measure one shape; return (load, server)."

    async def work():
        async with Server(service_s) as server:
            client = OpenAIClient(model, base_url=server.url, stream=stream, max_tokens=250)
            return (await ameasure_load(client, LoadPlan(["short"], **plan), out=out))[0], server

    return asyncio.run(work())


def thirds(values):
    return median(values[: len(values) // 3]), median(values[-(len(values) // 3) :])


def test_closed_loop_keeps_n_in_flight_and_sends_the_shape():
    load, server = measure(calls=24, warmup=3, concurrency=4)
    assert (server.most, load.most_in_flight, len(server.seen)) == (4, 4, 27)
    assert [r.status for r in load.responses] == ["ok"] * 24 and load.warmup == {"ok": 3}
    prompts = [body["messages"][0]["content"] for body, _ in server.seen]
    assert {len(p.encode()) for p in prompts} == {2000} and len({p[:40] for p in prompts}) == 27, (
        "two calls, or a call and a warm-up call, began alike"
    )
    assert {body["max_tokens"] for body, _ in server.seen} == {250}
    counts = load_counts(load)
    assert (counts["timed"], counts["held"], counts["output_tokens"], counts["left_out"]) == (24, 0, 250, {})


def test_above_capacity_the_response_time_grows_and_the_service_time_stays():
    load, server = measure(calls=60, rate=500, max_in_flight=2, service_s=0.05)
    v = timings(load.responses)
    assert server.most == 2 and load.held > 40
    first, last = thirds(v["response_s"])
    assert last > 2 * first, "the queue must grow during the whole test"
    early, late = thirds(v["service_s"])
    assert late < 3 * early and late < last / 3, "the queue must not be in the endpoint"
    assert all(
        r.queue_s >= 0 and r.queue_s + r.latency_s == pytest.approx(t)
        for r, t in zip(load.responses, v["response_s"])
    )
    assert (
        load_counts(load)["growth"] > 2
        and speed(load.responses).queue_s.value > speed(load.responses).p50_s.value
    )


def test_open_loop_sends_although_nothing_has_come_back():
    load, server = measure(calls=12, rate=200, service_s=1, arrivals="regular")
    assert server.most == load.most_in_flight == 12 and load.held == 0
    assert load.due_s == pytest.approx([i / 200 for i in range(12)])


def test_streaming_gives_the_time_to_the_first_token():
    load, _ = measure(calls=6, stream=True)
    assert all(0 < r.ttft_s < r.latency_s for r in load.responses)
    v = speed(load.responses)
    assert v.ttft_s.value < v.p50_s.value and 0 < v.time_per_output_token_s.value < v.p50_s.value
    rows = {r["quantity"]: r for r in load_table([load])}
    assert (
        rows["ttft_s"]["n"],
        rows["ttft_s"]["unit"],
        rows["ttft_s"]["p50_status"],
        rows["ttft_s"]["p99_status"],
    ) == (6, "s", "ok", "n too small: 6 of 368")
    whole, _ = measure(calls=1)
    assert (
        speed(whole.responses).ttft_s.value is None
        and not timings(whole.responses)["time_per_output_token_s"]
    )


def test_rows_from_a_cache_are_left_out_and_counted():
    class HalfCached:
        name, provider, model, cacheable = "test:half", "test", "half", True

        def settings(self):
            return {}

        async def answer(self, sample, prompt, *, repeat=0):
            return Response(
                sample.id,
                self.name,
                "x",
                latency_s=1e-6 if sample.id.endswith(("0", "2", "4", "6", "8")) else 0.5,
                cached=sample.id.endswith(("0", "2", "4", "6", "8")),
            )

        async def aclose(self):
            pass

    (load,) = asyncio.run(ameasure_load(HalfCached(), LoadPlan(["short"], calls=10)))
    assert load_counts(load)["left_out"] == {"cached": 5} and {
        r["p50"] for r in load_table([load]) if r["quantity"] == "service_s"
    } == {0.5}
    assert (
        speed(load.responses).left_out == {"cached": 5}
        and speed([replace(r, cached=True) for r in load.responses]).p50_s.value is None
    )


def test_a_planted_key_is_in_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", endpoint.KEY)
    for model in "m", "echo":
        load, server = measure(model, calls=3, out=tmp_path / model, stop_after_s=30)
        assert {a for _, a in server.seen} == {f"Bearer {endpoint.KEY}"}, "the key must reach the endpoint"
    assert {r.status for r in load.responses} == {"api_error"} and "[removed]" in load.responses[0].error
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 6 and not any(endpoint.KEY.encode() in p.read_bytes() for p in files)
    rows = read_parquet(tmp_path / "echo" / "responses.parquet", Response)
    assert rows == load.responses and not any(
        endpoint.KEY in str(r) for r in rows
    )  # columns are compressed on disk


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    "Return a function that runs the command in its own folder."
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main(["speed", *map(str, words)])
        return SimpleNamespace(returncode=code, **dict(zip(("stdout", "stderr"), capsys.readouterr())))

    return call


def test_the_command_says_what_it_sends_and_writes_a_folder(tmp_path, server, command):
    model = ("--model", "openai:good", "--base-url", server.url)
    words = (*model, "--shape", "short", "--shape", "200/20", "--calls", 8, "--concurrency", 2, "--out", "s")
    dry = command(*words, "--dry-run")
    usage = planned_usage(LoadPlan(["short", "200/20"], calls=8, concurrency=2))
    assert (
        dry.returncode == 0
        and f"will send {usage.calls} calls, about {usage.input_tokens:,} tokens in" in dry.stdout
        and not server.bodies
        and not (tmp_path / "s").exists()
    )
    done = command(*words)
    assert done.returncode == 0, done.stderr
    assert len(server.bodies) == usage.calls and {json.loads(b)["max_tokens"] for b in server.bodies} == {
        250,
        20,
    }
    for word in (
        "will send 20 calls",
        "service time",
        "unit",
        "p99",
        "closed loop, 2 callers",
        "8 of 8 calls timed",
        "tokens/s",
        "written: s",
    ):
        assert word in done.stdout, word
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert (
        manifest["kind"] == "speed"
        and manifest["responses"] == 16 == len(read_parquet(tmp_path / "s" / "responses.parquet", Response))
        and manifest["clients"]["200/20"]["max_tokens"] == 20
    )
    again = command(*words)
    assert (
        again.returncode == 2
        and "choose another folder" in again.stderr
        and len(server.bodies) == usage.calls
    ), "it must be refused before a request is sent"
    failed = command(
        "--model", "openai:busy", "--base-url", server.url, "--shape", "short", "--calls", 3, "--rate", 50
    )
    assert (
        failed.returncode == 1
        and "left out: 3 api_error" in failed.stdout
        and "answered none of 3 calls of shape short" in failed.stderr
    )
    assert endpoint.KEY not in "".join(x.stdout + x.stderr for x in (dry, done, again, failed))


@pytest.mark.parametrize(
    "words, message",
    [
        (("--rate", 0), "rate is 0.0, expected a number above 0"),
        (("--calls", -1), "calls is -1, expected a whole number of at least 1"),
        (("--arrivals", "regular"), "expected a rate with it"),
    ],
)
def test_a_mistake_is_one_line(command, words, message):
    done = command("--model", "openai:m", "--base-url", "http://127.0.0.1:9/v1", *words)
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1


needs_llmperf = pytest.mark.skipif(
    find_file(get_source("llmperf"), "individual_requests.jsonl") is None
    or find_file(get_source("llmperf"), "summaries.json") is None,
    reason="llmperf is not in CRMEVAL_DATA",
)


@needs_llmperf
def test_quantiles_agree_with_the_llmperf_summaries():
    (summaries,), requests = (
        load_rows("llmperf", "summaries.json", download=False),
        llmperf_responses(download=False),
    )
    compared = 0
    for run, published in summaries.items():
        kept, left_out = timed([r for r in requests if r.client == run])
        assert (
            left_out.get("api_error", 0) == int(published["results_number_errors"])
            and len(kept) == published["results_num_completed_requests"]
        )
        for name, published_name in ("service_s", "end_to_end_latency_s"), ("ttft_s", "ttft_s"):
            for p, e in percentiles(
                timings(kept)[name], quantiles=(0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
            ).items():
                assert e.value == pytest.approx(
                    published[f"results_{published_name}_quantiles_{p}"], rel=1e-9
                ), (
                    run,
                    name,
                    p,
                )
                assert (interval_status(e, float(p[1:]) / 100) == "ok") == (
                    e.low is not None and e.high is not None
                )
                compared += 1
    assert compared == 19 * 2 * 6


@needs_llmperf
def test_the_539_failed_requests_of_llmperf_are_counted_as_such():
    requests = llmperf_responses(download=False)
    assert len(requests) == 2845 and speed(requests).left_out == {"api_error": 539}
    assert Counter(r.error for r in requests if r.text is None) == {
        "error code 429": 392,
        "error code -100": 146,
        "error code -1": 1,
    }
    assert not any(r.text for r in requests), "texts must not be read"
