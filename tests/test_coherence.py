"Coherence: kinds of breaks with near misses, turns of a conversation, inputs without a score, long texts."

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import cpu_since

from crmeval import coherence
from crmeval.core.judging import Verdict
from crmeval.detect.breaks import BREAK_KINDS, read_turns
from crmeval.metrics.defaults import default_judge

# kind -> (texts with the break, similar texts without it)
KINDS = {
    "contradiction": (
        [
            "The repair costs 80 euros. Please pay by card. The repair costs 60 euros.",
            "The museum is open on Mondays. We look forward to you. The museum is closed on Mondays.",
            "Your refund has been approved. It takes a while. Your refund has not been approved.",
            "The courier comes at 9:00. Please be at home. The courier comes at 11:30.",
            "The warranty lasts 2 years. It covers the pump. The warranty lasts 5 years.",
            "Breakfast is included in the price. Parking is extra. Breakfast is excluded in the price.",
        ],
        [
            "The repair costs 80 euros. The inspection costs 60 euros.",
            "The museum is open on Mondays. The cafe is closed on Mondays.",
            "Your refund has been approved. Your claim was not received.",
            "The shop opens at 9:00. The shop closes at 18:30.",
            "Plan A is for 2 years. Plan B is for 5 years.",
            "The fee for March is 10 euros. The fee for April is 12 euros.",
        ],
    ),
    "repeated content": (
        [
            "We have sent the lamp. It is new. We have sent the lamp.",
            "Please restart the router now. Then wait. Please restart the router now.",
        ],
        [
            "We have sent the lamp. We have sent the cable.",
            "Line 1 is dead since May. Line 2 is dead since May.",
        ],
    ),
    "dangling reference": (
        [
            "They will call you. Please wait.",
            "However, it is late. Sorry.",
            "As mentioned above, it is free. Enjoy it.",
            "We need some papers. Please send the following:",
            "On the one hand it is cheap. It is old.",
        ],
        [
            "It is important to wait. Thanks a lot.",
            "The team will call. They are quick.",
            "On the one hand it is cheap. On the other hand it is old.",
            "Please send us the following papers by Friday. We will call you then.",
        ],
    ),
    "order": (
        [
            "1. Open the lid.\n3. Press the key.\n2. Wait a minute.",
            "Finally, close the lid. Then open the tap.",
        ],
        [
            "1. Open the lid.\n2. Press the key.\n3. Wait.",
            "First, open the lid. Then wait. Finally, close it.",
            "A:\n1. Open it.\n2. Close it.\nB:\n1. Lift it.\n2. Drop it.",
        ],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_breaks_are_found_and_their_neighbours_are_not(kind):
    assert kind in BREAK_KINDS
    broken, sound = KINDS[kind]
    missed = [t for t in broken if kind not in {e.kind for e in coherence(t).evidence}]
    alarms = [(t, e) for t in sound for e in coherence(t).evidence if e.kind == kind]
    assert (missed, alarms) == ([], [])
    assert all(coherence(t).points < 4 for t in broken) and all(coherence(t).points == 4 for t in sound)


CHAT = (
    "Agent (Ito): Hello, how can I help you today?\nCustomer: My order CS-20418 has not "
    "come. When will it arrive?\nAgent (Ito): The delivery costs 5 euros.\nCustomer: {}"
)


@pytest.mark.parametrize(
    "question,reply,kind",
    [
        ("When will it arrive?", "It will arrive on Friday.", None),
        ("When will it arrive?", "I do not know yet, I will check.", None),
        ("When will it arrive?", "Our lamps are made of glass.", "not answered"),
        ("How much is the repair?", "The repair is free.", None),
        ("How much is the repair?", "The repair is done by experts.", "not answered"),
        ("Can I return the lamp?", "Yes, within 30 days.", None),
        ("Thanks.", "You are welcome. Anything else?", None),
        ("When?", "Hello, how can I help you? It comes on Friday.", "turn"),
        ("When?", "Could you give me your order number? It may come on Friday.", "turn"),
        ("When?", "Customer: it comes on Friday.", "turn"),
        ("When?", "The delivery costs 9 euros. It comes on Friday.", "contradiction"),
        ("When?", "The delivery costs 5 euros.", "turn"),
    ],
)
def test_turns(question, reply, kind):
    s = coherence(reply, conversation=CHAT.format(question))
    kinds = {e.kind for e in s.evidence}
    assert (kind in kinds if kind else not kinds) and s.status == "ok", s
    assert (s.points == 4) == (kind is None or s.fraction >= 0.9)


def test_a_conversation_may_have_any_form():
    forms = [
        "Customer: When do you come?\nAgent: One moment.",
        [("customer", "When do you come?"), ("agent", "One moment.")],
        [{"role": "customer", "content": "When do you come?"}, {"role": "agent", "content": "One moment."}],
        [{"speaker": "Customer", "text": "When do you come?"}, {"speaker": "Agent", "text": "One moment."}],
        ["Customer: When do you come?", "Agent: One moment."],
    ]
    scores = [coherence("Our lamps are made of glass.", conversation=c) for c in forms]
    assert all(s == scores[0] for s in scores) and {e.kind for e in scores[0].evidence} == {"not answered"}
    assert coherence("They come on Friday. All is well.", conversation="When do they come?").points == 4
    assert read_turns("") == [] and read_turns([]) == []


@pytest.mark.parametrize("wrong", [3, {"role": "x"}, b"x"])
def test_what_is_no_conversation_gives_no_score(wrong):
    score = coherence("All is well.", conversation=wrong)
    assert score.status == "undefined" and "conversation is" in score.reason and "expected" in score.reason


@pytest.mark.parametrize("wrong", [[None], [3], [("a", "b", "c")], [{"role": "user"}]])
def test_a_wrong_conversation_is_told(wrong):
    with pytest.raises(ValueError, match="conversation.* is .*expected"):
        coherence("All is well.", conversation=wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "12:30",
        "🙂",
        '{"a": 1}',
        "The lamp is broken.",
        "Dear Ana,\nKind regards\nMei",
        "Das Paket ist da. Wir haben es heute geschickt. Sie finden es im Laden.",
        "Пакет в пути. Он будет завтра.",
    ],
)
@pytest.mark.parametrize("judge", [None, default_judge()], ids=["rules", "embedded"])
def test_what_cannot_be_judged_is_undefined(text, judge):
    s = coherence(text, judge=judge)
    assert (s.points, s.fraction, s.status, s.rater) == (None, None, "undefined", "embedded") and s.reason


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"]])
def test_mistakes_say_what_arrived(value):
    score = coherence(value)
    assert score.status == "undefined" and score.points is None and "expected text" in score.reason


seldom = settings(max_examples=60, deadline=None, derandomize=True, database=None)
SOUND = [
    "The heater stopped on 3 March.",
    "A technician comes on Friday.",
    "The visit costs 80 euros.",
    "The pump is still under warranty.",
    "Please be at home at 9:00.",
]


@seldom
@given(text=st.text(st.characters(codec=None), max_size=200), chat=st.text(max_size=120))
def test_any_text_gets_a_score_or_a_reason(text, chat):
    s = coherence(text, conversation=chat)
    assert s == coherence(text, conversation=chat)
    assert (s.status == "ok" and 1 <= s.points <= 4) or (s.points is None and s.reason)
    json.dumps([dict(e) for e in s.evidence], default=str)


@seldom
@given(
    some=st.lists(st.sampled_from(SOUND), min_size=2, max_size=5, unique=True),
    which=st.integers(0, 4),
    at=st.integers(0, 5),
)
def test_saying_a_sentence_again_never_raises_the_score(some, which, at):
    before = coherence("\n".join(some))
    after = coherence("\n".join([*some[:at], some[which % len(some)], *some[at:]]))
    assert before.fraction == 1 and after.fraction < 1


@seldom
@given(some=st.permutations(SOUND))
def test_sound_sentences_in_any_order_are_no_contradiction(some):
    assert not [
        e for e in coherence("\n".join(some)).evidence if e.kind in ("contradiction", "repeated content")
    ]


@pytest.mark.parametrize(
    "unit",
    [
        "a b. ",
        "The visit costs 5 euros. ",
        "1. a\n",
        "Why is it? ",
        "not ",
        "Customer: x\n",
        "(",
        "as follows: ",
    ],
)
def test_50_000_characters_take_no_time(unit):
    text, start = unit * (50_000 // len(unit)), time.process_time()
    coherence(text, conversation=text)
    assert cpu_since(start) < 5


class Listener:
    "A judge that answers no to questions about the conversation."

    name, style = "listener", "fine"

    def followed(self, instructions, *, response):
        self.asked = list(instructions)
        return [Verdict("conversation" not in i, reason="off the point") for i in instructions]


def test_a_language_model_is_asked_about_kinds_and_turns():
    judge = Listener()
    alone = coherence("Eins. Zwei.", judge=judge)
    assert (alone.points, len(judge.asked), alone.rater) == (4, 5, "listener")
    both = coherence("Eins. Zwei.", conversation="Kunde: Wann?", judge=judge)
    assert (
        len(judge.asked) == 7
        and {e.kind for e in both.evidence} == {"not answered", "turn"}
        and both.points == 2
    )
    long = coherence("Eins.", conversation="x" * 50_000, judge=judge)
    assert long.status == "ok" and max(map(len, judge.asked)) < 4000


TALK = """Customer: My dryer D-40 squeaks since Monday, and I live in Bergen.
Agent: That is a nuisance. Is it still under guarantee?
Customer: Yes, until 2028."""


@pytest.mark.parametrize(
    "reply, why",
    [
        ("Where do you live, so that we can send somebody?", "it asks for the place"),
        (
            "Garden furniture costs a fifth less from Thursday; cushions follow in June.",
            "no word of the conversation",
        ),
        (
            "The tariff for roaming was changed, 10 GB cost 8 euros from autumn.",
            "no word of the conversation",
        ),
    ],
)
def test_a_reply_that_passes_its_conversation_by(reply, why):
    s = coherence(reply, conversation=TALK)
    assert s.points < 4 and why in s.reason, s


@pytest.mark.parametrize(
    "reply",
    [
        "Thanks. A mechanic can come on Thursday between nine and noon.",
        "Could anybody be at home on Thursday between nine and noon?",
        "Sorry about the noise. Send us a picture of the drum, the belt and the lint filter.",
        "A guarantee covers belts, drums, bearings and labour.",
        "Done, booked for Thursday.",
    ],
)
def test_a_reply_in_other_words_is_not_elsewhere(reply):
    assert coherence(reply, conversation=TALK).points == 4


@pytest.mark.parametrize(
    "text, points",
    [
        ("Ms Berg wants to renew the lease. Ms Berg wants to cancel the lease.", 2),
        ("Your claim was granted. Your claim was refused.", 2),
        ("The drum has been repaired. The drum has not been repaired yet.", 2),
        ("Initially your claim was refused. Your claim was granted.", 4),
        ("The drum was not repaired at first. The drum has been repaired.", 4),
        ("Your claim is accepted if the form is there. Your claim is refused if it is not.", 4),
    ],
)
def test_what_changes_in_time_or_on_terms_is_no_contradiction(text, points):
    assert coherence(text).points == points
