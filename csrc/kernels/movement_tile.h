// Square tiles transposed in registers: 16x16 (AVX-512) or 8x8 (AVX2) elements of 4 bytes, 8x8 or 4x4 of 8 bytes, 8x8 of 2 bytes;
// others through plain loops.
#pragma once
#include "kernels/kernel.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

// out[j * out_stride + i] = in[i * in_stride + j] for i, j < kSide; strides in elements.
template <class T>
struct Tile {
  static constexpr int kSide = 8;
  static void transpose(const T* in, int64_t in_stride, T* out, int64_t out_stride) {
    T block[kSide][kSide];
    for (int i = 0; i < kSide; ++i) __builtin_memcpy(block[i], in + i * in_stride, sizeof(block[i]));
    for (int j = 0; j < kSide; ++j) {
      T row[kSide];
      for (int i = 0; i < kSide; ++i) row[i] = block[i][j];
      __builtin_memcpy(out + j * out_stride, row, sizeof(row));
    }
  }
};

#if defined(__SSE2__)

template <>
struct Tile<uint16_t> {
  static constexpr int kSide = 8;
  static void transpose(const uint16_t* in, int64_t in_stride, uint16_t* out, int64_t out_stride) {
    __m128i r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i * in_stride));
    // Interleaving rows i and i + 4 three times over brings column j to row j.
#pragma GCC unroll 3
    for (int round = 0; round < 3; ++round) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        t[2 * i] = _mm_unpacklo_epi16(r[i], r[i + 4]);
        t[2 * i + 1] = _mm_unpackhi_epi16(r[i], r[i + 4]);
      }
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) r[i] = t[i];
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j * out_stride), r[j]);
  }
};

#endif

#if defined(NN_COMPILE_AVX512)

template <>
struct Tile<uint32_t> {
  static constexpr int kSide = 16;
  static void transpose(const uint32_t* in, int64_t in_stride, uint32_t* out, int64_t out_stride) {
    __m512i r[16], t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(in + i * in_stride);
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    // Rows 4g..4g+3: r[4g + k] holds, in its 128-bit lane l, column 4l + k.
#pragma GCC unroll 4
    for (int g = 0; g < 16; g += 4) {
      r[g] = _mm512_unpacklo_epi64(t[g], t[g + 2]);
      r[g + 1] = _mm512_unpackhi_epi64(t[g], t[g + 2]);
      r[g + 2] = _mm512_unpacklo_epi64(t[g + 1], t[g + 3]);
      r[g + 3] = _mm512_unpackhi_epi64(t[g + 1], t[g + 3]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const __m512i a = _mm512_shuffle_i32x4(r[k], r[4 + k], 0x88);       // lanes 0, 2 of the first eight rows
      const __m512i b = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0x88);  // and of the last eight
      const __m512i c = _mm512_shuffle_i32x4(r[k], r[4 + k], 0xdd);       // lanes 1, 3
      const __m512i d = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0xdd);
      _mm512_storeu_si512(out + k * out_stride, _mm512_shuffle_i32x4(a, b, 0x88));
      _mm512_storeu_si512(out + (4 + k) * out_stride, _mm512_shuffle_i32x4(c, d, 0x88));
      _mm512_storeu_si512(out + (8 + k) * out_stride, _mm512_shuffle_i32x4(a, b, 0xdd));
      _mm512_storeu_si512(out + (12 + k) * out_stride, _mm512_shuffle_i32x4(c, d, 0xdd));
    }
  }
};

template <>
struct Tile<uint64_t> {
  static constexpr int kSide = 8;
  static void transpose(const uint64_t* in, int64_t in_stride, uint64_t* out, int64_t out_stride) {
    __m512i r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = _mm512_loadu_si512(in + i * in_stride);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
      const __m512i a = _mm512_shuffle_i64x2(t[k], t[2 + k], 0x88);
      const __m512i b = _mm512_shuffle_i64x2(t[4 + k], t[6 + k], 0x88);
      const __m512i c = _mm512_shuffle_i64x2(t[k], t[2 + k], 0xdd);
      const __m512i d = _mm512_shuffle_i64x2(t[4 + k], t[6 + k], 0xdd);
      _mm512_storeu_si512(out + k * out_stride, _mm512_shuffle_i64x2(a, b, 0x88));
      _mm512_storeu_si512(out + (2 + k) * out_stride, _mm512_shuffle_i64x2(c, d, 0x88));
      _mm512_storeu_si512(out + (4 + k) * out_stride, _mm512_shuffle_i64x2(a, b, 0xdd));
      _mm512_storeu_si512(out + (6 + k) * out_stride, _mm512_shuffle_i64x2(c, d, 0xdd));
    }
  }
};

#elif defined(NN_COMPILE_AVX2)

template <>
struct Tile<uint32_t> {
  static constexpr int kSide = 8;
  static void transpose(const uint32_t* in, int64_t in_stride, uint32_t* out, int64_t out_stride) {
    __m256i r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i * in_stride));
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int g = 0; g < 8; g += 4) {
      r[g] = _mm256_unpacklo_epi64(t[g], t[g + 2]);
      r[g + 1] = _mm256_unpackhi_epi64(t[g], t[g + 2]);
      r[g + 2] = _mm256_unpacklo_epi64(t[g + 1], t[g + 3]);
      r[g + 3] = _mm256_unpackhi_epi64(t[g + 1], t[g + 3]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k * out_stride), _mm256_permute2x128_si256(r[k], r[4 + k], 0x20));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (4 + k) * out_stride), _mm256_permute2x128_si256(r[k], r[4 + k], 0x31));
    }
  }
};

template <>
struct Tile<uint64_t> {
  static constexpr int kSide = 4;
  static void transpose(const uint64_t* in, int64_t in_stride, uint64_t* out, int64_t out_stride) {
    __m256i r[4], t[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) r[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i * in_stride));
#pragma GCC unroll 2
    for (int i = 0; i < 4; i += 2) {
      t[i] = _mm256_unpacklo_epi64(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_epi64(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k * out_stride), _mm256_permute2x128_si256(t[k], t[2 + k], 0x20));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (2 + k) * out_stride), _mm256_permute2x128_si256(t[k], t[2 + k], 0x31));
    }
  }
};

#endif

}  // namespace
}  // namespace nnlite::NN_ISA
