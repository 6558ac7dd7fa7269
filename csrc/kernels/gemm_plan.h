// How a matrix product is laid out and cut: decided once from shapes and attributes, the same for every instruction set.
#pragma once
#include <cstdint>

#include "kernels/kernel.h"

namespace nnlite {

constexpr int64_t kPanelColumns = 64;   // columns of a panel of packed B
constexpr int64_t kPanelMultiple = 16;  // the last panel is a multiple of this wide
constexpr int64_t kGroupRows = 24;      // rows of A in a group of a copied A^T: whole tiles, and no vector of 32 bytes lies across two cache lines

enum class MatrixB : int { kRows, kTransposed, kPacked };
enum class Activation : int { kNone, kRelu, kSigmoid, kTanh };

struct MatmulPlan {
  int64_t m, n, k;
  int64_t element_bytes;  // of the numbers that are multiplied
  int64_t a_row, a_col;  // element strides of op(A)
  MatrixB b_layout;
  int64_t ldb;           // elements between rows of B as stored
  int64_t k_block;       // B is brought in by blocks of this many rows
  bool swapped;          // inputs 0 and 1 have changed places
  bool copy_b;           // copy each block of B into thread scratch before use
  bool copy_a;           // copy each block of A into thread scratch before use: rows of `a_copy_ld` elements, or groups of A^T this far apart
  int64_t a_copy_ld, a_copy_elements;
  bool pack_first;       // a first phase packs all of B into scratch
  bool bias, scalar_bias;
  bool column_sums;      // a second output: the sums of B's columns
  Activation activation;

  // Leading dimensions: matrix i of C uses matrices of A and B found by these element strides (0 where broadcast).
  int64_t batch;
  int batch_rank;
  int64_t batch_dims[kMaxRank], a_batch[kMaxRank], b_batch[kMaxRank];

  // Chunks: groups of whole matrices, or a grid of row and column ranges of each matrix.
  int64_t batch_chunks, row_chunks, column_chunks, chunks;
  int64_t row_unit;  // rows of a chunk are a multiple of this, but for the last one's
  double cost;  // floating-point operations, or the time that memory takes expressed in these
};

// Fills `plan` from the specs and attributes of a `matmul`; fails with a message when they do not fit. `narrow`: tiles are narrower than a
// panel.
void plan_matmul(const Prepare& prepare, bool narrow, MatmulPlan* plan);

// Elements of the packed form of B[k, n].
int64_t packed_size(int64_t k, int64_t n);

}  // namespace nnlite
