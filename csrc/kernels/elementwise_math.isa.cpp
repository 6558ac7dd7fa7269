// Transcendental instructions of float32 (simd/math.h), of bfloat16 through them, and of the exponential family of float64. The rest of them calls
// libm: see elementwise_libm.h.
#include "kernels/elementwise_libm.h"
#include "kernels/elementwise_maps.h"
#include "simd/gelu.h"

namespace nnlite::NN_ISA {
namespace {

// As map1 and map2 with one copy of the operation for whole vectors and the tail: these operations are long.
template <class E, class Op>
void long_map1(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]);
  auto* y = static_cast<typename E::Item*>(out);
  const Op op{};
  for (; n > 0; n -= E::kLanes, y += E::kLanes) {
    const int m = n < E::kLanes ? static_cast<int>(n) : E::kLanes;
    const typename E::V v = op.run(m == E::kLanes ? a.next() : a.last(m));
    m == E::kLanes ? E::write(y, v) : E::write_part(y, v, m);
  }
}
template <class E, class Op>
void long_map2(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]), b(registers[args[1]]);
  auto* y = static_cast<typename E::Item*>(out);
  const Op op{};
  for (; n > 0; n -= E::kLanes, y += E::kLanes) {
    const int m = n < E::kLanes ? static_cast<int>(n) : E::kLanes;
    const typename E::V u = m == E::kLanes ? a.next() : a.last(m);
    const typename E::V v = op.run(u, m == E::kLanes ? b.next() : b.last(m));
    m == E::kLanes ? E::write(y, v) : E::write_part(y, v, m);
  }
}

NN_OP1(Exp, exp(a))
NN_OP1(Expm1, expm1(a))
NN_OP1(Log, log(a))
NN_OP1(Log1p, log1p(a))
NN_OP1(Tanh, tanh(a))
NN_OP1(Sigmoid, sigmoid(a))

NN_OP1(Square, (a * a))
NN_OP1(Same, a)
NN_OP1(Reciprocal, splat(decltype(reduce_add(a))(1)) / a)
NN_OP2(Power, power(a, b))

// The same exponent everywhere is most often 2, 1 or -1, whose results are correctly rounded both ways.
template <class E, MapFunction otherwise>
void power_map(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  const Operand& exponent = registers[args[1]];
  if (exponent.step == 0) {
    const auto y = to_number(E(), *reinterpret_cast<const typename E::Item*>(exponent.data));
    if (y == 2) return map1<E, Square>(registers, args, out, n);
    if (y == 1) return map1<E, Same>(registers, args, out, n);
    if (y == -1) return map1<E, Reciprocal>(registers, args, out, n);
  }
  otherwise(registers, args, out, n);
}
void power_of_doubles(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  find_libm_map(Opcode::k_power, DType::kFloat64)(registers, args, out, n);
}

template <class F>
NN_INLINE Vec<float> lane_by_lane(Vec<float> a, F f) {
  float x[Vec<float>::kLanes];
  store(x, a);
  for (int i = 0; i < Vec<float>::kLanes; ++i) x[i] = f(x[i]);
  return load(x);
}
// Beyond the reach of the vector form (and for infinities and NaN) libm decides.
#define NN_TRIGONOMETRIC(Name, name)                                                                               \
  struct Name {                                                                                                    \
    static NN_ALWAYS Vec<float> run(Vec<float> a) {                                                                \
      if (__builtin_expect(all(abs(a) <= splat(kTrigLimit)), 1)) return name##_inner(a);                           \
      return select(abs(a) <= splat(kTrigLimit), name##_inner(min(splat(kTrigLimit), max(splat(-kTrigLimit), a))), \
                    lane_by_lane(a, [](float x) { return __builtin_##name##f(x); }));                              \
    }                                                                                                              \
  };
NN_TRIGONOMETRIC(Sin, sin)
NN_TRIGONOMETRIC(Cos, cos)
NN_TRIGONOMETRIC(Tan, tan)

// float32, and bfloat16 through it.
template <MapFunction map>
MapFunction float_map(DType dtype) {
  return dtype == DType::kFloat32 ? map : dtype == DType::kBFloat16 ? widened<map, Narrow::kBFloat16> : nullptr;
}
template <class Op>
MapFunction float_map(DType dtype) {
  return float_map<long_map1<Float32, Op>>(dtype);
}
// These and float64.
template <class Op>
MapFunction double_map(DType dtype) {
  return dtype == DType::kFloat64 ? long_map1<Float64, Op> : float_map<Op>(dtype);
}
MapFunction find_power_map(DType dtype) {
  constexpr MapFunction of_floats = power_map<Float32, long_map2<Float32, Power>>;
  switch (dtype) {
    case DType::kFloat32: return of_floats;
    case DType::kFloat64: return power_map<Float64, power_of_doubles>;
    case DType::kBFloat16: return widened<of_floats, Narrow::kBFloat16>;
    default: return nullptr;
  }
}

}  // namespace

MapFunction find_math_map(Opcode opcode, const DType* in, DType out) {
  if (in[0] != out || in[1] != out) return nullptr;
  const MapFunction libm = opcode == Opcode::k_power ? nullptr : find_libm_map(opcode, out);
  if (libm != nullptr) return libm;
  switch (opcode) {
    case Opcode::k_exp: return double_map<Exp>(out);
    case Opcode::k_expm1: return double_map<Expm1>(out);
    case Opcode::k_log: return double_map<Log>(out);
    case Opcode::k_log1p: return double_map<Log1p>(out);
    case Opcode::k_tanh: return double_map<Tanh>(out);
    case Opcode::k_sigmoid: return double_map<Sigmoid>(out);
    case Opcode::k_erf: return float_map<Erf>(out);
    case Opcode::k_gelu: return float_map<Gelu>(out);
    case Opcode::k_gelu_grad: return float_map<long_map2<Float32, GeluGrad>>(out);
    case Opcode::k_sin: return float_map<Sin>(out);
    case Opcode::k_cos: return float_map<Cos>(out);
    case Opcode::k_tan: return float_map<Tan>(out);
    case Opcode::k_power: return find_power_map(out);
    default: return nullptr;
  }
}

}  // namespace nnlite::NN_ISA
