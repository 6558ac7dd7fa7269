// How recurrent layers are laid out and cut: decided once from shapes and attributes, the same for every instruction set.
//
// Gates lie side by side in the last axis: i, f, g, o (lstm), z, r, candidate (gru), one (simple_rnn). Inputs x [batch, steps, gates * units] hold
// the projections of the sequences, bias included; what a step adds is the product of the state with u [units, gates * units].
// With the attribute `table`, x is a table [rows, gates * units] and the last input holds the row of each step, int32 [batch, steps].
// A chunk is a group of rows of the batch, for all steps: rows never wait for each other.
//
// Gradients may take over the products that would read the gates' gradients again, a block of steps at a time while they are in a cache:
// with `u_grad` that of the recurrent kernel, with `products` those of the inputs' projection, too, whose gradient is then no output. Each part of
// the batch, a run of chunks, adds up sums of its own; they are added in order at the end.
#pragma once
#include <cstdint>

#include "kernels/kernel.h"

namespace nnlite {

enum class RnnCell : int { kSimple, kLstm, kGruAfter, kGruBefore };  // gru by whether the reset gate acts after or before the product
enum class RnnActivation : int { kTanh, kSigmoid, kRelu, kLinear, kHardSigmoid };

// Where gradient kernels find inputs and outputs, or -1.
struct RnnGradPlaces {
  int kept, u, first, dlast, dstates;            // inputs; `first` is the state (gru) or cell state (lstm) before the first step
  int states, first_state, x, w;                 // inputs of the products
  int dx, dinner, dfirst, du, dinner_bias, dw, dbias, dinput;  // outputs; dinner: of the product of state and u, where it differs from dx
};

struct RnnPlan {
  RnnCell cell;
  RnnActivation activation, recurrent_activation;
  bool reverse;    // steps are taken from the last to the first
  bool sequence;   // gradients: of all states are given
  int mask;        // input that tells which steps count, or -1
  int ids;         // input that tells which rows of the table x the steps take, or -1
  int64_t table_rows;
  // Outputs of the forward kernels, or -1 where nobody reads them.
  int states, kept, last;
  int64_t batch, steps, units, gates;
  int64_t padded;      // units in whole vectors
  int64_t chunks, rows;  // the most rows of a chunk
  int64_t state_ld, gate_ld;  // of working copies
  int64_t pack_chunks;        // of the first phase

  // Gradients only.
  RnnGradPlaces at;
  bool u_grad, products, input_grad;
  int64_t block_steps;     // steps of a block; 1 without u_grad
  int64_t slots;           // gates kept of a block: with products, gru with reset after has two gradients of its candidate
  int64_t features;        // of the projected inputs
  int64_t feature_ld;      // of working copies of inputs
  int64_t parts;           // runs of chunks
  int64_t part_size;       // elements of the sums of a part
  int64_t w_sums, bias_sums, inner_sums;  // where those of w, its bias and the recurrent bias start; those of u come first
};

constexpr int64_t kRnnPanel = 64;     // columns of a packed panel
constexpr int64_t kRnnSpareRows = 3;  // products may read and write so many rows past the last

// Fills `plan`, a state of rnn_state_bytes, and sets phases and cost. The inputs are those of the op, see rnn.isa.cpp and rnn_grad.isa.cpp.
void plan_rnn(Prepare& prepare, RnnCell cell, bool gradient, RnnPlan* plan);

// Bytes of the state: the plan, and with a table the row that ids out of its range get, NaN.
size_t rnn_state_bytes(const Prepare& prepare);
inline const void* missing_row(const RnnPlan& plan) { return &plan + 1; }

// Elements of packed rows [k][columns].
inline int64_t rnn_packed_size(int64_t k, int64_t columns) { return (columns + kRnnPanel - 1) / kRnnPanel * kRnnPanel * k; }

}  // namespace nnlite
