// The synchronous half of UringBackend: opening, asking and closing sockets. No io_uring in here.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "core/io_backend.h"
#include "core/socket_address.h"

namespace sallyport::core {

// See IoBackend for what each promises.
absl::StatusOr<int> OpenListenerSocket(const SocketAddress& address,
                                       const ListenerOptions& options);
absl::StatusOr<int> OpenDatagramSocket(const SocketAddress& address,
                                       const DatagramOptions& options);
int OpenConnectSocket(AddressFamily family, const std::optional<SocketAddress>& local);
SocketAddress LocalAddressOf(int fd);
SocketAddress PeerAddressOf(int fd);
int AcceptWithoutWaiting(int listener_fd);
void ShutdownSending(int fd);
void CloseSocket(int fd);
void ResetSocket(int fd);

// A descriptor kept back, so that running out of them can still be answered. One per backend.
class ReserveDescriptor {
 public:
  ReserveDescriptor();
  ReserveDescriptor(const ReserveDescriptor&) = delete;
  ReserveDescriptor& operator=(const ReserveDescriptor&) = delete;
  ~ReserveDescriptor();

  // Gives up the reserve, takes one connection and resets it, takes the reserve back.
  // False: nobody was waiting, or another thread was quicker.
  bool RefuseOne(int listener_fd);

 private:
  void Open();

  int fd_ = -1;
};

}  // namespace sallyport::core
