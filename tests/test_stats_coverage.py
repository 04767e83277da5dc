"Confidence intervals and tests: coverage and error rates in simulations."

import numpy as np
import pytest

from crmeval.core.stats import mean_estimate, paired_difference, proportion_estimate, quantile_estimate


def shares(p, n=4):
    return np.array([1, 2, 3, 4]), np.array(p)


@pytest.mark.parametrize(
    "clusters,per_cluster,p",
    [
        (8, 1, [0.05, 0.15, 0.4, 0.4]),
        (30, 1, [0.3, 0.3, 0.2, 0.2]),
        (30, 3, [0.05, 0.1, 0.25, 0.6]),
        (100, 2, [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_cluster_bootstrap_holds_the_mean(clusters, per_cluster, p):
    levels, weights = shares(p)
    truth, covered, runs = float(levels @ weights), 0, 400
    for seed in range(runs):
        r = np.random.default_rng(seed)
        x = np.repeat(r.choice(levels, clusters, p=weights), per_cluster).astype(float)
        e = mean_estimate(
            list(x),
            clusters=list(np.repeat(np.arange(clusters), per_cluster)),
            bounds=(1, 4),
            n_resamples=500,
            rng=seed,
        )
        covered += e.low <= truth <= e.high
    assert 0.915 <= covered / runs <= 0.99, covered / runs


@pytest.mark.parametrize("strata,clusters", [(11, 2), (14, 3), (5, 4), (6, 9)])
def test_a_mean_over_use_cases_of_few_conversations_is_held(strata, clusters):
    "The strata have different means; each is resampled from its own few clusters."
    covered, runs = 0, 300
    for seed in range(runs):
        r = np.random.default_rng([strata, seed])
        level = r.normal(0, 1, strata)
        x = (level[:, None] + r.normal(0, 0.6, (strata, clusters))).ravel()
        of = list(np.repeat(np.arange(strata), clusters))
        e = paired_difference(list(x), [0.0] * len(x), strata=of, n_resamples=1000, rng=seed)
        covered += e.low <= level.mean() <= e.high
    assert 0.90 <= covered / runs <= 0.99, covered / runs


def test_one_stratum_has_the_interval_of_none():
    x = list(np.random.default_rng(3).normal(0, 1, 9))
    assert mean_estimate(x) == mean_estimate(x, strata=["a"] * 9)


def test_ignoring_clusters_would_be_too_sure():
    "Control of the test above: without clusters the interval is too narrow."
    covered, runs = 0, 300
    for seed in range(runs):
        r = np.random.default_rng(seed)
        x = np.repeat(r.choice([1, 2, 3, 4], 20, p=[0.1, 0.2, 0.3, 0.4]), 4).astype(float)
        e = mean_estimate(list(x), n_resamples=400, rng=seed)
        covered += e.low <= 3.0 <= e.high
    assert covered / runs < 0.8


@pytest.mark.parametrize("p,n", [(0.5, 20), (0.9, 30), (0.98, 50)])
def test_wilson_holds_the_share(p, n):
    r = np.random.default_rng(0)
    estimates = [proportion_estimate(int(k), n) for k in r.binomial(n, p, 1000)]
    covered = [e.low <= p <= e.high for e in estimates]
    assert 0.90 <= np.mean(covered) <= 0.995


def test_quantile_interval_holds_the_quantile():
    covered = []
    for seed in range(300):
        x = np.random.default_rng(seed).exponential(size=120)
        e = quantile_estimate(list(x), 0.9)
        covered.append(e.low <= -np.log(0.1) <= (np.inf if e.high is None else e.high))
    assert 0.92 <= np.mean(covered) <= 1


def test_paired_test_keeps_its_level_and_has_power():
    false, found, runs = 0, 0, 300
    for seed in range(runs):
        r = np.random.default_rng(seed)
        base, noise = r.choice([1.0, 2.0, 3.0], 40), lambda r=r: r.choice([0.0, 1.0], 40)
        false += (
            paired_difference(list(base + noise()), list(base + noise()), n_resamples=400, rng=seed).p_value
            < 0.05
        )
        found += (
            paired_difference(
                list(base + noise() + 0.5), list(base + noise()), n_resamples=400, rng=seed
            ).p_value
            < 0.05
        )
    assert false / runs <= 0.08 and found / runs >= 0.9, (false / runs, found / runs)


@pytest.mark.parametrize(
    "sizes", [[1] * 8 + [2] * 3, [1, 6, 9], [2], [3], [5], [2, 2], [2] * 11, [1] * 12, [1, 1, 2, 3, 3, 40]]
)
def test_few_clusters_in_each_stratum_do_not_narrow_the_interval(sizes):
    "Strata of very different sizes, some with one or two clusters."
    strata, covered, runs = np.repeat(np.arange(len(sizes)), sizes), 0, 400
    for seed in range(runs):
        x = np.random.default_rng(seed).normal(0, 1, len(strata))
        e = mean_estimate(x, strata=strata, n_resamples=500, rng=seed)
        covered += e.low <= 0 <= e.high
    assert 0.91 <= covered / runs <= 0.99, covered / runs


def test_a_p_value_is_of_the_mean_beside_which_it_stands():
    "Two clusters of one stratum pull the mean below zero; the many of another are no evidence for that."
    a, strata = [0.1] * 60 + [-1.0, -1.1], ["many"] * 60 + ["two"] * 2
    d = paired_difference(a, [0.0] * 62, strata=strata)
    assert d.value < 0 and d.p_value > 0.3
    significant, runs = 0, 600
    strata = np.repeat(np.arange(5), [30, 2, 2, 3, 10])
    for seed in range(runs):
        x = np.random.default_rng(seed).normal(0, 1, len(strata))
        significant += paired_difference(x, np.zeros(len(x)), strata=strata, n_resamples=400).p_value < 0.05
    assert significant / runs <= 0.075, significant / runs


def test_equal_strata_change_no_p_value():
    x = np.random.default_rng(3).normal(0.3, 1, 40)
    alone, apart = [paired_difference(x, np.zeros(40), strata=s) for s in (None, np.arange(40) % 4)]
    assert alone.p_value == apart.p_value and abs(alone.value - apart.value) < 1e-12


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_a_difference_reaches_no_further_than_the_scale_is_wide(n):
    reached = 0
    for seed in range(40):
        a, b = np.random.default_rng(seed).integers(1, 5, (2, n)).astype(float)
        free, d = (
            paired_difference(a, b, n_resamples=200),
            paired_difference(a, b, bounds=(1, 4), n_resamples=200),
        )
        assert (d.value, d.p_value, d.n) == (free.value, free.p_value, free.n)
        if d.low is not None:
            assert -3 <= d.low <= d.value <= d.high <= 3
            reached += free.low < -3 or free.high > 3
    assert reached or n > 5


@pytest.mark.parametrize("clusters, strata", [(30, 2), (16, 3)])
def test_a_cluster_in_several_strata_is_drawn_whole(clusters, strata):
    "The values of one conversation are correlated across use cases."
    cluster, stratum, covered, apart = (
        np.repeat(np.arange(clusters), strata),
        np.tile(range(strata), clusters),
        0,
        0,
    )
    for seed in range(200):
        r = np.random.default_rng([clusters, seed])
        x = np.repeat(r.normal(0, 1, clusters), strata) + r.normal(0, 0.4, clusters * strata)
        whole = mean_estimate(x, clusters=cluster, strata=stratum, n_resamples=400, rng=seed)
        parts = mean_estimate(
            x, clusters=cluster * strata + stratum, strata=stratum, n_resamples=400, rng=seed
        )
        covered, apart = covered + (whole.low <= 0 <= whole.high), apart + (parts.low <= 0 <= parts.high)
    assert covered >= 0.91 * 200, f"held {covered} of 200"
    assert apart < 0.88 * 200, "resampling the parts separately is too narrow"
