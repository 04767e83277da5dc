"""How Quarto reads a notebook, as far as the pages depend on it, so that its faults show without Quarto.

Quarto writes every notebook as one Markdown document and passes it to pandoc: prose unchanged, code as a
fenced block in a div `.cell`, each output in a div of its own. A `source` that is a list is read line by
line; a string is split at its newlines, and they are lost when the lines are joined again."""

import json
import re
import subprocess

import yaml
from site_markdown import HEADING, with_fences

OPTION = re.compile(r"#\s*\| ?")  # distinguishes an option of a cell from a comment, as in Quarto
# libyaml if available: thousands of cells have options, and the scanner in Python takes ten times longer
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
BEST_FIRST = ("text/markdown", "image/svg+xml", "image/png", "text/latex", "text/html", "text/plain")


def read_lines(value):
    return list(value) if isinstance(value, list) else re.split(r"\r?\n", value)


def with_options(cell):
    "Return (options, lines) of a cell; only its first lines can be options."
    lines = read_lines(cell["source"])
    n = next((i for i, line in enumerate(lines) if not OPTION.match(line)), len(lines))
    if not n:
        return {}, lines
    options = yaml.load("\n".join(OPTION.sub("", line, count=1) for line in lines[:n]), LOADER)
    return options or {}, lines[n:]


def closed(lines):
    text = "".join(lines)
    return text if not text or text.endswith("\n") else text + "\n"


def code_block(lines, head=""):
    ticks = "`" * max([3, *(len(m) + 1 for m in re.findall(r"^\s*(`{3,})", "".join(lines), re.M))])
    return f"{ticks}{head}\n{closed(lines)}{ticks}\n"


def of_output(output):
    "Return (class, Markdown) of an output, in the form that Quarto prefers for HTML."
    if output["output_type"] == "stream":
        return f"cell-output-{output['name']}", code_block(read_lines(output["text"]))
    if output["output_type"] == "error":
        return "cell-output-error", code_block([f"{output['ename']}: {output['evalue']}"])
    kind = next((m for m in BEST_FIRST if m in output["data"]), "text/plain")
    # here a string stays whole: only sources and streams are split
    value = output["data"].get(kind, "")
    lines = value if isinstance(value, list) else [value]
    if kind == "text/markdown":
        return "cell-output-display .cell-output-markdown", "".join(lines) + "\n"
    if kind.startswith("image/"):
        return "cell-output-display", "![](figure)\n"
    head = {"text/html": " {=html}", "text/latex": " {=tex}"}.get(kind, "")
    return "cell-output-display", code_block(lines, head)


def of_outputs(cell, as_is):
    for output in cell["outputs"]:
        name, text = of_output(output)
        yield text if as_is else f"\n::: {{.cell-output .{name}}}\n{text}:::\n"


def of_code(cell):
    options, lines = with_options(cell)
    as_is, parts = options.get("output") == "asis", []
    if options.get("include") is False:
        return ""
    if options.get("echo") is not False:
        fold = f' code-fold="true" code-summary="{options.get("code-summary", "Code")}"'
        head = f" {{.python .cell-code{fold if options.get('code-fold') is True else ''}}}"
        parts.append(code_block([*lines, "\n"], head))
    if options.get("output") is not False:
        parts += of_outputs(cell, as_is)
    if not parts or as_is:
        return "".join(parts) + "\n"
    return f"::: {{#{cell['id']} .cell}}\n{''.join(parts)}:::\n\n"


def assembled(notebook):
    "Return the Markdown document that pandoc receives."
    return "".join(
        (of_code(cell) if cell["cell_type"] == "code" else closed(with_options(cell)[1])) + "\n"
        for cell in notebook["cells"]
    )


def pandoc_anchors(document):
    "Return (title, anchors) of a document as pandoc reads it."
    command = ["pandoc", "-f", "markdown", "-t", "json"]
    done = subprocess.run(command, input=document, capture_output=True, text=True, check=True)
    read = json.loads(done.stdout)
    distinct = set()
    collect(read["blocks"], distinct)
    return inline_text(read["meta"].get("title", {}).get("c", [])), distinct


def inline_text(inlines):
    spaces = {"Space": " ", "SoftBreak": " "}
    texts = [spaces.get(x["t"]) or x.get("c", "") for x in inlines]
    return "".join(t if isinstance(t, str) else t[-1] if isinstance(t[-1], str) else "" for t in texts)


def collect(node, found):
    "Collect the anchors of headings, divs, spans, links and raw HTML below a node of pandoc's tree."
    if isinstance(node, list):
        for part in node:
            collect(part, found)
        return
    if not isinstance(node, dict):
        return
    content = node.get("c")
    if node.get("t") in ("RawBlock", "RawInline"):
        found.update(re.findall(r"""\bid=["']([^"']+)""", content[1]))
    attributes = {"Header": 1, "Div": 0, "Span": 0, "Link": 0, "Code": 0, "CodeBlock": 0}.get(node.get("t"))
    if attributes is not None and content[attributes][0]:
        found.add(content[attributes][0])
    collect(content, found)


# ---- rules for notebooks
def line_problems(cell):
    "Yield what is wrong with the lines of a cell and of its outputs."
    texts = [cell["source"]]
    for output in cell.get("outputs", []):
        texts += [output["text"]] if "text" in output else []
        texts += [v for mime, v in output.get("data", {}).items() if mime.startswith("text/")]
    for text in texts:
        if not isinstance(text, list):
            yield f"{str(text)[:40]!r} is one string; a list of lines keeps its newlines"
        elif any("\n" in line[:-1] for line in text) or any(line[-1:] != "\n" for line in text[:-1]):
            yield f"{text[0][:40]!r} is not cut at its newlines"


def front_matter_problems(notebook):
    first = notebook["cells"][0]
    text = closed(read_lines(first["source"]))
    match = re.fullmatch(r"---\n(\S.*?\n)---\n", text, re.S)
    if first["cell_type"] != "raw" or not match:
        return ["the first cell is no front matter"]
    matter = yaml.load(match[1], LOADER)
    return [] if isinstance(matter, dict) and matter.get("title") else ["the front matter has no title"]


def option_problems(cell):
    "Return violations of the rule that a code cell's options come first, one per line, as YAML."
    if cell["cell_type"] != "code":
        return []
    try:
        options, rest = with_options(cell)
    except yaml.YAMLError as e:
        return [f"options are no YAML: {e}"]
    late = [line.strip() for line in rest if re.match(r"#\| *[\w-]+:", line)]
    return [f"{line!r} is below code" for line in late] + (
        [] if isinstance(options, dict) else [f"{options!r} is no option of a cell"]
    )


def heading_problems(document):
    "Yield headings of a document without a blank line before and after them."
    lines = list(with_fences(document))
    for i, (line, fenced) in enumerate(lines):
        if not fenced and HEADING.match(line):
            around = [lines[j][0] for j in (i - 1, i + 1) if 0 <= j < len(lines)]
            if any(text.strip() for text in around):
                yield f"the heading {line[:60]!r} has no blank line before and after it"


def reading_problems(notebook):
    "Return what Quarto would read differently from what is meant."
    cells = notebook["cells"]
    out = [problem for cell in cells for problem in line_problems(cell)] + front_matter_problems(notebook)
    out += [problem for cell in cells for problem in option_problems(cell)]
    return out if out else list(heading_problems(assembled(notebook)))
