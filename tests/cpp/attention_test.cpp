// attention and attention_grad against the formula in double, with every mask, bias and grouping; same bits in every order and on every team.
#include <algorithm>
#include <cmath>
#include <limits>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

struct Shape {
  int64_t batch, targets, sources, heads, key_heads, size, value_size;
};

struct Options {
  bool causal = false;
  std::vector<int64_t> bias = {}, mask = {};  // their shapes; none when empty
};

constexpr double kLog2E = 1.4426950408889634;

// All inputs of a case, and what the formula gives for them.
class Problem {
 public:
  Problem(const Shape& shape, const Options& options, DType dtype, uint64_t seed = 1) : s(shape), options_(options), dtype_(dtype) {
    q = random_buffer(spec({s.batch, s.targets, s.heads, s.size}), seed, -2, 2);
    k = random_buffer(spec({s.batch, s.sources, s.key_heads, s.size}), seed + 1, -2, 2);
    v = random_buffer(spec({s.batch, s.sources, s.key_heads, s.value_size}), seed + 2);
    dy = random_buffer(spec({s.batch, s.targets, s.heads, s.value_size}), seed + 3);
    if (!options.bias.empty()) extras.push_back(random_buffer(spec(options.bias), seed + 4, -3, 3));
    if (!options.mask.empty()) extras.push_back(random_buffer(typed(options.mask, DType::kBool), seed + 5));
  }

  Attributes attributes() const {
    return {{"scale", kScale},
            {"causal", int64_t{options_.causal}},
            {"bias", int64_t{!options_.bias.empty()}},
            {"mask", int64_t{!options_.mask.empty()}}};
  }
  std::vector<Spec> output_specs() const {
    const Spec rows = spec({s.batch, s.heads, s.targets});
    return {dy.spec(), rows, rows};
  }
  std::vector<Buffer> forward() const {
    std::vector<Buffer> inputs = {q, k, v};
    inputs.insert(inputs.end(), extras.begin(), extras.end());
    return run_every_way("attention", inputs, output_specs(), attributes());
  }
  std::vector<Buffer> backward(const std::vector<Buffer>& out) const {
    std::vector<Buffer> inputs = {q, k, v, out[0], out[1], out[2], dy};
    inputs.insert(inputs.end(), extras.begin(), extras.end());
    return run_every_way("attention_grad", inputs, {q.spec(), k.spec(), v.spec()}, attributes());
  }

  void expect_right() const {
    const auto out = forward();
    const auto grads = backward(out);
    std::vector<double> dq(q.size()), dk(k.size()), dv(v.size());
    const double tolerance = dtype_ == DType::kFloat64 ? 1e-13 : 5e-6;
    for (int64_t b = 0; b < s.batch; ++b) {
      for (int64_t h = 0; h < s.heads; ++h) {
        for (int64_t t = 0; t < s.targets; ++t) check_row(b, h, t, out, tolerance, &dq, &dk, &dv);
      }
    }
    expect_all_near(grads[0], dq, 8 * tolerance);
    expect_all_near(grads[1], dk, 8 * tolerance);
    expect_all_near(grads[2], dv, 8 * tolerance);
  }

  Shape s;
  Buffer q{make_spec({})}, k{make_spec({})}, v{make_spec({})}, dy{make_spec({})};
  std::vector<Buffer> extras;

 private:
  static constexpr double kScale = 0.37;

  static Spec typed(const std::vector<int64_t>& dims, DType dtype) {
    Spec spec = make_spec({}, dtype);
    for (int64_t dim : dims) spec.dims[spec.rank++] = dim;
    return spec;
  }
  Spec spec(const std::vector<int64_t>& dims) const { return typed(dims, dtype_); }

  static int64_t place(const Spec& spec, int64_t b, int64_t h, int64_t t, int64_t source) {
    const int64_t index[4] = {b, h, t, source};
    int64_t at = 0;
    for (int i = 0; i < 4; ++i) at = at * spec.dims[i] + (spec.dims[i] == 1 ? 0 : index[i]);
    return at;
  }
  bool looks(int64_t b, int64_t h, int64_t t, int64_t source) const {
    if (options_.causal && source > t) return false;
    return options_.mask.empty() || value_at(extras.back(), place(extras.back().spec(), b, h, t, source)) != 0;
  }

  // The row of one target and head: compares y and what is kept, and adds to the gradients.
  void check_row(int64_t b, int64_t h, int64_t t, const std::vector<Buffer>& out, double tolerance, std::vector<double>* dq, std::vector<double>* dk,
                 std::vector<double>* dv) const {
    const int64_t kv = h / (s.heads / s.key_heads), row = (b * s.targets + t) * s.heads + h;
    const auto key = [&](int64_t source) { return (b * s.sources + source) * s.key_heads + kv; };
    std::vector<double> p(s.sources);
    double largest = -std::numeric_limits<double>::infinity(), total = 0;
    for (int64_t j = 0; j < s.sources; ++j) {
      double score = 0;
      for (int64_t i = 0; i < s.size; ++i) score += value_at(q, row * s.size + i) * value_at(k, key(j) * s.size + i);
      score *= kScale;
      if (!options_.bias.empty()) score += value_at(extras[0], place(extras[0].spec(), b, h, t, j));
      p[j] = looks(b, h, t, j) ? score : dtype_ == DType::kFloat32 ? -1.7014117e38 : -8.9e307;
      largest = std::max(largest, p[j]);
    }
    for (double& x : p) total += x = std::exp(x - largest);
    for (double& x : p) x /= total;
    const int64_t at = (b * s.heads + h) * s.targets + t;
    if (largest > -1e30) EXPECT_NEAR(value_at(out[1], at), largest * kLog2E, 16 * tolerance);
    EXPECT_NEAR(value_at(out[2], at), total, total * tolerance);
    std::vector<double> dp(s.sources);
    double mean = 0;
    for (int64_t j = 0; j < s.sources; ++j) {
      for (int64_t i = 0; i < s.value_size; ++i) {
        const double dout = value_at(dy, row * s.value_size + i);
        dp[j] += dout * value_at(v, key(j) * s.value_size + i);
        (*dv)[key(j) * s.value_size + i] += p[j] * dout;
      }
      mean += p[j] * dp[j];
    }
    for (int64_t i = 0; i < s.value_size; ++i) {
      double y = 0;
      for (int64_t j = 0; j < s.sources; ++j) y += p[j] * value_at(v, key(j) * s.value_size + i);
      EXPECT_NEAR(value_at(out[0], row * s.value_size + i), y, tolerance);
    }
    for (int64_t j = 0; j < s.sources; ++j) {
      if (!looks(b, h, t, j)) continue;
      const double dscore = p[j] * (dp[j] - mean) * kScale;
      for (int64_t i = 0; i < s.size; ++i) {
        (*dq)[row * s.size + i] += dscore * value_at(k, key(j) * s.size + i);
        (*dk)[key(j) * s.size + i] += dscore * value_at(q, row * s.size + i);
      }
    }
  }

  static void expect_all_near(const Buffer& actual, const std::vector<double>& expected, double tolerance) {
    double scale = 1;
    for (double x : expected) scale = std::max(scale, std::fabs(x));
    for (int64_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(value_at(actual, i), expected[i], tolerance * scale);
  }

  Options options_;
  DType dtype_;
};

void expect_right(const Shape& shape, const Options& options = {}) {
  Problem(shape, options, DType::kFloat32).expect_right();
  Problem(shape, options, DType::kFloat64).expect_right();
}

TEST(attention_of_every_small_size) {
  for (int64_t targets = 1; targets <= 14; ++targets) expect_right({1, targets, 9, 1, 1, 5, 7});
  for (int64_t sources : {1, 2, 15, 16, 17, 63, 64, 65, 100}) expect_right({2, 3, sources, 2, 2, 8, 4});
  for (int64_t size : {1, 15, 16, 17, 32, 48, 64, 70, 130}) expect_right({1, 5, 20, 2, 1, size, size == 17 ? 33 : size});
}

TEST(attention_of_many_blocks) {
  expect_right({1, 150, 600, 1, 1, 8, 8});
  expect_right({1, 70, 1300, 2, 1, 4, 20});
  expect_right({1, 150, 1200, 1, 1, 4, 4}, {true});
  expect_right({1, 600, 30, 1, 1, 4, 4}, {true});
  expect_right({2, 150, 330, 4, 2, 100, 90}, {true, {1, 4, 150, 330}});
}

TEST(attention_with_masks_and_biases) {
  const Shape shape = {2, 7, 21, 4, 2, 6, 5};
  for (const bool causal : {false, true}) {
    expect_right(shape, {causal});
    const std::vector<std::vector<int64_t>> shapes = {{1, 1, 1, 21}, {2, 1, 1, 21}, {2, 4, 7, 21}, {1, 4, 7, 21}, {1, 1, 7, 21}};
    for (const std::vector<int64_t>& dims : shapes) {
      expect_right(shape, {causal, dims, {}});
      expect_right(shape, {causal, {}, dims});
      expect_right(shape, {causal, dims, dims});
    }
  }
}

// Rows that look nowhere weigh all sources alike, and give their queries and keys no gradient, also where causality would skip blocks.
TEST(attention_of_rows_that_look_nowhere) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const bool causal : {false, true}) {
      Problem problem({1, 100, 700, 1, 1, 4, 4}, {causal, {}, {1, 1, 100, 700}}, dtype);
      for (int64_t t : {0, 3, 99}) std::memset(problem.extras[0].as<uint8_t>() + t * 700, 0, 700);
      std::memset(problem.extras[0].as<uint8_t>() + 50 * 700, 0, 51);  // only sources that causality hides
      problem.expect_right();
    }
  }
}

TEST(attention_of_infinite_and_nan_scores) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  Problem problem({1, 4, 700, 1, 1, 2, 3}, {false, {1, 1, 4, 700}, {}}, DType::kFloat32);
  float* bias = problem.extras[0].as<float>();
  for (int64_t j = 0; j < 650; ++j) bias[j] = -inf;         // the first block and more weighs nothing
  for (int64_t j = 0; j < 700; ++j) bias[700 + j] = -inf;   // nothing weighs anything
  bias[2 * 700 + 5] = nan;
  bias[3 * 700 + 699] = -inf;
  const auto out = problem.forward();
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT(std::isfinite(out[0].at<float>(i)));
    EXPECT(std::isnan(out[0].at<float>(3 + i)));
    EXPECT(std::isnan(out[0].at<float>(6 + i)));
    EXPECT(std::isfinite(out[0].at<float>(9 + i)));
  }
  EXPECT(std::fabs(out[2].at<float>(0)) <= 50);
}

// A sample alone and in a batch has the same bits, and so does a head.
TEST(attention_does_not_depend_on_neighbours) {
  const Problem all({3, 40, 90, 2, 2, 16, 16}, {true}, DType::kFloat32);
  const auto out = all.forward();
  const auto grads = all.backward(out);
  Problem one({1, 40, 90, 2, 2, 16, 16}, {true}, DType::kFloat32);
  const auto third = [](const Buffer& from, const Buffer& to) { std::memcpy(to.data(), from.as<float>() + 2 * to.size(), to.spec().bytes()); };
  third(all.q, one.q), third(all.k, one.k), third(all.v, one.v), third(all.dy, one.dy);
  const auto alone = one.forward();
  const auto alone_grads = one.backward(alone);
  for (int i = 0; i < 3; ++i) {
    EXPECT(std::memcmp(alone[i].data(), out[i].as<float>() + 2 * alone[i].size(), alone[i].spec().bytes()) == 0);
    EXPECT(std::memcmp(alone_grads[i].data(), grads[i].as<float>() + 2 * alone_grads[i].size(), alone_grads[i].spec().bytes()) == 0);
  }
}

TEST(attention_of_nothing) {
  for (const Shape& shape : std::vector<Shape>{{0, 3, 4, 2, 1, 5, 6}, {2, 0, 4, 2, 1, 5, 6}, {2, 3, 4, 0, 1, 5, 6}}) expect_right(shape);
}

TEST(attention_refuses_what_does_not_fit) {
  const Buffer q = random_buffer({2, 3, 4, 5}), k = random_buffer({2, 6, 2, 5}), v = random_buffer({2, 6, 2, 7}), odd = random_buffer({2, 6, 3, 7});
  const std::vector<Spec> specs = {make_spec({2, 3, 4, 7}), make_spec({2, 4, 3}), make_spec({2, 4, 3})};
  const Attributes scale = {{"scale", 1.0}};
  EXPECT_THROWS(run_kernel("attention", {q, k, odd}, specs, scale), std::invalid_argument, "multiple");
  EXPECT_THROWS(run_kernel("attention", {q, random_buffer({2, 6, 2, 4}), v}, specs, scale), std::invalid_argument, "k must be float32 [2, 6, 2, 5]");
  EXPECT_THROWS(run_kernel("attention", {q, k, v}, {specs[0], specs[1], make_spec({2, 3, 4})}, scale), std::invalid_argument, "total");
  const Attributes masked = {{"scale", 1.0}, {"mask", int64_t{1}}};
  EXPECT_THROWS(run_kernel("attention", {q, k, v}, specs, masked), std::invalid_argument, "one more input");
  EXPECT_THROWS(run_kernel("attention", {q, k, v, random_buffer({1, 1, 1, 6})}, specs, masked), std::invalid_argument, "mask must be bool");
  const Buffer odd_mask = random_buffer(make_spec({1, 1, 2, 6}, DType::kBool));
  EXPECT_THROWS(run_kernel("attention", {q, k, v, odd_mask}, specs, masked), std::invalid_argument, "broadcast");
}

}  // namespace
}  // namespace nnlite::test
