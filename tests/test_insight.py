"The insight use cases: selected by name, answered, scored, shown, and measured on public data sets."

import csv
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from crmeval import open_run, run
from crmeval.cli import main
from crmeval.core.records import Response, Sample
from crmeval.metrics.accuracy import score_response
from crmeval.metrics.insight import USUAL, by_target, insight_figures
from crmeval.metrics.instruction_following import instruction_following
from crmeval.pages.insight_section import insight_section, run_figures
from crmeval.pages.leaderboard import leaderboard
from crmeval.runs.score_file import score_file
from crmeval.runs.selection import select_samples
from crmeval.systems.predictors import PREDICTORS
from crmeval.systems.responders import make_baseline
from crmeval.tasks.load import INSIGHT_ADAPTERS, load_demo, load_source, load_use_case
from crmeval.tasks.targets import gold_of, targets_of, usual_answers
from crmeval.tasks.use_cases import all_instructions, render_prompt, use_cases

INSIGHT = use_cases("insight")
DEMO = load_demo(use_cases=["insight"])
PREDICTED = [s for s in DEMO if INSIGHT[s.use_case].targets]


# ---- the shipped samples


def test_insight_is_asked_for_by_name():
    assert set(use_cases()).isdisjoint(INSIGHT) and {s.use_case for s in load_demo()}.isdisjoint(INSIGHT)
    counts = Counter(s.use_case for s in DEMO)
    assert list(counts) == list(INSIGHT) and min(counts.values()) >= 8, counts
    assert select_samples("demo", "insight") == DEMO
    assert {s.use_case for s in select_samples("demo", ["Insight: Churn Risk", "customer_intent"])} == {
        "churn_risk",
        "customer_intent",
    }


@pytest.mark.parametrize("name", INSIGHT)
def test_samples_are_whole_and_varied(name):
    samples = [s for s in DEMO if s.use_case == name]
    assert len({s.tags["industry"] for s in samples}) >= 4 or name == "customer_intent"
    assert len({s.tags["region"] for s in samples}) >= 8 and len({s.id for s in samples}) == len(samples)
    for s in samples:
        assert set(s.inputs) == set(INSIGHT[name].inputs) and render_prompt(s)
        assert gold_of(s).keys() == targets_of(s).keys()
        assert bool(gold_of(s)) == bool(s.tags.get("why")), s.id


@pytest.mark.parametrize("name", [n for n in INSIGHT if n != "improvement_areas"])
def test_no_answer_fits_half_of_the_samples(name):
    "A set in which one answer is nearly always right measures nothing."
    for target in targets_of(load_use_case(name)[0]):
        answers = Counter(str(gold_of(s)[target]) for s in DEMO if s.use_case == name)
        assert max(answers.values()) <= 0.6 * sum(answers.values()) and len(answers) > 1, answers


@pytest.mark.parametrize("sample", load_use_case("improvement_areas"), ids=lambda s: s.id)
def test_areas_of_improvement_have_facts_and_a_reference_that_obeys(sample):
    assert 3 <= len(sample.key_facts) <= 5
    score = instruction_following(sample.reference, instructions=all_instructions(sample))
    assert score.points == 4, [e for e in score.evidence if not e["followed"]]
    scores = {s.metric: s for s in score_response(Response(sample.id, "a", sample.reference), sample=sample)}
    # the embedded judge counts words, and a summary of opinions rephrases them
    assert scores["completeness"].points >= 3 and scores["accuracy"].points >= 2.5, scores["completeness"]


# ---- systems


@pytest.mark.parametrize("name", PREDICTORS)
def test_every_baseline_answers_in_the_form_that_is_asked_for(name):
    for s in PREDICTED:
        answer = json.loads(make_baseline(name).write(s))
        assert answer.keys() == targets_of(s).keys()
        scores = score_response(Response(s.id, name, json.dumps(answer)), sample=s)
        assert scores[-1].metric == "accuracy" and scores[-1].status == "ok", scores


def test_the_reference_is_right_and_a_list_of_all_labels_is_not():
    for s in PREDICTED:
        assert (
            score_response(Response(s.id, "r", make_baseline("reference").write(s)), sample=s)[-1].points
            >= 3.9
        )
        for t in targets_of(s).values():
            if t.kind == "label":
                everything = score_response(Response(s.id, "all", ", ".join(t.scale)), sample=s)
                assert everything[-1].points is None and everything[0].status == "parse_error", s.id


def test_systems_fail_with_their_status():
    s = PREDICTED[0]
    scores = score_response(Response(s.id, "down", None, status="api_error", error="time-out"), sample=s)
    assert [(x.metric, x.status, x.points) for x in scores] == [
        ("sentiment", "api_error", None),
        ("accuracy", "api_error", None),
    ]


# ---- a run


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("insight") / "run"
    code = main(
        (
            f"run --baselines --use-case customer_sentiment --use-case churn_risk --out {folder} "
            "--no-progress"
        ).split()
    )
    assert not code
    return open_run(folder)


def test_the_command_line_gives_tables_and_a_report(tmp_path, capsys):
    folder = tmp_path / "run"
    assert not main(
        ["run", "--baselines", "--use-case", "customer_sentiment", "--out", str(folder), "--no-progress"]
    )
    printed = capsys.readouterr().out
    for words in (
        "baseline:reference",
        "baseline:majority",
        "customer_sentiment: overall",
        "macro-F1",
        "kappa",
        "usual answer",
    ):
        assert words in printed
    assert "factual" not in printed.split("customer_sentiment: overall")[0]  # no column without a value
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="insight">' in report and "usual answer" in report


def test_reference_first_rules_then_the_usual_answer(done):
    assert set(done.clients) == {"baseline:reference", "baseline:rules", "baseline:majority"}
    for u in ("customer_sentiment", "churn_risk"):
        points = {
            r.client: r.metrics["accuracy"].value for r in leaderboard(done, by="use_case") if r.use_case == u
        }
        assert points["baseline:reference"] == 4 > points["baseline:rules"] > points["baseline:majority"], (
            points
        )
    assert {s.metric for s in done.scores} == {"sentiment", "prediction", "accuracy"}


def test_figures_stand_against_the_usual_answer(done):
    tables = by_target(run_figures(done))
    assert list(tables) == [("customer_sentiment", t) for t in ("overall", "turns", "shift")] + [
        ("churn_risk", "churn_probability")
    ]
    for rows in tables.values():
        found = {r.client: r for r in rows}
        assert rows[-1].client == USUAL and found["baseline:reference"].over_usual.value > 0
        assert found["baseline:reference"].over_rules.low >= 0 and found["baseline:rules"].over_rules is None
        assert all(r.unread == 0 and r.n == rows[0].n for r in rows)
    risk = {r.client: r.figures for r in tables["churn_risk", "churn_probability"]}
    assert risk["baseline:majority"]["roc_auc"].value == 0.5 and risk[USUAL]["lift"].value == pytest.approx(1)
    assert risk["baseline:reference"]["brier_score"].value == 0


def test_a_run_without_predictions_has_no_section(tmp_path, capsys):
    plain = run("baseline:lead", use_cases="sales_call_summary", limit=1, out=tmp_path / "r", progress=False)
    assert insight_section(plain) is None and run_figures(plain) == []


def test_unread_answers_are_counted_and_not_figured():
    samples = [s for s in PREDICTED if s.use_case == "customer_emotion"]
    answers = [
        Response(s.id, "shy", "hard to say" if i % 3 == 0 else json.dumps(dict(s.gold_record)))
        for i, s in enumerate(samples)
    ]
    (shy, usual) = insight_figures(samples, answers)
    assert (
        shy.unread == 3
        and shy.n == 9
        and shy.figures["right"].value == 1
        and shy.figures["right"].undefined == 3
    )
    assert usual.client == USUAL and usual.unread == 0


def test_a_wrong_gold_label_is_told_before_anything_is_asked(tmp_path):
    bad = [
        Sample(
            "row 3", "customer_emotion", {"conversation": "Customer: Hm."}, gold_record={"emotion": "hunger"}
        )
    ]
    with pytest.raises(ValueError, match="sample 'row 3': gold emotion is 'hunger'"):
        run("baseline:rules", data=bad, out=tmp_path / "r", progress=False)
    assert not (tmp_path / "r").exists()


# ---- answers in a table


def test_a_table_of_answers_is_scored(tmp_path):
    rows = [
        ("Customer: Still broken, a disgrace!", "anger", "The customer is furious.", '{"emotion": "anger"}'),
        ("Customer: Thank you so much.", "gratitude", "gratitude", "joy"),
        ("Customer: Where is it?", "neutral", "anger, joy or neutral", ""),
    ]
    path = tmp_path / "answers.csv"
    with open(path, "w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("conversation", "reference", "new", "old"), *rows])
    scored = score_file(
        path, ["new", "old"], use_case="customer_emotion", out=tmp_path / "run", progress=False
    )
    assert [r["new: prediction"] for r in scored.rows] == [4, 4, None]
    assert [r["old: prediction"] for r in scored.rows] == [4, 1, None]
    assert scored.rows[2]["new: prediction, why"].startswith("parse_error: ")
    (new, old, _) = run_figures(scored.run)
    assert (new.client, new.unread, old.unread) == ("new", 1, 1)


def test_score_file_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "risk.csv"
    lines = ["profile,history,gold_record,model"]
    lines += [
        f'Contract: monthly,Call {i}.,"{{""churn_probability"": {i % 2}}}",{0.2 + 0.5 * (i % 2)}'
        for i in range(8)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    words = ["score-file", str(path), "--use-case", "churn_risk", "--responses", "model"]
    assert not main([*words, "--out", str(tmp_path / "run")])
    printed = capsys.readouterr().out
    assert "churn_probability" in printed and "AUC" in printed


# ---- public data sets

SERVED = {"banking77": 3080, "multidogo_intents": 3234, "bank_marketing": 4119, "telco_churn": 7043}


@pytest.mark.parametrize("name", SERVED)
def test_public_sets_become_samples(name):
    folder = os.environ.get("CRMEVAL_DATA")
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"source {name} is not in CRMEVAL_DATA")
    samples = load_source(name, download=False)
    assert len(samples) == SERVED[name] and {s.dataset for s in samples} == {name}
    assert {s.use_case for s in samples} == set(INSIGHT_ADAPTERS[name].use_cases)
    some = samples[:: len(samples) // 60]
    for s in some:
        assert len(gold_of(s)) == 1 and render_prompt(s) and usual_answers(s)
        assert all(v.strip() for v in s.inputs.values())
        if name == "bank_marketing":
            assert "duration" not in s.source.lower()
        if name == "telco_churn":
            assert "churn" not in s.source.lower() and "customerID" not in s.source
    figures = insight_figures(some, [Response(s.id, "rules", make_baseline("rules").write(s)) for s in some])
    assert [f.client for f in figures] == ["rules", USUAL] and figures[0].n == len(some)


@pytest.mark.parametrize("system, told", [("baseline:rules", True), ("baseline:majority", False)])
def test_the_rules_figures_on_the_demo_set_are_told_to_be_too_high(system, told, tmp_path, capsys):
    words = f"run --model {system} --use-case churn_risk --no-progress --out {tmp_path / 'r'}".split()
    assert main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert ("its figures here are too high" in printed) == told
    page = (tmp_path / "r/report.html").read_text(encoding="utf-8")
    assert ("its figures here are too high" in page) == told
