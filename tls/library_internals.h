// What we need of wolfSSL around its sessions: setting it up, and the few things that its public
// interface does not offer. The rest are built from its internal header if that is there (our
// own build installs it; a foreign prefix may not), else they have no effect.
#pragma once

#include <cstdint>
#include <span>

#include "tls/client_sessions.h"

struct DecodedCert;
struct WOLFSSL;
struct WOLFSSL_CTX;
struct WOLFSSL_SESSION;

namespace sallyport::tls {

// `observe` sees every certificate that a peer sends, with its signer, before the library decides.
void ObserveCertificates(WOLFSSL_CTX* library_context,
                         int (*observe)(WOLFSSL* library_session, DecodedCert* certificate));

// Tells the library's signers apart: by the key as it stores it and its hash of the name.
Sha256Digest SignerDigest(std::span<const uint8_t> name_hash, std::span<const uint8_t> public_key);

// The library keeps global tables; the first user sets them up, once, before any other call. Any
// thread.
void InitializeLibrary();

// Another reference to the same session; the library counts them. All holders on one thread.
LibrarySession ShareSession(WOLFSSL_SESSION* session);

// Lets an established session share `spent` instead of its own WOLFSSL_SESSION, which holds the
// ticket (up to 2.5 kB) and is not used after the handshake but to receive further tickets.
// Returns its own; null if nothing was done. `spent` must belong to the same thread.
LibrarySession ExchangeSession(WOLFSSL* library_session, WOLFSSL_SESSION* spent);

// Frees the tickets that this TLS 1.3 handshake offered, ours or the peer's: the library keeps them
// with the other extensions as long as the session. For after the handshake.
void DropOfferedTickets(WOLFSSL* library_session);

// Client: whether there is a ticket of a size that we keep, and with TLS 1.2 the extended master
// secret (RFC 7627 §5.3: without it a session must not be resumed).
bool IsWorthStoring(const WOLFSSL_SESSION& session);

// When the ticket's lifetime is over, Unix seconds.
int64_t SessionExpiry(const WOLFSSL_SESSION& session);

// Whether a TLS 1.2 ticket state, as the library hands it to the ticket callback, has the extended
// master secret (RFC 7627). False if unknown.
bool TicketStateHasExtendedMasterSecret(std::span<const uint8_t> state);

}  // namespace sallyport::tls
