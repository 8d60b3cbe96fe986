# `make` alone says what there is. GNU make, a POSIX shell, Python >= 3.11 with venv: nothing else is needed.
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?=
ARGS ?=
# Each worker may start a Postgres of its own; more than four gain little.
WORKERS ?= logical
BIN := .venv/bin

.PHONY: help
help:
	@echo "make demo      a real orchestrator learns its trade-offs; every decision is verified"
	@echo "make test      all tests, doctests and the examples of the documents"
	@echo "make serve     answer over HTTP on this machine; ARGS='--port 9000 --workers 2'"
	@echo "make test-browser  the dashboard in a headless Chromium (NYX_CHROMIUM names one); pictures in .browser/"
	@echo "make test-postgres  the durable path on every Postgres 14-18 that is here; ARGS='--bin /folder' adds one"
	@echo "make lint      ruff (rules, format), mypy, import rules"
	@echo "make validate  policies against theory and published figures; ARGS=--quick: three minutes"
	@echo "make crash     kill writers and Postgres 200 times, and check what was stored; ARGS='--kills 10 --mutants'"
	@echo "make docs      the documentation as pages, in build/docs"
	@echo "make bench     speed tables; one module: make bench ARGS=import_time"
	@echo "make clean     remove caches and build products (.venv stays)"
	@echo
	@echo "PYTHON=/path/to/python3 chooses the interpreter, ARGS='...' goes to the program that is run."

.PHONY: venv
venv:
	@python="$$(PYTHON='$(PYTHON)' sh scripts/find_python.sh)" && "$$python" scripts/make_venv.py

.PHONY: demo
demo: venv
	@$(BIN)/nyx-learning demo $(ARGS)

.PHONY: serve
serve: venv
	@$(BIN)/nyx-learning serve $(ARGS)

.PHONY: test
test: venv
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --maxprocesses=4 --dist=loadfile --no-loadscope-reorder $(ARGS)

# Files of their own names, so that `make test` leaves them out.
.PHONY: test-browser
test-browser: venv
	@$(BIN)/python -m pytest --override-ini='python_files=browser_*.py' tests/browser $(ARGS)

.PHONY: test-postgres
test-postgres: venv
	@$(BIN)/python scripts/every_postgres.py $(ARGS)

.PHONY: validate
validate: venv
	@$(BIN)/nyx-learning validate $(ARGS)

.PHONY: docs
docs: venv
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs && echo "build/docs/index.html"

.PHONY: crash
crash: venv
	@$(BIN)/python -m tests.crash $(ARGS)

.PHONY: bench
bench: venv
	@$(BIN)/python -m benchmarks $(ARGS)

# Separate targets: `make -k lint` shows all that is wrong, `make -j2 lint` is quicker.
.PHONY: lint lint-rules lint-format lint-types lint-types-around lint-imports
lint: lint-rules lint-format lint-types lint-types-around lint-imports
lint-rules: venv
	@$(BIN)/ruff check --quiet && echo "ruff check: no findings"
lint-format: venv
	@$(BIN)/ruff format --check
lint-types: venv
	@$(BIN)/mypy
# After the package, whose cache it reads.
lint-types-around: lint-types
	@$(BIN)/mypy scripts benchmarks tests
lint-imports: venv
	@$(BIN)/lint-imports

.PHONY: clean
clean:
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .venv-old-*
	@find . -path ./.venv -prune -o -path ./.git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
