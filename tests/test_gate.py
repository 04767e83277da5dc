"`crmeval gate`: releases that pass, fail or stay undecided, hostile names, and invalid options."

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crmeval import run as run_plan
from crmeval.cli.app import main
from crmeval.core.records import Response, Sample, Score
from crmeval.pages.gate import gate
from crmeval.pages.gate_forms import gate_junit, gate_markdown
from crmeval.pages.gate_policy import gate_names, make_gate_policy, read_gate_policy
from crmeval.runs.folder import Run, open_run

CASES = ["service_call_summary", "service_conversation_summary"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    d = tmp_path_factory.mktemp("gate")
    systems = ["baseline:reference", "baseline:lead"]
    run_plan(systems, use_cases=CASES, limit=12, out=str(d / "both"), progress=False)
    run_plan(["baseline:lead"], use_cases=CASES, limit=12, out=str(d / "lead"), progress=False)
    run_plan(["baseline:lead"], use_cases=["sales_email_summary"], out=str(d / "other"), progress=False)
    return d


def typed(capsys, *words):
    "Return (exit code, standard output, standard error)."
    code = main([str(w) for w in words])
    return code, *capsys.readouterr()


def invented(name, level_of, ids, client="x:bot"):
    samples = [Sample(i, "service_email_summary", {"emails": "SECRET"}, dataset="d") for i in ids]
    rows = [Response(i, client, "SECRET", use_case="service_email_summary") for i in ids]
    where = dict(rater="embedded", client=client, use_case="service_email_summary")
    scores = [Score("accuracy", level_of(n), sample_id=i, **where) for n, i in enumerate(ids)]
    return Run(Path(name), {}, samples, rows, scores)


def test_a_release_that_answers_as_before_passes(runs, capsys):
    code, out, err = typed(capsys, "gate", runs / "lead", "--against", runs / "both")
    assert code == 0 and not err, err
    assert "baseline:lead" in out and "the gate opens: of 1 rule 1 passed" in out


def test_a_release_that_fell_is_stopped_with_the_reason_and_the_samples(runs, tmp_path, capsys):
    xml, page = tmp_path / "gate.xml", tmp_path / "gate.md"
    code, out, err = typed(
        capsys,
        *("gate", runs / "lead", "--against", runs / "both", "--base-client", "reference"),
        *("--junit", xml, "--markdown", page, "--samples", "3", "--json"),
    )
    document = json.loads(out)
    assert code == document["exit_code"] == 1 and not document["opens"]
    falls = document["verdicts"][0]["samples"]
    gaps = [f["run"] - f["base"] for f in falls]
    assert len(falls) == 3 and gaps == sorted(gaps) and gaps[-1] < 0
    assert "failed: accuracy" in err and "allowed 0.1" in err
    failure = ElementTree.parse(xml).find("testsuite/testcase/failure")
    assert failure.text.count("\n") == 2 and falls[0]["sample"] in failure.text
    assert f"`{falls[0]['sample']}`" in page.read_text(encoding="utf-8")


def test_quiet_keeps_the_reason(runs, capsys):
    words = ("gate", runs / "lead", "--against", runs / "both", "--base-client", "reference", "-q")
    code, out, err = typed(capsys, *words)
    assert code == 1 and not out and "failed: accuracy" in err


def test_the_policy_decides(runs, tmp_path, capsys):
    policy = tmp_path / "gate.yaml"
    policy.write_text(
        "rules:\n- metric: completeness\n  must_rise: 0.5\n  use_case: service_conversation_summary\n"
        "- {metric: unscored, at_most: 5 %}\n- {metric: usd_per_1000, at_most: 2}\n"
    )
    words = ("--client", "reference", "--base-client", "lead", "--policy", policy, "--json")
    code, out, _ = typed(capsys, "gate", runs / "both", "--against", runs / "both", *words)
    by_rule = {v["rule"]["of"]: v["verdict"] for v in json.loads(out)["verdicts"]}
    assert by_rule["unscored"] == "passed"
    # a use case has fewer conversations than the minimum, and the cost of a baseline is unknown
    assert by_rule["completeness"] == "undefined" and code == 1
    policy.write_text(
        "samples: 3\nrules: [{metric: completeness, must_rise: 0.5, use_case: " + CASES[1] + "}]"
    )
    code, out, _ = typed(capsys, "gate", runs / "both", "--against", runs / "both", *words)
    assert code == 0, out


def test_what_cannot_be_told_is_undefined_and_passes_only_where_the_policy_says_so():
    few = [f"s{i}" for i in range(4)]
    runs = invented("new", lambda n: 4.0, few), invented("old", lambda n: 3.0, few)
    shut = gate(*runs)
    assert [v.verdict for v in shut.verdicts] == ["undefined"] and not shut.opens
    rules = [{"metric": "accuracy", "may_fall": 0.1}]
    assert gate(*runs, make_gate_policy({"rules": rules, "undefined": "pass"})).opens
    nothing = gate(*runs, make_gate_policy({"rules": [{"metric": "fluency", "may_fall": 0.1}]}))
    assert nothing.verdicts[0].verdict == "undefined" and "no sample has fluency" in str(nothing)
    trust = gate(*runs, make_gate_policy({"rules": [{"metric": "trust", "at_least": 90}]}))
    assert trust.verdicts[0].verdict == "undefined"


def test_a_release_at_the_edge_passes_no_more_often_than_its_certainty_allows():
    "The true fall equals the margin, so passing is an error; a 95 % interval allows it in 2.5 % of cases."
    draw, ids, passed = random.Random(7), [f"s{i}" for i in range(40)], 0
    policy = make_gate_policy({"rules": [{"metric": "accuracy", "may_fall": 0.5}]})
    old = invented("old", lambda n: 3.0, ids)
    for _ in range(60):
        fallen = [draw.choice([2.0, 2.0, 3.0, 3.0]) for _ in ids]
        passed += gate(invented("new", lambda n, of=fallen: of[n], ids), old, policy).opens
    assert passed <= 6  # probability 0.001 at a true rate of 2.5 %


HOSTILE = [
    "\x1b[2J\x00\x07",
    "]]></failure><script>alert(1)</script>",
    "` | @everyone [x](https://a.example) <img src=x>",
    "``` \n\n# head\n- item ````",
    "\u202egnp.exe\ud800\ufffe",
    "&amp;<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "\\`\\|",
    "$(rm -rf x) ${x}",
    " ",
    "x" * 50_000,
]


def test_names_of_the_data_do_nothing():
    ids = [*HOSTILE, *(f"s{i}" for i in range(10))]
    runs = (invented(n, lambda _, of=of: of, ids, HOSTILE[2]) for n, of in (("n|`ew", 2.0), ("old", 3.0)))
    outcome = gate(*runs, most=30)
    xml, page, text = gate_junit(outcome), gate_markdown(outcome), str(outcome)
    assert len(ElementTree.fromstring(xml.encode("utf-8")).findall(".//failure")) == 1
    for output in (xml, page, text):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800\ufffe]", output) and len(output) < 20_000
        assert "SECRET" not in output
    lines = page.splitlines()
    assert not [x for x in lines if x.startswith("#") and "the gate stays closed" not in x]
    outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", page)
    assert not re.search(r"[@<`\[]|https", outside), outside
    rows = [x for x in lines if x.startswith("|")]
    assert len({x.count("|") for x in rows}) == 1


@pytest.mark.parametrize(
    "words, message",
    [
        ("lead", "--against is missing"),
        ("lead --against nowhere", "nowhere is not a run folder"),
        ("nowhere --against lead", "nowhere is not a run folder"),
        ("lead --against lead", "the same folder and the same system, baseline:lead"),
        ("lead --against ./lead", "the same folder and the same system"),
        ("both --against lead", "name one with --client"),
        ("lead --against both --base-client led", "did you mean 'lead'?"),
        ("lead --against other", "the runs have no sample in common"),
        ("lead --against both --judge nobody", "no scores by nobody"),
        ("lead --against both --policy none.yaml", "there is no policy 'none.yaml'"),
        ("lead --against both --policy bad.yaml", "the policy bad.yaml is not YAML"),
        ("lead --against both --policy twice.yaml", "'may_fall' occurs twice"),
        ("lead --against both --policy list.yaml", "expected keys and values"),
        ("lead --against both --policy empty.yaml", "expected keys and values"),
        ("lead --against both --policy typo.yaml", "did you mean 'accuracy'?"),
        ("lead --against both --policy case.yaml", "did you mean 'service_call_summary'?"),
        (
            "lead --against both --junit no/where.xml",
            "--junit is 'no/where.xml', expected a file in a folder",
        ),
        ("lead --against both --samples -1", "--samples is -1"),
        ("lead --against both --samples few", "--samples is 'few', expected a whole number"),
        ("lead --agianst both", "Did you mean --against?"),
    ],
)
def test_wrong_words_end_in_one_sentence(words, message, runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    rule = "rules: [{metric: %s, may_fall: 0.1}]"
    files = {"bad": "rules: [", "list": "- accuracy", "empty": "", "typo": rule % "acuracy"}
    files["twice"] = "rules:\n- metric: accuracy\n  may_fall: 0.1\n  may_fall: 2\n"
    files["case"] = rule % "accuracy, use_case: servce_call_summary"
    for name, text in files.items():
        Path(f"{name}.yaml").write_text(text, encoding="utf-8")
    code, out, err = typed(capsys, "gate", *words.split(" "))
    assert code == 2 and message in err and not out and err.count("\n") == 1, err
    assert not re.search(r"NoneType|\bTrue\b|\bNone\b|Traceback|Error\b|mistake in crmeval", err), err


def test_no_policy_of_any_shape_ends_in_anything_but_words(tmp_path):
    draw = random.Random(3)
    values = [
        None,
        True,
        -1,
        0,
        0.5,
        1e400,
        float("nan"),
        "",
        "10 %",
        "% %",
        [],
        {},
        [[]],
        "x" * 10_000,
        10**400,
    ]
    keys = [
        "metric",
        "may_fall",
        "must_rise",
        "at_least",
        "at_most",
        "may_rise",
        "certainty",
        "use_case",
        3,
        None,
    ]
    for _ in range(1500):
        rule = {draw.choice(keys): draw.choice(values) for _ in range(draw.randint(0, 3))}
        rule |= {"metric": draw.choice([*gate_names(), *map(str, values)])} if draw.random() < 0.9 else {}
        tops = {draw.choice(["undefined", "samples", "left_out", "certainty", "x"]): draw.choice(values)}
        settings = {"rules": [rule]} | (tops if draw.random() < 0.3 else {})
        try:
            policy = make_gate_policy(settings)
        except ValueError as e:
            assert len(str(e)) < 1500 and "\n" not in str(e)
        else:
            assert policy.rules and all(r.limit == r.limit for r in policy.rules)
    deep = tmp_path / "deep.yaml"
    deep.write_text("[" * 5000)
    with pytest.raises(ValueError, match="is not YAML"):
        read_gate_policy(deep)


def test_samples_that_differ_between_the_runs_are_told(runs, tmp_path, capsys):
    run = open_run(runs / "lead")
    other = replace(run, samples=[replace(s, inputs={k: "x" for k in s.inputs}) for s in run.samples])
    with pytest.raises(ValueError, match="is not the same in the two runs"):
        gate(run, replace(other, folder=tmp_path))
    shutil.copytree(runs / "lead", tmp_path / "copy")
    code, _, _ = typed(capsys, "gate", tmp_path / "copy", "--against", runs / "lead")
    assert code == 0


@pytest.mark.parametrize("seed", range(6))
def test_a_value_past_its_limit_never_looks_like_it(seed):
    "However close they are, the sentence shows on which side of the limit the value lies."
    draw = random.Random(seed)
    levels = [draw.choice([1.0, 2.0, 3.0, 4.0]) for _ in range(30)]
    made, old = [invented(name, levels.__getitem__, [f"s{i}" for i in range(30)]) for name in ("new", "old")]
    mean = sum(levels) / 30
    for near in (1e-2, 1e-3, 1e-5, 1e-7):
        entry = {"metric": "accuracy", "at_least": mean + near}
        outcome = gate(made, old, make_gate_policy({"rules": [entry]}))
        (verdict,) = outcome.verdicts
        assert verdict.verdict == "failed"
        value, limit = re.search(r"value, (\S+), is past the limit of (\S+)$", verdict.reason).groups()
        assert float(value) < float(limit), verdict.reason
