#include "core/listening_sockets.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/kernel_sockets.h"

namespace sallyport::core {
namespace {

absl::StatusOr<int> OpenOne(const SocketAddress& address, SocketKind kind, bool reuse_port) {
  if (kind == SocketKind::kDatagram) return OpenDatagramSocket(address, {.reuse_port = reuse_port});
  return OpenListenerSocket(address, {.reuse_port = reuse_port});
}

// From now on sockets with SO_REUSEPORT of this user may join.
absl::Status Share(int fd, const SocketAddress& address) {
  const int yes = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("share ", address.ToString(), " among shards: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::vector<FileDescriptor>> OpenListeningSockets(const SocketAddress& address,
                                                                 SocketKind kind, uint32_t shards,
                                                                 bool is_shared) {
  std::vector<FileDescriptor> sockets;
  SocketAddress where = address;
  while (sockets.size() < shards) {
    const bool is_first = sockets.empty();
    const absl::StatusOr<int> fd = OpenOne(where, kind, !is_first || is_shared);
    if (!fd.ok()) return fd.status();
    sockets.emplace_back(*fd);
    if (!is_first || is_shared) continue;
    if (absl::Status status = Share(*fd, address); !status.ok()) return status;
    where = LocalAddressOf(*fd);
  }
  return sockets;
}

}  // namespace sallyport::core
