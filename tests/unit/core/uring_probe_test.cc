#include "core/uring_probe.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

// The machine that runs the tests must have what the product needs; if it has not, this is where
// the words for the operator show.
TEST(UringProbeTest, ThisKernelHasEverything) {
  const absl::Status status = ProbeKernel();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UringProbeTest, NamesTheFeaturesInUse) {
  const std::vector<std::string> features = KernelFeatures();
  ASSERT_EQ(features.size(), 6u);
  EXPECT_EQ(features[0], "deferred task run");
  for (const std::string& feature : features) {
    EXPECT_EQ(feature.find("missing"), std::string::npos) << feature;
  }
}

// What a container runtime does: io_uring_setup fails with EPERM from here on, for good.
bool ForbidRings() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{4, program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// Goal: in a container with the usual seccomp profile the operator reads what to do. Method: a
// child that forbids itself io_uring.
TEST(UringProbeTest, ASeccompFilterIsNamedWithItsRemedy) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string words =
        ForbidRings() ? std::string(ProbeKernel().message()) : std::string("no seccomp here");
    const bool no_features = KernelFeatures().empty();
    const bool written = write(pipe_fds[1], words.data(), words.size()) >= 0;
    _exit(no_features && written ? 0 : 1);
  }
  close(pipe_fds[1]);
  std::string words(4096, '\0');
  const ssize_t bytes = read(pipe_fds[0], words.data(), words.size());
  close(pipe_fds[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  words.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  if (words == "no seccomp here") GTEST_SKIP();
  EXPECT_NE(words.find("seccomp"), std::string::npos) << words;
  EXPECT_NE(words.find("deploy/"), std::string::npos) << words;
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sallyport::core
