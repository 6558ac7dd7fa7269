// Winograd conv2d_kernel_grad: the transpose of the forward convolution. For each of the 36 points (or 6), transformed patches of x times transformed
// tiles of dy, summed over tiles; then the sums are turned back into taps.
//
// A block of tiles is summed in registers, then added to the sums of its range in memory; ranges are added at the end. So long sums are made in
// three levels.
#include "kernels/winograd.h"

#include "kernels/winograd_images.h"

namespace nnlite::NN_ISA {
namespace winograd {
namespace {

// sums[rows, vectors] (+)= inputs[tiles, rows]^T gradients[tiles, vectors].
struct SumTile {
  const float *inputs, *gradients;
  int64_t input_step, gradient_step;  // elements between tiles
  int64_t tiles;
  float* sums;
  int64_t ld;
  bool accumulate;
};
using SumFunction = void (*)(const SumTile& tile);

template <int kRows, int kVectors>
void sum_tile(const SumTile& tile) {
  V acc[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) acc[i][j] = splat(0.0f);
  }
  const float* a = tile.inputs;
  const float* b = tile.gradients;
  const int64_t a_step = tile.input_step, b_step = tile.gradient_step;
#pragma GCC unroll 1
  for (int64_t t = tile.tiles; t > 0; --t) {
    V vb[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) vb[j] = load(b + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const V va = splat(a[i]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(va, vb[j], acc[i][j]);
    }
    a += a_step;
    b += b_step;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* to = tile.sums + i * tile.ld + j * kLanes;
      store(to, tile.accumulate ? load(to) + acc[i][j] : acc[i][j]);
    }
  }
}

// Rows and vectors of the largest tiles without spilled registers. The rows divide the lanes of a register, and transformed channels come in whole
// ones.
#if defined(NN_COMPILE_AVX512)
constexpr int kMostVectors = 4;
constexpr int kRows[kMostVectors + 1] = {0, 8, 8, 8, 4};
constexpr SumFunction kSumTiles[kMostVectors + 1] = {nullptr, sum_tile<8, 1>, sum_tile<8, 2>, sum_tile<8, 3>, sum_tile<4, 4>};
#elif defined(NN_COMPILE_AVX2)
constexpr int kMostVectors = 3;
constexpr int kRows[kMostVectors + 1] = {0, 4, 4, 4};
constexpr SumFunction kSumTiles[kMostVectors + 1] = {nullptr, sum_tile<4, 1>, sum_tile<4, 2>, sum_tile<4, 3>};
#else
constexpr int kMostVectors = 2;
constexpr int kRows[kMostVectors + 1] = {0, 4, 4};
constexpr SumFunction kSumTiles[kMostVectors + 1] = {nullptr, sum_tile<4, 1>, sum_tile<4, 2>};
#endif

// Adds a block of tiles to the sums of one point.
void add_point(const WinogradKernelGradPlan& plan, const float* inputs, const float* gradients, int64_t tiles, int64_t channels, int64_t filters,
               bool accumulate, float* sums) {
  SumTile tile;
  tile.input_step = plan.channels;
  tile.gradient_step = plan.filters;
  tile.tiles = tiles;
  tile.ld = plan.filters;
  tile.accumulate = accumulate;
  for (int64_t j = 0; j < filters; j += kMostVectors * kLanes) {
    const int vectors = static_cast<int>(smaller((filters - j + kLanes - 1) / kLanes, kMostVectors));
    tile.gradients = gradients + j;
    for (int64_t i = 0; i < channels; i += kRows[vectors]) {
      tile.inputs = inputs + i;
      tile.sums = sums + i * plan.filters + j;
      kSumTiles[vectors](tile);
    }
  }
}

// Turns the sums of one register of filters into taps.
template <int taps>
__attribute__((noinline)) void finish_vector(const float* sums, int64_t point_step, float* dw, int64_t tap_step, int part) {
  V half[taps][kSide];
#pragma GCC unroll 6
  for (int j = 0; j < kSide; ++j) {
    V u[kSide], t[taps];
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) u[i] = load(sums + (i * kSide + j) * point_step);
    transform_sums(u, t);
#pragma GCC unroll 5
    for (int i = 0; i < taps; ++i) half[i][j] = t[i];
  }
#pragma GCC unroll 5
  for (int i = 0; i < taps; ++i) {
    V t[taps];
    transform_sums(half[i], t);
#pragma GCC unroll 5
    for (int j = 0; j < taps; ++j) store_part(dw + (i * taps + j) * tap_step, t[j], part);
  }
}
template <int taps>
void finish_line_vector(const float* sums, int64_t point_step, float* dw, int64_t tap_step, int part) {
  V u[kSide], t[taps];
#pragma GCC unroll 6
  for (int i = 0; i < kSide; ++i) u[i] = load(sums + i * point_step);
  transform_sums(u, t);
#pragma GCC unroll 5
  for (int i = 0; i < taps; ++i) store_part(dw + i * tap_step, t[i], part);
}

using FinishFunction = void (*)(const float* sums, int64_t point_step, float* dw, int64_t tap_step, int part);

FinishFunction find_finish(const WinogradGrid& grid) {
  if (grid.line) return grid.m == 4 ? finish_line_vector<3> : finish_line_vector<5>;
  return grid.m == 4 ? finish_vector<3> : finish_vector<5>;
}

// Adds the sums of all ranges to those of the first.
void add_ranges(const WinogradKernelGradPlan& plan, int64_t elements, float* sums) {
  const int64_t range_step = plan.channel_blocks * plan.filter_blocks * plan.piece;
  for (int64_t i = 0; i < elements; i += kLanes) {
    V sum = load(sums + i);
    for (int64_t r = 1; r < plan.ranges; ++r) sum = sum + load(sums + r * range_step + i);
    store(sums + i, sum);
  }
}

// Turns sums of `rows` channels and `filters` filters of a piece into taps, from `dw` on.
void finish_rows(const WinogradKernelGradPlan& plan, const float* sums, int64_t rows, int64_t filters, float* dw) {
  const int64_t tap_step = plan.in.channels * plan.out.channels;
  const FinishFunction finish = find_finish(plan.grid);
  for (int64_t r = 0; r < rows; ++r, sums += plan.filters, dw += plan.out.channels) {
    for (int64_t k = 0; k < filters; k += kLanes) finish(sums + k, plan.point, dw + k, tap_step, static_cast<int>(smaller(filters - k, kLanes)));
  }
}

// Channels [channel, channel + 16) of dw [taps][channels][filters].
void finish_channels(const WinogradKernelGradPlan& plan, int64_t channel, float* sums, float* dw) {
  int64_t block = 0;
  while (winograd_part(plan.in.channels, block, plan.channel_blocks).end <= channel) ++block;
  const int64_t row = channel - winograd_part(plan.in.channels, block, plan.channel_blocks).begin;
  const int64_t rows = smaller(plan.in.channels - channel, kPanelMultiple);
  for (int64_t b = 0; b < plan.filter_blocks; ++b) {
    const WinogradPart filters = winograd_part(plan.out.channels, b, plan.filter_blocks);
    float* from = sums + (block * plan.filter_blocks + b) * plan.piece + row * plan.filters;
    for (int64_t e = 0; e < plan.grid.points; ++e) add_ranges(plan, rows * plan.filters, from + e * plan.point);
    finish_rows(plan, from, rows, filters.end - filters.begin, dw + channel * plan.out.channels + filters.begin);
  }
}

// Chunk order: range of tiles, channel block, filter block. With one range the sums stay in the thread's scratch and become taps at once.
void compute_chunk(const WinogradKernelGradPlan& plan, int64_t chunk, const StepArgs& args) {
  const int64_t filter_block = chunk % plan.filter_blocks, channel_block = chunk / plan.filter_blocks % plan.channel_blocks;
  const int64_t range = chunk / plan.filter_blocks / plan.channel_blocks;
  const WinogradPart channels = winograd_part(plan.in.channels, channel_block, plan.channel_blocks);
  const WinogradPart filters = winograd_part(plan.out.channels, filter_block, plan.filter_blocks);
  const int64_t first = plan.grid.tiles * range / plan.ranges, end = plan.grid.tiles * (range + 1) / plan.ranges;
  const float *x = static_cast<const float*>(args.in[0]), *dy = static_cast<const float*>(args.in[1]);
  float* scratch = static_cast<float*>(args.thread_scratch);
  float* gradients = scratch + plan.grid.points * plan.inputs;
  float* sums = plan.ranges > 1 ? static_cast<float*>(args.scratch) + chunk * plan.piece : gradients + plan.grid.points * plan.gradients;
  const int64_t blocks = (end - first + plan.block_tiles - 1) / plan.block_tiles;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t begin = first + (end - first) * b / blocks, stop = first + (end - first) * (b + 1) / blocks;
    transform_images<kSide, InputTransform>(plan.in, plan.grid, x, channels.begin, channels.end, begin, stop, {scratch, plan.inputs, plan.channels});
    const TransformedTiles to = {gradients, plan.gradients, plan.filters};
    if (plan.grid.m == 4) {
      transform_images<4, GradientTransform>(plan.out, plan.grid, dy, filters.begin, filters.end, begin, stop, to);
    } else {
      transform_images<2, GradientTransform>(plan.out, plan.grid, dy, filters.begin, filters.end, begin, stop, to);
    }
    const int64_t after = smaller(end, stop + stop - begin);
    const Approach next(plan.in, plan.grid, x, stop, after), next_gradients(plan.out, plan.grid, dy, stop, after);
    for (int64_t e = 0; e < plan.grid.points; ++e) {
      next.come<false>(e, plan.grid.points);
      next_gradients.come<false>(e, plan.grid.points);
      add_point(plan, scratch + e * plan.inputs, gradients + e * plan.gradients, stop - begin, channels.end - channels.begin,
                filters.end - filters.begin, b > 0, sums + e * plan.point);
    }
  }
  if (plan.ranges > 1) return;
  finish_rows(plan, sums, channels.end - channels.begin, filters.end - filters.begin,
              static_cast<float*>(args.out[0]) + channels.begin * plan.out.channels + filters.begin);
}

void run(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const WinogradKernelGradPlan& plan = *static_cast<const WinogradKernelGradPlan*>(state);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    if (phase == 0) {
      compute_chunk(plan, chunk, args);
    } else {
      finish_channels(plan, chunk * kPanelMultiple, static_cast<float*>(args.scratch), static_cast<float*>(args.out[0]));
    }
  }
}

}  // namespace

bool prepare_kernel_grad(Prepare& prepare) {
  if (plan_winograd_kernel_grad(prepare) == nullptr) return false;
  prepare.set_run(run);
  return true;
}

}  // namespace winograd
}  // namespace nnlite::NN_ISA
