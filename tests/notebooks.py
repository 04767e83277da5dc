"""Execute every notebook as a test, each in a process of its own:   python tests/notebooks.py [PATH ...]

`nbdev_test` shares its workers between notebooks, so a module imported by one notebook is already loaded for
the next, and the result depends on the order. Here a fresh child is forked for each notebook from a parent
that has loaded large third-party packages and, of our modules, those that ahead.py names. Notebooks to be
proven start without our modules, since every loaded module counts as read.

A training or a long measurement whose inputs are unchanged since it last passed is not run again (see
proven.py) unless it is named; `CRMEVAL_PROVE=1` runs them all and records what they read.

While other checks run (`CRMEVAL_BESIDE` names a file that appears when they have ended), one notebook runs
at a time on the idle capacity. Notebooks are many and short: the remaining ones then fill both cores to the
end, where tests would leave one core idle at the end.
"""

import gc
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, SimpleQueue

import ahead
import proven
import shown
import tutorials

LARGE = (
    "matplotlib.pyplot",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "IPython.core.interactiveshell",
    # packages that execute a notebook, and that many modules or their examples open
    "nbdev.test",
    "nbdev.showdoc",
    "aiohttp",
    "cyclopts",
    "datasets",
    "evaluate",
    "jinja2",
    "matplotlib.figure",
    "msgspec",
    "openai",
    "pyarrow.dataset",
    "sklearn.metrics",
    "sqlite3",
    # imported by each shell at its start
    "IPython.core.historyapp",
    "IPython.core.logger",
    "IPython.core.magics.ast_mod",
    "IPython.core.magics.execution",
    "IPython.core.oinspect",
    "IPython.utils.contexts",
)
ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2
LONG = ("reports", "training", "tutorials", "validation")


def tested(path: Path) -> tuple[Path, bool, float, dict[str, str]]:
    "Return path, whether it passed, seconds, and what it read (empty if it proves nothing)."
    import nbdev.test

    opened: set[str] = set()
    ahead.fit(path)
    if proven.provable(path):
        ahead.forget()
        sys.addaudithook(proven.watched(opened))
    if tutorials.is_tutorial(path):
        started = time.monotonic()
        return path, tutorials.ran(path), time.monotonic() - started, {}
    old = []
    nbdev.test.CaptureShell = shown.comparing(old)
    passed, seconds = nbdev.test.test_nb(path, skip_flags=[], basepath=ROOT)
    if old and os.environ.get("CRMEVAL_DATA"):  # without data, cells print less
        print("\n".join(f"{path.name} shows old output, {line}" for line in old), file=sys.stderr)
        passed = False
    read = proven.inputs(path, opened) if passed and opened else {}
    if read and (not proven.proves(path, opened, read) or proven.lacking()):
        read = {}
    return path, bool(passed), seconds, read


def load() -> None:
    "Load the large packages and resolve matplotlib's backend, which each shell would otherwise look up."
    for name in LARGE:
        __import__(name)
    from matplotlib.backends.registry import backend_registry

    backend_registry.resolve_backend("inline")


def notebooks(names: list[str]) -> list[Path]:
    "Return the named notebooks, or all; wings with long ones come first, to keep all workers busy."
    if absent := [name for name in names if not Path(name).is_file()]:
        raise SystemExit(f"no notebook: {', '.join(absent)}")
    paths = [Path(name).resolve() for name in names] or [
        path for path in sorted((ROOT / "nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts
    ]
    return sorted(paths, key=lambda path: path.parent.name not in LONG)


def needed(paths: list[Path]) -> list[Path]:
    "Return the notebooks that have to run: all except those with unchanged inputs."
    kept = []
    for path in paths:
        why = proven.changed(path) if proven.provable(path) else ""
        if why is None:
            print(f"proven          {path.relative_to(ROOT)}: everything that it reads is as when it passed")
            continue
        if why:
            print(f"to be proven    {path.relative_to(ROOT)}: {why}", flush=True)
        kept.append(path)
    return kept


def at_once() -> int:
    "Return how many notebooks may run at once at the moment."
    beside = os.environ.get("CRMEVAL_BESIDE")
    return WORKERS if not beside or Path(beside).exists() else 1


def outcomes(paths: list[Path]) -> Iterator[tuple[Path, bool, float, dict[str, str]]]:
    "Yield the outcome of each notebook when it ends."
    waiting, running, ended = deque(paths), 0, SimpleQueue()
    with get_context("fork").Pool(WORKERS, maxtasksperchild=1) as pool:
        while waiting or running:
            while waiting and running < at_once():
                pool.apply_async(tested, (waiting.popleft(),), callback=ended.put, error_callback=ended.put)
                running += 1
            try:
                outcome = ended.get(timeout=0.5)  # more than one notebook may be allowed by now
            except Empty:
                continue
            running -= 1
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome


def main(names: list[str]) -> int:
    load()
    ahead.load()
    ahead.warm()
    gc.set_threshold(100_000, 20, 20)
    gc.freeze()  # a child's garbage collection would copy all memory pages of the parent
    failed, proofs = [], {}
    prove = os.environ.get("CRMEVAL_PROVE") == "1"
    paths = notebooks(names) if names or prove else needed(notebooks(names))
    started = time.monotonic()
    for path, passed, seconds, read in outcomes(paths):
        failed += [] if passed else [path]
        if read:
            name = path.relative_to(ROOT).as_posix()
            proofs[name] = {"releases": proven.releases(), "inputs": read}
        print(f"{'passed' if passed else 'FAILED'} {seconds:6.1f} s  {path.relative_to(ROOT)}", flush=True)
    print(
        f"{len(paths) - len(failed)} of {len(paths)} notebooks passed in {time.monotonic() - started:.0f} s"
    )
    if prove:
        proven.write(proofs)
    print("\n".join(f"failed: {path.relative_to(ROOT)}" for path in failed), file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
