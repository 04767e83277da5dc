"The marketing use cases: off by default, valid references, and flaws that lower the metric in charge."

import json
import random
from collections import Counter
from functools import lru_cache

import pytest

from crmeval import open_run
from crmeval.cli import main
from crmeval.core.records import Response
from crmeval.core.values import values
from crmeval.metrics.accuracy import score_response
from crmeval.metrics.brand_voice import read_guide
from crmeval.metrics.instruction_following import check_instruction
from crmeval.metrics.marketing import claims, superlatives
from crmeval.pages.leaderboard import leaderboard
from crmeval.tasks.load import load_demo
from crmeval.tasks.use_cases import SCORED_BY, all_instructions, render_prompt, use_cases

MARKETING = use_cases("marketing")
DEMO = load_demo(use_cases=["marketing"])
IDS = [s.id for s in DEMO]


@lru_cache(maxsize=None)
def of_reference(sample_id):
    return points_of(DEMO[IDS.index(sample_id)], DEMO[IDS.index(sample_id)].reference)


def points_of(sample, text):
    return {s.metric: s for s in score_response(Response(sample.id, "x", text), sample=sample)}


def wanted(sample, kind):
    return next((i for i in all_instructions(sample) if i["kind"] == kind), None)


# ---- the shipped samples


def test_marketing_is_asked_for_by_name():
    assert set(use_cases()).isdisjoint(MARKETING) and {s.use_case for s in load_demo()}.isdisjoint(MARKETING)
    counts = Counter(s.use_case for s in DEMO)
    assert list(counts) == list(MARKETING) and min(counts.values()) >= 8, counts
    assert all(u.scored_by == (*SCORED_BY, "fluency", "brand_voice") for u in MARKETING.values())


@pytest.mark.parametrize("name", MARKETING)
def test_samples_are_whole_and_varied(name):
    samples = [s for s in DEMO if s.use_case == name]
    assert len({s.tags["industry"] for s in samples}) == len({s.tags["region"] for s in samples}) == 8
    assert len({s.inputs["style_guide"] for s in samples}) == 8
    for s in samples:
        prompt = render_prompt(s)
        assert all(i["text"] in prompt for i in all_instructions(s)) and 5 <= len(s.key_facts) <= 7, s.id
        assert read_guide(s.inputs["style_guide"]).rules and not read_guide(s.inputs["style_guide"]).judged
        # the required wording must be in the prompt's legal text, and a rule must be able to express it
        assert wanted(s, "disclaimer")["wording"] in s.inputs["legal"]


@pytest.mark.parametrize("sample", DEMO, ids=IDS)
def test_the_reference_obeys(sample):
    wrong = {i["kind"]: check_instruction(sample.reference, instruction=i) for i in all_instructions(sample)}
    assert not any(wrong.values()), wrong
    found = of_reference(sample.id)
    assert min(found[m].points for m in ("factuality", "completeness", "fluency", "brand_voice")) == 4
    assert found["accuracy"].points >= 3.75, found


# ---- flaws: one kind each, at a random place


def without_wording(sample, rng):
    "Return the reference with its required wording damaged: a word dropped, one added, or the words rotated."
    words = wanted(sample, "disclaimer")["wording"].split()
    i = rng.randrange(1, len(words))
    other = rng.choice([words[:i] + words[i + 1 :], words[:i] + ["quite"] + words[i:], words[i:] + words[:i]])
    return sample.reference.replace(" ".join(words), " ".join(other))


CLAIMS = (
    "You cannot lose.",
    "A risk-free choice.",
    "It is guaranteed to please you.",
    "It is 100 % safe.",
    "It never fails.",
)


def with_claim(sample, rng):
    blocks = sample.reference.split("\n\n")
    i = rng.randrange(1, len(blocks))
    blocks[i] = (
        f"{rng.choice(CLAIMS)} {blocks[i]}" if rng.random() < 0.5 else f"{blocks[i]} {rng.choice(CLAIMS)}"
    )
    return "\n\n".join(blocks)


def with_other_price(sample, rng):
    prices = [v.text.strip() for v in values(sample.reference) if v.kind == "money"]
    if not prices:
        return None
    price = rng.choice(prices)
    digits = [i for i, c in enumerate(price) if c.isdigit()]
    at = rng.choice(digits[:2])
    other = price[:at] + str((int(price[at]) + rng.randrange(1, 9)) % 9 + 1) + price[at + 1 :]
    return None if other == price else sample.reference.replace(price, other, 1)


def off_brand(sample, rng):
    "Return the reference with a violation of the style guide: a banned word, exclamation marks, emoji."
    banned = [
        line.split(":")[0].strip() for line in sample.inputs["style_guide"].splitlines() if line[:2] == "  "
    ]
    banned = [b for b in banned if b not in ("max", "min")]
    end = sample.reference.index(".") + 1
    violation = rng.choice([f" It is about {rng.choice(banned)}.", " Yes!! Really!!", " 🎉 Great 🎉."])
    return sample.reference[:end] + violation + sample.reference[end:]


FLAWS = {
    without_wording: "instruction_following",
    with_claim: "instruction_following",
    with_other_price: "instruction_following",
    off_brand: "brand_voice",
}


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda f: f.__name__)
def test_a_flaw_loses_the_right_metric(flaw):
    rng, tried = random.Random(11), 0
    for s in DEMO:
        text = flaw(s, rng)
        if text is None or text == s.reference:
            continue
        tried += 1
        before, after = of_reference(s.id)[FLAWS[flaw]], points_of(s, text)[FLAWS[flaw]]
        assert after.fraction < before.fraction and after.points < before.points, (s.id, text, after.reason)
    assert tried >= 12


def test_a_wrong_price_is_false_too():
    "At least 85 %: the lexical judge misses a price if the source has a similar number ($4 and 4,000)."
    rng, lost = random.Random(5), []
    for s in DEMO:
        if text := with_other_price(s, rng):
            lost.append(points_of(s, text)["factuality"].points < of_reference(s.id)["factuality"].points)
    assert sum(lost) >= 0.85 * len(lost) and len(lost) >= 12, lost


@pytest.mark.parametrize(
    "sample", [s for s in DEMO if s.use_case == "marketing_campaign_mail"], ids=lambda s: s.id
)
def test_a_mail_without_its_small_print_or_with_three_wishes(sample):
    body, small = sample.reference.rsplit("\n\n", 1)
    follows = {i["kind"]: i for i in all_instructions(sample)}
    for text, kind in (
        (body, "imprint"),
        (body, "unsubscribe"),
        (f"{body}\n\nFollow us, and read our magazine. Share this mail.\n\n{small}", "calls_to_action"),
        (sample.reference.replace("Subject: ", "Subject: A letter of some length about "), "subject_length"),
    ):
        assert check_instruction(text, instruction=follows[kind]), (kind, text)


# ---- comparisons with others, and negated claims


@pytest.mark.parametrize("claim", ["risk-free", "guaranteed", "foolproof"])
@pytest.mark.parametrize(
    "denial", ["Nothing is {}.", "It isn't {}.", "No plan is {}.", "Returns are never {}."]
)
def test_a_denied_claim_is_none(claim, denial):
    assert claims(denial.format(claim)) == []
    assert claims(denial.format("dull") + f" It is {claim}.") == [claim]


@pytest.mark.parametrize(
    "plain", ["the latest news", "in the west", "our guests", "the honest answer", "the rest"]
)
def test_words_that_end_like_superlatives(plain):
    assert superlatives(f"Here is {plain} about it.") == []


# ---- a run


def test_baselines_on_the_command_line(tmp_path, capsys):
    folder = tmp_path / "run"
    words = ["run", "--baselines", "--use-case", "marketing", "--limit", "1", "--out", str(folder)]
    assert not main([*words, "--no-progress"])
    printed = capsys.readouterr().out
    assert "+ fluent" in printed and "+ voice" in printed
    rows = {r.client: r.metrics for r in leaderboard(open_run(folder))}
    accuracy = {c: m["accuracy"].value for c, m in rows.items()}
    assert accuracy["baseline:reference"] > 3.9 and accuracy["baseline:template"] < 1.6
    assert all(1.5 < accuracy[f"baseline:{b}"] < 3.2 for b in ("lead", "extractive", "rules")), accuracy
    assert {m["brand_voice"].n for m in rows.values()} == {3}
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert '<h3 id="beside">' in report and "<th>Brand voice</th>" in report
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["own_use_cases"] == []
