"promptfoo asserts a metric of ours; it is fetched with npm into a folder of its own, and sends nothing."

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from told import CONTEXT

VERSION = "0.121.20"  # newer ones need Node.js 22.22
CONFIG = {
    "prompts": ["It arrives on {{day}}."],
    "providers": ["echo"],
    "tests": [
        {
            "vars": {"day": day, "transcript": CONTEXT},
            "assert": [
                {
                    "type": "python",
                    "value": "file://crmeval_assert.py",
                    "config": {"metric": "factuality", "at_least": 3, "source": "transcript"},
                }
            ],
        }
        for day in ("Friday", "Monday")
    ],
}

with tempfile.TemporaryDirectory() as folder:
    quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"}
    own = {"PROMPTFOO_PYTHON": sys.executable, "PROMPTFOO_CONFIG_DIR": f"{folder}/config"}
    how = {"cwd": folder, "env": os.environ | quiet | own, "capture_output": True, "text": True}
    packages = [f"promptfoo@{VERSION}", "@libsql/linux-x64-gnu"]
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", *packages], check=True, **how)
    Path(folder, "crmeval_assert.py").write_text("from crmeval.bridges.adapters import get_assert\n")
    Path(folder, "promptfooconfig.json").write_text(json.dumps(CONFIG))
    words = ["eval", "-c", "promptfooconfig.json", "--no-cache", "--no-table", "-o", "out.json"]
    subprocess.run(["npx", "promptfoo", *words], **how)
    results = json.loads(Path(folder, "out.json").read_text())["results"]["results"]
    assert [r["success"] for r in results] == [True, False], results
    assert "It arrives on Monday." in results[1]["gradingResult"]["reason"]
told = {"package": "promptfoo", "version": VERSION, "tried": "a metric as a Python assertion", "holds": True}
print(json.dumps(told))
