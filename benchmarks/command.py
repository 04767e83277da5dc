"""Time of the whole command in a fresh process, compared with a bare aiohttp client in a fresh process.

    python benchmarks/command.py      # 500 samples, two calls each, 200 ms; writes results/command.json

Both start from nothing: interpreter, imports, reading the samples, calls, result. Times start with the
process. CPU seconds include all threads of the process: on a busy machine they are more reliable than
the clock.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import conversation, keys
from run import HERE, endpoint, setup, table, write

FACTS = ("The customer was charged twice.", "The second charge was refunded.")
BARE = "import sys, row_aiohttp as r; print(r.work(sys.argv[1], 0, int(sys.argv[2]), int(sys.argv[3])))"
STARTS = {
    f"crmeval {words}": ["-m", "crmeval", *words.split()] for words in ("--version", "--help", "run --help")
}
IMPORTS = "import crmeval.cli.app, crmeval.cli.run, crmeval.runs.evaluation, aiohttp"
STARTS["what a run loads before its first request"] = ["-c", IMPORTS]


def lay_samples(path, n):
    "Write the samples of the other tables to a file for the command."
    with path.open("w", encoding="utf-8") as out:
        for i in range(n):
            row = {"id": f"c{i}", "conversation": conversation(i), "key_facts": FACTS}
            out.write(json.dumps(row) + "\n")


def cpu_so_far(pid):
    "Return the CPU seconds used so far by a running process; None if the system does not report them."
    try:
        stat_fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(stat_fields[11]) + int(stat_fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(words, marks=()):
    """Run a process; return seconds until its end and each mark, CPU seconds, and its output.

    A mark is (name, text): the time at which the first line with this text was read.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # the first round compiles them, as for installed packages; some environments forbid Python to do so
    clean = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, **pipes, env=clean, cwd=HERE)
    seen, lines = {}, []
    for line in process.stdout:
        now, used = time.perf_counter() - start, cpu_so_far(process.pid)
        lines.append(line)
        for name, text in marks:
            if text in line and f"{name}_s" not in seen:
                seen |= {f"{name}_s": now, f"{name}_cpu_s": used}
    error = process.stderr.read()
    code = process.wait()
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        sys.exit(f"{words[1:4]} ended with {code}: {error[-600:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_s": cpu, "said": "".join(lines), **seen}


def bare(url, args):
    figures = timed([sys.executable, "-c", BARE, url, str(args.samples), str(args.concurrency)])
    assert figures["said"].strip() == str(args.samples), figures["said"]
    return figures


def whole(url, args, data, folder):
    "Run `crmeval run`, one generation and one judge call per sample, including table and report."
    words = ["run", "--data", str(data), "--use-case", "service_conversation_summary", "--no-progress"]
    words += ["--model", "openai:generator", "--base-url", url, "--concurrency", str(args.concurrency)]
    words += ["--judge", "openai:judge", "--judge-base-url", url, "--judge-style", "rubric"]
    words += ["--out", str(folder)]
    marks = [("run", " x 1 system"), ("table", "openai:generator  "), ("report", "report: ")]
    figures = timed([sys.executable, "-m", "crmeval", *words], marks)
    assert "not scored" not in figures["said"], figures["said"]
    return figures


def _middle(runs, field, digits=2):
    return round(statistics.median(r[field] for r in runs), digits)


def _row(what, runs):
    return {"what": what, "seconds": _middle(runs, "seconds"), "cpu_s": _middle(runs, "cpu_s")}


def _step(name, runs):
    fields = {"until": name, "seconds": _middle(runs, f"{name}_s")}
    known = all(r[f"{name}_cpu_s"] is not None for r in runs)
    return fields | {"cpu_s": _middle(runs, f"{name}_cpu_s") if known else None}


def _ratio(pairs, field):
    "Return the median over rounds of the bare client's seconds divided by the command's."
    return round(statistics.median(b["seconds"] / c[field] for b, c in pairs), 3)


def measure(args):
    "Measure both alternately, so that load on the machine affects both."
    bares, commands, helps = [], [], {name: [] for name in STARTS}
    with tempfile.TemporaryDirectory() as home, endpoint(args.latency_ms) as url:
        data = Path(home) / "samples.jsonl"
        lay_samples(data, args.samples)
        for turn in range(-1, args.repeats):  # round -1 only fills caches
            found = bare(url, args), whole(url, args, data, Path(home) / f"run{turn}")
            starts = {name: timed([sys.executable, *words]) for name, words in STARTS.items()}
            if turn < 0:
                continue
            bares.append(found[0])
            commands.append(found[1])
            for name, start in starts.items():
                helps[name].append(start)
            bare_s, table_s = found[0]["seconds"], found[1]["table_s"]
            print(f"round {turn + 1}: bare {bare_s:.2f} s, table at {table_s:.2f} s", flush=True)
    return bares, commands, helps


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--samples", type=int, default=500)
    p.add_argument("--latency-ms", type=float, default=200)
    p.add_argument("--concurrency", type=int, default=50)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, default=HERE / "results")
    args = p.parse_args()
    keys()
    workload = {"latency_ms": args.latency_ms, "samples": args.samples, "repeats": args.repeats}
    about = setup(args, **workload, calls_per_sample=2)
    bares, commands, helps = measure(args)
    rows = [_row("bare aiohttp, whole process", bares), _row("crmeval run, whole process", commands)]
    starts = [_row(name, runs) for name, runs in helps.items()]
    steps = [_step(name, commands) for name in ("run", "table", "report")]
    pairs = list(zip(bares, commands))
    ratios = {
        "bare_to_table": _ratio(pairs, "table_s"),
        "bare_to_report": _ratio(pairs, "report_s"),
        "report_after_table_s": round(statistics.median(c["report_s"] - c["table_s"] for c in commands), 2),
        "cpu_of_bare": round(statistics.median(c["cpu_s"] / b["cpu_s"] for b, c in pairs), 1),
    }
    table(rows)
    table(steps)
    table(starts)
    print(ratios)
    write(args, "command", {"setup": about, "rows": rows, "steps": steps, "ratios": ratios, "starts": starts})


if __name__ == "__main__":
    main()
