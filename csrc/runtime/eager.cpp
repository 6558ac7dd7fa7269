#include "runtime/eager.h"

#include <algorithm>

#include "core/parallel.h"
#include "runtime/step_parts.h"

namespace nnlite {

void EagerStep::run(void* const* inputs, void* const* outputs) const {
  if (!is_short() && num_threads() > 1 && *std::max_element(step_.phases().begin(), step_.phases().end()) > 1) {
    run_team(num_threads(), inputs, outputs);
    return;
  }
  FlushDenormals flush;
  const size_t shared = align_up(step_.scratch_bytes());
  if (shared + step_.thread_scratch_bytes() == 0) {
    step_.run_serial({inputs, outputs, nullptr, nullptr});
    return;
  }
  const Block scratch(shared + step_.thread_scratch_bytes());
  step_.run_serial({inputs, outputs, scratch.data(), scratch.data() + shared});
}

void EagerStep::run_team(int threads, void* const* inputs, void* const* outputs) const {
  StepParts parts(step_, {inputs, outputs, nullptr, nullptr}, threads);
  run_parts(threads, parts);
}

}  // namespace nnlite
