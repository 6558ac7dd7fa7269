// Convolutions with few filters, such as the last layer of a generator or of an autoencoder. A vector of filters would be mostly empty, so the
// rows of the image that a band of pixels sees are transposed to one plane for each channel, with zeros for padding; on planes every tap is a
// shift, and lanes are neighbouring pixels. The order of operations for one element is that of the other tiles: tap rows, tap columns, channels.
// Zeros of padding add nothing as long as the weights are finite.
#include "kernels/conv2d_few.h"

#include "kernels/gemm_pack.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace conv {
namespace {

constexpr int kLanes = Vec<float>::kLanes;

// A band of rows. Pixel (h, w) of the band is element h * width + w of a plane of results, and reads at tap
// (r, s) the element (h + r * row dilation) * width + w + s * column dilation of the planes of the image.
struct Band {
  const float* planes;
  int64_t plane, width;  // elements of a plane and of a row
  int64_t taps_rows, taps_cols, depth;
  int64_t row_shift, col_shift;  // elements between taps
  const float* weights;
  int64_t ldb;
};

#if !defined(NN_COMPILE_BASELINE)

// kVectors vectors of pixels from element `first` on, for all kFilters; sums go to out[filter][pixel].
template <int kFilters, int kVectors>
void run_pixels(const Band& band, int64_t first, float* out, int64_t ldo) {
  Vec<float> acc[kVectors][kFilters];
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < kFilters; ++k) acc[i][k] = Vec<float>::zero();
  }
  const float* w = band.weights;
  const int64_t ldb = band.ldb, plane = band.plane;
  for (int64_t r = 0; r < band.taps_rows; ++r) {
    for (int64_t s = 0; s < band.taps_cols; ++s) {
      const float* x = band.planes + first + r * band.row_shift + s * band.col_shift;
#pragma GCC unroll 1
      for (int64_t c = band.depth; c > 0; --c) {
#pragma GCC unroll 8
        for (int i = 0; i < kVectors; ++i) {
          const Vec<float> pixels = load(x + i * kLanes);
#pragma GCC unroll 8
          for (int k = 0; k < kFilters; ++k) acc[i][k] = fma(splat(w[k]), pixels, acc[i][k]);
        }
        x += plane;
        w += ldb;
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < kFilters; ++k) store(out + k * ldo + i * kLanes, acc[i][k]);
  }
}

// Enough accumulators to hide the latency, and pixels so few that those of all channels stay in the first cache from one tap to the next.
using PixelsFunction = void (*)(const Band& band, int64_t first, float* out, int64_t ldo);
struct PixelTile {
  int vectors;
  PixelsFunction run;
};
#if defined(NN_COMPILE_AVX512)
constexpr int kMostFilters = 8;
constexpr PixelTile kTiles[kMostFilters] = {{4, run_pixels<1, 4>}, {2, run_pixels<2, 2>}, {2, run_pixels<3, 2>}, {2, run_pixels<4, 2>},
                                            {2, run_pixels<5, 2>}, {2, run_pixels<6, 2>}, {2, run_pixels<7, 2>}, {2, run_pixels<8, 2>}};
#else
constexpr int kMostFilters = 4;
constexpr PixelTile kTiles[kMostFilters] = {{4, run_pixels<1, 4>}, {2, run_pixels<2, 2>}, {2, run_pixels<3, 2>}, {1, run_pixels<4, 1>}};
#endif

bool all_finite(const float* weights, int64_t rows, int64_t ldb, int64_t columns) {
  bool finite = true;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < columns; ++k) finite = finite && weights[i * ldb + k] - weights[i * ldb + k] == 0.0f;
  }
  return finite;
}

// One row of the image from column `col` on to the row `to` of every plane. Planes hold zeros beside the columns of the image already.
void transpose_row(const DenseConv& conv, const float* image, int64_t row, int64_t col, const FewFiltersBand& size, int64_t depth, float* to) {
  if (row < 0 || row >= conv.rows.in) {
    for (int64_t c = 0; c < depth; ++c) {
      for (int64_t w = 0; w < size.width; ++w) to[c * size.plane + w] = 0;
    }
    return;
  }
  const int64_t low = larger(-col, 0), high = smaller(size.width, conv.cols.in - col);
  // Channels are rows of the result: the image is its transpose. Past `high` zeros are written, up to a whole vector.
  if (low < high) pack_transposed(image + (row * conv.cols.in + col + low) * conv.col_in, conv.col_in, to + low, size.plane, high - low, depth);
}

// Bias, activation, and pixels side by side again.
void finish_row(const DensePlan& plan, int64_t pixels, const float* bias, float* sums, int64_t lds, float* out, int64_t col_out) {
  for (int64_t k = 0; k < plan.columns; ++k) {
    float* row = sums + k * lds;
    const Vec<float> add = splat(plan.bias ? bias[k] : 0.0f);
    for (int64_t w = 0; w < pixels; w += kLanes) {
      const int part = static_cast<int>(smaller(pixels - w, kLanes));
      Vec<float> v = load_part(row + w, part);
      if (plan.bias) v = v + add;
      if (plan.activation == Activation::kRelu) v = max(Vec<float>::zero(), v);
      if (plan.activation == Activation::kSigmoid) v = sigmoid(v);
      if (plan.activation == Activation::kTanh) v = tanh(v);
      store_part(row + w, v, part);
    }
    for (int64_t w = 0; w < pixels; ++w) out[w * col_out + k] = row[w];
  }
}

// Rows [first, last) of one image. Results for all of them lie behind the planes and what the last tile reads past their end.
void run_band(const DensePlan& plan, const DenseConv& conv, const Block& block, const FewFiltersBand& size, int64_t first, int64_t last,
              const float* image, const float* weights, int64_t ldb, const float* bias, float* out, float* scratch) {
  const Band band = {scratch, size.plane, size.width, conv.taps_rows, conv.taps_cols, plan.depth, conv.rows.dilation * size.width,
                     conv.cols.dilation, weights, ldb};
  for (int64_t h = 0; h < last - first + size.reach; ++h) {
    transpose_row(conv, image, first + h - conv.rows.pad, block.col_begin - conv.cols.pad, size, plan.depth, scratch + h * size.width);
  }
  float* sums = scratch + plan.depth * size.plane + size.beyond;
  const PixelTile& tile = kTiles[plan.columns - 1];
  for (int64_t i = 0; i < (last - first) * size.width; i += tile.vectors * kLanes) tile.run(band, i, sums + i, size.sums);
  for (int64_t h = first; h < last; ++h) {
    float* row = out + h * conv.row_out + block.col_begin * conv.col_out;
    finish_row(plan, block.col_end - block.col_begin, bias, sums + (h - first) * size.width, size.sums, row, conv.col_out);
  }
}
#endif

}  // namespace

#if defined(NN_COMPILE_BASELINE)
bool run_few_filters(const DensePlan&, const DenseConv&, const Block&, const float*, const float*, int64_t, const float*, float*, float*) {
  return false;
}
#else
bool run_few_filters(const DensePlan& plan, const DenseConv& conv, const Block& block, const float* in, const float* weights, int64_t ldb,
                     const float* bias, float* out, float* scratch) {
  const int64_t taps = conv.taps_rows * conv.taps_cols;
  if (plan.columns > kMostFilters || taps == 0 || !all_finite(weights, taps * plan.depth, ldb, plan.columns)) return false;
  const FewFiltersBand size = few_filters_band(conv, smaller(plan.few_rows, block.row_end - block.row_begin), block.col_end - block.col_begin);
  for (int64_t i = 0; i < plan.depth * size.plane + size.beyond; ++i) scratch[i] = 0;
  for (int64_t n = block.image_begin; n < block.image_end; ++n) {
    for (int64_t h = block.row_begin; h < block.row_end; h += plan.few_rows) {
      run_band(plan, conv, block, size, h, smaller(h + plan.few_rows, block.row_end), in + n * conv.image_in, weights, ldb, bias,
               out + conv.origin_out + n * conv.image_out, scratch);
    }
  }
  return true;
}
#endif

}  // namespace conv
}  // namespace nnlite::NN_ISA
