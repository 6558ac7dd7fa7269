// Vectors for per-ISA files. Vec<float> and Vec<int32_t> hold 16 lanes, Vec<double> and Vec<int64_t> 8, at every instruction set: one zmm, two
// ymm, four xmm or plain arrays. The same source therefore does the same operations in the same order everywhere; AVX2 and AVX-512
// (both with a fused multiply-add) give the same bits. The baseline has no fused multiply-add: there fma rounds twice.
//
//   Vec<float> acc = Vec<float>::zero();
//   for (; n >= 16; n -= 16, x += 16) acc = fma(load(x), load(y), acc);
//   if (n > 0) acc = fma(load_part(x, n), load_part(y, n), acc);   // tails: parts, never scalar loops
//   float dot = reduce_add(acc);
//
// Everything is static and always inlined: no symbol leaves the file. Write fma() where a product is added: a bare a * b + c may or may not
// be contracted by the compiler.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/cpu.h"

#define NN_ALWAYS inline __attribute__((always_inline))
#define NN_INLINE [[maybe_unused]] static NN_ALWAYS

// NN_UNROLL(n) before a loop unrolls it, NN_LONG marks functions worth a copy at every call, and NN_SMALL_CODE is 1 where fewer variants of a kernel
// are wanted. Code compiled for size does without all three: it serves CPUs that are slow anyway.
#define NN_PRAGMA(text) _Pragma(#text)
#if defined(__OPTIMIZE_SIZE__)
#define NN_SMALL_CODE 1
#define NN_UNROLL(n)
#define NN_LONG [[maybe_unused]] static __attribute__((noinline))
#else
#define NN_SMALL_CODE 0
#define NN_UNROLL(n) NN_PRAGMA(GCC unroll n)
#define NN_LONG NN_INLINE
#endif

#if defined(NN_COMPILE_AVX512)
#define NN_PARTS_BY_MASK
#include "simd/vec_avx512.h"
#elif defined(NN_COMPILE_AVX2)
#define NN_PARTS_BY_MASK
#include "simd/vec_avx2.h"
#elif defined(__x86_64__) && !defined(NN_SIMD_GENERIC)
#include "simd/vec_sse.h"
#else
#include "simd/vec_generic.h"
#endif

#include "simd/vec_pair.h"

namespace nnlite::NN_ISA {

template <class T>
struct VecTraits;
template <>
struct VecTraits<float> {
  using Register = native::VecF32;
  static constexpr int kLanes = 16;
};
template <>
struct VecTraits<double> {
  using Register = native::VecF64;
  static constexpr int kLanes = 8;
};
template <>
struct VecTraits<int32_t> {
  using Register = native::VecI32;
  static constexpr int kLanes = 16;
};
template <>
struct VecTraits<int64_t> {
  using Register = native::VecI64;
  static constexpr int kLanes = 8;
};

// One truth value a lane. Lanes of 32 bits (float, int32) share a type, and so do lanes of 64 bits.
template <int lanes>
struct MaskOf;
template <>
struct MaskOf<16> {
  native::MaskV32 r;
};
template <>
struct MaskOf<8> {
  native::MaskV64 r;
};
template <class T>
using Mask = MaskOf<VecTraits<T>::kLanes>;

template <class T>
struct Vec {
  static constexpr int kLanes = VecTraits<T>::kLanes;
  typename VecTraits<T>::Register r;

  static NN_ALWAYS Vec zero() {
    Vec v;
    native::splat(v.r, T(0));
    return v;
  }
};

template <class T>
NN_INLINE Vec<T> splat(T x) {
  Vec<T> v;
  native::splat(v.r, x);
  return v;
}

// Memory. Pointers need no alignment, except for stream. The part forms take 0 <= n <= kLanes, touch nothing at or beyond p + n, and read
// zeros there.
template <class T>
NN_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  native::load(v.r, p);
  return v;
}
#if defined(NN_PARTS_BY_MASK)
template <class T>
NN_INLINE Vec<T> load_part(const T* p, int n) {
  Vec<T> v;
  native::load_part(v.r, p, n);
  return v;
}
#else
// Without masked loads and stores a part goes through memory: small code for a rare case.
template <class T>
NN_INLINE Vec<T> load_part(const T* p, int n) {
  T lanes[Vec<T>::kLanes] = {};
  __builtin_memcpy(lanes, p, sizeof(T) * static_cast<size_t>(n));
  Vec<T> v;
  native::load(v.r, lanes);
  return v;
}
#endif
template <class T>
NN_INLINE void store(T* p, Vec<T> v) {
  native::store(p, v.r);
}
#if defined(NN_PARTS_BY_MASK)
template <class T>
NN_INLINE void store_part(T* p, Vec<T> v, int n) {
  native::store_part(p, v.r, n);
}
#else
template <class T>
NN_INLINE void store_part(T* p, Vec<T> v, int n) {
  T lanes[Vec<T>::kLanes];
  native::store(lanes, v.r);
  __builtin_memcpy(p, lanes, sizeof(T) * static_cast<size_t>(n));
}
#endif
// Non-temporal store of float or double; p must be a multiple of 64 bytes. Call stream_fence() before other threads read.
template <class T>
NN_INLINE void stream(T* p, Vec<T> v) {
  native::stream(p, v.r);
}
NN_INLINE void stream_fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
NN_INLINE void prefetch(const void* p) { __builtin_prefetch(p, 0, 3); }
NN_INLINE void prefetch_write(const void* p) { __builtin_prefetch(p, 1, 3); }
NN_INLINE void prefetch_l2(const void* p) { __builtin_prefetch(p, 0, 2); }

// 16 narrow integers widened to int32 lanes, and back (the low bits are kept).
NN_INLINE Vec<int32_t> load_u8(const uint8_t* p) {
  Vec<int32_t> v;
  native::load_u8(v.r, p);
  return v;
}
NN_INLINE Vec<int32_t> load_i8(const int8_t* p) {
  Vec<int32_t> v;
  native::load_i8(v.r, p);
  return v;
}
NN_INLINE Vec<int32_t> load_u16(const uint16_t* p) {
  Vec<int32_t> v;
  native::load_u16(v.r, p);
  return v;
}
NN_INLINE void store_u8(uint8_t* p, Vec<int32_t> v) { native::store_u8(p, v.r); }
NN_INLINE void store_u16(uint16_t* p, Vec<int32_t> v) { native::store_u16(p, v.r); }
// The first n of 16.
#if defined(NN_COMPILE_AVX512)
NN_INLINE Vec<int32_t> load_u8_part(const uint8_t* p, int n) { return {{_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(native::first16(n), p))}}; }
NN_INLINE Vec<int32_t> load_i8_part(const int8_t* p, int n) { return {{_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(native::first16(n), p))}}; }
NN_INLINE Vec<int32_t> load_u16_part(const uint16_t* p, int n) { return {{_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(native::first16(n), p))}}; }
NN_INLINE void store_u8_part(uint8_t* p, Vec<int32_t> v, int n) { _mm512_mask_cvtepi32_storeu_epi8(p, native::first16(n), v.r.r); }
NN_INLINE void store_u16_part(uint16_t* p, Vec<int32_t> v, int n) { _mm512_mask_cvtepi32_storeu_epi16(p, native::first16(n), v.r.r); }
#else
// Calls of memcpy: small code for a rare case.
NN_INLINE Vec<int32_t> load_u8_part(const uint8_t* p, int n) {
  uint8_t items[16] = {};
  __builtin_memcpy(items, p, static_cast<size_t>(n));
  return load_u8(items);
}
NN_INLINE Vec<int32_t> load_i8_part(const int8_t* p, int n) {
  int8_t items[16] = {};
  __builtin_memcpy(items, p, static_cast<size_t>(n));
  return load_i8(items);
}
NN_INLINE Vec<int32_t> load_u16_part(const uint16_t* p, int n) {
  uint16_t items[16] = {};
  __builtin_memcpy(items, p, 2 * static_cast<size_t>(n));
  return load_u16(items);
}
NN_INLINE void store_u8_part(uint8_t* p, Vec<int32_t> v, int n) {
  uint8_t items[16];
  store_u8(items, v);
  __builtin_memcpy(p, items, static_cast<size_t>(n));
}
NN_INLINE void store_u16_part(uint16_t* p, Vec<int32_t> v, int n) {
  uint16_t items[16];
  store_u16(items, v);
  __builtin_memcpy(p, items, 2 * static_cast<size_t>(n));
}
#endif

// Arithmetic.
template <class T>
NN_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) {
  return {native::add(a.r, b.r)};
}
template <class T>
NN_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) {
  return {native::sub(a.r, b.r)};
}
// float, double, int32.
template <class T>
NN_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) {
  return {native::mul(a.r, b.r)};
}
// float, double.
template <class T>
NN_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) {
  return {native::div(a.r, b.r)};
}
// a * b + c.
template <class T>
NN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {native::fma(a.r, b.r, c.r)};
}
// a * b - c.
template <class T>
NN_INLINE Vec<T> fms(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {native::fms(a.r, b.r, c.r)};
}
// c - a * b.
template <class T>
NN_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {native::fnma(a.r, b.r, c.r)};
}
// a itself: a product in it is rounded and not contracted with a sum that follows.
template <class T>
NN_INLINE Vec<T> rounded(Vec<T> a) {
  return {native::rounded(a.r)};
}
// a < b ? a : b and a > b ? a : b: when either is NaN the result is b.
template <class T>
NN_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return {native::min(a.r, b.r)};
}
template <class T>
NN_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return {native::max(a.r, b.r)};
}
template <class T>
NN_INLINE Vec<T> sqrt(Vec<T> a) {
  return {native::sqrt(a.r)};
}
template <class T>
NN_INLINE Vec<T> floor(Vec<T> a) {
  return {native::floor(a.r)};
}
template <class T>
NN_INLINE Vec<T> ceil(Vec<T> a) {
  return {native::ceil(a.r)};
}
// To the nearest integer, halves to even.
template <class T>
NN_INLINE Vec<T> round_even(Vec<T> a) {
  return {native::round_even(a.r)};
}
template <class T>
NN_INLINE Vec<T> trunc(Vec<T> a) {
  return {native::trunc(a.r)};
}

// Bits. Integers: & | ^, shifts by a constant (shift_right fills with zeros, shift_right_signed (int32) with the sign).
template <class T>
NN_INLINE Vec<T> operator&(Vec<T> a, Vec<T> b) {
  return {native::bit_and(a.r, b.r)};
}
template <class T>
NN_INLINE Vec<T> operator|(Vec<T> a, Vec<T> b) {
  return {native::bit_or(a.r, b.r)};
}
template <class T>
NN_INLINE Vec<T> operator^(Vec<T> a, Vec<T> b) {
  return {native::bit_xor(a.r, b.r)};
}
template <int n, class T>
NN_INLINE Vec<T> shift_left(Vec<T> a) {
  return {native::shift_left<n>(a.r)};
}
template <int n, class T>
NN_INLINE Vec<T> shift_right(Vec<T> a) {
  return {native::shift_right<n>(a.r)};
}
template <int n>
NN_INLINE Vec<int32_t> shift_right_signed(Vec<int32_t> a) {
  return {native::shift_right_signed<n>(a.r)};
}
NN_INLINE Vec<int32_t> as_int(Vec<float> a) { return {native::as_int(a.r)}; }
NN_INLINE Vec<int64_t> as_int(Vec<double> a) { return {native::as_int(a.r)}; }
NN_INLINE Vec<float> as_float(Vec<int32_t> a) { return {native::as_float(a.r)}; }
NN_INLINE Vec<double> as_float(Vec<int64_t> a) { return {native::as_float(a.r)}; }
NN_INLINE Vec<int32_t> sign_bits(Vec<float>) { return splat<int32_t>(INT32_MIN); }
NN_INLINE Vec<int64_t> sign_bits(Vec<double>) { return splat<int64_t>(INT64_MIN); }
// -a: flips the sign bit, also of zero and NaN.
template <class T>
NN_INLINE Vec<T> operator-(Vec<T> a) {
  return as_float(as_int(a) ^ sign_bits(a));
}
NN_INLINE Vec<int32_t> magnitude_bits(Vec<float>) { return splat<int32_t>(INT32_MAX); }
NN_INLINE Vec<int64_t> magnitude_bits(Vec<double>) { return splat<int64_t>(INT64_MAX); }
template <class T>
NN_INLINE Vec<T> abs(Vec<T> a) {
  return as_float(as_int(a) & magnitude_bits(a));
}
// The magnitude of a with the sign of b.
template <class T>
NN_INLINE Vec<T> copysign(Vec<T> a, Vec<T> b) {
  return as_float(as_int(abs(a)) | (as_int(b) & sign_bits(b)));
}

// Conversions. round_to_int rounds halves to even; what does not fit gives INT32_MIN.
NN_INLINE Vec<int32_t> round_to_int(Vec<float> a) { return {native::round_to_int(a.r)}; }
NN_INLINE Vec<int32_t> trunc_to_int(Vec<float> a) { return {native::trunc_to_int(a.r)}; }
NN_INLINE Vec<float> to_float(Vec<int32_t> a) { return {native::to_float(a.r)}; }
// The first and the last 8 lanes.
NN_INLINE void to_double(Vec<float> a, Vec<double>& first, Vec<double>& last) { native::to_double(a.r, first.r, last.r); }
NN_INLINE Vec<float> to_single(Vec<double> first, Vec<double> last) {
  Vec<float> v;
  native::to_single(v.r, first.r, last.r);
  return v;
}

// Comparisons: false on NaN, except != .
template <class T>
NN_INLINE Mask<T> operator==(Vec<T> a, Vec<T> b) {
  return {native::eq(a.r, b.r)};
}
template <class T>
NN_INLINE Mask<T> operator<(Vec<T> a, Vec<T> b) {
  return {native::lt(a.r, b.r)};
}
template <class T>
NN_INLINE Mask<T> operator>(Vec<T> a, Vec<T> b) {
  return {native::lt(b.r, a.r)};
}
// float, double.
template <class T>
NN_INLINE Mask<T> operator!=(Vec<T> a, Vec<T> b) {
  return {native::ne(a.r, b.r)};
}
template <class T>
NN_INLINE Mask<T> operator<=(Vec<T> a, Vec<T> b) {
  return {native::le(a.r, b.r)};
}
template <class T>
NN_INLINE Mask<T> operator>=(Vec<T> a, Vec<T> b) {
  return {native::le(b.r, a.r)};
}
template <int n>
NN_INLINE MaskOf<n> operator&(MaskOf<n> a, MaskOf<n> b) {
  return {native::mask_and(a.r, b.r)};
}
template <int n>
NN_INLINE MaskOf<n> operator|(MaskOf<n> a, MaskOf<n> b) {
  return {native::mask_or(a.r, b.r)};
}
template <int n>
NN_INLINE MaskOf<n> operator!(MaskOf<n> a) {
  return {native::mask_not(a.r)};
}
// Bit i is lane i.
template <int n>
NN_INLINE uint32_t bits(MaskOf<n> a) {
  return native::bits(a.r);
}
template <int n>
NN_INLINE bool any(MaskOf<n> a) {
  return bits(a) != 0;
}
template <int n>
NN_INLINE bool all(MaskOf<n> a) {
  return bits(a) == (1u << n) - 1;
}
// Lane by lane: mask ? a : b.
template <class T>
NN_INLINE Vec<T> select(Mask<T> mask, Vec<T> a, Vec<T> b) {
  return {native::select(mask.r, a.r, b.r)};
}
// Truth values as kLanes bytes: anything but 0 is true; stored as 0 and 1.
template <class T>
NN_INLINE Mask<T> load_mask(const uint8_t* p) {
  Mask<T> m;
  native::load_mask(m.r, p);
  return m;
}
template <int n>
NN_INLINE void store_mask(uint8_t* p, MaskOf<n> m) {
  native::store_mask(p, m.r);
}
template <class T>
NN_INLINE Mask<T> load_mask_part(const uint8_t* p, int n) {
  uint8_t bytes[16] = {};
  __builtin_memcpy(bytes, p, static_cast<size_t>(n));
  return load_mask<T>(bytes);
}
template <int lanes>
NN_INLINE void store_mask_part(uint8_t* p, MaskOf<lanes> m, int n) {
  uint8_t bytes[16];
  store_mask(bytes, m);
  __builtin_memcpy(p, bytes, static_cast<size_t>(n));
}

// The smaller and the larger; NaN when either is NaN.
template <class T>
NN_INLINE Vec<T> min_nan(Vec<T> a, Vec<T> b) {
  return select(a != a, a, min(a, b));
}
template <class T>
NN_INLINE Vec<T> max_nan(Vec<T> a, Vec<T> b) {
  return select(a != a, a, max(a, b));
}

// Reductions of all lanes in one fixed order: lane i with lane i + kLanes/2, then + kLanes/4, ... The max and min of a NaN are unspecified.
template <class T>
NN_INLINE T reduce_add(Vec<T> a) {
  return native::reduce_add(a.r);
}
template <class T>
NN_INLINE T reduce_max(Vec<T> a) {
  return native::reduce_max(a.r);
}
template <class T>
NN_INLINE T reduce_min(Vec<T> a) {
  return native::reduce_min(a.r);
}

template <class T>
NN_INLINE Vec<T>& operator+=(Vec<T>& a, Vec<T> b) {
  return a = a + b;
}
template <class T>
NN_INLINE Vec<T>& operator-=(Vec<T>& a, Vec<T> b) {
  return a = a - b;
}
template <class T>
NN_INLINE Vec<T>& operator*=(Vec<T>& a, Vec<T> b) {
  return a = a * b;
}

}  // namespace nnlite::NN_ISA
