// Dialog tokens and the canonical form of URIs. The input is five lines: From, To and Contact of a
// request that leaves, another URI, a token. What is issued is exact for its own claim; the other
// URI in place of one of the three counts only if both have the same scheme, user, host and port
// (or number); a token that was not issued excuses nothing.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/message/uri.h"
#include "sip/proxy/canonical_uri.h"
#include "sip/proxy/dialog_token.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using Outcome = DialogTokenOutcome;

constexpr int64_t kNow = 1'800'000'000;

const DialogTokenSigner& Signer() {
  static const DialogTokenSigner signer(test::SecretOf(test::kOldKey));
  return signer;
}

std::string TakeLine(std::string_view& rest) {
  const size_t end = rest.find('\n');
  const std::string line(rest.substr(0, end));
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

std::string Unescaped(std::string_view text) {
  std::string out(text.size(), '\0');
  out.resize(Unescape(text, out));
  return out;
}

bool NamesTheSame(const Uri& a, const Uri& b) {
  if (a.scheme != b.scheme) return false;
  if (!a.is_sip_or_sips()) return a.scheme == Uri::Scheme::kTel;
  return Unescaped(a.user) == Unescaped(b.user) && EqualsIgnoreCase(a.host, b.host) &&
         a.port == b.port;
}

void CheckForm(const Uri& a, const Uri& b) {
  const bool is_same = IsSameUri(a, b);
  CHECK(is_same == IsSameUri(b, a));
  if (is_same) CHECK(NamesTheSame(a, b) && IsSameUri(a, a) && IsSameUri(b, b));
  UriListDigest one;
  UriListDigest other;
  if (!one.Add(a) || !other.Add(b)) return;
  const bool is_same_list = one.digest() == other.digest();
  CHECK(is_same_list || !is_same);
  if (is_same_list) CHECK(NamesTheSame(a, b));
}

constexpr SealKeys::Mac kPair = {1, 2};

void CheckIssued(const DialogFacts& claim, const Uri& other, std::string_view text) {
  const auto check = [&text](const DialogFacts& at, int64_t now = kNow) {
    return Signer().Check(text, at, kPair, 0, now);
  };
  CHECK(check(claim) == Outcome::kExact);
  CHECK(check(claim, kNow - 61) == Outcome::kExpired);
  CHECK(check(claim, kNow + DialogTokenSigner::kLifetimeSeconds + 1) == Outcome::kExpired);
  SealKeys::Mac other_pair = kPair;
  other_pair[3] ^= 1;
  CHECK(Signer().Check(text, claim, other_pair, 0, kNow) == Outcome::kForged);
  std::array<uint8_t, 32> other_list = *claim.route_set;
  other_list[3] ^= 1;
  DialogFacts changed = claim;
  changed.route_set = &other_list;
  CHECK(check(changed) == Outcome::kForged);
  for (const auto member : {&DialogFacts::near, &DialogFacts::far, &DialogFacts::contact}) {
    changed = claim;
    changed.*member = &other;
    const bool is_exact = check(changed) == Outcome::kExact;
    CHECK(is_exact || !IsSameUri(*(claim.*member), other));
    if (is_exact) CHECK(NamesTheSame(*(claim.*member), other));
  }
  CHECK(Signer().Check(text.substr(1), claim, kPair, 0, kNow) == Outcome::kForged);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string near_text = TakeLine(rest);
  const std::string far_text = TakeLine(rest);
  const std::string contact_text = TakeLine(rest);
  const std::string other_text = TakeLine(rest);
  const std::string token = TakeLine(rest);
  Uri near;
  Uri far;
  Uri contact;
  Uri other;
  if (ParseUri(near_text, near) != UriOutcome::kOk) return 0;
  if (ParseUri(far_text, far) != UriOutcome::kOk) far = near;
  if (ParseUri(contact_text, contact) != UriOutcome::kOk) contact = near;
  if (ParseUri(other_text, other) != UriOutcome::kOk) other = near;
  CheckForm(near, other);

  const std::array<uint8_t, 32> route_set = {3, 4};
  const DialogFacts facts{.near = &near, .far = &far, .contact = &contact, .route_set = &route_set};
  std::string text(DialogTokenSigner::kTextBytes, '\0');
  CHECK(Signer().Check(token, facts, kPair, 0, kNow) == Outcome::kForged);
  const std::optional<DialogClaim> claim = Signer().ClaimOf(facts);
  if (claim && Signer().Write(*claim, kPair, kNow, text.data())) CheckIssued(facts, other, text);
  return 0;
}

}  // namespace sallyport::sip
