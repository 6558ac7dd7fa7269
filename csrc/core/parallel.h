// Threads. A region runs one function on every worker of a team (OpenMP makes the team); inside it, workers share out the chunks of a phase and meet
// at a barrier. Nothing else in the engine knows about threads, and parallel.cpp is the only file that knows OpenMP.
//
// Regions begun inside a region, or while another Python thread's region runs, get one worker: the calling thread.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace nnlite {

constexpr int kMaxThreads = 256;

// How many threads regions may use: NNLITE_NUM_THREADS, else what the affinity mask and the cgroup quota grant; at least 1.
int num_threads();
// 1..kMaxThreads; 0 goes back to the default.
void set_num_threads(int threads);
int default_num_threads();

class Team;

// One thread of a team, as seen by the function that a region runs.
class Worker {
 public:
  Worker(Team* team, int index, int threads) : team_(team), index_(index), threads_(threads) {}
  int index() const { return index_; }
  int threads() const { return threads_; }

  // Waits until every worker of the region has come here. What they wrote before is visible after.
  void barrier() {
    if (threads_ > 1) wait();
  }

  // Calls body(begin, end) for ranges that together cover [0, chunks) once over all workers. Every worker must call it with the same numbers, and a
  // barrier must follow before the next call. Each worker begins with its own part, so that data stays in its cache from phase to phase, then
  // helps the others; one that the operating system has paused holds up only the range it was in.
  template <class Body>
  void share(int64_t chunks, const Body& body) {
    if (threads_ == 1) {
      body(int64_t{0}, chunks);
      return;
    }
    begin_share();
    const int64_t grain = grain_of(chunks);
    for (int k = 0; k < threads_; ++k) {
      const int owner = index_ + k < threads_ ? index_ + k : index_ + k - threads_;
      const int64_t first = chunks * owner / threads_, last = chunks * (owner + 1) / threads_;
      int64_t begin;
      while ((begin = first + claim(owner, grain)) < last) body(begin, begin + grain < last ? begin + grain : last);
    }
  }

 private:
  // Several ranges per worker for balance; few enough that claiming them costs nothing.
  int64_t grain_of(int64_t chunks) const {
    const int64_t grain = chunks / (8 * static_cast<int64_t>(threads_));
    return grain > 1 ? grain : 1;
  }
  void begin_share();
  int64_t claim(int owner, int64_t grain);
  void wait();

  Team* team_;
  int index_;
  int threads_;
  int parity_ = 0;
};

using RegionFunction = void (*)(Worker& worker, void* context);

// Runs function(worker, context) on up to `threads` workers and returns when all are done. `function` must not throw. Denormals are flushed to zero
// inside.
void run_region(int threads, RegionFunction function, void* context);

template <class Function>
void run_region(int threads, const Function& function) {
  run_region(threads, [](Worker& worker, void* context) { (*static_cast<const Function*>(context))(worker); }, const_cast<Function*>(&function));
}

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
