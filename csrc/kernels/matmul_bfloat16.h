// Products of bfloat16 by instructions that multiply pairs, where the instruction set has them. Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/gemm_plan.h"
#include "kernels/kernel.h"

namespace nnlite::NN_ISA {

#if defined(NN_COMPILE_AVX512)
constexpr bool kHasBFloat16Pairs = true;
#else
constexpr bool kHasBFloat16Pairs = false;
#endif

// Prepares the product that `plan` describes: one matrix of A and one of B, neither packed nor swapped. Defined in matmul_bfloat16.isa.cpp.
void prepare_bfloat16_pairs(Prepare& prepare, const MatmulPlan& plan);

}  // namespace nnlite::NN_ISA
