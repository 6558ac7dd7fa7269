// max_pool2d and its gradient, NHWC, vectors along the channels.
//
// The forward kernel also gives, for every output element, which cell of its window won: the first of equals, and a NaN wins over all that is
// none. Given a single output it computes only the maxima. The gradient writes every input position exactly once: windows that do not
// overlap put dy or 0 into their cells; overlapping ones are gathered by the cells, in row-major order of the windows.
//
// Floats in windows of at most 255 cells go in vectors; integers and larger windows (whose cells are int32) in plain loops.
#include <string.h>

#include "kernels/pool_common.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int kMaxCells = 255;  // of a window whose cells are uint8, and so windows over a position

// The integer lanes that go with the lanes of a number.
template <size_t bytes>
struct IndexOf {
  using Type = int32_t;
};
template <>
struct IndexOf<8> {
  using Type = int64_t;
};
template <class Number>
using Index = typename IndexOf<sizeof(Number)>::Type;

// True where x takes the place of `best`: when it is larger, or the first NaN.
NN_INLINE Mask<float> wins(Vec<float> x, Vec<float> best) { return (!(x <= best)) & (best == best); }
NN_INLINE Mask<double> wins(Vec<double> x, Vec<double> best) { return (!(x <= best)) & (best == best); }

// Watches for NaN beside the comparisons: the sum of the cells is NaN when one of them is (or when infinities of both signs meet, which costs only
// time).
template <class T>
struct NanWatch {
  Vec<T> sum;
  NN_ALWAYS void start(Vec<T> v) { sum = v; }
  NN_ALWAYS void see(Vec<T> v) { sum += v; }
  NN_ALWAYS bool alarm() const { return any(sum != sum); }
};

template <bool full, class I>
NN_INLINE void store_cells(uint8_t* p, Vec<I> cells, int n) {
  if constexpr (sizeof(I) == 4) {
    store_lanes<full>(p, cells, n);
  } else {
    I lanes[Vec<I>::kLanes];
    store(lanes, cells);
    for (int i = 0; i < n; ++i) p[i] = static_cast<uint8_t>(lanes[i]);
  }
}

// A mask of the lanes whose cell is `cell`.
template <bool full, class T>
NN_INLINE Mask<T> cells_equal(const uint8_t* p, int64_t cell, int n) {
  if constexpr (sizeof(T) == 4) {
    return load_lanes<full>(p, n) == splat(static_cast<int32_t>(cell));
  } else {
    uint8_t equal[Vec<T>::kLanes] = {};
    for (int i = 0; i < n; ++i) equal[i] = p[i] == cell;
    return load_mask<T>(equal);
  }
}

// ---- forward ----

// A run of windows of `rows` x `columns` cells inside the input, the first at x, `step` elements from one to the next. Cells are numbered from
// `first` on, `kw` a row.
template <class Item>
struct Windows {
  const Item* x;
  int64_t count, step, row_stride, c, rows, columns, first, kw;
};

// The maxima of the channels at x, the slow way, with NaN in its place.
template <bool full, bool with_cells, class Item>
__attribute__((noinline)) void max_with_nan(const Windows<Item>& w, const Item* x, Item* y, uint8_t* cells, int n) {
  using Number = NumberOf<Item>;
  using I = Index<Number>;
  Vec<Number> best = load_lanes<full>(x, n);
  Vec<I> won = splat(static_cast<I>(w.first));
  for (int64_t r = 0; r < w.rows; ++r) {
    for (int64_t q = 0; q < w.columns; ++q) {
      const Vec<Number> v = load_lanes<full>(x + r * w.row_stride + q * w.c, n);
      const Mask<Number> m = wins(v, best);
      best = select<Number>(m, v, best);
      won = select<I>(m, splat(static_cast<I>(w.first + r * w.kw + q)), won);
    }
  }
  store_lanes<full>(y, best, n);
  if constexpr (with_cells) store_cells<full>(cells, won, n);
}

// kRows and kColumns are the windows' sizes where they are constants (else 0). What the loop reads of `windows` is copied first: the slow path's
// reference would keep it in memory.
template <int kRows, int kColumns, bool with_cells, class Item>
__attribute__((noinline)) void max_windows(const Windows<Item>& windows, Item* y, uint8_t* cells) {
  using Number = NumberOf<Item>;
  using I = Index<Number>;
  const int64_t rows = kRows > 0 ? kRows : windows.rows, columns = kColumns > 0 ? kColumns : windows.columns;
  const int64_t c = windows.c, row_stride = windows.row_stride, step = windows.step, first = windows.first, kw = windows.kw;
  const Item* x = windows.x;
  for (int64_t i = windows.count; i > 0; --i, x += step, y += c, cells += with_cells ? c : 0) {
    for_channels<Item>(c, [&](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<Number> best = keep(load_lanes<kFull>(x + j, n));
      Vec<I> won = splat(static_cast<I>(first));
      NanWatch<Number> watch;
      watch.start(best);
      NN_UNROLL(3)
      for (int64_t r = 0; r < rows; ++r) {
        NN_UNROLL(3)
        for (int64_t q = 0; q < columns; ++q) {
          if (r == 0 && q == 0) continue;
          const Vec<Number> v = keep(load_lanes<kFull>(x + j + r * row_stride + q * c, n));
          watch.see(v);
          if constexpr (with_cells) won = select<I>(v > best, splat(static_cast<I>(first + r * kw + q)), won);
          best = max(v, best);
        }
      }
      if (__builtin_expect(watch.alarm(), 0)) return max_with_nan<kFull, with_cells>(windows, x + j, y + j, with_cells ? cells + j : cells, n);
      store_lanes<kFull>(y + j, best, n);
      if constexpr (with_cells) store_cells<kFull>(cells + j, won, n);
    });
  }
}

// What no input reaches: a window that lies in the padding.
template <class Item>
NN_INLINE Item lowest() {
  return sizeof(Item) == 2 ? static_cast<Item>(0xff80) : static_cast<Item>(-__builtin_inf());
}

// Constant sizes for the common windows of floats; more variants would only make the library larger.
template <bool with_cells, class Item>
NN_INLINE void windows_of_size(const Windows<Item>& windows, int64_t rows, int64_t columns, Item* y, uint8_t* cells) {
  if constexpr (sizeof(Item) == 4 && !NN_SMALL_CODE) {
    if (rows == 2 && columns == 2) return max_windows<2, 2, with_cells>(windows, y, cells);
    if (rows == 3 && columns == 3) return max_windows<3, 3, with_cells>(windows, y, cells);
  }
  max_windows<0, 0, with_cells>(windows, y, cells);
}

template <bool with_cells, class Item>
void max_row(const PoolShape& s, const Item* image, int64_t oh, Item* y, uint8_t* cells) {
  const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih), whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  const int64_t rows = r.end - r.begin;
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    const int64_t columns = q.end - q.begin, count = ow == whole.begin && whole.end > ow ? whole.end - ow : 1;
    const Item* x = image + ((oh * s.sh - s.top + r.begin) * s.iw + ow * s.sw - s.left + q.begin) * s.c;
    const Windows<Item> windows = {x, count, s.sw * s.c, s.iw * s.c, s.c, rows, columns, r.begin * s.kw + q.begin, s.kw};
    if (rows <= 0 || columns <= 0) {
      for (int64_t j = 0; j < s.c * count; ++j) y[j] = lowest<Item>();
      if (with_cells) memset(cells, 0, static_cast<size_t>(s.c * count));
    } else {
      windows_of_size<with_cells>(windows, rows, columns, y, cells);
    }
    ow += count;
    y += count * s.c;
    if (with_cells) cells += count * s.c;
  }
}

template <class Item, bool with_cells>
void run_max_pool(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PoolState& state_ = *static_cast<const PoolState*>(state);
  const PoolShape s = state_.shape;
  const int64_t last = smaller(end * state_.chunk_rows, state_.rows), out_row = s.ow * s.c;
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    const Item* image = static_cast<const Item*>(args.in[0]) + row / s.oh * s.ih * s.iw * s.c;
    uint8_t* cells = with_cells ? static_cast<uint8_t*>(args.out[1]) + row * out_row : nullptr;
    max_row<with_cells>(s, image, row % s.oh, static_cast<Item*>(args.out[0]) + row * out_row, cells);
  }
}

template <class Item>
RunFunction max_pool_function(bool with_cells) {
  return with_cells ? run_max_pool<Item, true> : run_max_pool<Item, false>;
}

void prepare_max_pool(Prepare& p) {
  const PoolState& s = *plan_max_pool(p);
  const RunFunction plain = plain_max_pool(s);
  p.set_run(plain != nullptr             ? plain
            : s.dtype == DType::kFloat32 ? max_pool_function<float>(s.with_cells)
            : s.dtype == DType::kFloat64 ? max_pool_function<double>(s.with_cells)
                                         : max_pool_function<uint16_t>(s.with_cells));
}

// ---- gradient ----

// `count` windows, `step` elements of dx from one to the next: `columns` cells of a row take dy where the window's winner is `cell`, cell + 1, ...
// kColumns is `columns` where it is a constant (else 0).
template <int kColumns, class Item>
__attribute__((noinline)) void spread_windows(const Item* dy, const uint8_t* cells, int64_t count, int64_t step, int64_t c, int64_t columns,
                                              int64_t cell, Item* dx) {
  using Number = NumberOf<Item>;
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = count; i > 0; --i, dy += c, cells += c, dx += step) {
    for_channels<Item>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      const Vec<Number> d = keep(load_lanes<kFull>(dy + j, n));
      NN_UNROLL(3)
      for (int64_t q = 0; q < columns; ++q) {
        const Mask<Number> won = cells_equal<kFull, Number>(cells + j, cell + q, n);
        store_lanes<kFull>(dx + q * c + j, select<Number>(won, d, Vec<Number>::zero()), n);
      }
    });
  }
}

// Windows do not overlap: the row of the input takes from one row of windows, its cells numbered from `row_cell` on.
template <class Item>
void spread_row(const PoolShape& s, const Item* dy, const uint8_t* cells, int64_t row_cell, Item* dx) {
  const PoolRange whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  int64_t done = 0;  // positions of the row written so far
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    // Windows with gaps between them go one by one, so that the gaps are cleared.
    const int64_t count = ow == whole.begin && whole.end > ow && s.sw == s.kw ? whole.end - ow : 1, columns = q.end - q.begin;
    const int64_t start = ow * s.sw - s.left + q.begin, at = ow * s.c;
    if (columns > 0) {
      if (start > done) memset(dx + done * s.c, 0, static_cast<size_t>((start - done) * s.c) * sizeof(Item));
      const auto spread = columns == 2 ? spread_windows<2, Item> : spread_windows<0, Item>;
      spread(dy + at, cells + at, count, s.sw * s.c, s.c, columns, row_cell + q.begin, dx + start * s.c);
      done = start + (count - 1) * s.sw + columns;
    }
    ow += count;
  }
  if (s.iw > done) memset(dx + done * s.c, 0, static_cast<size_t>((s.iw - done) * s.c) * sizeof(Item));
}

// A window over one input position: where its dy begin, and the cell it must have chosen.
struct Covering {
  int64_t at, cell;
};

// `run` input positions `step` elements apart, each under kCount windows, or `count` when kCount is 0; the windows move on with them.
template <int kCount, class Item>
__attribute__((noinline)) void gather(const Covering* windows, int count, int64_t run, int64_t step, int64_t c, const Item* dy, const uint8_t* cells,
                                      Item* dx) {
  using Number = NumberOf<Item>;
  Covering w[kCount > 0 ? kCount : 1];
  if constexpr (kCount > 0) {
    count = kCount;
    __builtin_memcpy(w, windows, sizeof(w));
  }
  for (; run > 0; --run, dy += c, cells += c, dx += step) {
    for_channels<Item>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<Number> sum = Vec<Number>::zero();
      NN_UNROLL(4)
      for (int k = 0; k < count; ++k) {
        const Covering at = kCount > 0 ? w[k] : windows[k];
        const Mask<Number> won = cells_equal<kFull, Number>(cells + at.at + j, at.cell, n);
        sum += select<Number>(won, load_lanes<kFull>(dy + at.at + j, n), Vec<Number>::zero());
      }
      store_lanes<kFull>(dx + j, sum, n);
    });
  }
}

template <class Item>
void gather_row(const PoolShape& s, const Item* dy, const uint8_t* cells, int64_t ih, PoolRange over, Item* dx) {
  for_covered_runs(s, 0, s.ow, [&](int64_t iw, PoolRange across, int64_t run) {
    Covering windows[kMaxCells];
    int count = 0;
    for (int64_t oh = over.begin; oh < over.end; ++oh) {
      for (int64_t ow = across.begin; ow < across.end; ++ow) {
        windows[count++] = {(oh * s.ow + ow) * s.c, (ih + s.top - oh * s.sh) * s.kw + iw + s.left - ow * s.sw};
      }
    }
    const auto function = count == 1 ? gather<1, Item> : count == 2 ? gather<2, Item> : count == 4 ? gather<4, Item> : gather<0, Item>;
    function(windows, count, run, s.sw * s.c, s.c, dy, cells, dx + iw * s.c);
  });
}

template <class Item>
void run_max_pool_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PoolState& state_ = *static_cast<const PoolState*>(state);
  const PoolShape s = state_.shape;
  const bool apart = s.sh >= s.kh && s.sw >= s.kw;
  const int64_t last = smaller(end * state_.chunk_rows, state_.rows);
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    const int64_t image = row / s.ih * s.oh * s.ow * s.c, ih = row % s.ih;
    const Item* dy = static_cast<const Item*>(args.in[0]) + image;
    const uint8_t* cells = static_cast<const uint8_t*>(args.in[1]) + image;
    Item* dx = static_cast<Item*>(args.out[0]) + row * s.iw * s.c;
    const PoolRange over = windows_over(ih, s.sh, s.top, s.kh, s.oh);
    if (over.begin >= over.end) {
      memset(dx, 0, static_cast<size_t>(s.iw * s.c) * sizeof(Item));
    } else if (apart) {
      const int64_t windows = over.begin * s.ow * s.c;
      spread_row(s, dy + windows, cells + windows, (ih + s.top - over.begin * s.sh) * s.kw, dx);
    } else {
      gather_row(s, dy, cells, ih, over, dx);
    }
  }
}

void prepare_max_pool_grad(Prepare& p) {
  const PoolState& s = *plan_max_pool_grad(p);
  const RunFunction plain = plain_max_pool_grad(s);
  p.set_run(plain != nullptr             ? plain
            : s.dtype == DType::kFloat32 ? run_max_pool_grad<float>
            : s.dtype == DType::kFloat64 ? run_max_pool_grad<double>
                                         : run_max_pool_grad<uint16_t>);
}

NN_KERNEL("max_pool2d", prepare_max_pool);
NN_KERNEL("max_pool2d_grad", prepare_max_pool_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
