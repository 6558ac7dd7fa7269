// take_rows (embedding lookup) and scatter_add_rows (its gradient).
//
// scatter_add_rows sums the rows of dy in the order of the ids, whatever the cut: a chunk owns either some columns of all rows or, when rows
// are short, the rows of one class of ids, and walks all ids in order. bfloat16 is summed in float32 and rounded once.
#include "kernels/lane_items.h"
#include "kernels/movement_common.h"

namespace nnlite::NN_ISA {
namespace {

// Rows fetched ahead: enough to cover a trip to memory.
constexpr int64_t kAhead = 8;

template <class I>
NN_INLINE int64_t id_at(const void* ids, int64_t i) {
  return static_cast<int64_t>(static_cast<const I*>(ids)[i]);
}
NN_INLINE bool in_range(int64_t id, int64_t rows) { return static_cast<uint64_t>(id) < static_cast<uint64_t>(rows); }

void check_ids(const Prepare& p, const Spec& ids) {
  if (ids.dtype != DType::kInt32 && ids.dtype != DType::kInt64 && ids.dtype != DType::kUInt8)
    p.fail("ids must be int32, int64 or uint8, got %s", dtype_name(ids.dtype));
}

// Elements of one row: the axes behind the first `lead` ones.
int64_t row_elements(const Spec& spec, int lead) {
  int64_t n = 1;
  for (int i = lead; i < spec.rank; ++i) n *= spec.dims[i];
  return n;
}

// Fails unless `values` has the shape [*ids, D...] that goes with a table [V, D...].
void check_rows(const Prepare& p, const Spec& table, const Spec& ids, const Spec& values, const char* name) {
  bool fits = table.rank >= 1 && values.dtype == table.dtype && values.rank == ids.rank + table.rank - 1;
  for (int i = 0; fits && i < ids.rank; ++i) fits = values.dims[i] == ids.dims[i];
  for (int i = 1; fits && i < table.rank; ++i) fits = values.dims[ids.rank + i - 1] == table.dims[i];
  if (!fits) p.fail("%s must have the table's dtype and the shape of the ids followed by that of a row", name);
}

// ---- take_rows ----

struct TakeState {
  int64_t rows, ids, row_bytes, chunk_ids;
  uint64_t missing;  // what fills the row of an id out of range: NaN or 0
};

template <class I>
void run_take(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const TakeState& s = *static_cast<const TakeState*>(state);
  const char* table = static_cast<const char*>(args.in[0]);
  const int64_t last = smaller(end * s.chunk_ids, s.ids), bytes = s.row_bytes;
  for (int64_t i = begin * s.chunk_ids; i < last; ++i) {
    const int64_t id = id_at<I>(args.in[1], i);
    char* out = static_cast<char*>(args.out[0]) + i * bytes;
    if (!in_range(id, s.rows)) {
      fill_pattern(out, s.missing, bytes);
      continue;
    }
    if (i + kAhead < last) {
      const int64_t next = id_at<I>(args.in[1], i + kAhead);
      if (in_range(next, s.rows)) prefetch(table + next * bytes);
    }
    if (bytes <= 64) {
      copy_short(out, table + id * bytes, bytes);
    } else {
      memcpy(out, table + id * bytes, static_cast<size_t>(bytes));
    }
  }
}

// Rows of one element.
template <class I, class T>
void run_take_one(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const TakeState& s = *static_cast<const TakeState*>(state);
  const T* table = static_cast<const T*>(args.in[0]);
  T* out = static_cast<T*>(args.out[0]);
  const int64_t last = smaller(end * s.chunk_ids, s.ids);
  const T missing = static_cast<T>(s.missing);
  for (int64_t i = begin * s.chunk_ids; i < last; ++i) {
    const int64_t id = id_at<I>(args.in[1], i);
    out[i] = in_range(id, s.rows) ? table[id] : missing;
  }
}

template <class I>
RunFunction take_function(int64_t row_bytes) {
  return row_bytes == 4 ? run_take_one<I, uint32_t> : row_bytes == 8 ? run_take_one<I, uint64_t> : run_take<I>;
}

uint64_t missing_pattern(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return 0x7fc000007fc00000;
    case DType::kFloat64: return 0x7ff8000000000000;
    case DType::kBFloat16: return 0x7fc07fc07fc07fc0;
    default: return 0;
  }
}

void prepare_take(Prepare& p) {
  const Spec &table = p.input(0), &ids = p.input(1);
  check_ids(p, ids);
  check_rows(p, table, ids, p.output(0), "the output");
  if (p.output(0).size() == 0) return prepare_nothing(p);
  TakeState* s = static_cast<TakeState*>(p.new_state(sizeof(TakeState)));
  s->rows = table.dims[0];
  s->ids = ids.size();
  s->row_bytes = row_elements(table, 1) * static_cast<int64_t>(dtype_size(table.dtype));
  s->chunk_ids = larger(1, kChunkBytes / s->row_bytes);
  s->missing = missing_pattern(table.dtype);
  p.set_run(ids.dtype == DType::kInt32   ? take_function<int32_t>(s->row_bytes)
            : ids.dtype == DType::kInt64 ? take_function<int64_t>(s->row_bytes)
                                         : take_function<uint8_t>(s->row_bytes));
  p.set_cost(static_cast<double>(2 * s->ids * s->row_bytes));  // the table itself is hardly touched
  p.add_phase(ceil_div(s->ids, s->chunk_ids));
}

// ---- scatter_add_rows ----

enum class ScatterCut : int { kWhole, kColumns, kClasses };

struct ScatterState {
  int64_t rows, ids, width;  // the sums are [rows, width], dy [ids, width]
  int64_t bytes;             // of the sums
  int64_t column_chunk;
  int64_t classes, class_shift;
  ScatterCut cut;
  int sum_phases;  // before sums are rounded
  bool stream;
};

constexpr int64_t kClearChunk = 256 * 1024;
// Beyond the last level cache plain stores would first read what they overwrite.
constexpr int64_t kStreamBytes = 64 << 20;

void clear(const ScatterState& s, int64_t begin, int64_t end, char* out) {
  const int64_t first = begin * kClearChunk, last = smaller(end * kClearChunk, s.bytes);
  if (!s.stream || (reinterpret_cast<uintptr_t>(out) & 63) != 0) {
    memset(out + first, 0, static_cast<size_t>(last - first));
    return;
  }
  int64_t i = first;
  for (; i + 64 <= last; i += 64) stream(reinterpret_cast<float*>(out + i), Vec<float>::zero());
  memset(out + i, 0, static_cast<size_t>(last - i));
  stream_fence();
}

// Sum is Item, or float for bfloat16.
template <class Item, class Sum>
NN_INLINE void add_row(Sum* to, const Item* from, int64_t n) {
  using Number = NumberOf<Item>;
  constexpr int kLanes = Vec<Number>::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) store_lanes<true>(to + j, load_lanes<true>(to + j, kLanes) + load_lanes<true>(from + j, kLanes), kLanes);
  const int tail = static_cast<int>(n - j);
  if (tail > 0) store_lanes<false>(to + j, load_lanes<false>(to + j, tail) + load_lanes<false>(from + j, tail), tail);
}

// Columns [first, first + n) of all rows.
template <class I, class Item, class Sum>
void add_columns(const ScatterState& s, const void* ids, const Item* dy, Sum* out, int64_t first, int64_t n) {
  for (int64_t i = 0; i < s.ids; ++i) {
    const int64_t id = id_at<I>(ids, i);
    if (i + kAhead < s.ids) {
      const int64_t next = id_at<I>(ids, i + kAhead);
      if (in_range(next, s.rows)) prefetch_write(out + next * s.width + first);
    }
    if (in_range(id, s.rows)) add_row(out + id * s.width + first, dy + i * s.width + first, n);
  }
}

// The rows whose id falls into class `c`: blocks of 2^class_shift ids are dealt to the classes in turn.
template <class I, class Item, class Sum>
void add_class(const ScatterState& s, const void* ids, const Item* dy, Sum* out, int64_t c) {
  constexpr int64_t kBatch = 512;
  int32_t found[kBatch];
  for (int64_t start = 0; start < s.ids; start += kBatch) {
    const int64_t batch = smaller(kBatch, s.ids - start);
    int n = 0;
    // No branch on the class: it would be mispredicted about half the time.
    for (int32_t k = 0; k < batch; ++k) {
      const int64_t id = id_at<I>(ids, start + k);
      found[n] = k;
      n += in_range(id, s.rows) && ((id >> s.class_shift) & (s.classes - 1)) == c;
    }
    for (int k = 0; k < n; ++k) {
      if (k + kAhead < n) prefetch_write(out + id_at<I>(ids, start + found[k + kAhead]) * s.width);
      add_row(out + id_at<I>(ids, start + found[k]) * s.width, dy + (start + found[k]) * s.width, s.width);
    }
  }
}

// Clears and adds.
template <class I, class Item, class Sum>
void scatter(const ScatterState& s, int phase, int64_t begin, int64_t end, const void* ids, const Item* dy, Sum* out) {
  if (s.cut == ScatterCut::kWhole) {
    if (begin == end) return;
    memset(out, 0, static_cast<size_t>(s.bytes));
    return add_columns<I>(s, ids, dy, out, 0, s.width);
  }
  if (phase == 0) return clear(s, begin, end, reinterpret_cast<char*>(out));
  if (s.cut == ScatterCut::kColumns) {
    const int64_t first = begin * s.column_chunk;
    return add_columns<I>(s, ids, dy, out, first, smaller(end * s.column_chunk, s.width) - first);
  }
  if (end - begin == s.classes) return add_columns<I>(s, ids, dy, out, 0, s.width);
  for (int64_t c = begin; c < end; ++c) add_class<I>(s, ids, dy, out, c);
}

// Rounds float sums to bfloat16.
void round_sums(const ScatterState& s, int64_t begin, int64_t end, const float* sums, uint16_t* out) {
  const int64_t chunk = kClearChunk / static_cast<int64_t>(sizeof(float)), last = smaller(end * chunk, s.rows * s.width);
  int64_t i = begin * chunk;
  for (; i + 16 <= last; i += 16) store_lanes<true>(out + i, load(sums + i), 16);
  if (i < last) store_lanes<false>(out + i, load_part(sums + i, static_cast<int>(last - i)), static_cast<int>(last - i));
}

template <class I, class Item>
void run_scatter(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const ScatterState& s = *static_cast<const ScatterState*>(state);
  const Item* dy = static_cast<const Item*>(args.in[1]);
  Item* out = static_cast<Item*>(args.out[0]);
  if constexpr (sizeof(Item) == 2) {
    float* sums = static_cast<float*>(args.scratch);
    if (phase == s.sum_phases) return round_sums(s, begin, end, sums, out);
    scatter<I>(s, phase, begin, end, args.in[0], dy, sums);
  } else {
    scatter<I>(s, phase, begin, end, args.in[0], dy, out);
  }
}

template <class I>
RunFunction scatter_function(DType dtype) {
  return dtype == DType::kFloat32    ? run_scatter<I, float>
         : dtype == DType::kFloat64  ? run_scatter<I, double>
         : dtype == DType::kBFloat16 ? run_scatter<I, uint16_t>
         : dtype == DType::kInt32    ? run_scatter<I, int32_t>
         : dtype == DType::kInt64    ? run_scatter<I, int64_t>
                                     : run_scatter<I, uint8_t>;
}

void prepare_scatter(Prepare& p) {
  const Spec &ids = p.input(0), &dy = p.input(1), &y = p.output(0);
  check_ids(p, ids);
  check_rows(p, y, ids, dy, "dy");
  const DType dtype = y.dtype;
  if (dtype == DType::kBool) p.fail("the values must be numbers, got bool");
  if (y.size() == 0) return prepare_nothing(p);
  ScatterState* s = static_cast<ScatterState*>(p.new_state(sizeof(ScatterState)));
  const int64_t item = dtype == DType::kBFloat16 ? sizeof(float) : static_cast<int64_t>(dtype_size(dtype));  // of a sum
  s->rows = y.dims[0];
  s->ids = ids.size();
  s->width = row_elements(y, 1);
  s->bytes = s->rows * s->width * item;
  s->stream = s->bytes >= kStreamBytes && dtype != DType::kBFloat16;
  const int64_t row_bytes = s->width * item, traffic = s->ids * row_bytes;
  s->column_chunk = 256 / item;
  s->classes = traffic < kChunkBytes ? 1 : 8;
  while (((s->width * item) << s->class_shift) < 128) ++s->class_shift;  // classes share no cache line
  s->cut = s->bytes + traffic <= kChunkBytes            ? ScatterCut::kWhole
           : row_bytes >= 512 && traffic >= kChunkBytes ? ScatterCut::kColumns
                                                        : ScatterCut::kClasses;
  p.set_run(ids.dtype == DType::kInt32   ? scatter_function<int32_t>(dtype)
            : ids.dtype == DType::kInt64 ? scatter_function<int64_t>(dtype)
                                         : scatter_function<uint8_t>(dtype));
  s->sum_phases = s->cut == ScatterCut::kWhole ? 1 : 2;
  p.add_phase(s->cut == ScatterCut::kWhole ? 1 : ceil_div(s->bytes, kClearChunk));
  if (s->cut != ScatterCut::kWhole) p.add_phase(s->cut == ScatterCut::kColumns ? ceil_div(s->width, s->column_chunk) : s->classes);
  if (dtype == DType::kBFloat16) {
    p.need_scratch(static_cast<size_t>(s->bytes));
    p.add_phase(ceil_div(s->bytes, kClearChunk));
  }
}

NN_KERNEL("take_rows", prepare_take);
NN_KERNEL("scatter_add_rows", prepare_scatter);

}  // namespace
}  // namespace nnlite::NN_ISA
