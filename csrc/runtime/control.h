// Loops and branches among a program's steps. Their steps compute nothing: they say where the program goes on, and where values lie that are
// somewhere else in every round of a loop. Such a value's address is in a register, which all operands that name it follow.
//
//   loop_begin   inputs: the number of rounds (int32, if `counted`), first carries, stacked xs; outputs: last carries, stacked ys, buffers
//   loop_test    input: a bool; false ends the loop before this round
//   loop_end     goes back to the step after loop_begin, or on
//   branch_begin input: the number of a branch (int32, limited to those there are); branch_next stands between branches; branch_end
//   sections_begin  `sections` parts that do not depend on each other follow, with sections_next between them, up to sections_end: workers of a
//                team may run them at the same time. Parts have steps and registers of their own.
#pragma once
#include <cstddef>
#include <cstdint>

namespace nnlite {

enum class ControlKind : uint8_t {
  kNone, kLoopBegin, kLoopTest, kLoopEnd, kBranchBegin, kBranchNext, kBranchEnd, kSectionsBegin, kSectionsNext, kSectionsEnd
};

// What the step of this name does to the order of steps.
ControlKind control_kind(const char* kernel);

// How a register is set at the start of a round. a and b are operands of loop_begin, its inputs and then its outputs, unless said otherwise; `offset`
// bytes are skipped in them (a loop over some rows of a batch).
enum class MoveKind : int64_t {
  kRow,         // row of a stack: a + row * stride
  kCarryIn,     // round 0: a; then what register b was in the round before
  kCarryOut,    // a and b in turn, a in the last round when the number of rounds is known
  kHistoryIn,   // a carry whose values are kept: row of the stack a, into which b, its first value, is copied
  kHistoryOut,  // the next row of the stack b; a in the last round
};

struct Move {
  int64_t reg;
  MoveKind kind;
  int64_t a;
  int64_t b;
  int64_t stride;
  int64_t offset;
};

// A last carry, `bytes` from `offset` on, is copied to operand `target`, unless it is there: from operand `first` without a round, from register
// `in` where a test ended the loop, else from register `out`.
struct FinalCarry {
  int64_t target;
  int64_t in;
  int64_t out;
  int64_t first;
  int64_t offset;
  int64_t bytes;
};

// State of loop_begin.
struct LoopSpec {
  int64_t length;  // rounds, or the most there may be; -1: no limit
  bool reverse;
  bool counted;
  int64_t moves;
  int64_t finals;
  int64_t clears;  // operands that are zeroed: rows of rounds that do not run
  const Move* move_list() const { return reinterpret_cast<const Move*>(this + 1); }
  const FinalCarry* final_list() const { return reinterpret_cast<const FinalCarry*>(move_list() + moves); }
  // Pairs (operand, bytes).
  const int64_t* clear_list() const { return reinterpret_cast<const int64_t*>(final_list() + finals); }
};

// State of branch_begin and sections_begin.
struct BranchSpec {
  int64_t branches;
};

}  // namespace nnlite
