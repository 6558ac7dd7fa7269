// empty(), zeros(), memory_stats() and Arena.
#include <cstring>
#include <memory>

#include "bind/arrays.h"
#include "bind/bind.h"

namespace nnlite {
namespace {

py::object empty(py::handle shape, py::handle dtype) {
  void* data = nullptr;
  return py::reinterpret_steal<py::object>(new_array(parse_spec(shape, dtype), &data));
}

py::object zeros(py::handle shape, py::handle dtype) {
  const Spec spec = parse_spec(shape, dtype);
  void* data = nullptr;
  auto array = py::reinterpret_steal<py::object>(new_array(spec, &data));
  std::memset(data, 0, spec.bytes());
  return array;
}

py::dict stats() {
  const MemoryStats now = memory_stats();
  py::dict result;
  result["in_use"] = now.in_use;
  result["peak"] = now.peak;
  result["cached"] = now.cached;
  return result;
}

}  // namespace

void register_memory(py::module_& module) {
  module.def("empty", &empty, py::arg("shape"), py::arg("dtype") = "float32");
  module.def("zeros", &zeros, py::arg("shape"), py::arg("dtype") = "float32");
  module.def("memory_stats", &stats);
  module.def("trim_memory", &trim_memory);
  py::class_<Arena, std::shared_ptr<Arena>>(module, "Arena").def(py::init<>()).def_property_readonly("size", &Arena::size);
}

}  // namespace nnlite
