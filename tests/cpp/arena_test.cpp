#include "core/arena.h"

#include <cstring>
#include <thread>
#include <vector>

#include "core/check.h"
#include "test.h"

namespace nnlite {

TEST(arena_blocks_are_aligned_and_apart) {
  std::vector<Block> blocks;
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{1000}, size_t{1024}, size_t{1025}, size_t{1281}, size_t{100000},
                       (size_t{2} << 20) - 1, size_t{2} << 20, (size_t{5} << 20) + 3}) {
    blocks.emplace_back(bytes);
    EXPECT_EQ(reinterpret_cast<size_t>(blocks.back().data()) % kAlignment, 0u);
    std::memset(blocks.back().data(), static_cast<int>(blocks.size()), bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    for (size_t k = 0; k < blocks[i].bytes(); k += 61) EXPECT_EQ(blocks[i].data()[k], static_cast<char>(i + 1));
  }
}

TEST(arena_every_size_has_room) {
  // Sizes around the borders of classes: a class must never be smaller than the request.
  for (size_t base = 64; base < (size_t{1} << 23); base += base / 8) {
    for (size_t bytes : {base - 1, base, base + 1}) {
      Block block(bytes);
      block.data()[0] = block.data()[bytes - 1] = 1;
      const size_t in_use = memory_stats().in_use;
      Block second(bytes);
      EXPECT(memory_stats().in_use - in_use >= bytes);
      EXPECT(memory_stats().in_use - in_use <= bytes + bytes / 4 + kAlignment);
    }
  }
}

TEST(arena_counts_what_is_in_use) {
  const size_t before = memory_stats().in_use;
  {
    Block block(1 << 20);
    EXPECT_EQ(memory_stats().in_use, before + (1 << 20));
    EXPECT(memory_stats().peak >= before + (1 << 20));
  }
  EXPECT_EQ(memory_stats().in_use, before);
}

#if !defined(NN_SANITIZED)
TEST(arena_freed_blocks_are_reused) {
  for (size_t bytes : {size_t{100}, size_t{100000}, size_t{4} << 20}) {
    void* first = allocate(bytes);
    release(first, bytes);
    void* second = allocate(bytes);
    EXPECT_EQ(first, second);
    release(second, bytes);
  }
  trim_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
}

TEST(arena_the_cache_is_bounded) {
  std::vector<Block> blocks;
  for (int i = 0; i < 200; ++i) blocks.emplace_back(size_t{1} << 20);
  blocks.clear();
  EXPECT(memory_stats().cached <= size_t{64} << 20);
  trim_memory();
}
#endif

TEST(arena_too_much_memory) {
  EXPECT_THROWS(allocate(size_t{1} << 46), OutOfMemory, "70368744177664 bytes");
  EXPECT_THROWS(allocate(SIZE_MAX - 100), OutOfMemory, "cannot allocate");
}

TEST(arena_allocates_from_several_threads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        Block block(1 + (i * 37) % 3000);
        std::memset(block.data(), t, block.bytes());
        for (size_t k = 0; k < block.bytes(); k += 97) {
          if (block.data()[k] != t) std::abort();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(arena_grows_and_locks) {
  Arena arena;
  EXPECT(arena.lock());
  arena.reserve(1000);
  const size_t size = arena.size();
  EXPECT(size >= 1000);
  arena.reserve(500);
  EXPECT_EQ(arena.size(), size);
  arena.reserve(3 << 20);
  EXPECT(arena.size() >= 3 << 20);
  EXPECT_EQ(reinterpret_cast<size_t>(arena.base()) % kAlignment, 0u);
  EXPECT(!arena.lock());
  EXPECT_EQ(arena.try_lock(), -1);
  int other = -2;
  std::thread([&] { other = arena.try_lock(); }).join();
  EXPECT_EQ(other, 0);
  arena.unlock();
  EXPECT_EQ(arena.try_lock(), 1);
  arena.unlock();
}

}  // namespace nnlite
