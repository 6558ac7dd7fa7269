#include "kernels/conv2d_plan.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace nnlite {
namespace {

using std::max;
using std::min;
using ll = long long;

// Rounds towards minus infinity; b > 0.
int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

// Work of one chunk in multiply-adds (about 15 us on one core), and the most chunks made.
constexpr int64_t kChunkWork = 1500000;
constexpr int64_t kMostChunks = 48;
// Up to this many output pixels weights are read in place: packing would cost more than it saves.
constexpr int64_t kInPlacePixels = 32;
// Input bytes a chunk may touch: half a second-level cache.
constexpr int64_t kChunkBytes = 512 * 1024;
// Up to so many filters, lanes are pixels, given enough channels to make copies by channel pay, and pixels. Bytes of the copies of a band.
constexpr int64_t kFewFilters = 8;
constexpr int64_t kFewFiltersDepth = 8;
constexpr int64_t kFewFiltersPixels = 32;
constexpr int64_t kFewFiltersCols = 4;
constexpr int64_t kFewFiltersBytes = 96 * 1024;
constexpr int64_t kFewFiltersTile = 64;  // the most pixels of a tile
// Bytes of an input gradient that are cleared at a time, just before some of its pixels are computed, and the fewest of these. Of one of several
// panels more is cleared, because then the weights change with every panel.
constexpr int64_t kFillBytes = 24 * 1024;
constexpr int64_t kFillPanelBytes = 96 * 1024;
constexpr int64_t kFillPixels = 24;

// One axis; the output must have the size that the padding gives.
ConvAxis read_axis(const Prepare& prepare, const char* name, int64_t in, int64_t out, int64_t taps, int64_t stride, int64_t dilation,
                   const int64_t* padding) {
  if (taps < 1) prepare.fail("the kernel must have at least 1 of its %s, got %lld", name, static_cast<ll>(taps));
  const int64_t expected = conv_axis_size(in, taps, stride, dilation, padding);
  if (out != expected) {
    prepare.fail("%lld input %s with a kernel of %lld, stride %lld, dilation %lld and padding (%lld, %lld) give %lld output %s, got %lld",
                 static_cast<ll>(in), name, static_cast<ll>(taps), static_cast<ll>(stride), static_cast<ll>(dilation),
                 static_cast<ll>(padding[0]), static_cast<ll>(padding[1]), static_cast<ll>(expected), name, static_cast<ll>(out));
  }
  return {in, out, taps, stride, dilation, padding[0]};
}

// Gives each convolution its place in the scratch that will hold packed weights.
void place_weights(Prepare& prepare, DensePlan* plan) {
  int64_t elements = 0;
  for (int64_t i = 0; i < plan->conv_count; ++i) {
    plan->convs[i].weights = elements;
    elements += plan->groups * plan->convs[i].group_weights;
  }
  if (!plan->in_place) prepare.need_scratch(elements * dtype_size(plan->dtype));
}

// With few filters, lanes are pixels: rows of the image are copied channel by channel.
void plan_few_filters(Prepare& prepare, DensePlan* plan) {
  if (plan->dtype != DType::kFloat32 || plan->columns > kFewFilters || plan->depth < kFewFiltersDepth || plan->residual) return;
  for (int64_t i = 0; i < plan->conv_count; ++i) {
    if (plan->convs[i].rows.stride != 1 || plan->convs[i].cols.stride != 1) return;
  }
  const DenseConv& conv = plan->convs[0];
  if (conv.out_rows * conv.out_cols < kFewFiltersPixels || conv.out_cols < kFewFiltersCols) return;
  const int64_t row = conv.out_cols * plan->depth * static_cast<int64_t>(sizeof(float));
  plan->few_rows = max<int64_t>(kFewFiltersBytes / row, 1);
  int64_t elements = 0;
  for (int64_t i = 0; i < plan->conv_count; ++i) {
    const FewFiltersBand band = few_filters_band(plan->convs[i], min(plan->few_rows, plan->convs[i].out_rows), plan->convs[i].out_cols);
    elements = max(elements, plan->depth * band.plane + band.beyond + plan->columns * band.sums);
  }
  prepare.need_thread_scratch(elements * sizeof(float));
}

// Where the strides skip taps, as 1 x 1 kernels do, most phases of an input gradient are zeros: leaves the one that is not.
void plan_zero_phases(DensePlan* plan, const ConvGeometry& g) {
  DenseConv* used = nullptr;
  for (int64_t i = 0; i < plan->conv_count; ++i) {
    DenseConv* conv = plan->convs + i;
    if (conv->taps_rows * conv->taps_cols == 0) continue;
    if (used) return;
    used = conv;
  }
  if (!used || plan->conv_count == 1 || used->out_rows * used->out_cols == 0) return;
  *plan->convs = *used;
  plan->conv_count = 1;
  plan->fill_rows = g.rows.in;
  plan->fill_row = g.cols.in * g.channels;
  plan->fill_stride = g.rows.stride;
  const int64_t row_bytes = g.cols.in * min(plan->columns, kPanelColumns) * static_cast<int64_t>(dtype_size(plan->dtype));
  const int64_t bytes = plan->panels > 1 ? kFillPanelBytes : kFillBytes;
  plan->fill_band = max(bytes / (plan->fill_stride * row_bytes), ceil_div(kFillPixels, used->out_cols));
}

}  // namespace

void read_conv_pair(const Prepare& prepare, const char* name, int64_t* values) {
  values[0] = values[1] = 1;
  if (prepare.has(name) && prepare.get_ints(name, values, 2) != 2) prepare.fail("attribute %s needs 2 integers (rows, columns)", name);
  if (values[0] < 1 || values[1] < 1) {
    prepare.fail("attribute %s must be at least 1, got (%lld, %lld)", name, static_cast<ll>(values[0]), static_cast<ll>(values[1]));
  }
}

int64_t conv_axis_size(int64_t in, int64_t taps, int64_t stride, int64_t dilation, const int64_t* padding) {
  const int64_t room = in + padding[0] + padding[1] - (taps - 1) * dilation - 1;
  return room < 0 ? 0 : room / stride + 1;
}

FewFiltersBand few_filters_band(const DenseConv& conv, int64_t rows, int64_t cols) {
  const int64_t reach = (conv.taps_cols - 1) * conv.cols.dilation;
  FewFiltersBand band;
  band.reach = (conv.taps_rows - 1) * conv.rows.dilation;
  band.width = cols + reach;
  band.plane = (rows + band.reach) * band.width + kPanelMultiple;  // a transpose writes whole vectors
  band.beyond = reach + kFewFiltersTile;
  band.sums = ceil_div(rows * band.width, kFewFiltersTile) * kFewFiltersTile;
  return band;
}

void check_conv_kernel(const Prepare& prepare, const Spec& w, DType dtype) {
  if (w.rank != 4) prepare.fail("the kernel must have rank 4 (rows, columns, channels, filters), got rank %d", w.rank);
  if (w.dtype != dtype) prepare.fail("the kernel must be %s as the images, got %s", dtype_name(dtype), dtype_name(w.dtype));
}

Activation read_conv_activation(const Prepare& prepare) {
  const char* name = prepare.get_string("activation", "none");
  if (!std::strcmp(name, "relu")) return Activation::kRelu;
  if (!std::strcmp(name, "sigmoid")) return Activation::kSigmoid;
  if (!std::strcmp(name, "tanh")) return Activation::kTanh;
  if (std::strcmp(name, "none")) prepare.fail("activation must be none, relu, sigmoid or tanh, got %s", name);
  return Activation::kNone;
}

DensePlan* new_dense_plan(Prepare& prepare, int64_t convs, int64_t segments, ConvSegment** segment_room) {
  const size_t bytes = sizeof(DensePlan) + convs * sizeof(DenseConv) + segments * sizeof(ConvSegment);
  char* memory = static_cast<char*>(prepare.new_state(bytes));
  DensePlan* plan = reinterpret_cast<DensePlan*>(memory);
  plan->convs = reinterpret_cast<DenseConv*>(memory + sizeof(DensePlan));
  plan->conv_count = convs;
  *segment_room = reinterpret_cast<ConvSegment*>(memory + sizeof(DensePlan) + convs * sizeof(DenseConv));
  return plan;
}

void lay_out_dense(DenseConv* conv, const ConvAxis& rows, const ConvAxis& cols, int64_t in_channels, const DensePlan& plan, ConvSegment** room) {
  conv->rows = rows;
  conv->cols = cols;
  conv->col_in = cols.stride * in_channels;
  conv->row_in = rows.stride * cols.in * in_channels;
  conv->image_in = rows.in * cols.in * in_channels;
  conv->tap_col = cols.dilation * in_channels;
  conv->tap_row = rows.dilation * cols.in * in_channels;
  conv->origin_in = -(rows.pad * cols.in + cols.pad) * in_channels;
  conv->out_rows = rows.out;
  conv->out_cols = cols.out;
  conv->taps_rows = rows.taps;
  conv->taps_cols = cols.taps;
  conv->contiguous_taps = cols.dilation == 1 && plan.groups == 1;
  conv->group_weights = rows.taps * cols.taps * packed_size(plan.depth, plan.columns);
  conv->row_segments = *room;
  conv->row_segment_count = cut_segments(rows, conv->row_segments);
  conv->col_segments = conv->row_segments + conv->row_segment_count;
  conv->col_segment_count = cut_segments(cols, conv->col_segments);
  *room = conv->col_segments + conv->col_segment_count;
}

void cut_dense_work(Prepare& prepare, DensePlan* plan, int64_t work) {
  const DenseConv& conv = plan->convs[0];
  const int64_t wanted = min(max<int64_t>(work / kChunkWork, 1), kMostChunks);
  const int64_t image_bytes = max<int64_t>(conv.image_in * static_cast<int64_t>(dtype_size(plan->dtype)), 1);
  const int64_t spread = plan->conv_count * plan->groups;  // chunks that come for free
  int64_t need = max<int64_t>(ceil_div(wanted, spread), 1);
  plan->row_blocks = plan->col_blocks = plan->panel_blocks = 1;
  const int64_t images_in_cache = max<int64_t>(kChunkBytes / image_bytes, 1);
  // Chunks of several images are better than many chunks: edges of several images share tiles.
  const int64_t images = max<int64_t>(min(ceil_div(plan->batch, need), wanted > 1 ? images_in_cache : plan->batch), 1);
  plan->image_blocks = ceil_div(plan->batch, images);
  need /= max<int64_t>(plan->image_blocks, 1);
  if (need > 1) {
    plan->panel_blocks = min(plan->panels, need);
    need = ceil_div(need, plan->panel_blocks);
    plan->row_blocks = max<int64_t>(min(conv.out_rows, need), 1);
    need = ceil_div(need, plan->row_blocks);
    if (!plan->fill_rows) plan->col_blocks = max<int64_t>(min(conv.out_cols / 8, need), 1);
  } else if (image_bytes > kChunkBytes) {
    plan->row_blocks = max<int64_t>(min(conv.out_rows / 4, image_bytes / kChunkBytes), 1);
  }
  plan->pack_rows = 0;
  for (int64_t i = 0; i < plan->conv_count; ++i) plan->pack_rows = max(plan->pack_rows, plan->convs[i].taps_rows);
  if (!plan->in_place) prepare.add_phase(plan->conv_count * plan->groups * plan->panels * plan->pack_rows);
  prepare.add_phase(plan->conv_count * plan->groups * plan->image_blocks * plan->row_blocks * plan->col_blocks * plan->panel_blocks);
}

void check_kernel(const Prepare& prepare, const ConvGeometry& g, const int64_t* shape) {
  if (shape[2] != g.channels / g.groups || shape[3] != g.filters) {
    prepare.fail("%lld channels, %lld filters and %lld groups need a kernel (.., .., %lld, %lld), got (.., .., %lld, %lld)",
                 static_cast<ll>(g.channels), static_cast<ll>(g.filters), static_cast<ll>(g.groups),
                 static_cast<ll>(g.channels / g.groups), static_cast<ll>(g.filters), static_cast<ll>(shape[2]), static_cast<ll>(shape[3]));
  }
}

int64_t read_groups(const Prepare& prepare) {
  const int64_t groups = prepare.get_int("groups", 1);
  if (groups < 1) prepare.fail("groups must be at least 1, got %lld", static_cast<ll>(groups));
  return groups;
}

ConvGeometry read_conv_geometry(const Prepare& prepare, const Spec& x, const Spec& y, const int64_t* kernel_size, int64_t groups) {
  if (x.rank != 4 || y.rank != 4) {
    prepare.fail("images must have rank 4 (batch, rows, columns, channels), got ranks %d and %d", x.rank, y.rank);
  }
  if (x.dtype != y.dtype || (x.dtype != DType::kFloat32 && x.dtype != DType::kFloat64)) {
    prepare.fail("images must all be float32 or all float64, got %s and %s", dtype_name(x.dtype), dtype_name(y.dtype));
  }
  if (x.dims[0] != y.dims[0]) {
    prepare.fail("the batch sizes of the images differ: %lld and %lld", static_cast<ll>(x.dims[0]), static_cast<ll>(y.dims[0]));
  }
  int64_t strides[2], dilation[2], padding[4];
  read_conv_pair(prepare, "strides", strides);
  read_conv_pair(prepare, "dilation", dilation);
  if (prepare.get_ints("padding", padding, 4) != 4) prepare.fail("attribute padding needs 4 integers (top, bottom, left, right)");
  if (x.dims[3] % groups || y.dims[3] % groups) {
    prepare.fail("groups (%lld) must divide the channels (%lld) and the filters (%lld)", static_cast<ll>(groups),
                 static_cast<ll>(x.dims[3]), static_cast<ll>(y.dims[3]));
  }
  ConvGeometry g;
  g.dtype = x.dtype;
  g.batch = x.dims[0];
  g.channels = x.dims[3];
  g.filters = y.dims[3];
  g.groups = groups;
  g.rows = read_axis(prepare, "rows", x.dims[1], y.dims[1], kernel_size[0], strides[0], dilation[0], padding);
  g.cols = read_axis(prepare, "columns", x.dims[2], y.dims[2], kernel_size[1], strides[1], dilation[1], padding + 2);
  return g;
}

int64_t max_segments(const ConvAxis& axis) { return min(2 * axis.taps + 2, max<int64_t>(axis.out, 1)); }

int64_t cut_segments(const ConvAxis& axis, ConvSegment* segments) {
  int64_t count = 0;
  for (int64_t o = 0; o < axis.out; ++o) {
    const int64_t start = o * axis.stride - axis.pad;
    const int64_t begin = min(axis.taps, start >= 0 ? 0 : ceil_div(-start, axis.dilation));
    const int64_t end = max(begin, min(axis.taps, floor_div(axis.in - 1 - start, axis.dilation) + 1));
    ConvSegment* last = segments + count - 1;
    if (count && (begin == end ? last->tap_begin == last->tap_end : last->tap_begin == begin && last->tap_end == end)) {
      last->end = o + 1;
    } else {
      segments[count++] = {o, o + 1, begin, end};
    }
  }
  return count;
}

void valid_outputs(const ConvAxis& axis, int64_t tap, int64_t* begin, int64_t* end) {
  const int64_t shift = axis.pad - tap * axis.dilation;  // input = o * stride - shift
  *begin = min(axis.out, shift > 0 ? ceil_div(shift, axis.stride) : 0);
  *end = max(*begin, min(axis.out, floor_div(axis.in - 1 + shift, axis.stride) + 1));
}

PhaseAxis phase_axis(const ConvAxis& axis, int64_t phase) {
  // Input position phase + i * stride gets tap t of output o where phase + i * stride + pad = o * stride + t * dilation: t must make
  // phase + pad - t * dilation a multiple of the stride, which repeats every stride / gcd taps.
  PhaseAxis result;
  result.step = axis.stride / std::gcd(axis.stride, axis.dilation);
  result.first = 0;
  while (result.first < result.step && (phase + axis.pad - result.first * axis.dilation) % axis.stride) ++result.first;
  const bool none = result.first == result.step || result.first >= axis.taps;
  const int64_t taps = none ? 0 : (axis.taps - 1 - result.first) / result.step + 1;
  const int64_t dilation = result.step * axis.dilation / axis.stride;
  const int64_t base = none ? 0 : (phase + axis.pad - result.first * axis.dilation) / axis.stride;
  const int64_t out = axis.in > phase ? ceil_div(axis.in - phase, axis.stride) : 0;
  result.axis = {axis.out, out, taps, 1, dilation, (taps - 1) * dilation - base};
  return result;
}

DensePlan* plan_conv2d(Prepare& prepare) {
  const bool packed = prepare.get_int("packed", 0);
  const bool bias = prepare.get_int("bias", 0);
  const int most_outputs = prepare.get_int("pool", 0) ? 2 : 1;
  if (prepare.num_inputs() < 2 + bias || prepare.num_outputs() < 1 || prepare.num_outputs() > most_outputs) {
    prepare.fail("needs %d inputs (x, kernel%s) and 1 output, got %d and %d", 2 + bias, bias ? ", bias" : "", prepare.num_inputs(),
                 prepare.num_outputs());
  }
  const int residual = read_conv_residual(prepare, 2 + bias);
  const Spec& w = prepare.input(1);
  int64_t shape[4];
  if (packed) {
    if (prepare.get_ints("kernel_shape", shape, 4) != 4) prepare.fail("packed weights need the attribute kernel_shape with 4 integers");
  } else {
    check_conv_kernel(prepare, w, prepare.input(0).dtype);
    std::copy(w.dims, w.dims + 4, shape);
  }
  Spec y = prepare.output(0);
  const ConvPool pool = read_conv_pool(prepare, prepare.input(0), shape, &y);
  const ConvGeometry g = read_conv_geometry(prepare, prepare.input(0), y, shape, read_groups(prepare));
  check_kernel(prepare, g, shape);

  ConvSegment* room;
  DensePlan* plan = new_dense_plan(prepare, 1, max_segments(g.rows) + max_segments(g.cols), &room);
  plan->dtype = g.dtype;
  plan->batch = g.batch;
  plan->groups = g.groups;
  plan->filters = g.filters;
  plan->kernel_cols = g.cols.taps;
  plan->depth = g.channels / g.groups;
  plan->columns = g.filters / g.groups;
  plan->panels = ceil_div(plan->columns, kPanelColumns);
  plan->packed = packed;
  plan->bias = bias;
  plan->activation = read_conv_activation(prepare);
  plan->residual = residual;
  DenseConv* conv = plan->convs;
  lay_out_dense(conv, g.rows, g.cols, g.channels, *plan, &room);
  conv->origin_out = 0;
  conv->col_out = g.filters;
  conv->row_out = g.cols.out * g.filters;
  conv->image_out = g.rows.out * conv->row_out;
  if (packed && (w.dtype != g.dtype || w.size() != g.groups * conv->group_weights)) {
    prepare.fail("packed weights must have %lld elements of %s, got %lld of %s", static_cast<ll>(g.groups * conv->group_weights),
                 dtype_name(g.dtype), static_cast<ll>(w.size()), dtype_name(w.dtype));
  }
  if (bias && (prepare.input(2).dtype != g.dtype || prepare.input(2).size() != g.filters)) {
    prepare.fail("bias must have %lld elements of %s, got %lld of %s", static_cast<ll>(g.filters), dtype_name(g.dtype),
                 static_cast<ll>(prepare.input(2).size()), dtype_name(prepare.input(2).dtype));
  }
  // The plain layout is the packed one when all columns fit one panel.
  const int64_t pixels = g.batch * g.rows.out * g.cols.out;
  const bool same_layout = g.groups == 1 && plan->panels == 1;
  plan->ldb = g.filters;
  plan->in_place = packed || (plan->columns % kPanelMultiple == 0 && (same_layout || pixels <= kInPlacePixels));
  place_weights(prepare, plan);
  plan_few_filters(prepare, plan);
  plan_conv_pool(prepare, plan, pool);
  cut_dense_work(prepare, plan, pixels * g.filters * g.rows.taps * g.cols.taps * plan->depth);
  return plan;
}

DensePlan* plan_conv2d_input_grad(Prepare& prepare) {
  if (prepare.num_inputs() != 2 || prepare.num_outputs() != 1) {
    prepare.fail("needs 2 inputs (dy, kernel) and 1 output, got %d and %d", prepare.num_inputs(), prepare.num_outputs());
  }
  const Spec& w = prepare.input(1);
  check_conv_kernel(prepare, w, prepare.input(0).dtype);
  const ConvGeometry g = read_conv_geometry(prepare, prepare.output(0), prepare.input(0), w.dims, read_groups(prepare));
  check_kernel(prepare, g, w.dims);

  // Phases past the end of a small image have no pixels.
  const int64_t row_phases = min(g.rows.stride, max<int64_t>(g.rows.in, 1)), col_phases = min(g.cols.stride, max<int64_t>(g.cols.in, 1));
  int64_t segments = 0;
  for (int64_t i = 0; i < row_phases * col_phases; ++i) {
    segments += max_segments(phase_axis(g.rows, i / col_phases).axis) + max_segments(phase_axis(g.cols, i % col_phases).axis);
  }
  ConvSegment* room;
  DensePlan* plan = new_dense_plan(prepare, row_phases * col_phases, segments, &room);
  plan->dtype = g.dtype;
  plan->batch = g.batch;
  plan->groups = g.groups;
  plan->filters = g.filters;
  plan->kernel_cols = g.cols.taps;
  plan->depth = g.filters / g.groups;
  plan->columns = g.channels / g.groups;
  plan->panels = ceil_div(plan->columns, kPanelColumns);
  plan->activation = Activation::kNone;
  for (int64_t i = 0; i < plan->conv_count; ++i) {
    DenseConv* conv = plan->convs + i;
    const int64_t row = i / col_phases, col = i % col_phases;
    conv->row_phase = phase_axis(g.rows, row);
    conv->col_phase = phase_axis(g.cols, col);
    lay_out_dense(conv, conv->row_phase.axis, conv->col_phase.axis, g.filters, *plan, &room);
    conv->origin_out = (row * g.cols.in + col) * g.channels;
    conv->col_out = g.cols.stride * g.channels;
    conv->row_out = g.rows.stride * g.cols.in * g.channels;
    conv->image_out = g.rows.in * g.cols.in * g.channels;
  }
  plan_zero_phases(plan, g);
  place_weights(prepare, plan);
  plan_few_filters(prepare, plan);
  cut_dense_work(prepare, plan, g.batch * g.rows.out * g.cols.out * g.filters * g.rows.taps * g.cols.taps * plan->columns);
  return plan;
}

DensePlan* plan_conv2d_pack(Prepare& prepare) {
  if (prepare.num_inputs() != 1 || prepare.num_outputs() != 1) {
    prepare.fail("needs 1 input (kernel) and 1 output, got %d and %d", prepare.num_inputs(), prepare.num_outputs());
  }
  const Spec& w = prepare.input(0);
  const Spec& packed = prepare.output(0);
  check_conv_kernel(prepare, w, w.dtype);
  if (w.dtype != DType::kFloat32 && w.dtype != DType::kFloat64) prepare.fail("the kernel must be float32 or float64, got %s", dtype_name(w.dtype));
  const int64_t groups = read_groups(prepare);
  if (w.dims[3] % groups) {
    prepare.fail("groups (%lld) must divide the filters (%lld)", static_cast<ll>(groups), static_cast<ll>(w.dims[3]));
  }
  ConvSegment* room;
  DensePlan* plan = new_dense_plan(prepare, 1, 0, &room);
  plan->dtype = w.dtype;
  plan->groups = groups;
  plan->depth = w.dims[2];
  plan->columns = w.dims[3] / groups;
  plan->panels = ceil_div(plan->columns, kPanelColumns);
  plan->filters = w.dims[3];
  DenseConv* conv = plan->convs;
  conv->taps_rows = w.dims[0];
  conv->taps_cols = w.dims[1];
  conv->group_weights = w.dims[0] * w.dims[1] * packed_size(plan->depth, plan->columns);
  if (packed.dtype != w.dtype || packed.size() != groups * conv->group_weights) {
    prepare.fail("packed weights must have %lld elements of %s, got %lld of %s", static_cast<ll>(groups * conv->group_weights),
                 dtype_name(w.dtype), static_cast<ll>(packed.size()), dtype_name(packed.dtype));
  }
  plan->pack_rows = conv->taps_rows;
  prepare.add_phase(groups * plan->panels * plan->pack_rows);
  return plan;
}

}  // namespace nnlite
