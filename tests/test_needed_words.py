"Required words of a pattern: every match contains one, so the pattern is tried only where one occurs."

import random
import re

import pytest

from crmeval.core.needed_words import leads, may_match, needed_words, plain_small, ways
from crmeval.core.package_data import data_path
from crmeval.core.patterns import PatternFile
from crmeval.core.scan import PatternTable, ScannedText
from crmeval.detect.injection import _everything, injection
from crmeval.detect.pii import _patterns, find_pii
from crmeval.tasks.injection_probes import injection_probes
from crmeval.tasks.load import load_use_case

SIGNS = PatternFile(data_path("lexicons", "injection.json"))
TEXTS = [str(v) for s in load_use_case("service_email_summary")[:3] for v in s.inputs.values()]
TEXTS += [t for p in injection_probes()[::3] for t in (p.text, p.twin)]
LETTERS = "\u0130\u0131\u017f\u212a\u00e9\u00df\u1c80\uff10 .,:@-('0K"


def altered(seed):
    "Return a random text with changed case and inserted characters."
    rng = random.Random(seed)
    text = "".join(c.swapcase() if rng.random() < 0.2 else c for c in rng.choice(TEXTS)[:1500])
    signs = list(text)
    for _ in range(len(signs) // 40):
        signs[rng.randrange(len(signs))] = rng.choice(LETTERS)
    return "".join(signs)


@pytest.mark.parametrize("seed", range(12))
def test_a_match_holds_a_needed_word(seed):
    text = altered(seed)
    small = plain_small(text)
    assert len(small) == len(text)
    for pattern in [p for name in ("signs", "markup") for p in SIGNS.group(name).values()]:
        for match in pattern.finditer(text):
            assert may_match(pattern, plain_small(match[0])), (pattern.pattern[:60], match[0])
        assert may_match(pattern, small) or not pattern.search(text)


def test_a_word_is_needed_in_the_letters_of_either_case():
    pattern = re.compile("\u0441\u0431\u0440\u043e\u0441|stra\u00dfe|\u03c3\u03bf\u03c2|ki\u017fs", re.I)
    for text in (
        "\u0421\u0411\u0420\u041e\u0421",
        "STRA\u1e9eE",
        "\u03a3\u039f\u03a3",
        "\u212aIS\u017f",
        "k\u0130\u017fS",
    ):
        assert pattern.search(text) and may_match(pattern, plain_small(text)), text
    assert len(needed_words(pattern)) == 4


def test_finding_is_the_same_with_every_pattern_tried(monkeypatch):
    texts = [altered(seed) for seed in range(20, 26)]
    sparing = [(find_pii(t, min_score=0.2), injection(t)) for t in texts]
    for room in ("detect.pii", "detect.injection"):
        monkeypatch.setattr(f"crmeval.{room}.holds_one", lambda words, small: True)
    monkeypatch.setattr(
        "crmeval.core.scan.PatternTable.finditer",
        lambda self, scanned, numbers=None: (
            (i, self.patterns[i].finditer(scanned.text)) for i in numbers or range(len(self.patterns))
        ),
    )
    monkeypatch.setattr("crmeval.detect.injection.likely_in", lambda texts: _everything())
    monkeypatch.setattr("crmeval.detect.injection.may_match", lambda pattern, small: True)
    assert sparing == [(find_pii(t, min_score=0.2), injection(t)) for t in texts]


def test_the_branches_of_a_pattern_match_where_it_does():
    texts = [altered(seed) for seed in range(60, 80)]
    for pattern in SIGNS.group("signs").values():
        found = [leads(ways(pattern), t, plain_small(t)) for t in texts]
        assert found == [pattern.search(t) is not None for t in texts], pattern.pattern
    assert max(len(ways(p)) for p in SIGNS.group("signs").values()) > 5


def tables():
    "Return the pattern tables of the personal data detector and of the injection signs."
    signs = PatternTable(SIGNS.group("signs").values())
    return [_patterns()[0], signs]


@pytest.mark.parametrize("seed", range(40, 46))
def test_a_pattern_matches_where_it_was_said_that_it_can_begin(seed):
    text = altered(seed)
    for table in tables():
        found = {i: [m.span() for m in some] for i, some in table.finditer(ScannedText(text))}
        for i, pattern in enumerate(table.patterns):
            assert found.get(i, []) == [m.span() for m in pattern.finditer(text)], pattern.pattern[:60]


def test_most_patterns_are_tried_at_few_places():
    tried = [table.places(ScannedText(TEXTS[0])) for table in tables()]
    sizes = [len(TEXTS[0]) if at is None else len(at) for places in tried for at in places.values()]
    assert sum(sizes) < 0.2 * len(TEXTS[0]) * sum(len(table.patterns) for table in tables())
