"Sentences, words and list markers in many languages and scripts."

import time
import unicodedata

import pytest
from pace import cpu_since

from crmeval.core.text import count_words, lines, parts, sentences, split_label, words

# '|' separates sentences
SENTENCES = {
    "en": [
        "Your refund... is on its way.",
        "Hmm… that is odd. |We look into it.",
        "Wait... |The lamp is here.",
        "No. |We send it on Friday.",
        "It is order No. 5 of today. |Thanks.",
        "Is it broken? |No. |Send it back.",
        "The refund is Rs. 5000 today. |It comes soon.",
        "We met Dr. Ruiz and Mr. O'Neill at 5 p.m. on Friday. |They agreed.",
        "See Sec. 4 and Fig. 2 for it. |All is there.",
        "The price is 3.50 dollars, i.e. less than before. |Order now!",
        "Use e.g. the blue one. |It fits.",
        "Acme Inc. has it. |Ask them.",
        "The lamp (No. 7) is sold out. |Sorry!",
        "He said “It works.” |Then he left.",
        "Really?! |Yes.",
        "Version 2.4.0 is out. |Install it.",
        "Visit www.example.com. |It is new.",
        "It weighs approx. 3 kg. |It is small.",
    ],
    "de": [
        "Das Paket kommt z. B. am 3. Mai an. |Danke.",
        "Das Paket kommt z.B. am 3. Mai an. |Danke.",
        "Die Lampe steht im 2. Stock. |Sie leuchtet.",
        "Der Termin ist am 14. Februar 2025. |Bitte kommen Sie.",
        "Das gilt ab dem 1. Quartal. |Vorher nicht.",
        "Es kostet ca. 40 Euro inkl. Versand. |Das ist viel.",
        "Frau Dr. Eze und Hr. Koch kommen. |Sie bringen alles mit.",
        "Die Rechnung Nr. 118 vom 3. 5. 2025 ist bezahlt. |Danke.",
        "Wir haben 2 Mio. Euro umgesetzt. |Das ist gut.",
        "Das heißt, d. h. morgen, kommt er. |Gut.",
        "Rufen Sie u. a. Frau Eze an. |Sie weiß es.",
        "Wir liefern bis zum 3. |Danke.",
        "Ja. |Nein. |Vielleicht.",
        "Das ist die 2. Mahnung. |Bitte zahlen Sie.",
    ],
    "fr": [
        "M. Petit et Mme Diallo viennent. |Merci.",
        "Voir p. ex. la page 3. |Elle est claire.",
        "Le colis n° 7 est parti. |Il arrive vendredi.",
        "Vraiment ? |Oui !",
        "Il coûte env. 40 euros. |C'est cher.",
    ],
    "es": [
        "El Sr. Sanz y la Sra. Ruiz vienen. |Gracias.",
        "¿Cuándo llega? |Llega el viernes. |¡Gracias!",
        "Vive en la Avda. Colón núm. 5. |Está cerca.",
        "Ud. tiene razón. |Lo sentimos.",
        "La Dra. Gil lo sabe. |Ella llama.",
    ],
    "it": [
        "Il dott. Conti e la sig.ra Rossi vengono. |Grazie.",
        "Il sig. Greco paga. |È tutto.",
        "Costa ca. 40 euro, p. es. oggi. |Va bene.",
    ],
    "nl": [
        "Dhr. Smit en mevr. De Vries komen. |Dank u.",
        "Neem bijv. de blauwe. |Die past.",
        "Het kost ca. 40 euro. |Dat is veel.",
    ],
    "pt": [
        "O Sr. Lima e a Sra. Souza vêm. |Obrigado.",
        "O Exmo. Senhor Costa e a Dra. Lima pagam. |Certo.",
        "Custa aprox. 40 reais. |É caro.",
    ],
    "sv": [
        "Ta t.ex. den blå. |Den passar.",
        "Det kostar ca 40 kr, bl.a. i dag. |Bra.",
        "Ta t. ex. Lampan. |Den passar.",
    ],
    "pl": [
        "Weź np. niebieską. |Pasuje.",
        "Mieszka przy ul. Długiej 5. |To blisko.",
        "Pan inż. Nowak i dr Kowalski przyjdą. |Dziękuję.",
    ],
    "zh": [
        "您的灯星期五发货。|谢谢！",
        "订单4471已经退款。|还有问题吗？|没有。",
        "他说：“灯坏了。”|我们会换。",
        "好的……我们再看看。|谢谢。",
    ],
    "ja": [
        "ランプは金曜日に届きます。|よろしくお願いします。",
        "壊れましたか？|はい！",
        "「壊れました。」と言いました。|交換します。",
        "ｶﾀｶﾅです｡|終わり｡",
    ],
    "ko": ["램프는 금요일에 도착합니다. |감사합니다.", "고장 났나요? |네, 고장 났습니다!"],
    "hi": [
        "लैंप टूट गया। |नया लैंप आएगा। |धन्यवाद।",
        "लैंप टूट गया।|नया लैंप आएगा।",
        "क्या यह ठीक है? |हाँ॥",
    ],
    "bn": ["আপনার ল্যাম্প ভেঙে গেছে। |নতুনটি আসবে।"],
    "ar": ["متى يصل المصباح؟ |يصل يوم الجمعة. |شكرا!", "هل هو مكسور؟ |نعم."],
    "ur": ["لیمپ ٹوٹ گیا۔ |نیا لیمپ آئے گا۔"],
    "fa": ["چراغ شکست. |آیا جدید می‌آید؟ |بله."],
    "he": ["המנורה נשברה. |מתי תגיע החדשה? |ביום שישי."],
    "hy": ["Լամպը կոտրվել է։ |Նորը գալիս է։"],
    "am": ["መብራቱ ተሰበረ። |አዲሱ ይመጣል።", "መብራቱ ተሰበረ፡፡ |አዲሱ ይመጣል፡፡", "መቼ ይመጣል፧ |ዓርብ።"],
    "my": ["မီးအိမ် ကျိုးသွားသည်။ |အသစ် လာမည်။"],
    "km": ["ចង្កៀងខូច។ |ថ្មីនឹងមក។"],
    "bo": ["སྒྲོན་མེ་ཆག་སོང་། |གསར་པ་ཡོང་།"],
    "el": ["Η λάμπα έσπασε. |Πότε έρχεται η νέα; |Την Παρασκευή."],
    "ru": [
        "Лампа разбилась. |Новая придёт в пятницу.",
        "Она стоит 40 руб. и 5 коп. за шт. |Это мало.",
        "Живёт на ул. Ленина, д. 5. |Это близко.",
        "Возьмите, напр., синюю, т. е. новую. |Спасибо.",
    ],
    "tr": ["Lamba kırıldı. |Yenisi cuma günü gelir.", "Dr. Öztürk ve Av. Kaya gelir. |Teşekkürler."],
    "vi": ["Đèn bị hỏng. |Đèn mới đến thứ Sáu."],
}
CASES = [(language, text) for language, texts in SENTENCES.items() for text in texts]


@pytest.mark.parametrize("language, text", CASES, ids=[f"{lang}-{i}" for i, (lang, _) in enumerate(CASES)])
def test_sentences(language, text):
    expected = [s.strip() for s in text.split("|")]
    assert sentences(text.replace("|", "")) == expected


# scripts with spaces between words: one word more than spaces
SPACED = {
    "hi": "आपका ऑर्डर रद्द हो गया है",
    "mr": "तुमची ऑर्डर रद्द झाली आहे",
    "ne": "तपाईंको अर्डर रद्द भयो",
    "bn": "আপনার অর্ডার বাতিল হয়েছে",
    "pa": "ਤੁਹਾਡਾ ਆਰਡਰ ਰੱਦ ਹੋ ਗਿਆ ਹੈ",
    "gu": "તમારો ઓર્ડર રદ થયો છે",
    "or": "ଆପଣଙ୍କ ଅର୍ଡର ବାତିଲ ହୋଇଛି",
    "ta": "உங்கள் ஆர்டர் ரத்து செய்யப்பட்டது",
    "te": "మీ ఆర్డర్ రద్దు చేయబడింది",
    "kn": "ನಿಮ್ಮ ಆರ್ಡರ್ ರದ್ದಾಗಿದೆ",
    "ml": "നിങ്ങളുടെ ഓർഡർ റദ്ദാക്കി",
    "si": "ඔබේ ඇණවුම අවලංගු විය",
    "ar": "تم إلغاء طلبك اليوم",
    "ar-marks": "تَمَّ إِلْغَاءُ طَلَبِكَ",
    "fa": "سفارش شما لغو می‌شود",
    "ur": "آپ کا آرڈر منسوخ ہو گیا",
    "he": "ההזמנה שלך בוטלה היום",
    "he-marks": "הַהַזְמָנָה שֶׁלְּךָ בֻּטְּלָה",
    "ko": "고객님의 주문이 취소되었습니다",
    "vi": "Đơn hàng của bạn đã bị hủy",
    "el": "Η παραγγελία σας ακυρώθηκε",
    "ru": "Ваш заказ отменён сегодня",
    "uk": "Ваше об'єднання скасовано",
    "tr": "Siparişiniz bugün iptal edildi",
    "ka": "თქვენი შეკვეთა გაუქმდა",
    "hy": "Ձեր պատվերը չեղարկվել է",
    "am": "ትዕዛዝዎ ዛሬ ተሰርዟል",
    "de": "Ihre Bestellung wurde heute storniert",
    "fr": "aujourd’hui l'équipe répond",
    "yo": "Ọjà rẹ ti dé lónìí",
    "en": "We've cancelled the customer's order",
}


@pytest.mark.parametrize("language", SPACED)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_of_spaced_scripts(language, form):
    text = unicodedata.normalize(form, SPACED[language])
    assert len(words(text)) == len(text.split())
    assert words(text) == words(SPACED[language])
    assert words(text + " 4471!")[-1] == "4471"


# each Chinese character and Japanese letter is a word; Latin words and numbers stay whole
BY_LETTER = [
    ("您的灯坏了", 5),
    ("订单4472的灯坏了。", 7),
    ("我要退款，谢谢！", 6),
    ("ランプ", 3),
    ("注文4471は3,000円です。", 8),
    ("LX-200ランプ", 5),
    ("您的iPhone已发货", 6),
    ("𠮷野家", 3),
]


@pytest.mark.parametrize("text, n", BY_LETTER)
def test_words_of_scripts_without_blanks(text, n):
    assert len(words(text)) == count_words(text) == n


# (text, words counted by hand, tolerance as a share)
WITHOUT_BLANKS = [
    ("โคมไฟของคุณจะส่งในวันศุกร์นี้ค่ะ", 11, 0.25),
    ("ขอบคุณที่ติดต่อฝ่ายบริการลูกค้าของเรา", 8, 0.25),
    ("กรุณารอประมาณสามถึงห้าวันทำการ", 8, 0.25),
    ("ลูกค้าต้องการเงินคืนเพราะสินค้าชำรุด", 7, 0.25),
    ("ช่างเทคนิคจะมาถึงบ้านของคุณในวันอังคารเวลาเก้าโมงเช้า", 15, 0.25),
    ("เราได้รับคำสั่งซื้อหมายเลข 4471 เรียบร้อยแล้ว", 9, 0.35),
]


@pytest.mark.parametrize("text, n, off", WITHOUT_BLANKS)
def test_words_of_thai(text, n, off):
    assert abs(count_words(text) - n) <= off * n
    assert unicodedata.normalize("NFKC", "".join(words(text))) == unicodedata.normalize(
        "NFKC", text.replace(" ", "")
    )


@pytest.mark.parametrize(
    "text", ["ໂຄມໄຟຂອງທ່ານຈະສົ່ງໃນວັນສຸກ", "ចង្កៀងរបស់អ្នកនឹងមកដល់នៅថ្ងៃសុក្រ", "သင့်မီးအိမ်ကိုသောကြာနေ့တွင်ပို့ပါမည်"]
)
def test_other_scripts_without_blanks_are_many_words(text):
    assert 5 <= count_words(text) <= len(text) // 2
    assert unicodedata.normalize("NFKC", "".join(words(text))) == unicodedata.normalize("NFKC", text)


MIXED = [
    ("Hello, 世界!", 3),
    ("Ihre Bestellung 4471 (LX-200) ist da.", 6),
    ("Prix : 40 € – livré", 3),
    ("👍🏽 ok 👨‍👩‍👧 fine", 2),
    ("e\u0301te\u0301", 1),
    ("co\u00adoperate", 1),
    ("rock’n’roll", 1),
    ("صفحة ٣ من ٥", 4),
    ("पृष्ठ ३", 2),
    ("Write to a.b@example.com or https://example.com/a?b=c.", 5),
    ("At 15:30 we sent 1,200.50 by e-mail", 7),
    ("请在2026年3月3日前回复", 11),
    ("", 0),
    ("…!?", 0),
    ("\u0301", 0),
]


@pytest.mark.parametrize("text, n", MIXED)
def test_words_of_mixed_text(text, n):
    assert count_words(text) == n


MARKS = """- |* |• |‣ |▪ |● |– |— |· |・|○ |■ |► |✓ |✔ |✅ |➤ |➜ |→ |» |1. |12) 
(3) |a) |(b) |1️⃣ |2️⃣ |10️⃣ |🔟 |① |⑫ |❷ |⑴ |1、
１．
（１）|一、|（二）|١. |१. |๑. |১) |iv. |(ii) |# |### |- [ ] |- [x] |☐ |☑ |◆ |★ """


@pytest.mark.parametrize("mark", MARKS.replace("\n", "|").split("|"))
def test_marks_of_lists_come_off(mark):
    text = f"{mark}Your order is noted.\n{mark}We send a new lamp."
    assert lines(text) == ["Your order is noted.", "We send a new lamp."]


@pytest.mark.parametrize(
    "text",
    [
        "-5 degrees",
        "3.50 dollars",
        "1st place",
        "A lamp",
        "I agree.",
        "mixed metals",
        "一つの灯",
        "*bold* text",
    ],
)
def test_what_is_no_mark_stays(text):
    assert lines(text) == [text]


LABELS = [
    ("客服：您好", ("客服", "您好")),
    ("お客様：壊れました", ("お客様", "壊れました")),
    ("고객: 안녕하세요", ("고객", "안녕하세요")),
    ("ग्राहक: नमस्ते", ("ग्राहक", "नमस्ते")),
    ("العميل: مرحبا", ("العميل", "مرحبا")),
    ("Kundin (Jana): Hallo", ("Kundin (Jana)", "Hallo")),
    ("Client : bonjour", ("Client", "bonjour")),
    ("We met at 10:30 today", ("", "We met at 10:30 today")),
    ("我们10:30见", ("", "我们10:30见")),
]


@pytest.mark.parametrize("line, expected", LABELS)
def test_labels(line, expected):
    assert split_label(line) == expected


FORMS = [
    ("Guten Tag Frau Eze,", "greeting"),
    ("Sehr geehrter Herr Dr. Weiß,", "greeting"),
    ("Bonjour Madame Diallo,", "greeting"),
    ("Estimada señora Ruiz:", "greeting"),
    ("Gentile dott.ssa Rossi,", "greeting"),
    ("Geachte heer De Vries,", "greeting"),
    ("Prezada Sra. Souza,", "greeting"),
    ("Bästa fru Lund,", "greeting"),
    ("Szanowna Pani Nowak,", "greeting"),
    ("Dear Prof. O'Neill:", "greeting"),
    ("Mit freundlichen Grüßen", "closing"),
    ("Bien à vous,", "closing"),
    ("Un saludo,", "closing"),
    ("Distinti saluti", "closing"),
    ("Met vriendelijke groet,", "closing"),
    ("Atenciosamente,", "closing"),
    ("Vänliga hälsningar", "closing"),
    ("Z poważaniem", "closing"),
    ("متى يصل المصباح؟", "question"),
    ("灯坏了吗？", "question"),
    ("መቼ ይመጣል፧", "question"),
    ("Die Lampe kommt am Freitag.", ""),
    ("Hello world is a program of ours that you bought.", ""),
]


@pytest.mark.parametrize("text, form", FORMS)
def test_forms_of_parts(text, form):
    assert [p.form for p in parts(text)] == [form]


def test_a_keycap_in_front_is_no_value():
    from crmeval.core.values import values

    assert values("1️⃣ Your order is noted.\n2️⃣ We send a lamp.") == []


HOSTILE = [
    "\u0301",
    "a\u0301",
    "。",
    "．",
    "।",
    "।a",
    "「」",
    "z. ",
    "z. B. ",
    "3. ",
    "am 3. ",
    "...",
    "… ",
    "ก",
    "เ",
    "ကျ",
    "한",
    "1️⃣",
    "（",
    "：",
    "\u200d",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_length(piece):
    text = piece * (50_000 // len(piece))
    start = time.process_time()
    parts(text), words(text)
    assert cpu_since(start) < 6
