"""Digests of all figures of fixed runs: any change of a figure must be deliberate.

After a deliberate change, replace the digest and record the change in the change log.
`test_labelled.py` checks the agreement with human labels in the same way.
"""

import hashlib
from dataclasses import replace

from crmeval import run

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
# accuracy of the five baselines on the whole demo set: 79 samples, 2,015 scores
DEMO = "dffd029dcfe2fd16b9cbae10577437ffa36394c6b3af8b732ac4a4a6ff914005"
# trust of the three embedded responders, at most 3 samples and probes of each kind, 2 answers each:
# 92 samples with their twins and 108 probes, 4,506 scores of accuracy and of the four kinds of trust
TRUST = "4083b4bd6b98a1a1eda86d7db2f17d3ac701977f472bcb102f5a2c3ab9d7b75f"


def digest_of(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def text_of(score, field):
    value = getattr(score, field)
    if field in ("points", "fraction") and value is not None:
        return repr(float(value))  # whole points are int when scored and float when stored
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


def test_a_digest_notices_one_digit(demo_run):
    first, *others = demo_run.scores
    moved = replace(first, fraction=first.fraction - 1e-12)
    assert digest_of_scores([moved, *others]) != digest_of_scores([first, *others])
    assert digest_of_scores([*others, first]) == digest_of_scores([first, *others])
