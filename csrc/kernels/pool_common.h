// Shared by the pooling kernels: vectors along the channels of NHWC tensors.
#pragma once
#include "kernels/lane_items.h"
#include "kernels/pool_plan.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

// The windows whose cells all lie inside.
NN_INLINE PoolRange whole_windows(int64_t stride, int64_t pad, int64_t window, int64_t size, int64_t windows) {
  const int64_t begin = smaller(windows, (pad + stride - 1) / stride), last = size + pad - window;
  return {begin, last < 0 ? begin : larger(begin, smaller(windows, last / stride + 1))};
}

// Calls body(column, windows, run) for the columns [begin, end) of a row of the input: `run` columns, s.sw apart, each covered by the windows of the
// one before moved on by one. Runs stay within windows [first, last).
template <class Body>
NN_INLINE void for_covered_runs(const PoolShape& s, PoolRange columns, int64_t first, int64_t last, Body body) {
  for (int64_t start = columns.begin; start < smaller(columns.begin + s.sw, columns.end); ++start) {
    for (int64_t iw = start, run; iw < columns.end; iw += run * s.sw) {
      const int64_t begin = iw + s.left - s.kw + s.sw, end = (iw + s.left) / s.sw + 1;  // begin: not yet divided
      run = begin >= first * s.sw && end <= last ? smaller(last - end, (columns.end - 1 - iw) / s.sw) + 1 : 1;
      body(iw, windows_over(iw, s.sw, s.left, s.kw, s.ow), run);
    }
  }
}

// Calls body(first channel, lanes, Whole) for whole vectors and then, unless there is none for sure, for the tail.
template <class Item, bool kNoTail = false, class Body>
NN_INLINE void for_channels(int64_t c, Body body) {
  constexpr int kLanes = Vec<NumberOf<Item>>::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= c; j += kLanes) body(j, kLanes, Whole<true>());
  if (!kNoTail && j < c) body(j, static_cast<int>(c - j), Whole<false>());
}

// Whether this dx is written past the caches: with stream, which needs whole, aligned vectors.
NN_INLINE bool writes_past_caches(const PoolState& s, const void* dx) { return s.past_caches && reinterpret_cast<uintptr_t>(dx) % 64 == 0; }
template <bool full, bool past_caches, class Item>
NN_INLINE void put_lanes(Item* p, Vec<NumberOf<Item>> v, int n) {
  if constexpr (past_caches) {
    stream(p, v);
  } else {
    store_lanes<full>(p, v, n);
  }
}

}  // namespace
}  // namespace nnlite::NN_ISA
