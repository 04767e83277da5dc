"Rankings, retrievers, abstention and citations: manual results, scikit-learn, and hostile input."

import asyncio
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, ndcg_score, precision_score, recall_score, roc_auc_score

from crmeval import acitation_precision, acitation_recall, citation_precision, citation_recall
from crmeval.core.judging import Verdict
from crmeval.layer.grounding import KeywordRetriever, Passage
from crmeval.layer.source_links import source_links
from crmeval.metrics.answerable import (
    abstain_below,
    abstains,
    abstains_below,
    abstention_figures,
    top_score_auc,
)
from crmeval.metrics.citations import WordSupport, citations_allowed, cited_claims, internal_cited
from crmeval.metrics.ranking import (
    hit_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    without_doubles,
)
from crmeval.metrics.retrieval import compare_retrievers, evaluate_retriever, retrieval_text, searcher
from crmeval.tasks.public import DataUnavailable
from crmeval.tasks.retrieval_sets import Query, RetrievalSet, known_figures, retrieval_set, retrieval_sets

FIGURES = [recall_at_k, precision_at_k, hit_at_k, reciprocal_rank, ndcg_at_k]
every = pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
IDS = [f"p{n}" for n in range(12)]
rankings = st.lists(st.sampled_from(IDS), max_size=20)
some = st.sets(st.sampled_from(IDS), min_size=1)
graded = st.dictionaries(st.sampled_from(IDS), st.integers(1, 3), min_size=1)
places = st.integers(1, 15)


# ---- one ranking
# Computed by hand: a d b e c, relevant a b c f; hits at ranks 1, 3 and 5.
RANKING, RELEVANT = ["a", "d", "b", "e", "c"], ["a", "b", "c", "f"]
BY_HAND = {
    recall_at_k: {1: 0.25, 3: 0.5, 5: 0.75, 10: 0.75},
    precision_at_k: {1: 1, 3: 2 / 3, 5: 0.6, 10: 0.3},
    hit_at_k: {1: 1, 5: 1},
    reciprocal_rank: {1: 1, 5: 1},
    # at 3: ideal 1 + 0.63093 + 0.5, found 1 + 0.5; at 5 and 10: ideal 2.56161, found 1 + 0.5 + 0.38685
    ndcg_at_k: {1: 1, 3: 1.5 / 2.13093, 5: 1.88685 / 2.56161, 10: 1.88685 / 2.56161},
}


@every
def test_figures_are_those_of_a_sheet_of_paper(figure):
    for k, value in BY_HAND[figure].items():
        assert figure(RANKING, RELEVANT, k) == pytest.approx(value, abs=1e-5), k


@settings(deadline=None)
@given(st.permutations(IDS), st.lists(st.integers(0, 3), min_size=12, max_size=12), places)
def test_ndcg_is_that_of_scikit_learn(order, worths, k):
    gains = dict(zip(IDS, worths))
    scores = {i: 12 - n for n, i in enumerate(order)}
    ours = ndcg_at_k(list(order), gains, k)
    if not any(worths):
        assert ours is None
        return
    assert ours == pytest.approx(ndcg_score([worths], [[scores[i] for i in IDS]], k=k))


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=12, max_size=12),
    st.lists(st.integers(0, 2), min_size=12, max_size=12),
    places,
)
def test_ties_are_those_of_scikit_learn(worths, scores, k):
    if not any(worths):
        return
    order = sorted(range(12), key=lambda n: -scores[n])
    ours = ndcg_at_k([IDS[n] for n in order], dict(zip(IDS, worths)), k, scores=[scores[n] for n in order])
    assert ours == pytest.approx(ndcg_score([worths], [scores], k=k))


@every
@settings(deadline=None)
@given(rankings, some, places)
def test_every_figure_is_a_share(figure, ranking, relevant, k):
    assert 0 <= figure(ranking, relevant, k) <= 1


@every
@settings(deadline=None)
@given(rankings, some, places, st.randoms())
def test_what_lies_below_k_changes_nothing(figure, ranking, relevant, k, rng):
    top = without_doubles(ranking)
    below = top[k:]
    rng.shuffle(below)
    assert figure([*top[:k], *below], relevant, k) == figure(ranking, relevant, k)
    assert (
        figure([*top[:k], *below, "never judged"], relevant, k) == figure(ranking, relevant, k)
        or len(top) < k
    )


@every
@settings(deadline=None)
@given(rankings, some, places, st.randoms())
def test_irrelevant_ones_may_change_places(figure, ranking, relevant, k, rng):
    top = without_doubles(ranking)
    wrong = [i for i in top if i not in relevant]
    rng.shuffle(wrong)
    other = [i if i in relevant else wrong.pop() for i in top]
    assert figure(other, relevant, k) == figure(top, relevant, k)


@every
@settings(deadline=None)
@given(rankings, some, places)
def test_a_relevant_one_on_top_never_lowers(figure, ranking, relevant, k):
    best = sorted(relevant)[0]
    assert figure([best, *ranking], relevant, k) >= figure(ranking, relevant, k) - 1e-12


@settings(deadline=None)
@given(rankings, graded, places)
def test_the_most_worthy_one_on_top_never_lowers_ndcg(ranking, relevant, k):
    best = max(relevant, key=lambda i: relevant[i])
    for gain in ("linear", "exponential"):
        after = ndcg_at_k([best, *ranking], relevant, k, gain=gain)
        assert after >= ndcg_at_k(ranking, relevant, k, gain=gain) - 1e-12


@every
@settings(deadline=None)
@given(rankings, some, places)
def test_doubles_count_once(figure, ranking, relevant, k):
    doubled = [i for i in ranking for _ in range(3)]
    assert figure(doubled, relevant, k) == figure(ranking, relevant, k)


@settings(deadline=None)
@given(rankings, some, places)
def test_recall_and_hits_never_fall_with_k(ranking, relevant, k):
    for figure in (recall_at_k, hit_at_k, reciprocal_rank):
        assert figure(ranking, relevant, k) <= figure(ranking, relevant, k + 1)


@every
@pytest.mark.parametrize("k", [0, -1, 1.5, True, "5"])
def test_no_figure_looks_nowhere(figure, k):
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        figure(RANKING, RELEVANT, k)


@every
def test_where_nothing_is_relevant_there_is_no_figure(figure):
    for nothing in ((), {}, {"a": 0}, set()):
        assert figure(RANKING, nothing, 5) is None


@every
def test_wrong_kinds_say_what_was_expected(figure):
    with pytest.raises(ValueError, match="expected a list of ids"):
        figure("abc", RELEVANT, 5)
    with pytest.raises(ValueError, match="expected a list of ids"):
        figure(RANKING, "abc", 5)
    for worth in (-1, math.nan, math.inf, "2"):
        with pytest.raises(ValueError, match="expected a number from 0"):
            figure(RANKING, {"a": worth}, 5)


# ---- a retriever
QUERIES = [Query(f"q{n}", f"word{n}", {f"p{n}": 1.0}, cluster=f"c{n // 3}") for n in range(12)]


def finds_from(first):
    "Return a search that finds, at rank 2, the passage of queries numbered `first` and above."
    return lambda q: ["p99", f"p{q.id[1:]}"] if int(q.id[1:]) >= first else ["p99"]


def test_means_are_those_of_the_queries_and_conversations_are_drawn_whole():
    table = evaluate_retriever(finds_from(6), QUERIES, figures=["recall@5", "mrr@5", "hit@1"], known=IDS)
    assert table["recall@5"].value == 0.5 and table["mrr@5"].value == 0.25 and table["hit@1"].value == 0
    assert table["recall@5"].method.startswith("cluster bootstrap") and table["hit@1"].high > 0
    alone = [Query(q.id, q.text, q.relevant) for q in QUERIES]
    narrow = evaluate_retriever(finds_from(6), alone, figures=["recall@5"])["recall@5"]
    wide = table["recall@5"]
    assert wide.high - wide.low > narrow.high - narrow.low  # clusters that hit or miss as a whole
    assert table.unknown == 12 and table.doubles == 0


def test_two_retrievers_are_compared_on_the_same_queries():
    a, b = (evaluate_retriever(finds_from(n), QUERIES, name=str(n)) for n in (0, 9))
    found = compare_retrievers(a, b, "recall@5")
    # three of four conversations differ: too few for significance, by interval and p-value
    assert found.value == pytest.approx(0.75) and found.low < 0 and found.high == 1 and found.p_value == 0.25
    assert compare_retrievers(b, a, "recall@5").value == -found.value
    other = evaluate_retriever(finds_from(0), QUERIES[::-1])
    with pytest.raises(ValueError, match="ran on different queries, or in a different order"):
        compare_retrievers(a, other)


def test_hostile_retrievers_are_counted_and_not_rewarded():
    "Retrievers that repeat a passage, find nothing, return a wrong type, or fail for some queries."
    queries = [*QUERIES, Query("q12", "nothing answers this")]
    again = evaluate_retriever(lambda q: [f"p{q.id[1:]}"] * 10, queries, figures=["precision@10", "ndcg@10"])
    assert again["precision@10"].value == pytest.approx(0.1) and again["ndcg@10"].value == 1
    assert again.doubles == 9 * 13 and again["ndcg@10"].undefined == 1
    empty = evaluate_retriever(lambda q: [], queries)
    assert empty.empty == 13 and empty["ndcg@10"].value == 0 and empty.auc.value == 0.5
    with pytest.raises(ValueError, match="failed for all of 13 queries; the first: TypeError"):
        evaluate_retriever(lambda q: None, queries)
    patchy = evaluate_retriever(lambda q: [{"id": f"p{q.id[1:]}", "score": 1 / int(q.id[1:])}], queries)
    assert patchy.failed == 1 and patchy["ndcg@10"].n == 11 and patchy["ndcg@10"].undefined == 2
    assert patchy.found[0].status == "api_error" and "ZeroDivisionError" in patchy.found[0].reason


def test_a_search_reads_nothing_that_is_relevant():
    "A retriever receives only the query text and its filters."
    seen = []

    class Listens:
        def search(self, query, k=5, where=None):
            seen.append((query, k, where))
            return []

    filtered_query = Query("q", "Pets?", {"p1": 1.0}, where={"house": "Elm"})
    evaluate_retriever(searcher(Listens(), k=7), [filtered_query])
    evaluate_retriever(searcher(Listens(), filtered=False, more={"language": "en"}), [filtered_query])
    assert seen == [("Pets?", 7, {"house": "Elm"}), ("Pets?", 10, {"language": "en"})]


def test_tables_show_intervals_and_rows_are_plain():
    table = evaluate_retriever(finds_from(3), QUERIES, name="a\x1b[31mb")
    shown = retrieval_text([table])
    assert "0.750 [" in shown and "\x1b" not in shown and str(table) == shown
    rows = json.loads(json.dumps(table.to_dicts()))
    assert {"ndcg@10", "recall@5", "ms p50", "ms p99", "cpu ms"} < {r["figure"] for r in rows}


# ---- abstention
flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)


@settings(deadline=None, max_examples=30)
@given(flags)
def test_abstaining_is_that_of_scikit_learn(pairs):
    left, known = map(list, zip(*pairs))
    nothing = [not k for k in known]
    ours = {name: e.value for name, e in abstention_figures(left, known).items()}
    for name, reference in ("precision", precision_score), ("recall", recall_score), ("f1", f1_score):
        if ours[name] is None:
            assert not any(left) if name == "precision" else all(known)
        else:
            assert ours[name] == pytest.approx(reference(nothing, left, zero_division=0)), name
    assert ours["false_alarm"] is None or 0 <= ours["false_alarm"] <= 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(-50, 50)), st.booleans()), min_size=4, max_size=40))
def test_the_auc_is_that_of_scikit_learn_on_any_scale(pairs):
    scores, known = map(list, zip(*pairs))
    ours = top_score_auc(scores, known).value
    if len(set(known)) < 2:
        assert ours is None
        return
    assert ours == pytest.approx(roc_auc_score(known, [-99 if s is None else s for s in scores]))


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 9)), st.booleans()), min_size=3, max_size=15),
    st.floats(-1, 11),
)
def test_no_other_threshold_is_better_where_it_was_chosen(pairs, other):
    scores, known = map(list, zip(*pairs))

    def f1(threshold):
        return f1_score([not k for k in known], abstains_below(scores, threshold), zero_division=0)

    assert f1(abstain_below(scores, known)) >= f1(other) - 1e-12


# ---- citations
RETURNS = Passage(
    "kb-12", "Goods may be sent back within 30 days of delivery.", "Returns", "https://kb.example/returns"
)
PUMPS = Passage("kb-3", "The warranty of a pump lasts five years.", "Warranty", "https://kb.example/warranty")
STAFF = Passage(
    "kb-66",
    "Goodwill of 50 euros needs no approval.",
    "Goodwill",
    "https://kb.example/staff",
    fields={"allowed": ["staff"]},
)
ALL = [RETURNS, PUMPS, STAFF]
BACK, PUMP = "Goods may be sent back within 30 days of delivery", "The warranty of a pump lasts five years"
WORDS = WordSupport()


@pytest.mark.parametrize(
    ("answer", "recall", "precision"),
    [
        (f"{BACK} [1]. {PUMP} [2].", 1, 1),
        (f"{BACK}. [1] {PUMP}.[2]", 1, 1),  # after the period
        (f"{BACK} [2]. {PUMP} [1].", 0, 0),  # swapped
        (f"{BACK}. {PUMP}.", 0, None),  # no citation
        (f"{BACK} [1]. {PUMP}.", 1 / 2, 1),  # one claim without a citation
        (f"{BACK} [1, 2].", 1, 1 / 2),  # the second is redundant
        (f"{BACK}, and the warranty of a pump lasts five years [1, 2].", 1, 1),  # both are needed
        (f"{BACK} [9].", 0, 0),  # no passage has this number
        (f"{BACK} [1, 9].", 1, 1 / 2),
        (f"See [our rules](https://kb.example/returns): {BACK.lower()}.", 1, 1),  # cited by link
        (f"{BACK} [1], see https://else.example/x.", 1, 1),  # a link to another site is counted separately
    ],
)
def test_citations_by_hand(answer, recall, precision):
    found = (
        citation_recall(answer, passages=ALL, judge=WORDS),
        citation_precision(answer, passages=ALL, judge=WORDS),
    )
    assert [s.fraction for s in found] == [pytest.approx(recall), precision and pytest.approx(precision)]
    assert found[1].status == ("undefined" if precision is None else "ok")


def test_what_is_wrong_is_told_in_the_words_of_the_answer():
    answer = f"{BACK} [2, 8]. {PUMP}. It is https://else.example/x so."
    recall, precision = (m(answer, passages=ALL, judge=WORDS) for m in (citation_recall, citation_precision))
    assert [e.kind for e in recall.evidence] == ["unsupported", "uncited", "uncited", "foreign link"]
    assert [e.kind for e in precision.evidence] == ["wrong citation", "lost citation", "foreign link"]
    assert (
        recall.evidence[0].text == f"{BACK}."
        and precision.evidence[-1].detail["url"] == "https://else.example/x"
    )
    assert "1 name a passage that was not retrieved" in precision.reason


def test_the_list_of_sources_is_no_claim_in_any_form():
    for form in ("markdown", "text"):
        linked = source_links(f"{BACK} [1].", ALL, form=form).text
        assert "Sources:" in linked and len(cited_claims(linked, passages=ALL)) == 1
    same = [{"id": p.id, "text": p.text, "title": p.title, "url": p.url} for p in ALL]
    assert cited_claims(f"{BACK} [1].", passages=same) == cited_claims(f"{BACK} [1].", passages=ALL)


class Asked:
    "A judge that records its requests and never decides."

    name, style = "asked", "fine"

    def __init__(self):
        self.calls = []

    def supported(self, sentences, *, source):
        self.calls.append((list(sentences), source))
        return [Verdict(None, status="parse_error", reason="unreadable")] * len(sentences)


def test_a_judge_is_asked_once_for_each_set_of_passages_and_its_failure_is_no_number():
    judge = Asked()
    s = citation_precision(
        f"{BACK} [1]. {PUMP} [2]. Both are so [1]. All is so [1][2].", passages=ALL, judge=judge
    )
    assert (s.fraction, s.status, s.reason) == (None, "parse_error", "unreadable")
    assert len(judge.calls) == 3  # the first, the second, both
    assert all("[" not in claim for claims, _ in judge.calls for claim in claims)
    assert not any("Goodwill" in source for _, source in judge.calls)  # not cited


def test_awaited_forms_give_the_same():
    answer = f"{BACK} [1, 2]. {PUMP}."
    for metric, awaited in (citation_recall, acitation_recall), (citation_precision, acitation_precision):
        assert asyncio.run(awaited(answer, passages=ALL)) == metric(answer, passages=ALL)


def test_a_passage_that_the_reader_may_not_see_is_found_however_it_is_cited():
    for answer in (
        "So it is [3].",
        "So it is [1-3].",
        "See https://KB.example/staff/#a",
        "![x](https://kb.example/staff)",
    ):
        assert internal_cited(answer, passages=ALL) == ["kb-66"], answer
        assert internal_cited(answer, passages=ALL, reader=["staff", "ana"]) == []
        assert citations_allowed(answer, passages=ALL).points < 4
    assert internal_cited("So it is [1].", passages=ALL) == []
    assert internal_cited("`[3]`", passages=ALL) == []  # code is no citation
    listed = source_links(STAFF.text, ALL).text
    assert internal_cited(listed, passages=ALL) == ["kb-66"]  # used, and so in the list


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="[]()!.,12 39\nab:/<>\"'`*#-x", max_size=120))
def test_any_text_has_a_score_or_a_status(answer):
    for metric in (citation_recall, citation_precision):
        s = metric(answer, passages=ALL, judge=WORDS)
        assert s.status in ("ok", "undefined") and (s.fraction is None) == (s.status != "ok")
    assert set(internal_cited(answer, passages=ALL)) <= {"kb-66"}


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.sampled_from([f"{BACK} [1].", f"{PUMP} [2].", f"{PUMP} [1].", f"{BACK}.", "The moon is far [2]."]),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_one_more_right_citation_never_lowers_either(pieces):
    more = "Goodwill of 50 euros needs no approval [3]."
    for metric in (citation_recall, citation_precision):
        before, after = (
            metric(" ".join(p), passages=ALL, judge=WORDS).fraction for p in (pieces, [*pieces, more])
        )
        assert before is None or after >= before


def test_abstaining_in_words():
    assert abstains("I'm sorry, I do not have that information.") and abstains("")
    assert not abstains("The fee is 4 euros.")


# ---- public sets
def the_set(name):
    try:
        return retrieval_set(name, download=False)
    except DataUnavailable:
        pytest.skip(f"{name} is not here: set CRMEVAL_DATA")


@pytest.mark.parametrize("name", retrieval_sets())
def test_what_is_relevant_is_there(name):
    s = the_set(name)
    ids = {p["id"] for p in s.passages}
    assert len(ids) == len(s.passages) and all(p["text"] and p["document"] for p in s.passages)
    assert all(q.text and q.relevant and set(q.relevant) <= ids for q in s.queries)
    assert all(q.text and not q.relevant for q in s.unanswerable)
    assert len({q.id for q in (*s.queries, *s.unanswerable)}) == len(s.queries) + len(s.unanswerable)
    first, second = s.halves()
    assert (
        len(first.queries) + len(second.queries) == len(s.queries)
        and abs(len(first.queries) - len(second.queries)) < 2
    )
    assert not {q.id for q in first.queries} & {q.id for q in second.queries}


def test_filters_name_what_the_passages_have():
    s = the_set("dstc11_knowledge")
    entities = {p["entity"] for p in s.passages}
    for q in s.queries[:300]:
        named = q.where["entity"]
        assert set([named] if isinstance(named, str) else named) <= entities
    assert the_set("mtrag").queries[0].messages[0].keys() == {"role", "content"}


def test_a_bank_knows_who_may_read_what():
    s = the_set("tau2_banking")
    allowed = {p["id"]: p["allowed"] for p in s.passages}
    internal = {p["id"] for p in s.passages if p["title"].startswith("Internal:")}
    assert internal and all((allowed[i] == ["staff"]) == (i in internal) for i in allowed)


def test_known_figures_have_a_source():
    for name in retrieval_sets():
        assert all(f.source and f.view and 0 < f.value < 1 for f in known_figures(name))
    assert RetrievalSet("x", (), ()).about == ""


def test_a_filter_gains_more_than_an_engine_on_a_toy():
    shelf = KeywordRetriever(
        [Passage(f"{h}-{n}", f"Breakfast rule {n}.", fields={"house": h}) for h in "abcd" for n in (1, 2)]
    )
    queries = [Query(h, "Breakfast rule 1?", {f"{h}-1": 1.0}, where={"house": h}) for h in "abcd"]
    without, within = (evaluate_retriever(searcher(shelf, filtered=f), queries) for f in (False, True))
    assert compare_retrievers(within, without, "mrr@10").value > 0.4 and within["mrr@10"].value == 1
