#include "core/team.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "core/cpu_quota.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnlite {
namespace {

// A waiting worker spins about as long as sleeping and waking would cost, then sleeps.
constexpr int64_t kSpinNanoseconds = 50000;
constexpr int64_t kCrowdedSpinNanoseconds = 2000;  // with more threads than CPUs, spinning takes time from those waited for
constexpr int kPausesPerLook = 32;                 // between looks at the clock

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int64_t nanoseconds_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void futex(std::atomic<uint32_t>* word, int operation, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation, value, nullptr, nullptr, 0);
}

int64_t spin_nanoseconds(int workers) {
  static const int cpus = granted_cpus();
  return workers > cpus ? kCrowdedSpinNanoseconds : kSpinNanoseconds;
}

}  // namespace

void Team::run(Parts& parts, int workers) {
  parts_ = &parts;
  open_next(0, workers);
  uint64_t word = word_.load(std::memory_order_acquire);
  while (grains_of(word = help(word, 0, workers)) > 0) word = wait_change(word, 0, workers);
}

void Team::serve(int worker, int workers) {
  uint64_t word = word_.load(std::memory_order_acquire);
  while (!stopped_.load(std::memory_order_acquire)) {
    word = help(word, worker, workers);
    word = wait_change(word, worker, workers);
  }
}

void Team::stop() {
  stopped_.store(true, std::memory_order_seq_cst);
  wake_sleepers();
}

uint64_t Team::help(uint64_t word, int worker, int workers) {
  while (grains_of(word) > 0) {
    const int64_t finished = run_grains(word, worker, workers);
    if (finished == 0 || done_.fetch_add(finished, std::memory_order_acq_rel) + finished < grains_of(word)) break;
    open_next(worker, workers);
    word = word_.load(std::memory_order_acquire);  // perhaps already a later part, opened by another worker
  }
  return word;
}

void Team::open_next(int worker, int workers) {
  chunks_ = parts_->next(worker);
  const int64_t grains = std::min<int64_t>(chunks_, kGrainsPerWorker * static_cast<int64_t>(workers));
  done_.store(0, std::memory_order_relaxed);
  const uint64_t part = part_of(word_.load(std::memory_order_relaxed)) + 1;
  word_.store(part << kGrainBits | static_cast<uint64_t>(grains), std::memory_order_seq_cst);
  wake_sleepers();
}

void Team::wake_sleepers() {
  if (sleepers_.load(std::memory_order_seq_cst) == 0 || sleepers_.exchange(0, std::memory_order_seq_cst) == 0) return;
  bell_.fetch_add(1, std::memory_order_seq_cst);
  futex(&bell_, FUTEX_WAKE_PRIVATE, kMaxThreads);
}

int64_t Team::run_grains(uint64_t word, int worker, int workers) {
  const int64_t grains = grains_of(word);
  int64_t finished = 0;
  for (int k = 0; k < workers; ++k) {
    const int owner = worker + k < workers ? worker + k : worker + k - workers;
    const int64_t first = grains * owner / workers, size = grains * (owner + 1) / workers - first;
    int64_t begin, end;
    while (claim(part_of(word), owner, size, &begin, &end)) {
      // Only after a claim is the part sure to stay open.
      parts_->run(worker, chunks_ * (first + begin) / grains, chunks_ * (first + end) / grains);
      finished += end - begin;
    }
  }
  return finished;
}

bool Team::claim(uint64_t part, int owner, int64_t size, int64_t* begin, int64_t* end) {
  std::atomic<uint64_t>& counter = counters_[owner].value;
  uint64_t seen = counter.load(std::memory_order_relaxed);
  for (;;) {
    if (part_of(seen) > part) return false;
    const int64_t next = part_of(seen) == part ? grains_of(seen) : 0;
    if (next >= size) return false;
    const int64_t taken = next + (size - next + 1) / 2;  // half of the rest: few claims, fine grains at the end
    if (counter.compare_exchange_weak(seen, part << kGrainBits | static_cast<uint64_t>(taken), std::memory_order_relaxed)) {
      *begin = next;
      *end = taken;
      return true;
    }
  }
}

uint64_t Team::wait_change(uint64_t word, int worker, int workers) {
  int64_t until = 0;
  for (;;) {
    for (int i = 0; i < kPausesPerLook; ++i) {
      const uint64_t now = word_.load(std::memory_order_acquire);
      if (now != word) return now;
      pause_briefly();
    }
    const int64_t time = nanoseconds_now();
    if (until == 0) until = time + spin_nanoseconds(workers);
    if (time >= until) return sleep_until_change(word, worker);
  }
}

uint64_t Team::sleep_until_change(uint64_t word, int worker) {
  for (;;) {
    const uint32_t bell = bell_.load(std::memory_order_seq_cst);  // before announcing: a wake-up in between changes it
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    const uint64_t now = word_.load(std::memory_order_seq_cst);
    if (now != word || (worker > 0 && stopped_.load(std::memory_order_seq_cst))) return now;
    futex(&bell_, FUTEX_WAIT_PRIVATE, bell);
  }
}

}  // namespace nnlite
