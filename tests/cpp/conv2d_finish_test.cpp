#include "conv_reference.h"

namespace nnlite::test {
namespace {

// A convolution and max_pool2d in steps of their own: the map, its pooled form and the winning cells.
struct InSteps {
  Buffer map, pooled, cells;
};
InSteps in_steps(const std::vector<Buffer>& inputs, const ConvCase& p, const Attributes& attributes) {
  const Spec y = make_spec({p.n, p.oh() / 2, p.ow() / 2, p.k});
  Spec cells = y;
  cells.dtype = DType::kUInt8;
  const Buffer map = run_kernel("conv2d", inputs, {p.y()}, attributes)[0];
  const auto pooled = run_kernel("max_pool2d", {map}, {y, cells},
                                 {{"pool_size", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}},
                                  {"padding", std::vector<int64_t>{0, 0, 0, 0}}});
  return {map, pooled[0], pooled[1]};
}

void check(const ConvCase& p, const Buffer& x, const Buffer& w, const Buffer& bias, const char* activation) {
  Attributes attributes = p.attributes();
  attributes["bias"] = int64_t{1};
  attributes["activation"] = std::string(activation);
  const InSteps expected = in_steps({x, w, bias}, p, attributes);
  attributes["pool"] = int64_t{1};
  const Buffer alone = run_every_way("conv2d", {x, w, bias}, {expected.pooled.spec()}, attributes)[0];
  const auto both = run_every_way("conv2d", {x, w, bias}, {expected.pooled.spec(), expected.cells.spec()}, attributes);
  if (!alone.same_bytes(expected.pooled) || !both[0].same_bytes(expected.pooled) || !both[1].same_bytes(expected.cells)) {
    report_failure(__FILE__, __LINE__, std::string(activation) + " and pooling after " + p.text());
  }
  if (activation != std::string("relu")) return;
  attributes["cut"] = int64_t{1};
  const auto cut = run_every_way("conv2d", {x, w, bias}, {expected.pooled.spec(), expected.cells.spec()}, attributes);
  EXPECT(cut[0].same_bytes(expected.pooled));
  int64_t wrong = 0;
  for (int64_t i = 0; i < expected.cells.size(); ++i) {
    wrong += cut[1].at<uint8_t>(i) != (expected.pooled.at<float>(i) > 0 ? expected.cells.at<uint8_t>(i) : 255);
  }
  EXPECT_EQ(wrong, 0);
}

std::vector<ConvCase> cases() {
  std::vector<ConvCase> all;
  Chooser choose(21);
  for (int i = 0; i < 80; ++i) {
    ConvCase p;
    p.n = choose.of({0, 1, 1, 2, 3, 7});
    p.h = choose.between(1, 19);
    p.w = choose.between(1, 19);
    p.kh = p.kw = choose.of({1, 2, 3, 3, 5});
    p.sh = choose.of({1, 1, 2});
    p.sw = choose.of({1, 1, 2});
    p.dh = p.dw = choose.of({1, 1, 2});
    p.groups = 1;
    p.c = choose.of({1, 3, 8, 16, 17});
    p.k = choose.of({1, 7, 16, 32, 45, 64, 70, 130});
    for (int64_t& side : p.padding) side = choose.of({0, 0, 1, 1, 2});
    p.exact = choose.between(0, 1);
    all.push_back(p);
  }
  // By Winograd with odd sizes, in bands of rows, of images, and in several blocks of columns.
  all.push_back({3, 13, 11, 32, 80, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}, DType::kFloat32, false});
  all.push_back({2, 15, 17, 32, 24, 5, 5, 1, 1, 1, 1, 1, {2, 2, 2, 2}, DType::kFloat32, false});
  all.push_back({1, 45, 131, 16, 64, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}, DType::kFloat32, true});
  all.push_back({40, 28, 28, 1, 32, 3, 3, 1, 1, 1, 1, 1, {0, 0, 0, 0}, DType::kFloat32, true});
  all.push_back({70, 6, 6, 24, 48, 3, 3, 1, 1, 1, 1, 1, {0, 0, 0, 0}, DType::kFloat32, true});
  all.push_back({1, 4, 400, 40, 64, 3, 3, 1, 1, 1, 1, 1, {1, 1, 1, 1}, DType::kFloat32, true});
  return all;
}

TEST(pooling_after_conv2d_has_the_bits_of_separate_steps) {
  for (const ConvCase& p : cases()) {
    const Buffer x = random_buffer(p.x(), p.h), w = random_buffer(p.kernel(), p.w + 1000), bias = random_buffer(make_spec({p.k}), 7);
    for (const char* activation : {"none", "relu", "tanh"}) check(p, x, w, bias, activation);
  }
}

// Ties, of zeros above all, NaN and infinities.
TEST(pooling_after_conv2d_of_ties_and_nans) {
  for (const ConvCase& p : cases()) {
    const Buffer x = random_buffer(p.x(), p.h, -2, 2), w = random_buffer(p.kernel(), p.w, -2, 2), bias = random_buffer(make_spec({p.k}), 7, -2, 2);
    for (const Buffer* b : {&x, &w, &bias}) {
      for (int64_t i = 0; i < b->size(); ++i) b->at<float>(i) = std::floor(b->at<float>(i));
    }
    check(p, x, w, bias, "relu");
    for (int64_t i = 5; i < x.size(); i += 97) x.at<float>(i) = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    for (const char* activation : {"none", "relu"}) check(p, x, w, bias, activation);
  }
}

TEST(pooling_after_conv2d_explains_bad_calls) {
  const ConvCase p = {1, 6, 6, 4, 16, 3, 3, 1, 1, 1, 1, 1, {0, 0, 0, 0}};
  const Buffer x = random_buffer(p.x()), w = random_buffer(p.kernel());
  Attributes attributes = p.attributes();
  attributes["pool"] = int64_t{1};
  EXPECT_THROWS(run_kernel("conv2d", {x, w}, {make_spec({1, 3, 2, 16})}, attributes), std::invalid_argument,
                "pooled by twos");
  EXPECT_THROWS(run_kernel("conv2d", {x, w}, {make_spec({1, 2, 2, 16}), make_spec({1, 2, 2, 16})}, attributes), std::invalid_argument,
                "cells must be uint8");
  attributes["cut"] = int64_t{1};
  EXPECT_THROWS(run_kernel("conv2d", {x, w}, {make_spec({1, 2, 2, 16}), make_spec({1, 2, 2, 16}, DType::kUInt8)}, attributes), std::invalid_argument,
                "needs cells and relu");
}

// ---- a residual ----

template <class T>
void check_residual(const ConvCase& p) {
  const std::vector<Buffer> inputs = {random_buffer(p.x(), p.h), random_buffer(p.kernel(), p.w + 1000), random_buffer(make_spec({p.k}, p.dtype), 7)};
  Attributes attributes = p.attributes();
  attributes["bias"] = int64_t{1};
  const Buffer plain = run_kernel("conv2d", inputs, {p.y()}, attributes)[0], added = random_buffer(p.y(), 8);
  for (int64_t i = 0; i < added.size(); i += 11) added.at<T>(i) = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
  std::vector<Buffer> all = inputs;
  all.push_back(added);
  attributes["residual"] = int64_t{1};
  for (const char* activation : {"none", "relu", "tanh"}) {
    attributes["activation"] = std::string(activation);
    const Buffer found = run_every_way("conv2d", all, {p.y()}, attributes)[0];
    int64_t wrong = 0;
    for (int64_t i = 0; i < found.size(); ++i) {
      T expected = plain.at<T>(i) + added.at<T>(i);
      if (*activation == 'r') expected = expected <= 0 ? T(0) : expected;
      if (*activation == 't') {
        wrong += !(std::fabs(std::tanh(expected) - found.at<T>(i)) < 1e-6) && expected == expected;
      } else {
        wrong += !(expected == found.at<T>(i)) && (expected == expected || found.at<T>(i) == found.at<T>(i));
      }
    }
    if (wrong) report_failure(__FILE__, __LINE__, std::string(activation) + " of a sum with " + p.text());
  }
}

TEST(residual_joins_conv2d) {
  for (ConvCase p : cases()) {
    check_residual<float>(p);
    if (p.n > 3) continue;
    p.dtype = DType::kFloat64;
    check_residual<double>(p);
  }
}

TEST(residual_that_does_not_fit_is_refused) {
  ConvCase p = {1, 6, 6, 4, 16, 3, 3, 1, 1, 1, 1, 1, {0, 0, 0, 0}};
  Attributes attributes = p.attributes();
  attributes["residual"] = int64_t{1};
  const Buffer x = random_buffer(p.x()), w = random_buffer(p.kernel());
  EXPECT_THROWS(run_kernel("conv2d", {x, w}, {p.y()}, attributes), std::invalid_argument, "needs 3 inputs, got 2");
  EXPECT_THROWS(run_kernel("conv2d", {x, w, x}, {p.y()}, attributes), std::invalid_argument, "shape of the result");
  p.groups = 2;
  attributes["groups"] = int64_t{2};
  EXPECT_THROWS(run_kernel("conv2d", {x, random_buffer(p.kernel()), random_buffer(p.y())}, {p.y()}, attributes), std::invalid_argument, "one group");
}

}  // namespace
}  // namespace nnlite::test
