// Register tiles of dense convolutions: some pixels (rows) times some vectors of filters, one accumulator per element.
//
// A tile reads its pixels through pointers, so they may lie anywhere: one after the other, in several rows or in several images. All
// see the same taps. The order of operations for one element is tap rows, tap columns, channels, whatever the tile's shape.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace conv {

enum TileFlags : int {
  kBias = 1,  // add bias[column] at the end
  kRelu = 2,  // then clamp below at zero, NaN passes
};

// Largest tiles that leave no register spilled: accumulators, one row of weights, a splat and the pixel pointers.
#if defined(NN_COMPILE_AVX512)
constexpr int kMaxVectors = 4;
constexpr int kMaxRows[kMaxVectors + 1] = {0, 8, 8, 8, 6};
#elif defined(NN_COMPILE_AVX2)
constexpr int kMaxVectors = 1;
constexpr int kMaxRows[kMaxVectors + 1] = {0, 6};
#else
constexpr int kMaxVectors = 1;
constexpr int kMaxRows[kMaxVectors + 1] = {0, 2};
#endif
constexpr int kMostRows = 8;

template <class T>
struct Tile {
  const T* pixels[kMostRows];  // where each pixel reads its first tap
  T* outputs[kMostRows];
  const T* weights;            // of the first tap: one row of columns per channel
  int64_t ldb;                 // elements between rows of weights
  int64_t tap_rows, tap_cols;
  int64_t run;                 // contiguous elements per tap, at least 1
  int64_t tap_col;             // elements between the taps of a row
  int64_t tap_row_skip;        // elements from after the last tap of a row to the first of the next
  int64_t weight_skip;         // elements of weights left out between rows of taps
  const T* bias;
  int part;                    // columns of the last vector, 1..lanes
  int flags;
};

template <class T>
using TileFunction = void (*)(const Tile<T>& tile);

// A row of pixels that see 3 x 3 taps of one channel. A sum of 9 terms is too short to hide the end of one tile behind the start of the next, so
// here nothing is set up for a tile: 1.4 times as fast.
constexpr int kNineTapVectors = 2;  // at most so many whole vectors of filters
struct NineTaps {
  float weights[9][kNineTapVectors * 16];
  float bias[kNineTapVectors * 16];  // -0 without bias: adding it changes no bit
  float floor;                       // 0 for relu, else minus infinity
};
struct NineTapRow {
  const NineTaps* taps;
  const float* in;
  float* out;
  int64_t pixels, in_step, out_step;  // elements between pixels
  int64_t tap_row;
};
#if defined(NN_COMPILE_AVX512) || defined(NN_COMPILE_AVX2)
constexpr bool kHasNineTapRows = true;
#else
constexpr bool kHasNineTapRows = false;
#endif
void run_nine_tap_row(const NineTapRow& row, int vectors);

// The function for `rows` pixels (1..kMaxRows[vectors]) and `vectors` vectors (1..kMaxVectors). Defined in conv2d_tile.isa.cpp.
TileFunction<float> find_tile(const float*, int rows, int vectors);
TileFunction<double> find_tile(const double*, int rows, int vectors);

}  // namespace conv
}  // namespace nnlite::NN_ISA
