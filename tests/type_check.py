"""Type check of the package and of a program that uses it: `python tests/type_check.py [FOLDER]`.

The checker takes a minute and reads only the sources, its settings, and the types of installed packages. If
all of these are as they were when it last passed (`tests/typed.json`), the result would be the same and it is
not run again, as with long measurements (see proven.py). Any change of a byte or a release makes it run.
`CRMEVAL_PROVE=1` runs it in any case and records what it read.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import tutorials

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "typed.json"
IMPORTED = re.compile(r"^\s*(?:from|import)\s+([A-Za-z_]\w*)", re.M)


def sources(folder: Path) -> list[Path]:
    "Return the files that the checker reads: settings, every module and stub, the marker, the program."
    named = [folder / "pyproject.toml", folder / "tests" / "typed_use.py"]
    inside = (p for p in (folder / "crmeval").rglob("*") if p.suffix in (".py", ".pyi", ".typed"))
    return sorted(p for p in (*named, *inside) if p.is_file())


def releases(paths: Iterable[Path]) -> dict[str, str | None]:
    "Return the releases of the checker, of imported packages and their requirements; None: not installed."
    modules = {m for p in paths if p.suffix != ".toml" for m in IMPORTED.findall(p.read_text("utf-8"))}
    modules -= {"crmeval", *sys.stdlib_module_names}
    brought_by = metadata.packages_distributions()
    found = {m: None for m in modules if m not in brought_by}
    checked = {"basedpyright", *(name for m in modules - set(found) for name in brought_by[m])}
    for name in tutorials.with_what_they_need(sorted(checked)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return dict(sorted(found.items()))


def read_by_the_checker(folder: Path) -> dict:
    "Return the digest of the sources with their names, and the releases."
    whole, paths = hashlib.sha256(), sources(folder)
    for path in paths:
        content = path.read_bytes()
        whole.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return {"sources": whole.hexdigest(), "releases": releases(paths)}


def changed(now: dict) -> str | None:
    "Return what differs from the last successful check; None if nothing does."
    if not RECORD.exists():
        return "they were never proven"
    was = json.loads(RECORD.read_text(encoding="utf-8"))
    if was["sources"] != now["sources"]:
        return "the sources are others"
    names = [n for n in {**was["releases"], **now["releases"]} if _release(was, n) != _release(now, n)]
    return f"{names[0]} is {_release(now, names[0])}, was {_release(was, names[0])}" if names else None


def _release(state: dict, name: str) -> str:
    return str(state["releases"].get(name, "no part of it"))


def main(words: list[str]) -> int:
    folder = Path(words[0]).resolve() if words else ROOT
    now, prove = read_by_the_checker(folder), os.environ.get("CRMEVAL_PROVE") == "1"
    why = changed(now)
    if why is None and not prove:
        print("proven: the sources and all that they use are as when their types passed")
        return 0
    print(f"types are checked: {why or 'it was asked for'}", flush=True)
    checker = [sys.executable, "-m", "basedpyright", "--level", "error", "--pythonpath", sys.executable]
    code = subprocess.run(checker, cwd=folder).returncode
    if code == 0 and prove:
        RECORD.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
