"""One hostile run on every page made from it: nothing is executed, nothing escapes or overflows.

Every text of the run comes from `hostile.CORPUS`: ids, sources, facts, answers, reasons, evidence, names of
systems, data sets, people and judges, the manifest. Each page is opened in Chromium at phone and desktop
width with all folds open, and its source is searched for foreign elements and handlers.
"""

import csv
import html
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hostile import CORPUS, hostile_run
from windows import windows

from crmeval.core.package_data import data_path
from crmeval.core.raters import pearson
from crmeval.layer.source_links import SourceLink
from crmeval.pages.agreement_chart import Agreed, AgreementPage
from crmeval.pages.board import leaderboard_table
from crmeval.pages.compare import compare
from crmeval.pages.compare_page import write_comparison
from crmeval.pages.gate import gate
from crmeval.pages.gate_forms import gate_junit, gate_markdown
from crmeval.pages.leaderboard import leaderboard
from crmeval.pages.live_page import write_live_page
from crmeval.pages.publish import publish
from crmeval.pages.report import report_pages, write_report
from crmeval.pages.site_settings import SiteSettings
from crmeval.pages.slices import slice_board
from crmeval.people.feedback_widget import FeedbackForm
from crmeval.people.plan import make_plan, write_plan
from crmeval.people.session import Session
from crmeval.people.sheets import export_sheet
from crmeval.people.widget import view_of
from crmeval.runs.folder import Run
from crmeval.validation.metric_trial import Moved, Trial, TrialRow
from crmeval.validation.run_agreement import run_agreement

pytest.importorskip("playwright", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
WIDTHS = (390, 1280)
LONG = 20_000  # pixels: an endless text that is not cut makes a page longer than this


# ---- the pages
@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hostile_run(tmp_path_factory.mktemp("hostile") / "run")


def whole(body):
    "Wrap the HTML of a notebook output as JupyterLab does, which lets wide outputs scroll in a box."
    head = (
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>x</title>"
    )
    return f"{head}<div style='overflow:auto'>{body}</div>"


def reports(run, folder):
    return [write_report(run, folder / "report.html", title=CORPUS[1])]


def paged_reports(run, folder):
    many = [replace(s, id=f"{k} {s.id}") for s in run.samples for k in range(30) if not s.perturbation]
    answers = [replace(r, sample_id=f"{k} {r.sample_id}") for r in run.responses for k in range(30)]
    scores = [replace(x, sample_id=f"{k} {x.sample_id}") for x in run.scores for k in range(30)]
    pages = report_pages(Run(run.folder, run.manifest, many, answers, scores), file_bytes=3_000)
    assert len(pages) > 2
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / list(pages)[-1]]  # the first page is like the report above


def comparison(run, folder):
    return [
        write_comparison(compare(run, client_a=run.clients[0], client_b=run.clients[1]), folder / "c.html")
    ]


def gate_page(run, folder):
    "Render a summary as a forge does: Markdown in which HTML is allowed."
    from markdown_it import MarkdownIt

    outcome = gate(run, run, client=run.clients[2], base_client=run.clients[0], most=30)
    for case in ElementTree.fromstring(gate_junit(outcome).encode("utf-8")).iter("testcase"):
        assert case.get("name")
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(gate_markdown(outcome))
    style = "<style>code { overflow-wrap: anywhere } table { display: block; overflow: auto }</style>"
    (folder / "gate.html").write_text(whole(style + body), encoding="utf-8")
    (folder / "cell.html").write_text(whole(outcome._repr_html_()), encoding="utf-8")
    return [folder / "gate.html", folder / "cell.html"]


def site(run, folder):
    settings = SiteSettings(
        f"ACME {CORPUS[1]} {CORPUS[10]}",
        "bench@acme.example",
        CORPUS[0],
        title=CORPUS[1],
        about=CORPUS,
        address="https://acme.example/",
        samples="all",
    )
    done = publish(run, settings, folder / "site", edition="2026-Q4")
    feed = ElementTree.parse(done.folder / "feed.xml").getroot()
    assert not [e for e in feed.iter() if e.tag.split("}")[1] in ("script", "img", "iframe")]
    pages = sorted(done.folder.rglob("*.html"))
    assert len(pages) > 5 and len(list(done.folder.rglob("social.png"))) >= 1
    return pages


def agreement_page(run, folder):
    lines = [
        Agreed(t, "factuality", t, "model", 9, 9, "pearson", 0.1 * (k % 9), 0.0, 0.9)
        for k, t in enumerate(CORPUS)
    ]
    bodies = [AgreementPage(lines)._repr_html_(), run_agreement(run, slices=["shop"])._repr_html_()]
    estimate = pearson([0.1, 0.5, 0.9, 0.4], [0.2, 0.4, 0.8, 0.1])
    rows = [TrialRow(t, t, part, 9, 1, *[estimate] * 3, False, 1.0) for t in CORPUS for part in ("all", t)]
    moved = [Moved(t, t * 3, t, 0.5, 0.5, 0.1, t) for t in CORPUS]
    bodies.append(Trial(rows, moved, CORPUS[0], "left out", {t: 2 for t in CORPUS})._repr_html_())
    (folder / "agreement.html").write_text(whole("".join(bodies)), encoding="utf-8")
    return [folder / "agreement.html"]


def live_page(run, folder):
    from test_live_page import report_of

    odd = [t for t in CORPUS if "\x00" in t or "\ud83d" in t]  # no valid name of a column (the fourth text)
    plain = [t for t in CORPUS if t not in odd]
    parts = [[*plain[k : k + 4], *odd] for k in range(0, len(plain) - 3, 4)]
    return [write_live_page(report_of(p, p[0]), folder / f"live{k}.html") for k, p in enumerate(parts)]


def cells(run, folder):
    "Write what a notebook shows: tables, the leaderboard, slices, the run, a comparison."
    lines = leaderboard(run)
    shown = {
        "table": leaderboard_table([run])._repr_html_(),
        "leaderboard": lines._repr_html_(),
        "slices": slice_board(run, "shop")._repr_html_(),
        "run": run._repr_html_(),
        "comparison": compare(run, client_a=run.clients[0], client_b=run.clients[1])._repr_html_(),
    }
    files = []
    for name, body in shown.items():
        files.append(folder / f"{name}.html")
        files[-1].write_text(whole(body), encoding="utf-8")
    return files


def packet(run, folder):
    samples = [s for s in run.samples if not s.use_case.endswith("_probe") and not s.perturbation]
    ids = {s.id for s in samples}
    answers = [r for r in run.responses if r.sample_id in ids and not r.perturbation]
    write_plan(make_plan(samples, answers, ["ann"], seed=5), folder / "plan")
    return folder / "plan" / "ann"


def sheet(run, folder):
    "Check that the raters' sheet has no formulas and no text that a spreadsheet would compute; no pages."
    from openpyxl import load_workbook

    rater = packet(run, folder)
    book = load_workbook(export_sheet(rater, folder / "sheet.xlsx"))["ratings"]
    values = [[c.value for c in row] for row in book.iter_rows()]
    assert {c.data_type for row in book.iter_rows() for c in row} <= {
        "s",
        "n",
        "inlineStr",
    }  # never 'f', a formula
    with open(export_sheet(rater, folder / "sheet.csv"), encoding="utf-8-sig", newline="") as f:
        values += list(csv.reader(f))
    texts = [str(v) for row in values for v in row if v]
    assert len(texts) > 100 and not [t for t in texts if re.match(r"[\s\u200b-\u202e]*[=+@]|-.", t)]
    return []  # there is no page to open


WIDGET = """
const heard = []; let view = %s;
const none = () => {};
const get = (name) => (name === "view" ? view : {});
const model = { get, set: none, send: none, on: (_, f) => heard.push(f), off: none, save_changes: none };
render({ model, el: document.getElementById("host") });
"""


def widget(name, view, folder):
    code = data_path("rating", f"{name}.js").read_text(encoding="utf-8")
    code = code.replace("export default { render };", WIDGET % json.dumps(view).replace("<", "\\u003c"))
    style = data_path("rating", f"{name}.css").read_text(encoding="utf-8")
    page = whole(f"<style>{style}</style><main id=host></main><script type=module>{code}</script>")
    (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder / f"{name}.html"


def rating(run, folder):
    view = view_of(Session(packet(run, folder)))
    return [widget("widget", view | {"turn": 1}, folder)]


def feedback(run, folder):
    links = [
        SourceLink(k, f"d{k}", t, f"javascript:window.hit=1//{t}", "words") for k, t in enumerate(CORPUS)
    ]
    form = FeedbackForm("r1", "\n".join(CORPUS), lambda _: None, sources=links, masked={t: 2 for t in CORPUS})
    return [widget("feedback", form.view(say=CORPUS[0], error=CORPUS[1]), folder)]


PAGES = {
    "report": reports,
    "report in several files": paged_reports,
    "comparison": comparison,
    "gate": gate_page,
    "published site": site,
    "agreement": agreement_page,
    "live": live_page,
    "notebook cells": cells,
    "sheet for raters": sheet,
    "rating widget": rating,
    "feedback widget": feedback,
}
OURS = {
    "gate",
    "agreement",
    "notebook cells",
    "rating widget",
    "feedback widget",
}  # cells have no page heading


# ---- checks
class Source(HTMLParser):
    "Collect forbidden elements and attributes of a page, and its text outside scripts and styles."

    def __init__(self, text):
        super().__init__()
        self.wrong, self.text, self._raw = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._raw = tag in ("script", "style")
        if tag in ("iframe", "object", "embed", "base", "form", "frame", "applet"):
            self.wrong.append(tag)
        for name, value in attrs:
            address = (value or "").strip().lower()
            fetches = name in ("src", "href", "action", "srcset", "data", "xlink:href", "formaction")
            if name.startswith("on") or name in ("srcdoc", "autofocus"):
                self.wrong.append(f"{tag} {name}={value}")
            elif fetches and (address.startswith("javascript") or "attacker" in address):
                self.wrong.append(f"{tag} {name}={value}")
            elif name == "http-equiv" and address == "refresh":
                self.wrong.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag):
        self._raw = False

    def handle_data(self, data):
        if not self._raw:
            self.text.append(data)


@pytest.fixture(scope="module")
def browser():
    with windows(CHROMIUM) as found:
        yield found


def too_wide(page):
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def looked_through(page):
    "Open everything that a reader can open, one after the other; return the greatest overflow in pixels."
    widest = too_wide(page)
    tabs = page.locator("nav.tabs [role=tab]")
    for k in range(max(1, tabs.count())):
        if tabs.count():
            tabs.nth(k).click()
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        for name in (".cm-next", "button.cm-open", ".cm-filter summary"):
            located = page.locator(f"{name}:visible")
            for at in range(min(3, located.count())):
                located.nth(at % located.count()).click(force=True, timeout=5000)
                page.wait_for_timeout(30)
        widest = max(widest, too_wide(page))
    return widest


def visited(browser, file, width):
    complaints, requests = [], []
    page = browser.open(
        {"width": width, "height": 844},
        console=lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None,
        pageerror=lambda e: complaints.append(str(e)),
        dialog=lambda d: (complaints.append(f"dialog {d.message}"), d.dismiss()),
        popup=lambda p: complaints.append(f"popup {p.url}"),
        request=lambda r: requests.append(r.url),
    )
    page.goto(file.as_uri())
    page.wait_for_timeout(150)
    for box in page.locator("[data-cm]").all():
        page.wait_for_selector(f"#{box.get_attribute('id')}[data-cm=ready]", state="attached", timeout=10_000)
    height = page.evaluate("document.documentElement.scrollHeight")
    widest = looked_through(page) if width == WIDTHS[0] else too_wide(page)
    state = {
        "hit": page.evaluate("window.hit ?? null"),
        "height": height,
        "address": page.url.split("#")[0],
        "headings": page.locator("h1").count(),
        "hidden": page.evaluate("getComputedStyle(document.body).display"),
        "wide": widest,
        "kept": page.evaluate("localStorage.length + sessionStorage.length"),
    }
    browser.give_back(page)
    folder = file.parent.as_uri().split("/site/")[0]
    return state, complaints, [u for u in requests if not u.startswith((folder, "data:", "blob:"))]


@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_executed_fetched_or_too_wide(run, browser, tmp_path, kind):
    for file in PAGES[kind](run, tmp_path):
        text = file.read_text(encoding="utf-8")
        source = Source(text)
        assert source.wrong == [], file.name
        shown = "".join(source.text)
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
        assert "603729" not in text  # 777 * 777: no template evaluates an expression in a text
        for width in WIDTHS:
            state, wrong, requests = visited(browser, file, width)
            assert wrong == [] and requests == [], (file.name, width)
            assert state["hit"] is None and state["address"] == file.as_uri() and state["hidden"] != "none"
            assert state["kept"] == 0  # a page stores nothing in the browser
            assert state["headings"] == (0 if kind in OURS else 1), file.name
            assert state["wide"] <= 0, (file.name, width, state)
            assert state["height"] < LONG, (file.name, width, state)


def test_every_part_of_a_report_is_accessible_in_both_themes_with_all_folds_open(run, browser, tmp_path):
    "Trust, protection and groups included, at phone width, where most parts have to scroll."
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    file = write_report(replace(run, samples=in_shops(run)), tmp_path / "report.html", slices=["shop"])
    page = browser.open({"width": WIDTHS[0], "height": 844})
    page.goto(file.as_uri())
    page.wait_for_selector("#samples[data-cm=ready]", state="attached")
    names, found = page.locator("nav.tabs [role=tab]").all_inner_texts(), []
    for name in names:
        page.locator("nav.tabs [role=tab]", has_text=name).click()
        if name == "Samples":
            page.locator("#samples button.cm-open").first.click()
            page.wait_for_selector("#samples .cm-said pre")
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.wait_for_timeout(60)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            part = page.evaluate(
                "'#' + [...document.querySelectorAll('section.part')].find(s => !s.hidden).id"
            )
            rules = {"resultTypes": ["violations"]}
            if scheme == "dark":  # only the colours differ
                rules["runOnly"] = ["color-contrast", "link-in-text-block"]
            violations = axe.run(page, context=part, options=rules).response["violations"]
            found += [
                (name, scheme, v["id"], v["nodes"][0]["html"][:160])
                for v in violations
                if v["impact"] in ("serious", "critical") or v["id"] == "landmark-unique"
            ]
    browser.give_back(page)
    assert {"Groups", "Trust", "Protection", "Samples", "Definitions"} <= set(names)
    assert found == []


def in_shops(run):
    "Return the samples in three groups with hostile names; with more values a column makes no groups."
    tasks = [s.id for s in run.samples if not s.use_case.endswith("_probe") and not s.perturbation]
    of = {i: {"shop": CORPUS[k % 3]} for k, i in enumerate(dict.fromkeys(tasks))}
    return [replace(s, tags=of.get(s.id, s.tags)) for s in run.samples]


def test_the_attacks_work_where_nothing_is_escaped(browser, tmp_path):
    "The checks themselves: a page that includes these texts unescaped fails each of them."
    (tmp_path / "x.html").write_text(whole(CORPUS[0] + CORPUS[2] + "<img src=http://attacker.example>"))
    assert Source((tmp_path / "x.html").read_text(encoding="utf-8")).wrong
    state, _, requests = visited(browser, tmp_path / "x.html", 390)
    assert (state["hit"], bool(requests)) == (1, True)
    (tmp_path / "y.html").write_text(
        f"<meta charset=utf-8><p>{html.escape('x' * 4000)}</p>", encoding="utf-8"
    )
    assert visited(browser, tmp_path / "y.html", 390)[0]["wide"] > 0
