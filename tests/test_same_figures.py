"""Every figure is the same to the digit as before the rooms were split and renamed.

The digests below were computed once with the package as it was when all modules lay in one folder.
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
DEMO = "76b574419caacd6242fd2de89521c4122b1adddd02fe8bb37f01033e236fe27c"
# trust of the three embedded responders, at most 3 samples and probes of each kind, 2 answers each:
# 92 samples with their twins and 108 probes, 4,326 scores of accuracy and of the four kinds of trust
TRUST = "208ade43863643f232a2cd60befb2b7e4d7ca9da8ac03cd982fa49bf2d97cb47"
# the printed table of each labelled set, the embedded judge held out from what it learned from;
# spaces between columns are free
AGREEMENT = {
    "finesure-factuality": "f9c391dcf10eb23675db5f89af38b21bcb7efd4a65511c55f6b69054a23856df",
    "finesure-completeness": "6ca873405b13c9a19a6865c810e881d02d0a805a286fc4365ca894c9a20e436b",
    "finesure-conciseness": "f3ee03bcdffba2607799808b788ca2cb50b7e8abadf0caf77d527c3c49c3d4cb",
    "summhay-completeness": "4ff2d2b67079773df63cb45016a85ba8fdb58fc5fb1bd9000bd6c2071243a5ec",
    "summedits-factuality": "cba122b5651a457cc20ae3a1fb0856947bc93b4b891f34f49b39312a22ec87c0",
    "feedback-factuality": "597cd7aaa9723f5aa73cb50cc4b4f54b556981a81e98bd41126cd9d22a1ad6a9",
    "reviews-factuality": "e4937b015d4711314a5b144f9748ad60efa6ed8c2af14160326b502ae9449a1b",
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
    assert len(done.scores) == 4326 and digest_of_scores(done.scores) == TRUST


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
