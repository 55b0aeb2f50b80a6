#include "tls/self_test.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/buffer_pool.h"
#include "core/output_queue.h"
#include "tls/context.h"
#include "tls/credentials.h"
#include "tls/private_ca.h"
#include "tls/session.h"

namespace sallyport::tls {
namespace {

constexpr int kRoundsMax = 8;  // A handshake needs two or three.

template <typename T, void (*kFree)(T*)>
struct Freer {
  void operator()(T* object) const { kFree(object); }
};
using LibraryContext = std::unique_ptr<WOLFSSL_CTX, Freer<WOLFSSL_CTX, &wolfSSL_CTX_free>>;
using LibrarySession = std::unique_ptr<WOLFSSL, Freer<WOLFSSL, &wolfSSL_free>>;
using LibraryTicket =
    std::unique_ptr<WOLFSSL_SESSION, Freer<WOLFSSL_SESSION, &wolfSSL_SESSION_free>>;

// Bytes under way between the two ends.
struct Wire {
  std::string to_client;
  std::string to_server;
};

int OnClientReceive(WOLFSSL*, char* buffer, int bytes, void* self) {
  std::string& input = static_cast<Wire*>(self)->to_client;
  if (input.empty()) return WOLFSSL_CBIO_ERR_WANT_READ;
  const size_t taken = std::min(input.size(), static_cast<size_t>(bytes));
  std::memcpy(buffer, input.data(), taken);
  input.erase(0, taken);
  return static_cast<int>(taken);
}

int OnClientSend(WOLFSSL*, char* buffer, int bytes, void* self) {
  static_cast<Wire*>(self)->to_server.append(buffer, static_cast<size_t>(bytes));
  return bytes;
}

// A plain client of the library. It does not judge the server: what is tested is the server.
LibraryContext MakeClient(const PemPair* identity) {
  LibraryContext client(wolfSSL_CTX_new(wolfTLSv1_3_client_method()));
  if (client == nullptr) return client;
  wolfSSL_CTX_set_verify(client.get(), WOLFSSL_VERIFY_NONE, nullptr);
  wolfSSL_CTX_SetIORecv(client.get(), &OnClientReceive);
  wolfSSL_CTX_SetIOSend(client.get(), &OnClientSend);
  wolfSSL_CTX_set_session_cache_mode(client.get(), WOLFSSL_SESS_CACHE_OFF);
  if (identity == nullptr) return client;
  const auto bytes = [](const std::string& pem) {
    return reinterpret_cast<const unsigned char*>(pem.data());
  };
  const std::string& certificate = identity->certificate;
  const std::string& key = identity->key;
  wolfSSL_CTX_use_certificate_chain_buffer(client.get(), bytes(certificate),
                                           static_cast<long>(certificate.size()));
  wolfSSL_CTX_use_PrivateKey_buffer(client.get(), bytes(key), static_cast<long>(key.size()),
                                    WOLFSSL_FILETYPE_PEM);
  return client;
}

struct Result {
  HandshakeOutcome outcome = HandshakeOutcome::kNeedMore;
  PeerResult peer;
  LibraryTicket ticket;
};

std::string Drain(core::OutputQueue& out) {
  std::string bytes;
  while (!out.empty()) {
    iovec piece;
    if (out.Gather({&piece, 1}) != 1) break;
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    out.Consume(static_cast<uint32_t>(piece.iov_len));
  }
  return bytes;
}

// One handshake in memory, with `ticket` if there is one.
Result Converse(const std::shared_ptr<Context>& context, WOLFSSL_CTX* client_context,
                WOLFSSL_SESSION* ticket) {
  core::BufferPool pool(1024 * 1024);
  core::OutputQueue out(pool, 256 * 1024);
  Result result;
  Wire wire;
  const LibrarySession client(wolfSSL_new(client_context));
  const std::unique_ptr<Session> server = Session::Create(context, ServerName());
  if (client == nullptr || server == nullptr) return result;
  wolfSSL_SetIOReadCtx(client.get(), &wire);
  wolfSSL_SetIOWriteCtx(client.get(), &wire);
  if (ticket != nullptr) wolfSSL_set_session(client.get(), ticket);
  for (int round = 0; round < kRoundsMax; ++round) {
    char none;
    // Once connected, reading is what takes the ticket in.
    if (wolfSSL_connect(client.get()) == WOLFSSL_SUCCESS) wolfSSL_read(client.get(), &none, 1);
    std::span<const std::byte> input = std::as_bytes(std::span(wire.to_server));
    if (result.outcome == HandshakeOutcome::kNeedMore)
      result.outcome = server->Handshake(input, out);
    wire.to_server.clear();
    wire.to_client += Drain(out);
  }
  result.peer = server->peer();
  result.peer.leaf_der = {};
  result.ticket.reset(wolfSSL_get1_session(client.get()));
  return result;
}

absl::StatusOr<std::shared_ptr<Context>> MakeServer(const PemPair& ca, const PemPair& identity,
                                                    const Secret& secret,
                                                    ClientCertificateMode mode) {
  Profile profile;
  profile.name = "self-test";
  profile.certificate_pem = identity.certificate;
  profile.key_pem = identity.key;
  profile.trusted_ca_pem = ca.certificate;
  auto credentials = Credentials::Load(profile, std::time(nullptr));
  if (!credentials.ok()) return credentials.status();
  ContextOptions options;
  options.client_certificate = mode;
  options.policy_name = "self-test";
  options.secret = &secret;
  return Context::Create(**credentials, options);
}

struct World {
  PemPair ca, clone_ca, edge, friendly, forged;
  std::shared_ptr<Context> required, optional;
};

absl::StatusOr<World> MakeWorld() {
  World world;
  const int64_t now = std::time(nullptr);
  constexpr std::string_view kName = "Sallyport self-test CA";
  LeafRequest request;
  request.domains = {"self-test.invalid"};
  request.days = 1;
  for (PemPair* const ca : {&world.ca, &world.clone_ca}) {
    auto minted = MintCa(kName, 1, now);
    if (!minted.ok()) return minted.status();
    *ca = *std::move(minted);
  }
  const std::pair<PemPair*, const PemPair*> leaves[] = {
      {&world.edge, &world.ca}, {&world.friendly, &world.ca}, {&world.forged, &world.clone_ca}};
  for (const auto& [leaf, ca] : leaves) {
    auto minted = MintLeaf(*ca, request, now);
    if (!minted.ok()) return minted.status();
    *leaf = *std::move(minted);
  }
  const Secret secret = Secret::Generate();
  auto required = MakeServer(world.ca, world.edge, secret, ClientCertificateMode::kRequired);
  if (!required.ok()) return required.status();
  auto optional = MakeServer(world.ca, world.edge, secret, ClientCertificateMode::kOptional);
  if (!optional.ok()) return optional.status();
  world.required = *std::move(required);
  world.optional = *std::move(optional);
  return world;
}

absl::Status Broken(std::string_view what) {
  return absl::InternalError(absl::StrCat(
      "self-test of the TLS library failed: ", std::string(what),
      ". Do not serve with this build; see -DSALLYPORT_WOLFSSL_ROOT and tls/README.md"));
}

absl::Status TryClonedCa(const World& world) {
  const LibraryContext friendly = MakeClient(&world.friendly);
  const LibraryContext forged = MakeClient(&world.forged);
  if (friendly == nullptr || forged == nullptr)
    return absl::ResourceExhaustedError("out of memory");
  const Result good = Converse(world.required, friendly.get(), nullptr);
  if (good.outcome != HandshakeOutcome::kDone || !good.peer.verified) {
    return Broken("a peer with a good certificate was refused");
  }
  if (Converse(world.required, forged.get(), nullptr).outcome == HandshakeOutcome::kDone) {
    return Broken("a certificate of a CA with the trusted CA's name and another key was accepted");
  }
  return absl::OkStatus();
}

absl::Status TryAnonymousTicket(const World& world) {
  const LibraryContext nobody = MakeClient(nullptr);
  if (nobody == nullptr) return absl::ResourceExhaustedError("out of memory");
  const Result anonymous = Converse(world.optional, nobody.get(), nullptr);
  if (anonymous.outcome != HandshakeOutcome::kDone || anonymous.peer.verified) {
    return Broken("an anonymous peer was not taken for one");
  }
  const Result again = Converse(world.optional, nobody.get(), anonymous.ticket.get());
  if (again.outcome != HandshakeOutcome::kDone || !again.peer.resumed) {
    return Broken("a ticket did not resume its session");
  }
  if (Converse(world.required, nobody.get(), anonymous.ticket.get()).outcome ==
      HandshakeOutcome::kDone) {
    return Broken("an anonymous peer's ticket was accepted where a certificate is required");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSelfTest() {
  const absl::StatusOr<World> world = MakeWorld();
  if (!world.ok()) return world.status();
  if (absl::Status status = TryClonedCa(*world); !status.ok()) return status;
  return TryAnonymousTicket(*world);
}

}  // namespace sallyport::tls
