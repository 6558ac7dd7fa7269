// dropout(x, key; rate): keeps element i, scaled by 1 / (1 - rate), when the float32 uniform number i of the key is at least `rate`, and
// writes 0 otherwise. The mask takes one word an element whatever the dtype, so it is the same for float32, float64 and bfloat16.
#include <string.h>

#include "kernels/lane_items.h"
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
  const int64_t first = begin * kRandomChunk, last = smaller(end * kRandomChunk, s.size);
  if (args.in[0] == args.out[0]) return;
  memcpy(static_cast<char*>(args.out[0]) + first * s.item, static_cast<const char*>(args.in[0]) + first * s.item,
         static_cast<size_t>((last - first) * s.item));
}

// 16 elements.
template <class Item>
NN_INLINE void drop(const Item* x, Item* y, Mask<int32_t> dropped, float scale) {
  store_lanes<true>(y, select<float>(dropped, Vec<float>::zero(), load_lanes<true>(x, 16) * splat(scale)), 16);
}
NN_INLINE void drop(const double* x, double* y, Mask<int32_t> dropped, double scale) {
  uint8_t bytes[16];
  store_mask(bytes, dropped);
  store(y, select<double>(load_mask<double>(bytes), Vec<double>::zero(), load(x) * splat(scale)));
  store(y + 8, select<double>(load_mask<double>(bytes + 8), Vec<double>::zero(), load(x + 8) * splat(scale)));
}

template <class Item>
NN_INLINE void drop_group(const Item* x, Item* y, PhiloxWords words, int32_t threshold, NumberOf<Item> scale) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) drop(x + 16 * j, y + 16 * j, shift_right<8>(words.v[j]) < splat<int32_t>(threshold), scale);
}

template <class Item>
void run_dropout(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const DropoutState& s = *static_cast<const DropoutState*>(state);
  const PhiloxStream stream(static_cast<const int64_t*>(args.in[1]));
  const Item* x = static_cast<const Item*>(args.in[0]);
  Item* y = static_cast<Item*>(args.out[0]);
  const NumberOf<Item> scale = static_cast<NumberOf<Item>>(s.scale);
  const int32_t threshold = s.threshold;
  const int64_t last = smaller(end * kRandomChunk, s.size);
  int64_t i = begin * kRandomChunk;
  for (; i + kPhiloxGroup <= last; i += kPhiloxGroup) {
    drop_group(x + i, y + i, philox_words(stream, static_cast<uint64_t>(i / kPhiloxGroup)), threshold, scale);
  }
  if (i < last) {
    Item tail[kPhiloxGroup] = {};
    const size_t bytes = static_cast<size_t>(last - i) * sizeof(Item);
    memcpy(tail, x + i, bytes);
    drop_group(tail, tail, philox_words(stream, static_cast<uint64_t>(i / kPhiloxGroup)), threshold, scale);
    memcpy(y + i, tail, bytes);
  }
}

void prepare_dropout(Prepare& p) {
  const Spec &x = p.input(0), &y = p.output(0);
  check_key(p, 1);
  if (x.dtype != y.dtype || x.size() != y.size()) p.fail("the output must have the input's dtype and size");
  const double rate = p.get_float("rate");
  if (!(rate >= 0 && rate <= 1)) p.fail("rate must be in [0, 1], got %g", rate);
  DropoutState* s = static_cast<DropoutState*>(p.new_state(sizeof(DropoutState)));
  s->size = x.size();
  s->item = static_cast<int64_t>(dtype_size(x.dtype));
  // Uniform numbers are float32, and so is the rate they are compared with.
  const float scaled = static_cast<float>(rate) * 0x1p24f;
  s->threshold = static_cast<int32_t>(scaled);
  if (static_cast<float>(s->threshold) < scaled) ++s->threshold;
  s->scale = rate < 1 ? 1 / (1 - rate) : 0;
  switch (x.dtype) {
    case DType::kFloat32: p.set_run(run_dropout<float>); break;
    case DType::kFloat64: p.set_run(run_dropout<double>); break;
    case DType::kBFloat16: p.set_run(run_dropout<uint16_t>); break;
    default: p.fail("the input must be float32, float64 or bfloat16, got %s", dtype_name(x.dtype));
  }
  if (rate == 0) p.set_run(run_copy);
  p.set_cost(16.0 * static_cast<double>(s->size));
  p.add_phase(ceil_div(s->size, kRandomChunk));
}

NN_KERNEL("dropout", prepare_dropout);

}  // namespace
}  // namespace nnlite::NN_ISA
