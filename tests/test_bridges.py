"Bridges to other tools: pytest assertions, exported run files, functions that other tools call."

import asyncio
import csv
import json
import math
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crmeval
from crmeval import run
from crmeval.bridges.adapters import deepeval_metric, get_assert, mlflow_scorer, ragas_metric
from crmeval.bridges.export_files import ENDINGS, export_file
from crmeval.bridges.fields import NAMES, bridged_metrics, score_fields, unit_value
from crmeval.bridges.lm_eval_tasks import mean_of_scored
from crmeval.bridges.run_rows import run_rows
from crmeval.bridges.run_spans import run_spans
from crmeval.bridges.trackers import tracked_figures, tracked_settings
from crmeval.core.records import Response, Score, write_jsonl
from crmeval.core.thoughts import split_thoughts
from crmeval.systems.replay import read_responses
from crmeval.testing import assert_mean, assert_score

HOSTILE = "=cmd|' /C calc'!A0 \\input{x} | <script>alert(1)</script> \u202egnp.exe \x1b[31m"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    "A run whose answers are hostile texts."
    folder = tmp_path_factory.mktemp("bridged")
    cases = ["service_call_summary"]
    made = run(["baseline:lead"], use_cases=cases, limit=3, out=folder / "first", progress=False)
    answers = [{"sample_id": s.id, "text": f"{HOSTILE} {s.source[:80]}"} for s in made.samples]
    path = write_jsonl(answers, folder / "answers.jsonl")
    return run([f"replay:{path}"], use_cases=cases, limit=3, out=folder / "second", progress=False)


# pytest itself


def in_pytest(folder, code, *words):
    "Run pytest as a user would, with only the plugin loaded."
    Path(folder, "test_it.py").write_text(code, encoding="utf-8")
    plugins = ["-p", "no:cacheprovider", "-p", "no:randomly", "-p", "crmeval.bridges.pytest_plugin"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    words = [sys.executable, "-m", "pytest", "-q", *plugins, *words, "test_it.py"]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def test_a_failing_test_shows_the_evidence_and_the_junit_file_holds_the_values(tmp_path):
    code = (
        "from crmeval import factuality\n"
        "from crmeval.testing import assert_score\n"
        'SOURCE = "Agent: Your parcel arrives on Friday."\n'
        "def test_right(): assert_score(factuality, 'Your parcel arrives on Friday.', source=SOURCE)\n"
        "def test_wrong(): assert_score(factuality, 'Your parcel arrives on Monday.', source=SOURCE)\n"
        "def test_other(): assert True\n"
    )
    done = in_pytest(tmp_path, code, "--junitxml=out.xml")
    assert done.returncode == 1, done.stderr
    assert "factuality: 1 of 4, expected at least 3" in done.stdout
    assert "- Your parcel arrives on Monday." in done.stdout
    assert "factuality: 2 scored, mean 2.50, lowest 1" in done.stdout
    assert "__tracebackhide__" not in done.stdout, "the traceback shows the test, not the assertion's code"
    cases = ElementTree.parse(tmp_path / "out.xml").iter("testcase")
    values = {c.get("name"): [p.get("value") for p in c.iter("property")] for c in cases}
    assert values == {"test_right": ["4"], "test_wrong": ["1"], "test_other": []}


def test_the_plugin_alone_loads_nothing_of_ours():
    code = (
        "import sys, crmeval.bridges.pytest_plugin\n"
        "ours = {n for n in sys.modules if n.startswith('crmeval.')}\n"
        "assert ours == {'crmeval.bridges', 'crmeval.bridges.pytest_plugin'}, ours\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# assertions


points = st.one_of(st.none(), st.floats(1, 4))


@settings(deadline=None, max_examples=50)
@given(st.lists(points, min_size=1, max_size=30), st.floats(1, 4), st.floats(0, 1))
def test_a_mean_holds_exactly_where_it_reaches_the_bound(values, bound, missing):
    scores = [
        Score("m", v, status="ok" if v is not None else "refused", sample_id=f"s{i}")
        for i, v in enumerate(values)
    ]
    known = [v for v in values if v is not None]
    lost = len(values) - len(known)
    holds = bool(known) and lost <= missing * len(values) and sum(known) / len(known) >= bound + 1e-9
    fails = not known or lost > missing * len(values) or sum(known) / len(known) < bound - 1e-9
    try:
        assert_mean(scores, at_least=bound, missing=missing)
        assert not fails
    except AssertionError:
        assert not holds


@settings(deadline=None, max_examples=50)
@given(points, st.floats(1, 4))
def test_one_score_holds_exactly_where_it_reaches_the_bound(value, bound):
    score = Score("m", value, status="ok" if value is not None else "truncated")
    if value is not None and value >= bound:
        assert assert_score(score, at_least=bound) is score
        return
    with pytest.raises(AssertionError) as caught:
        assert_score(score, at_least=bound)
    assert ("truncated" in str(caught.value)) == (value is None)


@pytest.mark.parametrize("bound", [True, "3", None, float("nan"), 0, 4.5])
def test_a_bound_that_is_none_is_told(bound):
    with pytest.raises(ValueError, match="at_least is"):
        assert_score(Score("m", 4), at_least=bound)


# names of fields in other tools


@pytest.mark.parametrize("name", sorted(set(NAMES["source"]) - {"input"}))
def test_a_source_is_found_under_each_of_its_names(name):
    fields = {name: "Agent: Your parcel arrives on Friday.", "input": "When?"}
    assert score_fields("factuality", "Your parcel arrives on Friday.", fields).points == 4


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["factuality", "completeness", "instruction_following", "coherence", "citation_recall"]),
    st.dictionaries(st.sampled_from([n for names in NAMES.values() for n in names]), json_values, max_size=4),
)
def test_whatever_a_row_holds_gives_a_score_or_says_why_not(metric, fields):
    try:
        score = score_fields(metric, "It arrives on Friday.", fields)
    except ValueError as error:  # invalid instructions raise an error that names them
        assert "instruction" in str(error)
        return
    assert (unit_value(score) is None) == (score.status != "ok")
    assert score.status == "ok" or score.reason


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), max_size=20))
def test_the_harness_means_what_was_scored(values):
    known = [v for v in values if v == v]
    found = mean_of_scored(values)
    assert math.isnan(found) if not known else math.isclose(found, sum(known) / len(known))


def test_every_metric_can_be_asserted_by_promptfoo_and_none_passes_for_nothing():
    for name in bridged_metrics():
        result = get_assert("", {"vars": {}, "config": {"metric": name}})
        assert set(result) == {"pass", "score", "reason"} and isinstance(result["pass"], bool)
        assert 0 <= result["score"] <= 1 and result["reason"].startswith(name)
        if name not in ("toxicity", "privacy"):  # an empty answer is neither toxic nor a leak
            assert not result["pass"], name


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(bridged_metrics())),
    st.sampled_from(["", "It arrives on Monday."]),
    st.sampled_from(["python", "not-python"]),
    st.integers(0, 2),
)
def test_an_inverted_assertion_of_promptfoo_never_passes_without_a_score(name, text, kind, sets_around):
    "promptfoo makes a success of a failure under `not-python`; an error remains a failure."
    check = {"type": kind, "value": "file://crmeval_assert.py", "config": {"metric": name}}
    other = {"type": "not-contains", "value": "Friday", "config": None}
    for _ in range(sets_around):
        check = {"type": "assert-set", "threshold": 0.5, "assert": [other, check]}
    case = {"vars": {}, "config": {"metric": name}}
    result = get_assert(text, case)
    whole = {**case, "test": {"vars": {}, "assert": [other, check]}}
    if kind == "not-python" and "could not be scored" in result["reason"]:
        with pytest.raises(ValueError, match=f"cannot hold without a score. {name} could not be scored"):
            get_assert(text, whole)
    else:
        assert get_assert(text, whole) == result


@pytest.mark.parametrize("test", [None, {}, {"assert": None}, {"assert": ["file://asserts.yaml"]}, "x", []])
def test_promptfoo_may_describe_its_test_in_any_way(test):
    case = {"vars": {}, "config": {"metric": "completeness"}, "test": test}
    assert get_assert("Hello.", case)["reason"].startswith("completeness could not be scored")


def test_the_file_for_promptfoo_in_the_tutorial_does_what_is_said():
    "The real promptfoo runs the same file in benchmarks/bridges."
    yaml = pytest.importorskip("yaml")
    path = Path(__file__).parents[1] / "nbs" / "tutorials" / "other_tools.ipynb"
    cells = [c["source"] for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    page = "\n".join(map("".join, cells))
    config = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    checks = config["defaultTest"]["assert"]
    assert config["prompts"] == ["{{reply}}"] and len(checks) == 2
    found = []
    for test in config["tests"]:
        options = {"vars": test["vars"], "prompt": test["vars"]["reply"], "test": {**test, "assert": checks}}
        found.append([get_assert(options["prompt"], {**options, "config": c["config"]}) for c in checks])
    assert [[r["pass"] for r in row] for row in found] == [[True, True], [False, False]]
    assert found[1][0]["reason"].startswith("factuality: 1 of 4, expected at least 3. ")


STAND_INS = {  # the names that an adapter imports; the real packages run in benchmarks/bridges
    "deepeval/errors.py": "class MissingTestCaseParamsError(Exception): ...",
    "deepeval/metrics.py": "class BaseMetric: ...",
    "ragas/metrics/base.py": (
        "from dataclasses import dataclass\n"
        "class MetricType: SINGLE_TURN = 'single'\n"
        "@dataclass\n"
        "class SingleTurnMetric: name: str\n"
    ),
    "mlflow/entities.py": "from types import SimpleNamespace as Feedback",
    "mlflow/genai/scorers.py": "def scorer(function, name): function.name = name; return function",
}


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    ours = {file.partition("/")[0] for file in STAND_INS}
    for name in [n for n in sys.modules if n.partition(".")[0] in ours]:
        monkeypatch.delitem(sys.modules, name)
    for file, text in STAND_INS.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for folder in list(path.parents)[: file.count("/")]:
            (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [n for n in sys.modules if n.partition(".")[0] in ours]:
        del sys.modules[name]


@pytest.mark.parametrize("mark", ["[/red]", "[bold]", "[link=http://a]b[/link]", "[", "\\[/x]", "\\", "[/]"])
def test_no_answer_ends_the_report_of_deepeval(stand_ins, mark):
    "DeepEval prints reasons with rich, which reads [/red] as a mark and stops at one that was not opened."
    rich_text = pytest.importorskip("rich.text").Text
    answer = f"It arrives on Monday {mark} and costs 40 euros."
    case = SimpleNamespace(input="When?", actual_output=answer, retrieval_context=["It arrives on Friday."])
    metric = deepeval_metric("factuality")
    assert metric.measure(case) < 0.5 and not metric.is_successful()
    shown = rich_text.from_markup(metric.reason).plain
    plain = get_assert(
        answer, {"vars": {"source": "It arrives on Friday."}, "config": {"metric": "factuality"}}
    )
    assert mark in shown and plain["reason"].endswith(shown)


def test_deepeval_is_sent_an_error_for_what_has_no_score(stand_ins):
    from deepeval.errors import MissingTestCaseParamsError

    metric = deepeval_metric("completeness")
    case = SimpleNamespace(input="When?", actual_output="On Friday.", retrieval_context=["It arrives."])
    with pytest.raises(MissingTestCaseParamsError, match="completeness could not be scored: undefined"):
        metric.measure(case)
    assert metric.score is None and not metric.is_successful()


def test_ragas_gets_nan_and_the_reason_as_a_warning(stand_ins):
    sample = SimpleNamespace(user_input="When?", response="It arrives on Friday.", rubrics=None)
    with pytest.warns(UserWarning, match="completeness could not be scored: The sample has nothing for key"):
        value = asyncio.run(ragas_metric("completeness")._single_turn_ascore(sample))
    assert math.isnan(value)
    sample.rubrics = {"first": "on Friday"}
    assert asyncio.run(ragas_metric("completeness")._single_turn_ascore(sample)) > 0.9


@pytest.mark.parametrize(
    "outputs, fraction",
    [
        ("It arrives on Friday.", 1),
        ({"response": "It arrives on Friday."}, 1),
        ({"choices": [{"message": {"content": "It arrives on Friday."}}]}, 1),
        ({"messages": [{"content": "When?"}, {"content": "It arrives on Friday."}]}, 1),
        ("It is sent.", 0),
        ("", 0),
        (None, None),
        ({"messages": [], "choices": None}, 0),
        ([], 0),
    ],
)
def test_mlflow_gets_a_value_or_an_error(stand_ins, outputs, fraction):
    scorer = mlflow_scorer("completeness")
    feedback = scorer(
        inputs={"question": "When?"}, outputs=outputs, expectations={"expected_facts": ["on Friday"]}
    )
    assert scorer.name == feedback.name == "completeness"
    if fraction is None:
        assert "completeness could not be scored: There is no answer" in str(feedback.error)
        assert not hasattr(feedback, "value") and feedback.metadata == {"status": "undefined"}
    else:
        assert abs(feedback.value - fraction) < 0.1 and feedback.metadata == {"status": "ok"}


def test_mlflow_without_facts_is_no_zero(stand_ins):
    for row in ({}, {"inputs": {}, "expectations": {}}, {"inputs": {"expected_facts": []}}):
        feedback = mlflow_scorer("completeness")(outputs="It arrives on Friday.", **row)
        assert "nothing for key_facts" in str(feedback.error) and not hasattr(feedback, "value")


# files of a run


SPELLINGS = (str, str.upper, str.title, lambda n: n.replace("_", " "), lambda n: f" {n.replace('_', '-')} ")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from([n for n in NAMES["source"] if n != "input"]), st.sampled_from(SPELLINGS), st.booleans()
)
def test_a_source_is_never_guessed(name, spelled, is_empty):
    "A named source is used in any spelling; an empty one counts as missing, whatever the prompt says."
    claim = "Your parcel arrives on Friday."
    fields = {spelled(name): [] if is_empty else [claim], "input": claim if is_empty else "When?"}
    found = score_fields("factuality", claim, fields)
    assert (found.status, found.points) == (("undefined", None) if is_empty else ("ok", 4))
    score = score_fields("factuality", claim, {"input": claim, "other": "When?"})
    assert score.points == 4 and "Checked against the prompt" in score.reason


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(bridged_metrics())), st.sampled_from(["think", "thinking", "reasoning"]))
def test_thoughts_are_no_part_of_what_another_tool_lets_score(metric, tag):
    fields = {"source": "It is sent on Friday.", "key_facts": ["sent on Friday"], "prompt": "When?"}
    answer, thought = "It is sent on Friday.", f"<{tag}>Monday costs 400 euros, I cannot say.</{tag}>\n"
    if (apart := split_thoughts(thought + answer)).thoughts is None:
        return  # no marks of thoughts were recognised
    assert apart.text == answer
    assert score_fields(metric, thought + answer, fields) == score_fields(metric, answer, fields)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(["It is free.", "It is sent on Friday.", "The fee is 3."]), min_size=1, unique=True
    )
)
def test_key_facts_are_the_same_in_every_form(facts):
    forms = [facts, tuple(facts), {f"rubric_{i}": f for i, f in enumerate(facts)}]
    forms += [json.dumps(facts), "\n".join(facts)]
    found = [score_fields("completeness", "It is free.", {"key_facts": form}) for form in forms]
    assert all(f == found[0] for f in found) and found[0].status == "ok"


@pytest.mark.parametrize("text", ["I cannot help with that.", "Your refund is on its way.", "", "   "])
def test_a_refusal_has_a_number_wherever_it_has_a_label(text):
    score = score_fields("refusal", text, {"prompt": "Refund me."})
    assert (unit_value(score) is None) == (score.label is None or score.status != "ok")
    result = get_assert(
        text, {"vars": {"prompt": "Refund me."}, "config": {"metric": "refusal", "at_least": 4}}
    )
    assert result["pass"] is (score.label == "refusal"), result


@pytest.mark.parametrize("output", [{"status": "open"}, [{"status": "open"}], 3, True, "open"])
def test_promptfoo_may_have_read_the_output(output):
    "promptfoo passes an object where the model answered with JSON."
    result = get_assert(output, {"vars": {}, "config": {"metric": "toxicity"}})
    text = output if isinstance(output, str) else json.dumps(output)
    assert result == get_assert(text, {"vars": {}, "config": {"metric": "toxicity"}})


def test_a_run_in_files_runs_nothing(done, tmp_path):
    for form, ending in ENDINGS.items():
        export_file(done, form, tmp_path / f"table{ending}")
    with open(tmp_path / "table.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and all(not v.startswith(("=", "+", "@")) for row in rows for v in row.values())
    assert "HOSTILE" not in rows[0] and rows[0]["response"].startswith("'=cmd")
    assert "<script>" not in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "\\input" not in (tmp_path / "table.tex").read_text(encoding="utf-8")
    lines = (tmp_path / "table.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["response"] for line in lines] == [r.text for r in done.responses]


def test_rows_hold_every_score_once_and_none_that_is_not_there(done):
    rows = run_rows(done)
    cells = [(s.metric, s.points) for s in done.scores]
    stored = [(m, row[m]) for row in rows for m, _ in cells[: len(cells) // 3] if m in row]
    assert sorted(map(str, stored)) == sorted(map(str, cells))


def test_traces_and_trackers_hold_no_text(done):
    exported = json.dumps([dict(s.attributes) for s in run_spans(done)])
    exported += json.dumps([tracked_figures(done), tracked_settings(done, done.clients[0])])
    assert "script" not in exported and "cmd" not in exported
    for sample in done.samples:
        assert sample.source[:60] not in exported


def test_traces_keep_failures_as_failures(done):
    lost = [Response("s", "openai:m", None, status="api_error", error="connection lost"), *done.responses]
    spans = [s for s in run_spans(type(done)(done.folder, done.manifest, [], lost, [])) if s.client]
    assert [s.error for s in spans] == ["api_error", "", "", ""]


# Inspect


@pytest.mark.skipif(find_spec("inspect_ai") is not None, reason="Inspect is here")
def test_without_inspect_its_package_says_what_to_install():
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crmeval\[inspect\]'"):
        import_module("crmeval.inspect")


def test_inspect_finds_every_metric_by_its_name():
    text = Path(crmeval.__file__).with_name("inspect").joinpath("__init__.py").read_text(encoding="utf-8")
    for name in bridged_metrics():
        assert f'{name} = _inspect_scorer("{name}")' in text


# logs of other tools


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.text(max_size=10), min_size=1, max_size=3), min_size=1, max_size=4))
def test_the_harness_log_gives_back_each_answer(answers):
    import tempfile

    rows = [{"doc_id": i, "doc": {"id": f"s{i}"}, "filtered_resps": a} for i, a in enumerate(answers)]
    with tempfile.TemporaryDirectory() as d:
        path = write_jsonl(rows, Path(d, "samples.jsonl"))
        responses = read_responses(path)
    assert [(r.sample_id, r.repeat) for r in responses] == [
        (f"s{i}", k) for i, a in enumerate(answers) for k in range(len(a))
    ]


def test_a_log_that_is_none_is_told(tmp_path):
    rows = [{"doc_id": 0, "doc": {}, "filtered_resps": ["x"]}, {"doc_id": 1}]
    path = write_jsonl(rows, tmp_path / "samples.jsonl")
    with pytest.raises(ValueError, match="samples.jsonl, row 2: 'doc' is missing"):
        read_responses(path)
