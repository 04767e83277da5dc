"The audit of judges: exact published figures, coverage of the intervals, judges on the endpoint."

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest

from crmeval.core.raters import weighted_kappa
from crmeval.judges.llm import LLMJudge
from crmeval.runs.specs import make_client
from crmeval.tasks.load import load_rows
from crmeval.validation.audit import (
    audit,
    family_of,
    length_slope,
    order_flips,
    order_swap,
    repeat_noise,
    repeat_scores,
    self_family_gap,
)
from crmeval.validation.pairwise import (
    PairwiseJudge,
    both_orders,
    by_response,
    judge_against,
    llmbar_figures,
    majority_choice,
    read_choice,
)

SUBSETS = ("Natural", "Neighbor", "GPTOut")


def needs(name):
    return pytest.mark.skipif(
        not (Path(os.environ.get("CRMEVAL_DATA", "no data")) / name).is_dir(),
        reason=f"{name} is not in CRMEVAL_DATA",
    )


def llmbar(file):
    return load_rows("llmbar", file, download=False)


def recorded(subset, name):
    rows = llmbar(f"{subset}/evaluators/{name.replace('/', '__')}.jsonl")
    number = {"1": 1, "2": 2}.get
    return (
        rows,
        [[number(r["results"][-1][f"swap = {s}"]["winner"]) for r in rows] for s in (False, True)],
        [r["label"] for r in rows],
    )


# Zeng et al., Evaluating LLMs at Evaluating Instruction Following, ICLR 2024: each statistics.json
@needs("llmbar")
@pytest.mark.parametrize("subset", SUBSETS)
def test_every_published_figure_of_llmbar_is_reproduced(subset):
    published = llmbar(f"{subset}/published_statistics.json")[0]
    assert len(published) == 19
    for name, figures in published.items():
        own = llmbar_figures(*recorded(subset, name)[1], recorded(subset, name)[2])
        assert set(own) == set(figures)
        for key, value in figures.items():
            assert own[key] == (value if isinstance(value, str) else pytest.approx(value, abs=1e-12)), (
                name,
                key,
            )


@needs("llmbar")
@pytest.mark.parametrize("subset", SUBSETS)
def test_the_replies_of_llmbar_read_as_upstream_read_them_but_for_one_evaluator(subset):
    differ = {}
    for name in llmbar(f"{subset}/published_statistics.json")[0]:
        rows, winners, _ = recorded(subset, name)
        last = [r["results"][-1] for r in rows]
        if "score_1" in last[0]:
            continue
        own = [
            [by_response(read_choice(x[f"swap = {s}"]["completion"][0]), s) for x in last]
            for s in (False, True)
        ]
        differ[name] = sum(a != b for old, new in zip(winners, own) for a, b in zip(old, new))
    assert {n for n, d in differ.items() if d} == {"PaLM2/CoT"} and differ["PaLM2/CoT"] > 5


@needs("llmbar")
def test_the_figures_with_intervals_are_the_published_ones():
    _, winners, gold = recorded("Natural", "GPT-4/Vanilla")
    flips = order_swap(*winners, gold)
    assert [
        flips[k].value
        for k in (
            "accuracy",
            "accuracy, swapped",
            "accuracy, mean",
            "right in both orders",
            "position agreement",
        )
    ] == pytest.approx([0.95, 0.96, 0.955, 0.93, 0.95])
    assert all(e.low < e.value < e.high and e.n == 100 for e in flips.values())


@needs("pandalm")
def test_kappas_between_people_are_near_those_published_for_the_whole_set():
    rows = load_rows("pandalm", "testset-v1_with_judges.jsonl", download=False)
    people = [[r[f"annotator{i}"] for r in rows] for i in (1, 2, 3)]
    kappas = sorted(
        weighted_kappa(a, b, weights=None, labels=(0, 1, 2), n_resamples=2).value
        for a, b in itertools.combinations(people, 2)
    )
    assert kappas == pytest.approx([0.85, 0.86, 0.88], abs=0.02)
    major = [majority_choice(v) for v in zip(*people)]
    known = {"Tie": 0, "1": 1, "2": 2}
    gpt = judge_against([known.get(r["gpt_result"]) for r in rows], major, n_resamples=100)
    assert gpt["accuracy"].undefined >= 16 and 0.6 < gpt["accuracy"].value < 0.8


@needs("prometheus_gpt4_judge")
def test_the_noise_of_a_recorded_judge():
    rows = load_rows("prometheus_gpt4_judge", "mt_bench_eval.jsonl", download=False)
    scores = [r["gpt4_score"] for r in rows]
    noise = repeat_noise(scores, clusters=[r["idx"] for r in rows], n_resamples=100)
    assert noise["repeat standard deviation"].value == pytest.approx(
        math.sqrt(np.mean(np.var(scores, axis=1, ddof=1)))
    )
    assert noise["changed on repeat"].value == pytest.approx(np.mean([len(set(s)) > 1 for s in scores]))
    assert 0.8 < noise["repeat intraclass correlation"].value < 0.9


def responses(seed, slope, favour, n=60):
    r = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        mood = r.normal(
            0, 0.3
        )  # the judge is lenient or strict with a whole item: responses to one item are not independent
        for system in ("gpt-x", "claude-x", "gemini-x"):
            people, words = r.uniform(1, 4), float(r.integers(20, 400))
            rows.append(
                {
                    "item": i,
                    "system": system,
                    "people": people,
                    "length": words,
                    "score": people
                    + slope * math.log2(words)
                    + favour * (system == "gpt-x")
                    + mood
                    + r.normal(0, 0.4),
                }
            )
    return rows


def test_intervals_hold_the_slope_and_the_gap_that_were_put_in():
    covered = np.zeros(2)
    for seed in range(80):
        rows = responses(seed, 0.1, 0.3, n=30)
        c = {k: [r[k] for r in rows] for k in rows[0]}
        found = (
            length_slope(c["score"], c["people"], c["length"], clusters=c["item"], n_resamples=200, rng=seed),
            self_family_gap(
                c["score"],
                c["people"],
                [s == "gpt-x" for s in c["system"]],
                clusters=c["item"],
                n_resamples=200,
                rng=seed,
            ),
        )
        covered += [e.low <= t <= e.high for e, t in zip(found, (0.1, 0.3))]
    assert all(0.87 <= h <= 0.995 for h in covered / 80), covered / 80


def test_a_fair_judge_shows_nothing_and_order_does_not_matter():
    rows = responses(0, 0, 0)
    fair = audit(rows, judge="gpt-4o", n_resamples=200)
    for name in ("length slope", "self-family gap", "self-family gap at equal human score"):
        assert fair[name].low < 0 < fair[name].high, name
    assert {
        n: e.value
        for n, e in audit(rows[::-1], judge="gpt-4o", n_resamples=20).figures.items()
        if e.value is not None
    } == pytest.approx({n: e.value for n, e in fair.figures.items() if e.value is not None})


def test_clusters_widen_and_missing_values_are_counted():
    rows = responses(1, 0.1, 0.3)
    four = [dict(r, item=r["item"]) for r in rows for _ in range(4)]
    alone = [{**r, "item": None} for r in four]
    wide, narrow = (audit(x, judge="gpt-4o", n_resamples=300)["length slope"] for x in (four, alone))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    lost = length_slope([1, None, 3, 4], [1, 2, float("nan"), 4], [10, 20, 30, 80])
    assert (lost.n, lost.undefined) == (2, 2)
    with pytest.raises(ValueError, match="expected 2"):
        repeat_noise([[1, 2], [1, 2]], clusters=["a"])


def test_the_table_prints_and_says_what_is_missing():
    text = str(audit([{"repeats": [1, 2, None]}, {"repeats": [None, 3]}], judge="m"))
    assert (
        "Audit of m" in text
        and "length slope: undefined: no row has 'score' and 'people' and 'length'" in text
    )
    assert family_of("cerebras-gpt-6.7B") is None and family_of("openai:gpt-4o@localhost:8000") == "openai"


def test_live_judges_on_the_endpoint(server):
    judge = LLMJudge("stub", base_url=server.url, retries=0)
    cases = [
        {
            "response": f"The line is dead. Visit {i} is free.",
            "source": "The line is dead.",
            "key_facts": ["The line is dead.", f"Visit {i} is dear."],
        }
        for i in range(3)
    ]
    flips = order_flips(judge, cases)
    assert {q: e.value for q, e in flips.items()} == {"supported": 0, "stated": 0}
    assert len(server.bodies) == 12, "each order is a separate call"
    rows = repeat_scores(judge, cases, 3)
    assert rows["stated"] == [[0.5] * 3] * 3 and len(server.bodies) == 12 + 18
    down = repeat_scores(LLMJudge("busy", base_url=server.url, retries=0), cases[:1], 2)
    assert (
        down["supported"] == [[None, None]]
        and repeat_noise(down["supported"])["changed on repeat"].undefined == 1
    )


def test_a_pairwise_judge_over_the_wire_counts_what_it_could_not_read(server):
    for model, status in (("good", "parse_error"), ("refuse", "refused"), ("denied", "api_error")):
        judge = PairwiseJudge(make_client(f"openai:{model}", base_url=server.url), retries=0)
        rows = both_orders(judge, [{"instruction": "i", "response1": "a", "response2": "b", "item": 1}])
        assert (rows, dict(judge.usage.failures), judge.usage.calls) == (
            [{"first": None, "swapped": None, "item": 1}],
            {status: 2},
            2,
        )
        assert audit(rows)["position agreement"].value is None
