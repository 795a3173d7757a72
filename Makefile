# Two commands matter: `make demo` and `make test`. Both set up all they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.synced
# one runs what starts whole servers, one begins with other programs, the third has everything else; 0: all in one process
WORKERS ?= 3

.PHONY: demo cluster test kafka soak lint types kernels-engine kernels-readers acceptance web web-check bench changelog wheel clean

# the demo needs no test tools: a plain install of the package and what it depends on
$(VENV)/.demo: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --no-dev --quiet --compile-bytecode
	$(BIN)/python -m compileall -q src
	@touch $@

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv

# compiled once here, not by each of the programs that the tests start
$(STAMP): pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --quiet --compile-bytecode
	$(BIN)/python -m compileall -q src
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/tocsin demo $(ARGS)

# the whole scaled-out form on this machine, with the demo's world: broker, PostgreSQL, two workers, control
cluster: $(STAMP)
	$(BIN)/python -m tests.cluster.whole $(ARGS)

# what one of its many processes compiles, the others read, also where a machine says otherwise
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP)
	$(MAKE) --no-print-directory --jobs 2 kernels-engine types kernels-readers lint asserts
	$(BIN)/python -m pytest -q -m "not soak" -n $(WORKERS) $(ARGS)

# the tests of Kafka as source and as log against a broker of your own: KAFKA_BOOTSTRAP=HOST:PORT make kafka
kafka: $(STAMP)
	$(if $(KAFKA_BOOTSTRAP),,$(error say which broker: KAFKA_BOOTSTRAP=HOST:PORT make kafka))
	$(BIN)/python -m pytest -q -m "not soak" tests/cluster tests/ingest/test_brokers.py $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy

# compiled once for all tests and the servers that they start
kernels-engine kernels-readers: $(STAMP)
	$(BIN)/python -m tests.kernels $(@:kernels-%=%)

# rewritten once, not by each process that tests
asserts: $(STAMP)
	$(BIN)/python -m tests.asserts

# long runs; their results are written down, with date and machine, in docs/benchmarks.md
soak: $(STAMP)
	$(UV) sync --frozen --quiet --group fuzz --group deploy
	TOCSIN_KILLS=50 TOCSIN_SEEDS=10 $(BIN)/python -m pytest -q -m "soak or acceptance" --timeout 7200 $(ARGS)

# figures are taken small here, to see that they can be taken; `make bench` takes them
acceptance: $(STAMP)
	$(UV) sync --frozen --quiet --group fuzz --group deploy
	TOCSIN_BENCH=small TOCSIN_FUZZ_SECONDS=$${TOCSIN_FUZZ_SECONDS:-30} $(BIN)/python -m tests.acceptance.run docs/acceptance.md

# measures everything anew and puts the tables into docs/benchmarks.md; TOCSIN_BENCH=small only shows that it runs
bench: $(STAMP)
	$(BIN)/tocsin bench ingest detect latency calibration drift --peers --out docs/benchmarks.json $(ARGS)

# the pages: built assets are committed, a rebuild must give the same bytes
web:
	cd web && npm ci --silent && npm run --silent build

web-check: web
	git diff --exit-code --stat -- src/tocsin/api/static

# at a release: the fragments become a section of CHANGELOG.md and are gone
changelog: $(STAMP)
	$(BIN)/towncrier build --yes --version $(or $(VERSION),$(error say which version: make changelog VERSION=0.2.0))

wheel: $(STAMP)
	$(UV) build --wheel --quiet

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis web/node_modules
