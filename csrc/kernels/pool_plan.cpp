#include "kernels/pool_plan.h"

#include <algorithm>

namespace nnlite {
namespace {

constexpr int64_t kChunkBytes = 64 * 1024;
// From this size on a gradient is written past the caches (measured: 0.6 times the time at 25 MB with 32 MB of third cache, twice the time at 8 MB).
constexpr int64_t kPastCachesBytes = 16 << 20;

// Reads the attributes; `x` is the pooled tensor's spec, `y` that of the windows.
PoolShape read_pool(const Prepare& p, const Spec& x, const Spec& y) {
  int64_t pool[2], strides[2], padding[4];
  if (p.get_ints("pool_size", pool, 2) != 2 || p.get_ints("strides", strides, 2) != 2 || p.get_ints("padding", padding, 4) != 4) {
    p.fail("pool_size and strides must have 2 entries and padding 4 (top, bottom, left, right)");
  }
  if (x.rank != 4 || y.rank != 4) p.fail("pooling takes tensors of rank 4 [N, H, W, C], got ranks %d and %d", x.rank, y.rank);
  const PoolShape s = {x.dims[0], x.dims[1], x.dims[2],  y.dims[1],  y.dims[2],  x.dims[3],
                       pool[0],   pool[1],   strides[0], strides[1], padding[0], padding[2]};
  if (s.kh < 1 || s.kw < 1 || s.sh < 1 || s.sw < 1) p.fail("pool_size and strides must be at least 1");
  for (int64_t pad : padding) {
    if (pad < 0) p.fail("padding must not be negative, got %lld", static_cast<long long>(pad));
  }
  const int64_t h = s.ih + padding[0] + padding[1], w = s.iw + padding[2] + padding[3];
  const int64_t oh = h < s.kh ? 0 : (h - s.kh) / s.sh + 1, ow = w < s.kw ? 0 : (w - s.kw) / s.sw + 1;
  if (y.dims[0] != s.n || s.oh != oh || s.ow != ow || y.dims[3] != s.c) {
    p.fail("the pooled shape must be (%lld, %lld, %lld, %lld), got (%lld, %lld, %lld, %lld)", static_cast<long long>(s.n), static_cast<long long>(oh),
           static_cast<long long>(ow), static_cast<long long>(s.c), static_cast<long long>(y.dims[0]), static_cast<long long>(s.oh),
           static_cast<long long>(s.ow), static_cast<long long>(y.dims[3]));
  }
  return s;
}

// Attribute input_shape must be the spec `x` that a gradient kernel writes.
void check_input_shape(const Prepare& p, const Spec& x) {
  int64_t dims[kMaxRank];
  bool same = p.get_ints("input_shape", dims, kMaxRank) == x.rank;
  for (int i = 0; same && i < x.rank; ++i) same = dims[i] == x.dims[i];
  if (!same) p.fail("the output must have the shape of attribute input_shape");
}

void check_cells(const Prepare& p, bool wide, const Spec& cells, const Spec& y) {
  const DType dtype = wide ? DType::kInt32 : DType::kUInt8;
  bool fits = cells.dtype == dtype && cells.rank == y.rank;
  for (int i = 0; fits && i < y.rank; ++i) fits = cells.dims[i] == y.dims[i];
  if (!fits) p.fail("argmax must have the pooled shape and dtype %s", dtype_name(dtype));
}

PoolState* plan_pool(Prepare& p, const Spec& x, const Spec& y, bool gradient) {
  const PoolShape shape = read_pool(p, x, y);
  if (x.dtype != y.dtype) p.fail("the output must have the input's dtype: %s and %s", dtype_name(p.input(0).dtype), dtype_name(p.output(0).dtype));
  PoolState* s = static_cast<PoolState*>(p.new_state(sizeof(PoolState)));
  s->shape = shape;
  s->dtype = x.dtype;
  s->wide = shape.kh * shape.kw > 255;
  s->rows = shape.n * (gradient ? shape.ih : shape.oh);
  s->past_caches = gradient && x.dtype == DType::kFloat32 && shape.c % 16 == 0 && x.size() * int64_t{4} >= kPastCachesBytes;
  const int64_t row_bytes = (gradient ? 1 : shape.sh) * shape.iw * shape.c * static_cast<int64_t>(dtype_size(x.dtype));
  s->chunk_rows = std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, row_bytes));
  p.add_phase((s->rows + s->chunk_rows - 1) / s->chunk_rows);
  return s;
}

void check_floats(const Prepare& p, DType dtype) {
  if (dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kBFloat16) return;
  p.fail("the input must be float32, float64 or bfloat16, got %s", dtype_name(dtype));
}

// ---- plain loops ----

struct BFloat16Item {
  uint16_t bits;
};
float number_of(BFloat16Item x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float number;
  __builtin_memcpy(&number, &bits, sizeof(number));
  return number;
}
BFloat16Item item_of(BFloat16Item, float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return {x != x ? uint16_t{0x7fc0} : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
template <class T>
T number_of(T x) {
  return x;
}
template <class T>
T item_of(T, T x) {
  return x;
}

// What no input reaches: a window that lies in the padding.
template <class Item>
Item lowest() {
  if constexpr (sizeof(Item) == 2) {
    return {0xff80};
  } else if constexpr (static_cast<Item>(0.5) != 0) {
    return static_cast<Item>(-__builtin_inf());
  } else if constexpr (static_cast<Item>(-1) > 0) {
    return 0;
  } else {
    return static_cast<Item>(static_cast<uint64_t>(1) << (8 * sizeof(Item) - 1));
  }
}

// The first largest cell of a window, or the first NaN. The window's cell (0, 0) is element `at` of x.
template <class Item>
Item max_of_window(const PoolShape& s, const Item* x, int64_t at, PoolRange r, PoolRange q, int64_t* cell) {
  Item best = lowest<Item>();
  *cell = -1;
  for (int64_t i = r.begin; i < r.end; ++i) {
    for (int64_t k = q.begin; k < q.end; ++k) {
      const Item v = x[at + (i * s.iw + k) * s.c];
      const auto number = number_of(v), most = number_of(best);
      if (*cell >= 0 && (number <= most || most != most)) continue;
      best = v;
      *cell = i * s.kw + k;
    }
  }
  if (*cell < 0) *cell = 0;
  return best;
}

template <class Item>
void run_plain_max_pool(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PoolState& p = *static_cast<const PoolState*>(state);
  const PoolShape& s = p.shape;
  const Item* x = static_cast<const Item*>(args.in[0]);
  for (int64_t row = begin * p.chunk_rows; row < std::min(end * p.chunk_rows, p.rows); ++row) {
    const int64_t oh = row % s.oh;
    const PoolRange r = cells_inside(oh, s.sh, s.top, s.kh, s.ih);
    for (int64_t ow = 0; ow < s.ow; ++ow) {
      const PoolRange q = cells_inside(ow, s.sw, s.left, s.kw, s.iw);
      const int64_t at = ((row / s.oh * s.ih + oh * s.sh - s.top) * s.iw + ow * s.sw - s.left) * s.c, to = (row * s.ow + ow) * s.c;
      for (int64_t j = 0; j < s.c; ++j) {
        int64_t cell;
        static_cast<Item*>(args.out[0])[to + j] = max_of_window(s, x, at + j, r, q, &cell);
        if (p.with_cells && p.wide) static_cast<int32_t*>(args.out[1])[to + j] = static_cast<int32_t>(cell);
        if (p.with_cells && !p.wide) static_cast<uint8_t*>(args.out[1])[to + j] = static_cast<uint8_t>(cell);
      }
    }
  }
}

// Every position of a row of dx gathers from the windows over it, in row-major order.
template <class Item>
void run_plain_max_pool_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PoolState& p = *static_cast<const PoolState*>(state);
  const PoolShape& s = p.shape;
  const Item* dy = static_cast<const Item*>(args.in[0]);
  const int32_t* cells = static_cast<const int32_t*>(args.in[1]);
  for (int64_t row = begin * p.chunk_rows; row < std::min(end * p.chunk_rows, p.rows); ++row) {
    const int64_t ih = row % s.ih;
    const PoolRange over = windows_over(ih, s.sh, s.top, s.kh, s.oh);
    for (int64_t iw = 0; iw < s.iw; ++iw) {
      const PoolRange across = windows_over(iw, s.sw, s.left, s.kw, s.ow);
      Item* dx = static_cast<Item*>(args.out[0]) + (row * s.iw + iw) * s.c;
      for (int64_t j = 0; j < s.c; ++j) {
        decltype(number_of(Item())) sum = 0;
        for (int64_t oh = over.begin; oh < over.end; ++oh) {
          for (int64_t ow = across.begin; ow < across.end; ++ow) {
            const int64_t from = ((row / s.ih * s.oh + oh) * s.ow + ow) * s.c + j;
            if (cells[from] == (ih + s.top - oh * s.sh) * s.kw + iw + s.left - ow * s.sw) sum += number_of(dy[from]);
          }
        }
        dx[j] = item_of(Item(), sum);
      }
    }
  }
}

}  // namespace

const PoolState* plan_max_pool(Prepare& p) {
  PoolState* s = plan_pool(p, p.input(0), p.output(0), false);
  s->with_cells = p.num_outputs() > 1;
  if (s->with_cells) check_cells(p, s->wide, p.output(1), p.output(0));
  if (s->dtype == DType::kBool) p.fail("the input must hold numbers, got bool");
  return s;
}

const PoolState* plan_max_pool_grad(Prepare& p) {
  check_input_shape(p, p.output(0));
  PoolState* s = plan_pool(p, p.output(0), p.input(0), true);
  check_cells(p, s->wide, p.input(1), p.input(0));
  check_floats(p, s->dtype);
  return s;
}

const PoolState* plan_average_pool(Prepare& p, bool gradient) {
  if (gradient) check_input_shape(p, p.output(0));
  PoolState* s = gradient ? plan_pool(p, p.output(0), p.input(0), true) : plan_pool(p, p.input(0), p.output(0), false);
  check_floats(p, s->dtype);
  return s;
}

RunFunction plain_max_pool(const PoolState& state) {
  const bool wide = state.with_cells && state.wide;
  switch (state.dtype) {
    case DType::kFloat32: return wide ? run_plain_max_pool<float> : nullptr;
    case DType::kFloat64: return wide ? run_plain_max_pool<double> : nullptr;
    case DType::kBFloat16: return wide ? run_plain_max_pool<BFloat16Item> : nullptr;
    case DType::kInt32: return run_plain_max_pool<int32_t>;
    case DType::kInt64: return run_plain_max_pool<int64_t>;
    case DType::kInt8: return run_plain_max_pool<int8_t>;
    default: return run_plain_max_pool<uint8_t>;
  }
}

RunFunction plain_max_pool_grad(const PoolState& state) {
  if (!state.wide) return nullptr;
  return state.dtype == DType::kFloat32   ? run_plain_max_pool_grad<float>
         : state.dtype == DType::kFloat64 ? run_plain_max_pool_grad<double>
                                          : run_plain_max_pool_grad<BFloat16Item>;
}

}  // namespace nnlite
