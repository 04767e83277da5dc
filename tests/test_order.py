"The order of systems on the demo set: the reference first, baselines between, nonsense last, per use case."

from dataclasses import replace

import pytest

from crmeval import leaderboard, run
from crmeval.core.records import Response
from crmeval.systems.replay import ReplayClient
from crmeval.tasks.use_cases import use_cases

SENSIBLE = ["baseline:extractive", "baseline:lead", "baseline:rules"]
OFF_TOPIC = (
    "The weather was sunny all week. Our cafeteria now serves vegan lasagne on Mondays. "
    "A new carpet was laid in the library on the second floor."
)


def next_of_its_use_case(samples, at):
    sample = samples[at]
    return next(t for t in samples[at + 1 :] + samples if t.use_case == sample.use_case and t.id != sample.id)


def replay(samples, name, text):
    "Return a client that answers each sample with `text(sample)`."
    return ReplayClient(
        [Response(s.id, name, text(s), use_case=s.use_case) for s in samples], name=name, empty="answer"
    )


def lower_bounds(samples):
    "Return clients with no text, an off-topic text, and the reference of another sample of the use case."
    other = {s.id: next_of_its_use_case(samples, i) for i, s in enumerate(samples)}
    texts = {
        "test:empty": lambda s: "",
        "test:off-topic": lambda s: OFF_TOPIC,
        "test:mistaken": lambda s: other[s.id].reference,
    }
    return [replay(samples, name, text) for name, text in texts.items()]


@pytest.fixture(scope="module")
def board(demo_run, tmp_path_factory):
    bounds = run(
        lower_bounds(demo_run.samples),
        data=demo_run.samples,
        out=tmp_path_factory.mktemp("order") / "run",
        progress=False,
    )
    both = replace(
        demo_run,
        responses=[*demo_run.responses, *bounds.responses],
        scores=[*demo_run.scores, *bounds.scores],
    )
    return leaderboard(both, by="all")


@pytest.mark.parametrize("use_case", ["overall", *use_cases()])
def test_reference_first_baselines_between_nonsense_last(board, use_case):
    rows = {r.client: r for r in board.filter(use_case=use_case)}
    accuracy = {c: r.metrics["accuracy"].value for c, r in rows.items()}
    assert all(r.unscored == 0 for r in rows.values())
    best = accuracy.pop("baseline:reference")
    assert best >= 3.4 and best - max(accuracy.values()) >= 0.5, accuracy
    nonsense = max(accuracy["test:empty"], accuracy["test:off-topic"])
    assert accuracy["test:empty"] == 1
    for c in SENSIBLE:
        assert accuracy[c] > nonsense, (c, accuracy)
    assert accuracy["baseline:template"] >= accuracy["test:empty"]
    # a well-formed answer about another customer is still wrong
    assert accuracy["test:mistaken"] < min(accuracy[c] for c in SENSIBLE) or use_case == "update_crm_info", (
        accuracy
    )
    assert accuracy["test:mistaken"] < 2.2


@pytest.mark.parametrize("metric", ["factuality", "completeness", "conciseness"])
def test_each_metric_puts_the_reference_above_another_samples_reference(board, metric):
    for use_case in use_cases():
        rows = {r.client: r.metrics[metric].value for r in board.filter(use_case=use_case)}
        assert rows["baseline:reference"] > rows["test:mistaken"] + 1, (use_case, rows)


def test_ranks_know_it_too(board):
    overall = {r.client: r.rank for r in board.filter(use_case="overall")}
    assert overall["baseline:reference"] == (1, 1) and overall["test:empty"] == (8, 8)
