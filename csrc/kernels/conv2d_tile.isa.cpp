#include "kernels/conv2d_tile.h"

namespace nnlite::NN_ISA {
namespace conv {
namespace {

// Keeps the compiler from holding values of memory in registers across this point.
#define NN_FORGET_MEMORY() asm volatile("" ::: "memory")

template <class T, int kRows, int kVectors>
void run_tile(const Tile<T>& tile) {
  constexpr int kLanes = Vec<T>::kLanes;
  Vec<T> acc[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) acc[i][j] = Vec<T>::zero();
  }

#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) prefetch_write(tile.outputs[i] + j * kLanes);
  }
  // Every pixel's pointer stands at the end of its tap, and the index counts up to zero: this leaves registers for all of them.
  const T* a[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) a[i] = tile.pixels[i] + tile.run;
  const T* b = tile.weights;
  const int64_t ldb = tile.ldb;
  for (int64_t r = tile.tap_rows; r > 0; --r) {
    for (int64_t s = tile.tap_cols; s > 0; --s) {
      int64_t p = -tile.run;
      do {
        Vec<T> vb[kVectors];
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) vb[j] = load(b + j * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(splat(a[i][p]), vb[j], acc[i][j]);
        }
        b += ldb;
      } while (++p < 0);
      // Numbers needed once a tap stay in memory.
      NN_FORGET_MEMORY();
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) a[i] += tile.tap_col;
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) a[i] += tile.tap_row_skip;
    b += tile.weight_skip;
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

#if defined(NN_COMPILE_AVX512)
template <int kPixels, int kVectors>
NN_INLINE void nine_taps(const NineTapRow& row, const Vec<float> (&weights)[9][kVectors], const Vec<float> (&bias)[kVectors], Vec<float> floor,
                         const float* in, float* out) {
  Vec<float> acc[kPixels][kVectors];
#pragma GCC unroll 2
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) acc[i][j] = Vec<float>::zero();
  }
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) {
#pragma GCC unroll 2
    for (int i = 0; i < kPixels; ++i) {
      const Vec<float> x = splat(in[i * row.in_step + t / 3 * row.tap_row + t % 3]);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(x, weights[t][j], acc[i][j]);
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) store(out + i * row.out_step + j * Vec<float>::kLanes, max(floor, acc[i][j] + bias[j]));
  }
}

// Without relu the floor is minus infinity; without bias -0 is added: neither changes a bit.
template <int kVectors>
void nine_tap_row(const NineTapRow& row) {
  constexpr int kLanes = Vec<float>::kLanes;
  Vec<float> weights[9][kVectors], bias[kVectors];
#pragma GCC unroll 2
  for (int j = 0; j < kVectors; ++j) {
    bias[j] = row.flags & kBias ? load(row.bias + j * kLanes) : splat(-0.0f);
#pragma GCC unroll 9
    for (int t = 0; t < 9; ++t) weights[t][j] = load(row.weights + t * row.ldb + j * kLanes);
  }
  const Vec<float> floor = splat(row.flags & kRelu ? 0.0f : -__builtin_inff());
  const float* in = row.in;
  float* out = row.out;
  int64_t left = row.pixels;
  for (; left >= 2; left -= 2) {
    nine_taps<2, kVectors>(row, weights, bias, floor, in, out);
    in += 2 * row.in_step;
    out += 2 * row.out_step;
  }
  if (left > 0) nine_taps<1, kVectors>(row, weights, bias, floor, in, out);
}
#endif

}  // namespace

#if defined(NN_COMPILE_AVX512)
void run_nine_tap_row(const NineTapRow& row, int vectors) { vectors == 1 ? nine_tap_row<1>(row) : nine_tap_row<2>(row); }
#else
void run_nine_tap_row(const NineTapRow&, int) {}
#endif

TileFunction<float> find_tile(const float*, int rows, int vectors) { return kTiles<float>[vectors - 1][rows - 1]; }
TileFunction<double> find_tile(const double*, int rows, int vectors) { return kTiles<double>[vectors - 1][rows - 1]; }

}  // namespace conv
}  // namespace nnlite::NN_ISA
