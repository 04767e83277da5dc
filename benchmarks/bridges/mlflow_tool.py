"A run becomes runs of MLflow in a database of its own, and MLflow evaluates with metrics of ours."

import os
import sys
import tempfile
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow
from trial import CONTEXT, RIGHT, WRONG, print_row, ran

from crmeval import run
from crmeval.bridges.adapters import mlflow_scorer
from crmeval.bridges.trackers import export_mlflow

HOSTILE = "\x1b[31mIt arrives \u202e on Monday <script>alert(1)</script> \x00"


def exported(folder, address):
    "By a function, and by the command of the tutorial."
    systems = ["baseline:reference", "baseline:lead"]
    done = run(systems, use_cases=["service_call_summary"], limit=2, out=f"{folder}/r", progress=False)
    ids = export_mlflow(done, tracking_uri=address)
    table = mlflow.search_runs(experiment_names=["crmeval"]).set_index("run_id")
    assert set(table.index) == set(ids) and len(ids) == 2
    assert (table["metrics.accuracy_low"] <= table["metrics.accuracy"]).all()
    assert set(table["params.judge"]) == {"embedded"}
    command = str(Path(sys.executable).with_name("crmeval"))
    ran(command, "export", f"{folder}/r", "--to", "mlflow", "--out", address, cwd=folder)
    assert len(mlflow.search_runs(experiment_names=["crmeval"])) == 4


def evaluated(address):
    "`mlflow.genai.evaluate` with two of our scorers; a row without a source has an error and no zero."
    mlflow.set_tracking_uri(address)
    mlflow.set_experiment("answers")
    known = {"inputs": {"question": "When?", "transcript": CONTEXT}}
    facts = {"expectations": {"expected_facts": ["arrives on Friday"]}}
    rows = [
        {**known, **facts, "outputs": RIGHT},
        {**known, "outputs": {"response": WRONG}},
        {**known, "outputs": HOSTILE},
        {"inputs": {"question": "When?"}, "outputs": RIGHT},
    ]
    scorers = [mlflow_scorer("factuality"), mlflow_scorer("completeness")]
    done = mlflow.genai.evaluate(data=rows, scorers=scorers)
    table = done.result_df
    values = sorted(table["factuality/value"].dropna())
    assert len(table) == 4 and len(values) == 3 and values[1] < 0.5 < values[2], table
    assert abs(done.metrics["factuality/mean"] - sum(values) / 3) < 1e-9, done.metrics
    errors = list(table["factuality/error_message"].dropna())
    assert len(errors) == 1 and "factuality could not be scored: The sample has nothing" in errors[0], errors
    full = list(table["completeness/value"].dropna())
    assert len(full) == 1 and full[0] > 0.5, table


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)  # MLflow writes a folder `mlruns`
    database = f"sqlite:///{Path(folder, 'store.db').as_posix()}"
    exported(folder, database)
    evaluated(database)
    os.chdir("/")
print_row(
    "mlflow", "export in Python and by command: a run for each system; mlflow.genai.evaluate with two scorers"
)
