#!/usr/bin/env bash
# Build the site: nbdev prepares the notebooks, Quarto renders them. Quarto looks for _quarto.yml beside its sources.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v quarto >/dev/null || { echo "make site needs Quarto: pip install 'crmeval[site]' brings it, or get it from quarto.org" >&2; exit 1; }
nbdev_proc_nbs
cp _quarto.yml _proc/
(cd _proc && quarto render --output-dir ../_site)
echo "the site is in _site/index.html"
