// How batch normalization and its gradient see their input, and cut it.
//
// x [..., C] is a matrix of rows of C channels. When C is smaller than a vector, `fold` rows are read as one row of fold * C columns, so that
// vectors are full; column j then belongs to channel j % C, and the rows left over form a block of their own. Statistics are taken over
// fixed blocks of rows, each block's mean and sum of squares around that mean (or sums of the gradient) in a partial of its own; partials are
// combined in double precision in the order of the blocks.
#pragma once
#include "kernels/norm_common.h"

namespace nnlite::NN_ISA {
namespace {

struct BatchNormState {
  int64_t count, channels;      // rows of x, and C
  int64_t fold, rows, columns;  // the folded matrix
  int64_t block_rows, blocks;   // folded rows a block; the last block may be the left-over rows
  int64_t chunk_blocks, chunk_rows, chunk_channels;
  double epsilon;
  double low;  // results below it become it: 0 for relu, else minus infinity
  bool residual, coefficients;  // a fourth input is added; scale and shift are outputs
  int64_t phase_chunks[3];
  bool whole;    // small: one phase of one chunk
  bool by_rows;  // large: long rows are read to the end, one after the other, as memory likes it
  bool streams;  // results go past the caches
};

// A run of rows of equal length.
struct Block {
  int64_t start, rows, columns;  // start: elements before it
};

NN_INLINE Block block_at(const BatchNormState& s, int64_t b) {
  const int64_t first = b * s.block_rows;
  if (first < s.rows) return {first * s.columns, smaller(s.block_rows, s.rows - first), s.columns};
  return {s.rows * s.columns, s.count - s.rows * s.fold, s.channels};
}

// Scratch, in elements of T: up to three values a column for each block, then the coefficient rows of the last phase.
constexpr int64_t kPartials = 3;
template <class T>
NN_INLINE T* partial_of(const BatchNormState& s, void* scratch, int64_t b) {
  return static_cast<T*>(scratch) + b * kPartials * s.columns;
}
template <class T>
NN_INLINE T* coefficients_of(const BatchNormState& s, void* scratch) {
  return static_cast<T*>(scratch) + s.blocks * kPartials * s.columns;
}

// Writes the lanes [j, j + n) of coefficient row `k`, once for every folded row.
template <class T>
NN_INLINE void put_coefficient(const BatchNormState& s, T* coefficients, int k, int64_t j, Vec<T> v, int n) {
  for (int64_t f = 0; f < s.fold; ++f) store_part(coefficients + k * s.columns + f * s.channels + j, v, n);
}

// Calls body(count, first partial of the block at channel j) for every block and folded row, in order; the others follow s.columns apart.
template <class T, class Body>
NN_INLINE void for_partials(const BatchNormState& s, void* scratch, int64_t j, Body body) {
  for (int64_t b = 0; b < s.blocks; ++b) {
    const Block block = block_at(s, b);
    const T* partial = partial_of<T>(s, scratch, b);
    for (int64_t f = 0; f < block.columns; f += s.channels) body(static_cast<double>(block.rows), partial + f + j);
  }
}

// Calls body(first element, column, lanes, Strip<1, 1, whole>) for the vectors of a row that starts at element `start`.
template <class T, class Body>
NN_INLINE void for_columns(int64_t start, int64_t columns, Body body) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) body(start + j, j, kLanes, Strip<1, 1, true>());
  if (j < columns) body(start + j, j, static_cast<int>(columns - j), Strip<1, 1, false>());
}

// Calls body(first element, elements a row, Strip<1, rows at once, whole>, column, lanes, Strip<1, 1, whole>) for the part of the matrix that chunks
// [begin, end) of the last phase cover: four rows at a time, so that coefficients are read once for the four, unless s.by_rows. The last rows come
// first: the phases before have left those in the cache.
template <class T, class Body>
NN_INLINE void for_quads(const BatchNormState& s, int64_t begin, int64_t end, Body body) {
  const auto part = [&](int64_t start, int64_t rows, int64_t columns) __attribute__((always_inline)) {
    int64_t i = 0;
    const auto rows_of = [&](auto tag) __attribute__((always_inline)) {
      const auto vector = [&](int64_t at, int64_t j, int n, auto flag) __attribute__((always_inline)) { body(at, columns, tag, j, n, flag); };
      for_columns<T>(start + i * columns, columns, vector);
    };
    for (; i + 4 <= (s.by_rows ? 0 : rows); i += 4) rows_of(Strip<1, 4, true>());
    for (; i < rows; ++i) rows_of(Strip<1, 1, true>());
  };
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t first = (s.phase_chunks[2] - 1 - chunk) * s.chunk_rows, last = first + s.chunk_rows;
    if (first < s.rows) part(first * s.columns, smaller(last, s.rows) - first, s.columns);
    if (last > s.rows) part(s.rows * s.columns, s.count - s.rows * s.fold, s.channels);
  }
  if (s.streams) stream_fence();
}

// Runs one phase, or all of them when the kernel is planned as one.
template <class Phase>
NN_INLINE void run_phases(const BatchNormState& s, int phase, int64_t begin, int64_t end, const StepArgs& args, Phase run_phase) {
  if (!s.whole) return run_phase(s, phase, begin, end, args);
  if (begin == end) return;
  for (int i = 0; i < 3; ++i) run_phase(s, i, 0, s.phase_chunks[i], args);
}

template <class Item>
BatchNormState* plan_batch_norm(Prepare& p, const Spec& x, int coefficient_rows, int arrays, RunFunction run) {
  using T = NumberOf<Item>;
  BatchNormState* s = static_cast<BatchNormState*>(p.new_state(sizeof(BatchNormState)));
  s->channels = x.dim(-1);
  s->count = s->channels > 0 ? x.size() / s->channels : 0;
  s->epsilon = p.get_float("epsilon");
  s->fold = s->channels < Vec<T>::kLanes ? 4 * Vec<T>::kLanes / larger(1, s->channels) : 1;
  s->rows = s->count / s->fold;
  s->columns = s->channels * s->fold;
  // At least 64 rows keep the partials few, at most 512 keep the sums accurate.
  const int64_t row_bytes = larger(1, s->columns * static_cast<int64_t>(sizeof(Item)));
  s->block_rows = smaller(512, larger(64, 32768 / row_bytes));
  s->blocks = ceil_div(s->rows, s->block_rows) + (s->count > s->rows * s->fold);
  s->chunk_blocks = larger(1, kChunkBytes / (s->block_rows * row_bytes));
  s->chunk_rows = larger(4, kChunkBytes / row_bytes / 4 * 4);
  s->chunk_channels = 2 * Vec<T>::kLanes;
  s->whole = x.size() * static_cast<int64_t>(sizeof(Item)) <= kChunkBytes;
  const int64_t bytes = x.size() * static_cast<int64_t>(sizeof(Item));
  s->by_rows = kManyForms<Item> && s->columns > 4 * Vec<T>::kLanes && bytes > kBigBytes;
  s->streams = streams_results<Item>(s->columns, bytes * (arrays - 1));
  p.set_run(run);
  p.need_scratch(static_cast<size_t>((s->blocks * kPartials + coefficient_rows) * s->columns) * sizeof(T));
  s->phase_chunks[0] = ceil_div(s->blocks, s->chunk_blocks);
  s->phase_chunks[1] = ceil_div(s->channels, s->chunk_channels);
  s->phase_chunks[2] = s->rows / s->chunk_rows + 1;  // the left-over rows go with the last
  if (s->whole) {
    p.add_phase(1);
  } else {
    for (int64_t chunks : s->phase_chunks) p.add_phase(chunks);
  }
  return s;
}

}  // namespace
}  // namespace nnlite::NN_ISA
