#include "runtime/eager.h"

#include <algorithm>

#include "core/parallel.h"

namespace nnlite {

void EagerStep::run(void* const* inputs, void* const* outputs) const {
  const int64_t widest = *std::max_element(step_.phases().begin(), step_.phases().end());
  const int threads = static_cast<int>(std::min<int64_t>(num_threads(), widest));
  if (threads > 1 && !is_short()) {
    run_team(threads, inputs, outputs);
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
  const size_t shared = align_up(step_.scratch_bytes(), 128), own = align_up(step_.thread_scratch_bytes(), 128);
  const Block scratch(shared + own * threads);
  run_region(threads, [&](Worker& worker) {
    const StepArgs args = {inputs, outputs, scratch.data(), scratch.data() + shared + own * worker.index()};
    for (size_t phase = 0; phase < step_.phases().size(); ++phase) {
      if (phase > 0) worker.barrier();
      worker.share(step_.phases()[phase], [&](int64_t begin, int64_t end) { step_.run(static_cast<int>(phase), begin, end, args); });
    }
  });
}

}  // namespace nnlite
