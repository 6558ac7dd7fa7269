#include "kernels/depthwise_plan.h"

#include <algorithm>

namespace nnlite {
namespace {

using std::max;
using std::min;
using ll = long long;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Multiply-adds of a chunk of a kernel gradient (about 15 us on one core), the most pixel blocks, and the fewest pixels accumulated in
// registers before they are added to dw in memory.
constexpr int64_t kGradWork = 1000000;
constexpr int64_t kMostPartials = 32;
constexpr int64_t kGradBlockPixels = 64;
// Bytes of x and dy that stay in cache meanwhile, and the fewest output rows of a chunk.
constexpr int64_t kGradBlockBytes = 256 * 1024;
constexpr int64_t kGradRows = 8;

// Filters are counted by channel: [.., channels, multiplier].
ConvGeometry read_geometry(const Prepare& prepare, const Spec& x, const Spec& y, const Spec& w, int64_t* multiplier) {
  check_conv_kernel(prepare, w, x.dtype);
  const ConvGeometry g = read_conv_geometry(prepare, x, y, w.dims, 1);
  *multiplier = w.dims[3];
  if (w.dims[2] != g.channels || w.dims[2] * w.dims[3] != g.filters) {
    prepare.fail("a depthwise kernel (.., .., %lld, %lld) turns %lld channels into %lld, but the images have %lld and %lld",
                 static_cast<ll>(w.dims[2]), static_cast<ll>(w.dims[3]), static_cast<ll>(w.dims[2]), static_cast<ll>(w.dims[2] * w.dims[3]),
                 static_cast<ll>(g.channels), static_cast<ll>(g.filters));
  }
  if (w.dims[3] < 1 || w.dims[2] < 1) prepare.fail("a depthwise kernel needs at least 1 channel and 1 filter per channel");
  return g;
}

void fill_plan(DensePlan* plan, const ConvGeometry& g, int64_t multiplier) {
  plan->dtype = g.dtype;
  plan->batch = g.batch;
  plan->groups = 1;
  plan->depth = 1;
  plan->columns = g.filters;
  plan->panels = ceil_div(g.filters, kPanelColumns);
  plan->filters = g.filters;
  plan->kernel_cols = g.cols.taps;
  plan->in_place = true;
  plan->multiplier = multiplier;
}

void count_inputs(const Prepare& prepare, int inputs) {
  if (prepare.num_inputs() != inputs || prepare.num_outputs() != 1) {
    prepare.fail("needs %d inputs and 1 output, got %d and %d", inputs, prepare.num_inputs(), prepare.num_outputs());
  }
}

}  // namespace

DensePlan* plan_depthwise_conv2d(Prepare& prepare) {
  const bool bias = prepare.get_int("bias", 0);
  count_inputs(prepare, 2 + bias);
  int64_t multiplier;
  const ConvGeometry g = read_geometry(prepare, prepare.input(0), prepare.output(0), prepare.input(1), &multiplier);
  ConvSegment* room;
  DensePlan* plan = new_dense_plan(prepare, 1, max_segments(g.rows) + max_segments(g.cols), &room);
  fill_plan(plan, g, multiplier);
  plan->bias = bias;
  plan->activation = read_conv_activation(prepare);
  if (bias && (prepare.input(2).dtype != g.dtype || prepare.input(2).size() != g.filters)) {
    prepare.fail("bias must have %lld elements of %s, got %lld of %s", static_cast<ll>(g.filters), dtype_name(g.dtype),
                 static_cast<ll>(prepare.input(2).size()), dtype_name(prepare.input(2).dtype));
  }
  DenseConv* conv = plan->convs;
  lay_out_dense(conv, g.rows, g.cols, g.filters, *plan, &room);
  conv->col_out = g.filters;
  conv->row_out = g.cols.out * g.filters;
  conv->image_out = g.rows.out * conv->row_out;
  conv->weight_row = g.cols.taps * g.filters;
  conv->weight_col = g.filters;
  const int64_t image = g.batch * g.rows.in * g.cols.in;
  if (multiplier > 1) {
    prepare.add_phase(ceil_div(image, kRepeatPixels));
    prepare.need_scratch(image * g.filters * dtype_size(g.dtype));
  }
  cut_dense_work(prepare, plan, g.batch * g.rows.out * g.cols.out * g.filters * g.rows.taps * g.cols.taps);
  return plan;
}

DensePlan* plan_depthwise_conv2d_input_grad(Prepare& prepare) {
  count_inputs(prepare, 2);
  int64_t multiplier;
  const ConvGeometry g = read_geometry(prepare, prepare.output(0), prepare.input(0), prepare.input(1), &multiplier);
  const int64_t row_phases = min(g.rows.stride, max<int64_t>(g.rows.in, 1)), col_phases = min(g.cols.stride, max<int64_t>(g.cols.in, 1));
  int64_t segments = 0;
  for (int64_t i = 0; i < row_phases * col_phases; ++i) {
    segments += max_segments(phase_axis(g.rows, i / col_phases).axis) + max_segments(phase_axis(g.cols, i % col_phases).axis);
  }
  ConvSegment* room;
  DensePlan* plan = new_dense_plan(prepare, row_phases * col_phases, segments, &room);
  fill_plan(plan, g, multiplier);
  plan->activation = Activation::kNone;
  for (int64_t i = 0; i < plan->conv_count; ++i) {
    DenseConv* conv = plan->convs + i;
    const int64_t row = i / col_phases, col = i % col_phases;
    const PhaseAxis rows = phase_axis(g.rows, row), cols = phase_axis(g.cols, col);
    lay_out_dense(conv, rows.axis, cols.axis, g.filters, *plan, &room);
    conv->origin_out = (row * g.cols.in + col) * g.filters;
    conv->col_out = g.cols.stride * g.filters;
    conv->row_out = g.rows.stride * g.cols.in * g.filters;
    conv->image_out = g.rows.in * g.cols.in * g.filters;
    // Taps run backwards through the kernel.
    conv->weight_row = -rows.step * g.cols.taps * g.filters;
    conv->weight_col = -cols.step * g.filters;
    conv->weights = ((rows.first + (rows.axis.taps - 1) * rows.step) * g.cols.taps + cols.first + (cols.axis.taps - 1) * cols.step) * g.filters;
  }
  cut_dense_work(prepare, plan, g.batch * g.rows.out * g.cols.out * g.filters * g.rows.taps * g.cols.taps);
  const int64_t image = g.batch * g.rows.in * g.cols.in;
  if (multiplier > 1) {
    prepare.add_phase(ceil_div(image, kRepeatPixels));
    prepare.need_scratch(image * g.filters * dtype_size(g.dtype));
  }
  return plan;
}

DepthwiseGradPlan* plan_depthwise_conv2d_kernel_grad(Prepare& prepare) {
  count_inputs(prepare, 2);
  int64_t multiplier;
  const ConvGeometry g = read_geometry(prepare, prepare.input(0), prepare.input(1), prepare.output(0), &multiplier);
  const int64_t segments = max_segments(g.rows) + max_segments(g.cols);
  char* memory = static_cast<char*>(prepare.new_state(sizeof(DepthwiseGradPlan) + segments * sizeof(ConvSegment)));
  auto* plan = reinterpret_cast<DepthwiseGradPlan*>(memory);
  plan->geometry = g;
  plan->multiplier = multiplier;
  plan->elements = prepare.output(0).size();
  plan->panels = ceil_div(g.filters, kPanelColumns);
  plan->block_pixels = max(kGradBlockBytes / (2 * g.filters * static_cast<int64_t>(dtype_size(g.dtype))), kGradBlockPixels);
  plan->row_segments = reinterpret_cast<ConvSegment*>(memory + sizeof(DepthwiseGradPlan));
  plan->row_segment_count = cut_segments(g.rows, plan->row_segments);
  plan->col_segments = plan->row_segments + plan->row_segment_count;
  plan->col_segment_count = cut_segments(g.cols, plan->col_segments);

  const int64_t work = g.batch * g.rows.out * g.cols.out * plan->elements, rows = g.batch * g.rows.out;
  const int64_t wanted = max<int64_t>(min(work / kGradWork, kMostPartials), 1);
  plan->pixel_blocks = max<int64_t>(min(wanted, rows / kGradRows), 1);
  plan->panel_blocks = min(plan->panels, ceil_div(wanted, plan->pixel_blocks));
  const int64_t image = g.batch * g.rows.in * g.cols.in;
  if (multiplier > 1) {
    plan->partials = image * g.filters;
    prepare.add_phase(ceil_div(image, kRepeatPixels));
  }
  const int64_t partial_elements = plan->pixel_blocks > 1 ? plan->pixel_blocks * plan->elements : 0;
  prepare.need_scratch((plan->partials + partial_elements) * dtype_size(g.dtype));
  prepare.add_phase(plan->panel_blocks * plan->pixel_blocks);
  if (plan->pixel_blocks > 1) prepare.add_phase(ceil_div(plan->elements, kSumElements));
  return plan;
}

}  // namespace nnlite
