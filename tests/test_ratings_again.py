"Repeated imports of ratings on the command line: nothing is lost silently or counted twice."

import csv
import random
from collections import Counter

import pytest

from crmeval import run
from crmeval.cli.app import main
from crmeval.people.plan import CRITERIA
from crmeval.runs.folder import open_run


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ratings") / "run"
    run(["baseline:lead"], use_cases="service_call_summary", limit=3, out=folder, progress=False)
    assert main(["rate", str(folder), "--raters", "ana,bo", "--overlap", "1"]) == 0
    return folder


def filled(folder, rater, points, name):
    "Write a rater's sheet with `points(row, criterion)`, None for an empty cell; return its path."
    with open(folder / "rating" / rater / "sheet.csv", encoding="utf-8-sig", newline="") as f:
        head, *rows = csv.reader(f)
    for n, row in enumerate(rows):
        for criterion in CRITERIA:
            value = points(n, criterion)
            row[head.index(criterion)] = "" if value is None else str(value)
    path = folder.parent / f"{name}.csv"
    with open(path, "w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([head, *rows])
    return str(path)


def given(folder):
    "Return the manual scores: (rater, metric, sample) -> points."
    people = [s for s in open_run(folder).scores if s.method == "manual"]
    found = {(s.rater, s.metric, s.sample_id): s.points for s in people}
    assert len(found) == len(people)  # no rating is counted twice
    return found


def brought_in(folder, *sheets):
    assert main(["rate", str(folder), "--import", *sheets, "--quiet"]) == 0
    return given(folder)


@pytest.mark.parametrize("seed", range(3))
def test_a_sheet_changes_what_it_holds_and_nothing_else(rated, seed, capsys):
    rng = random.Random(seed)
    first = {(n, c): rng.randint(1, 4) for n in range(3) for c in CRITERIA}
    both = [filled(rated, who, lambda n, c: first[n, c], f"{who}{seed}") for who in ("ana", "bo")]
    before = brought_in(rated, *both)
    capsys.readouterr()
    assert brought_in(rated, *both) == before and "earlier ratings" not in capsys.readouterr().err
    some = {cell: rng.randint(1, 4) for cell in rng.sample(sorted(first), 5)}
    after = brought_in(rated, filled(rated, "bo", lambda n, c: some.get((n, c)), f"half{seed}"))
    printed = capsys.readouterr().err
    changed = sum(first[cell] != points for cell, points in some.items())
    assert f"bo: {changed} of 12 earlier ratings are changed, 7 were not brought in again and stay" in printed
    assert Counter(who for who, *_ in after) == Counter(who for who, *_ in before)
    assert {k: v for k, v in after.items() if k[0] == "ana"} == {
        k: v for k, v in before.items() if k[0] == "ana"
    }
    for who, metric, sample in after:
        if metric == "accuracy":  # computed from the current points
            assert after[who, metric, sample] == sum(after[who, c, sample] for c in CRITERIA) / len(CRITERIA)


def test_a_list_of_one_metric_leaves_the_other_metrics_of_that_rater(rated, tmp_path, capsys):
    whole = brought_in(rated, filled(rated, "ana", lambda n, c: 4, "whole"))
    one = next(sample for who, metric, sample in whole if (who, metric) == ("ana", "factuality"))
    path = tmp_path / "list.csv"
    path.write_text(f"sample_id,client,metric,points,rater\n{one},baseline:lead,factuality,2,ana\n")
    assert main(["score", str(rated), "--ratings", str(path), "--quiet"]) == 0
    after = given(rated)
    assert after["ana", "factuality", one] == 2 and after["ana", "completeness", one] == 4
    assert after["ana", "accuracy", one] == 3.5 and len(after) == len(whole)
    assert "ana: 1 of 12 earlier ratings are changed, 11" in capsys.readouterr().err


@pytest.mark.parametrize("rater", ["ana@desk.example", "1 bo+x@a-b.example", "Müller@büro.example"])
def test_a_rater_known_by_an_address_is_refused_before_anything_is_written(rated, tmp_path, rater, capsys):
    before = given(rated)
    sample = open_run(rated).samples[0].id
    path = tmp_path / "list.csv"
    path.write_text(
        f"sample_id,client,metric,points,rater\n{sample},baseline:lead,factuality,2,{rater}\n",
        encoding="utf-8",
    )
    assert main(["score", str(rated), "--ratings", str(path)]) == 2
    assert "pseudonym" in capsys.readouterr().err and given(rated) == before
