// Tiles of depthwise convolutions and what the depthwise kernels share. Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Writes every channel of `pixels` pixels `multiplier` times.
template <class T>
void repeat_channels(const T* x, int64_t pixels, int64_t channels, int64_t multiplier, T* to) {
  for (int64_t i = 0; i < pixels * channels; ++i) {
    for (int64_t m = 0; m < multiplier; ++m) *to++ = x[i];
  }
}

// The sum of every `multiplier` neighbours.
template <class T>
void add_repeated(const T* from, int64_t elements, int64_t multiplier, T* to) {
  for (int64_t i = 0; i < elements; ++i) {
    T sum = from[i * multiplier];
    for (int64_t m = 1; m < multiplier; ++m) sum += from[i * multiplier + m];
    to[i] = sum;
  }
}

}  // namespace
}  // namespace depthwise
}  // namespace nnlite::NN_ISA
