#include "runtime/step.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "core/check.h"
#include "core/spec_text.h"

namespace nnlite {
namespace {

constexpr int kIsas = 4;  // Isa::kAny .. Isa::kAvx512
// What one core of a current server CPU does when data is in its caches; the estimate only has to tell a microsecond from a hundred.
constexpr double kBytesPerNanosecond = 20;
constexpr double kFlopsPerNanosecond = 40;

struct Registered {
  PrepareFunction prepare[kIsas] = {};
};

std::map<std::string, Registered>& registry() {
  static std::map<std::string, Registered> kernels;  // in a function: registrars run before main in any order
  return kernels;
}

PrepareFunction find_kernel(const std::string& name, Isa isa) {
  const auto found = registry().find(name);
  if (found != registry().end()) {
    for (int i = static_cast<int>(isa) + 1; i >= 0; --i) {
      if (found->second.prepare[i] != nullptr) return found->second.prepare[i];
    }
  }
  fail_check("there is no kernel '%s' for instruction set %s", name.c_str(), isa_name(isa));
}

template <class T>
int copy_list(const std::vector<T>& list, T* values, int capacity) {
  std::copy_n(list.begin(), std::min<size_t>(list.size(), capacity), values);
  return static_cast<int>(list.size());
}

const char* type_text(const Attribute& attribute) {
  constexpr const char* kTexts[] = {"an int", "a float", "a string", "a list of ints", "a list of floats", "a list of strings"};
  return kTexts[attribute.index()];
}

}  // namespace

KernelRegistrar::KernelRegistrar(const char* name, Isa isa, PrepareFunction prepare) {
  PrepareFunction& slot = registry()[name].prepare[static_cast<int>(isa) + 1];
  if (slot != nullptr) {
    std::fprintf(stderr, "nnlite: kernel '%s' is registered twice for %s\n", name, isa_name(isa));
    std::abort();
  }
  slot = prepare;
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const auto& kernel : registry()) names.push_back(kernel.first);
  return names;
}

class Preparation final : public Prepare {
 public:
  explicit Preparation(Step* step) : step_(step) {}

  int num_inputs() const override { return static_cast<int>(step_->inputs_.size()); }
  int num_outputs() const override { return static_cast<int>(step_->outputs_.size()); }
  const Spec& input(int i) const override {
    if (i < 0 || i >= num_inputs()) fail("needs input %d, but has %d", i, num_inputs());
    return step_->inputs_[i];
  }
  const Spec& output(int i) const override {
    if (i < 0 || i >= num_outputs()) fail("needs output %d, but has %d", i, num_outputs());
    return step_->outputs_[i];
  }

  bool has(const char* name) const override { return find(name) != nullptr; }
  int64_t get_int(const char* name) const override { return read_int(name, required(name)); }
  int64_t get_int(const char* name, int64_t fallback) const override {
    const Attribute* attribute = find(name);
    return attribute == nullptr ? fallback : read_int(name, *attribute);
  }
  double get_float(const char* name) const override { return read_float(name, required(name)); }
  double get_float(const char* name, double fallback) const override {
    const Attribute* attribute = find(name);
    return attribute == nullptr ? fallback : read_float(name, *attribute);
  }
  const char* get_string(const char* name, const char* fallback) const override {
    const Attribute* attribute = find(name);
    if (attribute == nullptr) return fallback;
    if (const auto* text = std::get_if<std::string>(attribute)) return text->c_str();
    wrong_type(name, "a string", *attribute);
  }
  int get_ints(const char* name, int64_t* values, int capacity) const override {
    const Attribute& attribute = required(name);
    if (const auto* list = std::get_if<std::vector<int64_t>>(&attribute)) return copy_list(*list, values, capacity);
    wrong_type(name, "a list of ints", attribute);
  }
  int get_floats(const char* name, double* values, int capacity) const override {
    const Attribute& attribute = required(name);
    if (const auto* list = std::get_if<std::vector<double>>(&attribute)) return copy_list(*list, values, capacity);
    if (const auto* list = std::get_if<std::vector<int64_t>>(&attribute)) {
      std::copy_n(list->begin(), std::min<size_t>(list->size(), capacity), values);
      return static_cast<int>(list->size());
    }
    wrong_type(name, "a list of floats", attribute);
  }
  int get_strings(const char* name, const char** values, int capacity) const override {
    const Attribute& attribute = required(name);
    if (is_empty_list(attribute)) return 0;
    const auto* list = std::get_if<std::vector<std::string>>(&attribute);
    if (list == nullptr) wrong_type(name, "a list of strings", attribute);
    for (int i = 0; i < capacity && i < static_cast<int>(list->size()); ++i) values[i] = (*list)[i].c_str();
    return static_cast<int>(list->size());
  }

  void* new_state(size_t bytes) override {
    step_->state_ = Block(bytes);
    std::memset(step_->state_.data(), 0, bytes);
    return step_->state_.data();
  }
  void set_run(RunFunction run) override { step_->run_ = run; }
  void add_phase(int64_t chunks) override { step_->phases_.push_back(chunks); }
  void need_scratch(size_t bytes) override { step_->scratch_bytes_ = std::max(step_->scratch_bytes_, bytes); }
  void need_thread_scratch(size_t bytes) override { step_->thread_scratch_bytes_ = std::max(step_->thread_scratch_bytes_, bytes); }
  void set_cost(double flops) override { flops_ = flops; }

  [[noreturn]] void fail(const char* pattern, ...) const override __attribute__((format(printf, 2, 3))) {
    char text[1024];
    va_list list;
    va_start(list, pattern);
    std::vsnprintf(text, sizeof(text), pattern, list);
    va_end(list);
    throw std::invalid_argument(step_->kernel_ + ": " + text);
  }

  double nanoseconds() const {
    double bytes = 0;
    for (const Spec& spec : step_->inputs_) bytes += static_cast<double>(spec.bytes());
    for (const Spec& spec : step_->outputs_) bytes += static_cast<double>(spec.bytes());
    const Attribute* given = find("flops");
    const double flops = std::max(flops_, given == nullptr ? 0 : read_float("flops", *given));
    return bytes / kBytesPerNanosecond + flops / kFlopsPerNanosecond;
  }

 private:
  static bool is_empty_list(const Attribute& attribute) {
    const auto* ints = std::get_if<std::vector<int64_t>>(&attribute);
    return ints != nullptr && ints->empty();
  }
  const Attribute* find(const char* name) const {
    const auto found = step_->attributes_.find(name);
    return found == step_->attributes_.end() ? nullptr : &found->second;
  }
  const Attribute& required(const char* name) const {
    const Attribute* attribute = find(name);
    if (attribute == nullptr) fail("attribute '%s' is missing", name);
    return *attribute;
  }
  int64_t read_int(const char* name, const Attribute& attribute) const {
    if (const auto* value = std::get_if<int64_t>(&attribute)) return *value;
    wrong_type(name, "an int", attribute);
  }
  double read_float(const char* name, const Attribute& attribute) const {
    if (const auto* value = std::get_if<double>(&attribute)) return *value;
    if (const auto* value = std::get_if<int64_t>(&attribute)) return static_cast<double>(*value);
    wrong_type(name, "a float", attribute);
  }
  [[noreturn]] void wrong_type(const char* name, const char* expected, const Attribute& attribute) const {
    fail("attribute '%s' must be %s, got %s", name, expected, type_text(attribute));
  }

  Step* step_;
  double flops_ = 0;
};

Step::Step(const std::string& kernel, std::vector<Spec> inputs, std::vector<Spec> outputs, Attributes attributes, Isa isa)
    : kernel_(kernel), inputs_(std::move(inputs)), outputs_(std::move(outputs)), attributes_(std::move(attributes)) {
  const PrepareFunction prepare = find_kernel(kernel, isa);
  Preparation preparation(this);
  prepare(preparation);
  if (run_ == nullptr || phases_.empty()) preparation.fail("its prepare function must set a run function and at least one phase");
  nanoseconds_ = preparation.nanoseconds();
}

}  // namespace nnlite
