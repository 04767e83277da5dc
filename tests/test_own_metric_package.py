"The package of the tutorial on metrics: built, installed, used by every command; and what its absence does."

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from crmeval import compare, run
from crmeval.core.cards import MetricCard, score_of
from crmeval.core.records import Score
from crmeval.metrics import criteria
from crmeval.metrics.criteria import Criterion, add_criterion
from crmeval.metrics.metric import metric
from crmeval.tasks.load import load_any, load_use_case

ROOT = Path(__file__).parent.parent
RUN = ["--use-case", "service_call_summary", "--limit", "3", "--no-progress"]


def files_of_tutorial():
    "Return the texts of the two files, as the tutorial's cell defines them."
    notebook = json.loads((ROOT / "nbs/tutorials/add_a_metric.ipynb").read_text(encoding="utf-8"))
    cell = next("".join(c["source"]) for c in notebook["cells"] if "PROJECT = " in "".join(c["source"]))
    told = {}
    exec(cell.partition("package = ")[0], told)
    return told["PROJECT"], told["MODULE"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    "Return a folder for `PYTHONPATH` that holds the installed package."
    pytest.importorskip("setuptools")
    home = tmp_path_factory.mktemp("package")
    project, module = files_of_tutorial()
    (home / "pyproject.toml").write_text(project, encoding="utf-8")
    (home / "polite_close.py").write_text(module, encoding="utf-8")
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=home, check=True, capture_output=True)
    site = home / "site"
    zipfile.ZipFile(next((home / "dist").glob("*.whl"))).extractall(site)
    return site


def crmeval(folder, *words, beside=None):
    "Run a command, with a folder of packages beside this one; return its exit code and output."
    paths = [str(ROOT), *([str(beside)] if beside else [])]
    told = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "crmeval", *words]
    done = subprocess.run(command, cwd=folder, env=told, capture_output=True, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr


def test_the_package_is_known_to_every_command_and_its_absence_is_told(installed, tmp_path):
    systems = ["--model", "baseline:reference", "--model", "baseline:template"]
    words = ["run", *systems, *RUN, "--metric", "polite_close", "--out", "r"]
    code, told = crmeval(tmp_path, *words, beside=installed)
    assert code == 0 and "+ close" in told, told
    sides = ["r#baseline:reference", "r#baseline:template"]
    code, told = crmeval(tmp_path, "compare", *sides, "--json", beside=installed)
    assert code == 0 and json.loads(told)["beside"]["polite_close"]["n"] == 3, told
    code, told = crmeval(tmp_path, "report", "r")
    assert code == 0 and "mind: polite_close: not shown" in told, told
    assert "polite_close: not shown" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    code, told = crmeval(tmp_path, "report", "r", beside=installed)
    assert code == 0 and "+ close" in told and "not shown" not in told, told  # nothing was lost
    code, told = crmeval(tmp_path, *words)
    assert code == 2 and "polite_close" in told and "Traceback" not in told, told


@pytest.fixture
def own_metric():
    "Register a metric for one test: the share of letters that are vowels."
    card = MetricCard(
        "vowels", "Vowels", "Share of vowels.", ("response",), "Means nothing.", "invented here"
    )

    @metric(card)
    def vowels(response: str, *, judge=None) -> Score:
        "Share of vowels, 0 to 1."
        return score_of(card, sum(c in "aeiou" for c in response) / max(1, len(response)), "counted")

    yield add_criterion(Criterion(card, lambda sample, text, judge: vowels(text), "vowels", in_mean=False))
    criteria._ADDED.pop("vowels", None)


def test_two_systems_are_compared_by_an_own_metric(own_metric, tmp_path):
    systems = ["baseline:reference", "baseline:lead"]
    options = {"data": load_use_case("service_call_summary", limit=6), "progress": False}
    done = run(systems, metrics=["vowels"], out=tmp_path / "own", **options)
    found = compare(done, client_a=systems[0], client_b=systems[1])
    mean = {
        c: sum(s.points for s in done.scores if (s.metric, s.client) == ("vowels", c)) / 6 for c in systems
    }
    assert found.beside["vowels"].value == pytest.approx(mean[systems[0]] - mean[systems[1]])
    assert "+ vowels" in str(found) and list(found.differences)[0] == "accuracy"
    plain = run(systems, out=tmp_path / "plain", **options)
    without = compare(plain, client_a=systems[0], client_b=systems[1])
    assert without.beside == {} and str(without.differences) == str(found.differences)
    assert compare(done, plain, client_a=systems[0], client_b=systems[0]).beside == {}  # only one side has it


def test_data_sets_are_joined_as_the_error_says(tmp_path):
    (tmp_path / "own.jsonl").write_text(
        '{"id": "x1", "transcript": "Agent: It was lost.", "key_facts": ["a"]}\n'
    )
    own = str(tmp_path / "own.jsonl")
    for wrong in (["demo", own], ["demo", load_use_case("service_call_summary", limit=1)]):
        with pytest.raises(ValueError, match="read each data set with crmeval.tasks.load.load_any"):
            run(["baseline:lead"], data=wrong, out=tmp_path / "r", progress=False)
    demo = load_any("demo", use_cases=["service_call_summary"], limit=2)
    done = run(
        ["baseline:lead"],
        data=[*demo, *load_any(own, use_cases=["service_call_summary"])],
        out=tmp_path / "r",
        progress=False,
    )
    assert len(done.samples) == 3
