// Elements of every dtype read into the lanes that compute with them, and written back: whole vectors or parts of one, chosen at compile time.
// uint16_t stands for bfloat16, which computes in float; uint8_t and int8_t compute in int32.
#pragma once
#include "kernels/float_items.h"
#include "kernels/shape_math.h"

namespace nnlite::NN_ISA {
namespace {

template <class Item>
struct NumberOfItem {
  using Type = Item;
};
template <>
struct NumberOfItem<uint16_t> {
  using Type = float;
};
template <>
struct NumberOfItem<uint8_t> {
  using Type = int32_t;
};
template <>
struct NumberOfItem<int8_t> {
  using Type = int32_t;
};
template <class Item>
using NumberOf = typename NumberOfItem<Item>::Type;

// All lanes, or the first n of them (zeros behind).
template <bool full, class Item>
NN_INLINE Vec<NumberOf<Item>> load_lanes(const Item* p, int n) {
  if constexpr (sizeof(Item) == 2) {
    return full ? BFloat16::read(p) : BFloat16::read_part(p, n);
  } else if constexpr (sizeof(Item) == 1) {
    if constexpr (static_cast<Item>(-1) > 0) {
      return full ? load_u8(p) : load_u8_part(p, n);
    } else {
      return full ? load_i8(p) : load_i8_part(p, n);
    }
  } else if constexpr (full) {
    return load(p);
  } else {
    return load_part(p, n);
  }
}
template <bool full, class Item>
NN_INLINE void store_lanes(Item* p, Vec<NumberOf<Item>> v, int n) {
  if constexpr (sizeof(Item) == 2) {
    return full ? BFloat16::write(p, v) : BFloat16::write_part(p, v, n);
  } else if constexpr (sizeof(Item) == 1) {
    uint8_t* bytes = reinterpret_cast<uint8_t*>(p);
    return full ? store_u8(bytes, v) : store_u8_part(bytes, v, n);
  } else if constexpr (full) {
    store(p, v);
  } else {
    store_part(p, v, n);
  }
}

// One element.
template <class Item>
NN_INLINE NumberOf<Item> to_number(Item x) {
  if constexpr (sizeof(Item) == 2) {
    return to_number(BFloat16(), x);
  } else {
    return x;
  }
}
template <class Item>
NN_INLINE Item to_item(NumberOf<Item> x) {
  if constexpr (sizeof(Item) == 2) {
    return to_item(BFloat16(), x);
  } else {
    return static_cast<Item>(x);
  }
}

// Tells a loop's body at compile time whether its vector is whole.
template <bool value>
struct Whole {
  static constexpr bool kFull = value;
};

}  // namespace
}  // namespace nnlite::NN_ISA
