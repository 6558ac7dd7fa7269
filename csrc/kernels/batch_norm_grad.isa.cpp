// The gradient of batch_norm; see batch_norm.h for the cut.
//
//   dbeta = sum dy, dgamma = sum dy xhat, dx = gamma rstd (dy - dbeta / n - xhat dgamma / n) with xhat = (x - mean) rstd.
//
// Given scale and shift of the forward pass as sixth and seventh input (float32), dy is that of relu after it, and counts where
// (x - mean) scale + shift is positive: relu's output need not be read.
#include "kernels/batch_norm.h"

namespace nnlite::NN_ISA {
namespace {

// dx = a dy + (b (x - mean) + c).
// Where relu cut, scale and shift say.
constexpr int kMean = 0, kOfDy = 1, kOfX = 2, kConstant = 3, kScale = 4, kShift = 5, kCoefficients = 6;
constexpr int kX = 0, kDy = 1, kGamma = 2, kMeanInput = 3, kVariance = 4, kScaleInput = 5, kShiftInput = 6;

// Inputs as a value for every column; scale and shift only if relu cuts.
template <class T>
struct ByColumn {
  const T *mean, *scale, *shift;
};

// What relu lets through of dy.
template <bool masked, class V>
NN_INLINE V through_relu(V dy, V deviation, V scale, V shift) {
  if constexpr (!masked) return dy;
  return select(fma(deviation, scale, shift) > V::zero(), dy, V::zero());
}

// Sums of dy and dy (x - mean) over every column of a block.
template <bool masked, class Item, class T>
void block_sums(const Item* x, const Item* dy, const ByColumn<T>& of, const Block& block, T* dy_out, T* dyx_out) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t stride = block.columns, rows = block.rows;
  for_strips<T>(block.columns, [=](int64_t j, int n, auto strip) __attribute__((always_inline)) {
    using S = decltype(strip);
    Sums<T, S> sums, products;
    sums.clear();
    products.clear();
    Vec<T> center[4], scale[4], shift[4];
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) {
      center[v] = load_lanes<S::kFull>(of.mean + j + v * kLanes, n);
      scale[v] = masked ? load_lanes<S::kFull>(of.scale + j + v * kLanes, n) : center[v];
      shift[v] = masked ? load_lanes<S::kFull>(of.shift + j + v * kLanes, n) : center[v];
    }
    for_block_rows<S>(rows, [&](int64_t i, int a, int v) __attribute__((always_inline)) {
      const int64_t at = i * stride + j + v * kLanes;
      const Vec<T> deviation = load_lanes<S::kFull>(x + at, n) - center[v];
      const Vec<T> d = through_relu<masked>(load_lanes<S::kFull>(dy + at, n), deviation, scale[v], shift[v]);
      sums.v[a] += d;
      products.v[a] = fma(d, deviation, products.v[a]);
    });
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) {
      store_lanes<S::kFull>(dy_out + j + v * kLanes, sums.total(v), n);
      store_lanes<S::kFull>(dyx_out + j + v * kLanes, products.total(v), n);
    }
  });
}

// The same row by row: the outputs are the sums, which stay in the first cache.
template <bool masked, class Item, class T>
void sums_by_rows(const Item* x, const Item* dy, const ByColumn<T>& of, const Block& block, T* dy_out, T* dyx_out) {
  memset(dy_out, 0, static_cast<size_t>(block.columns) * sizeof(T));
  memset(dyx_out, 0, static_cast<size_t>(block.columns) * sizeof(T));
  for (int64_t i = 0; i < block.rows; ++i) {
    for_columns<T>(i * block.columns, block.columns, [=](int64_t at, int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      const Vec<T> deviation = load_lanes<kFull>(x + at, n) - load_lanes<kFull>(of.mean + j, n);
      Vec<T> d = load_lanes<kFull>(dy + at, n);
      if constexpr (masked) d = through_relu<true>(d, deviation, load_lanes<kFull>(of.scale + j, n), load_lanes<kFull>(of.shift + j, n));
      store_lanes<kFull>(dy_out + j, load_lanes<kFull>(dy_out + j, n) + d, n);
      store_lanes<kFull>(dyx_out + j, fma(d, deviation, load_lanes<kFull>(dyx_out + j, n)), n);
    });
  }
}

// Elements of a value for every column: no folded row is longer than four vectors.
constexpr int64_t column_elements(int64_t channels) { return channels + 64; }

// One of the inputs [C] as a value for every column, made in the thread's scratch where it does not have that form.
template <class Item>
const NumberOf<Item>* by_column(const BatchNormState& s, const StepArgs& args, int input) {
  const Item* values = static_cast<const Item*>(args.in[input]);
  if constexpr (sizeof(Item) > 2) {
    if (s.fold == 1) return values;
  }
  NumberOf<Item>* all = static_cast<NumberOf<Item>*>(args.thread_scratch) + (input - kMeanInput) * column_elements(s.channels);
  for (int64_t f = 0; f < s.fold; ++f) {
    for (int64_t j = 0; j < s.channels; ++j) all[f * s.channels + j] = to_number(values[j]);
  }
  return all;
}

template <bool masked, class Item>
void sum_blocks(const BatchNormState& s, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  ByColumn<T> of = {by_column<Item>(s, args, kMeanInput), nullptr, nullptr};
  if constexpr (masked) of = {of.mean, by_column<Item>(s, args, kScaleInput), by_column<Item>(s, args, kShiftInput)};
  for (int64_t b = begin; b < end; ++b) {
    const Block block = block_at(s, b);
    T* partial = partial_of<T>(s, args.scratch, b);
    const Item *x = static_cast<const Item*>(args.in[kX]), *dy = static_cast<const Item*>(args.in[kDy]);
    auto sums = block_sums<masked, Item, T>;
    if constexpr (kManyForms<Item>) {
      if (s.by_rows) sums = sums_by_rows<masked, Item, T>;
    }
    sums(x + block.start, dy + block.start, of, block, partial, partial + s.columns);
  }
}

// Combines the sums of the channels [first, last) and writes dgamma, dbeta and the coefficients of the last phase.
template <bool masked, class Item>
void combine_sums(const BatchNormState& s, int64_t first, int64_t last, const StepArgs& args) {
  using T = NumberOf<Item>;
  constexpr int kLanes = Vec<T>::kLanes;
  const Item *gamma = static_cast<const Item*>(args.in[kGamma]), *mean = static_cast<const Item*>(args.in[kMeanInput]);
  const Item* variance = static_cast<const Item*>(args.in[kVariance]);
  T* coefficients = coefficients_of<T>(s, args.scratch);
  const double inverse = 1.0 / static_cast<double>(s.count);
  for (int64_t j = first; j < last; j += kLanes) {
    const int n = static_cast<int>(smaller(kLanes, last - j));
    Wide<T> dbeta = splat_wide<T>(0), products = splat_wide<T>(0);
    for_partials<T>(s, args.scratch, j, [&](double, const T* partial) {
      const auto add = [](auto sum, auto v) { return sum + v; };
      dbeta = map_wide(add, dbeta, widen(load_part(partial, n)));
      products = map_wide(add, products, widen(load_part(partial + s.columns, n)));
    });
    const Wide<T> rstd = map_wide([&](auto v) { return splat(1.0) / sqrt(v + splat(s.epsilon)); }, widen(load_lanes<false>(variance + j, n)));
    const auto times = [](auto a, auto b) { return a * b; };
    const auto negative_share = [=](auto a, auto b) { return a * b * splat(-inverse); };
    const Wide<T> dgamma = map_wide(times, products, rstd), of_dy = map_wide(times, widen(load_lanes<false>(gamma + j, n)), rstd);
    const Wide<T> of_x = map_wide(negative_share, map_wide(times, of_dy, rstd), dgamma), constant = map_wide(negative_share, of_dy, dbeta);
    store_lanes<false>(static_cast<Item*>(args.out[1]) + j, narrow(dgamma), n);
    store_lanes<false>(static_cast<Item*>(args.out[2]) + j, narrow(dbeta), n);
    put_coefficient(s, coefficients, kMean, j, load_lanes<false>(mean + j, n), n);
    put_coefficient(s, coefficients, kOfDy, j, narrow(of_dy), n);
    put_coefficient(s, coefficients, kOfX, j, narrow(of_x), n);
    put_coefficient(s, coefficients, kConstant, j, narrow(constant), n);
    if constexpr (masked) {
      put_coefficient(s, coefficients, kScale, j, load_lanes<false>(static_cast<const Item*>(args.in[kScaleInput]) + j, n), n);
      put_coefficient(s, coefficients, kShift, j, load_lanes<false>(static_cast<const Item*>(args.in[kShiftInput]) + j, n), n);
    }
  }
}

template <bool masked, class Item>
void run_phase(const BatchNormState& s, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  if (phase == 0) return sum_blocks<masked, Item>(s, begin * s.chunk_blocks, smaller(end * s.chunk_blocks, s.blocks), args);
  if (phase == 1) return combine_sums<masked, Item>(s, begin * s.chunk_channels, smaller(end * s.chunk_channels, s.channels), args);
  const Item *x = static_cast<const Item*>(args.in[kX]), *dy = static_cast<const Item*>(args.in[kDy]);
  const T* coefficients = coefficients_of<T>(s, args.scratch);
  Item* dx = static_cast<Item*>(args.out[0]);
  const bool streams = s.streams && is_aligned(dx);
  for_quads<T>(s, begin, end, [&](int64_t at, int64_t row, auto rows, int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const T* c = coefficients + j;
    const Vec<T> mean = load_lanes<kFull>(c + kMean * s.columns, n), of_dy = load_lanes<kFull>(c + kOfDy * s.columns, n),
                 of_x = load_lanes<kFull>(c + kOfX * s.columns, n), constant = load_lanes<kFull>(c + kConstant * s.columns, n);
    const Vec<T> scale = masked ? load_lanes<kFull>(c + kScale * s.columns, n) : mean;
    const Vec<T> shift = masked ? load_lanes<kFull>(c + kShift * s.columns, n) : mean;
    NN_UNROLL(4)
    for (int r = 0; r < decltype(rows)::kRows; ++r) {
      const Vec<T> deviation = load_lanes<kFull>(x + at + r * row, n) - mean;
      const Vec<T> d = through_relu<masked>(load_lanes<kFull>(dy + at + r * row, n), deviation, scale, shift);
      store_result<kFull>(streams, dx + at + r * row, fma(of_dy, d, fma(of_x, deviation, constant)), n);
    }
  });
}

template <bool masked, class Item>
void run_batch_norm_grad(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  run_phases(*static_cast<const BatchNormState*>(state), phase, begin, end, args, run_phase<masked, Item>);
}

void prepare_batch_norm_grad(Prepare& p) {
  const Spec& x = p.input(kX);
  check_floats(p, x);
  check_like(p, p.input(kDy), x, "dy");
  check_channels(p, p.input(kGamma), x, "gamma");
  check_channels(p, p.input(kMeanInput), x, "mean");
  check_channels(p, p.input(kVariance), x, "variance");
  check_like(p, p.output(0), x, "dx");
  check_channels(p, p.output(1), x, "dgamma");
  check_channels(p, p.output(2), x, "dbeta");
  const bool masked = p.num_inputs() > kScaleInput;
  if (masked) {
    if (x.dtype != DType::kFloat32) p.fail("relu's mask is taken for float32 only, got %s", dtype_name(x.dtype));
    if (p.num_inputs() <= kShiftInput) p.fail("relu's mask needs scale and shift, 7 inputs in all, got %d", p.num_inputs());
    check_channels(p, p.input(kScaleInput), x, "scale");
    check_channels(p, p.input(kShiftInput), x, "shift");
  }
  switch (x.dtype) {
    case DType::kFloat32:
      plan_batch_norm<float>(p, x, kCoefficients, 3, masked ? run_batch_norm_grad<true, float> : run_batch_norm_grad<false, float>);
      break;
    case DType::kFloat64: plan_batch_norm<double>(p, x, kCoefficients, 3, run_batch_norm_grad<false, double>); break;
    default: plan_batch_norm<uint16_t>(p, x, kCoefficients, 3, run_batch_norm_grad<false, uint16_t>);
  }
  p.need_thread_scratch(static_cast<size_t>(column_elements(x.dim(-1)) * (masked ? kShiftInput - kMeanInput + 1 : 1)) * sizeof(double));
}

NN_KERNEL("batch_norm_grad", prepare_batch_norm_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
