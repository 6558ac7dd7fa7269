#include "kernels/gemm_plan.h"

#include <cstring>

namespace nnlite {
namespace {

constexpr double kFlopsPerChunk = 1500000;  // about 13 microseconds: a chunk's share of claiming and of uneven tiles is small
constexpr int64_t kMaxChunks = 64;
constexpr int64_t kCopyRows = 96;        // from here on copying B into panels pays for itself
constexpr int64_t kNarrowCopyRows = 32;  // the same for narrow tiles, which read B more often
constexpr int64_t kStreamColumns = 512;  // of a chunk that reads rows of B as streams
constexpr int64_t kLeastRows = 48;       // of a chunk whose B is ready
constexpr int64_t kFewRows = 12;         // of a chunk where there would be fewer chunks than kFewChunks otherwise
constexpr int64_t kFewChunks = 16;
constexpr int64_t kLeastPackRows = 192;  // of a chunk that copies or transposes its own B
constexpr int64_t kFewPanels = 8;        // columns that make too few chunks: fewer rows in each,
constexpr int64_t kFewPackRows = 64;     // down to so many
// B of so many bytes would go through memory if it were packed as a whole: chunks of up to so many rows of C copy their own.
constexpr int64_t kLargeB = 4 << 20, kMostRowsOfLargeB = 512;

int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

bool is_float(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kBFloat16; }

// Strides of the batch axes of one operand inside the output's batch axes; false when they do not broadcast.
bool batch_strides(const Spec& spec, int batch_rank, const int64_t* batch_dims, int64_t matrix, int64_t* strides) {
  const int rank = spec.rank - 2;
  int64_t stride = matrix;
  for (int i = batch_rank - 1; i >= 0; --i) {
    const int axis = i - (batch_rank - rank);
    strides[i] = 0;
    if (axis < 0 || spec.dims[axis] == 1) continue;
    if (spec.dims[axis] != batch_dims[i]) return false;
    strides[i] = stride;
    stride *= spec.dims[axis];
  }
  return true;
}

void plan_batch(const Prepare& prepare, const Spec& a, const Spec& b, MatmulPlan* plan, bool b_packed) {
  const Spec& c = prepare.output(0);
  const int b_rank = b_packed ? 0 : b.rank - 2;
  plan->batch_rank = a.rank - 2 > b_rank ? a.rank - 2 : b_rank;
  if (c.rank != plan->batch_rank + 2) {
    prepare.fail("the output must have rank %d to hold inputs of rank %d and %d, but has rank %d", plan->batch_rank + 2, a.rank, b.rank, c.rank);
  }
  plan->batch = 1;
  for (int i = 0; i < plan->batch_rank; ++i) plan->batch *= plan->batch_dims[i] = c.dims[i];
  Spec single = b;
  single.rank = 2;
  if (!batch_strides(a, plan->batch_rank, plan->batch_dims, plan->m * plan->k, plan->a_batch) ||
      !batch_strides(b_packed ? single : b, plan->batch_rank, plan->batch_dims, plan->k * plan->n, plan->b_batch)) {
    prepare.fail("leading dimensions of the inputs do not broadcast to those of the output");
  }
}

Activation parse_activation(const Prepare& prepare) {
  const char* name = prepare.get_string("activation", "none");
  if (!std::strcmp(name, "relu")) return Activation::kRelu;
  if (!std::strcmp(name, "sigmoid")) return Activation::kSigmoid;
  if (!std::strcmp(name, "tanh")) return Activation::kTanh;
  if (std::strcmp(name, "none")) prepare.fail("activation must be 'none', 'relu', 'sigmoid' or 'tanh', but is '%s'", name);
  return Activation::kNone;
}

// One matrix B for all of a row-major A: the leading axes of A are just more rows.
void fold_batch_into_rows(MatmulPlan* plan) {
  for (int i = 0; i < plan->batch_rank; ++i) {
    if (plan->b_batch[i] != 0) return;
    if (plan->a_batch[i] == 0 && plan->batch_dims[i] != 1) return;
  }
  plan->m *= plan->batch;
  plan->batch = 1;
  plan->batch_rank = 0;
}

// A single column of C is computed as a single row, C^T = B^T A^T, so that vectors run along it.
void turn_column_into_row(MatmulPlan* plan, bool transpose_a) {
  plan->a_col = plan->b_layout == MatrixB::kPacked ? kPanelMultiple : 1;
  plan->a_row = plan->k;
  plan->swapped = true;
  plan->n = plan->m;
  plan->m = 1;
  plan->ldb = transpose_a ? plan->n : plan->k;
  plan->b_layout = transpose_a ? MatrixB::kRows : MatrixB::kTransposed;
  plan->scalar_bias = plan->bias;
  for (int i = 0; i < plan->batch_rank; ++i) {
    const int64_t stride = plan->a_batch[i];
    plan->a_batch[i] = plan->b_batch[i];
    plan->b_batch[i] = stride;
  }
}

// The chunks of the first row also add up the columns of B, which they have at hand.
void plan_column_sums(const Prepare& prepare, MatmulPlan* plan) {
  plan->column_sums = prepare.get_int("column_sums", 0) != 0;
  const int outputs = plan->column_sums ? 2 : 1;
  if (prepare.num_outputs() != outputs) {
    prepare.fail("expected %d outputs with column_sums=%d, but got %d", outputs, outputs - 1, prepare.num_outputs());
  }
  if (!plan->column_sums) return;
  const DType dtype = prepare.output(0).dtype;
  if ((dtype != DType::kFloat32 && dtype != DType::kFloat64) || plan->b_layout != MatrixB::kRows || plan->batch != 1 || plan->m < 2 || plan->n < 2) {
    prepare.fail("column_sums needs one product of float32 or float64 matrices with at least 2 rows and columns and a second one as it lies");
  }
  if (prepare.output(1).dtype != dtype || prepare.output(1).size() != plan->n) {
    prepare.fail("column sums must be %lld elements of %s, but are %lld of %s", static_cast<long long>(plan->n), dtype_name(dtype),
                 static_cast<long long>(prepare.output(1).size()), dtype_name(prepare.output(1).dtype));
  }
}

// Rows of B in a block, which should stay in the second cache (the first one, for narrow tiles) while all rows of A pass by.
int64_t k_block_limit(const MatmulPlan& plan, bool narrow) {
  if (narrow) return 256;
  if (plan.b_layout == MatrixB::kPacked || plan.pack_first) return plan.copy_a ? 512 : 1024;
  // Rows of B a multiple of 2 KiB apart share few cache sets.
  const int64_t row_bytes = plan.ldb * plan.element_bytes;
  return plan.b_layout == MatrixB::kRows && !plan.copy_b && row_bytes % 2048 == 0 ? 128 : 512;
}

void plan_copies(bool narrow, MatmulPlan* plan) {
  if (plan->b_layout == MatrixB::kTransposed && plan->k == 1) {
    plan->b_layout = MatrixB::kRows;
    plan->ldb = plan->n;
  }
  if (narrow) {
    plan->copy_b = plan->b_layout != MatrixB::kTransposed && plan->m >= kNarrowCopyRows;
  } else {
    plan->copy_b = plan->b_layout == MatrixB::kRows && plan->m >= kCopyRows;
  }
}

bool copies_large_b(const MatmulPlan& plan) { return plan.k * plan.n * plan.element_bytes >= kLargeB && plan.m < kMostRowsOfLargeB && plan.copy_b; }

// Cuts each product into a grid of about `wanted` chunks: columns by whole panels, and rows.
void plan_grid(int64_t wanted, bool brings_b, MatmulPlan* plan) {
  const bool streams = plan->m == 1 && plan->b_layout == MatrixB::kRows;
  const int64_t panels = clamp(ceil_div(plan->n, streams ? kStreamColumns : kPanelColumns), 1, wanted);
  if (brings_b) {
    plan->column_chunks = panels;
    const int64_t least = panels < kFewPanels && copies_large_b(*plan) ? kFewPackRows : kLeastPackRows;
    plan->row_chunks = clamp(plan->m / least, 1, ceil_div(wanted, panels));
    return;
  }
  const int64_t rows = clamp(plan->m / kLeastRows, 1, wanted);
  plan->column_chunks = clamp(panels, 1, ceil_div(wanted, rows < 8 ? rows : 8));
  plan->row_chunks = clamp(ceil_div(wanted, plan->column_chunks), 1, rows);
  // Small outputs of long sums: fewer rows a chunk rather than idle threads.
  const int64_t enough = clamp(plan->m / kFewRows, 1, ceil_div(wanted < kFewChunks ? wanted : kFewChunks, plan->column_chunks));
  if (plan->row_chunks < enough) plan->row_chunks = enough;
}

// A's rows (or those of A^T) lie so that they share few cache sets: its blocks are worth a copy when many columns use it.
bool wants_copy_of_a(const MatmulPlan& plan, bool narrow) {
  const int64_t stride = (plan.a_col == 1 ? plan.a_row : plan.a_col) * plan.element_bytes;
  const bool turned = plan.a_col != 1;
  const bool conflict = turned ? stride % (narrow ? 1024 : 2048) == 0 && plan.k >= 256 : narrow && stride % 4096 == 0;
  return conflict && plan.m >= kCopyRows && plan.n >= (narrow && turned ? 2 : 4) * kPanelColumns;
}

// Chunks of few rows and many columns, so that one copy of A serves long.
void plan_grid_for_copied_a(int64_t wanted, bool brings_b, MatmulPlan* plan) {
  const bool grouped = plan->a_col != 1;
  const int64_t most = brings_b ? 256 : grouped ? kLeastRows : 128, least = brings_b ? kLeastPackRows : kLeastRows;
  if (grouped) plan->row_unit = kGroupRows;
  plan->row_chunks = clamp(wanted, ceil_div(plan->m, most), ceil_div(plan->m, least));
  plan->column_chunks = clamp(ceil_div(wanted, plan->row_chunks), 1, ceil_div(plan->n, 4 * kPanelColumns));
}

// About `wanted` chunks: whole matrices, or a grid on each.
void plan_cut(int64_t wanted, bool narrow, MatmulPlan* plan) {
  plan->row_chunks = plan->column_chunks = plan->row_unit = 1;
  plan->batch_chunks = plan->batch;
  if (plan->batch >= wanted) {
    plan->batch_chunks = ceil_div(plan->batch, ceil_div(plan->batch, wanted));
  } else if (plan->batch > 0) {
    const int64_t grid = ceil_div(wanted, plan->batch);
    const bool brings_b = plan->copy_b || plan->b_layout == MatrixB::kTransposed;
    plan->pack_first = brings_b && !narrow && plan->batch == 1 && plan->m >= kCopyRows && !copies_large_b(*plan);
    if (plan->pack_first) plan->copy_b = false;
    plan->copy_a = wants_copy_of_a(*plan, narrow);
    if (plan->copy_a) {
      plan_grid_for_copied_a(grid, brings_b && !plan->pack_first, plan);
    } else {
      plan_grid(grid, brings_b && !plan->pack_first, plan);
    }
  }
  plan->chunks = plan->batch_chunks * plan->row_chunks * plan->column_chunks;
}

void plan_chunks(bool narrow, MatmulPlan* plan) {
  // A product of few rows takes the time of reading B, or of transposing it; one of few columns wastes lanes.
  const int64_t least_rows = plan->b_layout == MatrixB::kTransposed ? 8 : 4;
  const double rows = static_cast<double>(plan->m < least_rows ? least_rows : plan->m), columns = static_cast<double>(plan->n < 16 ? 16 : plan->n);
  plan->cost = 2 * static_cast<double>(plan->batch) * rows * columns * static_cast<double>(plan->k);
  const double wanted = plan->cost / kFlopsPerChunk;
  plan_cut(wanted < 1 ? 1 : wanted < kMaxChunks ? static_cast<int64_t>(wanted) : kMaxChunks, narrow, plan);
  const int64_t blocks = clamp(ceil_div(plan->k, k_block_limit(*plan, narrow)), 1, plan->k + 1);
  plan->k_block = ceil_div(ceil_div(plan->k, blocks), 16) * 16;
  if (!plan->copy_a) return;
  const int64_t chunk_rows = ceil_div(ceil_div(plan->m, plan->row_unit), plan->row_chunks) * plan->row_unit;
  plan->a_copy_ld = 16 + (plan->a_col == 1 ? plan->k_block : kGroupRows * plan->k_block);
  plan->a_copy_elements = plan->a_copy_ld * (plan->a_col == 1 ? chunk_rows : ceil_div(chunk_rows, kGroupRows));
}

}  // namespace

int64_t packed_size(int64_t k, int64_t n) { return k * ceil_div(n, kPanelMultiple) * kPanelMultiple; }

void plan_matmul(const Prepare& prepare, bool narrow, MatmulPlan* plan) {
  const Spec& a = prepare.input(0);
  const Spec& b = prepare.input(1);
  const Spec& c = prepare.output(0);
  const bool transpose_a = prepare.get_int("transpose_a", 0) != 0;
  const bool transpose_b = prepare.get_int("transpose_b", 0) != 0;
  const bool packed = prepare.get_int("packed", 0) != 0;
  if (b.dtype != a.dtype || c.dtype != a.dtype) {
    prepare.fail("inputs and output must have one dtype, but have %s, %s and %s", dtype_name(a.dtype), dtype_name(b.dtype), dtype_name(c.dtype));
  }
  if (a.rank < 2 || (!packed && b.rank < 2)) prepare.fail("inputs must have rank 2 or more, but have rank %d and %d", a.rank, b.rank);
  plan->m = a.dim(transpose_a ? -1 : -2);
  plan->k = a.dim(transpose_a ? -2 : -1);
  plan->a_row = transpose_a ? 1 : plan->k;
  plan->a_col = transpose_a ? plan->m : 1;
  int64_t b_k = plan->k;
  if (packed) {
    plan->n = prepare.get_int("n");
    plan->b_layout = MatrixB::kPacked;
    if (b.size() != packed_size(plan->k, plan->n)) {
      prepare.fail("packed b must hold %lld elements for k=%lld and n=%lld, but holds %lld", static_cast<long long>(packed_size(plan->k, plan->n)),
                   static_cast<long long>(plan->k), static_cast<long long>(plan->n), static_cast<long long>(b.size()));
    }
  } else {
    plan->n = b.dim(transpose_b ? -2 : -1);
    b_k = b.dim(transpose_b ? -1 : -2);
    plan->b_layout = transpose_b ? MatrixB::kTransposed : MatrixB::kRows;
    plan->ldb = transpose_b ? plan->k : plan->n;
  }
  if (b_k != plan->k) {
    prepare.fail("the inner dimensions must be equal, but a has %lld and b has %lld", static_cast<long long>(plan->k), static_cast<long long>(b_k));
  }
  plan_batch(prepare, a, b, plan, packed);
  if (c.dim(-2) != plan->m || c.dim(-1) != plan->n) {
    prepare.fail("the output's matrices must be %lld x %lld, but are %lld x %lld", static_cast<long long>(plan->m), static_cast<long long>(plan->n),
                 static_cast<long long>(c.dim(-2)), static_cast<long long>(c.dim(-1)));
  }
  plan->bias = prepare.get_int("bias", 0) != 0;
  if (prepare.num_inputs() != (plan->bias ? 3 : 2)) {
    prepare.fail("expected %d inputs with bias=%d, but got %d", plan->bias ? 3 : 2, plan->bias ? 1 : 0, prepare.num_inputs());
  }
  if (plan->bias && (prepare.input(2).size() != plan->n || prepare.input(2).dtype != a.dtype)) {
    prepare.fail("bias must hold %lld elements of %s, but holds %lld of %s", static_cast<long long>(plan->n), dtype_name(a.dtype),
                 static_cast<long long>(prepare.input(2).size()), dtype_name(prepare.input(2).dtype));
  }
  plan->activation = parse_activation(prepare);
  plan->element_bytes = a.dtype == DType::kFloat64 || a.dtype == DType::kInt64 ? 8 : 4;
  if (!transpose_a) fold_batch_into_rows(plan);
  if (plan->n == 1 && is_float(a.dtype)) turn_column_into_row(plan, transpose_a);
  plan_column_sums(prepare, plan);
  plan_copies(narrow, plan);
  plan_chunks(narrow, plan);
}

}  // namespace nnlite
