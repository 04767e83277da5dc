"""Ten million outcome rows: time and memory of figures with intervals.

    python benchmarks/outcomes.py [--rows 10000000] [--write] [--coverage 2000]

A simulated desk is written to Parquet in chunks (not included in the times). Each case runs in its own
process, so that its memory peak is its own: the resident set of the whole process, including engine and
libraries. On a busy machine the seconds exceed the CPU seconds, which are reported too, with the load.
`--coverage` runs seeded desks: the share of intervals that contain the true value.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "outcomes.json"
CASES = {
    "handling time": (["handling_time"], None),
    "handling time by week and arm": (["handling_time"], ["week", "arm"]),
    "click-through rate by arm": (["click_through_rate"], ["arm"]),
    "acceptance rate by week and arm": (["acceptance_rate"], ["week", "arm"]),
    "csat by arm": (["csat"], ["arm"]),
    "win rate by arm": (["win_rate"], ["arm"]),
}


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def written(path, rows):
    "Write the rows of a desk."
    from crmeval.live.simulator import write_outcome_rows

    write_outcome_rows(
        path,
        replies=rows,
        agents=2000,
        customers=max(1, rows // 20),
        effects={"treatment": {"acceptance_rate": 0.02, "handling_time": -0.05}},
        tail_days=90,
    )


def summed(path, names, by):
    "Compute one case; return first row, seconds, and peak memory."
    from crmeval.live.outcomes import outcome_rows, outcomes

    start, cpu = time.perf_counter(), time.process_time()
    rows = outcome_rows(outcomes(path, names, by=by))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    first = {k: rows[0][k] for k in ("outcome", "value", "low", "high", "n")}
    costs = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mb": round(peak_mb())}
    return costs | {"load": round(os.getloadavg()[0], 1), "figures": len(rows), "first": first}


def in_process(*arguments):
    "Run this file in a new process with these arguments; return its JSON."
    start = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout) | {"seconds_of_process": round(time.perf_counter() - start, 1)}


def measured(rows, folder):
    path = Path(folder, "rows.parquet")
    results = {"rows": rows, "written": in_process("--only-write", str(path), "--rows", str(rows))}
    results["file_mb"] = round(path.stat().st_size / 1e6)
    results["cases"] = {}
    for name in CASES:
        results["cases"][name] = in_process("--only-sum", str(path), "--case", name)
        print(name, results["cases"][name], flush=True)
    results["machine"] = {"cores": os.cpu_count(), "python": platform.python_version()}
    return results


def covered(desks):
    "Return the coverage of 95 % intervals over seeded desks with few agents, clustered and by rows."
    from crmeval.live.desk_plan import base_value
    from crmeval.live.outcomes import outcome
    from crmeval.live.simulator import simulate_rows

    names = ("acceptance_rate", "csat", "click_through_rate", "error_rate")
    hits = dict.fromkeys(names, 0)
    naive = dict.fromkeys(names, 0)
    for seed in range(desks):
        rows = simulate_rows(replies=3000, agents=30, customers=300, seed=seed, tail_days=30)
        for name in names:
            truth = base_value(name)
            e, alone = outcome(rows, name), outcome(rows, name, cluster=())
            hits[name] += e.low <= truth <= e.high
            naive[name] += alone.low <= truth <= alone.high
    shares = {name: {"clustered": hits[name] / desks, "rows": naive[name] / desks} for name in names}
    return {"desks": desks, "agents": 30, "customers": 300, "replies": 3000, "coverage": shares}


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--coverage", type=int, default=0, help="seeded desks")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/outcomes.json")
    parser.add_argument("--only-write", help=argparse.SUPPRESS)
    parser.add_argument("--only-sum", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only_write:
        start = time.perf_counter()
        written(args.only_write, args.rows)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": round(seconds, 1), "peak_mb": round(peak_mb())}))
        return
    if args.only_sum:
        print(json.dumps(summed(args.only_sum, *CASES[args.case])))
        return
    results = {}
    if args.rows:
        with tempfile.TemporaryDirectory() as folder:
            results["sums"] = measured(args.rows, folder)
    if args.coverage:
        results["coverage"] = covered(args.coverage)
    print(json.dumps(results, indent=1))
    if args.write:
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(kept | results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
