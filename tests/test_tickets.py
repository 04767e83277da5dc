"A help desk's export, read by someone who is no programmer: any names, orders, zones, forms and gaps."

import json
import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from crmeval.cli.app import main
from crmeval.live.events import join_outcomes
from crmeval.live.tickets import read_tickets, ticket_columns

pytest.importorskip("duckdb")
UTC = timezone.utc
FORMS = {
    "ISO": lambda t: t.isoformat(sep=" ", timespec="minutes"),
    "German": lambda t: t.strftime("%d.%m.%Y %H:%M"),
    "American": lambda t: t.strftime("%m/%d/%Y %I:%M %p"),
    "British": lambda t: t.strftime("%d/%m/%Y %H:%M"),
    "workbook": lambda t: t,
}


def desk(seed, n=120):
    "Return true tickets: (came, closed or None, arm, rating or None, reopened)."
    rng, found = random.Random(seed), []
    for _ in range(n):
        came = datetime(2026, 9, 1) + timedelta(minutes=rng.randrange(60 * 24 * 40))
        closed = came + timedelta(minutes=rng.randrange(1, 3000)) if rng.random() < 0.9 else None
        rating = rng.choice([None, 1, 2, 3, 4, 5]) if closed else None
        found.append(
            (came, closed, rng.choice(["with", "without"]), rating, bool(closed) and rng.random() < 0.2)
        )
    return found


def table(true, names, form, yes):
    rows = []
    for i, (came, closed, arm, rating, again) in enumerate(true):
        row = {names["reply"]: f"0{i}", names["time"]: form(came), names["arm"]: yes[arm]}
        row[names["closed"]] = "" if closed is None else form(closed)
        row |= {names["csat"]: "" if rating is None else str(rating), names["reopened"]: str(int(again))}
        rows.append(row)
    return rows


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(4))
def test_every_form_of_a_table_says_the_same(seed, form):
    "The columns have names that the package knows, spelt in any way and in any order."
    rng, true = random.Random(seed), desk(seed)
    names = {}
    for role in ("reply", "time", "arm", "closed", "csat", "reopened"):
        spelt = rng.choice(ticket_columns()[role])
        names[role] = rng.choice([spelt, spelt.upper(), spelt.replace("_", " ").title(), f" {spelt} "])
    yes = rng.choice(
        [
            {"with": "yes", "without": "no"},
            {"with": "1", "without": "0"},
            {"with": "with", "without": "without"},
        ]
    )
    rows = table(true, names, FORMS[form], yes)
    rng.shuffle(rows)
    rows = [dict(rng.sample(sorted(row.items(), key=str), len(row))) for row in rows]
    tickets = read_tickets(rows)
    assert {k: v.strip() for k, v in tickets.columns.items()} == {k: v.strip() for k, v in names.items()}
    assert tickets.control == "without" and tickets.decides == ("handling_time", "csat")
    joined = join_outcomes(tickets.replies, tickets.events, until="2027-01-01")
    assert joined.record.balanced and joined.record.lost == joined.record.replies_malformed == 0
    got = {r["reply"]: r for r in joined.rows.to_pylist()}
    for i, (came, closed, arm, rating, again) in enumerate(true):
        row = got[f"0{i}"]
        assert row["time"] == came.replace(tzinfo=UTC) and row["arm"] == arm and row["csat"] == rating
        assert row["handling_state"] == int(closed is not None)
        if closed is not None:
            assert row["handling_s"] == (closed - came).total_seconds() and row["reopened"] == int(again)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_handling_times_are_right_across_the_change_of_the_clock(zone):
    "Local times without a zone, in the weeks around both changes; no ticket closes before it came."
    place, rng = ZoneInfo(zone), random.Random(zone)
    true = []
    for start in (
        datetime(2026, 10, 24, tzinfo=UTC),
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 4, 4, tzinfo=UTC),
    ):
        for _ in range(300):
            came = start + timedelta(minutes=rng.randrange(3 * 1440))
            true.append((came, came + timedelta(minutes=rng.randrange(1, 50))))
    rows = [
        {"id": i, "created": a.astimezone(place).strftime("%d.%m.%Y %H:%M"), "arm": "control"}
        | {"closed": b.astimezone(place).strftime("%d.%m.%Y %H:%M")}
        for i, (a, b) in enumerate(true)
    ]
    tickets = read_tickets(rows, zone=place)
    assert join_outcomes(tickets.replies, tickets.events).record.early == 0
    came = {r["reply"]: r["time"] for r in tickets.replies}
    closed = {e["reply"]: e["time"] for e in tickets.events}
    wrong = 0
    for i, (a, b) in enumerate(true):
        right = closed[str(i)] - came[str(i)] == b - a
        twice = (
            a.astimezone(place).replace(fold=0).utcoffset() != a.astimezone(place).replace(fold=1).utcoffset()
        )
        twice |= (
            b.astimezone(place).replace(fold=0).utcoffset() != b.astimezone(place).replace(fold=1).utcoffset()
        )
        assert right or twice, (a, b)  # only the hour that occurs twice may be ambiguous
        wrong += not right
    assert wrong < 0.03 * len(true)


def test_an_order_of_day_and_month_that_no_row_shows_is_asked_for():
    rows = [{"id": i, "created": f"0{i + 1}/05/2026", "arm": "control"} for i in range(5)]
    with pytest.raises(ValueError, match="day-first"):
        read_tickets(rows)
    days = [
        read_tickets(rows, dates=d).replies[2]["time"].date().isoformat()
        for d in ("day-first", "month-first")
    ]
    assert days == ["2026-05-03", "2026-03-05"]


@pytest.mark.parametrize("cell", ["soon", "31.02.2026 10:00", "2026-13-01", "-", 3.5])
def test_a_cell_that_is_no_time_is_counted_and_no_ticket_is_lost(cell):
    rows = [
        {"id": i, "created": "2026-03-02 10:00", "closed": "2026-03-02 11:00", "arm": "a"} for i in range(6)
    ]
    rows[2]["closed"] = rows[4]["created"] = cell
    tickets = read_tickets(rows)
    record = join_outcomes(tickets.replies, tickets.events).record
    known = cell != "-"
    assert any("could not be read" in note for note in tickets.notes) == known
    assert (record.replies, record.replies_malformed, record.used, record.lost) == (5, 1, 4, 0)


def exported(folder, form, seed=3, arms=("yes", "no"), n=400):
    rng, rows = random.Random(seed), []
    for i, (came, closed, arm, rating, again) in enumerate(desk(seed, n)):
        rows.append(
            {
                "Ticket ID": f"T-{i}",
                "Created at": came,
                "Solved at": closed,
                "Assistant": arms[arm == "without"],
                "Requester": f"c{rng.randrange(150)}@example.org",
                "CSAT": rating,
                "Reopens": int(again),
            }
        )
    path = folder / f"export.{form}"
    if form == "xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        book.active.append(list(rows[0]))
        for row in rows:
            book.active.append(list(row.values()))
        book.save(path)
        return path
    lines = [";".join(rows[0])]
    for row in rows:
        cells = [v.strftime("%d.%m.%Y %H:%M") if isinstance(v, datetime) else v for v in row.values()]
        lines.append(";".join("" if c is None else str(c) for c in cells))
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return path


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_one_command_makes_a_page_that_claims_no_cause(tmp_path, form, capsys):
    page = tmp_path / "page.html"
    assert main(["live", "report", str(exported(tmp_path, form)), "--out", str(page), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tickets"]["closed"] == "Solved at"
    assert {row["outcome"] for row in told["outcomes"]} == {"handling time", "satisfaction", "reopened"}
    html = page.read_text(encoding="utf-8")
    assert "has no times: every one counts" in html and "@example.org" not in html
    better = [row for row in told["outcomes"] if row["verdict"] in ("better", "worse")]
    assert not better or "effect only if chance decided" in told["says"]


@pytest.mark.parametrize(
    "words,said",
    [
        (["--column", "arm=Nobody"], "no column 'Nobody' for arm"),
        (["--column", "when=CSAT"], "there is no role 'when'"),
        (["--timezone", "Mars/Olympus"], "expected a name such as Europe/Berlin"),
        (["--dates", "us"], "expected 'day-first' or 'month-first'"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(tmp_path, words, said, capsys):
    path = exported(tmp_path, "csv", n=30)
    assert main(["live", "report", str(path), "--out", str(tmp_path / "p.html"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "p.html").exists()


def test_arms_of_which_none_is_named_as_the_control_are_asked_for(tmp_path, capsys):
    path = exported(tmp_path, "csv", arms=("Team Nord", "Team Süd"))
    assert main(["live", "report", str(path), "--out", str(tmp_path / "p.html")]) == 2
    assert "'Team Nord', 'Team Süd': say --control" in capsys.readouterr().err
    assert (
        main(["live", "report", str(path), "--control", "Team Nord", "--out", str(tmp_path / "p.html")]) == 0
    )
