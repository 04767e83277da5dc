"Claims and facts with clear answers: short inventions, other languages, list markers."

import pytest

from crmeval import completeness, conciseness, factuality
from crmeval.judges.embedded import EmbeddedJudge
from crmeval.metrics.forms import without_list_marks

JUDGE = EmbeddedJudge()
LAMP = "The lamp arrived on Friday."
CHAT = """Agent (Mei): Hello, this is Mei. What can I do for you?
Customer: My router, order CS-20418, never came.
Agent (Mei): I see that it was lost in Leeds. A new one arrives on 14 May, and you get a credit of $15.
Customer: Fine, thanks."""

INVENTED = [
    (claim, LAMP)
    for claim in (
        "She is angry.",
        "They lied.",
        "It was refunded.",
        "He was fired.",
        "She won.",
        "We apologised.",
        "You were overcharged.",
        "They have moved to Lima.",
        "It exploded.",
        "The customer lied.",
        "The agent was rude.",
        "The client is furious.",
        "The lamp exploded.",
        "The lamp was stolen.",
        "The lamp lied.",
        "He did so.",
        "That is it.",
        "It was so.",
        "Nobody apologised.",
        "The caller hung up twice.",
        "Everyone was happy.",
        "No refund was promised.",
    )
] + [
    (claim, CHAT)
    for claim in (
        "She was crying.",
        "He threatened to sue.",
        "They divorced.",
        "The manager resigned.",
        "The customer is a vegetarian.",
        "Mei was promoted.",
        "The router was painted.",
        "It was a scam.",
    )
]


@pytest.mark.parametrize(("claim", "source"), INVENTED)
def test_short_inventions_are_not_supported(claim, source):
    verdict = JUDGE.supported([claim], source=source)[0]
    assert verdict.yes is False and verdict.status == "ok" and verdict.reason
    assert factuality(claim, source=source).points == 1


def test_three_inventions_are_three():
    score = factuality("She is angry. They lied. It was refunded.", source=LAMP)
    assert score.fraction == 0 and len(score.evidence) == 3


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("The lamp came on Friday.", LAMP),
        ("It arrived.", LAMP),
        ("The lamp has arrived.", LAMP),
        ("The router was lost.", CHAT),
        ("It was lost in Leeds.", CHAT),
        ("It never came.", CHAT),
        ("The credit is $15.", CHAT),
        ("A new one arrives on 14 May.", CHAT),
    ],
)
def test_short_truths_are_supported(claim, source):
    assert JUDGE.supported([claim], source=source)[0].yes is True


GERMAN = """Kundin: Die bestellte Lampe ist kaputt angekommen.
Mitarbeiter: Wir schicken Ihnen am Freitag eine neue."""
FOREIGN = [
    ("我们周一寄新灯。", "客户：订单4471的灯坏了。客服：我们周五寄新灯，免费。"),
    ("客户要求退款。", "客户：我的灯坏了。客服：我们会换一个新的。"),
    (
        "月曜日に新しいランプを送ります。",
        "お客様：ランプが壊れました。担当：金曜日に新しいランプを送ります。",
    ),
    ("새 램프는 월요일에 보냅니다.", "고객: 램프가 고장났어요. 상담원: 새 램프는 금요일에 보냅니다."),
    (
        "Новую лампу отправят в понедельник.",
        "Клиент: лампа сломалась.\nОператор: новую лампу отправим в пятницу.",
    ),
    ("سيصل المصباح الجديد يوم الاثنين.", "العميل: المصباح مكسور. الموظف: سنرسل مصباحا جديدا يوم الجمعة."),
    ("नया लैंप सोमवार को आएगा।", "ग्राहक: लैंप टूट गया। एजेंट: नया लैंप शुक्रवार को आएगा।"),
    ("โคมไฟใหม่จะมาถึงวันจันทร์", "ลูกค้า: โคมไฟเสีย พนักงาน: โคมไฟใหม่จะมาถึงวันศุกร์"),
    ("Die neue Lampe wird am Montag verschickt.", GERMAN),
    (
        "La nueva lámpara llegará el lunes por la mañana.",
        "Cliente: la lámpara que pedí llegó rota.\nAgente: le enviaremos otra lámpara nueva el viernes.",
    ),
    (
        "La nouvelle lampe sera livrée lundi matin.",
        "Cliente : la lampe commandée est arrivée cassée.\nConseiller : nous en livrerons une vendredi.",
    ),
]


@pytest.mark.parametrize(("claim", "source"), FOREIGN)
def test_other_languages_are_undefined(claim, source):
    verdict = JUDGE.supported([claim], source=source)[0]
    assert verdict.yes is None and verdict.status == "undefined" and "English" in verdict.reason
    score = factuality(claim, source=source)
    assert score.points is None and score.status == "undefined" and "English" in score.reason


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("我们周五寄新灯，免费。", FOREIGN[0][1]),
        ("Wir schicken Ihnen am Freitag eine neue.", GERMAN),
        ("金曜日に新しいランプを送ります。", FOREIGN[2][1]),
    ],
)
def test_word_for_word_holds_in_any_language(claim, source):
    assert JUDGE.supported([claim], source=source)[0].yes is True


def test_english_with_many_names_is_english():
    names = "Halina Mazur of Mazowiecka Folia Sp. z o.o. met Jerzy Wrona in Łódź."
    assert JUDGE.supported([names], source=names.replace("met", "has met"))[0].status == "ok"


MARKED = [
    ("1. The lamp broke.", "The lamp broke."),
    ("2) A new one was sent.", "A new one was sent."),
    ("(3) It is free.", "It is free."),
    ("(b) It is free.", "It is free."),
    ("c) It is free.", "It is free."),
    ("- It is free.", "It is free."),
    ("* It is free.", "It is free."),
    ("• It is free.", "It is free."),
    ("④ It is free.", "It is free."),
    ("12. It is free.", "It is free."),
    ("#4: It is free.", "It is free."),
    ("5: It is free.", "It is free."),
    ("[ ] It is free.", "It is free."),
    ("[x] It is free.", "It is free."),
    ("Fact 3: It is free.", "It is free."),
    ("  7.  It is free.", "It is free."),
    ("1.Die Lampe ist kaputt.", "Die Lampe ist kaputt."),
    ("1、灯坏了。", "灯坏了。"),
    ("5. Mai ist der Termin.", "5. Mai ist der Termin."),
    ("14. juillet", "14. juillet"),
    ("2.5 kg were sent.", "2.5 kg were sent."),
    ("3 lamps broke.", "3 lamps broke."),
    ("A. Smith paid.", "A. Smith paid."),
    ("14:30 is the time.", "14:30 is the time."),
    ("-20 degrees were measured.", "-20 degrees were measured."),
    ("2026-05-14 is the date.", "2026-05-14 is the date."),
    ("7.", "7."),
]


@pytest.mark.parametrize(("fact", "bare"), MARKED)
def test_marks_of_a_list_come_off(fact, bare):
    assert without_list_marks([fact]) == [bare]


def test_letters_are_marks_where_every_item_has_one():
    assert without_list_marks(["a. It broke.", "b. It came."]) == ["It broke.", "It came."]
    assert without_list_marks(["I. It broke.", "II. It came."]) == ["It broke.", "It came."]


@pytest.mark.parametrize("marks", [("", ""), ("1. ", "2) "), ("- ", "• "), ("(1) ", "(2) "), ("a. ", "b. ")])
def test_numbered_facts_are_the_facts(marks):
    facts = [m + f for m, f in zip(marks, ("The lamp broke.", "A new one was sent."))]
    for metric in completeness, conciseness:
        score = metric("The lamp broke. A new one was sent.", key_facts=facts)
        assert score.fraction == 1.0 and score.points == 4
