"What every accuracy metric promises, over the whole catalogue."
import json

import evaluate
import pytest
from datasets import Dataset

from crmeval import completeness, conciseness, factuality, instruction_following
from crmeval.metric import Verdict, score_dataset
from crmeval.record_update import record_update

SOURCE = ("Customer: My heater, serial H-2207, stopped on 3 March and the house is cold.\nAgent (Ito): I am sorry. I can send a technician on 5 March at 14:30.\n"
          "Customer: Fine. What does it cost?\nAgent (Ito): The visit costs 80 euros, and it is free if the pump is broken.\nCustomer: Good, I will be at home.")
FACTS = ["The customer's heater H-2207 stopped on 3 March.", "A technician comes on 5 March at 14:30.", "The visit costs 80 euros.", "The visit is free if the pump is broken."]
GOOD = "The customer's heater H-2207 stopped on 3 March. A technician comes on 5 March at 14:30. The visit costs 80 euros, and it is free if the pump is broken."
WRONG = "The weather in Lisbon was sunny all week. Our cafeteria now serves vegan lasagne on Mondays."
GOLD = {"stage": "Won", "amount": 900}
RULES = [{"kind": "max_words", "n": 60, "text": "At most 60 words."}, {"kind": "include", "all": ["H-2207"], "text": "Name the serial number."}]

METRICS = {
    "factuality": (factuality, {"source": SOURCE}, GOOD, WRONG),
    "completeness": (completeness, {"key_facts": FACTS}, GOOD, WRONG),
    "conciseness": (conciseness, {"key_facts": FACTS}, GOOD, WRONG),
    "instruction_following": (instruction_following, {"instructions": RULES}, GOOD, WRONG * 8),
    "record_update": (record_update, {"gold": GOLD}, json.dumps(GOLD), '{"stage": "Lost", "owner": "Bo"}'),
}
every = pytest.mark.parametrize("name", METRICS)
STRANGE = {
    "non-English": "Le chauffage du client est tombé en panne. Ein Techniker kommt am 5. März um 14:30 Uhr. 技術者は3月5日に来ます。",
    "very long": "The technician comes on 5 March and looks at the heater again. " * 800,
    "one long word": "x" * 50_000,
    "unicode": "🚒 e\u0301 \u202e\u2066 \u00a0 ﬁ \ufeff \u200b ½ Ⅳ ١٢٣",
    "control characters": "\x00\x07\x1b[31m heater\r\n\t",
    "lone surrogate": "half \ud83d pair",
    "brackets": "{" * 3000 + "[" * 3000,
    "markup": "<b>heater</b> **5 March** | a | b |",
}


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


@pytest.mark.parametrize("name,nothing", [("completeness", {"key_facts": []}), ("conciseness", {"key_facts": []}), ("instruction_following", {"instructions": []})])
def test_undefined_is_none_with_a_status(name, nothing):
    s = score(name, GOOD, **nothing)
    assert (s.points, s.fraction, s.status) == (None, None, "undefined") and s.reason


@every
@pytest.mark.parametrize("kind", STRANGE)
def test_strange_texts_get_a_score_or_a_status(name, kind):
    s = score(name, STRANGE[kind])
    assert s.status == "ok" and 1 <= s.points <= 4 and 0 <= s.fraction <= 1
    json.dumps([dict(e) for e in s.evidence], default=str)


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_sources_and_facts(kind):
    for s in (factuality(GOOD, source=STRANGE[kind]), completeness(GOOD, key_facts=[STRANGE[kind][:2000]]), conciseness(GOOD, key_facts=[STRANGE[kind][:2000]])):
        assert s.status in ("ok", "undefined")


@every
def test_same_input_same_score(name):
    assert score(name, METRICS[name][2]) == score(name, METRICS[name][2])


@pytest.mark.parametrize("name", ["completeness", "conciseness"])
def test_order_of_facts_does_not_matter(name):
    half = ". ".join(GOOD.split(". ")[:1]) + "."
    assert score(name, half).fraction == score(name, half, key_facts=FACTS[::-1]).fraction


def test_an_unsupported_sentence_never_raises_factuality():
    for text in (GOOD, "A technician comes on 5 March at 14:30.", WRONG):
        for extra in ("The customer lives in a castle on the moon.", "The visit costs 950 euros.", "The invoice was cancelled by the board in Tokyo."):
            assert factuality(f"{text} {extra}", source=SOURCE).fraction <= factuality(text, source=SOURCE).fraction


def test_removing_a_covered_fact_never_raises_completeness():
    parts = [p if p.endswith(".") else p + "." for p in GOOD.split(". ")]
    whole = completeness(GOOD, key_facts=FACTS).fraction
    for i in range(len(parts)):
        assert completeness(" ".join(parts[:i] + parts[i + 1:]), key_facts=FACTS).fraction < whole


def test_repeating_a_sentence_never_raises_conciseness():
    parts = [p if p.endswith(".") else p + "." for p in GOOD.split(". ")]
    for text in (GOOD, f"{parts[0]} {WRONG}", WRONG):
        before = conciseness(text, key_facts=FACTS).fraction
        for p in parts: assert conciseness(f"{text} {p} {p}", key_facts=FACTS).fraction <= max(before, conciseness(f"{text} {p}", key_facts=FACTS).fraction)
        assert conciseness(f"{text} {text}", key_facts=FACTS).fraction < before or before == 0


def test_copying_the_source_is_complete_and_not_concise():
    assert completeness(SOURCE, key_facts=FACTS).points >= 3
    assert conciseness(SOURCE * 3, key_facts=FACTS).points == 1


@pytest.mark.parametrize("status", ["parse_error", "refused", "api_error", "truncated"])
@pytest.mark.parametrize("name", ["factuality", "completeness", "conciseness"])
def test_a_judge_that_fails_gives_no_number(name, status):
    class Failing:
        name = "failing"
        def supported(self, sentences, *, source): return [Verdict(None, status=status, reason="it broke") for _ in sentences]
        def stated(self, facts, *, sentences): return [Verdict(None, status=status, reason="it broke") for _ in facts]
        def followed(self, instructions, *, response): return [Verdict(None, status=status, reason="it broke") for _ in instructions]
    s = score(name, GOOD, judge=Failing())
    assert (s.points, s.fraction, s.status) == (None, None, status)
    assert instruction_following("Hi", instructions=["Be kind."], judge=Failing()).status == status


@every
def test_batch_form_equals_the_function(name):
    function, arguments, best, worst = METRICS[name]
    columns = {k: [v if isinstance(v, str) or isinstance(v, list) and isinstance(v[0], str) else json.dumps(v)] * 2 for k, v in arguments.items()}
    if name == "instruction_following":
        function, columns = (lambda response, *, instructions: instruction_following(response, instructions=[json.loads(i) for i in instructions])), {"instructions": [[json.dumps(r) for r in RULES]] * 2}
    table = score_dataset(function, Dataset.from_dict({"response": [best, worst], **columns}))
    assert table[f"{name}_points"][:] == [4, 1]


def test_evaluate_classes_combine_offline():
    from crmeval.completeness import Completeness
    from crmeval.conciseness import Conciseness
    from crmeval.factuality import Factuality
    from crmeval.instruction_following import InstructionFollowing
    both = evaluate.combine([Factuality(), Completeness(), Conciseness(), InstructionFollowing()])
    found = both.compute(predictions=[GOOD, WRONG], source=[SOURCE] * 2, key_facts=[FACTS] * 2, instructions=[[json.dumps(r) for r in RULES]] * 2)
    assert found["factuality"] == found["completeness"] == found["conciseness"] == 2.5
    assert found["factuality_n"] == 2 and found["instruction_following_points"][0] == 4


def test_a_metric_travels_to_another_process():
    import copy
    import pickle
    assert pickle.loads(pickle.dumps(factuality)) is factuality and copy.deepcopy(factuality) is factuality


def test_instructions_with_gaps_filled_by_a_table():
    table = score_dataset(instruction_following, Dataset.from_dict({"response": ["It is late."], "instructions": [[{"kind": "max_words", "n": 5}, {"kind": "no_placeholders"}]]}))
    assert table["instruction_following_points"][:] == [4]
