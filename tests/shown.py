"""Compare the outputs that a notebook shows with those that its code gives now.

A page shows stored outputs. If code or data change, nothing else would notice that a figure on it is old.
Numbers may differ by one unit of their last digit or by one per cent, as processors round differently. Times,
a table's columns of times, sizes, dates and random identifiers are ignored, and so are pictures. In the cells
of `VARYING`, only the words are compared.
"""

import html
import os
import re
from collections.abc import Iterator, Sequence

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
TIMED = re.compile(r"\b(?:seconds?|minutes|milliseconds|CPU|latency|p50|p99|took)\b|a second|/s\b")
# what heads a column of times
TIMES = re.compile(
    r"(?:.*[\s_(])?(?:s|ms|µs|sec|secs|seconds?|minutes?|milliseconds|CPU|cpu|wall|latency|duration|took)\b.*"
)
PASSING = (
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::[\d.]+)?(?:Z|[-+]\d\d:\d\d)?)?",  # dates
    r"\b0x[0-9a-f]+\b",  # addresses
    r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b",  # digests
    r"\[?\b[A-Z]+_[A-Z0-9]{5}\b\]?",  # placeholders
    r"(?:/[\w.-]+)+/tmp\w+|/tmp/[\w./-]+|\btmp\w{8}\b",  # folders
    r"(?:\d+%\|[^|]*\|.*|Generating .* split:.*)",  # progress
    r"<?\d[\d,.]* ?(?:ms|µs|s|min|[kK]B|MB|GB)\b",
    r"127\.0\.0\.1:\d+",
    r"\(?no calls\b.*",  # the seconds of a leaderboard's row follow
)
VARYING = {
    "0a48a4ee": "runs/01_rate_limits: identifiers of bookings",
    "b74c5ca0": "runs/02_traffic: which calls had to wait",
    "838989d7": "runs/05_runner: answers until the stop",
}
# a row of a leaderboard; its last two numbers are seconds
ROW = re.compile(r"(.* the built-in judge .*?)(?:\s+<?[\d.]+){2}\s*")
ABSENT = re.compile(r"skipped|not installed|is not set|no data at hand", re.IGNORECASE)


def untimed(table: re.Match) -> str:
    "Return a table's rows as lines, with ~ in the columns whose heads name a time."
    rows = re.findall(r"<tr\b.*?</tr>", table[0], flags=re.DOTALL | re.IGNORECASE)
    cells = [re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL | re.IGNORECASE) for row in rows]
    heads = [re.sub(r"<[^<>]+>", " ", cell) for cell in (cells or [[]])[0]]
    times = {i for i, head in enumerate(heads) if TIMES.fullmatch(html.unescape(head).strip())}
    lines = [
        ["~" if n and i in times and len(row) == len(heads) else cell for i, cell in enumerate(row)]
        for n, row in enumerate(cells)
    ]
    return "\n" + "\n".join(" ".join(line) for line in lines) + "\n"


def columns(line: str) -> list[tuple[int, int, str]]:
    "Return (start, end, text) of what stands apart by two spaces or more."
    return [(*m.span(), m[0]) for m in re.finditer(r"\S+(?: \S+)*", line)]


def of_output(output) -> str:
    "Return the text of one output as a reader sees it; '' for pictures and standard error."
    if output["output_type"] == "stream":
        return "".join(output["text"]) if output.get("name") == "stdout" else ""
    data = output.get("data", {})
    if "image/svg+xml" in data or "image/png" in data:
        return ""
    for kind in ("text/markdown", "text/html", "text/plain"):
        if kind in data:
            text = "".join(data[kind])
            text = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
            text = re.sub(r"<table\b.*?</table>", untimed, text, flags=re.DOTALL | re.IGNORECASE)
            text = re.sub(r"</(?:tr|p|div|li|summary|h\d)>", "\n", text)  # lines, as a reader sees them
            return html.unescape(re.sub(r"<[^<>]+>", " ", text)) + "\n"
    return ""


def text_of(outputs: Sequence) -> str:
    "Return what was printed and then what was displayed; the order between them depends on the shell."
    streams = sorted(outputs, key=lambda o: o["output_type"] != "stream")
    return "".join(map(of_output, streams))


def settled(text: str) -> Iterator[tuple[str, list[str]]]:
    "Yield (words, numbers) of each line that does not depend on the moment."
    times: list[tuple[int, int]] = []  # from where to where the columns of times reach in the current table
    for line in text.splitlines():
        parts = columns(line)
        heads = [(start, end) for start, end, part in parts if TIMES.fullmatch(part)]
        if len(parts) > 2 and heads:
            times = heads
        elif not parts:
            times = []
        for start, end, _ in reversed([] if heads else parts):
            if any(start < till and since < end for since, till in times):
                line = f"{line[:start]}~{line[end:]}"
        line = row[1] if (row := ROW.fullmatch(line)) else line
        for pattern in PASSING:
            line = re.sub(pattern, "~", line)
        numbers = [] if TIMED.search(line) else NUMBER.findall(line)
        words = " ".join(re.sub(r"[-─━═|+]{3,}", "", NUMBER.sub("#", line)).split())
        if words:
            yield words, numbers


def near(a: str, b: str) -> bool:
    "Whether two printed numbers are equal up to one unit of the last digit of a fraction, or one per cent."
    x, y = (float(n.replace(",", "")) for n in (a, b))
    digits = min(len(n.partition("e")[0].partition(".")[2]) for n in (a, b))
    unit = 10.0**-digits if digits and "e" not in a + b else 0.0
    return abs(x - y) <= max(1.01 * unit, 0.01 * abs(x))


def stale(shown: Sequence, given: Sequence, *, varying: bool = False) -> str | None:
    "Return what differs between shown and given outputs of a cell, or None; `varying`: numbers may differ."
    old, new = text_of(shown), text_of(given)
    if not old.strip() or (ABSENT.search(new) and not ABSENT.search(old)):
        return None
    before, after = list(settled(old)), list(settled(new))
    for (words, numbers), (words_now, numbers_now) in zip(before, after):
        if words != words_now:
            at = max(0, len(os.path.commonprefix([words, words_now])) - 30)
            return f"shows {words[at:][:90]!r}, gives {words_now[at:][:90]!r}"
        pairs = zip(numbers, numbers_now)
        if len(numbers) == len(numbers_now) and not varying and (far := [p for p in pairs if not near(*p)]):
            return f"{words[:90]!r}: shows {far[0][0]}, gives {far[0][1]}"
    if len(before) != len(after):
        return f"shows {len(before)} lines, gives {len(after)}"
    return None


def comparing(found: list[str]) -> type:
    "Return a shell for `test_nb` that appends to `found` what is old in the cells that it runs."
    from execnb.shell import CaptureShell

    class Comparing(CaptureShell):
        def cell(self, cell, **options):
            shown = cell.get("outputs", []) if cell.cell_type == "code" else []
            super().cell(cell, **options)
            if shown and not self.exc:
                name = cell.get("id", "")
                why = stale(shown, cell.get("outputs", []), varying=name in VARYING)
                found.extend([f"cell {name}: {why}"] if why else [])

    return Comparing
