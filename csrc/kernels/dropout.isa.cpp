// dropout(x, key; rate): keeps element i, scaled by 1 / (1 - rate), when the float32 uniform number i of the key is at least `rate`, and
// writes 0 otherwise. The mask takes one word an element whatever the dtype, so it is the same for float32 and float64.
#include <string.h>

#include "kernels/random_philox.h"

namespace nnlite::NN_ISA {
namespace {

struct DropoutState {
  int64_t size;
  int64_t item;       // bytes of an element
  int32_t threshold;  // elements whose 24 bits are below are dropped
  double scale;
};

void run_copy(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const DropoutState& s = *static_cast<const DropoutState*>(state);
  const int64_t first = begin * kRandomChunk, last = end * kRandomChunk < s.size ? end * kRandomChunk : s.size;
  if (args.in[0] == args.out[0]) return;
  memcpy(static_cast<char*>(args.out[0]) + first * s.item, static_cast<const char*>(args.in[0]) + first * s.item, static_cast<size_t>((last - first) * s.item));
}

NN_INLINE void drop(const float* x, float* y, Mask<int32_t> dropped, float scale) {
  store(y, select<float>(dropped, Vec<float>::zero(), load(x) * splat(scale)));
}
NN_INLINE void drop(const double* x, double* y, Mask<int32_t> dropped, double scale) {
  uint8_t bytes[16];
  store_mask(bytes, dropped);
  store(y, select<double>(load_mask<double>(bytes), Vec<double>::zero(), load(x) * splat(scale)));
  store(y + 8, select<double>(load_mask<double>(bytes + 8), Vec<double>::zero(), load(x + 8) * splat(scale)));
}

template <class T>
NN_INLINE void drop_group(const T* x, T* y, PhiloxWords words, int32_t threshold, T scale) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) drop(x + 16 * j, y + 16 * j, shift_right<8>(words.v[j]) < splat<int32_t>(threshold), scale);
}

template <class T>
void run_dropout(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const DropoutState& s = *static_cast<const DropoutState*>(state);
  const PhiloxStream stream(static_cast<const int64_t*>(args.in[1]));
  const T* x = static_cast<const T*>(args.in[0]);
  T* y = static_cast<T*>(args.out[0]);
  const T scale = static_cast<T>(s.scale);
  const int32_t threshold = s.threshold;
  const int64_t last = end * kRandomChunk < s.size ? end * kRandomChunk : s.size;
  int64_t i = begin * kRandomChunk;
  for (; i + kPhiloxGroup <= last; i += kPhiloxGroup) {
    drop_group(x + i, y + i, philox_words(stream, static_cast<uint64_t>(i / kPhiloxGroup)), threshold, scale);
  }
  if (i < last) {
    T tail[kPhiloxGroup] = {};
    const size_t bytes = static_cast<size_t>(last - i) * sizeof(T);
    memcpy(tail, x + i, bytes);
    drop_group(tail, tail, philox_words(stream, static_cast<uint64_t>(i / kPhiloxGroup)), threshold, scale);
    memcpy(y + i, tail, bytes);
  }
}

void prepare_dropout(Prepare& p) {
  const Spec &x = p.input(0), &y = p.output(0);
  check_key(p, 1);
  if (x.dtype != y.dtype || x.size() != y.size()) p.fail("the output must have the input's dtype and size");
  if (x.dtype != DType::kFloat32 && x.dtype != DType::kFloat64) p.fail("the input must be float32 or float64, got %s", dtype_name(x.dtype));
  const double rate = p.get_float("rate");
  if (!(rate >= 0 && rate <= 1)) p.fail("rate must be in [0, 1], got %g", rate);
  DropoutState* s = static_cast<DropoutState*>(p.new_state(sizeof(DropoutState)));
  s->size = x.size();
  s->item = static_cast<int64_t>(dtype_size(x.dtype));
  const double scaled = rate * 0x1p24;
  s->threshold = static_cast<int32_t>(scaled);
  if (s->threshold < scaled) ++s->threshold;
  s->scale = rate < 1 ? 1 / (1 - rate) : 0;
  p.set_run(rate == 0 ? run_copy : x.dtype == DType::kFloat32 ? run_dropout<float> : run_dropout<double>);
  p.set_cost(16.0 * static_cast<double>(s->size));
  p.add_phase((s->size + kRandomChunk - 1) / kRandomChunk);
}

NN_KERNEL("dropout", prepare_dropout);

}  // namespace
}  // namespace nnlite::NN_ISA
