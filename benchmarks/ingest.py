"""Ingest of a whole SQLite table, then with no change, then after a change of every hundredth row.

    python benchmarks/ingest.py --rows 1000000

Rows are invented. Times are of whole runs of `ingest`, memory is the peak of the process.
"""

import argparse
import resource
import sqlite3
import tempfile
import time
from pathlib import Path

from crmeval.connect.federation import Catalogue
from crmeval.connect.ingest import ingest


def desk(folder: Path, rows: int, to: str) -> Catalogue:
    db = sqlite3.connect(folder / "desk.db")
    db.execute(
        "CREATE TABLE IF NOT EXISTS cases (id INTEGER PRIMARY KEY, subject TEXT, body TEXT, changed INTEGER)"
    )
    if not db.execute("SELECT count(*) FROM cases").fetchone()[0]:
        made = ((k, f"case {k}", f"The customer of case {k} asks for a refund. " * 3, k) for k in range(rows))
        db.executemany("INSERT INTO cases VALUES (?, ?, ?, ?)", made)
        db.commit()
    copy = {"from": "crm.cases", "to": to, "how": "incremental", "key": "id", "cursor": "changed"}
    source = {"kind": "sqlite", "address": "desk.db", "limit": {"rows": 10 * rows}}
    settings = {"sources": {"crm": source}, "copies": [copy], "limit": {"rows": 10 * rows}}
    return Catalogue.of(settings, folder)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=1_000_000)
    args = words.parse_args()
    for to in ("lake/cases", "desk.duckdb#cases"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            catalogue = desk(folder, args.rows, to)
            for step in ("first", "unchanged", "a hundredth changed"):
                if step == "a hundredth changed":
                    db = sqlite3.connect(folder / "desk.db")
                    db.execute("UPDATE cases SET changed = changed + ? WHERE id % 100 = 0", (args.rows,))
                    db.commit()
                started = time.perf_counter()
                done = ingest(catalogue)[0]
                took = time.perf_counter() - started
                c = done.counts
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(
                    f"{to:18} {step:20} {took:7.1f} s  new {c.new:,} changed {c.changed:,} "
                    f"same {c.same:,} "
                    f"held {done.rows:,} peak {peak:,} MB "
                    f"{done.error}"
                )


if __name__ == "__main__":
    main()
