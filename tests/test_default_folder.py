"The default folder of a run: plans that cannot share a folder get different ones, the same plan the same."

from itertools import combinations, product

import pytest

from crmeval.runs.evaluation import prepare_run
from crmeval.runs.plan import RunPlan
from crmeval.runs.same_plan import plan_differences

SHAPES = [
    {"metrics": metrics, "repeats": repeats, "areas": areas}
    for metrics, repeats, areas in product(
        ([], ["fluency"], ["coherence", "fluency"], ["only:fluency"]), (1, 3), (["accuracy"], ["fairness"])
    )
]


@pytest.fixture(scope="module")
def prepared():
    options = {"models": ["baseline:lead"], "use_cases": ["service_call_summary"], "limit": 2}
    return [prepare_run(RunPlan(**options, **shape)) for shape in SHAPES for _ in range(2)]


def test_plans_that_differ_have_folders_of_their_own(prepared):
    pairs = list(combinations(prepared, 2))
    for a, b in pairs:
        assert (a.folder == b.folder) == (not plan_differences(a.manifest, b.manifest)), (a.plan, b.plan)
    assert sum(a.folder == b.folder for a, b in pairs) == len(SHAPES), "each plan was prepared twice"


@pytest.mark.parametrize("more", [{"concurrency": 3}, {"retries": 0}, {"requests_per_minute": 9}])
def test_what_shapes_no_row_names_no_folder(more, prepared):
    plan = prepared[0].plan
    options = {"models": plan.models, "use_cases": plan.use_cases, "limit": plan.limit}
    assert prepare_run(RunPlan(**options, **more)).folder == prepared[0].folder
