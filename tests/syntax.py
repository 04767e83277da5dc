"The syntax of a module, read once for all tests of a file that look at it."

import ast
from functools import lru_cache
from pathlib import Path


@lru_cache(None)
def tree_of(path: Path) -> ast.Module:
    "Shared by its readers: look at it, change nothing. `conftest` lets go of all of them between two files."
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache(None)
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    "Every node of a module, in the order of `ast.walk`."
    return tuple(ast.walk(tree_of(path)))


def forget() -> None:
    tree_of.cache_clear()
    nodes_of.cache_clear()
