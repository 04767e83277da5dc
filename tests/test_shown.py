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


def test_cells_whose_numbers_vary_exist():
    cells = {c["id"] for path in NBS.rglob("*.ipynb") for c in json.loads(path.read_text("utf-8"))["cells"]}
    assert set(shown.VARYING) <= cells
