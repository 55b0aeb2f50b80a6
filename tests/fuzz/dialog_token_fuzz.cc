// Dialog tokens. The input is six lines: Call-ID, tag, URI, identity, another URI, a token. What is
// issued excuses its own From and tells its identity; it excuses the other URI only if both have
// the same user and host (or number); a token that nobody issued excuses nothing.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/message/uri.h"
#include "sip/proxy/dialog_token.h"

namespace sallyport::sip {
namespace {

constexpr int64_t kNow = 1'800'000'000;

const DialogTokenSigner& Signer() {
  static const DialogTokenSigner signer(*tls::Secret::Parse(
      "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "fuzz"));
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
  if (a.is_sip_or_sips() != b.is_sip_or_sips()) return false;
  if (a.is_sip_or_sips()) {
    return Unescaped(a.user) == Unescaped(b.user) && EqualsIgnoreCase(a.host, b.host) &&
           a.port == b.port;
  }
  return a.scheme == Uri::Scheme::kTel && b.scheme == Uri::Scheme::kTel;
}

void CheckIssued(const DialogClaim& claim, const Uri& other, std::string_view text) {
  const auto check = [&](std::string_view token, std::string_view call_id, std::string_view tag,
                         const Uri& from,
                         int64_t now) { return Signer().Check(token, call_id, tag, from, now); };
  const auto found = check(text, claim.call_id, claim.local_tag, *claim.remote, kNow);
  CHECK(found.has_value() && found->view() == claim.identity);
  if (check(text, claim.call_id, claim.local_tag, other, kNow).has_value()) {
    CHECK(NamesTheSame(*claim.remote, other));
  }
  const std::string longer = std::string(claim.call_id) + "x";
  CHECK(!check(text, longer, claim.local_tag, *claim.remote, kNow));
  CHECK(!check(text, claim.local_tag, claim.call_id, *claim.remote, kNow) ||
        claim.call_id == claim.local_tag);
  CHECK(!check(text.substr(1), claim.call_id, claim.local_tag, *claim.remote, kNow));
  CHECK(!check(text, claim.call_id, claim.local_tag, *claim.remote, kNow - 61));
  CHECK(!check(text, claim.call_id, claim.local_tag, *claim.remote,
               kNow + DialogTokenSigner::kLifetimeSeconds + 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string call_id = TakeLine(rest);
  const std::string tag = TakeLine(rest);
  const std::string remote_text = TakeLine(rest);
  const std::string identity = TakeLine(rest);
  const std::string other_text = TakeLine(rest);
  const std::string token = TakeLine(rest);
  Uri remote;
  if (ParseUri(remote_text, remote) != UriOutcome::kOk) return 0;
  Uri other;
  if (ParseUri(other_text, other) != UriOutcome::kOk) other = remote;

  const DialogClaim claim{call_id, tag, &remote, identity};
  std::array<char, DialogTokenSigner::kTextBytesMax> text;
  const size_t written = Signer().Write(claim, kNow, text);
  CHECK(!Signer().Check(token, call_id, tag, remote, kNow).has_value());
  if (written > 0) CheckIssued(claim, other, {text.data(), written});
  return 0;
}

}  // namespace sallyport::sip
