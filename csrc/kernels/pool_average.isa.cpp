// average_pool2d and its gradient, NHWC, vectors along the channels. The mean is over the cells inside the input: padding does not count.
#include <string.h>

#include "kernels/pool_common.h"

namespace nnlite::NN_ISA {
namespace {

struct AveragePoolState {
  PoolShape shape;
  int64_t rows, chunk_rows;
};

template <int kRows, int kColumns, class T>
NN_INLINE void average_pixel(const T* x, int64_t row_stride, int64_t c, int64_t rows, int64_t columns, T* y) {
  for_channels<T>(c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
    constexpr bool kFull = decltype(flag)::kFull;
    const int64_t row_count = kRows > 0 ? kRows : rows, column_count = kColumns > 0 ? kColumns : columns;
    Vec<T> sum = Vec<T>::zero();
#pragma GCC unroll 3
    for (int64_t r = 0; r < row_count; ++r) {
#pragma GCC unroll 3
      for (int64_t q = 0; q < column_count; ++q) sum += load_channels<kFull>(x + j + r * row_stride + q * c, n);
    }
    store_channels<kFull>(y + j, sum / splat(static_cast<T>(row_count * column_count)), n);
  });
}

template <class T>
void average_row(const PoolShape& s, const T* image, int64_t oh, T* y) {
  const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih);
  const int64_t row_stride = s.iw * s.c;
  for (int64_t ow = 0; ow < s.ow; ++ow, y += s.c) {
    const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
    const int64_t rows = r.end - r.begin, columns = q.end - q.begin;
    const T* x = image + (oh * s.sh - s.top + r.begin) * row_stride + (ow * s.sw - s.left + q.begin) * s.c;
    if (rows == 2 && columns == 2) {
      average_pixel<2, 2>(x, row_stride, s.c, 2, 2, y);
    } else {
      average_pixel<0, 0>(x, row_stride, s.c, rows, columns, y);
    }
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

// dx of one input row: the sum over the windows that cover a cell of dy divided by the window's count.
template <class T>
void average_grad_row(const PoolShape& s, const T* dy, PoolRange over, T* dx) {
  for (int64_t iw = 0; iw < s.iw; ++iw, dx += s.c) {
    const PoolRange across = windows_over(iw, s.sw, s.left, s.kw, s.ow);
    for_channels<T>(s.c, [=](int64_t j, int n, auto flag) __attribute__((always_inline)) {
      constexpr bool kFull = decltype(flag)::kFull;
      Vec<T> sum = Vec<T>::zero();
      for (int64_t oh = over.begin; oh < over.end; ++oh) {
        const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih);
        for (int64_t ow = across.begin; ow < across.end; ++ow) {
          const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
          sum += load_channels<kFull>(dy + (oh * s.ow + ow) * s.c + j, n) / splat(static_cast<T>((r.end - r.begin) * (q.end - q.begin)));
        }
      }
      store_channels<kFull>(dx + j, sum, n);
    });
  }
}

template <class T>
void run_average_pool_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const AveragePoolState& state_ = *static_cast<const AveragePoolState*>(state);
  const PoolShape s = state_.shape;
  const int64_t last = min_of(end * state_.chunk_rows, state_.rows);
  for (int64_t row = begin * state_.chunk_rows; row < last; ++row) {
    const int64_t ih = row % s.ih;
    average_grad_row(s, static_cast<const T*>(args.in[0]) + row / s.ih * s.oh * s.ow * s.c, windows_over(ih, s.sh, s.top, s.kh, s.oh),
                     static_cast<T*>(args.out[0]) + row * s.iw * s.c);
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
