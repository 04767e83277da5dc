"Shards on a local Ray cluster: same rows as the local engine, killed workers, shared limits, no key on disk."

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import endpoint
import pytest

from crmeval.cli.app import main
from crmeval.runs import shards
from crmeval.runs.evaluation import run
from crmeval.runs.folder import FILES, open_run
from crmeval.runs.selection import select_samples
from crmeval.runs.shards import run_sharded
from crmeval.runs.shared_windows import SharedNotes
from crmeval.tasks.use_cases import add_use_case, get_use_case

# not imported: every test process collects this file, and only one runs it
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
CASES = ["service_conversation_summary", "update_crm_info"]
TIMES = ["latency_s", "ttft_s", "queue_s", "created", "tries"]


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    "The folder of the nodes' rate limits."
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def cluster(apart):
    "A cluster of two nodes for the whole file, with a planted key in its environment."
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", OPENAI_API_KEY=endpoint.KEY)
    os.environ.pop("OPENAI_BASE_URL", None)
    before = os.environ["CRMEVAL_LIMITS"]
    import ray
    from ray.cluster_utils import Cluster

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
    from ray_cluster import node_options

    sys.path.pop(0)
    for tries in 1, 2, 3:
        try:
            # the autoscaler and the log monitor each take two CPU seconds to start
            head = {**node_options(), "include_dashboard": False, "no_monitor": True}
            head["include_log_monitor"] = False
            os.environ["CRMEVAL_LIMITS"] = str(apart / "head")  # as on separate machines
            nodes = Cluster(initialize_head=True, head_node_args=head)
            os.environ["CRMEVAL_LIMITS"] = str(apart / "other")
            nodes.add_node(**node_options())
            os.environ["CRMEVAL_LIMITS"] = before
            context = ray.init(address=nodes.address, log_to_driver=False)
        except Exception as e:  # Ray's start timeout of some seconds can be too short on a busy machine
            ray.shutdown()
            if tries == 3:
                pytest.fail(f"no Ray cluster could be started here: {e}")
        else:
            break
    yield context.address_info["address"]
    ray.shutdown()
    nodes.shutdown()
    os.environ.pop("OPENAI_API_KEY", None)


def table(folder, name):
    "Return a table without the columns of times and tries."
    import pyarrow.parquet as pq

    found = pq.read_table(Path(folder) / f"{name}.parquet")
    return found.drop_columns([c for c in TIMES if c in found.column_names]).combine_chunks()


def same_for_both(manifest):
    "Return the part of a manifest that must be equal for both engines."
    of_the_engine = ("engine", "shards", "created", "finished", "traffic")
    fields = {k: v for k, v in manifest.as_dict().items() if k not in of_the_engine}
    fields["plan"] = {k: v for k, v in fields["plan"].items() if k not in ("out", "engine", "shard_size")}
    fields.pop("command")  # contains the engine and the folder
    return fields


def everything(folder):
    return b"".join(p.read_bytes() for p in Path(folder).rglob("*") if p.is_file())


def samples_of(body):
    return json.loads(body)["messages"][-1]["content"]


@pytest.fixture
def own_case():
    "A use case registered only in this process."
    add_use_case({**vars(get_use_case(CASES[0])), "id": "own_summary", "name": "Own: Summary"})
    return "own_summary"


def test_same_rows_as_the_local_engine(tmp_path, cluster, own_case):
    samples = select_samples("demo", CASES, limit=1)
    what = {
        "data": [*samples, replace(samples[0], id="mine", use_case=own_case)],
        "areas": "accuracy,trust",
        "limit": 1,
        "progress": False,
    }
    seen = []
    sharded = run_sharded(
        ["baseline:lead", "baseline:sensible"],
        out=tmp_path / "ray",
        shard_size=20,
        repeats=2,
        **{**what, "progress": lambda *a: seen.append(a[:2])},
    )
    local = run(["baseline:lead", "baseline:sensible"], out=tmp_path / "local", repeats=2, **what)
    for name in FILES:
        assert table(tmp_path / "ray", name).equals(table(tmp_path / "local", name)), name
    m = sharded.manifest
    assert (
        m.engine == "ray"
        and m.shards["n"] > 1
        and m.shards["restarted"] == 0
        and seen == [(i, m.shards["n"]) for i in range(1, m.shards["n"] + 1)]
    )
    assert same_for_both(m) == same_for_both(local.manifest)


def holders(folder):
    "Return the worker processes that have a shard's journal open."
    distinct = set()
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith(str(folder)) and target.endswith("journal.jsonl"):
            distinct.add(int(fd.parts[2]))
    return distinct - {os.getpid()}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to find the worker")
def test_a_killed_worker_loses_nothing_and_nothing_is_done_twice(tmp_path, cluster, server):
    samples, out = select_samples("demo", CASES, limit=8), tmp_path / "ray"
    what = {
        "data": samples,
        "out": out,
        "base_url": server.url,
        "shard_size": 8,
        "concurrency": 2,
        "progress": False,
    }
    server.pause, killed = 0.1, []

    def kill():
        until = time.monotonic() + 40
        while time.monotonic() < until and not killed:
            if len(server.bodies) >= 6 and (workers := holders(out)):
                killed.append(min(workers))
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.02)

    watcher = threading.Thread(target=kill)
    watcher.start()
    done = run_sharded("openai:good", **what)
    watcher.join()
    assert killed and done.manifest.shards["restarted"] >= 1
    assert (
        len(done.responses) == len(samples)
        and {r.status for r in done.responses} == {"ok"}
        and [r.sample_id for r in done.responses] == [s.id for s in samples]
    )
    calls = Counter(map(samples_of, server.bodies))
    assert len(calls) == len(samples) and sum(calls.values()) - len(samples) <= 2, (
        "at most the requests in flight are repeated"
    )
    local = run(
        "openai:good",
        data=samples,
        out=tmp_path / "local",
        base_url=server.url,
        concurrency=2,
        progress=False,
    )
    for name in FILES:
        assert table(out, name).equals(table(local.folder, name)), name
    before = len(server.bodies)
    again = run_sharded("openai:good", **what)
    assert len(server.bodies) == before and again.manifest.shards["reused"] == again.manifest.shards["n"] == 2
    more = run_sharded(["openai:good", "openai:cut"], **what, add=True)
    assert len(server.bodies) == before + len(samples), "only the added system must be asked"
    assert more.manifest.responses == {"ok": len(samples), "truncated": len(samples)}
    assert endpoint.KEY.encode() not in everything(tmp_path)


def test_one_budget_for_all_workers(tmp_path, cluster, server):
    samples = select_samples("demo", CASES[0], limit=8)
    n = len(samples)
    what = {
        "data": samples,
        "out": tmp_path / "r",
        "base_url": server.url,
        "shard_size": 2,
        "progress": False,
    }
    server.pause = 0.05
    cut = run_sharded("openai:good", **what, max_calls=5)
    assert len(server.bodies) == 5 and cut.manifest.responses == {"ok": 5, "not_run": n - 5}
    assert cut.manifest.budget["calls"] == 5 and "5 of 5 calls" in cut.manifest.budget["reached"]
    more = run_sharded("openai:good", **what, max_calls=6)
    assert len(server.bodies) == 6 and more.manifest.responses == {"ok": 6, "not_run": n - 6}, (
        "calls of an earlier session count"
    )
    used = cut.responses[0].usage.output_tokens
    assert more.manifest.budget["max_calls"] == 6 and more.manifest.budget["calls"] == 6
    dear = {"good": (0, 1e6)}  # an answer token costs a dollar, and 4,000 are reserved per call
    limit = 4000 + 2.5 * used
    priced = run_sharded("openai:good", **{**what, "out": tmp_path / "p"}, max_usd=limit, prices=dear)
    calls = len(server.bodies) - 6
    assert calls == 3 and priced.manifest.budget["usd"] == 3 * used
    assert priced.manifest.responses == {"ok": calls, "not_run": n - calls}
    whole = run_sharded("openai:good", **what)
    assert len(server.bodies) == n + calls and whole.manifest.responses == {"ok": n}
    assert whole.manifest.budget is None, "limits of an earlier session must not apply"


def test_one_limit_a_minute_for_all_nodes(tmp_path, cluster, server, apart):
    "Each node has its own notes; the run counts in those of the driver's machine."
    samples = select_samples("demo", CASES[0], limit=8)
    server.pause = 0.1  # long enough that both workers are active
    options = {"shard_size": 4, "concurrency": 1, "base_url": server.url, "progress": False}
    done = run_sharded(
        "openai:good", data=samples, out=tmp_path / "r", requests_per_minute={"openai:good": 900}, **options
    )
    assert done.manifest.responses == {"ok": len(samples)} == {"ok": len(server.bodies)}
    kept = [SharedNotes(p).change(dict) for p in apart.glob("*/*") if p.name != "salt"]
    assert [notes["windows"]["requests:60"]["total"] for notes in kept] == [len(samples)], kept


def test_what_the_workers_share_stays_on_the_node_of_the_driver(cluster):
    "Losing a node must lose only its own work; six draws, since one desk could be there by luck."
    import ray

    assert not _living_desks(), "a run ends its own desk"
    desks = [shards._desk(ray, SimpleNamespace(budget=None)) for _ in range(6)]
    assert all(desk.now() > 0 for desk in desks), "every actor must answer"
    found = [desk["Address"]["NodeID"] for desk in _living_desks()]
    assert len(found) == 6 and set(found) == {ray.get_runtime_context().get_node_id()}
    for desk in desks:
        ray.kill(desk.actor)


def _living_desks():
    import ray

    actors = ray._private.state.actors().values()
    return [a for a in actors if a["ActorClassName"] == "_RunDesk" and a["State"] == "ALIVE"]


def test_a_killed_driver_is_started_again(tmp_path, cluster, server):
    server.pause = 0.1
    data = f"data=select_samples('demo', {CASES[0]!r}), base_url={server.url!r}, shard_size=2, max_calls=9"
    call = (
        f"run_sharded('openai:good', {data}, concurrency=1, out={str(tmp_path / 'r')!r}, address={cluster!r})"
    )
    code = (
        "from crmeval.runs.selection import select_samples\nfrom crmeval.runs.shards import run_sharded\n"
        f"if __name__ == '__main__':\n    done = {call}\n    print(done.manifest.responses)"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while len(server.bodies) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    time.sleep(1)  # the cluster ends the workers of a dead driver
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "{'ok': 7}" in again.stdout, again.stderr[-2000:]
    calls = Counter(map(samples_of, server.bodies))
    assert len(calls) == 7 and sum(calls.values()) <= 9, "at most the requests in flight are repeated"


def test_the_command_and_failed_rows(tmp_path, cluster, server, capsys):
    words = (
        f"--shard-size 2 --no-progress --use-case {CASES[0]} --limit 3 --base-url {server.url} "
        f"--model openai:good --model openai:denied --retries 0 --out {tmp_path / 'r'}"
    ).split()
    assert main(["run", "--engine", "ray", "--workers", "2", *words]) == 1
    out, err = capsys.readouterr()
    assert "openai:denied answered none of 3 samples" in err and "report.html" in out
    assert (
        open_run(tmp_path / "r").manifest.responses == {"ok": 3, "api_error": 3}
        and (tmp_path / "r/report.html").is_file()
    )
    calls = Counter(json.loads(b)["model"] for b in server.bodies)
    assert main(["run", "--engine", "ray", *words]) == 1
    now = Counter(json.loads(b)["model"] for b in server.bodies)
    assert now["good"] == calls["good"] == 3 and now["denied"] > calls["denied"], (
        "failed calls are repeated, as by the local engine"
    )
    assert endpoint.KEY.encode() not in everything(tmp_path) and endpoint.KEY not in out + err
    assert main(["run", *words[2:]]) == 2 and "continue it with that engine" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        ({"shard_size": 0}, "shard_size is 0, expected a whole number from 1"),
        ({"workers": True}, "workers is True"),
        ({"restarts": -1}, "restarts is -1, expected a whole number from 0"),
        ({"max_usd": 0}, "max_usd is 0, expected"),
        ({"models": [object()]}, "takes models as lines"),
        ({"judge": object()}, "takes judges as lines"),
        ({"client_options": {"clock": time.time}}, "client_options is .* expected plain data"),
        ({"models": ["baseline:lead", "baseline:lead"]}, "two clients have the name 'baseline:lead'"),
        ({"address": "somewhere:1"}, "connected to a Ray cluster already"),
    ],
)
def test_wrong_use_is_told_before_anything_is_done(tmp_path, cluster, words, message):
    with pytest.raises(ValueError, match=message):
        run_sharded(
            **{
                "models": "baseline:lead",
                "use_cases": CASES[0],
                "limit": 1,
                "out": tmp_path / "r",
                "progress": False,
                **words,
            }
        )
    assert not list(tmp_path.rglob("journal.jsonl"))


def test_a_folder_that_workers_do_not_share(tmp_path, cluster, monkeypatch):
    "The samples' file is missing when a worker looks for it, as on a disk that is not shared."
    import crmeval.runs.shards as shards

    monkeypatch.setattr(shards, "write_parquet", lambda records, path, kind: path)
    with pytest.raises(
        RuntimeError,
        match="1 of 1 shards could not be finished.*does not see .*"
        "storage that this machine and all workers share",
    ):
        run_sharded("baseline:lead", use_cases=CASES[0], limit=1, out=tmp_path / "r", progress=False)
    assert not (tmp_path / "r/manifest.json").exists()


def test_without_ray_one_sentence(tmp_path):
    words = ["run", "--engine", "ray", "--out", "r"]
    code = f"import sys; sys.modules['ray'] = None; from crmeval.cli.app import main; sys.exit(main({words}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (
        done.returncode == 2
        and done.stderr == "crmeval: engine 'ray' needs the extra: pip install 'crmeval[ray]'\n"
        and not (tmp_path / "r").exists()
    )
