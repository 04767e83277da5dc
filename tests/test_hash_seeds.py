"""The same seed gives the same bytes: no order of a set stands in any text."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import hashlib, json, re, sys
from pathlib import Path
from crmeval import leaderboard, run
from crmeval.core.records import to_dict

out = Path(sys.argv[1])
systems = ["baseline:lead", "baseline:rules", "baseline:sensible"]
done = run(systems, areas=["accuracy", "trust"], limit=2, out=out, progress=False)
TIMES = {"latency_s", "ttft_s", "started", "finished", "created", "seconds", "cost_usd", "queue_s"}

def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in TIMES}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value

for kind in ("samples", "responses", "scores"):
    for record in getattr(done, kind):
        row = to_dict(record)
        if row.get("metric") not in ("cost", "speed"):
            print(kind, json.dumps(plain(row), ensure_ascii=True, default=str))
print(len(done.scores))
"""


def started(seed: int, folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder / "run")],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(process: subprocess.Popen) -> list[str]:
    said, problems = process.communicate(timeout=300)
    assert process.returncode == 0, problems[-2000:]
    return said.splitlines()


def test_two_hash_seeds_give_the_same_rows(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    both = started(1, tmp_path / "a"), started(2, tmp_path / "b")  # beside each other
    first, second = map(rows, both)
    assert len(first) > 500
    assert len(first) == len(second)
    different = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    assert not different, different[:3]
