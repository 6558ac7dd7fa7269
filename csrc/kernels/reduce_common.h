// Sums of runs and of rows, in an order that depends on their lengths only.
#pragma once
#include "simd/vec.h"

namespace nnlite::NN_ISA {

constexpr int64_t kSumPiece = 1024;  // elements added in single precision, 16 in a lane

// Sum of n elements: 4 vectors of lanes for every piece, the pieces in double.
template <class T>
NN_INLINE double sum_run(const T* x, int64_t n) {
  constexpr int L = Vec<T>::kLanes;
  double total = 0;
  while (n > 0) {
    int64_t m = n < kSumPiece ? n : kSumPiece;
    n -= m;
    Vec<T> a = Vec<T>::zero(), b = a, c = a, d = a;
    for (; m >= 4 * L; m -= 4 * L, x += 4 * L) {
      a += load(x);
      b += load(x + L);
      c += load(x + 2 * L);
      d += load(x + 3 * L);
    }
    for (; m >= L; m -= L, x += L) a += load(x);
    if (m > 0) b += load_part(x, static_cast<int>(m));
    x += m;
    total += static_cast<double>(reduce_add((a + b) + (c + d)));
  }
  return total;
}

// acc[j] += the sum over `rows` rows of x, which are `stride` elements apart, for j < width.
template <class T>
NN_INLINE void add_rows(T* acc, const T* x, int64_t rows, int64_t stride, int64_t width) {
  constexpr int L = Vec<T>::kLanes;
  for (; width >= 4 * L; width -= 4 * L, x += 4 * L, acc += 4 * L) {
    Vec<T> a = Vec<T>::zero(), b = a, c = a, d = a;
    const T* row = x;
    for (int64_t i = 0; i < rows; ++i, row += stride) {
      a += load(row);
      b += load(row + L);
      c += load(row + 2 * L);
      d += load(row + 3 * L);
    }
    store(acc, load(acc) + a);
    store(acc + L, load(acc + L) + b);
    store(acc + 2 * L, load(acc + 2 * L) + c);
    store(acc + 3 * L, load(acc + 3 * L) + d);
  }
  for (; width > 0; width -= L, x += L, acc += L) {
    const int n = width < L ? static_cast<int>(width) : L;
    Vec<T> a = Vec<T>::zero(), b = a;
    const T* row = x;
    int64_t i = 0;
    for (; i + 2 <= rows; i += 2, row += 2 * stride) {
      a += load_part(row, n);
      b += load_part(row + stride, n);
    }
    if (i < rows) a += load_part(row, n);
    store_part(acc, load_part(acc, n) + (a + b), n);
  }
}

}  // namespace nnlite::NN_ISA
