// Tiles of attention's products: few shapes, because rows and columns are padded.
#include "kernels/attention_tile.h"

#include "kernels/gemm_tile.h"

namespace nnlite::NN_ISA {
namespace attention {
namespace {

constexpr int64_t kPanel = 64;

// Tiles for `columns` columns or fewer, by rows; the sets of a type from the widest to the narrowest.
template <class T>
struct Tiles {
  int64_t columns;
  TileFunction<T> rows[3];  // of kLeastRows, kLeastRows + 1, ...
};

#define NN_ATTENTION_TILES(T, vectors) \
  {vectors * Piece<T>::kLanes, {run_tile<T, 4, vectors, false>, run_tile<T, 5, vectors, false>, run_tile<T, 6, vectors, false>}}
#define NN_ATTENTION_FOUR(T, vectors) {vectors * Piece<T>::kLanes, {run_tile<T, 4, vectors, false>, nullptr, nullptr}}

constexpr int64_t kLeastRows = 4;

template <class T>
struct TilesOf;
#if defined(NN_COMPILE_AVX512)
template <>
struct TilesOf<float> {
  static constexpr int64_t kMostRows = 6;
  static constexpr Tiles<float> kSets[] = {NN_ATTENTION_TILES(float, 4), NN_ATTENTION_TILES(float, 2), NN_ATTENTION_TILES(float, 1)};
};
template <>
struct TilesOf<double> {
  static constexpr int64_t kMostRows = 4;
  static constexpr Tiles<double> kSets[] = {NN_ATTENTION_FOUR(double, 4), NN_ATTENTION_FOUR(double, 2)};
};
#elif defined(NN_COMPILE_AVX2)
template <>
struct TilesOf<float> {
  static constexpr int64_t kMostRows = 6;
  static constexpr Tiles<float> kSets[] = {NN_ATTENTION_TILES(float, 2)};
};
template <>
struct TilesOf<double> {
  static constexpr int64_t kMostRows = 4;
  static constexpr Tiles<double> kSets[] = {NN_ATTENTION_FOUR(double, 2)};
};
#else
template <class T>
struct TilesOf {
  static constexpr int64_t kMostRows = 4;
  static constexpr Tiles<T> kSets[] = {NN_ATTENTION_FOUR(T, 2)};
};
#endif

// Rows of C in tiles of nearly equal height; seven rows are eight.
template <class T>
NN_INLINE void run_rows(const TileFunction<T>* tiles, Tile<T> tile, int64_t rows) {
  constexpr int64_t kMost = TilesOf<T>::kMostRows;
  const int64_t count = (rows + kMost - 1) / kMost;
  const int64_t least = kMost > kLeastRows && rows / count >= kLeastRows ? rows / count : kLeastRows;
  const int64_t higher = rows > least * count ? rows - least * count : 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t height = least + (i < higher ? 1 : 0);
    tiles[height - kLeastRows](tile);
    tile.a += height * tile.a_row;
    tile.c += height * tile.ldc;
  }
}

template <class T>
void multiply_tiles(const Product<T>& product) {
  Tile<T> tile;
  tile.a = product.a;
  tile.a_row = product.a_row;
  tile.a_col = product.a_col;
  tile.ldb = product.ldb;
  tile.ldc = product.ldc;
  tile.k = product.k;
  tile.bias = nullptr;
  tile.part = 0;
  tile.flags = product.accumulate ? kAccumulate : 0;
  int64_t column = 0;
  for (const Tiles<T>& set : TilesOf<T>::kSets) {
    for (; column + set.columns <= product.columns; column += set.columns) {
      tile.b = product.b + column / kPanel * product.b_panel + column % kPanel;
      tile.c = product.c + column;
      run_rows(set.rows, tile, product.rows);
    }
  }
}

}  // namespace

void multiply(const Product<float>& product) { multiply_tiles(product); }
void multiply(const Product<double>& product) { multiply_tiles(product); }

}  // namespace attention
}  // namespace nnlite::NN_ISA
