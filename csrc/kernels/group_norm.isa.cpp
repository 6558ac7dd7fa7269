// group_norm: x [N, ..., C] normalized over all positions and the channels of a group, scaled and shifted by channel.
//
//   y = (x - mean) rstd gamma + beta, rstd = 1 / sqrt(variance + epsilon), per sample and group.
//
// A block's mean and sum of squares around it, column by column, come from deviations from the mean of its first rows: where that is D off, it alone
// brings the mean square to D^2 times the share of those rows, so few bits are lost.
#include "kernels/group_norm.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kHeadRows = 8;
constexpr int kMean = 0, kScale = 1, kBeta = 2;  // rows of coefficients

template <class Item>
NN_APART void sum_block(const GroupNormState& s, const Item* x, int64_t rows, NumberOf<Item>* means, NumberOf<Item>* squares) {
  using T = NumberOf<Item>;
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t columns = s.columns, head = smaller(rows, kHeadRows);
  const Vec<T> share = splat(T(1) / static_cast<T>(rows)), head_share = splat(T(1) / static_cast<T>(head));
  for_strips<T>(columns, [&](int64_t j, int n, auto tag) __attribute__((always_inline)) {
    using S = decltype(tag);
    const auto at = [&](int64_t i, int v) __attribute__((always_inline)) { return load_lanes<S::kFull>(x + i * columns + j + v * kLanes, n); };
    Sums<T, S> centers, sums, products;
    centers.clear();
    for_block_rows<S>(head, [&](int64_t i, int k, int v) __attribute__((always_inline)) { centers.v[k] += at(i, v); });
    Vec<T> center[S::kVectors];
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) center[v] = centers.total(v) * head_share;
    sums.clear();
    products.clear();
    for_block_rows<S>(rows, [&](int64_t i, int k, int v) __attribute__((always_inline)) {
      const Vec<T> d = at(i, v) - center[v];
      sums.v[k] += d;
      products.v[k] = fma(d, d, products.v[k]);
    });
    NN_UNROLL(4)
    for (int v = 0; v < S::kVectors; ++v) {
      const Vec<T> sum = sums.total(v), mean = sum * share;
      store(means + j + v * kLanes, center[v] + mean);
      store(squares + j + v * kLanes, fnma(sum, mean, products.total(v)));
    }
  });
}

// Means and sums of squares of all columns, then of the groups, then the coefficients of the sample.
template <class Item>
NN_APART void finish_sample(const GroupNormState& s, int64_t sample, const Places<NumberOf<Item>>& at, const StepArgs& args) {
  using T = NumberOf<Item>;
  const double rows = static_cast<double>(s.rows), width = static_cast<double>(s.columns / s.groups);
  for (int64_t j = 0; j < s.columns; j += Vec<T>::kLanes) {
    Wide<T> mean = splat_wide<T>(0), squares = splat_wide<T>(0);
    for_blocks<T>(s, at, j, [&](Wide<T> means, Wide<T>, double count) __attribute__((always_inline)) {
      mean = map_wide([=](auto sum, auto m) { return fma(m, splat(count), sum); }, mean, means);
    });
    mean = map_wide([=](auto sum) { return sum * splat(1 / rows); }, mean);
    for_blocks<T>(s, at, j, [&](Wide<T> means, Wide<T> around, double count) __attribute__((always_inline)) {
      const auto add = [=](auto sum, auto m, auto center, auto q) { return fma((m - center) * splat(count), m - center, sum + q); };
      squares = map_wide(add, squares, means, mean, around);
    });
    store_wide<T>(at.totals[0] + j, mean);
    store_wide<T>(at.totals[1] + j, squares);
  }
  const Item *gamma = static_cast<const Item*>(args.in[1]), *beta = static_cast<const Item*>(args.in[2]);
  for (int64_t g = 0; g < s.groups; ++g) {
    double mean = 0, squares = 0;
    for_group(s, g, [&](int64_t j, int64_t) { mean += at.totals[0][j]; });
    mean /= width;
    for_group(s, g, [&](int64_t j, int64_t) {
      const double d = at.totals[0][j] - mean;
      squares += at.totals[1][j] + rows * (d * d);
    });
    const double variance = squares / (rows * width), rstd = 1 / __builtin_sqrt((variance < 0 ? 0 : variance) + s.epsilon);
    static_cast<Item*>(args.out[1])[sample * s.groups + g] = to_item<Item>(static_cast<T>(mean));
    static_cast<Item*>(args.out[2])[sample * s.groups + g] = to_item<Item>(static_cast<T>(rstd));
    for_group(s, g, [&](int64_t j, int64_t c) {
      at.coefficients[kMean * s.padded + j] = static_cast<T>(mean);
      at.coefficients[kScale * s.padded + j] = static_cast<T>(rstd) * to_number(gamma[c]);
      at.coefficients[kBeta * s.padded + j] = to_number(beta[c]);
    });
  }
}

template <class Item>
NN_APART void write_block(const GroupNormState& s, const Item* x, const Places<NumberOf<Item>>& at, int64_t b, Item* y) {
  using T = NumberOf<Item>;
  const T *means = at.coefficients + kMean * s.padded, *scales = at.coefficients + kScale * s.padded, *betas = at.coefficients + kBeta * s.padded;
  const int64_t first = b * s.block_rows;
  for_rows<Item>(s, first, first + rows_of_block(s, b), [&](int64_t start, int64_t j, int n, auto many, auto whole) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(whole)::kFull;
    const Vec<T> mean = load(means + j), scale = load(scales + j), beta = load(betas + j);
    NN_UNROLL(4)
    for (int r = 0; r < decltype(many)::kRows; ++r) {
      const int64_t i = start + r * s.columns + j;
      store_lanes<kFull>(y + i, fma(load_lanes<kFull>(x + i, n) - mean, scale, beta), n);
    }
  });
}

template <class Item>
void run_group_norm(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  using T = NumberOf<Item>;
  const GroupNormState& s = *static_cast<const GroupNormState*>(state);
  const int64_t size = s.rows * s.columns;
  const auto block = [&](int step, int64_t sample, int64_t b) {
    const Places<T> at = places_of<T>(s, sample, args);
    const Item* x = static_cast<const Item*>(args.in[0]) + sample * size;
    T* sums = at.blocks + 2 * b * s.padded;
    if (step == 0) sum_block(s, x + b * s.block_rows * s.columns, rows_of_block(s, b), sums, sums + s.padded);
    if (step == 2) write_block(s, x, at, b, static_cast<Item*>(args.out[0]) + sample * size);
  };
  const auto run = [&](int step, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      if (step == 1) {
        finish_sample<Item>(s, i, places_of<T>(s, i, args), args);
      } else {
        block(step, i / s.blocks, i % s.blocks);
      }
    }
  };
  if (s.chunk_samples == 0) return run(phase, begin, end);
  for (int64_t n = begin * s.chunk_samples; n < smaller(end * s.chunk_samples, s.samples); ++n) {
    run(0, n * s.blocks, (n + 1) * s.blocks);
    run(1, n, n + 1);
    run(2, n * s.blocks, (n + 1) * s.blocks);
  }
}

void prepare_group_norm(Prepare& p) {
  const Spec& x = p.input(0);
  check_floats(p, x);
  check_channels(p, p.input(1), x, "gamma");
  check_channels(p, p.input(2), x, "beta");
  check_like(p, p.output(0), x, "y");
  GroupNormState* s = plan_group_norm(p, 1, false, false);
  s->epsilon = p.get_float("epsilon");
  check_statistics(p, p.output(1), *s, x, "mean");
  check_statistics(p, p.output(2), *s, x, "rstd");
  p.set_run(run_for(x, run_group_norm<float>, run_group_norm<double>, run_group_norm<uint16_t>));
}

NN_KERNEL("group_norm", prepare_group_norm);

}  // namespace
}  // namespace nnlite::NN_ISA
