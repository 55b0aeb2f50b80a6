// The field parsers one by one, and SIMD against scalar: runs of characters, header names, control
// masks. The first byte of the input chooses the parser. With and without slack behind the value
// the result is the same.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/message/call_id.h"
#include "sip/message/content_length.h"
#include "sip/message/cseq.h"
#include "sip/message/header_name.h"
#include "sip/message/host.h"
#include "sip/message/line_scan.h"
#include "sip/message/name_addr.h"
#include "sip/message/params.h"
#include "sip/message/uri.h"
#include "sip/message/value_list.h"
#include "sip/message/via.h"

namespace sallyport::sip {
namespace {

// `text` with bytes behind it that must not matter.
struct WithSlack {
  explicit WithSlack(std::string_view text)
      : padded(std::string(text) + std::string(48, ';')),
        bounds({padded.data(), text.size()}, padded.data() + padded.size()) {}
  std::string padded;
  Bounds bounds;
};

void CheckUri(std::string_view text) {
  Uri uri;
  const UriOutcome outcome = ParseUri(text, uri);
  const WithSlack slack(text);
  Uri other;
  const char* stop = nullptr;
  const bool whole = ReadUri(slack.padded.data(), slack.bounds, other, stop) == UriOutcome::kOk &&
                     stop == slack.bounds.end;
  CHECK(whole == (outcome == UriOutcome::kOk));
  if (!whole) return;
  CHECK(uri.host == other.host && uri.user == other.user && uri.params == other.params &&
        uri.port == other.port);
  if (uri.is_sip_or_sips()) {
    CHECK(!uri.host.empty() && uri.host.find_first_of("%@<> \r\n") == std::string_view::npos);
    CHECK(EqualsHost(uri.host, uri.host));
    CHECK(ClassifyHost(uri.host) != HostKind::kInvalid || uri.is_odd);
  }
  static_cast<void>(FindParam(uri.params, "transport"));
  std::string out(text.size(), '\0');
  CHECK(Unescape(text, out) <= text.size());
}

void CheckNameAddr(std::string_view text) {
  NameAddr address;
  const bool parsed = ParseNameAddr(text, address) == NameAddrOutcome::kOk;
  const WithSlack slack(text);
  NameAddr other;
  const char* stop = nullptr;
  const bool whole =
      ReadNameAddr(slack.padded.data(), slack.bounds, other, stop) == NameAddrOutcome::kOk &&
      stop == slack.bounds.end;
  CHECK(parsed == whole);
  if (!parsed) return;
  CHECK(address.uri_text == other.uri_text && address.tag == other.tag &&
        address.display == other.display);
  Uri uri;
  CHECK(ParseUri(address.uri_text, uri) == UriOutcome::kOk);
  const std::optional<std::string_view> tag = FindParam(address.params, "tag");
  CHECK(address.tag == tag.value_or(""));
}

void CheckVia(std::string_view text) {
  Via via;
  const bool parsed = ParseVia(text, via);
  const WithSlack slack(text);
  Via other;
  CHECK(parsed == (ReadVia(slack.padded.data(), slack.bounds, other) == slack.bounds.end));
  if (!parsed) return;
  CHECK(via.branch == other.branch && via.host == other.host && via.port == other.port);
  CHECK(via.branch == FindParam(via.params, "branch").value_or(""));
  std::array<ViaPatch, kViaPatchesMax> patches;
  const size_t count = MarkVia(via, "192.0.2.1", "5060", patches);
  for (size_t i = 1; i < count; ++i) CHECK(patches[i - 1].end <= patches[i].begin);
}

void CheckHeaderName(std::string_view text) {
  const NameAtLine scalar = ReadNameAtLineScalar(text.data(), text.size());
  const NameAtLine tight = ReadNameAtLine(text.data(), text.size(), text.size());
  // A line is followed by its CRLF.
  const std::string padded = std::string(text) + "\r\n" + std::string(48, ':');
  const NameAtLine loose = ReadNameAtLine(padded.data(), text.size(), padded.size());
  CHECK(scalar.id == tight.id && scalar.id == loose.id);
  CHECK(scalar.name_bytes == tight.name_bytes && scalar.name_bytes == loose.name_bytes);
  CHECK(scalar.colon == tight.colon && scalar.colon == loose.colon);
}

void CheckScans(std::string_view text) {
  for (size_t at = 0; at + kScanBlockBytes <= text.size(); ++at) {
    CHECK(ScanControls(text.data() + at) == ScanControlsScalar(text.data() + at));
  }
  const char* const begin = text.data();
  const Bounds in(text);
  CHECK(SkipRunOrEscape<kUserChar>(begin, in) == SkipClassOrEscape(begin, in.end, kUserChar));
  CHECK(SkipRun<kTokenChar>(begin, in) == SkipClass(begin, in.end, kTokenChar));
  CHECK(SkipRun<kQuotedTextChar>(begin, in) == SkipClass(begin, in.end, kQuotedTextChar));
}

void CheckSmallFields(std::string_view text) {
  CSeq cseq;
  if (ParseCSeq(text, cseq)) CHECK(cseq.number <= kCSeqNumberMax && !cseq.method_text.empty());
  static_cast<void>(IsCallId(text));
  uint32_t length = 0;
  if (FindContentLength(text, length) == ContentLengthOutcome::kOk)
    CHECK(length <= kContentLengthMax);
  const HostKind kind = ClassifyHost(text);
  const WithSlack slack(text);
  const HostAt host = ReadHost(slack.padded.data(), slack.bounds);
  CHECK((kind != HostKind::kInvalid) == (host.end == slack.bounds.end));
}

void CheckLists(std::string_view text) {
  ValueList values(text);
  std::string_view value;
  while (values.Next(value)) {
    CHECK(value.data() >= text.data() && value.data() + value.size() <= text.data() + text.size());
    ParamReader params(value);
    Param param;
    while (params.Next(param)) CHECK(!param.name.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A heap copy of exactly this size: the sanitizer sees a read beyond it.
  const std::string copy(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view text(copy.data(), copy.size());
  switch (data[0] % 7) {
    case 0:
      CheckNameAddr(text);
      break;
    case 1:
      CheckVia(text);
      break;
    case 2:
      CheckUri(text);
      break;
    case 3:
      CheckSmallFields(text);
      break;
    case 4:
      CheckLists(text);
      break;
    case 5:
      CheckHeaderName(text);
      break;
    case 6:
      CheckScans(text);
      break;
  }
  return 0;
}

}  // namespace sallyport::sip
