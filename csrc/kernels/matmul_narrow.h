// Products with few columns, C[m, n] = A[m, K] B[K, n] where n fills no vector: the tiles compute C^T = B^T A^T, whose vectors run along the rows of A,
// and C^T is turned on its way out. Every element is summed in the same order as in other products, so the bits are the same.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/gemm_product.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kMostNarrowColumns = 12, kLeastNarrowRows = 32, kLeastNarrowDepth = 32;
constexpr int64_t kNarrowRows = 2 * Piece<float>::kLanes;  // of A in a block: the columns of a tile
constexpr int64_t kNarrowDepth = 128;                      // of a copy of A^T, which stays in the first cache
constexpr double kNarrowFlopsPerChunk = 750000;

struct NarrowPlan {
  MatmulPlan product;
  int64_t b_row, b_column;  // element strides of B
  int64_t chunk_rows;
};

bool is_narrow(const MatmulPlan& plan) {
  return !NN_SMALL_CODE && plan.batch == 1 && plan.n >= 2 && plan.n <= kMostNarrowColumns && plan.m >= kLeastNarrowRows && plan.k >= kLeastNarrowDepth &&
         !plan.column_sums;
}

// Rows of A as columns of a tile: as they are, or copied.
NN_INLINE Block<float> bring_columns(const MatmulPlan& plan, const float* a, int64_t rows, int64_t depth, float* copy) {
  const bool readable = kMaskB || rows % Piece<float>::kLanes == 0;
  if (plan.a_row == 1 && readable) return {a, plan.a_col};
  if (plan.a_row == 1) {
    pack_rows(a, plan.a_col, copy, kNarrowRows, rows, depth);
  } else {
    pack_transposed(a, plan.a_row, copy, kNarrowRows, rows, depth);
  }
  return {copy, kNarrowRows};
}

// c = turned^T with bias and activation, `rows` rows of n.
__attribute__((noinline)) void write_turned(const MatmulPlan& plan, const float* turned, const float* bias, float* c, int64_t rows) {
  constexpr int kSide = Piece<float>::kLanes;
  Tile<float> row = {};
  row.bias = bias;
  row.flags = (plan.bias ? kBias : 0) | (plan.activation == Activation::kRelu ? kRelu : 0);
  for (int64_t column = 0; column < plan.n; column += kSide) {
    const int64_t columns = smaller(plan.n - column, kSide);
    for (int64_t first = 0; first < rows; first += kSide) {
      Piece<float> r[kSide];
      load_transposed(turned + column * kNarrowRows + first, kNarrowRows, columns, rows - first, r);
#pragma GCC unroll 16
      for (int i = 0; i < kSide; ++i) {
        if (i >= rows - first) break;
        row.c = c + (first + i) * plan.n;
        finish_row(row, column, columns, r[i]);
      }
    }
  }
  if (activates_later(plan.activation)) activate(plan.activation, c, plan.n, rows, plan.n);
}

void run_narrow_block(const NarrowPlan& narrow, const float* a, const float* b, const float* bias, float* c, int64_t rows, float* scratch) {
  const MatmulPlan& plan = narrow.product;
  float *turned = scratch, *copy = scratch + kMostNarrowColumns * kNarrowRows;
  const TileSet<float> tiles = find_tiles<float>(rows);
  Tile<float> tile = {};
  tile.a_row = narrow.b_column;
  tile.a_col = narrow.b_row;
  tile.ldc = kNarrowRows;
  tile.part = static_cast<int>((rows - 1) % Piece<float>::kLanes) + 1;
  for (int64_t k = 0; k < plan.k; k += kNarrowDepth) {
    tile.k = smaller(plan.k - k, kNarrowDepth);
    const Block<float> block = bring_columns(plan, a + k * plan.a_col, rows, tile.k, copy);
    tile.a = b + k * narrow.b_row;
    tile.b = block.b;
    tile.ldb = block.ld;
    tile.c = turned;
    tile.flags = k > 0 ? kAccumulate : 0;
    run_rows(tiles, tile, plan.n, tiles.most, Activation::kNone, rows);
  }
  write_turned(plan, turned, bias, c, rows);
}

void run_narrow(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const NarrowPlan& narrow = *static_cast<const NarrowPlan*>(state);
  const MatmulPlan& plan = narrow.product;
  const Product<float> whole = bind_product<float>(plan, args);
  const int64_t last = smaller(end * narrow.chunk_rows, plan.m);
  for (int64_t i = begin * narrow.chunk_rows; i < last; i += kNarrowRows) {
    run_narrow_block(narrow, whole.a + i * plan.a_row, whole.b, whole.bias, whole.c + i * plan.n, smaller(last - i, kNarrowRows),
                     static_cast<float*>(args.thread_scratch));
  }
}

void prepare_narrow(Prepare& prepare, const MatmulPlan& product) {
  NarrowPlan* plan = static_cast<NarrowPlan*>(prepare.new_state(sizeof(NarrowPlan)));
  plan->product = product;
  plan->product.pack_first = plan->product.copy_a = plan->product.copy_b = false;
  plan->b_row = product.b_layout == MatrixB::kPacked ? kPanelMultiple : product.b_layout == MatrixB::kRows ? product.ldb : 1;
  plan->b_column = product.b_layout == MatrixB::kTransposed ? product.ldb : 1;
  const double row_flops = 2.0 * static_cast<double>((product.n + 4) * product.k);  // turning A takes the time of some columns
  plan->chunk_rows = (static_cast<int64_t>(kNarrowFlopsPerChunk / row_flops) / kNarrowRows + 1) * kNarrowRows;
  prepare.set_cost(row_flops * static_cast<double>(product.m));
  prepare.set_run(run_narrow);
  prepare.need_thread_scratch(static_cast<size_t>((kMostNarrowColumns + kNarrowDepth) * kNarrowRows) * sizeof(float));
  prepare.add_phase((product.m + plan->chunk_rows - 1) / plan->chunk_rows);
}

}  // namespace
}  // namespace nnlite::NN_ISA
