// Goal: whatever an operator names, reading it ends at once, with its content or with words.
#include "core/regular_file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr size_t kBytesMax = 4096;

class RegularFileTest : public ::testing::Test {
 protected:
  RegularFileTest() {
    char pattern[] = "/tmp/sallyport-file-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~RegularFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }
  // The words of a refusal; empty if it was read.
  static std::string Refusal(const std::string& path, absl::StatusCode code) {
    const auto content = ReadRegularFile(path, kBytesMax);
    EXPECT_EQ(content.status().code(), code) << path;
    EXPECT_THAT(std::string(content.status().message()), StartsWith(path));
    return std::string(content.status().message());
  }

  std::string folder_;
};

TEST_F(RegularFileTest, ReadsUpToTheBoundAndNotOneByteMore) {
  for (const size_t size : {size_t{0}, size_t{1}, kBytesMax - 1, kBytesMax}) {
    const std::string text(size, 'x');
    const auto content = ReadRegularFile(Write("file", text), kBytesMax);
    ASSERT_TRUE(content.ok()) << content.status();
    EXPECT_EQ(content->text, text);
  }
  EXPECT_THAT(
      Refusal(Write("file", std::string(kBytesMax + 1, 'x')), absl::StatusCode::kOutOfRange),
      HasSubstr("longer than 4 KiB"));
}

TEST_F(RegularFileTest, AFileWhoseSizeIsNotToldIsReadToItsEnd) {
  const auto content = ReadRegularFile("/proc/self/status", kBytesMax);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_THAT(content->text, HasSubstr("Name:"));
  // Without end, as far as we are concerned: bounded.
  EXPECT_FALSE(ReadRegularFile("/proc/kallsyms", kBytesMax).ok());
}

TEST_F(RegularFileTest, AHoleIsNoReasonToReadForHours) {
  const std::string path = Write("hole", "");
  ASSERT_EQ(truncate(path.c_str(), off_t{1} << 40), 0);
  EXPECT_THAT(Refusal(path, absl::StatusCode::kOutOfRange), HasSubstr("longer than"));
}

TEST_F(RegularFileTest, FollowsASymbolicLinkAndTellsTheModeOfItsTarget) {
  ASSERT_EQ(chmod(Write("target", "text").c_str(), 0640), 0);
  ASSERT_EQ(symlink("target", Path("link").c_str()), 0);
  const auto content = ReadRegularFile(Path("link"), kBytesMax);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->text, "text");
  EXPECT_EQ(content->mode & 0777, 0640u);
}

TEST_F(RegularFileTest, WhatIsNoRegularFileIsRefusedByItsKind) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  ASSERT_EQ(symlink("fifo", Path("link").c_str()), 0);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, Path("socket").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const std::pair<std::string, std::string> kinds[] = {
      {Path("fifo"), "is a FIFO"}, {Path("link"), "is a FIFO"},  {Path("socket"), "is a socket"},
      {folder_, "is a directory"}, {"/dev/zero", "is a device"}, {"/dev/tty", "is a device"}};
  for (const auto& [path, words] : kinds) {
    EXPECT_THAT(Refusal(path, absl::StatusCode::kFailedPrecondition), HasSubstr(words));
  }
  close(listener);
}

TEST_F(RegularFileTest, AbsentAndForbiddenAreNotTheSame) {
  EXPECT_THAT(Refusal(Path("nothing"), absl::StatusCode::kNotFound), HasSubstr("does not exist"));
  EXPECT_THAT(Refusal(Write("file", "x") + "/below", absl::StatusCode::kFailedPrecondition),
              HasSubstr("Not a directory"));
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  ASSERT_EQ(chmod(Path("file").c_str(), 0), 0);
  EXPECT_THAT(Refusal(Path("file"), absl::StatusCode::kPermissionDenied),
              HasSubstr("may not read"));
}

TEST_F(RegularFileTest, AFileUnderALeaseIsNotWaitedFor) {
  const std::string path = Write("leased", "x");
  const int owner = open(path.c_str(), O_RDWR);
  ASSERT_EQ(fcntl(owner, F_SETSIG, SIGCHLD), 0);  // Ignored: its default would end the test.
  if (fcntl(owner, F_SETLEASE, F_WRLCK) != 0) GTEST_SKIP() << "no leases on this file system";
  EXPECT_THAT(Refusal(path, absl::StatusCode::kFailedPrecondition), HasSubstr("lease"));
  close(owner);
}

TEST_F(RegularFileTest, AFolderGivesItsNamesSortedAndBounded) {
  for (const char* name : {"b.pem", "a.crt", "c.txt"}) Write(name, "x");
  const auto names = ListFolder(folder_, {".pem", ".crt"}, 2);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_THAT(*names, ElementsAre("a.crt", "b.pem"));
  EXPECT_EQ(ListFolder(folder_, {".pem", ".crt"}, 1).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ListFolder(Path("none"), {".pem"}, 1).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RegularFileTest, TellsWhichOthersMayWrite) {
  const std::string path = Write("file", "x");
  const std::pair<mode_t, std::string> modes[] = {
      {0644, ""}, {0664, "the group"}, {0646, "everybody"}, {0666, "everybody"}};
  for (const auto& [mode, words] : modes) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_EQ(WritersBesideOwner(path), words);
  }
  ASSERT_EQ(chmod(folder_.c_str(), 0777), 0);
  EXPECT_EQ(WritersBesideOwner(folder_), "everybody");
  ASSERT_EQ(chmod(folder_.c_str(), 01777), 0);
  EXPECT_EQ(WritersBesideOwner(folder_), "");
  EXPECT_EQ(WritersBesideOwner(Path("nothing")), "");
}

}  // namespace
}  // namespace sallyport::core
