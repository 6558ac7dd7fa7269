// A microbenchmark is a list of cases: a kernel, its specs and attributes, and what it costs. The harness runs each of them for every instruction set and
// thread count asked for, in many short windows with the calibrator before and after each, and prints time, speed and fraction of peak.
//
//   int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "gemm", cases()); }
//
// Options: --quick (each case once through: does it run?), --peak (the calibrator alone), --only PART-OF-NAME, --isa NAME, --threads LIST (default 1,2), --json FILE.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/spec.h"
#include "runtime/step.h"

namespace nnlite::bench {

struct Case {
  std::string name;
  std::string kernel;
  std::vector<Spec> inputs;
  std::vector<Spec> outputs;
  Attributes attributes;
  double flops = 0;                                           // of one run; 0: bound by memory
  std::function<void(const std::vector<void*>& inputs)> fill;  // makes inputs that random numbers in [-1, 1) and integer zeros do not fit
};

Spec make_spec(std::vector<int64_t> dims, DType dtype = DType::kFloat32);

// Returns the exit status.
int run_benchmark(int argc, char** argv, const std::string& family, const std::vector<Case>& cases);

}  // namespace nnlite::bench
