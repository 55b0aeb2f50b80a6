// The two Record-Route lines that the edge adds when a dialog-forming request passes (RFC 3261
// §16.6 step 4, RFC 5658): adjacent, one for each side, each naming the listener that its side must
// write to. Where both sides are one listener it is a single line that holds both.
//
//   base64url( kind 1 | flags 1 | [key id 1] | fields of the side | [MAC 16] )    in the user part
//
// One MAC covers both lines: their fields, the URI that each stands in (scheme, host, port,
// transport), the Call-ID and the From-tag that began the dialog. It stands in the outside line,
// else in the caller's. So a pair serves one dialog, and in it one party on each side. Without
// the secret none can be made, and halves of two cannot be joined. Fields travel in clear, but for
// the party's leaf.
//
// What a pair is good for is decided in token_rights.h. Authentic for every instance that shares
// the secret; a flow in it is of one process.
// Thread: immutable after construction; shared by all shards. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sip/message/uri.h"
#include "sip/proxy/flow_ref.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/party.h"
#include "sip/proxy/record_route.h"
#include "sip/proxy/seal_keys.h"
#include "sip/proxy/transport_address.h"

namespace sallyport::sip {

// One side of a dialog, as later requests reach it.
struct DialogSide {
  Zone zone = Zone::kInside;
  // Inside: where its requests go. Outside, where we dialled: that target.
  TransportAddress target;
  uint32_t next_hop = 0;  // NextHopNameHash of the next hop that `target` is of; 0: of none.
  bool secure = false;    // With a target: the dialog began with a sips URI (RFC 5630 §3.1.1).
  FlowRef flow;           // Outside: the connection that the party opened.
  SealedParty party;      // Outside; kNone: a plain next hop, which proves nothing.
  friend bool operator==(const DialogSide&, const DialogSide&) = default;
};

struct DialogPair {
  DialogSide caller;  // The side that began the dialog.
  DialogSide callee;
};

// How a dialog is known: a hash of its Call-ID and of the From-tag of the request that began it.
using DialogId = std::array<uint8_t, 32>;
[[nodiscard]] DialogId DialogIdOf(std::string_view call_id, std::string_view tag);

// The user parts of both lines. With a single line `callee` is empty.
struct PairTexts {
  static constexpr size_t kTextBytesMax = 384;

  std::array<char, kTextBytesMax> caller_text;
  std::array<char, kTextBytesMax> callee_text;
  size_t caller_bytes = 0;
  size_t callee_bytes = 0;
  SealKeys::Mac mac;  // Of the pair; a dialog token names it by that.

  [[nodiscard]] std::string_view caller() const { return {caller_text.data(), caller_bytes}; }
  [[nodiscard]] std::string_view callee() const { return {callee_text.data(), callee_bytes}; }
};

// Lines as they stand in Route or Record-Route. Without a second one the first is single.
struct PairLines {
  const Uri* first = nullptr;
  const Uri* second = nullptr;
};

struct PairReading {
  enum class Outcome : uint8_t {
    kForged,      // Not a pair, or not of this dialog.
    kUnknownKey,  // The key that its id names is not, or no longer, in our secret.
    kValid,
  };

  Outcome outcome = Outcome::kForged;
  bool is_single = false;
  bool caller_is_first = false;
  size_t key = 0;     // Index of the key in the secret.
  SealKeys::Mac mac;  // The rest only if kValid.
  DialogPair pair;
};

class DialogPairSigner {
 public:
  explicit DialogPairSigner(const tls::Secret& secret);

  // `caller` and `callee` are the URIs that the lines will stand in,
  // but for the user; equal places give a single line.
  void Write(const DialogPair& pair, const DialogId& dialog, const RecordRouteUri& caller,
             const RecordRouteUri& callee, PairTexts& texts) const;

  [[nodiscard]] PairReading Read(const PairLines& lines, const DialogId& dialog) const;

  [[nodiscard]] const PartySealer& parties() const { return parties_; }

 private:
  const SealKeys keys_;
  const PartySealer parties_;
};

// The user part has the form of a line of a pair, whoever wrote it: of one side, or of both.
enum class PairLineForm : uint8_t { kNone, kCaller, kCallee, kSingle };
[[nodiscard]] PairLineForm PairLineFormOf(std::string_view user);

// A line that comes back is the one that was written, but for the spelling of its parameters and
// any `dt`.
[[nodiscard]] bool IsSameLine(const Uri& returned, const Uri& written);

// Both lines are one: the listener of both sides is the same.
[[nodiscard]] bool IsSamePlace(const RecordRouteUri& a, const RecordRouteUri& b);

}  // namespace sallyport::sip
