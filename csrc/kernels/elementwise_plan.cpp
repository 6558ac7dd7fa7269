// Shapes, cutting and scratch of the `elementwise` kernel; nothing here depends on the instruction set.
#include <cstring>

#include "kernels/elementwise.h"
#include "kernels/elementwise_program.h"

namespace nnlite {
namespace {

constexpr int64_t kBlockBytes = 24 * 1024;  // what a block's registers may take of the L1 cache
constexpr int64_t kMinBlock = 256, kMaxBlock = 2048;
constexpr int64_t kDirectBlock = 8192;  // programs without intermediate results need no small blocks
constexpr int64_t kChunkElements = 16 * 1024;
constexpr int64_t kMaxChunks = 256;
constexpr int64_t kColumnParts = 8;  // from so many blocks a row on, leading sums are cut by columns
constexpr int64_t kMaxPartialElements = 128 * 1024;

const char* const kOpcodeNames[] = {
#define NN_OPCODE(name) #name,
    NN_ELEMENTWISE_OPCODES(NN_OPCODE)
#undef NN_OPCODE
};

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

bool parse_opcode(const char* name, Opcode* opcode) {
  for (size_t i = 0; i < sizeof(kOpcodeNames) / sizeof(kOpcodeNames[0]); ++i) {
    if (strcmp(name, kOpcodeNames[i]) == 0) {
      *opcode = static_cast<Opcode>(i);
      return true;
    }
  }
  return false;
}

void write_constant(char* splat, DType dtype, double value) {
  for (int i = 0; i < 16; ++i) {
    char* p = splat + i * dtype_size(dtype);
    const int64_t whole = static_cast<int64_t>(value);
    const float single = static_cast<float>(value);
    uint32_t bits;
    switch (dtype) {
      case DType::kFloat32: memcpy(p, &single, 4); break;
      case DType::kFloat64: memcpy(p, &value, 8); break;
      case DType::kBFloat16:
        memcpy(&bits, &single, 4);
        bits = value != value ? 0x7fc0 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        memcpy(p, &bits, 2);
        break;
      case DType::kBool: *p = value != 0; break;
      default: memcpy(p, &whole, dtype_size(dtype));  // little endian: the low bytes
    }
  }
}

// Reads the attributes into a Program and checks every number in it.
class ProgramReader : public ElementwiseProgram {
 public:
  explicit ProgramReader(Prepare& prepare) {
    inputs = prepare.num_inputs();
    results = prepare.num_outputs();
    if (inputs > kMaxProgramInputs || results > kMaxResults || results < 1) {
      prepare.fail("a program takes at most %d inputs and 1 to %d outputs, got %d and %d", kMaxProgramInputs, kMaxResults, inputs, results);
    }
    for (int i = 0; i < inputs; ++i) dtypes[i] = prepare.input(i).dtype;
    read_instructions(prepare);
    int64_t named[kMaxResults];
    if (prepare.get_ints("results", named, kMaxResults) != results) {
      prepare.fail("'results' must name one register for each of the %d outputs", results);
    }
    for (int i = 0; i < results; ++i) {
      registers[i] = named[i];
      if (named[i] < 0 || named[i] >= inputs + instructions) {
        prepare.fail("result register %lld does not exist: there are %d", static_cast<long long>(named[i]), inputs + instructions);
      }
      if (dtypes[named[i]] != prepare.output(i).dtype) {
        prepare.fail("output %d is %s but its register holds %s", i, dtype_name(prepare.output(i).dtype), dtype_name(dtypes[named[i]]));
      }
    }
    combine_instructions(this);
  }

 private:
  void read_instructions(Prepare& prepare) {
    const char* names[kMaxInstructions];
    const char* types[kMaxInstructions];
    instructions = prepare.get_strings("codes", names, kMaxInstructions);
    if (instructions > kMaxInstructions) prepare.fail("a program has at most %d instructions, got %d", kMaxInstructions, instructions);
    const int n = instructions;
    if (prepare.get_ints("args", args, 3 * kMaxInstructions) != 3 * n || prepare.get_strings("dtypes", types, kMaxInstructions) != n) {
      prepare.fail("%d instructions need %d 'args' and %d 'dtypes'", n, 3 * n, n);
    }
    if (prepare.has("params") ? prepare.get_floats("params", params, kMaxInstructions) != n : n > 0) {
      prepare.fail("%d instructions need %d 'params'", n, n);
    }
    for (int i = 0; i < n; ++i) {
      if (!parse_opcode(names[i], &opcodes[i])) prepare.fail("there is no opcode '%s'", names[i]);
      if (!parse_dtype(types[i], &dtypes[inputs + i])) prepare.fail("there is no dtype '%s'", types[i]);
      for (int k = 0; k < 3; ++k) {
        if (args[3 * i + k] >= inputs + i || args[3 * i + k] < -1) {
          prepare.fail("instruction %d ('%s') reads register %lld before it is written", i, names[i], static_cast<long long>(args[3 * i + k]));
        }
      }
      if (opcodes[i] != Opcode::k_constant && args[3 * i] < 0) prepare.fail("instruction %d ('%s') reads no register", i, names[i]);
    }
  }
};

// An instruction's work on an element, in the flops of Prepare::set_cost, as measured.
double instruction_cost(Opcode opcode) {
  switch (opcode) {
    case Opcode::k_constant: return 0;
    case Opcode::k_sqrt:
    case Opcode::k_divide:
    case Opcode::k_reciprocal:
    case Opcode::k_exp: return 7;
    case Opcode::k_rsqrt:
    case Opcode::k_expm1:
    case Opcode::k_tanh:
    case Opcode::k_sigmoid:
    case Opcode::k_erf:
    case Opcode::k_gelu:
    case Opcode::k_gelu_grad: return 12;
    case Opcode::k_log:
    case Opcode::k_log1p:
    case Opcode::k_sin:
    case Opcode::k_cos:
    case Opcode::k_tan: return 20;
    case Opcode::k_power: return 100;
    case Opcode::k_asin:
    case Opcode::k_acos:
    case Opcode::k_atan:
    case Opcode::k_sinh:
    case Opcode::k_cosh:
    case Opcode::k_atan2:
    case Opcode::k_mod:
    case Opcode::k_floor_divide: return 200;
    default: return 2;
  }
}

// The program's shape with every axis, and the strides of each input along it (0: broadcast).
struct Iteration {
  int rank = 0;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxProgramInputs][kMaxRank];
  int inner_axes = 0;  // counted from the last: axes that may not merge with those before
};

void broadcast_shape(Prepare& prepare, bool reduced, Iteration* it) {
  const int first_output = reduced ? prepare.num_outputs() : 0;
  for (int i = 0; i < prepare.num_inputs(); ++i) it->rank = prepare.input(i).rank > it->rank ? prepare.input(i).rank : it->rank;
  for (int i = first_output; i < prepare.num_outputs(); ++i) it->rank = prepare.output(i).rank > it->rank ? prepare.output(i).rank : it->rank;
  for (int d = 0; d < it->rank; ++d) it->dims[d] = 1;
  const auto merge = [&](const Spec& spec) {
    for (int d = 0; d < spec.rank; ++d) {
      int64_t& dim = it->dims[it->rank - spec.rank + d];
      if (spec.dims[d] != 1 && dim != 1 && dim != spec.dims[d]) {
        prepare.fail("shapes do not broadcast: sizes %lld and %lld on one axis", static_cast<long long>(dim), static_cast<long long>(spec.dims[d]));
      }
      if (spec.dims[d] != 1) dim = spec.dims[d];
    }
  };
  for (int i = 0; i < prepare.num_inputs(); ++i) merge(prepare.input(i));
  for (int i = first_output; i < prepare.num_outputs(); ++i) merge(prepare.output(i));
  int64_t size = 1;
  for (int d = 0; d < it->rank; ++d) size *= it->dims[d];
  for (int i = first_output; i < prepare.num_outputs(); ++i) {
    if (prepare.output(i).size() != size) {
      prepare.fail("output %d has %lld elements but the inputs broadcast to %lld", i, static_cast<long long>(prepare.output(i).size()),
                   static_cast<long long>(size));
    }
  }
  for (int i = 0; i < prepare.num_inputs(); ++i) {
    const Spec& spec = prepare.input(i);
    int64_t stride = 1;
    for (int d = it->rank - 1; d >= 0; --d) {
      const int own = d - (it->rank - spec.rank);
      it->strides[i][d] = own < 0 || spec.dims[own] == 1 ? 0 : stride;
      if (own >= 0) stride *= spec.dims[own];
    }
  }
}

// Which axes a fused sum removes: 'reduce_axes' when given, else those that the output's shape leaves as the only reading.
ReduceForm reduce_form(Prepare& prepare, Iteration* it) {
  if (prepare.num_outputs() != 1) prepare.fail("'reduce' takes one result, got %d", prepare.num_outputs());
  const Spec& output = prepare.output(0);
  if (output.dtype != DType::kFloat32 && output.dtype != DType::kFloat64) {
    prepare.fail("'reduce' sums float32 or float64, got %s", dtype_name(output.dtype));
  }
  int count = it->rank - output.rank;
  bool leading = count > 0, trailing = count > 0;
  if (prepare.has("reduce_axes")) {
    int64_t axes[kMaxRank];
    count = prepare.get_ints("reduce_axes", axes, kMaxRank);
    leading = trailing = count > 0;
    for (int k = 0; k < count; ++k) {
      leading = leading && axes[k] == k;
      trailing = trailing && axes[k] == it->rank - count + k;
    }
  } else {
    for (int d = 0; d < output.rank && count > 0; ++d) {
      trailing = trailing && output.dims[d] == it->dims[d];
      leading = leading && output.dims[d] == it->dims[count + d];
    }
    if (leading && trailing && output.rank > 0) {
      prepare.fail("'reduce' may sum the leading or the trailing axes into the output's shape: give 'reduce_axes'");
    }
  }
  if (!leading && !trailing) prepare.fail("'reduce' sums leading or trailing axes; the output's shape leaves neither");
  int64_t kept = 1;
  for (int d = 0; d < it->rank - count; ++d) kept *= it->dims[leading ? count + d : d];
  if (output.size() != kept) {
    prepare.fail("the sum has %lld elements, its output %lld", static_cast<long long>(kept), static_cast<long long>(output.size()));
  }
  if (count == it->rank) return ReduceForm::kAll;
  it->inner_axes = leading ? it->rank - count : count;
  return leading ? ReduceForm::kLeading : ReduceForm::kTrailing;
}

// Drops axes of size 1 and merges neighbours that every input walks as one.
void collapse(Iteration* it, int inputs) {
  int n = 0;
  bool may_merge = false;
  for (int d = 0; d < it->rank; ++d) {
    if (d == it->rank - it->inner_axes) may_merge = false;
    if (it->dims[d] == 1) continue;
    bool merge = may_merge;
    for (int i = 0; merge && i < inputs; ++i) merge = it->strides[i][n - 1] == it->strides[i][d] * it->dims[d];
    if (merge) --n;
    it->dims[n] = merge ? it->dims[n] * it->dims[d] : it->dims[d];
    for (int i = 0; i < inputs; ++i) it->strides[i][n] = it->strides[i][d];
    ++n;
    may_merge = true;
  }
  const bool lost = n == 0 || (it->inner_axes > 0 && !may_merge);  // the run that a sum takes or keeps has size 1: it stays as an axis
  if (lost) {
    it->dims[n] = 1;
    for (int i = 0; i < inputs; ++i) it->strides[i][n] = 0;
    ++n;
  }
  it->rank = n;
}

class Planner {
 public:
  Planner(Prepare& prepare, const ElementwiseProgram& program, ElementwiseState* state) : prepare_(prepare), p_(program), s_(state) {}

  void run() {
    ReduceForm form = ReduceForm::kNone;
    const char* reduce = prepare_.get_string("reduce", "none");
    const bool reduced = strcmp(reduce, "none") != 0;
    if (reduced && strcmp(reduce, "sum") != 0) prepare_.fail("'reduce' must be 'none' or 'sum', got '%s'", reduce);
    broadcast_shape(prepare_, reduced, &it_);
    total_ = 1;
    for (int d = 0; d < it_.rank; ++d) total_ *= it_.dims[d];
    if (reduced) form = reduce_form(prepare_, &it_);
    s_->reduce = form;
    s_->units = 1;
    for (int d = 0; d < it_.rank - it_.inner_axes && it_.inner_axes > 0; ++d) s_->units *= it_.dims[d];
    s_->unit = 1;
    for (int d = it_.inner_axes > 0 ? it_.rank - it_.inner_axes : 0; d < it_.rank; ++d) s_->unit *= it_.dims[d];
    collapse(&it_, p_.inputs);
    shape();
    assign_registers();
    choose_block();
    choose_modes();
    s_->by_columns = form == ReduceForm::kLeading && s_->blocks_per_unit >= kColumnParts;
    if (s_->by_columns) s_->column_scratch = take(s_->block * item(p_.registers[0]));
    prepare_.need_thread_scratch(static_cast<size_t>(scratch_));
    double cost = form == ReduceForm::kNone ? 0 : 1;
    for (int i = 0; i < p_.instructions; ++i) cost += p_.needed[i] ? instruction_cost(p_.opcodes[i]) : 0;
    prepare_.set_cost(cost * static_cast<double>(total_));
    cut();
  }

 private:
  int64_t item(int64_t reg) const { return static_cast<int64_t>(dtype_size(p_.dtypes[reg])); }
  int64_t take(int64_t bytes) {
    const int64_t offset = scratch_;
    scratch_ += aligned(bytes);
    return offset;
  }

  void shape() {
    s_->inner = it_.dims[it_.rank - 1];
    s_->outer_rank = it_.rank - 1;
    for (int d = 0; d < s_->outer_rank; ++d) s_->outer_dims[d] = it_.dims[d];
    s_->unit_rows = s_->inner > 0 ? s_->unit / s_->inner : 0;
  }

  // Intermediate registers share scratch slots by lifetime; results go straight to the outputs.
  void assign_registers() {
    const int registers = p_.inputs + p_.instructions;
    int last_use[kMaxRegisters];
    for (int r = 0; r < registers; ++r) {
      last_use[r] = -1;
      s_->register_scratch[r] = s_->register_constant[r] = -1;
      s_->register_result[r] = -1;
      s_->register_item[r] = static_cast<uint8_t>(item(r));
    }
    for (int i = 0; i < p_.instructions; ++i) {
      for (int k = 0; k < 3 && p_.needed[i]; ++k) {
        if (p_.args[3 * i + k] >= 0) last_use[p_.args[3 * i + k]] = i;
      }
    }
    for (int k = 0; k < p_.results; ++k) {
      s_->results[k] = static_cast<int16_t>(p_.registers[k]);
      last_use[p_.registers[k]] = p_.instructions;
      const bool direct =
          s_->reduce == ReduceForm::kNone && p_.registers[k] >= p_.inputs && p_.opcodes[p_.registers[k] - p_.inputs] != Opcode::k_constant;
      if (direct && s_->register_result[p_.registers[k]] < 0) s_->register_result[p_.registers[k]] = static_cast<int16_t>(k);
    }
    for (int k = 0; k < p_.results; ++k) s_->copies |= s_->register_result[p_.registers[k]] != k;
    int constants = 0;
    for (int i = 0; i < p_.instructions; ++i) {
      const int r = p_.inputs + i;
      if (!p_.needed[i]) continue;
      if (p_.opcodes[i] == Opcode::k_constant) {
        s_->register_constant[r] = kSplatBytes * constants++;
        write_constant(s_->constants + s_->register_constant[r], p_.dtypes[r], p_.params[i]);
        continue;
      }
      Instruction& instruction = s_->instructions[s_->num_instructions++];
      instruction.opcode = p_.opcodes[i];
      instruction.result = static_cast<int16_t>(r);
      for (int k = 0; k < 3; ++k) instruction.args[k] = static_cast<int16_t>(p_.args[3 * i + k] >= 0 ? p_.args[3 * i + k] : p_.args[3 * i]);
      if (s_->register_result[r] < 0) s_->register_scratch[r] = slot_for(r, i, last_use);
    }
  }

  // A slot whose last reader is at or before instruction i and whose element size fits, or a new one; numbered, not yet placed.
  int64_t slot_for(int r, int i, const int* last_use) {
    for (int k = 0; k < slots_; ++k) {
      const int owner = slot_owner_[k];
      if (last_use[owner] <= i && s_->register_item[owner] == s_->register_item[r]) {
        slot_owner_[k] = r;
        return k;
      }
    }
    slot_owner_[slots_] = r;
    slot_item_[slots_] = s_->register_item[r];
    return slots_++;
  }

  void choose_block() {
    int64_t bytes = 0;  // an element's share of all registers
    for (int k = 0; k < slots_; ++k) bytes += slot_item_[k];
    const bool direct = bytes == 0 && s_->reduce == ReduceForm::kNone;
    for (int r = 0; r < p_.inputs; ++r) bytes += item(r);
    for (int k = 0; k < p_.results; ++k) bytes += item(p_.registers[k]);
    int64_t block = direct ? kDirectBlock : larger(kMinBlock, smaller(kMaxBlock, kBlockBytes / larger(bytes, 1) / 64 * 64));
    block = larger(smaller(block, total_), 1);
    s_->whole_rows = s_->inner <= block / 2 || (s_->outer_rank == 0 && s_->units == 1 && s_->inner <= block);
    if (!s_->whole_rows) {
      s_->units_per_block = 0;
      s_->block = smaller(block, s_->inner);
      s_->row_blocks = ceil_div(s_->inner, s_->block);
      s_->blocks_per_unit = s_->unit_rows * s_->row_blocks;
    } else if (s_->unit <= block) {
      s_->units_per_block = s_->unit > 0 ? smaller(block / s_->unit, larger(s_->units, 1)) : 1;
      s_->block = s_->units_per_block * s_->unit;
      s_->blocks_per_unit = 0;
    } else {
      s_->units_per_block = 0;
      s_->block = block / s_->inner * s_->inner;
      s_->blocks_per_unit = ceil_div(s_->unit, s_->block);
    }
    s_->blocks = total_ == 0 ? 0 : s_->units_per_block > 0 ? ceil_div(s_->units, s_->units_per_block) : s_->units * s_->blocks_per_unit;
    int64_t offsets[kMaxInstructions];
    for (int k = 0; k < slots_; ++k) offsets[k] = take(s_->block * slot_item_[k]);
    for (int r = p_.inputs; r < p_.inputs + p_.instructions; ++r) {
      if (s_->register_scratch[r] >= 0) s_->register_scratch[r] = offsets[s_->register_scratch[r]];
    }
  }

  void choose_modes() {
    const int last = it_.rank - 1;
    for (int i = 0; i < p_.inputs; ++i) {
      ProgramInput& in = s_->inputs[i];
      in.item = static_cast<uint8_t>(item(i));
      in.inner_stride = static_cast<uint8_t>(it_.strides[i][last] != 0 || s_->inner == 1);
      bool full = in.inner_stride == 1, constant = true;
      int64_t stride = s_->inner;
      for (int d = last - 1; d >= 0; --d) {
        in.strides[d] = it_.strides[i][d];
        full &= in.strides[d] == stride;
        constant &= in.strides[d] == 0;
        stride *= it_.dims[d];
      }
      const int64_t size = prepare_.input(i).size();
      in.mode = full && size == total_                    ? InputMode::kFull
                : size == 1                               ? InputMode::kScalar
                : !s_->whole_rows && in.inner_stride == 1 ? InputMode::kPiece
                : !s_->whole_rows                         ? InputMode::kRowScalar
                : constant                                ? InputMode::kTiled
                                                          : InputMode::kExpanded;
      const bool splat = in.mode == InputMode::kScalar || in.mode == InputMode::kRowScalar;
      const bool block = in.mode == InputMode::kTiled || in.mode == InputMode::kExpanded;
      in.scratch = splat ? take(kSplatBytes) : block ? take(s_->block * in.item + kExpandSlack) : 0;
    }
  }

  int64_t blocks_or_one() const { return larger(s_->blocks, 1); }

  // Chunks and phases.
  void cut() {
    const int64_t blocks = blocks_or_one();
    const int64_t wanted = larger(ceil_div(kChunkElements, larger(s_->block, 1)), ceil_div(blocks, kMaxChunks));
    s_->chunk_blocks = wanted;
    s_->splits = 1;
    switch (s_->reduce) {
      case ReduceForm::kNone: prepare_.add_phase(s_->blocks == 0 ? 0 : ceil_div(s_->blocks, wanted)); return;
      case ReduceForm::kAll: return cut_trailing(1, blocks, wanted);
      case ReduceForm::kTrailing: return cut_trailing(s_->units, larger(s_->blocks_per_unit, 1), wanted);
      case ReduceForm::kLeading: return cut_leading(wanted);
    }
  }

  // Sums of whole units: chunks of blocks that hold units, or of splits of every unit.
  void cut_trailing(int64_t units, int64_t unit_blocks, int64_t wanted) {
    if (s_->reduce == ReduceForm::kTrailing && s_->units_per_block > 0) {
      prepare_.add_phase(units == 0 ? 0 : ceil_div(blocks_or_one(), wanted));
      return;
    }
    s_->splits = ceil_div(unit_blocks, wanted);
    s_->split_blocks = ceil_div(unit_blocks, s_->splits);
    s_->split_chunk = larger(ceil_div(units * s_->splits, kMaxChunks), s_->splits == 1 ? wanted / larger(unit_blocks, 1) : 1);
    prepare_.add_phase(units == 0 ? 0 : ceil_div(units * s_->splits, s_->split_chunk));
    if (s_->splits > 1) {
      prepare_.need_scratch(static_cast<size_t>(units * s_->splits) * sizeof(double));
      prepare_.add_phase(1);
    }
  }

  void cut_leading(int64_t wanted) {
    if (s_->by_columns) {
      // Every chunk sums some columns over all units.
      s_->split_chunk = larger(ceil_div(wanted, larger(s_->units, 1)), ceil_div(s_->blocks_per_unit, kMaxChunks));
      prepare_.add_phase(ceil_div(s_->blocks_per_unit, s_->split_chunk));
      return;
    }
    // Every chunk sums some units over all columns; the partial rows are added in order afterwards.
    const int64_t unit_blocks = s_->units_per_block > 0 ? ceil_div(larger(s_->units, 1), s_->units_per_block) : larger(s_->units, 1);
    const int64_t per = larger(ceil_div(kChunkElements, larger(s_->units_per_block > 0 ? s_->block : s_->unit, 1)), 1);
    const int64_t most = larger(kMaxPartialElements / larger(s_->unit, 1), 1);
    s_->splits = smaller(smaller(ceil_div(unit_blocks, per), most), kMaxChunks);
    s_->split_blocks = ceil_div(unit_blocks, s_->splits);
    s_->splits = ceil_div(unit_blocks, s_->split_blocks);
    prepare_.add_phase(s_->unit == 0 ? 0 : s_->splits);
    if (s_->splits > 1) {
      prepare_.need_scratch(static_cast<size_t>(s_->splits * s_->unit * item(p_.registers[0])));
      prepare_.add_phase(1);
    }
  }

  Prepare& prepare_;
  const ElementwiseProgram& p_;
  ElementwiseState* s_;
  Iteration it_;
  int64_t total_ = 0, scratch_ = 0;
  int slots_ = 0;
  int slot_owner_[kMaxInstructions];
  int64_t slot_item_[kMaxInstructions];
};

}  // namespace

const char* opcode_name(Opcode opcode) { return kOpcodeNames[static_cast<int>(opcode)]; }

ElementwiseState* plan_elementwise(Prepare& prepare, DType* register_dtypes) {
  const ProgramReader program(prepare);
  auto* state = static_cast<ElementwiseState*>(prepare.new_state(sizeof(ElementwiseState) + kSplatBytes * static_cast<size_t>(program.instructions)));
  state->num_inputs = program.inputs;
  state->num_results = program.results;
  state->num_slots = program.instructions;
  Planner(prepare, program, state).run();
  for (int r = 0; r < program.inputs + program.instructions; ++r) register_dtypes[r] = program.dtypes[r];
  return state;
}

}  // namespace nnlite
