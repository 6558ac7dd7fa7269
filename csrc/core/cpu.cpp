#include "core/cpu.h"

#include <cstdlib>
#include <cstring>
#include <string>

namespace nnlite {
namespace {

constexpr const char* kNames[] = {"baseline", "avx2", "avx512"};

struct Choice {
  Isa isa;
  std::string error;
};

Isa detect() {
#if defined(__x86_64__)
  // __builtin_cpu_supports asks both cpuid and, through xgetbv, whether the operating system saves the registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni") &&
                      __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi");
  return avx512 ? Isa::kAvx512 : avx2 ? Isa::kAvx2 : Isa::kBaseline;
#else
  return Isa::kBaseline;
#endif
}

Choice choose() {
  const Isa best = best_isa();
  const char* wanted = std::getenv("NNLITE_ISA");
  if (wanted == nullptr || *wanted == '\0') return {best, ""};
  std::string allowed;
  for (int i = 0; i <= static_cast<int>(best); ++i) {
    if (std::strcmp(wanted, kNames[i]) == 0) return {static_cast<Isa>(i), ""};
    allowed += std::string(i ? ", " : "") + kNames[i];
  }
  return {best, "NNLITE_ISA must name an instruction set this machine can run (" + allowed + "); got '" + wanted + "'"};
}

const Choice& choice() {
  static const Choice made = choose();
  return made;
}

}  // namespace

const char* isa_name(Isa isa) { return isa == Isa::kAny ? "any" : kNames[static_cast<int>(isa)]; }

Isa best_isa() {
  static const Isa best = detect();
  return best;
}

Isa active_isa() { return choice().isa; }

const char* active_isa_error() { return choice().error.empty() ? nullptr : choice().error.c_str(); }

}  // namespace nnlite
