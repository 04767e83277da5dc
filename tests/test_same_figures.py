"""Every figure is the same to the digit as when it was last looked at.

A change of a figure is a decision: whoever takes it replaces the digest and tells it in the change log.
"""

import hashlib
from dataclasses import replace

import pytest

from crmeval import run
from crmeval.metrics.defaults import default_judge
from crmeval.validation.labelled import LABELLED, at_hand
from crmeval.validation.run_agreement import judge_agreement

FIELDS = (
    "sample_id",
    "perturbation",
    "client",
    "repeat",
    "metric",
    "rater",
    "points",
    "fraction",
    "status",
    "label",
    "reason",
)
# accuracy of the five embedded systems on the whole demo set: 79 samples, 2,015 scores
DEMO = "04a5d8f8143c7a9efe4a348dbf0537a4f3b6d92319e9709ec14e4c83b4a2a6a6"
# trust of the three embedded responders, at most 3 samples and probes of each kind, 2 answers each:
# 92 samples with their twins and 108 probes, 4,506 scores of accuracy and of the four kinds of trust
TRUST = "a5dfb3385f3722f4275a775bdc12f43eb072fef62d8c91ee762e4cb32297adb6"
# the printed table of each labelled set, the embedded judge held out from what it learned from;
# spaces between columns are free
AGREEMENT = {
    "finesure-factuality": "ed4d00f064c32eda97731bf1480b86c58a9db16d65c1199c43c6c8d56eaeec3b",
    "finesure-completeness": "406240798ecfe5f41353abaaa9c415a0b3bd2ddd492412005460c1598a8619dd",
    "finesure-conciseness": "ae83cd12343b050776d0fe5106bba3e18b23b00ec6034baa138f5fcb5d0cac54",
    "summhay-completeness": "2694ba6c02149fe73a7c86cf2ef09495097dcc30834eebcb8bd2a09202b79477",
    "summedits-factuality": "25f8bbc419b75388da484fde34e6c06812471afbb3064f402420bdc20041867c",
    "feedback-factuality": "dde849d9a08bc90e64db15d9e492f4b9681b11405c599b47bbeda1a6c3bbe29b",
    "reviews-factuality": "6a0721350ebe3ed06d058dfd725ca5fb857ef35130a3226875ea79df1bf3235d",
}


def digest_of(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def text_of(score, field):
    value = getattr(score, field)
    if field in ("points", "fraction") and value is not None:
        return repr(float(value))  # whole points are int as scored and float as stored
    return str(value)


def line_of(score):
    return "|".join(text_of(score, f) for f in FIELDS)


def digest_of_scores(scores):
    return digest_of("\n".join(sorted(map(line_of, scores))))


def test_accuracy_of_the_demo_set(demo_run):
    assert len(demo_run.scores) == 2015 and digest_of_scores(demo_run.scores) == DEMO


def test_trust_of_the_simple_responders(tmp_path):
    done = run(areas="trust", limit=3, repeats=2, out=tmp_path / "r", progress=False)
    assert len(done.scores) == 4506 and digest_of_scores(done.scores) == TRUST


@pytest.mark.parametrize("name", AGREEMENT)
def test_agreement_with_people(name):
    if not at_hand(name):
        pytest.skip(f"source {LABELLED[name].source} is not in CRMEVAL_DATA")
    table = str(judge_agreement(name, default_judge()))
    assert digest_of(" ".join(table.split())) == AGREEMENT[name], table


def test_a_digest_notices_one_digit(demo_run):
    first, *others = demo_run.scores
    moved = replace(first, fraction=first.fraction - 1e-12)
    assert digest_of_scores([moved, *others]) != digest_of_scores([first, *others])
    assert digest_of_scores([*others, first]) == digest_of_scores([first, *others])
