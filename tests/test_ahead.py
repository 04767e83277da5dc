"Importing a module changes no other module and reads nothing of its environment, so it can be preloaded."

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import ahead
import pytest
from syntax import tree_of
from test_package import WINGS, imports_of

ROOMS = sorted(p for p in ahead.PACKAGE.rglob("*.py") if p.name != "_modidx.py")
NOTEBOOKS = sorted((ahead.PACKAGE.parent / "nbs").rglob("*.ipynb"))
# tables that other modules fill when they are imported
FILLED = {"metrics.checks.CHECKS", "metrics.checks.LOOSE", "cli.words._GROUPS"}
IMPORTED = """
import json, sys
from importlib import import_module
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
for room in ahead.rooms(sys.argv[1].split()):
    import_module(room)
print(json.dumps([rooms, len(kept), found]))
"""


@pytest.fixture(scope="module")
def imported():
    "Return the modules, the number of tables and each (module, table of another module that it changed)."
    words = [sys.executable, "-c", IMPORTED, " ".join(WINGS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=Path(ahead.__file__).parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names_from(path):
    "Return {module: names} for the imports from other modules, anywhere in the file."
    return {room.removeprefix("crmeval."): names for room, names, _ in imports_of(path)}


def test_a_room_that_is_imported_changes_no_table_of_another(imported):
    rooms, tables, changed = imported
    assert len(rooms) > 400 and tables > 300
    filled = {table.removeprefix("crmeval.") for _, table in changed}
    assert filled == FILLED, "every table listed in FILLED is detected, and no other"


def test_a_table_that_several_rooms_fill_is_read_where_all_of_them_are(imported):
    "A reader imports every module that fills the table, so it sees the same content in any order of imports."
    fill = {(room.removeprefix("crmeval."), table.removeprefix("crmeval.")) for room, table in imported[2]}
    readers = 0
    for path in ROOMS:
        room, imports = f"{path.parent.name}.{path.stem}", names_from(path)
        for table in FILLED:
            home, _, name = table.rpartition(".")
            if name in imports.get(home, ()):
                others = {by for by, filled in fill if filled == table} - {room}
                assert others <= set(imports), f"{room} reads {table} without {others - set(imports)}"
                readers += 1
    assert readers >= 2


LEFT = """
import json, sys
from pathlib import Path

import ahead


def ours():
    return [n for n in sys.modules if n.partition(".")[0] == "crmeval"]


ahead.load()
found = [ours()]
ahead.fit(Path("nbs/runs/01_room.ipynb"))
found.append(ours())
ahead.fit(Path("nbs/metrics/01_room.ipynb"))
found.append(ours())
from crmeval.metrics.checks import CHECKS

found.append(list(CHECKS))
import crmeval.metrics.instruction_following

found.append(list(CHECKS))
ahead.forget()
found.append(ours())
print(json.dumps(found))
"""


def test_what_is_loaded_ahead_and_what_is_left_to_a_notebook():
    words, here = [sys.executable, "-c", LEFT], Path(ahead.__file__).parent
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=here)
    assert done.returncode == 0, done.stderr
    loaded, to_runs, to_metrics, bare, full, nothing = json.loads(done.stdout)
    assert {*ahead.rooms(), *ahead.BELOW} <= set(loaded) and len(loaded) > 250
    assert "cli" not in {name.split(".")[1] for name in loaded if "." in name}
    assert to_runs == loaded
    assert {name.split(".")[1] for name in to_metrics if "." in name} == set(ahead.ABOVE)
    assert set(ahead.rooms()) <= set(to_metrics)
    assert (bare, nothing) == ([], []) and len(full) > 20, "no table shows that anything was loaded"


WARMED = """
import json, os, sys, threading

sys.path[0] = os.getcwd()
import ahead

ahead.load()
opened, asked = [], []


class Noted(type(os.environ)):
    def __getitem__(self, name):
        asked.append(name)
        return super().__getitem__(name)


def hook(event, arguments):
    # an import looks through the folders of sys.path
    if event in ("open", "os.listdir", "os.scandir", "socket.connect") and arguments[0] not in sys.path:
        opened.append([event, str(arguments[0])])


before = dict(os.environ)
os.environ.__class__ = Noted
sys.addaudithook(hook)
ahead.warm()
found = [opened[:], asked[:]]
assert os.environ["PATH"] and asked[-1:] == ["PATH"]
print(json.dumps([*found, os.environ == before, threading.active_count(), len([*ahead.caches()])]))
"""


def test_what_is_warmed_ahead_comes_from_the_package_alone():
    "Preloading uses no environment variable, user folder, network or thread: children see no difference."
    words, here = [sys.executable, "-c", WARMED], Path(ahead.__file__).parent
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=here)
    assert done.returncode == 0, done.stderr
    opened, variables, same, threads, caches = json.loads(done.stdout)
    assert {event for event, _ in opened} <= {"open", "os.listdir", "os.scandir"}
    data = [path for _, path in opened if Path(path).is_relative_to(ahead.PACKAGE / "data")]
    assert len(data) > 50 and caches > 100
    installed = [Path(sys.prefix), Path(sys.base_prefix), Path(os.__file__).parent, ahead.PACKAGE]
    others = [path for _, path in opened if not any(Path(path).is_relative_to(at) for at in installed)]
    assert not others and same and threads == 1
    assert not [name for name in variables if not name.startswith("PYTHON")]  # variables that a library reads


def when_imported(node):
    "Yield the nodes of a tree that run on import: everything except the bodies of functions."
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and child in (
            node.body if isinstance(node.body, list) else [node.body]
        ):
            continue
        yield from when_imported(child)


AROUND = {"environ", "getenv", "getcwd", "cwd", "home", "expanduser", "argv", "getpid", "stdin", "stdout"}


def around(tree):
    "Yield names by which a module reads its environment on import, and attributes of others that it sets."
    for node in when_imported(tree):
        name = getattr(node, "attr", getattr(node, "id", None))
        if name in AROUND:
            yield name
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield f"sets {name}"


def test_no_room_looks_around_itself_when_it_is_imported():
    assert len(ROOMS) > 400
    found = {p.name: [*around(tree_of(p))] for p in ROOMS}
    assert not {name: names for name, names in found.items() if names}
    reads = (
        "import os\nA = os.environ.get('A')\ndef f(): return os.getcwd()\nclass B: c = os.getpid()\nos.x = 1"
    )
    assert [*around(ast.parse(reads))] == ["environ", "getpid", "sets x"]


def python_of(cell):
    "Return a cell without its IPython lines (% or !); a cell that parses as Python is returned unchanged."
    try:
        ast.parse(cell)
    except SyntaxError:
        return re.sub(r"^\s*[%!].*", "", cell, flags=re.M)
    return cell


FROM_ROOM = re.compile(r"^\s*from crmeval[\w.]* import\b", re.M)
MAY_REACH = re.compile(r"\bcrmeval\s*\.\s*\w+\s*\.")


def loaded_by_others(source):
    "Yield modules that a program reaches through `crmeval` without importing them by name."
    tree = ast.parse(source)
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            wing = node.value
            if isinstance(wing.value, ast.Name) and wing.value.id == "crmeval" and wing.attr in WINGS:
                room = f"crmeval.{wing.attr}.{node.attr}"
                if room not in imported:
                    yield room


@pytest.mark.skipif(not NOTEBOOKS, reason="notebooks are not here: this is an installed package")
def test_no_notebook_reaches_a_room_that_it_has_not_imported():
    "Outside metrics and cli, notebooks do not import a module whose table is filled by several modules."
    wrong, filled = {}, {table.rpartition(".")[0] for table in FILLED}
    for path in NOTEBOOKS:
        cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
        sources = ["".join(c["source"]) for c in cells]
        source = "\n".join(sources)
        # most notebooks have no such name outside their imports, and need no parsing
        if MAY_REACH.search(FROM_ROOM.sub("", source)):
            if names := [*loaded_by_others("\n".join(map(python_of, sources)))]:
                wrong[path.name] = names
        if path.parent.name not in ("metrics", "cli") and any(
            f"crmeval.{home} " in source for home in filled
        ):
            wrong[path.name] = "a table that several rooms fill"
    assert not wrong
    reaches = "from crmeval.core import text\nimport crmeval\ncrmeval.core.text.words('a')"
    assert MAY_REACH.search(FROM_ROOM.sub("", reaches)) and [*loaded_by_others(reaches)] == [
        "crmeval.core.text"
    ]
    assert not MAY_REACH.search(FROM_ROOM.sub("", "from crmeval.core.text import words\nwords('a')"))
    assert not [*loaded_by_others("import crmeval.core.text\ncrmeval.core.text.words('a')")]
