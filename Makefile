# Everything a developer or a first-time user needs; each target sets up what it needs by itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell packaging/find-python)
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n 2 --dist worksteal
DIST ?= dist
PYTHONS ?= 3.10 3.11 3.12 3.13

.PHONY: help inventory test lint format docs bench fuzz packages verify-release one-shot test-tools test-pythons test-wheel test-booted test-faults test-user lock clean

help: ## show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/.run: requirements/run.txt
	@test -n "$(PYTHON)" || { echo "make: expected Python 3.10 or later with venv, found none; install python3 and python3-venv" >&2; exit 3; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/run.txt
	@touch $@

$(BIN)/.dev: requirements/dev.txt $(BIN)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

inventory: $(BIN)/.run ## read this host, show it, and sign it into a local log
	@$(BIN)/python -m agent inventory

test: $(BIN)/.dev ## all tests but those that boot or break a whole system; what this machine cannot run is skipped with its reason and counted
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(BIN)/.dev ## ruff, mypy --strict and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(BIN)/.dev ## format the code and mend what ruff can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(BIN)/.dev ## write what is generated: docs/tables.md, the columns of docs/privacy.md, the README's inventory
	$(BIN)/python -m docs.generate

bench: $(BIN)/.dev ## measure side by side with public tools and write docs/benchmarks.md
	$(BIN)/python -m bench

fuzz: $(BIN)/.dev ## give each parser random input for a minute
	$(BIN)/python tests/fuzz/run.py --seconds 60

packages: $(BIN)/.dev ## build the deb and rpm packages for both machines into dist/; RELEASE_KEY=FILE signs what was built
	PYTHON=$(BIN)/python packaging/packages --to $(DIST)

verify-release: $(BIN)/.dev ## check packages against their signed statement: DIST=FOLDER KEY=FILE.pub, and REBUILD=1 to build them again
	@test -n "$(KEY)" || { echo "make: expected KEY=FILE.pub, the release's public key, found none" >&2; exit 2; }
	$(BIN)/python packaging/release.py verify $(DIST) --key $(KEY) $(if $(REBUILD),--rebuild)

test-tools: ## install the programs that tests compare with (Debian, root)
	packaging/test-tools

test-pythons: ## the suite without its slow tests on every supported Python that is on this machine
	packaging/test-pythons $(PYTHONS) -- $(PYTEST_ARGS) -m "'not slow'"

test-wheel: $(BIN)/.dev ## build the sdist, the wheel from it, and run it from an empty environment
	packaging/test-wheel $(BIN)/python

one-shot: $(BIN)/.run ## one executable file that makes a pack of a host without installing: dist/evidenced.pyz
	packaging/one-shot

test-booted: $(BIN)/.dev ## install and run the service in booted Debian trees (root; makes the trees at first)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --dist loadfile tests/booted tests/packages

test-faults: $(BIN)/.dev ## break a whole running system: kills, full disks, clones, cut networks (root; minutes)
	$(BIN)/python -m pytest $(PYTEST_ARGS) -n 0 tests/faults

test-user: ## everything again from a fresh clone as an ordinary user (run as root)
	packaging/test-user

lock: ## resolve dependencies anew, with hashes; needs uv
	uv pip compile pyproject.toml --universal --python-version 3.10 --generate-hashes --no-header -q -o requirements/run.txt
	uv pip compile pyproject.toml --extra hub --universal --python-version 3.10 --generate-hashes --no-header -q -o requirements/hub.txt
	uv pip compile pyproject.toml --group dev --extra hub --universal --python-version 3.10 --generate-hashes --no-header -q -o requirements/dev.txt

clean: ## remove what make made
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
