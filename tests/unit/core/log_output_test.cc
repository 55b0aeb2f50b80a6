// Goal: a descriptor that takes nothing for a while costs whole lines, which are counted, and no
// halves. Method: a pipe that is full, /dev/full, and a file under a limit of size.
#include "core/log_output.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

std::string Line(char c, size_t bytes = 100) { return std::string(bytes - 1, c) + "\n"; }

TEST(LogOutputTest, ADeviceThatIsFullLosesWholeLinesAndSaysWhy) {
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  LogOutput output(full);
  output.Write(Line('a') + Line('b'));
  EXPECT_EQ(output.untold(), 2u);
  EXPECT_EQ(output.error(), ENOSPC);
  EXPECT_FALSE(output.WriteRecovery(Line('r')));
  EXPECT_EQ(output.lost(), 2u);  // The line that tells is none of them.
  close(full);
}

// A limit of file size cuts where it falls, as a full disk does.
class LimitedFileTest : public ::testing::TestWithParam<int> {
 protected:
  LimitedFileTest() {
    char pattern[] = "/tmp/sallyport-log-XXXXXX";
    const int made = mkstemp(pattern);
    close(made);
    path_ = pattern;
    file_ = open(pattern, O_RDWR | GetParam());
    before_ = signal(SIGXFSZ, SIG_IGN);
  }
  ~LimitedFileTest() override {
    Limit(RLIM_INFINITY);
    signal(SIGXFSZ, before_);
    close(file_);
    unlink(path_.c_str());
  }

  static void Limit(rlim_t bytes) {
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  std::string Text() const {
    std::array<char, 4096> text;
    const ssize_t bytes = pread(file_, text.data(), text.size(), 0);
    return {text.data(), static_cast<size_t>(bytes)};
  }

  std::string path_;
  int file_ = -1;
  void (*before_)(int) = nullptr;
};

TEST_P(LimitedFileTest, ALineThatWasCutIsTakenBack) {
  LogOutput output(file_);
  for (size_t limit = 1; limit <= 300; limit += 23) {
    ASSERT_EQ(ftruncate(file_, 0), 0);
    ASSERT_EQ(lseek(file_, 0, SEEK_SET), 0);
    Limit(limit);
    const uint64_t lost = output.lost();
    output.Write(Line('a') + Line('b') + Line('c'));
    const uint64_t fit = limit / 100;
    EXPECT_EQ(output.lost() - lost, 3 - fit) << limit;
    EXPECT_EQ(Text(), (Line('a') + Line('b') + Line('c')).substr(0, fit * 100)) << limit;
    Limit(RLIM_INFINITY);
    EXPECT_TRUE(output.WriteRecovery(Line('r')));
    EXPECT_EQ(output.untold(), 0u);
    EXPECT_EQ(Text().substr(fit * 100), Line('r'));
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, LimitedFileTest, ::testing::Values(0, O_APPEND));

TEST(LogOutputTest, ALineThatAPipeCutIsFinishedLater) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK), 0);
  ASSERT_EQ(fcntl(ends[1], F_SETPIPE_SZ, 8192), 8192);
  LogOutput output(ends[1]);
  output.Write(Line('.', 4096));
  EXPECT_EQ(output.lost(), 0u);
  output.Write(Line('a', 6000) + Line('b'));  // There is room for 4096 bytes.
  output.Write(Line('c'));
  EXPECT_EQ(output.lost(), 2u);
  EXPECT_EQ(output.error(), EAGAIN);
  std::string got;
  std::array<char, 65536> chunk;
  const auto drain = [&] {
    for (ssize_t bytes = 0; (bytes = read(ends[0], chunk.data(), chunk.size())) > 0;) {
      got.append(chunk.data(), static_cast<size_t>(bytes));
    }
  };
  drain();
  EXPECT_TRUE(output.WriteRecovery(Line('r')));
  drain();
  EXPECT_EQ(got, Line('.', 4096) + Line('a', 6000) + Line('r'));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace sallyport::core
