#include "core/parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "core/check.h"
#include "core/cpu_quota.h"
#include "core/team.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnlite {
namespace {

std::atomic<int> chosen_threads{0};
thread_local bool inside_team = false;

int default_threads() {
  const char* text = std::getenv("NNLITE_NUM_THREADS");
  const int wanted = text != nullptr ? std::atoi(text) : 0;
  return std::min(wanted >= 1 ? wanted : granted_cpus(), kMaxThreads);
}

// The team's helpers: one OpenMP region that a thread of ours enters and that lasts until the number of threads changes or the process
// forks. Inside it, they wait as team.cpp says: libgomp's own threads would spin for milliseconds after every region and make its end wait
// for whoever is late.
class Pool {
 public:
  // The caller becomes worker 0. False when another thread's run is in progress.
  bool try_enter() { return !busy_.exchange(true, std::memory_order_acquire); }
  void leave() { busy_.store(false, std::memory_order_release); }

  void run(int threads, Parts& parts) {
    if (threads != threads_.load(std::memory_order_acquire)) start(threads);
    team_.run(parts, threads);
  }

  // libgomp's threads do not survive a fork, and regions of the child would wait for them: let them go before. Both sides start anew when needed.
  void before_fork() {
    mutex_.lock();
    stop();
  }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child() {
    mutex_.unlock();
    if (inside_team) return;  // this thread is worker 0 and goes on alone
    new (&team_) Team;        // another thread was; it does not exist here
    leave();
  }

 private:
  void start(int threads) {
    static const int installed = install_fork_handlers();
    (void)installed;
    std::lock_guard<std::mutex> guard(mutex_);
    stop();
    team_.allow_serving();
    try {
      host_ = std::thread([this, threads] { serve(threads); });
      threads_.store(threads, std::memory_order_release);
    } catch (const std::system_error&) {
      // The system grants no more threads: the caller works alone.
    }
  }
  void serve(int threads) {
#pragma omp parallel num_threads(threads - 1)
    {
      FlushDenormals flush;
      inside_team = true;
      team_.serve(omp_get_thread_num() + 1, threads);
    }
    omp_pause_resource_all(omp_pause_hard);
  }
  void stop() {
    if (!host_.joinable()) return;
    team_.stop();
    host_.join();
    threads_.store(0, std::memory_order_release);
  }
  static int install_fork_handlers();

  Team team_;
  std::atomic<bool> busy_{false};
  std::atomic<int> threads_{0};  // of the team being served, the caller included
  std::mutex mutex_;             // starting and stopping
  std::thread host_;
};

// Never destroyed: at exit its threads sleep, and the process takes them along.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

int Pool::install_fork_handlers() {
  return pthread_atfork([] { pool().before_fork(); }, [] { pool().after_fork_in_parent(); }, [] { pool().after_fork_in_child(); });
}

}  // namespace

int num_threads() {
  int threads = chosen_threads.load(std::memory_order_relaxed);
  if (threads == 0) chosen_threads = threads = default_threads();
  return threads;
}

void set_num_threads(int threads) {
  NN_CHECK(threads >= 0 && threads <= kMaxThreads, "the number of threads must be between 1 and %d, or 0 for the default; got %d", kMaxThreads,
           threads);
  chosen_threads = threads > 0 ? threads : default_threads();
}

void run_parts(int threads, Parts& parts) {
  FlushDenormals flush;
  if (threads <= 1 || inside_team || !pool().try_enter()) {
    while (const int64_t chunks = parts.next(0)) parts.run(0, 0, chunks);
    return;
  }
  inside_team = true;
  pool().run(threads, parts);
  inside_team = false;
  pool().leave();
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
