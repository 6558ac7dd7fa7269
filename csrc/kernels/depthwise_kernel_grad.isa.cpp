// depthwise_conv2d_kernel_grad: for every channel and tap the sum over pixels of x * dy.
//
// A tile holds a block of taps of one vector of channels in registers while it passes over pixels that see all of them, then adds them to dw
// in memory. For 3 x 3 taps at stride 1 pixels slide through registers: 3 loads of x serve 9 products.
#include "kernels/depthwise_plan.h"
#include "kernels/depthwise_tile.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

#if defined(NN_COMPILE_AVX512)
constexpr int kMostTapRows = 3, kMostTapCols = 5;
constexpr bool kHasSliding = true;  // needs 32 registers
#elif defined(NN_COMPILE_AVX2)
constexpr int kMostTapRows = 2, kMostTapCols = 3;
constexpr bool kHasSliding = false;
#else
constexpr int kMostTapRows = 1, kMostTapCols = 2;
constexpr bool kHasSliding = false;
#endif

template <class T>
struct Tile {
  const T* x;  // what the first pixel reads at the first tap
  const T* dy;
  int64_t x_image, x_row, x_col;  // elements between pixels
  int64_t dy_image, dy_row, dy_col;
  int64_t tap_row, tap_col;
  int64_t images, rows, cols;
  T* dw;  // of the first tap
  int64_t dw_row, dw_col;
  int64_t begin, end;  // channels
};

template <class T, int kRows, int kCols, bool kPart>
NN_INLINE void add_to(const Tile<T>& tile, const Vec<T> (&acc)[kRows][kCols], int64_t c, int part) {
#pragma GCC unroll 3
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 5
    for (int s = 0; s < kCols; ++s) {
      T* p = tile.dw + r * tile.dw_row + s * tile.dw_col + c;
      if (kPart) {
        store_part(p, load_part(p, part) + acc[r][s], part);
      } else {
        store(p, load(p) + acc[r][s]);
      }
    }
  }
}

// kLines rows of dy, all at once. Rows go in pairs here as in sliding tiles, so that both add in the same order.
template <class T, int kLines, int kRows, int kCols, bool kPart>
NN_INLINE void tile_rows(const Tile<T>& tile, const T* x, const T* dy, int part, Vec<T> (&acc)[kRows][kCols]) {
  for (int64_t w = tile.cols; w > 0; --w) {
#pragma GCC unroll 2
    for (int i = 0; i < kLines; ++i) {
      const Vec<T> g = kPart ? load_part(dy + i * tile.dy_row, part) : load(dy + i * tile.dy_row);
#pragma GCC unroll 3
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 5
        for (int s = 0; s < kCols; ++s) {
          const T* p = x + i * tile.x_row + r * tile.tap_row + s * tile.tap_col;
          acc[r][s] = fma(kPart ? load_part(p, part) : load(p), g, acc[r][s]);
        }
      }
    }
    x += tile.x_col;
    dy += tile.dy_col;
  }
}

template <class T, int kRows, int kCols, bool kPart>
NN_INLINE void tile_vector(const Tile<T>& tile, int64_t c, int part) {
  Vec<T> acc[kRows][kCols];
#pragma GCC unroll 3
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 5
    for (int s = 0; s < kCols; ++s) acc[r][s] = Vec<T>::zero();
  }
  for (int64_t n = 0; n < tile.images; ++n) {
    const T* x = tile.x + n * tile.x_image + c;
    const T* dy = tile.dy + n * tile.dy_image + c;
    int64_t h = 0;
    for (; h + 2 <= tile.rows; h += 2) tile_rows<T, 2, kRows, kCols, kPart>(tile, x + h * tile.x_row, dy + h * tile.dy_row, part, acc);
    if (h < tile.rows) tile_rows<T, 1, kRows, kCols, kPart>(tile, x + h * tile.x_row, dy + h * tile.dy_row, part, acc);
  }
  add_to<T, kRows, kCols, kPart>(tile, acc, c, part);
}

template <class T, int kRows, int kCols>
void run_tile(const Tile<T>& tile) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t c = tile.begin;
  for (; c + kLanes <= tile.end; c += kLanes) tile_vector<T, kRows, kCols, false>(tile, c, kLanes);
  if (c < tile.end) tile_vector<T, kRows, kCols, true>(tile, c, static_cast<int>(tile.end - c));
}

template <class T>
using TileFunction = void (*)(const Tile<T>& tile);

#if defined(NN_COMPILE_AVX512)
template <class T>
constexpr TileFunction<T> kTiles[kMostTapRows][kMostTapCols] = {
    {run_tile<T, 1, 1>, run_tile<T, 1, 2>, run_tile<T, 1, 3>, run_tile<T, 1, 4>, run_tile<T, 1, 5>},
    {run_tile<T, 2, 1>, run_tile<T, 2, 2>, run_tile<T, 2, 3>, run_tile<T, 2, 4>, run_tile<T, 2, 5>},
    {run_tile<T, 3, 1>, run_tile<T, 3, 2>, run_tile<T, 3, 3>, run_tile<T, 3, 4>, run_tile<T, 3, 5>}};

// One step along kRows rows of dy: the pixels of one more column of the window enter, and dy meets the columns a, b and the entering one.
template <class T, int kRows, bool kPart>
NN_INLINE void slide(const Tile<T>& tile, const T* x, const T* dy, int part, const Vec<T> (&a)[kRows + 2], const Vec<T> (&b)[kRows + 2],
                     Vec<T> (&entering)[kRows + 2], Vec<T> (&acc)[3][3]) {
#pragma GCC unroll 4
  for (int r = 0; r < kRows + 2; ++r) entering[r] = kPart ? load_part(x + r * tile.tap_row, part) : load(x + r * tile.tap_row);
#pragma GCC unroll 2
  for (int i = 0; i < kRows; ++i) {
    const Vec<T> g = kPart ? load_part(dy + i * tile.dy_row, part) : load(dy + i * tile.dy_row);
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r) {
      acc[r][0] = fma(a[r + i], g, acc[r][0]);
      acc[r][1] = fma(b[r + i], g, acc[r][1]);
      acc[r][2] = fma(entering[r + i], g, acc[r][2]);
    }
  }
}

template <class T, int kRows, bool kPart>
NN_INLINE void slide_rows(const Tile<T>& tile, const T* x, const T* dy, int part, Vec<T> (&acc)[3][3]) {
  Vec<T> a[kRows + 2], b[kRows + 2], d[kRows + 2];
  const int64_t step = tile.x_col, dy_step = tile.dy_col;
#pragma GCC unroll 4
  for (int r = 0; r < kRows + 2; ++r) {
    a[r] = kPart ? load_part(x + r * tile.tap_row, part) : load(x + r * tile.tap_row);
    b[r] = kPart ? load_part(x + r * tile.tap_row + step, part) : load(x + r * tile.tap_row + step);
  }
  x += 2 * step;
  int64_t left = tile.cols;
  for (; left >= 3; left -= 3) {
    slide<T, kRows, kPart>(tile, x, dy, part, a, b, d, acc);
    slide<T, kRows, kPart>(tile, x + step, dy + dy_step, part, b, d, a, acc);
    slide<T, kRows, kPart>(tile, x + 2 * step, dy + 2 * dy_step, part, d, a, b, acc);
    x += 3 * step;
    dy += 3 * dy_step;
  }
  if (left > 0) slide<T, kRows, kPart>(tile, x, dy, part, a, b, d, acc);
  if (left > 1) slide<T, kRows, kPart>(tile, x + step, dy + dy_step, part, b, d, a, acc);
}

// 3 x 3 taps as far apart as the pixels, two rows of dy at once.
template <class T, bool kPart>
NN_INLINE void sliding_vector(const Tile<T>& tile, int64_t c, int part) {
  Vec<T> acc[3][3];
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r) acc[r][0] = acc[r][1] = acc[r][2] = Vec<T>::zero();
  for (int64_t n = 0; n < tile.images; ++n) {
    const T* x = tile.x + n * tile.x_image + c;
    const T* dy = tile.dy + n * tile.dy_image + c;
    int64_t h = 0;
    for (; h + 2 <= tile.rows; h += 2) slide_rows<T, 2, kPart>(tile, x + h * tile.x_row, dy + h * tile.dy_row, part, acc);
    if (h < tile.rows) slide_rows<T, 1, kPart>(tile, x + h * tile.x_row, dy + h * tile.dy_row, part, acc);
  }
  add_to<T, 3, 3, kPart>(tile, acc, c, part);
}

template <class T>
void run_sliding(const Tile<T>& tile) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t c = tile.begin;
  for (; c + kLanes <= tile.end; c += kLanes) sliding_vector<T, false>(tile, c, kLanes);
  if (c < tile.end) sliding_vector<T, true>(tile, c, static_cast<int>(tile.end - c));
}
#else
#if defined(NN_COMPILE_AVX2)
template <class T>
constexpr TileFunction<T> kTiles[kMostTapRows][kMostTapCols] = {{run_tile<T, 1, 1>, run_tile<T, 1, 2>, run_tile<T, 1, 3>},
                                                                {run_tile<T, 2, 1>, run_tile<T, 2, 2>, run_tile<T, 2, 3>}};
#else
template <class T>
constexpr TileFunction<T> kTiles[kMostTapRows][kMostTapCols] = {{run_tile<T, 1, 1>, run_tile<T, 1, 2>}};
#endif
template <class T>
void run_sliding(const Tile<T>&) {}
#endif

// Pixels of the result, in some images.
struct PixelBlock {
  int64_t image_begin, image_end, row_begin, row_end;
};

// Adds the pixels of one rectangle, which see the taps of `row` and `col`, to dw for the channels [begin, end).
template <class T>
void add_rectangle(const ConvGeometry& g, const PixelBlock& block, const ConvSegment& row, const ConvSegment& col, int64_t begin, int64_t end,
                   const T* x, const T* dy, T* dw) {
  Tile<T> tile;
  tile.begin = begin;
  tile.end = end;
  tile.tap_col = g.cols.dilation * g.filters;
  tile.tap_row = g.rows.dilation * g.cols.in * g.filters;
  tile.x_col = g.cols.stride * g.filters;
  tile.x_row = g.rows.stride * g.cols.in * g.filters;
  tile.x_image = g.rows.in * g.cols.in * g.filters;
  tile.dy_col = g.filters;
  tile.dy_row = g.cols.out * g.filters;
  tile.dy_image = g.rows.out * tile.dy_row;
  tile.images = block.image_end - block.image_begin;
  tile.rows = block.row_end - block.row_begin;
  tile.cols = col.end - col.begin;
  tile.dy = dy + block.image_begin * tile.dy_image + block.row_begin * tile.dy_row + col.begin * tile.dy_col;
  tile.dw_col = g.filters;
  tile.dw_row = g.cols.taps * g.filters;
  const int64_t in_row = block.row_begin * g.rows.stride - g.rows.pad, in_col = col.begin * g.cols.stride - g.cols.pad;
  const T* origin = x + block.image_begin * tile.x_image + (in_row * g.cols.in + in_col) * g.filters;
  const int64_t taps_rows = row.tap_end - row.tap_begin, taps_cols = col.tap_end - col.tap_begin;
  if (kHasSliding && taps_rows == 3 && taps_cols == 3 && tile.x_col == tile.tap_col && tile.x_row == tile.tap_row) {
    tile.x = origin + row.tap_begin * tile.tap_row + col.tap_begin * tile.tap_col;
    tile.dw = dw + row.tap_begin * tile.dw_row + col.tap_begin * tile.dw_col;
    return run_sliding(tile);
  }
  for (int64_t r = row.tap_begin; r < row.tap_end; r += kMostTapRows) {
    for (int64_t s = col.tap_begin; s < col.tap_end; s += kMostTapCols) {
      tile.x = origin + r * tile.tap_row + s * tile.tap_col;
      tile.dw = dw + r * tile.dw_row + s * tile.dw_col;
      kTiles<T>[smaller(row.tap_end - r, kMostTapRows) - 1][smaller(col.tap_end - s, kMostTapCols) - 1](tile);
    }
  }
}

// Adds the output rows [row, row_end) of all images (row = image * rows.out + row in the image), block by block.
template <class T>
void add_pixels(const DepthwiseGradPlan& plan, int64_t row, int64_t row_end, int64_t begin, int64_t end, const T* x, const T* dy, T* dw) {
  const ConvGeometry& g = plan.geometry;
  const int64_t height = g.rows.out, image_pixels = height * g.cols.out;
  while (row < row_end) {
    const int64_t image = row / height, top = row % height;
    PixelBlock block = {image, image + 1, top, height};
    if (top == 0 && row_end - row >= height && 2 * image_pixels <= plan.block_pixels) {
      block.image_end = image + smaller((row_end - row) / height, plan.block_pixels / image_pixels);
    } else {
      block.row_end = smaller(smaller(height, top + row_end - row), top + larger(plan.block_pixels / g.cols.out, 1));
    }
    row += (block.image_end - block.image_begin) * (block.row_end - block.row_begin);
    for (int64_t i = 0; i < plan.row_segment_count; ++i) {
      const ConvSegment& segment = plan.row_segments[i];
      PixelBlock part = block;
      part.row_begin = larger(block.row_begin, segment.begin);
      part.row_end = smaller(block.row_end, segment.end);
      if (part.row_begin >= part.row_end) continue;
      for (int64_t j = 0; j < plan.col_segment_count; ++j) add_rectangle(g, part, segment, plan.col_segments[j], begin, end, x, dy, dw);
    }
  }
}

// Chunk order: pixel block, block of channel panels.
template <class T>
void compute_chunk(const DepthwiseGradPlan& plan, int64_t chunk, const T* x, const T* dy, T* dw) {
  const ConvGeometry& g = plan.geometry;
  const int64_t panel_block = chunk % plan.panel_blocks, pixel_block = chunk / plan.panel_blocks;
  const int64_t begin = plan.panels * panel_block / plan.panel_blocks * kPanelColumns;
  const int64_t end = smaller(plan.panels * (panel_block + 1) / plan.panel_blocks * kPanelColumns, g.filters);
  dw += pixel_block * plan.elements;
  for (int64_t t = 0; t < g.rows.taps * g.cols.taps; ++t) {
    for (int64_t c = begin; c < end; ++c) dw[t * g.filters + c] = T(0);
  }
  const int64_t rows = g.cols.out ? g.batch * g.rows.out : 0;
  add_pixels(plan, rows * pixel_block / plan.pixel_blocks, rows * (pixel_block + 1) / plan.pixel_blocks, begin, end, x, dy, dw);
}

// dw = the partial sums in order of their pixel blocks.
template <class T>
void sum_chunk(const DepthwiseGradPlan& plan, int64_t chunk, const T* partials, T* dw) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t end = smaller(plan.elements, (chunk + 1) * kSumElements);
  for (int64_t i = chunk * kSumElements; i < end; i += kLanes) {
    const int part = static_cast<int>(smaller(end - i, kLanes));
    Vec<T> sum = load_part(partials + i, part);
    for (int64_t b = 1; b < plan.pixel_blocks; ++b) sum += load_part(partials + b * plan.elements + i, part);
    store_part(dw + i, sum, part);
  }
}

template <class T>
void run_kernel_grad(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const DepthwiseGradPlan& plan = *static_cast<const DepthwiseGradPlan*>(state);
  const ConvGeometry& g = plan.geometry;
  const T* x = static_cast<const T*>(args.in[0]);
  T* scratch = static_cast<T*>(args.scratch);
  if (plan.multiplier > 1) {
    if (phase == 0) {
      const int64_t first = begin * kRepeatPixels, last = smaller(end * kRepeatPixels, g.batch * g.rows.in * g.cols.in);
      if (first < last) repeat_channels(x + first * g.channels, last - first, g.channels, plan.multiplier, scratch + first * g.filters);
      return;
    }
    x = scratch;
    --phase;
  }
  T* dw = static_cast<T*>(args.out[0]);
  T* partials = plan.pixel_blocks > 1 ? scratch + plan.partials : dw;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    if (phase == 0) {
      compute_chunk(plan, chunk, x, static_cast<const T*>(args.in[1]), partials);
    } else {
      sum_chunk(plan, chunk, partials, dw);
    }
  }
}

void prepare_kernel_grad(Prepare& prepare) {
  const DepthwiseGradPlan* plan = plan_depthwise_conv2d_kernel_grad(prepare);
  prepare.set_run(plan->geometry.dtype == DType::kFloat32 ? run_kernel_grad<float> : run_kernel_grad<double>);
}

NN_KERNEL("depthwise_conv2d_kernel_grad", prepare_kernel_grad);

}  // namespace
}  // namespace depthwise
}  // namespace nnlite::NN_ISA
