// Input gradients to few channels as one product for each pixel of dy and overlapping sums: which calls gain, and how they are cut.
#pragma once
#include "kernels/conv2d_plan.h"

namespace nnlite {

// Every pixel of dy times all weights gives a patch of taps.rows x taps.cols x channels of dx; patches that overlap are added up.
struct OverlapPlan {
  int64_t batch, channels, filters;
  ConvAxis rows, cols;
  int64_t patch, width;   // elements of a patch, and rounded up to whole vectors
  int64_t row_elements;   // of the patches of a row of dy
  int64_t apart;          // columns of dy whose patches share no element, nor one with a register that begins in the other
  int64_t band_rows, kept_rows;  // rows of dy whose patches are computed together; that the next row of dx needs again
  int64_t image_blocks, row_blocks;  // of dx
};

// The most rows of taps.
constexpr int64_t kOverlapMostTapRows = 16;
// Channels of dy whose weights are packed by one chunk.
constexpr int64_t kOverlapPackChannels = 64;

// Fills a new state, asks for scratch and adds the phases (packing, computing); returns null and leaves `prepare` alone where nothing is gained.
// The batch does not count.
OverlapPlan* plan_overlap_input_grad(Prepare& prepare);

}  // namespace nnlite
