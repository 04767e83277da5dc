"""Prepare the notebooks for Quarto, and check the pages before and after it has rendered them.

python tests/build_site.py nav          write the numbered notebooks into _quarto.yml
python tests/build_site.py prepare DIR  processed notebooks, styles and _quarto.yml into DIR; checked
python tests/build_site.py check DIR    links, anchors and resources of a rendered site
"""

import ast
import inspect
import json
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from unittest import mock

import yaml
from site_checks import cells_of, notebooks, problems, rendered_problems
from site_markdown import Boxes, lines_of, linked, spaced_headings, wrapped_fences
from site_tables import printed_html

ROOT = Path(__file__).resolve().parents[1]
NBS = ROOT / "nbs"
COPIED = {".csv", ".png", ".svg", ".jpg", ".scss", ".css"}  # files that pages need besides notebooks
WINGS = {
    "core": "core: records, numbers, texts",
    "connect": "connect: where CRM data lie",
    "tasks": "tasks: what is asked",
    "detect": "detect: what a text holds",
    "systems": "systems: who answers",
    "layer": "layer: between a person and a model",
    "judges": "judges: who judges",
    "metrics": "metrics: how good it is",
    "runs": "runs: what happens when",
    "validation": "validation: do judges agree with people",
    "people": "people: what people say",
    "live": "live: does it hold in operation",
    "pages": "pages: what people look at",
    "bridges": "bridges: into the tools people already use",
    "cli": "cli: the command line",
}
ROOM = re.compile(r"(\w+)/(\d+)_(\w+)\.ipynb$")  # a notebook that exports a module


def title_of(path):
    titles = (re.search(r"^# +(.+)", text, re.M) for kind, text, _ in cells_of(path) if kind == "markdown")
    return next((m[1] for m in titles if m), Path(path).stem)


def old_addresses(path=NBS / "aliases.json"):
    "Return (old address, page) of pages that have moved, so that old links still work."
    read = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=list)
    return [pair for key, pairs in read if key == "addresses" for pair in pairs]


# ---- navigation
def rooms():
    "Return the notebooks that export a module, ordered by wing and number."
    found = [m for m in map(ROOM.match, notebooks(NBS)) if m and m[1] in WINGS]
    return [m[0] for m in sorted(found, key=lambda m: (list(WINGS).index(m[1]), int(m[2])))]


def numbered_block():
    "Return the lines of _quarto.yml for these notebooks, by wing."
    lines, wing = [], None
    for page in rooms():
        if page.split("/")[0] != wing:
            wing = page.split("/")[0]
            lines += [f'          - section: "{WINGS[wing]}"', "            contents:"]
        title = json.dumps(title_of(NBS / page), ensure_ascii=False)
        lines += [f"              - href: {page}", f"                text: {title}"]
    return lines


MARKS = (
    "          # numbered notebooks: written by `python tests/build_site.py nav`",
    "          # end of the numbered notebooks",
)


def write_nav(path=ROOT / "_quarto.yml"):
    text = path.read_text(encoding="utf-8")
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    path.write_text("\n".join([before + MARKS[0], *numbered_block(), MARKS[1] + after]), encoding="utf-8")


# ---- API reference, generated from the package
ALL_MODULES = "<!-- all modules -->"  # placeholder in a page, replaced by `all_modules`


def undocumented(function):
    "Remove the list of arguments from a function's docstring."
    function.__doc__ = function.__doc__.partition("\n\nArguments:\n")[0]
    return function


def documented(name, module):
    "Return the Markdown of `show_doc`, generated from the package without executing a notebook."
    from nbdev.showdoc import show_doc

    found = module
    for part in name.split("."):
        found = getattr(found, part)
    # for a callable module, its function is documented
    found = getattr(found, "__wrapped_function__", found)
    if inspect.isfunction(found) and "\n\nArguments:\n" in (found.__doc__ or ""):
        found = undocumented(found)  # the table beside it lists the same arguments
    shown = show_doc(found)
    return f"### {name}\n" if shown is None else under_its_name(found, shown._repr_markdown_())


def under_its_name(found, shown):
    "Remove an entry's rule; an awaited function is shown with its source's signature and its own name."
    shown, made_of = re.sub(r"\A---\n+", "", shown), getattr(found, "__wrapped__", found)
    if made_of is found or made_of.__name__ == found.__name__:
        return shown
    shown = re.sub(r"\A### \w+", f"### {found.__name__}", shown)
    return re.sub(r"^def \w+", f"async def {found.__name__}", shown, count=1, flags=re.M)


def exported(page):
    "Return (module, its public functions and classes) of a notebook."
    code = [text for kind, text, _ in cells_of(NBS / page) if kind == "code"]
    module = next((m[1] for c in code if (m := re.search(r"default_exp ([\w.]+)", c))), None)
    made = [n for c in code if re.match(r"#\| export\b", c) for n in ast.parse(c).body]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    named = [n for n in made if isinstance(n, kinds) and not n.name.startswith("_")]
    # of several overloads the last definition is the function
    return module, list({n.name: n for n in named}.values())


def module_table(page, module, made):
    def row(node):
        first = (ast.get_docstring(node) or "see its parameters").splitlines()[0].replace("|", "\\|")
        return f"| [`{node.name}`]({page}#{node.name.lower()}) | {first} |"

    head = ["| name | does |", f"| {'-' * 24} | {'-' * 60} |"]
    explained = f"Explained in [{Path(page).stem}]({page})."
    # folded, since readers look for one of hundreds of modules; a link to a name or a search unfolds it
    fold = f"<details><summary>{len(made)} name{'s' * (len(made) != 1)}</summary>"
    return [
        f"#### crmeval.{module}",
        "",
        explained,
        "",
        fold,
        "",
        *head,
        *map(row, made),
        "",
        "</details>",
        "",
    ]


def all_modules():
    "Return the Markdown list of every public name with its first line, by module, linked to its notebook."
    out, wing = [], None
    for page in rooms():
        module, made = exported(page)
        if not module or not made:
            continue
        if page.split("/")[0] != wing:
            wing = page.split("/")[0]
            out += [f"### {WINGS[wing]}", ""]
        out += module_table(page, module, made)
    return "\n".join(out)


# ---- notebooks for Quarto
NOT_OURS = ("exec_show_docs", "add_links", "insert_warning")  # nbdev processors that a page does not need


def after_nbdev(path):
    "Return (notebook, module it exports) after nbdev's processors."
    from execnb.nbio import read_nb
    from nbdev.process import NBProcessor
    from nbdev.processors import FilterDefaults, _default_exp

    procs = [p for p in FilterDefaults().base_procs() if p.__name__ not in NOT_OURS]
    nb = read_nb(path)
    module = _default_exp(nb)
    NBProcessor(nb=nb, procs=procs).process()
    return nb, import_module(f"crmeval.{module}" if module else "crmeval")


def front_matter(keys, aliases, is_built=False):
    "Return the cell with a page's title, without nbdev's output-file: an address is the notebook's path."
    matter = {"title": keys["title"], **{k: v for k, v in keys.items() if k not in ("title", "output-file")}}
    if aliases:
        matter["aliases"] = aliases
    if is_built:  # function names are found in the page that lists all modules by wing
        matter["search"] = False
    text = yaml.safe_dump(matter, sort_keys=False, allow_unicode=True, width=10_000)
    return {"cell_type": "raw", "id": "front-matter", "metadata": {}, "source": f"---\n{text}---\n"}


def with_its_program(html):
    "Add the script to an interactive table: a notebook stores the table without it, because it is larger."
    from crmeval.pages.tables import LOADER, table_assets

    return f"{html}\n{table_assets()}" if 'class="cm-table"' in html and LOADER not in html else html


def without_html(output, boxes):
    output = {k: dict(v) if isinstance(v, dict) else v for k, v in dict(output).items()}
    data = output.get("data", {})
    if "text/html" in data:
        html = data.pop("text/html")
        data.pop("text/plain", None)
        data["text/markdown"] = boxes.html(with_its_program("".join(html)))
    elif "text/markdown" in data:
        data["text/markdown"] = boxes.markdown(spaced_headings("".join(data["text/markdown"])))
    if output.get("name") == "stdout" and (shown := printed_html("".join(output["text"]))):
        # printed text may be wider than a phone
        data = {"text/markdown": boxes.markdown(shown)}
        return {"output_type": "display_data", "metadata": {}, "data": data}
    return output


def shown_doc(source, module):
    "Return the outputs of a cell that calls `show_doc`; None for other cells."
    match = re.search(r"^show_doc\(([\w.]+)\)", source, re.M)
    if not match:
        return None
    data = {"text/markdown": documented(match[1], module)}
    return [{"output_type": "display_data", "metadata": {}, "data": data}]


def prose(source, pages, page, boxes):
    text = linked(source, pages, page)
    if ALL_MODULES in text:
        text = text.replace(ALL_MODULES, all_modules())
    return boxes.markdown(wrapped_fences(spaced_headings(text)))


def in_lines(cell):
    "Split every text of a cell into lines: in a single string Quarto drops the newlines."
    cell["source"] = lines_of(cell["source"])
    for output in cell.get("outputs", []):
        if "text" in output:
            output["text"] = lines_of("".join(output["text"]))
        for mime, value in output.get("data", {}).items():
            if mime.startswith("text/"):
                output["data"][mime] = lines_of("".join(value))
    return cell


def one_cell(cell, module, pages, page, boxes):
    kept = ("cell_type", "source", "outputs", "execution_count")
    made = {k: cell[k] for k in kept if k in cell} | {"metadata": dict(cell.get("metadata", {}))}
    # Quarto makes it an anchor, and some versions of pandoc accept none that begins with a digit
    made["id"] = f"cell-{cell['id']}"
    if made["cell_type"] == "markdown":
        made["source"] = prose(made["source"], pages, page, boxes)
    if made["cell_type"] == "code":
        outputs = shown_doc(made["source"], module) or made.get("outputs", [])
        made["outputs"] = [without_html(o, boxes) for o in outputs]
        made.setdefault("execution_count", None)
    return made


def picture_for_home():
    "Return the leaderboard page's picture for the first page, whose notebook is the README and has none."
    outputs = [o for _, _, found in cells_of(NBS / "reports" / "leaderboard.ipynb") for o in found]
    pictures = ["".join(o.get("data", {}).get("text/html", "")) for o in outputs]
    svg = next((p for p in pictures if p.startswith("<svg")), "")
    words = (
        "\n\nAccuracy of three baseline systems by use case: [the leaderboard](reports/leaderboard.ipynb)."
    )
    text = f"```{{=html}}\n<figure>{svg}</figure>\n```{words}"
    return {"cell_type": "markdown", "id": "picture-for-home", "metadata": {}, "source": text}


def processed(path, page, pages, aliases=()):
    "Return a notebook as Quarto receives it: after nbdev's processors and those of this file."
    nb, module = after_nbdev(path)
    boxes = Boxes(nb.frontmatter_["title"])
    is_built = page.split("/")[0] in {*WINGS, "training", "api.ipynb"}
    made = [front_matter(nb.frontmatter_, list(aliases), is_built)]
    for cell in nb.cells:
        # a module's `__getattr__` needs no documentation; the raw cell is nbdev's front matter
        if cell["cell_type"] != "raw" and not re.search(r"^show_doc\(__", cell["source"], re.M):
            made.append(one_cell(cell, module, pages, page, boxes))
    if page == "index.ipynb":
        made.insert(2, picture_for_home())
    return {
        "cells": [in_lines(cell) for cell in made],
        "metadata": {k: v for k, v in dict(nb.metadata).items() if k != "widgets"},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def copy_files(target):
    "Copy the files that pages need besides notebooks."
    for path in NBS.rglob("*"):
        here = path.relative_to(NBS)
        if path.suffix in COPIED and path.is_file() and not any(part[0] in "._" for part in here.parts):
            (target / here).parent.mkdir(parents=True, exist_ok=True)
            (target / here).write_bytes(path.read_bytes())
    (target / "_quarto.yml").write_bytes((ROOT / "_quarto.yml").read_bytes())


def prepare(target):
    "Write everything that Quarto needs to a folder."
    from fastcore import docments

    target, moved = Path(target), old_addresses()
    pages = {p.removesuffix(".ipynb"): p for p in notebooks(NBS)}
    # nbdev requests the source of each object several times, and each time Python parses the whole file of a
    # class and tokenizes the object's part
    once = mock.patch("fastcore.docments.get_source", cache(docments.get_source))
    with mock.patch("inspect.findsource", cache(inspect.findsource)), once:
        for page in notebooks(NBS):
            made = processed(NBS / page, page, pages, [old for old, new in moved if new == page])
            text = json.dumps(made, indent=1, ensure_ascii=False, default=list) + "\n"
            (target / page).parent.mkdir(parents=True, exist_ok=True)
            (target / page).write_text(text, encoding="utf-8")
    copy_files(target)
    return target


def main(words):
    if words == ["nav"]:
        return write_nav()
    if len(words) != 2 or words[0] not in ("prepare", "check"):
        sys.exit(__doc__)
    check = problems if words[0] == "prepare" else rendered_problems
    found = check(prepare(words[1]) if words[0] == "prepare" else words[1], old_addresses())
    if found:
        sys.exit("\n".join(found) + f"\n{len(found)} problems in {words[1]}")


if __name__ == "__main__":
    main(sys.argv[1:])
