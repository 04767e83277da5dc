"""Checks of the site's pages, before and after Quarto has rendered them."""

import json
import re
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from quarto_reading import reading_problems
from site_reading import is_read, reader_problems

CALLS_OUT = re.compile(
    r"""<(?:script|link|img|iframe|source|video|audio)\b[^>]*?(?:src|href)=["'](?:https?:)?//"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//|url\(["']?(?:https?:)?//|\bfrom\s+["']https?://"""
)
CSS_CALLS_OUT = re.compile(r"""(?:@import\s+(?:url\()?|url\()["']?(?:https?:)?//[^)"']*""")
UNLISTED = "is a page, and no navigation lists it (numbered ones: python tests/build_site.py nav)"


# ---- reading pages
def notebooks(folder):
    "Return the pages as Quarto sees them, relative to the folder."
    found = (p.relative_to(folder) for p in Path(folder).rglob("*.ipynb"))
    return sorted(p.as_posix() for p in found if not any(part[0] in "._" for part in p.parts))


def cells_of(path):
    return [
        (c["cell_type"], "".join(c["source"]), c.get("outputs", []))
        for c in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    ]


def entries(contents):
    "Yield (href, text) of every page in a sidebar, in its order."
    for e in contents if isinstance(contents, list) else [contents]:
        if isinstance(e, str):
            yield e, ""
            continue
        if "href" in e:
            yield e["href"], e.get("text", "")
        yield from entries(e.get("contents", []))


def navigation(config):
    bars = config["website"]["sidebar"]
    return [h for bar in (bars if isinstance(bars, list) else [bars]) for h, _ in entries(bar["contents"])]


def shown_data(outputs):
    "Yield (type, text) of all forms of all outputs."
    for o in outputs:
        for mime, value in (o.get("data") or {}).items():
            yield mime, "".join(value) if isinstance(value, list) else value


def page_text(path):
    "Return (prose, HTML) of a notebook with its displayed outputs: what can contain links and anchors."
    prose, html = [], []
    for kind, text, outputs in cells_of(path):
        shown = list(shown_data(outputs))
        prose += [text] if kind == "markdown" else []
        prose += [value for mime, value in shown if mime == "text/markdown"]
        html += [value for mime, value in shown if mime in ("text/html", "image/svg+xml")]
    whole = "\n\n".join(prose)
    raw = re.findall(r"^(`{3,})\{=html\}\n(.*?)^\1\s*$", whole, re.S | re.M)
    bare = re.sub(r"^(`{3,}).*?^\1[^\S\n]*$", "", whole, flags=re.S | re.M)
    tags = re.findall(r"<[a-z][^>]*>", re.sub(r"`[^`\n]*`", "", bare))
    return bare, "\n".join([*html, *(r for _, r in raw), *tags])


def slug(heading):
    "Return the anchor that pandoc gives a heading."
    if m := re.search(r"\{[^}]*#([\w-]+)[^}]*\}\s*$", heading):
        return m[1]
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"\{[^}]*\}\s*$", "", heading))
    text = re.sub(r"[^\w\s.-]", "", re.sub(r"[`*]", "", text)).strip().lower()
    return re.sub(r"^[^a-z]+", "", re.sub(r"\s+", "-", text)) or "section"


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


@lru_cache(maxsize=None)
def resolved(link, page):
    "Return (page or file, anchor) of a link's target, relative to the folder; None for external links."
    parts = urlsplit(link)
    if parts.scheme:
        return None
    target = (Path(page).parent / unquote(parts.path)).as_posix() if parts.path else page
    while (shorter := re.sub(r"(^|/)(?!\.\./)[^/]+/\.\./", r"\1", target)) != target:
        target = shorter
    return target, unquote(parts.fragment)


@lru_cache(maxsize=8)
def _parsed_yaml(text):
    "Parse with the C parser if available, which gives the same result in a tenth of the time."
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


# ---- before Quarto
def listing_problems(pages, nav):
    out = [f"_quarto.yml: {p} is listed, and there is no such page" for p in nav if p not in pages]
    out += [f"_quarto.yml: {p} {UNLISTED}" for p in pages if p not in nav]
    return out + [f"_quarto.yml: {p} is listed twice" for p in sorted({p for p in nav if nav.count(p) > 1})]


def cell_problems(path):
    "Return problems of cells that Quarto would read wrongly or display as empty."
    out = list(reading_problems(json.loads(path.read_text(encoding="utf-8"))))
    for kind, text, outputs in cells_of(path):
        if kind == "code" and not outputs and re.search(r"^#\|\s*echo:\s*false", text, re.M):
            out.append("a cell that hides its code shows nothing either; execute the notebook")
    return out + (list(reader_problems(cells_of(path))) if is_read(path) else [])


def read_page(path):
    "Return (anchors, links, problems of its cells) of a page; equal content is read only once."
    content = Path(path).read_bytes()
    if content not in _READ:
        prose, html = page_text(path)
        wrong = cell_problems(path)
        wrong += [f"{m[0][:80]!r} is fetched from another machine" for m in CALLS_OUT.finditer(html)]
        _READ[content] = anchors_of(prose, html), links_of(prose, html), wrong
    return _READ[content]


_READ = {}  # content of a page -> result of `read_page`, which does not depend on where the page is


def link_problem(link, page, folder, anchors):
    "Return what is wrong with a link of a page; empty if nothing is."
    found = resolved(link, page)
    if found is None:
        made_up = link.startswith("http") and "example" in urlsplit(link).netloc
        return "is a made-up address" if made_up else ""
    target, anchor = found
    if target.endswith(".html"):
        return "names a rendered page; link to the notebook"
    if not target.endswith(".ipynb"):
        return "" if (folder / target).is_file() else "leads nowhere"
    if target not in anchors:
        return "leads nowhere"
    if anchor and anchor not in anchors[target]:
        return f"has no such section; there are {', '.join(sorted(anchors[target]))[:300]}"
    return ""


def alias_problems(aliases, pages):
    "Return old addresses that lead to no page or are the address of a page."
    own = {"/" + p.removesuffix(".ipynb") + ".html" for p in pages}
    out = [f"aliases: {a} leads to {p}, and there is no such page" for a, p in aliases if p not in pages]
    out += [f"aliases: {a} is the address of a page" for a, _ in aliases if a in own]
    names = [a for a, _ in aliases]
    return out + [f"aliases: {a} is listed twice" for a in sorted({a for a in names if names.count(a) > 1})]


def problems(folder, aliases=()):
    "Return the problems of prepared notebooks: form, links, anchors, external resources, navigation."
    folder = Path(folder)
    config = _parsed_yaml((folder / "_quarto.yml").read_text(encoding="utf-8"))
    pages = notebooks(folder)
    out = listing_problems(pages, navigation(config)) + alias_problems(aliases, pages)
    read = {p: read_page(folder / p) for p in pages}
    anchors = {p: found for p, (found, _, _) in read.items()}
    for page, (_, links, wrong_cells) in read.items():
        out += [f"{page}: {wrong}" for wrong in wrong_cells]
        checked = [(link, link_problem(link, page, folder, anchors)) for link in links]
        out += [f"{page}: {link} {wrong}" for link, wrong in checked if wrong]
    return out


# ---- after Quarto
class Rendered(HTMLParser):
    "Collect links, anchors and resources of a rendered page."

    def __init__(self):
        super().__init__()
        self.links, self.ids, self.fetched = [], set(), []

    def handle_starttag(self, tag, attrs):
        a = {k: v for k, v in attrs if v}
        self.ids |= {a[k] for k in ("id", "name") if k in a and (k == "id" or tag == "a")}
        if tag == "a" and "href" in a:
            self.links.append(a["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in a:
            self.fetched.append(a["src"])
        if tag == "link" and "href" in a and a.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(a["href"])


def rendered_pages(site):
    pages = {}
    for path in sorted(site.rglob("*.html")):
        if "site_libs" not in path.relative_to(site).parts:
            pages[path] = Rendered()
            pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


def rendered_problem(link, path, pages):
    "Return what is wrong with an address in a rendered page; empty if nothing is."
    parts = urlsplit(link)
    if parts.scheme in ("http", "https") or link.startswith("//"):
        return "is fetched from another machine" if link in pages[path].fetched else ""
    if parts.scheme:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "leads nowhere"
    missing = parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
    return "has no such section" if missing else ""


def style_problems(site):
    return [
        f"{path.relative_to(site).as_posix()}: {m[0][:80]} is fetched from another machine"
        for path in site.rglob("*.css")
        for m in CSS_CALLS_OUT.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]


def rendered_problems(site, aliases=()):
    "Return problems of a rendered site: links, anchors, resources, and old addresses without a file."
    site = Path(site).resolve()
    pages = rendered_pages(site)
    out = [] if pages else [f"{site} holds no page"]
    for path, found in pages.items():
        checked = [(link, rendered_problem(link, path, pages)) for link in [*found.links, *found.fetched]]
        out += [f"{path.relative_to(site).as_posix()}: {link} {wrong}" for link, wrong in checked if wrong]
    out += [f"aliases: {a} is not in the site" for a, _ in aliases if not (site / a.lstrip("/")).is_file()]
    return out + style_problems(site)
