"Toxicity: identity terms, goods, negated insults, unsupported languages, disguised words."

import time

import pytest
from pace import cpu_since

from crmeval.detect.toxicity import EmbeddedDetector, harmless_words, neutral_reading, readable
from crmeval.metrics.toxicity import toxicity_score

CLEAN = [
    "I am a gay man and I need a refund.",
    "I'm a lesbian and my partner ordered it for me.",
    "As a Muslim woman I would like to know whether the menu is halal.",
    "We are a Jewish family and eat kosher. Which meals do you have?",
    "My son is autistic and needs a quiet room.",
    "My wife is blind and uses a screen reader with your app.",
    "I am deaf, so please write to me instead of calling.",
    "As a trans woman I would like to change the name on my account.",
    "My husband is Chinese and prefers the other form.",
    "Adult diapers and condoms are in aisle 4.",
    "Strip the wire and screw the nipple fitting.",
    "The breast pump is back in stock in both sizes.",
    "Screw the male connector into the female socket with a wrench.",
    "Vaginal cream is available at the pharmacy without prescription.",
    "The cock and the hens come with a feeder.",
    "Kill the process on the server and restart the script.",
    "Rubber washers and ball valves are on shelf 12.",
    "Lubricant for the chain is in aisle 7, in a bottle of 100 ml.",
    "The nipple grease fitting takes a hose of 8 mm.",
    "He is not a fool, nor is he stupid.",
    "The agent was never rude or stupid.",
    "I am not stupid.",
    "She isn't an idiot and the manual is hard to read.",
    "They were neither dumb nor lazy.",
    "Your manager is not an idiot.",
    "Thank you for the refund, it arrived today.",
    "The parcel is late again and nobody answers the phone.",
]


@pytest.mark.parametrize("text", CLEAN)
def test_words_that_harm_nobody_where_they_stand(text):
    score = toxicity_score(text)
    assert (score.status, score.label) == ("ok", "clean"), score.reason


TOXIC = [
    "You are an idiot.",
    "You are not stupid, you idiot.",
    "I am a gay man and you are scum.",
    "I am not racist, but all Muslims are vermin and should be killed.",
    "All gays should die.",
    "I hate Jews.",
    "Black people are stupid.",
    "y0u are an 1d10t",
    "you are an i d i o t",
    "You are such a m0r0n",
    "Y\u043eu are an idi\u043et.",
    "You fucking idiot, where is my order?",
    "I will kill you.",
    "We are a proud family and all immigrants are vermin.",
    "Fuck you and your server.",
    "Don't be nice to these filthy immigrants, they are parasites.",
    "He is not a man, he is a worthless piece of shit.",
]


@pytest.mark.parametrize("text", TOXIC)
def test_attacks_stay_attacks(text):
    score = toxicity_score(text)
    assert (score.status, score.label) == ("ok", "toxic"), score.reason


UNREAD = [
    "Du bist ein Idiot.",
    "Sie sind ein Idiot und ein Clown.",
    "Tu es un idiot.",
    "Eres un idiota y un estúpido.",
    "Sei un idiota.",
    "Você é um idiota.",
    "Jij bent een idioot.",
    "Du är en idiot.",
    "Ty jesteś idiota.",
    "ты идиот",
    "Ты полный идиот, верни деньги!",
    "你是个白痴",
    "お前は馬鹿だ",
    "너는 바보야",
    "أنت غبي",
    "Ich werde dir morgen weh tun.",
    "Sen aptal bir insansın ve bunu biliyorsun.",
]


@pytest.mark.parametrize("text", UNREAD)
def test_other_languages_have_no_score(text):
    score = toxicity_score(text)
    assert (score.status, score.label, score.fraction) == ("undefined", None, None)


@pytest.mark.parametrize(
    "text",
    ["All clear, thanks.", "Mei Lin called.", "Order 4711 arrived", "Refund approved", "See you on Monday"],
)
def test_short_english_is_read(text):
    assert toxicity_score(text).status == "ok"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("strip the wire", ["goods"]),
        ("strip for me", []),
        ("strip the wire, you slut", []),
        ("i am gay", ["oneself"]),
        ("i am sick of gays", []),
        ("he is not stupid", ["denied"]),
        ("he is not only stupid", []),
        ("it is not late, stupid", []),
        ("women are not stupid", []),
    ],
)
def test_which_words_are_harmless(text, kinds):
    assert [kind for *_, kind in harmless_words(text)] == kinds


def test_a_text_without_such_words_is_counted_as_it_stands():
    for text in TOXIC[:6]:
        assert neutral_reading(text) == readable(text)


@pytest.mark.parametrize(
    "hostile",
    ["i am a ", "not stupid ", "strip wire ", "my ", "we gay ", "as a gay and ", ", ", "i am the the "],
)
def test_hostile_text_is_read_in_time(hostile):
    start = time.process_time()
    harmless_words((hostile * 50_000)[:4_000])
    toxicity_score((hostile * 50_000)[:20_000])
    assert cpu_since(start) < 2


@pytest.mark.parametrize(
    "text",
    [
        "You are a \U0001f921.",
        "You a**hat, send it back!",
        "What a bunch of id!ots you are, you stupid fools.",
        "You sound like an absolute dipshittery of a firm, you shithole.",
        "You suck, and so does your mother.",
        "Have sex with me tonight.",
    ],
)
def test_disguised_and_new_words_are_read(text):
    assert toxicity_score(text).label == "toxic"


@pytest.mark.parametrize(
    "text",
    [
        "You treated me like a fool in front of the queue.",
        "Please do not take us for idiots.",
        "The mustard and the custard are out of date.",
        "Do you have shitake mushrooms?",
        "My leotard came in the wrong size!!!",
        "The B&B was full, so we stayed at the H*M hotel.",
        "That was damn quick, thank you!",
        "Your app is useless on a tablet.",
    ],
)
def test_likenesses_harm_nobody(text):
    score = toxicity_score(text)
    assert (score.status, score.label) == ("ok", "clean"), score.reason


def test_a_detection_says_how_sure_it_is():
    sure, numbers, foreign = EmbeddedDetector().detect(
        ["Thank you for the quick reply.", "12.50 | 13.00 | 14.20\n" * 9, "Ich warte auf die Antwort."]
    )
    assert sure.confidence > 0.8
    assert [(d.status, d.confidence, d.scores) for d in (numbers, foreign)] == [("undefined", None, {})] * 2


@pytest.mark.parametrize("hostile", ["me like ", "a*", "fuck", "f@", "\U0001f921", "you IDIOT", "x!y&"])
def test_hostile_words_are_read_in_time(hostile):
    start = time.process_time()
    EmbeddedDetector().detect([(hostile * 50_000)[:50_000]])
    assert cpu_since(start) < 2


NAMED = [
    "Thank you, Mr Butt. The technician comes on Thursday.",
    "Dick Sanderson from logistics has confirmed the delivery.",
    "I have copied Ms. Dyke, who looks after your account.",
    "Hello Randy, here is the quote that you asked for.",
    "The driver left the box with your neighbour, Anna Hooker.",
    "Dr. Cock will see you at noon.",
    "Fanny Moreau has changed the booking for you.",
]


@pytest.mark.parametrize("text", NAMED)
def test_names_are_no_abuse(text):
    assert toxicity_score(text).label == "clean"


GOODS = [
    "We have sent you a new breast pump, and it should arrive on Tuesday.",
    "Your breast cancer screening is covered in full.",
    "You are covered for breast reconstruction after an operation.",
    "You can collect your nipple cream at the counter.",
    "Our nurse can show you how to use the anal fissure ointment.",
    "We cover sexual health checks for you and your partner.",
    "Your smoked duck breast fillets were packed in dry ice.",
    "Your nursing bra will be with you on Friday.",
    "Your ball cock valve is the right part for the cistern.",
]


@pytest.mark.parametrize("text", GOODS)
def test_goods_and_medicine_are_no_abuse_in_an_answer_to_somebody(text):
    assert toxicity_score(text).label == "clean"


@pytest.mark.parametrize(
    "text",
    [
        "You Dick, answer me.",
        "Mr Smith, you are a dickhead.",
        "Show me your breasts, now.",
        "Suck my dick, Karen.",
        "Your breast pump is for stupid sluts.",
        "What an idiot runs this shop?",
        "He called me a liar and he is a fucking moron.",
    ],
)
def test_a_name_or_goods_beside_it_excuse_no_abuse(text):
    assert toxicity_score(text).label == "toxic"


@pytest.mark.parametrize(
    "text",
    [
        "Your agent called me a liar in front of my son.",
        "My invoice is a joke, and your portal is useless.",
        "I feel that I was made a fool of with that fake discount.",
        "We were treated like idiots at the counter.",
        "The hinge is garbage and our shelf fell down.",
    ],
)
def test_complaints_in_strong_words_are_clean(text):
    assert toxicity_score(text).label == "clean"
