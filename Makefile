# Every target sets up what it needs, once: a second run finds it there. Needs Python 3.11 or newer and nothing else;
# what there is besides (OPA, Go, PostgreSQL) is used. Variables:
#   PYTHON          interpreter for the environment in .venv                    (python3)
#   SIDECAR_TOOLS   where tools are kept between checkouts                      (~/.cache/sidecar-tools)
#   ONCE=1          `make demo` ends after the story
#   DEMO_DB, DEMO_ENGINE   postgresql or sqlite; opa or wasm: force the demo's parts

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
ENSURE := $(PYTHON) tools/ensure.py
BASELINE := sidecar/policy/baseline

.PHONY: help demo test tools dev fmt lint unit conformance functional policies bundle bundle-check docs docs-check clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | column -t -s '	'

demo: ## set up, tell the story, serve until Ctrl-C (ONCE=1: end after the story)
	@$(ENSURE) venv demo
	@export SIDECAR_OPA="$$($(ENSURE) opa)"; exec $(BIN)/sidecar demo run $(if $(filter-out 0,$(ONCE)),--once)

test: lint policies bundle-check docs-check unit conformance functional ## all checks and tests

tools: ## OPA, Helm and PostgreSQL for the tests
	@$(ENSURE) opa >/dev/null && $(ENSURE) helm >/dev/null && $(ENSURE) postgres

dev: ## the environment for development in .venv
	@$(ENSURE) venv dev

fmt: dev ## format Python and Rego
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .
	"$$($(ENSURE) opa)" fmt --write policies sidecar/policy/authz.rego

lint: dev ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove what targets made in the checkout
	rm -rf .venv .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage build dist
