"Agreement figures: never from the judge's training texts, never stale unnoticed, never without a basis."

import json
import random
import re
from dataclasses import replace
from itertools import product

import pytest

import crmeval.judges.embedded as embedded
from crmeval.cli.agreement import agreement_command
from crmeval.judges.embedded import EmbeddedJudge
from crmeval.judges.panel import Panel
from crmeval.judges.recorded import context_key
from crmeval.pages.agreement_chart import agreement_in_words, known_agreement
from crmeval.validation import side_by_side as room
from crmeval.validation.area import area_under_curve
from crmeval.validation.fingerprint import judge_fingerprint, module_text
from crmeval.validation.labelled import LABELLED
from crmeval.validation.labels import Labelled, check_families, data_family, is_new_to
from crmeval.validation.measure import ask_all, measure
from crmeval.validation.overlap import OVERLAP, word_overlap
from crmeval.validation.side_by_side import side_by_side
from crmeval.validation.stored import LEFT_OUT, WITHIN, Stored, stored_answers, trained_families

SOURCE = "Ann: The router was replaced on Monday. Ben: The bill stays the same."


def toy(source):
    "Return ten invented responses as a labelled set of a registered source."
    sentences = ("The router was replaced on Monday.", "The bill doubled and Ann complained about it.")
    rows = product(range(5), sentences)
    return [
        Labelled(f"{k} {j}", "factuality", (text,), SOURCE, people=1.0 - j, units=(not j,), cluster=k)
        for k, (j, text) in ((k, (sentences.index(t), t)) for k, t in rows)
    ]


@pytest.fixture
def toy_set(monkeypatch):
    def make(source):
        made = replace(LABELLED["bump-factuality"], source=source, load=lambda download: toy(source))
        monkeypatch.setitem(LABELLED, "toy-factuality", made)
        return "toy-factuality"

    return make


def figures(found):
    return {x.judge: x for x in found}


@pytest.mark.parametrize("source", ["finesure", "bump", "frank", "summedits_more", "summhay_eval"])
def test_the_judge_is_never_asked_about_what_its_family_taught_it(toy_set, monkeypatch, source):
    supported = EmbeddedJudge.supported

    def never(judge, *args, **more):
        if judge.without != data_family(source):
            raise AssertionError("the trained judge was asked about a family that it learned from")
        return supported(judge, *args, **more)

    monkeypatch.setattr(EmbeddedJudge, "supported", never)
    monkeypatch.setattr(EmbeddedJudge, "stated", never)
    name = toy_set(source)
    assert not is_new_to(source, EmbeddedJudge().trained_on)
    for judge in (None, EmbeddedJudge(), Panel([EmbeddedJudge(), EmbeddedJudge()])):
        for line in side_by_side(name, judge, n_resamples=10):
            assert line.judge != "embedded" or line.measured is None


def test_where_no_answer_is_kept_the_weights_without_the_family_are_asked(toy_set):
    kept = Stored(LEFT_OUT, "current", {"0" * 10: 0.5}, tuple(EmbeddedJudge().trained_on))
    lines = side_by_side(toy_set("finesure"), left_out=kept, n_resamples=10)
    first = lines[0]
    assert (first.judge, first.basis, first.current) == ("embedded (left out)", "left out", True)
    judge = EmbeddedJudge(without="cnn")
    (own,) = measure("toy-factuality", ask_all(toy(""), judge), judges=[judge.name], n_resamples=10)
    assert first.measured.figures["pearson"].value == own.figures["pearson"].value
    with_all = ask_all(toy(""), EmbeddedJudge())
    assert [i.answers["embedded"].likely for i in with_all] != [
        i.answers[judge.name].likely for i in ask_all(toy(""), judge)
    ]


def test_a_missing_figure_is_never_the_kinder_one(toy_set):
    name = toy_set("finesure")
    known = {context_key("supported", i.sentences[0], SOURCE)[:10]: 0.1 + 0.8 * i.people for i in toy("")}
    within = Stored(WITHIN, "current", known)
    figures_of = figures(
        side_by_side(name, left_out=Stored(LEFT_OUT, "absent"), within=within, n_resamples=10)
    )
    assert figures_of["embedded (left out)"].measured is None
    assert figures_of["embedded (left out)"].to_dicts()[0]["value"] is None
    assert figures_of["embedded (held out)"].measured.figures["auc"].value == 1
    both = figures(
        side_by_side(name, left_out=Stored(LEFT_OUT, "current", known), within=within, n_resamples=10)
    )
    assert both["embedded (left out)"].basis == "left out" and both["embedded (left out)"].current


def test_an_older_judge_s_figure_says_so_and_who_can_measure_it_anew(toy_set):
    name = toy_set("finesure")
    known = {context_key("supported", i.sentences[0], SOURCE)[:10]: 0.9 for i in toy("")}
    kept = Stored(LEFT_OUT, "older", known)
    lines = side_by_side(name, left_out=kept, within=replace(kept, file=WITHIN), n_resamples=10)
    for line in lines[:2]:
        assert not line.current and "older version" in line.note and "only its training" in line.note
    assert "(older)" in str(lines) or lines[0].measured.figures["pearson"].value is None


def test_new_texts_are_measured_now(toy_set):
    lines = side_by_side(toy_set("maia_dqe"), n_resamples=10)
    assert [x.judge for x in lines][:2] == ["embedded", OVERLAP] and lines[0].basis == "left out"
    assert lines[0].current and lines[0].measured.undefined == 0


def test_left_out_answers_may_tell_of_more_training(toy_set):
    kept = Stored(LEFT_OUT, "absent", {}, ("maia_dqe",))
    assert data_family("maia_dqe") in trained_families(EmbeddedJudge(), kept)
    lines = side_by_side(toy_set("maia_dqe"), left_out=kept, n_resamples=10)
    assert lines[0].judge == "embedded (left out)" and lines[0].measured is None


def test_a_record_of_training_with_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="'chats of ours'"):
        check_families(["finesure", "chats of ours"])


def test_a_changed_function_is_another_judge_and_a_comment_is_not(monkeypatch):
    now = judge_fingerprint()

    def read(name, old="", new=""):
        text = module_text(name)
        return text.replace(old, new) if name == "crmeval.judges.embedded" else text

    def after(old, new):
        assert old in module_text("crmeval.judges.embedded")
        return judge_fingerprint(read=lambda name: read(name, old, new))

    assert after("q > 0.5", "q > 0.6") != now
    assert after("# per pair of adjacent words in a source", "# other words") == now
    docstring = '"Return undefined verdicts: this judge cannot read instructions."'
    assert after(docstring, '"Another docstring."') == now
    assert after("\n\n\n", "\n\n\n\n# a comment\n\n") == now
    monkeypatch.setattr(embedded, "_is_record", lambda claim: False)
    assert judge_fingerprint() != now
    monkeypatch.undo()
    assert judge_fingerprint() == now


def test_kept_answers_know_their_judge(tmp_path):
    for then, state in ((judge_fingerprint(), "current"), ("0" * 16, "older"), (None, "unrecorded")):
        kept = {"about": "", "answers": {}} | ({"fingerprint": then} if then else {})
        (tmp_path / LEFT_OUT).write_text(json.dumps(kept))
        assert stored_answers(folder=tmp_path).state == state


@pytest.mark.parametrize("seed", range(20))
def test_area_is_the_share_of_pairs_in_order(seed):
    rng = random.Random(seed)
    scores = [rng.randint(0, 4) for _ in range(rng.randint(2, 30))]
    labels = [rng.random() < 0.5 for _ in scores]
    yes = [s for s, y in zip(scores, labels) if y]
    no = [s for s, y in zip(scores, labels) if not y]
    found = area_under_curve(scores, labels, n_resamples=5).value
    if not yes or not no:
        assert found is None
    else:
        won = sum((a > b) + (a == b) / 2 for a, b in product(yes, no))
        assert found == pytest.approx(won / (len(yes) * len(no)))


@pytest.mark.parametrize("seed", range(20))
def test_word_overlap_is_a_share_that_copies_reach(seed):
    rng = random.Random(seed)
    words = "router bill Monday contract Ann delivery invoice refund".split()
    source = " ".join(rng.choices(words, k=12))
    copied = " ".join(rng.choices(source.split(), k=5))
    assert word_overlap(copied, source=source) == 1
    assert 0 <= word_overlap(" ".join(rng.choices(words, k=6)), source=source) <= 1
    assert word_overlap("zebra " + copied, source=source) == pytest.approx(5 / 6)


def test_the_command_shows_all_of_them(toy_set, capsys):
    name = toy_set("maia_dqe")
    assert agreement_command(name, json=True) == 0
    shown = json.loads(capsys.readouterr().out)["agreement"]
    assert {d["rater"] for d in shown} == {"embedded", OVERLAP}
    assert {d["basis"] for d in shown if d["rater"] == "embedded"} == {"left out"}


def test_a_judge_of_one_s_own_is_told_its_price_first(toy_set, capsys, server):
    name = toy_set("maia_dqe")
    code = agreement_command(name, judge=["openai:judge"], judge_base_url=server.url, max_calls=1, yes=True)
    printed = capsys.readouterr()
    announced, done = printed.out.split("\n", 1)
    assert (
        "10 responses" in announced
        and "10 calls" in announced
        and "minutes" in announced
        and "interval" in announced
    )
    assert "of the replies read" in done and OVERLAP in done
    assert code == 1 and "were not judged" in printed.err  # the limit is never passed, and the output says so


def test_a_figure_has_one_of_four_bases():
    assert set(room.BASES) == {"left out", "cross-validated", "untrained", "people"}


@pytest.mark.parametrize("metric", ["factuality", "completeness", "conciseness", "fluency"])
def test_no_figure_of_the_built_in_judge_is_told_without_a_plain_count(metric):
    "In reports and on pages: a correlation that counting words reaches as well is no merit of a judge."
    text = agreement_in_words(metric)
    shown = [x for x in known_agreement() if x.metric == metric and x.kind == "embedded, new texts"]
    parts = text.split(": ", 1)[1].rstrip(".").split("; ")
    assert len(parts) == len(shown) > 0
    assert all(re.search(r" \((word overlap|number of words) -?\d\.\d\d\)$", p) for p in parts), parts
    assert not [x for x in shown if f"{x.data} {x.value:.2f} " not in text]
