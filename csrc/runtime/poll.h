// Polling: long runs ask now and then whether they are to end.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

namespace nnlite {

// Asked every ~10 ms of a long run, on the calling thread; true ends the run after the current step or round of a loop.
struct Poll {
  bool (*stop)(void* context) = nullptr;
  void* context = nullptr;
};

// Knows when to poll. Any worker may find that it is time; only worker 0, the calling thread, may poll.
class PollTimer {
 public:
  explicit PollTimer(Poll poll) : poll_(poll), last_look_(Clock::now()), next_poll_(last_look_ + kPollInterval) {}
  // At the start of a step or round: true when the run is to end here.
  bool check(int worker) {
    if (poll_.stop == nullptr) return false;
    if (--countdown_ <= 0) look_at_clock();
    poll_if_due(worker);
    return stopped_.load(std::memory_order_relaxed);
  }
  // For workers that run parts of a step at the same time as the calling thread, which looks at the clock.
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  // Whether it is time, and `worker`, who goes through the steps, is not the one that may poll.
  bool needs_caller(int worker) const { return worker != 0 && due_.load(std::memory_order_relaxed); }
  // Whenever worker 0 gets something to do: another worker may be the one that starts all steps.
  void poll_if_due(int worker) {
    if (worker == 0 && due_.load(std::memory_order_relaxed)) poll();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPollInterval{10};

  void look_at_clock();
  void poll();

  const Poll poll_;
  int64_t steps_per_look_ = 1;  // looking costs something too: soon once in ~1 ms
  int64_t countdown_ = 1;
  Clock::time_point last_look_;
  Clock::time_point next_poll_;
  std::atomic<bool> due_{false};
  std::atomic<bool> stopped_{false};
};

}  // namespace nnlite
