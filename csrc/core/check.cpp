#include "core/check.h"

#include <cstdarg>
#include <cstdio>

namespace nnlite {
namespace {

std::string format_list(const char* pattern, va_list list) {
  va_list again;
  va_copy(again, list);
  const int length = std::vsnprintf(nullptr, 0, pattern, list);
  std::string text(length > 0 ? length : 0, '\0');
  if (length > 0) std::vsnprintf(&text[0], text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

std::string megabytes(size_t bytes) { return format("%.1f MiB", static_cast<double>(bytes) / (1 << 20)); }

}  // namespace

std::string format(const char* pattern, ...) {
  va_list list;
  va_start(list, pattern);
  std::string text = format_list(pattern, list);
  va_end(list);
  return text;
}

void fail_check(const char* pattern, ...) {
  va_list list;
  va_start(list, pattern);
  std::string text = format_list(pattern, list);
  va_end(list);
  throw std::invalid_argument(text);
}

OutOfMemory::OutOfMemory(size_t bytes, size_t in_use)
    : text_("cannot allocate " + megabytes(bytes) + " (" + std::to_string(bytes) + " bytes); nnlite holds " + megabytes(in_use) +
            " already; use smaller batches or free tensors") {}

}  // namespace nnlite
