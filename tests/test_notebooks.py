"Scheduling of notebooks beside the tests: how many run at once, and that every failure is reported."

import os
import time
from pathlib import Path

import notebooks
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="notebooks are run in forked processes")


def alone(path: Path) -> bool:
    "Whether no other call ran at the same time."
    lock = path.parent / "held"
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    time.sleep(0.1)
    lock.unlink()
    return True


def met(path: Path) -> bool:
    "Whether the other call of the pair runs at the same time."
    path.touch()
    others = {path.parent / f"pair {k}" for k in (1, 2)} - {path}
    end = time.monotonic() + 60
    while not all(other.exists() for other in others) and time.monotonic() < end:
        time.sleep(0.01)
    return all(other.exists() for other in others)


def pretended(path: Path):
    if path.name == "the tests end":
        (path.parent / "ended").touch()
    if path.name == "broken":
        raise RuntimeError("no result can be told")
    passed = met(path) if path.name.startswith("pair") else alone(path)
    return path, passed, 0.0, {}


def test_one_at_a_time_beside_the_tests_and_two_when_they_have_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "tested", pretended)
    monkeypatch.setenv("CRMEVAL_BESIDE", str(tmp_path / "ended"))
    names = ["a", "b", "c", "the tests end", "pair 1", "pair 2"]
    outcomes = {path.name: passed for path, passed, *_ in notebooks.outcomes([tmp_path / n for n in names])}
    assert outcomes == dict.fromkeys(names, True)


def test_without_tests_beside_them_two_run_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "tested", pretended)
    monkeypatch.delenv("CRMEVAL_BESIDE", raising=False)
    paths = [tmp_path / "pair 1", tmp_path / "pair 2"]
    assert sorted(path.name for path, passed, *_ in notebooks.outcomes(paths) if passed) == [
        "pair 1",
        "pair 2",
    ]


def test_what_fails_beside_a_notebook_is_no_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "tested", pretended)
    monkeypatch.delenv("CRMEVAL_BESIDE", raising=False)
    with pytest.raises(RuntimeError, match="no result can be told"):
        list(notebooks.outcomes([tmp_path / "broken"]))
