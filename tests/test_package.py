"The package as a whole: light to import, layered, clean, and true to its notebooks."
import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crmeval

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(crmeval.__file__).parent
NOTEBOOKS = sorted(p for p in (ROOT/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
NUMBERED = [p for p in NOTEBOOKS if re.match(r"\d", p.name)]
needs_notebooks = pytest.mark.skipif(not NOTEBOOKS, reason="notebooks are not here: this is an installed package")


def cells(path, kind="code"):
    return ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def module_of(path):
    return next((m[1] for c in cells(path) if (m := re.search(r"#\|\s*default_exp\s+(\w+)", c))), None)


def order(path):
    "10a comes after 10 and before 11."
    number, letter = re.match(r"(\d+)([a-z]*)", path.name).groups()
    return int(number), letter


def python(code, **more):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **more)


def test_import_is_light_and_quick():
    heavy = ["matplotlib", "datasets", "sklearn", "pandas", "pyarrow", "openai", "evaluate", "ipywidgets", "nbdev", "fastcore", "numpy"]
    code = f"import time; t = time.perf_counter(); import crmeval; s = time.perf_counter() - t; import sys; print(s, *[m for m in {heavy} if m in sys.modules])"
    runs = [python(code).stdout.split() for _ in range(3)]
    assert min(float(r[0]) for r in runs) < 0.3, runs
    assert all(len(r) == 1 for r in runs), f"imported too much: {runs[0][1:]}"


def test_names_that_others_rely_on():
    for name in ("factuality", "completeness", "conciseness", "instruction_following", "run", "arun", "load_use_case", "load_source", "leaderboard"):
        assert callable(getattr(crmeval, name)), name
    with pytest.raises(AttributeError, match="no attribute 'speeed'"):
        _ = crmeval.speeed


@pytest.mark.parametrize("code", [
    "from crmeval import factuality",
    "import crmeval.factuality; from crmeval import factuality",
    "from crmeval.factuality import factuality",
    "import crmeval; factuality = crmeval.factuality",
    "import crmeval.accuracy; from crmeval import factuality",
])
def test_a_metric_can_be_called_however_it_was_imported(code):
    done = python(code + "; s = factuality('The parcel arrives on Friday.', source='Your parcel arrives on Friday.'); print(s.points, s.fraction, s.status)")
    assert done.stdout.split() == ["4", "1.0", "ok"], done.stderr


def test_the_installed_package_needs_no_development_tool():
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"nbdev", "fastcore", "execnb", "IPython", "pytest"}, path.name


def test_no_unsafe_loading():
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"pickle", "joblib", "dill", "cloudpickle", "marshal"}, path.name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name): assert node.func.id not in ("eval", "exec"), path.name
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code"):
                assert isinstance(node.value, ast.Constant) and node.value.value is False, path.name


def test_data_is_small():
    assert sum(p.stat().st_size for p in (PACKAGE/"data").rglob("*") if p.is_file()) < 5_000_000


@needs_notebooks
def test_a_module_imports_only_from_lower_numbers():
    rank = {module_of(p): order(p) for p in NUMBERED if module_of(p)}
    assert len(rank) >= 25
    for path in NUMBERED:
        for cell in cells(path):
            if not re.match(r"\s*#\|\s*export", cell): continue
            for node in ast.walk(ast.parse(cell)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("crmeval."):
                    target = node.module.split(".")[1]
                    assert all(a.name != "*" for a in node.names), f"{path.name}: star import"
                    assert rank[target] < order(path), f"{path.name} imports {target}, which is not lower"
                    band = order(path)[0] // 10
                    if band in (4, 5):
                        assert rank[target][0] // 10 != 3 and rank[target][0] // 10 != 2, f"{path.name} imports a client or a judge"
                        if band == 5: assert rank[target][0] // 10 != 4


@needs_notebooks
def test_every_module_has_its_notebook():
    made = {module_of(p) for p in NUMBERED}
    for path in PACKAGE.glob("*.py"):
        if path.stem in ("__init__", "__main__", "_modidx"): continue
        assert path.stem in made, f"{path.name} has no notebook"
        assert "AUTOGENERATED! DO NOT EDIT!" in path.read_text(encoding="utf-8")[:600]


@needs_notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_keeps_house_rules(path):
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 300_000
    assert not re.search(r"[\"' (=](/home/|/root/|/Users/|/work/|/tmp/)\w", text), "a path of one machine"
    assert not re.search(r"\bsk-[A-Za-z0-9]{20,}|\bhf_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}", text), "looks like a key"
    code = cells(path)
    assert len(code) + len(cells(path, "markdown")) <= 130
    for cell in code:
        if "#| export" in cell: assert cell.lstrip().startswith("#|"), f"a directive that is not the first line: {cell[:80]}"
    exported = [c for c in code if c.startswith("#| export")]
    assert sum(len(c.splitlines()) for c in exported) <= 520, "more than one idea?"
    assert all(len(c.splitlines()) <= 48 for c in exported), "an exported cell that is too long"


@needs_notebooks
def test_every_public_name_stands_beside_an_assertion():
    bare = []
    for path in NUMBERED:
        if not module_of(path): continue
        module = ast.parse((PACKAGE/f"{module_of(path)}.py").read_text(encoding="utf-8"))
        public = next((ast.literal_eval(n.value) for n in module.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"), [])
        shown = "\n".join(c for c in cells(path) if not c.startswith("#| export"))
        # constants are data: what uses them is asserted
        bare += [f"{path.name}: {name}" for name in public if not name.isupper() and not re.search(rf"\b{name}\b", shown)]
        assert re.search(r"\btest_\w+\(|\bassert\b", shown), f"{path.name} asserts nothing"
    assert not bare, bare


def test_a_fingerprint_follows_imports_and_raises_for_what_is_missing():
    from crmeval.package_data import dependencies
    seen = {p.name for p in dependencies(["crmeval.accuracy", "crmeval.embedded_judge", "crmeval.trust"])}
    assert {"accuracy.py", "factuality.py", "text.py", "weights.json", "refusal.json", "gender.json"} <= seen and len(seen) > 40
    with pytest.raises(ValueError, match="no_such_room' is not found"):
        dependencies(["crmeval.no_such_room"])
