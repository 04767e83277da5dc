"Metrics requested by name: scored beside accuracy, never part of it, in every view of a run."

import csv
import json
import re

import pytest
from markupsafe import escape

from crmeval import open_run, run
from crmeval.cli import main
from crmeval.core.calls import Completion
from crmeval.core.cards import MetricCard, score_of
from crmeval.judges.llm import LLMJudge
from crmeval.metrics import criteria as catalogue
from crmeval.metrics.criteria import Criterion, add_criterion, get_criterion
from crmeval.pages.leaderboard import leaderboard
from crmeval.pages.plain_rows import board_rows
from crmeval.pages.report import report_html
from crmeval.runs.plan import RunPlan, make_plan, plan_command
from crmeval.runs.score_file import score_file
from crmeval.tasks.load import load_domains
from crmeval.tasks.use_cases import SCORED_BY

CASE = "service_reply_recommendations"
RUN = {"use_cases": [CASE], "limit": 2, "progress": False}
REPLIES = ["baseline:reference", "baseline:lead"]


def by_metric(done, client=REPLIES[0]):
    first = done.samples[0].id
    return {s.metric: s.points for s in done.scores if (s.client, s.sample_id) == (client, first)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(REPLIES, **RUN, out=tmp_path_factory.mktemp("plain") / "run")


@pytest.fixture
def own():
    "Register a custom metric that would count towards accuracy if a use case named it."
    card = MetricCard(
        "thanks", "Thanks", "Whether it says thank you.", (), "It counts words.", "invented here"
    )
    yield add_criterion(
        Criterion(
            card, lambda s, text, judge: score_of(card, float("thank" in text.lower()), "word"), "thanks"
        )
    )
    catalogue._ADDED.clear()


def test_accuracy_is_the_same_to_the_digit(plain, own, tmp_path):
    done = run(REPLIES, **RUN, metrics=["fluency,coherence", "thanks"], out=tmp_path / "r")
    scores = by_metric(done)
    assert list(scores) == [*SCORED_BY, "fluency", "coherence", "thanks", "accuracy"]
    assert {m: scores[m] for m in by_metric(plain)} == by_metric(plain)
    was, now = ({r.client: r for r in leaderboard(x)} for x in (plain, done))
    assert {c: (r.rank, r.metrics["accuracy"]) for c, r in was.items()} == {
        c: (r.rank, r.metrics["accuracy"]) for c, r in now.items()
    }
    head, *_ = str(leaderboard(done)).splitlines()
    assert "+ fluent" in head and "+ thanks" in head and "+" not in str(leaderboard(plain)).splitlines()[0]


def test_one_that_raises_takes_nothing_with_it(plain, own, tmp_path):
    add_criterion(Criterion(own.card, lambda sample, text, judge: {}["missing"], "thanks"))
    done = run(REPLIES, **RUN, metrics=["thanks"], out=tmp_path / "r")
    lost = [s for s in done.scores if s.points is None]
    assert {(s.metric, s.status, s.reason) for s in lost} == {
        ("thanks", "undefined", "it raised KeyError: 'missing'")
    }
    assert {**by_metric(plain), "thanks": None} == by_metric(done)


def test_where_it_does_not_apply_there_is_no_row(tmp_path):
    done = run(
        REPLIES[:1],
        use_cases=[CASE, "update_crm_info", "customer_emotion"],
        limit=1,
        metrics="fluency",
        out=tmp_path / "r",
        progress=False,
    )
    assert {s.use_case for s in done.scores if s.metric == "fluency"} == {CASE}
    row = next(r for r in leaderboard(done) if r.client == REPLIES[0])
    assert row.metrics["fluency"].n == 1 and row.metrics["fluency"].value == 4


def test_one_folder_one_plan(tmp_path):
    folder = tmp_path / "r"
    run(REPLIES, **RUN, out=folder)
    options = {**RUN, "metrics": ["fluency"], "out": folder}
    with pytest.raises(ValueError, match="another plan .metrics of the use cases alone -> fluency."):
        run(REPLIES, **options)
    added = run(REPLIES, **options, add=True)
    assert added.manifest.metrics == ["fluency"] and by_metric(added)["fluency"] == 4
    more = run(REPLIES, **{**options, "metrics": ["only:coherence"]}, add=True)
    assert set(by_metric(more)) == {*SCORED_BY, "accuracy", "fluency", "coherence"}  # nothing was lost
    assert more.manifest.metrics == ["fluency", "coherence"] and len(more.responses) == 4
    again = open_run(folder)
    assert by_metric(again) == by_metric(more)


def test_the_same_again_scores_nothing_anew(tmp_path, monkeypatch):
    options = {**RUN, "metrics": ["fluency"], "out": tmp_path / "r"}
    first = by_metric(run(REPLIES, **options))
    monkeypatch.setattr("crmeval.runs.areas.score_asked", lambda *a, **k: pytest.fail("scored again"))
    assert by_metric(run(REPLIES, **options)) == first


def test_only(tmp_path):
    done = run(REPLIES, **RUN, metrics=["only:fluency", "coherence"], out=tmp_path / "r")
    assert set(by_metric(done)) == {"fluency", "coherence"}
    (row, *_) = leaderboard(done)
    assert row.metrics["accuracy"].value is None and row.n == 2 and row.unscored == 0
    head = str(leaderboard(done)).splitlines()[0]
    assert "factual" not in head and "+ coherent" in head


def test_views_of_a_plan(tmp_path):
    plan = RunPlan(models=["baseline:lead"], metrics=["fluency", "only:coherence"])
    assert "--metric fluency --metric only:coherence" in plan_command(plan)
    path = tmp_path / "plan.yaml"
    path.write_text("models: [baseline:lead]\nmetrics: fluency\n", encoding="utf-8")
    assert make_plan(path).metrics == ["fluency"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("fluensy", "--metric is 'fluensy', expected some of factuality"),
        ("fluensy", "did you mean 'fluency'?"),
        ("only:coherance", "did you mean 'coherence'?"),
        ("cost", "cost is not a score of one text: cost and speed are in every run"),
        ("safety", "trust has --areas"),
        ("", "--metric is '', expected some of factuality"),
    ],
)
def test_a_wrong_name_is_told(word, message, tmp_path, capsys):
    code = main(["run", "--baselines", "--metric", word, "--out", str(tmp_path / "r"), "--no-progress"])
    assert code and message in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_a_metric_without_a_sample_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'brand_voice' applies to none of the 2 samples: it takes an input"):
        run(REPLIES, **RUN, metrics="brand_voice", out=tmp_path / "r")
    with pytest.raises(ValueError, match="metrics is 'speed', expected some of"):
        run(REPLIES, **RUN, metrics="speed", out=tmp_path / "r")


def test_stored_answers_are_scored_on_more(plain, tmp_path, capsys):
    folder = tmp_path / "r"
    run(REPLIES, **RUN, out=folder)
    assert not main(["score", str(folder), "--metric", "coherence", "--no-progress"])
    printed = capsys.readouterr().out
    assert "+ coherent" in printed and "+ beside accuracy, no part of it: coherence" in printed
    scores = by_metric(open_run(folder))
    assert (
        set(scores) == {*by_metric(plain), "coherence"} and scores["accuracy"] == by_metric(plain)["accuracy"]
    )
    assert not main(["score", str(folder), "--metric", "only:fluency", "--no-progress"])
    assert set(by_metric(open_run(folder))) == {*scores, "fluency"}


def test_a_table_of_answers(tmp_path, capsys):
    path = tmp_path / "answers.csv"
    with open(path, "w", newline="", encoding="utf-8") as f:
        rows = [
            ("Customer: Where is my lamp?", "It is on on the way."),
            ("Customer: Thanks.", "You are welcome."),
        ]
        csv.writer(f).writerows([("conversation", "model"), *rows])
    options = {"use_case": "service_live_chat_summary", "out": tmp_path / "r", "progress": False}
    scored = score_file(path, ["model"], metrics=["only:fluency"], **options)
    assert [set(r) - {"conversation", "model"} for r in scored.rows][0] >= {"model: fluency"}
    assert scored.rows[0]["model: fluency"] < scored.rows[1]["model: fluency"]
    words = ["score-file", str(path), "--use-case", "service_live_chat_summary", "--responses", "model"]
    assert not main([*words, "--metric", "fluency", "--out", str(tmp_path / "r2"), "--no-progress"])
    assert "+ fluent" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "r2" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["metrics"] == ["fluency"]


def test_a_dry_run_counts_what_the_judge_is_asked_more(capsys):
    words = f"run --model baseline:reference --use-case {CASE} --limit 1 --dry-run --json".split()
    calls = []
    for more in ([], ["--metric", "fluency"], ["--metric", "only:fluency"]):
        assert not main([*words, "--judge", "openai:judge@http://127.0.0.1:9", *more])
        calls.append(json.loads(capsys.readouterr().out)["calls"])
    assert calls[1] == calls[0] + calls[2] and calls[2] >= 1, calls


class Endpoint:
    "A model that answers yes to every question."

    name, model = "stub", "stub"

    def __init__(self):
        self.asked = []

    async def chat(self, messages, **options):
        self.asked.append(user := messages[-1]["content"])
        n = int(re.search(r"one entry for each of the (\d+)", user)[1])
        rows = [{"number": i + 1, "reason": "seen", "followed": True} for i in range(n)]
        ticket = re.search(r'"ticket": "(\w+)"', user)[1]
        return Completion(json.dumps({"ticket": ticket, "verdicts": rows}))


def test_a_judge_over_the_network_is_asked_for_it(tmp_path):
    client = Endpoint()
    judge = LLMJudge("stub", client=client)
    done = run(REPLIES[:1], **{**RUN, "limit": 1}, judge=judge, metrics="only:fluency", out=tmp_path / "r")
    assert client.asked and [(s.metric, s.rater) for s in done.scores] == [("fluency", "stub")]


@pytest.mark.parametrize("n_trade, n_plain", [(2, 0), (2, 2), (3, 1)])
def test_what_is_undefined_stands_beside_the_mean_of_a_metric_asked_for(tmp_path, n_trade, n_plain, capsys):
    "Print, table, page and JSON: 'unscored' counts accuracy alone, so a metric's own count is told with it."
    samples = load_domains(None, ["service_reply_recommendations"])
    of = {w: [s for s in samples if s.tags["wording"] == w] for w in ("trade", "plain")}
    chosen = [*of["trade"][:n_trade], *of["plain"][:n_plain]]
    done = run(["baseline:reference"], data=chosen, metrics=["term_precision"], out=tmp_path, progress=False)
    (row,) = leaderboard(done).rows
    lost = row.metrics["term_precision"].undefined
    assert row.unscored == 0 and lost == n_plain  # no term of the trade in the plain words
    told = f"({lost} undefined)"
    assert (told in str(row) or told in str(leaderboard(done))) == bool(lost)
    assert board_rows([row])[0]["term_precision undefined"] == lost
    page = report_html(done)
    assert (f"{lost} undefined" in page) == bool(lost)
    assert escape(get_criterion("term_precision").card.measures) in page  # defined where it is shown
    assert main(["report", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["leaderboard"][0]["metrics"]["term_precision"]
    assert told["undefined"] == lost and told["n"] == len(chosen) - lost
