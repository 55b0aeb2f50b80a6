// Random bytes: one generator per thread (ChaCha20 with fast key erasure), seeded by getrandom(2),
// seeded anew after a fork. wolfSSL draws from it too; with its own generator each connection would
// open /dev/urandom and run a self-test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sallyport::tls {

void RandomBytes(std::span<std::byte> out);
uint64_t RandomUint64();

// For tests and simulations: while it lives, this thread's generator is a function of `seed`. Never
// in production.
class ScopedSeededRandom {
 public:
  explicit ScopedSeededRandom(uint64_t seed);
  ~ScopedSeededRandom();
  ScopedSeededRandom(const ScopedSeededRandom&) = delete;
  ScopedSeededRandom& operator=(const ScopedSeededRandom&) = delete;
};

}  // namespace sallyport::tls
