"The live page: what a reader of a telephone sees, what an attacker would like, and its commands."

import json
import random
import re
import shutil
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from windows import windows

from crmeval.cli.app import main
from crmeval.live.drift import drift
from crmeval.live.events import join_outcomes
from crmeval.live.experiment import ArmOutcome, Guardrail, daily_looks, experiment_result
from crmeval.live.live_analysis import LivePlan, live_report
from crmeval.live.live_report import (
    GateEntry,
    LiveReport,
    experiment_sentence,
    feedback_reasons,
    weekly_outcome,
)
from crmeval.live.validity import validity
from crmeval.live.weekly_sums import Measure
from crmeval.pages.live_page import live_html, write_live_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ATTACKS = [
    "<script>window.hit=1</script>",
    "</title></style><img src=x onerror=window.hit=1>",
    '"><svg onload=window.hit=1>',
    "\u202eright to left\u2066 {{7*7}}",
    "long" * 500,
    "half \ud83d",
]


def rows_of(names, n=1600, weeks=10, shift=-3.0):
    "Replies of two arms; `names` are their arms, reasons and topics."
    r = random.Random(4)
    return [
        {
            "time": date(2026, 1, 5) + timedelta(days=i * 7 * weeks // n),
            "arm": names[i % 2],
            "unit": i % 160,
            "minutes": r.gauss(14, 3) + shift * (i % 2),
            "solved": r.random() < 0.7,
            "action": r.choice(["accept", "edit", "ignore"]),
            "reason": r.choice(names[2:]),
            "topic": r.choice(names[2:]),
            "accepted": r.random() < 0.5,
            names[3]: r.choice([1.0, 2.0, 3.0]),
        }
        for i in range(n)
    ]


def report_of(names, title):
    rows = rows_of(names)
    minutes, solved = ArmOutcome("minutes", higher_is_better=False), ArmOutcome("solved")
    result = experiment_result(
        rows,
        [minutes],
        guardrails=[Guardrail(solved, 0.2)],
        shares={names[0]: 0.5, names[1]: 0.5},
        control=names[0],
    )
    looks = daily_looks(rows, minutes, "time", control=names[0])
    watched = [Measure("topic", "category"), Measure(names[3], "log", "minutes")]
    return LiveReport(
        title,
        result,
        (
            weekly_outcome(rows, minutes, unit=names[2]),
            weekly_outcome(rows, solved, unit="share", about=names[3]),
        ),
        {"minutes": looks},
        {names[2]: 7, "used": 1600},
        feedback_reasons(rows),
        drift(rows, watched),
        (GateEntry(names[4], names[5], False, names[2], names[3]),),
        (validity(rows, "acceptance_rate", score=names[3], system="topic"),),
        (names[4],),
        names[5],
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    plain = ["control", "drafts", "too long", "wrong tone", "v2", "v1"]
    return {
        "plain": write_live_page(report_of(plain, "Drafts"), folder / "plain.html"),
        "hostile": write_live_page(report_of(ATTACKS, ATTACKS[0]), folder / "hostile.html"),
        "empty": write_live_page(LiveReport("Nothing yet"), folder / "empty.html"),
    }


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    with windows(CHROMIUM) as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_accessible_and_harmless(browser, files, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    for name, file in files.items():
        wrong, requests = [], []
        page = browser.open(
            {"width": 390, "height": 844},
            scheme,
            console=lambda m, wrong=wrong: wrong.append(m.text) if m.type in ("error", "warning") else None,
            request=lambda r, requests=requests: requests.append(r.url),
        )
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.evaluate("window.hit") is None and page.locator("h1").count() == 1
        assert wrong == [] and requests == [file.as_uri()]
        if name != "empty":
            widths = page.eval_on_selector_all(
                "svg.plot", "all => all.map(s => s.getBoundingClientRect().width)"
            )
            assert min(widths) > 300  # drawn 360 wide: letters of 12 units are at least 10 pixels
        found = [
            (v["id"], v["nodes"][0]["html"][:160])
            for v in axe.run(page).response["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert found == [], (name, found)
        browser.give_back(page)


def test_numbers_and_bars_are_whole_on_a_screen_and_on_paper(browser, files):
    page = browser.open({"width": 1280, "height": 900})
    page.goto(files["plain"].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    cut = "all => all.map(e => e.scrollWidth - e.clientWidth)"
    numbers = page.eval_on_selector_all(".small .scroll", cut)
    assert len(numbers) > 1 and set(numbers) == {0}
    page.emulate_media(media="print")
    filled = page.eval_on_selector_all(".bar", "all => all.map(e => getComputedStyle(e).printColorAdjust)")
    assert len(filled) > 3 and set(filled) == {"exact"}, "a filled bar stays filled: its look names the arm"
    columns = "all => all.map(e => getComputedStyle(e).gridTemplateColumns.split(' ').length)"
    assert set(page.eval_on_selector_all(".small:not(.weeks)", columns)) == {2}
    browser.give_back(page)


def test_arms_differ_without_colour(files):
    "Marks and dashes: filled circles and a full line, hollow squares and a broken one."
    html = files["plain"].read_text("utf-8")
    assert html.count('<circle class="mark full"') > 10 and html.count('<rect class="mark hollow"') > 10
    assert ".arm1 .run { stroke-dasharray" in html


class Elements(HTMLParser):
    "Names of elements and of attributes."

    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_hostile_text_is_text(files):
    html, seen = files["hostile"].read_text("utf-8"), Elements()
    seen.feed(html)
    assert not seen.tags & {"script", "img", "iframe", "object", "form", "link", "base"}
    assert not [a for a in seen.attributes if a.startswith("on")]
    assert "\u202e" not in html and "[U+202E]" in html and "{{7*7}}" in html
    assert "long" * 200 not in html and len(html) < 1_000_000


def test_axes_say_what_they_show_and_captions_are_sentences(files):
    "Whatever outcomes are called and whatever their unit is."
    page = files["plain"].read_text("utf-8")
    plots = re.findall(r'<svg class="plot".*?</svg>', page, re.S)
    assert len(plots) > 4
    for plot in plots:
        up, along = re.findall(r"<text[^>]*>([^<]*)</text>", plot)[:2]  # before the numbers
        assert re.search(r"[a-z]{3}", up) and re.search(r"week|day|mean", along), (up, along)
    assert "minutes, too long" in plots[0] and "per cent" in plots[1]
    first = re.findall(r"<figcaption>\s*(?:<[^>]+>\s*)*(\w)", page)
    assert len(first) == len(plots) and all(letter.isupper() for letter in first), first
    assert "figure h3::first-letter { text-transform: uppercase" in page


def test_the_sentence_follows_what_is_true():
    "Better, its mirror image, and nothing; the direction of good decides on the word."
    names = ["control", "drafts", "a", "b"]
    for shift, higher, word in ((-3.0, False, "(better)"), (-3.0, True, "(worse)"), (3.0, False, "(worse)")):
        result = experiment_result(
            rows_of(names, shift=shift), [ArmOutcome("minutes", higher_is_better=higher)]
        )
        assert word in experiment_sentence(result) and "drafts" in experiment_sentence(result)
    calm = experiment_result(rows_of(names, shift=0.0), [ArmOutcome("minutes")])
    assert experiment_sentence(calm).startswith("Not decided yet")


def test_a_report_of_one_arm_or_no_drift_is_written():
    assert "No experiment" in live_html(LiveReport("x", events={"used": 3}))


def test_commands(tmp_path, capsys):
    "The demo finds what was planted; the same files give the same figures; mistakes are told by their word."
    assert main(["live", "demo", "--out", str(tmp_path / "demo"), "--seed", "4", "--json"]) == 0
    demo = json.loads(capsys.readouterr().out)
    by = {r["outcome"]: r for r in demo["outcomes"]}
    assert by["handling time"]["verdict"] == "better" and by["accepted"]["verdict"] == "better"
    assert by["satisfaction"]["verdict"] == "not decided yet"
    assert by["accepted"]["low"] < 0.08 < by["accepted"]["high"]
    assert demo["arms"]["ok"] and any("topic: other" in a for a in demo["drift"])
    files = [str(tmp_path / "demo" / name) for name in ("replies.jsonl", "events.jsonl")]
    page = ["--out", str(tmp_path / "page.html")]
    assert main(["live", "report", *files, *page, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {r["outcome"]: r["n"] for r in again["outcomes"]}.keys() == by.keys()
    assert again["events"]["… used"] >= demo["events"]["… used"]
    few = [str(tmp_path / name) for name in ("few replies.jsonl", "few events.jsonl")]
    for path, short in zip(files, few):  # enough to be wrong with
        Path(short).write_text("".join(Path(path).read_text("utf-8").splitlines(True)[:300]), "utf-8")
    for words, message in (
        (["--share", "half"], "--share"),
        (["--decide", "acceptence_rate"], "did you mean 'acceptance_rate'?"),
        (["--guard", "csat"], "--guard"),
        (["--control", "old"], "old"),
        (["--out", str(tmp_path / "no" / "page.html")], "--out"),
    ):
        assert main(["live", "report", *few, *page, *words]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("unit", ["nothere", "Customer", "customer ", ""])
def test_a_unit_that_is_no_column_is_told_and_does_not_part_customers_in_silence(unit):
    replies = [
        {"reply": f"r{i}", "time": "2026-03-01T10:00:00Z", "customer": f"c{i % 9}", "arm": "ab"[i % 2]}
        for i in range(60)
    ]
    joined = join_outcomes(replies, [], until="2026-04-20")
    with pytest.raises(ValueError, match="the replies have no column"):
        live_report(joined, LivePlan(unit=unit, control="a"))
    assert live_report(joined, LivePlan(control="a")).result is not None
