"Custom use cases: on the command line, in a plan, and read again by a new process."

import json

import pytest
from commands import crmeval

from crmeval.cli.app import main
from crmeval.core.judging import Verdict
from crmeval.core.records import Response, Sample, Usage
from crmeval.pages.board import leaderboard_table
from crmeval.pages.compare import compare
from crmeval.pages.compare_page import compare_html
from crmeval.pages.leaderboard import leaderboard
from crmeval.pages.report import write_report
from crmeval.runs.dry_run import dry_run
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.runs.scoring_again import score_run
from crmeval.tasks import use_cases

CHURN = {
    "id": "sales_churn_note",
    "name": "Sales: Churn Note",
    "cloud": "sales",
    "task": "generation",
    "flavour": "short",
    "timing": "asynchronous",
    "calls_per_year": 20_000,
    "inputs": {"history": "What happened with this account"},
    "output": "One paragraph",
    "prompt": "Say whether this account may leave.\n\n{history}\n\n{instructions}",
    "instructions": [{"kind": "max_words", "n": 60, "text": "Use at most 60 words."}],
}


def here(capsys, monkeypatch, folder, *words):
    "Run the command in this process; return its exit code and everything that it printed."
    monkeypatch.chdir(folder)
    try:
        code = main(list(words))
    except SystemExit as e:
        code = e.code
    out = capsys.readouterr()
    return code, out.out + out.err + (code if isinstance(code, str) else "")


def test_from_a_file_to_a_report(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.json").write_text(json.dumps([CHURN]))
    (tmp_path / "notes.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "id": f"a{i}",
                    "history": f"{i} March: the customer ordered {i} more seats.",
                    "key_facts": [f"The customer ordered {i} more seats."],
                }
            )
            + "\n"
            for i in (2, 3)
        )
    )
    words = (
        "run",
        "--data",
        "notes.jsonl",
        "--use-case",
        "churn note",
        "--model",
        "baseline:lead",
        "--out",
        "r",
        "--no-progress",
    )
    code, output = here(capsys, monkeypatch, tmp_path, *words)
    assert code and "unknown use case 'churn note'" in output and not (tmp_path / "r").exists()
    code, output = here(capsys, monkeypatch, tmp_path, *words, "--own-use-cases", "mine.json")
    assert not code, output
    (tmp_path / "mine.json").unlink()
    report = crmeval("report", "r", cwd=tmp_path)
    assert report.returncode == 0 and "Churn Note" in (tmp_path / "r" / "report.html").read_text(
        encoding="utf-8"
    ), report.stderr


def test_a_file_that_cannot_work_is_refused_in_a_sentence(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.json").write_text(json.dumps([{**CHURN, "prompt": "Say something."}]))
    code, output = here(capsys, monkeypatch, tmp_path, "run", "--own-use-cases", "mine.json")
    assert code and "mine.json: use case 'sales_churn_note': prompt fills no field in braces" in output


@pytest.mark.parametrize(
    "change,message",
    [
        ({"id": "Churn Note"}, "lower-case"),
        ({"task": "poem"}, "task is 'poem'"),
        ({"calls_per_year": 0}, "whole number from 1"),
        ({"inputs": {}}, "inputs is"),
        ({"instructions": [{"kind": "max_words"}]}, "'kind' and 'text'"),
        ({"colour": "red"}, "colour"),
        ({"id": "service_call_summary"}, "known already"),
    ],
)
def test_what_cannot_be_meant(change, message):
    with pytest.raises(ValueError, match=message):
        use_cases.add_use_case({**CHURN, **change})
    assert not use_cases._ADDED


def test_the_shipped_ones_stay_as_they_are():
    before = dict(use_cases.use_cases())
    use_cases.add_use_case(CHURN)
    assert (
        list(use_cases.use_cases()) == [*before, "sales_churn_note"]
        and {k: v for k, v in use_cases.use_cases().items() if k in before} == before
    )
    assert use_cases.own_use_cases(list(before)) == []


class Paid:
    "A system under test whose 1,000 answers cost one US dollar."

    provider, cacheable = "test", True

    def __init__(self, model):
        self.name, self.model = f"test:{model}", model

    def settings(self):
        return {"provider": self.provider, "model": self.model}

    async def answer(self, sample, prompt, *, repeat=0):
        assert prompt.startswith("Say whether this account may leave.")
        used = Usage(1000, 0, calls=1)
        return Response(sample.id, self.name, f"{sample.source} It will stay.", usage=used)

    async def aclose(self):
        pass


class Watching:
    "A judge that always says yes and records the use cases that its thread can see."

    def __init__(self, name="watching"):
        self.name, self.known, self.added = name, set(), set()

    def _yes(self, items):
        self.known |= set(use_cases.use_cases())
        self.added |= set(use_cases._ADDED)
        return [Verdict(True, lines=[0]) for _ in items]

    def supported(self, sentences, *, source):
        return self._yes(sentences)

    def stated(self, facts, *, sentences):
        return self._yes(facts)

    def followed(self, instructions, *, response):
        return self._yes(instructions)


def churn_note(n):
    history = f"{n} March: the customer ordered {n} more seats."
    return Sample(f"a{n}", CHURN["id"], {"history": history}, key_facts=[f"{n} more seats."])


def plan_of(folder, judge, **change):
    "Return a plan whose use case is defined only in its file."
    folder.mkdir()
    path = folder / "mine.json"
    path.write_text(json.dumps([{**CHURN, **change}]), encoding="utf-8")
    settings = {"data": [churn_note(2), churn_note(3)], "models": [Paid("a"), Paid("b")]}
    return {**settings, "judge": judge, "own_use_cases": str(path), "out": folder / "run"}


def test_a_whole_run_knows_what_only_its_plan_says(tmp_path):
    "In prompts, scoring threads and the manifest; not registered in the process while the run goes on."
    judge, again = Watching(), Watching("again")
    plan = plan_of(tmp_path / "a", judge)
    assert dry_run(plan=plan).calls == 4 and not use_cases._ADDED
    done = run(plan=plan, progress=False)
    assert {(r.status, r.use_case) for r in done.responses} == {("ok", CHURN["id"])}
    assert CHURN["id"] in judge.known and not judge.added
    assert not [s.reason for s in done.scores if s.status != "ok"]
    assert [u["id"] for u in done.manifest.own_use_cases] == [CHURN["id"]]
    use_cases._ADDED.clear()
    assert {s.rater for s in score_run(done, again).scores} >= {"watching", "again"}
    assert CHURN["id"] in again.known and not again.added


def yearly(run):
    "Return the yearly cost of each system in US dollars."
    prices = {"test:a": (1, 1), "test:b": (1, 1)}
    return [row.cost_per_year for row in leaderboard(run, prices=prices)]


def test_two_runs_with_one_name_are_read_each_in_its_own_terms(tmp_path):
    small = run(plan=plan_of(tmp_path / "small", Watching()), progress=False)
    plan = plan_of(tmp_path / "large", Watching(), calls_per_year=7_000_000, name="Sales: Loss Note")
    large = run(plan=plan, progress=False)
    for both in (
        (small, large),
        (open_run(small.folder), open_run(large.folder)),
        (small.folder, large.folder),
    ):
        assert [yearly(r) for r in both] == [[20, 20], [7000, 7000]]
    for done, name in (small, "Churn Note"), (large, "Loss Note"):
        page = write_report(done).read_text(encoding="utf-8").partition("<h2>Manifest")[0]
        assert name in page


def test_a_run_in_hand_can_be_shown_everywhere(tmp_path):
    done = run(plan=plan_of(tmp_path / "a", Watching()), progress=False)
    comparison = compare(done, client_a="a", client_b="b")
    shown = [leaderboard_table(done).html(), compare_html(comparison), write_report(done).read_text()]
    assert ["Churn Note" in text for text in shown] == [True] * 3
