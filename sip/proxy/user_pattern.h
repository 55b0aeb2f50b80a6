// Which user parts of a Request-URI a route takes: all, one, or all that begin alike.
//
// A user is compared after unescaping %HH, and case-sensitively (RFC 3261 §19.1.4): "+1%39005" is
// "+19005". Telephone numbers have further spellings, and a rule about a number must not be dodged
// by choosing another one. So the comparison is one of *numbers* where the pattern is one (digits,
// "+", "*", "#" and visual separators only), and for any pattern where the URI says that its user
// is one (tel:, or ;user=phone). A number is compared without what follows its first ";" (isub,
// phone-context and the like, RFC 3966 §3, in a tel URI or in the user part), without the visual
// separators "-", ".", "(" and ")" (RFC 3966 §5), and without regard to case. What a pattern
// matches as text it also matches as a number, so adding ;user=phone never escapes a rule.
// Digits are exact: "+1900" is not "1900", and no prefix is added from phone-context (RFC 3966
// §5.1.5).
//
// A pattern that begins with "urn:" is one of URNs, and takes nothing else; no other pattern but
// the one of any takes a URN. The whole URN is compared, without regard to case (as RFC 5031 §3
// wants it for services), after unescaping, without what follows "?" or "#" (RFC 8141 §3.2).
//
// Pure; no allocation in Matches. Cost: linear in the pattern.
// Thread: immutable after Parse; shared by all shards.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "sip/message/uri.h"

namespace sallyport::sip {

class UserPattern {
 public:
  UserPattern() = default;  // Any user, and a URI without one.

  // "alice", "+1900*", "alice*", "urn:service:*"; "" and "*" are any. A "*" stands at the end;
  // elsewhere it is written %2A. The message says what is wrong, then "; " and what to write.
  [[nodiscard]] static absl::StatusOr<UserPattern> Parse(std::string_view text);

  [[nodiscard]] bool is_any() const { return is_prefix_ && literal_.empty(); }
  [[nodiscard]] bool is_urn() const { return is_urn_; }
  // The pattern would be one of URNs, whether or not Parse takes it.
  [[nodiscard]] static bool LooksLikeUrn(std::string_view text);
  [[nodiscard]] bool Matches(const Uri& uri) const;
  // Every URI that `other` matches, this one matches too. May miss it, never invents it.
  [[nodiscard]] bool Covers(const UserPattern& other) const;
  [[nodiscard]] const std::string& text() const { return text_; }  // As written; "" for any.

  friend bool operator==(const UserPattern&, const UserPattern&) = default;

 private:
  [[nodiscard]] static absl::StatusOr<UserPattern> ParseUrn(UserPattern pattern,
                                                            std::string_view text);

  std::string text_;
  std::string literal_;  // Unescaped, without the final "*"; of a URN in lower case.
  std::string number_;   // The same as a number is compared.
  bool is_prefix_ = true;
  bool is_number_ = false;
  bool is_urn_ = false;
};

}  // namespace sallyport::sip
