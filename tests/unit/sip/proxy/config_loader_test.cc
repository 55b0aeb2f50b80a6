// Goal: a load that does not end keeps its own thread and nothing else.
#include "sip/proxy/config_loader.h"

#include <poll.h>

#include <future>

#include "gtest/gtest.h"

namespace sallyport::sip {
namespace {

bool IsReadable(int fd, int wait_milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  return poll(&wait, 1, wait_milliseconds) == 1;
}

TEST(ConfigLoaderTest, GivesWhatWasLoadedOnceItsEventIsReadable) {
  ConfigLoader loader;
  EXPECT_FALSE(loader.is_loading());
  EXPECT_FALSE(loader.Take().has_value());
  ASSERT_TRUE(loader.Begin("/nonexistent.toml"));
  ASSERT_TRUE(IsReadable(loader.event_fd(), 10'000));
  const std::optional<LoadedConfig> loaded = loader.Take();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->config.file, "/nonexistent.toml");
  EXPECT_FALSE(loaded->ok());
  EXPECT_FALSE(loader.is_loading());
}

TEST(ConfigLoaderTest, OneAtATimeAndNothingBeforeItsEnd) {
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  ConfigLoader loader([opened](const std::string&) {
    opened.wait();
    return LoadedConfig();
  });
  ASSERT_TRUE(loader.Begin("a"));
  EXPECT_FALSE(loader.Begin("b"));
  EXPECT_FALSE(IsReadable(loader.event_fd(), 0));
  EXPECT_FALSE(loader.Take().has_value());
  EXPECT_TRUE(loader.is_loading());
  gate.set_value();
  ASSERT_TRUE(IsReadable(loader.event_fd(), 10'000));
  EXPECT_TRUE(loader.Take().has_value());
  EXPECT_TRUE(loader.Begin("b"));
  ASSERT_TRUE(IsReadable(loader.event_fd(), 10'000));
}

TEST(ConfigLoaderTest, IsLeftWhileAFileIsWaitedFor) {
  std::promise<void> gate;
  std::promise<void> ended;
  {
    ConfigLoader loader([opened = gate.get_future().share(), &ended](const std::string&) {
      opened.wait();
      ended.set_value_at_thread_exit();
      return LoadedConfig();
    });
    ASSERT_TRUE(loader.Begin("a"));
  }  // It does not wait.
  gate.set_value();
  ended.get_future().wait();
}

}  // namespace
}  // namespace sallyport::sip
