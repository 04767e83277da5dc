#!/usr/bin/env bash
# Build the site: our script prepares the notebooks with nbdev's processors, Quarto renders them, links are checked before and after.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v quarto >/dev/null || { echo "make site needs Quarto 1.7 or newer: .venv/bin/pip install -e '.[site]' brings it, or get it from quarto.org" >&2; exit 1; }
rm -rf _proc _site
python tests/build_site.py prepare _proc
# no page is executed: notebooks carry their outputs, and the tests execute them
(cd _proc && quarto render --no-execute --output-dir ../_site)
python tests/build_site.py check _site
echo "the site is in _site/index.html"
