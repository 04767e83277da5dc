"""The benchmarks run, without timing: the endpoint answers and injects faults by seed,
a row counts its calls, frameworks that are not installed are skipped."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
TICKET = "0123456789ab"


@contextmanager
def endpoint(*options):
    process = subprocess.Popen(
        [sys.executable, str(BENCHMARKS / "endpoint.py"), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.stdin.close()
        assert process.wait(10) == 0  # it ends when its standard input closes
        process.stdout.close()


def ask(url, model, text, timeout=5):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(
        url + "/chat/completions", data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def kind_of_fault(url, text, timeout=10):
    try:
        ask(url, "generator", text, timeout)
    except urllib.error.HTTPError as e:
        return str(e.code), e.headers.get("retry-after")
    except Exception as e:
        return type(e).__name__, None  # each of the other faults raises an exception of its own
    return "answer", None


def test_endpoint_answers_as_a_model_and_as_a_judge():
    with endpoint("--latency-ms", "0") as (url, process):
        assert "refunded" in ask(url, "generator", "Summarise.")
        reply = json.loads(
            ask(url, "judge", f"<<<BEGIN name {TICKET}>>>\n- factuality: x\n- conciseness: y\n")
        )
        assert reply["ticket"] == TICKET and [r["criterion"] for r in reply["ratings"]] == [
            "factuality",
            "conciseness",
        ]
        assert (
            "GRADE: C" in ask(url, "judge", "End with GRADE: C or GRADE: I")
            and json.loads(ask(url, "judge", "How good is it?"))["score"] == 8
        )
        content = json.load(urllib.request.urlopen(url.removesuffix("/v1") + "/counts", timeout=5))
        assert (content["calls"], content["generation"], content["judge"], content["most_at_once"]) == (
            4,
            1,
            3,
            1,
        )
        process.stdin.close()
        assert json.loads(process.stdout.readline())["sent"] == {"answer": 4}


def test_faults_come_by_seed():
    options = (
        "--latency-ms",
        "0",
        "--faults",
        "429=0.2,500=0.2,reset=0.15,truncated=0.15,broken=0.15",
        "--retry-after-s",
        "0.1",
    )
    seen = []
    for seed, texts in ("1", range(30)), ("1", reversed(range(30))), ("2", range(30)):
        with endpoint(*options, "--seed", seed) as (url, _):
            seen.append({i: kind_of_fault(url, f"question {i}") for i in texts})
    first, other_order, other_seed = seen
    assert first == other_order != other_seed  # depends on the request, not on the order of arrival
    assert {kind for kind, _ in first.values()} == {
        "answer",
        "429",
        "500",
        "IncompleteRead",
        "JSONDecodeError",
        "ConnectionResetError",
    }
    assert {after for kind, after in first.values() if kind == "429"} == {"0.1"}


def test_a_hanging_call_gets_no_answer():
    with endpoint("--latency-ms", "0", "--faults", "hang=1") as (url, _):
        assert kind_of_fault(url, "question", timeout=0.2)[0] == "TimeoutError"


def test_unknown_fault_is_refused():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "endpoint.py"), "--faults", "lightning=1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "lightning" in done.stderr


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    "Run the harness on the plain aiohttp row and on a framework whose environment is missing."
    out = tmp_path_factory.mktemp("results")
    command = [
        sys.executable,
        str(BENCHMARKS / "run.py"),
        *"--only aiohttp inspect --samples 20 --latency-ms 5 --repeats 1 --out".split(),
        str(out),
        "--envs",
        str(out / "none"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((out / "side_by_side.json").read_text())


def test_a_row_makes_two_calls_per_sample(report):
    (row,) = report[1]["rows"]
    assert (
        row["system"] == "bare aiohttp"
        and row["calls"] == 40
        and row["failures"] == 0
        and row["of_bare_aiohttp"] == 1
    )
    assert report[1]["setup"]["samples"] == 20 and report[1]["setup"]["latency_ms"] == 5


def test_what_is_not_installed_is_skipped_with_a_word(report):
    assert "Inspect: skipped: not installed" in report[0] and report[1]["skipped"] == {
        "Inspect": "not installed"
    }


def test_results_name_no_machine_and_no_path(report):
    import socket

    text = json.dumps(report[1])
    assert socket.gethostname() not in text and str(Path.home()) not in text and str(BENCHMARKS) not in text


def test_the_whole_command_is_timed_by_what_it_says(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import command

    program = "import time; print('early', flush=True); time.sleep(0.05); print('late early')"
    found = command.timed(
        [sys.executable, "-c", program], [("first", "early"), ("second", "late"), ("no", "x")]
    )
    assert 0 < found["first_s"] < found["second_s"] <= found["seconds"] and "no_s" not in found
    assert found["cpu_s"] > 0 and found["said"].split() == ["early", "late", "early"]
    command.lay_samples(tmp_path / "samples.jsonl", 3)
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [r["id"] for r in rows] == ["c0", "c1", "c2"] and all(r["key_facts"] for r in rows)
    with pytest.raises(SystemExit, match="ended with 3"):
        command.timed([sys.executable, "-c", "import sys; sys.exit(3)"])


BRIDGES = BENCHMARKS / "bridges"


def environment_that_prints(folder, name, script):
    "An environment of a tool whose Python is a shell script."
    python = folder / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)


@pytest.fixture
def bridges():
    spec = spec_from_file_location("bridges_run", BRIDGES / "run.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "script, why",
    [
        ("echo first >&2; printf '\\033[31mError:  no  Node.js\\033[0m\\n' >&2; exit 1", "Error: no Node.js"),
        ("exit 3", "it said nothing"),
        ("echo 'all is well'", "it said nothing"),
    ],
)
def test_a_trial_that_fails_states_what_its_tool_printed(bridges, tmp_path, script, why):
    environment_that_prints(tmp_path, "promptfoo", script)
    assert bridges.tried("promptfoo", tmp_path) == {"package": "promptfoo", "holds": False, "why": why}


def test_a_trial_that_does_not_end_is_a_failure(bridges, tmp_path, monkeypatch):
    environment_that_prints(tmp_path, "ragas", "exec sleep 60")
    monkeypatch.setattr(bridges, "MOST_S", 0.2)
    assert bridges.tried("ragas", tmp_path)["why"] == "it did not end within 0.2 seconds"
    assert bridges.tried("wandb", tmp_path) is None


def test_promptfoo_without_results_is_quoted_in_one_line(tmp_path):
    "The trial runs here with a stand-in for promptfoo, as it would with a Node.js that is too old."
    printed = "\033[33mpromptfoo requires a supported Node.js runtime.\n\nDetected: v20.20.2\033[0m"
    stand_in = tmp_path / "npm" / "node_modules" / ".bin" / "promptfoo"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text(f"#!/bin/sh\nprintf '{printed}' >&2\nexit 1\n", encoding="utf-8")
    stand_in.chmod(0o755)
    code = f"import runpy, sys; sys.prefix = {str(tmp_path)!r}; runpy.run_path('promptfoo_tool.py')"
    done = subprocess.run([sys.executable, "-c", code], cwd=BRIDGES, capture_output=True, text=True)
    complaint = "promptfoo requires a supported Node.js runtime. Detected: v20.20.2"
    assert done.returncode and done.stderr.splitlines() == [
        f"promptfoo ended with 1 and wrote no results: {complaint}"
    ]


def test_every_tool_of_the_bridges_has_a_trial_and_its_versions_pinned(bridges):
    for name in bridges.TOOLS:
        assert (BRIDGES / f"{name}_tool.py").is_file(), name
        for path in (BENCHMARKS / "requirements").glob(f"{name}*.txt"):
            assert all(re.search(r"(==|@)\d", line) for line in bridges.pins(path)), path
        assert bridges.pins(BENCHMARKS / "requirements" / f"{name}.txt"), name
