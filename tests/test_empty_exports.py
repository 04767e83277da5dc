"Exporting a run without a single response: every target reports it, and nothing is written."

import sys
from dataclasses import replace
from types import ModuleType

import pytest

from crmeval.bridges.run_spans import run_spans, write_run_spans
from crmeval.cli.app import main
from crmeval.cli.export import FORMS
from crmeval.core.records import Response, Sample, Score
from crmeval.runs.folder import Run, open_run, write_run

BARE = {"created": "2026-01-01T00:00:00+00:00", "samples": {}, "clients": [], "judge": {}, "scoring": ""}


@pytest.mark.parametrize("to", FORMS)
def test_no_target_takes_nothing(tmp_path, monkeypatch, capsys, to):
    for name in ("mlflow", "wandb"):  # neither library may be called
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    folder = tmp_path / "run"
    write_run(Run(folder, BARE, [Sample("s", "service_call_summary", {"transcript": "x"})], [], []))
    before = sorted(p.name for p in tmp_path.rglob("*"))
    assert main(["export", str(folder), "--to", to]) == 2
    assert "there is nothing to write: the run has no responses" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_spans_that_fail_half_way_leave_what_was_there(tmp_path):
    case, folder = "service_call_summary", tmp_path / "run"
    samples = [Sample(f"s{i}", case, {"transcript": "x"}) for i in range(3)]
    answers = [Response(s.id, "m", "t", use_case=case, created=BARE["created"]) for s in samples]
    answers[2] = replace(answers[2], created=None)
    scores = [Score("accuracy", 2.0, rater="j", sample_id="s1", client="m", use_case=case)]
    write_run(Run(folder, BARE | {"created": ""}, samples, answers, scores))
    (tmp_path / "spans.jsonl").write_text("earlier\n")
    for large in (None, 1):
        with pytest.raises(ValueError, match="a span needs a time"):
            write_run_spans(open_run(folder, large=large), tmp_path / "spans.jsonl")
        assert (tmp_path / "spans.jsonl").read_text() == "earlier\n"
        assert not list(tmp_path.glob("*.part"))
    write_run(Run(folder, BARE, samples, answers[:2], scores))
    small, large = (open_run(folder, large=n) for n in (None, 1))
    assert run_spans(small) == run_spans(large) and len(run_spans(large)) == 3
