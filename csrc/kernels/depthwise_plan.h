// How depthwise convolutions are cut. With a channel multiplier above 1 kernels read every channel for several filters at once (forward, kernel
// gradient), or add up what the filters of a channel get (input gradient).
#pragma once
#include <cstdint>

#include "kernels/conv2d_plan.h"

namespace nnlite {

// Whether the first and the last output along an axis miss one of three taps.
struct AxisEdges {
  bool first, last;
};

// Whether along an axis of three taps all outputs see them all, but for the first and the last, which may miss the one outside.
bool find_edges(const ConvSegment* segments, int64_t count, int64_t taps, AxisEdges* edges);

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

// Where the weights of a small group's convolution come from.
enum class GroupWeights : int { kPlain, kPacked, kTurned };

struct DepthwisePlan : DensePlan {
  const int32_t* channel_of;  // of every filter, padded by a vector that repeats the last; null with a multiplier of 1
  // Small groups: every filter reads `map_depth` channels from channel_of on, with weights `weight_depth` elements apart. Packed or turned
  // weights are brought into the order [tap, channel of the group, filter] in scratch, in a phase of their own.
  int64_t map_depth, weight_depth;
  GroupWeights group_weights;
  int64_t kernel_taps;
  bool fetches;      // images too large for the caches: rows are fetched before tiles read them
  bool past_caches;  // and what is written is not read before it has left them
  // Input gradients only.
  int64_t input_rows, input_cols, input_stride;  // of the image; stride of the rows
  int64_t band_rows;                             // of every phase, before the next one and before the filters of a channel are added up
  bool has_joint;                                // 3 x 3 taps at stride 2
  JointPhases joint;
};

// Fill a new state, ask for scratch and add the one phase.
DepthwisePlan* plan_depthwise_conv2d(Prepare& prepare);
DepthwisePlan* plan_depthwise_conv2d_input_grad(Prepare& prepare);

// Grouped convolutions with as many filters as channels and few in every group; null when another kernel should do it.
DepthwisePlan* plan_grouped_conv2d(Prepare& prepare);
DepthwisePlan* plan_grouped_input_grad(Prepare& prepare);

struct DepthwiseGradPlan {
  ConvGeometry geometry;
  const int32_t* channel_of;  // as above
  int64_t map_depth;
  bool fetches;          // images too large for the caches: a block is fetched while the one before is worked on
  int64_t elements;      // of dw
  int64_t block_pixels;  // pixels that stay in cache while all channels and taps pass over them
  int64_t panels, panel_blocks;  // of 64 filters
  int64_t pixel_blocks;  // each makes a partial dw in scratch, unless there is one
  int64_t row_segment_count, col_segment_count;
  ConvSegment *row_segments, *col_segments;
  AxisEdges row_edges, col_edges;  // of the only segments: their first and last outputs miss a tap
};

// Phases: sums over pixels, then adding up the partial sums if there are several.
// `joins`: tiles of 3 x 3 taps know edges, so that there need not be segments for them.
DepthwiseGradPlan* plan_depthwise_conv2d_kernel_grad(Prepare& prepare, bool joins);
DepthwiseGradPlan* plan_grouped_kernel_grad(Prepare& prepare, bool joins);

}  // namespace nnlite
