// average_pool2d and its gradient, NHWC, vectors along the channels. The mean is over the cells inside the input: padding does not count.
#include <string.h>

#include "kernels/pool_few.h"

namespace nnlite::NN_ISA {
namespace {

// `count` windows of `rows` x `columns` cells inside the input, the first at x, `step` elements from one to the next; kRows and kColumns are
// the sizes where they are constants (else 0).
template <int kRows, int kColumns, class Item>
__attribute__((noinline)) void average_windows(const Item* x, int64_t count, int64_t step, int64_t row_stride, int64_t c, int64_t rows,
                                               int64_t columns, Item* y) {
  using Number = NumberOf<Item>;
  if constexpr (kRows > 0) rows = kRows;
  if constexpr (kColumns > 0) columns = kColumns;
  const Vec<Number> cells = splat(static_cast<Number>(rows * columns));
  for (int64_t i = count; i > 0; --i, x += step, y += c) {
    for_channels<Item>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<Number> sum = Vec<Number>::zero();
      NN_UNROLL(3)
      for (int64_t r = 0; r < rows; ++r) {
        NN_UNROLL(3)
        for (int64_t q = 0; q < columns; ++q) sum += load_lanes<kFull>(x + j + r * row_stride + q * c, n);
      }
      store_lanes<kFull>(y + j, sum / cells, n);
    });
  }
}

template <class Item>
void average_row(const PoolShape& s, const Item* image, int64_t oh, NumberOf<Item>* scratch, Item* y) {
  const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih), whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  const int64_t rows = r.end - r.begin;
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    const int64_t columns = q.end - q.begin, count = ow == whole.begin && whole.end > ow ? whole.end - ow : 1;
    const Item* x = image + ((oh * s.sh - s.top + r.begin) * s.iw + ow * s.sw - s.left + q.begin) * s.c;
    if (has_few_channels<Item>(s) && count > 1 && rows > 0) {
      average_few(s, x, rows, count, scratch, y + ow * s.c);
      ow += count;
      continue;
    }
    const auto average = rows == 2 && columns == 2   ? average_windows<2, 2, Item>
                         : rows == 3 && columns == 3 ? average_windows<3, 3, Item>
                                                     : average_windows<0, 0, Item>;
    average(x, count, s.sw * s.c, s.iw * s.c, s.c, rows, columns, y + ow * s.c);
    ow += count;
  }
}

template <class Item>
void run_average_pool(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PoolState& state_ = *static_cast<const PoolState*>(state);
  const PoolShape s = state_.shape;
  const int64_t last = smaller(end * state_.chunk_rows, state_.rows);
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    average_row(s, static_cast<const Item*>(args.in[0]) + row / s.oh * s.ih * s.iw * s.c, row % s.oh,
                static_cast<NumberOf<Item>*>(args.thread_scratch), static_cast<Item*>(args.out[0]) + row * s.ow * s.c);
  }
}

// The gradient of `count` windows, `step` elements of dx from one to the next: `columns` positions each. kColumns is
// `columns` where it is a constant (else 0).
template <int kColumns, bool kPastCaches, class Item>
__attribute__((noinline)) void spread_windows(const Item* dy, int64_t count, int64_t step, int64_t c, int64_t columns, NumberOf<Item> share,
                                              Item* dx) {
  using Number = NumberOf<Item>;
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = count; i > 0; --i, dy += c, dx += step) {
    for_channels<Item, kPastCaches>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      const Vec<Number> d = load_lanes<kFull>(dy + j, n) * splat(share);
      NN_UNROLL(3)
      for (int64_t q = 0; q < columns; ++q) put_lanes<kFull, kPastCaches>(dx + q * c + j, d, n);
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

// dx of one input row when windows do not overlap: every position takes its window's share of dy.
template <class Item>
void spread_row(const PoolShape& s, const Item* dy, int64_t rows, bool past_caches, NumberOf<Item>* scratch, Item* dx) {
  using Number = NumberOf<Item>;
  const PoolRange whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  int64_t done = 0;  // positions of the row written so far
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    // Windows with gaps between them go one by one, so that the gaps are cleared.
    const int64_t count = ow == whole.begin && whole.end > ow && s.sw == s.kw ? whole.end - ow : 1, columns = q.end - q.begin;
    const int64_t start = ow * s.sw - s.left + q.begin;
    if (columns > 0) {
      if (start > done) memset(dx + done * s.c, 0, static_cast<size_t>((start - done) * s.c) * sizeof(Item));
      const Number share = Number(1) / static_cast<Number>(rows * columns);
      if (has_few_channels<Item>(s) && count > 1) {
        spread_few(s, dy + ow * s.c, count, share, scratch, dx + start * s.c);
      } else {
        spread_function<Item>(columns, past_caches)(dy + ow * s.c, count, s.sw * s.c, s.c, columns, share, dx + start * s.c);
      }
      done = start + (count - 1) * s.sw + columns;
    }
    ow += count;
  }
  if (s.iw > done) memset(dx + done * s.c, 0, static_cast<size_t>((s.iw - done) * s.c) * sizeof(Item));
}

// A window over one input position: where its dy begin, and what share of it the position takes.
template <class Number>
struct Covering {
  int64_t at;
  Number share;
};

// `run` input positions `step` elements apart, each under kCount windows, or `count` when kCount is 0; the windows move on with them.
template <int kCount, class Item>
__attribute__((noinline)) void gather(const Covering<NumberOf<Item>>* windows, int count, int64_t run, int64_t step, int64_t c, const Item* dy,
                                      Item* dx) {
  using Number = NumberOf<Item>;
  if constexpr (kCount > 0) count = kCount;
  for (; run > 0; --run, dy += c, dx += step) {
    for_channels<Item>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<Number> sum = Vec<Number>::zero();
      NN_UNROLL(4)
      for (int k = 0; k < count; ++k) sum = fma(load_lanes<kFull>(dy + windows[k].at + j, n), splat(windows[k].share), sum);
      store_lanes<kFull>(dx + j, sum, n);
    });
  }
}

// dx of one input row: the sum over the windows that cover a position of their shares, in row-major order. `windows` holds as many as can cover one.
template <class Item>
void gather_row(const PoolShape& s, const Item* dy, PoolRange over, Covering<NumberOf<Item>>* windows, Item* dx) {
  using Number = NumberOf<Item>;
  const Number whole_share = Number(1) / static_cast<Number>(s.kh * s.kw);
  const PoolRange whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  for_covered_runs(s, {0, s.iw}, whole.begin, whole.end, [&](int64_t iw, PoolRange across, int64_t run) {
    int count = 0;
    for (int64_t oh = over.begin; oh < over.end; ++oh) {
      const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih);
      for (int64_t ow = across.begin; ow < across.end; ++ow) {
        const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
        const int64_t cells = (r.end - r.begin) * (q.end - q.begin);
        windows[count++] = {(oh * s.ow + ow) * s.c, cells == s.kh * s.kw ? whole_share : Number(1) / static_cast<Number>(cells)};
      }
    }
    const auto function = count == 1 ? gather<1, Item> : count == 2 ? gather<2, Item> : count == 4 ? gather<4, Item> : gather<0, Item>;
    const bool flat = s.sw == 1;  // the run is one array
    function(windows, count, flat ? 1 : run, s.sw * s.c, flat ? run * s.c : s.c, dy, dx + iw * s.c);
  });
}

template <class Item>
void run_average_pool_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PoolState& state_ = *static_cast<const PoolState*>(state);
  const PoolShape s = state_.shape;
  const bool apart = s.sh >= s.kh && s.sw >= s.kw, past_caches = writes_past_caches(state_, args.out[0]);
  const int64_t last = smaller(end * state_.chunk_rows, state_.rows);
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    const int64_t ih = row % s.ih;
    const Item* dy = static_cast<const Item*>(args.in[0]) + row / s.ih * s.oh * s.ow * s.c;
    Item* dx = static_cast<Item*>(args.out[0]) + row * s.iw * s.c;
    const PoolRange over = windows_over(ih, s.sh, s.top, s.kh, s.oh);
    if (over.begin >= over.end) {
      memset(dx, 0, static_cast<size_t>(s.iw * s.c) * sizeof(Item));
    } else if (apart && has_few_channels<Item>(s) && row > begin * state_.chunk_rows && ih > 0 &&
               windows_over(ih - 1, s.sh, s.top, s.kh, s.oh).end == over.end) {
      memcpy(dx, dx - s.iw * s.c, static_cast<size_t>(s.iw * s.c) * sizeof(Item));  // under the same windows
    } else if (apart) {
      const PoolRange r = cells_inside(over.begin, s.sh, s.top, s.kh, s.ih);
      spread_row(s, dy + over.begin * s.ow * s.c, r.end - r.begin, past_caches, static_cast<NumberOf<Item>*>(args.thread_scratch), dx);
    } else {
      gather_row(s, dy, over, static_cast<Covering<NumberOf<Item>>*>(args.thread_scratch), dx);
    }
  }
  if (past_caches) stream_fence();
}

int64_t average_scratch(const PoolState& s) {
  return s.shape.c <= kFewChannels ? few_scratch(s.shape) * static_cast<int64_t>(sizeof(double)) : 0;
}
void prepare_average_pool(Prepare& p) {
  const PoolState& s = *plan_average_pool(p, false);
  const DType dtype = s.dtype;
  p.need_thread_scratch(average_scratch(s));
  p.set_run(dtype == DType::kFloat32 ? run_average_pool<float> : dtype == DType::kFloat64 ? run_average_pool<double> : run_average_pool<uint16_t>);
}
void prepare_average_pool_grad(Prepare& p) {
  const PoolState& s = *plan_average_pool(p, true);
  const int64_t covering = ceil_div(s.shape.kh, s.shape.sh) * ceil_div(s.shape.kw, s.shape.sw) * static_cast<int64_t>(sizeof(Covering<double>));
  p.need_thread_scratch(static_cast<size_t>(larger(covering, average_scratch(s))));
  p.set_run(s.dtype == DType::kFloat32   ? run_average_pool_grad<float>
            : s.dtype == DType::kFloat64 ? run_average_pool_grad<double>
                                         : run_average_pool_grad<uint16_t>);
}

NN_KERNEL("average_pool2d", prepare_average_pool);
NN_KERNEL("average_pool2d_grad", prepare_average_pool_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
