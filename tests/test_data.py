"Data: the shipped set, registered sources if present, and the loader on users' files."

import csv
import gzip
import hashlib
import http.server
import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import pytest
from pace import cpu_since

from crmeval.core.records import Sample, read_parquet, write_jsonl, write_parquet
from crmeval.core.values import missing_values
from crmeval.tasks import load as data
from crmeval.tasks import own_data
from crmeval.tasks import public as sources_module
from crmeval.tasks.load import (
    ADAPTERS,
    DataUnavailable,
    check_samples,
    load_any,
    load_demo,
    load_file,
    load_rows,
    load_source,
    load_use_case,
    sheet,
)
from crmeval.tasks.public import Source, SourceFile, content_digest, find_file, read_source_file, sources
from crmeval.tasks.sgd import is_said
from crmeval.tasks.use_cases import render_prompt, use_cases


@lru_cache(maxsize=None)
def loaded(name):
    return load_source(name, download=False)


def of(name, use_case):
    need(name)
    return [s for s in loaded(name) if s.use_case == use_case]


def need(name):
    folder = os.environ.get("CRMEVAL_DATA")
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"source {name} is not in CRMEVAL_DATA")


# ---- the shipped set


def test_demo_holds_every_use_case_and_renders():
    demo = load_demo()
    counts = {u: len(load_use_case(u)) for u in use_cases()}
    assert all(n >= 6 for n in counts.values()), counts
    assert len({s.tags["industry"] for s in demo}) >= 5
    assert len({s.id for s in demo}) == len(demo)
    assert all(set(s.inputs) == set(use_cases()[s.use_case].inputs) for s in demo)
    assert all(render_prompt(s) for s in demo)


def test_demo_limit_is_per_use_case():
    assert len(load_demo(limit=2)) == 22
    assert [s.use_case for s in load_any("demo", use_cases=["Sales: Call Summary"], limit=1)] == [
        "sales_call_summary"
    ]


def test_demo_names_nobody_reachable():
    import re

    text = json.dumps([[s.inputs, s.reference, s.key_facts] for s in load_demo()], ensure_ascii=False)
    domains = {d.lower() for d in re.findall(r"@([\w.-]+\w)", text)}
    assert all(re.search(r"(^|\.)example(\.(com|org|net))?$", d) for d in domains), domains


# ---- registered sources


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_source_samples_are_sound(name):
    need(name)
    samples = loaded(name)
    assert {s.use_case for s in samples} == set(ADAPTERS[name][1])
    assert len({s.key for s in samples}) == len(samples)
    assert all(s.dataset == name and s.cluster and s.key_facts for s in samples)
    assert all(set(s.inputs) == set(use_cases()[s.use_case].inputs) for s in samples)
    assert all(render_prompt(s) for s in samples[:: max(1, len(samples) // 50)])
    some = random.Random(0).sample(
        samples, min(250, len(samples))
    )  # parsing values takes some milliseconds per sample
    lost = [s.id for s in some if missing_values(" ".join(s.key_facts), s.source)]
    assert not lost  # every number, date, time, amount and identifier of a fact is in the inputs


TALK, CALL = "service_conversation_summary", "service_call_summary"


@pytest.mark.parametrize(
    "wanted, has_column, why",
    [(None, True, ""), ([TALK], False, ""), ([TALK, CALL], True, f"no sample of {CALL}")],
)
def test_a_file_is_read_once(monkeypatch, tmp_path, wanted, has_column, why):
    path, read, rows = tmp_path / "own.jsonl", [], data.read_rows
    row = {"id": "1", "conversation": "Customer: Hello."} | ({"use_case": TALK} if has_column else {})
    write_jsonl([row], path)
    for module in (data, own_data):
        monkeypatch.setattr(module, "read_rows", lambda spec: read.append(spec) or rows(spec))
    if why:
        with pytest.raises(ValueError, match=why):
            load_any(str(path), use_cases=wanted)
    else:
        assert [s.use_case for s in load_any(str(path), use_cases=wanted)] == [TALK]
    assert read == [str(path)]


@pytest.mark.parametrize("name", ["sgd", "tau_bench", "abcd"])
def test_gold_records_change_something_and_fit_their_schema(name):
    import jsonschema

    for s in of(name, "update_crm_info"):
        assert s.gold_record and all(s.record.get(k) != v for k, v in s.gold_record.items()), s.id
        jsonschema.validate(dict(s.gold_record), s.instructions[0]["schema"])
        assert json.loads(s.reference) == s.gold_record and json.loads(s.inputs["record"]) == s.record


def test_500_sgd_conversations_load_quickly_and_repeatably():
    need("sgd")
    start = time.process_time()
    first = load_source("sgd", use_cases=["service_conversation_summary"], limit=500)
    assert cpu_since(start) < 15
    assert len(first) == 500 == len({s.cluster for s in first}) == len({s.source for s in first})
    assert first == load_source("sgd", use_cases=["Service: Conversation Summary"], limit=500)


def test_sgd_facts_can_be_read_in_the_conversation():
    checked = 0
    for s in of("sgd", "service_conversation_summary"):
        text = s.inputs["conversation"]
        for fact in s.key_facts:
            words = fact.rstrip(".").split(" is ", 1)
            if fact.startswith(
                ("The restaurant is ", "The hotel is ", "The movie is ", "The therapist is ")
            ) and not words[1].startswith(("in ", "a ", "directed", "rated")):
                checked += 1
                assert is_said(words[1], text), s.id
    assert checked > 300


def test_sgd_replies_are_cut_before_the_reference():
    for s in of("sgd", "service_reply_recommendations"):
        assert s.inputs["conversation"].splitlines()[-1].startswith("Customer: ")
        assert s.reference and s.inputs["knowledge"].splitlines()[-1].startswith("Next step: ")


def test_summedits_documents_come_once_with_their_checked_summary():
    need("summedits")
    samples = loaded("summedits")
    assert len({s.source for s in samples}) == len(samples) == 27
    assert all(s.reference and "checked by people" in s.tags["reference_by"] for s in samples)


def test_every_registered_file_that_is_here_verifies():
    here = [(s, p) for s in sources().values() for p in s.files if find_file(s, p)]
    if not here:
        pytest.skip("CRMEVAL_DATA is not set")
    for s, p in here:
        read_source_file(s, p, download=False)
    rows = (
        load_rows("finesure", "human-keyfact-list.jsonl.gz")
        if find_file(sources()["finesure"], "human-keyfact-list.jsonl")
        else [{}]
    )
    assert isinstance(rows[0], dict)


def test_a_table_with_semicolons_has_its_columns():
    need("bank_marketing")
    rows = load_rows("bank_marketing", "bank-additional.csv")
    assert (len(rows), len(rows[0]), list(rows[0])[:2]) == (4119, 21, ["age", "job"])
    assert {r["y"] for r in rows} == {"yes", "no"}


def test_no_registered_table_is_read_as_one_column():
    tables = [
        (s.name, p) for s in sources().values() for p in s.files if p.endswith(".csv") and find_file(s, p)
    ]
    if not tables:
        pytest.skip("no source with a table is in CRMEVAL_DATA")
    headers = {t: list(load_rows(*t, download=False)[0]) for t in tables}
    assert not {t: h for t, h in headers.items() if len(h) == 1 and set(h[0]) & set(",;\t")}


def test_files_with_real_addresses_are_not_registered():
    listed = [f"{s.name}/{p}" for s in sources().values() for p in s.files]
    assert not [p for p in listed if "enron" in p.lower()]
    folder = os.environ.get("CRMEVAL_DATA")
    if folder:
        present = {d.name for d in Path(folder).iterdir() if d.is_dir()}
        assert present <= set(sources())


def test_sheets_state_licence_origin_and_limits():
    for name in sources():
        text = sheet(name)
        assert "Licence: " in text and "Size: " in text
    assert "CC BY-SA 4.0" in sheet("sgd") and "limits" in sheet("demo").lower()
    with pytest.raises(ValueError, match="unknown source"):
        sheet("nothing")


# ---- fetching, with an invented source on loopback


@pytest.fixture
def invented(tmp_path, monkeypatch):
    web = tmp_path / "web"
    web.mkdir()
    rows = [{"id": i, "text": f"Message {i}"} for i in range(5)]
    raw = "".join(json.dumps(r) + "\n" for r in rows).encode()
    (web / "rows.jsonl").write_bytes(raw)
    (web / "rows.json").write_text(json.dumps(rows, indent=2))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(web)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("CRMEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CRMEVAL_DATA", str(tmp_path / "here"))
    file = SourceFile(
        "rows.jsonl",
        hashlib.sha256(raw).hexdigest(),
        len(raw),
        f"http://127.0.0.1:{server.server_port}/rows.jsonl",
    )
    yield Source("invented", "Invented", "CC0-1.0", {"rows.jsonl": file}), rows, raw, web, tmp_path
    server.shutdown()
    server.server_close()


def test_fetch_verify_and_cache(invented):
    source, rows, raw, web, tmp = invented
    assert read_source_file(source, "rows.jsonl") == rows
    assert (tmp / "cache" / "data" / "invented" / "rows.jsonl").read_bytes() == raw
    (web / "rows.jsonl").unlink()
    assert read_source_file(source, "rows.jsonl") == rows  # the cache needs no server


def test_fetch_of_another_form_needs_a_content_digest(invented):
    source, rows, _, _, tmp = invented
    file = replace(
        source.files["rows.jsonl"], address=source.files["rows.jsonl"].address.replace(".jsonl", ".json")
    )
    with pytest.raises(ValueError, match="expected sha256"):
        read_source_file(replace(source, files={"rows.jsonl": file}), "rows.jsonl")
    file = replace(file, digest=content_digest(rows))
    for _ in range(2):  # fetched, then from the cache
        assert read_source_file(replace(source, files={"rows.jsonl": file}), "rows.jsonl") == rows


@pytest.mark.parametrize(
    "content", [b"", b"<html>Not found</html>", b'{"id": 0}\n' * 100000, b"\xff\xfe\x00"]
)
def test_wrong_bytes_are_refused_and_not_kept(invented, content):
    source, _, _, web, tmp = invented
    (web / "rows.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match="(?s)invented: .*rows.jsonl.* expected sha256 .*, found "):
        read_source_file(source, "rows.jsonl")
    kept = tmp / "cache" / "data" / "invented"
    assert not kept.exists() or not list(kept.iterdir())


def test_absent_and_offline_says_how_to_get_it(invented):
    source, _, _, web, tmp = invented
    (web / "rows.jsonl").unlink()
    with pytest.raises(DataUnavailable, match="404"):
        read_source_file(source, "rows.jsonl")
    with pytest.raises(DataUnavailable, match="put rows.jsonl into"):
        read_source_file(source, "rows.jsonl", download=False)


def test_local_folder_goes_before_cache_and_network(invented):
    source, rows, raw, web, tmp = invented
    folder = tmp / "here" / "invented"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(raw))
    (web / "rows.jsonl").unlink()
    assert read_source_file(source, "rows.jsonl") == rows
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(raw.replace(b"Message 1", b"Message 9")))
    with pytest.raises(ValueError, match="has another content than registered"):
        read_source_file(source, "rows.jsonl")


def test_a_source_that_is_nowhere_names_itself(monkeypatch, tmp_path):
    monkeypatch.setenv("CRMEVAL_DATA", str(tmp_path))
    monkeypatch.setenv("CRMEVAL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        DataUnavailable, match="sgd: .* is not here. Get it from https://github.com/google-research-datasets"
    ):
        load_source("sgd", download=False)
    with pytest.raises(DataUnavailable, match="summedits: .*cannot be fetched"):
        load_source("summedits")


# ---- users' files

HEAD = "id,conversation,key_facts\n"
GOOD = HEAD + '1,"Customer: My line is dead.\nAgent: Since when?",The line is dead.\n2,Customer: Hello.,\n'
CHAT = dict(use_case="service_live_chat_summary")


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "form", ["plain", "bom", "windows", "semicolon", "tsv", "jsonl", "json", "parquet", "upper"]
)
def test_every_form_gives_the_same_samples(tmp_path, form):
    rows = [
        {"id": "1", "conversation": "Customer: My line is dead.", "key_facts": "The line is dead."},
        {"id": "2", "conversation": "Customer: Hello, you.", "key_facts": ""},
    ]
    path = tmp_path / {
        "tsv": "a.tsv",
        "jsonl": "a.jsonl",
        "json": "a.json",
        "parquet": "a.parquet",
        "upper": "A.CSV",
    }.get(form, "a.csv")
    if form == "jsonl":
        write_jsonl(rows, path)
    elif form == "json":
        path.write_text(json.dumps(rows))
    elif form == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with open(path, "w", encoding="utf-8-sig" if form == "bom" else "utf-8", newline="") as f:
            w = csv.DictWriter(
                f,
                list(rows[0]),
                delimiter={"semicolon": ";", "tsv": "\t"}.get(form, ","),
                lineterminator="\r\n" if form == "windows" else "\n",
            )
            w.writeheader()
            w.writerows(rows)
    got = load_file(path, **CHAT)
    assert [(s.id, s.inputs["conversation"], tuple(s.key_facts)) for s in got] == [
        ("1", "Customer: My line is dead.", ("The line is dead.",)),
        ("2", "Customer: Hello, you.", ()),
    ]


BAD = {
    "nothing.csv": (b"", "is empty"),
    "head.csv": (HEAD, "has no rows"),
    "neither.csv": (
        HEAD.encode() + b"1,Caf\x81,\n",
        "line 2: byte 0x81 is not UTF-8, and probably not Windows-1252",
    ),
    "utf16.csv": (GOOD.encode("utf-16") + b"\x00", "is not UTF-16"),
    "cells.csv": (HEAD + "1,a,b,c\n", r"row 1 \(line 2\): 4 cells, but the header has 3"),
    "quote.csv": (HEAD + '1,"a,b\n', "quotation mark"),
    "twice.csv": (
        HEAD + "1,a,\n2,b,\n1,c,\n",
        r"row 3 \(line 4\), column 'id': '1' is already the id of row 1 \(line 2\)",
    ),
    "blank.csv": (
        HEAD + '1,"a\nb",\n2,"  ",\n',
        r"row 2 \(line 4\), column 'conversation': the input 'conversation' is empty",
    ),
    "noid.csv": (HEAD + ",a,\n", r"row 1 \(line 2\), column 'id': the id is empty"),
    "column.csv": ("id,chat\n1,a\n", "no column for the input 'conversation' .* the columns are id, chat"),
    "double.csv": ("id,id,conversation\n1,2,a\n", "'id' appears twice"),
    "line.jsonl": ('{"conversation": "a"}\n{"conversation": \n', r"row 2 \(line 2\): not JSON"),
    "list.jsonl": ("[1]\n", r"row 1 \(line 1\): expected an object"),
    "object.json": ('{"conversation": "a"}', "expected a list of objects"),
    "broken.json": ('[{"conversation": "a"},\n', "line 2, column 1: not JSON"),
    "facts.jsonl": (
        '{"conversation": "a", "key_facts": {"a": 1}}\n',
        "column 'key_facts': expected a list of texts",
    ),
    "facts2.jsonl": (
        '{"conversation": "a", "key_facts": "[1, 2]"}\n',
        "column 'key_facts': expected a list of texts",
    ),
    "gold.jsonl": ('{"conversation": "a", "gold_record": "{stage"}\n', "column 'gold_record': not JSON"),
    "rules.jsonl": (
        '{"conversation": "a", "instructions": [{"n": 3}]}\n',
        "column 'instructions': expected objects with a 'kind'",
    ),
    "tags.jsonl": ('{"conversation": "a", "tags": [1]}\n', "column 'tags': expected an object"),
    "no.parquet": (b"PAR1 but not really", "cannot be read as Parquet"),
    "sheet.xlsx": (b"PK", "cannot be read as XLSX"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_files_are_named_with_row_and_column(tmp_path, name):
    content, words = BAD[name]
    with pytest.raises(ValueError, match=words) as e:
        load_file(put(tmp_path, name, content), **CHAT)
    assert name in str(e.value) or "column mapping" in str(e.value)


def test_missing_file_folder_and_unreadable_file(tmp_path):
    for path, message in ((tmp_path / "none.csv", "there is no file"), (tmp_path, "holds nothing; expected")):
        with pytest.raises(ValueError, match=message):
            load_file(path, **CHAT)
    locked = put(tmp_path, "locked.csv", GOOD)
    locked.chmod(0)
    if not os.access(locked, os.R_OK):
        with pytest.raises(ValueError, match="cannot be read"):
            load_file(locked, **CHAT)


def test_all_problems_at_once_but_not_more_than_ten(tmp_path):
    rows = "".join(f"{i},,\n" for i in range(30))
    with pytest.raises(ValueError) as e:
        load_file(put(tmp_path, "many.csv", HEAD + rows), **CHAT)
    lines = str(e.value).splitlines()
    assert "30 problems" in lines[0] and len(lines) == 12 and lines[-1] == "- and 20 more"


def test_mapping_names_what_is_wrong(tmp_path):
    path = put(tmp_path, "a.csv", "ticket,chat\n1,hello\n")
    got = load_file(
        path, columns={"id": "ticket", "inputs.conversation": "chat", "tags.ticket": "ticket"}, **CHAT
    )
    assert (got[0].id, got[0].inputs, got[0].tags) == ("1", {"conversation": "hello"}, {"ticket": "1"})
    with pytest.raises(ValueError, match="(?s)'talk' is not a known name.*there is no column 'chats'"):
        load_file(path, columns={"talk": "chat", "conversation": "chats"}, **CHAT)


def test_a_long_cell_and_odd_characters_survive(tmp_path):
    text = "Customer: " + "very " * 60000 + "long \u202e\u05d0 \U0001f600 \x07"
    got = load_file(write_jsonl([{"conversation": text}], tmp_path / "a.jsonl"), **CHAT)
    assert got[0].inputs["conversation"] == text
    path = tmp_path / "a.csv"
    with open(path, "w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([["conversation"], [text]])
    before = csv.field_size_limit()
    assert load_file(path, **CHAT)[0].inputs["conversation"] == text
    assert csv.field_size_limit() == before


def plain_fields(sample):
    "Return the fields of a sample that a file holds, as plain data."
    texts = sample.id, sample.use_case, sample.reference, sample.record, sample.gold_record
    return *texts, dict(sample.inputs), dict(sample.tags), list(sample.key_facts), list(sample.instructions)


def test_demo_samples_survive_both_file_forms(tmp_path):
    demo = load_demo(limit=1)
    for path in (
        write_jsonl(demo, tmp_path / "demo.jsonl"),
        write_parquet(demo, tmp_path / "demo.parquet", Sample),
    ):
        assert list(map(plain_fields, load_file(path))) == list(map(plain_fields, demo))
    assert len(read_parquet(tmp_path / "demo.parquet", Sample)) == 11


def test_noise_never_breaks_the_loader(tmp_path):
    """Random damage gives samples or a ValueError, never another exception."""
    rng = random.Random(0)
    seeds = {
        "a.csv": GOOD.encode(),
        "a.jsonl": b'{"id": "1", "conversation": "a", "key_facts": ["b"], "tags": {"x": 1}}\n'
        b'{"id": 2, "conversation": "c", "record": "{}"}\n',
        "a.json": b'[{"id": "1", "conversation": "a", "key_facts": "b|c", "language": null}]',
    }
    for name, seed in seeds.items():
        for _ in range(400):
            content = bytearray(seed)
            for _ in range(rng.randint(1, 6)):
                at = rng.randrange(len(content))
                kind = rng.random()
                if kind < 0.4:
                    content[at] = rng.choice(b'\x00\xff"{}[],:\n\r;|1a ')
                elif kind < 0.7:
                    del content[at]
                else:
                    content[at:at] = rng.choice(
                        [b'"', b"\n", b"null", b"[", b"1e999", b"NaN", b"\\ud800", b",,", b"\xef\xbb\xbf"]
                    )
            try:
                for s in load_file(put(tmp_path, name, bytes(content)), **CHAT):
                    assert isinstance(s, Sample)
            except ValueError:
                pass


# ---- hub names and the single entry point


def test_hub_names_use_datasets_without_remote_code(monkeypatch):
    import datasets

    calls = []

    def fake(name, **options):
        calls.append((name, options))
        if name == "team/none":
            raise ConnectionError("no network here\nsecond line")
        part = datasets.Dataset.from_dict({"chat": ["Customer: Hi."]})
        return part if options.get("split") else datasets.DatasetDict({"train": part, "test": part})

    monkeypatch.setattr(datasets, "load_dataset", fake)
    got = load_file("hub:team/chats:test", columns={"conversation": "chat"}, **CHAT)
    assert (got[0].dataset, got[0].id) == ("team/chats:test", "row-1")
    with pytest.raises(ValueError, match="name one: hub:team/chats:train, hub:team/chats:test"):
        load_file("hub:team/chats", **CHAT)
    with pytest.raises(ValueError, match="ConnectionError: no network here.*save the rows to a file"):
        load_file("hub:team/none:test", **CHAT)
    with pytest.raises(ValueError, match="is not a hub name"):
        load_file("hub:../../etc", **CHAT)
    assert not any("trust_remote_code" in o for _, o in calls)


def test_load_any_knows_names_paths_and_their_absence(tmp_path):
    path = put(tmp_path, "a.csv", GOOD)
    assert len(load_any(path, use_cases=["live chat summary"])) == 2
    with pytest.raises(
        ValueError,
        match="is neither a file nor a known source. Sources: demo, domains, sgd, tau_bench, abcd, summedits",
    ):
        load_any("none.csv")
    with pytest.raises(ValueError, match="has no adapter"):
        load_any("bbq")
    mixed = write_jsonl(
        [{"use_case": "service_live_chat_summary", "conversation": "a"}], tmp_path / "m.jsonl"
    )
    with pytest.raises(
        ValueError, match="has no sample of sales_call_summary; it has service_live_chat_summary"
    ):
        load_any(mixed, use_cases=["service_live_chat_summary", "sales_call_summary"])


def test_check_samples_refuses_an_empty_list_and_bad_rows():
    good = Sample("a", "service_live_chat_summary", {"conversation": "x"})
    with pytest.raises(ValueError, match="there are no samples"):
        check_samples([])
    with pytest.raises(ValueError, match="row 2, column 'id': 'a' is already the id of row 1"):
        check_samples([good, good])
    with pytest.raises(ValueError, match="row 1, column 'inputs.conversation': expected a text, got int"):
        check_samples([replace(good, inputs={"conversation": 3})])


def test_importing_data_is_light():
    heavy = ("datasets", "pandas", "pyarrow", "sklearn", "openai", "matplotlib")
    code = f"import sys, crmeval.data; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    assert data.load_file is own_data.load_file and sources_module.sources() is data.SOURCES
