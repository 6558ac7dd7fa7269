// The floating-point peak of one thread, measured: independent chains of multiply-adds that live in registers and touch no memory.
// Kernels are reported as a fraction of it, measured in the same run, because the clock and the neighbours of a shared machine vary.
#pragma once
#include <cstdint>

#include "core/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnlite::bench {

// Each runs `rounds` rounds and returns the flops of one round, a multiply-add counting two.
#if defined(__x86_64__)
__attribute__((target("avx512f"), noinline)) inline double calibrate_avx512(int64_t rounds) {
  constexpr int kChains = 24;
  __m512 sum[kChains], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) {
    sum[i] = b;
    asm volatile("" : "+v"(sum[i]));  // or the compiler finds all chains to be one
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"v"(sum[i]));
  return kChains * 16 * 2;
}

__attribute__((target("avx2,fma"), noinline)) inline double calibrate_avx2(int64_t rounds) {
  constexpr int kChains = 12;
  __m256 sum[kChains], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  asm volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) {
    sum[i] = b;
    asm volatile("" : "+x"(sum[i]));  // or the compiler finds all chains to be one
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"x"(sum[i]));
  return kChains * 8 * 2;
}

__attribute__((noinline)) inline double calibrate_baseline(int64_t rounds) {
  constexpr int kChains = 12;
  __m128 sum[kChains], a = _mm_set1_ps(0.999f), b = _mm_set1_ps(0.001f);
  asm volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) {
    sum[i] = b;
    asm volatile("" : "+x"(sum[i]));  // or the compiler finds all chains to be one
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm_add_ps(_mm_mul_ps(sum[i], a), b);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"x"(sum[i]));
  return kChains * 4 * 2;
}
#else
__attribute__((noinline)) inline double calibrate_baseline(int64_t rounds) {
  constexpr int kChains = 32;
  float sum[kChains] = {}, a = 0.999f, b = 0.001f;
  asm volatile("" : "+w"(a), "+w"(b));
  for (int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * a + b;
  }
  asm volatile("" ::"m"(sum));
  return kChains * 2;
}
#endif

// Runs `rounds` rounds with the instructions of `isa`; returns the flops done.
inline double calibrate(Isa isa, int64_t rounds) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return static_cast<double>(rounds) * calibrate_avx512(rounds);
  if (isa == Isa::kAvx2) return static_cast<double>(rounds) * calibrate_avx2(rounds);
#else
  static_cast<void>(isa);
#endif
  return static_cast<double>(rounds) * calibrate_baseline(rounds);
}

}  // namespace nnlite::bench
