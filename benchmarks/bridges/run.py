"""Each bridge with the real package behind it, in an environment of its own.

    python benchmarks/bridges/run.py --install inspect lm_eval     # once, pinned; all without names
    python benchmarks/bridges/run.py                               # every tool that has an environment

Writes benchmarks/results/bridges.json: package, release, what was tried, whether it holds (if not: what the
tool printed), the date. Only --install uses the network.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import environments

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
    pinned = ROOT / "benchmarks" / "requirements" / f"{name}.txt"
    environments.install(name, envs, "-r", str(pinned), "-e", f"{ROOT}[run]")
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
    python = environments.python_of(name, envs)
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
    args = environments.arguments(__doc__, "tool", TOOLS)
    names = args.names
    if args.install:
        names = [name for name in names if installed(name, args.envs)]
    rows = {name: environments.printed(name, tried(name, args.envs)) for name in names}
    held = environments.written("bridges.json", rows)
    return 0 if all(row["holds"] for row in held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
