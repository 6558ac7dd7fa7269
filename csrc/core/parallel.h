// Threads. A team works through parts, one after the other; each part is a number of chunks that may run at once. Nothing else in the
// engine knows about threads, and parallel.cpp is the only file that knows OpenMP, which makes the team.
//
// No worker waits for another to arrive, only for chunks to be done: one that the operating system has paused holds up the team only if it
// is in the middle of a chunk, and joins where the others are when it comes back.
#pragma once
#include <cstddef>
#include <cstdint>

namespace nnlite {

constexpr int kMaxThreads = 256;

// How many threads a team may have: NNLITE_NUM_THREADS, else what the affinity mask and the cgroup quota grant; at least 1.
int num_threads();
// 1..kMaxThreads; 0 goes back to the default. More threads than CPUs are allowed, but cannot gain.
void set_num_threads(int threads);

// A sequence of parts, found while it runs.
class Parts {
 public:
  // Goes on to the next part and returns its number of chunks, or 0 after the last. Short work between parts is best done in here. Called by
  // one worker at a time, whichever finished the part before; all that was written by earlier parts is visible to it.
  virtual int64_t next(int worker) = 0;
  // Computes chunks [begin, end) of the current part, on any worker.
  virtual void run(int worker, int64_t begin, int64_t end) = 0;

 protected:
  ~Parts() = default;
};

// Runs all parts on up to `threads` workers, numbered from 0, the calling thread. Inside a team, or while another thread's team is at work,
// the calling thread does everything. Neither function may throw. Denormal numbers count as zero inside.
void run_parts(int threads, Parts& parts);

// While it lives, the calling thread treats denormal numbers as zero; some CPUs compute with them 50 times slower.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;

 private:
  uint64_t saved_;
};

}  // namespace nnlite
