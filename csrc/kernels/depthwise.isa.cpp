// depthwise_conv2d and depthwise_conv2d_input_grad.
//
// As in conv2d, the image is cut into rectangles of pixels that see the same taps, and an input gradient is one such convolution of dy for
// every phase of the strides. A tile is some pixels of a row or column times one vector of channels; for 3 x 3 taps at stride 1 it is two
// rows of four pixels, and every loaded pixel serves all taps that see it. One accumulator per element, taps in row-major order.
#include "kernels/depthwise_plan.h"
#include "kernels/depthwise_tile.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace depthwise {
namespace {

constexpr int64_t kChannelBlock = 64;  // channels that a row of tiles works on at once: what they read stays in the first cache
constexpr int64_t kRowBlock = 8;       // rows whose edges follow right after their middle, while they are in the second cache
#if defined(NN_COMPILE_AVX512)
constexpr int kMostPixels = 8;
constexpr bool kHasSliding = true;  // needs 32 registers
#elif defined(NN_COMPILE_AVX2)
constexpr int kMostPixels = 4;
constexpr bool kHasSliding = false;
#else
constexpr int kMostPixels = 2;
constexpr bool kHasSliding = false;
#endif
constexpr int kSlidingCols = 4;

template <class T>
struct Tile {
  const T* in;  // first pixel at its first tap
  T* out;
  int64_t pixel_in, pixel_out;  // elements between pixels
  int64_t row_in, row_out;      // sliding tiles: elements between rows
  int64_t tap_rows, tap_cols, tap_row, tap_col;
  const T* weights;  // of the first tap
  int64_t weight_row, weight_col;
  const T* bias;   // null without
  bool relu;
  int64_t begin, end;  // channels
};

template <class T>
NN_INLINE Vec<T> finish(const Tile<T>& tile, Vec<T> sum, int64_t c, int part) {
  if (tile.bias) sum = sum + load_part(tile.bias + c, part);
  return tile.relu ? max(Vec<T>::zero(), sum) : sum;
}

template <class T, int kPixels, bool kPart>
NN_INLINE void tile_vector(const Tile<T>& tile, int64_t c, int part) {
  Vec<T> acc[kPixels];
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) {
    prefetch_write(tile.out + i * tile.pixel_out + c);
    acc[i] = Vec<T>::zero();
  }
  for (int64_t r = 0; r < tile.tap_rows; ++r) {
    const T* in = tile.in + r * tile.tap_row + c;
    const T* weights = tile.weights + r * tile.weight_row + c;
    for (int64_t s = 0; s < tile.tap_cols; ++s) {
      const Vec<T> w = kPart ? load_part(weights, part) : load(weights);
#pragma GCC unroll 8
      for (int i = 0; i < kPixels; ++i) {
        const T* p = in + i * tile.pixel_in;
        acc[i] = fma(kPart ? load_part(p, part) : load(p), w, acc[i]);
      }
      in += tile.tap_col;
      weights += tile.weight_col;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) {
    T* p = tile.out + i * tile.pixel_out + c;
    const Vec<T> y = finish(tile, acc[i], c, part);
    if (kPart) {
      store_part(p, y, part);
    } else {
      store(p, y);
    }
  }
}

template <class T, int kPixels>
void run_tile(const Tile<T>& tile) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t c = tile.begin;
  for (; c + kLanes <= tile.end; c += kLanes) tile_vector<T, kPixels, false>(tile, c, kLanes);
  if (c < tile.end) tile_vector<T, kPixels, true>(tile, c, static_cast<int>(tile.end - c));
}

// 3 x 3 taps that lie as far apart as the pixels: kRows x kCols outputs from (kRows + 2) x (kCols + 2) loads.
template <class T, int kRows, int kCols, bool kPart>
NN_INLINE void sliding_vector(const Tile<T>& tile, int64_t c, int part) {
  Vec<T> weights[3][3], acc[kRows][kCols];
#pragma GCC unroll 2
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kCols; ++j) prefetch_write(tile.out + i * tile.row_out + j * tile.pixel_out + c);
  }
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r) {
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) {
      const T* p = tile.weights + r * tile.weight_row + s * tile.weight_col + c;
      weights[r][s] = kPart ? load_part(p, part) : load(p);
    }
  }
#pragma GCC unroll 4
  for (int y = 0; y < kRows + 2; ++y) {
#pragma GCC unroll 6
    for (int x = 0; x < kCols + 2; ++x) {
      const T* p = tile.in + y * tile.row_in + x * tile.pixel_in + c;
      const Vec<T> value = kPart ? load_part(p, part) : load(p);
#pragma GCC unroll 2
      for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < kCols; ++j) {
          const int r = y - i, s = x - j;
          if (r < 0 || r > 2 || s < 0 || s > 2) continue;
          acc[i][j] = fma(value, weights[r][s], r == 0 && s == 0 ? Vec<T>::zero() : acc[i][j]);
        }
      }
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kCols; ++j) {
      T* p = tile.out + i * tile.row_out + j * tile.pixel_out + c;
      const Vec<T> y = finish(tile, acc[i][j], c, part);
      if (kPart) {
        store_part(p, y, part);
      } else {
        store(p, y);
      }
    }
  }
}

template <class T, int kRows, int kCols>
void run_sliding(const Tile<T>& tile) {
  constexpr int kLanes = Vec<T>::kLanes;
  int64_t c = tile.begin;
  for (; c + kLanes <= tile.end; c += kLanes) sliding_vector<T, kRows, kCols, false>(tile, c, kLanes);
  if (c < tile.end) sliding_vector<T, kRows, kCols, true>(tile, c, static_cast<int>(tile.end - c));
}

template <class T>
using TileFunction = void (*)(const Tile<T>& tile);

#if defined(NN_COMPILE_AVX512)
template <class T>
constexpr TileFunction<T> kTiles[kMostPixels] = {run_tile<T, 1>, run_tile<T, 2>, run_tile<T, 3>, run_tile<T, 4>,
                                                 run_tile<T, 5>, run_tile<T, 6>, run_tile<T, 7>, run_tile<T, 8>};
template <class T>
constexpr TileFunction<T> kSlidingTiles[2][kSlidingCols] = {{run_sliding<T, 1, 1>, run_sliding<T, 1, 2>, run_sliding<T, 1, 3>, run_sliding<T, 1, 4>},
                                                            {run_sliding<T, 2, 1>, run_sliding<T, 2, 2>, run_sliding<T, 2, 3>, run_sliding<T, 2, 4>}};
#elif defined(NN_COMPILE_AVX2)
template <class T>
constexpr TileFunction<T> kTiles[kMostPixels] = {run_tile<T, 1>, run_tile<T, 2>, run_tile<T, 3>, run_tile<T, 4>};
#else
template <class T>
constexpr TileFunction<T> kTiles[kMostPixels] = {run_tile<T, 1>, run_tile<T, 2>};
#endif

// Pixels of the result that see the same taps.
struct Rectangle {
  int64_t row_begin, row_end, col_begin, col_end;
};

// Activations too large for the tiles, on what was just stored.
template <class T>
void activate(Activation activation, const DenseConv& conv, const Rectangle& part, int64_t begin, int64_t end, T* out) {
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
        kTiles<T>[count - 1](tile);
      }
    }
  }
}

#if defined(NN_COMPILE_AVX512)
template <class T>
void run_sliding_rectangle(const DenseConv& conv, const Rectangle& part, const T* in, T* out, Tile<T> tile) {
  tile.pixel_in = conv.col_in;
  tile.pixel_out = conv.col_out;
  tile.row_in = conv.row_in;
  tile.row_out = conv.row_out;
  const int64_t cols = part.col_end - part.col_begin, tiles = (cols + kSlidingCols - 1) / kSlidingCols;
  const int64_t begin = tile.begin, end = tile.end;
  for (int64_t h = part.row_begin; h < part.row_end; h += 2) {
    const bool pair = h + 1 < part.row_end;
    for (tile.begin = begin; tile.begin < end; tile.begin = tile.end) {
      tile.end = smaller(tile.begin + kChannelBlock, end);
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t first = cols * t / tiles, count = cols * (t + 1) / tiles - first;
        tile.in = in + h * conv.row_in + (part.col_begin + first) * conv.col_in;
        tile.out = out + h * conv.row_out + (part.col_begin + first) * conv.col_out;
        kSlidingTiles<T>[pair][count - 1](tile);
      }
    }
  }
}
#else
template <class T>
void run_sliding_rectangle(const DenseConv&, const Rectangle&, const T*, T*, Tile<T>) {}
#endif

// One rectangle of one image; `tile` has the channels and what does not depend on the rectangle.
template <class T>
void run_rectangle(const DensePlan& plan, const DenseConv& conv, const ConvSegment& row, const ConvSegment& col, const Rectangle& part, const T* in,
                   const T* weights, T* out, Tile<T> tile) {
  tile.tap_rows = row.tap_end - row.tap_begin;
  tile.tap_cols = col.tap_end - col.tap_begin;
  tile.weights = weights + conv.weights + row.tap_begin * conv.weight_row + col.tap_begin * conv.weight_col;
  const T* from = in + conv.origin_in + row.tap_begin * conv.tap_row + col.tap_begin * conv.tap_col;
  T* to = out + conv.origin_out;
  if (kHasSliding && tile.tap_rows == 3 && tile.tap_cols == 3 && conv.tap_row == conv.row_in && conv.tap_col == conv.col_in) {
    run_sliding_rectangle(conv, part, from, to, tile);
  } else {
    run_plain(conv, part, from, to, tile);
  }
  if (plan.activation == Activation::kSigmoid || plan.activation == Activation::kTanh) {
    activate(plan.activation, conv, part, tile.begin, tile.end, to);
  }
}

// The pixels `block` of one image, channels [begin, end).
template <class T>
void run_image(const DensePlan& plan, const DenseConv& conv, const Rectangle& block, int64_t begin, int64_t end, const T* in, const T* weights,
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
  for (int64_t y = 0; y < conv.row_segment_count; ++y) {
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
}

// Chunk order: convolution, image block, row block, column block, block of channel panels.
template <class T>
void compute_chunk(const DensePlan& plan, int64_t chunk, const T* x, const T* weights, const T* bias, T* y) {
  const int64_t panel_block = chunk % plan.panel_blocks;
  chunk /= plan.panel_blocks;
  const int64_t col_block = chunk % plan.col_blocks;
  chunk /= plan.col_blocks;
  const int64_t row_block = chunk % plan.row_blocks;
  chunk /= plan.row_blocks;
  const int64_t image_block = chunk % plan.image_blocks;
  const DenseConv& conv = plan.convs[chunk / plan.image_blocks];
  const Rectangle block = {conv.out_rows * row_block / plan.row_blocks, conv.out_rows * (row_block + 1) / plan.row_blocks,
                           conv.out_cols * col_block / plan.col_blocks, conv.out_cols * (col_block + 1) / plan.col_blocks};
  const int64_t begin = plan.panels * panel_block / plan.panel_blocks * kPanelColumns;
  const int64_t end = smaller(plan.panels * (panel_block + 1) / plan.panel_blocks * kPanelColumns, plan.columns);
  for (int64_t n = plan.batch * image_block / plan.image_blocks; n < plan.batch * (image_block + 1) / plan.image_blocks; ++n) {
    run_image(plan, conv, block, begin, end, x + n * conv.image_in, weights, bias, y + n * conv.image_out);
  }
}

template <class T>
void run_forward(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const DensePlan& plan = *static_cast<const DensePlan*>(state);
  const T* x = static_cast<const T*>(args.in[0]);
  if (plan.multiplier > 1) {
    T* repeated = static_cast<T*>(args.scratch);
    const int64_t channels = plan.columns / plan.multiplier, pixels = plan.batch * plan.convs[0].image_in / plan.columns;
    if (phase == 0) {
      const int64_t first = begin * kRepeatPixels, last = smaller(end * kRepeatPixels, pixels);
      if (first < last) repeat_channels(x + first * channels, last - first, channels, plan.multiplier, repeated + first * plan.columns);
      return;
    }
    x = repeated;
  }
  const T* bias = plan.bias ? static_cast<const T*>(args.in[2]) : nullptr;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    compute_chunk(plan, chunk, x, static_cast<const T*>(args.in[1]), bias, static_cast<T*>(args.out[0]));
  }
}

template <class T>
void run_input_grad(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const DensePlan& plan = *static_cast<const DensePlan*>(state);
  T* dx = static_cast<T*>(args.out[0]);
  T* by_filter = plan.multiplier > 1 ? static_cast<T*>(args.scratch) : dx;
  if (phase == 1) {
    const int64_t channels = plan.columns / plan.multiplier, elements = plan.batch * plan.convs[0].image_out / plan.multiplier;
    const int64_t first = begin * kRepeatPixels * channels, last = smaller(end * kRepeatPixels * channels, elements);
    if (first < last) add_repeated(by_filter + first * plan.multiplier, last - first, plan.multiplier, dx + first);
    return;
  }
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    compute_chunk<T>(plan, chunk, static_cast<const T*>(args.in[0]), static_cast<const T*>(args.in[1]), nullptr, by_filter);
  }
}

void prepare_forward(Prepare& prepare) {
  const DensePlan* plan = plan_depthwise_conv2d(prepare);
  prepare.set_run(plan->dtype == DType::kFloat32 ? run_forward<float> : run_forward<double>);
}

void prepare_input_grad(Prepare& prepare) {
  const DensePlan* plan = plan_depthwise_conv2d_input_grad(prepare);
  prepare.set_run(plan->dtype == DType::kFloat32 ? run_input_grad<float> : run_input_grad<double>);
}

NN_KERNEL("depthwise_conv2d", prepare_forward);
NN_KERNEL("depthwise_conv2d_input_grad", prepare_input_grad);

}  // namespace
}  // namespace depthwise
}  // namespace nnlite::NN_ISA
