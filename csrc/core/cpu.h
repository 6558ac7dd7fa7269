// Which instruction set the kernels use: the best one this CPU and its operating system support, or the one NNLITE_ISA names.
#pragma once

namespace nnlite {

enum class Isa : int { kAny = -1, kBaseline = 0, kAvx2 = 1, kAvx512 = 2 };

// "baseline", "avx2", "avx512".
const char* isa_name(Isa isa);
// The best instruction set this machine can run (cpuid and xgetbv, asked once).
Isa best_isa();
// The one in use: `best_isa()`, or NNLITE_ISA when set to a name this machine can run. Decided once. An unknown or unsupported name makes
// `active_isa_error()` return a message and the best one is used until Python raises it at import.
Isa active_isa();
const char* active_isa_error();

// Per-ISA files are compiled once per instruction set with one of these defined by CMake; everything they define lives in
// namespace nnlite::NN_ISA.
#if defined(NN_COMPILE_AVX512)
#define NN_ISA avx512
#define NN_ISA_ENUM ::nnlite::Isa::kAvx512
#elif defined(NN_COMPILE_AVX2)
#define NN_ISA avx2
#define NN_ISA_ENUM ::nnlite::Isa::kAvx2
#elif defined(NN_COMPILE_BASELINE)
#define NN_ISA baseline
#define NN_ISA_ENUM ::nnlite::Isa::kBaseline
#endif

}  // namespace nnlite
