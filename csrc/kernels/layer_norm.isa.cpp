// layer_norm and rms_norm over the last axis; their gradients are in a file of their own.
//
//   y = (x - mean) rstd gamma + beta, rstd = 1 / sqrt(variance + epsilon), per row.
//   rms_norm has neither mean nor beta: rstd = 1 / sqrt(mean of x^2 + epsilon), with `unit` 1 / sqrt(max(sum of x^2, epsilon)).
//
// The variance is the mean of squared deviations from a value near the mean, less the square of the mean deviation, which also corrects the mean.
// That value is the mean of the first eighth of a row: if that is D off the mean, it alone brings the mean square to about D^2 / 8, so at most three
// bits are lost. Rows go four at a time, so that gamma and beta are read once for the four; a row's result does not depend on its neighbours.
#include "kernels/layer_norm.h"

namespace nnlite::NN_ISA {
namespace {

// Of one row each: y = ((x - center) rstd + shift) gamma + beta; center + mean is the mean.
template <class T>
struct RowMoments {
  BatchSums<T> first, second;
  T center[kBatch], mean[kBatch], shift[kBatch], rstd[kBatch];
};

template <class T>
NN_INLINE void find_centers(int rows, T inverse, RowMoments<T>& m) {
  reduce_rows(m.first, rows, m.center);
  NN_UNROLL(2)
  for (int i = 0; i < kBatch; i += Vec<T>::kLanes) store(m.center + i, load(m.center + i) * splat(inverse));
}

template <class T>
NN_INLINE void finish_moments(const LayerNormState& s, int rows, RowMoments<T>& m) {
  const Vec<T> zero = Vec<T>::zero(), epsilon = splat(static_cast<T>(s.epsilon));
  const T inverse = s.unit ? T(1) : T(1) / static_cast<T>(s.columns);
  reduce_rows(m.first, rows, m.mean);
  reduce_rows(m.second, rows, m.rstd);
  NN_UNROLL(2)
  for (int i = 0; i < kBatch; i += Vec<T>::kLanes) {
    const Vec<T> mean = s.centered ? load(m.mean + i) * splat(inverse) : zero, variance = fnma(mean, mean, load(m.rstd + i) * splat(inverse));
    const Vec<T> positive = s.unit ? select<T>(variance < epsilon, epsilon, variance) : select<T>(variance < zero, zero, variance) + epsilon;
    const Vec<T> rstd = splat(T(1)) / sqrt(positive);
    store(m.mean + i, mean);
    store(m.rstd + i, rstd);
    store(m.shift + i, -(mean * rstd));
  }
}

template <int rows, class Item, class T>
NN_INLINE void sum_rows(const Item* x, int64_t columns, int64_t first, T (*lanes)[Vec<T>::kLanes]) {
  Vec<T> sums[rows];
  NN_UNROLL(4)
  for (int r = 0; r < rows; ++r) sums[r] = Vec<T>::zero();
  for_vectors<T>(first, [&](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    NN_UNROLL(4)
    for (int r = 0; r < rows; ++r) sums[r] += load_lanes<decltype(flag)::kFull>(x + r * columns + j, n);
  });
  NN_UNROLL(4)
  for (int r = 0; r < rows; ++r) store(lanes[r], sums[r]);
}

// Several rows at once hide the latency of each other's sums.
template <int rows, class Item, class T>
NN_INLINE void sum_deviations(const Item* x, int64_t columns, int first, RowMoments<T>& m) {
  Vec<T> center[rows], deviations[rows], squares[rows];
  NN_UNROLL(4)
  for (int r = 0; r < rows; ++r) {
    center[r] = splat(m.center[first + r]);
    deviations[r] = squares[r] = Vec<T>::zero();
  }
  for_vectors<T>(columns, [&](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    NN_UNROLL(4)
    for (int r = 0; r < rows; ++r) {
      Vec<T> d = load_lanes<kFull>(x + r * columns + j, n) - center[r];
      if constexpr (!kFull) d = select<T>(first_lanes<T>(n), d, Vec<T>::zero());
      deviations[r] += d;
      squares[r] = fma(d, d, squares[r]);
    }
  });
  NN_UNROLL(4)
  for (int r = 0; r < rows; ++r) {
    store(m.first.lanes[first + r], deviations[r]);
    store(m.second.lanes[first + r], squares[r]);
  }
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
  for_vectors<T>(columns, [&](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const Vec<T> g = load_lanes<kFull>(gamma + j, n), b = beta == nullptr ? Vec<T>::zero() : load_lanes<kFull>(beta + j, n);
    NN_UNROLL(4)
    for (int r = 0; r < rows; ++r) {
      const Vec<T> normed = fma(load_lanes<kFull>(x + r * columns + j, n) - center[r], rstd[r], shift[r]);
      store_result<kFull>(streams, y + r * columns + j, fma(normed, g, b), n);
    }
  });
}

template <class Item>
void run_layer_norm(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  const LayerNormState& s = *static_cast<const LayerNormState*>(state);
  const int64_t columns = s.columns, last = smaller(end * s.chunk_rows, s.rows);
  const int64_t eighth = smaller(columns, ceil_div(columns, 8 * Vec<T>::kLanes) * Vec<T>::kLanes);
  const Item *gamma = static_cast<const Item*>(args.in[1]), *beta = s.centered ? static_cast<const Item*>(args.in[2]) : nullptr;
  RowMoments<T> m = {};
  for (int64_t i = begin * s.chunk_rows; i < last; i += s.batch_rows) {
    const int rows = static_cast<int>(smaller(s.batch_rows, last - i));
    const Item* x = static_cast<const Item*>(args.in[0]) + i * columns;
    Item* y = static_cast<Item*>(args.out[0]) + i * columns;
    if (s.centered) {
      for_batch<Item>(rows, [&](int r, auto tag) __attribute__((always_inline)) {
        sum_rows<decltype(tag)::kRows>(x + r * columns, columns, eighth, m.first.lanes + r);
      });
      find_centers(rows, T(1) / static_cast<T>(eighth), m);
    }
    for_batch<Item>(rows, [&](int r, auto tag) __attribute__((always_inline)) {
      sum_deviations<decltype(tag)::kRows>(x + r * columns, columns, r, m);
    });
    finish_moments(s, rows, m);
    for_batch<Item>(rows, [&](int r, auto tag) __attribute__((always_inline)) {
      write_rows<decltype(tag)::kRows>(s, x + r * columns, gamma, beta, r, m, y + r * columns);
    });
    for (int r = 0; r < rows; ++r) {
      if (s.centered) static_cast<Item*>(args.out[1])[i + r] = to_item<Item>(m.center[r] + m.mean[r]);
      static_cast<Item*>(args.out[s.centered ? 2 : 1])[i + r] = to_item<Item>(m.rstd[r]);
    }
  }
  if (s.streams) stream_fence();
}

void prepare_forward(Prepare& p, bool centered) {
  const Spec& x = p.input(0);
  check_floats(p, x);
  check_channels(p, p.input(1), x, "gamma");
  if (centered) check_channels(p, p.input(2), x, "beta");
  check_like(p, p.output(0), x, "y");
  if (centered) check_rows(p, p.output(1), x, "mean");
  check_rows(p, p.output(centered ? 2 : 1), x, "rstd");
  LayerNormState* s = new_layer_norm(p, x, x.dim(-1) * static_cast<int64_t>(dtype_size(x.dtype)), centered);
  s->epsilon = p.get_float("epsilon");
  p.set_run(run_for(x, run_layer_norm<float>, run_layer_norm<double>, run_layer_norm<uint16_t>));
  p.add_phase(s->chunks);
}
void prepare_layer_norm(Prepare& p) { prepare_forward(p, true); }
void prepare_rms_norm(Prepare& p) { prepare_forward(p, false); }

NN_KERNEL("layer_norm", prepare_layer_norm);
NN_KERNEL("rms_norm", prepare_rms_norm);

}  // namespace
}  // namespace nnlite::NN_ISA
