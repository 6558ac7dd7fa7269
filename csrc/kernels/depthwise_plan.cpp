#include "kernels/depthwise_plan.h"

#include <algorithm>
#include <new>

namespace nnlite {
namespace {

using std::max;
using std::min;
using ll = long long;

// Multiply-adds of a chunk of a kernel gradient (about 10 us on one core, 3 when no sums of pixels must be added up after it), the most pixel blocks,
// and the fewest pixels accumulated in registers before they are added to dw in memory. From so many panels on they alone are shared while x is
// small: larger images are better read by whole pixels.
constexpr int64_t kGradWork = 600000, kGradPanelWork = 200000, kGradPanels = 4;
constexpr size_t kGradPanelBytes = 1 << 20;
constexpr int64_t kMostPartials = 32;
constexpr int64_t kGradBlockPixels = 64;
// Bytes of x and dy that stay in cache meanwhile, and the fewest output rows of a chunk.
constexpr int64_t kGradBlockBytes = 256 * 1024;
constexpr int64_t kGradRows = 7;
// Multiply-adds of a chunk of the others (about 5 us on one core), the most chunks, and the fewest rows of a chunk.
constexpr int64_t kChunkWork = 150000;
constexpr int64_t kMostChunks = 48;
constexpr int64_t kChunkRows = 7;
// Images of this size on are fetched before they are needed, results of this size on written past the caches.
constexpr size_t kFetchedBytes = 4 << 20, kPastCachesBytes = 16 << 20;
// Bytes of an input gradient for all filters that are finished together.
constexpr int64_t kBandBytes = 128 * 1024;

// An even number of chunks, so that two threads have equal shares of the few chunks of small maps.
int64_t count_chunks(int64_t work, int64_t chunk_work, int64_t most) {
  const int64_t count = work / chunk_work;
  return count < 2 ? 1 : min((count + 1) / 2 * 2, most);
}

// Multiply-adds, or as many as take the time of reading and writing the images, which is more with strides.
int64_t count_work(const ConvGeometry& g, int64_t depth) {
  const int64_t in = g.rows.in * g.cols.in * g.channels, out = g.rows.out * g.cols.out * g.filters;
  return g.batch * max(out * depth * g.rows.taps * g.cols.taps, 4 * (in + out));
}

// Filters are counted by channel: [.., channels, multiplier].
ConvGeometry read_geometry(const Prepare& prepare, const Spec& x, const Spec& y, const Spec& w) {
  check_conv_kernel(prepare, w, x.dtype);
  const ConvGeometry g = read_conv_geometry(prepare, x, y, w.dims, 1);
  if (w.dims[2] != g.channels || w.dims[2] * w.dims[3] != g.filters) {
    prepare.fail("a depthwise kernel (.., .., %lld, %lld) turns %lld channels into %lld, but the images have %lld and %lld",
                 static_cast<ll>(w.dims[2]), static_cast<ll>(w.dims[3]), static_cast<ll>(w.dims[2]), static_cast<ll>(w.dims[2] * w.dims[3]),
                 static_cast<ll>(g.channels), static_cast<ll>(g.filters));
  }
  if (w.dims[3] < 1 || w.dims[2] < 1) prepare.fail("a depthwise kernel needs at least 1 channel and 1 filter per channel");
  return g;
}

// Elements of the table of channels: none when filters are channels, else room to read a whole vector anywhere.
int64_t map_size(const ConvGeometry& g) { return g.groups == 1 && g.channels == g.filters ? 0 : g.filters + 16; }

// Filters of a depthwise convolution are counted by channel; those of a group share its channels.
const int32_t* fill_map(const ConvGeometry& g, int32_t* map) {
  if (map_size(g) == 0) return nullptr;
  const int64_t groups = g.groups == 1 ? g.channels : g.groups, filters = g.filters / groups, channels = g.channels / groups;
  for (int64_t i = 0; i < map_size(g); ++i) map[i] = static_cast<int32_t>(min(i, g.filters - 1) / filters * channels);
  return map;
}

DepthwisePlan* new_plan(Prepare& prepare, const ConvGeometry& g, int64_t convs, int64_t segments, ConvSegment** segment_room) {
  const size_t bytes = sizeof(DepthwisePlan) + convs * sizeof(DenseConv) + segments * sizeof(ConvSegment) + map_size(g) * sizeof(int32_t);
  char* memory = static_cast<char*>(prepare.new_state(bytes));
  auto* plan = new (memory) DepthwisePlan();
  plan->convs = reinterpret_cast<DenseConv*>(memory + sizeof(DepthwisePlan));
  plan->conv_count = convs;
  *segment_room = reinterpret_cast<ConvSegment*>(plan->convs + convs);
  plan->channel_of = fill_map(g, reinterpret_cast<int32_t*>(*segment_room + segments));
  plan->dtype = g.dtype;
  plan->batch = g.batch;
  plan->groups = 1;
  plan->depth = 1;
  plan->columns = g.filters;
  plan->panels = ceil_div(g.filters, kPanelColumns);
  plan->filters = g.filters;
  plan->kernel_cols = g.cols.taps;
  plan->in_place = true;
  plan->multiplier = g.filters / g.channels;
  plan->map_depth = g.groups == 1 ? 1 : g.channels / g.groups;
  plan->weight_depth = g.filters;
  plan->activation = Activation::kNone;
  return plan;
}

// Chunks of images, then of rows, then of channels. Narrow bands of rows would read much twice.
void cut_work(Prepare& prepare, DepthwisePlan* plan, int64_t work, bool whole_channels) {
  const int64_t wanted = count_chunks(work, kChunkWork, kMostChunks);
  plan->image_blocks = min(plan->batch, wanted);
  const int64_t need = ceil_div(wanted, max<int64_t>(plan->image_blocks, 1));
  plan->row_blocks = max<int64_t>(min(plan->convs[0].out_rows / kChunkRows, need), 1);
  plan->panel_blocks = whole_channels ? 1 : min(plan->panels, ceil_div(need, plan->row_blocks));
  prepare.add_phase(plan->image_blocks * plan->row_blocks * plan->panel_blocks);
}

JointAxis joint_axis(const ConvAxis& axis) {
  // Pairs of outputs 2 i and 2 i + 1; the one that gets two taps lies at 2 m - pad and reads dy at m - 1 and m.
  const bool odd = axis.pad % 2;
  const int64_t shift = odd ? (axis.pad - 1) / 2 : axis.pad / 2 - 1;
  // Without an edge, pairs read shift .. out - 1 - shift; the edge comes before with even padding, after with odd.
  const int64_t pairs = axis.in / 2, low = -shift, high = axis.out - 1 - shift;
  const int64_t begin = max<int64_t>(odd ? low : low - 1, 0), end = min(odd ? high + 1 : high, pairs);
  const int64_t edge = odd ? high : low - 1;
  return {begin, max(begin, end), shift, edge >= begin && edge < end ? edge : -1, odd};
}

void count_inputs(const Prepare& prepare, int inputs) {
  if (prepare.num_inputs() != inputs || prepare.num_outputs() != 1) {
    prepare.fail("needs %d inputs and 1 output, got %d and %d", inputs, prepare.num_inputs(), prepare.num_outputs());
  }
}

// Adds the phase that orders the weights of small groups. Chunks are taps.
void place_group_weights(Prepare& prepare, DepthwisePlan* plan, const ConvGeometry& g, GroupWeights weights) {
  plan->group_weights = weights;
  plan->kernel_taps = g.rows.taps * g.cols.taps;
  if (weights == GroupWeights::kPlain) return;
  prepare.need_scratch(plan->kernel_taps * plan->map_depth * g.filters * dtype_size(g.dtype));
  prepare.add_phase(plan->kernel_taps);
}

// What is larger than the caches. Activations read again what was just stored.
void meet_memory(const Prepare& prepare, DepthwisePlan* plan) {
  const bool plain = plan->channel_of == nullptr && plan->multiplier == 1 && plan->dtype == DType::kFloat32;
  plan->fetches = plain && prepare.input(0).bytes() >= kFetchedBytes;
  plan->past_caches = plain && plan->filters % 16 == 0 && prepare.output(0).bytes() >= kPastCachesBytes &&
                      (plan->activation == Activation::kNone || plan->activation == Activation::kRelu);
}

DepthwisePlan* plan_forward(Prepare& prepare, const ConvGeometry& g, GroupWeights weights) {
  ConvSegment* room;
  DepthwisePlan* plan = new_plan(prepare, g, 1, max_segments(g.rows) + max_segments(g.cols), &room);
  plan->bias = prepare.get_int("bias", 0);
  plan->activation = read_conv_activation(prepare);
  if (plan->bias && (prepare.input(2).dtype != g.dtype || prepare.input(2).size() != g.filters)) {
    prepare.fail("bias must have %lld elements of %s, got %lld of %s", static_cast<ll>(g.filters), dtype_name(g.dtype),
                 static_cast<ll>(prepare.input(2).size()), dtype_name(prepare.input(2).dtype));
  }
  DenseConv* conv = plan->convs;
  lay_out_dense(conv, g.rows, g.cols, g.channels, *plan, &room);
  conv->col_out = g.filters;
  conv->row_out = g.cols.out * g.filters;
  conv->image_out = g.rows.out * conv->row_out;
  conv->weight_col = plan->map_depth * g.filters;
  conv->weight_row = g.cols.taps * conv->weight_col;
  meet_memory(prepare, plan);
  place_group_weights(prepare, plan, g, weights);
  cut_work(prepare, plan, count_work(g, plan->map_depth), false);
  return plan;
}

DepthwisePlan* plan_input_grad(Prepare& prepare, const ConvGeometry& g, GroupWeights weights) {
  const int64_t row_phases = min(g.rows.stride, max<int64_t>(g.rows.in, 1)), col_phases = min(g.cols.stride, max<int64_t>(g.cols.in, 1));
  int64_t segments = 0;
  for (int64_t i = 0; i < row_phases * col_phases; ++i) {
    segments += max_segments(phase_axis(g.rows, i / col_phases).axis) + max_segments(phase_axis(g.cols, i % col_phases).axis);
  }
  ConvSegment* room;
  DepthwisePlan* plan = new_plan(prepare, g, row_phases * col_phases, segments, &room);
  if (g.groups == 1) plan->channel_of = nullptr;  // dy is read filter by filter
  for (int64_t i = 0; i < plan->conv_count; ++i) {
    DenseConv* conv = plan->convs + i;
    const int64_t row = i / col_phases, col = i % col_phases;
    const PhaseAxis rows = phase_axis(g.rows, row), cols = phase_axis(g.cols, col);
    lay_out_dense(conv, rows.axis, cols.axis, g.filters, *plan, &room);
    conv->origin_out = (row * g.cols.in + col) * g.filters;
    conv->col_out = g.cols.stride * g.filters;
    conv->row_out = g.rows.stride * g.cols.in * g.filters;
    // Taps run backwards through the kernel.
    const int64_t tap = plan->map_depth * g.filters;
    conv->weight_row = -rows.step * g.cols.taps * tap;
    conv->weight_col = -cols.step * tap;
    conv->weights = ((rows.first + (rows.axis.taps - 1) * rows.step) * g.cols.taps + cols.first + (cols.axis.taps - 1) * cols.step) * tap;
  }
  plan->input_rows = g.rows.in;
  plan->input_cols = g.cols.in;
  plan->input_stride = g.rows.stride;
  const auto joins = [](const ConvAxis& axis) { return axis.taps == 3 && axis.stride == 2 && axis.dilation == 1 && axis.in > 1; };
  plan->has_joint = g.groups == 1 && g.dtype == DType::kFloat32 && joins(g.rows) && joins(g.cols);
  if (plan->has_joint) plan->joint = {joint_axis(g.rows), joint_axis(g.cols)};
  meet_memory(prepare, plan);
  const int64_t row_bytes = max<int64_t>(g.rows.stride * g.cols.in * g.filters * static_cast<int64_t>(dtype_size(g.dtype)), 1);
  const bool at_once = plan->conv_count == 1 && plan->multiplier == 1;
  plan->band_rows = max<int64_t>(at_once ? plan->convs[0].out_rows : kBandBytes / row_bytes, 1);
  if (plan->multiplier > 1) prepare.need_thread_scratch(plan->band_rows * row_bytes);
  place_group_weights(prepare, plan, g, weights);
  cut_work(prepare, plan, count_work(g, plan->map_depth), plan->multiplier > 1);
  return plan;
}

// Makes one segment of each axis where edges miss one tap at most.
void join_edges(DepthwiseGradPlan* plan) {
  const ConvGeometry& g = plan->geometry;
  const bool same = g.rows.stride == g.rows.dilation && g.cols.stride == g.cols.dilation;
  const bool twice = g.rows.stride == 2 * g.rows.dilation && g.cols.stride == 2 * g.cols.dilation;
  AxisEdges rows, cols;
  if (g.dtype != DType::kFloat32 || !(same || twice) || !find_edges(plan->row_segments, plan->row_segment_count, g.rows.taps, &rows) ||
      !find_edges(plan->col_segments, plan->col_segment_count, g.cols.taps, &cols)) {
    return;
  }
  plan->row_edges = rows;
  plan->col_edges = cols;
  plan->row_segment_count = plan->col_segment_count = 1;
  *plan->row_segments = {0, g.rows.out, 0, 3};
  *plan->col_segments = {0, g.cols.out, 0, 3};
}

DepthwiseGradPlan* plan_kernel_grad(Prepare& prepare, const ConvGeometry& g, bool joins) {
  const int64_t segments = max_segments(g.rows) + max_segments(g.cols);
  const size_t bytes = sizeof(DepthwiseGradPlan) + segments * sizeof(ConvSegment) + map_size(g) * sizeof(int32_t);
  char* memory = static_cast<char*>(prepare.new_state(bytes));
  auto* plan = reinterpret_cast<DepthwiseGradPlan*>(memory);
  plan->geometry = g;
  plan->map_depth = g.groups == 1 ? 1 : g.channels / g.groups;
  plan->elements = prepare.output(0).size();
  plan->panels = ceil_div(g.filters, kPanelColumns);
  plan->block_pixels = max(kGradBlockBytes / (2 * g.filters * static_cast<int64_t>(dtype_size(g.dtype))), kGradBlockPixels);
  plan->row_segments = reinterpret_cast<ConvSegment*>(memory + sizeof(DepthwiseGradPlan));
  plan->channel_of = fill_map(g, reinterpret_cast<int32_t*>(plan->row_segments + segments));
  plan->row_segment_count = cut_segments(g.rows, plan->row_segments);
  plan->col_segments = plan->row_segments + plan->row_segment_count;
  plan->col_segment_count = cut_segments(g.cols, plan->col_segments);
  if (joins) join_edges(plan);

  const int64_t work = count_work(g, plan->map_depth), rows = g.batch * g.rows.out;
  const int64_t small = count_chunks(work, kGradPanelWork, kMostPartials);
  const int64_t wanted = max(min<int64_t>(small, 2), count_chunks(work, kGradWork, kMostPartials));
  if (plan->panels >= kGradPanels && prepare.input(0).bytes() < kGradPanelBytes) {
    plan->pixel_blocks = 1;
    plan->panel_blocks = min(small, plan->panels / 2 * 2);
  } else {
    plan->pixel_blocks = max<int64_t>(min(wanted, rows / kGradRows), 1);
    plan->panel_blocks = min(plan->panels, ceil_div(wanted, plan->pixel_blocks));
  }
  plan->fetches = plan->channel_of == nullptr && plan->panel_blocks == 1 && prepare.input(0).bytes() >= kFetchedBytes;
  if (plan->pixel_blocks > 1) prepare.need_scratch(plan->pixel_blocks * plan->elements * dtype_size(g.dtype));
  prepare.add_phase(plan->panel_blocks * plan->pixel_blocks);
  if (plan->pixel_blocks > 1) prepare.add_phase(ceil_div(plan->elements, kSumElements));
  return plan;
}

bool is_kernel(const Prepare& prepare, const Spec& w) {
  return prepare.num_inputs() == 2 && prepare.num_outputs() == 1 && w.rank == 4 && w.dtype == DType::kFloat32;
}

// Small groups of as many filters as channels, that divide the smallest register: the channels that its filters read fit another register.
bool is_small_group(const Spec& image, const int64_t* kernel, int64_t groups) {
  if (image.rank != 4 || image.dtype != DType::kFloat32 || groups < 2 || image.dims[3] % groups || kernel[3] % groups) return false;
  const int64_t channels = image.dims[3] / groups;
  return (channels == 2 || channels == 4) && kernel[2] == channels && kernel[3] == image.dims[3];
}

}  // namespace

DepthwisePlan* plan_depthwise_conv2d(Prepare& prepare) {
  count_inputs(prepare, 2 + (prepare.get_int("bias", 0) != 0));
  return plan_forward(prepare, read_geometry(prepare, prepare.input(0), prepare.output(0), prepare.input(1)), GroupWeights::kPlain);
}

DepthwisePlan* plan_depthwise_conv2d_input_grad(Prepare& prepare) {
  count_inputs(prepare, 2);
  return plan_input_grad(prepare, read_geometry(prepare, prepare.output(0), prepare.input(0), prepare.input(1)), GroupWeights::kPlain);
}

bool find_edges(const ConvSegment* segments, int64_t count, int64_t taps, AxisEdges* edges) {
  const auto is = [&](int64_t i, int64_t tap_begin, int64_t tap_end) {
    return i < count && segments[i].tap_begin == tap_begin && segments[i].tap_end == tap_end;
  };
  const auto is_one = [&](int64_t i) { return segments[i].end - segments[i].begin == 1; };
  edges->first = is(0, 1, 3) && is_one(0);
  edges->last = is(edges->first + 1, 0, 2) && is_one(edges->first + 1);
  return taps == 3 && is(edges->first, 0, 3) && count == 1 + edges->first + edges->last;
}

DepthwiseGradPlan* plan_depthwise_conv2d_kernel_grad(Prepare& prepare, bool joins) {
  count_inputs(prepare, 2);
  return plan_kernel_grad(prepare, read_geometry(prepare, prepare.input(0), prepare.input(1), prepare.output(0)), joins);
}

DepthwisePlan* plan_grouped_conv2d(Prepare& prepare) {
  const bool packed = prepare.get_int("packed", 0);
  const int64_t groups = prepare.get_int("groups", 1);
  if (prepare.num_inputs() != 2 + (prepare.get_int("bias", 0) != 0) || prepare.num_outputs() != 1) return nullptr;
  int64_t shape[4];
  if (packed ? prepare.get_ints("kernel_shape", shape, 4) != 4 : prepare.input(1).rank != 4) return nullptr;
  if (!packed) std::copy_n(prepare.input(1).dims, 4, shape);
  if (prepare.input(1).dtype != DType::kFloat32 || !is_small_group(prepare.input(0), shape, groups)) return nullptr;
  const ConvGeometry g = read_conv_geometry(prepare, prepare.input(0), prepare.output(0), shape, groups);
  if (packed && prepare.input(1).size() != groups * shape[0] * shape[1] * packed_size(shape[2], shape[2])) return nullptr;
  return plan_forward(prepare, g, packed ? GroupWeights::kPacked : GroupWeights::kPlain);
}

DepthwisePlan* plan_grouped_input_grad(Prepare& prepare) {
  const int64_t groups = prepare.get_int("groups", 1);
  const Spec& w = prepare.input(1);
  if (!is_kernel(prepare, w) || !is_small_group(prepare.output(0), w.dims, groups)) return nullptr;
  return plan_input_grad(prepare, read_conv_geometry(prepare, prepare.output(0), prepare.input(0), w.dims, groups), GroupWeights::kTurned);
}

DepthwiseGradPlan* plan_grouped_kernel_grad(Prepare& prepare, bool joins) {
  const int64_t groups = prepare.get_int("groups", 1);
  const Spec& dw = prepare.output(0);
  if (!is_kernel(prepare, dw) || !is_small_group(prepare.input(0), dw.dims, groups)) return nullptr;
  return plan_kernel_grad(prepare, read_conv_geometry(prepare, prepare.input(0), prepare.input(1), dw.dims, groups), joins);
}

}  // namespace nnlite
