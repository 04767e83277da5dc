"""What trials of clients and bridges share: an environment for each package, and their file of results."""

import argparse
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


def python_of(name, envs):
    "The interpreter of an environment, whether it exists or not."
    return envs / name / "bin" / "python"


def install(name, envs, *what):
    "Make an environment if there is none, and install what pip would be told."
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    python = python_of(name, envs)
    if not python.is_file():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(envs / name)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *what], check=True)


def arguments(doc, kind, known):
    "The arguments of a script: some of the known names (none: all), the folder, and whether to install."
    ask = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("names", metavar=kind, nargs="*", help=f"some of {', '.join(known)}")
    ask.add_argument("--install", action="store_true", help="make the environments first")
    ask.add_argument("--envs", type=Path, default=Path("envs"), help="folder of the environments")
    args = ask.parse_args()
    if strange := set(args.names) - set(known):
        ask.error(f"there is no {kind} {sorted(strange)[0]!r}; expected some of {', '.join(known)}")
    args.names = args.names or list(known)
    return args


def printed(name, row):
    "Print the row of a package as soon as it is there, and return it."
    print(f"{name}: {'skipped, it has no environment' if row is None else json.dumps(row)}", flush=True)
    return row


def written(file, rows):
    "Write the rows that there are, dated, beside those of earlier runs; return them."
    held = {name: {**row, "date": date.today().isoformat()} for name, row in rows.items() if row}
    path = RESULTS / file
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **held}, indent=1) + "\n", encoding="utf-8")
    return held
