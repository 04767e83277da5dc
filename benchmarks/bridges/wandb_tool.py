"A run becomes runs of Weights & Biases, which stay on the disk."

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")

from trial import print_row, ran

from crmeval import run
from crmeval.bridges.trackers import export_wandb

with tempfile.TemporaryDirectory() as folder:
    done = run(
        ["baseline:lead"], use_cases=["service_call_summary"], limit=2, out=f"{folder}/r", progress=False
    )
    ids = export_wandb(done, mode="offline", folder=folder)
    assert len(ids) == 1 and list(Path(folder, "wandb").glob(f"offline-run-*{ids[0]}")), ids
    other = Path(folder, "other")
    other.mkdir()
    command = str(Path(sys.executable).with_name("crmeval"))
    told = json.loads(ran(command, "export", f"{folder}/r", "--to", "wandb", "--json", cwd=other))
    files = list(Path(folder).rglob("offline-run-*/run-*.wandb"))
    assert len(files) == 2 and all(f.stat().st_size > 1000 for f in files), (told, files)
print_row("wandb", "export in Python and by command: a run for each system, kept on the disk")
