// Arithmetic of sizes and indices. May be included by per-ISA files: no STL, always inlined.
#pragma once
#include <cstdint>

#define NN_INTEGER [[maybe_unused]] __attribute__((always_inline)) static inline constexpr

namespace nnlite {

NN_INTEGER int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
NN_INTEGER int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Quotient and multiple, rounded up; a >= 0, b > 0.
NN_INTEGER int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
NN_INTEGER int64_t round_up(int64_t a, int64_t multiple) { return ceil_div(a, multiple) * multiple; }

}  // namespace nnlite

#undef NN_INTEGER
