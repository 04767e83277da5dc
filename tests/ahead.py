"""Rooms of ours that are loaded ahead of forked commands and notebooks, which then find them at once.

Loading the rooms that nearly everything needs takes half a second, a thousand times in all the tests. It may
be done ahead because a room that is imported changes nothing but itself: it reads no environment and no
folder, a room never imports one that stands below it, and the few tables that are filled by several rooms
are read by one that imports them all. `test_ahead.py` holds this for every room.
"""

from importlib import import_module
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "crmeval"
# of the wings below some notebooks look at a table that several rooms fill
FOR_NOTEBOOKS = ("core", "connect", "tasks", "detect", "systems", "layer", "judges")
FOR_COMMANDS = ("crmeval.runs.evaluation", "crmeval.pages.report")


def rooms(wings: tuple[str, ...] = FOR_NOTEBOOKS) -> list[str]:
    "The modules of wings by their full names."
    return [f"crmeval.{w}.{p.stem}" for w in wings for p in sorted(PACKAGE.glob(f"{w}/[a-z]*.py"))]


def load(names: list[str] | tuple[str, ...]) -> None:
    for name in names:
        import_module(name)
