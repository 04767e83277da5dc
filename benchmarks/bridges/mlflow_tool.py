"A run becomes runs of MLflow in a database of its own."

import tempfile
from pathlib import Path

import mlflow
from told import tell

from crmeval import run
from crmeval.bridges.trackers import export_mlflow

with tempfile.TemporaryDirectory() as folder:
    systems = ["baseline:reference", "baseline:lead"]
    done = run(systems, use_cases=["service_call_summary"], limit=2, out=f"{folder}/r", progress=False)
    address = f"sqlite:///{Path(folder, 'store.db').as_posix()}"
    ids = export_mlflow(done, tracking_uri=address)
    table = mlflow.search_runs(experiment_names=["crmeval"]).set_index("run_id")
    assert set(table.index) == set(ids) and len(ids) == 2
    assert (table["metrics.accuracy_low"] <= table["metrics.accuracy"]).all()
    assert set(table["params.judge"]) == {"embedded"}
tell("mlflow", "a run of its own for each system, with figures, settings and rows")
