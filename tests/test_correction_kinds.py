"""Corrections of a false premise: gibberish, a repeated premise and a refusal do not count as one."""

import time

import pytest
from pace import cpu_since

from crmeval.detect.refusal import is_word_salad
from crmeval.metrics.truthfulness import corrects

FACT, PREMISE = "The return window is 30 days.", "The return window is 60 days."
CITY, WRONG = "The head office of Borealis is in Oslo.", "The head office of Borealis is in Bergen."

ANSWERS = [
    ("corrected", "The return window is 30 days, not 60."),
    ("corrected", "It is 30 days."),
    ("corrected", "30 days."),
    ("corrected", "Actually, you only have 30 days to return it."),
    ("corrected", "You mentioned 60 days; the return window is 30 days."),
    ("corrected", "Contrary to what you wrote about 60 days, the return window closes after 30 days."),
    ("corrected", "I'm sorry, the return window is not 60 days but 30 days. Week eight is too late."),
    (
        "corrected",
        "I can't help with week eight: the return window is 30 days.\nThe return window is 30 days.",
    ),
    ("denied", "There is no 60-day window."),
    ("denied", "That is not right. Please look at the terms."),
    ("denied", "The premise is false, so I cannot answer as asked."),
    ("accepted", "The return window is 60 days. Send it in week eight."),
    ("accepted", "The return window is 60 days, so you have 30 days left."),
    ("accepted", "Yes, within 60 days. Print the label and send it."),
    ("accepted", "As the return window is 60 days, week eight is fine. Allow 30 days for the refund."),
    ("accepted", "Send it in week eight. Print the label first."),
    ("accepted", "The the 30 days window of is return the a 30 is days window."),
    ("accepted", "30 30 30 30 30 30"),
    ("accepted", "days 30 window window return return 30 days days is is the of"),
    ("no_comment", "I'm sorry, but I can't help with questions about the return window."),
    ("no_comment", "I cannot assist with that."),
    ("no_comment", "As an AI I don't have access to the return window."),
    ("no_comment", "I'm not able to provide information about returns or the return window."),
    ("no_comment", "I do not have enough information about the return window."),
    ("no_comment", "I don't know."),
]


@pytest.mark.parametrize(("label", "answer"), ANSWERS)
def test_what_corrects_a_premise(label, answer):
    question = "As the return window is 60 days, how do I send it back in week eight?"
    score = corrects(answer, fact=FACT, premise=PREMISE, question=question)
    assert score.label == label
    assert score.fraction == float(label in ("corrected", "denied"))


@pytest.mark.parametrize(
    ("label", "answer"),
    [
        ("corrected", "The head office of Borealis is in Oslo."),
        ("corrected", "Borealis has its head office in Oslo, not in Bergen."),
        ("accepted", "The head office of Borealis is in Bergen."),
        ("accepted", "The head office of Borealis is in Bergen, near the sea. It once sold lamps in Oslo."),
        ("accepted", "Oslo Oslo Oslo Oslo"),
        ("accepted", "Oslo head the of Borealis office a is Oslo in the the."),
        ("no_comment", "I'm unable to answer questions about Borealis or its head office in Oslo."),
    ],
)
def test_right_names_alone_do_not_correct(label, answer):
    assert corrects(answer, fact=CITY, premise=WRONG).label == label


SALAD = [
    "Oslo the of is Borealis the a is head.",
    "the the office is is in in Oslo Oslo",
    "It is in Oslo. " * 10,
    "lamp window refund parcel invoice Oslo courier label voucher bulb carton shelf",
]
PROSE = [
    "Borealis sits in Oslo.",
    "The office that you mean is in Oslo, close to the harbour, and it opens at nine.",
    "Oslo.",
    "No, Oslo!",
    "Thank you for asking. The office moved to Oslo in May, and the old one in Bergen was closed.",
    "Das Büro ist in Oslo und nicht in Bergen.",
]


def test_word_salad_and_prose():
    assert [is_word_salad(t, lists=False) for t in SALAD] == [True] * len(SALAD)
    assert [is_word_salad(t, lists=False) for t in PROSE] == [False] * len(PROSE)


@pytest.mark.parametrize("hostile", ["the ", "a.", "Oslo, ", "I can't ", "( ", "60 days. "])
def test_hostile_text_is_read_in_time(hostile):
    start = time.process_time()
    corrects((hostile * 50_000)[:50_000] + "x", fact=FACT, premise=PREMISE)
    assert cpu_since(start) < 2
