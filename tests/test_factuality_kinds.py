"""What factuality does not reward: empty texts, loops, copies, swapped speakers, invented additions."""

import pytest

from crmeval import completeness, conciseness, factuality
from crmeval.core.judging import Verdict
from crmeval.core.text import sentences
from crmeval.judges.embedded import EmbeddedJudge
from crmeval.judges.grounds import wrong_speaker
from crmeval.tasks.load import load_demo

CHAT = """Agent (Grace): Hello, this is Grace. How can I help you today?
Donal Keogh: The pendant chirps and its light is red. Nobody came on Thursday.
Agent (Grace): I am sorry. I can offer you a refund of 20 pounds, and an engineer fits the adaptor on Tuesday.
Donal Keogh: Can I have the refund today, please? I never got the letter.
Agent (Grace): No, it takes five days. The case number is SB-4471."""
MEI = """Agent: I see that the router, order CS-20418, was lost in Leeds. I will send you a new one on 14 May.
Customer: I am angry. I want to cancel the contract.
Agent: We waive the fee of 15 euros. We apologise for the delay."""


@pytest.mark.parametrize("sample", load_demo(), ids=lambda s: s.id)
def test_every_sentence_of_a_source_is_supported_by_it(sample):
    texts = sentences(sample.source)
    verdicts = EmbeddedJudge().supported(texts, source=sample.source)
    assert [s for s, v in zip(texts, verdicts, strict=True) if v.yes is not True] == []


@pytest.mark.parametrize("sample", load_demo()[::8], ids=lambda s: s.id)
def test_every_sentence_as_a_response_is_factual(sample):
    scores = {s: factuality(s, source=sample.source) for s in sentences(sample.source)}
    assert {s: x.reason for s, x in scores.items() if x.points != 4} == {}


@pytest.mark.parametrize(
    "claim",
    [
        "Nobody came on Thursday.",
        "nobody came on thursday",
        "I never got the letter.",
        "The pendant chirps and its light is red.",
        "No, it takes five days.",
        "Donal Keogh: Nobody came on Thursday.",
        "- Nobody came on Thursday.",
        "“Nobody came on Thursday.”",
    ],
)
def test_word_for_word_is_supported_with_its_negation(claim):
    assert factuality(claim, source=CHAT).points == 4


@pytest.mark.parametrize("claim", ["Came on Thursday.", "Somebody came on Thursday.", "I got the letter."])
def test_half_a_sentence_is_not_word_for_word(claim):
    verdict = EmbeddedJudge().supported([claim], source=CHAT)[0]
    assert "word for word" not in verdict.reason


HOLLOW = [
    "Customer:\nCustomer:\nCustomer:\nCustomer:",
    "Customer:",
    "Customer:\nAgent:\nCustomer:\nAgent:",
    "Agent (Grace):\n\nDonal Keogh:\n",
    "Reason:\nOutcome:\nNext steps:",
    "...",
    "-\n-\n-",
    "",
    "   \n",
    "The case number is SB-4471. " * 12,
    "Nobody came on Thursday. " * 5,
    "I am sorry. " * 20,
    "The pendant chirps. The light is red. " * 8,
    "290 euros.\n" * 15,
    "Agent (Grace): I am sorry.\nDonal Keogh: I am sorry.\n" * 6,
    CHAT,
    "\n".join(CHAT.splitlines()[1:4]),
    CHAT + "\n" + CHAT,
]


@pytest.mark.parametrize("response", HOLLOW)
def test_what_says_nothing_of_its_own_is_lowest(response):
    score = factuality(response, source=CHAT)
    assert score.points == 1 and score.status == "ok" and score.reason


@pytest.mark.parametrize(
    "response",
    [
        "Hello! How are you?",
        "Dear Ms Okafor,\nKind regards\nLena",
        "Which day suits you best?",
        "Thank you very much.",
    ],
)
def test_what_makes_no_claim_is_undefined(response):
    score = factuality(response, source=CHAT)
    assert score.points is None and score.status == "undefined" and "no claim" in score.reason


def test_repeating_a_truth_does_not_drown_an_invention():
    once = factuality("The case number is SB-4471. She is furious.", source=CHAT)
    thrice = factuality(
        "The case number is SB-4471. The case number is SB-4471. She is furious.", source=CHAT
    )
    assert once.fraction == thrice.fraction < 0.7  # a longer claim weighs more than a short one


SWAPPED = [
    ("The customer offered a refund.", CHAT),
    ("The customer offered a refund of 20 pounds.", CHAT),
    ("Donal offered a refund of 20 pounds.", CHAT),
    ("Donal Keogh has offered a refund.", CHAT),
    ("The client offers a refund of 20 pounds.", CHAT),
    ("Customer: I can offer you a refund of 20 pounds.", CHAT),
    ("Donal Keogh: I can offer you a refund of 20 pounds.", CHAT),
    ("Donal Keogh: An engineer fits the adaptor on Tuesday.", CHAT),
    ("Agent (Grace): Nobody came on Thursday.", CHAT),
    ("Agent (Grace): The pendant chirps and its light is red.", CHAT),
    ("Agent: The pendant chirps and its light is red.", CHAT),
    ("The agent complained that the pendant chirps.", CHAT),
    ("Grace reported that the pendant chirps.", CHAT),
    ("The agent said that the light is red and the pendant chirps.", CHAT),
    ("The customer explained that an engineer fits the adaptor.", CHAT),
    ("The customer waived the fee.", MEI),
    ("The customer waives the fee of 15 euros.", MEI),
    ("The customer apologised for the delay.", MEI),
    ("The agent wants to cancel the contract.", MEI),
    ("The agent said that he wants to cancel the contract.", MEI),
    ("Customer: We waive the fee of 15 euros.", MEI),
    ("Agent: I want to cancel the contract.", MEI),
    ("Customer: I will send you a new one on 14 May.", MEI),
    ("The caller promised to send a new one on 14 May.", MEI),
]


@pytest.mark.parametrize(("claim", "source"), SWAPPED)
def test_the_wrong_speaker_is_not_supported(claim, source):
    assert wrong_speaker(claim, source)
    assert factuality(claim, source=source).points == 1


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("The agent offered a refund of 20 pounds.", CHAT),
        ("Grace offered a refund.", CHAT),
        ("The customer asked for the refund.", CHAT),
        ("Donal complained that the pendant chirps.", CHAT),
        ("Donal Keogh: Can I have the refund today, please?", CHAT),
        ("Agent: I can offer you a refund of 20 pounds.", CHAT),
        ("An engineer fits the adaptor on Tuesday.", CHAT),
        ("The agent waived the fee.", MEI),
        ("The customer wants to cancel the contract.", MEI),
        ("The agent apologised for the delay.", MEI),
        ("The customer was offered a refund.", CHAT),
        ("The customer offered a refund.", "A refund was offered to the customer on Tuesday."),
        ("Outcome: The fee was waived.", MEI),
    ],
)
def test_the_right_speaker_or_none_is_no_objection(claim, source):
    assert wrong_speaker(claim, source) == ""


ORDER = (
    "Agent: Your lamp, order CS-20418, was sent on Friday. The first one cracked in the van. "
    "Please call us if it does not arrive.\nCustomer: Thank you. I paid by card."
)
TAILS = [
    "because the warehouse burned down",
    "because of a strike at the harbour",
    "because his dog ate the cable",
    "due to heavy snowfall",
    "owing to a cyber attack",
    "thanks to the mayor",
    "after a fire in the bakery",
    "since the driver had overslept",
    "with express courier",
    "with a brass band",
    "by helicopter",
    "by carrier pigeon",
    "via a secret channel",
    "using a stolen password",
    "through a broker",
    "in a velvet box",
    "despite protests from the union",
    "during the eclipse",
    "while the orchestra was rehearsing",
    "in order to avoid a lawsuit",
    "so that the auditors stay calm",
    "for sentimental reasons",
    "which shocked the shareholders",
    "although the factory had gone bankrupt",
    "without consulting the lawyers",
    "on account of rats",
    "in spite of the hurricane",
    "after consulting an astrologer",
    "at midnight under armed guard",
    "before the parliament voted",
]


@pytest.mark.parametrize("tail", TAILS)
def test_an_invented_tail_is_not_supported(tail):
    assert factuality("The lamp, order CS-20418, was sent on Friday.", source=ORDER).points == 4
    for claim in (
        f"The lamp, order CS-20418, was sent on Friday {tail}.",
        f"The lamp was sent {tail}, on Friday.",
    ):
        assert factuality(claim, source=ORDER).points == 1, claim


@pytest.mark.parametrize(
    "claim",
    [
        "The lamp was sent on Friday because the first one cracked.",
        "The customer paid by card.",
        "The first lamp cracked in the van.",
        "A lamp was sent on Friday after the first one cracked in the van.",
    ],
)
def test_a_tail_of_the_source_is_supported(claim):
    assert factuality(claim, source=ORDER).points == 4


class SaysYes:
    "A judge that answers yes to every fact, with the lines it was given (default: none)."

    name = "yes"

    def __init__(self, *lines):
        self.lines = lines

    def stated(self, facts, *, sentences):
        return [Verdict(True, lines=self.lines) for _ in facts]


FACTS = ["The lamp broke in the van.", "A new lamp comes on Friday."]


@pytest.mark.parametrize("judge", [None, SaysYes(), SaysYes(0), SaysYes(9), SaysYes(-1)])
@pytest.mark.parametrize(
    "response",
    [
        "The lamp broke in the van. A new lamp comes on Friday.",
        "The lamp broke in the van.",
        "Hello Rosa,\nThe weather is fine. Kind regards",
        "Customer:\nCustomer:\nCustomer:",
        "Good morning! It rains in Lima. Nothing else happened.",
        "Yes.",
        "1. The lamp broke in the van.\n2. A new lamp comes on Friday.",
    ],
)
def test_complete_and_without_a_fact_exclude_each_other(judge, response):
    complete = completeness(response, key_facts=FACTS, judge=judge)
    concise = conciseness(response, key_facts=FACTS, judge=judge)
    stated = [e for e in complete.evidence if e["kind"] == "stated"]
    assert all(e["sentences"] and all(s in response for s in e["sentences"]) for e in stated)
    assert (complete.fraction > 0) == bool(stated)
    assert (concise.reason == "The response carries no key fact.") == (complete.fraction == 0)
    assert complete.fraction > 0 or complete.points == 1


@pytest.mark.parametrize(
    "sample", [s for s in load_demo() if s.reference and s.key_facts][::6], ids=lambda s: s.id
)
def test_on_the_demo_set_metrics_do_not_contradict_each_other(sample):
    for response in (sample.reference, sentences(sample.reference)[0], sample.source[:900]):
        complete = completeness(response, key_facts=list(sample.key_facts))
        concise = conciseness(response, key_facts=list(sample.key_facts))
        assert (complete.fraction > 0) == (concise.fraction > 0)


@pytest.mark.parametrize(
    "sentence", ["The balance is {}.", "Agent: We booked {} on Monday.", "{} it was, at last."]
)
@pytest.mark.parametrize(
    "claimed, in_source",
    [("-7 °C", "7 °C"), ("7 °C", "-7 °C"), ("−310", "310"), ("-4 %", "+4 %"), ("€81", "£81")]
    + [("₹900", "$900"), ("-$12.50", "$12.50"), ("$-12.50", "$12.50"), ("60 %", "60 °"), ("8 ‰", "8 %")],
)
def test_a_sign_and_a_symbol_belong_to_a_number(sentence, claimed, in_source):
    "The words are the same, but the sentence is not verbatim in the source."
    assert factuality(sentence.format(claimed), source=sentence.format(in_source)).points < 3
    assert factuality(sentence.format(claimed), source=sentence.format(claimed)).points == 4


@pytest.mark.parametrize(
    "claimed, in_source",
    [
        ("81 €", "€81"),
        ("+4 %", "4%"),
        ("pages 3-9", "pages 3-9"),
        ("2 - 1", "2 - 1"),
        ("£81", "81"),
        ("A-5", "A-5"),
    ],
)
def test_a_number_written_in_another_way_is_the_same(claimed, in_source):
    assert factuality(f"They said {claimed}.", source=f"They said {in_source}.").points == 4
