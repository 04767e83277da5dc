"Training files: no evaluation data, no conversation in two splits, no personal data, loadable formats."

import html
import json
import random
import re
import urllib.parse
from dataclasses import replace

import pytest

from crmeval.core.raters import ADJUDICATED
from crmeval.core.records import Response, Sample, Score, read_jsonl
from crmeval.layer.feedback import Feedback
from crmeval.live.feedback_loop import read_loop, turn_loop
from crmeval.live.feedback_samples import samples_of_feedback
from crmeval.live.leak_check import (
    KINDS,
    LeakIndex,
    TrainingRow,
    find_leaks,
    leaks_in_file,
    plain_words,
    runs_of,
    without_doubles,
)
from crmeval.live.permitted import PURPOSES, consent_to, masked_sample, pseudonym, purpose_of, why_not
from crmeval.live.training_examples import (
    Gathered,
    examples_of_feedback,
    examples_of_ratings,
    examples_of_samples,
)
from crmeval.live.training_files import side_of, write_training_files
from crmeval.live.training_forms import file_faults, row_faults, training_formats, training_row
from crmeval.metrics.record_update import record_update

pytest.importorskip("datasketch")

SYLLABLES = "ren dal fos gim hup jat vox zub".split()
CASE = "service_email_summary"


def words(rng, n):
    return ["".join(rng.choices(SYLLABLES, k=3)) for _ in range(n)]


def letters(n, seed=0, **more):
    "Return samples with randomly drawn texts."
    rng = random.Random(seed)
    return [
        Sample(
            f"r{i}",
            CASE,
            {"emails": " ".join(words(rng, rng.randrange(20, 60)))},
            reference=" ".join(words(rng, 15)),
            cluster=f"case {i % max(1, n // 2)}",
            dataset="desk",
            tags={"consent": True},
            **more,
        )
        for i in range(n)
    ]


def disguised(rng, text):
    "Return the same words with changed case, punctuation and spacing."
    out = []
    for word in text.split():
        out.append(rng.choice([word, word.upper(), word.title()]) + rng.choice(["", ",", ".", " -", "!"]))
    return rng.choice([" ", "\n", "  "]).join(out)


def test_a_planted_copy_is_found_in_any_disguise():
    rng = random.Random(1)
    samples = letters(60)
    index = LeakIndex({"desk": samples})
    for s in samples:
        around = " ".join(words(rng, 10))
        planted = {
            "exact": s.source,
            "normalised": disguised(rng, s.source) + "?",
            "part": f"{around} {disguised(rng, s.source)} {around} {around} {around} {around}",
        }
        for kind, text in planted.items():
            found = [k for k in index.leaks(TrainingRow("row", [around, text])) if k.sample == s.id]
            kinds = [k.kind for k in found]
            assert kinds and KINDS.index(kinds[0]) <= KINDS.index(kind), (kind, kinds)


WRAPPED = {
    "html": lambda t: f'<div class="mail"><p>{html.escape(t).replace(" ", "&nbsp;")}</p><br/></div>',
    "tags in words": lambda t: re.sub(r"(\w)(\w)", r"\1<span style='x'>\2</span>", t),
    "numbered entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "json in json": lambda t: json.dumps(json.dumps(t.replace(" ", "\n"))),
    "escapes": lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
    "address": lambda t: urllib.parse.quote(t, safe=""),
    "joiners": lambda t: "\u2060".join(t),
    "soft hyphens": lambda t: re.sub(r"(\w)(\w)", "\\1\u00ad\\2", t),
    "look-alikes": lambda t: t.translate(str.maketrans("aeopcx", "аеорсх")),
    "marks apart": lambda t: "".join(c + "\u0301" if c in "aeiou" else c for c in t),
    "mathematical": lambda t: "".join(chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c for c in t),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_copy_is_found_in_what_an_export_makes_of_it(how):
    samples = letters(40, seed=11)
    rows = [TrainingRow(s.id, [WRAPPED[how](s.inputs["emails"])]) for s in samples[:20]]
    leaks = find_leaks(rows, {"set": samples[:20]})
    assert {(x.row, x.sample) for x in leaks.leaks if x.kind == "normalised"} >= {
        (s.id, s.id) for s in samples[:20]
    }
    assert find_leaks(rows, {"set": samples[20:]}).clean


def test_other_texts_are_no_leaks():
    index = LeakIndex({"desk": letters(60)})
    assert find_leaks([TrainingRow(s.id, [s.source, s.reference]) for s in letters(60, seed=9)], index).clean


def test_near_is_the_share_that_a_plain_count_gives():
    rng = random.Random(3)
    samples = letters(40)
    index = LeakIndex({"desk": samples}, run_words=1000, near=0.6)
    due = found = 0
    for s in samples * 3:
        own = s.source.split()
        for at in rng.sample(range(len(own)), rng.randrange(1, 4)):
            own[at] = "other"
        a, b = runs_of(own, 3), runs_of(plain_words(s.source), 3)
        share = len(a & b) / len(a | b)
        shares = [k.share for k in index.leaks(TrainingRow("row", [" ".join(own)])) if k.kind == "near"]
        assert share >= 0.6 or not shares
        assert all(abs(x - share) < 1e-12 for x in shares)
        due, found = due + (share >= 0.6), found + bool(shares)
    assert due > 40 and found >= 0.97 * due


def test_a_conversation_is_one_whoever_knows_only_its_pseudonym():
    samples = letters(2)
    hidden = [replace(s, cluster=pseudonym("conversation", s.cluster)) for s in samples]
    for sets, row in ((samples, "case 0"), (hidden, "case 0"), (samples, hidden[0].cluster)):
        leaks = find_leaks([TrainingRow("row", ["other words"], row)], {"desk": sets})
        assert {k.kind for k in leaks.leaks} == {"conversation"}, row
    assert find_leaks([TrainingRow("row", ["other words"], "case 99")], {"desk": samples}).clean


def test_doubles_leave_one_of_each():
    rng = random.Random(5)
    samples = letters(30)
    many = [
        replace(s, id=f"{s.id}-{n}", inputs={"emails": disguised(rng, s.source)})
        for n in range(3)
        for s in samples
    ]
    rng.shuffle(many)
    stay, doubles = without_doubles(many)
    assert len(stay) == 30 and len(doubles) == 60
    assert {s.id.partition("-")[0] for s in stay} == {s.id for s in samples}
    assert all(a.partition("-")[0] == b.partition("-")[0] for a, b in doubles)
    assert without_doubles(many, stay) == ([], [(i, j) for i, j in without_doubles(many, stay)[1]])


@pytest.mark.parametrize("format", list(training_formats()))
def test_every_file_has_its_form_and_no_conversation_two_sides(format, tmp_path):
    samples, rng = letters(64, seed=2), random.Random(2)
    feedback = []
    for s in samples:
        action = rng.choice(["accept", "edit", "ignore"])
        draft = " ".join(words(rng, 12))
        edited = " ".join(words(rng, 12)) if action == "edit" else None
        feedback.append(Feedback(s.id, action, draft, edited, reasons=["tone"], time="2026-11-02"))
    gathered = examples_of_feedback(feedback, samples)
    assert len(gathered.examples) + sum(gathered.left_out.values()) == 64
    done = write_training_files(gathered, tmp_path / "t", format=format, validation=0.3, by_purpose=False)
    assert done.faults == {} and len(done.files) >= 4
    sides = {}
    for row in read_jsonl(tmp_path / "t" / "rows.jsonl"):
        sides.setdefault(row["conversation"], set()).add("validation" in row["file"])
    assert all(len(s) == 1 for s in sides.values()) and len(sides) == 32
    lines = {
        name: len((tmp_path / "t" / name).read_text(encoding="utf-8").splitlines()) for name in done.files
    }
    assert lines == done.files and sum(done.sources.values()) == done.rows


def test_a_split_stays_when_other_conversations_come():
    sides = {f"c{i}": side_of(f"c{i}", 0.25, 3) for i in range(400)}
    assert sides == {c: side_of(c, 0.25, 3) for c in reversed(sides)}
    grown = [c for c in sides if side_of(c, 0.4, 3) == "validation"]
    assert {c for c, s in sides.items() if s == "validation"} <= set(grown)  # a larger share only adds some
    assert sides != {c: side_of(c, 0.25, 4) for c in sides}


def test_what_an_evaluation_set_holds_is_in_no_file(tmp_path):
    samples, rng = letters(45, seed=4), random.Random(4)
    in_test = [
        replace(s, id=f"t{s.id}", cluster=f"test {s.id}", inputs={"emails": disguised(rng, s.source)})
        for s in samples[::3]
    ]
    gathered = examples_of_samples(samples)
    done = write_training_files(gathered, tmp_path / "t", against={"held": in_test}, validation=0.2)
    assert done.left_out == {"an evaluation set holds it": len(in_test)} and done.rows == 45 - len(in_test)
    for name in done.files:
        assert leaks_in_file(tmp_path / "t" / name, {"held": in_test}).clean
    sheet = (tmp_path / "t" / "datasheet.md").read_text(encoding="utf-8")
    assert f"{len(in_test)} examples contained samples of these sets" in sheet


def test_nobody_is_in_a_file_who_is_in_a_record(tmp_path):
    rng = random.Random(6)
    people = [
        f"{''.join(rng.choices(SYLLABLES, k=2)).title()} {''.join(rng.choices(SYLLABLES, k=3)).title()}"
        for _ in range(20)
    ]
    samples = []
    for s, name in zip(letters(20, seed=6), people):
        mail = name.lower().replace(" ", ".") + "@example.org"
        inputs = {"emails": f"{s.source} My name is {name}, {mail}."}
        record = {"Contact Name": name, "Email": mail, "Stage": "open"}
        samples.append(
            replace(s, inputs=inputs, record=record, reference=f"{name} wrote about {s.reference}")
        )
    done = write_training_files(examples_of_samples(samples), tmp_path / "t")
    text = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "t").iterdir())
    assert done.rows == 20 and "[PERSON_" in text
    for name in people:
        assert name not in text and name.lower().replace(" ", ".") not in text, name
    again = write_training_files(examples_of_samples(samples), tmp_path / "u")
    assert again.files == done.files
    assert (tmp_path / "t" / "train.jsonl").read_bytes() == (tmp_path / "u" / "train.jsonl").read_bytes()


def test_consent_is_asked_for_every_purpose():
    rng = random.Random(7)
    for _ in range(200):
        allowed = {p for p in PURPOSES if rng.random() < 0.5}
        sample = Sample(
            "s", CASE, {"emails": "x"}, tags={"consent": ",".join(rng.sample(sorted(allowed), len(allowed)))}
        )
        assert consent_to(sample) == allowed
    shares = {"evaluation": 0.3, "training": 0.7}
    drawn = [purpose_of(f"c{i}", shares) for i in range(3000)]
    assert abs(drawn.count("evaluation") / 3000 - 0.3) < 0.03 and "examples" not in drawn


def test_a_basis_in_words_is_needed_without_consent_and_stands_in_the_sheet(tmp_path):
    samples = [replace(s, tags={}) for s in letters(12)]
    none = write_training_files(examples_of_samples(samples), tmp_path / "t")
    assert none.rows == 0 and none.left_out == {"no consent": 12}
    stated = write_training_files(examples_of_samples(samples), tmp_path / "u", basis="contract, clause 7")
    assert stated.rows == 12
    assert "contract, clause 7" in (tmp_path / "u" / "datasheet.md").read_text(encoding="utf-8")


def test_ratings_make_pairs_only_of_what_an_adjudicator_settled():
    rng, sample = random.Random(8), letters(1)[0]
    for _ in range(100):
        points = {c: {m: rng.randrange(1, 5) for m in ("factuality", "completeness")} for c in "abc"}
        responses = [Response(sample.id, c, f"answer {c}") for c in points]
        scores = [
            Score(m, p, rater=f"{ADJUDICATED}x", method="manual", sample_id=sample.id, client=c)
            for c, by_rater in points.items()
            for m, p in by_rater.items()
        ]
        found = examples_of_ratings([sample], responses, scores)
        mean = {f"answer {c}": sum(by_rater.values()) / 2 for c, by_rater in points.items()}
        pairs = {(e.better, e.worse) for e in found.examples if e.worse}
        assert pairs == {(a, b) for a in mean for b in mean if mean[a] - mean[b] >= 1}
        best = {e.better for e in found.examples if not e.worse}
        assert best == {f"answer {c}" for c, by_rater in points.items() if min(by_rater.values()) == 4}
        alone = [replace(s, rater="ann") for s in scores]
        assert examples_of_ratings([sample], responses, alone) == Gathered()


def test_a_gold_record_is_learnt_in_the_form_that_scores():
    gold = {"Stage": "Closed Won", "Amount": 1200, "Close Date": "2026-11-30"}
    sample = Sample("u", "update_crm_info", {}, record={"Stage": "Open"}, gold_record=gold)
    answer = examples_of_samples([sample]).examples[0].better
    assert record_update(answer, gold=gold, before=sample.record).points == 4


def test_a_row_that_was_damaged_is_told():
    rng = random.Random(9)
    for format, form in training_formats().items():
        for kind in form["kinds"]:
            answers = ["a", "b"] if kind == "preference" else ["a"]
            good = training_row("q", answers, kind, format=format, verdict=True)
            assert row_faults(good, kind, format=format) == []
            for _ in range(20):
                bad = json.loads(json.dumps(good))
                name = rng.choice(list(bad))
                harm = rng.choice(["gone", "text", "more", "empty"])
                if harm == "gone":
                    del bad[name]
                elif harm == "more":
                    bad["note"] = "x"
                else:
                    bad[name] = "x" if harm == "text" else []
                assert row_faults(bad, kind, format=format), (format, kind, name, harm)


def test_files_of_several_kinds_are_told(tmp_path):
    rows = [training_row("q", ["a"], "supervised")] * 5 + [training_row("q", ["a", "b"], "preference")] * 5
    path = tmp_path / "f.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert file_faults(path) == ["rows of several kinds of training: preference, supervised"]


def test_texts_of_any_kind_are_checked_in_time_and_without_an_error():
    index = LeakIndex({"desk": letters(3)})
    for text in (
        "",
        " ",
        "\ud800",
        "[A" * 25_000,
        "中" * 50_000,
        "a " * 25_000,
        "\x00",
        "[PERSON_" * 5_000,
        "<b <" * 9_000,
        "<p>" * 9_000,
    ):
        assert index.leaks(TrainingRow("row", [text])) == []
        assert masked_sample(Sample("s", CASE, {"emails": text[:2000]})).sample.id == "s"


@pytest.mark.parametrize(
    "first, second", [(True, "no"), ("no", True), ("training", "evaluation"), ([], "yes")]
)
def test_whoever_said_no_once_is_in_nothing(first, second, tmp_path):
    rows = [replace(letters(1)[0], tags={"consent": consent}) for consent in (first, second)]
    feedback = [Feedback("r0", "edit", "A draft of some words.", "What was sent in the end is this.")]
    for samples in (rows, rows[::-1]):
        assert samples_of_feedback(feedback, samples, by_purpose=False).left_out == {"no consent": 1}
        gathered = examples_of_feedback(feedback, samples)
        assert all(why_not(e.sample, "training", by_purpose=False) for e in gathered.examples)
        folder = tmp_path / f"loop{samples is rows}"
        turn_loop(folder, feedback, rows[:1], by_purpose=False)
        turn_loop(folder, [], samples, by_purpose=False)
        assert read_loop(folder)[0] == []


@pytest.mark.parametrize(
    "consent", ["no", "evaluation", "false", "0", False, [], ["examples"], "", " ", None]
)
def test_a_basis_stands_in_where_nobody_was_asked_and_overrules_no_refusal(consent, tmp_path):
    samples = [replace(s, tags={"consent": consent}) for s in letters(12, seed=4)]
    how = {"basis": "contract, clause 9", "by_purpose": False}
    done = write_training_files(examples_of_samples(samples), tmp_path / "t", **how)
    if consent is None or (isinstance(consent, str) and not consent.strip()):
        assert {stated for _, stated, _ in done.sources} == {"stated: contract, clause 9"}
    else:
        assert done.rows == 0 and done.left_out == {"no consent": 12}


def test_a_sample_that_comes_back_in_the_same_week_with_another_text_is_run_again(tmp_path):
    samples = letters(1)
    for sent, consent in (("It left on Monday.", True), ("", False), ("It left on Friday.", True)):
        now = [
            replace(samples[0], tags={"consent": consent}, inputs={"emails": f"When does it leave? {sent}"})
        ]
        feedback = [Feedback("r0", "edit", "A draft.", "It leaves on Monday at nine.")] if consent else []
        week = turn_loop(
            tmp_path, feedback, now, models=["baseline:reference"], today="2026-11-27", by_purpose=False
        )
        assert (week.asked, week.withdrawn) == (int(consent), int(not consent))
