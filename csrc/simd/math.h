// Elementary functions on vectors, the same operations in the same order at every instruction set. Measured bounds over all
// finite inputs, in units in the last place (see tests/cpp/simd_math_test.cpp); infinities, NaN, signed zeros and subnormals follow C's libm.
//
//                exp  expm1  log  log1p  tanh  sigmoid  sin/cos  tan  pow
//   float        1.0  1.5    0.9  1.0    2.3   2.4      1.6      3.5  0.6
//   double       1.0  2.0    0.9  0.9    2.6   2.4      -        -    -
//
// Missing entries (and asin, acos, atan, sinh, cosh, atan2) are libm calls, lane by lane: see kernels/elementwise_math.isa.cpp.
// erf is in simd/gelu.h.
#pragma once
#include "simd/vec.h"

namespace nnlite::NN_ISA {

// The layout of a floating point type and the constants of its functions.
template <class T>
struct FloatTraits;
template <>
struct FloatTraits<float> {
  using Int = int32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr float kBias = 127.0f;
  static constexpr float kTwoToMantissa = 8388608.0f;  // 2^23
  static constexpr int32_t kTwoToMantissaBits = 0x4b000000;
  static constexpr int32_t kOneMinusSqrtHalf = 0x3f800000 - 0x3f3504f3;
  static constexpr int32_t kOneBits = 0x3f800000;
  static constexpr float kMinNormal = 1.17549435e-38f;
  static constexpr float kInfinity = __builtin_inff();
  static constexpr float kNan = __builtin_nanf("");
  static constexpr float kLog2E = 1.44269504f;
  static constexpr float kLn2High = 0.693145752f;  // its product with an exponent is exact
  static constexpr float kLn2Low = 1.42860677e-6f;
  static constexpr float kExpLow = -105.0f, kExpHigh = 89.0f;  // beyond these exp is 0 and infinite
  static constexpr float kExpm1Low = -20.0f;                   // expm1 is -1 below
  static constexpr float kTanhHigh = 9.02f;                    // tanh is 1 above
};
template <>
struct FloatTraits<double> {
  using Int = int64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr double kBias = 1023.0;
  static constexpr double kTwoToMantissa = 4503599627370496.0;  // 2^52
  static constexpr int64_t kTwoToMantissaBits = 0x4330000000000000;
  static constexpr int64_t kOneMinusSqrtHalf = 0x3ff0000000000000 - 0x3fe6a09e667f3bcd;
  static constexpr int64_t kOneBits = 0x3ff0000000000000;
  static constexpr double kMinNormal = 2.2250738585072014e-308;
  static constexpr double kInfinity = __builtin_inf();
  static constexpr double kNan = __builtin_nan("");
  static constexpr double kLog2E = 1.4426950408889634;
  static constexpr double kLn2High = 0.69314718036912382;
  static constexpr double kLn2Low = 1.9082149292705877e-10;
  static constexpr double kExpLow = -746.0, kExpHigh = 710.0;
  static constexpr double kExpm1Low = -40.0;
  static constexpr double kTanhHigh = 19.1;
};

// Horner's rule, lowest coefficient first.
template <class T, int n>
NN_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[n]) {
  Vec<T> y = splat(c[n - 1]);
  NN_UNROLL(16)
  for (int i = n - 2; i >= 0; --i) y = fma(y, x, splat(c[i]));
  return y;
}

// 2^n for whole n of magnitude below the exponent bias.
template <class T>
NN_INLINE Vec<T> power_of_two(Vec<T> n) {
  using F = FloatTraits<T>;
  return as_float(shift_left<F::kMantissaBits>(as_int(n + splat(T(1.5) * F::kTwoToMantissa + F::kBias))));
}

// x * 2^n with one rounding, for x near 1 and whole n from twice the lowest to the highest exponent.
template <class T>
NN_INLINE Vec<T> scale(Vec<T> x, Vec<T> n) {
#if defined(NN_COMPILE_AVX512)
  if constexpr (sizeof(T) == 4) {
    return {{_mm512_scalef_ps(x.r.r, n.r.r)}};
  } else {
    return {{_mm512_scalef_pd(x.r.r, n.r.r)}};
  }
#else
  // One step where no result leaves the normal numbers by more than its last rounding; else two, of which only the second rounds.
  if (__builtin_expect(all(abs(n) <= splat(FloatTraits<T>::kBias - 1)), 1)) return x * power_of_two(n);
  const Vec<T> half = floor(n * splat(T(0.5)));
  return x * power_of_two(half) * power_of_two(n - half);
#endif
}

// (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2.
NN_INLINE Vec<float> exp_tail(Vec<float> r) {
  static constexpr float kTail[] = {0.5f, 0.166666672f, 0.041666355f, 0.00833327323f, 0.0013941098f, 0.000199143004f};
  return polynomial(r, kTail);
}
NN_INLINE Vec<double> exp_tail(Vec<double> r) {
  static constexpr double kTail[] = {0.5,
                                     0.16666666666666677,
                                     0.041666666666666699,
                                     0.0083333333333215336,
                                     0.0013888888888866687,
                                     0.00019841269886394474,
                                     2.4801587360856809e-05,
                                     2.7557243917787454e-06,
                                     2.7557242500953275e-07,
                                     2.5109145407239144e-08,
                                     2.0924523755257768e-09};
  return polynomial(r, kTail);
}

// Splits x = n ln 2 + r and returns exp(r) - 1; n is whole.
template <class T>
NN_INLINE Vec<T> expm1_reduced(Vec<T> x, Vec<T>& n) {
  using F = FloatTraits<T>;
  n = round_even(x * splat(F::kLog2E));
  const Vec<T> r = fnma(n, splat(F::kLn2Low), fnma(n, splat(F::kLn2High), x));
  return fma(r * r, exp_tail(r), r);
}

NN_LONG Vec<double> exp(Vec<double> x) {
  using F = FloatTraits<double>;
  Vec<double> n;
  const Vec<double> q = expm1_reduced(min(splat(F::kExpHigh), max(splat(F::kExpLow), x)), n);
  return scale(splat(1.0) + q, n);
}
// One term fewer than expm1 needs.
NN_LONG Vec<float> exp(Vec<float> x) {
  static constexpr float kTail[] = {0.49999994f, 0.166665196f, 0.041668389f, 0.00836877339f, 0.00138146954f};
  using F = FloatTraits<float>;
  x = min(splat(F::kExpHigh), max(splat(F::kExpLow), x));
  const Vec<float> n = round_even(x * splat(F::kLog2E));
  const Vec<float> r = fnma(n, splat(F::kLn2Low), fnma(n, splat(F::kLn2High), x));
  return scale(splat(1.0f) + fma(r * r, polynomial(r, kTail), r), n);
}

// A vector in its register. Left alone, the compiler reads a constant, or what was loaded once, from memory wherever it is used, and loads become
// the limit; AVX2 has no registers to spare.
template <class T>
NN_INLINE Vec<T> held(Vec<T> a) {
#if defined(NN_COMPILE_AVX512)
  asm("" : "+v"(a.r.r));
#endif
  return a;
}

// 16 words, found by the low four bits of every lane. `words` starts at a multiple of 64 bytes.
struct Table16 {
#if defined(NN_COMPILE_AVX512)
  Vec<int32_t> words;
  explicit NN_ALWAYS Table16(const void* from) : words(held(load(static_cast<const int32_t*>(from)))) {}
  NN_ALWAYS Vec<int32_t> operator[](Vec<int32_t> k) const { return {{_mm512_permutexvar_epi32(k.r.r, words.r.r)}}; }
#else
  const void* words;
  explicit NN_ALWAYS Table16(const void* from) : words(from) {}
#if defined(NN_COMPILE_AVX2)
  NN_ALWAYS Vec<int32_t> operator[](Vec<int32_t> k) const { return {{{half(k.r.lo.r)}, {half(k.r.hi.r)}}}; }
  NN_ALWAYS __m256i half(__m256i k) const {
    const __m256i low = _mm256_load_si256(static_cast<const __m256i*>(words)), high = _mm256_load_si256(static_cast<const __m256i*>(words) + 1);
    const __m256 a = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(low, k)), b = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(high, k));
    return _mm256_castps_si256(_mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(k, 28))));
  }
#else
  NN_ALWAYS Vec<int32_t> operator[](Vec<int32_t> k) const {
    int32_t lanes[Vec<int32_t>::kLanes];
    store(lanes, k & splat(15));
    for (int32_t& lane : lanes) __builtin_memcpy(&lane, static_cast<const char*>(words) + 4 * lane, sizeof(lane));
    return load(lanes);
  }
#endif
#endif
};

// exp(x) for x <= 0, where results below the normal numbers may be 0: softmax. Within 1.6 ulp down to -20 and 5 ulp down to -87. An object, made
// before a loop, keeps its constants in registers.
template <class T>
struct NonpositiveExp {
  NN_ALWAYS Vec<T> operator()(Vec<T> x) const { return exp(x); }
};
#if defined(NN_COMPILE_AVX512) || defined(NN_COMPILE_AVX2)
// The bits of 2^(k/16), less k << 19.
alignas(64) static constexpr int32_t kSixteenths[16] = {
    0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
    0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d,};
// x = n ln 2 + r with n a multiple of 1/16: exp(x) = 2^n (1 + r + r^2/2 + r^3/6). Adding the shift rounds to a sixteenth and leaves n's bits at the
// low end. 2^-127, where x is held, has the bits of zero.
template <>
struct NonpositiveExp<float> {
  Vec<float> low = held(splat(-88.0296936f)), log2_e = held(splat(FloatTraits<float>::kLog2E)), shift = held(splat(786432.0f));  // 1.5 * 2^19
  Vec<float> ln2 = held(splat(0.693147182f)), sixth = held(splat(0.166666672f)), half = held(splat(0.5f)), one = held(splat(1.0f));
  Table16 sixteenths{kSixteenths};

  NN_ALWAYS Vec<float> operator()(Vec<float> x) const {
    x = max(low, x);
    const Vec<float> shifted = fma(x, log2_e, shift);
    const Vec<float> r = fnma(shifted - shift, ln2, x);
    const Vec<int32_t> k = as_int(shifted);
    const Vec<float> power = as_float(sixteenths[k] + shift_left<19>(k));
    return fma(power * r, fma(fma(r, sixth, half), r, one), power);
  }
};
#endif

// exp(x) for kExpLow/2 <= x <= kExpHigh/2 or so, NaN included: the result is normal and needs no care at the edges.
template <class T>
NN_INLINE Vec<T> expm1_inner(Vec<T> x) {
  Vec<T> n;
  const Vec<T> q = expm1_reduced(x, n);
  const Vec<T> s = power_of_two(n);
  return fma(s, q, s - splat(T(1)));
}

template <class T>
NN_LONG Vec<T> expm1(Vec<T> x) {
  using F = FloatTraits<T>;
  Vec<T> n;
  const Vec<T> q = expm1_reduced(min(splat(F::kExpHigh), max(splat(F::kExpm1Low), x)), n);
  const Vec<T> s = power_of_two(n - splat(T(1)));  // half the scale: 2^n itself overflows just before exp does
  const Vec<T> y = fma(s, q, s - splat(T(0.5)));
  return select(x == Vec<T>::zero(), x, y + y);
}

// Splits a positive normal x = 2^e m, sqrt(1/2) <= m < sqrt(2).
template <class T>
NN_INLINE Vec<T> split_exponent(Vec<T> x, Vec<T>& e) {
  using F = FloatTraits<T>;
  const auto bits = as_int(x);
  const auto exponent = shift_right<F::kMantissaBits>(bits + splat(F::kOneMinusSqrtHalf));
  e = as_float(exponent | splat(F::kTwoToMantissaBits)) - splat(F::kTwoToMantissa + F::kBias);
  return as_float(bits - shift_left<F::kMantissaBits>(exponent) + splat(F::kOneBits));
}

// e ln 2 + log(1 + f) + c, for f as split_exponent leaves it and a tiny correction c.
NN_INLINE Vec<float> log_sum(Vec<float> e, Vec<float> f, Vec<float> c) {
  static constexpr float kTail[] = {-0.5f,        0.333333105f,  -0.250000268f, 0.200022191f,  -0.166676909f,
                                    0.142176911f, -0.124073267f, 0.119008817f,  -0.116760746f, 0.0672523156f};
  using F = FloatTraits<float>;
  const Vec<float> low = fma(e, splat(F::kLn2Low), fma(f * f, polynomial(f, kTail), c));
  return fma(e, splat(F::kLn2High), f + low);
}
NN_INLINE Vec<double> log_sum(Vec<double> e, Vec<double> f, Vec<double> c) {
  // With s = f / (2 + f): log(1 + f) = 2 atanh(s), an odd series in s that needs few terms.
  static constexpr double kTail[] = {0.66666666666667329, 0.39999999999417474, 0.28571428742953348, 0.22222198422701225,
                                     0.18183576065955157, 0.15313664570586516, 0.14800566017205041};
  using F = FloatTraits<double>;
  const Vec<double> s = f / (f + splat(2.0));
  const Vec<double> z = s * s;
  const Vec<double> half_square = splat(0.5) * f * f;
  const Vec<double> low = fma(e, splat(F::kLn2Low), fma(s, fma(z, polynomial(z, kTail), half_square), c));
  return fma(e, splat(F::kLn2High), f - (half_square - low));
}

template <class T>
NN_LONG Vec<T> log(Vec<T> x) {
  using F = FloatTraits<T>;
  const Mask<T> subnormal = x < splat(F::kMinNormal);
  Vec<T> e;
  const Vec<T> m = split_exponent(select(subnormal, x * splat(F::kTwoToMantissa), x), e);
  e = select(subnormal, e - splat(T(F::kMantissaBits)), e);
  Vec<T> y = log_sum(e, m - splat(T(1)), Vec<T>::zero());
  y = select(x < splat(F::kInfinity), y, x);  // infinity and NaN pass
  y = select(x < Vec<T>::zero(), splat(F::kNan), y);
  return select(x == Vec<T>::zero(), splat(-F::kInfinity), y);
}

template <class T>
NN_LONG Vec<T> log1p(Vec<T> x) {
  using F = FloatTraits<T>;
  const Vec<T> one = splat(T(1));
  const Vec<T> u = x + one;
  // What the rounding of 1 + x lost, relative to u.
  const Vec<T> lost = select(x < one, x - (u - one), one - (u - x)) / u;
  Vec<T> e;
  const Vec<T> m = split_exponent(u, e);
  Vec<T> y = log_sum(e, m - one, lost);
  y = select(x < splat(F::kInfinity), y, x);
  y = select(x < -one, splat(F::kNan), y);
  y = select(x == -one, splat(-F::kInfinity), y);
  return select(x == Vec<T>::zero(), x, y);
}

template <class T>
NN_LONG Vec<T> tanh(Vec<T> x) {
  const Vec<T> a = min(splat(FloatTraits<T>::kTanhHigh), abs(x));
  const Vec<T> t = expm1_inner(a + a);
  return copysign(t / (t + splat(T(2))), x);
}

// 1 / (1 + exp(-x)); for negative x as exp(x) / (1 + exp(x)), which keeps small results exact to the last.
template <class T>
NN_LONG Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> one = splat(T(1));
  const Vec<T> t = exp(-abs(x));
  return select(x < Vec<T>::zero(), t, one) / (one + t);
}

// Quadrant and remainder of x modulo pi/2, |x| <= kTrigLimit; the remainder goes through double, so it is exact to float's last bit.
constexpr float kTrigLimit = 1e6f;
NN_INLINE Vec<double> reduce_quadrant(Vec<double> x, Vec<double>& n) {
  n = round_even(x * splat(0.63661977236758134));
  // pi/2 in three parts, the first two of 33 bits: their products with n are exact.
  return fnma(n, splat(2.0222662487959506e-21), fnma(n, splat(6.0771005063039660e-11), fnma(n, splat(1.5707963267341256), x)));
}
NN_INLINE Vec<float> reduce_quadrant(Vec<float> x, Vec<int32_t>& quadrant) {
  Vec<double> first, last, n_first, n_last;
  to_double(x, first, last);
  first = reduce_quadrant(first, n_first);
  last = reduce_quadrant(last, n_last);
  quadrant = round_to_int(to_single(n_first, n_last));
  return to_single(first, last);
}
NN_INLINE Vec<float> sin_reduced(Vec<float> r) {
  static constexpr float kTail[] = {-0.166666672f, 0.00833332911f, -0.000198392576f, 2.71756835e-06f};
  const Vec<float> z = r * r;
  return fma(r * z, polynomial(z, kTail), r);
}
NN_INLINE Vec<float> cos_reduced(Vec<float> r) {
  static constexpr float kTail[] = {0.0416666456f, -0.00138872524f, 2.44257644e-05f};
  const Vec<float> z = r * r;
  return fma(z * z, polynomial(z, kTail), fnma(z, splat(0.5f), splat(1.0f)));
}
// sin(x + shift * pi/2) for |x| <= kTrigLimit.
NN_LONG Vec<float> sin_shifted(Vec<float> x, int shift) {
  Vec<int32_t> quadrant;
  const Vec<float> r = reduce_quadrant(x, quadrant);
  quadrant = quadrant + splat(shift);
  const Mask<float> odd = (quadrant & splat(1)) == splat(1);
  const Vec<float> y = select(odd, cos_reduced(r), sin_reduced(r));
  return as_float(as_int(y) ^ shift_left<30>(quadrant & splat(2)));
}
NN_INLINE Vec<float> sin_inner(Vec<float> x) { return select(x == Vec<float>::zero(), x, sin_shifted(x, 0)); }
NN_INLINE Vec<float> cos_inner(Vec<float> x) { return sin_shifted(x, 1); }
NN_INLINE Vec<float> tan_inner(Vec<float> x) {
  Vec<int32_t> quadrant;
  const Vec<float> r = reduce_quadrant(x, quadrant);
  const Mask<float> odd = (quadrant & splat(1)) == splat(1);
  const Vec<float> s = sin_reduced(r), c = cos_reduced(r);
  return select(x == Vec<float>::zero(), x, select(odd, -c, s) / select(odd, s, c));
}

NN_LONG Vec<float> power(Vec<float> x, Vec<float> y) {
  const Vec<float> zero = Vec<float>::zero(), one = splat(1.0f);
  Vec<double> x_first, x_last, y_first, y_last;
  to_double(abs(x), x_first, x_last);
  to_double(y, y_first, y_last);
  Vec<float> p = to_single(exp(y_first * log(x_first)), exp(y_last * log(x_last)));
  const Vec<float> half_y = y * splat(0.5f);
  const Mask<float> whole = trunc(y) == y;
  const Mask<float> odd = whole & (trunc(half_y) != half_y);
  p = select(odd, copysign(p, x), p);
  const Mask<float> undefined = (x < zero) & (x > splat(-FloatTraits<float>::kInfinity)) & !whole;
  p = select(undefined, splat(FloatTraits<float>::kNan), p);
  const Mask<float> ones = (y == zero) | (x == one) | ((x == -one) & (abs(y) == splat(FloatTraits<float>::kInfinity)));
  return select(ones, one, p);
}

}  // namespace nnlite::NN_ISA
