"Outcomes: shuffled, duplicate, malformed and late events do not change the figures of the valid ones."

import json
import math
import random
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmeval.connect.federation import connect
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.feedback import Feedback, keep_feedback
from crmeval.live.curves import interval_ends, restricted_mean, share_reached
from crmeval.live.events import FACTS, event_kinds, feedback_events, join_outcomes
from crmeval.live.outcome_cards import OutcomeCard, outcome_cards, published_figures
from crmeval.live.outcomes import improvement, outcome, outcome_rows, outcomes

START = datetime(2026, 3, 2, tzinfo=timezone.utc)
UNTIL = "2026-07-15T00:00:00Z"
FEW = settings(max_examples=5, deadline=None)
FEWER = settings(max_examples=2, deadline=None)

REPLIES = [
    {"reply": f"r{i}", "time": START + timedelta(hours=5 * i), "agent": f"a{i % 3}", "customer": f"c{i % 5}",
     "arm": "new" if i % 2 else "control"}
    for i in range(12)
]  # fmt: skip


def value_of(kind, rng):
    "Return a random value that this kind of event allows; None if it takes no value."
    k = event_kinds()[kind]
    if kind == "checked":
        return rng.randint(0, 1)
    if k.range is None:
        return None
    return round(rng.uniform(k.range[0], min(k.range[1], 50)), 2)


def true_events(seed):
    "Return events inside their windows, each with an id, no two of one reply at the same time."
    rng, events = random.Random(seed), []
    for row in REPLIES:
        for kind in rng.sample(sorted(event_kinds()), rng.randint(0, 8)):
            seconds = rng.randint(0, int(event_kinds()[kind].window_days * 86400))
            when = row["time"] + timedelta(seconds=seconds, microseconds=len(events))
            event = {"event": f"e{len(events)}", "reply": row["reply"], "kind": kind, "time": when}
            events.append({**event, "value": value_of(kind, rng)})
    return events


def facts(joined):
    return joined.rows.to_pylist()


def broken(rng, n):
    "Return `n` malformed events, each with one wrong field."
    wrong = [
        {"reply": rng.choice([None, "", "   "])},
        {"kind": rng.choice([None, "", "sale", "csat2", "DROP TABLE replies; --", "🦊", {"a": 1}])},
        {
            "time": rng.choice(
                [None, "", "never", "infinity", "2026-13-45", 1764400000, float("nan"), [1], "10:00"]
            )
        },
        {
            "kind": "csat",
            "value": rng.choice([None, "", "five", 0, 5.01, -3, float("inf"), "NaN", [4], "1e999"]),
        },
        {"kind": "checked", "value": rng.choice([0.5, 2, "yes"])},
        {"kind": "edited", "value": rng.choice(["many", -1])},
    ]
    base = {"event": None, "reply": "r1", "kind": "closed", "time": START + timedelta(days=1), "value": None}
    return [{**base, **rng.choice(wrong), "event": f"x{i}"} for i in range(n)]


@FEW
@given(st.integers(0, 10**6))
def test_events_that_must_not_count_change_no_fact(seed):
    rng = random.Random(seed)
    true = true_events(seed)
    clean = join_outcomes(REPLIES, true, until=UNTIL)
    doubled = [dict(rng.choice(true)) for _ in range(rng.randint(0, 9))] if true else []
    late = [
        {"reply": "r2", "kind": k.name, "value": 1, "time": START + timedelta(days=k.window_days, hours=11)}
        for k in event_kinds().values()
    ]
    early = [{"event": "y", "reply": "r5", "kind": "closed", "time": START}]
    marks = ({"bot": True}, {"bot": "true"}, {"actor": "bot"}, {"actor": " BOT "}, {"bot": 1})
    bots = [{"reply": "r3", "kind": "clicked", "time": START + timedelta(days=1), **mark} for mark in marks]
    stray = [{"reply": "nobody", "kind": "won", "time": START}] * 2
    bad = broken(rng, rng.randint(0, 20))
    what = [None, 7, "text", ["list"]]
    mixed = true + doubled + late + early + bots + stray + bad + what
    rng.shuffle(mixed)
    dirty = join_outcomes(REPLIES, mixed, until=UNTIL)
    assert facts(dirty) == facts(clean)
    r = dirty.record
    assert r.balanced and r.read == len(mixed) and r.used == len(true) == clean.record.used
    assert (r.late, r.early, r.bots, r.unmatched) == (len(late), 1, len(bots), 1)
    assert r.twice == len(doubled) + 1  # the unmatched event was sent twice too
    assert sum(r.malformed.values()) == len(bad) + len(what)
    assert r.conflicting == 0


def test_an_id_that_says_two_things_is_told_and_does_not_hang_on_the_order():
    two = [
        {"event": "e", "reply": "r0", "kind": "csat", "time": START + timedelta(hours=1), "value": v}
        for v in (5, 2)
    ]
    one, other = (join_outcomes(REPLIES, events, until=UNTIL) for events in (two, two[::-1]))
    assert facts(one) == facts(other)
    assert (one.record.twice, one.record.conflicting) == (1, 1)


def test_the_last_rating_counts_and_the_first_closing():
    times = [timedelta(hours=h) for h in (30, 2, 9)]
    ratings = [{"reply": "r0", "time": START + t, "value": v} for t, v in zip(times, (1, 2, 5))]
    events = [{**e, "kind": kind} for kind in ("csat", "closed") for e in ratings]
    row = facts(join_outcomes(REPLIES, events, until=UNTIL))[0]
    assert (row["csat"], row["handling_s"]) == (1, 7200)


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+05:30", "-08:00", ""])
def test_times_are_moments_whatever_their_zone(zone):
    moment = START + timedelta(hours=12)
    shown = {"+05:30": moment + timedelta(hours=5.5), "-08:00": moment - timedelta(hours=8)}.get(zone, moment)
    event = {"reply": "r0", "kind": "closed", "time": shown.strftime("%Y-%m-%dT%H:%M:%S") + zone}
    assert facts(join_outcomes(REPLIES, [event], until=UNTIL))[0]["handling_s"] == 12 * 3600


@FEWER
@given(st.integers(0, 10**6))
def test_every_form_of_a_table_gives_the_same(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("forms")
    events = [{**e, "time": e["time"].isoformat()} for e in true_events(seed)]
    if not events:
        return
    frame = pd.DataFrame(events)
    table = pa.Table.from_pylist(events)
    lines = folder / "e.jsonl"
    lines.write_text("".join(json.dumps(e) + "\n" for e in events), encoding="utf-8")
    frame.to_csv(folder / "e.csv", index=False)
    pq.write_table(table, folder / "e.parquet")
    queried = connect("desk", folder / "e.parquet").query("SELECT * FROM desk")
    forms = [
        frame,
        table,
        {k: list(frame[k]) for k in frame},
        lines,
        folder / "e.csv",
        folder / "e.parquet",
        queried,
        iter(events),
    ]
    true = facts(join_outcomes(REPLIES, events, until=UNTIL))
    for form in forms:
        assert facts(join_outcomes(pd.DataFrame(REPLIES), form, until=UNTIL)) == true, type(form)


def test_the_trail_and_the_records_of_feedback_say_the_same(tmp_path):
    pytest.importorskip("cryptography")
    feedback = [
        Feedback("r0", "accept", "Your parcel is on its way."),
        Feedback("r1", "edit", "Your parcel is on its way.", "Your parcel left today."),
        Feedback("r2", "ignore", "Your parcel is on its way.", reasons=["tone"]),
    ]
    with AuditTrail(tmp_path / "trail.jsonl", key=bytes(32)) as trail:
        for f in feedback:
            keep_feedback(trail, f)
        of_trail = join_outcomes(_now(REPLIES), trail)
    of_records = join_outcomes(_now(REPLIES), feedback)
    names = ("reply", "accepted", "edited", "ignored", "edit_words", "kept", "draft_sent")
    assert [[r[n] for n in names] for r in facts(of_trail)] == [
        [r[n] for n in names] for r in facts(of_records)
    ]
    assert of_trail.record.used == of_records.record.used == 5
    assert "parcel" not in json.dumps(feedback_events(feedback))


def _now(replies):
    now = datetime.now(timezone.utc) - timedelta(hours=1)
    return [{**r, "time": now} for r in replies]


def test_a_clock_that_is_years_ahead_does_not_move_the_end_of_the_data():
    event = {"reply": "r0", "kind": "closed", "time": "2099-01-01T00:00:00Z"}
    joined = join_outcomes(REPLIES, [event])
    assert joined.record.until.startswith("2026-03-04") and joined.record.late == 1


def test_replies_come_twice_or_broken_and_are_counted():
    more = [*REPLIES, REPLIES[3], {"reply": "", "time": START}, {"reply": "x", "time": "soon"}]
    joined = join_outcomes(more, true_events(3), until=UNTIL)
    assert facts(joined) == facts(join_outcomes(REPLIES, true_events(3), until=UNTIL))
    assert (joined.record.replies, joined.record.replies_twice, joined.record.replies_malformed) == (12, 1, 2)


def test_nothing_is_no_number():
    nothing = join_outcomes(REPLIES, [], until=UNTIL)
    assert nothing.record.silent == 12 and nothing.record.balanced
    assert outcome(nothing, "csat").value is None and outcome(nothing, "csat").undefined == 12
    assert outcome(nothing, "handling_time").value == 3 * 86400  # nothing was closed within three days
    e = outcome(nothing, "acceptance_rate")
    assert (e.value, e.low, e.n, e.method) == (None, None, 0, "no row has a value")


def test_the_record_stands_beside_the_figure():
    joined = join_outcomes(REPLIES, [*true_events(1), *broken(random.Random(1), 7)], until=UNTIL)
    e = outcome(joined, "escalation_rate")
    assert e.record is joined.record and "7 of" in str(e) and "events not counted" in str(e)
    assert outcome_rows(outcomes(joined, ["escalation_rate"]))[0]["events_lost"] == 7


# ---- figures against direct calculations
def rows_of(seed, n=400):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "agent": [f"a{i}" for i in rng.integers(0, 9, n)],
            "customer": [f"c{i}" for i in rng.integers(0, 60, n)],
            "arm": rng.choice(["control", "new"], n),
            "csat": np.where(rng.random(n) < 0.4, np.nan, rng.integers(1, 6, n)),
            "clicked": np.where(rng.random(n) < 0.1, np.nan, rng.random(n) < 0.3),
            "sent": np.where(rng.random(n) < 0.3, np.nan, 1.0),
            "handling_s": rng.integers(1, 400_000, n).astype(float),
            "handling_state": rng.integers(0, 2, n),
            "deal_s": rng.integers(1, 90 * 86400, n).astype(float),
            "deal_state": rng.integers(0, 3, n),
            "time": [START + timedelta(hours=int(h)) for h in rng.integers(0, 24 * 40, n)],
        }
    )


@FEW
@given(st.integers(0, 10**6))
def test_ratios_and_their_clustered_errors_are_those_of_the_formula(seed):
    d = rows_of(seed)
    e = outcome(d, "click_through_rate")
    sent = d[d.sent.notna()]
    used = sent[sent.clicked.notna()]
    assert e.n == len(used) and e.undefined == len(sent) - len(used)
    assert math.isclose(e.value, used.clicked.mean())
    u = (used.clicked - e.value) / len(used)
    parts = [u.groupby(k).sum() for k in (used.agent, used.customer, used.agent + "|" + used.customer)]
    lifted = [(s**2).sum() * len(s) / (len(s) - 1) for s in parts]
    assert math.isclose(
        e.error**2, max(lifted[0] + lifted[1] - lifted[2], lifted[0], lifted[1]), rel_tol=1e-9
    )
    assert dict(e.clusters) == {"agent": len(parts[0]), "customer": len(parts[1])}
    assert 0 <= e.low <= e.value <= e.high <= 1


@FEWER
@given(st.integers(0, 10**6))
def test_the_order_of_rows_and_the_names_of_agents_change_nothing(seed):
    d = rows_of(seed)
    mixed = d.sample(frac=1, random_state=seed)
    mixed["agent"] = "the agent " + mixed["agent"]
    for name in ("csat", "handling_time", "win_rate", "click_through_rate"):
        a, b = outcome(d, name, by="arm"), outcome(mixed, name, by="arm")
        assert list(a) == list(b)
        for arm in a:
            figures = [
                (e.n, e.undefined, e.method, e.value or 0, e.low or 0, e.high or 0) for e in (a[arm], b[arm])
            ]
            assert figures[0][:3] == figures[1][:3] and figures[0][3:] == pytest.approx(
                figures[1][3:], rel=1e-9
            )


def test_weeks_begin_on_monday_in_every_form_of_time():
    d = rows_of(5)
    weeks = (d.time.dt.normalize() - pd.to_timedelta(d.time.dt.weekday, unit="D")).dt.date
    expected = {week: int(n) for week, n in d.csat.groupby(weeks).count().items()}
    texts = d.assign(time=[t.isoformat() for t in d.time])
    for form in (d, texts, pa.Table.from_pandas(d)):
        assert {week: e.n for week, e in outcome(form, "csat", by="week").items()} == expected


def test_a_restricted_mean_of_closed_cases_is_the_mean_and_open_ones_lie_above():
    d = rows_of(7).assign(handling_state=1)
    assert outcome(d, "handling_time").value == pytest.approx(d.handling_s.clip(upper=259200).mean())
    opened = rows_of(7)
    closed_alone = opened.handling_s[opened.handling_state == 1].clip(upper=259200).mean()
    e = outcome(opened, "handling_time")
    assert e.value > closed_alone and e.low < e.value < e.high
    assert e.open == int(((opened.handling_state == 0) & (opened.handling_s < 259200)).sum())


def test_winning_fast_and_losing_slowly_does_not_look_like_winning():
    "Half are won on day 1; of the rest, half are lost on day 60 and half are still open on day 30."
    rows = [{"deal_s": 86400, "deal_state": 1}] * 50 + [{"deal_s": 60 * 86400, "deal_state": 2}] * 25
    rows += [{"deal_s": 30 * 86400, "deal_state": 0}] * 25
    e = outcome(rows, "win_rate")
    assert e.value == pytest.approx(0.5) and e.open == 25
    assert 50 / 75 > 0.6  # the naive won / (won + lost)


@pytest.mark.parametrize("n", [2, 40])
@pytest.mark.parametrize(
    "name, fact",
    [("handling_time", {"handling_s": 259200.0, "handling_state": 0})]
    + [("handling_time", {"handling_s": s, "handling_state": 1}) for s in (0.0, 417.3)]
    + [("csat", {"csat": s}) for s in (1.0, 4.7)],
)
def test_values_that_are_all_the_same_are_no_certainty(name, fact, n):
    e = outcome([{"customer": f"c{i}", "agent": f"a{i % 7}", **fact} for i in range(n)], name)
    assert e.value is not None and (e.low, e.high) == (None, None) and e.n == n
    assert e.method == "no interval: all values are the same"


@FEW
@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=60))
@example([(1, False)] * 3 + [(1, True)] + [(2, True)] * 2 + [(3, True)])  # rounding: a share above 1
def test_curves_add_up(pairs):
    x, at = np.unique([t for t, _ in pairs], return_inverse=True)
    ended = np.bincount(at, [s for _, s in pairs], len(x))
    still = np.bincount(at, [not s for _, s in pairs], len(x))
    curve = restricted_mean(x.astype(float), ended, still, 30.0)
    share = share_reached(x.astype(float), ended, np.zeros(len(x)), still, 30.0)
    if curve.value is None:
        assert share.value is None and still[-1] > 0 and x[-1] < 30
        return
    assert min(x) <= curve.value <= 30 and 0 <= share.value <= 1
    assert (ended * curve.ended + still * curve.open).sum() == pytest.approx(0, abs=1e-9)
    assert (ended * share.ended + still * share.open).sum() == pytest.approx(0, abs=1e-9)


def test_intervals_of_times_and_of_shares_in_time_hold_the_truth_with_a_third_of_the_cases_open():
    "Exponential durations and censoring; two thirds of the ended cases are won."
    rng, horizon, n, hits = np.random.default_rng(5), 20, 250, np.zeros(2)
    grid = np.arange(1, horizon + 1)
    true_mean = 1 + np.exp(-grid[:-1] / 10).sum()  # durations are whole and rounded up
    true_share = (1 - np.exp(-horizon / 10)) * 2 / 3
    for _ in range(600):
        t, c = np.ceil(rng.exponential(10, n)), np.ceil(rng.exponential(25, n))
        x, won = np.minimum(np.minimum(t, c), horizon), rng.random(n) < 2 / 3
        ended = (t <= c) & (t <= horizon)
        at = x.astype(int) - 1
        counts = [np.bincount(at, m, horizon) for m in (ended & won, ended & ~won, ~ended)]
        mean = restricted_mean(grid.astype(float), counts[0] + counts[1], counts[2], horizon)
        share = share_reached(grid.astype(float), *counts, horizon)
        added = np.where(ended, mean.ended[at], mean.open[at])
        parts = np.where(ended, np.where(won, share.ended[at], share.lost[at]), share.open[at])
        for k, (curve, u, kind, truth) in enumerate(
            ((mean, added, "time", true_mean), (share, parts, "share", true_share))
        ):
            ends = interval_ends(curve.value, float((u**2).sum()), n - 1, kind)
            hits[k] += ends[0] <= truth <= ends[1]
    assert np.all(hits / 600 > 0.925) and np.all(hits / 600 < 0.975), hits / 600


def test_improvement_is_signed_by_what_is_good_and_keeps_the_published_figures_apart():
    d = rows_of(9).assign(handling_state=1)
    d.loc[d.arm == "new", "handling_s"] *= 0.7
    up = improvement(d, "handling_time")
    arms = outcome(d, "handling_time", by="arm")
    assert up.value == pytest.approx(1 - arms["new"].value / arms["control"].value)
    assert 0 < up.low < up.value < up.high < 1 and up.p_value < 0.05
    assert [(f.low, f.high) for f in up.published] == [(0.2, 0.3)]
    back = improvement(d, "handling_time", baseline="new")
    assert (1 - back.value) * (1 - up.value) == pytest.approx(1)
    assert back.p_value == pytest.approx(up.p_value)
    assert len(published_figures()) == 4 and all("not to be reached" in f.source for f in published_figures())


def test_one_agent_gives_a_value_without_an_interval():
    e = outcome([{"agent": "a", "csat": 4}, {"agent": "a", "csat": 5}], "csat", cluster="agent")
    assert (e.value, e.low, e.high, e.method) == (4.5, None, None, "unknown: one cluster")


def test_rows_without_an_agent_stand_alone():
    rows = [{"agent": None, "csat": v} for v in (3, 4, 5, 4)]
    assert dict(outcome(rows, "csat").clusters) == {"agent": 4}


def test_what_is_no_number_is_a_gap_and_no_zero():
    rows = [{"csat": v} for v in (4, "five", None, float("nan"), float("inf"), "3")]
    e = outcome(rows, "csat")
    assert (e.value, e.n, e.undefined) == (3.5, 2, 4)


def test_names_of_columns_are_only_names():
    card = OutcomeCard(
        'x"; DROP', "X", "x", (), "-", "-", low=0, high=9, above='v"; --', formula="-", missing="-"
    )
    e = outcome([{'v"; --': 1, "a'b": "p"}, {'v"; --': 3, "a'b": "q"}], card, by="a'b")
    assert {k: v.value for k, v in e.items()} == {"p": 1, "q": 3}


def test_cards_name_columns_that_the_join_makes():
    assert {c for card in outcome_cards().values() for c in card.needs} <= set(FACTS)
    assert len(outcome_cards()) == 19


@pytest.mark.parametrize(
    "flag, fate",
    [(0.0, "used"), (1.0, "bots"), ("1.0", "bots"), (" TRUE ", "bots"), ("f", "used"), (float("nan"), "used")]
    + [("robot", "malformed"), (2, "malformed"), ("maybe", "malformed"), (0.5, "malformed")],
)
def test_what_a_program_made_is_read_in_every_form_or_told(flag, fate):
    event = {"event": "e", "reply": "r0", "kind": "clicked", "time": REPLIES[0]["time"], "bot": flag}
    for events in ([event], pd.DataFrame([event]), pa.table({k: [v] for k, v in event.items()})):
        record = join_outcomes(REPLIES, events, until=UNTIL).record
        found = record.malformed if fate == "malformed" else getattr(record, fate)
        assert record.balanced and found in (1, {"bot is neither true nor false": 1}), (type(events), found)


def test_numbers_as_ids_meet_though_a_gap_made_them_fractions():
    replies = pd.DataFrame({"reply": [70001, 70002, 12345678901], "time": REPLIES[0]["time"]})
    events = pd.DataFrame(
        {"reply": [70001, None, 12345678901], "kind": "clicked", "time": REPLIES[0]["time"]}
    )
    joined = join_outcomes(replies, events, until=UNTIL)
    assert (joined.record.used, joined.record.malformed) == (2, {"no reply": 1})
    assert [r["clicked"] for r in sorted(joined.rows.to_pylist(), key=lambda r: r["reply"])] == [1, 1, None]


@pytest.mark.parametrize("time", [1772359200, "1772359200000", "01.03.2026 10:00", "yesterday", None])
def test_replies_of_which_none_has_a_time_are_told_and_give_no_empty_answer(time):
    with pytest.raises(ValueError, match="no reply has an id and a readable time; the first has reply 'x'"):
        join_outcomes([{"reply": "x", "time": time}], [], until=UNTIL)
    with pytest.raises(ValueError, match="there are no replies"):
        join_outcomes([], [])
