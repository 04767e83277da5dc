"Texts partly or wholly in another language get no figure from rules and judges that read only English."

import pytest

from crmeval import coherence, completeness, factuality, fluency, term_precision, toxicity
from crmeval.core.languages import foreign_language, foreign_part, mostly_foreign
from crmeval.metrics.instruction_following import check_instruction
from crmeval.metrics.prediction import prediction

SOURCE = "Customer: The heating does not start.\nAgent: A technician comes on Tuesday and brings a new pump."
ENGLISH = "The technician comes on Tuesday with a new pump."
OTHERS = {  # languages that were not tried when the rules were written
    "Swedish": "Teknikern kommer på tisdag och har med sig en ny pump.",
    "Danish": "Teknikeren kommer på tirsdag og har en ny pumpe med.",
    "Czech": "Technik přijede v úterý a přiveze nové čerpadlo.",
    "Hungarian": "A szerelő kedden jön, és hoz egy új szivattyút.",
    "Romanian": "Tehnicianul vine marți și aduce o pompă nouă.",
    "Finnish": "Asentaja tulee tiistaina ja tuo uuden pumpun mukanaan.",
    "Vietnamese": "Kỹ thuật viên sẽ đến vào thứ Ba và mang theo máy bơm mới.",
    "Indonesian": "Teknisi akan datang pada hari Selasa dan membawa pompa baru.",
    "Greek": "Ο τεχνικός έρχεται την Τρίτη και φέρνει νέα αντλία.",
    "Korean": "기사님이 화요일에 새 펌프를 가지고 방문합니다.",
    "Hebrew": "הטכנאי מגיע ביום שלישי ומביא משאבה חדשה.",
}
RULES = ("professional_tone", "no_promises", "no_claims", "no_superlatives", "unsubscribe", "heading_case")


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_no_figure_of_a_text_in_another_language(text):
    assert foreign_language(text) and not foreign_language(ENGLISH)
    scores = [
        factuality(text, source=SOURCE),
        factuality(ENGLISH, source=text),
        completeness(text, key_facts=[ENGLISH]),
        completeness(ENGLISH, key_facts=[text]),
        fluency(text),
        coherence(f"{text} {text}"),
        toxicity(text),
    ]
    assert [(s.status, s.points) for s in scores] == [("undefined", None)] * len(scores)
    for kind in RULES:
        assert check_instruction(f"# {text}\n\n{text}", instruction={"kind": kind}) is None


@pytest.mark.parametrize("sentence", OTHERS.values(), ids=OTHERS)
def test_one_sentence_in_another_language_is_not_passed_over(sentence):
    mixed = f"We have good news for you about the heating. {sentence}"
    assert factuality(mixed, source=SOURCE + " We have good news.").status == "undefined"
    assert toxicity(mixed).status == "undefined"
    assert check_instruction(mixed, instruction={"kind": "no_promises"}) is None
    assert check_instruction(mixed + " We guarantee it.", instruction={"kind": "no_promises"})


def test_english_is_still_judged():
    for text in (ENGLISH, ENGLISH.upper(), f"Dear Zoë Müller,\n\n{ENGLISH}\n\nKind regards\nJosé Łukasz"):
        assert factuality(text, source=SOURCE).points is not None
        assert toxicity(text).label == "clean"
        assert check_instruction(text, instruction={"kind": "no_superlatives"}) == ""


@pytest.mark.parametrize(
    "response",
    [
        "ikke price",
        "aldrig price, inte price",
        "Det er ikke price",
        "price değil",
        "pas du tout price",
        "geen price",
    ],
)
def test_a_label_that_another_language_denies_is_not_given(response):
    assert prediction(response, gold="price", labels=["price", "quality"]).status == "parse_error"
    assert prediction("price", gold="price", labels=["price", "quality"]).points == 4


def test_terms_of_scripts_without_blanks_and_with_marks_are_found():
    for right, wrong, around in (
        ("관할", "기한", "{} 12"),
        ("ค่าเบี้ย", "ค่าเสียหาย", "มี{}อยู่"),
        ("किस्त", "ब्याज", "{} 12 है"),
        ("契約者", "受取人", "これは{}です"),
    ):
        glossary = {"name": "own", "terms": [{"term": right, "confused_with": {wrong: "another thing"}}]}
        source = around.format(right)
        assert term_precision(around.format(right), source=source, glossary=glossary).points == 4
        assert term_precision(around.format(wrong), source=source, glossary=glossary).points == 1


@pytest.mark.parametrize(
    ("instruction", "kept", "broken"),
    [
        ({"kind": "case_number", "numbers": ["90817"]}, "案件９０８１７です", "案件９０８７１です"),
        ({"kind": "case_number", "numbers": ["90817"]}, "الطلب ۹۰۸۱۷", "الطلب ۹۰۸۷۱"),
        ({"kind": "include", "all": ["izmir 35"]}, "İZMİR ٣٥", "İZMİT ٣٥"),
        (
            {"kind": "sections", "headings": ["原因", "対応"]},
            "原因：故障。\n対応：交換。",
            "原因：故障。\n結果：交換。",
        ),
        ({"kind": "no_contact_data"}, "Wir sind für Sie da.", "Rufen Sie an: +43 1 53441-0"),
    ],
)
def test_digits_marks_and_numbers_of_other_countries(instruction, kept, broken):
    assert check_instruction(kept, instruction=instruction) == ""
    assert check_instruction(broken, instruction=instruction)


@pytest.mark.parametrize(
    "text",
    [
        "Il-kamra tal-banju m'għandhiex ilma sħun.",
        "Ny mpanjifa dia tezitra amin'ny fandoavana vola.",
        "Pembaharuan langganan saya ditolak kemarin.",
        "Klientda hozircha javob yo'q, ertaga qo'ng'iroq qilamiz.",
        "D'Rechnung ass nach ëmmer net bezuelt ginn.",
        "Pagbayaran sa kuryente wala pa madawat.",
    ],
    ids=["Maltese", "Malagasy", "Malay", "Uzbek", "Luxembourgish", "Cebuano"],
)
def test_languages_that_no_list_knew_or_that_nobody_tried(text):
    assert foreign_language(text) and mostly_foreign(text) and factuality(text, source=SOURCE).points is None


@pytest.mark.parametrize(
    "line",
    [
        "quiere devolver el paquete",
        "nao recebi a fatura de abril",
        "il pacco era aperto",
        "Kasım ayında ödeme yapıldı",
        "rekeningen nog altijd niet betaald",
        "klienten vil ikke betale",
    ],
)
def test_a_short_line_in_brackets_is_seen(line):
    english = f"We have written down what he said ({line}) and will call him."
    assert foreign_part(english) and not mostly_foreign(english)
    assert toxicity(english).status == "undefined"
    assert check_instruction(english, instruction={"kind": "no_promises"}) is None


@pytest.mark.parametrize(
    "text",
    [
        "Seat post clamp, 31.8 mm, anodised",
        "Ms Inés de la Torre y Gil, Calle Mayor 4, Girona",
        "PLS RESEND INVOICE, TY",
        "cant c my ordr hstry, pls hlp asap",
        "| Part | Pcs |\n| --- | --- |\n| Flange | 4 |",
        "We dined at Chez Antoine (Rue du Bac) before the demo.",
        "I am writing since two weeks and nobody is answer me.",
        "Panettone, stollen and pastéis de nata are back.",
        "f(x) = e^x + sin y, o(n)",
        "Regards,\nŞebnem Öztürk\nGebze",
    ],
)
def test_names_trade_words_short_forms_and_odd_english_are_english(text):
    assert not foreign_part(text) and not mostly_foreign(text)
