"The feedback loop: with feedback in any order and any number of calls, samples follow the latest feedback."

import random
from dataclasses import replace

import pytest

from crmeval.core.records import Response, Sample
from crmeval.core.stats import Estimate
from crmeval.layer.feedback import Feedback
from crmeval.live.feedback_loop import read_loop, turn_loop, week_of
from crmeval.live.feedback_samples import feedback_sample_id, kept_and_again, samples_of_feedback
from crmeval.live.few_shot import choose_examples, with_examples
from crmeval.live.leak_check import LeakIndex, TrainingRow
from crmeval.live.permitted import pseudonym, purpose_of
from crmeval.live.training_examples import examples_of_feedback
from crmeval.tasks.use_cases import get_use_case, prompt_faults, render_prompt

pytest.importorskip("datasketch")

CASE = "service_email_summary"
SYLLABLES = "ren dal fos gim hup jat vox zub".split()


def words(rng, n):
    return " ".join("".join(rng.choices(SYLLABLES, k=3)) for _ in range(n))


def questions(n, seed=0):
    rng = random.Random(seed)
    base = Sample("", CASE, {}, dataset="desk", tags={"consent": True})
    return [replace(base, id=f"r{i}", cluster=f"c{i}", inputs={"emails": words(rng, 25)}) for i in range(n)]


def given(rng, reply, at):
    action = rng.choice(["accept", "edit", "ignore"])
    edited = words(rng, 12) if action == "edit" else None
    reasons = rng.choice([[], ["tone"], ["too_long", "tone"]])
    return Feedback(
        reply, action, words(rng, 12), edited, reasons=reasons, user="u1", time=f"2026-11-{at:02d}"
    )


def as_they_stand(folder):
    samples, _ = read_loop(folder)
    return {s.id: (s.reference, s.tags.get("draft")) for s in samples}


def expected(feedback):
    "Return {sample id: (reference, draft)} as the latest feedback on each reply determines it."
    last = {}
    for f in sorted(feedback, key=lambda f: f.time):
        last[f.reply] = f
    out = {}
    for reply, f in last.items():
        if f.action == "accept":
            out[feedback_sample_id(reply)] = f.shown, None
        elif f.action == "edit":
            out[feedback_sample_id(reply)] = f.edited, f.shown
        elif f.reasons:
            out[feedback_sample_id(reply)] = None, f.shown
    return out


@pytest.mark.parametrize("seed", range(4))
def test_in_any_order_and_any_number_of_calls_the_last_word_counts(tmp_path, seed):
    rng, samples = random.Random(seed), questions(25, seed)
    feedback = [given(rng, rng.choice(samples).id, at) for at in range(1, 29)]
    calls = [rng.sample(feedback, rng.randrange(0, 12)) for _ in range(6)]
    calls.append([f for f in feedback if not any(f in c for c in calls)])
    for n, call in enumerate(calls + rng.sample(calls, 3)):
        turn_loop(tmp_path, call, samples, by_purpose=False, today=f"2026-12-{n + 1:02d}")
    ends = expected(feedback)
    found = as_they_stand(tmp_path)
    assert found == ends
    before = (tmp_path / "samples.jsonl").read_bytes(), (tmp_path / "state.json").read_bytes()
    again = turn_loop(tmp_path, calls[-1], samples, by_purpose=False, today="2027-01-01")
    assert (
        not again.changed
        and ((tmp_path / "samples.jsonl").read_bytes(), (tmp_path / "state.json").read_bytes()) == before
    )


def test_every_reply_is_counted_once(tmp_path):
    rng, samples = random.Random(3), questions(40, 3)
    samples = [replace(s, tags={"consent": rng.random() < 0.7}) for s in samples]
    feedback = [given(rng, f"r{i}", 1) for i in range(50)]  # ten of them for unknown questions
    done = turn_loop(tmp_path, feedback, samples)
    assert done.added + sum(done.left_out.values()) == 50
    assert done.left_out["the question is not known"] == 10
    without = sum(not s.tags["consent"] for s in samples)
    assert done.left_out["no consent"] == without
    stored = {s.id for s in read_loop(tmp_path)[0]}
    allowed = {
        feedback_sample_id(s.id)
        for s in samples
        if s.tags["consent"] and purpose_of(s.cluster) == "evaluation"
    }
    assert stored <= allowed


def test_a_withdrawn_consent_takes_the_sample_away(tmp_path):
    samples = questions(12, 5)
    feedback = [Feedback(s.id, "accept", f"{s.source} indeed", time="2026-11-01") for s in samples]
    turn_loop(tmp_path, feedback, samples, by_purpose=False)
    gone = {"r2", "r7"}
    after = [replace(s, tags={"consent": s.id not in gone}) for s in samples]
    done = turn_loop(tmp_path, [], after, by_purpose=False)
    assert done.withdrawn == 2 and not {feedback_sample_id(i) for i in gone} & set(as_they_stand(tmp_path))
    assert "r2" not in (tmp_path / "samples.jsonl").read_text(encoding="utf-8")
    assert turn_loop(tmp_path, feedback, after, by_purpose=False).added == 0
    assert set(read_loop(tmp_path)[1].pending) == set(as_they_stand(tmp_path))


def test_ids_and_people_are_not_in_the_samples():
    samples = [
        replace(s, id=f"reply-of-{i}", inputs={"emails": f"{s.source} Ana Brandt, ana@example.org"})
        for i, s in enumerate(questions(8))
    ]
    feedback = [
        Feedback(s.id, "edit", "Ana Brandt asks.", f"Ana Brandt wants {s.source[:40]}", user="agent-7")
        for s in samples
    ]
    gathered = samples_of_feedback(feedback, samples, by_purpose=False)
    text = repr([vars(s) for s in gathered.samples])
    assert len(gathered.samples) == 8
    assert not any(x in text for x in ("Brandt", "ana@", "agent-7", "reply-of-", "'c1'"))
    assert gathered.samples[0].cluster == pseudonym("conversation", samples[0].cluster)


def test_training_and_evaluation_of_one_feedback_share_no_conversation():
    rng, samples = random.Random(8), questions(120, 8)
    feedback = [given(rng, s.id, 1) for s in samples]
    evaluation = samples_of_feedback(feedback, samples).samples
    index = LeakIndex({"loop": evaluation})
    examples = examples_of_feedback(feedback, samples)
    trained = [e for e in examples.examples if purpose_of(e.sample.cluster) == "training"]
    assert len(evaluation) > 20 and len(trained) > 20
    for e in trained:
        assert not index.leaks(TrainingRow("x", [e.sample.source, e.better or ""], e.sample.cluster))
    shot = choose_examples(examples, 5, use_case=CASE, against=index)
    assert 0 < len(shot.examples) <= 5 and shot.left_out.get("an evaluation set holds it", 0) == 0
    assert all(not index.leaks(TrainingRow("x", list(pair))) for pair in shot.examples)


def test_examples_that_a_test_holds_are_never_chosen():
    samples = questions(20, 9)
    feedback = [Feedback(s.id, "accept", f"about {s.source[:60]}") for s in samples]
    examples = examples_of_feedback(feedback, samples)
    for seed in range(5):
        in_test = random.Random(seed).sample(samples, 15)
        tests = [replace(s, id=f"t{s.id}", cluster=f"t{s.cluster}") for s in in_test]
        shot = choose_examples(examples, 20, use_case=CASE, against={"t": tests}, by_purpose=False, seed=seed)
        chosen = {q for q, _ in shot.examples}
        assert chosen == {s.source for s in samples if s not in in_test}
        assert shot.left_out == {"an evaluation set holds it": 15}


def test_examples_of_any_text_leave_the_prompt_whole():
    rng, template = random.Random(10), get_use_case(CASE).prompt
    for _ in range(25):
        text = "".join(rng.choices(["{emails}", "{instructions}", "{", "}", " x ", "\n", "{name}"], k=8))
        sample_of_text = replace(questions(1)[0], inputs={"emails": f"first {text}"})
        shot = choose_examples(
            examples_of_feedback([Feedback("r0", "accept", f"answer {text}")], [sample_of_text]),
            1,
            use_case=CASE,
            against={},
            by_purpose=False,
        )
        longer = with_examples(template, shot)
        assert not list(prompt_faults(replace(get_use_case(CASE), prompt=longer)))
        sample = replace(sample_of_text, inputs={"emails": "UNIQUE LETTER"})
        assert render_prompt(sample, template=longer).count("UNIQUE LETTER") == render_prompt(sample).count(
            "UNIQUE LETTER"
        )


def test_kept_and_given_again_are_what_the_edits_say():
    rng, samples = random.Random(11), questions(30, 11)
    feedback = [given(rng, s.id, 1) for s in samples]
    gathered = samples_of_feedback(feedback, samples, by_purpose=False)
    silent = {s.id for s in rng.sample(gathered.positive, 3)}
    answers = [
        Response(s.id, "x", None if s.id in silent else s.reference or "new") for s in gathered.samples
    ]
    both = kept_and_again(gathered.samples, answers)["x"]
    assert both["kept"].value == 1 and both["kept"].undefined == 3
    assert both["kept"].n == len(gathered.positive) - 3 and both["given_again"].value == 0
    assert isinstance(both["kept"], Estimate) and kept_and_again(gathered.samples, []) == {}


def test_a_week_is_the_iso_week():
    assert [week_of(d) for d in ("2026-01-01", "2025-12-29", "2024-12-30", "2023-01-01")] == [
        "2026-W01",
        "2026-W01",
        "2025-W01",
        "2022-W52",
    ]
