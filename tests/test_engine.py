"""The run engine against an endpoint on loopback: requests, payments and stored rows."""

import json
import random
import signal
import time

import commands
import endpoint
import pytest

import crmeval.systems.wire as wire
from crmeval.core.calls import retry_after_s
from crmeval.core.loops import run_sync
from crmeval.core.records import Response, Sample
from crmeval.judges.llm import LLMJudge
from crmeval.runs.budget import Budget
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.runs.runner import answer_all
from crmeval.runs.specs import make_client, make_panel
from crmeval.systems.openai import OpenAIClient

CASE = "service_call_summary"


def samples(n):
    return [
        Sample(
            f"s{i}",
            "service_conversation_summary",
            {"conversation": f"Customer: line {i} is dead."},
            key_facts=(f"Line {i} is dead.",),
        )
        for i in range(n)
    ]


def ask(path, clients, **kw):
    return run_sync(answer_all(samples(3), clients, journal=path, **kw))


def test_the_cache_key_covers_what_shapes_an_answer_and_nothing_else(tmp_path, server, monkeypatch):
    other = endpoint.start()
    try:
        path = tmp_path / "j.jsonl"

        def make(model="good", **kw):
            return OpenAIClient(model, name="one", **{"base_url": server.url, **kw})

        different = [
            make(),
            make("cut"),
            make(base_url=other.url),
            make(temperature=0.7),
            make(max_tokens=9),
            make(extra={"seed": 1}),
        ]
        for client in different:
            before = len(server.bodies) + len(other.bodies)
            ask(path, [client])
            assert len(server.bodies) + len(other.bodies) == before + 3, (
                f"{client.settings()} shares an entry with another client"
            )
        before = len(server.bodies) + len(other.bodies)
        for client in different:
            ask(path, [client])
        assert len(server.bodies) + len(other.bodies) == before, "all six have entries of their own"
        ask(path, [make()], repeats=2)
        assert len(server.bodies) + len(other.bodies) == before + 3, "only the second answers are requested"
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-9999999999")
        ask(path, [make(timeout_s=7)], concurrency=1, retries=0, repeats=2)
        assert len(server.bodies) + len(other.bodies) == before + 3, (
            "key, timeout and concurrency are not part of the cache key"
        )
    finally:
        endpoint.stop(other)


@pytest.mark.parametrize(
    "model, status", [("refuse", "refused"), ("filtered", "refused"), ("denied", "api_error")]
)
def test_refusals_and_errors_are_asked_again(tmp_path, server, model, status):
    def client():
        return [OpenAIClient(model, base_url=server.url)]

    for calls in 3, 6:
        assert {r.status for r, _ in ask(tmp_path / "j.jsonl", client(), retries=0)} == {status}
        assert len(server.bodies) == calls


def test_calls_of_judge_and_system_are_in_their_own_lanes_and_told(tmp_path, server):
    server.pause = 0.02
    done = run(
        OpenAIClient("good", base_url=server.url),
        data=samples(12),
        judge=LLMJudge("judge", base_url=server.url),
        concurrency=3,
        out=tmp_path / "r",
        progress=False,
    )
    lanes = {lane["endpoint"].split(" at ")[0]: lane for lane in done.manifest.traffic}
    assert set(lanes) == {"good", "judge"} and all(lane["most_in_flight"] <= 3 for lane in lanes.values())
    assert lanes["good"]["sent"] == 12 and lanes["good"]["sent"] + lanes["judge"]["sent"] == len(
        server.bodies
    )
    assert all(r.tries == 1 and r.queue_s is not None and r.latency_s > 0.015 for r in done.responses)


def test_a_killed_run_asks_for_nothing_twice_that_was_in_hand(tmp_path, server):
    "System and judge at one endpoint, killed at several moments; `concurrency` calls of each in flight."
    server.pause, rng, kills, concurrency = 0.03, random.Random(5), 0, 2
    words = [
        *(
            f"run --no-progress --model openai:good --base-url {server.url} --judge openai:judge "
            f"--judge-base-url {server.url} --use-case {CASE} --concurrency"
        ).split(),
        str(concurrency),
        "--out",
        "r",
    ]
    for goal in 3, 9, 14:
        process = commands.begun(*words, cwd=tmp_path)
        end = time.monotonic() + 60
        while len(server.bodies) < goal and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(rng.random() * 0.03)
        if process.poll() is None:
            kills += 1
        process.kill()
        process.wait()
    done = commands.crmeval(*words, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    finished = open_run(tmp_path / "r")
    assert len({r.key for r in finished.responses}) == len(finished.responses) == 7 and {
        s.status for s in finished.scores if s.metric == "factuality"
    } == {"ok"}
    distinct = len({json.dumps(json.loads(b), sort_keys=True) for b in server.bodies})
    assert kills >= 2 and distinct <= len(server.bodies) <= distinct + kills * 2 * concurrency
    assert finished.manifest.judge["usage"]["calls"] == sum(
        json.loads(b)["model"] == "judge" for b in map(str, {*map(str, server.bodies)})
    ), "calls of earlier sessions are in the account"


KILLED_WHILE_WRITING = """
import os, signal, sys
import crmeval.runs.folder as folder
from crmeval.cli.app import main
tables, write = int(sys.argv[1]), folder.write_parquet
def dying(records, path, kind):
    global tables
    tables -= 1
    if tables < 0:
        path.with_name(path.name + ".part").write_bytes(b"PAR1 half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    return write(records, path, kind)
folder.write_parquet = dying
main(sys.argv[2:])
"""


def test_killed_during_the_final_write_nothing_is_asked_again(tmp_path, server):
    words = (
        f"run --no-progress --model openai:good --base-url {server.url} --use-case {CASE} --out r"
    ).split()
    for tables in 0, 1, 2:
        killed = commands.crmeval(tables, *words, cwd=tmp_path, code=KILLED_WHILE_WRITING)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not (tmp_path / "r/manifest.json").exists()
    assert commands.crmeval(*words, cwd=tmp_path).returncode == 0
    assert len(server.bodies) == len(open_run(tmp_path / "r").responses) == 7


def test_a_budget_stops_before_it_is_passed_and_goes_on_with_a_larger_one(tmp_path, server):
    words = f"--no-progress --model openai:good --base-url {server.url} --use-case {CASE} --out r".split()

    def crmeval(*more):
        return commands.crmeval("run", *words, *more, cwd=tmp_path)

    planned = crmeval("--dry-run")
    assert (
        planned.returncode == 0
        and "7 calls" in planned.stdout
        and not server.bodies
        and not (tmp_path / "r").exists()
    )
    stopped = crmeval("--max-calls", "4")
    assert (
        stopped.returncode == 1
        and "3 of 7 answers were not asked for" in stopped.stderr
        and len(server.bodies) == 4
    ), stopped.stderr
    assert sum(r.status == "not_run" for r in open_run(tmp_path / "r").responses) == 3
    assert (
        "there is no price for 'openai:good'" in crmeval("--max-usd", "1").stderr and len(server.bodies) == 4
    )
    assert "3 calls" in crmeval("--dry-run").stdout
    assert crmeval("--max-calls", "4").returncode == 1 and len(server.bodies) == 4, (
        "calls of earlier sessions count"
    )
    refused = crmeval("--max-usd", "1", "--price", "good=1,1", "--max-tokens", "100")
    assert refused.returncode == 2 and "max_tokens None -> 100" in refused.stderr
    assert "anew with --fresh" in refused.stderr and len(server.bodies) == 4
    done = crmeval("--max-usd", "1", "--price", "good=1,1", "--max-tokens", "100", "--fresh")
    assert done.returncode == 0 and len(server.bodies) == 11, "another answer limit makes another request"


def test_a_dead_endpoint_costs_a_few_calls_and_every_sample_has_its_row():
    client = OpenAIClient("m", base_url="http://127.0.0.1:9/v1")

    async def none(s):
        pass

    from crmeval.runs.traffic import Traffic

    rows = run_sync(
        answer_all(
            samples(400), [client], concurrency=8, sleep=none, traffic=(lanes := Traffic(8, cool_s=0.01))
        )
    )
    assert (
        len(rows) == 400
        and {r.status for r, _ in rows} == {"api_error", "not_run"}
        and lanes.summary()[0]["sent"] < 60
    )
    assert "is down" in rows[-1][0].error and "connection failed" in rows[-1][0].error


@pytest.mark.parametrize(
    "model, base",
    [
        ("chatty", "http://"),
        ("no", "http://"),
        ("denied", "http://"),
        ("denied", "http://ann:planted-password@"),
    ],
)
def test_a_key_that_the_endpoint_says_back_is_kept_nowhere(tmp_path, server, monkeypatch, model, base):
    key, login = (
        "planted4242424242424242",
        "YW5uOnBsYW50ZWQtcGFzc3dvcmQ=",
    )  # does not look like a key: the Basic header made from the address's name and password
    monkeypatch.setenv("OPENAI_API_KEY", key)
    done = run(
        OpenAIClient(model, base_url=server.url.replace("http://", base)),
        data=samples(2),
        retries=0,
        out=tmp_path / "r",
        progress=False,
    )
    assert "[removed]" in (done.responses[0].text or done.responses[0].error)
    for f in (tmp_path / "r").rglob("*"):
        assert not any(s.encode() in f.read_bytes() for s in (key, login, "planted-password")), f.name


def test_a_stand_in_for_a_key_changes_no_answer(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "customer")
    (row, _), *_ = run_sync(answer_all(samples(1), [OpenAIClient("good", base_url=server.url)]))
    assert row.text == "The customer reported a problem. The agent solved it."


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_asked_follows_no_redirection(server, stream):
    (row, _), *_ = run_sync(
        answer_all(samples(1), [OpenAIClient("moved", base_url=server.url, stream=stream)])
    )
    assert row.status == "api_error" and "HTTP 307" in row.error and row.tries == 1


def test_an_answer_without_end_is_not_read_to_its_end(server, monkeypatch):
    monkeypatch.setattr(wire, "MOST_BYTES", 2000)
    rows = run_sync(
        answer_all(samples(1), [OpenAIClient(m, base_url=server.url) for m in ("good", "endless")])
    )
    assert [r.status for r, _ in rows] == ["ok", "parse_error"] and "longer than 2,000 bytes" in rows[1][
        0
    ].error


class Own:
    "A custom client without the optional members."

    name = "own"

    def __init__(self, found):
        self.found = found

    def settings(self):
        return {}

    async def answer(self, sample, prompt, *, repeat=0):
        return self.found

    async def aclose(self):
        pass


@pytest.mark.parametrize("found", ["a text", None, {"text": "a"}])
def test_a_client_that_returns_no_response_is_a_row_and_not_the_end(found):
    assert {(r.status, r.error) for r, _ in run_sync(answer_all(samples(2), [Own(found)]))} == {
        ("api_error", f"the client returned a {type(found).__name__}, expected a Response")
    }


def test_a_row_belongs_to_what_was_asked_whatever_the_client_says(tmp_path):
    rows = run_sync(
        answer_all(
            samples(2), [Own(Response("another", "another", "text"))], repeats=2, journal=tmp_path / "j.jsonl"
        )
    )
    assert [(r.sample_id, r.client, r.repeat) for r, _ in rows] == [
        ("s0", "own", 0),
        ("s0", "own", 1),
        ("s1", "own", 0),
        ("s1", "own", 1),
    ]


def test_values_that_cannot_be_meant_are_refused_by_name():
    for make, message in [
        (lambda: OpenAIClient("m", base_url="http://127.0.0.1:9", max_tokens=-5), "max_tokens is -5"),
        (lambda: OpenAIClient("m", base_url="http://127.0.0.1:9", max_tokens=0), "max_tokens is 0"),
        (
            lambda: OpenAIClient("m", base_url="http://127.0.0.1:9", temperature=float("nan")),
            "temperature is nan",
        ),
        (lambda: Budget(max_calls=float("inf")), "max_calls is inf"),
        (lambda: Budget(max_usd=float("inf"), price=lambda *a: 0), "max_usd is inf"),
        (lambda: make_client(Own(None)), "client is a Own without provider, model, cacheable"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()


def test_a_date_without_a_zone_is_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert (
            retry_after_s({"retry-after": "Sun Nov  6 08:49:37 1994"}, now=784111767.0)
            == retry_after_s({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, now=784111767.0)
            == 10
        )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_members_of_a_panel_share_the_budget_also_where_they_are_asked_in_threads(tmp_path, server):
    """Probes are judged one question at a time, by synchronous functions."""
    panel = make_panel(["openai:judge", "openai:stub"], base_url=server.url)
    done = run(areas="truthfulness", limit=4, judge=panel, max_calls=9, out=tmp_path / "r", progress=False)
    assert (
        len(server.bodies) == done.manifest.budget["calls"] == 9
        and "9 of 9" in done.manifest.budget["reached"]
    )
    assert {lane["endpoint"].split(" at ")[0] for lane in done.manifest.traffic} == {"judge", "stub"}


@pytest.mark.parametrize(
    "judge, words",
    [
        ("judge", ("run", "--areas", "trust", "--limit", "3")),
        ("judge", ("score", "r")),
        ("later", ("score", "r")),
    ],
)
def test_the_interrupt_key_ends_a_run_with_a_slow_judge_and_says_how_to_go_on(tmp_path, server, judge, words):
    run(areas="truthfulness", limit=2, out=tmp_path / "r", progress=False)
    server.pause = 20 if judge == "judge" else 0
    more = [
        "--no-progress",
        "--judge",
        f"openai:{judge}",
        "--judge-base-url",
        server.url,
        *(["--out", "s"] if words[0] == "run" else []),
    ]
    process = commands.begun(*words, *more, cwd=tmp_path)
    end = time.monotonic() + 30
    while not server.bodies and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=20)
    assert (
        process.returncode == 130
        and "run the same again to continue" in errors
        and time.monotonic() - start < 8  # two seconds, with a margin for a loaded machine
    ), errors
    for line in (tmp_path / ("s" if words[0] == "run" else "r") / "journal.jsonl").read_bytes().splitlines():
        json.loads(line)
