"A different unit, share, day, ordinal, quantifier or direction is no support; equal values are."

import json
import time

import pytest
from pace import cpu_since

from crmeval import completeness, factuality
from crmeval.core.package_data import data_path
from crmeval.core.text import sentences
from crmeval.judges.embedded import EmbeddedJudge
from crmeval.judges.near_misses import agrees, marks_of, near_miss

SOURCE = (
    "Agent: Your new boiler is delivered within 8 days, Mr Lund. Agent: The tank holds 40 litres of water. "
    "Agent: We refund a quarter of the installation fee. Agent: The plumber visits the flat tomorrow. "
    "Agent: All radiators in the flat were bled by our plumber. "
    "Agent: Our storage plan costs 30 crowns per user. "
    "Agent: The invoice is sent monthly by post. Agent: The valve sits on the third shelf of the cellar. "
    "Agent: The contract was moved from Aarhus to Odense. Agent: Repairs above 700 crowns need approval."
)
ALTERED = [
    "The new boiler is delivered within 8 weeks.",
    "The tank holds 40 ml of water.",
    "Half of the installation fee is refunded.",
    "The plumber visits the flat today.",
    "Some radiators in the flat were bled by the plumber.",
    "The storage plan costs 30 crowns per team.",
    "The invoice is sent yearly by post.",
    "The valve sits on the fifth shelf of the cellar.",
    "The contract was moved from Odense to Aarhus.",
    "Repairs below 700 crowns need approval.",
]
RIGHT = [
    "The new boiler is delivered within 8 days.",
    "The new boiler is delivered in 192 hours.",
    "The tank holds 40 l of water.",
    "A quarter of the installation fee is refunded.",
    "The plumber visits the flat tomorrow.",
    "Every radiator in the flat was bled by the plumber.",
    "The storage plan costs 30 crowns for each user.",
    "The invoice is sent every month by post.",
    "The valve sits on shelf three of the cellar.",
    "The contract was moved to Odense from Aarhus.",
    "Repairs of more than 700 crowns need approval.",
    "Do repairs below 700 crowns need approval?",
]
PIECES = sentences(SOURCE)


@pytest.mark.parametrize("claim", ALTERED)
def test_an_altered_mark_is_neither_supported_nor_stated(claim):
    judge = EmbeddedJudge()
    assert near_miss(claim, PIECES, range(len(PIECES)))
    assert judge.supported([claim], source=SOURCE)[0].yes is False
    assert judge.stated([claim], sentences=PIECES)[0].yes is False
    assert factuality(claim, source=SOURCE).points == 1
    assert completeness(SOURCE, key_facts=[claim]).points == 1


@pytest.mark.parametrize("claim", RIGHT)
def test_what_is_equal_or_the_same_is_left_alone(claim):
    assert near_miss(claim, PIECES, range(len(PIECES))) is None


def test_two_values_for_two_things_are_told_apart():
    source = "A desk is assembled in 3 hours, a lamp in 3 minutes. Omar signs tomorrow, Ines today."
    cut = sentences(source)
    for claim in (
        "The lamp is assembled in 3 minutes.",
        "A desk is assembled in 3 hours.",
        "Omar signs tomorrow.",
    ):
        assert near_miss(claim, cut, range(len(cut))) is None


@pytest.mark.parametrize(
    ("sentence", "claim"),
    [
        ("Bay 4 is taken until 9:15 on 3 May, can be loaded at 13:45.", "Bay 4 can be loaded at 13:45."),
        ("Counter 7 stays shut on Monday for works, opens on Thursday.", "Counter 7 opens on Thursday."),
    ],
)
def test_a_mark_is_not_taken_from_the_word_that_leads_to_it(sentence, claim):
    assert near_miss(claim, [sentence], [0]) is None
    assert EmbeddedJudge().stated([claim], sentences=[sentence])[0].yes is True


def test_working_days_are_no_opposite_of_a_failure():
    texts = ["The pump failed last night.", "The new pump takes 2 working days.", "Keep the failed pump."]
    assert EmbeddedJudge().stated(["The failed pump must be kept."], sentences=texts)[0].yes is True


@pytest.mark.parametrize("n", [1, 3, 5, 11])
@pytest.mark.parametrize(("unit", "other"), [("day", "month"), ("hour", "minute"), ("week", "year")])
def test_any_number_with_another_unit(n, unit, other):
    cut = [f"The guarantee on the pump ends in {n} {unit}{'s' * (n > 1)}."]
    assert near_miss(f"The guarantee on the pump ends in {n} {other}{'s' * (n > 1)}.", cut, [0])
    assert near_miss(cut[0], cut, [0]) is None


def test_no_phrase_belongs_to_two_groups_of_a_kind():
    table = json.loads(data_path("lexicons", "near_misses.json").read_text(encoding="utf-8"))
    for entry in table["kinds"]:
        phrases = [p for group in entry.get("groups", ()) for p in group]
        assert len(phrases) == len(set(phrases)), entry["kind"]
        assert entry["why"] and 0 < entry["least"] <= 2


@pytest.mark.parametrize(
    ("one", "other"), [("60 minutes", "1 hour"), ("0.5 kg", "500 g"), ("2 GB", "2,000 MB")]
)
def test_conversions_agree(one, other):
    assert agrees(marks_of(one)[0], marks_of(other)[0])


def test_a_long_claim_and_a_long_source_take_little_time():
    started = time.process_time()
    near_miss("all 5 days from half of a to b " * 500, ["every 5 weeks from b to a " * 500] * 300, range(3))
    assert cpu_since(started) < 3
