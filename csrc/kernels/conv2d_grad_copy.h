// Kernel gradients of convolutions: what a chunk works on, and how it brings x and dy near. Images are read where they lie, or copied with their
// padding, or, when there are many channels, copied in groups of them.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/conv2d_plan.h"
#include "kernels/conv2d_tile.h"
#include "kernels/gemm_pack.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace conv {
namespace {

// Rows of output pixels in some images. The first block of a chunk writes dw, the others add to it.
struct PixelBlock {
  int64_t image_begin, image_end, row_begin, row_end;
  bool first;
};

// Some pixels of a block: rows, and columns.
struct Pixels {
  int64_t row_begin, row_end, col_begin, col_end;
};

// What a chunk reads next, pieces of some bytes in rows and images, brought near a few at a time while it computes.
struct Approach {
  static constexpr int64_t kLine = 64, kMostLines = 4096;  // what is more would push out what is in use
  const char* at;
  int64_t bytes, col_step, row_skip, image_skip;
  int64_t cols, rows, col, row;  // of an image; where `at` is
  int64_t left, a_tile;          // pieces, and how many for each tile
  NN_ALWAYS void come() {
    const int64_t count = smaller(a_tile, left);
    left -= count;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t b = 0; b < bytes; b += kLine) prefetch_l2(at + b);
      at += col_step;
      if (++col < cols) continue;
      col = 0;
      at += row_skip;
      if (++row < rows) continue;
      row = 0;
      at += image_skip;
    }
  }
};

// What one chunk computes: rows of dw [m_begin, m_end) and some panels of filters of one group.
template <class T>
struct GradPiece {
  const T* x;   // of the group
  const T* dy;  // of the first panel
  T* dw;        // of the first panel
  int64_t columns;
  int64_t m_begin, m_end;
  Approach* next;  // of x and of dy for the next block
};

// The pixels of a block at which a tap is inside the image. False when there are none.
bool find_pixels(const ConvGeometry& g, const PixelBlock& block, int64_t tap, Pixels* valid) {
  valid_outputs(g.rows, tap / g.cols.taps, &valid->row_begin, &valid->row_end);
  valid_outputs(g.cols, tap % g.cols.taps, &valid->col_begin, &valid->col_end);
  valid->row_begin = larger(valid->row_begin, block.row_begin);
  valid->row_end = smaller(valid->row_end, block.row_end);
  return valid->row_begin < valid->row_end && valid->col_begin < valid->col_end;
}

// What the first of some pixels reads at a tap.
template <class T>
const T* find_input(const ConvGeometry& g, const GradPiece<T>& piece, const PixelBlock& block, const Pixels& pixels, int64_t tap) {
  const int64_t row = pixels.row_begin * g.rows.stride + tap / g.cols.taps * g.rows.dilation - g.rows.pad;
  const int64_t col = pixels.col_begin * g.cols.stride + tap % g.cols.taps * g.cols.dilation - g.cols.pad;
  return piece.x + ((block.image_begin * g.rows.in + row) * g.cols.in + col) * g.channels;
}

// How x is read: the image itself or the padded copy of one block.
template <class T>
struct ImageView {
  const T* first;  // what pixel (0, 0) of the block's first image and row reads at tap (0, 0)
  int64_t image, row;  // elements between the images and the rows of the stored image
};

// Copies the rows that a block reads into `copy`, with zeros for padding.
template <class T>
ImageView<T> copy_padded(const ConvGeometry& g, const PixelBlock& block, const T* x, T* copy) {
  const int64_t width = (g.cols.out - 1) * g.cols.stride + (g.cols.taps - 1) * g.cols.dilation + 1;
  const int64_t height = (block.row_end - block.row_begin - 1) * g.rows.stride + (g.rows.taps - 1) * g.rows.dilation + 1;
  const int64_t top = block.row_begin * g.rows.stride - g.rows.pad, row_size = g.cols.in * g.channels, copy_row = width * g.channels;
  // Of each row, [low, high) comes from the image.
  const int64_t low = smaller(larger(g.cols.pad, 0), width), high = larger(low, smaller(width, g.cols.in + g.cols.pad));
  T* to = copy;
  for (int64_t n = block.image_begin; n < block.image_end; ++n) {
    for (int64_t h = top; h < top + height; ++h, to += copy_row) {
      const bool inside = h >= 0 && h < g.rows.in;
      const int64_t begin = inside ? low * g.channels : copy_row, end = inside ? high * g.channels : copy_row;
      const T* from = x + (n * g.rows.in + h) * row_size - g.cols.pad * g.channels;
      for (int64_t i = 0; i < begin; ++i) to[i] = T(0);
      for (int64_t i = begin; i < end; ++i) to[i] = from[i];
      for (int64_t i = end; i < copy_row; ++i) to[i] = T(0);
    }
  }
  return {copy, height * copy_row, copy_row};
}

// Some vectors of filters of a piece, from column j on, and where dy has them for the pixels of a block.
template <class T>
struct Strip {
  int64_t j;
  int vectors, part;
  const T* dy;
  int64_t dy_image, dy_row, dy_col;
};

// Brings the strip's columns of dy together. Strips of wide rows would use few sets of the caches.
template <class T>
Strip<T> copy_strip(const Strip<T>& strip, const PixelBlock& block, int64_t cols, T* copy) {
  constexpr int64_t kLanes = Vec<T>::kLanes, kAhead = 8;
  Strip<T> result = strip;
  const int64_t rows = block.row_end - block.row_begin, last = (strip.vectors - 1) * kLanes;
  result.dy = copy;
  result.dy_col = strip.vectors * kLanes;
  result.dy_row = cols * result.dy_col;
  result.dy_image = rows * result.dy_row;
  for (int64_t n = 0; n < block.image_end - block.image_begin; ++n) {
    const T* from = strip.dy + n * strip.dy_image;
    for (int64_t w = rows * cols; w > 0; --w, from += strip.dy_col, copy += result.dy_col) {
      for (int64_t j = 0; j < last; j += kLanes) {
        if (w > kAhead) prefetch_l2(from + kAhead * strip.dy_col + j);
        store(copy + j, load(from + j));
      }
      store(copy + last, load_part(from + last, strip.part));
    }
  }
  return result;
}

// 1 x 1 kernels: the channels of a chunk are copied in groups, [group][pixel][kGroupRows], which all strips of dy then read side by side. Pixels of
// many channels would share few sets of the caches, and few pages.
template <class T>
void copy_groups(const KernelGradPlan& plan, const GradPiece<T>& piece, const PixelBlock& block, T* copy) {
  const ConvGeometry& g = plan.geometry;
  Pixels valid;
  if (!find_pixels(g, block, 0, &valid)) return;
  const int64_t step = g.cols.stride * g.channels, row = g.rows.stride * g.cols.in * g.channels, image = g.rows.in * g.cols.in * g.channels;
  int64_t cols = valid.col_end - valid.col_begin, rows = valid.row_end - valid.row_begin;
  if (row == cols * step) {
    cols *= rows;
    rows = 1;
  }
  const T* base = find_input(g, piece, block, valid, 0) + piece.m_begin;
  for (int64_t n = 0; n < block.image_end - block.image_begin; ++n) {
    const T* from = base + n * image;
    for (int64_t h = 0; h < rows; ++h, from += row, copy += cols * kGroupRows) {
      pack_groups(from, step, copy, plan.group_elements, piece.m_end - piece.m_begin, cols, from + (rows == 1 ? cols * step : row));
    }
  }
}

// The most tiles that are computed of a block, and of a strip of it.
template <class T>
int64_t count_tiles(const GradPiece<T>& piece, bool strips) {
  return ceil_div(piece.m_end - piece.m_begin, kMostRows) * (strips ? ceil_div(piece.columns, kMaxVectors * Vec<T>::kLanes) : 1);
}

// The images that the output rows [row, row_end) read: with 1 x 1 taps the chunk's channels of every pixel, else all of the rows line by line.
template <class T>
Approach approach_images(const KernelGradPlan& plan, const GradPiece<T>& piece, int64_t row, int64_t row_end) {
  constexpr int64_t kSize = sizeof(T);
  const ConvGeometry& g = plan.geometry;
  const int64_t line = g.cols.in * g.channels;
  const int64_t first = row / g.rows.out * g.rows.in + smaller(row % g.rows.out * g.rows.stride, g.rows.in);
  if (row >= row_end) return {};
  const bool all = piece.m_begin == 0 && piece.m_end == g.channels && g.cols.stride == 1 && !plan.group_elements;
  if (g.rows.taps * g.cols.taps == 1 && !all) {
    const int64_t step = g.cols.stride * g.channels, step_row = g.rows.stride * line, pixels = (row_end - row) * g.cols.out;
    return {reinterpret_cast<const char*>(piece.x + (first - g.rows.pad) * line - g.cols.pad * g.channels + piece.m_begin),
            (piece.m_end - piece.m_begin) * kSize,
            step * kSize,
            (step_row - g.cols.out * step) * kSize,
            (g.rows.in * line - g.rows.out * step_row) * kSize,
            g.cols.out,
            g.rows.out,
            0,
            row % g.rows.out,
            pixels,
            ceil_div(pixels, count_tiles(piece, plan.group_elements > 0))};
  }
  const int64_t count = smaller((row_end - row) * g.rows.stride, g.batch * g.rows.in - first);
  const int64_t bytes = count * line * kSize, lines = bytes / Approach::kLine;
  if (count <= 0 || lines > Approach::kMostLines) return {};
  const int64_t share = larger(ceil_div(lines, count_tiles(piece, false)), 1) * Approach::kLine, shares = ceil_div(bytes, share);
  return {reinterpret_cast<const char*>(piece.x + first * line), share, share, 0, 0, shares, 1, 0, 0, shares, 1};
}

// The columns of dy that belong to the output rows [row, row_end), where strips of them are copied.
template <class T>
Approach approach_dy(const KernelGradPlan& plan, const GradPiece<T>& piece, int64_t row, int64_t row_end) {
  constexpr int64_t kSize = sizeof(T);
  const ConvGeometry& g = plan.geometry;
  if (!plan.group_elements || row >= row_end) return {};
  const int64_t pixels = (row_end - row) * g.cols.out;
  return {reinterpret_cast<const char*>(piece.dy + row * g.cols.out * g.filters), piece.columns * kSize, g.filters * kSize, 0, 0, pixels, 1, 0, 0,
          pixels, ceil_div(pixels, count_tiles(piece, true))};
}

}  // namespace
}  // namespace conv
}  // namespace nnlite::NN_ISA
