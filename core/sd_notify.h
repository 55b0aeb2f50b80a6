// The service manager's readiness protocol (sd_notify(3)): datagrams to the socket in
// $NOTIFY_SOCKET. Without that variable every call does nothing and succeeds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace sallyport::core {

class SdNotify {
 public:
  // Takes the address from the environment and remembers it. Call it before threads start.
  static SdNotify FromEnvironment();
  // For tests: a path, or "@name" for an abstract socket; empty: silent.
  explicit SdNotify(std::string socket);

  absl::Status Ready(std::string_view status) const;      // READY=1, also after a reload.
  absl::Status Status(std::string_view status) const;     // STATUS=, one line.
  absl::Status Stopping(std::string_view status) const;   // STOPPING=1
  absl::Status Reloading(std::string_view status) const;  // RELOADING=1 with MONOTONIC_USEC.
  absl::Status Watchdog() const;                          // WATCHDOG=1

  // How often Watchdog() must be called (half of $WATCHDOG_USEC), if the manager watches us.
  std::optional<absl::Duration> watchdog_interval() const { return watchdog_interval_; }

 private:
  absl::Status Send(std::string_view state) const;

  std::string socket_;
  std::optional<absl::Duration> watchdog_interval_;
};

}  // namespace sallyport::core
