"""Runs on a local Ray cluster of three nodes where a process or node dies: repeated calls, lost rows.

    python benchmarks/ray_cluster.py --to benchmarks/results/ray_cluster.json

The endpoint is on loopback and counts its calls. Each driver is a separate process. On a busy machine this
may take minutes: Ray gives a node half a minute to start, so starts are retried.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

from crmeval.runs.folder import open_run

SAMPLES, SHARD, IN_FLIGHT, NODES = 48, 4, 2, 3
DRIVER = """
import json, sys
from crmeval.runs.shards import run_sharded

if __name__ == "__main__":
    try:
        run_sharded("openai:m", **json.loads(sys.argv[1]))
    except RuntimeError as e:
        sys.exit(f"told: {e}"[:400])
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((time.time(), body["messages"][-1]["content"]))
        time.sleep(0.25)
        message = {"role": "assistant", "content": "The order is sent again."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 50, "completion_tokens": 7}
        data = json.dumps({"model": "m", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Endpoint(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []  # (time, text) of each call
        threading.Thread(target=self.serve_forever, daemon=True).start()


def again(work, tries=12):
    "Retry: Ray may not start a node in time on a busy machine."
    for _ in range(tries - 1):
        try:
            return work()
        except Exception as e:
            print(f"once more: {e}"[:100], file=sys.stderr)
    return work()


AGENT_PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


def node_options():
    "Return fixed ports: a node that waits for its agent to choose them ends after 15 s (ray issue 65983)."
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in AGENT_PORTS]
        for s in free:
            s.bind(("127.0.0.1", 0))
        ports = {name: s.getsockname()[1] for name, s in zip(AGENT_PORTS, free)}
    return {"num_cpus": 1, "object_store_memory": 100_000_000, **ports}


class Trial:
    "One run, with methods to disturb it."

    def __init__(self, cluster, folder, **more):
        self.cluster, self.out, self.endpoint = cluster, folder / "run", Endpoint()
        setup = {"url": f"http://127.0.0.1:{self.endpoint.server_port}/v1", "data": folder / "chats.jsonl"}
        rows = [_row(i) for i in range(SAMPLES)]
        setup["data"].write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        self.words = {"base_url": setup["url"], "data": str(setup["data"]), "out": str(self.out)}
        self.words |= {"shard_size": SHARD, "workers": NODES, "concurrency": IN_FLIGHT, "progress": False}
        self.words |= {"address": cluster.address, "restarts": 5, **more}

    def start(self):
        command = [sys.executable, "-c", DRIVER, json.dumps(self.words)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def until(self, calls, driver):
        while len(self.endpoint.asked) < calls and driver.poll() is None:
            time.sleep(0.02)

    def workers(self):
        "Return the processes that have a shard's journal open."
        distinct = set()
        for fd in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                at = os.readlink(fd)
            except OSError:
                continue
            if at.startswith(f"{self.out}/shards") and "journal" in at:
                distinct.add(int(fd.parts[2]))
        return sorted(distinct)

    def kill_worker(self):
        while not (found := self.workers()):
            pass
        os.kill(found[0], signal.SIGKILL)

    def end(self, driver):
        "Wait for the driver and start an incomplete run once more; return the figures."
        errors = driver.communicate()[1]
        starts = 1
        if driver.returncode:
            starts = 2
            print(f"started again: {errors.strip()[-400:]}", file=sys.stderr, flush=True)
            self.start().communicate()
        run = open_run(self.out)
        rows = run.responses
        counts = Counter(text for _, text in self.endpoint.asked)
        return {
            "rows": len({r.sample_id for r in rows if r.status == "ok"}),
            "rows_twice": len(rows) - len({r.sample_id for r in rows}),
            "calls": sum(counts.values()),
            "samples_asked_again": sum(n > 1 for n in counts.values()),
            "shards_started_again": run.manifest.shards["restarted"],
            "started_again_by_hand": starts - 1,
        }


def _row(i):
    text = f"Customer: order {i} is broken.\nAgent: Sorry, it is sent again."
    return {"id": f"c{i}", "use_case": "service_conversation_summary", "inputs": {"conversation": text}}


def workers_die(trial):
    driver = trial.start()
    for calls in (10, 20, 30):
        trial.until(calls, driver)
        trial.kill_worker()
    return trial.end(driver)


def driver_dies(trial):
    driver = trial.start()
    trial.until(12, driver)
    driver.kill()
    driver.wait()
    return trial.end(trial.start())


def node_goes(trial):
    driver = trial.start()
    while len(trial.workers()) < NODES and driver.poll() is None:  # each node has work
        time.sleep(0.02)
    others = [n for n in trial.cluster.list_all_nodes() if n is not trial.cluster.head_node]
    trial.cluster.remove_node(others[0], allow_graceful=False)
    return trial.end(driver)


def nothing_dies(trial):
    return trial.end(trial.start())


TRIALS = {
    "three workers killed": (workers_die, {}),
    "the driver killed and started again at once": (driver_dies, {}),
    "a node of three removed": (node_goes, {}),
    "three workers killed, max_calls 56": (workers_die, {"max_calls": SAMPLES + 8}),
    "max_calls 20": (nothing_dies, {"max_calls": 20}),
}


def _head():
    from ray.cluster_utils import Cluster

    head = {**node_options(), "include_dashboard": False}
    return Cluster(initialize_head=True, head_node_args=head)


def measured(names):
    cluster, found = again(_head), {}
    try:
        for name in names:
            while len(cluster.list_all_nodes()) < NODES:
                again(lambda: cluster.add_node(**node_options()))
            doing, more = TRIALS[name]
            with tempfile.TemporaryDirectory() as folder:
                found[name] = doing(Trial(cluster, Path(folder), **more))
            found[name]["load_of_the_machine"] = round(os.getloadavg()[0], 1)  # processes waiting for a CPU
            print(name, found[name], flush=True)
    finally:
        cluster.shutdown()
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(TRIALS))
    parser.add_argument("--to", type=Path)
    args = parser.parse_args()
    os.environ.setdefault("OPENAI_API_KEY", "none")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    setup = {"date": time.strftime("%Y-%m-%d"), "ray": version("ray"), "cores": os.cpu_count()}
    setup |= {"nodes": NODES, "samples": SAMPLES, "shard_size": SHARD, "calls_in_flight_a_worker": IN_FLIGHT}
    rows = measured(args.only or list(TRIALS))
    if args.only and args.to and args.to.is_file():  # keeps the other rows
        rows = {**json.loads(args.to.read_text(encoding="utf-8"))["rows"], **rows}
    text = json.dumps({"setup": setup, "rows": rows}, indent=1)
    if args.to:
        args.to.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
