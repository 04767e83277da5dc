"""Each bridge with the real package behind it, in an environment of its own.

    python benchmarks/bridges/run.py --install inspect lm_eval     # once, pinned; all without names
    python benchmarks/bridges/run.py                               # every tool that has an environment

Writes benchmarks/results/bridges.json: package, release, what was tried, whether it holds, the date.
"""

import argparse
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# promptfoo is fetched with npm and calls the Python of the environment of DeepEval
TOOLS = {name: name for name in ("inspect", "lm_eval", "deepeval", "ragas", "mlflow", "wandb")}
TOOLS |= {"promptfoo": "deepeval"}


def install(name, envs):
    "An environment with the tool as pinned, and this package as it stands."
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    python = envs / name / "bin" / "python"
    if not python.is_file():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(envs / name)], check=True)
    pinned = ROOT / "benchmarks" / "requirements" / f"{name}.txt"
    words = [uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*words, "-r", str(pinned), "-e", f"{ROOT}[run]"], check=True)


def tried(name, envs):
    "What a tool's trial says; None without its environment."
    python = envs / TOOLS[name] / "bin" / "python"
    if not python.is_file():
        return None
    script = HERE / f"{name}_tool.py"
    done = subprocess.run([str(python), str(script)], capture_output=True, text=True, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"package"')]
    if done.returncode or not lines:
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        return {"package": name, "holds": False, "why": why}
    return json.loads(lines[-1])


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("tools", nargs="*", help=f"some of {', '.join(TOOLS)}")
    ask.add_argument("--install", action="store_true", help="make the environments first")
    ask.add_argument("--envs", type=Path, default=Path("envs"), help="folder of the environments")
    args = ask.parse_args()
    if strange := set(args.tools) - set(TOOLS):
        ask.error(f"there is no tool {sorted(strange)[0]!r}; expected some of {', '.join(TOOLS)}")
    names = args.tools or list(TOOLS)
    if args.install:
        for name in dict.fromkeys(TOOLS[n] for n in names):
            install(name, args.envs)
    rows = {name: tried(name, args.envs) for name in names}
    for name, row in rows.items():
        print(f"{name}: {'skipped, it has no environment' if row is None else json.dumps(row)}")
    held = {name: {**row, "date": date.today().isoformat()} for name, row in rows.items() if row}
    path = ROOT / "benchmarks" / "results" / "bridges.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **held}, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row["holds"] for row in held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
