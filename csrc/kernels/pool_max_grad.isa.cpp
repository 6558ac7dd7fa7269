// The gradient of max_pool2d, NHWC, vectors along the channels. Every position of dx is written exactly once, in order: windows that do not overlap
// put dy or 0 into their cells; overlapping ones are gathered by the cells, in row-major order of the windows. Windows of 3 x 3 at stride 1 or
// 2 give blocks of 2 x 2 positions of dx from one load of every dy they need; the sums are the same.
//
// A dx that no cache holds until somebody reads it is written past the caches: half the traffic.
#include <string.h>

#include "kernels/pool_common.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int kMaxCells = 255;  // of a window whose cells are uint8, and so windows over a position

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

// `count` windows, `step` elements of dx from one to the next: `columns` cells of a row take dy where the window's winner is `cell`, cell + 1, ...
// kColumns is `columns` where it is a constant (else 0).
template <int kColumns, bool kPastCaches, class Item>
__attribute__((noinline)) void spread_windows(const Item* dy, const uint8_t* cells, int64_t count, int64_t step, int64_t c, int64_t columns,
                                              int64_t cell, Item* dx) {
  using Number = NumberOf<Item>;
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = count; i > 0; --i, dy += c, cells += c, dx += step) {
    for_channels<Item, kPastCaches>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      const Vec<Number> d = held(load_lanes<kFull>(dy + j, n));
      NN_UNROLL(3)
      for (int64_t q = 0; q < columns; ++q) {
        const Mask<Number> won = cells_equal<kFull, Number>(cells + j, cell + q, n);
        put_lanes<kFull, kPastCaches>(dx + q * c + j, select<Number>(won, d, Vec<Number>::zero()), n);
      }
    });
  }
}

template <class Item>
NN_INLINE auto spread_function(int64_t columns, bool past_caches) {
  if constexpr (sizeof(Item) == 4) {
    if (past_caches) return spread_windows<0, true, Item>;
  }
  return columns == 2 ? spread_windows<2, false, Item> : spread_windows<0, false, Item>;
}

// Windows do not overlap: the row of the input takes from one row of windows, its cells numbered from `row_cell` on.
template <class Item>
void spread_row(const PoolShape& s, const Item* dy, const uint8_t* cells, int64_t row_cell, bool past_caches, Item* dx) {
  const PoolRange whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  int64_t done = 0;  // positions of the row written so far
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    // Windows with gaps between them go one by one, so that the gaps are cleared.
    const int64_t count = ow == whole.begin && whole.end > ow && s.sw == s.kw ? whole.end - ow : 1, columns = q.end - q.begin;
    const int64_t start = ow * s.sw - s.left + q.begin, at = ow * s.c;
    if (columns > 0) {
      if (start > done) memset(dx + done * s.c, 0, static_cast<size_t>((start - done) * s.c) * sizeof(Item));
      spread_function<Item>(columns, past_caches)(dy + at, cells + at, count, s.sw * s.c, s.c, columns, row_cell + q.begin, dx + start * s.c);
      done = start + (count - 1) * s.sw + columns;
    }
    ow += count;
  }
  if (s.iw > done) memset(dx + done * s.c, 0, static_cast<size_t>((s.iw - done) * s.c) * sizeof(Item));
}

// Rows [row, last) of dx, counted over all images.
template <class Item>
void spread_rows(const PoolShape& s, int64_t row, int64_t last, const Item* dy, const uint8_t* cells, bool past_caches, Item* all_dx) {
  for (; row < last; ++row) {
    const int64_t ih = row % s.ih;
    Item* dx = all_dx + row * s.iw * s.c;
    const PoolRange over = windows_over(ih, s.sh, s.top, s.kh, s.oh);
    if (over.begin >= over.end) {
      memset(dx, 0, static_cast<size_t>(s.iw * s.c) * sizeof(Item));
    } else {
      const int64_t windows = (row / s.ih * s.oh + over.begin) * s.ow * s.c;
      spread_row(s, dy + windows, cells + windows, (ih + s.top - over.begin * s.sh) * s.kw, past_caches, dx);
    }
  }
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

// Some columns of one row of dx.
template <class Item>
void gather_row(const PoolShape& s, const Item* dy, const uint8_t* cells, int64_t ih, PoolRange columns, Item* dx) {
  const PoolRange over = windows_over(ih, s.sh, s.top, s.kh, s.oh);
  for_covered_runs(s, columns, 0, s.ow, [&](int64_t iw, PoolRange across, int64_t run) {
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

// ---- blocks of 2 x 2 positions under windows of 3 x 3 ----

// Along an axis a block of two positions, the first at the start of a window, is under the windows [window - 2 / stride, window + 1 / stride].
constexpr int64_t windows_before(int64_t stride) { return 2 / stride; }
constexpr int64_t windows_of_block(int64_t stride) { return 2 / stride + 1 / stride + 1; }

// The blocks of an axis that lie inside with all their windows: `count` of them from position `begin` on, under the windows from `window` on.
struct Blocks {
  int64_t begin, count, window;
};
NN_INLINE Blocks whole_blocks(int64_t stride, int64_t pad, int64_t size, int64_t windows) {
  const int64_t start = larger(ceil_div(pad, stride), windows_before(stride)), window = start - windows_before(stride);
  const int64_t begin = start * stride - pad, inside = (size - begin) / 2, covered = (windows - window - windows_of_block(stride)) * stride / 2 + 1;
  return {begin, windows - window < windows_of_block(stride) ? 0 : larger(smaller(inside, covered), 0), window};
}

// `blocks` blocks of a row; dy and cells are those of the first window of the first.
template <int kStride, bool kPastCaches>
__attribute__((noinline)) void join_windows(const float* dy, const uint8_t* cells, int64_t blocks, int64_t dy_row, int64_t c, int64_t dx_row,
                                            float* dx) {
  constexpr int kWindows = windows_of_block(kStride), kBefore = windows_before(kStride);
  for (; blocks > 0; --blocks, dy += 2 / kStride * c, cells += 2 / kStride * c, dx += 2 * c) {
    for_channels<float, kPastCaches>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<float> sums[2][2] = {{Vec<float>::zero(), Vec<float>::zero()}, {Vec<float>::zero(), Vec<float>::zero()}};
      const float* d_row = dy + j;
      const uint8_t* cell_row = cells + j;
#pragma GCC unroll 4
      for (int i = 0; i < kWindows; ++i, d_row += dy_row, cell_row += dy_row) {
        asm("" : "+r"(d_row), "+r"(cell_row));  // else every window gets pointers of its own, which live on the stack
#pragma GCC unroll 4
        for (int k = 0; k < kWindows; ++k) {
          const Vec<float> d = held(load_lanes<kFull>(d_row + k * c, n));
          const Vec<int32_t> chosen = held(load_lanes<kFull>(cell_row + k * c, n));
#pragma GCC unroll 2
          for (int y = 0; y < 2; ++y) {
#pragma GCC unroll 2
            for (int x = 0; x < 2; ++x) {
              const int r = y - (i - kBefore) * kStride, q = x - (k - kBefore) * kStride;
              if (r < 0 || r > 2 || q < 0 || q > 2) continue;
              sums[y][x] = select<float>(chosen == splat(static_cast<int32_t>(3 * r + q)), sums[y][x] + d, sums[y][x]);
            }
          }
        }
      }
      put_lanes<kFull, kPastCaches>(dx + j, sums[0][0], n);
      put_lanes<kFull, kPastCaches>(dx + c + j, sums[0][1], n);
      put_lanes<kFull, kPastCaches>(dx + dx_row + j, sums[1][0], n);
      put_lanes<kFull, kPastCaches>(dx + dx_row + c + j, sums[1][1], n);
    });
  }
}

// Two rows of dx from row `ih` on, under all their windows: blocks in the middle, single positions at the sides.
NN_INLINE void join_rows(const PoolShape& s, const Blocks& columns, const float* dy, const uint8_t* cells, int64_t ih, int64_t window,
                         bool past_caches, float* dx) {
  const int64_t at = (window * s.ow + columns.window) * s.c;
  const auto join = s.sh == 1 ? join_windows<1, false> : past_caches ? join_windows<2, true> : join_windows<2, false>;
  join(dy + at, cells + at, columns.count, s.ow * s.c, s.c, s.iw * s.c, dx + columns.begin * s.c);
  for (int64_t row = ih; row < ih + 2; ++row, dx += s.iw * s.c) {
    gather_row(s, dy, cells, row, {0, columns.begin}, dx);
    gather_row(s, dy, cells, row, {columns.begin + 2 * columns.count, s.iw}, dx);
  }
}

// Rows [row, last) of dx, counted over all images.
template <class Item>
void gather_rows(const PoolShape& s, int64_t row, int64_t last, const Item* all_dy, const uint8_t* all_cells, bool past_caches, Item* all_dx) {
  [[maybe_unused]] Blocks rows = {}, columns = {};
  if constexpr (sizeof(Item) == 4 && !NN_SMALL_CODE) {
    if (s.kh == 3 && s.kw == 3 && s.sh == s.sw && s.sh <= 2) {
      rows = whole_blocks(s.sh, s.top, s.ih, s.oh);
      columns = whole_blocks(s.sw, s.left, s.iw, s.ow);
      if (columns.count == 0) rows.count = 0;
    }
  }
  while (row < last) {
    const int64_t ih = row % s.ih, image = row / s.ih * s.oh * s.ow * s.c;
    const Item* dy = all_dy + image;
    const uint8_t* cells = all_cells + image;
    Item* dx = all_dx + row * s.iw * s.c;
    if constexpr (sizeof(Item) == 4 && !NN_SMALL_CODE) {
      const int64_t block = ih - rows.begin;
      if (block >= 0 && block % 2 == 0 && block < 2 * rows.count && row + 1 < last) {
        join_rows(s, columns, dy, cells, ih, rows.window + block / s.sh, past_caches, dx);
        row += 2;
        continue;
      }
    }
    gather_row(s, dy, cells, ih, {0, s.iw}, dx);
    ++row;
  }
}

template <class Item>
void run_max_pool_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PoolState& state_ = *static_cast<const PoolState*>(state);
  const PoolShape s = state_.shape;
  const int64_t first = begin * state_.chunk_rows, last = smaller(end * state_.chunk_rows, state_.rows);
  const Item* all_dy = static_cast<const Item*>(args.in[0]);
  const uint8_t* all_cells = static_cast<const uint8_t*>(args.in[1]);
  Item* all_dx = static_cast<Item*>(args.out[0]);
  const bool past_caches = writes_past_caches(state_, all_dx);
  if (s.sh >= s.kh && s.sw >= s.kw) {
    spread_rows(s, first, last, all_dy, all_cells, past_caches, all_dx);
  } else {
    gather_rows(s, first, last, all_dy, all_cells, past_caches, all_dx);
  }
  if (past_caches) stream_fence();
}

void prepare_max_pool_grad(Prepare& p) {
  const PoolState& s = *plan_max_pool_grad(p);
  const RunFunction plain = plain_max_pool_grad(s);
  p.set_run(plain != nullptr             ? plain
            : s.dtype == DType::kFloat32 ? run_max_pool_grad<float>
            : s.dtype == DType::kFloat64 ? run_max_pool_grad<double>
                                         : run_max_pool_grad<uint16_t>);
}

NN_KERNEL("max_pool2d_grad", prepare_max_pool_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
