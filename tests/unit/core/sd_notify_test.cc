// Goal: the service manager gets the words of sd_notify(3), and nobody can add a variable by a
// status text.
#include "core/sd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::MatchesRegex;

// A service manager's end, in the abstract namespace.
class Manager {
 public:
  Manager() : name_("@sallyport-notify-test-" + std::to_string(getpid())) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    address.sun_path[0] = '\0';
    descriptor_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size())),
              0);
  }
  ~Manager() { close(descriptor_); }
  const std::string& name() const { return name_; }
  std::string Received() const {
    char text[512];
    const ssize_t bytes = recv(descriptor_, text, sizeof(text), 0);
    return bytes < 0 ? "" : std::string(text, static_cast<size_t>(bytes));
  }

 private:
  std::string name_;
  int descriptor_ = -1;
};

TEST(SdNotifyTest, SaysTheWordsOfTheProtocol) {
  const Manager manager;
  const SdNotify notify(manager.name());
  EXPECT_TRUE(notify.Ready("serving").ok());
  EXPECT_EQ(manager.Received(), "READY=1\nSTATUS=serving");
  EXPECT_TRUE(notify.Status("3 connections").ok());
  EXPECT_EQ(manager.Received(), "STATUS=3 connections");
  EXPECT_TRUE(notify.Reloading("reloading").ok());
  EXPECT_THAT(manager.Received(),
              MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=reloading"));
  EXPECT_TRUE(notify.Stopping("draining").ok());
  EXPECT_EQ(manager.Received(), "STOPPING=1\nSTATUS=draining");
  EXPECT_TRUE(notify.Watchdog().ok());
  EXPECT_EQ(manager.Received(), "WATCHDOG=1");
}

TEST(SdNotifyTest, AStatusIsOneLine) {
  const Manager manager;
  EXPECT_TRUE(SdNotify(manager.name()).Status("a\nMAINPID=1\r").ok());
  EXPECT_EQ(manager.Received(), "STATUS=a MAINPID=1 ");
}

TEST(SdNotifyTest, WithoutAManagerNothingHappens) { EXPECT_TRUE(SdNotify("").Ready("x").ok()); }

TEST(SdNotifyTest, ABadAddressIsAnError) {
  EXPECT_FALSE(SdNotify("relative").Ready("x").ok());
  EXPECT_FALSE(SdNotify("@nobody-listens-here").Ready("x").ok());
  EXPECT_FALSE(SdNotify("/" + std::string(200, 'x')).Ready("x").ok());
}

TEST(SdNotifyTest, TheWatchdogIsForThisProcessOnly) {
  setenv("WATCHDOG_USEC", "10000000", 1);
  unsetenv("WATCHDOG_PID");
  EXPECT_EQ(SdNotify::FromEnvironment().watchdog_interval(), absl::Seconds(5));
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(SdNotify::FromEnvironment().watchdog_interval(), std::nullopt);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(SdNotify::FromEnvironment().watchdog_interval(), absl::Seconds(5));
  setenv("WATCHDOG_USEC", "10x", 1);
  EXPECT_EQ(SdNotify::FromEnvironment().watchdog_interval(), std::nullopt);
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
}

}  // namespace
}  // namespace sallyport::core
