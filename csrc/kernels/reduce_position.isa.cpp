// argmax, argmin (int32; the first wins, NaN beats every number) and cumsum, along one axis.
#include <cstring>

#include "kernels/float_items.h"
#include "kernels/kernel.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kColumnPart = 512;
constexpr int64_t kChunkElements = 16 * 1024;
constexpr int64_t kMaxChunks = 256;

// The input as [outer, n, inner] with the axis in the middle; work items are (outer, part of inner) pairs.
struct AxisState {
  int64_t outer, n, inner, part, parts, items, chunk_items;
  bool reverse;
};

AxisState* plan_axis(Prepare& prepare) {
  const Spec& x = prepare.input(0);
  const int64_t axis = prepare.get_int("axis");
  if (axis < 0 || axis >= x.rank) prepare.fail("'axis' must be between 0 and %d, got %lld", x.rank - 1, static_cast<long long>(axis));
  auto* s = static_cast<AxisState*>(prepare.new_state(sizeof(AxisState)));
  s->outer = s->inner = 1;
  for (int d = 0; d < axis; ++d) s->outer *= x.dims[d];
  for (int d = static_cast<int>(axis) + 1; d < x.rank; ++d) s->inner *= x.dims[d];
  s->n = x.dims[axis];
  s->part = smaller(s->inner, kColumnPart);
  s->parts = s->part == 0 ? 0 : (s->inner + s->part - 1) / s->part;
  s->items = s->outer * s->parts;
  int64_t per = kChunkElements / (s->n * s->part + 1) + 1;
  if (per * kMaxChunks < s->items) per = (s->items + kMaxChunks - 1) / kMaxChunks;
  s->chunk_items = per;
  prepare.add_phase((s->items + per - 1) / per);
  prepare.set_cost(static_cast<double>(x.size()));
  return s;
}

// Ordinary numbers and items as numbers.
template <class T>
struct Plain {
  using Item = T;
  using Number = T;
};
template <class T>
NN_INLINE T to_number(Plain<T>, T x) {
  return x;
}
template <class T>
NN_INLINE T to_item(Plain<T>, T x) {
  return x;
}

// Integers wrap.
template <class E, class T>
NN_INLINE T plus(E, T a, T b) {
  return a + b;
}
template <class T>
NN_INLINE T plus(Plain<T>, T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

struct Largest {
  template <class T>
  static NN_ALWAYS bool beats(T a, T b) {
    return a > b || (a != a && b == b);
  }
  template <class T>
  static NN_ALWAYS Vec<T> best(Vec<T> a, Vec<T> b) {
    return max(a, b);
  }
  template <class T>
  static NN_ALWAYS T fold(Vec<T> a) {
    return reduce_max(a);
  }
};
struct Smallest {
  template <class T>
  static NN_ALWAYS bool beats(T a, T b) {
    return a < b || (a != a && b == b);
  }
  template <class T>
  static NN_ALWAYS Vec<T> best(Vec<T> a, Vec<T> b) {
    return min(a, b);
  }
  template <class T>
  static NN_ALWAYS T fold(Vec<T> a) {
    return reduce_min(a);
  }
};

template <class E, class K>
int32_t position_in_row(const typename E::Item* x, int64_t n) {
  int32_t at = 0;
  auto best = to_number(E(), x[0]);
  for (int64_t i = 1; i < n; ++i) {
    const auto v = to_number(E(), x[i]);
    if (K::beats(v, best)) {
      best = v;
      at = static_cast<int32_t>(i);
    }
  }
  return at;
}

// In vectors: the extreme first, then the first place that holds it; a NaN on the way ends the search.
template <class E, class K>
int32_t position_in_float_row(const typename E::Item* x, int64_t n) {
  using V = typename E::V;
  constexpr int L = E::kLanes;
  const V first = splat(to_number(E(), x[0]));
  V best = first;
  Mask<typename E::Number> nan = first != first;
  for (int64_t i = 0; i < n; i += L) {
    const int m = n - i < L ? static_cast<int>(n - i) : L;
    const V v = m == L ? E::read(x + i) : keep_first(E::read_part(x + i, m), m, first);
    nan = nan | (v != v);
    best = K::best(v, best);
  }
  const bool any_nan = any(nan);
  const V wanted = splat(K::fold(best));
  for (int64_t i = 0; i < n; i += L) {
    const int m = n - i < L ? static_cast<int>(n - i) : L;
    const V v = m == L ? E::read(x + i) : E::read_part(x + i, m);
    const uint32_t hits = bits(any_nan ? v != v : v == wanted) & ((1u << m) - 1);
    if (hits != 0) return static_cast<int32_t>(i + __builtin_ctz(hits));
  }
  return 0;
}

template <class E, class K, int32_t (*in_row)(const typename E::Item*, int64_t)>
void run_position(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const AxisState*>(state);
  const auto* x = static_cast<const typename E::Item*>(args.in[0]);
  auto* y = static_cast<int32_t*>(args.out[0]);
  auto* best = static_cast<typename E::Number*>(args.thread_scratch);
  const int64_t last = smaller(end * s.chunk_items, s.items);
  for (int64_t item = begin * s.chunk_items; item < last; ++item) {
    if (s.inner == 1) {
      y[item] = in_row(x + item * s.n, s.n);
      continue;
    }
    const int64_t outer = item / s.parts, first = (item - outer * s.parts) * s.part, width = smaller(s.part, s.inner - first);
    const auto* row = x + outer * s.n * s.inner + first;
    int32_t* at = y + outer * s.inner + first;
    for (int64_t j = 0; j < width; ++j) {
      best[j] = to_number(E(), row[j]);
      at[j] = 0;
    }
    for (int64_t i = 1; i < s.n; ++i) {
      row += s.inner;
      for (int64_t j = 0; j < width; ++j) {
        const auto v = to_number(E(), row[j]);
        const bool better = K::beats(v, best[j]);
        best[j] = better ? v : best[j];
        at[j] = better ? static_cast<int32_t>(i) : at[j];
      }
    }
  }
}

template <class E, class K, int32_t (*in_row)(const typename E::Item*, int64_t)>
void prepare_rows(Prepare& prepare) {
  AxisState* s = plan_axis(prepare);
  if (s->n == 0 && s->items > 0) prepare.fail("the axis has no elements");
  prepare.need_thread_scratch(static_cast<size_t>(s->part) * sizeof(typename E::Number));
  prepare.set_run(run_position<E, K, in_row>);
}

template <class K>
void prepare_position(Prepare& prepare) {
  if (prepare.output(0).dtype != DType::kInt32) prepare.fail("gives int32, not %s", dtype_name(prepare.output(0).dtype));
  switch (prepare.input(0).dtype) {
    case DType::kFloat32: return prepare_rows<Float32, K, position_in_float_row<Float32, K>>(prepare);
    case DType::kFloat64: return prepare_rows<Float64, K, position_in_float_row<Float64, K>>(prepare);
    case DType::kBFloat16: return prepare_rows<BFloat16, K, position_in_float_row<BFloat16, K>>(prepare);
    case DType::kInt32: return prepare_rows<Plain<int32_t>, K, position_in_row<Plain<int32_t>, K>>(prepare);
    case DType::kInt64: return prepare_rows<Plain<int64_t>, K, position_in_row<Plain<int64_t>, K>>(prepare);
    case DType::kInt8: return prepare_rows<Plain<int8_t>, K, position_in_row<Plain<int8_t>, K>>(prepare);
    default: return prepare_rows<Plain<uint8_t>, K, position_in_row<Plain<uint8_t>, K>>(prepare);
  }
}

// Totals are kept in Number (float for bfloat16), one per column, in the order of the axis.
template <class E>
void run_cumsum(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const AxisState*>(state);
  using Number = typename E::Number;
  auto* total = static_cast<Number*>(args.thread_scratch);
  const int64_t last = smaller(end * s.chunk_items, s.items);
  for (int64_t item = begin * s.chunk_items; item < last; ++item) {
    const int64_t outer = item / s.parts, first = (item - outer * s.parts) * s.part, width = smaller(s.part, s.inner - first);
    const int64_t start = outer * s.n * s.inner + first + (s.reverse ? (s.n - 1) * s.inner : 0);
    const int64_t step = s.reverse ? -s.inner : s.inner;
    const auto* x = static_cast<const typename E::Item*>(args.in[0]) + start;
    auto* y = static_cast<typename E::Item*>(args.out[0]) + start;
    if (width == 1) {
      Number sum = 0;
      for (int64_t i = 0; i < s.n; ++i) {
        sum = plus(E(), sum, to_number(E(), x[i * step]));
        y[i * step] = to_item(E(), sum);
      }
      continue;
    }
    memset(total, 0, sizeof(Number) * static_cast<size_t>(width));
    for (int64_t i = 0; i < s.n; ++i, x += step, y += step) {
      for (int64_t j = 0; j < width; ++j) {
        total[j] = plus(E(), total[j], to_number(E(), x[j]));
        y[j] = to_item(E(), total[j]);
      }
    }
  }
}

template <class E>
void prepare_cumsum_of(Prepare& prepare) {
  AxisState* s = plan_axis(prepare);
  s->reverse = prepare.get_int("reverse", 0) != 0;
  prepare.need_thread_scratch(static_cast<size_t>(s->part) * sizeof(typename E::Number));
  prepare.set_run(run_cumsum<E>);
}

void prepare_cumsum(Prepare& prepare) {
  const DType dtype = prepare.input(0).dtype;
  if (prepare.output(0).dtype != dtype) {
    prepare.fail("takes and gives one dtype, got %s and %s", dtype_name(dtype), dtype_name(prepare.output(0).dtype));
  }
  switch (dtype) {
    case DType::kFloat32: return prepare_cumsum_of<Float32>(prepare);
    case DType::kFloat64: return prepare_cumsum_of<Float64>(prepare);
    case DType::kBFloat16: return prepare_cumsum_of<BFloat16>(prepare);
    case DType::kInt32: return prepare_cumsum_of<Plain<int32_t>>(prepare);
    case DType::kInt64: return prepare_cumsum_of<Plain<int64_t>>(prepare);
    case DType::kInt8: return prepare_cumsum_of<Plain<int8_t>>(prepare);
    case DType::kUInt8: return prepare_cumsum_of<Plain<uint8_t>>(prepare);
    default: prepare.fail("takes numbers, got %s", dtype_name(dtype));
  }
}

NN_KERNEL("argmax", prepare_position<Largest>);
NN_KERNEL("argmin", prepare_position<Smallest>);
NN_KERNEL("cumsum", prepare_cumsum);

}  // namespace
}  // namespace nnlite::NN_ISA
