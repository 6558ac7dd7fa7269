// Rare elementwise instructions that call libm element by element: the same code, and so the same bits, for every instruction set.
#pragma once
#include "kernels/elementwise.h"

namespace nnlite {

// asin acos atan sinh cosh atan2 mod floor_divide of any floating point dtype; sin cos tan erf power of float64. Null for others.
MapFunction find_libm_map(Opcode opcode, DType dtype);

}  // namespace nnlite
