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

// The instance of a loop for an integer dtype, or null: int32, int64, and the narrow types through int32.
template <MapFunction of_int32, MapFunction of_int64, bool truth>
MapFunction choose_map(DType dtype) {
  switch (dtype) {
    case DType::kInt32: return of_int32;
    case DType::kInt64: return of_int64;
    case DType::kUInt8: return widened<of_int32, Narrow::kUInt8, truth>;
    case DType::kInt8: return widened<of_int32, Narrow::kInt8, truth>;
    default: return nullptr;
  }
}
template <class Op>
MapFunction number1(DType dtype) {
  return choose_map<group1<int32_t, int32_t, Op>, group1<int64_t, int64_t, Op>, false>(dtype);
}
template <class Op>
MapFunction number2(DType dtype) {
  return choose_map<group2<int32_t, int32_t, int32_t, Op>, group2<int64_t, int64_t, int64_t, Op>, false>(dtype);
}
template <class Op>
MapFunction test1(DType dtype) {
  return choose_map<group1<int32_t, uint8_t, Op>, group1<int64_t, uint8_t, Op>, true>(dtype);
}
template <class Op>
MapFunction test2(DType dtype) {
  return choose_map<group2<int32_t, int32_t, uint8_t, Op>, group2<int64_t, int64_t, uint8_t, Op>, true>(dtype);
}

// bool: addition is or, multiplication and, as numpy has it.
MapFunction find_bool_map(Opcode opcode) {
  switch (opcode) {
    case Opcode::k_add:
    case Opcode::k_maximum:
    case Opcode::k_logical_or: return group2<uint8_t, uint8_t, uint8_t, LogicalOr>;
    case Opcode::k_multiply:
    case Opcode::k_minimum:
    case Opcode::k_logical_and: return group2<uint8_t, uint8_t, uint8_t, LogicalAnd>;
    case Opcode::k_logical_xor: return group2<uint8_t, uint8_t, uint8_t, LogicalXor>;
    case Opcode::k_logical_not: return group1<uint8_t, uint8_t, LogicalNot>;
    default: return nullptr;
  }
}

// Instructions with a truth value as result.
MapFunction find_test_map(Opcode opcode, DType in) {
  if (in == DType::kBool) in = DType::kUInt8;
  switch (opcode) {
    case Opcode::k_equal: return test2<Equal>(in);
    case Opcode::k_not_equal: return test2<NotEqual>(in);
    case Opcode::k_less: return test2<Less>(in);
    case Opcode::k_less_equal: return test2<LessEqual>(in);
    case Opcode::k_greater: return test2<Greater>(in);
    case Opcode::k_greater_equal: return test2<GreaterEqual>(in);
    case Opcode::k_logical_and: return test2<LogicalAnd>(in);
    case Opcode::k_logical_or: return test2<LogicalOr>(in);
    case Opcode::k_logical_xor: return test2<LogicalXor>(in);
    case Opcode::k_logical_not: return test1<LogicalNot>(in);
    case Opcode::k_isnan:
    case Opcode::k_isinf: return test1<Never>(in);
    case Opcode::k_isfinite: return test1<Always>(in);
    default: return nullptr;
  }
}

}  // namespace

MapFunction find_integer_map(Opcode opcode, const DType* in, DType out) {
  if (opcode == Opcode::k_where) {
    const bool bytes = out == DType::kBool || out == DType::kUInt8 || out == DType::kInt8;
    return bytes && in[0] == DType::kBool && in[1] == out && in[2] == out ? group3<uint8_t, uint8_t, uint8_t, uint8_t, Where> : nullptr;
  }
  if (in[0] != in[1] || in[0] != in[2]) return nullptr;
  if (in[0] == DType::kBool && out == DType::kBool) {
    const MapFunction map = find_bool_map(opcode);
    if (map != nullptr) return map;
  }
  if (out == DType::kBool) return find_test_map(opcode, in[0]);
  if (in[0] != out) return nullptr;
  switch (opcode) {
    case Opcode::k_negative: return number1<Negative>(out);
    case Opcode::k_abs: return number1<Abs>(out);
    case Opcode::k_sign: return number1<Sign>(out);
    case Opcode::k_square: return number1<Square>(out);
    case Opcode::k_relu: return number1<Relu>(out);
    case Opcode::k_floor:
    case Opcode::k_ceil:
    case Opcode::k_round: return number1<Same>(out);
    case Opcode::k_add: return number2<Add>(out);
    case Opcode::k_subtract: return number2<Subtract>(out);
    case Opcode::k_multiply: return number2<Multiply>(out);
    case Opcode::k_maximum: return number2<Maximum>(out);
    case Opcode::k_minimum: return number2<Minimum>(out);
    case Opcode::k_square_difference: return number2<SquareDifference>(out);
    case Opcode::k_floor_divide: return number2<FloorDivide>(out);
    case Opcode::k_mod: return number2<Mod>(out);
    case Opcode::k_power: return number2<Power>(out);
    case Opcode::k_clip:
      return choose_map<group3<int32_t, int32_t, int32_t, int32_t, Clip>, group3<int64_t, int64_t, int64_t, int64_t, Clip>, false>(out);
    default: return nullptr;
  }
}

}  // namespace nnlite::NN_ISA
