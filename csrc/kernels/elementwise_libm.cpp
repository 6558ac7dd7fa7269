#include "kernels/elementwise_libm.h"

#include <cmath>
#include <cstring>

namespace nnlite {
namespace {

struct BFloat16Item {
  uint16_t bits;
};
float number_of(BFloat16Item x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float number;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}
float number_of(float x) { return x; }
double number_of(double x) { return x; }
BFloat16Item item_of(BFloat16Item, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return {x != x ? uint16_t{0x7fc0} : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
float item_of(float, float x) { return x; }
double item_of(double, double x) { return x; }

template <class Item, class Op>
void each(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  const Operand &a = registers[args[0]], &b = registers[args[1]];
  const Item *x = reinterpret_cast<const Item*>(a.data), *y = reinterpret_cast<const Item*>(b.data);
  for (int64_t i = 0; i < n; ++i) {
    static_cast<Item*>(out)[i] = item_of(Item(), Op::run(number_of(x[i * a.step]), number_of(y[i * b.step])));
  }
}

// As numpy: the remainder has the sign of the divisor.
template <class T>
T floor_mod(T a, T b) {
  const T r = std::fmod(a, b);
  if (r != 0) return (r < 0) != (b < 0) ? r + b : r;
  return r == 0 ? std::copysign(T(0), b) : r;
}
template <class T>
T floor_quotient(T a, T b) {
  if (b == 0 || a != a || b != b) return a / b;
  const T r = std::fmod(a, b);
  T quotient = (a - r) / b;
  if (r != 0 && (r < 0) != (b < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(T(0), a / b);
  const T whole = std::floor(quotient);
  return quotient - whole > T(0.5) ? whole + 1 : whole;
}

// x times the normal distribution function of x, and its derivative; the limits at infinity.
template <class T>
T gelu(T x) {
  if (x < -40) x = -40;  // the result is 0
  return T(0.5) * x * std::erfc(x * T(-0.70710678118654752));
}
template <class T>
T gelu_slope(T x) {
  if (std::fabs(x) > 40) x = std::copysign(T(40), x);
  return T(0.5) * std::erfc(x * T(-0.70710678118654752)) + x * T(0.39894228040143268) * std::exp(T(-0.5) * x * x);
}

#define NN_LIBM(Name, expression) \
  struct Name {                   \
    template <class T>            \
    static T run(T a, T b) {      \
      (void)b;                    \
      return expression;          \
    }                             \
  };
NN_LIBM(Asin, std::asin(a))
NN_LIBM(Acos, std::acos(a))
NN_LIBM(Atan, std::atan(a))
NN_LIBM(Sinh, std::sinh(a))
NN_LIBM(Cosh, std::cosh(a))
NN_LIBM(Sin, std::sin(a))
NN_LIBM(Cos, std::cos(a))
NN_LIBM(Tan, std::tan(a))
NN_LIBM(Erf, std::erf(a))
NN_LIBM(Gelu, gelu(a))
NN_LIBM(GeluGrad, (a * gelu_slope(b)))
NN_LIBM(Atan2, std::atan2(a, b))
NN_LIBM(Power, std::pow(a, b))
NN_LIBM(Mod, floor_mod(a, b))
NN_LIBM(FloorDivide, floor_quotient(a, b))
#undef NN_LIBM

template <class Op>
MapFunction of_any(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return each<float, Op>;
    case DType::kFloat64: return each<double, Op>;
    case DType::kBFloat16: return each<BFloat16Item, Op>;
    default: return nullptr;
  }
}
template <class Op>
MapFunction of_double(DType dtype) {
  return dtype == DType::kFloat64 ? each<double, Op> : nullptr;
}

}  // namespace

MapFunction find_libm_map(Opcode opcode, DType dtype) {
  switch (opcode) {
    case Opcode::k_asin: return of_any<Asin>(dtype);
    case Opcode::k_acos: return of_any<Acos>(dtype);
    case Opcode::k_atan: return of_any<Atan>(dtype);
    case Opcode::k_sinh: return of_any<Sinh>(dtype);
    case Opcode::k_cosh: return of_any<Cosh>(dtype);
    case Opcode::k_atan2: return of_any<Atan2>(dtype);
    case Opcode::k_mod: return of_any<Mod>(dtype);
    case Opcode::k_floor_divide: return of_any<FloorDivide>(dtype);
    case Opcode::k_sin: return of_double<Sin>(dtype);
    case Opcode::k_cos: return of_double<Cos>(dtype);
    case Opcode::k_tan: return of_double<Tan>(dtype);
    case Opcode::k_erf: return of_double<Erf>(dtype);
    case Opcode::k_gelu: return of_double<Gelu>(dtype);
    case Opcode::k_gelu_grad: return of_double<GeluGrad>(dtype);
    case Opcode::k_power: return of_double<Power>(dtype);
    default: return nullptr;
  }
}

}  // namespace nnlite
