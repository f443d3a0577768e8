# `make run` sets everything up and runs the main job; `make test` sets everything up and passes the tests.
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin

.PHONY: run report serve inspect figures audit extras gpu test check lint clean

# All of them take the arguments of the run, ARGS. As they are written, so that make reads no $ in them.
unexport ARGS
run: .venv/run.stamp
	CBIR_SUMMARY_FOLLOWS=1 $(BIN)/snakemake --cores $(CORES) $(value ARGS)
	@$(BIN)/python scripts/open_report.py $(value ARGS)

report: .venv/run.stamp
	$(BIN)/snakemake --cores $(CORES) results/report.html $(value ARGS)
	$(BIN)/snakemake --report results/snakemake-report.html $(value ARGS)

serve: .venv/run.stamp
	@$(BIN)/python scripts/serve.py $(value ARGS)

# The name reaches the shell through the environment, as it was given: neither make nor the shell runs what stands in it.
# Not PATH=: make would hand it on, and no command would be found any more.
override FILE := $(value FILE)
export FILE
inspect: .venv/run.stamp
	@PYTHONPATH=scripts $(BIN)/python -m cbir.artifacts "$${FILE:-$$($(BIN)/python scripts/arguments.py $(value ARGS))}"

# tests/conftest.py says which tests stay in one process, and in which order they begin.
PYTEST = $(BIN)/pytest -n $(WORKERS) --no-loadscope-reorder

test: lint
	$(PYTEST) $(ARGS)

# The tables of README.md and docs/, all measured here and now; an hour and more, since networks are trained.
figures: .venv/run.stamp
	@$(BIN)/python scripts/document_figures.py $(value ARGS)

# What is quick: all but the tests that run the workflow, a browser or a cluster, or that need a network.
check: lint
	$(PYTEST) -m "not network" --ignore-glob 'tests/workflow/test_*' --ignore tests/browser --ignore tests/cluster $(ARGS)

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

# Not part of the tests: it needs PyPI's record of vulnerabilities, and a new entry there would fail them.
audit: .venv/dev.stamp
	$(BIN)/python scripts/audit.py $(wildcard requirements*.lock)

extras: .venv/extras.stamp

gpu: .venv/gpu.stamp

clean:
	rm -rf results .snakemake

# Building a package runs its code, so the locks admit wheels alone (their first lines). The one exception is connection-pool,
# which snakemake requires and which has no wheel: its source is held to its hash, and it is built without build isolation, for
# which pip would download a setuptools that no hash covers, by the setuptools of requirements-build.lock.
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

# Test, extras and GPU: what is beside the lock of the run.
.venv/%.stamp: requirements-%.lock .venv/run.stamp
	$(INSTALL)

# Only those who change pyproject.toml need this. Locked versions stay; to renew one, delete its lines from the lock first.
# pip reads the first lines in this order alone: `--only-binary :all:` takes back a `--no-binary` that stands before it.
.PHONY: lock
COMPILE = $(BIN)/uv pip compile --quiet --only-binary :all: --no-binary connection-pool
FORMATS = sed -i '1i --only-binary :all:\n--no-binary connection-pool\n'
lock: .venv/dev.stamp
	$(COMPILE) -o requirements.lock pyproject.toml
	for group in build extras gpu dev; do \
	$(COMPILE) --constraint requirements.lock --group $$group -o requirements-$$group.lock || exit; done
	$(FORMATS) requirements*.lock
