# Needs make and Python 3.11 or newer; everything else goes into $(VENV).
#   make test TESTS=tests/core JOBS=4 PYTEST_ARGS=-x     make demo PYTHON=python3.12

VENV  ?= .venv
JOBS  ?= auto
TESTS ?= tests
BENCH_ARGS  ?=
CHAOS_ARGS  ?=
DEMO_ARGS   ?=
PYTEST_ARGS ?=

BIN     := $(VENV)/bin
FOLDERS := $(wildcard eventlog adapters projections tests bench)

.PHONY: help demo test lint types bench chaos clean distclean
.DELETE_ON_ERROR:

help:
	@echo "make demo | test | lint | types | bench | chaos | clean | distclean"

demo: $(VENV)/.demo
	@$(BIN)/python -m eventlog demo $(DEMO_ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 $(PYTEST_ARGS) $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.dev $(VENV)/.bench
	$(BIN)/mypy --strict $(filter-out adapters projections,$(FOLDERS))
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/.bench
	@$(BIN)/python -m bench $(BENCH_ARGS)

# The proof: CHAOS_ARGS='--scale 100' is all of it.
chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

clean:
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(FOLDERS) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# One stamp for each extra that a target needs.
$(VENV)/.demo $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: pyproject.toml | $(BIN)/pip
	@echo "Installing eventlog and its '$*' packages into $(VENV); the first time takes a minute or two ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

# The first Python on the path that is new enough and can make a venv.
$(BIN)/pip:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python3.14 python); do \
	    if $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making $(VENV) with $$($$python --version) ..."; \
	        exec $$python -m venv $(VENV); \
	    fi; \
	done; \
	echo "Found no Python 3.11 or newer with the venv module (tried: $(or $(PYTHON),python3.11 to .14, python3, python))." >&2; \
	echo "Name one with 'make PYTHON=/path/to/python3'; on Debian or Ubuntu: apt install python3-venv" >&2; \
	exit 1
