// batch_norm, training form; see batch_norm.h for the cut.
//
//   mean, variance over all rows (biased), y = (x - mean) gamma / sqrt(variance + epsilon) + beta, or relu of that (activation="relu").
//
// For float32: given a fourth input like x (residual=1), it is added before relu; and asked for five outputs, the last two [C] are scale and shift
// with which y = (x - mean) scale + shift.
//
// Variances are sums of squares around a value near the mean, never a difference of large sums. What the mean loses by rounding to the output's
// dtype is folded into beta.
#include "kernels/batch_norm.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int kMean = 0, kScale = 1, kShift = 2;

// Of every column of a block: a value near the mean, what the mean is beyond that value, and the sum of squares around the mean. In two parts the
// mean keeps its digits when it is far from zero. The value near the mean is that of the block's first rows, an eighth of all: if they are D off
// the mean of the block, they alone bring the sum of squares to n D^2 / 8, so subtracting n D^2 from the sum around the value loses at most three
// bits.
template <class Item, class T>
void block_moments(const Item* x, const Block& block, T* center_out, T* shift_out, T* squares_out) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t stride = block.columns, rows = block.rows, first_rows = ceil_div(rows, 8);
  const Vec<T> count = splat(static_cast<T>(rows)), first_count = splat(static_cast<T>(first_rows));
  for_strips<T>(block.columns, [=](int64_t j, int n, auto strip) __attribute__((always_inline)) {
    using S = decltype(strip);
    const Item* p = x + j;
    Sums<T, S> sums, deviations, squares;
    sums.clear();
    deviations.clear();
    squares.clear();
    for_block_rows<S>(first_rows, [&](int64_t i, int a, int v)
                                      __attribute__((always_inline)) { sums.v[a] += load_lanes<S::kFull>(p + i * stride + v * kLanes, n); });
    Vec<T> center[4];
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) center[v] = sums.total(v) / first_count;
    for_block_rows<S>(rows, [&](int64_t i, int a, int v) __attribute__((always_inline)) {
      const Vec<T> d = load_lanes<S::kFull>(p + i * stride + v * kLanes, n) - center[v];
      deviations.v[a] += d;
      squares.v[a] = fma(d, d, squares.v[a]);
    });
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) {
      const Vec<T> d = deviations.total(v), shift = d / count;
      store_lanes<S::kFull>(center_out + j + v * kLanes, center[v], n);
      store_lanes<S::kFull>(shift_out + j + v * kLanes, shift, n);
      store_lanes<S::kFull>(squares_out + j + v * kLanes, fnma(d, shift, squares.total(v)), n);
    }
  });
}

// The same row by row: the outputs are the sums, which stay in the first cache.
template <class Item, class T>
void moments_by_rows(const Item* x, const Block& block, T* center, T* shift, T* squares) {
  const int64_t columns = block.columns, first_rows = ceil_div(block.rows, 8);
  const Vec<T> count = splat(static_cast<T>(block.rows)), first_count = splat(static_cast<T>(first_rows));
  T* const all[] = {center, shift, squares};
  for (T* sums : all) memset(sums, 0, static_cast<size_t>(columns) * sizeof(T));
  for (int64_t i = 0; i < first_rows; ++i) {
    for_columns<T>(i * columns, columns, [=](int64_t at, int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      store_lanes<kFull>(center + j, load_lanes<kFull>(center + j, n) + load_lanes<kFull>(x + at, n), n);
    });
  }
  for_columns<T>(0, columns, [=](int64_t, int64_t j, int n, auto flag) __attribute__((always_inline)) {
    store_lanes<decltype(flag)::kFull>(center + j, load_lanes<decltype(flag)::kFull>(center + j, n) / first_count, n);
  });
  for (int64_t i = 0; i < block.rows; ++i) {
    for_columns<T>(i * columns, columns, [=](int64_t at, int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      const Vec<T> d = load_lanes<kFull>(x + at, n) - load_lanes<kFull>(center + j, n);
      store_lanes<kFull>(shift + j, load_lanes<kFull>(shift + j, n) + d, n);
      store_lanes<kFull>(squares + j, fma(d, d, load_lanes<kFull>(squares + j, n)), n);
    });
  }
  for_columns<T>(0, columns, [=](int64_t, int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const Vec<T> d = load_lanes<kFull>(shift + j, n), mean = d / count;
    store_lanes<kFull>(shift + j, mean, n);
    store_lanes<kFull>(squares + j, fnma(d, mean, load_lanes<kFull>(squares + j, n)), n);
  });
}

// Combines the moments of the channels [first, last) and writes the outputs and the coefficients of the last phase.
template <class Item>
void combine_moments(const BatchNormState& s, int64_t first, int64_t last, const StepArgs& args) {
  using T = NumberOf<Item>;
  constexpr int kLanes = Vec<T>::kLanes;
  const Item *gamma = static_cast<const Item*>(args.in[1]), *beta = static_cast<const Item*>(args.in[2]);
  T* coefficients = coefficients_of<T>(s, args.scratch);
  const double inverse = 1.0 / static_cast<double>(s.count);
  for (int64_t j = first; j < last; j += kLanes) {
    const int n = static_cast<int>(smaller(kLanes, last - j));
    Wide<T> mean = splat_wide<T>(0), squares = splat_wide<T>(0);
    const auto mean_of = [&](const T* partial) {
      return map_wide([](auto center, auto shift) { return center + shift; }, widen(load_part(partial, n)), widen(load_part(partial + s.columns, n)));
    };
    for_partials<T>(s, args.scratch, j, [&](double count, const T* partial) {
      mean = map_wide([=](auto sum, auto v) { return fma(splat(count), v, sum); }, mean, mean_of(partial));
    });
    mean = map_wide([=](auto sum) { return sum * splat(inverse); }, mean);
    for_partials<T>(s, args.scratch, j, [&](double count, const T* partial) {
      squares = map_wide(
          [=](auto sum, auto v, auto q, auto center) {
            const auto d = v - center;
            return fma(splat(count) * d, d, sum + q);
          },
          squares, mean_of(partial), widen(load_part(partial + 2 * s.columns, n)), mean);
    });
    const Wide<T> variance = map_wide([=](auto q) { return q * splat(inverse); }, squares);
    const Wide<T> scale = map_wide([&](auto v, auto g) { return g / sqrt(v + splat(s.epsilon)); }, variance, widen(load_lanes<false>(gamma + j, n)));
    const Vec<T> mean_out = narrow(mean);
    const Wide<T> shift = map_wide([](auto b, auto m, auto rounded, auto a) { return fma(rounded - m, a, b); }, widen(load_lanes<false>(beta + j, n)),
                                   mean, widen(mean_out), scale);
    store_lanes<false>(static_cast<Item*>(args.out[1]) + j, mean_out, n);
    store_lanes<false>(static_cast<Item*>(args.out[2]) + j, narrow(variance), n);
    if (s.coefficients) {
      store_lanes<false>(static_cast<Item*>(args.out[3]) + j, narrow(scale), n);
      store_lanes<false>(static_cast<Item*>(args.out[4]) + j, narrow(shift), n);
    }
    put_coefficient(s, coefficients, kMean, j, mean_out, n);
    put_coefficient(s, coefficients, kScale, j, narrow(scale), n);
    put_coefficient(s, coefficients, kShift, j, narrow(shift), n);
  }
}

template <bool residual, class Item>
void normalize(const BatchNormState& s, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  const Item* x = static_cast<const Item*>(args.in[0]);
  const Item* other = static_cast<const Item*>(args.in[residual ? 3 : 0]);
  Item* y = static_cast<Item*>(args.out[0]);
  const bool streams = s.streams && is_aligned(y);
  const T* coefficients = coefficients_of<T>(s, args.scratch);
  const Vec<T> low = splat(static_cast<T>(s.low));  // max passes NaN and the sign of zero on
  for_quads<T>(s, begin, end, [&](int64_t at, int64_t row, auto rows, int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const T* c = coefficients + j;
    const Vec<T> mean = load_lanes<kFull>(c + kMean * s.columns, n), scale = load_lanes<kFull>(c + kScale * s.columns, n),
                 shift = load_lanes<kFull>(c + kShift * s.columns, n);
    NN_UNROLL(4)
    for (int r = 0; r < decltype(rows)::kRows; ++r) {
      Vec<T> v = fma(load_lanes<kFull>(x + at + r * row, n) - mean, scale, shift);
      if constexpr (residual) v = v + load_lanes<kFull>(other + at + r * row, n);
      store_result<kFull>(streams, y + at + r * row, max(low, v), n);
    }
  });
}

template <class Item>
void run_phase(const BatchNormState& s, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  const Item* x = static_cast<const Item*>(args.in[0]);
  if (phase == 0) {
    for (int64_t b = begin * s.chunk_blocks; b < smaller(end * s.chunk_blocks, s.blocks); ++b) {
      T* partial = partial_of<T>(s, args.scratch, b);
      const Block block = block_at(s, b);
      auto moments = block_moments<Item, T>;
      if constexpr (kManyForms<Item>) {
        if (s.by_rows) moments = moments_by_rows<Item, T>;
      }
      moments(x + block.start, block, partial, partial + s.columns, partial + 2 * s.columns);
    }
  } else if (phase == 1) {
    combine_moments<Item>(s, begin * s.chunk_channels, smaller(end * s.chunk_channels, s.channels), args);
  } else {
    if constexpr (sizeof(Item) == sizeof(float)) {
      if (s.residual) return normalize<true, Item>(s, begin, end, args);
    }
    normalize<false, Item>(s, begin, end, args);
  }
}

template <class Item>
void run_batch_norm(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  run_phases(*static_cast<const BatchNormState*>(state), phase, begin, end, args, run_phase<Item>);
}

void prepare_batch_norm(Prepare& p) {
  const Spec& x = p.input(0);
  check_floats(p, x);
  check_channels(p, p.input(1), x, "gamma");
  check_channels(p, p.input(2), x, "beta");
  check_like(p, p.output(0), x, "y");
  check_channels(p, p.output(1), x, "mean");
  check_channels(p, p.output(2), x, "variance");
  BatchNormState* s = x.dtype == DType::kFloat32   ? plan_batch_norm<float>(p, x, 3, 2, run_batch_norm<float>)
                      : x.dtype == DType::kFloat64 ? plan_batch_norm<double>(p, x, 3, 2, run_batch_norm<double>)
                                                   : plan_batch_norm<uint16_t>(p, x, 3, 2, run_batch_norm<uint16_t>);
  const char* activation = p.get_string("activation", "none");
  const bool relu = strcmp(activation, "relu") == 0;
  if (!relu && strcmp(activation, "none") != 0) p.fail("activation must be 'none' or 'relu', got '%s'", activation);
  s->low = relu ? 0 : -__builtin_inf();
  s->residual = p.get_int("residual", 0) != 0;
  s->coefficients = p.num_outputs() > 3;
  if ((s->residual || s->coefficients) && x.dtype != DType::kFloat32) {
    p.fail("a residual, and scale and shift as outputs, are for float32 only, got %s", dtype_name(x.dtype));
  }
  if (s->residual) {
    if (p.num_inputs() < 4) p.fail("residual=1 needs a fourth input, got %d", p.num_inputs());
    check_like(p, p.input(3), x, "the residual");
  }
  if (s->coefficients) {
    if (p.num_outputs() < 5) p.fail("scale and shift are two outputs more, 5 in all, got %d", p.num_outputs());
    check_channels(p, p.output(3), x, "scale");
    check_channels(p, p.output(4), x, "shift");
  }
}

NN_KERNEL("batch_norm", prepare_batch_norm);

}  // namespace
}  // namespace nnlite::NN_ISA
