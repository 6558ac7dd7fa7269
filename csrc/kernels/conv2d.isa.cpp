// conv2d, conv2d_input_grad, conv2d_pack: direct convolution of NHWC images, no copies of the image.
//
// The image is cut into rectangles of pixels that see the same taps (all of them inside, fewer along padded edges), so padding costs
// nothing and is never multiplied: a kernel with NaN or infinite weights gives NaN only where a pixel of the image meets them. Every
// rectangle is computed by tiles of pixels x filters that read pixels through pointers. An input gradient is one such
// convolution of dy for every phase of the strides, with the kernel turned and transposed.
#include "kernels/conv2d_few.h"
#include "kernels/conv2d_finish.h"
#include "kernels/conv2d_overlap.h"
#include "kernels/conv2d_plan.h"
#include "kernels/conv2d_tile.h"
#include "kernels/depthwise_grouped.h"
#include "kernels/gemm_pack.h"
#include "kernels/pool_pairs.h"
#include "kernels/winograd.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace conv {
namespace {

// Adds the residual to the pixels a tile has just stored, and takes relu.
template <class T>
__attribute__((noinline)) void add_residual(const Finish& finish, const Tile<T>& tile, int rows, int vectors) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < vectors; ++j) add_residual(finish, tile.outputs[i] + j * kLanes, j == vectors - 1 ? tile.part : kLanes);
  }
}

// Applies an activation that is too large for the tiles to the pixels a tile has just stored.
template <class T>
__attribute__((noinline)) void activate(Activation activation, const Tile<T>& tile, int rows, int vectors) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < vectors; ++j) {
      T* p = tile.outputs[i] + j * kLanes;
      const int part = j == vectors - 1 ? tile.part : kLanes;
      const Vec<T> x = load_part(p, part);
      store_part(p, activation == Activation::kTanh ? tanh(x) : sigmoid(x), part);
    }
  }
}

// Brings near what will be added to a tile when it is done.
template <class T>
NN_INLINE void approach_residual(const Finish& finish, const Tile<T>& tile, int rows, int vectors) {
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < vectors; ++j) prefetch(step_to(tile.outputs[i] + j * Vec<T>::kLanes, finish.to_residual));
  }
}

// Brings what the next tile is the first to read near the cache: of every pixel the taps that its left and upper neighbours do not see. At the end of
// a row these lie elsewhere, and nothing is gained.
template <class T>
NN_INLINE void approach(const DenseConv& conv, const Tile<T>& tile, const T* in, int count) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t seen = (tile.tap_cols - 1) * tile.tap_col + tile.run, fresh = smaller(seen, conv.col_in);
  in += seen - fresh;
  for (int64_t r = larger(tile.tap_rows - conv.rows.stride, 0); r < tile.tap_rows; ++r) {
    const T* pixel = in + r * conv.tap_row;
    for (int i = 0; i < count; ++i, pixel += conv.col_in) {
      for (int64_t c = 0; c < fresh; c += kLine) prefetch_l2(pixel + c);
    }
  }
}

// Runs one rectangle of pixels that see the same taps through tiles of almost equal size. `fresh`: the pixels have not been read lately.
template <class T>
void run_rectangle(const DenseConv& conv, const Block& block, const Finish& finish, int vectors, bool fresh, const T* in, T* out, Tile<T>* tile) {
  const int max_rows = kMaxRows[vectors];
  const int64_t rows = block.row_end - block.row_begin, cols = block.col_end - block.col_begin;
  const int64_t pixels = (block.image_end - block.image_begin) * rows * cols;
  const int64_t tiles = (pixels + max_rows - 1) / max_rows;
  const int64_t size = pixels / tiles, longer = pixels % tiles;
  // Steps from the last pixel of a row to the first of the next, and from the last of an image to the first of the next.
  const int64_t next_row_in = conv.row_in - cols * conv.col_in, next_row_out = conv.row_out - cols * conv.col_out;
  const int64_t next_image_in = conv.image_in - rows * conv.row_in, next_image_out = conv.image_out - rows * conv.row_out;
  in += block.image_begin * conv.image_in + block.row_begin * conv.row_in + block.col_begin * conv.col_in;
  out += block.image_begin * conv.image_out + block.row_begin * conv.row_out + block.col_begin * conv.col_out;
  int64_t cols_left = cols, rows_left = rows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int count = static_cast<int>(size + (t < longer));
    for (int i = 0; i < count; ++i) {
      tile->pixels[i] = in;
      tile->outputs[i] = out;
      in += conv.col_in;
      out += conv.col_out;
      if (--cols_left == 0) {
        cols_left = cols;
        in += next_row_in;
        out += next_row_out;
        if (--rows_left == 0) {
          rows_left = rows;
          in += next_image_in;
          out += next_image_out;
        }
      }
    }
    if (fresh) approach(conv, *tile, in, count);
    if (finish.residual) approach_residual(finish, *tile, count, vectors);
    find_tile(in, count, vectors)(*tile);
    if (finish.residual) add_residual(finish, *tile, count, vectors);
    if (activates_after(finish.activation)) activate(finish.activation, *tile, count, vectors);
  }
}

// Short sums have their own kernel, for float32 with whole vectors of filters.
bool has_nine_taps(const DensePlan& plan, const DenseConv& conv, const Finish& finish, int64_t columns) {
  return kHasNineTapRows && plan.dtype == DType::kFloat32 && plan.depth == 1 && conv.contiguous_taps && conv.taps_rows == 3 &&
         conv.taps_cols == 3 && columns % Vec<float>::kLanes == 0 && !finish.residual && !activates_after(finish.activation);
}

void run_nine_tap_rectangle(const DenseConv& conv, const Block& block, int vectors, const float* in, float* out, const Tile<float>& tile) {
  NineTaps taps;
  const int columns = vectors * Vec<float>::kLanes;
  for (int j = 0; j < columns; ++j) {
    for (int t = 0; t < 9; ++t) taps.weights[t][j] = tile.weights[t * tile.ldb + j];
    taps.bias[j] = tile.flags & kBias ? tile.bias[j] : -0.0f;
  }
  taps.floor = tile.flags & kRelu ? 0.0f : -__builtin_inff();
  NineTapRow row = {&taps, nullptr, nullptr, block.col_end - block.col_begin, conv.col_in, conv.col_out, conv.tap_row};
  for (int64_t n = block.image_begin; n < block.image_end; ++n) {
    for (int64_t h = block.row_begin; h < block.row_end; ++h) {
      row.in = in + n * conv.image_in + h * conv.row_in + block.col_begin * conv.col_in;
      row.out = out + n * conv.image_out + h * conv.row_out + block.col_begin * conv.col_out;
      run_nine_tap_row(row, vectors);
    }
  }
}
void run_nine_tap_rectangle(const DenseConv&, const Block&, int, const double*, double*, const Tile<double>&) {}

// Runs a block of pixels for one panel of columns. `in`, `out`, `bias` and `weights` are those of the group and panel.
template <class T>
void run_panel(const DensePlan& plan, const DenseConv& conv, const Block& block, const Finish& finish, bool fresh, const T* in, const T* weights,
               int64_t ldb, int64_t columns, const T* bias, T* out) {
  constexpr int kLanes = Vec<T>::kLanes;
  Tile<T> tile;
  tile.ldb = ldb;
  tile.flags = (plan.bias ? kBias : 0) | (plan.activation == Activation::kRelu && !finish.residual ? kRelu : 0);
  const bool nine_taps = has_nine_taps(plan, conv, finish, columns);
  const int most_vectors = nine_taps ? kNineTapVectors : kMaxVectors;
  for (int64_t j = 0; j < columns; j += most_vectors * kLanes) {
    const int vectors = static_cast<int>(smaller((columns - j + kLanes - 1) / kLanes, most_vectors));
    tile.part = static_cast<int>(smaller(columns - j - (vectors - 1) * kLanes, kLanes));
    for (int64_t y = 0; y < conv.row_segment_count; ++y) {
      const ConvSegment& row = conv.row_segments[y];
      for (int64_t x = 0; x < conv.col_segment_count; ++x) {
        const ConvSegment& col = conv.col_segments[x];
        const Block part = {block.image_begin, block.image_end, larger(block.row_begin, row.begin), smaller(block.row_end, row.end),
                            larger(block.col_begin, col.begin), smaller(block.col_end, col.end)};
        if (part.row_begin >= part.row_end || part.col_begin >= part.col_end) continue;
        const int64_t tap_cols = col.tap_end - col.tap_begin;
        tile.tap_rows = tap_cols && plan.depth ? row.tap_end - row.tap_begin : 0;
        tile.tap_cols = conv.contiguous_taps ? 1 : tap_cols;
        tile.run = conv.contiguous_taps ? tap_cols * plan.depth : plan.depth;
        tile.tap_col = conv.tap_col;
        tile.tap_row_skip = conv.tap_row - tile.tap_cols * conv.tap_col;
        tile.weight_skip = (conv.taps_cols - tap_cols) * plan.depth * ldb;
        tile.bias = bias + j;
        tile.weights = weights + j + (row.tap_begin * conv.taps_cols + col.tap_begin) * plan.depth * ldb;
        const int64_t first_tap = row.tap_begin * conv.tap_row + col.tap_begin * conv.tap_col;
        const T* from = in + conv.origin_in + first_tap;
        T* to = out + conv.origin_out + j;
        if (nine_taps && row.tap_end - row.tap_begin == 3 && tap_cols == 3) {
          run_nine_tap_rectangle(conv, part, vectors, from, to, tile);
        } else {
          // Rows of nine taps take more vectors at once than tiles may.
          for (int v = 0; v < vectors; v += kMaxVectors) {
            run_rectangle(conv, part, finish, static_cast<int>(smaller(vectors - v, kMaxVectors)), fresh && j + v == 0, from, to + v * kLanes, &tile);
            tile.weights += kMaxVectors * kLanes;
            tile.bias += kMaxVectors * kLanes;
          }
        }
      }
    }
  }
}

bool run_few_filters(const DensePlan&, const DenseConv&, const Block&, const double*, const double*, int64_t, const double*, double*, double*) {
  return false;
}

// Clears the columns [first, first + count) of the rows of an image that belong to the rows [begin, end) of its only phase with taps.
template <class T>
void clear_rows(const DensePlan& plan, const DenseConv& conv, int64_t begin, int64_t end, int64_t first, int64_t count, T* image) {
  const int64_t pixel = plan.groups * plan.columns, last = end == conv.out_rows ? plan.fill_rows : end * plan.fill_stride;
  T* p = image + begin * plan.fill_stride * plan.fill_row;
  T* stop = image + last * plan.fill_row;
  if (count == pixel) {
    __builtin_memset(p, 0, (stop - p) * sizeof(T));
    return;
  }
  for (p += first; p < stop; p += pixel) __builtin_memset(p, 0, count * sizeof(T));
}

// run_panel on an image that is zero outside the convolution's pixels. `first`: the panel's first column of the image, at which `out` is.
template <class T>
void run_filled_panel(const DensePlan& plan, const DenseConv& conv, const Block& block, const T* in, const T* weights, int64_t ldb, int64_t first,
                      int64_t columns, T* out) {
  for (int64_t n = block.image_begin; n < block.image_end; ++n) {
    for (int64_t h = block.row_begin; h < block.row_end; h += plan.fill_band) {
      const int64_t end = smaller(h + plan.fill_band, block.row_end);
      clear_rows(plan, conv, h, end, first, columns, out - first + n * conv.image_out);
      run_panel<T>(plan, conv, {n, n + 1, h, end, block.col_begin, block.col_end}, Finish(), first == 0, in, weights, ldb, columns, nullptr, out);
    }
  }
}

// run_panel band by band into `scratch`, and every band pooled. y and cells are those of the panel's first filter.
void run_pooled_panel(const DensePlan& plan, const DenseConv& conv, const Block& block, const Finish& finish, bool fresh, const float* in,
                      const float* weights, int64_t ldb, int64_t columns, const float* bias, float* y, uint8_t* cells, float* scratch) {
  const ConvPool& pool = plan.pool;
  const int64_t width = block.col_end - block.col_begin, pooled_row = pool.cols * plan.columns, pooled_image = pool.rows * pooled_row;
  DenseConv band = conv;
  band.origin_out = 0;
  band.col_out = columns;
  band.row_out = width * columns;
  for (int64_t h = block.row_begin; h < block.row_end; h += pool.band_rows) {
    const int64_t end = smaller(h + pool.band_rows, block.row_end);
    band.image_out = (end - h) * band.row_out;
    for (int64_t n = block.image_begin; n < block.image_end; n += pool.band_images) {
      const int64_t last = smaller(n + pool.band_images, block.image_end);
      float* out = scratch - n * band.image_out - h * band.row_out - block.col_begin * columns;
      run_panel(plan, band, {n, last, h, end, block.col_begin, block.col_end}, finish, fresh, in, weights, ldb, columns, bias, out);
      for (int64_t i = n; i < last; ++i) {
        const int64_t at = i * pooled_image + h / 2 * pooled_row + block.col_begin / 2 * plan.columns;
        pool_pairs({scratch + (i - n) * band.image_out, band.row_out, columns, (end - h) / 2, width / 2, columns, y + at,
                    cells == nullptr ? nullptr : cells + at, pooled_row, plan.columns, pool.cut});
      }
    }
  }
}
void run_pooled_panel(const DensePlan&, const DenseConv&, const Block&, const Finish&, bool, const double*, const double*, int64_t, int64_t,
                      const double*, double*, uint8_t*, double*) {}

// Chunk order: convolution, image block, row block, column block, group, panel block.
template <class T>
void compute_chunk(const DensePlan& plan, const Finish& finish, int64_t chunk, const T* x, const T* weights, const T* bias, T* y, uint8_t* cells,
                   T* scratch) {
  const int64_t panel_block = chunk % plan.panel_blocks;
  chunk /= plan.panel_blocks;
  const int64_t group = chunk % plan.groups;
  chunk /= plan.groups;
  const int64_t col_block = chunk % plan.col_blocks;
  chunk /= plan.col_blocks;
  const int64_t row_block = chunk % plan.row_blocks;
  chunk /= plan.row_blocks;
  const int64_t image_block = chunk % plan.image_blocks;
  const DenseConv& conv = plan.convs[chunk / plan.image_blocks];
  const int64_t unit = plan.pool.on ? 2 : 1, rows = conv.out_rows / unit, cols = conv.out_cols / unit;  // blocks hold whole windows
  const Block block = {plan.batch * image_block / plan.image_blocks,  plan.batch * (image_block + 1) / plan.image_blocks,
                       rows * row_block / plan.row_blocks * unit,     rows * (row_block + 1) / plan.row_blocks * unit,
                       cols * col_block / plan.col_blocks * unit,     cols * (col_block + 1) / plan.col_blocks * unit};
  const int64_t taps = conv.taps_rows * conv.taps_cols;
  const int64_t first_panel = plan.panels * panel_block / plan.panel_blocks, panel_end = plan.panels * (panel_block + 1) / plan.panel_blocks;
  for (int64_t panel = first_panel; panel < panel_end; ++panel) {
    const int64_t first = panel * kPanelColumns;
    const T* b;
    int64_t ldb;
    if (plan.in_place && !plan.packed) {
      b = weights + group * plan.columns + first;
      ldb = plan.ldb;
    } else {
      b = weights + conv.weights + group * conv.group_weights + first * taps * plan.depth;
      ldb = panel_width(plan.columns, panel);
    }
    const int64_t filter = group * plan.columns + first, count = smaller(plan.columns - first, kPanelColumns);
    if (plan.fill_rows) {
      run_filled_panel(plan, conv, block, x + group * plan.depth, b, ldb, filter, count, y + filter);
      continue;
    }
    if (plan.pool.on) {
      uint8_t* panel_cells = cells == nullptr ? nullptr : cells + filter;
      run_pooled_panel(plan, conv, block, finish, panel == first_panel, x, b, ldb, count, bias + filter, y + filter, panel_cells, scratch);
      continue;
    }
    if (plan.few_rows && run_few_filters(plan, conv, block, x + group * plan.depth, b, ldb, bias + filter, y + filter, scratch)) continue;
    run_panel(plan, conv, block, finish, panel == first_panel, x + group * plan.depth, b, ldb, count, bias + filter, y + filter);
  }
}

// Packs one kernel row of one panel: rows [r * taps_cols * depth, ..) of the matrix [taps * depth, columns].
template <class T>
void pack_kernel_row(const DensePlan& plan, const DenseConv& conv, int64_t group, int64_t panel, int64_t r, const T* w, T* packed) {
  const int64_t first = panel * kPanelColumns, width = panel_width(plan.columns, panel), taps = conv.taps_rows * conv.taps_cols;
  const int64_t row_elements = conv.taps_cols * plan.depth;
  T* to = packed + conv.weights + group * conv.group_weights + first * taps * plan.depth + r * row_elements * width;
  pack_rows(w + r * row_elements * plan.filters + group * plan.columns + first, plan.filters, to, width,
                  smaller(plan.columns - first, kPanelColumns), row_elements);
}

// The same for an input gradient: tap (r, s) of the turned kernel, transposed to [filters, channels].
template <class T>
void pack_turned_kernel_row(const DensePlan& plan, const DenseConv& conv, int64_t group, int64_t panel, int64_t r, const T* w, T* packed) {
  const int64_t first = panel * kPanelColumns, width = panel_width(plan.columns, panel), taps = conv.taps_rows * conv.taps_cols;
  T* to = packed + conv.weights + group * conv.group_weights + first * taps * plan.depth + r * conv.taps_cols * plan.depth * width;
  const int64_t row = conv.row_phase.first + (conv.taps_rows - 1 - r) * conv.row_phase.step;
  for (int64_t s = 0; s < conv.taps_cols; ++s) {
    const int64_t col = conv.col_phase.first + (conv.taps_cols - 1 - s) * conv.col_phase.step;
    const T* from = w + ((row * plan.kernel_cols + col) * plan.columns + first) * plan.filters + group * plan.depth;
    pack_transposed(from, plan.filters, to + s * plan.depth * width, width, smaller(plan.columns - first, kPanelColumns), plan.depth);
  }
}

template <class T, bool kInputGrad>
void pack_chunk(const DensePlan& plan, int64_t chunk, const T* w, T* packed) {
  const int64_t r = chunk % plan.pack_rows;
  chunk /= plan.pack_rows;
  const int64_t panel = chunk % plan.panels;
  chunk /= plan.panels;
  const DenseConv& conv = plan.convs[chunk / plan.groups];
  if (r >= conv.taps_rows) return;
  if (kInputGrad) {
    pack_turned_kernel_row(plan, conv, chunk % plan.groups, panel, r, w, packed);
  } else {
    pack_kernel_row(plan, conv, chunk % plan.groups, panel, r, w, packed);
  }
}

template <class T, bool kInputGrad>
void run_dense(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const DensePlan& plan = *static_cast<const DensePlan*>(state);
  const T* x = static_cast<const T*>(args.in[0]);
  const T* w = static_cast<const T*>(args.in[1]);
  T* scratch = static_cast<T*>(args.scratch);
  if (phase == 0 && !plan.in_place) {
    for (int64_t chunk = begin; chunk < end; ++chunk) pack_chunk<T, kInputGrad>(plan, chunk, w, scratch);
    return;
  }
  const T* bias = plan.bias ? static_cast<const T*>(args.in[2]) : nullptr;
  const Finish finish = make_finish(plan.residual, plan.activation, args);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    compute_chunk(plan, finish, chunk, x, plan.in_place ? w : scratch, bias, static_cast<T*>(args.out[0]),
                  plan.pool.cells ? static_cast<uint8_t*>(args.out[1]) : nullptr, static_cast<T*>(args.thread_scratch));
  }
}

void prepare_conv2d(Prepare& prepare) {
  if (winograd::prepare_conv2d(prepare) || depthwise::prepare_grouped_conv2d(prepare)) return;
  const DensePlan* plan = plan_conv2d(prepare);
  prepare.set_run(plan->dtype == DType::kFloat32 ? run_dense<float, false> : run_dense<double, false>);
}

void prepare_input_grad(Prepare& prepare) {
  if (winograd::prepare_input_grad(prepare) || depthwise::prepare_grouped_input_grad(prepare) || prepare_overlap_input_grad(prepare)) return;
  const DensePlan* plan = plan_conv2d_input_grad(prepare);
  prepare.set_run(plan->dtype == DType::kFloat32 ? run_dense<float, true> : run_dense<double, true>);
}

template <class T>
void run_pack(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const DensePlan& plan = *static_cast<const DensePlan*>(state);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    pack_chunk<T, false>(plan, chunk, static_cast<const T*>(args.in[0]), static_cast<T*>(args.out[0]));
  }
}

void prepare_pack(Prepare& prepare) {
  const DensePlan* plan = plan_conv2d_pack(prepare);
  prepare.set_run(plan->dtype == DType::kFloat32 ? run_pack<float> : run_pack<double>);
}

NN_KERNEL("conv2d", prepare_conv2d);
NN_KERNEL("conv2d_input_grad", prepare_input_grad);
NN_KERNEL("conv2d_pack", prepare_pack);

}  // namespace
}  // namespace conv
}  // namespace nnlite::NN_ISA
