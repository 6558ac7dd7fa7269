// The accuracy that simd/math.h promises, on a dense sample of all floats and of doubles, at every instruction set.
#include <cstring>
#include <functional>
#include <limits>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

struct Function {
  const char* name;
  double (*reference)(double);                 // of floats
  long double (*long_reference)(long double);  // of doubles
  double float_ulps, double_ulps;
};

#define NN_BOTH(expression) [](double x) -> double { return expression; }, [](long double x) -> long double { return expression; }
const Function kFunctions[] = {
    {"exp", NN_BOTH(std::exp(x)), 1.0, 1.0},     {"expm1", NN_BOTH(std::expm1(x)), 1.5, 2.0},
    {"log", NN_BOTH(std::log(x)), 0.9, 0.9},     {"log1p", NN_BOTH(std::log1p(x)), 1.0, 0.9},
    {"tanh", NN_BOTH(std::tanh(x)), 2.4, 2.6},   {"sigmoid", NN_BOTH(1 / (1 + std::exp(-x))), 2.4, 2.4},
    {"erf", NN_BOTH(std::erf(x)), 2.1, 1.1},     {"sin", NN_BOTH(std::sin(x)), 1.6, 1.1},
    {"cos", NN_BOTH(std::cos(x)), 1.6, 1.1},     {"tan", NN_BOTH(std::tan(x)), 3.5, 1.1},
};
#undef NN_BOTH

// |got - want| in units in the last place of a type with these many mantissa bits and this smallest exponent.
double error_in_ulps(double got, long double want, int bits, int lowest, double largest) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e9;
  if (std::fabs(want) > largest) return std::isinf(got) && (got > 0) == (want > 0) ? 0 : std::fabs(got) >= largest ? 1 : 1e9;
  int exponent = lowest;
  if (want != 0) std::frexp(want, &exponent);
  return static_cast<double>(std::fabs(got - want) / std::ldexp(1.0L, std::max(exponent, lowest) - bits));
}

// Runs on the calling thread, where denormal numbers keep their values.
template <class T>
void check(const Function& function, const std::vector<T>& x, double ulps, int bits, int lowest) {
  const DType dtype = sizeof(T) == 4 ? DType::kFloat32 : DType::kFloat64;
  const Spec spec = make_spec({static_cast<int64_t>(x.size())}, dtype);
  const Buffer input(spec);
  std::memcpy(input.data(), x.data(), spec.bytes());
  std::vector<long double> want;
  for (const T value : x) want.push_back(sizeof(T) == 4 ? function.reference(value) : function.long_reference(value));
  for (const Isa isa : runnable_isas()) {
    const Buffer y = run_kernel("elementwise", {input}, {spec}, single_op(function.name, 1, dtype), isa)[0];
    double worst = 0;
    T at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = error_in_ulps(value_at(y, i), want[i], bits, lowest, std::numeric_limits<T>::max());
      if (error > worst) {
        worst = error;
        at = x[i];
      }
    }
    if (!(worst <= ulps)) {
      report_failure(
          __FILE__, __LINE__,
          std::string(function.name) + " of " + dtype_name(dtype) + " at " + isa_name(isa) + " errs by " + show(worst) + " ulp at " + show(at));
    }
  }
}

float float_of_bits(uint32_t word) {
  float value;
  std::memcpy(&value, &word, sizeof(value));
  return value;
}

// Over four million patterns: all exponents, denormal numbers, infinities and NaN.
TEST(simd_math_float_accuracy) {
  std::vector<float> x;
  for (uint64_t pattern = 0; pattern < (uint64_t{1} << 32); pattern += 1021) x.push_back(float_of_bits(static_cast<uint32_t>(pattern)));
  for (int i = -60000; i <= 60000; ++i) x.push_back(static_cast<float>(i) * 0.00177f);  // where all the curvature is
  for (const float edge : {88.722839f, 88.72284f, -87.33655f, -103.97208f, -104.f, 1e-45f, -1e-45f, 3.4028235e38f}) x.push_back(edge);
  for (const Function& function : kFunctions) check(function, x, function.float_ulps, 24, -125);
}

TEST(simd_math_power_accuracy) {
  const Spec spec = make_spec({1 << 19});
  const Buffer x(spec), y(spec);
  for (int64_t i = 0; i < spec.size(); ++i) {
    const uint64_t word = static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15u;
    // Any base; exponents of any size on one side, such that results stay finite on the other.
    x.at<float>(i) = float_of_bits(static_cast<uint32_t>(word >> 32));
    const auto share = static_cast<float>(static_cast<int32_t>(word)) / 2147483648.0f;
    const float size = std::fabs(std::log2(std::fabs(x.at<float>(i))));
    const float finite = i % 4 == 1 ? share * 140 / std::max(size, 1e-6f) : std::round(share * 9);
    y.at<float>(i) = i % 2 == 0 ? float_of_bits(static_cast<uint32_t>(word)) : finite;
  }
  for (const Isa isa : runnable_isas()) {
    const Buffer z = run_kernel("elementwise", {x, y}, {spec}, single_op("power", 2, DType::kFloat32), isa)[0];
    double worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < spec.size(); ++i) {
      const double want = std::pow(static_cast<double>(x.at<float>(i)), static_cast<double>(y.at<float>(i)));
      const double error = error_in_ulps(z.at<float>(i), want, 24, -125, std::numeric_limits<float>::max());
      if (error > worst) worst = error, at = i;
    }
    if (!(worst <= 0.6)) {
      report_failure(__FILE__, __LINE__, std::string("power at ") + isa_name(isa) + " errs by " + show(worst) + " ulp at " + show(x.at<float>(at)) +
                                             ", " + show(y.at<float>(at)));
    }
  }
}

// gelu and its gradient, within a small part of |x| (or of dy), over all exponents and where the curvature is.
TEST(simd_math_gelu_accuracy) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x = {infinity, -infinity, nan};
  for (uint64_t pattern = 0; pattern < (uint64_t{1} << 32); pattern += 4093) x.push_back(float_of_bits(static_cast<uint32_t>(pattern)));
  for (int i = -200000; i <= 200000; ++i) x.push_back(static_cast<float>(i) * 0.00004f);
  const Spec spec = make_spec({static_cast<int64_t>(x.size())});
  const Buffer input(spec), ones(spec);
  std::memcpy(input.data(), x.data(), spec.bytes());
  for (size_t i = 0; i < x.size(); ++i) ones.at<float>(static_cast<int64_t>(i)) = 1;
  for (const Isa isa : runnable_isas()) {
    const Buffer y = run_kernel("elementwise", {input}, {spec}, single_op("gelu", 1, DType::kFloat32), isa)[0];
    const Buffer slope = run_kernel("elementwise", {ones, input}, {spec}, single_op("gelu_grad", 2, DType::kFloat32), isa)[0];
    EXPECT_EQ(y.at<float>(0), infinity);
    EXPECT_EQ(y.at<float>(1), 0.0f);
    EXPECT(std::isnan(y.at<float>(2)));
    EXPECT_EQ(slope.at<float>(0), 1.0f);
    EXPECT_EQ(slope.at<float>(1), 0.0f);
    EXPECT(std::isnan(slope.at<float>(2)));
    double worst = 0, steepest = 0, positive = 0;
    for (size_t i = 3; i < x.size(); ++i) {
      const double v = x[i], share = 0.5 * std::erfc(v * -std::sqrt(0.5)), at = static_cast<int64_t>(i);
      const double got = y.at<float>(static_cast<int64_t>(at)), derivative = share + v * std::exp(-0.5 * v * v) * 0.39894228040143268;
      if (std::isnan(v) || std::isinf(v)) continue;
      if (std::fabs(v) > 1e-37) worst = std::max(worst, std::fabs(got - v * share) / std::fabs(v));
      if (v > 0) positive = std::max(positive, error_in_ulps(got, v * share, 24, -125, std::numeric_limits<float>::max()));
      steepest = std::max(steepest, std::fabs(slope.at<float>(static_cast<int64_t>(at)) - (std::isnan(derivative) ? v > 0 : derivative)));
    }
    EXPECT_NEAR(worst, 0, 8e-8);
    EXPECT_NEAR(positive, 0, 1.3);
    EXPECT_NEAR(steepest, 0, 1.2e-7);
  }
}

// The exponential of softmax, seen through the gradient of log_softmax: of a row (v, 0) and dy = (0, -1) the first result is exp(v).
TEST(simd_math_exponential_of_softmax) {
  const int64_t rows = 1 << 18;
  const Spec spec = make_spec({rows, 2});
  const Buffer y(spec), dy(spec);
  for (int64_t i = 0; i < rows; ++i) {
    y.at<float>(2 * i) = -static_cast<float>(i) * (130.0f / rows);
    y.at<float>(2 * i + 1) = dy.at<float>(2 * i) = 0;
    dy.at<float>(2 * i + 1) = -1;
  }
  const float infinity = std::numeric_limits<float>::infinity();
  y.at<float>(2) = -infinity;
  y.at<float>(4) = -1e30f;
  y.at<float>(6) = std::numeric_limits<float>::quiet_NaN();
  for (const Isa isa : runnable_isas()) {
    const Buffer dx = run_kernel("log_softmax_grad", {y, dy}, {spec}, {}, isa)[0];
    EXPECT_EQ(dx.at<float>(2), 0.0f);
    EXPECT_EQ(dx.at<float>(4), 0.0f);
    EXPECT(std::isnan(dx.at<float>(6)));
    double near = 0, far = 0;
    for (int64_t i = 4; i < rows; ++i) {
      const double v = y.at<float>(2 * i), got = dx.at<float>(2 * i);
      if (v < -87) {
        EXPECT(got <= 1.7e-38 && got >= 0);
      } else {
        double& worst = v < -20 ? far : near;
        worst = std::max(worst, error_in_ulps(got, std::exp(v), 24, -125, 1));
      }
    }
    EXPECT_NEAR(near, 0, 1.6);
    EXPECT_NEAR(far, 0, 5);
  }
}

TEST(simd_math_double_accuracy) {
  std::vector<double> x;
  for (uint64_t k = 0; k < 60000; ++k) {
    const uint64_t word = k * 307445734561825861u;  // all exponents, varied mantissas
    double value;
    std::memcpy(&value, &word, sizeof(value));
    x.push_back(value);
  }
  for (int i = -60000; i <= 60000; ++i) x.push_back(i * 0.000177 * (1 + (i & 7) * 100));
  for (const double edge : {709.782712893384, 709.79, -708.4, -745.13, -745.2, 5e-324, -5e-324}) x.push_back(edge);
  for (const Function& function : kFunctions) check(function, x, function.double_ulps, 53, -1021);
}

}  // namespace
}  // namespace nnlite::test
