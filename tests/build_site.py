"""Prepare the notebooks for Quarto, and check the pages before and after it has rendered them.

python tests/build_site.py nav          write the numbered notebooks into _quarto.yml
python tests/build_site.py prepare DIR  processed notebooks, styles and _quarto.yml into DIR; checked
python tests/build_site.py check DIR    links, anchors and resources of a rendered site
"""

import ast
import json
import re
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

ROOT = Path(__file__).resolve().parents[1]
NBS = ROOT / "nbs"
COPIED = {".csv", ".png", ".svg", ".jpg", ".scss", ".css"}  # what pages need beside notebooks
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
    "cli": "cli: the command line",
}
ROOM = re.compile(r"(\w+)/(\d+)_(\w+)\.ipynb$")  # a notebook that writes a module


def notebooks(folder=NBS):
    "Pages as Quarto knows them, relative to the folder."
    return sorted(
        p.relative_to(folder).as_posix()
        for p in Path(folder).rglob("*.ipynb")
        if not any(part[0] in "._" for part in p.relative_to(folder).parts)
    )


def cells_of(path):
    return [
        (c["cell_type"], "".join(c["source"]), c.get("outputs", []))
        for c in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    ]


def title_of(path):
    return next(
        (
            m[1]
            for kind, text, _ in cells_of(path)
            if kind == "markdown" and (m := re.search(r"^# +(.+)", text, re.M))
        ),
        Path(path).stem,
    )


# ---- navigation
def entries(contents):
    "(href, text) of every page in a sidebar, in its order."
    for e in contents if isinstance(contents, list) else [contents]:
        if isinstance(e, str):
            yield e, ""
        else:
            if "href" in e:
                yield e["href"], e.get("text", "")
            yield from entries(e.get("contents", []))


def navigation(config):
    return [h for h, _ in entries(config["website"]["sidebar"]["contents"])]


def rooms():
    "Notebooks that write a module, in the order of the wings and of their numbers."
    found = [m for m in map(ROOM.match, notebooks()) if m and m[1] in WINGS]
    return [m[0] for m in sorted(found, key=lambda m: (list(WINGS).index(m[1]), int(m[2])))]


def numbered_block():
    "Lines of _quarto.yml: the rooms, by wing."
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


# ---- notebooks for Quarto
def _documented(name, module):
    "What `show_doc` says, from the package: no notebook is executed for it."
    from nbdev.showdoc import show_doc

    found = module
    for part in name.split("."):
        found = getattr(found, part)
    found = getattr(
        found, "__wrapped_function__", found
    )  # a module that can be called stands for its function
    shown = show_doc(found)
    if shown is None:
        return f"### {name}\n"
    return re.sub(r"\A---\n+", "", shown._repr_markdown_())


ALL_MODULES = "<!-- all modules -->"  # in a page: replaced by the list below, so that it is never older than the package


def all_modules():
    "Every public function and class with its first line, by module, linked to where it is explained."
    out = []
    for page in rooms():
        code = [text for kind, text, _ in cells_of(NBS / page) if kind == "code"]
        module = next((m[1] for c in code if (m := re.search(r"default_exp ([\w.]+)", c))), None)
        made = [
            n
            for c in code
            if re.match(r"#\| export\b", c)
            for n in ast.parse(c).body
            if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and not n.name.startswith("_")
        ]
        if not module or not made:
            continue
        first = lambda n: (ast.get_docstring(n) or "see its parameters").splitlines()[0].replace("|", "\\|")
        out += [
            f"### crmeval.{module}",
            "",
            f"Explained in [{Path(page).stem}]({page}).",
            "",
            "| name | does |",
            "| " + "-" * 24 + " | " + "-" * 60 + " |",
            *(f"| [`{n.name}`]({page}#{n.name.lower()}) | {first(n)} |" for n in made),
            "",
        ]
    return "\n".join(out)


def plain_html(html):
    "A piece of HTML as Markdown that pandoc passes on unchanged. Left as an output of type text/html, Quarto would add require.js and jquery from a CDN to the page."
    html = re.sub(r"<style scoped>.*?</style>", "", html, flags=re.S).strip()
    fence = "`" * max(3, 1 + max((len(m) for m in re.findall("`+", html)), default=0))
    return f'{fence}{{=html}}\n<div class="wide">\n{html}\n</div>\n{fence}\n'


def _linked(text, pages, here):
    "Numbers of notebooks in backticks become links."
    up = "../" * here.count("/")

    def one(m):
        return f"[{m[0]}]({up}{pages[m[1]]})" if m[1] in pages and pages[m[1]] != here else m[0]

    parts = re.split(r"(^```.*?^```[^\S\n]*$|\[[^\]]*\]\([^)]*\))", text, flags=re.S | re.M)
    return "".join(p if i % 2 else re.sub(r"`(\w+/[0-9]{2}_\w+)`", one, p) for i, p in enumerate(parts))


def processed(path, page, pages):
    "A notebook as Quarto gets it: nbdev's processors, then ours."
    from execnb.nbio import read_nb
    from nbdev.process import NBProcessor
    from nbdev.processors import FilterDefaults, _default_exp

    procs = [p for p in FilterDefaults().base_procs() if p.__name__ not in ("exec_show_docs", "add_links")]
    nb = read_nb(path)
    module = _default_exp(nb)
    NBProcessor(nb=nb, procs=procs).process()
    module, out = import_module(f"crmeval.{module}" if module else "crmeval"), []
    for c in nb.cells:
        c = {
            k: c[k] for k in ("cell_type", "id", "metadata", "source", "outputs", "execution_count") if k in c
        }
        if re.search(r"^show_doc\(__", c["source"], re.M):
            continue  # a module's `__getattr__` explains nothing
        if c["cell_type"] == "markdown":
            c["source"] = _linked(c["source"], pages, page)
        if ALL_MODULES in c["source"]:
            c["source"] = c["source"].replace(ALL_MODULES, all_modules())
        if c["cell_type"] == "code":
            if m := re.search(r"^show_doc\(([\w.]+)\)", c["source"], re.M):
                c["outputs"] = [
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"text/markdown": _documented(m[1], module)},
                    }
                ]
            c["outputs"] = [_offline(o) for o in c.get("outputs", [])]
            c.setdefault("execution_count", None)
        out.append({**c, "metadata": dict(c.get("metadata", {}))})
    return {
        "cells": out,
        "metadata": {k: v for k, v in dict(nb.metadata).items() if k != "widgets"},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _offline(output):
    output = {k: dict(v) if isinstance(v, dict) else v for k, v in dict(output).items()}
    data = output.get("data", {})
    if "text/html" in data:
        html = data.pop("text/html")
        data.pop("text/plain", None)
        data["text/markdown"] = plain_html("".join(html) if isinstance(html, list) else html)
    return output


def prepare(target):
    "Everything Quarto needs, in a folder of its own."
    target = Path(target)
    pages = {p.removesuffix(".ipynb"): p for p in rooms()}
    for page in notebooks():
        (target / page).parent.mkdir(parents=True, exist_ok=True)
        (target / page).write_text(
            json.dumps(processed(NBS / page, page, pages), indent=1, ensure_ascii=False, default=list) + "\n",
            encoding="utf-8",
        )
    for p in NBS.rglob("*"):
        if (
            p.suffix in COPIED
            and p.is_file()
            and not any(part[0] in "._" for part in p.relative_to(NBS).parts)
        ):
            (target / p.relative_to(NBS)).parent.mkdir(parents=True, exist_ok=True)
            (target / p.relative_to(NBS)).write_bytes(p.read_bytes())
    (target / "_quarto.yml").write_bytes((ROOT / "_quarto.yml").read_bytes())
    return target


# ---- checks before Quarto
def slug(heading):
    "The anchor that pandoc gives a heading."
    if m := re.search(r"\{[^}]*#([\w-]+)[^}]*\}\s*$", heading):
        return m[1]
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"\{[^}]*\}\s*$", "", heading))
    text = re.sub(r"[^\w\s.-]", "", re.sub(r"[`*]", "", text)).strip().lower()
    return re.sub(r"^[^a-z]+", "", re.sub(r"\s+", "-", text)) or "section"


def page_text(path):
    "(prose, HTML) of a notebook with its shown outputs: what can hold links and anchors."
    prose, html = [], []
    for kind, text, outputs in cells_of(path):
        if kind == "markdown":
            prose.append(text)
        for o in outputs:
            for mime, value in (o.get("data") or {}).items():
                value = "".join(value) if isinstance(value, list) else value
                if mime == "text/markdown":
                    prose.append(value)
                if mime in ("text/html", "image/svg+xml"):
                    html.append(value)
    whole = "\n\n".join(prose)
    raw = re.findall(r"^(`{3,})\{=html\}\n(.*?)^\1\s*$", whole, re.S | re.M)
    bare = re.sub(r"^(`{3,}).*?^\1[^\S\n]*$", "", whole, flags=re.S | re.M)
    return bare, "\n".join(
        [*html, *(r for _, r in raw), *re.findall(r"<[a-z][^>]*>", re.sub(r"`[^`\n]*`", "", bare))]
    )


def anchors_of(prose, html):
    found, count = set(), {}
    for h in re.findall(r"^#{1,6} +(.+?) *$", prose, re.M):
        s = slug(h)
        count[s] = count.get(s, -1) + 1
        found.add(s if not count[s] else f"{s}-{count[s]}")
    return found | set(re.findall(r"""\bid=["']([^"']+)""", html))


def links_of(prose, html):
    bare = re.sub(r"`[^`\n]*`", "`", prose)
    return (
        re.findall(r"\]\(<?([^)\s>]+)>?[^)]*\)", bare)
        + re.findall(r"""<a\b[^>]*?\bhref=["']([^"']*)""", html)
        + re.findall(r"""<img\b[^>]*?\bsrc=["']([^"']*)""", html)
    )


CALLS_OUT = re.compile(
    r"""<(?:script|link|img|iframe|source|video|audio)\b[^>]*?(?:src|href)=["'](?:https?:)?//|@import\s+(?:url\()?["']?(?:https?:)?//|url\(["']?(?:https?:)?//|\bfrom\s+["']https?://"""
)


def problems(folder):
    "What is wrong with prepared notebooks: dead links and anchors, addresses of other machines, pages that no navigation names."
    folder, out = Path(folder), []
    config = yaml.safe_load((folder / "_quarto.yml").read_text(encoding="utf-8"))
    pages, nav = notebooks(folder), navigation(config)
    out += [f"_quarto.yml: {p} is listed, and there is no such page" for p in nav if p not in pages]
    out += [
        f"_quarto.yml: {p} is a page, and no navigation lists it (numbered ones: python tests/build_site.py nav)"
        for p in pages
        if p not in nav
    ]
    out += [f"_quarto.yml: {p} is listed twice" for p in sorted({p for p in nav if nav.count(p) > 1})]
    texts = {p: page_text(folder / p) for p in pages}
    anchors = {p: anchors_of(*t) for p, t in texts.items()}
    for page in pages:
        out += [
            f"{page}: a cell that hides its code shows nothing either; execute the notebook"
            for kind, text, outputs in cells_of(folder / page)
            if kind == "code" and not outputs and re.search(r"^#\|\s*echo:\s*false", text, re.M)
        ]
    for page, (prose, html) in texts.items():
        out += [f"{page}: {m[0][:80]!r} is fetched from another machine" for m in CALLS_OUT.finditer(html)]
        for link in links_of(prose, html):
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto"):
                if "example" in parts.netloc:
                    out.append(f"{page}: {link} is a made-up address")
                continue
            if parts.scheme:
                continue
            target = (Path(page).parent / unquote(parts.path)).as_posix() if parts.path else page
            target = re.sub(r"(^|/)(?!\.\./)[^/]+/\.\./", r"\1", target)
            if target.endswith(".html"):
                out.append(f"{page}: {link} names a rendered page; link to the notebook")
            elif target.endswith(".ipynb"):
                if target not in pages:
                    out.append(f"{page}: {link} leads nowhere")
                elif parts.fragment and unquote(parts.fragment) not in anchors[target]:
                    out.append(
                        f"{page}: {link} has no such section; there are {', '.join(sorted(anchors[target]))[:300]}"
                    )
            elif not (folder / target).is_file():
                out.append(f"{page}: {link} leads nowhere")
    return out


# ---- checks after Quarto
class Rendered(HTMLParser):
    "Links, anchors and resources of a rendered page."

    def __init__(self):
        super().__init__()
        self.links, self.ids, self.fetched = [], set(), []

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if a.get("id"):
            self.ids.add(a["id"])
        if tag == "a" and a.get("name"):
            self.ids.add(a["name"])
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])
        if tag in ("script", "img", "iframe", "source") and a.get("src"):
            self.fetched.append(a["src"])
        if tag == "link" and a.get("href") and a.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(a["href"])


def rendered_problems(site):
    site, out, pages = Path(site).resolve(), [], {}
    for p in sorted(site.rglob("*.html")):
        if "site_libs" in p.relative_to(site).parts:
            continue
        pages[p] = Rendered()
        pages[p].feed(p.read_text(encoding="utf-8"))
    if not pages:
        out.append(f"{site} holds no page")
    for p, found in pages.items():
        name = p.relative_to(site).as_posix()
        for link in [*found.links, *found.fetched]:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https") or link.startswith("//"):
                if link in found.fetched:
                    out.append(f"{name}: {link} is fetched from another machine")
                continue
            if parts.scheme:
                continue
            target = (p.parent / unquote(parts.path)).resolve() if parts.path else p
            if target.is_dir():
                target = target / "index.html"
            if not target.is_file():
                out.append(f"{name}: {link} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                out.append(f"{name}: {link} has no such section")
    for p in site.rglob("*.css"):
        out += [
            f"{p.relative_to(site).as_posix()}: {m[0][:80]} is fetched from another machine"
            for m in re.finditer(
                r"""(?:@import\s+(?:url\()?|url\()["']?(?:https?:)?//[^)"']*""",
                p.read_text(encoding="utf-8", errors="replace"),
            )
        ]
    return out


def main(words):
    if words == ["nav"]:
        return write_nav()
    if len(words) != 2 or words[0] not in ("prepare", "check"):
        sys.exit(__doc__)
    found = problems(prepare(words[1])) if words[0] == "prepare" else rendered_problems(words[1])
    if found:
        sys.exit("\n".join(found) + f"\n{len(found)} problems in {words[1]}")


if __name__ == "__main__":
    main(sys.argv[1:])
