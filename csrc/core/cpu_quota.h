// How many CPUs this process may use.
#pragma once

namespace nnlite {

// The smaller of the affinity mask's count and the cgroup quota (v2 and v1, of the process's group and those above it), rounded down; at least 1.
int granted_cpus();

}  // namespace nnlite
