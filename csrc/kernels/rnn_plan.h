// How recurrent layers are laid out and cut: decided once from shapes and attributes, the same for every instruction set.
//
// Gates lie side by side in the last axis: i, f, g, o (lstm), z, r, candidate (gru), one (simple_rnn). Inputs x [batch, steps, gates * units] hold
// the projections of the sequences, bias included; what a step adds is the product of the state with u [units, gates * units].
// A chunk is a group of rows of the batch, for all steps: rows never wait for each other.
#pragma once
#include <cstdint>

#include "kernels/kernel.h"

namespace nnlite {

enum class RnnCell : int { kSimple, kLstm, kGruAfter, kGruBefore };  // gru by whether the reset gate acts after or before the product
enum class RnnActivation : int { kTanh, kSigmoid, kRelu, kLinear, kHardSigmoid };

struct RnnPlan {
  RnnCell cell;
  RnnActivation activation, recurrent_activation;
  bool reverse;    // steps are taken from the last to the first
  bool sequence;   // gradients: of all states are given
  int mask;        // input that tells which steps count, or -1
  int64_t batch, steps, units, gates;
  int64_t padded;      // units in whole vectors
  int64_t chunks, rows;  // the most rows of a chunk
  int64_t state_ld, gate_ld;  // of working copies
  int64_t pack_chunks;        // of the first phase
};

constexpr int64_t kRnnPanel = 64;     // columns of a packed panel
constexpr int64_t kRnnSpareRows = 3;  // products may read and write so many rows past the last

// Fills `plan` and sets phases and cost. The inputs are those of the op, see rnn.isa.cpp and rnn_grad.isa.cpp.
void plan_rnn(Prepare& prepare, RnnCell cell, bool gradient, RnnPlan* plan);

// Elements of packed rows [k][columns].
inline int64_t rnn_packed_size(int64_t k, int64_t columns) { return (columns + kRnnPanel - 1) / kRnnPanel * kRnnPanel * k; }

}  // namespace nnlite
