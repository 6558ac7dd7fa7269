// What the forward and the gradient of attention share: copies of blocks, and what a score becomes before its exponential.
// Scores are in units of log 2, so that their exponentials need no reduction.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/attention_plan.h"
#include "kernels/attention_tile.h"
#include "kernels/float_items.h"
#include "kernels/gemm_pack.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

// A score that is not looked at: its weight is zero, unless all scores of a row are so; then all weigh the same.
template <class T>
constexpr T kMasked = sizeof(T) == 4 ? T(-1.7014117e38) : T(-8.9884656743115785e307);

// 2^x for x <= 0, -infinity and NaN included; what would be subnormal is zero.
NN_INLINE Vec<float> exp2_weight(Vec<float> x) {
  static constexpr float kTail[] = {1.0f, 0.693147182f, 0.240226477f, 0.0555033237f, 0.00961843692f, 0.0013398875f, 0.000153533605f};
  const Vec<float> magic = splat(12582912.0f + 127.0f);  // 1.5 * 2^23: what is added lands in the lowest bits
  x = max(splat(-127.0f), x);
  const Vec<float> whole = x + magic;
  const Vec<float> r = x - (whole - magic);
  return polynomial(r, kTail) * as_float(shift_left<23>(as_int(whole)));
}
NN_INLINE Vec<double> exp2_weight(Vec<double> x) { return exp(x * splat(0.69314718055994531)); }

// One block of rows of one head.
template <class T>
struct RowBlock {
  int64_t batch, head, key_head;
  int64_t first, rows;   // targets
  const T* bias;         // of the first row, or null; rows are `bias_step` apart
  int64_t bias_step;
  const uint8_t* mask;   // the same
  int64_t mask_step;
  int64_t end_key;       // keys from here on weigh nothing in all of the rows
  bool triangle;         // because every row ends at its own key
};

// Rows that will be read or written soon, asked for a few at a time while products keep the multipliers busy: the rows of one head lie in pieces
// too far apart for the hardware to see the next one coming.
template <class T>
struct Ahead {
  struct Rows {
    const T* at;
    int64_t step, size, left;
    int64_t each;  // so many at a time
  };
  static constexpr int kMost = 5;
  Rows reads[kMost], writes[3];
  int num_reads = 0, num_writes = 0;

  NN_ALWAYS void read(const T* at, int64_t step, int64_t size, int64_t rows, int64_t each) { reads[num_reads++] = {at, step, size, rows, each}; }
  NN_ALWAYS void write(const T* at, int64_t step, int64_t size, int64_t rows, int64_t each) { writes[num_writes++] = {at, step, size, rows, each}; }
  // Forgets all but the first rows that were named.
  NN_ALWAYS void keep(int first_reads, int first_writes) {
    num_reads = first_reads;
    num_writes = first_writes;
  }
  void advance() {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int i = 0; i < num_reads; ++i) {
      Rows& rows = reads[i];
      for (int64_t n = smaller(rows.each, rows.left); n > 0; --n, --rows.left, rows.at += rows.step) {
        for (int64_t j = 0; j < rows.size; j += kLine) prefetch_l2(rows.at + j);
      }
    }
    for (int i = 0; i < num_writes; ++i) {
      Rows& rows = writes[i];
      for (int64_t n = smaller(rows.each, rows.left); n > 0; --n, --rows.left, rows.at += rows.step) {
        for (int64_t j = 0; j < rows.size; j += kLine) prefetch_write(rows.at + j);
      }
    }
  }
};

// Where the rows of block `index` of key head `pair`, counted over the batch, lie.
struct RowPlace {
  int64_t row;  // of [batch * targets]
  int64_t head, rows;
};

NN_INLINE RowPlace find_place(const AttentionPlan& plan, int64_t pair, int64_t index) {
  const int64_t part = index % plan.query_blocks, first = plan.targets * part / plan.query_blocks;
  return {pair / plan.key_heads * plan.targets + first, pair % plan.key_heads * plan.group + index / plan.query_blocks,
          plan.targets * (part + 1) / plan.query_blocks - first};
}

// Whether each row looks at one of the first keys that causality leaves it.
template <class T>
bool all_rows_look(const RowBlock<T>& block, int64_t sources) {
  if (!block.mask) return true;
  for (int64_t i = 0; i < block.rows; ++i) {
    const uint8_t* mask = block.mask + i * block.mask_step;
    const int64_t end = smaller(block.first + i + 1, sources);
    int64_t j = 0;
    while (j < end && !mask[j]) ++j;
    if (j == end) return false;
  }
  return true;
}

// Where the rows of a block start in an optional input.
template <class T>
NN_INLINE int64_t first_row(const AttentionExtra& extra, const RowBlock<T>& block) {
  return block.batch * extra.batch + block.head * extra.head + block.first * extra.target;
}

// The rows of block `index` of a key head: its heads one after the other, blocks of targets within.
template <class T>
RowBlock<T> find_rows(const AttentionPlan& plan, const StepArgs& args, int64_t batch, int64_t key_head, int64_t index) {
  const int64_t part = index % plan.query_blocks;
  RowBlock<T> block = {};
  block.batch = batch;
  block.key_head = key_head;
  block.head = key_head * plan.group + index / plan.query_blocks;
  block.first = plan.targets * part / plan.query_blocks;
  block.rows = plan.targets * (part + 1) / plan.query_blocks - block.first;
  if (plan.bias.input >= 0) {
    block.bias_step = plan.bias.target;
    block.bias = static_cast<const T*>(args.in[plan.bias.input]) + first_row(plan.bias, block);
  }
  if (plan.mask.input >= 0) {
    block.mask_step = plan.mask.target;
    block.mask = static_cast<const uint8_t*>(args.in[plan.mask.input]) + first_row(plan.mask, block);
  }
  block.triangle = plan.causal && all_rows_look(block, plan.sources);
  block.end_key = block.triangle ? smaller(block.first + block.rows, plan.sources) : plan.sources;
  return block;
}

// Calls look(rows, keys that they see) for a block of targets at the keys [first_key, first_key + keys). Where the rows end at different keys of
// these, for at most `most_rows` of them at a time: what causality hides is then hardly computed.
template <class T, class Look>
NN_INLINE void for_looking_rows(const AttentionPlan& plan, const RowBlock<T>& block, int64_t first_key, int64_t keys, int64_t most_rows, Look look) {
  const bool cut = block.triangle && block.first + 1 < first_key + keys;
  const int64_t parts = cut ? ceil_div(block.rows, most_rows) : 1;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t begin = block.rows * i / parts, end = block.rows * (i + 1) / parts;
    RowBlock<T> rows = block;
    rows.first += begin;
    rows.rows = end - begin;
    if (block.bias) rows.bias += begin * block.bias_step;
    if (block.mask) rows.mask += begin * block.mask_step;
    if (block.triangle) rows.end_key = smaller(block.first + end, plan.sources);
    if (first_key < rows.end_key) look(rows, smaller(keys, rows.end_key - first_key));
  }
}

// Keys (or values) of a block as panels of 64 columns: to[panel][i][key].
template <class T>
void pack_keys(const T* from, int64_t step, int64_t keys, int64_t size, T* to) {
  for (int64_t key = 0; key < keys; key += kAttentionPanel, to += kAttentionPanel * size) {
    const int64_t columns = smaller(keys - key, kAttentionPanel);
    if (columns < kAttentionPanel) __builtin_memset(to, 0, static_cast<size_t>(kAttentionPanel * size) * sizeof(T));
    pack_transposed(from + key * step, step, to, kAttentionPanel, columns, size);
  }
}

// Rows times `factor`, with zeros up to `ld`, and zero rows after the last.
template <class T>
void copy_rows(const T* from, int64_t step, int64_t rows, int64_t size, T factor, T* to, int64_t ld) {
  constexpr int kLanes = Vec<T>::kLanes;
  const Vec<T> by = splat(factor);
  for (int64_t i = 0; i < rows; ++i, from += step, to += ld) {
    int64_t j = 0;
    for (; j + kLanes <= size; j += kLanes) store(to + j, load(from + j) * by);
    for (; j < ld; j += kLanes) store(to + j, j < size ? load_part(from + j, static_cast<int>(size - j)) * by : Vec<T>::zero());
  }
  __builtin_memset(to, 0, static_cast<size_t>(kAttentionSpareRows * ld) * sizeof(T));
}

// Bytes as truth values, `n` of them, the rest false.
template <class T>
NN_INLINE Mask<T> load_mask_part(const uint8_t* p, int n) {
  uint8_t whole[16] = {};
  __builtin_memcpy(whole, p, static_cast<size_t>(n));
  return load_mask<T>(whole);
}

// The first key of a block that causality hides from target `row`.
NN_INLINE int64_t causal_end(const AttentionPlan& plan, int64_t row, int64_t first_key, int64_t keys) {
  const int64_t end = row + 1 - first_key;
  return !plan.causal || end > keys ? keys : end < 0 ? 0 : end;
}

// Bias and mask of one row of scores, and -infinity after the last key up to whole vectors.
template <class T>
NN_INLINE void finish_scores(const AttentionPlan& plan, const RowBlock<T>& block, int64_t row, int64_t first_key, int64_t keys, T* scores) {
  constexpr int kLanes = Vec<T>::kLanes;
  const Vec<T> masked = splat(kMasked<T>);
  if (block.bias) {
    // The lowest finite bias stays finite in units of log 2: where a whole row has it, all sources weigh the same.
    const Vec<T> unit = splat(FloatTraits<T>::kLog2E), infinite = splat(-FloatTraits<T>::kInfinity), lowest = splat(2 * kMasked<T>);
    const T* bias = block.bias + row * block.bias_step + first_key;
    for (int64_t j = 0; j < keys; j += kLanes) {
      const Vec<T> b = load_part(bias + j, static_cast<int>(smaller(keys - j, kLanes)));
      const Vec<T> score = fma(b, unit, load(scores + j));
      store(scores + j, select(b == infinite, score, max(lowest, score)));
    }
  }
  if (block.mask) {
    const uint8_t* mask = block.mask + row * block.mask_step + first_key;
    for (int64_t j = 0; j < keys; j += kLanes) {
      const Mask<T> looks = keys - j >= kLanes ? load_mask<T>(mask + j) : load_mask_part<T>(mask + j, static_cast<int>(keys - j));
      store(scores + j, select(looks, load(scores + j), masked));
    }
  }
  // Whole vectors: what reads them next would wait for single stores.
  const int64_t end = causal_end(plan, block.first + row, first_key, keys);
  for (int64_t j = end / kLanes * kLanes; j < round_up(keys, 16); j += kLanes) {
    const Vec<T> seen = keep_first(load(scores + j), static_cast<int>(end - j), masked);
    store(scores + j, keep_first(seen, static_cast<int>(keys - j), splat(-FloatTraits<T>::kInfinity)));
  }
}

}  // namespace
}  // namespace nnlite::NN_ISA
