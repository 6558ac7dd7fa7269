// Registers for any other architecture, as 16-byte vectors of the compiler's own kind (NEON on aarch64). A vector is four of them. Only
// `vec.h` includes this file.
#pragma once
#include <cstdint>
#include <cstring>

namespace nnlite::NN_ISA::native {

typedef float Floats __attribute__((vector_size(16)));
typedef double Doubles __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef int64_t Longs __attribute__((vector_size(16)));
typedef uint32_t UInts __attribute__((vector_size(16)));
typedef uint64_t ULongs __attribute__((vector_size(16)));

// A mask has all bits of a true lane set.
struct M32 {
  Ints r;
  static constexpr int kLanes = 4;
};
struct M64 {
  Longs r;
  static constexpr int kLanes = 2;
};
struct F32 {
  Floats r;
  static constexpr int kLanes = 4;
};
struct F64 {
  Doubles r;
  static constexpr int kLanes = 2;
};
struct I32 {
  Ints r;
  static constexpr int kLanes = 4;
};
struct I64 {
  Longs r;
  static constexpr int kLanes = 2;
};

#define NN_LANES(V) _Pragma("GCC unroll 4") for (int i = 0; i < V::kLanes; ++i)

// Memory. In the part forms n may be below 0 or above the lane count.
#define NN_MEMORY(V, T)                                                   \
  NN_INLINE void load(V& v, const T* p) { memcpy(&v.r, p, sizeof(v.r)); } \
  NN_INLINE void store(T* p, V v) { memcpy(p, &v.r, sizeof(v.r)); }       \
  NN_INLINE void load_part(V& v, const T* p, int n) {                     \
    T x[V::kLanes] = {};                                                  \
    for (int i = 0; i < V::kLanes && i < n; ++i) x[i] = p[i];             \
    memcpy(&v.r, x, sizeof(v.r));                                         \
  }                                                                       \
  NN_INLINE void store_part(T* p, V v, int n) {                           \
    for (int i = 0; i < V::kLanes && i < n; ++i) p[i] = v.r[i];           \
  }                                                                       \
  NN_INLINE void splat(V& v, T x) { v.r = x - decltype(v.r){}; }
NN_MEMORY(F32, float)
NN_MEMORY(F64, double)
NN_MEMORY(I32, int32_t)
NN_MEMORY(I64, int64_t)
#undef NN_MEMORY
NN_INLINE void stream(float* p, F32 v) { store(p, v); }
NN_INLINE void stream(double* p, F64 v) { store(p, v); }
NN_INLINE void load_u8(I32& v, const uint8_t* p) { v.r = Ints{p[0], p[1], p[2], p[3]}; }
NN_INLINE void load_i8(I32& v, const int8_t* p) { v.r = Ints{p[0], p[1], p[2], p[3]}; }
NN_INLINE void load_u16(I32& v, const uint16_t* p) { v.r = Ints{p[0], p[1], p[2], p[3]}; }
NN_INLINE void store_u8(uint8_t* p, I32 v) { NN_LANES(I32) p[i] = static_cast<uint8_t>(v.r[i]); }
NN_INLINE void store_u16(uint16_t* p, I32 v) { NN_LANES(I32) p[i] = static_cast<uint16_t>(v.r[i]); }

// Floating point arithmetic. Functions without an operator go lane by lane; the compiler joins the lanes where the machine can.
#define NN_MAP1(name, V, f)         \
  NN_INLINE V name(V a) {           \
    NN_LANES(V) a.r[i] = f(a.r[i]); \
    return a;                       \
  }
#define NN_FLOAT_OPS(V, I, M, IntRegister, FloatRegister, suffix)          \
  NN_INLINE V add(V a, V b) { return {a.r + b.r}; }                        \
  NN_INLINE V sub(V a, V b) { return {a.r - b.r}; }                        \
  NN_INLINE V mul(V a, V b) { return {a.r * b.r}; }                        \
  NN_INLINE V div(V a, V b) { return {a.r / b.r}; }                        \
  NN_INLINE V min(V a, V b) { return {a.r < b.r ? a.r : b.r}; }            \
  NN_INLINE V max(V a, V b) { return {a.r > b.r ? a.r : b.r}; }            \
  NN_INLINE V fma(V a, V b, V c) {                                         \
    NN_LANES(V) c.r[i] = __builtin_fma##suffix(a.r[i], b.r[i], c.r[i]);    \
    return c;                                                              \
  }                                                                        \
  NN_INLINE V fms(V a, V b, V c) { return fma(a, b, V{-c.r}); }            \
  NN_INLINE V fnma(V a, V b, V c) { return fma(V{-a.r}, b, c); }           \
  NN_INLINE V rounded(V a) {                                               \
    asm("" : "+m"(a.r));                                                   \
    return a;                                                              \
  }                                                                        \
  NN_MAP1(sqrt, V, __builtin_sqrt##suffix)                                 \
  NN_MAP1(floor, V, __builtin_floor##suffix)                               \
  NN_MAP1(ceil, V, __builtin_ceil##suffix)                                 \
  NN_MAP1(round_even, V, __builtin_nearbyint##suffix)                      \
  NN_MAP1(trunc, V, __builtin_trunc##suffix)                               \
  NN_INLINE M eq(V a, V b) { return {a.r == b.r}; }                        \
  NN_INLINE M ne(V a, V b) { return {a.r != b.r}; }                        \
  NN_INLINE M lt(V a, V b) { return {a.r < b.r}; }                         \
  NN_INLINE M le(V a, V b) { return {a.r <= b.r}; }                        \
  NN_INLINE I as_int(V a) { return {reinterpret_cast<IntRegister>(a.r)}; } \
  NN_INLINE V as_float(I a) { return {reinterpret_cast<FloatRegister>(a.r)}; }
NN_FLOAT_OPS(F32, I32, M32, Ints, Floats, f)
NN_FLOAT_OPS(F64, I64, M64, Longs, Doubles, )

#define NN_INT_OPS(V, Signed, Unsigned, M)                                                                                            \
  NN_INLINE V add(V a, V b) { return {reinterpret_cast<Signed>(reinterpret_cast<Unsigned>(a.r) + reinterpret_cast<Unsigned>(b.r))}; } \
  NN_INLINE V sub(V a, V b) { return {reinterpret_cast<Signed>(reinterpret_cast<Unsigned>(a.r) - reinterpret_cast<Unsigned>(b.r))}; } \
  NN_INLINE V bit_and(V a, V b) { return {a.r & b.r}; }                                                                               \
  NN_INLINE V bit_or(V a, V b) { return {a.r | b.r}; }                                                                                \
  NN_INLINE V bit_xor(V a, V b) { return {a.r ^ b.r}; }                                                                               \
  NN_INLINE M eq(V a, V b) { return {a.r == b.r}; }                                                                                   \
  NN_INLINE M lt(V a, V b) { return {a.r < b.r}; }                                                                                    \
  template <int n>                                                                                                                    \
  NN_INLINE V shift_left(V a) {                                                                                                       \
    return {reinterpret_cast<Signed>(reinterpret_cast<Unsigned>(a.r) << n)};                                                          \
  }                                                                                                                                   \
  template <int n>                                                                                                                    \
  NN_INLINE V shift_right(V a) {                                                                                                      \
    return {reinterpret_cast<Signed>(reinterpret_cast<Unsigned>(a.r) >> n)};                                                          \
  }
NN_INT_OPS(I32, Ints, UInts, M32)
NN_INT_OPS(I64, Longs, ULongs, M64)
NN_INLINE I32 mul(I32 a, I32 b) { return {reinterpret_cast<Ints>(reinterpret_cast<UInts>(a.r) * reinterpret_cast<UInts>(b.r))}; }
NN_INLINE I32 min(I32 a, I32 b) { return {a.r < b.r ? a.r : b.r}; }
NN_INLINE I32 max(I32 a, I32 b) { return {a.r > b.r ? a.r : b.r}; }
template <int n>
NN_INLINE I32 shift_right_signed(I32 a) {
  return {a.r >> n};
}

// Conversions. As on x86, what does not fit in an int32 gives INT32_MIN.
NN_INLINE I32 trunc_to_int(F32 a) {
  const M32 fits = {(a.r >= -2147483648.0f) & (a.r < 2147483648.0f)};
  const Floats safe = fits.r ? a.r : Floats{};
  return {fits.r ? __builtin_convertvector(safe, Ints) : Ints{INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN}};
}
NN_INLINE I32 round_to_int(F32 a) { return trunc_to_int(round_even(a)); }
NN_INLINE F32 to_float(I32 a) { return {__builtin_convertvector(a.r, Floats)}; }
NN_INLINE void to_double(F32 a, F64& lo, F64& hi) {
  lo.r = Doubles{a.r[0], a.r[1]};
  hi.r = Doubles{a.r[2], a.r[3]};
}
NN_INLINE void to_single(F32& v, F64 lo, F64 hi) {
  v.r = Floats{static_cast<float>(lo.r[0]), static_cast<float>(lo.r[1]), static_cast<float>(hi.r[0]), static_cast<float>(hi.r[1])};
}

// Masks.
#define NN_MASK_OPS(M)                                       \
  NN_INLINE M mask_and(M a, M b) { return {a.r & b.r}; }     \
  NN_INLINE M mask_or(M a, M b) { return {a.r | b.r}; }      \
  NN_INLINE M mask_not(M a) { return {~a.r}; }               \
  NN_INLINE uint32_t bits(M a) {                             \
    uint32_t b = 0;                                          \
    NN_LANES(M) b |= static_cast<uint32_t>(a.r[i] & 1) << i; \
    return b;                                                \
  }                                                          \
  NN_INLINE void store_mask(uint8_t* p, M m) { NN_LANES(M) p[i] = static_cast<uint8_t>(m.r[i] & 1); }
NN_MASK_OPS(M32)
NN_MASK_OPS(M64)
NN_INLINE void load_mask(M32& m, const uint8_t* p) { m.r = Ints{p[0], p[1], p[2], p[3]} != 0; }
NN_INLINE void load_mask(M64& m, const uint8_t* p) { m.r = Longs{p[0], p[1]} != 0; }
NN_INLINE F32 select(M32 m, F32 a, F32 b) { return {m.r ? a.r : b.r}; }
NN_INLINE F64 select(M64 m, F64 a, F64 b) { return {m.r ? a.r : b.r}; }
NN_INLINE I32 select(M32 m, I32 a, I32 b) { return {m.r ? a.r : b.r}; }
NN_INLINE I64 select(M64 m, I64 a, I64 b) { return {m.r ? a.r : b.r}; }

// Reductions of one register: lane i with lane i + half, again and again.
NN_INLINE float least(float a, float b) { return a < b ? a : b; }
NN_INLINE double least(double a, double b) { return a < b ? a : b; }
NN_INLINE float most(float a, float b) { return a > b ? a : b; }
NN_INLINE double most(double a, double b) { return a > b ? a : b; }
NN_INLINE float reduce_add(F32 a) { return (a.r[0] + a.r[2]) + (a.r[1] + a.r[3]); }
NN_INLINE double reduce_add(F64 a) { return a.r[0] + a.r[1]; }
NN_INLINE float reduce_max(F32 a) { return most(most(a.r[0], a.r[2]), most(a.r[1], a.r[3])); }
NN_INLINE double reduce_max(F64 a) { return most(a.r[0], a.r[1]); }
NN_INLINE float reduce_min(F32 a) { return least(least(a.r[0], a.r[2]), least(a.r[1], a.r[3])); }
NN_INLINE double reduce_min(F64 a) { return least(a.r[0], a.r[1]); }

#undef NN_MASK_OPS
#undef NN_INT_OPS
#undef NN_FLOAT_OPS
#undef NN_MAP1
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
