"The syntax trees of modules, parsed once per test file."

import ast
from functools import lru_cache
from pathlib import Path


@lru_cache(None)
def tree_of(path: Path) -> ast.Module:
    "Return a shared tree that must not be modified; `conftest` clears the cache between test files."
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache(None)
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    "Return every node of a module, in the order of `ast.walk`."
    return tuple(ast.walk(tree_of(path)))


def forget() -> None:
    tree_of.cache_clear()
    nodes_of.cache_clear()
