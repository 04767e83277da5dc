"Trainings whose inputs are unchanged are not run again: what counts as an input and as a change."

import json
import os
import subprocess
import sys
from pathlib import Path

import proven
import pytest


def notebook(path: Path, code: str, prose: str = "why") -> Path:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": [prose]},
        {"cell_type": "code", "metadata": {}, "source": [code], "outputs": [], "execution_count": None},
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8"
    )
    return path


@pytest.fixture
def house(tmp_path, monkeypatch):
    "A small project with one proven training that reads files of the project and of the data folder."
    root, data = tmp_path / "house", tmp_path / "data"
    (root / "crmeval").mkdir(parents=True)
    data.mkdir()
    for path in (root / "crmeval" / "weights.json", root / "crmeval" / "room.py", data / "rows.jsonl"):
        path.write_text("1\n")
    monkeypatch.setattr(proven, "ROOT", root)
    monkeypatch.setattr(proven, "RECORD", root / "proven.json")
    monkeypatch.setenv("CRMEVAL_DATA", str(data))
    training = notebook(root / "nbs" / "training" / "judge.ipynb", "1 + 1")
    opened = [
        str(root / "crmeval" / "weights.json"),
        str(root / "crmeval" / "room.py"),
        str(data / "rows.jsonl"),
    ]
    read = proven.inputs(training, opened)
    proven.write({"nbs/training/judge.ipynb": {"releases": proven.releases(), "inputs": read}})
    return root, data, training


def test_what_is_as_it_was_is_not_run_again(house):
    root, _, training = house
    assert proven.changed(training) is None
    assert set(proven.record()["nbs/training/judge.ipynb"]["inputs"]) == {
        "$CRMEVAL_DATA/rows.jsonl",
        "crmeval/room.py",
        "crmeval/weights.json",
        "nbs/training/judge.ipynb",
    }
    notebook(training, "1 + 1", prose="another word")
    assert proven.changed(training) is None, "text cells are no input"
    assert proven.changed(notebook(root / "nbs" / "training" / "new.ipynb", "1")) == "it was never proven"


@pytest.mark.parametrize("name", ["crmeval/weights.json", "crmeval/room.py", "$CRMEVAL_DATA/rows.jsonl"])
@pytest.mark.parametrize("how", ["altered", "gone", "longer"])
def test_any_other_byte_runs_it(house, name, how):
    path = proven.located(name)
    if how == "gone":
        path.unlink()
    else:
        path.write_text({"altered": "2\n", "longer": "1\n\n"}[how])
    assert proven.changed(house[2]) == f"{name} is another"


def test_another_code_cell_release_or_data_folder_runs_it(house, monkeypatch):
    training = house[2]
    monkeypatch.setattr(proven, "releases", lambda: {"python": "2.7"})
    assert "python is 2.7" in proven.changed(training)
    monkeypatch.undo()
    monkeypatch.setattr(proven, "ROOT", house[0])
    monkeypatch.setattr(proven, "RECORD", house[0] / "proven.json")
    monkeypatch.delenv("CRMEVAL_DATA", raising=False)
    assert proven.changed(training) == "$CRMEVAL_DATA/rows.jsonl is another"
    monkeypatch.setenv("CRMEVAL_DATA", str(house[1]))
    notebook(training, "1 + 2")
    assert proven.changed(training) == "nbs/training/judge.ipynb is another"


def test_the_hook_sees_what_is_opened(tmp_path):
    "In a process of its own: an audit hook cannot be removed."
    seen = tmp_path / "seen.txt"
    seen.write_text("x")
    code = (
        "import sys, proven\nopened = set()\nsys.addaudithook(proven.watched(opened))\n"
        "open(sys.argv[1]).read()\nassert sys.argv[1] in opened"
    )
    here = os.environ | {"PYTHONPATH": str(Path(proven.__file__).parent)}
    subprocess.run([sys.executable, "-c", code, str(seen)], check=True, env=here)


def test_a_name_without_its_folders_is_of_where_the_notebook_stood(tmp_path):
    "Relative names are resolved in the notebook's folder, even after the process has left it."
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "own.txt").write_text("x")
    code = (
        "import os, sys, proven\nopened = set()\nsys.addaudithook(proven.watched(opened))\n"
        "os.chdir(sys.argv[1])\nopen('own.txt').read()\nos.listdir()\nos.chdir('/')\n"
        "proven.ROOT = proven.Path(sys.argv[1]).parent.resolve()\n"
        "print(*proven.inputs(proven.Path('nb.ipynb'), opened), sep='\\n')"
    )
    here = os.environ | {"PYTHONPATH": str(Path(proven.__file__).parent)}
    words = [sys.executable, "-c", code, str(tmp_path / "texts")]
    names = subprocess.run(words, check=True, env=here, capture_output=True, text=True).stdout.split()
    assert sorted(names) == ["texts/", "texts/own.txt"]


def test_what_may_be_proven_and_what_is_computed_every_time():
    nbs = Path(proven.__file__).resolve().parent.parent / "nbs"
    kept = {path.relative_to(nbs).as_posix() for path in nbs.rglob("*.ipynb") if proven.provable(path)}
    others = {name for name in kept if not name.startswith("training/")}
    if not kept:
        pytest.skip("notebooks are not here: this is an installed package")
    assert others == {f"{name}.ipynb" for name in proven.MEASURED}


def test_labelled_data_that_may_still_come_are_told(monkeypatch):
    "A missing data set appears in no record, so it is reported separately."
    from crmeval.validation import labelled

    monkeypatch.setattr(labelled, "at_hand", lambda name: name != "frank-factuality")
    assert proven.lacking() == ["frank-factuality"]


def test_the_record_is_of_trainings_that_exist_and_names_what_they_write():
    "A proof of a training must include shipped weights and rows of the data folder."
    root = Path(__file__).resolve().parent.parent
    record = json.loads((root / "tests" / "proven.json").read_text(encoding="utf-8"))
    assert sum("/training/" in name for name in record) > 5
    for name, proof in record.items():
        assert (root / name).is_file() and proven.provable(root / name)
        assert name in proof["inputs"] and any(read.startswith("crmeval/") for read in proof["inputs"]), name
        if "/training/" in name or name.endswith("/agreement.ipynb"):
            assert any(read.startswith("crmeval/data/judge/") for read in proof["inputs"]), name
            assert any(read.startswith("$CRMEVAL_DATA/") for read in proof["inputs"]), name


def test_a_file_that_comes_to_a_listed_folder_runs_it(house):
    root, data, training = house
    read = proven.inputs(training, [f"{data}/", f"{root / 'crmeval'}/", str(data / "rows.jsonl")])
    assert set(read) >= {"$CRMEVAL_DATA/./", "crmeval/", "$CRMEVAL_DATA/rows.jsonl"}
    proven.write({"nbs/training/judge.ipynb": {"releases": proven.releases(), "inputs": read}})
    assert proven.changed(training) is None
    (root / "crmeval" / "__pycache__").mkdir()
    assert proven.changed(training) is None, "Python's caches are no input"
    (data / "more.jsonl").write_text("")
    assert proven.changed(training) == "$CRMEVAL_DATA/./ is another"


@pytest.mark.parametrize(
    "code, noted",
    [
        ("import pathlib; list(pathlib.Path(sys.argv[1]).glob('*.txt'))", "FOLDER/"),
        ("os.listdir(sys.argv[1])", "FOLDER/"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import subprocess; subprocess.run(['true'], close_fds=False)", "subprocess.Popen"),
        ("os.system('true')", "os.system"),
        ("if not os.fork(): os._exit(0)", "os.fork"),
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect"),
        ("sys.path.insert(0, sys.argv[1]); import room_of_its_own", None),
        ("import subprocess; subprocess.run(['git', '--version'], capture_output=True)", None),
    ],
)
def test_the_hook_sees_what_is_listed_started_and_called(tmp_path, code, noted):
    (tmp_path / "room_of_its_own.py").write_text("")
    program = f"import os, sys, proven\nseen = set()\nsys.addaudithook(proven.watched(seen))\n{code}\n"
    program += "print(*sorted(n for n in seen if n.endswith('/') or n in proven.OUTSIDE), sep='\\n')"
    here = os.environ | {"PYTHONPATH": str(Path(proven.__file__).parent)}
    done = [sys.executable, "-c", program, str(tmp_path)]
    names = subprocess.run(done, check=True, env=here, capture_output=True, text=True).stdout.split()
    expected = noted and noted.replace("FOLDER", str(tmp_path))
    assert expected in names if expected else not names


@pytest.mark.parametrize(
    "name, opened, read, whole",
    [
        ("training/a", {"os.fork"}, {"$CRMEVAL_DATA/x": "1"}, True),
        ("training/a", set(), {"crmeval/x": "1"}, False),  # it trained nothing
        ("reports/agreement", set(), {"crmeval/x": "1"}, False),
        ("reports/leaderboard", {"crmeval/x"}, {"crmeval/x": "1"}, True),
        ("reports/leaderboard", {"socket.connect"}, {"crmeval/x": "1"}, False),
        ("methodology/trust", {"subprocess.Popen"}, {"$CRMEVAL_DATA/x": "1"}, False),
        ("core/07_corrected", set(), {"crmeval/x": "1"}, False),
        ("core/07_corrected", set(), {"$CRMEVAL_DATA/x": "1"}, True),
    ],
)
def test_what_proves_a_notebook(name, opened, read, whole):
    assert proven.proves(Path(f"/nbs/{name}.ipynb"), opened, read) is whole
