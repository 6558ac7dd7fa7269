// Registers of the AVX2 + FMA build: a vector is a pair of ymm. Only `vec.h` includes this file.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace nnlite::NN_ISA::native {

struct M32 {
  __m256 r;
  static constexpr int kLanes = 8;
};
struct M64 {
  __m256d r;
  static constexpr int kLanes = 4;
};
struct F32 {
  __m256 r;
  static constexpr int kLanes = 8;
};
struct F64 {
  __m256d r;
  static constexpr int kLanes = 4;
};
struct I32 {
  __m256i r;
  static constexpr int kLanes = 8;
};
struct I64 {
  __m256i r;
  static constexpr int kLanes = 4;
};

// The first n of 8 (or 4) lanes set; n may be below 0 or above the lane count.
NN_INLINE __m256i first8(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
NN_INLINE __m256i first4(int n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }

// Memory.
NN_INLINE void load(F32& v, const float* p) { v.r = _mm256_loadu_ps(p); }
NN_INLINE void load(F64& v, const double* p) { v.r = _mm256_loadu_pd(p); }
NN_INLINE void load(I32& v, const int32_t* p) { v.r = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
NN_INLINE void load(I64& v, const int64_t* p) { v.r = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
NN_INLINE void load_part(F32& v, const float* p, int n) { v.r = _mm256_maskload_ps(p, first8(n)); }
NN_INLINE void load_part(F64& v, const double* p, int n) { v.r = _mm256_maskload_pd(p, first4(n)); }
NN_INLINE void load_part(I32& v, const int32_t* p, int n) { v.r = _mm256_maskload_epi32(p, first8(n)); }
NN_INLINE void load_part(I64& v, const int64_t* p, int n) { v.r = _mm256_maskload_epi64(reinterpret_cast<const long long*>(p), first4(n)); }
NN_INLINE void store(float* p, F32 v) { _mm256_storeu_ps(p, v.r); }
NN_INLINE void store(double* p, F64 v) { _mm256_storeu_pd(p, v.r); }
NN_INLINE void store(int32_t* p, I32 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.r); }
NN_INLINE void store(int64_t* p, I64 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.r); }
NN_INLINE void store_part(float* p, F32 v, int n) { _mm256_maskstore_ps(p, first8(n), v.r); }
NN_INLINE void store_part(double* p, F64 v, int n) { _mm256_maskstore_pd(p, first4(n), v.r); }
NN_INLINE void store_part(int32_t* p, I32 v, int n) { _mm256_maskstore_epi32(p, first8(n), v.r); }
NN_INLINE void store_part(int64_t* p, I64 v, int n) { _mm256_maskstore_epi64(reinterpret_cast<long long*>(p), first4(n), v.r); }
NN_INLINE void stream(float* p, F32 v) { _mm256_stream_ps(p, v.r); }
NN_INLINE void stream(double* p, F64 v) { _mm256_stream_pd(p, v.r); }
NN_INLINE void load_u8(I32& v, const uint8_t* p) { v.r = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
NN_INLINE void load_i8(I32& v, const int8_t* p) { v.r = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
NN_INLINE void load_u16(I32& v, const uint16_t* p) { v.r = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
NN_INLINE void store_u8(uint8_t* p, I32 v) {
  const __m256i low = _mm256_and_si256(v.r, _mm256_set1_epi32(0xff));
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}
NN_INLINE void store_u16(uint16_t* p, I32 v) {
  const __m256i low = _mm256_and_si256(v.r, _mm256_set1_epi32(0xffff));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
}

NN_INLINE void splat(F32& v, float x) { v.r = _mm256_set1_ps(x); }
NN_INLINE void splat(F64& v, double x) { v.r = _mm256_set1_pd(x); }
NN_INLINE void splat(I32& v, int32_t x) { v.r = _mm256_set1_epi32(x); }
NN_INLINE void splat(I64& v, int64_t x) { v.r = _mm256_set1_epi64x(x); }

// Floating point arithmetic.
NN_INLINE F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.r, b.r)}; }
NN_INLINE F64 add(F64 a, F64 b) { return {_mm256_add_pd(a.r, b.r)}; }
NN_INLINE F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.r, b.r)}; }
NN_INLINE F64 sub(F64 a, F64 b) { return {_mm256_sub_pd(a.r, b.r)}; }
NN_INLINE F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.r, b.r)}; }
NN_INLINE F64 mul(F64 a, F64 b) { return {_mm256_mul_pd(a.r, b.r)}; }
NN_INLINE F32 div(F32 a, F32 b) { return {_mm256_div_ps(a.r, b.r)}; }
NN_INLINE F64 div(F64 a, F64 b) { return {_mm256_div_pd(a.r, b.r)}; }
NN_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.r, b.r, c.r)}; }
NN_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm256_fmadd_pd(a.r, b.r, c.r)}; }
NN_INLINE F32 fms(F32 a, F32 b, F32 c) { return {_mm256_fmsub_ps(a.r, b.r, c.r)}; }
NN_INLINE F64 fms(F64 a, F64 b, F64 c) { return {_mm256_fmsub_pd(a.r, b.r, c.r)}; }
NN_INLINE F32 fnma(F32 a, F32 b, F32 c) { return {_mm256_fnmadd_ps(a.r, b.r, c.r)}; }
NN_INLINE F64 fnma(F64 a, F64 b, F64 c) { return {_mm256_fnmadd_pd(a.r, b.r, c.r)}; }
NN_INLINE F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.r, b.r)}; }
NN_INLINE F64 min(F64 a, F64 b) { return {_mm256_min_pd(a.r, b.r)}; }
NN_INLINE F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.r, b.r)}; }
NN_INLINE F64 max(F64 a, F64 b) { return {_mm256_max_pd(a.r, b.r)}; }
NN_INLINE F32 rounded(F32 a) {
  asm("" : "+x"(a.r));
  return a;
}
NN_INLINE F64 rounded(F64 a) {
  asm("" : "+x"(a.r));
  return a;
}
NN_INLINE F32 sqrt(F32 a) { return {_mm256_sqrt_ps(a.r)}; }
NN_INLINE F64 sqrt(F64 a) { return {_mm256_sqrt_pd(a.r)}; }
NN_INLINE F32 floor(F32 a) { return {_mm256_round_ps(a.r, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 floor(F64 a) { return {_mm256_round_pd(a.r, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 ceil(F32 a) { return {_mm256_round_ps(a.r, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 ceil(F64 a) { return {_mm256_round_pd(a.r, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 round_even(F32 a) { return {_mm256_round_ps(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 round_even(F64 a) { return {_mm256_round_pd(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 trunc(F32 a) { return {_mm256_round_ps(a.r, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 trunc(F64 a) { return {_mm256_round_pd(a.r, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }

// Bits.
NN_INLINE I32 as_int(F32 a) { return {_mm256_castps_si256(a.r)}; }
NN_INLINE I64 as_int(F64 a) { return {_mm256_castpd_si256(a.r)}; }
NN_INLINE F32 as_float(I32 a) { return {_mm256_castsi256_ps(a.r)}; }
NN_INLINE F64 as_float(I64 a) { return {_mm256_castsi256_pd(a.r)}; }
NN_INLINE I32 bit_and(I32 a, I32 b) { return {_mm256_and_si256(a.r, b.r)}; }
NN_INLINE I64 bit_and(I64 a, I64 b) { return {_mm256_and_si256(a.r, b.r)}; }
NN_INLINE I32 bit_or(I32 a, I32 b) { return {_mm256_or_si256(a.r, b.r)}; }
NN_INLINE I64 bit_or(I64 a, I64 b) { return {_mm256_or_si256(a.r, b.r)}; }
NN_INLINE I32 bit_xor(I32 a, I32 b) { return {_mm256_xor_si256(a.r, b.r)}; }
NN_INLINE I64 bit_xor(I64 a, I64 b) { return {_mm256_xor_si256(a.r, b.r)}; }
template <int n>
NN_INLINE I32 shift_left(I32 a) {
  return {_mm256_slli_epi32(a.r, n)};
}
template <int n>
NN_INLINE I64 shift_left(I64 a) {
  return {_mm256_slli_epi64(a.r, n)};
}
template <int n>
NN_INLINE I32 shift_right(I32 a) {
  return {_mm256_srli_epi32(a.r, n)};
}
template <int n>
NN_INLINE I64 shift_right(I64 a) {
  return {_mm256_srli_epi64(a.r, n)};
}
template <int n>
NN_INLINE I32 shift_right_signed(I32 a) {
  return {_mm256_srai_epi32(a.r, n)};
}

// Integer arithmetic.
NN_INLINE I32 add(I32 a, I32 b) { return {_mm256_add_epi32(a.r, b.r)}; }
NN_INLINE I64 add(I64 a, I64 b) { return {_mm256_add_epi64(a.r, b.r)}; }
NN_INLINE I32 sub(I32 a, I32 b) { return {_mm256_sub_epi32(a.r, b.r)}; }
NN_INLINE I64 sub(I64 a, I64 b) { return {_mm256_sub_epi64(a.r, b.r)}; }
NN_INLINE I32 mul(I32 a, I32 b) { return {_mm256_mullo_epi32(a.r, b.r)}; }
NN_INLINE I32 min(I32 a, I32 b) { return {_mm256_min_epi32(a.r, b.r)}; }
NN_INLINE I32 max(I32 a, I32 b) { return {_mm256_max_epi32(a.r, b.r)}; }

// Conversions.
NN_INLINE I32 round_to_int(F32 a) { return {_mm256_cvtps_epi32(a.r)}; }
NN_INLINE I32 trunc_to_int(F32 a) { return {_mm256_cvttps_epi32(a.r)}; }
NN_INLINE F32 to_float(I32 a) { return {_mm256_cvtepi32_ps(a.r)}; }
NN_INLINE void to_double(F32 a, F64& lo, F64& hi) {
  lo.r = _mm256_cvtps_pd(_mm256_castps256_ps128(a.r));
  hi.r = _mm256_cvtps_pd(_mm256_extractf128_ps(a.r, 1));
}
NN_INLINE void to_single(F32& v, F64 lo, F64 hi) { v.r = _mm256_set_m128(_mm256_cvtpd_ps(hi.r), _mm256_cvtpd_ps(lo.r)); }

// Comparisons and masks.
NN_INLINE M32 eq(F32 a, F32 b) { return {_mm256_cmp_ps(a.r, b.r, _CMP_EQ_OQ)}; }
NN_INLINE M64 eq(F64 a, F64 b) { return {_mm256_cmp_pd(a.r, b.r, _CMP_EQ_OQ)}; }
NN_INLINE M32 ne(F32 a, F32 b) { return {_mm256_cmp_ps(a.r, b.r, _CMP_NEQ_UQ)}; }
NN_INLINE M64 ne(F64 a, F64 b) { return {_mm256_cmp_pd(a.r, b.r, _CMP_NEQ_UQ)}; }
NN_INLINE M32 lt(F32 a, F32 b) { return {_mm256_cmp_ps(a.r, b.r, _CMP_LT_OQ)}; }
NN_INLINE M64 lt(F64 a, F64 b) { return {_mm256_cmp_pd(a.r, b.r, _CMP_LT_OQ)}; }
NN_INLINE M32 le(F32 a, F32 b) { return {_mm256_cmp_ps(a.r, b.r, _CMP_LE_OQ)}; }
NN_INLINE M64 le(F64 a, F64 b) { return {_mm256_cmp_pd(a.r, b.r, _CMP_LE_OQ)}; }
NN_INLINE M32 eq(I32 a, I32 b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.r, b.r))}; }
NN_INLINE M32 lt(I32 a, I32 b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.r, a.r))}; }
NN_INLINE M64 eq(I64 a, I64 b) { return {_mm256_castsi256_pd(_mm256_cmpeq_epi64(a.r, b.r))}; }
NN_INLINE M64 lt(I64 a, I64 b) { return {_mm256_castsi256_pd(_mm256_cmpgt_epi64(b.r, a.r))}; }
NN_INLINE M32 mask_and(M32 a, M32 b) { return {_mm256_and_ps(a.r, b.r)}; }
NN_INLINE M64 mask_and(M64 a, M64 b) { return {_mm256_and_pd(a.r, b.r)}; }
NN_INLINE M32 mask_or(M32 a, M32 b) { return {_mm256_or_ps(a.r, b.r)}; }
NN_INLINE M64 mask_or(M64 a, M64 b) { return {_mm256_or_pd(a.r, b.r)}; }
NN_INLINE M32 mask_not(M32 a) { return {_mm256_xor_ps(a.r, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
NN_INLINE M64 mask_not(M64 a) { return {_mm256_xor_pd(a.r, _mm256_castsi256_pd(_mm256_set1_epi32(-1)))}; }
NN_INLINE uint32_t bits(M32 a) { return static_cast<uint32_t>(_mm256_movemask_ps(a.r)); }
NN_INLINE uint32_t bits(M64 a) { return static_cast<uint32_t>(_mm256_movemask_pd(a.r)); }
NN_INLINE F32 select(M32 m, F32 a, F32 b) { return {_mm256_blendv_ps(b.r, a.r, m.r)}; }
NN_INLINE F64 select(M64 m, F64 a, F64 b) { return {_mm256_blendv_pd(b.r, a.r, m.r)}; }
NN_INLINE I32 select(M32 m, I32 a, I32 b) { return {_mm256_blendv_epi8(b.r, a.r, _mm256_castps_si256(m.r))}; }
NN_INLINE I64 select(M64 m, I64 a, I64 b) { return {_mm256_blendv_epi8(b.r, a.r, _mm256_castpd_si256(m.r))}; }
NN_INLINE void load_mask(M32& m, const uint8_t* p) {
  I32 b;
  load_u8(b, p);
  m.r = _mm256_castsi256_ps(_mm256_cmpgt_epi32(b.r, _mm256_setzero_si256()));
}
NN_INLINE void load_mask(M64& m, const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, 4);
  m.r = _mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four)), _mm256_setzero_si256()));
}
NN_INLINE void store_mask(uint8_t* p, M32 m) { store_u8(p, I32{_mm256_srli_epi32(_mm256_castps_si256(m.r), 31)}); }
NN_INLINE void store_mask(uint8_t* p, M64 m) {
  const __m256i ones = _mm256_srli_epi64(_mm256_castpd_si256(m.r), 63);
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(ones), _mm256_extracti128_si256(ones, 1));
  const int32_t four = _mm_cvtsi128_si32(_mm_shuffle_epi8(words, _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)));
  memcpy(p, &four, 4);
}

// Reductions of one register: lane i with lane i + half, again and again.
#define NN_FOLD32(name, OP)                                                                      \
  NN_INLINE float name(F32 a) {                                                                  \
    const __m128 x4 = _mm_##OP##_ps(_mm256_castps256_ps128(a.r), _mm256_extractf128_ps(a.r, 1)); \
    const __m128 x2 = _mm_##OP##_ps(x4, _mm_movehl_ps(x4, x4));                                  \
    return _mm_cvtss_f32(_mm_##OP##_ps(x2, _mm_movehdup_ps(x2)));                                \
  }
#define NN_FOLD64(name, OP)                                                                       \
  NN_INLINE double name(F64 a) {                                                                  \
    const __m128d x2 = _mm_##OP##_pd(_mm256_castpd256_pd128(a.r), _mm256_extractf128_pd(a.r, 1)); \
    return _mm_cvtsd_f64(_mm_##OP##_pd(x2, _mm_unpackhi_pd(x2, x2)));                             \
  }
NN_FOLD32(reduce_add, add)
NN_FOLD32(reduce_max, max)
NN_FOLD32(reduce_min, min)
NN_FOLD64(reduce_add, add)
NN_FOLD64(reduce_max, max)
NN_FOLD64(reduce_min, min)
#undef NN_FOLD32
#undef NN_FOLD64

template <class H>
struct Pair;
using VecF32 = Pair<F32>;
using VecF64 = Pair<F64>;
using VecI32 = Pair<I32>;
using VecI64 = Pair<I64>;
using MaskV32 = Pair<M32>;
using MaskV64 = Pair<M64>;

}  // namespace nnlite::NN_ISA::native
