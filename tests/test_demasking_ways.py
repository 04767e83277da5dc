"Ways to write a placeholder, collected after the code was written: its value is restored, and no other."

import json
import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmeval.layer.masking import MaskingSession, demask, mask
from crmeval.layer.streams import DemaskStream


def _circled(code):
    return "".join(chr(0x24B6 + ord(c) - 65) if c.isalpha() else chr(0x2460 + int(c) - 1) for c in code)


def _typewriter(code):
    return "".join(chr(0x1D670 + ord(c) - 65) if c.isalpha() else chr(0x1D7F6 + int(c)) for c in code)


_ARABIC = {ord("0") + n: 0x660 + n for n in range(10)}


# Way -> (what a model writes for kind k and code c, the expected text with the value v)
WAYS = {
    "circled code": lambda k, c, v: (f"[{k}_{_circled(c)}]", v),
    "typewriter code": lambda k, c, v: (f"[{k}_{_typewriter(c)}]", v),
    "hexadecimal entities": lambda k, c, v: (f"&#x5B;{k}&#x5F;{c}&#x5D;", v),
    "entities twice": lambda k, c, v: (f"&amp;lt;{k}_{c}&amp;gt;", v),
    "escapes in braces": lambda k, c, v: (rf"\u{{5b}}{k}_{c}\u{{5d}}", v),
    "bold code": lambda k, c, v: (f"[{k}_**{c}**]", v),
    "struck inside": lambda k, c, v: (f"[~~{k}_{c}~~]", v),
    "italic kind": lambda k, c, v: (f"[<i>{k}</i>_{c}]", v),
    "argument of a command": lambda k, c, v: (rf"\textbf{{[{k}\_{c}]}}", rf"\textbf{{{v}}}"),
    "comma inside": lambda k, c, v: (f"[{k}_{c},]", f"{v},"),
    "possessive with a blank": lambda k, c, v: (f"[{k}_{c}] 's", f"{v} 's"),
    "template of a server": lambda k, c, v: (f"<%= {k}_{c} %>", v),
    "Polish kind": lambda k, c, v: (f"[OSOBA_{c}]", v),
    "Greek kind": lambda k, c, v: (f"[ΠΡΟΣΩΠΟ_{c}]", v),
    "Arabic kind": lambda k, c, v: (f"[شخص_{c}]", v),
    "Korean kind": lambda k, c, v: (f"[사람_{c}]", v),
    "corner brackets": lambda k, c, v: (f"「{k}_{c}」", v),
    "mathematical brackets": lambda k, c, v: (f"⟨{k}_{c}⟩", v),
    "quoted-printable": lambda k, c, v: (f"=5B{k}_{c}=5D", v),
    "word joiners": lambda k, c, v: (f"[{k}\u2060_{c[:1]}\u2060{c[1:]}]", v),
    "underlined letters": lambda k, c, v: ("[" + "".join(x + "\u0332" for x in f"{k}_{c}") + "]", v),
    "equals sign": lambda k, c, v: (f"[{k}={c}]", v),
    "en dash": lambda k, c, v: (f"[{k}–{c}]", v),
    "kind twice": lambda k, c, v: (f"[{k}_{k}_{c}]", v),
    "Turkish suffix": lambda k, c, v: (f"[{k}_{c}]'nin", f"{v}'nin"),
    "compound": lambda k, c, v: (f"[{k}_{c}]-Team", f"{v}-Team"),
    "named entities": lambda k, c, v: (f"&lsqb;{k}&lowbar;{c}&rsqb;", v),
    "entity for a blank": lambda k, c, v: (f"[{k}&nbsp;{c}]", v),
    "address escaped twice": lambda k, c, v: (f"%255B{k}_{c}%255D", v),
    "octal escapes": lambda k, c, v: (rf"\133{k}_{c}\135", v),
    "brackets of LaTeX": lambda k, c, v: (rf"{{[}}{k}\_{c}{{]}}", v),
    "commands of LaTeX": lambda k, c, v: (rf"\lbrack {k}\_{c}\rbrack{{}}", v),
    "word in typewriter": lambda k, c, v: (rf"\texttt{{{k}\_{c}}}", rf"\texttt{{{v}}}"),
    "triple braces": lambda k, c, v: (f"{{{{{{{k}_{c}}}}}}}", v),
    "triple brackets": lambda k, c, v: (f"[[[{k}_{c}]]]", v),
    "variable of a shell": lambda k, c, v: (f"${k}_{c}", v),
    "between colons": lambda k, c, v: (f":{k}_{c}:", v),
    "code named": lambda k, c, v: (f"[{k} (code {c})]", v),
    "code twice": lambda k, c, v: (f"[{k}_{c} ({c})]", v),
    "element and its end": lambda k, c, v: (f"<{k}_{c}></{k}_{c}>", v),
    "number between": lambda k, c, v: (f"[{k}_1_{c}]", v),
    "wrapped in a quoted mail": lambda k, c, v: (f"[{k}\n> {c}]", v),
    "soft break of a mail": lambda k, c, v: (f"[{k}_{c[:2]}=\n{c[2:]}]", v),
    "small capitals": lambda k, c, v: (f"[{k}_{c.replace('K', 'ᴋ').replace('R', 'ʀ')}]", v),
    "digits of Arabic": lambda k, c, v: (f"[شخص_{c.translate(_ARABIC)}]", v),
    "template of a partial": lambda k, c, v: (f"{{{{> {k}_{c} }}}}", v),
    "default of a shell": lambda k, c, v: (f"${{{k}_{c}:-none}}", v),
    "operator of a template": lambda k, c, v: (f"{{{{ {k}_{c} | trim | upper }}}}", v),
    "conversion of Python": lambda k, c, v: (f"{{{k}_{c}!s:>12}}", v),
    "merge tag": lambda k, c, v: (f"*|{k}_{c}|*", v),
    "signs in brackets": lambda k, c, v: (f"[~#{k}_{c}#~]", v),
    "quiet variable": lambda k, c, v: (f"$!{k}_{c}", v),
    "macro of LaTeX": lambda k, c, v: (rf"\{k}\_{c}{{}}", v),
    "escaped three times": lambda k, c, v: (rf"\\\[{k}\\\_{c}\\\]", v),
    "two kinds": lambda k, c, v: (f"[{k}/CLIENT {c}]", v),
    "index of the kind": lambda k, c, v: (f"{k}['{c}']", v),
    "element of the kind": lambda k, c, v: (f"<{k}>{c}</{k}>", v),
    "round brackets about a code's": lambda k, c, v: (f"({k} [{c}])", v),
    "word in round brackets": lambda k, c, v: (f"(ask {k}_{c})", f"(ask {v})"),
    "argument of a function": lambda k, c, v: (f"trim({k}_{c})", f"trim({v})"),
    "index of a table": lambda k, c, v: (f'rows["{k}_{c}"]', f'rows["{v}"]'),
    "target of a link": lambda k, c, v: (f"[him]({k}_{c})", f"[him]({v})"),
    "attribute of an element": lambda k, c, v: (f'<input name="{k}_{c}">', f'<input name="{v}">'),
    "initials in round brackets": lambda k, c, v: (f"(e.g. {k}_{c})", f"(e.g. {v})"),
    "field of an object": lambda k, c, v: (f"{{{{lead.{k}_{c}:none}}}}", v),
    "call in braces": lambda k, c, v: (f"{{{{ t('{k}_{c}') }}}}", v),
    "exclamation in round brackets": lambda k, c, v: (f"({k}_{c}!)", f"({v}!)"),
    "Spanish question": lambda k, c, v: (f"¿{k}_{c}?", f"¿{v}?"),
    "spoiler": lambda k, c, v: (f"||{k}_{c}||", f"||{v}||"),
    "emphasis": lambda k, c, v: (f"*{k}_{c}*", f"*{v}*"),
    "path": lambda k, c, v: (f"/{k}_{c}/", f"/{v}/"),
    "spoken underscore": lambda k, c, v: (f"{k.lower()} underscore {c}", v),
}
NAME = st.text(alphabet=string.ascii_lowercase, min_size=4, max_size=9).map(str.title)
CASES = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("way", WAYS)
@CASES
@given(st.lists(NAME, min_size=4, max_size=4, unique=True), st.integers(1, 45))
def test_the_value_comes_back_and_nobody_elses(way, words, size):
    names = [" ".join(words[:2]), " ".join(words[2:])]
    with MaskingSession() as session:
        for name in names:
            mask(f"I spoke to {name} today.", {"name": name}, session)
        codes = {form.value: form.code for form in session.vault.forms() if form.value in names}
        for name, other in (names, names[::-1]):
            written, wanted = WAYS[way]("PERSON", codes[name], name)
            answer, expected = f"Dear {written} - thanks", f"Dear {wanted} - thanks"
            given_back = demask(answer, session.vault)
            assert given_back == expected and other not in given_back
            stream = DemaskStream(session.vault)
            pieces = [stream.feed(answer[i : i + size]) for i in range(0, len(answer), size)]
            assert "".join(pieces) + stream.end() == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_code_with_a_slip_is_nobodys(way):
    with MaskingSession(key=b"a key of sixteen bytes") as session:
        text = mask("I spoke to Ottilie Brandvik.", {"name": "Ottilie Brandvik"}, session).text
        code = re.search(r"_([A-Z0-9]+)\]", text)[1]
        for at, right in enumerate(code):
            slip = f"{code[:at]}{'3' if right != '3' else '4'}{code[at + 1 :]}"
            written, _ = WAYS[way]("PERSON", slip, "")
            assert "Brandvik" not in demask(f"Dear {written} - thanks", session.vault)


def test_braces_of_the_text_stay():
    with MaskingSession() as session:
        text = mask(r"\emph{Ottilie Brandvik} wrote.", {"name": "Ottilie Brandvik"}, session).text
        assert demask(text, session.vault) == r"\emph{Ottilie Brandvik} wrote."
        for size in (1, 7, 39):
            stream = DemaskStream(session.vault)
            pieces = [stream.feed(text[i : i + size]) for i in range(0, len(text), size)]
            assert "".join(pieces) + stream.end() == r"\emph{Ottilie Brandvik} wrote."


SIGNS = st.sampled_from(
    [*"[](){}<>&;:$#%@!_-='\"\\/|* .K7B3", "&lsqb;", "<b>", "\\u005b", "PERSON ", "text "]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(SIGNS, max_size=40), st.integers(0, 12), st.integers(1, 50))
def test_every_cut_gives_the_whole_and_nothing_else_changes(signs, place, size):
    with MaskingSession(key=b"a key of sixteen bytes") as session:
        mask("I spoke to Ottilie Brandvik.", {"name": "Ottilie Brandvik"}, session)
        code = session.vault.forms()[0].code
        text = "".join([*signs[:place], code, *signs[place:]])
        stream = DemaskStream(session.vault)
        pieces = [stream.feed(text[i : i + size]) for i in range(0, len(text), size)]
        assert "".join(pieces) + stream.end() == demask(text, session.vault)
        free = "".join(s for s in signs if s != "PERSON ")
        assert demask(free, session.vault) == free  # no code of the session and no kind


PAIRS = st.sampled_from(
    [("[", "]"), ("{", "}"), ("<", ">"), ("${", "}"), ("#{", "}"), ("@{", "}"), ("$(", ")")]
)
INNER = st.text(alphabet="#%:*@$|/=~^-", max_size=2)


@settings(max_examples=150, deadline=None)
@given(st.lists(PAIRS, min_size=1, max_size=3), INNER, st.booleans(), st.integers(1, 45))
def test_a_frame_that_no_language_has_goes_as_a_whole(pairs, inner, blank, size):
    opened, closed = inner + " " * blank, " " * blank + inner[::-1]
    for before, behind in pairs:
        opened, closed = before + opened, closed + behind
    with MaskingSession(key=b"a key of sixteen bytes") as session:
        mask("I spoke to Ottilie Brandvik.", {"name": "Ottilie Brandvik"}, session)
        form = next(f for f in session.vault.forms() if f.value == "Ottilie Brandvik")
        answer = f"Dear {opened}PERSON_{form.code}{closed} - thanks"
        assert demask(answer, session.vault) == "Dear Ottilie Brandvik - thanks"
        stream = DemaskStream(session.vault)
        pieces = [stream.feed(answer[i : i + size]) for i in range(0, len(answer), size)]
        assert "".join(pieces) + stream.end() == "Dear Ottilie Brandvik - thanks"


@pytest.mark.parametrize(
    "around", ['"{}"', "'{}'", "*{}*", "**{}**", "__{}__", "`{}`", "|{}|", "--{}--", "#{}", "%{}%"]
)
def test_signs_around_a_whole_placeholder_are_the_sentences(around):
    with MaskingSession() as session:
        mask("I spoke to Ottilie Brandvik.", {"name": "Ottilie Brandvik"}, session)
        form = next(f for f in session.vault.forms() if f.value == "Ottilie Brandvik")
        restored = demask(f"Dear {around.format(form.placeholder)} - thanks", session.vault)
        assert restored == f"Dear {around.format(form.value)} - thanks"


@pytest.mark.parametrize(
    "template", [r"[\"{}\"]", r"Dear\n\n{}, hello", r"\t{}", r"<x id=\"{}\"/>", r"\\{}", "{{{{{}|a}}}}"]
)
def test_escapes_of_json_stay_whole(template):
    with MaskingSession() as session:
        mask("I spoke to Ottilie Brandvik.", {"name": "Ottilie Brandvik"}, session)
        form = next(f for f in session.vault.forms() if f.value == "Ottilie Brandvik")
        answer = '{"text": "' + template.format(f"PERSON_{form.code}") + '", "n": 1}'
        restored = json.loads(demask(answer, session.vault))
        assert form.value in restored["text"] and "PERSON" not in restored["text"] and restored["n"] == 1
        assert "hello" not in template or restored["text"] == "Dear\n\nOttilie Brandvik, hello"


def test_a_list_and_the_quotes_of_json_stay():
    with MaskingSession() as session:
        mask("I spoke to Ottilie Brandvik.", {"name": "Ottilie Brandvik"}, session)
        form = next(f for f in session.vault.forms() if f.value == "Ottilie Brandvik")
        for shown in (f"PERSON_{form.code}", form.code, form.placeholder):
            answer = json.dumps({"to": [shown, [shown]], "who": {"PERSON": shown}})
            expected = {"to": [form.value, [form.value]], "who": {"PERSON": form.value}}
            assert json.loads(demask(answer, session.vault)) == expected
