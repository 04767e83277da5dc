"Control characters in a model's reply: none reaches the application, and the record mentions them."

import asyncio
import json
import random
import re

import pytest

from crmeval.core.calls import Completion
from crmeval.layer.layer_policy import Policy
from crmeval.layer.screening import Screener, ScreeningPolicy, screen, without_controls
from crmeval.layer.stream_way import StreamWay
from crmeval.layer.trust_layer import TrustLayer

CONTROLS = [chr(c) for c in (*range(32), *range(0x7F, 0xA0)) if chr(c) not in "\t\n\r"]
_ANY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_WORDS = "the parcel leaves today: we are sorry for the wait. Is that fine?\n Thank you;\tyours".split(" ")


def _reply(draw):
    "Return words with control characters inside and between them."
    parts = []
    for _ in range(draw.randint(5, 80)):
        word = draw.choice(_WORDS)
        at = draw.randint(0, len(word))
        steer = draw.choice(["", "", draw.choice(CONTROLS), "\x1b[31m", "\x1b]8;;x\x07", "\x9b2J"])
        parts.append(word[:at] + steer + word[at:])
    return " ".join(parts)


@pytest.mark.parametrize("seed", range(12))
def test_a_stream_shows_without_controls_what_the_whole_shows(seed):
    draw = random.Random(seed)
    text = _reply(draw) + draw.choice(CONTROLS)
    rules = ScreeningPolicy(leaks="pass")  # the remains of a sequence may look like a number
    whole = screen(text, policy=rules)
    assert not _ANY.search(whole.text) and whole.record.detail["controls"] == len(_ANY.findall(text))
    assert "control" in whole.record.reason and whole.record.decision == "flag"
    cuts = sorted(draw.sample(range(len(text)), 6))
    for places in (range(len(text)), cuts, []):
        edges = [0, *places, len(text)]
        screener, way = Screener(policy=rules), StreamWay(Policy(screening=rules))
        pieces = [text[a:b] for a, b in zip(edges, edges[1:])]
        assert "".join(map(screener.feed, pieces)) + screener.end() == whole.text
        assert sum(s.record.detail.get("controls", 0) for s in screener.records) == len(_ANY.findall(text))
        shown = [way.show() for p in pieces if way.restore(p)]
        assert "".join(shown) + way.end() == whole.text == way.shown
        assert any("control" in r.reason and r.decision == "flag" for r in way.records())


@pytest.mark.parametrize("control", ["\x1c", "\x1e", "\x00", "\x1b", "\x9d"])
def test_no_control_hides_a_link_or_a_value_from_the_screening(control):
    filler = "Thank you for your letter about the parcel that you ordered from us in the spring. " * 2
    for hidden in (f"https:{control}//evil.example/x", f"eve{control}.stone@mail.example"):
        text = f"{filler}See {hidden} please."
        for found in (screen(text).text, "".join(map((s := Screener()).feed, text)) + s.end()):
            assert "[removed]" in found and "evil.example" not in found and "stone@" not in found


@pytest.mark.parametrize("ascii_only", [False, True])
def test_an_answer_in_json_stays_json(ascii_only):
    data = {"note": "fine\nday", "n": [1, None]}
    text = json.dumps(data, ensure_ascii=ascii_only, indent=1)
    draw = random.Random(3)
    for control in CONTROLS:
        at = draw.randint(0, len(text))
        if control not in "\x0b\x0c\x85":  # these separate words, so a blank replaces them
            assert json.loads(screen(text[:at] + control + text[at:]).text) == data
    assert json.loads(screen(text.replace("fine", "fi\x85ne")).text)["note"] == "fi ne\nday"


class _Model:
    name = model = "m"

    def __init__(self, text, calls=()):
        self.done = Completion(text, tool_calls=calls)

    async def chat(self, messages, **options):
        return self.done

    async def aclose(self):
        pass


def test_the_application_gets_neither_text_nor_arguments_with_controls():
    arguments = json.dumps({"note": "now \x1b[2Jgone", "\x07n": ["\x9b1m"]})
    calls = [{"id": "c", "type": "function", "function": {"name": "note", "arguments": arguments}}]
    tools = [{"type": "function", "function": {"name": "note", "parameters": {"type": "object"}}}]
    layer = TrustLayer(_Model("\x1b]0;owned\x07Good day.", calls))
    done = asyncio.run(layer.achat([{"role": "user", "content": "Note it."}], tools=tools))
    assert done.text == "]0;ownedGood day."
    for call in done.tool_calls:
        assert json.loads(call["function"]["arguments"]) == {"note": "now [2Jgone", "n": ["1m"]}
    assert done.tool_calls and any("control" in str(s) for s in done.way.records)


def test_plain_text_is_left_as_it_is():
    for text in ("a\r\nb\tc", "Grüße \u200d👩\u200d💻 \u2028", "", "\xa0"):
        assert without_controls(text) == text and "controls" not in screen(text).record.detail
