#include "sip/policy/identity_headers.h"

#include <optional>

#include "absl/strings/match.h"
#include "core/check.h"
#include "sip/message/params.h"

namespace sallyport::sip {
namespace {

bool IsPhoneUser(const Uri& uri) {
  const std::optional<std::string_view> user = FindParam(uri.params, "user");
  return user.has_value() && absl::EqualsIgnoreCase({user->data(), user->size()}, "phone");
}

// Header name, colon and everything up to the user part.
std::string_view Opening(AssertedHeader mode, Uri::Scheme scheme) {
  const bool sips = scheme == Uri::Scheme::kSips;
  if (mode == AssertedHeader::kPAssertedIdentity) {
    return sips ? "P-Asserted-Identity: <sips:" : "P-Asserted-Identity: <sip:";
  }
  return sips ? "P-Preferred-Identity: <sips:" : "P-Preferred-Identity: <sip:";
}

bool WaivesPrivacy(const MessageView& message) {
  if (message.Count(HeaderId::kPrivacy) != 1) return false;
  const std::string_view value = message.First(HeaderId::kPrivacy)->value;
  return absl::EqualsIgnoreCase({value.data(), value.size()}, "none");
}

}  // namespace

void RemoveIdentityHeaders(const MessageView& message, IdentityCrossing crossing,
                           MessageEdit& edit) {
  if (crossing == IdentityCrossing::kWithin) return;
  for (const HeaderId id :
       {HeaderId::kPPreferredIdentity, HeaderId::kRemotePartyId, HeaderId::kSallyport}) {
    RemoveAll(message, id, edit);
  }
  if (crossing == IdentityCrossing::kLeaves && WaivesPrivacy(message)) return;
  RemoveAll(message, HeaderId::kPAssertedIdentity, edit);
}

void AssertIdentity(const MessageView& request, const Uri& from, AssertedHeader mode,
                    MessageEdit& edit) {
  if (mode == AssertedHeader::kNone) return;
  if (request.method() == Method::kAck || request.method() == Method::kCancel) return;
  DCHECK(from.is_sip_or_sips() && !from.host_is_ip);
  const char* const end = request.headers_end();
  edit.InsertBefore(end, Opening(mode, from.scheme));
  if (!from.user.empty()) {
    edit.InsertBefore(end, from.user);
    edit.InsertBefore(end, "@");
  }
  edit.InsertBefore(end, from.host);
  edit.InsertBefore(end, IsPhoneUser(from) ? ";user=phone>\r\n" : ">\r\n");
}

}  // namespace sallyport::sip
