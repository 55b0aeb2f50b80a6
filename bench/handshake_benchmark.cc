// Question: what does a handshake cost the server, and a record? CPU time of our calls alone, in
// memory, against an OpenSSL client whose time is not counted. P-256 certificates, one CA, mutual
// TLS required.
#include <benchmark/benchmark.h>

#include <ctime>
#include <string>
#include <vector>

#include "core/check.h"
#include "tests/support/tls_scene.h"
#include "tls/keyed_mac.h"
#include "tls/random.h"
#include "tls/session.h"

namespace sallyport::tls {
namespace {

using test::TlsClient;
using test::TlsClientOptions;
using test::TlsScene;

constexpr int kTls12 = 0x0303;
constexpr int kTls13 = 0x0304;

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A session that clocks what it spends inside ours.
class TimedServer {
 public:
  explicit TimedServer(const std::shared_ptr<Context>& context)
      : pool_(1024 * 1024), out_(pool_, 256 * 1024) {
    const double begin = ThreadSeconds();
    session_ = Session::Create(context, ServerName());
    seconds_ += ThreadSeconds() - begin;
  }

  HandshakeOutcome Handshake(const std::string& input) {
    std::span<const std::byte> rest = std::as_bytes(std::span(input));
    const double begin = ThreadSeconds();
    const HandshakeOutcome outcome = session_->Handshake(rest, out_);
    if (outcome == HandshakeOutcome::kDone) session_->DropLeaf();
    seconds_ += ThreadSeconds() - begin;
    return outcome;
  }
  std::string TakeOutput() {
    std::string bytes;
    while (!out_.empty()) {
      iovec piece;
      out_.Gather({&piece, 1});
      bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
      out_.Consume(static_cast<uint32_t>(piece.iov_len));
    }
    return bytes;
  }
  double Finish() {
    const double begin = ThreadSeconds();
    session_.reset();
    return seconds_ + ThreadSeconds() - begin;
  }
  Session& session() { return *session_; }
  core::OutputQueue& out() { return out_; }

 private:
  core::BufferPool pool_;
  core::OutputQueue out_;
  std::unique_ptr<Session> session_;
  double seconds_ = 0;
};

void Connect(TlsClient& client, TimedServer& server) {
  HandshakeOutcome outcome = HandshakeOutcome::kNeedMore;
  while (outcome == HandshakeOutcome::kNeedMore) {
    const std::string input = client.TakeOutput();
    CHECK(!input.empty());
    outcome = server.Handshake(input);
    client.Receive(server.TakeOutput());
  }
  CHECK(outcome == HandshakeOutcome::kDone);
  CHECK(server.session().peer().verified);
}

TlsClientOptions Client(int version, const char* groups) {
  TlsClientOptions options;
  options.min_version = options.max_version = version;
  options.certificate = &TlsScene::Get().client;
  options.groups = groups;
  options.ciphersuites = "TLS_AES_128_GCM_SHA256";
  options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
  return options;
}

void RunHandshakes(benchmark::State& state, TlsClientOptions options, bool memo_on, bool resume) {
  SignatureMemo memo;
  ContextOptions server_options = test::ServerOptions();
  server_options.signature_memo = memo_on ? &memo : nullptr;
  const auto context = test::MakeContext(TlsScene::Get().Profile(), server_options);
  {
    TlsClient first(options);
    TimedServer server(context);
    Connect(first, server);
    first.Read();
    if (resume) options.session = first.Ticket();
  }
  for (auto _ : state) {
    TlsClient client(options);
    TimedServer server(context);
    Connect(client, server);
    CHECK(server.session().peer().resumed == resume);
    state.SetIterationTime(server.Finish());
  }
}

void BM_FullTls13P256(benchmark::State& state) {
  RunHandshakes(state, Client(kTls13, "P-256"), false, false);
}
void BM_FullTls13P256SignatureKnown(benchmark::State& state) {
  RunHandshakes(state, Client(kTls13, "P-256"), true, false);
}
void BM_FullTls13X25519(benchmark::State& state) {
  RunHandshakes(state, Client(kTls13, "X25519"), false, false);
}
void BM_FullTls13X25519SignatureKnown(benchmark::State& state) {
  RunHandshakes(state, Client(kTls13, "X25519"), true, false);
}
void BM_ResumedTls13P256(benchmark::State& state) {
  RunHandshakes(state, Client(kTls13, "P-256"), true, true);
}
void BM_ResumedTls13X25519(benchmark::State& state) {
  RunHandshakes(state, Client(kTls13, "X25519"), true, true);
}
void BM_FullTls12P256(benchmark::State& state) {
  RunHandshakes(state, Client(kTls12, "P-256"), false, false);
}
void BM_FullTls12P256SignatureKnown(benchmark::State& state) {
  RunHandshakes(state, Client(kTls12, "P-256"), true, false);
}
void BM_ResumedTls12(benchmark::State& state) {
  RunHandshakes(state, Client(kTls12, "P-256"), true, true);
}
BENCHMARK(BM_FullTls13P256)->UseManualTime();
BENCHMARK(BM_FullTls13P256SignatureKnown)->UseManualTime();
BENCHMARK(BM_FullTls13X25519)->UseManualTime();
BENCHMARK(BM_FullTls13X25519SignatureKnown)->UseManualTime();
BENCHMARK(BM_ResumedTls13P256)->UseManualTime();
BENCHMARK(BM_ResumedTls13X25519)->UseManualTime();
BENCHMARK(BM_FullTls12P256)->UseManualTime();
BENCHMARK(BM_FullTls12P256SignatureKnown)->UseManualTime();
BENCHMARK(BM_ResumedTls12)->UseManualTime();

void BM_EncryptRecord(benchmark::State& state) {
  TlsClient client(Client(static_cast<int>(state.range(0)), "P-256"));
  TimedServer server(test::MakeContext());
  Connect(client, server);
  const std::vector<std::byte> message(static_cast<size_t>(state.range(1)));
  for (auto _ : state) {
    CHECK(server.session().Encrypt(message, server.out()));
    server.out().Clear();
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_EncryptRecord)->Args({kTls13, 800})->Args({kTls12, 800})->Args({kTls13, 8000});

void BM_DecryptRecord(benchmark::State& state) {
  TlsClient client(Client(static_cast<int>(state.range(0)), "P-256"));
  TimedServer server(test::MakeContext());
  Connect(client, server);
  const std::string message(static_cast<size_t>(state.range(1)), 'm');
  std::vector<std::byte> plaintext(16384);
  constexpr int kBatch = 64;
  std::vector<std::string> records;
  for (auto _ : state) {
    records.clear();
    for (int i = 0; i < kBatch; ++i) {
      CHECK(client.Write(message));
      records.push_back(client.TakeOutput());
    }
    const double begin = ThreadSeconds();
    for (const std::string& record : records) {
      std::span<const std::byte> rest = std::as_bytes(std::span(record));
      CHECK(server.session().Decrypt(rest, plaintext, server.out()).bytes == message.size());
    }
    state.SetIterationTime((ThreadSeconds() - begin) / kBatch);
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_DecryptRecord)
    ->Args({kTls13, 800})
    ->Args({kTls12, 800})
    ->Args({kTls13, 8000})
    ->UseManualTime();

void BM_KeyedMac64(benchmark::State& state) {
  const MacKey key{1, 2, 3};
  const std::vector<std::byte> message(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(KeyedMac64(key, message));
}
BENCHMARK(BM_KeyedMac64)->Arg(20)->Arg(100);

void BM_RandomBytes(benchmark::State& state) {
  std::vector<std::byte> bytes(static_cast<size_t>(state.range(0)));
  for (auto _ : state) RandomBytes(bytes);
}
BENCHMARK(BM_RandomBytes)->Arg(12)->Arg(32);

}  // namespace
}  // namespace sallyport::tls
