"""Costs of wrong decisions: from a file of the user's to the tables and the report."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval import run
from crmeval.cli.app import main
from crmeval.core.yaml_text import load_yaml
from crmeval.metrics.cost_file import make_decision_costs, read_decision_costs
from crmeval.metrics.decision_costs import Costs, decision_cost
from crmeval.metrics.insight import USUAL, columns_of
from crmeval.pages.insight_section import run_figures
from crmeval.runs.folder import open_run


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    "A run of two systems that predicts a probability and a label."
    folder = tmp_path_factory.mktemp("costs") / "run"
    systems = ["baseline:rules", "baseline:template"]
    run(systems, use_cases=["churn_risk", "customer_intent"], out=folder, progress=False)
    return folder


def write(folder, text):
    file = folder / "costs.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_command_and_the_page_show_what_the_costs_come_to(predicted, tmp_path, capsys):
    file = write(
        tmp_path, "unit: <b>EUR</b>\nchurn_probability: {missed: 400, wasted: 15}\nintent: {wrong: 3}\n"
    )
    page = tmp_path / "page.html"
    assert main(["report", str(predicted), "--costs", str(file), "--out", str(page), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["costs"]["churn_probability"] == {"missed": 400, "wasted": 15, "caught": 0, "spared": 0}
    found = {(r["client"], r["target"]): r for r in shown["insight"]}
    done = open_run(predicted)
    answers = [r for r in done.responses if r.client == "baseline:rules"]
    column = columns_of(done.samples, answers)["churn_risk", "churn_probability"]
    by_hand = decision_cost(column.said, column.gold, Costs(400, 15), clusters=column.clusters)
    row = found["baseline:rules", "churn_probability"]["costs"]
    assert row["cost"]["value"] == by_hand.cost.value and row["saving"]["value"] == by_hand.saving.value
    for client in ("baseline:rules", "baseline:template", USUAL):
        row = found[client, "intent"]
        assert row["costs"]["cost"]["value"] == pytest.approx(3 * (1 - row["figures"]["right"]["value"]))
    text = page.read_text(encoding="utf-8")
    assert "Costs as given: churn_probability: missed 400, wasted 15" in text and ">saving<" in text
    assert "&lt;b&gt;EUR" in text and "<b>EUR" not in text


@pytest.mark.parametrize(
    "text, says",
    [
        ("churn_probabilty: {missed: 4, wasted: 1}", "no target 'churn_probabilty'; did you mean"),
        ("intent: {wrongg: {fraud: 3}}", "intent: there is no label 'wrongg'"),
        ("intent: {missed: 4, wasted: 1}", "intent is a label, expected costs of labels"),
        ("churn_probability: {a: {b: 1}}", "churn_probability is a probability, expected missed and wasted"),
        (
            "churn_probability: {missed: 1, wasted: -1}",
            "expected missed above caught and wasted above spared",
        ),
        ("- 4", "this is a list, expected targets"),
        ("intent: {a: *b}", "is not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_told_before_any_output(predicted, tmp_path, capsys, text, says):
    page = tmp_path / "page.html"
    file = write(tmp_path, text)
    assert main(["report", str(predicted), "--costs", str(file), "--out", str(page)]) == 2
    out, err = capsys.readouterr()
    assert says in err and str(file) in err and not out and not page.exists()


def test_costs_of_a_run_that_predicts_nothing_are_refused(tmp_path, capsys):
    run("baseline:lead", use_cases="service_call_summary", limit=1, out=tmp_path / "run", progress=False)
    file = write(tmp_path, "churn_probability: {missed: 4, wasted: 1}")
    assert main(["report", str(tmp_path / "run"), "--costs", str(file)]) == 2
    assert "nothing uses it" in capsys.readouterr().err


def test_one_conversation_has_no_cost_and_the_page_says_so(tmp_path):
    done = run("baseline:rules", use_cases="churn_risk", limit=1, out=tmp_path, progress=False)
    costs = make_decision_costs({"churn_probability": {"missed": 4, "wasted": 1}})
    assert {f.costs for f in run_figures(done, costs)} == {None}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(PLAIN)
@settings(max_examples=150, deadline=None)
def test_any_content_is_costs_or_a_clear_error(content):
    try:
        costs = make_decision_costs(content, "costs.yaml")
    except ValueError as error:
        assert str(error).startswith("costs.yaml: ")
    else:
        assert {*costs.of} == {*content} - {"unit"} and str(costs)


def test_a_file_of_json_is_read_as_well(tmp_path):
    content = {"unit": "EUR", "intent": {"fraud": {"billing": 50}, "wrong": 5}}
    file = write(tmp_path, json.dumps(content))
    assert read_decision_costs(file).of == make_decision_costs(content).of
    assert load_yaml(json.dumps(content)) == content
