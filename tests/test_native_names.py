"Names in scripts without capitals, and numbers close to a cue word; drawn at random, so not in any list."

import random

import pytest

pytest.importorskip("stdnum")
pytest.importorskip("phonenumbers")

from crmeval.detect.native_names import native_names
from crmeval.detect.pii import find_pii

PARTS = {  # script: family names, given names
    "zh": ("王李张刘陈杨赵黄周吴徐孙", "明芳伟静磊娜洋勇艳杰涛霞波红军"),
    "ja": (
        ["佐藤", "鈴木", "高橋", "田中", "伊藤", "山本", "中村"],
        ["健一", "美咲", "太郎", "花", "直樹", "由美子"],
    ),
    "ko": ("김이박최정강조윤장임", "민서지현우준영수빈하진"),
    "ar": (["الأحمد", "حداد", "منصور", "الخطيب", "سالم"], ["محمد", "فاطمة", "عمر", "ليلى", "خالد"]),
    "hi": (["शर्मा", "वर्मा", "पटेल", "गुप्ता"], ["राजेश", "सुनीता", "अमित", "प्रिया"]),
}
SAID = {
    "zh": ["{}先生，您好。", "请联系{}女士。", "我叫{}，打不开账户。", "收件人：{}", "{}同学的退款已处理。"],
    "ja": ["{}様、ありがとうございます。", "担当の{}さんへ", "契約者は{}です。", "{}と申します。"],
    "ko": ["{} 님, 감사합니다.", "{} 고객님의 주문입니다.", "제 이름은 {}입니다.", "예금주: {}"],
    "ar": ["السيد {} لم يستلم الطلب.", "اسمي {}", "الدكتورة {} تطلب فاتورة"],
    "hi": ["श्री {} का ऑर्डर", "मेरा नाम {} है।", "श्रीमती {} ने लिखा"],
}


def drawn(rng, script):
    family, first_names = PARTS[script]
    if script in ("ar", "hi"):
        return f"{rng.choice(first_names)} {rng.choice(family)}"
    return rng.choice(family) + "".join(rng.choice(first_names) for _ in range(1 if script == "ja" else 2))


@pytest.mark.parametrize("script", sorted(PARTS))
def test_a_name_that_a_word_beside_it_tells_is_found_whole(script):
    rng = random.Random(script)
    for _ in range(120):
        name, template = drawn(rng, script), rng.choice(SAID[script])
        found = [template.format(name)[a:b] for a, b in native_names(template.format(name))]
        assert any(name in piece or piece in name and len(piece) >= len(name) for piece in found), (
            template,
            name,
            found,
        )
        spans = [s for s in find_pii(template.format(name)) if s.entity == "PERSON"]
        assert any(name in template.format(name)[s.start : s.end] for s in spans), (template, name)


def test_the_same_words_without_a_name_hold_none():
    for template in (text for texts in SAID.values() for text in texts):
        assert not native_names(template.format("")) and not native_names(template.format("7")), template


def turkish(rng):
    a = [rng.randint(1, 9), *(rng.randint(0, 9) for _ in range(8))]
    a.append((7 * sum(a[0:9:2]) - sum(a[1:8:2])) % 10)
    return "".join(map(str, [*a, sum(a) % 10]))


def pesel(rng):
    a = [8, 5, 0, 7, *divmod(rng.randint(1, 28), 10), *(rng.randint(0, 9) for _ in range(4))]
    return "".join(map(str, [*a, -sum(x * w for x, w in zip(a, [1, 3, 7, 9] * 3)) % 10]))


def bsn(rng):
    while True:
        a = [rng.randint(1, 9), *(rng.randint(0, 9) for _ in range(7))]
        if (last := sum(x * w for x, w in zip(a, range(9, 1, -1))) % 11) < 10:
            return "".join(map(str, [*a, last]))


def chinese(rng):
    a = f"1101051987{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{rng.randint(0, 999):03d}"
    return a + "10X98765432"[sum(int(x) * 2 ** (17 - i) for i, x in enumerate(a)) % 11]


@pytest.mark.parametrize(
    "draw, cues",
    [
        (turkish, ["Kimlik numaram {} oldu", "T.C. {} adına", "TCKN:{}", "Kimlik No={}"]),
        (pesel, ["PESEL:{}", "pesel={},", "PESEL{}", "mój PESEL to {}"]),
        (bsn, ["BSN{}", "BSN:{}", "bsn={};", "burgerservicenummer {}"]),
        (chinese, ["身份证号码：{}。", "他的身份证{}已登记", "编号:{}。"]),
    ],
)
def test_a_number_of_a_state_is_found_however_close_its_cue_stands(draw, cues):
    rng = random.Random(draw.__name__)
    for _ in range(40):
        number, template = draw(rng), rng.choice(cues)
        text = template.format(number)
        found = [text[s.start : s.end] for s in find_pii(text)]
        assert number in found, (text, found)


def test_a_telephone_number_between_letters_that_need_no_space_is_found_whole():
    rng = random.Random(2)
    for _ in range(60):
        number = rng.choice(
            [
                f"0{rng.choice((7, 8, 9))}0-{rng.randint(1000, 9999)}-{rng.randint(1000, 9999)}",
                f"1{rng.choice((35, 38, 39, 50))} {rng.randint(1000, 9999)} {rng.randint(1000, 9999)}",
                f"010-{rng.randint(2000, 9999)}-{rng.randint(1000, 9999)}",
            ]
        )
        text = rng.choice(
            ["携帯は{}です。", "手机号码是{}。", "제 번호는 {}입니다", "电话{}", "お電話{}まで"]
        ).format(number)
        assert number in [text[s.start : s.end] for s in find_pii(text)], text


@pytest.mark.parametrize(
    "word",
    [
        "订单号{}已发货。",
        "注文番号{}は発送済みです。",
        "주문번호 {} 확인.",
        "Номер заказа {}.",
        "PO {} is open.",
    ],
)
def test_the_number_of_an_order_is_no_telephone_number(word):
    rng = random.Random(word)
    for _ in range(20):
        text = word.format(
            rng.choice([f"45{rng.randint(10**7, 10**8 - 1)}", f"13{rng.randint(10**8, 10**9 - 1)}"])
        )
        assert not [s for s in find_pii(text) if s.entity == "PHONE_NUMBER"], text


TOWNS = ["Amsterdam", "Warszawa", "Lisboa", "Praha", "Stockholm", "Paris", "Berlin"]


def test_a_post_code_at_a_town_is_found_and_the_same_digits_elsewhere_are_not():
    rng = random.Random(6)
    for _ in range(80):
        a, b = rng.randint(100, 999), rng.randint(10, 99)
        code = rng.choice(
            [f"{b}-{a}", f"{a} {b}", f"{a}{rng.randint(1, 9)}-{rng.randint(100, 999)}", f"{a}{b % 9} LM"]
        )
        for text, is_code in (
            (f"Send it to {code} {rng.choice(TOWNS)}.", True),
            (f"Filter {code} fits the frame.", False),
        ):
            found = [text[s.start : s.end] for s in find_pii(text) if s.entity == "ZIP_CODE"]
            assert (code in found) is is_code, (text, found)
