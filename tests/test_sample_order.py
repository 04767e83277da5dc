"The order of answers by a metric over all pages of a report, from lists and from tables."

import random
from pathlib import Path

import pytest

from crmeval.cli.app import main
from crmeval.core.records import Response, Sample, Score
from crmeval.pages import scored_answers as room
from crmeval.pages.samples import sample_files
from crmeval.pages.scored_answers import scored_answers
from crmeval.runs.folder import Run, open_run, write_run

CASE, METRICS = "service_call_summary", ("accuracy", "factuality", "fluency")


def _odd_run(folder, seed):
    "Write a run with missing scores, scores without points, two judges, and raters who disagree."
    rng = random.Random(seed)
    samples = [Sample(f"s{i}", CASE, {"transcript": f"Call {i}."}) for i in range(rng.randint(1, 12))]
    responses, scores = [], []
    for client in rng.sample(["m:a", "m:b", "m:c"], rng.randint(1, 3)):
        for s in rng.sample(samples, rng.randint(1, len(samples))):
            responses.append(Response(s.id, client, f"{client} on {s.id}", use_case=CASE))
            for rater, method in (("x", "auto"), ("y", "auto"), ("ann", "manual"), ("bo", "manual")):
                for metric in rng.sample(METRICS, rng.randint(0, 3)):
                    points = rng.choice([None, 1.0, 2.0, 2.5, 4.0])
                    key = {"sample_id": s.id, "client": client, "use_case": CASE}
                    status = "ok" if points else "undefined"
                    scores.append(Score(metric, points, rater=rater, method=method, status=status, **key))
    bare = {"created": "", "samples": {}, "clients": [], "judge": {}, "scoring": ""}
    return write_run(Run(Path(folder), bare, samples, responses, scores))


def _told(files):
    return [[(a.sample.id, a.response.client, a.judge) for a in f.answers] for f in files]


@pytest.mark.parametrize("seed", range(8))
def test_tables_and_lists_have_the_same_order(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(room, "_AT_ONCE", 3)  # several small blocks
    _odd_run(tmp_path, seed)
    of_lists, of_tables = (open_run(tmp_path, large=n) for n in (None, 1))
    known = {m for a in scored_answers(of_lists) for m in a.points}
    for metric in METRICS:
        if metric not in known:
            with pytest.raises(ValueError, match=f"no answer has points by '{metric}'"):
                sample_files(of_tables, order=metric)
            continue
        files = [sample_files(r, order=metric, per_file=4) for r in (of_lists, of_tables)]
        assert _told(files[0]) == _told(files[1])
        points = [a.points.get(metric, 9.0) for f in files[1] for a in f.answers]
        assert points == sorted(points)
        assert max(len(f.answers) for f in files[1]) <= 4
        everything = [k for part in _told(sample_files(of_tables)) for k in part]
        assert sorted(k for part in _told(files[1]) for k in part) == sorted(everything)


def test_the_command_orders_pages_and_refuses_what_is_no_metric(tmp_path, capsys):
    folder = tmp_path / "run"
    write_run(_odd_run(folder, 1))
    assert main(["report", str(folder), "--samples", "all", "--order", "accuracy"]) in (0, 1)
    assert (folder / "report.html").is_file()
    (folder / "report.html").unlink()
    capsys.readouterr()
    assert main(["report", str(folder), "--order", "acuracy"]) == 2
    assert "did you mean 'accuracy'?" in capsys.readouterr().err
    assert not (folder / "report.html").exists()
