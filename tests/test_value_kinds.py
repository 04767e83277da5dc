"Values in texts: signs, digit groups, fractions, ranges, dates and times of many languages."

import time

import pytest
from pace import cpu_since

from crmeval.core.values import missing_values, same_value, values


def read(text):
    "Return (kind, value, unit) of each value."
    return [(v.kind, v.value, v.unit) for v in values(text)]


def number(x):
    return ("number", float(x), "")


def money(x, unit):
    return ("money", float(x), unit)


def percent(x):
    return ("percent", float(x), "")


def date(y, m, d):
    return ("date", (y, m, d), "")


BESIDE_LETTERS = [
    ("订单4472的灯坏了。", [number(4472)]),
    ("注文4471は3,000円です。", [number(4471), money(3000, "JPY")]),
    ("您的订单LX-200已发货", [("id", "lx200", "")]),
    ("退款1,200.50元", [money(1200.5, "CNY")]),
    ("주문 4471번은 3,000원입니다", [number(4471), money(3000, "KRW")]),
    ("คำสั่งซื้อ4471ราคา500บาท", [number(4471), money(500, "THB")]),
    ("ऑर्डर4471का मूल्य₹500है", [number(4471), money(500, "INR")]),
    ("الطلب4471بمبلغ 500 ريال", [number(4471), money(500, "SAR")]),
    ("第3章", [number(3)]),
    ("全部5个", [number(5)]),
    ("残り２０個", [number(20)]),
    ("涨了5％左右", [percent(5)]),
    ("约3万元", [money(30000, "CNY")]),
    ("売上は1.5億円", [money(150000000, "JPY")]),
    ("50만원입니다", [money(500000, "KRW")]),
]


@pytest.mark.parametrize("text, expected", BESIDE_LETTERS)
def test_values_beside_letters_of_other_scripts(text, expected):
    assert read(text) == expected


DIGITS = ["٤٤٧١", "۴۴۷۱", "४४७१", "৪৪৭১", "๔๔๗๑", "４４７１", "៤៤៧១", "၄၄၇၁", "௪௪௭௧", "౪౪౭౧", "೪೪೭೧", "૪૪૭૧"]


@pytest.mark.parametrize("text", DIGITS)
def test_digits_of_other_scripts(text):
    assert read(text) == [number(4471)]
    assert not missing_values(f"No. {text}", "No. 4471")
    assert values(text)[0].text == text


# (claim, source, whether they agree)
SIGNS = [
    ("The balance is 40 dollars.", "The balance is -40 dollars.", False),
    ("The balance is -40 dollars.", "The balance is -40 dollars.", True),
    ("The balance is −40 dollars.", "Balance: -$40", True),
    ("Balance: $-40", "Balance: -$40.00", True),
    ("Solde : −12,50 €", "-12.50 EUR", True),
    ("El saldo es de -12,50 €.", "12,50 €", False),
    ("It is -18 °C inside.", "18 °C", False),
    ("case CS-40 is open", "CS-40", True),
    ("Der Saldo beträgt -40 €.", "Saldo: 40 €", False),
    ("Der Saldo beträgt −40,00 €.", "Saldo: -40 €", True),
    ("Il fait -5 degrés.", "Il fait 5 degrés.", False),
    ("It is minus 5 degrees.", "-5", True),
    ("It is minus 5 degrees.", "5 degrees", False),
    ("Growth was 5%.", "Growth was -5%.", False),
    ("Sales fell by 5%.", "Change: -5%", True),
    ("Der Umsatz sank um 5 %.", "Veränderung: -5 %", True),
    ("余额为-40元", "余额为40元", False),
    ("You get 40 dollars.", "You get +40 dollars.", True),
    ("- 40 units", "40 units", True),
    ("It lasts 10-40 days.", "10 to 40 days", True),
]
GROUPS = [
    ("₹1,23,456", "₹123456", True),
    ("₹1,23,456", "₹123,456", True),
    ("₹12,34,567.50", "INR 1234567.5", True),
    ("₹1,23,456", "₹1,23,457", False),
    ("CHF 1'234.50", "CHF 1234.50", True),
    ("CHF 1’234’567", "CHF 1,234,567", True),
    ("1\u2009234 units", "1,234 units", True),
    ("1\u202f234\u202f567 units", "1234567 units", True),
    ("1\u00a0250,00 €", "€1,250.00", True),
    ("1 250,00 zł", "1250 PLN", True),
    ("1.250.000 Stück", "1,250,000 pieces", True),
    ("1.250,00 €", "1250 euros", True),
    ("1.250,00 €", "125000 euros", False),
    ("１，２３４円", "1234円", True),
    ("١٬٢٣٤ ريال", "1234 SAR", True),
    ("1234,567 kg", "1234.567 kg", True),
    ("1,234,567", "1234.567", False),
    ("12,500 units were delivered.", "Geliefert: 12.500 Stück", True),
    ("12.500 Stück", "12,500 units", True),
    ("12.500 kg", "12.5 kg", True),
    ("12,500 kg", "12,5 kg", True),
    ("12,500 units", "12.600 Stück", False),
    ("0,500 l", "0.5 l", True),
    ("0.500 l", "500 l", False),
    ("$12,500", "$12,500.00", True),
]
FRACTIONS = [
    ("It takes 1½ hours.", "1 hour", False),
    ("It takes 1½ hours.", "1.5 hours", True),
    ("It takes 1 1/2 hours.", "1.5 hours", True),
    ("It takes 1 1/2 hours.", "1½ hours", True),
    ("It takes ½ hour.", "0.5 hours", True),
    ("Only ¾ is paid.", "0.75", True),
    ("Only 3/4 is paid.", "0.75 is paid", True),
    ("2⅓ cups", "2 cups", False),
    ("two and a half hours", "2.5 hours", True),
    ("two and a half hours", "2 hours", False),
    ("3 and a half million dollars", "$3,500,000", True),
    ("half a million dollars", "$500,000", True),
    ("half a million dollars", "$1,000,000", False),
    ("half a dozen lamps", "6 lamps", True),
    ("a quarter of a million euros", "250,000 euros", True),
    ("eine halbe Million Euro", "500.000 €", True),
    ("un demi-million d'euros", "500 000 €", True),
    ("medio millón de dólares", "$500,000", True),
    ("mezzo milione di euro", "500.000 €", True),
    ("anderthalb Stunden", "1,5 Stunden", True),
    ("1½ Stunden", "1,5 Stunden", True),
]
RANGES = [
    ("5-10%", "5% to 10%", True),
    ("5–10 %", "between 5 % and 10 %", True),
    ("5 to 10 percent", "5% - 10%", True),
    ("zwischen 5 und 10 Prozent", "5-10 %", True),
    ("5-10%", "5% to 12%", False),
    ("$5-10", "5 dollars to 10 dollars", True),
    ("5 to 10 dollars", "$5 - $10", True),
    ("5 bis 10 Euro", "5-10 €", True),
    ("de 5 à 10 euros", "5–10 €", True),
    ("entre 5 y 10 euros", "5-10 EUR", True),
    ("da 5 a 10 euro", "5-10 €", True),
    ("5 tot 10 euro", "€5-10", True),
    ("5-10 euros", "6-10 euros", False),
    ("3–5 March", "3 March to 5 March", True),
    ("3. bis 5. März 2025", "3 March 2025 - 5 March 2025", True),
    ("from 3 to 5 March", "4 March to 5 March", False),
    ("3 to 5 days", "3-5 days", True),
    ("2-3 million euros", "2 million euros to 3 million euros", True),
    ("9-11 am", "9 am to 11 am", True),
]
ORDINALS = [
    ("the 3rd invoice", "the 3. invoice", True),
    ("第3章", "chapter 3", True),
    ("the 2nd floor", "im 2. Stock", True),
    ("the 3rd invoice", "the second invoice", False),
    ("le 1er étage", "the 1st floor", True),
    ("la 2ème facture", "the 2nd invoice", True),
    ("el 3º piso", "the 3rd floor", True),
    ("de 3e verdieping", "3rd floor", True),
    ("der 3. Versuch", "the 4th attempt", False),
]
PERCENT = [
    ("5 Prozent", "5%", True),
    ("5 pour cent", "5 %", True),
    ("5 por ciento", "5%", True),
    ("5 per cento", "5%", True),
    ("5 por cento", "5%", True),
    ("5 procent", "5%", True),
    ("5 procent rabatu", "5% off", True),
    ("5％", "5%", True),
    ("٥٪", "5%", True),
    ("%5 indirim", "5%", True),
    ("2,5 %", "2.5%", True),
    ("2,5 %", "25%", False),
    ("1,5 Prozentpunkte", "1.5 percentage points", True),
    ("5 %", "5", False),
    ("百分之5", "5%", True),
]
IDS = [
    ("firmware v2.4.0", "firmware v2.3.1", False),
    ("firmware v2.4.0", "firmware 2.4.0", True),
    ("version 2.4", "version 2.3", False),
    ("Version 2.4.0-beta", "version 2.4.0-beta", True),
    ("iOS 17.2.1", "iOS 17.2.2", False),
    ("v2.4", "version 2.4", True),
    ("10.0.0.12", "10.0.0.99", False),
    ("10.0.0.12", "the address 10.0.0.12 is used", True),
    ("192.168.1.10:8080", "192.168.1.10:8081", False),
    ("10.0.0.0/24", "10.0.0.0/16", False),
    ("2001:db8::1", "2001:db8::2", False),
    ("2001:db8::1", "address 2001:DB8::1.", True),
    ("00:1A:2B:3C:4D:5E", "00:1a:2b:3c:4d:5e", True),
    ("00:1A:2B:3C:4D:5E", "00:1a:2b:3c:4d:5f", False),
    ("Call +49 221 4710815.", "0221 4710815", True),
    ("Call +49 221 4710815.", "0221 4710816", False),
    ("Call (0221) 471-0815.", "0221/4710815", True),
    ("Rufen Sie 0221/4710815 an.", "+49 (0)221 4710815", True),
    ("Call +1 (555) 010-9999.", "555-010-9999", True),
    ("Call 555.010.9999.", "(555) 010-9999", True),
    ("Appelez le 01 23 45 67 89.", "01.23.45.67.89", True),
    ("Appelez le 01 23 45 67 89.", "01 23 45 67 88", False),
    ("Call 555-0123.", "Phone: 555-0199", False),
    ("Tel. 030 123 45 67", "030-1234567", True),
    ("section 4.2.1", "section 4.2.2", False),
]
DATES = [
    ("The parcel arrives on December 25.", "Das Paket kommt am 25.12. an.", True),
    ("The parcel arrives on December 25.", "Lieferung: 25.12.", True),
    ("The parcel arrives on December 24.", "Das Paket kommt am 25.12. an.", False),
    ("3. März 2025", "March 3, 2025", True),
    ("3. März 2025", "April 3, 2025", False),
    ("3. Mai", "5/4", False),
    ("am 3. Mai", "3 May", True),
    ("14. Jänner 2025", "14 January 2025", True),
    ("3 mars 2025", "3 March 2025", True),
    ("le 1er août", "1 August", True),
    ("3 de marzo de 2025", "2025-03-03", True),
    ("el 3 de enero", "January 3", True),
    ("3 marzo 2025", "03.03.2025", True),
    ("il 1º maggio", "May 1", True),
    ("3 maart 2025", "3 March 2025", True),
    ("op 3 mei", "3 May", True),
    ("3 de março de 2025", "3 March 2025", True),
    ("em 3 de fevereiro", "3 February", True),
    ("den 3 mars 2025", "3 March 2025", True),
    ("3 maj", "May 3", True),
    ("3 marca 2025", "3 March 2025", True),
    ("3 maja 2025 r.", "3 May 2025", True),
    ("2025年3月3日", "3 March 2025", True),
    ("3月3日", "March 3", True),
    ("3月3日", "March 4", False),
    ("2025년 3월 3일", "3 March 2025", True),
    ("3 मार्च 2025", "3 March 2025", True),
    ("3 مارس 2025", "3 March 2025", True),
    ("3 มีนาคม 2568", "3 March 2025", True),
    ("3 марта 2025", "3 March 2025", True),
    ("am Freitag", "on Friday", True),
    ("vendredi", "on Friday", True),
    ("el viernes", "on Thursday", False),
    ("venerdì", "Friday", True),
    ("op vrijdag", "Friday", True),
    ("na sexta-feira", "Friday", True),
    ("på fredag", "Friday", True),
    ("w piątek", "Friday", True),
    ("星期五发货", "Friday", True),
    ("金曜日に届きます", "Friday", True),
    ("im Oktober 2025", "October 2025", True),
    ("en octobre", "in October", True),
    ("2025-03-03T10:11", "3 March 2025, 10:11", True),
    ("03/04/2025", "3 April 2025", True),
    ("03/04/2025", "March 4, 2025", True),
]
TIMES = [
    ("um 15 Uhr", "at 3 pm", True),
    ("um 15:30 Uhr", "3:30 p.m.", True),
    ("um 15.30 Uhr", "3:30 pm", True),
    ("um 9 Uhr", "at 9 am", True),
    ("um 9 Uhr", "at 10 am", False),
    ("à 15h30", "3:30 pm", True),
    ("à 9 h", "9 am", True),
    ("a las 15 h", "3 pm", True),
    ("a las 15:30 horas", "3:30 pm", True),
    ("alle ore 15", "3 pm", True),
    ("alle 15.30", "3:30 pm", True),
    ("om 15 uur", "3 pm", True),
    ("om 15.30 uur", "3:30 pm", True),
    ("às 15h", "3 pm", True),
    ("às 15h30", "3:30 pm", True),
    ("klockan 15", "3 pm", True),
    ("kl. 15.30", "3:30 pm", True),
    ("o godz. 15", "3 pm", True),
    ("o godzinie 15:30", "3:30 pm", True),
    ("15時30分に", "3:30 pm", True),
    ("午後3時", "3 pm", True),
    ("下午3点", "3 pm", True),
    ("下午3点", "3 am", False),
    ("오후 3시", "3 pm", True),
    ("noon", "12:00", True),
]
MONEY = [
    ("€12,50", "12,50 €", True),
    ("USD 12.50", "$12.50", True),
    ("$1.2m", "1.2 million dollars", True),
    ("CHF 1'200.–", "1200 Franken", True),
    ("3 crore rupees", "₹3,00,00,000", True),
    ("订单CS-1234的退款是12.50元", "CS-1234, 12.5 CNY", True),
    ("The deal is 2 billion euros.", "2 Mrd. Euro", True),
    ("The deal is 2 million euros.", "2 Mrd. Euro", False),
    ("2,5 Mio. €", "€2.5 million", True),
    ("3 Tsd. Euro", "3000 €", True),
    ("zwei Lampen für 40 Euro", "40 €", True),
    ("40 US-Dollar", "$40", True),
    ("2 millions d'euros", "2 million euros", True),
    ("40 livres sterling", "£40", True),
    ("2 millones de dólares", "$2 million", True),
    ("40 dólares", "40 dollars", True),
    ("2 milioni di euro", "€2,000,000", True),
    ("2 miliardi di euro", "2 billion euros", True),
    ("2 miljoen euro", "€2 million", True),
    ("2 miljard euro", "2 billion euros", True),
    ("2 milhões de reais", "R$ 2 million", True),
    ("R$ 1.250,00", "1250 reais", True),
    ("2 miljoner kronor", "2,000,000 SEK", True),
    ("1 250 kr", "SEK 1250", True),
    ("1 250 kr", "NOK 1250", True),
    ("1 250 kr", "1 260 kr", False),
    ("2 mln zł", "PLN 2,000,000", True),
    ("2 mld złotych", "2 billion PLN", True),
    ("40 złotych", "40 zł", True),
    ("Rs. 5000", "₹5,000", True),
    ("₹5 लाख", "₹500,000", True),
    ("40 Schweizer Franken", "CHF 40", True),
    ("Fr. 40.–", "CHF 40", True),
    ("3,000円", "JPY 3000", True),
    ("￥3,000", "¥3000", True),
    ("40 元", "40 yuan", True),
    ("500 रुपये", "₹500", True),
    ("500 руб.", "500 RUB", True),
    ("500 ₽", "500 рублей", True),
    ("500 Kč", "CZK 500", True),
    ("40 €", "40 $", False),
    ("40 lei", "RON 40", True),
    ("500 Ft", "HUF 500", True),
    ("₺500", "500 TL", True),
]
KINDS = {
    "sign": SIGNS,
    "groups": GROUPS,
    "fraction": FRACTIONS,
    "range": RANGES,
    "ordinal": ORDINALS,
    "percent": PERCENT,
    "id": IDS,
    "date": DATES,
    "time": TIMES,
    "money": MONEY,
}
CASES = [(kind, *case) for kind, cases in KINDS.items() for case in cases]


# values do not include ordinals in words: "first" and "second" are seldom numbers
IN_WORDS = [
    ("the 3rd invoice", "the third invoice"),
    ("the 21st customer", "the twenty-first customer"),
    ("la 2ª factura", "the second invoice"),
    ("第3章", "the third chapter"),
]


@pytest.mark.parametrize("claim, source", IN_WORDS)
@pytest.mark.xfail(reason="ordinals in words are not read", strict=True)
def test_ordinals_in_words(claim, source):
    assert not missing_values(claim, source)


@pytest.mark.parametrize(
    "kind, claim, source, agree", CASES, ids=[f"{k}-{i}" for i, (k, *_) in enumerate(CASES)]
)
def test_agreement(kind, claim, source, agree):
    assert values(claim), "no value was found"
    assert (not missing_values(claim, source)) == agree, [
        (str(v), v.text) for v in missing_values(claim, source)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_each_value_agrees_with_itself(kind):
    for claim, source, _ in KINDS[kind]:
        for text in claim, source:
            found = values(text)
            assert not missing_values(text, text)
            assert all(same_value(v, v) for v in found)
            assert all(v.text and v.text.rstrip(".") in text for v in found), text


@pytest.mark.parametrize("kind", KINDS)
def test_agreement_has_no_direction(kind):
    for claim, source, _ in KINDS[kind]:
        for a in values(claim):
            for b in values(source):
                assert same_value(a, b) == same_value(b, a)


WHOLE = [
    ("It costs 25.12.", [number(25.12)]),
    ("-40", [number(-40)]),
    ("1½", [number(1.5)]),
    ("1,23,456", [number(123456)]),
    ("5-10%", [percent(5), percent(10)]),
    ("$5-10", [money(5, "USD"), money(10, "USD")]),
    ("v2.4.0", [("id", "2.4.0", "")]),
    ("10.0.0.12", [("id", "10.0.0.12", "")]),
    ("+49 221 4710815", [("id", "492214710815", "")]),
    ("2 Mrd. Euro", [money(2e9, "EUR")]),
    ("3. März 2025", [date(2025, 3, 3)]),
    ("25.12.2025", [date(2025, 12, 25)]),
    ("2025年3月3日", [date(2025, 3, 3)]),
    ("order 4471", [number(4471)]),
    ("one lamp", []),
    ("mayo on Mars in March", [date(None, 3, None)]),
    ("1️⃣ first", []),
    ("We may march on.", []),
    ("The 2 of you", [number(2)]),
    ("12 feb", [date(None, 2, 12)]),
    ("A4 paper, iPhone 15", None),
    ("Call me maybe at 10-ish", None),
]


@pytest.mark.parametrize("text, expected", WHOLE)
def test_read_whole(text, expected):
    assert read(text) == expected if expected is not None else values(text) is not None


HOSTILE = [
    "-",
    "−1",
    "1½",
    "1/2 ",
    "1.",
    "1.1",
    "10.0.0.1.",
    "5-",
    "5 to ",
    "half a ",
    "3. ",
    "3月",
    "1万",
    "a:",
    "::",
    "::1",
    "+49 ",
    "v1.",
    "%",
    "¥",
]
HOSTILE += ["3 de ", "kl. ", "minus ", "１", "٤", "1,23,", "1'234", "fell by ", "4471号", "1 1/2 "]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_length(piece):
    text = piece * (50_000 // len(piece))
    start = time.process_time()
    values(text)
    assert cpu_since(start) < 6


def test_many_values_of_one_line_take_as_long_as_they_are_many():
    def spent(n):
        text, start = " ".join(f"{i} EUR," for i in range(1000, 1000 + n)), time.process_time()
        assert len(values(text)) == n
        return time.process_time() - start

    assert spent(80_000) < 16 * max(spent(10_000), spent(10_000))


@pytest.mark.parametrize(
    "written", ["1,380.004.385", "1.380,004,385", "12,345.111.222 units", "-7.001,002,003"]
)
def test_groups_with_mixed_marks_are_one_number(written):
    (value,) = values(f"It holds {written}.")
    assert value.kind == "number" and str(abs(int(value.value))) == "".join(filter(str.isdigit, written))
