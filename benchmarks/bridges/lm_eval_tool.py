"lm-evaluation-harness runs a task of ours with its own dummy model; what it logged is read back."

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from told import tell

from crmeval.bridges.lm_eval_tasks import write_lm_eval_task
from crmeval.systems.replay import read_responses

with tempfile.TemporaryDirectory() as folder:
    path = write_lm_eval_task("service_call_summary", f"{folder}/tasks", limit=3)
    words = ["--model", "dummy", "--include_path", str(path.parent), "--tasks", path.stem]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *words, "--log_samples", "--output_path", f"{folder}/out"],
        capture_output=True,
        text=True,
        env=offline,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert all(m in done.stdout for m in ("factuality", "completeness", "not_scored")), done.stdout
    logs = list(Path(folder, "out").rglob("samples_*.jsonl"))
    assert [a.text for a in read_responses(logs[0])] == ["lol"] * 3
tell("lm-eval", "a use case as a task, its sample log as responses")
