// Shared by the data movement kernels: walking the outer axes of a tensor and copying short rows.
#pragma once
#include <string.h>

#include "kernels/shape_math.h"

namespace nnlite::NN_ISA {
namespace {

// A multi-index over `rank` axes that keeps the byte offset of its strides up to date.
struct Odometer {
  int rank;
  int64_t index[kMaxRank];
  int64_t offset;

  // Starts at the flat row-major position `at`.
  void start(int r, const int64_t* dims, const int64_t* strides, int64_t at) {
    rank = r;
    offset = 0;
    for (int i = r - 1; i >= 0; --i) {
      index[i] = at % dims[i];
      at /= dims[i];
      offset += index[i] * strides[i];
    }
  }
  void next(const int64_t* dims, const int64_t* strides) {
    for (int i = rank - 1; i >= 0; --i) {
      offset += strides[i];
      if (++index[i] < dims[i]) return;
      offset -= dims[i] * strides[i];
      index[i] = 0;
    }
  }
};

// Up to 64 bytes, by overlapping loads instead of a loop.
inline __attribute__((always_inline)) void copy_short(char* dst, const char* src, int64_t n) {
  if (n >= 32) {
    char a[32], b[32];
    __builtin_memcpy(a, src, 32);
    __builtin_memcpy(b, src + n - 32, 32);
    __builtin_memcpy(dst, a, 32);
    __builtin_memcpy(dst + n - 32, b, 32);
  } else if (n >= 16) {
    char a[16], b[16];
    __builtin_memcpy(a, src, 16);
    __builtin_memcpy(b, src + n - 16, 16);
    __builtin_memcpy(dst, a, 16);
    __builtin_memcpy(dst + n - 16, b, 16);
  } else if (n >= 8) {
    uint64_t a, b;
    __builtin_memcpy(&a, src, 8);
    __builtin_memcpy(&b, src + n - 8, 8);
    __builtin_memcpy(dst, &a, 8);
    __builtin_memcpy(dst + n - 8, &b, 8);
  } else if (n >= 4) {
    uint32_t a, b;
    __builtin_memcpy(&a, src, 4);
    __builtin_memcpy(&b, src + n - 4, 4);
    __builtin_memcpy(dst, &a, 4);
    __builtin_memcpy(dst + n - 4, &b, 4);
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i] = src[i];
  }
}

template <int bytes>
void copy_rows_of(char* dst, int64_t dst_stride, const char* src, int64_t src_stride, int64_t rows) {
  for (int64_t i = 0; i < rows; ++i) __builtin_memcpy(dst + i * dst_stride, src + i * src_stride, bytes);
}

// Copies `rows` rows of `bytes` bytes; the strides are in bytes.
inline void copy_rows(char* dst, int64_t dst_stride, const char* src, int64_t src_stride, int64_t rows, int64_t bytes) {
  switch (bytes) {
    case 1: return copy_rows_of<1>(dst, dst_stride, src, src_stride, rows);
    case 2: return copy_rows_of<2>(dst, dst_stride, src, src_stride, rows);
    case 4: return copy_rows_of<4>(dst, dst_stride, src, src_stride, rows);
    case 8: return copy_rows_of<8>(dst, dst_stride, src, src_stride, rows);
    case 16: return copy_rows_of<16>(dst, dst_stride, src, src_stride, rows);
    case 32: return copy_rows_of<32>(dst, dst_stride, src, src_stride, rows);
    case 64: return copy_rows_of<64>(dst, dst_stride, src, src_stride, rows);
    case 128: return copy_rows_of<128>(dst, dst_stride, src, src_stride, rows);
    case 256: return copy_rows_of<256>(dst, dst_stride, src, src_stride, rows);
    default: break;
  }
  if (bytes <= 64) {
    for (int64_t i = 0; i < rows; ++i) copy_short(dst + i * dst_stride, src + i * src_stride, bytes);
  } else {
    for (int64_t i = 0; i < rows; ++i) memcpy(dst + i * dst_stride, src + i * src_stride, static_cast<size_t>(bytes));
  }
}

// Writes the row at `src` `rows` times, one copy after the other: short rows double within the output up to 4 KiB.
inline void repeat_row(char* dst, const char* src, int64_t rows, int64_t bytes) {
  if (rows <= 0) return;
  const int64_t total = rows * bytes;
  memcpy(dst, src, static_cast<size_t>(bytes));
  int64_t filled = bytes;
  while (filled < 4096 && filled < total) {
    const int64_t n = smaller(filled, total - filled);
    memcpy(dst + filled, dst, static_cast<size_t>(n));
    filled += n;
  }
  const int64_t block = filled;
  for (; filled < total; filled += block) memcpy(dst + filled, dst, static_cast<size_t>(smaller(block, total - filled)));
}

// Fills `count` elements of `size` bytes with the value in the low bytes of `pattern`, whose 8 bytes repeat it.
inline void fill_pattern(char* dst, uint64_t pattern, int64_t bytes) {
  int64_t i = 0;
  for (; i + 8 <= bytes; i += 8) __builtin_memcpy(dst + i, &pattern, 8);
  if (i < bytes) __builtin_memcpy(dst + i, &pattern, static_cast<size_t>(bytes - i));
}

}  // namespace
}  // namespace nnlite::NN_ISA
