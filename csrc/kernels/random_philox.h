// Philox4x32-10 for 16 counters at once: 64 words in the order of the elements that take them. Integer arithmetic only, so every instruction
// set gives the words of core/philox.h.
#pragma once
#include "core/philox.h"
#include "kernels/kernel.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

// The words of elements 64 g .. 64 g + 63, 16 a vector.
struct PhiloxWords {
  Vec<int32_t> v[4];
};

// One stream: the round keys of `seed`, and `call`.
struct PhiloxStream {
  uint32_t key0[kPhiloxRounds], key1[kPhiloxRounds];
  uint64_t call;

  explicit PhiloxStream(const int64_t* key) : call(static_cast<uint64_t>(key[1])) {
    const uint64_t seed = static_cast<uint64_t>(key[0]);
    for (int i = 0; i < kPhiloxRounds; ++i) {
      key0[i] = static_cast<uint32_t>(seed) + static_cast<uint32_t>(i) * kPhiloxWeyl0;
      key1[i] = static_cast<uint32_t>(seed >> 32) + static_cast<uint32_t>(i) * kPhiloxWeyl1;
    }
  }
};

// Counters live in the low halves of 64-bit lanes, which is where a widening multiplication reads them; what it leaves in the high halves
// is never looked at. The blocks are dealt to the lanes so that two unpacks put the words in order.
#if defined(NN_COMPILE_AVX512)

NN_INLINE PhiloxWords philox_words(const PhiloxStream& s, uint64_t group) {
  const __m512i multiplier0 = _mm512_set1_epi64(kPhiloxMultiplier0), multiplier1 = _mm512_set1_epi64(kPhiloxMultiplier1);
  const __m512i deal = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
  __m512i c0[2], c1[2], c2[2], c3[2];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    c0[h] = _mm512_add_epi64(_mm512_set1_epi64(static_cast<int64_t>(group * 16 + 8 * h)), deal);
    c1[h] = _mm512_srli_epi64(c0[h], 32);
    c2[h] = _mm512_set1_epi64(static_cast<int64_t>(s.call));
    c3[h] = _mm512_set1_epi64(static_cast<int64_t>(s.call >> 32));
  }
#pragma GCC unroll 10
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const __m512i key0 = _mm512_set1_epi32(static_cast<int32_t>(s.key0[round])), key1 = _mm512_set1_epi32(static_cast<int32_t>(s.key1[round]));
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __m512i p0 = _mm512_mul_epu32(c0[h], multiplier0), p1 = _mm512_mul_epu32(c2[h], multiplier1);
      c0[h] = _mm512_ternarylogic_epi32(_mm512_srli_epi64(p1, 32), c1[h], key0, 0x96);  // a ^ b ^ c
      c2[h] = _mm512_ternarylogic_epi32(_mm512_srli_epi64(p0, 32), c3[h], key1, 0x96);
      c1[h] = p1;
      c3[h] = p0;
    }
  }
  PhiloxWords words;
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const __m512i w01 = _mm512_mask_shuffle_epi32(c0[h], 0xaaaa, c1[h], _MM_PERM_CCAA),
                  w23 = _mm512_mask_shuffle_epi32(c2[h], 0xaaaa, c3[h], _MM_PERM_CCAA);
    words.v[2 * h].r.r = _mm512_unpacklo_epi64(w01, w23);
    words.v[2 * h + 1].r.r = _mm512_unpackhi_epi64(w01, w23);
  }
  return words;
}

#elif defined(NN_COMPILE_AVX2)

NN_INLINE PhiloxWords philox_words(const PhiloxStream& s, uint64_t group) {
  const __m256i multiplier0 = _mm256_set1_epi64x(kPhiloxMultiplier0), multiplier1 = _mm256_set1_epi64x(kPhiloxMultiplier1);
  const __m256i deal = _mm256_set_epi64x(3, 1, 2, 0);
  alignas(32) int32_t words[64];
  // Two quarters at a time fit the 16 registers.
#pragma GCC unroll 1
  for (int half = 0; half < 2; ++half) {
    __m256i c0[2], c1[2], c2[2], c3[2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      c0[h] = _mm256_add_epi64(_mm256_set1_epi64x(static_cast<int64_t>(group * 16 + 8 * half + 4 * h)), deal);
      c1[h] = _mm256_srli_epi64(c0[h], 32);
      c2[h] = _mm256_set1_epi64x(static_cast<int64_t>(s.call));
      c3[h] = _mm256_set1_epi64x(static_cast<int64_t>(s.call >> 32));
    }
#pragma GCC unroll 10
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const __m256i key0 = _mm256_set1_epi32(static_cast<int32_t>(s.key0[round])), key1 = _mm256_set1_epi32(static_cast<int32_t>(s.key1[round]));
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const __m256i p0 = _mm256_mul_epu32(c0[h], multiplier0), p1 = _mm256_mul_epu32(c2[h], multiplier1);
        c0[h] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1[h]), key0);
        c2[h] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3[h]), key1);
        c1[h] = p1;
        c3[h] = p0;
      }
    }
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __m256i w01 = _mm256_blend_epi32(c0[h], _mm256_slli_epi64(c1[h], 32), 0xaa),
                    w23 = _mm256_blend_epi32(c2[h], _mm256_slli_epi64(c3[h], 32), 0xaa);
      _mm256_store_si256(reinterpret_cast<__m256i*>(words + 32 * half + 16 * h), _mm256_unpacklo_epi64(w01, w23));
      _mm256_store_si256(reinterpret_cast<__m256i*>(words + 32 * half + 16 * h + 8), _mm256_unpackhi_epi64(w01, w23));
    }
  }
  return {{load(words), load(words + 16), load(words + 32), load(words + 48)}};
}

#else

NN_INLINE PhiloxWords philox_words(const PhiloxStream& s, uint64_t group) {
  uint32_t c0[16], c1[16], c2[16], c3[16];
  for (int i = 0; i < 16; ++i) {
    const uint64_t block = group * 16 + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(block);
    c1[i] = static_cast<uint32_t>(block >> 32);
    c2[i] = static_cast<uint32_t>(s.call);
    c3[i] = static_cast<uint32_t>(s.call >> 32);
  }
  for (int round = 0; round < kPhiloxRounds; ++round) {
    for (int i = 0; i < 16; ++i) {
      const uint64_t p0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c0[i], p1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c2[i];
      c0[i] = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ s.key0[round];
      c2[i] = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ s.key1[round];
      c1[i] = static_cast<uint32_t>(p1);
      c3[i] = static_cast<uint32_t>(p0);
    }
  }
  int32_t words[64];
  for (int i = 0; i < 16; ++i) {
    words[4 * i] = static_cast<int32_t>(c0[i]);
    words[4 * i + 1] = static_cast<int32_t>(c1[i]);
    words[4 * i + 2] = static_cast<int32_t>(c2[i]);
    words[4 * i + 3] = static_cast<int32_t>(c3[i]);
  }
  return {{load(words), load(words + 16), load(words + 32), load(words + 48)}};
}

#endif

constexpr int64_t kPhiloxGroup = 64;                  // words that philox_words makes
constexpr int64_t kRandomChunk = 256 * kPhiloxGroup;  // elements a chunk, a few microseconds of work

// Checks that input `i` is a key: int64 [2], holding (seed, call).
inline void check_key(const Prepare& p, int i) {
  const Spec& key = p.input(i);
  if (key.dtype != DType::kInt64 || key.rank != 1 || key.dims[0] != 2) p.fail("the key must be an int64 tensor of shape (2,): seed and call");
}

// The same bits read as lanes of another width.
NN_INLINE Vec<int64_t> as_pairs(Vec<int32_t> a) {
  Vec<int64_t> b;
  __builtin_memcpy(&b, &a, sizeof(b));
  return b;
}
NN_INLINE Vec<int32_t> as_words(Vec<int64_t> a) {
  Vec<int32_t> b;
  __builtin_memcpy(&b, &a, sizeof(b));
  return b;
}

}  // namespace
}  // namespace nnlite::NN_ISA
