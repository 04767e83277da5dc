"""Format checks: list marks, HTML, whole words, placeholders, words of every script, bounds."""

import time

import pytest
from pace import cpu_since

from crmeval.metrics.checks import CHECKS
from crmeval.metrics.crm_instructions import count_words
from crmeval.metrics.ifeval import follows
from crmeval.metrics.instruction_following import check_instruction, instruction_following
from crmeval.metrics.wording import count_syllables


def wrong(response, kind, **parameters):
    return check_instruction(response, instruction={"kind": kind, **parameters})


MARKS = [
    *"-*+•–▪▫◦●○‣⁃■□►▶◆◇★☐☑✓✔✅➤➜→»·・",
    *"1. 12) (3) a) (b) 1️⃣ ① ⑫ ❷ ⑴ 1、 １． 一、".split(),
]


@pytest.mark.parametrize("mark", MARKS)
def test_marks_of_lists(mark):
    assert wrong(f"{mark} lamp\n  {mark} bulb", "bullets", min=2, max=2) == ""
    assert wrong(f"{mark} lamp\n{mark} bulb", "plain_text") != ""


@pytest.mark.parametrize(
    "text",
    [
        "Prose - with a dash.",
        "-5 degrees",
        "*Note*: none",
        "2025 was good",
        "3.5 litres",
        "I. think",
        "→",
        "👋 Hi Ana",
        "Regards\n— Ana",
    ],
)
def test_what_is_no_mark(text):
    assert wrong(text, "bullets", max=0) == ""


HTML = [
    ("<p>Dear Ms. Eze,</p><p>It shipped.</p>", "greeting", {}),
    ("<div>Hello Ana,</div><div>Your parcel is here.</div>", "greeting", {"name": "Ana"}),
    ("<html><body><p><b>Guten Tag</b> Frau Eze,</p><p>danke.</p></body></html>", "greeting", {"name": "Eze"}),
    ("<ul><li>lamp</li><li>bulb</li></ul>", "bullets", {"min": 2, "max": 2}),
    ("<ol><li>lamp</li><li>bulb</li><li>fuse</li></ol>", "bullets", {"min": 3}),
    ("<p>It shipped.</p><p>Kind regards,<br>Tom</p>", "sign_off", {"name": "Tom"}),
    ('<p style="color: red; margin: 0">Two words</p>', "max_words", {"n": 2}),
    ("<p>One. Two.</p><p>Three.</p>", "sentences", {"min": 3, "max": 3}),
    ("<p>Refund sent to R&uuml;ti.</p>", "include", {"all": ["Rüti"]}),
    ('<p class="guarantee">It works.</p>', "exclude", {"phrases": ["guarantee"]}),
]


@pytest.mark.parametrize(("response", "kind", "parameters"), HTML)
def test_html_is_read_as_a_reader_sees_it(response, kind, parameters):
    assert wrong(response, kind, **parameters) == ""


@pytest.mark.parametrize(
    "text",
    ["<p>Hi</p>", "a<br>b", "<b>bold</b>", '<a href="x">y</a>', "<IMG SRC='x'>", "</div>", "<o:p></o:p>"],
)
def test_html_is_no_plain_text(text):
    assert "an HTML tag" in wrong(text, "plain_text")


@pytest.mark.parametrize(
    "text",
    [
        "Ana <ana@mail.example> wrote.",
        "See <https://shop.example/x> for it.",
        "Tom Ode <tom.ode+x@mail.example>, Ana <a@b.example>",
        "if x <5 and y> 3",
        "<3 from all of us",
        "<mailto:a@b.example>",
    ],
)
def test_angle_brackets_are_no_html(text):
    assert wrong(text, "plain_text") == ""


INSIDE = [
    ("fund", "We refunded it."),
    ("pine", "A pineapple."),
    ("cat", "The category."),
    ("18", "Case 2018-180"),
]
INSIDE += [
    ("art", "Die Karte ist da."),
    ("mai", "Il a mal dormi, maintenant ça va."),
    ("заказ", "Заказчик ждёт."),
]


@pytest.mark.parametrize(("phrase", "text"), INSIDE)
def test_a_phrase_inside_a_word_is_not_there(phrase, text):
    assert wrong(text, "include", all=[phrase]) == f"{phrase!r} is missing"
    assert wrong(text, "include", any=[phrase]) != ""
    assert wrong(text, "exclude", phrases=[phrase]) == ""


WHOLE = [
    ("fund", "The fund."),
    ("CS-20418", "(cs-20418)"),
    ("$50", "It is $50."),
    ("50 %", "50\u00a0% off"),
    ("café", "Cafe\u0301!"),
]
WHOLE += [
    ("退款", "我们已退款给您。"),
    ("返金", "ご返金いたします。"),
    ("заказ", "Ваш заказ готов."),
    ("can’t", "I can't."),
    ("C++", "In C++ it is."),
]


@pytest.mark.parametrize(("phrase", "text"), WHOLE)
def test_a_whole_phrase_is_there(phrase, text):
    assert wrong(text, "include", all=[phrase]) == ""
    assert wrong(text, "exclude", phrases=[phrase]) != ""


LEFT = [
    "您好【客户姓名】，您的订单已发货。",
    "尊敬的【姓名】女士",
    "您的订单【订单号】已发货",
    "【お名前】様",
    "本日は［会社名］からご連絡です",
    "Hallo <Kundenname>, danke.",
    "Bonjour <prénom>",
    "Estimado <nombre del cliente>:",
    "Hola {nombre}",
    "您好{{客户姓名}}",
    "Dear ［Customer Name］,",
    "%ИМЯ%, добрый день",
    "Dear [Name],",
    "尊敬的XXX先生",
    "您好，××先生",
    "〇〇様",
    "Dear __NAME__,",
    "Hi {{first_name}},",
    "〔氏名〕様",
    "안녕하세요 【고객명】님",
]


@pytest.mark.parametrize("text", LEFT)
def test_placeholders_of_many_scripts(text):
    assert "unresolved placeholder" in wrong(text, "no_placeholders")


FINE = [
    "【重要】システム停止のお知らせ",
    "【注文番号】12345",
    "请看【重要】通知。",
    "See [1] and [Figure 2].",
    "The rate is 5% and 7% today.",
    "Ana <ana@mail.example>",
    "您好，王女士，",
    "【ご注意】お早めに。",
    "Total: {3}",
]


@pytest.mark.parametrize("text", FINE)
def test_brackets_that_are_no_placeholder(text):
    assert wrong(text, "no_placeholders") == ""


COUNTS = [
    ("您的订单已发货预计周五到达", 13, 13),
    ("您的订单 LX-200 已发货。", 8, 8),
    ("ご注文の品は金曜日に届きます。", 14, 14),
    ("โคมไฟของคุณจะส่งในวันศุกร์นี้ค่ะ", 8, 14),
    ("ขอบคุณที่ติดต่อฝ่ายบริการลูกค้าของเรา", 6, 12),
    ("주문하신 상품이 도착했습니다", 3, 3),
    ("आपका ऑर्डर भेज दिया गया है।", 6, 6),
    ("طلبك في الطريق", 3, 3),
    ("Your e-mail arrived at 14:30.", 5, 5),
    ("Prix : 40 € – livré", 3, 3),
    ("", 0, 0),
    ("… — !", 0, 0),
]


@pytest.mark.parametrize(("text", "low", "high"), COUNTS)
def test_words_of_every_script(text, low, high):
    assert low <= count_words(text) <= high
    assert wrong(text or "!", "words", min=low, max=high) == ""


@pytest.mark.parametrize("n", [float("inf"), float("-inf"), float("nan"), 2.5, -1, True, "5"])
def test_a_bound_that_is_no_whole_number_is_told(n):
    with pytest.raises(ValueError, match="num_words is .* expected a whole number from 0"):
        follows("one two", instruction_id="length_constraints:number_words", num_words=n, relation="at least")
    with pytest.raises(ValueError, match="n is .* expected a whole number from 0"):
        wrong("one two", "max_words", n=n)


@pytest.mark.parametrize("text", ["Call me asap!", "ASAP! Please.", "We need it asap!!"])
def test_slang_with_its_mark(text):
    assert "slang" in wrong(text, "professional_tone")


def test_syllables_of_a_genitive():
    assert count_syllables("area's") == count_syllables("area’s") == 3


def test_a_check_says_the_same_for_html_and_its_text():
    html, text = "<p>Dear Ana,</p><p>It shipped.</p>", "Dear Ana,\n\nIt shipped."
    for kind, parameters in (
        ("max_words", {"n": 3}),
        ("greeting", {"name": "Ana"}),
        ("sentences", {"max": 1}),
    ):
        assert wrong(html, kind, **parameters) == wrong(text, kind, **parameters)
    score = instruction_following(html, instructions=[{"kind": "greeting"}, {"kind": "max_words", "n": 4}])
    assert score.fraction == 1


@pytest.mark.parametrize(
    "hostile", ["<p>", "【", "【姓名", "[a", "{a ", "<b ", "● ", "1、", "ก", "退", "% a"]
)
def test_hostile_text_is_checked_in_time(hostile):
    text, start = (hostile * 50_000)[:50_000], time.process_time()
    for kind in ("bullets", "plain_text", "no_placeholders", "greeting"):
        CHECKS[kind](text)
    CHECKS["include"](text, all=["退款", "fund"])
    count_words(text)
    assert cpu_since(start) < 2
