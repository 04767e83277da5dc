"Detection of personal data: near misses, hostile text, engines, recall and precision on marked sentences."

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pace import cpu_since

from crmeval import find_pii as from_the_top
from crmeval.detect.pii import find_pii, iban_valid, known_spans, luhn_valid, presidio_spans
from crmeval.detect.proper_names import Span, without_overlaps
from crmeval.validation.pii_scores import span_scores

FOLDER = Path(os.environ.get("CRMEVAL_DATA", "no data")) / "presidio_pii"
needs_data = pytest.mark.skipif(
    not any(FOLDER.glob("synth_dataset_v2.jsonl*")), reason="presidio_pii is not in CRMEVAL_DATA"
)


def entities(text, **more):
    return [(s.entity, text[s.start : s.end]) for s in find_pii(text, **more)]


def test_privacy_offers_the_detector():
    assert from_the_top is find_pii
    span = find_pii("Mail jo@example.com")[0]
    assert (span.entity, span.start, span.end) == ("EMAIL_ADDRESS", 5, 19) and 0 < span.score <= 1


# (kind, value to find, similar value to ignore)
PAIRS = [
    ("CREDIT_CARD", "4111 1111 1111 1111", "4111 1111 1111 1112"),
    ("CREDIT_CARD", "378282246310005", "378282246310006"),
    ("IBAN_CODE", "DE89 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
    ("US_SSN", "987-65-4321", "987-650-4321"),
    ("IP_ADDRESS", "203.0.113.9", "203.0.113.900"),
    ("EMAIL_ADDRESS", "a.b+c@mail.example.org", "a.b at example"),
    ("URL", "https://www.example.com/x?y=1", "http:/example"),
    ("PHONE_NUMBER", "(212) 555-0142", "(212) pages"),
    ("PHONE_NUMBER", "+44 20 7946 0018", "44 20"),
    ("DATE_TIME", "3 March 2026", "3 Marches"),
    ("DATE_TIME", "2026-03-14 10:22:31", "2026-33-14"),
    ("AGE", "38", "380"),
    ("CASE_NUMBER", "CS-20418", "closed"),
    ("POLICY_NUMBER", "PN-88/2201", "lapsed"),
    ("LICENSE_PLATE", "AB12 CDE", "unknown"),
]
FRAME = {
    "AGE": "She is a {}-year-old customer.",
    "CASE_NUMBER": "Your case number {} is open.",
    "POLICY_NUMBER": "The policy number {} is open.",
    "LICENSE_PLATE": "The plate is {} today.",
}


@pytest.mark.parametrize("entity,right,wrong", PAIRS)
def test_the_right_case_and_its_wrong_neighbour(entity, right, wrong):
    frame = FRAME.get(entity, "We noted {} in the file.")
    assert (entity, right) in entities(frame.format(right))
    assert entity not in [e for e, _ in entities(frame.format(wrong))]


def test_ordinary_crm_text_is_left_alone():
    for text in (
        "Thanks for the update! We will refund 1,299.00 EUR within 14 days and send 3 of the 12 units.",
        "Version 2.10.4 of the app, build 20 418, runs on Windows 11.",
        "Please check the Premium Plan and the Support Portal.",
        "The offer is valid for 30 days, i.e. 4 weeks, 50% off.",
        "I've no idea. You'll see. Don't worry.",
    ):
        assert entities(text) == [], text


@pytest.mark.parametrize(
    "text,entity,value",
    [
        ("Tel.: 0049 151 23456789", "PHONE_NUMBER", "0049 151 23456789"),
        ("Ruf 0151-23456789 an.", "PHONE_NUMBER", "0151-23456789"),
        (
            "She lives at 221 Baker Street, London NW1 6XE.",
            "STREET_ADDRESS",
            "221 Baker Street, London NW1 6XE",
        ),
        (
            "Flat 4, 12 Baker Street, London, NW1 6XE",
            "STREET_ADDRESS",
            "Flat 4, 12 Baker Street, London, NW1 6XE",
        ),
        ("Kundennummer 4711-0815", "ACCOUNT_NUMBER", "4711-0815"),
        ("Meine Kundennummer: 4711-0815", "ACCOUNT_NUMBER", "4711-0815"),
        ("geboren am 3. Mai 1984", "DATE_TIME", "3. Mai 1984"),
        ("née le 3 février 1984", "DATE_TIME", "3 février 1984"),
        ("The server is 10.0.0.1.", "IP_ADDRESS", "10.0.0.1"),
        ("We met in 2000.", "DATE_TIME", "2000"),
        ("See you on Monday.", "DATE_TIME", "Monday"),
    ],
)
def test_what_european_texts_write(text, entity, value):
    assert entities(text) == [(entity, value)]


def test_versions_counts_quarters_and_opening_hours_are_no_personal_data():
    for text in (
        "Version 10.0.0.1 is out.",
        "We sold 2000 seats.",
        "Revenue grew in Q3 2024.",
        "We are open Monday to Friday, 9-17.",
        "Opening hours: Monday 9-17, Sunday closed.",
        "The Fritz!Box 7590 is new.",
        "Meine Fritz!Box 7590 geht nicht.",
    ):
        assert entities(text) == [], text
    assert ("PERSON", "Fritz") in entities("Please call Fritz!")


def test_checksums():
    for number in ("4012888888881881", "5555555555554444", "30569309025904"):
        assert luhn_valid(number) and not luhn_valid(number[:-1] + str((int(number[-1]) + 1) % 10))
    assert not luhn_valid("0000000000000000") and not luhn_valid("18")
    assert iban_valid("FR14 2004 1010 0505 0001 3M02 606") and not iban_valid("FR14") and not iban_valid("")


def test_spans_lie_in_the_text_and_do_not_overlap():
    texts = [
        "",
        " ",
        "\ud800 half",
        "Ｍr Ｋéller ٤٢",
        "😀 Ann Lee, 4 Elm Road, Leeds 😀",
        "a" * 30_000,
        "Ann Lee " * 500,
        "\x00\x1b[31m(212) 555-0142",
    ]
    for text in texts:
        spans = find_pii(text)
        assert all(0 <= s.start < s.end <= len(text) and 0 < s.score <= 1 for s in spans)
        assert all(a.end <= b.start for a, b in zip(spans, spans[1:]))
        assert spans == find_pii(text)
    assert without_overlaps([]) == []


@pytest.mark.parametrize(
    "unit",
    [
        "4",
        "4-",
        "a.",
        "@",
        "a@a.",
        "A. ",
        "Aa, ",
        "(1)",
        "1.1.",
        "::",
        "Box 1 ",
        "card 4 ",
        "\n>",
        "Mr ",
        "'",
        "1 Rue ",
    ],
)
def test_long_hostile_text(unit):
    start = time.process_time()
    find_pii(unit * (8_000 // len(unit)))
    assert cpu_since(start) < 6


def test_known_names_beat_guesses_and_obey_case():
    text = "hello, tell Prune Okonedo that prune called. Prunes are sold out."
    assert [
        text[s.start : s.end] for s in find_pii(text, known=["Prune Okonedo"]) if s.entity == "PERSON"
    ] == ["Prune Okonedo", "prune"]
    assert [
        s.entity for s in known_spans("Order is QX77", known=[{"value": "qx77", "entity": "ORDER_NUMBER"}])
    ] == ["ORDER_NUMBER"]


def test_arguments():
    assert entities("Mail jo@example.com on 3 May 2026", entities=["DATE_TIME"]) == [
        ("DATE_TIME", "3 May 2026")
    ]
    assert len(find_pii("We met Trebbiano Fusk yesterday", min_score=0.9)) < len(
        find_pii("We met Trebbiano Fusk yesterday", min_score=0.3)
    )
    with pytest.raises(ValueError, match="engine is 'x'"):
        find_pii("a", engine="x")
    with pytest.raises(ValueError, match="expected a string"):
        find_pii(7)


def test_without_presidio_the_patterns_work_and_the_engine_says_what_is_missing():
    code = (
        "import sys; sys.modules['presidio_analyzer'] = None; sys.modules['spacy'] = None\n"
        "from crmeval import find_pii\nprint(len(find_pii('Mail jo@example.com')))\n"
        "try: find_pii('x', engine='presidio')\nexcept ValueError as e: print(e)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert out.stdout.startswith("1\n") and "crmeval[privacy]" in out.stdout, out.stderr


def test_presidio_makes_no_connection(monkeypatch):
    pytest.importorskip("presidio_analyzer")
    import socket

    def refuse(*a, **k):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = {s.entity: s.score for s in presidio_spans("Mail jo@example.com, card 4111 1111 1111 1111")}
    assert found["EMAIL_ADDRESS"] == 1.0 and found["CREDIT_CARD"] == 1.0
    assert ("EMAIL_ADDRESS", "jo@example.com") in entities("Mail jo@example.com", engine="presidio")


@needs_data
def test_aims_on_the_marked_sentences():
    from crmeval.tasks.public import load_rows

    rows = load_rows("presidio_pii", "synth_dataset_v2.jsonl", download=False)
    gold = [
        [Span(s["entity_type"], s["start_position"], s["end_position"], 1) for s in r["spans"]] for r in rows
    ]
    same = {"GPE": "LOCATION", "STREET_ADDRESS": "LOCATION", "ZIP_CODE": "LOCATION", "DOMAIN_NAME": "URL"}
    scores = span_scores([find_pii(r["full_text"]) for r in rows], gold, same=same)
    for e in (
        "CREDIT_CARD",
        "PHONE_NUMBER",
        "EMAIL_ADDRESS",
        "IBAN_CODE",
        "US_SSN",
        "DOMAIN_NAME",
        "IP_ADDRESS",
        "DATE_TIME",
    ):
        assert scores[e].f_beta() >= 0.95, scores[e]
    assert scores["all"].f_beta() >= 0.85 and scores["PERSON"].f_beta() >= 0.8
    json.dumps([s.f_beta() for s in scores.values()])
