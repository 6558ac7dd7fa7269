// Loops over registers of any element types, in groups of 16 elements that the compiler vectorizes.
#pragma once
#include <cstring>

#include "kernels/elementwise.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {

template <class T>
struct UnsignedOf;
template <>
struct UnsignedOf<int8_t> {
  using Type = uint32_t;  // arithmetic on narrow types happens in 32 bits
};
template <>
struct UnsignedOf<uint8_t> {
  using Type = uint32_t;
};
template <>
struct UnsignedOf<int32_t> {
  using Type = uint32_t;
};
template <>
struct UnsignedOf<int64_t> {
  using Type = uint64_t;
};

constexpr int kGroup = 16;

// The next 16 elements of an operand, or 16 copies of its value.
template <class T>
struct GroupCursor {
  const char* p;
  int64_t step;
  explicit NN_ALWAYS GroupCursor(const Operand& operand) : p(operand.data), step(operand.step * kGroup * static_cast<int64_t>(sizeof(T))) {}
  NN_ALWAYS void next(T* values) {
    memcpy(values, p, sizeof(T) * kGroup);
    p += step;
  }
  NN_ALWAYS void last(T* values, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) memcpy(values + i, p + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  }
};

template <class A, class R, class Op>
void group1(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  GroupCursor<A> a(registers[args[0]]);
  A x[kGroup] = {};
  R y[kGroup];
  for (R* to = static_cast<R*>(out); n > 0; n -= kGroup, to += kGroup) {
    const int64_t m = n < kGroup ? n : kGroup;
    m == kGroup ? a.next(x) : a.last(x, m);
    for (int i = 0; i < kGroup; ++i) y[i] = Op::run(x[i]);
    if (m == kGroup) {
      memcpy(to, y, sizeof(y));
    } else {
      for (int64_t i = 0; i < m; ++i) to[i] = y[i];
    }
  }
}

template <class A, class B, class R, class Op>
void group2(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  GroupCursor<A> a(registers[args[0]]);
  GroupCursor<B> b(registers[args[1]]);
  A x[kGroup] = {};
  B y[kGroup] = {};
  R z[kGroup];
  for (R* to = static_cast<R*>(out); n > 0; n -= kGroup, to += kGroup) {
    const int64_t m = n < kGroup ? n : kGroup;
    m == kGroup ? a.next(x) : a.last(x, m);
    m == kGroup ? b.next(y) : b.last(y, m);
    for (int i = 0; i < kGroup; ++i) z[i] = Op::run(x[i], y[i]);
    if (m == kGroup) {
      memcpy(to, z, sizeof(z));
    } else {
      for (int64_t i = 0; i < m; ++i) to[i] = z[i];
    }
  }
}

template <class A, class B, class C, class R, class Op>
void group3(const Operand* registers, const int16_t* args, void* out, int64_t n) {
  GroupCursor<A> a(registers[args[0]]);
  GroupCursor<B> b(registers[args[1]]);
  GroupCursor<C> c(registers[args[2]]);
  A x[kGroup] = {};
  B y[kGroup] = {};
  C z[kGroup] = {};
  R w[kGroup];
  for (R* to = static_cast<R*>(out); n > 0; n -= kGroup, to += kGroup) {
    const int64_t m = n < kGroup ? n : kGroup;
    m == kGroup ? a.next(x) : a.last(x, m);
    m == kGroup ? b.next(y) : b.last(y, m);
    m == kGroup ? c.next(z) : c.last(z, m);
    for (int i = 0; i < kGroup; ++i) w[i] = Op::run(x[i], y[i], z[i]);
    if (m == kGroup) {
      memcpy(to, w, sizeof(w));
    } else {
      for (int64_t i = 0; i < m; ++i) to[i] = w[i];
    }
  }
}

}  // namespace nnlite::NN_ISA
