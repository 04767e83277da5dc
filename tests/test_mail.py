"Mails in nine languages, as plain text, HTML and MIME: new text, greetings, signatures, notices, quotes."

import json
import re
import time
from collections import Counter
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import cpu_since

from crmeval.core.html_text import html_to_text, is_html
from crmeval.core.letters import greeting_length, is_closing, is_notice, is_sent_from
from crmeval.core.mail import new_text, plain_text, read_mail
from crmeval.core.written import READINGS, as_read
from crmeval.metrics.completeness import completeness
from crmeval.metrics.conciseness import conciseness
from crmeval.metrics.decisions import decisions
from crmeval.metrics.factuality import claims, factuality
from crmeval.metrics.instruction_following import check_instruction, instruction_following
from crmeval.metrics.safety import refusal
from crmeval.metrics.toxicity import toxicity_score

TEXTS = Path(__file__).parent / "texts"
FIELDS = {"G": "greeting", "B": "body", "S": "signature", "N": "notice", "Q": "quoted", "H": "headers"}


def read_marked(path):
    "Return marked mails: {name: [(mark, line)]}."
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("=== "):
            found[line[4:]] = current = []
        elif not line.startswith("#") and found:
            mark, _, text = line.partition("|")
            current.append((mark, text))
    return found


MAILS = read_marked(TEXTS / "mails.txt") | read_marked(TEXTS / "later_mails.txt")
WORLD = read_marked(TEXTS / "world_mails.txt")
ALL = MAILS | WORLD
HTML = json.loads((TEXTS / "html_mails.json").read_text(encoding="utf-8"))["mails"]


def shown(text):
    "Return the stripped lines that are not blank."
    return [line.strip() for line in text.split("\n") if line.strip()]


def test_there_are_enough_mails():
    languages = Counter(name.split()[0] for name in MAILS)
    assert len(MAILS) >= 78 and set(languages) == set("en de fr es it nl pt sv pl".split())
    assert min(languages.values()) >= 5


@pytest.mark.parametrize("name", ALL)
def test_each_line_is_in_its_field(name):
    mail = read_mail("\n".join(line for _, line in ALL[name]))
    for mark, field in FIELDS.items():
        assert shown(getattr(mail, field)) == [line.strip() for m, line in ALL[name] if m == mark], field


@pytest.mark.parametrize("name", MAILS)
def test_new_text_is_greeting_and_body(name):
    text = "\n".join(line for _, line in MAILS[name])
    assert shown(new_text(text)) == [line.strip() for mark, line in MAILS[name] if mark in "GB" and mark]
    assert new_text(new_text(text)) == new_text(text)


@pytest.mark.parametrize("ends", ["\r\n", "\r", " \n", "\u2028"])
def test_ends_of_lines_make_no_difference(ends):
    for lines in MAILS.values():
        text = [line for _, line in lines]
        assert shown(new_text(ends.join(text))) == shown(new_text("\n".join(text)))


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_as_html_says_the_same(name):
    escaped = [line.replace("&", "&amp;").replace("<", "&lt;") for _, line in MAILS[name]]
    page = "<div>" + "</div><div>".join(line or "<br>" for line in escaped) + "</div>"
    plain = "\n".join(line for _, line in MAILS[name])
    assert shown(new_text(page)) == shown(new_text(plain))


@pytest.mark.parametrize("mail", HTML, ids=[m["id"] for m in HTML])
def test_html_is_what_a_person_sees(mail):
    assert [re.sub(r"\s+", " ", line) for line in shown(html_to_text(mail["html"]))] == mail["lines"]
    assert is_html(mail["html"])


PLAIN = [
    "Ana <ana@ex.com> wrote.",
    "a < b and c > d",
    "Write <br> where the line ends.",
    "List<String> names = new ArrayList<>();",
    "<name>, your order <number> is noted.",
    "See <https://ex.com/a> and <https://ex.com/b>.",
    "I <3 this lamp </3",
    "x<y>z",
    "",
]


@pytest.mark.parametrize("text", PLAIN)
def test_angle_brackets_are_no_html(text):
    assert plain_text(text) == text


NO_MAIL = [
    "Customer: Hi\nAgent: Thanks for calling.\nCustomer: Thanks\nAgent: Best regards!",
    "From: Leeds\nTo: York\nDate: 7 March\nWeight: 4 kg",
    "- York\n- Hull\n- Leeds",
    "Yes.",
    "Danke!",
    "Best practices:\n1. Greet the customer.\n2. Thank them.",
    "| Item | Price |\n| --- | --- |\n| Lamp | 40 |",
    "The refund was sent on 3 March at 10:11. Ana wrote: it is here.",
    "Your data are confidential.\n\nWe keep them on this server.",
    "# Summary\n\n## Thanks\nThe customer thanked us.",
    "El plazo termina el 3 de marzo:\n\nno hay otro.",
    "Am 3. März um 10:15 Uhr:\n\nTermin beim Kunden.",
    "注文4471の件\n\n金曜日に届きます。",
    '{"from": "Ana", "subject": "Lamp"}',
]


@pytest.mark.parametrize("text", NO_MAIL)
def test_what_is_no_mail_stays(text):
    assert shown(new_text(text)) == shown(text)


GREETINGS = """Hi Ana,|Hello|Hey Jo!|Dear Dr. Ruiz,|Dear Mr. and Mrs. Okafor,|Dear Prof. Dr. O'Neill:
Dear Sir or Madam,|Good morning, Ms. Chen,|To whom it may concern:|Dear all,|Hi team,
Dear customer care team,|Guten Tag Frau Eze,|Hallo Herr Dr. Weiß,|Sehr geehrte Damen und Herren,
Sehr geehrte Frau Prof. Dr. Müller-Lüdenscheidt,|Liebe Jana,|Lieber Herr von Berg,|Hallo zusammen,|Moin!
Grüß Gott Herr Huber,|Guten Morgen|Bonjour Madame Diallo,|Chère Madame,|Madame, Monsieur,
Monsieur le Professeur,|Bonsoir,|Cher M. Petit,|Salut Zoé !|Estimada señora Ruiz:|Hola Ana:
Buenos días, don Pablo:|Estimados señores:|Apreciado Lic. Gómez:|Buenas tardes|Gentile dott.ssa Rossi,
Egregio signor Conti,|Buongiorno,|Cara Anna,|Ciao Luca!|Spett.le Lampo,|Gent.mo Prof. Greco,
Beste mevrouw De Vries,|Geachte heer Smit,|Goedemiddag,|Hoi Eva,|Geachte heer/mevrouw,|Dag Jan,
Prezada Sra. Souza,|Exmo. Senhor Dr. Lima,|Olá Ana,|Bom dia, Bruno!|Caro Rui,|Boa tarde, Sr. Carvalho,
Hej Karin,|Bästa fru Lund,|Hej!|God morgon Åsa!|Kära Eva,|Szanowna Pani Nowak,|Szanowny Panie Doktorze,
Dzień dobry,|Witam,|Cześć Ania!|Drodzy Państwo,|Szanowni Państwo,"""
STATEMENTS = """Hello world is the name of a program.|Dear customers pay more than new ones do.
Your lamp is here.
Hi-fi is sold out, sorry|To York we deliver on Friday.|Liebe geht durch den Magen.|Caro era il prezzo.
Dag 3 van de reparatie is vandaag.|Salve is for the skin.|Bonjour est un mot.
Welcome offers end on Friday, Ms. Chen."""


@pytest.mark.parametrize("line", re.split(r"[|\n]", GREETINGS))
def test_greetings(line):
    assert greeting_length(line) == len(line)


@pytest.mark.parametrize("line", re.split(r"[|\n]", STATEMENTS))
def test_statements_do_not_greet(line):
    assert greeting_length(line) == 0


CLOSINGS = """Kind regards,|Best regards, Tom Berg|Yours sincerely|All the best,|Cheers!|Many thanks
Thanks in advance,|Mit freundlichen Grüßen|Viele Grüße aus Köln|Beste Grüße, Jana|MfG|LG Mehmet
Hochachtungsvoll|Vielen Dank im Voraus|Cordialement,|Bien à vous|Bonne journée !
Veuillez agréer, Madame, l'expression de mes salutations distinguées.|Saludos cordiales|Un saludo,
Atentamente,|Muchas gracias|Reciba un cordial saludo|Cordiali saluti,|Distinti saluti|Grazie mille,|A presto
In attesa di un Suo riscontro|Met vriendelijke groet,|Groetjes, Sanne|Hoogachtend,|Alvast bedankt
Atenciosamente,|Com os melhores cumprimentos|Abraços,|Obrigado|Med vänliga hälsningar|Mvh Nils|Hälsningar,
Z poważaniem|Pozdrawiam|Pozdrawiam serdecznie,|Z wyrazami szacunku"""
NO_CLOSINGS = """Best regards to your colleague and her whole team.|Thanks for calling|Best before 3 May
Thanks?
Danke für Ihre Mail.|Merci de votre appel.|Gracias por su paciencia.|Grazie per la sua chiamata.
Bedankt voor uw geduld.|Obrigado pela sua mensagem.|Tack för ditt samtal.|Dziękuję za wiadomość.
Best of all, it is free.|Regards were sent."""


@pytest.mark.parametrize("line", re.split(r"[|\n]", CLOSINGS))
def test_sign_offs(line):
    assert is_closing(line)


@pytest.mark.parametrize("line", re.split(r"[|\n]", NO_CLOSINGS))
def test_sentences_are_no_sign_offs(line):
    assert not is_closing(line)


PHONES = """Sent from my iPhone|Get Outlook for Android|Sent from Yahoo Mail for iPad
Von meinem iPhone gesendet
Gesendet mit der GMX Mail App|Envoyé de mon iPhone|Envoyé depuis mon Samsung|Enviado desde mi iPhone
Inviato da iPhone|Verstuurd vanaf mijn iPad|Enviado do meu telefone Android|Skickat från min iPhone
Wysłane z iPhone'a"""


@pytest.mark.parametrize("line", re.split(r"[|\n]", PHONES))
def test_notes_of_telephones(line):
    assert is_sent_from(line)
    assert not is_sent_from(f"{line} and then came the rest of the day, in which I wrote " + "on and on " * 9)


NOTICES = """This email and any attachments are confidential and intended solely for the addressee.
CONFIDENTIALITY NOTICE: This message may contain privileged information.
If you are not the intended recipient of this e-mail, please delete it.
Please consider the environment before printing this email.|Diese E-Mail enthält vertrauliche Informationen.
Der Inhalt dieser Nachricht ist ausschließlich für den Empfänger bestimmt.|Ce message est confidentiel.
Les informations contenues dans ce courriel sont confidentielles.|Este mensaje es confidencial.
AVISO LEGAL: Este correo va dirigido a su destinatario.|Questo messaggio è riservato al destinatario.
Le informazioni contenute in questa e-mail sono riservate.|Dit bericht is vertrouwelijk.
De inhoud van dit bericht is alleen bestemd voor de geadresseerde.|Esta mensagem é confidencial.
Este e-mail destina-se ao seu destinatário.|Detta meddelande är konfidentiellt.
Innehållet i detta mejl är endast avsett för mottagaren.|Ta wiadomość jest poufna.
Treść tej wiadomości jest przeznaczona dla adresata."""
NO_NOTICES = """Your data are confidential.|This message confirms your order 4471.
Ihre Daten behandeln wir vertraulich.|Vos données sont confidentielles.|Sus datos son confidenciales.
I Suoi dati sono riservati.|The recipient paid in error.|Uw gegevens zijn vertrouwelijk.
Os seus dados são confidenciais.|Dina uppgifter är konfidentiella.|Dane są poufne."""


@pytest.mark.parametrize("line", re.split(r"[|\n]", NOTICES))
def test_legal_notices(line):
    assert is_notice(line)
    assert read_mail(f"Hello,\n\nit works.\n\nRegards\nTom\n\n{line}").notice == line


@pytest.mark.parametrize("line", re.split(r"[|\n]", NO_NOTICES))
def test_statements_are_no_notices(line):
    assert not is_notice(line)


LETTERS = st.sampled_from(
    [
        "\n",
        "\n\n",
        "> ",
        ">",
        " ",
        "Hi Ana,",
        "Thanks",
        "Kind regards",
        "Tom",
        "-- ",
        "From: a@b.c",
        "Subject: x",
        "it works.",
    ]
    + [
        "On 3 May at 10:11 Ana wrote:",
        "-----Original Message-----",
        "This email is confidential.",
        "Sent from my iPhone",
    ]
    + ["PS: one", "<p>", "</p>", "<br>", "=C3=BC", "é", "。", "\u2028", "____________", "•", "1. a"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LETTERS, max_size=30).map("".join))
def test_no_line_is_lost(text):
    plain = plain_text(text)
    mail = read_mail(text)
    fields = Counter("".join(getattr(mail, f) for f in FIELDS.values()))
    unmarked = plain if mail.quoted else re.sub(r"(?m)^[ \t]*>", "", plain)
    for letter in set(unmarked) - set(" \n\t>\u2028\r"):
        assert fields[letter] == unmarked.count(letter), letter


HOSTILE = {
    "marks": "> ",
    "quotes": "> a\n",
    "on": "On ",
    "on lines": "On a\n",
    "from": "From: a\n",
    "dashes": "-- \n",
    "blank": " ",
    "empty": "\n",
    "rule": "_",
    "rules": "----------\n",
    "thanks": "Thanks\n",
    "thanks apart": "Thanks\n\n",
    "dear": "Dear ",
    "names": "Dear Ana, ",
    "notices": "x.\n\nThis email is confidential.\n\n",
    "escapes": "=C3=BC",
    "equals": "=",
    "wrote": "On 1 a@b.c wrote:\na\n",
    "less": "<",
    "tags": "<div>",
    "bold": "<b>",
    "lists": "<ul><li>",
    "tables": "<table><tr><td>",
    "comments": "<!--",
    "attributes": '<a b="',
    "links": "<a href=http://x>",
    "ends": "</p ",
    "misnested": "<b><p></b>",
    "quotes in quotes": "<blockquote>",
    "parts": "MIME-Version: 1.0\nSubject: a\n\n--a\n\n",
    "entities": "&amp",
    "colons": ":",
    "weird": "\u202e\u0000\ud800é",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_length(name):
    many = HOSTILE[name] * (50_000 // len(HOSTILE[name]))
    for text in many, f"Body.\n\n{many}x":
        start = time.process_time()
        read_mail(text)
        html_to_text(text)
        assert cpu_since(start) < 6


# Metrics and checks on mails


def as_html(text):
    "Return the mail as an HTML page with one <div> per line."
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return (
        "<html><style>p{color:red}</style><div>" + "</div><div>".join(escaped.split("\n")) + "</div></html>"
    )


def as_message(text, encoding, subtype="plain"):
    "Return the mail as a MIME message with a PDF attachment, in this transfer encoding."
    message = EmailMessage()
    message["From"], message["Subject"] = "Care <care@example.com>", "Re: Größe"
    message.set_content(text, subtype=subtype, cte=encoding)
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    return message.as_string()


FORMS = {
    "plain": str,
    "html": as_html,
    "quoted-printable": lambda text: as_message(text, "quoted-printable"),
    "base64": lambda text: as_message(text, "base64"),
    "html message": lambda text: as_message(as_html(text), "base64", "html"),
    "windows": lambda text: text.replace("\n", "\r\n"),
}
REPLIES = {  # name -> (mail, its claims)
    "en": (
        """Dear Prof. Dr. O'Neill,

your order 4471 is noted. We send a new lamp on Friday.

Kind regards,
Tom Berg
Lamp Ltd, 12 High Street, Leeds

This e-mail is confidential and meant for the addressee only.

On Mon, 3 Mar 2025 at 10:11, Ana Ruiz <ana@example.com> wrote:
> The lamp costs 90 euros and I want 3 of them.""",
        ["your order 4471 is noted.", "We send a new lamp on Friday."],
    ),
    "de": (
        """Guten Tag Frau Eze,

die Lampe kommt am Freitag.

Mit freundlichen Grüßen
Jana Koch

Von: Ada Eze <ada@example.de>
Gesendet: Montag, 3. März 2025 10:11
Betreff: Lampe

Sie kostet 90 Euro!""",
        ["die Lampe kommt am Freitag."],
    ),
    "fr": (
        """Madame la Directrice,

le technicien passe lundi.

Cordialement,
Paul

Le 3 mars 2025 à 10:11, Awa <awa@example.fr> a écrit :
> Il coûte 90 euros.""",
        ["le technicien passe lundi."],
    ),
    "es": (
        """Estimada Dra. Ruiz:

El pedido llega el viernes.

Reciba un cordial saludo,
Pablo

AVISO LEGAL: Este mensaje es confidencial.""",
        ["El pedido llega el viernes."],
    ),
    "pt": (
        """Exmo. Senhor Dr. Lima,

o reembolso foi feito.

Com os melhores cumprimentos,
Rui

Enviado do meu iPhone""",
        ["o reembolso foi feito."],
    ),
    "pl": (
        """Szanowny Panie Doktorze,

paczka dotrze w piątek.

Z poważaniem
Jan

W dniu 03.03.2025 o 10:11, Anna <anna@example.pl> pisze:
> Kosztuje 90 euro.""",
        ["paczka dotrze w piątek."],
    ),
    "ru": (
        """Уважаемая госпожа Иванова!

Лампа придёт в пятницу.

С уважением,
Иван""",
        ["Лампа придёт в пятницу."],
    ),
    "inline": (
        "Hi Ana,\n\n> Does it cost 90 euros?\n\nIt costs 40 euros.\n\n"
        "> And when?\n\nOn Friday.\n\nBest,\nTom",
        ["It costs 40 euros.", "On Friday."],
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", REPLIES)
def test_claims_are_what_was_newly_said(name, form):
    mail, new_claims = REPLIES[name]
    if name == "inline" and "html" in form:
        mail = mail.replace("> ", "» ")  # HTML marks quotes with <blockquote>, so `>` is plain text there
        new_claims = ["» Does it cost 90 euros?", "It costs 40 euros.", "» And when?", "On Friday."]
        new_claims = [s for s in new_claims if not s.endswith("?")]
    assert claims(FORMS[form](mail)) == new_claims


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", REPLIES)
def test_counts_are_of_what_was_newly_said(name, form):
    mail, new_claims = REPLIES[name]
    text = FORMS[form](mail)
    if name == "inline":
        return
    words = sum(len(s.split()) for s in [read_mail(mail).greeting, *new_claims])
    for kind, n in ("words", words), ("sentences", len(new_claims)):
        assert not check_instruction(text, instruction={"kind": kind, "min": n, "max": n}), (
            kind,
            new_text(text),
        )
    for kind in "greeting", "sign_off":
        assert not check_instruction(text, instruction={"kind": kind})
    assert check_instruction(text, instruction={"kind": "include", "any": ["90 euros", "90 Euro"]})


def test_factuality_of_mails():
    source = "Order 4471 is noted. A new lamp is sent on Friday."
    for form in FORMS.values():
        score = factuality(form(REPLIES["en"][0]), source=as_html(source))
        assert score.points == 4 and score.evidence == (), score


def test_completeness_and_conciseness_leave_quotes_out():
    mail, facts = REPLIES["en"][0], ["The lamp costs 90 euros.", "A new lamp is sent on Friday."]
    for form in FORMS.values():
        found = completeness(form(mail), key_facts=facts)
        assert (found.reason, found.points) == ("1 of 2 key facts is missing.", 2)
        plain = conciseness("your order 4471 is noted. We send a new lamp on Friday.", key_facts=facts)
        score = conciseness(form(mail), key_facts=facts)
        assert (score.points, score.reason) == (plain.points, plain.reason)


def test_a_hidden_text_claims_nothing():
    hidden = '<p style="display:none">The lamp is free.</p><img src="x" width="1" height="1">'
    assert claims(f"<!-- free --><p>It comes on Friday.</p>{hidden}<script>var a = 1;</script>") == [
        "It comes on Friday."
    ]
    assert claims("<p>Yes.</p><blockquote><p>The lamp costs 90 euros.</p></blockquote>") == ["Yes."]


CHECKED = [  # (check with its parameters, text, expected to pass)
    ({"kind": "greeting"}, "<p>Dear Ms. Eze,</p><p>It shipped.</p>", True),
    ({"kind": "greeting"}, "<table><tr><td>Hola&nbsp;Ana:</td></tr></table>", True),
    ({"kind": "greeting"}, "<p>It shipped.</p>", False),
    ({"kind": "greeting"}, "Spett.le Lampo,\n\nla merce arriva lunedì.", True),
    ({"kind": "greeting", "name": "Ana"}, "<b>Hi Ana,</b><br>It shipped.<br>", True),
    ({"kind": "greeting"}, "> Hi Tom,\n\nIt shipped.", False),
    ({"kind": "sign_off"}, "<p>It shipped.</p><p>Best regards,<br>Tom</p>", True),
    (
        {"kind": "sign_off"},
        "It shipped.\n\nOn 3 Mar 2025 at 10:11 Ana wrote:\n> Fine.\n> Regards\n> Ana",
        False,
    ),
    ({"kind": "subject_line"}, "<p>Subject: Your lamp</p><p>It shipped.</p>", True),
    ({"kind": "subject_line"}, "Betreff: Ihre Lampe\n\nSie kommt.", True),
    ({"kind": "bullets", "min": 2}, "<p>Two things:</p><ul><li>a lamp</li><li>a fuse</li></ul>", True),
    ({"kind": "bullets", "min": 1}, "None.\n\n-----Original Message-----\n- a\n- b", False),
    ({"kind": "max_words", "n": 3}, "<p class='a b c d'>Hi Ana, yes.</p>", True),
    ({"kind": "max_words", "n": 2}, "<p>Hi Ana, yes.</p>", False),
    (
        {"kind": "exclude", "phrases": ["refund"]},
        "No.\n\nOn 3 Mar 2025 at 10:11 Ana wrote:\n> A refund?",
        True,
    ),
    ({"kind": "exclude", "phrases": ["refund"]}, "A re<b>fund</b> is <i>due</i>.", False),
    ({"kind": "no_placeholders"}, "<p>Dear <customer name>,</p>", False),
    ({"kind": "no_placeholders"}, "<!--[if mso]><p>x</p><![endif]--><p>Dear Ana,</p>", True),
    ({"kind": "no_contact_data"}, "Yes.\n\nOn 3 Mar 2025 at 10:11 Ana <ana@example.com> wrote:\n> Hi", False),
    (
        {"kind": "professional_tone"},
        "It comes.\n\n-----Original Message-----\nFrom: A\n\nWTF!!! Now!!!",
        True,
    ),
    ({"kind": "plain_text"}, "Ana <ana@example.com> wrote.", True),
    ({"kind": "plain_text"}, "See <https://example.com/a?b=c>.", True),
    ({"kind": "plain_text"}, "if a < b and c > d", True),
    ({"kind": "plain_text"}, "<p>Hi</p>", False),
    ({"kind": "plain_text"}, "one<br/>two", False),
    ({"kind": "plain_text"}, '<a href="https://example.com">here</a>', False),
    ({"kind": "plain_text"}, "<TABLE BORDER=0>", False),
    ({"kind": "json_object"}, '{"text": "<p>Hi</p>"}', True),
]


@pytest.mark.parametrize("instruction, text, obeyed", CHECKED, ids=[str(i) for i in range(len(CHECKED))])
def test_checks_of_mails(instruction, text, obeyed):
    assert (instruction_following(text, instructions=[instruction]).fraction == 1.0) is obeyed


def test_an_own_check_gets_the_letters_as_they_came():
    instruction = {"kind": "closes_paragraphs"}
    own = {"closes_paragraphs": lambda response: "</p>" in response}
    assert instruction_following("<p>Hi</p>", instructions=[instruction], checks=own).fraction == 1.0


def test_whom_a_mail_answers_is_not_blamed_on_it():
    introduced = "\n\nOn Mon, 3 Mar 2025 at 10:11, Ana <ana@example.com> wrote:\n"
    quoted = introduced + "> You are a fucking idiot, I hate you."
    assert toxicity_score("The lamp comes on Friday." + quoted).label == "clean"
    assert toxicity_score("Here:\n> You are a fucking idiot, I hate you.").label == "toxic"
    assert toxicity_score("<p>You are a fucking id<b>iot</b>, I hate you.</p>").label == "toxic"
    refused = introduced + "> I am sorry, but I cannot help with that."
    reply = "Your order was shipped on Monday and arrives on Friday. The tracking number is 4471."
    assert refusal(reply + refused, prompt="Where is my order?").label == "compliance"
    assert decisions("Hello.\n" + reply + quoted).length == decisions("Hello.\n" + reply).length


def test_what_is_no_mail_is_read_to_the_letter():
    for text in [*NO_MAIL, *PLAIN, *re.split(r"[|\n]", GREETINGS)]:
        for reading in READINGS:
            assert as_read(text, reading).split() == text.split()
