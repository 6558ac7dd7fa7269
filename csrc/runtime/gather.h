// Gathering the rows of a batch into the input slots.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace nnlite {

struct GatheredInput {
  const char* source;
  char* destination;
  size_t row_bytes;
};

// Cuts the work so that a chunk copies about this much.
constexpr size_t kGatherChunkBytes = size_t{32} << 10;

// Copies rows order[begin..end) of every source to rows begin..end of the destinations.
inline void gather_rows(const std::vector<GatheredInput>& inputs, const int64_t* order, int64_t begin, int64_t end) {
  constexpr int64_t kAhead = 4;  // shuffled rows are not what the hardware prefetcher expects
  for (const GatheredInput& input : inputs) {
    for (int64_t row = begin; row < end; ++row) {
      if (row + kAhead < end) __builtin_prefetch(input.source + static_cast<size_t>(order[row + kAhead]) * input.row_bytes);
      const char* from = input.source + static_cast<size_t>(order[row]) * input.row_bytes;
      char* to = input.destination + static_cast<size_t>(row) * input.row_bytes;
      if (input.row_bytes == sizeof(int32_t)) {
        std::memcpy(to, from, sizeof(int32_t));
      } else if (input.row_bytes == sizeof(int64_t)) {
        std::memcpy(to, from, sizeof(int64_t));
      } else {
        std::memcpy(to, from, input.row_bytes);
      }
    }
  }
}

}  // namespace nnlite
