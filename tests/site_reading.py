"""What a reader of the site's pages should not see: raw program output and gaps.

Pages that explain how something is built show code and its output; the pages for readers (methodology,
cards, tutorials, reports) show figures, always in the same format."""

import ast
import html
import re

from site_markdown import html_rows, pipe_rows, with_fences
from site_tables import bare

MOST_LINES = 30  # of code without output, unless folded
WIDEST_PT = 360  # of a picture: a phone shows three quarters of it
READ = {"methodology", "cards", "tutorials", "reports"}  # folders of pages for readers
PROGRAM = re.compile(r"\bnp\.\w+\(|\bdtype: |<[\w.]+ object at 0x|\bDataFrame\b.*\bcolumns\b")
VALUES = re.compile(r"[{\[(]'\w[^'\n]*'\s*[:,]")  # a dict, list or tuple in Python notation
LONG = re.compile(r"(?<![\w.])\d+\.\d{7,}")  # more digits than any figure has
EMPTY_CELL = re.compile(r"None|nan|NaN|NaT|<NA>|\(\s*[\d.]+(?:,\s*[\d.]+)+\s*\)|\[\s*\]|\{\s*\}")
NOTEBOOK = re.compile(
    r"(?<!\[)`((?:training/|\w+/\d\d_)\w+)`"
)  # a name that would have become a link if there were such a page


def is_read(path):
    "Whether a page is for readers who do not need to know how it is built."
    return path.parent.name in READ or path.name == "index.ipynb"


def shown_texts(outputs):
    for o in outputs:
        forms = o.get("data") or {}
        value = next((forms[m] for m in ("text/markdown", "text/html", "text/plain") if m in forms), None)
        text = "".join(o.get("text", ()) if value is None else value)
        # the content of a picture or script is not read
        yield html.unescape(re.sub(r"<(svg|script|style)\b.*?</\1>", "", text, flags=re.S))


def picture_problems(outputs):
    "Yield pictures that a phone shrinks so much that letters of 9 points become unreadable."
    for o in outputs:
        forms = o.get("data") or {}
        drawn = "".join("".join(forms[m]) for m in ("text/html", "text/markdown") if m in forms)
        for width in re.findall(r"<svg\b[^>]*?\bwidth=\"([\d.]+)pt\"", drawn):
            if float(width) > WIDEST_PT:
                yield f"a picture is {width} points wide, expected at most {WIDEST_PT}: on a phone it shrinks"
        pixels = (o.get("metadata") or {}).get("image/png", {}).get("width", 0) if "image/png" in forms else 0
        if pixels > WIDEST_PT * 4 // 3:
            yield f"a picture is {pixels} pixels wide, expected at most {WIDEST_PT * 4 // 3}"


def tables_of(text):
    "Return the rows of each table in an output."
    found = [html_rows(t) for t in re.findall(r"<table\b.*?</table>", text, re.S)]
    lines = [line for line, _ in with_fences(text) if line.startswith("|")]
    return [*found, *([pipe_rows(lines)] if len(lines) > 2 else [])]


def table_problems(rows):
    cells = [[bare(c).strip("`* ") for c in row] for row in rows]
    if [row[0] for row in cells[1:4] if row] == ["0", "1", "2"] and not cells[0][0]:
        yield "a table has running numbers that a frame gave it; leave its index out"
    for row in cells:
        for cell in row:
            if EMPTY_CELL.fullmatch(cell):
                yield f"a cell of a table shows {cell!r}; say what it means, or leave the cell empty"


def prints(tree):
    "Whether a cell prints something directly."
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)):
            continue
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            return True
        todo += ast.iter_child_nodes(node)
    return False


def output_problems(source, outputs):
    "Yield what is wrong with the output of a cell on a reader's page."
    hidden = bool(re.search(r"^#\|\s*echo:\s*false", source, re.M))
    yield from picture_problems(outputs)
    for text in shown_texts(outputs):
        for pattern in (PROGRAM, LONG, *([VALUES] if hidden else ())):
            if found := pattern.search(text):
                yield f"an output shows {found[0]!r}, which is the program's form and no reader's"
        for rows in tables_of(text):
            yield from table_problems(rows)
    code = "\n".join(line for line in source.split("\n") if not line.startswith("#|"))
    open_to_all = not hidden and not re.search(r"^#\|\s*code-fold:\s*true", source, re.M)
    if open_to_all and not outputs and code.count("\n") >= MOST_LINES:
        yield f"{code.count(chr(10)) + 1} lines of code show nothing; fold them: #| code-fold: true"
    if not outputs and prints(ast.parse(code, mode="exec")):
        yield f"a cell prints nothing, although it shows how: {code[:60]!r}"


def prose_problems(text):
    for line, fenced in with_fences(text):
        for found in () if fenced else NOTEBOOK.findall(line):
            yield f"`{found}` names a notebook that is not there"


def reader_problems(cells):
    "Yield what is wrong with a reader's page, given as (kind, source, outputs)."
    for kind, source, outputs in cells:
        yield from prose_problems(source) if kind == "markdown" else ()
        yield from output_problems(source, outputs) if kind == "code" else ()
