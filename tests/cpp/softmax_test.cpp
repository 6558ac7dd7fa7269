#include <algorithm>
#include <limits>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

double tolerance(DType dtype) { return dtype == DType::kFloat64 ? 4e-15 : dtype == DType::kFloat32 ? 1.2e-6 : 1e-2; }

struct Row {
  std::vector<double> probabilities;
  double largest = -std::numeric_limits<double>::infinity(), log_sum = 0;

  Row(const Buffer& x, int64_t row, int64_t n) {
    for (int64_t j = 0; j < n; ++j) largest = std::max(largest, value_at(x, row * n + j));
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += std::exp(value_at(x, row * n + j) - largest);
    for (int64_t j = 0; j < n; ++j) probabilities.push_back(std::exp(value_at(x, row * n + j) - largest) / sum);
    log_sum = std::log(sum);
  }
};

Spec typed(std::initializer_list<int64_t> dims, DType dtype) { return make_spec(dims, dtype); }

TEST(softmax_and_its_logarithm) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
    for (const int64_t n : {1, 2, 10, 16, 33, 1000}) {
      for (const int64_t rows : {1, 37}) {
        const Spec spec = typed({rows, n}, dtype);
        const Buffer x = random_buffer(spec, n + rows, -8, 8);
        const Buffer y = run_every_way("softmax", {x}, {spec})[0], z = run_every_way("log_softmax", {x}, {spec})[0];
        for (int64_t i = 0; i < rows; ++i) {
          const Row row(x, i, n);
          for (int64_t j = 0; j < n; ++j) {
            EXPECT_NEAR(value_at(y, i * n + j), row.probabilities[j], row.probabilities[j] * tolerance(dtype));
            EXPECT_NEAR(value_at(z, i * n + j), value_at(x, i * n + j) - row.largest - row.log_sum, 16 * tolerance(dtype));
          }
        }
      }
    }
  }
}

TEST(softmax_of_large_and_infinite_scores) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Buffer x(make_spec({4, 3}), {1000.f, 1000.f, -1000.f, -inf, 0.f, -inf, -inf, -inf, -inf, nan, 0.f, 1.f});
  const Buffer y = run_every_way("softmax", {x}, {make_spec({4, 3})})[0];
  const float want[] = {0.5f, 0.5f, 0.f, 0.f, 1.f, 0.f, nan, nan, nan, nan, nan, nan};
  for (int i = 0; i < 12; ++i) EXPECT_NEAR(y.at<float>(i), want[i], 0);
  const Buffer z = run_every_way("log_softmax", {x}, {make_spec({4, 3})})[0];
  EXPECT_EQ(z.at<float>(3), -inf);
  EXPECT_NEAR(z.at<float>(2), -2000.6931f, 1e-3);
}

TEST(softmax_rows_do_not_depend_on_their_neighbours) {
  for (const int64_t n : {3, 10, 100}) {
    const Buffer x = random_buffer({50, n}, 3, -4, 4);
    const Buffer all = run_every_way("softmax", {x}, {make_spec({50, n})})[0];
    for (int64_t row = 0; row < 50; row += 7) {
      const Buffer one(make_spec({n}));
      std::memcpy(one.data(), x.as<float>() + row * n, n * 4);
      const Buffer alone = run_kernel("softmax", {one}, {make_spec({n})})[0];
      EXPECT(std::memcmp(alone.data(), all.as<float>() + row * n, n * 4) == 0);
    }
  }
}

TEST(softmax_gradients) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
    for (const int64_t n : {1, 10, 50}) {
      const Spec spec = typed({9, n}, dtype);
      const Buffer x = random_buffer(spec, n, -3, 3), dy = random_buffer(spec, n + 1);
      const Buffer y = run_kernel("softmax", {x}, {spec})[0], log_y = run_kernel("log_softmax", {x}, {spec})[0];
      const Buffer dx = run_every_way("softmax_grad", {y, dy}, {spec})[0], log_dx = run_every_way("log_softmax_grad", {log_y, dy}, {spec})[0];
      for (int64_t i = 0; i < 9; ++i) {
        double dot = 0, sum = 0;
        for (int64_t j = i * n; j < (i + 1) * n; ++j) {
          dot += value_at(y, j) * value_at(dy, j);
          sum += value_at(dy, j);
        }
        for (int64_t j = i * n; j < (i + 1) * n; ++j) {
          EXPECT_NEAR(value_at(dx, j), value_at(y, j) * (value_at(dy, j) - dot), tolerance(dtype));
          EXPECT_NEAR(value_at(log_dx, j), value_at(dy, j) - std::exp(value_at(log_y, j)) * sum, 10 * tolerance(dtype));
        }
      }
    }
  }
}

TEST(softmax_of_nothing) {
  for (const auto& spec : {make_spec({0, 4}), make_spec({4, 0})}) EXPECT_EQ(run_every_way("softmax", {Buffer(spec)}, {spec})[0].size(), 0);
}

TEST(sparse_softmax_cross_entropy) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
    for (const DType labels : {DType::kInt32, DType::kInt64, DType::kUInt8, DType::kFloat32}) {
      for (const int64_t n : {1, 10, 17, 300}) {
        const int64_t rows = 41;
        const Spec spec = typed({rows, n}, dtype), loss_spec = typed({rows}, dtype), label_spec = typed({rows}, labels);
        const Buffer x = random_buffer(spec, n, -5, 5), label = random_buffer(label_spec, 3, 0, n < 200 ? n : 200),
                     dloss = random_buffer(loss_spec, 4);
        if (labels == DType::kFloat32) {
          for (int64_t i = 0; i < rows; ++i) label.at<float>(i) = std::floor(label.at<float>(i));
        }
        const auto out = run_every_way("sparse_softmax_cross_entropy", {x, label}, {loss_spec, spec});
        const Buffer dx = run_every_way("sparse_softmax_cross_entropy_grad", {out[1], label, dloss}, {spec})[0];
        for (int64_t i = 0; i < rows; ++i) {
          const Row row(x, i, n);
          const auto k = static_cast<int64_t>(value_at(label, i));
          EXPECT_NEAR(value_at(out[0], i), row.log_sum + row.largest - value_at(x, i * n + k), 16 * tolerance(dtype));
          for (int64_t j = 0; j < n; ++j) {
            EXPECT_NEAR(value_at(out[1], i * n + j), row.probabilities[j], row.probabilities[j] * tolerance(dtype));
            EXPECT_NEAR(value_at(dx, i * n + j), (value_at(out[1], i * n + j) - (j == k)) * value_at(dloss, i), tolerance(dtype));
          }
        }
      }
    }
  }
}

// Loss and gradient of one step are, bit for bit, those of the two steps; NaN, infinities and unknown labels included.
TEST(sparse_softmax_cross_entropy_with_its_gradient) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t n : {1, 2, 10, 16, 17, 100, 1000}) {
    for (const int64_t rows : {0, 1, 3, 41}) {
      const Spec spec = make_spec({rows, n}), loss_spec = make_spec({rows});
      const Buffer x = random_buffer(spec, n, -9, 9), dloss = random_buffer(loss_spec, 4);
      const Buffer label = random_buffer(typed({rows}, DType::kInt32), 3, 0, n);
      if (rows == 41) {
        label.at<int32_t>(5) = -1;
        label.at<int32_t>(40) = static_cast<int32_t>(n);
        const float odd[] = {inf, -inf, nan, 1e30f};
        for (int i = 0; i < 4; ++i) x.at<float>((7 * i + 1) * n) = odd[i];
      }
      const auto two = run_every_way("sparse_softmax_cross_entropy", {x, label}, {loss_spec, spec});
      const Buffer gradient = run_every_way("sparse_softmax_cross_entropy_grad", {two[1], label, dloss}, {spec})[0];
      const auto one = run_every_way("sparse_softmax_cross_entropy", {x, label, dloss}, {loss_spec, spec});
      EXPECT(one[0].same_bytes(two[0]));
      EXPECT(one[1].same_bytes(gradient));
    }
  }
  const Spec half = typed({2, 3}, DType::kBFloat16), halves = typed({2}, DType::kBFloat16);
  const Buffer labels(make_spec({2}, DType::kInt32), {0, 1});
  EXPECT_THROWS(run_kernel("sparse_softmax_cross_entropy", {random_buffer(half), labels, random_buffer(halves)}, {halves, half}),
                std::invalid_argument, "float32 only");
  EXPECT_THROWS(run_kernel("sparse_softmax_cross_entropy", {random_buffer({2, 3}), labels, random_buffer({3})}, {make_spec({2}), make_spec({2, 3})}),
                std::invalid_argument, "dloss");
}

// Results of more than 12 MB go past the caches; a few of their rows alone do not.
TEST(large_softmax_has_the_bits_of_its_rows) {
  const int64_t rows = 3101, n = 1024, some = 5;
  const Spec spec = make_spec({rows, n}), losses = make_spec({rows}), part = make_spec({some, n}), part_losses = make_spec({some});
  const Buffer x = random_buffer(spec, 1, -9, 9), labels = random_buffer(typed({rows}, DType::kInt32), 2, 0, n), dloss = random_buffer(losses, 3);
  const Buffer y = run_every_way("softmax", {x}, {spec})[0];
  const auto step = run_every_way("sparse_softmax_cross_entropy", {x, labels, dloss}, {losses, spec});
  for (int64_t first = 0; first + some <= rows; first += 172) {
    const Buffer rows_x(part), rows_labels(typed({some}, DType::kInt32)), rows_dloss(part_losses);
    std::memcpy(rows_x.data(), x.as<float>() + first * n, some * n * 4);
    std::memcpy(rows_labels.data(), labels.as<int32_t>() + first, some * 4);
    std::memcpy(rows_dloss.data(), dloss.as<float>() + first, some * 4);
    const Buffer alone = run_kernel("softmax", {rows_x}, {part})[0];
    const auto step_alone = run_kernel("sparse_softmax_cross_entropy", {rows_x, rows_labels, rows_dloss}, {part_losses, part});
    EXPECT(std::memcmp(alone.data(), y.as<float>() + first * n, some * n * 4) == 0);
    EXPECT(std::memcmp(step_alone[0].data(), step[0].as<float>() + first, some * 4) == 0);
    EXPECT(std::memcmp(step_alone[1].data(), step[1].as<float>() + first * n, some * n * 4) == 0);
  }
}

TEST(sparse_softmax_cross_entropy_of_unknown_labels) {
  const Buffer x = random_buffer({3, 4}), labels(make_spec({3}, DType::kInt32), {-1, 4, 2});
  const auto out = run_every_way("sparse_softmax_cross_entropy", {x, labels}, {make_spec({3}), make_spec({3, 4})});
  const Buffer softmax = run_kernel("softmax", {x}, {make_spec({3, 4})})[0];
  EXPECT(std::isnan(out[0].at<float>(0)));
  EXPECT(std::isnan(out[0].at<float>(1)));
  EXPECT(!std::isnan(out[0].at<float>(2)));
  EXPECT(out[1].same_bytes(softmax));
  const Buffer dx =
      run_every_way("sparse_softmax_cross_entropy_grad", {out[1], labels, Buffer(make_spec({3}), {1.f, 1.f, 1.f})}, {make_spec({3, 4})})[0];
  EXPECT_EQ(dx.at<float>(0), out[1].at<float>(0));
  EXPECT_THROWS(run_kernel("softmax", {labels}, {labels.spec()}), std::invalid_argument, "floating point");
}

}  // namespace
}  // namespace nnlite::test
