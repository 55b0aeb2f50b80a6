// What an edge signs, written as it stands in a message: pairs and Path values as URIs, branches as
// text. For tests of what these are good for, and of what is not one of them.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/socket_address.h"
#include "sip/message/uri.h"
#include "sip/policy/judge.h"
#include "sip/policy/sip_identities.h"
#include "sip/proxy/branch.h"
#include "sip/proxy/dialog_pair.h"
#include "sip/proxy/next_hop_config.h"
#include "sip/proxy/party.h"
#include "sip/proxy/path_token.h"
#include "sip/proxy/record_route.h"
#include "tls/secret.h"

namespace sallyport::test {

inline constexpr char kOldKey[] =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
inline constexpr char kNewKey[] =
    "ffeeddccbbaa99887766554433221100f0e0d0c0b0a090807060504030201000";
inline constexpr std::string_view kBase64UrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

inline tls::Secret SecretOf(const std::string& lines) { return *tls::Secret::Parse(lines, "test"); }
inline tls::Secret RotatedSecret() { return SecretOf(std::string(kNewKey) + "\n" + kOldKey); }

// Borrows the text.
inline sip::Uri ParsedUri(std::string_view text) {
  sip::Uri uri;
  if (sip::ParseUri(text, uri) != sip::UriOutcome::kOk) {
    std::fprintf(stderr, "no URI: %s\n", std::string(text).c_str());
    std::abort();
  }
  return uri;
}

// A connection whose certificate, the `leaf`th under that profile, proves these names.
inline sip::PeerStanding StandingOf(std::vector<std::string> domains,
                                    std::vector<sip::SipIdentities::User> users = {},
                                    uint8_t leaf = 1, std::string_view profile = "federation") {
  sip::PeerStanding standing;
  standing.identities = sip::SipIdentities(std::move(domains), std::move(users));
  standing.has_identity = true;
  standing.profile_id = sip::ProfilePartyId(profile);
  tls::Sha256Digest fingerprint{};
  fingerprint[0] = leaf;
  standing.leaf_id = sip::LeafPartyId(standing.profile_id, fingerprint);
  return standing;
}

inline sip::Party DomainPartyOf(const std::string& domain,
                                std::string_view profile = "federation") {
  return sip::PartyOfServer(StandingOf({domain}, {}, 1, profile), domain);
}

inline sip::TransportAddress TargetOf(sip::TransportProtocol transport, std::string_view address) {
  return {.transport = transport, .address = *core::SocketAddress::Parse(address), .identity = 0};
}

inline sip::DialogSide InsideSide(std::string_view address = "127.0.0.1:5080",
                                  std::string_view next_hop = "core") {
  sip::DialogSide side;
  side.zone = sip::Zone::kInside;
  side.target = TargetOf(sip::TransportProtocol::kUdp, address);
  side.next_hop = next_hop.empty() ? 0 : sip::NextHopNameHash(next_hop);
  return side;
}

// The party's own connection.
inline sip::DialogSide OutsideSide(const sip::SealedParty& party) {
  sip::DialogSide side;
  side.zone = sip::Zone::kOutside;
  side.flow = {.process = 7, .shard = 1, .listener = 0, .connection = {4711, 12}};
  side.party = party;
  return side;
}

// The URI of a line "Record-Route: <...>" CRLF or "Path: <...>" CRLF.
inline std::string UriOfLine(std::string_view line) {
  const size_t begin = line.find('<') + 1;
  return std::string(line.substr(begin, line.find('>') - begin));
}

inline std::string RouteUri(const sip::RecordRouteUri& place) {
  std::string line(2048, '\0');
  line.resize(sip::WriteRecordRoute(place, line));
  CHECK(!line.empty());
  return UriOfLine(line);
}

struct Dialog {
  std::string call_id = "call-1";
  std::string tag = "caller-tag";  // Of the request that began it.
};

// The URIs of both lines; `callee` is empty if the pair is a single line.
struct PairUris {
  std::string caller;
  std::string callee;
  sip::SealKeys::Mac mac{};

  [[nodiscard]] bool is_single() const { return callee.empty(); }
  // Route values as the caller's side and the callee's side write them.
  [[nodiscard]] std::string FromCaller() const {
    return is_single() ? "<" + caller + ">" : "<" + caller + ">, <" + callee + ">";
  }
  [[nodiscard]] std::string FromCallee() const {
    return is_single() ? "<" + caller + ">" : "<" + callee + ">, <" + caller + ">";
  }
  // Record-Route values as the next element on the callee's side sees them.
  [[nodiscard]] std::string AsRecorded() const { return FromCallee(); }
};

inline PairUris WritePair(const sip::DialogPairSigner& signer, const sip::DialogPair& pair,
                          const Dialog& dialog, sip::RecordRouteUri caller,
                          sip::RecordRouteUri callee) {
  sip::PairTexts texts;
  signer.Write(pair, sip::DialogIdOf(dialog.call_id, dialog.tag), caller, callee, texts);
  PairUris uris;
  caller.user = texts.caller();
  callee.user = texts.callee();
  uris.caller = RouteUri(caller);
  if (!texts.callee().empty()) uris.callee = RouteUri(callee);
  uris.mac = texts.mac;
  return uris;
}

inline std::string PathUri(const sip::PathTokenSigner& signer, const sip::PathToken& token,
                           sip::RecordRouteUri place) {
  std::string user(sip::PathTokenSigner::kTextBytesMax, '\0');
  user.resize(signer.Write(token, user.data()));
  place.user = user;
  return RouteUri(place);
}

inline std::string BranchText(const sip::BranchSigner& signer, const sip::Branch& branch) {
  std::string text(sip::BranchSigner::kTextBytes, '\0');
  signer.Write(branch, text.data());
  return text;
}

}  // namespace sallyport::test
