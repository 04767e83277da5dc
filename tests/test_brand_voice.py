"Brand voice: each key of a guide with an obeying and a violating text, invalid guides, judged rules, tables."

import json

import pytest
from datasets import Dataset

from crmeval import brand_voice
from crmeval.core.judging import Verdict
from crmeval.metrics.brand_voice import GUIDE_KEYS, example_guide, read_guide
from crmeval.metrics.defaults import default_judge
from crmeval.metrics.forms import score_dataset

# (guide, a text that follows it, a text that violates it)
RULES = [
    ({"banned_words": ["utilize"]}, "Use the lamp.", "Please UTILIZE the lamp."),
    ({"banned_words": "guru"}, "The gurus are out.", "Ask our guru."),
    ({"banned_words": {"dear customer": "the name"}}, "Dear Ana, hello.", "Dear customer, hello."),
    ({"required_phrases": ["Example Lamps"]}, "We at Example Lamps help.", "We help."),
    ({"person": "we"}, "We will call you, and our team helps us.", "I will call you."),
    ({"person": "I"}, "I will call you.", "Our team will call you."),
    ({"person": "none"}, "The lamp will be sent today.", "We send the lamp."),
    ({"contractions": "never"}, "We do not know. Ana's lamp is here.", "We don't know."),
    ({"contractions": "always"}, "We don't know.", "We do not know."),
    ({"formality": "Sie"}, "Haben Sie Fragen? Wir helfen Ihnen.", "Hast du Fragen? Wir helfen dir."),
    ({"formality": "du"}, "Hast du Fragen? Sie sind da, die Lampen.", "Haben Sie Fragen?"),
    ({"formality": "vous"}, "Avez-vous une question ?", "As-tu ta facture ?"),
    ({"formality": "tu"}, "As-tu une question ?", "Avez-vous votre facture ?"),
    ({"emoji": 0}, "All is well.", "All is well 🙂"),
    ({"emoji": 1}, "All is well 🙂", "All is well 🙂🎉"),
    ({"exclamation_marks": 1}, "Thank you!", "Thank you!! Bye."),
    ({"max_sentence_words": 5}, "We will call you. Please wait.", "We will call you again in the morning."),
    ({"max_words": 4}, "We will call you.", "We will call you again."),
    ({"greeting": True}, "Dear Ana,\nit is here.", "It is here."),
    ({"greeting": "Hello"}, "Hello Ana,\nit is here.", "Dear Ana,\nit is here."),
    ({"closing": True}, "It is here.\nKind regards\nMei", "It is here."),
    ({"closing": ["Best wishes", "Cheers"]}, "It is here.\nCheers\nMei", "It is here.\nKind regards\nMei"),
    ({"tone": "professional"}, "We are sorry.", "OMG that sucks!!!"),
    ({"language": "en"}, "We have sent the parcel to you, and it will be there on Monday.", "Пакет в пути."),
    ({"product_names": ["LumaOne"]}, "The LumaOne is here.", "The lumaone is here."),
    ({"product_names": ["Luma One"]}, "The Luma One is here.", "The Luma-one is here."),
    ({"checks": [{"kind": "bullets", "min": 2}]}, "- one thing\n- two things", "One thing, two things."),
    (
        {"reading_level": {"max": 8}},
        "We have your bag. It is in our shop, and you can pick it up when you like.",
        "Notwithstanding the aforementioned limitations, the organization acknowledges "
        "its contractual responsibilities and "
        "evaluates the comprehensive documentation that your representatives have submitted.",
    ),
]


@pytest.mark.parametrize("guide,kept,broken", RULES, ids=[json.dumps(r[0])[:50] for r in RULES])
def test_each_key(guide, kept, broken):
    good, bad = brand_voice(kept, guide=guide), brand_voice(broken, guide=guide)
    assert (good.points, good.fraction) == (4, 1) and bad.points == 1, (good, bad)
    (e,) = bad.evidence
    assert e.kind == "not kept" and e.reason and e.detail["rule"] == next(iter(guide)) and e.fine is False


def test_every_key_is_tested():
    assert {k for g, *_ in RULES for k in g} | {"judged", "name", "about"} == set(GUIDE_KEYS)


@pytest.mark.parametrize(
    "guide,words",
    [
        ({"bannedwords": ["x"]}, "did you mean 'banned_words'"),
        ({"Banned_Words": ["x"]}, "did you mean 'banned_words'"),
        ({"emojis": 0}, "did you mean 'emoji'"),
        ({"judge": ["?"]}, "did you mean 'judged'"),
        ({"zzz": 1}, "known: name, about"),
        ({"contractions": "nevr"}, "did you mean 'never'"),
        ({"contractions": True}, r"contractions is True \(bool\), expected one of never, always, allowed"),
        ({"max_words": -1}, r"max_words is -1 \(int\), expected a whole number from 0"),
        ({"max_words": "ten"}, r"max_words is 'ten' \(str\)"),
        ({"judged": [""]}, "judged is"),
        ({"judged": 3}, r"judged is 3 \(int\), expected a text or a list of texts"),
        ({"greeting": 3}, r"greeting is 3 \(int\)"),
        ({"checks": [{"kind": "bullets", "n": 2}]}, "'n' is not a parameter of 'bullets'"),
        ({"checks": {"kind": "bullets"}}, "expected a list of instructions"),
        ({"reading_level": {"most": 8}}, "expected a mapping with 'min' or 'max'"),
        ({}, "holds no rule"),
        ({"name": "x", "contractions": "allowed"}, "holds no rule"),
        ("nowhere.yaml", "there is no file 'nowhere.yaml'"),
        ("emoji: [\n", "cannot be read"),
    ],
)
def test_mistakes_in_a_guide_are_told(guide, words):
    with pytest.raises(ValueError, match=words):
        brand_voice("All is well.", guide=guide)


def test_files_and_texts(tmp_path):
    guide = {"name": "Mine", "emoji": 0, "banned_words": ["lol"]}
    (tmp_path / "g.json").write_text(json.dumps(guide), encoding="utf-8")
    (tmp_path / "g.yaml").write_text("name: Mine\nemoji: 0\nbanned_words: [lol]\n", encoding="utf-8")
    forms = [
        guide,
        json.dumps(guide),
        "name: Mine\nemoji: 0\nbanned_words: [lol]\n",
        tmp_path / "g.json",
        str(tmp_path / "g.yaml"),
        read_guide(guide),
    ]
    scores = [brand_voice("lol, all is well.", guide=f) for f in forms]
    assert {s.fraction for s in scores} == {0.5} and {s.reason for s in scores} == {scores[0].reason}
    assert read_guide(tmp_path / "g.yaml").name == "Mine"


def test_rules_that_nobody_checked_are_counted():
    guide = {"emoji": 0, "judged": ["Is it warm?", "Is it clear?"]}
    for judge in (None, default_judge()):
        s = brand_voice("All is well.", guide=guide, judge=judge)
        assert (s.points, s.fraction) == (4, 1) and "2 of 3 rules were not checked" in s.reason
        assert [e.kind for e in s.evidence] == ["kept", "not checked", "not checked"] and s.evidence[
            1
        ].fine is None
    only = brand_voice("All is well.", guide={"judged": ["Is it warm?"]})
    assert (only.points, only.status) == (
        None,
        "undefined",
    ) and "1 of 1 rules were not checked" in only.reason
    german = brand_voice(
        "Wir haben das Paket heute an Sie geschickt.", guide={"reading_level": {"max": 8}, "emoji": 0}
    )
    assert german.fraction == 1 and "1 of 2 rules were not checked" in german.reason


def test_judged_rules_are_asked_once_and_count():
    class Reader:
        name, style, asked = "reader", "rubric", 0

        def followed(self, instructions, *, response):
            self.asked += 1
            assert all(i.startswith("The answer to this question is yes: ") for i in instructions)
            return [Verdict("warm" in i, reason="by the word") for i in instructions]

    judge, guide = Reader(), {"emoji": 0, "judged": ["Is it warm?", "Is it short?"]}
    s = brand_voice("All is well.", guide=guide, judge=judge)
    assert judge.asked == 1 and s.fraction == pytest.approx(2 / 3) and s.rater == "reader"
    assert [(e.text, e.detail["by"]) for e in s.evidence if e.kind == "not kept"] == [
        ("Is it short?", "judge")
    ]

    class Down(Reader):
        def followed(self, instructions, *, response):
            return [Verdict(None, status="parse_error", reason="unreadable") for _ in instructions]

    lost = brand_voice("All is well.", guide=guide, judge=Down())
    assert (lost.points, lost.status, len(lost.evidence)) == (None, "parse_error", 1)


@pytest.mark.parametrize("text", ["", " ", "12:30", '{"a": 1}'])
def test_what_has_no_voice_is_undefined(text):
    assert brand_voice(text, guide={"emoji": 0}).status == "undefined"


def test_the_example_is_whole_and_tables_work():
    guide = example_guide()
    assert len(guide.judged) == 3 and len(guide.rules) > 15
    rows = Dataset.from_dict({"response": ["All is well.", "Fine 🙂", ""]})
    out = score_dataset(brand_voice, rows, guide={"emoji": 0})
    assert out["brand_voice_points"][:] == [4, 1, None]


def test_long_texts_take_no_time():
    for unit in ("we don't know! ", "I ", "LumaOne ", "Sie du ", "a. "):
        assert brand_voice(unit * (50_000 // len(unit)), guide=example_guide()).status == "ok"


@pytest.mark.parametrize(
    "text, n",
    [
        ("Made in 🇵🇹 and 🇯🇵.", 2),
        ("For the 👩‍👩‍👧‍👦 at home.", 1),
        ("Thanks 👏🏿", 1),
        ("🙏🏻🙏🏻 twice", 2),
        ("With ❤️ from us", 1),
    ],
)
def test_an_emoji_is_what_a_reader_sees_as_one(text, n):
    assert brand_voice(text, guide={"emoji": n}).points == 4
    assert brand_voice(text, guide={"emoji": n - 1}).points == 1


@pytest.mark.parametrize(
    "text, points",
    [
        ("Annex I holds the tariff.", 4),
        ("World War I letters are sold in lot 4.", 4),
        ("Stage I ends on Friday.", 4),
        ("I close stage I on Friday.", 1),
        ("On this level I can help.", 4),
        ("Then I wrote it.", 1),
    ],
)
def test_a_numeral_is_nobody(text, points):
    assert brand_voice(text, guide={"person": "we"}).points == points
