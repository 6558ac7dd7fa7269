// How the kernel gradient of a convolution is laid out and cut.
#include <algorithm>

#include "kernels/conv2d_plan.h"

namespace nnlite {
namespace {

using std::max;
using std::min;

// Work of one chunk in multiply-adds (about 15 us on one core), and the most chunks made.
constexpr int64_t kChunkWork = 1500000;
constexpr int64_t kMostChunks = 48;
// Kernel gradients: below this many channels tiles span several taps.
constexpr int64_t kFewChannels = 8;
// Pixels accumulated in registers before they are added to dw in memory.
constexpr int64_t kGradBlockPixels = 256;
// Channels of one piece of dw.
constexpr int64_t kGradChannels = kGroupRows;
// 1 x 1 kernels: from so many pixels, channels and filters on, channels are copied in groups. With more filters the copies are made too often.
constexpr int64_t kCopyPixels = 512;
constexpr int64_t kCopyChannels = 48;
constexpr int64_t kCopyFilters = 96;
constexpr int64_t kMostCopyFilters = 512;
// Panels of filters and groups of channels of their chunks, and how many chunks there should be, by way of partial sums if need be.
constexpr int64_t kCopyPanels = 4;
constexpr int64_t kCopyGroups = 6;
constexpr int64_t kCopyChunks = 8;
// With so many pieces of dw, work is cut over dw alone and needs no partial sums; else into about kMostPartials chunks.
constexpr int64_t kEnoughPieces = 16;
constexpr int64_t kMostPartials = 24;
// Chunks over pixels pass once over x and dy, those over pieces of dw as often as there are pieces: with enough pixels for every partial sum, and
// room for them, work is cut over pixels.
constexpr int64_t kFewestPartialPixels = 512;
constexpr int64_t kFewestPartials = 8;
constexpr int64_t kMostPartialElements = 2 << 20;

bool copies_groups(const KernelGradPlan& plan) {
  const ConvGeometry& g = plan.geometry;
  return g.rows.taps * g.cols.taps == 1 && g.batch * g.rows.out * g.cols.out >= kCopyPixels && plan.depth >= kCopyChannels &&
         plan.columns >= kCopyFilters && plan.columns <= kMostCopyFilters;
}

// Cuts the work over dw and over pixels.
void cut_grad_work(bool in_groups, KernelGradPlan* plan) {
  const ConvGeometry& g = plan->geometry;
  const int64_t taps = g.rows.taps * g.cols.taps, pixels = g.batch * g.rows.out * g.cols.out, rows = g.batch * g.rows.out;
  const int64_t wanted = min(max<int64_t>(pixels * taps * g.channels * plan->columns / kChunkWork, 1), kMostChunks);
  const int64_t units = plan->across_taps ? 1 : taps * plan->channel_blocks;
  plan->panel_blocks = in_groups ? ceil_div(plan->panels, kCopyPanels) : plan->panels;
  const int64_t most_blocks = in_groups ? max<int64_t>(units / kCopyGroups, 1) : units;
  const int64_t panel_chunks = plan->panel_blocks * g.groups, pieces = panel_chunks * units;
  plan->m_blocks = min(most_blocks, ceil_div(wanted, panel_chunks));
  plan->pixel_blocks = 1;
  const int64_t partials = min(min(pixels / kFewestPartialPixels, kMostPartialElements / plan->elements), rows);
  if (min(wanted, kFewestPartials) <= partials) {
    plan->pixel_blocks = min(min(partials, wanted), kMostPartials);
    plan->m_blocks = min(most_blocks, ceil_div(min(wanted, kMostPartials), panel_chunks * plan->pixel_blocks));
  } else if (in_groups) {
    plan->pixel_blocks = max<int64_t>(min(ceil_div(min(wanted, kCopyChunks), panel_chunks * plan->m_blocks), partials), 1);
  } else if (pieces < min(wanted, kEnoughPieces)) {
    plan->pixel_blocks = max<int64_t>(min(ceil_div(min(wanted, kMostPartials), pieces), rows), 1);
  }
}

}  // namespace

KernelGradPlan* plan_conv2d_kernel_grad(Prepare& prepare) {
  if (prepare.num_inputs() != 2 || prepare.num_outputs() != 1) {
    prepare.fail("needs 2 inputs (x, dy) and 1 output, got %d and %d", prepare.num_inputs(), prepare.num_outputs());
  }
  const Spec& dw = prepare.output(0);
  check_conv_kernel(prepare, dw, prepare.input(0).dtype);
  const ConvGeometry g = read_conv_geometry(prepare, prepare.input(0), prepare.input(1), dw.dims, read_groups(prepare));
  check_kernel(prepare, g, dw.dims);

  auto* plan = static_cast<KernelGradPlan*>(prepare.new_state(sizeof(KernelGradPlan)));
  plan->geometry = g;
  plan->depth = g.channels / g.groups;
  plan->columns = g.filters / g.groups;
  plan->panels = ceil_div(plan->columns, kPanelColumns);
  plan->elements = dw.size();
  if (plan->elements == 0) {
    prepare.add_phase(0);
    return plan;
  }
  plan->block_pixels = kGradBlockPixels;
  const int64_t taps = g.rows.taps * g.cols.taps;
  plan->across_taps = g.groups == 1 && taps > 1 && g.channels < kFewChannels;
  const int64_t span_rows = (g.rows.out - 1) * g.rows.stride + (g.rows.taps - 1) * g.rows.dilation + 1;
  const int64_t span_cols = (g.cols.out - 1) * g.cols.stride + (g.cols.taps - 1) * g.cols.dilation + 1;
  const bool padded = g.rows.pad > 0 || g.cols.pad > 0 || span_rows - g.rows.pad > g.rows.in || span_cols - g.cols.pad > g.cols.in;
  plan->copy_images = plan->across_taps && padded && g.rows.out * g.cols.out > 0;
  plan->channel_blocks = plan->across_taps ? 1 : ceil_div(plan->depth, kGradChannels);

  const bool in_groups = copies_groups(*plan);
  cut_grad_work(in_groups, plan);
  const int64_t image_pixels = g.rows.out * g.cols.out;
  if (plan->copy_images) {
    const int64_t images = max<int64_t>(kGradBlockPixels / image_pixels, 1);
    const int64_t block_rows = images > 1 ? g.rows.out : min(g.rows.out, max<int64_t>(kGradBlockPixels / g.cols.out, 1));
    plan->copy_elements = images * ((block_rows - 1) * g.rows.stride + (g.rows.taps - 1) * g.rows.dilation + 1) * span_cols * g.channels;
  }
  const int64_t most_pixels = max(kGradBlockPixels, g.cols.out);
  if (in_groups) {
    // A little more, so that neighbouring groups use other sets of the caches.
    plan->group_elements = most_pixels * kGroupRows + kPanelMultiple;
    plan->copy_elements = plan->group_elements * ceil_div(plan->channel_blocks, plan->m_blocks);
  }
  prepare.need_thread_scratch((plan->copy_elements + most_pixels * (in_groups ? kPanelColumns : kPanelMultiple)) * dtype_size(g.dtype));
  prepare.add_phase(g.groups * plan->panel_blocks * plan->m_blocks * plan->pixel_blocks);
  if (plan->pixel_blocks > 1) {
    prepare.need_scratch(plan->pixel_blocks * plan->elements * dtype_size(g.dtype));
    prepare.add_phase(ceil_div(plan->elements, kSumElements));
  }
  return plan;
}

}  // namespace nnlite
