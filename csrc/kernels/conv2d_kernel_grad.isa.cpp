// conv2d_kernel_grad: products of shifted images with dy, summed over pixels.
//
// A tile holds some m (tap, channel) times some vectors of filters in registers while it passes over a block of pixels, then adds them to
// dw in memory. So long sums are made in two levels. Pixels whose tap falls into the padding are left out (or, with few channels,
// multiplied with zeros).
#include "kernels/conv2d_grad_copy.h"
#include "kernels/conv2d_plan.h"
#include "kernels/conv2d_tile.h"
#include "kernels/depthwise_grouped.h"
#include "kernels/winograd.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace conv {
namespace {

template <class T>
struct GradTile {
  const T* x[kMostRows];  // of the first pixel, one for each m
  const T* dy;
  int64_t x_image, x_row, x_col;  // elements between pixels
  int64_t dy_image, dy_row, dy_col;
  int64_t images, rows, cols;
  T* dw;
  int64_t ldw;
  int part;  // columns of the last vector
  bool accumulate;  // add to dw instead of writing it
};

template <class T>
using GradTileFunction = void (*)(const GradTile<T>& tile);

template <class T, int kRows, int kVectors, bool kPart>
void run_grad_tile(const GradTile<T>& tile) {
  constexpr int kLanes = Vec<T>::kLanes;
  Vec<T> acc[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) acc[i][j] = Vec<T>::zero();
  }
  const int part = tile.part;
  const T* x[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) x[i] = tile.x[i];
  const int64_t x_col = tile.x_col, dy_col = tile.dy_col;
  for (int64_t n = 0; n < tile.images; ++n) {
    for (int64_t h = 0; h < tile.rows; ++h) {
      const T* dy = tile.dy + n * tile.dy_image + h * tile.dy_row;
      int64_t p = n * tile.x_image + h * tile.x_row;
#pragma GCC unroll 1
      for (int64_t w = tile.cols; w > 0; --w) {
        Vec<T> vb[kVectors];
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) vb[j] = kPart && j == kVectors - 1 ? load_part(dy + j * kLanes, part) : load(dy + j * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(splat(x[i][p]), vb[j], acc[i][j]);
        }
        p += x_col;
        dy += dy_col;
      }
    }
  }
  if (tile.accumulate) {
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const T* from = tile.dw + i * tile.ldw + j * kLanes;
        acc[i][j] = (kPart && j == kVectors - 1 ? load_part(from, part) : load(from)) + acc[i][j];
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      T* to = tile.dw + i * tile.ldw + j * kLanes;
      if (kPart && j == kVectors - 1) {
        store_part(to, acc[i][j], part);
      } else {
        store(to, acc[i][j]);
      }
    }
  }
}

// AVX-512 masks cost nothing, so there all tiles are partial ones; elsewhere whole vectors have their own, and the masks of the others take the
// registers of a row.
#if defined(NN_COMPILE_AVX512)
constexpr bool kAlwaysPart = true;
template <class T>
constexpr GradTileFunction<T> kGradTiles[1][kMaxVectors][kMostRows] = {
    {{run_grad_tile<T, 1, 1, true>, run_grad_tile<T, 2, 1, true>, run_grad_tile<T, 3, 1, true>, run_grad_tile<T, 4, 1, true>,
      run_grad_tile<T, 5, 1, true>, run_grad_tile<T, 6, 1, true>, run_grad_tile<T, 7, 1, true>, run_grad_tile<T, 8, 1, true>},
     {run_grad_tile<T, 1, 2, true>, run_grad_tile<T, 2, 2, true>, run_grad_tile<T, 3, 2, true>, run_grad_tile<T, 4, 2, true>,
      run_grad_tile<T, 5, 2, true>, run_grad_tile<T, 6, 2, true>, run_grad_tile<T, 7, 2, true>, run_grad_tile<T, 8, 2, true>},
     {run_grad_tile<T, 1, 3, true>, run_grad_tile<T, 2, 3, true>, run_grad_tile<T, 3, 3, true>, run_grad_tile<T, 4, 3, true>,
      run_grad_tile<T, 5, 3, true>, run_grad_tile<T, 6, 3, true>, run_grad_tile<T, 7, 3, true>, run_grad_tile<T, 8, 3, true>},
     {run_grad_tile<T, 1, 4, true>, run_grad_tile<T, 2, 4, true>, run_grad_tile<T, 3, 4, true>, run_grad_tile<T, 4, 4, true>,
      run_grad_tile<T, 5, 4, true>, run_grad_tile<T, 6, 4, true>}}};
#elif defined(NN_COMPILE_AVX2)
constexpr bool kAlwaysPart = false;
template <class T>
constexpr GradTileFunction<T> kGradTiles[2][kMaxVectors][kMostRows] = {
    {{run_grad_tile<T, 1, 1, true>, run_grad_tile<T, 2, 1, true>, run_grad_tile<T, 3, 1, true>, run_grad_tile<T, 4, 1, true>,
      run_grad_tile<T, 5, 1, true>}},
    {{run_grad_tile<T, 1, 1, false>, run_grad_tile<T, 2, 1, false>, run_grad_tile<T, 3, 1, false>, run_grad_tile<T, 4, 1, false>,
      run_grad_tile<T, 5, 1, false>, run_grad_tile<T, 6, 1, false>}}};
#else
constexpr bool kAlwaysPart = false;
template <class T>
constexpr GradTileFunction<T> kGradTiles[2][kMaxVectors][kMostRows] = {{{run_grad_tile<T, 1, 1, true>, run_grad_tile<T, 2, 1, true>}},
                                                                      {{run_grad_tile<T, 1, 1, false>, run_grad_tile<T, 2, 1, false>}}};
#endif

// The most rows of a tile.
int most_rows(int vectors, bool whole) {
#if defined(NN_COMPILE_AVX2)
  return kMaxRows[vectors] - !whole;
#else
  static_cast<void>(whole);
  return kMaxRows[vectors];
#endif
}

// Tiles of one vector read dy by strips; from so many rows of dw on it pays to copy them together.
constexpr int64_t kCopyRows = 32;

// Rows, and images, that follow each other without a gap are one row: the loops start anew less often.
template <class T>
void join_pixels(GradTile<T>* tile) {
  if (tile->x_row == tile->cols * tile->x_col && tile->dy_row == tile->cols * tile->dy_col) {
    tile->cols *= tile->rows;
    tile->rows = 1;
  }
  if (tile->rows == 1 && tile->x_image == tile->cols * tile->x_col && tile->dy_image == tile->cols * tile->dy_col) {
    tile->cols *= tile->images;
    tile->images = 1;
  }
}

// Adds pixels of a block to the rows [m, m + count) of dw. x[i] is what the first of the pixels reads for row m + i.
template <class T>
void add_rows(const GradPiece<T>& piece, const PixelBlock& block, const Pixels& pixels, const Strip<T>& strip, int64_t filters, int64_t m,
              int64_t count, GradTile<T>* tile) {
  tile->dy_col = strip.dy_col;
  tile->dy_row = strip.dy_row;
  tile->dy_image = strip.dy_image;
  tile->dy = strip.dy + (pixels.row_begin - block.row_begin) * strip.dy_row + pixels.col_begin * strip.dy_col;
  tile->images = block.image_end - block.image_begin;
  tile->rows = pixels.row_end - pixels.row_begin;
  tile->cols = pixels.col_end - pixels.col_begin;
  join_pixels(tile);
  tile->dw = piece.dw + m * filters + strip.j;
  tile->ldw = filters;
  tile->part = strip.part;
  tile->accumulate = !block.first;
  piece.next[0].come();
  piece.next[1].come();
  kGradTiles<T>[!kAlwaysPart && strip.part == Vec<T>::kLanes][strip.vectors - 1][count - 1](*tile);
}

// Up to so many filters, tiles are turned: lanes run over the channels of x, rows over the filters.
constexpr int64_t kFewFilters = 8;

// Adds pixels of a block to dw for the channels [c, end) of one tap and all filters of a piece with few. `base`: what the first pixel reads.
template <class T>
void add_turned(const ConvGeometry& g, const GradPiece<T>& piece, const PixelBlock& block, const Pixels& pixels, const T* base, int64_t m, int64_t c,
                int64_t end) {
  constexpr int kLanes = Vec<T>::kLanes;
  T sums[kFewFilters * kMaxVectors * kLanes];
  GradTile<T> tile;
  tile.x_col = g.filters;
  tile.x_row = g.cols.out * g.filters;
  tile.x_image = g.rows.out * tile.x_row;
  tile.dy_col = g.cols.stride * g.channels;
  tile.dy_row = g.rows.stride * g.cols.in * g.channels;
  tile.dy_image = g.rows.in * g.cols.in * g.channels;
  tile.images = block.image_end - block.image_begin;
  tile.rows = pixels.row_end - pixels.row_begin;
  tile.cols = pixels.col_end - pixels.col_begin;
  tile.ldw = kMaxVectors * kLanes;
  tile.accumulate = false;
  const T* dy = piece.dy + block.image_begin * tile.x_image + pixels.row_begin * tile.x_row + pixels.col_begin * g.filters;
  for (int64_t count; c < end; c += count) {
    count = smaller(end - c, kMaxVectors * kLanes);
    const int vectors = static_cast<int>((count + kLanes - 1) / kLanes), part = static_cast<int>(count - (vectors - 1) * kLanes);
    const int most = most_rows(vectors, part == kLanes);
    tile.dy = base + c;
    tile.part = part;
    for (int64_t k = 0, rows; k < piece.columns; k += rows) {
      rows = smaller(piece.columns - k, most);
      for (int64_t i = 0; i < rows; ++i) tile.x[i] = dy + k + i;
      tile.dw = sums + k * tile.ldw;
      kGradTiles<T>[!kAlwaysPart && tile.part == kLanes][vectors - 1][rows - 1](tile);
    }
    for (int64_t i = 0; i < count; ++i) {
      T* to = piece.dw + (m + c + i) * g.filters;
      for (int64_t k = 0; k < piece.columns; ++k) to[k] = block.first ? sums[k * tile.ldw + i] : to[k] + sums[k * tile.ldw + i];
    }
  }
}

// Tiles within one tap: only the pixels whose tap is inside the image.
template <class T>
void add_block_by_tap(const KernelGradPlan& plan, const GradPiece<T>& piece, const PixelBlock& block, const Strip<T>& strip) {
  const ConvGeometry& g = plan.geometry;
  const int most = most_rows(strip.vectors, strip.part == Vec<T>::kLanes);
  const int64_t x_row = g.cols.in * g.channels;
  for (int64_t tap = piece.m_begin / plan.depth; tap * plan.depth < piece.m_end; ++tap) {
    Pixels valid;
    if (!find_pixels(g, block, tap, &valid)) {
      if (!block.first) continue;
      valid = {block.row_begin, block.row_begin, 0, 0};  // no pixels: the tiles write zeros
    }
    const T* base = find_input(g, piece, block, valid, tap);
    const int64_t begin = larger(piece.m_begin - tap * plan.depth, 0), end = smaller(piece.m_end - tap * plan.depth, plan.depth);
    if (piece.columns <= kFewFilters && plan.depth >= Vec<T>::kLanes) {
      add_turned(g, piece, block, valid, base, tap * plan.depth, begin, end);
      continue;
    }
    const int64_t tiles = (end - begin + most - 1) / most;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t c = begin + (end - begin) * t / tiles, count = begin + (end - begin) * (t + 1) / tiles - c;
      GradTile<T> tile;
      tile.x_image = g.rows.in * x_row;
      tile.x_row = g.rows.stride * x_row;
      tile.x_col = g.cols.stride * g.channels;
      for (int64_t i = 0; i < count; ++i) tile.x[i] = base + c + i;
      add_rows(piece, block, valid, strip, g.filters, tap * plan.depth + c, count, &tile);
    }
  }
}

// Tiles across taps: every tap is valid everywhere in `view`.
template <class T>
void add_block_across_taps(const KernelGradPlan& plan, const GradPiece<T>& piece, const PixelBlock& block, const ImageView<T>& view,
                           const Strip<T>& strip) {
  const ConvGeometry& g = plan.geometry;
  const int most = most_rows(strip.vectors, strip.part == Vec<T>::kLanes);
  const int64_t rows = piece.m_end - piece.m_begin, tiles = (rows + most - 1) / most;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t m = piece.m_begin + rows * t / tiles, count = piece.m_begin + rows * (t + 1) / tiles - m;
    GradTile<T> tile;
    tile.x_image = view.image;
    tile.x_row = g.rows.stride * view.row;
    tile.x_col = g.cols.stride * g.channels;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t tap = (m + i) / plan.depth, channel = (m + i) % plan.depth;
      const int64_t r = tap / g.cols.taps, s = tap % g.cols.taps;
      tile.x[i] = view.first + r * g.rows.dilation * view.row + s * g.cols.dilation * g.channels + channel;
    }
    add_rows(piece, block, {block.row_begin, block.row_end, 0, g.cols.out}, strip, g.filters, m, count, &tile);
  }
}

// Tiles of the groups of channels that copy_groups has made.
template <class T>
void add_block_in_groups(const KernelGradPlan& plan, const GradPiece<T>& piece, const PixelBlock& block, const Strip<T>& strip, const T* copy) {
  const ConvGeometry& g = plan.geometry;
  const int most = most_rows(strip.vectors, strip.part == Vec<T>::kLanes);
  Pixels valid;
  if (!find_pixels(g, block, 0, &valid)) {
    if (!block.first) return;
    valid = {block.row_begin, block.row_begin, 0, 0};  // no pixels: the tiles write zeros
  }
  for (int64_t m = piece.m_begin; m < piece.m_end; m += kGroupRows, copy += plan.group_elements) {
    const int64_t rows = smaller(piece.m_end - m, kGroupRows), tiles = ceil_div(rows, most), cols = valid.col_end - valid.col_begin;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t c = rows * t / tiles, count = rows * (t + 1) / tiles - c;
      GradTile<T> tile;
      tile.x_col = kGroupRows;
      tile.x_row = cols * kGroupRows;
      tile.x_image = (valid.row_end - valid.row_begin) * tile.x_row;
      for (int64_t i = 0; i < count; ++i) tile.x[i] = copy + c + i;
      add_rows(piece, block, valid, strip, g.filters, m + c, count, &tile);
    }
  }
}

// `copy` has room for padded images or groups of channels, then for a strip of dy.
template <class T>
void add_block(const KernelGradPlan& plan, const GradPiece<T>& piece, const PixelBlock& block, T* copy) {
  constexpr int kLanes = Vec<T>::kLanes;
  const ConvGeometry& g = plan.geometry;
  const int64_t x_row = g.cols.in * g.channels, dy_row = g.cols.out * g.filters, dy_image = g.rows.out * dy_row;
  ImageView<T> view = {nullptr, g.rows.in * x_row, x_row};
  if (plan.copy_images) {
    view = copy_padded(g, block, piece.x, copy);
  } else if (plan.across_taps) {
    view.first = piece.x + (block.image_begin * g.rows.in + block.row_begin * g.rows.stride - g.rows.pad) * x_row - g.cols.pad * g.channels;
  }
  const T* dy = piece.dy + block.image_begin * dy_image + block.row_begin * dy_row;
  if (plan.group_elements) copy_groups(plan, piece, block, copy);
  const bool wide = piece.columns > kMaxVectors * kLanes && (kMaxVectors == 1 || plan.group_elements);
  const bool copy_dy = wide && piece.m_end - piece.m_begin >= kCopyRows;
  for (int64_t j = 0; j < piece.columns; j += kMaxVectors * kLanes) {
    const int vectors = static_cast<int>(smaller((piece.columns - j + kLanes - 1) / kLanes, kMaxVectors));
    const int part = static_cast<int>(smaller(piece.columns - j - (vectors - 1) * kLanes, kLanes));
    Strip<T> strip = {j, vectors, part, dy + j, dy_image, dy_row, g.filters};
    if (copy_dy) strip = copy_strip(strip, block, g.cols.out, copy + plan.copy_elements);
    if (plan.group_elements) {
      add_block_in_groups(plan, piece, block, strip, copy);
    } else if (plan.across_taps) {
      add_block_across_taps(plan, piece, block, view, strip);
    } else {
      add_block_by_tap(plan, piece, block, strip);
    }
  }
}

// Passes over the output rows [row, row_end) of all images (row = image * rows.out + row in the image) block by block.
template <class T>
void add_pixels(const KernelGradPlan& plan, GradPiece<T> piece, int64_t row, int64_t row_end, T* copy) {
  const ConvGeometry& g = plan.geometry;
  const int64_t height = g.rows.out, image_pixels = height * g.cols.out, row_begin = row;
  while (row < row_end) {
    const int64_t image = row / height, first = row % height;
    PixelBlock block = {image, image + 1, first, height, row == row_begin};
    if (first == 0 && row_end - row >= height && 2 * image_pixels <= plan.block_pixels) {
      block.image_end = image + smaller((row_end - row) / height, plan.block_pixels / image_pixels);
    } else {
      block.row_end = smaller(smaller(height, first + row_end - row), first + larger(plan.block_pixels / g.cols.out, 1));
    }
    const int64_t rows = (block.image_end - block.image_begin) * (block.row_end - block.row_begin);
    row += rows;
    const int64_t next_end = smaller(row + rows, row_end);
    Approach next[2] = {approach_images(plan, piece, row, next_end), approach_dy(plan, piece, row, next_end)};
    piece.next = next;
    add_block(plan, piece, block, copy);
  }
}

// First row of dw of a unit: one tap and one block of channels.
int64_t first_row(const KernelGradPlan& plan, int64_t unit) {
  if (plan.group_elements) return smaller(unit * kGroupRows, plan.depth);
  return unit / plan.channel_blocks * plan.depth + plan.depth * (unit % plan.channel_blocks) / plan.channel_blocks;
}

template <class T>
void clear(const GradPiece<T>& piece, int64_t filters) {
  for (int64_t m = piece.m_begin; m < piece.m_end; ++m) {
    for (int64_t j = 0; j < piece.columns; ++j) piece.dw[m * filters + j] = T(0);
  }
}

// Chunk order: pixel block, group, panel block, m block.
template <class T>
void compute_chunk(const KernelGradPlan& plan, int64_t chunk, const StepArgs& args) {
  const ConvGeometry& g = plan.geometry;
  const int64_t m_block = chunk % plan.m_blocks;
  chunk /= plan.m_blocks;
  const int64_t panel_block = chunk % plan.panel_blocks;
  chunk /= plan.panel_blocks;
  const int64_t panel = plan.panels * panel_block / plan.panel_blocks, panel_end = plan.panels * (panel_block + 1) / plan.panel_blocks;
  const int64_t group = chunk % g.groups, pixel_block = chunk / g.groups;
  T* dw = plan.pixel_blocks > 1 ? static_cast<T*>(args.scratch) + pixel_block * plan.elements : static_cast<T*>(args.out[0]);
  const int64_t filter = group * plan.columns + panel * kPanelColumns, m = g.rows.taps * g.cols.taps * plan.depth;
  GradPiece<T> piece = {static_cast<const T*>(args.in[0]) + group * plan.depth, static_cast<const T*>(args.in[1]) + filter, dw + filter,
                        smaller(plan.columns, panel_end * kPanelColumns) - panel * kPanelColumns, 0, m, nullptr};
  if (!plan.across_taps) {
    const int64_t units = g.rows.taps * g.cols.taps * plan.channel_blocks;
    piece.m_begin = first_row(plan, units * m_block / plan.m_blocks);
    piece.m_end = first_row(plan, units * (m_block + 1) / plan.m_blocks);
  }
  const int64_t rows = g.cols.out ? g.batch * g.rows.out : 0;
  if (rows == 0) return clear(piece, g.filters);
  add_pixels(plan, piece, rows * pixel_block / plan.pixel_blocks, rows * (pixel_block + 1) / plan.pixel_blocks, static_cast<T*>(args.thread_scratch));
}

// dw = the partial sums in order of their pixel blocks.
template <class T>
void sum_chunk(const KernelGradPlan& plan, int64_t chunk, const T* partials, T* dw) {
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
  const KernelGradPlan& plan = *static_cast<const KernelGradPlan*>(state);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    if (phase == 0) {
      compute_chunk<T>(plan, chunk, args);
    } else {
      sum_chunk(plan, chunk, static_cast<const T*>(args.scratch), static_cast<T*>(args.out[0]));
    }
  }
}

void prepare_kernel_grad(Prepare& prepare) {
  if (winograd::prepare_kernel_grad(prepare) || depthwise::prepare_grouped_kernel_grad(prepare)) return;
  const KernelGradPlan* plan = plan_conv2d_kernel_grad(prepare);
  prepare.set_run(plan->geometry.dtype == DType::kFloat32 ? run_kernel_grad<float> : run_kernel_grad<double>);
}

NN_KERNEL("conv2d_kernel_grad", prepare_kernel_grad);

}  // namespace
}  // namespace conv
}  // namespace nnlite::NN_ISA
