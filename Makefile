# `make demo` and `make test` set themselves up: Python 3.11 to 3.14 and PyPI are all they need.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# Bytecode is kept even where the environment says otherwise: each process of the tests would compile every module again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup demo test fuzz mutants prove analyse bench bench-quick capacity test-browser test-long test-postgresql test-npm test-network test-consortium network soak check format \
  compile catalogue examples clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 16

setup: .venv/.ready ## Make the virtual environment

.venv/.ready: pyproject.toml constraints.txt
	@# Later ones lack packages of pinned libraries (PyYAML, orjson, OpenCC) and would need compilers.
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { echo "Python 3.11 to 3.14 is needed: make PYTHON=python3.14 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gateway,devnet,dev,postgresql,pkcs11]'
	@touch $@

demo: setup ## Run a day: two banks, one platform, 595 payments and withdrawals (ONCE=1 ends by itself)
	$(BIN)/python hardhat-free-scripts/demo.py $(if $(ONCE),--once)

test: setup ## Run the tests, except those that take long (test-long) or need more than PyPI
	$(BIN)/python -m pytest -q -n 4 --dist worksteal $(ARGS)

fuzz: setup ## Random sequences of calls to the contract, compared with its model: FUZZ of them (600 by default), about 35 steps each
	STANDING_FUZZ_EXAMPLES=$(or $(FUZZ),600) $(BIN)/python -m pytest -q -n 2 -m "long or not long" tests/contracts/test_state_machine.py

mutants: setup ## Mutation testing of the contract (needs npm; an hour)
	$(BIN)/python hardhat-free-scripts/mutants.py $(ARGS)

.venv/.bench: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gateway,devnet,bench]'
	@touch $@

bench: .venv/.bench ## Every figure beside its peer, into benchmarks.json and docs/benchmarks (needs npm and redis-server; half an hour)
	PYTHONPATH=.:hardhat-free-scripts $(BIN)/python -m bench.run $(ARGS)

bench-quick: .venv/.bench ## Compare the cost of a decision with benchmarks.json; fails if it is over 10 % worse (three minutes)
	PYTHONPATH=.:hardhat-free-scripts $(BIN)/python -m bench.quick $(ARGS)

capacity: .venv/.bench ## What a consortium can carry, simulated from benchmarks.json, into docs/capacity and docs/CONSORTIUM.md (some minutes)
	PYTHONPATH=.:hardhat-free-scripts $(BIN)/python -m bench.capacity_study $(ARGS)

# halmos and slither pin what the project itself wants newer, so they have an environment of their own.
.cache/proof/.ready: Makefile
	@test -x .cache/proof/bin/python || $(PYTHON) -m venv .cache/proof
	.cache/proof/bin/python -m pip install --quiet --disable-pip-version-check \
	  halmos==0.3.3 slither-analyzer==0.11.6 py-solc-x==2.0.5
	@touch $@

prove: .cache/proof/.ready ## The contract's promises by symbolic execution, and faults that each proof has to find (needs npm)
	.cache/proof/bin/python hardhat-free-scripts/prove.py $(ARGS)

analyse: .cache/proof/.ready ## Static analysis of the contract by slither (needs npm)
	.cache/proof/bin/python hardhat-free-scripts/analyse.py $(ARGS)

test-long: setup ## Tests that take long: processes killed at each durable step, the demo's day, API fuzzing, searches for odd input
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m long tests $(ARGS)

ON_POSTGRESQL = tests/node tests/gateway/test_kill.py tests/gateway/decisions/test_reservation_machine.py \
  tests/gateway/decisions/test_beside_others.py tests/ledger/service/test_postgresql.py \
  tests/gateway/test_several.py tests/gateway/storage tests/gateway/operations/test_operation.py \
  tests/gateway/events/test_events.py tests/gateway/following/test_reconcile.py \
  tests/gateway/following/test_reconcile_runs.py tests/examples/test_try_it.py

test-postgresql: setup ## The node's tests, the fault runs, and the gateway's hardest tests on a temporary PostgreSQL server
	$(BIN)/python hardhat-free-scripts/with_postgres.py -- \
	  $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not npm and not network" $(ON_POSTGRESQL) $(ARGS)

.venv/.browser: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gateway,devnet,dev,browser]'
	@touch $@

test-browser: .venv/.browser ## The console in Chromium: widths, languages, keyboard, scripts off (needs Chromium)
	@command -v chromium >/dev/null || { echo "Chromium is missing: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest -q -m browser tests/browser $(ARGS)

test-npm: setup ## Tests that need npm: signatures against ethers, evidence against anvil
	$(BIN)/python -m pytest -q -m npm tests $(ARGS)

.cache/promtool/usr/bin/promtool:
	@command -v apt-get >/dev/null || { echo "promtool is missing; install it, or apt-get, which this target uses to download it"; exit 1; }
	mkdir -p .cache/promtool && cd .cache/promtool && apt-get download --quiet prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb

test-consortium: setup .cache/promtool/usr/bin/promtool ## A consortium's files: Prometheus's own tool reads and tries the rules, ethers the genesis (needs npm)
	PATH="$(CURDIR)/.cache/promtool/usr/bin:$$PATH" $(BIN)/python -m pytest -q -m "npm or not npm" tests/ledger/consortium $(ARGS)

# The engine (licence: BUSL-1.1) is used only by tests; nothing of Standing depends on it, so it has an environment of its own.
.cache/network/.ready:
	@test -x .cache/network/bin/python || $(PYTHON) -m venv .cache/network
	.cache/network/bin/python -m pip install --quiet --disable-pip-version-check injective-core==1.20.1
	@touch $@

test-network: setup .cache/network/.ready ## On four validators and an observer: the demo's day, and every fault (PostgreSQL where there is one)
	$(BIN)/python hardhat-free-scripts/with_postgres.py --if-there -- $(BIN)/python -m pytest -q -m network tests/network $(ARGS)

network: setup .cache/network/.ready ## A consortium on this machine: four validators, an observer, two banks, two gateways; the day, then until Ctrl-C (ONCE=1)
	PYTHONPATH=. $(BIN)/python hardhat-free-scripts/with_postgres.py --if-there -- $(BIN)/python hardhat-free-scripts/network.py $(if $(ONCE),--once)

soak: .venv/.bench .cache/network/.ready ## Random faults of ledger, processes and store for MINUTES (10) from a SEED, then the auditor; REPORT=docs/soak writes the report
	PYTHONPATH=. $(BIN)/python hardhat-free-scripts/soak.py \
	  --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--report $(REPORT))

check: setup ## Lint, types, import direction, docs, the artifact against its source, gas against its file (needs npm)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy hardhat-free-scripts
	$(BIN)/lint-imports --no-cache
	$(BIN)/python hardhat-free-scripts/check_docs.py
	$(BIN)/python hardhat-free-scripts/catalogue.py --check
	$(BIN)/python hardhat-free-scripts/check_openapi.py
	$(BIN)/python examples/make_examples.py --check
	$(BIN)/python hardhat-free-scripts/compile.py --check
	$(BIN)/python hardhat-free-scripts/gas.py --check

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

compile: setup ## Compile the contract into its committed artifact (needs npm)
	$(BIN)/python hardhat-free-scripts/compile.py

catalogue: setup ## Update and compile the translations of the commands' help
	$(BIN)/python hardhat-free-scripts/catalogue.py

examples: setup ## Make the example data again
	$(BIN)/python examples/make_examples.py

clean: ## Remove what the targets made
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info \
	  contracts/node_modules hardhat-free-scripts/npm/node_modules hardhat-free-scripts/npm-safe/node_modules tests/contracts/npm/node_modules
	find . -name __pycache__ -prune -exec rm -rf {} +
