"Runs through a batch endpoint: a kill between any two steps causes no second payment and loses no answer."

import dataclasses
import json
import signal

import pytest
from batch_server import Server
from commands import crmeval

from crmeval.cli.app import main
from crmeval.core.calls import CallFailed
from crmeval.core.records import Response
from crmeval.pages.erase import erase
from crmeval.pages.leaderboard import leaderboard
from crmeval.pages.report import write_report
from crmeval.runs import batch as room
from crmeval.runs import message_batches
from crmeval.runs.batch import run_batch
from crmeval.runs.batch_endpoint import OpenAIBatches
from crmeval.runs.batch_log import BatchLog
from crmeval.runs.evaluation import run
from crmeval.runs.folder import Run
from crmeval.runs.journal import Journal
from crmeval.runs.message_batches import MessageBatches
from crmeval.runs.open_batches import BatchesOpen
from crmeval.runs.opening import EndpointFailed
from crmeval.systems.batch_offers import batch_offers

N = 5


class Killed(BaseException):
    "A simulated kill: derived from BaseException, so that no cleanup handler catches it."


@pytest.fixture
def server():
    found = Server()
    yield found
    found.stop()


@pytest.fixture
def again(server, tmp_path):
    def call(models=("openai:m",), **more):
        words = {"base_url": server.url, "use_cases": "service_call_summary", "limit": N, "progress": False}
        words |= {"out": tmp_path / "run", "prices": {"m": (2.0, 8.0)}, "max_tokens": 50}
        return run_batch(list(models), **{**words, **more})

    return call


def bare(row: Response):
    "Return a row without the fields that a batch cannot have and without the creation time."
    return dataclasses.replace(row, latency_s=None, queue_s=None, created=None, batched=False)


def test_a_batch_brings_the_rows_of_a_direct_run(server, again, tmp_path):
    options = {"base_url": server.url, "use_cases": "service_call_summary", "limit": N, "progress": False}
    direct = run(["openai:m", "baseline:lead"], out=tmp_path / "direct", max_tokens=50, **options)
    both = ["openai:m", "baseline:lead"]
    first = again(both)
    assert isinstance(first, BatchesOpen) and first.submitted == N and "openai:m" in str(first)
    with pytest.raises(ValueError, match=f"waits for {N} answers in 1 batches that are paid for"):
        run(both, out=tmp_path / "run", max_tokens=50, **options)
    server.finish()
    done = again(both)
    assert isinstance(done, Run)
    batched = [r for r in done.responses if r.client == "openai:m"]
    assert [bare(r) for r in batched] == [bare(r) for r in direct.responses if r.client == "openai:m"]
    assert all(r.batched and r.latency_s is None for r in batched) and len(server.direct) == N
    assert [(s.metric, s.points) for s in done.scores] == [(s.metric, s.points) for s in direct.scores]
    row = next(r for r in leaderboard(done, prices={"m": (2.0, 8.0)}).rows if r.client == "openai:m")
    assert row.cost_per_1000.value == pytest.approx(1000 * (50 * 2 + 7 * 8) / 2e6)  # half of the list price
    assert row.speed.mean_s.value is None and row.speed.left_out == {"batch": N}
    assert "(batch)" in str(leaderboard(done, prices={"m": (2.0, 8.0)}))
    assert "batch price" in write_report(done, prices={"m": (2.0, 8.0)}).read_text()
    assert any("no time of their own" in w for w in done.manifest.warnings)


def kill_at(monkeypatch, owner, name, when, nth=1, after=True):
    "Raise `Killed` at the nth matching call of a method, before or after it has done its work."
    whole, calls = getattr(owner, name), []

    def hit(args):
        calls.append(args)
        return when(*args) and sum(when(*a) for a in calls) == nth

    if owner in (OpenAIBatches, MessageBatches):

        async def dying(self, *args, **more):
            is_now = hit(args)
            if is_now and not after:
                raise Killed
            found = await whole(self, *args, **more)
            if is_now:
                raise Killed
            return found
    else:

        def dying(self, *args, **more):
            is_now = hit(args)
            if is_now and not after:
                raise Killed
            found = whole(self, *args, **more)
            if is_now:
                raise Killed
            return found

    monkeypatch.setattr(owner, name, dying)


def always(*args):
    return True


STEPS = {
    "planned, not on disk": (BatchLog, "append", lambda kind: kind == "planned", 1, False),
    "planned": (BatchLog, "append", lambda kind: kind == "planned", 1, True),
    "file uploaded": (OpenAIBatches, "upload", always, 1, True),
    "upload recorded": (BatchLog, "append", lambda kind: kind == "uploaded", 1, True),
    "batch created": (OpenAIBatches, "submit", always, 1, True),
    "second batch created": (OpenAIBatches, "submit", always, 2, True),
    "batch recorded": (BatchLog, "append", lambda kind: kind == "submitted", 1, True),
    "looked": (OpenAIBatches, "state", always, 1, True),
    "collected half": (Journal, "write", always, 2, False),
    "collected, not recorded": (BatchLog, "append", lambda kind: kind == "collected", 1, False),
    "collected": (BatchLog, "append", lambda kind: kind == "collected", 1, True),
}


def test_what_is_erased_stands_in_no_request_either(server, again, tmp_path):
    out = tmp_path / "run"
    options = {"use_cases": "service_call_summary", "limit": N, "progress": False, "out": out}
    run(["baseline:lead"], base_url=server.url, max_tokens=50, **options)
    assert isinstance(again(add=True), BatchesOpen) and list((out / "batches").iterdir())
    with pytest.raises(ValueError, match="waits for batches, whose requests hold texts"):
        erase(out, sample="service_call_summary-01")
    server.finish()
    assert isinstance(again(add=True), Run)
    (out / "batches").mkdir(exist_ok=True)
    (out / "batches" / "left.jsonl").write_text("a request of an earlier version")
    erase(out, sample="service_call_summary-01")
    assert not (out / "batches").exists()
    assert not any(b"service_call_summary-01" in p.read_bytes() for p in out.rglob("*") if p.is_file())


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_nothing_is_paid_twice_and_nothing_is_lost(server, again, monkeypatch, step):
    owner, name, when, nth, after = STEPS[step]
    offer = dataclasses.replace(room.batch_offer(server.url), requests=3)  # five requests are two batches
    monkeypatch.setattr(room, "batch_offer", lambda url: offer)
    monkeypatch.setattr(room, "_AT_ONCE", 2)
    found = None
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, when, nth, after)
        with pytest.raises(Killed):
            for _ in range(4):
                found = again()
                server.finish()
    for _ in range(4):
        server.finish()
        found = again()
        if isinstance(found, Run):
            break
    assert [r.status for r in found.responses] == ["ok"] * N
    assert len(server.paid) == len(set(server.paid)) == N and not server.direct
    assert isinstance(again(), Run) and len(server.paid) == N


def test_a_process_that_is_killed_between_handing_in_and_writing_it_down(server, again, tmp_path):
    code = (
        "import os, signal, sys\n"
        "from crmeval.runs.batch import run_batch\n"
        "from crmeval.runs.batch_log import BatchLog\n"
        "whole = BatchLog.append\n"
        "def append(self, kind, **more):\n"
        "    if kind == 'submitted':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    whole(self, kind, **more)\n"
        "BatchLog.append = append\n"
        f"run_batch(['openai:m'], base_url={server.url!r}, use_cases='service_call_summary', limit={N},\n"
        f"          progress=False, out={str(tmp_path / 'run')!r},\n"
        "          prices={'m': (2.0, 8.0)}, max_tokens=50)\n"
    )
    died = crmeval(cwd=tmp_path, code=code, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    healed = again()
    assert len(server.batches) == 1 and healed.submitted == 0 and "found again" in str(healed)
    server.finish()
    assert [r.status for r in again().responses] == ["ok"] * N and len(server.paid) == N


def test_what_failed_or_expired_is_handed_in_anew_on_the_next_call(server, again):
    again()
    server.finish(lost=1, late=1, status="expired")
    done = again()
    assert sorted(r.status for r in done.responses) == ["api_error", "api_error", "ok", "ok", "ok"]
    errors = " ".join(r.error for r in done.responses if r.error)
    assert "HTTP 500: it broke" in errors and "the batch expired before" in errors
    third = again()
    assert third.submitted == 2 and len(server.batches) == 2
    server.finish()
    assert [r.status for r in again().responses] == ["ok"] * N and len(set(server.paid)) == len(
        server.paid
    ) == N


def test_an_untrusted_file_of_answers(server, again):
    again()
    known = json.loads(next(iter(server.files.values())).splitlines()[0])["custom_id"]
    odd = [
        {"custom_id": x, "response": {"status_code": 200, "body": {}}} for x in ("../../etc/passwd", known)
    ]
    more = [json.dumps(x).encode() + b"\n" for x in odd] + [
        b"{" * 50_000 + b"\n",
        b"x" * (2**24 + 9) + b"\n",
        b"\xff",
    ]
    server.finish(more=more)
    done = again()
    assert [r.status for r in done.responses] == ["ok"] * N
    warned = " ".join(done.manifest.warnings)
    assert (
        "1 lines named requests that were not made" in warned
        and "1 lines named a request for the second" in warned
    )
    assert "3 lines could not be read" in warned


@pytest.mark.parametrize("what", ["no line", "no file", "failed"])
def test_a_batch_that_brings_nothing_for_a_request(server, again, what, monkeypatch):
    monkeypatch.setattr(room, "_TORN_S", 0)  # days later: what is missing will not arrive
    again()
    server.finish()
    made = server.batches["batch_0"]
    if what == "no file":
        del server.files[made["output_file_id"]]
    elif what == "no line":
        server.files[made["output_file_id"]] = b""
    else:
        errors = {"data": [{"code": "token_limit_exceeded", "message": "too many tokens in the queue"}]}
        made |= {"status": "failed", "output_file_id": None, "errors": errors}
    done = again()
    reason = {
        "no line": "without a line",
        "no file": "is no longer at the endpoint",
        "failed": "too many tokens in the queue",
    }
    assert all(r.status == "api_error" and reason[what] in r.error for r in done.responses)
    assert again().submitted == N


TORN = {
    "cut within a line": lambda whole: whole[:-25],
    "cut early": lambda whole: whole[: len(whole) // 3],
    "a page of a proxy": lambda whole: b"<html>502 Bad Gateway</html>",
    "a line of noise": lambda whole: b"\xff\x00\n" + whole[whole.index(b"\n") + 1 :],
    "not there yet": lambda whole: None,
    "whole lines are missing": lambda whole: whole[: whole.index(b"\n") + 1],
}


@pytest.mark.parametrize("how", TORN)
def test_answers_that_did_not_arrive_whole_are_read_again_and_not_paid_again(server, again, how):
    again()
    server.finish()
    made = server.batches["batch_0"]
    made["request_counts"] = {"total": N, "completed": N, "failed": 0}
    name = made["output_file_id"]
    whole, torn = server.files[name], TORN[how](server.files[name])
    server.files |= {name: torn}
    if torn is None:
        del server.files[name]
    state = again()
    assert isinstance(state, BatchesOpen) and "no request is repeated" in " ".join(state.notes)
    assert again().submitted == 0, "and again, as long as it is torn"
    server.files[name] = whole
    done = again()
    assert [r.status for r in done.responses] == ["ok"] * N
    assert len(server.batches) == 1 and len(server.paid) == N


@pytest.mark.parametrize(("how", "status"), zip(TORN, ["expired", "cancelled"] * 3, strict=True))
def test_answers_of_a_batch_that_ended_early_are_paid_as_well(server, again, how, status):
    "Unanswered requests are sent again; answers that were given are read again until the file is complete."
    again()
    server.finish(late=2, status=status)
    made = server.batches["batch_0"]
    made["request_counts"] = {"total": N, "completed": N - 2, "failed": 0}
    name = made["output_file_id"]
    whole, torn = server.files[name], TORN[how](server.files[name])
    server.files |= {name: torn}
    if torn is None:
        del server.files[name]
    for _ in range(2):
        state = again()
        assert isinstance(state, BatchesOpen) and state.submitted == 0 and "are paid" in " ".join(state.notes)
    server.files[name] = whole
    some = again()
    assert sorted(r.status for r in some.responses) == ["api_error"] * 2 + ["ok"] * (N - 2)
    assert again().submitted == 2
    server.finish()
    assert [r.status for r in again().responses] == ["ok"] * N
    assert len(server.paid) == len(set(server.paid)) == N


def test_starting_anew_does_not_give_up_answers_that_are_paid_for(server, again):
    again(fresh=True)
    assert again(fresh=True).submitted == 0, "the same command collects the batch, whatever options it has"
    server.finish(lost=2)
    assert isinstance(again(), Run) and again().submitted == 2
    with pytest.raises(ValueError, match="waits for 2 answers in 1 batches that are paid for"):
        again(fresh=True)
    server.finish()
    assert isinstance(again(), Run) and len(server.paid) == len(set(server.paid)) == N
    assert again(fresh=True).submitted == N, "no batch is open"


def test_who_has_no_batch_endpoint_is_asked_directly(server, again):
    server.has_none = True
    done = again(["openai:m", "baseline:lead"])
    assert len(server.direct) == N and not any(r.batched for r in done.responses)
    assert any("openai:m is asked directly" in w and "HTTP 404" in w for w in done.manifest.warnings)


def test_an_endpoint_that_says_no_leaves_nothing_behind(server, again, monkeypatch):
    monkeypatch.setattr(server, "begin", lambda request: (400, {"error": {"message": "no such model m"}}))
    with pytest.raises(EndpointFailed, match="no model of this name|no such model"):
        again()
    monkeypatch.undo()
    assert again(models=["openai:other"], prices={"other": (1, 1)}).submitted == N


def test_where_nobody_knows_whether_it_was_taken_the_next_call_looks(server, again, monkeypatch):
    whole = OpenAIBatches.submit

    async def cut(self, file, mark):
        await whole(self, file, mark)
        raise CallFailed("connection failed: reset", retryable=True)

    monkeypatch.setattr(OpenAIBatches, "submit", cut)
    with pytest.raises(EndpointFailed, match="connection failed"):
        again()
    monkeypatch.undo()
    assert again().submitted == 0 and len(server.batches) == 1


def test_other_plans_budgets_and_keys(server, again, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-4242424242424242")
    with pytest.raises(ValueError, match="max_calls is 4; 0 requests"):
        again(max_calls=4)
    with pytest.raises(ValueError, match="max_usd is 1e-06"):
        again(max_usd=1e-6)
    assert not server.batches and again(max_calls=N).submitted == N
    with pytest.raises(ValueError, match="waits for batches of another plan"):
        again(limit=3)
    with pytest.raises(ValueError, match="waits for batches of another plan"):
        again(max_tokens=60)
    server.finish()
    done = again(max_usd=1.0)
    assert done.manifest.budget["usd"] == pytest.approx(N * (50 * 2 + 7 * 8) / 2e6)
    files = [p for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert len(files) > 5 and not any(b"planted-4242" in p.read_bytes() for p in files)


@pytest.fixture
def messages(monkeypatch):
    "Treat the loopback server as an endpoint with Anthropic's interface."
    offer = dataclasses.replace(batch_offers()["anthropic"], provider="")
    for place in (message_batches, room):
        monkeypatch.setattr(place, "batch_offer", lambda url: offer)


@pytest.mark.usefixtures("messages")
def test_batches_of_messages_bring_the_rows_of_a_direct_run(server, again, tmp_path):
    options = {"base_url": server.url, "use_cases": "service_call_summary", "limit": N, "progress": False}
    direct = run(["openai:m"], out=tmp_path / "direct", max_tokens=50, **options)
    first = again()
    assert first.submitted == N and first.batches[0].batch == "msgbatch_0"
    assert again().batches[0].status == "in_progress"
    server.finish_messages(gone=1)
    some = again()
    assert sorted(r.status for r in some.responses) == ["api_error", *["ok"] * (N - 1)]
    assert "the batch expired before" in next(r.error for r in some.responses if r.error)
    assert again().submitted == 1
    server.finish_messages()
    done = again()
    assert list(map(bare, done.responses)) == list(map(bare, direct.responses))
    assert len(server.paid) == len(set(server.paid)) == N and len(server.direct) == N


@pytest.mark.usefixtures("messages")
def test_a_batch_of_messages_without_a_mark_is_found_again_and_not_paid_twice(server, again, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, MessageBatches, "submit", always)
        with pytest.raises(Killed):
            again()
    server.begin_messages([{"custom_id": f"somebody-{i}", "params": {}} for i in range(N)])
    waits = again()
    assert waits.submitted == 0 and len(server.batches) == 2
    assert "has the same size and is in progress" in str(waits)
    server.batches["msgbatch_1"]["asked"] = [
        {"custom_id": f"somebody-{i}", "params": {"model": "m", "messages": [{"content": "?"}]}}
        for i in range(N)
    ]
    server.finish_messages()
    done = again()
    assert {r.status for r in done.responses} == {"ok"} and len(server.batches) == 2 and not server.direct


def judged(again, server, **more):
    "Like `again`, with a judge on the same endpoint that is asked by batch."
    options = {"judge": "openai:judge", "judge_base_url": server.url, "batch_judge": True}
    return again(**{**options, "prices": {"m": (2.0, 8.0), "judge": (1.0, 1.0)}, **more})


def until_run(server, call, most=8):
    "Repeat the call until the run is complete, answering each batch in between: (run, earlier results)."
    earlier = []
    for _ in range(most):
        found = call()
        if isinstance(found, Run):
            return found, earlier
        earlier.append(found)
        server.finish()
    raise AssertionError(f"no run after {most} calls: {earlier[-1]}")


def bare_scores(run_):
    return [(s.sample_id, s.metric, s.points, s.status, s.reason, len(s.evidence)) for s in run_.scores]


@pytest.mark.parametrize("style", ["fine", "rubric"])
def test_what_a_judge_is_asked_by_batch_brings_the_scores_of_a_direct_run(server, again, tmp_path, style):
    options = {"base_url": server.url, "use_cases": "service_call_summary", "limit": N, "progress": False}
    options |= {"judge": "openai:judge", "judge_base_url": server.url, "judge_style": style, "max_tokens": 50}
    direct = run(["openai:m"], out=tmp_path / "direct", **options)
    calls = len(server.direct)
    done, earlier = until_run(server, lambda: judged(again, server, judge_style=style))
    assert [b.client for w in earlier for b in w.batches][:2] == ["openai:m", "judge openai:judge"]
    assert earlier[0].submitted == N and len(earlier) >= 2 and len(server.direct) == calls
    assert bare_scores(done) == bare_scores(direct) and {s.status for s in done.scores} == {"ok"}
    usage, direct_usage = done.manifest.judge["usage"], direct.manifest.judge["usage"]
    assert {k: usage[k] for k in ("calls", "input_tokens", "output_tokens", "failures")} == {
        k: direct_usage[k] for k in ("calls", "input_tokens", "output_tokens", "failures")
    }
    paid = len(server.paid)
    assert paid == len(set(server.paid)) == calls == N + usage["calls"]
    once_more = judged(again, server, judge_style=style)
    assert isinstance(once_more, Run) and (len(server.paid), len(server.direct)) == (paid, calls)


def test_a_budget_counts_what_came_by_batch_at_its_price(server, again):
    "Answers and verdicts cost half of the list price, in this run and in one that continues directly."
    done, _ = until_run(server, lambda: judged(again, server, max_usd=1.0))
    used = done.manifest.judge["usage"]
    listed = N * (50 * 2 + 7 * 8) / 1e6 + (used["input_tokens"] + used["output_tokens"]) / 1e6
    assert used["calls"] > 0 and done.manifest.budget["usd"] == pytest.approx(listed / 2, abs=1e-6)
    assert done.manifest.budget["calls"] == N + used["calls"]
    options = {"base_url": server.url, "use_cases": "service_call_summary", "limit": N, "progress": False}
    options |= {"judge": "openai:judge", "judge_base_url": server.url, "out": done.folder, "max_tokens": 50}
    paid = len(server.paid)
    direct = run(["openai:m"], prices={"m": (2.0, 8.0), "judge": (1.0, 1.0)}, max_usd=0.6 * listed, **options)
    assert len(server.paid) == paid and not direct.manifest.budget["reached"]
    assert direct.manifest.budget["usd"] == pytest.approx(listed / 2, abs=1e-6)


@pytest.mark.parametrize("step", ["planned", "batch created", "collected half", "collected, not recorded"])
@pytest.mark.parametrize("later", [1, 2])
def test_killed_while_a_judge_is_asked_nothing_is_paid_twice(server, again, monkeypatch, step, later):
    owner, name, when, nth, after = STEPS[step]
    offer = dataclasses.replace(room.batch_offer(server.url), requests=4)
    monkeypatch.setattr(room, "batch_offer", lambda url: offer)
    monkeypatch.setattr(room, "_AT_ONCE", 2)
    assert isinstance(judged(again, server), BatchesOpen)
    server.finish()
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, when, nth + later, after)
        with pytest.raises(Killed):
            for _ in range(6):
                judged(again, server)
                server.finish()
    done, _ = until_run(server, lambda: judged(again, server))
    assert {s.status for s in done.scores} == {"ok"} and not server.direct
    assert len(server.paid) == len(set(server.paid)) == N + done.manifest.judge["usage"]["calls"]


def test_a_question_whose_request_failed_waits_for_the_next_batch(server, again):
    judged(again, server)
    server.finish()
    handed_in = judged(again, server).submitted
    server.finish(lost=2)
    some = judged(again, server)
    while isinstance(some, BatchesOpen):  # replies that arrived lead to further questions
        server.finish()
        some = judged(again, server)
    lost = [s for s in some.scores if s.status == "not_run"]
    reasons = [s.reason for s in lost if s.metric != "accuracy"]
    assert reasons and all("no batch has returned a reply" in r for r in reasons) and not server.direct
    done, (again_in, *_) = until_run(server, lambda: judged(again, server))
    assert again_in.submitted == 2 < handed_in
    assert {s.status for s in done.scores} == {"ok"} and not server.direct


def test_open_batches_of_a_judge_are_for_that_judge_alone(server, again):
    judged(again, server)
    server.finish()
    assert judged(again, server).batches[0].client == "judge openai:judge"
    for other in ({"judge": "openai:judge2"}, {"judge": "embedded", "judge_base_url": None}):
        with pytest.raises(ValueError, match="waits for batches of"):
            judged(again, server, **other)
    with pytest.raises(ValueError, match="another judge than openai:judge, or other settings of it"):
        judged(again, server, judge_max_tokens=77)
    with pytest.raises(ValueError, match="waits for batches of the judge openai:judge: say --batch-judge"):
        judged(again, server, batch_judge=False)
    server.finish()
    assert isinstance(until_run(server, lambda: judged(again, server))[0], Run)


def test_a_judge_that_no_batch_reaches_is_asked_directly_or_not_at_all(server, again, tmp_path):
    other = Server()
    other.has_none = True
    try:
        done, _ = until_run(server, lambda: judged(again, server, judge_base_url=other.url))
    finally:
        other.stop()
    assert other.direct and not server.direct and {s.status for s in done.scores} == {"ok"}
    assert any(
        "judge openai:judge is asked directly" in w and "HTTP 404" in w for w in done.manifest.warnings
    )
    alone = {"judge": "embedded", "judge_base_url": None, "out": tmp_path / "alone"}
    done, _ = until_run(server, lambda: judged(again, server, **alone))
    assert any(
        "(batch_judge) changes nothing: the built-in judge asks no model" in w for w in done.manifest.warnings
    )


def test_the_command(server, tmp_path, capsys):
    words = ["run", "--model", "openai:m", "--base-url", server.url, "--use-case", "service_call_summary"]
    words += ["--limit", "2", "--out", str(tmp_path / "r"), "--price", "m=2,8", "--batch", "--no-progress"]
    assert main(words) == 1, "a pipeline must not go on to a gate without a run"
    printed = capsys.readouterr()
    assert "handed in: 2 requests" in printed.out and "Nothing is scored yet" in printed.out
    assert "the exit code is 1" in printed.err
    assert main([*words, "--json"]) == 1
    output = json.loads(capsys.readouterr().out)
    assert output["batches"][0]["status"] == "validating" and output["exit_code"] == 1
    server.finish()
    assert main(words) == 0
    assert "(batch)" in (printed := capsys.readouterr().out) and "report: " in printed
    assert main([*words[:-2], "--batch-judge"]) == 2
    assert "--batch-judge is said, expected nothing without --batch" in capsys.readouterr().err
    assert (
        main([*words, "--stream"]) == 2
        and "--stream is said, expected nothing beside --batch" in capsys.readouterr().err
    )
