"Terms of tax, price, delivery, contract, roles and mail headers stay readable; names are still masked."

import random
from pathlib import Path

import pytest

from crmeval.core.package_data import data_path
from crmeval.core.patterns import PatternFile
from crmeval.detect.proper_names import lexicon
from crmeval.layer.masking import mask

_LINES = Path(__file__).with_name("trade_terms.txt").read_text(encoding="utf-8").splitlines()[1:]
ROWS = [line.split("|") for line in _LINES]
TRADE = PatternFile(data_path("lexicons", "trade_terms.json"))
OTHER = {"contact": {"name": "Laura Steiner"}, "account": {"name": "Nordwind Logistik GmbH"}}


def altered(which, sort, record=None):
    "Return the number of phrases of this set and kind, and those that masking changes."
    rows = [(row[3], row[4].replace("\\n", "\n")) for row in ROWS if row[0] == which and row[2] == sort]
    return len(rows), [phrase for phrase, text in rows if phrase not in mask(text, record=record).text]


@pytest.mark.parametrize("record", [None, OTHER], ids=["free", "record"])
@pytest.mark.parametrize("which, n, most", [("A", 150, 10), ("B", 80, 12)])  # 128 and 72 before the rule
def test_terms_of_trade_mostly_stay(which, n, most, record):
    found, masked = altered(which, "benign", record)
    assert found == n and len(masked) <= most, masked


@pytest.mark.parametrize("which, n", [("A", 60), ("B", 40)])
def test_names_in_the_same_places_are_masked(which, n):
    found, masked = altered(which, "name")
    kept = {row[3] for row in ROWS if row[0] == which and row[2] == "name"} - set(masked)
    assert found == n and kept <= {"Mark Price", "Faith Order"}  # ordinary English words, as before


def test_a_name_of_the_record_is_masked_whatever_words_it_is_made_of():
    for row in ROWS:
        text = row[4].replace("\\n", "\n")
        if row[2] == "name":
            assert row[3] not in mask(text, record={"contact": {"name": row[3]}}).text, row


_TELLING = (
    "mehrwertsteuer",
    "lieferschein",
    "albaran",
    "factura",
    "pakbon",
    "bordereau",
    "offerte",
    "rabatt",
)


def test_a_first_name_or_a_strange_word_beside_a_word_of_trade_stays_a_name():
    rng = random.Random(7)
    names = sorted(lexicon("first_names") - lexicon("not_names"))
    trade_words = {w for n in ("trade_de", "trade_nl", "trade_es") for w in TRADE.words(n)} - lexicon(
        "not_names"
    )
    words = sorted(
        w for w in trade_words if not w.endswith("nummer")
    )  # another rule: no name follows these words
    for _ in range(150):
        word = rng.choice(words).capitalize()
        for first in (rng.choice(names).capitalize(), "Quellworth"):
            text = f"We spoke about {first} {word} with your office."
            assert first not in mask(text).text, text


def test_a_title_makes_a_name_of_a_word_of_trade():
    for word in _TELLING:
        assert word.capitalize() not in mask(f"Frau {word.capitalize()} hat angerufen.").text


def test_any_two_words_of_trade_are_no_name():
    rng = random.Random(11)
    sure = TRADE.words("also_names") | lexicon("surnames") | lexicon("places") | lexicon("first_names")
    never = sure | lexicon("organisation_words") | lexicon("nationalities")
    for language in ("de", "fr", "es", "nl"):
        words = sorted(TRADE.words(f"trade_{language}") - never)
        for _ in range(60):
            term = f"{rng.choice(words).title()} {rng.choice(words).title()}"
            assert term in mask(f"... {term}: 12").text, term
