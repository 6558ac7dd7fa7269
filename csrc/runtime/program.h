// Program: steps in order, bound to addresses, and how a team shares them. A plan has two: its steps and its prologue.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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
  size_t scratch_bytes() const { return scratch_bytes_; }
  size_t thread_scratch_bytes() const { return thread_scratch_bytes_; }
  // One thread's time: an estimate, until measured.
  double nanoseconds() const { return nanoseconds_; }

  // The slot of each operand, all steps one after the other, and where its address goes.
  const std::vector<int>& operand_slots() const { return operand_slots_; }
  void bind(size_t operand, void* address) { operands_[operand] = address; }
  void bind_scratch(void* scratch, char* thread_scratch, size_t thread_stride);

  // Decides which calls a team of `threads` shares; whoever finishes the part before does the others. Returns the estimated time of a run.
  double schedule(int threads);

  // All of it on the calling thread: run(). By a team: next(), then run_chunks() as often as needed, and again, as Parts are.
  void run() const {
    for (const Call& call : calls_) run_call(call, 0, 0, call.chunks);
  }
  // Runs unshared calls from *position on, up to a shared one; returns its chunks, 0 at the end.
  int64_t next(size_t* position, int worker) const {
    if (watch_) return next_timed(position, worker);
    while (*position < calls_.size()) {
      const Call& call = calls_[(*position)++];
      if (call.team) return call.chunks;
      run_call(call, worker, 0, call.chunks);
    }
    return 0;
  }
  // Chunks of the call that next() stopped at.
  void run_chunks(size_t position, int worker, int64_t begin, int64_t end) const { run_call(calls_[position - 1], worker, begin, end); }

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
  struct Call {
    RunFunction run;
    const void* state;
    void* const* in;
    void* const* out;
    int64_t chunks;
    int phase;
    bool team;
    int step;
    double nanoseconds;
  };

  // Times of calls while next() runs them one after the other.
  struct Watch {
    std::chrono::steady_clock::time_point last;
    std::vector<double> call_seconds;
    void lap(size_t call);
  };
  int64_t next_timed(size_t* position, int worker) const;
  void run_call(const Call& call, int worker, int64_t begin, int64_t end) const {
    call.run(call.state, call.phase, begin, end, {call.in, call.out, scratch_, thread_scratch_ + worker * thread_stride_});
  }

  std::vector<PlanStep> steps_;
  std::vector<int> operand_slots_;
  std::vector<void*> operands_;
  std::vector<Call> calls_;
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
