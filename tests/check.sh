#!/usr/bin/env bash
# Every check of the project, in the order in which a failure is cheapest to find. `make test` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Other people's data lies beside the repository on some machines; tests that need it skip by name where it does not.
if [ -z "${CRMEVAL_DATA:-}" ] && [ -d ../shared/data ]; then CRMEVAL_DATA=$(cd ../shared/data && pwd); export CRMEVAL_DATA; fi
# Nothing below may use the network, and no key may be needed.
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_EVALUATE_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
export MPLBACKEND=agg PYTHONHASHSEED=0 OMP_NUM_THREADS=2
unset OPENAI_API_KEY OPENAI_BASE_URL
# the tests start many commands; without compiled files each would compile the package anew
unset PYTHONDONTWRITEBYTECODE
step() { echo; echo "== $* ($SECONDS s)"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step "notebooks are clean, exported and in sync"
state() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null | sort -k2; }
if git rev-parse --git-dir >/dev/null 2>&1; then
  state > "$work/before"
  nbdev_clean
  nbdev_export
  python tests/readme.py README.md
  state > "$work/after"
  diff "$work/before" "$work/after" | sed 's/^[<>] [0-9a-f]*/changed by cleaning or exporting:/' | sort -u || true
  cmp -s "$work/before" "$work/after" || { echo "run nbdev_clean, nbdev_export and make readme, and commit the result" >&2; exit 1; }
  if [ -n "$(git status --porcelain)" ]; then
    git status --short | head -20
    if [ -n "${CI:-}" ]; then echo "files are not committed" >&2; exit 1; else echo "(not committed; CI would stop here)"; fi
  fi
else echo "skipped: this is not a git checkout"; fi

step "ruff"
ruff check .

step "notebook tests"
nbdev_test --n_workers 2 --do_print

step "wheel, built and used in an empty environment"
rm -rf build
python -m build --quiet --wheel --outdir "$work/dist" . >/dev/null
python -m venv "$work/empty"
into_empty() { python -m uv pip install --quiet --compile-bytecode --python "$work/empty/bin/python" "$@" 2>/dev/null || "$work/empty/bin/python" -m pip install --quiet "$@"; }
into_empty "$work"/dist/*.whl
(
  cd "$work"
  empty/bin/python - <<'PY'
import sys, crmeval
from crmeval import factuality
score = factuality("The parcel arrives on Friday.", source="Agent: Your parcel arrives on Friday.")
assert score.points == 4, score
development = {"nbdev", "fastcore", "IPython", "pytest"} & set(sys.modules)
assert not development, development
print("crmeval", crmeval.__version__, "scores", score.points, "from the wheel")
PY
  step "CLI demo, from the wheel"
  empty/bin/crmeval run --use-case service_call_summary --use-case update_crm_info --limit 2 --out demo --no-progress
  empty/bin/crmeval report demo
  test -s demo/report.html
)

step "pytest"
# two processes: most of the time is spent waiting for commands to start
python -m pytest -q -n 2 --dist loadfile tests
echo; echo "all checks passed in $SECONDS s"
