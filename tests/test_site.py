"The site without Quarto: pages and navigation, links and anchors, nothing fetched from elsewhere; and what is said where Quarto is absent."

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("nbdev")
import build_site
import yaml

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / "nbs").is_dir(), reason="notebooks are not here: this is an installed package"
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return build_site.prepare(tmp_path_factory.mktemp("proc"))


@pytest.fixture
def copy(prepared, tmp_path):
    return Path(shutil.copytree(prepared, tmp_path / "proc"))


def add(folder, page, markdown):
    nb = json.loads((folder / page).read_text(encoding="utf-8"))
    nb["cells"].append({"cell_type": "markdown", "id": "added", "metadata": {}, "source": markdown})
    (folder / page).write_text(json.dumps(nb), encoding="utf-8")


def test_pages_are_whole(prepared):
    assert build_site.problems(prepared) == []


def test_numbered_notebooks_are_in_the_navigation_as_written():
    text = (ROOT / "_quarto.yml").read_text(encoding="utf-8")
    block = text.split(build_site.MARKS[0] + "\n")[1].split(build_site.MARKS[1])[0]
    assert block.splitlines() == build_site.numbered_block(), "python tests/build_site.py nav"


@pytest.mark.parametrize(
    "text,said",
    [
        ("[x](../metrics/10_factuality.ipynb#factuality)", None),
        ("[x](../metrics/10_factuality.ipynb)", None),
        ("[x](#agreement)", None),
        ("`[x](nowhere.ipynb)` and\n```\n[x](nowhere.ipynb)\n```", None),
        ("[x](../metrics/11_factuality.ipynb)", "leads nowhere"),
        ("[x](../metrics/10_factuality.ipynb#nowhere)", "no such section"),
        ("[x](#nowhere)", "no such section"),
        ("![x](picture.png)", "leads nowhere"),
        ("<a href='../metrics/10_facts.ipynb'>x</a>", "leads nowhere"),
        ("[x](accuracy.html)", "rendered page"),
        ("[x](https://crmeval.example.org/source)", "made-up address"),
        ("<script src='https://cdn.invalid/x.js'></script>", "fetched from another machine"),
        ("<img src='//cdn.invalid/x.png' alt='x'>", "fetched from another machine"),
        (
            "<style>@import url(https://fonts.invalid/css)</style>\n<b>@import url(https://fonts.invalid/css)</b>",
            None,
        ),
    ],
)
def test_dead_links_and_foreign_addresses_are_found(copy, text, said):
    add(copy, "cards/factuality.ipynb", text)
    found = [f for f in build_site.problems(copy) if f.startswith("cards/factuality.ipynb")]
    assert any(said in f for f in found) if said else not found, found


def test_a_page_that_nobody_lists_is_found(copy):
    (copy / "lonely.ipynb").write_text((copy / "index.ipynb").read_text(encoding="utf-8"), encoding="utf-8")
    (copy / "cards" / "cost.ipynb").unlink()
    found = "\n".join(build_site.problems(copy))
    assert (
        "lonely.ipynb is a page, and no navigation lists it" in found
        and "cards/cost.ipynb is listed, and there is no such page" in found
    )


def test_no_output_makes_quarto_load_scripts_from_elsewhere(prepared):
    "Quarto adds require.js and jquery from a CDN to every page with an output of type text/html or a widget."
    for page in build_site.notebooks(prepared):
        for _, _, outputs in build_site.cells_of(prepared / page):
            kinds = {k for o in outputs for k in o.get("data") or ()}
            assert not kinds & {
                "text/html",
                "application/javascript",
                "application/vnd.jupyter.widget-view+json",
            }, page
    assert "widgets" not in json.loads((prepared / "index.ipynb").read_text(encoding="utf-8"))["metadata"]


def test_tables_survive_as_plain_html():
    assert (
        build_site.plain_html("<style scoped>\nx{}\n</style><table></table>")
        == '```{=html}\n<div class="wide">\n<table></table>\n</div>\n```\n'
    )
    assert build_site.plain_html("a ``` b").startswith("````{=html}\n")


def test_functions_are_documented_where_they_are_explained(prepared):
    text, _ = build_site.page_text(prepared / "metrics/10_factuality.ipynb")
    assert (
        re.search(r"^### factuality$", text, re.M)
        and "Share of the claims that the source supports" in text
        and "__getattr__" not in text
    )
    api, _ = build_site.page_text(prepared / "api.ipynb")
    assert (
        len(re.findall(r"^### crmeval\.\w+", api, re.M)) > 40
        and "metrics/10_factuality.ipynb#factuality" in api
    )
    shown = [
        t for k, t, _ in build_site.cells_of(prepared / "metrics/10_factuality.ipynb") if "#| export" in t
    ]
    assert not shown


def test_headings_get_the_anchors_of_pandoc():
    known = {
        "What it is, and why": "what-it-is-and-why",
        "2. Two": "two",
        "`run` & co.": "run-co.",
        "## x": "x",
        "Name {#own .wide}": "own",
        "A [link](x.ipynb)": "a-link",
        "match_avoidance": "match_avoidance",
        "1 2": "section",
    }
    for heading, anchor in known.items():
        assert build_site.slug(heading.lstrip("# ")) == anchor
    assert build_site.anchors_of("# A\n\n# A\n\n## A", "<b id='z'>") == {"a", "a-1", "a-2", "z"}


@pytest.mark.skipif(not shutil.which("pandoc"), reason="pandoc is not installed")
def test_pandoc_agrees_about_anchors(prepared):
    for page in ("cards/privacy.ipynb", "methodology/accuracy.ipynb", "reports/agreement.ipynb", "api.ipynb"):
        prose, html = build_site.page_text(prepared / page)
        out = subprocess.run(
            ["pandoc", "-f", "markdown", "-t", "html"],
            input=prose,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert set(re.findall(r'<h\d[^>]*\sid="([^"]+)"', out)) == build_site.anchors_of(prose, ""), page


def test_metric_pages_have_the_sections_that_tables_link_to(prepared):
    from crmeval.metrics.catalogue import SECTIONS, all_cards, metric_page, page_cards

    pages = {
        p: build_site.anchors_of(*build_site.page_text(prepared / "cards" / f"{p}.ipynb"))
        for p in page_cards()
    }
    for name in all_cards():
        for section in ("", *SECTIONS):
            path, _, anchor = metric_page(name, section, suffix=".ipynb").partition("#")
            assert not anchor or anchor in pages[Path(path).stem], (name, section)


def test_links_of_the_readme_lead_somewhere():
    found = [
        link.split("#")[0]
        for link in build_site.links_of((ROOT / "README.md").read_text(encoding="utf-8"), "")
        if not link.startswith(("http", "#"))
    ]
    assert len(found) > 5 and [link for link in found if not (ROOT / link).exists()] == []


def test_themes_fetch_no_fonts():
    config, style = (
        yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8")),
        (ROOT / "nbs" / "site.scss").read_text(encoding="utf-8"),
    )
    html = config["format"]["html"]
    assert html["html-math-method"] == "mathml" and all(t[-1] == "site.scss" for t in html["theme"].values())
    assert (
        re.search(r"^\$web-font-path: false", style, re.M) and "http" not in style and "@import" not in style
    )


def test_the_rendered_site_is_checked(tmp_path):
    page = '<html><head><link rel="stylesheet" href="site_libs/a.css">{}</head><body><h2 id="there">x</h2>{}</body></html>'
    (tmp_path / "site_libs").mkdir()
    (tmp_path / "site_libs" / "a.css").write_text("body{}")
    (tmp_path / "index.html").write_text(
        page.format(
            "", '<a href="b.html#there">b</a><a href="https://arxiv.org/abs/1">c</a><a href="./">d</a>'
        )
    )
    (tmp_path / "b.html").write_text(page.format("", '<a href="#there">x</a>'))
    assert build_site.rendered_problems(tmp_path) == []
    (tmp_path / "b.html").write_text(
        page.format(
            '<script src="https://cdn.invalid/require.js"></script>',
            '<a href="c.html">x</a><a href="index.html#gone">y</a>',
        )
    )
    (tmp_path / "site_libs" / "a.css").write_text('@import url("https://fonts.invalid/css")')
    found = "\n".join(build_site.rendered_problems(tmp_path))
    for said in (
        "b.html: https://cdn.invalid/require.js is fetched",
        "b.html: c.html leads nowhere",
        "b.html: index.html#gone has no such section",
        "site_libs/a.css: @import",
        "index.html: b.html#there",
    ):
        assert (said in found) == (said != "index.html: b.html#there"), found


def test_without_quarto_one_line_says_how_to_get_it(tmp_path):
    for tool in ("bash", "dirname", "rm"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        [str(tmp_path / "bash"), str(ROOT / "tests" / "site.sh")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert "pip install -e '.[site]'" in done.stderr
    assert "quarto-cli>=1.7" in (ROOT / "settings.ini").read_text(encoding="utf-8")


@pytest.mark.skipif(not shutil.which("quarto"), reason="quarto is not installed")
def test_quarto_renders_the_site(prepared, tmp_path):
    subprocess.run(
        ["quarto", "render", str(prepared), "--no-execute", "--output-dir", str(tmp_path / "site")],
        check=True,
        timeout=1200,
        env={**os.environ, "QUARTO_LOG_LEVEL": "ERROR"},
    )
    assert build_site.rendered_problems(tmp_path / "site") == []
