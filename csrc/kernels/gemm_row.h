// Products of a single row, C[1, n] = A[1, K] B[K, n]: every element of B is used once, so B is read where it lies, in pieces as long as
// registers allow, and a transposed B is turned in registers. The order of operations is that of the tiles.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "kernels/gemm_pack.h"
#include "kernels/gemm_tile.h"

namespace nnlite::NN_ISA {
namespace {

// Adds the bias, clamps and stores one register of C.
template <class T>
NN_INLINE void finish_row(const Tile<T>& tile, int64_t column, int64_t columns, Piece<T> sum) {
  const int part = static_cast<int>(columns < Piece<T>::kLanes ? columns : Piece<T>::kLanes);
  Piece<T> other;
  if (tile.flags & kScalarBias) {
    native::splat(other, tile.bias[0]);
    sum = native::add(sum, other);
  } else if (tile.flags & kBias) {
    native::load_part(other, tile.bias + column, part);
    sum = native::add(sum, other);
  }
  if (tile.flags & kRelu) {
    native::splat(other, T(0));
    sum = native::max(other, sum);
  }
  native::store_part(tile.c + column, sum, part);
}

// As many registers as the sums of a row can use while one is left for A.
#if defined(NN_COMPILE_AVX512)
constexpr int kRowVectors = 16;
#else
constexpr int kRowVectors = 8;
#endif

// `vectors` whole registers of C from `column` on.
template <class T, int vectors>
__attribute__((noinline)) void run_row_piece(const Tile<T>& tile, int64_t column) {
  constexpr int kLanes = Piece<T>::kLanes;
  Piece<T> sum[vectors];
#pragma GCC unroll 16
  for (int j = 0; j < vectors; ++j) native::splat(sum[j], T(0));
  const T* a = tile.a;
  const T* b = tile.b + column;
  const int64_t a_col = tile.a_col, ldb = tile.ldb;
#pragma GCC unroll 1
  for (int64_t p = tile.k; p > 0; --p) {
    Piece<T> va;
    native::splat(va, *a);
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) {
      Piece<T> vb;
      native::load(vb, b + j * kLanes);
      sum[j] = native::fma(va, vb, sum[j]);
    }
    a += a_col;
    b += ldb;
  }
#pragma GCC unroll 16
  for (int j = 0; j < vectors; ++j) finish_row(tile, column + j * kLanes, kLanes, sum[j]);
}

// The last columns, less than a register.
template <class T>
__attribute__((noinline)) void run_row_end(const Tile<T>& tile, int64_t column, int64_t columns) {
  Piece<T> sum, va, vb;
  native::splat(sum, T(0));
  const T* a = tile.a;
  const T* b = tile.b + column;
  const int64_t a_col = tile.a_col, ldb = tile.ldb;
  for (int64_t p = tile.k; p > 0; --p, a += a_col, b += ldb) {
    native::splat(va, *a);
    native::load_part(vb, b, static_cast<int>(columns));
    sum = native::fma(va, vb, sum);
  }
  finish_row(tile, column, columns, sum);
}

// c[j] += sum of a[p] * b[p][j] over `rows` rows of B, all read as streams from end to end; `vectors` registers of C.
template <class T, int rows>
__attribute__((noinline)) void run_row_streams(const T* a, int64_t a_col, const T* b, int64_t ldb, T* c, int64_t vectors, bool accumulate) {
  constexpr int kLanes = Piece<T>::kLanes;
  Piece<T> va[rows];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) native::splat(va[i], a[i * a_col]);
  const T* high = b + 4 * ldb;
#pragma GCC unroll 1
  for (int64_t j = 0; j < vectors; ++j, b += kLanes, high += kLanes, c += kLanes) {
    Piece<T> sum, vb;
    native::splat(sum, T(0));
    if (accumulate) native::load(sum, c);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      native::load(vb, (i < 4 ? b : high) + i % 4 * ldb);
      sum = native::fma(va[i], vb, sum);
    }
    native::store(c, sum);
  }
}

// Wide rows of B lie far apart: eight of them at a time are read from end to end, with the sums kept in C.
template <class T>
void run_wide_row(const Tile<T>& tile, int64_t columns) {
  constexpr int kLanes = Piece<T>::kLanes, kStreams = 8;
  const int64_t vectors = columns / kLanes;
  int64_t p = 0;
  for (; p + kStreams <= tile.k; p += kStreams) {
    run_row_streams<T, kStreams>(tile.a + p * tile.a_col, tile.a_col, tile.b + p * tile.ldb, tile.ldb, tile.c, vectors, p > 0);
  }
  for (; p < tile.k; ++p) run_row_streams<T, 1>(tile.a + p * tile.a_col, tile.a_col, tile.b + p * tile.ldb, tile.ldb, tile.c, vectors, p > 0);
  for (int64_t j = 0; j < vectors; ++j) {
    Piece<T> sum;
    native::load(sum, tile.c + j * kLanes);
    finish_row(tile, j * kLanes, kLanes, sum);
  }
  if (columns % kLanes) run_row_end(tile, vectors * kLanes, columns % kLanes);
}

template <class T>
void run_row(const Tile<T>& tile, int64_t columns) {
  constexpr int kLanes = Piece<T>::kLanes;
  if (columns > kRowVectors * kLanes && tile.k > 0) return run_wide_row(tile, columns);
  int64_t column = 0;
  for (; columns - column >= kRowVectors * kLanes; column += kRowVectors * kLanes) run_row_piece<T, kRowVectors>(tile, column);
  for (; columns - column >= 4 * kLanes; column += 4 * kLanes) run_row_piece<T, 4>(tile, column);
  for (; columns - column >= kLanes; column += kLanes) run_row_piece<T, 1>(tile, column);
  if (column < columns) run_row_end(tile, column, columns - column);
}

// One register of C from B^T, whose rows are `ldb` apart.
template <class T>
__attribute__((noinline)) void run_transposed_piece(const Tile<T>& tile, int64_t column, int64_t columns) {
  constexpr int kSide = Piece<T>::kLanes;
  Piece<T> sum, va, r[kSide];
  native::splat(sum, T(0));
  const T* a = tile.a;
  const T* b = tile.b + column * tile.ldb;
  const int64_t a_col = tile.a_col, ldb = tile.ldb;
  int64_t left = tile.k;
  if (columns >= kSide) {
    for (; left >= kSide; left -= kSide, b += kSide) {
      load_transposed(b, ldb, int64_t{kSide}, int64_t{kSide}, r);
#pragma GCC unroll 16
      for (int i = 0; i < kSide; ++i, a += a_col) {
        native::splat(va, *a);
        sum = native::fma(va, r[i], sum);
      }
    }
  }
  for (; left > 0; left -= kSide, b += kSide) {
    load_transposed(b, ldb, columns, left, r);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i, a += a_col) {
      if (i >= left) break;
      native::splat(va, *a);
      sum = native::fma(va, r[i], sum);
    }
  }
  finish_row(tile, column, columns, sum);
}

template <class T>
void run_transposed_row(const Tile<T>& tile, int64_t columns) {
  constexpr int kSide = Piece<T>::kLanes;
  int64_t column = 0;
  for (; column + kSide <= columns; column += kSide) run_transposed_piece(tile, column, int64_t{kSide});
  if (column < columns) run_transposed_piece(tile, column, columns - column);
}

}  // namespace
}  // namespace nnlite::NN_ISA
