"A model that judges its own answers is told, and a stopped judge promises nothing that is not kept."

import endpoint
import pytest

from crmeval import run
from crmeval.cli.app import main
from crmeval.runs.folder import open_run
from crmeval.validation import label_judges, own_judge

OWN = "is judged by its own model"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", endpoint.KEY)
    httpd = endpoint.start()
    yield httpd
    endpoint.stop(httpd)


def told(folder):
    return [w.split(f" {OWN}")[0] for w in open_run(folder).manifest.warnings if OWN in w]


@pytest.mark.parametrize(
    "judge, model, own",
    [("openai:judge", "good", False), ("openai:judge", "judge", True), ("openai:x/Judge", "judge", True)],
)
def test_a_run_tells_who_is_judged_by_its_own_model(server, tmp_path, judge, model, own, monkeypatch):
    answer = endpoint.answer

    def answering(name, messages, headers={}):
        asked = "<<<BEGIN name" in messages[0]["content"]
        return answer("judge" if asked else "good", messages, headers)

    monkeypatch.setattr(endpoint, "answer", answering)
    run(
        [f"openai:{model}", "baseline:lead"],
        base_url=server.url,
        judge=["embedded", judge],
        judge_base_url=server.url,
        use_cases="service_call_summary",
        limit=1,
        out=tmp_path / "run",
        progress=False,
    )
    assert told(tmp_path / "run") == ([f"openai:{model}"] if own else [])


def test_scoring_again_by_the_own_model_is_told_once(server, tmp_path, capsys):
    run(
        "openai:stub-of-none",
        base_url=server.url,
        use_cases="service_call_summary",
        limit=1,
        out=tmp_path / "run",
        retries=0,
        progress=False,
    )
    again = ["score", str(tmp_path / "run"), "--judge", "openai:stub-of-none", "--judge-base-url", server.url]
    for _ in range(2):
        main(again)
        assert told(tmp_path / "run") == ["openai:stub-of-none"]
    assert OWN in capsys.readouterr().out


@pytest.mark.parametrize("name, room", [("mtrag-fluency", own_judge), ("xstest-refusal", label_judges)])
def test_a_stopped_judge_on_labelled_data_says_that_nothing_is_kept(name, room, monkeypatch, capsys):
    def stopped(*args, **options):
        raise KeyboardInterrupt

    measures, looks = (next(n for n in room.__all__ if n.startswith(w)) for w in ("measure_", "look_ahead"))
    monkeypatch.setattr(room, measures, stopped)
    monkeypatch.setattr(room, looks, lambda *args, **options: "3 calls")
    asked = ["--judge", "openai:any", "--judge-base-url", "http://127.0.0.1:9/v1"]
    assert main(["agreement", name, *asked, "--yes"]) == 130
    told = capsys.readouterr().err
    assert "is not kept" in told and "go on" not in told
