# Every target sets up what it needs, once: a second run finds it there. Needs Python 3.11 or newer and nothing else;
# what there is besides (OPA, Go, PostgreSQL) is used. Variables:
#   PYTHON          interpreter for the environment in .venv                    (python3)
#   SIDECAR_TOOLS   where tools are kept between checkouts                      (~/.cache/sidecar-tools)
#   ONCE=1          `make demo` ends after the story
#   KILL_ROUNDS     how often the ledger's processes are killed        (30 in `make test`, 200 in `make kills`)
#   KILL_SEED       what these kills are drawn from; part of the test's name (fixed in `make test`, new in `make kills`)
#   WORKER_KILL_ROUNDS  how often all of a deployment's workers and its sequencer are killed        (3)
#   BENCH           options of the benchmark                                (--rounds 3 --seconds 6 --json bench.json)
#   BENCH_FILTER, BENCH_PROXY   options of theirs, e.g. --rows 130000, --calls 60
#   BENCH_LEDGER    options of the ledger's benchmark                       (--rounds 3 --seconds 3 --entries 40000)
#   SOAK            options of the soak                                     (--sizes 10000 100000 1000000 10000000)
#   DEMO_DB, DEMO_ENGINE   postgresql or sqlite; opa or wasm: force the demo's parts

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
ENSURE := $(PYTHON) tools/ensure.py

PURE := sidecar/law/*,sidecar/codes.py,sidecar/errors.py,sidecar/records/expr.py,sidecar/records/attributes.py,sidecar/records/written.py,sidecar/records/tables.py,sidecar/records/propose.py,sidecar/records/draft.py,sidecar/records/qualify.py,sidecar/records/grade.py,sidecar/records/redaction.py,sidecar/gateway/steps.py,sidecar/gateway/read.py,sidecar/gateway/body.py,sidecar/gateway/cursor.py,sidecar/gateway/receipt.py,sidecar/gateway/problem.py,sidecar/gateway/answer_time.py,sidecar/policy/types.py,sidecar/policy/decode.py,sidecar/policy/filter.py,sidecar/policy/lint.py,sidecar/policy/memo.py,sidecar/policy/params.py,sidecar/ledger/merkle.py,sidecar/ledger/tiles.py,sidecar/ledger/note.py,sidecar/ledger/checkpoint.py,sidecar/ledger/proofs.py,sidecar/ledger/evidence.py,sidecar/ledger/entry.py,sidecar/ledger/build.py,sidecar/ledger/witnessed.py,sidecar/oversight/bypass/lines.py,sidecar/oversight/bypass/pgaudit.py,sidecar/oversight/bypass/mariadb.py,sidecar/oversight/bypass/access.py,sidecar/oversight/bypass/findings.py
PURE_LEAST := 95
# Two files at a time; the tests of a file share its servers.
SERVERS := -q -n 2 --dist loadfile
OPA = $$($(ENSURE) opa)

.PHONY: help demo test tools dev fmt lint policies mutants bundle bundle-check docs docs-check unit servers conformance two-worlds worlds fuzz probes-test probes timing functional faults kills bench bench-ledger soak bench-filter bench-proxy bench-memory clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | column -t -s '	'

demo: ## set up, tell the story, serve until Ctrl-C (ONCE=1: end after the story)
	@$(ENSURE) venv demo
	@if [[ "$${DEMO_ENGINE:-}" != wasm ]]; then export SIDECAR_OPA="$(OPA)"; fi; \
	exec $(BIN)/sidecar demo $(if $(filter-out 0,$(ONCE)),--once) $(if $(DEMO_FOLDER),--folder $(DEMO_FOLDER))

test: lint docs-check policies bundle-check mutants unit servers ## all checks and tests

tools: ## OPA, Helm, fsck of Tessera, omniwitness, PostgreSQL and MariaDB with their audits, nginx and strace for the tests
	@opa="$(OPA)"; [[ -n "$$opa" ]]
	@$(ENSURE) helm >/dev/null
	@$(ENSURE) fsck >/dev/null
	@$(ENSURE) omniwitness >/dev/null
	@$(ENSURE) postgres
	@$(ENSURE) mariadb
	@$(ENSURE) strace
	@$(ENSURE) pgaudit
	@$(ENSURE) server-audit
	@$(ENSURE) nginx

dev: ## the environment for development, in .venv
	@$(ENSURE) venv dev

fmt: dev tools ## format Python and Rego
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .
	"$(OPA)" fmt --write policies sidecar/policy/authz.rego

lint: dev ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

policies: dev tools ## Rego: format, strict check, tests with full coverage
	"$(OPA)" fmt --list --fail policies sidecar/policy/authz.rego
	"$(OPA)" check --strict --capabilities policies/capabilities.json --schema policies/schemas --bundle policies
	"$(OPA)" test --bundle policies
	"$(OPA)" test --bundle policies --coverage --threshold 100 --format json >/dev/null

mutants: dev tools ## every change of a rule or a legal parameter is noticed by a test
	SIDECAR_OPA="$(OPA)" $(BIN)/python tools/mutants.py

bundle: dev tools ## build the baseline policy artefacts that the package carries
	SIDECAR_OPA="$(OPA)" $(BIN)/python tools/build_bundle.py

bundle-check: dev tools ## build them again and compare, byte for byte
	SIDECAR_OPA="$(OPA)" $(BIN)/python tools/build_bundle.py --check

docs: dev ## generate docs/cli.md and docs/settings.md
	$(BIN)/python tools/gen_docs.py

docs-check: dev ## the generated pages are current
	$(BIN)/python tools/gen_docs.py --check

unit: dev ## fast tests; branch coverage of the pure modules
	$(BIN)/pytest tests/unit -n 2 -q --cov --cov-report=
	$(BIN)/coverage report --include='$(PURE)' --fail-under=$(PURE_LEAST)

servers: dev tools ## conformance, two-worlds, probes-test, functional and faults in one run
	SIDECAR_OPA="$(OPA)" $(BIN)/pytest tests/functional tests/worlds tests/conformance tests/probes tests/faults $(SERVERS)

conformance: dev tools ## engines, databases and golden cases agree
	SIDECAR_OPA="$(OPA)" $(BIN)/pytest tests/conformance $(SERVERS)

functional: dev tools ## real servers, as processes
	SIDECAR_OPA="$(OPA)" $(BIN)/pytest tests/functional $(SERVERS)

bench: dev tools ## speed beside the floor and the straightforward stack; nothing else should run meanwhile
	@$(ENSURE) wrk
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.benchmarks.speed $(BENCH)

bench-ledger: dev tools ## the ledger beside plain INSERTs, the raw flush and itself; nothing else should run meanwhile
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.benchmarks.ledger $(BENCH_LEDGER)

soak: dev tools ## positions and verification from 10⁴ to 10⁷ entries (SOAK="--sizes …"); 16 GB of disk
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.benchmarks.soak $(SOAK)

bench-filter: dev tools ## the compiled filter beside a DBA's condition, 1,000,000 rows a database; nothing else should run meanwhile
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.benchmarks.filter $(BENCH_FILTER)

bench-proxy: dev tools ## a page through the proxy beside nginx passing it through
	@$(ENSURE) nginx
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.benchmarks.proxy $(BENCH_PROXY)

bench-memory: dev tools ## memory of the workers after 20,000 and after 100,000 inquiries
	@$(ENSURE) wrk
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.benchmarks.memory

two-worlds: dev tools ## 500 pairs of databases that differ in sealed records only show the same bytes
	SIDECAR_OPA="$(OPA)" $(BIN)/pytest tests/worlds $(SERVERS)

worlds: dev tools ## the same with 10,000 new pairs (WORLDS, WORLDS_SEED), and its page in docs/reports; goes on where it was stopped
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.worlds.run

fuzz: ## fuzzers of all parsers under atheris, FUZZ_SECONDS each (60); TARGETS="token xml" for some
	@python="$$($(ENSURE) fuzz)"; PYTHONPATH=. "$$python" -m tests.fuzz.run $(TARGETS)

probes-test: dev tools ## an attacker guesses who has sealed records, on four systems; a few hundred persons
	SIDECAR_OPA="$(OPA)" $(BIN)/pytest tests/probes $(SERVERS)

probes: dev tools ## the same with 5,000 persons, and its page in docs/reports
	SIDECAR_OPA="$(OPA)" $(BIN)/python -m tests.probes.run

timing: dev ## does time tell of sealed records: 100,000 pairs of answers (PAIRS), half an hour; goes on where it was ended (TIMING_SECONDS)
	$(BIN)/python -m tests.probes.timing

kills: dev tools ## kill -9 at 200 random points of commit, integration, signing and export (KILL_ROUNDS, KILL_SEED)
	@rounds="$${KILL_ROUNDS:-200}" seed="$${KILL_SEED:-$$RANDOM$$RANDOM}"; echo "KILL_ROUNDS=$$rounds KILL_SEED=$$seed"; \
	KILL_ROUNDS="$$rounds" KILL_SEED="$$seed" $(BIN)/pytest tests/faults/test_kills.py -v

faults: dev tools ## kills, full disks, fail-over, cut connections, dead servers, bad input, planted values
	SIDECAR_OPA="$(OPA)" $(BIN)/pytest tests/faults $(SERVERS)

clean: ## remove what targets made in the checkout
	rm -rf .venv .demo .worlds .fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage build dist
