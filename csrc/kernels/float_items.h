// float32, float64 and bfloat16 as kernels see them: how elements are read into vectors and written back.
#pragma once
#include "simd/vec.h"

namespace nnlite::NN_ISA {

// How the elements of a floating point dtype are read and written: a struct with the vector type that computes.
struct Float32 {
  using Item = float;
  using Number = float;
  using V = Vec<float>;
  static constexpr int kLanes = 16;
  static NN_ALWAYS V read(const Item* p) { return load(p); }
  static NN_ALWAYS V read_part(const Item* p, int n) { return load_part(p, n); }
  static NN_ALWAYS void write(Item* p, V v) { store(p, v); }
  static NN_ALWAYS void write_part(Item* p, V v, int n) { store_part(p, v, n); }
};
struct Float64 {
  using Item = double;
  using Number = double;
  using V = Vec<double>;
  static constexpr int kLanes = 8;
  static NN_ALWAYS V read(const Item* p) { return load(p); }
  static NN_ALWAYS V read_part(const Item* p, int n) { return load_part(p, n); }
  static NN_ALWAYS void write(Item* p, V v) { store(p, v); }
  static NN_ALWAYS void write_part(Item* p, V v, int n) { store_part(p, v, n); }
};
// bfloat16 computes in float and rounds to nearest even.
struct BFloat16 {
  using Item = uint16_t;
  using Number = float;
  using V = Vec<float>;
  static constexpr int kLanes = 16;
  static NN_ALWAYS V read(const Item* p) { return as_float(shift_left<16>(load_u16(p))); }
  static NN_ALWAYS V read_part(const Item* p, int n) { return as_float(shift_left<16>(load_u16_part(p, n))); }
  static NN_ALWAYS void write(Item* p, V v) { store_u16(p, rounded(v)); }
  static NN_ALWAYS void write_part(Item* p, V v, int n) { store_u16_part(p, rounded(v), n); }
  static NN_ALWAYS Vec<int32_t> rounded(V v) {
    const Vec<int32_t> b = as_int(v);
    const Vec<int32_t> nearest = shift_right<16>(b + splat(0x7fff) + (shift_right<16>(b) & splat(1)));
    return select(v == v, nearest, splat(0x7fc0));
  }
};

// A number as an element, rounded to nearest even.
NN_INLINE float to_item(Float32, float x) { return x; }
NN_INLINE float to_item(Float32, double x) { return static_cast<float>(x); }
NN_INLINE double to_item(Float64, double x) { return x; }
NN_INLINE uint16_t to_item(BFloat16, float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return x != x ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
NN_INLINE uint16_t to_item(BFloat16 item, double x) { return to_item(item, static_cast<float>(x)); }
NN_INLINE float to_number(Float32, float x) { return x; }
NN_INLINE double to_number(Float64, double x) { return x; }
NN_INLINE float to_number(BFloat16, uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float number;
  __builtin_memcpy(&number, &bits, sizeof(number));
  return number;
}

// 0, 1, 2, ...
NN_INLINE Vec<float> lane_numbers(Vec<float>) {
  static constexpr float kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(kNumbers);
}
NN_INLINE Vec<double> lane_numbers(Vec<double>) {
  static constexpr double kNumbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  return load(kNumbers);
}
// The first n lanes of v; `rest` beyond.
template <class T>
NN_INLINE Vec<T> keep_first(Vec<T> v, int n, Vec<T> rest) {
  return select(lane_numbers(v) < splat(static_cast<T>(n)), v, rest);
}

}  // namespace nnlite::NN_ISA
