# `make run` sets everything up and runs the main job; `make test` sets everything up and passes the tests.
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin

.PHONY: run report serve inspect audit extras gpu test check lint clean

run: .venv/run.stamp
	$(BIN)/snakemake --cores $(CORES) $(ARGS)
	@$(BIN)/python scripts/open_report.py results/report.html

report: .venv/run.stamp
	$(BIN)/snakemake --cores $(CORES) $(ARGS) results/report.html
	$(BIN)/snakemake --report results/snakemake-report.html $(ARGS)

serve: .venv/run.stamp
	$(BIN)/python scripts/serve.py $(ARGS)

# Not PATH=: make would hand it on, and no command would be found any more.
inspect: .venv/run.stamp
	@PYTHONPATH=scripts $(BIN)/python -m cbir.inspect "$${FILE:-results}"

# tests/conftest.py says which tests stay in one process, and in which order they begin.
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

test: lint
	$(PYTEST) $(ARGS)

# What is quick: all but the tests that run the workflow, a browser or a cluster, or that need a network.
check: lint
	$(PYTEST) -m "not network" --ignore tests/workflow --ignore tests/browser --ignore tests/cluster $(ARGS)

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

# Not part of the tests: it needs PyPI's record of vulnerabilities, and a new entry there would fail them.
audit: .venv/dev.stamp
	$(BIN)/python scripts/audit.py requirements.lock requirements-extras.lock requirements-dev.lock

extras: .venv/extras.stamp

gpu: .venv/gpu.stamp

clean:
	rm -rf results .snakemake

# uv where it is present, else plain venv and pip; both install the same locked versions.
define INSTALL
	@if command -v uv >/dev/null; then uv pip install --compile-bytecode --python $(BIN)/python --require-hashes -r $<; \
	else $(BIN)/python -m pip install --require-hashes -r $<; fi
	@touch $@
endef

.venv/run.stamp: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	"Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + ": name one, as in make run PYTHON=python3.12")'
	@command -v uv >/dev/null && uv venv --quiet --allow-existing --python $(PYTHON) .venv || $(PYTHON) -m venv .venv
	$(INSTALL)

# Test, extras and GPU: what is beside the lock of the run.
.venv/%.stamp: requirements-%.lock .venv/run.stamp
	$(INSTALL)

# Only those who change pyproject.toml need this.
.PHONY: lock
COMPILE = uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links
lock:
	$(COMPILE) -o requirements.lock pyproject.toml
	for group in extras gpu dev; do \
	$(COMPILE) --constraint requirements.lock --group $$group -o requirements-$$group.lock || exit; done
