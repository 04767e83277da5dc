"""A report gives the reasons of the answers without a score, whatever other rows the run has."""

import random
import re
from pathlib import Path

import pytest

from crmeval import Response, Sample, Score
from crmeval.pages.leaderboard import METRICS
from crmeval.pages.report import report_html
from crmeval.runs.folder import Run


def rows(case, sample, status, error, perturbation=""):
    "Return a sample, its answer and the answer's scores."
    key = dict(use_case=case, perturbation=perturbation)
    known = status == "ok"
    response = Response(sample, "m", "Hello." if known else None, status=status, error=error, **key)
    points = 3.0 if known else None
    scores = [
        Score(m, points, status=status, reason=f"of {sample}", sample_id=sample, client="m", rater="j", **key)
        for m in dict.fromkeys(("accuracy", *METRICS))
    ]
    return Sample(sample, case, {"transcript": "x"}, perturbation=perturbation), response, scores


@pytest.mark.parametrize("seed", range(4))
def test_a_reason_is_of_its_own_answer_beside_probes_and_twins(seed):
    made = [rows("safety_probe", f"p{i}", "ok", None) for i in range(9)]
    made += [rows("service_call_summary", f"t{i}", "ok", None) for i in range(3)]
    made += [rows("service_call_summary", f"t{i}", "ok", None, "gender") for i in range(3)]
    made += [rows("service_call_summary", "gone", "api_error", "the line to Fritzlar is cut")]
    random.Random(seed).shuffle(made)
    samples, answers = [s for s, _, _ in made], [r for _, r, _ in made]
    scores = [x for _, _, found in made for x in found]
    manifest = {"crmeval": "0", "clients": [{"name": "m"}]}
    page = report_html(Run(Path("."), manifest, samples, answers, scores))
    (table,) = re.findall(r'aria-label="What could not be scored".*?</table>', page, re.S)
    assert table.count("<tr>") == 2 and "the line to Fritzlar is cut" in table
