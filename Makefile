# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
# They need Python 3.11 or newer and git; everything else goes into .venv on first use.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
SHELL := bash
.SHELLFLAGS := -o pipefail -c
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist=worksteal
SOURCES := trust io client repository director cli testing tests bench demo metadata-fixtures conformance mutation .ci

.PHONY: help demo test system peers pythons check format lint types fast fix fixtures bench conformance removals mutants fuzz clean
.DEFAULT_GOAL := help

help:  ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY)  ## both repositories, a vehicle, an update, then the attacks (IMAGES=dir: with your own firmware)
	$(BIN)/python -m demo $(if $(IMAGES),--images '$(IMAGES)')

test: $(READY)  ## every test that needs neither root nor a program of the system
	$(PYTEST) -m 'not system and not peers' $(ARGS)

system: $(READY)  ## as root: install what real components need (Debian packages), then the tests with them
	.ci/packages
	$(PYTEST) -m system $(ARGS)

peers: $(READY)  ## other projects' clients, built here from their registries (many minutes; the tests say what they need)
	$(PYTEST) -m peers $(ARGS)

pythons: $(READY)  ## fast tests against the built wheel on the other Pythons installed: all on the newest (ARGS=--whole: on each)
	.ci/pythons $(ARGS)

check: format lint types fast  ## format, lint, strict types and the fast tests

format: $(READY)
	$(BIN)/ruff format --check $(SOURCES)

lint: $(READY)
	$(BIN)/ruff check $(SOURCES)

types: $(READY)
	$(BIN)/mypy

fast: $(READY)
	$(PYTEST) -m 'not slow and not system and not peers' $(ARGS)

fix: $(READY)  ## let the tools repair what they can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/python -m tests.architecture.codes
	$(BIN)/python -m tests.architecture.schemas
	$(BIN)/python -m tests.unit.docs.pouf

fixtures: $(READY)  ## write the test vectors again; they must come out byte for byte the same
	$(BIN)/python metadata-fixtures/generate.py

bench: $(READY)  ## benchmarks against floors and peers of the same run (ARGS=--quick for a first look)
	$(BIN)/python -m bench $(ARGS)

conformance: $(READY)  ## Uptane, clause by clause: the tests of every rule, and a report in build/conformance/ (ONLY=5.4.4)
	$(BIN)/python -m conformance.report --jobs $(JOBS) $(if $(ONLY),--only $(ONLY)) $(ARGS)

removals: $(READY)  ## take each check out in turn; a test of its rule has to notice (minutes)
	$(BIN)/python -m conformance.removals --jobs $(JOBS) $(ARGS)

mutants: $(READY)  ## break trust/ in small ways; goes on where it was stopped (ONLY="checks keys/signatures.py", ARGS="--load --again")
	$(BIN)/python -m mutation --jobs $(JOBS) $(if $(ONLY),--only $(ONLY)) $(ARGS)

fuzz: $(READY)  ## fuzz every decoder (SECONDS=600 for each; NAMES="root targets" for some)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(NAMES) --seconds $(or $(SECONDS),60)

clean:  ## remove the environment and everything that tools left behind
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Depends on pyproject.toml, so that a changed dependency is installed before anything runs with the old one.
$(READY): pyproject.toml
	@test -n '$(PYTHON)' || { echo 'twinlock needs Python 3.11 or newer; name one with: make PYTHON=...' >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "making .venv with $$('$(PYTHON)' --version): about fifty packages, a minute or two the first time"
	@test -x $(BIN)/python || '$(PYTHON)' -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --editable '.[dev]' 2>&1 \
		| sed -u -E '/^(Requirement already|Obtaining|Looking in|Building|Successfully| +(Stored|Building|Using cached|Downloading|Installing|Checking|Getting|Preparing|Created))/d'
	@touch $@
