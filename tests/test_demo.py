"The shipped demo set: complete, with references that follow the instructions, and invented throughout."

import json
import re
from collections import Counter

import pytest

from crmeval.core.json_text import strict_object
from crmeval.core.values import values
from crmeval.metrics.instruction_following import instruction_following
from crmeval.metrics.record_update import record_update
from crmeval.tasks.load import load_demo
from crmeval.tasks.use_cases import all_instructions, render_prompt, use_cases

SAMPLES = load_demo()
RESERVED = re.compile(r"(?:^|\.)example(?:\.(?:com|org|net))?$")


def test_every_use_case_has_at_least_six_samples():
    counts = Counter(s.use_case for s in SAMPLES)
    assert set(counts) == set(use_cases()) and min(counts.values()) >= 6, counts
    assert len({s.id for s in SAMPLES}) == len(SAMPLES)


def test_the_set_is_varied():
    assert len({s.tags["industry"] for s in SAMPLES}) >= 5
    assert {s.tags["segment"] for s in SAMPLES} == {"B2B", "B2C"}
    assert {"chat", "call", "email", "case", "deal"} <= {s.tags["channel"] for s in SAMPLES}
    assert len({s.tags["region"] for s in SAMPLES}) >= 20
    for u in use_cases():
        assert {"messy", "contradictory"} & {
            t for s in SAMPLES if s.use_case == u for t in s.tags["traits"]
        }, u


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.id)
def test_sample_is_whole(sample):
    use_case = use_cases()[sample.use_case]
    assert set(sample.inputs) == set(use_case.inputs) and all(v.strip() for v in sample.inputs.values())
    assert 4 <= len(sample.key_facts) <= 8 and all(f.strip() for f in sample.key_facts)
    assert sample.reference and render_prompt(sample)
    score = instruction_following(sample.reference, instructions=all_instructions(sample))
    assert score.points == 4, [e for e in score.evidence if not e["followed"]]


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.use_case == "update_crm_info"], ids=lambda s: s.id
)
def test_gold_record_is_a_change_of_the_record(sample):
    assert sample.record and sample.gold_record
    assert json.loads(sample.inputs["record"]) == dict(sample.record)
    assert all(sample.record.get(k) != v for k, v in sample.gold_record.items())
    assert strict_object(sample.reference) == dict(sample.gold_record)
    assert record_update(sample.reference, gold=sample.gold_record, before=sample.record).fraction == 1


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.id)
def test_numbers_of_the_key_facts_stand_in_the_inputs(sample):
    "A number in a key fact that the inputs do not contain would be an error in our data."
    digits = set(re.findall(r"\d+", re.sub(r"(?<=\d)[,.\u00a0 ](?=\d{3}\b)", "", sample.source)))
    numbers = digits | {str(int(d)) for d in digits}
    for fact in sample.key_facts:
        for number in re.findall(r"\d+", re.sub(r"(?<=\d)[,.\u00a0 ](?=\d{3}\b)", "", fact)):
            spelled = any(
                getattr(v, "number", None) == float(number)
                or str(getattr(v, "value", "")) in (number, f"{number}.0")
                for v in values(sample.source)
            )
            assert number in numbers or str(int(number)) in numbers or spelled, f"{number} of {fact!r}"


def test_everybody_is_invented():
    for s in SAMPLES:
        text = json.dumps([dict(s.inputs), list(s.key_facts), s.reference], ensure_ascii=False)
        for domain in re.findall(r"[\w.+-]+@([\w.-]+\w)", text):
            assert RESERVED.search(domain), (s.id, domain)
        for domain in re.findall(r"\b(?:https?://|www\.)([\w.-]+\w)", text):
            assert RESERVED.search(domain), (s.id, domain)
        for number in re.findall(r"\(\d{3}\) \d{3}-\d{4}", text):
            assert re.search(r"555-01\d\d", number), (s.id, number)
        assert not re.search(r"\b(?:\d[ -]?){15,16}\b", text), f"{s.id}: looks like a card number"
