// sum, max, min and prod over any axes. Floats are summed in vectors of lanes over pieces of a thousand elements, and the pieces in double.
#include <cstring>

#include "kernels/float_items.h"
#include "kernels/reduce_plan.h"

namespace nnlite::NN_ISA {
namespace {

// The kinds of reduction: on vectors, on numbers, and the value that changes nothing.
struct Sum {
  static constexpr bool kSums = true;
  template <class V>
  static NN_ALWAYS V vectors(V a, V b) {
    return a + b;
  }
  template <class T>
  static NN_ALWAYS T numbers(T a, T b) {
    return a + b;
  }
  template <class T>
  static NN_ALWAYS T fold(Vec<T> a) {
    return reduce_add(a);
  }
  static NN_ALWAYS double identity() { return 0; }
  template <class T>
  static NN_ALWAYS T integers(T a, T b) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
  template <class T>
  static NN_ALWAYS T integer_identity() {
    return 0;
  }
};
struct Prod {
  static constexpr bool kSums = false;
  template <class V>
  static NN_ALWAYS V vectors(V a, V b) {
    return a * b;
  }
  template <class T>
  static NN_ALWAYS T numbers(T a, T b) {
    return a * b;
  }
  template <class T>
  static NN_ALWAYS T fold(Vec<T> a) {
    T x[Vec<T>::kLanes];
    store(x, a);
    for (int half = Vec<T>::kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) x[i] *= x[i + half];
    }
    return x[0];
  }
  static NN_ALWAYS double identity() { return 1; }
  template <class T>
  static NN_ALWAYS T integers(T a, T b) {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
  template <class T>
  static NN_ALWAYS T integer_identity() {
    return 1;
  }
};
struct Max {
  static constexpr bool kSums = false;
  template <class V>
  static NN_ALWAYS V vectors(V a, V b) {
    return max_nan(a, b);
  }
  template <class T>
  static NN_ALWAYS T numbers(T a, T b) {
    return a != a || a > b ? a : b;
  }
  template <class T>
  static NN_ALWAYS T fold(Vec<T> a) {
    return any(a != a) ? static_cast<T>(__builtin_nan("")) : reduce_max(a);
  }
  static NN_ALWAYS double identity() { return -__builtin_inf(); }
  template <class T>
  static NN_ALWAYS T integers(T a, T b) {
    return a > b ? a : b;
  }
  template <class T>
  static NN_ALWAYS T integer_identity() {
    return T(-1) > 0 ? T(0) : static_cast<T>(uint64_t(1) << (8 * sizeof(T) - 1));
  }
};
struct Min {
  static constexpr bool kSums = false;
  template <class V>
  static NN_ALWAYS V vectors(V a, V b) {
    return min_nan(a, b);
  }
  template <class T>
  static NN_ALWAYS T numbers(T a, T b) {
    return a != a || a < b ? a : b;
  }
  template <class T>
  static NN_ALWAYS T fold(Vec<T> a) {
    return any(a != a) ? static_cast<T>(__builtin_nan("")) : reduce_min(a);
  }
  static NN_ALWAYS double identity() { return __builtin_inf(); }
  template <class T>
  static NN_ALWAYS T integers(T a, T b) {
    return a < b ? a : b;
  }
  template <class T>
  static NN_ALWAYS T integer_identity() {
    return T(-1) > 0 ? T(-1) : static_cast<T>((uint64_t(1) << (8 * sizeof(T) - 1)) - 1);
  }
};

template <bool first, class A, class B>
struct Pick {
  using Type = A;
};
template <class A, class B>
struct Pick<false, A, B> {
  using Type = B;
};

// What the loops below need for floats: partial results of runs (Acc) and of rows (Row).
template <class E, class K>
struct Floats {
  using Item = typename E::Item;
  using Row = typename E::Number;
  using Acc = typename Pick<K::kSums, double, Row>::Type;
  using V = typename E::V;
  static constexpr int kLanes = E::kLanes;

  static NN_ALWAYS Row row_identity() { return static_cast<Row>(K::identity()); }
  static NN_ALWAYS Acc identity() { return static_cast<Acc>(K::identity()); }
  static NN_ALWAYS Acc combine(Acc a, Acc b) { return K::numbers(a, b); }
  static NN_ALWAYS Row combine_rows(Row a, Row b) { return K::numbers(a, b); }
  template <class T>
  static NN_ALWAYS Item finish(T x) {
    return to_item(E(), x);
  }
  static void clear_row(Row* acc, int64_t n) {
    const V v = splat(row_identity());
    for (; n >= kLanes; n -= kLanes, acc += kLanes) store(acc, v);
    if (n > 0) store_part(acc, v, static_cast<int>(n));
  }
  static void finish_row(const Row* acc, Item* y, int64_t n) {
    for (; n >= kLanes; n -= kLanes, acc += kLanes, y += kLanes) E::write(y, load(acc));
    if (n > 0) E::write_part(y, load_part(acc, static_cast<int>(n)), static_cast<int>(n));
  }
  static NN_ALWAYS V part(const Item* x, int n) {
    const V v = E::read_part(x, n);
    return K::kSums ? v : keep_first(v, n, splat(row_identity()));
  }
  static __attribute__((noinline)) Acc run(const Item* x, int64_t n) {
    constexpr int L = kLanes;
    V a = splat(row_identity()), b = a, c = a, d = a;
    for (; n >= 4 * L; n -= 4 * L, x += 4 * L) {
      a = K::vectors(a, E::read(x));
      b = K::vectors(b, E::read(x + L));
      c = K::vectors(c, E::read(x + 2 * L));
      d = K::vectors(d, E::read(x + 3 * L));
    }
    for (; n >= L; n -= L, x += L) a = K::vectors(a, E::read(x));
    if (n > 0) b = K::vectors(b, part(x, static_cast<int>(n)));
    return static_cast<Acc>(K::fold(K::vectors(K::vectors(a, b), K::vectors(c, d))));
  }
  static __attribute__((noinline)) void rows(Row* acc, const Item* x, int64_t rows, int64_t stride, int64_t width) {
    constexpr int L = kLanes;
    for (; width >= 4 * L; width -= 4 * L, x += 4 * L, acc += 4 * L) {
      V a = splat(row_identity()), b = a, c = a, d = a;
      const Item* row = x;
      for (int64_t i = 0; i < rows; ++i, row += stride) {
        a = K::vectors(a, E::read(row));
        b = K::vectors(b, E::read(row + L));
        c = K::vectors(c, E::read(row + 2 * L));
        d = K::vectors(d, E::read(row + 3 * L));
      }
      store(acc, K::vectors(load(acc), a));
      store(acc + L, K::vectors(load(acc + L), b));
      store(acc + 2 * L, K::vectors(load(acc + 2 * L), c));
      store(acc + 3 * L, K::vectors(load(acc + 3 * L), d));
    }
    for (; width > 0; width -= L, x += L, acc += L) {
      const int n = width < L ? static_cast<int>(width) : L;
      V a = splat(row_identity()), b = a;
      const Item* row = x;
      int64_t i = 0;
      for (; i + 2 <= rows; i += 2, row += 2 * stride) {
        a = K::vectors(a, n == L ? E::read(row) : E::read_part(row, n));
        b = K::vectors(b, n == L ? E::read(row + stride) : E::read_part(row + stride, n));
      }
      if (i < rows) a = K::vectors(a, E::read_part(row, n));
      store_part(acc, K::vectors(load_part(acc, n), K::vectors(a, b)), n);
    }
  }
};

// Integers and bool: loops over 16 accumulators, which the compiler vectorizes; results wrap.
template <class T, class K>
struct Integers {
  using Item = T;
  using Row = T;
  using Acc = T;
  static NN_ALWAYS T row_identity() { return K::template integer_identity<T>(); }
  static NN_ALWAYS T identity() { return row_identity(); }
  static NN_ALWAYS T combine(T a, T b) { return K::integers(a, b); }
  static NN_ALWAYS T combine_rows(T a, T b) { return K::integers(a, b); }
  static NN_ALWAYS T finish(T x) { return x; }
  static NN_ALWAYS void clear_row(T* acc, int64_t n) {
    for (int64_t i = 0; i < n; ++i) acc[i] = identity();
  }
  static NN_ALWAYS void finish_row(const T* acc, T* y, int64_t n) { memcpy(y, acc, sizeof(T) * static_cast<size_t>(n)); }
  static __attribute__((noinline)) T run(const T* x, int64_t n) {
    T acc[16];
    for (int i = 0; i < 16; ++i) acc[i] = identity();
    for (; n >= 16; n -= 16, x += 16) {
      for (int i = 0; i < 16; ++i) acc[i] = K::integers(acc[i], x[i]);
    }
    for (int64_t i = 0; i < n; ++i) acc[i] = K::integers(acc[i], x[i]);
    T result = acc[0];
    for (int i = 1; i < 16; ++i) result = K::integers(result, acc[i]);
    return result;
  }
  static __attribute__((noinline)) void rows(T* acc, const T* x, int64_t rows, int64_t stride, int64_t width) {
    for (int64_t i = 0; i < rows; ++i, x += stride) {
      for (int64_t j = 0; j < width; ++j) acc[j] = K::integers(acc[j], x[j]);
    }
  }
};

template <class P>
struct Reduction {
  using Item = typename P::Item;
  using Acc = typename P::Acc;
  using Row = typename P::Row;

  static void trailing(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
    const auto& s = *static_cast<const ReduceState*>(state);
    const Item* x = static_cast<const Item*>(args.in[0]);
    Item* y = static_cast<Item*>(args.out[0]);
    Acc* partial = static_cast<Acc*>(args.scratch);
    if (phase == 1) {
      for (int64_t o = 0; o < s.outputs; ++o) {
        Acc acc = P::identity();
        for (int64_t k = 0; k < s.splits; ++k) acc = P::combine(acc, partial[o * s.splits + k]);
        y[o] = P::finish(acc);
      }
      return;
    }
    const int64_t last = smaller(end * s.chunk_items, s.items);
    if (s.pieces == 1 && s.kept_rank == 1) {  // short rows
      const int64_t stride = s.kept_strides[0];
      for (int64_t o = begin * s.chunk_items; o < last; ++o) y[o] = P::finish(P::combine(P::identity(), P::run(x + o * stride, s.run)));
      return;
    }
    for (int64_t item = begin * s.chunk_items; item < last; ++item) {
      const int64_t o = s.splits == 1 ? item : item / s.splits, split = item - o * s.splits;
      const Item* base = x + strided_offset(s.kept_rank, s.kept_dims, s.kept_strides, o);
      Acc acc = P::identity();
      const int64_t to = smaller((split + 1) * s.split_pieces, s.pieces);
      for (int64_t piece = split * s.split_pieces; piece < to; ++piece) {
        const int64_t outer = s.run_pieces == 1 ? piece : piece / s.run_pieces, first = (piece - outer * s.run_pieces) * s.piece;
        const Item* from = base + strided_offset(s.reduced_rank, s.reduced_dims, s.reduced_strides, outer) + first;
        acc = P::combine(acc, P::run(from, smaller(s.piece, s.run - first)));
      }
      if (s.splits == 1) {
        y[o] = P::finish(acc);
      } else {
        partial[item] = acc;
      }
    }
  }

  static void columns(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
    const auto& s = *static_cast<const ReduceState*>(state);
    const Item* x = static_cast<const Item*>(args.in[0]);
    Item* y = static_cast<Item*>(args.out[0]);
    Row* partial = static_cast<Row*>(args.scratch);
    const int64_t size = s.outputs * s.columns;
    if (phase == 1) {
      for (int64_t i = 0; i < size; ++i) {
        Row acc = P::row_identity();
        for (int64_t k = 0; k < s.splits; ++k) acc = P::combine_rows(acc, partial[k * size + i]);
        y[i] = P::finish(acc);
      }
      return;
    }
    Row* acc = static_cast<Row*>(args.thread_scratch);
    const int64_t last = smaller(end * s.chunk_items, s.items);
    for (int64_t item = begin * s.chunk_items; item < last; ++item) {
      const int64_t split = item % s.splits, part = item / s.splits % s.column_parts, o = item / s.splits / s.column_parts;
      const int64_t column = part * s.column_part, width = smaller(s.column_part, s.columns - column);
      const Item* base = x + strided_offset(s.kept_rank, s.kept_dims, s.kept_strides, o) + column;
      P::clear_row(acc, width);
      const int64_t to = smaller((split + 1) * s.split_pieces, s.pieces);
      for (int64_t piece = split * s.split_pieces; piece < to; ++piece) {
        const int64_t outer = piece / s.run_pieces, first = (piece - outer * s.run_pieces) * s.piece;
        const Item* from = base + strided_offset(s.reduced_rank, s.reduced_dims, s.reduced_strides, outer) + first * s.columns;
        P::rows(acc, from, smaller(s.piece, s.run - first), s.columns, width);
      }
      if (s.splits == 1) {
        P::finish_row(acc, y + o * s.columns + column, width);
      } else {
        memcpy(partial + split * size + o * s.columns + column, acc, sizeof(Row) * static_cast<size_t>(width));
      }
    }
  }

  static void copy(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
    const auto& s = *static_cast<const ReduceState*>(state);
    const int64_t first = begin * s.chunk_items, last = smaller(end * s.chunk_items, s.items);
    memmove(static_cast<Item*>(args.out[0]) + first, static_cast<const Item*>(args.in[0]) + first, sizeof(Item) * static_cast<size_t>(last - first));
  }

  static void prepare(Prepare& prepare) {
    auto* s = static_cast<ReduceState*>(prepare.new_state(sizeof(ReduceState)));
    plan_reduce(prepare, s, sizeof(Acc), sizeof(Row));
    prepare.set_run(s->copy ? copy : s->column_form ? columns : trailing);
  }
};

template <class K>
void prepare_reduce(Prepare& prepare) {
  const DType dtype = prepare.input(0).dtype;
  if (prepare.output(0).dtype != dtype) {
    prepare.fail("takes and gives one dtype, got %s and %s", dtype_name(dtype), dtype_name(prepare.output(0).dtype));
  }
  switch (dtype) {
    case DType::kFloat32: return Reduction<Floats<Float32, K>>::prepare(prepare);
    case DType::kFloat64: return Reduction<Floats<Float64, K>>::prepare(prepare);
    case DType::kBFloat16: return Reduction<Floats<BFloat16, K>>::prepare(prepare);
    case DType::kInt32: return Reduction<Integers<int32_t, K>>::prepare(prepare);
    case DType::kInt64: return Reduction<Integers<int64_t, K>>::prepare(prepare);
    case DType::kInt8: return Reduction<Integers<int8_t, K>>::prepare(prepare);
    default: return Reduction<Integers<uint8_t, K>>::prepare(prepare);  // uint8, bool
  }
}

NN_KERNEL("sum", prepare_reduce<Sum>);
NN_KERNEL("prod", prepare_reduce<Prod>);
NN_KERNEL("max", prepare_reduce<Max>);
NN_KERNEL("min", prepare_reduce<Min>);

}  // namespace
}  // namespace nnlite::NN_ISA
