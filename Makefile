# Everything a newcomer needs: `make demo`, `make test`. Needs python3 (3.10+), make and a C++17 compiler; pip brings the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUILD ?= build
JOBS ?= $(shell nproc)
STAMP := $(VENV)/.installed
SOURCES := $(shell find csrc python CMakeLists.txt pyproject.toml -type f -not -name '*.pyc' 2>/dev/null)

.PHONY: demo test test-cpp test-python bench asan lint clean

# Trains the demo network on real images and writes demo-report/report.html.
demo: $(STAMP)
	$(BIN)/nnlite demo

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(STAMP): $(VENV)/bin/python $(SOURCES)
	CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(BIN)/python -m pip install --quiet --force-reinstall --no-deps .
	$(BIN)/python -m pip install --quiet numpy h5py
	touch $@

$(VENV)/.test-tools: $(STAMP)
	$(BIN)/python -m pip install --quiet pytest cmake ninja pybind11
	touch $@

# C++ tests (ctest), then Python tests (pytest) on the installed wheel.
test: test-cpp test-python

$(BUILD)/build.ninja: $(VENV)/.test-tools
	$(BIN)/cmake -G Ninja -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release -DNNLITE_BUILD_TESTS=ON -DNNLITE_BUILD_BENCH=ON \
	  -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DPython_EXECUTABLE=$(abspath $(BIN)/python) \
	  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir)

test-cpp: $(BUILD)/build.ninja
	$(BIN)/cmake --build $(BUILD) -j $(JOBS)
	$(BIN)/ctest --test-dir $(BUILD) --output-on-failure

test-python: $(VENV)/.test-tools
	$(BIN)/python -m pytest tests

# Every C++ microbenchmark; JSON files beside the binaries.
bench: $(BUILD)/build.ninja
	$(BIN)/cmake --build $(BUILD) -j $(JOBS)
	for benchmark in $(BUILD)/bench/bench_*; do case $$benchmark in *.json) ;; *) $$benchmark --json $$benchmark.json || exit 1 ;; esac; done

# The test suite on an extension built with AddressSanitizer and UndefinedBehaviorSanitizer.
asan: $(VENV)/.test-tools
	sh tests/run_asan.sh $(abspath $(BIN)/python) $(BUILD)-asan

clean:
	rm -rf $(VENV) $(BUILD) $(BUILD)-asan dist demo-report
