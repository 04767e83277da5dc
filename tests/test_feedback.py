"""Feedback: text differences are correct, and stored feedback reaches every use of it."""

import json
import random
from dataclasses import asdict
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.core.records import Sample, Score, read_parquet, write_parquet
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.feedback import (
    Feedback,
    edit_distance,
    feedback_samples,
    feedback_scores,
    feedback_summary,
    keep_feedback,
    read_feedback,
    word_diff,
    write_feedback,
)
from crmeval.people.feedback_widget import FeedbackForm


def slow_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def test_the_distance_is_levenshteins():
    rng = random.Random(1)
    for _ in range(300):
        a = rng.choices("abc", k=rng.randrange(0, 90))
        b = rng.choices("abcd", k=rng.randrange(0, 90))
        assert edit_distance(a, b) == slow_distance(a, b) == edit_distance(b, a)


def test_a_difference_gives_back_both_texts():
    rng = random.Random(2)
    for _ in range(200):
        a, b = (
            " ".join(rng.choices(["lamp", "bulb", "Friday", ",", "5"], k=rng.randrange(0, 30))) for _ in "ab"
        )
        steps = word_diff(a, b)
        assert " ".join(x for _, x, _ in steps if x) == a
        assert " ".join(y for _, _, y in steps if y) == b
        assert all(x == y for done, x, y in steps if done == "kept")


def some(n):
    rng = random.Random(n)
    shown = "Dear Ms Sato, your lamp is on its way."
    for i in range(n):
        action = rng.choice(["accept", "edit", "ignore"])
        edited = shown.replace("lamp", "blue lamp\u2028") if action == "edit" else None
        yield Feedback(
            f"r{i}", action, shown, edited, rng.choice(["up", "down", None]), ("tone",), "ja", "u1"
        )


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_table_comes_back(tmp_path, name):
    records = list(some(12))
    assert read_feedback(write_feedback(records, tmp_path / name)) == records


def test_feedback_lies_in_the_table_of_ratings(tmp_path):
    scores = [s for f in some(12) for s in feedback_scores(f)]
    assert all(s.method == "manual" and s.rater == "u1" and s.points is None for s in scores)
    write_parquet(scores, tmp_path / "scores.parquet", Score)
    assert read_parquet(tmp_path / "scores.parquet", Score) == scores


def test_only_what_was_sent_is_a_reference():
    feedback = [*some(12), Feedback("r0", "edit", "a", "the last word", time="2999-01-01T00:00:00+00:00")]
    rows = feedback_samples(feedback, {f.reply: {"email": "Where is it?"} for f in feedback})
    assert {r["id"] for r in rows} == {f.reply for f in feedback if f.action != "ignore"}
    assert [r["reference"] for r in rows if r["id"] == "r0"] == ["the last word"]
    assert [Sample(**r).source for r in rows] == ["Where is it?"] * len(rows)
    assert sum(feedback_summary(feedback)["actions"].values()) == 13


def test_texts_are_sealed_in_the_trail_and_can_be_erased(tmp_path):
    with AuditTrail(tmp_path / "t.jsonl") as trail:
        form = FeedbackForm(
            "r1", "Dear Ms Sato", lambda f: keep_feedback(trail, f, person="sato", case="c1"), user="u1"
        )
        assert form.answer({"do": "edit", "text": "Dear Yuki Sato"})["say"].startswith("Saved")
        assert b"Sato" not in (tmp_path / "t.jsonl").read_bytes()
        assert next(trail.records(case="c1")).private["edited"] == "Dear Yuki Sato"
        trail.erase("sato")
        assert next(trail.records(case="c1")).private is None and trail.verify().ok


def test_a_disk_that_is_full_is_told_in_the_form():
    def full(_):
        raise OSError(28, "No space left on device")

    drawn = FeedbackForm("r1", "Hello", full).answer({"do": "accept"})
    assert "No space left" in drawn["error"] and drawn["action"] == ""


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=ZONES)


@settings(deadline=None)
@given(st.lists(MOMENTS, min_size=2, max_size=6))
def test_words_in_any_zone_sort_as_their_times(times):
    "The latest feedback on a reply is the latest in time, not the one with the greatest text."
    feedback = [Feedback("r", "accept", "a", time=t.isoformat(), user=str(i)) for i, t in enumerate(times)]
    in_order = [f.user for f in sorted(feedback, key=lambda f: f.time)]
    wanted = [str(i) for i, _ in sorted(enumerate(times), key=lambda p: p[1].astimezone(timezone.utc))]
    assert in_order == wanted
    assert all(Feedback(**{**asdict(f)}).time == f.time for f in feedback), "reading it again changes nothing"


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01", "12:00", " "])
def test_a_time_that_is_none_is_told(wrong):
    with pytest.raises(ValueError, match="expected one of ISO 8601"):
        Feedback("r", "accept", "a", time=wrong)


@pytest.mark.parametrize(
    "row, message",
    [({}, "has no 'reply', expected feedback of the layer; it has nothing")]
    + [({"id": "r1", "inputs": {}}, "has no 'reply', expected feedback of the layer; it has id, inputs")]
    + [({"reply": "r1"}, "has no 'action'"), ({"reply": "r1", "action": "liked"}, "liked")]
    + [({"reply": "r1", "action": "ignore", "reasons": "[1"}, "row 2"), ({"reply": 1, "action": 2}, "row 2")],
)
def test_a_file_that_holds_no_feedback_is_told_with_its_row(row, message, tmp_path):
    good = {"reply": "r0", "action": "accept", "shown": "A draft."}
    path = tmp_path / "told.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in (good, row)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"told\.jsonl, row 2: ") as e:
        read_feedback(path)
    assert message in str(e.value)


CLICKS = (
    {"do": "accept"},
    {"do": "ignore"},
    *({"do": "edit", "text": t} for t in ("", "Other.", "Shown.")),
    *({"do": "thumb", "thumb": t} for t in ("up", "down")),
    *({"do": "why", "reasons": r, "words": w} for r, w in (([], ""), (["tone"], ""), ([], "why"))),
)


def clicked(state, click):
    "Return the state after a click, computed without the form."
    do, new = click["do"], dict(state)
    if do == "thumb":
        new["thumb"] = None if state["thumb"] == click["thumb"] else click["thumb"]
    elif do == "why":
        new |= {"reasons": tuple(click["reasons"]), "words": click["words"]}
    else:
        new |= {"action": do, "edited": click.get("text")}
    return new


@pytest.mark.parametrize("seed", range(60))
def test_rows_are_what_was_clicked_whatever_the_order(seed):
    rng, kept, fails = random.Random(seed), [], [False]

    def keep(feedback):
        if fails[0]:
            raise rng.choice([OSError, RuntimeError, KeyError, ValueError])("full")
        kept.append(feedback)

    form = FeedbackForm("r1", "Shown.", keep)
    state = {"action": "", "edited": None, "thumb": None, "reasons": (), "words": ""}
    rows, nothing = [], dict(state)
    for click in [c for c in rng.choices(CLICKS, k=12) for _ in range(rng.choice([1, 1, 2]))]:
        new = clicked(state, click)
        fails[0] = rng.random() < 0.2
        answer = form.answer(click)
        if new["action"] and fails[0] and new != (rows[-1] if rows else nothing):
            assert answer["error"] and not answer["say"]
            continue
        assert not answer["error"]
        state = new
        if state["action"] and state != (rows[-1] if rows else nothing):
            rows.append(state)
    fails[0] = False
    form.close()
    if not rows and state != nothing:
        rows.append(state | {"action": "ignore"})
    assert [{k: getattr(f, k) for k in nothing} for f in kept] == rows
    assert form.close() is None and feedback_summary(kept)["n"] == min(1, len(rows))


def test_what_no_person_can_click_changes_nothing():
    kept = []
    form = FeedbackForm("r1", "Shown.", kept.append)
    odd = (None, 7, [], {}, "tone", {"a": 1}, [1], b"x")
    for value in odd:
        clicks = [{"do": value}, {"do": "edit", "text": value}, {"do": "why", "reasons": [], "words": value}]
        clicks += [{"do": "why", "reasons": value, "words": ""}] if value not in ([], "tone") else []
        clicks += [{"do": "thumb", "thumb": value}] if value is not None else []
        for message in clicks:
            if message.get("text") == "tone" or message.get("words") == "tone":
                continue
            assert form.answer(message)["error"], message
    assert form.close() is None and not kept
    with pytest.raises(ValueError, match="keep is None"):
        FeedbackForm("r1", "Shown.", None)
    with pytest.raises(ValueError, match="sources are"):
        FeedbackForm("r1", "Shown.", kept.append, sources="https://a.example")


def test_who_changes_her_mind_is_counted_once_and_two_people_twice():
    at = "2026-11-29T10:0{}:00+00:00"
    feedback = [
        Feedback("r", "ignore", user="bo", time=at.format(2)),
        Feedback("r", "accept", user="ann", thumb="up", time=at.format(0)),
        Feedback("r", "ignore", user="ann", time=at.format(1)),
    ]
    summary = feedback_summary(feedback)
    assert (summary["n"], summary["actions"]["ignore"], summary["thumbs"]["up"]) == (2, 2, 0)
