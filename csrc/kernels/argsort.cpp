// argsort: positions (int32) that sort the last axis in ascending order. Stable; -0 equals 0; NaN comes after every number.
//
// Every element becomes an unsigned key of the same order, and (key, position) pairs are merge sorted: runs of kRun by insertion, then
// merges from one half of the thread's scratch to the other. Rows are independent, so the cut into chunks changes nothing.
#include <cstring>

#include "kernels/kernel.h"

namespace nnlite {
namespace {

struct Entry {
  uint64_t key;
  int32_t position;
};

constexpr int64_t kRun = 16;
constexpr int64_t kChunkElements = 4096;
constexpr uint64_t kLast = ~uint64_t{0};  // the key of NaN

struct ArgsortState {
  DType dtype;
  int64_t rows, n, chunk_rows;
};

uint64_t signed_key(int64_t x) { return static_cast<uint64_t>(x) ^ (uint64_t{1} << 63); }

uint64_t float_key(double x) {
  if (x != x) return kLast;
  if (x == 0) x = 0;  // -0 has other bits
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits >> 63 ? ~bits : bits | (uint64_t{1} << 63);
}

double bfloat16_value(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  std::memcpy(&x, &wide, sizeof(x));
  return x;
}

template <class T, class Key>
void read_row(const void* row, int64_t n, Entry* entries, Key key) {
  const T* x = static_cast<const T*>(row);
  for (int64_t i = 0; i < n; ++i) entries[i] = {key(x[i]), static_cast<int32_t>(i)};
}

void read_entries(DType dtype, const void* row, int64_t n, Entry* entries) {
  switch (dtype) {
    case DType::kFloat32: return read_row<float>(row, n, entries, [](float x) { return float_key(x); });
    case DType::kFloat64: return read_row<double>(row, n, entries, [](double x) { return float_key(x); });
    case DType::kBFloat16: return read_row<uint16_t>(row, n, entries, [](uint16_t x) { return float_key(bfloat16_value(x)); });
    case DType::kInt32: return read_row<int32_t>(row, n, entries, [](int32_t x) { return signed_key(x); });
    case DType::kInt64: return read_row<int64_t>(row, n, entries, [](int64_t x) { return signed_key(x); });
    case DType::kInt8: return read_row<int8_t>(row, n, entries, [](int8_t x) { return signed_key(x); });
    case DType::kUInt8:
    case DType::kBool: return read_row<uint8_t>(row, n, entries, [](uint8_t x) { return uint64_t{x}; });
  }
}

void insertion_sort(Entry* e, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const Entry one = e[i];
    int64_t j = i;
    for (; j > 0 && e[j - 1].key > one.key; --j) e[j] = e[j - 1];
    e[j] = one;
  }
}

void merge(const Entry* left, int64_t left_size, const Entry* right, int64_t right_size, Entry* out) {
  const Entry *left_end = left + left_size, *right_end = right + right_size;
  while (left < left_end && right < right_end) *out++ = right->key < left->key ? *right++ : *left++;
  while (left < left_end) *out++ = *left++;
  while (right < right_end) *out++ = *right++;
}

// Sorts `e`, using `other` of the same size; returns the one that holds the result.
const Entry* merge_sort(Entry* e, Entry* other, int64_t n) {
  for (int64_t i = 0; i < n; i += kRun) insertion_sort(e + i, n - i < kRun ? n - i : kRun);
  for (int64_t width = kRun; width < n; width *= 2) {
    for (int64_t i = 0; i < n; i += 2 * width) {
      const int64_t left = n - i < width ? n - i : width, right = n - i - left < width ? n - i - left : width;
      merge(e + i, left, e + i + left, right, other + i);
    }
    Entry* sorted = other;
    other = e;
    e = sorted;
  }
  return e;
}

void run_argsort(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const ArgsortState& s = *static_cast<const ArgsortState*>(state);
  const auto* in = static_cast<const char*>(args.in[0]);
  auto* out = static_cast<int32_t*>(args.out[0]);
  auto* entries = static_cast<Entry*>(args.thread_scratch);
  const int64_t row_bytes = s.n * static_cast<int64_t>(dtype_size(s.dtype));
  const int64_t last = end * s.chunk_rows < s.rows ? end * s.chunk_rows : s.rows;
  for (int64_t row = begin * s.chunk_rows; row < last; ++row) {
    read_entries(s.dtype, in + row * row_bytes, s.n, entries);
    const Entry* sorted = merge_sort(entries, entries + s.n, s.n);
    for (int64_t i = 0; i < s.n; ++i) out[row * s.n + i] = sorted[i].position;
  }
}

void prepare_argsort(Prepare& prepare) {
  const Spec& x = prepare.input(0);
  if (x.rank < 1 || prepare.output(0).dtype != DType::kInt32) prepare.fail("needs an input with at least one axis and an int32 output");
  auto* s = static_cast<ArgsortState*>(prepare.new_state(sizeof(ArgsortState)));
  s->dtype = x.dtype;
  s->n = x.dim(-1);
  if (s->n > INT32_MAX) prepare.fail("positions are int32: the last axis may have 2147483647 elements, got %lld", static_cast<long long>(s->n));
  s->rows = s->n == 0 ? 0 : x.size() / s->n;
  s->chunk_rows = kChunkElements / (s->n + 1) + 1;
  prepare.set_run(run_argsort);
  prepare.need_thread_scratch(static_cast<size_t>(2 * s->n) * sizeof(Entry));
  int64_t merges = 4;
  for (int64_t width = kRun; width < s->n; width *= 2) ++merges;
  prepare.set_cost(4.0 * static_cast<double>(merges) * static_cast<double>(x.size()));
  prepare.add_phase((s->rows + s->chunk_rows - 1) / s->chunk_rows);
}

const KernelRegistrar registrar("argsort", Isa::kAny, prepare_argsort);

}  // namespace
}  // namespace nnlite
