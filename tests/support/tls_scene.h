// A small world for TLS tests: one CA, a server certificate, client certificates, and contexts made
// from them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"
#include "tls/context.h"
#include "tls/credentials.h"
#include "tls/profile.h"
#include "tls/secret.h"

namespace sallyport::test {

// Minted once per process.
struct TlsScene {
  TestCertificate root;
  TestCertificate server;      // ECDSA P-256
  TestCertificate server_rsa;  // RSA 2048
  TestCertificate client;      // sip:a.example
  TestCertificate client_rsa;

  static const TlsScene& Get();

  tls::Profile Profile() const;  // server's certificate, trusts root.
  tls::Secret Secret() const;    // Always the same.
};

// A clock that tests move.
struct MovableClock {
  int64_t offset_milliseconds = 0;
  tls::WallClock clock();
};

// Loads and creates; a failure ends the test process with its text.
std::shared_ptr<tls::Context> MakeContext(const tls::Profile& profile,
                                          const tls::ContextOptions& options);
// Required client certificates, the scene's profile, tickets on.
std::shared_ptr<tls::Context> MakeContext(
    tls::ClientCertificateMode mode = tls::ClientCertificateMode::kRequired);
tls::ContextOptions ServerOptions(
    tls::ClientCertificateMode mode = tls::ClientCertificateMode::kRequired);

}  // namespace sallyport::test
