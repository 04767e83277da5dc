"""A run of any size: seconds, memory and bytes of the run, of opening it, and of its report.

    python scale.py [--responses 10000 100000 1000000] [--keep FOLDER]

Each step is a process of its own, and one line of JSON. Ten systems answer invented conversations of
1 KB with their first lines, and a judge that compares words and nothing else gives verdicts, so that the
figures are those of the run and not of a judge. Each response has five scores.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import conversation

SYSTEMS = 10


def write_chats(path, n):
    "n conversations as JSON Lines."
    with open(path, "w", encoding="utf-8") as f:
        for i in range(n):
            row = {"id": f"c{i}", "use_case": "service_conversation_summary"}
            row["inputs"] = {"conversation": conversation(i)}
            row["key_facts"] = ["The customer was charged twice.", "The money goes back to the card."]
            row["instructions"] = [{"kind": "max_words", "text": "At most 60 words.", "n": 60}]
            f.write(json.dumps(row) + "\n")


class WordJudge:
    "A sentence stands where most of its words stand: a judge that takes no time to speak of."

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
    "The first lines of a conversation, another number of them for each system."

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


def run_step(folder, n):
    from crmeval.runs.evaluation import run

    run(
        [First(k + 1) for k in range(SYSTEMS)],
        data=folder / "chats.jsonl",
        judge=WordJudge(),
        out=folder / "run",
        progress=False,
    )


def open_step(folder, n):
    from crmeval.pages.leaderboard import leaderboard
    from crmeval.runs.folder import open_run

    print(leaderboard(open_run(folder / "run")), file=sys.stderr)


def report_step(folder, n):
    from crmeval.pages.report import write_report

    write_report(folder / "run", folder / "report" / "report.html")


STEPS = {"run": run_step, "open": open_step, "report": report_step}


def one_step(name, folder, n):
    "Do one step in this process and say what it took."
    start = time.perf_counter()
    STEPS[name](folder, n)
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "step": name,
        "responses": n,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1000),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(told), flush=True)


def sizes(folder):
    "What lies on disk, in bytes."
    files = [p for p in folder.rglob("*") if p.is_file()]
    pages = [p.stat().st_size for p in files if p.suffix == ".html"]
    named = {p.name: p.stat().st_size for p in files if p.suffix != ".html"}
    return {"step": "disk", **named, "pages": len(pages), "largest_page": max(pages, default=0)}


def measure(folder, n):
    "All steps at one size."
    (folder / "report").mkdir(parents=True)
    write_chats(folder / "chats.jsonl", n // SYSTEMS)
    for name in STEPS:
        subprocess.run([sys.executable, __file__, "--step", name, str(folder), str(n)], check=True)
    print(json.dumps(sizes(folder)), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--responses", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--keep", type=Path, help="folder for the runs; without it they are removed")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.step:
        name, folder, n = told.step
        return one_step(name, Path(folder), int(n))
    with tempfile.TemporaryDirectory() as place:
        for n in told.responses:
            measure((told.keep or Path(place)) / f"{n}", n)


if __name__ == "__main__":
    main()
