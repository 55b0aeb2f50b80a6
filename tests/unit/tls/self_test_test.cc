#include "tls/self_test.h"

#include <gtest/gtest.h>

#include <ctime>

namespace sallyport::tls {
namespace {

TEST(SelfTestTest, PassesAndIsCheap) {
  const std::clock_t before = std::clock();
  EXPECT_TRUE(RunSelfTest().ok()) << RunSelfTest();
  const double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
#ifndef SALLYPORT_SANITIZED
  EXPECT_LT(seconds, 0.05);
#endif
  RecordProperty("cpu_seconds", std::to_string(seconds));
}

}  // namespace
}  // namespace sallyport::tls
