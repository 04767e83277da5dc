"""Inference of experiments, measured: false alarms, power, days until detection, coverage.

    python benchmarks/experiments.py --out benchmarks/results/experiments.json      # about five minutes
    python benchmarks/experiments.py --runs 500                                     # a quick check

An experiment is 30 days with a look after each. Outcomes are drawn, summed by day, and tested with the
functions of `compare_arms`; `real` runs `compare_arms`' daily looks on the rows of some experiments and
reports the largest difference.
"""

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version

import numpy as np

from crmeval.live.experiment import FEWEST, compare_arms, daily_looks
from crmeval.live.power import difference_error, power
from crmeval.live.sequential import always_valid, boundary, crossing_chances, mixture_weight, sequential_power

DAYS, CHUNK = 30, 250


# ---- outcomes of one arm: (rng, shape) -> values
def normal(rng, shape):
    return rng.normal(0, 1, shape)


def handling_time(rng, shape):
    "Return minutes with the skewness of handling times: log standard deviation 1, so skewness 6.2."
    return rng.lognormal(2, 1, shape)


def share(p):
    return lambda rng, shape: (rng.random(shape) < p).astype(float)


# ---- sums by day -> (value, error, df, rows), each (runs, days)
def moments(y):
    "Return rows, sum and sum of squares up to each day, from (runs, days, rows a day)."
    rows = y.shape[2] * np.arange(1, y.shape[1] + 1)
    return rows, y.sum(2).cumsum(1), (y**2).sum(2).cumsum(1)


def welch(parts):
    "Return (error, df) from (sum of squared contributions, units) of each arm."
    a, b = (squares * units / (units - 1) for squares, units in parts)
    spent = a**2 / (parts[0][1] - 1) + b**2 / (parts[1][1] - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(a + b), np.where(spent > 0, (a + b) ** 2 / spent, 1.0)


def of_means(new, control):
    sides = [moments(new), moments(control)]
    means = [s / n for n, s, _ in sides]
    error, df = welch([((q - n * m**2) / n**2, n) for (n, _, q), m in zip(sides, means)])
    return means[0] - means[1], error, df, sum(n for n, _, _ in sides)


def of_shares(new, control):
    "Shares: the larger of two errors, by arm and pooled, each with one more yes and one more no."
    (n1, yes1, _), (n0, yes0, _) = moments(new), moments(control)
    sides = [((yes + 1) / (n + 2), n + 2) for yes, n in ((yes1, n1), (yes0, n0))]
    own = sum(p * (1 - p) / n for p, n in sides)
    both = (yes1 + yes0 + 2) / (n1 + n0 + 4)
    error = np.sqrt(np.maximum(own, both * (1 - both) * sum(1 / n for _, n in sides)))
    return yes1 / n1 - yes0 / n0, error, of_means(new, control)[2], n1 + n0


def of_adjusted(new, control, x_new, x_control):
    "Adjusted for a covariate of the same shape, (runs, days, rows a day)."
    day_sums, apart_x = [], 0.0
    for sign, y, x in ((1, new, x_new), (-1, control, x_control)):
        n, s, q = moments(y)
        _, sx, qx = moments(x)
        cross = (y * x).sum(2).cumsum(1)
        day_sums.append(
            (sign, n, s / n, (q - s**2 / n) / n**2, (qx - sx**2 / n) / n**2, (cross - s * sx / n) / n**2)
        )
        apart_x = apart_x + sign * sx / n
    slope = sum(t[5] for t in day_sums) / sum(t[4] for t in day_sums)
    rows = sum(t[1] for t in day_sums)
    error, df = welch([(t[3] - 2 * slope * t[5] + slope**2 * t[4], t[1]) for t in day_sums])
    error = error * np.sqrt((rows - 2) / (rows - 3))
    return sum(t[0] * t[2] for t in day_sums) - slope * apart_x, error, np.maximum(1, df - 1), rows


def of_agents(new, control):
    "Agents with random levels, each in one arm: (sums, squares, rows) of (runs, agents, days)."
    value, parts, squares, rows, sign = 0.0, [], 0.0, 0, 1
    for s, q, m in (new, control):
        s, q, m = (v.cumsum(2) for v in (s, q, m))
        total = m.sum(1)
        level = s.sum(1) / total
        phi = (s - level[:, None] * m) / total[:, None]
        parts.append(((phi**2).sum(1), np.full(total.shape, s.shape[1])))
        squares = squares + (q.sum(1) - total * level**2) / total**2
        value, rows, sign = value + sign * level, rows + total, -1
    error, df = welch(parts)
    return value, error, df, rows * squares / sum(p for p, _ in parts)


def agents(rng, runs, number, days, per_day, intraclass):
    "Return (sums, squares, rows) of (runs, agents, days); each agent has about `per_day` cases a day."
    level = rng.normal(0, np.sqrt(intraclass), (runs, number, 1))
    rows = 1 + rng.poisson(per_day - 1, (runs, number, days))
    spread = np.sqrt(1 - intraclass)
    noise = rng.normal(0, 1, rows.shape) * np.sqrt(rows) * spread
    # squares around the level, then around zero
    around = spread**2 * rng.chisquare(np.maximum(rows - 1, 0.001)) * (rows > 1) + noise**2 / rows
    sums = rows * level + noise
    return sums, around + 2 * level * noise + rows * level**2, rows


# ---- the kinds of experiments
def plain_kind(draw, sizes=(200, 200), judge=of_means, effect=0.0):
    def make(rng, runs, days):
        new, control = (draw(rng, (runs, days, n)) for n in sizes)
        return judge(new + effect, control)

    return make


def adjusted_kind(correlation, size=200, effect=0.0):
    def make(rng, runs, days):
        x = [rng.normal(0, 1, (runs, days, size)) for _ in range(2)]
        y = [correlation * v + np.sqrt(1 - correlation**2) * rng.normal(0, 1, v.shape) for v in x]
        return of_adjusted(y[0] + effect, y[1], *x)

    return make


def agent_kind(number, per_day=8, intraclass=0.1):
    def make(rng, runs, days):
        return of_agents(*(agents(rng, runs, number, days, per_day, intraclass) for _ in range(2)))

    return make


KINDS = {
    "normal": plain_kind(normal),
    "handling time (lognormal)": plain_kind(handling_time),
    "handling time, a tenth treated": plain_kind(handling_time, (40, 360)),
    "share of 30 %": plain_kind(share(0.3), judge=of_shares),
    "share of 1 %": plain_kind(share(0.01), judge=of_shares),
    "share of 1 %, a tenth treated": plain_kind(share(0.01), (40, 360), judge=of_shares),
    "adjusted by a covariate": adjusted_kind(0.5),
    "30 agents an arm, 8 cases a day": agent_kind(30),
    "10 agents an arm, 8 cases a day": agent_kind(10),
}
# with an intraclass correlation of 0.1, an agent is finally worth ten independent rows
TIGHTEST = {"30 agents an arm, 8 cases a day": 300, "10 agents an arm, 8 cases a day": 100}


def looks_of(make, runs, seed=0, days=DAYS):
    "Return (value, error, df, rows) of (runs, days), drawn in chunks."
    rng, parts = np.random.default_rng(seed), []
    for start in range(0, runs, CHUNK):
        size = min(CHUNK, runs - start)
        parts.append([np.broadcast_to(v, (size, days)) for v in make(rng, size, days)])
    return [np.concatenate(column) for column in zip(*parts)]


def decided(looks, **options):
    "Return (runs, days) whether the sequence excludes zero, and whether a plain z-test rejects."
    value, error, df, rows = looks
    low, high, _ = always_valid(value, error, rows, df=df, **options)
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = np.abs(value) > 1.959964 * error
    return (low > 0) | (high < 0), plain & (error > 0)


def found_by(hit):
    "Return the share of runs with a decision at any look, and the mean day of the first."
    ever = hit.any(1)
    return float(ever.mean()), float(hit.argmax(1)[ever].mean() + 1) if ever.any() else None


def false_alarms(runs, seed=0):
    rates = {}
    for name, make in KINDS.items():
        options = {"tightest_at": TIGHTEST[name]} if name in TIGHTEST else {}
        sequence, plain = decided(looks_of(make, runs, seed), **options)
        rates[name] = {"sequence": found_by(sequence)[0], "plain z-test": found_by(plain)[0], "runs": runs}
    rows = 400 * np.arange(1, DAYS + 1)
    errors = [difference_error(1, n) for n in rows]
    rates["computed, independent rows"] = {
        "sequence": float(crossing_chances(boundary(mixture_weight(rows)), errors).sum()),
        "plain z-test": float(crossing_chances(np.full(DAYS, 1.959964), errors).sum()),
    }
    return rates


def days_until_found(runs, seed=1, effect=0.1):
    by_name = {}
    kinds = {
        "without": plain_kind(normal, effect=effect),
        "with a covariate (r = 0.5)": adjusted_kind(0.5, effect=effect),
    }
    for (name, make), r in zip(kinds.items(), (0.0, 0.5)):
        chance, day = found_by(decided(looks_of(make, runs, seed))[0])
        computed = sequential_power(effect, 1, 400, DAYS, correlation=r)
        by_name[name] = {
            "found": chance,
            "mean day": day,
            "computed found": computed.chance,
            "computed mean day": computed.mean_day,
        }
    return by_name


def found_at_the_end(runs, seed=2):
    "Return the power of a single look by effect, simulated and computed."
    powers = {}
    for effect in (0.05, 0.1, 0.15):
        value, error, _, _ = looks_of(plain_kind(normal, (500, 500), effect=effect), runs, seed, days=2)
        found = float((np.abs(value[:, 1]) > 1.961 * error[:, 1]).mean())
        powers[f"{effect} sd, 2,000 rows"] = {"found": found, "computed": power(effect, 1, 2000)}
    return powers


# ---- coverage of fixed-horizon intervals, by `compare_arms` itself
def _table(new, control, **columns):
    return {
        "arm": ["new"] * len(new) + ["control"] * len(control),
        "y": np.concatenate([new, control]),
        **columns,
    }


def _means(draw, sizes, truth=0.0):
    return lambda rng: (_table(draw(rng, sizes[0]), draw(rng, sizes[1])), {}, truth)


def _two_shares(p, q, n):
    return lambda rng: (_table(share(p)(rng, n), share(q)(rng, n)), {}, p - q)


def _ratio(rng):
    "Clicks per view: customers with very different activity and own rates; 0.1 in both arms."
    n = 400
    views = 1 + rng.poisson(rng.gamma(1, 8, n))
    clicks = rng.binomial(views, rng.beta(2, 18, n))
    return {"arm": ["new", "control"] * (n // 2), "clicks": clicks, "views": views}, {"per": "views"}, 0.0


def _agents(number, crossed=False):
    def make(rng):
        sizes = 1 + rng.poisson(14, number)
        agent = np.repeat(np.arange(number), sizes)
        y = rng.normal(0, np.sqrt(0.15), number)[agent] + rng.lognormal(0, 0.5, len(agent))
        new = rng.random(len(agent)) < 0.5 if crossed else agent % 2 == 0
        return {"arm": np.where(new, "new", "control"), "y": y, "agent": agent}, {"cluster": "agent"}, 0.0

    return make


def _adjusted(rng):
    x = rng.normal(0, 1, 200)
    y = 0.6 * x + rng.exponential(1, 200)
    return _table(y[:100] + 0.3, y[100:], before=x), {"covariate": "before"}, 0.3


def _stages(rng):
    stage = np.repeat([0, 1], 300)
    new = rng.random(600) < np.where(stage, 0.5, 0.1)
    y = 2.0 * stage + rng.normal(0, 1, 600)
    return {"arm": np.where(new, "new", "control"), "y": y, "stage": stage}, {"strata": "stage"}, 0.0


COVERED = {
    "means, 50 an arm": _means(normal, (50, 50)),
    "means, 15 and 60": _means(normal, (15, 60)),
    "handling time, 200 an arm": _means(handling_time, (200, 200)),
    "handling time, 30 and 270": _means(handling_time, (30, 270)),
    "shares 30 and 40 %, 50 an arm": _two_shares(0.3, 0.4, 50),
    "shares 1 and 2 %, 300 an arm": _two_shares(0.01, 0.02, 300),
    "ratio, 200 customers an arm": _ratio,
    "20 agents an arm": _agents(40),
    "8 agents an arm": _agents(16),
    "30 agents in both arms": _agents(30, crossed=True),
    "adjusted, 100 an arm": _adjusted,
    "two stages of a roll-out": _stages,
}


def coverage(runs, seed=3, kinds=None):
    shares = {}
    for name in kinds or COVERED:
        rng, outcome = np.random.default_rng(seed), "clicks" if COVERED[name] is _ratio else "y"
        covered = 0
        for _ in range(runs):
            rows, options, truth = COVERED[name](rng)
            d = compare_arms(rows, outcome, "fixed", control="control", **options)
            covered += d.low <= truth <= d.high
        shares[name] = covered / runs
    return shares


def real(runs, seed=4):
    "Compare `daily_looks` on rows with the sums: largest difference of an end, and share of alarms."
    alarms, far = 0, 0.0
    for i in range(runs):
        rng = np.random.default_rng([seed, i])
        new, control = (handling_time(rng, (1, DAYS, 40)) for _ in range(2))
        rows = _table(new.ravel(), control.ravel(), day=np.tile(np.repeat(np.arange(DAYS), 40), 2))
        looks = daily_looks(rows, "y")
        value, error, df, n = of_means(new, control)
        low, high, _ = always_valid(value, error, n, df=df)
        ends = np.array([(d.low, d.high) for d in looks.differences])
        far = max(far, float(np.abs(ends - np.stack([low[0], high[0]], 1)).max()))
        alarms += looks.first is not None
    return {"runs": runs, "alarms": alarms / runs, "largest distance of an end": far}


def size_and_time(rows=2_000_000):
    rng = np.random.default_rng(5)
    table = {
        "arm": np.where(rng.random(rows) < 0.5, "new", "control"),
        "minutes": rng.lognormal(2, 1, rows),
        "before": rng.lognormal(2, 1, rows),
        "agent": rng.integers(0, 5000, rows),
    }
    compare_arms(
        {name: column[:100] for name, column in table.items()}, "minutes", covariate="before"
    )  # imports
    start = time.perf_counter()
    compare_arms(table, "minutes", covariate="before", cluster="agent")
    return {"rows": rows, "seconds": round(time.perf_counter() - start, 2)}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--out")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    results = {
        "about": f"{DAYS} daily looks, 400 rows a day in both arms unless said; see experiments.py",
        "fewest units an arm": FEWEST,
        "false alarms": false_alarms(args.runs),
        "an effect of 0.1 sd": days_until_found(args.runs),
        "power of one look": found_at_the_end(args.runs),
        "coverage of 95 % intervals": coverage(max(200, args.runs // 2)) | {"runs": max(200, args.runs // 2)},
        "on rows": real(max(20, args.runs // 50)),
        "size": size_and_time(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }
    results["seconds"] = round(time.perf_counter() - start)
    text = json.dumps(results, indent=1)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
