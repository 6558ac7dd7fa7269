// The accuracy that simd/math.h promises, on a dense sample of all floats and of doubles, at every instruction set.
#include <cstring>
#include <functional>
#include <limits>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

struct Function {
  const char* name;
  std::function<long double(long double)> reference;
  double float_ulps, double_ulps;  // 0: not promised
  double limit;                    // promised up to this magnitude
};

const Function kFunctions[] = {
    {"exp", [](long double x) { return std::exp(x); }, 1.0, 1.0, 1e39},
    {"expm1", [](long double x) { return std::expm1(x); }, 1.5, 2.0, 1e39},
    {"log", [](long double x) { return std::log(x); }, 0.9, 0.9, 1e39},
    {"log1p", [](long double x) { return std::log1p(x); }, 1.0, 0.9, 1e39},
    {"tanh", [](long double x) { return std::tanh(x); }, 2.4, 2.6, 1e39},
    {"sigmoid", [](long double x) { return 1 / (1 + std::exp(-x)); }, 2.4, 2.4, 1e39},
    {"erf", [](long double x) { return std::erf(x); }, 1.4, 1.1, 1e39},
    {"sin", [](long double x) { return std::sin(x); }, 1.6, 1.1, 1e39},
    {"cos", [](long double x) { return std::cos(x); }, 1.6, 1.1, 1e39},
    {"tan", [](long double x) { return std::tan(x); }, 3.5, 1.1, 1e39},
};

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
  for (const T value : x) want.push_back(function.reference(value));
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

TEST(simd_math_float_accuracy) {
  std::vector<float> x;
  for (uint64_t pattern = 0; pattern < (uint64_t{1} << 32); pattern += 9973) {
    const auto word = static_cast<uint32_t>(pattern);
    float value;
    std::memcpy(&value, &word, sizeof(value));
    x.push_back(value);
  }
  for (int i = -60000; i <= 60000; ++i) x.push_back(static_cast<float>(i) * 0.00177f);  // where all the curvature is
  for (const float edge : {88.722839f, 88.72284f, -87.33655f, -103.97208f, -104.f, 1e-45f, -1e-45f, 3.4028235e38f}) x.push_back(edge);
  for (const Function& function : kFunctions) check(function, x, function.float_ulps, 24, -125);
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
