#include "kernels/winograd_plan.h"

#include <algorithm>
#include <cstring>

namespace nnlite {
namespace {

using std::max;
using std::min;
using ll = long long;

int64_t whole_vectors(int64_t elements) { return ceil_div(elements, kPanelMultiple) * kPanelMultiple; }

// Points' matrices start one line further than a power of two would have it: else they would share few sets of the first cache.
constexpr int64_t kSkew = 16;
// Multiply-adds of one chunk, and the most chunks wanted for the sake of threads.
constexpr int64_t kChunkWork = 1000000;
constexpr int64_t kMostChunks = 16;
// Bytes that a block's transformed inputs and the products of one panel may take: less than half a second-level cache.
constexpr int64_t kBlockBytes = 400 * 1024;
constexpr int64_t kMostBlockTiles = 48, kFewestBlockTiles = 12;
// Blocks of many tiles are multiples of this, so that register tiles are full.
constexpr int64_t kBlockUnit = 12, kManyTiles = 96;
// Transformed weights of more bytes come from far away for every block of tiles: blocks are then so large that their transformed inputs leave the
// second-level cache too. And of those that leave all caches.
constexpr int64_t kFarBytes = 8 << 20, kFarBlockTiles = 36;
constexpr int64_t kStreamedBytes = 16 << 20;
// Kernel gradients: channels and filters of a piece, tiles summed in registers, and the least tiles of a range.
constexpr int64_t kPieceChannels = 128, kPieceFilters = 128;
constexpr int64_t kGradBlockTiles = 32;
constexpr int64_t kRangeTiles = 96, kMostRanges = 8;
// Chunks that pieces are split for when there are too few tiles for ranges, and the fewest channels of such a piece.
constexpr int64_t kFewestChunks = 2, kFewestPieceChannels = 32;
// With fewer channels or filters the tiles of the direct way are as good.
constexpr int64_t kFewestChannels = 4, kFewestGradFilters = 12;

bool has_taps(int64_t rows, int64_t cols) {
  const int64_t most = max(rows, cols), least = min(rows, cols);
  return (most == 3 || most == 5) && (least == most || least == 1);
}

bool exact(const Prepare& prepare) { return prepare.get_int("exact", 0) != 0; }

// Float32 images of rank 4 with a kernel that may have Winograd taps; whatever else is wrong is found when the geometry is read.
bool may_pay(const Prepare& prepare, const Spec& x, const Spec& y, const int64_t* kernel) {
  return x.rank == 4 && y.rank == 4 && x.dtype == DType::kFloat32 && y.dtype == DType::kFloat32 && has_taps(kernel[0], kernel[1]) &&
         prepare.get_int("groups", 1) == 1 && kernel[2] == x.dims[3] && kernel[3] == y.dims[3];
}

// Images [rows, cols, channels] in their layout in memory; of kernels of one column rows and columns change places.
WinogradImage image_of(int64_t rows, int64_t cols, int64_t channels, int64_t pad_rows, int64_t pad_cols, bool upright) {
  const int64_t image = rows * cols * channels, row = cols * channels;
  if (upright) return {cols, rows, channels, pad_cols, pad_rows, image, channels, row};
  return {rows, cols, channels, pad_rows, pad_cols, image, row, channels};
}

bool is_upright(int64_t taps_rows, int64_t taps_cols) { return taps_cols == 1 && taps_rows > 1; }

WinogradGrid grid_of(int64_t batch, const WinogradImage& out, int64_t taps_rows, int64_t taps_cols) {
  WinogradGrid grid;
  grid.line = taps_rows != taps_cols;
  grid.points = winograd_points(taps_rows, taps_cols);
  grid.m = kWinogradSide + 1 - max(taps_rows, taps_cols);
  grid.row_m = grid.line ? 1 : grid.m;
  grid.rows = ceil_div(out.rows, grid.row_m);
  grid.cols = ceil_div(out.cols, grid.m);
  grid.tiles = batch * grid.rows * grid.cols;
  return grid;
}

void cut_work(Prepare& prepare, WinogradPlan* plan) {
  const int64_t channels = plan->in.channels, filters = plan->out.channels;
  const int64_t points = plan->grid.points, packed = points * winograd_packed_point(channels, filters);
  plan->panels = ceil_div(filters, kPanelColumns);
  plan->row = whole_vectors(channels);
  const int64_t tile_bytes = points * (plan->row + min(kPanelColumns, whole_vectors(filters))) * static_cast<int64_t>(sizeof(float));
  const int64_t tiles = plan->grid.tiles;
  const int64_t packed_bytes = packed * static_cast<int64_t>(sizeof(float));
  const int64_t most = max(min(kBlockBytes / tile_bytes, kMostBlockTiles), packed_bytes > kFarBytes ? kFarBlockTiles : kFewestBlockTiles);
  const int64_t wanted = min(max<int64_t>(tiles * packed / kChunkWork, 1), kMostChunks);
  plan->tile_blocks = max(ceil_div(tiles, most), min(wanted, tiles / kFewestBlockTiles));
  plan->tile_blocks = max<int64_t>(plan->tile_blocks, 1);
  plan->panel_blocks = min(plan->panels, ceil_div(wanted, plan->tile_blocks));
  plan->unit = tiles < kManyTiles ? 1 : kBlockUnit;
  plan->block_tiles = ceil_div(ceil_div(tiles, plan->unit), plan->tile_blocks) * plan->unit;
  plan->inputs = plan->block_tiles * plan->row + kSkew;
  plan->outputs = plan->block_tiles * kPanelColumns + kSkew;
  prepare.need_thread_scratch(points * (plan->inputs + plan->outputs) * sizeof(float));
  if (!plan->packed) {
    plan->streams = packed_bytes > kStreamedBytes;
    prepare.need_scratch(packed * sizeof(float));
    prepare.add_phase(plan->panels * ceil_div(channels, kPanelMultiple));
  }
  prepare.add_phase(plan->tile_blocks * plan->panel_blocks);
}

}  // namespace

WinogradPart winograd_part(int64_t size, int64_t index, int64_t blocks) {
  const int64_t vectors = ceil_div(size, kPanelMultiple);
  return {vectors * index / blocks * kPanelMultiple, min(size, vectors * (index + 1) / blocks * kPanelMultiple)};
}

namespace {

// Cycles of a core that does one multiply-add of 16 floats at a time, as measured: transforming 16 channels or filters of one tile, or 16 weights,
// for one point; and how many images share transformed weights, as a guess, because the choice must not depend on the batch.
constexpr double kTileCycles = 7.2, kWeightCycles = 4.2, kImages = 8;
// Transformed weights of more bytes leave the second-level cache while they are written.
constexpr int64_t kNearWeights = 1 << 20;
constexpr double kFarWeightCycles = 15;
// What Winograd must save to be worth its larger rounding errors.
constexpr double kSaving = 0.85;

// Pairs of output and tap inside the image: what the direct way multiplies.
int64_t products(const ConvAxis& axis) {
  int64_t count = 0;
  for (int64_t tap = 0; tap < axis.taps; ++tap) {
    int64_t begin, end;
    valid_outputs(axis, tap, &begin, &end);
    count += end - begin;
  }
  return count;
}

// Whether tiles that cover the images `out` are cheaper than the direct products. `depth` channels are read for each of those written.
bool pays(const ConvGeometry& g, const WinogradImage& out, int64_t depth) {
  if (g.dtype != DType::kFloat32 || g.groups != 1 || !has_taps(g.rows.taps, g.cols.taps)) return false;
  for (const ConvAxis* axis : {&g.rows, &g.cols}) {
    if (axis->stride != 1 || axis->dilation != 1) return false;
  }
  if (depth < kFewestChannels || out.channels < kFewestChannels || g.rows.out < 1 || g.cols.out < 1) return false;
  const int64_t column_vectors = ceil_div(out.channels, kPanelMultiple), vectors = ceil_div(depth, kPanelMultiple) + column_vectors;
  const WinogradGrid grid = grid_of(1, out, g.rows.taps, g.cols.taps);
  const int64_t pairs = depth * column_vectors;
  const double direct = static_cast<double>(products(g.rows) * products(g.cols) * pairs);
  const bool near = grid.points * pairs * kPanelMultiple * static_cast<int64_t>(sizeof(float)) <= kNearWeights;
  const double point = static_cast<double>(grid.tiles * pairs) + kTileCycles * static_cast<double>(grid.tiles * vectors) +
                       (near ? kWeightCycles : kFarWeightCycles) / kImages * static_cast<double>(pairs);
  return static_cast<double>(grid.points) * point < kSaving * direct;
}

// The images that a convolution or an input gradient writes.
WinogradImage result_of(const ConvGeometry& g) {
  return image_of(g.rows.out, g.cols.out, g.filters, 0, 0, is_upright(g.rows.taps, g.cols.taps));
}
WinogradImage input_grad_of(const ConvGeometry& g) {
  return image_of(g.rows.in, g.cols.in, g.channels, 0, 0, is_upright(g.rows.taps, g.cols.taps));
}

}  // namespace

bool winograd_pays(const ConvGeometry& g) { return pays(g, result_of(g), g.channels); }

bool winograd_input_grad_pays(const ConvGeometry& g) { return pays(g, input_grad_of(g), g.filters); }

int64_t winograd_packed_point(int64_t channels, int64_t filters) { return channels * whole_vectors(filters) + kSkew; }

int64_t winograd_points(int64_t taps_rows, int64_t taps_cols) { return taps_rows == taps_cols ? kWinogradSide * kWinogradSide : kWinogradSide; }

WinogradPlan* plan_winograd(Prepare& prepare) {
  const bool bias = prepare.get_int("bias", 0), packed = prepare.get_int("packed", 0);
  if (prepare.num_inputs() < 2 + bias || prepare.num_outputs() < 1 || exact(prepare)) return nullptr;
  if (packed && !prepare.get_int("winograd", 0)) return nullptr;
  const Spec &x = prepare.input(0), &w = prepare.input(1);
  Spec y = prepare.output(0);
  int64_t kernel[4];
  if (packed) {
    if (prepare.get_ints("kernel_shape", kernel, 4) != 4) return nullptr;
  } else {
    if (w.rank != 4 || w.dtype != x.dtype) return nullptr;
    std::copy(w.dims, w.dims + 4, kernel);
  }
  if (!may_pay(prepare, x, y, kernel)) return nullptr;
  if (bias && (prepare.input(2).dtype != x.dtype || prepare.input(2).size() != y.dims[3])) return nullptr;
  const ConvPool pool = read_conv_pool(prepare, x, kernel, &y);
  const ConvGeometry g = read_conv_geometry(prepare, x, y, kernel, 1);
  if (!winograd_pays(g)) return nullptr;
  if (prepare.num_outputs() != 1 + pool.cells) return nullptr;
  if (pool.on && kernel[0] != kernel[1]) {
    prepare.fail("pooling comes after square kernels, got %lld x %lld", static_cast<ll>(kernel[0]), static_cast<ll>(kernel[1]));
  }
  const int64_t size = winograd_points(kernel[0], kernel[1]) * winograd_packed_point(g.channels, g.filters);
  if (packed && (w.dtype != x.dtype || w.size() != size)) {
    prepare.fail("weights transformed for Winograd must have %lld elements of float32, got %lld of %s", static_cast<ll>(size),
                 static_cast<ll>(w.size()), dtype_name(w.dtype));
  }
  const Activation activation = read_conv_activation(prepare);
  const int residual = read_conv_residual(prepare, 2 + bias);
  auto* plan = static_cast<WinogradPlan*>(prepare.new_state(sizeof(WinogradPlan)));
  plan->in = image_of(g.rows.in, g.cols.in, g.channels, g.rows.pad, g.cols.pad, is_upright(g.rows.taps, g.cols.taps));
  plan->out = result_of(g);
  plan->pool = pool;
  if (pool.on) {
    plan->out = image_of(pool.rows, pool.cols, g.filters, 0, 0, false);
    plan->out.rows *= 2;
    plan->out.cols *= 2;
  }
  plan->grid = grid_of(g.batch, plan->out, g.rows.taps, g.cols.taps);
  plan->packed = packed;
  plan->bias = bias;
  plan->activation = activation;
  plan->residual = residual;
  cut_work(prepare, plan);
  return plan;
}

WinogradPlan* plan_winograd_input_grad(Prepare& prepare) {
  if (prepare.num_inputs() != 2 || prepare.num_outputs() != 1 || exact(prepare)) return nullptr;
  const Spec &dy = prepare.input(0), &w = prepare.input(1), &dx = prepare.output(0);
  if (w.rank != 4 || w.dtype != dy.dtype || !may_pay(prepare, dx, dy, w.dims)) return nullptr;
  const ConvGeometry g = read_conv_geometry(prepare, dx, dy, w.dims, 1);
  if (!winograd_input_grad_pays(g)) return nullptr;
  auto* plan = static_cast<WinogradPlan*>(prepare.new_state(sizeof(WinogradPlan)));
  plan->in = image_of(g.rows.out, g.cols.out, g.filters, g.rows.taps - 1 - g.rows.pad, g.cols.taps - 1 - g.cols.pad,
                      is_upright(g.rows.taps, g.cols.taps));
  plan->out = input_grad_of(g);
  plan->grid = grid_of(g.batch, plan->out, g.rows.taps, g.cols.taps);
  plan->turned = true;
  plan->activation = Activation::kNone;
  cut_work(prepare, plan);
  return plan;
}

WinogradPlan* plan_winograd_pack(Prepare& prepare) {
  if (prepare.num_inputs() != 1 || prepare.num_outputs() != 1) {
    prepare.fail("needs 1 input (kernel) and 1 output, got %d and %d", prepare.num_inputs(), prepare.num_outputs());
  }
  const Spec &w = prepare.input(0), &packed = prepare.output(0);
  check_conv_kernel(prepare, w, DType::kFloat32);
  if (!has_taps(w.dims[0], w.dims[1])) {
    prepare.fail("Winograd needs a kernel with 3 or 5 rows and columns, or one of both 1, got %lld x %lld", static_cast<ll>(w.dims[0]),
                 static_cast<ll>(w.dims[1]));
  }
  const int64_t size = winograd_points(w.dims[0], w.dims[1]) * winograd_packed_point(w.dims[2], w.dims[3]);
  if (packed.dtype != w.dtype || packed.size() != size) {
    prepare.fail("transformed weights must have %lld elements of float32, got %lld of %s", static_cast<ll>(size), static_cast<ll>(packed.size()),
                 dtype_name(packed.dtype));
  }
  auto* plan = static_cast<WinogradPlan*>(prepare.new_state(sizeof(WinogradPlan)));
  plan->in.channels = w.dims[2];
  plan->out.channels = w.dims[3];
  plan->panels = ceil_div(w.dims[3], kPanelColumns);
  plan->grid = grid_of(0, plan->out, w.dims[0], w.dims[1]);
  prepare.add_phase(plan->panels * ceil_div(w.dims[2], kPanelMultiple));
  return plan;
}

WinogradKernelGradPlan* plan_winograd_kernel_grad(Prepare& prepare) {
  if (prepare.num_inputs() != 2 || prepare.num_outputs() != 1 || exact(prepare)) return nullptr;
  const Spec &x = prepare.input(0), &dy = prepare.input(1), &dw = prepare.output(0);
  if (dw.rank != 4 || dw.dtype != x.dtype || !may_pay(prepare, x, dy, dw.dims)) return nullptr;
  const ConvGeometry g = read_conv_geometry(prepare, x, dy, dw.dims, 1);
  if (!winograd_pays(g) || g.batch == 0 || g.filters < kFewestGradFilters) return nullptr;
  auto* plan = static_cast<WinogradKernelGradPlan*>(prepare.new_state(sizeof(WinogradKernelGradPlan)));
  plan->in = image_of(g.rows.in, g.cols.in, g.channels, g.rows.pad, g.cols.pad, is_upright(g.rows.taps, g.cols.taps));
  plan->out = result_of(g);
  plan->grid = grid_of(g.batch, plan->out, g.rows.taps, g.cols.taps);
  const int64_t tiles = plan->grid.tiles;
  plan->channel_blocks = ceil_div(g.channels, kPieceChannels);
  plan->filter_blocks = ceil_div(g.filters, kPieceFilters);
  const int64_t points = plan->grid.points, work = tiles * points * winograd_packed_point(g.channels, g.filters);
  const int64_t wanted = min(max<int64_t>(work / kChunkWork, 1), kMostRanges);
  plan->ranges = max<int64_t>(min(ceil_div(wanted, plan->channel_blocks * plan->filter_blocks), tiles / kRangeTiles), 1);
  const int64_t split = ceil_div(min(wanted, kFewestChunks), plan->ranges * plan->filter_blocks);
  plan->channel_blocks = max(plan->channel_blocks, min(split, g.channels / kFewestPieceChannels));
  const int64_t pieces = plan->channel_blocks * plan->filter_blocks;
  plan->block_tiles = min(kGradBlockTiles, ceil_div(tiles, plan->ranges));
  plan->channels = whole_vectors(ceil_div(whole_vectors(g.channels), plan->channel_blocks));
  plan->filters = whole_vectors(ceil_div(whole_vectors(g.filters), plan->filter_blocks));
  plan->point = plan->channels * plan->filters + kSkew;
  plan->piece = points * plan->point;
  plan->inputs = plan->block_tiles * plan->channels + kSkew;
  plan->gradients = plan->block_tiles * plan->filters + kSkew;
  const bool one_range = plan->ranges == 1;
  prepare.need_thread_scratch((points * (plan->inputs + plan->gradients) + (one_range ? plan->piece : 0)) * sizeof(float));
  prepare.add_phase(pieces * plan->ranges);
  if (!one_range) {
    prepare.need_scratch(plan->ranges * pieces * plan->piece * sizeof(float));
    prepare.add_phase(ceil_div(g.channels, kPanelMultiple));
  }
  return plan;
}

}  // namespace nnlite
