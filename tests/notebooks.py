"""Execute every notebook as a test, each in a process of its own:   python tests/notebooks.py [PATH ...]

`nbdev_test` shares its workers between notebooks, so that a module which one notebook imported is there for
the next. What passes then depends on who came first. Here a fresh child is forked for each notebook from a
parent that has loaded other people's large packages and, of ours, what ahead.py names. What is to be proven
starts without ours, since every room that is loaded counts as read.

A training or a long measurement whose every input is as it was when it last passed is not run again (see
proven.py) unless it is asked for by name; `CRMEVAL_PROVE=1` runs them all and writes down what they read.

Beside other checks (`CRMEVAL_BESIDE` names a file that stands there when they have ended) one notebook runs
at a time and fills what they leave idle; a second one begins only while half a core lies idle all the same,
as when tests wait for a server or a cluster. Notebooks are many and short: those that are left then fill both
cores to the end, where tests would leave one idle that waits for the other.
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
import tutorials

LARGE = (
    "matplotlib.pyplot",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "IPython.core.interactiveshell",
    # what runs a notebook, and what many rooms or their examples open
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
    # what each shell imports when it begins
    "IPython.core.historyapp",
    "IPython.core.logger",
    "IPython.core.magics.ast_mod",
    "IPython.core.magics.execution",
    "IPython.core.oinspect",
    "IPython.utils.contexts",
)
ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2
IDLE = 0.5  # cores: from here on a second notebook may run beside the tests
LOOK = 0.4  # seconds over which it is counted
LONG = ("reports", "training", "tutorials", "validation")


def tested(path: Path) -> tuple[Path, bool, float, dict[str, str]]:
    "Path, whether it passed, seconds, and what it read (empty where that is of no use)."
    from nbdev.test import test_nb

    opened: set[str] = set()
    ahead.fit(path)
    if proven.provable(path):
        ahead.forget()
        sys.addaudithook(proven.watched(opened))
    if tutorials.is_tutorial(path):
        started = time.monotonic()
        return path, tutorials.ran(path), time.monotonic() - started, {}
    passed, seconds = test_nb(path, skip_flags=[], basepath=ROOT)
    read = proven.inputs(path, opened) if passed and opened else {}
    if read and (not proven.proves(path, opened, read) or proven.lacking()):
        read = {}
    return path, bool(passed), seconds, read


def load() -> None:
    "Load the large packages, and what matplotlib looks for among all that is installed: a shell asks for it."
    for name in LARGE:
        __import__(name)
    from matplotlib.backends.registry import backend_registry

    backend_registry.resolve_backend("inline")


def notebooks(asked: list[str]) -> list[Path]:
    "Those asked for, or all; wings with long ones first: a long one at the end would leave a worker idle."
    if absent := [name for name in asked if not Path(name).is_file()]:
        raise SystemExit(f"no notebook: {', '.join(absent)}")
    paths = [Path(name).resolve() for name in asked] or [
        path for path in sorted((ROOT / "nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts
    ]
    return sorted(paths, key=lambda path: path.parent.name not in LONG)


def needed(paths: list[Path]) -> list[Path]:
    "Without those that would compute the same from the same."
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


def idled() -> float:
    "Seconds that the cores have idled since the machine began, summed; 0 where it does not tell."
    try:
        told = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=6)
        return (int(told[4]) + int(told[5])) / os.sysconf("SC_CLK_TCK")  # with nothing to do, or for a disk
    except (OSError, ValueError, IndexError):
        return 0.0


class Cores:
    "How many cores have lain idle of late."

    def __init__(self):
        self.seen, self.before, self.idle = time.monotonic(), idled(), 0.0

    def look(self) -> float:
        passed = time.monotonic() - self.seen
        if passed >= LOOK:
            now = idled()
            self.idle = (now - self.before) / passed
            self.seen, self.before = self.seen + passed, now
        return self.idle


def at_once(cores: Cores) -> int:
    "How many notebooks may run at once, as things are."
    beside = os.environ.get("CRMEVAL_BESIDE")
    return WORKERS if not beside or Path(beside).exists() or cores.look() >= IDLE else 1


def outcomes(paths: list[Path]) -> Iterator[tuple[Path, bool, float, dict[str, str]]]:
    "What came of each notebook, as it ends."
    waiting, running, ended, cores = deque(paths), 0, SimpleQueue(), Cores()
    with get_context("fork").Pool(WORKERS, maxtasksperchild=1) as pool:
        while waiting or running:
            while waiting and running < at_once(cores):
                pool.apply_async(tested, (waiting.popleft(),), callback=ended.put, error_callback=ended.put)
                running += 1
            try:
                outcome = ended.get(timeout=0.5)  # may be that more than one may run now
            except Empty:
                continue
            running -= 1
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome


def main(asked: list[str]) -> int:
    load()
    ahead.load()
    ahead.warm()
    gc.set_threshold(100_000, 20, 20)
    gc.freeze()  # a child that collects its garbage would copy all pages of the parent
    failed, proofs = [], {}
    prove = os.environ.get("CRMEVAL_PROVE") == "1"
    paths = notebooks(asked) if asked or prove else needed(notebooks(asked))
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
