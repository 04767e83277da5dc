"A run without texts: no planted text occurs in any file of its folder."

import json

import pyarrow.parquet as pq
import pytest

from crmeval.cli.app import main
from crmeval.core.calls import CallFailed
from crmeval.core.records import Response, Sample, Usage
from crmeval.pages.compare import compare
from crmeval.pages.leaderboard import leaderboard
from crmeval.pages.report import write_report
from crmeval.runs.dry_run import dry_run
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.runs.prompts import PromptVariant
from crmeval.runs.scoring_again import score_run
from crmeval.runs.texts import is_mark
from crmeval.tasks import use_cases
from crmeval.tasks.use_cases import get_use_case

OWN = {
    "id": "sales_planted_note",
    "name": "Sales: Planted Note",
    "cloud": "sales",
    "task": "generation",
    "flavour": "short",
    "timing": "asynchronous",
    "calls_per_year": 20_000,
    "volume_basis": "invented",
    "inputs": {"history": "What happened"},
    "output": "One paragraph",
    "prompt": "Say zebraprompt.\n\n{history}\n\n{instructions}",
    "instructions": [{"kind": "max_words", "n": 60, "text": "Use zebrarule at most 60 words."}],
}
PLANTED = (
    *("zebraprompt", "zebrarule", "zebrasource", "zebraanswer", "zebrafact", "zebrawish", "zebrareference"),
    *("zebratag", "zebrathought", "zebraerror", "zebrarecord", "zebravariant"),
)


class Talker:
    "A client with a planted word in every field; the samples whose id ends in 4 fail and quote their prompt."

    provider, model, cacheable = "own", "m", True

    def __init__(self, name="talker"):
        self.name, self.asked = name, []

    def settings(self):
        return {"model": self.name}

    async def answer(self, sample, prompt, repeat=0):
        self.asked.append(sample.id)
        if sample.id.endswith("4"):
            raise CallFailed(
                f"the content filter dislikes zebraerror in {prompt}", status="refused", retryable=False
            )
        text = f"The zebraanswer of {sample.id} says the zebrasource is here. It was never so."
        options = {
            "usage": Usage(10, 5),
            "reasoning": "a zebrathought",
            "model": "m of zebraanswer",
            "latency_s": 0.5,
        }
        return Response(sample.id, self.name, text, use_case=sample.use_case, **options)

    async def aclose(self):
        "Nothing to release."


def samples(use_case=OWN["id"], field="history", n=6):
    return [
        Sample(
            f"s{i}",
            use_case,
            {field: f"Customer: The zebrasource {i} is here."},
            (f"The zebrafact {i} is here.",),
            ({"kind": "judge", "text": "Mention a zebrawish."},),
            f"A zebrareference {i}.",
            {"note": "zebrarecord"},
            tags={"region": ["north", "south"][i % 2], "note": "zebratag"},
        )
        for i in range(n)
    ]


def own_run(folder, client, **more):
    "Start a run without texts that has its own use case and a slice; `more` adds prompts or a judge."
    path = folder / "own.json"
    path.write_text(json.dumps([OWN]), encoding="utf-8")
    options = {"own_use_cases": str(path), "slices": ["region"], "no_texts": True, "progress": False}
    return run([client], data=samples(), out=folder / "run", **options | more)


def texts_in(folder):
    "Return (file, planted word) for every file of the folder, including compressed Parquet and HTML parts."
    found = set()
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        if path.suffix == ".html":
            data += unpacked(data)
        found |= {(path.name, word) for word in PLANTED if word.encode() in data}
    return found


def unpacked(data):
    "Return the decompressed texts of a report."
    import base64
    import re
    import zlib

    out = b""
    for piece in re.findall(rb"[A-Za-z0-9+/=]{200,}", data):
        for wbits in (31, 15, -15):
            try:
                out += zlib.decompress(base64.b64decode(piece), wbits)
                break
            except (zlib.error, ValueError):
                continue
    return out


def test_the_search_finds_what_is_there(tmp_path):
    "The same run with texts: the search finds the planted words."
    own_run(tmp_path, Talker(), no_texts=False)
    write_report(tmp_path / "run")
    texts = texts_in(tmp_path / "run")
    assert {word for _, word in texts} == set(PLANTED) - {"zebravariant"}
    assert {"journal.jsonl", "samples.parquet", "responses.parquet", "manifest.json", "report.html"} <= {
        f for f, _ in texts
    }


def test_no_text_stands_anywhere(tmp_path, server):
    "Also with a remote judge, whose replies quote the answer."
    variant = PromptVariant("mine", {OWN["id"]: "The zebravariant.\n\n{history}\n\n{instructions}"})
    judge = {"judge": ["openai:stub"], "judge_base_url": server.url, "judge_api_key_env": "OPENAI_API_KEY"}
    client = Talker()
    done = own_run(tmp_path, client, prompts=[variant], **judge)
    write_report(done)
    assert texts_in(tmp_path / "run") == set()
    assert any(s.points is not None for s in done.scores)


def test_it_opens_again_and_says_so(tmp_path):
    done = own_run(tmp_path, Talker())
    use_cases._ADDED.clear()
    again = open_run(done.folder)
    assert [r.key for r in again.responses] == [r.key for r in done.responses]
    assert all(is_mark(r.text) for r in again.responses if r.status == "ok")
    (row,) = leaderboard(again)
    assert row.n == 5 and row.answers == {"refused": 1} and row.unchecked[1] > 0
    page = write_report(again).read_text(encoding="utf-8")
    assert "Texts were not kept" in page and 'id="slices"' in page
    assert texts_in(done.folder) == set()


def test_what_is_done_stays_done(tmp_path):
    client = Talker()
    first = own_run(tmp_path, client)
    n = len(client.asked)
    second = own_run(tmp_path, client)
    assert client.asked[n:] == ["s4"]  # refused calls are retried in any run
    assert [(s.metric, s.points) for s in second.scores] == [(s.metric, s.points) for s in first.scores]
    assert [r for r in second.responses if r.text] == [r for r in first.responses if r.text]


def test_an_answer_without_its_scores_is_asked_again(tmp_path):
    "As after a kill between answer and scores: without the text the answer cannot be judged."
    client = Talker()
    first = own_run(tmp_path, client)
    journal = tmp_path / "run/journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    lost = next(line for line in lines if '"kind":"scores"' in line and '"s2"' in line)
    journal.write_text("".join(line for line in lines if line != lost), encoding="utf-8")
    n = len(client.asked)
    second = own_run(tmp_path, client)
    assert client.asked[n:] == ["s2", "s4"]
    assert [(s.metric, s.points) for s in second.scores] == [(s.metric, s.points) for s in first.scores]
    assert texts_in(tmp_path / "run") == set()


def test_one_kind_does_not_continue_the_other(tmp_path):
    own_run(tmp_path, Talker())
    with pytest.raises(ValueError, match="was made without texts, and this run is to go with them"):
        own_run(tmp_path, Talker(), no_texts=False)
    fresh = own_run(tmp_path, Talker(), no_texts=False, fresh=True)
    with pytest.raises(
        ValueError, match="holds texts, and this run is to go without them: take another folder"
    ):
        own_run(tmp_path, Talker())
    assert any("zebraanswer" in (r.text or "") for r in fresh.responses)


def test_what_needs_texts_is_refused(tmp_path, capsys):
    from crmeval.metrics.defaults import default_judge

    done = own_run(tmp_path, Talker())
    with pytest.raises(ValueError, match="cannot be scored again"):
        score_run(done, default_judge())
    assert main(["rate", str(done.folder), "--raters", "ann"]) == 2
    assert "cannot be rated by people" in capsys.readouterr().err
    (done.folder / "rating").mkdir()
    (done.folder / "rating/plan.json").write_text("{}")
    with pytest.raises(ValueError, match="people can rate only what they can read"):
        own_run(tmp_path, Talker())
    for words, message in (
        (["--add"], "nothing beside --add"),
        (["--area", "safety"], "trust is measured on texts"),
    ):
        assert main(["run", "--no-texts", *words, "--out", str(tmp_path / "x")]) == 2
        err = capsys.readouterr().err
        assert message in err or "--area" in err


def test_it_is_compared_with_a_run_that_has_texts(tmp_path):
    plain = samples("service_live_chat_summary", "conversation")
    options = {"data": plain, "progress": False}
    bare = run([Talker()], out=tmp_path / "bare", no_texts=True, slices="region", **options)
    full = run([Talker("other")], out=tmp_path / "full", **options)
    comparison = compare(bare, full, slices="region")
    assert comparison.n == 6 and comparison.differences["factuality"].value == 0
    assert [g.group for g in comparison.groups] == ["north", "south"]


def test_a_dry_run_counts_what_is_done(tmp_path):
    plain = samples("service_live_chat_summary", "conversation")
    options = {"data": plain, "out": tmp_path / "run", "no_texts": True}
    run(["baseline:lead"], progress=False, **options)
    assert dry_run(["baseline:lead"], **options).samples == 6


def test_a_table_of_answers_without_texts(tmp_path, capsys):
    table = tmp_path / "chats.csv"
    table.write_text(
        "Chat,Answer,Stars\nThe zebrasource is here.,The zebraanswer is here.,4\n", encoding="utf-8"
    )
    words = [
        "score-file",
        str(table),
        "--column",
        "conversation=Chat",
        "--use-case",
        "service_live_chat_summary",
    ]
    words += f"--responses ours=Answer --rating csat=Stars:1-5 --no-texts --out {tmp_path / 'run'}".split()
    assert main(words) == 0
    assert (tmp_path / "run/scored.csv").is_file()
    assert texts_in(tmp_path / "run") == set()
    assert "csat of ours: 4.00" in capsys.readouterr().out
    assert get_use_case("service_live_chat_summary").prompt
