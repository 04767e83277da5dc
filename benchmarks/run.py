"""The speed tables, one command each, on this machine with a local endpoint.

    python benchmarks/run.py --install                # once: an environment for each other framework, pinned
    python benchmarks/run.py                          # side by side: 500 samples, two calls each
    python benchmarks/run.py --latency-ms 0           # calls/s of the engine against the bare openai SDK
    python benchmarks/run.py cached                   # the same work again, all answers cached
    python benchmarks/run.py memory                   # 200,000 samples from a generator
    python benchmarks/run.py faults                   # rate limits, errors, resets, broken bodies, hangs

Each writes benchmarks/results/NAME.json. Frameworks without an environment are skipped with a message.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import venv
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = {"inspect": "Inspect", "ragas": "RAGAS", "deepeval": "DeepEval"}
ROWS = {"aiohttp": "bare aiohttp", "openai": "bare openai SDK", "crmeval": "crmeval", **PEERS}
FAULTS = "429=0.2,500=0.05,reset=0.02,truncated=0.02,broken=0.02,hang=0.01"


# the endpoint and the processes


@contextlib.contextmanager
def endpoint(latency_ms, *more):
    "Start an endpoint in its own process; yield its URL."
    process = subprocess.Popen(
        [sys.executable, str(HERE / "endpoint.py"), "--latency-ms", str(latency_ms), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


def told(python, script, *args, timeout_s=900):
    "Return the row that a script prints, or its error."
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(
            [str(python), str(HERE / script), *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=clean,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no end within {timeout_s} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or ["it printed nothing"])[-1][:300]}
    return json.loads(lines[-1])


def python_of(name, envs):
    "Return the interpreter for a row, or None; other frameworks have their own environments."
    if name in PEERS:
        return next(
            (
                p
                for p in (envs / name / "bin" / "python", envs / name / "Scripts" / "python.exe")
                if p.is_file()
            ),
            None,
        )
    try:
        version({"aiohttp": "aiohttp", "openai": "openai", "crmeval": "crmeval"}[name])
    except PackageNotFoundError:
        return None
    return Path(sys.executable)


def install(names, envs):
    "Create the environments of the other frameworks, with uv if available."
    uv = shutil.which("uv") or next(
        (str(p) for p in [Path(sys.executable).with_name("uv")] if p.is_file()), None
    )
    for name in names:
        print(f"{PEERS[name]}: {envs / name}")
        if uv:
            subprocess.run(
                [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(envs / name)], check=True
            )
        else:
            venv.create(envs / name, clear=True, with_pip=True)
        pip = (
            [uv, "pip", "install", "--quiet", "--python", str(python_of(name, envs))]
            if uv
            else [str(python_of(name, envs)), "-m", "pip", "install", "--quiet"]
        )
        subprocess.run([*pip, "-r", str(HERE / "requirements" / f"{name}.txt")], check=True)


# tables


def _texts(row):
    return ["-" if v is None else str(v) for v in row.values()]


def table(rows):
    "Print a list of dictionaries as columns."
    if not rows:
        return
    cells = [[str(k) for k in rows[0]], *map(_texts, rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for line in cells:
        print(
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))
            ).rstrip()
        )


def setup(args, **more):
    "Return the conditions of a measurement, without the machine's name and paths."
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_at_start": load,
        "crmeval": version("crmeval"),
        "openai": version("openai"),
        "aiohttp": version("aiohttp"),
        "concurrency": args.concurrency,
        **more,
    }


def write(args, name, found):
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {name}.json")


def median(runs, field, digits=1):
    return round(statistics.median(r[field] for r in runs), digits)


# measurements


SIDE_BY_SIDE = {  # column title: field of a row
    "system": "system",
    "version": "version",
    "samples/s": "samples_per_s",
    "lowest": "lowest",
    "highest": "highest",
    "of bare aiohttp": "of_bare_aiohttp",
    "CPU ms a call": "cpu_ms_per_call",
    "calls": "calls",
    "failures": "failures",
}


def _rounds(args, known):
    "Return rows and errors by system; a system with an error is not run again."
    runs, errors = {n: [] for n in known}, {}
    with endpoint(args.latency_ms) as url:
        words = ("--url", url, "--samples", args.samples, "--concurrency", args.concurrency)
        for turn in range(args.repeats):
            for name, python in known.items():
                if name in errors:
                    continue
                found = told(python, f"row_{name}.py", *words)
                outcome = found.get("error") or f"{found['samples_per_s']} samples/s"
                print(f"round {turn + 1}, {ROWS[name]}: {outcome}", flush=True)
                if "error" in found:
                    errors[name] = found["error"]
                else:
                    runs[name].append(found)
    return runs, errors


def side_by_side(args):
    "Run the systems in turn for several rounds, so that load on the machine affects all of them."
    known = {n: p for n in args.only or ROWS if (p := python_of(n, args.envs))}
    skipped = {ROWS[n]: "not installed" for n in args.only or ROWS if n not in known}
    for name in args.only or ROWS:
        if name not in known:
            how = f" (python benchmarks/run.py --install {name})" if name in PEERS else ""
            print(f"{ROWS[name]}: skipped: not installed{how}")
    about = setup(
        args, latency_ms=args.latency_ms, samples=args.samples, repeats=args.repeats, calls_per_sample=2
    )
    runs, errors = _rounds(args, known)
    bare = median(runs["aiohttp"], "samples_per_s") if runs.get("aiohttp") else None
    rows = [_summary(ROWS[n], r, bare, args.samples) for n, r in runs.items() if r]
    print()
    table([{title: r[field] for title, field in SIDE_BY_SIDE.items()} for r in rows])
    for r in rows:
        if r["calls"] != 2 * args.samples:
            instead = f"{r['calls']} calls instead of {2 * args.samples}"
            print(f"{r['system']}: {instead}, so its row is not comparable")
    write(
        args,
        "side_by_side",
        {
            "setup": about,
            "rows": rows,
            "skipped": skipped,
            "errors": {ROWS[n]: e for n, e in errors.items()},
            "runs": [x for r in runs.values() for x in r],
        },
    )


def _summary(system, runs, bare, n):
    rate = median(runs, "samples_per_s")
    return {
        "system": system,
        "version": runs[0]["version"],
        "python": runs[0]["python"],
        "samples_per_s": rate,
        "lowest": min(r["samples_per_s"] for r in runs),
        "highest": max(r["samples_per_s"] for r in runs),
        "of_bare_aiohttp": round(rate / bare, 3) if bare else None,
        "seconds": median(runs, "seconds", 3),
        "cpu_s": median(runs, "cpu_s", 3),
        "cpu_ms_per_call": round(1000 * median(runs, "cpu_s", 4) / (2 * n), 2),
        "calls": max((r["calls"] for r in runs), key=lambda c: abs(c - 2 * n)),
        "most_generations_at_once": max(r["most_generations_at_once"] for r in runs),
        "most_judge_calls_at_once": max(r["most_judge_calls_at_once"] for r in runs),
        "failures": max(r["failures"] for r in runs),
        "inside": runs[0]["inside"],
    }


def engine(args):
    "Measure calls/s of the engine and the bare SDK, against an endpoint without latency by default."
    about, systems = (
        setup(
            args, latency_ms=args.latency_ms, samples=args.samples, repeats=args.repeats, calls_per_sample=1
        ),
        ("sdk", "engine", "engine with journal"),
    )
    runs = {s: [] for s in systems}
    with endpoint(args.latency_ms) as url:
        for _ in range(args.repeats):
            for s in systems:
                runs[s].append(_measured("calls", args, "--url", url, "--system", s))
    sdk = median(runs["sdk"], "calls_per_s")
    rows = [_engine_row(s, r, sdk) for s, r in runs.items()]
    table(rows)
    write(args, "engine", {"setup": about, "rows": rows})


def _engine_row(system, runs, sdk):
    return {
        "system": "bare openai SDK" if system == "sdk" else f"crmeval's {system}",
        "calls_per_s": median(runs, "calls_per_s"),
        "lowest": min(r["calls_per_s"] for r in runs),
        "highest": max(r["calls_per_s"] for r in runs),
        "of_bare_sdk": round(median(runs, "calls_per_s") / sdk, 3),
        "cpu_ms_per_call": median(runs, "cpu_ms_per_call", 3),
        "failures": max(r["failures"] for r in runs),
    }


def _measured(what, args, *more, samples=None, timeout_s=900):
    "Return the row of an engine.py process; exit on failure."
    n = args.samples if samples is None else samples
    words = ("--samples", n, "--concurrency", args.concurrency)
    found = told(sys.executable, "engine.py", what, *more, *words, timeout_s=timeout_s)
    if "error" in found:
        sys.exit(f"it failed: {found['error']}")
    return found


def cached(args):
    about = setup(args, samples=args.samples, repeats=args.repeats)
    runs = [_measured("cached", args)["found"] for _ in range(args.repeats)]
    rows = [_cached_row(what, [r[what] for r in runs]) for what in runs[0]]
    table(rows)
    write(args, "cached", {"setup": about, "rows": rows})


def _cached_row(what, runs):
    return {
        "what": what,
        "responses_per_s": median(runs, "responses_per_s", 0),
        "with_opening_the_journal": median(runs, "responses_per_s_with_opening", 0),
        "open_s": median(runs, "open_s", 3),
        "asked_again": max(r["asked_again"] for r in runs),
    }


def memory(args):
    "Run each size in its own process; cost per sample relative to the smallest size."
    sizes = [args.samples // 20, args.samples // 2, args.samples]
    about = setup(args, samples=args.samples, repeats=args.repeats, kb_per_sample=2)
    runs = {n: [] for n in sizes}
    for turn in range(args.repeats):
        for n in sizes:
            if turn and n == sizes[-1]:
                continue  # the largest once: its memory hardly varies, and it takes longest
            runs[n].append(_measured("memory", args, samples=n, timeout_s=3600))
    rows = [_memory_row(n, r, runs[sizes[0]]) for n, r in runs.items()]
    table(rows)
    write(args, "memory", {"setup": about, "rows": rows})


def _memory_row(n, runs, smallest):
    def of_the_smallest(field):
        return round(median(runs, field) / median(smallest, field), 3)

    return {
        "samples": n,
        "peak_mb": max(r["peak_mb"] for r in runs),
        "before_mb": median(runs, "before_mb"),
        "us_per_sample": median(runs, "us_per_sample"),
        "of_the_smallest": of_the_smallest("us_per_sample"),
        "cpu_us_per_sample": median(runs, "cpu_us_per_sample"),
        "cpu_of_the_smallest": of_the_smallest("cpu_us_per_sample"),
        "journal_mb": median(runs, "journal_mb"),
        "rows": min(r["rows"] for r in runs),
    }


def faults(args):
    about = setup(
        args,
        latency_ms=args.latency_ms,
        samples=args.samples,
        faults=FAULTS,
        seed=args.seed,
        retries=args.retries,
        timeout_s=args.timeout_s,
    )
    with endpoint(args.latency_ms, "--faults", FAULTS, "--seed", str(args.seed)) as url:
        limits = ("--retries", args.retries, "--timeout-s", args.timeout_s)
        found = _measured("faults", args, "--url", url, *limits)
    sent, calls = found["endpoint"]["sent"], found["endpoint"]["calls"]
    injected = [
        {"what the endpoint did": k, "times": sent[k], "share of calls": f"{100 * sent[k] / calls:.1f} %"}
        for k in ("answer", "429", "500", "reset", "truncated", "broken", "hang")
        if k in sent
    ]
    became = [
        {"what became of it": f"{what}: {k}", "samples": n}
        for what, some in (("response", found["responses"]), ("scores", found["scored"]))
        for k, n in some.items()
    ]
    became += [
        {"what became of it": what, "samples": found[k]}
        for what, k in (
            ("lost", "lost"),
            ("twice", "duplicates"),
            ("without any score row", "without_any_score"),
        )
    ]
    table(injected)
    print()
    table(became)
    print(
        f"\n{found['rows']} rows of {args.samples} samples, {found['on_disk']} responses on disk, "
        f"{calls} calls in {found['seconds']} s"
    )
    write(args, "faults", {"setup": about, "injected": injected, "became": became, "found": found})


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "what",
        nargs="?",
        choices=("side_by_side", "engine", "cached", "memory", "faults"),
        help="default: side_by_side, or engine with --latency-ms 0",
    )
    p.add_argument(
        "--install",
        nargs="*",
        choices=tuple(PEERS),
        metavar="NAME",
        help="make environments: " + ", ".join(PEERS) + "; all of them when none is named",
    )
    p.add_argument(
        "--only",
        nargs="+",
        choices=tuple(ROWS),
        metavar="NAME",
        help="rows of side_by_side: " + ", ".join(ROWS),
    )
    p.add_argument(
        "--samples",
        type=int,
        help="default: 500 side_by_side, 5,000 engine, 20,000 cached, 200,000 memory, 2,000 faults",
    )
    p.add_argument("--latency-ms", type=float, help="of the endpoint; default 200, faults 20, engine 0")
    p.add_argument("--concurrency", type=int, default=50)
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument(
        "--retries", type=int, default=4, help="for faults: further tries after a failure that may pass"
    )
    p.add_argument(
        "--timeout-s", type=float, default=5, help="for faults: when a call that hangs is given up"
    )
    p.add_argument("--seed", type=int, default=0, help="for faults")
    p.add_argument("--out", type=Path, default=HERE / "results")
    p.add_argument("--envs", type=Path, default=HERE / ".envs")
    args = p.parse_args()
    args.what = args.what or ("engine" if args.latency_ms == 0 else "side_by_side")
    defaults = {
        "side_by_side": (500, 200),
        "engine": (5_000, 0),
        "cached": (20_000, None),
        "memory": (200_000, None),
        "faults": (2_000, 20),
    }[args.what]
    if args.samples is None:
        args.samples = defaults[0]
    if args.latency_ms is None:
        args.latency_ms = defaults[1]
    return args


def main():
    args = arguments()
    if args.install is not None:
        return install(args.install or list(PEERS), args.envs)
    return globals()[args.what](args)


if __name__ == "__main__":
    main()
