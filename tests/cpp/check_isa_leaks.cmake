# Fails when an object of a per-ISA file defines a global or weak symbol outside namespace nnlite::<ISA>: the linker might keep that copy
# for code that must run on older CPUs.
string(REPLACE "|" ";" objects "${OBJECTS}")
string(LENGTH ${ISA} length)
execute_process(COMMAND ${NM} --defined-only ${objects} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[0-9a-f]+ [TWVuBDR] [^\n]*" globals "${symbols}")
list(FILTER globals EXCLUDE REGEX " _Z(TV|TS|TI|GV|L)?N?[KVr]*6nnlite${length}${ISA}")
list(FILTER globals EXCLUDE REGEX " _ZN?[KVr]*NK?6nnlite${length}${ISA}")
list(FILTER globals EXCLUDE REGEX " (DW\\.ref\\.)?__(gxx_personality_v0|odr_asan.*|asan_.*|ubsan_.*)")
if(globals)
  list(JOIN globals "\n  " listing)
  message(FATAL_ERROR "symbols outside namespace nnlite::${ISA} in files compiled for ${ISA}:\n  ${listing}")
endif()
