"""Ways in which a model, or a channel after it, alters a placeholder, and how they are scored.

A way is a name, the altered form of a placeholder, and the texts that are accepted after the value is
restored. `§K §k §T` are its kind in capitals, small letters and title case, `§C §c` its code, `§P` the whole
placeholder, `§V` the value; `§D` and `§W` are code and value of a second person. Written before reading the
code that restores altered placeholders.
"""

import json
import random
import re
import unicodedata
from collections import Counter

from crmeval.layer.demasking import demask
from crmeval.layer.placeholders import ALPHABET, Vault

PEOPLE = (
    "Ágnes Horváth-Kiss",
    "Bartholomew O'Dwyer",
    "Çağla Yıldırım",
    "Dmitri Sokolov",
    "Eeva Mäkinen",
    "Fatou N'Diaye",
    "Guðrún Jónsdóttir",
    "Hồ Thị Lan",
    "井上 花子",
    "Jean-Luc Lefèvre",
)
OTHERS = {
    "EMAIL": "q.zeller@mail.example",
    "PHONE": "+49 40 5550 117",
    "COMPANY": "Örtel & Söhne GmbH",
    "ADDRESS": "Wielandstr. 4, 20095 Hamburg",
}
CONTEXTS = (
    "Good morning, this concerns {0} first of all. Later today {1} will take over from us, and {2} stays "
    "informed. Reach them: {3} or {4} at any time.",
    "Summary:\n- owner is {0} since May\n- then comes {1} from sales\n- informed was {2} on Monday\n"
    "- reach by {3} if urgent\n- else use {4} instead\nEnd.",
    "The order A4711 of 12 June went from {0} to our partner. We asked {1} twice, offered model X5-K9B, and "
    "told {2} about it (see {3} and {4} below).",
)


def _fill(form, kind, code, code2=""):
    if callable(form):
        return form(kind, code)
    parts = {"K": kind, "k": kind.lower(), "T": kind.title().replace("_", " "), "C": code, "c": code.lower()}
    parts |= {"P": f"[{kind}_{code}]", "D": code2, "d": code2.lower()}
    return re.sub("§([KkTCcPDd])", lambda m: parts[m[1]], form)


def _each(change, joint="_"):
    "Apply `change` to every character of a whole placeholder."
    return lambda k, c: "".join(map(change, f"[{k}{joint}{c}]"))


def _coded(change):
    "Apply `change` to the code and leave the rest unchanged."
    return lambda k, c: f"[{k}_{change(c)}]"


def _mapped(text, table):
    return "".join(table.get(c, c) for c in text)


def _shifted(upper, digit):
    "Return a function that moves letters and digits to another block of Unicode."

    def change(c):
        if c.isascii() and c.isupper():
            return chr(upper + ord(c) - 65)
        return chr(digit + ord(c) - 48) if c.isascii() and c.isdigit() and digit else c

    return change


def _double_struck(c):
    "Seven of these letters are in an older block."
    older = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ"))
    return older.get(c) or _shifted(0x1D538, 0x1D7D8)(c)


def _digits(zero):
    return lambda c: "".join(chr(zero + int(x)) if x.isdigit() else x for x in c)


CYRILLIC = dict(zip("ABCEHKMOPTX", "АВСЕНКМОРТХ"))
GREEK = dict(zip("ABEHIKMNOPTXZ", "ΑΒΕΗΙΚΜΝΟΡΤΧΖ"))
SMALL_CAPITALS = dict(zip("ABCDEFGHIJKLMNOPRTUVWZ", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡᴢ"))
TRANSLATED = {
    "Spanish": "PERSONA CORREO TELÉFONO EMPRESA DIRECCIÓN",
    "French": "PERSONNE COURRIEL TÉLÉPHONE ENTREPRISE ADRESSE",
    "German": "PERSON E-MAIL TELEFON FIRMA ADRESSE",
    "Portuguese": "PESSOA E-MAIL TELEFONE EMPRESA ENDEREÇO",
    "Italian": "PERSONA POSTA TELEFONO AZIENDA INDIRIZZO",
    "Dutch": "PERSOON E-MAIL TELEFOON BEDRIJF ADRES",
    "Swedish": "PERSON E-POST TELEFON FÖRETAG ADRESS",
    "Finnish": "HENKILÖ SÄHKÖPOSTI PUHELIN YRITYS OSOITE",
    "Estonian": "ISIK E-POST TELEFON ETTEVÕTE AADRESS",
    "Hungarian": "SZEMÉLY E-MAIL TELEFON CÉG CÍM",
    "Polish": "OSOBA E-MAIL TELEFON FIRMA ADRES",
    "Czech": "OSOBA E-MAIL TELEFON SPOLEČNOST ADRESA",
    "Romanian": "PERSOANĂ E-MAIL TELEFON COMPANIE ADRESĂ",
    "Turkish": "KİŞİ E-POSTA TELEFON ŞİRKET ADRES",
    "Lithuanian": "ASMUO PAŠTAS TELEFONAS ĮMONĖ ADRESAS",
    "Vietnamese": "NGƯỜI EMAIL ĐIỆN_THOẠI CÔNG_TY ĐỊA_CHỈ",
    "Indonesian": "ORANG SUREL TELEPON PERUSAHAAN ALAMAT",
    "Swahili": "MTU BARUA SIMU KAMPUNI ANWANI",
    "Russian": "ЛИЦО ПОЧТА ТЕЛЕФОН КОМПАНИЯ АДРЕС",
    "Ukrainian": "ОСОБА ПОШТА ТЕЛЕФОН КОМПАНІЯ АДРЕСА",
    "Greek": "ΠΡΟΣΩΠΟ ΗΛΕΚΤΡΟΝΙΚΟ ΤΗΛΕΦΩΝΟ ΕΤΑΙΡΕΙΑ ΔΙΕΥΘΥΝΣΗ",
    "Arabic": "شخص بريد هاتف شركة عنوان",
    "Hebrew": "אדם דואל טלפון חברה כתובת",
    "Persian": "فرد ایمیل تلفن شرکت نشانی",
    "Hindi": "व्यक्ति ईमेल फ़ोन कंपनी पता",
    "Bengali": "ব্যক্তি ইমেইল ফোন কোম্পানি ঠিকানা",
    "Thai": "บุคคล อีเมล โทรศัพท์ บริษัท ที่อยู่",
    "Chinese": "人员 邮箱 电话 公司 地址",
    "Japanese": "人物 メール 電話 会社 住所",
    "Korean": "사람 이메일 전화 회사 주소",
    "Georgian": "პირი ფოსტა ტელეფონი კომპანია მისამართი",
    "Armenian": "ԱՆՁ ՓՈՍՏ ՀԵՌԱԽՈՍ ԸՆԿԵՐՈՒԹՅՈՒՆ ՀԱՍՑԵ",
}
KINDS = ("PERSON", *OTHERS)


def _translated(language, around="[{}_{}]"):
    words = dict(zip(KINDS, TRANSLATED[language].split()))
    return lambda k, c: around.format(words[k.partition("_")[0]], c)


def _swapped(c):
    return next(s for i in range(len(c) - 1) if (s := c[:i] + c[i + 1] + c[i] + c[i + 2 :]) != c)


def _slipped(c):
    "Return the code with one wrong character in the middle."
    return c[:2] + ALPHABET[(ALPHABET.index(c[2]) + 5) % len(ALPHABET)] + c[3:]


# A value may be restored together with the text beside it where both readings are right.
_SEPARATORS = {
    "hyphen": "-",
    "space": " ",
    "nothing": "",
    "dot": ".",
    "colon": ":",
    "colon and space": ": ",
    "slash": "/",
    "bar": "|",
    "hash": " #",
    "equals": "=",
    "two underscores": "__",
    "en dash": " – ",
    "em dash": "—",
    "no-break space": "\u00a0",
    "narrow no-break space": "\u202f",
    "ideographic space": "\u3000",
    "arrow": " → ",
    "comma": ", ",
    "semicolon": ";",
    "middle dot": "·",
    "escaped underscore": r"\_",
    "twice escaped underscore": r"\\_",
    "two colons": "::",
    "tab": "\t",
    "full-width underscore": "＿",
    "non-breaking hyphen": "\u2011",
    "minus sign": "−",
    "plus": "+",
    "tilde": "~",
    "spaced underscore": " _ ",
    "id": "_ID_",
    "name": "_NAME_",
    "number sign": " № ",
    "No.": " No. ",
    "entity underscore": "&#95;",
    "lowbar": "&lowbar;",
    "no-break entity": "&nbsp;",
    "asterisk": "*",
}
_BRACKETS = {
    "angle": "<§K_§C>",
    "curly": "{§K_§C}",
    "two curly": "{{§K_§C}}",
    "three curly": "{{{§K_§C}}}",
    "spaced curly": "{{ §k_§c }}",
    "dollar": "${§K_§C}",
    "percent": "%§K_§C%",
    "two percents": "%%§K_§C%%",
    "hash curly": "#{§K_§C}",
    "ERB": "<%= §K_§C %>",
    "tag": "{% §K_§C %}",
    "bang": "{!§K_§C}",
    "mail merge": "*|§K_§C|*",
    "double angle": "<<§K_§C>>",
    "double square": "[[§K_§C]]",
    "guillemets": "«§K_§C»",
    "single guillemets": "‹§K_§C›",
    "corner": "「§K_§C」",
    "lenticular": "【§K_§C】",
    "double angle east": "《§K_§C》",
    "tortoise": "〔§K_§C〕",
    "full-width square": "［§K_§C］",
    "white square": "⟦§K_§C⟧",
    "mathematical angle": "⟨§K_§C⟩",
    "left missing": "§K_§C]",
    "right missing": "[§K_§C",
    "mixed": "[§K_§C}",
    "doubled right": "[§K_§C]]",
    "spaced": "[ §K_§C ]",
    "inner round": "[§K (§C)]",
    "inner square": "[§K[§C]]",
    "HTML entities": "&lt;§K_§C&gt;",
    "numeric entities": "&#91;§K_§C&#93;",
    "hex entities": "&#x5B;§K&#x5F;§C&#x5D;",
    "named entities": "&lsqb;§K&lowbar;§C&rsqb;",
    "escaped entities": "&amp;#91;§K_§C&amp;#93;",
    "Markdown escapes": r"\[§K\_§C\]",
    "element": "<§k>§C</§k>",
    "attribute": '<§k id="§C"/>',
    "empty element": "<§K_§C/>",
    "pair of elements": "<§K_§C></§K_§C>",
    "BBCode": "[§k]§C[/§k]",
    "BBCode value": "[§k=§C]",
    "wiki template": "{{§k|§C}}",
    "role of reST": ":§k:`§C`",
    "emoji": ":§k_§c:",
    "substitution": "|§K_§C|",
    "chat mention": "<@§K_§C>",
    "chat mention, code": "<@§C>",
    "tracker mention": "[~§K_§C]",
    "at sign": "@§K_§C",
    "dollar word": "$§K_§C",
    "hashtag": "#§K_§C",
    "entity-like": "&§K_§C;",
    "link": "[§K_§C](#)",
    "link to a host": "[§K_§C](https://a.example)",
    "reference link": "[§K_§C][]",
    "footnote": "[^§K_§C]",
    "code only, square": "[§C]",
    "code only, angle": "<§C>",
    "code only, curly": "{§C}",
    "code first": "[§C_§K]",
    "code first, spaced": "[§C §T]",
    "code first, colon": "[§C: §K]",
    "list": "['§K_§C']",
    "round inside": "[(§K_§C)]",
    "C-style": "/*§K_§C*/",
    "colon block": "::§K_§C::",
}
# Text of the sentence or markup that may also remain; accepted only after the first measurement
_STAYS = {
    "[§K_§C](#)": ("[§V](#)",),
    "[§K_§C](https://a.example)": ("[§V](https://a.example)",),
    "[§K_§C][]": ("[§V][]",),
    "/*§K_§C*/": ("/*§V*/",),
    "|§K_§C|": ("|§V|",),
    "@§K_§C": ("@§V",),
    "#§K_§C": ("#§V",),
    "<§k>§C</§k>": ("<§k>§V</§k>",),
    "[§K_§C - name withheld]": ("[§V - name withheld]",),
    "[§K_§C?]": ("§V?",),
    "[§K_§C.]": ("§V.",),
    "[§K_§C,]": ("§V,",),
    "\x1b[1m§P\x1b[0m": ("\x1b[1m§V\x1b[0m",),
    "\u2060§P\u2060": ("\u2060§V\u2060",),
    "\ufeff[§K_\ufeff§C]": ("\ufeff§V",),
}
_KEPT = {  # A frame that may remain, since it can be part of the text
    "round": ("(§K_§C)", "(§V)"),
    "round, spaced": ("(§T §C)", "(§V)"),
    "double quotes": ('"§K_§C"', '"§V"'),
    "single quotes": ("'§K_§C'", "'§V'"),
    "typographic quotes": ("“§K_§C”", "“§V”"),
    "low quotes": ("„§T §C“", "„§V“"),
    "underscores": ("__§K_§C__", "__§V__", "_§V_"),
    "code span": ("`§K_§C`", "`§V`"),
    "code span, placeholder": ("`§P`", "`§V`"),
    "code inside": ("[`§K_§C`]", "`§V`"),
    "bold": ("**§P**", "**§V**"),
    "bold inside": ("[**§K_§C**]", "**§V**"),
    "bold without": ("**§K_§C**", "**§V**"),
    "italic": ("*§P*", "*§V*"),
    "struck": ("~~§P~~", "~~§V~~"),
    "bold code": ("[§K_**§C**]",),
    "bold kind": ("[**§K**_§C]",),
    "bold kind, colon": ("**§T:** §C", "**§T:** §V"),
    "italic code": ("§T *§C*", "*§V*", "§T *§V*"),
    "HTML bold": ("<b>§P</b>", "<b>§V</b>"),
    "HTML bold inside": ("[<b>§K_§C</b>]", "<b>§V</b>"),
    "HTML bold code": ("[§K_<b>§C</b>]",),
    "subscript": ("[§K<sub>§C</sub>]",),
    "emphasis": ("[§K<em>§C</em>]",),
    "mark": ("<mark>§K_§C</mark>", "<mark>§V</mark>"),
    "span": ('<span class="pii">§K_§C</span>', '<span class="pii">§V</span>'),
    "word break": ("[§K_<wbr>§C]",),
    "word break before": ("[§K<wbr>_§C]",),
    "zero-width entity": ("[§K_&#8203;§C]",),
    "LaTeX text": (r"\text{§K\_§C}", r"\text{§V}"),
    "LaTeX bold": (r"\textbf{[§K\_§C]}", r"\textbf{§V}"),
    "LaTeX subscript": ("$§K_{§C}$", "$§V$"),
    "LaTeX brackets": (r"\lbrack §K\_§C\rbrack",),
    "CDATA": ("<![CDATA[§P]]>", "<![CDATA[§V]]>"),
    "key and value": ('"§k": "§C"', '"§k": "§V"'),
    "object": ('{"type": "§K", "id": "§C"}', '{"type": "§K", "id": "§V"}'),
    "array": ('["§K", "§C"]', '["§V"]', '["§K", "§V"]'),
    "YAML": ("§k: §C", "§k: §V"),
    "call": ('§K("§C")',),
    "index": ("§k['§C']",),
    "member": ("§k.§C",),
    "flow list": ('["§K_§C"]', '["§V"]'),
    "file": ("§k_§c.pdf", "§V.pdf"),
    "comment": ("<!-- §K_§C -->", "<!-- §V -->"),
}
_PLAIN = {
    "small letters": "[§k_§c]",
    "title": "[§T_§C]",
    "small kind": "[§k_§C]",
    "small code": "[§K_§c]",
    "bare": "§K_§C",
    "bare and small": "§k_§c",
    "bare, spaced": "§K §C",
    "bare, title": "§T §C",
    "bare, hyphen": "§T-§C",
    "bare, all small, spaced": "§k §c",
    "camel case": "§k§C",
    "code in round": "§T (§C)",
    "round and square": "§T [§C]",
    "code round, kind round": "§C (§T)",
    "code alone": "§C",
    "code alone, small": "§c",
    "the kind with a code": "the §k with the code §C",
    "number": "§T no. §C",
    "id": "§T ID §C",
    "id, colon": "§T ID: §C",
    "Nr.": "§T Nr. §C",
    "hash": "§T #§C",
    "underscore spelled": "§k underscore §C",
    "brackets spelled": "open bracket §k underscore §C close bracket",
    "placeholder": "[PLACEHOLDER_§C]",
    "redacted": "[REDACTED_§C]",
    "masked": "[MASKED_§K_§C]",
    "redacted, colon": "[REDACTED: §K_§C]",
    "placeholder before": "[PLACEHOLDER: §K §C]",
    "article": "[the §K_§C]",
    "numbered": "[§K_1_§C]",
    "numbered behind": "[§K_§C_1]",
    "two names of a kind": "[§K_NAME_§C]",
    "kind at both ends": "[§K_§C_§K]",
    "plural kind": "[§KS_§C]",
    "shortened": "[PER_§C]",
    "one letter": "[P_§C]",
    "shortened with a dot": "[Pers. §C]",
    "misspelled": "[PRESON_§C]",
    "letter lost": "[PERSN_§C]",
    "letter doubled": "[PERSSON_§C]",
    "autocorrect": "[PERSONAL_§C]",
    "autocorrect, parson": "[Parson_§C]",
    "other kind": "[COMPANY_§C]",
    "sentence in it": "[§K_§C - name withheld]",
    "question mark": "[§K_§C?]",
    "dot inside": "[§K_§C.]",
    "comma inside": "[§K_§C,]",
    "escaped twice in code": r"[§K\\\_§C]",
    "unknown kind": "[XYZ_§C]",
}
_ROLES = {
    "customer": ("customer §C", "customer §V"),
    "Customer_": ("Customer_§C",),
    "CUSTOMER": ("[CUSTOMER_§C]",),
    "client": ("[CLIENT_§C]",),
    "user": ("[USER_§C]",),
    "contact": ("[CONTACT_§C]",),
    "name": ("[NAME_§C]",),
    "full name": ("[FULL_NAME_§C]",),
    "Kunde": ("[Kunde §C]",),
    "Herr": ("Herr §C", "Herr §V"),
    "Mr.": ("Mr. §C", "Mr. §V"),
    "Mr. inside": ("[Mr. §K_§C]", "Mr. §V"),
    "MR_": ("[MR_§K_§C]",),
    "Mr. and kind": ("Mr. §K_§C", "Mr. §V"),
    "Ms.": ("[Ms. §C]", "Ms. §V"),
    "individual": ("[INDIVIDUAL_§C]",),
    "employee": ("[EMPLOYEE_§C]",),
    "agent": ("agent §C", "agent §V"),
    "señora": ("señora §C", "señora §V"),
    "cliente": ("[CLIENTE §C]",),
    "M.": ("M. §K_§C", "M. §V"),
    "Herrn": ("Herrn [§K_§C]", "Herrn §V"),
    "Pan": ("Pan §K §C", "Pan §V"),
    "доктор": ("доктор §C", "доктор §V"),
    "客户": ("客户§C", "客户§V"),
    "さん": ("§Cさん", "§Vさん"),
}
_AFFIXES = {
    "possessive": ("§P's", "§V's"),
    "typographic possessive": ("[§K_§C’s]", "§V’s"),
    "possessive inside": ("[§K_§C's]", "§V's"),
    "bare possessive": ("§K_§C's", "§V's"),
    "German genitive": ("§Ps", "§Vs"),
    "genitive inside": ("[§K_§Cs]", "§Vs"),
    "bare genitive": ("§K_§Cs", "§Vs"),
    "compound": ("§P-Vertrag", "§V-Vertrag"),
    "bare compound": ("§K_§C-Vertrag", "§V-Vertrag"),
    "Finnish colon": ("§P:n", "§V:n"),
    "Finnish allative": ("[§K_§C:lle]", "§V:lle"),
    "Finnish, joined": ("§Plle", "§Vlle"),
    "Finnish inside": ("[§K_§Clle]", "§Vlle"),
    "Finnish bare": ("§K_§C:lta", "§V:lta"),
    "Turkish": ("§P'in", "§V'in"),
    "Turkish bare": ("§K_§C'nin", "§V'nin"),
    "Turkish small": ("§k_§c’ye", "§V’ye"),
    "Hungarian": ("§P-nak", "§V-nak"),
    "Hungarian bare": ("§T §C-val", "§V-val"),
    "Polish": ("§P-owi", "§V-owi"),
    "Polish joined": ("§K_§Cowi", "§Vowi"),
    "Polish inside": ("[§K_§Cem]", "§Vem"),
    "Russian": ("§P-у", "§V-у"),
    "Russian joined": ("§Pа", "§Vа"),
    "Russian bare": ("§K_§Cом", "§Vом"),
    "Estonian": ("§P-le", "§V-le"),
    "Basque": ("§Pren", "§Vren"),
    "Korean": ("§P님께서", "§V님께서"),
    "Korean bare": ("§K_§C님은", "§V님은"),
    "Japanese": ("§P様", "§V様"),
    "Chinese bare": ("请联系§K_§C先生", "请联系§V先生"),
    "Arabic prefix": ("ل§P", "ل§V"),
    "Arabic, and": ("و§K_§C", "و§V"),
    "Hebrew prefix": ("ל-§P", "ל-§V"),
    "Italian elision": ("l'§P", "l'§V"),
    "French elision": ("d’§K_§C", "d’§V"),
    "plural": ("§Pes", "§Ves"),
    "dative": ("§P-nek a", "§V-nek a"),
    "word before": ("Dear§P", "Dear§V", "Dear §V"),
    "word behind": ("§Pand", "§Vand", "§V and"),
    "word behind, bare": ("§K_§Cand", "§Vand", "§V and"),
    "superscript": ("§P¹", "§V¹"),
    "footnote number": ("§P[1]", "§V[1]"),
    "list number": ("1. §P", "1. §V"),
    "cell": ("|§P|", "|§V|"),
    "semicolons": (";§P;", ";§V;"),
    "mailto": ("mailto:§P", "mailto:§V"),
    "twice": ("§P§P", "§V§V"),
    "twice, spaced": ("§P §P", "§V §V"),
    "said twice": ("§P (§C)", "§V (§V)"),
    "plus suffix": ("§P+1", "§V+1"),
    "Hindi": ("§P को", "§V को"),
    "Hindi joined": ("§Pजी", "§Vजी"),
    "Thai": ("คุณ§K_§C", "คุณ§V"),
}
_CHANNELS = {
    "URL": "%5B§K_§C%5D",
    "URL, small": "%5b§k_§c%5d",
    "URL twice": "%255B§K_§C%255D",
    "form": "%5B§K+§C%5D",
    "URL underscore": "%5B§K%5F§C%5D",
    "quoted-printable": "=5B§K_§C=5D",
    "quoted-printable, all": "=5B§K=5F§C=5D",
    "encoded word": "=?utf-8?Q?=5B§K=5F§C=5D?=",
    "soft line break": lambda k, c: f"[{k}_{c[:2]}=\n{c[2:]}]",
    "JSON escape": r"\u005b§K_§C\u005d",
    "JSON escape, all": r"\u005b§K\u005f§C\u005d",
    "escape twice": r"\\u005b§K_§C\\u005d",
    "hex escape": r"\x5b§K_§C\x5d",
    "CSS escape": r"\5b §K_§C\5d ",
    "UTF-7": "+AFs-§K_§C+AF0-",
    "octal": r"\133§K_§C\135",
    "line feed": "[§K_\n§C]",
    "line feed before": "[§K\n_§C]",
    "wrapped in mail": "[§K_\n> §C]",
    "wrapped in a comment": "[§K_\n# §C]",
    "carriage return": "[§K_\r\n§C]",
    "indented": "[§K_\n    §C]",
    "break element": "[§K_<br/>§C]",
    "escaped line feed": r"[§K_\n§C]",
    "wrapped code": lambda k, c: f"[{k}_{c[:3]}\n{c[3:]}]",
    "hyphenated": lambda k, c: f"[{k}_{c[:3]}-\n{c[3:]}]",
    "wrapped bracket": "[\n§K_§C\n]",
    "terminal colours": "\x1b[1m§P\x1b[0m",
    "trimmed spaces": "§K_§C ]",
    "smart dash": "[§K—§C]",
}
_SCRIPTS = {
    "full width": _each(lambda c: chr(ord(c) + 0xFEE0)),
    "mathematical bold": _each(_shifted(0x1D400, 0x1D7CE)),
    "monospace": _each(_shifted(0x1D670, 0x1D7F6)),
    "sans-serif bold": _each(_shifted(0x1D5D4, 0x1D7EC)),
    "circled": _each(_shifted(0x24B6, 0)),
    "squared": _each(_shifted(0x1F130, 0)),
    "Cyrillic lookalikes": _each(lambda c: CYRILLIC.get(c, c)),
    "Greek lookalikes": _each(lambda c: GREEK.get(c, c)),
    "Cyrillic lookalikes in the code": _coded(lambda c: _mapped(c, CYRILLIC)),
    "small capitals": _each(lambda c: SMALL_CAPITALS.get(c, c)),
    "Arabic digits": _coded(_digits(0x660)),
    "Persian digits": _coded(_digits(0x6F0)),
    "Devanagari digits": _coded(_digits(0x966)),
    "Thai digits": _coded(_digits(0xE50)),
    "full-width digits": _coded(_digits(0xFF10)),
    "full-width code": _coded(lambda c: "".join(chr(ord(x) + 0xFEE0) for x in c)),
    "full-width kind": lambda k, c: f"[{''.join(chr(ord(x) + 0xFEE0) for x in k)}_{c}]",
    "zero-width space": _each(lambda c: c + "\u200b"),
    "zero-width joiner": _coded("\u200d".join),
    "soft hyphen": _coded("\u00ad".join),
    "word joiner": "\u2060§P\u2060",
    "byte order mark": "\ufeff[§K_\ufeff§C]",
    "left-to-right marks": "[§K_\u200e§C\u200e]",
    "isolates": "[\u2066§K_§C\u2069]",
    "embedding": "[\u202a§K_§C\u202c]",
    "variation selector": _coded("\ufe0f".join),
    "struck through": _each(lambda c: c + "\u0336"),
    "underlined": _each(lambda c: c + "\u0332"),
    "spread": lambda k, c: "[" + " ".join(f"{k}_{c}") + "]",
    "code spread": _coded(" ".join),
    "code with dots": _coded(".".join),
    "code with hyphens": _coded("-".join),
    "code in groups": _coded(lambda c: c[:3] + "-" + c[3:]),
    "code in spaced groups": _coded(lambda c: c[:2] + " " + c[2:]),
    "all entities": _each(lambda c: f"&#{ord(c)};"),
    "8 for B": _coded(lambda c: c.replace("B", "8")),
    "alternating case": _coded(lambda c: "".join(x.lower() if i % 2 else x for i, x in enumerate(c))),
    "accents": _coded(
        lambda c: unicodedata.normalize("NFC", "".join(x + "\u0301" if x.isalpha() else x for x in c))
    ),
    "backwards brackets": "]§K_§C[",
    "Cyrillic kind": lambda k, c: _translated("Russian")(k, c).lower(),
    "Cyrillic sound": lambda k, c: f"[{k.replace('PERSON', 'ПЕРСОН')}_{c}]",
}
INFLECTED = {
    "Polish genitive": "OSOBY",
    "Polish dative": "OSOBIE",
    "Russian dative": "ЛИЦУ",
    "Russian, person": "ПЕРСОНЕ",
    "Russian plural": "ЛИЦА",
    "Finnish genitive": "HENKILÖN",
    "Finnish allative": "HENKILÖLLE",
    "Turkish genitive": "KİŞİNİN",
    "Hungarian dative": "SZEMÉLYNEK",
    "German plural": "PERSONEN",
    "Spanish plural": "PERSONAS",
    "Czech accusative": "OSOBU",
    "Swedish definite": "PERSONEN",
    "Arabic definite": "الشخص",
    "Greek genitive": "ΠΡΟΣΩΠΟΥ",
    "German compound": "PERSONENNAME",
    "Turkish without dots": "KISI",
    "Spanish small": "persona",
}
PAIRS = {
    "comma": ("[PERSON_§C, PERSON_§D]", "§V, §W"),
    "slash": ("[PERSON_§C/PERSON_§D]", "§V/§W"),
    "and": ("[PERSON_§C and PERSON_§D]", "§V and §W"),
    "shared kind": ("[PERSON_§C, §D]", "§V, §W"),
    "plural": ("[PERSONS_§C_§D]", "§V §W", "§V_§W", "§V, §W"),
    "ampersand": ("[PERSON_§C & §D]", "§V & §W"),
    "bare": ("PERSON §C and §D", "§V and §W"),
    "adjacent": ("[PERSON_§C][PERSON_§D]", "§V§W"),
    "hyphen": ("PERSON_§C-PERSON_§D", "§V-§W"),
    "arrow": ("PERSON_§C→PERSON_§D", "§V→§W"),
    "one bracket": ("[PERSON_§C PERSON_§D]", "§V §W"),
    "list": ("['PERSON_§C', 'PERSON_§D']", "['§V', '§W']", "§V, §W", "'§V', '§W'"),
}
# No value may be restored here: the code belongs to no value, or is part of something longer.
NOBODY = {
    "wrong character": _coded(_slipped),
    "swap": _coded(_swapped),
    "character lost": _coded(lambda c: c[:-1]),
    "first lost": _coded(lambda c: c[1:]),
    "check doubled": _coded(lambda c: c + c[-1] + "Q"),
    "wrong check": _coded(lambda c: c[:-1] + ALPHABET[(ALPHABET.index(c[-1]) + 1) % 23]),
    "numbered": "[PERSON_1]",
    "lettered": "[PERSON_A]",
    "no code": "[PERSON]",
    "filler": "[PERSON_XXXXX]",
    "bare slip": lambda k, c: f"{k} {_slipped(c)}",
    "code alone, slip": lambda k, c: _slipped(c),
    "in a serial number": "SN-A§C93",
    "in an address": "https://a.example/f?t=a§CQ9z",
    "in a hash": "3fa§cb77e0d",
    "in a word": "ab§Cde",
    "in a path": "/usr/x§C9/log",
    "half": lambda k, c: f"[{k}_{c[:3]}]",
    "two letters of it": lambda k, c: f"{k} {c[:2]}",
    "in base64": "dGhl§CIHBs",
    "behind a digit": "model 7§C",
    "beyond": "[PERSON_§CZ9QKW]",
    "slip in small": lambda k, c: f"{k.lower()}_{_slipped(c).lower()}",
    "slip, full width": lambda k, c: _each(lambda x: chr(ord(x) + 0xFEE0))(k, _slipped(c)),
    "slip, quoted": lambda k, c: f"`{k}_{_slipped(c)}`",
    "slip, spread": lambda k, c: f"[{k}_{' '.join(_slipped(c))}]",
    "slip, customer": lambda k, c: f"customer {_slipped(c)}",
}


def first_set():
    "Return {name: (altered placeholder, accepted texts)} for the first set of ways."
    rows = {f"separator: {name}": (f"[§K{joint}§C]",) for name, joint in _SEPARATORS.items()}
    rows |= {f"brackets: {name}": (form, *_STAYS.get(form, ())) for name, form in _BRACKETS.items()}
    rows |= {f"kept: {name}": row for name, row in _KEPT.items()}
    rows |= {f"plain: {name}": (form, *_STAYS.get(form, ())) for name, form in _PLAIN.items()}
    rows |= {f"role: {name}": row for name, row in _ROLES.items()}
    rows |= {f"affix: {name}": row for name, row in _AFFIXES.items()}
    rows |= {f"channel: {name}": (form, *_STAYS.get(form, ())) for name, form in _CHANNELS.items()}
    rows |= {f"script: {name}": (form, *_STAYS.get(form, ())) for name, form in _SCRIPTS.items()}
    rows |= {f"translated: {name}": (_translated(name),) for name in TRANSLATED}
    bare = ("Spanish", "Russian", "Chinese", "Arabic", "Hindi", "Finnish", "Greek", "Korean")
    rows |= {f"translated, bare: {name}": (_translated(name, "{} {}"),) for name in bare}
    rows |= {f"inflected: {name}": (f"[{word}_§C]",) for name, word in INFLECTED.items()}
    return rows


def in_session(seed, hint=False):
    "Return a vault with ten people and other values, the five forms to alter, and the other people."
    rng = random.Random(seed)
    vault = Vault(rng.randbytes(32))
    people = rng.sample(PEOPLE, len(PEOPLE))
    forms = [vault.issue(name, "PERSON_F" if hint else "PERSON", name) for name in people]
    others = [vault.issue(value, word) for word, value in OTHERS.items()]
    return vault, [*forms[:3], *rng.sample(others, 2)], forms[3:]


def _accepted(row, form, other=None):
    "Return every text that is accepted in a slot."
    texts = {"§V", *row[1:]} if row[0] is not None else set(row[1:])
    out = set()
    for text in texts:
        filled = text.replace("§V", "\ue000").replace("§W", "\ue001")
        filled = _fill(filled, form.word, form.code)
        out.add(filled.replace("\ue000", form.value).replace("\ue001", other.value if other else ""))
    return out


def slots_of(text, context):
    "Return the text in each place of a context; None if the context's own words have changed."
    pieces = re.split(r"\{\d\}", context)
    match = re.fullmatch("(.*?)".join(map(re.escape, pieces)), text, re.DOTALL)
    return match and match.groups()


_PEOPLE_ONLY = re.compile(
    "role|inflected|plain: (short|one|miss|letter|auto|other)|screen: (0|5|Q|H|blank in|kind hyph)|"
    "sheet: (cut before|kind)|chat: (no vow|face|leet)|alphabet: .*(kind|Latin|Pinyin|maji)|"
    "alphabet: (Serb|Bulg|Mong|Tagal|Yoru|Iri|Icel)|named|"
    "reply: .*([Ii]d|ID)|program: (option|query|anchor|path|URN|id of|XPath)"
)


def answers(name, row, seed=0):
    "Yield (vault, answer, context, altered placeholders) of a way for each context; some answers are JSON."
    for number, context in enumerate(CONTEXTS):
        vault, forms, rest = in_session(seed, hint=seed % 4 == 3)
        altered = [_fill(row[0], f.word, f.code, other.code) for f, other in zip(forms, rest)]
        if name in PAIRS or _PEOPLE_ONLY.search(name):
            altered[3:] = [f.placeholder for f in forms[3:]]
        text = context.format(*altered)
        as_json = number == seed % 3
        yield vault, json.dumps({"subject": "Re: 4711", "body": text}) if as_json else text, context, altered


def scored(name, row, seed=0, nobody=False, read=demask):
    """Yield the outcome of each place of each context: 'right', 'wrong' (contains another value), 'left'
    (any other text than the accepted ones), 'broken' (no longer valid JSON)."""
    row = row if isinstance(row, tuple) else (row,)
    _, forms, rest = in_session(seed, hint=seed % 4 == 3)
    for vault, answer, context, altered in answers(name, row, seed):
        whole = read(answer, vault)
        if answer.startswith("{"):
            try:
                whole = json.loads(whole)["body"]
            except ValueError:
                yield from ["broken"] * len(forms)
                continue
        places = slots_of(whole, context)
        for place, (form, other, code_text) in enumerate(zip(forms, rest, altered)):
            got = places[place] if places else whole
            changed = code_text != form.placeholder
            own = {form.value, other.value} if name in PAIRS and changed else {form.value}
            own = set() if nobody and changed else own
            strangers = any(f.value in got for f in vault.forms() if f.value not in own)
            accepted = _accepted(row if changed else ("",), form, other)
            fits = not strangers if nobody and changed else got in accepted
            if strangers and places:
                yield "wrong"
            else:
                yield "right" if fits and places else "left"


def counted(rows, seeds=(0, 1, 3), nobody=False, read=demask):
    "Return {name of a way: count of each outcome of `scored`}."
    outcomes = {}
    for name, row in rows.items():
        free = [s for s in seeds if not nobody or is_free(s, row)]
        outcomes[name] = Counter(out for seed in free for out in scored(name, row, seed, nobody, read))
    return outcomes


def is_free(seed, form):
    "Whether the codes altered by a way of `NOBODY` belong to no value of this session."
    vault, forms, _ = in_session(seed)
    texts = [_fill(form, f.word, f.code).upper() for f in forms]
    words = [w for t in texts for w in re.findall("[A-Z0-9]+", t)]
    return not any(vault.find(w) for w in words)


# The second set: from other sources than the first, written after the misses of the first were fixed
NATO = dict(
    zip(
        "BCDFGHJKMNPQRTVWXZ",
        "Bravo Charlie Delta Foxtrot Golf Hotel Juliett Kilo Mike November Papa "
        "Quebec Romeo Tango Victor Whiskey Xray Zulu".split(),
    )
)
LETTER_NAMES = dict(
    zip(
        "BCDFGHJKMNPQRTVWXZ",
        "bee cee dee eff gee aitch jay kay em en pee cue ar tee vee double-u ex zed".split(),
    )
)
DIGIT_NAMES = dict(zip("34679", "three four six seven nine".split()))
CHINESE_DIGITS = dict(zip("34679", "三四六七九"))
CYRILLIC_SOUNDS = dict(zip("BCDFGHJKMNPQRTVWXZ", "БЦДФГХЙКМНПКРТВВХЗ"))
GREEK_SOUNDS = dict(zip("BCDFGHJKMNPQRTVWXZ", "ΒΚΔΦΓΗΙΚΜΝΠΚΡΤΒΩΞΖ"))


def _spoken(letters, digits, joint=" "):
    return lambda k, c: (
        f"{k.partition('_')[0].lower()} " + joint.join({**letters, **digits}.get(x, x) for x in c)
    )


def _proper(k, c):
    "Write a placeholder as a spreadsheet's PROPER does: a capital after every character that is no letter."
    return re.sub("[A-Za-z]+", lambda m: m[0].title(), f"[{k}_{c}]")


_SPEECH = {
    "letters spread": (lambda k, c: f"{k.partition('_')[0].lower()} {' '.join(c)}",),
    "letters with commas": (lambda k, c: f"{k.partition('_')[0].lower()}, {', '.join(c)}",),
    "letters with dots": (lambda k, c: f"{k.partition('_')[0].title()} {'. '.join(c)}",),
    "radio alphabet": (_spoken(NATO, DIGIT_NAMES),),
    "radio alphabet, digits": (_spoken(NATO, {}),),
    "names of letters": (_spoken(LETTER_NAMES, DIGIT_NAMES),),
    "digits spelled": (_spoken({}, DIGIT_NAMES),),
    "digits spelled, hyphens": (_spoken({}, DIGIT_NAMES, "-"),),
    "capital said": (
        lambda k, c: (
            f"{k.partition('_')[0].lower()} " + " ".join(f"capital {x}" if x.isalpha() else x for x in c)
        ),
    ),
    "say-as": (
        '§T <say-as interpret-as="characters">§C</say-as>',
        '<say-as interpret-as="characters">§V</say-as>',
        '§T <say-as interpret-as="characters">§V</say-as>',
    ),
    "dash said": ("§k dash §C",),
    "hyphen said": ("§k hyphen §C",),
    "space said": ("§k space §C",),
    "voice of WebVTT": ("<v §K_§C>", "<v §V>"),
    "speaker": ("§K_§C:", "§V:"),
    "speaker, round": ("(§k_§c speaking)", "(§V speaking)"),
    "code said": ("§T, code §C", "§T, code §V"),
    "sounds": ("[laughs] §K_§C", "[laughs] §V"),
    "time": ("00:12 §K_§C", "00:12 §V"),
    "pause": ('§P<break time="1s"/>', '§V<break time="1s"/>'),
    "alias": ('<sub alias="x">§P</sub>', '<sub alias="x">§V</sub>'),
}
_SCREENS = {
    "0 for O": ("[PERS0N_§C]",),
    "5 for S": ("[PER5ON_§C]",),
    "Q for O": ("[PERSQN_§C]",),
    "H for N": ("[PERSOH_§C]",),
    "round for square": ("(§K_§C)", "(§V)"),
    "bars for brackets": ("|§K_§C|", "|§V|"),
    "bar behind": ("[§K_§C|",),
    "bar before": ("|§K_§C]", "|§V"),
    "l for brackets": ("l§K_§Cl",),
    "I before": ("I§K_§C]",),
    "1 behind": ("[§K_§C1",),
    "blanks at the underscore": ("[§K _ §C]",),
    "blanks all over": ("[ §K _ §C ]",),
    "blank in the kind": ("[PER SON_§C]",),
    "blank in the kind, early": ("[P ERSON_§C]",),
    "kind hyphenated": ("[PER-\nSON_§C]",),
    "ceilings": ("⌈§K_§C⌉",),
    "corners": ("⎡§K_§C⎤",),
    "floors": ("⌊§K_§C⌋",),
    "double low line": ("[§K‗§C]",),
    "macron": ("[§K¯§C]",),
    "wavy line": ("[§K﹏§C]",),
    "ellipsis for underscore": ("[§K…§C]",),
    "dots for underscore": ("[§K...§C]",),
    "stray apostrophe": ("'§P", "'§V"),
    "stray dot": ("[§K_§C].", "§V."),
    "quote for bracket": ('"§K_§C]', '"§V'),
    "comma for underscore": ("[§K,§C]",),
    "braces and round": ("{§K_§C)",),
    "angle and square": ("<§K_§C]",),
    "low dot": ("[§K․§C]",),
    "two lines": ("[§K\n_\n§C]",),
    "boxed": ("│§K_§C│", "│§V│"),
    "bullet": ("•§K_§C", "•§V"),
    "tick": ("☑ §K_§C", "☑ §V"),
    "leader dots": ("§K_§C.....", "§V....."),
    "page behind": ("§P 12", "§V 12"),
}
_SHEETS = {
    "formula": ('="§P"', '="§V"'),
    "hyperlink": ('=HYPERLINK("#","§P")', '=HYPERLINK("#","§V")'),
    "doubled quotes": ('""§P""', '""§V""'),
    "text mark": ("'§K_§C", "'§V"),
    "sheet": ("§P!A1", "§V!A1"),
    "column of a table": ("[@[§K_§C]]",),
    "proper": (_proper,),
    "ellipsis behind": ("[§K_§C…", "§V…"),
    "dots behind": ("[§K_§C...", "§V..."),
    "cut before": ("ERSON_§C]", "ERSON_§V"),
    "cut to the underscore": ("_§C]",),
    "cut to the code": ("§C]",),
    "custom field": ("§K_§C__c", "§V__c"),
    "field of an object": ("Contact.§K_§C", "Contact.§V"),
    "field in braces": ("{!Contact.§K_§C}",),
    "field in two braces": ("{{contact.§K_§C}}",),
    "kind as object": ("{{ person.§C }}",),
    "kind as name space": ("{{person:§C}}",),
    "kind in double brackets": ("[[person:§C]]",),
    "signs and angles": ("<#§K_§C#>",),
    "stars": ("[*§K_§C*]",),
    "two at signs": ("@@§K_§C@@",),
    "two hashes": ("##§K_§C##",),
    "separate cells": ("| §K | §C |", "| §K | §V |"),
    "separate columns": ("§K;§C", "§K;§V"),
    "separate columns, quoted": ('"§K","§C"', '"§K","§V"'),
    "tab columns": ("§K\t§C", "§K\t§V"),
    "array formula": ("{=§K_§C}",),
    "label": ("§T: [§C]", "§T: §V"),
    "label and number": ("§T #[§C]",),
    "yes or no": ("§P (Y/N)", "§V (Y/N)"),
    "currency": ("€§K_§C", "€§V"),
    "percent": ("§P%", "§V%"),
}
_LEGACY = {
    "mojibake owner": ("§Pâ€™s", "§Vâ€™s"),
    "mojibake quotes": ("â€œ§Pâ€\x9d", "â€œ§Vâ€\x9d"),
    "mojibake blank": ("[§KÂ\u00a0§C]",),
    "replacement character": ("[§K\ufffd§C]",),
    "question mark for a blank": ("[§K?§C]",),
    "question marks": ("?§K_§C?", "?§V?"),
    "mojibake dash": ("[§Kâ€“§C]",),
    "German seven bits": ("Ä§K_§CÜ",),
    "Danish seven bits": ("Æ§K_§CÅ",),
    "trigraphs": ("??(§K_§C??)",),
    "digraphs": ("<:§K_§C:>",),
    "padded entities": ("&#0091;§K_§C&#0093;",),
    "long entities": ("&lbrack;§K&UnderBar;§C&rbrack;",),
    "no semicolon": ("&#91§K_§C&#93",),
    "zeros between": (lambda k, c: "\0".join(f"[{k}_{c}]"),),
    "RTF": (r"\'5b§K_§C\'5d",),
    "RTF bold": (r"{\b §P}", r"{\b §V}"),
    "vCard": ("FN:§P", "FN:§V"),
    "folded line": ("[§K_\n §C]",),
    "folded code": (lambda k, c: f"[{k}_{c[:3]}\r\n {c[3:]}]",),
    "escaped comma": (r"[§K\,§C]",),
    "XML numbers": ("&#x005B;§K_§C&#x005D;",),
    "ASN": ("'§K_§C'H", "'§V'H"),
    "EBCDIC": ("Ý§K_§C¨",),
    "backslash line": ("[§K_\\\n§C]",),
    "form feed": ("[§K_\f§C]",),
    "vertical tab": ("[§K\v§C]",),
    "line separator": ("[§K_\u2028§C]",),
    "next line": ("[§K_\u0085§C]",),
    "null at the end": ("§P\0", "§V\0"),
    "backspaces": ("[§K__\b§C]",),
}
_EDITS = {
    "word diff": ("[-§P-]", "[-§V-]"),
    "word diff, added": ("{+§P+}", "{+§V+}"),
    "deleted": ("<del>§P</del>", "<del>§V</del>"),
    "inserted": ("<ins>§K_§C</ins>", "<ins>§V</ins>"),
    "critic added": ("{++§P++}", "{++§V++}"),
    "critic marked": ("{==§P==}", "{==§V==}"),
    "critic instead": ("{~~x~>§K_§C~~}", "{~~x~>§V~~}"),
    "cursor": ("[§K_|§C]",),
    "caret": ("[§K_^§C]",),
    "pilcrow": ("[§K_¶§C]",),
    "conflict": ("<<<<<<< §P", "<<<<<<< §V"),
    "added": ("+§K_§C", "+§V"),
    "comment of an editor": ("§P[A1]", "§V[A1]"),
    "struck in LaTeX": (r"\sout{[§K\_§C]}", r"\sout{§V}"),
    "arrow from": ("X → §K_§C", "X → §V"),
    "insert": ("[insert §K_§C]", "[insert §V]"),
    "redacted behind": ("[§K_§C, redacted]", "[§V, redacted]"),
    "redacted in round": ("[§K_§C (redacted)]", "[§V (redacted)]"),
    "redacted before": ("[redacted §k §C]",),
    "redacted in angles": ("<<redacted:§C>>",),
    "anonymised": ("[anonymised §C]",),
    "name of": ("[name of §C]",),
    "full name": ("[Full name: §C]",),
    "to do": ("[TODO: §K_§C]", "[TODO: §V]"),
    "sic": ("§P [sic]", "§V [sic]"),
    "note": ("§P*", "§V*"),
    "wiki bold": ("'''§K_§C'''", "'''§V'''"),
    "wiki italic": ("''§K_§C''", "''§V''"),
    "org verbatim": ("=§K_§C=", "=§V="),
    "org code": ("~§K_§C~", "~§V~"),
    "textile code": ("@§K_§C@", "@§V@"),
    "attribute of AsciiDoc": ("{§k-§c}",),
    "passed through": ("pass:[§K_§C]", "pass:§V", "pass:[§V]"),
    "highlighted": ("==§P==", "==§V=="),
}
_CHATS = {
    "no vowels": ("prsn §C", "prsn §V"),
    "smiley": ("§k_§c:)", "§V:)"),
    "heart": ("§P❤️", "§V❤️"),
    "word joined": ("§Plol", "§Vlol"),
    "face as kind": ("[👤_§C]",),
    "face, spaced": ("[👤 §C]",),
    "face, bare": ("👤§C", "👤§V"),
    "key between": ("[§K 🔑 §C]",),
    "leet": ("[P3R50N_§C]",),
    "emoji digits": (_coded(lambda c: re.sub(r"\d", lambda m: m[0] + "\ufe0f\u20e3", c)),),
    "exclaimed": ("§K_§C!!!", "§V!!!"),
    "shouted in stars": ("***§K_§C***", "***§V***"),
    "quoted line": ("> §K_§C", "> §V"),
    "reply": ("@§k_§c:", "@§V:", "§V:"),
    "tilde": ("§K_§C~", "§V~"),
    "Japanese possessive": ("§K_§Cの", "§Vの"),
    "san": ("§K_§C-san", "§V-san"),
    "doctor joined": ("Dr.§K_§C", "Dr.§V"),
    "Mr joined": ("Mr.§P", "Mr.§V"),
    "Zulu": ("u§K_§C", "u§V"),
    "Zulu, hyphen": ("u-§K_§C", "u-§V"),
    "Maltese": ("il-§K_§C", "il-§V"),
    "French que": ("qu’§K_§C", "qu’§V"),
    "Hebrew joined": ("ל§K_§C", "ל§V"),
    "Arabic joined": ("بـ§K_§C", "بـ§V"),
    "Romanian": ("§Pului", "§Vului"),
    "Georgian": ("§P-ს", "§V-ს"),
    "Kazakh": ("§K_§C-ға", "§V-ға"),
    "Tamil": ("§Pக்கு", "§Vக்கு"),
    "Bengali": ("§K_§Cর", "§Vর"),
    "Amharic": ("ለ§P", "ለ§V"),
    "two marks": (lambda k, c: "".join(x + "\u0336\u0332" for x in f"[{k}_{c}]"),),
}
_ALPHABETS = {
    "Chinese digits": (_coded(lambda c: _mapped(c, CHINESE_DIGITS)),),
    "Bengali digits": (_coded(_digits(0x9E6)),),
    "Tamil digits": (_coded(_digits(0xBE6)),),
    "Khmer digits": (_coded(_digits(0x17E0)),),
    "raised digits": (_coded(lambda c: _mapped(c, dict(zip("34679", "³⁴⁶⁷⁹")))),),
    "lowered digits": (_coded(lambda c: _mapped(c, dict(zip("34679", "₃₄₆₇₉")))),),
    "digits in round": (_coded(lambda c: _mapped(c, dict(zip("34679", "⑶⑷⑹⑺⑼")))),),
    "digits with a stop": (_coded(lambda c: _mapped(c, dict(zip("34679", "⒊⒋⒍⒎⒐")))),),
    "Roman digits": (_coded(lambda c: _mapped(c, dict(zip("34679", "ⅢⅣⅥⅦⅨ")))),),
    "Cyrillic sounds": (_coded(lambda c: _mapped(c, CYRILLIC_SOUNDS)),),
    "Greek sounds": (_coded(lambda c: _mapped(c, GREEK_SOUNDS)),),
    "Fraktur": (lambda k, c: "[" + "".join(map(_shifted(0x1D56C, 0), k)) + "_" + c + "]",),
    "script letters": (_each(_shifted(0x1D4D0, 0x1D7CE)),),
    "double-struck": (_each(_double_struck),),
    "negative squared": (_each(_shifted(0x1F170, 0)),),
    "negative circled": (_each(_shifted(0x1F150, 0)),),
    "regional": (_coded(lambda c: "".join(map(_shifted(0x1F1E6, 0), c))),),
    "Katakana kind": ("[パーソン_§C]",),
    "Katakana kind, joined": ("パーソン_§C",),
    "Katakana kind, bare": ("パーソン§C",),
    "Hangul kind": ("[퍼슨_§C]",),
    "Devanagari kind": ("[पर्सन_§C]",),
    "Arabic kind by sound": ("[بيرسون_§C]",),
    "Hebrew kind by sound": ("[פרסון_§C]",),
    "Pinyin": ("[REN_§C]",),
    "Pinyin with tones": ("[RÉNYUÁN_§C]",),
    "Rōmaji": ("[JINBUTSU_§C]",),
    "Russian in Latin": ("[LITSO_§C]",),
    "Ukrainian in Latin": ("[OSOBA_§C]",),
    "Greek in Latin": ("[PROSOPO_§C]",),
    "Arabic in Latin": ("[SHAKHS_§C]",),
    "Hindi in Latin": ("[VYAKTI_§C]",),
    "Serbian": ("[ОСОБА §C]",),
    "Bulgarian": ("[ЛИЦЕ: §C]",),
    "Mongolian": ("[ХҮН_§C]",),
    "Amharic kind": ("[ሰው_§C]",),
    "Tamil kind": ("[நபர்_§C]",),
    "Burmese kind": ("[လူ_§C]",),
    "Khmer kind": ("[មនុស្ស_§C]",),
    "Lao kind": ("[ຄົນ_§C]",),
    "Sinhala kind": ("[පුද්ගලයා_§C]",),
    "Tagalog": ("[TAO_§C]",),
    "Yoruba": ("[ẸNIYAN_§C]",),
    "Irish": ("[DUINE_§C]",),
    "Icelandic": ("[MANNESKJA §C]",),
    "Basque kind": ("[PERTSONA_§C]",),
}
_PROGRAMS = {
    "environment": ("process.env.§K_§C", "process.env.§V"),
    "environment, index": ("os.environ['§K_§C']", "os.environ['§V']"),
    "option": ("--person=§C", "--person=§V"),
    "query": ("?person=§C&x", "?person=§V&x"),
    "anchor": ("#person-§c", "#§V"),
    "path": ("/person/§C", "/person/§V", "/§V"),
    "URN": ("urn:person:§C", "urn:person:§V", "urn:§V"),
    "id of it": ("person_id: §C", "person_id: §V"),
    "called": ("§K_§C()", "§V()"),
    "statement": ("§K_§C;", "§V;"),
    "open element": ('<§K code="§C">', '<§K code="§V">'),
    "end of an element": ("</§K_§C>",),
    "title element": ("<§T>§C</§T>", "<§T>§V</§T>"),
    "ampersand": ("&§K_§C", "&§V"),
    "two braces": ("{§K}_{§C}",),
    "two braces, joined": ("{§K}{§C}",),
    "two brackets": ("[§K][§C]",),
    "two brackets, hyphen": ("[§K]-[§C]",),
    "two angles": ("<§K>_<§C>",),
    "generic": ("§K<§C>",),
    "set": ("§K{§C}",),
    "code, bar, kind": ("[§C|§K]",),
    "code, slash, kind": ("§C/§K",),
    "code, underscore, kind": ("§C_§K",),
    "code, hyphen, kind": ("§C-§T",),
    "two cells": ("| **§K** | §C |", "| **§K** | §V |"),
    "tree of YAML": ("§k:\n  code: §C", "§k:\n  code: §V"),
    "definition": ("§T\n: §C", "§T\n: §V"),
    "brackets around the kind": ("[[§K]]_§C",),
    "string of C": ('L"§K_§C"', 'L"§V"'),
    "f-string": ("f'{§k_§c}'", "f'§V'"),
    "SQL": ("WHERE x='§K_§C'", "WHERE x='§V'"),
    "regular expression": ("/^§K_§C$/", "/^§V$/"),
    "JSON path": ("$.§k.§C", "$.§V", "§V"),
    "XPath": ("//person[@id='§C']", "//person[@id='§V']"),
    "shell": ('"${§K_§C}"', '"§V"'),
    "make": ("$(§K_§C)",),
    "tuple": ("('§K', '§C')", "('§K', '§V')"),
    "enum": ("Person.§K_§C", "Person.§V"),
    "private": ("__§k_§c__", "__§V__"),
    "decorated": ("@§k('§C')", "@§V", "§V"),
}
NOBODY_2 = {
    "backwards": _coded(lambda c: c[::-1]),
    "cut": lambda k, c: f"[{k}_{c[:3]}…]",
    "cut, dots": lambda k, c: f"[{k}_{c[:4]}...]",
    "year before": "20§C",
    "year behind": "§C2026",
    "in an address of mail": "abc§C@x.example",
    "letter more": _coded(lambda c: c[:2] + "Q" + c[2:]),
    "spoken slip": lambda k, c: _spoken({}, DIGIT_NAMES)(k, _slipped(c)),
    "spread slip": lambda k, c: f"{k.lower()} {' '.join(_slipped(c))}",
    "slip in an OCR": lambda k, c: f"|{k}_{_slipped(c)}|",
    "slip with an ending": lambda k, c: f"[{k}_{_slipped(c)}lle]",
    "slip, Cyrillic": lambda k, c: f"[{k}_{_mapped(_slipped(c), CYRILLIC)}]",
    "longer in capitals": "PERSON_§CAND",
    "ending in the middle": lambda k, c: f"[{k}_{c[:2]}lle{c[2:]}]",
    "slip in numbers": lambda k, c: "".join(f"&#{ord(x)};" for x in f"[{k}_{_slipped(c)}]"),
    "in a long hash": "9f86d081884c7d659a2feaa0c55ad015§C3bf4f1b2b0b822cd15d6c15b0f00a08",
    "slip, shared": lambda k, c: f"[PERSON {_slipped(c)}, {_swapped(c)}]",
    "code of two lines": lambda k, c: f"{c[:2]} ends here.\n\nNext {c[2:]}",
    "first of two words": lambda k, c: f"{c[:3]} is not {c[3:]}",
    "small in a word": "xx§cyy",
    "digit more": "[PERSON_§C4]",
    "doubled first": _coded(lambda c: c[0] + c),
}


# Ways that were fully restored in the first measurement of each set, before any fix for it
FIRST_COUNT = {"first": 336, "pairs": 9, "second": 233, "third": 132}


def second_set():
    "Like `first_set`: from speech, screens, sheets, old encodings, edits, chats, alphabets and programs."
    groups = {"speech": _SPEECH, "screen": _SCREENS, "sheet": _SHEETS, "legacy": _LEGACY, "edit": _EDITS}
    groups |= {"chat": _CHATS, "alphabet": _ALPHABETS, "program": _PROGRAMS}
    return {f"{group}: {name}": row for group, ways in groups.items() for name, row in ways.items()}


# The third set: what models write in replies, tools and templates, after the second was fixed
_REPLIES = {
    "customer before": ("customer §P", "customer §V"),
    "customer behind": ("[§K_§C, customer]", "[§V, customer]"),
    "name in bold": ("**Name:** §P", "**Name:** §V"),
    "kind behind": ("§K_§C (§K)", "§V (§K)"),
    "beside a free field": ("[Your Name]/§P", "[Your Name]/§V"),
    "between breaks": ("<br>§P<br>", "<br>§V<br>"),
    "paragraph": ("<p>Dear §K_§C,</p>", "<p>Dear §V,</p>"),
    "strong": ("<strong>§P</strong>", "<strong>§V</strong>"),
    "link of mail": ("<a href='mailto:§P'>§P</a>", "<a href='mailto:§V'>§V</a>"),
    "bold and colon": ("**§K_§C**:", "**§V**:"),
    "heading": ("### §K_§C", "### §V"),
    "and co": ("§K_§C & co", "§V & co"),
    "quoted": ('"§P"', '"§V"'),
    "twice in round": ("§P (§P)", "§V (§V)"),
    "owner in double brackets": ("[[§K_§C]]'s", "§V's"),
    "owner, hyphen": ("[§K-§C]'s", "§V's"),
    "owner in angles": ("<§K_§C>'s", "§V's"),
    "owner in braces": ("{§K_§C}’s", "§V’s"),
    "owner in two braces": ("{{§k_§c}}s", "§Vs"),
    "Mr and Mrs": ("Mr. & Mrs. §K_§C", "Mr. & Mrs. §V"),
    "exclaimed": ("Hi §T§C!", "Hi §V!"),
    "copy": ("cc: §K_§C; bcc: x", "cc: §V; bcc: x"),
    "tool": ('tool_call(name="§P")', 'tool_call(name="§V")'),
    "keyword": ("lookup(person='§K_§C')", "lookup(person='§V')"),
    "value of JSON": ('{"name": "§K_§C"}', '{"name": "§V"}'),
    "form": ("name=§K_§C&x=1", "name=§V&x=1"),
    "cell": ("| Name | §P |", "| Name | §V |"),
    "comma": ("§P,§P", "§V,§V"),
    "list": ("- **§P** – manager", "- **§V** – manager"),
    "number": ("1) §K_§C", "1) §V"),
    "round copy": ("(cc: §P)", "(cc: §V)"),
    "twice": ("§K_§C, §K_§C", "§V, §V"),
    "ellipsis": ("§P…", "§V…"),
    "ellipsis before": ("…§P", "…§V"),
    "guillemets": ("«§P»", "«§V»"),
    "German quotes": ("„§P“", "„§V“"),
    "Spanish": ("¡§P!", "¡§V!"),
    "mail link": ("[§K_§C](mailto:x@y.example)", "[§V](mailto:x@y.example)"),
    "French colon": ("§P\u00a0:", "§V\u00a0:"),
    "M.": ("M. §P", "M. §V"),
    "nek": ("§P-nek", "§V-nek"),
    "t": ("§P-t", "§V-t"),
    "small lle": ("§k_§c:lle", "§V:lle"),
    "Frau": ("Sehr geehrte Frau §K §C", "Sehr geehrte Frau §V"),
    "san": ("§Psan", "§Vsan"),
    "blank san": ("§P san", "§V san"),
    "sama": ("§P-sama", "§V-sama"),
    "literal break": (r"§P\n", r"§V\n"),
    "Kunde": ("Kunde §C", "Kunde §V"),
    "клиент": ("клиент §C", "клиент §V"),
    "顧客": ("顧客 §C", "顧客 §V"),
    "name's": ("[§K_§C's name]", "[§V's name]", "§V's name"),
    "name said": ("[customer name: §K_§C]", "[customer name: §V]"),
    "id in round": ("§T (ID: §C)",),
    "id in round, blank": ("§T (ID §C)",),
    "id in brackets": ("§T [ID: §C]",),
    "User": ("User §C", "User §V"),
    "user_": ("user_§c",),
    "Contact #": ("Contact #§C", "Contact §V", "Contact #§V"),
    "Person-ID": ("Person-ID: §C", "Person-ID: §V"),
    "PersonID": ("PersonID §C", "PersonID §V"),
    "person_id": ("person_id=§C", "person_id=§V"),
    "bare colon": ("§K:§C", "§K:§V"),
    "bare slash": ("§K/§C",),
    "bare bar": ("§K|§C",),
    "bare dot": ("§K.§C",),
    "bare hash": ("§K#§C",),
    "bare dash": ("§K–§C",),
}
_KIND_NAMES = {
    word: (f"[{word}_§C]",)
    for word in (
        "PERSONENKENNUNG KUNDENNAME NOMBRE_CLIENTE NOM_DU_CLIENT "
        "客户姓名 顧客名 고객 ИМЯ_КЛИЕНТА IMIĘ_I_NAZWISKO İSİM "
        "ASIAKAS اسم_العميل ग्राहक PERSON_ENTITY FIRST_NAME PERSON_ID"
    ).split()
}
_TEMPLATES = {
    "attribute": ('<contact name="§K_§C"/>', '<contact name="§V"/>'),
    "elements": ("<Contact><Name>§P</Name></Contact>", "<Contact><Name>§V</Name></Contact>"),
    "semicolons": ('"§P";"x"', '"§V";"x"'),
    "apostrophes": ("'§K_§C','x'", "'§V','x'"),
    "YAML": ('name: "§P"', 'name: "§V"'),
    "YAML, apostrophes": ("name: '§P'", "name: '§V'"),
    "TOML": ('name = "§K_§C"', 'name = "§V"'),
    "INI": ("person=§P", "person=§V"),
    "shell": ("echo $§K_§C", "echo §V"),
    "condition": ("{{#if x}}{{§K_§C}}{{/if}}", "{{#if x}}§V{{/if}}"),
    "default": ("{{ §K_§C | default: 'x' }}",),
    "user field": ("{!$User.§K_§C}",),
    "contact field": ("{{ contact.§k_§c }}",),
    "merge tag, colon": ("*|§K:§C|*",),
    "merge field": ("{ MERGEFIELD §K_§C }",),
    "ticket field": ("{{ticket.requester.§k_§c}}",),
    "argument": ("String.valueOf(§K_§C)", "String.valueOf(§V)"),
    "conversion": ('f"{§K_§C!r}"', 'f"§V"'),
    "percent format": ("%(§k_§c)s",),
    "named": (":§k_§c", ":§V"),
    "at braces": ("@{§K_§C}",),
    "percent brackets": ("[%§K_§C%]",),
    "angles, colon": ("<§k:§c>",),
    "angles, hyphen": ("<§k-§c>",),
    "double mathematical": ("⟪§K_§C⟫",),
    "white lenticular": ("〖§K_§C〗",),
    "ornaments": ("❬§K_§C❭",),
    "braces ornament": ("❴§K_§C❵",),
    "lenticular, colon": ("【§T：§C】",),
    "full-width round": ("（§K_§C）", "(§V)", "（§V）"),
    "full-width, blank": ("［§T §C］",),
    "marks outside": ("\u200f§P\u200f", "\u200f§V\u200f"),
    "embedded": ("\u202b§P\u202c", "\u202b§V\u202c"),
    "thin space": ("[§K\u2009§C]",),
    "soft hyphen at the end": ("[§K_§C\u00ad]",),
    "zero width behind": ("§P\u200b", "§V\u200b"),
    "thumb": ("§P👍", "§V👍"),
    "blank behind the underscore": ("[§K_ §C]",),
    "blank before": ("[§K _§C]",),
    "underscore behind": ("[§K_§C_]",),
    "underscores around": ("[_§K_§C_]",),
    "hyphen behind": ("[§K_§C-]", "§V-"),
    "colon behind": ("[§K_§C:]", "§V:"),
    "brace and bracket": ("{§K_§C]",),
    "angle and brace": ("<§K_§C}",),
    "escaped twice": (r"\\[§K_§C\\]",),
    "element of its own": ("<customer>§P</customer>", "<customer>§V</customer>"),
    "said and said": ("§K_§C_§K_§C", "§V_§V"),
}


def third_set():
    "Like `first_set`: from replies, names for kinds, and templates."
    groups = {"reply": _REPLIES, "named": _KIND_NAMES, "template": _TEMPLATES}
    return {f"{group}: {name}": row for group, ways in groups.items() for name, row in ways.items()}
