#include "core/arena.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/check.h"

namespace nnlite {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kLinearLimit = 1024;  // classes are 64 bytes apart up to here, then four to a doubling
constexpr int kLinearClasses = kLinearLimit / kAlignment;
constexpr int kClasses = kLinearClasses + 4 * 38;
constexpr size_t kLargest = size_t{1} << 47;
constexpr size_t kSmallCache = size_t{64} << 20;
constexpr size_t kBigCache = size_t{512} << 20;

struct FreeBlock {
  FreeBlock* next;
};

struct SizeClass {
  int index;
  size_t bytes;
};

SizeClass size_class(size_t bytes) {
  if (bytes <= kLinearLimit) {
    const int index = bytes == 0 ? 0 : static_cast<int>((bytes - 1) / kAlignment);
    return {index, (index + 1) * kAlignment};
  }
  const int exponent = 63 - __builtin_clzll(bytes - 1);  // 2^exponent < bytes <= 2^(exponent + 1)
  const size_t quarter = size_t{1} << (exponent - 2);
  const int step = static_cast<int>((bytes - 1 - (size_t{1} << exponent)) / quarter);
  return {kLinearClasses + 4 * (exponent - 10) + step, (size_t{1} << exponent) + (step + 1) * quarter};
}

bool is_big(size_t class_bytes) { return class_bytes >= kHugePage; }

// A mapping aligned to huge pages: maps more and gives the edges back.
void* map_huge(size_t bytes) {
  bytes = align_up(bytes, kHugePage);
  char* mapped = static_cast<char*>(mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (mapped == MAP_FAILED) return nullptr;
  const size_t before = align_up(reinterpret_cast<size_t>(mapped), kHugePage) - reinterpret_cast<size_t>(mapped);
  if (before > 0) munmap(mapped, before);
  if (before < kHugePage) munmap(mapped + before + bytes, kHugePage - before);
  madvise(mapped + before, bytes, MADV_HUGEPAGE);
  return mapped + before;
}

void* system_allocate(size_t class_bytes) {
#ifdef NN_SANITIZED
  return std::aligned_alloc(kAlignment, class_bytes);
#else
  return is_big(class_bytes) ? map_huge(class_bytes) : std::aligned_alloc(kAlignment, class_bytes);
#endif
}

void system_release(void* block, size_t class_bytes) {
#ifdef NN_SANITIZED
  (void)class_bytes;
  std::free(block);
#else
  if (is_big(class_bytes)) {
    munmap(block, align_up(class_bytes, kHugePage));
  } else {
    std::free(block);
  }
#endif
}

class Allocator {
 public:
  Allocator() {
    const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    limits_[1] = std::min(kBigCache, physical / 8);
  }

  void* take(size_t bytes) {
    if (bytes > kLargest) throw OutOfMemory(bytes, stats().in_use);
#ifdef NN_SANITIZED
    const SizeClass found{0, align_up(bytes == 0 ? 1 : bytes)};  // exact sizes and no reuse, so that the sanitizer sees every overrun
#else
    const SizeClass found = size_class(bytes);
#endif
    {
      std::lock_guard<std::mutex> guard(mutex_);
      in_use_ += found.bytes;
      peak_ = std::max(peak_, in_use_);
      if (FreeBlock* block = lists_[found.index]) {
        lists_[found.index] = block->next;
        cached_[is_big(found.bytes)] -= found.bytes;
        return block;
      }
    }
    void* block = system_allocate(found.bytes);
    if (block == nullptr) {
      trim();
      block = system_allocate(found.bytes);
    }
    if (block == nullptr) {
      std::lock_guard<std::mutex> guard(mutex_);
      in_use_ -= found.bytes;
      throw OutOfMemory(bytes, in_use_);
    }
    return block;
  }

  void give(void* block, size_t bytes) noexcept {
#ifdef NN_SANITIZED
    const SizeClass found{0, align_up(bytes == 0 ? 1 : bytes)};
    const bool keep = false;
#else
    const SizeClass found = size_class(bytes);
    const bool keep = found.bytes <= limits_[is_big(found.bytes)];
#endif
    const bool big = is_big(found.bytes);
    {
      std::lock_guard<std::mutex> guard(mutex_);
      in_use_ -= found.bytes;
      if (keep && cached_[big] + found.bytes <= limits_[big]) {
        cached_[big] += found.bytes;
        lists_[found.index] = new (block) FreeBlock{lists_[found.index]};
        return;
      }
    }
    // The cache is full, perhaps of sizes that are no longer asked for: start it anew.
    if (keep) trim();
    system_release(block, found.bytes);
  }

  void trim() noexcept {
    FreeBlock* lists[kClasses];
    {
      std::lock_guard<std::mutex> guard(mutex_);
      std::copy(lists_, lists_ + kClasses, lists);
      std::fill(lists_, lists_ + kClasses, nullptr);
      cached_[0] = cached_[1] = 0;
    }
    for (int i = 0; i < kClasses; ++i) {
      while (FreeBlock* block = lists[i]) {
        lists[i] = block->next;
        system_release(block, class_bytes(i));
      }
    }
  }

  MemoryStats stats() {
    std::lock_guard<std::mutex> guard(mutex_);
    return {in_use_, peak_, cached_[0] + cached_[1]};
  }

  std::mutex& mutex() { return mutex_; }

 private:
  static size_t class_bytes(int index) {
    if (index < kLinearClasses) return (index + 1) * kAlignment;
    const int exponent = 10 + (index - kLinearClasses) / 4;
    return (size_t{1} << exponent) + ((index - kLinearClasses) % 4 + 1) * (size_t{1} << (exponent - 2));
  }

  std::mutex mutex_;
  FreeBlock* lists_[kClasses] = {};
  size_t cached_[2] = {0, 0};  // small, big
  size_t limits_[2] = {kSmallCache, kBigCache};
  size_t in_use_ = 0;
  size_t peak_ = 0;
};

Allocator& allocator() {
  // Never destroyed: arrays may be freed after static destructors have run. Locked around fork, so that the child finds it consistent.
  static Allocator* const instance = [] {
    auto* made = new Allocator;
    pthread_atfork([] { allocator().mutex().lock(); }, [] { allocator().mutex().unlock(); }, [] { allocator().mutex().unlock(); });
    return made;
  }();
  return *instance;
}

}  // namespace

void* allocate(size_t bytes) { return allocator().take(bytes); }
void release(void* block, size_t bytes) noexcept { allocator().give(block, bytes); }
MemoryStats memory_stats() { return allocator().stats(); }
void trim_memory() { allocator().trim(); }

Block& Block::operator=(Block&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

bool Arena::lock() {
  const std::thread::id self = std::this_thread::get_id();
  if (owner_.load(std::memory_order_relaxed) == self) return false;
  mutex_.lock();
  owner_.store(self, std::memory_order_relaxed);
  return true;
}

int Arena::try_lock() {
  const std::thread::id self = std::this_thread::get_id();
  if (owner_.load(std::memory_order_relaxed) == self) return -1;
  if (!mutex_.try_lock()) return 0;
  owner_.store(self, std::memory_order_relaxed);
  return 1;
}

void Arena::unlock() {
  owner_.store(std::thread::id(), std::memory_order_relaxed);
  mutex_.unlock();
}

void Arena::reserve(size_t bytes) {
  if (bytes <= size()) return;
  const size_t rounded = bytes < kHugePage ? align_up(bytes, 4096) : align_up(bytes, kHugePage);
  block_ = Block();  // first give the old one back: its contents are not kept
  block_ = Block(rounded);
  for (size_t i = 0; i < rounded; i += 4096) block_.data()[i] = 0;
}

}  // namespace nnlite
