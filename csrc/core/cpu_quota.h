// How many CPUs this process may use.
#pragma once
#include <string>

namespace nnlite {

// The smaller of the affinity mask's count and the cgroup quota (v2 and v1, of the process's group and those above it), rounded down; at least 1.
int granted_cpus();

// The quota alone, as read from the file system under `root` ("" outside tests); kNoCpuQuota when there is none.
constexpr int kNoCpuQuota = 1 << 20;
int cgroup_cpus(const std::string& root);

}  // namespace nnlite
