"""Who did what: somebody else's deed is no support, and no right claim is lost to it."""

import pytest

from crmeval import factuality
from crmeval.core.text import sentences
from crmeval.judges.doers import other_doer
from crmeval.judges.text_index import TextIndex

PAIRS = (("Agent", "Customer"), ("Rep (Oluwa)", "Client"), ("Adviser", "Patient"), ("Mirela", "Support"))
DEEDS = (
    (
        "I'll phone you on Friday about the leaking boiler.",
        "phone {other} on Friday about the leaking boiler",
    ),
    ("Please pack the damaged kettle in straw.", "pack the damaged kettle in straw"),
    ("I lost the garage keys in Porto.", "lose the garage keys in Porto"),
    ("Could you scan the rental contract for me?", "scan the rental contract"),
)
DOES_IT = (True, False, True, False)  # whether the one who speaks does it


def side(label):
    return "agent" if label in ("Agent", "Rep (Oluwa)", "Adviser", "Support") else "customer"


def asked(claim, source):
    pieces = sentences(source)
    return other_doer(claim, source, range(len(pieces)), TextIndex(pieces, source.count("\n") + 1))[0]


@pytest.mark.parametrize("labels", [*PAIRS, *[p[::-1] for p in PAIRS]], ids="-".join)
@pytest.mark.parametrize("n", range(len(DEEDS)))
def test_the_doer_is_known_from_who_speaks(labels, n):
    said, told = DEEDS[n]
    source = f"{labels[0]}: {said}\n{labels[1]}: All right, thanks a lot."
    does, other = labels if DOES_IT[n] else labels[::-1]
    right = f"The {side(does)} will {told.format(other=f'the {side(other)}')}."
    wrong = f"The {side(other)} will {told.format(other=f'the {side(does)}')}."
    assert not asked(right, source)
    assert asked(wrong, source).startswith("Done by somebody else")


@pytest.mark.parametrize("verb", ["called", "invited", "blamed", "paid", "taught"])
def test_exchanged_names_in_prose(verb):
    source = f"The meeting began late. Zoltan {verb} Amaya in Turku before lunch. Nobody else was there."
    assert asked(f"Amaya {verb} Zoltan in Turku before lunch.", source)
    assert not asked(f"Zoltan {verb} Amaya in Turku before lunch.", source)
    assert not asked(f"Amaya was {verb} by Zoltan in Turku before lunch.", source)


def test_it_counts_in_factuality():
    source = "Agent: I'll phone you on Friday about the leaking boiler.\nCustomer: All right, thanks a lot."
    right = factuality("The agent will phone the customer on Friday about the leaking boiler.", source=source)
    wrong = factuality("The customer will phone the agent on Friday about the leaking boiler.", source=source)
    assert wrong.points < right.points


@pytest.mark.parametrize("who", ["He", "The driver", "Somebody", "The team"])
def test_whoever_is_not_known_speaks_against_an_objection(who):
    source = f"Agent: {who} will phone you on Friday about the boiler.\nCustomer: Thanks."
    assert not asked("Jonna will phone the customer on Friday about the boiler.", source)
