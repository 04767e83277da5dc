"Factuality and completeness of the demo references: high as written, lower with one claim altered."

import random
import re

import pytest

from crmeval import completeness, factuality
from crmeval.core.text import names
from crmeval.core.values import same_value, values
from crmeval.metrics.factuality import claims
from crmeval.tasks.load import load_demo

DEMO = [s for s in load_demo() if s.reference]
DIGITS = re.compile(r"\d+")
HELPERS = re.compile(r" (is|was|are|were|has|have|will|can|must|should) ")
SYLLABLES = "ba do ki lo mar net pi qua ron su tev ul vi wen xan yor zel".split()


def another_number(claim, source, rng):
    "Return the claim with a number, day or price that the source does not contain."
    found = [v for v in values(claim) if v.kind not in ("id", "weekday") and DIGITS.search(v.text)]
    if not found:
        return None
    v = rng.choice(found)
    source_values = values(source)
    for _ in range(40):
        text = DIGITS.sub(lambda m: str(rng.randrange(1, 10 ** len(m[0]))), v.text, count=1)
        read = values(text)
        said_there = any(same_value(u, x) for u in source_values for x in read if u.kind == v.kind)
        if read and read[0].kind == v.kind and text.strip() not in source and not said_there:
            return claim.replace(v.text, text, 1)
    return None


def another_name(claim, source, rng):
    "Return the claim with a random name."
    known = [n for n in names(claim) if n.split()[0] in source and n.split()[0].isalpha()]
    new = "".join(rng.choice(SYLLABLES) for _ in range(3)).capitalize()
    return claim.replace(rng.choice(known), new, 1) if known and new not in source else None


def another_place(claim, source, rng):
    "Return the claim with another value of the same kind from the source."
    claim_values = values(claim)
    for v in rng.sample(claim_values, len(claim_values)):
        others = [
            u
            for u in values(source)
            if u.kind == v.kind != "id" and not any(same_value(u, x) for x in claim_values)
        ]
        if others:
            return claim.replace(v.text.strip(), rng.choice(others).text.strip(), 1)
    return None


def denied(claim, source, rng):
    found = list(HELPERS.finditer(claim))
    if not found:
        return None
    m = rng.choice(found)
    return f"{claim[: m.end()]}{rng.choice(('not', 'never', 'no longer'))} {claim[m.end() :]}"


def other_role(claim, source, rng):
    for a, b in (("customer", "agent"), ("agent", "customer")):
        if claim.startswith(f"The {a} "):
            return claim.replace(f"The {a}", f"The {b}", 1)
    return None


EVERY = {
    other_role: 1,
    another_place: 2,
}  # every n-th sample: few claims have a role, so all samples are used


def altered_references(alter, rng, every):
    "Yield (reference with one claim altered, source) for some samples of the demo set."
    for s in DEMO[::every]:
        if s.use_case == "update_crm_info":
            continue
        stated = [c for c in claims(s.reference, source=s.source) if c in s.reference]
        for c in rng.sample(stated, len(stated)):
            if (text := alter(c, s.source, rng)) and text != c:
                yield s.reference.replace(c, text, 1), s.source
                break


def test_references_are_right():
    points = [factuality(s.reference, source=s.source).points for s in DEMO]
    assert None not in points and sum(points) / len(points) >= 3.8


@pytest.mark.parametrize(
    ("alter", "most"),
    [(another_number, 0.12), (another_name, 0.12), (another_place, 0.65), (other_role, 0.8), (denied, 0.9)],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_an_altered_reference_is_not(alter, most):
    """At most the stated share of altered references keeps 4 points.

    The goal is 12 %. For swapped values, roles and inserted negations it is not met:
    their bound is the share reached, to prevent regressions.
    """
    rng = random.Random(20)
    found = list(altered_references(alter, rng, EVERY.get(alter, 4)))
    kept = [factuality(text, source=source).points == 4 for text, source in found]
    assert len(kept) >= (5 if alter is other_role else 12)
    assert sum(kept) <= most * len(kept), f"{sum(kept)} of {len(kept)}"


CHAT = """Customer: My father's chair is 66 cm wide and he can't use stairs. I paid 90 euros on 3 May.
Agent (Mei): Room 4 on the ground floor is free from 12 June to 18 June and costs 75 euros a night.
Agent (Mei): I have released the hold on the card, reference RC-7719. Please send me the form before 10 June.
Customer: I send the form today. We arrive late, by train, with 2 bags."""


@pytest.mark.parametrize(
    ("claim", "category"),
    [
        ("Room 66 on the ground floor is free for the father.", "exchanged"),
        ("The room on the ground floor costs 90 euros a night.", "exchanged"),
        ("The hold on the card has reference KX-7719 and is released.", "value"),
        ("The form has to be sent before 4 June to Mei.", "value"),
        ("Quispe has released the hold on the card.", "name"),
    ],
)
def test_what_the_source_says_otherwise_is_told(claim, category):
    score = factuality(claim, source=CHAT)
    assert score.points < 4 and score.evidence[0]["category"] == category, score


@pytest.mark.parametrize(
    "claim",
    [
        "Room 4 on the ground floor is free from 12 June.",
        "The room costs 75 euros a night and is free until 18 June.",
        "The customer paid 90 euros on 3 May.",
        "Mei has released the hold on the card, reference RC-7719.",
        "The customer's father cannot use stairs.",
        "The customer sends the form today.",
    ],
)
def test_what_the_source_says_is_supported(claim):
    assert factuality(claim, source=CHAT).points == 4


REPLY = """Thank you for calling. I have refunded the 40 euros of the second order to your card.
The lamp of the first order costs 85 euros and comes on 12 June; returns are free until 30 June."""


@pytest.mark.parametrize(
    ("fact", "stated"),
    [
        ("The lamp of the first order costs 85 euros.", True),
        ("40 euros of the second order have been refunded to the card.", True),
        ("Returns are free until 30 June.", True),
        ("The lamp of the first order costs 40 euros.", False),
        ("The lamp of the first order costs 90 euros.", False),
    ],
)
def test_a_key_fact_with_another_value_is_not_stated(fact, stated):
    score = completeness(REPLY, key_facts=[fact])
    assert (score.evidence[0]["kind"] == "stated") is stated, score


def test_a_reference_does_not_state_key_facts_with_a_new_number():
    "One number of each key fact is replaced by one that neither source nor reference contains."
    rng, verdicts = random.Random(20), []
    for s in DEMO:
        changed = [another_number(f, s.source + s.reference, rng) for f in s.key_facts]
        if altered := [f for f in changed if f]:
            score = completeness(s.reference, key_facts=altered)
            verdicts += [e["kind"] == "stated" for e in score.evidence]
    assert len(verdicts) >= 60 and sum(verdicts) <= 0.12 * len(verdicts), (
        f"{sum(verdicts)} of {len(verdicts)}"
    )
