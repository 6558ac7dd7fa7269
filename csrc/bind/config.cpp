// isa(), best_isa(), get_num_threads(), set_num_threads(), kernels().
#include <pybind11/stl.h>

#include "bind/bind.h"
#include "core/cpu.h"
#include "core/parallel.h"
#include "runtime/step.h"

namespace nnlite {

void register_config(pybind11::module_& module) {
  module.def("isa", [] { return isa_name(active_isa()); });
  module.def("best_isa", [] { return isa_name(best_isa()); });
  module.def("get_num_threads", &num_threads);
  module.def("set_num_threads", &set_num_threads, pybind11::arg("threads"));
  module.def("kernels", &kernel_names);
}

}  // namespace nnlite
