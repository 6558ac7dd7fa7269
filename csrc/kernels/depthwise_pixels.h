// The tiles of depthwise_conv2d and its input gradient: some pixels of a row or column times one register of channels. For 3 x 3 taps at stride 1
// or 2 they are up to two rows of four pixels, and every loaded pixel serves all taps that see it; at the edges of the image they leave out what
// is not there.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/depthwise_tile.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

#if defined(NN_COMPILE_BASELINE)
constexpr int kMostPixels = 2, kSlidingRows = 0;  // 9 weights would not fit its registers
#elif defined(NN_COMPILE_AVX2)
constexpr int kMostPixels = 8, kSlidingRows = 1;
#else
constexpr int kMostPixels = 8, kSlidingRows = 2;
#endif
#if defined(NN_COMPILE_AVX512)
constexpr bool kSlidesMapped = true;
#else
constexpr bool kSlidesMapped = false;  // the channels' places would need the registers of weights
#endif
constexpr int kSlidingCols = 4;
constexpr bool kStreams = kSlidesMapped;  // a register is a line of cache
template <class T>
constexpr bool kHasSliding = kSlidingRows > 0 && sizeof(T) == sizeof(float);

template <class T>
struct Tile {
  const T* in;  // first pixel at its first tap
  T* out;
  int64_t pixel_in, pixel_out;  // elements between pixels
  int64_t row_out, count;       // sliding tiles: elements between rows, tiles along a row
  int64_t tap_rows, tap_cols, tap_row, tap_col;
  const T* weights;  // of the first tap
  int64_t weight_row, weight_col;
  const T* bias;  // null without
  bool relu;
  int64_t begin, end;  // filters
  const int32_t* map;  // channel of every filter, null when they are the same
  int64_t depth, weight_depth;  // with a map: channels that every filter reads, elements between their weights
  // Sliding tiles: what of the image the first and the last row and column of outputs miss.
  bool misses_top, misses_bottom, misses_left, misses_right;
  bool fetches;      // sliding tiles fetch what the ones below read first
  bool past_caches;  // and write whole, aligned registers past the caches
};

// Bias and relu for all sums at once: a branch for each would let the compiler compute them one after the other, with too many registers.
template <class T, int kCount, Access kAccess>
NN_INLINE void finish(const Tile<T>& tile, const Lanes<T, kAccess>& lanes, Reg<T> (&acc)[kCount]) {
  if (tile.bias) {
    const Reg<T> bias = lanes.own(tile.bias);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) acc[i] = acc[i] + bias;
  }
  if (tile.relu) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) acc[i] = max(Reg<T>::zero(), acc[i]);
  }
}

template <class T, int kPixels, Access kAccess>
NN_INLINE void plain_lanes(const Tile<T>& tile, const Lanes<T, kAccess>& lanes) {
  Reg<T> acc[kPixels];
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) {
    prefetch_write(tile.out + i * tile.pixel_out + lanes.c);
    acc[i] = Reg<T>::zero();
  }
  for (int64_t d = 0; d < (kAccess == Access::kMapped ? tile.depth : 1); ++d) {
    for (int64_t r = 0; r < tile.tap_rows; ++r) {
      const T* in = tile.in + d + r * tile.tap_row;
      const T* weights = tile.weights + d * tile.weight_depth + r * tile.weight_row;
      for (int64_t s = 0; s < tile.tap_cols; ++s) {
        const Reg<T> w = lanes.own(weights);
#pragma GCC unroll 8
        for (int i = 0; i < kPixels; ++i) acc[i] = fma(lanes.read(in + i * tile.pixel_in), w, acc[i]);
        in += tile.tap_col;
        weights += tile.weight_col;
      }
    }
  }
  finish(tile, lanes, acc);
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) lanes.put(tile.out + i * tile.pixel_out, acc[i]);
}

template <class T, int kPixels, bool kMapped>
void run_plain_tile(const Tile<T>& tile) {
  for_lanes<T, kMapped>(tile.begin, tile.end, tile.map, [&](const auto& lanes) NN_LAMBDA_INLINE { plain_lanes<T, kPixels>(tile, lanes); });
}

// Brings the pixels that the sliding tile below is the first to read into the second cache.
template <class T, int kRows, int kCols, int kStride>
NN_INLINE void fetch_below(const Tile<T>& tile, const T* in) {
  const T* below = in + (kStride * (kRows - 1) + 3) * tile.tap_row;
#pragma GCC unroll 4
  for (int y = 0; y < kStride * kRows; ++y, below += tile.tap_row) {
#pragma GCC unroll 8
    for (int x = 0; x < kStride * kCols; ++x) prefetch_l2(below + x * tile.tap_col);
  }
}

// 3 x 3 neighbouring taps at stride kStride: kRows x kCols outputs from one load of each pixel they see. At the image's edges the first or last row
// and column of pixels is not there.
template <class T, int kRows, int kCols, int kStride, Access kAccess>
NN_INLINE void slide(const Tile<T>& tile, const Lanes<T, kAccess>& lanes, const T* in, bool left, bool right, const Reg<T> (&weights)[3][3],
                     Reg<T> (&acc)[kRows * kCols]) {
  constexpr int kLastRow = kStride * (kRows - 1) + 2, kLastCol = kStride * (kCols - 1) + 2;
#pragma GCC unroll 5
  for (int y = 0; y <= kLastRow; ++y) {
    if ((y == 0 && tile.misses_top) || (y == kLastRow && tile.misses_bottom)) continue;
#pragma GCC unroll 9
    for (int x = 0; x <= kLastCol; ++x) {
      if ((x == 0 && left) || (x == kLastCol && right)) continue;
      const Reg<T> value = lanes.read(in + y * tile.tap_row + x * tile.tap_col);
#pragma GCC unroll 2
      for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < kCols; ++j) {
          const int r = y - i * kStride, s = x - j * kStride;
          if (r >= 0 && r < 3 && s >= 0 && s < 3) acc[i * kCols + j] = fma(value, weights[r][s], acc[i * kCols + j]);
        }
      }
    }
  }
}

template <class T, Access kAccess>
NN_INLINE void load_weights(const Tile<T>& tile, const Lanes<T, kAccess>& lanes, int64_t d, Reg<T> (&weights)[3][3]) {
  const T* first = tile.weights + d * tile.weight_depth;
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r) {
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) weights[r][s] = lanes.own(first + r * tile.weight_row + s * tile.weight_col);
  }
}

// Tiles along a row, one register of channels after the other.
template <class T, int kRows, int kCols, int kStride, Access kAccess>
NN_INLINE void sliding_lanes(const Tile<T>& tile, const Lanes<T, kAccess>& lanes) {
  Reg<T> weights[3][3];
  if (kAccess != Access::kMapped) load_weights(tile, lanes, 0, weights);
  const T* in = tile.in;
  T* out = tile.out;
#pragma GCC unroll 1
  for (int64_t n = tile.count; n > 0; --n, in += kStride * kCols * tile.tap_col, out += kCols * tile.pixel_out) {
    Reg<T> acc[kRows * kCols];
    if (!kStreams || !tile.past_caches) {
#pragma GCC unroll 2
      for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < kCols; ++j) prefetch_write(out + i * tile.row_out + j * tile.pixel_out + lanes.c);
      }
    }
    if (kAccess != Access::kMapped && tile.fetches) fetch_below<T, kRows, kCols, kStride>(tile, in + lanes.c);
#pragma GCC unroll 8
    for (int i = 0; i < kRows * kCols; ++i) acc[i] = Reg<T>::zero();
    const bool left = tile.misses_left && n == tile.count, right = tile.misses_right && n == 1;
    if (kAccess == Access::kMapped) {
      for (int64_t d = 0; d < tile.depth; ++d) {
        load_weights(tile, lanes, d, weights);
        slide<T, kRows, kCols, kStride>(tile, lanes, in + d, left, right, weights, acc);
      }
    } else {
      slide<T, kRows, kCols, kStride>(tile, lanes, in, left, right, weights, acc);
    }
    finish(tile, lanes, acc);
#pragma GCC unroll 2
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kCols; ++j) {
        T* to = out + i * tile.row_out + j * tile.pixel_out;
        if (kStreams && kAccess != Access::kMapped && tile.past_caches) {
          native::stream(to + lanes.c, acc[i * kCols + j].r);
        } else {
          lanes.put(to, acc[i * kCols + j]);
        }
      }
    }
  }
}

template <class T, int kRows, int kCols, int kStride, bool kMapped>
void run_sliding_tile(const Tile<T>& tile) {
  for_lanes<T, kMapped>(tile.begin, tile.end, tile.map,
                        [&](const auto& lanes) NN_LAMBDA_INLINE { sliding_lanes<T, kRows, kCols, kStride>(tile, lanes); });
}

template <class T>
using TileFunction = void (*)(const Tile<T>& tile);

template <class T, bool kMapped>
TileFunction<T> find_plain_tile(int64_t pixels) {
#if defined(NN_COMPILE_BASELINE)
  constexpr TileFunction<T> kTiles[kMostPixels] = {run_plain_tile<T, 1, kMapped>, run_plain_tile<T, 2, kMapped>};
#else
  constexpr TileFunction<T> kTiles[kMostPixels] = {run_plain_tile<T, 1, kMapped>, run_plain_tile<T, 2, kMapped>, run_plain_tile<T, 3, kMapped>,
                                                   run_plain_tile<T, 4, kMapped>, run_plain_tile<T, 5, kMapped>, run_plain_tile<T, 6, kMapped>,
                                                   run_plain_tile<T, 7, kMapped>, run_plain_tile<T, 8, kMapped>};
#endif
  return kTiles[pixels - 1];
}

#if !defined(NN_COMPILE_BASELINE)
template <int kRows, int kStride, bool kMapped>
TileFunction<float> find_sliding_cols(int64_t cols) {
  constexpr TileFunction<float> kTiles[kSlidingCols] = {
      run_sliding_tile<float, kRows, 1, kStride, kMapped>, run_sliding_tile<float, kRows, 2, kStride, kMapped>,
      run_sliding_tile<float, kRows, 3, kStride, kMapped>, run_sliding_tile<float, kRows, 4, kStride, kMapped>};
  return kTiles[cols - 1];
}
template <int kStride, bool kMapped>
TileFunction<float> find_sliding_rows(int64_t rows, int64_t cols) {
  return rows == 1 ? find_sliding_cols<1, kStride, kMapped>(cols) : find_sliding_cols<kSlidingRows, kStride, kMapped>(cols);
}
TileFunction<float> find_sliding_tile(const float*, int64_t rows, int64_t cols, bool stride_2, [[maybe_unused]] bool mapped) {
  if constexpr (kSlidesMapped) {
    if (mapped) return stride_2 ? find_sliding_rows<2, true>(rows, cols) : find_sliding_rows<1, true>(rows, cols);
  }
  return stride_2 ? find_sliding_rows<2, false>(rows, cols) : find_sliding_rows<1, false>(rows, cols);
}
#else
TileFunction<float> find_sliding_tile(const float*, int64_t, int64_t, bool, bool) { return nullptr; }
#endif
TileFunction<double> find_sliding_tile(const double*, int64_t, int64_t, bool, bool) { return nullptr; }

}  // namespace
}  // namespace depthwise
}  // namespace nnlite::NN_ISA
