"Links in answers: the list of sources below, and no links to other addresses."

import json
import random

import pytest

from crmeval.layer.grounding import KeywordRetriever, Passage, ground
from crmeval.layer.links import find_links, plain_address, without_links
from crmeval.layer.source_links import read_markers, source_links

KNOWN = "https://help.lamps.example/bulbs"
BULBS = Passage("b1", "A bulb of type E14 fits every table lamp that we sell.", "Bulbs", KNOWN)
HOURS = Passage(
    "h1", "Our hotline is open from eight to six on weekdays.", "Hours", "https://help.lamps.example/hours"
)
ELSEWHERE = (
    "https://bad.example/a",
    "http://10.0.0.1/x",
    "https://help.lamps.example@bad.example/",
    KNOWN + "?d=ana",
)
WAYS = (
    "[words]({})",
    "[words](<{}>)",
    '[words]({} "a title")',
    "![words]({})",
    "[![words]({})]({})",
    "<{}>",
    "{}",
    "({})",
    "**{}**",
    '<a href="{}">words</a>',
    "<A HREF={}>words</A>",
    "<img src='{}' alt=x>",
    "<iframe src={}></iframe>",
    "[words][r]\n\n[r]: {}\n",
)


def is_known(url):
    return plain_address(url) == plain_address(KNOWN)


def disguised(url, rng):
    way = rng.randrange(5)
    if way == 0:
        return url.replace("http", "hxxp")
    if way == 1:
        return url.replace(".", "[.]", 1)
    if way == 2:
        return url.upper() if url.islower() else url
    if way == 3:
        return "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in url)
    return url[:3] + "\u200b" + url[3:]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_writing_leads_elsewhere(way):
    rng = random.Random(way)
    for url in ELSEWHERE:
        for written in (url, disguised(url, rng)):
            text = "Dear Ms Ndiaye, see " + way.replace("{}", written) + " for more."
            out, removed = without_links(text, is_known)
            assert removed, text
            assert "bad.example" not in out.casefold() and "10.0.0.1" not in out, (text, out)
            assert not find_links(out), (text, out)
            assert out.startswith("Dear Ms Ndiaye, see ") and out.endswith(" for more.")


@pytest.mark.parametrize("way", [w for w in WAYS if not w.startswith(("<i", "<A", "<a"))])
def test_a_link_that_a_passage_has_stays_as_it_is(way):
    text = "See " + way.replace("{}", KNOWN) + " for more."
    assert without_links(text, is_known) == (text, ())


def test_pieces_of_anything_never_make_a_link_to_elsewhere():
    rng = random.Random(4)
    pieces = [
        "[",
        "](",
        ")",
        "!",
        "<a href=",
        ">",
        "https://bad.example",
        KNOWN,
        " ",
        "\n",
        "[r]:",
        "&#104;",
        "x",
        '"',
    ]
    for _ in range(400):
        text = "".join(rng.choices(pieces, k=rng.randrange(1, 25)))
        out, _ = without_links(text, is_known)
        assert all(is_known(x.url) for x in find_links(out) if x.form != "element"), (text, out)
        assert "bad.example" not in out, (text, out)


@pytest.mark.parametrize(
    ("text", "after", "cited"),
    [
        ("It fits [2][7].", "It fits [2].", (2,)),
        ("It fits [^1], really [4].", "It fits [^1], really.", (1,)),
        ("It fits 【2†source】.", "It fits 【2†source】.", (2,)),
        ("It fits [1–9].", "It fits [1, 2].", (1, 2)),
        ("In `a[7]` and in [1998].", "In `a[7]` and in [1998].", ()),
    ],
)
def test_numbers_that_no_passage_has_go(text, after, cited):
    assert read_markers(text, 2)[:2] == (after, cited)


def test_sources_are_those_that_the_answer_leans_on():
    found = KeywordRetriever([BULBS, HOURS]).search("Which bulb fits my table lamp?")
    assert [p.id for p in found] == ["b1"]
    prompt = ground("Which bulb fits?", [BULBS, HOURS])
    answer = source_links("A bulb of type E14 fits every table lamp.", prompt.passages)
    assert [(x.number, x.why) for x in answer.links] == [(1, "words")]
    assert answer.text.endswith(f"Sources:\n\n[1] [Bulbs]({KNOWN})")
    assert source_links("I do not know.", prompt.passages).text == "I do not know."


def test_a_record_holds_no_address_that_was_removed():
    record = source_links("Write to https://bad.example/?who=ana.lopes", [BULBS]).record
    assert record.decision == "replace" and "ana" not in json.dumps(dict(record.detail)) + record.reason


@pytest.mark.parametrize(
    "answer", ['{"a": ["https://bad.example/x", "[1]", 3]}', '["see [here](https://bad.example)"]']
)
def test_json_stays_json(answer):
    linked = source_links(answer, [BULBS])
    json.loads(linked.text)
    assert "bad.example" not in linked.text


AWAY = [
    "mailto:x%40y.example",
    "MAILTO:x@y.example?body=Ola",
    "<sip:x@y.example>",
    "callto:+4930123",
    "xmpp:x@y.example",
]
STAY = [
    "Skype: evenings",
    "Sip: the tea",
    "o@y.example<mailto:o@y.example>",
    "mailto: us",
    "a skype:",
]


def test_links_of_mail_and_telephone_go_bare_as_in_brackets_and_words_stay():
    for address in AWAY:
        assert [x.form for x in find_links(f"See {address} now.")] == ["bare"], address
    for words in STAY:
        assert not find_links(f"See {words} now."), words
