#include "kernels/conv2d_tile.h"

namespace nnlite::NN_ISA {
namespace conv {
namespace {

template <class T, int kRows, int kVectors>
void run_tile(const Tile<T>& tile) {
  constexpr int kLanes = Vec<T>::kLanes;
  Vec<T> acc[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) acc[i][j] = Vec<T>::zero();
  }

  const T* a[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) a[i] = tile.pixels[i];
  const int64_t ldb = tile.ldb, run = tile.run;
  for (int64_t r = 0; r < tile.tap_rows; ++r) {
    const T* b = tile.weights + r * tile.weight_row;
    for (int64_t s = 0; s < tile.tap_cols; ++s) {
      const int64_t begin = r * tile.tap_row + s * tile.tap_col;
#pragma GCC unroll 1
      for (int64_t p = begin; p < begin + run; ++p) {
        Vec<T> vb[kVectors];
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) vb[j] = load(b + j * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
          const Vec<T> va = splat(a[i][p]);
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(va, vb[j], acc[i][j]);
        }
        b += ldb;
      }
    }
  }

  const int part = tile.part;
  if (tile.flags & kBias) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const T* p = tile.bias + j * kLanes;
      const Vec<T> bias = j == kVectors - 1 ? load_part(p, part) : load(p);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) acc[i][j] = acc[i][j] + bias;
    }
  }
  if (tile.flags & kRelu) {
    const Vec<T> zero = Vec<T>::zero();
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = max(zero, acc[i][j]);
    }
  }
  if (part == kLanes) {
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) store(tile.outputs[i] + j * kLanes, acc[i][j]);
    }
  } else {
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors - 1; ++j) store(tile.outputs[i] + j * kLanes, acc[i][j]);
      store_part(tile.outputs[i] + (kVectors - 1) * kLanes, acc[i][kVectors - 1], part);
    }
  }
}

#if defined(NN_COMPILE_AVX512)
template <class T>
constexpr TileFunction<T> kTiles[kMaxVectors][kMostRows] = {
    {run_tile<T, 1, 1>, run_tile<T, 2, 1>, run_tile<T, 3, 1>, run_tile<T, 4, 1>, run_tile<T, 5, 1>, run_tile<T, 6, 1>, run_tile<T, 7, 1>,
     run_tile<T, 8, 1>},
    {run_tile<T, 1, 2>, run_tile<T, 2, 2>, run_tile<T, 3, 2>, run_tile<T, 4, 2>, run_tile<T, 5, 2>, run_tile<T, 6, 2>, run_tile<T, 7, 2>,
     run_tile<T, 8, 2>},
    {run_tile<T, 1, 3>, run_tile<T, 2, 3>, run_tile<T, 3, 3>, run_tile<T, 4, 3>, run_tile<T, 5, 3>, run_tile<T, 6, 3>, run_tile<T, 7, 3>,
     run_tile<T, 8, 3>},
    {run_tile<T, 1, 4>, run_tile<T, 2, 4>, run_tile<T, 3, 4>, run_tile<T, 4, 4>, run_tile<T, 5, 4>, run_tile<T, 6, 4>}};
#elif defined(NN_COMPILE_AVX2)
template <class T>
constexpr TileFunction<T> kTiles[kMaxVectors][kMostRows] = {
    {run_tile<T, 1, 1>, run_tile<T, 2, 1>, run_tile<T, 3, 1>, run_tile<T, 4, 1>, run_tile<T, 5, 1>, run_tile<T, 6, 1>}};
#else
template <class T>
constexpr TileFunction<T> kTiles[kMaxVectors][kMostRows] = {{run_tile<T, 1, 1>, run_tile<T, 2, 1>}};
#endif

}  // namespace

TileFunction<float> find_tile(const float*, int rows, int vectors) { return kTiles<float>[vectors - 1][rows - 1]; }
TileFunction<double> find_tile(const double*, int rows, int vectors) { return kTiles<double>[vectors - 1][rows - 1]; }

}  // namespace conv
}  // namespace nnlite::NN_ISA
