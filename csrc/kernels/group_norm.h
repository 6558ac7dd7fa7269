// How group normalization and its gradient see their input, and cut it.
//
// A sample of x [N, ..., C] is a matrix of rows of C channels; several rows are read as one row of more columns where that fills vectors better and
// comes out even. Sums over rows are taken column by column over fixed blocks of rows, combined in double precision in the order of the blocks, then
// over the columns of a group. The cut depends on the shape of a sample alone, so a sample has the same bits alone and in a batch. Small samples are
// done one after the other, each while it is in the cache; blocks of large ones are shared out, in phases.
#pragma once
#include "kernels/norm_common.h"

namespace nnlite::NN_ISA {
namespace {

// Called from several places; one copy will do.
#define NN_APART __attribute__((noinline))

constexpr int64_t kSmallSample = 256 * 1024;  // bytes

struct GroupNormState {
  int64_t samples, channels, groups;
  int64_t rows, columns, padded;  // of the matrix of one sample; padded: the columns as whole vectors
  int64_t block_rows, blocks;
  int64_t sample_places, channels_at;  // elements of scratch a sample, and before the sums of all samples' channels
  int64_t chunk_samples;               // 0: large samples, in phases
  double epsilon;
};

// Where one sample keeps its coefficients (kCoefficients rows of `padded`), the sums of its blocks (two rows each) and their totals.
constexpr int64_t kCoefficients = 4;
template <class T>
struct Places {
  T *coefficients, *blocks;
  double* totals[2];
};
template <class T>
NN_INLINE Places<T> places_of(const GroupNormState& s, int64_t sample, const StepArgs& args) {
  double* totals = static_cast<double*>(args.thread_scratch);
  T* own = s.chunk_samples > 0 ? reinterpret_cast<T*>(totals + 2 * s.padded) : static_cast<T*>(args.scratch) + sample * s.sample_places;
  return {own, own + kCoefficients * s.padded, {totals, totals + s.padded}};
}

NN_INLINE int64_t rows_of_block(const GroupNormState& s, int64_t b) { return smaller(s.block_rows, s.rows - b * s.block_rows); }

// Calls body(first element of the rows, column, lanes, Strip<1, rows at once, whole>, Strip<1, 1, whole vector>) for the rows [first, last) of a
// sample, four at a time, so that coefficients are read once for the four.
template <class Item, class Body>
NN_INLINE void for_rows(const GroupNormState& s, int64_t first, int64_t last, Body body) {
  constexpr int kLanes = Vec<NumberOf<Item>>::kLanes;
  int64_t i = first;
  const auto some = [&](auto tag) __attribute__((always_inline)) {
    int64_t j = 0;
    for (; j + kLanes <= s.columns; j += kLanes) body(i * s.columns, j, kLanes, tag, Strip<1, 1, true>());
    if (j < s.columns) body(i * s.columns, j, static_cast<int>(s.columns - j), tag, Strip<1, 1, false>());
  };
  if constexpr (kManyForms<Item>) {
    for (; i + 4 <= last; i += 4) some(Strip<1, 4, true>());
  }
  for (; i < last; ++i) some(Strip<1, 1, true>());
}

// Calls add(first sums, second sums, rows) for the blocks of a sample, in order, at the vector of column j.
template <class T, class Add>
NN_INLINE void for_blocks(const GroupNormState& s, const Places<T>& at, int64_t j, Add add) {
  for (int64_t b = 0; b < s.blocks; ++b) {
    const T* sums = at.blocks + 2 * b * s.padded + j;
    add(widen(load(sums)), widen(load(sums + s.padded)), static_cast<double>(rows_of_block(s, b)));
  }
}
template <class T>
NN_INLINE void store_wide(double* to, Wide<T> w) {
  store(to, w.first);
  if constexpr (sizeof(T) == 4) store(to + Vec<double>::kLanes, w.last);
}

// Calls body(column, channel) for the columns of a group.
template <class Body>
NN_INLINE void for_group(const GroupNormState& s, int64_t group, Body body) {
  const int64_t width = s.channels / s.groups;
  for (int64_t from = group * width; from < s.columns; from += s.channels) {
    for (int64_t k = 0; k < width; ++k) body(from + k, group * width + k);
  }
}

// Plans the scratch and the phases; those of large samples: a prologue if asked for (a chunk a sample), sums (a chunk a block), totals (a chunk a
// sample), results (a chunk a block). `arrays` of the size of x are read; `channel_sums`: room for two values a channel of every sample.
NN_APART GroupNormState* plan_group_norm(Prepare& p, int arrays, bool prologue, bool channel_sums) {
  const Spec& x = p.input(0);
  const int64_t number = larger(4, static_cast<int64_t>(dtype_size(x.dtype))), lanes = 64 / number;  // bfloat16 is cut like float32
  GroupNormState* s = static_cast<GroupNormState*>(p.new_state(sizeof(GroupNormState)));
  s->samples = x.dims[0];
  s->channels = x.dim(-1);
  s->groups = p.get_int("groups");
  if (s->groups < 1 || s->channels % s->groups != 0) {
    p.fail("the channels must be a multiple of groups, got %lld channels and groups=%lld", static_cast<long long>(s->channels),
           static_cast<long long>(s->groups));
  }
  const int64_t positions = x.size() == 0 ? 0 : x.size() / (s->samples * s->channels);
  int64_t fold = 1;
  for (int64_t f = 2; f * s->channels <= 4 * lanes; ++f) {
    if (positions % f == 0) fold = f;
  }
  s->rows = positions / fold;
  s->columns = fold * s->channels;
  s->padded = ceil_div(s->columns, lanes) * lanes;
  const int64_t row_bytes = larger(1, arrays * s->columns * number);
  s->block_rows = smaller(512, larger(64, 32768 / row_bytes));
  s->blocks = ceil_div(s->rows, s->block_rows);
  s->sample_places = (kCoefficients + 2 * s->blocks) * s->padded;
  const int64_t sample_bytes = larger(1, row_bytes * s->rows);
  s->chunk_samples = sample_bytes <= kSmallSample ? larger(1, kChunkBytes / sample_bytes) : 0;
  s->channels_at = s->chunk_samples > 0 ? 0 : s->samples * s->sample_places;
  const int64_t own = s->chunk_samples > 0 ? s->sample_places : 0, sums = channel_sums ? 2 * s->samples * s->channels : 0;
  p.need_thread_scratch(static_cast<size_t>(2 * s->padded) * sizeof(double) + static_cast<size_t>(own * number));
  p.need_scratch(static_cast<size_t>((s->channels_at + sums) * number));
  const int64_t samples = positions == 0 ? 0 : s->samples;
  if (s->chunk_samples > 0) {
    p.add_phase(ceil_div(samples, s->chunk_samples));
  } else {
    if (prologue) p.add_phase(samples);
    p.add_phase(samples * s->blocks);
    p.add_phase(samples);
    p.add_phase(samples * s->blocks);
  }
  return s;
}

[[maybe_unused]] void check_statistics(const Prepare& p, const Spec& spec, const GroupNormState& s, const Spec& x, const char* name) {
  if (spec.dtype != x.dtype || spec.rank != 2 || spec.dims[0] != s.samples || spec.dims[1] != s.groups) {
    p.fail("%s must be of x's dtype and shape (%lld, %lld)", name, static_cast<long long>(s.samples), static_cast<long long>(s.groups));
  }
}

}  // namespace
}  // namespace nnlite::NN_ISA
