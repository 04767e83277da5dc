"Properties that every accuracy metric must have, checked over the whole catalogue with several judges."

import inspect
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import evaluate
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

import crmeval
from crmeval import completeness, conciseness, factuality, instruction_following
from crmeval.core.judging import Verdict
from crmeval.core.text import parts
from crmeval.judges.recorded import RecordedJudge
from crmeval.metrics.accuracy import CRITERIA, accuracy
from crmeval.metrics.catalogue import all_cards, metric_page, page_cards
from crmeval.metrics.criteria import shipped_criteria
from crmeval.metrics.defaults import default_judge
from crmeval.metrics.forms import score_dataset
from crmeval.metrics.hollow import hollow_problem
from crmeval.metrics.record_update import record_update

SOURCE = (
    "Customer: My heater, serial H-2207, stopped on 3 March and the house is cold.\n"
    "Agent (Ito): I am sorry. I can send a technician on 5 March at 14:30.\n"
    "Customer: Fine. What does it cost?\n"
    "Agent (Ito): The visit costs 80 euros, and it is free if the pump is broken.\n"
    "Customer: Good, I will be at home."
)
FACTS = [
    "The customer's heater H-2207 stopped on 3 March.",
    "A technician comes on 5 March at 14:30.",
    "The visit costs 80 euros.",
    "The visit is free if the pump is broken.",
]
GOOD = (
    "The customer's heater H-2207 stopped on 3 March. A technician comes on 5 March at 14:30. "
    "The visit costs 80 euros, and it is free if the pump is broken."
)
WRONG = "The weather in Lisbon was sunny all week. Our cafeteria now serves vegan lasagne on Mondays."
GOLD = {"stage": "Won", "amount": 900}
RULES = [
    {"kind": "max_words", "n": 60, "text": "At most 60 words."},
    {"kind": "include", "all": ["H-2207"], "text": "Name the serial number."},
]

METRICS = {
    "factuality": (factuality, {"source": SOURCE}, GOOD, WRONG),
    "completeness": (completeness, {"key_facts": FACTS}, GOOD, WRONG),
    "conciseness": (conciseness, {"key_facts": FACTS}, GOOD, WRONG),
    "instruction_following": (instruction_following, {"instructions": RULES}, GOOD, WRONG * 8),
    "record_update": (record_update, {"gold": GOLD}, json.dumps(GOLD), '{"stage": "Lost", "owner": "Bo"}'),
}
WRITING = ("fluency", "coherence", "brand_voice")  # do not score an empty text: test_fluency, test_coherence
TERMS = ("term_precision",)  # uses a glossary and no judge: test_domains
CITED = ("citation_recall",)  # needs passages: test_retrieval
PREDICTED = ("sentiment", "prediction")  # use no judge: test_sentiment and test_prediction
every = pytest.mark.parametrize("name", METRICS)
STRANGE = {
    "non-English": "Le chauffage du client est tombé en panne. Ein Techniker kommt am 5. März um 14:30 Uhr. "
    "技術者は3月5日に来ます。",
    "very long": "The technician comes on 5 March and looks at the heater again. " * 800,
    "one long word": "x" * 50_000,
    "unicode": "🚒 e\u0301 \u202e\u2066 \u00a0 ﬁ \ufeff \u200b ½ Ⅳ ١٢٣",
    "combining characters": "The heater\u0301\u0308\u0323 sto\u0304pped on 3 March. Cafe\u0301. "
    + "e"
    + "\u0301" * 5000,
    "right to left": "\u0627\u0644\u0633\u062e\u0627\u0646 \u062a\u0648\u0642\u0641 \u0641\u064a 3 March. "
    "\u202eThe heater stopped.\u202c \u05d4\u05ea\u05e0\u05d5\u05e8 \u05d4\u05ea\u05e7\u05dc\u05e7\u05dc.",
    "zero width": "The\u200b hea\u200cter\u200d stopped\ufeff on 3\u2060 March.",
    "emoji": "\U0001f525 The heater \U0001f468\u200d\U0001f469\u200d\U0001f467 stopped "
    "\U0001f1eb\U0001f1f7 on 3 March \U0001f44d\U0001f3fd.",
    "very long source of lines": "Agent: it works.\nCustomer: no.\n" * 1500,
    "control characters": "\x00\x07\x1b[31m heater\r\n\t",
    "lone surrogate": "half \ud83d pair",
    "stops": "x" + "?!" * 25_000 + "x",
    "brackets": "{" * 3000 + "[" * 3000,
    "markup": "<b>heater</b> **5 March** | a | b |",
}


class PerfectJudge:
    "A judge that compares strings: correct for this file, whose texts consist of known sentences."

    name, style = "perfect", "fine"

    def supported(self, sentences, *, source):
        return [Verdict(s in source) for s in sentences]

    def found(self, fact, sentences):
        lines = tuple(i for i, s in enumerate(sentences) if fact in s)
        return Verdict(bool(lines), lines=lines)

    def stated(self, facts, *, sentences):
        return [self.found(fact, sentences) for fact in facts]

    def followed(self, instructions, *, response):
        return [Verdict(i in response) for i in instructions]


class RubricJudge(PerfectJudge):
    "A rubric judge: 4 points for a response that contains an expected text, otherwise 1."

    name, style = "rubric", "rubric"

    def rated(self, criterion, *, response, source, key_facts, instructions):
        good = any(str(t) in response for t in (*key_facts, *instructions, *(source or "").split("\n")) if t)
        return Verdict(None, points=4.0 if good else 1.0, reason="seen")


def replaying(metric, response, judge, **arguments):
    "Return the score with a judge, and the score with the record of its verdicts."
    record = RecordedJudge(judge.name)

    class Writing:
        name, style = judge.name, "fine"

        def supported(self, sentences, *, source):
            verdicts = judge.supported(sentences, source=source)
            record.add("supported", sentences, verdicts, context=source)
            return verdicts

        def stated(self, facts, *, sentences):
            verdicts = judge.stated(facts, sentences=sentences)
            record.add("stated", facts, verdicts, context=sentences)
            return verdicts

        def followed(self, instructions, *, response):
            verdicts = judge.followed(instructions, response=response)
            record.add("followed", instructions, verdicts, context=response)
            return verdicts

    return metric(response, judge=Writing(), **arguments), metric(response, judge=record, **arguments)


def score(name, response, **more):
    function, arguments, _, _ = METRICS[name]
    return function(response, **{**arguments, **more})


@every
def test_perfect_worst_and_empty(name):
    _, _, best, worst = METRICS[name]
    good, bad, empty = score(name, best), score(name, worst), score(name, "")
    assert (good.points, good.status) == (4, "ok"), good
    assert (bad.points, bad.status) == (1, "ok"), bad
    assert (empty.points, empty.fraction) == (1, 0), empty
    assert good.reason and bad.reason and empty.reason and good.rater
    assert good.metric == name


def test_the_catalogue_is_whole():
    "A new metric on the 4-point scale must be added to the list of this file."
    found = set()
    for path in Path(crmeval.__file__).parent.rglob("[a-z]*.py"):
        if "\nCARD = MetricCard(" in path.read_text(encoding="utf-8"):
            found |= {
                c.name
                for c in [
                    import_module(
                        ".".join(
                            (
                                "crmeval",
                                *path.relative_to(Path(crmeval.__file__).parent).with_suffix("").parts,
                            )
                        )
                    ).CARD
                ]
                if c.unit == "points, 1 to 4"
            }
    assert found == {*METRICS, *WRITING, *TERMS, *CITED, *PREDICTED, "accuracy"}


@pytest.mark.parametrize(
    "judge", [None, PerfectJudge(), RubricJudge()], ids=["embedded", "perfect", "rubric"]
)
@pytest.mark.parametrize(
    "name,nothing",
    [
        ("factuality", {"source": " "}),
        ("completeness", {"key_facts": []}),
        ("completeness", {"key_facts": [" "]}),
        ("conciseness", {"key_facts": []}),
        ("instruction_following", {"instructions": []}),
        ("instruction_following", {"instructions": ["", " "]}),
    ],
)
def test_undefined_is_none_with_a_status(name, nothing, judge):
    if judge is not None and judge.style == "rubric" and name == "instruction_following":
        return  # a rubric judge reports this case in its own words
    s = score(name, GOOD, judge=judge, **nothing)
    assert (s.points, s.fraction, s.status) == (None, None, "undefined") and s.reason


def test_accuracy_is_undefined_without_one_of_the_four():
    scores = [score(m, GOOD) for m in CRITERIA]
    assert accuracy(scores).points == 4 and accuracy(scores[::-1]).points == 4
    for i in range(4):
        assert (
            accuracy(scores[:i] + scores[i + 1 :]).points,
            accuracy(scores[:i] + scores[i + 1 :]).status,
        ) == (None, "undefined")


@pytest.mark.parametrize(
    "name,field",
    [
        ("factuality", "source"),
        ("completeness", "key_facts"),
        ("conciseness", "key_facts"),
        ("instruction_following", "instructions"),
    ],
)
def test_what_a_row_may_hold_instead_gives_no_number_and_says_what_arrived(name, field):
    wrong = [None, 7, 1.5, b"x"] + (
        [["a list"]] if field == "source" else ["one text", {"a": 1}, [None], [7], [["nested"]]]
    )
    for value in wrong:
        scored = score(name, GOOD, **{field: value})
        assert (scored.points, scored.fraction, scored.status) == (None, None, "undefined")
        assert re.fullmatch(rf"{field}.* is .*expected .*", scored.reason), scored.reason
    for value in (7, ["x"], b"x"):
        scored = score(name, value)
        assert scored.status == "undefined" and re.match(
            rf"response is .*{type(value).__name__}.*expected", scored.reason
        )


@every
@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize(
    "judge", [None, PerfectJudge(), RubricJudge()], ids=["embedded", "perfect", "rubric"]
)
def test_strange_texts_get_a_score_or_a_status(name, kind, judge):
    s = score(name, STRANGE[kind], judge=judge)
    if judge is None and kind in ("non-English", "right to left") and s.status == "undefined":
        assert s.points is None and "English" in s.reason  # no score for a language that it cannot read
        return
    assert s.status == "ok" and 1 <= s.points <= 4 and 0 <= s.fraction <= 1
    json.dumps([dict(e) for e in s.evidence], default=str)


@pytest.mark.parametrize("judge", [default_judge(), PerfectJudge()], ids=["embedded", "perfect"])
def test_a_record_of_the_verdicts_gives_the_same_score(judge):
    for text in (GOOD, WRONG, f"{GOOD} {GOOD} {WRONG}", STRANGE["non-English"], STRANGE["unicode"]):
        for name, more in (
            ("factuality", {"source": SOURCE}),
            ("completeness", {"key_facts": FACTS}),
            ("conciseness", {"key_facts": FACTS}),
        ):
            live, replayed = replaying(METRICS[name][0], text, judge, **more)
            assert live == replayed, (name, text)


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_sources_and_facts(kind):
    for s in (
        factuality(GOOD, source=STRANGE[kind]),
        completeness(GOOD, key_facts=[STRANGE[kind][:2000]]),
        conciseness(GOOD, key_facts=[STRANGE[kind][:2000]]),
    ):
        assert s.status in ("ok", "undefined")


@every
def test_same_input_same_score(name):
    assert score(name, METRICS[name][2]) == score(name, METRICS[name][2])


@pytest.mark.parametrize("name", ["completeness", "conciseness"])
def test_order_of_facts_does_not_matter(name):
    half = ". ".join(GOOD.split(". ")[:1]) + "."
    assert score(name, half).fraction == score(name, half, key_facts=FACTS[::-1]).fraction


def test_order_of_instructions_fields_and_samples_does_not_matter():
    rules = [*RULES, {"kind": "bullets", "min": 1}]
    assert (
        score("instruction_following", GOOD, instructions=rules).fraction
        == score("instruction_following", GOOD, instructions=rules[::-1]).fraction
        == 2 / 3
    )
    assert (
        record_update('{"stage": "Won", "owner": "Bo", "amount": 900}', gold=GOLD).fraction
        == record_update(
            '{"amount": 900, "owner": "Bo", "stage": "Won"}', gold=dict(reversed(GOLD.items()))
        ).fraction
    )
    texts = [GOOD, WRONG, "", "The visit costs 80 euros.", STRANGE["non-English"]]
    for name in ("factuality", "completeness", "conciseness"):
        function, arguments, _, _ = METRICS[name]
        columns = {k: [v] * len(texts) for k, v in arguments.items()}
        there, back = (
            score_dataset(function, Dataset.from_dict({"response": t, **columns}))[f"{name}_fraction"][:]
            for t in (texts, texts[::-1])
        )
        assert there == back[::-1]


# Texts of known sentences: which ones are true, stated or repeated is known.
# Bounded and derandomized: every run tries the same cases.
TRUE = [
    "The heater stopped on 3 March.",
    "A technician comes on 5 March at 14:30.",
    "The visit costs 80 euros.",
    "It is free if the pump is broken.",
    "The customer will be at home.",
]
FALSE = [
    "The customer owns a zebra farm in Peru.",
    "Our cafeteria serves lasagne on Mondays.",
    "The board in Tokyo cancelled invoice 99-417.",
    "A hailstorm destroyed nine aeroplanes.",
    "Reason: the moon was made of cheese.",
]
FORM = [
    "Dear Ms Vogt,",
    "Thank you for your patience.",
    "Is that fine?",
    "Next steps:",
    "Kind regards\nIto",
    "- ",
]
texts = st.lists(st.sampled_from(TRUE + FALSE + FORM), max_size=7)
seldom = settings(max_examples=60, deadline=None, derandomize=True, database=None)
both_judges = pytest.mark.parametrize("judge", [default_judge(), PerfectJudge()], ids=["embedded", "perfect"])
KNOWN = "\n".join(TRUE)


def with_extra(pieces, extra, at):
    return "\n".join(pieces[:at] + [extra] + pieces[at:])


@both_judges
@seldom
@given(pieces=texts, extra=st.sampled_from(FALSE), at=st.integers(0, 7))
def test_whatever_unsupported_sentence_anywhere_never_raises_factuality(judge, pieces, extra, at):
    text = "\n".join(pieces)
    before = factuality(text, source=KNOWN, judge=judge)
    if any(map(str.isalnum, text)) and not hollow_problem(
        text, source=KNOWN
    ):  # an addition without content changes nothing
        after = factuality(with_extra(pieces, extra, at), source=KNOWN, judge=judge)
        assert after.fraction <= (1 if before.status == "undefined" else before.fraction)


@both_judges
@seldom
@given(
    pieces=texts,
    facts=st.lists(st.sampled_from(TRUE), min_size=1, max_size=5, unique=True),
    which=st.integers(0, 4),
)
def test_removing_what_states_a_fact_never_raises_completeness(judge, pieces, facts, which):
    whole, fact = completeness("\n".join(pieces), key_facts=facts, judge=judge), facts[which % len(facts)]
    rest = [p for p in pieces if p != fact]
    if len(rest) == len(pieces):
        return
    less = completeness("\n".join(rest), key_facts=facts, judge=judge)
    assert less.fraction <= whole.fraction, (pieces, fact)
    if judge.name == "perfect":
        assert (
            less.fraction == whole.fraction - 1 / len(facts)
            or abs(less.fraction - whole.fraction + 1 / len(facts)) < 1e-9
        )


@both_judges
@seldom
@given(
    pieces=texts.filter(bool),
    facts=st.lists(st.sampled_from(TRUE), min_size=1, max_size=5, unique=True),
    which=st.integers(0, 6),
    at=st.integers(0, 7),
    times=st.integers(1, 3),
)
def test_repeating_any_sentence_anywhere_never_raises_conciseness(judge, pieces, facts, which, at, times):
    again = pieces[which % len(pieces)]
    before = conciseness("\n".join(pieces), key_facts=facts, judge=judge).fraction
    after = conciseness(
        with_extra(pieces, "\n".join([again] * times), at), key_facts=facts, judge=judge
    ).fraction
    assert after <= before + 1e-12, (pieces, again)


@both_judges
@seldom
@given(pieces=texts, facts=st.permutations(TRUE))
def test_any_order_of_facts_gives_the_same_scores(judge, pieces, facts):
    text = "\n".join(pieces)
    for metric in (completeness, conciseness):
        assert (
            metric(text, key_facts=facts, judge=judge).fraction
            == metric(text, key_facts=TRUE, judge=judge).fraction
        )


@seldom
@given(text=st.text(st.characters(codec=None), max_size=200), more=st.text(max_size=80))
def test_any_text_is_scored_by_every_metric(text, more):
    for name, (function, arguments, _, _) in METRICS.items():
        s = function(text, **arguments)
        is_explained = (
            s.status == "undefined" and s.points is None and ("English" in s.reason or "claim" in s.reason)
        )
        assert is_explained or s.status == "ok" and 1 <= s.points <= 4, name
    for s in (
        factuality(GOOD, source=text + more),
        completeness(GOOD, key_facts=[text, more]),
        conciseness(GOOD, key_facts=[text, more]),
    ):
        assert s.status in ("ok", "undefined") and (s.points is None) == (s.status == "undefined")
    assert len(parts(text)) >= 0


def test_an_unsupported_sentence_never_raises_factuality():
    for text in (GOOD, "A technician comes on 5 March at 14:30.", WRONG):
        for extra in (
            "The customer lives in a castle on the moon.",
            "The visit costs 950 euros.",
            "The invoice was cancelled by the board in Tokyo.",
        ):
            assert (
                factuality(f"{text} {extra}", source=SOURCE).fraction
                <= factuality(text, source=SOURCE).fraction
            )


def test_removing_a_covered_fact_never_raises_completeness():
    parts = [p if p.endswith(".") else p + "." for p in GOOD.split(". ")]
    whole = completeness(GOOD, key_facts=FACTS).fraction
    for i in range(len(parts)):
        assert completeness(" ".join(parts[:i] + parts[i + 1 :]), key_facts=FACTS).fraction < whole


def test_repeating_a_sentence_never_raises_conciseness():
    parts = [p if p.endswith(".") else p + "." for p in GOOD.split(". ")]
    for text in (GOOD, f"{parts[0]} {WRONG}", WRONG):
        before = conciseness(text, key_facts=FACTS).fraction
        for p in parts:
            assert conciseness(f"{text} {p} {p}", key_facts=FACTS).fraction <= max(
                before, conciseness(f"{text} {p}", key_facts=FACTS).fraction
            )
        assert conciseness(f"{text} {text}", key_facts=FACTS).fraction < before or before == 0


def test_copying_the_source_is_complete_and_not_concise():
    assert completeness(SOURCE, key_facts=FACTS).points >= 3
    assert conciseness(SOURCE * 3, key_facts=FACTS).points == 1


@pytest.mark.parametrize("status", ["parse_error", "refused", "api_error", "truncated"])
@pytest.mark.parametrize("name", ["factuality", "completeness", "conciseness"])
def test_a_judge_that_fails_gives_no_number(name, status):
    class Failing:
        name = "failing"

        def supported(self, sentences, *, source):
            return [Verdict(None, status=status, reason="it broke") for _ in sentences]

        def stated(self, facts, *, sentences):
            return [Verdict(None, status=status, reason="it broke") for _ in facts]

        def followed(self, instructions, *, response):
            return [Verdict(None, status=status, reason="it broke") for _ in instructions]

    s = score(name, GOOD, judge=Failing())
    assert (s.points, s.fraction, s.status) == (None, None, status)
    assert instruction_following("Hi", instructions=["Be kind."], judge=Failing()).status == status


@every
def test_batch_form_equals_the_function(name):
    function, arguments, best, worst = METRICS[name]
    columns = {
        k: [v if isinstance(v, str) or isinstance(v, list) and isinstance(v[0], str) else json.dumps(v)] * 2
        for k, v in arguments.items()
    }
    if name == "instruction_following":
        function, columns = (
            (
                lambda response, *, instructions: instruction_following(
                    response, instructions=[json.loads(i) for i in instructions]
                )
            ),
            {"instructions": [[json.dumps(r) for r in RULES]] * 2},
        )
    table = score_dataset(function, Dataset.from_dict({"response": [best, worst], **columns}))
    assert table[f"{name}_points"][:] == [4, 1]


def test_evaluate_classes_combine_offline():
    from crmeval.metrics.completeness import Completeness
    from crmeval.metrics.conciseness import Conciseness
    from crmeval.metrics.factuality import Factuality
    from crmeval.metrics.instruction_following import InstructionFollowing

    both = evaluate.combine([Factuality(), Completeness(), Conciseness(), InstructionFollowing()])
    result = both.compute(
        predictions=[GOOD, WRONG],
        source=[SOURCE] * 2,
        key_facts=[FACTS] * 2,
        instructions=[[json.dumps(r) for r in RULES]] * 2,
    )
    assert result["factuality"] == result["completeness"] == result["conciseness"] == 2.5
    assert result["factuality_n"] == 2 and result["instruction_following_points"][0] == 4


def test_a_metric_travels_to_another_process():
    import copy
    import pickle

    assert pickle.loads(pickle.dumps(factuality)) is factuality and copy.deepcopy(factuality) is factuality


def test_instructions_with_gaps_filled_by_a_table():
    table = score_dataset(
        instruction_following,
        Dataset.from_dict(
            {
                "response": ["It is late."],
                "instructions": [[{"kind": "max_words", "n": 5}, {"kind": "no_placeholders"}]],
            }
        ),
    )
    assert table["instruction_following_points"][:] == [4]


SCORED_TWICE = """
import json
from crmeval.core.records import Response, Sample, to_dict
from crmeval.metrics.accuracy import score_response
from crmeval.metrics.factuality import factuality
from crmeval.metrics.truthfulness import truthful
from crmeval.systems.baselines import lead
from crmeval.tasks.load import load_demo

scores = []
for s in load_demo()[::4]:
    for text in (s.reference, lead(s), f"No, not {s.source[:400]}"):
        scores += score_response(Response(s.id, "m", text), sample=s)
claim = "The agent did not refund, cancel, deliver, replace or repair the broken lamp."
source = "The agent refunded, cancelled, delivered, replaced and repaired the broken lamp."
scores += [factuality(claim, source=source), factuality(source, source=claim)]
right, wrong = ["It never rains in the old town.", "No rain falls."], ["It rains and snows there daily."]
scores.append(truthful("Rain and snow never fall.", question="Does it rain?", correct=right, incorrect=wrong))
print("\\n".join(json.dumps(to_dict(s), ensure_ascii=False) for s in scores))
"""


def test_the_same_input_gives_the_same_bytes_whatever_the_hash_seed():
    outputs = []
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", SCORED_TWICE], capture_output=True, env=env)
        assert done.returncode == 0, done.stderr.decode()
        outputs.append(done.stdout.decode().splitlines())
    assert len(outputs[0]) > 50 and "Negated on one side only" in "".join(outputs[0])
    assert outputs[0] == outputs[1]


def test_a_metric_that_ships_is_one_line_of_the_catalogue():
    "The list of cards and pages reads the criteria: it names no room of a criterion."
    pages, cards = page_cards(), all_cards()
    for name, entry in shipped_criteria().items():
        assert cards[name] is entry.card
        assert sum(entry.card in of for of in pages.values()) == 1, name
        assert metric_page(name).startswith("cards/")
    text = inspect.getsource(sys.modules[page_cards.__module__])
    rooms = {c.card.name for c in shipped_criteria().values()} - {"term_recall", "term_precision"}
    assert not [r for r in rooms if f"from .{r} import" in text]
