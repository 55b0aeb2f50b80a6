#include "tls/library_internals.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#if __has_include(<wolfssl/internal.h>)
#include <wolfssl/internal.h>
#define SALLYPORT_HAVE_WOLFSSL_INTERNALS 1
#endif

#include <cstddef>

#include "core/check.h"

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

#ifdef SALLYPORT_HAVE_WOLFSSL_INTERNALS

void ReplaceSpentSession(WOLFSSL* library_session, WOLFSSL_SESSION* spent) {
  if (wolfSSL_SESSION_up_ref(spent) != WOLFSSL_SUCCESS) return;
  wolfSSL_SESSION_free(library_session->session);
  library_session->session = spent;
}

bool TicketStateHasExtendedMasterSecret(std::span<const uint8_t> state) {
  constexpr size_t kOffset = offsetof(InternalTicket, haveEMS);
  return state.size() > kOffset && state[kOffset] != 0;
}

#else

void ReplaceSpentSession(WOLFSSL*, WOLFSSL_SESSION*) {}
bool TicketStateHasExtendedMasterSecret(std::span<const uint8_t>) { return false; }

#endif

}  // namespace sallyport::tls
