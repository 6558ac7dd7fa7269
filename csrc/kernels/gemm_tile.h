// Register tiles of matrix products: C[rows, vectors] (+)= A[rows, K] B[K, vectors], one accumulator per element, k ascending.
//
// Every tile shape does the same operations in the same order for one element of C, so results do not depend on how C is cut.
// A is read by two strides (row and column), which serves A and its transpose without packing; B is read in rows of `ldb` elements.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace gemm {

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

template <class T>
using TileFunction = void (*)(const Tile<T>& tile);

// Largest tiles that leave no register spilled: accumulators + one row of B + one splat of A.
#if defined(NN_COMPILE_AVX512)
constexpr int kMaxVectors = 4;
constexpr int kMaxRows[kMaxVectors + 1] = {0, 16, 12, 8, 6};
constexpr int kMaxPartRows[kMaxVectors + 1] = {0, 16, 12, 8, 6};
#elif defined(NN_COMPILE_AVX2)
constexpr int kMaxVectors = 1;
constexpr int kMaxRows[kMaxVectors + 1] = {0, 6};
constexpr int kMaxPartRows[kMaxVectors + 1] = {0, 4};
#else
constexpr int kMaxVectors = 1;
constexpr int kMaxRows[kMaxVectors + 1] = {0, 2};
constexpr int kMaxPartRows[kMaxVectors + 1] = {0, 2};
#endif

template <class T, int kRows, int kVectors, bool kPart>
void run_tile(const Tile<T>& tile) {
  using V = Vec<T>;
  constexpr int kLanes = V::kLanes;
  const int part = tile.part;
  const int64_t ldc = tile.ldc;
  T* const c = tile.c;
  V acc[kRows][kVectors];
  if (tile.flags & kAccumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const T* p = c + i * ldc + j * kLanes;
        acc[i][j] = kPart && j == kVectors - 1 ? V::load_part(p, part) : V::load(p);
      }
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = V::splat(T(0));
    }
  }

  // Rows are reached from one pointer per four rows, so that 16 rows need six registers.
  constexpr int kGroups = (kRows + 3) / 4;
  const int64_t row = tile.a_row, row3 = 3 * row, col = tile.a_col, ldb = tile.ldb;
  const T* a[kGroups];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) a[g] = tile.a + 4 * g * row;
  const T* b = tile.b;
#pragma GCC unroll 1
  for (int64_t p = tile.k; p > 0; --p) {
    V vb[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      vb[j] = kPart && j == kVectors - 1 ? V::load_part(b + j * kLanes, part) : V::load(b + j * kLanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const int64_t offset = i % 4 == 3 ? row3 : (i % 4) * row;
      const V va = V::splat(a[i / 4][offset]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(va, vb[j], acc[i][j]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) a[g] += col;
    b += ldb;
  }

  if (tile.flags & (kBias | kScalarBias)) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const T* p = tile.bias + j * kLanes;
      const V bias = tile.flags & kScalarBias ? V::splat(tile.bias[0]) : kPart && j == kVectors - 1 ? V::load_part(p, part) : V::load(p);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) acc[i][j] = acc[i][j] + bias;
    }
  }
  if (tile.flags & kRelu) {
    const V zero = V::splat(T(0));
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = max(zero, acc[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      T* p = c + i * ldc + j * kLanes;
      if (kPart && j == kVectors - 1) {
        acc[i][j].store_part(p, part);
      } else {
        acc[i][j].store(p);
      }
    }
  }
}
}  // namespace gemm
}  // namespace nnlite::NN_ISA
