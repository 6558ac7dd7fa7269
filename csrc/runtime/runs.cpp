#include "runtime/runs.h"

#include <algorithm>

namespace nnlite {
void PollTimer::look_at_clock() {
  const auto now = Clock::now();
  const double milliseconds = std::chrono::duration<double, std::milli>(now - last_look_).count();
  last_look_ = now;
  const double wanted = static_cast<double>(steps_per_look_) / std::max(milliseconds, 1e-6);
  countdown_ = steps_per_look_ = std::clamp(static_cast<int64_t>(wanted), int64_t{1}, 2 * steps_per_look_);
  if (now < next_poll_) return;
  next_poll_ = now + kPollInterval;
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
