#include "sip/proxy/registration.h"

#include <string_view>

#include "sip/message/grammar.h"
#include "sip/message/name_addr.h"
#include "sip/message/params.h"
#include "sip/message/value_list.h"

namespace sallyport::sip {
namespace {

// True if `found` says so of one of the values of all lines with this id.
template <typename Predicate>
bool AnyValue(const MessageView& request, HeaderId id, const Predicate& found) {
  for (const HeaderField* line = request.First(id); line != nullptr;
       line = request.NextSame(line)) {
    ValueList values(line->value);
    std::string_view value;
    while (values.Next(value)) {
      if (found(value)) return true;
    }
  }
  return false;
}

bool Supports(const MessageView& request, std::string_view option) {
  return AnyValue(request, HeaderId::kSupported,
                  [option](std::string_view value) { return EqualsIgnoreCase(value, option); });
}

bool IsFlowContact(std::string_view value) {
  NameAddr contact;
  return ParseNameAddr(value, contact) == NameAddrOutcome::kOk &&  // "*" is none.
         FindParam(contact.params, "reg-id").has_value() &&
         FindParam(contact.params, "+sip.instance").has_value();
}

bool HasOb(std::string_view value) {
  NameAddr contact;
  return ParseNameAddr(value, contact) == NameAddrOutcome::kOk &&
         FindParam(contact.uri.params, "ob").has_value();
}

// INVITE (RFC 3261 §12.1), SUBSCRIBE (RFC 6665 §4.1), REFER (RFC 3515 §2.4).
bool BeginsDialog(const MessageView& request) {
  const bool may_begin = request.method() == Method::kInvite ||
                         request.method() == Method::kSubscribe ||
                         request.method() == Method::kRefer;
  return may_begin && request.to().tag.empty();
}

}  // namespace

RegistrationFacts ReadRegistration(const MessageView& request) {
  return {
      .is_first_hop = request.Count(HeaderId::kVia) == 1 && request.top_via_rest().empty(),
      .supports_path = Supports(request, "path"),
      .supports_outbound = Supports(request, "outbound"),
      .registers_flow = AnyValue(request, HeaderId::kContact, IsFlowContact),
  };
}

bool WantsOutboundFlow(const MessageView& request) {
  return BeginsDialog(request) && AnyValue(request, HeaderId::kContact, HasOb);
}

}  // namespace sallyport::sip
