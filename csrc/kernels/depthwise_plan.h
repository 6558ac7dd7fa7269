// How depthwise convolutions are cut. With a channel multiplier above 1 kernels read every channel for several filters at once (forward, kernel
// gradient), or add up what the filters of a channel get (input gradient).
#pragma once
#include <cstdint>

#include "kernels/conv2d_plan.h"

namespace nnlite {

// One axis of an input gradient whose phases are computed together: pair i of outputs reads dy at i + shift and i + shift + 1, and all pairs
// [begin, end) exist; of the pair `edge` (-1: none) only that input exists which the output with one tap reads. `odd`: the first output of a
// pair gets one tap and the second two, else the other way round.
struct JointAxis {
  int64_t begin, end, shift, edge;
  bool odd;
};
struct JointPhases {
  JointAxis rows, cols;
};

struct DepthwisePlan : DensePlan {
  const int32_t* channel_of;  // of every filter, padded by a vector that repeats the last; null with a multiplier of 1
  // Input gradients only.
  int64_t input_rows, input_cols, input_stride;  // of the image; stride of the rows
  int64_t band_rows;                             // rows of every phase that are computed before the filters of a channel are added up
  bool has_joint;                                // 3 x 3 taps at stride 2
  JointPhases joint;
};

// Fill a new state, ask for scratch and add the one phase.
DepthwisePlan* plan_depthwise_conv2d(Prepare& prepare);
DepthwisePlan* plan_depthwise_conv2d_input_grad(Prepare& prepare);

struct DepthwiseGradPlan {
  ConvGeometry geometry;
  const int32_t* channel_of;  // as above
  int64_t elements;      // of dw
  int64_t block_pixels;  // pixels that stay in cache while all channels and taps pass over them
  int64_t panels, panel_blocks;  // of 64 filters
  int64_t pixel_blocks;  // each makes a partial dw in scratch, unless there is one
  int64_t row_segment_count, col_segment_count;
  ConvSegment *row_segments, *col_segments;
};

// Phases: sums over pixels, then adding up the partial sums if there are several.
DepthwiseGradPlan* plan_depthwise_conv2d_kernel_grad(Prepare& prepare);

}  // namespace nnlite
