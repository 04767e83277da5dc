"A claim that changes how often, whether, when, where or who is no support, and a denied fact is not stated."

import itertools
import json
import time
from pathlib import Path

import pytest
from pace import cpu_since

from crmeval import completeness, factuality
from crmeval.core.text import sentences
from crmeval.judges.embedded import EmbeddedJudge
from crmeval.judges.near_misses import marks_of, near_miss
from crmeval.judges.opposed import fact_denied, roles_exchanged

PAIRS = Path(__file__).parent.parent / "nbs" / "judges" / "polarity_claims.jsonl"
# (what the source says, a right claim, an altered one); none stands in the table's words alone
TRIPLES = {
    "frequency": (
        "The lift in block C is always checked at dawn.",
        "At dawn the lift in block C is always checked.",
        "The lift in block C is rarely checked at dawn.",
    ),
    "not always": (
        "The toll sticker is not always shipped with the car papers.",
        "The toll sticker sometimes ships with the car papers.",
        "The toll sticker is always shipped with the car papers.",
    ),
    "duty": (
        "Drivers must sign the logbook of the van.",
        "The logbook of the van has to be signed by drivers.",
        "Drivers may sign the logbook of the van.",
    ),
    "promise": (
        "We might extend the loan of the projector.",
        "We may extend the loan of the projector.",
        "We will extend the loan of the projector.",
    ),
    "aspect": (
        "The crane has been inspected by the harbour office.",
        "The harbour office has inspected the crane.",
        "The crane will be inspected by the harbour office.",
    ),
    "hedge": (
        "The stain on the carpet may be due to the old pump.",
        "The old pump may be to blame for the stain on the carpet.",
        "The stain on the carpet is due to the old pump.",
    ),
    "exception": (
        "All seminars are streamed live except the one on taxes.",
        "Apart from the one on taxes all seminars are streamed live.",
        "All seminars are streamed live, including the one on taxes.",
    ),
    "condition": (
        "Members can borrow the kayak if a guard is on the beach.",
        "If a guard is on the beach, members can borrow the kayak.",
        "Members can borrow the kayak unless a guard is on the beach.",
    ),
    "condition turned twice": (
        "The gate opens if the badge is not expired.",
        "The gate opens unless the badge is expired.",
        "The gate opens unless the badge is not expired.",
    ),
    "deadline": (
        "Please return the costume by 7 February.",
        "Please return the costume until 7 February.",
        "Please return the costume from 7 February.",
    ),
    "within": (
        "Objections reach the tax board within three weeks.",
        "Within three weeks objections reach the tax board.",
        "Objections reach the tax board after three weeks.",
    ),
    "clock": (
        "The ferry to the island leaves at half past six.",
        "At half past six the ferry leaves for the island.",
        "The ferry to the island leaves at half past four.",
    ),
    "hour": (
        "The bakery in the mall shuts at eight in the evening.",
        "At eight in the evening the bakery in the mall shuts.",
        "The bakery in the mall shuts at six in the evening.",
    ),
    "share": (
        "About three fifths of the panels on the roof were cracked.",
        "Roughly three fifths of the panels on the roof were cracked.",
        "About two fifths of the panels on the roof were cracked.",
    ),
    "ratio": (
        "One in four tickets of the museum is sold at the door.",
        "A quarter of the museum's tickets is sold at the door.",
        "Half of the museum's tickets are sold at the door.",
    ),
    "rate": (
        "The storage unit costs 44 crowns a month.",
        "The storage unit costs 44 crowns per month.",
        "The storage unit costs 44 crowns a week.",
    ),
    "channel": (
        "Your permit is sent by post to the harbour office.",
        "By post your permit is sent to the harbour office.",
        "Your permit is sent by email to the harbour office.",
    ),
    "ordinal": (
        "Mrs Lindh reported a second burst pipe in her garage.",
        "A second burst pipe was reported in her garage by Mrs Lindh.",
        "Mrs Lindh reported a fourth burst pipe in her garage.",
    ),
    "stage": (
        "The grant for the playground was requested by the parish.",
        "The parish requested the grant for the playground.",
        "The grant for the playground was approved for the parish.",
    ),
    "attempt": (
        "The courier failed to open the parcel locker.",
        "The courier could not open the parcel locker.",
        "The courier managed to open the parcel locker.",
    ),
    "who": (
        "The landlord called the plumber about the boiler.",
        "The plumber was called by the landlord about the boiler.",
        "The plumber called the landlord about the boiler.",
    ),
}
ASIDE = "Good morning and thanks for the call. {} I wish everybody a nice day."


@pytest.mark.parametrize("kind", TRIPLES)
def test_an_altered_claim_is_not_supported_and_its_right_twin_is(kind):
    stated, right, altered = TRIPLES[kind]
    source = ASIDE.format(stated)
    judge = EmbeddedJudge()
    assert [v.yes for v in judge.supported([stated, right, altered], source=source)] == [True, True, False]
    assert factuality(altered, source=source).points == 1


@pytest.mark.parametrize("kind", TRIPLES)
def test_what_is_altered_has_a_reason_that_quotes_the_source(kind):
    stated, _, altered = TRIPLES[kind]
    verdict = EmbeddedJudge().supported([altered], source=ASIDE.format(stated))[0]
    assert stated[:40] in verdict.reason and verdict.lines == (1,)


OFTEN = ["always", "usually", "sometimes", "rarely", "never"]


@pytest.mark.parametrize(("a", "b"), [(a, b) for a, b in itertools.product(OFTEN, OFTEN) if a != b])
def test_only_neighbours_in_frequency_agree(a, b):
    cut = [f"The kiosk {a} sells stamps."]
    agree = {a, b} == {"sometimes", "rarely"} or (a, b) == ("always", "usually")  # the claim says less
    assert (near_miss(f"The kiosk {b} sells stamps.", cut, [0]) is None) == agree


@pytest.mark.parametrize(
    ("sentence", "claim"),
    [
        ("The desk top is slightly tilted.", "The desk top may be slightly tilted."),  # says less
        ("Until then staff must enter no grades.", "Staff must not enter grades until then."),
        ("The kiln is always cleaned at noon.", "The kiln is usually cleaned at noon."),
        ("The lake will freeze over.", "The lake could freeze over."),
        ("It looks as if the bridge will perhaps open.", "The bridge could open."),
        ("Nobody can leave before the bell rings.", "One can leave after the bell rings."),
        ("The total declined to 19 crowns.", "The total fell to 19 crowns."),
        ("Nearly half of the seats are gone.", "Some 46 % of the seats are gone."),
    ],
)
def test_what_says_the_same_or_less_is_left_alone(sentence, claim):
    assert near_miss(claim, [sentence], [0]) is None


def test_may_the_month_is_no_permission():
    assert all(m.kind != "duty or leave" for m in marks_of("Paid on 3 May, in May and by May 5."))


FACTS = {
    "The shed was insured in 2024.": ("The shed was not insured in 2024.", "In 2024 you insured the shed."),
    "A voucher was issued on 2 June.": ("No voucher was issued on 2 June.", "We issued a voucher on 2 June."),
    "The editor supports dark mode.": ("The editor lacks dark mode.", "The editor supports dark mode well."),
    "The agency confirmed the tour.": (
        "The agency refused to confirm the tour.",
        "The tour was confirmed by the agency.",
    ),
    "The alarm is tested weekly.": ("The alarm is no longer tested weekly.", "Weekly the alarm is tested."),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_that_is_denied_is_not_stated(fact):
    denied, stated = FACTS[fact]
    judge = EmbeddedJudge()
    for response, yes in ((denied, False), (stated, True)):
        assert judge.stated([fact], sentences=[response])[0].yes is yes, response
    assert completeness(denied, key_facts=[fact]).points == 1
    assert completeness(stated, key_facts=[fact]).points == 4


def test_a_denial_of_something_near_a_fact_does_no_harm():
    texts = sentences(
        "The pump runs on program 4. The old fuse is not at fault, and program 3 does not help the pump."
    )
    for fact in ("The pump runs on program 4.", "Program 4 helps the pump.", "The pump is not old."):
        assert fact_denied(fact, texts, range(len(texts))) is None


ROLES = ["tenant", "insurer", "courier", "nurse"]


@pytest.mark.parametrize(("a", "b"), list(itertools.permutations(ROLES, 2)))
@pytest.mark.parametrize("verb", ["called", "paid", "warned"])
def test_any_two_roles_exchanged_are_told_in_either_voice(a, b, verb):
    source_sentences = [f"The {a} {verb} the {b} on Friday."]
    for right in (f"The {a} {verb} the {b}.", f"The {b} was {verb} by the {a}."):
        assert roles_exchanged(right, source_sentences, [0]) is None, right
    for altered in (f"The {b} {verb} the {a}.", f"The {a} was {verb} by the {b}."):
        assert roles_exchanged(altered, source_sentences, [0]).kind == "role", altered


def test_roles_that_did_it_to_each_other_are_right():
    texts = ["The tenant called the nurse.", "Later the nurse called the tenant."]
    assert roles_exchanged("The nurse called the tenant.", texts, [0]) is None


def test_a_passive_without_by_tells_no_doer():
    assert roles_exchanged("The Ebba hotel offers Wifi.", ["Wifi is offered at Ebba."], [0]) is None


@pytest.mark.parametrize(
    "text",
    ["half", "a third", "one in", "at", "may", "if", "except", "two out of", "seven in the", "is", "by"],
)
def test_a_sentence_may_end_in_the_middle_of_a_mark(text):
    for sentence in (text, text.title() + ".", f"It is {text}"):
        assert near_miss(sentence, [sentence, "All is said before noon."], [0]) is None


def test_many_parties_and_conditions_take_little_time():
    started = time.process_time()
    text = "The tenant called the nurse if the agent may by 5 May unless half past two is in the shop. " * 30
    for check in (near_miss, roles_exchanged, fact_denied):
        check(text, [text] * 200, range(3))
    assert cpu_since(started) < 4


@pytest.mark.parametrize("digit", "² ① ٣ ½ Ⅷ 〇 ২ ⁵/₆".split())
def test_a_digit_of_any_kind_is_read_or_left_alone(digit):
    for form in ("{} days", "half past {}", "one in {}", "5 {} euros a month", "from {} to 3{}", "by {}"):
        claim = "The lift is checked " + form.format(digit, digit) + "."
        assert factuality(claim, source=f"{claim} The tenant knows it.").points >= 3
        assert 1 <= factuality(claim, source="The lift is checked 2 days after rain.").points <= 4


OPPOSITES = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]


def test_the_pairs_of_opposite_claims_cover_all_forms():
    assert len(OPPOSITES) == 60 and sum(r["held"] for r in OPPOSITES) == 30
    assert len({r["domain"] for r in OPPOSITES}) == 8 and {r["kind"] for r in OPPOSITES} == {
        "chat",
        "mail",
        "call note",
    }
    for r in OPPOSITES:
        assert 4 <= len(r["source"].splitlines()) <= 10 and r["right"] != r["wrong"], r["id"]
        assert not {r["right"], r["wrong"]} & set(r["source"].splitlines()), r["id"]


@pytest.mark.parametrize(("held", "right", "wrong"), [(True, 22, 16), (False, 23, 18)])
def test_opposite_claims_pass_no_more_often_than_before(held, right, wrong):
    "The goal is 12 %. The bounds are the shares reached, to prevent regressions."
    judge, rows = EmbeddedJudge(), [r for r in OPPOSITES if r["held"] == held]
    said = [judge.supported([r["right"], r["wrong"]], source=r["source"]) for r in rows]
    assert sum(bool(a.yes) for a, _ in said) >= right
    assert sum(bool(b.yes) for _, b in said) <= wrong
