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
DEMO = "f6ac8151c280ea6960363375c1ca11c9e82214bd574f2af21d2cb5668112e9f9"
# trust of the three embedded responders, at most 3 samples and probes of each kind, 2 answers each:
# 92 samples with their twins and 108 probes, 4,506 scores of accuracy and of the four kinds of trust
TRUST = "8066cc2755fb580c32976880ca70cd6791477ae2396769d40d4e642bda981f8d"
# the printed table of each labelled set, the embedded judge held out from what it learned from;
# spaces between columns are free
AGREEMENT = {
    "finesure-factuality": "200f3f24cf2da677bd5a671be3147e8728ab9b5ec5ed36c805389e8e3ef6c4f4",
    "finesure-completeness": "2a6acc9aa649588ce2c75d62b68d40fc9481c400373b2aad8b8dec09011a0dd8",
    "finesure-conciseness": "f7b3e93e471ad6fdfe59c27a8e68189e25d0dab4f6cbad97e79619ed5f78895a",
    "summhay-completeness": "8df95bbe16ea92aec6987ab46914cbd2b4b748d6cf3e900309cbdf6616efa3b5",
    "summedits-factuality": "0604acfc19f51c22b4405e66ebbe39e2992b134ce2e9aa3d121a1f4680223172",
    "feedback-factuality": "d605eb9f122d5ed64d4c7e36d952bd31662946369e37dce8f6d40e7e73ee78db",
    "reviews-factuality": "7e81e2a2e7694faeb8977cfec3d929d990a9cdcda9981a959f9dbc8ffaa08def",
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
