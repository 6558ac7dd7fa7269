// Winograd kernels as alternatives to direct ones. Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/kernel.h"

namespace nnlite::NN_ISA {
namespace winograd {

// Prepare the call and return true, or return false when Winograd is not for it; then nothing has been prepared.
bool prepare_conv2d(Prepare& prepare);
bool prepare_input_grad(Prepare& prepare);
bool prepare_kernel_grad(Prepare& prepare);

}  // namespace winograd
}  // namespace nnlite::NN_ISA
