// How the workers of a team share parts: the lock-free core of parallel.cpp, without OpenMP.
//
// A part is cut into grains, some per worker for balance. One word holds the number of the part that is open and its grains; each worker
// owns a range of the grains and a counter tagged with the part's number. Claiming compares and swaps the tagged counter, so a worker that
// comes late, with an old part in mind, can claim nothing. Who finishes the last grain opens the next part.
#pragma once
#include <atomic>
#include <cstdint>

#include "core/parallel.h"

namespace nnlite {

class Team {
 public:
  // Runs all parts with the help of whoever is in serve(); the calling thread is worker 0 of `workers`. One call at a time.
  void run(Parts& parts, int workers);
  // The life of another worker: helps with every run until stop(). All of them must have been given the same `workers` as run().
  void serve(int worker, int workers);
  // Makes every serve() return, after the grain at hand. A run in progress goes on without them.
  void stop();
  // Before serve() is called again.
  void allow_serving() { stopped_.store(false); }

 private:
  static constexpr int kGrainBits = 16;
  static constexpr int kGrainsPerWorker = 8;
  static constexpr size_t kLines = 128;  // CPUs fetch lines in pairs: keep what different threads write this far apart

  static int64_t grains_of(uint64_t word) { return static_cast<int64_t>(word & ((1u << kGrainBits) - 1)); }
  static uint64_t part_of(uint64_t word) { return word >> kGrainBits; }

  // Takes part in the part that `word` describes, and in those that this worker opens itself. Returns the last word it saw.
  uint64_t help(uint64_t word, int worker, int workers);
  // Runs the grains that this worker can get: its own first, so that data stays in its cache from part to part. Returns how many.
  int64_t run_grains(uint64_t word, int worker, int workers);
  // Takes some of the `size` grains that `owner` has in `part`: [*begin, *end). False when none are left.
  bool claim(uint64_t part, int owner, int64_t size, int64_t* begin, int64_t* end);
  void open_next(int worker, int workers);
  // Waits until the word is another one, or the team is stopped and the caller is not worker 0.
  uint64_t wait_change(uint64_t word, int worker, int workers);
  uint64_t sleep_until_change(uint64_t word, int worker);
  void wake_sleepers();

  struct alignas(kLines) Counter {
    std::atomic<uint64_t> value{0};  // part << kGrainBits | grains claimed
  };

  alignas(kLines) std::atomic<uint64_t> word_{0};  // part << kGrainBits | grains; no grains: the end of a run
  Parts* parts_ = nullptr;                         // of the current run; like chunks_, read only by who has claimed a grain
  int64_t chunks_ = 0;                             // of the open part
  alignas(kLines) std::atomic<int64_t> done_{0};   // grains finished
  alignas(kLines) std::atomic<int> sleepers_{0};
  std::atomic<uint32_t> bell_{0};
  std::atomic<bool> stopped_{false};
  Counter counters_[kMaxThreads];
};

}  // namespace nnlite
