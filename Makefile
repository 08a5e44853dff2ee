# Bare `make` explains itself.
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.bmx-ready
# The index's own pip is new enough; silence keeps the demo readable.
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo setup test test-slow errors lint types contracts check bench clean

help:  ## this list
	@echo "bmx: deep-learning architecture experiments from the command line"
	@echo
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## set up and train LeNet-5 on 5,000 embedded MNIST images
	$(BIN)/bmx train model=lenet5 optim=sgd

setup: $(STAMP)  ## make .venv with bmx and everything its tests need

$(STAMP): pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -e '.[dev]'
	@touch $@

# A file's tests share what it has trained, so they go to one of the processes.
TESTS ?= -n 2 --dist loadfile

test: $(STAMP)  ## the tests (about eight minutes on two quiet cores)
	$(BIN)/python -m pytest $(TESTS)

test-slow: $(STAMP)  ## the tests that take longer: full trainings, kills and resumes (half an hour)
	$(BIN)/python -m pytest $(TESTS) -m slow

errors: $(STAMP)  ## the tests, and which error texts of bmx none of them makes
	$(BIN)/python -m pytest $(TESTS) -m 'not benchmark' --error-texts

lint: $(STAMP)  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy, strict on bmx/
	$(BIN)/mypy

contracts: $(STAMP)  ## import-linter: arrows point down only
	$(BIN)/lint-imports

check: lint types contracts test  ## everything CI runs but the slow tests

bench: $(STAMP)  ## print speed ratios against a bare loop and a bare Trainer (quiet machine)
	$(BIN)/python -m pytest tests/benchmarks -m benchmark --override-ini=addopts= --timeout=0 -s

clean:  ## remove .venv and caches; outputs/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis dist build
