"DeepEval asserts a metric of ours on a good and a wrong answer; nothing is sent anywhere."

import os

os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "YES"

from deepeval import assert_test
from deepeval.test_case import LLMTestCase
from told import CONTEXT, RIGHT, WRONG, tell

from crmeval.bridges.adapters import deepeval_metric


def case(answer):
    return LLMTestCase(input="When?", actual_output=answer, retrieval_context=[CONTEXT])


assert_test(case(RIGHT), [deepeval_metric("factuality")])
for name, answer, error, told in (
    ("factuality", WRONG, AssertionError, "It arrives on Monday."),
    ("completeness", RIGHT, ValueError, "could not be scored: undefined"),
):
    try:
        assert_test(case(answer), [deepeval_metric(name)])
        said = "nothing"
    except error as e:
        said = str(e)
    assert told in said, said
tell("deepeval", "a metric in assert_test; a score without a value is an error")
