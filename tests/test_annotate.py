"Human rating outside a notebook: killed processes, any order of actions, any text in a sheet, the run."

import csv
import os
import random
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmeval.cli.app import main
from crmeval.core.records import Response, Sample
from crmeval.metrics import accuracy
from crmeval.pages.leaderboard import leaderboard
from crmeval.people.adjudication import adjudication_plan, disagreements, rating_scores
from crmeval.people.in_runs import add_ratings
from crmeval.people.plan import (
    CRITERIA,
    Item,
    make_plan,
    read_packet,
    read_plan,
    write_packet,
    write_plan,
)
from crmeval.people.session import Rating, Session, read_session
from crmeval.people.sheets import export_sheet, guarded, read_any_ratings, read_sheet
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.validation.run_agreement import run_agreement

quick = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def material(n=8, text="Order {} is late."):
    calls = [
        Sample(
            f"s{i}",
            "service_call_summary",
            {"transcript": f"Agent: Hello. Caller: Order {i} has not come."},
            cluster=f"call {i}",
        )
        for i in range(n)
    ]
    return calls, [
        Response(s.id, c, text.format(s.id), use_case=s.use_case) for s in calls for c in ("a:x", "b:y")
    ]


def planned(folder, raters=("ann", "ben"), **options):
    plan = make_plan(*material(), raters, **{"overlap": 1, "seed": 1, **options})
    write_plan(plan, folder)
    return plan


def test_criteria_are_those_of_the_automatic_scores():
    assert CRITERIA == accuracy.CRITERIA


@given(
    n=st.integers(1, 30),
    raters=st.integers(1, 4),
    overlap=st.floats(0, 1),
    per=st.integers(1, 20) | st.none(),
    attention=st.integers(0, 3),
    seed=st.integers(0, 9),
)
@quick
def test_every_plan_keeps_its_word(n, raters, overlap, per, attention, seed):
    names = [f"r{i}" for i in range(raters)]
    try:
        plan = make_plan(*material(n), names, per_rater=per, overlap=overlap, attention=attention, seed=seed)
    except ValueError as e:
        assert "need" in str(e) or "attention is" in str(e)
        return
    orders = list(plan.order.values())
    real = [[i for i in o if plan.key[i]["attention"] is None] for o in orders]
    size = len(real[0])
    assert (
        {len(r) for r in real} == {size}
        and all(len(set(o)) == len(o) == size + attention for o in orders)
        and per in (None, size)
    )
    shared = round(overlap * size)
    assert len(set.intersection(*map(set, real))) == (size if raters == 1 else shared)
    assert (
        len(set().union(*real))
        == shared + raters * (size - shared)
        == len({(k["sample_id"], k["client"]) for k in plan.key.values() if k["attention"] is None})
    )
    assert not any(c in str(plan.packet(names[0])) for c in ("a:x", "b:y"))


def test_order_is_random_for_each_rater_and_systems_are_not_in_blocks():
    calls, answers = material(100)
    plan = make_plan(calls, answers, ["ann", "ben"], overlap=1, seed=4)
    place = {r: {i: n for n, i in enumerate(o)} for r, o in plan.order.items()}
    a, b = zip(*((place["ann"][i], place["ben"][i]) for i in plan.items))
    mean = sum(a) / len(a)
    assert abs(sum((x - mean) * (y - mean) for x, y in zip(a, b)) / sum((x - mean) ** 2 for x in a)) < 0.25
    first = [plan.key[i]["client"] for i in plan.order["ann"][:100]].count("a:x")
    assert 35 <= first <= 65


KILLED = textwrap.dedent("""
    import os, sys
    from crmeval.people.plan import CRITERIA
    from crmeval.people.session import Session
    with Session(sys.argv[1]) as s:
        while s.current:
            for c in CRITERIA:
                s.rate(c, 3)
                print(s.current.id, c, flush=True)   # told only after it was saved
            s.next()
""")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("after", [1, 6])
def test_killed_in_the_middle_everything_that_was_told_is_there(tmp_path, after):
    planned(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "ann")], stdout=subprocess.PIPE, text=True
    )
    confirmed = [tuple(child.stdout.readline().split()) for _ in range(after)]
    child.send_signal(signal.SIGKILL)
    confirmed += [tuple(line.split()) for line in child.communicate()[0].splitlines()]
    with open(tmp_path / "ann" / "ratings.jsonl", "ab") as f:
        f.write(b'{"kind": "rate", "item": "to')  # and a torn line
    kept = [(r.item, r.criterion) for r in read_session(tmp_path / "ann")]
    assert set(confirmed) <= set(kept) and len(kept) <= len(confirmed) + 1
    with Session(tmp_path / "ann") as again:
        assert [(r.item, r.criterion) for r in again.ratings()] == kept
        done = {i for i, _ in kept if all((i, c) in kept for c in CRITERIA)}
        assert again.current.id not in done and again.progress.done == len(done)
    assert len(read_session(tmp_path / "ann")) == len(kept)


def test_a_session_in_another_process_is_refused(tmp_path):
    planned(tmp_path)
    with Session(tmp_path / "ann") as session:
        other = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / "ann")], capture_output=True, text=True
        )
        assert other.returncode == 1 and "the session of 'ann' cannot start" in other.stderr.splitlines()[-1]
        session.rate("factuality", 2)
        with Session(tmp_path / "ben"):
            pass
    assert (
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "ann")], capture_output=True).returncode
        == 0
    )


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("rate"), st.sampled_from(CRITERIA), st.integers(1, 4)),
        st.tuples(st.just("all"), st.integers(1, 4)),
        st.tuples(st.just("next")),
        st.tuples(st.just("skip"), st.text(min_size=1, max_size=5)),
        st.tuples(st.just("comment"), st.text(max_size=5)),
        st.tuples(st.just("evidence"), st.integers(0, 20), st.integers(0, 20)),
        st.tuples(st.just("undo")),
        st.tuples(st.just("again")),
    ),
    max_size=25,
)


def state(s):
    return s.ratings(), s.current, s.given, s.said, s.progress


def do(session, action):
    name, *values = action
    try:
        if name == "all":
            for c in CRITERIA:
                session.rate(c, values[0])
            session.next()
        else:
            getattr(session, name)(*values)
    except ValueError:
        pass


@given(actions=ACTIONS)
@quick
def test_any_actions_are_undone_one_by_one_and_survive_being_opened_again(actions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("s")
    planned(folder, per_rater=3)
    session = Session(folder / "ann")
    for action in actions:
        if action[0] == "again":
            session.close()
            session = Session(folder / "ann")
        else:
            do(session, action)
        assert read_session(folder / "ann") == session.ratings()
    ratings = session.ratings()
    session.close()
    with Session(folder / "ann") as again:
        assert again.ratings() == ratings
        for action in [("rate", "factuality", 1), ("comment", "x"), ("skip", "y"), ("evidence", 0, 3)]:
            if again.current is None:
                break
            before = state(again)
            do(again, action)
            again.undo()
            assert state(again) == before
        while again._actions:
            again.undo()
        assert again.ratings() == [] and again.progress.done == 0
    assert read_session(folder / "ann") == []


text = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=40)


def one_item(folder, prompt, source, response, facts=()):
    plan = make_plan(*material(2), ["ann"], seed=1)
    one = next(iter(plan.items))
    plan = replace(
        plan,
        items={one: Item(one, "Service: Call Summary", prompt, source, response, facts)},
        key={one: plan.key[one]},
        order={"ann": [one]},
    )
    write_packet(folder, "ann", plan.packet("ann"), plan.id)
    return plan


@given(prompt=text, source=text, response=text, comment=text, facts=st.lists(text, max_size=2))
@quick
def test_any_text_goes_through_a_csv_sheet_and_none_becomes_a_formula(
    tmp_path_factory, prompt, source, response, comment, facts
):
    folder = tmp_path_factory.mktemp("sheet")
    plan = one_item(folder, prompt, source, response, facts)
    with open(export_sheet(folder, folder / "sheet.csv"), encoding="utf-8-sig", newline="") as f:
        head, row = csv.reader(f)
    assert all(guarded(v) == v for v in row)
    row[head.index("factuality")], row[head.index("comment")] = "3", guarded(comment)
    with open(folder / "back.csv", "w", encoding="utf-8", newline="") as f:
        csv.writer(f, delimiter=";").writerows([head, row])
    (rating,) = read_sheet(folder / "back.csv", plan)
    assert rating.points == 3 and rating.comment in comment.replace("\r\n", "\n").replace("\r", "\n")


@given(source=text, response=text)
@settings(quick, max_examples=15)
def test_any_text_goes_through_an_xlsx_sheet_and_none_becomes_a_formula(tmp_path_factory, source, response):
    openpyxl = pytest.importorskip("openpyxl")
    folder = tmp_path_factory.mktemp("sheet")
    plan = one_item(folder, "=1+1", source, response)
    book = openpyxl.load_workbook(export_sheet(folder, folder / "sheet.xlsx"))
    sheet = book["ratings"]
    assert not [c for c in sheet[2] if c.data_type == "f"]
    sheet.cell(2, [c.value for c in sheet[1]].index("factuality") + 1).value = 3.0
    book.save(folder / "back.xlsx")
    assert [r.points for r in read_sheet(folder / "back.xlsx", plan)] == [3]


def test_nothing_a_rater_gets_names_a_system(tmp_path):
    planned(tmp_path, attention=1)
    for kind in ("csv", "xlsx"):
        export_sheet(tmp_path / "ann", tmp_path / "ann" / f"sheet.{kind}")
    from zipfile import ZipFile

    seen = [p.read_bytes() for p in (tmp_path / "ann").iterdir()] + [
        ZipFile(tmp_path / "ann" / "sheet.xlsx").read(n)
        for n in ZipFile(tmp_path / "ann" / "sheet.xlsx").namelist()
    ]
    assert not any(w in data for data in seen for w in (b"a:x", b"b:y", b"attention"))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return run(
        ["baseline:lead", "baseline:reference"],
        use_cases=["service_call_summary", "sales_call_summary"],
        limit=2,
        out=folder / "r",
        progress=False,
    )


def rated(plan, rater, points):
    return [Rating(rater, i, c, points) for i in plan.order[rater] for c in CRITERIA]


@pytest.mark.parametrize("start", ["\0", "\ufeff", "\u200b", "\x1f", "\u202e \x07"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_what_a_spreadsheet_drops_hides_no_formula_and_the_sheet_comes_back(tmp_path, start, kind):
    text = start + "=HYPERLINK(1)"
    assert guarded(text) == "'" + text
    calls, answers = material(1)
    plan = make_plan(calls, [replace(r, text=text) for r in answers], ["ann"])
    write_plan(plan, tmp_path)
    assert read_sheet(export_sheet(tmp_path / "ann", tmp_path / f"s.{kind}"), plan) == []


def test_a_sheet_in_which_the_rater_was_changed_halfway_is_refused(tmp_path):
    plan = planned(tmp_path)
    path = export_sheet(tmp_path / "ann", tmp_path / "s.csv")
    first, *rest = path.read_text(encoding="utf-8-sig").split('"ann"')
    path.write_text('"ann"'.join([first, *rest[:-1]]) + '"ben"' + rest[-1], encoding="utf-8-sig")
    with pytest.raises(ValueError, match="column rater: 'ben', and 'ann' in the first row"):
        read_sheet(path, plan)


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":["rate"]}',
        '{"kind":"rate","item":["a"],"criterion":"factuality","points":2,"seconds":1,"at":"z"}',
        '{"kind":"rate","item":"ITEM","criterion":"factuality","points":9,"seconds":1,"at":"z"}',
        '{"kind":"rate","item":"ITEM","criterion":null,"points":2,"seconds":1,"at":"z"}',
        '{"kind":"comment","item":"ITEM","text":["x"]}',
        '{"kind":"skip","item":"ITEM","reason":null,"seconds":1,"at":"z"}',
    ],
)
def test_a_line_that_nobody_rated_is_named(tmp_path, line):
    plan = planned(tmp_path)
    with Session(tmp_path / "ann") as s:
        s.rate("factuality", 3)
    with open(tmp_path / "ann" / "ratings.jsonl", "a", encoding="utf-8") as f:
        f.write(line.replace("ITEM", plan.order["ann"][0]) + "\n")
    for use in (
        lambda: read_session(tmp_path / "ann", plan),
        lambda: read_session(tmp_path / "ann"),
        lambda: Session(tmp_path / "ann"),
    ):
        with pytest.raises((ValueError, RuntimeError), match="line 3 is not an action of a rater"):
            use()


def test_two_raters_and_an_adjudicator_are_not_three_opinions(done, tmp_path):
    plan = make_plan(done.samples, done.responses, ["ann", "ben"], overlap=1, attention=1, seed=2)
    two = rated(plan, "ann", 4) + rated(plan, "ben", 2)
    with_two = add_ratings(done, rating_scores(two, plan, done.responses))
    board = leaderboard(with_two, method="manual")
    assert {r.metrics["accuracy"].value for r in board} == {3.0} and {r.n for r in board} == {4}
    attention = {k["sample_id"] + k["client"] for k in plan.key.values() if k["attention"]}
    assert not any(s.sample_id + s.client in attention and s.reason == "attention" for s in with_two.scores)
    assert sum(s.method == "manual" and s.metric == "factuality" for s in with_two.scores) == 2 * 8, (
        "attention items are not scored"
    )

    lead = [
        d
        for d in disagreements(two, plan)
        if plan.key[d.item]["client"] == "baseline:lead" and d.criterion == "factuality"
    ]
    settle = adjudication_plan(lead, plan, "kim")
    settled = [Rating("adjudicated:kim", i, "factuality", 1) for i in settle.order["adjudicated:kim"]]
    with_three = add_ratings(with_two, rating_scores(settled, plan, done.responses))
    row = {r.client: r.metrics for r in leaderboard(with_three, method="manual")}
    assert (
        row["baseline:lead"]["factuality"].value == 1.0 and row["baseline:lead"]["completeness"].value == 3.0
    )
    assert (
        row["baseline:lead"]["accuracy"].value == (1 + 3 + 3 + 3) / 4
        and row["baseline:reference"]["accuracy"].value == 3.0
    )
    assert {s.points for s in with_three.scores if s.rater == "ann"} == {4}, "the original ratings are kept"

    agreed = run_agreement(with_three, n_resamples=20)
    human = {(m.client, m.metric): m.mean.human_only.value for m in agreed.means}
    assert (
        human["baseline:lead", "factuality"] == 1.0
        and human["baseline:lead", "accuracy"] == 2.5
        and human["baseline:reference", "accuracy"] == 3.0
    )
    alpha = {r.metric: r.figures["people_alpha"] for r in agreed.table}
    again = {r.metric: r.figures["people_alpha"] for r in run_agreement(with_two, n_resamples=20).table}
    assert alpha["factuality"].value == again["factuality"].value, (
        "agreement is between the raters and leaves out the adjudicator"
    )

    changed = add_ratings(with_three, rating_scores(rated(plan, "ben", 4), plan))
    assert {r.client: r.metrics["accuracy"].value for r in leaderboard(changed, method="manual")} == {
        "baseline:lead": (1 + 4 + 4 + 4) / 4,
        "baseline:reference": 4.0,
    }
    add_ratings(done, [])


def test_skipped_items_are_counted_and_are_no_points(done):
    plan = make_plan(done.samples, done.responses, ["ann"], seed=2)
    first = plan.order["ann"][0]
    ratings = [r for r in rated(plan, "ann", 4) if r.item != first] + [
        Rating("ann", first, c, None, skipped="another language") for c in CRITERIA
    ]
    board = leaderboard(add_ratings(done, rating_scores(ratings, plan, done.responses)), method="manual")
    row = {r.client: r for r in board}[plan.key[first]["client"]]
    assert (row.n, row.unscored, row.metrics["accuracy"].value) == (3, 1, 4.0)
    add_ratings(done, [])


def test_the_command_plans_and_brings_in(done, tmp_path, capsys):
    where, home = str(done.folder), tmp_path / "rating"
    planned = ["--raters", "ann,ben", "--overlap", "1", "--attention", "1", "--out", str(home)]
    assert main(["rate", where, *planned]) == 0
    plan = read_plan(home)
    rng = random.Random(1)
    for rater in plan.order:
        with Session(home / rater) as s:
            while s.current:
                for c in CRITERIA:
                    s.rate(c, rng.randint(1, 4))
                s.next()
    capsys.readouterr()
    both = [str(home / "ann"), str(home / "ben" / "ratings.jsonl")]
    assert main(["rate", where, "--import", *both, "--adjudicate", "kim", "--out", str(home)]) == 0
    printed = capsys.readouterr().out
    assert (
        "agreement of the raters" in printed
        and "of 1 attention items" in printed
        and "disagreements, the widest first" in printed
        and "people" in printed
    )
    packet = home / "adjudication-kim" / "adjudicated-kim"
    with Session(packet) as kim:
        for c in kim.current.criteria:
            kim.rate(c, 4)
    assert (
        main(
            ["rate", where, "--import", str(home / "ann"), str(home / "ben"), str(packet), "--out", str(home)]
        )
        == 0
    )
    assert {s.rater for s in open_run(where).scores if s.method == "manual"} == {
        "ann",
        "ben",
        "adjudicated:kim",
    }
    assert (
        read_any_ratings(packet, plan, read_plan(home / "adjudication-kim"))[0].rater == "adjudicated:kim"
        and read_packet(packet)[0]["rater"] == "adjudicated:kim"
    )
    too_many = ["--raters", "ann", "--per-rater", "99", "--out", str(tmp_path / "x")]
    for words, message in [
        ([], "give either --raters A,B"),
        (["--import", str(home / "ann"), "--adjudicate", "", "--out", str(home)], "rater is ''"),
        (["--raters", "x", "--adjudicate", "kim"], "--adjudicate goes with --import"),
        (["--raters", "eve", "--out", str(home)], "holds another plan"),
        (["--import", str(home / "ann"), str(home / "ann"), "--out", str(home)], "twice"),
        (too_many, "need 99 responses; there are 8"),
    ]:
        capsys.readouterr()
        assert main(["rate", where, *words]) == 2 and message in capsys.readouterr().err
