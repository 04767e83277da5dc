"The status of each answer is reported beside n: leaderboard, terminal, report and JSON document."

import json
import re

import endpoint
import pytest

from crmeval.cli.app import main
from crmeval.core.records import Response, Sample, Score
from crmeval.pages.board import leaderboard_table
from crmeval.pages.leaderboard import METRICS, leaderboard, table_lines
from crmeval.runs.answered import ANSWER_KINDS, answer_kind, answer_kinds, answer_warnings, failures
from crmeval.runs.dry_run import dry_run
from crmeval.runs.evaluation import run
from crmeval.runs.folder import Run
from crmeval.systems.openai import OpenAIClient


@pytest.fixture
def server():
    httpd = endpoint.start()
    yield httpd
    endpoint.stop(httpd)


@pytest.mark.parametrize(
    "status, text, kind",
    [
        ("ok", "Hello.", "whole"),
        ("ok", "", "empty"),
        ("ok", None, "empty"),
        ("ok", " \n\t\u3000", "empty"),
        ("ok", "\u3053\u3093\u306b\u3061\u306f", "whole"),
        ("truncated", "Hel", "cut"),
        ("truncated", "", "cut"),
        ("refused", None, "refused"),
        ("api_error", None, "failed"),
        ("parse_error", None, "failed"),
        ("parse_error", "half a body", "failed"),
        ("undefined", None, "missing"),
        ("not_run", None, "not asked"),
    ],
)
def test_what_became_of_an_answer(status, text, kind):
    assert answer_kind(Response("s", "m", text, status=status)) == kind


def rows(**counts):
    "Return answers of one system with these counts of statuses; 'empty' is an answer without text."
    made = []
    for status, n in counts.items():
        text = {"ok": "Hello.", "empty": "", "truncated": "Hel"}.get(status)
        made += [Response("s", "m", text, status="ok" if status == "empty" else status, error="HTTP 500")] * n
    return made


@pytest.mark.parametrize(
    "counts, kinds",
    [
        (dict(ok=1, truncated=21), ["cut"]),
        (dict(ok=9, truncated=1), []),
        (dict(ok=89, truncated=11), ["cut"]),
        (dict(ok=8, empty=2), ["empty"]),
        (dict(ok=8, refused=2), ["refused"]),
        (dict(ok=4, truncated=3, empty=2, refused=1), ["cut", "empty"]),
        (dict(ok=1, api_error=9), []),
        (dict(ok=3), []),
    ],
)
def test_a_warning_comes_where_many_are_lost(counts, kinds):
    warnings = answer_warnings(rows(**counts))
    assert len(warnings) == len(kinds)
    for warning, kind in zip(warnings, kinds):
        assert warning.startswith("m: ") and kind in warning


def test_a_warning_says_how_many_and_what_helps():
    (warning,) = answer_warnings(rows(ok=1, truncated=21))
    assert "21 of 22 answers (95%)" in warning and "--max-tokens (max_tokens)" in warning


def test_causes_of_failures():
    errors = [
        "no complete answer within 120 s (after 5 tries)",
        "no complete answer within 120 s",
        "HTTP 500: x",
    ]
    lost = [Response("s", "m", None, status="api_error", error=e) for e in errors]
    assert failures(lost) == {"m": (3, "no complete answer within 120 s")}
    assert failures(rows(ok=2, refused=1, not_run=1)) == {}


# In the tables


def board_of(**counts):
    "Return a run of one system with these counts of statuses; answers with a text score 3."
    samples, responses, scores = [], [], []
    for i, r in enumerate(rows(**counts)):
        made = Response(f"s{i}", "m", r.text, status=r.status, error=r.error, use_case="service_call_summary")
        key = {"sample_id": f"s{i}", "client": "m", "use_case": "service_call_summary", "rater": "embedded"}
        samples.append(Sample(f"s{i}", "service_call_summary", {"transcript": "x"}))
        responses.append(made)
        known = bool(r.text) or r.status == "ok"
        scores += [
            Score(m, 3.0 if known else None, status="ok" if known else "api_error", **key) for m in METRICS
        ]
    return Run(None, {"clients": [{"name": "m"}]}, samples, responses, scores)


def test_n_counts_what_was_scored_and_the_rest_stands_beside_it():
    found = leaderboard(board_of(ok=4, truncated=3, empty=1, api_error=2, refused=1))
    (row,) = found.rows
    assert (row.n, row.unscored) == (8, 3) and row.n == row.metrics["accuracy"].n
    assert row.answers == {"cut": 3, "empty": 1, "refused": 1, "failed": 2}
    head, cells = table_lines(found)
    assert head[head.index("n") :][:6] == ["n", "unscored", "cut", "empty", "refused", "failed"]
    assert cells[head.index("n") :][:6] == ["8", "3", "3", "1", "1", "2"]
    frame = found.to_pandas()
    assert frame[["n", "cut", "empty", "refused", "failed", "not_asked"]].values.tolist() == [
        [8, 3, 1, 1, 2, 0]
    ]


def test_columns_of_what_did_not_occur_are_not_shown():
    head, _ = table_lines(leaderboard(board_of(ok=4)))
    assert not set(ANSWER_KINDS) & set(head)
    assert set(ANSWER_KINDS) & set(table_lines(leaderboard(board_of(ok=4, truncated=1)))[0]) == {"cut"}


def test_the_board_of_the_report_shows_them(tmp_path):
    run_of = board_of(ok=4, truncated=3)
    run_of.folder = tmp_path
    page = leaderboard_table(run_of).html()
    assert re.search(r">\s*Cut\s*<", page) and not re.search(r">\s*Refused\s*<", page)


# On the command line


def called(capsys, server, *words, model="cut"):
    "Run two samples; return the exit code, standard output and standard error."
    fixed = f"run --base-url {server.url} --use-case service_call_summary --limit 2 --retries 0".split()
    code = main([*fixed, "--model", f"openai:{model}", "--no-progress", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_run_of_cut_answers_says_so_everywhere(capsys, server, tmp_path):
    out = str(tmp_path / "r")
    code, output, _ = called(capsys, server, "--out", out)
    assert code == 0 and re.search(r"\bcut\b", output.splitlines()[2])
    assert "2 of 2 answers (100%) were cut" in output and "--max-tokens" in output
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "2 of 2 answers (100%) were cut" in page and re.search(r">\s*Cut\s*<", page)
    code, output, _ = called(capsys, server, "--out", out, "--json")
    document = json.loads(output)
    assert document["answers"] == {"openai:cut": {"wanted": 2, "cut": 2}}
    assert document["leaderboard"][0]["answers"] == {"cut": 2}
    assert any("were cut" in w for w in document["warnings"])


@pytest.mark.parametrize("model, kind", [("empty", "empty"), ("refuse", "refused"), ("filtered", "refused")])
def test_empty_and_refused_answers_are_told(capsys, server, tmp_path, model, kind):
    _, output, _ = called(capsys, server, "--out", str(tmp_path / "r"), "--json", model=model)
    document = json.loads(output)
    assert document["answers"][f"openai:{model}"] in ({"wanted": 2, kind: 2}, {"wanted": 2, "failed": 2})


def test_one_failed_row_is_an_exit_code_a_cause_and_a_way_on(capsys, server, tmp_path, monkeypatch):
    answer, calls = endpoint.answer, []

    def half(model, messages, headers={}):
        calls.append(model)
        return answer("good" if len(calls) != 2 else "broken", messages, headers)

    monkeypatch.setattr(endpoint, "answer", half)
    code, output, err = called(capsys, server, "--out", str(tmp_path / "r"), "--concurrency", "1", model="m")
    assert code == 1
    assert "1 of 2 answers of openai:m failed: HTTP 500: try later" in err
    assert "the same command tries them again" in err and "exit code is 1" in err
    head = output.splitlines()[2].split()
    assert "failed" in head
    code, output, err = called(capsys, server, "--out", str(tmp_path / "r"), "--concurrency", "1", model="m")
    assert (code, len(calls)) == (0, 3) and "failed" not in err, "only the failed call must be repeated"


def test_a_judge_that_fails_on_some_answers_is_an_exit_code(capsys, server, tmp_path, monkeypatch):
    answer, calls = endpoint.answer, []

    def half(model, messages, headers={}):
        calls.append(model)
        if model == "stub" and "sentences" in messages[1]["content"] and calls.count("stub") > 3:
            return 500, None, None, {}
        return answer(model, messages, headers)

    monkeypatch.setattr(endpoint, "answer", half)
    words = ["--judge", "openai:stub", "--judge-base-url", server.url, "--concurrency", "1"]
    code, _, err = called(capsys, server, "--out", str(tmp_path / "r"), *words, model="good")
    assert code == 1 and re.search(
        r"the judge openai:stub gave no verdict on \d of 2 answers: .*HTTP 500", err
    ), err


# The temperature, and settings sent to the endpoint


@pytest.mark.parametrize(
    "word, sent", [(["--temperature", "none"], None), (["--temperature", "endpoint"], None)]
)
def test_the_command_line_leaves_the_temperature_to_the_endpoint(capsys, server, tmp_path, word, sent):
    called(capsys, server, "--out", str(tmp_path / "r"), *word, model="good")
    assert all("temperature" not in json.loads(b) for b in server.bodies)
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest["plan"]["temperature"] is None and manifest["clients"][0]["temperature"] is None


@pytest.mark.parametrize(
    "settings_given, sent", [({}, 0), ({"temperature": 0}, 0), ({"temperature": 0.7}, 0.7)]
)
def test_a_temperature_that_is_said_is_sent(server, tmp_path, settings_given, sent):
    settings = dict(base_url=server.url, use_cases="service_call_summary", limit=1, progress=False)
    run("openai:good", out=tmp_path / "r", **settings, **settings_given)
    assert json.loads(server.bodies[0])["temperature"] == sent


def test_none_in_python_and_in_a_file_means_the_same(server, tmp_path):
    (tmp_path / "plan.yaml").write_text(
        f"models: [openai:good]\nbase_url: {server.url}\ntemperature: none\nlimit: 1\n"
    )
    run(plan=tmp_path / "plan.yaml", use_cases="service_call_summary", out=tmp_path / "a", progress=False)
    settings = dict(base_url=server.url, use_cases="service_call_summary", limit=1, progress=False)
    run("openai:good", temperature=None, out=tmp_path / "b", **settings)
    assert len(server.bodies) == 2 and all("temperature" not in json.loads(b) for b in server.bodies)


def test_settings_of_a_judge_reach_it(capsys, server, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-for-the-judge-alone-1234")
    words = ["--judge", "openai:stub", "--judge-base-url", server.url, "--judge-max-tokens", "900"]
    words += ["--judge-timeout", "30", "--judge-api-key-env", "JUDGE_KEY", "--judge-temperature", "none"]
    called(capsys, server, "--out", str(tmp_path / "r"), *words, "--max-tokens", "60", model="good")
    bodies = [json.loads(b) for b in server.bodies]
    judges = [b for b in bodies if b["model"] == "stub"]
    assert judges and all(b["max_tokens"] == 900 and "temperature" not in b for b in judges)
    assert all(b["max_tokens"] == 60 for b in bodies if b["model"] == "good")
    manifest = (tmp_path / "r" / "manifest.json").read_text()
    assert (
        json.loads(manifest)["judge"]["client"]["max_tokens"] == 900 and "for-the-judge-alone" not in manifest
    )


def test_max_tokens_reach_a_line_and_a_client_that_says_otherwise_is_told(server, tmp_path):
    settings = dict(base_url=server.url, use_cases="service_call_summary", limit=1, progress=False)
    run("openai:good", max_tokens=60, out=tmp_path / "a", **settings)
    assert json.loads(server.bodies[0])["max_tokens"] == 60
    client = OpenAIClient("good", base_url=server.url)
    with pytest.raises(ValueError, match=r"max_tokens is 60, .* write OpenAIClient\(\.\.\., max_tokens=60\)"):
        run([client], max_tokens=60, out=tmp_path / "b", **settings)
    client = OpenAIClient("good", base_url=server.url, max_tokens=60)
    assert run([client], max_tokens=60, out=tmp_path / "c", **settings).responses[0].status == "ok"


def test_settings_without_a_model_are_told(tmp_path):
    done = run(max_tokens=60, use_cases="service_call_summary", limit=1, out=tmp_path / "r", progress=False)
    assert any("max_tokens=60 changes nothing" in w for w in done.manifest.warnings)


# A dry run announces what the run does


@pytest.mark.parametrize("judge", [["embedded"], ["openai:stub"]])
@pytest.mark.parametrize("repeats", [1, 2])
def test_a_dry_run_counts_the_calls_of_the_run(server, tmp_path, judge, repeats):
    settings = dict(
        base_url=server.url, use_cases="service_call_summary", limit=2, repeats=repeats, judge=judge
    )
    settings |= dict(judge_base_url=server.url, max_tokens=60, out=tmp_path / "r")
    planned = dry_run(["openai:good"], **settings)
    done = run(["openai:good"], progress=False, **settings)
    systems = [r for r in planned.rows if r.role == "system"]
    assert sum(r.calls for r in systems) == len(done.responses) == 2 * repeats
    assert all(r.output_tokens <= 60 * r.calls for r in systems)
    judges = sum(r.calls for r in planned.rows if r.role == "judge")
    assert judges >= sum(json.loads(b)["model"] == "stub" for b in server.bodies)
    again = dry_run(["openai:good"], **settings)
    assert [r.calls for r in again.rows if r.role == "system"] == [0]
    assert [r.recorded for r in again.rows if r.role == "system"] == [2 * repeats]
    assert again.calls == 0 and sum(r.recorded for r in again.rows if r.role == "judge") == judges


def test_counts_of_kinds_are_in_their_order():
    assert list(
        answer_kinds(rows(undefined=1, not_run=1, api_error=1, refused=1, empty=1, truncated=1))
    ) == list(ANSWER_KINDS)
