// Conversions between all dtypes. Floats become integers by truncation; what does not fit becomes the smallest integer (for 8-bit types: the low
// bits of its int32). Integers wrap. Anything but 0 (NaN too) is true.
#include "kernels/elementwise_groups.h"
#include "kernels/elementwise_maps.h"

namespace nnlite::NN_ISA {
namespace {

template <class T>
struct IsFloat {
  static constexpr bool value = false;
};
template <>
struct IsFloat<float> {
  static constexpr bool value = true;
};
template <>
struct IsFloat<double> {
  static constexpr bool value = true;
};

template <class To>
struct Convert {
  template <class From>
  static NN_ALWAYS To run(From x) {
    if constexpr (IsFloat<From>::value && sizeof(To) == 1) {
      return static_cast<To>(static_cast<int32_t>(x));
    } else {
      return static_cast<To>(x);
    }
  }
};
struct Truth {
  template <class From>
  static NN_ALWAYS uint8_t run(From x) {
    return x != 0;
  }
};

// The frequent conversions, in vectors.
template <class E>
void from_float(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<Float32> a(registers[args[0]]);
  auto* y = static_cast<typename E::Item*>(out);
  for (; n >= 16; n -= 16, y += 16) E::write(y, a.next());
  if (n > 0) E::write_part(y, a.last(static_cast<int>(n)), static_cast<int>(n));
}
template <class E>
void to_float_map(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<E> a(registers[args[0]]);
  auto* y = static_cast<float*>(out);
  for (; n >= 16; n -= 16, y += 16) store(y, a.next());
  if (n > 0) store_part(y, a.last(static_cast<int>(n)), static_cast<int>(n));
}
// Integer items read and written through float vectors; NN_ALWAYS members as in Float32.
struct Int32Item {
  using Item = int32_t;
  using V = Vec<float>;
  static constexpr int kLanes = 16;
  static NN_ALWAYS V read(const Item* p) { return to_float(load(p)); }
  static NN_ALWAYS V read_part(const Item* p, int n) { return to_float(load_part(p, n)); }
  static NN_ALWAYS void write(Item* p, V v) { store(p, trunc_to_int(v)); }
  static NN_ALWAYS void write_part(Item* p, V v, int n) { store_part(p, trunc_to_int(v), n); }
};
struct UInt8Item {
  using Item = uint8_t;
  using V = Vec<float>;
  static constexpr int kLanes = 16;
  static NN_ALWAYS V read(const Item* p) { return to_float(load_u8(p)); }
  static NN_ALWAYS V read_part(const Item* p, int n) { return to_float(load_u8_part(p, n)); }
  static NN_ALWAYS void write(Item* p, V v) { store_u8(p, trunc_to_int(v)); }
  static NN_ALWAYS void write_part(Item* p, V v, int n) { store_u8_part(p, trunc_to_int(v), n); }
};
struct BoolItem : UInt8Item {
  static NN_ALWAYS V read(const Item* p) { return select(load_mask<float>(p), splat(1.0f), V::zero()); }
  static NN_ALWAYS V read_part(const Item* p, int n) { return select(load_mask_part<float>(p, n), splat(1.0f), V::zero()); }
  static NN_ALWAYS void write(Item* p, V v) { store_mask(p, v != V::zero()); }
  static NN_ALWAYS void write_part(Item* p, V v, int n) { store_mask_part(p, v != V::zero(), n); }
};

template <class From>
MapFunction find_from(DType to) {
  switch (to) {
    case DType::kFloat32: return group1<From, float, Convert<float>>;
    case DType::kFloat64: return group1<From, double, Convert<double>>;
    case DType::kInt32: return group1<From, int32_t, Convert<int32_t>>;
    case DType::kInt64: return group1<From, int64_t, Convert<int64_t>>;
    case DType::kUInt8: return group1<From, uint8_t, Convert<uint8_t>>;
    case DType::kInt8: return group1<From, int8_t, Convert<int8_t>>;
    case DType::kBool: return group1<From, uint8_t, Truth>;
    default: return nullptr;
  }
}
struct Same {
  template <class T>
  static NN_ALWAYS T run(T x) {
    return x;
  }
};
MapFunction find_copy(DType dtype) {
  switch (dtype_size(dtype)) {
    case 8: return group1<int64_t, int64_t, Same>;
    case 4: return map1<Float32, Same>;
    case 2: return group1<uint16_t, uint16_t, Same>;
    default: return group1<uint8_t, uint8_t, Same>;
  }
}

// bfloat16 meets the other dtypes through float.
template <class To, class Op>
void from_bfloat16(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  Cursor<BFloat16> a(registers[args[0]]);
  float x[kGroup];
  for (To* y = static_cast<To*>(out); n > 0; n -= kGroup, y += kGroup) {
    const int m = n < kGroup ? static_cast<int>(n) : kGroup;
    store(x, m == kGroup ? a.next() : a.last(m));
    for (int i = 0; i < m; ++i) y[i] = Op::run(x[i]);
  }
}
template <class From>
void to_bfloat16(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  GroupCursor<From> a(registers[args[0]]);
  From x[kGroup] = {};
  float f[kGroup];
  for (uint16_t* y = static_cast<uint16_t*>(out); n > 0; n -= kGroup, y += kGroup) {
    const int m = n < kGroup ? static_cast<int>(n) : kGroup;
    m == kGroup ? a.next(x) : a.last(x, m);
    for (int i = 0; i < kGroup; ++i) f[i] = static_cast<float>(x[i]);
    BFloat16::write_part(y, load(f), m);
  }
}
MapFunction find_from_bfloat16(DType to) {
  switch (to) {
    case DType::kFloat32: return to_float_map<BFloat16>;
    case DType::kFloat64: return from_bfloat16<double, Convert<double>>;
    case DType::kInt32: return from_bfloat16<int32_t, Convert<int32_t>>;
    case DType::kInt64: return from_bfloat16<int64_t, Convert<int64_t>>;
    case DType::kUInt8: return from_bfloat16<uint8_t, Convert<uint8_t>>;
    case DType::kInt8: return from_bfloat16<int8_t, Convert<int8_t>>;
    case DType::kBool: return from_bfloat16<uint8_t, Truth>;
    default: return nullptr;
  }
}
MapFunction find_to_bfloat16(DType from) {
  switch (from) {
    case DType::kFloat32: return from_float<BFloat16>;
    case DType::kFloat64: return to_bfloat16<double>;
    case DType::kInt32: return to_bfloat16<int32_t>;
    case DType::kInt64: return to_bfloat16<int64_t>;
    case DType::kUInt8: return to_bfloat16<uint8_t>;
    case DType::kInt8: return to_bfloat16<int8_t>;
    case DType::kBool: return to_bfloat16<uint8_t>;
    default: return nullptr;
  }
}

// ---- widened instructions ----

constexpr int64_t kWidenedPiece = 256;

NN_INLINE int64_t item_bytes(Narrow item) { return item == Narrow::kBFloat16 ? 2 : 1; }

// n elements at element `at` of `from` in the wider type.
void widen(Narrow item, const char* from, int64_t at, int64_t n, int32_t* to) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(from) + at * item_bytes(item);
  const auto* words = reinterpret_cast<const uint16_t*>(bytes);
  const auto* numbers = reinterpret_cast<const int8_t*>(bytes);
  const int64_t whole = n - n % 16;
  const int rest = static_cast<int>(n - whole);
  switch (item) {
    case Narrow::kBFloat16:
      for (int64_t i = 0; i < whole; i += 16) store(to + i, shift_left<16>(load_u16(words + i)));
      if (rest > 0) store(to + whole, shift_left<16>(load_u16_part(words + whole, rest)));
      return;
    case Narrow::kUInt8:
      for (int64_t i = 0; i < whole; i += 16) store(to + i, load_u8(bytes + i));
      if (rest > 0) store(to + whole, load_u8_part(bytes + whole, rest));
      return;
    case Narrow::kInt8:
      for (int64_t i = 0; i < whole; i += 16) store(to + i, load_i8(numbers + i));
      if (rest > 0) store(to + whole, load_i8_part(numbers + whole, rest));
  }
}
void narrow(Narrow item, const int32_t* from, char* to, int64_t at, int64_t n) {
  auto* bytes = reinterpret_cast<uint8_t*>(to) + at * item_bytes(item);
  auto* words = reinterpret_cast<uint16_t*>(bytes);
  const int64_t whole = n - n % 16;
  const int rest = static_cast<int>(n - whole);
  if (item == Narrow::kBFloat16) {
    for (int64_t i = 0; i < whole; i += 16) BFloat16::write(words + i, as_float(load(from + i)));
    if (rest > 0) BFloat16::write_part(words + whole, as_float(load(from + whole)), rest);
  } else {
    for (int64_t i = 0; i < whole; i += 16) store_u8(bytes + i, load(from + i));
    if (rest > 0) store_u8_part(bytes + whole, load(from + whole), rest);
  }
}

}  // namespace

void run_widened(MapFunction map, Narrow item, bool truth, const Operand* registers, const int16_t* args, void* out, int64_t n) {
  alignas(64) int32_t inputs[3][kWidenedPiece], result[kWidenedPiece];
  char* to = static_cast<char*>(out);
  Operand wide[3];
  int16_t places[3];
  for (int16_t i = 0; i < 3; ++i) places[i] = i > 0 && args[i] == args[0] ? 0 : i > 1 && args[i] == args[1] ? 1 : i;
  for (int64_t at = 0; at < n; at += kWidenedPiece) {
    const int64_t m = n - at < kWidenedPiece ? n - at : kWidenedPiece;
    for (int16_t i = 0; i < 3; ++i) {
      const Operand& x = registers[args[i]];
      if (places[i] != i) continue;
      if (x.step != 0 || at == 0) widen(item, x.data, x.step * at, x.step != 0 ? m : 16, inputs[i]);
      wide[i] = {reinterpret_cast<const char*>(inputs[i]), x.step};
    }
    map(wide, places, truth ? static_cast<void*>(to + at) : result, m);
    if (!truth) narrow(item, result, to, at, m);
  }
}

MapFunction find_cast_map(Opcode opcode, const DType* in, DType out) {
  if (opcode != Opcode::k_cast) return nullptr;
  const DType from = in[0];
  if (from == out) return find_copy(out);
  if (from == DType::kBFloat16) return find_from_bfloat16(out);
  if (out == DType::kBFloat16) return find_to_bfloat16(from);
  if (from == DType::kFloat32 && out == DType::kInt32) return from_float<Int32Item>;
  if (from == DType::kFloat32 && out == DType::kUInt8) return from_float<UInt8Item>;
  if (from == DType::kFloat32 && out == DType::kBool) return from_float<BoolItem>;
  if (from == DType::kInt32 && out == DType::kFloat32) return to_float_map<Int32Item>;
  if (from == DType::kUInt8 && out == DType::kFloat32) return to_float_map<UInt8Item>;
  if (from == DType::kBool && out == DType::kFloat32) return to_float_map<BoolItem>;
  switch (from) {
    case DType::kFloat32: return find_from<float>(out);
    case DType::kFloat64: return find_from<double>(out);
    case DType::kInt32: return find_from<int32_t>(out);
    case DType::kInt64: return find_from<int64_t>(out);
    case DType::kUInt8:
    case DType::kBool: return find_from<uint8_t>(out);
    case DType::kInt8: return find_from<int8_t>(out);
    default: return nullptr;
  }
}

}  // namespace nnlite::NN_ISA
