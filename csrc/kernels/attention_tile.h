// Matrix products of attention: all matrices are working copies whose rows are padded to whole vectors, so only whole tiles occur.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "core/cpu.h"

namespace nnlite::NN_ISA {
namespace attention {

// C[rows, columns] (+)= A[rows, k] B[k, columns], one accumulator per element, k ascending.
template <class T>
struct Product {
  const T* a;
  int64_t a_row, a_col;  // element strides of A
  const T* b;
  int64_t ldb;
  int64_t b_panel;  // elements from one panel of 64 columns of B to the next
  T* c;
  int64_t ldc;
  int64_t rows;     // up to 3 more are read and written
  int64_t columns;  // a multiple of 16
  int64_t k;
  bool accumulate;
};

// Defined in attention_tile.isa.cpp.
void multiply(const Product<float>& product);
void multiply(const Product<double>& product);

}  // namespace attention
}  // namespace nnlite::NN_ISA
