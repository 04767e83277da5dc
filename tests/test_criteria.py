"A fifth criterion from a package that is not installed: scored in a run, part of the mean, with a column."

import json
from importlib.metadata import EntryPoint

import pytest

import crmeval.core.plugins as plugins
from crmeval import run
from crmeval.core.cards import MetricCard, score_of
from crmeval.metrics.accuracy import CRITERIA
from crmeval.metrics.criteria import Criterion, criteria, get_criterion
from crmeval.runs.plan import RunPlan
from crmeval.tasks.load import load_use_case
from crmeval.tasks.use_cases import get_use_case

CARD = MetricCard("thanks", "Thanks", "Whether it says thank you.", (), "It counts words.", "invented here")
THANKS = Criterion(
    CARD, lambda sample, text, judge: score_of(CARD, float("thank" in text.lower()), "word"), "thanks"
)


@pytest.fixture
def fifth(monkeypatch):
    point = EntryPoint("thanks", f"{__name__}:THANKS", "crmeval.metrics")
    found = {"crmeval.metrics": [point]}
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found.get(group, []))
    plugins.plugins.cache_clear()
    yield
    plugins.plugins.cache_clear()


def test_a_use_case_of_ones_own_is_scored_by_five(fifth, tmp_path):
    shipped = vars(get_use_case("service_call_summary"))
    own = {**shipped, "id": "thankful_summary", "name": "Toy: Thanks", "scored_by": [*CRITERIA, "thanks"]}
    (tmp_path / "own.json").write_text(json.dumps([own], default=list), encoding="utf-8")
    rows = [
        {**vars(s), "use_case": "thankful_summary"} for s in load_use_case("service_call_summary", limit=2)
    ]
    (tmp_path / "rows.jsonl").write_text(
        "\n".join(json.dumps(r, default=dict) for r in rows), encoding="utf-8"
    )
    plan = RunPlan(
        models=["baseline:lead"],
        data=str(tmp_path / "rows.jsonl"),
        own_use_cases=str(tmp_path / "own.json"),
        out=tmp_path / "run",
    )
    done = run(plan=plan, progress=False)
    by_metric = {s.metric: s for s in done.scores if s.sample_id == done.samples[0].id}
    assert set(by_metric) == {*CRITERIA, "thanks", "accuracy"}
    mean = sum(by_metric[m].points for m in (*CRITERIA, "thanks")) / 5
    assert by_metric["accuracy"].points == pytest.approx(mean)


def test_an_unknown_criterion_is_told_with_the_known_ones(fifth):
    beside = ["record_update", "fluency", "coherence", "brand_voice", "term_precision", "term_recall"]
    assert list(criteria()) == [*CRITERIA, *beside, "thanks"]
    with pytest.raises(ValueError, match="there is no criterion 'charm'; known: factuality"):
        get_criterion("charm")
