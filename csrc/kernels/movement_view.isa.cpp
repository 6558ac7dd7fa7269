// transpose, broadcast_to, reverse and slice: outputs that read their input through one stride per axis (zero to broadcast, negative to reverse).
//
// All four describe themselves as such a view; axes that lie together are merged, and what remains is copied by rows, filled, transposed in
// tiles or gathered. Any dtype: only the size of an element matters.
#include "kernels/movement_common.h"
#include "kernels/movement_tile.h"

namespace nnlite::NN_ISA {
namespace {

// Element (i0, i1, ...) of the output is element offset + sum(i_k * strides[k]) of the input.
struct View {
  int rank;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxRank];
  int64_t offset;
};

// Plain-data state of all view kernels. The last axis is the row; `dims` and `strides` (bytes) are those of the outer axes.
struct ViewState {
  int rank;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxRank];
  int64_t offset;  // bytes
  int64_t length;  // elements in a row
  int64_t step;    // elements from one to the next in the input's row
  int64_t item;    // bytes of an element
  int64_t piece;   // rows are cut into pieces of this many elements
  int64_t pieces;  // pieces in a row
  int64_t units;   // pieces in all rows (or tile blocks in all matrices)
  int64_t chunk_units;
  // Tiled: the input is contiguous along an outer axis of `depth` elements, `depth_stride` elements apart in the output.
  int64_t depth, depth_stride;
  int64_t out_strides[kMaxRank];
  int64_t depth_blocks, length_blocks;
};

constexpr int64_t kTileBlock = 64;  // a block of tiles: its lines and pages stay in L1 and the TLB

void collapse(View* v) {
  int n = 0;
  for (int i = 0; i < v->rank; ++i) {
    if (v->dims[i] == 1) continue;
    if (n > 0 && v->strides[n - 1] == v->strides[i] * v->dims[i]) {
      v->dims[n - 1] *= v->dims[i];
      v->strides[n - 1] = v->strides[i];
    } else {
      v->dims[n] = v->dims[i];
      v->strides[n++] = v->strides[i];
    }
  }
  if (n == 0) {
    v->dims[0] = v->strides[0] = 1;
    n = 1;
  }
  v->rank = n;
}

// Calls body(dst, src, src_row_stride, rows, elements) for runs of rows along the innermost outer axis, and for pieces of long rows.
template <class Body>
void for_rows(const ViewState& s, int64_t begin, int64_t end, const StepArgs& args, Body body) {
  const char* in = static_cast<const char*>(args.in[0]) + s.offset;
  char* out = static_cast<char*>(args.out[0]);
  int64_t unit = begin * s.chunk_units;
  const int64_t last = smaller(end * s.chunk_units, s.units);
  const int64_t row_bytes = s.length * s.item;
  if (s.pieces > 1) {
    Odometer at;
    at.start(s.rank, s.dims, s.strides, unit / s.pieces);
    for (int64_t piece = unit % s.pieces; unit < last; ++unit) {
      const int64_t first = piece * s.piece;
      const int64_t n = smaller(s.piece, s.length - first);
      body(out + (unit / s.pieces) * row_bytes + first * s.item, in + at.offset + first * s.step * s.item, 0, 1, n);
      if (++piece == s.pieces) {
        piece = 0;
        at.next(s.dims, s.strides);
      }
    }
    return;
  }
  if (s.rank == 0) return body(out, in, 0, 1, s.length);
  const int inner = s.rank - 1;
  const int64_t run = s.dims[inner];
  Odometer at;
  at.start(inner, s.dims, s.strides, unit / run);
  for (int64_t j = unit % run; unit < last; j = 0) {
    const int64_t rows = smaller(run - j, last - unit);
    body(out + unit * row_bytes, in + at.offset + j * s.strides[inner], s.strides[inner], rows, s.length);
    unit += rows;
    at.next(s.dims, s.strides);
  }
}

void run_copy(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const ViewState& s = *static_cast<const ViewState*>(state);
  for_rows(s, begin, end, args, [&s](char* dst, const char* src, int64_t stride, int64_t rows, int64_t n) {
    const int64_t bytes = n * s.item;
    if (stride == 0) return repeat_row(dst, src, rows, bytes);
    copy_rows(dst, bytes, src, stride, rows, bytes);
  });
}

// Repeats the element at src, of 1, 2, 4 or 8 bytes, to fill 8.
template <class T>
NN_INLINE uint64_t repeated(const char* src) {
  T value;
  __builtin_memcpy(&value, src, sizeof(T));
  return value * (~uint64_t{0} / static_cast<T>(~T{0}));
}
NN_INLINE uint64_t repeated(const char* src, int64_t item) {
  return item == 8 ? repeated<uint64_t>(src) : item == 4 ? repeated<uint32_t>(src) : item == 2 ? repeated<uint16_t>(src) : repeated<uint8_t>(src);
}

void run_fill(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const ViewState& s = *static_cast<const ViewState*>(state);
  for_rows(s, begin, end, args, [&s](char* dst, const char* src, int64_t stride, int64_t rows, int64_t n) {
    const int64_t bytes = n * s.item;
    for (int64_t r = 0; r < rows; ++r, dst += bytes) {
      const Vec<int64_t> value = splat(static_cast<int64_t>(repeated(src + r * stride, s.item)));
      int64_t i = 0;
      for (; i + 64 <= bytes; i += 64) store(reinterpret_cast<int64_t*>(dst + i), value);
      if (i < bytes && bytes >= 64) {
        store(reinterpret_cast<int64_t*>(dst + bytes - 64), value);
      } else if (i < bytes) {
        int64_t lanes[8];
        store(lanes, value);
        memcpy(dst, lanes, static_cast<size_t>(bytes));
      }
    }
  });
}

template <class T>
void run_gather(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const ViewState& s = *static_cast<const ViewState*>(state);
  for_rows(s, begin, end, args, [step = s.step](char* dst, const char* src, int64_t stride, int64_t rows, int64_t n) {
    T* __restrict to = reinterpret_cast<T*>(dst);
    for (int64_t r = 0; r < rows; ++r, to += n) {
      const T* __restrict from = reinterpret_cast<const T*>(src + r * stride);
      NN_UNROLL(8)
      for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
    }
  });
}

// One block of a matrix: out[d * out_stride + i] = in[i * in_stride + d], d < depth, i < length.
template <class T>
void transpose_block(const T* in, int64_t in_stride, T* out, int64_t out_stride, int64_t depth, int64_t length) {
  constexpr int kSide = Tile<T>::kSide;
  const int64_t full_depth = depth - depth % kSide, full_length = length - length % kSide;
  for (int64_t d = 0; d < full_depth; d += kSide) {
    for (int64_t i = 0; i < full_length; i += kSide) Tile<T>::transpose(in + i * in_stride + d, in_stride, out + d * out_stride + i, out_stride);
  }
  for (int64_t d = full_depth; d < depth; ++d) {
    for (int64_t i = 0; i < full_length; ++i) out[d * out_stride + i] = in[i * in_stride + d];
  }
  for (int64_t i = full_length; i < length; ++i) {
    for (int64_t d = 0; d < depth; ++d) out[d * out_stride + i] = in[i * in_stride + d];
  }
}

template <class T>
void run_tiles(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const ViewState& s = *static_cast<const ViewState*>(state);
  const char* in = static_cast<const char*>(args.in[0]) + s.offset;
  char* out = static_cast<char*>(args.out[0]);
  const int64_t blocks = s.depth_blocks * s.length_blocks;
  const int64_t last = smaller(end * s.chunk_units, s.units);
  for (int64_t unit = begin * s.chunk_units; unit < last; ++unit) {
    Odometer from, to;
    from.start(s.rank, s.dims, s.strides, unit / blocks);
    to.start(s.rank, s.dims, s.out_strides, unit / blocks);
    const int64_t d = (unit % blocks) / s.length_blocks * kTileBlock, i = (unit % blocks) % s.length_blocks * kTileBlock;
    transpose_block(reinterpret_cast<const T*>(in + from.offset) + i * s.step + d, s.step,
                    reinterpret_cast<T*>(out + to.offset) + d * s.depth_stride + i, s.depth_stride, smaller(kTileBlock, s.depth - d),
                    smaller(kTileBlock, s.length - i));
  }
}

struct ViewRuns {
  RunFunction gather, tiles;
};
template <class T>
ViewRuns runs_of() {
  return {run_gather<T>, run_tiles<T>};
}

// The outer axis along which the input is contiguous, worth tiling when both sides hold a few elements; -1 when there is none.
int tile_axis(const View& v) {
  if (v.dims[v.rank - 1] < 4) return -1;
  for (int i = 0; i < v.rank - 1; ++i) {
    if (v.strides[i] == 1 && v.dims[i] >= 4) return i;
  }
  return -1;
}

void plan_tiles(const View& v, int axis, ViewState* s) {
  int64_t out_stride = v.dims[v.rank - 1];
  s->rank = 0;
  for (int i = v.rank - 2; i >= 0; --i) {
    if (i == axis) {
      s->depth = v.dims[i];
      s->depth_stride = out_stride;
    } else {
      ++s->rank;
    }
    out_stride *= v.dims[i];
  }
  out_stride = v.dims[v.rank - 1];
  for (int i = v.rank - 2, k = s->rank; i >= 0; --i) {
    if (i != axis) {
      s->dims[--k] = v.dims[i];
      s->strides[k] = v.strides[i] * s->item;
      s->out_strides[k] = out_stride * s->item;
    }
    out_stride *= v.dims[i];
  }
  s->depth_blocks = ceil_div(s->depth, kTileBlock);
  s->length_blocks = ceil_div(s->length, kTileBlock);
  s->units = s->depth_blocks * s->length_blocks;
  for (int i = 0; i < s->rank; ++i) s->units *= s->dims[i];
  s->chunk_units = larger(1, kChunkBytes / (smaller(kTileBlock, s->depth) * smaller(kTileBlock, s->length) * s->item));
}

void plan_rows(const View& v, ViewState* s) {
  s->rank = v.rank - 1;
  int64_t rows = 1;
  for (int i = 0; i < s->rank; ++i) {
    s->dims[i] = v.dims[i];
    s->strides[i] = v.strides[i] * s->item;
    rows *= v.dims[i];
  }
  s->piece = smaller(s->length, kChunkBytes / s->item);
  s->pieces = ceil_div(s->length, s->piece);
  s->units = rows * s->pieces;
  s->chunk_units = s->pieces > 1 ? 1 : larger(1, kChunkBytes / (s->length * s->item));
}

void prepare_view(Prepare& p, View v) {
  if (p.output(0).size() == 0) return prepare_nothing(p);
  collapse(&v);
  ViewState* s = static_cast<ViewState*>(p.new_state(sizeof(ViewState)));
  s->item = static_cast<int64_t>(dtype_size(p.output(0).dtype));
  s->offset = v.offset * s->item;
  s->length = v.dims[v.rank - 1];
  s->step = v.strides[v.rank - 1];
  const ViewRuns runs = s->item == 8   ? runs_of<uint64_t>()
                        : s->item == 4 ? runs_of<uint32_t>()
                        : s->item == 2 ? runs_of<uint16_t>()
                                       : runs_of<uint8_t>();
  const int axis = s->step == 0 || s->step == 1 || s->step == -1 ? -1 : tile_axis(v);
  if (axis >= 0) {
    plan_tiles(v, axis, s);
  } else {
    plan_rows(v, s);
  }
  p.set_run(axis >= 0 ? runs.tiles : s->step == 1 ? run_copy : s->step == 0 ? run_fill : runs.gather);
  p.add_phase(ceil_div(s->units, s->chunk_units));
}

// The input's own layout as a view of itself.
View whole(const Spec& spec) {
  View v = {};
  v.rank = spec.rank;
  int64_t stride = 1;
  for (int i = spec.rank - 1; i >= 0; --i) {
    v.dims[i] = spec.dims[i];
    v.strides[i] = stride;
    stride *= spec.dims[i];
  }
  return v;
}

void check_ranks(const Prepare& p, bool same_rank) {
  const Spec &x = p.input(0), &y = p.output(0);
  if (x.dtype != y.dtype) p.fail("the output must have the input's dtype: input %s, output %s", dtype_name(x.dtype), dtype_name(y.dtype));
  if (same_rank && x.rank != y.rank) p.fail("the output must have the input's rank: input %d, output %d", x.rank, y.rank);
}

// Reads an attribute of one integer per axis.
void per_axis(const Prepare& p, const char* name, int rank, int64_t* values) {
  const int n = p.get_ints(name, values, kMaxRank);
  if (n != rank) p.fail("attribute '%s' must have one entry per axis: rank %d, got %d entries", name, rank, n);
}

void check_dim(const Prepare& p, int axis, int64_t expected) {
  if (p.output(0).dims[axis] != expected) {
    p.fail("axis %d of the output must have %lld elements, got %lld", axis, static_cast<long long>(expected),
           static_cast<long long>(p.output(0).dims[axis]));
  }
}

void prepare_transpose(Prepare& p) {
  check_ranks(p, true);
  const View x = whole(p.input(0));
  int64_t axes[kMaxRank];
  per_axis(p, "axes", x.rank, axes);
  View v = x;
  unsigned seen = 0;
  for (int i = 0; i < x.rank; ++i) {
    if (axes[i] < 0 || axes[i] >= x.rank || (seen >> axes[i] & 1))
      p.fail("axes must be a permutation of 0..%d, got %lld at %d", x.rank - 1, static_cast<long long>(axes[i]), i);
    seen |= 1u << axes[i];
    v.dims[i] = x.dims[axes[i]];
    v.strides[i] = x.strides[axes[i]];
    check_dim(p, i, v.dims[i]);
  }
  prepare_view(p, v);
}

void prepare_broadcast_to(Prepare& p) {
  check_ranks(p, false);
  const View x = whole(p.input(0));
  const Spec& y = p.output(0);
  if (x.rank > y.rank) p.fail("the output's rank %d must not be below the input's %d", y.rank, x.rank);
  View v = {};
  v.rank = y.rank;
  for (int i = 0; i < y.rank; ++i) {
    const int k = i - (y.rank - x.rank);
    v.dims[i] = y.dims[i];
    if (k < 0 || x.dims[k] == 1) continue;
    check_dim(p, i, x.dims[k]);
    v.strides[i] = x.strides[k];
  }
  prepare_view(p, v);
}

void prepare_reverse(Prepare& p) {
  check_ranks(p, true);
  View v = whole(p.input(0));
  int64_t axes[kMaxRank];
  const int n = p.get_ints("axes", axes, kMaxRank);
  if (n > v.rank) p.fail("axes must not repeat: %d axes for rank %d", n, v.rank);
  for (int i = 0; i < v.rank; ++i) check_dim(p, i, v.dims[i]);
  unsigned seen = 0;
  for (int i = 0; i < n; ++i) {
    const int64_t a = axes[i];
    if (a < 0 || a >= v.rank || (seen >> a & 1)) p.fail("axes must be distinct and in 0..%d, got %lld", v.rank - 1, static_cast<long long>(a));
    seen |= 1u << a;
    v.offset += (v.dims[a] - 1) * v.strides[a];
    v.strides[a] = -v.strides[a];
  }
  prepare_view(p, v);
}

void prepare_slice(Prepare& p) {
  check_ranks(p, true);
  View v = whole(p.input(0));
  int64_t starts[kMaxRank], sizes[kMaxRank], steps[kMaxRank];
  per_axis(p, "starts", v.rank, starts);
  per_axis(p, "sizes", v.rank, sizes);
  per_axis(p, "strides", v.rank, steps);
  for (int i = 0; i < v.rank; ++i) {
    check_dim(p, i, sizes[i]);
    if (starts[i] < 0 || steps[i] < 1 || (sizes[i] > 0 && starts[i] + (sizes[i] - 1) * steps[i] >= v.dims[i])) {
      p.fail("the slice leaves axis %d of %lld elements: start %lld, size %lld, stride %lld", i, static_cast<long long>(v.dims[i]),
             static_cast<long long>(starts[i]), static_cast<long long>(sizes[i]), static_cast<long long>(steps[i]));
    }
    v.dims[i] = sizes[i];
    v.offset += starts[i] * v.strides[i];
    v.strides[i] *= steps[i];
  }
  prepare_view(p, v);
}

NN_KERNEL("transpose", prepare_transpose);
NN_KERNEL("broadcast_to", prepare_broadcast_to);
NN_KERNEL("reverse", prepare_reverse);
NN_KERNEL("slice", prepare_slice);

}  // namespace
}  // namespace nnlite::NN_ISA
