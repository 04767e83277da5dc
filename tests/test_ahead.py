"Importing a room changes no other room and reads nothing around it, so that it may be done ahead of a test."

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import ahead
import pytest

ROOMS = sorted(p for p in ahead.PACKAGE.rglob("*.py") if p.name != "_modidx.py")
NOTEBOOKS = sorted((ahead.PACKAGE.parent / "nbs").rglob("*.ipynb"))
# tables that other rooms fill when they are imported
FILLED = {"metrics.checks.CHECKS", "metrics.checks.LOOSE", "cli.words._GROUPS"}
IMPORTED = """
import json, sys
from importlib.machinery import SourceFileLoader

import ahead

kept, rooms, found = {}, [], []
execute = SourceFileLoader.exec_module


def and_look(loader, module):
    execute(loader, module)
    if module.__name__.partition(".")[0] != "crmeval":
        return
    rooms.append(module.__name__)
    for held in kept.values():
        if (now := repr(held[1])) != held[2]:
            found.append([module.__name__, held[0]])
            held[2] = now
    for key, value in vars(module).items():
        if isinstance(value, (dict, list, set)) and not key.startswith("__"):
            kept.setdefault(id(value), [f"{module.__name__}.{key}", value, repr(value)])


SourceFileLoader.exec_module = and_look
ahead.load(ahead.rooms(sys.argv[1].split()))
print(json.dumps([rooms, len(kept), found]))
"""


@pytest.fixture(scope="module")
def imported():
    "(rooms, number of tables, [(room, table of another room that it changed)]) of all wings."
    from test_package import WINGS

    words = [sys.executable, "-c", IMPORTED, " ".join(WINGS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=Path(ahead.__file__).parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def imports_of(path):
    "{room: names} that a module imports from other rooms, wherever it does."
    from test_package import imports_of

    return {room.removeprefix("crmeval."): names for room, names, _ in imports_of(path)}


def test_a_room_that_is_imported_changes_no_table_of_another(imported):
    rooms, tables, changed = imported
    assert len(rooms) > 400 and tables > 300
    filled = {table.removeprefix("crmeval.") for _, table in changed}
    assert filled == FILLED, "the rule sees what it forbids, and nothing else"


def test_a_table_that_several_rooms_fill_is_read_where_all_of_them_are(imported):
    "Whoever reads it sees the same, whatever else was imported."
    fill = {(room.removeprefix("crmeval."), table.removeprefix("crmeval.")) for room, table in imported[2]}
    readers = 0
    for path in ROOMS:
        room, imports = f"{path.parent.name}.{path.stem}", imports_of(path)
        for table in FILLED:
            home, _, name = table.rpartition(".")
            if name in imports.get(home, ()):
                others = {by for by, filled in fill if filled == table} - {room}
                assert others <= set(imports), f"{room} reads {table} without {others - set(imports)}"
                readers += 1
    assert readers >= 2


def test_what_is_loaded_ahead_fills_no_table_of_a_wing_below():
    for names, wings in ((ahead.rooms(), set(ahead.FOR_NOTEBOOKS)), (ahead.FOR_COMMANDS, set())):
        code = f"import sys, ahead; ahead.load({names!r}); print(*sys.modules)"
        words, here = [sys.executable, "-c", code], Path(ahead.__file__).parent
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=here)
        ours = {name for name in done.stdout.split() if name.startswith("crmeval.")}
        assert set(names) <= ours and len(ours) > 150, done.stderr
        seen = {name.split(".")[1] for name in ours}
        assert seen == wings if wings else "cli" not in seen


def when_imported(node):
    "What of a tree runs when its module is imported: all but the bodies of functions."
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and child in (
            node.body if isinstance(node.body, list) else [node.body]
        ):
            continue
        yield from when_imported(child)


AROUND = {"environ", "getenv", "getcwd", "cwd", "home", "expanduser", "argv", "getpid", "stdin", "stdout"}


def around(tree):
    "Names by which a module looks around itself when it is imported, and attributes of others that it sets."
    for node in when_imported(tree):
        name = getattr(node, "attr", getattr(node, "id", None))
        if name in AROUND:
            yield name
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield f"sets {name}"


def test_no_room_looks_around_itself_when_it_is_imported():
    assert len(ROOMS) > 400
    found = {p.name: [*around(ast.parse(p.read_text(encoding="utf-8")))] for p in ROOMS}
    assert not {name: names for name, names in found.items() if names}
    reads = (
        "import os\nA = os.environ.get('A')\ndef f(): return os.getcwd()\nclass B: c = os.getpid()\nos.x = 1"
    )
    assert [*around(ast.parse(reads))] == ["environ", "getpid", "sets x"]


def loaded_by_others(source):
    "Rooms that a program reaches through `crmeval` without an import that names them."
    tree = ast.parse(source)
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            wing = node.value
            if (
                isinstance(wing.value, ast.Name)
                and wing.value.id == "crmeval"
                and wing.attr in ahead.FOR_NOTEBOOKS
            ):
                room = f"crmeval.{wing.attr}.{node.attr}"
                if room not in imported:
                    yield room


@pytest.mark.skipif(not NOTEBOOKS, reason="notebooks are not here: this is an installed package")
def test_no_notebook_reaches_a_room_that_it_has_not_imported():
    wrong = {}
    for path in NOTEBOOKS:
        cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
        lines = [re.sub(r"^\s*[%!].*", "", "".join(c["source"]), flags=re.M) for c in cells]
        if names := [*loaded_by_others("\n".join(lines))]:
            wrong[path.name] = names
    assert not wrong
    assert [*loaded_by_others("import crmeval\ncrmeval.core.text.words('a')")] == ["crmeval.core.text"]
    assert not [*loaded_by_others("import crmeval.core.text\ncrmeval.core.text.words('a')")]
