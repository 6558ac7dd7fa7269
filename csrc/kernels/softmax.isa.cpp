// softmax, log_softmax, their gradients, and the cross-entropy of integer labels; all over the last axis. A row is computed by
// itself, in vectors of lanes, so its result does not depend on the rows beside it. bfloat16 computes in float.
#include "kernels/float_items.h"
#include "kernels/kernel.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kChunkElements = 8 * 1024;
constexpr int64_t kMaxChunks = 256;
constexpr int64_t kAhead = 2;    // see softmax_rows
constexpr int64_t kBuffers = 4;  // more than kAhead
constexpr int64_t kGroup = 64;   // rows
#if NN_SMALL_CODE
constexpr bool kStreams = false;
#else
constexpr bool kStreams = true;
#endif
constexpr int64_t kLeastStreamed = 12 << 20;  // bytes of a result that goes past the caches, which would not keep it

struct RowState {
  int64_t rows, columns, chunk_rows;
  DType labels;
  bool streams;
};

// A row of items: vectors of whole lanes, then a part filled up with `rest`.
template <class E>
struct RowOf {
  using Item = typename E::Item;
  using Number = typename E::Number;
  using V = typename E::V;
  static constexpr int kLanes = E::kLanes;

  // body(vector, first element, how many count) for all vectors of a row.
  template <class Body>
  static NN_ALWAYS void each(int64_t n, Body body) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
    if (i < n) body(i, static_cast<int>(n - i));
  }
  static NN_ALWAYS V read(const Item* x, int n) { return n == kLanes ? E::read(x) : E::read_part(x, n); }
  static NN_ALWAYS void write(Item* y, V v, int n) { n == kLanes ? E::write(y, v) : E::write_part(y, v, n); }
  static NN_ALWAYS V filled(V v, int n, V rest) { return n == kLanes ? v : keep_first(v, n, rest); }

  static NN_ALWAYS Number largest(const Item* x, int64_t n) {
    const V low = splat(-FloatTraits<Number>::kInfinity);
    V a = low, b = low;
    int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      a = max(E::read(x + i), a);
      b = max(E::read(x + i + kLanes), b);
    }
    each(n - i, [&](int64_t k, int m) { a = max(filled(read(x + i + k, m), m, low), a); });
    return reduce_max(max(a, b));
  }
};

// Exponentials to probabilities, and these times a factor of their row where rows have one (`weighted`).
template <bool weighted, class V>
NN_ALWAYS V scaled(V v, V scale, V weight) {
  return weighted ? v * scale * weight : v * scale;
}
template <bool weighted, class Number>
NN_ALWAYS Vec<Number> weight_of(const Number* weights, int64_t row) {
  return splat(weighted ? weights[row] : Number(1));
}

// Rows that fit one vector stay in it; several at once, because each is one long chain of dependent operations.
template <class E, int rows, bool weighted>
NN_INLINE void softmax_vectors(const typename E::Item* x, typename E::Item* y, int n, typename E::Number* largest, typename E::Number* sums,
                               const typename E::Number* weights) {
  using R = RowOf<E>;
  using V = typename E::V;
  const V low = splat(-FloatTraits<typename E::Number>::kInfinity);
  const NonpositiveExp<typename E::Number> exp_of;
  V v[rows];
  NN_UNROLL(4)
  for (int k = 0; k < rows; ++k) v[k] = R::filled(R::read(x + k * n, n), n, low);
  NN_UNROLL(4)
  for (int k = 0; k < rows; ++k) largest[k] = reduce_max(max(v[k], low));
  NN_UNROLL(4)
  for (int k = 0; k < rows; ++k) v[k] = R::filled(exp_of(v[k] - splat(largest[k])), n, V::zero());
  NN_UNROLL(4)
  for (int k = 0; k < rows; ++k) sums[k] = reduce_add(v[k]);
  NN_UNROLL(4)
  for (int k = 0; k < rows; ++k) R::write(y + k * n, scaled<weighted>(v[k], splat(1 / sums[k]), weight_of<weighted>(weights, k)), n);
}

template <class E, bool weighted>
NN_INLINE void softmax_narrow(const typename E::Item* x, typename E::Item* y, int64_t rows, int n, typename E::Number* largest,
                              typename E::Number* sums, const typename E::Number* weights) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) softmax_vectors<E, 4, weighted>(x + i * n, y + i * n, n, largest + i, sums + i, weights + i);
  for (; i < rows; ++i) softmax_vectors<E, 1, weighted>(x + i * n, y + i * n, n, largest + i, sums + i, weights + i);
}

// A place for the exponentials of row r: the output itself, or one of four rows of float scratch when the output is narrower or goes past the caches.
template <class E>
NN_INLINE typename E::Number* row_buffer(typename E::Item* y, void* scratch, bool streams, int64_t r, int64_t n) {
  if constexpr (sizeof(typename E::Item) == sizeof(typename E::Number)) {
    if (!streams) return y + r * n;
  }
  return static_cast<typename E::Number*>(scratch) + r % kBuffers * n;
}

template <class E>
NN_INLINE void write_result(bool streams, typename E::Item* y, typename E::V v, int n) {
  if constexpr (kStreams && sizeof(typename E::Item) == 4) {
    if (streams) return stream(y, v);  // rows are whole vectors then
  }
  RowOf<E>::write(y, v, n);
}

// y = buffer * scale, times weight.
template <class E, bool weighted>
NN_INLINE void scale_row(const typename E::Number* buffer, typename E::Item* y, bool streams, int64_t n, typename E::V scale, typename E::V weight) {
  RowOf<E>::each(n, [&](int64_t i, int m) {
    write_result<E>(streams, y + i, scaled<weighted>(m == E::kLanes ? load(buffer + i) : load_part(buffer + i, m), scale, weight), m);
  });
}

// Takes the exponentials of one row (NaN anywhere makes their sum NaN), scales the row `kAhead` before it, of which the exponentials are known, and
// finds the largest score of the row `kAhead` after it: loads, stores and arithmetic overlap, and no row waits for its own folds over lanes.
template <class E, bool weighted = false>
NN_INLINE void softmax_rows(const typename E::Item* x, typename E::Item* y, void* scratch, bool streams, int64_t rows, int64_t n,
                            typename E::Number* largest, typename E::Number* sums, const typename E::Number* weights) {
  using R = RowOf<E>;
  using V = typename E::V;
  if (n <= E::kLanes) return softmax_narrow<E, weighted>(x, y, rows, static_cast<int>(n), largest, sums, weights);
  const NonpositiveExp<typename E::Number> exp_of;
  const V low = splat(-FloatTraits<typename E::Number>::kInfinity);
  for (int64_t r = 0; r < smaller(kAhead, rows); ++r) largest[r] = R::largest(x + r * n, n);
  for (int64_t r = 0; r < rows; ++r) {
    const bool scales = r >= kAhead;
    const typename E::Item* next = x + smaller(r + kAhead, rows - 1) * n;  // at the end the last row again, to no purpose
    typename E::Number *buffer = row_buffer<E>(y, scratch, streams, r, n), *done = row_buffer<E>(y, scratch, streams, larger(r - kAhead, 0), n);
    const V shift = splat(largest[r]), scale = splat(scales ? 1 / sums[r - kAhead] : 0);
    const V weight = weight_of<weighted>(weights, larger(r - kAhead, 0));
    V sum = V::zero(), top = low;
    R::each(n, [&](int64_t i, int m) {
      const V e = R::filled(exp_of(R::read(x + r * n + i, m) - shift), m, V::zero());
      sum += e;
      top = max(R::filled(R::read(next + i, m), m, low), top);
      m == E::kLanes ? store(buffer + i, e) : store_part(buffer + i, e, m);
      if (scales) {
        const V before = m == E::kLanes ? load(done + i) : load_part(done + i, m);
        write_result<E>(streams, y + (r - kAhead) * n + i, scaled<weighted>(before, scale, weight), m);
      }
    });
    sums[r] = reduce_add(sum);
    if (r + kAhead < rows) largest[r + kAhead] = reduce_max(top);
  }
  for (int64_t r = larger(rows - kAhead, 0); r < rows; ++r) {
    scale_row<E, weighted>(row_buffer<E>(y, scratch, streams, r, n), y + r * n, streams, n, splat(1 / sums[r]), weight_of<weighted>(weights, r));
  }
}

// Calls body(row) for the rows of chunks [begin, end).
template <class Body>
NN_INLINE void for_rows(const RowState& s, int64_t begin, int64_t end, Body body) {
  const int64_t last = smaller(end * s.chunk_rows, s.rows);
  for (int64_t row = begin * s.chunk_rows; row < last; ++row) body(row);
}

NN_INLINE bool streams_to(const RowState& s, const void* y) { return kStreams && s.streams && reinterpret_cast<uintptr_t>(y) % 64 == 0; }

template <class E>
void run_softmax(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const RowState*>(state);
  using Item = typename E::Item;
  const int64_t last = smaller(end * s.chunk_rows, s.rows);
  const bool streams = streams_to(s, args.out[0]);
  for (int64_t first = begin * s.chunk_rows; first < last; first += kGroup) {
    typename E::Number largest[kGroup], sums[kGroup];
    softmax_rows<E>(static_cast<const Item*>(args.in[0]) + first * s.columns, static_cast<Item*>(args.out[0]) + first * s.columns,
                    args.thread_scratch, streams, smaller(kGroup, last - first), s.columns, largest, sums, largest);
  }
  if (streams) stream_fence();
}

// Largest score and sum of exponentials of each row; nothing is written to the output yet.
template <class E>
NN_INLINE void sum_rows(const typename E::Item* x, int64_t rows, int64_t n, typename E::Number* largest, typename E::Number* sums) {
  using R = RowOf<E>;
  using V = typename E::V;
  const NonpositiveExp<typename E::Number> exp_of;
  for (int64_t i = 0; i < rows; ++i, x += n) {
    const V shift = splat(largest[i] = R::largest(x, n));
    V sum = V::zero();
    R::each(n, [&](int64_t k, int m) { sum += R::filled(exp_of(R::read(x + k, m) - shift), m, V::zero()); });
    sums[i] = reduce_add(sum);
  }
}

// The logarithms of a group of rows are taken together.
template <class E>
void run_log_softmax(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const RowState*>(state);
  using R = RowOf<E>;
  using Number = typename E::Number;
  constexpr int L = E::kLanes;
  const int64_t last = smaller(end * s.chunk_rows, s.rows), n = s.columns;
  for (int64_t first = begin * s.chunk_rows; first < last; first += L) {
    const int64_t rows = smaller(L, last - first);
    const auto* x = static_cast<const typename E::Item*>(args.in[0]) + first * n;
    auto* y = static_cast<typename E::Item*>(args.out[0]) + first * n;
    Number largest[L], sums[L];
    for (int i = 0; i < L; ++i) sums[i] = 1;
    sum_rows<E>(x, rows, n, largest, sums);
    store(sums, log(load(sums)));
    for (int64_t i = 0; i < rows; ++i, x += n, y += n) {
      R::each(n, [&](int64_t k, int m) { R::write(y + k, (R::read(x + k, m) - splat(largest[i])) - splat(sums[i]), m); });
    }
  }
}

template <class E>
void run_softmax_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const RowState*>(state);
  using R = RowOf<E>;
  using V = typename E::V;
  for_rows(s, begin, end, [&](int64_t row) {
    const auto* y = static_cast<const typename E::Item*>(args.in[0]) + row * s.columns;
    const auto* dy = static_cast<const typename E::Item*>(args.in[1]) + row * s.columns;
    auto* dx = static_cast<typename E::Item*>(args.out[0]) + row * s.columns;
    V sum = V::zero();
    R::each(s.columns, [&](int64_t i, int m) { sum = fma(R::read(dy + i, m), R::read(y + i, m), sum); });
    const V dot = splat(reduce_add(sum));
    R::each(s.columns, [&](int64_t i, int m) { R::write(dx + i, R::read(y + i, m) * (R::read(dy + i, m) - dot), m); });
  });
}

template <class E>
void run_log_softmax_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const RowState*>(state);
  using R = RowOf<E>;
  using V = typename E::V;
  const NonpositiveExp<typename E::Number> exp_of;
  for_rows(s, begin, end, [&](int64_t row) {
    const auto* y = static_cast<const typename E::Item*>(args.in[0]) + row * s.columns;
    const auto* dy = static_cast<const typename E::Item*>(args.in[1]) + row * s.columns;
    auto* dx = static_cast<typename E::Item*>(args.out[0]) + row * s.columns;
    V sum = V::zero();
    R::each(s.columns, [&](int64_t i, int m) { sum += R::read(dy + i, m); });
    const V total = splat(reduce_add(sum));
    R::each(s.columns, [&](int64_t i, int m) { R::write(dx + i, fnma(exp_of(R::read(y + i, m)), total, R::read(dy + i, m)), m); });
  });
}

// A label as a class number; -1 when it is none of the `classes`.
NN_INLINE int64_t read_label(const void* labels, DType dtype, int64_t row, int64_t classes) {
  int64_t label = -1;
  double number;
  switch (dtype) {
    case DType::kInt32: label = static_cast<const int32_t*>(labels)[row]; break;
    case DType::kInt64: label = static_cast<const int64_t*>(labels)[row]; break;
    case DType::kUInt8: label = static_cast<const uint8_t*>(labels)[row]; break;
    case DType::kInt8: label = static_cast<const int8_t*>(labels)[row]; break;
    default:
      number = dtype == DType::kFloat32 ? static_cast<const float*>(labels)[row] : static_cast<const double*>(labels)[row];
      label = number > -1 && number < 9e18 ? static_cast<int64_t>(number) : -1;
  }
  return label >= 0 && label < classes ? label : -1;
}

// The logarithms of a group of rows are taken together. With `weighted` the second output is not the probabilities but the gradient by the scores,
// (probability - one at the label) * dloss, bit for bit what sparse_softmax_cross_entropy_grad makes of the probabilities.
template <class E, bool weighted>
void run_cross_entropy(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const RowState*>(state);
  using Item = typename E::Item;
  using Number = typename E::Number;
  using V = typename E::V;
  constexpr int L = E::kLanes;
  const NonpositiveExp<Number> exp_of;
  const int64_t last = smaller(end * s.chunk_rows, s.rows);
  const bool streams = streams_to(s, args.out[1]);
  for (int64_t first = begin * s.chunk_rows; first < last; first += L) {
    const int rows = static_cast<int>(smaller(L, last - first));
    const Item* x = static_cast<const Item*>(args.in[0]) + first * s.columns;
    Item* y = static_cast<Item*>(args.out[1]) + first * s.columns;
    Number sums[L], scores[L], largest[L], weights[L];
    int64_t labels[L];
    for (int i = 0; i < L; ++i) sums[i] = scores[i] = largest[i] = weights[i] = 1;
    for (int i = 0; i < rows; ++i) {
      labels[i] = read_label(args.in[1], s.labels, first + i, s.columns);
      scores[i] = labels[i] < 0 ? FloatTraits<Number>::kNan : to_number(E(), x[i * s.columns + labels[i]]);
      if constexpr (weighted) weights[i] = static_cast<const Number*>(args.in[2])[first + i];
    }
    softmax_rows<E, weighted>(x, y, args.thread_scratch, streams, rows, s.columns, largest, sums, weights);
    const V score = load(scores), top = load(largest), sum = load(sums);
    RowOf<E>::write(static_cast<Item*>(args.out[0]) + first, log(sum) - (score - top), rows);
    if constexpr (weighted) {
      store(scores, (rounded(exp_of(score - top) * (splat(Number(1)) / sum)) - splat(Number(1))) * load(weights));
      for (int i = 0; i < rows; ++i) {
        if (labels[i] >= 0) y[i * s.columns + labels[i]] = scores[i];
      }
    }
  }
  if (streams) stream_fence();
}
template <class E>
void run_cross_entropy_forward(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  run_cross_entropy<E, false>(state, phase, begin, end, args);
}

template <class E>
void run_cross_entropy_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const RowState*>(state);
  using R = RowOf<E>;
  using Item = typename E::Item;
  using Number = typename E::Number;
  for_rows(s, begin, end, [&](int64_t row) {
    const Item* p = static_cast<const Item*>(args.in[0]) + row * s.columns;
    Item* dx = static_cast<Item*>(args.out[0]) + row * s.columns;
    const int64_t label = read_label(args.in[1], s.labels, row, s.columns);
    const Number scale = to_number(E(), static_cast<const Item*>(args.in[2])[row]);
    const Number at_label = label < 0 ? 0 : (to_number(E(), p[label]) - 1) * scale;
    R::each(s.columns, [&](int64_t i, int m) { R::write(dx + i, R::read(p + i, m) * splat(scale), m); });
    if (label >= 0) dx[label] = to_item(E(), at_label);
  });
}

RowState* plan_rows(Prepare& prepare) {
  const Spec& x = prepare.input(0);
  if (x.rank < 1) prepare.fail("takes tensors with at least one axis");
  auto* s = static_cast<RowState*>(prepare.new_state(sizeof(RowState)));
  s->columns = x.dim(-1);
  s->rows = s->columns == 0 ? 0 : x.size() / s->columns;
  s->chunk_rows = kChunkElements / (s->columns + 1) + 1;
  if (s->chunk_rows * kMaxChunks < s->rows) s->chunk_rows = (s->rows + kMaxChunks - 1) / kMaxChunks;
  prepare.add_phase((s->rows + s->chunk_rows - 1) / s->chunk_rows);
  prepare.set_cost(25.0 * static_cast<double>(x.size()));
  s->streams = kStreams && x.dtype == DType::kFloat32 && s->columns % Vec<float>::kLanes == 0 && x.size() * 4 > kLeastStreamed;
  if (x.dtype == DType::kBFloat16 || s->streams) prepare.need_thread_scratch(sizeof(float) * static_cast<size_t>(kBuffers * s->columns));
  return s;
}

void require_same(Prepare& prepare, const Spec& a, const Spec& b, const char* what) {
  if (a.dtype != b.dtype || a.size() != b.size()) {
    prepare.fail("%s must have the shape and dtype of the scores; got %lld of %s and %lld of %s", what, static_cast<long long>(b.size()),
                 dtype_name(b.dtype), static_cast<long long>(a.size()), dtype_name(a.dtype));
  }
}

#define NN_CHOOSE_FLOAT(prepare, run)                                                                      \
  switch ((prepare).input(0).dtype) {                                                                      \
    case DType::kFloat32: return (prepare).set_run(run<Float32>);                                          \
    case DType::kFloat64: return (prepare).set_run(run<Float64>);                                          \
    case DType::kBFloat16: return (prepare).set_run(run<BFloat16>);                                        \
    default: (prepare).fail("takes floating point numbers, got %s", dtype_name((prepare).input(0).dtype)); \
  }

void prepare_softmax(Prepare& prepare) {
  plan_rows(prepare);
  require_same(prepare, prepare.input(0), prepare.output(0), "the output");
  NN_CHOOSE_FLOAT(prepare, run_softmax)
}
void prepare_log_softmax(Prepare& prepare) {
  plan_rows(prepare);
  require_same(prepare, prepare.input(0), prepare.output(0), "the output");
  NN_CHOOSE_FLOAT(prepare, run_log_softmax)
}
void prepare_softmax_grad(Prepare& prepare) {
  plan_rows(prepare);
  require_same(prepare, prepare.input(0), prepare.input(1), "dy");
  NN_CHOOSE_FLOAT(prepare, run_softmax_grad)
}
void prepare_log_softmax_grad(Prepare& prepare) {
  plan_rows(prepare);
  require_same(prepare, prepare.input(0), prepare.input(1), "dy");
  NN_CHOOSE_FLOAT(prepare, run_log_softmax_grad)
}

RowState* plan_labels(Prepare& prepare) {
  RowState* s = plan_rows(prepare);
  s->labels = prepare.input(1).dtype;
  if (s->labels == DType::kBool || s->labels == DType::kBFloat16) {
    prepare.fail("labels must be integers or whole float32 or float64, got %s", dtype_name(s->labels));
  }
  if (s->columns > 0 && prepare.input(1).size() != s->rows) {
    prepare.fail("needs one label a row: %lld rows, %lld labels", static_cast<long long>(s->rows), static_cast<long long>(prepare.input(1).size()));
  }
  return s;
}
// Loss and gradient in one: the third input is dloss.
void prepare_cross_entropy_step(Prepare& prepare) {
  const Spec &x = prepare.input(0), &dloss = prepare.input(2);
  if (x.dtype != DType::kFloat32) prepare.fail("makes loss and gradient at once for float32 only, got %s", dtype_name(x.dtype));
  require_same(prepare, prepare.output(0), dloss, "dloss");
  prepare.set_run(run_cross_entropy<Float32, true>);
}
void prepare_cross_entropy(Prepare& prepare) {
  plan_labels(prepare);
  require_same(prepare, prepare.input(0), prepare.output(1), "the probabilities");
  if (prepare.num_inputs() == 3) return prepare_cross_entropy_step(prepare);
  NN_CHOOSE_FLOAT(prepare, run_cross_entropy_forward)
}
void prepare_cross_entropy_grad(Prepare& prepare) {
  plan_labels(prepare);
  require_same(prepare, prepare.input(0), prepare.output(0), "the gradient");
  NN_CHOOSE_FLOAT(prepare, run_cross_entropy_grad)
}

NN_KERNEL("softmax", prepare_softmax);
NN_KERNEL("log_softmax", prepare_log_softmax);
NN_KERNEL("softmax_grad", prepare_softmax_grad);
NN_KERNEL("log_softmax_grad", prepare_log_softmax_grad);
NN_KERNEL("sparse_softmax_cross_entropy", prepare_cross_entropy);
NN_KERNEL("sparse_softmax_cross_entropy_grad", prepare_cross_entropy_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
