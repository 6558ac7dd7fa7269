// Small integer helpers of prepare functions and chunk loops.
#pragma once
#include "kernels/kernel.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

// Chunks move about this many bytes: large enough to hide the price of handing one out, small enough to share out an L2-sized tensor.
constexpr int64_t kChunkBytes = 64 * 1024;

// The kernel of an empty output.
[[maybe_unused]] void run_nothing(const void*, int, int64_t, int64_t, const StepArgs&) {}
NN_INLINE void prepare_nothing(Prepare& p) {
  p.set_run(run_nothing);
  p.add_phase(0);
}

}  // namespace
}  // namespace nnlite::NN_ISA
