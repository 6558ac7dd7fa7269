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

// The first n of 16 bytes.
#if defined(NN_COMPILE_AVX512)
NN_INLINE Vec<int32_t> load_bytes_part(const uint8_t* p, int n) {
  Vec<int32_t> v;
  v.r.r = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(native::first16(n), p));
  return v;
}
NN_INLINE Vec<int32_t> load_bytes_part(const int8_t* p, int n) {
  Vec<int32_t> v;
  v.r.r = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(native::first16(n), p));
  return v;
}
NN_INLINE void store_bytes_part(void* p, Vec<int32_t> v, int n) { _mm512_mask_cvtepi32_storeu_epi8(p, native::first16(n), v.r.r); }
#else
NN_INLINE Vec<int32_t> load_bytes_part(const uint8_t* p, int n) {
  uint8_t bytes[16] = {};
  for (int i = 0; i < n; ++i) bytes[i] = p[i];
  return load_u8(bytes);
}
NN_INLINE Vec<int32_t> load_bytes_part(const int8_t* p, int n) {
  int8_t bytes[16] = {};
  for (int i = 0; i < n; ++i) bytes[i] = p[i];
  return load_i8(bytes);
}
NN_INLINE void store_bytes_part(void* p, Vec<int32_t> v, int n) {
  uint8_t bytes[16];
  store_u8(bytes, v);
  for (int i = 0; i < n; ++i) static_cast<uint8_t*>(p)[i] = bytes[i];
}
#endif

// All lanes, or the first n of them (zeros behind).
template <bool full, class Item>
NN_INLINE Vec<NumberOf<Item>> load_lanes(const Item* p, int n) {
  if constexpr (sizeof(Item) == 2) {
    return full ? BFloat16::read(p) : BFloat16::read_part(p, n);
  } else if constexpr (sizeof(Item) == 1) {
    if constexpr (!full) return load_bytes_part(p, n);
    if constexpr (static_cast<Item>(-1) > 0)
      return load_u8(p);
    else
      return load_i8(p);
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
    return full ? store_u8(reinterpret_cast<uint8_t*>(p), v) : store_bytes_part(p, v, n);
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
