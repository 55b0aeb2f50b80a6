#include "sip/proxy/local_response.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "sip/message/grammar.h"

namespace sallyport::sip {
namespace {

// Of Call-ID and branch that the MAC reads; longer ones are told apart by this much.
constexpr size_t kTagInputBytesMax = 512;

std::string_view Format(std::span<char> storage, const char* format, auto... values) {
  const int size = std::snprintf(storage.data(), storage.size(), format, values...);
  if (size < 0 || static_cast<size_t>(size) >= storage.size()) return {};
  return {storage.data(), static_cast<size_t>(size)};
}

std::string_view Unsupported(const MessageView& request, std::span<char> storage) {
  constexpr std::string_view kName = "Unsupported: ";
  size_t used = 0;
  for (const HeaderField* field = request.First(HeaderId::kProxyRequire); field != nullptr;
       field = request.NextSame(field)) {
    const std::string_view lead = used == 0 ? kName : std::string_view(", ");
    const size_t needed = lead.size() + field->value.size() + 2;
    if (needed > storage.size() - used) break;
    std::memcpy(storage.data() + used, lead.data(), lead.size());
    used += lead.size();
    std::memcpy(storage.data() + used, field->value.data(), field->value.size());
    used += field->value.size();
  }
  if (used == 0) return {};
  std::memcpy(storage.data() + used, "\r\n", 2);
  return {storage.data(), used + 2};
}

int Width(std::string_view text) { return static_cast<int>(std::min<size_t>(text.size(), 256)); }

}  // namespace

LocalTag::Text LocalTag::Make(std::string_view call_id, std::string_view branch) const {
  std::array<std::byte, 2 * kTagInputBytesMax + 1> input;
  const size_t call_id_bytes = std::min(call_id.size(), kTagInputBytesMax);
  const size_t branch_bytes = std::min(branch.size(), kTagInputBytesMax);
  std::ranges::copy(std::as_bytes(std::span(call_id.data(), call_id_bytes)), input.begin());
  input[call_id_bytes] = std::byte{0};  // Neither text holds a NUL.
  std::ranges::copy(std::as_bytes(std::span(branch.data(), branch_bytes)),
                    input.begin() + static_cast<ptrdiff_t>(call_id_bytes) + 1);
  uint64_t mac = tls::KeyedMac64(key_, std::span(input.data(), call_id_bytes + 1 + branch_bytes));
  Text text;
  for (char& digit : text) {
    digit = "0123456789abcdef"[mac & 15];
    mac >>= 4;
  }
  return text;
}

bool LocalTag::IsAckOfOurs(const MessageView& ack) const {
  const Text tag = Make(ack.call_id(), ack.top_via().branch);
  return ack.to().tag == std::string_view(tag.data(), tag.size());
}

std::string_view RefusalHeaders(ReasonCode reason, const MessageView& request,
                                const RefusalContext& context, std::span<char> storage) {
  const std::string_view edge = context.edge;
  switch (reason) {
    case ReasonCode::kProxyRequire:
      return Unsupported(request, storage);
    case ReasonCode::kSips:
      return Format(storage, "Warning: %d %.*s \"SIPS %s\"\r\n", context.sips_required ? 381 : 380,
                    Width(edge), edge.data(), context.sips_required ? "Required" : "Not Allowed");
    case ReasonCode::kOverload:
    case ReasonCode::kLimit:
      if (context.retry_after_seconds == 0) return {};
      return Format(storage, "Retry-After: %u\r\n", context.retry_after_seconds);
    case ReasonCode::kNextHopUnreachable:
    case ReasonCode::kNextHopTls:
    case ReasonCode::kNextHopIdentity:
      // No time is told where only an operator can help.
      if (context.retry_after_seconds == 0) {
        return Format(storage, "Warning: 399 %.*s \"%.*s\"\r\n", Width(edge), edge.data(),
                      Width(context.cause), context.cause.data());
      }
      return Format(storage, "Retry-After: %u\r\nWarning: 399 %.*s \"%.*s\"\r\n",
                    context.retry_after_seconds, Width(edge), edge.data(), Width(context.cause),
                    context.cause.data());
    default:
      return {};
  }
}

}  // namespace sallyport::sip
