"Inspect runs scorers and tasks of ours, in Python and by its command; its logs are read back."

import json
import os
import sys
import tempfile
from pathlib import Path

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate
from trial import CONTEXT, RIGHT, WRONG, endpoint, print_row, ran

from crmeval import run
from crmeval.inspect import completeness, factuality, use_case
from crmeval.systems.replay import read_responses

BIN = Path(sys.executable).parent
CASE = "service_call_summary"


def said(text, stop="stop"):
    "An answer with its tokens: counting them would fetch a file."
    output = ModelOutput.from_content("mockllm/model", text, stop_reason=stop)
    output.usage = ModelUsage(input_tokens=5, output_tokens=5, total_tokens=10)
    return output


def model(*outputs):
    return get_model("mockllm/model", custom_outputs=list(outputs) * 5)


def task(scorers, *ids):
    rows = [Sample(id=n, input="When?", metadata={"context": CONTEXT}) for n in ids]
    return Task(dataset=MemoryDataset(rows), solver=generate(), scorer=scorers)


def scored(folder):
    "Two answers, one of them wrong, and a scorer without what it needs."
    how = {"model": model(said(RIGHT), said(WRONG)), "log_dir": folder, "display": "none", "max_samples": 1}
    log = evaluate(task([factuality(), completeness()], "right", "wrong"), **how)[0]
    scores = {s.name: (s.scored_samples, s.unscored_samples) for s in log.results.scores}
    assert scores == {"factuality": (2, 0), "completeness": (0, 2)}, scores
    values = [s.scores["factuality"].value for s in log.samples]
    assert values[0] > 0.5 > values[1], values
    assert log.samples[1].scores["factuality"].metadata["crmeval"]["evidence"]
    answers = read_responses(Path(log.location.removeprefix("file://")))
    assert [a.text for a in answers] == [RIGHT, WRONG], answers


def in_epochs(folder):
    "Of two epochs, the provider's filter stops one: the mean is that of the other."
    outputs = model(said(RIGHT), said("", "content_filter"))
    how = {"model": outputs, "log_dir": folder, "display": "none", "max_samples": 1, "epochs": 2}
    log = evaluate(task([factuality()], "a"), **how)[0]
    (score,) = log.results.scores
    assert log.status == "success" and score.metrics["mean"].value > 0.5, score


def by_command(folder):
    "`inspect eval` as in the tutorial, with two epochs; its log is a run with two repeats."
    with endpoint() as address:
        own = {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "none", "INSPECT_DISPLAY": "plain"}
        words = [str(BIN / "inspect"), "eval", "crmeval/use_case", "-T", f"use_case={CASE}"]
        words += ["--model", "openai/gpt-4o-mini", "--epochs", "2", "--limit", "3", "--log-dir", "logs"]
        ran(*words, cwd=folder, env=os.environ | own)
    (log,) = Path(folder, "logs").glob("*.eval")
    head = json.loads(ran(str(BIN / "inspect"), "log", "dump", "--header-only", str(log)))
    assert head["status"] == "success" and head["eval"]["config"]["epochs"] == 2, head["status"]
    names = {s["name"]: s["scored_samples"] for s in head["results"]["scores"]}
    assert names.keys() >= {"factuality", "completeness", "conciseness", "instruction_following"}, names
    done = run([f"replay:{log}"], use_cases=[CASE], limit=3, repeats=2, out=f"{folder}/r", progress=False)
    assert sorted(r.repeat for r in done.responses) == [0, 0, 0, 1, 1, 1], done.responses
    words = ["run", "--model", f"replay:{log}", "--use-case", CASE, "--limit", "3", "--repeats", "2"]
    assert "6 responses" in ran(str(BIN / "crmeval"), *words, cwd=folder)


with tempfile.TemporaryDirectory() as folder:
    scored(folder)
    in_epochs(folder)
    how = {"log_dir": folder, "display": "none"}
    case = evaluate(use_case("update_crm_info", limit=2), model=model(said(RIGHT), said(WRONG)), **how)[0]
    assert case.status == "success" and "record_update" in {s.name for s in case.results.scores}
    by_command(folder)
print_row(
    "inspect-ai", "scorers, epochs, a use case as a task, inspect eval and inspect log, its log as a run"
)
