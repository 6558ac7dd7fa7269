// Specs as messages show them, in Python's notation: "float32 (2, 3)".
#pragma once
#include <string>

#include "core/spec.h"

namespace nnlite {

std::string shape_text(const int64_t* dims, int rank);
std::string spec_text(const Spec& spec);
bool same_spec(const Spec& a, const Spec& b);

}  // namespace nnlite
