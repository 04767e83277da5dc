"""What an installation contains, and under which licences:   python tests/sbom.py [EXTRAS] [--out FILE]

Creates an environment with the package and its extras (default: run), writes a CycloneDX document of it
(`cyclonedx-bom`, Apache-2.0, run from an environment of its own) and prints one line per licence.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNKNOWN = "not stated"
LONGEST = 60  # characters of a licence; some packages put the whole text there


def uv(*arguments: str, cwd: Path = ROOT) -> None:
    command = [shutil.which("uv")] if shutil.which("uv") else [sys.executable, "-m", "uv"]
    free = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([*command, *arguments], check=True, cwd=cwd, env=free)


def environment(extras: str, folder: Path) -> Path:
    "Return the Python of an environment with the package, its extras and nothing else."
    home = folder / "installed"
    uv("venv", "--quiet", "--python", sys.executable, str(home))
    python = home / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", str(python), f".[{extras}]" if extras else ".")
    return python


def document(python: Path, out: Path) -> dict:
    "Write the CycloneDX document of an environment and return it."
    written = ["--output-reproducible", "--output-file", str(out.resolve()), str(python)]
    # not in the checkout, whose content would be counted a second time
    tool = ["tool", "run", "--quiet", "--from", "cyclonedx-bom", "cyclonedx-py", "environment"]
    uv(*tool, *written, cwd=python.parent)
    return json.loads(out.read_text(encoding="utf-8"))


def licence_of(component: dict) -> str:
    "Return the licence in SPDX form, or the first line of the package's statement."
    statements = []
    for entry in component.get("licenses", []):
        one = entry.get("license", {})
        statements.append(entry.get("expression") or one.get("id") or one.get("name") or "")
    first = [text.strip().splitlines()[0].strip()[:LONGEST] for text in statements if text.strip()]
    return " / ".join(dict.fromkeys(first)) or UNKNOWN


def by_licence(components: list[dict]) -> dict[str, list[str]]:
    "Return {licence: packages with their versions}; packages without a licence come last."
    packages = defaultdict(list)
    for component in components:
        packages[licence_of(component)].append(f"{component['name']} {component.get('version', '')}".strip())
    return dict(sorted(packages.items(), key=lambda item: (item[0] == UNKNOWN, -len(item[1]), item[0])))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("extras", nargs="?", default="run", help="comma-separated; '' for the package alone")
    words.add_argument("--out", type=Path, default=ROOT / "dist" / "sbom.cdx.json")
    args = words.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        components = document(environment(args.extras, Path(folder)), args.out).get("components", [])
    for licence, packages in by_licence(components).items():
        print(f"{len(packages):4} {licence}: {', '.join(sorted(packages))}")
    print(f"{len(components)} packages, written to {args.out}")


if __name__ == "__main__":
    main()
