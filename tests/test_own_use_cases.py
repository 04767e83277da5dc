"A use case of one's own: on the command line, and read again by a process that never heard of it."

import json
import subprocess
import sys

import pytest

from crmeval.cli.app import main
from crmeval.tasks import use_cases

CHURN = {
    "id": "sales_churn_note",
    "name": "Sales: Churn Note",
    "cloud": "sales",
    "task": "generation",
    "flavour": "short",
    "timing": "asynchronous",
    "calls_per_year": 20_000,
    "inputs": {"history": "What happened with this account"},
    "output": "One paragraph",
    "prompt": "Say whether this account may leave.\n\n{history}\n\n{instructions}",
    "instructions": [{"kind": "max_words", "n": 60, "text": "Use at most 60 words."}],
}


@pytest.fixture(autouse=True)
def forgotten():
    use_cases._ADDED.clear()
    yield
    use_cases._ADDED.clear()


def crmeval(*words, cwd):
    "In a process of its own."
    return subprocess.run(
        [sys.executable, "-m", "crmeval", *words], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def here(capsys, monkeypatch, folder, *words):
    "(exit code, what was said) of the command in this process."
    monkeypatch.chdir(folder)
    try:
        code = main(list(words))
    except SystemExit as e:
        code = e.code
    out = capsys.readouterr()
    return code, out.out + out.err + (code if isinstance(code, str) else "")


def test_from_a_file_to_a_report(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.json").write_text(json.dumps([CHURN]))
    (tmp_path / "notes.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "id": f"a{i}",
                    "history": f"{i} March: the customer ordered {i} more seats.",
                    "key_facts": [f"The customer ordered {i} more seats."],
                }
            )
            + "\n"
            for i in (2, 3)
        )
    )
    words = (
        "run",
        "--data",
        "notes.jsonl",
        "--use-case",
        "churn note",
        "--model",
        "baseline:lead",
        "--out",
        "r",
        "--no-progress",
    )
    code, said = here(capsys, monkeypatch, tmp_path, *words)
    assert code and "unknown use case 'churn note'" in said and not (tmp_path / "r").exists()
    code, said = here(capsys, monkeypatch, tmp_path, *words, "--own-use-cases", "mine.json")
    assert not code, said
    (tmp_path / "mine.json").unlink()
    report = crmeval("report", "r", cwd=tmp_path)
    assert report.returncode == 0 and "Churn Note" in (tmp_path / "r" / "report.html").read_text(
        encoding="utf-8"
    ), report.stderr


def test_a_file_that_cannot_work_is_refused_in_a_sentence(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.json").write_text(json.dumps([{**CHURN, "prompt": "Say something."}]))
    code, said = here(capsys, monkeypatch, tmp_path, "run", "--own-use-cases", "mine.json")
    assert code and "mine.json: use case 'sales_churn_note': prompt fills []" in said


@pytest.mark.parametrize(
    "change,said",
    [
        ({"id": "Churn Note"}, "lower-case"),
        ({"task": "poem"}, "task is 'poem'"),
        ({"calls_per_year": 0}, "whole number from 1"),
        ({"inputs": {}}, "inputs is"),
        ({"instructions": [{"kind": "max_words"}]}, "'kind' and 'text'"),
        ({"colour": "red"}, "colour"),
        ({"id": "service_call_summary"}, "known already"),
    ],
)
def test_what_cannot_be_meant(change, said):
    with pytest.raises(ValueError, match=said):
        use_cases.add_use_case({**CHURN, **change})
    assert not use_cases._ADDED


def test_the_shipped_ones_stay_as_they_are():
    before = dict(use_cases.use_cases())
    use_cases.add_use_case(CHURN)
    assert (
        list(use_cases.use_cases()) == [*before, "sales_churn_note"]
        and {k: v for k, v in use_cases.use_cases().items() if k in before} == before
    )
    assert use_cases.own_use_cases(list(before)) == []
