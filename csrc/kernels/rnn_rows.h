// What recurrent kernels and their gradients share: activations, rows of a chunk, packed kernels, products.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/attention_tile.h"
#include "kernels/gemm_pack.h"
#include "kernels/rnn_plan.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

template <class T>
NN_LONG Vec<T> load_some(const T* p, int n) {
  return n == Vec<T>::kLanes ? load(p) : load_part(p, n);
}
template <class T>
NN_LONG void store_some(T* p, Vec<T> v, int n) {
  if (n == Vec<T>::kLanes) {
    store(p, v);
  } else {
    store_part(p, v, n);
  }
}

// Gates are most of the work at few units: these are quicker than simd/math.h's, and right to 4e-7. NaN passes.
NN_INLINE Vec<float> gate_tanh(Vec<float> x) {
  // x P(x^2) / Q(x^2), fitted up to 9.02; limited to where all results are below 1.
  static constexpr float kP[] = {1.0f, 0.133797199f, 0.00349403615f, 2.05835095e-05f, 1.33191103e-08f};
  static constexpr float kQ[] = {1.0f, 0.467130333f, 0.0258710794f, 0.000328309572f, 7.76203535e-07f};
  x = min(splat(7.9f), max(splat(-7.9f), x));
  const Vec<float> z = x * x;
  return x * polynomial(z, kP) / polynomial(z, kQ);
}
NN_INLINE Vec<double> gate_tanh(Vec<double> x) { return tanh(x); }
template <class T>
NN_INLINE Vec<T> gate_sigmoid(Vec<T> x) {
  const Vec<T> one = splat(T(1));
  return one / (one + exp(-x));
}

// Only what is common is worth a copy at every call: tanh and sigmoid of float.
template <class T>
constexpr bool kInlineGates = sizeof(T) == 4 && !NN_SMALL_CODE;

template <class T>
__attribute__((noinline)) Vec<T> activate_any(RnnActivation kind, Vec<T> x) {
  switch (kind) {
    case RnnActivation::kTanh: return gate_tanh(x);
    case RnnActivation::kSigmoid: return gate_sigmoid(x);
    case RnnActivation::kRelu: return max(Vec<T>::zero(), x);
    case RnnActivation::kLinear: return x;
    case RnnActivation::kHardSigmoid: break;
  }
  return max(Vec<T>::zero(), min(splat(T(1)), fma(x, splat(T(1) / 6), splat(T(0.5)))));
}
template <class T>
NN_INLINE Vec<T> activate(RnnActivation kind, Vec<T> x) {
  if (kInlineGates<T> && kind == RnnActivation::kTanh) return gate_tanh(x);
  if (kInlineGates<T> && kind == RnnActivation::kSigmoid) return gate_sigmoid(x);
  return activate_any(kind, x);
}

// The derivative of an activation, from its result.
template <class T>
__attribute__((noinline)) Vec<T> slope_any(RnnActivation kind, Vec<T> y) {
  const Vec<T> zero = Vec<T>::zero(), one = splat(T(1));
  switch (kind) {
    case RnnActivation::kTanh: return fnma(y, y, one);
    case RnnActivation::kSigmoid: return fnma(y, y, y);
    case RnnActivation::kRelu: return select(y > zero, one, zero);
    case RnnActivation::kLinear: return one;
    case RnnActivation::kHardSigmoid: break;
  }
  return select((y > zero) & (y < one), splat(T(1) / 6), zero);
}
template <class T>
NN_INLINE Vec<T> slope(RnnActivation kind, Vec<T> y) {
  if (kInlineGates<T> && kind == RnnActivation::kTanh) return fnma(y, y, splat(T(1)));
  if (kInlineGates<T> && kind == RnnActivation::kSigmoid) return fnma(y, y, y);
  return slope_any(kind, y);
}

// The rows of a chunk.
struct RnnRows {
  int64_t first, count;

  RnnRows(const RnnPlan& plan, int64_t chunk) {
    first = plan.batch * chunk / plan.chunks;
    count = plan.batch * (chunk + 1) / plan.chunks - first;
  }
};

// Where row `row` has step `time` in a tensor [batch, steps, width].
NN_INLINE int64_t place(const RnnPlan& plan, int64_t row, int64_t time, int64_t width) { return (row * plan.steps + time) * width; }

// Whether a step of a row counts.
NN_INLINE bool counts(const RnnPlan& plan, const StepArgs& args, int64_t row, int64_t time) {
  return plan.mask < 0 || static_cast<const uint8_t*>(args.in[plan.mask])[row * plan.steps + time];
}

// Copies rows of `units` to or from working copies; what lies beyond `units` in a working copy is zeroed.
template <class T>
void copy_in(const RnnPlan& plan, const T* from, int64_t from_ld, int64_t rows, T* to) {
  for (int64_t i = 0; i < rows; ++i) {
    __builtin_memcpy(to + i * plan.state_ld, from + i * from_ld, static_cast<size_t>(plan.units) * sizeof(T));
    __builtin_memset(to + i * plan.state_ld + plan.units, 0, static_cast<size_t>(plan.state_ld - plan.units) * sizeof(T));
  }
}
template <class T>
void copy_out(const RnnPlan& plan, const T* from, int64_t rows, T* to) {
  for (int64_t i = 0; i < rows; ++i) __builtin_memcpy(to + i * plan.units, from + i * plan.state_ld, static_cast<size_t>(plan.units) * sizeof(T));
}

// Where the candidate of gru starts in the packed kernel, when it is multiplied on its own.
NN_INLINE int64_t packed_part(const RnnPlan& plan) { return rnn_packed_size(plan.units, 2 * plan.padded); }

// Packs panels [begin, end) of u: rows are units, columns gates * padded units.
template <class T>
void pack_forward(const RnnPlan& plan, const T* u, int64_t first_gate, int64_t gates, int64_t begin, int64_t end, T* packed) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t ld = plan.gates * plan.units, columns = gates * plan.padded;
  for (int64_t n = begin * kRnnPanel; n < smaller(end * kRnnPanel, columns); n += kLanes) {
    const int64_t unit = n % plan.padded;
    const int part = static_cast<int>(unit >= plan.units ? 0 : smaller(plan.units - unit, kLanes));
    const T* from = u + (first_gate + n / plan.padded) * plan.units + unit;
    T* to = packed + n / kRnnPanel * kRnnPanel * plan.units + n % kRnnPanel;
    for (int64_t k = 0; k < plan.units; ++k) store(to + k * kRnnPanel, load_some(from + k * ld, part));
  }
}

// Packs panels [begin, end) of the transpose of u [count, gates * units]: rows are gates * padded units, columns `count`.
template <class T>
void pack_backward(const RnnPlan& plan, const T* u, int64_t count, int64_t begin, int64_t end, T* packed) {
  const int64_t ld = plan.gates * plan.units, depth = plan.gates * plan.padded;
  for (int64_t p = begin; p < end; ++p) {
    T* panel = packed + p * kRnnPanel * depth;
    __builtin_memset(panel, 0, static_cast<size_t>(kRnnPanel * depth) * sizeof(T));
    const int64_t columns = smaller(count - p * kRnnPanel, kRnnPanel);
    for (int64_t g = 0; g < plan.gates; ++g) {
      pack_transposed(u + p * kRnnPanel * ld + g * plan.units, ld, panel + g * plan.padded * kRnnPanel, kRnnPanel, columns, plan.units);
    }
  }
}

// Columns of a product of a single row: `kVectors` vectors from `b` on, rows of a panel apart.
template <int kVectors, class T>
NN_INLINE void multiply_columns(const T* a, const T* b, T* c, int64_t k, bool accumulate) {
  constexpr int kLanes = Vec<T>::kLanes;
  Vec<T> sums[kVectors];
  NN_UNROLL(8)
  for (int v = 0; v < kVectors; ++v) sums[v] = accumulate ? load(c + v * kLanes) : Vec<T>::zero();
  for (int64_t i = 0; i < k; ++i, b += kRnnPanel) {
    const Vec<T> x = splat(a[i]);
    NN_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) sums[v] = fma(x, load(b + v * kLanes), sums[v]);
  }
  NN_UNROLL(8)
  for (int v = 0; v < kVectors; ++v) store(c + v * kLanes, sums[v]);
}

// The same sums as those of more rows, in the same order.
template <class T>
void multiply_row(const T* a, const T* b, int64_t depth, T* c, int64_t columns, int64_t k, bool accumulate) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t j = 0; j < columns;) {
    const T* from = b + j / kRnnPanel * kRnnPanel * depth + j % kRnnPanel;
    if (columns - j >= 4 * kLanes && j % kRnnPanel + 4 * kLanes <= kRnnPanel) {
      multiply_columns<4>(a, from, c + j, k, accumulate);
      j += 4 * kLanes;
    } else {
      multiply_columns<1>(a, from, c + j, k, accumulate);
      j += kLanes;
    }
  }
}

// c [rows, columns] (+)= a [rows, k] times packed rows; `depth` is the number of rows that were packed, from `b` on k of them are used.
template <class T>
NN_INLINE void multiply_rows(const T* a, int64_t a_ld, const T* b, int64_t depth, T* c, int64_t c_ld, int64_t rows, int64_t columns, int64_t k,
                             bool accumulate) {
  if (rows == 1) return multiply_row(a, b, depth, c, columns, k, accumulate);
  attention::multiply(attention::Product<T>{a, a_ld, 1, b, kRnnPanel, kRnnPanel * depth, c, c_ld, rows, columns, k, accumulate});
}

// Working copies of a chunk in thread scratch, one after the other: the gates' sums, the states that enter the next step, and cell states (lstm) or
// the reset states (gru).
template <class T>
struct RnnWork {
  T *sums, *state, *other;

  RnnWork(const RnnPlan& plan, void* scratch) {
    const int64_t rows = plan.rows + kRnnSpareRows;
    __builtin_memset(scratch, 0, bytes(plan));
    sums = static_cast<T*>(scratch);
    state = sums + rows * plan.gate_ld;
    other = state + rows * plan.state_ld;
  }
  static size_t bytes(const RnnPlan& plan) {
    return static_cast<size_t>((plan.rows + kRnnSpareRows) * (plan.gate_ld + 2 * plan.state_ld)) * sizeof(T);
  }
};

}  // namespace
}  // namespace nnlite::NN_ISA
