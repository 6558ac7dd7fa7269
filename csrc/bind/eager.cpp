// EagerStep.
#include "runtime/eager.h"


#include "bind/arrays.h"
#include "bind/bind.h"
#include "core/check.h"

namespace nnlite {
namespace {

constexpr int kFewOperands = 16;  // more than this live on the heap

py::object call(EagerStep& eager, const py::args& arrays) {
  const Step& step = eager.step();
  const size_t num_inputs = step.inputs().size(), num_outputs = step.outputs().size();
  NN_CHECK(arrays.size() == num_inputs, "%s: expected %zu inputs, got %zu", step.kernel().c_str(), num_inputs, arrays.size());
  void* few[kFewOperands];
  std::vector<void*> many;
  void** pointers = few;
  if (num_inputs + num_outputs > kFewOperands) {
    many.resize(num_inputs + num_outputs);
    pointers = many.data();
  }
  for (size_t i = 0; i < num_inputs; ++i) {
    PyObject* const array = PyTuple_GET_ITEM(arrays.ptr(), static_cast<Py_ssize_t>(i));
    pointers[i] = matching_data(array, step.inputs()[i]);
    if (pointers[i] == nullptr) fail_match(format("%s: input %zu", step.kernel().c_str(), i), array, step.inputs()[i]);
  }
  auto results = py::reinterpret_steal<py::object>(PyTuple_New(static_cast<Py_ssize_t>(num_outputs)));
  if (!results) throw py::error_already_set();
  for (size_t i = 0; i < num_outputs; ++i) {
    PyTuple_SET_ITEM(results.ptr(), static_cast<Py_ssize_t>(i), new_array(step.outputs()[i], &pointers[num_inputs + i]));
  }
  if (eager.is_short()) {
    eager.run(pointers, pointers + num_inputs);
  } else {
    py::gil_scoped_release unlocked;
    eager.run(pointers, pointers + num_inputs);
  }
  return results;
}

}  // namespace

void register_eager(py::module_& module) {
  py::class_<EagerStep>(module, "EagerStep")
      .def(py::init([](const std::string& kernel, py::handle inputs, py::handle outputs, const py::dict& attributes) {
             return std::make_unique<EagerStep>(Step(kernel, parse_specs(inputs), parse_specs(outputs), parse_attributes(attributes)));
           }),
           py::arg("kernel"), py::arg("input_specs"), py::arg("output_specs"), py::arg("attributes") = py::dict())
      .def("__call__", &call)
      .def_property_readonly("phases", [](const EagerStep& eager) { return py::tuple(py::cast(eager.step().phases())); });
}

}  // namespace nnlite
