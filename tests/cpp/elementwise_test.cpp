#include <cmath>
#include <functional>
#include <limits>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

const double kInf = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double numpy_mod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r == 0 ? std::copysign(0.0, b) : r;
}

struct Case {
  const char* name;
  std::function<double(double, double, double)> reference;
  int inputs;
  double low, high;
  double ulps;  // allowed error in units in the last place of the dtype
  bool truth = false;
};

const Case kFloatCases[] = {
    {"negative", [](double a, double, double) { return -a; }, 1, -5, 5, 0},
    {"abs", [](double a, double, double) { return std::fabs(a); }, 1, -5, 5, 0},
    {"sign", [](double a, double, double) { return sign_of(a); }, 1, -5, 5, 0},
    {"exp", [](double a, double, double) { return std::exp(a); }, 1, -20, 20, 1.1},
    {"expm1", [](double a, double, double) { return std::expm1(a); }, 1, -3, 3, 2},
    {"log", [](double a, double, double) { return std::log(a); }, 1, 0.01, 5, 1.1},
    {"log1p", [](double a, double, double) { return std::log1p(a); }, 1, -0.9, 5, 1.1},
    {"sqrt", [](double a, double, double) { return std::sqrt(a); }, 1, 0, 5, 0.51},
    {"rsqrt", [](double a, double, double) { return 1 / std::sqrt(a); }, 1, 0.01, 5, 1.6},
    {"reciprocal", [](double a, double, double) { return 1 / a; }, 1, 0.01, 5, 0.51},
    {"square", [](double a, double, double) { return a * a; }, 1, -5, 5, 0.51},
    {"sin", [](double a, double, double) { return std::sin(a); }, 1, -50, 50, 1.6},
    {"cos", [](double a, double, double) { return std::cos(a); }, 1, -50, 50, 1.6},
    {"tan", [](double a, double, double) { return std::tan(a); }, 1, -50, 50, 3.5},
    {"tanh", [](double a, double, double) { return std::tanh(a); }, 1, -5, 5, 2.6},
    {"sigmoid", [](double a, double, double) { return 1 / (1 + std::exp(-a)); }, 1, -20, 20, 3.5},
    {"erf", [](double a, double, double) { return std::erf(a); }, 1, -4, 4, 2.1},
    {"gelu", [](double a, double, double) { return 0.5 * a * std::erfc(a * -std::sqrt(0.5)); }, 1, 0, 6, 2},
    {"relu", [](double a, double, double) { return a > 0 ? a : 0; }, 1, -5, 5, 0},
    {"floor", [](double a, double, double) { return std::floor(a); }, 1, -5, 5, 0},
    {"ceil", [](double a, double, double) { return std::ceil(a); }, 1, -5, 5, 0},
    {"round", [](double a, double, double) { return std::nearbyint(a); }, 1, -5, 5, 0},
    {"asin", [](double a, double, double) { return std::asin(a); }, 1, -1, 1, 1.1},
    {"acos", [](double a, double, double) { return std::acos(a); }, 1, -1, 1, 1.1},
    {"atan", [](double a, double, double) { return std::atan(a); }, 1, -5, 5, 1.1},
    {"sinh", [](double a, double, double) { return std::sinh(a); }, 1, -5, 5, 2},
    {"cosh", [](double a, double, double) { return std::cosh(a); }, 1, -5, 5, 2},
    {"add", [](double a, double b, double) { return a + b; }, 2, -5, 5, 0.51},
    {"subtract", [](double a, double b, double) { return a - b; }, 2, -5, 5, 0.51},
    {"multiply", [](double a, double b, double) { return a * b; }, 2, -5, 5, 0.51},
    {"divide", [](double a, double b, double) { return a / b; }, 2, 0.5, 5, 0.51},
    {"power", [](double a, double b, double) { return std::pow(a, b); }, 2, 0.1, 5, 1.1},
    {"maximum", [](double a, double b, double) { return std::fmax(a, b); }, 2, -5, 5, 0},
    {"minimum", [](double a, double b, double) { return std::fmin(a, b); }, 2, -5, 5, 0},
    {"mod", [](double a, double b, double) { return numpy_mod(a, b); }, 2, -5, 5, 0.51},
    {"floor_divide", [](double a, double b, double) { return std::floor(a / b); }, 2, -5, 5, 0},
    {"atan2", [](double a, double b, double) { return std::atan2(a, b); }, 2, -5, 5, 1.6},
    {"relu_grad", [](double a, double b, double) { return b > 0 ? a : 0; }, 2, -5, 5, 0},
    {"sigmoid_grad", [](double a, double b, double) { return a * (b * (1 - b)); }, 2, 0.1, 0.9, 2.5},
    {"tanh_grad", [](double a, double b, double) { return a * (1 - b * b); }, 2, -0.7, 0.7, 2.5},
    {"gelu_grad",
     [](double a, double b, double) { return a * (0.5 * std::erfc(b * -std::sqrt(0.5)) + b * std::exp(-0.5 * b * b) / std::sqrt(2 * M_PI)); },
     2, 0, 4, 3},
    {"square_difference", [](double a, double b, double) { return (a - b) * (a - b); }, 2, -5, 5, 2},
    {"clip", [](double a, double b, double c) { return std::fmin(std::fmax(a, b), c); }, 3, -5, 5, 0},
    {"isnan", [](double a, double, double) { return std::isnan(a); }, 1, -5, 5, 0, true},
    {"isinf", [](double a, double, double) { return std::isinf(a); }, 1, -5, 5, 0, true},
    {"isfinite", [](double a, double, double) { return std::isfinite(a); }, 1, -5, 5, 0, true},
    {"logical_not", [](double a, double, double) { return a == 0; }, 1, -5, 5, 0, true},
    {"equal", [](double a, double b, double) { return a == b; }, 2, -5, 5, 0, true},
    {"not_equal", [](double a, double b, double) { return a != b; }, 2, -5, 5, 0, true},
    {"less", [](double a, double b, double) { return a < b; }, 2, -5, 5, 0, true},
    {"less_equal", [](double a, double b, double) { return a <= b; }, 2, -5, 5, 0, true},
    {"greater", [](double a, double b, double) { return a > b; }, 2, -5, 5, 0, true},
    {"greater_equal", [](double a, double b, double) { return a >= b; }, 2, -5, 5, 0, true},
    {"logical_and", [](double a, double b, double) { return a != 0 && b != 0; }, 2, -5, 5, 0, true},
    {"logical_or", [](double a, double b, double) { return a != 0 || b != 0; }, 2, -5, 5, 0, true},
    {"logical_xor", [](double a, double b, double) { return (a != 0) != (b != 0); }, 2, -5, 5, 0, true},
};

// Half a unit in the last place of `dtype` at `value`, twice.
double ulp_at(double value, DType dtype) {
  const int bits = dtype == DType::kFloat64 ? 53 : dtype == DType::kFloat32 ? 24 : 8;
  int exponent;
  std::frexp(value == 0 ? 1e-30 : value, &exponent);
  return std::ldexp(1.0, exponent - bits);
}

TEST(elementwise_float_opcodes) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
    for (const Case& c : kFloatCases) {
      if (dtype == DType::kBFloat16 && std::string(c.name) == "floor_divide") continue;  // quotients above 256 have no exact whole number
      for (const int64_t n : {1, 15, 16, 37, 3000}) {
        const Spec spec = make_spec({n}, dtype);
        std::vector<Buffer> inputs;
        for (int i = 0; i < c.inputs; ++i) inputs.push_back(random_buffer(spec, 7 * i + n, c.low, c.high));
        const DType out = c.truth ? DType::kBool : dtype;
        // float64 references are no better than a unit of their own; bfloat16 rounds a float result.
        const double ulps = dtype == DType::kBFloat16 ? (c.ulps > 0 ? 0.6 : 0) : dtype == DType::kFloat64 ? c.ulps * 1.2 + (c.ulps > 0) : c.ulps;
        const Buffer y = run_every_way("elementwise", inputs, {make_spec({n}, out)}, single_op(c.name, c.inputs, out))[0];
        for (int64_t i = 0; i < n; ++i) {
          double x[3] = {0, 0, 0};
          for (int k = 0; k < c.inputs; ++k) x[k] = value_at(inputs[k], i);
          const double want = c.reference(x[0], x[1], x[2]), got = value_at(y, i);
          if (!(std::fabs(got - want) <= ulps * ulp_at(want, dtype))) {
            report_failure(__FILE__, __LINE__,
                           std::string(c.name) + " of " + dtype_name(dtype) + ": " + show(x[0]) + ", " + show(x[1]) + " gives " + show(got) +
                               ", not " + show(want));
          }
        }
      }
    }
  }
}

// On the calling thread, where denormal numbers keep their values (teams count them as zero). Returns the widest one's result.
Buffer run_every_isa(const std::vector<Buffer>& inputs, const Spec& spec, const Attributes& attributes) {
  std::vector<Buffer> results;
  for (const Isa isa : runnable_isas()) results.push_back(run_kernel("elementwise", inputs, {spec}, attributes, isa)[0]);
  if (results.size() > 2) EXPECT(results[1].same_bytes(results[2]));
  return results.back();
}

TEST(elementwise_float_special_values) {
  const double values[] = {0.0, -0.0, 1, -1, kInf, -kInf, kNan, 2.5, -2.5, 1e-42, -1e-42, 3e38, -3e38, 100, -100, 0.5};
  const int n = 16;
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const Case& c : kFloatCases) {
      if (c.inputs > 2) continue;
      for (int shift = 0; shift < (c.inputs == 2 ? n : 1); ++shift) {
        std::vector<Buffer> inputs;
        for (int k = 0; k < c.inputs; ++k) {
          Buffer x(make_spec({n}, dtype));
          for (int i = 0; i < n; ++i) {
            const double v = values[(i + (k == 1 ? shift : 0)) % n];
            dtype == DType::kFloat32 ? x.at<float>(i) = static_cast<float>(v) : x.at<double>(i) = v;
          }
          inputs.push_back(x);
        }
        const DType out = c.truth ? DType::kBool : dtype;
        const Buffer y = run_every_isa(inputs, make_spec({n}, out), single_op(c.name, c.inputs, out));
        for (int i = 0; i < n; ++i) {
          const double a = value_at(inputs[0], i), b = c.inputs == 2 ? value_at(inputs[1], i) : 0;
          double want = c.reference(a, b, 0);
          const std::string name = c.name;
          if ((name == "maximum" || name == "minimum") && (std::isnan(a) || std::isnan(b))) want = kNan;
          if (name == "relu" && std::isnan(a)) want = kNan;
          if (name == "floor_divide" && b != 0 && std::isfinite(a) && std::isfinite(b)) want = std::floor((a - numpy_mod(a, b)) / b + 0.25);
          if (name == "floor_divide" && (b == 0 || std::isinf(a) || std::isinf(b))) continue;          // numpy's own corner cases differ by version
          if (name == "square_difference" || name == "sigmoid_grad" || name == "tanh_grad") continue;  // overflow where double does not
          if (name == "gelu" || name == "gelu_grad") continue;                                         // see simd_math_gelu_accuracy
          const double got = value_at(y, i);
          if (dtype == DType::kFloat32 && std::fabs(want) > std::numeric_limits<float>::max()) want = std::copysign(kInf, want);
          const double allowed = 4 * ulp_at(want, dtype) + (dtype == DType::kFloat32 ? 3e-45 : 1e-320);
          if (std::isinf(want) ? got != want : std::isnan(want) ? !std::isnan(got) : !(std::fabs(got - want) <= allowed)) {
            report_failure(__FILE__, __LINE__,
                           name + " of " + dtype_name(dtype) + ": " + show(a) + ", " + show(b) + " gives " + show(got) + ", not " + show(want));
          }
        }
      }
    }
  }
}

int64_t floor_quotient(int64_t a, int64_t b) { return b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0)); }
int64_t int_power(int64_t a, int64_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
  uint64_t y = 1;
  while (b-- > 0) y *= static_cast<uint64_t>(a);
  return static_cast<int64_t>(y);
}

TEST(elementwise_integer_opcodes) {
  const struct {
    const char* name;
    std::function<int64_t(int64_t, int64_t)> reference;
    int inputs;
    bool truth;
  } cases[] = {
      {"negative", [](int64_t a, int64_t) { return -a; }, 1, false},
      {"abs", [](int64_t a, int64_t) { return a < 0 ? -a : a; }, 1, false},
      {"sign", [](int64_t a, int64_t) -> int64_t { return (a > 0) - (a < 0); }, 1, false},
      {"square", [](int64_t a, int64_t) { return a * a; }, 1, false},
      {"relu", [](int64_t a, int64_t) { return a > 0 ? a : 0; }, 1, false},
      {"add", [](int64_t a, int64_t b) { return a + b; }, 2, false},
      {"subtract", [](int64_t a, int64_t b) { return a - b; }, 2, false},
      {"multiply", [](int64_t a, int64_t b) { return a * b; }, 2, false},
      {"maximum", [](int64_t a, int64_t b) { return a > b ? a : b; }, 2, false},
      {"minimum", [](int64_t a, int64_t b) { return a < b ? a : b; }, 2, false},
      {"floor_divide", floor_quotient, 2, false},
      {"mod", [](int64_t a, int64_t b) { return b == 0 ? 0 : a - floor_quotient(a, b) * b; }, 2, false},
      {"power", int_power, 2, false},
      {"equal", [](int64_t a, int64_t b) -> int64_t { return a == b; }, 2, true},
      {"less", [](int64_t a, int64_t b) -> int64_t { return a < b; }, 2, true},
      {"greater_equal", [](int64_t a, int64_t b) -> int64_t { return a >= b; }, 2, true},
      {"logical_and", [](int64_t a, int64_t b) -> int64_t { return a && b; }, 2, true},
      {"logical_not", [](int64_t a, int64_t) -> int64_t { return !a; }, 1, true},
  };
  const auto wrap = [](int64_t x, DType dtype) -> double {
    switch (dtype) {
      case DType::kInt32: return static_cast<int32_t>(x);
      case DType::kInt8: return static_cast<int8_t>(x);
      case DType::kUInt8: return static_cast<uint8_t>(x);
      default: return static_cast<double>(x);
    }
  };
  for (const DType dtype : {DType::kInt32, DType::kInt64, DType::kInt8, DType::kUInt8}) {
    for (const auto& c : cases) {
      for (const int64_t n : {1, 17, 100}) {
        const double low = dtype == DType::kUInt8 ? 0 : -9;
        std::vector<Buffer> inputs;
        for (int k = 0; k < c.inputs; ++k) inputs.push_back(random_buffer(make_spec({n}, dtype), n + k, low, 10));
        const DType out = c.truth ? DType::kBool : dtype;
        const Buffer y = run_every_way("elementwise", inputs, {make_spec({n}, out)}, single_op(c.name, c.inputs, out))[0];
        for (int64_t i = 0; i < n; ++i) {
          const auto a = static_cast<int64_t>(value_at(inputs[0], i)), b = c.inputs == 2 ? static_cast<int64_t>(value_at(inputs[1], i)) : 0;
          EXPECT_EQ(value_at(y, i), wrap(c.reference(a, b), out));
        }
      }
    }
  }
}

TEST(elementwise_integer_overflow_wraps) {
  const Spec spec = make_spec({2}, DType::kInt32);
  const Buffer a(spec, {INT32_MIN, INT32_MIN}), b(spec, {-1, 1});
  EXPECT_EQ(value_at(run_every_way("elementwise", {a, b}, {spec}, single_op("floor_divide", 2, DType::kInt32))[0], 0), INT32_MIN);
  EXPECT_EQ(value_at(run_every_way("elementwise", {a, b}, {spec}, single_op("mod", 2, DType::kInt32))[0], 0), 0);
  EXPECT_EQ(value_at(run_every_way("elementwise", {a}, {spec}, single_op("abs", 1, DType::kInt32))[0], 0), INT32_MIN);
}

TEST(elementwise_bool_opcodes) {
  const Spec spec = make_spec({4}, DType::kBool);
  const Buffer a(spec, {uint8_t{0}, uint8_t{0}, uint8_t{1}, uint8_t{1}}), b(spec, {uint8_t{0}, uint8_t{1}, uint8_t{0}, uint8_t{1}});
  const auto expect = [&](const char* name, std::initializer_list<int> want) {
    const Buffer y = run_every_way("elementwise", {a, b}, {spec}, single_op(name, 2, DType::kBool))[0];
    int i = 0;
    for (int w : want) EXPECT_EQ(static_cast<int>(y.at<uint8_t>(i++)), w);
  };
  expect("logical_and", {0, 0, 0, 1});
  expect("logical_or", {0, 1, 1, 1});
  expect("logical_xor", {0, 1, 1, 0});
  expect("add", {0, 1, 1, 1});
  expect("multiply", {0, 0, 0, 1});
  expect("maximum", {0, 1, 1, 1});
  expect("equal", {1, 0, 0, 1});
}

TEST(elementwise_cast_between_all_dtypes) {
  const DType all[] = {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kInt32, DType::kInt64, DType::kUInt8, DType::kInt8, DType::kBool};
  for (const DType from : all) {
    for (const DType to : all) {
      for (const int64_t n : {0, 1, 16, 53}) {
        const bool is_unsigned = from == DType::kUInt8 || from == DType::kBool || to == DType::kUInt8;
        const Buffer x = random_buffer(make_spec({n}, from), 3, is_unsigned ? 0 : -100, 100);
        const Buffer y = run_every_way("elementwise", {x}, {make_spec({n}, to)}, single_op("cast", 1, to))[0];
        for (int64_t i = 0; i < n; ++i) {
          const double v = value_at(x, i);
          const bool real = to == DType::kFloat32 || to == DType::kFloat64 || to == DType::kBFloat16;
          const double want = to == DType::kBool ? v != 0 : real ? v : std::trunc(v);
          EXPECT_NEAR(value_at(y, i), want, !real || to == DType::kFloat64 ? 0 : std::fabs(v) * (to == DType::kFloat32 ? 6e-8 : 4e-3));
        }
      }
    }
  }
}

TEST(elementwise_where) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kInt32, DType::kInt64, DType::kUInt8, DType::kBool}) {
    const Spec spec = make_spec({5, 11}, dtype);
    const Buffer condition = random_buffer(make_spec({5, 11}, DType::kBool), 5), a = random_buffer(spec, 1, 0, 50),
                 b = random_buffer(make_spec({11}, dtype), 2, 0, 50);
    const Buffer y = run_every_way("elementwise", {condition, a, b}, {spec}, single_op("where", 3, dtype))[0];
    for (int64_t i = 0; i < 55; ++i) EXPECT_EQ(value_at(y, i), condition.at<uint8_t>(i) ? value_at(a, i) : value_at(b, i % 11));
  }
}

}  // namespace
}  // namespace nnlite::test
