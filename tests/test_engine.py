"""The run engine against an endpoint on loopback: what is asked, what is paid for, what is kept."""
import json
import random
import signal
import subprocess
import sys
import time

import endpoint
import pytest

from crmeval.clients import OpenAIClient
from crmeval.evaluation import open_run, run
from crmeval.judge import LLMJudge
from crmeval.loops import run_sync
from crmeval.records import Sample
from crmeval.runner import answer_all

CASE = "service_call_summary"


def samples(n): return [Sample(f"s{i}", "service_conversation_summary", {"conversation": f"Customer: line {i} is dead."}, key_facts=(f"Line {i} is dead.",)) for i in range(n)]


def ask(path, clients, **kw): return run_sync(answer_all(samples(3), clients, journal=path, **kw))


def test_the_cache_key_covers_what_shapes_an_answer_and_nothing_else(tmp_path, server, monkeypatch):
    other = endpoint.start()
    try:
        path = tmp_path/"j.jsonl"
        make = lambda model="good", **kw: OpenAIClient(model, name="one", **{"base_url": server.url, **kw})
        different = [make(), make("empty"), make(base_url=other.url), make(temperature=0.7), make(max_tokens=9), make(extra={"seed": 1})]
        for client in different:
            before = len(server.bodies) + len(other.bodies)
            ask(path, [client])
            assert len(server.bodies) + len(other.bodies) == before + 3, f"{client.settings()} shares an entry with another client"
        before = len(server.bodies) + len(other.bodies)
        for client in different: ask(path, [client])
        assert len(server.bodies) + len(other.bodies) == before, "all six are recorded side by side"
        ask(path, [make()], repeats=2)
        assert len(server.bodies) + len(other.bodies) == before + 3, "only the second answers are new"
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-9999999999")
        ask(path, [make(timeout_s=7)], concurrency=1, retries=0, repeats=2)
        assert len(server.bodies) + len(other.bodies) == before + 3, "neither key nor time-out nor concurrency is part of the question"
    finally: endpoint.stop(other)


@pytest.mark.parametrize("model, status", [("refuse", "refused"), ("filtered", "refused"), ("denied", "api_error")])
def test_refusals_and_errors_are_asked_again(tmp_path, server, model, status):
    client = lambda: [OpenAIClient(model, base_url=server.url)]
    for calls in 3, 6:
        assert {r.status for r, _ in ask(tmp_path/"j.jsonl", client(), retries=0)} == {status}
        assert len(server.bodies) == calls


def test_calls_of_judge_and_system_are_in_their_own_lanes_and_told(tmp_path, server):
    server.pause = 0.02
    done = run(OpenAIClient("good", base_url=server.url), data=samples(12), judge=LLMJudge("judge", base_url=server.url), concurrency=3, out=tmp_path/"r", progress=False)
    lanes = {lane["endpoint"].split(" at ")[0]: lane for lane in done.manifest["traffic"]}
    assert set(lanes) == {"good", "judge"} and all(lane["most_in_flight"] <= 3 for lane in lanes.values())
    assert lanes["good"]["sent"] == 12 and lanes["good"]["sent"] + lanes["judge"]["sent"] == len(server.bodies)
    assert all(r.tries == 1 and r.queue_s is not None and r.latency_s > 0.015 for r in done.responses)


def test_a_killed_run_asks_for_nothing_twice_that_was_in_hand(tmp_path, server):
    """System and judge at one endpoint, killed at several moments; `concurrency` calls of each can be in flight."""
    server.pause, rng, kills, concurrency = 0.03, random.Random(5), 0, 2
    words = [sys.executable, "-m", "crmeval", "run", "--no-progress", "--model", "openai:good", "--base-url", server.url, "--judge", "openai:judge", "--judge-base-url", server.url,
             "--use-case", CASE, "--concurrency", str(concurrency), "--out", "r"]
    for goal in 3, 9, 14:
        process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while len(server.bodies) < goal and process.poll() is None and time.monotonic() < end: time.sleep(0.005)
        time.sleep(rng.random() * 0.03)
        if process.poll() is None: kills += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    finished = open_run(tmp_path/"r")
    assert len({r.key for r in finished.responses}) == len(finished.responses) == 7 and {s.status for s in finished.scores if s.metric == "factuality"} == {"ok"}
    distinct = len({json.dumps({k: v for k, v in json.loads(b).items()}, sort_keys=True) for b in server.bodies})
    assert kills >= 2 and distinct <= len(server.bodies) <= distinct + kills * 2 * concurrency
    assert finished.manifest["judge"]["usage"]["calls"] == sum(json.loads(b)["model"] == "judge" for b in map(str, {*map(str, server.bodies)})), "what earlier sessions paid for is in the account"


KILLED_WHILE_WRITING = """
import os, signal, sys
import crmeval.evaluation as evaluation
from crmeval.cli import main
tables, write = int(sys.argv[1]), evaluation.write_parquet
def dying(records, path, kind):
    global tables
    tables -= 1
    if tables < 0:
        path.with_name(path.name + ".part").write_bytes(b"PAR1 half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    return write(records, path, kind)
evaluation.write_parquet = dying
main(sys.argv[2:])
"""


def test_killed_during_the_final_write_nothing_is_asked_again(tmp_path, server):
    words = ["run", "--no-progress", "--model", "openai:good", "--base-url", server.url, "--use-case", CASE, "--out", "r"]
    for tables in 0, 1, 2:
        assert subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(tables), *words], cwd=tmp_path, capture_output=True).returncode == -signal.SIGKILL
        assert not (tmp_path/"r/manifest.json").exists()
    assert subprocess.run([sys.executable, "-m", "crmeval", *words], cwd=tmp_path, capture_output=True).returncode == 0
    assert len(server.bodies) == len(open_run(tmp_path/"r").responses) == 7


def test_a_budget_stops_before_it_is_passed_and_goes_on_with_a_larger_one(tmp_path, server):
    words = ["--no-progress", "--model", "openai:good", "--base-url", server.url, "--use-case", CASE, "--out", "r"]
    crmeval = lambda *more: subprocess.run([sys.executable, "-m", "crmeval", "run", *words, *more], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    planned = crmeval("--dry-run")
    assert planned.returncode == 0 and "7 calls" in planned.stdout and not server.bodies and not (tmp_path/"r").exists()
    held = crmeval("--max-calls", "4")
    assert held.returncode == 1 and "3 of 7 answers were not asked for" in held.stderr and len(server.bodies) == 4, held.stderr
    assert sum(r.status == "not_run" for r in open_run(tmp_path/"r").responses) == 3
    assert "there is no price for 'openai:good'" in crmeval("--max-usd", "1").stderr and len(server.bodies) == 4
    assert "3 calls" in crmeval("--dry-run").stdout
    done = crmeval("--max-usd", "1", "--price", "good=1,1", "--max-tokens", "100")
    assert done.returncode == 0 and len(server.bodies) == 11, "another limit of the answer is another question"
    assert crmeval("--max-calls", "7").returncode == 1 and len(server.bodies) == 11, "what earlier sessions paid for counts"


def test_a_dead_endpoint_costs_a_few_calls_and_every_sample_has_its_row():
    client = OpenAIClient("m", base_url="http://127.0.0.1:9/v1")
    async def none(s): pass
    from crmeval.traffic import Traffic
    rows = run_sync(answer_all(samples(400), [client], concurrency=8, sleep=none, traffic=(lanes := Traffic(8, cool_s=0.01))))
    assert len(rows) == 400 and {r.status for r, _ in rows} == {"api_error", "not_run"} and lanes.summary()[0]["sent"] < 60
    assert "is down" in rows[-1][0].error and "connection failed" in rows[-1][0].error
