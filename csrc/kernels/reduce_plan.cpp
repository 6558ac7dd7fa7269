#include "kernels/reduce_plan.h"

namespace nnlite {
namespace {

constexpr int64_t kPiece = 1024;  // elements combined before they join the result: 16 in a lane
constexpr int64_t kRows = 64;     // rows, in the column form
constexpr int64_t kColumnPart = 1024;
constexpr int64_t kChunkElements = 16 * 1024;
constexpr int64_t kMaxChunks = 256;
constexpr int64_t kMaxPartialElements = 128 * 1024;

// Axes of size 1 dropped, neighbours of one kind merged.
struct Axes {
  int rank = 0;
  int64_t dims[kMaxRank], strides[kMaxRank];
  bool reduced[kMaxRank];
};

Axes read_axes(Prepare& prepare) {
  const Spec& x = prepare.input(0);
  int64_t listed[kMaxRank];
  const int count = prepare.get_ints("axes", listed, kMaxRank);
  bool reduced[kMaxRank] = {};
  int64_t kept = 1;
  for (int k = 0; k < count; ++k) {
    if (k >= kMaxRank || listed[k] < 0 || listed[k] >= x.rank || reduced[listed[k]]) {
      prepare.fail("'axes' must be different axes of the input, which has %d; got axis %lld", x.rank,
                   static_cast<long long>(k < kMaxRank ? listed[k] : -1));
    }
    reduced[listed[k]] = true;
  }
  Axes axes;
  int64_t strides[kMaxRank], stride = 1;
  for (int d = x.rank - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= x.dims[d];
    if (!reduced[d]) kept *= x.dims[d];
  }
  if (prepare.output(0).size() != kept) {
    prepare.fail("the reduction has %lld results, its output %lld", static_cast<long long>(kept), static_cast<long long>(prepare.output(0).size()));
  }
  for (int d = 0; d < x.rank; ++d) {
    if (x.dims[d] == 1) continue;
    const bool merge = axes.rank > 0 && axes.reduced[axes.rank - 1] == reduced[d];
    const int at = merge ? axes.rank - 1 : axes.rank++;
    axes.dims[at] = merge ? axes.dims[at] * x.dims[d] : x.dims[d];
    axes.strides[at] = strides[d];
    axes.reduced[at] = reduced[d];
  }
  return axes;
}

}  // namespace

void plan_reduce(Prepare& prepare, ReduceState* s, int64_t acc_bytes, int64_t row_bytes) {
  const Axes axes = read_axes(prepare);
  const int64_t total = prepare.input(0).size();
  int last_reduced = -1;
  for (int d = 0; d < axes.rank; ++d) last_reduced = axes.reduced[d] ? d : last_reduced;
  s->copy = last_reduced < 0;
  s->column_form = last_reduced >= 0 && last_reduced < axes.rank - 1;
  s->columns = s->column_form ? axes.dims[axes.rank - 1] : 1;
  s->outputs = s->outer = s->run = 1;
  for (int d = 0; d < axes.rank - (s->column_form ? 1 : 0); ++d) {
    if (d == last_reduced) {
      s->run = axes.dims[d];
    } else if (axes.reduced[d]) {
      s->reduced_dims[s->reduced_rank] = axes.dims[d];
      s->reduced_strides[s->reduced_rank++] = axes.strides[d];
      s->outer *= axes.dims[d];
    } else {
      s->kept_dims[s->kept_rank] = axes.dims[d];
      s->kept_strides[s->kept_rank++] = axes.strides[d];
      s->outputs *= axes.dims[d];
    }
  }
  s->piece = s->column_form ? kRows : kPiece;
  s->run_pieces = ceil_div(s->run, s->piece);
  s->pieces = s->outer * s->run_pieces;
  s->column_part = smaller(s->columns, kColumnPart);
  s->column_parts = s->columns == 0 ? 0 : ceil_div(s->columns, s->column_part);
  // Splits only where outputs alone give too few chunks, and as few as fill the chunks.
  const int64_t tasks = larger(s->outputs * s->column_parts, 1);
  const int64_t wanted = smaller(kMaxChunks, ceil_div(larger(total, 1), kChunkElements));
  const int64_t most = larger(kMaxPartialElements / larger(s->outputs * s->columns, 1), 1);
  s->splits = larger(smaller(smaller(wanted / tasks, most), s->pieces), 1);
  s->split_pieces = larger(ceil_div(s->pieces, s->splits), 1);
  s->splits = larger(ceil_div(s->pieces, s->split_pieces), 1);
  s->items = s->outputs * s->column_parts * s->splits;
  s->chunk_items = larger(ceil_div(s->items, larger(wanted, 1)), 1);
  prepare.set_cost(static_cast<double>(total));
  prepare.add_phase(ceil_div(s->items, s->chunk_items));
  if (s->column_form) prepare.need_thread_scratch(static_cast<size_t>(s->column_part * row_bytes));
  if (s->splits > 1) {
    prepare.need_scratch(static_cast<size_t>(s->outputs * s->columns * s->splits * (s->column_form ? row_bytes : acc_bytes)));
    prepare.add_phase(1);
  }
}

}  // namespace nnlite
