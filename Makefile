# `make search` and `make test` do all the set-up on a fresh machine: a virtual environment in .venv.

VENV ?= .venv
BIN := $(VENV)/bin
SPACE ?= darts+sandglass
KILLS ?= 50
CORRUPTIONS ?= 250
INPUTS ?= 350
SEEDS ?= 0:3000
FUZZ ?= runs/fuzz.jsonl
FAULTS ?=  # more of: python -m tests.faults.campaign --help

.PHONY: search test faults fuzz lint clean

search: $(VENV)/ready  ## search the digits that come with scikit-learn: minutes on two CPU cores
	$(BIN)/python search.py space=$(SPACE) data=digits preset=quick

test: $(VENV)/ready  ## all tests
	$(BIN)/python -m pytest -n 2

faults: $(VENV)/ready  ## kills, altered checkpoints and bad input by chance: a quarter to half an hour
	$(BIN)/python -m tests.faults.campaign --kills $(KILLS) --corruptions $(CORRUPTIONS) --inputs $(INPUTS) $(FAULTS)

fuzz: $(VENV)/ready  ## every execution against the reference on random spaces: hours; resumes where $(FUZZ) ends
	$(BIN)/python -m tests.fuzz.campaign --seeds $(SEEDS) -o $(FUZZ)

lint: $(VENV)/ready  ## style, types, and that floors import downward only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/ready: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist
