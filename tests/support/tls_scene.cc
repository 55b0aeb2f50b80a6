#include "tests/support/tls_scene.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "core/check.h"

namespace sallyport::test {
namespace {

[[noreturn]] void Stop(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

TlsScene Mint() {
  TlsScene scene;
  scene.root = MintSelfSigned(CaSpec("Test Root"));
  scene.server = MintSignedBy(scene.root, DomainSpec("edge.example"));
  scene.client = MintSignedBy(scene.root, DomainSpec("a.example"));
  TestCertificateSpec rsa = DomainSpec("edge.example");
  rsa.key = TestKey::kRsa2048;
  scene.server_rsa = MintSignedBy(scene.root, rsa);
  rsa = DomainSpec("a.example");
  rsa.key = TestKey::kRsa2048;
  scene.client_rsa = MintSignedBy(scene.root, rsa);
  return scene;
}

// One for the process: contexts only borrow it.
const tls::Secret& SharedSecret() {
  static const tls::Secret secret = *tls::Secret::Parse(
      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "test");
  return secret;
}

}  // namespace

const TlsScene& TlsScene::Get() {
  static const TlsScene scene = Mint();
  return scene;
}

tls::Profile TlsScene::Profile() const {
  tls::Profile profile;
  profile.name = "federation";
  profile.certificate_pem = server.pem;
  profile.key_pem = server.key_pem;
  profile.trusted_ca_pem = root.pem;
  return profile;
}

tls::Secret TlsScene::Secret() const { return SharedSecret(); }

tls::WallClock MovableClock::clock() {
  return {[](void* self) -> int64_t {
            return std::time(nullptr) * int64_t{1000} +
                   static_cast<MovableClock*>(self)->offset_milliseconds;
          },
          this};
}

std::shared_ptr<tls::Context> MakeContext(const tls::Profile& profile,
                                          const tls::ContextOptions& options) {
  auto credentials = tls::Credentials::Load(profile, options.clock.Seconds());
  if (!credentials.ok()) Stop(credentials.status());
  auto context = tls::Context::Create(**credentials, options);
  if (!context.ok()) Stop(context.status());
  return *context;
}

std::shared_ptr<tls::Context> MakeContext(tls::ClientCertificateMode mode) {
  return MakeContext(TlsScene::Get().Profile(), ServerOptions(mode));
}

tls::ContextOptions ServerOptions(tls::ClientCertificateMode mode) {
  tls::ContextOptions options;
  options.client_certificate = mode;
  options.policy_name = "federation";
  options.secret = &SharedSecret();
  return options;
}

}  // namespace sallyport::test
