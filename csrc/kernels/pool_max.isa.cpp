// max_pool2d, NHWC, vectors along the channels: the maxima and, for every output element, which cell of its window won: the first of equals, and
// a NaN wins over all that is none. Given a single output it computes only the maxima.
//
// Floats in windows of at most 255 cells go in vectors; integers and larger windows (whose cells are int32) in plain loops.
#include <string.h>

#include "kernels/conv2d_plan.h"
#include "kernels/pool_common.h"
#include "kernels/pool_pairs.h"

namespace nnlite::NN_ISA {
namespace {

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
      Vec<Number> best = held(load_lanes<kFull>(x + j, n));
      Vec<I> won = splat(static_cast<I>(first));
      NanWatch<Number> watch;
      watch.start(best);
      NN_UNROLL(3)
      for (int64_t r = 0; r < rows; ++r) {
        NN_UNROLL(3)
        for (int64_t q = 0; q < columns; ++q) {
          if (r == 0 && q == 0) continue;
          const Vec<Number> v = held(load_lanes<kFull>(x + j + r * row_stride + q * c, n));
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

NN_KERNEL("max_pool2d", prepare_max_pool);

// A window of 2 x 2 with NaN among its cells, for one vector of channels.
template <bool full, bool with_cells>
__attribute__((noinline)) void max_pair_with_nan(const float* x, int64_t x_row, int64_t x_col, float* y, uint8_t* cells, int n) {
  max_with_nan<full, with_cells>(Windows<float>{x, 1, 0, x_row, x_col, 2, 2, 0, 2}, x, y, cells, n);
}

// What the loop reads of `p` is copied first: cells might lie where p does.
template <bool with_cells>
__attribute__((noinline)) void max_pairs(const PoolPairs& p) {
  const int64_t x_row = p.x_row, x_col = p.x_col, y_col = p.y_col, cols = p.cols, channels = p.channels;
  const Vec<int32_t> cut = splat(static_cast<int32_t>(kConvCutCell));
  const bool cuts = p.cut;
  for (int64_t r = 0; r < p.rows; ++r) {
    const float* x = p.x + 2 * r * x_row;
    float* y = p.y + r * p.y_row;
    uint8_t* cells = with_cells ? p.cells + r * p.y_row : nullptr;
    for (int64_t q = cols; q > 0; --q, x += 2 * x_col, y += y_col, cells += with_cells ? y_col : 0) {
      for_channels<float>(channels, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
        constexpr bool kFull = decltype(flag)::kFull;
        const Vec<float> a = held(load_lanes<kFull>(x + j, n)), b = held(load_lanes<kFull>(x + j + x_col, n));
        const Vec<float> c = held(load_lanes<kFull>(x + j + x_row, n)), d = held(load_lanes<kFull>(x + j + x_row + x_col, n));
        const Vec<float> upper = max(b, a), both = max(c, upper);
        Vec<float> best = max(d, both);
        NanWatch<float> watch;
        watch.start((a + b) + (c + d));
        const bool alarm = __builtin_expect(watch.alarm(), 0);
        if (alarm) {
          max_pair_with_nan<kFull, with_cells>(x + j, x_row, x_col, y + j, with_cells ? cells + j : nullptr, n);
          best = load_lanes<kFull>(y + j, n);
        } else {
          store_lanes<kFull>(y + j, best, n);
        }
        if constexpr (with_cells) {
          Vec<int32_t> won = select<int32_t>(b > a, splat(1), splat(0));
          won = select<int32_t>(c > upper, splat(2), won);
          won = select<int32_t>(d > both, splat(3), won);
          if (alarm) won = load_lanes<kFull>(cells + j, n);
          if (cuts) won = select<int32_t>(best > Vec<float>::zero(), won, cut);
          store_cells<kFull>(cells + j, won, n);
        }
      });
    }
  }
}

}  // namespace

void pool_pairs(const PoolPairs& windows) { windows.cells != nullptr ? max_pairs<true>(windows) : max_pairs<false>(windows); }

}  // namespace nnlite::NN_ISA
