// Grouped convolutions with few channels in every group, computed as depthwise ones that add up several channels. Each returns false, and does
// nothing, when another kernel should do it. Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/kernel.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace depthwise {

bool prepare_grouped_conv2d(Prepare& prepare);
bool prepare_grouped_input_grad(Prepare& prepare);
bool prepare_grouped_kernel_grad(Prepare& prepare);

}  // namespace depthwise
}  // namespace nnlite::NN_ISA
