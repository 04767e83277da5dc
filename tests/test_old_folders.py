"Run folders that an earlier version wrote: they open, say how they differ, and lose nothing."

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval import compare, leaderboard, open_run, run
from crmeval.cli import main
from crmeval.core.records import Sample
from crmeval.pages.compare_page import compare_html, verdict
from crmeval.pages.edition import make_edition
from crmeval.pages.gate import gate
from crmeval.pages.gate_forms import gate_junit, gate_markdown
from crmeval.pages.gate_policy import GatePolicy, GateRule
from crmeval.pages.site_settings import SiteSettings
from crmeval.runs.same_plan import plan_differences, scores_apart
from crmeval.tasks.load import load_use_case
from crmeval.tasks.probes import load_probes, probe_sample, sample_probe

ALIKE = "different versions of the judge or the metrics"
SYSTEMS = ["baseline:lead", "baseline:template"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    "Return the folder of a small run with probes."
    out = tmp_path_factory.mktemp("run") / "now"
    run(
        ["baseline:refuse_all", "baseline:sensible"],
        use_cases="service_call_summary",
        areas=["accuracy", "privacy"],
        limit=3,
        out=out,
        progress=False,
    )
    return out


def changed(folder, into, **fields):
    "Return a copy of a run folder whose manifest has other fields; None takes a field out."
    shutil.copytree(folder, into)
    path = into / "manifest.json"
    told = json.loads(path.read_text(encoding="utf-8")) | fields
    path.write_text(json.dumps({k: v for k, v in told.items() if v is not None}), encoding="utf-8")
    return into


def with_early_tags(folder):
    "Write a folder's probes as the first versions did: the scene and what may be given as tags."
    path = folder / "samples.parquet"
    table = pq.read_table(path)
    tags = [json.loads(cell) if isinstance(cell, str) else cell for cell in table["tags"].to_pylist()]
    for told in tags:
        if "area" in told:
            scene, own = told.pop("scenario", ""), told.pop("may_have", [])
            told.pop("requester", None)
            told["tags"] = [
                *told["tags"],
                *([f"scenario:{scene}"] if scene else []),
                *(f"own:{v}" for v in own),
            ]
    column = pa.array([json.dumps(told) for told in tags], table.schema.field("tags").type)
    at = table.schema.get_field_index("tags")
    pq.write_table(table.set_column(at, table.schema.field("tags"), column), path)
    return folder


def test_probes_of_early_folders_give_the_same_figures(finished, tmp_path, capsys):
    early = with_early_tags(changed(finished, tmp_path / "early", schema_version=1, areas=None))
    assert str(leaderboard(open_run(early))) == str(leaderboard(open_run(finished)))
    for words in (["report"], ["score", "--judge", "embedded"], ["rate", "--raters", "ana"]):
        assert main([words[0], str(early), *words[1:]]) == 0, capsys.readouterr().err


@settings(max_examples=30, deadline=None)
@given(
    scene=st.text(max_size=8),
    own=st.lists(st.text(max_size=8), max_size=3),
    other=st.lists(st.text(max_size=8).filter(lambda t: ":" not in t), max_size=2),
)
def test_any_value_of_an_early_tag_becomes_its_field(scene, own, other):
    sample = probe_sample(load_probes("privacy", limit=1)[0])
    tags = [*(f"own:{v}" for v in own), *other, f"scenario:{scene}"]
    probe = sample_probe(replace(sample, tags=sample.tags | {"tags": tags, "may_have": [], "scenario": ""}))
    assert (probe.scenario, list(probe.may_have), list(probe.tags)) == (scene, own, other)


def test_scores_of_another_version_are_never_compared_in_silence(finished, tmp_path, capsys):
    old = changed(finished, tmp_path / "old", scoring="0" * 16, finished="2025-01-02T03:04:05+00:00")
    found = compare(old, finished, client_a="baseline:sensible", client_b="baseline:sensible")
    assert ALIKE in verdict(found) and f"`crmeval score {old} --judge embedded`" in verdict(found)
    assert "2025-01-02" in verdict(found) and "in two versions" in str(found) and ALIKE in compare_html(found)
    policy = GatePolicy((GateRule("accuracy", "may_fall", 1.0),))
    shut = gate(finished, old, policy, client="baseline:sensible")
    for form in (str(shut), gate_junit(shut), gate_markdown(shut)):
        assert ALIKE in form
    words = ["gate", str(finished), "--against", str(old), "--client", "baseline:sensible", "--json"]
    main(words)
    assert ALIKE in json.loads(capsys.readouterr().out)["scoring"]
    settings = SiteSettings(name="ACME", contact="a@acme.example", licence="CC BY 4.0", title="T")
    edition = make_edition([finished, old], settings)
    told = "old were scored by another version of the judge or the metrics than those of now"
    assert any(told in str(part) for part in edition.pages[0].parts)
    assert any("crmeval score" in note for note in edition.told)


def test_scored_again_they_are_comparable(finished, tmp_path, capsys):
    old = changed(finished, tmp_path / "old", scoring="0" * 16)
    assert scores_apart(open_run(old), open_run(finished), "embedded")
    assert main(["score", str(old), "--judge", "embedded"]) == 0
    assert scores_apart(open_run(old), open_run(finished), "embedded") == ""
    found = compare(old, finished, client_a="baseline:sensible", client_b="baseline:sensible")
    assert found.scoring == "" and found.differences["accuracy"].value == 0
    plain = run(SYSTEMS, use_cases="service_call_summary", limit=2, out=tmp_path / "plain", progress=False)
    assert scores_apart(plain, open_run(finished), "embedded") == ""  # without probes, of the same version


def test_rows_added_to_scores_of_another_version_are_told(tmp_path):
    options = {"use_cases": "service_call_summary", "limit": 2, "out": tmp_path / "run", "progress": False}
    first = run(["baseline:lead"], **options)
    changed(first.folder, tmp_path / "copy", scoring="0" * 16)
    shutil.rmtree(first.folder)
    (tmp_path / "copy").rename(first.folder)
    both = run(SYSTEMS, **options, add=True)
    assert [w for w in both.manifest.warnings if "another version of the judge" in w and "crmeval score" in w]
    assert both.clients == SYSTEMS or set(both.clients) == set(SYSTEMS)
    again = run(["baseline:reference"], **options, add=True)
    assert len([w for w in again.manifest.warnings if "another version of the judge" in w]) <= 1


def test_a_run_that_is_repeated_by_another_version_says_that_it_scores_anew(tmp_path, capsys):
    words = ["run", "--model", "baseline:lead", "--use-case", "service_call_summary", "--limit", "2"]
    words += ["--out", str(tmp_path / "run"), "--no-progress"]
    assert main(words) == 0 and "scored anew" not in "".join(capsys.readouterr())
    assert main(words) == 0 and "scored anew" not in "".join(capsys.readouterr())  # the same version
    changed(tmp_path / "run", tmp_path / "old", scoring="0" * 16, finished="2025-01-02T03:04:05+00:00")
    words[words.index("--out") + 1] = str(tmp_path / "old")
    assert main(words) == 0
    told = "were scored on 2025-01-02 by another version of the judge or the metrics: they were scored anew"
    assert told in "".join(capsys.readouterr())
    assert told in " ".join(open_run(tmp_path / "old").manifest.warnings)


@settings(max_examples=30, deadline=None)
@given(changes=st.integers(0, 30), kept=st.integers(0, 5))
def test_many_changed_prompts_are_one_short_text(changes, kept):
    from crmeval.runs.folder import as_manifest

    names = [f"use_case_with_a_long_name_{i}" for i in range(changes + kept)]
    old = as_manifest({"prompts": {n: "a" for n in names}})
    new = as_manifest({"prompts": {n: "b" if i < changes else "a" for i, n in enumerate(names)}})
    found = plan_differences(old, new)
    assert len(found) == min(changes, 1) and all(len(text) < 150 for text in found)
    assert changes < 2 or f"of {changes} use cases changed" in found[0]


def test_a_run_from_before_there_were_areas_has_the_plan_of_accuracy(finished, tmp_path):
    sample = load_use_case("service_call_summary", limit=1)
    assert isinstance(sample[0], Sample)
    made = run(SYSTEMS, data=sample, out=tmp_path / "run", progress=False)
    early = open_run(changed(made.folder, tmp_path / "early", areas=None, schema_version=1))
    assert plan_differences(early.manifest, made.manifest) == []
    assert main(["compare", f"{early.folder}#baseline:lead", f"{early.folder}#baseline:template"]) == 0
