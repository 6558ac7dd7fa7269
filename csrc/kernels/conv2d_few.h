// Convolutions with few filters: lanes run over pixels instead. Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "kernels/conv2d_plan.h"

namespace nnlite::NN_ISA {
namespace conv {

// Pixels of the result: all of [.., ..) in each axis.
struct Block {
  int64_t image_begin, image_end, row_begin, row_end, col_begin, col_end;
};

// Computes a block if this instruction set has tiles for so many columns and all weights are finite; else returns false. Arguments as
// run_panel's; `scratch` is the thread's.
bool run_few_filters(const DensePlan& plan, const DenseConv& conv, const Block& block, const float* in, const float* weights, int64_t ldb,
                     const float* bias, float* out, float* scratch);

}  // namespace conv
}  // namespace nnlite::NN_ISA
