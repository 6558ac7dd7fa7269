// Shapes and cutting of the reductions; the same for every instruction set.
#pragma once
#include <cstdint>

#include "kernels/kernel.h"

namespace nnlite {

// The axes alternate between kept and reduced ones after merging. Trailing form: the last one is reduced, `run` elements are contiguous, and an
// output is made of `pieces` contiguous pieces. Column form: the last one is kept; an output row of `columns` elements is the combination of rows.
struct ReduceState {
  bool column_form;
  bool copy;                    // nothing is reduced
  int64_t outputs;              // of the trailing form; rows of outputs in the column form
  int64_t columns;              // 1 in the trailing form
  int kept_rank, reduced_rank;  // outer axes of each kind, outermost first
  int64_t kept_dims[kMaxRank], kept_strides[kMaxRank];
  int64_t reduced_dims[kMaxRank], reduced_strides[kMaxRank];
  int64_t outer;       // product of reduced_dims
  int64_t run;         // length of the innermost reduced axis (rows, in the column form)
  int64_t piece;       // elements (rows) of a piece of it
  int64_t run_pieces;  // pieces of a run
  int64_t pieces;      // outer * run_pieces: what an output combines
  int64_t column_part, column_parts;
  int64_t splits, split_pieces;  // an output's pieces are cut into so many splits
  int64_t items, chunk_items;    // (output, column part, split) triples
};

// Reads `axes`, cuts the work and declares the phases. acc_bytes and row_bytes are the sizes of a partial result in either form.
void plan_reduce(Prepare& prepare, ReduceState* state, int64_t acc_bytes, int64_t row_bytes);

// The offset of index i of the axes.
static inline int64_t strided_offset(int rank, const int64_t* dims, const int64_t* strides, int64_t i) {
  int64_t offset = 0;
  for (int d = rank - 1; d > 0; --d) {
    const int64_t above = i / dims[d];
    offset += (i - above * dims[d]) * strides[d];
    i = above;
  }
  return rank > 0 ? offset + i * strides[0] : 0;
}

}  // namespace nnlite
