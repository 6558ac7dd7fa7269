#include "kernels/conv2d_overlap_plan.h"

#include <algorithm>

namespace nnlite {
namespace {

constexpr int64_t kMostChannels = 8;
constexpr int64_t kFewestFilters = 8;
constexpr int64_t kSmallestPatch = 8;  // a smaller part of a vector costs more than copies of dy by channel
constexpr int64_t kRegister = 8;  // the most lanes of a register that is written whole over its neighbours
constexpr int64_t kBandBytes = 24 * 1024;
constexpr int64_t kChunkWork = 1000000;  // multiply-adds of one chunk, about 15 us on one core
constexpr int64_t kMostChunks = 48;
constexpr int64_t kFewestRows = 8;  // of dx in one chunk: patches across the border are computed twice

bool gains(const ConvGeometry& g) {
  if (g.dtype != DType::kFloat32 || g.groups != 1 || g.channels > kMostChannels || g.filters < kFewestFilters) return false;
  if (g.rows.taps > kOverlapMostTapRows || g.cols.dilation != 1 || g.rows.out * g.cols.out == 0) return false;
  return g.rows.stride * g.cols.stride > 1 && g.rows.taps * g.cols.taps > 1 && g.rows.taps * g.cols.taps * g.channels >= kSmallestPatch;
}

}  // namespace

OverlapPlan* plan_overlap_input_grad(Prepare& prepare) {
  if (prepare.num_inputs() != 2 || prepare.num_outputs() != 1) return nullptr;
  const Spec& w = prepare.input(1);
  if (w.rank != 4 || w.dtype != DType::kFloat32 || prepare.input(0).dtype != DType::kFloat32) return nullptr;
  const ConvGeometry g = read_conv_geometry(prepare, prepare.output(0), prepare.input(0), w.dims, read_groups(prepare));
  check_kernel(prepare, g, w.dims);
  if (!gains(g)) return nullptr;
  auto* plan = static_cast<OverlapPlan*>(prepare.new_state(sizeof(OverlapPlan)));
  plan->batch = g.batch;
  plan->channels = g.channels;
  plan->filters = g.filters;
  plan->rows = g.rows;
  plan->cols = g.cols;
  plan->patch = g.rows.taps * g.cols.taps * g.channels;
  plan->width = ceil_div(plan->patch, kPanelMultiple) * kPanelMultiple;
  plan->row_elements = g.cols.out * plan->width;
  plan->apart = ceil_div(ceil_div(g.cols.taps * g.channels, kRegister) * kRegister, g.cols.stride * g.channels);
  plan->kept_rows = (g.rows.taps - 1) * g.rows.dilation / g.rows.stride;
  const int64_t row_bytes = plan->row_elements * static_cast<int64_t>(sizeof(float));
  plan->band_rows = std::max<int64_t>(kBandBytes / row_bytes, 1);
  const int64_t work = g.batch * g.rows.out * g.cols.out * g.filters * plan->width;
  const int64_t wanted = std::min(std::max<int64_t>(work / kChunkWork, 1), kMostChunks);
  plan->image_blocks = std::max<int64_t>(std::min(g.batch, wanted), 1);
  plan->row_blocks = std::max<int64_t>(std::min(wanted / plan->image_blocks, g.rows.in / kFewestRows), 1);
  prepare.need_scratch(plan->filters * plan->width * sizeof(float));
  prepare.need_thread_scratch((plan->band_rows + plan->kept_rows) * row_bytes);
  prepare.add_phase(ceil_div(plan->filters, kOverlapPackChannels));
  prepare.add_phase(plan->image_blocks * plan->row_blocks);
  return plan;
}

}  // namespace nnlite
