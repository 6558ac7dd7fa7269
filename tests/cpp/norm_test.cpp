#include "norm_check.h"

namespace nnlite::test {
namespace {

// ---- batch_norm ----

struct Moments {
  std::vector<double> mean, variance;
};
// Over the rows of a [rows, channels] matrix.
Moments column_moments(const Buffer& x, int64_t rows, int64_t channels) {
  Moments m = {std::vector<double>(channels), std::vector<double>(channels)};
  for (int64_t i = 0; i < rows * channels; ++i) m.mean[i % channels] += get(x, i) / rows;
  for (int64_t i = 0; i < rows * channels; ++i) m.variance[i % channels] += std::pow(get(x, i) - m.mean[i % channels], 2) / rows;
  return m;
}

void check_batch_norm(int64_t rows, int64_t channels, DType dtype, double offset = 0) {
  const Spec spec = make_spec({rows, channels}, dtype), per_channel = make_spec({channels}, dtype);
  const Buffer x = random_buffer(spec, 1), gamma = random_buffer(per_channel, 2, 0.5, 2), beta = random_buffer(per_channel, 3);
  add(x, offset);
  const auto outputs = run_every_way("batch_norm", {x, gamma, beta}, {spec, per_channel, per_channel}, kAttributes);
  const Moments m = column_moments(x, rows, channels);
  std::vector<double> y(rows * channels);
  for (int64_t i = 0; i < rows * channels; ++i) {
    const int64_t c = i % channels;
    y[i] = (get(x, i) - m.mean[c]) / std::sqrt(m.variance[c] + kEpsilon) * get(gamma, c) + get(beta, c);
  }
  expect_close(outputs[0], y, tolerance_of(dtype));
  expect_close(outputs[1], m.mean, tolerance_of(dtype));
  expect_close(outputs[2], m.variance, tolerance_of(dtype));
}

void check_batch_norm_grad(int64_t rows, int64_t channels, DType dtype) {
  const Spec spec = make_spec({rows, channels}, dtype), per_channel = make_spec({channels}, dtype);
  const Buffer x = random_buffer(spec, 1), dy = random_buffer(spec, 4), gamma = random_buffer(per_channel, 2, 0.5, 2),
               beta = random_buffer(per_channel, 3);
  const auto forward = run_kernel("batch_norm", {x, gamma, beta}, {spec, per_channel, per_channel}, kAttributes);
  const auto outputs = run_every_way("batch_norm_grad", {x, dy, gamma, forward[1], forward[2]}, {spec, per_channel, per_channel}, kAttributes);
  std::vector<double> dgamma(channels), dbeta(channels), dx(rows * channels);
  const auto xhat = [&](int64_t i) { return (get(x, i) - get(forward[1], i % channels)) / std::sqrt(get(forward[2], i % channels) + kEpsilon); };
  for (int64_t i = 0; i < rows * channels; ++i) {
    dgamma[i % channels] += get(dy, i) * xhat(i);
    dbeta[i % channels] += get(dy, i);
  }
  double scale = 0;  // of the terms of dx, which cancel when rows are few
  for (int64_t i = 0; i < rows * channels; ++i) {
    const int64_t c = i % channels;
    const double factor = get(gamma, c) / std::sqrt(get(forward[2], c) + kEpsilon);
    dx[i] = factor * (get(dy, i) - dbeta[c] / rows - xhat(i) * dgamma[c] / rows);
    scale = std::max(scale, factor);
  }
  expect_close(outputs[0], dx, 2 * tolerance_of(dtype), scale);
  expect_close(outputs[1], dgamma, tolerance_of(dtype), 1);
  expect_close(outputs[2], dbeta, tolerance_of(dtype), 1);
}

TEST(batch_norm_of_many_shapes) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (int64_t channels : {1, 2, 3, 7, 8, 10, 15, 16, 17, 32, 48, 50, 64, 70, 130, 300}) {
      for (int64_t rows : {1, 2, 5, 31, 64, 65, 200, 1111}) check_batch_norm(rows, channels, dtype);
    }
    check_batch_norm(20011, 3, dtype);
    check_batch_norm(5003, 64, dtype);
    check_batch_norm(130, 2000, dtype);
  }
}

TEST(batch_norm_gradient_of_many_shapes) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (int64_t channels : {1, 2, 3, 7, 8, 10, 15, 16, 17, 32, 48, 50, 64, 70, 130, 300}) {
      for (int64_t rows : {2, 5, 31, 64, 65, 200, 1111}) check_batch_norm_grad(rows, channels, dtype);
    }
    check_batch_norm_grad(20011, 3, dtype);
    check_batch_norm_grad(5003, 64, dtype);
    check_batch_norm_grad(130, 2000, dtype);
  }
}

// Beyond 6 MB long rows are read row by row, and beyond 12 MB results go past the caches.
TEST(batch_norm_of_large_arrays) {
  for (const auto& [rows, channels] : {std::pair<int64_t, int64_t>{5400, 300}, {10001, 320}}) {
    check_batch_norm(rows, channels, DType::kFloat32);
    check_batch_norm_grad(rows, channels, DType::kFloat32);
  }
  check_batch_norm(9900, 160, DType::kFloat64);
  check_batch_norm_grad(9900, 160, DType::kFloat64);
}

TEST(batch_norm_with_relu_is_relu_of_batch_norm) {
  for (const auto& [rows, channels] : {std::pair<int64_t, int64_t>{31, 3}, {130, 40}, {5003, 64}, {10001, 320}}) {
    const Spec spec = make_spec({rows, channels}), per_channel = make_spec({channels});
    const Buffer x = random_buffer(spec, 1), gamma = random_buffer(per_channel, 2, -1, 2), beta = random_buffer(per_channel, 3);
    const std::vector<Spec> outputs = {spec, per_channel, per_channel};
    Attributes relu = kAttributes;
    relu["activation"] = std::string("relu");
    const auto plain = run_kernel("batch_norm", {x, gamma, beta}, outputs, kAttributes);
    const auto cut = run_every_way("batch_norm", {x, gamma, beta}, outputs, relu);
    int64_t zeros = 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(cut[0].at<float>(i), std::max(plain[0].at<float>(i), 0.0f));
      zeros += cut[0].at<float>(i) == 0;
    }
    EXPECT(zeros > 0 && zeros < x.size());
    const auto all = run_every_way("batch_norm", {x, gamma, beta}, {spec, per_channel, per_channel, per_channel, per_channel}, relu);
    for (int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(all[0].at<float>(i), cut[0].at<float>(i));
    const Buffer dy = random_buffer(spec, 4), masked(spec);
    for (int64_t i = 0; i < x.size(); ++i) masked.at<float>(i) = cut[0].at<float>(i) > 0 ? dy.at<float>(i) : 0;
    const auto expected = run_kernel("batch_norm_grad", {x, masked, gamma, plain[1], plain[2]}, outputs, kAttributes);
    const auto got = run_every_way("batch_norm_grad", {x, dy, gamma, plain[1], plain[2], all[3], all[4]}, outputs, kAttributes);
    for (int k = 0; k < 3; ++k) {
      for (int64_t i = 0; i < got[k].size(); ++i) EXPECT_EQ(got[k].at<float>(i), expected[k].at<float>(i));
    }
  }
  const Buffer x = random_buffer({4, 3}), c = random_buffer({3});
  Attributes tanh = kAttributes;
  tanh["activation"] = std::string("tanh");
  EXPECT_THROWS(run_kernel("batch_norm", {x, c, c}, {x.spec(), c.spec(), c.spec()}, tanh), std::invalid_argument, "activation must be");
}

TEST(batch_norm_adds_a_residual_before_relu) {
  for (const auto& [rows, channels] : {std::pair<int64_t, int64_t>{31, 3}, {130, 40}, {5003, 64}}) {
    const Spec spec = make_spec({rows, channels}), per_channel = make_spec({channels});
    const Buffer x = random_buffer(spec, 1), gamma = random_buffer(per_channel, 2, -1, 2), beta = random_buffer(per_channel, 3);
    const Buffer other = random_buffer(spec, 5);
    const std::vector<Spec> outputs = {spec, per_channel, per_channel};
    const auto plain = run_kernel("batch_norm", {x, gamma, beta}, outputs, kAttributes);
    for (const char* activation : {"none", "relu"}) {
      Attributes attributes = kAttributes;
      attributes["activation"] = std::string(activation);
      attributes["residual"] = int64_t{1};
      const auto got = run_every_way("batch_norm", {x, gamma, beta, other}, outputs, attributes);
      for (int64_t i = 0; i < x.size(); ++i) {
        const float sum = plain[0].at<float>(i) + other.at<float>(i);
        EXPECT_EQ(got[0].at<float>(i), activation[0] == 'r' ? std::max(sum, 0.0f) : sum);
      }
    }
  }
  const Buffer x = random_buffer({4, 3}), c = random_buffer({3}), wide = random_buffer({4, 4});
  Attributes attributes = kAttributes;
  attributes["residual"] = int64_t{1};
  const std::vector<Spec> outputs = {x.spec(), c.spec(), c.spec()};
  EXPECT_THROWS(run_kernel("batch_norm", {x, c, c}, outputs, attributes), std::invalid_argument, "needs a fourth input");
  EXPECT_THROWS(run_kernel("batch_norm", {x, c, c, wide}, outputs, attributes), std::invalid_argument, "the residual must have the shape");
}

TEST(batch_norm_is_stable_far_from_zero) {
  // E[x^2] - mean^2 would lose every digit here.
  check_batch_norm(4000, 5, DType::kFloat32, 1000);
  check_batch_norm(4000, 64, DType::kFloat32, 1000);
}

TEST(batch_norm_of_rows_that_drift) {
  // Blocks take their bearings from their first rows: here those are far from the rest, and every block from every other.
  const Spec spec = make_spec({3000, 40}), per_channel = make_spec({40});
  const Buffer x = random_buffer(spec), gamma = random_buffer(per_channel, 2, 0.5, 2), beta = random_buffer(per_channel, 3);
  for (int64_t i = 0; i < x.size(); ++i)
    x.at<float>(i) = x.at<float>(i) * 0.01f + static_cast<float>(i / 40 / 700) + (i / 40 % 64 < 9 ? 500.0f : 0.0f);
  const auto outputs = run_every_way("batch_norm", {x, gamma, beta}, {spec, per_channel, per_channel}, kAttributes);
  const Moments m = column_moments(x, 3000, 40);
  expect_close(outputs[1], m.mean, 1e-7);
  expect_close(outputs[2], m.variance, 1e-6);
}

TEST(batch_norm_keeps_nan_in_its_channel) {
  const Spec spec = make_spec({100, 20}), per_channel = make_spec({20});
  const Buffer x = random_buffer(spec), gamma = random_buffer(per_channel), beta = random_buffer(per_channel);
  x.at<float>(7 * 20 + 3) = NAN;
  const auto outputs = run_every_way("batch_norm", {x, gamma, beta}, {spec, per_channel, per_channel}, kAttributes);
  for (int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(std::isnan(outputs[0].at<float>(i)), i % 20 == 3);
}

TEST(batch_norm_over_leading_axes) {
  const Spec spec = make_spec({2, 3, 5, 6}), flat = make_spec({30, 6}), per_channel = make_spec({6});
  const Buffer x = random_buffer(spec), matrix = random_buffer(flat), gamma = random_buffer(per_channel, 2), beta = random_buffer(per_channel, 3);
  const auto a = run_kernel("batch_norm", {x, gamma, beta}, {spec, per_channel, per_channel}, kAttributes);
  const auto b = run_kernel("batch_norm", {matrix, gamma, beta}, {flat, per_channel, per_channel}, kAttributes);
  EXPECT(a[0].same_bytes(b[0]) && a[1].same_bytes(b[1]) && a[2].same_bytes(b[2]));
}

// ---- layer_norm ----

// The first eighth of every row is off the rest by `step`.
void check_layer_norm(int64_t rows, int64_t columns, DType dtype, double offset = 0, float step = 0) {
  const Spec spec = make_spec({rows, columns}, dtype), per_column = make_spec({columns}, dtype), per_row = make_spec({rows}, dtype);
  const Buffer x = random_buffer(spec, 1), gamma = random_buffer(per_column, 2, 0.5, 2), beta = random_buffer(per_column, 3);
  add(x, offset);
  for (int64_t i = 0; step != 0 && i < x.size(); ++i) x.at<float>(i) += i % columns < columns / 8 ? step : 0;
  const auto outputs = run_every_way("layer_norm", {x, gamma, beta}, {spec, per_row, per_row}, kAttributes);
  std::vector<double> y(rows * columns), means, rstds;
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int64_t j = 0; j < columns; ++j) mean += get(x, r * columns + j) / columns;
    for (int64_t j = 0; j < columns; ++j) variance += std::pow(get(x, r * columns + j) - mean, 2) / columns;
    means.push_back(mean);
    rstds.push_back(1 / std::sqrt(variance + kEpsilon));
    for (int64_t j = 0; j < columns; ++j) y[r * columns + j] = (get(x, r * columns + j) - mean) * rstds[r] * get(gamma, j) + get(beta, j);
  }
  expect_close(outputs[0], y, tolerance_of(dtype));
  expect_close(outputs[1], means, tolerance_of(dtype));
  expect_close(outputs[2], rstds, tolerance_of(dtype));
}

void check_layer_norm_grad(int64_t rows, int64_t columns, DType dtype) {
  const Spec spec = make_spec({rows, columns}, dtype), per_column = make_spec({columns}, dtype), per_row = make_spec({rows}, dtype);
  const Buffer x = random_buffer(spec, 1), dy = random_buffer(spec, 4), gamma = random_buffer(per_column, 2, 0.5, 2),
               beta = random_buffer(per_column, 3);
  const auto forward = run_kernel("layer_norm", {x, gamma, beta}, {spec, per_row, per_row}, kAttributes);
  const auto outputs = run_every_way("layer_norm_grad", {x, dy, gamma, forward[1], forward[2]}, {spec, per_column, per_column});
  std::vector<double> dx(rows * columns), dgamma(columns), dbeta(columns);
  double scale = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const double mean = get(forward[1], r), rstd = get(forward[2], r);
    double sum = 0, products = 0;
    scale = std::max(scale, rstd);
    const auto xhat = [&](int64_t j) { return (get(x, r * columns + j) - mean) * rstd; };
    for (int64_t j = 0; j < columns; ++j) {
      const double up = get(dy, r * columns + j), g = up * get(gamma, j);
      sum += g;
      products += g * xhat(j);
      dgamma[j] += up * xhat(j);
      dbeta[j] += up;
    }
    for (int64_t j = 0; j < columns; ++j) {
      dx[r * columns + j] = rstd * (get(dy, r * columns + j) * get(gamma, j) - sum / columns - xhat(j) * products / columns);
    }
  }
  expect_close(outputs[0], dx, 2 * tolerance_of(dtype), scale);
  expect_close(outputs[1], dgamma, tolerance_of(dtype), 1);
  expect_close(outputs[2], dbeta, tolerance_of(dtype), 1);
}

TEST(layer_norm_of_many_shapes) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (int64_t columns : {1, 2, 3, 7, 8, 9, 15, 16, 17, 40, 64, 65, 100, 256, 300, 1000}) {
      for (int64_t rows : {1, 3, 4, 7, 50}) check_layer_norm(rows, columns, dtype);
    }
    check_layer_norm(1000, 70, dtype);
    check_layer_norm(3, 40000, dtype);
  }
}

TEST(layer_norm_gradient_of_many_shapes) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (int64_t columns : {2, 3, 7, 8, 9, 15, 16, 17, 40, 64, 65, 100, 256, 300, 1000}) {
      for (int64_t rows : {1, 3, 4, 7, 50}) check_layer_norm_grad(rows, columns, dtype);
    }
    check_layer_norm_grad(1000, 70, dtype);
    check_layer_norm_grad(3, 40000, dtype);
  }
}

// Beyond 12 MB results go past the caches.
TEST(layer_norm_of_large_arrays) {
  check_layer_norm(6203, 512, DType::kFloat32);
  check_layer_norm_grad(6203, 512, DType::kFloat32);
}

TEST(layer_norm_is_stable_far_from_zero) { check_layer_norm(20, 500, DType::kFloat32, 1000); }

TEST(layer_norm_of_rows_whose_first_eighth_is_unlike_the_rest) {
  for (const int64_t columns : {256, 500, 4096}) {
    check_layer_norm(20, columns, DType::kFloat32, 0, 300);
    check_layer_norm(20, columns, DType::kFloat32, 100, -30);
  }
}

TEST(layer_norm_of_a_row_does_not_depend_on_its_neighbours) {
  const Spec many = make_spec({11, 77}), one = make_spec({1, 77}), per_column = make_spec({77});
  const Buffer x = random_buffer(many), gamma = random_buffer(per_column, 2), beta = random_buffer(per_column, 3);
  const Buffer all = run_kernel("layer_norm", {x, gamma, beta}, {many, make_spec({11}), make_spec({11})}, kAttributes)[0];
  for (int64_t r = 0; r < 11; ++r) {
    Buffer row(one);
    std::memcpy(row.data(), x.as<float>() + r * 77, one.bytes());
    const Buffer alone = run_kernel("layer_norm", {row, gamma, beta}, {one, make_spec({1}), make_spec({1})}, kAttributes)[0];
    EXPECT(std::memcmp(alone.data(), all.as<float>() + r * 77, one.bytes()) == 0);
  }
}

// ---- rms_norm ----

void check_rms_norm(int64_t rows, int64_t columns, DType dtype, bool unit) {
  const Spec spec = make_spec({rows, columns}, dtype), per_column = make_spec({columns}, dtype), per_row = make_spec({rows}, dtype);
  const Buffer x = random_buffer(spec, 1), dy = random_buffer(spec, 4), gamma = random_buffer(per_column, 2, 0.5, 2);
  // A row below the norm that is cut, and one of nothing.
  const double epsilon = unit ? 1e-6 : kEpsilon;
  for (int64_t j = 0; j < columns && rows > 2; ++j) {
    dtype == DType::kFloat32 ? (x.at<float>(j) *= 1e-5f) : (x.at<double>(j) *= 1e-5);
    dtype == DType::kFloat32 ? (x.at<float>(columns + j) = 0) : (x.at<double>(columns + j) = 0);
  }
  const Attributes attributes = {{"epsilon", epsilon}, {"unit", int64_t{unit}}};
  const auto forward = run_every_way("rms_norm", {x, gamma}, {spec, per_row}, attributes);
  const auto backward = run_every_way("rms_norm_grad", {x, dy, gamma, forward[1]}, {spec, per_column}, attributes);
  std::vector<double> y(rows * columns), rstds, dgamma(columns);
  for (int64_t r = 0; r < rows; ++r) {
    double square = 0, product = 0;
    for (int64_t j = 0; j < columns; ++j) square += std::pow(get(x, r * columns + j), 2) / (unit ? 1 : columns);
    const double rstd = 1 / std::sqrt(unit ? std::max(square, epsilon) : square + epsilon);
    rstds.push_back(rstd);
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t i = r * columns + j;
      y[i] = get(x, i) * rstd * get(gamma, j);
      product += get(dy, i) * get(gamma, j) * get(x, i);
      dgamma[j] += get(dy, i) * get(x, i) * rstd;
    }
    if (unit && square < epsilon) product = 0;
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t i = r * columns + j;
      const double dx = rstd * (get(dy, i) * get(gamma, j) - get(x, i) * rstd * rstd * product / (unit ? 1 : columns));
      EXPECT_NEAR((get(backward[0], i) - dx) / rstd, 0, 4 * tolerance_of(dtype));
    }
  }
  expect_close(forward[0], y, tolerance_of(dtype));
  expect_close(forward[1], rstds, tolerance_of(dtype));
  expect_close(backward[1], dgamma, 2 * tolerance_of(dtype), 1);
}

TEST(rms_norm_of_many_shapes) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const bool unit : {false, true}) {
      for (int64_t columns : {1, 3, 15, 16, 17, 64, 100, 256, 300, 1000}) {
        for (int64_t rows : {1, 3, 4, 7, 50}) check_rms_norm(rows, columns, dtype, unit);
      }
      check_rms_norm(1000, 70, dtype, unit);
    }
  }
  check_rms_norm(6203, 512, DType::kFloat32, false);
}

TEST(rms_norm_of_huge_numbers_is_zero_not_nan) {
  const Buffer x = random_buffer({2, 40}, 1, 1e25, 2e25), gamma = random_buffer({40}, 2);
  const auto outputs = run_every_way("rms_norm", {x, gamma}, {x.spec(), make_spec({2})}, kAttributes);
  for (int64_t i = 0; i < x.size(); ++i) EXPECT(outputs[0].at<float>(i) == 0);
}

TEST(norms_of_bfloat16) {
  for (int64_t c : {1, 3, 16, 17, 64, 100, 300}) {
    for (int64_t r : {2, 7, 300, 3000}) {
      const Spec x = make_spec({r, c}), per_channel = make_spec({c}), per_row = make_spec({r});
      const Buffer values = random_buffer(x), dy = random_buffer(x, 2), gamma = random_buffer(per_channel, 3, 0.5, 2),
                   beta = random_buffer(per_channel, 4);
      const Buffer mean = random_buffer(per_channel, 5, -0.1, 0.1), variance = random_buffer(per_channel, 6, 0.5, 1);
      const Buffer row_mean = random_buffer(per_row, 7, -0.1, 0.1), rstd = random_buffer(per_row, 8, 1, 2);
      expect_bfloat16_like_float32("batch_norm", {values, gamma, beta}, {x, per_channel, per_channel}, kAttributes, 1);
      expect_bfloat16_like_float32("batch_norm_grad", {values, dy, gamma, mean, variance}, {x, per_channel, per_channel}, kAttributes, 1);
      expect_bfloat16_like_float32("layer_norm", {values, gamma, beta}, {x, per_row, per_row}, kAttributes, 0);
      expect_bfloat16_like_float32("layer_norm_grad", {values, dy, gamma, row_mean, rstd}, {x, per_channel, per_channel}, {}, 1);
      const Spec image = make_spec({1, r, c}), per_group = make_spec({1, 1});
      const Attributes one_group = {{"epsilon", kEpsilon}, {"groups", int64_t{1}}};
      expect_bfloat16_like_float32("group_norm", {random_buffer(image), gamma, beta}, {image, per_group, per_group}, one_group, 0);
      expect_bfloat16_like_float32("rms_norm", {values, gamma}, {x, per_row}, kAttributes, 0);
      expect_bfloat16_like_float32("rms_norm_grad", {values, dy, gamma, rstd}, {x, per_channel}, kAttributes, 1);
    }
  }
}

TEST(norms_of_nothing) {
  const Spec per_channel = make_spec({5});
  const Buffer gamma = random_buffer(per_channel), beta = random_buffer(per_channel);
  run_every_way("layer_norm", {Buffer(make_spec({0, 5})), gamma, beta}, {make_spec({0, 5}), make_spec({0}), make_spec({0})}, kAttributes);
  const auto gradient =
      run_every_way("layer_norm_grad", {Buffer(make_spec({0, 5})), Buffer(make_spec({0, 5})), gamma, Buffer(make_spec({0})), Buffer(make_spec({0}))},
                    {make_spec({0, 5}), per_channel, per_channel});
  for (int64_t i = 0; i < 5; ++i) EXPECT(gradient[1].at<float>(i) == 0 && gradient[2].at<float>(i) == 0);
  const auto batch =
      run_every_way("batch_norm", {Buffer(make_spec({0, 5})), gamma, beta}, {make_spec({0, 5}), per_channel, per_channel}, kAttributes);
  for (int64_t i = 0; i < 5; ++i) EXPECT(std::isnan(batch[1].at<float>(i)));
}

TEST(norms_reject_what_does_not_fit) {
  const Buffer x = random_buffer({4, 5}), gamma = random_buffer({5}), short_gamma = random_buffer({4});
  EXPECT_THROWS(run_kernel("batch_norm", {x, short_gamma, gamma}, {x.spec(), gamma.spec(), gamma.spec()}, kAttributes), std::invalid_argument,
                "gamma must be a float32 vector of 5 channels");
  EXPECT_THROWS(run_kernel("layer_norm", {x, gamma, short_gamma}, {x.spec(), make_spec({4}), make_spec({4})}, kAttributes), std::invalid_argument,
                "beta must be a float32 vector of 5 channels");
  EXPECT_THROWS(run_kernel("layer_norm", {x, gamma, gamma}, {x.spec(), gamma.spec(), make_spec({4})}, kAttributes), std::invalid_argument,
                "mean must have x's dtype and all its axes but the last");
  EXPECT_THROWS(run_kernel("layer_norm", {x, gamma, gamma}, {x.spec(), make_spec({4}), make_spec({4})}), std::invalid_argument, "epsilon");
}

}  // namespace
}  // namespace nnlite::test
