// Shared by batch and layer normalization: double precision sums of vectors, masks of tails.
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

}  // namespace
}  // namespace nnlite::NN_ISA
