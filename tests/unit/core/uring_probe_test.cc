#include "core/uring_probe.h"

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

// The machine that runs the tests must have what the product needs; if it has not, this is where
// the words for the operator show.
TEST(UringProbeTest, ThisKernelHasEverything) {
  const absl::Status status = ProbeKernel();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UringProbeTest, NamesTheFeaturesInUse) {
  const std::vector<std::string> features = KernelFeatures();
  ASSERT_EQ(features.size(), 6u);
  EXPECT_EQ(features[0], "deferred task run");
  for (const std::string& feature : features) {
    EXPECT_EQ(feature.find("missing"), std::string::npos) << feature;
  }
}

}  // namespace
}  // namespace sallyport::core
