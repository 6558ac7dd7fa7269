// Spec: the dtype and static shape of a tensor. Plain data without STL, so that per-ISA files may include it.
#pragma once
#include <cstddef>
#include <cstdint>

// Always inlined: a copy that a per-ISA file emits must never be the one that others call.
#define NN_SPEC_INLINE __attribute__((always_inline))

namespace nnlite {

enum class DType : uint8_t { kFloat32, kFloat64, kBFloat16, kInt32, kInt64, kUInt8, kInt8, kBool };

constexpr int kMaxRank = 8;

// Bytes of one element.
NN_SPEC_INLINE constexpr size_t dtype_size(DType dtype) {
  return dtype == DType::kFloat64 || dtype == DType::kInt64   ? 8
         : dtype == DType::kFloat32 || dtype == DType::kInt32 ? 4
         : dtype == DType::kBFloat16                          ? 2
                                                              : 1;
}

// "float32", ...: the names Python uses.
const char* dtype_name(DType dtype);
// False when `name` is not a dtype of ours.
bool parse_dtype(const char* name, DType* dtype);

struct Spec {
  DType dtype = DType::kFloat32;
  int rank = 0;
  int64_t dims[kMaxRank] = {};

  // Number of elements; 1 for a scalar.
  NN_SPEC_INLINE int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  NN_SPEC_INLINE size_t bytes() const { return static_cast<size_t>(size()) * dtype_size(dtype); }
  // dims[i], counted from the end when negative: dim(-1) is the last axis.
  NN_SPEC_INLINE int64_t dim(int i) const { return dims[i < 0 ? rank + i : i]; }
};

}  // namespace nnlite
