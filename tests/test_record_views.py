"""Display of records: the figure first, one line in a terminal, one screen in a notebook.

The records contain hostile model output: tags, terminal control characters, direction overrides and
200,000 characters. None of it takes effect.
"""

import re
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest

import crmeval
from crmeval.core.calls import Completion
from crmeval.core.cards import MetricCard
from crmeval.core.evidence import Evidence
from crmeval.core.judging import Verdict
from crmeval.core.records import STATUSES, Response, Sample, Score, Usage
from crmeval.core.stats import Difference, Estimate
from crmeval.metrics.trust import Trust
from crmeval.people.session import Rating

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
BAD += "\x1b[2J\u202eabc\u2066\x00\ud83d </pre></details>"
LONG = BAD + "word " * 40_000
SOME = Estimate(71.25, 60.0, 80.5, 12, 3, BAD)
RECORDS = {
    "score": Score(
        BAD, 2.5, 0.5, reason=LONG, evidence=[Evidence(BAD, LONG, reason=LONG)] * 60, rater=BAD, client=BAD
    ),
    "score of a label": Score(BAD, None, label=LONG, sample_id=LONG),
    "score without value": Score(BAD, None, status="api_error", reason=LONG),
    "sample": Sample(
        LONG,
        BAD,
        {BAD: LONG, "note": BAD},
        [LONG] * 9,
        [{"rule": LONG}],
        LONG,
        {BAD: LONG},
        {BAD: LONG},
        LONG,
        BAD,
        BAD,
        BAD,
        {BAD: BAD},
    ),
    "response": Response(
        LONG, BAD, LONG, usage=Usage(1, 2), latency_s=1.5, model=LONG, reasoning=LONG, layer=LONG
    ),
    "failure": Response("s1", BAD, None, "api_error", LONG),
    "verdict": Verdict(True, 0.9, LONG, (0, 1), LONG, points=3),
    "no verdict": Verdict(None, reason=LONG, status="parse_error"),
    "rating": Rating(BAD, LONG, BAD, 3, LONG, LONG, [{"where": BAD, "text": LONG}]),
    "trust": Trust(LONG, SOME, SOME, SOME, SOME, SOME, {BAD: SOME}, {BAD: True}, 3),
    "completion": Completion(LONG, refusal=BAD, model=BAD, reasoning=LONG, finish_reason=LONG),
    "card": MetricCard(BAD, BAD, LONG, (BAD,), LONG, LONG),
    "estimate": SOME,
    "difference": Difference(1.0, 0.5, 1.5, 9, 0, BAD, p_value=0.01),
}
ALLOWED = {"div", "bdi", "details", "summary", "pre", "table", "thead", "tbody", "tr", "th", "td"}


class Elements(HTMLParser):
    "Tags with their attribute names in order, tags still open, and the text."

    def __init__(self, html):
        super().__init__()
        self.seen, self.open, self.told = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, {name for name, _ in attrs}))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.told.append(data)


@pytest.mark.parametrize("name", RECORDS)
def test_a_notebook_shows_one_screen_in_which_nothing_is_obeyed(name):
    page = RECORDS[name]._repr_html_()
    seen = Elements(page)
    assert not seen.open and {tag for tag, _ in seen.seen} <= ALLOWED
    assert set().union(*(names for _, names in seen.seen)) <= {"style", "dir", "tabindex"}
    assert not re.search("[\x00\x1b\u202e\u2066\ud800-\udfff]", page)
    assert page.encode("utf-8") and len(page) < 60_000
    folded = re.sub(r"<details>.*?</details>", "", page, flags=re.S)
    assert len("".join(Elements(folded).told)) < 2_000  # visible before anything is unfolded


@pytest.mark.parametrize("name", [n for n in RECORDS if n not in ("estimate", "difference")])
def test_a_terminal_gets_one_short_line(name):
    line = repr(RECORDS[name])
    assert len(line) < 700 and line.isprintable(), line
    assert line.startswith(f"<{type(RECORDS[name]).__name__} ")


def in_sight(record):
    return Elements(record._repr_html_()).told[0]


def test_the_figure_comes_first_with_its_unit_and_direction():
    assert in_sight(RECORDS["score"]) == "2.5 of 4 points (fraction 0.50), higher is better"
    assert in_sight(RECORDS["rating"]) == "3 of 4 points, higher is better"
    assert in_sight(RECORDS["trust"]) == "71.2 [60, 80] per cent, higher is better"
    assert in_sight(RECORDS["verdict"]).startswith("yes, P(yes) 0.90")
    assert in_sight(RECORDS["estimate"]).startswith("71.25 [60.00, 80.50]")
    assert in_sight(RECORDS["response"]).endswith("characters in 1.5 s")
    assert in_sight(RECORDS["card"]) == "1 to 4 points, higher is better"


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "ok"])
def test_what_has_no_value_says_so_and_shows_no_number(status):
    score = Score("factuality", None, status=status)
    assert in_sight(score) == f"no value ({status})" and STATUSES[status] in score._repr_html_()
    assert not re.search(r"\d", repr(score).partition(";")[0]) and "None" not in repr(score)
    none = Estimate(None, undefined=4)
    assert in_sight(none) == "none (n=0, 4 undefined)"
    assert "no value (without safety)" in repr(
        Trust("m", Estimate(None, method="without safety"), *[none] * 4)
    )


def test_what_is_unsafe_is_not_repeated():
    sample = Sample("p1", "safety_probe", {"prompt": "How do I hurt him?"}, tags={"unsafe": True})
    assert "hurt" not in repr(sample) + sample._repr_html_() and "[unsafe text]" in repr(sample)


def test_an_answer_in_hebrew_keeps_its_direction_to_itself():
    page = Response("s1", "m", "\u05e9\u05dc\u05d5\u05dd")._repr_html_()
    assert '<bdi dir="auto">\u05e9\u05dc\u05d5\u05dd</bdi>' in page


# their text is the name of an SQL table, not a result
NAMES = {"Relation", "Readable", "Asked"}


def test_every_record_that_has_a_text_shows_it_in_a_notebook():
    "Checked over all modules: every dataclass with its own `__str__` needs `_repr_html_`."
    bare, seen = [], 0
    for path in sorted(Path(crmeval.__file__).parent.glob("*/*.py")):
        if path.name == "__init__.py" or "def __str__" not in path.read_text(encoding="utf-8"):
            continue
        room = import_module(f"crmeval.{path.parent.name}.{path.stem}")
        for kind in vars(room).values():
            if (
                isinstance(kind, type)
                and is_dataclass(kind)
                and "__str__" in vars(kind)
                and kind.__module__ == room.__name__
            ):
                seen += 1
                if not hasattr(kind, "_repr_html_") and kind.__name__ not in NAMES:
                    bare.append(f"{room.__name__}.{kind.__name__}")
    assert bare == [] and seen > 40


def test_a_view_changes_nothing_of_a_record():
    one, two = Score("factuality", 3, 0.8), Score("factuality", 3, 0.8)
    assert one == two and [f.name for f in fields(one)][:3] == ["metric", "points", "fraction"]
