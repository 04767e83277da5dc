"""Notebook outputs rendered with JupyterLab's own styles, light and dark.

The outputs are put into a notebook and exported with nbconvert's template `lab`, which contains the
styles and colours of JupyterLab's themes; axe measures the contrast of each text with its background.
"""

import shutil
from importlib.util import find_spec

import pytest

from crmeval.core.records import Response, Sample, Score
from crmeval.core.stats import Estimate
from crmeval.metrics.factuality import CARD, factuality
from crmeval.metrics.trust import Trust
from crmeval.pages.board import leaderboard_table
from crmeval.pages.compare import compare
from crmeval.pages.leaderboard import leaderboard
from crmeval.runs.evaluation import run as run_benchmark

# find_spec, not import: each test process collects this file, and importing nbconvert takes two seconds
for _module in ("playwright", "axe_playwright_python", "nbconvert"):
    if find_spec(_module) is None:
        pytest.skip(f"{_module} is not installed", allow_module_level=True)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    "Return {name: HTML} of values as the last line of a cell shows them."
    run = run_benchmark(
        ["baseline:rules", "baseline:lead"],
        use_cases=["service_call_summary"],
        limit=3,
        out=tmp_path_factory.mktemp("lab") / "run",
        progress=False,
    )
    shown = {
        **records(),
        "run": run,
        "leaderboard": leaderboard(run),
        "comparison": compare(run, client_a="rules", client_b="lead"),
        "table": leaderboard_table([run]),
    }
    # folds are opened so that their content is checked too
    return {name: value._repr_html_().replace("<details>", "<details open>") for name, value in shown.items()}


def records():
    "Return values besides the tables that a researcher displays."
    source = "Agent: Good morning. Caller: My order of 3 May has not come, and I paid 40 dollars. " * 8
    scored = factuality("The order of 3 May is late. The caller paid 90 dollars.", source=source)
    some = Estimate(71.2, 60.1, 80.4, 40)
    return {
        "scored": scored,
        "unscored": Score("completeness", None, status="undefined", reason="No key facts were given."),
        "sample": Sample("s1", "service_call_summary", {"transcript": source}, ["The order is late."]),
        "response": Response("s1", "openai:m", source, latency_s=1.25),
        "trust": Trust("openai:m", some, some, some, some, some, {"helpfulness": some}),
        "estimate": some,
        "card": CARD,
    }


def exported(cells, theme):
    "Return a notebook with these outputs, exported as JupyterLab renders it."
    import nbformat.v4 as nb
    from nbconvert import HTMLExporter

    made = nb.new_notebook()
    for name, html in cells.items():
        output = nb.new_output("execute_result", {"text/html": html}, execution_count=1)
        made.cells.append(nb.new_code_cell(name, outputs=[output], execution_count=1))
    return HTMLExporter(template_name="lab", theme=theme).from_notebook_node(made)[0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_and_columns_stand_below_each_other(cells, tmp_path, theme):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    (tmp_path / "x.html").write_text(exported(cells, theme), encoding="utf-8")
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.route("http*://**/*", lambda route: route.abort())  # the template requests MathJax
        page.goto((tmp_path / "x.html").as_uri(), wait_until="domcontentloaded")
        page.wait_for_selector("[data-cm=ready]", timeout=15_000)
        assert page.evaluate("document.body.dataset.jpThemeLight") == str(theme == "light").lower()
        options = {"runOnly": ["color-contrast"]}
        found = Axe().run(page, context=".jp-OutputArea-output", options=options).response
        faint = [node["html"][:120] for v in found["violations"] for node in v["nodes"]]
        looked = [node for v in found["passes"] for node in v["nodes"]]
        pinned = page.locator("tbody td:first-child").last
        behind = pinned.evaluate("td => getComputedStyle(td).backgroundColor")
        pane = page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')")
        fonts = page.eval_on_selector_all("pre", "all => all.map(e => getComputedStyle(e).fontFamily)")
        wide = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert faint == [] and len(looked) > 10
    assert (behind == "rgb(255, 255, 255)") == (theme == "light"), (behind, pane)
    assert fonts and all("mono" in f for f in fonts), fonts
    assert wide <= 1280
