// attention: softmax(scale * q k^T + bias) v, block by block, so that scores never leave the caches. A chunk packs a block of keys and
// values of one key head and lets blocks of targets pass by; with several blocks of keys, sums are kept relative to the largest score so far.
#include "kernels/attention_rows.h"

namespace nnlite::NN_ISA {
namespace {

// Rows that look together where causality cuts.
constexpr int64_t kTriangleRows = 18;

// Working copies of a chunk, in thread scratch.
template <class T>
struct Work {
  T *keys, *values;  // panels of K^T; rows of V
  T *queries, *scores, *sums;

  Work(const AttentionPlan& plan, void* scratch) {
    const int64_t rows = plan.query_rows + kAttentionSpareRows;
    keys = static_cast<T*>(scratch);
    values = keys + plan.key_rows * plan.size;
    queries = values + plan.key_rows * plan.value_ld;
    scores = queries + rows * plan.size_ld;
    sums = scores + rows * plan.score_ld;
  }
  static size_t bytes(const AttentionPlan& plan) {
    const int64_t rows = plan.query_rows + kAttentionSpareRows;
    return static_cast<size_t>(plan.key_rows * (plan.size + plan.value_ld) + rows * (plan.size_ld + plan.score_ld + plan.value_ld)) * sizeof(T);
  }
};

// One row of scores becomes weights; updates the largest score and the total of weights, returns how much older sums count.
template <class T>
__attribute__((noinline)) T weigh(T* scores, int64_t keys, bool first, T* largest, T* total) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t padded = round_up(keys, 16);
  Vec<T> high = splat(-FloatTraits<T>::kInfinity), high2 = high;
  for (int64_t j = 0; j < padded; j += 16) {
    high = max(load(scores + j), high);
    if constexpr (kLanes == 8) high2 = max(load(scores + j + 8), high2);
  }
  T most = reduce_max(max(high2, high));
  if (!first && *largest > most) most = *largest;
  // Where all scores are -infinity so far, weights must be zero, not NaN.
  const Vec<T> shift = splat(most == -FloatTraits<T>::kInfinity ? T(0) : most);
  Vec<T> sum = Vec<T>::zero();
  for (int64_t j = 0; j < padded; j += kLanes) {
    const Vec<T> weight = exp2_weight(load(scores + j) - shift);
    store(scores + j, weight);
    sum += weight;
  }
  const T fresh = reduce_add(sum);
  T old[kLanes] = {}, whole[kLanes] = {fresh};
  if (!first) {
    const Vec<T> counts = exp2_weight(splat(*largest) - shift);
    store(old, counts);
    store(whole, fma(splat(*total), counts, splat(fresh)));
  }
  *total = whole[0];
  *largest = most;
  return old[0];
}

// Lets one block of targets look at the keys in `work`.
template <class T>
void look(const AttentionPlan& plan, const StepArgs& args, const RowBlock<T>& block, const Work<T>& work, int64_t first_key, int64_t keys,
          Ahead<T>* ahead) {
  constexpr int kLanes = Vec<T>::kLanes;
  const bool first = first_key == 0, last = first_key + keys >= block.end_key;
  const int64_t row0 = block.batch * plan.targets + block.first, q_step = plan.heads * plan.size, y_step = plan.heads * plan.value_size;
  const T* q = static_cast<const T*>(args.in[0]) + row0 * q_step + block.head * plan.size;
  T* y = static_cast<T*>(args.out[0]) + row0 * y_step + block.head * plan.value_size;
  T* largest = static_cast<T*>(args.out[1]) + (block.batch * plan.heads + block.head) * plan.targets + block.first;
  T* total = static_cast<T*>(args.out[2]) + (block.batch * plan.heads + block.head) * plan.targets + block.first;

  copy_rows(q, q_step, block.rows, plan.size, static_cast<T>(plan.scale * 1.4426950408889634), work.queries, plan.size_ld);
  const int64_t padded = round_up(keys, 16);
  attention::multiply(attention::Product<T>{work.queries, plan.size_ld, 1, work.keys, kAttentionPanel, kAttentionPanel * plan.size, work.scores,
                                            plan.score_ld, block.rows, padded, plan.size, false});
  for (int64_t i = 0; i < block.rows; ++i) {
    T* scores = work.scores + i * plan.score_ld;
    finish_scores(plan, block, i, first_key, keys, scores);
    ahead->advance();
    const T shrink = weigh(scores, keys, first, largest + i, total + i);
    if (first) continue;
    for (int64_t j = 0; j < plan.value_size; j += kLanes) {
      const Vec<T> sum = load_part(y + i * y_step + j, static_cast<int>(smaller(plan.value_size - j, kLanes)));
      store(work.sums + i * plan.value_ld + j, sum * splat(shrink));
    }
  }
  attention::multiply(attention::Product<T>{work.scores, plan.score_ld, 1, work.values, plan.value_ld, kAttentionPanel, work.sums, plan.value_ld,
                                            block.rows, plan.value_ld, keys, !first});
  for (int64_t i = 0; i < block.rows; ++i) {
    const Vec<T> by = splat(last ? 1 / total[i] : T(1));
    for (int64_t j = 0; j < plan.value_size; j += kLanes) {
      store_part(y + i * y_step + j, load(work.sums + i * plan.value_ld + j) * by, static_cast<int>(smaller(plan.value_size - j, kLanes)));
    }
  }
}

// Keys and values of `key_head`, counted over the batch.
template <class T>
NN_INLINE const T* find_keys(const AttentionPlan& plan, const T* keys, int64_t pair, int64_t size) {
  return keys + (pair / plan.key_heads * plan.sources * plan.key_heads + pair % plan.key_heads) * size;
}

// Looks ahead to the keys that follow those of `chunk` from `key` on.
template <class T>
void aim_at_keys(const AttentionPlan& plan, const StepArgs& args, int64_t chunk, int64_t key, int64_t rows, Ahead<T>* ahead) {
  const int64_t next = key + plan.key_rows, pair = chunk / plan.parts, k_step = plan.key_heads * plan.size, v_step = plan.key_heads * plan.value_size;
  const int64_t next_pair = next < plan.sources ? pair : pair + 1, first = next < plan.sources ? next : 0;
  ahead->keep(0, 0);
  if (next_pair >= plan.batch * plan.key_heads) return;
  const int64_t keys = smaller(plan.sources - first, plan.key_rows), each = ceil_div(keys, rows < 1 ? 1 : rows);
  ahead->read(find_keys(plan, static_cast<const T*>(args.in[1]), next_pair, plan.size) + first * k_step, k_step, plan.size, keys, each);
  ahead->read(find_keys(plan, static_cast<const T*>(args.in[2]), next_pair, plan.value_size) + first * v_step, v_step, plan.value_size, keys, each);
}

// And to the queries of the block after `index`, and to where the results of this one go.
template <class T>
void aim_at_queries(const AttentionPlan& plan, const StepArgs& args, int64_t pair, int64_t index, Ahead<T>* ahead) {
  const int64_t blocks = plan.group * plan.query_blocks, q_step = plan.heads * plan.size, y_step = plan.heads * plan.value_size;
  ahead->keep(ahead->num_reads < 2 ? 0 : 2, 0);
  const RowPlace here = find_place(plan, pair, index);
  ahead->write(static_cast<const T*>(args.out[0]) + here.row * y_step + here.head * plan.value_size, y_step, plan.value_size, here.rows, 1);
  const int64_t next_pair = pair + (index + 1) / blocks;
  if (next_pair >= plan.batch * plan.key_heads) return;
  const RowPlace next = find_place(plan, next_pair, (index + 1) % blocks);
  ahead->read(static_cast<const T*>(args.in[0]) + next.row * q_step + next.head * plan.size, q_step, plan.size, next.rows, 1);
}

template <class T>
void run_attention(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const AttentionPlan& plan = *static_cast<const AttentionPlan*>(state);
  const Work<T> work(plan, args.thread_scratch);
  const int64_t blocks = plan.group * plan.query_blocks, k_step = plan.key_heads * plan.size, v_step = plan.key_heads * plan.value_size;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t pair = chunk / plan.parts, part = chunk % plan.parts, batch = pair / plan.key_heads, key_head = pair % plan.key_heads;
    const T* k = static_cast<const T*>(args.in[1]) + batch * plan.sources * k_step + key_head * plan.size;
    const T* v = static_cast<const T*>(args.in[2]) + batch * plan.sources * v_step + key_head * plan.value_size;
    Ahead<T> ahead;
    for (int64_t key = 0; key < plan.sources; key += plan.key_rows) {
      aim_at_keys(plan, args, chunk, key, blocks / plan.parts * plan.query_rows, &ahead);
      const int64_t keys = smaller(plan.sources - key, plan.key_rows);
      pack_keys(k + key * k_step, k_step, keys, plan.size, work.keys);
      pack_rows(v + key * v_step, v_step, work.values, plan.value_ld, plan.value_size, keys);
      for (int64_t i = blocks * part / plan.parts; i < blocks * (part + 1) / plan.parts; ++i) {
        const RowBlock<T> block = find_rows<T>(plan, args, batch, key_head, i);
        aim_at_queries(plan, args, pair, i, &ahead);
        for_looking_rows(plan, block, key, keys, kTriangleRows, [&](const RowBlock<T>& rows, int64_t seen)
                                                                    __attribute__((always_inline)) { look(plan, args, rows, work, key, seen, &ahead); });
      }
    }
  }
}

void prepare_attention(Prepare& prepare) {
  auto* plan = static_cast<AttentionPlan*>(prepare.new_state(sizeof(AttentionPlan)));
  plan_attention(prepare, false, 3, plan);
  if (prepare.input(0).dtype == DType::kFloat32) {
    prepare.set_run(run_attention<float>);
    prepare.need_thread_scratch(Work<float>::bytes(*plan));
  } else {
    prepare.set_run(run_attention<double>);
    prepare.need_thread_scratch(Work<double>::bytes(*plan));
  }
}

NN_KERNEL("attention", prepare_attention);

}  // namespace
}  // namespace nnlite::NN_ISA
