// matmul_pack: brings B into the panels that `packed` products read, one chunk a panel.
#include "kernels/gemm_product.h"

namespace nnlite::NN_ISA {
namespace {

struct PackPlan {
  int64_t n, k, ldb, panels;
  bool transposed;
};

template <class T>
void run_pack(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PackPlan& plan = *static_cast<const PackPlan*>(state);
  pack_panels(static_cast<const T*>(args.in[0]), plan.ldb, plan.transposed, plan.n, plan.k, begin, end, static_cast<T*>(args.out[0]));
}

void prepare_pack(Prepare& prepare) {
  PackPlan* plan = static_cast<PackPlan*>(prepare.new_state(sizeof(PackPlan)));
  const Spec& b = prepare.input(0);
  const Spec& packed = prepare.output(0);
  if (b.rank != 2) prepare.fail("b must have rank 2, but has rank %d", b.rank);
  if (b.dtype != packed.dtype) prepare.fail("b and its packed form must have one dtype");
  plan->transposed = prepare.get_int("transpose_b", 0) != 0;
  plan->k = b.dims[plan->transposed ? 1 : 0];
  plan->n = b.dims[plan->transposed ? 0 : 1];
  plan->ldb = b.dims[1];
  plan->panels = (plan->n + kPanelColumns - 1) / kPanelColumns;
  if (packed.rank != 1 || packed.dims[0] != packed_size(plan->k, plan->n)) {
    prepare.fail("the packed form must hold %lld elements", static_cast<long long>(packed_size(plan->k, plan->n)));
  }
  if (b.dtype == DType::kFloat32) {
    prepare.set_run(run_pack<float>);
  } else if (b.dtype == DType::kFloat64) {
    prepare.set_run(run_pack<double>);
  } else {
    prepare.fail("dtype must be float32 or float64");
  }
  prepare.add_phase(plan->panels);
}

NN_KERNEL("matmul_pack", prepare_pack);

}  // namespace
}  // namespace nnlite::NN_ISA
