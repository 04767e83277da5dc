"Rows from any source become the same samples by the same checks; errors name the place."

import csv
import datetime as dt
import functools
import io
import itertools
import json
import sqlite3
import tracemalloc
import zipfile
from decimal import Decimal

import pytest

pytest.importorskip("duckdb", reason="the extra connect is not installed")
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from crmeval.cli.app import main
from crmeval.connect.federation import Catalogue
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.runs.selection import select_samples
from crmeval.tasks.columns import KEPT
from crmeval.tasks.load import load_any
from crmeval.tasks.long_data import few_or_coming
from crmeval.tasks.own_data import load_file, stream_file
from crmeval.tasks.tables import reading

ROWS = [
    {
        "case": f"C-{k:03}",
        "text": f"Customer: the lamp # {k} is broken.\nAgent: I send a new one.",
        "region": r,
    }
    for k, r in enumerate(["north", "south", None] * 4)
]
TOLD = {"use_cases": ["service_call_summary"], "columns": {"id": "case", "transcript": "text"}}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    "The same rows in SQLite, Parquet, JSON Lines, CSV and TSV, and a catalogue of them."
    folder = tmp_path_factory.mktemp("desk")
    db = sqlite3.connect(folder / "desk.db")
    db.execute('CREATE TABLE cases ("case" TEXT, text TEXT, region TEXT, staff TEXT)')
    db.executemany("INSERT INTO cases VALUES (?, ?, ?, 'x')", [tuple(r.values()) for r in ROWS])
    db.commit()
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "cases.parquet")
    (folder / "cases.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    pd.DataFrame(ROWS).to_csv(folder / "cases.csv", index=False)
    pd.DataFrame(ROWS).to_csv(folder / "cases.tsv", index=False, sep="\t")
    (folder / "desk.yaml").write_text(
        "sources:\n"
        "  crm: {kind: sqlite, address: desk.db, read: {cases: [case, text, region]}}\n"
        "  lake: {kind: parquet, address: cases.parquet}\n"
    )
    return folder


def ways(folder):
    table = pa.Table.from_pylist(ROWS)
    question = 'SELECT "case", text, region FROM crm.cases ORDER BY "case"'
    yield "sqlite by sql", f"sql:{folder / 'desk.yaml'}#{question}"
    yield "parquet by sql", f"sql:{folder / 'desk.yaml'}#SELECT * FROM lake ORDER BY 1"
    yield "query", Catalogue.read(folder / "desk.yaml").query(question)
    yield "parquet", folder / "cases.parquet"
    yield "json lines", folder / "cases.jsonl"
    yield "csv", folder / "cases.csv"
    yield "tsv", folder / "cases.tsv"
    yield "frame", pd.DataFrame(ROWS)
    yield "arrow", table
    yield "arrow reader", table.to_reader(max_chunksize=5)
    yield "arrow dataset", ds.dataset(table)
    yield "list", ROWS


def essence(samples):
    return [(s.id, s.use_case, dict(s.inputs), s.key_facts) for s in samples]


def test_equal_rows_are_equal_samples_wherever_they_lie(desk):
    wanted = essence(load_any(ROWS, **TOLD))
    assert len(wanted) == len(ROWS)
    for name, data in ways(desk):
        assert essence(load_any(data, **TOLD)) == wanted, name
    for name, data in ways(desk):
        options = {"use_case": "service_call_summary", "columns": TOLD["columns"]}
        assert essence(stream_file(data, size=5, **options)) == wanted, name


def test_a_query_runs_once_and_its_line_stands_in_the_manifest(desk, tmp_path):
    line = f'sql:{desk / "desk.yaml"}#SELECT "case" AS id, text AS transcript, region FROM crm.cases'
    words = ["run", "--data", line, "--use-case", "service_call_summary", "--model", "baseline:lead"]
    assert main([*words, "--limit", "3", "--out", str(tmp_path / "r"), "--no-progress"]) == 0
    done = open_run(tmp_path / "r")
    assert [s.id for s in done.samples] == ["C-000", "C-001", "C-002"]
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["plan"]["data"] == line
    assert all(s.dataset == "desk" for s in done.samples)


def test_values_of_a_database_are_told_as_a_model_should_read_them(tmp_path):
    catalogue = Catalogue.of({"sources": {"lake": {"kind": "parquet", "address": "t.parquet"}}}, tmp_path)
    row = {
        "id": 7,
        "transcript": "Customer: hello.",
        "due": dt.date(2026, 3, 4),
        "paid": Decimal("12.50"),
        "gone": None,
        "parts": [{"name": "lamp", "n": 2}],
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "t.parquet")
    samples = load_any(
        catalogue.query("SELECT * FROM lake"),
        use_cases=["service_call_summary"],
        keep=["due", "paid", "gone", "parts"],
    )
    assert samples[0].id == "7"
    kept = samples[0].tags[KEPT]
    assert kept == {"due": "2026-03-04", "paid": "12.50", "gone": None, "parts": [{"name": "lamp", "n": 2}]}


@pytest.mark.parametrize(
    "line, message",
    [
        ("sql:", "names no catalogue"),
        ("sql:{desk}/desk.yaml", "has no SQL"),
        ("sql:{desk}/desk.yaml#", "has no SQL"),
        ("sql:{desk}/none.yaml#SELECT 1", "there is no catalogue"),
        ("sql:{desk}/desk.yaml#SELECT * FROM crm.people", "people"),
        ("sql:{desk}/desk.yaml#SELECT staff FROM crm.cases", "staff"),
        ("sql:{desk}/desk.yaml#DELETE FROM crm.cases", "SELECT"),
        ("sql:{desk}/desk.yaml#SELECT * FROM crm.cases WHERE false", "has no rows"),
        ("sql:{desk}/cases.jsonl#SELECT 1", "cases.jsonl"),
    ],
)
def test_wrong_lines_are_told_and_leave_no_folder(desk, tmp_path, capsys, line, message):
    words = ["run", "--data", line.format(desk=desk), "--use-case", "service_call_summary"]
    assert main([*words, "--out", str(tmp_path / "r"), "--no-progress"]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_a_row_that_is_no_sample_is_named_by_its_number(desk):
    bad = [*ROWS[:4], {**ROWS[4], "text": " "}, *ROWS[5:]]
    for data in (pa.Table.from_pylist(bad), pa.Table.from_pylist(bad).to_reader()):
        with pytest.raises(ValueError, match=r"row 5, column 'text'"):
            load_any(data, **TOLD)
    with pytest.raises(ValueError, match=r"row 5, column 'text'"):
        list(stream_file(bad, use_case="service_call_summary", columns=TOLD["columns"], size=2))


def docx(text):
    "Return a minimal Word file."
    from docx import Document

    made = Document()
    made.add_paragraph(text)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def test_a_folder_of_documents_goes_on_past_those_that_cannot_be_read(tmp_path):
    pytest.importorskip("docx", reason="the extra documents is not installed")
    (tmp_path / "a.txt").write_text("Customer: the lamp is broken.")
    (tmp_path / "b.docx").write_bytes(docx("Customer: where is my parcel?"))
    (tmp_path / "c.html").write_text("<h1>Call</h1><p>Customer: hello.</p><script>alert(1)</script>")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    with zipfile.ZipFile(tmp_path / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("word/document.xml", b"0" * 80_000_000)
    with reading() as reader:
        samples = load_any(tmp_path, use_cases=["service_call_summary"], columns={"transcript": "text"})
    assert [s.id for s in samples] == ["a", "b", "c"]
    assert (
        "where is my parcel" in samples[1].inputs["transcript"]
        and "alert" not in samples[2].inputs["transcript"]
    )
    assert any("2 of 5 files were not read" in note and "broken.pdf" in note for note in reader.notes), (
        reader.notes
    )


def test_rows_stream_and_are_never_held_at_once(tmp_path):
    text = "Customer: the lamp is broken, again and again, and I want my money back. " * 12
    rows = 12_000

    def batches():
        for start in range(0, rows, 1_500):
            ids = [f"c{k}" for k in range(start, start + 1_500)]
            yield pa.record_batch({"id": ids, "transcript": [f"{i} {text}" for i in ids]})

    schema = pa.schema([("id", pa.string()), ("transcript", pa.string())])
    with pq.ParquetWriter(tmp_path / "big.parquet", schema) as file:
        for batch in batches():
            file.write_batch(batch)
    (tmp_path / "c.yaml").write_text("sources: {lake: {kind: parquet, address: big.parquet}}\n")
    tracemalloc.start()
    line = f"sql:{tmp_path / 'c.yaml'}#SELECT * FROM lake"
    n = sum(1 for _ in stream_file(line, use_case="service_call_summary", size=300))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == rows and peak < rows * len(text), f"{peak:,} bytes"


def test_a_long_csv_is_never_held_at_once(tmp_path):
    text = 'Customer: the lamp "hums", again; and I want my money back.\nAgent: I see. ' * 80
    with open(tmp_path / "big.csv", "w", encoding="utf-8", newline="") as f:
        written = csv.writer(f, delimiter=";")
        written.writerow(["id", "transcript"])
        written.writerows([f"c{k}", f"{k} {text}"] for k in range(4_000))
    tracemalloc.start()
    samples = stream_file(tmp_path / "big.csv", use_case="service_call_summary", size=500)
    n = sum(s.inputs["transcript"].startswith(f"{k} Customer") for k, s in enumerate(samples))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 4_000 and peak < n * len(text) / 2, f"{peak:,} bytes"


def test_a_frame_or_a_query_is_data_of_a_run(desk, tmp_path):
    frame = pd.DataFrame(ROWS[:3]).rename(columns={"case": "id", "text": "transcript"})
    done = run(
        ["baseline:lead"], data=frame, use_cases="service_call_summary", out=tmp_path / "f", progress=False
    )
    assert [s.id for s in done.samples] == ["C-000", "C-001", "C-002"]
    query = Catalogue.read(desk / "desk.yaml").query('SELECT "case" AS id, text AS transcript FROM crm.cases')
    assert len(select_samples(query, "service_call_summary")) == len(ROWS)
    assert load_file(ROWS, use_case="service_call_summary", columns=TOLD["columns"])[0].dataset == "rows"


def _coming_forms(rows):
    "Return {name: function} that yield the same rows as an iterator or as a data set of the hub's library."
    import datasets

    table = pa.Table.from_pylist(rows)
    return {
        "generator": lambda: (row for row in rows),
        "map": lambda: map(dict, rows),
        "chain": lambda: itertools.chain(rows[:3], rows[3:]),
        "reader": lambda: table.to_reader(max_chunksize=4),
        "Dataset": lambda: datasets.Dataset.from_list(rows),
        "IterableDataset": lambda: datasets.Dataset.from_list(rows).to_iterable_dataset(num_shards=2),
        "samples": lambda: iter(select_samples(rows)),
    }


@pytest.mark.parametrize("few", [5, 10_000])
def test_what_comes_once_gives_the_samples_of_a_list(few, monkeypatch):
    "Few or many, rows or samples: an iterator gives what a list of dictionaries gives; a wrong row is named."
    monkeypatch.setattr("crmeval.runs.selection.few_or_coming", functools.partial(few_or_coming, few=few))
    chat = "Customer: Parcel {} is lost.\nAgent: It is sent again."
    fields = {"use_case": "service_conversation_summary"}
    rows = [{"id": f"c{n}", **fields, "inputs": {"conversation": chat.format(n)}} for n in range(23)]
    expected = [(s.id, dict(s.inputs)) for s in select_samples(rows)]
    for name, made in _coming_forms(rows).items():
        assert [(s.id, dict(s.inputs)) for s in select_samples(made())] == expected, name
        assert len(select_samples(made(), limit=4)) == 4, name
    for wrong, message in (
        (7, "row 24"),
        ({"id": "c1", **fields}, "row 24"),
        (dict(rows[2]), "'c2' is already"),
    ):
        with pytest.raises(ValueError, match=message):
            select_samples(iter([*rows, wrong]))
    with pytest.raises(ValueError, match="no sample|no rows"):
        select_samples(iter([]))
    twice = select_samples(rows)
    with pytest.raises(ValueError, match="'c5' is already the id"):
        select_samples(iter([*twice, twice[5]]))
