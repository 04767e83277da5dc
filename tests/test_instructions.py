"The kinds of CRM instructions: right, wrong and edge cases, mistakes, hostile text, which judge is asked."

import inspect
import time

import pytest
from pace import cpu_since

from crmeval.core.judging import Verdict
from crmeval.core.records import Response, Sample
from crmeval.metrics.accuracy import open_instructions, score_response
from crmeval.metrics.checks import CHECKS, LOOSE
from crmeval.metrics.criteria import asked_of
from crmeval.metrics.crm_instructions import known_phrases
from crmeval.metrics.instruction_following import check_instruction, instruction_following
from crmeval.tasks.use_cases import all_instructions, use_cases

SCHEMA = {
    "type": "object",
    "properties": {"stage": {"enum": ["Won", "Lost"]}, "amount": {"type": "number"}},
    "required": ["stage"],
    "additionalProperties": False,
}
HARD_TO_READ = (
    "Notwithstanding the aforementioned contractual limitations, the organization acknowledges "
    "that your representatives have submitted comprehensive documentation."
)
ENGLISH = "We have your bag. It is in our shop, and you can pick it up when you like. We are there all day."
LETTER = (
    "Subject: Your bag\n\nDear Ms Vogt,\n\nYour bag from order CS-20418 is here.\n\nKind regards,\nMei Ito"
)

# kind -> parameters, texts that follow it, texts that do not with words of the finding
CASES = {
    "max_words": (
        {"n": 3},
        ["one two three", "", "a - b – c", "eins zwei", "\u202eone two"],
        {"one two three four": "4 words, at most 3 allowed", "e\u0301 b c d": "4 words"},
    ),
    "min_words": (
        {"n": 2},
        ["one two", "14:30 ok"],
        {"one": "1 word, at least 2 asked for", "": "0 words", "- –": "0 words"},
    ),
    "words": (
        {"min": 2, "max": 3},
        ["one two", "one two three"],
        {"one": "1 word, at least 2", "a b c d": "4 words, at most 3"},
    ),
    "sentences": (
        {"min": 2, "max": 2},
        ["It works. Good.", "Dr. Ito left at 5 p.m. Good.", "箱は壊れていた。返金を希望。"],
        {
            "It works.": "1 sentence, at least 2",
            "A b. C d. E f.": "3 sentences, at most 2",
            "": "0 sentences",
        },
    ),
    "bullets": (
        {"min": 2, "max": 3},
        ["- a\n- b", "* a\n  * b\n1) c", "• ä\n– ö"],
        {
            "- a": "1 bullet, at least 2",
            "": "0 bullets",
            "-a\n-b": "0 bullets",
            "- a\n" * 4: "4 bullets, at most 3",
        },
    ),
    "plain_text": (
        {},
        ["Just text, 3 * 4.", "", "snake_case # 4"],
        {
            "# Title": "a heading",
            "- a": "a bullet",
            "**a**": "bold",
            "| a | b |": "a table",
            "a <b>c</b>": "an HTML tag",
        },
    ),
    "sections": (
        {"headings": ["Reason", "Next steps"]},
        ["Reason: a\nNext steps: b", "## Reason:\na\n**Next steps:** b", "REASON: é\nnext steps:\n- b"],
        {
            "Reason: a": "'Next steps' is missing",
            "Next steps: b\nReason: a": "out of order: Next steps, Reason",
            "Reason:\nNext steps: b": "'Reason' is empty",
            "": "'Reason' is missing and 1 more",
        },
    ),
    "include": (
        {"all": ["Zoë", "CS-1"]},
        ["ZOE\u0308 and\ncs-1", "cs\u200b-1 Zoë"],
        {"Zoe CS-1": "'Zoë' is missing", "": "'Zoë', 'CS-1' are missing"},
    ),
    "exclude": (
        {"phrases": ["free of charge"]},
        ["It costs 5.", "carefree of charges", ""],
        {"It is FREE of\ncharge!": "'free of charge' is there"},
    ),
    "case_number": (
        {"numbers": ["CS-20418"]},
        ["CS-20418", "case cs 20418.", "(CS\u201320418)", "CS20418"],
        {
            "CS-20419": "'CS-20418' is missing; found 'CS-20419'",
            "20418": "is missing",
            "XCS-20418": "is missing",
            "CS-204181": "is missing",
            "": "is missing",
        },
    ),
    "no_placeholders": (
        {},
        [
            "Dear Ana,",
            "[the terms](https://a.example)",
            "- [x] done [1]",
            "",
            "Size XXL",
            "As [Figure 1] and [Table 2.1] show",
            "a\n____\nb",
            "a ___b___ c",
        ],
        {
            "Dear [Name],": "'[Name]'",
            "{{x}} {y}": "'{{x}}' and 1 more",
            "Liebe [Ihre Kundin]": "'[Ihre Kundin]'",
            "<your name>": "'<your name>'",
            "Dear ____,": "'____'",
            "Signed ______": "'______'",
            "[Figure caption]": "'[Figure caption]'",
        },
    ),
    "no_contact_data": (
        {},
        ["Wait 30 seconds, on page 2.", ""],
        {
            "a.b@c.example": "an e-mail address",
            "call 020 7946 0123": "a phone number",
            "case 20418": "a case number",
        },
    ),
    "subject_line": (
        {"max_words": 3},
        [LETTER, "Betreff: Ihr Koffer\nx", "**Objet :** votre sac", "件名：荷物"],
        {
            "Dear Ana": "begins with 'Dear Ana'",
            "Subject:\nx": "no line",
            "": "begins with ''",
            "Subject: a b c d": "4 words in the subject, at most 3",
        },
    ),
    "greeting": (
        {"name": "Vogt"},
        [
            LETTER,
            "Sehr geehrte Frau Vogt,",
            "Bonjour Mme Vogt,",
            "Guten Tag Frau Vogt",
            "Ms Vogt, your bag is here.",
            "Estimada Vogt:",
        ],
        {
            "Your bag, Vogt": "begins with 'Your bag, Vogt'",
            "Hi Ana": "'Vogt' is not greeted",
            "Dear Vogtländer": "not greeted",
            "Dear Vogt-Ito,": "not greeted",
            "Dear Ito-Vogt,": "not greeted",
            "Hi-res images of Vogt": "no greeting",
            "": "no greeting",
        },
    ),
    "sign_off": (
        {"name": "Mei Ito"},
        [
            LETTER,
            "Hallo\nMit freundlichen Grüßen\nMei Ito",
            "Cordialement,\nMei Ito",
            "Saludos, Mei Ito",
            "x\nС уважением,\nMei Ito",
        ],
        {"Bye": "ends with 'Bye'", "Kind regards\nMei": "not signed by 'Mei Ito'", "": "no sign-off"},
    ),
    "json_object": (
        {},
        ["{}", ' {"a": 1}\n'],
        {
            "```json\n{}\n```": "not one JSON object",
            "[1]": "not one JSON",
            "": "not one JSON",
            '{"a": NaN}': "not one JSON",
            "{" * 5000: "not one JSON",
        },
    ),
    "json_schema": (
        {"schema": SCHEMA},
        ['{"stage": "Won"}', 'Sure: {"stage": "Lost", "amount": 3}'],
        {
            '{"stage": "Maybe"}': "'Maybe' is not one of",
            "{}": "'stage' is a required",
            '{"stage": "Won", "x": 1}': "Additional properties",
            "no": "no JSON object; it begins with 'no'",
        },
    ),
    "named_fields": (
        {"fields": ["Stage", "Close date"]},
        ['{"Stage": "Won"}', "Stage: Won\nclose_date: 1 May", "- **Stage:** Won", "{}"],
        {
            '{"stage": 1}': "'stage' is not among",
            "Mood: good\nStage: Won": "'Mood' is not among",
            "Won!": "the text",
            "": "no field is there",
        },
    ),
    "reading_level": (
        {"max": 6},
        [ENGLISH],
        {
            HARD_TO_READ: "reading grade, at most 6",
            "": "empty",
        },
    ),
    "language": (
        {"language": "en"},
        [ENGLISH],
        {"Где посылка?": "not written in the script of 'en'", "": "empty"},
    ),
    "professional_tone": (
        {},
        ["I am sorry, ACME GmbH. Thanks!", ""],
        {
            "omg": "slang (omg)",
            "THIS IS URGENT NOW": "shouting",
            "ok 🎉": "an emoji",
            "a! b! c!": "3 exclamation marks",
        },
    ),
    "no_promises": (
        {"about": ["guarantee", "refund"]},
        [
            "The fee is 5 euros.",
            "We cannot guarantee that.",
            "We will not refund it.",
            "It isn\u2019t guaranteed.",
            "",
            "We cannot, sadly, guarantee it.",
            "Without a receipt, we will not refund it.",
            "If we were to guarantee that, we would lose.",
        ],
        {
            "We guarantee it.": "'we guarantee'",
            "You will get a full refund.": "'you will get a full refund'",
            "We cannot say, but we guarantee it.": "'we guarantee'",
            "I GUARANTEE\nit": "'i guarantee'",
            "If you order today, we guarantee delivery tomorrow.": "'we guarantee'",
            "Nothing is wrong, we guarantee it.": "'we guarantee'",
            "Not to worry, we guarantee a refund.": "'we guarantee'",
            "Never fear, you will get a full refund.": "'you will get a full refund'",
            "Do not worry, delivery is guaranteed.": "guaranteed'",
            "Without doubt we guarantee it.": "'we guarantee'",
        },
    ),
    "paragraphs": (
        {"n": 2},
        ["One.\n\nTwo.", "One.\nTwo.", "One,\nwrapped.\n\nTwo."],
        {"One.": "1 paragraphs, 2 asked for", "": "0 paragraphs", "A.\n\nB.\n\nC.": "3 paragraphs"},
    ),
    "task_done": (
        {"task": "summary"},
        ["The lamp broke, and a new one is on its way."],
        {
            "": "it is empty",
            "Customer:": "labels, and nothing behind them",
            "Sorry. " * 20: "goes round in a loop",
            "Dear Ana,\nyour lamp is on its way.\nBest": "a letter and no summary",
        },
    ),
    "ifeval": ({"id": "punctuation:no_comma"}, ["No comma."], {"a, b": "1 commas", "": "empty"}),
    "disclaimer": (
        {"wording": "Capital is at risk."},
        ["Invest.\n\nCapital is at risk.", "**CAPITAL  IS\nAT RISK.**"],
        {
            "Capital is in danger.": "the required wording is missing",
            "Capital is at": "after 'capital is at'",
        },
    ),
    "no_claims": (
        {"about": ["guarantee", "pressure"]},
        ["Nothing is guaranteed.", "A jacket for rain.", ""],
        {"Guaranteed dry.": "claims: 'guaranteed'", "Not cheap, but risk-free.": "claims: 'risk-free'"},
    ),
    "no_superlatives": (
        {},
        ["The latest news for our guests.", "It is warm at best.", ""],
        {"Our warmest jacket.": "superlatives: 'our warmest jacket'", "Simply unbeatable.": "'unbeatable'"},
    ),
    "price_terms": (
        {"terms": ["plus delivery"]},
        ["€20, plus delivery.", "A lamp.", "Plus  delivery: €20"],
        {"Now €20.": "'€20' appears without 'plus delivery'"},
    ),
    "only_prices": (
        {"prices": ["€20", "$5"]},
        ["€20 or $5.", "20 lamps.", ""],
        {"€21 or $5.": "another price: '€21'", "£20": "another price: '£20'"},
    ),
    "calls_to_action": (
        {},
        ["Order a lamp.", "Order a lamp. To unsubscribe, write to us."],
        {
            "A lamp.": "0 calls to action, at least 1",
            "Order a lamp. Follow us.": "2 calls to action, at most 1",
        },
    ),
    "unsubscribe": (
        {},
        ["A lamp.\n\nUnsubscribe: lamp.example", "You can opt out."],
        {"A lamp.": "no way to unsubscribe", "": "no way to unsubscribe"},
    ),
    "imprint": (
        {"company": "Lamp Ltd", "address": "1 High Street"},
        ["A lamp.\n\nLamp Ltd, 1 High Street", "Lamp Ltd\n1 High Street"],
        {"Lamp Ltd, 2 High Street": "'1 High Street' missing", "": "'Lamp Ltd', '1 High Street' missing"},
    ),
    "subject_length": (
        {"max": 10},
        ["Subject: A lamp", "Betreff: Lampe\n\nHallo"],
        {"Subject: A lamp for you": "14 letters in the subject", "A lamp": "no line 'Subject: ...'"},
    ),
    "heading_case": (
        {},
        ["# Change the lamp\n\nTurn it.", "How to\n\nTurn it."],
        {"# Change The Lamp\n\nTurn it.": "not in sentence case", "Turn it.": "no heading is there"},
    ),
}


def test_every_kind_has_its_cases():
    assert set(CASES) == set(CHECKS)


@pytest.mark.parametrize("kind", CASES)
def test_right_and_wrong(kind):
    parameters, right, wrong = CASES[kind]
    for text in right:
        assert check_instruction(text, instruction={"kind": kind, **parameters}) == "", text
    for text, words in wrong.items():
        assert words in check_instruction(text, instruction={"kind": kind, **parameters}), text


@pytest.mark.parametrize("kind", CASES)
def test_the_lenient_reading_only_forgives(kind):
    parameters, right, wrong = CASES[kind]
    for text in (*right, *wrong):
        strict, loose = (
            check_instruction(text, instruction={"kind": kind, **parameters}, loose=l) for l in (False, True)
        )
        assert loose in (strict, "") and (kind in LOOSE | {"ifeval"} or loose == strict)


@pytest.mark.parametrize(
    "kind,text",
    [
        ("subject_line", "Sure!\n**" + LETTER),
        ("greeting", "Here it is:\nDear Vogt,\nyes"),
        ("json_object", "Sure:\n```json\n{}\n```"),
        ("sections", "## Reason\na\n## Next steps\nb"),
        ("max_words", "Sure, here it is:\none two three"),
    ],
)
def test_a_frame_is_forgiven(kind, text):
    instruction = {"kind": kind, **CASES[kind][0]}
    assert check_instruction(text, instruction=instruction) and check_instruction(
        text, instruction=instruction, loose=True
    ) == "" == check_instruction(text, instruction={**instruction, "loose": True})
    assert (
        instruction_following(text, instructions=[instruction]).points == 1
        and instruction_following(text, instructions=[instruction], loose=True).points == 4
    )


@pytest.mark.parametrize("kind", CASES)
def test_mistakes_are_told(kind):
    parameters = CASES[kind][0]
    if kind != "ifeval":
        with pytest.raises(ValueError, match=rf"'colour' is not a parameter of '{kind}'; it takes "):
            check_instruction("x", instruction={"kind": kind, **parameters, "colour": 1})
    for name, p in list(inspect.signature(CHECKS[kind]).parameters.items())[1:]:
        if name in ("kind", "text", "kwargs", "loose"):
            continue
        for value in (object(), -1, float("nan"), [""], [3], ""):
            if (
                value == -1
                and p.annotation == float | None
                or isinstance(value, str)
                and p.annotation is bool
            ):
                continue
            with pytest.raises(ValueError, match=name):
                check_instruction("Some text.", instruction={"kind": kind, **parameters, name: value})
    for response in (None, 7, b"x", ["x"]):
        with pytest.raises(ValueError, match="response is .*expected a string"):
            check_instruction(response, instruction={"kind": kind, **parameters})


@pytest.mark.parametrize(
    "instruction,words",
    [
        ({"kind": "max_word", "n": 3}, "'max_word' is unknown; known: bullets, "),
        ({"kind": "words"}, "needs 'min' or 'max'"),
        ({"kind": "words", "min": 3, "max": 2}, "min is 3 and max is 2"),
        ({"kind": "include"}, "needs 'all' or 'any'"),
        ({"kind": "sections", "headings": []}, r"headings is \[\], expected a list of texts, not empty"),
        ({"kind": "case_number", "pattern": "("}, "expected a regular expression"),
        ({"kind": "language", "language": "german"}, "'german', expected one of af, ar"),
        ({"kind": "no_promises", "about": ["everything"]}, "expected some of guarantee, refund"),
        ({"kind": "json_schema", "schema": {"type": 3}}, "not a JSON schema"),
        ({}, "neither a kind nor a text"),
        ({"kind": "judge"}, "neither a kind nor a text"),
        ({"kind": ["words"]}, r"instruction kind is \['words'\]"),
        (3, "instruction is 3"),
    ],
)
def test_mistakes_of_an_instruction(instruction, words):
    with pytest.raises(ValueError, match=words):
        check_instruction("Some text.", instruction=instruction)


def test_a_table_may_fill_gaps_with_none():
    assert (
        check_instruction(
            "a b", instruction={"kind": "words", "min": None, "max": 3.0, "text": None, "headings": None}
        )
        == ""
    )


@pytest.mark.parametrize("kind", CASES)
def test_long_and_hostile_text_takes_no_time(kind):
    instruction = {"kind": kind, **CASES[kind][0]}
    for unit in (
        "a",
        "a ",
        "1",
        ". ",
        "\n",
        "- ",
        "A: b\n",
        "[a",
        '{"a":',
        "<a",
        "**",
        "e\u0301",
        "\u202e",
        "\ud800",
        "界",
        "🙂",
        "we not ",
        "CS-",
        "Subject: ",
        "Dear ",
    ):
        text = unit * (50_000 // len(unit))
        start = time.process_time()
        for loose in (False, True):
            assert isinstance(check_instruction(text, instruction=instruction, loose=loose), str | None)
        assert cpu_since(start) < 5, unit


def test_own_kinds_are_handed_in():
    ask = [
        {"kind": "ends_with", "end": "!", "text": "End with an exclamation mark."},
        {"kind": "max_words", "n": 2},
    ]
    own = {
        "ends_with": lambda response, end: response.endswith(end),
        "max_words": lambda response, n: f"{len(response)} letters" if len(response) > n else "",
    }
    s = instruction_following("Now!", instructions=ask, checks=own)
    assert (s.fraction, [e["problem"] for e in s.evidence]) == (0.5, ["", "4 letters"])
    assert "ends_with" not in CHECKS
    with pytest.raises(ValueError, match="'ends_with' is unknown"):
        instruction_following("Now!", instructions=ask)


def test_what_no_rule_can_check_goes_to_the_judge():
    class Asked:
        name = "asked"

        def __init__(self):
            self.seen = []

        def followed(self, instructions, *, response):
            self.seen += instructions
            return [Verdict(True, reason="seems so") for _ in instructions]

    judge = Asked()
    ask = [
        "Be kind.",
        {"kind": "judge", "text": "Be brief."},
        {"kind": "max_words", "n": 9},
        {"kind": "reading_level", "max": 8, "text": "Easy words."},
    ]
    s = instruction_following("荷物は店にあります。", instructions=ask, judge=judge)
    assert (
        judge.seen == ["Be kind.", "Be brief.", "Easy words."] and s.fraction == 1 and s.rater == "rule+asked"
    )
    assert [e["by"] for e in s.evidence] == ["judge", "judge", "rule", "judge"]

    class Short(Asked):
        def followed(self, instructions, *, response):
            return []

    with pytest.raises(ValueError):
        instruction_following("Hi", instructions=["Be kind."], judge=Short())


def test_the_case_number_comes_from_the_record():
    inputs = {"request": "Write.", "record": "Order: 55-1204\nContact: Ana", "sender": "Mei Ito"}
    sample = Sample(
        "m1",
        "sales_email_generation",
        inputs,
        instructions=[{"kind": "case_number", "text": "Name the order."}],
    )

    def found(text):
        return check_instruction(text, instruction=asked_of(sample)[-1])

    assert found("Your order 55-1204 ships.") == "" and found("Your order 99-1204 ships.").startswith(
        "none of '55-1204' is there"
    )
    fields = Sample(
        "m2",
        "sales_email_generation",
        inputs,
        record={"case_number": "CS-7001"},
        instructions=[{"kind": "case_number", "text": "Name the case."}],
    )
    assert check_instruction("Case CS 7001", instruction=asked_of(fields)[-1]) == ""
    own = Sample(
        "m3",
        "sales_email_generation",
        inputs,
        instructions=[{"kind": "case_number", "numbers": ["A-1"], "text": "Name A-1."}],
    )
    assert asked_of(own) == all_instructions(own)


def test_a_rule_that_cannot_tell_is_open_for_the_judge():
    sample = Sample(
        "m4",
        "service_live_chat_summary",
        {"conversation": "Hi"},
        instructions=[{"kind": "language", "language": "en"}],
    )
    assert open_instructions(sample, "12:30") == ["{'kind': 'language', 'language': 'en'}"]
    assert open_instructions(sample, ENGLISH) == []
    scores = {s.metric: s for s in score_response(Response("m4", "me", "12:30"), sample=sample)}
    assert (
        scores["instruction_following"].status == "ok"
        and "could not be checked" in scores["instruction_following"].reason
    )


def test_the_instructions_of_the_use_cases_are_well_formed():
    for case in use_cases().values():
        for i in case.instructions:
            assert check_instruction("Some text.", instruction=i) is not None and i["text"], (case.id, i)


def test_phrases_are_plain_and_unique():
    phrases = known_phrases()
    for name in ("subjects", "greetings", "sign_offs"):
        assert len(phrases[name]) == len(set(phrases[name]))
    for group in phrases["promises"].values():
        assert group and all(p == p.strip() == p.lower() and not set(p) & set("()[]{}\\|^$+") for p in group)
    assert phrases["date"] and phrases["source"]


class WholeAnswers:
    "A judge that rates whole answers, always with 4 points."

    name, style = "whole answers", "rubric"

    def rated(self, criterion, **seen):
        return Verdict(None, points=4.0, reason="seen")


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"kind": "max_words", "n": "ten"}, "n is 'ten', expected a whole number"),
        ({"kind": "max_words"}, "'n' is missing"),
        ({"kind": "words", "min": 9, "max": 3}, "min is 9 and max is 3, expected min <= max"),
    ],
)
@pytest.mark.parametrize("judge", [None, WholeAnswers()], ids=["rules", "whole answers"])
def test_a_mistake_in_an_instruction_is_told_whoever_judges_and_each_time(wrong, message, judge):
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            instruction_following("Hello.", instructions=[wrong], judge=judge)
