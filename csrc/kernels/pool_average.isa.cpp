// average_pool2d and its gradient, NHWC, vectors along the channels. The mean is over the cells inside the input: padding does not count.
#include <string.h>

#include "kernels/pool_common.h"

namespace nnlite::NN_ISA {
namespace {

struct AveragePoolState {
  PoolShape shape;
  int64_t rows, chunk_rows;
};

// `count` windows of `rows` x `columns` cells inside the input, the first at x, `step` elements from one to the next; kRows and kColumns are
// the sizes where they are constants (else 0).
template <int kRows, int kColumns, class T>
__attribute__((noinline)) void average_windows(const T* x, int64_t count, int64_t step, int64_t row_stride, int64_t c, int64_t rows, int64_t columns, T* y) {
  if constexpr (kRows > 0) rows = kRows;
  if constexpr (kColumns > 0) columns = kColumns;
  const Vec<T> cells = splat(static_cast<T>(rows * columns));
  for (int64_t i = count; i > 0; --i, x += step, y += c) {
    for_channels<T>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<T> sum = Vec<T>::zero();
#pragma GCC unroll 3
      for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 3
        for (int64_t q = 0; q < columns; ++q) sum += load_channels<kFull>(x + j + r * row_stride + q * c, n);
      }
      store_channels<kFull>(y + j, sum / cells, n);
    });
  }
}

template <class T>
void average_row(const PoolShape& s, const T* image, int64_t oh, T* y) {
  const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih), whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  const int64_t rows = r.end - r.begin;
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    const int64_t columns = q.end - q.begin, count = ow == whole.begin && whole.end > ow ? whole.end - ow : 1;
    const T* x = image + ((oh * s.sh - s.top + r.begin) * s.iw + ow * s.sw - s.left + q.begin) * s.c;
    const auto average = rows == 2 && columns == 2 ? average_windows<2, 2, T> : rows == 3 && columns == 3 ? average_windows<3, 3, T> : average_windows<0, 0, T>;
    average(x, count, s.sw * s.c, s.iw * s.c, s.c, rows, columns, y + ow * s.c);
    ow += count;
  }
}

template <class T>
void run_average_pool(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const AveragePoolState& state_ = *static_cast<const AveragePoolState*>(state);
  const PoolShape s = state_.shape;
  const int64_t last = min_of(end * state_.chunk_rows, state_.rows);
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    average_row(s, static_cast<const T*>(args.in[0]) + row / s.oh * s.ih * s.iw * s.c, row % s.oh, static_cast<T*>(args.out[0]) + row * s.ow * s.c);
  }
}

// The gradient of `count` windows, `step` elements of dx from one to the next: `columns` positions each.
template <class T>
__attribute__((noinline)) void spread_windows(const T* dy, int64_t count, int64_t step, int64_t c, int64_t columns, T share, T* dx) {
  for (int64_t i = count; i > 0; --i, dy += c, dx += step) {
    for_channels<T>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      const Vec<T> d = load_channels<kFull>(dy + j, n) * splat(share);
      for (int64_t q = 0; q < columns; ++q) store_channels<kFull>(dx + q * c + j, d, n);
    });
  }
}

// dx of one input row when windows do not overlap: every position takes its window's share of dy.
template <class T>
void spread_row(const PoolShape& s, const T* dy, int64_t rows, T* dx) {
  const PoolRange whole = whole_windows(s.sw, s.left, s.kw, s.iw, s.ow);
  int64_t done = 0;  // positions of the row written so far
  for (int64_t ow = 0; ow < s.ow;) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    // Windows with gaps between them go one by one, so that the gaps are cleared.
    const int64_t count = ow == whole.begin && whole.end > ow && s.sw == s.kw ? whole.end - ow : 1, columns = q.end - q.begin;
    const int64_t start = ow * s.sw - s.left + q.begin;
    if (columns > 0) {
      if (start > done) memset(dx + done * s.c, 0, static_cast<size_t>((start - done) * s.c) * sizeof(T));
      spread_windows(dy + ow * s.c, count, s.sw * s.c, s.c, columns, T(1) / static_cast<T>(rows * columns), dx + start * s.c);
      done = start + (count - 1) * s.sw + columns;
    }
    ow += count;
  }
  if (s.iw > done) memset(dx + done * s.c, 0, static_cast<size_t>((s.iw - done) * s.c) * sizeof(T));
}

// Up to four windows over one input position: where their dy begin, and the share of each.
template <class T>
struct Covering {
  int64_t at[4];
  T share[4];
};

template <int kCount, class T>
NN_INLINE void gather_covering(const Covering<T>& w, bool first, int64_t c, const T* dy, T* dx) {
  const Covering<T> own = w;
  for_channels<T>(c, [=, &own](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    Vec<T> sum = first ? Vec<T>::zero() : load_channels<kFull>(dx + j, n);
#pragma GCC unroll 4
    for (int k = 0; k < kCount; ++k) sum = fma(load_channels<kFull>(dy + own.at[k] + j, n), splat(own.share[k]), sum);
    store_channels<kFull>(dx + j, sum, n);
  });
}

template <class T>
__attribute__((noinline)) void gather(const Covering<T>& w, int count, bool first, int64_t c, const T* dy, T* dx) {
  switch (count) {
    case 1: return gather_covering<1>(w, first, c, dy, dx);
    case 2: return gather_covering<2>(w, first, c, dy, dx);
    case 3: return gather_covering<3>(w, first, c, dy, dx);
    default: return gather_covering<4>(w, first, c, dy, dx);
  }
}

// dx of one input row: the sum over the windows that cover a position of their shares, in row-major order.
template <class T>
void gather_row(const PoolShape& s, const T* dy, PoolRange over, T* dx) {
  for (int64_t iw = 0; iw < s.iw; ++iw, dx += s.c) {
    const PoolRange across = windows_over(iw, s.sw, s.left, s.kw, s.ow);
    if (across.begin >= across.end) memset(dx, 0, static_cast<size_t>(s.c) * sizeof(T));
    Covering<T> w;
    int count = 0;
    bool first = true;
    for (int64_t oh = over.begin; oh < over.end; ++oh) {
      const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih);
      for (int64_t ow = across.begin; ow < across.end; ++ow) {
        const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
        w.at[count] = (oh * s.ow + ow) * s.c;
        w.share[count] = T(1) / static_cast<T>((r.end - r.begin) * (q.end - q.begin));
        const bool last = oh == over.end - 1 && ow == across.end - 1;
        if (++count < 4 && !last) continue;
        gather(w, count, first, s.c, dy, dx);
        count = 0;
        first = false;
      }
    }
  }
}

template <class T>
void run_average_pool_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const AveragePoolState& state_ = *static_cast<const AveragePoolState*>(state);
  const PoolShape s = state_.shape;
  const bool apart = s.sh >= s.kh && s.sw >= s.kw;
  const int64_t last = min_of(end * state_.chunk_rows, state_.rows);
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    const int64_t ih = row % s.ih;
    const T* dy = static_cast<const T*>(args.in[0]) + row / s.ih * s.oh * s.ow * s.c;
    T* dx = static_cast<T*>(args.out[0]) + row * s.iw * s.c;
    const PoolRange over = windows_over(ih, s.sh, s.top, s.kh, s.oh);
    if (over.begin >= over.end) {
      memset(dx, 0, static_cast<size_t>(s.iw * s.c) * sizeof(T));
    } else if (apart) {
      const PoolRange r = cells_inside(over.begin, s.sh, s.top, s.kh, s.ih);
      spread_row(s, dy + over.begin * s.ow * s.c, r.end - r.begin, dx);
    } else {
      gather_row(s, dy, over, dx);
    }
  }
}

void prepare_average(Prepare& p, const Spec& x, const Spec& y, bool gradient) {
  const PoolShape shape = read_pool(p, x, y);
  if (x.dtype != y.dtype) p.fail("the output must have the input's dtype: %s and %s", dtype_name(x.dtype), dtype_name(y.dtype));
  if (x.dtype != DType::kFloat32 && x.dtype != DType::kFloat64) p.fail("the input must be float32 or float64, got %s", dtype_name(x.dtype));
  const bool single = x.dtype == DType::kFloat32;
  AveragePoolState* s = static_cast<AveragePoolState*>(p.new_state(sizeof(AveragePoolState)));
  s->shape = shape;
  s->rows = shape.n * (gradient ? shape.ih : shape.oh);
  s->chunk_rows = rows_per_chunk((gradient ? 1 : shape.sh) * shape.iw * shape.c * static_cast<int64_t>(dtype_size(x.dtype)));
  p.set_run(gradient ? (single ? run_average_pool_grad<float> : run_average_pool_grad<double>) : (single ? run_average_pool<float> : run_average_pool<double>));
  p.add_phase(ceil_div(s->rows, s->chunk_rows));
}

void prepare_average_pool(Prepare& p) { prepare_average(p, p.input(0), p.output(0), false); }
void prepare_average_pool_grad(Prepare& p) {
  check_input_shape(p, p.output(0));
  prepare_average(p, p.output(0), p.input(0), true);
}

NN_KERNEL("average_pool2d", prepare_average_pool);
NN_KERNEL("average_pool2d_grad", prepare_average_pool_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
