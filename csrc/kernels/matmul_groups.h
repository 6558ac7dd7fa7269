// Products of narrow numbers, several of which make one 32-bit word: 2 bfloat16, 4 bytes, or 2 int16 made of bytes. All words of A and B hold
// neighbours along k; a tile multiplies words and sums in 32 bits. Both operands are packed first: A as rows of words, B as panels of 64
// columns, `[ceil(n / 64)][groups of k][64]`.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/gemm_tile.h"
#include "kernels/kernel.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kGroupPanel = 64;  // columns of a panel
constexpr int kGroupRows = 6;        // rows of the largest tile

// One tile: sums[rows][64] = start[64] + A[rows, groups] B[groups, 64].
struct GroupTile {
  const uint32_t* a;
  int64_t a_row, a_col;  // words
  const uint32_t* b;     // rows of 64 words
  int64_t groups;
  const uint32_t* start;
  uint32_t* sums;
};

template <class Op, int kRows, int kVectors>
void run_group_tile(const GroupTile& tile) {
  using R = typename Op::Register;
  constexpr int kLanes = Op::kLanes;
  R acc[kRows][kVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) acc[i][j] = Op::load(tile.start + j * kLanes);
  }
  int64_t row = tile.a_row * 4, row3 = 3 * row, column = tile.a_col * 4;
  forget(row), forget(row3), forget(column);
  const uint32_t* a[2] = {tile.a, step_bytes(tile.a, kRows > 4 ? 4 * row : 0)};
  forget(a[0]), forget(a[1]);
  const uint32_t* b = tile.b;
#pragma GCC unroll 1
  for (int64_t g = tile.groups; g > 0; --g) {
    R vb[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) vb[j] = Op::load(b + j * kLanes);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const R va = Op::splat(*step_bytes(a[i / 4], i % 4 == 3 ? row3 : (i % 4) * row));
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = Op::dot(acc[i][j], va, vb[j]);
    }
    a[0] = step_bytes(a[0], column);
    a[1] = step_bytes(a[1], column);
    b += kGroupPanel;
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) Op::store(tile.sums + i * kGroupPanel + j * kLanes, acc[i][j]);
  }
}

// `rows` (1..6, up to one more is read) of A with `columns` (1..64) of a panel.
template <class Op>
void run_group_rows(GroupTile tile, int64_t rows, int64_t columns) {
  constexpr int kVectors = Op::kVectors;
  constexpr int64_t kWide = kVectors * Op::kLanes;
  int64_t j = 0;
  // Columns come by strips of registers; one register where no more than that is left.
  while (j < columns) {
    const bool narrow = columns - j <= Op::kLanes;
    if (rows > 4) {
      (narrow ? run_group_tile<Op, 6, 1> : run_group_tile<Op, 6, kVectors>)(tile);
    } else if (rows > 2) {
      (narrow ? run_group_tile<Op, 4, 1> : run_group_tile<Op, 4, kVectors>)(tile);
    } else {
      (narrow ? run_group_tile<Op, 2, 1> : run_group_tile<Op, 2, kVectors>)(tile);
    }
    j += kWide;
    tile.b += kWide;
    tile.start += kWide;
    tile.sums += kWide;
  }
}

// How a product of groups is cut. The same for every instruction set but for `groups`.
struct GroupPlan {
  int64_t m, n, k, groups;
  int64_t panels, row_blocks;
  int64_t a_rows;             // of packed A: a multiple of 16, at least one more than m
  int64_t a_ld;               // words between its rows, which must not lie a multiple of 4 KiB apart
  int64_t a_chunks;           // of packing A
  size_t a_bytes, b_bytes;
};

NN_INLINE int64_t group_ceil(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Sets the phases: A and B are packed, then tiles run.
NN_INLINE void plan_groups(Prepare& prepare, int64_t m, int64_t n, int64_t k, int64_t per_group, GroupPlan* plan) {
  constexpr int64_t kRowBlock = 96, kPackBlock = 64;
  plan->m = m;
  plan->n = n;
  plan->k = k;
  plan->groups = group_ceil(k, per_group);
  plan->panels = group_ceil(n, kGroupPanel);
  plan->row_blocks = group_ceil(m, kRowBlock);
  plan->a_rows = group_ceil(m + 1, 16) * 16;
  plan->a_chunks = group_ceil(m, kPackBlock);
  plan->a_ld = group_ceil(plan->groups, 16) * 16 + 16;
  plan->a_bytes = static_cast<size_t>(plan->a_rows * plan->a_ld) * 4;
  plan->b_bytes = static_cast<size_t>(plan->panels * kGroupPanel * plan->groups) * 4;
  prepare.add_phase(plan->a_chunks + plan->panels);
  prepare.add_phase(plan->panels * plan->row_blocks);
}

// Runs chunk by chunk: `finish(row, column, columns, sums)` receives what belongs to one row, at most 64 columns.
template <class Op, class Start, class Finish>
NN_INLINE void run_groups(const GroupPlan& plan, int64_t begin, int64_t end, const uint32_t* a, int64_t a_row, int64_t a_col, const uint32_t* b,
                          Start start, Finish finish) {
  alignas(64) uint32_t sums[kGroupRows * kGroupPanel];
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t panel = chunk / plan.row_blocks, block = chunk % plan.row_blocks;
    const int64_t first = plan.m * block / plan.row_blocks, last = plan.m * (block + 1) / plan.row_blocks, column = panel * kGroupPanel;
    const int64_t columns = plan.n - column < kGroupPanel ? plan.n - column : kGroupPanel;
    for (int64_t row = first; row < last; row += kGroupRows) {
      const int64_t rows = last - row < kGroupRows ? last - row : kGroupRows;
      run_group_rows<Op>({a + row * a_row, a_row, a_col, b + column * plan.groups, plan.groups, start(column), sums}, rows, columns);
      for (int64_t i = 0; i < rows; ++i) finish(row + i, column, columns, sums + i * kGroupPanel);
    }
  }
}

}  // namespace
}  // namespace nnlite::NN_ISA
