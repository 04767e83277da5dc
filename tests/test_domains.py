"Cases of seven domains in two wordings, their glossaries, term precision, and robustness."

import json
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import cpu_since

from crmeval import run, term_precision
from crmeval.cli.app import main
from crmeval.core.records import Sample, Score
from crmeval.core.values import missing_values
from crmeval.detect.glossary import Glossary, Term, find_terms, glossary_names, read_glossary
from crmeval.metrics.criteria import get_criterion, in_mean
from crmeval.metrics.instruction_following import instruction_following
from crmeval.metrics.term_precision import term_recall
from crmeval.runs.folder import Run, as_manifest
from crmeval.tasks.load import check_samples, load_any, load_demo, load_domains, sheet
from crmeval.tasks.use_cases import all_instructions, render_prompt, use_cases
from crmeval.validation.planted_terms import flags_terms, plant_terms, planted_shares
from crmeval.validation.robustness import ALL, LEAST_PAIRS, robustness, wording_pairs

SAMPLES = load_domains()
RESERVED = re.compile(r"(?:^|\.)example(?:\.(?:com|org|net))?$")


# ---- the data


def test_seven_domains_have_six_cases_in_two_wordings():
    counts = Counter((s.tags["domain"], s.tags["wording"]) for s in SAMPLES)
    assert len(counts) == 14 and set(counts.values()) == {6}
    assert load_any("domains") == SAMPLES == check_samples(SAMPLES)
    assert not {s.id for s in SAMPLES} & {s.id for s in load_demo()} and len({s.id for s in SAMPLES}) == 84
    assert {s.dataset for s in SAMPLES} == {"domains"} and len(wording_pairs(SAMPLES)) == 42
    assert len({s.tags["region"] for s in SAMPLES}) >= 20
    assert {s.tags["domain"] for s in SAMPLES} == set(glossary_names())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.id)
def test_a_case_is_whole(sample):
    assert set(sample.inputs) == set(use_cases()[sample.use_case].inputs) and render_prompt(sample)
    assert 4 <= len(sample.key_facts) <= 8 and "[[" not in sample.source + sample.reference
    score = instruction_following(sample.reference, instructions=all_instructions(sample))
    assert score.points == 4, [e for e in score.evidence if not e["followed"]]
    assert not missing_values(" ".join(sample.key_facts), sample.source)
    text = json.dumps([dict(sample.inputs), list(sample.key_facts), sample.reference], ensure_ascii=False)
    assert all(RESERVED.search(d) for d in re.findall(r"[\w.+-]+@([\w.-]+\w)", text))
    assert (
        "http" not in text
        and not re.search(r"\b(?:\d[ -]?){9,16}\b", text.replace(sample.id, ""))
        or (
            "4400718832" in text  # a serial number
        )
    )


def test_the_two_wordings_differ_in_words_alone():
    for trade, plain in wording_pairs(SAMPLES):
        assert re.findall(r"\d+", trade.source) == re.findall(r"\d+", plain.source), trade.id
        assert len(trade.key_facts) == len(plain.key_facts) and trade.source != plain.source
        glossary = read_glossary(trade.tags["domain"])
        terms, left = (
            sum(not t.plain for t in find_terms(s.source, glossary=glossary)) for s in (trade, plain)
        )
        assert terms >= 2 and left < terms / 2, (trade.id, terms, left)


def test_the_sheet_says_what_the_set_cannot_tell():
    text = sheet("domains")
    assert "42 invented cases of 7 domains" in text and "Limits:" in text and "{" not in text
    with pytest.raises(ValueError, match="the domains have no sample of update_crm_info"):
        load_any("domains", use_cases=["update_crm_info"])
    with pytest.raises(ValueError, match="did you mean 'domains'"):
        load_any("domain")


# ---- glossaries


@pytest.mark.parametrize("name", glossary_names())
def test_a_shipped_glossary_is_whole(name):
    glossary = read_glossary(name)
    assert len(glossary.terms) >= 15 and glossary.version and glossary.date
    for t in glossary.terms:
        assert t.definition.endswith(".") and glossary.rivals(t.term), t.term
        for friend in glossary.rivals(t.term):  # a confusion is listed for both terms
            assert t.term in glossary.rivals(friend), (t.term, friend)
        for phrase in (t.term, *t.forms, *t.plain):
            assert [f.name for f in find_terms(f"({phrase})", glossary=glossary)] == [t.term], phrase


def test_ones_own_glossary_as_a_file_and_as_a_table(tmp_path):
    row = {"term": "lot", "forms": ["batch"], "confused_with": {"shelf": "where it lies"}}
    whole, table = tmp_path / "own.json", tmp_path / "own.csv"
    whole.write_text(json.dumps({"name": "own", "version": 3, "terms": [row]}), encoding="utf-8")
    table.write_text("term,forms,confused_with\nlot,batch,shelf: where it lies\n", encoding="utf-8")
    for given_as in (whole, str(whole), table, {"terms": [row]}, json.dumps({"terms": [row]})):
        s = term_precision("The shelf 7 is old.", source="The batches 7 are old.", glossary=given_as)
        assert (s.points, s.evidence[0].detail["meant"]) == (1, "lot")
        assert "where it lies" not in s.reason  # the reason explains the intended term, not the one used


word = st.text("abcdefghij ", min_size=1, max_size=12).filter(lambda w: w.strip())


@settings(max_examples=60, deadline=None)
@given(st.lists(word, min_size=2, max_size=6, unique_by=lambda w: tuple(w.split())), st.text(max_size=200))
def test_terms_are_found_in_order_without_overlap(names, text):
    glossary = Glossary("any", tuple(Term(n) for n in names))
    try:
        terms = find_terms(f"{text} {names[0]} {text}", glossary=glossary)
    except ValueError as e:  # two names may be singular and plural of one term
        assert "is listed under" in str(e)
        return
    assert all(a.end <= b.start for a, b in zip(terms, terms[1:]))


# ---- term precision


def test_a_figure_of_the_other_term_is_wrong_and_its_own_is_right():
    source = "The excess is 350 pounds. The premium is 612 pounds a year."
    for text, points in {
        "The excess is 350 pounds.": 4,
        "You pay 350 pounds as the excess, and 612 as the premium.": 4,
        "The premium of 350 pounds is paid first.": 1,
        "The premium is due in May.": 4,
    }.items():
        assert term_precision(text, source=source, glossary="insurance").points == points, text


def test_what_is_told_apart_is_not_held_against_a_response():
    source = "It is a chargeback."
    for text in ("It is a chargeback and not a refund.", "It is a chargeback instead of the usual refund."):
        assert term_precision(text, source=source, glossary="retail").fraction == 1
    assert (
        term_precision("It is no chargeback. A refund follows.", source=source, glossary="retail").fraction
        == 0.5
    )


def test_planted_confusions_are_found_and_references_are_not_flagged():
    shares = planted_shares([s for s in SAMPLES if s.tags["wording"] == "trade"])
    assert shares["found"].n > 100 and shares["found"].value > 0.9
    assert shares["found, source has both"].value > 0.4  # found by their figures alone
    assert shares["flagged"].n == 42 and shares["flagged"].value < 0.03


def test_a_confusion_that_is_planted_never_raises_the_score():
    for s in SAMPLES[::5]:
        glossary = read_glossary(s.tags["domain"])
        before = term_precision(s.reference, source=s.source, glossary=glossary)
        for p in plant_terms(s.reference, glossary=glossary)[:6]:
            after = term_precision(p.text, source=s.source, glossary=glossary)
            assert after.fraction is None or after.fraction <= (before.fraction or 1), (s.id, p.was, p.put)


def test_recall_counts_the_terms_of_the_key_facts():
    facts = ["The excess is 350 pounds.", "The premium is 612 pounds."]
    score = term_recall("Your policy excess is 350.", key_facts=facts, glossary="insurance")
    assert score.fraction == 0.5 and [e.text for e in score.evidence if not e.fine] == ["premium"]
    assert term_recall("x", key_facts=[], glossary="insurance").status == "undefined"


def test_a_use_case_that_does_not_ask_is_not_scored_by_terms():
    assert not in_mean(["term_precision", "term_recall"])
    assert not {"term_precision", "term_recall"} & {m for u in use_cases().values() for m in u.scored_by}
    trade = next(s for s in SAMPLES if s.tags["wording"] == "trade")
    assert get_criterion("term_precision").score(trade, trade.reference, None).points == 4
    bare = replace(trade, tags={})
    assert get_criterion("term_recall").score(bare, "x", None).status == "undefined"


def test_long_texts_take_no_long_time():
    start = time.process_time()
    for unit in ("The excess of 350 ", "premium ", "not an ", "1,000. ", "excess\n", "part of a claim "):
        text = unit * (50_000 // len(unit))
        term_precision(text, source=text, glossary="insurance")
    assert cpu_since(start) < 12


def test_a_flag_is_a_wrong_term():
    glossary = read_glossary("legal")
    assert flags_terms("The plaintiff pays.", source="The defendant pays.", glossary=glossary)
    assert not flags_terms("The plaintiff pays.", source="The claimant pays.", glossary=glossary)


# ---- robustness


def cases(n, trade, plain, domain="legal"):
    "Return a run of n cases, each with points in both wordings."
    samples, scores = [], []
    for i in range(n):
        for wording, points in (("trade", trade[i]), ("plain", plain[i])):
            tags = {"wording": wording, "domain": domain}
            s = Sample(
                f"{i}{wording}", "service_call_summary", {"transcript": "x"}, cluster=f"c{i}", tags=tags
            )
            samples.append(s)
            status = "ok" if points else "undefined"
            scores.append(Score("accuracy", points, status=status, sample_id=s.id, client="a", rater="j"))
    return Run(Path("none"), as_manifest({}), samples, [], scores)


def test_the_difference_is_paired_by_case():
    done = cases(8, [1, 2, 3, 4, 1, 2, 3, 4], [2, 3, 4, 4, 2, 3, 4, 4])
    row = robustness(done).rows[0]
    assert (row.group, row.pairs, row.words) == (ALL, 8, "lower")
    assert row.difference.value == pytest.approx(-6 / 8) and row.difference.high < 0
    assert row.difference.p_value == pytest.approx(2 / 2**6)  # two cases without a difference have no sign


def test_too_few_pairs_give_no_number_and_a_reason():
    done = cases(LEAST_PAIRS, [1] * 6, [4, 4, 4, 4, 4, None])
    row = robustness(done).rows[0]
    assert (row.difference, row.status, row.pairs, row.lone) == (None, "undefined", 5, 1)
    assert "at least 6 are needed" in row.words
    assert robustness(replace(done, samples=done.samples[::2])).status == "undefined"


def test_a_run_of_the_domains_prints_the_difference_and_its_slices(tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--data", "domains", "--model", "baseline:lead", "--use-case", "service_reply_recommendations"]
    code = main(
        [
            "run",
            *words,
            "--slice",
            "domain",
            "--slice",
            "wording",
            "--out",
            str(out),
            "--limit",
            "14",
            "--json",
        ]
    )
    document = json.loads(capsys.readouterr().out)
    assert code == 0 and {r["column"] for r in document["slices"]} == {"domain", "wording"}
    first, *others = document["robustness"]
    assert (first["group"], first["pairs"], first["status"]) == ("all", 7, "ok")
    assert {r["status"] for r in others} == {"undefined"} and len(others) >= 3
    assert main(["report", str(out)]) == 0
    assert "the trade's words against plain words" in capsys.readouterr().out


def test_data_without_pairs_say_nothing_of_wordings(tmp_path, capsys):
    done = run(
        ["baseline:lead"], limit=1, use_cases=["service_call_summary"], out=tmp_path / "r", progress=False
    )
    assert not len(robustness(done)) and "no case has both wordings" in robustness(done).reason
    assert main(["report", str(tmp_path / "r")]) == 0
    assert "plain words" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "response, points",
    [
        ("The premium is not 410 pounds.", None),
        ("Your premium was never 410 pounds.", None),
        ("The premium isn't 410 pounds but 820.", 4),
        ("The premium will not rise: 410 pounds.", 1),
        ("The premium of 410 pounds is not due yet.", 1),
    ],
)
def test_a_figure_that_is_denied_of_a_term_is_not_taken_for_it(response, points):
    source = "The excess is 410 pounds, the premium 820 pounds a year."
    assert term_precision(response, source=source, glossary="insurance").points == points
