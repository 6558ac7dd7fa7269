// Builds attributes of elementwise programs for tests, and reads buffers of any dtype as double.
#pragma once
#include <string>
#include <vector>

#include "kernel_test.h"

namespace nnlite::test {

struct ProgramBuilder {
  std::vector<std::string> codes, dtypes;
  std::vector<int64_t> args, results;
  std::vector<double> params;

  ProgramBuilder& op(const std::string& code, std::vector<int64_t> registers, DType dtype = DType::kFloat32, double param = 0) {
    codes.push_back(code);
    for (int k = 0; k < 3; ++k) args.push_back(k < static_cast<int>(registers.size()) ? registers[k] : -1);
    params.push_back(param);
    dtypes.push_back(dtype_name(dtype));
    return *this;
  }
  Attributes give(std::vector<int64_t> registers) const {
    Attributes attributes;
    attributes["codes"] = codes;
    attributes["args"] = args;
    attributes["params"] = params;
    attributes["dtypes"] = dtypes;
    attributes["results"] = std::move(registers);
    return attributes;
  }
};

inline Attributes single_op(const std::string& code, int inputs, DType dtype) {
  std::vector<int64_t> registers;
  for (int i = 0; i < inputs; ++i) registers.push_back(i);
  return ProgramBuilder().op(code, registers, dtype).give({inputs});
}

inline double value_at(const Buffer& buffer, int64_t i) {
  switch (buffer.spec().dtype) {
    case DType::kFloat32: return buffer.at<float>(i);
    case DType::kFloat64: return buffer.at<double>(i);
    case DType::kInt32: return buffer.at<int32_t>(i);
    case DType::kInt64: return static_cast<double>(buffer.at<int64_t>(i));
    case DType::kInt8: return buffer.at<int8_t>(i);
    case DType::kBFloat16: {
      const uint32_t bits = static_cast<uint32_t>(buffer.at<uint16_t>(i)) << 16;
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      return value;
    }
    default: return buffer.at<uint8_t>(i);
  }
}

}  // namespace nnlite::test
