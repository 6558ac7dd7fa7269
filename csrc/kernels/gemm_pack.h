// Bringing parts of B into panels: plain copies of rows, and transposes by square blocks held in registers.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "kernels/gemm_tile.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

// A square block of `kSide` registers; `load` reads the first `n` elements of a row and fills with zeros, `transpose` works in place.
#if defined(__x86_64__) && !defined(NN_SIMD_GENERIC)
template <class T>
struct Square;
#endif

#if defined(NN_COMPILE_AVX512)
template <>
struct Square<float> {
  using Register = __m512;
  static constexpr int kSide = 16;
  static Register load(const float* p) { return _mm512_loadu_ps(p); }
  static Register load(const float* p, int n) { return _mm512_maskz_loadu_ps(static_cast<__mmask16>(_bzhi_u32(0xffffu, static_cast<unsigned>(n))), p); }
  static void store(float* p, Register r) { _mm512_storeu_ps(p, r); }
  static inline __attribute__((always_inline)) void transpose(Register* r) {
    Register t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const __m512d lo = _mm512_castps_pd(t[i + h]), hi = _mm512_castps_pd(t[i + 2 + h]);
        r[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo, hi));
        r[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo, hi));
      }
    }
    // r[4g + c] now holds column 4q + c of rows 4g..4g+3 in its quarter q.
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const Register low01 = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x44), high01 = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xee);
      const Register low23 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x44), high23 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xee);
      t[c] = _mm512_shuffle_f32x4(low01, low23, 0x88);
      t[4 + c] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
      t[8 + c] = _mm512_shuffle_f32x4(high01, high23, 0x88);
      t[12 + c] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) r[i] = t[i];
  }
};

template <>
struct Square<double> {
  using Register = __m512d;
  static constexpr int kSide = 8;
  static Register load(const double* p) { return _mm512_loadu_pd(p); }
  static Register load(const double* p, int n) { return _mm512_maskz_loadu_pd(static_cast<__mmask8>(_bzhi_u32(0xffu, static_cast<unsigned>(n))), p); }
  static void store(double* p, Register r) { _mm512_storeu_pd(p, r); }
  static inline __attribute__((always_inline)) void transpose(Register* r) {
    Register t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
    }
    // t[2g + c] holds column 2q + c of rows 2g, 2g+1 in its quarter q.
#pragma GCC unroll 2
    for (int c = 0; c < 2; ++c) {
      const Register low01 = _mm512_shuffle_f64x2(t[c], t[2 + c], 0x44), high01 = _mm512_shuffle_f64x2(t[c], t[2 + c], 0xee);
      const Register low23 = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0x44), high23 = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0xee);
      r[c] = _mm512_shuffle_f64x2(low01, low23, 0x88);
      r[2 + c] = _mm512_shuffle_f64x2(low01, low23, 0xdd);
      r[4 + c] = _mm512_shuffle_f64x2(high01, high23, 0x88);
      r[6 + c] = _mm512_shuffle_f64x2(high01, high23, 0xdd);
    }
  }
};
#elif defined(NN_COMPILE_AVX2)
template <>
struct Square<float> {
  using Register = __m256;
  static constexpr int kSide = 8;
  static Register load(const float* p) { return _mm256_loadu_ps(p); }
  static Register load(const float* p, int n) {
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
  }
  static void store(float* p, Register r) { _mm256_storeu_ps(p, r); }
  static inline __attribute__((always_inline)) void transpose(Register* r) {
    Register t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    Register u[8];
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        u[i + 2 * h] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0x44);
        u[i + 2 * h + 1] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0xee);
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
      r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
    }
  }
};

template <>
struct Square<double> {
  using Register = __m256d;
  static constexpr int kSide = 4;
  static Register load(const double* p) { return _mm256_loadu_pd(p); }
  static Register load(const double* p, int n) {
    return _mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)));
  }
  static void store(double* p, Register r) { _mm256_storeu_pd(p, r); }
  static inline __attribute__((always_inline)) void transpose(Register* r) {
    const Register t0 = _mm256_unpacklo_pd(r[0], r[1]), t1 = _mm256_unpackhi_pd(r[0], r[1]);
    const Register t2 = _mm256_unpacklo_pd(r[2], r[3]), t3 = _mm256_unpackhi_pd(r[2], r[3]);
    r[0] = _mm256_permute2f128_pd(t0, t2, 0x20);
    r[1] = _mm256_permute2f128_pd(t1, t3, 0x20);
    r[2] = _mm256_permute2f128_pd(t0, t2, 0x31);
    r[3] = _mm256_permute2f128_pd(t1, t3, 0x31);
  }
};
#elif defined(__x86_64__) && !defined(NN_SIMD_GENERIC)
template <>
struct Square<float> {
  using Register = __m128;
  static constexpr int kSide = 4;
  static Register load(const float* p) { return _mm_loadu_ps(p); }
  static Register load(const float* p, int n) { return _mm_setr_ps(p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0); }
  static void store(float* p, Register r) { _mm_storeu_ps(p, r); }
  static inline __attribute__((always_inline)) void transpose(Register* r) { _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]); }
};

template <>
struct Square<double> {
  using Register = __m128d;
  static constexpr int kSide = 2;
  static Register load(const double* p) { return _mm_loadu_pd(p); }
  static Register load(const double* p, int n) { return _mm_setr_pd(p[0], n > 1 ? p[1] : 0); }
  static void store(double* p, Register r) { _mm_storeu_pd(p, r); }
  static inline __attribute__((always_inline)) void transpose(Register* r) {
    const Register low = _mm_unpacklo_pd(r[0], r[1]);
    r[1] = _mm_unpackhi_pd(r[0], r[1]);
    r[0] = low;
  }
};
#else
template <class T>
struct Square {
  static constexpr int kSide = 4;
  struct Register {
    T lane[kSide];
  };
  static Register load(const T* p) { return load(p, kSide); }
  static Register load(const T* p, int n) {
    Register r = {};
    for (int i = 0; i < n && i < kSide; ++i) r.lane[i] = p[i];
    return r;
  }
  static void store(T* p, Register r) {
    for (int i = 0; i < kSide; ++i) p[i] = r.lane[i];
  }
  static void transpose(Register* r) {
    for (int i = 0; i < kSide; ++i) {
      for (int j = 0; j < i; ++j) {
        const T t = r[i].lane[j];
        r[i].lane[j] = r[j].lane[i];
        r[j].lane[i] = t;
      }
    }
  }
};
#endif

// to[p][j] = from[j][p] for `columns` j and `k` p. Columns of `to` are written up to the next multiple of kSide, with zeros past
// `columns`.
template <class T>
void pack_transposed(const T* from, int64_t ld_from, T* to, int64_t ld_to, int64_t columns, int64_t k) {
  using S = Square<T>;
  constexpr int kSide = S::kSide;
  for (int64_t j = 0; j < columns; j += kSide) {
    const int64_t rows = columns - j < kSide ? columns - j : kSide;
    const T* row = from + j * ld_from;
    T* out = to + j;
    int64_t p = 0;
    if (rows == kSide) {
      for (; p + kSide <= k; p += kSide) {
        typename S::Register r[kSide];
#pragma GCC unroll 16
        for (int i = 0; i < kSide; ++i) r[i] = S::load(row + i * ld_from + p);
        S::transpose(r);
#pragma GCC unroll 16
        for (int i = 0; i < kSide; ++i) S::store(out + (p + i) * ld_to, r[i]);
      }
    }
    for (; p < k; p += kSide) {
      const int count = static_cast<int>(k - p < kSide ? k - p : kSide);
      typename S::Register r[kSide];
#pragma GCC unroll 16
      for (int i = 0; i < kSide; ++i) r[i] = i < rows ? S::load(row + i * ld_from + p, count) : typename S::Register{};
      S::transpose(r);
#pragma GCC unroll 16
      for (int i = 0; i < kSide; ++i) {
        if (i < count) S::store(out + (p + i) * ld_to, r[i]);
      }
    }
  }
}

// to[p][j] = from[p][j] for `columns` j and `k` p. Columns of `to` are written up to the next whole register, with zeros past `columns`.
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
  }
}
}  // namespace
}  // namespace nnlite::NN_ISA
