"""Data moved and memory used by federated queries, against a real PostgreSQL on loopback:

    python benchmarks/federation.py [--rows 1000000] [--write]

Starts its own server (see tests/servers.py), fills a table, queries it through the catalogue, stops it.
For each query: rows and bytes of the answer, bytes on the wire (counted by a proxy), seconds, number of
scans on the server and their SQL, and the peak memory of this process above the memory before. Then a
look-up of one row with and without the extension's default scan by pages, the first ten rows sorted here
and on the server, and all rows as samples of a run.
"""

import argparse
import json
import os
import platform
import socket
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers  # noqa: E402

from crmeval.connect.databases import attach  # noqa: E402
from crmeval.connect.engine import name_in_sql, open_engine  # noqa: E402
from crmeval.connect.federation import Catalogue  # noqa: E402
from crmeval.tasks.own_data import stream_file  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "federation.json"
QUERIES = {
    "no row (attaching alone)": "SELECT id FROM crm.cases LIMIT 0",
    "one row by its key (=)": "SELECT id, subject FROM crm.cases WHERE id = 4711",
    "three rows by their keys (IN)": "SELECT id, subject FROM crm.cases WHERE id IN (1, 4711, 99)",
    "two conditions (OR)": "SELECT id FROM crm.cases WHERE id = 4711 OR id = 99",
    "a beginning (LIKE 'x%')": "SELECT id FROM crm.cases WHERE subject LIKE 'subject 99%'",
    "the first ten (LIMIT)": "SELECT id FROM crm.cases LIMIT 10",
    "one column of all": "SELECT id FROM crm.cases",
    "all columns of all": "SELECT * FROM crm.cases",
    "a count by group": "SELECT n, count(*) FROM crm.cases GROUP BY n",
    "a function (lower)": "SELECT id FROM crm.cases WHERE lower(subject) = 'subject 7'",
    "the last ten of an order": "SELECT id, subject FROM crm.cases ORDER BY id DESC LIMIT 10",
}
LAST_TEN = "SELECT id, subject FROM cases ORDER BY id DESC LIMIT 10"


class Wire:
    "A proxy between this process and a server that counts the bytes received from it."

    def __init__(self, port):
        self.to, self.came = port, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            for a, b, counts in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._hand_on, args=(a, b, counts), daemon=True).start()

    def _hand_on(self, a, b, counts):
        try:
            while piece := a.recv(1 << 18):
                b.sendall(piece)
                self.came += len(piece) if counts else 0
        except OSError:
            pass
        finally:
            for end in (a, b):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def memory_mb(name):
    "Return VmRSS (now) or VmHWM (peak) of this process, in MB."
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def forget_peak():
    "Reset the peak memory of this process."
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


class Measure:
    "Measures wire bytes, seconds, scans and peak memory of a `with` block, in `result`."

    def __init__(self, server, wire):
        self.server, self.wire = server, wire

    def __enter__(self):
        forget_peak()
        self.held, self.came = memory_mb("VmRSS"), self.wire.came
        self.logged, self.start = len(self._log()), time.perf_counter()
        return self

    def __exit__(self, *_):
        took = time.perf_counter() - self.start
        copies = [line for line in self._log()[self.logged :].splitlines() if "COPY (" in line]
        copies = [c.partition("COPY (")[2] for c in copies if "cases" in c]
        self.result = {
            "wire bytes": self.wire.came - self.came,
            "seconds": round(took, 3),
            "scans": len(copies),
            "asked": copies[-1].rpartition(") TO STDOUT")[0][:200] if copies else "",
            "peak MB": round(memory_mb("VmHWM") - self.held, 1),
        }

    def _log(self):
        return self.server.log.read_text(errors="replace")


def drained(answer):
    "Read and discard an answer; return its rows and bytes."
    for _ in answer:
        pass
    return {"rows": answer.count, "bytes": answer.bytes}


def queries(catalogue, measure):
    found = {}
    for name, sql in QUERIES.items():
        with measure:
            cost = drained(catalogue.query(sql))
        found[name] = {"sql": sql, **cost, **measure.result}
    with measure:
        cost = drained(catalogue.query_at("crm", LAST_TEN))
    found["the last ten, asked of the server"] = {"sql": LAST_TEN, **cost, **measure.result}
    return found


def look_ups(catalogue, measure):
    "Look up one row by its key: with the extension's scan by pages, and in one scan."
    found, sql = {}, QUERIES["one row by its key (=)"]
    for pages in (True, False):
        engine = open_engine(["postgres_scanner"])
        hidden = attach(engine, catalogue.source("crm"))
        engine.execute(f"SET pg_use_ctid_scan = {str(pages).lower()}")
        hidden_sql = sql.replace("crm.cases", f"{name_in_sql(hidden)}.public.cases")
        with measure:
            engine.execute(hidden_sql).fetchall()
        found["by pages" if pages else "in one scan"] = measure.result
        engine.close()
    return found


def as_samples(folder, catalogue_file, rows, measure):
    "Read all rows as samples of a run, as `--data sql:...` does."
    question = "SELECT id, body AS transcript FROM crm.cases"
    line, n = f"sql:{catalogue_file}#{question}", 0
    with measure:
        for _ in stream_file(line, use_case="service_call_summary"):
            n += 1
    assert n == rows, n
    return {"samples": n, **measure.result}


@contextmanager
def asked_server(rows):
    "Yield (server, wire) with a filled table of cases."
    with servers.postgres() as server:
        server.say("CREATE TABLE cases (id BIGINT PRIMARY KEY, subject TEXT, body TEXT, n INT)")
        body = "'Customer: lamp ' || i || ' is broken. ' || repeat('It does not light up. ', 7)"
        made = f"SELECT i, 'subject ' || i % 1000, {body}, i % 7"
        for start in range(1, rows + 1, 100_000):
            stop = min(start + 99_999, rows)
            server.say(f"INSERT INTO cases {made} FROM generate_series({start}, {stop}) i")
        server.say("VACUUM ANALYZE cases")
        server.say("GRANT SELECT ON cases TO reader")
        wire = Wire(server.port)
        try:
            yield server, wire
        finally:
            wire.socket.close()


def measured(rows):
    with asked_server(rows) as (server, wire), tempfile.TemporaryDirectory() as folder:
        os.environ["CRM_PASSWORD"] = servers.PASSWORD
        address = f"host=127.0.0.1 port={wire.port} dbname=postgres user=reader"
        source = {"kind": "postgres", "address": address, "secrets": {"password": "CRM_PASSWORD"}}
        file = Path(folder) / "desk.yaml"
        file.write_text(json.dumps({"sources": {"crm": source}}))  # JSON is YAML
        catalogue, measure = Catalogue.read(file), Measure(server, wire)
        return {
            "rows": rows,
            "server": server.say("SHOW server_version").strip().split()[0],
            "table MB": int(server.say("SELECT pg_table_size('cases')")) // 2**20,
            "queries": queries(catalogue, measure),
            "look-up": look_ups(catalogue, measure),
            "samples": as_samples(folder, file, rows, measure),
        }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {RESULTS.name}")
    args = parser.parse_args()
    figures = measured(args.rows)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "duckdb": version("duckdb")}
    text = json.dumps({"machine": machine, **figures}, indent=1)
    print(text)
    if args.write:
        RESULTS.write_text(text + "\n")


if __name__ == "__main__":
    main()
