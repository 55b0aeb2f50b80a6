#include "sip/policy/from_check.h"

#include "core/check.h"

namespace sallyport::sip {
namespace {

// Takes no note of the steps: what the data path runs.
struct NoTrace {
  template <typename Sentence>
  void operator()(const Sentence&) const {}
};

// Keeps them. The sentences are built only here, so the data path pays nothing for them.
struct StepTrace {
  std::vector<std::string>& steps;
  template <typename Sentence>
  void operator()(const Sentence& sentence) const {
    steps.push_back(sentence());
  }
};

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// The rule, once. `trace` is given a function that makes the sentence.
template <typename Trace>
FromVerdict Judge(const SipIdentities* identities, const Uri& from, const Trace& trace) {
  if (identities == nullptr) {
    trace([] { return std::string("the connection proved no identity: no certificate"); });
    return FromVerdict::kNoIdentity;
  }
  trace([&] { return "the certificate proves: " + identities->List(); });
  if (!from.is_sip_or_sips()) {
    trace([&] {
      return "scheme " + Quoted(from.scheme_text) + " names no domain (only sip and sips do)";
    });
    return FromVerdict::kNamesNoDomain;
  }
  if (from.host_is_ip || from.host.empty()) {
    trace([&] { return Quoted(from.host) + " is an address, not a domain name"; });
    return FromVerdict::kNamesNoDomain;
  }
  if (identities->CoversDomain(from.host)) {
    trace([&] { return "domain " + Quoted(from.host) + " is one of the domain identities"; });
    return FromVerdict::kCoveredByDomain;
  }
  trace([&] {
    return "domain " + Quoted(from.host) +
           " is none of the domain identities (whole names, no wildcard; RFC 5922 7.2)";
  });
  if (from.has_password) {
    trace([&] {
      return "a password makes it another URI than that of any user identity (RFC 3261 19.1.4)";
    });
    return FromVerdict::kNotCovered;
  }
  if (identities->CoversUser(from.user, from.host)) {
    trace([&] {
      return "user " + Quoted(from.user) + " at that domain is one of the user identities";
    });
    return FromVerdict::kCoveredByUser;
  }
  trace([&] {
    return "user " + Quoted(from.user) + " at that domain is none of the user identities";
  });
  return FromVerdict::kNotCovered;
}

}  // namespace

std::string_view VerdictText(FromVerdict verdict) {
  switch (verdict) {
    case FromVerdict::kCoveredByDomain:
      return "covered-by-domain";
    case FromVerdict::kCoveredByUser:
      return "covered-by-user";
    case FromVerdict::kNotCovered:
      return "not-covered";
    case FromVerdict::kNamesNoDomain:
      return "names-no-domain";
    case FromVerdict::kNoIdentity:
      return "no-identity";
    case FromVerdict::kMalformed:
      return "malformed";
  }
  UNREACHABLE();
}

FromVerdict CheckFrom(const SipIdentities* identities, const Uri& from) {
  return Judge(identities, from, NoTrace());
}

FromExplanation ExplainFrom(const SipIdentities* identities, const Uri& from) {
  FromExplanation explanation;
  explanation.verdict = Judge(identities, from, StepTrace{explanation.steps});
  return explanation;
}

}  // namespace sallyport::sip
