"Type checks are skipped if nothing relevant changed: what counts as a change."

import json
import subprocess

import pytest
import type_check


@pytest.fixture
def house(tmp_path, monkeypatch):
    "Return (folder of a checked package, list of later runs of the checker, its exit code)."
    for name, text in {
        "pyproject.toml": "[tool.basedpyright]\n",
        "crmeval/__init__.py": "",
        "crmeval/core/room.py": "import json\nimport numpy as np\nfrom crmeval import core\n",
        "crmeval/py.typed": "",
        "crmeval/data/rows.csv": "a\n",
        "tests/typed_use.py": "import crmeval\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    ran, code = [], [0]

    def checker(words, cwd):
        ran.append(cwd)
        return subprocess.CompletedProcess(words, code[0])

    monkeypatch.setattr(type_check, "RECORD", tmp_path / "typed.json")
    monkeypatch.setattr(type_check.subprocess, "run", checker)
    monkeypatch.setenv("CRMEVAL_PROVE", "1")
    assert type_check.main([str(tmp_path)]) == 0 and ran == [tmp_path]
    monkeypatch.delenv("CRMEVAL_PROVE")
    ran.clear()
    return tmp_path, ran, code


def test_what_is_as_it_was_is_not_checked_again(house, capsys):
    folder, ran, _ = house
    capsys.readouterr()
    assert type_check.main([str(folder)]) == 0 and not ran
    assert capsys.readouterr().out.startswith("proven")
    (folder / "crmeval" / "data" / "rows.csv").write_text("b\n")
    (folder / "crmeval" / "core" / "__pycache__").mkdir()
    (folder / "crmeval" / "core" / "__pycache__" / "room.pyc").write_bytes(b"x")
    assert type_check.main([str(folder)]) == 0 and not ran, "the type checker reads neither"


@pytest.mark.parametrize("how", ["altered", "gone", "new", "moved"])
@pytest.mark.parametrize("name", ["crmeval/core/room.py", "tests/typed_use.py", "pyproject.toml"])
def test_any_other_source_is_checked(house, name, how):
    folder, ran, _ = house
    path = folder / name
    if how == "altered":
        path.write_text(path.read_text().replace("crmeval", "crmeva", 1) + "#")
    elif how == "gone":
        path.unlink()
    else:
        (folder / "crmeval" / "another.py").write_text(path.read_text())
        if how == "moved":
            path.unlink()
    assert type_check.main([str(folder)]) == 0 and ran == [folder]
    assert type_check.main([str(folder)]) == 0 and len(ran) == 2, "a pass is recorded only on request"


def test_another_release_of_what_is_used_is_checked(house, monkeypatch, capsys):
    folder, ran, _ = house
    proof = json.loads((folder / "typed.json").read_text())
    assert {"numpy", "basedpyright"} <= set(proof["releases"]) and "json" not in proof["releases"]
    version = type_check.metadata.version
    for name in ("numpy", "basedpyright"):
        versions = {name: "0.0.1"}
        monkeypatch.setattr(
            type_check.metadata, "version", lambda n, versions=versions: versions.get(n) or version(n)
        )
        ran.clear()
        assert type_check.main([str(folder)]) == 0 and ran == [folder]
        assert f"{name} is 0.0.1, was {proof['releases'][name]}" in capsys.readouterr().out


def test_what_fails_is_a_failure_and_proves_nothing(house, monkeypatch):
    folder, ran, code = house
    (folder / "crmeval" / "core" / "room.py").write_text("x: int = ''\n")
    before, code[0] = (folder / "typed.json").read_text(), 1
    monkeypatch.setenv("CRMEVAL_PROVE", "1")
    assert type_check.main([str(folder)]) == 1 and ran == [folder]
    assert (folder / "typed.json").read_text() == before
    (folder / "typed.json").unlink()
    monkeypatch.delenv("CRMEVAL_PROVE")
    assert type_check.main([str(folder)]) == 1 and len(ran) == 2
