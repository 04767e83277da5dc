"Altered placeholders, written before the code was inspected: what is restored, what stays, no wrong person."

import json
import random
from pathlib import Path

import placeholder_ways
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.layer.masking import demask
from crmeval.layer.placeholders import Vault
from crmeval.layer.shown_text import Spelled
from crmeval.layer.streams import DemaskStream

SETS = {
    "first": placeholder_ways.first_set(),
    "pairs": placeholder_ways.PAIRS,
    "second": placeholder_ways.second_set(),
    "third": placeholder_ways.third_set(),
}
# Forms that are not restored exactly: the value may appear with other characters next to it.
BESIDE = {
    # the words may be part of the sentence itself
    "plain: the kind with a code", "plain: brackets spelled", "affix: said twice",
    # a bracket more or less may belong to the answer, and bars make tables
    "brackets: doubled right", "script: backwards brackets", "screen: bar behind", "screen: l for brackets",
    "sheet: cut to the underscore", "sheet: cut to the code", "program: XPath", "program: two angles",
    # encodings that were obsolete before language models
    "channel: encoded word", "channel: UTF-7", "legacy: trigraphs", "legacy: EBCDIC", "legacy: zeros between",
    # a word in another language that is in no list, followed by a space or nothing
    "alphabet: Katakana kind, bare",
    # longer than the 40 characters that a stream may hold back
    "chat: two marks",
}  # fmt: skip
# Forms that are not restored: a reading that did would restore other texts too.
NO_VALUE = {
    # spelled letters: 'person Mike' may be a person, and these texts exceed 40 characters
    "speech: letters with commas", "speech: radio alphabet", "speech: radio alphabet, digits",
    "speech: names of letters", "speech: digits spelled", "speech: digits spelled, hyphens",
    "speech: capital said",
    # a longer code, which is unknown
    "screen: 1 behind", "legacy: German seven bits", "legacy: Danish seven bits", "legacy: backspaces",
    # ambiguous letters: Cyrillic 'В' looks like B and sounds like V
    "alphabet: Cyrillic sounds", "alphabet: Greek sounds", "alphabet: Chinese digits",
    "alphabet: Roman digits",
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_what_comes_back_is_what_is_said_above(name):
    by_way = placeholder_ways.counted(SETS[name])
    failing = {way for way, outcomes in by_way.items() if set(outcomes) != {"right"}}
    assert failing == (BESIDE | NO_VALUE) & set(SETS[name])
    assert not any(outcomes["wrong"] + outcomes["broken"] for outcomes in by_way.values())


def test_every_way_that_is_said_to_stay_is_one_of_the_sets():
    assert set().union(*SETS.values()) >= BESIDE | NO_VALUE and not BESIDE & NO_VALUE


@pytest.mark.parametrize("name", ["NOBODY", "NOBODY_2"])
def test_a_code_that_nobody_has_restores_nobody(name):
    by_way = placeholder_ways.counted(getattr(placeholder_ways, name), nobody=True)
    assert all(set(outcomes) == {"right"} for outcomes in by_way.values()), by_way


@pytest.mark.parametrize("name", SETS)
def test_every_cut_gives_the_whole(name):
    rng = random.Random(29)
    for way, row in SETS[name].items():
        for vault, answer, _, _ in placeholder_ways.answers(way, row, seed=rng.randrange(40)):
            stream, at, out = DemaskStream(vault), 0, ""
            while at < len(answer):
                size = rng.choice((1, 2, 3, 7, 19, 40, 90))
                out, at = out + stream.feed(answer[at : at + size]), at + size
            assert out + stream.end() == demask(answer, vault), way


SPELLED = st.sampled_from(
    [
        *"a\\u&#;%=x 0d8",
        "\\u0412",
        "\\\\u004b",
        "&#75;",
        "&#x4b;",
        "%D0%BA",
        "=D0=BA",
        "\\ud83d",
        "\\ude00",
        "K7B",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(SPELLED, max_size=30), st.integers(1, 20))
def test_what_is_spelled_stays_as_it_was_written(signs, size):
    text, whole, cut = "".join(signs), Spelled(), Spelled()
    whole.feed(text, last=True)
    for i in range(0, len(text), size):
        cut.feed(text[i : i + size])
        assert len(text[: i + size]) - len(cut.written(0, len(cut.text))) <= 15
    cut.feed("", last=True)
    assert cut.text == whole.text and len(whole.text) <= len(text)
    assert cut.written(0, len(cut.text)) == whole.written(0, len(whole.text)) == text
    assert demask(text, Vault()) == text


PIECES = [
    *"[](){}<>&;:$#@%_-='\"\\/|* .\n\t8é\u200b",
    "&lsqb;",
    "&#91;",
    r"\u005b",
    "%5B",
    "<b>",
    "\n> ",
    "=\n",
]
PIECES += ["PERSON", "person", "PERSON_", "[PERSON_", "F_", "'s", "lle", "ПЕРСОНА_", "😀"]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.integers(0, 14), st.booleans(), st.integers(1, 45))
def test_json_stays_json_whatever_stands_around_a_code(pieces, place, in_ascii, size):
    vault = Vault(b"a key for the examples")
    form = vault.issue('Ana "Nita" Lópes', "PERSON")
    text = "".join([*pieces[:place], form.code, *pieces[place:]])
    answer = json.dumps({"a": text, "b": [text]}, ensure_ascii=in_ascii)
    stream = DemaskStream(vault)
    restored = "".join(stream.feed(answer[i : i + size]) for i in range(0, len(answer), size)) + stream.end()
    assert restored == demask(answer, vault)
    assert set(json.loads(restored)) == {"a", "b"}


def test_ordinary_texts_stay_as_they_are():
    folder = Path(__file__).with_name("texts")
    texts = [text for path in sorted(folder.iterdir()) for text in path.read_text("utf-8").splitlines()]
    vault = Vault(b"a key for the examples")
    for number in range(300):
        vault.issue(f"Person {number}", "PERSON")
    assert len(texts) > 300
    assert [text for text in texts if demask(text, vault) != text] == []
