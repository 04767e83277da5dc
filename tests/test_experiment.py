"Experiments: the promised error rates are measured, and properties hold for arbitrary inputs."

import itertools
import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from crmeval.core.stats import Estimate
from crmeval.live.arm_rows import arm_rows
from crmeval.live.assignment import Assignment, _any_time_p, read_assignment, sample_ratio, unit_point
from crmeval.live.experiment import (
    ArmOutcome,
    Guardrail,
    assign,
    compare_all_arms,
    compare_arms,
    daily_looks,
    experiment_result,
)
from crmeval.live.off_policy import doubly_robust, inverse_propensity, self_normalised
from crmeval.live.power import duration, power, sample_size
from crmeval.live.sequential import always_valid, boundary, mixture_weight, sequential_power
from crmeval.tasks.public import find_file, load_rows, sources

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import experiments as trials  # noqa: E402

HALVES = {"control": 0.5, "new": 0.5}
RUNS = 5000


def table(y, treated, **columns):
    return {"arm": np.where(treated, "new", "control"), "y": np.asarray(y), **columns}


def ends(found):
    "Return value, both ends and p; NaN for unknown ones."
    return [math.nan if v is None else v for v in (found.value, found.low, found.high, found.p)]


def near(found, rel=1e-6, abs=1e-9):
    return pytest.approx(ends(found), rel=rel, abs=abs, nan_ok=True)


# ---- assignment
def shares_of(weights):
    whole = sum(weights)
    return {f"arm {i}": w / whole for i, w in enumerate(weights)}


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1), st.text(min_size=1), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_every_unit_has_one_arm_that_it_keeps(unit, salt, weights):
    shares = shares_of(weights)
    arm = assign(unit, salt, shares)
    assert arm in shares and arm == assign(unit, salt, shares)
    assert 0 <= unit_point(unit, salt) < 1


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1), st.permutations(range(5)), st.permutations(range(5)))
def test_the_order_in_which_a_store_keeps_the_arms_moves_nobody(unit, first, second):
    shares = shares_of([4, 1, 3, 2, 5])
    names = list(shares)
    stages = ({names[i]: shares[names[i]] for i in first}, {names[i]: 0.2 for i in second})
    kept = Assignment("a store", (shares, dict.fromkeys(names, 0.2)))
    assert Assignment("a store", stages).arms([unit, "C-17"]) == kept.arms([unit, "C-17"])


def test_an_assignment_of_an_earlier_version_changes_no_arm_unasked(tmp_path):
    path = tmp_path / "drafts.json"
    by_name, as_given = {"control": 0.5, "new": 0.5}, {"new": 0.5, "control": 0.5}
    path.write_text(json.dumps({"salt": "drafts", "stages": [by_name]}), encoding="utf-8")
    assert read_assignment(path) == Assignment("drafts", (by_name,))
    path.write_text(json.dumps({"salt": "drafts", "stages": [by_name, as_given]}), encoding="utf-8")
    with pytest.raises(ValueError, match="in which arms lay in the order given"):
        read_assignment(path)
    path.write_text(json.dumps({"salt": "drafts", "stages": [as_given], "arms_by": "name"}), encoding="utf-8")
    assert read_assignment(path).arm("C-17") == Assignment("drafts", (by_name,)).arm("C-17")


def test_arms_are_the_same_in_another_process_with_another_hash_seed():
    code = "from crmeval.live.experiment import assign\n" + (
        f"print(''.join(assign(f'Kündin {{i}} 荷', 'größe', {HALVES!r})[0] for i in range(300)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PYTHONHASHSEED": "77",
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            "PYTHONUTF8": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "".join(assign(f"Kündin {i} 荷", "größe", HALVES)[0] for i in range(300))


@settings(deadline=None, max_examples=50)
@given(st.integers(), st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_who_is_in_and_a_number_is_its_text(unit, salt, a, b):
    few, many = sorted((a, b))
    arms = [assign(unit, salt, {"new": s, "control": 1 - s}) for s in (few, many)]
    assert arms != ["new", "control"]
    assert arms[0] == assign(str(unit), salt, {"new": few, "control": 1 - few})


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any), min_size=2, max_size=4),
    st.integers(0, 99),
)
def test_stages_move_nobody_out_of_an_arm_that_does_not_shrink(stages, seed):
    plan = Assignment(f"stages {seed}", tuple(map(shares_of, stages)), holdout=0.1)
    units = range(600)
    for i in range(1, len(stages)):
        before, after = plan.stages[i - 1], plan.stages[i]
        for old, new in zip(plan.arms(units, i - 1), plan.arms(units, i)):
            assert old == new or (after[old] < before[old] and after[new] > before[new])
    seen = Counter(plan.arms(units))
    assert abs(seen["holdout"] - 60) < 5 * math.sqrt(54)
    for arm, share in plan.shares.items():
        assert abs(seen[arm] - 540 * share) <= 5 * math.sqrt(600 * 0.25)
    assert sample_ratio(seen, plan.shares, alarm_below=1e-6).ok


@pytest.mark.parametrize("seed", range(5))
def test_salts_know_nothing_of_each_other(seed):
    salts = [f"{seed}", f"{seed} ", f"{seed}1", f"x{seed}"]
    arms = np.array([[unit_point(u, s) < 0.3 for u in range(5000)] for s in salts], float)
    apart = np.corrcoef(arms)[np.triu_indices(len(salts), 1)]
    assert np.abs(apart).max() < 4.5 / math.sqrt(5000)


@pytest.mark.parametrize(
    "shares", [{"a": 0.5, "b": 0.5}, {"a": 0.1, "b": 0.9}, {"a": 0.2, "b": 0.3, "c": 0.5}]
)
def test_the_sample_ratio_is_a_fair_bet(shares):
    "With the right shares, over all outcomes, the mean Bayes factor is 1 and the mean of 1 / p is at most 1."
    n, whole, inverse = 9, 0.0, 0.0
    for counts in itertools.product(range(n + 1), repeat=len(shares)):
        if sum(counts) != n:
            continue
        chance = stats.multinomial.pmf(counts, n, list(shares.values()))
        p = _any_time_p(dict(zip(shares, counts)), shares)
        whole, inverse = whole + chance, inverse + chance * (1 / p if p < 1 else 0)
    assert whole == pytest.approx(1) and inverse <= 1 + 1e-9


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**7), min_size=1))
def test_a_sample_ratio_is_told_for_any_counts(seen):
    ratio = sample_ratio(seen, {"a": 0.25, "b": 0.25, "c": 0.5})
    assert ratio.p is None if not sum(seen.values()) else 0 <= ratio.p <= 1
    assert str(ratio)


# ---- differences
VALUES = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))


@st.composite
def experiments(draw):
    "Draw a small experiment: outcomes with gaps, arms, agents, a covariate."
    n = draw(st.integers(30, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    y = rng.choice([rng.normal(0, 2, n), rng.lognormal(0, 1, n), rng.integers(0, 2, n)], axis=0)
    y[rng.random(n) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
    treated = np.arange(n) % 2 == 0
    return table(y, treated, x=rng.normal(0, 1, n), agent=rng.integers(0, 12, n))


OPTIONS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["fixed", "sequential"]),
        "covariate": st.sampled_from([None, "x"]),
        "cluster": st.sampled_from([None, "agent"]),
        "confidence_level": st.sampled_from([0.8, 0.95, 0.99]),
    }
)


@settings(max_examples=60, deadline=None)
@given(experiments(), OPTIONS, st.randoms(use_true_random=False))
def test_order_form_and_gaps_change_nothing(rows, options, random):
    difference = compare_arms(rows, "y", **options)
    frame = pd.DataFrame(rows)
    order = random.sample(range(len(frame)), len(frame))
    known = frame[frame.y.notna()]
    for again in (frame.iloc[order], frame.to_dict("records"), pa.Table.from_pandas(frame)):
        other = compare_arms(again, "y", **options)
        assert ends(other) == near(difference)
        assert (other.n, other.undefined) == (difference.n, difference.undefined)
    if options["covariate"] is None:  # a covariate's mean also uses the rows without an outcome
        alone = compare_arms(known, "y", **options)
        assert ends(alone) == near(difference) and alone.undefined == 0
    assert difference.n + difference.undefined == len(frame) and difference.n == len(known)


@settings(max_examples=60, deadline=None)
@given(experiments(), OPTIONS, st.floats(0.1, 10), st.floats(-50, 50))
def test_arms_change_sides_and_units_of_measure_change_nothing_else(rows, options, factor, shift):
    rows = rows | {"y": rows["y"] + 0.25}  # yes/no outcomes have an interval of their own
    difference = compare_arms(rows, "y", **options)
    other = compare_arms(rows, "y", control="new", **options)
    assert other.value == pytest.approx(-difference.value, abs=1e-9)
    moved = compare_arms(rows | {"y": factor * rows["y"] + shift}, "y", **options)
    assert moved.value == pytest.approx(factor * difference.value, rel=1e-6, abs=1e-7)
    if difference.low is not None:
        assert (other.low, other.high) == (pytest.approx(-difference.high), pytest.approx(-difference.low))
        assert moved.low == pytest.approx(factor * difference.low, rel=1e-5, abs=1e-6)
        assert moved.p == pytest.approx(difference.p, rel=1e-5, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(experiments(), OPTIONS)
def test_p_and_interval_say_the_same(rows, options):
    difference = compare_arms(rows, "y", **options)
    assert isinstance(difference, Estimate)
    if difference.low is None:
        assert difference.p is None and difference.reason and difference.verdict == "not decided yet"
        return
    assert difference.low <= difference.value <= difference.high
    edge = 1 - options["confidence_level"]
    assert abs(difference.p - edge) < 1e-9 or (difference.p < edge) == difference.decided
    wider = compare_arms(rows, "y", **options | {"confidence_level": 0.995})
    assert wider.low <= difference.low and wider.high >= difference.high
    if options["method"] == "fixed" and not np.isin(rows["y"][~np.isnan(rows["y"])], (0, 1)).all():
        always = compare_arms(rows, "y", **options | {"method": "sequential"})
        assert always.low is None or (always.low <= difference.low and always.high >= difference.high)


@settings(max_examples=30, deadline=None)
@given(experiments(), st.integers(2, 5), st.sampled_from(["fixed", "sequential"]))
def test_saying_everything_twice_makes_nothing_surer(rows, times, method):
    "A unit whose row is repeated counts as one unit."
    rows = rows | {"unit": np.arange(len(rows["y"])), "y": rows["y"] + 0.25}
    once = compare_arms(rows, "y", method)
    repeated = {name: np.repeat(column, times) for name, column in rows.items()}
    again = compare_arms(repeated, "y", method)
    assert ends(again) == near(once) and again.n == times * once.n
    assert again.effective_n == pytest.approx(once.effective_n)
    careless = compare_arms({k: v for k, v in repeated.items() if k != "unit"}, "y", method)
    assert again.low is None or careless.high - careless.low < again.high - again.low


@settings(max_examples=30, deadline=None)
@given(experiments(), st.floats(0.01, 100), st.floats(-100, 100))
def test_a_covariate_in_another_unit_is_the_same_and_an_empty_one_is_none(rows, factor, shift):
    difference = compare_arms(rows, "y", "fixed", "x")
    other = compare_arms(rows | {"x": factor * rows["x"] + shift}, "y", "fixed", "x")
    assert ends(other) == near(difference, 1e-5, 1e-7)
    constant = compare_arms(rows | {"x": np.full(len(rows["y"]), 3.0)}, "y", "fixed", "x")
    assert constant.value == pytest.approx(compare_arms(rows, "y", "fixed").value)


@settings(max_examples=30, deadline=None)
@given(experiments(), st.integers(1, 30))
def test_rows_of_other_arms_and_without_an_arm_are_no_part_of_it(rows, more):
    difference = compare_arms(rows, "y", "fixed")
    frame = pd.DataFrame(rows)
    others = pd.DataFrame({"arm": ["third", None] * more, "y": 99.0, "x": 0.0, "agent": 0})
    again = compare_arms(pd.concat([frame, others]), "y", "fixed", treatment="new")
    assert ends(again) == near(difference) and again.undefined == difference.undefined
    assert f"{more} rows without an arm" in again.notes


@pytest.mark.parametrize("value", ["7", "", b"7", [1], {"a": 1}, 1j, float("inf"), -np.inf, pd.Timestamp(0)])
def test_what_is_no_number_is_never_one(value):
    rows = [{"arm": arm, "y": 1.0} for arm in ("control", "new")] + [{"arm": "new", "y": value}]
    with pytest.raises(ValueError, match="y is .* in row 2, expected"):
        compare_arms(rows, "y")


@settings(max_examples=30, deadline=None)
@given(st.lists(experiments(), min_size=2, max_size=2), st.sampled_from(["fixed", "sequential"]))
def test_several_outcomes_are_never_surer_than_each(both, method):
    n = min(len(rows["y"]) for rows in both)
    rows = table(both[0]["y"][:n], np.arange(n) % 2 == 0, z=both[1]["y"][:n], flat=np.full(n, 2.5))
    together = compare_arms(rows, ["y", ArmOutcome("z", higher_is_better=False), "flat"], method)
    assert list(together) == ["y", "z", "flat"] and together["flat"].p is None
    for name in ("y", "z"):
        alone, found = compare_arms(rows, name, method), together[name]
        if found.low is not None:
            assert found.p >= alone.p - 1e-12 and found.low <= alone.low and found.high >= alone.high
            assert found.decided == (found.p < 0.05)


@settings(max_examples=20, deadline=None)
@given(experiments(), st.integers(2, 4), st.sampled_from(["fixed", "sequential"]))
def test_arms_beside_others_are_never_surer_than_alone(rows, arms, method):
    rows = rows | {"arm": np.array([f"arm {i % arms}" for i in range(len(rows["y"]))])}
    every = compare_all_arms(rows, "y", method, control="arm 0")
    assert list(every) == [f"arm {i}" for i in range(1, arms)]
    for name, found in every.items():
        alone = compare_arms(rows, "y", method, control="arm 0", treatment=name)
        assert found.value == alone.value
        if found.low is not None:
            assert found.p >= alone.p - 1e-12 and found.low <= alone.low and found.decided == (found.p < 0.05)


def test_a_harm_is_told_before_a_gain():
    rng = np.random.default_rng(0)
    treated = np.arange(8000) % 2 == 0
    rows = table(
        rng.normal(0.5 * treated, 1), treated, reopened=rng.random(8000) < np.where(treated, 0.3, 0.1)
    )
    rail = Guardrail(ArmOutcome("reopened", higher_is_better=False), 0.02)
    assert experiment_result(rows, ["y"], guardrails=[rail]).verdict == "guardrail broken"
    assert experiment_result(rows, ["y"], guardrails=[replace(rail, allowed=0.3)]).verdict == "better"
    stays = ~treated | (rng.random(8000) < 0.8)
    lost = {name: column[stays] for name, column in rows.items()}
    assert experiment_result(lost, ["y"], shares=HALVES).verdict == "not comparable"


# ---- error rates, measured
def small(kind, **options):
    "Share of 5,000 null experiments with a decision in 30 daily looks: (sequence, plain z-test)."
    sequence, plain = trials.decided(trials.looks_of(kind, RUNS, seed=18), **options)
    return sequence.any(1).mean(), plain.any(1).mean()


@pytest.mark.parametrize(
    "name,kind,tightest_at",
    [
        ("means", trials.plain_kind(trials.normal, (20, 20)), 500),
        ("handling time", trials.plain_kind(trials.handling_time, (20, 20)), 500),
        ("handling time, few treated", trials.plain_kind(trials.handling_time, (10, 30)), 5000),
        ("shares", trials.plain_kind(trials.share(0.1), (20, 20), judge=trials.of_shares), 500),
        ("adjusted", trials.adjusted_kind(0.5, 20), 500),
        ("agents", trials.agent_kind(10), 100),
    ],
)
def test_daily_looks_give_few_false_alarms(name, kind, tightest_at):
    sequence, plain = small(kind, tightest_at=tightest_at)
    assert sequence <= 0.05, (name, sequence)
    assert plain > 0.1, (name, plain)  # for contrast: the plain test fails


def test_the_sums_are_what_rows_give():
    found = trials.real(8)
    assert found["largest distance of an end"] < 1e-9
    rng = np.random.default_rng(2)
    x, y = rng.normal(0, 1, (2, 1, 3, 30)), rng.normal(0, 1, (2, 1, 3, 30))
    value, error, df, n = trials.of_adjusted(y[0], y[1], x[0], x[1])
    side, day = np.arange(180) < 90, np.tile(np.repeat(np.arange(3), 30), 2)
    looks = daily_looks(table(y.ravel(), side, x=x.ravel(), day=day), "y", covariate="x")
    low, high, _ = always_valid(value, error, n, df=df)
    np.testing.assert_allclose([(d.low, d.high) for d in looks.differences], np.stack([low[0], high[0]], 1))
    yes = (y > 0.5).astype(float)
    looks = daily_looks(table(yes.ravel(), side, day=day), "y")
    value, error, df, n = trials.of_shares(yes[0], yes[1])
    low, high, _ = always_valid(value, error, n, df=df)
    np.testing.assert_allclose([(d.low, d.high) for d in looks.differences], np.stack([low[0], high[0]], 1))


def test_agents_sums_are_what_rows_give():
    rng = np.random.default_rng(4)
    y, agent = rng.normal(0, 1, 400), np.repeat(np.arange(40), 10)
    difference = compare_arms(table(y, agent < 20, agent=agent), "y", cluster="agent")
    sides = []
    for part in (y[:200], y[200:]):
        by = part.reshape(1, 20, 10)
        sides.append((by.sum(2, keepdims=True), (by**2).sum(2, keepdims=True), np.full((1, 20, 1), 10)))
    value, error, df, n = trials.of_agents(*sides)
    low, high, p = always_valid(value, error, n, df=df)
    assert [
        difference.value,
        difference.low,
        difference.high,
        difference.p,
        difference.effective_n,
    ] == pytest.approx([value.item(), low.item(), high.item(), p.item(), n.item()])


def test_effects_are_found_when_it_was_computed_that_they_would():
    "An effect of 0.1 sd at 400 rows a day; 40 rows a day with 0.1 * sqrt(10) is equivalent and faster."
    effect, days = 0.1 * math.sqrt(10), []
    for kind, r in (
        (trials.plain_kind(trials.normal, (20, 20), effect=effect), 0.0),
        (trials.adjusted_kind(0.5, 20, effect), 0.5),
    ):
        chance, day = trials.found_by(trials.decided(trials.looks_of(kind, 2000, 3), tightest_at=500)[0])
        computed = sequential_power(effect, 1, 40, 30, correlation=r, tightest_at=500)
        assert chance == pytest.approx(computed.chance, abs=0.012) and day == pytest.approx(
            computed.mean_day, abs=0.5
        )
        days.append(day)
    assert 9 < days[0] < 10.7 and 7 < days[1] < 8.5


@pytest.mark.parametrize("effect,sizes", [(0.25, (100, 100)), (0.3, (40, 160)), (0.5, (30, 30))])
def test_one_look_has_the_power_that_was_computed(effect, sizes):
    rng = np.random.default_rng(5)
    y = [rng.normal(shift, 1, (4000, n)) for shift, n in zip((effect, 0), sizes)]
    p = stats.ttest_ind(*y, axis=1, equal_var=False).pvalue
    computed = power(effect, 1, sum(sizes), treated=sizes[0] / sum(sizes))
    assert np.mean(p < 0.05) == pytest.approx(computed, abs=0.03)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.01, 2), st.floats(0.1, 5), st.floats(0.1, 0.9), st.floats(0, 0.9), st.floats(1, 20))
def test_the_size_has_the_power_that_was_wanted(effect, sd, treated, correlation, clustering):
    more = dict(treated=treated, correlation=correlation, clustering=clustering)
    n = sample_size(effect, sd, wanted=0.8, **more)
    assert power(effect, sd, n, **more) >= 0.8 - 1e-9
    assume(n > 2)
    assert power(effect, sd, n - 1, **more) < 0.8 + 1e-3
    week = duration(effect, sd, 100, **more)
    assert week.days % 7 == 0 and (week.days - 7) * 100 < week.rows <= week.days * 100


@pytest.mark.parametrize(
    "kind",
    [
        "means, 15 and 60",
        "ratio, 200 customers an arm",
        "20 agents an arm",
        "30 agents in both arms",
        "adjusted, 100 an arm",
    ],
)
def test_intervals_hold_the_difference(kind):
    assert 0.91 <= trials.coverage(250, kinds=[kind])[kind] <= 0.99


def test_a_sequence_holds_the_truth_at_all_looks_together():
    looks = trials.looks_of(trials.plain_kind(trials.handling_time, (20, 20), effect=5.0), 2000, 6)
    low, high, _ = always_valid(looks[0], looks[1], looks[3], df=looks[2], tightest_at=500)
    assert ((low <= 5) & (high >= 5)).all(1).mean() >= 0.95


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 8), st.floats(0.01, 10), st.integers(1, 10**6), st.integers(1, 10**6), st.floats(1, 2000))
def test_the_always_valid_p_is_where_the_interval_touches_zero(z, error, n, tightest_at, df):
    _, _, p = always_valid(z * error, error, n, df=df, tightest_at=tightest_at)
    assert 0 <= p <= 1
    assume(1e-10 < p < 0.999)
    low, _, _ = always_valid(
        z * error, error, n, df=df, tightest_at=tightest_at, confidence_level=1 - float(p)
    )
    assert low == pytest.approx(0, abs=1e-4 * z * error)


# ---- off-policy evaluation
@st.composite
def logs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, actions = draw(st.integers(20, 200)), draw(st.integers(2, 5))
    logged, target = rng.dirichlet(np.ones(actions) * 3), rng.dirichlet(np.ones(actions))
    a = rng.choice(actions, n, p=logged)
    return rng.normal(2, 1, n), logged[a], target[a]


@settings(deadline=None, max_examples=50)
@given(logs(), st.floats(-5, 5))
def test_policy_estimates_are_what_their_formulas_say(log, shift):
    reward, logged, target = log
    ips, snips = inverse_propensity(*log), self_normalised(*log)
    assert ips.value == pytest.approx((target / logged * reward).mean())
    assert reward.min() - 1e-9 <= snips.value <= reward.max() + 1e-9
    moved = self_normalised(reward + shift, logged, target)
    assert moved.value == pytest.approx(snips.value + shift)
    none = np.zeros(len(reward))
    assert doubly_robust(*log, predicted=none, expected=none).value == pytest.approx(ips.value)
    perfect = doubly_robust(*log, predicted=reward, expected=np.full(len(reward), 1.5))
    assert perfect.value == pytest.approx(1.5)
    assert 1 - 1e-9 <= ips.effective_n <= len(reward) + 1e-9
    own = inverse_propensity(reward, logged, logged)
    assert own.value == pytest.approx(reward.mean()) and own.effective_n == pytest.approx(len(reward))


@settings(deadline=None, max_examples=50)
@given(logs(), st.integers(1, 10))
def test_rewards_that_never_came_are_counted(log, lost):
    reward, logged, target = log
    gaps = [None if i < lost else v for i, v in enumerate(reward)]
    for estimate in (inverse_propensity, self_normalised):
        found, known = estimate(gaps, logged, target), estimate(reward[lost:], logged[lost:], target[lost:])
        assert (found.value, found.low, found.undefined, known.undefined) == (known.value, known.low, lost, 0)


def test_a_policy_s_estimates_hold_the_truth_with_clusters():
    "Customers with several choices each; the rewards of one customer are correlated."
    covered, chance, wanted = 0, np.array([0.7, 0.3]), np.array([0.2, 0.8])
    for seed in range(300):
        rng = np.random.default_rng(seed)
        who = np.repeat(np.arange(80), 6)
        a = rng.choice(2, len(who), p=chance)
        reward = rng.gamma(1, 1, 80)[who] * np.array([0.5, 1.0])[a]
        estimate = inverse_propensity(reward, chance[a], wanted[a], clusters=who)
        covered += estimate.low <= 0.9 <= estimate.high
    assert covered >= 0.9 * 300


@pytest.mark.skipif(
    not find_file(sources()["open_bandit"], "impressions.jsonl.gz"),
    reason="open_bandit is not there: set CRMEVAL_DATA",
)
def test_two_policies_that_ran_are_not_told_apart_by_a_few_dozen_clicks():
    frame = pd.DataFrame(load_rows("open_bandit", "impressions.jsonl.gz"))
    frame["day"] = frame["t"].str.slice(0, 10)
    for _, part in frame.groupby("campaign"):
        looks = daily_looks(part, "click", arm="policy", control="random")
        assert looks.first is None and looks.differences[-1].verdict == "not decided yet"
        assert looks.differences[-1].n == 20_000
    one = frame[(frame.policy == "random") & (frame.campaign == "men")].reset_index(drop=True)
    for seed in range(20):  # one policy against itself
        arm = [assign(i, f"A/A {seed}", HALVES) for i in range(len(one))]
        assert not compare_arms(one.assign(arm=arm), "click").decided


# ---- libraries with the same methods
def test_tea_tasting_says_the_same():
    tt = pytest.importorskip("tea_tasting")
    rng = np.random.default_rng(0)
    treated, x, views = rng.random(3000) < 0.4, rng.gamma(2, 1, 3000), 1 + rng.poisson(5, 3000)
    rows = table(0.7 * x + rng.gamma(2, 1, 3000), treated, x=x, views=views, clicks=rng.binomial(views, 0.2))
    reference = tt.Experiment(
        mean=tt.Mean("y"), adjusted=tt.Mean("y", "x"), ratio=tt.RatioOfMeans("clicks", "views")
    ).analyze(pa.table(rows | {"variant": treated.astype(int)}))
    ours = {
        "mean": (compare_arms(rows, "y", "fixed"), 1e-9),
        "adjusted": (compare_arms(rows, "y", "fixed", "x"), 2e-3),
        "ratio": (compare_arms(rows, "clicks", "fixed", per="views"), 1e-9),
    }
    for name, (found, part) in ours.items():
        other, width = reference[name], found.high - found.low
        wanted = [other.effect_size, other.effect_size_ci_lower, other.effect_size_ci_upper]
        assert [found.value, found.low, found.high] == pytest.approx(wanted, abs=part * width), name
        assert found.p == pytest.approx(other.pvalue, abs=max(part, 1e-9))


def test_ville_has_the_same_boundary():
    ville = pytest.importorskip("ville")
    n = np.array([50.0, 400.0, 5000.0, 1e5])
    rho = ville.best_rho(5000, 0.05)
    assert boundary(mixture_weight(n)) * np.sqrt(n) == pytest.approx(
        ville.normal_mixture(n, 0.05, rho), rel=1e-4
    )
    rng = np.random.default_rng(1)
    treated = np.arange(4000) % 2
    y = rng.normal(0.1 * treated, 1)
    reference = ville.AsymptoticABTest(t_opt=5000).fit(y, treated)
    ours = compare_arms(table(y, treated == 1), "y")
    assert [ours.low, ours.high] == pytest.approx(list(reference.interval()), abs=0.01)


def test_rows_are_read_once_and_whole():
    rows = arm_rows(table([1.0, np.nan, 0.0], [True, True, False]), "y")
    assert (rows.counts, rows.undefined, rows.plain_shares) == ((1, 1), (0, 1), True)


def _written(day, how):
    "Return a day number (from 0) in one of the forms in which tables store days."
    moment = datetime(2026, 2, 25, 22, tzinfo=timezone.utc) + timedelta(days=int(day))
    return {
        "number": int(day),
        "text of a number": str(int(day)),
        "date": moment.date(),
        "moment": moment + timedelta(minutes=int(day) % 7),
        "ISO date": f"{moment:%Y-%m-%d}",
        "ISO moment": moment.isoformat(),
        "with a blank": f" {moment:%Y-%m-%d %H:%M} ",
        "NumPy": np.datetime64(f"{moment:%Y-%m-%d}"),
    }[how]


@pytest.mark.parametrize(
    "how",
    ["text of a number", "date", "moment", "ISO date", "ISO moment", "with a blank", "NumPy"],
)
def test_days_are_in_the_order_of_time_in_every_form(how):
    rng = np.random.default_rng(4)
    day = rng.permutation(np.repeat(np.arange(14), 30))
    side = rng.choice(["control", "new"], len(day))
    rows = {"arm": side.tolist(), "y": (rng.normal(size=len(day)) + day / 5).tolist()}
    true, written = (daily_looks(rows | {"day": [_written(d, h) for d in day]}, "y") for h in ("number", how))
    assert [(d.value, d.low, d.n) for d in written.differences] == [
        (d.value, d.low, d.n) for d in true.differences
    ]


@pytest.mark.parametrize("wrong", ["2026-3-1", "01.03.2026", "Monday", "", "2026-02-30", "2026-03-011", True])
def test_what_is_no_day_is_told(wrong):
    rows = {"arm": ["control", "new"] * 20, "y": list(range(40)), "day": [wrong] * 20 + ["2026-03-02"] * 20}
    with pytest.raises(ValueError, match="expected a day such as"):
        daily_looks(rows, "y")


@pytest.mark.parametrize("method", ["fixed", "sequential"])
@pytest.mark.parametrize("scale, shift", [(1, 0), (3e7, 1.3), (1e-6, 1e3), (-0.1, 0.7)])
def test_a_covariate_that_is_the_outcome_decides_nothing(method, scale, shift):
    y = np.random.default_rng(8).normal(size=120)
    rows = {"arm": ["control", "new"] * 60, "y": y.tolist(), "x": (y * scale + shift).tolist()}
    difference = compare_arms(rows, "y", method, "x")
    assert (difference.low, difference.high, difference.p) == (
        None,
        None,
        None,
    ) or difference.low < 0 < difference.high
    same = compare_arms(rows | {"y": [0.1 + 0.2] * 120}, "y", method)
    assert (same.low, same.p) == (None, None)
