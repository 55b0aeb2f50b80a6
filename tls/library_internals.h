// What we need of wolfSSL around its sessions: setting it up, and the few things that its public
// interface does not offer. The last two are built from its internal header if that is there (our
// own build installs it; a foreign prefix may not), else they have no effect.
#pragma once

#include <cstdint>
#include <span>

struct DecodedCert;
struct WOLFSSL;
struct WOLFSSL_CTX;
struct WOLFSSL_SESSION;

namespace sallyport::tls {

// `observe` sees every certificate that a peer sends, with its signer, before the library decides.
void ObserveCertificates(WOLFSSL_CTX* library_context,
                         int (*observe)(WOLFSSL* library_session, DecodedCert* certificate));

// The library keeps global tables; the first user sets them up, once, before any other call. Any
// thread.
void InitializeLibrary();

// Lets an established server session share `spent` instead of its own WOLFSSL_SESSION, which holds
// the ticket buffer (2.5 kB) and is not used after the handshake. The library counts references;
// `spent` must belong to the same thread.
void ReplaceSpentSession(WOLFSSL* library_session, WOLFSSL_SESSION* spent);

// Whether a TLS 1.2 ticket state, as the library hands it to the ticket callback, has the extended
// master secret (RFC 7627). False if unknown.
bool TicketStateHasExtendedMasterSecret(std::span<const uint8_t> state);

}  // namespace sallyport::tls
