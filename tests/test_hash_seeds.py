"""The same seed gives the same bytes: the order of a set appears in no text."""

import json
import os
import subprocess
import sys
from pathlib import Path

from crmeval import run
from crmeval.core.records import to_dict

SYSTEMS = ["baseline:lead", "baseline:rules", "baseline:sensible"]
TIMES = {"latency_s", "ttft_s", "started", "finished", "created", "seconds", "cost_usd", "queue_s"}
PROGRAM = "import sys, test_hash_seeds as t; print('\\n'.join(t.rows(sys.argv[1])))"


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in TIMES}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def rows(out) -> list[str]:
    "Return each row of a small run as a line."
    done = run(SYSTEMS, areas=["accuracy", "trust"], limit=2, out=out, progress=False)
    found = []
    for kind in ("samples", "responses", "scores"):
        for record in getattr(done, kind):
            row = to_dict(record)
            if row.get("metric") not in ("cost", "speed"):
                found.append(f"{kind} {json.dumps(plain(row), ensure_ascii=True, default=str)}")
    return [*found, str(len(done.scores))]


def started(seed: str, out: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(out)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_hash_seeds_give_the_same_rows(tmp_path):
    "Compare the rows of this process with those of a parallel process that has another hash seed."
    other = started("2" if os.environ.get("PYTHONHASHSEED") != "2" else "1", tmp_path / "other")
    first = rows(tmp_path / "own")
    output, problems = other.communicate(timeout=300)
    assert other.returncode == 0, problems[-2000:]
    second = output.splitlines()
    assert len(first) > 500
    assert len(first) == len(second)
    different = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    assert not different, different[:3]
