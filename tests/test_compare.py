"`crmeval compare` as a program: its output, its page, and p-values that control the false positive rate."

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from commands import crmeval

from crmeval.core.records import Response, Sample, Score
from crmeval.pages.compare import compare, who_is_better
from crmeval.pages.compare_page import verdict
from crmeval.pages.leaderboard import METRICS
from crmeval.runs.folder import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp("run")
    done = crmeval(
        *(
            "run --use-case service_call_summary --limit 3 --model baseline:reference --model "
            f"baseline:lead --out {d / 'r'} --no-progress"
        ).split()
    )
    assert done.returncode == 0, done.stderr
    return d


def test_it_prints_differences_and_both_answers_and_writes_a_page(folder):
    done = crmeval(
        "compare", f"{folder}/r#reference", f"{folder}/r#lead", "--html", f"{folder}/c.html", "--samples", "1"
    )
    assert done.returncode == 0, done.stderr
    assert (
        "p (Holm)" in done.stdout
        and "side by side, evidence in brackets" in done.stdout
        and done.stdout.count("a: baseline:reference") == 1
    )
    first_line = done.stdout.splitlines()[0]  # the result first: name, one interval, one p-value
    assert re.match(
        r"In accuracy (baseline:\w+ is better than baseline:\w+|\d+ pairs .* do not tell)", first_line
    )
    assert first_line.count("interval") == first_line.count("after Holm") == 1
    lines = done.stdout[done.stdout.index("a: baseline:reference") :].splitlines()
    assert " | b: baseline:lead" in lines[0] and re.search(
        r"\[(KEY FACT|NO KEY FACT|UNSUPPORTED): ", "\n".join(lines)
    )
    page = Path(folder / "c.html").read_text(encoding="utf-8")
    assert (
        "baseline:lead" in page
        and '<mark class="cm' in page
        and "Content-Security-Policy" in page
        and not re.search(r"(?:src|href)=[\"']?https?:", page)
    )


def test_a_wrong_price_ends_in_one_sentence(folder):
    done = crmeval("compare", f"{folder}/r#reference", f"{folder}/r#lead", "--price", "x")
    assert done.returncode == 2 and "MODEL=IN,OUT" in done.stderr and "Traceback" not in done.stderr


def equal_systems(seed, n=12):
    r = random.Random(seed)
    samples = [Sample(f"s{i}", "service_call_summary", {"transcript": "x"}) for i in range(n)]
    rows = [Response(s.id, c, "t", use_case=s.use_case) for s in samples for c in ("x:a", "x:b")]
    return Run(
        Path("r"),
        {},
        samples,
        rows,
        [
            Score(
                m,
                float(r.choice([1, 2, 3, 4])),
                rater="j",
                sample_id=x.sample_id,
                client=x.client,
                use_case=x.use_case,
            )
            for x in rows
            for m in METRICS
        ],
    )


def test_a_whole_name_is_meant_where_it_is_also_the_end_of_another():
    run = equal_systems(1)
    behind = [replace(x, client=f"trusted:{x.client}") for x in run.responses if x.client == "x:a"]
    scored = [replace(s, client=f"trusted:{s.client}") for s in run.scores if s.client == "x:a"]
    both = replace(run, responses=[*run.responses, *behind], scores=[*run.scores, *scored])
    c = compare(both, client_a="x:a", client_b="trusted:x:a")
    assert (c.a, c.b) == ("x:a", "trusted:x:a") and c.differences["accuracy"].value == 0


def unequal_systems(seed):
    "Return a run of two systems; one may be better in some metrics, with few or many conversations and gaps."
    r = random.Random(seed)
    run, shift = (
        equal_systems(seed, r.choice([1, 2, 7, 25, 60])),
        {m: r.choice([0, 0, 1, 2]) for m in METRICS},
    )
    ahead, lost = r.choice(["x:a", "x:b"]), r.choice([0, 0.1, 0.6])
    scores = []
    for s in run.scores:
        points = min(4.0, s.points + shift[s.metric]) if s.client == ahead else s.points
        gone = r.random() < lost
        scores.append(replace(s, points=None if gone else points, status="undefined" if gone else "ok"))
    return replace(run, scores=scores)


def test_side_interval_and_p_value_never_contradict_each_other():
    "The system named better has an interval without zero on that side; none is named if zero is inside."
    seen = set()
    for seed in range(60):
        c = compare(unequal_systems(seed), client_a="a", client_b="b")
        for metric, d in c.differences.items():
            side = who_is_better(d)
            seen.add(side)
            if d.value is None:
                assert side == "nothing to compare", (seed, metric)
            elif side == "not told apart":
                assert d.low is None or d.low <= 0 <= d.high, (seed, metric, d)
                assert d.p_value is None or d.p_value >= 0.05
            else:
                assert d.p_value < 0.05 and (d.low > 0 if side == "a is better" else d.high < 0), (
                    seed,
                    metric,
                    d,
                )
                assert d.low <= d.value <= d.high
        d, sentence = c.differences["accuracy"], verdict(c)
        if (side := who_is_better(d)) in ("a is better", "b is better"):
            assert f"{c.a if side[0] == 'a' else c.b} is better than" in sentence, (seed, sentence)
            assert sentence.count("95 % interval") == 1 and sentence.count("after Holm") == 1
            ends = re.search(r"interval ([-+][\d.]+) to ([-+][\d.]+)", sentence)
            low, ahead, high = float(ends[1]), abs(round(d.value, 2)), float(ends[2])
            assert 0 <= low <= ahead <= high, sentence  # in favour of the named system
        else:
            assert "is better than" not in sentence, (seed, sentence)
    assert seen >= {"a is better", "b is better", "not told apart"}


def test_equal_systems_are_rarely_told_apart_in_any_metric():
    "Five metrics at once; without a correction about a fifth of such comparisons would show a difference."
    runs = [compare(equal_systems(seed), client_a="a", client_b="b") for seed in range(100)]
    found = sum(any(d.p_value < 0.05 for d in c.differences.values()) for c in runs)
    assert found <= 11, found  # 5 expected; the probability of more than 11 of 100 is 0.4 %
