"Live intervals contain the truth as often as they say: few rows, rare events, uneven clusters, any shape."

import math

import numpy as np
import pytest

from crmeval.live.drift_charts import chart_series
from crmeval.live.experiment import compare_arms
from crmeval.live.live_report import ratio_estimate, weekly_outcome
from crmeval.live.off_policy import doubly_robust, inverse_propensity, self_normalised
from crmeval.live.outcomes import outcome
from crmeval.live.validity import validity

REPEATS = 300
LOWEST = 0.91  # of a nominal 0.95: what 300 repetitions tell apart from it


def covered(make, repeats=REPEATS):
    "Return (share of intervals that hold the truth, share of repetitions with an interval)."
    known, held = 0, 0
    for seed in range(repeats):
        found, truth = make(np.random.default_rng(seed))
        if found.low is not None:
            assert found.low < found.high, (seed, found)  # no interval has no width
            known += 1
            held += found.low - 1e-9 <= truth <= found.high + 1e-9
    return held / max(known, 1), known / repeats


def clusters(rng, count, sizes):
    "Return the cluster of each row: of similar, or of very uneven sizes."
    many = rng.integers(1, 8, count) if sizes == "similar" else rng.pareto(1.2, count).astype(int) + 1
    return np.repeat(np.arange(count), many)


@pytest.mark.parametrize("seed", range(8))
def test_the_share_of_a_week_with_few_replies_holds(seed):
    "Whatever the share, the rows and the customers."
    shape = np.random.default_rng(100 + seed)
    share, count = float(shape.uniform(0.02, 0.98)), int(shape.integers(4, 60))
    alike = float(shape.uniform(0.02, 0.3))
    a, b = (p * (1 - alike) / alike for p in (share, 1 - share))

    def week(rng):
        unit = clusters(rng, count, "similar")
        y = rng.random(len(unit)) < rng.beta(a, b, count)[unit]
        return ratio_estimate(y.astype(float), np.ones(len(y)), unit, bounds=(0, 1)), share

    held, known = covered(week)
    assert held >= LOWEST and known == 1, (share, count, alike, held)


@pytest.mark.parametrize("n", [4, 9, 25, 60])
def test_a_rating_near_the_end_of_its_scale_holds(n):
    points = np.array([0.04, 0.03, 0.08, 0.25, 0.6])

    def rating(rng):
        y = rng.choice(np.arange(1, 6), n, p=points).astype(float)
        week = ratio_estimate(y, np.ones(n), np.arange(n), bounds=(1, 5))
        card = outcome({"csat": y.tolist()}, "csat") if n == 9 else week
        assert (week.low, week.high) == pytest.approx((card.low, card.high)) or week.low is None
        return week, float(points @ np.arange(1, 6))

    held, known = covered(rating)
    assert held >= LOWEST and known > 0.8, (n, held)


@pytest.mark.parametrize("kind", ["share", "rating", "time"])
def test_a_week_in_which_all_values_are_the_same_is_no_certainty(kind):
    value, bounds = {"share": (0.0, (0, 1)), "rating": (5.0, (1, 5)), "time": (3.2, (0, math.inf))}[kind]
    found = ratio_estimate(np.full(12, value), np.ones(12), np.arange(12), bounds=bounds)
    assert found.value == pytest.approx(value)
    assert found.high > 0.1 if kind == "share" else found.low is found.high is None
    rows = {"time": ["2026-03-02"] * 12, "arm": ["new"] * 12, "y": [value] * 12}
    (week,) = weekly_outcome(rows, "y", bounds=bounds).arms["new"]
    assert (week.low, week.high) == (found.low, found.high)


@pytest.mark.parametrize("alike", [0.0, 0.7, 1.5])
@pytest.mark.parametrize("sides", [(10, 10), (10, 40), (40, 40)])
def test_arms_with_a_few_large_customers_hold_the_difference(alike, sides):
    def arms(rng):
        unit = clusters(rng, sum(sides), "uneven")
        y = rng.normal(0, alike, sum(sides))[unit] + rng.normal(0, 1, len(unit))
        rows = {"arm": np.where(unit < sides[0], "control", "new"), "y": y, "unit": unit}
        return compare_arms(rows, "y", "fixed"), 0.0

    held, known = covered(arms)
    assert held >= LOWEST and known == 1, (alike, sides, held)


def test_an_outcome_by_agents_of_whom_a_few_do_most_holds():
    def desk(rng):
        agent = clusters(rng, 14, "uneven")
        y = rng.random(len(agent)) < rng.beta(4, 6, 14)[agent]
        rows = {"draft_sent": [1] * len(y), "accepted": y.astype(int).tolist(), "agent": agent.tolist()}
        return outcome(rows, "acceptance_rate"), 0.4

    held, _ = covered(desk)
    assert held >= LOWEST, held


@pytest.mark.parametrize("method", ["fixed", "sequential"])
@pytest.mark.parametrize("old,new,n", [(0.02, 0.02, 40), (0.05, 0.1, 60), (0.5, 0.6, 30), (0.03, 0.06, 250)])
def test_a_relative_difference_of_shares_holds_and_never_contradicts_the_difference(method, old, new, n):
    def shares(rng):
        y = np.r_[rng.random(n) < old, rng.random(n) < new].astype(float)
        found = compare_arms({"arm": ["control"] * n + ["new"] * n, "y": y}, "y", method)
        part = found.relative
        if part.low is not None and method == "fixed":
            assert found.decided == (not part.low <= 0 <= part.high), (found, part)
        return part, new / old - 1

    held, _ = covered(shares)
    assert held >= LOWEST, held


@pytest.mark.parametrize("n", [15, 40])
def test_a_relative_difference_of_skewed_times_holds(n):
    def times(rng):
        y = np.r_[rng.gamma(1.2, 10, n), rng.gamma(1.2, 13, n)]
        found = compare_arms({"arm": ["control"] * n + ["new"] * n, "y": y}, "y", "fixed")
        part = found.relative
        assert part.low is None or found.decided == (not part.low <= 0 <= part.high)
        return part, 0.3

    held, known = covered(times)
    assert held >= LOWEST and known > 0.99, held


@pytest.mark.parametrize("estimate", ["IPS", "SNIPS", "DR"])
@pytest.mark.parametrize("rate,rows", [(0.3, 300), (0.05, 1000), (0.05, 3000)])
def test_policies_with_rare_rewards_and_uneven_weights_hold_or_have_no_interval(estimate, rate, rows):
    "The target always chooses what the log chose in 2.5 or 92.5 % of the rows."

    def policy(rng):
        usual = rng.random(rows) < 0.25
        chance = np.where(usual, 0.925, 0.025)
        chosen = rng.random(rows) < chance
        reward = (rng.random(rows) < np.where(chosen, rate, rate / 2)).astype(float)
        target = chosen.astype(float)
        log = reward, np.where(chosen, chance, 1 - chance), target
        if estimate == "DR":
            found = doubly_robust(*log, predicted=np.full(rows, rate), expected=np.full(rows, rate))
        else:
            found = {"IPS": inverse_propensity, "SNIPS": self_normalised}[estimate](*log)
        assert found.low is not None or any("no interval" in note for note in found.notes)
        return found, rate

    held, known = covered(policy)
    assert known < 0.1 or held >= LOWEST - 0.02, (held, known)


def test_an_adjustment_by_many_covariates_on_few_rows_says_so():
    rng = np.random.default_rng(1)
    rows = {"arm": np.repeat(["control", "new"], 12), "y": rng.normal(size=24)}
    rows |= {f"x{i}": rng.normal(size=24) for i in range(8)}
    several = compare_arms(rows, "y", "fixed", [f"x{i}" for i in range(8)])
    assert any("8 covariates for 24 independent units" in note for note in several.notes)
    assert not compare_arms(rows, "y", "fixed", "x0").notes


@pytest.mark.parametrize("n", [2, 3, 6])
def test_the_interval_of_a_small_week_in_a_drift_chart_holds(n):
    def week(rng):
        y = rng.normal(3, 1, n)
        cells = {(739_000 // 7 * 7 + 1, 0): (n, float(y.sum()), float((y**2).sum()))}
        (only,) = chart_series("words", cells, "mean").weeks
        return only, 3.0

    held, known = covered(week)
    assert held >= LOWEST and known == 1, held


def test_outcomes_by_score_are_no_certainty_where_all_agree():
    rows = [{"score": s, "accepted": int(s > 2), "draft_sent": 1} for s in (1, 2, 3, 4) for _ in range(9)]
    found = validity(rows, "acceptance_rate")
    assert [e.value for _, _, e in found.by_score] == [0, 0, 1, 1]
    assert all(e.high - e.low > 0.2 for _, _, e in found.by_score)
