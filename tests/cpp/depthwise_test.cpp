#include "conv_reference.h"

namespace nnlite::test {
namespace {

ConvCase random_case(Chooser& choose) {
  ConvCase p;
  p.n = choose.of({0, 1, 1, 2, 3, 6});
  p.h = choose.between(1, 13);
  p.w = choose.between(1, 13);
  p.kh = choose.of({1, 2, 3, 3, 3, 5, 7});
  p.kw = choose.of({1, 2, 3, 3, 3, 5, 7});
  p.sh = choose.of({1, 1, 2, 3});
  p.sw = choose.of({1, 1, 2, 3});
  p.dh = choose.of({1, 1, 1, 2, 3});
  p.dw = choose.of({1, 1, 1, 2, 3});
  p.groups = 1;
  p.c = choose.of({1, 2, 3, 8, 16, 19, 32, 66, 130});
  p.k = p.c * choose.of({1, 1, 1, 2, 3});
  for (int64_t& side : p.padding) side = choose.of({0, 0, 1, 1, 2, 4, 7});
  p.dtype = choose.between(0, 3) ? DType::kFloat32 : DType::kFloat64;
  return p;
}

void expect_close(const ConvCase& p, const char* what, const Buffer& result, const Expected& expected) {
  if (!close_to(result, expected)) report_failure(__FILE__, __LINE__, std::string(what) + " of depthwise " + p.text());
}

void expect_all_close(const ConvCase& p, uint64_t seed) {
  const Buffer x = random_buffer(p.x(), seed), w = random_buffer(p.depthwise_kernel(), seed + 1000), dy = random_buffer(p.y(), seed + 2000);
  expect_close(p, "forward", run_every_way("depthwise_conv2d", {x, w}, {p.y()}, p.attributes())[0], expected_forward(p, x, w, true));
  expect_close(p, "input gradient", run_every_way("depthwise_conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0],
               expected_input_grad(p, dy, w, true));
  expect_close(p, "kernel gradient", run_every_way("depthwise_conv2d_kernel_grad", {x, dy}, {p.depthwise_kernel()}, p.attributes())[0],
               expected_kernel_grad(p, x, dy, true));
}

TEST(depthwise_conv2d_and_gradients_match_plain_loops) {
  Chooser choose(7);
  for (int i = 0; i < 300; ++i) expect_all_close(random_case(choose), i);
}

// Sizes that are cut into many chunks, blocks and partial sums.
TEST(depthwise_conv2d_cuts_large_work) {
  expect_all_close({8, 30, 29, 100, 100, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}}, 1);
  expect_all_close({3, 41, 40, 70, 140, 3, 3, 2, 2, 1, 1, 1, {0, 1, 0, 1}}, 2);
  expect_all_close({1, 1, 2000, 64, 64, 1, 9, 1, 1, 1, 1, 1, {0, 0, 4, 4}}, 3);
  expect_all_close({1, 90, 90, 17, 17, 5, 5, 1, 1, 2, 2, 1, {4, 4, 4, 4}, DType::kFloat64}, 4);
}

// Images that are fetched ahead of their tiles.
TEST(depthwise_conv2d_of_large_images) {
  expect_all_close({1, 100, 170, 64, 64, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}}, 5);
  expect_all_close({2, 101, 87, 64, 64, 3, 3, 2, 2, 1, 1, 1, {1, 1, 0, 1}}, 6);
  expect_all_close({33, 15, 22, 100, 100, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}}, 7);
}

// Results that are written past the caches: the same bits as an image's alone, which are not.
TEST(depthwise_conv2d_gives_large_batches_the_same_bits) {
  for (const int64_t stride : {1, 2}) {
    const ConvCase p = {2, 191, 190, 64, 64, 3, 3, stride, stride, 1, 1, 1, {1, 1, 0, 1}};
    ConvCase one = p;
    one.n = 1;
    EXPECT(p.x().bytes() > 16 << 20 && one.x().bytes() < 16 << 20);
    const Buffer x = random_buffer(p.x(), 1), dy = random_buffer(p.y(), 2), w = random_buffer(p.depthwise_kernel(), 3);
    const Buffer y = run_every_way("depthwise_conv2d", {x, w}, {p.y()}, p.attributes())[0];
    const Buffer dx = run_every_way("depthwise_conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0];
    for (int64_t n = 0; n < 2; ++n) {
      Buffer image(one.x()), gradient(one.y());
      std::memcpy(image.data(), x.as<char>() + n * one.x().bytes(), one.x().bytes());
      std::memcpy(gradient.data(), dy.as<char>() + n * one.y().bytes(), one.y().bytes());
      const Buffer y_alone = run_kernel("depthwise_conv2d", {image, w}, {one.y()}, one.attributes())[0];
      const Buffer dx_alone = run_kernel("depthwise_conv2d_input_grad", {gradient, w}, {one.x()}, one.attributes())[0];
      EXPECT(std::memcmp(y_alone.data(), y.as<char>() + n * one.y().bytes(), one.y().bytes()) == 0);
      EXPECT(std::memcmp(dx_alone.data(), dx.as<char>() + n * one.x().bytes(), one.x().bytes()) == 0);
    }
  }
}

// 3 x 3 taps at stride 2 have tiles of their own, which treat even and odd padding and both ends of an axis differently.
TEST(depthwise_conv2d_at_stride_2) {
  Chooser choose(10);
  for (int i = 0; i < 120; ++i) {
    const int64_t c = choose.of({1, 5, 16, 17, 40, 72});
    ConvCase p = {choose.of({1, 2}), choose.between(1, 21), choose.between(1, 21), c, c * choose.of({1, 1, 2, 3, 4, 5}), 3, 3, 2, 2, 1, 1, 1,
                  {choose.of({0, 1, 1, 2, 3}), choose.of({0, 1, 1, 2, 3}), choose.of({0, 1, 1, 2, 3}), choose.of({0, 1, 1, 2, 3})}};
    expect_all_close(p, i);
  }
}

// 3 x 3 taps at stride 1: every size and every combination of edges that miss a tap, two or none.
TEST(depthwise_conv2d_at_edges) {
  Chooser choose(11);
  for (int64_t h = 1; h <= 12; ++h) {
    for (int64_t w = 1; w <= 12; ++w) {
      const int64_t c = choose.of({1, 16, 17, 40});
      ConvCase p = {choose.of({1, 2}), h, w, c, c * choose.of({1, 1, 2}), 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}};
      if (choose.between(0, 2) == 0) {
        for (int64_t& side : p.padding) side = choose.of({0, 1, 1, 2});
      }
      expect_all_close(p, h * 100 + w);
    }
  }
}

// The same for the forward pass: tap (0, 0) lies in the padding for the first row and column alone, tap (2, 2) for the last.
TEST(depthwise_conv2d_forward_never_multiplies_padding) {
  for (const int64_t stride : {1, 2}) {
    for (const int64_t last : {0, 1}) {
      const ConvCase p = {1, 9, 11, 16, 16, 3, 3, stride, stride, 1, 1, 1, {1, 1, 1, 1}};
      const Buffer x = random_buffer(p.x(), 1, 0.5, 1.0), w = random_buffer(p.depthwise_kernel(), 2);
      for (int64_t k = 0; k < 16; ++k) w.at<float>(last * 8 * 16 + k) = INFINITY;
      const Buffer y = run_every_way("depthwise_conv2d", {x, w}, {p.y()}, p.attributes())[0];
      for (int64_t row = 0; row < p.oh(); ++row) {
        for (int64_t col = 0; col < p.ow(); ++col) {
          const bool padded = last ? row == p.oh() - 1 || col == p.ow() - 1 : row == 0 || col == 0;
          const float value = y.at<float>((row * p.ow() + col) * 16);
          EXPECT(padded ? std::isfinite(value) : std::isinf(value));
        }
      }
    }
  }
}

// And for the kernel gradient: what the corners of dy meet in the padding takes no part.
TEST(depthwise_conv2d_kernel_grad_never_multiplies_padding) {
  for (const int64_t stride : {1, 2}) {
    const ConvCase p = {2, 9, 11, 16, 16, 3, 3, stride, stride, 1, 1, 1, {1, 1, 1, 1}};
    const Buffer x = random_buffer(p.x(), 1, 0.5, 1.0), dy = random_buffer(p.y(), 2, 0.5, 1.0);
    const int64_t last = p.oh() * p.ow() - 1;
    for (int64_t k = 0; k < 16; ++k) dy.at<float>(k) = dy.at<float>(last * 16 + k) = INFINITY;  // of the first image
    const Buffer dw = run_every_way("depthwise_conv2d_kernel_grad", {x, dy}, {p.depthwise_kernel()}, p.attributes())[0];
    for (int64_t tap = 0; tap < 9; ++tap) {
      const bool first = tap / 3 > 0 && tap % 3 > 0, second = tap / 3 < 2 && tap % 3 < 2;
      EXPECT_EQ(std::isinf(dw.at<float>(tap * 16)), first || second);
      EXPECT(!std::isnan(dw.at<float>(tap * 16)));
    }
  }
}

// A tap in the padding takes no part, not even in the input gradient at stride 2: an infinite weight is met only where there is a pixel.
TEST(depthwise_conv2d_never_multiplies_padding) {
  for (const int64_t pad : {0, 1}) {
    const ConvCase p = {1, 8, 8, 16, 16, 3, 3, 2, 2, 1, 1, 1, {pad, 1, pad, 1}};
    const Buffer w = random_buffer(p.depthwise_kernel(), 2), ones = random_buffer(p.depthwise_kernel(), 2, 1.0, 1.0);
    for (int64_t k = 0; k < 16; ++k) w.at<float>(k) = INFINITY;  // tap (0, 0)
    const Buffer dy = random_buffer(p.y(), 3, 0.5, 1.0);
    const Buffer dx = run_every_way("depthwise_conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0];
    const Buffer reached = run_kernel("depthwise_conv2d_input_grad", {dy, ones}, {p.x()}, p.attributes())[0];
    for (int64_t pixel = 0; pixel < 64; ++pixel) {
      const int64_t row = pixel / 8 + pad, col = pixel % 8 + pad;
      const bool meets = row % 2 == 0 && col % 2 == 0 && row / 2 < p.oh() && col / 2 < p.ow();
      EXPECT_EQ(std::isinf(dx.at<float>(pixel * 16)), meets);
      EXPECT(std::isfinite(reached.at<float>(pixel * 16)) && !std::isnan(dx.at<float>(pixel * 16)));
    }
  }
}

TEST(depthwise_conv2d_gives_an_image_the_same_bits_alone_and_in_a_batch) {
  Chooser choose(8);
  for (int i = 0; i < 60; ++i) {
    ConvCase p = random_case(choose);
    p.n = 3;
    ConvCase one = p;
    one.n = 1;
    const Buffer x = random_buffer(p.x(), i), w = random_buffer(p.depthwise_kernel(), i + 1000);
    const Buffer y = run_kernel("depthwise_conv2d", {x, w}, {p.y()}, p.attributes())[0];
    for (int64_t n = 0; n < p.n; ++n) {
      Buffer image(one.x());
      std::memcpy(image.data(), x.as<char>() + n * one.x().bytes(), one.x().bytes());
      const Buffer alone = run_kernel("depthwise_conv2d", {image, w}, {one.y()}, one.attributes())[0];
      EXPECT(std::memcmp(alone.data(), y.as<char>() + n * one.y().bytes(), one.y().bytes()) == 0);
    }
  }
}

TEST(depthwise_conv2d_applies_bias_and_activation) {
  Chooser choose(9);
  for (int i = 0; i < 40; ++i) {
    const ConvCase p = random_case(choose);
    const Buffer x = random_buffer(p.x(), i), w = random_buffer(p.depthwise_kernel(), i + 1000);
    const Buffer bias = random_buffer(make_spec({p.k}, p.dtype), i + 2000);
    const Expected sums = expected_forward(p, x, w, true);
    for (const char* activation : {"none", "relu", "sigmoid", "tanh"}) {
      Attributes attributes = p.attributes();
      attributes["bias"] = int64_t{1};
      attributes["activation"] = std::string(activation);
      const Buffer y = run_every_way("depthwise_conv2d", {x, w, bias}, {p.y()}, attributes)[0];
      for (int64_t j = 0; j < y.size(); ++j) {
        const double sum = sums.value[j] + value_at(bias, j % p.k);
        const char kind = activation[0];
        const double expected = kind == 'r' ? std::fmax(sum, 0.0) : kind == 's' ? 1 / (1 + std::exp(-sum)) : kind == 't' ? std::tanh(sum) : sum;
        EXPECT_NEAR(value_at(y, j), expected, 1e-6 * (sums.magnitude[j] + 1));
      }
    }
  }
}

TEST(depthwise_conv2d_explains_bad_sizes) {
  const Attributes attributes = {{"padding", std::vector<int64_t>{0, 0, 0, 0}}};
  const auto run = [&](const Spec& x, const Spec& w, const Spec& y) {
    run_kernel("depthwise_conv2d", {random_buffer(x), random_buffer(w)}, {y}, attributes);
  };
  const Spec x = make_spec({1, 5, 5, 4}), y = make_spec({1, 3, 3, 8});
  EXPECT_THROWS(run(x, make_spec({3, 3, 4, 1}), y), std::invalid_argument, "turns 4 channels into 4, but the images have 4 and 8");
  EXPECT_THROWS(run(x, make_spec({3, 3, 8, 1}), y), std::invalid_argument, "turns 8 channels into 8");
  EXPECT_THROWS(run(x, make_spec({2, 3, 4, 2}), y), std::invalid_argument, "give 4 output rows, got 3");
}

}  // namespace
}  // namespace nnlite::test
