"Operations on a run processed from its tables leave the same files as on the same run loaded as lists."

import json
import random
import shutil
import sys
import types
from collections import Counter
from pathlib import Path

import pytest

from crmeval.bridges import export_files, trackers
from crmeval.bridges.export_files import export_dataset, export_file
from crmeval.core.evidence import Evidence
from crmeval.core.judging import Verdict
from crmeval.core.records import Response, Sample, Score
from crmeval.metrics.accuracy import CRITERIA
from crmeval.pages import erase as erase_room
from crmeval.pages.erase import erase
from crmeval.people.in_runs import add_ratings, read_ratings
from crmeval.people.plan import make_plan
from crmeval.runs import folder as run_folder
from crmeval.runs.folder import Run, open_run, write_run
from crmeval.runs.scoring_again import score_run

BARE = {"created": "", "samples": {}, "clients": [], "judge": {"name": "j"}, "scoring": ""}
WORDS = (
    "Zo\u00eb",
    "ZO\u00cb",
    "Zoe\u0308",
    "Ann Lee",
    "ann\n  lee",
    'say "Ann Lee"',
    "plain",
    "\u2028 odd",
    "Dr.\tWho",
    "",
)
NOTES = (
    [Evidence("noted", "ann lee was here")],
    [Evidence("missing", "x", about="fact", detail={"who": ["Dr. Who"]})],
    [{"instruction": "in French", "followed": None}],
    [],
)


def asked(rng, n=40):
    "Return samples, responses and scores that contain names in many spellings."
    samples, responses, scores = [], [], []
    for i in range(n):
        text = f"{rng.choice(WORDS)} {i}"
        samples.append(
            Sample(f"s{i}", "service_call_summary", {"transcript": text}, tags={"k": rng.choice(WORDS)})
        )
        for client in ("a:x", "b:y"):
            key = {"sample_id": f"s{i}", "client": client, "use_case": "service_call_summary"}
            responses.append(Response(text=rng.choice(WORDS) * 2 if rng.random() < 0.3 else "t", **key))
            for rater, method in (("j", "auto"), ("ann", "manual")):
                fields = {
                    "reason": rng.choice(WORDS) if rng.random() < 0.1 else "",
                    "rater": rater,
                    "method": method,
                }
                fields |= {"evidence": rng.choice(NOTES) if rng.random() < 0.2 else []}
                label = "good" if rng.random() < 0.1 else None
                scores.append(Score("accuracy", rng.choice([1.0, 2.5, 4.0]), label=label, **fields, **key))
    late = [s for s in scores if s.rater == "ann"]
    return samples, responses, [s for s in scores if s.rater != "ann"] + late


@pytest.fixture(params=range(3))
def runs(request, tmp_path):
    "Write the same run twice, to be opened as lists and in tables."
    rows = asked(random.Random(request.param))
    write_run(Run(tmp_path / "small", dict(BARE), *rows))
    for line in [{"kind": "head"}, *({"kind": "response", "key": [s.id, "", "a:x", 0]} for s in rows[0])]:
        with open(tmp_path / "small" / "journal.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
    shutil.copytree(tmp_path / "small", tmp_path / "large")
    return tmp_path / "small", tmp_path / "large"


def held(path):
    "Return rows, counts and the journal of a folder."
    run = open_run(path, large=10**9)
    counts = run.manifest.responses, run.manifest.scores, run.manifest.samples
    return run.samples, run.responses, run.scores, counts, (path / "journal.jsonl").read_bytes()


@pytest.mark.parametrize(
    "match", ["zo\u00eb", "ann lee", "dr. who", "missing", "not checked", "plain 7", "lee was"]
)
def test_what_is_erased_is_the_same(runs, match, monkeypatch):
    small, large = runs
    outcomes = []
    has_report = match == "ann lee"  # once only: it takes most of the time
    for path, most in ((small, 10**9), (large, 1)):
        monkeypatch.setattr(run_folder, "LARGE", most)
        if not has_report:
            monkeypatch.setattr(erase_room, "write_report", lambda folder: None)
        try:
            outcomes.append(str(erase(path, match=match, sample="s1")))
        except ValueError as e:
            outcomes.append(str(e).replace(str(path), ""))
        monkeypatch.undo()
    assert outcomes[0] == outcomes[1] and ("removed" in outcomes[0] or match == "plain 7")
    assert held(small) == held(large)
    if "removed" not in outcomes[0]:
        return
    assert "s1" not in {s.id for s in open_run(small).samples}
    assert has_report == (small / "report.html").is_file() == (large / "report.html").is_file()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("texts", [True, False])
def test_an_export_is_the_same_file(runs, form, texts):
    small, large = open_run(runs[0]), open_run(runs[1], large=1)
    files = [export_file(r, form, r.folder / f"rows.{form}", texts=texts) for r in (small, large)]
    assert files[0].read_bytes() == files[1].read_bytes() and files[0].stat().st_size > 5000


def ratings_of(run):
    "Return a CSV of ratings by two people: all criteria of some answers."
    lines = ["sample_id,client,metric,points,rater"]
    for s in run.samples[:6]:
        for rater in ("ann", "bob"):
            lines += [f"{s.id},a:x,{metric},{1 + len(lines) % 4},{rater}" for metric in CRITERIA]
    return "\n".join(lines) + "\n"


def rated(score):
    return score.sample_id, score.client, score.rater, score.metric


def test_ratings_that_are_added_are_the_same(runs):
    "Ratings of the same response and criterion are replaced, others stay, and accuracy is recomputed."
    for path, large in zip(runs, (None, 1)):
        run = open_run(path, large=large)
        before = {rated(s) for s in run.scores if s.method == "manual"}
        (path / "ratings.csv").write_text(ratings_of(run), encoding="utf-8")
        done = add_ratings(run, read_ratings(path / "ratings.csv", run))
        assert done.in_tables == bool(large)
        ratings = read_ratings(path / "ratings.csv", run)
        by_hand = [s for s in open_run(path).scores if s.method == "manual"]
        assert len(by_hand) == len(set(map(rated, by_hand)))
        assert set(map(rated, by_hand)) == before | set(map(rated, ratings)) and before - set(
            map(rated, ratings)
        )
        points = {rated(s): s.points for s in by_hand}
        assert all(points[rated(s)] == s.points for s in ratings) and {s.rater for s in ratings} == {
            "ann",
            "bob",
        }
    assert held(runs[0]) == held(runs[1])


class Logged:
    "A fake tracker that records what it is given; it stands for the module too."

    def __init__(self):
        self.summary, self.rows, self.id = {}, None, "1"

    def log(self, told):
        self.rows = told["rows"]

    def finish(self):
        pass


def told_to_wandb(run, monkeypatch, **how):
    logs = []

    def init(**options):
        logs.append(Logged())
        return logs[-1]

    fake = types.SimpleNamespace(init=init, Table=lambda columns, data: (columns, data))
    monkeypatch.setitem(sys.modules, "wandb", fake)
    trackers.export_wandb(run, **how)
    return [(log.rows, log.summary) for log in logs]


def told_to_mlflow(run, monkeypatch, **how):
    files = []

    class Started:
        info = types.SimpleNamespace(run_id="1")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    names = ("set_experiment", "set_tag", "log_params", "log_metrics")
    fake = types.SimpleNamespace(**dict.fromkeys(names, lambda *_: None))
    fake.start_run = lambda run_name: Started()
    fake.log_artifact = lambda path: files.append(Path(path).read_bytes())
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    trackers.export_mlflow(run, **how)
    return files


@pytest.mark.parametrize("texts", [True, False])
def test_trackers_get_the_same_rows(runs, monkeypatch, texts):
    "One tracker run per system, with the columns of its own rows."
    small, large = open_run(runs[0]), open_run(runs[1], large=1)
    for track in (told_to_mlflow, told_to_wandb):
        a, b = (track(run, monkeypatch, texts=texts) for run in (small, large))
        assert a == b and len(a) == 2 and a[0] != a[1]


def test_a_tracker_gets_a_part_of_a_large_run_and_is_told(runs, monkeypatch):
    monkeypatch.setattr(trackers, "WANDB_ROWS", 10)
    small, large = open_run(runs[0]), open_run(runs[1], large=1)
    every, part = (told_to_wandb(run, monkeypatch) for run in (small, large))
    for (rows, summary), (all_rows, _) in zip(part, every):
        ids = [dict(zip(rows[0], row))["sample_id"] for row in rows[1]]
        order = [dict(zip(all_rows[0], row))["sample_id"] for row in all_rows[1]]
        assert len(ids) == 10 and ids == [i for i in order if i in ids] and ids != order[:10]
        assert (summary["rows_of_the_run"], summary["rows_drawn_at_random"]) == (40, 10)


def test_a_dataset_is_the_same_table(runs, monkeypatch):
    "Also for a column that is empty at first and has numbers many rows later."
    from datasets import load_dataset

    monkeypatch.setattr(export_files, "GROUP", 7)
    monkeypatch.setattr(export_files, "_PIECES", 4)
    small, large = open_run(runs[0]), open_run(runs[1], large=1)
    sets = [export_dataset(r, r.folder / "set") for r in (small, large)]
    a, b = (load_dataset(str(s), split="test", cache_dir=str(s.parent / "cache")) for s in sets)
    assert a.features == b.features and a.to_dict() == b.to_dict() and len(b) == 80
    assert len(list(sets[1].glob("data/*.parquet"))) == 3


class Nobody:
    name, trained_on = "nobody", ()

    def settings(self):
        return {"name": self.name}

    def supported(self, sentences, *, source):
        return [Verdict(len(s) % 2 == 0) for s in sentences]

    def stated(self, facts, *, sentences):
        return [Verdict(True) for _ in facts]

    def followed(self, instructions, *, response):
        return [Verdict(True) for _ in instructions]


def test_scores_of_another_judge_are_the_same(runs):
    "In the same order, and twice: the second scoring replaces the first."
    for path, large in zip(runs, (None, 1)):
        (path / "journal.jsonl").unlink()
        for _ in range(2):
            done = score_run(open_run(path, large=large), Nobody())
        assert done.in_tables == bool(large)
        (path / "journal.jsonl").write_bytes(b"")  # of another time
    assert held(runs[0]) == held(runs[1])
    counts = Counter(s.rater for s in open_run(runs[0]).scores if s.metric == "accuracy")
    assert counts == {"j": 80, "ann": 80, "nobody": 80}
    assert not list(runs[1].glob("scores-again*"))


def test_what_people_are_given_to_rate_is_the_same(runs):
    small, large = open_run(runs[0]), open_run(runs[1], large=1)
    options = {"per_rater": 12, "overlap": 0.5, "attention": 2, "seed": 3}
    a, b = (make_plan(r.samples, r.responses, ["ann", "bob"], **options) for r in (small, large))
    assert a.id == b.id and a == b and len(a.items) == 20
