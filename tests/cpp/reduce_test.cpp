#include <algorithm>
#include <limits>
#include <numeric>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

// For every output, the indices of the inputs it combines, in order.
std::vector<std::vector<int64_t>> groups_of(const Spec& x, const std::vector<int64_t>& axes) {
  int64_t outputs = 1;
  for (int d = 0; d < x.rank; ++d) outputs *= std::count(axes.begin(), axes.end(), d) ? 1 : x.dims[d];
  std::vector<std::vector<int64_t>> groups(outputs);
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (int d = x.rank - 1; d >= 0; --d) {
      if (!std::count(axes.begin(), axes.end(), d)) {
        at += rest % x.dims[d] * stride;
        stride *= x.dims[d];
      }
      rest /= x.dims[d];
    }
    groups[at].push_back(i);
  }
  return groups;
}

Spec reduced_spec(const Spec& x, const std::vector<int64_t>& axes) {
  Spec out;
  out.dtype = x.dtype;
  for (int d = 0; d < x.rank; ++d) {
    if (!std::count(axes.begin(), axes.end(), d)) out.dims[out.rank++] = x.dims[d];
  }
  return out;
}

Attributes axes_attributes(const std::vector<int64_t>& axes) {
  Attributes attributes;
  attributes["axes"] = axes;
  attributes["keepdims"] = int64_t{0};
  return attributes;
}

bool is_float(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kBFloat16; }
double epsilon(DType dtype) { return dtype == DType::kFloat64 ? 1.2e-16 : dtype == DType::kFloat32 ? 6e-8 : 4e-3; }

void check_reductions(Spec spec, const std::vector<int64_t>& axes, DType dtype) {
  spec.dtype = dtype;
  // Products near 1: no denormal numbers, which teams count as zero.
  const Buffer near_one = random_buffer(spec, 3, 0.72, 1.3);
  const Buffer signed_values = random_buffer(spec, 4,
                                             is_float(dtype)                                   ? -1
                                             : dtype == DType::kUInt8 || dtype == DType::kBool ? 0
                                                                                               : -3,
                                             is_float(dtype) ? 1.2 : 4);
  const Spec out = reduced_spec(spec, axes);
  const auto groups = groups_of(spec, axes);
  const bool empty = !groups.empty() && groups[0].empty();
  for (const char* name : {"sum", "max", "min", "prod"}) {
    const std::string kind = name;
    if (kind == "prod" && !groups.empty() && groups[0].size() > 1000) continue;
    if ((empty && (kind == "max" || kind == "min")) || (dtype == DType::kBool && (kind == "sum" || kind == "prod"))) continue;
    const Buffer& x = kind == "prod" && is_float(dtype) ? near_one : signed_values;
    const Buffer y = run_every_way(kind, {x}, {out}, axes_attributes(axes))[0];
    for (int64_t o = 0; o < out.size(); ++o) {
      long double sum = 0, prod = 1;
      double size = 0, most = -1e300, least = 1e300;
      uint64_t wrapped = 1;
      for (const int64_t i : groups[o]) {
        const double v = value_at(x, i);
        sum += v;
        size += std::fabs(v);
        prod *= v;
        wrapped *= static_cast<uint64_t>(static_cast<int64_t>(v));
        most = std::max(most, v);
        least = std::min(least, v);
      }
      const double got = value_at(y, o);
      if (kind == "max") EXPECT_EQ(got, most);
      if (kind == "min") EXPECT_EQ(got, least);
      if (is_float(dtype)) {
        // Many terms: far below the naive sum's error of n epsilon.
        if (kind == "sum") {
          EXPECT_NEAR(got, static_cast<double>(sum),
                      epsilon(dtype) * (std::fabs(static_cast<double>(sum)) + 6 * size * (dtype != DType::kBFloat16) + 1e-4 * size));
        }
        if (kind == "prod") {
          EXPECT_NEAR(got, static_cast<double>(prod), static_cast<double>(prod) * epsilon(dtype) * (groups[o].size() + 1.0) + 1e-38);
        }
      } else {
        const auto wrap = [&](uint64_t v) -> double {
          switch (dtype) {
            case DType::kInt32: return static_cast<int32_t>(v);
            case DType::kInt8: return static_cast<int8_t>(v);
            case DType::kUInt8: return static_cast<uint8_t>(v);
            default: return static_cast<double>(static_cast<int64_t>(v));
          }
        };
        if (kind == "sum") EXPECT_EQ(got, wrap(static_cast<uint64_t>(static_cast<int64_t>(sum))));
        if (kind == "prod") EXPECT_EQ(got, wrap(wrapped));
      }
    }
  }
}

TEST(reduce_all_forms_and_dtypes) {
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kInt32, DType::kInt64, DType::kInt8, DType::kUInt8, DType::kBool}) {
    check_reductions(make_spec({}), {}, dtype);
    check_reductions(make_spec({1}), {0}, dtype);
    check_reductions(make_spec({17}), {0}, dtype);
    check_reductions(make_spec({5, 3}), {}, dtype);
    check_reductions(make_spec({40, 10}), {1}, dtype);
    check_reductions(make_spec({40, 10}), {0}, dtype);
    check_reductions(make_spec({40, 70}), {0}, dtype);
    check_reductions(make_spec({6, 7, 35}), {1}, dtype);
    check_reductions(make_spec({6, 7, 35}), {0, 2}, dtype);
    check_reductions(make_spec({4, 3, 5, 6}), {0, 2}, dtype);
    check_reductions(make_spec({4, 3, 5, 6}), {1, 3}, dtype);
    check_reductions(make_spec({2, 3, 2, 3, 2, 3, 2, 3}), {0, 2, 4, 6}, dtype);
    check_reductions(make_spec({2, 3, 2, 3, 2, 3, 2, 3}), {1, 3, 5, 7}, dtype);
    check_reductions(make_spec({1, 5, 1}), {0, 2}, dtype);
    check_reductions(make_spec({0, 5}), {0}, dtype);
    check_reductions(make_spec({5, 0}), {0}, dtype);
    check_reductions(make_spec({0}), {0}, dtype);
  }
}

TEST(reduce_in_many_chunks) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32}) {
    check_reductions(make_spec({100001}), {0}, dtype);
    check_reductions(make_spec({2, 70003}), {1}, dtype);
    check_reductions(make_spec({30000, 5}), {0}, dtype);
    check_reductions(make_spec({100, 1100}), {0}, dtype);
    check_reductions(make_spec({3, 500, 64}), {1}, dtype);
    check_reductions(make_spec({50, 3, 40, 10}), {0, 2}, dtype);
    check_reductions(make_spec({20000, 3}), {1}, dtype);
  }
}

TEST(reduce_sum_stays_accurate_over_many_equal_terms) {
  const Spec spec = make_spec({1 << 20});
  const Buffer x(spec);
  for (int64_t i = 0; i < spec.size(); ++i) x.at<float>(i) = 0.1f;
  const double want = static_cast<double>(0.1f) * spec.size();
  EXPECT_NEAR(run_every_way("sum", {x}, {make_spec({})}, axes_attributes({0}))[0].at<float>(0), want, want * 2e-7);
}

TEST(reduce_max_passes_nan_on) {
  for (const char* name : {"max", "min"}) {
    for (const int64_t n : {1, 5, 16, 70, 5000}) {
      for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
        const Buffer x = random_buffer({2, n});
        x.at<float>(n + at) = std::numeric_limits<float>::quiet_NaN();
        const Buffer y = run_every_way(name, {x}, {make_spec({2})}, axes_attributes({1}))[0];
        EXPECT(!std::isnan(y.at<float>(0)));
        EXPECT(std::isnan(y.at<float>(1)));
        const Buffer z = run_every_way(name, {x}, {make_spec({n})}, axes_attributes({0}))[0];
        EXPECT(std::isnan(z.at<float>(at)));
      }
    }
  }
}

TEST(reduce_max_of_infinities) {
  const float inf = std::numeric_limits<float>::infinity();
  const Buffer x(make_spec({3}), {-inf, -inf, -inf});
  EXPECT_EQ(value_at(run_every_way("max", {x}, {make_spec({})}, axes_attributes({0}))[0], 0), -inf);
  EXPECT_EQ(value_at(run_every_way("sum", {x}, {make_spec({})}, axes_attributes({0}))[0], 0), -inf);
}

TEST(argmax_and_argmin) {
  const auto attributes = [](int64_t axis) {
    Attributes a;
    a["axis"] = axis;
    return a;
  };
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kInt32, DType::kInt64, DType::kInt8, DType::kUInt8, DType::kBool}) {
    for (const auto& dims : {std::vector<int64_t>{7}, {1}, {33, 10}, {4, 50, 3}, {3, 2, 700}, {200, 130}}) {
      Spec spec;
      spec.dtype = dtype;
      for (const int64_t d : dims) spec.dims[spec.rank++] = d;
      // Few different values, so that ties are frequent.
      const Buffer x = random_buffer(spec, 5, 0, 6);
      if (dtype == DType::kFloat32) {
        for (int64_t i = 0; i < x.size(); ++i) x.at<float>(i) = i % 41 == 17 ? std::numeric_limits<float>::quiet_NaN() : std::floor(x.at<float>(i));
      }
      for (int axis = 0; axis < spec.rank; ++axis) {
        const auto groups = groups_of(spec, {axis});
        Spec out = reduced_spec(spec, {axis});
        out.dtype = DType::kInt32;
        const Buffer most = run_every_way("argmax", {x}, {out}, attributes(axis))[0],
                     least = run_every_way("argmin", {x}, {out}, attributes(axis))[0];
        for (int64_t o = 0; o < out.size(); ++o) {
          int32_t want_most = 0, want_least = 0;
          for (size_t k = 1; k < groups[o].size(); ++k) {
            const double v = value_at(x, groups[o][k]), a = value_at(x, groups[o][want_most]), b = value_at(x, groups[o][want_least]);
            if (!std::isnan(a) && (v > a || std::isnan(v))) want_most = static_cast<int32_t>(k);
            if (!std::isnan(b) && (v < b || std::isnan(v))) want_least = static_cast<int32_t>(k);
          }
          EXPECT_EQ(most.at<int32_t>(o), want_most);
          EXPECT_EQ(least.at<int32_t>(o), want_least);
        }
      }
    }
  }
}

TEST(cumsum_both_ways) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64, DType::kInt8, DType::kUInt8}) {
    for (const auto& dims : {std::vector<int64_t>{9}, {0}, {30, 10}, {4, 50, 3}, {3, 2, 700}}) {
      Spec spec;
      spec.dtype = dtype;
      for (const int64_t d : dims) spec.dims[spec.rank++] = d;
      const Buffer x = random_buffer(spec, 5, 0, 3);
      for (int axis = 0; axis < spec.rank; ++axis) {
        for (const bool reverse : {false, true}) {
          Attributes attributes;
          attributes["axis"] = int64_t{axis};
          attributes["reverse"] = int64_t{reverse};
          const Buffer y = run_every_way("cumsum", {x}, {spec}, attributes)[0];
          for (auto group : groups_of(spec, {axis})) {
            if (reverse) std::reverse(group.begin(), group.end());
            double total = 0;
            for (const int64_t i : group) {
              total += value_at(x, i);
              const double want = dtype == DType::kInt8    ? static_cast<int8_t>(static_cast<int64_t>(total))
                                  : dtype == DType::kUInt8 ? static_cast<uint8_t>(static_cast<int64_t>(total))
                                                           : total;
              EXPECT_NEAR(value_at(y, i), want, dtype == DType::kFloat32 ? total * 1e-5 : dtype == DType::kFloat64 ? total * 1e-14 : 0);
            }
          }
        }
      }
    }
  }
}

TEST(reduce_refuses_wrong_axes) {
  const Buffer x = random_buffer({4, 5});
  EXPECT_THROWS(run_kernel("sum", {x}, {make_spec({4})}, axes_attributes({2})), std::invalid_argument, "'axes'");
  EXPECT_THROWS(run_kernel("sum", {x}, {make_spec({3})}, axes_attributes({1})), std::invalid_argument, "4 results");
}

}  // namespace
}  // namespace nnlite::test
