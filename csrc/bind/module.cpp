// The Python module nnlite._core.
#include "bind/bind.h"
#include "core/cpu.h"

PYBIND11_MODULE(_core, module) {
  if (const char* error = nnlite::active_isa_error()) throw pybind11::import_error(error);
  nnlite::register_config(module);
  nnlite::register_memory(module);
  nnlite::register_eager(module);
  nnlite::register_plan(module);
}
