// How depthwise convolutions are cut. A channel multiplier above 1 is reduced to 1 by images in scratch that repeat every channel (forward,
// kernel gradient) or hold a gradient for every filter (input gradient).
#pragma once
#include <cstdint>

#include "kernels/conv2d_plan.h"

namespace nnlite {

// Pixels that one chunk of the phases that repeat channels, or add them up, covers.
constexpr int64_t kRepeatPixels = 512;

// Fill a new state, ask for scratch and add the phases. With a multiplier above 1 the forward's phase 0 repeats channels, and the
// input gradient's phase 1 adds them up.
DensePlan* plan_depthwise_conv2d(Prepare& prepare);
DensePlan* plan_depthwise_conv2d_input_grad(Prepare& prepare);

struct DepthwiseGradPlan {
  ConvGeometry geometry;
  int64_t multiplier;
  int64_t elements;      // of dw
  int64_t block_pixels;  // pixels that stay in cache while all channels and taps pass over them
  int64_t panels, panel_blocks;  // of 64 filters
  int64_t pixel_blocks;  // each makes a partial dw in scratch, unless there is one
  int64_t partials;      // where the partial sums start in scratch, in elements
  int64_t row_segment_count, col_segment_count;
  ConvSegment *row_segments, *col_segments;
};

// Phases: repeating channels with a multiplier above 1, sums over pixels, then adding up the partial sums if there are several.
DepthwiseGradPlan* plan_depthwise_conv2d_kernel_grad(Prepare& prepare);

}  // namespace nnlite
