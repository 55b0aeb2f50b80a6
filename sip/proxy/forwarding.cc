#include "sip/proxy/forwarding.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "sip/message/params.h"
#include "sip/message/value_list.h"
#include "sip/message/via.h"

namespace sallyport::sip {
namespace {

constexpr std::string_view kDefaultMaxForwards = "Max-Forwards: 70\r\n";  // §16.6 step 3.

void LowerMaxForwards(const MessageView& request, const char* first_line, MessageEdit& edit) {
  const HeaderField* const field = request.First(HeaderId::kMaxForwards);
  if (field == nullptr) {
    edit.InsertBefore(first_line, kDefaultMaxForwards);
    return;
  }
  char digits[4];
  const unsigned lowered = *request.max_forwards() - 1U;  // Zero was refused before.
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, lowered);
  edit.Replace(field->value,
               edit.Store({std::string_view(digits, static_cast<size_t>(end - digits))}));
}

// A datagram says by its own length where its body ends; a stream does not (§18.3, §20.14).
void AddContentLength(const MessageView& message, MessageEdit& edit) {
  if (message.Has(HeaderId::kContentLength)) return;
  char digits[10];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, message.body().size());
  edit.InsertBefore(
      message.headers_end(),
      edit.Store({"Content-Length: ", std::string_view(digits, static_cast<size_t>(end - digits)),
                  "\r\n"}));
}

// The line as we wrote it, without the dialog token: that is for the side that presented it.
void RecordAgain(const Uri& line, const char* position, MessageEdit& edit) {
  std::string_view before = line.whole;
  std::string_view behind;
  if (const auto token = FindParam(line.params, "dt"); token.has_value() && !token->empty()) {
    const auto at = static_cast<size_t>(token->data() - line.whole.data());
    before = line.whole.substr(0, at - sizeof(";dt"));  // The name, its ';' and its '='.
    behind = line.whole.substr(at + token->size());
  }
  edit.InsertBefore(position, edit.Store({"Record-Route: <", before, behind, ">\r\n"}));
}

// The sender, and the branch by which the rest of the edge knows the transaction.
void WithholdVias(const MessageView& request, MessageEdit& edit) {
  const HeaderField* const top = request.First(HeaderId::kVia);
  const Via& via = request.top_via();
  char digits[8] = ":";
  const auto [end, error] = std::to_chars(digits + 1, digits + sizeof digits, via.port);
  const size_t port_bytes = via.port == 0 ? 0 : static_cast<size_t>(end - digits);
  edit.Replace(top->value, edit.Store({"SIP/2.0/",
                                       IsPlainTransport(via.transport) ? via.transport : "TCP",
                                       " ",
                                       via.host,
                                       {digits, port_bytes},
                                       via.branch.empty() ? "" : ";branch=",
                                       via.branch}));
  for (const HeaderField* field = request.NextSame(top); field != nullptr;
       field = request.NextSame(field)) {
    edit.Remove(field->line());
  }
}

// Appends texts to a fixed buffer; remembers if one did not fit.
class Appender {
 public:
  explicit Appender(std::span<char> out) : out_(out) {}

  void Add(std::string_view text) {
    if (text.size() > out_.size() - used_) {
      fits_ = false;
      return;
    }
    text.copy(out_.data() + used_, text.size());
    used_ += text.size();
  }
  void AddLine(std::string_view name, std::string_view value) {
    Add(name);
    Add(": ");
    Add(value);
    Add("\r\n");
  }
  // As they stand in the message.
  void AddLines(const MessageView& message, HeaderId id) {
    for (const HeaderField* line = message.First(id); line != nullptr;
         line = message.NextSame(line)) {
      Add(line->line());
    }
  }
  [[nodiscard]] size_t size() const { return fits_ ? used_ : 0; }

 private:
  const std::span<char> out_;
  size_t used_ = 0;
  bool fits_ = true;
};

}  // namespace

bool HasPlainVias(const MessageView& request) {
  const bool is_alone =
      request.Count(HeaderId::kVia) == 1 && request.top_via_rest().data() == nullptr;
  if (is_alone && request.top_via().is_plain) return true;
  std::string_view value;
  for (const HeaderField* field = request.First(HeaderId::kVia); field != nullptr;
       field = request.NextSame(field)) {
    ValueList values(field->value);
    while (values.Next(value)) {
      if (!IsPlainVia(value)) return false;
    }
  }
  return true;
}

void EditRequest(const MessageView& request, const ForwardedRequest& forwarded, MessageEdit& edit) {
  const char* const first_line = request.First(HeaderId::kVia)->name.data();
  if (forwarded.withholds_vias) {
    WithholdVias(request, edit);
  } else {
    MarkTopVia(request, forwarded.received, forwarded.rport, edit);
  }
  LowerMaxForwards(request, first_line, edit);
  RemoveIdentityHeaders(request, forwarded.identity, edit);
  if (forwarded.removes_path) RemoveAll(request, HeaderId::kPath, edit);
  if (forwarded.removes_referred_by) RemoveAll(request, HeaderId::kReferredBy, edit);
  if (forwarded.asserted_header != AssertedHeader::kNone) {
    AssertIdentity(request, request.from().uri, forwarded.asserted_header, edit);
  }
  AddContentLength(request, edit);
}

void RecordPairAgain(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit) {
  if (routes.has_second) RecordAgain(routes.second, request.headers_begin(), edit);
  RecordAgain(routes.first, request.headers_begin(), edit);
}

void EditResponse(const MessageView& response, IdentityCrossing identity, MessageEdit& edit,
                  std::string_view withheld) {
  if (withheld.empty()) {
    RemoveTopVia(response, edit);
  } else {
    edit.InsertBefore(response.First(HeaderId::kVia)->name.data(), withheld);
    RemoveAll(response, HeaderId::kVia, edit);
  }
  RemoveIdentityHeaders(response, identity, edit);
  AddContentLength(response, edit);
}

void HideOverload(const MessageView& response, MessageEdit& edit) {
  const std::string_view line = response.bytes().substr(0, response.bytes().find("\r\n"));
  edit.Replace(line, "SIP/2.0 500 Server Internal Error");
}

size_t WriteHopByHop(const HopByHop& parts, const MessageView& sent, std::span<char> out) {
  Appender text(out);
  text.Add(parts.method);
  text.Add(" ");
  text.Add(sent.request_uri());
  text.Add(" SIP/2.0\r\n");
  text.Add(parts.via_line);
  text.Add("Max-Forwards: 70\r\n");
  text.AddLines(sent, HeaderId::kRoute);
  text.AddLine("From", sent.First(HeaderId::kFrom)->value);
  text.AddLine("To", parts.to);
  text.AddLine("Call-ID", sent.call_id());
  char number[10];
  const auto [end, error] = std::to_chars(number, number + sizeof number, sent.cseq().number);
  text.Add("CSeq: ");
  text.Add(std::string_view(number, static_cast<size_t>(end - number)));
  text.Add(" ");
  text.Add(parts.method);
  text.Add("\r\n");
  text.Add(parts.headers);
  text.Add("Content-Length: 0\r\n\r\n");
  return text.size();
}

size_t WriteMailedCancel(const MessageView& cancel, std::span<char> out) {
  Appender text(out);
  text.Add(cancel.bytes().substr(0, cancel.bytes().find("\r\n")));
  text.Add("\r\n");
  for (const HeaderId id : {HeaderId::kVia, HeaderId::kMaxForwards, HeaderId::kFrom, HeaderId::kTo,
                            HeaderId::kCallId, HeaderId::kCSeq}) {
    text.AddLines(cancel, id);
  }
  std::array<char, kMailedReasonBytesMax> reason;
  text.Add({reason.data(), CopyLines(cancel, HeaderId::kReason, reason)});
  text.Add("Content-Length: 0\r\n\r\n");
  return text.size();
}

size_t CopyLines(const MessageView& message, HeaderId id, std::span<char> out) {
  Appender text(out);
  text.AddLines(message, id);
  return text.size();
}

}  // namespace sallyport::sip
