"""Time to build and search an index of passages, and its memory.

    python benchmarks/index.py [--passages 100000] [--to results/index.json]

Passages are invented: 80 words each from a Zipf distribution (the n-th most common word is n times
rarer than the first), about fifty products, a tenth of them for staff only. Queries are words of
one passage, without the sixty most common.
Nothing is downloaded.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from crmeval.layer.index import Index

WORDS, VOCABULARY = 80, 60_000


def vocabulary(rng):
    "Return words of 3 to 8 letters, each followed by a digit."
    lengths = rng.integers(3, 9, VOCABULARY)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        "".join(letters[i] for i in rng.integers(0, 26, n)) + str(at % 10) for at, n in enumerate(lengths)
    ]


def draw(rng, count):
    "Return word numbers, shape (count, WORDS)."
    chance = 1 / np.arange(1, VOCABULARY + 1)
    return rng.choice(VOCABULARY, size=(count, WORDS), p=chance / chance.sum())


def passages(words, drawn):
    for n, row in enumerate(drawn):
        passage = {"id": f"p{n}", "document": f"d{n // 10}", "text": " ".join(words[i] for i in row)}
        yield {**passage, "product": f"P{n % 50}", "allowed": "staff" if n % 10 == 0 else "*"}


def timed_searches(index, rng, words, drawn, count, size, **options):
    "Return (wall clock, CPU) milliseconds of each search."
    spent = []
    for _ in range(count):
        row = drawn[rng.integers(len(drawn))]
        picked = rng.permutation(row[row > 60])[:size]
        query = " ".join(words[i] for i in picked)
        start, busy = time.perf_counter(), time.process_time()
        index.search(query, 10, **options)
        spent.append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - busy)))
    return spent


def summary(spent):
    wall, busy = zip(*spent)
    p95 = sorted(wall)[int(0.95 * len(wall))]
    p50, cpu = statistics.median(wall), statistics.median(busy)
    return {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "p50_cpu_ms": round(cpu, 2), "n": len(spent)}


def resident_mb():
    "Return the current memory of this process."
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def main(count, to):
    rng = np.random.default_rng(0)
    words, drawn = vocabulary(rng), draw(rng, count)
    before = resident_mb()
    with tempfile.TemporaryDirectory() as folder:
        index = Index(Path(folder) / "kb.index")
        start, busy = time.perf_counter(), time.process_time()
        index.add(passages(words, drawn))
        found = {"passages": count, "add_s": round(time.perf_counter() - start, 2)}
        found["add_cpu_s"] = round(time.process_time() - busy, 2)
        found["add_memory_mb"] = round(resident_mb() - before)
        index.close()
        found["file_mb"] = round(sum(f.stat().st_size for f in Path(folder).iterdir()) / 1e6, 1)
        index = Index(Path(folder) / "kb.index")
        found["first_search_ms"] = summary(timed_searches(index, rng, words, drawn, 1, 8))["p50_ms"]
        kinds = {"open": {}, "staff": {"who": "staff"}, "product": {"where": {"product": "P7"}}}
        for size in (4, 8, 16):
            for name, options in kinds.items():
                spent = timed_searches(index, rng, words, drawn, 200, size, **options)
                found[f"search_{name}_{size}_words"] = summary(spent)
        start = time.perf_counter()
        index.replace("d7", [{"id": "p70", "document": "d7", "text": "written anew"}])
        found["replace_document_ms"] = round(1000 * (time.perf_counter() - start), 2)
        found["search_after_change_ms"] = summary(timed_searches(index, rng, words, drawn, 1, 8))["p50_ms"]
        found["memory_mb"] = round(resident_mb() - before)
        index.close()
    print(json.dumps(found, indent=1))
    if to:
        Path(to).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--passages", type=int, default=100_000)
    asked.add_argument("--to", help="a file for the figures")
    given = asked.parse_args()
    main(given.passages, given.to)
