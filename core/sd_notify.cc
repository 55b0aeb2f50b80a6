#include "core/sd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

namespace sallyport::core {
namespace {

std::string_view EnvironmentValue(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// The protocol is lines of VARIABLE=VALUE: a line end in our text would begin another variable.
std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

// When the manager gave the variable to another process ($WATCHDOG_PID), it is not for us.
std::optional<absl::Duration> WatchdogInterval() {
  const auto number = [](std::string_view text) {
    int64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && rest == text.data() + text.size() ? value : int64_t{0};
  };
  const int64_t period_us = number(EnvironmentValue("WATCHDOG_USEC"));
  const std::string_view pid = EnvironmentValue("WATCHDOG_PID");
  if (period_us <= 0 || (!pid.empty() && number(pid) != getpid())) return std::nullopt;
  return absl::Microseconds(period_us) / 2;
}

}  // namespace

SdNotify::SdNotify(std::string socket) : socket_(std::move(socket)) {}

SdNotify SdNotify::FromEnvironment() {
  SdNotify notify{std::string(EnvironmentValue("NOTIFY_SOCKET"))};
  notify.watchdog_interval_ = WatchdogInterval();
  return notify;
}

absl::Status SdNotify::Ready(std::string_view status) const {
  return Send("READY=1\nSTATUS=" + OneLine(status));
}

absl::Status SdNotify::Status(std::string_view status) const {
  return Send("STATUS=" + OneLine(status));
}

absl::Status SdNotify::Stopping(std::string_view status) const {
  return Send("STOPPING=1\nSTATUS=" + OneLine(status));
}

// systemd.service(5), Type=notify-reload: the manager orders our messages by this clock.
absl::Status SdNotify::Reloading(std::string_view status) const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t now_us = int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  return Send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us) +
              "\nSTATUS=" + OneLine(status));
}

absl::Status SdNotify::Watchdog() const { return Send("WATCHDOG=1"); }

absl::Status SdNotify::Send(std::string_view state) const {
  if (socket_.empty()) return absl::OkStatus();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof(address.sun_path) || (socket_[0] != '/' && socket_[0] != '@')) {
    return absl::InvalidArgumentError("NOTIFY_SOCKET is neither a path nor @name: " + socket_);
  }
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';  // The abstract namespace (unix(7)).
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());

  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, "notify socket");
  const ssize_t sent = sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&address), length);
  const int error = errno;
  close(descriptor);
  if (sent < 0) return absl::ErrnoToStatus(error, "cannot notify the service manager");
  return absl::OkStatus();
}

}  // namespace sallyport::core
