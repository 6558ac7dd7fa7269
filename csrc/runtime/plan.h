// Plan: a model's step, compiled. Everything is resolved when it is built; a run only patches the addresses of inputs and outputs.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "runtime/program.h"
#include "runtime/runs.h"

namespace nnlite {

enum class SlotKind { kArena, kFixed, kInput, kOutput, kMoving };

// Where a value lives. Several slots may share bytes.
struct Slot {
  Spec spec;
  SlotKind kind;
  int64_t where;  // byte offset in the arena, index of the input or output, or number of the register that a loop moves
  void* fixed;    // address of a variable, a constant or a packed weight
};

// The rows that steps draw from: one source per input, [rows, ...].
struct Source {
  const char* data;
  int64_t rows;
};

class Plan {
 public:
  // Throws std::invalid_argument when slots or steps do not fit together.
  Plan(std::vector<Slot> slots, std::vector<PlanStep> steps, std::vector<PlanStep> prologue, std::shared_ptr<Arena> arena, size_t arena_bytes);

  Plan(const Plan&) = delete;  // operands point into it
  Plan& operator=(const Plan&) = delete;

  const std::vector<Spec>& inputs() const { return inputs_; }
  const std::vector<Spec>& outputs() const { return outputs_; }
  const std::vector<PlanStep>& steps() const { return steps_.steps(); }
  Arena& arena() const { return *arena_; }
  // One thread's time of one run: an estimate until the first runs have measured it.
  double nanoseconds() const { return steps_.nanoseconds(); }
  // Whether a run is so short that it keeps Python's lock.
  bool is_short() const { return nanoseconds() < kShort && !has_loops(); }
  bool has_loops() const { return steps_.has_loops(); }

  // All that follow, dump() too, need the arena's lock, held by the caller.
  void run(void* const* inputs, void* const* outputs, Poll poll = {});
  void run_prologue();
  // Step s gathers its rows order[s * batch + ...] of every source; `order` holds count * batch checked row numbers. Outputs are dropped. Returns
  // how many steps ran: fewer than `count` after a poll said stop.
  int64_t run_steps(const std::vector<Source>& sources, const int64_t* order, int64_t count, Poll poll);
  // Batch b works on rows [first_row + b * batch, + batch) of the sources and writes the same rows of the results (null: dropped).
  int64_t run_batches(const std::vector<Source>& sources, const std::vector<char*>& results, int64_t first_row, int64_t count, Poll poll);
  // (label, seconds) per step, the mean of `repeat` runs.
  std::vector<std::pair<std::string, double>> profile(void* const* inputs, void* const* outputs, int repeat);

  // Rows of every input; throws unless all inputs have the same number and at least one.
  int64_t batch() const;
  size_t row_bytes(const Spec& spec) const { return spec.bytes() / static_cast<size_t>(spec.dims[0]); }
  std::string dump();

 private:
  static constexpr double kShort = 10000;
  static constexpr int kMeasuredRuns = 3;

  struct Operand {
    Program* program;
    size_t index;
  };

  void collect(std::vector<Spec>* specs, SlotKind kind, const char* name);
  void find_operands(Program* program);
  // True when the number of threads has changed and the schedule with it.
  bool refresh_schedule();
  // Makes the arena large enough and rebinds what moved.
  void prepare_run();
  void bind_arena();
  void bind_slots(const std::vector<std::vector<Operand>>& operands, int index, void* address);
  void bind_staging();
  // How many threads pay for `count` runs.
  int team_size(const Program& program, double team_nanoseconds, int64_t count) const;
  void run_once(const Program& program, double team_nanoseconds);
  // Runs step by step while there is something to measure, then the rest at once. piece(first, count, threads) runs some steps and returns how many.
  template <class Piece>
  int64_t run_pieces(int64_t count, const Piece& piece);
  bool measuring() const { return runs_ <= kMeasuredRuns; }
  // Watches what `body` runs; times of a plan's first run, which meets cold caches, are not used.
  template <class Body>
  void measure(int threads, const Body& body);
  std::vector<std::string> slot_texts() const;

  std::vector<Slot> slots_;
  Program steps_;
  Program prologue_;
  std::shared_ptr<Arena> arena_;
  size_t arena_bytes_;
  std::vector<Spec> inputs_;
  std::vector<Spec> outputs_;
  std::vector<std::vector<Operand>> input_operands_;
  std::vector<std::vector<Operand>> output_operands_;
  Block staging_;  // gathered inputs and dropped outputs, each 64-byte aligned
  std::vector<void*> staged_inputs_;
  std::vector<void*> staged_outputs_;
  char* bound_base_ = nullptr;
  int threads_ = 0;
  int runs_ = 0;  // so far, but no more than matter for measuring
  double team_nanoseconds_ = 0;
  double team_prologue_nanoseconds_ = 0;
};

}  // namespace nnlite
