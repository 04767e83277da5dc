"Warnings about a model that judges its own answers, and kept judge replies on labelled data."

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import endpoint
import pytest

from crmeval import run
from crmeval.cli.app import main
from crmeval.runs.folder import open_run

OWN = "is judged by its own model"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", endpoint.KEY)
    httpd = endpoint.start()
    yield httpd
    endpoint.stop(httpd)


def told(folder):
    return [w.split(f" {OWN}")[0] for w in open_run(folder).manifest.warnings if OWN in w]


@pytest.mark.parametrize(
    "judge, model, own",
    [("openai:judge", "good", False), ("openai:judge", "judge", True), ("openai:x/Judge", "judge", True)],
)
def test_a_run_tells_who_is_judged_by_its_own_model(server, tmp_path, judge, model, own, monkeypatch):
    answer = endpoint.answer

    def answering(name, messages, headers={}):
        is_judge = "<<<BEGIN name" in messages[0]["content"]
        return answer("judge" if is_judge else "good", messages, headers)

    monkeypatch.setattr(endpoint, "answer", answering)
    run(
        [f"openai:{model}", "baseline:lead"],
        base_url=server.url,
        judge=["embedded", judge],
        judge_base_url=server.url,
        use_cases="service_call_summary",
        limit=1,
        out=tmp_path / "run",
        progress=False,
    )
    assert told(tmp_path / "run") == ([f"openai:{model}"] if own else [])


def test_scoring_again_by_the_own_model_is_told_once(server, tmp_path, capsys):
    run(
        "openai:stub-of-none",
        base_url=server.url,
        use_cases="service_call_summary",
        limit=1,
        out=tmp_path / "run",
        retries=0,
        progress=False,
    )
    again = ["score", str(tmp_path / "run"), "--judge", "openai:stub-of-none", "--judge-base-url", server.url]
    for _ in range(2):
        main(again)
        assert told(tmp_path / "run") == ["openai:stub-of-none"]
    assert OWN in capsys.readouterr().out


def test_scores_that_other_settings_replace_are_told(server, tmp_path, capsys):
    folder = tmp_path / "run"
    run("baseline:lead", use_cases="service_call_summary", limit=1, out=folder, progress=False)
    again = ["score", str(folder), "--judge", "openai:judge", "--judge-base-url", server.url]
    sentence = "Scores of openai:judge were replaced"
    for words, count in (
        ([], 0),
        ([], 0),
        (["--judge-temperature", "0.7"], 1),
        (["--judge-temperature", "0.7"], 1),
    ):
        assert main([*again, *words]) == 0
        assert (sentence in capsys.readouterr().out) == bool(count)
        warned = [w for w in open_run(folder).manifest.warnings if sentence in w]
        assert len(warned) == count and all("client.temperature was 0 and is 0.7" in w for w in warned)
    assert main([*again, "--metric", "fluency"]) == 0  # the first settings again, one more metric
    assert "client.temperature was 0.7 and is 0" in capsys.readouterr().out


SETS = [("diasumfact-factuality", "diasumfact_qmsum"), ("xstest-refusal", "xstest")]
N = 12


@pytest.fixture(params=SETS, ids=[name for name, _ in SETS])
def of(request, server, tmp_path, monkeypatch):
    "Arguments of a command that asks a judge about N responses, one at a time."
    name, source = request.param
    if not Path(os.environ.get("CRMEVAL_DATA", "no data"), source).is_dir():
        pytest.skip(f"source {source} is not in CRMEVAL_DATA")
    monkeypatch.chdir(tmp_path)
    options = ["--judge", "openai:judge", "--judge-base-url", server.url, "--limit", str(N)]
    return ["agreement", name, *options, "--concurrency", "1", "--yes"]


def measured(words, server, capsys, code=0):
    "Run the command; return its JSON, the number of calls at the endpoint, and standard error."
    before = len(server.bodies)
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    printed = capsys.readouterr()
    return json.loads(printed.out), len(server.bodies) - before, printed.err


def whole(of, server, capsys):
    "Return the figures and the number of calls of an uninterrupted run."
    found, calls, _ = measured([*of, "--out", "whole"], server, capsys)
    return found["agreement"], calls


def stopped(of, server, how, after):
    "Send the command a signal after `after` calls; return its exit code, standard error and number of calls."
    before, server.pause = len(server.bodies), 0.1
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "crmeval", *of]
    process = subprocess.Popen(command, preexec_fn=endpoint.interruptible, **options)
    until = time.monotonic() + 120
    while len(server.bodies) - before < after and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    server.pause = 0
    return process.returncode, err, len(server.bodies) - before


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_stopped_judge_on_labelled_data_goes_on_with_what_is_missing(of, server, capsys, how):
    figures, calls = whole(of, server, capsys)
    code, err, first = stopped(of, server, getattr(signal, how), after=5)
    assert 5 <= first < calls
    if how == "SIGINT":
        assert code == 130 and "kept in runs/agreement/" in err and "asks only what is missing" in err
    found, second, _ = measured(of, server, capsys)
    lost = first + second - calls
    assert (
        lost == 0 if how == "SIGINT" else 0 <= lost <= 1
    )  # SIGINT lets the pending call finish, SIGKILL does not
    assert found["ahead"]["calls"] == found["calls"] == second  # the estimate is correct
    assert found["ahead"]["kept"] == found["kept"] == calls - second >= 4
    assert found["agreement"] == figures
    assert measured(of, server, capsys)[1] == 0


def test_a_judge_that_the_budget_or_its_endpoint_stops_goes_on(of, server, capsys, monkeypatch):
    figures, calls = whole(of, server, capsys)
    _, first, err = measured([*of, "--max-calls", "3"], server, capsys, code=1)
    assert first == 3 and "3 replies are kept" in err

    answer, left = endpoint.answer, iter(range(4))

    def breaks(model, messages, headers={}):
        return answer(model, messages, headers) if next(left, None) is not None else (400, None, None, {})

    monkeypatch.setattr(endpoint, "answer", breaks)
    *_, err = measured(of, server, capsys, code=0)  # some verdicts are kept, others failed
    assert "7 replies are kept" in err  # failures are not kept
    monkeypatch.setattr(endpoint, "answer", answer)
    found, last, _ = measured(of, server, capsys)
    assert (found["kept"], last, found["agreement"]) == (7, calls - 7, figures)
    kept = list(Path("runs/agreement").iterdir())
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o077 == 0


def test_another_judge_is_asked_and_fresh_asks_anew(of, server, capsys):
    _, calls = whole(of, server, capsys)
    of = [*of, "--out", "whole"]
    for other in (
        ["--judge-temperature", "0.7"],
        ["--judge-max-tokens", "999"],
        ["--judge-base-url", f"{server.url}/"],
    ):
        command = [*of, *other] if other[0] not in of else [w if w != server.url else other[1] for w in of]
        calls_made = measured(command, server, capsys)[1]
        assert calls_made == (
            0 if other[0] == "--judge-base-url" else calls
        )  # a trailing slash changes nothing
    found, again, _ = measured([*of, "--fresh"], server, capsys)
    assert (again, found["kept"]) == (calls, 0)
    assert len(list(Path("whole").glob("*.before-1.jsonl"))) == 1
    assert main([*of[:2], "--fresh"]) == 2
    assert "--fresh is for a judge that is asked here" in capsys.readouterr().err


def test_a_torn_line_is_read_over_and_two_at_once_are_told(of, server, capsys):
    figures, calls = whole(of, server, capsys)
    of = [*of, "--out", "whole"]
    (path,) = Path("whole").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    found, calls_made, _ = measured(of, server, capsys)
    assert (calls_made, found["agreement"]) == (1, figures)
    from crmeval.core.log import open_locked

    before = path.read_bytes()
    with open_locked(path):
        main(of)
    assert "another process is writing" in capsys.readouterr().err and path.read_bytes() == before


def test_kept_answers_hold_no_text_of_the_set_and_no_key(of, server, capsys):
    whole(of, server, capsys)
    (path,) = Path("whole").iterdir()
    kept, prompt = path.read_text(), json.loads(server.bodies[-1])["messages"][1]["content"]
    longest = max(prompt.splitlines(), key=len)
    assert (
        endpoint.KEY not in kept and longest[:60] not in kept and json.dumps(longest[:60])[1:-1] not in kept
    )


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_replies_on_their_way_when_the_key_is_pressed_are_kept(of, server, capsys):
    of[of.index("--concurrency") + 1] = "4"
    _, calls = whole(of, server, capsys)
    _, _, first = stopped(of, server, signal.SIGINT, after=5)
    _, second, _ = measured(of, server, capsys)
    assert 5 <= first < calls and first + second == calls  # no pending call is repeated
