// attention_grad: gradients of attention with respect to q, k and v. Weights are computed again from the largest scores and totals that the
// forward kept. A chunk is one key head: all that adds to its keys and values, in a fixed order.
#include "kernels/attention_rows.h"

namespace nnlite::NN_ISA {
namespace {

// Rows that look together where causality cuts: more than forward, because each such group is added to the sums of the keys on its own.
constexpr int64_t kTriangleRows = 32;

// Working copies of a chunk, in thread scratch.
template <class T>
struct GradWork {
  T *keys_t, *values_t, *keys;          // panels of K^T and V^T; rows of K
  T *dkeys, *dvalues;                   // sums over all targets, one after the other
  T *queries, *dy, *weights, *dscores, *dqueries;  // of one block of targets

  GradWork(const AttentionPlan& plan, void* scratch) {
    const int64_t rows = plan.query_rows + kAttentionSpareRows;
    keys_t = static_cast<T*>(scratch);
    values_t = keys_t + plan.key_rows * plan.size;
    keys = values_t + plan.key_rows * plan.value_size;
    dkeys = keys + plan.key_rows * plan.size_ld;
    dvalues = dkeys + plan.key_rows * plan.size_ld;
    queries = dvalues + plan.key_rows * plan.value_ld;
    dy = queries + rows * plan.size_ld;
    weights = dy + rows * plan.value_ld;
    dscores = weights + rows * plan.score_ld;
    dqueries = dscores + rows * plan.score_ld;
  }
  static size_t bytes(const AttentionPlan& plan) {
    const int64_t a_key = plan.size + plan.value_size + 2 * plan.size_ld + plan.value_ld;
    const int64_t a_row = 2 * plan.size_ld + plan.value_ld + 2 * plan.score_ld;
    return static_cast<size_t>(plan.key_rows * a_key + (plan.query_rows + kAttentionSpareRows) * a_row) * sizeof(T);
  }
};

template <class T>
NN_INLINE T dot(const T* a, const T* b, int64_t n) {
  constexpr int kLanes = Vec<T>::kLanes;
  Vec<T> sum = Vec<T>::zero();
  for (int64_t j = 0; j < n; j += kLanes) {
    const int part = static_cast<int>(smaller(n - j, kLanes));
    sum = fma(load_part(a + j, part), load_part(b + j, part), sum);
  }
  return reduce_add(sum);
}

// Scores become weights p, and their gradients p * (dp - sum of p * dp), where they are looked at.
template <class T>
__attribute__((noinline)) void weigh(const AttentionPlan& plan, const RowBlock<T>& block, int64_t row, int64_t first_key, int64_t keys, T largest,
                                     T total, T mean, T* weights, T* dscores) {
  constexpr int kLanes = Vec<T>::kLanes;
  const Vec<T> shift = splat(largest), share = splat(1 / total), centre = splat(mean);
  const int64_t padded = round_up(keys, 16);
  for (int64_t j = 0; j < padded; j += kLanes) {
    const Vec<T> p = exp2_weight(load(weights + j) - shift) * share;
    store(weights + j, p);
    store(dscores + j, p * (load(dscores + j) - centre));
  }
  if (block.mask) {
    const uint8_t* mask = block.mask + row * block.mask_step + first_key;
    for (int64_t j = 0; j < keys; j += kLanes) {
      const Mask<T> looks = keys - j >= kLanes ? load_mask<T>(mask + j) : load_mask_part<T>(mask + j, static_cast<int>(keys - j));
      store(dscores + j, select(looks, load(dscores + j), Vec<T>::zero()));
    }
  }
  for (int64_t j = causal_end(plan, block.first + row, first_key, keys); j < padded; ++j) dscores[j] = 0;
}

// Adds what one block of targets gives to the keys and values in `work`, and what these give to its queries.
template <class T>
void look_back(const AttentionPlan& plan, const StepArgs& args, const RowBlock<T>& block, const GradWork<T>& work, int64_t first_key, int64_t keys,
               Ahead<T>* ahead) {
  constexpr int kLanes = Vec<T>::kLanes;
  using P = attention::Product<T>;
  const int64_t row0 = block.batch * plan.targets + block.first, q_step = plan.heads * plan.size, y_step = plan.heads * plan.value_size;
  const T* q = static_cast<const T*>(args.in[0]) + row0 * q_step + block.head * plan.size;
  const T* y = static_cast<const T*>(args.in[3]) + row0 * y_step + block.head * plan.value_size;
  const T* largest = static_cast<const T*>(args.in[4]) + (block.batch * plan.heads + block.head) * plan.targets + block.first;
  const T* total = static_cast<const T*>(args.in[5]) + (block.batch * plan.heads + block.head) * plan.targets + block.first;
  const T* dy = static_cast<const T*>(args.in[6]) + row0 * y_step + block.head * plan.value_size;
  T* dq = static_cast<T*>(args.out[0]) + row0 * q_step + block.head * plan.size;
  const int64_t padded = round_up(keys, 16), rows = block.rows;

  copy_rows(q, q_step, rows, plan.size, static_cast<T>(plan.scale * 1.4426950408889634), work.queries, plan.size_ld);
  copy_rows(dy, y_step, rows, plan.value_size, T(1), work.dy, plan.value_ld);
  attention::multiply(P{work.queries, plan.size_ld, 1, work.keys_t, kAttentionPanel, kAttentionPanel * plan.size, work.weights, plan.score_ld, rows,
                        padded, plan.size, false});
  attention::multiply(P{work.dy, plan.value_ld, 1, work.values_t, kAttentionPanel, kAttentionPanel * plan.value_size, work.dscores, plan.score_ld,
                        rows, padded, plan.value_size, false});
  for (int64_t i = 0; i < rows; ++i) {
    T* weights = work.weights + i * plan.score_ld;
    finish_scores(plan, block, i, first_key, keys, weights);
    ahead->advance();
    weigh(plan, block, i, first_key, keys, largest[i], total[i], dot(y + i * y_step, dy + i * y_step, plan.value_size), weights,
          work.dscores + i * plan.score_ld);
  }
  attention::multiply(P{work.weights, 1, plan.score_ld, work.dy, plan.value_ld, kAttentionPanel, work.dvalues, plan.value_ld, padded, plan.value_ld,
                        rows, true});
  attention::multiply(P{work.dscores, 1, plan.score_ld, work.queries, plan.size_ld, kAttentionPanel, work.dkeys, plan.size_ld, padded, plan.size_ld,
                        rows, true});
  attention::multiply(P{work.dscores, plan.score_ld, 1, work.keys, plan.size_ld, kAttentionPanel, work.dqueries, plan.size_ld, rows, plan.size_ld,
                        keys, false});
  const Vec<T> scale = splat(static_cast<T>(plan.scale));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < plan.size; j += kLanes) {
      const int part = static_cast<int>(smaller(plan.size - j, kLanes));
      const Vec<T> sum = load(work.dqueries + i * plan.size_ld + j);
      T* out = dq + i * q_step + j;
      store_part(out, first_key == 0 ? sum * scale : fma(sum, scale, load_part(out, part)), part);
    }
  }
}

// Sums times `factor` to their places.
template <class T>
void write_rows(const T* sums, int64_t ld, T factor, int64_t rows, int64_t size, T* to, int64_t step) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < size; j += kLanes) {
      store_part(to + i * step + j, load(sums + i * ld + j) * splat(factor), static_cast<int>(smaller(size - j, kLanes)));
    }
  }
}

// Where the first row of a key head lies, counted over the batch.
NN_INLINE int64_t key_row(const AttentionPlan& plan, int64_t pair, int64_t key, int64_t size) {
  return ((pair / plan.key_heads * plan.sources + key) * plan.key_heads + pair % plan.key_heads) * size;
}

// Looks ahead to the keys after those of a chunk from `key` on, and to where the gradients of these go.
template <class T>
void aim_at_keys(const AttentionPlan& plan, const StepArgs& args, int64_t pair, int64_t key, Ahead<T>* ahead) {
  const int64_t sizes[2] = {plan.size, plan.value_size}, targets = plan.group * plan.targets, rows = targets < 1 ? 1 : targets;
  const int64_t keys = smaller(plan.sources - key, plan.key_rows), next_key = key + keys < plan.sources ? key + keys : 0;
  const int64_t next_pair = next_key ? pair : pair + 1, next_keys = smaller(plan.sources - next_key, plan.key_rows);
  ahead->keep(0, 0);
  for (int i = 0; i < 2; ++i) {
    const int64_t size = sizes[i], step = plan.key_heads * size;
    ahead->write(static_cast<const T*>(args.out[1 + i]) + key_row(plan, pair, key, size), step, size, keys, ceil_div(keys, rows));
    if (next_pair >= plan.batch * plan.key_heads) continue;
    ahead->read(static_cast<const T*>(args.in[1 + i]) + key_row(plan, next_pair, next_key, size), step, size, next_keys, ceil_div(next_keys, rows));
  }
}

// And to what the block after `index` reads of its targets, and where the gradient of this one's queries goes.
template <class T>
void aim_at_queries(const AttentionPlan& plan, const StepArgs& args, int64_t pair, int64_t index, Ahead<T>* ahead) {
  const int64_t blocks = plan.group * plan.query_blocks, q_step = plan.heads * plan.size, y_step = plan.heads * plan.value_size;
  const bool last = pair + 1 >= plan.batch * plan.key_heads;
  ahead->keep(ahead->num_reads < 2 ? 0 : 2, 2);
  const RowPlace here = find_place(plan, pair, index);
  ahead->write(static_cast<const T*>(args.out[0]) + here.row * q_step + here.head * plan.size, q_step, plan.size, here.rows, 1);
  if (last && index + 1 >= blocks) return;
  const RowPlace next = find_place(plan, pair + (index + 1) / blocks, (index + 1) % blocks);
  ahead->read(static_cast<const T*>(args.in[0]) + next.row * q_step + next.head * plan.size, q_step, plan.size, next.rows, 1);
  const int inputs[2] = {3, 6};
  for (const int input : inputs) {
    ahead->read(static_cast<const T*>(args.in[input]) + next.row * y_step + next.head * plan.value_size, y_step, plan.value_size, next.rows, 1);
  }
}

template <class T>
void run_attention_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const AttentionPlan& plan = *static_cast<const AttentionPlan*>(state);
  const GradWork<T> work(plan, args.thread_scratch);
  const int64_t blocks = plan.group * plan.query_blocks, k_step = plan.key_heads * plan.size, v_step = plan.key_heads * plan.value_size;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t batch = chunk / plan.key_heads, key_head = chunk % plan.key_heads;
    const int64_t k_at = batch * plan.sources * k_step + key_head * plan.size, v_at = batch * plan.sources * v_step + key_head * plan.value_size;
    Ahead<T> ahead;
    for (int64_t key = 0; key < plan.sources; key += plan.key_rows) {
      aim_at_keys(plan, args, chunk, key, &ahead);
      const int64_t keys = smaller(plan.sources - key, plan.key_rows);
      const T* k = static_cast<const T*>(args.in[1]) + k_at + key * k_step;
      pack_keys(k, k_step, keys, plan.size, work.keys_t);
      pack_keys(static_cast<const T*>(args.in[2]) + v_at + key * v_step, v_step, keys, plan.value_size, work.values_t);
      pack_rows(k, k_step, work.keys, plan.size_ld, plan.size, keys);
      __builtin_memset(work.dkeys, 0, static_cast<size_t>(plan.key_rows * (plan.size_ld + plan.value_ld)) * sizeof(T));
      for (int64_t i = 0; i < blocks; ++i) {
        const RowBlock<T> block = find_rows<T>(plan, args, batch, key_head, i);
        aim_at_queries(plan, args, chunk, i, &ahead);
        for_looking_rows(plan, block, key, keys, kTriangleRows,
                         [&](const RowBlock<T>& rows, int64_t seen)
                             __attribute__((always_inline)) { look_back(plan, args, rows, work, key, seen, &ahead); });
      }
      // Queries were multiplied by log2(e).
      write_rows(work.dkeys, plan.size_ld, T(0.69314718055994531), keys, plan.size, static_cast<T*>(args.out[1]) + k_at + key * k_step, k_step);
      write_rows(work.dvalues, plan.value_ld, T(1), keys, plan.value_size, static_cast<T*>(args.out[2]) + v_at + key * v_step, v_step);
    }
  }
}

void prepare_attention_grad(Prepare& prepare) {
  auto* plan = static_cast<AttentionPlan*>(prepare.new_state(sizeof(AttentionPlan)));
  plan_attention(prepare, true, 7, plan);
  if (prepare.input(0).dtype == DType::kFloat32) {
    prepare.set_run(run_attention_grad<float>);
    prepare.need_thread_scratch(GradWork<float>::bytes(*plan));
  } else {
    prepare.set_run(run_attention_grad<double>);
    prepare.need_thread_scratch(GradWork<double>::bytes(*plan));
  }
}

NN_KERNEL("attention_grad", prepare_attention_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
