#include "runtime/runs.h"

#include <algorithm>

namespace nnlite {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(10);
constexpr double kLookNanoseconds = 1e6;  // looking at the clock costs something too

}  // namespace

PollTimer::PollTimer(Poll poll, double step_nanoseconds)
    : poll_(poll),
      steps_per_look_(static_cast<int64_t>(std::clamp(kLookNanoseconds / std::max(step_nanoseconds, 1.0), 1.0, 1e4))),
      countdown_(steps_per_look_),
      next_(std::chrono::steady_clock::now() + kPollInterval) {}

void PollTimer::look_at_clock() {
  countdown_ = steps_per_look_;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kPollInterval;
  due_.store(true, std::memory_order_relaxed);
}

void PollTimer::poll() {
  due_.store(false, std::memory_order_relaxed);
  if (poll_.stop(poll_.context)) stopped_.store(true, std::memory_order_relaxed);
}

int64_t RepeatedRun::next(int worker) {
  for (;;) {
    if (position_ == 0) {
      if (step_ == count_ || timer_.check(worker)) return 0;
      before_(step_);
    }
    if (const int64_t chunks = program_.next(&position_, worker)) return chunks;
    position_ = 0;
    ++step_;
  }
}

int64_t GatherRun::next(int worker) {
  for (;;) {
    if (!started_) {
      if (step_ == count_ || timer_.check(worker)) return 0;
      started_ = gathering_ = true;
      if (chunks_ > 1) return chunks_;
      gather_rows(inputs_, order_ + step_ * rows_, 0, rows_);
    }
    gathering_ = false;
    if (const int64_t chunks = program_.next(&position_, worker)) return chunks;
    started_ = false;
    position_ = 0;
    ++step_;
  }
}

}  // namespace nnlite
