"""Texts from outside in every output format: a terminal, JSON, Markdown, LaTeX, a spreadsheet."""

import contextlib
import csv
import io
import json
import random
import re

import pytest
from markdown_it import MarkdownIt

from crmeval.cli.words import Output, on_terminal
from crmeval.core.show import json_on_terminal
from crmeval.core.table_file import md_table, write_table
from crmeval.live.training_files import TrainingFiles, data_sheet

SIGNS = [
    *"=+-@\t\r\n\x0b\x1b\x07\x08\x00\x9b\x9d\x9c\u202e\u2066\u2069\u200b\ufeff\u2028\x85\ud83d",
    *"|`*_[]()<>!#$%&~^{}\\\"'.,:;/ ab1Ä雪🙂\u200d",
    *(
        "](",
        "![",
        "{{<",
        "\\\\[",
        "\\input{",
        "$$",
        "](javascript:",
        "<!--",
        "]]>",
        "**",
        "__",
        "&lt;",
        "\\|",
    ),
]


def texts(seed, n=300, most=14):
    "Return invented texts of characters that have a meaning in some format."
    rng = random.Random(seed)
    return ["".join(rng.choices(SIGNS, k=rng.randint(1, most))) for _ in range(n)]


OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


@pytest.mark.parametrize("seed", [11, 12])
def test_nothing_that_a_command_says_is_obeyed_by_a_terminal(seed, capsys):
    for text in texts(seed):
        Output().say(f"a\n{text}")
        Output().mind(text)
        Output(as_json=True).mind(text)
        printed = capsys.readouterr()
        assert not OBEYED.search(printed.out + printed.err), (text, printed)
        assert printed.out.startswith("a\n")
        assert on_terminal(f"{text}\nnext").endswith("\nnext")


def test_a_document_says_the_same_and_nothing_in_it_is_obeyed(capsys):
    for text in texts(13):
        out = Output(as_json=True)
        out.know(name=text, within={text: [text]})
        out.done(0)
        printed = capsys.readouterr().out
        assert not OBEYED.search(printed), (text, printed)
        assert json.loads(printed)["within"] == {text: [text]}
        assert json.loads(json_on_terminal(text)) == text


def in_words(text):
    "Return a text as it is visible on one line."
    kept = "".join(
        c if c.isprintable() or c == "\u200d" else " " if c.isspace() else f"[U+{ord(c):04X}]" for c in text
    )
    return " ".join(kept.split())


def test_a_name_in_a_markdown_table_is_words_alone(tmp_path):
    names = [t.replace("\ud83d", "") for t in texts(14)]
    path = write_table([{"system": t, "n": i} for i, t in enumerate(names)], tmp_path / "t.md")
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(path.read_text("utf-8"))
    cells = [t for t in tokens if t.type == "inline"]
    assert len(cells) == 2 + 2 * len(names)
    for text, cell in zip(names, cells[2::2], strict=True):
        kinds = {c.type for c in cell.children}
        assert kinds <= {"text", "text_special"}, (text, cell.content, kinds)
        assert " ".join("".join(c.content for c in cell.children).split()) == in_words(text), cell.content


def inline_cells(table):
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(table)
    return [t for t in tokens if t.type == "inline"]


@pytest.mark.parametrize("cell", [str, lambda text: f"[{text}](a.html)", lambda text: f"`{text}`"])
def test_no_text_leaves_its_cell_whatever_a_caller_makes_of_it(cell):
    names = [t.replace("\ud83d", "") for t in texts(17)]
    table = md_table(["system", "n"], [[t, str(i)] for i, t in enumerate(names)], cell=cell)
    assert len(table.splitlines()) == 2 + len(names)
    cells = inline_cells(table)
    assert len(cells) == 2 + 2 * len(names)
    assert [c.content for c in cells[3::2]] == [cell(str(i)) for i in range(len(names))]


def test_a_data_sheet_of_training_files_shows_names_as_words(tmp_path):
    names = [t.replace("\ud83d", "") for t in texts(18, n=60)]
    (tmp_path / "train.jsonl").write_text("{}\n", encoding="utf-8")
    sources = {(t, "consent", "a person"): 1 for t in names}
    done = TrainingFiles(tmp_path, "openai", {"train.jsonl": 1}, sources, {}, {}, None, {})
    sheet = data_sheet(done)
    table = sheet.partition("## Sources\n\n")[2].partition("\n\n")[0]
    assert len(table.splitlines()) == 2 + len(sources)
    for cell in inline_cells(table):
        assert {c.type for c in cell.children} <= {"text", "text_special"}, cell.content


def test_a_name_in_latex_holds_no_command(tmp_path):
    names = [t.replace("\ud83d", "") for t in texts(15)]
    path = write_table([{"first": t, "system": t} for t in names], tmp_path / "t.tex")
    lines = path.read_text("utf-8").split("\n")[4:-3]
    assert len(lines) == len(names)
    words = r"textbackslash|textasciitilde|textasciicircum|textless|textgreater"
    for text, line in zip(names, lines, strict=True):
        assert line.endswith(r" \\"), line
        bare = re.sub(rf"\\(?:{words}){{}}|\\[&%$#_{{}}]|{{[\[\]*]}}", "", line[:-3])
        assert not re.search(r"[\\$#%{}~^<>\[\]*\x00-\x1f\x7f-\x9f]", bare), (text, line)
        assert bare.count("&") == 1, (text, line)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_no_cell_of_a_table_is_run(form, tmp_path):
    names = [t.replace("\ud83d", "") for t in texts(16)]
    path = write_table([{"system": t} for t in names], tmp_path / f"t.{form}")
    if form == "csv":
        cells = [row[0] for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""))]
    else:
        import openpyxl

        column = openpyxl.load_workbook(path).active["A"]
        assert {c.data_type for c in column} <= {"s", "n"}  # n: an empty cell
        cells = [c.value or "" for c in column]
    unseen = r"[\s\x00-\x1f\x7f-\x9f\u200b\u202e\u2066\u2069\ufeff]*"
    live = [c for c in cells if re.match(rf"{unseen}[=+@\uff1d-]", c)]
    assert not live, live[:3]
    assert len(cells) == 1 + len(names)


def test_a_bar_of_progress_names_a_system_without_obeying_it():
    from crmeval.runs.progress import Watch, show_progress

    errors = io.StringIO()
    watch = Watch({"m\x1b[2J\u202e": 2})
    with contextlib.redirect_stderr(errors), show_progress(True, 2, watch) as shown:
        watch.asking("m\x1b[2J\u202e")
        watch.answered("m\x1b[2J\u202e")
        shown.step(1, None)
        shown.tell("m\x1b]0;x\x07 is slow")
    assert "\x1b[2J" not in errors.getvalue() and "\x1b]" not in errors.getvalue(), errors.getvalue()
    assert "\u202e" not in errors.getvalue() and "is slow" in errors.getvalue()
