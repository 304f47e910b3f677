# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
# They need Python 3.11, 3.12 or 3.13 and git; everything else goes into .venv on first use.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist=worksteal
SOURCES := trust client repository director cli tests bench demo metadata-fixtures conformance mutation .ci

.PHONY: help demo test check format lint types fast fix fixtures bench conformance removals mutants fuzz clean
.DEFAULT_GOAL := help

help:  ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY)  ## both repositories, a vehicle, an update, then the attacks (IMAGES=dir: with your own firmware)
	$(BIN)/python -m demo $(if $(IMAGES),--images '$(IMAGES)')

test: $(READY)  ## every test
	$(PYTEST) $(ARGS)

check: format lint types fast  ## format, lint, strict types and the fast tests

format: $(READY)
	$(BIN)/ruff format --check $(SOURCES)

lint: $(READY)
	$(BIN)/ruff check $(SOURCES)

types: $(READY)
	$(BIN)/mypy

fast: $(READY)
	$(PYTEST) -m 'not slow' $(ARGS)

fix: $(READY)  ## let the tools repair what they can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/python -m tests.architecture.codes
	$(BIN)/python -m tests.unit.docs.pouf

fixtures: $(READY)  ## write the test vectors again; they must come out byte for byte the same
	$(BIN)/python metadata-fixtures/generate.py

bench: $(READY)  ## benchmarks against floors and peers of the same run (ARGS=--quick for a first look)
	$(BIN)/python -m bench $(ARGS)

conformance: $(READY)  ## Uptane, clause by clause: the tests of every rule, and a report in build/conformance/ (ONLY=5.4.4)
	$(BIN)/python -m conformance.report --jobs $(JOBS) $(if $(ONLY),--only $(ONLY)) $(ARGS)

removals: $(READY)  ## take each check out in turn; a test of its rule has to notice (minutes)
	$(BIN)/python -m conformance.removals --jobs $(JOBS) $(ARGS)

mutants: $(READY)  ## break trust/ in small ways; a test has to notice each (ONLY="checks signatures.py", ARGS=--load)
	$(BIN)/python -m mutation --jobs $(JOBS) $(if $(ONLY),--only $(ONLY)) $(ARGS)

fuzz: $(READY)  ## fuzz every decoder (SECONDS=600 for each; NAMES="root targets" for some)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(NAMES) --seconds $(or $(SECONDS),60)

clean:  ## remove the environment and everything that tools left behind
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Depends on pyproject.toml, so that a changed dependency is installed before anything runs with the old one.
$(READY): pyproject.toml
	@test -n '$(PYTHON)' || { echo 'twinlock needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=...' >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || '$(PYTHON)' -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
