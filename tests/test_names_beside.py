"Capitalized words next to a name: roles, labels, greetings and sentence starts stay, surnames are masked."

import re
from functools import cache
from pathlib import Path

from crmeval.layer.masking import KINDS, MaskingPolicy, mask

EVERYTHING = MaskingPolicy(dict.fromkeys(KINDS, "mask"))
ROWS = [
    line.split("|")
    for line in Path(__file__).with_name("names_beside.txt").read_text(encoding="utf-8").splitlines()[1:]
]


@cache
def words_left(text):
    return frozenset(re.findall(r"\w+", mask(text, policy=EVERYTHING).text))


def words_of(column):
    "Return (text, word) for every word in this column of the sentences."
    return [(row[0], word) for row in ROWS for word in row[column].split(",") if word]


def test_what_is_nobodys_name_mostly_stays():
    masked = [(text, word) for text, word in words_of(1) if word not in words_left(text)]
    assert len(masked) <= 0.27 * len(words_of(1)), masked  # 75 % before the rule


def test_surnames_that_are_ordinary_words_are_masked():
    left = {word for text, word in words_of(2) if word in words_left(text)}
    assert left <= {"Will", "Young", "Mark", "Price", "Pablo", "Calle"}


def test_a_trimmed_name_is_never_nothing():
    for text in ("Team Manager", "Officer", "Support Support Support", "Mr. Head", "Dear Team", ""):
        assert mask(text, policy=EVERYTHING).text is not None
    assert "Lopes" not in mask("Manager Ana Lopes Manager", policy=EVERYTHING).text
