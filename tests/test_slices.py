"Slices: groups of samples by a column of a data file, in every table, and their comparisons."

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest

from crmeval.cli.app import main
from crmeval.core.groups import FLOOR, group_difference
from crmeval.core.records import Response, Sample, Score
from crmeval.core.stats import holm, paired_difference
from crmeval.pages.compare import compare
from crmeval.pages.compare_page import compare_html
from crmeval.pages.report import report_html
from crmeval.pages.slices import slice_board
from crmeval.runs.evaluation import run
from crmeval.runs.folder import Run, as_manifest, open_run
from crmeval.tasks.columns import MAX_GROUPS, columns_apart, groups_by, with_columns
from crmeval.validation.run_agreement import run_agreement

CASE = "service_live_chat_summary"
REGIONS = ["north", "south", "", "<b>west</b>"]
SAID = "Order {i} is late; it left on Monday and arrives on Friday."
INVENTED = "Lawyers from Paris charged 900 euros yesterday."


def table(folder, n=12):
    "Write a CSV whose answers are invented in one region; some columns cannot be slices."
    path = folder / "chats.csv"
    with open(path, "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["Chat", "Region", "Answer", "Other", "Stars", "City", "Spent", "Void"])
        for i in range(n):
            reply = f"I am sorry. Order {i} left on Monday and arrives on Friday."
            chat = f"Customer: My order {i} is late.\nAgent: {reply}"
            good = SAID.format(i=i)
            answer = INVENTED if i % 4 == 1 else good
            out.writerow([chat, REGIONS[i % 4], answer, good, 1 + i % 5, f"town {i}", i / 7, ""])
    return path


def score_file(capsys, folder, *words, n=12):
    "Run `score-file` on the table; return the exit code, everything printed, and the JSON document."
    command = ["score-file", str(table(folder, n)), "--column", "conversation=Chat", "--use-case", CASE]
    code = main([*command, "--responses", "ours=Answer", "--out", str(folder / "run"), "--json", *words])
    out = capsys.readouterr()
    return code, out.out + out.err, json.loads(out.out) if out.out.startswith("{") else None


def test_a_column_of_a_file_becomes_groups_in_every_place(tmp_path, capsys):
    both = ["--responses", "vendor=Other", "--slice", "region"]
    code, _, document = score_file(capsys, tmp_path, *both, n=40)
    assert code == 0
    rows = {(r["system"], r["group"]): r for r in document["slices"]}
    assert {g for _, g in rows} == {"north", "south", "(none)", "<b>west</b>"}
    south = rows["ours", "south"]
    assert (south["column"], south["in words"], south["n"], south["cases"]) == ("Region", "lower", 10, 10)
    assert south["from the others"] == -3 and south["p (Holm)"] < 0.05
    assert rows["vendor", "south"]["in words"] == "not told apart"
    assert document["slices_compared"] == 8
    assert "is lower in Region = south" in document["slices_say"]

    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert 'id="slices"' in page and "is lower in Region = south" in page
    assert "&lt;b&gt;west&lt;/b&gt;" in page and "<b>west</b>" not in page.split('id="manifest"')[0]

    assert main(["report", str(tmp_path / "run"), "--table", str(tmp_path / "t.json"), "--json"]) == 0
    written = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert [r["in words"] for r in written if r.get("group") == "south"] == ["lower", "not told apart"]
    capsys.readouterr()

    side = [f"{tmp_path}/run#{s}" for s in ("ours", "vendor")]
    assert main(["compare", *side, "--json", "--table", str(tmp_path / "c.csv")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {g["group"]: g["difference"]["value"] < -1 for g in document["slices"]}["south"]
    assert "b is better in Region = south (4 comparisons" in document["slices_say"]
    assert "Region = south" in (tmp_path / "c.csv").read_text(encoding="utf-8-sig")
    shown = compare_html(compare(tmp_path / "run", client_a="ours", client_b="vendor"))
    assert 'id="groups"' in shown and "<b>west</b>" not in shown


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("regoin", "did you mean 'Region'? the columns are Chat, Region, Answer"),
        ("City", f"has 24 values ('town 0', 'town 1', 'town 2' ...), expected {MAX_GROUPS} at most"),
        ("spent", "'Spent': the column holds numbers"),
        ("Void", "the column is empty"),
    ],
)
def test_a_column_that_makes_no_groups_is_refused_before_anything_is_scored(
    tmp_path, capsys, column, message
):
    code, out, _ = score_file(capsys, tmp_path, "--slice", column, n=24)
    assert code == 2 and message in out
    assert not (tmp_path / "run").exists()


def test_a_slice_added_later_asks_nothing_anew(tmp_path):
    calls = []

    class Counting:
        name, provider, model, cacheable = "counting", "own", "m", True

        def settings(self):
            return {"model": "m"}

        async def answer(self, sample, prompt, repeat=0):
            calls.append(sample.id)
            return Response(sample.id, self.name, "Order is late.", use_case=sample.use_case)

        async def aclose(self):
            "Nothing to release."

    options = {"data": table(tmp_path, 8), "columns": {"conversation": "Chat"}, "use_cases": CASE}
    options |= {"out": tmp_path / "run", "progress": False}
    run(Counting(), **options)
    n = len(calls)
    done = run(Counting(), slices=["region"], **options)
    assert len(calls) == n == 8
    assert groups_by(done.samples, "region")[1]["row-1"] == "north"
    assert "Spent" not in str(open_run(tmp_path / "run").samples)
    with pytest.raises(ValueError, match="run it again with this slice, and no answer is requested again"):
        slice_board(done, "City")


def test_columns_change_nothing_of_a_sample():
    rng = random.Random(3)
    for n in range(20):
        plain = [Sample(str(i), CASE, {"conversation": f"a {rng.random()}"}) for i in range(n)]
        kept = [with_columns(s, {"tier": rng.choice(["a", None, float("nan"), True, " b\n"])}) for s in plain]
        assert columns_apart(kept)[0] == plain


def made_run(points, region, cases, tmp_path):
    "Return a run of one system with these points, regions and use cases, one per sample."
    samples = [
        Sample(str(i), c, {"conversation": "Agent: Hello."}, tags={"region": r})
        for i, (r, c) in enumerate(zip(region, cases))
    ]
    responses = [Response(s.id, "m", "Hello.", use_case=s.use_case) for s in samples]
    fields = {"rater": "j", "client": "m"}
    scores = [
        Score("accuracy", p, use_case=s.use_case, sample_id=s.id, **fields) for s, p in zip(samples, points)
    ]
    return Run(
        tmp_path,
        as_manifest({"judge": {"name": "j"}, "plan": {"slices": ["region"]}}),
        samples,
        responses,
        scores,
    )


def test_a_group_with_the_hard_use_case_is_not_called_worse(tmp_path):
    "South has most samples of the hard use case; within each use case both regions score the same."
    cases = [CASE] * 30 + ["service_call_summary"] * 30
    region = ["south"] * 5 + ["north"] * 25 + ["south"] * 25 + ["north"] * 5
    points = [3.5 + 0.4 * (i % 2) for i in range(30)] + [1.5 + 0.4 * (i % 2) for i in range(30)]
    board = slice_board(made_run(points, region, cases, tmp_path))
    assert [r.words for r in board] == ["not told apart"] * 2
    assert abs(board.rows[0].difference.value) < 0.2
    assert "No group differs for certain" in str(board)


def test_few_are_shown_and_not_compared(tmp_path):
    region = ["north"] * 30 + ["south"] * (FLOOR - 1)
    points = [4.0 - 0.1 * (i % 3) for i in range(30)] + [1.0] * (FLOOR - 1)
    board = slice_board(made_run(points, region, [CASE] * len(region), tmp_path))
    by_group = {r.group: r for r in board}
    assert by_group["south"].words == "too few to tell" and by_group["south"].estimate.value == 1
    assert by_group["north"].words == "too few others to tell"
    assert board.looks == 0 and "2 of 2 groups are too few to tell: fewer than 10" in board.statement
    page = report_html(made_run(points, region, [CASE] * len(region), tmp_path))
    assert "too few to tell" in page


def test_many_looks_at_nothing_find_nothing():
    "Twenty random groupings: uncorrected, about one in twenty would be significant."
    rng = random.Random(11)
    x = [rng.gauss(3, 0.5) for _ in range(60)]
    p_values = []
    for _ in range(20):
        inside = [rng.random() < 0.4 for _ in x]
        p_values.append(group_difference(x, inside, n_resamples=1000).p_value)
    assert min(p_values) * 20 > 0.05 and max(p_values) <= 1


def test_whole_conversations_are_dealt():
    "Ten values of one conversation count as one: two conversations against two are never significant."
    x = [1.0] * 20 + [4.0] * 20
    d = group_difference(x, [True] * 20 + [False] * 20, clusters=[i // 10 for i in range(40)])
    assert d.value == -3 and d.p_value > 0.2


def test_agreement_says_where_a_judge_leans(tmp_path, capsys):
    "The judge gives one point more than people in the south."
    region = ["north", "south"] * 20
    done = made_run([2 + i % 2 + (i % 2) for i in range(40)], region, [CASE] * 40, tmp_path)
    fields = {"rater": "ann", "method": "manual", "client": "m", "use_case": CASE}
    done.scores += [Score("accuracy", 2 + i % 2, sample_id=str(i), **fields) for i in range(40)]
    agreed = run_agreement(done, n_resamples=100)
    assert {r.group for r in agreed.table} == {"all", "region = north", "region = south"}
    assert "judge minus people of accuracy is larger in region = south by 1.00" in agreed.groups.statement
    assert "region = south" in str(agreed)
    with pytest.raises(ValueError, match="did you mean 'region'"):
        run_agreement(done, slices="regon")
    assert main(["agreement", "frank-factuality", "--slice", "region"]) == 2
    assert "--slice is for a run" in capsys.readouterr().err
    assert run_agreement(done, slices=[], n_resamples=100).groups is None


def test_ratings_on_a_scale_of_ones_own(tmp_path, capsys):
    code, out, _ = score_file(capsys, tmp_path, "--rating", "csat=Stars:1-4")
    assert code == 2 and "row 5 (line 10), column 'Stars': '5', expected a number from 1 to 4" in out
    code, _, document = score_file(
        capsys, tmp_path, "--rating", "csat=Stars:1-5", "--rating", "effort=Stars:1-5:lower"
    )
    assert code == 0
    (csat, effort), done = document["ratings"], open_run(tmp_path / "run")
    assert csat["mean"] == pytest.approx(effort["mean"]) and csat["n"] == 12
    by_metric = {s.metric: s for s in done.scores if s.sample_id == "row-1" and s.method == "manual"}
    assert (by_metric["csat"].label, by_metric["csat"].fraction, by_metric["effort"].fraction) == ("1", 0, 1)
    assert "1 to 5, lower is better" in by_metric["effort"].reason
    score_file(capsys, tmp_path, "--rating", "csat=Stars:1-5")
    assert sum(s.metric == "csat" for s in open_run(tmp_path / "run").scores) == 12
    assert main(["agreement", str(tmp_path / "run")]) == 0
    assert "csat (factuality)" in capsys.readouterr().out


def test_a_list_of_ratings_has_a_range_too(tmp_path, capsys):
    score_file(capsys, tmp_path)
    sheet = tmp_path / "people.csv"
    head = "sample_id,client,metric,points,rater\n"
    sheet.write_text(f"{head}row-1,ours,nps,10,ann\nrow-2,ours,nps,11,ann\n")
    assert main(["score", str(tmp_path / "run"), "--ratings", str(sheet), "--scale", "0-10"]) == 2
    assert "row 2, column points" in (errors := capsys.readouterr().err) and "from 0 to 10" in errors
    sheet.write_text(f"{head}row-1,ours,nps,10,ann\nrow-2,ours,factuality,5,ann\n")
    assert main(["score", str(tmp_path / "run"), "--ratings", str(sheet), "--scale", "0-10"]) == 0
    by_metric = {s.metric: s for s in open_run(tmp_path / "run").scores if s.rater == "ann"}
    assert (by_metric["nps"].points, by_metric["nps"].label, by_metric["factuality"].fraction) == (
        4,
        "10",
        0.5,
    )
    capsys.readouterr()
    assert main(["score", str(tmp_path / "run"), "--judge", "embedded", "--scale", "0-10"]) == 2
    assert "--scale goes with --ratings" in capsys.readouterr().err


def test_the_manifest_holds_command_data_and_mapping(tmp_path, capsys):
    import hashlib

    options = {"columns": {"conversation": "Chat"}, "use_cases": CASE, "limit": 2, "progress": False}
    done = run("baseline:lead", data=str(table(tmp_path)), out=tmp_path / "a", **options)
    manifest = json.loads((done.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["plan"]["columns"] == {"conversation": "Chat"}
    assert manifest["data"]["sha256"] == hashlib.sha256(table(tmp_path).read_bytes()).hexdigest()
    assert manifest["command"].startswith("crmeval run --model baseline:lead --data ")
    words = manifest["command"].replace(str(tmp_path / "a"), str(tmp_path / "b")).split()[1:]
    assert main(words) == 0
    assert [(s.key, s.inputs) for s in open_run(tmp_path / "b").samples] == [
        (s.key, s.inputs) for s in done.samples
    ]
    score_file(capsys, tmp_path)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text(encoding="utf-8"))
    assert manifest["mapping"]["responses"] == {"ours": "Answer"} and manifest["command"].startswith(
        "crmeval score-file "
    )
    assert manifest["data"]["name"].endswith("chats.csv") and len(manifest["data"]["sha256"]) == 64


def test_rows_in_memory_stand_in_no_manifest(tmp_path):
    rows = [{"conversation": "Customer: It is broken, says Planted.", "use_case": CASE}]
    done = run("baseline:lead", data=rows, out=tmp_path / "run", progress=False)
    assert "Planted" not in (done.folder / "manifest.json").read_text(encoding="utf-8")
    assert done.manifest.plan["data"]["rows"] == 1


def test_instructions_that_nothing_could_check_stand_beside_the_mean(tmp_path, capsys):
    rows = [
        {
            "conversation": "Customer: Hello.\nAgent: Good morning.",
            "use_case": CASE,
            "instructions": ["Sound like a lighthouse keeper."],
        }
    ]
    done = run(["baseline:lead"], data=rows, out=tmp_path / "run", progress=False)
    from crmeval.pages.board import leaderboard_table
    from crmeval.pages.leaderboard import leaderboard

    (row,) = leaderboard(done)
    lost, n = row.unchecked
    assert 0 < lost < n
    assert f"{lost} of {n}" in str(leaderboard(done)) and "not checked" in str(leaderboard(done))
    assert f"{lost} of {n} not checked" in report_html(done)
    assert "Not checked" in leaderboard_table(done).html()


def test_the_groups_of_a_comparison_are_corrected_together():
    "Four comparisons of one pair: p-values after Holm, the interval of the smallest at the corrected level."
    draw = np.random.default_rng(3)
    where = ["north", "south", "east", "west"] * 30
    ahead = {"north": 0.6, "south": 0.25, "east": 0.0, "west": 0.0}
    tasks = [Sample(str(i), CASE, {}, tags={"region": r}) for i, r in enumerate(where)]
    points = {"a": draw.normal(2.5, 0.5, 120), "b": draw.normal(2.5, 0.5, 120)}
    points = {
        c: np.clip(x, 1, 4) for c, x in (points | {"a": points["a"] + [ahead[r] for r in where]}).items()
    }
    rows = [(Response(t.id, c, "t", use_case=CASE), float(points[c][int(t.id)])) for c in "ab" for t in tasks]
    scores = [
        Score("accuracy", p, rater="j", sample_id=r.sample_id, client=r.client, use_case=CASE)
        for r, p in rows
    ]
    done = Run(Path("none"), as_manifest({}), tasks, [r for r, _ in rows], scores)
    found = compare(done, client_a="a", client_b="b", slices="region").groups
    assert [r.group for r in found] == ["east", "north", "south", "west"]
    alone = [
        paired_difference(*(points[c][np.array(where) == r.group] for c in "ab"), confidence_level=level)
        for r in found
        for level in (0.95, 1 - 0.05 / 4)
    ]
    after = holm([d.p_value for d in alone[::2]])
    assert [r.difference.p_value for r in found] == pytest.approx(after)
    assert after[1] < 0.05 and after[1] > alone[2].p_value  # significant after correction for four tests
    assert (found[1].difference.low, found[1].difference.high) == pytest.approx((alone[3].low, alone[3].high))
