"DeepEval asserts metrics of ours, alone and by `deepeval test run`; nothing is sent anywhere."

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "YES"

from deepeval import assert_test, evaluate
from deepeval.errors import MissingTestCaseParamsError
from deepeval.evaluate import DisplayConfig, ErrorConfig
from deepeval.test_case import LLMTestCase
from trial import CONTEXT, RIGHT, WRONG, print_row

from crmeval.bridges.adapters import deepeval_metric

TESTS = f"""
import pytest
from deepeval import assert_test
from deepeval.test_case import LLMTestCase
from crmeval.bridges.adapters import deepeval_metric

RIGHT = {RIGHT!r}
HOSTILE = "\\x1b[31mIt arrives \\u202e on Monday [/red] [bold] [link=http://a]"
CASES = [("factuality", RIGHT), ("factuality", HOSTILE), ("completeness", RIGHT), ("factuality", None)]

@pytest.mark.parametrize("name, answer", CASES, ids=["right", "hostile", "no facts", "no answer"])
def test_reply(name, answer):
    case = LLMTestCase(input="When?", actual_output=answer, retrieval_context=[{CONTEXT!r}])
    assert_test(case, [deepeval_metric(name)])
"""


def case(answer):
    return LLMTestCase(input="When?", actual_output=answer, retrieval_context=[CONTEXT])


def asserted():
    "`assert_test` in a test of one's own."
    assert_test(case(RIGHT), [deepeval_metric("factuality")])
    for name, answer, error, told in (
        ("factuality", WRONG, AssertionError, "It arrives on Monday."),
        ("completeness", RIGHT, MissingTestCaseParamsError, "could not be scored: undefined"),
    ):
        try:
            assert_test(case(answer), [deepeval_metric(name)])
            said = "nothing"
        except error as e:
            said = str(e)
        assert told in said, said


def evaluated():
    "`evaluate` with what lacks a parameter skipped: the other metric stays, the skipped one has no zero."
    metrics = [deepeval_metric("factuality"), deepeval_metric("completeness")]
    how = {"error_config": ErrorConfig(skip_on_missing_params=True)}
    how["display_config"] = DisplayConfig(print_results=False, show_indicator=False)
    found = evaluate([case(RIGHT), case(WRONG)] * 5, metrics, **how).test_results  # in any order
    values = sorted((r.actual_output, [(m.name, m.success) for m in r.metrics_data]) for r in found)
    told = {text: [("crmeval factuality", text == RIGHT)] for text in (RIGHT, WRONG)}
    assert values == sorted(list(told.items()) * 5), values


def test_run(folder):
    "`deepeval test run`, with an answer whose marks would end the table of results."
    Path(folder, "test_reply.py").write_text(TESTS, encoding="utf-8")
    deepeval = Path(sys.executable).with_name("deepeval")
    words = [str(deepeval), "test", "run", "test_reply.py", "--display", "all"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert "Passed: 1 | Failed: 3" in done.stdout and done.returncode == 1, done.stdout[-500:] + done.stderr
    log = json.loads(Path(folder, ".deepeval", ".latest_run_full.json").read_text(encoding="utf-8"))
    cases = log.get("testRunData", log)["testCases"]
    scores = [c["metricsData"][0].get("score") for c in cases]
    assert scores[0] > 0.5 > scores[1] and scores[2:] == [None, None], scores
    assert all("undefined" in c["metricsData"][0]["error"] for c in cases[2:]), cases


asserted()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)  # DeepEval writes a folder `.deepeval`
    evaluated()
    test_run(folder)
    os.chdir("/")
print_row(
    "deepeval", "assert_test, evaluate, deepeval test run; no score is an error; an answer with marks of rich"
)
