// matmul: batched products of matrices. float32 and float64 with bias and activation in the tiles; bfloat16 sums in float32 and rounds once;
// integers wrap around.
#include "kernels/float_items.h"
#include "kernels/gemm_product.h"
#include "kernels/matmul_bfloat16.h"
#include "kernels/matmul_narrow.h"

namespace nnlite::NN_ISA {
namespace {

constexpr bool kNarrow = kStripColumns<float> < kPanelColumns;

template <class T>
size_t scratch_bytes(const MatmulPlan& plan) {
  return plan.pack_first ? static_cast<size_t>(packed_size(plan.k, plan.n)) * sizeof(T) : 0;
}

template <class T>
void add_phases(Prepare& prepare, const MatmulPlan& plan) {
  if (plan.pack_first) prepare.add_phase((plan.n + kPanelColumns - 1) / kPanelColumns);
  prepare.add_phase(plan.chunks);
  prepare.need_thread_scratch(static_cast<size_t>(panel_elements<T>(plan) + plan.a_copy_elements) * sizeof(T));
}

template <class T>
void prepare_float(Prepare& prepare) {
  MatmulPlan product = {};
  plan_matmul(prepare, kNarrow, &product);
  if constexpr (sizeof(T) == sizeof(float)) {
    if (is_narrow(product)) return prepare_narrow(prepare, product);
  }
  MatmulPlan* plan = static_cast<MatmulPlan*>(prepare.new_state(sizeof(MatmulPlan)));
  *plan = product;
  prepare.set_cost(plan->cost);
  prepare.set_run(run_matmul<T>);
  prepare.need_scratch(scratch_bytes<T>(*plan));
  add_phases<T>(prepare, *plan);
}

// bfloat16: the inputs are widened into scratch, multiplied as float32, and the sums are rounded once at the end.
struct WidenedPlan {
  MatmulPlan product;
  int inputs;
  int64_t sizes[3], c_size;
  int64_t widen_chunks, round_chunks;
};

constexpr int64_t kWidenGrain = 16384;  // elements of a chunk

int64_t padded(int64_t elements) { return (elements + 15) / 16 * 16; }

// The widened inputs, the widened output and the rest of scratch follow each other.
float* widened(const WidenedPlan& plan, const StepArgs& args, int index) {
  float* at = static_cast<float*>(args.scratch);
  for (int i = 0; i < index; ++i) at += padded(i < plan.inputs ? plan.sizes[i] : plan.c_size);
  return at;
}

void widen(const WidenedPlan& plan, int64_t begin, int64_t end, const StepArgs& args) {
  for (int i = 0; i < plan.inputs; ++i) {
    const uint16_t* from = static_cast<const uint16_t*>(args.in[i]);
    float* to = widened(plan, args, i);
    const int64_t first = plan.sizes[i] * begin / plan.widen_chunks, last = plan.sizes[i] * end / plan.widen_chunks;
    for (int64_t j = first; j < last; j += 16) {
      const int part = static_cast<int>(smaller(last - j, 16));
      store_part(to + j, part == 16 ? BFloat16::read(from + j) : BFloat16::read_part(from + j, part), part);
    }
  }
}

void round_sums(const WidenedPlan& plan, int64_t begin, int64_t end, const StepArgs& args) {
  const float* from = widened(plan, args, plan.inputs);
  uint16_t* to = static_cast<uint16_t*>(args.out[0]);
  const int64_t first = plan.c_size * begin / plan.round_chunks, last = plan.c_size * end / plan.round_chunks;
  for (int64_t j = first; j < last; j += 16) {
    const int part = static_cast<int>(smaller(last - j, 16));
    BFloat16::write_part(to + j, load_part(from + j, part), part);
  }
}

void run_widened(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const WidenedPlan& plan = *static_cast<const WidenedPlan*>(state);
  const int last_phase = plan.product.pack_first ? 3 : 2;
  if (begin >= end) return;
  if (phase == 0) return widen(plan, begin, end, args);
  if (phase == last_phase) return round_sums(plan, begin, end, args);
  void* in[3];
  for (int i = 0; i < plan.inputs; ++i) in[i] = widened(plan, args, i);
  void* out[1] = {widened(plan, args, plan.inputs)};
  const StepArgs wide = {in, out, widened(plan, args, plan.inputs + 1), args.thread_scratch};
  run_matmul<float>(&plan.product, phase - 1, begin, end, wide);
}

int64_t count(const Spec& spec) {
  int64_t n = 1;
  for (int i = 0; i < spec.rank; ++i) n *= spec.dims[i];
  return n;
}

void prepare_widened(Prepare& prepare) {
  MatmulPlan product = {};
  plan_matmul(prepare, kNarrow, &product);
  if (product.b_layout == MatrixB::kPacked) prepare.fail("packed weights must be float32 or float64");
  if constexpr (kHasBFloat16Pairs) {
    if (product.batch == 1 && !product.swapped && product.k > 0) return prepare_bfloat16_pairs(prepare, product);
  }
  WidenedPlan* plan = static_cast<WidenedPlan*>(prepare.new_state(sizeof(WidenedPlan)));
  plan->product = product;
  plan->inputs = prepare.num_inputs();
  int64_t most = 0, total = 0;
  for (int i = 0; i < plan->inputs; ++i) {
    plan->sizes[i] = count(prepare.input(i));
    most = plan->sizes[i] > most ? plan->sizes[i] : most;
    total += padded(plan->sizes[i]);
  }
  plan->c_size = count(prepare.output(0));
  plan->widen_chunks = (most + kWidenGrain - 1) / kWidenGrain;
  plan->round_chunks = (plan->c_size + kWidenGrain - 1) / kWidenGrain;
  prepare.set_cost(plan->product.cost + 2.0 * static_cast<double>(total + plan->c_size));
  prepare.set_run(run_widened);
  prepare.need_scratch(static_cast<size_t>(total + padded(plan->c_size)) * sizeof(float) + scratch_bytes<float>(plan->product));
  prepare.add_phase(plan->widen_chunks);
  add_phases<float>(prepare, plan->product);
  prepare.add_phase(plan->round_chunks);
}

// T as stored, U the unsigned type of its size.
template <class T, class U>
void run_integers(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const MatmulPlan& plan = *static_cast<const MatmulPlan*>(state);
  const bool transposed = plan.b_layout == MatrixB::kTransposed;
  const int64_t b_row = transposed ? 1 : plan.ldb, b_column = transposed ? plan.ldb : 1;
  for (int64_t matrix = begin; matrix < end; ++matrix) {
    Product<T> product = bind_product<T>(plan, args);
    find_matrices(plan, matrix, &product);
    for (int64_t i = 0; i < plan.m; ++i) {
      U* c = reinterpret_cast<U*>(product.c) + i * plan.n;
      for (int64_t j = 0; j < plan.n; ++j) c[j] = plan.bias ? static_cast<U>(product.bias[j]) : U(0);
      for (int64_t p = 0; p < plan.k; ++p) {
        const U a = static_cast<U>(product.a[i * plan.a_row + p * plan.a_col]);
        const T* b = product.b + p * b_row;
        for (int64_t j = 0; j < plan.n; ++j) c[j] = static_cast<U>(c[j] + static_cast<U>(a * static_cast<U>(b[j * b_column])));
      }
      if (plan.activation == Activation::kRelu) {
        for (int64_t j = 0; j < plan.n; ++j) c[j] = static_cast<T>(c[j]) < 0 ? U(0) : c[j];
      }
    }
  }
}

void prepare_integers(Prepare& prepare, RunFunction run) {
  MatmulPlan* plan = static_cast<MatmulPlan*>(prepare.new_state(sizeof(MatmulPlan)));
  plan_matmul(prepare, kNarrow, plan);
  if (plan->b_layout == MatrixB::kPacked || plan->activation == Activation::kSigmoid || plan->activation == Activation::kTanh) {
    prepare.fail("packed weights, sigmoid and tanh need a floating-point dtype, but inputs are %s", dtype_name(prepare.input(0).dtype));
  }
  prepare.set_cost(plan->cost * 8);
  prepare.set_run(run);
  prepare.add_phase(plan->batch);
}

void prepare_matmul(Prepare& prepare) {
  switch (prepare.input(0).dtype) {
    case DType::kFloat32: return prepare_float<float>(prepare);
    case DType::kFloat64: return prepare_float<double>(prepare);
    case DType::kBFloat16: return prepare_widened(prepare);
    case DType::kInt32: return prepare_integers(prepare, run_integers<int32_t, uint32_t>);
    case DType::kInt64: return prepare_integers(prepare, run_integers<int64_t, uint64_t>);
    case DType::kInt8: return prepare_integers(prepare, run_integers<int8_t, uint8_t>);
    case DType::kUInt8: return prepare_integers(prepare, run_integers<uint8_t, uint8_t>);
    case DType::kBool: break;
  }
  prepare.fail("inputs must be numbers, but are %s", dtype_name(prepare.input(0).dtype));
}

NN_KERNEL("matmul", prepare_matmul);

}  // namespace
}  // namespace nnlite::NN_ISA
