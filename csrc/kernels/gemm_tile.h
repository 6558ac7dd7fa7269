// Register tiles of matrix products: C[rows, vectors] (+)= A[rows, K] B[K, vectors], one accumulator per element, k ascending.
//
// Every tile shape does the same operations in the same order for one element of C, so results do not depend on how C is cut.
// A is read by two strides (row and column), which serves A and its transpose without packing; B is read in rows of `ldb` elements.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

// What a tile does besides multiplying.
enum TileFlags : int {
  kAccumulate = 1,   // start from C instead of zero: a further block of K
  kBias = 2,         // add bias[column] at the end
  kScalarBias = 4,   // add bias[0] at the end
  kRelu = 8,         // clamp below at zero at the end, NaN passes
};

template <class T>
struct Tile {
  const T* a;
  int64_t a_row, a_col;  // element strides of A
  const T* b;
  int64_t ldb;
  T* c;
  int64_t ldc;
  int64_t k;
  const T* bias;
  int part;  // columns of the last vector, 1..lanes; only looked at by partial tiles
  int flags;
};

// Where masked loads are as fast as whole ones, partial tiles read B in place; elsewhere B is first copied to a panel of whole vectors.
#if defined(NN_COMPILE_AVX512)
constexpr bool kMaskB = true;
#else
constexpr bool kMaskB = false;
#endif

template <class T>
using TileFunction = void (*)(const Tile<T>& tile);

// Makes the compiler forget what it knows of a value, so that it neither keeps derived addresses alive across the loop over k nor
// writes special versions of the loop.
template <class P>
NN_INLINE void forget(P& value) {
  asm("" : "+r"(value));
}

template <class T>
NN_INLINE const T* step_bytes(const T* p, int64_t bytes) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(p) + bytes);
}

// One register of the machine: what Vec<T> is made of. Tiles count in these, so that narrow instruction sets get tiles that fit.
template <class R>
struct PieceOf {
  using Type = R;
};
template <class H>
struct PieceOf<native::Pair<H>> {
  using Type = typename PieceOf<H>::Type;
};
template <class T>
using Piece = typename PieceOf<typename VecTraits<T>::Register>::Type;

template <class T, int kRows, int kVectors, bool kPart>
void run_tile(const Tile<T>& tile) {
  constexpr int kLanes = Piece<T>::kLanes;
  constexpr int kLast = kPart ? kVectors - 1 : kVectors;  // the vector with `part` columns
  const int part = tile.part;
  Piece<T> acc[kRows][kVectors];
  if (tile.flags & kAccumulate) {
    const T* c = tile.c;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i, c += tile.ldc) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        if (j == kLast) {
          native::load_part(acc[i][j], c + j * kLanes, part);
        } else {
          native::load(acc[i][j], c + j * kLanes);
        }
      }
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) native::splat(acc[i][j], T(0));
    }
  }

  // Rows are reached from one pointer per four rows: 16 rows take six registers.
  constexpr int kGroups = (kRows + 3) / 4;
  constexpr int64_t kSize = sizeof(T);
  int64_t row = tile.a_row * kSize, row3 = 3 * row, column = tile.a_col * kSize, ldb = tile.ldb * kSize;
  forget(row), forget(row3), forget(column), forget(ldb);
  const T* a[kGroups];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) {
    a[g] = step_bytes(tile.a, 4 * g * row);
    forget(a[g]);
  }
  const T* b = tile.b;
#pragma GCC unroll 1
  for (int64_t p = tile.k; p > 0; --p) {
    Piece<T> vb[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      if (kMaskB && j == kLast) {
        native::load_part(vb[j], b + j * kLanes, part);
      } else {
        native::load(vb[j], b + j * kLanes);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      Piece<T> va;
      native::splat(va, *step_bytes(a[i / 4], i % 4 == 3 ? row3 : (i % 4) * row));
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = native::fma(va, vb[j], acc[i][j]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) a[g] = step_bytes(a[g], column);
    b = step_bytes(b, ldb);
  }

  if (tile.flags & (kBias | kScalarBias)) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      Piece<T> bias;
      if (tile.flags & kScalarBias) {
        native::splat(bias, tile.bias[0]);
      } else if (j == kLast) {
        native::load_part(bias, tile.bias + j * kLanes, part);
      } else {
        native::load(bias, tile.bias + j * kLanes);
      }
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) acc[i][j] = native::add(acc[i][j], bias);
    }
  }
  if (tile.flags & kRelu) {
    Piece<T> zero;
    native::splat(zero, T(0));
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = native::max(zero, acc[i][j]);
    }
  }
  T* c = tile.c;
  forget(c);
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i, c += tile.ldc) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      if (j == kLast) {
        native::store_part(c + j * kLanes, acc[i][j], part);
      } else {
        native::store(c + j * kLanes, acc[i][j]);
      }
    }
  }
}

// Tiles by number of rows, the first entry unused.
template <class T>
struct TileSet {
  const TileFunction<T>* rows;
  int most;
};

#define NN_TILES1(T, V, P) run_tile<T, 1, V, P>
#define NN_TILES2(T, V, P) NN_TILES1(T, V, P), run_tile<T, 2, V, P>
#define NN_TILES4(T, V, P) NN_TILES2(T, V, P), run_tile<T, 3, V, P>, run_tile<T, 4, V, P>
#define NN_TILES6(T, V, P) NN_TILES4(T, V, P), run_tile<T, 5, V, P>, run_tile<T, 6, V, P>
#define NN_TILES8(T, V, P) NN_TILES6(T, V, P), run_tile<T, 7, V, P>, run_tile<T, 8, V, P>
#define NN_TILES12(T, V, P) NN_TILES8(T, V, P), run_tile<T, 9, V, P>, run_tile<T, 10, V, P>, run_tile<T, 11, V, P>, run_tile<T, 12, V, P>
#define NN_TILES16(T, V, P) \
  NN_TILES12(T, V, P), run_tile<T, 13, V, P>, run_tile<T, 14, V, P>, run_tile<T, 15, V, P>, run_tile<T, 16, V, P>

// Registers for accumulators, a row of B and a splat of A (and, without a fused multiply-add, a product) are all there are.
#if defined(NN_COMPILE_AVX512)
constexpr int kMaxVectors = 4;
#else
constexpr int kMaxVectors = 2;
#endif

// Columns a tile covers at most: B is brought in by strips of this many.
template <class T>
constexpr int64_t kStripColumns = kMaxVectors * Piece<T>::kLanes;

// The tiles for `columns` columns, at most kStripColumns.
template <class T>
TileSet<T> find_tiles(int64_t columns) {
  constexpr int kLanes = Piece<T>::kLanes;
#if defined(NN_COMPILE_AVX512)
  static const TileFunction<T> whole4[] = {nullptr, NN_TILES6(T, 4, false)};
  static const TileFunction<T> part4[] = {nullptr, NN_TILES6(T, 4, true)};
  static const TileFunction<T> part3[] = {nullptr, NN_TILES8(T, 3, true)};
  static const TileFunction<T> whole2[] = {nullptr, NN_TILES12(T, 2, false)};
  static const TileFunction<T> part2[] = {nullptr, NN_TILES12(T, 2, true)};
  static const TileFunction<T> part1[] = {nullptr, NN_TILES16(T, 1, true)};
  if (columns <= kLanes) return {part1, 16};
  if (columns <= 2 * kLanes) return {columns < 2 * kLanes ? part2 : whole2, 12};
  if (columns <= 3 * kLanes) return {part3, 8};
  return {columns < 4 * kLanes ? part4 : whole4, 6};
#elif defined(NN_COMPILE_AVX2)
  static const TileFunction<T> whole2[] = {nullptr, NN_TILES6(T, 2, false)};
  static const TileFunction<T> part2[] = {nullptr, NN_TILES6(T, 2, true)};
  static const TileFunction<T> part1[] = {nullptr, NN_TILES8(T, 1, true)};
  if (columns <= kLanes) return {part1, 8};
  return {columns < 2 * kLanes ? part2 : whole2, 6};
#else
  static const TileFunction<T> whole2[] = {nullptr, NN_TILES4(T, 2, false)};
  static const TileFunction<T> part2[] = {nullptr, NN_TILES4(T, 2, true)};
  static const TileFunction<T> part1[] = {nullptr, NN_TILES8(T, 1, true)};
  if (columns <= kLanes) return {part1, 8};
  return {columns < 2 * kLanes ? part2 : whole2, 4};
#endif
}

}  // namespace
}  // namespace nnlite::NN_ISA
