#include "kernels/conv2d_tile.h"

#include "core/integers.h"
#include "kernels/gemm_tile.h"

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

#if defined(NN_COMPILE_AVX512) || defined(NN_COMPILE_AVX2)
// Counted in registers of the machine. AVX-512 has enough for the weights of all pixels that pass by; AVX2 reads them anew for every few pixels.
constexpr int kPiece = Piece<float>::kLanes;
#if defined(NN_COMPILE_AVX512)
template <int kPieces>
constexpr int kNineTapPixels = 2;

template <int kPieces>
struct NineTapWeights {
  Piece<float> taps[9][kPieces];
  explicit NN_ALWAYS NineTapWeights(const NineTaps& from) {
#pragma GCC unroll 9
    for (int t = 0; t < 9; ++t) {
#pragma GCC unroll 2
      for (int j = 0; j < kPieces; ++j) native::load(taps[t][j], from.weights[t] + j * kPiece);
    }
  }
  NN_ALWAYS Piece<float> get(int t, int j) const { return taps[t][j]; }
};
NN_INLINE void hold_until(const float*&, Piece<float>) {}
#else
template <int kPieces>
constexpr int kNineTapPixels = 12 / kPieces;

template <int kPieces>
struct NineTapWeights {
  const NineTaps& taps;
  explicit NN_ALWAYS NineTapWeights(const NineTaps& from) : taps(from) {}
  NN_ALWAYS Piece<float> get(int t, int j) const {
    Piece<float> w;
    native::load(w, taps.weights[t] + j * kPiece);
    return w;
  }
};
// Or the compiler reads pixels of later taps too soon, and registers run out.
NN_INLINE void hold_until(const float*& pixels, Piece<float> sum) { asm("" : "+r"(pixels) : "x"(sum.r)); }
#endif

template <int kPixels, int kPieces>
NN_INLINE void nine_taps(const NineTapRow& row, const NineTapWeights<kPieces>& weights, const float* in, float* out) {
  Piece<float> acc[kPixels][kPieces];
#pragma GCC unroll 6
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kPieces; ++j) native::splat(acc[i][j], 0.0f);
  }
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) {
#pragma GCC unroll 6
    for (int i = 0; i < kPixels; ++i) {
      Piece<float> x;
      native::splat(x, in[i * row.in_step + t / 3 * row.tap_row + t % 3]);
#pragma GCC unroll 4
      for (int j = 0; j < kPieces; ++j) acc[i][j] = native::fma(x, weights.get(t, j), acc[i][j]);
    }
    hold_until(in, acc[kPixels - 1][kPieces - 1]);
  }
  const NineTaps& taps = *row.taps;
  const int64_t out_step = row.out_step;
  Piece<float> floor, bias;
  native::splat(floor, taps.floor);
#pragma GCC unroll 4
  for (int j = 0; j < kPieces; ++j) {
    native::load(bias, taps.bias + j * kPiece);
#pragma GCC unroll 6
    for (int i = 0; i < kPixels; ++i) acc[i][j] = native::max(floor, native::add(acc[i][j], bias));
  }
#pragma GCC unroll 6
  for (int i = 0; i < kPixels; ++i, out += out_step) {
#pragma GCC unroll 4
    for (int j = 0; j < kPieces; ++j) native::store(out + j * kPiece, acc[i][j]);
  }
}

template <int kVectors>
void nine_tap_row(const NineTapRow& row) {
  constexpr int kPieces = kVectors * Vec<float>::kLanes / kPiece, kPixels = kNineTapPixels<kPieces>;
  const NineTapWeights<kPieces> weights(*row.taps);
  // The last tile of a row that is no multiple of tiles computes some pixels again.
  const int64_t last = row.pixels - kPixels;
  if (last >= 0) {
    for (int64_t i = 0;; i = smaller(i + kPixels, last)) {
      nine_taps<kPixels, kPieces>(row, weights, row.in + i * row.in_step, row.out + i * row.out_step);
      if (i == last) return;
    }
  }
  for (int64_t i = 0; i < row.pixels; ++i) nine_taps<1, kPieces>(row, weights, row.in + i * row.in_step, row.out + i * row.out_step);
}
#endif

}  // namespace

#if defined(NN_COMPILE_AVX512) || defined(NN_COMPILE_AVX2)
void run_nine_tap_row(const NineTapRow& row, int vectors) { vectors == 1 ? nine_tap_row<1>(row) : nine_tap_row<2>(row); }
#else
void run_nine_tap_row(const NineTapRow&, int) {}
#endif

TileFunction<float> find_tile(const float*, int rows, int vectors) { return kTiles<float>[vectors - 1][rows - 1]; }
TileFunction<double> find_tile(const double*, int rows, int vectors) { return kTiles<double>[vectors - 1][rows - 1]; }

}  // namespace conv
}  // namespace nnlite::NN_ISA
