// What the kernel tells us about an operation that it has finished (or, for a multishot operation,
// has one more result of), who asked for it, and how both fit into the 64 bits that travel with it.
#pragma once

#include <cstdint>

namespace sallyport::core {

// Names an attached CompletionHandler. The generation changes when the slot is reused, so a late
// completion finds nobody. Zero-initialised it names nobody.
struct HandlerId {
  uint32_t slot = 0;        // Below kHandlerSlotsMax.
  uint32_t generation = 0;  // Below 2^24: what fits into the user data.
  friend bool operator==(const HandlerId&, const HandlerId&) = default;
};
inline constexpr uint32_t kHandlerSlotsMax = 1u << 24;
inline constexpr uint32_t kHandlerGenerationMask = (1u << 24) - 1;

enum class Operation : uint8_t {
  kNone,
  kAccept,           // Multishot. result: a new fd that the handler owns, or -errno.
  kReceive,          // Multishot. result: bytes in `buffer`, 0 = peer's FIN, or -errno.
  kReceiveDatagram,  // Multishot. result: size of header and payload in `buffer`, or -errno.
  kSend,             // result: bytes taken, maybe fewer than given, or -errno.
  kSendDatagram,     // result: bytes taken, or -errno. `tag` is the caller's.
  kConnect,          // result: 0 or -errno.
  kPoll,             // One shot. result: revents, or -errno.
  kCancel,           // Never delivered to a handler.
  kWake,             // Another ring woke this one. Never delivered to a handler.
};

enum class BufferGroup : uint8_t { kNone, kStream, kDatagram };

// A buffer of ours that the kernel filled. Whoever gets it gives it back (IoBackend::Recycle).
struct BufferRef {
  uint16_t id = 0;
  BufferGroup group = BufferGroup::kNone;

  bool present() const { return group != BufferGroup::kNone; }
  friend bool operator==(const BufferRef&, const BufferRef&) = default;
};

struct Completion {
  HandlerId owner;
  int32_t result = 0;
  Operation operation = Operation::kNone;
  uint8_t tag = 0;    // As given with the operation; 0 where none is given.
  bool more = false;  // Multishot: the operation is still armed. Without it, it has ended.
  BufferRef buffer;
};

// Called from the reactor's queue, never while completions are being harvested.
class CompletionHandler {
 public:
  virtual void OnCompletion(const Completion& done) = 0;

 protected:
  ~CompletionHandler() = default;  // Owned elsewhere, never deleted through this.
};

// user data = operation (8 bits) | tag (8) | slot (24) | generation (24).
struct OperationKey {
  Operation operation = Operation::kNone;
  uint8_t tag = 0;
  HandlerId owner;
  friend bool operator==(const OperationKey&, const OperationKey&) = default;
};

constexpr uint64_t PackUserData(const OperationKey& key) {
  return uint64_t{static_cast<uint8_t>(key.operation)} << 56 | uint64_t{key.tag} << 48 |
         uint64_t{key.owner.slot} << 24 | (key.owner.generation & kHandlerGenerationMask);
}

constexpr OperationKey UnpackUserData(uint64_t data) {
  return {static_cast<Operation>(data >> 56),
          static_cast<uint8_t>(data >> 48),
          {static_cast<uint32_t>(data >> 24) & (kHandlerSlotsMax - 1),
           static_cast<uint32_t>(data) & kHandlerGenerationMask}};
}

}  // namespace sallyport::core
