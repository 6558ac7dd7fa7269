// Registers for any other architecture: plain arrays of 4 (32-bit) or 2 (64-bit) lanes that the compiler maps to what the machine has (NEON on
// aarch64). A vector is four of them. Only `vec.h` includes this file.
#pragma once
#include <cstdint>
#include <cstring>

namespace nnlite::NN_ISA::native {

template <class T, int N>
struct Lanes {
  T r[N];
  static constexpr int kLanes = N;
};
struct M32 : Lanes<int32_t, 4> {};
struct M64 : Lanes<int64_t, 2> {};
struct F32 : Lanes<float, 4> {};
struct F64 : Lanes<double, 2> {};
struct I32 : Lanes<int32_t, 4> {};
struct I64 : Lanes<int64_t, 2> {};

#define NN_LANES(V) for (int i = 0; i < V::kLanes; ++i)

// Memory. In the part forms n may be below 0 or above the lane count.
#define NN_MEMORY(V, T)                                          \
  NN_INLINE void load(V& v, const T* p) { memcpy(v.r, p, sizeof(v.r)); } \
  NN_INLINE void store(T* p, V v) { memcpy(p, v.r, sizeof(v.r)); }       \
  NN_INLINE void load_part(V& v, const T* p, int n) {            \
    NN_LANES(V) v.r[i] = i < n ? p[i] : T(0);                    \
  }                                                              \
  NN_INLINE void store_part(T* p, V v, int n) {                  \
    NN_LANES(V) if (i < n) p[i] = v.r[i];                        \
  }                                                              \
  NN_INLINE void splat(V& v, T x) {                              \
    NN_LANES(V) v.r[i] = x;                                      \
  }
NN_MEMORY(F32, float)
NN_MEMORY(F64, double)
NN_MEMORY(I32, int32_t)
NN_MEMORY(I64, int64_t)
#undef NN_MEMORY
NN_INLINE void stream(float* p, F32 v) { store(p, v); }
NN_INLINE void stream(double* p, F64 v) { store(p, v); }

#define NN_WIDEN(name, T) \
  NN_INLINE void name(I32& v, const T* p) { NN_LANES(I32) v.r[i] = p[i]; }
NN_WIDEN(load_u8, uint8_t)
NN_WIDEN(load_i8, int8_t)
NN_WIDEN(load_u16, uint16_t)
#undef NN_WIDEN
NN_INLINE void store_u8(uint8_t* p, I32 v) { NN_LANES(I32) p[i] = static_cast<uint8_t>(v.r[i]); }
NN_INLINE void store_u16(uint16_t* p, I32 v) { NN_LANES(I32) p[i] = static_cast<uint16_t>(v.r[i]); }

#define NN_MAP1(name, V, expression) \
  NN_INLINE V name(V a) {            \
    V c;                             \
    NN_LANES(V) c.r[i] = expression; \
    return c;                        \
  }
#define NN_MAP2(name, V, R, expression) \
  NN_INLINE R name(V a, V b) {          \
    R c;                                \
    NN_LANES(V) c.r[i] = expression;    \
    return c;                           \
  }
#define NN_MAP3(name, V, expression) \
  NN_INLINE V name(V a, V b, V c) {  \
    V d;                             \
    NN_LANES(V) d.r[i] = expression; \
    return d;                        \
  }
#define NN_FLOAT_OPS(V, I, M, suffix)                                                       \
  NN_MAP2(add, V, V, a.r[i] + b.r[i])                                                       \
  NN_MAP2(sub, V, V, a.r[i] - b.r[i])                                                       \
  NN_MAP2(mul, V, V, a.r[i] * b.r[i])                                                       \
  NN_MAP2(div, V, V, a.r[i] / b.r[i])                                                       \
  NN_MAP2(min, V, V, a.r[i] < b.r[i] ? a.r[i] : b.r[i])                                     \
  NN_MAP2(max, V, V, a.r[i] > b.r[i] ? a.r[i] : b.r[i])                                     \
  NN_MAP3(fma, V, __builtin_fma##suffix(a.r[i], b.r[i], c.r[i]))                            \
  NN_MAP3(fms, V, __builtin_fma##suffix(a.r[i], b.r[i], -c.r[i]))                           \
  NN_MAP3(fnma, V, __builtin_fma##suffix(-a.r[i], b.r[i], c.r[i]))                          \
  NN_MAP1(sqrt, V, __builtin_sqrt##suffix(a.r[i]))                                          \
  NN_INLINE V rounded(V a) { NN_LANES(V) asm("" : "+m"(a.r[i])); return a; }                \
  NN_MAP1(floor, V, __builtin_floor##suffix(a.r[i]))                                        \
  NN_MAP1(ceil, V, __builtin_ceil##suffix(a.r[i]))                                          \
  NN_MAP1(round_even, V, __builtin_nearbyint##suffix(a.r[i]))                               \
  NN_MAP1(trunc, V, __builtin_trunc##suffix(a.r[i]))                                        \
  NN_MAP2(eq, V, M, -(a.r[i] == b.r[i]))                                                    \
  NN_MAP2(ne, V, M, -(a.r[i] != b.r[i]))                                                    \
  NN_MAP2(lt, V, M, -(a.r[i] < b.r[i]))                                                     \
  NN_MAP2(le, V, M, -(a.r[i] <= b.r[i]))                                                    \
  NN_INLINE I as_int(V a) { I c; memcpy(c.r, a.r, sizeof(a.r)); return c; }                 \
  NN_INLINE V as_float(I a) { V c; memcpy(c.r, a.r, sizeof(a.r)); return c; }
NN_FLOAT_OPS(F32, I32, M32, f)
NN_FLOAT_OPS(F64, I64, M64, )

#define NN_INT_OPS(V, U, M)                                                                        \
  NN_MAP2(add, V, V, static_cast<U>(a.r[i]) + static_cast<U>(b.r[i]))                              \
  NN_MAP2(sub, V, V, static_cast<U>(a.r[i]) - static_cast<U>(b.r[i]))                              \
  NN_MAP2(bit_and, V, V, a.r[i] & b.r[i])                                                          \
  NN_MAP2(bit_or, V, V, a.r[i] | b.r[i])                                                           \
  NN_MAP2(bit_xor, V, V, a.r[i] ^ b.r[i])                                                          \
  NN_MAP2(eq, V, M, -(a.r[i] == b.r[i]))                                                           \
  NN_MAP2(lt, V, M, -(a.r[i] < b.r[i]))                                                            \
  template <int n> NN_MAP1(shift_left, V, static_cast<U>(a.r[i]) << n)                             \
  template <int n> NN_MAP1(shift_right, V, static_cast<U>(a.r[i]) >> n)
NN_INT_OPS(I32, uint32_t, M32)
NN_INT_OPS(I64, uint64_t, M64)
NN_MAP2(mul, I32, I32, static_cast<uint32_t>(a.r[i]) * static_cast<uint32_t>(b.r[i]))
NN_MAP2(min, I32, I32, a.r[i] < b.r[i] ? a.r[i] : b.r[i])
NN_MAP2(max, I32, I32, a.r[i] > b.r[i] ? a.r[i] : b.r[i])
template <int n> NN_MAP1(shift_right_signed, I32, a.r[i] >> n)

// As on x86: what does not fit in an int32 gives INT32_MIN.
NN_INLINE int32_t int_of(float x) { return x >= -2147483648.0f && x < 2147483648.0f ? static_cast<int32_t>(x) : INT32_MIN; }
NN_INLINE I32 trunc_to_int(F32 a) {
  I32 c;
  NN_LANES(F32) c.r[i] = int_of(a.r[i]);
  return c;
}
NN_INLINE I32 round_to_int(F32 a) { return trunc_to_int(round_even(a)); }
NN_INLINE F32 to_float(I32 a) {
  F32 c;
  NN_LANES(F32) c.r[i] = static_cast<float>(a.r[i]);
  return c;
}
NN_INLINE void to_double(F32 a, F64& lo, F64& hi) {
  NN_LANES(F64) lo.r[i] = a.r[i];
  NN_LANES(F64) hi.r[i] = a.r[i + 2];
}
NN_INLINE void to_single(F32& v, F64 lo, F64 hi) {
  NN_LANES(F64) v.r[i] = static_cast<float>(lo.r[i]);
  NN_LANES(F64) v.r[i + 2] = static_cast<float>(hi.r[i]);
}

#define NN_MASK_OPS(M)                                \
  NN_MAP2(mask_and, M, M, a.r[i] & b.r[i])            \
  NN_MAP2(mask_or, M, M, a.r[i] | b.r[i])             \
  NN_MAP1(mask_not, M, ~a.r[i])                       \
  NN_INLINE uint32_t bits(M a) {                      \
    uint32_t b = 0;                                   \
    NN_LANES(M) b |= static_cast<uint32_t>(a.r[i] & 1) << i; \
    return b;                                         \
  }                                                   \
  NN_INLINE void load_mask(M& m, const uint8_t* p) { NN_LANES(M) m.r[i] = -(p[i] != 0); } \
  NN_INLINE void store_mask(uint8_t* p, M m) { NN_LANES(M) p[i] = m.r[i] & 1; }
NN_MASK_OPS(M32)
NN_MASK_OPS(M64)
#define NN_SELECT(M, V)                              \
  NN_INLINE V select(M m, V a, V b) {                \
    V c;                                             \
    NN_LANES(V) c.r[i] = m.r[i] ? a.r[i] : b.r[i];   \
    return c;                                        \
  }
NN_SELECT(M32, F32)
NN_SELECT(M64, F64)
NN_SELECT(M32, I32)
NN_SELECT(M64, I64)

#define NN_FOLD(name, first, second) \
  NN_INLINE float name(F32 a) { const float p = first(a.r[0], a.r[2]), q = first(a.r[1], a.r[3]); return second(p, q); } \
  NN_INLINE double name(F64 a) { return first(a.r[0], a.r[1]); }
#define NN_ADD(x, y) (x) + (y)
#define NN_MAX(x, y) (x) > (y) ? (x) : (y)
#define NN_MIN(x, y) (x) < (y) ? (x) : (y)
NN_FOLD(reduce_add, NN_ADD, NN_ADD)
NN_FOLD(reduce_max, NN_MAX, NN_MAX)
NN_FOLD(reduce_min, NN_MIN, NN_MIN)
#undef NN_FOLD
#undef NN_ADD
#undef NN_MAX
#undef NN_MIN
#undef NN_SELECT
#undef NN_MASK_OPS
#undef NN_INT_OPS
#undef NN_FLOAT_OPS
#undef NN_MAP1
#undef NN_MAP2
#undef NN_MAP3
#undef NN_LANES

template <class H>
struct Pair;
using VecF32 = Pair<Pair<F32>>;
using VecF64 = Pair<Pair<F64>>;
using VecI32 = Pair<Pair<I32>>;
using VecI64 = Pair<Pair<I64>>;
using MaskV32 = Pair<Pair<M32>>;
using MaskV64 = Pair<Pair<M64>>;

}  // namespace nnlite::NN_ISA::native
