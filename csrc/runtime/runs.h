// Ways to run a program, as parts for a team: once, many times, with gathered rows.
#pragma once
#include <functional>
#include <vector>

#include "core/parallel.h"
#include "runtime/gather.h"
#include "runtime/poll.h"
#include "runtime/program.h"

namespace nnlite {

class SingleRun final : public Parts {
 public:
  explicit SingleRun(const Program& program) : program_(program) {}
  int64_t next(int worker) override { return program_.next(&position_, worker); }
  void run(int worker, int64_t begin, int64_t end) override { program_.run_chunks(position_, worker, begin, end); }

 private:
  const Program& program_;
  size_t position_ = 0;
};

// The program `count` times; before(i) precedes run i.
class RepeatedRun final : public Parts {
 public:
  RepeatedRun(const Program& program, int64_t count, PollTimer* timer, std::function<void(int64_t)> before)
      : program_(program), timer_(*timer), count_(count), before_(std::move(before)) {}
  int64_t next(int worker) override;
  void run(int worker, int64_t begin, int64_t end) override {
    timer_.poll_if_due(worker);
    program_.run_chunks(position_, worker, begin, end);
  }
  int64_t steps_run() const { return step_; }

 private:
  const Program& program_;
  PollTimer& timer_;
  const int64_t count_;
  const std::function<void(int64_t)> before_;
  int64_t step_ = 0;
  size_t position_ = 0;
};

// The program `count` times, each on rows gathered from the sources.
class GatherRun final : public Parts {
 public:
  // Step s takes rows order[s * rows ... + rows); gathering them is cut into `chunks`.
  GatherRun(const Program& program, int64_t count, PollTimer* timer, const std::vector<GatheredInput>& inputs, const int64_t* order,
            int64_t rows, int64_t chunks)
      : program_(program), timer_(*timer), count_(count), inputs_(inputs), order_(order), rows_(rows), chunks_(chunks) {}
  int64_t next(int worker) override;
  void run(int worker, int64_t begin, int64_t end) override {
    timer_.poll_if_due(worker);
    if (gathering_) {
      gather_rows(inputs_, order_ + step_ * rows_, rows_ * begin / chunks_, rows_ * end / chunks_);
    } else {
      program_.run_chunks(position_, worker, begin, end);
    }
  }
  int64_t steps_run() const { return step_; }

 private:
  const Program& program_;
  PollTimer& timer_;
  const int64_t count_;
  const std::vector<GatheredInput>& inputs_;
  const int64_t* const order_;
  const int64_t rows_;
  const int64_t chunks_;
  int64_t step_ = 0;
  size_t position_ = 0;
  bool started_ = false;  // the current step
  bool gathering_ = false;
};

}  // namespace nnlite
