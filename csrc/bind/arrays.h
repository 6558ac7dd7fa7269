// Between Python objects and the engine's: numpy arrays without copies, specs, attributes. Reads the arrays' C structures directly, as numpy's C
// interface does; pybind11's general wrappers would cost more than a small kernel.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "runtime/step.h"

namespace nnlite {

namespace py = pybind11;

// A new array on a block of the caching allocator; the array owns the block.
PyObject* new_array(const Spec& spec, void** data);
// The data of `object` if it is a C-contiguous, aligned array of exactly this spec, null otherwise.
void* matching_data(PyObject* object, const Spec& spec);
// Throws std::invalid_argument: `what` names the array that does not match.
[[noreturn]] void fail_match(const std::string& what, PyObject* object, const Spec& spec);
// The spec of a C-contiguous array of one of our dtypes.
Spec array_spec(PyObject* object, const char* what, int index);
// Of an object that one of the two above has accepted.
void* array_pointer(PyObject* object);
bool array_is_writeable(PyObject* object);

Spec parse_spec(py::handle shape, py::handle dtype);
// [(shape, dtype), ...]
std::vector<Spec> parse_specs(py::handle sequence);
Attributes parse_attributes(const py::dict& attributes);

}  // namespace nnlite
