"""Run a tutorial as a newcomer would: offline, without a key or external data, with the output that it shows.

`notebooks.py` runs each in a process of its own, in which `only_here` holds until its end.
"""

import ast
import builtins
import os
import re
import socket
import sys
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

import shown
from packaging.requirements import Requirement

HERE = ("127.0.0.1", "::1", "localhost")
SETTINGS = Path(__file__).resolve().parents[1] / "settings.ini"


def is_tutorial(path: Path) -> bool:
    return path.parent.name == "tutorials"


def only_here() -> None:
    "Block connections to other machines, and remove keys and the data folder from the environment."
    connect = socket.socket.connect

    def to_this_machine(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in HERE:
            raise OSError(f"{address[0]} is another machine")
        return connect(self, address)

    socket.socket.connect = to_this_machine
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CRMEVAL_DATA"):
        os.environ.pop(name, None)


def named_extras(text: str) -> set[str]:
    "Return the extras in a page's line on how to run it; none if there is no such line."
    match = re.search(r"^\*To run it\*: `pip install -e '\.\[([a-z,]+)\]'`", text, re.M)
    return set(match[1].split(",")) if match else set()


def requirements() -> dict[str, list[str]]:
    "Return the requirements of each extra by name, '' for the package alone; without those of the tests."
    config = ConfigParser(delimiters=["="])
    config.read(SETTINGS, encoding="utf-8")
    lists = {key: value for key, value in config["DEFAULT"].items() if key.endswith("requirements")}
    lists.pop("dev_requirements")
    return {
        key.removesuffix("requirements").rstrip("_"): [Requirement(word).name for word in value.split()]
        for key, value in lists.items()
    }


def modules_of(distribution: str) -> set[str]:
    "Return the top-level modules of an installed distribution; none if it is not installed."
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return set()
    first = {f.parts[0] for f in files if f.suffix in (".py", ".so")}
    return {name.partition(".")[0] for name in first if not name.endswith(".dist-info")}


def with_what_they_need(distributions: list[str]) -> set[str]:
    "Return these distributions and all their requirements, as far as they are installed."
    found, waiting = set(), list(distributions)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        try:
            required = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue
        waiting += [r.name for r in required if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


class NotNamed:
    "Refuse to import modules of extras that a page does not name, as if they were not installed."

    def __init__(self, extras: set[str]):
        lists = requirements()
        named = [d for extra in {"", *extras} for d in lists[extra]]
        others = {d for listed in lists.values() for d in listed} - set(named)
        brought = {m for d in with_what_they_need(named) for m in modules_of(d)}
        self.refused = {m for d in others for m in modules_of(d)} - brought

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.refused:
            raise ModuleNotFoundError(f"the page names no extra that brings {name}", name=name)
        return None


def imported(code: str) -> set[str]:
    "Return the top-level modules that a code imports, without the standard library."
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names)


def bound(code: str) -> set[str]:
    "Return the names that a code assigns, anywhere in it."
    distinct = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            distinct.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            distinct.add(node.name)
        elif isinstance(node, ast.arg):
            distinct.add(node.arg)
        elif isinstance(node, ast.alias):
            distinct.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            distinct.add(node.name)
    return distinct


def missing_names(shown: str) -> set[str]:
    "Return names that the visible cells use but never assign."
    loaded = {
        n.id for n in ast.walk(ast.parse(shown)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    return loaded - bound(shown) - set(dir(builtins))


def printed(notebook) -> str:
    "Return everything that the cells of a notebook have printed."
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    return "".join("".join(o.text) for o in outputs if o.output_type == "stream")


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]{4,}", text))


def what_differs(stored: str, now: str) -> str:
    "Return '' if the output has nearly all words of the stored one (seconds differ), else what is missing."
    if len(now.split()) <= 20:
        return f"prints {len(now.split())} words, expected more than 20"
    gone = sorted(words(stored) - words(now))
    return "" if len(gone) < 0.1 * len(words(stored)) else f"no longer prints: {', '.join(gone)}"


def ran(path: Path) -> bool:
    "Whether a tutorial runs from its first cell to its last and prints what it shows."
    from execnb.nbio import read_nb

    only_here()
    os.chdir(path.parent)
    old: list[str] = []
    notebook, shell = read_nb(path), shown.comparing(old)(path)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    sys.meta_path.insert(0, NotNamed(named_extras(text)))
    stored = printed(notebook)
    try:
        shell.run_all(notebook, exc_stop=True)
    except Exception:
        print(shell.prettytb(fname=path), file=sys.stderr)
        return False
    if difference := what_differs(stored, printed(notebook)):
        old.append(difference)
    for line in old:
        print(f"{path.name} shows old output, {line}", file=sys.stderr)
    return not old
