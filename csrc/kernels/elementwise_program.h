// An elementwise program as read from the attributes, before it is laid out.
#pragma once
#include "kernels/elementwise.h"

namespace nnlite {

struct ElementwiseProgram {
  int inputs, instructions, results;
  Opcode opcodes[kMaxInstructions];
  int64_t args[3 * kMaxInstructions];  // registers; -1 where absent
  double params[kMaxInstructions];     // the value of a constant
  DType dtypes[kMaxRegisters];
  int64_t registers[kMaxResults];  // of the outputs
  bool needed[kMaxInstructions];   // reaches a result
};

// Replaces frequent groups of instructions by one with the same bits (the gradients of relu, sigmoid and tanh, the square of a difference), and
// fills in `needed`.
void combine_instructions(ElementwiseProgram* program);

}  // namespace nnlite
