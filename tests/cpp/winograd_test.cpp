#include <algorithm>

#include "conv_reference.h"
#include "kernels/winograd_plan.h"

namespace nnlite::test {
namespace {

// Root of the mean square of the error over that of the expected values.
double relative_error(const Buffer& result, const Expected& expected) {
  double error = 0, norm = 0;
  for (int64_t i = 0; i < result.size(); ++i) {
    const double e = value_at(result, i) - expected.value[i];
    error += e * e;
    norm += expected.value[i] * expected.value[i];
  }
  return std::sqrt(error / std::max(norm, 1e-30));
}

void expect_accurate(const ConvCase& p, const char* what, const Buffer& result, const Expected& expected, double most) {
  const double error = relative_error(result, expected);
  if (error <= most) return;
  report_failure(__FILE__, __LINE__, std::string(what) + " of " + p.text() + ": relative error " + std::to_string(error * 1e6) + "e-6");
}

ConvCase winograd_case(int64_t n, int64_t h, int64_t w, int64_t c, int64_t k, int64_t taps, std::initializer_list<int64_t> padding) {
  ConvCase p = {n, h, w, c, k, taps, taps, 1, 1, 1, 1, 1, {0, 0, 0, 0}};
  std::copy(padding.begin(), padding.end(), p.padding);
  p.exact = false;
  return p;
}

ConvCase line_case(int64_t n, int64_t length, int64_t c, int64_t k, int64_t taps) {
  ConvCase p = winograd_case(n, 1, length, c, k, taps, {0, 0, taps / 2, taps / 2});
  p.kh = 1;
  return p;
}

bool is_winograd(const ConvCase& p) {
  return winograd_pays({p.dtype, p.n, p.c, p.k, p.groups,
                        {p.h, p.oh(), p.kh, p.sh, p.dh, p.padding[0]},
                        {p.w, p.ow(), p.kw, p.sw, p.dw, p.padding[2]}});
}

void expect_all_passes(const ConvCase& p) {
  const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2), dy = random_buffer(p.y(), 3);
  expect_accurate(p, "conv2d", run_every_way("conv2d", {x, w}, {p.y()}, p.attributes())[0], expected_forward(p, x, w), 2e-6);
  expect_accurate(p, "conv2d_input_grad", run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0], expected_input_grad(p, dy, w),
                  2e-6);
  expect_accurate(p, "conv2d_kernel_grad", run_every_way("conv2d_kernel_grad", {x, dy}, {p.kernel()}, p.attributes())[0],
                  expected_kernel_grad(p, x, dy), 4e-6);
}

// Every height and width up to 18, with padding of all kinds and channels and filters that fill vectors, panels and rows in part.
TEST(winograd_matches_plain_loops) {
  Chooser choose(1);
  int taken = 0;
  for (int64_t size = 1; size <= 18; ++size) {
    for (int i = 0; i < 6; ++i) {
      const int64_t taps = i == 5 ? 5 : 3, n = choose.between(1, 3), other = choose.between(1, 18);
      const int64_t c = choose.of({16, 17, 20, 32, 35, 64}), k = choose.of({16, 19, 32, 45, 64, 70, 80});
      ConvCase p = winograd_case(n, size, other, c, k, taps, {0, 0, 0, 0});
      for (int64_t& padding : p.padding) padding = choose.between(0, taps - 1);
      if (i % 2) std::swap(p.h, p.w);
      if (p.oh() == 0 || p.ow() == 0) continue;
      taken += is_winograd(p);
      expect_all_passes(p);
    }
  }
  EXPECT(taken >= 40);
}

// Kernels of one row or one column: lines of all lengths, in images of several rows.
TEST(winograd_lines_match_plain_loops) {
  Chooser choose(2);
  int taken = 0;  // the rest is too short or too narrow
  for (int64_t length = 3; length <= 28; ++length) {
    for (int i = 0; i < 4; ++i) {
      const int64_t taps = choose.of({3, 5}), n = choose.between(1, 3), others = choose.between(1, 3);
      const int64_t c = choose.of({36, 64, 70}), k = choose.of({45, 70, 128, 144});
      ConvCase p = winograd_case(n, others, length, c, k, taps, {0, 0, 0, 0});
      p.kh = 1;
      for (int side : {2, 3}) p.padding[side] = choose.between(0, taps - 1);
      if (i % 2) {
        std::swap(p.h, p.w);
        std::swap(p.kh, p.kw);
        std::swap(p.padding[0], p.padding[2]);
        std::swap(p.padding[1], p.padding[3]);
      }
      if (i == 3) p.padding[2] = p.padding[3] = 1;  // rows of padding beside the lines
      if (p.oh() == 0 || p.ow() == 0) continue;
      taken += is_winograd(p);
      expect_all_passes(p);
    }
  }
  EXPECT(taken >= 30);
}

// More padding than taps: an input gradient then leaves out the first rows of dy.
TEST(winograd_crops) {
  for (int64_t pad : {3, 4, 6}) {
    const ConvCase p = winograd_case(2, 20, 21, 16, 32, 3, {pad, 0, 1, pad});
    if (!is_winograd(p)) report_failure(__FILE__, __LINE__, "not taken: " + p.text());
    expect_all_passes(p);
  }
}

// Sizes that are cut into many blocks, panels, pieces and ranges.
TEST(winograd_cuts_large_work) {
  for (const ConvCase& p : {winograd_case(6, 26, 30, 32, 64, 3, {0, 0, 0, 0}), winograd_case(2, 14, 14, 150, 200, 3, {1, 1, 1, 1}),
                            winograd_case(1, 8, 200, 16, 144, 3, {1, 1, 1, 1}), winograd_case(60, 5, 5, 64, 64, 3, {0, 0, 0, 0}),
                            winograd_case(3, 20, 22, 40, 70, 5, {2, 2, 2, 2}), line_case(3, 1000, 64, 160, 3),
                            winograd_case(2, 8, 8, 300, 400, 3, {1, 1, 1, 1})}) {
    if (!is_winograd(p)) report_failure(__FILE__, __LINE__, "not taken: " + p.text());
    expect_all_passes(p);
  }
}

TEST(winograd_gives_an_image_the_same_bits_alone_and_in_a_batch) {
  for (const ConvCase& p : {winograd_case(7, 12, 13, 20, 70, 3, {1, 1, 1, 1}), winograd_case(40, 8, 8, 32, 48, 3, {1, 1, 1, 1}),
                            winograd_case(5, 11, 10, 32, 48, 5, {2, 2, 2, 2}), line_case(5, 50, 32, 64, 3), line_case(5, 50, 128, 128, 5),
                            winograd_case(10, 8, 8, 300, 400, 3, {1, 1, 1, 1})}) {
    if (!is_winograd(p)) report_failure(__FILE__, __LINE__, "not taken: " + p.text());
    ConvCase one = p;
    one.n = 1;
    const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2), dy = random_buffer(p.y(), 3);
    const Buffer y = run_kernel("conv2d", {x, w}, {p.y()}, p.attributes())[0];
    const Buffer dx = run_kernel("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0];
    const auto image = [](const Buffer& batch, int64_t n) {
      Spec spec = batch.spec();
      spec.dims[0] = 1;
      Buffer result(spec);
      std::memcpy(result.data(), batch.as<char>() + n * spec.bytes(), spec.bytes());
      return result;
    };
    for (int64_t n = 0; n < p.n; ++n) {
      EXPECT(image(y, n).same_bytes(run_kernel("conv2d", {image(x, n), w}, {one.y()}, one.attributes())[0]));
      EXPECT(image(dx, n).same_bytes(run_kernel("conv2d_input_grad", {image(dy, n), w}, {one.x()}, one.attributes())[0]));
    }
  }
}

TEST(winograd_gives_the_same_bits_for_any_number_of_threads) {
  const ConvCase p = winograd_case(9, 15, 14, 32, 96, 3, {1, 1, 1, 1});
  const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2), dy = random_buffer(p.y(), 3);
  for (int threads : {2, 3, 4}) {
    const auto expect_same = [&](const char* kernel, const std::vector<Buffer>& inputs, const Spec& result) {
      const Buffer alone = run_kernel(kernel, inputs, {result}, p.attributes())[0];
      EXPECT(alone.same_bytes(run_kernel(kernel, inputs, {result}, p.attributes(), active_isa(), Order::kTeam, threads)[0]));
    };
    expect_same("conv2d", {x, w}, p.y());
    expect_same("conv2d_input_grad", {dy, w}, p.x());
    expect_same("conv2d_kernel_grad", {x, dy}, p.kernel());
  }
}

TEST(winograd_packed_weights_give_the_same_bits) {
  for (const ConvCase& p : {winograd_case(2, 10, 9, 17, 70, 3, {1, 1, 1, 1}), winograd_case(2, 10, 9, 32, 32, 5, {2, 2, 2, 2}),
                            line_case(3, 40, 32, 70, 3)}) {
    if (!is_winograd(p)) report_failure(__FILE__, __LINE__, "not taken: " + p.text());
    const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2);
    for (Isa isa : runnable_isas()) {
      const Buffer plain = run_kernel("conv2d", {x, w}, {p.y()}, p.attributes(), isa)[0];
      const Spec spec = make_spec({winograd_points(p.kh, p.kw) * winograd_packed_point(p.c, p.k)});
      const Buffer packed = run_kernel("winograd_pack", {w}, {spec}, {}, isa)[0];
      Attributes attributes = p.attributes();
      attributes["packed"] = attributes["winograd"] = int64_t{1};
      attributes["kernel_shape"] = std::vector<int64_t>{p.kh, p.kw, p.c, p.k};
      EXPECT(plain.same_bytes(run_kernel("conv2d", {x, packed}, {p.y()}, attributes, isa)[0]));
    }
  }
}

TEST(winograd_applies_bias_and_activation) {
  for (int64_t taps : {3, 5}) {
    const ConvCase p = winograd_case(2, 11, 10, 32, 40, taps, {1, 1, 1, 1});
    const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2, -0.05, 0.05), bias = random_buffer({p.k}, 3);
    const Expected sums = expected_forward(p, x, w);
    for (const char* activation : {"none", "relu", "sigmoid", "tanh"}) {
      for (int64_t with_bias : {0, 1}) {
        Attributes attributes = p.attributes();
        attributes["bias"] = with_bias;
        attributes["activation"] = std::string(activation);
        const std::vector<Buffer> inputs = with_bias ? std::vector<Buffer>{x, w, bias} : std::vector<Buffer>{x, w};
        const Buffer y = run_every_way("conv2d", inputs, {p.y()}, attributes)[0];
        for (int64_t j = 0; j < y.size(); ++j) {
          const double sum = sums.value[j] + (with_bias ? bias.at<float>(j % p.k) : 0.0);
          const char kind = activation[0];
          const double expected = kind == 'r' ? std::fmax(sum, 0.0) : kind == 's' ? 1 / (1 + std::exp(-sum)) : kind == 't' ? std::tanh(sum) : sum;
          EXPECT_NEAR(y.at<float>(j), expected, 1e-5);
        }
      }
    }
  }
}

// With attribute `exact` the sums are those of the direct way, the same as one by one.
TEST(winograd_is_left_out_on_demand) {
  const ConvCase p = winograd_case(2, 12, 12, 32, 32, 3, {1, 1, 1, 1});
  const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2), dy = random_buffer(p.y(), 3);
  x.at<float>(0) = NAN;  // a Winograd tile spreads it over 4 x 4 outputs, the direct way over the 2 x 2 that read it
  Attributes exact = p.attributes();
  exact["exact"] = int64_t{1};
  const auto count_nans = [](const Buffer& y, int64_t step) {
    int64_t count = 0;
    for (int64_t i = 0; i < y.size(); i += step) count += std::isnan(y.at<float>(i));
    return count;
  };
  EXPECT_EQ(count_nans(run_kernel("conv2d", {x, w}, {p.y()}, p.attributes())[0], p.k), 16);
  EXPECT_EQ(count_nans(run_kernel("conv2d", {x, w}, {p.y()}, exact)[0], p.k), 4);
  dy.at<float>(0) = NAN;
  EXPECT_EQ(count_nans(run_kernel("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0], p.c), 16);
  EXPECT_EQ(count_nans(run_kernel("conv2d_input_grad", {dy, w}, {p.x()}, exact)[0], p.c), 4);
  const Buffer fine = random_buffer(p.x(), 1);
  EXPECT_EQ(count_nans(run_kernel("conv2d_kernel_grad", {fine, dy}, {p.kernel()}, p.attributes())[0], p.c * p.k), 9);
  EXPECT_EQ(count_nans(run_kernel("conv2d_kernel_grad", {fine, dy}, {p.kernel()}, exact)[0], p.c * p.k), 4);
}

TEST(winograd_serves_only_what_it_speeds_up) {
  const ConvCase p = winograd_case(1, 28, 28, 64, 64, 3, {1, 1, 1, 1});
  if (!is_winograd(p)) report_failure(__FILE__, __LINE__, "not taken: " + p.text());
  const auto expect_direct = [&](auto change) {
    ConvCase other = p;
    change(other);
    EXPECT(!is_winograd(other));
  };
  expect_direct([](ConvCase& c) { c.sh = 2; });
  expect_direct([](ConvCase& c) { c.dw = 2; });
  expect_direct([](ConvCase& c) { c.groups = 2; });
  expect_direct([](ConvCase& c) { c.kw = 2; });
  expect_direct([](ConvCase& c) { c.kh = c.kw = 7; });
  expect_direct([](ConvCase& c) { c.c = 3; });
  expect_direct([](ConvCase& c) { c.dtype = DType::kFloat64; });
  expect_direct([](ConvCase& c) { c.h = c.w = 1; });
}

TEST(winograd_explains_bad_sizes) {
  const Buffer w = random_buffer({3, 3, 16, 16});
  EXPECT_THROWS(run_kernel("winograd_pack", {w}, {make_spec({36 * 16 * 17 + 1})}), std::invalid_argument,
                "must have 9792 elements of float32, got 9793");
  EXPECT_THROWS(run_kernel("winograd_pack", {random_buffer({3, 2, 16, 16})}, {make_spec({1})}), std::invalid_argument,
                "3 or 5 rows and columns, or one of both 1, got 3 x 2");
  const Buffer x = random_buffer({1, 8, 8, 16});
  const Attributes attributes = {{"padding", std::vector<int64_t>{1, 1, 1, 1}}, {"packed", int64_t{1}}, {"winograd", int64_t{1}},
                                 {"kernel_shape", std::vector<int64_t>{3, 3, 16, 16}}};
  EXPECT_THROWS(run_kernel("conv2d", {x, random_buffer({100})}, {make_spec({1, 8, 8, 16})}, attributes), std::invalid_argument,
                "must have 9792 elements of float32, got 100");
}

}  // namespace
}  // namespace nnlite::test
