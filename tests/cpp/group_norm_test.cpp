#include "norm_check.h"

namespace nnlite::test {
namespace {

struct GroupShape {
  int64_t samples, positions, channels, groups;
};

void check_group_norm(const GroupShape& g, DType dtype, double offset = 0) {
  const Spec spec = make_spec({g.samples, g.positions, g.channels}, dtype), per_channel = make_spec({g.channels}, dtype),
             per_group = make_spec({g.samples, g.groups}, dtype);
  const Buffer x = random_buffer(spec, 1), dy = random_buffer(spec, 4), gamma = random_buffer(per_channel, 2, 0.5, 2),
               beta = random_buffer(per_channel, 3);
  add(x, offset);
  const Attributes groups = {{"groups", g.groups}};
  Attributes attributes = groups;
  attributes["epsilon"] = kEpsilon;
  const auto forward = run_every_way("group_norm", {x, gamma, beta}, {spec, per_group, per_group}, attributes);
  const auto backward = run_every_way("group_norm_grad", {x, dy, gamma, forward[1], forward[2]}, {spec, per_channel, per_channel}, groups);
  const int64_t width = g.channels / g.groups, statistics = g.samples * g.groups;
  const double count = static_cast<double>(width * g.positions);
  const auto of = [&](int64_t i) { return i / (g.positions * g.channels) * g.groups + i % g.channels / width; };
  std::vector<double> mean(statistics), variance(statistics), rstd(statistics), sum(statistics), product(statistics), y(x.size()), dx(x.size());
  std::vector<double> dgamma(g.channels), dbeta(g.channels);
  for (int64_t i = 0; i < x.size(); ++i) mean[of(i)] += get(x, i) / count;
  for (int64_t i = 0; i < x.size(); ++i) variance[of(i)] += std::pow(get(x, i) - mean[of(i)], 2) / count;
  for (int64_t k = 0; k < statistics; ++k) rstd[k] = 1 / std::sqrt(variance[k] + kEpsilon);
  const auto xhat = [&](int64_t i) { return (get(x, i) - mean[of(i)]) * rstd[of(i)]; };
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t c = i % g.channels;
    y[i] = xhat(i) * get(gamma, c) + get(beta, c);
    sum[of(i)] += get(dy, i) * get(gamma, c) / count;
    product[of(i)] += get(dy, i) * get(gamma, c) * xhat(i) / count;
    dgamma[c] += get(dy, i) * xhat(i);
    dbeta[c] += get(dy, i);
  }
  double scale = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    dx[i] = rstd[of(i)] * (get(dy, i) * get(gamma, i % g.channels) - sum[of(i)] - xhat(i) * product[of(i)]);
    scale = std::max(scale, rstd[of(i)]);
  }
  // The mean is rounded, as is x.
  const double tolerance = tolerance_of(dtype) * (1 + std::fabs(offset) / 4);
  expect_close(forward[0], y, tolerance);
  expect_close(forward[1], mean, tolerance_of(dtype), 1);
  expect_close(forward[2], rstd, tolerance_of(dtype));
  expect_close(backward[0], dx, 2 * tolerance, scale);
  expect_close(backward[1], dgamma, tolerance, 1);
  expect_close(backward[2], dbeta, tolerance_of(dtype), 1);
}

TEST(group_norm_of_many_shapes) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const GroupShape& g : {GroupShape{2, 49, 32, 8}, {3, 64, 8, 2}, {1, 5, 6, 3}, {4, 7, 7, 1}, {5, 1, 48, 4}, {2, 200, 20, 20}, {2, 2, 70, 35},
                                {3, 1000, 17, 1}, {1, 3000, 3, 3}, {70, 12, 64, 32}, {2, 1111, 96, 6}}) {
      check_group_norm(g, dtype);
    }
    // Large samples go in phases.
    check_group_norm({2, 3001, 64, 32}, dtype);
    check_group_norm({3, 5000, 12, 4}, dtype);
  }
}

TEST(group_norm_is_stable_far_from_zero) {
  check_group_norm({2, 400, 32, 4}, DType::kFloat32, 1000);
  check_group_norm({1, 5000, 32, 4}, DType::kFloat32, 1000);
}

TEST(group_norm_of_a_sample_does_not_depend_on_its_neighbours) {
  for (const int64_t positions : {33, 3001}) {
    const Spec many = make_spec({3, positions, 40}), one = make_spec({1, positions, 40}), per_channel = make_spec({40});
    const Buffer x = random_buffer(many), gamma = random_buffer(per_channel, 2), beta = random_buffer(per_channel, 3);
    const Attributes attributes = {{"epsilon", kEpsilon}, {"groups", int64_t{5}}};
    const Buffer all = run_kernel("group_norm", {x, gamma, beta}, {many, make_spec({3, 5}), make_spec({3, 5})}, attributes)[0];
    for (int64_t n = 0; n < 3; ++n) {
      Buffer sample(one);
      std::memcpy(sample.data(), x.as<float>() + n * positions * 40, one.bytes());
      const Buffer alone = run_kernel("group_norm", {sample, gamma, beta}, {one, make_spec({1, 5}), make_spec({1, 5})}, attributes)[0];
      EXPECT(std::memcmp(alone.data(), all.as<float>() + n * positions * 40, one.bytes()) == 0);
    }
  }
}

TEST(group_norm_keeps_nan_in_its_group) {
  const Spec spec = make_spec({2, 9, 12}), per_channel = make_spec({12}), per_group = make_spec({2, 3});
  const Buffer x = random_buffer(spec), gamma = random_buffer(per_channel), beta = random_buffer(per_channel);
  x.at<float>(9 * 12 + 5) = NAN;
  const auto outputs = run_every_way("group_norm", {x, gamma, beta}, {spec, per_group, per_group}, {{"epsilon", kEpsilon}, {"groups", int64_t{3}}});
  for (int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(std::isnan(outputs[0].at<float>(i)), i >= 9 * 12 && i % 12 / 4 == 1);
}

TEST(group_norm_of_nothing_and_of_what_does_not_fit) {
  const Buffer x(make_spec({0, 4, 6})), c = random_buffer({6});
  const Spec per_group = make_spec({0, 2});
  run_every_way("group_norm", {x, c, c}, {x.spec(), per_group, per_group}, {{"epsilon", kEpsilon}, {"groups", int64_t{2}}});
  const auto gradient = run_every_way("group_norm_grad", {x, x, c, Buffer(per_group), Buffer(per_group)}, {x.spec(), c.spec(), c.spec()},
                                      {{"groups", int64_t{2}}});
  for (int64_t i = 0; i < 6; ++i) EXPECT(gradient[1].at<float>(i) == 0 && gradient[2].at<float>(i) == 0);
  EXPECT_THROWS(run_kernel("group_norm", {x, c, c}, {x.spec(), per_group, per_group}, {{"epsilon", kEpsilon}, {"groups", int64_t{4}}}),
                std::invalid_argument, "multiple of groups");
}

}  // namespace
}  // namespace nnlite::test
