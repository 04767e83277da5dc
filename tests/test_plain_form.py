"Form of the package: length of functions and lines, nested conditions, named lambdas; over all modules."

import ast
import statistics
from pathlib import Path

from syntax import nodes_of, tree_of

import crmeval

PACKAGE = Path(crmeval.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "_modidx.py")
WIDTH = 110


def nodes(*kinds):
    "Yield (place, node) of every node of these kinds in the package."
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, kinds):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def lines_of_functions():
    "Return [(lines, place and name)] of every function, the longest first."
    found = nodes(ast.FunctionDef, ast.AsyncFunctionDef)
    return sorted(((f.end_lineno - f.lineno + 1, f"{place} {f.name}") for place, f in found), reverse=True)


def longer_than(limit):
    return "\n".join(f"{where}: {n} lines" for n, where in lines_of_functions() if n > limit)


def test_no_function_is_long():
    assert len(MODULES) > 90 and len(lines_of_functions()) > 1000
    assert not longer_than(60), longer_than(60)


def test_nearly_all_functions_are_short():
    sizes = sorted(n for n, _ in lines_of_functions())
    assert sizes[int(0.95 * len(sizes))] <= 30, longer_than(30)


def test_half_of_the_functions_are_very_short():
    sizes = [n for n, _ in lines_of_functions()]
    assert statistics.median(sizes) <= 10, statistics.median(sizes)


def names_for_others(tree):
    "Return the lines of the statement `__all__`, which nbdev writes."
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return range(node.lineno, node.end_lineno + 1)
    return ()


def test_no_line_is_wide():
    wide = []
    for path in MODULES:
        free = names_for_others(tree_of(path))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > WIDTH and number not in free:
                wide.append(f"{path.relative_to(PACKAGE)}:{number}: {len(line)} columns")
    assert not wide, "\n".join(wide)


def test_no_condition_stands_in_a_condition():
    nested = [
        place
        for place, node in nodes(ast.IfExp)
        if any(isinstance(part, ast.IfExp) for part in ast.iter_child_nodes(node))
    ]
    assert not nested, "\n".join(nested)


def test_no_lambda_has_a_name():
    named = [p for p, n in nodes(ast.Assign, ast.AnnAssign) if isinstance(n.value, ast.Lambda)]
    assert not named, "\n".join(named)
