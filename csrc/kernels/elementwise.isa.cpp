// Runs elementwise programs block by block; see elementwise.h for the parts and elementwise_plan.cpp for the cutting.
#include "kernels/elementwise.h"

#include <cstring>

#include "kernels/elementwise_maps.h"
#include "kernels/reduce_common.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kColumnUnits = 32;  // rows summed before they join the total of a column

struct Place {
  int64_t start;  // first element of the block in the program's shape
  int64_t row;    // its row
  int64_t first;  // its place in the row, for pieces
  int64_t n;
};

NN_INLINE Place place_block(const ElementwiseState& s, int64_t block) {
  Place at;
  if (s.units_per_block > 0) {
    at.start = block * s.block;
    at.n = smaller(s.block, s.units * s.unit - at.start);
    at.row = at.start == 0 ? 0 : at.start / s.inner;
    at.first = 0;
    return at;
  }
  const int64_t unit = s.units == 1 ? 0 : block / s.blocks_per_unit;
  const int64_t part = block - unit * s.blocks_per_unit;
  if (s.whole_rows) {
    at.start = unit * s.unit + part * s.block;
    at.n = smaller(s.block, (unit + 1) * s.unit - at.start);
    at.row = at.start == 0 ? 0 : at.start / s.inner;
    at.first = 0;
    return at;
  }
  const int64_t row = s.unit_rows == 1 ? 0 : part / s.row_blocks;
  at.first = (part - row * s.row_blocks) * s.block;
  at.n = smaller(s.block, s.inner - at.first);
  at.row = unit * s.unit_rows + row;
  at.start = at.row * s.inner + at.first;
  return at;
}

// Offset, in elements of the input, of a row.
NN_INLINE int64_t row_offset(const ElementwiseState& s, const ProgramInput& in, int64_t row) {
  if (s.outer_rank == 1) return row * in.strides[0];
  int64_t offset = 0;
  for (int d = s.outer_rank - 1; d >= 0 && row > 0; --d) {
    const int64_t above = row / s.outer_dims[d];
    offset += (row - above * s.outer_dims[d]) * in.strides[d];
    row = above;
  }
  return offset;
}

template <class T>
NN_INLINE void fill(char* to, const char* from, int64_t n) {
  T value;
  memcpy(&value, from, sizeof(T));
  T* y = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) y[i] = value;
}
NN_INLINE void fill_items(char* to, const char* from, int item, int64_t n) {
  switch (item) {
    case 1: return fill<uint8_t>(to, from, n);
    case 2: return fill<uint16_t>(to, from, n);
    case 4: return fill<uint32_t>(to, from, n);
    default: return fill<uint64_t>(to, from, n);
  }
}
NN_INLINE void splat_item(char* to, const char* from, int item) {
  if (item == 4) {
    float value;
    memcpy(&value, from, 4);
    store(reinterpret_cast<float*>(to), splat(value));
  } else {
    fill_items(to, from, item, 16);
  }
}

// Copies rows of `inner` elements, or repeats one element a row.
template <class T>
void expand_rows(const ElementwiseState& s, const ProgramInput& in, const T* from, T* to, int64_t row, int64_t rows) {
  int64_t at[kMaxRank], offset = 0;
  for (int d = s.outer_rank - 1; d >= 0; --d) {
    at[d] = row % s.outer_dims[d];
    offset += at[d] * in.strides[d];
    row /= s.outer_dims[d];
  }
  const int64_t inner = s.inner;
  for (int64_t i = 0; i < rows; ++i, to += inner) {
    const T* x = from + offset;
    if (in.inner_stride == 0 && sizeof(T) == 4) {
      const Vec<int32_t> value = splat(static_cast<int32_t>(*x));  // whole vectors: what is written too far is overwritten by the next row
      for (int64_t j = 0; j < inner; j += 16) store(reinterpret_cast<int32_t*>(to) + j, value);
    } else if (in.inner_stride == 0) {
      const T value = *x;
      for (int64_t j = 0; j < inner; ++j) to[j] = value;
    } else {
      for (int64_t j = 0; j < inner; ++j) to[j] = x[j];
    }
    for (int d = s.outer_rank - 1; d >= 0; --d) {
      offset += in.strides[d];
      if (++at[d] < s.outer_dims[d]) break;
      offset -= at[d] * in.strides[d];
      at[d] = 0;
    }
  }
}
void expand_block(const ElementwiseState& s, const ProgramInput& in, const char* from, char* to, int64_t row, int64_t rows) {
  switch (in.item) {
    case 1: return expand_rows(s, in, reinterpret_cast<const uint8_t*>(from), reinterpret_cast<uint8_t*>(to), row, rows);
    case 2: return expand_rows(s, in, reinterpret_cast<const uint16_t*>(from), reinterpret_cast<uint16_t*>(to), row, rows);
    case 4: return expand_rows(s, in, reinterpret_cast<const uint32_t*>(from), reinterpret_cast<uint32_t*>(to), row, rows);
    default: return expand_rows(s, in, reinterpret_cast<const uint64_t*>(from), reinterpret_cast<uint64_t*>(to), row, rows);
  }
}

// The registers of one call. What stays the same for all blocks is set up once.
struct Frame {
  const ElementwiseState& s;
  const StepArgs& args;
  char* scratch;
  Operand registers[kMaxRegisters];

  Frame(const ElementwiseState& state, const StepArgs& step_args) : s(state), args(step_args), scratch(static_cast<char*>(step_args.thread_scratch)) {
    for (int i = 0; i < s.num_inputs; ++i) {
      const ProgramInput& in = s.inputs[i];
      const char* data = static_cast<const char*>(args.in[i]);
      if (in.mode == InputMode::kScalar) {
        splat_item(scratch + in.scratch, data, in.item);
        registers[i] = {scratch + in.scratch, 0};
      } else if (in.mode == InputMode::kTiled) {
        expand_block(s, in, data, scratch + in.scratch, 0, s.block / s.inner);
        registers[i] = {scratch + in.scratch, 1};
      }
    }
    for (int r = s.num_inputs; r < s.num_inputs + s.num_slots; ++r) {
      if (s.register_constant[r] >= 0) registers[r] = {s.constants + s.register_constant[r], 0};
    }
  }

  NN_ALWAYS void bind_inputs(const Place& at) {
    for (int i = 0; i < s.num_inputs; ++i) {
      const ProgramInput& in = s.inputs[i];
      const char* data = static_cast<const char*>(args.in[i]);
      switch (in.mode) {
        case InputMode::kFull: registers[i] = {data + at.start * in.item, 1}; break;
        case InputMode::kScalar:
        case InputMode::kTiled: break;
        case InputMode::kPiece: registers[i] = {data + (row_offset(s, in, at.row) + at.first) * in.item, 1}; break;
        case InputMode::kRowScalar:
          splat_item(scratch + in.scratch, data + row_offset(s, in, at.row) * in.item, in.item);
          registers[i] = {scratch + in.scratch, 0};
          break;
        case InputMode::kExpanded:
          expand_block(s, in, data, scratch + in.scratch, at.row, at.n / s.inner);
          registers[i] = {scratch + in.scratch, 1};
          break;
      }
    }
  }

  // Computes one block; direct results are written to the outputs.
  NN_ALWAYS Place run_block(int64_t block) {
    const Place at = place_block(s, block);
    bind_inputs(at);
    for (int i = 0; i < s.num_instructions; ++i) {
      const Instruction& instruction = s.instructions[i];
      const int r = instruction.result;
      const int output = s.register_result[r];
      char* to = output >= 0 ? static_cast<char*>(args.out[output]) + at.start * s.register_item[r] : scratch + s.register_scratch[r];
      instruction.run(registers, instruction.args, to, at.n);
      registers[r] = {to, 1};
    }
    return at;
  }

  // Results that no instruction writes to their output: inputs, constants, a register asked for twice.
  void copy_results(const Place& at) {
    for (int k = 0; k < s.num_results; ++k) {
      const int r = s.results[k];
      if (s.register_result[r] == k) continue;
      const int item = s.register_item[r];
      char* to = static_cast<char*>(args.out[k]) + at.start * item;
      if (registers[r].step == 0) {
        fill_items(to, registers[r].data, item, at.n);
      } else {
        memmove(to, registers[r].data, static_cast<size_t>(at.n * item));
      }
    }
  }

  template <class T>
  double sum_block(const Place& at) const {
    const Operand& x = registers[s.results[0]];
    const T* data = reinterpret_cast<const T*>(x.data);
    return x.step == 0 ? static_cast<double>(*data) * static_cast<double>(at.n) : sum_run(data, at.n);
  }
};

void run_program(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const ElementwiseState*>(state);
  Frame frame(s, args);
  const int64_t last = smaller(end * s.chunk_blocks, s.blocks);
  for (int64_t block = begin * s.chunk_blocks; block < last; ++block) {
    const Place at = frame.run_block(block);
    if (s.copies) frame.copy_results(at);
  }
}

// Sums over all elements and over trailing axes when a unit is larger than a block: (unit, split) pairs.
template <class T>
void run_sum_splits(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const ElementwiseState*>(state);
  T* out = static_cast<T*>(args.out[0]);
  double* partial = static_cast<double*>(args.scratch);
  if (phase == 1) {
    for (int64_t unit = 0; unit < s.units; ++unit) {
      double sum = 0;
      for (int64_t k = 0; k < s.splits; ++k) sum += partial[unit * s.splits + k];
      out[unit] = static_cast<T>(sum);
    }
    return;
  }
  Frame frame(s, args);
  const int64_t unit_blocks = s.units_per_block > 0 ? s.blocks : s.blocks_per_unit;
  const int64_t last = smaller(end * s.split_chunk, s.units * s.splits);
  for (int64_t item = begin * s.split_chunk; item < last; ++item) {
    const int64_t unit = item / s.splits, split = item % s.splits;
    const int64_t to = smaller((split + 1) * s.split_blocks, unit_blocks);
    double sum = 0;
    for (int64_t block = split * s.split_blocks; block < to; ++block) sum += frame.sum_block<T>(frame.run_block(unit * unit_blocks + block));
    if (s.splits == 1) {
      out[unit] = static_cast<T>(sum);
    } else {
      partial[item] = sum;
    }
  }
}

// Sums over trailing axes when blocks hold whole units.
template <class T>
void run_sum_units(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const ElementwiseState*>(state);
  T* out = static_cast<T*>(args.out[0]);
  if (s.blocks == 0) {
    for (int64_t unit = 0; unit < s.units; ++unit) out[unit] = 0;
    return;
  }
  Frame frame(s, args);
  const int64_t last = smaller(end * s.chunk_blocks, s.blocks);
  for (int64_t block = begin * s.chunk_blocks; block < last; ++block) {
    const Place at = frame.run_block(block);
    const Operand& x = frame.registers[s.results[0]];
    const T* data = reinterpret_cast<const T*>(x.data);
    T* y = out + at.start / s.unit;
    for (int64_t i = 0; i < at.n; i += s.unit) {
      *y++ = static_cast<T>(x.step == 0 ? static_cast<double>(*data) * static_cast<double>(s.unit) : sum_run(data + i, s.unit));
    }
  }
}

// Adds a block's rows (or its part of one row) to sums of columns that start at column 0 of `sums` (or at the part's column).
template <class T>
NN_INLINE void add_block(const ElementwiseState& s, const Operand& x, T* sums, int64_t rows, int64_t width) {
  const T* data = reinterpret_cast<const T*>(x.data);
  if (x.step != 0) return add_rows(sums, data, rows, s.unit, width);
  for (int64_t j = 0; j < width; ++j) sums[j] += *data * static_cast<T>(rows);
}

// Sums over leading axes, cut by columns.
template <class T>
void run_sum_columns(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const ElementwiseState*>(state);
  Frame frame(s, args);
  T* sums = reinterpret_cast<T*>(frame.scratch + s.column_scratch);
  const int64_t last = smaller(end * s.split_chunk, s.blocks_per_unit);
  for (int64_t part = begin * s.split_chunk; part < last; ++part) {
    const Place at = place_block(s, part);  // of unit 0: its column
    T* out = static_cast<T*>(args.out[0]) + at.start;
    memset(out, 0, sizeof(T) * static_cast<size_t>(at.n));
    for (int64_t first = 0; first < s.units; first += kColumnUnits) {
      memset(sums, 0, sizeof(T) * static_cast<size_t>(at.n));
      const int64_t to = smaller(first + kColumnUnits, s.units);
      for (int64_t unit = first; unit < to; ++unit) {
        frame.run_block(unit * s.blocks_per_unit + part);
        add_block(s, frame.registers[s.results[0]], sums, 1, at.n);
      }
      add_rows(out, sums, 1, 0, at.n);
    }
  }
}

// Sums over leading axes, cut by rows: each split has its own sums of all columns; phase 1 adds them in order.
template <class T>
void run_sum_rows(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const ElementwiseState*>(state);
  T* out = static_cast<T*>(args.out[0]);
  T* partial = static_cast<T*>(args.scratch);
  if (phase == 1) {
    memset(out, 0, sizeof(T) * static_cast<size_t>(s.unit));
    add_rows(out, partial, s.splits, s.unit, s.unit);
    return;
  }
  Frame frame(s, args);
  const int64_t parts = s.units_per_block > 0 ? 1 : s.blocks_per_unit;
  const int64_t steps = s.blocks / parts;  // blocks, or units of several blocks
  for (int64_t split = begin; split < end; ++split) {
    T* sums = s.splits == 1 ? out : partial + split * s.unit;
    memset(sums, 0, sizeof(T) * static_cast<size_t>(s.unit));
    const int64_t to = smaller((split + 1) * s.split_blocks, steps);
    for (int64_t step = split * s.split_blocks; step < to; ++step) {
      for (int64_t part = 0; part < parts; ++part) {
        const Place at = frame.run_block(step * parts + part);
        const Operand& x = frame.registers[s.results[0]];
        if (parts == 1) {
          add_block(s, x, sums, at.n / s.unit, s.unit);
        } else {
          add_block(s, x, sums + (at.start - step * s.unit), 1, at.n);
        }
      }
    }
  }
}

template <class T>
RunFunction choose_run(const ElementwiseState& s) {
  if (s.reduce == ReduceForm::kNone) return run_program;
  if (s.reduce == ReduceForm::kLeading) return s.by_columns ? run_sum_columns<T> : run_sum_rows<T>;
  return s.reduce == ReduceForm::kTrailing && s.units_per_block > 0 ? run_sum_units<T> : run_sum_splits<T>;
}

void prepare_elementwise(Prepare& prepare) {
  DType dtypes[kMaxRegisters];
  ElementwiseState* s = plan_elementwise(prepare, dtypes);
  for (int i = 0; i < s->num_instructions; ++i) {
    Instruction& instruction = s->instructions[i];
    const DType in[3] = {dtypes[instruction.args[0]], dtypes[instruction.args[1]], dtypes[instruction.args[2]]};
    const DType out = dtypes[instruction.result];
    constexpr MapFunction (*kFinders[])(Opcode, const DType*, DType) = {find_arithmetic_map, find_compare_map, find_math_map, find_integer_map,
                                                                        find_cast_map};
    for (const auto find : kFinders) {
      if (instruction.run == nullptr) instruction.run = find(instruction.opcode, in, out);
    }
    if (instruction.run == nullptr) {
      prepare.fail("there is no '%s' of (%s, %s, %s) that gives %s", opcode_name(instruction.opcode), dtype_name(in[0]), dtype_name(in[1]),
                   dtype_name(in[2]), dtype_name(out));
    }
  }
  prepare.set_run(dtypes[s->results[0]] == DType::kFloat64 ? choose_run<double>(*s) : choose_run<float>(*s));
}

NN_KERNEL("elementwise", prepare_elementwise);

}  // namespace
}  // namespace nnlite::NN_ISA
