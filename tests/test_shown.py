"""The outputs that pages show are compared with those that their code gives now."""

import json
from pathlib import Path

import pytest
import shown

NBS = Path(__file__).resolve().parent.parent / "nbs"


def printed(text):
    return [{"output_type": "stream", "name": "stdout", "text": [text]}]


def displayed(html):
    return {"output_type": "display_data", "data": {"text/html": [html], "text/plain": ["<HTML>"]}}


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ("Pearson 0.62 [0.55, 0.70] (n=600)", "Pearson 0.66 [0.55, 0.70] (n=600)", "shows 0.62, gives 0.66"),
        ("49 recognisers", "53 recognisers", "shows 49, gives 53"),
        ("judged by embedded", "judged by the built-in judge", "gives 'judged by the built-in judge'"),
        ("first\nsecond", "first", "shows 2 lines, gives 1"),
        ("all passed", "", "shows 1 lines, gives 0"),
        ("a long line " * 20 + "of old words", "a long line " * 20 + "of new words", "of new words"),
        ("AUC 0.80 after 12 s", "AUC 0.70 after 31 s", "shows 0.80, gives 0.70"),
        ("-0.13", "0.13", "shows -0.13, gives 0.13"),
    ],
)
def test_old_output_is_found(before, after, part):
    assert part in shown.stale(printed(before), printed(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.624", "0.625"),
        ("3222 spans", "3221 spans"),
        ("46 ms p50, 137 ms p99", "21 ms p50, 69 ms p99"),
        ("run of 2026-11-28 21:14", "run of 2026-11-30 22:25"),
        ("asked by [PERSON_K6JPN]", "asked by [PERSON_K6JQG]"),
        ("<Row at 0x7f10a2>", "<Row at 0x7f99b1>"),
        ("cosine 0.76", "the extra 'encoder' is not installed: skipped"),
        ("", "new output of a cell that shows none"),
    ],
)
def test_what_depends_on_the_moment_or_the_machine_is_not_old(before, after):
    assert shown.stale(printed(before), printed(after)) is None


def test_tables_are_read_as_a_reader_sees_them():
    old, new = (
        displayed(f"<table id='{i}'><tr><td>A&amp;B</td><td>{n}</td></tr></table>")
        for i, n in ((1, 3.1), (2, 0.0))
    )
    assert "shows 3.1, gives 0.0" in shown.stale([old], [new])
    assert shown.stale([old, *printed("done")], [*printed("done"), old]) is None
    assert shown.stale([old], [new], varying=True) is None
    assert "gives 'C'" in shown.stale(printed("A"), printed("C"), varying=True)


TABLE = """metric      lost     change  seconds
factuality  0     the same      {took}
all done.

{value} rows"""
HTML_TABLE = (
    "<table><thead><tr><th></th><th>n</th><th>CPU s</th></tr></thead>"
    "<tr><th>a</th><td>{value}</td><td>{took}</td></tr><tr><td colspan=3>{took} kept</td></tr></table>"
)


@pytest.mark.parametrize("took", ["0.6", "6.9", "1234.5"])
def test_a_column_of_times_is_not_compared(took):
    def at(value, took):
        old = printed(TABLE.format(took="0.8".rjust(len(took)), value=value))
        return old, [displayed(HTML_TABLE.format(took=f"<b>{took}</b>", value=value))]

    text, page = at(3, took)
    assert shown.stale(text, printed(TABLE.format(took=took, value=3))) is None
    assert shown.stale(page, [displayed(HTML_TABLE.format(took=took, value=3))]) is None
    later, page_later = at(5, took)
    assert "shows 3, gives 5" in shown.stale(text, later)  # below the table, times no longer hide anything
    assert "shows 3, gives 5" in shown.stale(page, page_later)
    kept = "<td colspan=3>9 kept", f"<td colspan=3>{took} kept"
    [shown_page] = [displayed(HTML_TABLE.format(took=took, value=3))]
    other = displayed(HTML_TABLE.format(took=took, value=3).replace(*reversed(kept)))
    assert "gives 9" in shown.stale([shown_page], [other])  # a row of another form has no columns


def test_cells_whose_numbers_vary_exist():
    cells = {c["id"] for path in NBS.rglob("*.ipynb") for c in json.loads(path.read_text("utf-8"))["cells"]}
    assert set(shown.VARYING) <= cells
