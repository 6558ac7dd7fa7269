// layer_norm over the last axis, and its gradient.
//
//   y = (x - mean) rstd gamma + beta, rstd = 1 / sqrt(variance + epsilon), per row.
//   dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy gamma; dgamma = sum over rows of dy xhat, dbeta = sum of dy.
//
// The variance is the mean of squared deviations from a value near the mean, less the square of the mean deviation, which also corrects the mean. Of
// short rows that value is the mean as summed; of others the mean of the first eighth: if that is D off the mean, it alone brings the mean square to
// about D^2 / 8, so at most three bits are lost. Rows go four at a time, so that gamma and beta are read once for the four; a row's result does not
// depend on its neighbours.
// dgamma and dbeta are summed over fixed blocks of rows, and the blocks in order in double precision.
#include "kernels/norm_common.h"

namespace nnlite::NN_ISA {
namespace {

// Rows up to this many bytes go in larger batches, which stay in L1.
constexpr int64_t kShortRow = 1024;

struct LayerNormState {
  int64_t rows, columns;
  int64_t chunk_rows;  // a block of the gradient
  int64_t chunks, chunk_columns;
  double epsilon;
  bool whole;    // the gradient as one phase of one chunk
  bool streams;  // y or dx goes past the caches
};

// Four sums of vectors: vector i of a row goes to sum i % 4.
template <class T>
struct RowSum {
  Vec<T> v[4];
  inline __attribute__((always_inline)) RowSum() {
    NN_UNROLL(4)
    for (int i = 0; i < 4; ++i) v[i] = Vec<T>::zero();
  }
  inline __attribute__((always_inline)) Vec<T> total() const { return (v[0] + v[1]) + (v[2] + v[3]); }
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

// Calls body(first column, lanes, sum, whole) for the vectors of a row; the tail goes to sum 0.
template <class T, class Body>
NN_INLINE void for_row(int64_t columns, Body body) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t j = 0;
#if !NN_SMALL_CODE
  for (; j + 4 * kLanes <= columns; j += 4 * kLanes) {
    NN_UNROLL(4)
    for (int k = 0; k < 4; ++k) body(j + k * kLanes, kLanes, k, Whole<true>());
  }
#endif
  for (; j + kLanes <= columns; j += kLanes) body(j, kLanes, 0, Whole<true>());
  if (j < columns) body(j, static_cast<int>(columns - j), 0, Whole<false>());
}

// ---- forward ----

// Of one row each: y = ((x - center) - shift) * rstd * gamma + beta; center + shift is the mean.
template <class T>
struct RowMoments {
  BatchSums<T> first, second;
  T center[kBatch], shift[kBatch], squares[kBatch], rstd[kBatch];
};

template <class T>
NN_INLINE void find_centers(int rows, T inverse, RowMoments<T>& m) {
  reduce_rows(m.first, rows, m.center);
  NN_UNROLL(2)
  for (int i = 0; i < kBatch; i += Vec<T>::kLanes) store(m.center + i, load(m.center + i) * splat(inverse));
}

template <class T>
NN_INLINE void finish_moments(int rows, T inverse, T epsilon, RowMoments<T>& m) {
  const Vec<T> zero = Vec<T>::zero();
  reduce_rows(m.first, rows, m.shift);
  reduce_rows(m.second, rows, m.squares);
  NN_UNROLL(2)
  for (int i = 0; i < kBatch; i += Vec<T>::kLanes) {
    const Vec<T> shift = load(m.shift + i) * splat(inverse), variance = fnma(shift, shift, load(m.squares + i) * splat(inverse));
    store(m.shift + i, shift);
    store(m.rstd + i, splat(T(1)) / sqrt(select<T>(variance < zero, zero, variance) + splat(epsilon)));
  }
}

template <class Item, class T>
NN_INLINE void row_sum(const Item* x, int64_t columns, T* lanes) {
  RowSum<T> sums;
  for_row<T>(columns,
             [&](int64_t j, int n, int k, auto flag) __attribute__((always_inline)) { sums.v[k] += load_lanes<decltype(flag)::kFull>(x + j, n); });
  store(lanes, sums.total());
}

template <class Item, class T>
NN_INLINE void row_deviations(const Item* x, int64_t columns, T center, T* sum_lanes, T* square_lanes) {
  RowSum<T> deviations, squares;
  for_row<T>(columns, [&](int64_t j, int n, int k, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    Vec<T> d = load_lanes<kFull>(x + j, n) - splat(center);
    if constexpr (!kFull) d = select<T>(first_lanes<T>(n), d, Vec<T>::zero());
    deviations.v[k] += d;
    squares.v[k] = fma(d, d, squares.v[k]);
  });
  store(sum_lanes, deviations.total());
  store(square_lanes, squares.total());
}

template <int rows, class Item, class T>
NN_INLINE void write_rows(const LayerNormState& s, const Item* x, const Item* gamma, const Item* beta, int first, const RowMoments<T>& m, Item* y) {
  const int64_t columns = s.columns;
  const bool streams = s.streams && is_aligned(y);
  Vec<T> center[rows], shift[rows], rstd[rows];
  NN_UNROLL(4)
  for (int r = 0; r < rows; ++r) {
    center[r] = splat(m.center[first + r]);
    shift[r] = splat(m.shift[first + r]);
    rstd[r] = splat(m.rstd[first + r]);
  }
  for_row<T>(columns, [&](int64_t j, int n, int, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const Vec<T> g = load_lanes<kFull>(gamma + j, n), b = load_lanes<kFull>(beta + j, n);
    NN_UNROLL(4)
    for (int r = 0; r < rows; ++r) {
      const Vec<T> d = (load_lanes<kFull>(x + r * columns + j, n) - center[r]) - shift[r];
      store_result<kFull>(streams, y + r * columns + j, fma(d * rstd[r], g, b), n);
    }
  });
}

template <class Item, class T>
NN_INLINE void long_rows(const LayerNormState& s, const Item* x, const Item* gamma, const Item* beta, int rows, RowMoments<T>& m, Item* y) {
  const int64_t columns = s.columns;
  const T inverse = T(1) / static_cast<T>(columns);
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t first = columns <= 4 * kLanes ? columns : ceil_div(columns, 8 * kLanes) * kLanes;
  for (int r = 0; r < rows; ++r) row_sum(x + r * columns, first, m.first.lanes[r]);
  find_centers(rows, T(1) / static_cast<T>(first), m);
  for (int r = 0; r < rows; ++r) row_deviations(x + r * columns, columns, m.center[r], m.first.lanes[r], m.second.lanes[r]);
  finish_moments(rows, inverse, static_cast<T>(s.epsilon), m);
  int r = 0;
  if constexpr (kManyForms<Item>) {
    for (; r + 4 <= rows; r += 4) write_rows<4>(s, x + r * columns, gamma, beta, r, m, y + r * columns);
  }
  for (; r < rows; ++r) write_rows<1>(s, x + r * columns, gamma, beta, r, m, y + r * columns);
}

// The same for rows of kVectors vectors, the last one of up to kLanes lanes: no loops within a row, gamma and beta in registers.
template <int kVectors, class Item, class T>
NN_INLINE void short_rows(const Item* x, const Item* gamma, const Item* beta, int64_t columns, int rows, T epsilon, RowMoments<T>& m, Item* y) {
  constexpr int kLanes = Vec<T>::kLanes, kLast = kVectors - 1;
  const int tail = static_cast<int>(columns - kLast * kLanes);
  const Mask<T> inside = first_lanes<T>(tail);
  const Vec<T> zero = Vec<T>::zero();
  const T inverse = T(1) / static_cast<T>(columns);
  const auto vector = [=](const Item* row, int k) __attribute__((always_inline)) {
    return k < kLast ? load_lanes<true>(row + k * kLanes, kLanes) : load_lanes<false>(row + k * kLanes, tail);
  };
  for (int r = 0; r < rows; ++r) {
    Vec<T> sum = vector(x + r * columns, 0);
    NN_UNROLL(4)
    for (int k = 1; k < kVectors; ++k) sum += vector(x + r * columns, k);
    store(m.first.lanes[r], sum);
  }
  find_centers(rows, inverse, m);
  for (int r = 0; r < rows; ++r) {
    Vec<T> deviations = zero, squares = zero;
    NN_UNROLL(4)
    for (int k = 0; k < kVectors; ++k) {
      Vec<T> d = vector(x + r * columns, k) - splat(m.center[r]);
      if (k == kLast) d = select<T>(inside, d, zero);
      deviations += d;
      squares = fma(d, d, squares);
    }
    store(m.first.lanes[r], deviations);
    store(m.second.lanes[r], squares);
  }
  finish_moments(rows, inverse, epsilon, m);
  Vec<T> g[kVectors], b[kVectors];
  NN_UNROLL(4)
  for (int k = 0; k < kVectors; ++k) {
    g[k] = vector(gamma, k);
    b[k] = vector(beta, k);
  }
  for (int r = 0; r < rows; ++r) {
    const Vec<T> center = splat(m.center[r]), shift = splat(m.shift[r]), rstd = splat(m.rstd[r]);
    Item* out = y + r * columns;
    NN_UNROLL(4)
    for (int k = 0; k < kVectors; ++k) {
      const Vec<T> v = fma(((vector(x + r * columns, k) - center) - shift) * rstd, g[k], b[k]);
      if (k < kLast) {
        store_lanes<true>(out + k * kLanes, v, kLanes);
      } else {
        store_lanes<false>(out + k * kLanes, v, tail);
      }
    }
  }
}

// kVectors is 0 for rows of more than four vectors.
template <int kVectors, class Item>
void run_layer_norm(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  const LayerNormState& s = *static_cast<const LayerNormState*>(state);
  const int64_t columns = s.columns, last = smaller(end * s.chunk_rows, s.rows);
  const int64_t batch = columns * static_cast<int64_t>(sizeof(Item)) <= kShortRow ? kBatch : 4;
  const Item *gamma = static_cast<const Item*>(args.in[1]), *beta = static_cast<const Item*>(args.in[2]);
  const T epsilon = static_cast<T>(s.epsilon);
  RowMoments<T> m = {};
  for (int64_t i = begin * s.chunk_rows; i < last; i += batch) {
    const int rows = static_cast<int>(smaller(batch, last - i));
    const Item* x = static_cast<const Item*>(args.in[0]) + i * columns;
    Item* y = static_cast<Item*>(args.out[0]) + i * columns;
    if constexpr (kVectors > 0) {
      short_rows<kVectors>(x, gamma, beta, columns, rows, epsilon, m, y);
    } else {
      long_rows(s, x, gamma, beta, rows, m, y);
    }
    for (int r = 0; r < rows; ++r) {
      static_cast<Item*>(args.out[1])[i + r] = to_item<Item>(m.center[r] + m.shift[r]);
      static_cast<Item*>(args.out[2])[i + r] = to_item<Item>(m.rstd[r]);
    }
  }
  if (s.streams) stream_fence();
}

template <class Item>
RunFunction layer_norm_function(int64_t columns) {
  if constexpr (kManyForms<Item>) {
    switch (ceil_div(columns, Vec<NumberOf<Item>>::kLanes)) {
      case 1: return run_layer_norm<1, Item>;
      case 2: return run_layer_norm<2, Item>;
      case 3: return run_layer_norm<3, Item>;
      case 4: return run_layer_norm<4, Item>;
    }
  }
  return run_layer_norm<0, Item>;
}

// ---- gradient ----

constexpr int kX = 0, kDy = 1, kGamma = 2, kMean = 3, kRstd = 4;

// dx = rstd g + (constant - scale (x - mean)).
template <class T>
struct RowGradient {
  T mean, rstd, constant, scale;
};

template <class Item, class T>
NN_INLINE RowGradient<T> row_gradient(const Item* x, const Item* dy, const Item* gamma, T mean, T rstd, int64_t columns) {
  RowSum<T> sums, products;
  for_row<T>(columns, [&](int64_t j, int n, int k, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    // Beyond the tail g is zero, which silences the rest; x - mean is finite there.
    const Vec<T> g = load_lanes<kFull>(dy + j, n) * load_lanes<kFull>(gamma + j, n);
    Vec<T> d = load_lanes<kFull>(x + j, n) - splat(mean);
    if constexpr (!kFull) d = select<T>(first_lanes<T>(n), d, Vec<T>::zero());
    sums.v[k] += g;
    products.v[k] = fma(g, d, products.v[k]);
  });
  const T share = rstd / static_cast<T>(columns);
  return {mean, rstd, -(reduce_add(sums.total()) * share), reduce_add(products.total()) * (share * (rstd * rstd))};
}

template <int rows, class Item, class T>
NN_INLINE void layer_norm_grad_rows(const LayerNormState& s, int64_t first, T* dgamma, T* dbeta, const StepArgs& args) {
  const int64_t columns = s.columns, start = first * columns;
  const Item *x = static_cast<const Item*>(args.in[kX]) + start, *dy = static_cast<const Item*>(args.in[kDy]) + start;
  const Item* gamma = static_cast<const Item*>(args.in[kGamma]);
  const Item *mean = static_cast<const Item*>(args.in[kMean]) + first, *rstd = static_cast<const Item*>(args.in[kRstd]) + first;
  Item* dx = static_cast<Item*>(args.out[0]) + start;
  const bool streams = s.streams && is_aligned(dx);
  RowGradient<T> m[rows];
  NN_UNROLL(4)
  for (int r = 0; r < rows; ++r) m[r] = row_gradient(x + r * columns, dy + r * columns, gamma, to_number(mean[r]), to_number(rstd[r]), columns);
  for_row<T>(columns, [&](int64_t j, int n, int, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const Vec<T> g = load_lanes<kFull>(gamma + j, n);
    Vec<T> sum_gamma = load_lanes<kFull>(dgamma + j, n), sum_beta = load_lanes<kFull>(dbeta + j, n);
    NN_UNROLL(4)
    for (int r = 0; r < rows; ++r) {
      const Vec<T> d = load_lanes<kFull>(x + r * columns + j, n) - splat(m[r].mean), up = load_lanes<kFull>(dy + r * columns + j, n);
      sum_beta += up;
      sum_gamma = fma(up, d * splat(m[r].rstd), sum_gamma);
      store_result<kFull>(streams, dx + r * columns + j, fma(up * g, splat(m[r].rstd), fnma(d, splat(m[r].scale), splat(m[r].constant))), n);
    }
    store_lanes<kFull>(dgamma + j, sum_gamma, n);
    store_lanes<kFull>(dbeta + j, sum_beta, n);
  });
}

template <class T>
T* gradient_partial(const LayerNormState& s, void* scratch, int64_t chunk) {
  return static_cast<T*>(scratch) + chunk * 2 * s.columns;
}

template <class Item>
void layer_norm_grad_block(const LayerNormState& s, int64_t chunk, const StepArgs& args) {
  using T = NumberOf<Item>;
  T* partial = gradient_partial<T>(s, args.scratch, chunk);
  memset(partial, 0, static_cast<size_t>(2 * s.columns) * sizeof(T));
  int64_t i = chunk * s.chunk_rows;
  const int64_t last = smaller(i + s.chunk_rows, s.rows);
  if constexpr (kManyForms<Item>) {
    for (; i + 4 <= last; i += 4) layer_norm_grad_rows<4, Item>(s, i, partial, partial + s.columns, args);
  }
  for (; i < last; ++i) layer_norm_grad_rows<1, Item>(s, i, partial, partial + s.columns, args);
  if (s.streams) stream_fence();
}

template <class Item>
void combine_partials(const LayerNormState& s, int64_t first, int64_t last, const StepArgs& args) {
  using T = NumberOf<Item>;
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t j = first; j < last; j += kLanes) {
    const int n = static_cast<int>(smaller(kLanes, last - j));
    Wide<T> dgamma = splat_wide<T>(0), dbeta = splat_wide<T>(0);
    for (int64_t chunk = 0; chunk < s.chunks; ++chunk) {
      const T* partial = gradient_partial<T>(s, args.scratch, chunk) + j;
      const auto add = [](auto sum, auto v) { return sum + v; };
      dgamma = map_wide(add, dgamma, widen(load_part(partial, n)));
      dbeta = map_wide(add, dbeta, widen(load_part(partial + s.columns, n)));
    }
    store_lanes<false>(static_cast<Item*>(args.out[1]) + j, narrow(dgamma), n);
    store_lanes<false>(static_cast<Item*>(args.out[2]) + j, narrow(dbeta), n);
  }
}

template <class Item>
void run_layer_norm_grad(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const LayerNormState& s = *static_cast<const LayerNormState*>(state);
  if (s.whole) {
    if (begin == end) return;
    for (int64_t chunk = 0; chunk < s.chunks; ++chunk) layer_norm_grad_block<Item>(s, chunk, args);
    return combine_partials<Item>(s, 0, s.columns, args);
  }
  if (phase == 1) return combine_partials<Item>(s, begin * s.chunk_columns, smaller(end * s.chunk_columns, s.columns), args);
  for (int64_t chunk = begin; chunk < end; ++chunk) layer_norm_grad_block<Item>(s, chunk, args);
}

// ---- prepare ----

void check_x(const Prepare& p, const Spec& x) {
  if (x.rank < 1) p.fail("x must have a last axis");
  if (x.dtype != DType::kFloat32 && x.dtype != DType::kFloat64 && x.dtype != DType::kBFloat16) {
    p.fail("x must be float32, float64 or bfloat16, got %s", dtype_name(x.dtype));
  }
}

// Checks that `spec` is `x` without its first (or last) axes.
void check_part(const Prepare& p, const Spec& spec, const Spec& x, int first, int last, const char* name) {
  bool fits = spec.dtype == x.dtype && spec.rank == last - first;
  for (int i = first; fits && i < last; ++i) fits = spec.dims[i - first] == x.dims[i];
  if (!fits) p.fail("%s must have x's dtype and its axes %d to %d", name, first, last - 1);
}

LayerNormState* new_layer_norm(Prepare& p, const Spec& x, int64_t row_bytes) {
  LayerNormState* s = static_cast<LayerNormState*>(p.new_state(sizeof(LayerNormState)));
  s->columns = x.dim(-1);
  s->rows = s->columns > 0 ? x.size() / s->columns : 0;
  s->chunk_rows = larger(4, kChunkBytes / larger(1, row_bytes) / 4 * 4);
  s->chunks = ceil_div(s->rows, s->chunk_rows);
  s->streams = x.dtype == DType::kFloat32 && streams_results<float>(s->columns, x.size() * static_cast<int64_t>(sizeof(float)));
  return s;
}

void prepare_layer_norm(Prepare& p) {
  const Spec& x = p.input(0);
  check_x(p, x);
  check_part(p, p.input(1), x, x.rank - 1, x.rank, "gamma");
  check_part(p, p.input(2), x, x.rank - 1, x.rank, "beta");
  check_part(p, p.output(0), x, 0, x.rank, "y");
  check_part(p, p.output(1), x, 0, x.rank - 1, "mean");
  check_part(p, p.output(2), x, 0, x.rank - 1, "rstd");
  LayerNormState* s = new_layer_norm(p, x, x.dim(-1) * static_cast<int64_t>(dtype_size(x.dtype)));
  s->epsilon = p.get_float("epsilon");
  p.set_run(x.dtype == DType::kFloat32   ? layer_norm_function<float>(s->columns)
            : x.dtype == DType::kFloat64 ? layer_norm_function<double>(s->columns)
                                         : layer_norm_function<uint16_t>(s->columns));
  p.add_phase(s->chunks);
}

void prepare_layer_norm_grad(Prepare& p) {
  const Spec& x = p.input(kX);
  check_x(p, x);
  check_part(p, p.input(kDy), x, 0, x.rank, "dy");
  check_part(p, p.input(kGamma), x, x.rank - 1, x.rank, "gamma");
  check_part(p, p.input(kMean), x, 0, x.rank - 1, "mean");
  check_part(p, p.input(kRstd), x, 0, x.rank - 1, "rstd");
  check_part(p, p.output(0), x, 0, x.rank, "dx");
  check_part(p, p.output(1), x, x.rank - 1, x.rank, "dgamma");
  check_part(p, p.output(2), x, x.rank - 1, x.rank, "dbeta");
  const int64_t item = static_cast<int64_t>(dtype_size(x.dtype));
  LayerNormState* s = new_layer_norm(p, x, 2 * x.dim(-1) * item);
  s->chunk_columns = 128;
  s->whole = 2 * x.size() * item <= kChunkBytes;
  p.need_scratch(static_cast<size_t>(s->chunks * 2 * s->columns) * sizeof(double));
  p.set_run(x.dtype == DType::kFloat32   ? run_layer_norm_grad<float>
            : x.dtype == DType::kFloat64 ? run_layer_norm_grad<double>
                                         : run_layer_norm_grad<uint16_t>);
  if (s->whole) return p.add_phase(1);
  p.add_phase(s->chunks);
  p.add_phase(ceil_div(s->columns, s->chunk_columns));
}

NN_KERNEL("layer_norm", prepare_layer_norm);
NN_KERNEL("layer_norm_grad", prepare_layer_norm_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
