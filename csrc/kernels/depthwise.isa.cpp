// depthwise_conv2d and depthwise_conv2d_input_grad.
//
// As in conv2d, the image is cut into rectangles of pixels that see the same taps, and an input gradient is one such convolution of dy for
// every phase of the strides. The input gradient of 3 x 3 taps at stride 2 computes all four phases of a pixel from the same loads. One accumulator
// per element, taps in row-major order, whatever the tile's shape.
#include "kernels/depthwise_grouped.h"
#include "kernels/depthwise_joint.h"
#include "kernels/depthwise_pixels.h"
#include "kernels/depthwise_plan.h"
#include "kernels/depthwise_tile.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

constexpr int64_t kRowBlock = 8;  // rows whose edges follow right after their middle, while they are in the second cache

// Activations too large for the tiles, on what was just stored.
template <class T>
__attribute__((noinline)) void activate(Activation activation, const DenseConv& conv, const Rectangle& part, int64_t begin, int64_t end, T* out) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t h = part.row_begin; h < part.row_end; ++h) {
    for (int64_t w = part.col_begin; w < part.col_end; ++w) {
      for (int64_t c = begin; c < end; c += kLanes) {
        T* p = out + h * conv.row_out + w * conv.col_out + c;
        const int lanes = static_cast<int>(smaller(end - c, kLanes));
        const Vec<T> x = load_part(p, lanes);
        store_part(p, activation == Activation::kTanh ? tanh(x) : sigmoid(x), lanes);
      }
    }
  }
}

// `in` and `out` are those of pixel (0, 0) of one image.
template <class T>
void run_plain(const DenseConv& conv, const Rectangle& part, const T* in, T* out, Tile<T> tile) {
  // Tiles follow the longer side of narrow rectangles.
  const int64_t rows = part.row_end - part.row_begin, cols = part.col_end - part.col_begin;
  const bool down = cols < kMostPixels && rows > cols;
  const int64_t lines = down ? cols : rows, length = down ? rows : cols;
  const int64_t line_in = down ? conv.col_in : conv.row_in, line_out = down ? conv.col_out : conv.row_out;
  tile.pixel_in = down ? conv.row_in : conv.col_in;
  tile.pixel_out = down ? conv.row_out : conv.col_out;
  in += part.row_begin * conv.row_in + part.col_begin * conv.col_in;
  out += part.row_begin * conv.row_out + part.col_begin * conv.col_out;
  const int64_t tiles = (length + kMostPixels - 1) / kMostPixels;
  const int64_t begin = tile.begin, end = tile.end;
  for (int64_t line = 0; line < lines; ++line) {
    for (tile.begin = begin; tile.begin < end; tile.begin = tile.end) {
      tile.end = smaller(tile.begin + kChannelBlock, end);
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t first = length * t / tiles, count = length * (t + 1) / tiles - first;
        tile.in = in + line * line_in + first * tile.pixel_in;
        tile.out = out + line * line_out + first * tile.pixel_out;
        (tile.map ? find_plain_tile<T, true>(count) : find_plain_tile<T, false>(count))(tile);
      }
    }
  }
}

template <class T>
void run_sliding(const DenseConv& conv, const Rectangle& part, AxisEdges rows_edges, AxisEdges cols_edges, const T* in, T* out, Tile<T> tile) {
  tile.pixel_out = conv.col_out;
  tile.row_out = conv.row_out;
  const int64_t stride = conv.col_in == conv.tap_col ? 1 : 2;
  const int64_t cols = part.col_end - part.col_begin, tiles = ceil_div(cols, kSlidingCols);
  // Registers go one by one along many tiles, unless they would drive each other from the first cache (pixels of such sizes meet in 8 of its sets)
  // or the image comes from memory, by whole pixels.
  const int64_t run = tile.fetches || conv.tap_col * sizeof(T) % 512 == 0 ? 1 : cols;
  const int64_t begin = tile.begin, end = tile.end;
  for (int64_t h = part.row_begin, rows; h < part.row_end; h += rows) {
    rows = smaller(part.row_end - h, kSlidingRows);
    tile.misses_top = rows_edges.first && h == part.row_begin;
    tile.misses_bottom = rows_edges.last && h + rows == part.row_end;
    for (tile.begin = begin; tile.begin < end; tile.begin = tile.end) {
      tile.end = smaller(tile.begin + kChannelBlock, end);
      tile.in = in + h * conv.row_in + part.col_begin * conv.col_in;
      tile.out = out + h * conv.row_out + part.col_begin * conv.col_out;
      for (int64_t left = tiles; left > 0; left -= tile.count) {
        // Widths differ by one at most; the wider tiles come first.
        const int64_t wide = cols % tiles - (tiles - left);
        const int64_t width = cols / tiles + (wide > 0);
        tile.count = smaller(wide > 0 ? wide : left, run);
        tile.misses_left = cols_edges.first && left == tiles;
        tile.misses_right = cols_edges.last && left == tile.count;
        find_sliding_tile(in, rows, width, stride == 2, tile.map)(tile);
        tile.in += tile.count * width * conv.col_in;
        tile.out += tile.count * width * conv.col_out;
      }
    }
  }
}

// 3 x 3 neighbouring taps, at the same stride of 1 or 2 in both axes.
bool slides(const DenseConv& conv, int64_t tap_rows, int64_t tap_cols) {
  const bool same = conv.tap_row == conv.row_in && conv.tap_col == conv.col_in;
  return tap_rows == 3 && tap_cols == 3 && (same || (2 * conv.tap_row == conv.row_in && 2 * conv.tap_col == conv.col_in));
}

// Activations that tiles do not compute. `out` is pixel (0, 0) of the convolution.
template <class T>
void finish_part(const DepthwisePlan& plan, const DenseConv& conv, const Rectangle& part, const Tile<T>& tile, T* out) {
  if (plan.activation == Activation::kSigmoid || plan.activation == Activation::kTanh) {
    activate(plan.activation, conv, part, tile.begin, tile.end, out);
  }
}

// One rectangle of one image; `tile` has the channels and what does not depend on the rectangle.
template <class T>
void run_rectangle(const DepthwisePlan& plan, const DenseConv& conv, const ConvSegment& row, const ConvSegment& col, const Rectangle& part,
                   const T* in, const T* weights, T* out, Tile<T> tile) {
  tile.tap_rows = row.tap_end - row.tap_begin;
  tile.tap_cols = col.tap_end - col.tap_begin;
  tile.weights = weights + conv.weights + row.tap_begin * conv.weight_row + col.tap_begin * conv.weight_col;
  const T* from = in + conv.origin_in + row.tap_begin * conv.tap_row + col.tap_begin * conv.tap_col;
  T* to = out + conv.origin_out;
  if (kHasSliding<T> && (kSlidesMapped || !tile.map) && slides(conv, tile.tap_rows, tile.tap_cols)) {
    run_sliding(conv, part, {}, {}, from, to, tile);
  } else {
    run_plain(conv, part, from, to, tile);
  }
  finish_part(plan, conv, part, tile, to);
}

// The pixels `block` by sliding tiles alone, where all of them can be: false where they cannot.
template <class T>
bool run_sliding_block(const DepthwisePlan& plan, const DenseConv& conv, const Rectangle& block, const T* in, const T* weights, T* out,
                       Tile<T> tile) {
  AxisEdges rows, cols;
  if (!kHasSliding<T> || (!kSlidesMapped && tile.map) || !slides(conv, 3, 3)) return false;
  if (!find_edges(conv.row_segments, conv.row_segment_count, conv.taps_rows, &rows)) return false;
  if (!find_edges(conv.col_segments, conv.col_segment_count, conv.taps_cols, &cols)) return false;
  // Phases of an input gradient may have a row or column less than the first, which cuts the work.
  const int64_t row_end = smaller(block.row_end, conv.out_rows), col_end = smaller(block.col_end, conv.out_cols);
  if (block.col_begin >= col_end) return true;
  tile.weights = weights + conv.weights;
  cols = {cols.first && block.col_begin == 0, cols.last && col_end == conv.out_cols};
  for (int64_t h = block.row_begin; h < row_end; h += kRowBlock) {
    const Rectangle part = {h, smaller(h + kRowBlock, row_end), block.col_begin, col_end};
    const AxisEdges ends = {rows.first && h == 0, rows.last && part.row_end == conv.out_rows};
    run_sliding(conv, part, ends, cols, in + conv.origin_in, out + conv.origin_out, tile);
    finish_part(plan, conv, part, tile, out + conv.origin_out);
  }
  return true;
}

// The pixels `block` of one image, filters [begin, end).
template <class T>
void run_block(const DepthwisePlan& plan, const DenseConv& conv, const Rectangle& block, int64_t begin, int64_t end, const T* in, const T* weights,
               const T* bias, T* out) {
  Tile<T> tile = {};
  tile.begin = begin;
  tile.end = end;
  tile.tap_row = conv.tap_row;
  tile.tap_col = conv.tap_col;
  tile.weight_row = conv.weight_row;
  tile.weight_col = conv.weight_col;
  tile.bias = bias;
  tile.relu = plan.activation == Activation::kRelu;
  tile.map = plan.channel_of;
  tile.depth = plan.map_depth;
  tile.weight_depth = plan.weight_depth;
  tile.fetches = plan.fetches;
  tile.past_caches = plan.past_caches && reinterpret_cast<uintptr_t>(out) % 64 == 0;
  const bool done = run_sliding_block(plan, conv, block, in, weights, out, tile);
  for (int64_t y = 0; y < conv.row_segment_count && !done; ++y) {
    const ConvSegment& row = conv.row_segments[y];
    const int64_t row_end = smaller(block.row_end, row.end);
    for (int64_t h = larger(block.row_begin, row.begin); h < row_end; h += kRowBlock) {
      for (int64_t x = 0; x < conv.col_segment_count; ++x) {
        const ConvSegment& col = conv.col_segments[x];
        const Rectangle part = {h, smaller(h + kRowBlock, row_end), larger(block.col_begin, col.begin), smaller(block.col_end, col.end)};
        if (part.col_begin < part.col_end) run_rectangle(plan, conv, row, col, part, in, weights, out, tile);
      }
    }
  }
  if (tile.past_caches) stream_fence();
}

// Rows [first, last) of every phase of one image, filters [begin, end).
template <class T>
void run_phases(const DepthwisePlan& plan, int64_t first, int64_t last, int64_t begin, int64_t end, const T* dy, const T* weights, T* dx) {
  const auto run = [&](const Rectangle& block) {
    for (int64_t i = 0; i < plan.conv_count; ++i) run_block<T>(plan, plan.convs[i], block, begin, end, dy, weights, nullptr, dx);
  };
  const int64_t cols = plan.convs[0].out_cols;
  const JointPhases& joint = plan.joint;
  const int64_t top = larger(first, joint.rows.begin), bottom = smaller(last, joint.rows.end);
  if (!kHasSliding<T> || !plan.has_joint || top >= bottom) return run({first, last, 0, cols});
  run_joint(plan, {top, bottom, joint.cols.begin, joint.cols.end}, begin, end, dy, weights, dx);
  run({first, top, 0, cols});
  run({top, bottom, 0, joint.cols.begin});
  run({top, bottom, joint.cols.end, cols});
  run({bottom, last, 0, cols});
}

// dx[i] = the sum of `multiplier` neighbours, in order. Constant multipliers become vectors.
template <class T, int kMultiplier>
void add_some_neighbours(const T* from, int64_t elements, T* dx) {
  for (int64_t i = 0; i < elements; ++i) {
    T sum = from[i * kMultiplier];
#pragma GCC unroll 4
    for (int m = 1; m < kMultiplier; ++m) sum += from[i * kMultiplier + m];
    dx[i] = sum;
  }
}
template <class T>
void add_neighbours(const T* from, int64_t elements, int64_t multiplier, T* dx) {
  if (multiplier == 2) return add_some_neighbours<T, 2>(from, elements, dx);
  if (multiplier == 3) return add_some_neighbours<T, 3>(from, elements, dx);
  if (multiplier == 4) return add_some_neighbours<T, 4>(from, elements, dx);
  for (int64_t i = 0; i < elements; ++i) {
    T sum = from[i * multiplier];
    for (int64_t m = 1; m < multiplier; ++m) sum += from[i * multiplier + m];
    dx[i] = sum;
  }
}

struct Chunk {
  int64_t image_begin, image_end, row_begin, row_end, begin, end;  // rows of the first convolution; filters
};

// Chunk order: image block, row block, block of channel panels.
Chunk find_chunk(const DepthwisePlan& plan, int64_t chunk) {
  const int64_t panel_block = chunk % plan.panel_blocks;
  chunk /= plan.panel_blocks;
  const int64_t row_block = chunk % plan.row_blocks, image_block = chunk / plan.row_blocks, rows = plan.convs[0].out_rows;
  return {plan.batch * image_block / plan.image_blocks,
          plan.batch * (image_block + 1) / plan.image_blocks,
          rows * row_block / plan.row_blocks,
          rows * (row_block + 1) / plan.row_blocks,
          plan.panels * panel_block / plan.panel_blocks * kPanelColumns,
          smaller(plan.panels * (panel_block + 1) / plan.panel_blocks * kPanelColumns, plan.columns)};
}

template <class T>
void compute_forward(const DepthwisePlan& plan, int64_t begin, int64_t end, const T* x, const T* weights, const T* bias, T* y) {
  const DenseConv& conv = plan.convs[0];
  for (int64_t i = begin; i < end; ++i) {
    const Chunk chunk = find_chunk(plan, i);
    for (int64_t n = chunk.image_begin; n < chunk.image_end; ++n) {
      run_block(plan, conv, {chunk.row_begin, chunk.row_end, 0, conv.out_cols}, chunk.begin, chunk.end, x + n * conv.image_in, weights, bias,
                y + n * conv.image_out);
    }
  }
}

template <class T>
void run_forward(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const DepthwisePlan& plan = *static_cast<const DepthwisePlan*>(state);
  compute_forward(plan, begin, end, static_cast<const T*>(args.in[0]), static_cast<const T*>(args.in[1]),
                  plan.bias ? static_cast<const T*>(args.in[2]) : nullptr, static_cast<T*>(args.out[0]));
}

// Some rows of the gradient of one image. With a multiplier, first for every filter into `by_filter`, then added up.
template <class T>
void run_grad_rows(const DepthwisePlan& plan, int64_t first, int64_t last, const Chunk& chunk, const T* dy, const T* weights, T* dx, T* by_filter) {
  if (plan.multiplier == 1) return run_phases(plan, first, last, chunk.begin, chunk.end, dy, weights, dx);
  const int64_t row = plan.input_cols * plan.columns, top = first * plan.input_stride;
  run_phases(plan, first, last, chunk.begin, chunk.end, dy, weights, by_filter - top * row);
  const int64_t rows = smaller(last * plan.input_stride, plan.input_rows) - top, elements = row / plan.multiplier;
  add_neighbours(by_filter, rows * elements, plan.multiplier, dx + top * elements);
}

template <class T>
void compute_input_grad(const DepthwisePlan& plan, int64_t begin, int64_t end, const T* dy, const T* weights, T* dx, T* by_filter) {
  const int64_t image_out = plan.input_rows * plan.input_cols * plan.columns / plan.multiplier;
  for (int64_t i = begin; i < end; ++i) {
    const Chunk chunk = find_chunk(plan, i);
    for (int64_t n = chunk.image_begin; n < chunk.image_end; ++n) {
      for (int64_t h = chunk.row_begin; h < chunk.row_end; h += plan.band_rows) {
        run_grad_rows(plan, h, smaller(h + plan.band_rows, chunk.row_end), chunk, dy + n * plan.convs[0].image_in, weights, dx + n * image_out,
                      by_filter);
      }
    }
  }
}

template <class T>
void run_input_grad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  compute_input_grad(*static_cast<const DepthwisePlan*>(state), begin, end, static_cast<const T*>(args.in[0]), static_cast<const T*>(args.in[1]),
                     static_cast<T*>(args.out[0]), static_cast<T*>(args.thread_scratch));
}

// Brings the weights of a tap into the order [channel of the group, filter]: from panels of 16 columns for every group, or turned for an input
// gradient, where filters and channels change places.
void order_weights(const DepthwisePlan& plan, int64_t tap, int64_t taps, const float* w, float* to) {
  const int64_t depth = plan.map_depth, filters = plan.filters;
  const bool turned = plan.group_weights == GroupWeights::kTurned;
  to += tap * depth * filters;
  for (int64_t d = 0; d < depth; ++d) {
    for (int64_t f = 0; f < filters; ++f) {
      const int64_t group = f / depth, place = f % depth;
      const int64_t from = turned ? (tap * depth + place) * filters + group * depth + d : ((group * taps + tap) * depth + d) * kPanelMultiple + place;
      to[d * filters + f] = w[from];
    }
  }
}

// Forward or input gradient of small groups.
template <bool kInputGrad>
void run_grouped(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const DepthwisePlan& plan = *static_cast<const DepthwisePlan*>(state);
  const float* weights = static_cast<const float*>(args.in[1]);
  float* ordered = static_cast<float*>(args.scratch);
  if (plan.group_weights != GroupWeights::kPlain) {
    for (int64_t tap = begin; phase == 0 && tap < end; ++tap) order_weights(plan, tap, plan.kernel_taps, weights, ordered);
    if (phase == 0) return;
    weights = ordered;
  }
  const float* in = static_cast<const float*>(args.in[0]);
  float* out = static_cast<float*>(args.out[0]);
  if (kInputGrad) return compute_input_grad<float>(plan, begin, end, in, weights, out, nullptr);
  compute_forward(plan, begin, end, in, weights, plan.bias ? static_cast<const float*>(args.in[2]) : nullptr, out);
}

void prepare_forward(Prepare& prepare) {
  const DepthwisePlan* plan = plan_depthwise_conv2d(prepare);
  prepare.set_run(plan->dtype == DType::kFloat32 ? run_forward<float> : run_forward<double>);
}

void prepare_input_grad(Prepare& prepare) {
  const DepthwisePlan* plan = plan_depthwise_conv2d_input_grad(prepare);
  prepare.set_run(plan->dtype == DType::kFloat32 ? run_input_grad<float> : run_input_grad<double>);
}

NN_KERNEL("depthwise_conv2d", prepare_forward);
NN_KERNEL("depthwise_conv2d_input_grad", prepare_input_grad);

}  // namespace

bool prepare_grouped_conv2d(Prepare& prepare) {
  if (!plan_grouped_conv2d(prepare)) return false;
  prepare.set_run(run_grouped<false>);
  return true;
}

bool prepare_grouped_input_grad(Prepare& prepare) {
  if (!plan_grouped_input_grad(prepare)) return false;
  prepare.set_run(run_grouped<true>);
  return true;
}

}  // namespace depthwise
}  // namespace nnlite::NN_ISA
