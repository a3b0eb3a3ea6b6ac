# Everything a developer or a first-time user needs; each target sets up what it needs by itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell packaging/find-python)
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: help inventory test lint format docs bench fuzz test-tools test-pythons test-wheel golden lock clean

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

test: $(BIN)/.dev ## the whole test suite; what this machine cannot run is skipped with its reason and counted
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(BIN)/.dev ## ruff, mypy --strict and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(BIN)/.dev ## format the code and mend what ruff can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean: ## remove what make made
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
