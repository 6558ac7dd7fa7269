// The input gradient of 3 x 3 taps at stride 2, all four phases of a pixel from the same loads.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "kernels/depthwise_plan.h"
#include "kernels/depthwise_tile.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

constexpr int64_t kChannelBlock = 256;  // channels that a row of tiles works on at once: their weights stay in the first cache
constexpr int64_t kJointPixels = 64;   // pixels of dy of a joint tile

// Pixels of the result that see the same taps.
struct Rectangle {
  int64_t row_begin, row_end, col_begin, col_end;
};

#if !defined(NN_COMPILE_BASELINE)
// Pixels of dy along a row, each of which completes 2 x 2 pixels of dx.
struct JointTile {
  const float* dy;  // the first of two rows and columns that meet
  float* dx;        // the first of two rows and columns
  int64_t dy_row, dy_col, dx_row, dx_col, pixels;
  const float* weights;
  int64_t weight_row, weight_col, begin, end;
  bool edge;  // one pixel more, where one of the two columns does not exist: the first if it is the left one, the last if it is the right one
};

template <bool kValue>
struct Flag {
  static constexpr bool value = kValue;
};

template <bool kExists>
NN_INLINE Reg<float> add_product(Reg<float> sum, Reg<float> x, Reg<float> w) {
  return kExists ? fma(x, w, sum) : sum;
}

// Along an axis, one of the two outputs gets the taps 2 and 0 of both inputs, the other one tap 1 of one of them: with odd padding the first output
// that of the first input, else the second output that of the second input. At an edge that input is the only one there is. kPastCaches: dx is made
// of whole, aligned registers of one line of cache each, and written past the caches.
template <bool kOddRow, bool kOddCol, bool kRowEdge, bool kPastCaches = false>
__attribute__((noinline)) void run_joint_tile(const JointTile& tile) {
  constexpr bool kTop = !kRowEdge || kOddRow, kBottom = !kRowEdge || !kOddRow;
  const auto run = [&](const auto& lanes) NN_LAMBDA_INLINE {
    const auto put = [&](float* p, Reg<float> v) NN_LAMBDA_INLINE {
      if constexpr (kPastCaches) {
        native::stream(p + lanes.c, v.r);
      } else {
        lanes.put(p, v);
      }
    };
    Reg<float> w[3][3];
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r) {
#pragma GCC unroll 3
      for (int s = 0; s < 3; ++s) w[r][s] = lanes.own(tile.weights + r * tile.weight_row + s * tile.weight_col);
    }
    constexpr int kFar = kOddRow, kFarCol = kOddCol;  // where the output with two taps lies
    const Reg<float> zero = Reg<float>::zero();
    const int64_t dy_col = tile.dy_col, dx_col = tile.dx_col;
    const float *top = tile.dy, *bottom = top + tile.dy_row;
    float *twice = tile.dx + kFar * tile.dx_row, *once = tile.dx + (1 - kFar) * tile.dx_row;
    // Four outputs from the left column, a over c, and the right one, b over d.
    const auto pixel = [&](auto has_left, auto has_right, Reg<float> a, Reg<float> b, Reg<float> c, Reg<float> d) NN_LAMBDA_INLINE {
      constexpr bool kLeft = decltype(has_left)::value, kRight = decltype(has_right)::value;
      const Reg<float> first = add_product<kTop && kRight>(add_product<kTop && kLeft>(zero, a, w[2][2]), b, w[2][0]);
      put(twice + kFarCol * dx_col, add_product<kBottom && kRight>(add_product<kBottom && kLeft>(first, c, w[0][2]), d, w[0][0]));
      const Reg<float> second = add_product<kTop>(zero, kOddCol ? a : b, w[2][1]);
      put(twice + (1 - kFarCol) * dx_col, add_product<kBottom>(second, kOddCol ? c : d, w[0][1]));
      const Reg<float> left = kOddRow ? a : c, right = kOddRow ? b : d;
      put(once + kFarCol * dx_col, add_product<kRight>(add_product<kLeft>(zero, left, w[1][2]), right, w[1][0]));
      put(once + (1 - kFarCol) * dx_col, fma(kOddCol ? left : right, w[1][1], zero));
      top += dy_col;
      bottom += dy_col;
      twice += 2 * dx_col;
      once += 2 * dx_col;
    };
    Reg<float> a = zero, c = zero;
    if (!kOddCol && tile.edge) {
      const Reg<float> b = kTop ? lanes.own(top + dy_col) : zero, d = kBottom ? lanes.own(bottom + dy_col) : zero;
      pixel(Flag<false>(), Flag<true>(), zero, b, zero, d);
      a = b;
      c = d;
    } else {
      if (kTop) a = lanes.own(top);
      if (kBottom) c = lanes.own(bottom);
    }
#pragma GCC unroll 1
    for (int64_t n = tile.pixels; n > 0; --n) {
      const Reg<float> b = kTop ? lanes.own(top + dy_col) : zero, d = kBottom ? lanes.own(bottom + dy_col) : zero;
      pixel(Flag<true>(), Flag<true>(), a, b, c, d);
      a = b;
      c = d;
    }
    if (kOddCol && tile.edge) pixel(Flag<true>(), Flag<false>(), a, zero, c, zero);
  };
  for_lanes<float, false>(tile.begin, tile.end, nullptr, run);
}

using JointFunction = void (*)(const JointTile& tile);
template <bool kOddRow, bool kOddCol>
JointFunction find_joint_edge(bool row_edge, [[maybe_unused]] bool past_caches) {
#if defined(NN_COMPILE_AVX512)
  if (past_caches && !row_edge) return run_joint_tile<kOddRow, kOddCol, false, true>;
#endif
  return row_edge ? run_joint_tile<kOddRow, kOddCol, true> : run_joint_tile<kOddRow, kOddCol, false>;
}
JointFunction find_joint_tile(const JointPhases& joint, bool row_edge, bool past_caches) {
  if (joint.rows.odd) return joint.cols.odd ? find_joint_edge<true, true>(row_edge, past_caches) : find_joint_edge<true, false>(row_edge, past_caches);
  return joint.cols.odd ? find_joint_edge<false, true>(row_edge, past_caches) : find_joint_edge<false, false>(row_edge, past_caches);
}

// Pixels of all four phases; `block` counts pairs of rows and columns of dx.
void run_joint(const DepthwisePlan& plan, const Rectangle& block, int64_t begin, int64_t end, const float* dy, const float* weights, float* dx) {
  const DenseConv& conv = plan.convs[0];
  const JointPhases& joint = plan.joint;
  const bool past_caches = plan.past_caches && reinterpret_cast<uintptr_t>(dx) % 64 == 0;
  JointTile tile = {};
  tile.dy_col = conv.col_in;
  tile.dy_row = conv.row_in;
  tile.dx_col = conv.col_out / 2;
  tile.dx_row = conv.row_out / 2;
  tile.weights = weights;
  tile.weight_col = plan.columns;
  tile.weight_row = 3 * plan.columns;
  for (int64_t h = block.row_begin; h < block.row_end; ++h) {
    for (tile.begin = begin; tile.begin < end; tile.begin = tile.end) {
      tile.end = smaller(tile.begin + kChannelBlock, end);
      for (int64_t w = block.col_begin; w < block.col_end; w += tile.pixels + tile.edge) {
        tile.edge = joint.cols.odd ? joint.cols.edge >= w && joint.cols.edge <= w + kJointPixels && joint.cols.edge < block.col_end : w == joint.cols.edge;
        const int64_t left = block.col_end - w;
        tile.pixels = !tile.edge ? smaller(kJointPixels, left) : joint.cols.odd ? joint.cols.edge - w : smaller(kJointPixels, left - 1);
        tile.dy = dy + (h + joint.rows.shift) * tile.dy_row + (w + joint.cols.shift) * tile.dy_col;
        tile.dx = dx + 2 * (h * tile.dx_row + w * tile.dx_col);
        find_joint_tile(joint, h == joint.rows.edge, past_caches)(tile);
      }
    }
  }
  if (past_caches) stream_fence();
}
#else
void run_joint(const DepthwisePlan&, const Rectangle&, int64_t, int64_t, const float*, const float*, float*) {}
#endif
void run_joint(const DepthwisePlan&, const Rectangle&, int64_t, int64_t, const double*, const double*, double*) {}

}  // namespace
}  // namespace depthwise
}  // namespace nnlite::NN_ISA
