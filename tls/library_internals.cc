#include "tls/library_internals.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#if __has_include(<wolfssl/internal.h>)
#include <wolfssl/internal.h>
#define SALLYPORT_HAVE_WOLFSSL_INTERNALS 1
#endif

#include <cstddef>
#include <utility>
#include <vector>

#include "core/check.h"
#include "tls/keyed_mac.h"

// Exported (with WOLFSSL_PUBLIC_ASN) but declared in the internal header only.
extern "C" void wolfSSL_CTX_SetProcessPeerCertCb(WOLFSSL_CTX* ctx,
                                                 int (*callback)(WOLFSSL*, DecodedCert*));

namespace sallyport::tls {

void InitializeLibrary() {
  static const int initialized = wolfSSL_Init();
  CHECK(initialized == WOLFSSL_SUCCESS);
}

void ObserveCertificates(WOLFSSL_CTX* library_context,
                         int (*observe)(WOLFSSL* library_session, DecodedCert* certificate)) {
// Marked as internal for the sake of its DecodedCert, whose layout our build fixes.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  wolfSSL_CTX_SetProcessPeerCertCb(library_context, observe);
#pragma GCC diagnostic pop
}

Sha256Digest SignerDigest(std::span<const uint8_t> name_hash, std::span<const uint8_t> public_key) {
  std::vector<uint8_t> signer(name_hash.begin(), name_hash.end());  // Of fixed length.
  signer.insert(signer.end(), public_key.begin(), public_key.end());
  return Sha256(std::as_bytes(std::span(signer)));
}

LibrarySession ShareSession(WOLFSSL_SESSION* session) {
  if (wolfSSL_SESSION_up_ref(session) != WOLFSSL_SUCCESS) return nullptr;
  return LibrarySession(session);
}

#ifdef SALLYPORT_HAVE_WOLFSSL_INTERNALS

LibrarySession ExchangeSession(WOLFSSL* library_session, WOLFSSL_SESSION* spent) {
  if (wolfSSL_SESSION_up_ref(spent) != WOLFSSL_SUCCESS) return nullptr;
  return LibrarySession(std::exchange(library_session->session, spent));
}

void DropOfferedTickets(WOLFSSL* library_session) {
  TLSX_Remove(&library_session->extensions, TLSX_PRE_SHARED_KEY, library_session->heap);
}

bool IsWorthStoring(const WOLFSSL_SESSION& session) {
  return session.isSetup != 0 && session.ticketLen > 0 &&
         session.ticketLen <= kClientTicketBytesMax && session.haveEMS != 0;
}

int64_t SessionExpiry(const WOLFSSL_SESSION& session) {
  return int64_t{session.bornOn} + session.timeout;
}

bool TicketStateHasExtendedMasterSecret(std::span<const uint8_t> state) {
  constexpr size_t kOffset = offsetof(InternalTicket, haveEMS);
  return state.size() > kOffset && state[kOffset] != 0;
}

#else

LibrarySession ExchangeSession(WOLFSSL*, WOLFSSL_SESSION*) { return nullptr; }
void DropOfferedTickets(WOLFSSL*) {}
bool IsWorthStoring(const WOLFSSL_SESSION&) { return false; }
int64_t SessionExpiry(const WOLFSSL_SESSION&) { return 0; }
bool TicketStateHasExtendedMasterSecret(std::span<const uint8_t>) { return false; }

#endif

}  // namespace sallyport::tls
