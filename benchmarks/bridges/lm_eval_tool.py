"lm-evaluation-harness runs tasks of ours by its command; what it logged is read back."

import math
import os
import sys
import tempfile
from pathlib import Path

from trial import endpoint, print_row, ran

from crmeval import run
from crmeval.bridges.lm_eval_tasks import write_lm_eval_task
from crmeval.systems.replay import read_responses

OFFLINE = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none"}
BIN = Path(sys.executable).parent
CASES = {"service_call_summary": 3, "update_crm_info": 2}  # use case -> samples


def evaluated(folder, out, *words):
    "The table that the command prints, and the logs of samples by use case."
    tasks = ",".join(f"crmeval_{case}" for case in CASES)
    own = ["--include_path", "tasks", "--tasks", tasks, "--log_samples", "--output_path", out]
    table = ran(str(BIN / "lm_eval"), *words, *own, cwd=folder, env=OFFLINE)
    return table, {c: next(Path(folder, out).rglob(f"samples_crmeval_{c}_*.jsonl")) for c in CASES}


with tempfile.TemporaryDirectory() as folder:
    for case, n in CASES.items():
        write_lm_eval_task(case, f"{folder}/tasks", limit=n)
    table, logs = evaluated(folder, "dummy", "--model", "dummy")
    assert all(m in table for m in ("factuality", "completeness", "record_update", "not_scored")), table
    assert [a.text for a in read_responses(logs["service_call_summary"])] == ["lol"] * 3
    with endpoint() as address:
        args = f"model=gpt-4o-mini,base_url={address}/chat/completions"
        words = ["--model", "local-chat-completions", "--model_args", args, "--apply_chat_template"]
        table, logs = evaluated(folder, "chat", *words)
    for case, n in CASES.items():
        done = run(
            [f"replay:{logs[case]}"], use_cases=[case], limit=n, out=f"{folder}/{case}", progress=False
        )
        values = [s.fraction for s in done.scores if s.metric == "factuality"]
        mean = f"{math.fsum(values) / len(values):.4f}"
        part = table[table.index(f"crmeval_{case}") :]
        assert mean in part[part.index("factuality") :].split("\n")[0], (mean, table)
print_row(
    "lm-eval", "two use cases as tasks, a dummy and a chat endpoint, its log as a run with the same figures"
)
