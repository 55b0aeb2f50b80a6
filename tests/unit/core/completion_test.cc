#include "core/completion.h"

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

TEST(CompletionTest, UserDataKeepsEveryField) {
  const OperationKey keys[] = {
      {Operation::kNone, 0, {}},
      {Operation::kSendDatagram, 255, {kHandlerSlotsMax - 1, kHandlerGenerationMask}},
      {Operation::kAccept, 0, {0, 1}},
      {Operation::kReceive, 1, {1, 0}},
      {Operation::kWake, 128, {0x123456, 0xABCDEF}},
  };
  for (const OperationKey& key : keys) EXPECT_EQ(UnpackUserData(PackUserData(key)), key);
}

TEST(CompletionTest, KeysDifferInEveryField) {
  const uint64_t base = PackUserData({Operation::kSend, 1, {2, 3}});
  EXPECT_NE(base, PackUserData({Operation::kReceive, 1, {2, 3}}));
  EXPECT_NE(base, PackUserData({Operation::kSend, 2, {2, 3}}));
  EXPECT_NE(base, PackUserData({Operation::kSend, 1, {3, 3}}));
  EXPECT_NE(base, PackUserData({Operation::kSend, 1, {2, 4}}));
}

}  // namespace
}  // namespace sallyport::core
