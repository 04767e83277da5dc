"A panel of judges over an endpoint, in a run, in threads and processes, and with all metrics."

import asyncio
import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from endpoint import KEY

from crmeval.core.judging import Judge, Verdict
from crmeval.judges.llm import LLMJudge
from crmeval.judges.panel import Panel, Repeated, combine_verdicts
from crmeval.judges.recorded import RecordedJudge, load_verdicts, merge_verdicts, save_verdicts
from crmeval.metrics.completeness import completeness
from crmeval.metrics.conciseness import conciseness
from crmeval.metrics.defaults import default_judge
from crmeval.metrics.factuality import factuality
from crmeval.metrics.instruction_following import instruction_following
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.runs.specs import make_panel

SOURCE = "Caller: the line is dead. Agent: a technician comes on 14 May. The visit is free."
RESPONSE = (
    "Dear Ms Okafor,\nThe line is dead. A technician comes on 17 May. The line is dead.\nKind regards\nMei"
)
FACTS = ["The line is dead.", "The visit is free."]


def llm(server, model="stub", **options):
    return LLMJudge(model, base_url=server.url, **{"retries": 0, **options})


def scores(judge):
    return [
        factuality(RESPONSE, source=SOURCE, judge=judge),
        completeness(RESPONSE, key_facts=FACTS, judge=judge),
        conciseness(RESPONSE, key_facts=FACTS, judge=judge),
        instruction_following(RESPONSE, instructions=["Greet by name."], judge=judge),
    ]


def test_the_record_of_a_panel_scores_as_the_panel_itself(server):
    panel = make_panel(["openai:stub", "openai:judge", "embedded"], base_url=server.url, retries=0)
    assert isinstance(panel, Judge) and panel.name == "panel(majority): openai:stub & openai:judge & embedded"
    record = asyncio.run(panel.arecord(scores))
    calls = len(server.bodies)
    assert record.usage.calls == panel.usage.calls == calls == 6
    on_record = scores(record)
    assert len(server.bodies) == calls, "a record sends no request"
    assert [(s.points, s.fraction, s.status) for s in on_record] == [
        (s.points, s.fraction, s.status) for s in scores(panel)
    ]
    assert {s.rater.removeprefix("rule+") for s in on_record} == {panel.name} and all(
        s.status == "ok" for s in on_record
    )
    assert (
        "openai:stub: no" in on_record[0].evidence[0]["reason"]
        and "embedded:" in on_record[0].evidence[0]["reason"]
    )
    assert set(record.members) == {"openai:stub", "openai:judge", "embedded"}


def test_three_equal_members_score_as_one(server):
    alone, three = llm(server), Panel([llm(server) for _ in range(3)])
    assert [(s.points, s.fraction) for s in scores(alone)] == [(s.points, s.fraction) for s in scores(three)]
    assert three.members == ["openai:stub", "openai:stub (2)", "openai:stub (3)"]
    assert three.steadiness()["split"].value == 0


def test_repeats_are_real_calls_and_each_is_remembered(server):
    panel = make_panel(["openai:stub"], base_url=server.url, repeats=3, retries=0, temperature=0.7)
    assert isinstance(panel, Repeated) and panel.name == "openai:stub x 3"
    panel.supported(FACTS, source=SOURCE)
    assert len(server.bodies) == 3 and {json.loads(b)["temperature"] for b in server.bodies} == {0.7}
    panel.supported(FACTS, source=SOURCE)
    assert len(server.bodies) == 3 and panel.usage.remembered == 3
    record = asyncio.run(panel.arecord(scores))
    assert record.usage.calls == 9 and len(record.members) == 3
    assert asyncio.run(panel.arecord(scores)).usage.calls == 0


def test_members_that_fail_are_left_out_named_and_counted(server):
    panel = Panel([llm(server), llm(server, "judge"), llm(server, "denied"), llm(server, "refuse")])
    record = asyncio.run(panel.arecord(scores))
    assert {v.status for v in record._verdicts.values()} == {"api_error"}, (
        "two of four is no majority; the first of equally frequent failures counts"
    )
    lenient = Panel(panel.judges, quorum=2)
    v = lenient.supported(["The line is dead."], source=SOURCE)[0]
    assert (
        v.yes is True
        and "openai:denied: api_error" in v.reason
        and "openai:refuse: refused" in v.reason
        and "2 of 2 say yes" in v.reason
    )
    table = {r["member"]: r for r in lenient.members_table()}
    assert (
        table["openai:stub"]["answered"],
        table["openai:denied"]["api_error"],
        table["openai:refuse"]["refused"],
    ) == (1, 1, 1)
    assert panel.usage.failures["api_error"] >= 3 and KEY not in json.dumps(
        [v.reason for v in record._verdicts.values()]
    )


def test_the_embedded_judge_abstains_from_instructions_and_does_not_block_them(server):
    two = make_panel(["embedded", llm(server)])
    assert two.followed(["Greet by name."], response=RESPONSE)[0].yes is True
    assert (
        Panel([default_judge(), copy.copy(default_judge())]).followed(["Greet."], response=RESPONSE)[0].status
        == "undefined"
    )
    gone = Panel([default_judge(), llm(server, "denied")]).followed(["Greet."], response=RESPONSE)[0]
    assert (gone.yes, gone.status) == (None, "api_error")


def test_a_replay_without_the_verdict_has_failed_and_not_abstained():
    full, empty = RecordedJudge("a"), RecordedJudge("b")
    full.add("supported", ["x"], [Verdict(True)], context="s")
    assert Panel([full, empty]).supported(["x"], source="s")[0].yes is None
    assert Panel([full, copy.copy(full), empty]).supported(["x"], source="s")[0].yes is True


def test_a_panel_record_is_a_file_like_any_other(server, tmp_path):
    record = asyncio.run(Panel([llm(server), default_judge()], "mean").arecord(scores))
    again = load_verdicts(save_verdicts(record, tmp_path / "v.jsonl"))
    assert (again.name, len(again)) == (record.name, len(record))
    assert [(s.points, s.fraction) for s in scores(again)] == [(s.points, s.fraction) for s in scores(record)]
    merged = scores(merge_verdicts([again, again]))  # votes survive reading and merging
    assert [s.fraction for s in merged] == [s.fraction for s in scores(record)]


def test_the_rubric_style(server):
    panel = make_panel(
        [f"openai:stub@{server.url}", f"openai:judge@{server.url}"], how="mean", style="rubric", retries=0
    )
    record = asyncio.run(panel.arecord(scores))
    assert (panel.style, record.style, record.usage.calls) == ("rubric", "rubric", 2)
    assert {s.points for s in scores(record)} == {3} and len(server.bodies) == 2
    with pytest.raises(ValueError, match="of one style"):
        Panel([llm(server), llm(server, style="rubric")])
    with pytest.raises(ValueError, match="small questions only"):
        make_panel(["embedded", f"openai:stub@{server.url}"], style="rubric")


def test_threads_event_loops_and_processes(server):
    panel = Panel([llm(server), llm(server, "judge")])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: panel.supported(FACTS, source=SOURCE), range(8)))
    assert len({str(a) for a in answers}) == 1 and len(server.bodies) == 2
    assert panel.steadiness()["split"].n == 16

    async def inside():
        return panel.supported(FACTS, source=SOURCE)

    assert asyncio.run(inside()) == answers[0]
    copy = pickle.loads(pickle.dumps(panel))
    assert copy.settings() == panel.settings() and KEY not in json.dumps(panel.settings())
    assert copy.supported(FACTS, source=SOURCE)[0].yes == answers[0][0].yes
    asyncio.run(panel.aclose())


def test_a_panel_inside_a_panel(server):
    outer = Panel(
        [Panel([llm(server), llm(server, "judge")], name="llms"), default_judge(), Repeated(llm(server), 2)]
    )
    record = asyncio.run(outer.arecord(scores))
    assert outer.name == "panel(majority): llms & embedded & openai:stub x 2"
    assert record.usage.calls == 12 and all(s.status == "ok" for s in scores(record))


def test_a_run_with_a_panel(server, tmp_path):
    panel = make_panel(["embedded", "openai:stub"], base_url=server.url, retries=0)
    done = run(
        "baseline:lead",
        data="demo",
        use_cases="service_call_summary",
        limit=2,
        judge=panel,
        out=tmp_path / "r",
        progress=False,
    )
    judge_record = open_run(tmp_path / "r").manifest.judge
    assert {s.rater for s in done.scores if s.metric == "factuality"} == {panel.name}
    assert judge_record["how"] == "majority" and [m["name"] for m in judge_record["members"]] == [
        "embedded",
        "openai:stub",
    ]
    assert (
        judge_record["usage"]["calls"] == len(server.bodies) > 0 and "finesure" in judge_record["trained_on"]
    )
    assert KEY not in (tmp_path / "r" / "manifest.json").read_text()
    before = len(server.bodies)
    run(
        "baseline:lead",
        data="demo",
        use_cases="service_call_summary",
        limit=2,
        judge=make_panel(["embedded", "openai:stub"], base_url=server.url, retries=0),
        out=tmp_path / "r",
        progress=False,
    )
    assert len(server.bodies) == before, "a second run of the same panel sends no request"


@pytest.mark.parametrize("how", ["majority", "mean"])
def test_the_order_of_the_members_decides_nothing(how):
    import itertools

    fine = [Verdict(True, 0.9), Verdict(False, 0.3), Verdict(True), Verdict(None, status="api_error")]
    rated = [Verdict(p >= 3, points=p) for p in (1, 3, 4)]
    for votes in (fine, rated):
        names = "abcd"[: len(votes)]
        found = {
            (v.yes, round(v.probability, 9), v.points, v.status)
            for p in itertools.permutations(votes)
            for v in [combine_verdicts(p, names, how=how)]
        }
        assert len(found) == 1


@pytest.mark.parametrize("how", ["majority", "mean"])
def test_one_more_yes_never_turns_a_yes_into_a_no(how):
    import itertools

    for k in (1, 2, 3, 4):
        for votes in itertools.product([True, False], repeat=k):
            before = combine_verdicts([Verdict(v) for v in votes], range(k), how=how).yes
            after = combine_verdicts([Verdict(v) for v in (*votes, True)], range(k + 1), how=how).yes
            assert after or not before, votes


# ---- names, quorum, failing members


class Says:
    def __init__(self, name, error=None):
        self.name, self.error = name, error

    def supported(self, sentences, *, source):
        if self.error:
            raise self.error
        return [Verdict(True) for _ in sentences]

    def stated(self, facts, *, sentences):
        return self.supported(facts, source="")

    def followed(self, instructions, *, response):
        return self.supported(instructions, source="")


def about(source):
    return lambda judge: factuality("The line is dead.", source=source, judge=judge)


@pytest.mark.parametrize(
    "names", [["a", "a", "a (2)"], ["a (2)", "a", "a"], ["a", "a (2)", "a", "a (2)"], ["a", "a", "a"]]
)
def test_members_have_names_of_their_own(names):
    panel = Panel([Says(n) for n in names])
    assert len(set(panel.members)) == len(names) and len(panel.members_table()) == len(names)
    record = asyncio.run(panel.arecord(about("The line is dead.")))
    assert len(record.members) == len(names)


def test_one_judge_twice_is_refused():
    judge = Says("a")
    with pytest.raises(ValueError, match="the same judge is listed twice.*Repeated"):
        Panel([judge, Says("b"), judge])
    assert Repeated(judge, 2).members == ["repeat 1", "repeat 2"]


@pytest.mark.parametrize("quorum", [1.5, True, 2.0, "2", 0, 3])
def test_a_quorum_is_a_whole_number_of_members(quorum):
    with pytest.raises(ValueError, match="quorum is"):
        Panel([Says("a"), Says("b")], quorum=quorum)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("planted-secret"),
        KeyError("planted-secret"),
        ConnectionError("x"),
        json.JSONDecodeError("x", "y", 0),
    ],
)
def test_a_member_that_breaks_has_failed(error):
    panel = Panel([Says("a"), Says("b"), Says("c", error)])
    verdict = panel.supported(["The line is dead."], source="x")[0]
    assert verdict.yes and "c: api_error" in verdict.reason and "planted-secret" not in verdict.reason
    record = asyncio.run(panel.arecord(about("x")))
    assert record.supported(["The line is dead."], source="x")[0].yes and list(record.members) == ["a", "b"]
    assert (
        Panel([Says("a"), Says("c", error)]).supported(["The line is dead."], source="x")[0].status
        == "api_error"
    )


def test_a_mistake_in_the_question_is_raised():
    with pytest.raises(ValueError, match="too long"):
        Panel([Says("a"), Says("c", ValueError("too long"))]).supported(["x"], source="x")
