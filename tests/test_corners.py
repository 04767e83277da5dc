"One run in every output: the same figures, names as plain text, no keys; files are private to their owner."

import csv
import json
import math
import os
import random
import re
import string
import sys
from pathlib import Path

import endpoint
import pytest
import yaml

from crmeval import Sample, leaderboard, run
from crmeval.bridges.adapters import get_assert
from crmeval.bridges.export_files import export_dataset, export_file
from crmeval.bridges.lm_eval_tasks import NOT_SCORED, mean_of_scored, process_results, write_lm_eval_task
from crmeval.bridges.run_spans import write_run_spans
from crmeval.bridges.trackers import tracked_figures, tracked_settings
from crmeval.cli.app import main
from crmeval.core.calls import CallFailed
from crmeval.core.keys import is_own_host
from crmeval.core.records import Response, storable
from crmeval.runs.folder import open_run
from crmeval.systems.replay import ReplayClient, read_responses

CASE = "service_conversation_summary"
CHAT = "Customer: My order 4471 has not come.\nAgent: I am sorry. It was lost; a new one arrives on Friday."
ANSWERS = ("It was lost. A new one arrives on Friday.", "It arrives on Monday.", "It was lost.", None, "")
METRICS = ("factuality", "completeness", "conciseness", "instruction_following")
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _samples(**more):
    facts = [["It was lost."], ["It was lost."], [], ["It was lost."], ["It was lost."]]
    numbered = enumerate(facts)
    return [Sample(f"s{i}", CASE, {"conversation": CHAT}, key_facts=f, **more) for i, f in numbered]


def _run(folder, name="m", **more):
    lost = {"status": "api_error", "error": "lost"}
    responses = [
        Response(f"s{i}", name, t, latency_s=0.5, **(lost if t is None else {}))
        for i, t in enumerate(ANSWERS)
    ]
    run(
        [ReplayClient(responses, name=name, empty="answer")],
        data=_samples(**more),
        out=folder,
        progress=False,
    )
    return open_run(folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    "A run in which some answers cannot be scored, one is empty and one was lost."
    return _run(tmp_path_factory.mktemp("out") / "run")


def _of_csv(done, folder):
    with open(export_file(done, "csv", folder / "t.csv"), encoding="utf-8-sig", newline="") as file:
        return [{m: float(r[m]) if r[m] else None for m in METRICS} for r in csv.DictReader(file)]


def _of_jsonl(done, folder):
    lines = export_file(done, "jsonl", folder / "t.jsonl").read_text(encoding="utf-8").splitlines()
    return list(map(json.loads, lines))


def _of_xlsx(done, folder):
    openpyxl = pytest.importorskip("openpyxl")
    sheet = openpyxl.load_workbook(export_file(done, "xlsx", folder / "t.xlsx")).worksheets[0]
    head, *lines = sheet.iter_rows(values_only=True)
    return [dict(zip(head, line)) for line in lines]


def _of_datasets(done, folder):
    import pyarrow.parquet as pq

    place = export_dataset(done, folder / "set")
    return pq.read_table(next((place / "data").glob("*.parquet"))).to_pylist()


def _of_spans(done, folder):
    "The value of a span is the fraction; its label contains the points."
    write_run_spans(done, folder / "t.jsonl")
    found = []
    for line in (folder / "t.jsonl").read_text(encoding="utf-8").splitlines():
        row: dict = {}
        for span in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            attributes = {a["key"]: a["value"] for a in span["attributes"]}
            label = attributes.get("gen_ai.evaluation.score.label")
            if "gen_ai.evaluation.name" in attributes:
                value = None if label is None else float(label["stringValue"].split(" of ")[0])
                row[attributes["gen_ai.evaluation.name"]["stringValue"]] = value
                assert (value is None) == ("gen_ai.evaluation.score.value" not in attributes)
                assert (value is None) == (attributes["crmeval.status"]["stringValue"] != "ok")
        found.append(row)
    return found


@pytest.mark.parametrize("read", [_of_csv, _of_jsonl, _of_xlsx, _of_datasets, _of_spans])
def test_every_way_out_has_the_means_and_the_gaps_of_the_leaderboard(done, tmp_path, read):
    rows = read(done, tmp_path)
    figures = tracked_figures(done)["m"]
    assert len(rows) == len(ANSWERS) and 0 < figures["completeness_undefined"] < len(ANSWERS)
    for metric in METRICS:
        known = [float(r[metric]) for r in rows if r.get(metric) is not None]
        assert not any(map(math.isnan, known))
        assert len(known) == figures[f"{metric}_n"], metric
        assert len(rows) - len(known) == figures[f"{metric}_undefined"], metric
        assert sum(known) / len(known) == pytest.approx(figures[metric]), metric
        assert figures[f"{CASE}/{metric}"] == figures[metric], "the only use case has the overall figures"


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_the_leaderboard_for_reading_has_its_figures_too(done, tmp_path, form):
    path = export_file(done, form, tmp_path / f"t{'.md' if form == 'markdown' else '.tex'}")
    cut = "|" if form == "markdown" else "&"
    lines = [[c.strip(" \\|") for c in line.split(cut)] for line in path.read_text().splitlines()]
    head = next(line for line in lines if "accuracy" in line)
    row = dict(zip(head, next(line for line in lines if "overall" in line)))
    board = leaderboard(done).to_pandas().to_dict("records")[0]
    assert row["accuracy"] == f"{board['accuracy']:.2f}" and row["factual"] == f"{board['factuality']:.2f}"
    assert (int(row["n"]), int(row["unscored"])) == (board["n"], board["unscored"])


@pytest.mark.parametrize("metric", METRICS[:3])
def test_what_other_tools_call_gives_the_run_s_scores(done, tmp_path, metric):
    by_metric = {(s.sample_id, s.metric): s for s in done.scores}
    path = write_lm_eval_task(CASE, tmp_path / "tasks", data=_samples())
    docs = list(map(json.loads, path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()))
    by_harness = [process_results(d, [t])[metric] for d, t in zip(docs, ANSWERS) if t is not None]
    wanted = [by_metric[f"s{i}", metric].fraction for i, t in enumerate(ANSWERS) if t is not None]
    assert [None if math.isnan(v) else v for v in by_harness] == pytest.approx(wanted, abs=1e-4)
    known = [v for v in wanted if v is not None]
    assert mean_of_scored(by_harness) == pytest.approx(sum(known) / len(known), abs=1e-4)
    for i, text in enumerate(ANSWERS):
        facts = _samples()[i].key_facts
        fields = {"config": {"metric": metric}, "vars": {"source": CHAT, "key_facts": list(facts)}}
        result = get_assert(text, fields)
        score = by_metric[f"s{i}", metric]
        assert result["score"] == pytest.approx(score.fraction or 0, abs=1e-4)
        assert result["pass"] is (score.points is not None and score.points >= 3)
        assert score.points is not None or "could not be scored" in result["reason"] or text is None


def test_the_harness_counts_what_was_not_scored(tmp_path):
    path = write_lm_eval_task(CASE, tmp_path, data=_samples()[2:3])
    doc = json.loads(path.with_suffix(".jsonl").read_text(encoding="utf-8"))
    values = process_results(doc, ["It was lost."])
    lost = [m for m, v in values.items() if math.isnan(v)]
    assert "completeness" in lost and values[NOT_SCORED] == len(lost) / (len(values) - 1)


# names and contents from outside


def _hostile(seed, n=12):
    "Return invented names with characters that have a meaning in tables, cards, traces and terminals."
    draw = random.Random(seed)
    signs = ["<b>", "](javascript:x)", "[", "![a](http://a.example)", "\x1b[31m", "\x9b1m", "\x00", "\u202e"]
    signs += [
        "\ud83d",
        "\n",
        "\r\n",
        "\u2028",
        "=1+1",
        "|",
        "`",
        "../",
        "/",
        "---",
        ": ",
        "\\input{x}",
        "{{x}}",
    ]
    for _ in range(n):
        yield "".join(draw.choice(signs) for _ in range(3)) + draw.choice(string.ascii_letters)


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_names_of_others_are_words_alone_in_every_way_out(tmp_path, seed):
    for i, name in enumerate(_hostile(seed)):
        folder = tmp_path / str(i)
        folder.mkdir()
        done = _run(folder / "run", name=name, dataset=name, language=name)
        card = (export_dataset(done, folder / "set") / "README.md").read_text(encoding="utf-8")
        _, front, body = card.split("---\n", 2)
        assert yaml.safe_load(front)["language"] == [storable(name)], card
        body = body.replace("\\]", "")
        assert not UNSEEN.search(card) and not re.search(r"<b>|\]\(", body) and body.count("\n#") == 1, card
        write_run_spans(done, folder / "t.jsonl")
        spans = (folder / "t.jsonl").read_text(encoding="utf-8")
        assert not UNSEEN.search(spans) and len(spans.splitlines()) == len(ANSWERS)
        assert not UNSEEN.search(json.dumps(tracked_settings(done, done.clients[0]), ensure_ascii=False))
        table = export_file(done, "csv", folder / "t.csv").read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", table)
        if sys.platform != "win32":
            assert {p.name for p in folder.iterdir()} == {"run", "set", "t.jsonl", "t.csv"}


def test_a_store_in_files_could_keep_all_figures(done):
    "In such a store a figure is a file, and the part of its name before '/' is a folder."
    names = list(tracked_figures(done)["m"])
    folders = {n.rpartition("/")[0] for n in names if "/" in n}
    assert folders and not folders & set(names) and all(len(n) <= 250 for n in names)


def test_no_client_is_named_after_a_key(tmp_path):
    key = "sk-invented-4242424242424242"
    with pytest.raises(ValueError, match="is named after a key") as caught:
        _run(tmp_path / "run", name=f"m-{key}")
    assert key not in str(caught.value)


@pytest.mark.parametrize("how", ["raised", "returned", "read"])
def test_no_error_of_a_client_brings_a_key_into_a_run(tmp_path, how):
    key = "sk-invented-4242424242424242"
    message = f"401: {key} at https://h.example/v1?gate=marigold77 is refused"

    class Own:
        name, provider, model, cacheable = "own", "baseline", "own", True

        def settings(self):
            return {}

        async def aclose(self):
            pass

        async def answer(self, sample, prompt, *, repeat=0):
            if how == "raised":
                raise CallFailed(message)
            return Response(sample.id, self.name, None, status="api_error", error=message)

    client = Own()
    if how == "read":
        rows = [{"sample_id": "s0", "text": None, "status": "api_error", "error": message, "client": "own"}]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
        client = ReplayClient(read_responses(tmp_path / "a.jsonl"), name="own")
    done = run([client], data=_samples()[:1], out=tmp_path / "run", progress=False, retries=0)
    assert done.responses[0].status == "api_error" and done.responses[0].error == (
        "401: [removed] at https://h.example/v1?gate=[removed] is refused"
    )
    content = b"".join(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert key.encode() not in content and b"marigold77" not in content


@pytest.mark.skipif(os.name == "nt", reason="Windows allows few names")
@pytest.mark.parametrize("name", ["a\x9b1m", "\U0001f469\u200d\U0001f680", 'q"u: {o}te', "b\\s", "\u2028"])
def test_the_harness_finds_the_rows_in_a_folder_of_any_name(tmp_path, name):
    text = write_lm_eval_task(CASE, tmp_path / name, limit=1).read_text(encoding="utf-8")
    data_file = yaml.safe_load(re.sub("!function ", "", text))["dataset_kwargs"]["data_files"]["test"]
    assert Path(data_file).is_file()


# addresses


def _value(draw):
    return "".join(draw.choice(string.ascii_lowercase) for _ in range(11))


@pytest.mark.parametrize("seed", range(41, 45))
def test_a_query_value_of_any_name_stands_nowhere(tmp_path, seed, capsys):
    draw = random.Random(seed)
    name, value = _value(draw)[:4], _value(draw)
    query = draw.choice([f"{name}={value}", f"api-version=2024-10-21&{name}={value}", value])
    httpd = endpoint.start()
    url = f"{httpd.url}?{query}"
    words = ["--model", "openai:m", "--use-case", "service_email_summary", "--limit", "1"]
    out = ["--out", str(tmp_path / "run"), "--retries", "0", "--timeout", "2", "--no-progress"]
    for address in (["--base-url", url], ["--judge", f"openai:j@{url}"]):
        main(["plan", *words, *address, "--file", str(tmp_path / "p.yaml")])
        main(["run", "--dry-run", "-v", *words, *address])
    main(["run", "-v", *words, *out, "--base-url", url])
    endpoint.stop(httpd)
    printed = capsys.readouterr()
    assert value not in printed.out + printed.err
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {"manifest.json", "report.html", "p.yaml"} <= {p.name for p in files}
    assert not [p for p in files if value.encode() in p.read_bytes()]


@pytest.mark.parametrize("host", ["localhost.", "127.0.0.1.nip.example", "[::ffff:1]", "0.0.0.0", "10.0.0.1"])
def test_no_other_host_is_taken_for_this_machine(host):
    assert not is_own_host(host) and is_own_host("LOCALHOST")


# permissions of stored files


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_what_is_kept_is_its_owner_s_whatever_the_umask(tmp_path):
    from crmeval.layer.audit_trail import AuditTrail

    before = os.umask(0)
    try:
        trail = AuditTrail(tmp_path / "trail.jsonl")
        trail.append("note", case="1")
        trail.close()
        with open(tmp_path / "trail.jsonl", "ab") as file:
            file.write(b'{"half": "a record')
        trail.append("note", case="2")
        trail.close()
        _run(tmp_path / "runs" / "one")
    finally:
        os.umask(before)
    kept = {p.name: p.stat().st_mode & 0o077 for p in tmp_path.iterdir() if p.name != "runs"}
    assert "trail.jsonl.torn" in kept and not any(kept.values()), kept
    assert (tmp_path / "runs" / "one").stat().st_mode & 0o077 == 0
    assert Path(tmp_path, "trail.jsonl.torn").read_bytes() == b'{"half": "a record\n'
