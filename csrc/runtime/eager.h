// One op, prepared once and run many times on whatever buffers it is given.
#pragma once
#include "runtime/step.h"

namespace nnlite {

class EagerStep {
 public:
  explicit EagerStep(Step step) : step_(std::move(step)) {}
  const Step& step() const { return step_; }
  // Whether a run is short enough to keep Python's lock and stay on the calling thread.
  bool is_short() const { return step_.nanoseconds() < kShort; }
  // Any number of threads may run the same step at once.
  void run(void* const* inputs, void* const* outputs) const;

 private:
  static constexpr double kShort = 10000;

  void run_team(int threads, void* const* inputs, void* const* outputs) const;
  Step step_;
};

}  // namespace nnlite
