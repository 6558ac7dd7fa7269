// conv2d_input_grad with strides, to few channels.
//
// For each phase of the strides the few channels would fill a small part of a vector. So every pixel of dy is multiplied with all weights at once:
// a row of a product of matrices is the patch of dx that the pixel reaches, and patches that overlap are added up while the caches hold them. Nothing
// is multiplied with padding. An element of dx sums the channels of dy for each tap, then for each column of dy its rows, then columns by their
// remainder modulo the patches that overlap, wherever chunks and bands end.
#include "kernels/conv2d_overlap.h"

#include "kernels/conv2d_overlap_plan.h"
#include "kernels/conv2d_tile.h"
#include "kernels/gemm_pack.h"

namespace nnlite::NN_ISA {
namespace conv {
namespace {

// Weights of the channels [begin, end) of dy: w is [taps, channels, filters], packed [filters][width].
void pack_channels(const OverlapPlan& plan, int64_t begin, int64_t end, const float* w, float* packed) {
  float* to = packed + begin * plan.width;
  __builtin_memset(to, 0, (end - begin) * plan.width * sizeof(float));
  pack_transposed(w + begin, plan.filters, to, plan.width, plan.patch, end - begin);
}

// Patches of `pixels` of dy that lie one after the other.
void multiply(const OverlapPlan& plan, int64_t pixels, const float* dy, const float* weights, float* patches) {
  Tile<float> tile = {};
  tile.ldb = plan.width;
  tile.tap_rows = tile.tap_cols = 1;
  tile.run = plan.filters;
  tile.part = Vec<float>::kLanes;
  const int64_t all = plan.width / Vec<float>::kLanes, passes = (all + kMaxVectors - 1) / kMaxVectors;
  for (int64_t pass = 0; pass < passes; ++pass) {
    const int64_t first = all * pass / passes;
    const int vectors = static_cast<int>(all * (pass + 1) / passes - first);
    const int64_t most = kMaxRows[vectors], count = (pixels + most - 1) / most, size = pixels / count, longer = pixels % count;
    tile.weights = weights + first * Vec<float>::kLanes;
    const float* from = dy;
    float* to = patches + first * Vec<float>::kLanes;
    for (int64_t t = 0; t < count; ++t) {
      const int rows = static_cast<int>(size + (t < longer));
      for (int i = 0; i < rows; ++i, from += plan.filters, to += plan.width) {
        tile.pixels[i] = from;
        tile.outputs[i] = to;
      }
      find_tile(static_cast<const float*>(nullptr), rows, vectors)(tile);
    }
  }
}

// What the rows of dy that reach one row of dx give to it: for each the first of its patches, at the row of taps that does.
struct Terms {
  const float* patches[kOverlapMostTapRows];
  int count;
};

// Adds `count` elements of one patch, `offset` from its first, to `to`. Where masked stores are slow, whole registers of sums and zeros are written,
// up to `stop`: no sum is -0, so adding zero changes no bit.
NN_INLINE void add_patch(const Terms& terms, int64_t offset, int64_t count, float* to, [[maybe_unused]] const float* stop) {
  constexpr int kLanes = Piece<float>::kLanes;
  for (int64_t i = 0; i < count; i += kLanes) {
    const int part = static_cast<int>(smaller(count - i, kLanes));
    Piece<float> sum, term;
    native::load_part(sum, terms.patches[0] + offset + i, part);
    for (int t = 1; t < terms.count; ++t) {
      native::load_part(term, terms.patches[t] + offset + i, part);
      sum = native::add(sum, term);
    }
    if (!kMaskB && stop - (to + i) >= kLanes) {
      native::load(term, to + i);
      native::store(to + i, native::add(term, sum));
    } else {
      native::load_part(term, to + i, part);
      native::store_part(to + i, native::add(term, sum), part);
    }
  }
}

// Adds the patches of one row of dx, which starts at `line`.
void add_patches(const OverlapPlan& plan, const Terms& terms, float* line, const float* stop) {
  const ConvAxis& cols = plan.cols;
  // Patches `apart` share no register: a sum need not wait for the one just written.
  for (int64_t first = 0; first < plan.apart; ++first) {
    for (int64_t j = first; j < cols.out; j += plan.apart) {
      const int64_t col = j * cols.stride - cols.pad, begin = larger(-col, 0), end = smaller(cols.in - col, cols.taps);
      const int64_t offset = j * plan.width + begin * plan.channels;
      add_patch(terms, offset, (end - begin) * plan.channels, line + (col + begin) * plan.channels, stop);
    }
  }
}

// The terms of row h of dx, by rows of dy. `patches` are those of row `first` of dy.
Terms find_terms(const OverlapPlan& plan, int64_t h, int64_t first, const float* patches) {
  const ConvAxis& rows = plan.rows;
  Terms terms;
  terms.count = 0;
  for (int64_t r = rows.taps - 1; r >= 0; --r) {
    const int64_t at = h + rows.pad - r * rows.dilation, row = at / rows.stride;
    if (at < 0 || at % rows.stride || row >= rows.out) continue;
    terms.patches[terms.count++] = patches + (row - first) * plan.row_elements + r * plan.cols.taps * plan.channels;
  }
  return terms;
}

// Rows [top, bottom) of one image of dx. After every band the last rows of patches stay for the next.
void compute_rows(const OverlapPlan& plan, int64_t top, int64_t bottom, const float* dy, const float* weights, float* dx, float* patches) {
  const ConvAxis& rows = plan.rows;
  const int64_t line = plan.cols.in * plan.channels, reach = (rows.taps - 1) * rows.dilation;
  __builtin_memset(dx + top * line, 0, (bottom - top) * line * sizeof(float));
  const int64_t low = larger(top + rows.pad - reach, 0), end = smaller(rows.out, (bottom - 1 + rows.pad) / rows.stride + 1);
  int64_t h = top, i = (low + rows.stride - 1) / rows.stride, kept = 0;
  while (i < end) {
    const int64_t last = smaller(i + plan.band_rows, end), first = i - kept;
    multiply(plan, (last - i) * plan.cols.out, dy + i * plan.cols.out * plan.filters, weights, patches + kept * plan.row_elements);
    const int64_t done = last == end ? bottom : smaller(last * rows.stride - rows.pad, bottom);
    for (; h < done; ++h) {
      const Terms terms = find_terms(plan, h, first, patches);
      if (terms.count) add_patches(plan, terms, dx + h * line, dx + bottom * line);
    }
    kept = smaller(plan.kept_rows, last - first);
    __builtin_memmove(patches, patches + (last - first - kept) * plan.row_elements, kept * plan.row_elements * sizeof(float));
    i = last;
  }
}

// Chunk order: image block, row block.
void compute_chunk(const OverlapPlan& plan, int64_t chunk, const float* dy, const float* weights, float* dx, float* patches) {
  const int64_t row_block = chunk % plan.row_blocks, image_block = chunk / plan.row_blocks;
  const int64_t top = plan.rows.in * row_block / plan.row_blocks, bottom = plan.rows.in * (row_block + 1) / plan.row_blocks;
  const int64_t end = plan.batch * (image_block + 1) / plan.image_blocks;
  for (int64_t n = plan.batch * image_block / plan.image_blocks; n < end; ++n) {
    compute_rows(plan, top, bottom, dy + n * plan.rows.out * plan.cols.out * plan.filters, weights,
                 dx + n * plan.rows.in * plan.cols.in * plan.channels, patches);
  }
}

void run_overlap(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const OverlapPlan& plan = *static_cast<const OverlapPlan*>(state);
  float* weights = static_cast<float*>(args.scratch);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    if (phase == 0) {
      pack_channels(plan, chunk * kOverlapPackChannels, smaller((chunk + 1) * kOverlapPackChannels, plan.filters),
                    static_cast<const float*>(args.in[1]), weights);
    } else {
      compute_chunk(plan, chunk, static_cast<const float*>(args.in[0]), weights, static_cast<float*>(args.out[0]),
                    static_cast<float*>(args.thread_scratch));
    }
  }
}

}  // namespace

bool prepare_overlap_input_grad(Prepare& prepare) {
  if (!plan_overlap_input_grad(prepare)) return false;
  prepare.set_run(run_overlap);
  return true;
}

}  // namespace conv
}  // namespace nnlite::NN_ISA
