"Tutorials run as they stand, with no other machine to reach; each asserts what it shows."

import ast
import asyncio
import contextlib
import inspect
import io
import json
import re
import socket
import types
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "nbs" / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
pytestmark = pytest.mark.skipif(not TUTORIALS, reason="notebooks are not here: this is an installed package")
each = pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)


def cells(path, kind="code"):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


@pytest.fixture
def offline(monkeypatch):
    "Nothing but this machine can be reached."
    connect = socket.socket.connect

    def only_here(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in (
            "127.0.0.1",
            "::1",
            "localhost",
        ):
            raise OSError(f"{address[0]} is another machine")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CRMEVAL_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(FOLDER)


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


def cell(name, source, space):
    "Run a cell as Jupyter does, where `await` may stand outside a function."
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waits = code.co_flags & inspect.CO_COROUTINE
    if waits:
        asyncio.run(types.FunctionType(code, space)())
    else:
        exec(code, space)


@each
def test_it_runs_as_it_stands(path, offline):
    from crmeval.metrics import criteria
    from crmeval.tasks import use_cases

    space, out = {"__name__": "tutorial"}, io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            for i, c in enumerate(cells(path)):
                cell(f"{path.name}, cell {i}", "".join(c["source"]), space)
    finally:
        use_cases._ADDED.clear()
        criteria._ADDED.clear()
    stored = "".join(
        "".join(o.get("text", "")) for c in cells(path) for o in c["outputs"] if o["output_type"] == "stream"
    )
    assert len(out.getvalue().split()) > 20

    # the same words come out; seconds differ
    def words(text):
        return set(re.findall(r"[A-Za-z]{4,}", text))

    assert len(words(out.getvalue()) & words(stored)) > 0.9 * len(words(stored))


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
