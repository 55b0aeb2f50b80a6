// What a stranger may send to a TLS listener: any bytes, cut anywhere. Nobody gets in without a
// certificate. Time and randomness are fixed, so an input means the same in every run.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "core/check.h"
#include "tls/context.h"
#include "tls/credentials.h"
#include "tls/private_ca.h"
#include "tls/random.h"
#include "tls/session.h"

namespace sallyport::tls {
namespace {

constexpr int64_t kNow = 1'800'000'000;

std::shared_ptr<Context> MakeContext() {
  const auto ca = MintCa("Fuzz CA", 30, kNow);
  CHECK(ca.ok());
  LeafRequest request;
  request.domains = {"edge.example"};
  request.days = 20;
  const auto leaf = MintLeaf(*ca, request, kNow);
  CHECK(leaf.ok());
  Profile profile;
  profile.certificate_pem = leaf->certificate;
  profile.key_pem = leaf->key;
  profile.trusted_ca_pem = ca->certificate;
  const auto credentials = Credentials::Load(profile, kNow);
  CHECK(credentials.ok());
  static const Secret secret =
      *Secret::Parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "fuzz");
  ContextOptions options;
  options.secret = &secret;
  options.clock = {[](void*) { return kNow * 1000; }, nullptr};
  auto context = Context::Create(**credentials, options);
  CHECK(context.ok());
  return *context;
}

}  // namespace
}  // namespace sallyport::tls

// The first byte says how the rest is cut.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace core = sallyport::core;
  namespace tls = sallyport::tls;
  const tls::ScopedSeededRandom random(1);
  static const std::shared_ptr<tls::Context> context = tls::MakeContext();
  if (size == 0) return 0;
  core::BufferPool pool(1024 * 1024);
  core::OutputQueue out(pool, 256 * 1024);
  const auto session = tls::Session::Create(context, tls::ServerName("edge.example"));
  const size_t piece = data[0] == 0 ? size : data[0];
  std::span rest(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  while (!rest.empty()) {
    std::span<const std::byte> now = rest.first(std::min(piece, rest.size()));
    rest = rest.subspan(now.size());
    const tls::HandshakeOutcome outcome = session->Handshake(now, out);
    if (outcome == tls::HandshakeOutcome::kDone) std::abort();
    if (outcome == tls::HandshakeOutcome::kFailed) break;
  }
  return 0;
}
