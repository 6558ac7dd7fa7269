// Runs the tests whose names contain the first argument (all without one). The last line is "N passed, N failed".
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "test.h"

namespace nnlite::test {
namespace {

constexpr int kShownFailures = 5;
int failures = 0;

std::vector<std::pair<const char*, TestFunction>>& tests() {
  static std::vector<std::pair<const char*, TestFunction>> all;
  return all;
}

}  // namespace

TestRegistrar::TestRegistrar(const char* name, TestFunction function) { tests().emplace_back(name, function); }

void report_failure(const char* file, int line, const std::string& message) {
  if (++failures <= kShownFailures) std::printf("%s:%d: %s\n", file, line, message.c_str());
}

}  // namespace nnlite::test

#if defined(NN_SANITIZED)
// Too large a request must come back as a null pointer, as it does without sanitizers.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
#endif

int main(int argc, char** argv) {
  using namespace nnlite::test;
  int passed = 0, failed = 0;
  for (const auto& [name, function] : tests()) {
    if (argc > 1 && std::strstr(name, argv[1]) == nullptr) continue;
    failures = 0;
    try {
      function();
    } catch (const std::exception& error) {
      report_failure(name, 0, error.what());
    }
    if (failures > 0) std::printf("FAILED %s (%d failures)\n", name, failures);
    ++(failures == 0 ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
