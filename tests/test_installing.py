"An editable install takes precedence over a folder of the same name; the code runs on the oldest Python."

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
import pythons

ROOT = Path(__file__).parent.parent
SCORE = """
from crmeval import completeness, factuality, load_use_case, run
import crmeval
s = completeness("The lamp comes on Friday.", key_facts=["The lamp comes on Friday."])
assert s.fraction == 1.0, s
print(crmeval.__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    "Return (Python of a new environment, folder with an editable install of a clone called crmeval)."
    pytest.importorskip("setuptools")
    home = tmp_path_factory.mktemp("editable")
    clone = home / "crmeval"
    clone.mkdir()
    for name in "setup.py", "settings.ini", "README.md", "LICENSE", "pyproject.toml":
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, clone)
    shutil.copytree(ROOT / "crmeval", clone / "crmeval", ignore=shutil.ignore_patterns("__pycache__"))
    # the setuptools call of `pip install -e .`, without downloads
    build = "import sys; from setuptools import build_meta; build_meta.build_editable(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(home)], cwd=clone, check=True, capture_output=True)
    environment = home / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = environment / "lib" / version / "site-packages"
    (wheel,) = home.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    paths = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (site / "requirements.pth").write_text("\n".join(paths))
    return environment / "bin" / "python", clone


def run_in(folder, python, *arguments):
    options = {"cwd": folder, "capture_output": True, "text": True, "timeout": 120}
    return subprocess.run(
        [str(python), *arguments], env={"PATH": "/usr/bin:/bin", "MPLBACKEND": "agg"}, **options
    )


def test_the_install_is_a_line_and_no_finder(installed):
    _, clone = installed
    (wheel,) = clone.parent.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = [n for n in archive.namelist() if n.endswith(".pth")]
    assert archive.read(name).decode().strip() == str(clone)
    assert not [n for n in archive.namelist() if n.endswith(".py")]


FOLDERS = {  # name -> content of the folder in which Python runs
    "nothing": [],
    "results in a folder of the same name": ["crmeval/demo/scores.parquet", "crmeval/report.html"],
    "data in a folder of the same name": ["crmeval/data/judge/other.json"],
    "folders called as its wings": ["crmeval/metrics/a.txt", "crmeval/core/b.txt", "core/c.txt"],
    "a notebook beside it": ["crmeval/notes.ipynb", "crmeval.ipynb"],
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("how", ["script", "command", "module"])
def test_a_folder_of_the_same_name_gives_way(installed, name, how, tmp_path):
    python, clone = installed
    for path in FOLDERS[name]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "score.py").write_text(SCORE)
    arguments = {"script": ["score.py"], "command": ["-c", SCORE], "module": ["-m", "score"]}[how]
    done = run_in(tmp_path, python, *arguments)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == clone / "crmeval"


def test_a_script_beside_the_clone(installed):
    python, clone = installed
    (clone.parent / "score.py").write_text(SCORE)
    for folder, argument in (
        (clone.parent, "score.py"),
        (clone, "../score.py"),
        (clone / "crmeval", "../../score.py"),
    ):
        done = run_in(folder, python, argument)
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()) == clone / "crmeval" / "__init__.py"


def test_the_command_beside_the_clone(installed):
    python, clone = installed
    done = run_in(clone.parent, python, "-m", "crmeval", "--help")
    assert done.returncode == 0 and "run" in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["crmeval.whl", "packages of a job.zip"])
def test_an_archive_is_refused_in_one_sentence(tmp_path, name):
    archive = tmp_path / name
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (ROOT / "crmeval").rglob("*.py"):
            packed.write(path, path.relative_to(ROOT))
    program = f"import sys; sys.path.insert(0, {str(archive)!r}); from crmeval import factuality"
    done = run_in(tmp_path, sys.executable, "-c", program)
    assert done.stderr.splitlines()[-1].startswith("ImportError: crmeval reads files beside its modules")
    assert f"unpack {archive}, or install it with pip" in done.stderr


# Python versions


def settings():
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]


def test_the_oldest_python_is_the_same_everywhere():
    oldest = settings()["min_python"]
    assert pythons.supported()[0] == oldest
    assert pythons.supported() == ["3.10", "3.11", "3.12", "3.13"]
    # the type check assumes that Python, including its standard library
    stated = re.search(r'pythonVersion = "([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert stated and stated[1] == oldest


NEWER = {  # code that the oldest Python does not accept -> part of the message
    "try:\n    pass\nexcept* ValueError:\n    pass\n": "except*",
    "def first[T](x: T) -> T:\n    return x\n": "type parameter",
    "type Pair = tuple[int, int]\n": "type",
    'x = f"{\'a\' + f"{1}"}"\n': "f-string",
}


def ruff_says(*paths):
    version = "py" + settings()["min_python"].replace(".", "")
    rules = ["--isolated", "--select", "E9,F63", "--target-version", version, "--output-format", "concise"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *rules, *map(str, paths)], capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_no_word_of_a_newer_python():
    pytest.importorskip("ruff")
    code, output = ruff_says(ROOT / "crmeval", ROOT / "tests", ROOT / "setup.py")
    assert code == 0, output


@pytest.mark.parametrize("text", NEWER)
def test_words_of_a_newer_python_are_seen(text, tmp_path):
    pytest.importorskip("ruff")
    (tmp_path / "newer.py").write_text(text)
    assert ruff_says(tmp_path / "newer.py")[0] != 0


LATER = {  # additions after 3.10, by module; the type check finds them too, if installed
    "tomllib": ["*"],
    "datetime": ["UTC"],
    "typing": [
        "Self",
        "Never",
        "LiteralString",
        "assert_never",
        "assert_type",
        "Required",
        "NotRequired",
        "Unpack",
    ],
    "itertools": ["batched"],
    "enum": ["StrEnum", "verify", "member", "nonmember"],
    "asyncio": ["TaskGroup", "Runner", "timeout", "timeout_at"],
    "contextlib": ["chdir"],
    "hashlib": ["file_digest"],
    "warnings": ["deprecated"],
    "math": ["sumprod", "cbrt", "exp2", "fma"],
    "os": ["process_cpu_count"],
    "logging": ["getLevelNamesMapping", "getHandlerByName"],
}
BUILT_IN = re.compile(r"\b(?:ExceptionGroup|BaseExceptionGroup|PythonFinalizationError)\b|\.add_note\(")


def later_names(text):
    "Return names in a module's text that the oldest Python does not have."
    found = BUILT_IN.findall(text)
    for module, names in LATER.items():
        if names == ["*"]:
            found += re.findall(rf"^\s*(?:import|from) {module}\b", text, re.MULTILINE)
            continue
        words = "|".join(names)
        imported = re.findall(rf"from {module} import ([^\n(]+|\([^)]*\))", text)
        found += [n for line in imported for n in re.findall(rf"\b(?:{words})\b", line)]
        found += re.findall(rf"(?<![\w.]){module}\.(?:{words})\b", text)
    return found


def test_no_name_of_a_newer_library():
    found = {
        p.name: names
        for p in (ROOT / "crmeval").rglob("*.py")
        if (names := later_names(p.read_text("utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "import tomllib",
        "from datetime import UTC, datetime",
        "datetime.UTC",
        "from typing import (\n    Any,\n    Self,\n)",
    ]
    + ["itertools.batched(x, 2)", "raise ExceptionGroup('a', [])", "e.add_note('x')", "asyncio.TaskGroup()"],
)
def test_names_of_a_newer_library_are_seen(text):
    assert later_names(text)


def test_names_that_are_as_old_are_not_seen():
    text = "from datetime import datetime, timezone\nself.timeout = timeout\nasyncio.wait_for(x, timeout=3)\n"
    text += "mine.batched(x)"
    assert not later_names(text)


def test_a_python_that_is_not_there_is_skipped_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pythons, "pyenv_versions", lambda version: [])
    monkeypatch.setattr(pythons, "uv", lambda *a, limit=60: (False, "error: no download\n  cause: dns error"))
    assert pythons.main(["3.12"]) == 0
    assert "Python 3.12: skipped: there is no interpreter here" in capsys.readouterr().out


def test_a_python_whose_tests_fail_fails(monkeypatch, capsys):
    monkeypatch.setattr(pythons, "uv", lambda *a, limit=60: (True, sys.executable))
    monkeypatch.setattr(pythons, "said", lambda *a, **k: (False, "1 failed"))
    assert pythons.main(["3.12"]) == 1
    assert "Python 3.12: failed: 1 failed" in capsys.readouterr().out


# --- development requirements and their licences ---
def asked_for(*fields):
    from packaging.requirements import Requirement

    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return [Requirement(word) for field in fields for word in config["DEFAULT"][field].split()]


def locked():
    "Return {name: versions} of the lock; a package may have several, for several Pythons."
    from packaging.utils import canonicalize_name

    versions = {}
    for line in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([\w.-]+)(?:\[[\w,]+\])?==([^\s;]+)", line):
            versions.setdefault(canonicalize_name(found[1]), []).append(found[2])
    return versions


def test_the_lock_holds_what_is_asked_for():
    from packaging.utils import canonicalize_name

    versions = locked()
    fields = (
        "requirements",
        "run_requirements",
        "dev_requirements",
        "rating_requirements",
        "local_requirements",
    )
    stale = [
        str(requirement)
        for requirement in asked_for(*fields, "notebook_requirements")
        if not any(
            requirement.specifier.contains(v) for v in versions.get(canonicalize_name(requirement.name), [])
        )
    ]
    assert not stale, f"run make lock: {stale}"


def test_the_lock_names_no_index():
    assert "://" not in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


def test_every_requirement_has_a_floor():
    "A requirement without a lower bound would include releases that were never tested."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    fields = [name for name in config["DEFAULT"] if name == "requirements" or name.endswith("_requirements")]
    bare = [str(r) for r in asked_for(*fields) if not any(s.operator in (">=", "==") for s in r.specifier)]
    assert not bare


@pytest.mark.parametrize(
    "component, licence",
    [
        ({"licenses": [{"license": {"id": "MIT"}}]}, "MIT"),
        ({"licenses": [{"expression": "Apache-2.0 OR MIT"}]}, "Apache-2.0 OR MIT"),
        ({"licenses": [{"license": {"name": "A licence\nof many lines"}}]}, "A licence"),
        ({"licenses": [{"license": {"id": "MIT"}}, {"license": {"id": "MIT"}}]}, "MIT"),
        ({"licenses": [{"license": {"name": " "}}]}, "not stated"),
        ({}, "not stated"),
    ],
)
def test_a_licence_is_read_or_told_as_missing(component, licence):
    import sbom

    assert sbom.licence_of(component) == licence


def test_packages_without_a_licence_come_last():
    import sbom

    mit = {"licenses": [{"license": {"id": "MIT"}}]}
    by_licence = sbom.by_licence([{"name": "b"}, {"name": "a", "version": "1", **mit}])
    assert list(by_licence.items()) == [("MIT", ["a 1"]), ("not stated", ["b"])]


def test_the_oldest_python_gets_the_oldest_releases(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(
        pythons, "run_core", lambda v, folder, lowest, extras, files: seen.append((v, lowest)) or "ok"
    )
    assert pythons.main([]) == 0
    assert [v for v, lowest in seen if lowest] == pythons.supported()[:1]
    assert "oldest release of every requirement" in capsys.readouterr().out


def test_the_oldest_the_newest_and_a_named_python_get_the_whole_core():
    oldest, *between, newest = pythons.supported()
    for version in (oldest, newest):
        assert pythons.chosen_tests(version, named=False) == pythons.CORE
    for version in between:
        some = pythons.chosen_tests(version, named=False)
        assert some and set(some) < set(pythons.CORE)
        assert pythons.chosen_tests(version, named=True) == pythons.CORE
