#include "runtime/eager.h"

#include <chrono>

#include "core/parallel.h"
#include "runtime/step_parts.h"

namespace nnlite {

void EagerStep::run(void* const* inputs, void* const* outputs) {
  const int threads = is_short() || widest_ == 1 ? 1 : num_threads();
  if (runs_.load(std::memory_order_relaxed) <= kMeasuredRuns) {
    run_measured(threads, inputs, outputs);
  } else {
    run_with(threads, inputs, outputs);
  }
}

void EagerStep::run_with(int threads, void* const* inputs, void* const* outputs) const {
  if (threads > 1) {
    StepParts parts(step_, {inputs, outputs, nullptr, nullptr}, threads);
    run_parts(threads, parts);
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

void EagerStep::run_measured(int threads, void* const* inputs, void* const* outputs) {
  const auto start = std::chrono::steady_clock::now();
  run_with(threads, inputs, outputs);
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  const double measured = time.count() * static_cast<double>(std::min<int64_t>(threads, std::max<int64_t>(widest_, 1)));
  const int run = runs_.fetch_add(1, std::memory_order_relaxed);
  if (run == 1 || (run > 1 && measured < nanoseconds_.load(std::memory_order_relaxed))) nanoseconds_.store(measured, std::memory_order_relaxed);
}

}  // namespace nnlite
