#include "core/uring_probe.h"

#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/check.h"
#include "core/uring_buffers.h"

namespace sallyport::core {
namespace {

constexpr uint16_t kGroup = 1;
constexpr uint64_t kMark = 7;

// A ring of its own for one attempt; everything is undone with it.
class TrialRing {
 public:
  explicit TrialRing(uint32_t flags) {
    io_uring_params params{};
    params.flags = flags;
    params.cq_entries = 64;
    error_ = io_uring_queue_init_params(8, &ring_, &params);
  }
  TrialRing(const TrialRing&) = delete;
  TrialRing& operator=(const TrialRing&) = delete;
  ~TrialRing() {
    if (error_ == 0) io_uring_queue_exit(&ring_);
  }

  int error() const { return error_; }
  io_uring& ring() { return ring_; }
  io_uring_sqe* Entry() {
    io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
    return entry;
  }

  // Hands over and waits a little for one result. False: none came.
  bool Wait(io_uring_cqe& result) {
    __kernel_timespec limit{0, 200'000'000};
    io_uring_cqe* done = nullptr;
    if (io_uring_submit_and_wait_timeout(&ring_, &done, 1, &limit, nullptr) < 0) return false;
    if (io_uring_peek_cqe(&ring_, &done) != 0) return false;
    result.res = done->res;
    result.flags = done->flags;
    result.user_data = done->user_data;
    io_uring_cqe_seen(&ring_, done);
    return true;
  }

 private:
  io_uring ring_{};
  int error_ = 0;
};

constexpr uint32_t kRingFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;

class SocketPair {
 public:
  explicit SocketPair(int type) {
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds_.data()) != 0) fds_ = {-1, -1};
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  ~SocketPair() {
    for (const int fd : fds_) {
      if (fd >= 0) close(fd);
    }
  }
  int ours() const { return fds_[0]; }
  bool Feed() const { return write(fds_[1], "sip", 3) == 3; }

 private:
  std::array<int, 2> fds_{-1, -1};
};

bool HasDeferredTaskRun() { return TrialRing(kRingFlags).error() == 0; }

bool HasProvidedBuffers() {
  UringBuffers buffers(kGroup, 8, 4096);
  TrialRing trial(kRingFlags);
  return trial.error() == 0 && buffers.Register(trial.ring()) == 0;
}

// Two messages must give two results of one operation, both with a buffer.
bool HasMultishot(int socket_type, void (*prepare)(io_uring_sqe*, int)) {
  UringBuffers buffers(kGroup, 8, 4096);
  TrialRing trial(kRingFlags);
  const SocketPair pair(socket_type);
  if (trial.error() != 0 || buffers.Register(trial.ring()) != 0 || pair.ours() < 0) return false;
  io_uring_sqe* const entry = trial.Entry();
  prepare(entry, pair.ours());
  io_uring_sqe_set_flags(entry, IOSQE_BUFFER_SELECT);
  entry->buf_group = kGroup;
  for (int message = 0; message < 2; ++message) {
    io_uring_cqe done{};
    if (!pair.Feed() || !trial.Wait(done)) return false;
    constexpr uint32_t kBoth = IORING_CQE_F_MORE | IORING_CQE_F_BUFFER;
    if (done.res <= 0 || (done.flags & kBoth) != kBoth) return false;
  }
  return true;
}

bool HasMultishotReceive() {
  return HasMultishot(SOCK_STREAM, [](io_uring_sqe* entry, int fd) {
    io_uring_prep_recv_multishot(entry, fd, nullptr, 0, 0);
  });
}

bool HasMultishotDatagrams() {
  static msghdr layout{};
  return HasMultishot(SOCK_DGRAM, [](io_uring_sqe* entry, int fd) {
    io_uring_prep_recvmsg_multishot(entry, fd, &layout, 0);
  });
}

bool HasMultishotAccept() {
  TrialRing trial(kRingFlags);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  // Binding nothing but the family gives an abstract name that is free.
  bool works = trial.error() == 0 && bind(listener, generic, sizeof(sa_family_t)) == 0 &&
               listen(listener, 4) == 0 && getsockname(listener, generic, &length) == 0 &&
               connect(peer, generic, length) == 0;
  if (works) {
    io_uring_prep_multishot_accept(trial.Entry(), listener, nullptr, nullptr, SOCK_CLOEXEC);
    io_uring_cqe done{};
    works = trial.Wait(done) && done.res >= 0 && (done.flags & IORING_CQE_F_MORE) != 0;
    if (done.res > 0) close(done.res);
  }
  if (listener >= 0) close(listener);
  if (peer >= 0) close(peer);
  return works;
}

bool HasRingMessages() {
  TrialRing sender(0 | IORING_SETUP_CQSIZE);
  TrialRing receiver(kRingFlags);
  if (sender.error() != 0 || receiver.error() != 0) return false;
  io_uring_prep_msg_ring(sender.Entry(), receiver.ring().ring_fd, 0, kMark, 0);
  io_uring_cqe sent{};
  io_uring_cqe received{};
  return sender.Wait(sent) && sent.res == 0 && receiver.Wait(received) &&
         received.user_data == kMark;
}

struct Feature {
  const char* name;
  bool (*works)();
};
constexpr Feature kFeatures[] = {
    {"deferred task run", HasDeferredTaskRun},
    {"provided buffer rings", HasProvidedBuffers},
    {"multishot accept", HasMultishotAccept},
    {"multishot receive", HasMultishotReceive},
    {"multishot datagram receive", HasMultishotDatagrams},
    {"ring messages", HasRingMessages},
};

std::string ReadSetting(const char* path) {
  std::ifstream file(path);
  std::string value;
  file >> value;
  return value;
}

bool IsSeccompFiltered() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("Seccomp:", 0) == 0) return line.find('2') != std::string::npos;
  }
  return false;
}

absl::Status ExplainForbidden() {
  const std::string disabled = ReadSetting("/proc/sys/kernel/io_uring_disabled");
  if (disabled == "2" || disabled == "1") {
    return absl::PermissionDeniedError(absl::StrCat(
        "io_uring is switched off on this machine (kernel.io_uring_disabled = ", disabled,
        "); set it to 0 with `sysctl -w kernel.io_uring_disabled=0`",
        disabled == "1" ? ", or put this user into the group of kernel.io_uring_group" : ""));
  }
  if (IsSeccompFiltered()) {
    return absl::PermissionDeniedError(
        "io_uring is forbidden by a seccomp filter, as container runtimes set by default; run the "
        "container with the profile deploy/seccomp.json of Sallyport's source (docker run "
        "--security-opt seccomp=deploy/seccomp.json, or securityContext.seccompProfile in "
        "Kubernetes)");
  }
  return absl::PermissionDeniedError(
      "io_uring_setup: operation not permitted, and neither kernel.io_uring_disabled nor a seccomp "
      "filter says why; look for a security module (SELinux, AppArmor) in the audit log");
}

absl::Status ExplainSetup(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return ExplainForbidden();
    case ENOSYS:
      if (IsSeccompFiltered()) return ExplainForbidden();
      return absl::UnimplementedError(
          "this kernel was built without io_uring; Linux 6.1 or later with CONFIG_IO_URING=y is "
          "needed");
    case ENOMEM:
      return absl::ResourceExhaustedError(
          "the kernel refused memory for io_uring; raise the limit of locked memory "
          "(LimitMEMLOCK=infinity, ulimit -l unlimited) or the memory limit of the container");
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(
          "no file descriptors left for io_uring; raise LimitNOFILE= (ulimit -n)");
    default:
      return absl::UnavailableError(absl::StrCat("io_uring_setup: ", std::strerror(error)));
  }
}

}  // namespace

absl::Status ProbeKernel() {
  if (const TrialRing plain(IORING_SETUP_CQSIZE); plain.error() != 0) {
    return ExplainSetup(-plain.error());
  }
  std::vector<std::string> missing;
  for (const Feature& feature : kFeatures) {
    if (!feature.works()) missing.emplace_back(feature.name);
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("this kernel's io_uring lacks: ", absl::StrJoin(missing, ", "),
                   "; Linux 6.1 or later is needed"));
}

std::vector<std::string> KernelFeatures() {
  std::vector<std::string> features;
  if (TrialRing(IORING_SETUP_CQSIZE).error() != 0) return features;
  for (const Feature& feature : kFeatures) {
    features.push_back(feature.works() ? feature.name : absl::StrCat(feature.name, " (missing)"));
  }
  return features;
}

}  // namespace sallyport::core
