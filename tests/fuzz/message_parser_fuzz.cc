// Parser, edits and responses. What parses has one reading (the public field parsers and ValueList
// agree with the view), the edits of a proxy give a message that parses to the same From, To,
// Call-ID and CSeq, and a response can be built from anything.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/message/call_id.h"
#include "sip/message/message_edit.h"
#include "sip/message/message_parser.h"
#include "sip/message/message_writer.h"
#include "sip/message/value_list.h"

namespace sallyport::sip {
namespace {

void CheckIndex(const MessageView& view) {
  const char* at = view.headers_begin();
  for (const HeaderField& field : view.headers()) {
    CHECK(field.name.data() >= at && field.line().data() + field.line_bytes <= view.headers_end());
    CHECK(field.line().ends_with("\r\n"));
    CHECK(field.id == LookUpHeader(field.name));
    CHECK(field.name.data() + field.name.size() < field.value.data() || field.value.empty());
    const HeaderField* const first = view.First(field.id);
    CHECK(first != nullptr && first <= &field);
    at = field.line().data() + field.line_bytes;
  }
}

// The parser reads with slack behind the value and stops at commas itself; these read the value
// alone.
void CheckOneReading(const MessageView& view) {
  NameAddr address;
  CHECK(ParseNameAddr(view.First(HeaderId::kFrom)->value, address) == NameAddrOutcome::kOk);
  CHECK(address.uri.host == view.from().uri.host && address.tag == view.from().tag);
  CHECK(address.uri_text == view.from().uri_text && address.params == view.from().params);
  Uri uri;
  CHECK(ParseUri(address.uri_text, uri) == UriOutcome::kOk && uri.host == address.uri.host);
  CHECK(ParseUri(view.request_uri(), uri) == UriOutcome::kOk || !view.is_request());
  CHECK(IsCallId(view.call_id()));
  CSeq cseq;
  CHECK(ParseCSeq(view.First(HeaderId::kCSeq)->value, cseq) && cseq.number == view.cseq().number);
  CHECK(cseq.method == view.cseq().method);
  ValueList values(view.First(HeaderId::kVia)->value);
  std::string_view top;
  Via via;
  CHECK(values.Next(top) && ParseVia(top, via));
  CHECK(via.branch == view.top_via().branch && via.host == view.top_via().host);
  CHECK(view.top_via_rest() == values.rest());
}

void CheckForwarded(const MessageView& view) {
  static MessageEdit edit;
  static MessageView again;
  edit.Reset(view.bytes());
  edit.InsertBefore(view.headers_begin(), "Via: SIP/2.0/TCP edge.example;branch=z9hG4bKours\r\n");
  MarkTopVia(view, "192.0.2.1", "4711", edit);
  if (view.max_forwards()) edit.Replace(view.First(HeaderId::kMaxForwards)->value, "17");
  const size_t removed = RemoveAll(view, HeaderId::kPAssertedIdentity, edit);
  edit.InsertBefore(view.headers_end(),
                    edit.Store({"P-Asserted-Identity: <", view.from().uri_text, ">\r\n"}));
  if (!edit.ok()) return;  // More lines to remove than there are edits, or a URI beyond the arena.
  std::string out(edit.size(), '\0');
  CHECK(edit.CopyTo(out) == out.size());
  const ParseOutcome outcome = ParseMessage(out, Framing::kDatagram, again);
  if (outcome == ParseOutcome::kTooManyHeaders) return;
  CHECK(outcome == ParseOutcome::kOk);
  CHECK(again.from().uri_text == view.from().uri_text && again.from().tag == view.from().tag);
  CHECK(again.to().uri_text == view.to().uri_text && again.call_id() == view.call_id());
  CHECK(again.cseq().number == view.cseq().number && again.body() == view.body());
  CHECK(again.headers().size() == view.headers().size() + 2 - removed);
  CHECK(again.Count(HeaderId::kPAssertedIdentity) == 1);
  CHECK(again.top_via().branch == "z9hG4bKours");
  // Our Via goes again: what remains is the marked one.
  edit.Reset(again.bytes());
  RemoveTopVia(again, edit);
  std::string back(edit.size(), '\0');
  CHECK(edit.CopyTo(back) == back.size());
  CHECK(ParseMessage(back, Framing::kDatagram, again) == ParseOutcome::kOk);
  CHECK(again.top_via().branch == view.top_via().branch && again.top_via().received == "192.0.2.1");
  if (view.top_via().has_rport) CHECK(again.top_via().rport == "4711");
}

void CheckResponse(const MessageView& view, bool parsed) {
  static std::array<char, 1 << 16> out;
  static MessageView response;
  ResponseParts parts;
  parts.status = parsed ? 403 : 400;
  parts.reason = "No";
  parts.to_tag = "ours";
  parts.via_received = "2001:db8::1";
  parts.via_rport = "1";
  parts.request_parsed = parsed;
  const size_t size = WriteResponse(parts, view, out);
  if (size == 0) return;
  const ParseOutcome outcome = ParseMessage({out.data(), size}, Framing::kStream, response);
  if (!parsed) return;
  CHECK(outcome == ParseOutcome::kOk);
  CHECK(response.Count(HeaderId::kVia) == view.Count(HeaderId::kVia));
  CHECK(response.top_via().branch == view.top_via().branch && !response.to().tag.empty());
  CHECK(response.top_via().received == "2001:db8::1");
  CHECK(response.from().tag == view.from().tag && response.call_id() == view.call_id());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view wire(reinterpret_cast<const char*>(data), size);
  static MessageView view;
  for (const Framing framing : {Framing::kStream, Framing::kDatagram}) {
    const ParseOutcome outcome = ParseMessage(wire, framing, view);
    CHECK(!ParseOutcomeText(outcome).empty());
    CheckIndex(view);
    CheckResponse(view, outcome == ParseOutcome::kOk);
    if (outcome != ParseOutcome::kOk) continue;
    CheckOneReading(view);
    CheckForwarded(view);
  }
  return 0;
}

}  // namespace sallyport::sip
