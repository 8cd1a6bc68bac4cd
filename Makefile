# `make search` and `make test` do all the set-up on a fresh machine: a virtual environment in .venv.

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3
SPACE ?= darts+sandglass
KILLS ?= 50
CORRUPTIONS ?= 250
INPUTS ?= 350
FAULTS ?=  # more of: python -m tests.faults.campaign --help
PIECE ?=   # one piece of: make gpu PIECE=data-tests
FOLDER ?= runs/gpu

.PHONY: search test test-all test-no-kernels faults kernels-asan gpu lint clean

search: $(VENV)/ready  ## search the digits that come with scikit-learn: minutes on two CPU cores
	$(BIN)/python search.py space=$(SPACE) data=digits preset=quick

test: $(VENV)/ready  ## all tests but the slowest
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: $(VENV)/ready  ## all tests
	$(BIN)/python -m pytest -n 2

test-no-kernels: $(VENV)/ready  ## kernels and executions again, as on a machine without a C++ compiler
	NAS_KERNELS=off $(BIN)/python -m pytest -n 2 -m "not slow" tests/kernels tests/models/execution tests/ops

faults: $(VENV)/ready  ## random kills, damaged and untrusted files, changed data, bad input: 15 to 30 minutes
	$(BIN)/python -m tests.faults.campaign --kills $(KILLS) --corruptions $(CORRUPTIONS) --inputs $(INPUTS) $(FAULTS)

gpu:  ## tests and measurements on an NVIDIA GPU, with the machine's own Python and torch; resumes
	$(PYTHON) gpu/run.py --folder $(FOLDER) $(if $(strip $(PIECE)),--piece $(strip $(PIECE)))

kernels-asan: $(VENV)/ready  ## the kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer (gcc)
	export NAS_KERNELS_FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -g -O1" PYTHONMALLOC=malloc \
	  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	  LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libubsan.so)" && \
	$(BIN)/python -c "from nas.kernels.build import load_library as load; assert load()[0], load()[1]" && \
	$(BIN)/python -m pytest tests/kernels

lint: $(VENV)/ready  ## style, types, and import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist
