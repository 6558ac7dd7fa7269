// Bringing parts of B into panels: plain copies of rows, and transposes by square blocks held in registers.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "kernels/gemm_plan.h"
#include "kernels/gemm_tile.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

// Columns of a panel as stored: kPanelColumns, in the last one as many whole multiples as it takes.
NN_INLINE int64_t panel_width(int64_t columns, int64_t panel) {
  return smaller(round_up(columns - panel * kPanelColumns, kPanelMultiple), kPanelColumns);
}

// Transposes a square of registers in place: element j of r[i] changes places with element i of r[j].
#if defined(NN_COMPILE_AVX512)
NN_INLINE void transpose_square(Piece<float>* r) {
  __m512 t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i].r, r[i + 1].r);
    t[i + 1] = _mm512_unpackhi_ps(r[i].r, r[i + 1].r);
  }
  // q[4g + c] holds, in its quarter q, column 4q + c of rows 4g .. 4g + 3.
  __m512 q[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __m512d low = _mm512_castps_pd(t[i + h]), high = _mm512_castps_pd(t[i + 2 + h]);
      q[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      q[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 low01 = _mm512_shuffle_f32x4(q[c], q[4 + c], 0x44), high01 = _mm512_shuffle_f32x4(q[c], q[4 + c], 0xee);
    const __m512 low23 = _mm512_shuffle_f32x4(q[8 + c], q[12 + c], 0x44), high23 = _mm512_shuffle_f32x4(q[8 + c], q[12 + c], 0xee);
    r[c].r = _mm512_shuffle_f32x4(low01, low23, 0x88);
    r[4 + c].r = _mm512_shuffle_f32x4(low01, low23, 0xdd);
    r[8 + c].r = _mm512_shuffle_f32x4(high01, high23, 0x88);
    r[12 + c].r = _mm512_shuffle_f32x4(high01, high23, 0xdd);
  }
}
NN_INLINE void transpose_square(Piece<double>* r) {
  __m512d t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm512_unpacklo_pd(r[i].r, r[i + 1].r);
    t[i + 1] = _mm512_unpackhi_pd(r[i].r, r[i + 1].r);
  }
#pragma GCC unroll 2
  for (int c = 0; c < 2; ++c) {
    const __m512d low01 = _mm512_shuffle_f64x2(t[c], t[2 + c], 0x44), high01 = _mm512_shuffle_f64x2(t[c], t[2 + c], 0xee);
    const __m512d low23 = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0x44), high23 = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0xee);
    r[c].r = _mm512_shuffle_f64x2(low01, low23, 0x88);
    r[2 + c].r = _mm512_shuffle_f64x2(low01, low23, 0xdd);
    r[4 + c].r = _mm512_shuffle_f64x2(high01, high23, 0x88);
    r[6 + c].r = _mm512_shuffle_f64x2(high01, high23, 0xdd);
  }
}
#elif defined(NN_COMPILE_AVX2)
NN_INLINE void transpose_square(Piece<float>* r) {
  __m256 t[8], q[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i].r, r[i + 1].r);
    t[i + 1] = _mm256_unpackhi_ps(r[i].r, r[i + 1].r);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      q[i + 2 * h] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0x44);
      q[i + 2 * h + 1] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0xee);
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    r[c].r = _mm256_permute2f128_ps(q[c], q[4 + c], 0x20);
    r[4 + c].r = _mm256_permute2f128_ps(q[c], q[4 + c], 0x31);
  }
}
NN_INLINE void transpose_square(Piece<double>* r) {
  const __m256d t0 = _mm256_unpacklo_pd(r[0].r, r[1].r), t1 = _mm256_unpackhi_pd(r[0].r, r[1].r);
  const __m256d t2 = _mm256_unpacklo_pd(r[2].r, r[3].r), t3 = _mm256_unpackhi_pd(r[2].r, r[3].r);
  r[0].r = _mm256_permute2f128_pd(t0, t2, 0x20);
  r[1].r = _mm256_permute2f128_pd(t1, t3, 0x20);
  r[2].r = _mm256_permute2f128_pd(t0, t2, 0x31);
  r[3].r = _mm256_permute2f128_pd(t1, t3, 0x31);
}
#elif defined(__x86_64__) && !defined(NN_SIMD_GENERIC)
NN_INLINE void transpose_square(Piece<float>* r) { _MM_TRANSPOSE4_PS(r[0].r, r[1].r, r[2].r, r[3].r); }
NN_INLINE void transpose_square(Piece<double>* r) {
  const __m128d low = _mm_unpacklo_pd(r[0].r, r[1].r);
  r[1].r = _mm_unpackhi_pd(r[0].r, r[1].r);
  r[0].r = low;
}
#else
template <class P>
NN_INLINE void transpose_square(P* r) {
  for (int i = 0; i < P::kLanes; ++i) {
    for (int j = 0; j < i; ++j) {
      const auto t = r[i].r[j];
      r[i].r[j] = r[j].r[i];
      r[j].r[i] = t;
    }
  }
}
#endif

// r[p] becomes elements (0..rows-1, p) of a matrix whose rows are `ld` apart; what lies outside `rows` x `columns` is zero.
template <class T>
NN_INLINE void load_transposed(const T* from, int64_t ld, int64_t rows, int64_t columns, Piece<T>* r) {
  constexpr int kSide = Piece<T>::kLanes;
  if (rows >= kSide && columns >= kSide) {
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) native::load(r[i], from + i * ld);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      native::splat(r[i], T(0));
      if (i < rows) native::load_part(r[i], from + i * ld, static_cast<int>(columns < kSide ? columns : kSide));
    }
  }
  transpose_square(r);
}

// to[p][j] = from[j][p] for `columns` j and `k` p. Columns of `to` are written up to the next whole register, with zeros past `columns`.
template <class T>
void pack_transposed(const T* from, int64_t ld_from, T* to, int64_t ld_to, int64_t columns, int64_t k) {
  constexpr int kSide = Piece<T>::kLanes;
  for (int64_t j = 0; j < columns; j += kSide) {
    for (int64_t p = 0; p < k; p += kSide) {
      Piece<T> r[kSide];
      load_transposed(from + j * ld_from + p, ld_from, columns - j, k - p, r);
      T* out = to + p * ld_to + j;
      if (k - p >= kSide) {
#pragma GCC unroll 16
        for (int i = 0; i < kSide; ++i) native::store(out + i * ld_to, r[i]);
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < kSide; ++i) {
          if (i < k - p) native::store(out + i * ld_to, r[i]);
        }
      }
    }
  }
}

// to[p][j] = from[p][j] for `columns` j and `k` p, and 0 in the columns of `to` from there to `ld_to`, a multiple of 16.
template <class T>
void pack_rows(const T* from, int64_t ld_from, T* to, int64_t ld_to, int64_t columns, int64_t k) {
  constexpr int kLanes = Piece<T>::kLanes;
  const int64_t whole = columns / kLanes * kLanes;
  const int part = static_cast<int>(columns - whole);
  for (int64_t p = 0; p < k; ++p) {
    const T* source = from + p * ld_from;
    T* target = to + p * ld_to;
    Piece<T> v;
    for (int64_t j = 0; j < whole; j += kLanes) {
      native::load(v, source + j);
      native::store(target + j, v);
    }
    if (part) {
      native::load_part(v, source + whole, part);
      native::store(target + whole, v);
    }
    for (int64_t j = part ? whole + kLanes : whole; j < ld_to; ++j) target[j] = T(0);
  }
}

// A^T[depth, rows] in groups of kGroupRows columns: to[group * ld_to + p * kGroupRows + i] = from[p][group * kGroupRows + i]. What follows the last
// column is undefined. `next`: what will be packed after this.
template <class T>
void pack_groups(const T* from, int64_t ld_from, T* to, int64_t ld_to, int64_t rows, int64_t depth, const T* next) {
  constexpr int64_t kBytes = 32, kAhead = 8, kLine = 64 / sizeof(T);
  for (int64_t p = 0; p < depth; ++p, from += ld_from, to += kGroupRows) {
    // Pieces of rows far apart: no hardware sees the next one coming.
    const T* soon = p + kAhead < depth ? from + kAhead * ld_from : next + (p + kAhead - depth) * ld_from;
    for (int64_t i = 0; i < rows; i += kLine) prefetch_l2(soon + i);
    T* group = to;
    int64_t i = 0;
    for (; i + kGroupRows <= rows; i += kGroupRows, group += ld_to) {
#pragma GCC unroll 6
      for (int64_t b = 0; b < kGroupRows * static_cast<int64_t>(sizeof(T)); b += kBytes) {
        __builtin_memcpy(reinterpret_cast<char*>(group) + b, reinterpret_cast<const char*>(from + i) + b, kBytes);
      }
    }
    for (; i < rows; i += Piece<T>::kLanes, group += Piece<T>::kLanes) {
      Piece<T> v;
      const int part = static_cast<int>(smaller(rows - i, Piece<T>::kLanes));
      native::load_part(v, from + i, part);
      native::store_part(group, v, part);
    }
  }
}
}  // namespace
}  // namespace nnlite::NN_ISA
