// depthwise_conv2d_kernel_grad: for every channel and tap the sum over pixels of x * dy.
//
// A tile holds a block of taps of one vector of channels in registers while it passes over pixels that see all of them, then adds them to dw
// in memory. For 3 x 3 taps at stride 1 pixels slide through registers: 3 loads of x serve 9 products.
#include "kernels/depthwise_grouped.h"
#include "kernels/depthwise_plan.h"
#include "kernels/depthwise_tile.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

// Taps that a tile holds. Their sums and the operands fit the registers.
#if defined(NN_COMPILE_AVX512)
constexpr int kFloatTapRows = 3, kFloatTapCols = 5;
constexpr bool kHasSliding = true;  // needs 32 registers
#elif defined(NN_COMPILE_AVX2)
constexpr int kFloatTapRows = 3, kFloatTapCols = 3;
constexpr bool kHasSliding = false;
#else
constexpr int kFloatTapRows = 1, kFloatTapCols = 3;
constexpr bool kHasSliding = false;
#endif
template <class T>
constexpr bool kIsFloat = sizeof(T) == sizeof(float);
// Tiles that know what is missing at the edges of the image. Where sliding tiles compute the same, these need not.
template <class T, int kRows, int kCols>
constexpr bool kEdges = kIsFloat<T> && !kHasSliding && kFloatTapRows == 3 && kRows == 3 && kCols == 3;
template <class T>
constexpr int kMostTapRows = kIsFloat<T> ? kFloatTapRows : 1;
template <class T>
constexpr int kMostTapCols = kIsFloat<T> ? kFloatTapCols : 3;

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
  int64_t begin, end;  // filters
  const int32_t* map;  // channel of every filter, null when they are the same
  bool fetches;        // sliding tiles fetch the rows that follow
  // What of x the first and the last row and column of dy miss, where there are 3 x 3 taps.
  bool misses_top, misses_bottom, misses_left, misses_right;
};

// What of x is missing above and below `count` rows of dy.
template <class T>
NN_INLINE AxisEdges missing_rows(const Tile<T>& tile, int64_t first, int64_t count) {
  return {tile.misses_top && first == 0, tile.misses_bottom && first + count == tile.rows};
}

template <class T, int kRows, int kCols, Access kAccess>
NN_INLINE void add_to(const Tile<T>& tile, const Lanes<T, kAccess>& lanes, const Reg<T> (&acc)[kRows][kCols]) {
#pragma GCC unroll 3
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 5
    for (int s = 0; s < kCols; ++s) {
      T* p = tile.dw + r * tile.dw_row + s * tile.dw_col;
      lanes.put(p, lanes.own(p) + acc[r][s]);
    }
  }
}

// kLines pixels of dy, one below the other, with the columns [kFirst, kLast) of taps.
template <class T, int kLines, int kRows, int kCols, int kFirst, int kLast, Access kAccess>
NN_INLINE void plain_pixel(const Tile<T>& tile, const Lanes<T, kAccess>& lanes, const T* x, const T* dy, AxisEdges rows,
                           Reg<T> (&acc)[kRows][kCols]) {
#pragma GCC unroll 2
  for (int i = 0; i < kLines; ++i) {
    const Reg<T> g = lanes.own(dy + i * tile.dy_row);
#pragma GCC unroll 3
    for (int r = 0; r < kRows; ++r) {
      if (kEdges<T, kRows, kCols> && ((i == 0 && r == 0 && rows.first) || (i == kLines - 1 && r == kRows - 1 && rows.last))) continue;
#pragma GCC unroll 5
      for (int s = kFirst; s < kLast; ++s) acc[r][s] = fma(lanes.read(x + i * tile.x_row + r * tile.tap_row + s * tile.tap_col), g, acc[r][s]);
    }
  }
}

// kLines rows of dy, all at once. Rows go in pairs here as in sliding tiles, so that both add in the same order.
template <class T, int kLines, int kRows, int kCols, Access kAccess>
NN_INLINE void plain_rows(const Tile<T>& tile, const Lanes<T, kAccess>& lanes, const T* x, const T* dy, AxisEdges rows,
                          Reg<T> (&acc)[kRows][kCols]) {
  constexpr bool kHasEdges = kEdges<T, kRows, kCols>;
  int64_t w = tile.cols;
  if (kHasEdges && tile.misses_left) {
    plain_pixel<T, kLines, kRows, kCols, kHasEdges, kCols>(tile, lanes, x, dy, rows, acc);
    x += tile.x_col;
    dy += tile.dy_col;
    --w;
  }
  for (w -= kHasEdges && tile.misses_right; w > 0; --w) {
    plain_pixel<T, kLines, kRows, kCols, 0, kCols>(tile, lanes, x, dy, rows, acc);
    x += tile.x_col;
    dy += tile.dy_col;
  }
  if (kHasEdges && tile.misses_right) plain_pixel<T, kLines, kRows, kCols, 0, kCols - kHasEdges>(tile, lanes, x, dy, rows, acc);
}

template <class T, int kRows, int kCols, Access kAccess>
NN_INLINE void plain_lanes(const Tile<T>& tile, const Lanes<T, kAccess>& lanes) {
  Reg<T> acc[kRows][kCols];
#pragma GCC unroll 3
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 5
    for (int s = 0; s < kCols; ++s) acc[r][s] = Reg<T>::zero();
  }
  for (int64_t n = 0; n < tile.images; ++n) {
    const T* x = tile.x + n * tile.x_image;
    const T* dy = tile.dy + n * tile.dy_image;
    int64_t h = 0;
    for (; h + 2 <= tile.rows; h += 2) plain_rows<T, 2>(tile, lanes, x + h * tile.x_row, dy + h * tile.dy_row, missing_rows(tile, h, 2), acc);
    if (h < tile.rows) plain_rows<T, 1>(tile, lanes, x + h * tile.x_row, dy + h * tile.dy_row, missing_rows(tile, h, 1), acc);
  }
  add_to(tile, lanes, acc);
}

template <class T, int kRows, int kCols, bool kMapped>
void run_plain(const Tile<T>& tile) {
  for_lanes<T, kMapped>(tile.begin, tile.end, tile.map, [&](const auto& lanes) NN_LAMBDA_INLINE { plain_lanes<T, kRows, kCols>(tile, lanes); });
}

template <class T>
using TileFunction = void (*)(const Tile<T>& tile);

template <class T, int kRows, bool kMapped>
TileFunction<T> find_plain_cols(int64_t cols) {
  if (cols == 1) return run_plain<T, kRows, 1, kMapped>;
  if (cols == 2) return run_plain<T, kRows, 2, kMapped>;
  if (cols == 3) return run_plain<T, kRows, 3, kMapped>;
  if constexpr (kMostTapCols<T> == 5) return cols == 4 ? run_plain<T, kRows, 4, kMapped> : run_plain<T, kRows, 5, kMapped>;
  return nullptr;
}
template <class T, bool kMapped>
TileFunction<T> find_plain(int64_t rows, int64_t cols) {
  if constexpr (kMostTapRows<T> == 3) {
    if (rows == 2) return find_plain_cols<T, 2, kMapped>(cols);
    if (rows == 3) return find_plain_cols<T, 3, kMapped>(cols);
  }
  return find_plain_cols<T, 1, kMapped>(cols);
}

#if defined(NN_COMPILE_AVX512)
// Rows of x that kRows rows of dy meet.
template <int kRows, int kStride>
constexpr int kWindow = kStride * (kRows - 1) + 3;

// Rows that are missing are read from their neighbours and never used.
template <int kWindowRows, Access kAccess>
NN_INLINE void enter(const Tile<float>& tile, const Lanes<float, kAccess>& lanes, const float* x, AxisEdges rows, Reg<float> (&column)[kWindowRows]) {
  column[0] = lanes.read(x + rows.first * tile.tap_row);
#pragma GCC unroll 5
  for (int r = 1; r < kWindowRows - 1; ++r) column[r] = lanes.read(x + r * tile.tap_row);
  column[kWindowRows - 1] = lanes.read(x + (kWindowRows - 1 - rows.last) * tile.tap_row);
}

// Products of dy with one column of the window, which taps s meet.
template <int kRows, int kStride, int kWindowRows>
NN_INLINE void meet_column(const Reg<float> (&g)[kRows], const Reg<float> (&column)[kWindowRows], AxisEdges rows, int s, Reg<float> (&acc)[3][3]) {
#pragma GCC unroll 2
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r) {
      if ((i == 0 && r == 0 && rows.first) || (i == kRows - 1 && r == 2 && rows.last)) continue;
      acc[r][s] = fma(column[r + i * kStride], g[i], acc[r][s]);
    }
  }
}

// dy meets the columns a, b, d of the window.
template <int kRows, int kStride, Access kAccess, int kWindowRows>
NN_INLINE void meet(const Tile<float>& tile, const Lanes<float, kAccess>& lanes, const float* dy, AxisEdges rows, const Reg<float> (&a)[kWindowRows],
                    const Reg<float> (&b)[kWindowRows], const Reg<float> (&d)[kWindowRows], Reg<float> (&acc)[3][3]) {
#pragma GCC unroll 2
  for (int i = 0; i < kRows; ++i) {
    const Reg<float> g = lanes.own(dy + i * tile.dy_row);
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r) {
      if ((i == 0 && r == 0 && rows.first) || (i == kRows - 1 && r == 2 && rows.last)) continue;
      acc[r][0] = fma(a[r + i * kStride], g, acc[r][0]);
      acc[r][1] = fma(b[r + i * kStride], g, acc[r][1]);
      acc[r][2] = fma(d[r + i * kStride], g, acc[r][2]);
    }
  }
}

// A column of dy at the edge of the image meets the two columns of its window that are there, from tap `first` on.
template <int kRows, int kStride, Access kAccess>
NN_INLINE void meet_edge(const Tile<float>& tile, const Lanes<float, kAccess>& lanes, const float* x, const float* dy, AxisEdges rows, int first,
                         Reg<float> (&acc)[3][3]) {
  Reg<float> column[kWindow<kRows, kStride>], g[kRows];
#pragma GCC unroll 2
  for (int i = 0; i < kRows; ++i) g[i] = lanes.own(dy + i * tile.dy_row);
#pragma GCC unroll 2
  for (int s = first; s < first + 2; ++s) {
    enter(tile, lanes, x + s * tile.tap_col, rows, column);
    meet_column<kRows, kStride>(g, column, rows, s, acc);
  }
}

// What the next block of rows is the first to read, at the place of these kRows rows of dy. Every pass of a register over a row brings a part of it
// into the second cache, in lines one after the other: one for each of its pixels of dy, kStride for those of x.
struct Following {
  const float *x, *dy;  // null: nothing is fetched
};
template <int kStride, Access kAccess>
NN_INLINE Following find_following(const Tile<float>& tile, const Lanes<float, kAccess>& lanes, const float* x, const float* dy) {
  if (kAccess == Access::kMapped || !tile.fetches) return {nullptr, nullptr};
  const int64_t lines = (lanes.c - tile.begin) / Reg<float>::kLanes * tile.cols * Reg<float>::kLanes;
  return {x + tile.rows * tile.x_row + (3 - kStride) * tile.tap_row + kStride * lines, dy + tile.rows * tile.dy_row + lines};
}
template <int kRows, int kStride, int kPixels>
NN_INLINE void fetch(const Tile<float>& tile, Following& from) {
  constexpr int kLine = Reg<float>::kLanes;
  if (from.x == nullptr) return;
#pragma GCC unroll 4
  for (int r = 0; r < kStride * kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kStride * kPixels; ++i) prefetch_l2(from.x + r * tile.tap_row + i * kLine);
  }
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int i = 0; i < kPixels; ++i) prefetch_l2(from.dy + r * tile.dy_row + i * kLine);
  }
  from.x += kStride * kPixels * kLine;
  from.dy += kPixels * kLine;
}

// `cols` steps along kRows rows of dy: at each kStride columns of the window enter. x and dy follow.
template <int kRows, int kStride, Access kAccess>
NN_INLINE void slide_cols(const Tile<float>& tile, const Lanes<float, kAccess>& lanes, const float*& x, const float*& dy, int64_t cols,
                          AxisEdges rows, Reg<float> (&acc)[3][3]) {
  constexpr int kRowsIn = kWindow<kRows, kStride>;
  Reg<float> a[kRowsIn], b[kRowsIn], d[kRowsIn];
  const int64_t step = tile.tap_col, dy_step = tile.dy_col;
  Following following = find_following<kStride>(tile, lanes, x, dy);
  enter(tile, lanes, x, rows, a);
  int64_t left = cols;
  if (kStride == 2) {
    for (; left >= 2; left -= 2) {
      fetch<kRows, 2, 2>(tile, following);
      enter(tile, lanes, x + step, rows, b);
      enter(tile, lanes, x + 2 * step, rows, d);
      meet<kRows, kStride>(tile, lanes, dy, rows, a, b, d, acc);
      enter(tile, lanes, x + 3 * step, rows, b);
      enter(tile, lanes, x + 4 * step, rows, a);
      meet<kRows, kStride>(tile, lanes, dy + dy_step, rows, d, b, a, acc);
      x += 4 * step;
      dy += 2 * dy_step;
    }
    if (left == 0) return;
    enter(tile, lanes, x + step, rows, b);
    enter(tile, lanes, x + 2 * step, rows, d);
    meet<kRows, kStride>(tile, lanes, dy, rows, a, b, d, acc);
    x += 2 * step;
    dy += dy_step;
    return;
  }
  enter(tile, lanes, x + step, rows, b);
  x += 2 * step;
  for (; left >= 3; left -= 3) {
    fetch<kRows, 1, 3>(tile, following);
    enter(tile, lanes, x, rows, d);
    meet<kRows, kStride>(tile, lanes, dy, rows, a, b, d, acc);
    enter(tile, lanes, x + step, rows, a);
    meet<kRows, kStride>(tile, lanes, dy + dy_step, rows, b, d, a, acc);
    enter(tile, lanes, x + 2 * step, rows, b);
    meet<kRows, kStride>(tile, lanes, dy + 2 * dy_step, rows, d, a, b, acc);
    x += 3 * step;
    dy += 3 * dy_step;
  }
  if (left > 0) {
    enter(tile, lanes, x, rows, d);
    meet<kRows, kStride>(tile, lanes, dy, rows, a, b, d, acc);
  }
  if (left > 1) {
    enter(tile, lanes, x + step, rows, a);
    meet<kRows, kStride>(tile, lanes, dy + dy_step, rows, b, d, a, acc);
  }
  x += (left - 2) * step;
  dy += left * dy_step;
}

template <int kRows, int kStride, Access kAccess>
NN_INLINE void slide_rows(const Tile<float>& tile, const Lanes<float, kAccess>& lanes, const float* x, const float* dy, AxisEdges rows,
                          Reg<float> (&acc)[3][3]) {
  if (tile.misses_left) {
    meet_edge<kRows, kStride>(tile, lanes, x, dy, rows, 1, acc);
    x += kStride * tile.tap_col;
    dy += tile.dy_col;
  }
  slide_cols<kRows, kStride>(tile, lanes, x, dy, tile.cols - tile.misses_left - tile.misses_right, rows, acc);
  if (tile.misses_right) meet_edge<kRows, kStride>(tile, lanes, x, dy, rows, 0, acc);
}

// 3 x 3 neighbouring taps at stride kStride, two rows of dy at once.
template <int kStride, Access kAccess>
NN_INLINE void sliding_lanes(const Tile<float>& tile, const Lanes<float, kAccess>& lanes) {
  Reg<float> acc[3][3];
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r) acc[r][0] = acc[r][1] = acc[r][2] = Reg<float>::zero();
  for (int64_t n = 0; n < tile.images; ++n) {
    const float* x = tile.x + n * tile.x_image;
    const float* dy = tile.dy + n * tile.dy_image;
    int64_t h = 0;
    for (; h + 2 <= tile.rows; h += 2) slide_rows<2, kStride>(tile, lanes, x + h * tile.x_row, dy + h * tile.dy_row, missing_rows(tile, h, 2), acc);
    if (h < tile.rows) slide_rows<1, kStride>(tile, lanes, x + h * tile.x_row, dy + h * tile.dy_row, missing_rows(tile, h, 1), acc);
  }
  add_to(tile, lanes, acc);
}

template <int kStride, bool kMapped>
void run_sliding(const Tile<float>& tile) {
  for_lanes<float, kMapped>(tile.begin, tile.end, tile.map, [&](const auto& lanes) NN_LAMBDA_INLINE { sliding_lanes<kStride>(tile, lanes); });
}
TileFunction<float> find_sliding(const float*, bool stride_2, bool mapped) {
  if (mapped) return stride_2 ? run_sliding<2, true> : run_sliding<1, true>;
  return stride_2 ? run_sliding<2, false> : run_sliding<1, false>;
}
#else
TileFunction<float> find_sliding(const float*, bool, bool) { return nullptr; }
#endif
TileFunction<double> find_sliding(const double*, bool, bool) { return nullptr; }

// Pixels of the result, in some images.
struct PixelBlock {
  int64_t image_begin, image_end, row_begin, row_end;
};

// Adds the pixels of one rectangle, which see the taps of `row` and `col`, to dw for the filters [begin, end).
template <class T>
void add_rectangle(const DepthwiseGradPlan& plan, const PixelBlock& block, const ConvSegment& row, const ConvSegment& col, int64_t begin, int64_t end,
                   const T* x, const T* dy, T* dw) {
  const ConvGeometry& g = plan.geometry;
  Tile<T> tile;
  tile.begin = begin;
  tile.end = end;
  tile.map = plan.channel_of;
  tile.tap_col = g.cols.dilation * g.channels;
  tile.tap_row = g.rows.dilation * g.cols.in * g.channels;
  tile.x_col = g.cols.stride * g.channels;
  tile.x_row = g.rows.stride * g.cols.in * g.channels;
  tile.x_image = g.rows.in * g.cols.in * g.channels;
  tile.dy_col = g.filters;
  tile.dy_row = g.cols.out * g.filters;
  tile.dy_image = g.rows.out * tile.dy_row;
  tile.images = block.image_end - block.image_begin;
  tile.fetches = plan.fetches && tile.images == 1;
  tile.rows = block.row_end - block.row_begin;
  tile.misses_top = plan.row_edges.first && block.row_begin == 0;
  tile.misses_bottom = plan.row_edges.last && block.row_end == g.rows.out;
  tile.misses_left = plan.col_edges.first;
  tile.misses_right = plan.col_edges.last;
  tile.cols = col.end - col.begin;
  tile.dy = dy + block.image_begin * tile.dy_image + block.row_begin * tile.dy_row + col.begin * tile.dy_col;
  tile.dw_col = plan.map_depth * g.filters;
  tile.dw_row = g.cols.taps * tile.dw_col;
  const int64_t in_row = block.row_begin * g.rows.stride - g.rows.pad, in_col = col.begin * g.cols.stride - g.cols.pad;
  const T* origin = x + block.image_begin * tile.x_image + (in_row * g.cols.in + in_col) * g.channels;
  const int64_t taps_rows = row.tap_end - row.tap_begin, taps_cols = col.tap_end - col.tap_begin;
  const bool stride_1 = tile.x_col == tile.tap_col && tile.x_row == tile.tap_row;
  const bool stride_2 = tile.x_col == 2 * tile.tap_col && tile.x_row == 2 * tile.tap_row;
  if (kHasSliding && kIsFloat<T> && taps_rows == 3 && taps_cols == 3 && (stride_1 || stride_2)) {
    tile.x = origin + row.tap_begin * tile.tap_row + col.tap_begin * tile.tap_col;
    tile.dw = dw + row.tap_begin * tile.dw_row + col.tap_begin * tile.dw_col;
    return find_sliding(x, stride_2, tile.map)(tile);
  }
  for (int64_t r = row.tap_begin; r < row.tap_end; r += kMostTapRows<T>) {
    for (int64_t s = col.tap_begin; s < col.tap_end; s += kMostTapCols<T>) {
      tile.x = origin + r * tile.tap_row + s * tile.tap_col;
      tile.dw = dw + r * tile.dw_row + s * tile.dw_col;
      const int64_t rows = smaller(row.tap_end - r, kMostTapRows<T>), cols = smaller(col.tap_end - s, kMostTapCols<T>);
      (tile.map ? find_plain<T, true>(rows, cols) : find_plain<T, false>(rows, cols))(tile);
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
      block.row_end = smaller(smaller(height, top + row_end - row), top + larger(plan.block_pixels / g.cols.out / 2 * 2, 2));
    }
    row += (block.image_end - block.image_begin) * (block.row_end - block.row_begin);
    for (int64_t i = 0; i < plan.row_segment_count; ++i) {
      const ConvSegment& segment = plan.row_segments[i];
      PixelBlock part = block;
      part.row_begin = larger(block.row_begin, segment.begin);
      part.row_end = smaller(block.row_end, segment.end);
      if (part.row_begin >= part.row_end) continue;
      for (int64_t j = 0; j < plan.col_segment_count; ++j) {
        for (int64_t d = 0; d < plan.map_depth; ++d) {
          add_rectangle(plan, part, segment, plan.col_segments[j], begin, end, x + d, dy, dw + d * g.filters);
        }
      }
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
  for (int64_t t = 0; t < g.rows.taps * g.cols.taps * plan.map_depth; ++t) {
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
  T* dw = static_cast<T*>(args.out[0]);
  T* partials = plan.pixel_blocks > 1 ? static_cast<T*>(args.scratch) : dw;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    if (phase == 0) {
      compute_chunk(plan, chunk, static_cast<const T*>(args.in[0]), static_cast<const T*>(args.in[1]), partials);
    } else {
      sum_chunk(plan, chunk, partials, dw);
    }
  }
}

void prepare_kernel_grad(Prepare& prepare) {
  const DepthwiseGradPlan* plan = plan_depthwise_conv2d_kernel_grad(prepare, kFloatTapRows == 3);
  prepare.set_run(plan->geometry.dtype == DType::kFloat32 ? run_kernel_grad<float> : run_kernel_grad<double>);
}

NN_KERNEL("depthwise_conv2d_kernel_grad", prepare_kernel_grad);

}  // namespace

bool prepare_grouped_kernel_grad(Prepare& prepare) {
  if (!plan_grouped_kernel_grad(prepare, kFloatTapRows == 3)) return false;
  prepare.set_run(run_kernel_grad<float>);
  return true;
}

}  // namespace depthwise
}  // namespace nnlite::NN_ISA
