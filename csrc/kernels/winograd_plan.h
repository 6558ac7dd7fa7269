// Winograd convolutions: which convolutions use them, and how their work is laid out and cut. Decided from shapes and attributes alone.
//
// A tile of m x m outputs is computed from a patch of 6 x 6 inputs by 36 products per pair of channel and filter, where m + taps = 7: m = 4 for 3 x 3
// taps (4 times fewer products than the direct way), m = 2 for 5 x 5 taps (2.8 times fewer). Kernels of one row (1 x 3, 1 x 5) have tiles of 1 x m
// outputs from 6 inputs by 6 products (2 and 1.7 times fewer); kernels of one column are the same with rows and columns exchanged.
#pragma once
#include "kernels/conv2d_plan.h"

namespace nnlite {

constexpr int kWinogradSide = 6;
// Tiles of one tile row that are transformed together; their columns stay in the first cache.
constexpr int64_t kWinogradRun = 8;
// Columns of a run of n tiles: n * m and the taps' overlap, for m = 4 at most this many.
constexpr int64_t kWinogradRunColumns = kWinogradRun * 4 + 2;

// Images as tiles see them: patch (row, col) of tile (i, j) lies at pixel (i * row_m + row - pad_rows, j * m + col - pad_cols).
struct WinogradImage {
  int64_t rows, cols, channels, pad_rows, pad_cols;
  int64_t image_step, row_step, col_step;  // elements between neighbours
};

// How tiles lie in a batch of images: tile = (image * rows + tile row) * cols + tile column.
struct WinogradGrid {
  bool line;           // kernels of one row: only columns are transformed
  int64_t points;      // 36, or 6 for lines
  int64_t m, row_m;    // outputs of a tile along columns, 4 or 2, and along rows, the same or 1
  int64_t rows, cols;  // tiles of an image
  int64_t tiles;       // of the batch
};

// y = x * w, or an input gradient, which is the same with dy for x and the kernel turned and transposed.
struct WinogradPlan {
  WinogradImage in, out;
  WinogradGrid grid;
  bool turned;  // an input gradient
  bool packed;  // the weights are transformed already
  bool streams; // transformed weights are written past the caches, which they would fill
  bool bias;
  Activation activation;
  int residual;   // number of the input that is added before the activation; 0: none
  ConvPool pool;  // `out` then is the map before pooling as far as windows cover it, but its steps are those of the pooled map
  int64_t panels, panel_blocks, tile_blocks;
  int64_t unit;             // blocks begin at multiples of so many tiles
  int64_t block_tiles;      // the most tiles of a block
  int64_t row;              // elements of a row of transformed inputs: channels rounded up to whole vectors
  int64_t inputs, outputs;  // elements of a block of tiles for one point, transformed inputs and products
};

// The kernel gradient: for every point a product of the transformed images, summed over tiles in two levels, then turned back into taps.
// A chunk computes some channels x some filters (a piece) over one range of tiles.
struct WinogradKernelGradPlan {
  WinogradImage in, out;  // x and dy
  WinogradGrid grid;
  int64_t channel_blocks, filter_blocks, ranges;
  int64_t block_tiles;                      // tiles summed in registers
  int64_t channels, filters;                // of the largest piece, rounded up to whole vectors
  int64_t point, piece;                     // elements of the sums of a piece, for one point and for all
  int64_t inputs, gradients;                // elements of a block of tiles for one point: transformed x and dy
};

// Channels of x and filters of dy in piece `index` of `blocks`: [begin, end), begin a multiple of 16.
struct WinogradPart {
  int64_t begin, end;
};
WinogradPart winograd_part(int64_t size, int64_t index, int64_t blocks);

// Whether a convolution and its kernel gradient, or its input gradient, gain, by the forward geometry: stride 1, taps as above, enough channels and
// filters, and little waste at the edges. The batch does not count.
bool winograd_pays(const ConvGeometry& g);
bool winograd_input_grad_pays(const ConvGeometry& g);

// Elements of the transformed weights for one point: [panels of 64 filters][channels][filters of the panel], then 16 zeros.
int64_t winograd_packed_point(int64_t channels, int64_t filters);
// 36 for square kernels, 6 for those of one row or column.
int64_t winograd_points(int64_t taps_rows, int64_t taps_cols);

// Fill a new state, ask for scratch and add the phases (transforming weights unless packed, then computing) if this call is for Winograd; otherwise
// return null and leave `prepare` as it was. The attribute `exact` turns Winograd off.
WinogradPlan* plan_winograd(Prepare& prepare);
WinogradPlan* plan_winograd_input_grad(Prepare& prepare);
WinogradKernelGradPlan* plan_winograd_kernel_grad(Prepare& prepare);
// Transforming weights alone.
WinogradPlan* plan_winograd_pack(Prepare& prepare);

}  // namespace nnlite
