#include "tls/random.h"

#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "core/refuse_to_start.h"
#include "tls/wolfssl_hooks.h"

namespace sallyport::tls {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kBlockBytes = 64;

// Counts forks in this process. A child inherits the parent's generator and must not repeat its
// output.
uint32_t forks = 0;

void OnForkInChild() { ++forks; }

uint32_t LoadLittleEndian(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
  return word;
}

void QuarterRound(std::array<uint32_t, 16>& s, size_t a, size_t b, size_t c, size_t d) {
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 12);
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 7);
}

// One block of ChaCha20 (RFC 8439 §2.3) with nonce zero: the key is used for one refill only.
void ChaChaBlock(const std::array<uint8_t, kKeyBytes>& key, uint32_t counter, uint8_t* out) {
  std::array<uint32_t, 16> start{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  for (size_t i = 0; i < 8; ++i) start[4 + i] = LoadLittleEndian(key.data() + 4 * i);
  start[12] = counter;
  std::array<uint32_t, 16> state = start;
  for (int round = 0; round < 10; ++round) {
    QuarterRound(state, 0, 4, 8, 12);
    QuarterRound(state, 1, 5, 9, 13);
    QuarterRound(state, 2, 6, 10, 14);
    QuarterRound(state, 3, 7, 11, 15);
    QuarterRound(state, 0, 5, 10, 15);
    QuarterRound(state, 1, 6, 11, 12);
    QuarterRound(state, 2, 7, 8, 13);
    QuarterRound(state, 3, 4, 9, 14);
  }
  for (size_t i = 0; i < state.size(); ++i) {
    uint32_t word = state[i] + start[i];
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
    std::memcpy(out + 4 * i, &word, sizeof word);
  }
}

// Fast key erasure: each refill makes the next key first and wipes what it hands out, so nobody who
// reads this memory later learns what was handed out before.
class Generator {
 public:
  void Fill(std::span<std::byte> out) {
    if (!seeded_ || forks_seen_ != forks) Seed();
    while (!out.empty()) {
      if (unread_ == 0) Refill();
      const size_t bytes = std::min(out.size(), unread_);
      uint8_t* const from = pool_.data() + pool_.size() - unread_;
      std::memcpy(out.data(), from, bytes);
      std::memset(from, 0, bytes);
      unread_ -= bytes;
      out = out.subspan(bytes);
    }
  }

  void SeedWith(uint64_t seed) {
    key_.fill(0);
    std::memcpy(key_.data(), &seed, sizeof seed);
    seeded_ = true;
    forks_seen_ = forks;
    unread_ = 0;
  }
  void Forget() { seeded_ = false; }

 private:
  void Seed() {
    static const int registered = pthread_atfork(nullptr, nullptr, OnForkInChild);
    CHECK(registered == 0);
    size_t have = 0;
    while (have < key_.size()) {
      const ssize_t got = getrandom(key_.data() + have, key_.size() - have, 0);
      if (got > 0) {
        have += static_cast<size_t>(got);
      } else if (errno != EINTR) {
        // Without randomness there is no TLS. Each thread is seeded when it starts.
        core::RefuseToStart("read random bytes", errno, "allow getrandom(2) in the seccomp filter");
      }
    }
    seeded_ = true;
    forks_seen_ = forks;
    unread_ = 0;
  }

  void Refill() {
    std::array<uint8_t, kBlockBytes> first;
    ChaChaBlock(key_, 0, first.data());
    for (uint32_t block = 0; block < pool_.size() / kBlockBytes; ++block) {
      ChaChaBlock(key_, block + 1, pool_.data() + block * kBlockBytes);
    }
    std::memcpy(key_.data(), first.data(), key_.size());
    unread_ = pool_.size();
  }

  bool seeded_ = false;
  uint32_t forks_seen_ = 0;
  size_t unread_ = 0;  // At the end of pool_.
  std::array<uint8_t, kKeyBytes> key_{};
  std::array<uint8_t, 8 * kBlockBytes> pool_{};
};

constinit thread_local Generator generator;

}  // namespace

void RandomBytes(std::span<std::byte> out) { generator.Fill(out); }

uint64_t RandomUint64() {
  uint64_t value;
  generator.Fill(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

ScopedSeededRandom::ScopedSeededRandom(uint64_t seed) { generator.SeedWith(seed); }
ScopedSeededRandom::~ScopedSeededRandom() { generator.Forget(); }

}  // namespace sallyport::tls

extern "C" int SallyportRandomBlock(unsigned char* output, unsigned int bytes) {
  sallyport::tls::RandomBytes(std::as_writable_bytes(std::span(output, bytes)));
  return 0;
}
