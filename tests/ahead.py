"""Modules of the package that are loaded and warmed before commands and notebooks are forked.

Loading the modules that nearly everything needs takes half a second, a thousand times over all tests. They
may be preloaded because importing a module changes nothing but the module itself: it reads no environment
and no folder, a module never imports one from a higher layer, and the few tables that several modules fill
are read by a module that imports them all. `test_ahead.py` checks this for every module.

The same holds for what a process reads and compiles once: tables, weights, patterns. It takes up to two
seconds, comes from files of the package alone, and is kept in caches that a child process sees as its own.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from inspect import signature
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "crmeval"
# whole sub-packages below the metrics; from the others only what a run and its report need
ABOVE = ("core", "connect", "tasks", "detect", "systems", "layer", "judges")
BELOW = ("crmeval.runs.evaluation", "crmeval.pages.report")
# caches that are not filled: large third-party content that few tests use
COLD = ("presidio_engine",)


def rooms(wings: tuple[str, ...] = ABOVE) -> list[str]:
    "Return the full names of the modules of the given wings."
    return [f"crmeval.{w}.{p.stem}" for w in wings for p in sorted(PACKAGE.glob(f"{w}/[a-z]*.py"))]


def load() -> None:
    for name in (*rooms(), *BELOW):
        import_module(name)
    from jinja2 import TemplateAssertionError

    from crmeval.metrics.crm_instructions import _jsonschema
    from crmeval.pages.template import environment

    _jsonschema()  # loaded here because compiling its grammar takes two seconds
    made = environment()
    for template in made.list_templates():  # compiled once here; a user's process compiles them itself
        with suppress(TemplateAssertionError):  # a template with filters of its own page
            made.get_template(template)


def caches() -> Iterator[Callable]:
    "Yield cached functions of the loaded modules that can be called without arguments."
    for name, room in sorted(sys.modules.items()):
        for value in list(vars(room).values()) if name.startswith("crmeval.") else ():
            if not hasattr(value, "cache_info") or getattr(value, "__module__", "") != name:
                continue
            needed = [p for p in signature(value).parameters.values() if p.default is p.empty]
            if all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in needed):
                yield value


def warm() -> None:
    "Read and compile what a user's process reads and compiles once; judge one sample of each use case."
    for read in caches():
        if read.__name__ not in COLD:
            read()
    from crmeval.core.records import Response
    from crmeval.layer.warm_up import warm_up
    from crmeval.metrics.defaults import default_judge
    from crmeval.runs.areas import make_scorer
    from crmeval.systems.baselines import BASELINES
    from crmeval.tasks.load import load_demo

    warm_up()
    score = make_scorer(default_judge())
    for sample in load_demo(limit=1):
        for name, write in BASELINES.items():
            score(sample, Response(sample.id, name, write(sample) or "", use_case=sample.use_case))


def forget(kept: tuple[str, ...] = ()) -> None:
    "Remove the package's modules from `sys.modules`, or all except those of the kept wings."
    for name in [name for name in sys.modules if name.partition(".")[0] == "crmeval"]:
        wing = name.split(".")[1:2]
        if not kept or wing and wing[0] not in kept:
            del sys.modules[name]


def fit(notebook: Path) -> None:
    """Unload modules whose presence could hide a fault of a notebook.

    Notebooks of the metrics read tables that several metric modules fill; those of the wings in ABOVE must
    not need a module outside them.
    """
    if notebook.parent.name in (*ABOVE, "metrics"):
        forget(kept=ABOVE)
