// One op, prepared once and run many times on whatever buffers it is given.
#pragma once
#include <algorithm>
#include <atomic>

#include "runtime/step.h"

namespace nnlite {

class EagerStep {
 public:
  explicit EagerStep(Step step)
      : step_(std::move(step)),
        widest_(*std::max_element(step_.phases().begin(), step_.phases().end())),
        nanoseconds_(step_.nanoseconds()),
        runs_(step_.has_stated_cost() ? kMeasuredRuns + 1 : 0) {}
  const Step& step() const { return step_; }
  // Whether a run is short enough to keep Python's lock and stay on the calling thread.
  bool is_short() const { return nanoseconds_.load(std::memory_order_relaxed) < kShort; }
  // Any number of threads may run the same step at once.
  void run(void* const* inputs, void* const* outputs);

 private:
  static constexpr double kShort = 10000;
  static constexpr int kMeasuredRuns = 3;

  void run_with(int threads, void* const* inputs, void* const* outputs) const;
  // The first runs replace the estimate of the time by measurements, the very first, on cold caches, left out.
  void run_measured(int threads, void* const* inputs, void* const* outputs);

  Step step_;
  int64_t widest_;  // the most chunks of a phase
  std::atomic<double> nanoseconds_;
  std::atomic<int> runs_;
};

}  // namespace nnlite
