// The only allocator: 64-byte aligned blocks from bounded caches, and arenas that plans share.
//
// Page faults cost more than most kernels (2 µs for 4 KiB), so freed blocks are kept for the next request of their size class, and big ones are
// 2-MiB aligned mappings with transparent huge pages.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

namespace nnlite {

constexpr size_t kAlignment = 64;

constexpr size_t align_up(size_t bytes, size_t alignment = kAlignment) { return (bytes + alignment - 1) / alignment * alignment; }

// A block of at least `bytes`, 64-byte aligned, contents undefined. Thread-safe. Throws OutOfMemory.
void* allocate(size_t bytes);
// Gives back a block of allocate(bytes): the same `bytes`.
void release(void* block, size_t bytes) noexcept;

struct MemoryStats {
  size_t in_use = 0;  // bytes handed out, arenas included, rounded to size classes
  size_t peak = 0;    // the most `in_use` ever was
  size_t cached = 0;  // bytes kept for reuse
};
MemoryStats memory_stats();
// Returns all cached blocks to the operating system.
void trim_memory();

// Owns one block.
class Block {
 public:
  Block() = default;
  explicit Block(size_t bytes) : data_(allocate(bytes)), bytes_(bytes) {}
  Block(Block&& other) noexcept : data_(other.data_), bytes_(other.bytes_) { other.data_ = nullptr; }
  Block& operator=(Block&& other) noexcept;
  ~Block() {
    if (data_ != nullptr) release(data_, bytes_);
  }
  char* data() const { return static_cast<char*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Working memory that several plans share: the plan that runs holds the lock, and nothing in the arena outlives the run. Growing moves it, so plans
// compare base() with what they bound last.
class Arena {
 public:
  // Waits for the lock. False when the calling thread holds it already (a signal handler that runs a plan inside a plan).
  bool lock();
  // 1: locked, 0: another thread holds it, -1: the calling thread holds it.
  int try_lock();
  void unlock();

  // Call with the lock held. Grows to at least `bytes` and touches every new page once.
  void reserve(size_t bytes);
  char* base() const { return block_.data(); }
  size_t size() const { return block_.bytes(); }

 private:
  Block block_;
  std::mutex mutex_;
  std::atomic<std::thread::id> owner_{};
};

}  // namespace nnlite
