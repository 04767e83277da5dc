"""Runs of any size: seconds, memory and bytes of the run, of opening it, and of its report.

    python scale.py [--responses 10000 100000 1000000] [--keep FOLDER]
    python scale.py --finished FOLDER
    The latter opens a run left by --keep and writes its report again, changes nothing in the folder, and
    puts these figures into results/scale.json.

Each step is a separate process that prints one line of JSON. Ten systems answer invented conversations of
1 KB with their first lines; the judge only compares words, so that the figures are those of the run and
not of a judge. Each response has five scores.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from common import conversation

SYSTEMS = 10
RESULTS = Path(__file__).parent / "results" / "scale.json"


def write_chats(path, n):
    "Write n conversations as JSON Lines."
    with open(path, "w", encoding="utf-8") as f:
        for i in range(n):
            row = {"id": f"c{i}", "use_case": "service_conversation_summary"}
            row["inputs"] = {"conversation": conversation(i)}
            row["key_facts"] = ["The customer was charged twice.", "The money goes back to the card."]
            row["instructions"] = [{"kind": "max_words", "text": "At most 60 words.", "n": 60}]
            f.write(json.dumps(row) + "\n")


class WordJudge:
    "A judge that takes almost no time: a text is supported if most of its words occur in the source."

    name, trained_on = "words", ()

    def settings(self):
        return {"name": self.name}

    def _verdicts(self, texts, source):
        from crmeval.core.judging import Verdict

        known = set(source.lower().split())
        return [
            Verdict(2 * len(known & (w := set(t.lower().split()))) > len(w), reason="words") for t in texts
        ]

    def supported(self, sentences, *, source):
        return self._verdicts(sentences, source)

    def stated(self, facts, *, sentences):
        return self._verdicts(facts, " ".join(sentences))

    def followed(self, instructions, *, response):
        return self._verdicts(instructions, response)


class First:
    "A system that answers with the first n lines of a conversation."

    provider, cacheable = "baseline", True

    def __init__(self, n):
        self.n, self.name, self.model = n, f"first:{n}", None

    def settings(self):
        return {"provider": self.provider, "n": self.n}

    async def answer(self, sample, prompt, *, repeat=0):
        from crmeval.core.records import Response, Usage

        text = "\n".join(sample.inputs["conversation"].split("\n")[: self.n])
        usage = Usage(250, 20 * self.n, calls=0)
        return Response(
            sample.id, self.name, text, usage=usage, use_case=sample.use_case, latency_s=self.n / 10
        )

    async def aclose(self):
        pass


def run_step(folder, pages):
    from crmeval.runs.evaluation import run

    run(
        [First(k + 1) for k in range(SYSTEMS)],
        data=folder / "chats.jsonl",
        judge=WordJudge(),
        out=folder / "run",
        progress=False,
    )


def open_step(folder, pages):
    from crmeval.pages.leaderboard import leaderboard
    from crmeval.runs.folder import open_run

    print(leaderboard(open_run(folder / "run")), file=sys.stderr)


def report_step(folder, pages):
    from crmeval.pages.report import write_report

    write_report(folder / "run", pages / "report.html")


STEPS = {"run": run_step, "open": open_step, "report": report_step}


def one_step(name, folder, pages, n):
    "Do one step in this process and print its costs."
    start = time.perf_counter()
    STEPS[name](folder, pages)
    used = resource.getrusage(resource.RUSAGE_SELF)
    costs = {
        "step": name,
        "responses": n,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1000),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(costs), flush=True)


def sizes(folder):
    "Return the bytes on disk."
    files = [p for p in folder.rglob("*") if p.is_file()]
    pages = [p.stat().st_size for p in files if p.suffix == ".html"]
    named = {p.name: p.stat().st_size for p in files if p.suffix != ".html"}
    return {"step": "disk", **named, "pages": len(pages), "largest_page": max(pages, default=0)}


def measure(folder, n):
    "Do all steps at one size."
    (folder / "report").mkdir(parents=True)
    write_chats(folder / "chats.jsonl", n // SYSTEMS)
    for name in STEPS:
        print(json.dumps(in_process(name, folder, folder / "report", n)), flush=True)
    print(json.dumps(sizes(folder)), flush=True)


def in_process(name, folder, pages, n):
    "Do one step in its own process; return its costs."
    words = [sys.executable, __file__, "--step", name, str(folder), str(pages), str(n)]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_finished(folder, n):
    "Open an existing run and write its report to a temporary folder."
    with tempfile.TemporaryDirectory() as place:
        opened, reported = (in_process(name, folder, Path(place), n) for name in ("open", "report"))
        file_sizes = sizes(Path(place))
    reported |= {"pages": file_sizes["pages"], "largest_page_mb": round(file_sizes["largest_page"] / 1e6, 2)}
    return [opened, reported]


def put_into_results(rows, today):
    "Replace the rows of the same step and size; keep the others."
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    new = {(r["step"], r["responses"]): {**r, "date": today} for r in rows}
    kept = [new.pop((r["step"], r["responses"]), r) for r in results["rows"]]
    lines = ",\n".join(f"  {json.dumps(r)}" for r in [*kept, *new.values()])
    head = "".join(f" {json.dumps(k)}: {json.dumps(results[k])},\n" for k in ("about", "date"))
    RESULTS.write_text(f'{{\n{head} "rows": [\n{lines}\n ]\n}}\n', encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--responses", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--keep", type=Path, help="folder for the runs; without it they are removed")
    parser.add_argument("--finished", type=Path, help="folder of runs that --keep left, to open and report")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        name, folder, pages, n = args.step
        return one_step(name, Path(folder), Path(pages), int(n))
    if args.finished:
        for folder in sorted(p for p in args.finished.iterdir() if p.name.isdecimal()):
            rows = measure_finished(folder, int(folder.name))
            print("\n".join(map(json.dumps, rows)), flush=True)
            put_into_results(rows, date.today().isoformat())
        return None
    with tempfile.TemporaryDirectory() as place:
        for n in args.responses:
            measure((args.keep or Path(place)) / f"{n}", n)


if __name__ == "__main__":
    main()
