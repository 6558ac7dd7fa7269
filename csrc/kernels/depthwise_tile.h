// What the depthwise kernels share: one register of channels at a time, read in place or spread over the filters of each channel.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include <cstdint>

#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

// A tile keeps 9 weights at once. Half vectors leave room for them in the 16 registers of AVX2; lanes never meet, so the bits are those of
// whole vectors.
template <class R>
struct Half {
  using Type = R;
};
#if defined(NN_COMPILE_AVX2)
template <class H>
struct Half<native::Pair<H>> {
  using Type = H;
};
#endif
template <class T>
struct Reg {
  using Native = typename Half<typename VecTraits<T>::Register>::Type;
  static constexpr int kLanes = Native::kLanes;
  Native r;

  static NN_ALWAYS Reg zero() {
    Reg v;
    native::splat(v.r, T(0));
    return v;
  }
};

template <class T>
NN_INLINE Reg<T> load_reg(const T* p) {
  Reg<T> v;
  native::load(v.r, p);
  return v;
}
template <class T>
NN_INLINE Reg<T> load_reg(const T* p, int n) {
  Reg<T> v;
  native::load_part(v.r, p, n);
  return v;
}
template <class T>
NN_INLINE Reg<T> fma(Reg<T> a, Reg<T> b, Reg<T> c) {
  return {native::fma(a.r, b.r, c.r)};
}
template <class T>
NN_INLINE Reg<T> operator+(Reg<T> a, Reg<T> b) {
  return {native::add(a.r, b.r)};
}
template <class T>
NN_INLINE Reg<T> max(Reg<T> a, Reg<T> b) {
  return {native::max(a.r, b.r)};
}

// How registers are read. AVX-512 masks cost nothing, so there whole registers are read as parts.
enum class Access { kWhole, kPart, kMapped };
#if defined(NN_COMPILE_AVX512)
constexpr bool kAlwaysPart = true;
#else
constexpr bool kAlwaysPart = false;
#endif

// The filters [c, c + part) as registers. `map` gives the channel of every filter (null when they are the same); the channels of one register
// never spread over more than a register.
template <class T, Access kAccess>
struct Lanes {
  int part;
  int64_t c, channel;
  int channels;
  const int32_t* map;
#if defined(NN_COMPILE_AVX512) || defined(NN_COMPILE_AVX2)
  native::I32 places;
#endif

  NN_ALWAYS Lanes(int64_t first, int count, const int32_t* channel_of) : part(count), c(first), channel(first), channels(count), map(channel_of) {
    if (kAccess != Access::kMapped) return;
    channel = map[c];
    channels = map[c + part - 1] - map[c] + 1;
#if defined(NN_COMPILE_AVX512) || defined(NN_COMPILE_AVX2)
    native::I32 base;
    native::load(places, map + c);
    native::splat(base, map[c]);
    places = native::sub(places, base);
#endif
  }

  // Of an image of filters, or weights: p is at filter 0.
  NN_ALWAYS Reg<T> own(const T* p) const { return kAccess == Access::kWhole ? load_reg(p + c) : load_reg(p + c, part); }
  NN_ALWAYS void put(T* p, Reg<T> v) const {
    if (kAccess == Access::kWhole) {
      native::store(p + c, v.r);
    } else {
      native::store_part(p + c, v.r, part);
    }
  }
  // Of an image of channels: p is at channel 0.
  NN_ALWAYS Reg<T> read(const T* p) const {
    if (kAccess != Access::kMapped) return own(p);
    return spread(p);
  }

 private:
  NN_ALWAYS Reg<float> spread(const float* p) const {
#if defined(NN_COMPILE_AVX512)
    return {{_mm512_permutexvar_ps(places.r, load_reg(p + channel, channels).r.r)}};
#elif defined(NN_COMPILE_AVX2)
    return {{_mm256_permutevar8x32_ps(load_reg(p + channel, channels).r.r, places.r)}};
#else
    return gather(p);
#endif
  }
  NN_ALWAYS Reg<double> spread(const double* p) const {
#if defined(NN_COMPILE_AVX512)
    const __m512i wide = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(places.r));
    return {{_mm512_permutexvar_pd(wide, load_reg(p + channel, channels).r.r)}};
#elif defined(NN_COMPILE_AVX2)
    const __m256d zero = _mm256_setzero_pd(), all = _mm256_castsi256_pd(_mm256_set1_epi64x(-1));
    return {{_mm256_mask_i32gather_pd(zero, p + channel, _mm256_castsi256_si128(places.r), all, 8)}};  // lanes past `part` repeat a channel
#else
    return gather(p);
#endif
  }
  template <class U>
  NN_ALWAYS Reg<U> gather(const U* p) const {
    U lanes[Reg<U>::kLanes] = {};
    for (int i = 0; i < part; ++i) lanes[i] = p[map[c + i]];
    return load_reg(lanes);
  }
};

// After the arguments of a lambda whose code must not be a function of its own.
#define NN_LAMBDA_INLINE __attribute__((always_inline))

// Calls visit(lanes) for registers that cover [begin, end).
template <class T, bool kMapped, class Visit>
NN_INLINE void for_lanes(int64_t begin, int64_t end, const int32_t* map, Visit visit) {
  constexpr int kLanes = Reg<T>::kLanes;
  int64_t c = begin;
  if (kMapped || kAlwaysPart) {
    for (; c < end; c += kLanes) {
      visit(Lanes<T, kMapped ? Access::kMapped : Access::kPart>(c, static_cast<int>(smaller(end - c, kLanes)), map));
    }
  } else {
    for (; c + kLanes <= end; c += kLanes) visit(Lanes<T, Access::kWhole>(c, kLanes, map));
    if (c < end) visit(Lanes<T, Access::kPart>(c, static_cast<int>(end - c), map));
  }
}

}  // namespace
}  // namespace depthwise
}  // namespace nnlite::NN_ISA
