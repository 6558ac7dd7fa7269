#!/bin/sh
# The tests on an engine built with AddressSanitizer and UndefinedBehaviorSanitizer (GCC).
#
#   sh tests/run_asan.sh PYTHON BUILD_FOLDER [pytest arguments]
#
# PYTHON is that of a virtual environment, which gets what the build and the tests need.
set -eu
python=$1
mkdir -p "$2"
build=$(cd "$2" && pwd)
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
cxx=${CXX:-g++}

"$python" -m pip install --quiet cmake ninja pybind11 pytest hypothesis numpy h5py
PATH=$(dirname "$python"):$PATH
export PATH

# -O1 halves the time to build; the engine's own flags follow and stay.
cmake -G Ninja -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DCMAKE_CXX_COMPILER="$cxx" \
  -DNNLITE_SANITIZE=address,undefined -DNNLITE_BUILD_TESTS=ON -DNNLITE_CORE_OUTPUT="$build/core" -DPython_EXECUTABLE="$python"
ninja -C "$build" -j "${JOBS:-$(nproc)}"

# The sanitizers report through these; Python itself never frees everything, and one test asks for more memory than there is.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
ctest --test-dir "$build" --output-on-failure

rm -rf "$build/python"
mkdir "$build/python"
cp -r "$root/python/nnlite" "$build/python/"
rm -f "$build"/python/nnlite/_core*.so
cp "$build"/core/_core*.so "$build/python/nnlite/"

# Resident memory under a sanitizer says nothing; installing has its own build.
cd "$root"
LD_PRELOAD="$("$cxx" -print-file-name=libasan.so) $("$cxx" -print-file-name=libstdc++.so)" PYTHONMALLOC=malloc PYTHONPATH="$build/python" \
  "$python" -m pytest -p no:cacheprovider tests --ignore tests/test_install.py -k "not not_leak and not pile_up and not memory_they_hold" "$@"
