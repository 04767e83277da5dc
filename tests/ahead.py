"""Rooms of ours that are loaded and warmed ahead of forked commands and notebooks, which find them at once.

Loading the rooms that nearly everything needs takes half a second, a thousand times in all the tests. It may
be done ahead because a room that is imported changes nothing but itself: it reads no environment and no
folder, a room never imports one that stands below it, and the few tables that are filled by several rooms
are read by one that imports them all. `test_ahead.py` holds this for every room.

So it is with what a process reads and compiles once: tables, weights, patterns. It takes up to two seconds,
comes from files of the package alone, and is kept by caches that a child may not tell from its own.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from inspect import signature
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "crmeval"
# the wings above the metrics, whole; below, what a run and its report need
ABOVE = ("core", "connect", "tasks", "detect", "systems", "layer", "judges")
BELOW = ("crmeval.runs.evaluation", "crmeval.pages.report")
# caches that stay cold: what they load is large, belongs to others and is used by few
COLD = ("presidio_engine",)


def rooms(wings: tuple[str, ...] = ABOVE) -> list[str]:
    "The modules of wings by their full names."
    return [f"crmeval.{w}.{p.stem}" for w in wings for p in sorted(PACKAGE.glob(f"{w}/[a-z]*.py"))]


def load() -> None:
    for name in (*rooms(), *BELOW):
        import_module(name)
    from jinja2 import TemplateAssertionError

    from crmeval.metrics.crm_instructions import _jsonschema
    from crmeval.pages.template import environment

    _jsonschema()  # as our checks load it: by itself it compiles a grammar for two seconds
    made = environment()
    for template in made.list_templates():  # compiled here, once; every process of a user does it for itself
        with suppress(TemplateAssertionError):  # one with filters of its own page
            made.get_template(template)


def caches() -> Iterator[Callable]:
    "Functions of the loaded rooms that read something once and keep it: cached, and without an argument."
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
    "As if nothing of ours had been loaded, or only some wings that need no other."
    for name in [name for name in sys.modules if name.partition(".")[0] == "crmeval"]:
        wing = name.split(".")[1:2]
        if not kept or wing and wing[0] not in kept:
            del sys.modules[name]


def fit(notebook: Path) -> None:
    """Leave to a notebook what cannot hide anything from it.

    Those of the metrics look at tables that several of their rooms fill; no room above may need one below.
    """
    if notebook.parent.name in (*ABOVE, "metrics"):
        forget(kept=ABOVE)
