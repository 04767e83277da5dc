"Caches of detectors stay bounded for any input; a reply is exported as spans; a missing extra is reported."

import gc
import inspect
import random
import sys
from functools import _lru_cache_wrapper

import pytest

from crmeval import TrustLayer
from crmeval.cli import main
from crmeval.core.calls import Completion
from crmeval.core.memo import CallMemo
from crmeval.core.records import Usage
from crmeval.core.text import stem
from crmeval.detect.hidden_value import find_value
from crmeval.layer.grounding import KeywordRetriever, Passage
from crmeval.layer.source_links import leaned_on
from crmeval.metrics.leaks import leaks

PATTERNS = {"_needed", "lexicon", "_recognisers", "_module", "load_prompt", "reply_schema", "_pattern"}
PATTERNS |= {
    "_words_of",
    "_patterns",
    "plugins",
    "_beginnings",
    "_class",
    "_ways",
}  # their arguments are names of files, patterns and lists of the package
MOST = 120_000  # entries of all caches of the layer together
LETTERS = 10_000  # entries of a dictionary of characters


class Echo:
    name, provider, model, cacheable = "echo", "embedded", "echo", False

    async def chat(self, messages, **options):
        return Completion(
            messages[-1]["content"][-400:], usage=Usage(4, 2), latency_s=0.25, finish_reason="stop"
        )


def memories():
    "Return every lru_cache of the loaded modules, wherever it is stored."
    rooms = {name for name in sys.modules if name.startswith("crmeval.")}
    gc.unfreeze()  # objects left by earlier test files, see conftest.py
    found = [o for o in gc.get_objects() if isinstance(o, _lru_cache_wrapper)]
    return [o for o in found if getattr(o, "__module__", None) in rooms]


def growing():
    "Return module dictionaries that grow with each new character."
    rooms = [m for name, m in sys.modules.items() if name.startswith("crmeval.")]
    return [v for m in rooms for v in vars(m).values() if isinstance(v, dict) and hasattr(v, "__missing__")]


def text(rng):
    words = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(4, 9))) for _ in range(60)]
    strange = "".join(chr(rng.randint(0x100, 0x2FFFF)) for _ in range(60)).replace("\ud800", "")
    strange = "".join(c for c in strange if not 0xD800 <= ord(c) < 0xE000)
    name = f"{words[0].title()} {words[1].title()}"
    call = f"+44 20 7946 {rng.randrange(10**4):04d}, {name.replace(' ', '.').lower()}@mail.example"
    return name, f"I am {name}, call {call}. {' '.join(words)}. {strange}."


def test_no_memory_of_a_detector_grows_with_the_texts_that_it_reads():
    layer, rng = TrustLayer(Echo()), random.Random(3)
    for _ in range(60):
        name, comments = text(rng)
        assert layer.reply(
            "{{case.comments}}", {"case": {"comments": comments}, "contact": {"name": name}}
        ).text
    caches = [
        o for o in memories() if inspect.signature(o.__wrapped__).parameters
    ]  # without parameters there is one value
    unbounded = {o.__name__ for o in caches if o.cache_info().maxsize is None}
    assert unbounded <= PATTERNS, unbounded - PATTERNS
    # a limit for each, so that entries left by other tests do not matter
    assert all(len(known) <= LETTERS for known in growing())
    layered = [
        o for o in memories() if o.__module__.startswith(("crmeval.layer", "crmeval.detect", "crmeval.core"))
    ]
    assert sum(o.cache_info().maxsize or 0 for o in layered) < MOST  # the maximum sizes limit the total


def kept_questions():
    "Return the number of per-call caches and what they still hold after a call."
    gc.unfreeze()
    memos = [o for o in gc.get_objects() if isinstance(o, CallMemo)]
    return len(memos), {str(question).casefold() for memo in memos for question in memo}


def test_no_answer_and_no_prompt_stays_behind_in_a_memory():
    reply = TrustLayer(Echo()).reply("{{case.comments}}", {"case": {"comments": "The lamp hums. " * 30}})
    assert reply.status == "ok" and "lamp" in reply.text
    memos, left = kept_questions()
    assert memos > 15 and max(map(len, left)) < 40  # words, but no texts


def test_the_stems_of_a_customers_words_are_not_kept():
    passages = [Passage("kb-1", "Parcels of Quenbyshire are sent on Mondays, as Lindqvistaxen said.")]
    comments = "Parcels of Quenbyshire are sent on Mondays, as Lindqvistaxen said."
    layer = TrustLayer(Echo(), retriever=KeywordRetriever(passages))
    before = stem.cache_info()
    assert layer.reply("Answer: {{case.comments}}", {"case": {"comments": comments}}).status == "ok"
    assert leaned_on(comments, passages) == {1: 1.0}
    assert stem.cache_info() == before  # the judge's cache was not used


def test_what_was_looked_for_is_forgotten():
    assert find_value("It is k i l o n o v a 7 7.", value="Kilonova77")
    assert leaks("It is EUR 84,211 for Kilonova77.", secrets=["Kilonova77", "EUR 84,211"])
    assert not [w for w in kept_questions()[1] if "kilonova" in w or "84,211" in w]


def test_no_word_of_a_customer_stays_behind_in_a_memory():
    comments = (
        "I am Ilse Lindqvistaxen, you idiot. Call (601) 234 5678 or +225 21 23 4 56789 about parcel 48213. "
        * 9
    )
    record = {"case": {"comments": comments}, "contact": {"name": "Ilse Lindqvistaxen"}}
    assert TrustLayer(Echo()).reply("{{case.comments}}", record).text
    memos, left = kept_questions()
    assert memos > 6 and "parcel" in left
    assert not [w for w in left if "lindqvist" in w or any(map(str.isdigit, w))]


def test_memories_of_letters_stop_growing():
    from crmeval.core.needed_words import plain_small
    from crmeval.detect.disguise import folded

    every = "".join(chr(c) for c in range(0x100, 0x8000))
    assert folded(every) == folded(every) and plain_small(every) == plain_small(every)
    assert all(len(known) <= LETTERS for known in growing())


def test_a_reply_is_told_as_spans_without_a_trail():
    layer = TrustLayer(Echo())
    reply = layer.reply("Answer {{contact.name}}.", {"contact": {"name": "Orla Quenby"}})
    root, *steps = layer.spans(reply)
    names = [s.name for s in steps]
    assert names.index("masking") < names.index("chat echo") < names.index("demasking") and not root.parent_id
    assert {s.parent_id for s in steps} == {root.span_id} and {s.trace_id for s in steps} == {root.trace_id}
    call = steps[names.index("chat echo")]
    assert (
        call.client
        and call.seconds == pytest.approx(0.25)
        and call.attributes["gen_ai.usage.input_tokens"] == 4
    )
    assert all(a.end_ns <= b.start_ns + 5000 for a, b in zip(steps, steps[1:])) and not root.error
    assert "Orla" not in repr(layer.spans(reply))


def test_a_missing_package_is_no_mistake_of_ours(monkeypatch, capsys):
    def lost(words):
        raise ModuleNotFoundError("x needs y: pip install 'crmeval[run]'", name="y")

    monkeypatch.setattr("crmeval.cli.app._called", lost)
    assert main(["run"]) == 2
    printed = capsys.readouterr().err
    assert printed == "crmeval: x needs y: pip install 'crmeval[run]'\n"

    def broken(words):
        raise ModuleNotFoundError("No module named 'crmeval.nothing'", name="crmeval.nothing")

    monkeypatch.setattr("crmeval.cli.app._called", broken)
    assert main(["run"]) == 2 and "an error in crmeval" in capsys.readouterr().err
