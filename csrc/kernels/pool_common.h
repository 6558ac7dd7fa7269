// Geometry of 2-D pooling over NHWC tensors.
#pragma once
#include "kernels/lane_items.h"

namespace nnlite::NN_ISA {
namespace {

// Sizes are n images of ih x iw cells and oh x ow windows of kh x kw cells, c channels.
struct PoolShape {
  int64_t n, ih, iw, oh, ow, c;
  int64_t kh, kw, sh, sw, top, left;
};

struct PoolRange {
  int64_t begin, end;
};

// The cells of window `o` that lie inside the input, counted from the window's first cell.
NN_INLINE PoolRange cells_inside(int64_t o, int64_t stride, int64_t pad, int64_t window, int64_t size) {
  const int64_t start = o * stride - pad;
  return {max_of(0, -start), max_of(max_of(0, -start), min_of(window, size - start))};
}

// The windows whose cells all lie inside.
NN_INLINE PoolRange whole_windows(int64_t stride, int64_t pad, int64_t window, int64_t size, int64_t windows) {
  const int64_t begin = min_of(windows, (pad + stride - 1) / stride), last = size + pad - window;
  return {begin, last < 0 ? begin : max_of(begin, min_of(windows, last / stride + 1))};
}

// The windows that cover input position `i`.
NN_INLINE PoolRange windows_over(int64_t i, int64_t stride, int64_t pad, int64_t window, int64_t windows) {
  const int64_t first = i + pad - window + 1;
  const int64_t begin = first <= 0 ? 0 : (first + stride - 1) / stride;
  return {begin, min_of(windows, (i + pad) / stride + 1)};
}

// Reads the attributes; `x` is the pooled tensor's spec, `y` that of the windows.
inline PoolShape read_pool(const Prepare& p, const Spec& x, const Spec& y) {
  int64_t pool[2], strides[2], padding[4];
  if (p.get_ints("pool_size", pool, 2) != 2 || p.get_ints("strides", strides, 2) != 2 || p.get_ints("padding", padding, 4) != 4) {
    p.fail("pool_size and strides must have 2 entries and padding 4 (top, bottom, left, right)");
  }
  if (x.rank != 4 || y.rank != 4) p.fail("pooling takes tensors of rank 4 [N, H, W, C], got ranks %d and %d", x.rank, y.rank);
  const PoolShape s = {x.dims[0], x.dims[1], x.dims[2],  y.dims[1],  y.dims[2],  x.dims[3],
                       pool[0],   pool[1],   strides[0], strides[1], padding[0], padding[2]};
  if (s.kh < 1 || s.kw < 1 || s.sh < 1 || s.sw < 1) p.fail("pool_size and strides must be at least 1");
  for (int64_t pad : padding) {
    if (pad < 0) p.fail("padding must not be negative, got %lld", static_cast<long long>(pad));
  }
  const int64_t h = s.ih + padding[0] + padding[1], w = s.iw + padding[2] + padding[3];
  const int64_t oh = h < s.kh ? 0 : (h - s.kh) / s.sh + 1, ow = w < s.kw ? 0 : (w - s.kw) / s.sw + 1;
  if (y.dims[0] != s.n || s.oh != oh || s.ow != ow || y.dims[3] != s.c) {
    p.fail("the pooled shape must be (%lld, %lld, %lld, %lld), got (%lld, %lld, %lld, %lld)", static_cast<long long>(s.n), static_cast<long long>(oh),
           static_cast<long long>(ow), static_cast<long long>(s.c), static_cast<long long>(y.dims[0]), static_cast<long long>(s.oh),
           static_cast<long long>(s.ow), static_cast<long long>(y.dims[3]));
  }
  return s;
}

// Attribute input_shape must be the spec `x` that a gradient kernel writes.
inline void check_input_shape(const Prepare& p, const Spec& x) {
  int64_t dims[kMaxRank];
  bool same = p.get_ints("input_shape", dims, kMaxRank) == x.rank;
  for (int i = 0; same && i < x.rank; ++i) same = dims[i] == x.dims[i];
  if (!same) p.fail("the output must have the shape of attribute input_shape");
}

// Rows a chunk when a row moves `row_bytes` bytes.
inline int64_t rows_per_chunk(int64_t row_bytes) { return max_of(1, kChunkBytes / max_of(1, row_bytes)); }

// Keeps a loaded vector in its register: GCC would read memory again for every use.
template <class T>
NN_INLINE Vec<T> keep(Vec<T> v) {
#if defined(NN_COMPILE_AVX512)
  asm("" : "+v"(v.r.r));
#endif
  return v;
}

// Calls body(first channel, lanes, Whole) for whole vectors and then for the tail.
template <class Item, class Body>
NN_INLINE void for_channels(int64_t c, Body body) {
  constexpr int kLanes = Vec<NumberOf<Item>>::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= c; j += kLanes) body(j, kLanes, Whole<true>());
  if (j < c) body(j, static_cast<int>(c - j), Whole<false>());
}

}  // namespace
}  // namespace nnlite::NN_ISA
