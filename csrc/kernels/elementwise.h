// The `elementwise` kernel: a program of instructions over registers, run block by block so that intermediate results stay in the L1 cache.
//
// Shapes and cutting are the same for every instruction set and live in elementwise_plan.cpp; the instructions ("maps") are vector code,
// found per instruction set by opcode and dtypes; elementwise.isa.cpp drives them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernel.h"

namespace nnlite {

// Opcode names are the enumerators without the k, in snake case, as in the primitive set of docs/engine.md. Beyond the primitives:
// constant; relu_grad(dy, y) = y > 0 ? dy : 0; sigmoid_grad(dy, y) = dy y (1 - y); tanh_grad(dy, y) = dy (1 - y^2);
// square_difference(a, b) = (a - b)^2; clip(x, low, high); gelu_grad(dy, x), dy times the derivative of gelu.
// clang-format off
#define NN_ELEMENTWISE_OPCODES(X)                                                                                                       \
  X(constant) X(cast) X(where)                                                                                                          \
  X(negative) X(abs) X(sign) X(exp) X(expm1) X(log) X(log1p) X(sqrt) X(rsqrt) X(reciprocal) X(square) X(sin) X(cos) X(tan) X(tanh)      \
  X(sigmoid) X(erf) X(relu) X(floor) X(ceil) X(round) X(isnan) X(isinf) X(isfinite) X(logical_not) X(asin) X(acos) X(atan) X(sinh)      \
  X(cosh)                                                                                                                               \
  X(add) X(subtract) X(multiply) X(divide) X(power) X(maximum) X(minimum) X(mod) X(floor_divide) X(atan2) X(equal) X(not_equal) X(less) \
  X(less_equal) X(greater) X(greater_equal) X(logical_and) X(logical_or) X(logical_xor)                                                 \
  X(relu_grad) X(sigmoid_grad) X(tanh_grad) X(square_difference) X(clip) X(gelu) X(gelu_grad)
// clang-format on

enum class Opcode : uint8_t {
#define NN_OPCODE(name) k_##name,
  NN_ELEMENTWISE_OPCODES(NN_OPCODE)
#undef NN_OPCODE
};

// A block of a register: n elements from `data` (step 1), or one value repeated for a whole vector (step 0).
struct Operand {
  const char* data;
  int64_t step;
};
constexpr int64_t kSplatBytes = 128;  // 16 elements of 8 bytes
constexpr int64_t kExpandSlack = 64;  // copied rows may be written in whole vectors of floats

// Applies one instruction to n elements of the registers that `args` names (up to three). `out` may be the data of an operand of
// the same element size.
using MapFunction = void (*)(const Operand* registers, const int16_t* args, void* out, int64_t n);

constexpr int kMaxProgramInputs = 32;
constexpr int kMaxInstructions = 64;
constexpr int kMaxRegisters = kMaxProgramInputs + kMaxInstructions;
constexpr int kMaxResults = 32;

struct Instruction {
  MapFunction run;
  int16_t args[3];  // registers; unused ones repeat the first
  int16_t result;   // register
  Opcode opcode;
};

// How a block of an input is found. `rows` are runs of `inner` elements.
enum class InputMode : uint8_t {
  kFull,       // the input has the program's shape: a pointer
  kScalar,     // one element: repeated once per call
  kPiece,      // rows in pieces: a pointer into the input's own row
  kRowScalar,  // rows in pieces: one element a row
  kTiled,      // whole rows: the same row every time, repeated once per call
  kExpanded,   // whole rows: copied row by row, or element by element when its inner stride is 0
};

struct ProgramInput {
  InputMode mode;
  uint8_t item;               // bytes of an element
  uint8_t inner_stride;       // 0 or 1
  int64_t strides[kMaxRank];  // elements, of the outer axes
  int64_t scratch;            // offset in the thread scratch
};

enum class ReduceForm : uint8_t { kNone, kAll, kTrailing, kLeading };

// The program's elements are `units` runs of `unit` elements: one run when nothing is reduced or all is; one per result of a trailing sum;
// one per summed row of a leading sum. Units are cut into blocks of whole rows or of pieces of one row. A block
// holds several units, or a part of one.
struct ElementwiseState {
  int num_inputs, num_instructions, num_results;
  int num_slots;  // registers after the inputs: instructions and constants
  bool copies;    // some result is not written by an instruction
  ProgramInput inputs[kMaxProgramInputs];
  Instruction instructions[kMaxInstructions];
  int64_t register_scratch[kMaxRegisters];   // offset in the thread scratch, or -1: an input, a constant or a direct result
  int16_t register_result[kMaxRegisters];    // which output the register is written to, or -1
  int64_t register_constant[kMaxRegisters];  // byte offset in `constants`, or -1
  uint8_t register_item[kMaxRegisters];
  int16_t results[kMaxResults];

  int outer_rank;
  int64_t outer_dims[kMaxRank];
  int64_t inner;  // elements of a row
  int64_t units, unit;
  int64_t unit_rows;        // rows of a unit
  bool whole_rows;          // blocks are whole rows, else pieces of one
  int64_t row_blocks;       // pieces of a row, when they are
  int64_t block;            // elements of a full block
  int64_t units_per_block;  // 0: a block is a part of a unit
  int64_t blocks_per_unit;  // 0: a block holds whole units
  int64_t blocks;           // in all
  int64_t chunk_blocks;     // blocks of a chunk in phase 0

  ReduceForm reduce;
  bool by_columns;         // a leading sum cut by columns: chunks are parts of the unit
  int64_t splits;          // partial results of every output (1: written directly)
  int64_t split_blocks;    // kAll, kTrailing: blocks of a split; kLeading: of a split of the units
  int64_t split_chunk;     // kTrailing: splits of a chunk
  int64_t column_scratch;  // by_columns: offset of a block of sums in the thread scratch
  char constants[1];       // kSplatBytes for each constant instruction
};

// Reads the program and the shapes, cuts the work, lays out scratch and declares the phases; leaves `run` of the instructions and set_run to the
// caller.
ElementwiseState* plan_elementwise(Prepare& prepare, DType* register_dtypes);

const char* opcode_name(Opcode opcode);

}  // namespace nnlite
