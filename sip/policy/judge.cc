#include "sip/policy/judge.h"

#include "sip/message/name_addr.h"

namespace sallyport::sip {
namespace {

IdentityDecision Refuse(ReasonCode reason, HeaderId header, FromVerdict verdict) {
  return {.accepted = false, .reason = reason, .failed_header = header, .verdict = verdict};
}

// RFC 3892 §2.1: one Referred-By, one URI in it. Two would let us judge one and the next hop
// believe the other.
FromVerdict CheckReferredBy(const SipIdentities& identities, const MessageView& request) {
  if (request.Count(HeaderId::kReferredBy) != 1) return FromVerdict::kMalformed;
  NameAddr referrer;
  if (ParseNameAddr(request.First(HeaderId::kReferredBy)->value, referrer) !=
      NameAddrOutcome::kOk) {
    return FromVerdict::kMalformed;
  }
  return CheckFrom(&identities, referrer.uri);
}

}  // namespace

IdentityDecision JudgeRequest(const PeerStanding& peer, const MessageView& request,
                              int64_t now_seconds, FromExcuse excuse) {
  if (!peer.IsInDate(now_seconds)) {
    return {.accepted = false, .reason = ReasonCode::kPeerRefused, .has_expired = true};
  }
  if (peer.refused)
    return Refuse(ReasonCode::kPeerRefused, HeaderId::kOther, FromVerdict::kNoIdentity);
  if (!peer.has_identity)
    return Refuse(ReasonCode::kNoIdentity, HeaderId::kOther, FromVerdict::kNoIdentity);

  const FromVerdict from = CheckFrom(&peer.identities, request.from().uri);
  const bool is_excused =
      excuse == FromExcuse::kDialogToken && request.method() != Method::kRegister;
  if (!IsCovered(from) && !is_excused) {
    return Refuse(ReasonCode::kFromNotCovered, HeaderId::kFrom, from);
  }

  if (request.method() == Method::kRegister) {
    const FromVerdict to = CheckFrom(&peer.identities, request.to().uri);
    if (!IsCovered(to)) return Refuse(ReasonCode::kRegisterForAnother, HeaderId::kTo, to);
  }
  bool drops_referred_by = false;
  if (request.method() == Method::kRefer && request.Has(HeaderId::kReferredBy)) {
    const FromVerdict referrer = CheckReferredBy(peer.identities, request);
    if (referrer == FromVerdict::kMalformed) {
      return Refuse(ReasonCode::kReferredByMalformed, HeaderId::kReferredBy, referrer);
    }
    drops_referred_by = !IsCovered(referrer);
    if (drops_referred_by && IsCovered(from)) {
      return Refuse(ReasonCode::kReferredByNotCovered, HeaderId::kReferredBy, referrer);
    }
  }
  return {.accepted = true,
          .verdict = from,
          .from_covered = IsCovered(from),
          .drops_referred_by = drops_referred_by};
}

}  // namespace sallyport::sip
