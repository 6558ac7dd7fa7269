// The gradient of group_norm.
//
//   dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy gamma, means over the group; dgamma = sum over samples and positions of dy xhat, dbeta =
//   sum of dy. Column by column, the sums of dy and of dy (x - mean) give all four.
#include "kernels/group_norm.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int kX = 0, kDy = 1, kGamma = 2, kMeans = 3, kRstds = 4;              // inputs
constexpr int kMean = 0, kScale = 1, kConstant = 2, kSlope = 3;                 // rows of coefficients
constexpr int kSpread = 0, kSumBlocks = 1, kFinish = 2, kWrite = 3, kCombine = 4;  // phases

template <class Item>
NN_APART void spread_means(const GroupNormState& s, int64_t sample, const Places<NumberOf<Item>>& at, const StepArgs& args) {
  const Item* means = static_cast<const Item*>(args.in[kMeans]) + sample * s.groups;
  for (int64_t j = s.columns; j < s.padded; ++j) at.coefficients[j] = 0;
  for (int64_t g = 0; g < s.groups; ++g) {
    for_group(s, g, [&](int64_t j, int64_t) { at.coefficients[kMean * s.padded + j] = to_number(means[g]); });
  }
}

template <class Item>
NN_APART void sum_block(const GroupNormState& s, const Item* x, const Item* dy, int64_t rows, const NumberOf<Item>* means, NumberOf<Item>* plain,
                        NumberOf<Item>* products) {
  using T = NumberOf<Item>;
  constexpr int kLanes = Vec<T>::kLanes;
  for_strips<T>(s.columns, [&](int64_t j, int n, auto tag) __attribute__((always_inline)) {
    using S = decltype(tag);
    Vec<T> mean[S::kVectors];
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) mean[v] = load(means + j + v * kLanes);
    Sums<T, S> sums, weighted;
    sums.clear();
    weighted.clear();
    for_block_rows<S>(rows, [&](int64_t i, int k, int v) __attribute__((always_inline)) {
      const int64_t at = i * s.columns + j + v * kLanes;
      const Vec<T> up = load_lanes<S::kFull>(dy + at, n);
      sums.v[k] += up;
      weighted.v[k] = fma(up, load_lanes<S::kFull>(x + at, n) - mean[v], weighted.v[k]);
    });
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) {
      store(plain + j + v * kLanes, sums.total(v));
      store(products + j + v * kLanes, weighted.total(v));
    }
  });
}

// Sums of the sample's columns, then of its channels, then the coefficients of dx.
template <class Item>
NN_APART void finish_sample(const GroupNormState& s, int64_t sample, const Places<NumberOf<Item>>& at, const StepArgs& args) {
  using T = NumberOf<Item>;
  for (int64_t j = 0; j < s.columns; j += Vec<T>::kLanes) {
    Wide<T> sums = splat_wide<T>(0), products = splat_wide<T>(0);
    const auto add = [](auto sum, auto v) { return sum + v; };
    for_blocks<T>(s, at, j, [&](Wide<T> plain, Wide<T> weighted, double) __attribute__((always_inline)) {
      sums = map_wide(add, sums, plain);
      products = map_wide(add, products, weighted);
    });
    store_wide<T>(at.totals[0] + j, sums);
    store_wide<T>(at.totals[1] + j, products);
  }
  const Item *gamma = static_cast<const Item*>(args.in[kGamma]), *rstds = static_cast<const Item*>(args.in[kRstds]) + sample * s.groups;
  T* by_channel = static_cast<T*>(args.scratch) + s.channels_at + 2 * sample * s.channels;
  const double count = static_cast<double>(s.rows) * static_cast<double>(s.columns / s.groups);
  for (int64_t j = s.channels; j < s.columns; ++j) {
    at.totals[0][j % s.channels] += at.totals[0][j];
    at.totals[1][j % s.channels] += at.totals[1][j];
  }
  for (int64_t g = 0; g < s.groups; ++g) {
    const double rstd = to_number(rstds[g]);
    double sum = 0, product = 0;
    for (int64_t c = g * (s.channels / s.groups); c < (g + 1) * (s.channels / s.groups); ++c) {
      sum += at.totals[0][c] * to_number(gamma[c]);
      product += at.totals[1][c] * to_number(gamma[c]);
      by_channel[c] = static_cast<T>(at.totals[1][c] * rstd);
      by_channel[s.channels + c] = static_cast<T>(at.totals[0][c]);
    }
    const T constant = static_cast<T>(-rstd * sum / count), slope = static_cast<T>(rstd * rstd * rstd * product / count);
    for_group(s, g, [&](int64_t j, int64_t c) {
      at.coefficients[kScale * s.padded + j] = static_cast<T>(rstd) * to_number(gamma[c]);
      at.coefficients[kConstant * s.padded + j] = constant;
      at.coefficients[kSlope * s.padded + j] = slope;
    });
  }
}

template <class Item>
NN_APART void write_block(const GroupNormState& s, const Item* x, const Item* dy, const Places<NumberOf<Item>>& at, int64_t b, Item* dx) {
  using T = NumberOf<Item>;
  const T* rows = at.coefficients;
  const int64_t first = b * s.block_rows;
  for_rows<Item>(s, first, first + rows_of_block(s, b), [&](int64_t start, int64_t j, int n, auto many, auto whole) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(whole)::kFull;
    const Vec<T> mean = load(rows + j), scale = load(rows + kScale * s.padded + j);
    const Vec<T> constant = load(rows + kConstant * s.padded + j), slope = load(rows + kSlope * s.padded + j);
    NN_UNROLL(4)
    for (int r = 0; r < decltype(many)::kRows; ++r) {
      const int64_t i = start + r * s.columns + j;
      const Vec<T> d = load_lanes<kFull>(x + i, n) - mean;
      store_lanes<kFull>(dx + i, fma(load_lanes<kFull>(dy + i, n), scale, fnma(d, slope, constant)), n);
    }
  });
}

template <class Item>
void combine_samples(const GroupNormState& s, const StepArgs& args) {
  using T = NumberOf<Item>;
  const T* sums = static_cast<const T*>(args.scratch) + s.channels_at;
  for (int k = 0; k < 2; ++k) {
    Item* out = static_cast<Item*>(args.out[1 + k]);
    for (int64_t c = 0; c < s.channels; c += Vec<T>::kLanes) {
      const int n = static_cast<int>(smaller(Vec<T>::kLanes, s.channels - c));
      Wide<T> total = splat_wide<T>(0);
      for (int64_t i = 0; i < (s.rows == 0 ? 0 : s.samples); ++i) {
        total = map_wide([](auto sum, auto v) { return sum + v; }, total, widen(load_part(sums + (2 * i + k) * s.channels + c, n)));
      }
      store_lanes<false>(out + c, narrow(total), n);
    }
  }
}

template <class Item>
void run_group_norm_grad(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  const GroupNormState& s = *static_cast<const GroupNormState*>(state);
  const auto run = [&](int step, int64_t first, int64_t last) {
    const bool by_sample = step == kSpread || step == kFinish;
    for (int64_t i = first; i < last; ++i) {
      const int64_t sample = by_sample ? i : i / s.blocks, b = by_sample ? 0 : i % s.blocks, start = sample * s.rows * s.columns;
      const Places<T> at = places_of<T>(s, sample, args);
      const Item *x = static_cast<const Item*>(args.in[kX]) + start, *dy = static_cast<const Item*>(args.in[kDy]) + start;
      const int64_t skip = b * s.block_rows * s.columns;
      T* sums = at.blocks + 2 * b * s.padded;
      if (step == kSpread) spread_means<Item>(s, sample, at, args);
      if (step == kSumBlocks) sum_block(s, x + skip, dy + skip, rows_of_block(s, b), at.coefficients, sums, sums + s.padded);
      if (step == kFinish) finish_sample<Item>(s, sample, at, args);
      if (step == kWrite) write_block(s, x, dy, at, b, static_cast<Item*>(args.out[0]) + start);
    }
  };
  if (phase == (s.chunk_samples > 0 ? 1 : kCombine)) {
    if (begin < end) combine_samples<Item>(s, args);
    return;
  }
  if (s.chunk_samples == 0) return run(phase, begin, end);
  for (int64_t n = begin * s.chunk_samples; n < smaller(end * s.chunk_samples, s.samples); ++n) {
    for (int step = kSpread; step <= kWrite; ++step) {
      const int64_t each = step == kSpread || step == kFinish ? 1 : s.blocks;
      run(step, n * each, (n + 1) * each);
    }
  }
}

void prepare_group_norm_grad(Prepare& p) {
  const Spec& x = p.input(kX);
  check_floats(p, x);
  check_like(p, p.input(kDy), x, "dy");
  check_channels(p, p.input(kGamma), x, "gamma");
  check_like(p, p.output(0), x, "dx");
  check_channels(p, p.output(1), x, "dgamma");
  check_channels(p, p.output(2), x, "dbeta");
  const GroupNormState* s = plan_group_norm(p, 2, true, true);
  check_statistics(p, p.input(kMeans), *s, x, "mean");
  check_statistics(p, p.input(kRstds), *s, x, "rstd");
  p.add_phase(1);
  p.set_run(run_for(x, run_group_norm_grad<float>, run_group_norm_grad<double>, run_group_norm_grad<uint16_t>));
}

NN_KERNEL("group_norm_grad", prepare_group_norm_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
