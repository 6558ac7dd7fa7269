# Everything a newcomer needs: `make demo`, `make test`. Needs python3 (3.10+), make and a C++17 compiler; pip brings the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUILD ?= build
JOBS ?= $(shell nproc)
STAMP := $(VENV)/.installed
SOURCES := $(shell find csrc python CMakeLists.txt pyproject.toml -type f -not -name '*.pyc' 2>/dev/null)

.PHONY: demo test test-cpp test-python bench asan clean

# Trains the demo network on real images and writes demo-report/report.html.
demo: $(STAMP)
	$(BIN)/nnlite demo

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# The wheel is built once; its build folder also holds the C++ tests and microbenchmarks.
$(STAMP): $(VENV)/bin/python $(SOURCES)
	CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(BIN)/python -m pip install --quiet --force-reinstall --no-deps . -C build-dir=$(BUILD)
	$(BIN)/python -m pip install --quiet numpy h5py
	touch $@

$(VENV)/.tested-build: $(VENV)/bin/python $(SOURCES) $(shell find tests/cpp bench -type f)
	$(BIN)/python -m pip install --quiet numpy h5py pytest hypothesis cmake
	CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(BIN)/python -m pip install --quiet --force-reinstall --no-deps . -C build-dir=$(BUILD) \
	  -C cmake.define.NNLITE_BUILD_TESTS=ON -C cmake.define.NNLITE_BUILD_BENCH=ON
	touch $@ $(STAMP)

# C++ tests (ctest), then the Python tests and the examples in docstrings (pytest), both on the installed wheel.
test: test-cpp test-python

test-cpp: $(VENV)/.tested-build
	$(BIN)/ctest --test-dir $(BUILD) --output-on-failure

test-python: $(VENV)/.tested-build
	$(BIN)/python -m pytest tests --pyargs nnlite

# Every C++ microbenchmark; one JSON file each in $(BUILD)/bench.
bench: $(VENV)/.tested-build
	for benchmark in $$(find $(BUILD)/bench -maxdepth 1 -name 'bench_*' -type f -perm -u+x); do $$benchmark --json $$benchmark.json || exit 1; done

# The test suite on an extension built with AddressSanitizer and UndefinedBehaviorSanitizer.
asan: $(VENV)/bin/python
	sh tests/run_asan.sh $(abspath $(BIN)/python) $(BUILD)-asan

clean:
	rm -rf $(VENV) $(BUILD) $(BUILD)-asan dist demo-report
