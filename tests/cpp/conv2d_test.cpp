#include "conv_reference.h"

namespace nnlite::test {
namespace {

ConvCase random_case(Chooser& choose) {
  ConvCase p;
  p.n = choose.of({0, 1, 1, 2, 3, 7});
  p.h = choose.between(1, 11);
  p.w = choose.between(1, 11);
  p.kh = choose.of({1, 2, 3, 3, 5});
  p.kw = choose.of({1, 2, 3, 3, 5});
  p.sh = choose.of({1, 1, 2, 3});
  p.sw = choose.of({1, 1, 2, 3});
  p.dh = choose.of({1, 1, 1, 2, 3});
  p.dw = choose.of({1, 1, 1, 2, 3});
  p.groups = choose.of({1, 1, 1, 2, 3});
  p.c = p.groups * choose.of({1, 2, 3, 5, 8, 16, 17, 26});
  p.k = p.groups * choose.of({1, 3, 7, 8, 16, 17, 32, 45, 64, 70});
  for (int64_t& side : p.padding) side = choose.of({0, 0, 1, 1, 2, 4, 7});
  p.dtype = choose.between(0, 3) ? DType::kFloat32 : DType::kFloat64;
  return p;
}

void expect_close(const ConvCase& p, const char* what, const Buffer& result, const Expected& expected) {
  if (!close_to(result, expected)) report_failure(__FILE__, __LINE__, std::string(what) + " of " + p.text());
}

// A whole image of a batch as a batch of one.
Buffer image_of(const Buffer& batch, int64_t n) {
  Spec spec = batch.spec();
  spec.dims[0] = 1;
  Buffer image(spec);
  std::memcpy(image.data(), batch.as<char>() + n * spec.bytes(), spec.bytes());
  return image;
}

TEST(conv2d_matches_plain_loops) {
  Chooser choose(1);
  for (int i = 0; i < 250; ++i) {
    const ConvCase p = random_case(choose);
    const Buffer x = random_buffer(p.x(), i), w = random_buffer(p.kernel(), i + 1000);
    expect_close(p, "conv2d", run_every_way("conv2d", {x, w}, {p.y()}, p.attributes())[0], expected_forward(p, x, w));
  }
}

TEST(conv2d_input_grad_matches_plain_loops) {
  Chooser choose(2);
  for (int i = 0; i < 250; ++i) {
    const ConvCase p = random_case(choose);
    const Buffer dy = random_buffer(p.y(), i), w = random_buffer(p.kernel(), i + 1000);
    expect_close(p, "conv2d_input_grad", run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0], expected_input_grad(p, dy, w));
  }
}

TEST(conv2d_kernel_grad_matches_plain_loops) {
  Chooser choose(3);
  for (int i = 0; i < 250; ++i) {
    const ConvCase p = random_case(choose);
    const Buffer x = random_buffer(p.x(), i), dy = random_buffer(p.y(), i + 1000);
    expect_close(p, "conv2d_kernel_grad", run_every_way("conv2d_kernel_grad", {x, dy}, {p.kernel()}, p.attributes())[0],
                 expected_kernel_grad(p, x, dy));
  }
}

// Sizes that are cut into many chunks, blocks and partial sums.
TEST(conv2d_cuts_large_work) {
  const ConvCase cases[] = {
      {6, 28, 28, 1, 32, 3, 3, 1, 1, 1, 1, 1, {0, 0, 0, 0}},  {5, 32, 32, 3, 16, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}},
      {9, 16, 16, 16, 16, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}}, {2, 17, 19, 64, 64, 3, 3, 2, 2, 1, 1, 1, {0, 1, 0, 1}},
      {1, 14, 300, 20, 80, 1, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}}, {1, 1, 900, 8, 130, 1, 5, 1, 1, 1, 2, 1, {0, 0, 4, 4}},
      {3, 20, 20, 64, 128, 3, 3, 1, 1, 1, 1, 2, {1, 1, 1, 1}}, {3, 12, 13, 1, 64, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}},
      {2, 9, 10, 1, 16, 3, 3, 2, 2, 1, 1, 1, {0, 1, 0, 1}},    {70, 5, 5, 64, 64, 3, 3, 1, 1, 1, 1, 1, {0, 0, 0, 0}},
      {3, 14, 15, 70, 130, 1, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}}, {4, 25, 33, 49, 290, 1, 1, 2, 2, 1, 1, 1, {1, 2, 1, 0}},
      {1, 30, 31, 120, 200, 1, 1, 1, 1, 1, 1, 2, {0, 0, 0, 0}}, {14, 7, 7, 200, 100, 1, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}}};
  for (const ConvCase& p : cases) {
    const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2), dy = random_buffer(p.y(), 3);
    expect_close(p, "conv2d", run_every_way("conv2d", {x, w}, {p.y()}, p.attributes())[0], expected_forward(p, x, w));
    expect_close(p, "conv2d_input_grad", run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0], expected_input_grad(p, dy, w));
    expect_close(p, "conv2d_kernel_grad", run_every_way("conv2d_kernel_grad", {x, dy}, {p.kernel()}, p.attributes())[0],
                 expected_kernel_grad(p, x, dy));
  }
}

TEST(conv2d_gives_an_image_the_same_bits_alone_and_in_a_batch) {
  Chooser choose(4);
  for (int i = 0; i < 60; ++i) {
    ConvCase p = random_case(choose);
    p.n = 5;
    ConvCase one = p;
    one.n = 1;
    const Buffer x = random_buffer(p.x(), i), w = random_buffer(p.kernel(), i + 1000), dy = random_buffer(p.y(), i + 2000);
    const Buffer y = run_kernel("conv2d", {x, w}, {p.y()}, p.attributes())[0];
    const Buffer dx = run_kernel("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0];
    for (int64_t n = 0; n < p.n; ++n) {
      EXPECT(image_of(y, n).same_bytes(run_kernel("conv2d", {image_of(x, n), w}, {one.y()}, one.attributes())[0]));
      EXPECT(image_of(dx, n).same_bytes(run_kernel("conv2d_input_grad", {image_of(dy, n), w}, {one.x()}, one.attributes())[0]));
    }
  }
}

TEST(conv2d_packed_weights_give_the_same_bits) {
  Chooser choose(5);
  for (int i = 0; i < 60; ++i) {
    const ConvCase p = random_case(choose);
    const Buffer x = random_buffer(p.x(), i), w = random_buffer(p.kernel(), i + 1000);
    const int64_t columns = p.k / p.groups, padded = (columns + 15) / 16 * 16;
    const Spec packed_spec = make_spec({p.groups * p.kh * p.kw * (p.c / p.groups) * padded}, p.dtype);
    for (Isa isa : runnable_isas()) {
      const Buffer plain = run_kernel("conv2d", {x, w}, {p.y()}, p.attributes(), isa)[0];
      const Buffer packed = run_kernel("conv2d_pack", {w}, {packed_spec}, {{"groups", p.groups}}, isa)[0];
      Attributes attributes = p.attributes();
      attributes["packed"] = int64_t{1};
      attributes["kernel_shape"] = std::vector<int64_t>{p.kh, p.kw, p.c / p.groups, p.k};
      EXPECT(plain.same_bytes(run_kernel("conv2d", {x, packed}, {p.y()}, attributes, isa)[0]));
    }
  }
}

TEST(conv2d_packs_panels_of_64_columns) {
  const Buffer w = random_buffer({2, 1, 3, 70}, 1);
  const Buffer packed = run_kernel("conv2d_pack", {w}, {make_spec({6 * 80})}, {{"groups", int64_t{1}}})[0];
  for (int64_t k = 0; k < 6; ++k) {
    for (int64_t j = 0; j < 64; ++j) EXPECT_EQ(packed.at<float>(k * 64 + j), w.at<float>(k * 70 + j));
    for (int64_t j = 0; j < 16; ++j) EXPECT_EQ(packed.at<float>(6 * 64 + k * 16 + j), j < 6 ? w.at<float>(k * 70 + 64 + j) : 0.0f);
  }
}

TEST(conv2d_applies_bias_and_activation) {
  Chooser choose(6);
  for (int i = 0; i < 40; ++i) {
    ConvCase p = random_case(choose);
    const Buffer x = random_buffer(p.x(), i), w = random_buffer(p.kernel(), i + 1000), bias = random_buffer(make_spec({p.k}, p.dtype), i + 2000);
    const Expected sums = expected_forward(p, x, w);
    for (const char* activation : {"none", "relu", "sigmoid", "tanh"}) {
      for (int64_t with_bias : {0, 1}) {
        Attributes attributes = p.attributes();
        attributes["bias"] = with_bias;
        attributes["activation"] = std::string(activation);
        const std::vector<Buffer> inputs = with_bias ? std::vector<Buffer>{x, w, bias} : std::vector<Buffer>{x, w};
        const Buffer y = run_every_way("conv2d", inputs, {p.y()}, attributes)[0];
        for (int64_t j = 0; j < y.size(); ++j) {
          const double sum = sums.value[j] + (with_bias ? value_at(bias, j % p.k) : 0.0);
          const char kind = activation[0];
          const double expected = kind == 'r' ? std::fmax(sum, 0.0) : kind == 's' ? 1 / (1 + std::exp(-sum)) : kind == 't' ? std::tanh(sum) : sum;
          EXPECT_NEAR(value_at(y, j), expected, 1e-6 * (sums.magnitude[j] + 1));
        }
      }
    }
  }
}

// Rows of 1 to 9 pixels end in every way there is.
TEST(conv2d_of_one_channel_with_three_by_three_taps) {
  for (int64_t width = 1; width <= 9; ++width) {
    for (int64_t filters : {16, 32, 48, 80}) {
      ConvCase p;
      p.n = 2;
      p.h = 4;
      p.w = width + 2;
      p.c = 1;
      p.k = filters;
      p.kh = p.kw = 3;
      p.sh = p.dh = p.dw = p.groups = 1;
      p.sw = width % 3 == 0 ? 2 : 1;
      for (int64_t& side : p.padding) side = width % 2;
      const Buffer x = random_buffer(p.x(), width), w = random_buffer(p.kernel(), filters), bias = random_buffer(make_spec({p.k}), 3);
      const Expected sums = expected_forward(p, x, w);
      expect_close(p, "conv2d", run_every_way("conv2d", {x, w}, {p.y()}, p.attributes())[0], sums);
      Attributes attributes = p.attributes();
      attributes["bias"] = int64_t{1};
      attributes["activation"] = std::string("relu");
      const Buffer y = run_every_way("conv2d", {x, w, bias}, {p.y()}, attributes)[0];
      for (int64_t j = 0; j < y.size(); ++j) {
        EXPECT_NEAR(value_at(y, j), std::fmax(sums.value[j] + value_at(bias, j % p.k), 0.0), 1e-6 * (sums.magnitude[j] + 1));
      }
    }
  }
}

// A tap in the padding takes no part: only pixels that meet the infinite weight become NaN or infinite. And relu passes NaN on.
TEST(conv2d_never_multiplies_padding) {
  const ConvCase p = {1, 3, 3, 1, 16, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}};
  const Buffer x = random_buffer(p.x(), 1, 0.5, 1.0), w = random_buffer(p.kernel(), 2);
  for (int64_t k = 0; k < 16; ++k) w.at<float>(k) = NAN;  // tap (0, 0)
  Attributes attributes = p.attributes();
  attributes["activation"] = std::string("relu");
  const Buffer y = run_every_way("conv2d", {x, w}, {p.y()}, attributes)[0];
  for (int64_t pixel = 0; pixel < 9; ++pixel) EXPECT_EQ(std::isnan(y.at<float>(pixel * 16)), pixel / 3 > 0 && pixel % 3 > 0);
}

// The same with few filters, where lanes are pixels; and an infinite pixel reaches its neighbours only.
TEST(conv2d_with_few_filters_never_multiplies_padding) {
  for (const int64_t k : {1, 3, 8}) {
    const ConvCase p = {1, 9, 8, 16, k, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}};
    const Buffer x = random_buffer(p.x(), 1, 0.5, 1.0), w = random_buffer(p.kernel(), 2, 0.5, 1.0), finite = random_buffer(p.kernel(), 2, 0.5, 1.0);
    w.at<float>(0) = NAN;  // tap (0, 0)
    const Buffer y = run_every_way("conv2d", {x, w}, {p.y()}, p.attributes())[0];
    for (int64_t pixel = 0; pixel < 72; ++pixel) EXPECT_EQ(std::isnan(y.at<float>(pixel * k)), pixel / 8 > 0 && pixel % 8 > 0);
    x.at<float>((4 * 8 + 7) * 16) = INFINITY;
    const Buffer reached = run_every_way("conv2d", {x, finite}, {p.y()}, p.attributes())[0];
    for (int64_t pixel = 0; pixel < 72; ++pixel) {
      EXPECT_EQ(std::isfinite(reached.at<float>(pixel * k)), pixel / 8 < 3 || pixel / 8 > 5 || pixel % 8 < 6);
    }
  }
}

// Sizes of several bands, and the strides, paddings and activations of last layers of generators and autoencoders.
TEST(conv2d_with_few_filters_in_bands) {
  const ConvCase cases[] = {{2, 40, 41, 64, 3, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}}, {1, 50, 60, 40, 1, 5, 5, 1, 1, 2, 1, 1, {4, 4, 2, 2}},
                            {2, 28, 28, 1, 64, 5, 5, 2, 2, 1, 1, 1, {1, 2, 1, 2}}, {1, 33, 64, 3, 48, 4, 4, 2, 2, 1, 1, 1, {1, 1, 1, 1}},
                            {1, 1, 700, 5, 32, 1, 7, 1, 1, 1, 1, 1, {0, 0, 3, 3}}};
  for (const ConvCase& p : cases) {
    const Buffer x = random_buffer(p.x(), 1), w = random_buffer(p.kernel(), 2), dy = random_buffer(p.y(), 3);
    expect_close(p, "conv2d", run_every_way("conv2d", {x, w}, {p.y()}, p.attributes())[0], expected_forward(p, x, w));
    expect_close(p, "conv2d_input_grad", run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0], expected_input_grad(p, dy, w));
    expect_close(p, "conv2d_kernel_grad", run_every_way("conv2d_kernel_grad", {x, dy}, {p.kernel()}, p.attributes())[0],
                 expected_kernel_grad(p, x, dy));
  }
}

// Input gradients with strides to few channels are sums of overlapping patches: several bands and chunks, patches cut at every edge, strides that
// leave gaps or differ between axes, dilated rows.
TEST(conv2d_input_grad_adds_overlapping_patches) {
  Chooser choose(17);
  const ConvCase sizes[] = {{2, 56, 60, 1, 64, 5, 5, 2, 2, 1, 1, 1, {1, 2, 1, 2}}, {1, 130, 66, 3, 40, 4, 4, 2, 2, 1, 1, 1, {1, 1, 1, 1}},
                            {5, 28, 28, 8, 96, 4, 4, 2, 2, 1, 1, 1, {1, 1, 1, 1}}, {1, 1, 900, 2, 64, 1, 8, 1, 4, 1, 1, 1, {0, 0, 2, 2}}};
  std::vector<ConvCase> cases(std::begin(sizes), std::end(sizes));
  for (int i = 0; i < 60; ++i) {
    ConvCase p = random_case(choose);
    p.groups = p.dw = 1;
    p.dtype = DType::kFloat32;
    p.c = choose.between(1, 8);
    p.k = choose.of({8, 9, 16, 50, 70});
    p.sh = choose.between(1, 4);
    p.sw = choose.between(p.sh == 1 ? 2 : 1, 4);
    cases.push_back(p);
  }
  for (const ConvCase& p : cases) {
    const Buffer w = random_buffer(p.kernel(), 2), dy = random_buffer(p.y(), 3);
    const Buffer dx = run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0];
    expect_close(p, "conv2d_input_grad", dx, expected_input_grad(p, dy, w));
    ConvCase one = p;
    one.n = 1;
    for (int64_t n = 0; n < p.n; ++n) {
      EXPECT(image_of(dx, n).same_bytes(run_kernel("conv2d_input_grad", {image_of(dy, n), w}, {one.x()}, one.attributes())[0]));
    }
  }
}

// An infinite pixel of dy reaches its own patch only, and a weight that is not a number the pixels of its tap.
TEST(conv2d_input_grad_of_patches_keeps_infinities_apart) {
  const ConvCase p = {1, 16, 16, 1, 16, 4, 4, 2, 2, 1, 1, 1, {1, 1, 1, 1}};
  const Buffer w = random_buffer(p.kernel(), 2, 0.5, 1.0), dy = random_buffer(p.y(), 3, 0.5, 1.0);
  dy.at<float>((3 * 8 + 5) * 16) = INFINITY;
  const Buffer dx = run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0];
  for (int64_t h = 0; h < 16; ++h) {
    for (int64_t c = 0; c < 16; ++c) EXPECT_EQ(std::isfinite(dx.at<float>(h * 16 + c)), h < 5 || h > 8 || c < 9 || c > 12);
  }
  dy.at<float>((3 * 8 + 5) * 16) = 0.0f;
  w.at<float>(0) = NAN;
  const Buffer reached = run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0];
  for (int64_t h = 0; h < 16; ++h) {
    for (int64_t c = 0; c < 16; ++c) EXPECT_EQ(std::isnan(reached.at<float>(h * 16 + c)), h % 2 == 1 && c % 2 == 1 && h < 15 && c < 15);
  }
}

// Small groups with as many filters as channels are computed as depthwise convolutions that add up channels.
TEST(conv2d_of_small_groups) {
  Chooser choose(11);
  for (int i = 0; i < 80; ++i) {
    ConvCase p = random_case(choose);
    if (choose.between(0, 1)) {
      p.kh = p.kw = 3;
      p.dh = p.dw = 1;
      p.sh = p.sw = choose.between(1, 2);
    }
    p.groups = choose.of({2, 3, 5, 8, 9, 16, 17, 33});
    p.c = p.k = p.groups * choose.of({2, 4});
    p.dtype = DType::kFloat32;
    const Buffer x = random_buffer(p.x(), i), w = random_buffer(p.kernel(), i + 1000), dy = random_buffer(p.y(), i + 2000);
    const Buffer y = run_every_way("conv2d", {x, w}, {p.y()}, p.attributes())[0];
    expect_close(p, "conv2d", y, expected_forward(p, x, w));
    expect_close(p, "conv2d_input_grad", run_every_way("conv2d_input_grad", {dy, w}, {p.x()}, p.attributes())[0], expected_input_grad(p, dy, w));
    expect_close(p, "conv2d_kernel_grad", run_every_way("conv2d_kernel_grad", {x, dy}, {p.kernel()}, p.attributes())[0],
                 expected_kernel_grad(p, x, dy));
    const Buffer packed = run_kernel("conv2d_pack", {w}, {make_spec({p.kh * p.kw * p.c * 16})}, {{"groups", p.groups}})[0];
    Attributes attributes = p.attributes();
    attributes["packed"] = int64_t{1};
    attributes["kernel_shape"] = std::vector<int64_t>{p.kh, p.kw, p.c / p.groups, p.k};
    EXPECT(y.same_bytes(run_kernel("conv2d", {x, packed}, {p.y()}, attributes)[0]));
  }
}

// Sums of 200,000 terms of one sign: a single accumulator would be wrong in the third digit of the error bound used here.
TEST(conv2d_kernel_grad_adds_long_sums_in_levels) {
  const ConvCase p = {8, 160, 160, 1, 16, 1, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}};
  const Buffer x = random_buffer(p.x(), 1, 0.0, 1.0), dy = random_buffer(p.y(), 2, 0.0, 1.0);
  const Buffer dw = run_kernel("conv2d_kernel_grad", {x, dy}, {p.kernel()}, p.attributes())[0];
  const Expected expected = expected_kernel_grad(p, x, dy);
  for (int64_t i = 0; i < dw.size(); ++i) EXPECT_NEAR(dw.at<float>(i) / expected.value[i], 1.0, 1e-6);
}

TEST(conv2d_explains_bad_sizes) {
  const Attributes attributes = {{"padding", std::vector<int64_t>{0, 0, 0, 0}}};
  const auto run = [&](const char* kernel, const Spec& a, const Spec& b, const Spec& result, Attributes extra) {
    extra.insert(attributes.begin(), attributes.end());
    run_kernel(kernel, {random_buffer(a), random_buffer(b)}, {result}, extra);
  };
  const Spec x = make_spec({1, 5, 5, 4}), w = make_spec({3, 3, 4, 8}), y = make_spec({1, 3, 3, 8});
  EXPECT_THROWS(run("conv2d", x, w, make_spec({1, 4, 3, 8}), {}), std::invalid_argument, "give 3 output rows, got 4");
  EXPECT_THROWS(run("conv2d", x, make_spec({3, 3, 5, 8}), y, {}), std::invalid_argument, "need a kernel (.., .., 4, 8), got (.., .., 5, 8)");
  EXPECT_THROWS(run("conv2d", x, w, y, {{"groups", int64_t{3}}}), std::invalid_argument, "groups (3) must divide the channels (4)");
  EXPECT_THROWS(run("conv2d", x, w, make_spec({2, 3, 3, 8}), {}), std::invalid_argument, "batch sizes of the images differ: 1 and 2");
  EXPECT_THROWS(run("conv2d", x, w, y, {{"strides", std::vector<int64_t>{0, 1}}}), std::invalid_argument, "strides must be at least 1");
  EXPECT_THROWS(run("conv2d", x, w, y, {{"activation", std::string("selu")}}), std::invalid_argument, "got selu");
  EXPECT_THROWS(run("conv2d_input_grad", y, w, make_spec({1, 5, 6, 4}), {}), std::invalid_argument, "give 4 output columns, got 3");
  EXPECT_THROWS(run("conv2d_kernel_grad", x, y, make_spec({3, 3, 4, 9}), {}), std::invalid_argument, "need a kernel (.., .., 4, 8)");
  EXPECT_THROWS(run("conv2d", make_spec({1, 5, 5, 4}, DType::kFloat64), w, y, {}), std::invalid_argument,
                "must be float64 as the images, got float32");
}

}  // namespace
}  // namespace nnlite::test
