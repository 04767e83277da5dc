"""Reports of runs with many answers: time to write, memory, size, and time to open in a browser.

    python benchmarks/report_pages.py [--samples 10000] [--systems 5] [--to results/report_pages.json]

The run is invented: texts of some common words, and random points. The first, the middle and the last file
are opened in Chromium if it is installed; times are those of the page's own thread.
"""

import argparse
import json
import random
import resource
import shutil
import tempfile
import time
from pathlib import Path

from crmeval.core.records import Response, Sample, Score, Usage
from crmeval.pages.leaderboard import METRICS
from crmeval.pages.report import write_report
from crmeval.runs.folder import Run

WORDS = (
    "the parcel refund Friday customer agent call order late invoice line visit two again was said".split()
)
CASES = ("service_call_summary", "sales_call_summary")


def words(rng, n):
    return " ".join(rng.choices(WORDS, k=n))


def scores_of(rng, answer, text):
    "Yield a score of each metric, with one part of the answer as its evidence."
    for m in METRICS:
        points = float(rng.choice([2, 3, 4]))
        found = [
            {"kind": "unsupported", "text": text[:40], "reason": "nothing like it", "nearest": text[:40]}
        ]
        more = {"sample_id": answer.sample_id, "client": answer.client, "use_case": answer.use_case}
        yield Score(m, points, (points - 1) / 3, "ok", "because", found, rater="embedded", **more)


def invented_run(n, systems, folder, seed=7):
    rng, samples, answers, scores = random.Random(seed), [], [], []
    for i in range(n):
        case = CASES[i % 2]
        samples.append(Sample(f"s{i:05d}", case, {"transcript": words(rng, 300)}, key_facts=[words(rng, 6)]))
        for k in range(systems):
            text, name = words(rng, 50), f"own:system-{k + 1}"
            spent = {"usage": Usage(500, 90), "latency_s": 1 + rng.random(), "use_case": case}
            answers.append(Response(samples[-1].id, name, text, "ok", **spent))
            scores += scores_of(rng, answers[-1], text)
    return Run(Path(folder), {}, samples, answers, scores)


def opened(files):
    "Return file -> seconds of the page's thread until its tables are ready; empty without a browser."
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    if not chromium:
        return {}
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        found = {f.name: seconds_to_open(browser, f) for f in files}
        browser.close()
    return found


def seconds_to_open(browser, file):
    "Return the shorter of two visits."
    times = []
    for _ in range(2):
        page = browser.new_page()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(file.as_uri() + "#samples?")
        page.wait_for_selector("#samples[data-cm=ready]", state="attached")
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        times.append(metrics["TaskDuration"])
        page.close()
    return round(min(times), 2)


def peak_mb():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(n, systems):
    with tempfile.TemporaryDirectory() as folder:
        run = invented_run(n, systems, folder)
        memory_before, begun = peak_mb(), time.process_time()
        first = write_report(run, Path(folder) / "report.html")
        spent, rows = time.process_time() - begun, n * systems
        files = sorted(first.parent.glob("report*.html"), key=lambda f: (len(f.name), f.name))
        some = {files[i] for i in (0, len(files) // 2, -1)}
        sizes = [f.stat().st_size for f in files]
        return {
            "answers": rows,
            "files": len(files),
            "cpu_s": round(spent, 1),
            "cpu_ms_an_answer": round(1000 * spent / rows, 2),
            "peak_mb_before": memory_before,
            "peak_mb": peak_mb(),
            "first_mb": round(sizes[0] / 1e6, 2),
            "largest_mb": round(max(sizes) / 1e6, 2),
            "seconds_to_open": opened(sorted(some)),
        }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--systems", type=int, default=5)
    parser.add_argument("--to", type=Path)
    args = parser.parse_args()
    text = json.dumps(measured(args.samples, args.systems), indent=1)
    print(text)
    if args.to:
        args.to.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
