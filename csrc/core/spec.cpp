#include "core/spec.h"

#include <cstring>

#include "core/spec_text.h"

namespace nnlite {
namespace {

constexpr const char* kNames[] = {"float32", "float64", "bfloat16", "int32", "int64", "uint8", "int8", "bool"};

}  // namespace

const char* dtype_name(DType dtype) { return kNames[static_cast<int>(dtype)]; }

bool parse_dtype(const char* name, DType* dtype) {
  for (int i = 0; i < static_cast<int>(sizeof(kNames) / sizeof(kNames[0])); ++i) {
    if (std::strcmp(name, kNames[i]) == 0) {
      *dtype = static_cast<DType>(i);
      return true;
    }
  }
  return false;
}

std::string shape_text(const int64_t* dims, int rank) {
  std::string text = "(";
  for (int i = 0; i < rank; ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + (rank == 1 ? ",)" : ")");
}

std::string spec_text(const Spec& spec) { return std::string(dtype_name(spec.dtype)) + " " + shape_text(spec.dims, spec.rank); }

bool same_spec(const Spec& a, const Spec& b) {
  return a.dtype == b.dtype && a.rank == b.rank && std::memcmp(a.dims, b.dims, sizeof(int64_t) * a.rank) == 0;
}

}  // namespace nnlite
