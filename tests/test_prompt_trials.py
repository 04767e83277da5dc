"""Judges with a planted bias are detected and others are not; the cost of a custom judge is announced first.

The scripted judges know which invented statements are true. Their errors and biases are drawn from a seed.
"""

import json
import random
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from crmeval.cli.app import main
from crmeval.core.judging import Verdict
from crmeval.judges.llm import LLMJudge
from crmeval.validation.labelled import LABELLED
from crmeval.validation.labels import Labelled
from crmeval.validation.prompt_trials import (
    ItemTrial,
    PairTrial,
    item_effects,
    pair_effects,
    prompt_figures,
    prompt_trials,
    swayed_by,
    trial_cases,
    try_items,
    try_pairs,
)

CASES = trial_cases()
TRUTH = {t: yes for c in CASES for items in c.items.values() for t, yes in items}
PROMPTS = ("check", "align", "follow")
FIRST, LONG = "prefers the first", "prefers the longer of two that say the same"
PLACE, LENGTH = "yes when first, less yes when last", "yes in the longer text, less yes in the short one"


class Scripted:
    "A noisy judge whose planted bias says yes by position or length with a given probability."

    name, style = "scripted", "fine"

    def __init__(self, seed, noise=0.15, first=0.0, longer=0.0):
        self.rng, self.noise, self.first, self.longer = random.Random(seed), noise, first, longer

    def says(self, texts, is_long):
        return [Verdict(self.one(k, len(texts), t, is_long)) for k, t in enumerate(texts)]

    def one(self, k, n, text, is_long):
        if k == 0 and self.rng.random() < self.first or is_long and self.rng.random() < self.longer:
            return True
        if k == n - 1 and self.rng.random() < self.first:
            return False
        return TRUTH.get(text, True) != (self.rng.random() < self.noise)

    def supported(self, sentences, *, source):
        return self.says(sentences, len(sentences) > 4)

    def stated(self, facts, *, sentences):
        return self.says(facts, len(sentences) > 2)

    def followed(self, instructions, *, response):
        return self.says(instructions, response.count(".") > 4)


def found_in(judge, prompt):
    return item_effects([r for c in CASES for r in try_items(c, judge, prompt)], n_resamples=200)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_planted_habit_is_found_for_every_prompt(prompt):
    for seed in range(5):
        assert PLACE in swayed_by(found_in(Scripted(seed, first=0.7), prompt)), seed
        found = found_in(Scripted(seed, longer=0.7), prompt)
        assert LENGTH in swayed_by(found) and PLACE not in swayed_by(found), seed
        assert found[LENGTH].value > 0.15


@pytest.mark.parametrize("noise", [0, 0.15, 0.5])
def test_a_judge_without_a_habit_is_seldom_called_swayed(noise):
    called = [x for seed in range(25) for p in PROMPTS for x in swayed_by(found_in(Scripted(seed, noise), p))]
    # 150 effects at 5 %: 7.5 are expected, 16 or more occur once in 300 such tests
    assert len(called) < 16 and (noise or not called), called


@pytest.mark.parametrize("share", [0.6, 0.9, 1.0])
def test_the_size_of_an_effect_of_place_is_the_planted_one(share):
    "With this probability the first item is yes and the last no: each item shifts by it at one end."
    values = [found_in(Scripted(seed, noise=0, first=share), "check")[PLACE].value for seed in range(12)]
    assert sum(values) / len(values) == pytest.approx(share, abs=0.1)


def test_turning_and_lengthening_change_nothing_else():
    class Hears(Scripted):
        def says(self, texts, is_long):
            calls.append(tuple(texts))
            return super().says(texts, is_long)

    for prompt in PROMPTS:
        calls = []
        try_items(CASES[3], Hears(0), prompt)
        once, turned, longer = calls
        list_asked = [t for t, _ in CASES[3].items[prompt]]
        assert list(once) == list_asked == list(turned)[::-1]
        assert [t for t in longer if t in list_asked] == list_asked
        assert (longer[0], longer[-1]) == (list_asked[0], list_asked[-1]), (
            "the first and last items must stay"
        )


def test_a_reply_that_lacks_one_verdict_is_not_read_whole():
    rows = [
        ItemTrial("a", "check", k < 2, k, 4, True, True, None, ("ok", "ok", "truncated")) for k in range(4)
    ]
    rows[0] = replace(rows[0], longer=True, statuses=("ok", "ok", "ok"))
    effects = item_effects(rows, n_resamples=20)
    assert effects["replies read"].value == pytest.approx(2 / 3) and effects["replies read"].n == 3
    assert (effects[LENGTH].n, effects[LENGTH].undefined) == (1, 3)
    rows = [replace(r, statuses=("ok", "parse_error", "not_run")) for r in rows]
    read = item_effects(rows, n_resamples=20)["replies read"]
    assert (read.value, read.n, read.undefined) == (0.5, 2, 1), "items not asked are not unreadable"


def test_pairs_tell_place_length_and_truth_apart():
    rng, called = random.Random(0), []

    def by_place(instruction, first, second):
        return 1 if rng.random() < 0.9 else 2

    def by_length(instruction, first, second):
        return 1 if (len(first) > len(second)) == (rng.random() < 0.95) else 2

    def by_coin(instruction, first, second):
        return rng.choice((0, 1, 2))

    def sways(ask):
        return swayed_by(pair_effects(try_pairs(CASES, ask, concurrency=1), n_resamples=200))

    for _ in range(12):
        place, length = sways(by_place), sways(by_length)
        assert FIRST in place and LONG in length
        called += [x for x in place if x != FIRST] + [x for x in length if x != LONG] + sways(by_coin)
    assert len(called) <= 6, f"48 absent effects: 2 or 3 are expected by chance, not {called}"


def test_a_tie_is_half_and_no_choice_is_nothing():
    rows = [
        PairTrial("a", "longer", 0, 0),
        PairTrial("b", "longer", None, 2),
        PairTrial("c", "longer", None, None),
    ]
    effects = pair_effects([*rows, PairTrial("a", "wrong", 1, 1)], n_resamples=20)
    longer = effects["prefers the longer of two that say the same"]
    assert (longer.value, longer.n, longer.undefined) == (0.75, 2, 1)
    assert effects["replies read"].value == pytest.approx(5 / 8)


class Endpoint:
    "A chat client that supports only the first item, or, in a subclass, answers in prose."

    name, provider, model = "scripted", "scripted", "scripted"

    def __init__(self):
        self.asked = 0

    async def chat(self, messages, **options):
        self.asked += 1
        prompt = messages[1]["content"]
        ticket = re.search(r"<<<BEGIN [a-z ]+ (\w+)>>>", prompt)[1]
        n = int(re.search(r"each of the (\d+) ", prompt)[1])
        rows = [{"number": k + 1, "reason": "", **self.verdict(k)} for k in range(n)]
        text = json.dumps({"ticket": ticket, "verdicts": rows})
        return SimpleNamespace(
            text="I like it." if self.mute() else text, status="ok", usage=None, logprobs=None
        )

    def mute(self):
        return False

    def verdict(self, k):
        yes = k == 0
        return {"category": "no_error" if yes else "other", "stated": yes, "lines": [1], "followed": yes}


def test_the_real_prompts_and_the_real_reading_stand_between():
    client = Endpoint()
    effects = prompt_trials(CASES[:4], fine=LLMJudge("x", client=client), n_resamples=50)
    assert client.asked == 4 * 3 * 3
    for prompt in PROMPTS:
        assert effects[prompt]["replies read"].value == 1 and effects[prompt][PLACE].value == 1
        assert PLACE in swayed_by(effects[prompt]) and effects[prompt]["right"].value == 0.5

    class Prose(Endpoint):
        def mute(self):
            return True

    silent = prompt_trials(CASES[:2], fine=LLMJudge("x", client=Prose()), n_resamples=50)
    assert all(silent[p]["replies read"].value == 0 and silent[p]["right"].value is None for p in PROMPTS)


def test_the_figures_hold_no_text_of_anybody():
    kept = prompt_figures()
    assert {"about", "source", "model", "date", "trials", "people", "spent"} <= set(kept)
    assert set(kept["trials"]["effects"]) == {*PROMPTS, "rate", "compare"}
    longest = max((s for s in re.findall(r'"([^"]*)"', json.dumps(kept))), key=len)
    assert len(longest) < 400, longest


SOURCE = "Agent: The visit is free. A technician comes on Thursday."


SAID = {
    "The visit is free.": True,
    "It costs nothing.": True,
    "A technician comes on Thursday.": True,
    "The visit is free on Saturday.": False,
    "The visit costs 90 euros.": False,
}


def toy(download):
    "Return invented one-sentence responses."
    rows = enumerate([*SAID.items()] * 3)
    return [
        Labelled(f"r{k}", "factuality", (text,), SOURCE, people=float(yes), units=(yes,), cluster=k)
        for k, (text, yes) in rows
    ]


@pytest.fixture
def toy_set(monkeypatch):
    made = replace(LABELLED["bump-factuality"], source="maia_dqe", load=toy)
    monkeypatch.setitem(LABELLED, "toy-factuality", made)


def agreement(server, *words):
    return main(
        ["agreement", "toy-factuality", "--judge", "openai:judge", "--judge-base-url", server.url, *words]
    )


def test_a_judge_of_ones_own_is_told_about_before_anything_is_sent(toy_set, server, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: "n")
    agreement(server)
    printed = capsys.readouterr().out
    assert not server.bodies, "nothing may be sent before confirmation"
    assert re.search(
        r"15 responses of 15 documents, 15 calls, about [\d,]+ tokens in and [\d,]+ out", printed
    )
    assert "no price is known" in printed and re.search(r"about \d+\.\d minutes", printed)
    assert re.search(r"95 % interval of Pearson's correlation: about \d\.\d\d wide", printed)


def test_one_command_gives_the_figure_after_that(toy_set, server, capsys):
    assert agreement(server, "--limit", "8", "--yes") in (0, None)
    printed = capsys.readouterr().out
    assert printed.index("8 calls, about") < printed.index("of the replies read")
    assert 1 < len(server.bodies) <= len(SAID), "equal questions must be sent once"
    assert "openai:judge" in printed and "word overlap" in printed


def test_without_a_terminal_what_may_cost_money_starts_with_yes_alone(toy_set, server, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    for words in ((), ("--price", "judge=0.2,0.8"), ("--json", "--max-usd", "1", "--price", "judge=0.2,0.8")):
        assert agreement(server, *words) == 2
        assert "--yes" in capsys.readouterr().err and not server.bodies
    assert agreement(server, "--price", "judge=0,0", "--limit", "8") in (0, None)  # free of charge
    assert server.bodies
    sent = len(server.bodies)
    assert agreement(server, "--limit", "8") in (0, None)  # all replies are kept: nothing is sent
    assert len(server.bodies) == sent


def test_the_price_of_a_known_model_is_told(toy_set, server, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: "")
    main(["agreement", "toy-factuality", "--judge", "openai:gpt-4o-mini", "--judge-base-url", server.url])
    told = capsys.readouterr().out
    assert re.search(r"\((about [1-9\d]*\d\.\d\d|less than 0\.01) US dollars\)", told) and not server.bodies
    assert "about 0.00" not in told
