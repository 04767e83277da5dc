"Screening of answers: what is detected, and that only the policy decides what happens."

import json
import random

import pytest

from crmeval.layer.policy_part import policy_part
from crmeval.layer.screening import ACTIONS, Screener, ScreeningPolicy, screen

PROMPT = "Customer: Miriam Adeyemi, miriam.adeyemi@post.example, +44 20 7946 0991. She asks about order 5531."
CLEAN = "Dear Ms Adeyemi, thank you for asking. Your order 5531 leaves our store on Friday."
LEAKS = {
    "mail": " Please write to tom.baker@post.example.",
    "phone": " Please call +44 20 7946 0123.",
    "card": " The card is 4539 1488 0343 6467.",
    "iban": " Pay to DE89 3704 0044 0532 0130 00.",
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("action", ACTIONS)
def test_somebody_elses_data(leak, action):
    seen = screen(CLEAN + leak, prompt=PROMPT, policy=ScreeningPolicy(leaks=action, links="pass"))
    value = leak.strip().rstrip(".").split(" ", 3)[-1]
    assert seen.record.decision == action
    assert (value in seen.text) == (action in ("pass", "flag"))
    assert value not in json.dumps(dict(seen.record.detail)) + seen.record.reason


def test_what_the_prompt_held_is_no_leak():
    answer = CLEAN + " We write to MIRIAM.ADEYEMI@post.example, or call you on 020 7946 0991."
    assert screen(answer, prompt=PROMPT).record.decision == "pass"


@pytest.mark.parametrize("written", ["K9XW42QT", "K 9 X W 4 2 Q T", "TQ24WX9K", "SzlYVzQyUVQ="])
def test_the_canary_in_disguise(written):
    seen = screen(f"{CLEAN} By the way: {written}", prompt=PROMPT, canary="K9XW42QT")
    assert seen.withheld and seen.text == ScreeningPolicy().sentence
    assert not screen(CLEAN, prompt=PROMPT, canary="K9XW42QT").withheld


@pytest.mark.parametrize("action", ACTIONS)
def test_insults(action):
    rude = CLEAN + " You are a stupid idiot."
    seen = screen(rude, prompt=PROMPT, policy=ScreeningPolicy(harm=action))
    assert seen.record.decision == action
    assert ("idiot" in seen.text) == (action in ("pass", "flag"))
    assert ("leaves our store" in seen.text) == (action != "refuse")
    assert len(seen.record.detail["toxicity"]) == 7


def test_hosts():
    policy = policy_part(ScreeningPolicy, {"hosts": ["*.shop.example"]}, "screening")
    answer = CLEAN + " See https://help.shop.example/a and https://shop.example.bad.example/b."
    assert screen(answer, prompt=PROMPT, policy=policy).text.endswith(
        "See https://help.shop.example/a and [removed]."
    )


def test_what_cannot_be_read_is_no_zero():
    record = screen("Ваш заказ отправляется в пятницу, спасибо.").record
    assert set(record.detail["toxicity"].values()) == {None} and record.detail["unread"]


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_is_the_same_for_every_split(seed):
    rng = random.Random(seed)
    parts = [
        CLEAN,
        *LEAKS.values(),
        " See https://bad.example/x.\n",
        " And so on, without any full stop " * 4,
    ]
    text = " ".join(rng.choices(parts, k=6))
    whole = Screener(prompt=PROMPT)
    shown = whole.feed(text) + whole.end()
    other, at, out = Screener(prompt=PROMPT), 0, ""
    while at < len(text):
        step = rng.randrange(1, 40)
        out += other.feed(text[at : at + step])
        at += step
    assert out + other.end() == shown
    assert "bad.example" not in shown and "tom.baker" not in shown


def test_a_policy_read_from_yaml():
    yaml = pytest.importorskip("yaml")
    settings = yaml.safe_load("toxicity: {sexual: refuse, profane: flag}\nhosts: kb.example\nleaks: refuse\n")
    policy = policy_part(ScreeningPolicy, settings, "screening")
    assert policy.hosts == ("kb.example",) and policy.leaks == "refuse"
    with pytest.raises(ValueError, match="screening has no field 'leeks'; did you mean 'leaks'"):
        policy_part(ScreeningPolicy, {"leeks": "flag"}, "screening")
