// The instructions of the `elementwise` kernel for one instruction set, and the loops they share.
#pragma once
#include "core/cpu.h"
#include "kernels/elementwise.h"
#include "kernels/float_items.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {

// Each returns null when it has no such instruction. `in` are the dtypes of the (up to three) operands.
MapFunction find_arithmetic_map(Opcode opcode, const DType* in, DType out);  // float32, float64, bfloat16
MapFunction find_compare_map(Opcode opcode, const DType* in, DType out);     // floats to bool, where
MapFunction find_math_map(Opcode opcode, const DType* in, DType out);        // transcendental functions
MapFunction find_integer_map(Opcode opcode, const DType* in, DType out);     // integers and bool
MapFunction find_cast_map(Opcode opcode, const DType* in, DType out);        // cast (also to the same dtype: a copy)

// Elements that are computed with in a wider type: bfloat16 in float32, 8-bit integers in int32.
enum class Narrow : uint8_t { kBFloat16, kUInt8, kInt8 };

// Runs an instruction of the wider type on narrow registers, piece by piece. Its result is narrow too, or truth values.
void run_widened(MapFunction map, Narrow item, bool truth, const Operand* registers, const int16_t* args, void* out, int64_t n);
template <MapFunction map, Narrow item, bool truth = false>
void widened(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  run_widened(map, item, truth, registers, args, out, n);
}

// Cursor over an operand: advances by whole vectors, or stays on the repeated value.
template <class E>
struct Cursor {
  const typename E::Item* p;
  int64_t step;
  explicit NN_ALWAYS Cursor(const Operand& operand) : p(reinterpret_cast<const typename E::Item*>(operand.data)), step(operand.step * E::kLanes) {}
  NN_ALWAYS typename E::V next() {
    const typename E::V v = E::read(p);
    p += step;
    return v;
  }
  NN_ALWAYS typename E::V last(int n) const { return E::read_part(p, n); }
};

template <class E, class Op>
void map1(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]);
  auto* y = static_cast<typename E::Item*>(out);
  for (; n >= E::kLanes; n -= E::kLanes, y += E::kLanes) E::write(y, Op::run(a.next()));
  if (n > 0) E::write_part(y, Op::run(a.last(static_cast<int>(n))), static_cast<int>(n));
}

template <class E, class Op>
void map2(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]), b(registers[args[1]]);
  auto* y = static_cast<typename E::Item*>(out);
  for (; n >= E::kLanes; n -= E::kLanes, y += E::kLanes) E::write(y, Op::run(a.next(), b.next()));
  if (n > 0) E::write_part(y, Op::run(a.last(static_cast<int>(n)), b.last(static_cast<int>(n))), static_cast<int>(n));
}

template <class E, class Op>
void map3(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]), b(registers[args[1]]), c(registers[args[2]]);
  auto* y = static_cast<typename E::Item*>(out);
  for (; n >= E::kLanes; n -= E::kLanes, y += E::kLanes) E::write(y, Op::run(a.next(), b.next(), c.next()));
  if (n > 0) {
    const int m = static_cast<int>(n);
    E::write_part(y, Op::run(a.last(m), b.last(m), c.last(m)), m);
  }
}

// An operation as a type: NN_OP2(Add, a + b) defines Add::run(a, b).
#define NN_OP1(name, expression)     \
  struct name {                      \
    template <class V>               \
    static NN_ALWAYS auto run(V a) { \
      return expression;             \
    }                                \
  };
#define NN_OP2(name, expression)          \
  struct name {                           \
    template <class V>                    \
    static NN_ALWAYS auto run(V a, V b) { \
      return expression;                  \
    }                                     \
  };
#define NN_OP3(name, expression)               \
  struct name {                                \
    template <class V>                         \
    static NN_ALWAYS auto run(V a, V b, V c) { \
      return expression;                       \
    }                                          \
  };

// The instance of a map for a floating point dtype, or null.
#define NN_FLOAT_MAP(map, Op, dtype)                 \
  ((dtype) == DType::kFloat32    ? map<Float32, Op>  \
   : (dtype) == DType::kFloat64  ? map<Float64, Op>  \
   : (dtype) == DType::kBFloat16 ? map<BFloat16, Op> \
                                 : MapFunction(nullptr))

}  // namespace nnlite::NN_ISA
