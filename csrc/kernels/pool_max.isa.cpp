// max_pool2d and its gradient, NHWC, vectors along the channels.
//
// The forward kernel also gives, for every output element, which cell of its window won: the first of equals, and a NaN wins over all that is
// none. Given a single output it computes only the maxima. The gradient writes every input position exactly once: windows that do not
// overlap put dy or 0 into their cells; overlapping ones are gathered by the cells, in row-major order of the windows.
#include <string.h>

#include "kernels/pool_common.h"

namespace nnlite::NN_ISA {
namespace {

struct MaxPoolState {
  PoolShape shape;
  int64_t rows, chunk_rows;
};

// The integer lanes that go with lanes of T.
template <size_t bytes>
struct IndexOf {
  using Type = int32_t;
};
template <>
struct IndexOf<8> {
  using Type = int64_t;
};
template <class T>
using Index = typename IndexOf<sizeof(T)>::Type;

// True where x takes the place of `best`: when it is larger, or the first NaN.
NN_INLINE Mask<float> wins(Vec<float> x, Vec<float> best) { return (!(x <= best)) & (best == best); }
NN_INLINE Mask<double> wins(Vec<double> x, Vec<double> best) { return (!(x <= best)) & (best == best); }
NN_INLINE Mask<int32_t> wins(Vec<int32_t> x, Vec<int32_t> best) { return x > best; }
NN_INLINE Mask<int64_t> wins(Vec<int64_t> x, Vec<int64_t> best) { return x > best; }

// Watches for NaN beside the comparisons: the sum of the cells is NaN when one of them is (or when infinities of both signs meet, which costs only time).
template <class T>
struct NanWatch {
  void start(Vec<T>) {}
  void see(Vec<T>) {}
  bool alarm() const { return false; }
};
template <class T>
struct FloatWatch {
  Vec<T> sum;
  inline __attribute__((always_inline)) void start(Vec<T> v) { sum = v; }
  inline __attribute__((always_inline)) void see(Vec<T> v) { sum += v; }
  inline __attribute__((always_inline)) bool alarm() const { return any(sum != sum); }
};
template <>
struct NanWatch<float> : FloatWatch<float> {};
template <>
struct NanWatch<double> : FloatWatch<double> {};

// The first n bytes of 16, as lanes.
#if defined(NN_COMPILE_AVX512)
NN_INLINE Vec<int32_t> load_u8_part(const uint8_t* p, int n) {
  Vec<int32_t> v;
  v.r.r = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(native::first16(n), p));
  return v;
}
NN_INLINE void store_u8_part(uint8_t* p, Vec<int32_t> v, int n) { _mm512_mask_cvtepi32_storeu_epi8(p, native::first16(n), v.r.r); }
#else
NN_INLINE Vec<int32_t> load_u8_part(const uint8_t* p, int n) {
  uint8_t bytes[16] = {};
  for (int i = 0; i < n; ++i) bytes[i] = p[i];
  return load_u8(bytes);
}
NN_INLINE void store_u8_part(uint8_t* p, Vec<int32_t> v, int n) {
  uint8_t bytes[16];
  store_u8(bytes, v);
  for (int i = 0; i < n; ++i) p[i] = bytes[i];
}
#endif

template <bool full, class A, class I>
NN_INLINE void store_cells(A* p, Vec<I> cells, int n) {
  if constexpr (sizeof(A) == 1 && sizeof(I) == 4) {
    if constexpr (full) return store_u8(p, cells);
    store_u8_part(p, cells, n);
  } else {
    I lanes[Vec<I>::kLanes];
    store(lanes, cells);
    for (int i = 0; i < n; ++i) p[i] = static_cast<A>(lanes[i]);
  }
}

// A mask of the lanes whose cell is `cell`.
template <bool full, class T, class A>
NN_INLINE Mask<T> cells_equal(const A* p, int64_t cell, int n) {
  if constexpr (sizeof(A) == 1 && sizeof(T) == 4) {
    if constexpr (full) return load_u8(p) == splat(static_cast<int32_t>(cell));
    return load_u8_part(p, n) == splat(static_cast<int32_t>(cell));
  } else {
    uint8_t equal[Vec<T>::kLanes] = {};
    for (int i = 0; i < n; ++i) equal[i] = p[i] == cell;
    return load_mask<T>(equal);
  }
}

// ---- forward ----

// A run of windows of `rows` x `columns` cells inside the input, the first at x, `step` elements from one to the next. Cells are numbered from
// `first` on, `kw` a row.
template <class T>
struct Windows {
  const T* x;
  int64_t count, step, row_stride, c, rows, columns, first, kw;
};

// The maxima of the channels at x, the slow way, with NaN in its place.
template <bool full, bool with_cells, class T, class A>
__attribute__((noinline)) void max_with_nan(const Windows<T>& w, const T* x, T* y, A* cells, int n) {
  using I = Index<T>;
  Vec<T> best = load_channels<full>(x, n);
  Vec<I> won = splat(static_cast<I>(w.first));
  for (int64_t r = 0; r < w.rows; ++r) {
    for (int64_t q = 0; q < w.columns; ++q) {
      const Vec<T> v = load_channels<full>(x + r * w.row_stride + q * w.c, n);
      const Mask<T> m = wins(v, best);
      best = select<T>(m, v, best);
      won = select<I>(m, splat(static_cast<I>(w.first + r * w.kw + q)), won);
    }
  }
  store_channels<full>(y, best, n);
  if constexpr (with_cells) store_cells<full>(cells, won, n);
}

// kRows and kColumns are the windows' sizes where they are constants (else 0). What the loop reads of `windows` is copied first: the slow path's
// reference would keep it in memory.
template <int kRows, int kColumns, bool with_cells, class T, class A>
__attribute__((noinline)) void max_windows(const Windows<T>& windows, T* y, A* cells) {
  using I = Index<T>;
  const int64_t rows = kRows > 0 ? kRows : windows.rows, columns = kColumns > 0 ? kColumns : windows.columns;
  const int64_t c = windows.c, row_stride = windows.row_stride, step = windows.step, first = windows.first, kw = windows.kw;
  const T* x = windows.x;
  for (int64_t i = windows.count; i > 0; --i, x += step, y += c, cells += with_cells ? c : 0) {
    for_channels<T>(c, [&](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<T> best = keep(load_channels<kFull>(x + j, n));
      Vec<I> won = splat(static_cast<I>(first));
      NanWatch<T> watch;
      watch.start(best);
#pragma GCC unroll 3
      for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 3
        for (int64_t q = 0; q < columns; ++q) {
          if (r == 0 && q == 0) continue;
          const Vec<T> v = keep(load_channels<kFull>(x + j + r * row_stride + q * c, n));
          watch.see(v);
          const Mask<T> m = v > best;
          best = select<T>(m, v, best);
          if constexpr (with_cells) won = select<I>(m, splat(static_cast<I>(first + r * kw + q)), won);
        }
      }
      if (__builtin_expect(watch.alarm(), 0)) return max_with_nan<kFull, with_cells>(windows, x + j, y + j, with_cells ? cells + j : cells, n);
      store_channels<kFull>(y + j, best, n);
      if constexpr (with_cells) store_cells<kFull>(cells + j, won, n);
    });
  }
}

// What no input reaches: a window that lies in the padding.
template <class T>
NN_INLINE T lowest() {
  if constexpr (static_cast<T>(0.5) != 0) return static_cast<T>(-__builtin_inf());
  if constexpr (sizeof(T) == 8) return static_cast<T>(INT64_MIN);
  return static_cast<T>(INT32_MIN);
}

template <bool with_cells, class T, class A>
void max_row(const PoolShape& s, const T* image, int64_t oh, T* y, A* cells) {
  const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih), whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  const int64_t rows = r.end - r.begin;
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    const int64_t columns = q.end - q.begin, count = ow == whole.begin && whole.end > ow ? whole.end - ow : 1;
    const T* x = image + ((oh * s.sh - s.top + r.begin) * s.iw + ow * s.sw - s.left + q.begin) * s.c;
    const Windows<T> windows = {x, count, s.sw * s.c, s.iw * s.c, s.c, rows, columns, r.begin * s.kw + q.begin, s.kw};
    if (rows <= 0 || columns <= 0) {
      for (int64_t j = 0; j < s.c * count; ++j) y[j] = lowest<T>();
      if (with_cells) memset(cells, 0, static_cast<size_t>(s.c * count) * sizeof(A));
    } else if (rows == 2 && columns == 2) {
      max_windows<2, 2, with_cells>(windows, y, cells);
    } else if (rows == 3 && columns == 3) {
      max_windows<3, 3, with_cells>(windows, y, cells);
    } else {
      max_windows<0, 0, with_cells>(windows, y, cells);
    }
    ow += count;
    y += count * s.c;
    if (with_cells) cells += count * s.c;
  }
}

template <class T, class A, bool with_cells>
void run_max_pool(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const MaxPoolState& state_ = *static_cast<const MaxPoolState*>(state);
  const PoolShape s = state_.shape;
  const int64_t last = min_of(end * state_.chunk_rows, state_.rows), out_row = s.ow * s.c;
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    const T* image = static_cast<const T*>(args.in[0]) + row / s.oh * s.ih * s.iw * s.c;
    A* cells = with_cells ? static_cast<A*>(args.out[1]) + row * out_row : nullptr;
    max_row<with_cells>(s, image, row % s.oh, static_cast<T*>(args.out[0]) + row * out_row, cells);
  }
}

template <class T>
RunFunction max_pool_function(bool with_cells, bool wide) {
  return !with_cells ? run_max_pool<T, uint8_t, false> : wide ? run_max_pool<T, int32_t, true> : run_max_pool<T, uint8_t, true>;
}

DType cell_dtype(const PoolShape& s) { return s.kh * s.kw > 255 ? DType::kInt32 : DType::kUInt8; }

void check_cells(const Prepare& p, const PoolShape& s, const Spec& cells, const Spec& y) {
  bool fits = cells.dtype == cell_dtype(s) && cells.rank == y.rank;
  for (int i = 0; fits && i < y.rank; ++i) fits = cells.dims[i] == y.dims[i];
  if (!fits) p.fail("argmax must have the pooled shape and dtype %s", dtype_name(cell_dtype(s)));
}

void prepare_max_pool(Prepare& p) {
  const Spec &x = p.input(0), &y = p.output(0);
  const PoolShape shape = read_pool(p, x, y);
  const bool with_cells = p.num_outputs() > 1;
  if (with_cells) check_cells(p, shape, p.output(1), y);
  if (x.dtype != y.dtype) p.fail("the output must have the input's dtype: %s, got %s", dtype_name(x.dtype), dtype_name(y.dtype));
  MaxPoolState* s = static_cast<MaxPoolState*>(p.new_state(sizeof(MaxPoolState)));
  s->shape = shape;
  s->rows = shape.n * shape.oh;
  s->chunk_rows = rows_per_chunk(shape.sh * shape.iw * shape.c * static_cast<int64_t>(dtype_size(x.dtype)));
  const bool wide = cell_dtype(shape) == DType::kInt32;
  switch (x.dtype) {
    case DType::kFloat32: p.set_run(max_pool_function<float>(with_cells, wide)); break;
    case DType::kFloat64: p.set_run(max_pool_function<double>(with_cells, wide)); break;
    case DType::kInt32: p.set_run(max_pool_function<int32_t>(with_cells, wide)); break;
    case DType::kInt64: p.set_run(max_pool_function<int64_t>(with_cells, wide)); break;
    default: p.fail("the input must be float32, float64, int32 or int64, got %s", dtype_name(x.dtype));
  }
  p.add_phase(ceil_div(s->rows, s->chunk_rows));
}

// ---- gradient ----

// `count` windows, `step` elements of dx from one to the next: `columns` cells of a row take dy where the window's winner is `cell`, cell + 1, ...
// kColumns is `columns` where it is a constant (else 0).
template <int kColumns, class T, class A>
__attribute__((noinline)) void spread_windows(const T* dy, const A* cells, int64_t count, int64_t step, int64_t c, int64_t columns, int64_t cell, T* dx) {
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = count; i > 0; --i, dy += c, cells += c, dx += step) {
    for_channels<T>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      const Vec<T> d = keep(load_channels<kFull>(dy + j, n));
#pragma GCC unroll 3
      for (int64_t q = 0; q < columns; ++q) {
        const Mask<T> won = cells_equal<kFull, T>(cells + j, cell + q, n);
        store_channels<kFull>(dx + q * c + j, select<T>(won, d, Vec<T>::zero()), n);
      }
    });
  }
}

// Windows do not overlap: the row of the input takes from one row of windows, its cells numbered from `row_cell` on.
template <class T, class A>
void spread_row(const PoolShape& s, const T* dy, const A* cells, int64_t row_cell, T* dx) {
  const PoolRange whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  int64_t done = 0;  // positions of the row written so far
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    // Windows with gaps between them go one by one, so that the gaps are cleared.
    const int64_t count = ow == whole.begin && whole.end > ow && s.sw == s.kw ? whole.end - ow : 1, columns = q.end - q.begin;
    const int64_t start = ow * s.sw - s.left + q.begin, at = ow * s.c;
    if (columns > 0) {
      if (start > done) memset(dx + done * s.c, 0, static_cast<size_t>((start - done) * s.c) * sizeof(T));
      const auto spread = columns == 2 ? spread_windows<2, T, A> : spread_windows<0, T, A>;
      spread(dy + at, cells + at, count, s.sw * s.c, s.c, columns, row_cell + q.begin, dx + start * s.c);
      done = start + (count - 1) * s.sw + columns;
    }
    ow += count;
  }
  if (s.iw > done) memset(dx + done * s.c, 0, static_cast<size_t>((s.iw - done) * s.c) * sizeof(T));
}

// Up to four windows over one input position: where their dy begin, and the cell each must have chosen.
struct Covering {
  int64_t at[4], cell[4];
};

template <int kCount, class T, class A>
NN_INLINE void gather_covering(const Covering& w, bool first, int64_t c, const T* dy, const A* cells, T* dx) {
  const Covering own = w;
  for_channels<T>(c, [=, &own](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    Vec<T> sum = first ? Vec<T>::zero() : load_channels<kFull>(dx + j, n);
#pragma GCC unroll 4
    for (int k = 0; k < kCount; ++k) {
      const Mask<T> won = cells_equal<kFull, T>(cells + own.at[k] + j, own.cell[k], n);
      sum += select<T>(won, load_channels<kFull>(dy + own.at[k] + j, n), Vec<T>::zero());
    }
    store_channels<kFull>(dx + j, sum, n);
  });
}

template <class T, class A>
__attribute__((noinline)) void gather(const Covering& w, int count, bool first, int64_t c, const T* dy, const A* cells, T* dx) {
  switch (count) {
    case 1: return gather_covering<1>(w, first, c, dy, cells, dx);
    case 2: return gather_covering<2>(w, first, c, dy, cells, dx);
    case 3: return gather_covering<3>(w, first, c, dy, cells, dx);
    default: return gather_covering<4>(w, first, c, dy, cells, dx);
  }
}

template <class T, class A>
void gather_row(const PoolShape& s, const T* dy, const A* cells, int64_t ih, PoolRange over, T* dx) {
  for (int64_t iw = 0; iw < s.iw; ++iw, dx += s.c) {
    const PoolRange across = windows_over(iw, s.sw, s.left, s.kw, s.ow);
    if (across.begin >= across.end) memset(dx, 0, static_cast<size_t>(s.c) * sizeof(T));
    Covering w;
    int count = 0;
    bool first = true;
    for (int64_t oh = over.begin; oh < over.end; ++oh) {
      for (int64_t ow = across.begin; ow < across.end; ++ow) {
        w.at[count] = (oh * s.ow + ow) * s.c;
        w.cell[count] = (ih + s.top - oh * s.sh) * s.kw + iw + s.left - ow * s.sw;
        const bool last = oh == over.end - 1 && ow == across.end - 1;
        if (++count < 4 && !last) continue;
        gather(w, count, first, s.c, dy, cells, dx);
        count = 0;
        first = false;
      }
    }
  }
}

template <class T, class A>
void run_max_pool_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const MaxPoolState& state_ = *static_cast<const MaxPoolState*>(state);
  const PoolShape s = state_.shape;
  const bool apart = s.sh >= s.kh && s.sw >= s.kw;
  const int64_t last = min_of(end * state_.chunk_rows, state_.rows);
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    const int64_t image = row / s.ih * s.oh * s.ow * s.c, ih = row % s.ih;
    const T* dy = static_cast<const T*>(args.in[0]) + image;
    const A* cells = static_cast<const A*>(args.in[1]) + image;
    T* dx = static_cast<T*>(args.out[0]) + row * s.iw * s.c;
    const PoolRange over = windows_over(ih, s.sh, s.top, s.kh, s.oh);
    if (over.begin >= over.end) {
      memset(dx, 0, static_cast<size_t>(s.iw * s.c) * sizeof(T));
    } else if (apart) {
      const int64_t windows = over.begin * s.ow * s.c;
      spread_row(s, dy + windows, cells + windows, (ih + s.top - over.begin * s.sh) * s.kw, dx);
    } else {
      gather_row(s, dy, cells, ih, over, dx);
    }
  }
}

void prepare_max_pool_grad(Prepare& p) {
  const Spec &dy = p.input(0), &dx = p.output(0);
  const PoolShape shape = read_pool(p, dx, dy);
  check_input_shape(p, dx);
  check_cells(p, shape, p.input(1), dy);
  if (dx.dtype != dy.dtype) p.fail("the output must have the dtype of dy: %s, got %s", dtype_name(dy.dtype), dtype_name(dx.dtype));
  MaxPoolState* s = static_cast<MaxPoolState*>(p.new_state(sizeof(MaxPoolState)));
  s->shape = shape;
  s->rows = shape.n * shape.ih;
  s->chunk_rows = rows_per_chunk(shape.iw * shape.c * static_cast<int64_t>(dtype_size(dx.dtype)));
  const bool wide = cell_dtype(shape) == DType::kInt32;
  switch (dx.dtype) {
    case DType::kFloat32: p.set_run(wide ? run_max_pool_grad<float, int32_t> : run_max_pool_grad<float, uint8_t>); break;
    case DType::kFloat64: p.set_run(wide ? run_max_pool_grad<double, int32_t> : run_max_pool_grad<double, uint8_t>); break;
    default: p.fail("the gradient must be float32 or float64, got %s", dtype_name(dx.dtype));
  }
  p.add_phase(ceil_div(s->rows, s->chunk_rows));
}

NN_KERNEL("max_pool2d", prepare_max_pool);
NN_KERNEL("max_pool2d_grad", prepare_max_pool_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
