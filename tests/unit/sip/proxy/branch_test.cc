#include "sip/proxy/branch.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::sip {
namespace {

tls::MacKey Key(uint8_t fill) {
  tls::MacKey key;
  key.fill(fill);
  return key;
}

std::string Text(const BranchSigner& signer, const Branch& branch) {
  std::string text(BranchSigner::kTextBytes, '\0');
  signer.Write(branch, text.data());
  return text;
}

TEST(BranchTest, ReadsBackWhatItWrote) {
  const BranchSigner signer(Key(7));
  for (const Branch& branch :
       {Branch{0, 0, 0, 0, 0}, Branch{255, 0xffffff, 0xffffffff, 15, 0xffffffff},
        Branch{3, 4711, 12, 7, 0xdeadbeef}}) {
    const std::string text = Text(signer, branch);
    EXPECT_TRUE(text.starts_with("z9hG4bK"));
    EXPECT_EQ(signer.Read(text), branch) << text;
  }
}

// Goal: nobody can make a branch that names a slot. Method: change each character, and the key.
TEST(BranchTest, RefusesEveryChangedCharacter) {
  const BranchSigner signer(Key(7));
  const std::string text = Text(signer, Branch{1, 2, 3, 4, 5});
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char c : {'0', 'f', 'F', 'g', '\0', 'z'}) {
      std::string changed = text;
      if (changed[at] == c) continue;
      changed[at] = c;
      EXPECT_EQ(signer.Read(changed), std::nullopt) << at << " " << c;
    }
  }
  EXPECT_EQ(BranchSigner(Key(8)).Read(text), std::nullopt);
}

TEST(BranchTest, RefusesOtherLengths) {
  const BranchSigner signer(Key(7));
  const std::string text = Text(signer, Branch{1, 2, 3, 4, 5});
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(signer.Read(std::string_view(text).substr(0, size)), std::nullopt) << size;
  }
  EXPECT_EQ(signer.Read(text + "0"), std::nullopt);
}

}  // namespace
}  // namespace sallyport::sip
