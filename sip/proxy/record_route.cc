#include "sip/proxy/record_route.h"

#include <charconv>
#include <cstring>

#include "core/check.h"

namespace sallyport::sip {
namespace {

class LineWriter {
 public:
  explicit LineWriter(std::span<char> out) : out_(out) {}

  LineWriter& operator<<(std::string_view text) {
    fits_ = fits_ && text.size() <= out_.size() - used_;
    if (fits_ && !text.empty()) {
      std::memcpy(out_.data() + used_, text.data(), text.size());
      used_ += text.size();
    }
    return *this;
  }
  LineWriter& operator<<(uint16_t number) {
    char digits[5];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
    return *this << std::string_view(digits, static_cast<size_t>(end - digits));
  }
  [[nodiscard]] size_t size() const { return fits_ ? used_ : 0; }

 private:
  const std::span<char> out_;
  size_t used_ = 0;
  bool fits_ = true;
};

size_t WriteLine(std::string_view name, const RecordRouteUri& uri, std::span<char> out) {
  if (uri.sips && uri.transport != TransportProtocol::kTls) return 0;
  LineWriter line(out);
  line << name << (uri.sips ? ": <sips:" : ": <sip:");
  if (!uri.user.empty()) line << uri.user << "@";
  line << uri.host << ":" << uri.port;
  if (!TransportParameterOf(uri).empty()) line << ";transport=" << TransportParameterOf(uri);
  line << ";lr";
  if (uri.ob) line << ";ob";
  if (!uri.dialog_token.empty()) line << ";dt=" << uri.dialog_token;
  line << ">\r\n";
  return line.size();
}

}  // namespace

std::string_view TransportParameterOf(const RecordRouteUri& uri) {
  switch (uri.transport) {
    case TransportProtocol::kUdp:
      return {};
    case TransportProtocol::kTcp:
      return "tcp";
    case TransportProtocol::kTls:
      return uri.sips ? std::string_view() : "tls";
  }
  UNREACHABLE();
}

size_t WriteRecordRoute(const RecordRouteUri& uri, std::span<char> out) {
  return WriteLine("Record-Route", uri, out);
}

size_t WriteRecordRoutes(const RecordRouteUri& egress, const RecordRouteUri& ingress,
                         std::span<char> out) {
  const size_t above = WriteRecordRoute(egress, out);
  if (above == 0) return 0;
  const size_t below = WriteRecordRoute(ingress, out.subspan(above));
  return below == 0 ? 0 : above + below;
}

size_t WritePath(const RecordRouteUri& uri, std::span<char> out) {
  return WriteLine("Path", uri, out);
}

}  // namespace sallyport::sip
