"The command as a user types it: as a process, against an endpoint on loopback, with deliberate mistakes."

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import commands
import endpoint
import pytest

from crmeval import __version__, leaderboard
from crmeval.core.records import read_jsonl, write_jsonl
from crmeval.runs.folder import open_run

CASE = "service_conversation_summary"
LEAD = ("--model", "baseline:lead", "--use-case", CASE, "--out", "r")


def crmeval(*words, cwd, env=(), **more):
    done = commands.crmeval(*words, cwd=cwd, env=env, **more)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run(tmp_path, *words, code=0, **more):
    done = crmeval("run", "--no-progress", *words, cwd=tmp_path, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def lead(tmp_path_factory):
    "Return a function that copies the run of one system on n samples to `r`; each run is made once."
    made = {}

    def put(tmp_path, n):
        if n not in made:
            made[n] = tmp_path_factory.mktemp("lead")
            run(made[n], *LEAD, "--limit", n)
        shutil.copytree(made[n] / "r", tmp_path / "r")

    return put


def everything(folder):
    return b"".join(p.read_bytes() for p in Path(folder).rglob("*") if p.is_file())


def test_help_tells_a_newcomer_what_there_is(tmp_path):
    top, more = crmeval("--help", cwd=tmp_path).stdout, crmeval("run", "--help", cwd=tmp_path).stdout
    for word in ("run", "score", "report", "compare", "openai:"):
        assert word in top
    for word in (
        CASE,
        "update_crm_info",
        "baseline:lead",
        "sgd",
        "--base-url",
        "--judge-style",
        "--limit",
        "--concurrency",
        "--out",
    ):
        assert word in more


def test_default_run_and_its_folder(tmp_path):
    done = run(tmp_path, "--use-case", CASE, "--limit", 2)
    folder = next((tmp_path / "runs").iterdir())
    assert (
        "baseline:reference" in done.stdout and str(Path("runs") / folder.name / "report.html") in done.stdout
    )
    assert {"manifest.json", "responses.parquet", "scores.parquet", "report.html"} <= {
        p.name for p in folder.iterdir()
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (
        manifest["samples"]["n"] == 2
        and len(manifest["clients"]) == 5
        and manifest["judge"]["name"] == "embedded"
    )
    run(tmp_path, "--use-case", CASE, "--limit", 2)
    assert len(list((tmp_path / "runs").iterdir())) == 1, "the same plan uses the same folder"


def test_own_model_in_the_same_table(tmp_path, server):
    done = run(
        tmp_path,
        *(
            f"--model openai:good --baselines --base-url {server.url} --use-case {CASE} --limit 2 "
            "--price good=1,2 --out r"
        ).split(),
    )
    board = leaderboard(tmp_path / "r", prices={"good": (1, 2)})
    assert {r.client for r in board} == {
        "openai:good",
        "baseline:reference",
        "baseline:extractive",
        "baseline:lead",
        "baseline:rules",
        "baseline:template",
    }
    own_row = board.filter(model="good").rows[0]
    assert (
        own_row.cost_per_1000.value == pytest.approx(1000 * (10 * 1 + 5 * 2) / 1e6)
        and own_row.speed.mean_s.value > 0
    )
    assert "openai:good" in done.stdout and len(server.bodies) == 2
    run(
        tmp_path,
        *(
            f"--model openai:good --baselines --base-url {server.url} --use-case {CASE} --limit 2 --out r"
        ).split(),
    )
    assert len(server.bodies) == 2, "no request is paid twice"


def test_without_a_price_the_cost_is_unknown(tmp_path, server):
    done = run(
        tmp_path, *f"--model openai:good --base-url {server.url} --use-case {CASE} --limit 1 --out r".split()
    )
    assert "unknown" in done.stdout and leaderboard(tmp_path / "r").rows[0].cost_per_1000.value is None
    assert "unknown, not zero" in (tmp_path / "r/report.html").read_text()


@pytest.mark.parametrize("style,calls", [("fine", 2), ("rubric", 1)])
def test_a_language_model_judges(tmp_path, server, style, calls):
    run(
        tmp_path,
        *f"--model baseline:lead --judge openai:judge --judge-base-url {server.url}".split(),
        *f"--judge-style {style} --use-case {CASE} --limit 2 --out r".split(),
    )
    done = open_run(tmp_path / "r")
    assert Counter(s.status for s in done.scores) == {"ok": 10} and all(
        "openai:judge" in s.rater for s in done.scores
    )
    assert len(server.bodies) == 2 * calls
    assert done.manifest.judge["usage"]["calls"] == 2 * calls


def test_scoring_again_with_another_judge_keeps_both(tmp_path, server, lead):
    lead(tmp_path, 2)
    done = crmeval(
        "score", "r", "--judge", "openai:judge", "--judge-base-url", server.url, "--no-progress", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    raters = Counter(s.rater for s in open_run(tmp_path / "r").scores if s.metric == "accuracy")
    assert raters["embedded"] == 2 and len(raters) == 2
    assert len(leaderboard(tmp_path / "r")) == 2 and "openai:judge" in done.stdout


def test_ratings_by_people_become_rows(tmp_path, lead):
    lead(tmp_path, 1)
    sample = open_run(tmp_path / "r").samples[0].id
    rows = [
        f"{sample},baseline:lead,{m},3,ana"
        for m in ("factuality", "completeness", "conciseness", "instruction_following")
    ]
    (tmp_path / "people.csv").write_text("sample_id,client,metric,points,rater\n" + "\n".join(rows) + "\n")
    assert crmeval("score", "r", "--ratings", "people.csv", cwd=tmp_path).returncode == 0
    assert leaderboard(tmp_path / "r", method="manual").rows[0].metrics["accuracy"].value == 3
    (tmp_path / "people.csv").write_text(
        "sample_id,client,metric,points,rater\nx,baseline:lead,factuality,3,ana\n"
    )
    bad = crmeval("score", "r", "--ratings", "people.csv", cwd=tmp_path)
    assert bad.returncode == 2 and "row 1" in bad.stderr and "'x'" in bad.stderr


def test_models_that_misbehave_are_rows_with_a_status(tmp_path, server):
    models = [
        w
        for m in ("good", "empty", "refuse", "filtered", "cut", "broken")
        for w in ("--model", f"openai:{m}")
    ]
    done = run(
        tmp_path,
        *models,
        *f"--base-url {server.url} --use-case {CASE} --limit 2 --retries 0 --out r".split(),
        code=1,
    )
    stored = open_run(tmp_path / "r")
    assert {r.client.split(":")[1]: r.status for r in stored.responses} == {
        "good": "ok",
        "empty": "parse_error",
        "refuse": "refused",
        "filtered": "refused",
        "cut": "truncated",
        "broken": "api_error",
    }
    points = {s.client.split(":")[1]: s.points for s in stored.scores if s.metric == "accuracy"}
    assert (
        points["empty"] is None
        and points["refuse"] is None
        and points["broken"] is None
        and points["cut"] is not None
    )
    assert (
        "openai:broken answered none of 2 samples" in done.stderr
        and "not scored: 2 api_error, 2 parse_error, 4 refused" in done.stdout
    )


DOWN = "http://127.0.0.1:9/v1"


def test_an_endpoint_that_is_down_is_told_before_anything_is_asked(tmp_path, server):
    models = ("--model", f"openai:x@{DOWN}", "--model", f"openai:good@{server.url}")
    start = time.monotonic()
    done = run(tmp_path, *models, "--use-case", CASE, "--out", "r", code=2)
    assert "openai:x@127.0.0.1:9: nothing listens at this address" in done.stderr
    assert len(server.bodies) <= 1 and time.monotonic() - start < 20, "0.1 s without interpreter start"


def test_what_was_answered_before_an_endpoint_was_found_down_is_not_asked_again(tmp_path, server):
    words = ("--use-case", CASE, "--limit", 2, "--retries", 0, "--out", "r", "--model", "openai:good")
    run(tmp_path, *words, "--base-url", DOWN, code=2)
    run(tmp_path, *words, "--base-url", server.url, "--fresh")
    assert len(server.bodies) == 2


def asked_models(server):
    "Return how often each model was asked."
    return Counter(json.loads(body)["model"] for body in server.bodies)


def alone_in_one_of(trial, server, most):
    """Repeat a trial, at most twice, until the refused model was asked once; never more than `most` times.

    A first call has a head start of 0.05 s on this machine. Where that passes before the refusal arrives,
    because other processes hold the machine up, as many calls may start as may run at once.
    """
    for n in range(3):
        server.bodies.clear()
        done = trial(f"r{n}")
        counts = asked_models(server)
        assert 1 <= counts["denied"] <= most, counts
        if counts["denied"] == 1:
            return done, f"r{n}"
    raise AssertionError(f"the first call had no head start in three trials: {counts}")


@pytest.mark.parametrize("as_judge", [False, True])
def test_a_key_that_is_refused_ends_the_run_and_stands_nowhere(tmp_path, server, as_judge):
    model, judge = ("good", "denied") if as_judge else ("denied", "good")
    words = ("--model", f"openai:{model}", "--base-url", server.url, "--use-case", CASE)
    words += ("--judge", f"openai:{judge}", "--judge-base-url", server.url)
    done, _ = alone_in_one_of(lambda out: run(tmp_path, *words, "--out", out, code=2), server, 8)
    assert "openai:denied: the key is refused" in done.stderr
    answers = asked_models(server)["good"]
    assert answers == 0 or as_judge, "answers continue only while the first verdict is awaited"
    secret = endpoint.KEY.encode()
    assert secret not in everything(tmp_path) and endpoint.KEY not in done.stdout + done.stderr
    assert secret[3:] not in everything(tmp_path)


@pytest.mark.parametrize("pause", [0, 5.5], ids=["quick answers", "answers that take longer than patience"])
def test_no_answer_is_paid_twice_because_a_judge_had_a_wrong_key(tmp_path, server, pause):
    words = ("--model", "openai:good", "--base-url", server.url, "--use-case", CASE, "--limit", 6)
    words += ("--concurrency", 3)
    judge = ("--judge", "openai:denied", "--judge-base-url", server.url)

    def trial(out):
        server.pause = pause
        done = crmeval("run", *words, *judge, "--out", out, cwd=tmp_path)
        assert done.returncode == 2
        return done

    if pause:
        done, out = trial("r"), "r"
        assert done.stderr.count("waiting for answers in flight") == 1
    else:
        done, out = alone_in_one_of(trial, server, 3)
    server.pause = 0
    assert "answers received are kept" in done.stderr and "No more requests were sent" not in done.stderr
    assert len(server.bodies) > 2, "answers continued meanwhile"
    run(tmp_path, *words, "--out", out, "--judge", "embedded", "--fresh")
    counts = asked_models(server)
    assert counts["good"] == 6, "every answer is asked for once, however many came before the refusal"
    # as many judge calls may start as may run at once; those that still wait for a slot are not sent
    assert 1 <= counts["denied"] <= 3


def test_no_request_that_waits_for_its_slot_is_sent_after_a_refusal(tmp_path, server):
    words = ("--model", "openai:good", "--base-url", server.url, "--use-case", CASE, "--limit", 6)
    run(tmp_path, *words, "--judge", "embedded", "--out", "r")
    server.bodies.clear()
    server.refusal_pause = 0.4  # the first refusal comes while others wait: two requests may run at once
    judge = ("--judge", "openai:denied", "--judge-base-url", server.url, "--concurrency", 2)
    done = crmeval("score", "r", *judge, cwd=tmp_path)
    assert done.returncode == 2 and "the key is refused" in done.stderr
    assert 1 <= asked_models(server)["denied"] <= 2


def test_an_attack_in_a_response_stays_text(tmp_path, server):
    run(
        tmp_path,
        *f"--model openai:attack --base-url {server.url} --use-case {CASE} --limit 1 --out r".split(),
    )
    page = (tmp_path / "r/report.html").read_text(encoding="utf-8")
    assert (
        "<script>alert" not in page
        and "&lt;script&gt;" in page
        and "\u202e" not in page
        and "\x00" not in page
    )
    assert not any("alert(1)" in code for code in re.findall(r"<script[^>]*>(.*?)</script>", page, re.S)), (
        "scripts of the page contain no text of a model"
    )


@pytest.mark.parametrize(
    "words,message",
    [
        (("--use-case", "poetry"), "unknown use case 'poetry'; known: service_conversation_summary"),
        (("--use-case", "Call Summary"), "could be any of: service_call_summary, sales_call_summary"),
        (("--model", "gpt-4o"), "'gpt-4o', expected openai:NAME"),
        (("--model", "baseline:magic"), "magic"),
        (("--model", "replay:nowhere.csv"), "nowhere.csv"),
        (("--judge", "magic"), "judge is 'magic'"),
        (("--judge", "embedded", "--judge-style", "rubric"), "rubric"),
        (("--data", "nowhere.csv"), "neither a file nor a known source"),
        (("--limit", "0"), "limit is 0"),
        (("--concurrency", "-1"), "concurrency is -1"),
        (("--price", "gpt=cheap"), "expected MODEL=IN,OUT"),
        (("--base-url", "ftp://x", "--model", "openai:m"), "ftp://x"),
    ],
)
def test_wrong_words_end_in_one_sentence(tmp_path, words, message):
    done = run(tmp_path, *words, code=2)
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_missing_key_is_told_before_anything_happens(tmp_path):
    env = {k: "" for k in ("OPENAI_API_KEY", "OPENAI_BASE_URL")}
    done = run(tmp_path, "--model", "openai:gpt-4o-mini", code=2, env=env)
    assert "OPENAI_API_KEY" in done.stderr


@pytest.mark.parametrize(
    "name,text,message",
    [
        ("empty.csv", "", "empty"),
        ("columns.csv", "a,b\n1,2\n", "the columns are a, b"),
        (
            "twice.jsonl",
            '{"id": "x", "conversation": "Customer: hi"}\n{"id": "x", "conversation": "Customer: ho"}\n',
            "'x'",
        ),
        ("broken.jsonl", '{"id": "x"\n', "1"),
        ("bytes.csv", None, ""),
    ],
)
def test_a_bad_file_is_refused_by_row_and_column(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00\x01" if text is None else text.encode())
    done = run(tmp_path, "--data", name, "--use-case", CASE, code=2)
    assert name.split(".")[0] in done.stderr and message in done.stderr, done.stderr


def test_own_file_with_its_own_columns(tmp_path):
    (tmp_path / "mine.csv").write_text(
        "nr,chat,facts\n"
        'A1,"Customer: my lamp is broken\nAgent: a new lamp comes on Friday",'
        '"The lamp is broken. | A new lamp comes on Friday."\n'
    )
    run(
        tmp_path,
        *(
            f"--data mine.csv --use-case {CASE} --column id=nr --column conversation=chat --column "
            "key_facts=facts --model baseline:lead --out r"
        ).split(),
    )
    done = open_run(tmp_path / "r")
    assert [s.id for s in done.samples] == ["A1"] and len(done.samples[0].key_facts) == 2
    assert all(s.status == "ok" for s in done.scores)


def test_recorded_responses_are_a_system(tmp_path, lead):
    lead(tmp_path, 2)
    responses = open_run(tmp_path / "r").responses
    write_jsonl([{"sample_id": r.sample_id, "text": r.text} for r in responses[:1]], tmp_path / "old.jsonl")
    words = ("--model", "replay:old.jsonl", "--use-case", CASE, "--limit", 2, "--out", "s")
    assert "no response for 1 of 2 samples" in run(tmp_path, *words, code=2).stderr
    done = run(tmp_path, *words, "--partial")
    assert "1 sample without a recorded answer" in done.stdout + done.stderr
    assert sorted(r.status for r in open_run(tmp_path / "s").responses) == ["ok", "undefined"]
    write_jsonl([{"sample_id": "17", "text": ""}], tmp_path / "none.jsonl")
    none = run(tmp_path, "--model", "replay:none.jsonl", *words[2:-1], "t", "--partial", code=2).stderr
    assert "no response for 2 of 2 samples" in none and "such as '17'" in none


def test_folders_that_are_not_this_run(tmp_path, lead):
    words = ("--model", "baseline:lead", "--use-case", CASE, "--limit", 1, "--out", "r")
    lead(tmp_path, 1)
    path = tmp_path / "r/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    for done in (run(tmp_path, *words, code=2), crmeval("report", "r", cwd=tmp_path)):
        assert done.returncode == 2 and "schema version 99" in done.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    assert "not a run's" in run(tmp_path, *words[:-1], "mine", code=2).stderr
    assert "not a run folder" in crmeval("report", "mine", cwd=tmp_path).stderr


def test_compare_names_the_better_one(tmp_path):
    # five p-values are corrected together: the seven samples of one use case could not show a difference
    run(
        tmp_path,
        *(
            f"--model baseline:reference --model baseline:lead --use-case {CASE} --use-case "
            "service_live_chat_insights --out r"
        ).split(),
    )
    done = crmeval("compare", "r#reference", "r#lead", cwd=tmp_path)
    assert done.returncode == 0 and "a is better" in done.stdout and "widest differences" in done.stdout
    assert "name one of them" in crmeval("compare", "r", "r#lead", cwd=tmp_path).stderr


def test_killed_and_continued(tmp_path, server):
    server.pause = 0.15
    words = (
        f"run --no-progress --model openai:good --base-url {server.url} --use-case {CASE} "
        "--concurrency 2 --out r"
    ).split()
    process = commands.begun(*words, cwd=tmp_path)
    waited = time.monotonic() + 60
    while len(server.bodies) < 4 and time.monotonic() < waited:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert (
        "did not finish" in crmeval("report", "r", cwd=tmp_path).stderr
        or "not a run folder" in crmeval("report", "r", cwd=tmp_path).stderr
    )
    done = crmeval(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len({r.sample_id for r in open_run(tmp_path / "r").responses}) == 7
    assert len(server.bodies) <= 7 + 2, "only requests in flight are repeated"


def test_interrupted_and_told_how_to_go_on(tmp_path, server):
    server.pause = 0.3
    words = (
        f"run --no-progress --model openai:good --base-url {server.url} --use-case {CASE} "
        "--concurrency 1 --out r"
    ).split()
    process = subprocess.Popen(
        [sys.executable, "-m", "crmeval", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=endpoint.interruptible,
    )
    waited = time.monotonic() + 60
    while len(server.bodies) < 2 and time.monotonic() < waited:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "run the same again to continue" in err and "Traceback" not in err, (
        err
    )


def test_a_full_disk_loses_nothing_that_was_durable(tmp_path):
    words = ("--model", "baseline:lead", "--model", "baseline:reference", "--use-case", CASE, "--out", "r")
    done = run(tmp_path, *words, code=2, largest=20_000)
    assert "cannot write" in done.stderr and "journal.jsonl" in done.stderr
    kept = read_jsonl(tmp_path / "r/journal.jsonl")
    assert len(kept) > 1
    run(tmp_path, *words)
    assert len(open_run(tmp_path / "r").responses) == 14


@pytest.mark.parametrize("words", ["--help", "run --help", "audit verify -h"])
def test_output_into_a_pipe_that_closes(words, tmp_path):
    command = f"{sys.executable} -m crmeval {words}"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    first, code = done.stdout.splitlines()
    assert first.startswith("Usage: crmeval") and code == "0" and not done.stderr


def test_the_judge_that_was_named_signs_every_row(tmp_path, server):
    run(
        tmp_path,
        *(
            "--model baseline:reference --use-case service_call_summary --use-case "
            f"update_crm_info --limit 1 --judge openai:judge --judge-base-url {server.url} --out r"
        ).split(),
    )
    done = open_run(tmp_path / "r")
    assert {s.rater for s in done.scores} == {"openai:judge"} and leaderboard(done).rows[0].unscored == 0


def test_ratings_by_people_outlive_other_runs_in_the_folder(tmp_path, lead):
    words = ("--model", "baseline:lead", "--limit", 1, "--out", "r")
    lead(tmp_path, 1)
    sample = open_run(tmp_path / "r").samples[0].id
    (tmp_path / "people.csv").write_text(
        f"sample_id,client,metric,points,rater\n{sample},baseline:lead,factuality,3,ana\n"
    )
    assert crmeval("score", "r", "--ratings", "people.csv", cwd=tmp_path).returncode == 0
    refused = run(tmp_path, *words, "--use-case", "sales_call_summary", code=2).stderr
    assert "r holds a run of another plan (other samples" in refused and "with --add" in refused
    run(tmp_path, *words, "--use-case", "sales_call_summary", "--add")
    run(tmp_path, *words, "--use-case", CASE, "--add")
    assert len(open_run(tmp_path / "r").samples) == 2
    assert [s.rater for s in open_run(tmp_path / "r").scores if s.method == "manual"] == ["ana"]


def test_a_judge_that_is_down_is_told_and_not_a_success(tmp_path):
    words = ("--model", "baseline:lead", "--use-case", CASE, "--limit", 1, "--out", "r")
    done = run(tmp_path, *words, "--judge", "openai:x", "--judge-base-url", DOWN, code=2)
    assert "openai:x: nothing listens at this address" in done.stderr and "Unclosed" not in done.stderr


def test_a_damaged_table_is_named_and_can_be_made_again(tmp_path, lead):
    words = ("--model", "baseline:lead", "--use-case", CASE, "--limit", 2, "--out", "r")
    lead(tmp_path, 2)
    path = tmp_path / "r/responses.parquet"
    path.write_bytes(path.read_bytes()[:200])
    assert (
        "responses.parquet" in crmeval("report", "r", cwd=tmp_path).stderr
        and "delete the .parquet files" in run(tmp_path, *words, code=2).stderr
    )
    for p in (tmp_path / "r").glob("*.parquet"):
        p.unlink()
    run(tmp_path, *words)
    assert len(open_run(tmp_path / "r").responses) == 2


def test_a_panel_of_judges_and_repeats(tmp_path, server):
    words = ("--model", "baseline:reference", "--use-case", CASE, "--limit", 1, "--out", "r")
    judge = ("--judge", "openai:judge", "--judge-base-url", server.url)
    panel = ("--judge", "embedded", *judge, "--judge-panel", "mean")
    run(tmp_path, *words, *panel)
    scores = {s.metric: s for s in open_run(tmp_path / "r").scores}
    assert scores["factuality"].rater.startswith("panel(mean): ") and scores["factuality"].status == "ok"
    manifest = json.loads((tmp_path / "r/manifest.json").read_text())
    assert manifest["judge"]["usage"]["calls"] >= 2 and manifest["judge"]["usage"]["input_tokens"] > 0
    again = run(tmp_path, *words, *panel)
    assert (
        json.loads((tmp_path / "r/manifest.json").read_text())["judge"]["usage"] == manifest["judge"]["usage"]
    ), "a continued run keeps the account of earlier calls"
    assert f"judge: {manifest['judge']['usage']['calls']} calls" in again.stdout
    before = len(server.bodies)
    done = crmeval("score", "r", *judge, "--judge-repeats", 3, "--no-progress", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(server.bodies) - before == 4, (
        "each repeat is a new request; the answer in the folder counts as the first of the three"
    )
    assert "expected a whole number from 1" in run(tmp_path, "--judge-repeats", 0, code=2).stderr


def test_key_facts_are_drawn_by_the_judge_where_a_file_has_none(tmp_path, server):
    write_jsonl(
        [
            {
                "id": "m1",
                "conversation": "Customer: The line is dead. Agent: A technician comes on Friday. Thank you.",
            }
        ],
        tmp_path / "mine.jsonl",
    )
    words = (
        "--data",
        "mine.jsonl",
        "--use-case",
        CASE,
        "--model",
        "baseline:lead",
        "--model",
        "baseline:extractive",
    )
    run(tmp_path, *words, "--judge", "openai:judge", "--judge-base-url", server.url, "--out", "r")
    found = [s for s in open_run(tmp_path / "r").scores if s.metric == "completeness"]
    assert len(found) == 2 and all(s.status == "ok" and "drew the 3 key facts" in s.reason for s in found)
    assert (
        sum(
            "facts" in b
            and "key facts" in b.lower()
            and "<<<BEGIN sentences" not in b
            and "<<<BEGIN facts" not in b
            for b in server.bodies
        )
        == 1
    ), "one call for both systems"
    run(tmp_path, *words, "--out", "e")
    assert {s.status for s in open_run(tmp_path / "e").scores if s.metric == "completeness"} == {"undefined"}


def test_agreement_of_a_run_that_people_rated(tmp_path):
    run(tmp_path, *f"--model baseline:reference --model baseline:lead --use-case {CASE} --out r".split())
    assert "nobody has rated" in crmeval("agreement", "r", cwd=tmp_path).stderr
    responses = open_run(tmp_path / "r").responses
    with open(tmp_path / "people.csv", "w", encoding="utf-8") as f:
        f.write("sample_id,client,metric,points,rater\n")
        for i, r in enumerate(responses[:10]):
            f.write(f"{r.sample_id},{r.client},completeness,{1 + i % 4},ann\n")
    assert crmeval("score", "r", "--ratings", "people.csv", "--no-progress", cwd=tmp_path).returncode == 0
    done = crmeval("agreement", "r", "--table", "figures.csv", cwd=tmp_path)
    assert done.returncode == 0 and "people and judge" in done.stdout and "weighted kappa" in done.stdout, (
        done.stderr
    )
    assert "corrected_mean" in (tmp_path / "figures.csv").read_text()
    assert (
        "the run has scores by embedded" in crmeval("agreement", "r", "--judge", "gpt", cwd=tmp_path).stderr
    )
    assert "--limit is for labelled data" in crmeval("agreement", "r", "--limit", 0, cwd=tmp_path).stderr
    assert "for labelled data" in crmeval("agreement", "r", "--judge-repeats", 3, cwd=tmp_path).stderr


def test_agreement_on_labels_is_counted_beside_what_needs_no_grader(tmp_path, server):
    for source in ("xstest", "convabuse"):
        if not Path(os.environ.get("CRMEVAL_DATA", "no data"), source).is_dir():
            pytest.skip(f"source {source} is not in CRMEVAL_DATA")
    done = crmeval("agreement", "xstest", "--limit", 60, "--json", cwd=tmp_path)
    found = json.loads(done.stdout)["agreement"]
    lead = [x for x in found if x["group"] == "all" and x["statistic"] == "macro_f1"]
    assert lead[0]["rater"] == "embedded (left out)" and lead[0]["basis"] == "request left out"
    assert {"commonest label", "phrase matching", "one person"} <= {x["rater"] for x in lead}
    wrong = crmeval(
        "agreement", "convabuse", "--judge", "openai:x", "--judge-base-url", server.url, cwd=tmp_path
    )
    assert wrong.returncode == 2 and "labels of toxicity, for which no judge can be used" in wrong.stderr
    dead = ("--judge", "openai:denied", "--judge-base-url", server.url, "--limit", 2, "--yes")
    done_again = crmeval("agreement", "xstest-refusal", *dead, cwd=tmp_path)
    assert (
        done_again.returncode == 1
        and "gave no verdict" in done_again.stderr
        and "Unclosed" not in done_again.stderr
    )


def test_agreement_on_labelled_data(tmp_path, server):
    assert "finesure-factuality" in crmeval("agreement", "--help", cwd=tmp_path).stdout
    wrong = crmeval("agreement", "nonsense", cwd=tmp_path)
    assert wrong.returncode == 2 and "neither a run folder nor labelled data" in wrong.stderr
    if not Path(os.environ.get("CRMEVAL_DATA", "no data"), "finesure").is_dir():
        pytest.skip("source finesure is not in CRMEVAL_DATA")
    done = crmeval(
        *(
            f"agreement finesure-completeness --judge openai:judge --judge-base-url {server.url} "
            "--limit 4 --yes"
        ).split(),
        cwd=tmp_path,
    )
    assert done.returncode == 0 and "openai:judge" in done.stdout, done.stderr
    dead = crmeval(
        *(
            f"agreement finesure-completeness --judge openai:denied --judge-base-url {server.url} "
            "--limit 2 --yes"
        ).split(),
        cwd=tmp_path,
    )
    assert (
        dead.returncode == 1
        and "gave no verdict" in dead.stderr
        and "Unclosed" not in dead.stderr
        and "sk-planted" not in dead.stderr
    )
    assert (
        "without texts"
        in crmeval("agreement", "frank-factuality", "--judge", "embedded", cwd=tmp_path).stderr
    )


@pytest.mark.parametrize(
    "words", [["--max-usd", "2.5"], ["--max-calls", "7"], ["--max-usd", "1", "--max-calls", "9"]]
)
def test_a_budget_reaches_the_workers_of_a_cluster(words, tmp_path, monkeypatch):
    "The documented options of `--engine ray` are accepted; workers share the budget."
    from crmeval.cli.app import main

    plans = []

    def sharded(plan, progress):
        plans.append(plan)
        raise ValueError("enough seen")

    monkeypatch.setattr("crmeval.runs.shards.run_sharded", sharded)
    command = ["run", "--engine", "ray", "--model", "openai:m", "--base-url", "http://127.0.0.1:9/v1", *words]
    assert main([*command, "--out", str(tmp_path / "r"), "--no-progress"]) == 2
    limits = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    assert (plans[0].max_usd, plans[0].max_calls) == (limits.get("--max-usd"), limits.get("--max-calls"))


@pytest.mark.parametrize("words", (["--help"], ["run", "--help"], ["agreement", "-h"], ["--version"]))
def test_help_is_printed_and_not_displayed_in_a_notebook(words, capsys, monkeypatch):
    "In a Jupyter kernel, rich would display the text, so that code which reads the output got nothing."
    from rich import console

    from crmeval.cli.app import main

    monkeypatch.setattr(console, "_is_jupyter", lambda: True)
    assert main(words) == 0
    assert (__version__ if words == ["--version"] else "crmeval") in capsys.readouterr().out
