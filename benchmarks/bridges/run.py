"""Each bridge with the real package behind it, in an environment of its own.

    python benchmarks/bridges/run.py --install inspect lm_eval     # once, pinned; all without names
    python benchmarks/bridges/run.py                               # every tool that has an environment

Writes benchmarks/results/bridges.json: package, release, what was tried, whether it holds (if not: what the
tool printed), the date. Only --install uses the network.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS = ("inspect", "lm_eval", "deepeval", "ragas", "mlflow", "wandb", "promptfoo")
MOST_S = 900  # seconds of a trial


def pins(path):
    "Lines of a file of requirements without its comments."
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def npm(env, *words):
    "Call npm for the folder `npm` of an environment, with the Node.js of that environment."
    own = os.environ | {"PATH": f"{env.resolve() / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--omit=optional"]
    subprocess.run(["npm", *words, *quiet, "--prefix", str(env / "npm")], check=True, env=own)


def database_package(env):
    "The build of libsql for this machine: of 1.1 GB of optional packages, promptfoo needs only this one."
    ask = [str(env / "bin" / "node"), "-p", "process.platform + '-' + process.arch"]
    machine = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    about = json.loads((env / "npm/node_modules/libsql/package.json").read_text(encoding="utf-8"))
    builds = {n: v for n, v in about["optionalDependencies"].items() if machine in n and "musl" not in n}
    return "@".join(min(builds.items()))


def install(name, envs):
    "An environment with the tool as pinned, and this package as it stands."
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    python = envs / name / "bin" / "python"
    if not python.is_file():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(envs / name)], check=True)
    pinned = ROOT / "benchmarks" / "requirements" / f"{name}.txt"
    words = [uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*words, "-r", str(pinned), "-e", f"{ROOT}[run]"], check=True)
    if (packages := pinned.with_suffix(".npm.txt")).is_file():
        npm(envs / name, "install", *pins(packages))
        npm(envs / name, "install", database_package(envs / name))


def installed(name, envs):
    "Whether a tool could be installed; a trial without it would say nothing about the bridge."
    try:
        install(name, envs)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{name}: skipped, it could not be installed: {error}")
        return False
    return True


def why_not(done):
    "The last line that a trial printed as an error, on one line and without colours."
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).strip().splitlines()
    return " ".join((lines or ["it said nothing"])[-1].split())[:500]


def tried(name, envs):
    "What a tool's trial says; None without its environment."
    python = envs / name / "bin" / "python"
    if not python.is_file():
        return None
    words = [str(python), str(HERE / f"{name}_tool.py")]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=MOST_S)
    except subprocess.TimeoutExpired:
        return {"package": name, "holds": False, "why": f"it did not end within {MOST_S} seconds"}
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"package"')]
    if done.returncode or not lines:
        return {"package": name, "holds": False, "why": why_not(done)}
    return json.loads(lines[-1])


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("tools", nargs="*", help=f"some of {', '.join(TOOLS)}")
    ask.add_argument("--install", action="store_true", help="make the environments first")
    ask.add_argument("--envs", type=Path, default=Path("envs"), help="folder of the environments")
    args = ask.parse_args()
    if strange := set(args.tools) - set(TOOLS):
        ask.error(f"there is no tool {sorted(strange)[0]!r}; expected some of {', '.join(TOOLS)}")
    names = args.tools or TOOLS
    if args.install:
        names = [name for name in names if installed(name, args.envs)]
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
