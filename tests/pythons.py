"""The core of the tests on each supported Python: `python tests/pythons.py [VERSION...]`.

The Python that runs this has the whole suite. For each other one an environment is created with the wheel's
requirements, in which the command and the tests of CORE run; a version between the oldest and the newest gets
only those that depend most on Python. If no interpreter is available, the version is skipped by name.

The oldest Python gets the oldest release that each requirement allows, so that every lower bound in
settings.ini is tested: the tests, a run with its report, a comparison. `--floors` also tests those of all
extras.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
CORE = ["test_text_kinds.py", "test_value_kinds.py", "test_mail.py", "test_import_kinds.py", "test_frames.py"]
# For versions in between: tests of reading files and mail, where Python's standard library does most of the
# work. The others test rules and patterns of the package. A version that is named explicitly gets all tests.
BETWEEN = ["test_text_kinds.py", "test_import_kinds.py"]
# Growth of time with text length depends on our patterns and the regular expression engine, unchanged since
# 3.11, and takes three quarters of the time of CORE: tested once with the earlier engine, which the oldest
# Python has, and once with the current one, by the Python with the whole suite.
SAME_ENGINE = ["-k", "not time_grows"]
NEEDED = ["pytest>=8", "hypothesis>=6.100", "polars>=1.0"]  # polars: for test_frames.py alone
EXTRAS = "run,rating"
ALL_EXTRAS = "run,rating,ray,privacy,language"
ALL_TESTS = [*CORE, "test_ray.py", "test_pii.py", "test_metrics_catalogue.py", "test_engine.py"]
FETCHED = 90  # seconds to wait for an interpreter
INSTALLED = 400  # seconds to install the package's requirements
RAN = {EXTRAS: 300, ALL_EXTRAS: 1200}  # seconds for the tests


def supported() -> list[str]:
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]["python_versions"].split()


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def said(arguments, limit, **options):
    "Return (whether a command succeeded, its output); a timeout counts as a failure."
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    try:
        done = subprocess.run(arguments, timeout=limit, **options)
    except subprocess.TimeoutExpired:
        return False, f"took more than {limit} s"
    except OSError as e:
        return False, str(e)
    return done.returncode == 0, done.stdout.strip()


def uv(*arguments, limit=60):
    command = [shutil.which("uv")] if shutil.which("uv") else [sys.executable, "-m", "uv"]
    return said([*command, *arguments], limit)


def source_in(folder: Path) -> Path:
    "Return a copy of the package's source: builds leave files beside it, and other checks build as well."
    copy = folder / "source"
    if not copy.exists():
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "crmeval", copy / "crmeval", ignore=skipped)
        for name in ("setup.py", "settings.ini", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
    return copy


def package_in(folder: Path) -> Path:
    "Return the wheel of an earlier check (CRMEVAL_WHEEL), or one built here once for all Pythons."
    earlier = Path(os.environ.get("CRMEVAL_WHEEL", ""))
    if earlier.is_file():
        return earlier
    made = folder / "dist"
    if not made.exists():
        uv("build", "--wheel", "--quiet", "--out-dir", str(made), str(source_in(folder)), limit=INSTALLED)
    # if none can be built, installing from the source shows the reason
    return next(made.glob("*.whl"), source_in(folder))


def pyenv_versions(version: str) -> list[Path]:
    "Return interpreters built by pyenv; uv sees them only while pyenv is active."
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return list(root.glob(f"versions/{version}.*/bin/python"))


def interpreter(version: str) -> tuple[str, str]:
    "Return (path, '') of a Python of a version, or ('', why there is none)."
    found, path = uv("python", "find", "--no-python-downloads", version)
    if found:
        return path.splitlines()[-1], ""
    if own := sorted(pyenv_versions(version)):
        return str(own[-1]), ""
    fetched, why = uv("python", "install", "--no-bin", version, limit=FETCHED)
    found, path = uv("python", "find", "--no-python-downloads", version) if fetched else (False, "")
    return (
        (path.splitlines()[-1], "")
        if found
        else ("", why.splitlines()[-1].strip() if why else "no reason given")
    )


def command_fails(command: Path, folder: Path) -> str:
    "Return what is wrong with the installed command, or ''."
    results = str(folder / "run of the floors")
    options = ["--limit", "1", "--no-progress", "--out", results]
    output = "crmeval says nothing"
    for words, expected in (
        (["run", "--help"], "--model"),
        (["run", "--baselines", "--use-case", "service_call_summary", *options], "report"),
        (["compare", f"{results}#baseline:lead", f"{results}#baseline:extractive"], "baseline:lead"),
    ):
        done, output = said([str(command), *words], 120, cwd=folder)
        if not done or expected not in output:
            return output[-1000:] or "crmeval says nothing"
    return ""


def chosen_tests(version: str, named: bool, extras: str = EXTRAS) -> list[str]:
    "Return the test files for a Python: all for the oldest, the newest and a named one."
    if extras != EXTRAS:
        return ALL_TESTS
    known = supported()
    return BETWEEN if version in known[1:-1] and not named else CORE


def run_core(version: str, folder: Path, lowest: bool, extras: str, files: list[str]) -> str:
    "Run test files with a Python; return the result, which begins with ok, skipped or failed."
    path, why = interpreter(version)
    if not path:
        return f"skipped: there is no interpreter here and none could be fetched ({why})"
    home = folder / version
    made, why = uv("venv", "--quiet", "--python", path, str(home))
    python = str(home / "bin" / "python")
    if not made:
        return f"failed: no environment could be made ({why})"
    packages = [f"{package_in(folder)}[{extras}]", *NEEDED]
    oldest = ["--resolution", "lowest-direct"] if lowest else []
    installed, why = uv("pip", "install", "--quiet", "--python", python, *oldest, *packages, limit=INSTALLED)
    if not installed and "No solution found" in why:
        return f"failed: the requirements do not fit this Python: {why[-1000:]}"
    if not installed:
        return f"skipped: the requirements could not be installed ({why[-300:]})"
    if output := command_fails(home / "bin" / "crmeval", home):
        return f"failed: {output}"
    start = time.monotonic()
    # from a folder outside the repository, so that the installed package is tested
    tests = [str(ROOT / "tests" / name) for name in files]
    chosen = SAME_ENGINE if sys.version_info >= (3, 11) and _number(version) >= (3, 11) else []
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(ROOT),
        *chosen,
        *tests,
    ]
    free = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    passed, output = said(command, RAN[extras], cwd=folder, env=free)
    last = next((line for line in reversed(output.splitlines()) if " passed" in line), "")
    return f"ok: {last} (took {time.monotonic() - start:.0f} s)" if passed else f"failed: {output[-3000:]}"


def main(words: list[str]) -> int:
    own, failed = f"{sys.version_info[0]}.{sys.version_info[1]}", False
    oldest = supported()[0]
    extras = ALL_EXTRAS if "--floors" in words else EXTRAS
    versions = [word for word in words if word != "--floors"] or ([oldest] if "--floors" in words else [])
    with tempfile.TemporaryDirectory() as folder:
        for version in versions or supported():
            if version == own and not versions:
                print(f"Python {version}: runs the whole suite")
                continue
            files = chosen_tests(version, bool(words), extras)
            result = run_core(version, Path(folder), version == oldest, extras, files)
            failed = failed or result.startswith("failed")
            which = " with the oldest release of every requirement" if version == oldest else ""
            print(f"Python {version}{which}: {result}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
