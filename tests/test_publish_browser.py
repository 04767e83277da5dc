"A published site in a browser: both themes, a phone, the keyboard, hostile content, a thousand samples."

import random
import re
from importlib.util import find_spec

import pytest
from test_report_browser import ATTACKS, CHROMIUM, HOSTILE, text
from windows import faultless, parted_words, windows

from crmeval.core.records import Response, Sample, Score, Usage
from crmeval.pages.leaderboard import METRICS
from crmeval.pages.publish import publish
from crmeval.pages.site_settings import SiteSettings
from crmeval.runs.folder import Run

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
NAME = "ACME <img src=x onerror=window.hit=1> \u05d0\u05d1"
SETTINGS = SiteSettings(
    NAME,
    "bench@acme.example",
    "CC BY 4.0",
    title="Which model?",
    about=("x" * 900, ATTACKS[0]),
    comparisons=1,
)
CASES = ("service_call_summary", "sales_call_summary")
PHONE = {"width": 390, "height": 844}


def five_systems(folder, n=1000):
    "Write a run of five systems on n samples; one system's name is hostile."
    r, samples, answers, scores = random.Random(11), [], [], []
    names = [*(f"openai:model-{k}" for k in range(4)), HOSTILE]
    for i in range(n):
        case = CASES[i % 2]
        source = f"{ATTACKS[i % len(ATTACKS)]} {text(r, 60)}"
        samples.append(Sample(f"s{i:04d}", case, {"transcript": source}, [text(r, 5)], dataset=ATTACKS[0]))
        for k, name in enumerate(names):
            more = {"sample_id": samples[-1].id, "client": name, "use_case": case}
            usage, answer = Usage(500, 90), text(r, 30)
            keys = {k: v for k, v in more.items() if k not in ("sample_id", "client")}
            answers.append(
                Response(
                    more["sample_id"], name, answer, usage=usage, latency_s=1 + k / 5, model="gpt-4o", **keys
                )
            )
            for m in METRICS:
                points = float(min(4, r.choice([2, 3]) + (r.random() < k / 6)))
                scores.append(
                    Score(m, points, (points - 1) / 3, "ok", source[:60], [], rater="embedded", **more)
                )
    manifest = {
        "finished": "2026-11-28T10:00:00+00:00",
        "samples": {"n": n, "digest": "a" * 32},
        "crmeval": "1",
    }
    clients = [{"name": c, "provider": "openai", "model": "gpt-4o"} for c in names]
    return Run(
        folder, manifest | {"clients": clients, "judge": {"name": "embedded"}}, samples, answers, scores
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    return publish(five_systems(folder / "calls"), SETTINGS, folder / "site", edition="2026-Q4").folder


@pytest.fixture(scope="module")
def browser():
    with windows(CHROMIUM) as found:
        yield found


@pytest.fixture
def visit(browser, site):
    "Open pages; afterwards there must be no console error, outside request or executed attack."
    with faultless(browser) as (window, requests):

        def go(path, **more):
            page = window(**more)
            page.goto((site / path).as_uri())
            return page

        yield go
    assert all(u.startswith((site.as_uri(), "data:")) for u in requests)


def every_page(site):
    return sorted(p.relative_to(site).as_posix() for p in site.rglob("*.html"))


OUT_OF_REACH = """() => [...document.querySelectorAll('body *')].filter(e =>
  /auto|scroll/.test(getComputedStyle(e).overflowX) && e.clientWidth && e.scrollWidth > e.clientWidth + 1
  && e.tabIndex < 0 && !e.querySelector('a, button, input, select, summary'))
  .map(e => e.outerHTML.slice(0, 90))"""


@pytest.fixture(scope="module")
def seen(browser, site):
    "Visit each page once, with the checks of `visit`: width on a phone, and axe violations per theme."
    axe = None
    if find_spec("axe_playwright_python"):
        from axe_playwright_python.sync_playwright import Axe

        axe = Axe()
    findings = {}
    for path in every_page(site):
        wrong, requests = [], []
        page = browser.open(
            console=lambda m, to=wrong: to.append(m.text) if m.type in ("error", "warning") else None,
            pageerror=lambda e, to=wrong: to.append(str(e)),
            request=lambda r, to=requests: to.append(r.url),
        )
        page.goto((site / path).as_uri())
        found, colours = {}, {}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            colours[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            if axe and not path.endswith("2026-Q4/index.html"):  # like the first page except for its links
                violations = axe.run(page).response["violations"]
                found[scheme] = [
                    (v["id"], v["nodes"][0]["html"][:120])
                    for v in violations
                    if v["impact"] in ("serious", "critical")
                ]
        assert colours["light"] != colours["dark"], path
        page.set_viewport_size(PHONE)
        page.reload()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert page.evaluate(OUT_OF_REACH) == [], path
        findings[path] = {"found": found, "width": width, "nav": page.locator("nav.site").inner_text()}
        assert page.evaluate("window.hit") is None and page.locator("h1").count() == 1
        browser.give_back(page)
        assert wrong == [] and all(u.startswith((site.as_uri(), "data:")) for u in requests), path
    return findings


def test_no_page_scrolls_sideways_on_a_phone(seen):
    for path, finding in seen.items():
        assert finding["width"] <= 390, path
        assert NAME in finding["nav"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(seen, scheme):
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    looked_at = [path for path, finding in seen.items() if scheme in finding["found"]]
    assert len(looked_at) >= len(seen) - 1 and len(looked_at) > 3
    for path in looked_at:
        assert seen[path]["found"][scheme] == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_link_can_be_read_while_the_pointer_is_on_its_row(visit, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = visit("index.html", color_scheme=scheme)
    page.wait_for_selector("#board[data-cm=ready]")
    row = page.locator("#board tbody tr").first
    plain = row.locator("td").last.evaluate("td => getComputedStyle(td).backgroundColor")
    row.hover()
    assert row.locator("td").last.evaluate("td => getComputedStyle(td).backgroundColor") != plain
    result = axe.run(page, context="#board tbody", options={"runOnly": ["color-contrast"]}).response
    assert result["violations"] == [] and result["passes"]


def test_the_keyboard_reaches_content_navigation_and_table(visit):
    page = visit("index.html")
    page.wait_for_selector("#board[data-cm=ready]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().slice(0, 40)"))
        drawn = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert drawn != "none", reached[-1]
    assert {"Methodology", "Metrics", "Data", "Editions", "Download CSV"} <= set(reached)


def test_from_the_first_page_to_the_samples_behind_a_number_and_back(visit):
    page = visit("index.html")
    page.wait_for_selector("#board[data-cm=ready]")
    page.locator("#board tbody tr").first.locator("td a").first.click()
    page.wait_for_selector("#samples[data-cm=ready]")
    assert re.search(r"editions/2026-Q4/calls-report\.html#samples\?0=\d", page.url)
    page.locator("nav.site a", has_text="Editions").click()
    page.get_by_role("link", name="Leaderboard of 2026-Q4").click()
    assert page.locator("nav.site a[aria-current=page]").inner_text() == "Leaderboard"
    page.locator("footer a", has_text="All editions").click()
    assert page.locator("h1").inner_text() == "Editions"


def test_the_phone_shows_the_answer_and_a_number_at_once(visit):
    page = visit("index.html", viewport=PHONE)
    page.wait_for_selector("#board[data-cm=ready]")
    assert page.locator("p.answer").is_visible()
    heads = page.eval_on_selector_all("#board thead th", "x => x.map(y => y.innerText)")
    assert len(heads) == 3 and "Accuracy" in heads[2]


def test_a_thousand_samples_of_five_systems_are_small_and_quick(visit, site):
    for path, table in (("index.html", "#board"), ("editions/2026-Q4/calls-report.html", "#samples")):
        assert (site / path).stat().st_size < 3_000_000
        page = visit(path, new=True)  # a fresh process, so that only this page is measured
        page.wait_for_selector(f"{table}[data-cm=ready]", state="attached")  # it may be in a hidden tab
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        took = {m["name"]: m["value"] for m in devtools.send("Performance.getMetrics")["metrics"]}
        # CPU seconds of the page, so that other processes do not count
        assert 0.05 < took["ProcessTime"] < 2, (path, took)


@pytest.mark.parametrize("name", ["metrics", "data", "methodology"])
def test_on_a_phone_no_word_of_a_table_is_broken_and_no_picture_is_cut(visit, site, name):
    (path,) = [p for p in every_page(site) if p.endswith(f"/{name}.html")]
    page = visit(path, viewport=PHONE)
    cells = page.locator(".site-doc > .scroll td").count()
    parted = parted_words(page, ".site-doc > .scroll td", "[A-Za-z]{2,16}")
    ours = [w for w in parted if len(set(w.lower())) > 1]  # 'xxxx' is from the hostile texts
    assert cells > 4 and ours == []
    cut = "all => all.filter(f => f.scrollWidth > f.clientWidth + 1).length"
    assert page.eval_on_selector_all(".site-doc figure", cut) == 0


def test_the_pictures_of_the_first_page_fit_beside_each_other(visit):
    page = visit("editions/2026-Q4/index.html")
    cut = "all => all.filter(f => f.scrollWidth > f.clientWidth + 1).length"
    assert page.locator(".plots figure").count() > 1
    assert page.eval_on_selector_all(".plots figure", cut) == 0
