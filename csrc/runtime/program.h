// Program: steps in order, bound to addresses, and how a team shares them. A plan has two: its steps and its prologue.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "runtime/step.h"

namespace nnlite {

// A step and the slots that it works on.
struct PlanStep {
  Step step;
  std::vector<int> inputs;
  std::vector<int> outputs;
  std::string label;
};

// Walks one worker through parts of work. A part is either the whole team's, or small and worker 0's alone; consecutive parts of worker 0 need no
// barrier between them.
class Walk {
 public:
  // `first` says that nothing precedes the first part that other workers could still be busy with.
  Walk(Worker* worker, bool first) : worker_(worker), first_(first) {}
  template <class Body>
  void part(bool team, int64_t chunks, const Body& body) {
    if (!first_ && (team || last_team_)) worker_->barrier();
    first_ = false;
    last_team_ = team;
    if (team) {
      worker_->share(chunks, body);
    } else if (worker_->index() == 0) {
      body(int64_t{0}, chunks);
    }
  }
  Worker& worker() { return *worker_; }

 private:
  Worker* worker_;
  bool first_;
  bool last_team_ = false;
};

class Program {
 public:
  explicit Program(std::vector<PlanStep> steps);

  const std::vector<PlanStep>& steps() const { return steps_; }
  size_t scratch_bytes() const { return scratch_bytes_; }
  size_t thread_scratch_bytes() const { return thread_scratch_bytes_; }
  // One thread's estimated time.
  double nanoseconds() const { return nanoseconds_; }

  // The slot of each operand, all steps one after the other, and where its address goes.
  const std::vector<int>& operand_slots() const { return operand_slots_; }
  void bind(size_t operand, void* address) { operands_[operand] = address; }
  void bind_scratch(void* scratch, char* thread_scratch, size_t thread_stride);

  // Decides which calls a team of `threads` shares. Returns the estimated time of a run with it.
  double schedule(int threads);

  // Everything on the calling thread.
  void run() const {
    for (const Call& call : calls_) call.run(call.state, call.phase, 0, call.chunks, {call.in, call.out, scratch_, thread_scratch_});
  }
  // A worker's part of a run.
  void run(Walk& walk) const {
    char* const own = thread_scratch_ + walk.worker().index() * thread_stride_;
    for (const Call& call : calls_) run_call(call, walk, own);
  }
  // Like run(walk); worker 0 adds each step's time, waiting included, to seconds[step].
  void profile(Walk& walk, double* seconds) const;

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

  void run_call(const Call& call, Walk& walk, char* own) const {
    walk.part(call.team, call.chunks, [&](int64_t begin, int64_t end) {
      call.run(call.state, call.phase, begin, end, {call.in, call.out, scratch_, own});
    });
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
};

}  // namespace nnlite
