// random_bits, random_uniform and random_normal: element i depends on the key and on i only.
//
//   float32, int32, uint8, int8, bool: element i takes word i (word i % 4 of block i / 4).
//   float64, int64: element i takes words 2 i (low half) and 2 i + 1 (high half) as one 64-bit number.
//   uniform: the top 24 (float32) or 53 (float64) bits, times 2^-24 or 2^-53: in [0, 1).
//   normal: Box-Muller on a pair of draws (a, b) gives elements 2 j and 2 j + 1: r cos(t) and r sin(t) with r = sqrt(-2 log(u)), where
//     float32: u = (a >> 1) * 2^-31 + 2^-32 (a rounded to float first), float64: u = (a >> 11) * 2^-53 + 2^-54, and t = 2 pi b / 2^32 (2^64).
//     u is never 0; the largest value is 6.66 (8.65 in float64).
#include "kernels/random_philox.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

struct RandomState {
  int64_t size;
};

// Calls body(first element, words) for the groups of chunks [begin, end); `per_element` words make one element.
template <int per_element, class Body>
void for_groups(const void* state, int64_t begin, int64_t end, const StepArgs& args, Body body) {
  constexpr int64_t kElements = kPhiloxGroup / per_element;
  const int64_t size = static_cast<const RandomState*>(state)->size;
  const PhiloxStream stream(static_cast<const int64_t*>(args.in[0]));
  const int64_t last = end * kRandomChunk < size ? end * kRandomChunk : size;
  for (int64_t i = begin * kRandomChunk; i < last; i += kElements) body(i, philox_words(stream, static_cast<uint64_t>(i / kElements)));
}

// Stores the part of `v` that lies before element `size`; v holds elements from `at` on.
template <class T>
NN_INLINE void store_until(T* out, int64_t at, int64_t size, Vec<T> v) {
  constexpr int kLanes = Vec<T>::kLanes;
  if (at + kLanes <= size) return store(out + at, v);
  if (at < size) store_part(out + at, v, static_cast<int>(size - at));
}

// ---- bits ----

template <class T>
void run_bits(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const int64_t size = static_cast<const RandomState*>(state)->size;
  T* out = static_cast<T*>(args.out[0]);
  for_groups<sizeof(T) / 4>(state, begin, end, args, [=](int64_t i, PhiloxWords w) {
    for (int j = 0; j < 4; ++j) {
      if constexpr (sizeof(T) == 8) {
        store_until(out, i + 8 * j, size, as_pairs(w.v[j]));
      } else {
        store_until(out, i + 16 * j, size, w.v[j]);
      }
    }
  });
}

void run_byte_bits(const void* state, int, int64_t begin, int64_t end, const StepArgs& args, int32_t mask) {
  const int64_t size = static_cast<const RandomState*>(state)->size;
  uint8_t* out = static_cast<uint8_t*>(args.out[0]);
  for_groups<1>(state, begin, end, args, [=](int64_t i, PhiloxWords w) {
    uint8_t bytes[kPhiloxGroup];
    for (int j = 0; j < 4; ++j) store_u8(bytes + 16 * j, w.v[j] & splat<int32_t>(mask));
    __builtin_memcpy(out + i, bytes, static_cast<size_t>(size - i < kPhiloxGroup ? size - i : kPhiloxGroup));
  });
}
void run_bytes(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  (void)phase;
  run_byte_bits(state, phase, begin, end, args, 0xff);
}
void run_bools(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) { run_byte_bits(state, phase, begin, end, args, 1); }

// ---- uniform ----

// The top 53 bits of unsigned 64-bit lanes as a double, exactly: the halves are put under the exponents of 2^84 and 2^52.
NN_INLINE Vec<double> top_bits(Vec<int64_t> a) {
  const Vec<int64_t> v = shift_right<11>(a);
  const Vec<double> high = as_float(shift_right<32>(v) | splat<int64_t>(0x4530000000000000));
  const Vec<double> low = as_float((v & splat<int64_t>(0xffffffff)) | splat<int64_t>(0x4330000000000000));
  return (high - splat(0x1p84 + 0x1p52)) + low;
}

void run_uniform32(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const int64_t size = static_cast<const RandomState*>(state)->size;
  float* out = static_cast<float*>(args.out[0]);
  for_groups<1>(state, begin, end, args, [=](int64_t i, PhiloxWords w) {
    for (int j = 0; j < 4; ++j) store_until(out, i + 16 * j, size, to_float(shift_right<8>(w.v[j])) * splat(0x1p-24f));
  });
}

void run_uniform64(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const int64_t size = static_cast<const RandomState*>(state)->size;
  double* out = static_cast<double*>(args.out[0]);
  for_groups<2>(state, begin, end, args, [=](int64_t i, PhiloxWords w) {
    for (int j = 0; j < 4; ++j) store_until(out, i + 8 * j, size, top_bits(as_pairs(w.v[j])) * splat(0x1p-53));
  });
}

// ---- normal ----

// log(u) for a normal u in (0, 1].
template <class T>
NN_INLINE Vec<T> log_unit(Vec<T> u) {
  Vec<T> e;
  const Vec<T> m = split_exponent(u, e);
  return log_sum(e, m - splat(T(1)), Vec<T>::zero());
}

// Taylor series on [-pi/4, pi/4]; the first omitted terms are below half an ulp.
NN_INLINE Vec<double> sin_reduced(Vec<double> x) {
  static constexpr double kTail[] = {-1.0 / 6,        1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
                                     -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
  const Vec<double> z = x * x;
  return fma(x * z, polynomial(z, kTail), x);
}
NN_INLINE Vec<double> cos_reduced(Vec<double> x) {
  static constexpr double kTail[] = {1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
  const Vec<double> z = x * x;
  return fma(z * z, polynomial(z, kTail), fnma(z, splat(0.5), splat(1.0)));
}

// (r cos, r sin) from sin and cos of the rest of the angle and the number of quarter turns: turns 1 and 3 swap the two, 1 and 2 negate the
// cosine, 2 and 3 the sine. `quarter` holds the number in its low two bits.
template <class T, class I>
NN_INLINE void turn(Vec<I> quarter, Vec<T> sin_rest, Vec<T> cos_rest, Vec<T> r, Vec<T>& x, Vec<T>& y) {
  constexpr int kTop = 8 * sizeof(I) - 2;
  const Mask<T> odd = (quarter & splat<I>(1)) == splat<I>(1);
  const Vec<T> c = select<T>(odd, sin_rest, cos_rest), s = select<T>(odd, cos_rest, sin_rest);
  const Vec<I> sign = sign_bits(r);
  x = r * as_float(as_int(c) ^ (shift_left<kTop>(quarter + splat<I>(1)) & sign));
  y = r * as_float(as_int(s) ^ (shift_left<kTop>(quarter) & sign));
}

// Draws a and b to a pair of normals.
NN_INLINE void box_muller(Vec<int32_t> a, Vec<int32_t> b, Vec<float>& x, Vec<float>& y) {
  const Vec<float> u = fma(to_float(shift_right<1>(a)), splat(0x1p-31f), splat(0x1p-32f));
  const Vec<float> r = sqrt(log_unit(u) * splat(-2.0f));
  const Vec<int32_t> quarter = shift_right<30>(b + splat<int32_t>(1 << 29));
  const Vec<float> rest = to_float(shift_left<2>(b)) * splat(1.57079632679489662f * 0x1p-32f);
  turn<float, int32_t>(quarter, sin_reduced(rest), cos_reduced(rest), r, x, y);
}
NN_INLINE void box_muller(Vec<int64_t> a, Vec<int64_t> b, Vec<double>& x, Vec<double>& y) {
  const Vec<double> u = fma(top_bits(a), splat(0x1p-53), splat(0x1p-54));
  const Vec<double> r = sqrt(log_unit(u) * splat(-2.0));
  const Vec<int64_t> quarter = shift_right<62>(b + splat<int64_t>(int64_t{1} << 61));
  // The rest of the angle as a signed fraction of a quarter turn: 4 b mod 2^64 in [-2^63, 2^63), of which 53 bits are kept.
  const Vec<double> unsigned_rest = top_bits(shift_left<2>(b) ^ splat<int64_t>(INT64_MIN)) * splat(0x1p-53);
  const Vec<double> rest = (unsigned_rest - splat(0.5)) * splat(1.57079632679489662);
  turn<double, int64_t>(quarter, sin_reduced(rest), cos_reduced(rest), r, x, y);
}

void run_normal32(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const int64_t size = static_cast<const RandomState*>(state)->size;
  float* out = static_cast<float*>(args.out[0]);
  const Vec<int64_t> low = splat<int64_t>(0xffffffff), high = splat<int64_t>(static_cast<int64_t>(0xffffffff00000000u));
  for_groups<1>(state, begin, end, args, [=](int64_t i, PhiloxWords w) {
    for (int j = 0; j < 4; j += 2) {
      // First and second words of the pairs of two vectors, and the results back into their places.
      const Vec<int64_t> v0 = as_pairs(w.v[j]), v1 = as_pairs(w.v[j + 1]);
      Vec<float> x, y;
      box_muller(as_words((v0 & low) | shift_left<32>(v1)), as_words(shift_right<32>(v0) | (v1 & high)), x, y);
      const Vec<int64_t> xs = as_pairs(as_int(x)), ys = as_pairs(as_int(y));
      store_until(out, i + 16 * j, size, as_float(as_words((xs & low) | shift_left<32>(ys))));
      store_until(out, i + 16 * j + 16, size, as_float(as_words(shift_right<32>(xs) | (ys & high))));
    }
  });
}

void run_normal64(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const int64_t size = static_cast<const RandomState*>(state)->size;
  double* out = static_cast<double*>(args.out[0]);
  for_groups<2>(state, begin, end, args, [=](int64_t i, PhiloxWords w) {
    for (int j = 0; j < 4; j += 2) {
      int64_t draws[16], first[8], second[8];
      double xs[8], ys[8], pairs[16];
      store(draws, as_pairs(w.v[j]));
      store(draws + 8, as_pairs(w.v[j + 1]));
      for (int k = 0; k < 8; ++k) {
        first[k] = draws[2 * k];
        second[k] = draws[2 * k + 1];
      }
      Vec<double> x, y;
      box_muller(load(first), load(second), x, y);
      store(xs, x);
      store(ys, y);
      for (int k = 0; k < 8; ++k) {
        pairs[2 * k] = xs[k];
        pairs[2 * k + 1] = ys[k];
      }
      store_until(out, i + 8 * j, size, load(pairs));
      store_until(out, i + 8 * j + 8, size, load(pairs + 8));
    }
  });
}

void prepare_random(Prepare& p, RunFunction run, double cost) {
  check_key(p, 0);
  RandomState* s = static_cast<RandomState*>(p.new_state(sizeof(RandomState)));
  s->size = p.output(0).size();
  p.set_run(run);
  p.set_cost(cost * static_cast<double>(s->size));
  p.add_phase((s->size + kRandomChunk - 1) / kRandomChunk);
}

void prepare_bits(Prepare& p) {
  switch (p.output(0).dtype) {
    case DType::kInt32: return prepare_random(p, run_bits<int32_t>, 15);
    case DType::kInt64: return prepare_random(p, run_bits<int64_t>, 30);
    case DType::kUInt8:
    case DType::kInt8: return prepare_random(p, run_bytes, 15);
    case DType::kBool: return prepare_random(p, run_bools, 15);
    default: p.fail("random bits must be int32, int64, uint8, int8 or bool, got %s", dtype_name(p.output(0).dtype));
  }
}

void prepare_float(Prepare& p, RunFunction run32, RunFunction run64, double cost) {
  switch (p.output(0).dtype) {
    case DType::kFloat32: return prepare_random(p, run32, cost);
    case DType::kFloat64: return prepare_random(p, run64, 2 * cost);
    default: p.fail("the dtype must be float32 or float64, got %s", dtype_name(p.output(0).dtype));
  }
}
void prepare_uniform(Prepare& p) { prepare_float(p, run_uniform32, run_uniform64, 15); }
void prepare_normal(Prepare& p) { prepare_float(p, run_normal32, run_normal64, 50); }

NN_KERNEL("random_bits", prepare_bits);
NN_KERNEL("random_uniform", prepare_uniform);
NN_KERNEL("random_normal", prepare_normal);

}  // namespace
}  // namespace nnlite::NN_ISA
