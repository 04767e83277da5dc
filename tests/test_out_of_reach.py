"Every embedded grader abstains on texts that it was not trained for: no number, and a reason."

import base64
import math
import random
import string
import time

import pytest
from pace import cpu_since

from crmeval import fluency, refusal, toxicity
from crmeval.core.records import STATUSES
from crmeval.detect.refusal import RefusalGrader
from crmeval.detect.toxicity import EmbeddedDetector
from crmeval.judges.truth import TruthGrader
from crmeval.metrics import coherence as coherence_room
from crmeval.metrics import fluency as fluency_room
from crmeval.metrics import safety as safety_room
from crmeval.metrics import sentiment as sentiment_room
from crmeval.metrics import toxicity as toxicity_room
from crmeval.metrics import truthfulness as truth_room
from crmeval.metrics.coherence import coherence
from crmeval.metrics.sentiment import sentiment
from crmeval.metrics.truthfulness import corrects, truthful

QUESTION, RIGHT, WRONG = (
    "What is the fee?",
    ["The fee is 40 euros."],
    ["The fee is 60 euros.", "There is none."],
)
GRADERS = {
    "toxicity": toxicity,
    "refusal": lambda text: refusal(text, prompt="How do I cancel my plan?"),
    "fluency": fluency,
    "coherence": lambda text: coherence(text, conversation="Customer: When does the technician come?"),
    "sentiment": lambda text: sentiment(text, overall="negative"),
    "truthful": lambda text: truthful(text, question=QUESTION, correct=RIGHT, incorrect=WRONG),
    "corrects": lambda text: corrects(text, question=QUESTION, fact=RIGHT[0], premise=WRONG[0]),
}
COMPLIES = ("refusal",)  # any text that is not a refusal counts as compliance: a number, a table, code
SPEAKS = ("toxicity", "refusal", "sentiment", "truthful")  # graders that report a confidence
every = pytest.mark.parametrize("name", GRADERS)


def strange(seed):
    "Yield (kind, text) of random texts unlike any training data."
    rng = random.Random(seed)
    raw = rng.randbytes(rng.randrange(90, 900))

    def word(letters):
        return "".join(rng.choice(letters) for _ in range(rng.randrange(5, 11)))

    def said(letters, n=12):
        return " ".join(word(letters) for _ in range(n)) + "."

    yield "base64", base64.b64encode(raw).decode()
    yield "hex", raw.hex()
    yield "one letter", rng.choice(string.ascii_lowercase) * 200_000
    yield "letters in no order", said("bcdfghjklmnpqrstvwxz")
    for first, last in ((0x10D0, 0x10F0), (0x3B1, 0x3C9), (0x561, 0x586), (0x915, 0x939), (0xE01, 0xE2E)):
        yield f"script from U+{first:04X}", said([chr(c) for c in range(first, last)])
    names = [word(string.ascii_lowercase) for _ in range(4)]
    a, b, c, d = names
    yield (
        "code",
        f"def {a}({b}, {c}):\n    {b}.{d} -= {c}\n    if {b}.{d} <= 0: return {a}({b}.{c}, {c})\n" * 9,
    )
    yield "a statement", f"UPDATE {a} SET {b}_{c} = '{d}' WHERE {a}.{b} <> 4 AND {c}_{d} = {a}.{d};"


SEEDS = range(3)
KINDS = sorted({kind for kind, _ in strange(0)})


@every
@pytest.mark.parametrize("kind", KINDS)
def test_a_strange_text_has_no_number_and_a_reason(name, kind):
    for seed in SEEDS:
        text = dict(strange(seed))[kind]
        score = GRADERS[name](text)
        if name in COMPLIES and kind in ("code", "a statement") and score.label == "compliance":
            continue
        assert score.status != "ok" and score.points is None and score.fraction is None, (seed, score)
        assert score.reason


LANGUAGES = {
    "Finnish": "Lähetimme pakettinne eilen ja otamme teihin uudelleen yhteyttä maanantaina.",
    "Hungarian": "Tegnap elküldtük a csomagját, és hétfőn újra jelentkezünk Önnél.",
    "Vietnamese": "Chúng tôi đã gửi bưu kiện của bạn hôm qua và sẽ liên hệ lại vào thứ Hai.",
    "Zulu": "Sithumele iphakethe lakho izolo futhi sizokuthinta futhi ngoMsombuluko.",
    "Estonian": "Saatsime teie paki eile teele ja võtame teiega esmaspäeval uuesti ühendust.",
    "Albanian": "E nisëm pakon tuaj dje dhe do t'ju kontaktojmë përsëri të hënën.",
    "Armenian": "Մենք երեկ ուղարկել ենք ձեր փաթեթը և երկուշաբթի նորից կկապվենք ձեզ հետ։",
    "Tamil": "உங்கள் பார்சலை நேற்று அனுப்பினோம், திங்களன்று மீண்டும் தொடர்பு கொள்வோம்.",
    "Burmese": "သင့်ပါဆယ်ကို မနေ့က ပို့ပြီးပါပြီ၊ တနင်္လာနေ့တွင် ထပ်မံဆက်သွယ်ပါမည်။",
}


@every
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_that_is_not_read_has_no_number(name, language):
    score = GRADERS[name](LANGUAGES[language])
    listed = name == "refusal" and score.label == "compliance"  # its phrase lists cover some other languages
    assert listed or (score.status != "ok" and score.fraction is None and score.points is None), score


@every
@pytest.mark.parametrize("word", ["4711", "Ouagadougou", "zibbelfrax", "\u0e01", "e\u0301", "\ufeff", "#$%"])
def test_one_word_is_no_certainty(name, word):
    score = GRADERS[name](word)
    assert score.status in STATUSES and (score.status == "ok" or score.fraction is None)
    if name in ("toxicity", "fluency", "coherence", "sentiment"):
        assert score.status != "ok", score
    for item in score.evidence:
        sure = item.get("probability")
        assert score.status != "ok" or sure is None or name != "refusal" or sure < 0.8


LONG = {
    "sentences": "Thank you for your patience. The parcel arrives on Friday. ",
    "words": "the parcel comes on friday and we will call you about it ",
    "code": "total += order.amount; print(total)\n",
    "marks": "?! ",
    "lines": "a,b\n",
}


@every
@pytest.mark.parametrize("unit", LONG)
def test_200_000_characters_take_little_time_and_end_in_a_status(name, unit):
    start = time.process_time()
    score = GRADERS[name]((LONG[unit] * 200_000)[:200_000])
    assert cpu_since(start) < 10
    assert score.status in STATUSES and score.reason
    if unit in ("code", "marks") and name not in COMPLIES:
        assert score.status != "ok", score


READ = {  # texts that each grader must score
    "toxicity": [
        "Thank you.",
        "Refund approved",
        "You are an idiot.",
        "Go to Billing > Plan > Cancel (see 4.2).",
    ],
    "refusal": ["I can't help with that.", "Sure.", "Open Billing and press Cancel."],
    "fluency": [
        "The lamp comes on Friday.",
        "Please run `crm list` and look for case_id 4; then call us again.",
    ],
    "coherence": ["He comes on Friday.", "The technician comes on Monday. He brings the part."],
    "sentiment": ["negative", '{"overall": "positive"}'],
    "truthful": ["40 euros", "It is 60 euros.", "No fee at all.", "40", "Nobody knows."],
    "corrects": ["The fee is 40 euros, not 60.", "It is 60 euros.", "40 euros"],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in READ.items() for t in texts])
def test_what_they_are_for_is_graded(name, text):
    score = GRADERS[name](text)
    assert score.status == "ok" and score.reason, score


def test_who_has_a_model_says_how_sure_it_is():
    verdicts = [
        RefusalGrader().refusal("I'm sorry, I can't help with that.", prompt="Tell me."),
        RefusalGrader().refusal("Open Billing, then press Cancel.", prompt="Tell me."),
        TruthGrader().true("The fee is 40 euros.", question=QUESTION, correct=RIGHT, incorrect=WRONG),
        EmbeddedDetector().detect(["Thank you for the quick reply."])[0],
    ]
    assert all(0.5 <= v.confidence <= 1 for v in verdicts)
    for verdict in verdicts[:3]:
        assert (verdict.probability > 0.5) == verdict.yes
    score = toxicity("Thank you for the quick reply.")
    assert [e["probability"] for e in score.evidence if e["kind"] == "label"] == [verdicts[3].confidence]


CLASSES = {
    "toxicity": (toxicity_room, "Toxicity", {}),
    "refusal": (safety_room, "Refusal", {"prompt": "Tell me."}),
    "fluency": (fluency_room, "Fluency", {}),
    "coherence": (coherence_room, "Coherence", {}),
    "sentiment": (sentiment_room, "Sentiment", {"overall": "negative", "turns": [], "shift": ""}),
    "truthful": (truth_room, "Truthful", {"question": QUESTION, "correct": RIGHT, "incorrect": WRONG}),
}


@pytest.mark.parametrize("name", CLASSES)
def test_what_has_no_number_is_counted_beside_the_mean(name):
    room, made, fields = CLASSES[name]
    texts = [*READ[name][-2:], dict(strange(7))["base64"], None]
    if name == "coherence":  # one sentence alone has no coherence score
        texts[0] = texts[1]
    columns = {field: [value] * len(texts) for field, value in fields.items()}
    found, card = getattr(room, made)().compute(predictions=texts, **columns), room.CARD.name
    assert (found[f"{card}_n"], found[f"{card}_undefined"]) == (2, 2)
    numbers = [v for v in found.values() if isinstance(v, float)]
    assert not any(map(math.isnan, numbers))
