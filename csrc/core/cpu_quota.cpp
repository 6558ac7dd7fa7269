#include "core/cpu_quota.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace nnlite {
namespace {

int affinity_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : kNoCpuQuota;
}

int quota_cpus(double quota, double period) { return quota > 0 && period > 0 ? std::max(1, static_cast<int>(quota / period)) : kNoCpuQuota; }

// cgroup v2: "max 100000" or "200000 100000".
int v2_limit(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max") return kNoCpuQuota;
  return quota_cpus(std::atof(quota.c_str()), period);
}

int v1_limit(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (!(quota_file >> quota) || !(period_file >> period)) return kNoCpuQuota;
  return quota_cpus(quota, period);
}

// The tightest limit of a group and the groups above it.
int limit_upwards(const std::string& root, std::string group, int (*limit)(const std::string&)) {
  int least = limit(root);
  while (group.size() > 1) {
    least = std::min(least, limit(root + group));
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
  return least;
}

}  // namespace

int cgroup_cpus(const std::string& root) {
  const std::string base = root + "/sys/fs/cgroup";
  int least = std::min(v2_limit(base), v1_limit(base + "/cpu"));
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1)
    std::istringstream fields(line);
    std::string number, controllers, group;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, group);
    if (controllers.empty()) least = std::min(least, limit_upwards(base, group, v2_limit));
    if (("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    least = std::min({least, limit_upwards(base + "/cpu", group, v1_limit), limit_upwards(base + "/cpu,cpuacct", group, v1_limit)});
  }
  return least;
}

int granted_cpus() { return std::max(1, std::min(affinity_cpus(), cgroup_cpus(""))); }

}  // namespace nnlite
