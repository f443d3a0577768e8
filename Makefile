# `make run` installs the dependencies and runs the workflow; `make test` installs them and runs the tests.
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin

.PHONY: run report serve inspect figures audit extras gpu test check lint clean

# ARGS are the arguments of the run. `$(value ARGS)` inserts them unchanged, because make would expand $ in them.
unexport ARGS
run: .venv/run.stamp
	CBIR_SUMMARY_FOLLOWS=1 $(BIN)/snakemake --cores $(CORES) $(value ARGS)
	@$(BIN)/python scripts/open_report.py $(value ARGS)

report: .venv/run.stamp
	$(BIN)/snakemake --cores $(CORES) results/report.html $(value ARGS)
	$(BIN)/snakemake --report results/snakemake-report.html $(value ARGS)

serve: .venv/run.stamp
	@$(BIN)/python scripts/serve.py $(value ARGS)

# FILE is passed through the environment, so that neither make nor the shell executes commands in a file name.
# It is not called PATH, because make would export that and no command would be found.
override FILE := $(value FILE)
export FILE
inspect: .venv/run.stamp
	@PYTHONPATH=scripts $(BIN)/python -m cbir.artifacts "$${FILE:-$$($(BIN)/python scripts/arguments.py $(value ARGS))}"

# tests/conftest.py defines which tests run in one process and in which order they start.
PYTEST = $(BIN)/pytest -n $(WORKERS) --no-loadscope-reorder

test: lint
	$(PYTEST) $(ARGS)

# Measure the tables of README.md and docs/ anew; this takes more than an hour, because networks are trained.
figures: .venv/run.stamp
	@$(BIN)/python scripts/document_figures.py $(value ARGS)

# Quick tests: without those that run the workflow, a browser or a cluster, that need internet access, or that are slow.
check: lint
	$(PYTEST) -m "not network and not slow" --ignore-glob 'tests/workflow/test_*' --ignore tests/browser --ignore tests/cluster $(ARGS)

# Two at a time; that of the types takes longest.
LINTERS = lint-types lint-rules lint-style lint-layers
.PHONY: $(LINTERS)
lint: .venv/dev.stamp
	@$(MAKE) --no-print-directory --jobs 2 $(LINTERS)

lint-types:
	$(BIN)/mypy

lint-rules:
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

lint-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-layers:
	PYTHONPATH=scripts $(BIN)/lint-imports

# Not part of the tests, because it needs PyPI's database of vulnerabilities, and a new entry there would make them fail.
audit: .venv/dev.stamp
	$(BIN)/python scripts/audit.py $(wildcard requirements*.lock)

extras: .venv/extras.stamp

gpu: .venv/gpu.stamp

clean:
	rm -rf results .snakemake

# Building a package runs its code, so the first lines of the locks allow only wheels. The exception is connection-pool, which
# snakemake requires and which has no wheel: its source is checked by hash. It is built without build isolation, with the setuptools
# of requirements-build.lock, because for an isolated build pip would download a setuptools without a hash.
define INSTALL
	$(BIN)/python -m pip install --require-hashes --no-build-isolation -r $<
	@touch $@
endef

.venv/build.stamp: requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	"Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + ": name one, as in make run PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(INSTALL)

.venv/run.stamp: requirements.lock .venv/build.stamp
	$(INSTALL)

# The groups dev, extras and gpu are installed in addition to the lock of the run.
.venv/%.stamp: requirements-%.lock .venv/run.stamp
	$(INSTALL)

# Needed after changes of pyproject.toml. Locked versions are kept; to update one, delete its lines from the lock first.
# The order of the first lines matters: `--only-binary :all:` cancels an earlier `--no-binary`.
.PHONY: lock
COMPILE = $(BIN)/uv pip compile --quiet --only-binary :all: --no-binary connection-pool
FORMATS = sed -i '1i --only-binary :all:\n--no-binary connection-pool\n'
lock: .venv/dev.stamp
	$(COMPILE) -o requirements.lock pyproject.toml
	for group in build extras gpu dev; do \
	$(COMPILE) --constraint requirements.lock --group $$group -o requirements-$$group.lock || exit; done
	$(FORMATS) requirements*.lock
