// Instructions on integer and bool registers. Plain loops over groups of 16, which the compiler turns into vectors. Arithmetic wraps;
// floor_divide and mod round toward minus infinity and give 0 for a divisor of 0, as numpy's results do; a negative power is 0
// unless the base is 1 or -1.
#include "kernels/elementwise_groups.h"
#include "kernels/elementwise_maps.h"

namespace nnlite::NN_ISA {
namespace {

template <class T>
using Unsigned = typename UnsignedOf<T>::Type;

#define NN_INT1(name, expression)        \
  struct name {                          \
    template <class T>                   \
    static NN_ALWAYS T run(T a) {        \
      using U = Unsigned<T>;             \
      (void)sizeof(U);                   \
      return static_cast<T>(expression); \
    }                                    \
  };
#define NN_INT2(name, expression)        \
  struct name {                          \
    template <class T>                   \
    static NN_ALWAYS T run(T a, T b) {   \
      using U = Unsigned<T>;             \
      (void)sizeof(U);                   \
      return static_cast<T>(expression); \
    }                                    \
  };
NN_INT1(Negative, U(0) - U(a))
NN_INT1(Abs, a < 0 ? U(0) - U(a) : U(a))
NN_INT1(Sign, (a > 0) - (a < 0))
NN_INT1(Square, U(a) * U(a))
NN_INT1(Relu, a > 0 ? a : 0)
NN_INT1(Same, a)
NN_INT2(Add, U(a) + U(b))
NN_INT2(Subtract, U(a) - U(b))
NN_INT2(Multiply, U(a) * U(b))
NN_INT2(Maximum, a > b ? a : b)
NN_INT2(Minimum, a < b ? a : b)
NN_INT2(SquareDifference, (U(a) - U(b)) * (U(a) - U(b)))

struct FloorDivide {
  template <class T>
  static NN_ALWAYS T run(T a, T b) {
    if (b == 0) return 0;
    if (b == T(-1)) return static_cast<T>(T(-1) < 0 ? Unsigned<T>(0) - Unsigned<T>(a) : a / b);
    const T q = a / b;
    return static_cast<T>(q - ((a % b != 0) && ((a < 0) != (b < 0))));
  }
};
struct Mod {
  template <class T>
  static NN_ALWAYS T run(T a, T b) {
    if (b == 0 || (T(-1) < 0 && b == T(-1))) return 0;
    const T r = a % b;
    return static_cast<T>(r != 0 && (r < 0) != (b < 0) ? r + b : r);
  }
};
struct Power {
  template <class T>
  static NN_ALWAYS T run(T base, T exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == T(-1) ? (exponent % 2 != 0 ? T(-1) : T(1)) : 0;
    uint64_t result = 1, square = static_cast<uint64_t>(base);  // wraps as T does: the low bits are the same
    for (uint64_t e = static_cast<uint64_t>(exponent); e != 0; e >>= 1) {
      if (e & 1) result *= square;
      square *= square;
    }
    return static_cast<T>(result);
  }
};

#define NN_TEST(name, expression)            \
  struct name {                              \
    template <class T>                       \
    static NN_ALWAYS uint8_t run(T a, T b) { \
      return expression;                     \
    }                                        \
  };
NN_TEST(Equal, a == b)
NN_TEST(NotEqual, a != b)
NN_TEST(Less, a < b)
NN_TEST(LessEqual, a <= b)
NN_TEST(Greater, a > b)
NN_TEST(GreaterEqual, a >= b)
NN_TEST(LogicalAnd, (a != 0) & (b != 0))
NN_TEST(LogicalOr, (a != 0) | (b != 0))
NN_TEST(LogicalXor, (a != 0) ^ (b != 0))
struct LogicalNot {
  template <class T>
  static NN_ALWAYS uint8_t run(T a) {
    return a == 0;
  }
};
struct Never {
  template <class T>
  static NN_ALWAYS uint8_t run(T) {
    return 0;
  }
};
struct Always {
  template <class T>
  static NN_ALWAYS uint8_t run(T) {
    return 1;
  }
};
struct Where {
  template <class T>
  static NN_ALWAYS T run(uint8_t condition, T a, T b) {
    return condition ? a : b;
  }
};
struct Clip {
  template <class T>
  static NN_ALWAYS T run(T a, T low, T high) {
    const T x = a > low ? a : low;
    return x < high ? x : high;
  }
};

// The instance of a loop for an integer dtype, or null.
#define NN_INT_MAP1(Op, dtype, Out)                               \
  ((dtype) == DType::kInt32   ? group1<int32_t, Out(int32_t), Op> \
   : (dtype) == DType::kInt64 ? group1<int64_t, Out(int64_t), Op> \
   : (dtype) == DType::kUInt8 ? group1<uint8_t, Out(uint8_t), Op> \
   : (dtype) == DType::kInt8  ? group1<int8_t, Out(int8_t), Op>   \
                              : MapFunction(nullptr))
#define NN_INT_MAP2(Op, dtype, Out)                                        \
  ((dtype) == DType::kInt32   ? group2<int32_t, int32_t, Out(int32_t), Op> \
   : (dtype) == DType::kInt64 ? group2<int64_t, int64_t, Out(int64_t), Op> \
   : (dtype) == DType::kUInt8 ? group2<uint8_t, uint8_t, Out(uint8_t), Op> \
   : (dtype) == DType::kInt8  ? group2<int8_t, int8_t, Out(int8_t), Op>    \
                              : MapFunction(nullptr))
#define NN_INT_MAP3(First, Op, dtype)                                                 \
  ((dtype) == DType::kInt32   ? group3<First(int32_t), int32_t, int32_t, int32_t, Op> \
   : (dtype) == DType::kInt64 ? group3<First(int64_t), int64_t, int64_t, int64_t, Op> \
   : (dtype) == DType::kUInt8 ? group3<First(uint8_t), uint8_t, uint8_t, uint8_t, Op> \
   : (dtype) == DType::kInt8  ? group3<First(int8_t), int8_t, int8_t, int8_t, Op>     \
                              : MapFunction(nullptr))
#define NN_KEEP(T) T
#define NN_TRUTH(T) uint8_t

// bool: addition is or, multiplication and, as numpy has it.
MapFunction find_bool_map(Opcode opcode) {
  switch (opcode) {
    case Opcode::k_add:
    case Opcode::k_maximum: return group2<uint8_t, uint8_t, uint8_t, LogicalOr>;
    case Opcode::k_multiply:
    case Opcode::k_minimum: return group2<uint8_t, uint8_t, uint8_t, LogicalAnd>;
    case Opcode::k_where: return group3<uint8_t, uint8_t, uint8_t, uint8_t, Where>;
    default: return nullptr;
  }
}

// Instructions with a truth value as result.
MapFunction find_test_map(Opcode opcode, DType in) {
  if (in == DType::kBool) in = DType::kUInt8;
  switch (opcode) {
    case Opcode::k_equal: return NN_INT_MAP2(Equal, in, NN_TRUTH);
    case Opcode::k_not_equal: return NN_INT_MAP2(NotEqual, in, NN_TRUTH);
    case Opcode::k_less: return NN_INT_MAP2(Less, in, NN_TRUTH);
    case Opcode::k_less_equal: return NN_INT_MAP2(LessEqual, in, NN_TRUTH);
    case Opcode::k_greater: return NN_INT_MAP2(Greater, in, NN_TRUTH);
    case Opcode::k_greater_equal: return NN_INT_MAP2(GreaterEqual, in, NN_TRUTH);
    case Opcode::k_logical_and: return NN_INT_MAP2(LogicalAnd, in, NN_TRUTH);
    case Opcode::k_logical_or: return NN_INT_MAP2(LogicalOr, in, NN_TRUTH);
    case Opcode::k_logical_xor: return NN_INT_MAP2(LogicalXor, in, NN_TRUTH);
    case Opcode::k_logical_not: return NN_INT_MAP1(LogicalNot, in, NN_TRUTH);
    case Opcode::k_isnan:
    case Opcode::k_isinf: return NN_INT_MAP1(Never, in, NN_TRUTH);
    case Opcode::k_isfinite: return NN_INT_MAP1(Always, in, NN_TRUTH);
    default: return nullptr;
  }
}

}  // namespace

MapFunction find_integer_map(Opcode opcode, const DType* in, DType out) {
  if (opcode == Opcode::k_where) {
    if (in[0] != DType::kBool || in[1] != out || in[2] != out) return nullptr;
    return out == DType::kBool ? find_bool_map(opcode) : NN_INT_MAP3(NN_TRUTH, Where, out);
  }
  if (in[0] != in[1] || in[0] != in[2]) return nullptr;
  if (out == DType::kBool) {
    const MapFunction test = find_test_map(opcode, in[0]);
    if (test != nullptr) return test;
  }
  if (in[0] != out) return nullptr;
  if (out == DType::kBool) return find_bool_map(opcode);
  switch (opcode) {
    case Opcode::k_negative: return NN_INT_MAP1(Negative, out, NN_KEEP);
    case Opcode::k_abs: return NN_INT_MAP1(Abs, out, NN_KEEP);
    case Opcode::k_sign: return NN_INT_MAP1(Sign, out, NN_KEEP);
    case Opcode::k_square: return NN_INT_MAP1(Square, out, NN_KEEP);
    case Opcode::k_relu: return NN_INT_MAP1(Relu, out, NN_KEEP);
    case Opcode::k_floor:
    case Opcode::k_ceil:
    case Opcode::k_round: return NN_INT_MAP1(Same, out, NN_KEEP);
    case Opcode::k_add: return NN_INT_MAP2(Add, out, NN_KEEP);
    case Opcode::k_subtract: return NN_INT_MAP2(Subtract, out, NN_KEEP);
    case Opcode::k_multiply: return NN_INT_MAP2(Multiply, out, NN_KEEP);
    case Opcode::k_maximum: return NN_INT_MAP2(Maximum, out, NN_KEEP);
    case Opcode::k_minimum: return NN_INT_MAP2(Minimum, out, NN_KEEP);
    case Opcode::k_square_difference: return NN_INT_MAP2(SquareDifference, out, NN_KEEP);
    case Opcode::k_floor_divide: return NN_INT_MAP2(FloorDivide, out, NN_KEEP);
    case Opcode::k_mod: return NN_INT_MAP2(Mod, out, NN_KEEP);
    case Opcode::k_power: return NN_INT_MAP2(Power, out, NN_KEEP);
    case Opcode::k_clip: return NN_INT_MAP3(NN_KEEP, Clip, out);
    default: return nullptr;
  }
}

}  // namespace nnlite::NN_ISA
