"""Client libraries against the real command `crmeval gateway`, with a scripted model behind it.

    python benchmarks/clients/run.py --install openai ai     # once, pinned; all without names
    python benchmarks/clients/run.py                         # every library that has an environment

Needs npm for the libraries in JavaScript. Each library is tried twice: with streams by sentence and plain
model names, and with held streams and names of reasoning models, for which some libraries send other fields.
Writes benchmarks/results/clients.json: package, release, number of trials, what failed, the date.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from serve import served

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import environments

PINS = json.loads((HERE / "pins.json").read_text(encoding="utf-8"))
WAYS = (("sentences", "echo", "parallel"), ("hold", "gpt-5-mini", "gpt-5"))
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HAYSTACK_TELEMETRY_ENABLED": "False"}


def install(name, envs):
    "Make an environment or a folder of npm with a library as pinned."
    folder, pin = envs / name, PINS[name]
    folder.mkdir(parents=True, exist_ok=True)
    if "npm" in pin:
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *pin["npm"]], cwd=folder, check=True)
        return
    environments.install(name, envs, *pin["pip"])


def command(name, envs):
    "Return the command of a library's trials; None without its environment."
    folder, script = envs / name, str(HERE / PINS[name]["script"])
    if "npm" in PINS[name]:
        return ["node", script] if (folder / "node_modules").is_dir() else None
    python = environments.python_of(name, envs)
    return [str(python), script] if python.is_file() else None


def trials(name, envs, way):
    "Return the rows of a library's trials in one way."
    stream, echo, parallel = way
    with served(stream) as told:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | QUIET | told
        env |= {"STREAM": stream, "ECHO": echo, "PARALLEL": parallel}
        how = {"cwd": envs / name, "env": env, "capture_output": True, "text": True, "timeout": 900}
        done = subprocess.run(command(name, envs), **how)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"package"')]
    if done.returncode or not lines:
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        return [{"package": name, "version": "", "trial": "start", "holds": False, "why": why}]
    return [json.loads(line) for line in lines]


def tried(name, envs):
    "Return what a library's trials say; None without its environment."
    if command(name, envs) is None:
        return None
    rows = [row for way in WAYS for row in trials(name, envs, way)]
    failed = [f"{row['trial']}: {row['why']}" for row in rows if not row["holds"]]
    told = {"package": rows[0]["package"], "version": rows[0]["version"], "trials": len(rows)}
    return told | {"held": len(rows) - len(failed), "failed": failed, "sends": PINS[name]["sends"]}


def main():
    args = environments.arguments(__doc__, "library", PINS)
    envs = args.envs.resolve()
    if args.install:
        for name in args.names:
            install(name, envs)
    rows = {name: environments.printed(name, tried(name, envs)) for name in args.names}
    held = environments.written("clients.json", rows)
    return 0 if all(not row["failed"] for row in held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
