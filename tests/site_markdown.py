"""How the Markdown of a page is changed before Quarto reads it: links, headings, tables in boxes."""

import html
import re

from site_tables import aligned_frames, aligned_pipes, goes_on

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
HEADING = re.compile(r"#{1,6}\s+(.+?)\s*$")
RULE = re.compile(r"\|[\s:|-]*-[\s:|-]*$")  # the line below a table's header
NARROW = 36  # characters of a table's narrowest form that fit on a phone, 320 CSS pixels wide


def lines_of(text):
    "Return a text as notebooks store it: lines that end with their newline."
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def with_fences(text):
    "Yield (line, whether it belongs to a fenced block) for every line."
    mark = ""
    for line in text.split("\n"):
        found = FENCE.match(line)
        inside = bool(mark or found)
        if not mark:
            mark = found[1] if found else ""
        elif found and found[1].startswith(mark) and not line.strip().strip(mark[0]):
            mark = ""
        yield line, inside


def linked(text, pages, here):
    "Turn names of notebooks in backticks into links."
    up = "../" * here.count("/")

    def link(found):
        page = pages.get(found[1], here)
        return found[0] if page == here else f"[{found[0]}]({up}{page})"

    def link_outside_links(line):
        parts = re.split(r"(\[[^\]]*\]\([^)]*\))", line)
        return "".join(p if i % 2 else re.sub(r"`(\w+/\w+)`", link, p) for i, p in enumerate(parts))

    # a link may continue on the next line, so lines outside fences are processed together
    return "\n".join(p if fenced else link_outside_links(p) for p, fenced in blocks(text))


def blocks(text):
    "Return (text, whether it is fenced) for every run of lines of one kind."
    found = []
    for line, fenced in with_fences(text):
        if found and found[-1][1] == fenced:
            found[-1][0].append(line)
        else:
            found.append(([line], fenced))
    return [("\n".join(lines), fenced) for lines, fenced in found]


def wrapped_fences(text):
    "Wrap fenced lines without a language, unless they are set in columns."
    return "\n".join(_wrapped(part) if fenced else part for part, fenced in blocks(text))


def _wrapped(fenced):
    first, *lines = fenced.split("\n")
    match = re.fullmatch(r"(`{3,})(text)?", first)
    one = match and lines[-1:] == [match[1]] and len(lines) > 1 and not any(map(FENCE.match, lines[:-1]))
    return "\n".join([f"{match[1]} {{.said}}", *lines]) if one and goes_on(lines[:-1]) else fenced


def spaced_headings(text):
    "Add a blank line before and after every heading: without it, pandoc does not recognise a heading."
    out, after = [], False
    for line, fenced in with_fences(text):
        heading = bool(not fenced and HEADING.match(line))
        if (heading or after) and out and out[-1].strip() and line.strip():
            out.append("")
        out.append(line)
        after = heading
    return "\n".join(out)


# ---- tables
def words_of(cell):
    "Return the visible text of a table's cell, in pieces that are never broken."
    whole = re.sub(r'<span class="n">(.*?)</span>', lambda m: m[1].replace(" ", "·"), cell)
    bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"<[^>]*>", " ", whole))
    return html.unescape(bare).replace("`", "").replace("*", "").split()


def narrowest(rows):
    "Return the characters that a table needs if every cell is as narrow as its longest word."
    columns = {}
    for row in rows:
        for i, cell in enumerate(row):
            columns[i] = max([columns.get(i, 9), *map(len, words_of(cell))])
    return sum(width + 3 for width in columns.values())


def pipe_rows(lines):
    return [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines if not RULE.match(line)]


def html_rows(text):
    return [
        re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.S | re.I)
        for row in re.findall(r"<tr\b.*?</tr>", text, re.S | re.I)
    ]


class Boxes:
    "Puts the wide tables of a page in boxes that scroll, are reachable by keyboard and have a label."

    def __init__(self, title):
        self.heading, self.count = title, 0

    def attributes(self):
        self.count += 1
        plain = re.sub(r"\s*\{[^}]*\}$", "", self.heading)
        label = html.escape(" ".join(words_of(plain)))
        return f'tabindex="0" role="region" aria-label="Table {self.count}: {label}"'

    def markdown(self, text):
        "Return the text with its wide pipe tables in boxes, labelled with the heading above them."
        out, table = [], []
        for line, fenced in [*with_fences(text), ("", False)]:
            if line.startswith("|") and not fenced:
                table.append(line)
                continue
            out += self.box(table)
            table = []
            out.append(line)
            if not fenced and (found := HEADING.match(line)):
                self.heading = found[1]
        return "\n".join(out[:-1])

    def box(self, table):
        if len(table) < 2 or not RULE.match(table[1]):
            return table
        table = aligned_pipes(table)
        if narrowest(pipe_rows(table)) <= NARROW:
            return table
        return ["", f"::: {{.wide {self.attributes()}}}", *table, ":::", ""]

    def html(self, text):
        """Return HTML as Markdown that pandoc passes on unchanged.

        For an output of type text/html, Quarto would add require.js and jquery from a CDN to the page."""
        text = aligned_frames(re.sub(r"<style scoped>.*?</style>", "", text, flags=re.S).strip())
        scrolls = "<table" in text and narrowest(html_rows(text)) > NARROW
        box = f'<div class="wide" {self.attributes()}>' if scrolls else "<div>"
        fence = "`" * max(3, 1 + max((len(m) for m in re.findall("`+", text)), default=0))
        return f"{fence}{{=html}}\n{box}\n{text}\n</div>\n{fence}\n"
