#include "sip/message/line_scan.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

TEST(LineScanTest, EveryByteAtEveryPlaceEqualsTheTwin) {
  std::array<char, kScanBlockBytes> block;
  for (size_t at = 0; at < block.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      block.fill('x');
      block[at] = static_cast<char>(value);
      ASSERT_EQ(ScanControls(block.data()), ScanControlsScalar(block.data())) << at << ' ' << value;
      ASSERT_EQ(ScanControls(block.data()), value < 0x20 ? uint64_t{1} << at : 0U);
    }
  }
}

TEST(LineScanTest, TailsStayInside) {
  for (size_t size = 0; size < kScanBlockBytes; ++size) {
    const GuardedCopy copy(std::string(size, '\r'));
    EXPECT_EQ(ScanControlsOfTail(copy.view().data(), size), (uint64_t{1} << size) - 1);
  }
}

// Goal: the header end is found as a plain search finds it, from wherever the search resumes.
TEST(LineScanTest, HeaderEndEqualsTheTwin) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 200, 'x');
    for (char& c : text) {
      const auto pick = random() % 8;
      if (pick < 5) c = "\r\n\r\n\t"[pick];
    }
    if (random() % 2 == 0 && text.size() > 8)
      text.replace(random() % (text.size() - 4), 4, "\r\n\r\n");
    const GuardedCopy copy(text);
    const size_t from = text.empty() ? 0 : random() % text.size();
    ASSERT_EQ(FindHeaderEnd(copy.view(), from), FindHeaderEndScalar(copy.view(), from)) << round;
    ASSERT_EQ(FindHeaderEnd(copy.view(), 0), FindHeaderEndScalar(copy.view(), 0)) << round;
    const size_t plain = text.find("\r\n\r\n");
    ASSERT_EQ(FindHeaderEnd(copy.view(), 0), plain == std::string::npos ? 0 : plain + 4);
  }
}

}  // namespace
}  // namespace sallyport::sip
