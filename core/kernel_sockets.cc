#include "core/kernel_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"

namespace sallyport::core {
namespace {

int FamilyOf(AddressFamily family) { return family == AddressFamily::kIpv6 ? AF_INET6 : AF_INET; }

bool SetOption(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

// What the kernel takes of a stream that it has not sent yet. Left alone it takes megabytes, and
// makes room again seldom and much at once: a queue of ours in front of it then stands still for
// seconds, and nothing is known of what waits behind it.
constexpr int kUnsentInKernelBytesMax = 512 * 1024;

bool SetStreamOptions(int fd) {
  return SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
         SetOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentInKernelBytesMax);
}

// What an operator can do about it.
absl::Status Failed(const char* action, const SocketAddress& address, int error) {
  const char* remedy = "";
  absl::StatusCode code = absl::StatusCode::kInternal;
  switch (error) {
    case EADDRINUSE:
      remedy = "; another process has this port: see `ss -lntup`";
      code = absl::StatusCode::kAlreadyExists;
      break;
    case EADDRNOTAVAIL:
      remedy = "; this address is not on any interface of this machine";
      code = absl::StatusCode::kNotFound;
      break;
    case EACCES:
      remedy = "; ports below 1024 need CAP_NET_BIND_SERVICE";
      code = absl::StatusCode::kPermissionDenied;
      break;
    case EMFILE:
    case ENFILE:
      remedy = "; raise the limit of open files (LimitNOFILE=, ulimit -n)";
      code = absl::StatusCode::kResourceExhausted;
      break;
    default:
      break;
  }
  return absl::Status(
      code, absl::StrCat(action, " ", address.ToString(), ": ", std::strerror(error), remedy));
}

absl::StatusOr<int> OpenBound(const SocketAddress& address, int type, bool reuse_port) {
  const int fd = socket(FamilyOf(address.family()), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Failed("open a socket for", address, errno);
  // REUSEADDR on TCP: a restart need not wait for TIME_WAIT. Never on UDP, where it would let
  // another process steal the port.
  bool ok =
      type != SOCK_STREAM || (SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1) && SetStreamOptions(fd));
  ok = ok && (!reuse_port || SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1));
  ok = ok && (!address.is_ipv6() || SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
  sockaddr_storage storage;
  const socklen_t length = address.ToSockaddr(storage);
  if (!ok || bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    const int error = errno;
    close(fd);
    return Failed("bind", address, error);
  }
  return fd;
}

SocketAddress AskAddress(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  if (ask(fd, address, &length) != 0) return {};
  return SocketAddress::FromSockaddr(address, length);
}

}  // namespace

absl::StatusOr<int> OpenListenerSocket(const SocketAddress& address,
                                       const ListenerOptions& options) {
  absl::StatusOr<int> fd = OpenBound(address, SOCK_STREAM, options.reuse_port);
  if (!fd.ok()) return fd;
  if (listen(*fd, options.backlog) != 0) {
    const int error = errno;
    close(*fd);
    return Failed("listen on", address, error);
  }
  return fd;
}

absl::StatusOr<int> OpenDatagramSocket(const SocketAddress& address,
                                       const DatagramOptions& options) {
  absl::StatusOr<int> fd = OpenBound(address, SOCK_DGRAM, options.reuse_port);
  if (!fd.ok()) return fd;
  // Less than asked for is what the system allows; that is no error.
  static_cast<void>(SetOption(*fd, SOL_SOCKET, SO_RCVBUF, options.receive_bytes));
  static_cast<void>(SetOption(*fd, SOL_SOCKET, SO_SNDBUF, options.send_bytes));
  return fd;
}

int OpenConnectSocket(AddressFamily family, const std::optional<SocketAddress>& local) {
  const int fd = socket(FamilyOf(family), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  bool ok = SetStreamOptions(fd);
  if (ok && local.has_value()) {
    // With port 0 the kernel may share local ports between different peers.
    if (local->port() == 0) static_cast<void>(SetOption(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1));
    sockaddr_storage storage;
    const socklen_t length = local->ToSockaddr(storage);
    ok = bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0;
  }
  if (ok) return fd;
  const int error = errno;
  close(fd);
  return -error;
}

SocketAddress LocalAddressOf(int fd) { return AskAddress(fd, getsockname); }

SocketAddress PeerAddressOf(int fd) { return AskAddress(fd, getpeername); }

int AcceptWithoutWaiting(int listener_fd) {
  // An inherited listening socket may be a blocking one.
  const int flags = fcntl(listener_fd, F_GETFL);
  if (flags < 0 || fcntl(listener_fd, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  const int fd = accept4(listener_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd >= 0 ? fd : -errno;
}

void ShutdownSending(int fd) {
  static_cast<void>(
      shutdown(fd, SHUT_WR));  // ENOTCONN: the peer has reset it; we notice elsewhere.
}

void CloseSocket(int fd) {
  // EINTR and EIO close it as well (close(2)); EBADF would be our own mistake.
  CHECK(close(fd) == 0 || errno != EBADF);
}

void ResetSocket(int fd) {
  const linger none{.l_onoff = 1, .l_linger = 0};
  static_cast<void>(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
  CloseSocket(fd);
}

ReserveDescriptor::ReserveDescriptor() { Open(); }

ReserveDescriptor::~ReserveDescriptor() {
  if (fd_ >= 0) close(fd_);
}

void ReserveDescriptor::Open() { fd_ = open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool ReserveDescriptor::RefuseOne(int listener_fd) {
  if (fd_ < 0) Open();
  if (fd_ < 0) return false;
  close(fd_);
  const int fd = AcceptWithoutWaiting(listener_fd);
  if (fd >= 0) ResetSocket(fd);
  Open();
  return fd >= 0;
}

}  // namespace sallyport::core
