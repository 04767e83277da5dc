"""What a query moves and how much memory it takes, against a real PostgreSQL on loopback:

    python benchmarks/federation.py [ROWS]

Starts a server of its own (see tests/servers.py), fills a table, asks it through the catalogue, stops it.
Prints rows, bytes and seconds of each query, what the server was asked, and the peak of memory.
"""

import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers  # noqa: E402

from crmeval.connect.federation import Catalogue  # noqa: E402

QUERIES = {
    "one row by its key": "SELECT id, subject FROM crm.cases WHERE id = 4711",
    "one column of all": "SELECT id FROM crm.cases",
    "all columns of all": "SELECT * FROM crm.cases",
    "the first ten": "SELECT id FROM crm.cases LIMIT 10",
    "a prefix": "SELECT id FROM crm.cases WHERE subject LIKE 'subject 99%'",
    "an aggregate": "SELECT n, count(*) FROM crm.cases GROUP BY n",
}


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def asked(server, before: int) -> str:
    lines = server.log.read_text(errors="replace")[before:].splitlines()
    copied = [line.partition("COPY ")[2] for line in lines if "COPY (" in line and "cases" in line]
    return copied[-1][:160] if copied else ""


def main(rows: int) -> None:
    with servers.postgres() as server:
        server.say("CREATE TABLE cases (id BIGINT PRIMARY KEY, subject TEXT, body TEXT, n INT)")
        made = "SELECT i, 'subject ' || i % 1000, repeat('x', 200), i % 7"
        server.say(f"INSERT INTO cases {made} FROM generate_series(1, {rows}) i; ANALYZE cases")
        server.say("GRANT SELECT ON cases TO reader")
        os.environ["CRM_PASSWORD"] = servers.PASSWORD
        address = f"host=127.0.0.1 port={server.port} dbname=postgres user=reader"
        source = {"kind": "postgres", "address": address, "secrets": {"password": "CRM_PASSWORD"}}
        catalogue = Catalogue.of({"sources": {"crm": source}})
        print(f"{rows:,} rows; memory before: {peak_mb()} MB")
        for name, sql in QUERIES.items():
            before, start = len(server.log.read_text(errors="replace")), time.perf_counter()
            answer = catalogue.query(sql)
            for _ in answer:
                pass
            took = time.perf_counter() - start
            print(f"{name}: {answer.count:,} rows, {answer.bytes:,} bytes, {took:.2f} s, peak {peak_mb()} MB")
            print(f"    {asked(server, before)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
