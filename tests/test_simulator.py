"The simulated service desk: planted effects are found, absent ones are not, faults change no figure."

import json
from functools import lru_cache

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.live.curves import Squares, clustered_variance, interval_ends
from crmeval.live.desk_plan import BASE_RATES, DeskPlan, Faults, base_value
from crmeval.live.events import FACTS, join_outcomes
from crmeval.live.experiment import compare_arms
from crmeval.live.outcomes import outcome
from crmeval.live.power import power, share_sd
from crmeval.live.simulator import simulate, simulate_rows, write_outcome_rows
from crmeval.live.validity import concordance, known_pairs, validity

shares = st.floats(0, 0.5)


def facts(table):
    "Return the facts of a table by reply."
    rows = table.select(["reply", *FACTS]).to_pylist()
    return {
        row["reply"]: {k: None if v is None else float(v) for k, v in row.items() if k != "reply"}
        for row in rows
    }


@settings(max_examples=5, deadline=None)
@given(
    st.integers(0, 10**6),
    st.builds(Faults, shares, shares, shares, shares, shares, shares, st.just(0.0), st.booleans()),
    st.integers(1, 20),
    st.sampled_from([0.0, 20.0, 100.0]),
)
def test_the_join_finds_what_was_drawn_whatever_the_faults(seed, faults, weeks, tail):
    desk = simulate(
        replies=120, agents=4, customers=30, seed=seed, faults=faults, weeks=weeks, tail_days=tail
    )
    joined = desk.joined()
    assert facts(joined.rows) == facts(desk.rows)
    r = joined.record
    assert r.balanced and (r.twice, r.late, r.bots, r.unmatched, r.early, sum(r.malformed.values())) == tuple(
        desk.faults[k] for k in ("twice", "late", "bots", "unmatched", "early", "malformed")
    )


def test_events_that_never_come_are_fewer_events_and_no_wrong_ones():
    whole = simulate(replies=400, seed=3)
    lossy = simulate(replies=400, seed=3, faults=Faults(lost=0.3))
    ids = {e["event"] for e in whole.events}
    assert {e["event"] for e in lossy.events} < ids
    assert 0.25 < lossy.faults["lost"] / len(whole.events) < 0.35
    a, b = outcome(whole.joined(), "csat"), outcome(lossy.joined(), "csat")
    assert b.n < a.n and b.n + b.undefined == a.n + a.undefined


def test_the_same_plan_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        simulate(replies=200, seed=9, faults=True).write(tmp_path / folder)
    for name in ("events.jsonl", "replies.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    lines = (tmp_path / "a" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line) for line in lines)


def test_rows_of_chunks_hold_every_reply_once_and_the_same_people(tmp_path):
    plan = DeskPlan(replies=2500, agents=10, customers=100, unit="customer")
    table = pq.read_table(write_outcome_rows(tmp_path / "rows.parquet", plan, chunk=700))
    assert sorted(map(int, table["reply"].to_pylist())) == list(range(2500))
    arms = {}
    for customer, arm in zip(table["customer"].to_pylist(), table["arm"].to_pylist()):
        assert arms.setdefault(customer, arm) == arm
    pre = set(zip(table["customer"].to_pylist(), table["pre_handling_s"].to_pylist()))
    assert len(pre) == len(arms)


def test_an_assignment_of_ones_own_is_asked_once_for_each_unit():
    units = []

    def assign(unit):
        units.append(unit)
        return "new" if unit.endswith(("1", "3", "5")) else "control"

    rows = simulate_rows(replies=600, customers=50, assign=assign)
    assert sorted(units) == sorted(f"c{i}" for i in range(50))
    for customer, arm in zip(rows["customer"].to_pylist(), rows["arm"].to_pylist()):
        assert arm == ("new" if customer.endswith(("1", "3", "5")) else "control")


# ---- effects
NO_EFFECT = ("open_rate", "escalation_rate", "agent_satisfaction")
PLANTED = {
    "acceptance_rate": 0.1,
    "error_rate": -0.04,
    "csat": 0.25,
    "click_through_rate": 0.03,
    "engagement": 0.2,
}


def difference(rows, name):
    "Return (treatment - control, standard error)."
    arms = outcome(rows, name, by="arm")
    new, old = arms["treatment"], arms["control"]
    return new.value - old.value, float(np.hypot(new.error, old.error))


def test_planted_effects_are_found_in_their_size_and_no_others():
    rows = simulate_rows(
        replies=80_000,
        agents=300,
        customers=20_000,
        unit="reply",
        effects={"treatment": PLANTED},
        tail_days=30,
        seed=4,
    )
    for name, effect in PLANTED.items():
        found, error = difference(rows, name)
        assert abs(found - effect) < 3.5 * error and found / effect > 0.5, name
        assert abs(found) > 3 * error, name
    for name in NO_EFFECT:
        found, error = difference(rows, name)
        assert abs(found) < 3.5 * error, name


def test_covariates_of_before_hang_on_the_outcome_and_not_on_the_arm():
    rows = simulate_rows(replies=30_000, customers=3000, unit="reply", seed=8).to_pandas()
    log = np.log(rows.handling_s)
    assert np.corrcoef(log, np.log(rows.pre_handling_s))[0, 1] > 0.1
    treated = rows.arm == "treatment"
    assert abs(rows.pre_handling_s[treated].mean() / rows.pre_handling_s[~treated].mean() - 1) < 0.01


# ---- coverage of the intervals over many seeded desks
DESKS, AGENTS, CUSTOMERS, REPLIES = 1000, 25, 200, 1500


@lru_cache(maxsize=1)
def covered(low=0.3, seed=11):
    "Return the coverage of 95 % intervals of a rate: clustered by agent and customer, and by rows."
    rng = np.random.default_rng(seed)
    hits = np.zeros(2)
    for _ in range(DESKS):
        a, c = rng.integers(0, AGENTS, REPLIES), rng.integers(0, CUSTOMERS, REPLIES)
        p = low + 0.2 * rng.uniform(-1, 1, AGENTS)[a] + 0.1 * rng.uniform(-1, 1, CUSTOMERS)[c]
        y = rng.random(REPLIES) < p
        u = (y - y.mean()) / REPLIES
        squares = [Squares(len(s), float((s**2).sum())) for s in _sums(u, a, c)]
        variance, df = clustered_variance({"agent": squares[0], "customer": squares[1]}, squares[2])
        alone = float((u**2).sum())
        for k, (v, d) in enumerate(((variance, df), (alone, REPLIES - 1))):
            ends = interval_ends(float(y.mean()), v, d, "share")
            hits[k] += ends[0] <= low <= ends[1]
    return hits / DESKS


def _sums(u, a, c):
    "Yield the sums by agent, by customer, and by both."
    for code, n in ((a, AGENTS), (c, CUSTOMERS), (a * CUSTOMERS + c, AGENTS * CUSTOMERS)):
        seen = np.bincount(code, minlength=n) > 0
        yield np.bincount(code, u, n)[seen]


def test_intervals_by_agents_and_customers_hold_the_truth_and_those_by_rows_do_not():
    clustered, rows = covered()
    assert 0.925 <= clustered <= 0.975, clustered
    assert rows < 0.8, rows


# ---- validity
def test_known_pairs_are_those_of_all_pairs_one_by_one():
    rng = np.random.default_rng(2)
    for _ in range(20):
        n = int(rng.integers(2, 25))
        score, value, known = rng.integers(0, 4, n), rng.integers(0, 6, n).astype(float), rng.random(n) < 0.6
        right, pairs = known_pairs(score, value, known)
        for i in range(n):
            signs = [
                (np.sign(score[j] - score[i]) if first == i else np.sign(score[i] - score[j]))
                for j in range(n)
                for first, last in ((i, j), (j, i))
                if known[first]
                and (value[first] < value[last] or (value[first] == value[last] and not known[last]))
            ]
            assert (right[i], pairs[i]) == (sum(signs), len(signs))


def test_without_a_relation_the_concordance_is_told_apart_from_half_in_five_of_a_hundred():
    rng, wrong, desks = np.random.default_rng(6), 0, 600
    for _ in range(desks):
        conversation = rng.integers(0, 60, 240)
        score = np.round(2 * (rng.normal(size=60)[conversation] + rng.normal(size=240))) / 2
        value = rng.exponential(size=240) * np.exp(0.5 * rng.normal(size=60)[conversation])
        ends = rng.exponential(2.0, 240)
        e = concordance(score, np.minimum(value, ends), known=value <= ends, clusters=conversation)
        wrong += not e.low <= 0.5 <= e.high
    assert 0.02 <= wrong / desks <= 0.08, wrong / desks


@pytest.mark.parametrize("name", ["acceptance_rate", "handling_time", "csat"])
def test_a_planted_relation_is_found_and_none_where_none_is_planted(name):
    systems = {f"s{i}": -1 + i / 3 for i in range(7)}
    desk = dict(replies=6000, customers=2000, systems=systems, tail_days=30, seed=21)
    planted = validity(simulate_rows(validity=0.9, **desk), name, n_resamples=100)
    assert planted.predicts == "yes" and planted.system_rank.low > 0 and planted.system_pairs.value > 0.7
    deaf = validity(simulate_rows(validity=0.0, **desk), name, n_resamples=100)
    assert deaf.predicts == "no" and deaf.system_rank.low < 0 < deaf.system_rank.high
    against = validity(simulate_rows(validity=-0.9, **desk), name, n_resamples=100)
    assert against.predicts == "against" and against.system_rank.high < 0


def test_events_or_rows_validity_is_the_same():
    desk = simulate(replies=600, seed=2, faults=True, tail_days=30, systems={"a": -1, "b": 0.0, "c": 1})
    of_rows, of_events = (
        validity(desk.rows, "csat", n_resamples=50),
        validity(desk.joined(), "csat", n_resamples=50),
    )
    assert of_rows.concordance == of_events.concordance
    assert join_outcomes(desk.replies, [], until=desk.until).record.silent == 600


def test_every_rate_has_a_base_and_stays_a_rate():
    for name in BASE_RATES:
        assert 0 < base_value(name) < (5.01 if name in ("csat", "agent_satisfaction") else 1)
    with pytest.raises(ValueError, match="the effect on error_rate is -0.2, expected more than"):
        DeskPlan(effects={"treatment": {"error_rate": -0.2}})


def test_ranks_of_a_part_of_the_replies_say_so():
    few = validity(simulate_rows(replies=1500), "acceptance_rate", n_resamples=20)
    many = validity(simulate_rows(replies=9000), "acceptance_rate", n_resamples=20)
    assert few.replies < 4000 and "drawn" not in few.spearman.method + few.kendall.method
    for found in (many.spearman, many.kendall):
        assert f"4,000 of {many.replies:,} replies drawn" in found.method and found.n == 4000
    assert many.concordance.n > 4000


@pytest.mark.parametrize("effect", [0.0, 0.08])
def test_a_planted_effect_is_found_with_the_power_that_was_computed(effect):
    "Small desks give a power far from 1, so that a test that always or never rejects would fail."
    desks, found, known, shares = 200, 0, [], []
    more = {"effects": {"treatment": {"acceptance_rate": effect}}} if effect else {}
    for seed in range(desks):
        rows = simulate_rows(replies=800, unit="reply", tail_days=30.0, seed=1000 + seed, **more)
        accepted = rows["accepted"].to_numpy(zero_copy_only=False).astype(float)
        arms = {"arm": rows["arm"].to_numpy(zero_copy_only=False), "accepted": accepted}
        measured = compare_arms(arms, "accepted", "fixed")
        found += measured.p is not None and measured.p < 0.05
        known.append(measured.n)
        shares.append(np.nanmean(accepted))
    wanted = power(effect, share_sd(float(np.mean(shares))), float(np.mean(known)))
    assert abs(found / desks - wanted) < 3.5 * np.sqrt(wanted * (1 - wanted) / desks)
    assert wanted == pytest.approx(0.05 if effect == 0 else 0.62, abs=0.02)
