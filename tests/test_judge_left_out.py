"""The embedded judge on sources whose family was left out of training, compared with plain word overlap."""

import gzip
import json
import math
import os
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from crmeval.core.judging import Verdict, supported_share
from crmeval.core.package_data import data_path
from crmeval.core.text import content_words, sentences
from crmeval.judges.embedded import EmbeddedJudge, rule_on_support
from crmeval.judges.recorded import context_key
from crmeval.metrics.factuality import claims
from crmeval.validation.labelled import at_hand
from crmeval.validation.side_by_side import side_by_side

KEPT = {n: json.loads(data_path("judge", f"{n}.json").read_text("utf-8")) for n in ("left_out", "held_out")}


def rows_of(folder, name):
    path = Path(os.environ.get("CRMEVAL_DATA", "/nowhere")) / folder / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"source {folder} is not in CRMEVAL_DATA")
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def mtrag():
    for r in rows_of("mtrag_human", "mtrag_human"):
        if r["source"].strip():
            yield r["response"], r["source"], (np.mean(r["faithfulness"]) - 1) / 3


def dstc9():
    snippets, marks = {r["turn"]: r["source"] for r in rows_of("dstc9_replies", "turns")}, defaultdict(list)
    for r in rows_of("dstc9_replies", "ratings"):
        if r["turn"] % 9 == 0 and r["response"].strip():
            marks[r["turn"], r["response"]] += r["accuracy"]
    for (turn, text), ratings in marks.items():
        yield text, snippets[turn], (np.mean(ratings) - 1) / 4


def begin(part):
    of_part = [r for r in rows_of("begin", "begin") if r["part"] == part]
    for r in of_part[:: 3 if part == "wow" else 1]:
        yield r["response"], r["source"], float(r["attributable"])


def said_in(text, source):
    return claims(text, source=source) or sentences(text)


@lru_cache(maxsize=4096)
def bag_of(text):
    return frozenset(content_words(text))


def verdict(claim, source, kept="left_out"):
    p = KEPT[kept]["answers"][context_key("supported", claim, source)[:10]]
    return rule_on_support(claim, source, probability=p) or Verdict(p > 0.5, p)


def share(text, source):
    claims_read = said_in(text, source)
    return supported_share(
        [verdict(c, source) for c in claims_read], [math.sqrt(1 + len(content_words(c))) for c in claims_read]
    )


def overlap(text, source, empty=1.0):
    stems = content_words(text)
    return sum(w in bag_of(source) for w in stems) / len(stems) if stems else empty


@pytest.mark.parametrize(("rows", "least"), [(mtrag, 0.71), (dstc9, 0.42)])
def test_ratings_of_an_unknown_family_are_met_better_than_by_overlap(rows, least):
    texts = list(rows())
    people = [y for _, _, y in texts]
    own, plain = (np.corrcoef(people, [f(t, s) for t, s, _ in texts])[0, 1] for f in (share, overlap))
    assert own >= least and own > plain, (own, plain)


def auc_of(pairs):
    "Return the AUC of the judge and of overlap, from (claim, source, right)."
    right = [y > 0.5 for _, _, y in pairs]
    judged = [verdict(c, s).probability for c, s, _ in pairs]
    plain = [overlap(c, s, empty=0.0) for c, s, _ in pairs]
    return roc_auc_score(right, judged), roc_auc_score(right, plain)


def meetings():
    source = {r["doc"]: r["source"] for r in rows_of("diasumfact_qmsum", "dialogues")}
    return [
        (r["sentence"], source[r["doc"]], r["supported"]) for r in rows_of("diasumfact_qmsum", "sentences")
    ]


def replies(part):
    return [(c, s, y) for text, s, y in begin(part) for c in said_in(text, s)]


@pytest.mark.parametrize(
    ("pairs", "least"),
    [(meetings, 0.70), (lambda: replies("wow"), 0.85), (lambda: replies("tc"), 0.85)],
    ids=["meetings", "chat wow", "chat tc"],
)
def test_sentences_of_an_unknown_family_are_told_better_than_by_overlap(pairs, least):
    own, plain = auc_of(pairs())
    assert own >= least and own >= plain, (own, plain)


def test_one_source_is_told_worse_than_by_overlap_and_hardly():
    "CMU-DoG, 363 sentences: overlap is nearly sufficient; the judge's AUC is lower by less than 0.025."
    own, plain = auc_of(replies("cmu"))
    assert 0.93 < own < plain < own + 0.025, (own, plain)


@pytest.mark.parametrize(("name", "least"), [("finesure-completeness", 0.57), ("summhay-completeness", 0.75)])
def test_key_facts_of_an_unknown_family_are_told_better_than_by_overlap(name, least):
    if not at_hand(name):
        pytest.skip(f"the texts of {name} are not in CRMEVAL_DATA")
    lines = side_by_side(name, limit=600, groups=False, n_resamples=20, download=False)
    by_judge = {x.judge: x.measured.figures["pearson_of_probabilities"].value for x in lines if x.measured}
    own, plain = by_judge["embedded (left out)"], by_judge["word overlap"]
    assert own >= least and own > plain, (own, plain)


def test_the_answers_say_what_they_are():
    for kept in KEPT.values():
        assert kept["trained_on"] == list(EmbeddedJudge().trained_on)
        assert len(kept["fingerprint"]) == 16 and "hash" in kept["about"]
        assert {"news", "edits", "support answers"} <= set(kept["families"])
        assert all(len(k) == 10 for k in kept["answers"])
    assert KEPT["left_out"]["answers"].keys() == KEPT["held_out"]["answers"].keys()
    assert "storysumm" not in EmbeddedJudge().trained_on and "tofueval" not in EmbeddedJudge().trained_on


def test_left_out_answers_are_other_answers():
    a, b = (KEPT[n]["answers"] for n in ("left_out", "held_out"))
    assert sum(a[k] != b[k] for k in a) > 0.8 * len(a)


CHAT = "Agent (Mei): I refund 20 euros on Friday and send a new lamp to Leeds.\nCustomer: Thank you."


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        ("The agent refunds 35 euros on Friday.", "value"),
        ("The agent refunds 20 euros on 9 June.", "value"),
        ("A new lamp is sent to Ostrava on Friday.", "name"),
    ],
)
def test_a_value_or_a_name_from_nowhere_is_no_support(claim, kind):
    v = EmbeddedJudge().supported([claim], source=CHAT)[0]
    assert v.yes is False and v.probability <= 0.4 and v.category in (kind, None)
    assert EmbeddedJudge().supported(["The agent refunds 20 euros on Friday."], source=CHAT)[0].yes is True
