// Max pooling of 2 x 2 windows as the last step of a convolution, on pixels that it has just left in a cache. Per-ISA header: include only from
// `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "simd/vec.h"

namespace nnlite::NN_ISA {

// Steps in elements: between the rows and columns of the pixels at x, and between those of the windows at y and cells.
struct PoolPairs {
  const float* x;
  int64_t x_row, x_col;
  int64_t rows, cols;  // windows
  int64_t channels;
  float* y;
  uint8_t* cells;  // which cell of its window won, as max_pool2d has it; null: not asked for
  int64_t y_row, y_col;
  bool cut;  // kConvCutCell instead of a cell where the maximum is not above zero: relu lets no gradient through
};

// Defined in pool_max.isa.cpp; the same bits as max_pool2d.
void pool_pairs(const PoolPairs& windows);

}  // namespace nnlite::NN_ISA
