// How 2-D convolutions are laid out and cut: decided once from shapes and attributes, the same for every instruction set.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/gemm_plan.h"
#include "kernels/kernel.h"

namespace nnlite {

// One spatial axis of the forward convolution: output o and tap t read input o * stride + t * dilation - pad.
struct ConvAxis {
  int64_t in, out, taps, stride, dilation, pad;
};

// x [batch, rows.in, cols.in, channels] -> y [batch, rows.out, cols.out, filters]. A dense kernel is
// [rows.taps, cols.taps, channels / groups, filters], a depthwise one [rows.taps, cols.taps, channels, filters / channels].
struct ConvGeometry {
  DType dtype;
  int64_t batch, channels, filters, groups;
  ConvAxis rows, cols;
};

// Output positions [begin, end) of an axis that see exactly the taps [tap_begin, tap_end); the other taps fall into the padding.
// Cutting both axes gives rectangles of pixels with the same taps: no tap is ever multiplied with padding.
struct ConvSegment {
  int64_t begin, end, tap_begin, tap_end;
};

// Reads the convolution that turns the image `x` into `y` (each an input or an output of the op) with a kernel of
// kernel_size[0] x kernel_size[1] taps; fails when sizes and attributes disagree.
ConvGeometry read_conv_geometry(const Prepare& prepare, const Spec& x, const Spec& y, const int64_t* kernel_size, int64_t groups);
// The attribute `groups`, 1 or more: channels are divided by it before read_conv_geometry has checked that it divides them.
int64_t read_groups(const Prepare& prepare);
// The kernel of a dense convolution must be [rows, cols, channels / groups, filters].
void check_kernel(const Prepare& prepare, const ConvGeometry& g, const int64_t* shape);

int64_t max_segments(const ConvAxis& axis);
// Cuts [0, axis.out) into at most max_segments(axis) segments; returns how many.
int64_t cut_segments(const ConvAxis& axis, ConvSegment* segments);
// Output positions [*begin, *end) at which tap `tap` reads inside the input; empty when none does.
void valid_outputs(const ConvAxis& axis, int64_t tap, int64_t* begin, int64_t* end);

// Outputs of the input gradient along one axis that share their taps: input positions phase, phase + stride, ... get contributions of
// the taps first + j * step only. They are a stride-1 convolution of dy, whose taps are taken backwards so that it looks forward.
struct PhaseAxis {
  ConvAxis axis;        // the stride-1 convolution of dy
  int64_t first, step;  // its tap j is tap first + (taps - 1 - j) * step of the kernel
};
PhaseAxis phase_axis(const ConvAxis& axis, int64_t phase);

// A convolution as the tile kernels see it: offsets and steps in elements. Pixel (n, h, w) of the result reads, at tap (r, s), the
// `depth` elements from origin_in + n * image_in + h * row_in + w * col_in + r * tap_row + s * tap_col.
struct DenseConv {
  ConvAxis rows, cols;
  int64_t origin_in, image_in, row_in, col_in, tap_row, tap_col;
  int64_t origin_out, image_out, row_out, col_out;
  int64_t out_rows, out_cols, taps_rows, taps_cols;
  bool contiguous_taps;  // the taps of one kernel row lie side by side in the input
  int64_t weights;       // element offset of the packed matrix [taps * depth, columns] of group 0
  int64_t group_weights; // elements of the matrix of one group
  int64_t row_segment_count, col_segment_count;
  ConvSegment *row_segments, *col_segments;
  PhaseAxis row_phase, col_phase;  // only for input gradients: where the weights come from
  int64_t weight_row, weight_col;  // depthwise only: elements between the weights of neighbouring taps, from the first one at `weights`
};

// Max pooling of 2 x 2 windows as the last step of a float32 convolution (attribute `pool`), whose output is then the pooled map.
struct ConvPool {
  bool on;
  bool cells;          // a second output: which cell of each window won
  bool cut;            // the cell is kConvCutCell where relu lets no gradient through (attribute `cut`)
  int64_t rows, cols;  // of the pooled map
  int64_t band_rows, band_images;  // direct way: how much is computed before it is pooled
};
constexpr uint8_t kConvCutCell = 255;
// Reads the attributes. `y` is output 0 and becomes the spec of the map before pooling.
ConvPool read_conv_pool(const Prepare& prepare, const Spec& x, const int64_t* kernel_size, Spec* y);

// A map that a convolution in one group adds to its result before it activates (attribute `residual`): the number of that input, which is the last,
// or 0. Checks that there are `inputs` inputs besides.
int read_conv_residual(const Prepare& prepare, int inputs);

// A forward convolution (one DenseConv) or an input gradient (one for every pair of phases).
struct DensePlan {
  DType dtype;
  int64_t batch, groups, depth, columns;  // depth, columns: channels read and written, per group
  int64_t panels, ldb;                    // panels of 64 columns per group; elements between the rows of weights when read in place
  int64_t filters, kernel_cols;           // of the forward convolution
  bool in_place;                          // weights are read where they lie, or are packed already: no packing phase
  bool packed;
  bool bias;
  Activation activation;
  ConvPool pool;
  int residual;  // number of the input that is added before the activation; 0: none
  int64_t pack_rows;  // kernel rows of the largest DenseConv: weights are packed by (DenseConv, group, panel, kernel row)
  int64_t image_blocks, row_blocks, col_blocks, panel_blocks;
  int64_t few_rows;    // rows at a time for tiles whose lanes are pixels, 0: there are filters enough for the others
  // Input gradients of which only one phase has taps: its chunks clear all rows of the image first. fill_rows is 0 without.
  int64_t fill_rows, fill_row, fill_stride;  // rows of the image and elements of one; image rows for a row of the phase
  int64_t fill_band;                         // rows of the phase that are cleared and computed together
  int64_t multiplier;  // depthwise only: filters per channel
  int64_t conv_count;
  DenseConv* convs;
};

// Reads two integers, at least 1, that default to 1.
void read_conv_pair(const Prepare& prepare, const char* name, int64_t* values);
// Outputs along an axis with padding (before, behind).
int64_t conv_axis_size(int64_t in, int64_t taps, int64_t stride, int64_t dilation, const int64_t* padding);
// Plans bands of whole images, or of rows of one, that are pooled while a cache holds them. What no window covers is not computed.
void plan_conv_pool(Prepare& prepare, DensePlan* plan, const ConvPool& pool);

// Parts of plans shared with the depthwise kernels.
// The kernel must have rank 4 and the dtype of the images.
void check_conv_kernel(const Prepare& prepare, const Spec& w, DType dtype);
Activation read_conv_activation(const Prepare& prepare);
// A new state with room for `convs` convolutions and `segments` segments.
DensePlan* new_dense_plan(Prepare& prepare, int64_t convs, int64_t segments, ConvSegment** segment_room);
// Fills what follows from the axes of a convolution that reads images of `in_channels` channels; takes its segments from *room.
void lay_out_dense(DenseConv* conv, const ConvAxis& rows, const ConvAxis& cols, int64_t in_channels, const DensePlan& plan, ConvSegment** room);
// Cuts `work` multiply-adds into chunks, all convolutions alike, and adds the phases: packing unless in_place, then computing.
void cut_dense_work(Prepare& prepare, DensePlan* plan, int64_t work);

// Scratch of a band of `rows` x `cols` pixels with few filters, in elements.
struct FewFiltersBand {
  int64_t reach, width;  // rows of the image that the band sees beyond its own; columns that it sees
  int64_t plane;         // of one channel
  int64_t beyond;        // behind the last plane, which tiles read past
  int64_t sums;          // of one filter
};
FewFiltersBand few_filters_band(const DenseConv& conv, int64_t rows, int64_t cols);

// Fill a new state, ask for scratch and add the phases: packing unless in_place, then computing.
DensePlan* plan_conv2d(Prepare& prepare);
DensePlan* plan_conv2d_input_grad(Prepare& prepare);
// Packing alone: the packing phase of a convolution whose packed weights are the output.
DensePlan* plan_conv2d_pack(Prepare& prepare);

// The kernel gradient: dw[m, k] = sum over pixels of x[pixel, m] * dy[pixel, k], where m runs over (tap row, tap column, channel).
// Work is cut over dw (m blocks, panels), or over pixels when dw is small: then each pixel block makes a partial dw in scratch, and a
// second phase adds them up in order.
struct KernelGradPlan {
  ConvGeometry geometry;
  int64_t depth, columns, panels;  // per group: channels, filters, panels of 64 filters
  int64_t elements;                // of dw
  bool across_taps;                // few channels: tiles span taps, and padded images are copied first so that all taps are valid
  bool copy_images;
  int64_t copy_elements;           // room for the padded images, or the groups of channels, of one block; after it lies a strip of dy
  int64_t block_pixels;            // pixels that stay in cache while all tiles pass over them
  int64_t channel_blocks;          // m is cut into taps x channel blocks, unless across_taps
  int64_t group_elements;          // 1 x 1 kernels with many channels and filters: room for kGroupRows channels of a block's pixels; else 0
  int64_t m_blocks, panel_blocks, pixel_blocks;
};

// Elements of dw that one chunk of the second phase adds up.
constexpr int64_t kSumElements = 4096;

KernelGradPlan* plan_conv2d_kernel_grad(Prepare& prepare);

}  // namespace nnlite
