"Statistics against independent implementations of their formulas."

from functools import partial
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import t as student

from crmeval.core.groups import group_difference
from crmeval.core.stats import mean_estimate, paired_difference, simultaneous
from crmeval.live.experiment import compare_arms


def two_sides(seed, n_in, n_out, shift=0.0):
    "Return values, each its own conversation, and whether they belong to the group."
    x = np.random.default_rng(seed).normal(3, 1, n_in + n_out)
    side = np.arange(n_in + n_out) < n_in
    return x + shift * side, side


def apart(x, side):
    return x[side].mean() - x[~side].mean()


@pytest.mark.parametrize("n_in,n_out", [(4, 30), (30, 4), (6, 6)])
def test_the_interval_of_a_group_is_a_jackknife_with_students_t_of_the_smaller_side(n_in, n_out):
    x, side = two_sides(1, n_in, n_out)
    n = len(x)
    without = np.array([apart(np.delete(x, i), np.delete(side, i)) for i in range(n)])
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    difference = group_difference(x, side)
    far = student.ppf(0.975, min(n_in, n_out) - 1) * error
    assert (difference.low, difference.high) == pytest.approx((apart(x, side) - far, apart(x, side) + far))


def test_the_p_value_of_a_small_group_counts_all_deals():
    x, side = two_sides(2, 3, 5, shift=1.0)
    deals = [apart(x, np.isin(np.arange(8), some)) for some in combinations(range(8), 3)]
    share = np.mean(np.abs(deals) >= abs(apart(x, side)) - 1e-12)
    assert group_difference(x, side).p_value == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("seed,shift", [(3, 0.0), (4, 0.06), (5, 0.12)])
def test_the_p_value_of_thousands_is_that_of_dealing_them(seed, shift):
    "Above 2,000 conversations the p-value is approximated; it must agree with the permutations."
    x, side = two_sides(seed, 700, 1500, shift)
    r = np.random.default_rng(seed)
    deals = np.array([apart(x, r.permutation(side)) for _ in range(3000)])
    share = np.mean(np.abs(deals) >= abs(apart(x, side)))
    assert group_difference(x, side).p_value == pytest.approx(share, abs=0.035)


def test_simultaneous_intervals_follow_the_steps_of_holm():
    gaps = np.random.default_rng(5).normal(0, 1, (5, 40)) + np.array([1.0, 0.7, 0.4, 0.1, 0.0])[:, None]
    make = [partial(paired_difference, list(g), [0.0] * 40) for g in gaps]
    alone = [f() for f in make]
    order = sorted(range(5), key=lambda i: alone[i].p_value)
    expected, highest, significant = {}, 0.0, 0
    for step, i in enumerate(order):
        highest = min(1.0, max(highest, (5 - step) * alone[i].p_value))
        expected[i] = highest
        significant += highest < 0.05
    assert 0 < significant < 5  # otherwise the steps would not be tested
    together = simultaneous({i: (lambda level, f=f: f(confidence_level=level)) for i, f in enumerate(make)})
    for step, i in enumerate(order):
        wide = make[i](confidence_level=1 - 0.05 / (5 - min(step, significant)))
        found = together[i]
        assert found.p_value == pytest.approx(expected[i])
        assert found.confidence_level == 0.95
        assert (found.low, found.high) == pytest.approx(
            (wide.low, wide.high) if step < significant else (min(wide.low, 0), max(wide.high, 0))
        )


@pytest.mark.parametrize("labels", ["clusters", "strata"])
@pytest.mark.parametrize("many", [2, 4])
def test_labels_that_do_not_fit_the_values_are_refused(labels, many):
    with pytest.raises(ValueError, match=f"{many} labels for 3 values"):
        mean_estimate([1.0, 2.0, 3.0], **{labels: list("abcd")[:many]})


def test_sides_that_do_not_fit_the_values_are_refused():
    with pytest.raises(ValueError, match="2 values and 3 sides"):
        group_difference([1.0, 2.0], [True, False, False])


@pytest.mark.parametrize("tightest_at", [100, 400, 5000])
def test_a_part_of_the_control_is_as_much_wider_in_a_sequence_as_the_difference(tightest_at):
    "Fieller's interval ends where the ratio is as many standard errors away; looks raise that number alike."
    r = np.random.default_rng(4)
    rows = {"arm": np.where(r.random(400) < 0.4, "new", "control"), "y": r.normal(3, 1, 400)}
    once = compare_arms(rows, "y", "fixed")
    often = compare_arms(rows, "y", "sequential", tightest_at=tightest_at)

    def times(a, b):
        return (a.high - a.low) / (b.high - b.low)

    def errors_away(end):
        "How many standard errors the difference from `1 + end` times the control's mean is away from 0."
        (new, n), (control, m) = ((y := rows["y"][rows["arm"] == a], len(y)) for a in ("new", "control"))
        ratio = 1 + end
        return abs(new.mean() - ratio * control.mean()) / np.sqrt(
            new.var(ddof=1) / n + ratio**2 * control.var(ddof=1) / m
        )

    assert times(often, once) > 1.3
    for side in ("low", "high"):
        wide, narrow = (errors_away(getattr(found.relative, side)) for found in (often, once))
        assert wide / narrow == pytest.approx(times(often, once), rel=1e-6)
