"Inspect runs a task of ours and scorers of ours over answers that are made up; the log is read back."

import tempfile
from pathlib import Path

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate
from told import CONTEXT, RIGHT, WRONG, tell

from crmeval.inspect import completeness, factuality, use_case
from crmeval.systems.replay import read_responses


def said(text):
    "An answer with its tokens: counting them would fetch a file."
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=5, output_tokens=5, total_tokens=10)
    return output


def model():
    return get_model("mockllm/model", custom_outputs=[said(RIGHT), said(WRONG)] * 5)


with tempfile.TemporaryDirectory() as folder:
    rows = [Sample(id=n, input="When?", metadata={"context": CONTEXT}) for n in ("right", "wrong")]
    task = Task(dataset=MemoryDataset(rows), solver=generate(), scorer=[factuality(), completeness()])
    log = evaluate(task, model=model(), log_dir=folder, display="none", max_samples=1)[0]
    scores = {s.name: (s.scored_samples, s.unscored_samples) for s in log.results.scores}
    assert scores == {"factuality": (2, 0), "completeness": (0, 2)}, scores
    values = [s.scores["factuality"].value for s in log.samples]
    assert values[0] > 0.5 > values[1], values
    assert log.samples[1].scores["factuality"].metadata["crmeval"]["evidence"]
    answers = read_responses(Path(log.location.removeprefix("file://")))
    assert [a.text for a in answers] == [RIGHT, WRONG], answers
    case = evaluate(use_case("update_crm_info", limit=2), model=model(), log_dir=folder, display="none")[0]
    assert case.status == "success" and "record_update" in {s.name for s in case.results.scores}
tell("inspect-ai", "scorers, a use case as a task, its log as responses")
