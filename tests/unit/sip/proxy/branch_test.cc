#include "sip/proxy/branch.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/guarded_copy.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::BranchText;
using test::SecretOf;

constexpr uint32_t kProcess = 0x01020304;

BranchSigner Signer(uint32_t process = kProcess) {
  return BranchSigner(SecretOf(test::kOldKey), process);
}

constexpr Branch kBranch{kProcess, 1, 2, 3, 4, Zone::kOutside, 5};

TEST(BranchTest, ReadsBackWhatItWrote) {
  const BranchSigner signer = Signer();
  for (const Branch& branch : {
           Branch{kProcess, 0, 0, 0, 0, Zone::kOutside, 0},
           Branch{kProcess, 0, 0, 0, 0, Zone::kInside, 0},
           Branch{kProcess, 255, 0xffffff, 0xffffffff, 15, Zone::kInside, 0xffffffff},
           Branch{kProcess, 3, 4711, 12, 7, Zone::kOutside, 0xdeadbeef},
       }) {
    const std::string text = BranchText(signer, branch);
    EXPECT_TRUE(text.starts_with("z9hG4bK"));
    EXPECT_EQ(signer.Read(text), branch) << text;
    EXPECT_EQ(signer.ReadOwn(text), branch) << text;
    EXPECT_TRUE(BranchSigner::HasForm(text)) << text;
  }
}

// The process is the signer's, whatever the caller says.
TEST(BranchTest, CarriesTheProcessThatWroteIt) {
  Branch claimed = kBranch;
  claimed.process = 99;
  EXPECT_EQ(Signer().Read(BranchText(Signer(), claimed)), kBranch);
}

// Goal: only we can make a branch that names a slot, or say of one that it came from inside.
// Method: change each character.
TEST(BranchTest, RefusesEveryChangedCharacter) {
  const BranchSigner signer = Signer();
  const std::string text = BranchText(signer, kBranch);
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char c : std::string("0123456789abcdefFgz\0", 20)) {
      std::string changed = text;
      if (changed[at] == c) continue;
      changed[at] = c;
      EXPECT_EQ(signer.Read(changed), std::nullopt) << at << " " << c;
      EXPECT_EQ(signer.ReadOwn(changed), std::nullopt) << at << " " << c;
    }
  }
}

TEST(BranchTest, RefusesOtherLengths) {
  const BranchSigner signer = Signer();
  const std::string text = BranchText(signer, kBranch);
  for (size_t size = 0; size < text.size(); ++size) {
    const test::GuardedCopy cut(text.substr(0, size));
    EXPECT_EQ(signer.Read(cut.view()), std::nullopt) << size;
    EXPECT_FALSE(BranchSigner::HasForm(cut.view())) << size;
  }
  EXPECT_EQ(signer.Read(text + "0"), std::nullopt);
  EXPECT_FALSE(BranchSigner::HasForm(text + "0"));
}

// A sibling, and this instance before it was started again: known for ours, and none of its
// transactions are here.
TEST(BranchTest, AnotherProcessOfTheSameSecretIsOursButNotOwn) {
  const std::string text = BranchText(Signer(8), kBranch);
  const std::optional<Branch> read = Signer().Read(text);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->process, 8U);
  EXPECT_EQ(read->origin, kBranch.origin);
  EXPECT_EQ(Signer().ReadOwn(text), std::nullopt);
  EXPECT_EQ(Signer(8).ReadOwn(text), read);
}

TEST(BranchTest, AnotherSecretIsNotOursAndRotationIs) {
  const std::string text = BranchText(Signer(), kBranch);
  EXPECT_EQ(BranchSigner(SecretOf(test::kNewKey), kProcess).Read(text), std::nullopt);
  const BranchSigner rotated(test::RotatedSecret(), kProcess);
  EXPECT_EQ(rotated.ReadOwn(text), kBranch);
  EXPECT_NE(BranchText(rotated, kBranch), text);
  EXPECT_EQ(BranchSigner(SecretOf(test::kNewKey), kProcess).Read(BranchText(rotated, kBranch)),
            kBranch);
}

// The form makes a mark: an instance with another secret writes it, too.
TEST(BranchTest, FormIsSeenWithoutTheSecret) {
  const std::string text = BranchText(BranchSigner(SecretOf(test::kNewKey), 1), kBranch);
  EXPECT_EQ(Signer().Read(text), std::nullopt);
  EXPECT_TRUE(BranchSigner::HasForm(text));
  std::string forged = text;
  forged.back() = forged.back() == '0' ? '1' : '0';
  EXPECT_TRUE(BranchSigner::HasForm(forged));
  for (const auto& [at, c] : {std::pair<size_t, char>{0, 'Z'},          // The cookie.
                              {7, 'g'},                                 // No digit.
                              {12, 'A'},                                // We write lower case.
                              {BranchSigner::kTextBytes - 25, '2'}}) {  // No origin.
    std::string other = text;
    other[at] = c;
    EXPECT_FALSE(BranchSigner::HasForm(other)) << at;
  }
  for (const char* branch : {"", "z9hG4bK", "z9hG4bK1", "z9hG4bKnashds8"}) {
    EXPECT_FALSE(BranchSigner::HasForm(branch)) << branch;
  }
}

}  // namespace
}  // namespace sallyport::sip
