"A run whose rows stay on disk: same rows, same manifest, same way to continue, in little memory."

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crmeval.cli.app import main
from crmeval.core.record_table import RecordTable, collected
from crmeval.core.records import Response, Score, read_parquet, write_parquet
from crmeval.runs import evaluation, folder, selection
from crmeval.runs.evaluation import prepare_run, run
from crmeval.runs.folder import open_run, read_manifest
from crmeval.runs.plan import make_plan
from crmeval.tasks import long_data
from crmeval.tasks.load import load_demo
from crmeval.tasks.own_data import first_of_each

SYSTEMS = ["baseline:reference", "baseline:lead", "baseline:extractive"]
TIMED = ("created", "finished", "traffic")  # fields that differ between any two runs


@pytest.fixture
def large(monkeypatch):
    "Treat every run as large and every file as long."
    for room in (evaluation, folder):
        monkeypatch.setattr(room, "LARGE", 1)
    monkeypatch.setattr(long_data, "LONG_BYTES", 1)
    monkeypatch.setattr(long_data, "FEW_ROWS", 3)
    monkeypatch.setattr(long_data.is_long, "__defaults__", (1,))
    monkeypatch.setattr(folder, "read_table", _never)
    monkeypatch.setattr(selection, "collected", _in_a_file)


def _never(path, kind):
    raise AssertionError(f"{path.name} of a large run was read whole")


def _in_a_file(records, kind):
    from crmeval.core.record_table import collected

    return collected(records, kind, few=2)


def _untimed(rows):
    return [replace(r, created=None, latency_s=None, queue_s=None) for r in rows]


def _said(run_folder):
    manifest = read_manifest(run_folder).as_dict()
    manifest["plan"] = {k: v for k, v in manifest["plan"].items() if k != "out"}
    for plan in manifest.get("plans", ()):
        plan.pop("out", None)
    return {k: v for k, v in manifest.items() if k not in TIMED and k != "command"}


def _same(a, b):
    a, b = open_run(a.folder), open_run(b.folder)
    assert _untimed(a.responses) == _untimed(b.responses)
    assert sorted(a.scores, key=repr) == sorted(b.scores, key=repr)
    assert list(a.samples) == list(b.samples)


@pytest.mark.parametrize("settings", [{}, {"areas": ("accuracy", "fairness", "privacy")}, {"no_texts": True}])
def test_rows_and_manifest_are_those_of_a_small_run(tmp_path, large, monkeypatch, settings):
    options = {"data": first_of_each(load_demo(), 1), "limit": 1, "progress": False, **settings}
    grown = run(SYSTEMS, out=tmp_path / "large", **options)
    assert grown.in_tables and isinstance(grown.samples, RecordTable)
    monkeypatch.undo()
    small = run(SYSTEMS, out=tmp_path / "small", **options)
    assert isinstance(small.responses, list)
    _same(grown, small)
    assert _said(grown.folder) == _said(small.folder)


def _file(path):
    rows = [
        {"id": s.id, "use_case": s.use_case, "inputs": dict(s.inputs), "key_facts": list(s.key_facts)}
        | {"reference": s.reference, "region": f"region {n % 3}"}
        for n, s in enumerate(first_of_each(load_demo(), 2))
        if s.record is None
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_a_long_file_is_asked_about_as_a_short_one(tmp_path, large, monkeypatch):
    options = {"data": _file(tmp_path / "chats.jsonl"), "slices": ("region",), "progress": False}
    work = prepare_run(
        make_plan(None, models=SYSTEMS, data=options["data"], slices=("region",), out=tmp_path / "r")
    )
    assert isinstance(work.samples, RecordTable) and "columns" not in work.samples[0].tags
    grown = run(SYSTEMS, out=tmp_path / "large", **options)
    assert not list(tmp_path.glob(".crmeval-*"))
    monkeypatch.undo()
    small = run(SYSTEMS, out=tmp_path / "small", **options)
    _same(grown, small)
    assert _said(grown.folder) == _said(small.folder)
    assert grown.samples[0].tags["columns"] == {"region": "region 0"}


def test_an_id_that_a_twin_has_already_is_told(tmp_path, large):
    one, *more = _file(tmp_path / "chats.jsonl").read_text().splitlines()
    twin = json.loads(one) | {"perturbation": "gender"}
    (tmp_path / "chats.jsonl").write_text("\n".join([one, json.dumps(twin), json.dumps(twin), *more]))
    with pytest.raises(ValueError, match="is already the id of|two samples have the id"):
        run(SYSTEMS, data=tmp_path / "chats.jsonl", out=tmp_path / "run", progress=False)


def test_other_words_under_an_id_are_refused_when_added(tmp_path, large):
    demo = load_demo(1)
    run(SYSTEMS[:1], data=demo, out=tmp_path / "run", progress=False)
    other = [replace(demo[0], reference="Other words."), *demo[1:]]
    with pytest.raises(ValueError, match="has other texts than the new one"):
        run(SYSTEMS, data=other, out=tmp_path / "run", add=True, progress=False)


def test_a_damaged_table_of_a_large_run_is_told(tmp_path, large):
    options = {"data": load_demo(1), "out": tmp_path / "run", "progress": False}
    run(SYSTEMS, **options)
    path = tmp_path / "run" / "scores.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="delete the .parquet files and run the same command again"):
        run(SYSTEMS, **options)


def test_a_mistake_in_a_long_file_is_told_before_anything_is_spent(tmp_path, large):
    path = _file(tmp_path / "chats.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], lines[0], *lines[5:]]))
    with pytest.raises(ValueError, match="is already the id of"):
        run(SYSTEMS, data=path, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_stopped_goes_on_with_what_it_has(tmp_path, large):
    options, seen = {"data": load_demo(1), "out": tmp_path / "run"}, []

    def stop(done, total, response):
        seen.append(response)
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        run(SYSTEMS, progress=stop, **options)
    assert not list((tmp_path / "run").glob("*.parquet*"))  # no partial tables
    done = run(SYSTEMS, progress=False, **options)
    assert [r.key for r in done.responses] == [(s.id, "", c, 0) for s in options["data"] for c in SYSTEMS]
    assert len({(s.key, s.metric) for s in done.scores}) == len(done.scores)


def test_ratings_stay_and_a_plan_is_added_to(tmp_path, large, monkeypatch):
    demo = load_demo(2)
    one, more = first_of_each(demo, 1), demo

    def through(place):
        first = run(SYSTEMS[:2], data=one, out=place, progress=False)
        rated = Score("accuracy", 2.0, rater="ana", method="manual", sample_id=one[0].id, client=SYSTEMS[0])
        write_parquet([*first.scores, rated], place / "scores.parquet", Score)
        again = run(SYSTEMS[:2], data=one, out=place, progress=False)
        assert [s.rater for s in again.scores].count("ana") == 1
        return run(SYSTEMS[1:], data=more, out=place, add=True, progress=False)

    grown = through(tmp_path / "large")
    monkeypatch.undo()
    small = through(tmp_path / "small")
    _same(grown, small)
    assert _said(grown.folder) == _said(small.folder)
    assert open_run(grown.folder).clients == small.clients


def test_a_disk_that_is_full_is_told_with_what_is_safe(tmp_path, large, monkeypatch):
    from crmeval.core import record_table

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record_table, "arrow_table", full)
    with pytest.raises(OSError, match="what was answered is safe in journal.jsonl"):
        run(SYSTEMS, data=load_demo(1), out=tmp_path / "run", progress=False)
    monkeypatch.undo()
    done = run(SYSTEMS, data=load_demo(1), out=tmp_path / "run", progress=False)
    assert read_parquet(tmp_path / "run" / "responses.parquet", Response) == list(done.responses)


def test_every_reader_of_a_run_says_the_same_of_tables(tmp_path, monkeypatch, capsys):
    place = tmp_path / "run"
    done = run(SYSTEMS, data=load_demo(2, ["service_call_summary"]), out=place, progress=False)
    rated = [
        Score("accuracy", 1.0 + n, rater="ana", method="manual", sample_id=r.sample_id, client=r.client)
        for n, r in enumerate(done.responses[:3])
    ]
    write_parquet([*done.scores, *rated], place / "scores.parquet", Score)

    def said():
        out = tmp_path / "rows.jsonl"
        for words in (
            ["agreement", str(place)],
            ["compare", f"{place}#{SYSTEMS[0]}", f"{place}#{SYSTEMS[1]}"],
            ["export", str(place), "--to", "jsonl", "--out", str(out)],
        ):
            assert main(words) == 0
        return capsys.readouterr().out, out.read_text()

    small = said()
    monkeypatch.setattr(folder, "LARGE", 1)
    assert open_run(place).in_tables and said() == small
    assert main(["erase", str(place), "--sample", "service_call_summary-01"]) == 0
    left = open_run(place)
    assert {s.id for s in left.samples} == {"service_call_summary-02"}
    assert {r.sample_id for r in left.responses} | {s.sample_id for s in left.scores} == {
        "service_call_summary-02"
    }


HOLDING = """
import sys, time
from crmeval.core.record_table import collected
from crmeval.core.records import Response
held = collected((Response(str(n), "a", "secret") for n in range(9)), Response, few=1, folder=sys.argv[1])
print(held.path, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files are locked in another way on this system")
def test_texts_that_a_killed_process_left_are_removed_by_the_next(tmp_path):
    def collect():
        rows = (Response(str(n), "a", "secret") for n in range(9))
        return collected(rows, Response, few=1, folder=tmp_path)

    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE) as process:
        try:
            left = Path(process.stdout.readline().decode().strip())
            os.utime(left.parent, (0, 0))
            own = collect()
            assert left.exists() and own.path.exists()  # its process is alive and holds the file
        finally:
            process.send_signal(signal.SIGKILL)
    assert left.exists()
    os.utime(left.parent, (0, 0))
    own = collect()
    assert not left.parent.exists() and len(own) == 9
    del own
    assert not list(tmp_path.iterdir())
