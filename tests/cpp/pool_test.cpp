#include "bfloat16_test.h"
#include "conv_reference.h"

namespace nnlite::test {
namespace {

using Ints = std::vector<int64_t>;

struct Case {
  int64_t n, h, w, c;
  Ints pool, strides, padding;  // padding: top, bottom, left, right

  int64_t oh() const { return (h + padding[0] + padding[1] - pool[0]) / strides[0] + 1; }
  int64_t ow() const { return (w + padding[2] + padding[3] - pool[1]) / strides[1] + 1; }
  Spec x(DType dtype) const { return make_spec({n, h, w, c}, dtype); }
  Spec y(DType dtype) const { return make_spec({n, oh(), ow(), c}, dtype); }
  DType cells() const { return pool[0] * pool[1] > 255 ? DType::kInt32 : DType::kUInt8; }
  Attributes attributes(bool gradient) const {
    Attributes all = {{"pool_size", pool}, {"strides", strides}, {"padding", padding}};
    if (gradient) all["input_shape"] = Ints{n, h, w, c};
    return all;
  }
  // Calls body(input position, cell) for the cells of output position (b, oh, ow, k) that lie inside.
  template <class Body>
  void for_cells(int64_t b, int64_t y, int64_t x, int64_t k, Body body) const {
    for (int64_t r = 0; r < pool[0]; ++r) {
      for (int64_t q = 0; q < pool[1]; ++q) {
        const int64_t i = y * strides[0] - padding[0] + r, j = x * strides[1] - padding[2] + q;
        if (i >= 0 && i < h && j >= 0 && j < w) body(((b * h + i) * w + j) * c + k, r * pool[1] + q);
      }
    }
  }
  // Calls body(output position, b, oh, ow, k) for all outputs.
  template <class Body>
  void for_outputs(Body body) const {
    int64_t at = 0;
    for (int64_t b = 0; b < n; ++b) {
      for (int64_t i = 0; i < oh(); ++i) {
        for (int64_t j = 0; j < ow(); ++j) {
          for (int64_t k = 0; k < c; ++k) body(at++, b, i, j, k);
        }
      }
    }
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int64_t c : {1, 3, 8, 16, 17, 32, 50}) {
    all.push_back({2, 6, 8, c, {2, 2}, {2, 2}, {0, 0, 0, 0}});
    all.push_back({2, 7, 5, c, {2, 2}, {2, 2}, {0, 0, 0, 0}});
    all.push_back({1, 7, 5, c, {2, 2}, {2, 2}, {0, 1, 0, 1}});
    all.push_back({2, 9, 8, c, {3, 3}, {2, 2}, {0, 1, 1, 0}});
    all.push_back({1, 6, 7, c, {3, 3}, {1, 1}, {1, 1, 1, 1}});
    all.push_back({3, 8, 11, c, {3, 3}, {1, 1}, {0, 2, 1, 1}});
    all.push_back({2, 12, 14, c, {3, 3}, {2, 2}, {0, 1, 0, 1}});
    all.push_back({2, 13, 11, c, {3, 3}, {2, 2}, {1, 1, 2, 2}});
    all.push_back({1, 9, 10, c, {2, 3}, {3, 4}, {0, 0, 0, 0}});
    all.push_back({1, 9, 10, c, {3, 2}, {1, 3}, {2, 0, 1, 1}});
  }
  all.push_back({3, 1, 20, 12, {1, 4}, {1, 4}, {0, 0, 0, 0}});
  all.push_back({1, 20, 20, 5, {16, 17}, {2, 2}, {0, 0, 0, 0}});
  all.push_back({1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}});
  all.push_back({2, 3, 3, 5, {3, 3}, {2, 2}, {0, 0, 0, 0}});
  all.push_back({1, 2, 4, 16, {3, 3}, {1, 1}, {2, 2, 0, 1}});
  all.push_back({0, 4, 4, 3, {2, 2}, {2, 2}, {0, 0, 0, 0}});
  all.push_back({40, 26, 26, 32, {2, 2}, {2, 2}, {0, 0, 0, 0}});
  all.push_back({20, 11, 11, 64, {2, 2}, {2, 2}, {0, 0, 0, 0}});
  return all;
}

// Few different values, so that ties occur.
template <class T>
Buffer coarse_buffer(const Spec& spec, uint64_t seed) {
  Buffer x = random_buffer(make_spec({spec.size()}, DType::kFloat32), seed, -4, 4);
  Buffer y(spec);
  for (int64_t i = 0; i < spec.size(); ++i) y.at<T>(i) = static_cast<T>(std::floor(x.at<float>(i)));
  return y;
}

template <class T>
void check_max_pool(const Case& t, DType dtype, const Buffer& x) {
  const auto outputs = run_every_way("max_pool2d", {x}, {t.y(dtype), t.y(t.cells())}, t.attributes(false));
  const auto alone = run_every_way("max_pool2d", {x}, {t.y(dtype)}, t.attributes(false));
  EXPECT(outputs[0].same_bytes(alone[0]));
  int64_t wrong = 0;
  t.for_outputs([&](int64_t at, int64_t b, int64_t i, int64_t j, int64_t k) {
    T best = 0;
    int64_t won = -1;
    t.for_cells(b, i, j, k, [&](int64_t from, int64_t cell) {
      const T v = x.at<T>(from);
      if (won < 0 || v > best || (v != v && best == best)) {
        best = v;
        won = cell;
      }
    });
    const int64_t got = t.cells() == DType::kUInt8 ? outputs[1].at<uint8_t>(at) : outputs[1].at<int32_t>(at);
    wrong += got != won || std::memcmp(&outputs[0].at<T>(at), &best, sizeof(T)) != 0;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(max_pool_takes_the_first_of_equals) {
  for (const Case& t : cases()) {
    check_max_pool<float>(t, DType::kFloat32, coarse_buffer<float>(t.x(DType::kFloat32), 3));
    check_max_pool<double>(t, DType::kFloat64, coarse_buffer<double>(t.x(DType::kFloat64), 4));
    check_max_pool<int32_t>(t, DType::kInt32, coarse_buffer<int32_t>(t.x(DType::kInt32), 5));
    check_max_pool<int64_t>(t, DType::kInt64, coarse_buffer<int64_t>(t.x(DType::kInt64), 6));
    check_max_pool<int8_t>(t, DType::kInt8, coarse_buffer<int8_t>(t.x(DType::kInt8), 7));
    check_max_pool<uint8_t>(t, DType::kUInt8, coarse_buffer<uint8_t>(t.x(DType::kUInt8), 8));
  }
}

TEST(max_pool_of_infinities_and_nans) {
  for (const Case& t : cases()) {
    const Buffer x = random_buffer(t.x(DType::kFloat32), 8);
    for (int64_t i = 0; i < x.size(); i += 7) x.at<float>(i) = i % 3 == 0 ? NAN : i % 3 == 1 ? -INFINITY : INFINITY;
    check_max_pool<float>(t, DType::kFloat32, x);
    const Buffer low = random_buffer(t.x(DType::kFloat32), 8, -1e30, -1e29);
    for (int64_t i = 0; i < low.size(); i += 2) low.at<float>(i) = -INFINITY;
    check_max_pool<float>(t, DType::kFloat32, low);
  }
}

template <class T>
void check_max_pool_grad(const Case& t, DType dtype) {
  const Buffer x = coarse_buffer<T>(t.x(dtype), 9), dy = random_buffer(t.y(dtype), 10);
  const Buffer cells = run_kernel("max_pool2d", {x}, {t.y(dtype), t.y(t.cells())}, t.attributes(false))[1];
  const Buffer dx = run_every_way("max_pool2d_grad", {dy, cells}, {t.x(dtype)}, t.attributes(true))[0];
  std::vector<double> expected(x.size(), 0.0);
  t.for_outputs([&](int64_t at, int64_t b, int64_t i, int64_t j, int64_t k) {
    const int64_t won = t.cells() == DType::kUInt8 ? cells.at<uint8_t>(at) : cells.at<int32_t>(at);
    t.for_cells(b, i, j, k, [&](int64_t from, int64_t cell) { expected[from] += cell == won ? dy.at<T>(at) : 0; });
  });
  double worst = 0;
  for (int64_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::fabs(expected[i] - dx.at<T>(i)));
  EXPECT_NEAR(worst, 0, sizeof(T) == 4 ? 1e-6 : 1e-14);
}

TEST(max_pool_gradient_goes_to_the_winners) {
  for (const Case& t : cases()) {
    check_max_pool_grad<float>(t, DType::kFloat32);
    check_max_pool_grad<double>(t, DType::kFloat64);
  }
}

// Maps that no cache holds are written past the caches: the same values as the map's half, which is not.
TEST(gradients_of_large_maps_are_those_of_small_ones) {
  for (const Case& t : {Case{2, 190, 190, 64, {2, 2}, {2, 2}, {0, 0, 0, 0}}, Case{2, 190, 190, 64, {3, 3}, {2, 2}, {0, 1, 0, 1}},
                        Case{2, 191, 189, 64, {3, 3}, {3, 4}, {1, 0, 2, 2}}}) {
    Case half = t;
    half.n = 1;
    const Spec x = t.x(DType::kFloat32), y = t.y(DType::kFloat32), half_x = half.x(DType::kFloat32);
    const Buffer cells = run_kernel("max_pool2d", {random_buffer(x, 31)}, {y, t.y(t.cells())}, t.attributes(false))[1];
    const Buffer dy = random_buffer(y, 32), half_dy(half.y(DType::kFloat32)), half_cells(half.y(t.cells()));
    std::memcpy(half_dy.data(), dy.data(), half_dy.spec().bytes());
    std::memcpy(half_cells.data(), cells.data(), half_cells.spec().bytes());
    EXPECT(x.bytes() > 16 << 20 && half_x.bytes() < 16 << 20);
    for (bool max : {true, false}) {
      const std::string kernel = max ? "max_pool2d_grad" : "average_pool2d_grad";
      const std::vector<Buffer> inputs = max ? std::vector<Buffer>{dy, cells} : std::vector<Buffer>{dy};
      const std::vector<Buffer> half_inputs = max ? std::vector<Buffer>{half_dy, half_cells} : std::vector<Buffer>{half_dy};
      const Buffer all = run_every_way(kernel, inputs, {x}, t.attributes(true))[0];
      const Buffer one = run_kernel(kernel, half_inputs, {half_x}, half.attributes(true))[0];
      EXPECT(std::memcmp(all.data(), one.data(), half_x.bytes()) == 0);
    }
  }
}

template <class T>
void check_average_pool(const Case& t, DType dtype) {
  const Buffer x = random_buffer(t.x(dtype), 12), dy = random_buffer(t.y(dtype), 13);
  const Buffer y = run_every_way("average_pool2d", {x}, {t.y(dtype)}, t.attributes(false))[0];
  const Buffer dx = run_every_way("average_pool2d_grad", {dy}, {t.x(dtype)}, t.attributes(true))[0];
  std::vector<double> expected(x.size(), 0.0);
  const double tolerance = sizeof(T) == 4 ? 2e-6 : 4e-15;
  double worst = 0;
  t.for_outputs([&](int64_t at, int64_t b, int64_t i, int64_t j, int64_t k) {
    double sum = 0;
    int64_t count = 0;
    t.for_cells(b, i, j, k, [&](int64_t from, int64_t) {
      sum += x.at<T>(from);
      ++count;
    });
    worst = std::max(worst, std::fabs(sum / count - y.at<T>(at)));
    t.for_cells(b, i, j, k, [&](int64_t from, int64_t) { expected[from] += dy.at<T>(at) / count; });
  });
  for (int64_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::fabs(expected[i] - dx.at<T>(i)));
  EXPECT_NEAR(worst, 0, tolerance);
}

TEST(average_pool_leaves_padding_out) {
  for (const Case& t : cases()) {
    check_average_pool<float>(t, DType::kFloat32);
    check_average_pool<double>(t, DType::kFloat64);
  }
}

// Up to 8 channels have rows of their own: windows side by side, apart, overlapping, beyond the edges.
TEST(average_pool_of_few_channels) {
  Chooser choose(31);
  for (int i = 0; i < 200; ++i) {
    const int64_t h = choose.between(1, 20), w = choose.between(1, 45);
    const int64_t rows = std::min(choose.between(1, 4), h), cols = std::min(choose.between(1, 4), w);
    const Case t = {choose.of({1, 2}), h, w, choose.between(1, 9), {rows, cols}, {choose.between(1, 5), choose.between(1, 5)},
                    {choose.between(0, rows - 1), choose.between(0, rows - 1), choose.between(0, cols - 1), choose.between(0, cols - 1)}};
    check_average_pool<float>(t, DType::kFloat32);
    check_average_pool<double>(t, DType::kFloat64);
  }
}

TEST(average_pool_passes_nan_on) {
  const Buffer x(make_spec({1, 2, 2, 1}), {1.0f, NAN, 2.0f, 3.0f});
  const Attributes attributes = {{"pool_size", Ints{2, 1}}, {"strides", Ints{2, 1}}, {"padding", Ints{0, 0, 0, 0}}};
  const Buffer y = run_every_way("average_pool2d", {x}, {make_spec({1, 1, 2, 1})}, attributes)[0];
  EXPECT_EQ(y.at<float>(0), 1.5f);
  EXPECT(std::isnan(y.at<float>(1)));
}

TEST(pooling_of_bfloat16) {
  for (const Case& t : cases()) {
    const Spec y = t.y(DType::kFloat32), x = t.x(DType::kFloat32);
    const Buffer values = random_buffer(x, 21);
    for (int64_t i = 0; i < values.size(); i += 19) values.at<float>(i) = NAN;
    const Buffer cells = run_kernel("max_pool2d", {values}, {y, t.y(t.cells())}, t.attributes(false))[1];
    expect_bfloat16_like_float32("max_pool2d", {values}, {y, t.y(t.cells())}, t.attributes(false), 0);
    expect_bfloat16_like_float32("average_pool2d", {random_buffer(x, 22)}, {y}, t.attributes(false), 0);
    expect_bfloat16_like_float32("max_pool2d_grad", {random_buffer(y, 23), cells}, {x}, t.attributes(true), 0);
    expect_bfloat16_like_float32("average_pool2d_grad", {random_buffer(y, 24)}, {x}, t.attributes(true), 0);
  }
}

TEST(pooling_rejects_what_does_not_fit) {
  const Case t = {1, 4, 4, 2, {2, 2}, {2, 2}, {0, 0, 0, 0}};
  const Buffer x = random_buffer(t.x(DType::kFloat32));
  EXPECT_THROWS(run_kernel("max_pool2d", {x}, {make_spec({1, 3, 2, 2})}, t.attributes(false)), std::invalid_argument,
                "must be (1, 2, 2, 2), got (1, 3, 2, 2)");
  EXPECT_THROWS(run_kernel("max_pool2d", {x}, {t.y(DType::kFloat32), t.y(DType::kInt32)}, t.attributes(false)), std::invalid_argument, "dtype uint8");
  EXPECT_THROWS(run_kernel("average_pool2d", {random_buffer(t.x(DType::kInt32))}, {t.y(DType::kInt32)}, t.attributes(false)), std::invalid_argument,
                "got int32");
  EXPECT_THROWS(run_kernel("average_pool2d_grad", {random_buffer(t.y(DType::kFloat32))}, {t.x(DType::kFloat32)}, t.attributes(false)),
                std::invalid_argument, "input_shape");
}

}  // namespace
}  // namespace nnlite::test
