"Predictions: reading labels, probabilities and numbers, and scores by distance from the gold value."

import json
import math
import time

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import cpu_since
from sklearn.metrics import brier_score_loss, cohen_kappa_score, f1_score, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from crmeval.core.records import STATUSES, Sample
from crmeval.metrics.decision_costs import NOBODY, Costs, cheapest_threshold, decision_cost, label_cost
from crmeval.metrics.forms import score_dataset
from crmeval.metrics.label_figures import hit_share, macro_f1, mean_absolute_error, scale_kappa, set_f1s
from crmeval.metrics.prediction import prediction, score_prediction, target_fraction, target_points
from crmeval.metrics.probability_figures import (
    brier_score,
    calibration_curve,
    calibration_error,
    honest_calibration_error,
    lift,
    log_loss,
    roc_auc,
)
from crmeval.metrics.read_predictions import read_predictions
from crmeval.tasks.targets import as_target, find_label, gold_of, targets_of
from crmeval.tasks.use_cases import use_cases

DESK = as_target(
    "desk", {"labels": {"returns": ["send back"], "card_lost": ["lost card"], "opening hours": []}}
)
RISK = as_target("risk", {"kind": "probability", "words": ["chance of leaving"]})
STARS = as_target("stars", {"kind": "number", "low": 1, "high": 5, "words": ["csat"]})


def read(text, target):
    return read_predictions(text, targets={target.name: target})[target.name].value


@pytest.mark.parametrize(
    "text",
    [
        "card_lost",
        "Card-Lost.",
        '{"desk": "card lost"}',
        '{"Desk": "CARD_LOST", "confidence": 0.4}',
        'Here you are:\n```json\n{"desk": ["card_lost"]}\n```',
        '{"result": {"desk": {"label": "card_lost", "score": 0.9}}}',
        "The desk is most likely card lost, although they also mention opening hours.",
        "**Desk:** lost card",
        "card_lost\n\nThey cannot find it since the opening hours changed.",
        "<think>returns? opening hours?</think>It is card_lost.",
        "Not returns but card_lost.",
        "{'desk': 'card_lost',}",
        '{"label": "card_lost"}',
    ],
)
def test_a_label_is_read_in_any_wrapping(text):
    assert read(text, DESK) == "card_lost"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "returns, card_lost, opening hours",
        "It could be returns or card_lost.",
        '{"desk": ["returns", "card_lost"]}',
        '{"desk": "returns / card_lost"}',
        '{"desk": "returns"}\n{"desk": "card_lost"}',
        '{"desk": null}',
        '{"desk": "billing"}',
        '{"desk": 2}',
        "not card_lost",
        "I cannot help with that.",
        "discard_losts",
        "Desk: returns. Desk: card_lost.",
    ],
)
def test_what_cannot_be_told_is_no_label(text):
    assert read(text, DESK) is None
    labels = {k: list(v) for k, v in DESK.labels.items()}
    score = prediction(text, gold="card_lost", labels=labels)
    assert score.points is None and score.status in ("parse_error", "undefined") and score.reason


@pytest.mark.parametrize(
    "text,value",
    [
        ("0.62", 0.62),
        ("62 %", 0.62),
        ("62%", 0.62),
        ("0,62", 0.62),
        ('{"risk": "62 percent"}', 0.62),
        ('{"risk": 62}', 0.62),
        ('{"risk": 1}', 1.0),
        ("The chance of leaving is around 62 per cent, after 4 complaints in 2 months.", 0.62),
        ("They have been with us for 7 years, so I would say 0.1", 0.1),
        ("Risk: .25", 0.25),
        ("between 20% and 30%", None),
        ("20-30 %", None),
        ("risk: 1.7", None),
        ("-0.3", None),
        ("high", None),
        ("120 %", None),
        ("They wrote 3 times.", None),
        ('{"risk": true}', None),
        ('{"risk": -0.2}', None),
        ('{"risk": 0.2} or {"risk": 0.9}', None),
        ('{"risk": 0.2, "risk": 0.9}', None),
        ('{"risk": 0.2, "risk": 0.2}', 0.2),
        ('{"risk": 7}', None),  # out of ten, or per cent
        ("Risk: seven", None),
        ("Risk: 7 %", 0.07),
        # digits that are a part of a longer expression are not read alone
        ("Risk: 1e-2", 0.01),
        ("Risk: 2.5E-03.", 0.0025),
        ("Risk: 1/4", 0.25),
        ("Risk: 1 in 5.", 0.2),
        ("Risk: 1 out of 10, as she renewed", 0.1),
        ("Risk: 1 in 3 customers", None),
        ("Risk: 1:3", None),
        ("Risk: 1st quarter", None),
        ("Risk: 1k", None),
        ("Risk: 1 200", None),
        ("Risk: 1.0.2", None),
        ("Risk: 1 per mille", None),
        ("Risk: 3/2", None),
        ("Risk: 1, since he left", 1.0),
        ("Risk: 0.6 in 2027", 0.6),
        ("Risk: 1 in 2027", None),
        ("Risk: 1 in 1000.", 0.001),
    ],
)
def test_a_probability_is_read_or_it_is_not(text, value):
    assert read(text, RISK) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    "text,value",
    [
        ("4", 4),
        ("four", 4),
        ("CSAT: 2", 2),
        ("3/5", 3),
        ("I expect 3 out of 5 because they waited 4 days.", 3),
        ("CSAT: 3/10", None),
        ("CSAT: 4 out of 10", None),
        ("CSAT: 4 stars of 10", None),
        ("CSAT: 4th", None),
        ("CSAT: 4 stars of 5", 4),
        ("CSAT: 4 points", 4),
        ("CSAT: 4pts", 4),
        ('{"stars": "5"}', 5),
        ('{"stars": 4.5}', 4.5),
        ("6", None),
        ("0/5", None),
        ("8/10", None),
        ("They waited 4 days.", None),
        ("3/5 or 4/5", None),
        ("80 %", None),
    ],
)
def test_a_number_is_read_or_it_is_not(text, value):
    assert read(text, STARS) == value


@pytest.mark.parametrize("target", [DESK, RISK, STARS], ids=lambda t: t.name)
@pytest.mark.parametrize(
    "hostile",
    [
        "desk is " * 6000,
        "risk " * 9000,
        "[" * 50_000,
        '{"desk":{' * 5000,
        "0." * 24_000,
        "no " * 16_000,
        "5/" * 24_000,
    ],
    ids=lambda x: x[:6],
)
def test_long_texts_are_read_at_once(target, hostile):
    start = time.process_time()
    read(hostile, target)
    assert cpu_since(start) < 2


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec=None), max_size=200))
def test_any_text_has_a_score_or_a_reason(text):
    for more in (
        {"gold": "a", "labels": ["a", "b"]},
        {"gold": 1, "kind": "probability"},
        {"gold": 3, "kind": "number"},
        {"gold": ["a"], "labels": ["a", "b"], "kind": "set"},
        {"gold": ["a", "b"], "labels": ["a", "b"], "kind": "labels"},
    ):
        s = prediction(text, **more)
        assert s.status in STATUSES and s.reason and (s.points is None) == (s.status != "ok")
        assert s.points is None or 1 <= s.points <= 4


# ---- distances and points


@settings(max_examples=60, deadline=None)
@given(k=st.integers(2, 9), data=st.data())
def test_on_a_scale_nearer_is_better_and_both_ways_the_same(k, data):
    target = as_target("t", {"labels": [f"step {i}" for i in range(k)], "ordered": True})
    i, j, m = (data.draw(st.integers(0, k - 1)) for _ in range(3))
    near = [target_fraction(target, f"step {x}", f"step {m}") for x in (i, j)]
    assert (abs(i - m) <= abs(j - m)) == (near[0] >= near[1])
    assert target_fraction(target, f"step {i}", f"step {m}") == target_fraction(
        target, f"step {m}", f"step {i}"
    )
    assert target_fraction(target, f"step {m}", f"step {m}") == 1


def test_naming_every_label_is_never_right():
    names = ["billing", "delivery", "returns", "price"]
    for gold in names:
        assert prediction(", ".join(names), gold=gold, labels=names).status == "parse_error"
        assert prediction(json.dumps(names), gold=[gold], labels=names, kind="set").points == 1


@pytest.mark.parametrize("believed", [0.05, 0.3, 0.5, 0.85])
def test_nobody_gains_by_saying_another_probability(believed):
    def mean(predicted):
        return believed * target_fraction(RISK, predicted, 1) + (1 - believed) * target_fraction(
            RISK, predicted, 0
        )

    assert max((p / 100 for p in range(101)), key=mean) == pytest.approx(believed)


def test_points_of_a_probability_go_by_distance():
    found = [
        target_points(RISK, target_fraction(RISK, p, 0)) for p in (0, 0.19, 0.21, 0.39, 0.41, 0.59, 0.61, 1)
    ]
    assert found == [4, 4, 3, 3, 2, 2, 1, 1]


def test_batch_form_equals_the_function():
    rows = {"response": ["stop", "go"], "gold": ["stop"] * 2, "labels": [["stop", "go"]] * 2}
    assert score_dataset(prediction, Dataset.from_dict(rows))["prediction_points"][:] == [4, 1]


# ---- gold labels


def test_a_gold_label_that_is_none_is_told_with_the_sample():
    wrong = Sample(
        "row 7", "customer_emotion", {"conversation": "Customer: Hm."}, gold_record={"emotion": "hunger"}
    )
    with pytest.raises(ValueError, match="sample 'row 7': gold emotion is 'hunger', expected one of anger"):
        gold_of(wrong)
    score = score_prediction("anger", sample=wrong)
    assert score.status == "undefined" and "hunger" in score.reason


@pytest.mark.parametrize("name", [u for u, case in use_cases("insight").items() if case.targets])
def test_no_word_stands_for_two_labels(name):
    inputs = {"intents": "buy it\nsell it"}
    for target in targets_of(Sample("a", name, inputs)).values():
        words = [w for more in target.labels.values() for w in more]
        assert len(words) == len(set(words)), name
        assert all(find_label(target, w) for w in words) and all(
            find_label(target, x) == x for x in target.labels
        )


# ---- figures against scikit-learn and manual calculations


def drawn(seed, n=400, labels="abcde"):
    rng = np.random.default_rng(seed)
    gold = rng.choice(list(labels), n, p=np.array([5, 3, 2, 1, 1]) / 12)
    predicted = np.where(rng.random(n) < 0.5, gold, rng.choice(list(labels), n))
    return predicted.tolist(), gold.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_label_figures_are_those_of_scikit_learn(seed):
    predicted, gold = drawn(seed)
    assert macro_f1(predicted, gold).value == pytest.approx(f1_score(gold, predicted, average="macro"))
    kappa = cohen_kappa_score(predicted, gold, weights="quadratic", labels=list("abcde"))
    assert scale_kappa(predicted, gold, scale="abcde").value == pytest.approx(kappa)


@pytest.mark.parametrize("seed", range(3))
def test_probability_figures_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    p, y = np.round(rng.uniform(0.01, 0.99, 300), 2), rng.integers(0, 2, 300)
    assert roc_auc(p, y).value == pytest.approx(roc_auc_score(y, p))
    assert brier_score(p, y).value == pytest.approx(brier_score_loss(y, p))
    assert log_loss(p, y).value == pytest.approx(sklearn_log_loss(y, p))


def test_kappa_by_hand():
    # three labels, squared distances 0, 1, 4: observed cost 1 + 4 over four pairs, expected from the margins
    predicted, gold = ["lo", "lo", "mid", "hi"], ["lo", "hi", "hi", "hi"]
    observed = (0 + 4 + 1 + 0) / 4
    expected = (
        sum(ps * pg * (i - j) ** 2 for i, ps in enumerate((2, 1, 1)) for j, pg in enumerate((1, 0, 3))) / 16
    )
    assert scale_kappa(predicted, gold, scale=("lo", "mid", "hi")).value == pytest.approx(
        1 - observed / expected
    )


def test_lift_by_hand():
    p = [i / 20 for i in range(20)]
    top_two = [0] * 18 + [1, 1]
    assert lift(p, top_two).value == pytest.approx(10)  # the top tenth contains both events
    assert lift(p, top_two, share=0.5).value == pytest.approx(2)
    assert lift(p, [1] * 2 + [0] * 18).value == 0
    assert lift([0.4] * 20, top_two).value == pytest.approx(1)
    # three share the highest probability for two places, one is an event: two thirds of it are found
    assert lift([0.9] * 3 + [0.1] * 17, [1] + [0] * 19).value == pytest.approx((2 / 3) / 0.1)


def test_brier_and_log_loss_by_hand():
    assert brier_score([1, 0.5, 0.25], [1, 1, 0]).value == pytest.approx((0 + 0.25 + 0.0625) / 3)
    assert log_loss([0.5, 0.25], [1, 0]).value == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2)
    assert log_loss([1.0], [0]).value == pytest.approx(math.log(1000))  # never infinite


def test_unread_answers_are_counted_beside():
    for e in (
        brier_score([0.2, None], [0, 1]),
        roc_auc([0.2, 0.8, None], [0, 1, 1]),
        macro_f1(["a", "b", None], ["a", "b", "b"]),
        mean_absolute_error([2, None], [3, 4]),
    ):
        assert e.undefined == 1 and e.value is not None
    assert set_f1s([None, ["a"]], [["a"], ["a"]]) == [None, 1]


def test_intervals_respect_conversations():
    predicted, gold = drawn(5, 60)
    wide = macro_f1(predicted * 4, gold * 4, clusters=list(range(60)) * 4)
    narrow = macro_f1(predicted * 4, gold * 4)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_calibration_of_the_honest_and_of_the_bold():
    rng = np.random.default_rng(7)
    p = rng.uniform(0.2, 0.8, 3000)
    y = (rng.random(3000) < p).astype(int)
    honest, bold = (
        calibration_error(p, y, n_resamples=50),
        calibration_error(np.where(p > 0.5, 0.95, 0.05), y, n_resamples=50),
    )
    assert honest.value < 0.04 < 0.2 < bold.value
    assert honest.value < 2.5 * honest_calibration_error(p)
    curve = calibration_curve(p, y, bins=6, equal_count=True)
    assert {b.happened.n for b in curve} == {500}
    assert all(b.low <= b.said <= b.high and b.happened.low < b.said < b.happened.high for b in curve)


# ---- costs


def brute(p, y, costs):
    limits = sorted({*p, NOBODY})
    return min(sum(costs.of(a >= t, b) for a, b in zip(p, y)) for t in limits)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.integers(0, 1)), min_size=1, max_size=25
    ),
    missed=st.integers(2, 50),
    wasted=st.integers(1, 50),
)
def test_the_threshold_is_the_cheapest_of_all(rows, missed, wasted):
    p, y = map(list, zip(*rows))
    costs = Costs(missed, wasted)
    limit = cheapest_threshold(p, y, costs)
    assert sum(costs.of(a >= limit, b) for a, b in zip(p, y)) == pytest.approx(brute(p, y, costs))


def test_a_useful_system_saves_and_chance_does_not():
    rng = np.random.default_rng(11)
    y = rng.integers(0, 2, 400).tolist()
    useful = decision_cost(np.clip(np.array(y) * 0.4 + rng.random(400) * 0.6, 0, 1), y, Costs(3, 1))
    chance = decision_cost(rng.random(400), y, Costs(3, 1))
    assert useful.saving.low > 0 and chance.saving.value <= 0
    assert useful.cost.value < chance.cost.value
    assert decision_cost([None] * 400, y, Costs(3, 1)).cost.undefined == 400


def test_costs_of_labels_follow_the_matrix():
    gold = ["fraud", "mail", "mail", "mail"] * 5
    matrix = {"fraud": {"mail": 100}, "mail": {"fraud": 1}}
    careful, usual = label_cost(["fraud"] * 20, gold, matrix), label_cost(["mail"] * 20, gold, matrix)
    assert (careful.cost.value, usual.cost.value) == (0.75, 25)
    assert careful.constant.value == 0.75 and usual.saving.value == pytest.approx(0.75 - 25)
    with pytest.raises(ValueError, match="expected missed above caught"):
        Costs(missed=0, wasted=1)


FORMS = [
    np.float32,
    np.float64,
    float,
    str,
    lambda x: None,
    lambda x: [x],
    lambda x: x + 7,
    lambda x: float("inf"),
]


@pytest.mark.parametrize(
    "form", FORMS, ids=["f4", "f8", "float", "text", "gap", "list", "beyond", "infinite"]
)
@pytest.mark.parametrize("figure", [brier_score, log_loss, roc_auc, lift, calibration_error])
def test_a_figure_of_probabilities_takes_numbers_counts_gaps_and_refuses_the_rest(figure, form):
    p, y = [0.1, 0.9, 0.4, 0.7] * 5, [0, 1, 0, 1] * 5
    values = [form(x) if i % 4 == 1 else x for i, x in enumerate(p)]
    if values[1] is None:
        assert figure(values, y).undefined == 5
    elif isinstance(values[1], (float, np.floating)) and values[1] <= 1:
        assert figure(values, y).value == pytest.approx(figure(p, y).value, abs=1e-6)
    else:
        with pytest.raises(ValueError, match="a probability is .*, expected a number from 0 to 1"):
            figure(values, y)


@pytest.mark.parametrize("figure", [hit_share, macro_f1])
def test_labels_that_could_never_meet_are_no_zero(figure):
    with pytest.raises(ValueError, match="expected one type"):
        figure(["1", "2", None], [1, 2, 2])
    assert figure([1, 2.0, None], [1, 2, 2]).value == 1


@pytest.mark.parametrize(
    "form", ["{}", "{}.", "**{}**", "`{}`", "({})", "The answer:\n{}", "Probability: {}"]
)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.07, 0.125, 0.9])
def test_a_share_without_its_nought_is_the_same_share(form, share):
    bare = f"{share:g}".removeprefix("0")
    for written in (bare, bare.replace(".", ",")):
        s = prediction(form.format(written), gold=1, kind="probability")
        same = prediction(form.format(f"{share:g}"), gold=1, kind="probability")
        assert (s.fraction, s.reason) == (same.fraction, same.reason), written


@pytest.mark.parametrize(
    "response",
    [
        "between 60 and 80 %",
        "60% to 80%",
        "from 0.6 to 0.8",
        "somewhere in 60 – 80 %",
        "I would say 35 or 40%",
        "60-80%",
        "0.6 bis 0,8",
        "0.6 à .8",
        "0.6 tot 0.8",
        "60 % до 80 %",
        "0.6 ~ 0.8",
        "0.6…0.8",
        "0.6から0.8",
        '{"probability": "0.6 a 0.8"}',
    ],
)
def test_a_range_is_no_probability(response):
    assert prediction(response, gold=1, kind="probability").status == "parse_error"


@pytest.mark.parametrize("low, high, gold", [(0, 10, 8), (0.0, 10, 8.0), (1, 7, 7), (0, 100, 55)])
def test_the_ends_of_a_scale_may_be_whole_numbers(low, high, gold):
    s = prediction(f"{gold:g}", gold=gold, kind="number", low=low, high=high)
    assert (s.points, s.status) == (4, "ok")
    refused = prediction("5", gold=gold, kind="number", low="0", high=high)
    assert refused.status == "undefined" and refused.reason.startswith("low is '0' (str)")
