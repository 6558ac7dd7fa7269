// bfloat16 products in pairs. The instruction adds the product of the upper halves to a float32 sum, then that of the lower halves, each rounded
// as a fused multiply-add; with the even k in the upper half, sums have the bits of a float32 product with k ascending. The sum is rounded once.
#include "kernels/matmul_bfloat16.h"

#if defined(NN_COMPILE_AVX512)
#include "kernels/float_items.h"
#include "kernels/gemm_pack.h"
#include "kernels/matmul_groups.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

struct PairGroups {
  using Register = __m512;
  static constexpr int kLanes = 16, kVectors = 4, kPerGroup = 2;
  static NN_ALWAYS Register load(const uint32_t* p) { return _mm512_castsi512_ps(_mm512_loadu_si512(p)); }
  static NN_ALWAYS void store(uint32_t* p, Register r) { _mm512_storeu_si512(p, _mm512_castps_si512(r)); }
  static NN_ALWAYS Register splat(uint32_t x) { return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(x))); }
  static NN_ALWAYS Register dot(Register acc, Register a, Register b) {
    return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

struct PairPlan {
  GroupPlan groups;
  int64_t a_step, b_step;  // elements between rows of A and B as they lie
  bool a_transposed, b_transposed, bias;
  Activation activation;
};

NN_INLINE Vec<int32_t> load_words(const uint32_t* p) { return load(reinterpret_cast<const int32_t*>(p)); }
NN_INLINE void store_words(uint32_t* p, Vec<int32_t> v) { store(reinterpret_cast<int32_t*>(p), v); }
NN_INLINE uint32_t pair_word(const uint16_t* pair, bool whole) { return static_cast<uint32_t>(pair[0]) << 16 | (whole ? pair[1] : 0u); }

// Pairs that lie one after the other, `k` numbers: words, the even number in the upper half.
void pack_run(const uint16_t* from, int64_t k, uint32_t* to) {
  int64_t i = 0;
  for (; i + 32 <= k; i += 32, to += 16) {
    const Vec<int32_t> pairs = load_words(reinterpret_cast<const uint32_t*>(from + i));
    store_words(to, shift_left<16>(pairs) | shift_right<16>(pairs));
  }
  for (; i < k; i += 2) *to++ = pair_word(from + i, i + 1 < k);
}

// Pairs whose halves lie in two rows: words [groups][columns], zero up to `ld` columns, a multiple of 16.
void pack_two_rows(const uint16_t* from, int64_t step, int64_t k, int64_t columns, uint32_t* to, int64_t ld) {
  for (int64_t i = 0; i < k; i += 2, from += 2 * step, to += ld) {
    const uint16_t* next = i + 1 < k ? from + step : nullptr;
    for (int64_t j = 0; j < ld; j += 16) {
      uint16_t even[16] = {}, odd[16] = {};
      const int64_t count = columns - j < 16 ? columns - j : 16;
      if (count == 16) {
        const Vec<int32_t> upper = shift_left<16>(load_u16(from + j));
        store_words(to + j, next ? upper | load_u16(next + j) : upper);
        continue;
      }
      if (count > 0) __builtin_memcpy(even, from + j, static_cast<size_t>(count) * 2);
      if (count > 0 && next) __builtin_memcpy(odd, next + j, static_cast<size_t>(count) * 2);
      store_words(to + j, shift_left<16>(load_u16(even)) | load_u16(odd));
    }
  }
}

// One panel of a B whose rows run along k.
void pack_transposed_panel(const uint16_t* from, int64_t step, int64_t k, int64_t columns, uint32_t* to) {
  const int64_t groups = (k + 1) / 2;
  if (columns < kGroupPanel) __builtin_memset(to, 0, static_cast<size_t>(groups * kGroupPanel) * 4);
  if (step % 2) {
    for (int64_t j = 0; j < columns; ++j) {
      for (int64_t g = 0; g < groups; ++g) to[g * kGroupPanel + j] = pair_word(from + j * step + 2 * g, 2 * g + 1 < k);
    }
    return;
  }
  pack_transposed(reinterpret_cast<const float*>(from), step / 2, reinterpret_cast<float*>(to), kGroupPanel, columns, groups);
  for (int64_t i = 0; i < groups * kGroupPanel; i += 16) {
    const Vec<int32_t> pairs = load_words(to + i);
    store_words(to + i, shift_left<16>(pairs) | shift_right<16>(pairs));
  }
}

void pack_chunk(const PairPlan& plan, int64_t chunk, const StepArgs& args, uint32_t* a, uint32_t* b) {
  const GroupPlan& g = plan.groups;
  if (chunk < g.a_chunks) {
    const uint16_t* from = static_cast<const uint16_t*>(args.in[0]);
    if (plan.a_transposed) {  // a chunk is a range of k
      const int64_t first = g.groups * chunk / g.a_chunks, last = g.groups * (chunk + 1) / g.a_chunks;
      const int64_t count = (2 * last < g.k ? 2 * last : g.k) - 2 * first;
      pack_two_rows(from + 2 * first * plan.a_step, plan.a_step, count, g.m, a + first * g.a_rows, g.a_rows);
      return;
    }
    const int64_t last = g.m * (chunk + 1) / g.a_chunks;
    for (int64_t row = g.m * chunk / g.a_chunks; row < last; ++row) pack_run(from + row * plan.a_step, g.k, a + row * g.a_ld);
    if (last == g.m) __builtin_memset(a + g.m * g.a_ld, 0, static_cast<size_t>(g.groups) * 4);  // tiles may read one row past the last
    return;
  }
  const int64_t panel = chunk - g.a_chunks, column = panel * kGroupPanel, columns = g.n - column < kGroupPanel ? g.n - column : kGroupPanel;
  const uint16_t* from = static_cast<const uint16_t*>(args.in[1]);
  if (plan.b_transposed) return pack_transposed_panel(from + column * plan.b_step, plan.b_step, g.k, columns, b + column * g.groups);
  pack_two_rows(from + column, plan.b_step, g.k, columns, b + column * g.groups, kGroupPanel);
}

// Bias, activation and rounding of one row of sums.
NN_INLINE void finish_pairs(const PairPlan& plan, const uint16_t* bias, uint16_t* c, int64_t columns, const uint32_t* sums) {
  for (int64_t j = 0; j < columns; j += 16) {
    const int part = columns - j < 16 ? static_cast<int>(columns - j) : 16;
    Vec<float> x = as_float(load_words(sums + j));
    if (plan.bias) x = x + (part == 16 ? BFloat16::read(bias + j) : BFloat16::read_part(bias + j, part));
    if (plan.activation == Activation::kRelu) x = max(Vec<float>::zero(), x);
    if (plan.activation == Activation::kSigmoid) x = sigmoid(x);
    if (plan.activation == Activation::kTanh) x = tanh(x);
    part == 16 ? BFloat16::write(c + j, x) : BFloat16::write_part(c + j, x, part);
  }
}

void run_pairs(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  static constexpr uint32_t kZeros[kGroupPanel] = {};
  const PairPlan& plan = *static_cast<const PairPlan*>(state);
  const GroupPlan& g = plan.groups;
  uint32_t* b = static_cast<uint32_t*>(args.scratch);
  uint32_t* a = b + g.b_bytes / 4;
  if (phase == 0) {
    for (int64_t chunk = begin; chunk < end; ++chunk) pack_chunk(plan, chunk, args, a, b);
    return;
  }
  const uint16_t* bias = plan.bias ? static_cast<const uint16_t*>(args.in[2]) : nullptr;
  uint16_t* c = static_cast<uint16_t*>(args.out[0]);
  run_groups<PairGroups>(
      g, begin, end, a, plan.a_transposed ? 1 : g.a_ld, plan.a_transposed ? g.a_rows : 1, b, [](int64_t) { return kZeros; },
      [&](int64_t row, int64_t column, int64_t columns, const uint32_t* sums) {
        finish_pairs(plan, bias + (bias ? column : 0), c + row * g.n + column, columns, sums);
      });
}

}  // namespace

void prepare_bfloat16_pairs(Prepare& prepare, const MatmulPlan& product) {
  auto* plan = static_cast<PairPlan*>(prepare.new_state(sizeof(PairPlan)));
  plan->a_transposed = product.a_col != 1;
  plan->a_step = plan->a_transposed ? product.a_col : product.a_row;
  plan->b_transposed = product.b_layout == MatrixB::kTransposed;
  plan->b_step = product.ldb;
  plan->bias = product.bias;
  plan->activation = product.activation;
  plan_groups(prepare, product.m, product.n, product.k, PairGroups::kPerGroup, &plan->groups);
  prepare.need_scratch(plan->groups.a_bytes + plan->groups.b_bytes);
  prepare.set_cost(product.cost / 2);
  prepare.set_run(run_pairs);
}

}  // namespace nnlite::NN_ISA
#endif
