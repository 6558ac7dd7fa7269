// Arithmetic instructions on floating point registers.
#include "kernels/elementwise_maps.h"

namespace nnlite::NN_ISA {
namespace {

template <class T>
NN_INLINE Vec<T> number(Vec<T>, double x) {
  return splat(static_cast<T>(x));
}
template <class T>
NN_INLINE Vec<T> sign_of(Vec<T> a) {
  const Vec<T> zero = Vec<T>::zero();
  const Vec<T> unit = copysign(number(a, 1), a);
  return select((a < zero) | (a > zero), unit, a);  // zero and NaN as they are
}

NN_OP1(Negative, -a)
NN_OP1(Abs, abs(a))
NN_OP1(Sign, sign_of(a))
NN_OP1(Sqrt, sqrt(a))
NN_OP1(Rsqrt, number(a, 1) / sqrt(a))
NN_OP1(Reciprocal, number(a, 1) / a)
NN_OP1(Square, (a * a))
NN_OP1(Relu, max(V::zero(), a))
NN_OP1(Floor, floor(a))
NN_OP1(Ceil, ceil(a))
NN_OP1(Round, round_even(a))
NN_OP2(Add, a + b)
NN_OP2(Subtract, a - b)
NN_OP2(Multiply, (a * b))
NN_OP2(Divide, a / b)
NN_OP2(Maximum, max_nan(a, b))
NN_OP2(Minimum, min_nan(a, b))
NN_OP2(ReluGrad, select(b > V::zero(), a, V::zero()))
NN_OP2(SigmoidGrad, (a * (b * (number(a, 1) - b))))
NN_OP2(TanhGrad, (a * (number(a, 1) - rounded(b * b))))
NN_OP2(SquareDifference, (a - b) * (a - b))
NN_OP3(Clip, min(c, max(b, a)))

}  // namespace

MapFunction find_arithmetic_map(Opcode opcode, const DType* in, DType out) {
  if (in[0] != out || in[1] != out || in[2] != out) return nullptr;
  switch (opcode) {
    case Opcode::k_negative: return NN_FLOAT_MAP(map1, Negative, out);
    case Opcode::k_abs: return NN_FLOAT_MAP(map1, Abs, out);
    case Opcode::k_sign: return NN_FLOAT_MAP(map1, Sign, out);
    case Opcode::k_sqrt: return NN_FLOAT_MAP(map1, Sqrt, out);
    case Opcode::k_rsqrt: return NN_FLOAT_MAP(map1, Rsqrt, out);
    case Opcode::k_reciprocal: return NN_FLOAT_MAP(map1, Reciprocal, out);
    case Opcode::k_square: return NN_FLOAT_MAP(map1, Square, out);
    case Opcode::k_relu: return NN_FLOAT_MAP(map1, Relu, out);
    case Opcode::k_floor: return NN_FLOAT_MAP(map1, Floor, out);
    case Opcode::k_ceil: return NN_FLOAT_MAP(map1, Ceil, out);
    case Opcode::k_round: return NN_FLOAT_MAP(map1, Round, out);
    case Opcode::k_add: return NN_FLOAT_MAP(map2, Add, out);
    case Opcode::k_subtract: return NN_FLOAT_MAP(map2, Subtract, out);
    case Opcode::k_multiply: return NN_FLOAT_MAP(map2, Multiply, out);
    case Opcode::k_divide: return NN_FLOAT_MAP(map2, Divide, out);
    case Opcode::k_maximum: return NN_FLOAT_MAP(map2, Maximum, out);
    case Opcode::k_minimum: return NN_FLOAT_MAP(map2, Minimum, out);
    case Opcode::k_relu_grad: return NN_FLOAT_MAP(map2, ReluGrad, out);
    case Opcode::k_sigmoid_grad: return NN_FLOAT_MAP(map2, SigmoidGrad, out);
    case Opcode::k_tanh_grad: return NN_FLOAT_MAP(map2, TanhGrad, out);
    case Opcode::k_square_difference: return NN_FLOAT_MAP(map2, SquareDifference, out);
    case Opcode::k_clip: return NN_FLOAT_MAP(map3, Clip, out);
    default: return nullptr;
  }
}

}  // namespace nnlite::NN_ISA
