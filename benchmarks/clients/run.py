"""Client libraries against the real command `crmeval gateway`, with a scripted model behind it.

    python benchmarks/clients/run.py --install openai ai     # once, pinned; all without names
    python benchmarks/clients/run.py                         # every library that has an environment

Needs npm for the libraries in JavaScript. Each library is tried twice: with streams by sentence and plain
model names, and with held streams and names of reasoning models, for which some libraries send other fields.
Writes benchmarks/results/clients.json: package, release, number of trials, what failed, the date.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

from serve import served

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
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
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *pin["pip"]], check=True)


def command(name, envs):
    "Return the command of a library's trials; None without its environment."
    folder, script = envs / name, str(HERE / PINS[name]["script"])
    if "npm" in PINS[name]:
        return ["node", script] if (folder / "node_modules").is_dir() else None
    python = folder / "bin" / "python"
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
    told |= {"held": len(rows) - len(failed), "failed": failed, "sends": PINS[name]["sends"]}
    return {**told, "date": date.today().isoformat()}


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("libraries", nargs="*", help=f"some of {', '.join(PINS)}")
    ask.add_argument("--install", action="store_true", help="make the environments first")
    ask.add_argument("--envs", type=Path, default=Path("envs"), help="folder of the environments")
    args = ask.parse_args()
    if strange := set(args.libraries) - set(PINS):
        ask.error(f"there is no library {sorted(strange)[0]!r}; expected some of {', '.join(PINS)}")
    names, envs = args.libraries or list(PINS), args.envs.resolve()
    if args.install:
        for name in names:
            install(name, envs)
    rows = {}
    for name in names:
        rows[name] = tried(name, envs)
        print(f"{name}: {'skipped, it has no environment' if rows[name] is None else json.dumps(rows[name])}")
    held = {name: row for name, row in rows.items() if row}
    path = ROOT / "benchmarks" / "results" / "clients.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **held}, indent=1) + "\n", encoding="utf-8")
    return 0 if all(not row["failed"] for row in held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
