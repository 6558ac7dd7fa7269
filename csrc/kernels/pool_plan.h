// Geometry of 2-D pooling over NHWC tensors and the preparation of its kernels; the same for every instruction set.
#pragma once
#include <cstdint>

#include "kernels/kernel.h"

namespace nnlite {

// Sizes are n images of ih x iw cells and oh x ow windows of kh x kw cells, c channels.
struct PoolShape {
  int64_t n, ih, iw, oh, ow, c;
  int64_t kh, kw, sh, sw, top, left;
};

// Plain-data state of the pooling kernels: `rows` rows of the output (forward) or of the input's gradient, cut into chunks.
struct PoolState {
  PoolShape shape;
  int64_t rows, chunk_rows;
  DType dtype;
  bool with_cells;  // the forward kernel of an argmax
  bool wide;        // cells are int32: windows of more than 255 cells
  bool past_caches;  // a float32 dx of whole vectors, too large to be still in a cache when it is read
};

struct PoolRange {
  int64_t begin, end;
};

// The cells of window `o` that lie inside the input, counted from the window's first cell.
[[maybe_unused]] static PoolRange cells_inside(int64_t o, int64_t stride, int64_t pad, int64_t window, int64_t size) {
  const int64_t start = o * stride - pad, begin = start < 0 ? -start : 0, end = size - start < window ? size - start : window;
  return {begin, end < begin ? begin : end};
}

// The windows that cover input position `i`.
[[maybe_unused]] static PoolRange windows_over(int64_t i, int64_t stride, int64_t pad, int64_t window, int64_t windows) {
  const int64_t first = i + pad - window + 1, last = (i + pad) / stride + 1;
  return {first <= 0 ? 0 : (first + stride - 1) / stride, last < windows ? last : windows};
}

// Read and check the attributes and specs, and declare the phase. Forward: input x, output y (and cells); gradient: input dy (and cells), output dx.
const PoolState* plan_max_pool(Prepare& prepare);
const PoolState* plan_max_pool_grad(Prepare& prepare);
const PoolState* plan_average_pool(Prepare& prepare, bool gradient);

// Plain loops for what has no vector form: integers, and windows whose cells are int32. Null for the other floats.
RunFunction plain_max_pool(const PoolState& state);
RunFunction plain_max_pool_grad(const PoolState& state);

}  // namespace nnlite
