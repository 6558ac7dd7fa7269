#include "kernels/gemm_plan.h"

#include <cstring>

namespace nnlite {
namespace {

constexpr int64_t kFlopsPerChunk = 1000000;  // about 9 microseconds: below that a second thread does not pay
constexpr int64_t kMaxChunks = 64;
constexpr int64_t kMaxKBlock = 512;        // a panel block of 512 x 64 floats is 128 KiB: an eighth of an L2
constexpr int64_t kMaxConflictBlock = 128;  // rows of B that lie 4 KiB apart share few cache sets
constexpr int64_t kCopyRows = 96;          // from here on copying B into panels pays for itself

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

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
  plan->swapped = true;
  plan->n = plan->m;
  plan->m = 1;
  plan->ldb = transpose_a ? plan->n : plan->k;
  plan->b_layout = transpose_a ? MatrixB::kRows : MatrixB::kTransposed;
  plan->a_row = plan->k;
  plan->a_col = 1;
  plan->scalar_bias = plan->bias;
  for (int i = 0; i < plan->batch_rank; ++i) {
    const int64_t stride = plan->a_batch[i];
    plan->a_batch[i] = plan->b_batch[i];
    plan->b_batch[i] = stride;
  }
}

void plan_blocks(MatmulPlan* plan) {
  if (plan->b_layout == MatrixB::kTransposed && plan->k == 1) {
    plan->b_layout = MatrixB::kRows;
    plan->ldb = plan->n;
  }
  const int64_t row_bytes = plan->ldb * static_cast<int64_t>(dtype_size(plan->dtype));
  plan->copy_b = plan->b_layout == MatrixB::kRows && plan->m >= kCopyRows;
  const bool conflict = plan->b_layout == MatrixB::kRows && !plan->copy_b && row_bytes % 2048 == 0;
  const int64_t limit = conflict ? kMaxConflictBlock : kMaxKBlock;
  const int64_t blocks = clamp(ceil_div(plan->k, limit), 1, plan->k + 1);
  plan->k_block = ceil_div(ceil_div(plan->k, blocks), 16) * 16;
}

void plan_chunks(MatmulPlan* plan) {
  const int64_t matrix_flops = 2 * plan->m * plan->n * plan->k;
  const int64_t wanted = clamp(plan->batch * matrix_flops / kFlopsPerChunk, 1, kMaxChunks);
  plan->row_chunks = plan->column_chunks = 1;
  plan->batch_chunks = plan->batch;
  if (plan->batch == 0) return;
  if (plan->batch >= wanted) {
    plan->batch_chunks = ceil_div(plan->batch, ceil_div(plan->batch, wanted));
    return;
  }
  const int64_t grid = ceil_div(wanted, plan->batch);
  const int64_t panels = clamp(ceil_div(plan->n, kPanelColumns), 1, grid);
  const bool brings_b = plan->copy_b || plan->b_layout == MatrixB::kTransposed;
  const int64_t least_rows = brings_b ? 192 : 24;
  plan->row_chunks = clamp(ceil_div(plan->m, 256), 1, grid);
  plan->column_chunks = clamp(ceil_div(grid, plan->row_chunks), 1, panels);
  if (plan->row_chunks * plan->column_chunks < grid) {
    const int64_t more = clamp(plan->m / least_rows, 1, ceil_div(grid, plan->column_chunks));
    if (more > plan->row_chunks) plan->row_chunks = more;
  }
}

}  // namespace

int64_t packed_size(int64_t k, int64_t n) { return k * ceil_div(n, kPanelMultiple) * kPanelMultiple; }

void plan_matmul(const Prepare& prepare, MatmulPlan* plan) {
  const Spec& a = prepare.input(0);
  const Spec& b = prepare.input(1);
  const Spec& c = prepare.output(0);
  const bool transpose_a = prepare.get_int("transpose_a", 0) != 0;
  const bool transpose_b = prepare.get_int("transpose_b", 0) != 0;
  const bool packed = prepare.get_int("packed", 0) != 0;
  plan->dtype = a.dtype;
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
  if (plan->bias && (prepare.input(2).size() != plan->n || prepare.input(2).dtype != plan->dtype)) {
    prepare.fail("bias must hold %lld elements of %s, but holds %lld of %s", static_cast<long long>(plan->n), dtype_name(plan->dtype),
                 static_cast<long long>(prepare.input(2).size()), dtype_name(prepare.input(2).dtype));
  }
  plan->activation = parse_activation(prepare);
  if (!transpose_a) fold_batch_into_rows(plan);
  if (plan->n == 1 && !packed && (plan->dtype == DType::kFloat32 || plan->dtype == DType::kFloat64)) turn_column_into_row(plan, transpose_a);
  plan_blocks(plan);
  plan_chunks(plan);
  plan->chunks = plan->batch_chunks * plan->row_chunks * plan->column_chunks;
}

}  // namespace nnlite
