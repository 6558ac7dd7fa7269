// bfloat16 buffers from float32 ones and back, for tests that hold a bfloat16 kernel against its float32 twin.
#pragma once
#include <cstring>

#include "kernel_test.h"

namespace nnlite::test {

inline Spec with_dtype(Spec spec, DType dtype) {
  spec.dtype = dtype;
  return spec;
}

// Rounds to nearest even.
inline Buffer to_bfloat16(const Buffer& x) {
  Buffer y(with_dtype(x.spec(), DType::kBFloat16));
  for (int64_t i = 0; i < x.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &x.at<float>(i), sizeof(bits));
    y.at<uint16_t>(i) = std::isnan(x.at<float>(i)) ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  return y;
}

inline Buffer to_float32(const Buffer& x) {
  Buffer y(with_dtype(x.spec(), DType::kFloat32));
  for (int64_t i = 0; i < x.size(); ++i) {
    const uint32_t bits = static_cast<uint32_t>(x.at<uint16_t>(i)) << 16;
    std::memcpy(&y.at<float>(i), &bits, sizeof(bits));
  }
  return y;
}

// Runs `kernel` on bfloat16 inputs and on the same numbers as float32 (other dtypes stay), and expects outputs that differ by at most `steps`
// bfloat16 steps, relative to the largest number of the output where those cancel.
inline void expect_bfloat16_like_float32(const std::string& kernel, const std::vector<Buffer>& inputs, const std::vector<Spec>& outputs,
                                         const Attributes& attributes, double steps) {
  std::vector<Buffer> narrow, wide;
  std::vector<Spec> narrow_specs;
  for (const Buffer& x : inputs) {
    narrow.push_back(x.spec().dtype == DType::kFloat32 ? to_bfloat16(x) : x);
    wide.push_back(x.spec().dtype == DType::kFloat32 ? to_float32(narrow.back()) : x);
  }
  for (const Spec& spec : outputs) narrow_specs.push_back(spec.dtype == DType::kFloat32 ? with_dtype(spec, DType::kBFloat16) : spec);
  const auto got = run_every_way(kernel, narrow, narrow_specs, attributes);
  const auto expected = run_kernel(kernel, wide, outputs, attributes);
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (outputs[k].dtype != DType::kFloat32) {
      EXPECT(got[k].same_bytes(expected[k]));
      continue;
    }
    if (steps == 0) {
      EXPECT(got[k].same_bytes(to_bfloat16(expected[k])));
      continue;
    }
    const Buffer value = to_float32(got[k]);
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < value.size(); ++i) {
      largest = std::fmax(largest, std::fabs(expected[k].at<float>(i)));
      worst = std::fmax(worst, std::fabs(value.at<float>(i) - expected[k].at<float>(i)));
    }
    EXPECT_NEAR(worst, 0, steps * largest / 256);
  }
}

}  // namespace nnlite::test
