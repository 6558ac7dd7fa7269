// What the module is made of: one function a file.
#pragma once
#include <pybind11/pybind11.h>

namespace nnlite {

void register_config(pybind11::module_& module);
void register_memory(pybind11::module_& module);
void register_eager(pybind11::module_& module);
void register_plan(pybind11::module_& module);

}  // namespace nnlite
