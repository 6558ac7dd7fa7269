// Reading and comparing the numbers of normalizations, float32 or float64.
#pragma once
#include "bfloat16_test.h"

namespace nnlite::test {

inline double get(const Buffer& b, int64_t i) { return b.spec().dtype == DType::kFloat32 ? b.at<float>(i) : b.at<double>(i); }
inline void add(const Buffer& b, double amount) {
  for (int64_t i = 0; i < b.size(); ++i) {
    if (b.spec().dtype == DType::kFloat32) {
      b.at<float>(i) += static_cast<float>(amount);
    } else {
      b.at<double>(i) += amount;
    }
  }
}

// |a - b| relative to the size of the expected values, or to `scale` where those cancel.
inline void expect_close(const Buffer& got, const std::vector<double>& expected, double tolerance, double scale = 1e-30) {
  double worst = 0;
  for (double v : expected) scale = std::max(scale, std::fabs(v));
  for (int64_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::fabs(get(got, i) - expected[i]));
  EXPECT_NEAR(worst / scale, 0, tolerance);
}

constexpr double kEpsilon = 1e-3;
inline const Attributes kAttributes = {{"epsilon", kEpsilon}};

inline double tolerance_of(DType dtype) { return dtype == DType::kFloat32 ? 2e-6 : 1e-14; }

}  // namespace nnlite::test
