// Transcendental instructions. float32 and bfloat16 use simd/math.h; float64 does for the exponential family. Rare functions call libm lane
// by lane (the same library and so the same bits at every instruction set).
#include "kernels/elementwise_maps.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

// As map1 and map2 with one copy of the operation for whole vectors and the tail: these operations are long.
template <class E, class Op>
void long_map1(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]);
  auto* y = static_cast<typename E::Item*>(out);
  for (; n > 0; n -= E::kLanes, y += E::kLanes) {
    const int m = n < E::kLanes ? static_cast<int>(n) : E::kLanes;
    const typename E::V v = Op::run(m == E::kLanes ? a.next() : a.last(m));
    m == E::kLanes ? E::write(y, v) : E::write_part(y, v, m);
  }
}
template <class E, class Op>
void long_map2(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]), b(registers[args[1]]);
  auto* y = static_cast<typename E::Item*>(out);
  for (; n > 0; n -= E::kLanes, y += E::kLanes) {
    const int m = n < E::kLanes ? static_cast<int>(n) : E::kLanes;
    const typename E::V u = m == E::kLanes ? a.next() : a.last(m);
    const typename E::V v = Op::run(u, m == E::kLanes ? b.next() : b.last(m));
    m == E::kLanes ? E::write(y, v) : E::write_part(y, v, m);
  }
}

NN_OP1(Exp, exp(a))
NN_OP1(Expm1, expm1(a))
NN_OP1(Log, log(a))
NN_OP1(Log1p, log1p(a))
NN_OP1(Tanh, tanh(a))
NN_OP1(Sigmoid, sigmoid(a))

// One libm call a lane. NN_LIBM1(Erf, erf) defines Erf::run for vectors of both widths.
template <class T, class F>
NN_INLINE Vec<T> lane_by_lane(Vec<T> a, F f) {
  T x[Vec<T>::kLanes];
  store(x, a);
  for (int i = 0; i < Vec<T>::kLanes; ++i) x[i] = f(x[i]);
  return load(x);
}
template <class T, class F>
NN_INLINE Vec<T> lane_by_lane(Vec<T> a, Vec<T> b, F f) {
  T x[Vec<T>::kLanes], y[Vec<T>::kLanes];
  store(x, a);
  store(y, b);
  for (int i = 0; i < Vec<T>::kLanes; ++i) x[i] = f(x[i], y[i]);
  return load(x);
}
#define NN_LIBM1(name)                                                    \
  NN_INLINE float libm_##name(float x) { return __builtin_##name##f(x); } \
  NN_INLINE double libm_##name(double x) { return __builtin_##name(x); }
#define NN_LIBM2(name)                                                                \
  NN_INLINE float libm_##name(float x, float y) { return __builtin_##name##f(x, y); } \
  NN_INLINE double libm_##name(double x, double y) { return __builtin_##name(x, y); }
NN_LIBM1(erf)
NN_LIBM1(sin)
NN_LIBM1(cos)
NN_LIBM1(tan)
NN_LIBM1(asin)
NN_LIBM1(acos)
NN_LIBM1(atan)
NN_LIBM1(sinh)
NN_LIBM1(cosh)
NN_LIBM1(floor)
NN_LIBM2(pow)
NN_LIBM2(atan2)
NN_LIBM2(fmod)
NN_LIBM2(copysign)

// As numpy: the remainder has the sign of the divisor.
template <class T>
NN_INLINE T floor_mod(T a, T b) {
  T r = libm_fmod(a, b);
  if (r != 0) return (r < 0) != (b < 0) ? r + b : r;
  return r == 0 ? libm_copysign(T(0), b) : r;
}
template <class T>
NN_INLINE T floor_quotient(T a, T b) {
  if (b == 0 || a != a || b != b) return a / b;
  T r = libm_fmod(a, b);
  T quotient = (a - r) / b;
  if (r != 0 && (r < 0) != (b < 0)) quotient -= 1;
  if (quotient == 0) return libm_copysign(T(0), a / b);
  const T whole = libm_floor(quotient);
  return quotient - whole > T(0.5) ? whole + 1 : whole;
}

NN_OP1(Square, (a * a))
NN_OP1(Same, a)
NN_OP1(Reciprocal, splat(decltype(reduce_add(a))(1)) / a)
NN_OP1(Asin, lane_by_lane(a, [](auto x) { return libm_asin(x); }))
NN_OP1(Acos, lane_by_lane(a, [](auto x) { return libm_acos(x); }))
NN_OP1(Atan, lane_by_lane(a, [](auto x) { return libm_atan(x); }))
NN_OP1(Sinh, lane_by_lane(a, [](auto x) { return libm_sinh(x); }))
NN_OP1(Cosh, lane_by_lane(a, [](auto x) { return libm_cosh(x); }))
NN_OP2(Atan2, lane_by_lane(a, b, [](auto x, auto y) { return libm_atan2(x, y); }))
NN_OP2(Mod, lane_by_lane(a, b, [](auto x, auto y) { return floor_mod(x, y); }))
NN_OP2(FloorDivide, lane_by_lane(a, b, [](auto x, auto y) { return floor_quotient(x, y); }))

struct Erf {
  static NN_ALWAYS Vec<float> run(Vec<float> a) { return erf(a); }
  static NN_ALWAYS Vec<double> run(Vec<double> a) {
    return lane_by_lane(a, [](double x) { return libm_erf(x); });
  }
};
struct Power {
  static NN_ALWAYS Vec<float> run(Vec<float> a, Vec<float> b) { return power(a, b); }
  static NN_ALWAYS Vec<double> run(Vec<double> a, Vec<double> b) {
    return lane_by_lane(a, b, [](double x, double y) { return libm_pow(x, y); });
  }
};
// The same exponent everywhere is most often 2, 1 or -1, whose results are correctly rounded both ways.
template <class E, class Unused>
void power_map(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  const Operand& exponent = registers[args[1]];
  if (exponent.step == 0) {
    const auto y = to_number(E(), *reinterpret_cast<const typename E::Item*>(exponent.data));
    if (y == 2) return map1<E, Square>(registers, args, out, n);
    if (y == 1) return map1<E, Same>(registers, args, out, n);
    if (y == -1) return map1<E, Reciprocal>(registers, args, out, n);
  }
  long_map2<E, Power>(registers, args, out, n);
}
// Beyond the reach of the vector form (and for infinities and NaN) libm decides.
#define NN_TRIGONOMETRIC(Name, name)                                                                               \
  struct Name {                                                                                                    \
    static NN_ALWAYS Vec<float> run(Vec<float> a) {                                                                \
      if (__builtin_expect(all(abs(a) <= splat(kTrigLimit)), 1)) return name##_inner(a);                           \
      return select(abs(a) <= splat(kTrigLimit), name##_inner(min(splat(kTrigLimit), max(splat(-kTrigLimit), a))), \
                    lane_by_lane(a, [](float x) { return libm_##name(x); }));                                      \
    }                                                                                                              \
    static NN_ALWAYS Vec<double> run(Vec<double> a) {                                                              \
      return lane_by_lane(a, [](double x) { return libm_##name(x); });                                             \
    }                                                                                                              \
  };
NN_TRIGONOMETRIC(Sin, sin)
NN_TRIGONOMETRIC(Cos, cos)
NN_TRIGONOMETRIC(Tan, tan)

}  // namespace

MapFunction find_math_map(Opcode opcode, const DType* in, DType out) {
  if (in[0] != out || in[1] != out) return nullptr;
  switch (opcode) {
    case Opcode::k_exp: return NN_FLOAT_MAP(long_map1, Exp, out);
    case Opcode::k_expm1: return NN_FLOAT_MAP(long_map1, Expm1, out);
    case Opcode::k_log: return NN_FLOAT_MAP(long_map1, Log, out);
    case Opcode::k_log1p: return NN_FLOAT_MAP(long_map1, Log1p, out);
    case Opcode::k_tanh: return NN_FLOAT_MAP(long_map1, Tanh, out);
    case Opcode::k_sigmoid: return NN_FLOAT_MAP(long_map1, Sigmoid, out);
    case Opcode::k_erf: return NN_FLOAT_MAP(long_map1, Erf, out);
    case Opcode::k_sin: return NN_FLOAT_MAP(long_map1, Sin, out);
    case Opcode::k_cos: return NN_FLOAT_MAP(long_map1, Cos, out);
    case Opcode::k_tan: return NN_FLOAT_MAP(long_map1, Tan, out);
    case Opcode::k_asin: return NN_FLOAT_MAP(long_map1, Asin, out);
    case Opcode::k_acos: return NN_FLOAT_MAP(long_map1, Acos, out);
    case Opcode::k_atan: return NN_FLOAT_MAP(long_map1, Atan, out);
    case Opcode::k_sinh: return NN_FLOAT_MAP(long_map1, Sinh, out);
    case Opcode::k_cosh: return NN_FLOAT_MAP(long_map1, Cosh, out);
    case Opcode::k_atan2: return NN_FLOAT_MAP(long_map2, Atan2, out);
    case Opcode::k_power: return NN_FLOAT_MAP(power_map, Power, out);
    case Opcode::k_mod: return NN_FLOAT_MAP(long_map2, Mod, out);
    case Opcode::k_floor_divide: return NN_FLOAT_MAP(long_map2, FloorDivide, out);
    default: return nullptr;
  }
}

}  // namespace nnlite::NN_ISA
