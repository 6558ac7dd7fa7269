// The gradients of layer_norm and rms_norm.
//
//   dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy gamma; dgamma = sum over rows of dy xhat, dbeta = sum of dy.
//   rms_norm: the same with xhat = x rstd and without mean(g); with `unit` a sum of g xhat, and zero where the norm was cut.
//
// dgamma and dbeta are summed over fixed blocks of rows, and the blocks in order in double precision.
#include "kernels/layer_norm.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int kX = 0, kDy = 1, kGamma = 2, kMean = 3, kRstd = 4;

// Four sums of vectors: vector i of a row goes to sum i % 4, which hides the latency of an addition. A row is read to its end before the next, as
// prefetchers like it.
template <class T>
struct RowSum {
  Vec<T> v[4];
  inline __attribute__((always_inline)) RowSum() {
    NN_UNROLL(4)
    for (int i = 0; i < 4; ++i) v[i] = Vec<T>::zero();
  }
  inline __attribute__((always_inline)) Vec<T> total() const { return (v[0] + v[1]) + (v[2] + v[3]); }
};

// Calls body(first column, lanes, sum, whole) for the vectors of a row; what fills no four vectors goes to sum 0.
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

// Of one row each: dx = rstd dy gamma + (constant - scale (x - mean)).
template <class T>
struct RowGradients {
  BatchSums<T> sums, products;
  T mean[kBatch], rstd[kBatch], constant[kBatch], scale[kBatch];
};

// The sums over a row of g = dy gamma and of g (x - mean).
template <class Item, class T>
NN_INLINE void sum_row(const Item* x, const Item* dy, const Item* gamma, int64_t columns, int r, RowGradients<T>& m) {
  const Vec<T> mean = splat(m.mean[r]);
  RowSum<T> sums, products;
  for_row<T>(columns, [&](int64_t j, int n, int k, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    // Beyond the tail g is zero, which silences the rest; x - mean is finite there.
    const Vec<T> g = load_lanes<kFull>(dy + j, n) * load_lanes<kFull>(gamma + j, n);
    Vec<T> d = load_lanes<kFull>(x + j, n) - mean;
    if constexpr (!kFull) d = select<T>(first_lanes<T>(n), d, Vec<T>::zero());
    sums.v[k] += g;
    products.v[k] = fma(g, d, products.v[k]);
  });
  store(m.sums.lanes[r], sums.total());
  store(m.products.lanes[r], products.total());
}

// What the forward pass wrote where it cut the norm.
template <class Item>
NN_INLINE NumberOf<Item> cut_rstd(double epsilon) {
  using T = NumberOf<Item>;
  T lanes[Vec<T>::kLanes];
  store(lanes, splat(T(1)) / sqrt(splat(static_cast<T>(epsilon))));
  return to_number(to_item<Item>(lanes[0]));
}

template <class Item, class T>
NN_INLINE void finish_sums(const LayerNormState& s, int rows, RowGradients<T>& m) {
  const Vec<T> zero = Vec<T>::zero(), count = splat(s.unit ? T(1) : static_cast<T>(s.columns));
  const Vec<T> cut = splat(cut_rstd<Item>(s.epsilon));
  reduce_rows(m.sums, rows, m.constant);
  reduce_rows(m.products, rows, m.scale);
  NN_UNROLL(2)
  for (int i = 0; i < kBatch; i += Vec<T>::kLanes) {
    const Vec<T> rstd = load(m.rstd + i), share = rstd / count;
    store(m.constant + i, s.centered ? -(load(m.constant + i) * share) : zero);
    const Vec<T> scale = load(m.scale + i) * (share * (rstd * rstd));
    store(m.scale + i, s.unit ? select<T>(rstd == cut, zero, scale) : scale);
  }
}

template <int rows, class Item, class T>
NN_INLINE void write_rows(const LayerNormState& s, const Item* x, const Item* dy, const Item* gamma, int first, const RowGradients<T>& m, Item* dx,
                          T* dgamma, T* dbeta) {
  const int64_t columns = s.columns;
  const bool streams = s.streams && is_aligned(dx);
  Vec<T> mean[rows], rstd[rows], constant[rows], scale[rows];
  NN_UNROLL(4)
  for (int r = 0; r < rows; ++r) {
    mean[r] = splat(m.mean[first + r]);
    rstd[r] = splat(m.rstd[first + r]);
    constant[r] = splat(m.constant[first + r]);
    scale[r] = splat(m.scale[first + r]);
  }
  for_vectors<T>(columns, [&](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const Vec<T> g = load_lanes<kFull>(gamma + j, n);
    Vec<T> sum_gamma = load_lanes<kFull>(dgamma + j, n), sum_beta = load_lanes<kFull>(dbeta + j, n);
    NN_UNROLL(4)
    for (int r = 0; r < rows; ++r) {
      const Vec<T> d = load_lanes<kFull>(x + r * columns + j, n) - mean[r], up = load_lanes<kFull>(dy + r * columns + j, n), scaled = up * rstd[r];
      sum_beta += up;
      sum_gamma = fma(scaled, d, sum_gamma);
      store_result<kFull>(streams, dx + r * columns + j, fma(scaled, g, fnma(d, scale[r], constant[r])), n);
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
  const int64_t columns = s.columns, last = smaller((chunk + 1) * s.chunk_rows, s.rows);
  T* dgamma = gradient_partial<T>(s, args.scratch, chunk);
  T* dbeta = dgamma + columns;
  memset(dgamma, 0, static_cast<size_t>(2 * columns) * sizeof(T));
  const Item* gamma = static_cast<const Item*>(args.in[kGamma]);
  RowGradients<T> m = {};
  for (int64_t i = chunk * s.chunk_rows; i < last; i += s.batch_rows) {
    const int rows = static_cast<int>(smaller(s.batch_rows, last - i));
    const Item *x = static_cast<const Item*>(args.in[kX]) + i * columns, *dy = static_cast<const Item*>(args.in[kDy]) + i * columns;
    Item* dx = static_cast<Item*>(args.out[0]) + i * columns;
    for (int r = 0; r < rows; ++r) {
      m.mean[r] = s.centered ? to_number(static_cast<const Item*>(args.in[kMean])[i + r]) : T(0);
      m.rstd[r] = to_number(static_cast<const Item*>(args.in[s.centered ? kRstd : kMean])[i + r]);
    }
    for (int r = 0; r < rows; ++r) sum_row(x + r * columns, dy + r * columns, gamma, columns, r, m);
    finish_sums<Item>(s, rows, m);
    for_batch<Item>(rows, [&](int r, auto tag) __attribute__((always_inline)) {
      write_rows<decltype(tag)::kRows>(s, x + r * columns, dy + r * columns, gamma, r, m, dx + r * columns, dgamma, dbeta);
    });
  }
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
    if (s.centered) store_lanes<false>(static_cast<Item*>(args.out[2]) + j, narrow(dbeta), n);
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

void prepare_gradient(Prepare& p, bool centered) {
  const Spec& x = p.input(kX);
  check_floats(p, x);
  check_like(p, p.input(kDy), x, "dy");
  check_channels(p, p.input(kGamma), x, "gamma");
  if (centered) check_rows(p, p.input(kMean), x, "mean");
  check_rows(p, p.input(centered ? kRstd : kMean), x, "rstd");
  check_like(p, p.output(0), x, "dx");
  check_channels(p, p.output(1), x, "dgamma");
  if (centered) check_channels(p, p.output(2), x, "dbeta");
  const int64_t item = static_cast<int64_t>(dtype_size(x.dtype));
  LayerNormState* s = new_layer_norm(p, x, 2 * x.dim(-1) * item, centered);
  if (s->unit) s->epsilon = p.get_float("epsilon");
  s->chunk_columns = 128;
  s->whole = 2 * x.size() * item <= kChunkBytes;
  p.need_scratch(static_cast<size_t>(s->chunks * 2 * s->columns) * sizeof(double));
  p.set_run(run_for(x, run_layer_norm_grad<float>, run_layer_norm_grad<double>, run_layer_norm_grad<uint16_t>));
  if (s->whole) return p.add_phase(1);
  p.add_phase(s->chunks);
  p.add_phase(ceil_div(s->columns, s->chunk_columns));
}
void prepare_layer_norm_grad(Prepare& p) { prepare_gradient(p, true); }
void prepare_rms_norm_grad(Prepare& p) { prepare_gradient(p, false); }

NN_KERNEL("layer_norm_grad", prepare_layer_norm_grad);
NN_KERNEL("rms_norm_grad", prepare_rms_norm_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
