// Instructions between floating point registers and truth values: comparisons, tests, where.
#include "kernels/elementwise_maps.h"

namespace nnlite::NN_ISA {
namespace {

// Truth values are bytes, 0 or 1 when written, anything but 0 when read.
template <class E, class Op>
void test1(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]);
  auto* y = static_cast<uint8_t*>(out);
  for (; n >= E::kLanes; n -= E::kLanes, y += E::kLanes) store_mask(y, Op::run(a.next()));
  if (n > 0) store_mask_part(y, Op::run(a.last(static_cast<int>(n))), static_cast<int>(n));
}

template <class E, class Op>
void test2(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]), b(registers[args[1]]);
  auto* y = static_cast<uint8_t*>(out);
  for (; n >= E::kLanes; n -= E::kLanes, y += E::kLanes) store_mask(y, Op::run(a.next(), b.next()));
  if (n > 0) store_mask_part(y, Op::run(a.last(static_cast<int>(n)), b.last(static_cast<int>(n))), static_cast<int>(n));
}

template <class E, class Unused>
void choose(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  const auto* condition = reinterpret_cast<const uint8_t*>(registers[args[0]].data);
  const int64_t step = registers[args[0]].step * E::kLanes;
  Cursor<E> a(registers[args[1]]), b(registers[args[2]]);
  auto* y = static_cast<typename E::Item*>(out);
  using T = typename E::Number;
  for (; n >= E::kLanes; n -= E::kLanes, y += E::kLanes, condition += step) {
    const auto mask = load_mask<T>(condition);
    E::write(y, select<T>(mask, a.next(), b.next()));
  }
  if (n > 0) {
    const int m = static_cast<int>(n);
    E::write_part(y, select<T>(load_mask_part<T>(condition, m), a.last(m), b.last(m)), m);
  }
}

template <class T>
NN_INLINE Vec<T> infinity(Vec<T>) {
  return splat(static_cast<T>(__builtin_inf()));
}

struct Choose;
NN_OP1(IsNan, a != a)
NN_OP1(IsInf, abs(a) == infinity(a))
NN_OP1(IsFinite, abs(a) < infinity(a))
NN_OP1(LogicalNot, a == V::zero())
NN_OP2(Equal, a == b)
NN_OP2(NotEqual, a != b)
NN_OP2(Less, a < b)
NN_OP2(LessEqual, a <= b)
NN_OP2(Greater, a > b)
NN_OP2(GreaterEqual, a >= b)
NN_OP2(LogicalAnd, (a != V::zero()) & (b != V::zero()))
NN_OP2(LogicalOr, (a != V::zero()) | (b != V::zero()))
NN_OP2(LogicalXor, ((a != V::zero()) & (b == V::zero())) | ((a == V::zero()) & (b != V::zero())))

}  // namespace

MapFunction find_compare_map(Opcode opcode, const DType* in, DType out) {
  if (opcode == Opcode::k_where) {
    const bool fits = in[0] == DType::kBool && in[1] == out && in[2] == out;
    const DType item = out == DType::kInt32 ? DType::kFloat32 : out == DType::kInt64 ? DType::kFloat64 : out;  // bits are bits
    return fits ? NN_FLOAT_MAP(choose, Choose, item) : nullptr;
  }
  if (out != DType::kBool || in[0] != in[1]) return nullptr;
  switch (opcode) {
    case Opcode::k_isnan: return NN_FLOAT_MAP(test1, IsNan, in[0]);
    case Opcode::k_isinf: return NN_FLOAT_MAP(test1, IsInf, in[0]);
    case Opcode::k_isfinite: return NN_FLOAT_MAP(test1, IsFinite, in[0]);
    case Opcode::k_logical_not: return NN_FLOAT_MAP(test1, LogicalNot, in[0]);
    case Opcode::k_equal: return NN_FLOAT_MAP(test2, Equal, in[0]);
    case Opcode::k_not_equal: return NN_FLOAT_MAP(test2, NotEqual, in[0]);
    case Opcode::k_less: return NN_FLOAT_MAP(test2, Less, in[0]);
    case Opcode::k_less_equal: return NN_FLOAT_MAP(test2, LessEqual, in[0]);
    case Opcode::k_greater: return NN_FLOAT_MAP(test2, Greater, in[0]);
    case Opcode::k_greater_equal: return NN_FLOAT_MAP(test2, GreaterEqual, in[0]);
    case Opcode::k_logical_and: return NN_FLOAT_MAP(test2, LogicalAnd, in[0]);
    case Opcode::k_logical_or: return NN_FLOAT_MAP(test2, LogicalOr, in[0]);
    case Opcode::k_logical_xor: return NN_FLOAT_MAP(test2, LogicalXor, in[0]);
    default: return nullptr;
  }
}

}  // namespace nnlite::NN_ISA
