"The package as a whole: light imports, layers of wings, safe loading, and a notebook for every module."

import ast
import json
import re
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest
from syntax import nodes_of, tree_of

import crmeval

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(crmeval.__file__).parent
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
ROOMS = [p for p in NOTEBOOKS if re.match(r"\d", p.name)]  # notebooks that export a module
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "_modidx.py")
needs_notebooks = pytest.mark.skipif(
    not NOTEBOOKS, reason="notebooks are not here: this is an installed package"
)

# A wing imports only from wings listed before it; within a wing, a module only from lower numbers.
WINGS = (
    "core connect tasks detect systems layer judges metrics runs validation people live pages bridges cli"
).split()


def cells(path, kind="code"):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(c["source"]) for c in found if c["cell_type"] == kind]


def module_of(path):
    return next((m[1] for c in cells(path) if (m := re.search(r"#\|\s*default_exp\s+([\w.]+)", c))), None)


def file_of(module):
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def python(code, **more):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **more)


def test_import_is_light_and_quick():
    heavy = [
        "matplotlib",
        "datasets",
        "sklearn",
        "pandas",
        "pyarrow",
        "openai",
        "evaluate",
        "ipywidgets",
        "nbdev",
        "fastcore",
        "numpy",
    ]
    code = (
        "import time; t = time.perf_counter(); import crmeval; s = time.perf_counter() - t; "
        f"import sys; print(s, *[m for m in {heavy} if m in sys.modules])"
    )
    runs = [python(code).stdout.split() for _ in range(3)]
    assert min(float(r[0]) for r in runs) < 0.3, runs
    assert all(len(r) == 1 for r in runs), f"imported too much: {runs[0][1:]}"


def test_names_that_others_rely_on():
    for name in (
        "factuality",
        "completeness",
        "conciseness",
        "instruction_following",
        "run",
        "arun",
        "load_use_case",
        "load_source",
        "leaderboard",
    ):
        assert callable(getattr(crmeval, name)), name
    with pytest.raises(AttributeError, match="no attribute 'speeed'"):
        _ = crmeval.speeed


def test_type_checkers_see_the_same_names():
    module = ast.parse(Path(crmeval.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.asname: node.module.removeprefix("crmeval.")
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("crmeval.")
        for alias in node.names
    }
    assert seen == crmeval._WHERE and (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize(
    "code",
    [
        "from crmeval import factuality",
        "import crmeval.metrics.factuality; from crmeval import factuality",
        "from crmeval.metrics.factuality import factuality",
        "import crmeval; factuality = crmeval.factuality",
        "import crmeval.metrics.accuracy; from crmeval import factuality",
    ],
)
def test_a_metric_can_be_called_however_it_was_imported(code):
    call = "factuality('The parcel arrives on Friday.', source='Your parcel arrives on Friday.')"
    done = python(f"{code}; s = {call}; print(s.points, s.fraction, s.status)")
    points, fraction, status = done.stdout.split()
    assert (points, status) == ("4", "ok") and float(fraction) > 0.8, done.stderr


def packages_of(node):
    "Return the top-level packages that an import statement names; empty for other nodes."
    if isinstance(node, ast.Import):
        return {a.name.split(".")[0] for a in node.names}
    return {(node.module or "").split(".")[0]} if isinstance(node, ast.ImportFrom) else set()


def test_the_installed_package_needs_no_development_tool():
    assert len(MODULES) > 90
    development = {"nbdev", "fastcore", "execnb", "IPython", "pytest"}
    for path in MODULES:
        for node in nodes_of(path):
            assert not packages_of(node) & development, path.name


def test_no_unsafe_loading():
    assert len(MODULES) > 90
    unsafe = {"pickle", "joblib", "dill", "cloudpickle", "marshal"}
    for path in MODULES:
        for node in nodes_of(path):
            assert not packages_of(node) & unsafe, path.name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path.name
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code"):
                assert isinstance(node.value, ast.Constant) and node.value.value is False, path.name


def test_data_is_small():
    assert sum(p.stat().st_size for p in (PACKAGE / "data").rglob("*") if p.is_file()) < 6_000_000


def imports_of(path):
    "Yield (module, names, line) of every import of a module, also inside functions and by `import_module`."
    package = ".".join(("crmeval", *path.relative_to(PACKAGE).parent.parts))
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module, [a.name for a in node.names], node.lineno
        elif isinstance(node, ast.Import):
            yield from ((a.name, [], node.lineno) for a in node.names)
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module"
        ):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value, [], node.lineno


@needs_notebooks
def test_wings_import_downwards_and_rooms_from_lower_numbers():
    number = {module_of(p): int(re.match(r"\d+", p.name)[0]) for p in ROOMS}
    seen, wrong = 0, []
    for room in number:
        wing = room.split(".")[0]
        for module, names, line in imports_of(file_of(room)):
            if not module.startswith("crmeval."):
                continue
            seen += 1
            other = module.removeprefix("crmeval.")
            where = f"{room}, line {line}"
            wrong += [
                f"{where}: {n} of {other} is its own"
                for n in names
                if n.startswith("_") and n != "__version__"
            ]
            if "*" in names:
                wrong.append(f"{where}: star import of {other}")
            if other not in number:
                wrong.append(f"{where}: {other} is no room")
            elif other.split(".")[0] == wing and number[other] >= number[room]:
                wrong.append(f"{where}: {other} does not stand before it")
            elif WINGS.index(other.split(".")[0]) > WINGS.index(wing):
                wrong.append(f"{where}: {other} lies in a wing below")
    assert len(number) >= 80 and seen > 300
    assert not wrong, "\n".join(wrong)


@needs_notebooks
def test_every_module_has_its_notebook():
    made = {module_of(p) for p in ROOMS}
    assert len(MODULES) > 90
    for path in MODULES:
        if path.stem in ("__init__", "__main__"):
            continue
        room = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        assert room in made, f"{room} has no notebook"
        assert "AUTOGENERATED! DO NOT EDIT!" in path.read_text(encoding="utf-8")[:600]
    for path in ROOMS:
        wing, room = module_of(path).split(".")
        assert path.parent.name == wing and re.sub(r"^\d+_", "", path.stem) == room, (
            f"{path} writes {wing}.{room}"
        )


@needs_notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_keeps_house_rules(path):
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 300_000
    assert not re.search(r"[\"' (=](/home/|/root/|/Users/|/work/|/tmp/)\w", text), "a machine's path"
    assert not re.search(r"\bsk-[A-Za-z0-9]{20,}|\bhf_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}", text), (
        "looks like a key"
    )
    code = cells(path)
    assert len(code) + len(cells(path, "markdown")) <= 130
    for cell in code:
        if "#| export" in cell:
            assert cell.lstrip().startswith("#|"), f"a directive must be on the first line: {cell[:80]}"
    exported = [c for c in code if c.startswith("#| export")]
    # cells are not measured: a class in one cell may be long
    assert sum(len(c.splitlines()) for c in exported) <= 600, "more than 600 exported lines"


@needs_notebooks
def test_every_public_name_stands_beside_an_assertion():
    bare = []
    for path in ROOMS:
        module = tree_of(file_of(module_of(path)))
        public = next(
            (
                ast.literal_eval(n.value)
                for n in module.body
                if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"
            ),
            [],
        )
        shown = "\n".join(c for c in cells(path) if not c.startswith("#| export"))
        # constants are data: their use is asserted instead
        bare += [
            f"{path.name}: {name}"
            for name in public
            if not name.isupper() and not re.search(rf"\b{name}\b", shown)
        ]
        assert re.search(r"\btest_\w+\(|\bassert\b", shown), f"{path.name} asserts nothing"
    assert not bare, bare


def test_a_fingerprint_follows_imports_and_raises_for_what_is_missing():
    from crmeval.core.package_data import dependencies

    seen = {
        p.name
        for p in dependencies(
            ["crmeval.metrics.accuracy", "crmeval.judges.embedded", "crmeval.metrics.trust"]
        )
    }
    assert {
        "accuracy.py",
        "factuality.py",
        "text.py",
        "weights.json",
        "refusal.json",
        "gender.json",
    } <= seen and len(seen) > 40
    with pytest.raises(ValueError, match="no_such_room' is not found"):
        dependencies(["crmeval.no_such_room"])


def calls(path, name):
    "Return the calls in a module of functions with this last name."
    found = [n for n in nodes_of(path) if isinstance(n, ast.Call)]
    return [n for n in found if getattr(n.func, "id", getattr(n.func, "attr", "")) == name]


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def other_ways_to_data(path):
    "Yield the places where a module could read a shipped file unseen by `dependencies`."
    for n in nodes_of(path):
        if (
            isinstance(n, ast.Name)
            and n.id == "__file__"
            or isinstance(n, ast.Attribute)
            and n.attr == "__file__"
        ):
            yield f"{path.name}, line {n.lineno}: __file__"
    for module, names, line in imports_of(path):
        for way in {module, *(f"{module}.{n}" for n in names)}:
            if way.startswith(("importlib.resources", "pkgutil", "pkg_resources")):
                yield f"{path.name}, line {line}: {way}"
    for call in calls(path, "data_path"):
        if not (call.args and is_text(call.args[0])):
            yield f"{path.name}, line {call.lineno}: data_path without a name"


def test_data_are_read_by_data_path_alone():
    one_way = file_of("core.package_data")
    wrong = [w for p in MODULES if p != one_way for w in other_ways_to_data(p)]
    assert not wrong, "\n".join(wrong)
    assert any("__file__" in w for w in other_ways_to_data(one_way)), "the check must find a violation"


def test_what_scores_depend_on_imports_by_name():
    from crmeval.core.package_data import dependencies
    from crmeval.metrics.catalogue import all_cards

    roots = [f"crmeval.metrics.{m}" for m in all_cards()] + ["crmeval.judges.panel", "crmeval.runs.areas"]
    files = [p for p in dependencies([r for r in roots if file_of(r[8:]).exists()]) if p.suffix == ".py"]
    wrong = [
        f"{p.name}, line {call.lineno}: {name} of a name that is computed"
        for p in files
        for name in ("import_module", "__import__")
        for call in calls(p, name)
        if not (call.args and is_text(call.args[0]))
    ]
    assert len(files) > 40 and not wrong, "\n".join(wrong)


def test_every_extra_that_an_error_names_exists():
    settings = ROOT / "settings.ini"
    if not settings.exists():
        pytest.skip("the settings are not here: this is an installed package")
    extras = set(re.findall(r"^(\w+)_requirements =", settings.read_text(encoding="utf-8"), re.M))
    named = {}
    for path in Path(crmeval.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for words in re.findall(r"needs_extra\(\"(\w+)\"\)|crmeval\[([\w,]+)\]", text):
            named |= {extra: path.name for extra in "".join(words).split(",")}
    assert len(named) > 10 and {e: file for e, file in named.items() if e not in extras} == {}
