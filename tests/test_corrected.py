"""Corrected means: agreement with the library of the method's authors, coverage on recorded judges,
and changes that must have no effect."""

import importlib.util
import itertools
import os
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from crmeval.core import corrected as module
from crmeval.core.corrected import corrected_difference, corrected_mean
from crmeval.core.stats import mean_estimate
from crmeval.tasks.public import load_rows

# ---- against the library of the method's authors


def noisy(seed, n=300, labels=40, follow=0.8):
    r = np.random.default_rng(seed)
    y = r.normal(2.5, 0.8, n)
    f = follow * y + (1 - follow**2) ** 0.5 * r.normal(0, 0.8, n) + 0.4
    return y, f, [float(v) if i < labels else None for i, v in enumerate(y)], [float(v) for v in f]


@pytest.mark.skipif(
    importlib.util.find_spec("ppi_py") is None, reason="ppi_py (package ppi-python) is not installed"
)
@pytest.mark.parametrize("follow", [0.0, 0.5, 0.95, -0.6])
def test_value_and_tuning_are_those_of_ppi_py(follow):
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    for seed, labels in itertools.product(range(3), (5, 40, 250)):
        y, f, human, judge = noisy(seed, labels=labels, follow=follow)
        e = corrected_mean(human, judge)
        assert e.value == pytest.approx(
            float(np.squeeze(ppi_mean_pointestimate(y[:labels], f[:labels], f[labels:]))), abs=1e-12
        )
        # its normal interval at our lambda: so lambda itself is the same
        low, high = (
            float(np.squeeze(x)) for x in ppi_mean_ci(y[:labels], f[:labels], f[labels:], alpha=0.05)
        )
        error = (
            e.tuning**2 * f[labels:].var() / (300 - labels)
            + (y[:labels] - e.tuning * f[:labels]).var() / labels
        ) ** 0.5
        assert (low, high) == pytest.approx(
            (e.value - 1.959963984540054 * error, e.value + 1.959963984540054 * error), abs=1e-12
        )
        assert labels < 20 or 0.98 < (e.high - e.low) / (high - low) < 1.2


# ---- recorded judges and people: coverage, width, error

JUDGES = "gpt-3.5-turbo", "gpt-4-1106-preview", "gpt-4o-2024-05-13", "gpt-4.1-mini-2025-04-14"
POINTS = dict(
    fully_covered=1,
    partially_covered=0.5,
    not_covered=0,
    FULL_COVERAGE=1,
    PARTIAL_COVERAGE=0.5,
    NO_COVERAGE=0,
)
# two groups of systems that answered the same documents:
# pretrained against others; right documents given against searched
FIRST = {
    "factuality": ("bart", "BERTS2S", "bert_sum"),
    "completeness": ("t5_", "bart_", "unilm_"),
    "conciseness": ("t5_", "bart_", "unilm_"),
    "coverage": ("summary_subtopic_oracle",),
}


def share(x):
    return sum(x) / len(x)


def majority(row, name):
    labels = [
        a[name] for who, a in row["raw_annotations"].items() if not (name == "sentence_labels" and who == "3")
    ]
    votes = [[float(x) for x in column if x != "None"] for column in zip(*labels, strict=True)]
    return [float(2 * sum(v) > len(v)) for v in votes]


@lru_cache(maxsize=1)
def recorded():
    "Return (judge, dimension) -> rows (document, human fraction, judge fraction, system)."
    out, root = defaultdict(list), Path(os.environ.get("CRMEVAL_DATA", "no data"))
    for name in ("finesure", "summhay_eval"):
        if not (root / name).is_dir():
            pytest.skip(f"source {name} is not in CRMEVAL_DATA")
    for j in JUDGES:
        for r in load_rows("finesure", f"fact-checking/frank-raw-data-by-{j}.jsonl.gz", download=False):
            p, h = r["pred_faithfulness_labels"], majority(r, "factuality_labels")
            if len(p) == len(h):
                out[j, "factuality"].append((r["doc_id"], 1 - share(h), 1 - share(p), r["model"]))
        for r in load_rows(
            "finesure", f"keyfact-alignment/realsumm-raw-data-by-{j}.jsonl.gz", download=False
        ):
            h = majority(r, "sentence_labels")
            out[j, "completeness"].append(
                (
                    r["doc_id"],
                    share(majority(r, "key_fact_labels")),
                    share(r["pred_alignment_labels"]),
                    r["model"],
                )
            )
            out[j, "conciseness"].append(
                (
                    r["doc_id"],
                    share(h),
                    share([i + 1 in r["pred_sentence_line_numbers"] for i in range(len(h))]),
                    r["model"],
                )
            )
    for r in load_rows("summhay_eval", "eval_benchmark_data.jsonl.gz", download=False):
        people = share([POINTS[a["coverage"]] for a in r["annotation"]])
        for k in r:
            if k.startswith("predictions_"):
                out[k.removeprefix("predictions_"), "coverage"].append(
                    (r["subtopic_id"], people, share([POINTS[p["coverage"]] for p in r[k]]), r["summkey"])
                )
    return dict(out)


def pairs(dimension, rows):
    by = defaultdict(list)
    for r in rows:
        by[r[0]].append(r)
    return [
        (d, a[1] - b[1], a[2] - b[2])
        for d, rs in by.items()
        for a, b in itertools.product(rs, rs)
        if a[3].startswith(FIRST[dimension]) and not b[3].startswith(FIRST[dimension])
    ]


def simulate(rows, labelled, unlabelled=100, draws=2000, seed=0):
    "Draw documents for both parts (truth 0); return coverage, and width and error relative to human-only."
    index = {d: i for i, d in enumerate(dict.fromkeys(r[0] for r in rows))}
    middle, table, parts = np.mean([r[1:3] for r in rows], 0), np.zeros((len(index), 3)), []
    for r in rows:
        table[index[r[0]]] += 1, r[1] - middle[0], r[2] - middle[1]
    rng = np.random.default_rng(seed)
    for n in [250] * (draws // 250):  # in blocks, to save memory
        x = table[rng.integers(0, len(index), (n, labelled + unlabelled))]
        v = np.zeros((n, labelled + unlabelled, 5))
        v[:, :labelled, :3], v[:, labelled:, 3:] = x[:, :labelled], x[:, labelled:, ::2]
        parts.append(np.array(module._jackknife(v)))
    value, human, _, error, alone, df = np.concatenate(parts, 1)
    t = scipy_stats.t.ppf(0.975, df)
    return dict(
        held=np.mean(abs(value) <= t * error),
        alone=np.mean(abs(human) <= t * alone),
        width=np.mean(t * error) / np.mean(t * alone),
        error=(np.mean(value**2) / np.mean(human**2)) ** 0.5,
        saved=1 - np.mean(error**2) / np.mean(alone**2),
    )


def mean_of(runs, name):
    return float(np.mean([r[name] for r in runs]))


@pytest.mark.parametrize("labelled", [30, 60])
def test_the_mean_is_held_in_95_percent(labelled):
    runs = {k: simulate(rows, labelled) for k, rows in recorded().items()}
    covered = [r["held"] for r in runs.values()]
    assert len(runs) == 18 and abs(np.mean(covered) - 0.95) < 0.0075, np.mean(covered)
    for dimension in FIRST:
        assert abs(mean_of([r for k, r in runs.items() if k[1] == dimension], "held") - 0.95) <= 0.015, (
            dimension
        )
    # 2,000 draws leave a standard error of half a point
    assert all(abs(h - 0.95) <= 0.015 + 0.007 for h in covered), {k: r["held"] for k, r in runs.items()}
    assert np.mean([abs(h - 0.95) <= 0.015 for h in covered]) >= 0.75
    # the gain: never worse than human labels alone, and a good judge saves over a third of the labels
    assert all(r["width"] <= 1.02 and r["error"] <= 1.02 for r in runs.values())
    assert (
        min(r["saved"] for k, r in runs.items() if k[0] == "gpt-4.1-mini-2025-04-14" and k[1] == "factuality")
        > 0.5
    )
    assert 0.25 < mean_of(runs.values(), "saved") < 0.45


@pytest.mark.parametrize("labelled", [30])
def test_the_difference_of_two_systems_is_held_in_95_percent(labelled):
    runs = {k: simulate(pairs(k[1], rows), labelled, unlabelled=100) for k, rows in recorded().items()}
    covered = [r["held"] for r in runs.values()]
    assert abs(np.mean(covered) - 0.95) < 0.01, np.mean(covered)
    # some judges have only 11 documents in common with two systems: coverage for so few is noisy
    assert (
        all(abs(h - 0.95) <= 0.035 for h in covered)
        and np.mean([abs(h - 0.95) <= 0.015 for h in covered]) >= 0.6
    ), covered
    assert all(r["width"] <= 1.03 and r["error"] <= 1.03 for r in runs.values()), {
        k: (r["width"], r["error"]) for k, r in runs.items()
    }
    assert mean_of(runs.values(), "saved") > 0.2


def test_a_judge_that_knows_nothing_costs_nothing():
    runs = []
    for (judge, _), rows in recorded().items():
        if judge not in ("gpt-4o-2024-05-13", "prompted_gpt-4o"):
            continue
        for seed in range(2):  # the judge's scores, shuffled
            order = np.random.default_rng(seed).permutation(len(rows))
            runs.append(
                simulate([(r[0], r[1], rows[i][2]) for r, i in zip(rows, order)], 30, draws=1000, seed=seed)
            )
    assert (
        mean_of(runs, "width") <= 1.02
        and mean_of(runs, "error") <= 1.015
        and max(r["error"] for r in runs) <= 1.03
    ), [(r["width"], r["error"]) for r in runs]
    assert all(abs(r["held"] - r["alone"]) < 0.015 for r in runs)


def test_labels_on_single_responses_of_a_document():
    "People label responses, not documents, so one document has labelled and unlabelled responses."
    rows, covered, widths = recorded()["gpt-4.1-mini-2025-04-14", "completeness"], [], []
    by, truth = defaultdict(list), share([r[1] for r in rows])
    for r in rows:
        by[r[0]].append(r[1:3])
    docs = list(by.values())
    rng = np.random.default_rng(0)
    for _ in range(1000):
        drawn = [(c, *p) for c, i in enumerate(rng.integers(0, len(docs), 60)) for p in docs[i]]
        label = set(rng.permutation(len(drawn))[:40].tolist())
        e = corrected_mean(
            [r[1] if i in label else None for i, r in enumerate(drawn)],
            [r[2] for r in drawn],
            clusters=[r[0] for r in drawn],
        )
        covered.append(e.low <= truth <= e.high)
        widths.append((e.high - e.low) / (e.human_only.high - e.human_only.low))
        assert e.labels == 40 and e.labelled_clusters < 40
    assert abs(np.mean(covered) - 0.95) <= 0.02 and np.mean(widths) < 0.95, (
        np.mean(covered),
        np.mean(widths),
    )


def test_the_fast_simulation_is_the_function():
    rows = recorded()["gpt-4o-2024-05-13", "completeness"]
    by = defaultdict(list)
    for r in rows:
        by[r[0]].append(r)
    docs = [(c, *r[1:3], c < 20) for c, d in enumerate(list(by)[:60]) for r in by[d]]
    e = corrected_mean(
        [r[1] if r[3] else None for r in docs], [r[2] for r in docs], clusters=[r[0] for r in docs]
    )
    v = module._sums([r[1] if r[3] else None for r in docs], [r[2] for r in docs], [r[0] for r in docs])
    value, human, tuning, error, alone, df = module._jackknife(v)
    half = scipy_stats.t.ppf(0.975, df) * error
    assert (e.value, e.low, e.high, e.tuning, e.human_only.value) == pytest.approx(
        (value, value - half, value + half, tuning, human), abs=1e-9
    )
    assert e.saving == pytest.approx(1 - (error / alone) ** 2)


def test_ignoring_documents_would_be_too_sure():
    covered = {True: 0, False: 0}
    for seed in range(300):
        r = np.random.default_rng(seed)
        y = r.normal(size=60)
        f = 0.7 * y + 0.7 * r.normal(size=60)
        human, judge, docs = (
            [float(v) if i < 20 else None for i, v in enumerate(y) for _ in range(4)],
            [float(v) for v in f for _ in range(4)],
            [i for i in range(60) for _ in range(4)],
        )
        for aware in covered:
            e = corrected_mean(human, judge, clusters=docs if aware else None)
            covered[aware] += e.low <= 0 <= e.high
    assert covered[True] >= 0.92 * 300 and covered[False] <= 0.8 * 300, covered


def test_a_judge_whose_errors_come_by_document_is_not_overrated():
    "The judge helps by response but is noise by document: lambda is chosen over documents."
    worse = []
    for seed in range(200):
        r = np.random.default_rng(seed)
        y, mood = r.normal(size=(60, 5)), r.normal(0, 1.5, (60, 1))
        human = [float(v) if i < 25 else None for i, row in enumerate(y) for v in row]
        judge, docs = (y + mood).ravel().tolist(), [i for i in range(60) for _ in range(5)]
        worse.append(
            (
                corrected_mean(human, judge, clusters=docs).value ** 2,
                corrected_mean(human, judge).value ** 2,
                np.nanmean(np.array(human, float)) ** 2,
            )
        )
    with_documents, without, people = np.mean(worse, 0) ** 0.5
    assert with_documents < 1.03 * people < without


# ---- what must change the result, and what must not


@pytest.mark.parametrize("seed", range(3))
def test_order_scale_and_names_are_free(seed):
    _, _, human, judge = noisy(seed)
    docs = [i // 2 for i in range(300)]
    e, r = corrected_mean(human, judge, clusters=docs), np.random.default_rng(seed).permutation(300)
    again = corrected_mean([human[i] for i in r], [judge[i] for i in r], clusters=[f"d{docs[i]}" for i in r])
    moved = corrected_mean(
        [None if y is None else 100 - 7 * y for y in human], [100 - 7 * x for x in judge], clusters=docs
    )
    assert (again.value, again.low, again.high) == pytest.approx((e.value, e.low, e.high))
    assert (moved.value, moved.low, moved.high, moved.tuning) == pytest.approx(
        (100 - 7 * e.value, 100 - 7 * e.high, 100 - 7 * e.low, e.tuning)
    )
    assert corrected_mean(human, judge, clusters=docs) == e
    kinder = corrected_mean(human, [x + 10 for x in judge], clusters=docs)  # a constant bias cancels
    assert (kinder.value, kinder.low) == pytest.approx((e.value, e.low))


def test_without_the_judge_it_is_the_mean_of_stats():
    y, _, human, _ = noisy(1, labels=60)
    e = corrected_mean(human, [3.0] * 300)
    plain = mean_estimate(human)
    assert e.tuning == 0 and e.value == pytest.approx(plain.value) and e.effective_n == pytest.approx(60)
    assert e.high - e.low == pytest.approx(plain.high - plain.low, rel=0.06)
    nan = corrected_mean([float("nan") if v is None else v for v in human], [3.0] * 300)
    assert nan == e


@pytest.mark.parametrize(
    "human,judge",
    [
        ([], []),
        ([None], [1.0]),
        ([None, None], [None, None]),
        ([None, 3.0], [None, None]),
        ([3.0, 3.0, None], [1.0, None, 2.0]),
        ([2.0], [2.0]),
    ],
)
def test_nothing_becomes_certain(human, judge):
    e = corrected_mean(human, judge)
    assert e.low is None and e.high is None and e.effective_n is None and e.saving is None and str(e)
    assert (e.value is None) == all(v is None for v in human) and e.undefined == judge.count(None)
    inside = corrected_mean(human, judge, bounds=(1, 4))
    assert inside.value is None or 1 <= inside.low < inside.high <= 4


def test_a_lone_response_without_label_does_not_break_it():
    e = corrected_mean([1, 2, 3, 4, None], [1, 2, 3, 4, 4])
    assert e.tuning == 0 and e.method == "human labels only, jackknife t" and e.low < 2.5 < e.high
    two = corrected_mean([1, 2, 3, 4, None, None], [1, 2, 3, 4, 4, 4])
    assert 0 < two.tuning < 1 and two.low < two.value < two.high and np.isfinite([two.low, two.high]).all()


def test_the_difference_is_the_mean_of_differences():
    _, _, ha, ja = noisy(1)
    _, _, hb, jb = noisy(2)
    d = corrected_difference(ha, ja, hb, jb, clusters=[i // 3 for i in range(300)])

    def minus(a, b):
        return [None if x is None or y is None else x - y for x, y in zip(a, b)]

    assert d == corrected_mean(minus(ha, hb), minus(ja, jb), clusters=[i // 3 for i in range(300)])
    swapped = corrected_difference(hb, jb, ha, ja, clusters=[i // 3 for i in range(300)])
    assert (swapped.value, swapped.low, swapped.high) == pytest.approx((-d.value, -d.high, -d.low))


@pytest.mark.parametrize(
    "human,judge,bounds,message",
    [
        ([1, 2], [1, 2], (4, 1), r"bounds is \(4, 1\)"),
        ([1, 2], [1, 2], (1, float("nan")), "bounds is"),
        ([1, 2], [1, 2], (2, 2), "bounds is"),
        ([0, 2], [1, 2], (1, 4), "human has the value 0, expected 1 to 4"),
        ([float("inf"), 2], [1, 2], None, "human has the value inf"),
        ([1, None], [1, float("-inf")], None, "judge has the value -inf"),
    ],
)
def test_values_that_cannot_be_are_told(human, judge, bounds, message):
    with pytest.raises(ValueError, match=message):
        corrected_mean(human, judge, bounds=bounds)
    with pytest.raises(ValueError, match=message.replace("human", "human_a").replace("judge", "judge_a")):
        corrected_difference(human, judge, [2, 2], [2, 2], bounds=bounds)
    assert (
        corrected_mean([1, 2, None], [9, 2, 2], bounds=(1, 4)).value is not None
    )  # a judge may leave the scale
