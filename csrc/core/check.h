// NN_CHECK: states a rule about arguments; breaking it raises ValueError in Python. Not for per-ISA files: kernels use Prepare::fail.
#pragma once
#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>

namespace nnlite {

// printf into a string.
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

// Throws std::invalid_argument.
[[noreturn]] void fail_check(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

// Memory that could not be had; Python raises MemoryError with this text.
class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(size_t bytes, size_t in_use);
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

}  // namespace nnlite

#define NN_CHECK(condition, ...)                              \
  do {                                                        \
    if (__builtin_expect(!(condition), 0)) ::nnlite::fail_check(__VA_ARGS__); \
  } while (0)
