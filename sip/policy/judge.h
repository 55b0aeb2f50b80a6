// Step 2 of judging a request from outside: identity. From always; To on REGISTER (RFC 3261 §10.3:
// it is the address-of-record); Referred-By on REFER (RFC 3892). Deny by default. Pure: bytes and
// standing in, decision out; allocates nothing; any thread. Counting, logging and answering are the
// caller's. Responses are never judged here: they echo the request's From.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "sip/message/header_name.h"
#include "sip/message/message_view.h"
#include "sip/policy/from_check.h"
#include "sip/policy/reason_code.h"
#include "sip/policy/sip_identities.h"

namespace sallyport::sip {

// One TLS profile, or one leaf certificate under one (sip/proxy/party.h makes them).
using PartyId = std::array<uint8_t, 16>;

// What the peer of one connection may do. Built once when its certificate is known, again when the
// policy changes.
struct PeerStanding {
  SipIdentities identities;
  bool has_identity =
      false;  // A verified certificate (it may prove no SIP identity at all). False: anonymous.
  bool refused =
      false;  // unmatched = "refuse", or standing lost: nothing from this peer is accepted.
  // Where and by which leaf certificate it was proved; zeros without has_identity.
  PartyId profile_id{};
  PartyId leaf_id{};
  // Unix seconds, inclusive: when the certificate's path ends, and the standing with it.
  int64_t not_after = std::numeric_limits<int64_t>::max();

  bool IsInDate(int64_t now_seconds) const { return now_seconds <= not_after; }
};

struct IdentityDecision {
  bool accepted = false;
  ReasonCode reason = ReasonCode::kNoIdentity;  // Meaningful when not accepted.
  HeaderId failed_header =
      HeaderId::kOther;  // kFrom, kTo or kReferredBy; kOther: the peer itself failed.
  FromVerdict verdict = FromVerdict::kNoIdentity;  // Of the failed header; of From when accepted.
  bool from_covered = false;  // By the certificate. False when accepted: From was excused, and it
                              // is not asserted (no P-Asserted-Identity).
  bool drops_referred_by = false;  // An excused REFER's Referred-By is not covered: it goes.
  bool has_expired = false;        // Refused because the certificate did: nothing more will pass.
};

// What else than the certificate may speak for From: the token of a dialog that the inside began or
// sent out again, which the caller has checked for this request and this connection.
enum class FromExcuse : uint8_t { kNone, kDialogToken };

// `request` parsed kOk, so From and To are readable; a request whose From is not was answered
// from-malformed before, also to an anonymous peer. `now_seconds` is the wall clock. In this order,
// the first failure decides: certificate expired, peer refused, no identity, From, To, Referred-By.
// The excuse lets a From pass that is not covered, and nothing else: To is judged as ever, a
// Referred-By that is not covered is removed, and the excuse does not count for REGISTER, which is
// never in a dialog (RFC 3261 §10.2).
[[nodiscard]] IdentityDecision JudgeRequest(const PeerStanding& peer, const MessageView& request,
                                            int64_t now_seconds,
                                            FromExcuse excuse = FromExcuse::kNone);

}  // namespace sallyport::sip
