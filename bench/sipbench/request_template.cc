#include "bench/sipbench/request_template.h"

#include <charconv>
#include <initializer_list>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace sallyport::bench {
namespace {

constexpr std::string_view kBranchPrefix = "z9hG4bKsb";

// "user@host" of a sip: or sips: URI, without parameters.
std::string_view AddressOf(std::string_view uri) {
  const size_t colon = uri.find(':');
  if (colon != std::string_view::npos) uri.remove_prefix(colon + 1);
  return uri.substr(0, uri.find_first_of(";?"));
}

std::string_view HostOf(std::string_view uri) {
  const std::string_view address = AddressOf(uri);
  const size_t at = address.find('@');
  return at == std::string_view::npos ? address : address.substr(at + 1);
}

std::string IdText(const RequestId& id) {
  return absl::StrCat(absl::Hex(id.connection, absl::kZeroPad4), "-",
                      absl::Hex(id.slot, absl::kZeroPad4), "-",
                      absl::Hex(id.sequence, absl::kZeroPad8));
}

void AppendAll(std::string* out, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) out->append(part);
}

std::string ViaOf(const RequestShape& shape) {
  const std::string sent_by = shape.sent_by.empty()
                                  ? absl::StrCat(std::string(HostOf(shape.from)), ":5061")
                                  : shape.sent_by;
  return absl::StrCat("Via: SIP/2.0/", shape.transport, " ", sent_by, ";branch=");
}

std::string ContactOf(const RequestShape& shape) {
  const std::string address(AddressOf(shape.from));
  const std::string host = shape.sent_by.empty() ? std::string(HostOf(shape.from)) : shape.sent_by;
  const size_t at = address.find('@');
  return absl::StrCat("sip:", at == std::string::npos ? "" : address.substr(0, at + 1), host,
                      ";transport=", absl::AsciiStrToLower(shape.transport));
}

bool ReadHex(std::string_view text, uint32_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value, 16);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

RequestTemplate::RequestTemplate(const RequestShape& shape)
    : method_(shape.method),
      from_(shape.from),
      to_(shape.to),
      request_uri_(shape.request_uri),
      via_(ViaOf(shape)),
      contact_(ContactOf(shape)),
      body_(method_ == "OPTIONS" ? 0 : shape.body_bytes, 'x') {}

void RequestTemplate::AppendRequest(const RequestId& id, std::string* out) const {
  Append(method_, "", "", true, id, out);
}

void RequestTemplate::AppendAck(const RequestId& id, bool success, std::string* out) const {
  Append("ACK", success ? "a" : "", ";tag=sink", false, id, out);
}

void RequestTemplate::Append(std::string_view method, std::string_view branch_suffix,
                             std::string_view to_tag, bool with_body, const RequestId& id,
                             std::string* out) const {
  const std::string_view body = with_body ? std::string_view(body_) : std::string_view();
  const std::string name = IdText(id);
  AppendAll(out, {method,
                  " ",
                  request_uri_,
                  " SIP/2.0\r\n",
                  via_,
                  kBranchPrefix,
                  name,
                  branch_suffix,
                  "\r\nMax-Forwards: 70\r\nFrom: <",
                  from_,
                  ">;tag=",
                  name,
                  "\r\nTo: <",
                  to_,
                  ">",
                  to_tag,
                  "\r\nCall-ID: ",
                  name,
                  "@",
                  HostOf(from_),
                  "\r\nCSeq: ",
                  std::to_string(id.sequence + 1),
                  " ",
                  method,
                  "\r\nContact: <",
                  contact_,
                  ">\r\n"});
  if (!body.empty()) {
    AppendAll(out,
              {"Content-Type: ", method == "INVITE" ? "application/sdp" : "text/plain", "\r\n"});
  }
  AppendAll(out, {"Content-Length: ", std::to_string(body.size()), "\r\n\r\n", body});
}

bool RequestTemplate::ReadBranch(std::string_view branch, RequestId* id) {
  constexpr size_t kIdBytes = 4 + 1 + 4 + 1 + 8;
  if (!branch.starts_with(kBranchPrefix)) return false;
  const std::string_view text = branch.substr(kBranchPrefix.size());
  return text.size() == kIdBytes && ReadHex(text.substr(0, 4), &id->connection) &&
         ReadHex(text.substr(5, 4), &id->slot) && ReadHex(text.substr(10), &id->sequence);
}

}  // namespace sallyport::bench
