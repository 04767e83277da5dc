"""Values missed by masking, values restored by demasking, and the time of both.

    python benchmarks/masking.py [--write]

Three figures, on invented texts and, if available, on `presidio_pii`:
- placeholders altered by a model in many ways, for fifty invented names: share restored exactly, and
  share restored to the wrong person, compared with exact replacement;
- values left in free sentences without a record, and with the record;
- CPU milliseconds per e-mail, masked and demasked, p50 and p99.
"""

import argparse
import hashlib
import html
import json
import random
import re
import statistics
import time
from pathlib import Path
from urllib.parse import quote

from crmeval.layer.masking import KINDS, MaskingPolicy, MaskingSession, demask, mask

RESULTS = Path(__file__).parent / "results" / "masking.json"

_ONSETS = "Br Dr Fl Gw Har Il Jo Kel Lun Mar Nev Or Pel Qua Ros Sil Tam Ul Ver Wyn".split()
_ENDINGS = (
    "ada bert celin dova ena fric gard hild isa jana kin lotte mund nor ova pin ric sund tilda vik".split()
)


def invented_names(count=50, seed=7):
    "Return invented names of two words; no two share a word."
    rng = random.Random(seed)
    words = [a + b for a in _ONSETS for b in _ENDINGS]
    rng.shuffle(words)
    return [f"{words[2 * n]} {words[2 * n + 1]}" for n in range(count)]


def _parts(placeholder):
    kind, code = re.fullmatch(r"\[(.+)_([A-Z0-9]+)\]", placeholder).groups()
    return kind, code


def _wide(text):
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _bold(text):
    "Return the text in mathematical bold capitals and digits."
    return "".join(
        chr(0x1D400 + ord(c) - 65) if "A" <= c <= "Z" else chr(0x1D7CE + int(c)) if c.isdigit() else c
        for c in text
    )


def _lookalike(text):
    return text.translate(str.maketrans("BCHKMPTX", "ВСНКМРТХ"))


def ways(placeholder):
    "Return way -> (the altered placeholder, the expected text around the value)."
    k, c = _parts(placeholder)
    p, low = placeholder, placeholder.lower()
    return {
        "as it is": (p, "{}"),
        "lower case": (low, "{}"),
        "title case": (p.title(), "{}"),
        "possessive behind": (f"{p}'s", "{}'s"),
        "possessive, curly": (f"{p}’s", "{}’s"),
        "possessive inside": (f"[{k}_{c}'s]", "{}'s"),
        "plural behind": (f"{p}s", "{}s"),
        "round brackets": (f"({k}_{c})", "{}"),
        "angle brackets": (f"<{k}_{c}>", "{}"),
        "braces": (f"{{{k}_{c}}}", "{}"),
        "double braces": (f"{{{{{k}_{c}}}}}", "{}"),
        "doubled brackets": (f"[[{k}_{c}]]", "{}"),
        "no brackets": (f"{k}_{c}", "{}"),
        "no brackets, blank": (f"{k.title()} {c}", "{}"),
        "code alone": (c, "{}"),
        "code in brackets": (f"[{c}]", "{}"),
        "blank for underscore": (f"[{k} {c}]", "{}"),
        "hyphen for underscore": (f"[{k}-{c}]", "{}"),
        "colon": (f"[{k}: {c}]", "{}"),
        "number sign": (f"[{k} #{c}]", "{}"),
        "blanks inside": (f"[ {k}_{c} ]", "{}"),
        "spaced code": (f"[{k}_{' '.join(c)}]", "{}"),
        "spaced out": (f"[{' '.join(k)} _ {c}]", "{}"),
        "hyphenated at a line's end": (f"[{k}_{c[:3]}-\n{c[3:]}]", "{}"),
        "split over lines": (f"[{k}_\n{c}]", "{}"),
        "zero-width signs": (f"[{k}\u200b_{c[:2]}\u200b{c[2:]}]", "{}"),
        "soft hyphen": (f"[{k}_{c[:2]}\u00ad{c[2:]}]", "{}"),
        "no-break blank": (f"[{k}\u00a0{c}]", "{}"),
        "full width": (_wide(p), "{}"),
        "mathematical bold": (_bold(p), "{}"),
        "Cyrillic look-alikes": (_lookalike(p), "{}"),
        "HTML entities": (html.escape(f"<{k}_{c}>"), "{}"),
        "numeric entities": (f"&#91;{k}_{c}&#93;", "{}"),
        "tag around": (f"<b>{p}</b>", "<b>{}</b>"),
        "tag inside": (f"[{k}_<b>{c}</b>]", "{}"),
        "line break tag": (f"[{k}_{c[:2]}<wbr>{c[2:]}]", "{}"),
        "Markdown escapes": (rf"\[{k}\_{c}\]", "{}"),
        "bold around": (f"**{p}**", "**{}**"),
        "bold inside": (f"[**{k}_{c}**]", "{}"),
        "code span": (f"`{p}`", "`{}`"),
        "JSON escapes": (rf"\u005b{k}\u005f{c}\u005d", "{}"),
        "URL escapes": (quote(p), "{}"),
        "quotes inside": (f'["{k}_{c}"]', "{}"),
        "single quotes inside": (f"['{k}_{c}']", "{}"),
        "Spanish kind": (f"[PERSONA_{c}]", "{}"),
        "French kind": (f"[NOM_{c}]", "{}"),
        "German kind, blank": (f"[Kunde {c}]", "{}"),
        "Chinese kind": (f"【姓名_{c}】", "{}"),
        "Japanese particle behind": (f"{p}さん", "{}さん"),
        "unknown kind": (f"[BENUTZER_{c}]", "{}"),
        "kind behind": (f"[{c}_{k}]", "{}"),
        "words before the kind": (f"[the {k.lower()} {c}]", "{}"),
        "not closed": (f"[{k}_{c}", "{}"),
        "not opened": (f"{k}_{c}]", "{}"),
        "run together": (f"[{k}{c}]", "{}"),
        "hint added": (f"[{k}_F_{c}]", "{}"),
        "quoted": (f'"{p}"', '"{}"'),
        "emphasis inside": (f"[_{k}_{c}_]", "{}"),
        "dollar and braces": (f"${{{k}_{c}}}", "{}"),
        "at sign": (f"@{k}_{c}", "@{}"),
        "percent signs": (f"%{k}_{c}%", "{}"),
        "guillemets": (f"«{k}_{c}»", "{}"),
        "Arabic mark": (f"\u200f{p}\u200f", "\u200f{}\u200f"),
        "link": (f"[{p}](#x)", "[{}](#x)"),
        "bullet": (f"- {p}", "- {}"),
        "table cell": (f"|{p}|", "|{}|"),
        "e-mail greeting": (f"{p},", "{},"),
        "initial capital": (f"[{k.capitalize()}_{c}]", "{}"),
        "tabs": (f"[{k}\t{c}]", "{}"),
        "points in the code": (f"[{k}_{'.'.join(c)}]", "{}"),
        "mixed case": (f"[{k.lower()}_{c[:2]}{c[2:].lower()}]", "{}"),
        "double underscore": (f"[{k}__{c}]", "{}"),
        "escaped twice": (rf"\\[{k}\\_{c}\\]", "{}"),
    }


def restored(names):
    "Return way -> (share restored exactly, share by exact replacement, number restored to another person)."
    with MaskingSession() as session:
        placeholders = {}
        for name in names:
            masked = mask(f"I spoke to {name} today.", {"name": name}, session)
            placeholders[name] = re.search(r"\[[A-Z_0-9]+\]", masked.text)[0]
        table = {}
        for name, placeholder in placeholders.items():
            for way, (written, around) in ways(placeholder).items():
                answer, expected = f"Dear {written} - thanks", f"Dear {around.format(name)} - thanks"
                ours, exact = demask(answer, session.vault), answer.replace(placeholder, name)
                row = table.setdefault(way, [0, 0, 0])
                row[0] += ours == expected
                row[1] += exact == expected
                row[2] += any(other in ours for other in names if other != name)
    return {way: [a / len(names), b / len(names), wrong] for way, (a, b, wrong) in table.items()}


def slipped(names, seed=3):
    "Try codes with one to three random wrong characters; return (tried, restored to a person)."
    rng, wrong, tried = random.Random(seed), 0, 0
    with MaskingSession() as session:
        for name in names:
            mask(f"I spoke to {name} today.", {"name": name}, session)
        for form in session.vault.forms() * 40:
            code = list(form.code)
            for at in rng.sample(range(len(code)), rng.choice((1, 2, 3))):
                code[at] = rng.choice("BCDFGHJKMNPQRTVWXZ34679")
            if "".join(code) != form.code:
                tried += 1
                answer = demask(f"Dear [PERSON_{''.join(code)}],", session.vault)
                wrong += any(name in answer for name in names)
    return tried, wrong


def _template(row):
    text = row["full_text"]
    for s in sorted(row["spans"], key=lambda s: -s["start_position"]):
        text = f"{text[: s['start_position']]}<{s['entity_type']}>{text[s['end_position'] :]}"
    return re.sub(r"\W+", " ", text.casefold()).strip()


def _root(parent, node):
    while parent.setdefault(node, node) != node:
        node = parent[node]
    return node


def held_back(rows):
    "Return the rows of held-out templates: the same half as in nbs/validation/07_pii_scores.ipynb."
    parent, groups = {}, {}
    for row in rows:
        parent[_root(parent, ("id", row["template_id"]))] = _root(parent, ("text", _template(row)))
    for row in rows:
        groups.setdefault(_root(parent, ("id", row["template_id"])), []).append(row)
    first = {key: min(str(r["template_id"]) for r in members) for key, members in groups.items()}
    kept = [key for key, name in first.items() if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0]
    return [row for key in kept for row in groups[key]]


def left_in():
    "Return shares of values left in the masked sentences, whole and by any word; None without the data."
    from crmeval.tasks.public import DataUnavailable, load_rows

    try:
        rows = held_back(load_rows("presidio_pii", "synth_dataset_v2.jsonl", download=False))
    except DataUnavailable:
        return None
    everything, sure = dict.fromkeys(KINDS, "mask"), {"NAME": "keep"}
    return {
        "sentences": len(rows),
        "no record": _left(rows, everything, known=False),
        "no record, only sure names": _left(rows, everything | sure, known=False),
        "record known": _left(rows, everything, known=True),
    }


def _left(rows, kinds, known):
    values = whole = part = 0
    for row in rows:
        fields = {f"f{n}": s["entity_value"] for n, s in enumerate(row["spans"])}
        policy = MaskingPolicy(kinds, dict.fromkeys(fields, "OTHER"))
        text = mask(row["full_text"], fields if known else None, policy=policy).text
        for value in fields.values():
            values += 1
            stands = _stands(value, text)
            whole += stands
            part += stands or any(_stands(w, text) for w in re.findall(r"\w{3,}", value))
    return {"values": values, "left whole": whole / values, "left whole or in a word": part / values}


def _stands(value, text):
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def email(n, name):
    "Return an invented e-mail of about 850 characters, different for each number."
    body = (
        f"I am writing about order {100_000 + n}, promised for the {n % 28 + 1}th, which has not come. "
        f"I called twice, at +44 20 7946 0{n % 900 + 100}, and was told that somebody would write. "
        f"My account ends in {1000 + n % 9000}, and 240.50 was taken for it. "
        f"Please send the rest to {n % 90 + 1} Harbour Street, Lisbon. "
    )
    mail = name.lower().replace(" ", ".")
    return f"Dear team,\n\n{body * 3}\n\nKind regards\n{name}\n{mail}@example.com\n"


def milliseconds(names, count=300):
    "Return step -> (p50, p99) of CPU milliseconds per e-mail, after a warm-up."
    took = {"mask": [], "demask": []}
    for n in range(-5, count):
        name = names[n % len(names)]
        with MaskingSession() as session:
            began = time.process_time()
            masked = mask(email(n + 5, name), {"name": name, "phone": "+44 20 7946 0123"}, session)
            between = time.process_time()
            demask(masked.text, session.vault)
            if n >= 0:
                took["mask"].append(1000 * (between - began))
                took["demask"].append(1000 * (time.process_time() - between))
    return {what: [statistics.median(t), sorted(t)[int(0.99 * len(t))]] for what, t in took.items()}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results/masking.json")
    args = p.parse_args()
    names = invented_names()
    table = restored(names)
    tried, wrong = slipped(names)
    figures = {
        "ways": len(table),
        "names": len(names),
        "restored": statistics.mean(row[0] for row in table.values()),
        "restored by exact replacement": statistics.mean(row[1] for row in table.values()),
        "wrong person": sum(row[2] for row in table.values()),
        "not always restored": {way: row[0] for way, row in table.items() if row[0] < 1},
        "slips tried": tried,
        "slips restored to somebody": wrong,
        "left in free sentences": left_in(),
        "ms for an e-mail, p50 and p99": milliseconds(names),
    }
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    if args.write:
        RESULTS.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
