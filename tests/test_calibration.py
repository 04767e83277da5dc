"Calibration: the exact fit, gains measured on unseen documents only, and values that must not change."

import itertools
import json
import math
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from crmeval.core.cards import DEFAULT_CUTS, MetricCard, score_of, to_points
from crmeval.core.raters import weighted_kappa
from crmeval.core.records import Score
from crmeval.tasks.public import load_rows
from crmeval.validation.calibration import (
    Calibrator,
    calibration_gain,
    fit_cuts,
    fit_points,
    recalibrate,
    rescale,
)


def lenient(seed, documents=40, each=3, shift=0.3):
    "Return fractions, human points and documents; people are more lenient than the default cuts by `shift`."
    r = np.random.default_rng(seed)
    f = np.round(
        np.clip(r.uniform(0, 1, documents * each) + np.repeat(r.normal(0, 0.1, documents), each), 0, 1), 2
    )
    people = [to_points(x) for x in f]
    if shift:
        moved = f + shift + r.normal(0, 0.1, len(f))
        people = [to_points(min(1, max(0, x))) for x in moved]
    return (
        [float(x) for x in f],
        [float(min(4, max(1, p))) for p in people],
        [i // each for i in range(documents * each)],
    )


# ---- the fit


@pytest.mark.parametrize("seed", range(6))
def test_no_triple_of_cuts_fits_better(seed):
    r = np.random.default_rng(seed)
    fractions = [float(x) for x in r.choice([0, 0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.8, 1], 40)]
    people = [float(x) for x in r.choice([1, 1.5, 2, 2.75, 3, 4], 40)]

    def loss(cuts):
        return sum((to_points(f, cuts) - p) ** 2 for f, p in zip(fractions, people))

    middle = [0.1, 0.22, 0.3, 0.45, 0.55, 0.7, 0.78, 0.9]
    best = min(map(loss, itertools.combinations_with_replacement(middle, 3)))
    c = fit_cuts(fractions, people)
    assert loss(c.x) == pytest.approx(best) and list(c.x) == sorted(c.x) and 0 < c.x[0] and c.x[-1] <= 1
    assert fit_cuts(fractions[::-1], people[::-1]) == c


@pytest.mark.parametrize("start", [DEFAULT_CUTS, (0.35, 0.6, 0.8)])
def test_cuts_that_fit_stay(start):
    fractions = [i / 40 for i in range(41)]
    assert fit_cuts(fractions, [to_points(f, start) for f in fractions], start=start).x == start
    found = fit_cuts(fractions, [to_points(f, (0.3, 0.5, 0.7)) for f in fractions], start=start).x
    assert [to_points(f, found) for f in fractions] == [to_points(f, (0.3, 0.5, 0.7)) for f in fractions]


def test_a_calibrator_is_monotone_and_bounded():
    for seed in range(10):
        r = np.random.default_rng(seed)
        values, people = [float(x) for x in r.uniform(0, 1, 30)], [float(x) for x in r.uniform(1, 4, 30)]
        for c in fit_cuts(values, people), fit_points(values, people, of="fraction"):
            out = [c(x) for x in np.linspace(0, 1, 101)]
            assert out == sorted(out) and 1 <= out[0] <= out[-1] <= 4
            assert Calibrator.from_dict(json.loads(json.dumps(c.to_dict()))) == c
            assert c(None) is None and c(math.nan) is None
        cuts = fit_cuts(values, people)
        assert (cuts(0.0), cuts(1.0)) == (1, 4)  # the ends stay at 1 and 4


def test_isotonic_is_the_mean_of_people_at_each_point():
    raw = [1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    people = [1, 2, 2, 3, 2, 1, 3, 4, 4, 4]
    c = fit_points(raw, people)
    # by hand: means 1.5, 2.5, 1.5, 3.75; the second drops and is pooled with the third: 2
    assert (
        [c(v) for v in (1, 2, 3, 4)] == pytest.approx([1.5, 2, 2, 3.75])
        and c(2.5) == pytest.approx(2)
        and c(9) == pytest.approx(3.75)
    )


def test_fitted_cuts_go_into_a_card():
    fractions, people, docs = lenient(0)
    c = fit_cuts(fractions, people, clusters=docs, metric="tact", source="invented")
    card = MetricCard("tact", "Tact", "Invented.", (), "", "", cuts=c.x)
    old = [Score("tact", to_points(f), f, rater="r") for f in fractions]
    assert [s.points for s in recalibrate(old, c)] == [score_of(card, f, "").points for f in fractions]
    assert (c.n, c.clusters) == (120, 40)


# ---- the gain is measured on unseen documents


def test_a_biased_judge_gains_and_a_right_one_does_not():
    fractions, people, docs = lenient(1)
    gain = calibration_gain(fractions, people, clusters=docs)
    assert (
        gain.gained
        and gain.change["weighted_kappa"].low > 0
        and abs(gain.after["bias"].value) < abs(gain.before["bias"].value)
    )
    assert gain.before["weighted_kappa"].value == pytest.approx(
        weighted_kappa([to_points(f) for f in fractions], [int(p) for p in people]).value
    )
    right = calibration_gain(fractions, [to_points(f) for f in fractions], clusters=docs)
    assert not right.gained and right.before["absolute_error"].value == 0


@pytest.mark.parametrize(
    "fit",
    [fit_cuts, lambda x, h, clusters: fit_points(x, h, clusters=clusters, of="fraction")],
    ids=["cuts", "isotonic"],
)
def test_noise_gains_nothing(fit):
    "The judge matches only the spread of human points; fitted on all rows, kappa would seem to gain."
    found, fooled = 0, 0
    for seed in range(20):
        r = np.random.default_rng(seed)
        fractions, docs = [float(x) for x in r.choice(np.linspace(0, 1, 11), 60)], [i // 3 for i in range(60)]
        people = [float(x) for x in r.permutation([to_points(f) for f in fractions])]
        g = calibration_gain(fractions, people, fit=fit, clusters=docs, n_resamples=100)
        found += g.change["weighted_kappa"].low > 0
        seen = [int(math.floor(g.calibrator(f) + 0.5)) for f in fractions]
        fooled += (
            weighted_kappa(seen, [int(p) for p in people], n_resamples=2).value
            > g.after["weighted_kappa"].value
        )
    assert found <= 3 and fooled >= 15, (found, fooled)


def test_a_document_is_never_split():
    seen = []
    fractions, people, docs = lenient(2)

    def spy(x, h, clusters):
        seen.append(set(clusters))
        return fit_cuts(x, h, clusters=clusters)

    calibration_gain(fractions, people, fit=spy, clusters=docs, folds=8, n_resamples=20)
    *parts, everything = seen
    assert len(parts) == 8 and everything == set(docs)
    left = [everything - p for p in parts]
    assert (
        sum(map(len, left)) == 40 and set().union(*left) == everything
    )  # each document is held out once, with all its rows


def test_unknown_values_are_left_out():
    fractions, people, docs = lenient(3)
    gaps = calibration_gain(
        [None, math.nan, *fractions, 0.5],
        [3, 3, *people, None],
        clusters=["x", "y", *docs, "z"],
        n_resamples=50,
    )
    assert (
        gaps.calibrator == calibration_gain(fractions, people, clusters=docs, n_resamples=50).calibrator
        and gaps.before["bias"].n == 120
    )


@pytest.mark.parametrize(
    "bad,message",
    [
        (dict(values=[0.5] * 10, human_points=[3] * 9), "human points has 9"),
        (dict(values=[0.5] * 10, human_points=[3] * 10, clusters=[1]), "clusters has 1"),
        (dict(values=[None] * 10, human_points=[3] * 10), "0 responses"),
        (dict(values=[0.5] * 10, human_points=[0] * 10), "human points are 0"),
        (dict(values=[0.5] * 10, human_points=[3] * 10, folds=1), "folds is 1"),
    ],
)
def test_a_callers_mistake_is_named(bad, message):
    with pytest.raises(ValueError, match=message):
        calibration_gain(**bad)


# ---- scores


def test_only_the_judges_points_change():
    c = Calibrator("cuts", (0.2, 0.4, 0.6), metric="completeness", n=50, clusters=10, source="invented")
    evidence = ({"kind": "missing", "text": "x"},)
    own = Score(
        "completeness",
        2,
        0.5,
        "ok",
        "Half.",
        evidence,
        "embedded",
        sample_id="s",
        client="c",
        repeat=1,
        perturbation="gender",
    )
    [new] = recalibrate([own], c)
    assert (
        new.points == 3
        and "from 2 to 3 points" in new.reason
        and "50 pairs of 10 documents" in new.reason
        and new.label == "calibrated"
    )
    for field in (
        "metric",
        "fraction",
        "status",
        "evidence",
        "rater",
        "method",
        "sample_id",
        "client",
        "perturbation",
        "repeat",
    ):
        assert getattr(new, field) == getattr(own, field)
    manual = Score("completeness", 2, 0.5, method="manual", rater="ann")
    assert recalibrate([manual, Score("safety", 2, 0.5)], c) == [manual, Score("safety", 2, 0.5)]
    with pytest.raises(ValueError, match="calibrated already"):
        recalibrate([new], c)
    assert rescale([1, None, 6], 1, 6) == pytest.approx(2.5)


# ---- recorded judges


def test_recorded_judges_gain_where_they_lean():
    "SummHay: of six judges only the most lenient gains; the bias of the least biased one is the smallest."
    if not (Path(os.environ.get("CRMEVAL_DATA", "no data")) / "summhay_eval").is_dir():
        pytest.skip("source summhay_eval is not in CRMEVAL_DATA")
    points = dict(
        fully_covered=1,
        partially_covered=0.5,
        not_covered=0,
        FULL_COVERAGE=1,
        PARTIAL_COVERAGE=0.5,
        NO_COVERAGE=0,
    )
    share, rows = (lambda x: sum(points[a["coverage"]] for a in x) / len(x)), defaultdict(list)
    for r in load_rows("summhay_eval", "eval_benchmark_data.jsonl.gz", download=False):
        for k in r:
            if k.startswith("predictions_"):
                rows[k.removeprefix("predictions_")].append(
                    (share(r[k]), to_points(share(r["annotation"])), r["subtopic_id"])
                )
    gains = {
        j: calibration_gain(*list(zip(*x))[:2], clusters=list(zip(*x))[2], n_resamples=200)
        for j, x in rows.items()
    }
    assert len(gains) == 6 and {j for j, g in gains.items() if g.gained} == {"prompted_claude3-haiku"}
    haiku = gains["prompted_claude3-haiku"]
    assert (
        haiku.before["bias"].value > 0.8
        and abs(haiku.after["bias"].value) < 0.3
        and haiku.change["weighted_kappa"].low > 0.1
    )
    assert abs(gains["prompted_gemini-1.5-pro"].before["bias"].value) == min(
        abs(g.before["bias"].value) for g in gains.values()
    )


@pytest.mark.parametrize(
    "change,message",
    [
        ({"x": [0.9, 0.5, 0.1]}, "rising"),
        ({"x": [0.1, 0.5, 1.5]}, "from 0 to 1"),
        ({"x": [-0.1, 0.5, 0.9]}, "from 0 to 1"),
        ({"x": [0.1, 0.5, math.inf]}, "finite"),
        ({"x": ["a", "b", "c"]}, "finite"),
        ({"x": None}, "x is None"),
        ({"x": [0.1, 0.5]}, "three cut points"),
        ({"n": -1}, "n is -1"),
        ({"source": 3}, "source is 3"),
        ({"kind": "isotonic", "x": [0, 1], "y": [1, 5]}, "from 1 to 4"),
        ({"kind": "isotonic", "x": [0, 1], "y": [1, math.nan]}, "y is .*finite"),
    ],
)
def test_a_damaged_file_is_told(change, message):
    good = Calibrator("cuts", (0.2, 0.4, 0.6), n=50).to_dict()
    assert Calibrator.from_dict(good)(0.5) == 3
    with pytest.raises(ValueError, match=message):
        Calibrator.from_dict({**good, **change})


def test_values_outside_the_judges_scale_are_told():
    five = [1, 2, 3, 4, 5] * 3
    with pytest.raises(ValueError, match="points is 5.0, expected a number from 1 to 4; give scale="):
        fit_points(five, [1] * 15)
    assert fit_points(five, [1, 2, 3, 4, 4] * 3, scale=(1, 5))(5) == 4
    with pytest.raises(ValueError, match="from 0 to 1"):
        fit_points([50] * 10, [3] * 10, of="fraction")
