#include "sip/proxy/request_log.h"

#include <algorithm>
#include <span>
#include <string>

#include "core/log_rate_limiter.h"
#include "sip/message/name_addr.h"
#include "sip/message/uri.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

// Ten digits of a number below 2^31, a space, and the name of any usual method.
constexpr size_t kCSeqBytesMax = 40;
constexpr size_t kMethodBytesMax = 32;

// Empty where the text is no URI. Of a tel URI there is only a user.
Uri UriOf(std::string_view text) {
  Uri uri;
  if (ParseUri(text, uri) != UriOutcome::kOk) uri.Clear();
  return uri;
}

Uri UriIn(const MessageView& message, HeaderId id) {
  NameAddr address;
  if (ParseNameAddr(RawValueOf(message, id), address) != NameAddrOutcome::kOk) return {};
  return address.uri;
}

// The start line of a request and its From and To, read anew: the parser may have stopped before.
void AppendRequest(const MessageView& request, const EdgeSnapshot& snapshot, LogFields& fields) {
  const std::string_view method = request.is_request() ? request.method_text() : std::string_view();
  const Uri uri = request.is_request() ? UriOf(request.request_uri()) : Uri();
  const Uri from = UriIn(request, HeaderId::kFrom);
  fields.push_back({"method", method.substr(0, kMethodBytesMax)});
  fields.push_back({"cseq", CSeqText(RawValueOf(request, HeaderId::kCSeq))});
  fields.push_back({"request_uri_host", uri.host});
  fields.push_back({"from_host", from.host});
  if (!snapshot.config.log.users) return;
  fields.push_back({"request_uri_user", uri.user});
  fields.push_back({"from_user", from.user});
  fields.push_back({"to_user", UriIn(request, HeaderId::kTo).user});
}

// The texts that a line needs and that exist nowhere else.
struct WayTexts {
  WayTexts(const ShardContext& context, const RequestWay& way)
      : identities(way.standing == nullptr ? std::string() : way.standing->identities.List()),
        address(way.address.ToString()),
        target(way.target.family() == core::AddressFamily::kNone ? std::string()
                                                                 : way.target.ToString()) {
    const std::vector<ListenerConfig>& listeners = context.snapshot->config.listeners;
    if (way.listener < listeners.size()) listener = listeners[way.listener].name;
  }

  std::string identities;
  std::string address;
  std::string target;
  std::string_view listener;
};

// In front of what the peer has written: no length of that keeps the peer itself out of a record.
void AppendWay(const RequestWay& way, const WayTexts& texts, LogFields& fields) {
  fields.push_back({"zone", ZoneName(way.zone)});
  fields.push_back({"listener", texts.listener});
  fields.push_back({"identities", texts.identities});
  fields.push_back({"address", texts.address});
  fields.push_back({"next_hop", way.next_hop});
  fields.push_back({"target", texts.target});
  fields.push_back({"dns_name", way.dns_name});
}

}  // namespace

CallIdText::CallIdText(std::string_view call_id, const EdgeSnapshot& snapshot)
    : is_shown_(snapshot.config.log.call_id != LoggedCallId::kOff) {
  if (snapshot.config.log.call_id == LoggedCallId::kPlain) text_ = call_id;
  if (snapshot.config.log.call_id != LoggedCallId::kHash || call_id.empty()) return;
  uint64_t hash = tls::KeyedMac64(snapshot.logged_call_id_key, std::as_bytes(std::span(call_id)));
  for (size_t i = digits_.size(); i > 0; hash >>= 4) digits_[--i] = "0123456789abcdef"[hash & 15];
  text_ = {digits_.data(), digits_.size()};
}

void CallIdText::AppendTo(LogFields& fields) const {
  if (is_shown_) fields.push_back({"call_id", text_});
}

std::string_view CSeqText(std::string_view value) {
  return value.substr(0, std::min(value.find_first_of("\r\n"), kCSeqBytesMax));
}

std::string_view RawValueOf(const MessageView& message, HeaderId id) {
  const HeaderField* const field = message.First(id);
  return field == nullptr ? std::string_view() : field->value;
}

void LogRefusedRequest(const ShardContext& context, const MessageView& request,
                       const RefusedRequest& refused, const RequestWay& way) {
  const core::LogAdmission admission = context.log_limits.Admit(
      static_cast<uint32_t>(refused.reason), refused.peer, context.reactor().now().nanoseconds);
  if (!admission.write) {
    return context.Count(context.metrics.log_records_suppressed.Slot(refused.reason));
  }
  if (!context.log.Enabled(core::LogLevel::kInfo)) return;
  const CallIdText call_id(RawValueOf(request, HeaderId::kCallId), *context.snapshot);
  const WayTexts texts(context, way);
  LogFields fields;
  fields.push_back({"reason", CodeText(refused.reason)});
  fields.push_back({"status", refused.status});
  fields.push_back({"cause", refused.cause});
  AppendWay(way, texts, fields);
  call_id.AppendTo(fields);
  AppendRequest(request, *context.snapshot, fields);
  fields.push_back({"suppressed", admission.suppressed});
  context.log.Write(core::LogLevel::kInfo, "request-refused",
                    refused.phrase.empty() ? TextOf(refused.reason).phrase : refused.phrase,
                    std::span<const core::LogField>(fields));
}

void LogRequest(const ShardContext& context, const MessageView& request, const RequestWay& way,
                uint16_t status) {
  const CallIdText call_id(RawValueOf(request, HeaderId::kCallId), *context.snapshot);
  const WayTexts texts(context, way);
  LogFields fields;
  fields.push_back({"status", status});
  AppendWay(way, texts, fields);
  call_id.AppendTo(fields);
  AppendRequest(request, *context.snapshot, fields);
  context.log.Write(core::LogLevel::kDebug, "request",
                    status == 0 ? "forwarded; nothing answers it" : "answered",
                    std::span<const core::LogField>(fields));
}

}  // namespace sallyport::sip
