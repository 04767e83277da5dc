#!/usr/bin/env bash
# Every check of the project. `make test` calls it.
#
# Two lanes beside each other keep two cores at work: the tests, of which one often waits for a server, a browser
# or a command that was killed, and all other checks, one after the other. The notebooks are the last of these:
# they are many and short. One at a time fills what the tests leave idle, and those that are left when the tests
# have ended fill both cores to the end; the other way round, the last tests would wait beside an idle core.
set -euo pipefail
cd "$(dirname "$0")/.."

# Other people's data lies beside the repository on some machines; tests that need it skip by name where it does not.
if [ -z "${CRMEVAL_DATA:-}" ] && [ -d ../shared/data ]; then CRMEVAL_DATA=$(cd ../shared/data && pwd); export CRMEVAL_DATA; fi
# Nothing below may use the network, and no key may be needed.
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_EVALUATE_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
# one thread a process: the processes fill two cores, and threads that wait for each other would spin on them
export MPLBACKEND=agg PYTHONHASHSEED=0 OMP_NUM_THREADS=1
unset OPENAI_API_KEY OPENAI_BASE_URL
# the tests start many commands; without compiled files each would compile the package anew
unset PYTHONDONTWRITEBYTECODE
work=$(mktemp -d)

step() { echo; echo "== $* ($SECONDS s)"; }

# Parts beside the tests, one after the other: what each says waits in a file until `joined` shows it, and a failure
# is told at once and is the whole's. They are a process group of their own, which ends with all that it started.
beside() {  # NAME...: functions
  set -m
  (
    set +m
    # all of it gives way to the tests, which end last otherwise, with a core idle beside them
    renice -n 5 -p "$BASHPID" >/dev/null 2>&1 || true
    for part; do
      SECONDS=0 code=0
      # as a job: `set -e` counts for nothing in what stands before `||`
      ( set -e; "$part" ) >"$work/$part.said" 2>&1 </dev/null &
      wait "$!" || code=$?
      echo "(took $SECONDS s beside the tests)" >>"$work/$part.said"
      [ "$code" = 0 ] || echo "failed beside the tests: $part; what it said is shown when they end" >&2
      echo "$code" >"$work/$part.code"
    done
  ) &
  set +m
  echo $! >"$work/beside.pid"
}
joined() {  # NAME TITLE
  step "$2"
  while [ ! -f "$work/$1.code" ]; do
    kill -0 "$(cat "$work/beside.pid")" 2>/dev/null || [ -f "$work/$1.code" ] || { echo "ended early: $2" >&2; exit 1; }
    sleep 0.2
  done
  cat "$work/$1.said"
  [ "$(cat "$work/$1.code")" = 0 ] || { echo "failed: $2" >&2; exit 1; }
}
ended() {
  local pid
  for pid in "$work"/*.pid; do [ ! -f "$pid" ] || kill -- "-$(cat "$pid")" 2>/dev/null || true; done
  rm -rf "$work"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

sources() {  # what the package is made of, without what was built or left behind
  find setup.py settings.ini pyproject.toml MANIFEST.in README.md LICENSE CHANGELOG.md crmeval tests/typed_use.py -type f -not -path '*/__pycache__/*' -print0
}
state() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null | sort -k2; }
in_sync() {
  state > "$work/before"
  nbdev_clean
  nbdev_export
  python tests/readme.py README.md
  state > "$work/after"
  diff "$work/before" "$work/after" | sed 's/^[<>] [0-9a-f]*/changed by cleaning or exporting:/' | sort -u || true
  cmp -s "$work/before" "$work/after" || { echo "run nbdev_clean, nbdev_export and make readme, and commit the result" >&2; exit 1; }
  [ -n "$(git status --porcelain)" ] || return 0
  git status --short | head -20
  [ -z "${CI:-}" ] || { echo "files are not committed" >&2; exit 1; }
  echo "(not committed; CI would stop here)"
}

# An environment that holds the wheel and what it asks for, and nothing else.
# Nothing is compiled ahead: two commands use a small part of what is installed.
install_wheel() {  # [EXTRAS]
  local wheel
  wheel=$(echo dist/*.whl)
  { [ -d empty ] || python -m uv venv --quiet empty; } && python -m uv pip install --quiet --python empty/bin/python "$wheel${1:-}" 2>/dev/null && return
  [ -x empty/bin/pip ] || { rm -rf empty; python -m venv empty; }
  empty/bin/python -m pip install --quiet "$wheel${1:-}"
}
wheel() {
  # the wheel is built from the sdist, so that both are shown to be whole
  python -m build --quiet --outdir "$work/dist" "$work/source" >/dev/null
  cd "$work"
  install_wheel
  empty/bin/python - <<'PY'
import sys, crmeval
from crmeval import factuality
score = factuality("The parcel arrives on Friday.", source="Agent: Your parcel arrives on Friday.")
assert score.points == 4, score
development = {"nbdev", "fastcore", "IPython", "pytest"} & set(sys.modules)
assert not development, development
from importlib.metadata import distributions
packages = {d.metadata["Name"] for d in distributions()} - {"pip", "setuptools"}
assert len(packages) <= 12, sorted(packages)
try:
    crmeval.run
    raise AssertionError("the extra is not there, and nobody said so")
except ImportError as error:
    assert "pip install 'crmeval[run]'" in str(error), error
print("crmeval", crmeval.__version__, "scores", score.points, "from the wheel,", len(packages), "packages")
PY
  install_wheel '[run]'
  empty/bin/crmeval run --use-case service_call_summary --use-case update_crm_info --limit 2 --out demo --no-progress
  empty/bin/crmeval report demo
  test -s demo/report.html
}

# the core of the tests on the other Pythons, as far as they can be had; fetching them is the only use of the network
pythons() { CRMEVAL_WHEEL=$(echo "$work"/dist/*.whl) python tests/pythons.py; }
# each in a process of its own: no notebook lives on what another one imported; a file tells that the tests have ended
notebooks() { CRMEVAL_BESIDE="$work/tested" python tests/notebooks.py; }
types() { python tests/type_check.py "$work/source"; }

# types and the wheel are of a copy: exporting writes the package anew, and building leaves files beside it; where
# what was exported is another, the whole fails
mkdir "$work/source"
sources | xargs -0 cp --parents -t "$work/source"
beside types wheel pythons notebooks

step "notebooks are clean, exported and in sync"
if git rev-parse --git-dir >/dev/null 2>&1; then in_sync; else echo "skipped: this is not a git checkout"; fi

step "ruff"
ruff check .
ruff format --check .

step "pytest"
# two processes: a third would pay for its imports anew, and the checks beside them fill what these leave idle
tested=0
python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests || tested=$?
touch "$work/tested"

joined types "types of the package and of a program that uses it"
joined wheel "wheel, built and used in an empty environment, and the CLI demo from it"
joined pythons "the core of the tests on other Pythons"
joined notebooks "notebook tests"
[ "$tested" = 0 ] || { echo "failed: pytest" >&2; exit "$tested"; }
echo; echo "all checks passed in $SECONDS s"
