// pad and concatenate: outputs put together from pieces. Any dtype: only the size of an element matters.
#include "kernels/movement_common.h"

namespace nnlite::NN_ISA {
namespace {

// ---- pad ----

// The last axis is the row. Its cells are of `cell` bytes: several elements when the axes behind it are not padded.
struct PadState {
  int rank;                // outer axes
  int64_t dims[kMaxRank];  // of the input
  int64_t out_dims[kMaxRank];
  int64_t low[kMaxRank];
  int64_t step[kMaxRank];     // 1 + interior
  int64_t strides[kMaxRank];  // of the input, bytes
  int64_t cell, length, out_length, row_low, row_step;
  int64_t rows, chunk_rows;
  uint64_t pattern;  // the padding value's bytes, repeated to 8
};

// The offset of the input row that lands on the output row `index`, or -1 when that row is padding.
int64_t input_row(const PadState& s, const int64_t* index) {
  int64_t offset = 0;
  for (int i = 0; i < s.rank; ++i) {
    const int64_t at = index[i] - s.low[i];
    if (at < 0 || at % s.step[i] != 0 || at / s.step[i] >= s.dims[i]) return -1;
    offset += at / s.step[i] * s.strides[i];
  }
  return offset;
}

void pad_row(const PadState& s, char* dst, const char* src) {
  const int64_t low = s.row_low * s.cell;
  if (s.row_step == 1) {
    const int64_t middle = s.length * s.cell;
    fill_pattern(dst, s.pattern, low);
    if (middle <= 64) {
      copy_short(dst + low, src, middle);
    } else {
      memcpy(dst + low, src, static_cast<size_t>(middle));
    }
    fill_pattern(dst + low + middle, s.pattern, s.out_length * s.cell - low - middle);
  } else {
    fill_pattern(dst, s.pattern, s.out_length * s.cell);
    copy_rows(dst + low, s.row_step * s.cell, src, s.cell, s.length, s.cell);
  }
}

void run_pad(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const PadState& s = *static_cast<const PadState*>(state);
  const char* in = static_cast<const char*>(args.in[0]);
  const int64_t row_bytes = s.out_length * s.cell;
  const int64_t no_strides[kMaxRank] = {};
  int64_t row = begin * s.chunk_rows;
  const int64_t last = smaller(end * s.chunk_rows, s.rows);
  char* out = static_cast<char*>(args.out[0]) + row * row_bytes;
  Odometer at;
  at.start(s.rank, s.out_dims, no_strides, row);
  for (; row < last; ++row, out += row_bytes) {
    const int64_t offset = input_row(s, at.index);
    if (offset < 0 || s.length == 0) {
      fill_pattern(out, s.pattern, row_bytes);
    } else {
      pad_row(s, out, in + offset);
    }
    at.next(s.out_dims, no_strides);
  }
}

uint64_t repeat_bytes(uint64_t bits, int64_t size) {
  for (int64_t n = size; n < 8; n *= 2) bits |= bits << (8 * n);
  return bits;
}

uint64_t value_pattern(DType dtype, double value) {
  uint64_t bits = 0;
  switch (dtype) {
    case DType::kFloat64: __builtin_memcpy(&bits, &value, 8); break;
    case DType::kFloat32:
    case DType::kBFloat16: {
      const float single = static_cast<float>(value);
      __builtin_memcpy(&bits, &single, 4);
      // Round to nearest even; a NaN stays one because of the quiet bit.
      if (dtype == DType::kBFloat16) bits = single != single ? (bits >> 16) | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
      break;
    }
    case DType::kBool: bits = value != 0; break;
    case DType::kUInt8: bits = static_cast<uint8_t>(static_cast<int64_t>(value)); break;
    case DType::kInt8: bits = static_cast<uint8_t>(static_cast<int64_t>(value)); break;
    case DType::kInt32: bits = static_cast<uint32_t>(static_cast<int64_t>(value)); break;
    case DType::kInt64: bits = static_cast<uint64_t>(static_cast<int64_t>(value)); break;
  }
  return repeat_bytes(bits, static_cast<int64_t>(dtype_size(dtype)));
}

struct PadAxis {
  int64_t dim, out_dim, low, step;
  bool plain() const { return dim == out_dim; }
};

// Reads and checks the axes, and merges every unpadded axis into the one before it where that one's elements lie together.
int padded_axes(Prepare& p, PadAxis* axes) {
  const Spec &x = p.input(0), &y = p.output(0);
  int64_t low[kMaxRank], high[kMaxRank], interior[kMaxRank];
  if (p.get_ints("low", low, kMaxRank) != x.rank || p.get_ints("high", high, kMaxRank) != x.rank ||
      p.get_ints("interior", interior, kMaxRank) != x.rank) {
    p.fail("low, high and interior must have one entry per axis: rank %d", x.rank);
  }
  if (x.dtype != y.dtype || x.rank != y.rank)
    p.fail("the output must have the input's dtype and rank: %s rank %d, got %s rank %d", dtype_name(x.dtype), x.rank, dtype_name(y.dtype), y.rank);
  int n = 0;
  for (int i = 0; i < x.rank; ++i) {
    const int64_t inside = x.dims[i] > 0 ? (x.dims[i] - 1) * (interior[i] + 1) + 1 : 0;
    if (low[i] < 0 || high[i] < 0 || interior[i] < 0) {
      p.fail("padding must not be negative: axis %d has low %lld, high %lld, interior %lld", i, static_cast<long long>(low[i]),
             static_cast<long long>(high[i]), static_cast<long long>(interior[i]));
    }
    if (y.dims[i] != low[i] + inside + high[i]) {
      p.fail("axis %d of the output must have %lld elements, got %lld", i, static_cast<long long>(low[i] + inside + high[i]),
             static_cast<long long>(y.dims[i]));
    }
    const PadAxis axis = {x.dims[i], y.dims[i], low[i], interior[i] + 1};
    if (n > 0 && axis.plain() && axes[n - 1].step == 1) {
      axes[n - 1] = {axes[n - 1].dim * axis.dim, axes[n - 1].out_dim * axis.dim, axes[n - 1].low * axis.dim, 1};
    } else {
      axes[n++] = axis;
    }
  }
  return n;
}

void prepare_pad(Prepare& p) {
  PadAxis axes[kMaxRank + 1];
  int n = padded_axes(p, axes);
  if (p.output(0).size() == 0) return prepare_nothing(p);
  PadState* s = static_cast<PadState*>(p.new_state(sizeof(PadState)));
  s->cell = static_cast<int64_t>(dtype_size(p.output(0).dtype));
  s->pattern = value_pattern(p.output(0).dtype, p.get_float("value", 0.0));
  // An unpadded axis behind one with holes: the cells of that axis.
  if (n > 1 && axes[n - 1].plain()) s->cell *= axes[--n].dim;
  if (n == 0) axes[n++] = {1, 1, 0, 1};
  const PadAxis& row = axes[n - 1];
  s->rank = n - 1;
  s->length = row.dim;
  s->out_length = row.out_dim;
  s->row_low = row.low;
  s->row_step = row.step;
  s->rows = 1;
  int64_t stride = row.dim * s->cell;
  for (int i = s->rank - 1; i >= 0; --i) {
    s->dims[i] = axes[i].dim;
    s->out_dims[i] = axes[i].out_dim;
    s->low[i] = axes[i].low;
    s->step[i] = axes[i].step;
    s->strides[i] = stride;
    stride *= axes[i].dim;
    s->rows *= axes[i].out_dim;
  }
  s->chunk_rows = larger(1, kChunkBytes / (s->out_length * s->cell));
  p.set_run(run_pad);
  p.add_phase(ceil_div(s->rows, s->chunk_rows));
}

// ---- concatenate ----

// The output seen as `rows` rows, each the rows of all inputs one after the other. `bytes` has one entry per input.
struct JoinState {
  int64_t rows, row_bytes, chunk_rows, piece, pieces;
  int inputs;
  int64_t bytes[];
};

// Rows are so long that chunks are ranges of bytes within a row.
void run_join_long(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const JoinState& s = *static_cast<const JoinState*>(state);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t row = unit / s.pieces, first = unit % s.pieces * s.piece, last = smaller(first + s.piece, s.row_bytes);
    char* out = static_cast<char*>(args.out[0]) + row * s.row_bytes;
    int64_t start = 0;
    for (int k = 0; k < s.inputs && start < last; start += s.bytes[k++]) {
      const int64_t from = larger(first, start), to = smaller(last, start + s.bytes[k]);
      if (from < to) memcpy(out + from, static_cast<const char*>(args.in[k]) + row * s.bytes[k] + (from - start), static_cast<size_t>(to - from));
    }
  }
}

void run_join(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const JoinState& s = *static_cast<const JoinState*>(state);
  const int64_t first = begin * s.chunk_rows, rows = smaller(end * s.chunk_rows, s.rows) - first;
  char* out = static_cast<char*>(args.out[0]) + first * s.row_bytes;
  for (int k = 0; k < s.inputs; out += s.bytes[k++]) {
    copy_rows(out, s.row_bytes, static_cast<const char*>(args.in[k]) + first * s.bytes[k], s.bytes[k], rows, s.bytes[k]);
  }
}

void prepare_concatenate(Prepare& p) {
  const Spec& y = p.output(0);
  const int axis = static_cast<int>(p.get_int("axis"));
  const int n = p.num_inputs();
  if (axis < 0 || axis >= y.rank) p.fail("axis must be in 0..%d, got %d", y.rank - 1, axis);
  JoinState* s = static_cast<JoinState*>(p.new_state(sizeof(JoinState) + static_cast<size_t>(n) * sizeof(int64_t)));
  int64_t inner = static_cast<int64_t>(dtype_size(y.dtype)), total = 0;
  s->rows = 1;
  for (int i = 0; i < axis; ++i) s->rows *= y.dims[i];
  for (int i = axis + 1; i < y.rank; ++i) inner *= y.dims[i];
  for (int k = 0; k < n; ++k) {
    const Spec& x = p.input(k);
    if (x.dtype != y.dtype || x.rank != y.rank)
      p.fail("input %d must have the output's dtype and rank: %s rank %d, got %s rank %d", k, dtype_name(y.dtype), y.rank, dtype_name(x.dtype),
             x.rank);
    for (int i = 0; i < y.rank; ++i) {
      if (i != axis && x.dims[i] != y.dims[i]) {
        p.fail("input %d must match the output on axis %d: %lld, got %lld", k, i, static_cast<long long>(y.dims[i]),
               static_cast<long long>(x.dims[i]));
      }
    }
    total += x.dims[axis];
    s->bytes[k] = x.dims[axis] * inner;
  }
  if (total != y.dims[axis])
    p.fail("axis %d of the output must have %lld elements, got %lld", axis, static_cast<long long>(total), static_cast<long long>(y.dims[axis]));
  if (y.size() == 0) return prepare_nothing(p);
  s->inputs = n;
  s->row_bytes = total * inner;
  s->piece = kChunkBytes;
  s->pieces = ceil_div(s->row_bytes, s->piece);
  s->chunk_rows = larger(1, kChunkBytes / s->row_bytes);
  p.set_run(s->pieces > 1 ? run_join_long : run_join);
  p.add_phase(s->pieces > 1 ? s->rows * s->pieces : ceil_div(s->rows, s->chunk_rows));
}

NN_KERNEL("pad", prepare_pad);
NN_KERNEL("concatenate", prepare_concatenate);

}  // namespace
}  // namespace nnlite::NN_ISA
