// Shared by batch, layer and group normalization: double precision sums of vectors, masks of tails, sums over rows, checks.
#pragma once
#include <string.h>

#include "kernels/lane_items.h"

namespace nnlite::NN_ISA {
namespace {

// float32 has variants of kernels for shapes; the others share one form.
template <class Item>
constexpr bool kManyForms = sizeof(Item) == 4 && !NN_SMALL_CODE;

constexpr int64_t kBigBytes = 6 << 20;  // of an array that does not share a last-level cache with a few others

// Whether results of so many bytes go past the caches, which would not keep them.
template <class Item>
NN_INLINE bool streams_results(int64_t columns, int64_t bytes) {
  return kManyForms<Item> && bytes > 2 * kBigBytes && columns % Vec<NumberOf<Item>>::kLanes == 0;
}
NN_INLINE bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 64 == 0; }
template <bool full, class Item>
NN_INLINE void store_result(bool streams, Item* y, Vec<NumberOf<Item>> v, int n) {
  if constexpr (full && kManyForms<Item>) {
    if (streams) return stream(y, v);
  }
  store_lanes<full>(y, v, n);
}

// The first n lanes.
template <class T>
NN_INLINE Mask<T> first_lanes(int n) {
  static constexpr uint8_t kBytes[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  return load_mask<T>(kBytes + 16 - n);
}

// The lanes of a Vec<T> in double precision.
template <class T>
struct Wide;
template <>
struct Wide<float> {
  Vec<double> first, last;
};
template <>
struct Wide<double> {
  Vec<double> first;
};
NN_INLINE Wide<float> widen(Vec<float> a) {
  Wide<float> w;
  to_double(a, w.first, w.last);
  return w;
}
NN_INLINE Wide<double> widen(Vec<double> a) { return {a}; }
NN_INLINE Vec<float> narrow(Wide<float> a) { return to_single(a.first, a.last); }
NN_INLINE Vec<double> narrow(Wide<double> a) { return a.first; }

// Applies `f` to the double vectors of its arguments.
template <class F, class... W>
NN_INLINE Wide<float> map_wide(F f, Wide<float> a, W... rest) {
  return {f(a.first, rest.first...), f(a.last, rest.last...)};
}
template <class F, class... W>
NN_INLINE Wide<double> map_wide(F f, Wide<double> a, W... rest) {
  return {f(a.first, rest.first...)};
}
template <class T>
NN_INLINE Wide<T> splat_wide(double x) {
  if constexpr (sizeof(T) == 4) {
    return {splat(x), splat(x)};
  } else {
    return {splat(x)};
  }
}

// Calls strip(first column, lanes, Strip<vectors, rows at once, whole vectors>) for all columns. Every strip keeps four sums a
// quantity, enough to hide the latency of an addition.
template <int vectors, int rows, bool full>
struct Strip {
  static constexpr int kVectors = vectors, kRows = rows;
  static constexpr bool kFull = full;
};
template <class T, class Body>
NN_INLINE void for_strips(int64_t columns, Body strip) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t j = 0;
#if !NN_SMALL_CODE
  for (; j + 4 * kLanes <= columns; j += 4 * kLanes) strip(j, kLanes, Strip<4, 1, true>());
#endif
  for (; j + kLanes <= columns; j += kLanes) strip(j, kLanes, Strip<1, 4, true>());
  if (j < columns) strip(j, static_cast<int>(columns - j), Strip<1, 4, false>());
}

// The four sums of a quantity, laid out as a Strip wants them.
template <class T, class S>
struct Sums {
  Vec<T> v[4];
  inline __attribute__((always_inline)) void clear() {
    NN_UNROLL(4)
    for (int i = 0; i < 4; ++i) v[i] = Vec<T>::zero();
  }
  inline __attribute__((always_inline)) Vec<T> total(int k) const {
    if constexpr (S::kVectors == 4) {
      return v[k];
    } else {
      return (v[0] + v[1]) + (v[2] + v[3]);
    }
  }
};

// Runs row(i, accumulator, vector) so that every row reaches the accumulators in a fixed order: with one vector, row i goes to i % 4.
template <class S, class Row>
NN_INLINE void for_block_rows(int64_t rows, Row row) {
  int64_t i = 0;
  for (; i + S::kRows <= rows; i += S::kRows) {
    NN_UNROLL(4)
    for (int k = 0; k < 4; ++k) row(i + (S::kVectors == 4 ? 0 : k), k, S::kVectors == 4 ? k : 0);
  }
  if constexpr (S::kRows == 4) {
    for (int k = 0; i < rows; ++i, ++k) {
      // Constant indices keep the accumulators in registers.
      if (k == 0) row(i, 0, 0);
      if (k == 1) row(i, 1, 0);
      if (k == 2) row(i, 2, 0);
    }
  }
}

inline void check_channels(const Prepare& p, const Spec& spec, const Spec& x, const char* name) {
  if (spec.rank != 1 || spec.dims[0] != x.dim(-1) || spec.dtype != x.dtype) {
    p.fail("%s must be a %s vector of %lld channels", name, dtype_name(x.dtype), static_cast<long long>(x.dim(-1)));
  }
}

inline void check_like(const Prepare& p, const Spec& spec, const Spec& x, const char* name) {
  bool same = spec.rank == x.rank && spec.dtype == x.dtype;
  for (int i = 0; same && i < x.rank; ++i) same = spec.dims[i] == x.dims[i];
  if (!same) p.fail("%s must have the shape and dtype of x", name);
}

inline void check_floats(const Prepare& p, const Spec& x) {
  if (x.rank < 1) p.fail("x must have a last axis to hold the channels");
  if (x.dtype != DType::kFloat32 && x.dtype != DType::kFloat64 && x.dtype != DType::kBFloat16) {
    p.fail("x must be float32, float64 or bfloat16, got %s", dtype_name(x.dtype));
  }
}

// The form of a kernel for the dtype of x, which check_floats has seen.
NN_INLINE RunFunction run_for(const Spec& x, RunFunction of_float, RunFunction of_double, RunFunction of_bfloat16) {
  return x.dtype == DType::kFloat32 ? of_float : x.dtype == DType::kFloat64 ? of_double : of_bfloat16;
}

}  // namespace
}  // namespace nnlite::NN_ISA
