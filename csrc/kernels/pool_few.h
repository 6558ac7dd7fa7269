// Average pooling of few channels, whose pixels fill a small part of a vector: whole rows are added up as flat arrays, and pixels are picked from
// them, or spread over them, by small copies.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/pool_common.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kFewChannels = 8, kFewSlack = 64;  // numbers that may be written or read behind a row

// Numbers of scratch: two rows.
NN_INLINE int64_t few_scratch(const PoolShape& s) { return 2 * (s.iw * s.c + kFewSlack); }
template <class Item>
NN_INLINE bool has_few_channels(const PoolShape& s) {
  return s.c <= kFewChannels && 2 * s.c <= Vec<NumberOf<Item>>::kLanes;
}

// Calls function(copy) with a copy(from, to) of one pixel. What it writes too much belongs to later pixels, which overwrite it, or is never read.
template <class Number, class Function>
NN_INLINE void with_copy(int64_t c, Function function) {
  if (c <= 4) return function([](const Number* from, Number* to) { __builtin_memcpy(to, from, 4 * sizeof(Number)); });
  function([](const Number* from, Number* to) { __builtin_memcpy(to, from, 8 * sizeof(Number)); });
}

// Means of `count` windows of `rows` x s.kw cells, all inside the input, the first at x.
template <class Item>
__attribute__((noinline)) void average_few(const PoolShape& s, const Item* x, int64_t rows, int64_t count, NumberOf<Item>* scratch, Item* y) {
  using Number = NumberOf<Item>;
  const int64_t row = s.iw * s.c, step = s.sw * s.c, seen = (count - 1) * step + s.kw * s.c, sums = (count - 1) * step + s.c;
  Number *columns = scratch, *windows = scratch + row + kFewSlack;
  for_channels<Item>(seen, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    Vec<Number> sum = load_lanes<decltype(flag)::kFull>(x + j, n);
    for (int64_t r = 1; r < rows; ++r) sum += load_lanes<decltype(flag)::kFull>(x + j + r * row, n);
    store(columns + j, sum);
  });
  for (int64_t j = 0; j < sums; j += Vec<Number>::kLanes) {
    Vec<Number> sum = load(columns + j);
    for (int64_t q = 1; q < s.kw; ++q) sum += load(columns + j + q * s.c);
    store(windows + j, sum);
  }
  with_copy<Number>(s.c, [=](auto copy) {
    for (int64_t i = 0; s.sw > 1 && i < count; ++i) copy(windows + i * step, columns + i * s.c);
  });
  const Number* picked = s.sw > 1 ? columns : windows;
  const Vec<Number> cells = splat(static_cast<Number>(rows * s.kw));
  for_channels<Item>(count * s.c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    store_lanes<decltype(flag)::kFull>(y + j, load(picked + j) / cells, n);
  });
}

// A row of dx under `count` windows side by side, of s.kw columns each: each takes `share` of its window's dy.
template <class Item>
__attribute__((noinline)) void spread_few(const PoolShape& s, const Item* dy, int64_t count, NumberOf<Item> share, NumberOf<Item>* scratch,
                                          Item* dx) {
  using Number = NumberOf<Item>;
  Number *shares = scratch, *spread = scratch + s.iw * s.c + kFewSlack;
  for_channels<Item>(count * s.c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    store(shares + j, load_lanes<decltype(flag)::kFull>(dy + j, n) * splat(share));
  });
  with_copy<Number>(s.c, [=](auto copy) {
    Number* to = spread;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t q = 0; q < s.kw; ++q, to += s.c) copy(shares + i * s.c, to);
    }
  });
  for_channels<Item>(count * s.kw * s.c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    store_lanes<decltype(flag)::kFull>(dx + j, load(spread + j), n);
  });
}

}  // namespace
}  // namespace nnlite::NN_ISA
