"""The site before Quarto: pages, navigation, links and anchors, and nothing loaded from other servers.

If Quarto is missing, one line says how to install it."""

import html
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("nbdev")
import build_site
import quarto_reading
import site_checks
import site_markdown
import site_reading
import site_tables
import yaml
from site_markdown import NARROW, Boxes, lines_of, narrowest, pipe_rows, spaced_headings

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
    cell = {"cell_type": "markdown", "id": "added", "metadata": {}, "source": lines_of(markdown)}
    nb["cells"].append(cell)
    (folder / page).write_text(json.dumps(nb), encoding="utf-8")


def test_pages_are_whole(prepared):
    assert site_checks.problems(prepared, build_site.old_addresses()) == []


def test_numbered_notebooks_are_in_the_navigation_as_written():
    text = (ROOT / "_quarto.yml").read_text(encoding="utf-8")
    block = text.split(build_site.MARKS[0] + "\n")[1].split(build_site.MARKS[1])[0]
    assert block.splitlines() == build_site.numbered_block(), "python tests/build_site.py nav"


@pytest.mark.parametrize(
    "text,problem",
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
def test_dead_links_and_foreign_addresses_are_found(copy, text, problem):
    add(copy, "cards/factuality.ipynb", text)
    found = [f for f in site_checks.problems(copy) if f.startswith("cards/factuality.ipynb")]
    assert any(problem in f for f in found) if problem else not found, found


def test_a_page_that_nobody_lists_is_found(copy):
    (copy / "lonely.ipynb").write_text((copy / "index.ipynb").read_text(encoding="utf-8"), encoding="utf-8")
    (copy / "cards" / "cost.ipynb").unlink()
    found = "\n".join(site_checks.problems(copy))
    assert (
        "lonely.ipynb is a page, and no navigation lists it" in found
        and "cards/cost.ipynb is listed, and there is no such page" in found
    )


def test_no_output_makes_quarto_load_scripts_from_elsewhere(prepared):
    "Quarto adds require.js and jquery from a CDN to every page with an output of type text/html or a widget."
    for page in site_checks.notebooks(prepared):
        for _, _, outputs in site_checks.cells_of(prepared / page):
            kinds = {k for o in outputs for k in o.get("data") or ()}
            assert not kinds & {
                "text/html",
                "application/javascript",
                "application/vnd.jupyter.widget-view+json",
            }, page
    assert "widgets" not in json.loads((prepared / "index.ipynb").read_text(encoding="utf-8"))["metadata"]


def test_tables_survive_as_plain_html():
    boxes = Boxes("Speed")
    small = boxes.html("<style scoped>\nx{}\n</style><table><tr><td>a</td></tr></table>")
    assert small == "```{=html}\n<div>\n<table><tr><td>a</td></tr></table>\n</div>\n```\n"
    wide = boxes.html(f"<table><tr>{'<td>1,234.5</td>' * 4}</tr></table>")
    assert '<div class="wide" tabindex="0" role="region" aria-label="Table 1: Speed">\n<table>' in wide
    assert boxes.html("a ``` b").startswith("````{=html}\n")


TABLE = "| a | b |\n| - | - |\n| {} | `{}` |"


def test_wide_tables_scroll_in_a_box_that_the_keyboard_reaches():
    boxes = Boxes("Page")
    small, wide = TABLE.format("x", "y"), TABLE.format("x", "y" * 40)
    assert boxes.markdown(f"# A\n\n{small}\n\nb") == f"# A\n\n{small}\n\nb"
    for heading, label in (("", "Table 1: A"), ('## With "names" {#b}\n', "Table 2: With &quot;names&quot;")):
        found = boxes.markdown(f"{heading}\n{wide}\nc").splitlines()
        mark = f'::: {{.wide tabindex="0" role="region" aria-label="{label}"}}'
        at = found.index(mark)
        assert found[at - 1] == "" and found[at + 1 : at + 5] == [*wide.splitlines(), ":::"]
    fenced = f"```\n{wide}\n```"
    assert boxes.markdown(fenced) == fenced and boxes.count == 2
    # words wrap, so a cell is as narrow as its longest word; only the text of links counts
    assert narrowest(pipe_rows(TABLE.format("many words " * 20, "y").split("\n"))) <= NARROW
    assert narrowest(pipe_rows(TABLE.format(f"[x]({'y' * 90})", "y").split("\n"))) <= NARROW


def test_every_wide_table_of_the_site_has_its_box(prepared):
    boxed = 0
    for page in site_checks.notebooks(prepared):
        text = quarto_reading.assembled(json.loads((prepared / page).read_text(encoding="utf-8")))
        labels = re.findall(r'\{\.wide tabindex="0" role="region" aria-label="([^"]+)"\}', text)
        labels += re.findall(r'<div class="wide" tabindex="0" role="region" aria-label="([^"]+)">', text)
        assert len(set(labels)) == len(labels), page
        boxed += len(labels)
        for box, table in re.findall(r"(\n::: \{\.wide [^\n]*)?((?:\n\|[^\n]*){3,})", text):
            assert box or narrowest(pipe_rows(table.strip().split("\n"))) <= NARROW, (page, table[:200])
    assert boxed > 50


def test_words_never_break_inside():
    style = (ROOT / "nbs" / "site.scss").read_text(encoding="utf-8")
    assert "break-all" not in style and "anywhere" not in style and "hyphens: auto" not in style
    assert re.search(r"^div\.wide \{[^}]*overflow-x: auto", style, re.M)
    assert re.search(r"^main table td, main table th \{[^}]*overflow-wrap: normal", style, re.M)
    assert re.search(r"^div\.wide:focus-visible \{[^}]*outline", style, re.M)
    # pandas aligns headers right; the themes' pink is too faint for code on dark backgrounds
    assert re.search(r"^main table thead tr\[style\] \{[^}]*text-align: inherit !important", style, re.M)
    assert re.search(r"^main :not\(pre\) > code \{[^}]*color: inherit", style, re.M)
    config = yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8"))["format"]["html"]
    (script,) = [x["text"] for x in config["include-after-body"]]
    assert "tabIndex = 0" in script and "main pre" in script and "http" not in script


# ---- notebooks as Quarto reads them
@pytest.fixture
def notebook(prepared):
    return json.loads((prepared / "cards" / "factuality.ipynb").read_text(encoding="utf-8"))


def test_a_source_that_is_one_string_loses_its_newlines(notebook):
    whole = quarto_reading.assembled(notebook)
    assert whole.startswith("---\ntitle: Factuality\n") and "\n\n## Definition\n\n" in whole
    assert quarto_reading.reading_problems(notebook) == []
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    broken = quarto_reading.assembled(notebook)
    assert "title: Factualitydescription:" in broken and "\n## Definition\n" not in broken
    found_problems = quarto_reading.reading_problems(notebook)
    assert any("one string" in x for x in found_problems) and any(
        "no front matter" in x for x in found_problems
    )


@pytest.mark.parametrize(
    "kind,source,problem",
    [
        ("markdown", ["a\n", "b"], None),
        ("markdown", ["a\nb"], "not cut at its newlines"),
        ("markdown", ["a", "b"], "not cut at its newlines"),
        ("markdown", "a", "one string"),
        ("markdown", ["text\n", "## Heading"], "no blank line"),
        ("markdown", ["## Heading\n", "text"], "no blank line"),
        ("markdown", ["```\n", "# a comment\n", "x\n", "```"], None),
        ("code", ["#| echo: false\n", "1"], None),
        ("code", ["1\n", "#| echo: false\n"], "below code"),
        ("code", ["#| echo: [\n", "1"], "no YAML"),
        ("code", ["#| hide\n", "1"], "no option"),
    ],
)
def test_what_quarto_would_misread_is_found(notebook, kind, source, problem):
    cell = {"cell_type": kind, "id": "added", "metadata": {}, "source": source}
    notebook["cells"].append({**cell, "outputs": []} if kind == "code" else cell)
    found = quarto_reading.reading_problems(notebook)
    assert any(problem in f for f in found) if problem else not found, found


def test_outputs_are_lines_and_front_matter_comes_first(notebook):
    notebook["cells"].append({**notebook["cells"].pop(0)})
    assert quarto_reading.front_matter_problems(notebook)
    stream = {"output_type": "stream", "name": "stdout", "text": "a\nb\n"}
    cell = {"cell_type": "code", "id": "x", "metadata": {}, "source": ["1"], "outputs": [stream]}
    assert len(list(quarto_reading.line_problems(cell))) == 1
    stream["text"] = lines_of(stream["text"])
    assert not list(quarto_reading.line_problems(cell))
    shown = quarto_reading.of_code(cell)
    assert shown.startswith("::: {#x .cell}\n``` {.python .cell-code}\n1\n```\n")
    assert "::: {.cell-output .cell-output-stdout}\n```\na\nb\n```\n:::\n:::\n" in shown


def test_lines_are_cut_at_newlines_alone():
    text = "a\x0cb\u2028c\r\n\nd"
    assert lines_of(text) == ["a\x0cb\u2028c\r\n", "\n", "d"] and "".join(lines_of(text)) == text
    assert lines_of("") == []


def test_headings_get_room():
    assert spaced_headings("a\n# B\nc\n\n## D\n```\n# e\nf\n```") == (
        "a\n\n# B\n\nc\n\n## D\n\n```\n# e\nf\n```"
    )


def test_pages_have_their_titles_and_lose_no_text(prepared):
    "nbdev takes the first cell for the title and drops everything else in it."
    for page in site_checks.notebooks(ROOT / "nbs"):
        kind, first, _ = site_checks.cells_of(ROOT / "nbs" / page)[0]
        assert kind == "markdown" and re.fullmatch(r"# [^\n]+(\n+> [^\n]+)?\s*", first), page
        matter = yaml.safe_load(site_checks.cells_of(prepared / page)[0][1].strip().strip("-"))
        assert matter["title"] == build_site.title_of(ROOT / "nbs" / page), page
        assert set(matter) <= {"title", "description", "aliases", "search"}, page


def test_old_addresses_lead_to_pages(prepared):
    moved = build_site.old_addresses()
    pages = site_checks.notebooks(prepared)
    assert site_checks.alias_problems(moved, pages) == [] and len(moved) > 90
    assert ("/40_factuality.html", "metrics/10_factuality.ipynb") in moved
    assert ("/metrics/factuality.html", "cards/factuality.ipynb") in moved
    written = []
    for page in pages:
        matter = yaml.safe_load(site_checks.cells_of(prepared / page)[0][1].strip().strip("-"))
        written += [(old, page) for old in matter.get("aliases", [])]
    assert sorted(written) == sorted(moved)
    wrong = [("/a.html", "index.ipynb"), ("/a.html", "api.ipynb"), ("/b.html", "c.ipynb")]
    wrong.append(("/cards/cost.html", "index.ipynb"))
    found_problems = "\n".join(site_checks.alias_problems(wrong, pages))
    assert "/a.html is listed twice" in found_problems and "/b.html leads to c.ipynb" in found_problems
    assert "/cards/cost.html is the address of a page" in found_problems


def test_functions_are_documented_where_they_are_explained(prepared):
    text, _ = site_checks.page_text(prepared / "metrics/10_factuality.ipynb")
    assert re.search(r"^### factuality$", text, re.M) and "__getattr__" not in text
    assert "share of claims that the source supports" in text
    cells = site_checks.cells_of(prepared / "metrics/10_factuality.ipynb")
    assert not any("#| export" in source for _, source, _ in cells)


def test_the_page_of_names_is_whole_and_goes_by_wing(prepared):
    import crmeval

    text, _ = site_checks.page_text(prepared / "api.ipynb")
    assert set(crmeval.__all__) - {"__version__"} <= set(re.findall(r"^### (\w+)$", text, re.M))
    assert len(re.findall(r"^#### crmeval\.\w+\.\w+", text, re.M)) > 40
    assert "metrics/10_factuality.ipynb#factuality" in text
    parts = re.split(r"^#### crmeval\.", build_site.all_modules(), flags=re.M)[1:]
    for part in parts:  # a name occurs once, in a section that states its number of names
        names = re.findall(r"^\| \[`(\w+)`\]", part, re.M)
        assert len(set(names)) == len(names) == int(re.search(r"<summary>(\d+) name", part)[1]), part[:60]
    headings = [line for line in text.splitlines() if line.startswith("### ") and ": " in line]
    assert headings == [f"### {w}" for w in build_site.WINGS.values() if f"### {w}" in headings]
    assert len(headings) > 8
    wing = text.index(headings[0]), text.index("#### crmeval.core.records"), text.index(headings[1])
    assert list(wing) == sorted(wing)


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
        assert site_checks.slug(heading.lstrip("# ")) == anchor
    assert site_checks.anchors_of("# A\n\n# A\n\n## A", "<b id='z'>") == {"a", "a-1", "a-2", "z"}


@pytest.mark.skipif(not shutil.which("pandoc"), reason="pandoc is not installed")
def test_pandoc_finds_titles_and_every_anchor_that_is_linked(prepared):
    pages = site_checks.notebooks(prepared)
    documents = [
        quarto_reading.assembled(json.loads((prepared / p).read_text(encoding="utf-8"))) for p in pages
    ]
    with ThreadPoolExecutor(2) as pool:
        read = dict(zip(pages, pool.map(quarto_reading.pandoc_anchors, documents)))
    for page in pages:
        prose, html = site_checks.page_text(prepared / page)
        title, anchors = read[page]
        assert title and site_checks.anchors_of(prose, html) <= anchors, page
        for link in site_checks.links_of(prose, html):
            target, anchor = site_checks.resolved(link, page) or ("", "")
            assert target not in read or not anchor or anchor in read[target][1], (page, link)


@pytest.mark.skipif(not shutil.which("pandoc"), reason="pandoc is not installed")
def test_pandoc_loses_headings_where_newlines_are_lost(notebook):
    title, anchors = quarto_reading.pandoc_anchors(quarto_reading.assembled(notebook))
    assert title == "Factuality" and {"definition", "scale", "agreement", "samples", "limits"} <= anchors
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    title, anchors = quarto_reading.pandoc_anchors(quarto_reading.assembled(notebook))
    assert not title and not {"definition", "scale", "agreement"} & anchors


@pytest.mark.skipif(not shutil.which("pandoc"), reason="pandoc is not installed")
def test_pandoc_shows_no_marks_of_boxes_as_text(prepared):
    for page in ("cards/factuality.ipynb", "methodology/the_house.ipynb", "api.ipynb"):
        document = quarto_reading.assembled(json.loads((prepared / page).read_text(encoding="utf-8")))
        command = ["pandoc", "-f", "markdown", "-t", "html"]
        shown = subprocess.run(command, input=document, capture_output=True, text=True, check=True).stdout
        assert ":::" not in shown and "<table" in shown, page
        assert ('<div id="cell-' in shown) == (".cell}" in document), page


def test_metric_pages_have_the_sections_that_tables_link_to(prepared):
    from crmeval.metrics.catalogue import SECTIONS, all_cards, metric_page, page_cards

    pages = {
        p: site_checks.anchors_of(*site_checks.page_text(prepared / "cards" / f"{p}.ipynb"))
        for p in page_cards()
    }
    for name in all_cards():
        for section in ("", *SECTIONS):
            path, _, anchor = metric_page(name, section, suffix=".ipynb").partition("#")
            assert not anchor or anchor in pages[Path(path).stem], (name, section)


def test_links_of_the_readme_lead_somewhere():
    found = [
        link.split("#")[0]
        for link in site_checks.links_of((ROOT / "README.md").read_text(encoding="utf-8"), "")
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
    head = '<html><head><link rel="stylesheet" href="site_libs/a.css">{}</head>'
    page = head + '<body><h2 id="there">x</h2>{}</body></html>'
    (tmp_path / "site_libs").mkdir()
    (tmp_path / "site_libs" / "a.css").write_text("body{}")
    (tmp_path / "index.html").write_text(
        page.format(
            "", '<a href="b.html#there">b</a><a href="https://arxiv.org/abs/1">c</a><a href="./">d</a>'
        )
    )
    (tmp_path / "b.html").write_text(page.format("", '<a href="#there">x</a>'))
    assert site_checks.rendered_problems(tmp_path) == []
    old = [("/b.html", "x.ipynb"), ("/a/b.html", "y.ipynb")]
    assert site_checks.rendered_problems(tmp_path, old) == ["aliases: /a/b.html is not in the site"]
    (tmp_path / "b.html").write_text(
        page.format(
            '<script src="https://cdn.invalid/require.js"></script>',
            '<a href="c.html">x</a><a href="index.html#gone">y</a>',
        )
    )
    (tmp_path / "site_libs" / "a.css").write_text('@import url("https://fonts.invalid/css")')
    found = "\n".join(site_checks.rendered_problems(tmp_path))
    for problem in (
        "b.html: https://cdn.invalid/require.js is fetched",
        "b.html: c.html leads nowhere",
        "b.html: index.html#gone has no such section",
        "site_libs/a.css: @import",
        "index.html: b.html#there",
    ):
        assert (problem in found) == (problem != "index.html: b.html#there"), found


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
    assert site_checks.rendered_problems(tmp_path / "site", build_site.old_addresses()) == []


# ---- what is visible first, and page weight
def outputs_of(path):
    "Return MIME type -> texts of a notebook's outputs."
    found = {}
    for _, _, outputs in site_checks.cells_of(path):
        for output in outputs:
            for mime, value in output.get("data", {}).items():
                found.setdefault(mime, []).append("".join(value) if isinstance(value, list) else str(value))
    return found


def has_picture(path):
    outputs = outputs_of(path)
    drawn = any("<svg" in text for texts in outputs.values() for text in texts)
    return drawn or any(mime.startswith("image/") for mime in outputs)


def test_pages_where_people_look_have_a_picture(prepared):
    pages = [*(prepared / "methodology").glob("*.ipynb"), *(prepared / "reports").glob("*.ipynb")]
    assert len(pages) >= 12
    assert [p.name for p in pages if not has_picture(p)] == []
    home = [source for _, source, _ in site_checks.cells_of(prepared / "index.ipynb")]
    assert any("<svg" in source for source in home)


def test_readers_see_no_code_above_tables_and_pictures(prepared):
    pages = [*(prepared / "methodology").glob("*.ipynb"), *(prepared / "reports").glob("*.ipynb")]
    shown = []
    for path in pages:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            drawn = any({"text/html", "image/png"} & set(o.get("data", {})) for o in cell.get("outputs", []))
            if drawn and "echo: false" not in "".join(cell["source"]):
                shown.append((path.name, "".join(cell["source"])[:60]))
    assert len(pages) >= 12 and shown == []


def test_no_page_of_the_site_is_heavy(prepared):
    "Source and outputs of a page; Quarto's shared files are not counted."
    heavy = {p.name: p.stat().st_size for p in prepared.rglob("*.ipynb") if p.stat().st_size > 700_000}
    assert heavy == {}


def searched_text(path):
    "Return an upper bound of a page's text in the site's search index."
    cells = site_checks.cells_of(path)
    if re.search(r"^search: false$", cells[0][1], re.M):
        return ""
    texts = [source for _, source, _ in cells]
    shown = {k: v for k, v in outputs_of(path).items() if k.startswith("text/")}
    texts += [text for some in shown.values() for text in some]
    text = re.sub(r"<(svg|script|style)\b.*?</\1>|<[^>]+>", " ", "\n".join(texts), flags=re.S)
    text = re.sub(
        r"\]\([^)\s]*\)|\{[#.][^}]*\}|^[-|: ]+$", " ", text, flags=re.M
    )  # addresses, anchors, table rules
    text = re.sub(r"^`{3,}.*$", " ", re.sub(r"\\(?=[^\w\s])", "", text), flags=re.M)  # escapes and fences
    entries = len(re.findall(r"^#{1,6} ", text, re.M))  # each section is an entry with an address and a title
    text = re.sub(r"(?<= )\| ", "", html.unescape(text))  # the visible text of a table
    return re.sub(r"\s+", " ", text) + "." * 250 * entries


def test_the_index_of_the_search_stays_small(prepared):
    sizes = {
        str(p.relative_to(prepared)): len(json.dumps(searched_text(p)).encode())
        for p in prepared.rglob("*.ipynb")
    }
    assert sizes["methodology/accuracy.ipynb"] > 5_000 and sizes["metrics/10_factuality.ipynb"] == 2
    assert sum(sizes.values()) < 500_000, sorted(sizes.items(), key=lambda x: -x[1])[:12]


# ---- figures and printed text as displayed
@pytest.mark.parametrize(
    "cells,right",
    [
        (["3.97", "-", "1,100"], True),
        (["2.6e-05", "< 0.001", ""], True),
        (["2031-04", "1999-12-31"], True),
        (["5.2%", "47 %", "12 ms"], True),
        (["+0.16 [-0.02, 0.33]", "0.5 (0.4 to 0.6)"], True),
        (["2.25 to 2.50", "1–3"], True),
        (["3 cases", "4"], False),
        (["GPT-4", "5"], False),
        (["", "-"], False),
        (["points, 1 to 4"], False),
    ],
)
def test_columns_of_numbers_stand_at_the_right_and_are_never_parted(cells, right):
    pipes = site_tables.aligned_pipes(["| a | b |", "| - | -- |", *(f"| x | {c} |" for c in cells)])
    assert (": |" in pipes[1]) == right and pipes[1].startswith("| - |"), pipes
    rows = "".join(f"<tr><td>x</td>\n<td>{html.escape(c)}</td></tr>" for c in cells)
    frame = f'<table border="1" class="dataframe"><tr><th>a</th><th>b</th></tr>{rows}</table>'
    shown = site_tables.aligned_frames(frame)
    assert ('<th class="number">b</th>' in shown) == right and "<th>a</th>" in shown
    # the text is unchanged
    assert [site_tables.bare(c) for c in re.findall(r"<td[^>]*>(.*?)</td>", shown)][1::2] == cells
    for line in pipes[2:] if right else ():
        free = re.sub(r'<span class="n">.*?</span>', "", line)
        assert " to " not in free and not re.search(r"\d[–-]\d|[([]", free), line


def test_a_table_that_is_aligned_or_uneven_is_left_alone():
    for lines in (
        ["| a | b |", "| :-: | - |", "| 1 | 2 |"],
        ["| a | b |", "| - | - |", "| 1 |"],
        ["| a |", "| - |"],
    ):
        assert site_tables.aligned_pipes(lines) == lines
    odd = '<table class="dataframe"><tr><th rowspan="2">a</th></tr><tr><td>1</td></tr></table>'
    assert site_tables.aligned_frames(odd) == odd


def test_what_is_printed_becomes_a_table_or_goes_on_in_the_next_line():
    from crmeval.core.show import text_table

    rows = [("system", "mean", "why"), ("a_b <i>*x*</i>", "1.50 [1.2, 1.8]", "a | b"), ("c", "-", "")]
    table = text_table(rows, align="lrl", rule=True)
    shown = site_tables.printed_html(f"Before.\n{table}\n\n{'one sentence ' * 9}\n")
    lines = [line for line in shown.split("\n") if line.startswith("|")]
    assert re.fullmatch(r"\| -+ \| -+: \| -+ \|", lines[1])  # numbers are right-aligned
    read = [re.sub(r"\\(.)", r"\1", re.sub(r"</?span[^>]*>", "", line)).strip("| ") for line in lines]
    assert [read[0], *read[2:]] == [
        "system | mean | why",
        "a_b <i>*x*</i> | 1.50 [1.2, 1.8] | a | b",
        "c | -",
    ]
    assert "<i>" not in shown and "1.50</span> <span" in shown
    assert '<pre class="said"><code><span>one sentence' in shown and "Before." in shown
    # unchanged: short lines, and columns without a rule
    assert site_tables.printed_html("short\n") is None
    assert site_tables.printed_html(f"{'a':<30}{'b':<30}c\n{'d':<30}{'e':<30}f\n") is None
    assert site_tables.printed_html(f"{'&lt; <b> ' * 9}\n").count("&amp;lt; &lt;b&gt;") == 9


def reader_page(source="1", kind="code", **outputs):
    shown_outputs = [
        {"output_type": "display_data", "metadata": {}, "data": {m: v}} for m, v in outputs.items()
    ]
    return list(site_reading.reader_problems([(kind, source, shown_outputs)]))


@pytest.mark.parametrize(
    "source,mime,shown,problem",
    [
        ("#| echo: false\n1", "text/plain", "{'chat': np.float32(3.5)}", "program's form"),
        ("#| echo: false\n1", "text/plain", "('b', 2)", "program's form"),
        ("1", "text/plain", "('b', 2)", None),  # its code is visible beside it
        ("1", "text/plain", "a    3\nName: n, dtype: float64", "program's form"),
        ("1", "text/plain", "<crm.Thing object at 0x7f>", "program's form"),
        ("1", "text/plain", "p = 0.12345678901", "program's form"),
        ("1", "text/plain", "p = 0.1235, version 1.2.3.4567890", None),
        ("1", "text/markdown", "| a | b |\n| - | - |\n| x | None |", "'None'"),
        ("1", "text/markdown", "| a | b |\n| - | - |\n| x | (0.1, 0.2) |", "(0.1, 0.2)"),
        ("1", "text/markdown", "| a | b |\n| - | - |\n| None of them | 0.1 (0.05, 0.2) |", None),
        ("1", "text/html", "<table><tr><td>a</td><td>NaN</td></tr></table>", "'NaN'"),
        (
            "1",
            "text/html",
            "<table><tr><th></th><th>a</th></tr>"
            + "".join(f"<tr><th>{i}</th><td>x</td></tr>" for i in range(4))
            + "</table>",
            "running numbers",
        ),
        ("1", "text/html", '<svg role="img" width="361.5pt"></svg>', "points wide"),
        ("1", "text/html", '<svg role="img" width="352.8pt"><text>NaN np.int64(3)</text></svg>', None),
    ],
)
def test_no_page_for_readers_shows_the_forms_of_the_program(source, mime, shown, problem):
    found = reader_page(source, **{mime: [shown]})
    assert any(problem in f for f in found) if problem else not found, found


@pytest.mark.parametrize(
    "source,wrong",
    [
        ("for x in []:\n    print(x)", True),
        ("with open('f') as f:\n    print(f.read())", True),
        ("def f():\n    print(1)", False),
        ("#| eval: false\nif late:\n    print(1)", False),
        ("x = 1", False),
    ],
)
def test_an_example_that_prints_nothing_is_found(source, wrong):
    assert bool(reader_page(source)) == wrong


PAGES = {p.removesuffix(".ipynb"): p for p in site_checks.notebooks(ROOT / "nbs")}


def test_a_notebook_that_is_named_and_not_there_is_found():
    for name, wrong in (("runs/99_gone", True), ("training/gone", True), ("core/07_corrected", False)):
        text = build_site.linked(f"as in `{name}`, and `crmeval/run`", PAGES, "cards/cost.ipynb")
        assert bool(reader_page(text, kind="markdown")) == wrong, name


def test_a_wall_of_code_that_shows_nothing_is_folded():
    wall = "\n".join(f"a{i} = {i}" for i in range(31))
    assert any("fold them" in f for f in reader_page(wall))
    for source in (
        f'#| code-fold: true\n#| code-summary: "Code: names"\n{wall}',
        wall.rpartition("\n")[0],
        f"#| echo: false\n{wall}",
    ):
        assert not any("fold them" in f for f in reader_page(source)), source[:60]
    assert not any("fold them" in f for f in reader_page(wall, **{"text/plain": ["31"]}))


def test_commands_in_prose_go_on_in_the_next_line():
    long, short = f"crmeval run {'--model openai:NAME ' * 4}", "crmeval run"
    assert site_markdown.wrapped_fences(f"a\n```\n{long}\n```\nb") == f"a\n``` {{.said}}\n{long}\n```\nb"
    columns = f"{'ray start --head':<50}# on one\n{'ray start':<50}# on others"
    for kept in (f"```\n{short}\n```", f"```sh\n{long}\n```", f"```\n{columns}\n```", f"`{long}`"):
        assert site_markdown.wrapped_fences(kept) == kept
    # the end of one block must not be read as the start of another
    between = f"```sh\n{short}\n```\n{'words ' * 20}\n```sh\n{short}\n```"
    assert site_markdown.wrapped_fences(between) == between
