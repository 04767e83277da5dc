"What the confidence of a verdict is worth, and what it means on kinds of text never seen."

import hashlib
import itertools
import json
import random

import numpy as np
import pytest

from crmeval.core.judging import Verdict
from crmeval.core.package_data import data_path
from crmeval.core.records import STATUSES
from crmeval.core.text import sentences
from crmeval.judges.confidence import QUESTIONS, calibrated_confidence
from crmeval.judges.embedded import EmbeddedJudge
from crmeval.metrics.factuality import factuality
from crmeval.pages.report import LIMITS
from crmeval.tasks.load import load_demo
from crmeval.validation.confidence import (
    confidence_figures,
    judge_confidence,
    selective_accuracy,
    settled_verdicts,
)
from crmeval.validation.labelled import at_hand, load_labelled
from crmeval.validation.labels import Labelled
from crmeval.validation.stored import LeftOut

CHAT = (
    "Agent: Your parcel left Lyon on 3 May and should reach you on Friday.\n"
    "Customer: Good. Please charge the 18 euros to my old card, not to the new one.\n"
    "Agent: Done. You get a receipt by mail."
)
UNREAD = {
    "German": "Das Paket hat Lyon am 3. Mai verlassen und sollte am Freitag bei der Kundin sein.",
    "Turkish": "Paket Lyon'dan 3 Mayıs'ta çıktı ve müşteriye cuma günü ulaşması bekleniyor, dedi temsilci.",
    "Japanese": "荷物は五月三日にリヨンを出発し、金曜日に届く予定です。",
    "Arabic": "غادر الطرد مدينة ليون في الثالث من مايو ومن المتوقع أن يصل يوم الجمعة.",
    "code": "for (int i = 0; i < n; ++i) { total += price[i] * rate; } return total <= limit ? 1 : 0;",
    "table": "| parcel | city | date | fee |\n|---|---|---|---|\n| 4411 | Lyon | 3 May | 18 |",
    "markup": "<tr><td>parcel</td><td>Lyon</td></tr><tr><td>fee</td><td>18</td></tr>",
    "10,000 words": "the parcel left Lyon and the customer pays by card " * 1000,
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_claim_that_the_judge_cannot_read_has_no_confidence(kind):
    (verdict,) = EmbeddedJudge().supported([UNREAD[kind]], source=CHAT)
    assert verdict.yes is None and verdict.status == "undefined" and verdict.reason
    assert verdict.confidence is None and calibrated_confidence(verdict) is None


READ = {
    "log": "2026-05-03 10:11:02 INFO parcel 4411 left hub=Lyon retry=0",
    "poem": "O parcel, swift as swallows over Lyon, bring me the silver morning of the spring",
    "one word": "Lyon",
    "slang": "yo the box is gone from lyon lol",
    "headline": "Parcel Leaves Lyon As Customers Rejoice",
    "chemistry": "The catalyst lowers the activation barrier of the second hydrogen transfer",
}


@pytest.mark.parametrize("kind", READ)
def test_a_text_of_another_kind_is_never_said_to_be_surer_than_such_verdicts_were_right(kind):
    (verdict,) = EmbeddedJudge().supported([READ[kind]], source=CHAT)
    if verdict.yes is None:
        assert calibrated_confidence(verdict) is None
        return
    told, meant = verdict.confidence, calibrated_confidence(verdict)
    assert 0.5 <= meant <= 0.97
    assert meant < told or told < 0.56 or told > 0.93  # sure verdicts were nearly as right as they say


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "ok"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_without_an_answer_there_is_no_confidence(status, question):
    assert calibrated_confidence(Verdict(None, status=status), question=question) is None
    assert calibrated_confidence(Verdict(None, 0.97, status=status), question=question) is None


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_confidences_never_changes(seed):
    rng = random.Random(seed)
    verdicts = [Verdict(p > 0.5, p) for p in (rng.random() for _ in range(300))]
    told = [v.confidence for v in verdicts]
    meant = [calibrated_confidence(v) for v in verdicts]
    for (a, b), (c, d) in itertools.combinations(zip(told, meant), 2):
        assert (a < c) <= (b <= d) and (a > c) <= (b >= d)
    assert all(0.5 <= m <= 1 for m in meant)


def test_a_verdict_whose_answer_a_rule_gave_keeps_the_form():
    for yes, p in itertools.product((True, False), (0.0, 0.49, 0.5, 0.51, 1.0)):
        assert 0.5 <= calibrated_confidence(Verdict(yes, p)) <= 1


def test_the_relation_belongs_to_the_stored_answers_and_met_its_rule():
    kept = json.loads(data_path("judge", "confidence.json").read_text(encoding="utf-8"))
    answers = json.loads(data_path("judge", "left_out.json").read_text(encoding="utf-8"))["answers"]
    digest = hashlib.sha1(json.dumps(answers).encode()).hexdigest()[:10]
    assert kept["answers"] == digest, "the stored answers have changed: run training/embedded_judge anew"
    before, after = np.mean([[e[0] for e in f["calibration_error"]] for f in kept["left_out"]], axis=0)
    assert after < 0.75 * before and after < before - 0.02 and kept["mean_change"][1] < 0


def test_the_demo_set_keeps_its_verdicts_and_points():
    read = []
    for s in [s for s in load_demo() if s.reference and s.use_case != "update_crm_info"][:40]:
        verdicts = EmbeddedJudge().supported(sentences(s.reference)[:6], source=s.source)
        read += [v.status == "ok" for v in verdicts]
        assert factuality(s.reference, source=s.source).status == "ok"
    assert len(read) > 60 and np.mean(read) > 0.97


def test_a_report_says_what_a_confidence_of_nine_tenths_means():
    meant = calibrated_confidence(Verdict(True, 0.9))
    assert any(f"0.90 were right in {100 * meant:.0f} of 100" in line for line in LIMITS)


@pytest.mark.parametrize("seed", range(6))
def test_accuracy_at_a_coverage_is_that_of_a_random_order_within_ties(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 40))
    told, right = np.round(rng.random(n), 1), rng.random(n) < 0.6
    for coverage in (1 / n, 0.4, 0.8, 1):
        k = max(1, round(coverage * n))
        draws = []
        for _ in range(3000):
            order = np.lexsort((rng.random(n), -told))
            draws.append(right[order[:k]].mean())
        mine = selective_accuracy(told, right, coverage=k / n, n_resamples=2).value
        assert abs(mine - np.mean(draws)) < 0.02, (seed, coverage)


def test_lost_verdicts_are_counted_and_change_no_figure():
    told, right = [0.9, 0.8, 0.7, 0.6, 0.95], [True, False, True, False, True]
    whole = confidence_figures(told, right, clusters=list("aabbc"), n_resamples=20)
    more = confidence_figures(
        [*told, None, 0.9], [*right, True, None], clusters=list("aabbcdd"), n_resamples=20
    )
    for name, e in whole.items():
        assert more[name].value == e.value and more[name].n == e.n, name
        assert more[name].undefined >= 2, name


def test_a_judge_without_probabilities_and_one_that_knows_the_set_are_refused():
    class Asked:
        name = "asked"

        async def arecord(self, ask):
            raise AssertionError("nothing may be sent")

    with pytest.raises(ValueError, match="'asked' answers without a probability"):
        settled_verdicts([], Asked())
    if at_hand("feedback-factuality"):
        with pytest.raises(ValueError, match="was trained on the family of 'fine_grained_feedback'"):
            judge_confidence("feedback-factuality", EmbeddedJudge(), limit=3, download=False)


def test_a_share_of_votes_is_no_confidence():
    class Votes:
        name, members = "votes", ("a", "b", "c")

        def supported(self, sentences, *, source):
            return [Verdict(True, 2 / 3) for _ in sentences]

    item = Labelled("1", "factuality", ("Paid.",), "Paid.", units=(True,), cluster="d")
    (found,) = settled_verdicts([item], Votes())
    assert found.right and found.confidence is None
    assert confidence_figures([found.confidence], [found.right])["accuracy"].undefined == 1


@pytest.mark.parametrize("name", ["begin-factuality", "diasumfact-factuality", "finesure-factuality"])
def test_on_families_left_out_the_calibrated_confidence_is_nearer_to_the_accuracy(name):
    if not at_hand(name):
        pytest.skip(f"{name} is not in CRMEVAL_DATA")
    found = settled_verdicts(load_labelled(name, download=False)[:250], LeftOut())
    right = [v.right for v in found]
    assert len(right) > 200
    errors = [
        confidence_figures(c, right, n_resamples=2)["calibration_error"].value
        for c in (
            [v.confidence for v in found],
            [calibrated_confidence(Verdict(v.yes, v.confidence)) for v in found],
        )
    ]
    assert errors[1] < 0.75 * errors[0], errors
