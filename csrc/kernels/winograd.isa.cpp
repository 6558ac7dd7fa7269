// Winograd conv2d and conv2d_input_grad, and winograd_pack.
//
// A block of tiles at a time: its patches are transformed, for each of the 36 points (or 6, for kernels of one row or column) multiplied with the
// transformed weights, and the products turned back into pixels, all within the second-level cache. NaN and infinity of a pixel reach all outputs of
// the tiles that read it.
#include "kernels/winograd.h"

#include "kernels/conv2d_finish.h"
#include "kernels/conv2d_tile.h"
#include "kernels/gemm_pack.h"
#include "kernels/pool_pairs.h"
#include "kernels/winograd_images.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace winograd {
namespace {

// Register tiles for consecutive rows of a whole panel or of `columns` columns of it, which need no pointers to every row. Blocks are multiples of
// their rows. Where there is none, `run` is null.
struct RowTile {
  TileFunction<float> run;
  int64_t rows, columns;
};
NN_INLINE RowTile find_row_tile([[maybe_unused]] int64_t width) {
#if defined(NN_COMPILE_AVX512)
  if (width == 16) return {run_tile<float, 12, 1, false>, 12, 16};
  if (width == 32) return {run_tile<float, 12, 2, false>, 12, 32};
  if (width == 64) return {run_tile<float, 6, 4, false>, 6, 64};
#elif defined(NN_COMPILE_AVX2)
  return {run_tile<float, 6, 2, false>, 6, 16};
#endif
  return {nullptr, 1, 0};
}

// One point: products of `tiles` transformed inputs with a panel of transformed weights, as far as row tiles go. Returns how many are done.
int64_t multiply_rows(const WinogradPlan& plan, int64_t tiles, int64_t width, const float* inputs, const float* weights, float* products) {
  const RowTile row_tile = find_row_tile(width);
  if (row_tile.run == nullptr) return 0;
  const int64_t done = tiles / row_tile.rows * row_tile.rows;
  for (int64_t j = 0; j < width; j += row_tile.columns) {
    Tile<float> tile = {inputs, plan.row, 1, weights + j, width, products + j, width, plan.in.channels, nullptr, 0, 0};
    for (int64_t i = 0; i < done; i += row_tile.rows) {
      row_tile.run(tile);
      tile.a += row_tile.rows * plan.row;
      tile.c += row_tile.rows * width;
    }
  }
  return done;
}

// The same for all of them: what row tiles leave goes by pointers.
void multiply(const WinogradPlan& plan, int64_t tiles, int64_t width, const float* inputs, const float* weights, float* products) {
  const int64_t done = multiply_rows(plan, tiles, width, inputs, weights, products);
  if (done == tiles) return;
  tiles -= done, inputs += done * plan.row, products += done * width;
  conv::Tile<float> tile;
  tile.ldb = width;
  tile.tap_rows = tile.tap_cols = 1;
  tile.run = plan.in.channels;
  tile.tap_col = tile.tap_row_skip = tile.weight_skip = 0;
  tile.bias = nullptr;
  tile.part = Vec<float>::kLanes;
  tile.flags = 0;
  for (int64_t j = 0; j < width; j += conv::kMaxVectors * Vec<float>::kLanes) {
    const int vectors = static_cast<int>(smaller((width - j) / Vec<float>::kLanes, conv::kMaxVectors));
    const int64_t most = conv::kMaxRows[vectors], count = (tiles + most - 1) / most, size = tiles / count, longer = tiles % count;
    tile.weights = weights + j;
    const float* from = inputs;
    float* to = products + j;
    for (int64_t t = 0; t < count; ++t) {
      const int rows = static_cast<int>(size + (t < longer));
      for (int i = 0; i < rows; ++i, from += plan.row, to += width) {
        tile.pixels[i] = from;
        tile.outputs[i] = to;
      }
      conv::find_tile(static_cast<const float*>(nullptr), rows, vectors)(tile);
    }
  }
}

// What is done to a register of outputs besides transforming.
struct LastStep {
  V bias;
  V floor;  // 0 for relu, else minus infinity
  int part;
  bool residual;        // a map is added
  int64_t to_residual;  // bytes from the result to it

  // One register of outputs at y; `next` is where the next tile's will be.
  NN_ALWAYS void put(V v, float* y, const float* next) const {
    v = v + bias;
    if (residual) {
      v = v + load_part(step_to(y, to_residual), part);
      prefetch(step_to(next, to_residual));
    }
    v = max(floor, v);
    if (part == kLanes) return store(y, v);  // what is read again at once must not come from a masked store
    store_part(y, v, part);
  }
};

// Turns the products of one tile for one register of filters into pixels; `rows` x `cols` of them exist. Both steps are loops over rows and columns:
// unrolled, all the values would not fit the registers.
template <int m>
NN_INLINE void finish_tile(const float* products, int64_t point_step, const LastStep& finish, int64_t rows, int64_t cols, float* y, int64_t y_row,
                           int64_t y_col) {
  alignas(64) float half[kSide * m * kLanes];  // [column][output row], transformed along columns
#pragma GCC unroll 1
  for (int j = 0; j < kSide; ++j) {
    V p[kSide], t[m];
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) p[i] = load(products + (i * kSide + j) * point_step);
    transform_output(p, t);
#pragma GCC unroll 4
    for (int i = 0; i < m; ++i) store(half + (j * m + i) * kLanes, t[i]);
  }
#pragma GCC unroll 1
  for (int i = 0; i < rows; ++i, y += y_row) {
    V p[kSide], t[m];
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) p[j] = load(half + (j * m + i) * kLanes);
    transform_output(p, t);
#pragma GCC unroll 4
    for (int j = 0; j < m; ++j) {
      if (j < cols) finish.put(t[j], y + j * y_col, y + (m + j) * y_col);
      prefetch_write(y + (m + j) * y_col);
    }
  }
}

// The same for lines.
template <int m>
NN_INLINE void finish_line(const float* products, int64_t point_step, const LastStep& finish, int64_t cols, float* y, int64_t y_col) {
  V p[kSide], t[m];
#pragma GCC unroll 6
  for (int i = 0; i < kSide; ++i) p[i] = load(products + i * point_step);
  transform_output(p, t);
#pragma GCC unroll 4
  for (int j = 0; j < m; ++j) {
    if (j < cols) finish.put(t[j], y + j * y_col, y + (m + j) * y_col);
    prefetch_write(y + (m + j) * y_col);
  }
}

__attribute__((noinline)) void activate(Activation activation, float* y, int64_t y_row, int64_t y_col, int64_t rows, int64_t cols, int part) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      float* p = y + i * y_row + j * y_col;
      const Vec<float> x = NN_ISA::load_part(p, part);
      NN_ISA::store_part(p, activation == Activation::kTanh ? tanh(x) : sigmoid(x), part);
    }
  }
}

// Tiles [begin, end) of the batch and one panel of filters, of which y, cells and bias are the first. Tiles to be pooled lie in `map` until then.
template <int m>
void finish_panel(const WinogradPlan& plan, const Finish& after, int64_t begin, int64_t end, int64_t columns, int64_t width, const float* products,
                  const float* bias, float* y, uint8_t* cells) {
  alignas(64) float map[m * m * kPanelColumns];
  const bool pool = plan.pool.on;
  const int64_t col_step = plan.out.col_step, row_step = plan.out.row_step, row_m = plan.grid.row_m;
  const int64_t y_col = pool ? kPanelColumns : col_step, y_row = pool ? m * kPanelColumns : row_step;
  LastStep finish;
  finish.residual = after.residual;
  finish.to_residual = after.to_residual;
  const bool later = activates_after(after.activation);
  finish.floor = splat(plan.activation == Activation::kRelu ? 0.0f : -__builtin_inff());
  for (int64_t tile = begin; tile < end;) {
    const Run run = find_run(plan.grid, tile, end);
    const int64_t rows = smaller(plan.out.rows - run.row * row_m, row_m);
    for (int64_t t = 0; t < run.count; ++t, products += width) {
      const int64_t cols = smaller(plan.out.cols - (run.col + t) * m, m);
      const int64_t unit = pool ? 2 : 1, row = run.row * row_m / unit, col = (run.col + t) * m / unit;
      const int64_t at = run.image * plan.out.image_step + row * row_step + col * col_step;
      float* out = pool ? map : y + at;
      for (int64_t j = 0; j < columns; j += kLanes) {
        finish.part = static_cast<int>(smaller(columns - j, kLanes));
        finish.bias = bias != nullptr ? load_part(bias + j, finish.part) : splat(-0.0f);
        if (plan.grid.line) {
          finish_line<m>(products + j, plan.outputs, finish, cols, out + j, y_col);
        } else {
          finish_tile<m>(products + j, plan.outputs, finish, rows, cols, out + j, y_row, y_col);
        }
        if (later) activate(after.activation, out + j, y_row, y_col, rows, cols, finish.part);
      }
      if (pool) {
        pool_pairs({map, y_row, y_col, rows / 2, cols / 2, columns, y + at, cells == nullptr ? nullptr : cells + at, row_step, col_step,
                    plan.pool.cut});
      }
    }
    tile += run.count;
  }
}

// Chunk order: tile block, panel block.
void compute_chunk(const WinogradPlan& plan, const Finish& after, int64_t chunk, const float* x, const float* weights, const float* bias, float* y,
                   uint8_t* cells, float* scratch) {
  const int64_t panel_block = chunk % plan.panel_blocks, block = chunk / plan.panel_blocks;
  const int64_t units = ceil_div(plan.grid.tiles, plan.unit), begin = units * block / plan.tile_blocks * plan.unit;
  const int64_t end = smaller(units * (block + 1) / plan.tile_blocks * plan.unit, plan.grid.tiles);
  float* products = scratch + plan.grid.points * plan.inputs;
  transform_images<kSide, InputTransform>(plan.in, plan.grid, x, 0, plan.in.channels, begin, end, {scratch, plan.inputs, plan.row});
  const int64_t point = winograd_packed_point(plan.in.channels, plan.out.channels);
  const int64_t panel_end = plan.panels * (panel_block + 1) / plan.panel_blocks;
  const Approach next(plan.in, plan.grid, x, end, smaller(plan.grid.tiles, end + end - begin));
  const Approach results(plan.out, plan.grid, y, begin, plan.panels == 1 && !plan.pool.on ? end : begin);
  for (int64_t panel = plan.panels * panel_block / plan.panel_blocks; panel < panel_end; ++panel) {
    const int64_t first = panel * kPanelColumns, width = panel_width(plan.out.channels, panel);
    for (int64_t e = 0; e < plan.grid.points; ++e) {
      if (panel + 1 == panel_end) {
        next.come<false>(e, plan.grid.points);
        results.come<true>(e, plan.grid.points);
      }
      multiply(plan, end - begin, width, scratch + e * plan.inputs, weights + e * point + first * plan.in.channels, products + e * plan.outputs);
    }
    const auto finish = plan.grid.m == 4 ? finish_panel<4> : finish_panel<2>;
    finish(plan, after, begin, end, smaller(plan.out.channels - first, kPanelColumns), width, products, bias == nullptr ? nullptr : bias + first,
           y + first, cells == nullptr ? nullptr : cells + first);
  }
}

// Only whole lines are worth writing past the caches.
constexpr bool kStreams = kLanes == 16;

// The taps of one register of columns, of which `part` exist: tap t is read from w + t * tap_step, and what lies `ahead` brought near. Point e of the
// transformed ones goes to u + e * point_step, past the caches if `streams`.
struct KernelTaps {
  const float* w;
  int64_t tap_step, ahead;
  int part;
  float* u;
  int64_t point_step;
  bool streams;

  NN_ALWAYS V tap(int64_t t) const {
    prefetch_l2(w + t * tap_step + ahead);
    return load_part(w + t * tap_step, part);
  }
  NN_ALWAYS void put(int64_t point, V v) const {
    if (kStreams && streams) {
      stream(u + point * point_step, v);
    } else {
      store(u + point * point_step, v);
    }
  }
};
template <int taps>
NN_INLINE void transform_line_kernel(const KernelTaps& kernel) {
  V t[taps], v[kSide];
#pragma GCC unroll 5
  for (int r = 0; r < taps; ++r) t[r] = kernel.tap(r);
  transform_weights(t, v);
#pragma GCC unroll 6
  for (int i = 0; i < kSide; ++i) kernel.put(i, v[i]);
}
template <int taps>
NN_INLINE void transform_square_kernel(const KernelTaps& kernel) {
  V half[kSide][taps];
#pragma GCC unroll 5
  for (int s = 0; s < taps; ++s) {
    V t[taps], v[kSide];
#pragma GCC unroll 5
    for (int r = 0; r < taps; ++r) t[r] = kernel.tap(r * taps + s);
    transform_weights(t, v);
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) half[i][s] = v[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < kSide; ++i) {
    V v[kSide];
    transform_weights(half[i], v);
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) kernel.put(i * kSide + j, v[j]);
  }
}
template <int taps>
__attribute__((noinline, noclone)) void transform_kernel(bool line, const KernelTaps& kernel) {
  if (line) {
    transform_line_kernel<taps>(kernel);
  } else {
    transform_square_kernel<taps>(kernel);
  }
}

// Weights of 16 channels for one panel of filters: w is [taps][channels][filters].
template <int taps>
void pack_block(const WinogradPlan& plan, int64_t panel, int64_t channel, const float* w, float* packed) {
  const int64_t channels = plan.in.channels, filters = plan.out.channels, first = panel * kPanelColumns, width = panel_width(filters, panel);
  KernelTaps kernel = {w, channels * filters, filters, 0, packed, winograd_packed_point(channels, filters), plan.streams};
  const int64_t end = smaller(channels, channel + kPanelMultiple);
  for (int64_t c = channel; c < end; ++c) {
    for (int64_t j = 0; j < width; j += kLanes) {
      kernel.w = w + c * filters + first + j;
      kernel.part = static_cast<int>(clamp(filters - first - j, 0, kLanes));
      kernel.u = packed + first * channels + c * width + j;
      transform_kernel<taps>(plan.grid.line, kernel);
    }
  }
}

// A register of channels for a register of columns, to [channel][column] with rows `width` apart; `depth` of the channels exist.
NN_INLINE void put_transposed(const float* square, int64_t depth, float* to, int64_t width, bool streams) {
  if (!kStreams || !streams) return pack_transposed(square, kLanes, to, width, kLanes, depth);
  alignas(64) float turned[kLanes * kLanes];
  pack_transposed(square, kLanes, turned, kLanes, kLanes, depth);
  for (int64_t i = 0; i < depth; ++i) stream(to + i * width, load(turned + i * kLanes));
}

// The same for an input gradient: `channels` are those of dy and the last axis of w, which is turned.
template <int taps>
void pack_turned_block(const WinogradPlan& plan, int64_t panel, int64_t channel, const float* w, float* packed) {
  alignas(64) float square[kSide * kSide * kLanes * kLanes];  // [point][column][channel]
  const int64_t channels = plan.in.channels, filters = plan.out.channels, first = panel * kPanelColumns, width = panel_width(filters, panel);
  const int64_t point = winograd_packed_point(channels, filters), tap_step = channels * filters;
  const int64_t last_tap = (plan.grid.line ? taps : taps * taps) - 1;
  KernelTaps kernel = {w, -tap_step, kPanelMultiple, 0, square, kLanes * kLanes, false};
  for (int64_t end = smaller(channels, channel + kPanelMultiple); channel < end; channel += kLanes) {
    const int64_t depth = smaller(end - channel, kLanes);
    for (int64_t j = 0; j < width; j += kLanes) {
      for (int64_t i = 0; i < kLanes; ++i) {
        const int64_t column = smaller(first + j + i, filters - 1);
        kernel.w = w + last_tap * tap_step + column * channels + channel;
        kernel.part = first + j + i < filters ? static_cast<int>(depth) : 0;
        kernel.u = square + i * kLanes;
        transform_kernel<taps>(plan.grid.line, kernel);
      }
      for (int64_t e = 0; e < plan.grid.points; ++e) {
        put_transposed(square + e * kLanes * kLanes, depth, packed + e * point + first * channels + channel * width + j, width, plan.streams);
      }
    }
  }
}

// The zeros between points: without them all points would share few sets of the caches.
void clear_gaps(const WinogradPlan& plan, float* packed) {
  const int64_t point = winograd_packed_point(plan.in.channels, plan.out.channels);
  for (int64_t e = 1; e <= plan.grid.points; ++e) {
    for (int64_t i = 0; i < kPanelMultiple; i += kLanes) store(packed + e * point - kPanelMultiple + i, splat(0.0f));
  }
}

// Chunk order: panel, block of 16 channels.
void pack_chunk(const WinogradPlan& plan, int64_t chunk, const float* w, float* packed) {
  if (chunk == 0) clear_gaps(plan, packed);
  const int64_t blocks = (plan.in.channels + kPanelMultiple - 1) / kPanelMultiple, panel = chunk / blocks, channel = chunk % blocks * kPanelMultiple;
  if (plan.turned) {
    (plan.grid.m == 4 ? pack_turned_block<3> : pack_turned_block<5>)(plan, panel, channel, w, packed);
  } else {
    (plan.grid.m == 4 ? pack_block<3> : pack_block<5>)(plan, panel, channel, w, packed);
  }
  if (kStreams && plan.streams) stream_fence();
}

void run(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const WinogradPlan& plan = *static_cast<const WinogradPlan*>(state);
  const float* w = static_cast<const float*>(args.in[1]);
  float* packed = static_cast<float*>(args.scratch);
  if (phase == 0 && !plan.packed) {
    for (int64_t chunk = begin; chunk < end; ++chunk) pack_chunk(plan, chunk, w, packed);
    return;
  }
  const float* bias = plan.bias ? static_cast<const float*>(args.in[2]) : nullptr;
  const Finish after = make_finish(plan.residual, plan.activation, args);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    compute_chunk(plan, after, chunk, static_cast<const float*>(args.in[0]), plan.packed ? w : packed, bias, static_cast<float*>(args.out[0]),
                  plan.pool.cells ? static_cast<uint8_t*>(args.out[1]) : nullptr, static_cast<float*>(args.thread_scratch));
  }
}

void run_pack(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const WinogradPlan& plan = *static_cast<const WinogradPlan*>(state);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    pack_chunk(plan, chunk, static_cast<const float*>(args.in[0]), static_cast<float*>(args.out[0]));
  }
}

void prepare_pack(Prepare& prepare) {
  plan_winograd_pack(prepare);
  prepare.set_run(run_pack);
}

NN_KERNEL("winograd_pack", prepare_pack);

}  // namespace

bool prepare_conv2d(Prepare& prepare) {
  if (plan_winograd(prepare) == nullptr) return false;
  prepare.set_run(run);
  return true;
}

bool prepare_input_grad(Prepare& prepare) {
  if (plan_winograd_input_grad(prepare) == nullptr) return false;
  prepare.set_run(run);
  return true;
}

}  // namespace winograd
}  // namespace nnlite::NN_ISA
