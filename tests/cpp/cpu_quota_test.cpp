#include "core/cpu_quota.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test.h"

namespace nnlite {
namespace {

// A file system of our own to read quotas from.
class FakeRoot {
 public:
  FakeRoot() {
    char name[] = "/tmp/nnlite_quota_XXXXXX";
    path_ = mkdtemp(name);
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  void write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = path_ + "/" + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  int cpus() const { return cgroup_cpus(path_); }

 private:
  std::string path_;
};

}  // namespace

TEST(quota_none) {
  FakeRoot root;
  EXPECT_EQ(root.cpus(), kNoCpuQuota);
  root.write("sys/fs/cgroup/cpu.max", "max 100000");
  root.write("proc/self/cgroup", "0::/");
  EXPECT_EQ(root.cpus(), kNoCpuQuota);
}

TEST(quota_v2_is_the_tightest_of_all_groups_above) {
  FakeRoot root;
  root.write("proc/self/cgroup", "0::/user/job");
  root.write("sys/fs/cgroup/user/job/cpu.max", "max 100000");
  root.write("sys/fs/cgroup/user/cpu.max", "350000 100000");
  EXPECT_EQ(root.cpus(), 3);
  root.write("sys/fs/cgroup/user/job/cpu.max", "50000 100000");
  EXPECT_EQ(root.cpus(), 1);
}

TEST(quota_v1) {
  FakeRoot root;
  root.write("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/job\n0::/");
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000");
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(root.cpus(), kNoCpuQuota);
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "400000");
  EXPECT_EQ(root.cpus(), 4);
}

TEST(quota_in_a_container_is_at_the_top) {
  FakeRoot root;
  root.write("proc/self/cgroup", "0::/../outside");
  root.write("sys/fs/cgroup/cpu.max", "200000 100000");
  EXPECT_EQ(root.cpus(), 2);
}

}  // namespace nnlite
