"Single metrics called from other programs, over the whole catalogue: call forms, gaps, batches, other tools."

import ast
import asyncio
import importlib
import inspect
import json
import pickle
import pkgutil
import pydoc
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

import crmeval
from crmeval.core.judging import Verdict
from crmeval.core.records import Score
from crmeval.detect.glossary import Glossary
from crmeval.metrics.brand_voice import StyleGuide
from crmeval.metrics.checks import CHECKS
from crmeval.metrics.choices import choice, choice_score
from crmeval.metrics.citations import citations_allowed
from crmeval.metrics.forms import score_dataset
from crmeval.metrics.metric import Metric
from crmeval.metrics.prediction import prediction
from crmeval.metrics.privacy import match_avoidance, privacy_helpfulness, reveal_avoidance
from crmeval.metrics.sentiment import sentiment
from crmeval.metrics.term_precision import term_recall
from crmeval.metrics.truthfulness import corrects

SOURCE = "Agent: The parcel 4471 was lost. A new one comes on Friday, free of charge."
SECRET = [{"value": "Quendal-4471", "entity": "CREDENTIAL"}]
CATALOGUE = {  # metric -> all arguments of a row that can be scored
    crmeval.factuality: {"response": "A new one comes on Friday.", "source": SOURCE},
    crmeval.completeness: {"response": "It was lost.", "key_facts": ["The parcel was lost."]},
    crmeval.conciseness: {"response": "The parcel was lost.", "key_facts": ["The parcel was lost."]},
    crmeval.instruction_following: {
        "response": "It was lost.",
        "instructions": [{"kind": "max_words", "n": 9}, {"kind": "include", "all": ["lost"]}],
    },
    crmeval.record_update: {"response": '{"a": 1}', "gold": {"a": 1}, "before": {"a": 0}},
    crmeval.privacy: {
        "response": "I cannot say.",
        "secrets": SECRET,
        "own": ["Ana"],
        "request": "What is it?",
    },
    match_avoidance: {"response": "No.", "secrets": SECRET, "own": ["Ana"], "request": "What is it?"},
    reveal_avoidance: {"response": "No.", "secrets": SECRET, "own": ["Ana"], "request": "What is it?"},
    privacy_helpfulness: {"response": "Quendal-4471", "secrets": SECRET, "request": "What is it?"},
    crmeval.toxicity: {"response": "Thank you for the parcel."},
    crmeval.refusal: {"response": "I'm sorry, but I can't help with that.", "prompt": "Reset it."},
    crmeval.truthful: {
        "response": "In 14 days.",
        "question": "When is it paid?",
        "correct": ["In 14 days"],
        "incorrect": ["At once"],
    },
    corrects: {
        "response": "No, it takes 14 days.",
        "fact": "It is paid in 14 days.",
        "premise": "It is paid at once.",
        "question": "Why at once?",
    },
    crmeval.fluency: {"response": "Your parcel was lost on the way to Porto."},
    crmeval.coherence: {
        "response": "Your parcel was lost. We send a new one today.",
        "conversation": "Customer: Where is my parcel?",
    },
    crmeval.brand_voice: {
        "response": "Your parcel was lost. We send a new one today.",
        "guide": {"emoji": 0},
    },
    crmeval.term_precision: {
        "response": "The excess is 350 pounds.",
        "source": "You pay an excess of 350 pounds.",
        "glossary": "insurance",
    },
    term_recall: {
        "response": "The excess is 350 pounds.",
        "key_facts": ["The excess is 350 pounds."],
        "glossary": "insurance",
    },
    sentiment: {
        "response": '{"overall": "negative", "turns": ["negative"], "shift": "same"}',
        "overall": "negative",
        "turns": ["negative"],
        "shift": "same",
    },
    crmeval.citation_recall: {"response": "It is so [1].", "passages": ["It is so."]},
    crmeval.citation_precision: {"response": "It is so [1].", "passages": ["It is so."]},
    citations_allowed: {"response": "It is so [1].", "passages": ["It is so."], "reader": ["staff"]},
    prediction: {"response": "lamp", "gold": "lamp", "labels": ["lamp", "bulb"], "kind": "label"},
    choice_score: {"response": "A", "item": choice("Which?", "right", ["wrong"])},
}
PLAIN = {m: row for m, row in CATALOGUE.items() if m is not choice_score}  # rows of plain data
NAMES = {m: m.__name__ for m in CATALOGUE}
every = pytest.mark.parametrize("metric", CATALOGUE, ids=NAMES.get)
plain = pytest.mark.parametrize("metric", PLAIN, ids=NAMES.get)
NOTHING = [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT]
WRONG = [7, 1.5, True, b"bytes", object(), 2 + 1j]


def score(metric, row, **more) -> Score:
    options = {**row, **more}
    return metric(options.pop("response"), **options)


def is_unscored(found: Score) -> bool:
    return (
        found.points is None and found.fraction is None and found.status == "undefined" and bool(found.reason)
    )


def rooms():
    for wing in ("metrics", "detect"):
        package = importlib.import_module(f"crmeval.{wing}")
        for found in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"crmeval.{wing}.{found.name}")


def public_functions():
    for room in rooms():
        for name in room.__all__:
            found = getattr(room, name)
            if inspect.isfunction(found) and found.__module__ == room.__name__:
                yield f"{room.__name__}.{name}", found


def test_the_catalogue_is_whole():
    "Every metric in the modules is listed in CATALOGUE above: a new one has to be added."
    assert {f for _, f in public_functions() if isinstance(f, Metric) and hasattr(f, "form")} == set(
        CATALOGUE
    )


JUDGED = ("response", "answer", "prediction", "text")


def test_what_is_judged_comes_first_everywhere():
    "Every public function of metrics and detectors takes what it judges as its first positional parameter."
    seen, wrong = 0, []
    for name, function in public_functions():
        taken = [
            p for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        judged = [p.name for p in taken if p.name in JUDGED and p.default is p.empty]
        seen += bool(judged)
        if judged and (judged != [taken[0].name] or len(taken) > 1 and not _is_check(function)):
            wrong.append(f"{name}{inspect.signature(function)}")
    assert seen > 90 and not wrong, "\n".join(wrong)


def _is_check(function):
    "Whether it is an instruction check (parameters come in a dictionary) or a price (judges nothing)."
    return function.__name__ in {f.__name__ for f in CHECKS.values()} or function.__module__.endswith(".cost")


@every
def test_a_metric_takes_its_response_by_place_and_all_else_by_name(metric):
    first, *rest = inspect.signature(metric).parameters.values()
    assert first.name == "response" and all(p.kind is p.KEYWORD_ONLY for p in rest)
    assert inspect.signature(metric).return_annotation is Score


@every
def test_an_old_call_says_the_new_form(metric):
    form = rf"it is called {metric.__name__}\(response, \*"
    row = CATALOGUE[metric]
    with pytest.raises(TypeError, match=form):
        metric("What was asked?", "What was answered.")
    with pytest.raises(TypeError, match=form):
        score(metric, row, respnse="x")
    if len(row) > 1 and metric.form.needed[1:]:
        with pytest.raises(TypeError, match=rf"needs {metric.form.needed[1]}.*{form}"):
            metric(row["response"])
        with pytest.raises(TypeError, match=rf"did you mean '{metric.form.needed[1]}'"):
            metric(row["response"], **{metric.form.needed[1] + "s": "x"})
    if "judge" in metric.form.options:
        with pytest.raises(ValueError, match=r"judge is 'openai:x' \(str\), expected a judge"):
            score(metric, row, judge="openai:x")


def test_graders_and_checks_say_the_new_form_too():
    from crmeval.detect.refusal import RefusalGrader
    from crmeval.metrics.instruction_following import check_instruction

    with pytest.raises(TypeError, match=r"it is called refusal\(response, \*, prompt\)"):
        RefusalGrader().refusal("What is it?", "No.")
    with pytest.raises(TypeError, match=r"it is called check_instruction\(response, \*, instruction"):
        check_instruction({"kind": "max_words", "n": 3}, "One two.")


@every
def test_help_says_what_each_argument_means(metric):
    shown = pydoc.plain(pydoc.render_doc(metric))
    for name in inspect.signature(metric).parameters:
        assert re.search(rf"\n +{name}: [^\n]+\n +\S", shown), f"{name} is not explained"
    assert "better" in shown or metric is crmeval.refusal  # a label has no direction


def test_help_of_every_public_function_names_all_its_arguments():
    for name in crmeval.__all__:
        function = getattr(crmeval, name)
        if inspect.isfunction(function):
            shown = pydoc.plain(pydoc.render_doc(function))
            for p in inspect.signature(function).parameters:
                assert re.search(rf"\n +(\*\*)?{p}( =|:)", shown), (name, p)


@every
def test_a_gap_or_a_wrong_kind_in_any_argument_gives_no_number(metric):
    row = CATALOGUE[metric]
    assert score(metric, row).status == "ok"
    for name in row:
        for value in (*NOTHING, *WRONG):
            if value is None and name in ("before", "conversation", "turns", "shift"):
                continue  # None: the argument was not given
            scored = score(metric, row, **{name: value})
            assert is_unscored(scored), (name, value, scored)
            assert isinstance(scored, Score) and scored.metric == metric.card.name


@plain
def test_a_gap_inside_a_list_gives_no_number(metric):
    row = CATALOGUE[metric]
    for name, value in row.items():
        if isinstance(value, list):
            for gap in (*NOTHING, *WRONG):
                assert is_unscored(score(metric, row, **{name: [*value, gap]})), (name, gap)


@plain
def test_empty_texts_and_lists_raise_nothing(metric):
    "Empty arguments raise nothing; an empty source, list of facts or the like gives no score."
    row = CATALOGUE[metric]
    for name, value in row.items():
        empty = [""] if isinstance(value, str) else ["", [], [""]]
        for nothing in empty:
            scored = score(metric, row, **{name: nothing})
            assert isinstance(scored, Score) and scored.reason
            if name in ("source", "key_facts", "instructions", "secrets", "fact", "premise"):
                assert is_unscored(scored), (name, nothing, scored)


@plain
def test_lists_of_any_library_are_lists(metric):
    row = CATALOGUE[metric]
    for name, value in row.items():
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            for same in (tuple(value), np.array(value), pd.Series(value), pa.array(value).to_pylist()):
                assert score(metric, row, **{name: same}) == score(metric, row)


def gappy(metric):
    "Return rows of which only the first and the last are complete."
    row = CATALOGUE[metric]
    lacking = [{**row, name: float("nan")} for name in row]
    without = {k: v for k, v in row.items() if k != "response"}
    return [row, *lacking, without, None, {**row, "response": 7}, row]


def without_places(score):
    return (score.metric, score.points, score.fraction, score.label, score.status)


@every
def test_batch_keeps_the_order_and_the_others(metric):
    rows = gappy(metric)
    calls = []
    scores = metric.batch(rows, progress=lambda done, n, s: calls.append((done, n, s.status)))
    assert [s.status for s in scores] == ["ok", *["undefined"] * (len(rows) - 2), "ok"]
    assert scores[0] == scores[-1] == score(metric, CATALOGUE[metric])
    assert all(map(is_unscored, scores[1:-1]))
    assert [(d, n) for d, n, _ in calls] == [(i + 1, len(rows)) for i in range(len(rows))]
    assert metric.batch(rows, concurrency=4) == scores
    assert metric.batch([]) == []


def test_batch_and_its_awaited_form_work_inside_a_running_loop():
    rows = gappy(crmeval.factuality)

    async def inside():
        sync = crmeval.factuality.batch(rows, concurrency=3)
        return (
            sync,
            await crmeval.factuality.abatch(rows, concurrency=3),
            await crmeval.afactuality(**rows[0]),
        )

    sync, awaited, one = asyncio.run(inside())
    assert sync == awaited == crmeval.factuality.batch(rows) and one == sync[0]


@plain
def test_every_holder_of_rows_gives_the_same_scores(metric):
    row = CATALOGUE[metric]
    rows = [row, {**row, "response": "Something else that is short."}]
    scores = metric.batch(rows)
    columns = {k: [r[k] for r in rows] for k in row}
    frame = pd.DataFrame(rows)
    for same in (
        columns,
        frame,
        Dataset.from_list(rows),
        pa.Table.from_pylist(rows),
        iter(rows),
        tuple(rows),
    ):
        assert list(map(without_places, metric.batch(same))) == list(map(without_places, scores))
    named = frame.rename(columns={"response": "Antwort"})
    assert metric.batch(named, columns={"response": "Antwort"}) == metric.batch(frame)
    rest = {k: v for k, v in row.items() if k != "response"}
    assert metric.batch([{"response": row["response"]}], **rest)[0] == scores[0]


def test_a_wrong_call_of_batch_raises_before_anything_is_scored():
    rows = [{"answer": "x", "surce": "y"}]
    for call, error, words in [
        (
            lambda: crmeval.factuality.batch(rows, columns={"response": "answer"}),
            ValueError,
            "'source' is not in",
        ),
        (
            lambda: crmeval.factuality.batch(rows, columns={"response": "answer"}),
            ValueError,
            "did you mean 'surce'",
        ),
        (lambda: crmeval.factuality.batch(rows, sorce="y"), TypeError, "did you mean 'source'"),
        (lambda: crmeval.factuality.batch("a text"), TypeError, "rows is 'a text'"),
        (lambda: crmeval.factuality.batch(["a", "b"]), TypeError, "rows hold str"),
        (lambda: crmeval.factuality.batch({"response": "a"}), TypeError, "one dictionary"),
        (lambda: crmeval.factuality.batch(rows, judge="gpt"), ValueError, "expected a judge"),
        (lambda: crmeval.factuality.batch([], concurrency=0), ValueError, "concurrency is 0"),
        (lambda: crmeval.privacy.batch([], judge="gpt"), ValueError, "expected a judge"),
    ]:
        with pytest.raises(error, match=re.escape(words)):
            call()


class Network:
    "A judge behind a network: it replies with a delay and fails for some requests."

    name = "network"

    def __init__(self):
        self.now = self.most = self.asked = 0

    async def arecord(self, ask):
        self.asked, self.now = self.asked + 1, self.now + 1
        number = self.asked
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
        if number == 3:
            raise RuntimeError("the line is dead, key sk-abcdef1234567890")
        return self

    def supported(self, sentences, *, source):
        return [Verdict(s.strip(".") in source) for s in sentences]

    def stated(self, facts, *, sentences):
        return [Verdict(True, lines=(0,)) for _ in facts]

    def followed(self, instructions, *, response):
        return [Verdict(True) for _ in instructions]


def test_a_judge_over_the_network_is_asked_about_many_rows_at_once():
    judge = Network()
    rows = [{"response": f"Parcel {i} came.", "source": f"Parcel {i % 4} came."} for i in range(12)]
    scores = crmeval.factuality.batch(rows, judge=judge, concurrency=5)
    assert judge.most == 5 and judge.asked == 12
    assert [s.fraction for s in scores] == [1, 1, None, 1] + [0] * 8
    lost = scores[2]
    assert (lost.status, lost.rater) == ("api_error", "network")
    assert "the line is dead" in lost.reason and "sk-abcdef" not in lost.reason


@pytest.mark.parametrize("stop", [KeyboardInterrupt, asyncio.CancelledError])
def test_who_stops_a_batch_stops_all_of_it(stop):
    judge = Network()

    def tell(done, n, score):
        if done == 2:
            raise stop

    rows = [{"response": "It came.", "source": "It came."}] * 9
    with pytest.raises(stop):
        asyncio.run(crmeval.factuality.abatch(rows, judge=judge, concurrency=2, progress=tell))
    assert judge.asked <= 5


def test_an_llm_judge_in_a_batch_leaves_no_connection_open(recwarn):
    from crmeval.judges.llm import LLMJudge

    class Stub:
        name, model, closed = "stub", "stub", 0

        async def chat(self, messages, **options):
            from crmeval.core.calls import Completion

            n = len(re.findall(r"^\s*\d+[.)]", messages[1]["content"], re.M)) or 1
            rows = ", ".join(f'{{"id": {i + 1}, "supported": true, "verdict": true}}' for i in range(n))
            return Completion(f'{{"verdicts": [{rows}]}}')

        async def aclose(self):
            self.closed += 1

    client = Stub()
    judge = LLMJudge("stub", client=client, retries=0)
    scores = crmeval.factuality.batch(
        [{"response": f"It came {i}.", "source": "It came."} for i in range(3)], judge=judge
    )
    assert len(scores) == 3 and client.closed == 1 and all(s.rater == "stub" for s in scores)
    assert judge.usage.calls >= 3


ASYNC = sorted(
    n
    for n in crmeval.__all__
    if n[:1] == "a" and n[1:] in crmeval.__all__ and n not in ("arun", "arun_batch")
)


def test_every_metric_at_the_top_has_its_awaited_form():
    tops = {n for n in crmeval.__all__ if isinstance(getattr(crmeval, n), Metric) and n != "Metric"}
    tops -= {f"a{n}" for n in tops}
    assert {f"a{n}" for n in tops} == set(ASYNC) and len(tops) == 15


@pytest.mark.parametrize("name", ASYNC)
def test_an_awaited_metric_gives_the_same_score(name):
    metric, awaited = getattr(crmeval, name[1:]), getattr(crmeval, name)
    row = CATALOGUE[metric]
    response, rest = row["response"], {k: v for k, v in row.items() if k != "response"}
    assert asyncio.run(awaited(response, **rest)) == score(metric, row)
    assert is_unscored(asyncio.run(awaited(float("nan"), **rest)))
    assert inspect.iscoroutinefunction(awaited) and awaited.__name__ == name
    assert str(inspect.signature(awaited)) == str(inspect.signature(metric))
    with pytest.raises(TypeError, match=rf"it is called {metric.__name__}\("):
        asyncio.run(awaited("x", "y"))
    assert pickle.loads(pickle.dumps(awaited)) is awaited and pickle.loads(pickle.dumps(metric)) is metric


FIELDS = ("points", "fraction", "status", "reason", "label", "rater")


@plain
def test_a_data_set_comes_back_in_kind(metric):
    row = CATALOGUE[metric]
    rows = [row, {**row, "response": None}]
    name = metric.card.name
    states = ["ok", "undefined"]
    listed = score_dataset(metric, rows)
    assert isinstance(listed, list) and [r[f"{name}_status"] for r in listed] == states
    frame = score_dataset(metric, pd.DataFrame(rows, index=["x", "y"]))
    assert list(frame.index) == ["x", "y"] and frame[f"{name}_status"].tolist() == states
    data = Dataset.from_list(rows)
    scored = score_dataset(metric, data)
    assert isinstance(scored, Dataset) and scored[f"{name}_status"][:] == states
    assert set(scored.column_names) == {*data.column_names, *(f"{name}_{k}" for k in FIELDS)}
    both = score_dataset(metric, DatasetDict(train=data, test=data))
    assert isinstance(both, DatasetDict) and both["test"][f"{name}_status"][:] == states
    assert scored[f"{name}_points"][:] == [listed[0][f"{name}_points"], None]


def test_a_frame_keeps_its_index_and_its_columns():
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["who", "n"])
    frame = pd.DataFrame(
        {"response": ["It was lost.", pd.NA, "?"], "source": SOURCE, "id": [7, 8, 9]}, index=index
    )
    scored = score_dataset(crmeval.factuality, frame)
    assert scored.index.equals(index) and list(scored.columns[:3]) == list(frame.columns)
    assert scored["factuality_status"].tolist() == ["ok", "undefined", "ok"]
    assert "factuality_status" not in frame.columns


def test_several_processes_give_the_same_as_one():
    rows = [{"response": f"Parcel {i % 3} was lost.", "source": "Parcel 1 was lost."} for i in range(9)] + [
        None
    ]
    one = score_dataset(crmeval.factuality, rows)
    assert score_dataset(crmeval.factuality, rows, num_proc=2) == one
    data = Dataset.from_list(rows[:-1])
    assert score_dataset(crmeval.factuality, data, num_proc=2)["factuality_points"][:] == [
        r["factuality_points"] for r in one[:-1]
    ]
    frame = pd.DataFrame(rows[:-1])
    assert score_dataset(crmeval.factuality, frame, num_proc=2)["factuality_points"].tolist() == [
        r["factuality_points"] for r in one[:-1]
    ]
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match="num_proc is"):
            score_dataset(crmeval.factuality, rows, num_proc=wrong)
    with pytest.raises(ValueError, match="column 'source' is not in the rows"):
        score_dataset(crmeval.factuality, data.remove_columns("source"))


CLASSES = {
    crmeval.factuality: "Factuality",
    crmeval.completeness: "Completeness",
    crmeval.conciseness: "Conciseness",
    crmeval.instruction_following: "InstructionFollowing",
    crmeval.record_update: "RecordUpdate",
    crmeval.privacy: "Privacy",
    crmeval.toxicity: "Toxicity",
    crmeval.refusal: "Refusal",
    crmeval.truthful: "Truthful",
}


@pytest.mark.parametrize("metric", CLASSES, ids=NAMES.get)
def test_an_evaluate_class_counts_what_it_could_not_score(metric):
    made = getattr(importlib.import_module(metric.__module__), CLASSES[metric])()
    row = CATALOGUE[metric]
    columns = {k: [v] * 5 for k, v in row.items() if k != "response"}
    predictions = [row["response"], None, float("nan"), 7, b"x"]
    result = made.compute(predictions=predictions, **columns)
    name = metric.card.name
    assert (result[f"{name}_n"], result[f"{name}_undefined"]) == (1, 4)
    assert result[f"{name}_statuses"] == {"undefined": 4}
    assert result[f"{name}_reasons"][1] and result[name] is not None
    needed = {k: columns[k][:1] for k in metric.form.needed if k != "response"}
    few = made.compute(predictions=[row["response"]], **needed)  # truthful needs more than these
    assert few[f"{name}_n"] == (metric is not crmeval.truthful)
    for column in needed:
        gap = made.compute(predictions=[row["response"]], **{**needed, column: [pd.NA]})
        assert (gap[f"{name}_n"], gap[f"{name}_undefined"]) == (0, 1) and gap[name] is None


class Kept:
    "A named judge that answers yes to everything."

    name = "kept"

    def supported(self, sentences, *, source):
        return [Verdict(True) for _ in sentences]

    def stated(self, facts, *, sentences):
        return [Verdict(True, lines=(0,)) for _ in facts]

    def followed(self, instructions, *, response):
        return [Verdict(True) for _ in instructions]


anything = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.text(max_size=20),
    st.binary(max_size=5),
    st.lists(st.one_of(st.none(), st.text(max_size=9), st.integers()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.text(max_size=5)), max_size=2),
)
JUDGED_METRICS = (
    crmeval.factuality,
    crmeval.completeness,
    crmeval.conciseness,
    crmeval.refusal,
    crmeval.privacy,
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    rows=st.lists(st.fixed_dictionaries({n: anything for n in ("response", "source", "prompt")}), max_size=4)
)
def test_whatever_stands_in_a_row_gives_a_score(rows):
    for row in rows:
        row.update(key_facts=row["source"], secrets=row["prompt"])
    for metric in JUDGED_METRICS:
        judge = {"judge": Kept()} if metric is not crmeval.privacy else {}
        scores = metric.batch(rows, **judge)
        assert [type(s) for s in scores] == [Score] * len(rows)
        for s, row in zip(scores, rows):
            fits = isinstance(row["response"], str)
            assert (s.status == "ok") <= fits, (metric.__name__, row)


def test_no_public_name_is_left_out_of_the_typed_program():
    text = (Path(__file__).parent / "typed_use.py").read_text(encoding="utf-8")
    used = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    assert not set(crmeval.__all__) - used


def test_types_of_rows_are_what_their_annotations_say():
    "Every annotated type is one that the check of cells knows; an unknown type would accept every value."
    known = (str, float, int, bool, Mapping, Sequence, type(None), Path, StyleGuide, Glossary)
    known = (*known, crmeval.Response)
    known = (*known, type(CATALOGUE[choice_score]["item"]))
    from typing import get_args, get_origin

    for metric in CATALOGUE:
        for name, kind in metric.form.kinds.items():
            parts = (
                get_args(kind) if get_origin(kind) not in (Sequence, Mapping) and get_args(kind) else (kind,)
            )
            assert {get_origin(p) or p for p in parts} <= set(known) | {get_origin(Sequence[str])}, (
                name,
                kind,
            )


def test_a_type_checker_finds_nothing_in_the_readme_and_in_a_program_that_uses_every_name(tmp_path):
    "Checked in the strictest mode, which a user's project may use."
    here = Path(__file__).resolve().parent
    readme = (here.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    shown = "\n".join(b for b in blocks if "await " not in b)
    waits = [textwrap.indent(b, "    ") for b in blocks if "await " in b]
    (tmp_path / "readme.py").write_text(
        "\n".join([shown, *(f"async def waits_{i}():\n{b}" for i, b in enumerate(waits))]), encoding="utf-8"
    )
    checker_settings = {
        "include": [str(here / "typed_use.py"), str(tmp_path / "readme.py")],
        "extraPaths": [str(Path(crmeval.__file__).parent.parent)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(checker_settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "-p", str(tmp_path / "pyrightconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert len(blocks) >= 5 and done.returncode == 0, done.stdout + done.stderr
