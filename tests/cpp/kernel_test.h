// Runs a kernel by name on buffers, for a chosen instruction set, thread count and order of chunks. Buffers are guarded: writing past an end fails.
//
//   Buffer x = random_buffer({4, 30}), y = run_kernel("relu", {x}, {x.spec()})[0];
//   EXPECT_EQ(y.at<float>(0), ...);
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/parallel.h"
#include "core/spec.h"
#include "runtime/step.h"
#include "runtime/step_parts.h"
#include "test.h"

namespace nnlite::test {

inline Spec make_spec(std::initializer_list<int64_t> dims, DType dtype = DType::kFloat32) {
  Spec spec;
  spec.dtype = dtype;
  for (int64_t dim : dims) spec.dims[spec.rank++] = dim;
  return spec;
}

// A tensor between two guard zones. Copies share the memory.
class Buffer {
 public:
  explicit Buffer(const Spec& spec) : spec_(spec), memory_(std::make_shared<Block>(spec.bytes() + 2 * kGuard)) {
    std::memset(memory_->data(), kGuardByte, memory_->bytes());
  }
  template <class T>
  Buffer(const Spec& spec, std::initializer_list<T> values) : Buffer(spec) {
    int64_t i = 0;
    for (T value : values) at<T>(i++) = value;
  }
  const Spec& spec() const { return spec_; }
  int64_t size() const { return spec_.size(); }
  void* data() const { return memory_->data() + kGuard; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data());
  }
  template <class T>
  T& at(int64_t i) const {
    return as<T>()[i];
  }
  bool guards_intact() const {
    const char* bytes = memory_->data();
    for (size_t i = 0; i < kGuard; ++i) {
      if (bytes[i] != kGuardByte || bytes[kGuard + spec_.bytes() + i] != kGuardByte) return false;
    }
    return true;
  }
  bool same_bytes(const Buffer& other) const {
    return spec_.bytes() == other.spec_.bytes() && std::memcmp(data(), other.data(), spec_.bytes()) == 0;
  }

 private:
  static constexpr size_t kGuard = 256;
  static constexpr char kGuardByte = 0x7b;
  Spec spec_;
  std::shared_ptr<Block> memory_;
};

// Uniform floats (float32 or float64) in [low, high), or integers for integer dtypes; the same for the same seed.
inline Buffer random_buffer(const Spec& spec, uint64_t seed = 1, double low = -1, double high = 1) {
  Buffer buffer(spec);
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (int64_t i = 0; i < spec.size(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double value = low + (high - low) * static_cast<double>(state >> 11) / 9007199254740992.0;
    switch (spec.dtype) {
      case DType::kFloat32: buffer.at<float>(i) = static_cast<float>(value); break;
      case DType::kFloat64: buffer.at<double>(i) = value; break;
      case DType::kInt32: buffer.at<int32_t>(i) = static_cast<int32_t>(value); break;
      case DType::kInt64: buffer.at<int64_t>(i) = static_cast<int64_t>(value); break;
      case DType::kBFloat16: {
        const float narrow = static_cast<float>(value);
        uint32_t bits;
        std::memcpy(&bits, &narrow, sizeof(bits));
        buffer.at<uint16_t>(i) = static_cast<uint16_t>(bits >> 16);
        break;
      }
      case DType::kBool: buffer.at<uint8_t>(i) = value >= (low + high) / 2; break;
      default: buffer.at<uint8_t>(i) = static_cast<uint8_t>(static_cast<int64_t>(value)); break;
    }
  }
  return buffer;
}
inline Buffer random_buffer(std::initializer_list<int64_t> dims, uint64_t seed = 1, double low = -1, double high = 1) {
  return random_buffer(make_spec(dims), seed, low, high);
}

// All that this machine can run, the lowest first.
inline std::vector<Isa> runnable_isas() {
  std::vector<Isa> isas;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) isas.push_back(static_cast<Isa>(i));
  return isas;
}

enum class Order { kWhole, kBackwards, kTeam };

// Runs one chunk at a time, from the last to the first: finds chunks that depend on each other.
inline void run_backwards(const Step& step, const StepArgs& args) {
  for (size_t phase = 0; phase < step.phases().size(); ++phase) {
    for (int64_t chunk = step.phases()[phase] - 1; chunk >= 0; --chunk) step.run(static_cast<int>(phase), chunk, chunk + 1, args);
  }
}

// Runs `step` into `outputs`: all chunks of a phase in one call, chunk by chunk backwards, or shared by a team of `threads`.
inline void run_step(const Step& step, const std::vector<Buffer>& inputs, const std::vector<Buffer>& outputs, Order order = Order::kWhole,
                     int threads = 1) {
  std::vector<void*> in, out;
  for (const Buffer& buffer : inputs) in.push_back(buffer.data());
  for (const Buffer& buffer : outputs) out.push_back(buffer.data());
  const Buffer scratch(make_spec({static_cast<int64_t>(step.scratch_bytes())}, DType::kUInt8));
  const Buffer own(make_spec({static_cast<int64_t>(step.thread_scratch_bytes())}, DType::kUInt8));
  const StepArgs args = {in.data(), out.data(), scratch.data(), own.data()};
  if (order == Order::kWhole) {
    step.run_serial(args);
  } else if (order == Order::kBackwards) {
    run_backwards(step, args);
  } else {
    StepParts parts(step, args, threads);
    run_parts(threads, parts);
  }
  for (const Buffer& buffer : inputs) EXPECT(buffer.guards_intact());
  for (const Buffer& buffer : outputs) EXPECT(buffer.guards_intact());
  EXPECT(scratch.guards_intact() && own.guards_intact());
}

// Prepares and runs; the results are in fresh buffers.
inline std::vector<Buffer> run_kernel(const std::string& kernel, const std::vector<Buffer>& inputs, const std::vector<Spec>& output_specs,
                                      const Attributes& attributes = {}, Isa isa = active_isa(), Order order = Order::kWhole, int threads = 1) {
  std::vector<Spec> input_specs;
  for (const Buffer& buffer : inputs) input_specs.push_back(buffer.spec());
  const Step step(kernel, input_specs, output_specs, attributes, isa);
  std::vector<Buffer> outputs;
  for (const Spec& spec : output_specs) outputs.emplace_back(spec);
  run_step(step, inputs, outputs, order, threads);
  return outputs;
}

// Every instruction set, order and thread count must give the same bits; AVX2 and AVX-512 too. Returns the active one's results.
inline std::vector<Buffer> run_every_way(const std::string& kernel, const std::vector<Buffer>& inputs, const std::vector<Spec>& output_specs,
                                         const Attributes& attributes = {}) {
  std::vector<Buffer> wide;
  for (Isa isa : runnable_isas()) {
    const auto whole = run_kernel(kernel, inputs, output_specs, attributes, isa);
    const auto backwards = run_kernel(kernel, inputs, output_specs, attributes, isa, Order::kBackwards);
    const auto team = run_kernel(kernel, inputs, output_specs, attributes, isa, Order::kTeam, 2);
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT(whole[i].same_bytes(backwards[i]));
      EXPECT(whole[i].same_bytes(team[i]));
      if (isa > Isa::kAvx2) EXPECT(whole[i].same_bytes(wide[i]));
    }
    wide = whole;
  }
  return run_kernel(kernel, inputs, output_specs, attributes);
}

}  // namespace nnlite::test
