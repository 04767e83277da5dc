"""False alarms and delays of the drift charts:   python benchmarks/drift.py [DRAWS]

Seeded simulations of 60 weeks (8 baseline, 52 charted); the nominal rate is 5 %. Writes
results/drift.json.
"""

import json
import math
import sys
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from crmeval.live.drift_charts import Charts, chart_series

MONDAY = date(2026, 1, 5).toordinal()
STEP_WEEK = 30


def share(rng, n, shift, p=0.05):
    k = int(rng.binomial(n, min(1.0, max(0.0, p + shift * math.sqrt(p * (1 - p) / 200)))))
    return n, k, k


def number(rng, n, shift, draw):
    x = draw(rng, n)
    x = x + shift * x.std() / math.sqrt(200)
    return n, float(x.sum()), float(x @ x)


exponential = partial(number, draw=lambda rng, n: rng.exponential(1, n))
seconds = partial(number, draw=lambda rng, n: np.log1p(rng.lognormal(5, 1, n)))
points = partial(number, draw=lambda rng, n: rng.choice([1.0, 2.0, 3.0, 4.0], n, p=[0.05, 0.15, 0.4, 0.4]))


def desk(seed, make, weeks=60, n=200, least=200, step=0.0, noise=0.0, follow=0.0, gaps=0.0, friday=0.0):
    "Return weekly sums; `friday`: the extra of Fridays, `gaps`: the probability that a day is missing."
    rng, out, off = np.random.default_rng(seed), {}, 0.0
    for w in range(weeks):
        off = follow * off + noise * rng.standard_normal()
        shift = off + (step if w >= STEP_WEEK else 0.0)
        rows = int(rng.integers(least, n + 1))
        for day in range(5):
            if rng.random() >= gaps:
                extra = friday if day == 4 else 0.0
                out[MONDAY + 7 * w, day] = make(rng, max(1, rows // 5), shift + extra)
    return out


CALM = {
    "share of 5 %, 200 rows a week": (share, "share", {}),
    "share of 1 %, 200 rows a week": (partial(share, p=0.01), "share", {}),
    "share of 5 %, 40 rows a week": (share, "share", {"n": 40, "least": 40}),
    "points 1 to 4": (points, "mean", {}),
    "skewed mean (exponential), 200 rows": (exponential, "mean", {}),
    "skewed mean (exponential), 40 rows": (exponential, "mean", {"n": 40, "least": 40}),
    "seconds, as logarithm": (seconds, "log", {}),
    "weeks of 50 to 200 rows": (seconds, "log", {"least": 50}),
    "weeks that vary by themselves": (seconds, "log", {"noise": 1.0}),
    "the same, of 50 to 200 rows": (seconds, "log", {"noise": 1.0, "least": 50}),
    "Fridays differ, one day in ten is missing": (seconds, "log", {"friday": 6.0, "gaps": 0.1}),
    "weeks like the week before, correlation 0.2": (seconds, "log", {"noise": 3.0, "follow": 0.2}),
    "weeks like the week before, correlation 0.5": (seconds, "log", {"noise": 3.0, "follow": 0.5}),
}


def false_alarms(make, kind, how, draws):
    "Return the share of simulations with an alarm, one series each."
    return sum(bool(chart_series("x", desk(s, make, **how), kind).alarms) for s in range(draws)) / draws


def delays(step, draws, series):
    "Return the share of simulations whose first alarm follows the step, and the median weeks until it."
    weeks, first = [], date.fromordinal(MONDAY + 7 * STEP_WEEK)
    for s in range(draws):
        alarms = chart_series("x", desk(s, seconds, step=step), "log", series=series).alarms
        weeks += [(a.week - first).days // 7 + 1 for a in alarms[:1] if a.week >= first]
    return {"told": len(weeks) / draws, "median weeks": float(np.median(weeks)) if weeks else None}


def several(draws, series=8):
    "Return the share of simulations with an alarm in any of `series` independent series."
    found = 0
    for s in range(draws):
        cells = [desk(1000 * s + i, seconds) for i in range(series)]
        found += any(chart_series("x", c, "log", series=series).alarms for c in cells)
    return found / draws


def main():
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    out = {"draws": draws, "stated": Charts().false_alarms, "charted weeks": Charts().weeks}
    out["false alarms"] = {name: false_alarms(*case, draws) for name, case in CALM.items()}
    out["any of eight series"] = several(draws // 4)
    out["delay, eight series watched"] = {
        f"{s:g} sd": delays(s, draws // 4, 8) for s in (0.5, 1, 1.5, 2, 3, 5)
    }
    text = json.dumps(out, indent=1) + "\n"
    (Path(__file__).parent / "results" / "drift.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
