// One float product, chunk by chunk: how B and A are brought to the tiles, and where each chunk lies. See gemm_tile.h for the order of operations.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/gemm_pack.h"
#include "kernels/gemm_plan.h"
#include "kernels/gemm_row.h"
#include "kernels/gemm_tile.h"
#include "kernels/kernel.h"
#include "simd/math.h"

namespace nnlite::NN_ISA {
namespace {

// One product C[m, n] of a batch, and the rows and columns of it that a chunk computes.
template <class T>
struct Product {
  const T* a;
  const T* b;
  const T* bias;
  T* c;
  T* sums;    // of B's columns, or null
  T* panel;   // thread scratch for one block of B
  T* a_copy;  // and for one of A
  int64_t first_row, last_row, first_column, last_column;
};

// A block of B for one strip: `columns` wide, rows `ld` apart.
template <class T>
struct Block {
  const T* b;
  int64_t ld;
};

template <class T>
Block<T> find_rows(const MatmulPlan& plan, const Product<T>& product, int64_t column, int64_t k) {
  if (plan.b_layout != MatrixB::kPacked && !plan.pack_first) return {product.b + k * plan.ldb + column, plan.ldb};
  const int64_t panel = column / kPanelColumns, width = panel_width(plan.n, panel);
  return {product.b + panel * kPanelColumns * plan.k + k * width + column % kPanelColumns, width};
}

// Narrow strips of wider rows share few sets of the first cache, which holds a copy of this many rows of B together with A's: with so many rows of A
// to pass by, the copy pays. Blocks of k change no bit.
constexpr bool kCopiesStrips = !kMaskB;
constexpr int64_t kStripDepth = 256, kStripRows = 24;

template <class T>
Block<T> bring_block(const MatmulPlan& plan, const Product<T>& product, int64_t column, int64_t columns, int64_t k, int64_t depth) {
  constexpr int64_t kStrip = kStripColumns<T>;
  if (plan.b_layout == MatrixB::kTransposed && !plan.pack_first) {
    pack_transposed(product.b + column * plan.ldb + k, plan.ldb, product.panel, kStrip, columns, depth);
    return {product.panel, kStrip};
  }
  const Block<T> rows = find_rows(plan, product, column, k);
  const bool readable = kMaskB || plan.pack_first || plan.b_layout == MatrixB::kPacked || columns % Piece<T>::kLanes == 0;
  const bool near = !kCopiesStrips || product.last_row - product.first_row < kStripRows || rows.ld == kStrip;
  if (!plan.copy_b && readable && near) return rows;
  pack_rows(rows.b, rows.ld, product.panel, kStrip, columns, depth);
  return {product.panel, kStrip};
}

template <class T>
__attribute__((noinline)) void activate(Activation activation, T* c, int64_t ldc, int64_t rows, int64_t columns) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t i = 0; i < rows; ++i, c += ldc) {
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int part = static_cast<int>(smaller(columns - j, kLanes));
      const Vec<T> x = load_part(c + j, part);
      store_part(c + j, activation == Activation::kTanh ? tanh(x) : sigmoid(x), part);
    }
  }
}

bool activates_later(Activation activation) { return activation == Activation::kSigmoid || activation == Activation::kTanh; }

// The block of B that is copied next: pieces of rows far apart, which no hardware sees coming. Some are asked for with each tile.
template <class T>
struct NextBlock {
  const T* end;  // of a row's piece; the line where it begins has come with the strip before
  int64_t ld, left, a_tile;
  NN_ALWAYS void come() {
    for (int64_t i = smaller(left, a_tile); i > 0; --i, end += ld) prefetch_l2(end);
    left -= a_tile;
  }
};

// Rows of one strip in tiles of nearly equal height.
template <class T>
void run_rows(const TileSet<T>& tiles, Tile<T> tile, int64_t rows, int most, Activation activation, int64_t columns, NextBlock<T>* next = nullptr) {
  const int64_t count = (rows + most - 1) / most;
  const int64_t low = rows / count;
  const int64_t high_tiles = rows - low * count;
  const bool finish = activates_later(activation);
  for (int64_t t = 0; t < count; ++t) {
    const int64_t height = low + (t < high_tiles ? 1 : 0);
    if (next != nullptr) next->come();
    tiles.rows[height](tile);
    if (finish) activate(activation, tile.c, tile.ldc, height, columns);
    tile.a += height * tile.a_row;
    tile.c += height * tile.ldc;
  }
}

// The same, group by group where A is copied in groups.
template <class T>
void run_strip(const TileSet<T>& tiles, Tile<T> tile, int64_t rows, int64_t group_rows, int64_t a_group, int most, Activation activation,
               int64_t columns, NextBlock<T> next) {
  next.a_tile = ceil_div(next.left, ceil_div(rows, most));
  for (int64_t row = 0; row < rows; row += group_rows, tile.a += a_group, tile.c += group_rows * tile.ldc) {
    run_rows(tiles, tile, smaller(rows - row, group_rows), most, activation, columns, &next);
  }
}

// A block of A: the first element, and the strides of rows and columns.
template <class T>
void bring_a(const MatmulPlan& plan, const Product<T>& product, int64_t k, int64_t depth, Tile<T>* tile) {
  const int64_t rows = product.last_row - product.first_row;
  tile->a = product.a + product.first_row * plan.a_row + k * plan.a_col;
  tile->a_row = plan.a_row;
  tile->a_col = plan.a_col;
  if (!plan.copy_a) return;
  if (plan.a_col == 1) {
    pack_rows(tile->a, plan.a_row, product.a_copy, plan.a_copy_ld, depth, rows);
    tile->a_row = plan.a_copy_ld;
  } else {
    pack_groups(tile->a, plan.a_col, product.a_copy, plan.a_copy_ld, rows, depth, tile->a + depth * plan.a_col);
    tile->a_col = kGroupRows;
  }
  tile->a = product.a_copy;
}

// What the last block of k adds to the sums.
template <class T>
void plan_finish(const MatmulPlan& plan, const Product<T>& product, int64_t column, Tile<T>* tile) {
  tile->bias = product.bias;
  if (plan.scalar_bias) {
    tile->flags |= kScalarBias;
  } else if (plan.bias) {
    tile->flags |= kBias;
    tile->bias += column;
  }
  if (plan.activation == Activation::kRelu) tile->flags |= kRelu;
}

template <class T>
void run_single_row(const MatmulPlan& plan, const Product<T>& product) {
  const bool packed = plan.b_layout == MatrixB::kPacked;
  const int64_t step = packed ? kPanelColumns : product.last_column;
  Tile<T> tile;
  tile.a = product.a;
  tile.a_col = plan.a_col;
  tile.k = plan.k;
  for (int64_t column = product.first_column; column < product.last_column; column += step) {
    const int64_t columns = smaller(product.last_column - column, step);
    tile.c = product.c + column;
    tile.flags = 0;
    plan_finish(plan, product, column, &tile);
    if (plan.b_layout == MatrixB::kTransposed) {
      tile.b = product.b + column * plan.ldb;
      tile.ldb = plan.ldb;
      run_transposed_row(tile, columns);
    } else {
      const Block<T> rows = find_rows(plan, product, column, 0);
      tile.b = rows.b;
      tile.ldb = rows.ld;
      run_row(tile, columns);
    }
    if (activates_later(plan.activation)) activate(plan.activation, tile.c, plan.n, 1, columns);
  }
}

// The sums of the columns of a tile's block of B: a row of C for a row of ones.
template <class T>
void add_columns(const TileSet<T>& tiles, Tile<T> tile, bool accumulate, T* sums) {
  const T one = 1;
  tile.a = &one;
  tile.a_row = tile.a_col = 0;
  tile.c = sums;
  tile.flags = accumulate ? kAccumulate : 0;
  tiles.rows[1](tile);
}

// What is copied after the strip at `column` of the rows [k, k + depth).
template <class T>
NextBlock<T> find_next(const MatmulPlan& plan, const Product<T>& product, int64_t column, int64_t k, int64_t depth) {
  if (!plan.copy_b || plan.b_layout != MatrixB::kRows) return {};
  column += kStripColumns<T>;
  if (column >= product.last_column) {
    column = product.first_column;
    k += depth;
  }
  const int64_t end = smaller(column + kStripColumns<T>, product.last_column) - 1;
  return {product.b + k * plan.ldb + end, plan.ldb, smaller(plan.k - k, depth), 0};
}

template <class T>
void run_product(const MatmulPlan& plan, const Product<T>& product) {
  constexpr int64_t kStrip = kStripColumns<T>;
  constexpr int kLanes = Piece<T>::kLanes;
  const int64_t rows = product.last_row - product.first_row;
  if (rows <= 0) return;
  if (plan.m == 1) return run_single_row(plan, product);
  // Rows of A that lie a multiple of 2 KiB apart share few sets of the first cache: use fewer of them at once.
  const bool grouped = plan.copy_a && plan.a_col != 1;
  const bool conflict = plan.a_col == 1 && !plan.copy_a && plan.a_row * static_cast<int64_t>(sizeof(T)) % 2048 == 0;
  const int64_t depth_step = kCopiesStrips ? smaller(plan.k_block, kStripDepth) : plan.k_block;
  int64_t k = 0;
  do {
    const int64_t depth = smaller(plan.k - k, depth_step);
    const bool last = k + depth >= plan.k;
    Tile<T> tile;
    bring_a(plan, product, k, depth, &tile);
    for (int64_t column = product.first_column; column < product.last_column; column += kStrip) {
      const int64_t columns = smaller(product.last_column - column, kStrip);
      const Block<T> block = bring_block(plan, product, column, columns, k, depth);
      const TileSet<T> tiles = find_tiles<T>(columns);
      tile.b = block.b;
      tile.ldb = block.ld;
      tile.c = product.c + product.first_row * plan.n + column;
      tile.ldc = plan.n;
      tile.k = depth;
      tile.part = static_cast<int>((columns - 1) % kLanes) + 1;
      tile.flags = k > 0 ? kAccumulate : 0;
      if (last) plan_finish(plan, product, column, &tile);
      const int most = conflict && tiles.most > 8 ? 8 : tiles.most;
      run_strip(tiles, tile, rows, grouped ? kGroupRows : rows, plan.a_copy_ld, most, last ? plan.activation : Activation::kNone, columns,
                find_next(plan, product, column, k, depth));
      if (product.sums != nullptr && product.first_row == 0) add_columns(tiles, tile, k > 0, product.sums + column);
    }
    k += depth;
  } while (k < plan.k);
}

template <class T>
void find_matrices(const MatmulPlan& plan, int64_t index, Product<T>* product) {
  product->c += index * plan.m * plan.n;
  for (int i = plan.batch_rank - 1; i >= 0; --i) {
    const int64_t at = index % plan.batch_dims[i];
    index /= plan.batch_dims[i];
    product->a += at * plan.a_batch[i];
    product->b += at * plan.b_batch[i];
  }
}

template <class T>
int64_t panel_elements(const MatmulPlan& plan) {
  return smaller(plan.k, plan.k_block) * kStripColumns<T>;
}

template <class T>
Product<T> bind_product(const MatmulPlan& plan, const StepArgs& args) {
  Product<T> product;
  product.a = static_cast<const T*>(args.in[plan.swapped ? 1 : 0]);
  product.b = static_cast<const T*>(plan.pack_first ? args.scratch : args.in[plan.swapped ? 0 : 1]);
  product.bias = plan.bias ? static_cast<const T*>(args.in[2]) : nullptr;
  product.c = static_cast<T*>(args.out[0]);
  product.sums = plan.column_sums ? static_cast<T*>(args.out[1]) : nullptr;
  product.first_row = product.first_column = 0;
  product.last_row = plan.m;
  product.last_column = plan.n;
  return product;
}

// Panels [begin, end) of the packed form of B.
template <class T>
void pack_panels(const T* b, int64_t ldb, bool transposed, int64_t n, int64_t k, int64_t begin, int64_t end, T* packed) {
  for (int64_t p = begin; p < end; ++p) {
    const int64_t column = p * kPanelColumns, width = panel_width(n, p), columns = smaller(n - column, kPanelColumns);
    T* panel = packed + column * k;
    if (width != columns) __builtin_memset(panel, 0, static_cast<size_t>(width * k) * sizeof(T));
    if (transposed) {
      pack_transposed(b + column * ldb, ldb, panel, width, columns, k);
    } else {
      pack_rows(b + column, ldb, panel, width, columns, k);
    }
  }
}

template <class T>
void run_matmul(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const MatmulPlan& plan = *static_cast<const MatmulPlan*>(state);
  if (plan.pack_first && phase == 0) {
    const T* b = static_cast<const T*>(args.in[plan.swapped ? 0 : 1]);
    return pack_panels(b, plan.ldb, plan.b_layout == MatrixB::kTransposed, plan.n, plan.k, begin, end, static_cast<T*>(args.scratch));
  }
  const int64_t grid = plan.row_chunks * plan.column_chunks;
  Product<T> whole = bind_product<T>(plan, args);
  whole.panel = static_cast<T*>(args.thread_scratch);
  whole.a_copy = whole.panel + panel_elements<T>(plan);
  if (begin >= end) return;
  if (grid == 1) {
    // Groups of whole matrices.
    const int64_t first = plan.batch * begin / plan.batch_chunks, last = plan.batch * end / plan.batch_chunks;
    for (int64_t i = first; i < last; ++i) {
      Product<T> product = whole;
      find_matrices(plan, i, &product);
      run_product(plan, product);
    }
    return;
  }
  const int64_t panels = (plan.n + kPanelColumns - 1) / kPanelColumns, row_units = (plan.m + plan.row_unit - 1) / plan.row_unit;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    Product<T> product = whole;
    find_matrices(plan, chunk / grid, &product);
    // Neighbouring chunks share columns of B.
    const int64_t row = chunk % plan.row_chunks, column = chunk % grid / plan.row_chunks;
    product.first_row = row_units * row / plan.row_chunks * plan.row_unit;
    product.last_row = smaller(plan.m, row_units * (row + 1) / plan.row_chunks * plan.row_unit);
    product.first_column = panels * column / plan.column_chunks * kPanelColumns;
    product.last_column = smaller(plan.n, panels * (column + 1) / plan.column_chunks * kPanelColumns);
    run_product(plan, product);
  }
}

}  // namespace
}  // namespace nnlite::NN_ISA
