"Prompt versions: one text is one version, edited stores are detected, a trial equals a comparison."

import json
import random
from dataclasses import replace

import pytest

from crmeval.cli.app import main
from crmeval.core.records import Response, write_jsonl
from crmeval.layer.feedback import Feedback
from crmeval.live.prompt_versions import (
    PromptVersion,
    add_version,
    changed_words,
    find_version,
    prompt_hints,
    propose_change,
    read_trials,
    read_versions,
    shipped_version,
    try_version,
    version_diff,
)
from crmeval.pages.compare import compare
from crmeval.runs.folder import open_run
from crmeval.systems.baselines import Baseline
from crmeval.tasks.load import load_use_case
from crmeval.tasks.use_cases import get_use_case, prompt_faults, use_cases

CASE = "service_email_summary"
ROOT = shipped_version(CASE)


def typed(capsys, *words):
    code = main([str(w) for w in words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def texts(rng, n):
    "Return `n` templates, each a random extension of an earlier one."
    out = [ROOT.template]
    for _ in range(n):
        lines = rng.choice(out).splitlines()
        at = rng.randrange(len(lines) + 1)
        out.append("\n".join([*lines[:at], f"Rule {rng.randrange(10**6)}, ünïcode 中.", *lines[at:]]))
    return out[1:]


def test_a_store_gives_back_what_was_put_in(tmp_path):
    rng = random.Random(1)
    made = {}
    for text in texts(rng, 12):
        parent = rng.choice([None, *made])
        version = add_version(tmp_path, CASE, text, reason="because", parent=parent, feedback=["a"])
        assert version.parent == (parent or ROOT.id)
        made[version.id] = version
    assert {v.id: v.template for v in read_versions(tmp_path)} == {i: v.template for i, v in made.items()}
    for i in made:
        assert find_version(tmp_path, i).id == i == find_version(tmp_path, i[:8]).id
        assert add_version(tmp_path, CASE, made[i].template, reason="again").reason == "because"
    assert len(read_versions(tmp_path)) == 12


def test_a_diff_leads_from_one_text_to_the_other():
    for a, b in zip(texts(random.Random(2), 8), texts(random.Random(3), 8)):
        old, new = PromptVersion(CASE, a), PromptVersion(CASE, b)
        body = version_diff(old, new).splitlines()[2:]
        assert sum(line.startswith("+") for line in body) - sum(line.startswith("-") for line in body) == len(
            b.splitlines()
        ) - len(a.splitlines())
        assert changed_words(old, new) and not changed_words(old, old)
        forth, back = changed_words(old, new), changed_words(new, old)
        assert sum(len(x.split()) for _, x, _ in forth) == sum(len(y.split()) for _, _, y in back)


def test_a_text_that_was_changed_by_hand_is_told(tmp_path):
    add_version(tmp_path, CASE, ROOT.template + "!", reason="x")
    path = tmp_path / "versions.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("!", "?"), encoding="utf-8")
    with pytest.raises(ValueError, match="row 1: the text is not that of version"):
        read_versions(tmp_path)
    path.write_text('{"id": "x"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="row 1"):
        find_version(tmp_path, "abcd")


def test_a_proposal_fits_every_use_case_and_asks_only_for_what_was_said_often():
    for case in use_cases("all").values():
        rng = random.Random(case.id)
        reasons = rng.sample(sorted(prompt_hints()), 3)
        feedback = [
            Feedback(f"r{i}{n}", "ignore", "x", reasons=[r])
            for n, r in enumerate(reasons)
            for i in range(n + 2)
        ]
        change = propose_change(case.prompt, feedback, least=3)
        assert not list(prompt_faults(replace(case, prompt=change.template)))
        named = {
            r
            for r in prompt_hints()
            if prompt_hints()[r] in change.template and prompt_hints()[r] not in case.prompt
        }
        assert named == set(reasons[1:]), case.id
        assert propose_change(change.template, feedback, least=3).template == change.template


class Obedient(Baseline):
    "A stand-in for a model that follows its prompt: the reference if asked for a summary, else a cut source."

    provider = "stub"

    def __init__(self):
        super().__init__("obedient", str)

    async def answer(self, sample, prompt, *, repeat=0):
        text = sample.reference if "Write the summary." in prompt else sample.source[:200]
        return Response(sample.id, self.name, text, use_case=sample.use_case)


def samples_twice():
    sales = [replace(s, use_case=CASE) for s in load_use_case("sales_email_summary")]
    return [*load_use_case(CASE), *sales]


def test_a_trial_sends_each_side_its_prompt_and_is_the_figure_of_compare(tmp_path):
    better = PromptVersion(CASE, ROOT.template + "\nWrite the summary.", ROOT.id)
    trial = try_version(
        better, ROOT, Obedient(), data=samples_twice(), out=tmp_path / "r", store=tmp_path / "s"
    )
    assert trial.verdict == "better" and trial.n == 14 and not trial.notes
    comparison = compare(tmp_path / "r", client_a=trial.systems[0], client_b=trial.systems[1])
    for name, d in trial.differences.items():
        other = comparison.differences[name]
        assert (d.value, d.n, d.undefined) == (other.value, other.n, other.undefined), name
        assert d.p_value == pytest.approx(other.p_value, abs=1e-9)
    assert "Write the summary." in comparison.plans
    worse = try_version(
        ROOT, better, Obedient(), data=samples_twice(), out=tmp_path / "w", store=tmp_path / "s"
    )
    assert worse.verdict == "worse" and worse.accuracy.value == -trial.accuracy.value
    assert [t["verdict"] for t in read_trials(tmp_path / "s")] == ["better", "worse"]
    assert {c for c in open_run(tmp_path / "r").clients} == set(trial.systems)


def test_the_command_line_goes_from_a_file_to_a_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.txt").write_text(get_use_case(CASE).prompt + "\nBe brief.", encoding="utf-8")
    assert typed(capsys, "prompts", "list")[1].startswith("prompts holds no version")
    code, out, _ = typed(capsys, "prompts", "add", CASE, "p.txt", "--reason", "too long", "--json")
    name = json.loads(out)["version"]
    assert code == 0 and name in typed(capsys, "prompts", "list")[1]
    code, out, _ = typed(capsys, "prompts", "diff", f"shipped:{CASE}", name[:6])
    assert code == 0 and out.rstrip().endswith("+Be brief.")
    for side, text in {"new": lambda s: s.reference, "old": lambda s: s.source[:200]}.items():
        write_jsonl([Response(s.id, "", text(s)) for s in load_use_case(CASE)], tmp_path / f"{side}.jsonl")
    sides = ("--model", "replay:new.jsonl", "--base-model", "replay:old.jsonl")
    code, out, err = typed(capsys, "prompts", "try", name, *sides, "--out", "r", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (
        document["differences"]["accuracy"]["value"] > 0
        and document["samples"] == 7
        and len(document["notes"]) == 2
    )
    for words, expected in (
        (("try", name), "--model is missing"),
        (("try", name, "--model", "baseline:lead"), "reads no prompt"),
        (("try", "ffff00", "--model", "baseline:lead"), "there is no version 'ffff00'"),
        (("diff", name, "abc"), "there is no version 'abc'"),
        (("add", CASE, "none.txt", "--reason", "x"), "there is no file none.txt"),
        (("try", name, *sides, "--limit", "0"), "--limit is 0"),
    ):
        code, _, err = typed(capsys, "prompts", *words)
        assert code == 2 and expected in err and len(err.strip().splitlines()) == 1, err
