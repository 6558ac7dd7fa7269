// Program: steps in order, bound to addresses, and how a team shares them. A plan has two: its steps and its prologue.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/control.h"
#include "runtime/poll.h"
#include "runtime/step.h"

namespace nnlite {

// A step and the slots that it works on.
struct PlanStep {
  Step step;
  std::vector<int> inputs;
  std::vector<int> outputs;
  std::string label;
};

class Program {
 public:
  explicit Program(std::vector<PlanStep> steps);

  const std::vector<PlanStep>& steps() const { return steps_; }
  // Each section of a group has scratch of its own.
  size_t scratch_bytes() const { return scratch_bytes_ * most_sections_; }
  size_t thread_scratch_bytes() const { return thread_scratch_bytes_; }
  // One thread's time: an estimate, until measured.
  double nanoseconds() const { return nanoseconds_; }

  // The slot of each operand, all steps one after the other, and where its address goes.
  const std::vector<int>& operand_slots() const { return operand_slots_; }
  void bind(size_t operand, void* address) { operands_[operand] = address; }
  // Operand `operand` follows a register, which the loops of the program set.
  void bind_to_register(size_t operand, int64_t reg);
  // Loops ask it between rounds; null: nobody.
  void set_poll(PollTimer* poll) { poll_ = poll; }
  bool has_loops() const { return !loops_.empty(); }
  void bind_scratch(void* scratch, char* thread_scratch, size_t thread_stride);

  // Decides which calls a team of `threads` shares; whoever finishes the part before does the others. Returns the estimated time of a run.
  double schedule(int threads);

  // All of it on the calling thread: run(). By a team: next(), then run_chunks() as often as needed, and again, as Parts are.
  void run() const {
    size_t position = 0;
    while (position < calls_.size()) {
      const Call& call = calls_[position++];
      if (call.control != ControlKind::kNone) {
        position = follow(call, position, 0);
      } else {
        run_call(call, 0, 0, call.chunks);
      }
    }
  }
  // Runs unshared calls from *position on, up to a shared one; returns its chunks, 0 at the end.
  int64_t next(size_t* position, int worker) const {
    if (watch_) return next_timed(position, worker);
    leave_sections(position);
    while (*position < calls_.size()) {
      const Call& call = calls_[(*position)++];
      if (call.team) return call.chunks;
      if (call.control != ControlKind::kNone) {
        *position = follow(call, *position, worker);
        if (must_poll(call, *position, worker)) return kIdleChunks;
      } else {
        run_call(call, worker, 0, call.chunks);
      }
    }
    return 0;
  }
  // Chunks of the call that next() stopped at.
  void run_chunks(size_t position, int worker, int64_t begin, int64_t end) const {
    if (poll_ != nullptr) poll_->poll_if_due(worker);
    const Call& call = calls_[position - 1];
    if (!call.team) return;  // idle chunks
    if (call.control != ControlKind::kSectionsBegin) return run_call(call, worker, begin, end);
    for (int64_t section = begin; section < end; ++section) run_section(sections_[call.place], section, worker);
  }

  // Between the two, next() times every call. The result is the seconds of each call, all runs together.
  void start_watch();
  std::vector<double> stop_watch();
  std::vector<double> sum_by_step(const std::vector<double>& call_seconds) const;
  // Takes the times of one watched run by `threads` as what calls cost, unless earlier ones were shorter. Call schedule() after it: only who
  // computes what depends on it, never a result.
  void learn(const std::vector<double>& call_seconds, int threads);

  // One line per step.
  std::string dump(const std::vector<std::string>& slot_texts) const;

 private:
  // A part of so many chunks without work brings the calling thread here, to poll.
  static constexpr int64_t kIdleChunks = 64;

  struct Call {
    RunFunction run;
    const void* state;
    void* const* in;
    void* const* out;
    int64_t chunks;
    int phase;
    bool team;
    ControlKind control;
    int step;
    int place;       // of the loop, branch or group of sections that a control call belongs to
    int section;     // that it is in, or -1
    int group;       // of sections, that it is in
    double repeats;  // how often a run comes here, as far as that is known
    double nanoseconds;
  };

  struct Loop {
    const LoopSpec* spec;
    void* const* operands;
    size_t first;  // call after loop_begin
    size_t after;  // call after loop_end
    int64_t round;
    int64_t rounds;
  };

  struct Branch {
    const BranchSpec* spec;
    std::vector<size_t> starts;
    size_t after;
  };

  struct Sections {
    size_t begin;
    std::vector<size_t> starts;
    size_t after;
  };

  // Whether the calling thread has to come here after `call`: it alone may poll, and this is another worker.
  bool must_poll(const Call& call, size_t position, int worker) const {
    return call.control != ControlKind::kNone && poll_ != nullptr && position < calls_.size() && poll_->needs_caller(worker);
  }
  // Finds the ends of loops and branches.
  void link_control();
  void add_registers(const LoopSpec& spec);
  void link_sections(size_t i);
  // Past the sections that a team has just run.
  void leave_sections(size_t* position) const {
    if (*position == 0 || calls_[*position - 1].control != ControlKind::kSectionsBegin || !calls_[*position - 1].team) return;
    *position = poll_ != nullptr && poll_->stopped() ? calls_.size() : sections_[calls_[*position - 1].place].after;
  }
  void run_section(const Sections& group, int64_t section, int worker) const;
  // Whether a team runs the sections that `call` is in.
  bool is_shared(const Call& call) const { return call.section >= 0 && calls_[sections_[call.group].begin].team; }
  // Sections are measured and scheduled as a whole.
  void add_up_sections();
  // Does what a control call says; returns the next call. `position` is that of the call after it.
  size_t follow(const Call& call, size_t position, int worker) const;
  size_t begin_loop(Loop* loop) const;
  void start_round(Loop* loop) const;
  size_t leave_loop(const Loop& loop, bool by_test) const;
  void set_register(int64_t reg, char* address) const;

  // Times of calls while next() runs them one after the other.
  struct Watch {
    std::chrono::steady_clock::time_point last;
    std::vector<double> call_seconds;
    void lap(size_t call);
  };
  int64_t next_timed(size_t* position, int worker) const;
  void run_call(const Call& call, int worker, int64_t begin, int64_t end) const {
    call.run(call.state, call.phase, begin, end, {call.in, call.out, scratch_of(call), thread_scratch_ + worker * thread_stride_});
  }

  void* scratch_of(const Call& call) const { return call.section <= 0 ? scratch_ : static_cast<char*>(scratch_) + scratch_bytes_ * call.section; }

  std::vector<PlanStep> steps_;
  std::vector<int> operand_slots_;
  mutable std::vector<void*> operands_;  // registers move while the program runs
  std::vector<Call> calls_;
  mutable std::vector<Loop> loops_;
  std::vector<Branch> branches_;
  std::vector<Sections> sections_;
  bool in_sections_ = false;  // while calls are linked
  size_t most_sections_ = 1;
  std::vector<std::vector<size_t>> register_operands_;
  mutable std::vector<char*> register_addresses_;
  PollTimer* poll_ = nullptr;
  void* scratch_ = nullptr;
  char* thread_scratch_ = nullptr;
  size_t thread_stride_ = 0;
  size_t scratch_bytes_ = 0;
  size_t thread_scratch_bytes_ = 0;
  double nanoseconds_ = 0;
  bool learned_ = false;
  std::unique_ptr<Watch> watch_;
};

}  // namespace nnlite
