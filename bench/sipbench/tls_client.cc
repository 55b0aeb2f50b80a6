#include "bench/sipbench/tls_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
// The options decide what the other headers declare.
#include <wolfssl/options.h>
// After them:
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"

namespace sallyport::bench {
namespace {

// Ciphertext is read here and consumed before the handler returns, so one buffer serves all
// connections of a thread.
constexpr size_t kReadBytes = 256 * 1024;
thread_local std::array<char, kReadBytes> read_buffer;
thread_local std::array<char, 17 * 1024> plaintext_buffer;  // One record at most (RFC 8446 §5.1).

}  // namespace

void InitialiseTlsLibrary() {
  static const bool done = [] { return wolfSSL_Init() == WOLFSSL_SUCCESS; }();
  CHECK(done);
}

absl::Status LoadTlsIdentity(WOLFSSL_CTX* context, const TlsIdentity& identity) {
  if (identity.ca.empty()) {
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, nullptr);
  } else if (wolfSSL_CTX_load_verify_locations(context, identity.ca.c_str(), nullptr) !=
             WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat(identity.ca, ": not a PEM file of CA certificates"));
  }
  if (identity.certificate.empty()) return absl::OkStatus();
  if (wolfSSL_CTX_use_certificate_chain_file(context, identity.certificate.c_str()) !=
      WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat(identity.certificate, ": not a PEM certificate"));
  }
  if (wolfSSL_CTX_use_PrivateKey_file(context, identity.key.c_str(), WOLFSSL_FILETYPE_PEM) !=
      WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrCat(identity.key, ": not a PEM private key"));
  }
  return absl::OkStatus();
}

TlsSession::~TlsSession() {
  if (session_ != nullptr) wolfSSL_SESSION_free(session_);
}

TlsSession::TlsSession(TlsSession&& other) noexcept
    : session_(std::exchange(other.session_, nullptr)) {}

TlsSession& TlsSession::operator=(TlsSession&& other) noexcept {
  std::swap(session_, other.session_);
  return *this;
}

absl::StatusOr<std::unique_ptr<TlsClient>> TlsClient::Create(const TlsIdentity& identity,
                                                             TlsVersion version,
                                                             std::string_view group) {
  InitialiseTlsLibrary();
  int group_number = 0;
  if (group == "x25519") group_number = WOLFSSL_ECC_X25519;
  if (group == "p256") group_number = WOLFSSL_ECC_SECP256R1;
  if (group_number == 0) return absl::InvalidArgumentError("--group: expected x25519 or p256");
  WOLFSSL_CTX* const context = wolfSSL_CTX_new(
      version == TlsVersion::k13 ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method());
  if (context == nullptr) return absl::ResourceExhaustedError("no TLS context");
  std::unique_ptr<TlsClient> client(new TlsClient(context, version, group_number));
  if (absl::Status status = LoadTlsIdentity(context, identity); !status.ok()) return status;
  wolfSSL_CTX_set_session_cache_mode(
      context, WOLFSSL_SESS_CACHE_OFF);  // Sessions are held by us, not looked up.
  wolfSSL_CTX_set_group_messages(context);
  return client;
}

std::unique_ptr<TlsClient> TlsClient::CreateClear() {
  return std::unique_ptr<TlsClient>(new TlsClient(nullptr, TlsVersion::k13, 0));
}

TlsClient::~TlsClient() { wolfSSL_CTX_free(context_); }

TlsConnection::TlsConnection(EventLoop* loop, TlsConnectionOwner* owner, size_t tag)
    : loop_(loop), owner_(owner), tag_(tag) {}

TlsConnection::~TlsConnection() { Release(); }

bool TlsConnection::Open(const TlsClient& client, const sockaddr_in& target, uint32_t source_host,
                         const TlsSession& resume) {
  CHECK(state_ == State::kClosed);
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return false;
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (source_host != 0) {
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(source_host);
    setsockopt(socket_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(socket_, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) {
      Release();
      return false;
    }
  }
  const int connected = connect(socket_, reinterpret_cast<const sockaddr*>(&target), sizeof target);
  if ((connected != 0 && errno != EINPROGRESS) || !PrepareSession(client, resume)) {
    Release();
    return false;
  }
  state_ = State::kConnecting;
  watches_writing_ = true;
  loop_->Watch(socket_, EPOLLIN | EPOLLOUT, this);
  return true;
}

bool TlsConnection::PrepareSession(const TlsClient& client, const TlsSession& resume) {
  is_clear_ = client.is_clear();
  if (is_clear_) return true;
  session_ = wolfSSL_new(client.context());
  if (session_ == nullptr) return false;
  wolfSSL_SSLSetIORecv(session_, &TlsConnection::Receive);
  wolfSSL_SSLSetIOSend(session_, &TlsConnection::Send);
  wolfSSL_SetIOReadCtx(session_, this);
  wolfSSL_SetIOWriteCtx(session_, this);
  // The library's own list begins with P-521, which OpenSSL's servers would take from it in
  // TLS 1.2. P-256 stays for the certificates (RFC 8422 §5.1).
  wolfSSL_UseSupportedCurve(session_, static_cast<word16>(client.group()));
  if (client.group() != WOLFSSL_ECC_SECP256R1)
    wolfSSL_UseSupportedCurve(session_, WOLFSSL_ECC_SECP256R1);
  if (client.version() == TlsVersion::k13) {
    if (wolfSSL_UseKeyShare(session_, static_cast<word16>(client.group())) != WOLFSSL_SUCCESS)
      return false;
  } else {
    wolfSSL_UseSessionTicket(session_);  // TLS 1.2 asks for one in the ClientHello (RFC 5077 §3.2).
  }
  wolfSSL_set_SessionTicket_cb(session_, &TlsConnection::TicketArrived, this);
  return resume.empty() || wolfSSL_set_session(session_, resume.get()) == WOLFSSL_SUCCESS;
}

int TlsConnection::Receive(WOLFSSL*, char* buffer, int size, void* self) {
  auto* const connection = static_cast<TlsConnection*>(self);
  std::string_view& unread = connection->unread_;
  if (unread.empty()) {
    return connection->end_of_stream_ ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_WANT_READ;
  }
  const size_t taken = std::min(unread.size(), static_cast<size_t>(size));
  memcpy(buffer, unread.data(), taken);
  unread.remove_prefix(taken);
  return static_cast<int>(taken);
}

int TlsConnection::Send(WOLFSSL*, char* buffer, int size, void* self) {
  static_cast<TlsConnection*>(self)->sealed_.append(buffer, static_cast<size_t>(size));
  return size;
}

int TlsConnection::TicketArrived(WOLFSSL*, const unsigned char*, int, void* self) {
  // The owner hears of it when the library has returned: it may want to close the session.
  static_cast<TlsConnection*>(self)->ticket_arrived_ = true;
  return 0;
}

bool TlsConnection::FinishConnecting() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    Fail(absl::StrCat("connect: ", strerror(error)));
    return false;
  }
  state_ = State::kHandshaking;
  return true;
}

void TlsConnection::OnEvents(uint32_t events) {
  if (state_ == State::kClosed) return;
  if (state_ == State::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0 || !FinishConnecting()) return;
  }
  const ssize_t received = recv(socket_, read_buffer.data(), read_buffer.size(), 0);
  if (received < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
    return Fail(absl::StrCat("receive: ", strerror(errno)));
  }
  if (received > 0) unread_ = std::string_view(read_buffer.data(), static_cast<size_t>(received));
  end_of_stream_ = received == 0;
  Advance();
  unread_ = {};
  if (state_ != State::kClosed) Flush();
}

void TlsConnection::Advance() {
  if (state_ == State::kHandshaking) {
    const int result = is_clear_ ? WOLFSSL_SUCCESS : wolfSSL_connect(session_);
    if (result != WOLFSSL_SUCCESS) {
      const int error = wolfSSL_get_error(session_, result);
      if (error != WOLFSSL_ERROR_WANT_READ) Fail(TlsError(result));
      return;
    }
    state_ = State::kOpen;
    ticket_arrived_ =
        false;  // TLS 1.2 brings the ticket within the handshake; OnOpen says it all then.
    owner_->OnOpen(*this);
  }
  if (state_ != State::kOpen) return;
  if (is_clear_) {
    ReadClear();
  } else {
    ReadPlaintext();
  }
}

void TlsConnection::ReadClear() {
  if (!unread_.empty()) owner_->OnData(*this, unread_);
  if (state_ == State::kOpen && end_of_stream_) Fail("closed by the server");
}

void TlsConnection::ReadPlaintext() {
  while (state_ == State::kOpen) {
    const int length =
        wolfSSL_read(session_, plaintext_buffer.data(), static_cast<int>(plaintext_buffer.size()));
    if (ticket_arrived_) {
      ticket_arrived_ = false;
      owner_->OnTicket(*this);
      if (state_ != State::kOpen) return;
    }
    if (length > 0) {
      owner_->OnData(*this, std::string_view(plaintext_buffer.data(), static_cast<size_t>(length)));
      continue;
    }
    if (wolfSSL_get_error(session_, length) != WOLFSSL_ERROR_WANT_READ) Fail(TlsError(length));
    return;
  }
}

bool TlsConnection::Seal(std::string_view plaintext) {
  if (state_ != State::kOpen) return false;
  if (is_clear_) {
    sealed_.append(plaintext);
    return true;
  }
  return wolfSSL_write(session_, plaintext.data(), static_cast<int>(plaintext.size())) > 0;
}

void TlsConnection::Flush() {
  size_t sent = 0;
  while (sent < sealed_.size()) {
    const ssize_t result =
        send(socket_, sealed_.data() + sent, sealed_.size() - sent, MSG_NOSIGNAL);
    if (result < 0) break;  // A dead socket is reported by the next receive.
    sent += static_cast<size_t>(result);
  }
  sealed_.erase(0, sent);
  const bool watch_writing = !sealed_.empty();
  if (watch_writing != watches_writing_) {
    watches_writing_ = watch_writing;
    loop_->Change(socket_, watch_writing ? EPOLLIN | EPOLLOUT : EPOLLIN, this);
  }
}

void TlsConnection::Close() {
  if (state_ == State::kOpen) {
    if (!is_clear_) wolfSSL_shutdown(session_);
    if (!sealed_.empty()) {
      // Best effort: a full socket buffer loses the close_notify, and the server sees a bare FIN.
      static_cast<void>(send(socket_, sealed_.data(), sealed_.size(), MSG_NOSIGNAL));
    }
  }
  Release();
}

void TlsConnection::Fail(const std::string& reason) {
  Release();
  owner_->OnClosed(*this, reason);
}

std::string TlsConnection::TlsError(int result) const {
  const int error = wolfSSL_get_error(session_, result);
  WOLFSSL_ALERT_HISTORY alerts{};
  const bool known = wolfSSL_get_alert_history(session_, &alerts) == WOLFSSL_SUCCESS;
  if (error == WOLFSSL_ERROR_ZERO_RETURN) return "closed by the server";
  if (known && alerts.last_rx.code > 0)
    return absl::StrCat("alert ", alerts.last_rx.code, " from the server");
  if (error == SOCKET_PEER_CLOSED_E || error == SOCKET_ERROR_E)
    return "connection ended by the server";
  return absl::StrCat("TLS error ", error);
}

void TlsConnection::Release() {
  if (session_ != nullptr) wolfSSL_free(session_);
  session_ = nullptr;
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  state_ = State::kClosed;
  sealed_.clear();
  unread_ = {};
  end_of_stream_ = false;
  ticket_arrived_ = false;
}

bool TlsConnection::resumed() const {
  return session_ != nullptr && wolfSSL_session_reused(session_) == 1;
}

TlsSession TlsConnection::TakeSession() {
  return TlsSession(session_ == nullptr ? nullptr : wolfSSL_get1_session(session_));
}

}  // namespace sallyport::bench
