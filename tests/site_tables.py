"""How figures and printed text are laid out: numbers right-aligned, never broken; printed tables as tables.

Readers compare numbers down a column, so they are aligned at their ends, and an interval or a date that is
broken across lines is read as two values. Printed text that is wider than the page is cut off at the margin:
sentences are wrapped, tables become tables."""

import html
import re

_VALUE = (
    r"[~≈<>≤≥]?\s?[+−-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?"
    r"(?:\s?(?:%|s|ms|h|min|days|[kMG]?B|USD|x|×))?"
)
_DATE = r"\d{4}-\d\d(?:-\d\d)?"
_PAIR = rf"{_VALUE}(?:, | to |\s?[–…]\s?){_VALUE}"
NUMBER = re.compile(rf"(?P<value>{_DATE}|{_PAIR}|{_VALUE})(?: (?P<interval>\({_PAIR}\)|\[{_PAIR}\]))?")
EMPTY = {"", "-", "–", "—"}
RULE_OF_DASHES = re.compile(r"\s*-+(?: +-+)+\s*")
WIDE = 40  # letters of a printed line that a phone shows


# ---- columns of numbers
def bare(cell):
    return html.unescape(re.sub(r"<[^>]*>", "", cell)).strip()


def number_columns(rows):
    "Return the indices of columns with only numbers and gaps, header excluded; column 0 names the rows."
    columns = list(zip(*([bare(cell) for cell in row] for row in rows)))
    filled = [[c for c in column if c not in EMPTY] for column in columns]
    return {i for i, column in enumerate(filled) if i and column and all(map(NUMBER.fullmatch, column))}


def unparted(cell):
    "Keep a number and its interval each on one line."
    found = NUMBER.fullmatch(cell.strip())
    if not found or not (found["interval"] or re.search(r"[ –…-]", found["value"])):
        return cell
    parts = [f'<span class="n">{part}</span>' for part in found.group("value", "interval") if part]
    return cell.replace(cell.strip(), " ".join(parts))


def aligned_pipes(lines):
    "Right-align the number columns of a pipe table (header, rule, rows)."
    rows = [re.split(r"(?<!\\)\|", line.strip()[1:].removesuffix("|")) for line in lines]
    if len(rows) < 3 or len({len(row) for row in rows}) > 1 or any(":" in rule for rule in rows[1]):
        return lines
    numbers = number_columns(rows[2:])
    rows[1] = [rule.rstrip()[:-1] + ": " if i in numbers else rule for i, rule in enumerate(rows[1])]
    rows[2:] = [[unparted(c) if i in numbers else c for i, c in enumerate(row)] for row in rows[2:]]
    return [f"|{'|'.join(row)}|" for row in rows]


def aligned_frames(text):
    "Right-align the number columns of pandas' tables in HTML."
    return re.sub(r'<table[^>]*class="dataframe".*?</table>', _aligned_frame, text, flags=re.S)


def _aligned_frame(found):
    rows = re.findall(r"<tr\b.*?</tr>", found[0], re.S)
    cells = [re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.S) for row in rows]
    if "span=" in found[0] or len({len(row) for row in cells}) > 1:
        return found[0]
    numbers = number_columns(cells[1:])
    table = found[0]
    for row in rows:
        table = table.replace(row, _aligned_row(row, numbers), 1)
    return table


def _aligned_row(row, numbers):
    places = iter(range(row.count("<t")))

    def cell(found):
        if next(places) not in numbers:
            return found[0]
        text = unparted(found[2]) if found[1] == "d" else found[2]
        return f'<t{found[1]} class="number">{text}</t{found[1]}>'

    return re.sub(r"<t([dh])\b[^>]*>(.*?)</t[dh]>", cell, row, flags=re.S)


# ---- printed output
def spans_of(rule):
    "Return the column positions of a printed table from the dashes below its header; the last is open."
    starts = [m.start() for m in re.finditer("-+", rule)]
    ends = [m.end() for m in re.finditer("-+", rule)]
    return [*zip(starts, ends[:-1]), (starts[-1], None)]


def cut(line, spans):
    "Return the cells of a line; None if there is text between two columns."
    between = zip((end for _, end in spans), (start for start, _ in spans[1:]))
    if line[: spans[0][0]].strip() or any(line[end:start].strip() for end, start in between):
        return None
    return [line[start:end].strip() for start, end in spans]


def printed_parts(text):
    "Return printed text as parts: ('table', rows) and ('text', lines)."
    lines, parts, plain = text.splitlines(), [], []
    i = 0
    while i < len(lines):
        rows = _printed_table(lines, i)
        if rows:
            parts += [("text", plain)] if plain else []
            parts.append(("table", rows))
            plain, i = [], i + len(rows) + 1
        else:
            plain.append(lines[i])
            i += 1
    return parts + ([("text", plain)] if plain else [])


def _printed_table(lines, i):
    "Return the header and rows of a printed table whose header is line i; empty if there is none."
    if i + 2 >= len(lines) or not RULE_OF_DASHES.fullmatch(lines[i + 1]) or not lines[i].strip():
        return []
    spans, rows = spans_of(lines[i + 1]), []
    for line in [lines[i], *lines[i + 2 :]]:
        cells = cut(line, spans) if line.strip() else None
        if cells is None:
            break
        rows.append(cells)
    return rows if len(rows) > 1 else []


def stands_in_columns(lines):
    "Whether printed lines are set in columns, which wrapping would destroy."
    stripped = [line.strip() for line in lines if line.strip()]
    set_apart = [
        line for line in stripped if re.search(r"\S {2,}\S", line) or re.search(r"[─-╿▀-▟⠀-⣿]", line)
    ]
    return 2 * len(set_apart) >= len(stripped)


def printed_html(text):
    "Return Markdown for printed text, or None if it can stay unchanged."
    parts = printed_parts(text)
    if not any(kind == "table" or goes_on(shown) for kind, shown in parts):
        return None
    return "\n\n".join(_table(shown) if kind == "table" else _text(shown) for kind, shown in parts)


def goes_on(lines):
    "Whether lines are wider than a phone and not set in columns, so that they are wrapped."
    return max(map(len, lines)) > WIDE and not stands_in_columns(lines)


def _text(lines):
    lines = "\n".join(lines).strip("\n").split("\n")
    if not any(lines):
        return ""
    if not goes_on(lines):
        return f"```{{=html}}\n<pre><code>{html.escape(chr(10).join(lines))}</code></pre>\n```"
    spans = "".join(f"<span>{html.escape(line) or ' '}</span>" for line in lines)
    return f'```{{=html}}\n<pre class="said"><code>{spans}</code></pre>\n```'


def _table(rows):
    "Return a printed table as a pipe table; the content of its cells is text, not Markdown."
    shown = [[re.sub(r"([\\`*_{}\[\]<>()#|~^$@!'\"-])", r"\\\1", cell) for cell in row] for row in rows]
    numbers = number_columns(rows[1:])
    shown[1:] = [
        [unparted(rows[k][i]) if i in numbers else cell for i, cell in enumerate(row)]
        for k, row in enumerate(shown[1:], 1)
    ]
    dashes = ["-" * max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rule = [d[:-1] + ":" if i in numbers else d for i, d in enumerate(dashes)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [shown[0], rule, *shown[1:]])
