// How attention is laid out and cut: decided once from shapes and attributes, the same for every instruction set.
//
// q [batch, targets, heads, size], k [batch, sources, key_heads, size], v [batch, sources, key_heads, value_size]; head h looks at key head
// h / group. Optional inputs after the others: `bias` (added to the scores) and `mask` (bool), both rank 4 and broadcast to
// [batch, heads, targets, sources], except that their last axis is `sources`.
#pragma once
#include <cstdint>

#include "kernels/kernel.h"

namespace nnlite {

// An optional input: its position among the inputs (-1: absent) and element strides (0 where broadcast).
struct AttentionExtra {
  int input;
  int64_t batch, head, target;
};

struct AttentionPlan {
  int64_t batch, targets, sources, heads, key_heads, group, size, value_size;
  double scale;
  bool causal;  // target t looks at sources 0..t only
  AttentionExtra bias, mask;

  int64_t query_blocks, query_rows;  // blocks of targets, and the most rows of one
  int64_t key_rows;                  // keys of a block: a multiple of 64, except for the last block
  int64_t parts;                     // chunks of one key head
  int64_t chunks;
  // Row lengths of the working copies, in elements.
  int64_t size_ld, value_ld, score_ld;
};

constexpr int64_t kAttentionPanel = 64;    // keys of a packed panel
constexpr int64_t kAttentionSpareRows = 3;  // products may write so many rows past the last

// Fills `plan` and sets phase and cost. `first_extra` is the position of the first optional input.
void plan_attention(Prepare& prepare, bool gradient, int first_extra, AttentionPlan* plan);

}  // namespace nnlite
