#!/usr/bin/env bash
# README.md is nbs/index.ipynb as Markdown. Usage: tests/readme.sh TARGET
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?usage: tests/readme.sh TARGET}
jupyter nbconvert --log-level ERROR --to markdown --stdout nbs/index.ipynb > "$target.part"
# the cells' trailing blank lines are noise in a README
cat -s "$target.part" > "$target"
rm "$target.part"
