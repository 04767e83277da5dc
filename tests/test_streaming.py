"Streams through the trust layer: the same result for every split, and unchecked text is never shown."

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval import TrustLayer
from crmeval.core.calls import CallFailed, Completion
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.reply import Asked

NAME = "Marisol Quintero"
RECORD = {"contact": {"name": NAME, "email": "marisol.q@mail.example"}}
ASKED = Asked(record=RECORD)
QUESTION = f"Write to {NAME}, marisol.q@mail.example."


class Model:
    "Answers with the template `say`, filled with the received placeholders, in pieces of `sizes`."

    name, provider, model, cacheable = "model", "local", "model", False

    def __init__(self, say="{person}", sizes=(1,), breaks=None):
        self.say, self.sizes, self.breaks, self.closed = say, sizes, breaks, False

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        words = messages[-1]["content"].replace(",", " ").rstrip(".").split()
        person = " ".join(w for w in words if "PERSON" in w)
        mail = next((w for w in words if "EMAIL" in w), "")
        return Completion(self.say.replace("{person}", person).replace("{mail}", mail))

    async def chat_stream(self, messages, **options):
        done, at, n = await self.chat(messages, **options), 0, 0
        try:
            while at < len(done.text):
                size = self.sizes[n % len(self.sizes)]
                yield done.text[at : at + size]
                at, n = at + size, n + 1
                if self.breaks is not None and at >= self.breaks:
                    raise CallFailed("the stream broke off", http_status=None)
                await asyncio.sleep(0)
            yield done
        finally:
            self.closed = True

    async def aclose(self):
        pass


def pieces_of(layer, **options):
    async def all_of():
        return [p async for p in layer.achat_stream(QUESTION, asked=Asked(record=RECORD, **options))]

    return asyncio.run(all_of())


SENTENCES = [
    "Dear {person}, thank you for your letter about the router.",
    "We wrote to {mail} on Monday, and again on Friday.",
    "It costs 240.50 euros; that is 12 % less than before.",
    '{"to": "{person}", "mail": "{mail}"}',
    "**{person}** is right!\n\n- one\n- two [PERSON_9]",
    "A [ bracket, and half a [PERS",
    "Kind regards",
]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=8),
    st.lists(st.integers(1, 70), min_size=1, max_size=6),
)
def test_a_stream_equals_the_whole_for_every_cut(sentences, sizes):
    say = " ".join(sentences)
    whole = TrustLayer(Model(say), {"stream": "hold"})
    (one,) = pieces_of(whole)
    for answer in (["demasking", "screening", "source_links"], ["demasking"], []):
        layer = TrustLayer(Model(say, sizes), {"stream": "sentences", "answer": answer})
        *parts, last = pieces_of(layer)
        shown = "".join(p.text for p in (*parts, last))
        assert last.kind == "end" and last.reply.text == shown
        assert (
            answer == []
            or NAME not in say
            and "[PERSON" not in shown.replace("[PERSON_9]", "").replace("half a [PERS", "")
        )
        assert not answer or shown == one.reply.text


@pytest.mark.parametrize("seed", range(5))
def test_at_most_forty_characters_are_held_back(seed):
    rng = random.Random(seed)
    say = " ".join(
        rng.choice(["Dear", "{person}", "[PERSON", "[[x]]", "router", "K7B4Q", "{mail}", "<b>"])
        for _ in range(80)
    )
    model = Model(say)
    layer = TrustLayer(model, {"stream": "sentences", "answer": ["demasking"]})

    async def lags():
        came, shown, out = [], 0, []
        stream = model.chat_stream

        async def noted(messages, **options):
            async for piece in stream(messages, **options):
                came.append(len(piece) if isinstance(piece, str) else 0)
                yield piece

        model.chat_stream = noted
        async for piece in layer.achat_stream("No name here, only words."):
            shown += len(piece.text)
            out.append(sum(came) - shown)
        return out

    assert max(asyncio.run(lags())) <= 40


def test_the_default_waits_for_the_whole():
    (only,) = pieces_of(TrustLayer(Model("Dear {person}. " * 40)))
    assert only.kind == "end" and only.text.count("Quintero") == 40


def test_what_is_found_in_the_whole_alone_ends_it_with_a_mark(monkeypatch):
    import crmeval.layer.stream_way as way
    from crmeval.layer.screening import ScreeningPolicy, screen

    def only_whole(text, **options):
        "A detector that finds something only in the whole text."
        policy = ScreeningPolicy(hosts=()) if text.count("Dear") >= 3 else ScreeningPolicy(links="pass")
        return screen(text, **{**options, "policy": policy})

    monkeypatch.setattr(way, "screen", only_whole)
    say = (
        "Dear {person}, please see https://evil.example/x for more, as soon as you find the time for it. " * 3
    )
    layer = TrustLayer(Model(say), {"stream": "sentences", "screening": {"links": "pass"}})
    *parts, last = pieces_of(layer)
    assert parts and last.kind == "withheld" and "after it was shown" in last.reply.reason
    assert last.text.strip() == layer.policy.screening.sentence
    assert last.reply.text == "".join(p.text for p in (*parts, last))


def test_a_step_that_fails_shows_nothing_more(monkeypatch):
    import crmeval.layer.screening as screening

    monkeypatch.setattr(screening, "find_leaks", lambda *arguments, **options: 1 / 0)
    layer = TrustLayer(
        Model("Dear {person}, thank you for your letter about the router. " * 9), {"stream": "sentences"}
    )
    *parts, last = pieces_of(layer)
    assert (
        last.kind == "withheld"
        and not any(p.text for p in parts)
        and "ZeroDivisionError" in last.reply.reason
    )
    assert layer.client.closed


def test_what_had_been_shown_is_kept_where_a_stream_breaks_off_or_is_left(tmp_path):
    say = "Dear {person}, thank you for your letter about the router, which we read with care. " * 6

    def kept(name):
        with AuditTrail(tmp_path / name) as trail:
            assert trail.verify().ok
            return [r for r in trail.records() if r.kind in ("reply", "failed", "answer")]

    broken = TrustLayer(Model(say, breaks=300), {"stream": "sentences"}, trail=tmp_path / "broken.jsonl")
    shown = []

    async def read(layer, most=None):
        stream = layer.achat_stream(QUESTION, asked=ASKED)
        async for piece in stream:
            shown.append(piece.text)
            if most and len(shown) == most:
                break
        await stream.aclose()

    with pytest.raises(CallFailed, match="broke off"):
        asyncio.run(read(broken))
    rows = kept("broken.jsonl")
    assert {r.kind for r in rows} == {"failed", "answer", "reply"}
    assert rows[-1].private["text"] == "".join(shown) and NAME in "".join(shown)
    assert rows[-1].content["status"] == "broken off"
    shown.clear()
    left = TrustLayer(Model(say), {"stream": "sentences"}, trail=tmp_path / "left.jsonl")
    asyncio.run(read(left, 2))
    assert left.client.closed and kept("left.jsonl")[-1].private["text"] == "".join(shown)


def test_a_program_without_a_loop_and_a_template():
    layer = TrustLayer(
        Model("Dear {person}, thank you for your letter about the router. " * 6), {"stream": "sentences"}
    )
    *parts, last = list(layer.stream("Write to {{contact.name}}.", RECORD, user="agent-7"))
    assert len(parts) > 1 and last.reply.text.count(NAME) == 6 and last.reply.sent
    failing = TrustLayer(Model("Dear you, " * 30, breaks=5), {"stream": "sentences"})
    (last,) = list(failing.stream("Write to {{contact.name}}.", RECORD))
    assert (last.kind, last.reply.status) == ("failed", "api_error")
    for piece in layer.stream("Write to {{contact.name}}.", RECORD):  # abandoned in the middle: nothing hangs
        assert piece.text
        break
