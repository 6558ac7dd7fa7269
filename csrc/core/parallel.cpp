#include "core/parallel.h"

#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/check.h"
#include "core/cpu_quota.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnlite {
namespace {

constexpr size_t kLinePair = 128;  // CPUs fetch lines in pairs: keep what different threads write this far apart

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::atomic<int> chosen_threads{0};
std::atomic<bool> team_busy{false};
thread_local bool inside_region = false;

}  // namespace

// What the workers of the running region share. Only one region runs at a time, so there is one Team.
class Team {
 public:
  void barrier(int threads);
  void begin_share(int parity, int worker) { counters_[parity ^ 1][worker].next.store(0, std::memory_order_relaxed); }
  int64_t claim(int parity, int owner, int64_t grain) {
    std::atomic<int64_t>& next = counters_[parity][owner].next;
    return next.fetch_add(grain, std::memory_order_relaxed);
  }
  // Before a region. Counters of both parities must be zero, wherever the last region stopped.
  void reset(int threads, int cpus) {
    for (int i = 0; i < threads; ++i) counters_[0][i].next = counters_[1][i].next = 0;
    spins_ = threads > cpus ? kSpinsCrowded : kSpins;
  }

 private:
  static constexpr int kSpins = 4000;
  static constexpr int kSpinsCrowded = 50;

  struct alignas(kLinePair) Counter {
    std::atomic<int64_t> next{0};
  };
  struct alignas(kLinePair) {
    std::atomic<int> arrived{0};
    std::atomic<int> sleepers{0};
  } gate_;
  alignas(kLinePair) std::atomic<uint32_t> epoch_{0};
  alignas(kLinePair) int spins_ = kSpins;
  Counter counters_[2][kMaxThreads];
};

void Team::barrier(int threads) {
  const uint32_t epoch = epoch_.load(std::memory_order_relaxed);
  if (gate_.arrived.fetch_add(1, std::memory_order_acq_rel) == threads - 1) {
    gate_.arrived.store(0, std::memory_order_relaxed);
    epoch_.store(epoch + 1, std::memory_order_seq_cst);
    if (gate_.sleepers.load(std::memory_order_seq_cst) > 0) {
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&epoch_), FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
    }
    return;
  }
  for (int i = 0; i < spins_; ++i) {
    if (epoch_.load(std::memory_order_acquire) != epoch) return;
    pause_briefly();
  }
  gate_.sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (epoch_.load(std::memory_order_seq_cst) == epoch) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&epoch_), FUTEX_WAIT_PRIVATE, epoch, nullptr, nullptr, 0);
  }
  gate_.sleepers.fetch_sub(1, std::memory_order_relaxed);
}

namespace {

Team team;

// libgomp's workers do not survive a fork, and a child that starts a region hangs waiting for them: let them go before.
void install_fork_handler() {
  static const int installed = pthread_atfork([] { omp_pause_resource_all(omp_pause_hard); }, nullptr, [] { team_busy = false; });
  (void)installed;
}

int initial_threads() {
  const char* text = std::getenv("NNLITE_NUM_THREADS");
  const int wanted = text != nullptr ? std::atoi(text) : 0;
  return wanted >= 1 ? std::min(wanted, kMaxThreads) : default_num_threads();
}

}  // namespace

void Worker::begin_share() {
  team_->begin_share(parity_, index_);
  parity_ ^= 1;
}
int64_t Worker::claim(int owner, int64_t grain) { return team_->claim(parity_ ^ 1, owner, grain); }
void Worker::wait() { team_->barrier(threads_); }

int default_num_threads() {
  static const int threads = std::clamp(granted_cpus(), 1, kMaxThreads);
  return threads;
}

int num_threads() {
  const int threads = chosen_threads.load(std::memory_order_relaxed);
  if (threads > 0) return threads;
  chosen_threads = initial_threads();
  return chosen_threads;
}

void set_num_threads(int threads) {
  NN_CHECK(threads >= 0 && threads <= kMaxThreads, "the number of threads must be between 1 and %d, or 0 for the default; got %d", kMaxThreads, threads);
  chosen_threads = threads > 0 ? threads : initial_threads();
}

void run_region(int threads, RegionFunction function, void* context) {
  if (threads <= 1 || inside_region || team_busy.exchange(true, std::memory_order_acquire)) {
    FlushDenormals flush;
    Worker worker(&team, 0, 1);
    function(worker, context);
    return;
  }
  install_fork_handler();
  team.reset(threads, default_num_threads());
#pragma omp parallel num_threads(threads)
  {
    FlushDenormals flush;
    inside_region = true;
    Worker worker(&team, omp_get_thread_num(), omp_get_num_threads());
    function(worker, context);
    inside_region = false;
  }
  team_busy.store(false, std::memory_order_release);
}

#if defined(__x86_64__)
FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(static_cast<unsigned>(saved_) | 0x8040u); }
FlushDenormals::~FlushDenormals() { _mm_setcsr(static_cast<unsigned>(saved_)); }
#elif defined(__aarch64__)
FlushDenormals::FlushDenormals() {
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" : : "r"(saved_ | (uint64_t{1} << 24)));
}
FlushDenormals::~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
FlushDenormals::FlushDenormals() : saved_(0) {}
FlushDenormals::~FlushDenormals() {}
#endif

}  // namespace nnlite
