"Copies of sources: after any changes and any interruption the copy equals the source, with no row twice."

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb", reason="the extra connect is not installed")
pytest.importorskip("pyarrow", reason="the extra connect is not installed")

from crmeval.cli.app import main
from crmeval.connect import duckdb_copy, parquet_copy
from crmeval.connect import ingest as room
from crmeval.connect.copy_plan import CopyBusy, copies_of
from crmeval.connect.federation import Catalogue
from crmeval.connect.ingest import ingest, ingest_copy
from crmeval.connect.parquet_copy import ParquetCopy, copied, copy_held

TARGETS = ("lake/cases", "desk.duckdb#cases")


class Desk:
    "A SQLite table of cases whose rows have a change number, and its copy."

    def __init__(self, folder, to, **more):
        self.folder, self.to, self.clock = folder, to, 0
        self.db = sqlite3.connect(folder / "desk.db")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS cases (id INTEGER PRIMARY KEY, subject TEXT, changed INTEGER)"
        )
        entry = {
            "from": "crm.cases",
            "to": to,
            "how": "incremental",
            "key": "id",
            "cursor": "changed",
            **more,
        }
        sources = {"crm": {"kind": "sqlite", "address": "desk.db"}}
        self.catalogue = Catalogue.of({"sources": sources, "copies": [entry]}, folder)

    def put(self, key, subject, tick=1):
        self.clock += tick
        self.db.execute("INSERT OR REPLACE INTO cases VALUES (?, ?, ?)", (key, subject, self.clock))
        self.db.commit()

    def drop(self, key):
        self.db.execute("DELETE FROM cases WHERE id = ?", (key,))
        self.db.commit()

    def source(self):
        return sorted(self.db.execute("SELECT id, subject, changed FROM cases"))

    def copy(self):
        if self.to.endswith("#cases"):
            import duckdb

            with duckdb.connect(str(self.folder / "desk.duckdb"), read_only=True) as db:
                return sorted(db.execute("SELECT id, subject, changed FROM cases").fetchall())
        return sorted(tuple(r.values()) for r in copied(self.folder / self.to).to_table().to_pylist())

    def run(self):
        done = ingest(self.catalogue)[0]
        assert done.error == "", done.error
        return done


class Stopped(BaseException):
    "A simulated end of the process: nothing after it runs, and the system closes open files."


@contextmanager
def stopped_at(number):
    "Stop a run at the n-th point that it passes; yield the points passed."
    passed = []

    def reached(point):
        passed.append(point)
        if len(passed) == number:
            raise Stopped(point)

    rooms = (parquet_copy, duckdb_copy, room)
    originals = [r.reached for r in rooms]
    for r in rooms:
        r.reached = reached
    try:
        yield passed
    except Stopped:
        pass
    finally:
        for r, before in zip(rooms, originals):
            r.reached = before


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.integers(0, 5),
            st.sampled_from(["a", "b", "é\u0000x", None]),
            st.integers(0, 1),
        ),
        st.tuples(st.just("drop"), st.integers(0, 5)),
        st.tuples(st.just("run")),
        st.tuples(st.just("stop"), st.integers(1, 7)),
    ),
    max_size=14,
)


@pytest.mark.parametrize("to", TARGETS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_whatever_changes_and_wherever_it_stops_the_copy_becomes_the_source(tmp_path_factory, to, steps):
    desk = Desk(tmp_path_factory.mktemp("desk"), to, sweep=True)
    for name, *values in steps:
        if name == "run":
            desk.run()
            assert desk.copy() == desk.source()
        elif name == "stop":
            with stopped_at(values[0]):
                ingest(desk.catalogue)
        else:
            getattr(desk, name)(*values)
    desk.run()
    assert desk.copy() == desk.source()
    again = desk.run().counts
    assert (again.new, again.changed, again.deleted) == (0, 0, 0)


KILLED = """
import os, signal, sys
from crmeval.connect import ingest as room, parquet_copy
from crmeval.connect.federation import Catalogue
def reached(point):
    if point == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
parquet_copy.reached = room.reached = reached
print(room.ingest(Catalogue.read(sys.argv[1])))
"""


def test_a_killed_process_leaves_a_whole_copy_and_no_lock(tmp_path):
    desk = Desk(tmp_path, "lake/cases")
    for k in range(20):
        desk.put(k, f"case {k}")
    desk.run()
    before = desk.copy()
    desk.put(3, "changed")
    desk.put(99, "new")
    (tmp_path / "c.yaml").write_text(
        "sources: {crm: {kind: sqlite, address: desk.db}}\ncopies:\n"
        "  - {from: crm.cases, to: lake/cases, how: incremental, key: id, cursor: changed}\n"
    )
    words = [sys.executable, "-c", KILLED, str(tmp_path / "c.yaml"), "version written"]
    done = subprocess.run(words, capture_output=True, timeout=60, env=os.environ)
    assert done.returncode == -9, done.stderr
    assert desk.copy() == before  # a reader sees the previous version, complete
    desk.run()
    assert desk.copy() == desk.source()


def test_two_runs_never_write_one_copy(tmp_path):
    desk = Desk(tmp_path, "lake/cases")
    desk.put(1, "a")
    desk.run()
    with ParquetCopy(tmp_path / "lake/cases"):
        done = ingest(desk.catalogue)[0]
    assert CopyBusy.__name__ in done.error and desk.copy() == desk.source()


@pytest.mark.parametrize("to", TARGETS)
def test_equal_cursors_are_not_missed(tmp_path, to):
    desk = Desk(tmp_path, to)
    desk.put(1, "a")
    desk.run()
    desk.put(2, "b", tick=0)  # as old as the last copied row
    assert desk.run().counts.new == 1 and desk.copy() == desk.source()


def test_columns_that_come_and_go_are_told_or_refused(tmp_path):
    desk = Desk(tmp_path, "lake/cases")
    desk.put(1, "a")
    desk.run()
    desk.db.execute("ALTER TABLE cases ADD COLUMN region TEXT")
    desk.put_region = desk.db.execute("INSERT INTO cases VALUES (2, 'b', 9, 'north')")
    desk.db.commit()
    strict = Desk(tmp_path, "lake/cases", schema="refuse")
    refused = ingest(strict.catalogue)[0]
    assert "column region came" in refused.error and refused.rows == 1
    done = ingest(desk.catalogue)[0]
    assert done.changes == ["column region came (string)"] and done.rows == 2
    rows = {r["id"]: r["region"] for r in copied(tmp_path / "lake/cases").to_table().to_pylist()}
    assert rows == {1: None, 2: "north"}


def test_rows_marked_as_deleted_leave_the_copy(tmp_path):
    desk = Desk(tmp_path, "lake/cases", deleted="subject")  # any text counts as a deletion mark
    desk.put(1, None)
    desk.put(2, None)
    desk.run()
    desk.put(2, "2026-05-06")
    done = desk.run()
    assert (done.counts.deleted, [r[0] for r in desk.copy()]) == (1, [1])


def test_change_files_are_applied_once_and_in_order_wherever_a_run_stops(tmp_path):
    feed = tmp_path / "feed"
    feed.mkdir()
    files = [
        [("insert", 1, "a"), ("insert", 2, "b"), ("update", 1, "c")],
        [("delete", 2, None), ("insert", 3, "d")],
        [("insert", 2, "again"), ("delete", 3, None)],
    ]
    for n, records in enumerate(files):
        lines = [json.dumps({"op": op, "id": k, "name": name}) for op, k, name in records]
        (feed / f"{n:03}.jsonl").write_text("\n".join(lines))
    copy_settings = {"from": "feed", "to": "lake/people", "how": "changes", "key": "id"}
    people = Catalogue.of(
        {"sources": {"feed": {"kind": "json", "address": "feed"}}, "copies": [copy_settings]}, tmp_path
    )
    for stop in range(1, 12):
        with stopped_at(stop):
            ingest(people)
    assert ingest(people)[0].error == ""
    rows = {r["id"]: r["name"] for r in copied(tmp_path / "lake/people").to_table().to_pylist()}
    assert rows == {1: "c", 2: "again"}
    (feed / "001.jsonl").write_text("{}")
    assert "has changed since" in ingest(people)[0].error


def test_what_is_personal_is_marked_and_no_value_is_kept_beside_the_copy(tmp_path):
    desk = Desk(tmp_path, "lake/cases")
    desk.put(1, "Call Orla Quenby at orla.quenby@example.com")
    copy = copies_of(desk.catalogue)[0]
    ingest_copy(copy, desk.catalogue, personal=lambda t: ["EMAIL_ADDRESS"] if "@" in t else [])
    version, state = copy_held(tmp_path / "lake/cases")
    assert state.state["marks"]["subject"] == {"by": ["finder"], "kinds": {"EMAIL_ADDRESS": 1.0}}
    beside = [p for p in version.parent.rglob("*") if p.is_file() and p.suffix != ".parquet"]
    assert beside and not any(b"Quenby" in p.read_bytes() for p in beside)


def test_a_row_that_does_not_fit_is_refused_by_its_number_alone(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"id": 1, "n": 5}\n{"id": 2, "n": "secret words"}\n{"id": 3, "n": 7}\n'
    )
    feed = tmp_path / "feed"
    feed.mkdir()
    lines = [{"op": "insert", "id": 1, "n": 5}, {"op": "insert", "id": 2, "n": 6}]
    (feed / "1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    copy_settings = {"from": "feed", "to": "lake/n", "how": "changes", "key": "id"}
    catalogue = Catalogue.of(
        {"sources": {"feed": {"kind": "json", "address": "feed"}}, "copies": [copy_settings]}, tmp_path
    )
    assert ingest(catalogue)[0].rows == 2
    (feed / "2.jsonl").write_text(json.dumps({"op": "update", "id": 2, "n": "secret words"}))
    done = ingest(catalogue)[0]
    refused = (tmp_path / "lake" / ".n" / "refused.jsonl").read_text()
    assert done.counts.refused == 1 and "secret" not in refused and '"column": "n"' in refused, done


@pytest.mark.parametrize(
    "words, message",
    [
        (["{}"], "sources"),
        (["sources: {a: {kind: sqlite, address: x.db}}"], "no copies"),
        (
            ["sources: {a: {kind: sqlite, address: x.db}}\ncopies: [{from: b.c, to: d}]"],
            "there is no source 'b'",
        ),
        (["sources: [\n"], "YAML"),
    ],
)
def test_a_wrong_catalogue_is_told_in_its_own_words(tmp_path, capsys, words, message):
    path = tmp_path / "c.yaml"
    path.write_text(words[0])
    assert main(["ingest", str(path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("to", TARGETS)
def test_a_table_without_rows_and_a_column_without_values_are_copied(tmp_path, to):
    desk = Desk(tmp_path, to)
    (copy,) = copies_of(desk.catalogue)
    for wanted in (0, 1):
        done = ingest_copy(copy, desk.catalogue, personal=lambda text: ["PERSON"])
        assert (done.error, done.rows) == ("", wanted)
        desk.put(1, None)  # its only text is null


def test_a_failure_of_an_engine_is_the_failure_of_one_copy(tmp_path, monkeypatch):
    import pyarrow as pa

    (tmp_path / "a.csv").write_text("id\n1\n")
    catalogue_settings = {
        "sources": {"a": {"kind": "csv", "address": "a.csv"}},
        "copies": [{"from": "a.a", "to": f"lake/{n}", "how": "full"} for n in ("x", "y")],
    }
    catalogue, made = Catalogue.of(catalogue_settings, tmp_path), ParquetCopy.replace

    def fails_once(self, *args):
        if self.path.name == "x":
            raise pa.ArrowInvalid("no kernel")
        return made(self, *args)

    monkeypatch.setattr(ParquetCopy, "replace", fails_once)
    done = ingest(catalogue)
    assert "ArrowInvalid: no kernel" in done[0].error and (done[1].error, done[1].rows) == ("", 1), done


FILES = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 3), st.sampled_from(["one", "two", "thr"])),
        st.tuples(st.just("break"), st.integers(0, 3)),
        st.tuples(st.just("drop"), st.integers(0, 3)),
        st.tuples(st.just("touch"), st.integers(0, 3)),
        st.tuples(st.just("stop"), st.integers(1, 6)),
        st.tuples(st.just("run")),
    ),
    max_size=16,
)


class Help:
    "A folder of pages and the expected content of its copy: the last readable text of each page."

    def __init__(self, folder, to):
        self.folder, self.to, self.clock = folder, to, 1_700_000_000
        self.kept, self.broken = {}, set()
        (folder / "help").mkdir()
        catalogue_settings = {"sources": {"help": {"kind": "documents", "address": "help"}}}
        self.catalogue = Catalogue.of({**catalogue_settings, "copies": [{"from": "help", "to": to}]}, folder)

    def page(self, n):
        return self.folder / "help" / f"p{n}.txt"

    def put(self, n, data):
        self.page(n).write_bytes(data)
        self.touch(n)

    def write(self, n, text):
        self.put(n, text.encode())
        self.kept[n] = text
        self.broken.discard(n)

    def touch(self, n):
        self.clock += 10
        if self.page(n).exists():
            os.utime(self.page(n), (self.clock, self.clock))

    def drop(self, n):
        self.page(n).unlink(missing_ok=True)
        self.kept.pop(n, None)
        self.broken.discard(n)

    def rows(self):
        if self.to.endswith("#cases"):
            import duckdb

            with duckdb.connect(str(self.folder / "desk.duckdb"), read_only=True) as db:
                return sorted(db.execute("SELECT id, text FROM cases").fetchall())
        return sorted((r["id"], r["text"]) for r in copied(self.folder / self.to).to_table().to_pylist())

    def run(self):
        (done,) = ingest(self.catalogue)
        assert done.error == "", done.error
        assert self.rows() == sorted((f"p{n}.txt", text) for n, text in self.kept.items())
        assert (done.kept, done.counts.refused) == (len(self.broken & set(self.kept)), len(self.broken))
        return done


@pytest.mark.parametrize("to", TARGETS)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=FILES)
def test_a_copy_of_documents_is_the_last_good_text_of_each_wherever_it_stops(tmp_path_factory, to, steps):
    pages = Help(tmp_path_factory.mktemp("pages"), to)
    for name, *values in steps:
        if name == "stop":
            pages.run()  # pages that break next were copied before
            with stopped_at(values[0]):
                ingest(pages.catalogue)
        elif name == "break":
            pages.run()
            pages.put(values[0], b"\x89PNG\r\n\x1a\n" + bytes(90))
            pages.broken.add(values[0])
        else:
            getattr(pages, name)(*values)
    pages.run()
    again = pages.run().counts
    assert (again.new, again.changed, again.deleted) == (0, 0, 0)


def test_documents_that_did_not_change_are_not_opened(tmp_path, monkeypatch):
    from crmeval.connect import changed_documents, documents

    pages, opened = Help(tmp_path, "lake/cases"), []
    for n in range(4):
        pages.write(n, f"page {n}")
    inner = documents._file_bytes
    monkeypatch.setattr(
        documents, "_file_bytes", lambda path, limits: opened.append(path) or inner(path, limits)
    )
    pages.run()
    assert len(opened) == 4
    version = os.readlink(tmp_path / "lake/cases")
    assert (pages.run().counts.same, len(opened)) == (4, 4)
    assert os.readlink(tmp_path / "lake/cases") == version  # nothing is written either
    pages.write(2, "another page")
    assert (pages.run().counts.changed, len(opened)) == (1, 5)
    monkeypatch.setattr(changed_documents, "_releases", lambda: ("a later one",))
    assert (pages.run().counts.same, len(opened)) == (4, 9)


def test_a_copy_of_an_earlier_release_is_brought_up_to_date(tmp_path):
    pages = Help(tmp_path, "lake/cases")
    for n in range(3):
        pages.write(n, f"page {n}")
    pages.run()
    with ParquetCopy(tmp_path / "lake/cases") as copy:  # a state without records of files
        copy.note({k: v for k, v in copy.held.state.items() if k != "documents"})
    pages.drop(1)
    done = pages.run()
    assert (done.counts.deleted, done.counts.same) == (1, 2)


@pytest.mark.parametrize("to", TARGETS)
def test_rows_without_a_cursor_come_whenever_they_are_written(tmp_path, to):
    desk = Desk(tmp_path, to)
    for key in range(4):
        desk.put(key, "with")
    desk.run()
    desk.db.execute("INSERT INTO cases VALUES (8, 'without', NULL)")
    desk.db.execute("UPDATE cases SET subject = 'taken out', changed = NULL WHERE id = 2")
    desk.db.commit()
    assert (desk.run().counts.new, sorted(desk.copy(), key=str)) == (1, sorted(desk.source(), key=str))
    again = desk.run().counts
    assert (again.new, again.changed) == (0, 0)


def text_cursor(folder, first, then, **more):
    "Return the errors of two runs with a text cursor, and the number of rows in the copy."
    db = sqlite3.connect(folder / "t.db")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, changed TEXT)")
    entry = {"from": "s.t", "to": "lake/t", "how": "incremental", "key": "id", "cursor": "changed", **more}
    source = {"s": {"kind": "sqlite", "address": "t.db"}}
    catalogue, errors = Catalogue.of({"sources": source, "copies": [entry]}, folder), []
    for values in (first, then):
        db.executemany("INSERT INTO t (changed) VALUES (?)", [(value,) for value in values])
        db.commit()
        errors.append(ingest(catalogue)[0].error)
    n = copied(folder / "lake/t").to_table().num_rows if (folder / "lake/t").exists() else 0
    return errors, n


@pytest.mark.parametrize(
    "first, then, what",
    [
        (["9"], ["10"], "numbers"),
        (["99.5"], ["100.25"], "numbers"),
        (["31.12.2023"], ["01.01.2024"], "begin with the year"),
        (["12/31/2023 10:00"], ["1/1/2024 10:00"], "begin with the year"),
        (["2024-03-31T10:00:00+02:00"], ["2024-03-31T09:30:00Z"], "another zone"),
        (["2024-03-31 10:00:00-0500"], [], "another zone"),
        (["2024-03-31T10:00:00Z", "2024-03-31 11:00:00Z"], [], "two forms"),
    ],
)
def test_a_cursor_of_text_that_does_not_sort_as_it_says_is_refused(tmp_path, first, then, what):
    errors, rows_held = text_cursor(tmp_path, first, then)
    assert all(what in error for error in errors) and rows_held == 0, errors


@pytest.mark.parametrize(
    "first, then",
    [
        (["2024-03-31T10:00:00Z"], ["2024-03-31T10:00:00Z", "2024-04-01T00:00:00.5Z"]),
        (["2024-03-31 10:00:00+00:00"], ["2024-04-01 10:00:00+00:00"]),
        (["2024-03-31"], ["2024-04-01"]),
        (["20240331"], ["20240401"]),
        (["v-a"], ["v-b"]),
    ],
)
def test_a_cursor_of_text_that_sorts_is_followed(tmp_path, first, then):
    assert text_cursor(tmp_path, first, then) == (["", ""], len(first) + len(then))


@pytest.mark.parametrize("late", ["2024-03-31T09:59:30Z", "2024-03-31T09:59:00.000Z"])
def test_a_lag_holds_for_times_that_are_text(tmp_path, late):
    assert text_cursor(tmp_path, ["2024-03-31T10:00:00Z"], [late], lag="2m") == (["", ""], 2)


@settings(deadline=None)
@given(st.sampled_from(["false", "no", "n", "0", "f", "none", "null", "off"]), st.data())
def test_no_way_to_write_no_deletes_a_row(word, data):
    pa = pytest.importorskip("pyarrow")
    written = "".join(data.draw(st.sampled_from([c, c.upper()])) for c in word)
    assert room._is_gone(pa.array([f" {written} ", "true", "2024-01-01", "Yes"])).to_pylist() == [
        False,
        True,
        True,
        True,
    ]
    assert room._is_gone(pa.array([0.0, 1.0, None])).to_pylist() == [False, True, False]


@pytest.mark.parametrize(
    "kind, is_noted", [("sqlite", False), ("duckdb", False), ("postgres", True), ("rest", True)]
)
@pytest.mark.parametrize("nulls", [0, 2])
def test_rows_without_a_cursor_that_will_not_be_found_again_are_told(tmp_path, kind, is_noted, nulls):
    pa = pytest.importorskip("pyarrow")
    desk = Desk(tmp_path, "lake/cases")
    (copy,) = copies_of(desk.catalogue)
    copy = replace(copy, source=replace(copy.source, kind=kind))
    with ParquetCopy(copy.to) as target:
        run = room._Run(copy, target, None)
        for _ in range(2):
            run.report_nulls(pa.table({"changed": pa.array([1] + [None] * nulls, pa.int64())}))
    assert len(run.said) == (is_noted and nulls > 0)
