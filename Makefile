# Everything a clone can do. Each target sets up what it needs: Python 3.11 or newer is enough.

BIN := .venv/bin
# Nothing is written outside of the clone: Snakemake and Matplotlib would cache in the user's home.
CACHE := $(CURDIR)/.venv/cache
ACTIVE := PATH="$(CURDIR)/$(BIN):$$PATH" XDG_CACHE_HOME="$(CACHE)" MPLCONFIGDIR="$(CACHE)/matplotlib"

# Python compiles by itself what is imported, and that is the smaller part. Where it may not keep
# it, it compiles Snakemake at every start, for 2 s.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# Wheels only: nothing is compiled here, and what has no wheel for this machine is said at once.
# These three are pure Python and published as source only.
WHEELS := --only-binary :all: --no-binary astroplan,connection-pool,pims
# uv takes 15 s where pip takes 90 s; where only the settings of pip lead to the packages, pip does it.
UV := $(BIN)/uv pip install --quiet --no-cache $(WHEELS),llama-multimessenger

# What tests and benchmarks need beyond Python: installed as root on Debian, else named.
NEEDS := @$(BIN)/python tests/needs.py

.PHONY: help demo image check needs test proofs lint format bench peers validate fuzz soak oldest
help: ## what there is (this list)
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: $(BIN)/.installed ## one mock event from alert to summary page, with a small background
	@$(ACTIVE) llama demo

image: ## the container image llama, with podman, buildah or docker; args="--build-arg EXTRAS="
	@tool=$$(command -v podman || command -v buildah || command -v docker) || \
	  { echo "install podman, buildah or docker first" >&2; exit 1; }; $$tool build -t llama $(args) .

check: lint ## the linters and the quick unit tests, in two minutes; before every commit
	@$(ACTIVE) pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests/unit

needs: $(BIN)/.installed ## what tests need beyond Python
	$(NEEDS)

# What tests import, and the statistic, is compiled once, not by all workers at the same time.
$(BIN)/.compiled: $(BIN)/.installed $(wildcard scripts/llama/stats/*.py)
	@$(ACTIVE) pytest -qq --collect-only > $@.log || { cat $@.log; exit 1; }
	@$(ACTIVE) pytest -qq -k "compiled_ahead or many_neutrinos_or_none" tests/unit/test_running_keeper.py tests/unit/test_study_tilts.py > $@.log || { cat $@.log; exit 1; }
	@touch $@

test: needs $(BIN)/.compiled ## all tests; only="-m fleet" runs a part
	@$(ACTIVE) pytest -q -n 6 --dist loadfile --no-loadscope-reorder $(only)

proofs: $(BIN)/.installed ## the whole of what other runs repeat a part of; writes tests/proofs.json
	@PROOFS=whole $(ACTIVE) pytest -q -n 2 --dist loadfile -m proof

lint: $(BIN)/.installed ## form, types, layers, workflow
	@$(ACTIVE) ruff format --check .
	@$(ACTIVE) ruff check .
	@$(ACTIVE) mypy
	@$(ACTIVE) lint-imports
	@$(ACTIVE) snakefmt --check Snakefile rules tests/bench/validation/Snakefile
	@$(ACTIVE) snakemake --lint

format: $(BIN)/.installed ## put all files into form
	@$(ACTIVE) ruff format .
	@$(ACTIVE) ruff check --fix .
	@$(ACTIVE) snakefmt Snakefile rules tests/bench/validation/Snakefile

bench: $(BIN)/.installed ## measure, print a table, write bench.json; only="stats event" measures a part
	$(NEEDS)
	@$(ACTIVE) python tests/bench/run.py $(only)

peers: $(BIN)/.installed ## measure the overlap beside that of hpmoc and ligo.raven
	@TMPDIR="$(CACHE)" $(UV) --python .venv --editable '.[dev,peers]' || $(PIP) $(WHEELS) --editable '.[dev,peers]'
	@$(ACTIVE) python tests/bench/run.py peers

# with data=DIR (the page says what is in it) all is measured anew; maps=DIR: of circulars' events
validate: $(BIN)/.installed ## docs/validation.md; data=DIR measures what it shows, 6 min
	@$(ACTIVE) snakemake --quiet all -s tests/bench/validation/Snakefile --cores 1 --forceall \
	  $(if $(data),--config data=$(data) maps=$(maps))

soak: $(BIN)/.installed ## a simulated day in an hour: everything fails, nothing may be lost
	@$(ACTIVE) python tests/system/soak.py

fuzz: $(BIN)/.installed ## try to break every parser of outside input, ten minutes each
	$(NEEDS)
	@TMPDIR="$(CACHE)" $(UV) --python .venv --editable '.[dev,fuzz]' || $(PIP) $(WHEELS) --editable '.[dev,fuzz]'
	@$(ACTIVE) python tests/fuzz/fuzz.py

# `>=` in pyproject.toml is a promise. Old libraries may warn of what newer ones deprecate.
oldest: ## the tests without servers, with the oldest dependencies that pyproject.toml allows
	@python3.11 -m venv .oldest
	@.oldest/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(subst $(BIN),.oldest/bin,$(UV)) --python .oldest --resolution lowest-direct --editable '.[dev]'
	@PATH="$(CURDIR)/.oldest/bin:$$PATH" pytest -q -n 3 --dist loadfile --no-loadscope-reorder \
	  -W ignore::DeprecationWarning tests/unit tests/workflow

# The virtual environment, made anew when the dependencies change.
$(BIN)/.installed: pyproject.toml
	@for python in python3 python3.13 python3.12 python3.11; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	  python=; \
	done; \
	test -n "$$python" || { echo "LLAMA needs Python 3.11 or newer; install it first" >&2; exit 1; }; \
	$$python -m venv .venv || { echo "install Python's venv module, such as the package python3-venv" >&2; exit 1; }
	@echo "installing into .venv"
	@$(PIP) uv
	@mkdir -p "$(CACHE)" # uv leaves its locks where temporary files are
	@TMPDIR="$(CACHE)" $(UV) --python .venv --editable '.[dev]' || $(PIP) $(WHEELS) --editable '.[dev]'
	@touch $@
