#include "core/parallel.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "core/check.h"
#include "test.h"

namespace nnlite {
namespace {

// `count` parts; part i has chunks(i) chunks, each of which runs body(worker, part, chunk).
class TestParts final : public Parts {
 public:
  TestParts(int count, std::function<int64_t(int)> chunks, std::function<void(int, int, int64_t)> body)
      : count_(count), chunks_(std::move(chunks)), body_(std::move(body)) {}
  int64_t next(int) override { return ++part_ < count_ ? chunks_(part_) : 0; }
  void run(int worker, int64_t begin, int64_t end) override {
    for (int64_t chunk = begin; chunk < end; ++chunk) body_(worker, part_, chunk);
  }

 private:
  const int count_;
  const std::function<int64_t(int)> chunks_;
  const std::function<void(int, int, int64_t)> body_;
  int part_ = -1;
};

// Runs parts of many sizes and checks that each chunk ran exactly once, and only after all chunks of the part before.
void expect_coverage(int threads, int parts) {
  const auto chunks = [](int part) -> int64_t { return 1 + (part * 7) % 61 + (part % 50 == 0 ? 5000 : 0); };
  std::vector<std::vector<std::atomic<int>>> runs;
  for (int i = 0; i < parts; ++i) runs.emplace_back(chunks(i));
  std::atomic<int64_t> finished{0}, early{0}, strangers{0};
  std::vector<int64_t> before(parts, 0);
  for (int i = 1; i < parts; ++i) before[i] = before[i - 1] + chunks(i - 1);
  TestParts work(parts, chunks, [&](int worker, int part, int64_t chunk) {
    if (finished.load() < before[part]) early.fetch_add(1);
    if (worker < 0 || worker >= threads) strangers.fetch_add(1);
    runs[part][chunk].fetch_add(1);
    finished.fetch_add(1);
  });
  run_parts(threads, work);
  int64_t wrong = 0;
  for (const auto& part : runs) {
    for (const auto& count : part) wrong += count.load() != 1;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(early.load(), 0);
  EXPECT_EQ(strangers.load(), 0);
}

}  // namespace

TEST(parallel_every_chunk_runs_once_and_in_its_part) {
  for (int threads : {1, 2, 3, 4, 7}) expect_coverage(threads, 300);
}

TEST(parallel_more_threads_than_cpus) { expect_coverage(16, 200); }

TEST(parallel_many_short_runs) {
  for (int i = 0; i < 2000; ++i) {
    std::atomic<int> count{0};
    TestParts parts(2, [](int) { return 3; }, [&](int, int, int64_t) { count.fetch_add(1); });
    run_parts(2 + i / 500, parts);
    EXPECT_EQ(count.load(), 6);
  }
}

TEST(parallel_writes_are_visible_to_the_next_part) {
  // Each part sums what the one before wrote, from other chunks: plain memory, no atomics.
  constexpr int kChunks = 64;
  std::vector<int64_t> values[2] = {std::vector<int64_t>(kChunks, 1), std::vector<int64_t>(kChunks, 0)};
  TestParts parts(500, [](int) { return kChunks; }, [&](int, int part, int64_t chunk) {
    const auto& from = values[part % 2];
    values[1 - part % 2][chunk] = from[(chunk + 17) % kChunks] + from[(chunk + 40) % kChunks] - from[chunk] + 1;
  });
  run_parts(4, parts);
  for (int64_t value : values[0]) EXPECT_EQ(value, 501);
}

TEST(parallel_no_parts) {
  TestParts parts(0, [](int) { return 1; }, [](int, int, int64_t) { EXPECT(false); });
  run_parts(2, parts);
}

TEST(parallel_nested_runs_are_inline) {
  std::atomic<int> inner{0}, other_workers{0};
  TestParts outer(1, [](int) { return 8; }, [&](int, int, int64_t) {
    const auto self = std::this_thread::get_id();
    TestParts nested(3, [](int) { return 5; }, [&](int worker, int, int64_t) {
      inner.fetch_add(1);
      if (worker != 0 || std::this_thread::get_id() != self) other_workers.fetch_add(1);
    });
    run_parts(4, nested);
  });
  run_parts(2, outer);
  EXPECT_EQ(inner.load(), 8 * 3 * 5);
  EXPECT_EQ(other_workers.load(), 0);
}

TEST(parallel_calls_from_several_threads) {
  std::vector<std::thread> threads;
  std::atomic<int64_t> total{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        TestParts parts(4, [](int) { return 16; }, [&](int, int, int64_t) { total.fetch_add(1); });
        run_parts(2, parts);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total.load(), 4 * 200 * 4 * 16);
}

TEST(parallel_denormals_are_zero_inside_only) {
  volatile float tiny = 1e-40f;
  std::atomic<int> flushed{0};
  TestParts parts(1, [](int) { return 64; }, [&](int, int, int64_t) { flushed.fetch_add(tiny * 1.0f == 0.0f); });
  run_parts(2, parts);
  EXPECT_EQ(flushed.load(), 64);
  EXPECT(tiny * 1.0f != 0.0f);
}

TEST(parallel_thread_counts) {
  const int before = num_threads();
  set_num_threads(3);
  EXPECT_EQ(num_threads(), 3);
  EXPECT_THROWS(set_num_threads(-1), std::invalid_argument, "between 1 and 256, or 0 for the default; got -1");
  EXPECT_THROWS(set_num_threads(257), std::invalid_argument, "got 257");
  set_num_threads(0);
  EXPECT(num_threads() >= 1);
  set_num_threads(before);
}

#if !defined(__SANITIZE_THREAD__)
TEST(parallel_works_after_fork) {
  for (int i = 0; i < 20; ++i) {
    expect_coverage(2, 10);
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // a child that hangs dies
      expect_coverage(2, 10);
      _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
}
#endif

}  // namespace nnlite
