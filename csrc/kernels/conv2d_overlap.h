// Input gradients with strides to few channels, which is what transposed convolutions to images are.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/kernel.h"

namespace nnlite::NN_ISA {
namespace conv {

// Prepares the call and returns true, or returns false, having done nothing, when it is for another kernel.
bool prepare_overlap_input_grad(Prepare& prepare);

}  // namespace conv
}  // namespace nnlite::NN_ISA
