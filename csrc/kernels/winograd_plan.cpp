#include "kernels/winograd_plan.h"

#include <algorithm>
#include <cstring>

namespace nnlite {
namespace {

using std::max;
using std::min;
using ll = long long;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t whole_vectors(int64_t elements) { return ceil_div(elements, kPanelMultiple) * kPanelMultiple; }

// Points' matrices start one line further than a power of two would have it: else they would share few sets of the first cache.
constexpr int64_t kSkew = 16;
// Multiply-adds of one chunk, and the most chunks wanted for the sake of threads.
constexpr int64_t kChunkWork = 1000000;
constexpr int64_t kMostChunks = 16;
// Bytes that a block's transformed inputs and the products of one panel may take: less than half a second-level cache.
constexpr int64_t kBlockBytes = 400 * 1024;
constexpr int64_t kMostBlockTiles = 48, kFewestBlockTiles = 12;
// Kernel gradients: channels and filters of a piece, tiles summed in registers, and the least tiles of a range.
constexpr int64_t kPieceChannels = 128, kPieceFilters = 128;
constexpr int64_t kGradBlockTiles = 48;
constexpr int64_t kRangeTiles = 96, kMostRanges = 8;
// With fewer channels or filters the tiles of the direct way are as good.
constexpr int64_t kFewestChannels = 4, kFewestGradFilters = 12;

bool exact(const Prepare& prepare) { return prepare.get_int("exact", 0) != 0; }

// Float32 images of rank 4 with a kernel that may have Winograd taps; whatever else is wrong is found when the geometry is read.
bool may_pay(const Prepare& prepare, const Spec& x, const Spec& y, const int64_t* kernel) {
  return x.rank == 4 && y.rank == 4 && x.dtype == DType::kFloat32 && y.dtype == DType::kFloat32 && kernel[0] == kernel[1] &&
         (kernel[0] == 3 || kernel[0] == 5) && prepare.get_int("groups", 1) == 1 && kernel[2] == x.dims[3] && kernel[3] == y.dims[3];
}

WinogradGrid grid_of(int64_t batch, int64_t out_rows, int64_t out_cols, int64_t taps) {
  WinogradGrid grid;
  grid.m = kWinogradSide + 1 - taps;
  grid.rows = ceil_div(out_rows, grid.m);
  grid.cols = ceil_div(out_cols, grid.m);
  grid.tiles = batch * grid.rows * grid.cols;
  return grid;
}

void cut_work(Prepare& prepare, WinogradPlan* plan) {
  const int64_t channels = plan->in.channels, packed = winograd_packed_size(channels, plan->filters);
  plan->panels = ceil_div(plan->filters, kPanelColumns);
  plan->row = whole_vectors(channels);
  const int64_t tile_bytes = kWinogradPoints * (plan->row + kPanelColumns) * static_cast<int64_t>(sizeof(float));
  const int64_t tiles = plan->grid.tiles;
  const int64_t most = max(min(kBlockBytes / tile_bytes, kMostBlockTiles), kFewestBlockTiles);
  const int64_t wanted = min(max<int64_t>(tiles * packed / kChunkWork, 1), kMostChunks);
  plan->tile_blocks = max(ceil_div(tiles, most), min(wanted, tiles / kFewestBlockTiles));
  plan->tile_blocks = max<int64_t>(plan->tile_blocks, 1);
  plan->panel_blocks = min(plan->panels, ceil_div(wanted, plan->tile_blocks));
  plan->block_tiles = ceil_div(tiles, plan->tile_blocks);
  plan->inputs = plan->block_tiles * plan->row + kSkew;
  plan->outputs = plan->block_tiles * kPanelColumns + kSkew;
  prepare.need_thread_scratch(kWinogradPoints * (plan->inputs + plan->outputs) * sizeof(float));
  if (!plan->packed) {
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

// Cycles of a core that does one multiply-add of 16 floats at a time, as measured: transforming 16 channels or filters of one tile, or 16 weights; and
// how many images share transformed weights, as a guess, because the choice must not depend on the batch.
constexpr double kTileCycles = 260, kWeightCycles = 150, kImages = 8;
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

// Whether tiles that cover out_rows x out_cols are cheaper than the direct products. `depth` channels are read for each of `columns` written.
bool pays(const ConvGeometry& g, int64_t out_rows, int64_t out_cols, int64_t depth, int64_t columns) {
  if (g.dtype != DType::kFloat32 || g.groups != 1 || g.rows.taps != g.cols.taps || (g.rows.taps != 3 && g.rows.taps != 5)) return false;
  for (const ConvAxis* axis : {&g.rows, &g.cols}) {
    if (axis->stride != 1 || axis->dilation != 1) return false;
  }
  if (depth < kFewestChannels || columns < kFewestChannels || g.rows.out < 1 || g.cols.out < 1) return false;
  const int64_t column_vectors = ceil_div(columns, kPanelMultiple), vectors = ceil_div(depth, kPanelMultiple) + column_vectors;
  const int64_t pairs = depth * column_vectors, tiles = grid_of(1, out_rows, out_cols, g.rows.taps).tiles;
  const double direct = static_cast<double>(products(g.rows) * products(g.cols) * pairs);
  const double multiplying = static_cast<double>(tiles * kWinogradPoints * pairs), transforming = kTileCycles * static_cast<double>(tiles * vectors);
  return multiplying + transforming + kWeightCycles / kImages * static_cast<double>(pairs) < kSaving * direct;
}

}  // namespace

bool winograd_pays(const ConvGeometry& g) { return pays(g, g.rows.out, g.cols.out, g.channels, g.filters); }

bool winograd_input_grad_pays(const ConvGeometry& g) { return pays(g, g.rows.in, g.cols.in, g.filters, g.channels); }

int64_t winograd_packed_size(int64_t channels, int64_t filters) { return kWinogradPoints * (channels * whole_vectors(filters) + kSkew); }

WinogradPlan* plan_winograd(Prepare& prepare) {
  const bool bias = prepare.get_int("bias", 0), packed = prepare.get_int("packed", 0);
  if (prepare.num_inputs() != 2 + bias || prepare.num_outputs() != 1 || exact(prepare)) return nullptr;
  if (packed && !prepare.get_int("winograd", 0)) return nullptr;
  const Spec &x = prepare.input(0), &w = prepare.input(1), &y = prepare.output(0);
  int64_t kernel[4];
  if (packed) {
    if (prepare.get_ints("kernel_shape", kernel, 4) != 4) return nullptr;
  } else {
    if (w.rank != 4 || w.dtype != x.dtype) return nullptr;
    std::copy(w.dims, w.dims + 4, kernel);
  }
  if (!may_pay(prepare, x, y, kernel)) return nullptr;
  if (bias && (prepare.input(2).dtype != x.dtype || prepare.input(2).size() != y.dims[3])) return nullptr;
  const ConvGeometry g = read_conv_geometry(prepare, x, y, kernel, 1);
  if (!winograd_pays(g)) return nullptr;
  if (packed && (w.dtype != x.dtype || w.size() != winograd_packed_size(g.channels, g.filters))) {
    prepare.fail("weights transformed for Winograd must have %lld elements of float32, got %lld of %s",
                 static_cast<ll>(winograd_packed_size(g.channels, g.filters)), static_cast<ll>(w.size()), dtype_name(w.dtype));
  }
  const Activation activation = read_conv_activation(prepare);
  auto* plan = static_cast<WinogradPlan*>(prepare.new_state(sizeof(WinogradPlan)));
  plan->in = {g.rows.in, g.cols.in, g.channels, g.rows.pad, g.cols.pad};
  plan->grid = grid_of(g.batch, g.rows.out, g.cols.out, g.rows.taps);
  plan->out_rows = g.rows.out;
  plan->out_cols = g.cols.out;
  plan->filters = g.filters;
  plan->packed = packed;
  plan->bias = bias;
  plan->activation = activation;
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
  plan->in = {g.rows.out, g.cols.out, g.filters, g.rows.taps - 1 - g.rows.pad, g.cols.taps - 1 - g.cols.pad};
  plan->grid = grid_of(g.batch, g.rows.in, g.cols.in, g.rows.taps);
  plan->out_rows = g.rows.in;
  plan->out_cols = g.cols.in;
  plan->filters = g.channels;
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
  if (w.dims[0] != w.dims[1] || (w.dims[0] != 3 && w.dims[0] != 5)) {
    prepare.fail("Winograd needs a kernel of 3 x 3 or 5 x 5, got %lld x %lld", static_cast<ll>(w.dims[0]), static_cast<ll>(w.dims[1]));
  }
  const int64_t size = winograd_packed_size(w.dims[2], w.dims[3]);
  if (packed.dtype != w.dtype || packed.size() != size) {
    prepare.fail("transformed weights must have %lld elements of float32, got %lld of %s", static_cast<ll>(size), static_cast<ll>(packed.size()),
                 dtype_name(packed.dtype));
  }
  auto* plan = static_cast<WinogradPlan*>(prepare.new_state(sizeof(WinogradPlan)));
  plan->in.channels = w.dims[2];
  plan->filters = w.dims[3];
  plan->panels = ceil_div(w.dims[3], kPanelColumns);
  plan->grid.m = kWinogradSide + 1 - w.dims[0];
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
  plan->in = {g.rows.in, g.cols.in, g.channels, g.rows.pad, g.cols.pad};
  plan->out = {g.rows.out, g.cols.out, g.filters, 0, 0};
  plan->grid = grid_of(g.batch, g.rows.out, g.cols.out, g.rows.taps);
  plan->taps = g.rows.taps;
  const int64_t tiles = plan->grid.tiles;
  plan->channel_blocks = ceil_div(g.channels, kPieceChannels);
  plan->filter_blocks = ceil_div(g.filters, kPieceFilters);
  const int64_t pieces = plan->channel_blocks * plan->filter_blocks;
  const int64_t work = tiles * winograd_packed_size(g.channels, g.filters);
  const int64_t wanted = min(max<int64_t>(work / kChunkWork, 1), kMostRanges);
  plan->ranges = max<int64_t>(min(ceil_div(wanted, pieces), tiles / kRangeTiles), 1);
  plan->block_tiles = min(kGradBlockTiles, ceil_div(tiles, plan->ranges));
  plan->channels = whole_vectors(ceil_div(whole_vectors(g.channels), plan->channel_blocks));
  plan->filters = whole_vectors(ceil_div(whole_vectors(g.filters), plan->filter_blocks));
  plan->point = plan->channels * plan->filters + kSkew;
  plan->piece = kWinogradPoints * plan->point;
  plan->inputs = plan->block_tiles * plan->channels + kSkew;
  plan->gradients = plan->block_tiles * plan->filters + kSkew;
  prepare.need_scratch(plan->ranges * pieces * plan->piece * sizeof(float));
  prepare.need_thread_scratch(kWinogradPoints * (plan->inputs + plan->gradients) * sizeof(float));
  prepare.add_phase(pieces * plan->ranges);
  prepare.add_phase(ceil_div(g.channels, kPanelMultiple));
  return plan;
}

}  // namespace nnlite
