// What layer and root mean square normalization and their gradients share: the cut into chunks, sums over the rows of a batch, checks.
#pragma once
#include "kernels/norm_common.h"

namespace nnlite::NN_ISA {
namespace {

struct LayerNormState {
  int64_t rows, columns;
  int64_t chunk_rows, batch_rows;  // a chunk is a block of the gradient
  int64_t chunks, chunk_columns;
  double epsilon;
  bool centered;  // false: rms_norm, where the mean counts as zero and there is no beta
  bool unit;      // a row is divided by its norm, not by its root mean square
  bool whole;     // the gradient as one phase of one chunk
  bool streams;   // y or dx goes past the caches
};

// Rows go in batches: their root and division, slow for a whole vector of one row's, are done for all at once, and so are the sums over lanes, whose
// latency is that of many additions.
constexpr int kBatch = 16;

// A vector of sums for every row of a batch.
template <class T>
struct BatchSums {
  alignas(64) T lanes[kBatch][Vec<T>::kLanes];
};

// sums[r] = reduce_add of row r's vector.
template <class T>
NN_INLINE void reduce_rows_singly(const BatchSums<T>& batch, int rows, T* sums) {
  for (int r = 0; r < rows; ++r) sums[r] = reduce_add(load(batch.lanes[r]));
}
template <class T>
NN_INLINE void reduce_rows(const BatchSums<T>& batch, int rows, T* sums) {
  reduce_rows_singly(batch, rows, sums);
}
#if defined(NN_COMPILE_AVX512)
// The same additions, two vectors folded into one at every level.
NN_INLINE void reduce_rows(const BatchSums<float>& batch, int rows, float* sums) {
  if (rows <= 4) return reduce_rows_singly(batch, rows, sums);
  // The order of rows that puts their sums into order.
  static constexpr int kRow[16] = {0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15};
  __m512 v[16];
  NN_UNROLL(8)
  for (int i = 0; i < 8; ++i) {
    const __m512 a = _mm512_load_ps(batch.lanes[kRow[i]]), b = _mm512_load_ps(batch.lanes[kRow[i + 8]]);
    v[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  NN_UNROLL(4)
  for (int i = 0; i < 4; ++i) v[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[i], v[i + 4], 0x88), _mm512_shuffle_f32x4(v[i], v[i + 4], 0xdd));
  NN_UNROLL(2)
  for (int i = 0; i < 2; ++i) {
    const __m512d a = _mm512_castps_pd(v[i]), b = _mm512_castps_pd(v[i + 2]);
    v[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  _mm512_storeu_ps(sums, _mm512_add_ps(_mm512_shuffle_ps(v[0], v[1], 0x88), _mm512_shuffle_ps(v[0], v[1], 0xdd)));
}
#endif

// Calls body(first column, lanes, whole) for the vectors of a row.
template <class T, class Body>
NN_INLINE void for_vectors(int64_t columns, Body body) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) body(j, kLanes, Whole<true>());
  if (j < columns) body(j, static_cast<int>(columns - j), Whole<false>());
}

// Calls body(first row, Rows<count>) for all rows of a batch, four at a time where there are forms for it.
template <int count>
struct Rows {
  static constexpr int kRows = count;
};
template <class Item, class Body>
NN_INLINE void for_batch(int rows, Body body) {
  int r = 0;
  if constexpr (kManyForms<Item>) {
    for (; r + 4 <= rows; r += 4) body(r, Rows<4>());
  }
  for (; r < rows; ++r) body(r, Rows<1>());
}

// Checks that `spec` has a number for every row of x.
inline void check_rows(const Prepare& p, const Spec& spec, const Spec& x, const char* name) {
  bool fits = spec.dtype == x.dtype && spec.rank == x.rank - 1;
  for (int i = 0; fits && i < spec.rank; ++i) fits = spec.dims[i] == x.dims[i];
  if (!fits) p.fail("%s must have x's dtype and all its axes but the last", name);
}

// `row_bytes` are read of a row.
inline LayerNormState* new_layer_norm(Prepare& p, const Spec& x, int64_t row_bytes, bool centered) {
  LayerNormState* s = static_cast<LayerNormState*>(p.new_state(sizeof(LayerNormState)));
  s->centered = centered;
  s->unit = p.get_int("unit", 0) != 0;
  s->columns = x.dim(-1);
  s->rows = s->columns > 0 ? x.size() / s->columns : 0;
  s->chunk_rows = larger(4, kChunkBytes / larger(1, row_bytes) / 4 * 4);
  s->batch_rows = row_bytes <= 1024 ? kBatch : row_bytes <= 2048 ? kBatch / 2 : kBatch / 4;  // they stay in L1
  s->chunks = ceil_div(s->rows, s->chunk_rows);
  s->streams = x.dtype == DType::kFloat32 && streams_results<float>(s->columns, x.size() * static_cast<int64_t>(sizeof(float)));
  return s;
}

}  // namespace
}  // namespace nnlite::NN_ISA
