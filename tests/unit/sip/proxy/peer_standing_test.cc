#include "sip/proxy/peer_standing.h"

#include <gtest/gtest.h>

namespace sallyport::sip {
namespace {

// A certificate under the same CA must not pass for another only because neither proves a name.
TEST(PeerStandingTest, CertificatesThatProveNothingAreOnlyEqualToThemselves) {
  const SipIdentities nobody;
  const tls::MacKey key{1};
  const tls::Sha256Digest first{1};
  const tls::Sha256Digest second{2};
  EXPECT_EQ(PeerKeyOf(nobody, first, key), PeerKeyOf(nobody, first, key));
  EXPECT_NE(PeerKeyOf(nobody, first, key), PeerKeyOf(nobody, second, key));
  EXPECT_NE(PeerKeyOf(nobody, first, key), PeerKeyOf(nobody, first, tls::MacKey{2}));
  EXPECT_GT(PeerKeyOf(nobody, first, key), kAnonymousPeer);
}

}  // namespace
}  // namespace sallyport::sip
