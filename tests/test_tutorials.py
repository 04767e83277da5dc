"Rules for tutorials, and tests of these rules; `notebooks.py` runs every tutorial."

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tutorials

FOLDER = Path(__file__).resolve().parents[1] / "nbs" / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
pytestmark = pytest.mark.skipif(not TUTORIALS, reason="notebooks are not here: this is an installed package")
each = pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)


def cells(path, kind="code"):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def test_the_promised_ones_are_there():
    assert {p.stem for p in TUTORIALS} >= {
        "your_model",
        "your_data",
        "add_a_metric",
        "add_a_use_case",
        "rate_by_hand",
        "one_metric",
        "reading_a_leaderboard",
    }


def written(path, *cells, text=""):
    "Write a notebook of (source, recorded output) cells below a text."
    made = [{"cell_type": "markdown", "metadata": {}, "source": text}] if text else []
    made += [
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": None,
            "source": source,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": shown}] if shown else [],
        }
        for source, shown in cells
    ]
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


SAID = "".join(
    f"{word} comes on Friday and costs nothing\n" for word in ("parcel", "letter", "lamp", "chair")
)
TRIES = {  # name: (cell, recorded output, whether the tutorial passes, extras)
    "as_shown": (f"print({SAID!r})", SAID, True),
    "another_word": (f"print({SAID.replace('Friday', 'Monday')!r})", SAID, False),
    "prints_little": ("print('parcel')", "parcel", False),
    "fails_late": (f"print({SAID!r})\n1 / 0", SAID, False),
    "waits": (f"import asyncio\nawait asyncio.sleep(0)\nprint({SAID!r})", SAID, True),
    "asks_another_machine": (
        f"import socket\nprint({SAID!r})\nsocket.create_connection(('192.0.2.1', 80), timeout=1)",
        SAID,
        False,
    ),
    "asks_this_machine": (
        "import socket\nhere = socket.create_server(('127.0.0.1', 0))\n"
        f"socket.create_connection(here.getsockname()).close()\nprint({SAID!r})",
        SAID,
        True,
    ),
    "names_no_extra": (f"import openpyxl\nprint({SAID!r})", SAID, False),
    "names_another_extra": (f"import openpyxl\nprint({SAID!r})", SAID, False, "run"),
    "names_the_extra": (f"import openpyxl\nprint({SAID!r})", SAID, True, "run,rating"),
    "has_a_key_or_data": (
        f"import os\nprint({SAID!r})\nassert {{'OPENAI_API_KEY', 'CRMEVAL_DATA'}} & set(os.environ)",
        SAID,
        False,
    ),
}


RUN_THEM = """
import json, os, sys, tutorials
from pathlib import Path
import execnb.shell

for path in sorted(Path(sys.argv[1]).glob("*.ipynb")):
    child = os.fork()
    if not child:
        os.dup2(os.open(path.with_suffix(".said"), os.O_WRONLY | os.O_CREAT), 2)
        os._exit(not tutorials.ran(path))
    path.with_suffix(".code").write_text(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    "Run every case of TRIES; return a folder with their exit codes and errors."
    pytest.importorskip("execnb", reason="the notebooks' runner is not installed")
    folder = tmp_path_factory.mktemp("tutorials")
    for name, (source, shown, _, *extras) in TRIES.items():
        lines = [f"*To run it*: `pip install -e '.[{e}]'` in a clone." for e in extras]
        written(folder / f"{name}.ipynb", (source, shown), text="\n".join(lines))
    env = os.environ | {"OPENAI_API_KEY": "planted", "CRMEVAL_DATA": str(folder)}
    here = Path(tutorials.__file__).parent
    subprocess.run([sys.executable, "-c", RUN_THEM, str(folder)], check=True, timeout=120, cwd=here, env=env)
    return folder


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each is tried in a fork")
@pytest.mark.parametrize("name", TRIES)
def test_what_a_tutorial_must_do_is_noticed_where_it_does_not(name, tried):
    "Runs each case as `notebooks.py` does: violations must be reported."
    holds, output = TRIES[name][2], (tried / f"{name}.said").read_text()
    assert (tried / f"{name}.code").read_text() == str(int(not holds)), output
    expected = {"another_word": "no longer prints: Friday", "prints_little": "prints 1 words"}
    assert expected.get(name, "" if holds else "Error") in output


@each
def test_a_reader_is_told_what_to_install_and_sees_all_that_is_used(path):
    shown = [code for c in cells(path) if not (code := "".join(c["source"])).startswith("#| hide")]
    extras = tutorials.named_extras("\n".join("".join(c["source"]) for c in cells(path, "markdown")))
    lists = tutorials.requirements()
    assert {"notebook", "run"} <= extras <= set(lists)
    by_name = {m for extra in {"", *extras} for d in lists[extra] for m in tutorials.modules_of(d)}
    # a running notebook always has the kernel
    assert tutorials.imported("\n".join(shown)) <= by_name | {"crmeval", "IPython"}
    assert tutorials.missing_names("\n".join(shown)) == set(), "defined in a hidden cell"


def test_what_a_reader_lacks_is_noticed():
    assert tutorials.missing_names("print(len(rows))\nfor x in y: z = x") == {"rows", "y"}
    assert tutorials.missing_names("import a.b as c, d.e\ndef f(g):\n    return c, d, g\nf(1)") == set()
    assert tutorials.imported("import os, httpx\nfrom fastcore.test import test_eq") == {"httpx", "fastcore"}
    assert tutorials.named_extras("As in [run].\n*To run it*: nothing.") == set()


@each
def test_it_asserts_and_shows(path):
    code = ["".join(c["source"]) for c in cells(path)]
    hidden = "\n".join(c for c in code if c.startswith("#| hide"))
    assert (
        len(re.findall(r"\bassert\b", hidden)) >= 1 and len(re.findall(r"\bassert\b", "\n".join(code))) >= 2
    )
    assert sum(bool(c["outputs"]) for c in cells(path)) >= 3
    assert not any(o["output_type"] == "error" for c in cells(path) for o in c["outputs"])
    assert (
        len(re.findall(r"^## ", "\n\n".join("".join(c["source"]) for c in cells(path, "markdown")), re.M))
        >= 2
    )
