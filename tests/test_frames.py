"Rows in the frames and tables of other libraries: scored in order and joined, whatever their cells hold."

import importlib.util

import pandas as pd
import pyarrow as pa
import pyarrow.dataset  # noqa: F401
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval import factuality, score_dataset
from crmeval.tasks.row_forms import memory_rows

SOURCE = "Agent: Order 4471 was lost. A new one arrives on Friday."
FIELDS = ("points", "fraction", "status", "reason", "label", "rater")
SAID = ["Order 4471 was lost.", "It arrives on Monday.", "", " ", "ß — \u202e\n", "a\x00b", "😀" * 9, "N/A"]
CELLS = st.one_of(st.none(), st.sampled_from(SAID), st.text(max_size=30))
TABLES = st.lists(CELLS, min_size=1, max_size=5)


class Foreign:
    "A table of a library that the package does not know, with Arrow's interface alone."

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def arrow_of(rows):
    kinds = {"id": pa.int64(), "response": pa.string(), "source": pa.string()}
    return pa.Table.from_pylist(rows, schema=pa.schema(kinds))


def duckdb_of(rows):
    import duckdb

    return duckdb.from_arrow(arrow_of(rows))


def narwhals_of(rows):
    import narwhals

    return narwhals.from_native(arrow_of(rows))


def polars_of(rows, lazy=False):
    import polars

    frame = polars.from_arrow(arrow_of(rows))
    return frame.lazy() if lazy else frame


# name -> (how it is made, the type that comes back, the library that must be there)
FORMS = {
    "table": (arrow_of, "Table", "pyarrow"),
    "batch": (lambda rows: arrow_of(rows).combine_chunks().to_batches()[0], "RecordBatch", "pyarrow"),
    "reader": (lambda rows: arrow_of(rows).to_reader(), "Table", "pyarrow"),
    "dataset": (lambda rows: pa.dataset.dataset(arrow_of(rows)), "Table", "pyarrow"),
    "foreign": (lambda rows: Foreign(arrow_of(rows)), "Table", "pyarrow"),
    "duckdb": (duckdb_of, "Table", "duckdb"),
    "narwhals": (narwhals_of, "Table", "narwhals"),
    "polars": (polars_of, "DataFrame", "polars"),
    "polars, lazy": (lambda rows: polars_of(rows, lazy=True), "DataFrame", "polars"),
    "pandas": (lambda rows: arrow_of(rows).to_pandas(), "DataFrame", "pandas"),
    "columns": (lambda rows: {k: [row[k] for row in rows] for k in rows[0]}, "dict", "pandas"),
    "generator": (iter, "list", "pandas"),
    "tuple": (tuple, "list", "pandas"),
    "structs": (lambda rows: arrow_of(rows).to_struct_array(), "list", "pyarrow"),
}


def made(form, rows):
    make, kind, library = FORMS[form]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    return make(rows), kind


def column_of(table, name):
    "Return a column of any result as a list, with None for what is missing."
    if isinstance(table, list):
        return [row[name] for row in table]
    cells = table[name]
    cells = cells.to_pylist() if hasattr(cells, "to_pylist") else list(cells)
    return [None if isinstance(cell, float) and cell != cell else cell for cell in cells]


def as_float(value, kind):
    "Return a number as the columns of a frame hold it."
    return float(value) if isinstance(value, int) and kind not in ("list", "dict") else value


def rows_of(cells):
    # ids that are neither in order nor from 0: a result that is joined by its place would show it
    return [{"id": 97 - 3 * i, "response": cell, "source": SOURCE} for i, cell in enumerate(cells)]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=5, deadline=None)
@given(cells=TABLES)
def test_every_table_gets_the_scores_of_its_rows_in_order(form, cells):
    rows = rows_of(cells)
    scores = factuality.batch(rows)
    table, kind = made(form, rows)
    scored = score_dataset(factuality, table)
    assert type(scored).__name__ == kind
    assert column_of(scored, "id") == [row["id"] for row in rows]
    assert column_of(scored, "response") == cells
    for field in FIELDS:
        found = [str(cell).replace("(nan)", "(None)") for cell in column_of(scored, f"factuality_{field}")]
        assert found == [str(as_float(getattr(s, field), kind)) for s in scores], field


@pytest.mark.parametrize("form", FORMS)
def test_a_table_that_was_scored_is_scored_again(form):
    rows = rows_of(["Order 4471 was lost.", None])
    once = score_dataset(factuality, made(form, rows)[0])
    again = score_dataset(factuality, once)
    assert str(again) == str(once) and type(again) is type(once)


@pytest.mark.parametrize("form", FORMS)
def test_a_run_reads_the_same_tables(form):
    rows = rows_of(["Order 4471 was lost.", "", "😀"])
    assert memory_rows(rows) == memory_rows(made(form, rows)[0] if form != "columns" else rows)


@pytest.mark.parametrize("form", ["table", "batch", "pandas", "polars"])
def test_parts_of_a_table_fit_together(form):
    "One part without any score has the columns' types of the others."
    parts = [score_dataset(factuality, made(form, rows_of([c]))[0]) for c in ("Order 4471 was lost.", None)]
    kinds = [part.schema if hasattr(part, "schema") else part.dtypes.to_dict() for part in parts]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("shown", [None, "arrow", "pandas", "numpy"])
@pytest.mark.parametrize("columns", [None, ["id"]])
def test_a_data_set_keeps_its_format(shown, columns):
    rows = rows_of(["Order 4471 was lost.", "It arrives on Monday."])
    data = Dataset.from_list(rows).with_format(shown, columns=columns)
    scored = score_dataset(factuality, data)
    assert scored.format["type"] == shown
    wanted = {*(columns or rows[0]), *(f"factuality_{k}" for k in FIELDS)}
    assert set(scored.format["columns"]) == wanted
    assert scored.with_format(None)["factuality_points"][:] == [4, 1]


@settings(max_examples=20, deadline=None)
@given(cells=TABLES, labels=st.lists(st.sampled_from([1, "x", 7.5]), min_size=5, max_size=5))
def test_a_pandas_frame_keeps_any_index(cells, labels):
    frame = pd.DataFrame(rows_of(cells), index=pd.Index(labels[: len(cells)], name="label"))
    scored = score_dataset(factuality, frame)
    assert scored.index.equals(frame.index) and scored["id"].tolist() == frame["id"].tolist()
    by_index = score_dataset(factuality, frame.set_index("response"))
    assert by_index["factuality_reason"].tolist() == scored["factuality_reason"].tolist()


def test_a_frame_that_cannot_be_read_is_refused_with_the_way():
    class Parts(pd.DataFrame):
        def map_partitions(self):
            raise AssertionError

    rows = rows_of(["a"])
    with pytest.raises(TypeError, match=r"several parts; score each part: dataset.map_partitions"):
        score_dataset(factuality, Parts(rows))
    with pytest.raises(ValueError, match=r"several parts, expected data.compute\(\)"):
        memory_rows(Parts(rows))
    with pytest.raises(ValueError, match=r"several levels, such as \('a', 'id'\)"):
        score_dataset(factuality, pd.concat({"a": pd.DataFrame(rows)}, axis=1))
    for wrong in ("text", None, 7, frozenset(["a"]), pd.Series(["a"]), pa.array(["a"])):
        with pytest.raises(TypeError, match="expected .*dictionaries"):
            score_dataset(factuality, wrong)
