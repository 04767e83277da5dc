"""Conciseness: not below word overlap on any labelled set but one, and right about references and padding.

Feedback is the known exception, by a wide margin: its facts are long sentences of a reference,
and an answer states a part of one. `training/conciseness` describes a trial of a remedy and why it is not
included.
"""

import random

import pytest

from crmeval import conciseness
from crmeval.core.judging import Verdict
from crmeval.metrics.conciseness import carrying_shares
from crmeval.tasks.load import load_demo
from crmeval.validation.concise_labelled import CONCISE_LABELLED, bullet_items, feedback_items
from crmeval.validation.labelled import LABELLED, at_hand
from crmeval.validation.side_by_side import side_by_side

SETS = [name for name, s in LABELLED.items() if s.metric == "conciseness"]
BELOW = {"feedback-conciseness": 0.38}  # the exception: at most this far below word overlap
LEAST = {
    "finesure-conciseness": 0.48,
    "feedback-conciseness": 0.22,
    "summhay-conciseness": 0.62,
    "reviews-conciseness": 0.03,
    "recipes-conciseness": 0.3,
}


def told(name):
    if not at_hand(name):
        pytest.skip(f"the texts of {name} are not in CRMEVAL_DATA")
    lines = side_by_side(name, groups=False, n_resamples=20, download=False)
    return {
        x.judge: (x.basis, x.measured.figures["pearson_of_probabilities"].value) for x in lines if x.measured
    }


@pytest.mark.parametrize("name", SETS)
def test_the_built_in_judge_is_not_below_word_overlap(name):
    found = told(name)
    (own,) = [v for j, (basis, v) in found.items() if j.startswith("embedded") and basis == "left out"]
    plain = found["word overlap"][1]
    assert own >= LEAST[name], own
    assert own >= plain - BELOW.get(name, 0), (own, plain)


def test_every_set_of_conciseness_is_held_and_named_by_its_source():
    assert set(LEAST) == set(SETS) and set(CONCISE_LABELLED) < set(SETS)


@pytest.mark.parametrize("seed", range(30))
def test_a_sentence_is_needed_unless_half_of_it_is_marked(seed):
    "With marks of any place and length, also overlapping ones and ones beyond the end of the text."
    rng = random.Random(seed)
    text = " ".join(f"{rng.choice(['Mei', 'Rosa', 'Ben'])} called about order {k}." for k in range(4))
    spans = [(a, a + rng.randint(0, 40)) for a in (rng.randrange(len(text)) for _ in range(4))]
    errors = [{"error type": rng.choice(["Irrelevant", "Redundant"]), "start": a, "end": b} for a, b in spans]
    row = {"gold": "Mei called.", "prediction 1": text, "feedback": {"errors": errors}}
    (item,) = feedback_items([row])
    marked = [any(a <= k < b for a, b in spans) for k in range(len(text))]
    at = 0
    for sentence, needed in zip(item.sentences, item.units, strict=True):
        at = text.index(sentence, at)
        assert needed == (2 * sum(marked[at : at + len(sentence)]) < len(sentence)), sentence
        at += len(sentence)


@pytest.mark.parametrize("seed", range(10))
def test_a_bullet_counts_if_a_covered_insight_names_it(seed):
    rng = random.Random(seed)
    lines = [rng.choice(["- A point.", "## A heading", "The points:"]) for _ in range(6)] + ["- Last."]
    coverage = [(rng.randrange(7), rng.choice(["fully_covered", "not_covered"])) for _ in range(4)]
    row = {
        "topic": "x",
        "subtopic_id": "s",
        "summkey": "k",
        "summary": lines,
        "reference_insights": [{"insight_id": k, "insight": "i"} for k in range(4)],
        "annotation": [
            {"insight_id": k, "candidate_id": str(at), "coverage": c} for k, (at, c) in enumerate(coverage)
        ],
    }
    (item,) = bullet_items([row])
    kept = [k for k, line in enumerate(lines) if line.startswith("-")]
    assert len(item.sentences) == len(kept)
    assert list(item.units) == [(k, "fully_covered") in coverage for k in kept]


DEMO = [s for s in load_demo() if s.reference and s.key_facts and s.gold_record is None]
PADDING = (
    "It was a real pleasure to look into this today, and may the week treat everybody kindly.",
    "As somebody once said, good things come to those who wait, and waiting is an art that few have learnt.",
    "Be assured that people here work around the clock to make every single experience a wonderful one.",
)


def test_references_of_the_demo_set_are_concise_and_padded_ones_are_less_so():
    assert len(DEMO) > 50
    points = []
    for s in DEMO:
        facts = list(s.key_facts)
        tight = conciseness(s.reference, key_facts=facts)
        padded = conciseness(f"{s.reference}\n{' '.join(PADDING)}", key_facts=facts)
        points.append(tight.points)
        assert tight.points >= 3, (s.id, tight.fraction)
        assert padded.fraction < tight.fraction and padded.points <= tight.points, s.id
        named = " ".join(e["text"] for e in padded.evidence if e["kind"] == "no key fact")
        assert all(p in named for p in PADDING), (s.id, named)
    assert sum(points) / len(points) > 3.9


@pytest.mark.parametrize("seed", range(20))
def test_a_sentence_carries_its_most_probable_fact(seed):
    "From verdicts without a probability, each share is 0 or 1."
    rng = random.Random(seed)
    facts, lines = [f"fact {k}" for k in range(3)], [f"sentence {k}" for k in range(4)]
    verdicts = [Verdict(p > 0.5, p, lines=(rng.randrange(4),)) for p in (rng.random() for _ in facts)]
    shares = carrying_shares(facts, verdicts, sentences=lines)
    for j in range(len(lines)):
        stated = [v.probability for v in verdicts if v.yes and j in v.lines]
        assert shares[j] == max(stated, default=0.0)
    plain = carrying_shares(facts, [Verdict(v.yes, lines=v.lines) for v in verdicts], sentences=lines)
    assert set(plain) <= {0.0, 1.0}
