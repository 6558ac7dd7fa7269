// One step's phases, as parts for a team.
#pragma once
#include "core/arena.h"
#include "core/parallel.h"
#include "runtime/step.h"

namespace nnlite {

class StepParts final : public Parts {
 public:
  // Brings the scratch memory; `args` need only the inputs and outputs.
  StepParts(const Step& step, const StepArgs& args, int threads)
      : step_(step),
        args_(args),
        stride_(align_up(step.thread_scratch_bytes()) + kGap),
        own_offset_(align_up(step.scratch_bytes())),
        scratch_(own_offset_ + stride_ * static_cast<size_t>(threads)) {
    args_.scratch = scratch_.data();
  }
  int64_t next(int) override {
    while (++phase_ < static_cast<int>(step_.phases().size())) {
      if (step_.phases()[phase_] > 0) return step_.phases()[phase_];
    }
    return 0;
  }
  void run(int worker, int64_t begin, int64_t end) override {
    StepArgs args = args_;
    args.thread_scratch = scratch_.data() + own_offset_ + stride_ * static_cast<size_t>(worker);
    step_.run(phase_, begin, end, args);
  }

 private:
  static constexpr size_t kGap = 256;  // CPUs prefetch neighbouring lines

  const Step& step_;
  StepArgs args_;
  const size_t stride_;
  const size_t own_offset_;
  const Block scratch_;
  int phase_ = -1;
};

}  // namespace nnlite
