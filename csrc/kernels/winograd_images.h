// Transformed patches of images, for Winograd convolutions and their kernel gradients. Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/winograd_transform.h"

namespace nnlite::NN_ISA {
namespace winograd {
namespace {

// A vector of zeros: what is read outside of an image.
alignas(64) const float kZeros[kLanes] = {};

// Where transformed tiles go: element (point, tile, channel) at point * point_step + tile * tile_step + channel.
struct TransformedTiles {
  float* first;
  int64_t point_step, tile_step;
};

NN_INLINE int64_t clamp(int64_t value, int64_t low, int64_t high) { return value < low ? low : value > high ? high : value; }

// The memory under some tiles, to be brought near while something else is computed.
class Approach {
 public:
  // Nothing, where it would take more than a part of the second-level cache.
  NN_ALWAYS Approach(const WinogradImage& image, const WinogradGrid& grid, const float* x, int64_t begin, int64_t end) : first_(x), lines_(0) {
    constexpr int64_t kMostLines = 1024;
    if (begin >= end) return;
    const int64_t from = offset(image, grid, begin / grid.cols, 0), to = offset(image, grid, (end - 1) / grid.cols, grid.row_m);
    first_ = x + from;
    lines_ = (to - from) / kLine;
    if (lines_ > kMostLines) lines_ = 0;
  }
  // The part-th of `parts`.
  template <bool write>
  NN_ALWAYS void come(int64_t part, int64_t parts) const {
    for (int64_t i = lines_ * part / parts; i < lines_ * (part + 1) / parts; ++i) __builtin_prefetch(first_ + i * kLine, write, 2);
  }

 private:
  static constexpr int64_t kLine = 16;
  // Of row `row` of the tiles in tile row `index` of the batch, or of the image's end.
  NN_ALWAYS static int64_t offset(const WinogradImage& image, const WinogradGrid& grid, int64_t index, int64_t row) {
    row += index % grid.rows * grid.row_m;
    return index / grid.rows * image.image_step + (row < image.rows ? row : image.rows) * image.row_step;
  }
  const float* first_;
  int64_t lines_;
};

// Transforms one register of channels of a run of tiles in two steps: kPatch rows of all columns into `columns` ([column][kSide] vectors), then
// kPatch columns of each tile. `x` is the first of the channels in the image; `part` of them exist. The tiles' patches start every `step`
// pixels. What lies `ahead` is brought into the second-level cache.
template <int kPatch, class Transform>
NN_INLINE void transform_vector(const WinogradImage& image, const float* x, int part, int64_t first_row, int64_t first_col, int64_t step,
                                int64_t tiles, int64_t ahead, float* columns, const TransformedTiles& to, Transform transform) {
  const int64_t count = (tiles - 1) * step + kPatch;
  const int64_t begin = clamp(-first_col, 0, count), end = clamp(image.cols - first_col, begin, count);
  const float* from[kPatch];
  int64_t from_step[kPatch];
#pragma GCC unroll 6
  for (int i = 0; i < kPatch; ++i) {
    const int64_t row = first_row + i;
    const bool inside = row >= 0 && row < image.rows;
    from[i] = inside ? x + row * image.row_step + (first_col + begin) * image.col_step : kZeros;
    from_step[i] = inside ? image.col_step : 0;
  }
  float* t = columns;
  for (int64_t c = 0; c < begin; ++c, t += kSide * kLanes) {
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) store(t + i * kLanes, splat(0.0f));
  }
  for (int64_t c = begin; c < end; ++c, t += kSide * kLanes) {
    V d[kPatch], v[kSide];
#pragma GCC unroll 6
    for (int i = 0; i < kPatch; ++i) {
      d[i] = load_part(from[i], part);
      prefetch_l2(from[i] + ahead);
      from[i] += from_step[i];
    }
    transform(d, v);
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) store(t + i * kLanes, v[i]);
  }
  for (int64_t c = end; c < count; ++c, t += kSide * kLanes) {
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) store(t + i * kLanes, splat(0.0f));
  }
  for (int64_t tile = 0; tile < tiles; ++tile) {
    float* out = to.first + tile * to.tile_step;
    const float* in = columns + tile * step * kSide * kLanes;
#pragma GCC unroll 1
    for (int i = 0; i < kSide; ++i) {
      V d[kPatch], v[kSide];
#pragma GCC unroll 6
      for (int j = 0; j < kPatch; ++j) d[j] = load(in + (j * kSide + i) * kLanes);
      transform(d, v);
#pragma GCC unroll 6
      for (int j = 0; j < kSide; ++j) {
        store(out, v[j]);
        out += to.point_step;
      }
    }
  }
}

// The same for lines: kPatch pixels of one row for each tile.
template <int kPatch, class Transform>
NN_INLINE void transform_line(const WinogradImage& image, const float* x, int part, int64_t row, int64_t first_col, int64_t step, int64_t tiles,
                              int64_t ahead, const TransformedTiles& to, Transform transform) {
  const bool inside = row >= 0 && row < image.rows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t col = first_col + tile * step;
    const int64_t begin = inside ? clamp(-col, 0, kPatch) : kPatch, end = clamp(image.cols - col, begin, kPatch);
    const float* from = x + row * image.row_step + col * image.col_step;
    V d[kPatch], v[kSide];
#pragma GCC unroll 6
    for (int j = 0; j < kPatch; ++j) {
      const bool exists = j >= begin && j < end;
      d[j] = load_part(exists ? from : kZeros, part);
      prefetch_l2(from + ahead);
      from += image.col_step;
    }
    transform(d, v);
    float* out = to.first + tile * to.tile_step;
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) {
      store(out, v[j]);
      out += to.point_step;
    }
  }
}

struct InputTransform {
  NN_ALWAYS void operator()(const V (&d)[kSide], V (&v)[kSide]) const { transform_input(d, v); }
};
struct GradientTransform {
  template <int m>
  NN_ALWAYS void operator()(const V (&d)[m], V (&v)[kSide]) const {
    transform_gradient(d, v);
  }
};

// Transforms tiles [begin, end) of a batch, channels [channel, channel_end).
template <int kPatch, class Transform>
__attribute__((noinline, noclone)) void transform_images(const WinogradImage& image, const WinogradGrid& grid, const float* x, int64_t channel,
                                                         int64_t channel_end, int64_t begin, int64_t end, TransformedTiles to) {
  alignas(64) float columns[kWinogradRunColumns * kSide * kLanes];
  for (int64_t tile = begin; tile < end;) {
    const Run run = find_run(grid, tile, end);
    const float* first = x + run.image * image.image_step;
    const Run next = find_run(grid, tile + run.count, grid.tiles);
    const int64_t ahead = (next.image - run.image) * image.image_step + (next.row - run.row) * grid.row_m * image.row_step +
                          (next.col - run.col) * grid.m * image.col_step;
    const int64_t row = run.row * grid.row_m - image.pad_rows, col = run.col * grid.m - image.pad_cols;
    TransformedTiles here = to;
    for (int64_t c = channel; c < channel_end; c += kLanes, here.first += kLanes) {
      const int part = static_cast<int>(channel_end - c < kLanes ? channel_end - c : kLanes);
      if (grid.line) {
        transform_line<kPatch>(image, first + c, part, row, col, grid.m, run.count, ahead, here, Transform());
      } else {
        transform_vector<kPatch>(image, first + c, part, row, col, grid.m, run.count, ahead, columns, here, Transform());
      }
    }
    to.first += run.count * to.tile_step;
    tile += run.count;
  }
}

}  // namespace
}  // namespace winograd
}  // namespace nnlite::NN_ISA
