// What a kernel is: a `prepare` function that looks at specs and attributes once, and a `run` function that only computes.
//
// A kernel registers one `prepare` per instruction set under the name of its op. `prepare` chooses the variant, copies what
// `run` needs into a plain-data state, and says how the work is cut: one or more phases, each of a number of chunks. All chunks of
// a phase may run at once, on any thread, in any order; phases are separated by a barrier. The cut depends on shapes only, never
// on the number of threads, so results have the same bits for any number of threads.
//
// `run` allocates nothing, throws nothing, knows no Python and no OpenMP. This header may be included by per-ISA files: no STL here.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/cpu.h"
#include "core/integers.h"
#include "core/spec.h"

namespace nnlite {

// Pointers a step works on. They are bound when the plan is built; `in` and `out` are ordered as the op's inputs and outputs.
struct StepArgs {
  void* const* in;
  void* const* out;
  void* scratch;         // shared by all threads of the step, `need_scratch` bytes, 64-byte aligned, contents undefined at phase 0
  void* thread_scratch;  // private to the calling thread, `need_thread_scratch` bytes, 64-byte aligned
};

// Computes chunks [begin, end) of one phase.
using RunFunction = void (*)(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args);

// Handed to a kernel's prepare function. Implemented in runtime/step.cpp; nothing here is inline on purpose.
class Prepare {
 public:
  virtual int num_inputs() const = 0;
  virtual int num_outputs() const = 0;
  virtual const Spec& input(int i) const = 0;
  virtual const Spec& output(int i) const = 0;

  // Attributes, as given by the op. The forms without a fallback fail when the attribute is missing.
  virtual bool has(const char* name) const = 0;
  virtual int64_t get_int(const char* name) const = 0;
  virtual int64_t get_int(const char* name, int64_t fallback) const = 0;
  virtual double get_float(const char* name) const = 0;
  virtual double get_float(const char* name, double fallback) const = 0;
  virtual const char* get_string(const char* name, const char* fallback) const = 0;
  // Lists: returns how many there are and writes at most `capacity` of them.
  virtual int get_ints(const char* name, int64_t* values, int capacity) const = 0;
  virtual int get_floats(const char* name, double* values, int capacity) const = 0;
  virtual int get_strings(const char* name, const char** values, int capacity) const = 0;

  // Results.
  virtual void* new_state(size_t bytes) = 0;  // zeroed, 64-byte aligned, freed with the step; plain data only
  virtual void set_run(RunFunction run) = 0;
  virtual void add_phase(int64_t chunks) = 0;  // at least one phase; chunks >= 0
  virtual void need_scratch(size_t bytes) = 0;
  virtual void need_thread_scratch(size_t bytes) = 0;
  // Floating-point operations of one run (a multiply-add counts two, an exp or tanh about ten). Steers whether threads pay, never a result.
  // Without it the bytes of the inputs and outputs are the measure.
  virtual void set_cost(double flops) = 0;
  // Gives up with a message (printf format) that Python raises as ValueError, prefixed with the kernel's name.
  [[noreturn]] virtual void fail(const char* format, ...) const = 0;

 protected:
  ~Prepare() = default;
};

using PrepareFunction = void (*)(Prepare& prepare);

// Registers `prepare` for (name, isa); called from static initialisers through NN_KERNEL. A kernel that does not depend on the
// instruction set registers once with Isa::kAny.
struct KernelRegistrar {
  KernelRegistrar(const char* name, Isa isa, PrepareFunction prepare);
};

// In a per-ISA file (`x.isa.cpp`), inside namespace nnlite::NN_ISA: NN_KERNEL("conv2d", prepare_conv2d);
#define NN_KERNEL_CONCAT2(a, b) a##b
#define NN_KERNEL_CONCAT(a, b) NN_KERNEL_CONCAT2(a, b)
#define NN_KERNEL(name, prepare) static ::nnlite::KernelRegistrar NN_KERNEL_CONCAT(kernel_registrar_, __LINE__)(name, NN_ISA_ENUM, prepare)

}  // namespace nnlite
