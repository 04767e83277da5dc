"Folders of the live side on a disk that fills up at any byte, and processes that are killed at any call."

import errno
import os
import random
import subprocess
import sys

import pytest

from crmeval.cli.app import main
from crmeval.core.log import JournalError
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.feedback import Feedback, read_feedback, write_feedback
from crmeval.live.assignment import Assignment, read_assignment
from crmeval.live.prompt_versions import add_version, read_versions, shipped_version
from crmeval.tasks.use_cases import use_cases

fcntl = pytest.importorskip("fcntl")
KEY = b"k" * 32


class Disk:
    "Lets files grow by a number of bytes, and then no more, as a full disk does; writing over takes no room."

    def __init__(self, monkeypatch, room):
        self.room, self.write = room, os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, fd, data):
        data, size = bytes(data), os.fstat(fd).st_size
        at = size if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND else os.lseek(fd, 0, os.SEEK_CUR)
        over = min(len(data), size - at)
        taken = over + min(self.room, len(data) - over)
        self.room -= taken - over
        if data and not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.write(fd, data[:taken])


@pytest.mark.parametrize("seed", range(40))
def test_a_trail_on_a_full_disk_holds_what_was_acknowledged_and_nothing_else(tmp_path, monkeypatch, seed):
    "Whichever of the three files met the end of the disk; afterwards it goes on."
    pytest.importorskip("cryptography")
    rng, kept = random.Random(seed), []
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as trail:
        for i in range(rng.choice([0, 0, 3])):
            kept.append((trail.append("note", i=-i), -i))
        Disk(monkeypatch, rng.randrange(0, 3000))
        for i in range(1, 30):
            try:
                kept.append((trail.append("note", person=f"p{i % 4}", private={"i": i}, i=i), i))
            except OSError as e:
                assert e.errno == errno.ENOSPC
        monkeypatch.undo()
        assert trail.verify().ok, str(trail.verify())
        kept.append((trail.append("note", i=99), 99))
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as again:
        assert [(r.n, r.content["i"]) for r in again.records("note")] == kept
        assert again.verify().ok and again.append("note", i=100) == len(kept) + 1


@pytest.mark.parametrize("records", [0, 1, 5])
def test_a_trail_whose_head_was_never_written_goes_on(tmp_path, records):
    "Killed between making the file of the head and its first line; a cut tail would be told."
    pytest.importorskip("cryptography")
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as trail:
        for i in range(records):
            trail.append("note", i=i)
    (tmp_path / "t.jsonl.head").write_bytes(b"")
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as again:
        assert again.verify().ok == (records == 0)  # until the next record, an end that was cut is not seen
        assert again.append("note", i=9) == records + 1 and again.verify().ok


@pytest.mark.parametrize("state", ["written by another", "cut", "of another key"])
def test_a_gateway_that_cannot_go_on_with_its_trail_says_so_at_the_start(
    tmp_path, monkeypatch, state, capsys
):
    pytest.importorskip("cryptography")
    pytest.importorskip("starlette")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    path = tmp_path / "t.jsonl"
    with AuditTrail(path) as trail:
        for i in range(3):
            trail.append("note", i=i)
    if state == "cut":
        path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    if state == "of another key":
        (tmp_path / "t.jsonl.key").write_text("ab" * 32 + "\n")
    with AuditTrail(path) as writer:
        if state == "written by another":
            writer.claim()
        code = main(["gateway", "--model", "openai:any", "--port", "0", "--trail", str(path)])
    said = capsys.readouterr().err
    expected = {"written by another": "another process is writing", "cut": "missing at the end"}
    assert code == 2 and expected.get(state, "is of another key") in said and len(said.splitlines()) == 1


@pytest.fixture
def prompt():
    return shipped_version(next(iter(use_cases())))


@pytest.mark.parametrize("seed", range(15))
def test_prompts_on_a_full_disk_are_those_that_were_acknowledged(tmp_path, monkeypatch, prompt, seed):
    rng, kept = random.Random(seed), []
    Disk(monkeypatch, rng.randrange(0, 12_000))
    for i in range(8):
        try:
            text = f"{prompt.template}\nRule {i}: {'x' * rng.randrange(900)}"
            kept.append(add_version(tmp_path, prompt.use_case, text, reason="a test").id)
        except (OSError, JournalError):
            pass
    monkeypatch.undo()
    assert [v.id for v in read_versions(tmp_path)] == kept
    kept.append(add_version(tmp_path, prompt.use_case, prompt.template + "\nLater.", reason="a test").id)
    assert [v.id for v in read_versions(tmp_path)] == kept


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.999])
def test_half_a_version_of_a_killed_process_is_none(tmp_path, prompt, part):
    ids = [
        add_version(tmp_path, prompt.use_case, f"{prompt.template}\n{i}", reason="a test").id
        for i in range(3)
    ]
    file = tmp_path / "versions.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][: int(part * (len(lines[2]) - 2))])
    assert [v.id for v in read_versions(tmp_path)] == ids[:2]
    again = add_version(tmp_path, prompt.use_case, f"{prompt.template}\n2", reason="a test").id
    assert [v.id for v in read_versions(tmp_path)] == [*ids[:2], again] == ids


def test_a_last_version_without_its_line_break_is_whole(tmp_path, prompt):
    "As an editor or a merge leaves it."
    first = add_version(tmp_path, prompt.use_case, prompt.template + "\nA", reason="a test").id
    file = tmp_path / "versions.jsonl"
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    assert [v.id for v in read_versions(tmp_path)] == [first]
    second = add_version(tmp_path, prompt.use_case, prompt.template + "\nB", reason="a test").id
    assert [v.id for v in read_versions(tmp_path)] == [first, second]


KILLED = """
import builtins, os, sys
from pathlib import Path
from crmeval.layer.feedback import read_feedback, write_feedback
from crmeval.live.assignment import read_assignment
given, ends_at, steps = sys.argv[1], int(sys.argv[2]), 0
if given.endswith(".json"):
    held = read_assignment(given).with_shares({"control": 0.2, "new": 0.8})
    work = lambda: held.save(given)
else:
    held = read_feedback(given)[:7]
    work = lambda: write_feedback(held, given)

def watch(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.remove", "os.truncate") and steps >= 0:
        steps += 1
        if steps > ends_at:
            os._exit(9)

import crmeval.core.whole_file
if given.endswith(".parquet"):
    import pyarrow.parquet
sys.addaudithook(watch)
work()
steps = -1
"""


@pytest.mark.parametrize("name", ["f.jsonl", "f.parquet", "a.json"])
def test_a_file_that_is_written_anew_is_the_old_or_the_new_one_whenever_the_process_is_killed(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    file, seen = tmp_path / name, set()
    for step in range(40):
        if name == "a.json":
            Assignment("trial", {"control": 0.5, "new": 0.5}).save(file)
        else:
            write_feedback([Feedback(f"r{i}", "accept", shown="words " * 50) for i in range(300)], file)
        code = subprocess.run([sys.executable, "-c", KILLED, str(file), str(step)]).returncode
        assert code in (0, 9)
        found = len(read_assignment(file).stages) if name == "a.json" else len(read_feedback(file))
        seen.add(found)
        assert found in ({1, 2} if name == "a.json" else {300, 7}), step
        if code == 0:
            break
    assert code == 0 and step > 1 and len(seen) == 2
