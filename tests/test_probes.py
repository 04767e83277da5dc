"Probes as files and samples: round trips, errors with file and line, and any client can be asked."

import asyncio
import json
import re
from collections import Counter

import pytest

from crmeval.core.records import Response, Sample, from_dict, to_dict
from crmeval.runs.runner import answer_all
from crmeval.tasks.probes import (
    ADAPTERS,
    AREAS,
    DATA,
    Probe,
    check_probes,
    load_probes,
    probe_prompt,
    probe_sample,
    read_probes,
    text_id,
)
from crmeval.tasks.public import DataUnavailable

SHIPPED = sorted(p.stem for p in DATA.glob("*.jsonl") if p.stem in AREAS)


@pytest.mark.parametrize("area", SHIPPED)
def test_shipped_probes_are_sound(area):
    probes = load_probes(area)
    assert probes and check_probes(probes) == probes
    assert {p.area for p in probes} == {area} and {p.dataset for p in probes} == {"crmeval"}
    assert all(p.kind and p.expect for p in probes)


def test_safety_probes_are_twins_of_every_kind():
    probes = load_probes("safety")
    unsafe, safe = [p for p in probes if p.expect == "refuse"], [p for p in probes if p.expect == "answer"]
    assert (
        len(unsafe) >= 60 and {p.twin_of for p in safe} == {p.id for p in unsafe} and len(safe) == len(unsafe)
    )
    kinds = {p.id: p.kind for p in probes}
    assert all(kinds[p.twin_of] == p.kind for p in safe)
    assert min(Counter(p.kind for p in unsafe).values()) >= 12
    assert all(p.unsafe_text for p in unsafe) and not any(p.unsafe_text for p in safe)
    by_id = {p.id: p for p in probes}

    def words(p):
        return set(re.findall(r"\w{4,}", p.prompt.lower()))

    shared = [len(words(p) & words(by_id[p.twin_of])) / len(words(p)) for p in safe]
    assert sum(shared) / len(shared) > 0.35  # twins share many words


def test_the_fields_of_shipped_privacy_probes_say_what_their_contexts_say():
    "The context contains the requester's name, and every value that the requester may have."
    for p in load_probes("privacy"):
        assert p.requester and p.scenario and f"Verified requester: {p.requester}" in p.context
        assert all(v in p.context for v in p.may_have)
        secret = {s["value"] for s in p.secrets}
        assert secret <= set(p.may_have) if p.expect == "answer" else not secret & set(p.may_have)
    scenes = Counter(p.scenario for p in load_probes("privacy"))
    assert len(scenes) == 24 and set(scenes.values()) == {15}


def test_a_privacy_file_in_the_old_form_is_refused_and_its_values_are_not_repeated(tmp_path):
    file = tmp_path / "mine.jsonl"
    row = {"id": "a", "prompt": "x", "context": "Verified requester: Ann Lee\n\nRecord 1"}
    file.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(ValueError, match="line 1: probe 'a': .* the field 'requester' does not") as e:
        read_probes(file, "privacy")
    assert "Ann Lee" not in str(e.value)
    file.write_text(json.dumps(row | {"requester": "Ann Lee", "tags": ["own:4711"]}), encoding="utf-8")
    with pytest.raises(ValueError, match="'may_have'") as e:
        load_probes("privacy", file)
    assert "4711" not in str(e.value)
    file.write_text(json.dumps(row | {"requester": "Ann Lee", "may_have": ["4711"]}), encoding="utf-8")
    assert load_probes("privacy", file)[0].may_have == ("4711",)


def test_ids_do_not_depend_on_order_or_selection(tmp_path):
    rows = [{"id": f"p{i}", "prompt": f"Question {i}?", "kind": "ab"[i % 2]} for i in range(6)]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    whole = {p.id: p for p in load_probes("fairness", file)}
    file.write_text("\n".join(map(json.dumps, reversed(rows))), encoding="utf-8-sig")
    assert {p.id: p for p in load_probes("fairness", file)} == whole
    assert {p.id for p in load_probes("fairness", file, limit=1)} < set(whole)


@pytest.mark.parametrize("area, source", ADAPTERS)
def test_public_sets_load_with_stable_ids(area, source):
    try:
        probes = load_probes(area, source)
    except DataUnavailable:
        pytest.skip(f"{source} is not here")
    assert len(probes) >= 80 and [p.id for p in probes] == [p.id for p in load_probes(area, source)]
    own = {p.prompt.strip() for a in SHIPPED for p in load_probes(a)}
    assert not own & {p.prompt.strip() for p in probes}  # no text of a public set is among the shipped probes


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"id": "a", "prompt": ""}', "an id and a prompt are needed"),
        ('{"id": "a", "prompt": 7}', "prompt is int, expected text"),
        ('{"id": "a", "prompt": "x", "shots": -1}', "shots is -1"),
        ('{"id": "a", "prompt": "x", "unsafe_text": "yes"}', "unsafe_text is 'yes'"),
        ('{"id": "a", "prompt": "x", "choices": [1]}', "choices holds something that is not text"),
        ('{"id": "a", "prompt": "x", "colour": 1}', "unknown field 'colour'"),
        (
            '{"id": "a", "prompt": "x", "tags": ["vip", "own:4711"]}',
            "a tag begins with 'own:', an older form; its value goes to the field 'may_have'",
        ),
        ('{"id": "a", "prompt": "x", "tags": ["scenario:pin"]}', "its value goes to the field 'scenario'"),
        ('{"id": "a", "prompt": "x", "requester": 7}', "requester is int, expected text"),
        ('{"id": "a", "prompt": "x", "may_have": [7]}', "may_have holds something that is not text"),
        ('{"prompt": "x"}', "the field 'id' is missing"),
        ('["a"]', "expected a JSON object, got list"),
        ('{"id": "a"', "delimiter"),
    ],
)
def test_a_mistake_is_named_by_file_and_line(tmp_path, line, message):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"id": "first", "prompt": "May I?"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(message)) as e:
        read_probes(file, "safety")
    assert str(e.value).startswith("mine.jsonl, line 3: ")


def test_an_unsafe_prompt_is_in_no_error_and_no_printed_form(tmp_path):
    words = "how to frighten her"
    row = {"id": "a", "prompt": words, "unsafe_text": True}
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps(row | {"id": "b"}), encoding="utf-8")
    with pytest.raises(ValueError) as e:
        read_probes(file, "safety")
    assert words not in str(e.value)
    assert words not in repr(Probe(**row, area="safety")) and words not in str(Probe(**row, area="safety"))


def test_any_client_receives_the_prompt_as_it_stands():
    seen = {}

    class Echo:
        name = "echo"

        async def answer(self, sample, prompt, *, repeat=0):
            seen[sample.id] = prompt
            return Response(sample.id, self.name, "ok", use_case=sample.use_case, repeat=repeat)

        attempt = answer

        async def aclose(self):
            pass

        def settings(self):
            return {}

    probes = [
        Probe("a", "privacy", " {instructions} <b>\n", context="Note: {prompt}"),
        Probe("b", "safety", "Wörter, 日本語", twin_of="a"),
    ]
    rows = asyncio.run(answer_all([probe_sample(p) for p in probes], [Echo()], prompt_of=probe_prompt))
    assert seen == {"a": "Note: {prompt}\n\n {instructions} <b>\n", "b": "Wörter, 日本語"}
    assert [r.use_case for r, _ in rows] == ["privacy_probe", "safety_probe"]


def test_a_probe_sample_survives_a_file():
    sample = probe_sample(
        Probe("a", "privacy", "x", secrets=[{"value": "4711", "entity": "PIN"}], shots=5, technique="plain")
    )
    back = from_dict(Sample, to_dict(sample, flat=True))
    assert (back.tags, back.inputs, back.cluster) == (sample.tags, sample.inputs, sample.cluster)
    assert text_id("s", "x") == "s-" + text_id("t", "x")[2:]
