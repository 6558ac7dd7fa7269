// Registers of the AVX-512 build: one zmm each. Only `vec.h` includes this file.
#pragma once
// GCC 12 warns about the undefined pass-through operands inside its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

namespace nnlite::NN_ISA::native {

struct M32 {
  __mmask16 r;
  static constexpr int kLanes = 16;
};
struct M64 {
  __mmask8 r;
  static constexpr int kLanes = 8;
};
struct F32 {
  __m512 r;
  static constexpr int kLanes = 16;
};
struct F64 {
  __m512d r;
  static constexpr int kLanes = 8;
};
struct I32 {
  __m512i r;
  static constexpr int kLanes = 16;
};
struct I64 {
  __m512i r;
  static constexpr int kLanes = 8;
};

NN_INLINE __mmask16 first16(int n) { return static_cast<__mmask16>(_bzhi_u32(0xffffu, static_cast<unsigned>(n))); }
NN_INLINE __mmask8 first8(int n) { return static_cast<__mmask8>(_bzhi_u32(0xffu, static_cast<unsigned>(n))); }

// Memory.
NN_INLINE void load(F32& v, const float* p) { v.r = _mm512_loadu_ps(p); }
NN_INLINE void load(F64& v, const double* p) { v.r = _mm512_loadu_pd(p); }
NN_INLINE void load(I32& v, const int32_t* p) { v.r = _mm512_loadu_si512(p); }
NN_INLINE void load(I64& v, const int64_t* p) { v.r = _mm512_loadu_si512(p); }
NN_INLINE void load_part(F32& v, const float* p, int n) { v.r = _mm512_maskz_loadu_ps(first16(n), p); }
NN_INLINE void load_part(F64& v, const double* p, int n) { v.r = _mm512_maskz_loadu_pd(first8(n), p); }
NN_INLINE void load_part(I32& v, const int32_t* p, int n) { v.r = _mm512_maskz_loadu_epi32(first16(n), p); }
NN_INLINE void load_part(I64& v, const int64_t* p, int n) { v.r = _mm512_maskz_loadu_epi64(first8(n), p); }
NN_INLINE void store(float* p, F32 v) { _mm512_storeu_ps(p, v.r); }
NN_INLINE void store(double* p, F64 v) { _mm512_storeu_pd(p, v.r); }
NN_INLINE void store(int32_t* p, I32 v) { _mm512_storeu_si512(p, v.r); }
NN_INLINE void store(int64_t* p, I64 v) { _mm512_storeu_si512(p, v.r); }
NN_INLINE void store_part(float* p, F32 v, int n) { _mm512_mask_storeu_ps(p, first16(n), v.r); }
NN_INLINE void store_part(double* p, F64 v, int n) { _mm512_mask_storeu_pd(p, first8(n), v.r); }
NN_INLINE void store_part(int32_t* p, I32 v, int n) { _mm512_mask_storeu_epi32(p, first16(n), v.r); }
NN_INLINE void store_part(int64_t* p, I64 v, int n) { _mm512_mask_storeu_epi64(p, first8(n), v.r); }
NN_INLINE void stream(float* p, F32 v) { _mm512_stream_ps(p, v.r); }
NN_INLINE void stream(double* p, F64 v) { _mm512_stream_pd(p, v.r); }
NN_INLINE void load_u8(I32& v, const uint8_t* p) { v.r = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
NN_INLINE void load_i8(I32& v, const int8_t* p) { v.r = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
NN_INLINE void load_u16(I32& v, const uint16_t* p) { v.r = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
NN_INLINE void store_u8(uint8_t* p, I32 v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v.r)); }
NN_INLINE void store_u16(uint16_t* p, I32 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(v.r)); }

NN_INLINE void splat(F32& v, float x) { v.r = _mm512_set1_ps(x); }
NN_INLINE void splat(F64& v, double x) { v.r = _mm512_set1_pd(x); }
NN_INLINE void splat(I32& v, int32_t x) { v.r = _mm512_set1_epi32(x); }
NN_INLINE void splat(I64& v, int64_t x) { v.r = _mm512_set1_epi64(x); }

// Floating point arithmetic.
NN_INLINE F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.r, b.r)}; }
NN_INLINE F64 add(F64 a, F64 b) { return {_mm512_add_pd(a.r, b.r)}; }
NN_INLINE F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.r, b.r)}; }
NN_INLINE F64 sub(F64 a, F64 b) { return {_mm512_sub_pd(a.r, b.r)}; }
NN_INLINE F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.r, b.r)}; }
NN_INLINE F64 mul(F64 a, F64 b) { return {_mm512_mul_pd(a.r, b.r)}; }
NN_INLINE F32 div(F32 a, F32 b) { return {_mm512_div_ps(a.r, b.r)}; }
NN_INLINE F64 div(F64 a, F64 b) { return {_mm512_div_pd(a.r, b.r)}; }
NN_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.r, b.r, c.r)}; }
NN_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm512_fmadd_pd(a.r, b.r, c.r)}; }
NN_INLINE F32 fms(F32 a, F32 b, F32 c) { return {_mm512_fmsub_ps(a.r, b.r, c.r)}; }
NN_INLINE F64 fms(F64 a, F64 b, F64 c) { return {_mm512_fmsub_pd(a.r, b.r, c.r)}; }
NN_INLINE F32 fnma(F32 a, F32 b, F32 c) { return {_mm512_fnmadd_ps(a.r, b.r, c.r)}; }
NN_INLINE F64 fnma(F64 a, F64 b, F64 c) { return {_mm512_fnmadd_pd(a.r, b.r, c.r)}; }
NN_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.r, b.r)}; }
NN_INLINE F64 min(F64 a, F64 b) { return {_mm512_min_pd(a.r, b.r)}; }
NN_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.r, b.r)}; }
NN_INLINE F64 max(F64 a, F64 b) { return {_mm512_max_pd(a.r, b.r)}; }
NN_INLINE F32 rounded(F32 a) {
  asm("" : "+v"(a.r));
  return a;
}
NN_INLINE F64 rounded(F64 a) {
  asm("" : "+v"(a.r));
  return a;
}
NN_INLINE F32 sqrt(F32 a) { return {_mm512_sqrt_ps(a.r)}; }
NN_INLINE F64 sqrt(F64 a) { return {_mm512_sqrt_pd(a.r)}; }
NN_INLINE F32 floor(F32 a) { return {_mm512_roundscale_ps(a.r, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 floor(F64 a) { return {_mm512_roundscale_pd(a.r, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 ceil(F32 a) { return {_mm512_roundscale_ps(a.r, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 ceil(F64 a) { return {_mm512_roundscale_pd(a.r, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 round_even(F32 a) { return {_mm512_roundscale_ps(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 round_even(F64 a) { return {_mm512_roundscale_pd(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 trunc(F32 a) { return {_mm512_roundscale_ps(a.r, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 trunc(F64 a) { return {_mm512_roundscale_pd(a.r, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }

// Bits.
NN_INLINE I32 as_int(F32 a) { return {_mm512_castps_si512(a.r)}; }
NN_INLINE I64 as_int(F64 a) { return {_mm512_castpd_si512(a.r)}; }
NN_INLINE F32 as_float(I32 a) { return {_mm512_castsi512_ps(a.r)}; }
NN_INLINE F64 as_float(I64 a) { return {_mm512_castsi512_pd(a.r)}; }
NN_INLINE I32 bit_and(I32 a, I32 b) { return {_mm512_and_si512(a.r, b.r)}; }
NN_INLINE I64 bit_and(I64 a, I64 b) { return {_mm512_and_si512(a.r, b.r)}; }
NN_INLINE I32 bit_or(I32 a, I32 b) { return {_mm512_or_si512(a.r, b.r)}; }
NN_INLINE I64 bit_or(I64 a, I64 b) { return {_mm512_or_si512(a.r, b.r)}; }
NN_INLINE I32 bit_xor(I32 a, I32 b) { return {_mm512_xor_si512(a.r, b.r)}; }
NN_INLINE I64 bit_xor(I64 a, I64 b) { return {_mm512_xor_si512(a.r, b.r)}; }
template <int n>
NN_INLINE I32 shift_left(I32 a) {
  return {_mm512_slli_epi32(a.r, n)};
}
template <int n>
NN_INLINE I64 shift_left(I64 a) {
  return {_mm512_slli_epi64(a.r, n)};
}
template <int n>
NN_INLINE I32 shift_right(I32 a) {
  return {_mm512_srli_epi32(a.r, n)};
}
template <int n>
NN_INLINE I64 shift_right(I64 a) {
  return {_mm512_srli_epi64(a.r, n)};
}
template <int n>
NN_INLINE I32 shift_right_signed(I32 a) {
  return {_mm512_srai_epi32(a.r, n)};
}

// Integer arithmetic.
NN_INLINE I32 add(I32 a, I32 b) { return {_mm512_add_epi32(a.r, b.r)}; }
NN_INLINE I64 add(I64 a, I64 b) { return {_mm512_add_epi64(a.r, b.r)}; }
NN_INLINE I32 sub(I32 a, I32 b) { return {_mm512_sub_epi32(a.r, b.r)}; }
NN_INLINE I64 sub(I64 a, I64 b) { return {_mm512_sub_epi64(a.r, b.r)}; }
NN_INLINE I32 mul(I32 a, I32 b) { return {_mm512_mullo_epi32(a.r, b.r)}; }
NN_INLINE I32 min(I32 a, I32 b) { return {_mm512_min_epi32(a.r, b.r)}; }
NN_INLINE I32 max(I32 a, I32 b) { return {_mm512_max_epi32(a.r, b.r)}; }

// Conversions.
NN_INLINE I32 round_to_int(F32 a) { return {_mm512_cvtps_epi32(a.r)}; }
NN_INLINE I32 trunc_to_int(F32 a) { return {_mm512_cvttps_epi32(a.r)}; }
NN_INLINE F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.r)}; }
NN_INLINE void to_double(F32 a, F64& lo, F64& hi) {
  lo.r = _mm512_cvtps_pd(_mm512_castps512_ps256(a.r));
  hi.r = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.r, 1));
}
NN_INLINE void to_single(F32& v, F64 lo, F64 hi) {
  v.r = _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(lo.r)), _mm512_cvtpd_ps(hi.r), 1);
}

// Comparisons and masks.
NN_INLINE M32 eq(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_EQ_OQ)}; }
NN_INLINE M64 eq(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.r, b.r, _CMP_EQ_OQ)}; }
NN_INLINE M32 ne(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_NEQ_UQ)}; }
NN_INLINE M64 ne(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.r, b.r, _CMP_NEQ_UQ)}; }
NN_INLINE M32 lt(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_LT_OQ)}; }
NN_INLINE M64 lt(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.r, b.r, _CMP_LT_OQ)}; }
NN_INLINE M32 le(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_LE_OQ)}; }
NN_INLINE M64 le(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.r, b.r, _CMP_LE_OQ)}; }
NN_INLINE M32 eq(I32 a, I32 b) { return {_mm512_cmpeq_epi32_mask(a.r, b.r)}; }
NN_INLINE M32 lt(I32 a, I32 b) { return {_mm512_cmplt_epi32_mask(a.r, b.r)}; }
NN_INLINE M64 eq(I64 a, I64 b) { return {_mm512_cmpeq_epi64_mask(a.r, b.r)}; }
NN_INLINE M64 lt(I64 a, I64 b) { return {_mm512_cmplt_epi64_mask(a.r, b.r)}; }
NN_INLINE M32 mask_and(M32 a, M32 b) { return {static_cast<__mmask16>(a.r & b.r)}; }
NN_INLINE M64 mask_and(M64 a, M64 b) { return {static_cast<__mmask8>(a.r & b.r)}; }
NN_INLINE M32 mask_or(M32 a, M32 b) { return {static_cast<__mmask16>(a.r | b.r)}; }
NN_INLINE M64 mask_or(M64 a, M64 b) { return {static_cast<__mmask8>(a.r | b.r)}; }
NN_INLINE M32 mask_not(M32 a) { return {static_cast<__mmask16>(~a.r)}; }
NN_INLINE M64 mask_not(M64 a) { return {static_cast<__mmask8>(~a.r)}; }
NN_INLINE uint32_t bits(M32 a) { return a.r; }
NN_INLINE uint32_t bits(M64 a) { return a.r; }
NN_INLINE F32 select(M32 m, F32 a, F32 b) { return {_mm512_mask_blend_ps(m.r, b.r, a.r)}; }
NN_INLINE F64 select(M64 m, F64 a, F64 b) { return {_mm512_mask_blend_pd(m.r, b.r, a.r)}; }
NN_INLINE I32 select(M32 m, I32 a, I32 b) { return {_mm512_mask_blend_epi32(m.r, b.r, a.r)}; }
NN_INLINE I64 select(M64 m, I64 a, I64 b) { return {_mm512_mask_blend_epi64(m.r, b.r, a.r)}; }
NN_INLINE void load_mask(M32& m, const uint8_t* p) {
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  m.r = _mm_test_epi8_mask(b, b);
}
NN_INLINE void load_mask(M64& m, const uint8_t* p) {
  const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  m.r = static_cast<__mmask8>(_mm_test_epi8_mask(b, b));
}
NN_INLINE void store_mask(uint8_t* p, M32 m) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(m.r, 1)); }
NN_INLINE void store_mask(uint8_t* p, M64 m) { _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(m.r, 1)); }

// Reductions: lane i with lane i + 8, then + 4, + 2, + 1, as at every instruction set.
#define NN_FOLD32(name, OP)                                                                          \
  NN_INLINE float name(F32 a) {                                                                      \
    const __m256 x8 = _mm256_##OP##_ps(_mm512_castps512_ps256(a.r), _mm512_extractf32x8_ps(a.r, 1)); \
    const __m128 x4 = _mm_##OP##_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps(x8, 1));       \
    const __m128 x2 = _mm_##OP##_ps(x4, _mm_movehl_ps(x4, x4));                                      \
    return _mm_cvtss_f32(_mm_##OP##_ps(x2, _mm_movehdup_ps(x2)));                                    \
  }
#define NN_FOLD64(name, OP)                                                                           \
  NN_INLINE double name(F64 a) {                                                                      \
    const __m256d x4 = _mm256_##OP##_pd(_mm512_castpd512_pd256(a.r), _mm512_extractf64x4_pd(a.r, 1)); \
    const __m128d x2 = _mm_##OP##_pd(_mm256_castpd256_pd128(x4), _mm256_extractf128_pd(x4, 1));       \
    return _mm_cvtsd_f64(_mm_##OP##_pd(x2, _mm_unpackhi_pd(x2, x2)));                                 \
  }
NN_FOLD32(reduce_add, add)
NN_FOLD32(reduce_max, max)
NN_FOLD32(reduce_min, min)
NN_FOLD64(reduce_add, add)
NN_FOLD64(reduce_max, max)
NN_FOLD64(reduce_min, min)
#undef NN_FOLD32
#undef NN_FOLD64

using VecF32 = F32;
using VecF64 = F64;
using VecI32 = I32;
using VecI64 = I64;
using MaskV32 = M32;
using MaskV64 = M64;

}  // namespace nnlite::NN_ISA::native
