// Registers of the baseline x86-64 build (SSE4.2): a vector is four xmm. Only `vec.h` includes this file.
// There is no fused multiply-add here: fma rounds the product, then the sum.
#pragma once
#include <nmmintrin.h>

#include <cstdint>
#include <cstring>

namespace nnlite::NN_ISA::native {

struct M32 {
  __m128 r;
  static constexpr int kLanes = 4;
};
struct M64 {
  __m128d r;
  static constexpr int kLanes = 2;
};
struct F32 {
  __m128 r;
  static constexpr int kLanes = 4;
};
struct F64 {
  __m128d r;
  static constexpr int kLanes = 2;
};
struct I32 {
  __m128i r;
  static constexpr int kLanes = 4;
};
struct I64 {
  __m128i r;
  static constexpr int kLanes = 2;
};

// Memory. In the part forms n may be below 0 or above the lane count.
NN_INLINE void load(F32& v, const float* p) { v.r = _mm_loadu_ps(p); }
NN_INLINE void load(F64& v, const double* p) { v.r = _mm_loadu_pd(p); }
NN_INLINE void load(I32& v, const int32_t* p) { v.r = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
NN_INLINE void load(I64& v, const int64_t* p) { v.r = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
NN_INLINE void load_part(F32& v, const float* p, int n) {
  if (n >= 4) {
    v.r = _mm_loadu_ps(p);
  } else if (n == 3) {
    v.r = _mm_movelh_ps(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), _mm_load_ss(p + 2));
  } else if (n == 2) {
    v.r = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  } else if (n == 1) {
    v.r = _mm_load_ss(p);
  } else {
    v.r = _mm_setzero_ps();
  }
}
NN_INLINE void load_part(F64& v, const double* p, int n) { v.r = n >= 2 ? _mm_loadu_pd(p) : n == 1 ? _mm_load_sd(p) : _mm_setzero_pd(); }
NN_INLINE void load_part(I32& v, const int32_t* p, int n) {
  F32 f;
  load_part(f, reinterpret_cast<const float*>(p), n);
  v.r = _mm_castps_si128(f.r);
}
NN_INLINE void load_part(I64& v, const int64_t* p, int n) {
  F64 f;
  load_part(f, reinterpret_cast<const double*>(p), n);
  v.r = _mm_castpd_si128(f.r);
}
NN_INLINE void store(float* p, F32 v) { _mm_storeu_ps(p, v.r); }
NN_INLINE void store(double* p, F64 v) { _mm_storeu_pd(p, v.r); }
NN_INLINE void store(int32_t* p, I32 v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v.r); }
NN_INLINE void store(int64_t* p, I64 v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v.r); }
NN_INLINE void store_part(float* p, F32 v, int n) {
  if (n >= 4) {
    _mm_storeu_ps(p, v.r);
    return;
  }
  if (n >= 2) _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_castps_si128(v.r));
  if (n == 3) _mm_store_ss(p + 2, _mm_movehl_ps(v.r, v.r));
  if (n == 1) _mm_store_ss(p, v.r);
}
NN_INLINE void store_part(double* p, F64 v, int n) {
  if (n >= 2) _mm_storeu_pd(p, v.r);
  if (n == 1) _mm_store_sd(p, v.r);
}
NN_INLINE void store_part(int32_t* p, I32 v, int n) { store_part(reinterpret_cast<float*>(p), F32{_mm_castsi128_ps(v.r)}, n); }
NN_INLINE void store_part(int64_t* p, I64 v, int n) { store_part(reinterpret_cast<double*>(p), F64{_mm_castsi128_pd(v.r)}, n); }
NN_INLINE void stream(float* p, F32 v) { _mm_stream_ps(p, v.r); }
NN_INLINE void stream(double* p, F64 v) { _mm_stream_pd(p, v.r); }
NN_INLINE __m128i load_four(const void* p) {
  int32_t four;
  memcpy(&four, p, 4);
  return _mm_cvtsi32_si128(four);
}
NN_INLINE void store_four(void* p, __m128i v) {
  const int32_t four = _mm_cvtsi128_si32(v);
  memcpy(p, &four, 4);
}
NN_INLINE void load_u8(I32& v, const uint8_t* p) { v.r = _mm_cvtepu8_epi32(load_four(p)); }
NN_INLINE void load_i8(I32& v, const int8_t* p) { v.r = _mm_cvtepi8_epi32(load_four(p)); }
NN_INLINE void load_u16(I32& v, const uint16_t* p) { v.r = _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
NN_INLINE void store_u8(uint8_t* p, I32 v) {
  store_four(p, _mm_shuffle_epi8(v.r, _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)));
}
NN_INLINE void store_u16(uint16_t* p, I32 v) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_shuffle_epi8(v.r, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1)));
}

NN_INLINE void splat(F32& v, float x) { v.r = _mm_set1_ps(x); }
NN_INLINE void splat(F64& v, double x) { v.r = _mm_set1_pd(x); }
NN_INLINE void splat(I32& v, int32_t x) { v.r = _mm_set1_epi32(x); }
NN_INLINE void splat(I64& v, int64_t x) { v.r = _mm_set1_epi64x(x); }

// Floating point arithmetic.
NN_INLINE F32 add(F32 a, F32 b) { return {_mm_add_ps(a.r, b.r)}; }
NN_INLINE F64 add(F64 a, F64 b) { return {_mm_add_pd(a.r, b.r)}; }
NN_INLINE F32 sub(F32 a, F32 b) { return {_mm_sub_ps(a.r, b.r)}; }
NN_INLINE F64 sub(F64 a, F64 b) { return {_mm_sub_pd(a.r, b.r)}; }
NN_INLINE F32 mul(F32 a, F32 b) { return {_mm_mul_ps(a.r, b.r)}; }
NN_INLINE F64 mul(F64 a, F64 b) { return {_mm_mul_pd(a.r, b.r)}; }
NN_INLINE F32 div(F32 a, F32 b) { return {_mm_div_ps(a.r, b.r)}; }
NN_INLINE F64 div(F64 a, F64 b) { return {_mm_div_pd(a.r, b.r)}; }
NN_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm_add_ps(_mm_mul_ps(a.r, b.r), c.r)}; }
NN_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm_add_pd(_mm_mul_pd(a.r, b.r), c.r)}; }
NN_INLINE F32 fms(F32 a, F32 b, F32 c) { return {_mm_sub_ps(_mm_mul_ps(a.r, b.r), c.r)}; }
NN_INLINE F64 fms(F64 a, F64 b, F64 c) { return {_mm_sub_pd(_mm_mul_pd(a.r, b.r), c.r)}; }
NN_INLINE F32 fnma(F32 a, F32 b, F32 c) { return {_mm_sub_ps(c.r, _mm_mul_ps(a.r, b.r))}; }
NN_INLINE F64 fnma(F64 a, F64 b, F64 c) { return {_mm_sub_pd(c.r, _mm_mul_pd(a.r, b.r))}; }
NN_INLINE F32 min(F32 a, F32 b) { return {_mm_min_ps(a.r, b.r)}; }
NN_INLINE F64 min(F64 a, F64 b) { return {_mm_min_pd(a.r, b.r)}; }
NN_INLINE F32 max(F32 a, F32 b) { return {_mm_max_ps(a.r, b.r)}; }
NN_INLINE F64 max(F64 a, F64 b) { return {_mm_max_pd(a.r, b.r)}; }
NN_INLINE F32 rounded(F32 a) {
  asm("" : "+x"(a.r));
  return a;
}
NN_INLINE F64 rounded(F64 a) {
  asm("" : "+x"(a.r));
  return a;
}
NN_INLINE F32 sqrt(F32 a) { return {_mm_sqrt_ps(a.r)}; }
NN_INLINE F64 sqrt(F64 a) { return {_mm_sqrt_pd(a.r)}; }
NN_INLINE F32 floor(F32 a) { return {_mm_round_ps(a.r, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 floor(F64 a) { return {_mm_round_pd(a.r, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 ceil(F32 a) { return {_mm_round_ps(a.r, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 ceil(F64 a) { return {_mm_round_pd(a.r, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 round_even(F32 a) { return {_mm_round_ps(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 round_even(F64 a) { return {_mm_round_pd(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
NN_INLINE F32 trunc(F32 a) { return {_mm_round_ps(a.r, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
NN_INLINE F64 trunc(F64 a) { return {_mm_round_pd(a.r, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }

// Bits.
NN_INLINE I32 as_int(F32 a) { return {_mm_castps_si128(a.r)}; }
NN_INLINE I64 as_int(F64 a) { return {_mm_castpd_si128(a.r)}; }
NN_INLINE F32 as_float(I32 a) { return {_mm_castsi128_ps(a.r)}; }
NN_INLINE F64 as_float(I64 a) { return {_mm_castsi128_pd(a.r)}; }
NN_INLINE I32 bit_and(I32 a, I32 b) { return {_mm_and_si128(a.r, b.r)}; }
NN_INLINE I64 bit_and(I64 a, I64 b) { return {_mm_and_si128(a.r, b.r)}; }
NN_INLINE I32 bit_or(I32 a, I32 b) { return {_mm_or_si128(a.r, b.r)}; }
NN_INLINE I64 bit_or(I64 a, I64 b) { return {_mm_or_si128(a.r, b.r)}; }
NN_INLINE I32 bit_xor(I32 a, I32 b) { return {_mm_xor_si128(a.r, b.r)}; }
NN_INLINE I64 bit_xor(I64 a, I64 b) { return {_mm_xor_si128(a.r, b.r)}; }
template <int n>
NN_INLINE I32 shift_left(I32 a) {
  return {_mm_slli_epi32(a.r, n)};
}
template <int n>
NN_INLINE I64 shift_left(I64 a) {
  return {_mm_slli_epi64(a.r, n)};
}
template <int n>
NN_INLINE I32 shift_right(I32 a) {
  return {_mm_srli_epi32(a.r, n)};
}
template <int n>
NN_INLINE I64 shift_right(I64 a) {
  return {_mm_srli_epi64(a.r, n)};
}
template <int n>
NN_INLINE I32 shift_right_signed(I32 a) {
  return {_mm_srai_epi32(a.r, n)};
}

// Integer arithmetic.
NN_INLINE I32 add(I32 a, I32 b) { return {_mm_add_epi32(a.r, b.r)}; }
NN_INLINE I64 add(I64 a, I64 b) { return {_mm_add_epi64(a.r, b.r)}; }
NN_INLINE I32 sub(I32 a, I32 b) { return {_mm_sub_epi32(a.r, b.r)}; }
NN_INLINE I64 sub(I64 a, I64 b) { return {_mm_sub_epi64(a.r, b.r)}; }
NN_INLINE I32 mul(I32 a, I32 b) { return {_mm_mullo_epi32(a.r, b.r)}; }
NN_INLINE I32 min(I32 a, I32 b) { return {_mm_min_epi32(a.r, b.r)}; }
NN_INLINE I32 max(I32 a, I32 b) { return {_mm_max_epi32(a.r, b.r)}; }

// Conversions.
NN_INLINE I32 round_to_int(F32 a) { return {_mm_cvtps_epi32(a.r)}; }
NN_INLINE I32 trunc_to_int(F32 a) { return {_mm_cvttps_epi32(a.r)}; }
NN_INLINE F32 to_float(I32 a) { return {_mm_cvtepi32_ps(a.r)}; }
NN_INLINE void to_double(F32 a, F64& lo, F64& hi) {
  lo.r = _mm_cvtps_pd(a.r);
  hi.r = _mm_cvtps_pd(_mm_movehl_ps(a.r, a.r));
}
NN_INLINE void to_single(F32& v, F64 lo, F64 hi) { v.r = _mm_movelh_ps(_mm_cvtpd_ps(lo.r), _mm_cvtpd_ps(hi.r)); }

// Comparisons and masks.
NN_INLINE M32 eq(F32 a, F32 b) { return {_mm_cmpeq_ps(a.r, b.r)}; }
NN_INLINE M64 eq(F64 a, F64 b) { return {_mm_cmpeq_pd(a.r, b.r)}; }
NN_INLINE M32 ne(F32 a, F32 b) { return {_mm_cmpneq_ps(a.r, b.r)}; }
NN_INLINE M64 ne(F64 a, F64 b) { return {_mm_cmpneq_pd(a.r, b.r)}; }
NN_INLINE M32 lt(F32 a, F32 b) { return {_mm_cmplt_ps(a.r, b.r)}; }
NN_INLINE M64 lt(F64 a, F64 b) { return {_mm_cmplt_pd(a.r, b.r)}; }
NN_INLINE M32 le(F32 a, F32 b) { return {_mm_cmple_ps(a.r, b.r)}; }
NN_INLINE M64 le(F64 a, F64 b) { return {_mm_cmple_pd(a.r, b.r)}; }
NN_INLINE M32 eq(I32 a, I32 b) { return {_mm_castsi128_ps(_mm_cmpeq_epi32(a.r, b.r))}; }
NN_INLINE M32 lt(I32 a, I32 b) { return {_mm_castsi128_ps(_mm_cmpgt_epi32(b.r, a.r))}; }
NN_INLINE M64 eq(I64 a, I64 b) { return {_mm_castsi128_pd(_mm_cmpeq_epi64(a.r, b.r))}; }
NN_INLINE M64 lt(I64 a, I64 b) { return {_mm_castsi128_pd(_mm_cmpgt_epi64(b.r, a.r))}; }
NN_INLINE M32 mask_and(M32 a, M32 b) { return {_mm_and_ps(a.r, b.r)}; }
NN_INLINE M64 mask_and(M64 a, M64 b) { return {_mm_and_pd(a.r, b.r)}; }
NN_INLINE M32 mask_or(M32 a, M32 b) { return {_mm_or_ps(a.r, b.r)}; }
NN_INLINE M64 mask_or(M64 a, M64 b) { return {_mm_or_pd(a.r, b.r)}; }
NN_INLINE M32 mask_not(M32 a) { return {_mm_xor_ps(a.r, _mm_castsi128_ps(_mm_set1_epi32(-1)))}; }
NN_INLINE M64 mask_not(M64 a) { return {_mm_xor_pd(a.r, _mm_castsi128_pd(_mm_set1_epi32(-1)))}; }
NN_INLINE uint32_t bits(M32 a) { return static_cast<uint32_t>(_mm_movemask_ps(a.r)); }
NN_INLINE uint32_t bits(M64 a) { return static_cast<uint32_t>(_mm_movemask_pd(a.r)); }
NN_INLINE F32 select(M32 m, F32 a, F32 b) { return {_mm_blendv_ps(b.r, a.r, m.r)}; }
NN_INLINE F64 select(M64 m, F64 a, F64 b) { return {_mm_blendv_pd(b.r, a.r, m.r)}; }
NN_INLINE I32 select(M32 m, I32 a, I32 b) { return {_mm_blendv_epi8(b.r, a.r, _mm_castps_si128(m.r))}; }
NN_INLINE I64 select(M64 m, I64 a, I64 b) { return {_mm_blendv_epi8(b.r, a.r, _mm_castpd_si128(m.r))}; }
NN_INLINE void load_mask(M32& m, const uint8_t* p) { m.r = _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_cvtepu8_epi32(load_four(p)), _mm_setzero_si128())); }
NN_INLINE void load_mask(M64& m, const uint8_t* p) {
  m.r = _mm_castsi128_pd(_mm_set_epi64x(-static_cast<int64_t>(p[1] != 0), -static_cast<int64_t>(p[0] != 0)));
}
NN_INLINE void store_mask(uint8_t* p, M32 m) { store_u8(p, I32{_mm_srli_epi32(_mm_castps_si128(m.r), 31)}); }
NN_INLINE void store_mask(uint8_t* p, M64 m) {
  const uint32_t b = bits(m);
  p[0] = b & 1u;
  p[1] = (b >> 1) & 1u;
}

// Reductions of one register: lane i with lane i + half, again and again.
#define NN_FOLD32(name, OP)                                        \
  NN_INLINE float name(F32 a) {                                    \
    const __m128 x2 = _mm_##OP##_ps(a.r, _mm_movehl_ps(a.r, a.r)); \
    return _mm_cvtss_f32(_mm_##OP##_ps(x2, _mm_movehdup_ps(x2)));  \
  }
#define NN_FOLD64(name, OP) \
  NN_INLINE double name(F64 a) { return _mm_cvtsd_f64(_mm_##OP##_pd(a.r, _mm_unpackhi_pd(a.r, a.r))); }
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
using VecF32 = Pair<Pair<F32>>;
using VecF64 = Pair<Pair<F64>>;
using VecI32 = Pair<Pair<I32>>;
using VecI64 = Pair<Pair<I64>>;
using MaskV32 = Pair<Pair<M32>>;
using MaskV64 = Pair<Pair<M64>>;

}  // namespace nnlite::NN_ISA::native
