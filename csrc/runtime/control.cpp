#include "runtime/control.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/kernel.h"

namespace nnlite {
namespace {

void run_nothing(const void*, int, int64_t, int64_t, const StepArgs&) {}

void prepare_marker(Prepare& prepare) {
  prepare.set_run(run_nothing);
  prepare.add_phase(1);
}

std::vector<int64_t> get_list(const Prepare& prepare, const char* name, int multiple) {
  std::vector<int64_t> values(prepare.get_ints(name, nullptr, 0));
  prepare.get_ints(name, values.data(), static_cast<int>(values.size()));
  if (values.size() % multiple != 0) prepare.fail("attribute '%s' must have a multiple of %d numbers, got %zu", name, multiple, values.size());
  return values;
}

int64_t operand_bytes(const Prepare& prepare, int64_t operand) {
  const int inputs = prepare.num_inputs();
  if (operand < 0 || operand >= inputs + prepare.num_outputs()) prepare.fail("there is no operand %lld", static_cast<long long>(operand));
  const Spec& spec = operand < inputs ? prepare.input(static_cast<int>(operand)) : prepare.output(static_cast<int>(operand) - inputs);
  return static_cast<int64_t>(spec.bytes());
}

void check_scalar(const Prepare& prepare, DType dtype) {
  if (prepare.num_inputs() < 1 || prepare.input(0).dtype != dtype || prepare.input(0).size() != 1) {
    prepare.fail("the first input must be one value of type %s", dtype_name(dtype));
  }
}

void check_move(const Prepare& prepare, const Move& move, int64_t length) {
  const auto kind = static_cast<int64_t>(move.kind);
  if (move.reg < 0 || kind < 0 || kind > static_cast<int64_t>(MoveKind::kHistoryOut)) {
    prepare.fail("a move needs a register and a kind, got %lld and %lld", static_cast<long long>(move.reg), static_cast<long long>(kind));
  }
  const int64_t a = operand_bytes(prepare, move.a);
  if (move.kind == MoveKind::kCarryIn) return;
  const int64_t b = operand_bytes(prepare, move.b);
  const bool stacked = move.kind != MoveKind::kCarryOut;
  const int64_t stack = move.kind == MoveKind::kHistoryOut ? b : a;
  if (move.offset < 0 || move.offset >= std::max<int64_t>(stack, 1)) {
    prepare.fail("offset %lld is outside of %lld bytes", static_cast<long long>(move.offset), static_cast<long long>(stack));
  }
  if (stacked && (length < 0 || move.stride < 0 || stack < length * move.stride)) {
    prepare.fail("a stack of %lld bytes is too small for %lld rows of %lld", static_cast<long long>(stack), static_cast<long long>(length),
                 static_cast<long long>(move.stride));
  }
  if (move.kind == MoveKind::kHistoryIn && b != move.stride) prepare.fail("the first carry must have the size of a row");
}

void prepare_loop(Prepare& prepare) {
  prepare_marker(prepare);
  const std::vector<int64_t> moves = get_list(prepare, "moves", 6), finals = get_list(prepare, "finals", 6), clears = get_list(prepare, "clear", 1);
  LoopSpec spec{prepare.get_int("length"), prepare.get_int("reverse") != 0, prepare.get_int("counted") != 0, 0, 0, 0};
  spec.moves = static_cast<int64_t>(moves.size() / 6);
  spec.finals = static_cast<int64_t>(finals.size() / 6);
  spec.clears = static_cast<int64_t>(clears.size());
  if (spec.length < -1 || (spec.length < 0 && spec.counted)) prepare.fail("a loop with a count needs a length");
  if (spec.counted) check_scalar(prepare, DType::kInt32);
  const size_t bytes = sizeof(LoopSpec) + moves.size() * 8 + static_cast<size_t>(spec.finals) * sizeof(FinalCarry) + clears.size() * 16;
  auto* state = static_cast<LoopSpec*>(prepare.new_state(bytes));
  std::memcpy(state, &spec, sizeof(spec));
  auto* move = const_cast<Move*>(state->move_list());
  for (int64_t i = 0; i < spec.moves; ++i) {
    const int64_t* from = moves.data() + 6 * i;
    move[i] = {from[0], static_cast<MoveKind>(from[1]), from[2], from[3], from[4], from[5]};
    check_move(prepare, move[i], spec.length);
  }
  auto* final_carry = const_cast<FinalCarry*>(state->final_list());
  for (int64_t i = 0; i < spec.finals; ++i) {
    const int64_t* from = finals.data() + 6 * i;
    final_carry[i] = {from[0], from[1], from[2], from[3], from[4], from[5]};
    const int64_t bytes = operand_bytes(prepare, from[0]);
    if (operand_bytes(prepare, from[3]) != bytes) prepare.fail("the first and the last carry must have one size");
    if (from[4] < 0 || from[5] < 0 || from[4] + from[5] > bytes) prepare.fail("a part of a carry must lie in its %lld bytes", static_cast<long long>(bytes));
  }
  auto* clear = const_cast<int64_t*>(state->clear_list());
  for (size_t i = 0; i < clears.size(); ++i) clear[2 * i] = clears[i], clear[2 * i + 1] = operand_bytes(prepare, clears[i]);
}

void prepare_test(Prepare& prepare) {
  prepare_marker(prepare);
  check_scalar(prepare, DType::kBool);
}

void prepare_branch(Prepare& prepare) {
  prepare_marker(prepare);
  check_scalar(prepare, DType::kInt32);
  static_cast<BranchSpec*>(prepare.new_state(sizeof(BranchSpec)))->branches = prepare.get_int("branches");
}

void prepare_sections(Prepare& prepare) {
  const int64_t sections = prepare.get_int("sections");
  if (sections < 1) prepare.fail("there must be at least one section, not %lld", static_cast<long long>(sections));
  static_cast<BranchSpec*>(prepare.new_state(sizeof(BranchSpec)))->branches = sections;
  prepare.set_run(run_nothing);
  prepare.add_phase(sections);
}

constexpr const char* kNames[] = {"",           "loop_begin", "loop_test",      "loop_end",      "branch_begin",
                                  "branch_next", "branch_end", "sections_begin", "sections_next", "sections_end"};
constexpr int kNumNames = 10;

const KernelRegistrar registrars[] = {
    {kNames[1], Isa::kAny, prepare_loop},   {kNames[2], Isa::kAny, prepare_test},   {kNames[3], Isa::kAny, prepare_marker},
    {kNames[4], Isa::kAny, prepare_branch}, {kNames[5], Isa::kAny, prepare_marker}, {kNames[6], Isa::kAny, prepare_marker},
    {kNames[7], Isa::kAny, prepare_sections}, {kNames[8], Isa::kAny, prepare_marker}, {kNames[9], Isa::kAny, prepare_marker},
};

}  // namespace

ControlKind control_kind(const char* kernel) {
  for (int i = 1; i < kNumNames; ++i) {
    if (std::strcmp(kernel, kNames[i]) == 0) return static_cast<ControlKind>(i);
  }
  return ControlKind::kNone;
}

}  // namespace nnlite
