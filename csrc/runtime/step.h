// Step: one kernel, prepared once for its specs and attributes. Also the registry of kernels.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/arena.h"
#include "kernels/kernel.h"

namespace nnlite {

using Attribute = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;
using Attributes = std::map<std::string, Attribute>;

class Step {
 public:
  // Runs the kernel's prepare function for `isa`, or the nearest lower instruction set that has one. Throws std::invalid_argument.
  Step(const std::string& kernel, std::vector<Spec> inputs, std::vector<Spec> outputs, Attributes attributes, Isa isa = active_isa());
  Step(Step&&) = default;
  Step& operator=(Step&&) = default;

  const std::string& kernel() const { return kernel_; }
  const std::vector<Spec>& inputs() const { return inputs_; }
  const std::vector<Spec>& outputs() const { return outputs_; }
  const std::vector<int64_t>& phases() const { return phases_; }  // the number of chunks of each
  size_t scratch_bytes() const { return scratch_bytes_; }
  size_t thread_scratch_bytes() const { return thread_scratch_bytes_; }
  RunFunction run_function() const { return run_; }
  const void* state() const { return state_.data(); }
  // One thread's time for the whole step, estimated from bytes and the kernel's set_cost(), or the attribute "flops" of the caller. The latter
  // is believed; the former only until plans and eager steps have measured.
  double nanoseconds() const { return nanoseconds_; }
  bool has_stated_cost() const { return attributes_.count("flops") > 0; }

  void run(int phase, int64_t begin, int64_t end, const StepArgs& args) const { run_(state(), phase, begin, end, args); }
  // All phases, one after the other, on the calling thread.
  void run_serial(const StepArgs& args) const {
    for (size_t i = 0; i < phases_.size(); ++i) run(static_cast<int>(i), 0, phases_[i], args);
  }

 private:
  friend class Preparation;

  std::string kernel_;
  std::vector<Spec> inputs_;
  std::vector<Spec> outputs_;
  Attributes attributes_;
  std::vector<int64_t> phases_;
  size_t scratch_bytes_ = 0;
  size_t thread_scratch_bytes_ = 0;
  RunFunction run_ = nullptr;
  Block state_;
  double nanoseconds_ = 0;
};

// The names of all registered kernels, sorted.
std::vector<std::string> kernel_names();

}  // namespace nnlite
