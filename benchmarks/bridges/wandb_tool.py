"A run becomes runs of Weights & Biases, which stay on the disk."

import os
import tempfile
from pathlib import Path

os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")

from told import tell

from crmeval import run
from crmeval.bridges.trackers import export_wandb

with tempfile.TemporaryDirectory() as folder:
    done = run(
        ["baseline:lead"], use_cases=["service_call_summary"], limit=2, out=f"{folder}/r", progress=False
    )
    ids = export_wandb(done, mode="offline", folder=folder)
    assert len(ids) == 1 and list(Path(folder, "wandb").glob(f"offline-run-*{ids[0]}")), ids
tell("wandb", "a run of its own for each system, kept on the disk")
