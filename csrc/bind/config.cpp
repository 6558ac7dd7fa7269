// isa(), best_isa(), get_num_threads(), set_num_threads(), kernels(), winograd_pays().
#include <pybind11/stl.h>

#include <array>

#include "bind/bind.h"
#include "core/cpu.h"
#include "core/parallel.h"
#include "kernels/winograd_plan.h"
#include "runtime/step.h"

namespace nnlite {

namespace {

using Pair = std::array<int64_t, 2>;
using Shape = std::array<int64_t, 4>;

bool pays(const Shape& x, const Shape& kernel, const Shape& y, const Pair& strides, const Pair& dilation, const Shape& padding, int64_t groups) {
  return winograd_pays({DType::kFloat32, x[0], x[3], y[3], groups,
                        {x[1], y[1], kernel[0], strides[0], dilation[0], padding[0]},
                        {x[2], y[2], kernel[1], strides[1], dilation[1], padding[2]}});
}

}  // namespace

void register_config(pybind11::module_& module) {
  module.def("isa", [] { return isa_name(active_isa()); });
  module.def("best_isa", [] { return isa_name(best_isa()); });
  module.def("get_num_threads", &num_threads);
  module.def("set_num_threads", &set_num_threads, pybind11::arg("threads"));
  module.def("kernels", &kernel_names);
  module.def("winograd_pays", &pays, pybind11::arg("x"), pybind11::arg("kernel"), pybind11::arg("y"), pybind11::arg("strides"),
             pybind11::arg("dilation"), pybind11::arg("padding"), pybind11::arg("groups"));
}

}  // namespace nnlite
