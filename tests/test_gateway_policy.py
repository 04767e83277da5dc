"""The gateway's policy: nothing leaves without being allowed by name."""

import asyncio
import itertools
import json
import os
import sys
import textwrap
import warnings
from datetime import date

import httpx
import pytest

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.core.package_data import data_path
from crmeval.core.yaml_text import load_yaml
from crmeval.layer.callers import new_key
from crmeval.layer.gateway import (
    Agreement,
    GatewayPolicy,
    check_call,
    retention,
    retention_options,
    with_options,
)
from crmeval.layer.grounding import Passage, ground
from crmeval.layer.layer_policy import read_policy
from crmeval.layer.policy_part import policy_part
from crmeval.layer.screening import screen
from crmeval.layer.server import gateway_app
from crmeval.layer.source_links import source_links
from crmeval.systems.providers import providers

DAY = date(2026, 11, 28)


class Answers:
    name, provider, model, cacheable = "m", "openai", "m", False

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        return Completion("Thank you, we will come.")


def decided(policy, **call):
    return check_call(policy, today=DAY, **call)


def test_the_policy_that_the_command_shows_lets_a_masked_mail_through(monkeypatch):
    examples = data_path("gateway_examples.txt").read_text(encoding="utf-8")
    shown = textwrap.dedent(examples.partition("policy.yaml:\n")[2].partition("\nan application")[0])
    settings = load_yaml(shown)
    for left in (settings["server"].pop("keys"), settings["server"]["callers"].pop("nightly")):
        assert left  # a key file and a key hash that the reader has to supply
    for name in ("CRM_KEY", "DESK_KEY"):
        monkeypatch.setenv(name, new_key())
    app = gateway_app(TrustLayer(Answers(), settings))
    head = {"authorization": f"Bearer {os.environ['CRM_KEY']}"}
    mail = "Ida Rask of Farrow Ltd asks for a visit on 3 May: +47 22 555 013"
    body = {"model": "m", "messages": [{"role": "user", "content": mail}], "user": "jessica"}

    async def post():
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
        async with http:
            return await http.post("/v1/chat/completions", json=body, headers=head)

    answered = asyncio.run(post())
    assert answered.status_code == 200, answered.text


@pytest.mark.parametrize("provider", sorted(providers()))
def test_no_provider_without_an_agreement(provider):
    step = decided(GatewayPolicy(), provider=provider, region="eu")
    assert step.decision == "block" and f"no agreement with {provider}" in step.reason
    assert step.detail["options"] == {}


@pytest.mark.parametrize("provider", sorted(providers()))
def test_zero_retention_is_believed_only_where_something_grants_it(provider):
    agreement = Agreement(regions="*", kinds="*")
    step = decided(GatewayPolicy({provider: agreement}), provider=provider)
    granted = retention()[provider].by in ("request", "default", "own")
    assert step.decision == ("pass" if granted else "block")
    seen_to = Agreement(regions="*", kinds="*", confirmed="2026-11-01")
    step = decided(GatewayPolicy({provider: seen_to}), provider=provider)
    assert (step.decision, step.detail["options"]) == ("pass", retention_options(provider))
    tomorrow = Agreement(regions="*", kinds="*", confirmed="2026-11-29")
    assert (
        decided(GatewayPolicy({provider: tomorrow}), provider=provider).decision == step.decision
        or not granted
    )


def test_every_rule_counts_alone():
    policy = GatewayPolicy({"ollama": Agreement("eu", "PERSON", "ana", until="2026-12-31")}, never=["US_SSN"])
    right = {"region": "eu", "kinds": ["PERSON"], "user": "ana"}
    wrong = {"region": "us", "kinds": ["PERSON", "US_SSN"], "user": "bob"}
    for chosen in itertools.product((True, False), repeat=3):
        call = {k: (right if ok else wrong)[k] for k, ok in zip(right, chosen)}
        step = decided(policy, provider="ollama", **call)
        assert (step.decision == "pass") == all(chosen), call
        assert "bob" not in json.dumps([step.reason, dict(step.detail)])
    assert check_call(policy, provider="ollama", today=date(2027, 1, 1), **right).decision == "block"


def test_who_asks_for_storing_does_not_get_it():
    body = {"model": "m", "store": True, "metadata": {"a": 1}}
    assert with_options(body, retention_options("openai")) == {**body, "store": False}


def test_a_policy_names_what_is_misspelt():
    with pytest.raises(ValueError, match=r"gateway: a provider is one of .*did you mean 'mistral'"):
        policy_part(GatewayPolicy, {"providers": {"mistrall": {}}}, "gateway")
    with pytest.raises(ValueError, match="kinds is a list of names, not 7"):
        policy_part(GatewayPolicy, {"providers": {"mistral": {"kinds": 7}}}, "gateway")


WRITTEN: list[str] = []
LISTENING = False


def note_writing(event, args):
    if LISTENING and event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        WRITTEN.append(str(args[0]))


def test_no_step_writes_or_says_anything_of_prompt_or_answer(capfd, caplog):
    def whole_way():
        passages = [Passage("p1", "Lamps of Ms Ferrari are sent on Friday.", "Lamps", "https://kb.example/l")]
        grounded = ground("Write to Ms Ferrari.", passages)
        called = decided(GatewayPolicy(), provider="baseline", kinds=["PERSON"])
        answer = "Dear Ms Ferrari, lamps are sent on Friday [1]. https://bad.example tom@post.example"
        screened = screen(answer, prompt=grounded.text)
        linked = source_links(screened.text, passages)
        return [x.record for x in (grounded, screened, linked)] + [called]

    global LISTENING
    whole_way()  # files that are read only once are read now
    sys.addaudithook(note_writing)
    caplog.set_level(0)
    LISTENING = True
    try:
        records = whole_way()
    finally:
        LISTENING = False
    assert not WRITTEN and not caplog.records and capfd.readouterr() == ("", "")
    assert [r.step for r in records] == ["grounding", "screening", "source_links", "gateway"]
    kept = json.dumps([[r.reason, dict(r.detail)] for r in records])
    assert not any(value in kept for value in ("Ferrari", "tom@", "bad.example"))


@pytest.mark.parametrize("opening, closing", ["[]", ("{a: ", "}"), ("- ", "")])
def test_a_policy_that_is_nested_without_end_is_told(tmp_path, opening, closing):
    path = tmp_path / "policy.yaml"
    path.write_text(f"masking: {opening * 3000}{closing * 3000}" if closing else f"{opening * 3000}x")
    with pytest.raises(ValueError, match="nested too deeply|is a mapping|not YAML"):
        read_policy(path)


@pytest.mark.parametrize(
    "field", ["timeout_s", "stop_s", "session_minutes", "at_once", "requests_per_minute"]
)
@pytest.mark.parametrize(
    "value",
    ["1.0e+400", ".inf", ".nan", "1e400", "9" * 400, "9" * 5000, "-1", "1.0e+300", "yes", "[1]", "''"],
)
def test_a_limit_that_no_clock_takes_is_told(tmp_path, field, value):
    file = tmp_path / "policy.yaml"
    file.write_text(f"server: {{{field}: {value}}}\n")
    with pytest.raises(ValueError) as caught:
        read_policy(file)
    assert len(str(caught.value)) < 400 + len(str(file))


def test_the_file_of_keys_stands_beside_the_policy_wherever_one_is(tmp_path, monkeypatch):
    (tmp_path / "a" / "keys").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "keys" / "k.txt").write_text("here")
    (tmp_path / "b" / "old.txt").write_text("there")
    file = tmp_path / "a" / "policy.yaml"
    monkeypatch.chdir(tmp_path / "b")
    for named, found in (
        ("keys/k.txt", "a/keys/k.txt"),
        (str(tmp_path / "b" / "old.txt"), "b/old.txt"),
        ("old.txt", "b/old.txt"),  # the earlier place, used if no file is beside the policy
        ("none.txt", "a/none.txt"),
    ):
        file.write_text(f"server: {{keys: '{named}'}}\n")
        assert os.path.samefile(
            os.path.dirname(os.path.abspath(read_policy(file).server.keys)), (tmp_path / found).parent
        )
        assert os.path.basename(read_policy(file).server.keys) == os.path.basename(found)
    file.write_text("server: {at_once: 3}\n")
    assert read_policy(file).server.keys == ""


def test_an_index_stands_beside_the_policy_and_where_it_lies_changes_no_fingerprint(tmp_path, monkeypatch):
    marks = set()
    for folder in ("shop", "desk/eu"):
        (tmp_path / folder / "kb").mkdir(parents=True)
        (tmp_path / folder / "kb" / "goods.db").write_bytes(b"")
        (tmp_path / folder / "layer.yaml").write_text("grounding: {index: kb/goods.db, passages: 3}\n")
        monkeypatch.chdir(tmp_path)
        read = read_policy(tmp_path / folder / "layer.yaml")
        assert os.path.samefile(read.grounding.index, tmp_path / folder / "kb" / "goods.db")
        marks.add(read.digest)
    monkeypatch.chdir(tmp_path / "shop")
    marks.add(read_policy({"grounding": {"index": "kb/goods.db", "passages": 3}}).digest)
    other = read_policy({"grounding": {"index": "kb/other.db", "passages": 3}}).digest
    assert len(marks) == 1 and other not in marks
    (tmp_path / "desk" / "far.yaml").write_text("grounding: {index: kb/goods.db}\n")
    assert read_policy(tmp_path / "desk" / "far.yaml").grounding.index == "kb/goods.db"  # as written


@pytest.mark.parametrize(
    "policy, warned",
    [
        ({"prompt": ["masking"], "answer": ["screening"]}, True),
        ({"answer": []}, True),
        ({"prompt": ["defence"], "answer": []}, False),
        ({"prompt": ["masking"], "answer": ["demasking"]}, False),
        (None, False),
    ],
)
def test_a_policy_whose_readers_will_see_placeholders_is_told(policy, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TrustLayer("baseline:sensible", policy)
    assert [("placeholders" in str(w.message)) for w in caught] == [True] * warned


_WHOLE = """\
# a company's policy
masking:
  kinds: {CASE_NUMBER: mask}
  readable: [Tarn Pro]
gateway:
  never: [PASSPORT]
  providers:
    mistral: {regions: [eu], kinds: [AGE]}
    groq: {regions: [us], kinds: [AGE]}
screening:
  leak_kinds: {IBAN_CODE: refuse}
  hosts: [kb.example]
defence: {sandwich: true}
"""


@pytest.mark.parametrize(
    "right, wrong, line, hint",
    [
        ("kinds: {CASE_NUMBER: mask}", "kinds: {CASE_NUMBR: mask}", 3, "did you mean 'CASE_NUMBER'"),
        ("{CASE_NUMBER: mask}", "{CASE_NUMBER: on}", 3, "YAML reads on as true"),
        ("[Tarn Pro]", "[Tarn Pro, 4711]", 4, "4711 is a number"),
        ("[Tarn Pro]", "[„Tarn Pro“]", 4, "typographic quotes"),
        ("never: [PASSPORT]", "never: [PASPORT]", 6, "did you mean 'PASSPORT'"),
        ("mistral: {regions: [eu]", "mistral: {region: [eu]", 8, "did you mean 'regions'"),
        ("groq: {regions: [us]", "groq: {regions: [no]", 9, "YAML reads no as false"),
        ("groq:", "grok:", 9, "did you mean 'groq'"),
        ("[us], kinds: [AGE]", "[us], kinds: [AGES]", 9, "did you mean 'AGE'"),
        ("{IBAN_CODE: refuse}", "{IBAN: refuse}", 11, "did you mean 'IBAN_CODE'"),
        ("[kb.example]", "[kb.example/help]", 12, "expected a host"),
        ("sandwich: true", "sandwich: maybe", 13, "expected true or false"),
        ("defence:", "defense:", 13, "did you mean 'defence'"),
    ],
)
def test_a_mistake_in_a_policy_is_told_with_its_line(tmp_path, right, wrong, line, hint):
    file = tmp_path / "policy.yaml"
    file.write_text(_WHOLE, encoding="utf-8")
    read_policy(file)
    file.write_text(_WHOLE.replace(right, wrong), encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_policy(file)
    message = str(caught.value)
    assert str(file) in message and f"(line {line}" in message and hint in message, message


def test_a_policy_that_holds_nothing_or_too_much_or_no_such_day_is_refused_with_its_name(tmp_path):
    file = tmp_path / "policy.yaml"
    for text, message in (
        ("", "is empty"),
        ("# masking: {}\n", "is empty"),
        ("gateway: {providers: {groq: {until: 2026-02-30}}}", "line 1: '2026-02-30' cannot be read"),
        ("masking: {words: [" + "x, " * 700_000 + "y]}", "bytes, expected at most"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError) as caught:
            read_policy(file)
        assert str(file) in str(caught.value) and message in str(caught.value)
