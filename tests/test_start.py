"""Modules loaded at start: a command must load large packages, which take about a second, only when needed.

No times are measured, so a slow machine fails nothing; a separate process reports its modules.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ENDPOINT = Path(__file__).resolve().parents[1] / "benchmarks" / "endpoint.py"
LARGE = (
    "numpy",
    "pandas",
    "sklearn",
    "datasets",
    "matplotlib",
    "scipy",
    "pyarrow",
    "openai",
    "pydantic",
    "jinja2",
)
# modules that an ordinary run over an endpoint does not need at its start
LATER = ("crmeval.layer", "crmeval.pages", "crmeval.live", "crmeval.people", "crmeval.validation")
# modules of scoring are loaded while the first answer is awaited
SCORING = (
    "crmeval.metrics.accuracy",
    "crmeval.metrics.criteria",
    "crmeval.metrics.trust",
    "crmeval.judges.embedded",
)

STARTED = """
import json, sys
from crmeval.cli.app import main
try:
    main({words!r})
finally:
    print()
    print(json.dumps(sorted(sys.modules)))
"""

# without the thread that preloads modules: only what the command itself imports counts
RUN = """
import json, sys
import crmeval.cli.run
from crmeval.systems.wire import Wire

loaded = {{}}

def noting(when, function):
    def noted(*args, **more):
        loaded.setdefault(when, sorted(sys.modules))
        return function(*args, **more)
    return noted

from crmeval.cli.app import main
crmeval.cli.run._read_ahead = lambda name: None
asked = noting("request", Wire.post)

def asking(*args):
    answer = asked(*args)  # what is loaded is noted
    import crmeval.pages.report as report
    if not hasattr(report.write_report, "noted"):
        report.write_report = noting("table", report.write_report)
        report.write_report.noted = True
    return answer

Wire.post = asking
code = main({words!r})
loaded["end"] = sorted(sys.modules)
print()
print(json.dumps([code, loaded]))
"""


def last_line(code, words, cwd):
    command = [sys.executable, "-c", code.format(words=[str(w) for w in words])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def among(names, modules):
    "Return the names (packages or modules) that are loaded."
    return [n for n in names if any(m == n or m.startswith(n + ".") for m in modules)]


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["run", "--help"]])
def test_help_and_mistakes_load_no_large_package(words, tmp_path):
    loaded = last_line(STARTED, words, tmp_path)
    assert among(LARGE, loaded) == []
    assert among(LATER, loaded) == []


@pytest.fixture(scope="module")
def run_loaded(tmp_path_factory):
    "Return the modules loaded at the first request, at the table, and at the end of a run."
    home = tmp_path_factory.mktemp("start")
    rows = [{"id": f"c{i}", "conversation": f"Customer: order {i} is late.\nAgent: sent."} for i in range(3)]
    data = home / "samples.jsonl"
    data.write_text("".join(json.dumps(r | {"key_facts": ["It is late."]}) + "\n" for r in rows))
    command = [sys.executable, str(ENDPOINT), "--latency-ms", "1"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        words = ["run", "--data", data, "--use-case", "service_conversation_summary", "--no-progress"]
        words += ["--model", "openai:generator", "--base-url", url, "--judge", "openai:judge"]
        words += ["--judge-base-url", url, "--judge-style", "rubric", "--out", home / "run"]
        code, loaded = last_line(RUN, words, home)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
    assert code == 0
    return loaded


def test_a_run_asks_its_first_question_without_large_packages(run_loaded):
    assert among(("aiohttp", "crmeval.systems.openai"), run_loaded["request"])  # the list is of this run
    assert among(LARGE[:-1], run_loaded["request"]) == []
    assert among(("crmeval.layer.trust_layer", "crmeval.live", *SCORING), run_loaded["request"]) == []
    # modules of unused systems are not loaded either
    assert among(("crmeval.systems.baselines", "crmeval.systems.responders"), run_loaded["request"]) == []
    assert among(SCORING, run_loaded["table"])


def test_a_table_stands_without_pandas_pictures_and_scipy(run_loaded):
    assert among(("pyarrow",), run_loaded["table"])
    assert among(("pandas", "scipy", "matplotlib", "sklearn", "datasets"), run_loaded["table"]) == []


def test_a_report_is_written_without_pandas(run_loaded):
    assert among(("matplotlib", "jinja2"), run_loaded["end"]) == ["matplotlib", "jinja2"]
    assert among(("pandas", "scipy", "sklearn", "datasets"), run_loaded["end"]) == []
