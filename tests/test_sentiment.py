"Sentiment overall, per message and its change: parsing of answers, and scores by distance."

import json

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.core.records import STATUSES
from crmeval.metrics.forms import score_dataset
from crmeval.metrics.sentiment import sentiment
from crmeval.systems.predictors import customer_messages, mood_score, predict_by_rules
from crmeval.tasks.load import load_use_case
from crmeval.tasks.targets import gold_of, messages_of_customer

SCALE = ("very negative", "negative", "neutral", "positive", "very positive")
TRUE = {"overall": "negative", "turns": ["negative", "negative", "neutral"], "shift": "better"}
DEMO = load_use_case("customer_sentiment")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TRUE),
        "```json\n" + json.dumps({"analysis": TRUE}) + "\n```",
        json.dumps({**TRUE, "turns": [{"turn": i, "sentiment": t} for i, t in enumerate(TRUE["turns"])]}),
        "Overall sentiment: negative\nTurns: negative, negative, neutral\nShift: improved",
        "Overall: dissatisfied.\n1. negative\n2. unhappy\n3. neutral\nThe mood shift is better.",
        json.dumps(
            {"Overall": "The customer is unhappy.", "TURNS": "negative; negative; neutral", "shift": "up"}
        ),
    ],
)
def test_the_same_in_other_words(text):
    assert sentiment(text, **TRUE).points == 4, sentiment(text, **TRUE)


def test_every_step_away_costs():
    for true in SCALE:
        by_distance = sorted(SCALE, key=lambda s: abs(SCALE.index(s) - SCALE.index(true)))
        found = [sentiment(s, overall=true).fraction for s in by_distance]
        assert found[0] == 1 and found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    "turns,fraction",
    [
        (["negative", "negative", "neutral"], 1),
        (["negative", "negative", "positive"], 5 / 6),
        (["negative", "negative"], 2 / 3),
        (["negative", "negative", "neutral", "neutral"], 3 / 4),
        (["negative", "negative", "purple"], 2 / 3),
        (["positive", "positive", "neutral"], 1 / 3),
    ],
)
def test_messages_count_one_by_one(turns, fraction):
    response = json.dumps({"overall": "negative", "turns": turns})
    score = sentiment(response, overall="negative", turns=TRUE["turns"])
    assert score.fraction == pytest.approx((1 + fraction) / 2)


@pytest.mark.parametrize(
    "text", ["negative, neutral, positive", "Hello!", "{}", '{"overall": ["negative", "positive"]}']
)
def test_what_says_nothing_has_no_points(text):
    score = sentiment(text, overall="negative")
    assert (score.points, score.fraction, score.status) == (None, None, "parse_error") and score.reason


def test_what_is_left_out_is_not_there():
    score = sentiment('{"overall": "negative"}', **TRUE)
    assert score.status == "ok" and score.fraction == pytest.approx(1 / 3)
    assert {e["field"]: e["got"] for e in score.evidence} == {
        "overall": "negative",
        "turns": None,
        "shift": None,
    }


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec=None), max_size=200))
def test_any_text_has_a_score_or_a_reason(text):
    s = sentiment(text, **TRUE)
    assert s.status in STATUSES and s.reason and (s.points is None) == (s.status != "ok")


def test_batch_form_equals_the_function():
    rows = {"response": ["negative", "very positive"], "overall": ["negative"] * 2}
    assert score_dataset(sentiment, Dataset.from_dict(rows))["sentiment_points"][:] == [4, 1]


@pytest.mark.parametrize("sample", DEMO, ids=lambda s: s.id)
def test_gold_labels_fit_the_conversation(sample):
    gold, n = gold_of(sample), messages_of_customer(sample)
    assert len(gold["turns"]) == n == len(customer_messages(sample.inputs["conversation"]))
    steps = {"negative": -1, "neutral": 0, "positive": 1}
    moved = steps[gold["turns"][-1]] - steps[gold["turns"][0]]
    assert gold["shift"] == ("same" if moved == 0 else "better" if moved > 0 else "worse"), sample.id
    assert sample.tags["why"]


def test_rules_count_words_and_hear_a_denial():
    assert mood_score("Wonderful, thank you") > 0 > mood_score("A terrible delay")
    assert mood_score("It was not good") < 0 == mood_score("It is a table")
    answer = json.loads(predict_by_rules(DEMO[3]))
    assert list(answer) == ["overall", "turns", "shift"] and answer["overall"] in SCALE
