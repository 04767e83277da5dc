"What people do after their first run: a mistyped run, the sheets of raters, a log, a damaged table, help."

import io
import random
import re
import sys

import pytest
from commands import crmeval

from crmeval.cli.app import COMMANDS, main
from crmeval.runs.folder import read_manifest
from crmeval.runs.progress import Watch, show_progress

WIDTH = 80


def typed(capsys, *words):
    code = main([str(w) for w in words])
    return code, *capsys.readouterr()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    "Three run folders, as far as their manifest is concerned, in the default folder."
    monkeypatch.chdir(tmp_path)
    for name in ("demo-c608770e", "chats-93ce2a17", "q4 \u2013 Zürich"):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        (run / "manifest.json").write_text('{"schema_version": 1}')
        (run / "report.html").touch()
    return tmp_path


@pytest.mark.parametrize("seed", range(12))
def test_a_mistyped_run_is_named(seed, shelf):
    rng = random.Random(seed)
    name = rng.choice([p.name for p in (shelf / "runs").iterdir()])
    at = rng.randrange(len(name))
    wrong = name[:at] + rng.choice(["", "x", name[at] * 2]) + name[at + 1 :]
    if wrong == name:
        return
    with pytest.raises(ValueError, match="there is no such folder; did you mean") as told:
        read_manifest(f"runs/{wrong}")
    assert f"runs/{name}" in str(told.value)


@pytest.mark.parametrize("command", ["report", "view", "export", "rate", "erase", "score", "gate"])
def test_what_is_near_a_run_is_told(command, shelf, capsys):
    more = {"export": "--to csv", "rate": "--raters a,b", "erase": "--match x", "score": "--judge embedded"}
    words = (more | {"gate": "--against runs/demo-c608770e --client x"}).get(command, "").split()
    for given, told in {
        "demo-c608770e": "did you mean 'runs/demo-c608770e'?",
        "runs": "it holds runs: ",
        "runs/demo-c608770e/report.html": "it is in the folder of a run; name runs/demo-c608770e",
        "runs/../nothing": "there is no such folder",
    }.items():
        code, out, err = typed(capsys, command, given, *words)
        assert code == 2 and told in err and not out and err.count("\n") == 1, (given, err)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_word_in_the_place_of_a_plan(command, shelf, capsys):
    (shelf / "mine.csv").write_text("a: b,c: d\n1: 2: 3,4\n")
    for word, option in {
        "openai:gpt-4o": "--model",
        "baseline:lead": "--model",
        "demo": "--data",
        "mine.csv": "--data",
        "runs/demo-c608770e": "--out",
        "update_crm_info": "--use-case",
        "fairness": "--areas",
    }.items():
        code, _, err = typed(capsys, command, word)
        assert code == 2 and err.endswith(f"; did you mean {option} {word}?\n"), err
    assert "did you mean" not in typed(capsys, command, "nowhere.yaml")[2]


def test_a_missing_file_is_told_with_its_option(shelf, capsys):
    for words in (["--feedback", "f.jsonl"], ["--feedback=f.jsonl"]):
        _, _, err = typed(capsys, "training-files", "out", *words, "--asked", "a.jsonl")
        assert err == "crmeval: --feedback f.jsonl: No such file or directory\n"


@pytest.mark.parametrize("command", [(), *(tuple(c.split()) for c in COMMANDS)], ids=" ".join)
def test_no_example_of_a_help_is_broken(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    code, out, _ = typed(capsys, *command, "--help")
    assert code == 0
    examples = re.split(r"^(?:examples|labelled data|use cases.*):$", out, maxsplit=1, flags=re.M)[1:]
    for line in "".join(examples).splitlines():
        # what the parser breaks goes on at the margin; our own lines are indented, or begin a part
        assert line == line.rstrip() or len(line) < WIDTH, line
        assert not line or line[0] == " " or re.match(r"[a-z]", line), line
    lines = "".join(examples).splitlines()
    commands = [line for line in lines if line.startswith("  crmeval ")]
    assert all(re.search(r"\S$", line) and "   " not in line.strip() for line in commands)
    for line, after in zip(lines, lines[1:]):
        if line.startswith("  crmeval "):
            assert not after or after.startswith("  "), f"{line!r} goes on as {after!r}"


def test_a_name_of_a_data_set_is_apart_from_its_description(capsys):
    from crmeval.validation.labelled import LABELLED

    out = typed(capsys, "agreement", "--help")[1]
    assert all(re.search(rf"^  {re.escape(name)} ", out, re.M) for name in LABELLED)


def test_a_log_is_not_filled_with_bars(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    watch = Watch({"a": 3000})
    with show_progress(True, 3000, watch) as shown:
        for n in range(3000):
            shown.step(n + 1, None)
            if n % 1000 == 999:
                import time

                time.sleep(0.15)  # longer than the pause between two updates on a terminal
    assert 1 <= log.getvalue().count("answer/s") <= 2, log.getvalue()
    assert "3000/3000" in log.getvalue()


def test_what_comes_after_a_plan_for_raters(tmp_path):
    crmeval("run", "--limit", "1", "--model", "baseline:lead", "--out", "a run", cwd=tmp_path)
    before = crmeval("agreement", "a run", cwd=tmp_path)
    assert before.returncode == 2 and "crmeval score a run --ratings people.csv" in before.stderr
    planned = crmeval("rate", "a run", "--raters", "ana,bo", cwd=tmp_path)
    line = "crmeval rate 'a run' --import 'a run/rating/ana' 'a run/rating/bo'"
    assert f"when they have rated: {line}" in planned.stdout
    assert line in crmeval("agreement", "a run", cwd=tmp_path).stderr
    elsewhere = crmeval("rate", "a run", "--raters", "ana", "--overlap", "0", "--out", "p", cwd=tmp_path)
    assert "--import p/ana --out p" in elsewhere.stdout


@pytest.mark.parametrize("kind", ["empty", "text", "cut"])
def test_a_damaged_parquet_file_is_told_in_live(kind, tmp_path, monkeypatch, capsys):
    import pandas

    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "whole.parquet"
    pandas.DataFrame({"reply": ["1"], "time": ["2026-11-30T08:15:00Z"], "arm": ["control"]}).to_parquet(whole)
    content = {"empty": b"", "text": b"reply,time\n" * 50, "cut": whole.read_bytes()[:-20]}[kind]
    (tmp_path / "bad.parquet").write_bytes(content)
    for words in (["bad.parquet", "whole.parquet"], ["whole.parquet", "bad.parquet"]):
        code, _, err = typed(capsys, "live", "report", *words, "--out", "p.html")
        assert code == 2 and "an error in crmeval" not in err and err.count("\n") == 1, err
        assert "bad.parquet cannot be read as Parquet" in err or "column" in err, err


def test_a_store_of_prompts_that_is_a_file_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").write_text("")
    for words in (["list"], ["list", "--store", "prompts"], ["diff", "abcd1234", "shipped:update_crm_info"]):
        code, out, err = typed(capsys, "prompts", *words)
        assert code == 2 and "expected the folder of the versions" in err and not out, err


def test_training_files_refuse_a_full_folder_before_they_read_anything(tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    code, _, err = typed(capsys, "training-files", tmp_path / "full", "--data", tmp_path / "nowhere.csv")
    assert code == 2 and "exists and is not empty" in err
