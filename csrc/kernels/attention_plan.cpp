#include "kernels/attention_plan.h"

namespace nnlite {
namespace {

constexpr int64_t kMostQueryRows = 66;  // whole tiles of six rows
constexpr int64_t kMostKeys = 576, kMostKeysOfGradient = 288;  // of a block, so that all copies of it stay in the second cache
constexpr int64_t kWideHead = 80;        // above this size, gradients take half as many keys
constexpr int64_t kFewChunks = 16;       // with fewer key heads than this, each is shared by several chunks
constexpr int64_t kLeastBlocks = 4;      // query blocks of such a chunk: each chunk packs all keys for itself

void require_shape(const Prepare& prepare, const char* what, const Spec& spec, int64_t a, int64_t b, int64_t c, int64_t d, DType dtype) {
  const int64_t dims[4] = {a, b, c, d};
  bool fits = spec.rank == 4 && spec.dtype == dtype;
  for (int i = 0; i < 4 && fits; ++i) fits = spec.dims[i] == dims[i];
  if (!fits) {
    prepare.fail("%s must be %s [%lld, %lld, %lld, %lld]", what, dtype_name(dtype), static_cast<long long>(a), static_cast<long long>(b),
                 static_cast<long long>(c), static_cast<long long>(d));
  }
}

void require_rows(const Prepare& prepare, const char* what, const Spec& spec, const AttentionPlan& plan, DType dtype) {
  if (spec.rank != 3 || spec.dtype != dtype || spec.dims[0] != plan.batch || spec.dims[1] != plan.heads || spec.dims[2] != plan.targets) {
    prepare.fail("%s must be %s [batch, heads, targets]", what, dtype_name(dtype));
  }
}

AttentionExtra find_extra(const Prepare& prepare, const char* name, int input, DType dtype, const AttentionPlan& plan) {
  if (prepare.get_int(name, 0) == 0) return {-1, 0, 0, 0};
  if (input >= prepare.num_inputs()) prepare.fail("%s=1 needs one more input", name);
  const Spec& spec = prepare.input(input);
  const int64_t whole[4] = {plan.batch, plan.heads, plan.targets, plan.sources};
  bool fits = spec.rank == 4 && spec.dtype == dtype && spec.dims[3] == plan.sources;
  for (int i = 0; i < 3 && fits; ++i) fits = spec.dims[i] == whole[i] || spec.dims[i] == 1;
  if (!fits) {
    prepare.fail("%s must be %s, of rank 4, end with %lld sources, and broadcast to [batch, heads, targets, sources]", name, dtype_name(dtype),
                 static_cast<long long>(plan.sources));
  }
  int64_t strides[3], stride = plan.sources;
  for (int i = 2; i >= 0; --i) {
    strides[i] = spec.dims[i] == 1 ? 0 : stride;
    stride *= spec.dims[i];
  }
  return {input, strides[0], strides[1], strides[2]};
}

void plan_shapes(const Prepare& prepare, int first_extra, AttentionPlan* plan) {
  const Spec& q = prepare.input(0);
  const Spec& v = prepare.input(2);
  if (q.rank != 4 || v.rank != 4) prepare.fail("inputs must have rank 4, but q has %d and v has %d", q.rank, v.rank);
  if (q.dtype != DType::kFloat32 && q.dtype != DType::kFloat64) prepare.fail("inputs must be float32 or float64, but are %s", dtype_name(q.dtype));
  plan->batch = q.dims[0];
  plan->targets = q.dims[1];
  plan->heads = q.dims[2];
  plan->size = q.dims[3];
  plan->sources = v.dims[1];
  plan->key_heads = v.dims[2];
  plan->value_size = v.dims[3];
  if (plan->sources < 1 || plan->size < 1 || plan->value_size < 1) {
    prepare.fail("there must be at least one source, and heads of at least one number");
  }
  if (plan->key_heads < 1 || plan->heads % plan->key_heads) {
    prepare.fail("the number of heads, %lld, must be a multiple of that of the keys, %lld", static_cast<long long>(plan->heads),
                 static_cast<long long>(plan->key_heads));
  }
  plan->group = plan->heads / plan->key_heads;
  require_shape(prepare, "k", prepare.input(1), plan->batch, plan->sources, plan->key_heads, plan->size, q.dtype);
  require_shape(prepare, "v", v, plan->batch, plan->sources, plan->key_heads, plan->value_size, q.dtype);
  plan->scale = prepare.get_float("scale");
  plan->causal = prepare.get_int("causal", 0) != 0;
  plan->bias = find_extra(prepare, "bias", first_extra, q.dtype, *plan);
  plan->mask = find_extra(prepare, "mask", first_extra + (plan->bias.input >= 0), DType::kBool, *plan);
}

void plan_blocks(bool gradient, AttentionPlan* plan) {
  plan->query_blocks = ceil_div(plan->targets, kMostQueryRows);
  plan->query_rows = plan->query_blocks == 0 ? 0 : ceil_div(plan->targets, plan->query_blocks);
  int64_t most_keys = gradient ? kMostKeysOfGradient : kMostKeys;
  if (gradient && plan->size + plan->value_size > 2 * kWideHead) most_keys /= 2;
  plan->key_rows = round_up(ceil_div(plan->sources, ceil_div(plan->sources, most_keys)), kAttentionPanel);
  plan->size_ld = round_up(plan->size, 16);
  plan->value_ld = round_up(plan->value_size, 16);
  plan->score_ld = plan->key_rows + 16;  // rows must not lie a multiple of 4 KiB apart
  const int64_t pairs = plan->batch * plan->key_heads, blocks = plan->group * plan->query_blocks;
  plan->parts = 1;
  if (!gradient && pairs > 0 && pairs < kFewChunks) {
    const int64_t wanted = ceil_div(kFewChunks, pairs), most = blocks / kLeastBlocks;
    plan->parts = most < 1 ? 1 : most < wanted ? most : wanted;
  }
  // Without targets there is nothing to look from, but gradients of keys and values must still be zeroed.
  plan->chunks = blocks == 0 && !gradient ? 0 : pairs * plan->parts;
}

}  // namespace

void plan_attention(Prepare& prepare, bool gradient, int first_extra, AttentionPlan* plan) {
  plan_shapes(prepare, first_extra, plan);
  plan_blocks(gradient, plan);
  const DType dtype = prepare.input(0).dtype;
  if (gradient) {
    require_shape(prepare, "y", prepare.input(3), plan->batch, plan->targets, plan->heads, plan->value_size, dtype);
    require_rows(prepare, "largest", prepare.input(4), *plan, dtype);
    require_rows(prepare, "total", prepare.input(5), *plan, dtype);
    require_shape(prepare, "dy", prepare.input(6), plan->batch, plan->targets, plan->heads, plan->value_size, dtype);
    require_shape(prepare, "dq", prepare.output(0), plan->batch, plan->targets, plan->heads, plan->size, dtype);
    require_shape(prepare, "dk", prepare.output(1), plan->batch, plan->sources, plan->key_heads, plan->size, dtype);
    require_shape(prepare, "dv", prepare.output(2), plan->batch, plan->sources, plan->key_heads, plan->value_size, dtype);
  } else {
    require_shape(prepare, "y", prepare.output(0), plan->batch, plan->targets, plan->heads, plan->value_size, dtype);
    require_rows(prepare, "largest", prepare.output(1), *plan, dtype);
    require_rows(prepare, "total", prepare.output(2), *plan, dtype);
  }
  const double rows = static_cast<double>(plan->batch * plan->heads * plan->targets);
  const double scores = rows * static_cast<double>(plan->sources) * (plan->causal ? 0.5 : 1.0);
  const double sizes = static_cast<double>(gradient ? 6 * plan->size + 4 * plan->value_size : 2 * (plan->size + plan->value_size));
  prepare.set_cost(scores * (sizes + 25.0));
  prepare.add_phase(plan->chunks);
}

}  // namespace nnlite
