#include "sip/message/message_parser.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "sip/message/call_id.h"
#include "sip/message/content_length.h"
#include "sip/message/grammar.h"
#include "sip/message/header_name_table.h"
#include "sip/message/line_scan.h"
#include "sip/message/plain_message.h"

namespace sallyport::sip {

// One pass: blocks of 64 bytes -> line ends -> header lines -> index; then the fields that
// everybody needs.
class MessageReader {
 public:
  MessageReader(std::string_view bytes, Framing framing, size_t headers_max, MessageView& out)
      : bytes_(bytes),
        readable_(bytes.data() + bytes.size()),
        framing_(framing),
        headers_max_(headers_max),
        out_(out),
        line_(bytes.data()),
        segment_(line_) {}

  ParseOutcome Read();

 private:
  void Note(ParseOutcome outcome) {
    if (outcome_ == ParseOutcome::kOk) outcome_ = outcome;
  }

  void Clear();
  void IndexLines();
  void OnLineEnd(const char* next);
  void OnControl(const char* at);
  void TakeStartLine(std::string_view line);
  void TakeStatusLine(std::string_view line);
  void TakeRequestLine(std::string_view line);
  bool TakeCommonLine(const char* begin, const char* end, const char* readable);
  void TakeHeaderLine(const char* begin, const char* end);
  void Append(std::string_view name, std::string_view value, const char* end, HeaderId id);
  void ReadFields();
  [[nodiscard]] bool ReadAddress(const HeaderField& field, NameAddr& address) const;
  void ReadVias();
  void ReadMaxForwards();
  void ReadBody();

  // Checks that the field is there exactly once; nullptr: noted.
  const HeaderField* Single(HeaderId id, ParseOutcome missing, ParseOutcome repeated);

  const std::string_view bytes_;
  const char* const readable_;
  const Framing framing_;
  const size_t headers_max_;
  MessageView& out_;
  ParseOutcome outcome_ = ParseOutcome::kOk;

  // What is not common about the line that is being collected.
  enum LineTrait : uint8_t {
    kStartLine = 1 << 0,   // The first one.
    kContinued = 1 << 1,   // A continuation line was seen.
    kBroken = 1 << 2,      // A bare CR or LF or an empty continuation line is in it.
    kHasControl = 1 << 3,  // A control character that only a quoted-pair could excuse is in it.
  };
  void AddTrait(LineTrait trait) { line_traits_ = static_cast<uint8_t>(line_traits_ | trait); }

  const char* line_;     // Where it begins.
  const char* segment_;  // Where its last continuation line begins, if kContinued.
  uint8_t line_traits_ = kStartLine;
  size_t header_bytes_ = 0;  // 0: the empty line has not been seen.
};

namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// A line with control characters is legal only if each is the second half of a quoted-pair (or
// belongs to a fold).
bool ControlsAreEscaped(std::string_view line) {
  bool in_quotes = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const auto c = static_cast<unsigned char>(line[i]);
    if (c == '"') in_quotes = !in_quotes;
    if (c == '\\' && in_quotes) {
      ++i;
      if (i == line.size() || line[i] == '\r' || line[i] == '\n') return false;
      continue;
    }
    if (c >= 0x20 || c == '\t') continue;
    if (c == '\r' && i + 1 < line.size() && line[i + 1] == '\n') {
      ++i;
      continue;
    }
    return false;
  }
  return true;
}

// One SP between number and method.
bool IsPlainCSeq(const CSeq& cseq) {
  const char* const method = cseq.method_text.data();
  return method[-1] == ' ' && IsIn(method[-2], kDigitChar);
}

// Nothing between name and colon or behind the value, and at most one SP between these.
bool IsPlain(const HeaderField& field) {
  const size_t around = field.line_bytes - field.name.size() - field.value.size();
  const bool has_space = field.name.data()[field.name.size() + 1] == ' ';
  return field.value.data() == field.name.data() + field.name.size() + (has_space ? 2 : 1) &&
         around == (has_space ? 4U : 3U);
}

enum class VersionOutcome : uint8_t { kOk, kOther, kNone };

// "SIP" "/" 1*DIGIT "." 1*DIGIT, case-insensitive (RFC 3261 §7.1).
constexpr std::string_view kVersion = "SIP/2.0";

VersionOutcome ReadVersion(std::string_view text) {
  if (text == kVersion) return VersionOutcome::kOk;
  if (!StartsWithIgnoreCase(text, "SIP/")) return VersionOutcome::kNone;
  const std::string_view number = text.substr(4);
  const size_t dot = number.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == number.size())
    return VersionOutcome::kNone;
  const bool digits =
      IsAll(number.substr(0, dot), kDigitChar) && IsAll(number.substr(dot + 1), kDigitChar);
  if (!digits) return VersionOutcome::kNone;
  return number == "2.0" ? VersionOutcome::kOk : VersionOutcome::kOther;
}

ParseOutcome ToParseOutcome(VersionOutcome version) {
  switch (version) {
    case VersionOutcome::kOk:
      return ParseOutcome::kOk;
    case VersionOutcome::kOther:
      return ParseOutcome::kBadVersion;
    case VersionOutcome::kNone:
      return ParseOutcome::kBadStartLine;
  }
  UNREACHABLE();
}

}  // namespace

ParseOutcome MessageReader::Read() {
  Clear();
  IndexLines();
  const bool finished = header_bytes_ != 0;
  if (!finished) Note(ParseOutcome::kUnfinishedHeaders);
  out_.headers_end_ = finished ? bytes_.data() + header_bytes_ - 2 : line_;
  out_.header_block_ = finished ? bytes_.substr(0, header_bytes_) : bytes_;
  out_.body_ = bytes_.substr(out_.header_block_.size());
  ReadFields();
  return outcome_;
}

void MessageReader::Clear() {
  out_.bytes_ = bytes_;
  out_.headers_begin_ = bytes_.data();
  out_.method_text_ = {};
  out_.request_uri_ = {};
  out_.reason_ = {};
  out_.call_id_ = {};
  out_.top_via_rest_ = {};
  out_.content_length_.reset();
  out_.max_forwards_.reset();
  out_.status_code_ = 0;
  out_.is_request_ = false;
  out_.has_odd_lines_ = false;
  out_.has_unusual_names_ = false;
  out_.method_ = Method::kOther;
  out_.header_count_ = 0;
  out_.first_.fill(0);
  out_.count_.fill(0);
}

void MessageReader::IndexLines() {
  const char* const end = readable_;
  for (size_t base = 0; base < bytes_.size(); base += kScanBlockBytes) {
    const char* const block = bytes_.data() + base;
    const size_t left = bytes_.size() - base;
    uint64_t controls =
        left >= kScanBlockBytes ? ScanControls(block) : ScanControlsOfTail(block, left);
    for (; controls != 0; controls &= controls - 1) {
      const char* const at = block + __builtin_ctzll(controls);
      if (end - at >= 2 && std::memcmp(at, "\r\n", 2) == 0) {
        controls &= controls - 1;  // Its LF, if that is in this block.
        const char* const next = at + 2;
        if (line_traits_ == 0 && TakeCommonLine(line_, next, end)) {
          line_ = next;
        } else {
          OnLineEnd(next);
          if (header_bytes_ != 0) return;
        }
      } else if (at >= line_) {  // Else it is the LF of the CRLF that ended the line before.
        OnControl(at);
      }
    }
  }
}

// A control character that is not part of CRLF.
void MessageReader::OnControl(const char* at) {
  const bool in_line_end = *at == '\n' && at != bytes_.data() && at[-1] == '\r';
  if (*at == '\t' || in_line_end) return;
  AddTrait(*at == '\n' || *at == '\r' ? kBroken : kHasControl);
}

// Any line, also the uncommon ones; `next` follows its CRLF.
void MessageReader::OnLineEnd(const char* next) {
  if ((line_traits_ & kStartLine) != 0) {
    // Nothing continues a start line: whitespace after it begins a header line without a name.
    out_.headers_begin_ = next;
    TakeStartLine(Between(line_, next - 2));
  } else if (next - line_ == 2) {
    header_bytes_ = static_cast<size_t>(next - bytes_.data());
  } else {
    // A continuation line of nothing but whitespace looks like the end of the headers to a reader
    // that trims lines.
    if ((line_traits_ & kContinued) != 0 && std::all_of(segment_, next - 2, IsBlank))
      AddTrait(kBroken);
    if (next != readable_ && IsBlank(*next)) {
      AddTrait(kContinued);
      segment_ = next;
      return;
    }
    TakeHeaderLine(line_, next);
  }
  line_ = next;
  line_traits_ = 0;
}

void MessageReader::TakeStartLine(std::string_view line) {
  if ((line_traits_ & kBroken) != 0) return Note(ParseOutcome::kBadLineEnd);
  if ((line_traits_ & kHasControl) != 0) return Note(ParseOutcome::kBadStartLine);
  // A method is a token and has no '/', so this cannot be a request.
  if (StartsWithIgnoreCase(line, "SIP/")) return TakeStatusLine(line);
  out_.is_request_ = true;
  TakeRequestLine(line);
}

// SIP-Version SP 3DIGIT SP Reason-Phrase; the phrase may be empty, the SP before it may not be
// missing.
void MessageReader::TakeStatusLine(std::string_view line) {
  const std::string_view version = line.substr(0, line.find(' '));
  out_.has_odd_lines_ |= version != kVersion;
  const ParseOutcome outcome = ToParseOutcome(ReadVersion(version));
  if (outcome != ParseOutcome::kOk) return Note(outcome);
  const std::string_view rest = line.substr(version.size());
  const bool framed = rest.size() >= 5 && rest[0] == ' ' && rest[4] == ' ';
  uint32_t code = 0;
  if (!framed || !ReadDecimal(rest.substr(1, 3), 699, code) || code < 100) {
    return Note(ParseOutcome::kBadStartLine);
  }
  out_.status_code_ = static_cast<uint16_t>(code);
  out_.reason_ = rest.substr(5);
}

// Method SP Request-URI SP SIP-Version, nothing more and nothing less.
void MessageReader::TakeRequestLine(std::string_view line) {
  const char* const end = line.data() + line.size();
  const char* const method_end = SkipClass(line.data(), end, kTokenChar);
  const auto method_bytes = static_cast<size_t>(method_end - line.data());
  const size_t version_begin = line.rfind(' ');
  if (method_bytes == 0 || method_end == end || *method_end != ' ' ||
      version_begin == method_bytes) {
    return Note(ParseOutcome::kBadStartLine);
  }
  const ParseOutcome version = ToParseOutcome(ReadVersion(line.substr(version_begin + 1)));
  if (version == ParseOutcome::kBadStartLine) return Note(version);
  out_.has_odd_lines_ |= line.substr(version_begin + 1) != kVersion;
  const std::string_view method_text = line.substr(0, method_bytes);
  const Method method = ParseMethod(method_text);
  if (method == Method::kOther && IsNamedInOtherCase(method_text)) {
    return Note(ParseOutcome::kBadStartLine);
  }
  out_.method_text_ = method_text;
  out_.method_ = method;
  out_.request_uri_ = line.substr(method_bytes + 1, version_begin - method_bytes - 1);
  if (version != ParseOutcome::kOk) return Note(version);
  // Headers have no place in a Request-URI (RFC 3261 §19.1.1 table 1, RFC 4475 §3.1.2.11).
  const char* stop = nullptr;
  const Bounds in(out_.request_uri_, readable_);
  const UriOutcome outcome = ReadUri(out_.request_uri_.data(), in, out_.parsed_request_uri_, stop);
  if (outcome != UriOutcome::kOk || stop != in.end || !out_.parsed_request_uri_.headers.empty()) {
    Note(ParseOutcome::kBadRequestUri);
  }
}

// The header line [begin, end) if it is like most: a name that we know, a colon, one SP, a value,
// and no whitespace after it that would continue it. False: it is not.
inline bool MessageReader::TakeCommonLine(const char* begin, const char* end,
                                          const char* readable) {
  const auto visible = [](char c) { return static_cast<unsigned char>(c) > ' '; };
  const auto known =
      header_name_internal::FindKnownName(begin, static_cast<size_t>(readable - begin));
  const char* const value = begin + known.bytes + 2;
  const char* const value_end = end - 2;
  if (known.id == HeaderId::kOther || value >= value_end || out_.header_count_ >= headers_max_)
    return false;
  if (value[-1] != ' ' || !visible(*value) || !visible(value_end[-1])) return false;
  if (end == readable || IsBlank(*end)) return false;
  Append({begin, known.bytes}, Between(value, value_end), end, known.id);
  return true;
}

// Any header line: [begin, end), continuation lines and the last CRLF included.
void MessageReader::TakeHeaderLine(const char* begin, const char* end) {
  const std::string_view line = Between(begin, end - 2);
  if ((line_traits_ & kBroken) != 0) return Note(ParseOutcome::kBadLineEnd);
  if ((line_traits_ & kHasControl) != 0 && !ControlsAreEscaped(line)) {
    return Note(ParseOutcome::kBadHeaderLine);
  }
  const NameAtLine name =
      ReadNameAtLine(begin, line.size(), static_cast<size_t>(readable_ - begin));
  if (name.name_bytes == 0) return Note(ParseOutcome::kBadHeaderLine);
  if (out_.header_count_ >= headers_max_) return Note(ParseOutcome::kTooManyHeaders);
  Append({begin, name.name_bytes}, TrimLws(line.substr(name.colon + 1)), end, name.id);
  const HeaderField& field = out_.headers_[out_.header_count_ - 1];
  if ((line_traits_ & kContinued) != 0 || (DecidesEverywhere(name.id) && !IsPlain(field))) {
    out_.has_odd_lines_ = true;
  }
  if (name.id == HeaderId::kOther && !IsUsualFieldName(field.name)) out_.has_unusual_names_ = true;
}

inline void MessageReader::Append(std::string_view name, std::string_view value, const char* end,
                                  HeaderId id) {
  const uint32_t count = out_.header_count_ + 1;
  out_.header_count_ = count;
  HeaderField& field = out_.headers_[count - 1];
  field.name = name;
  field.value = value;
  field.line_bytes = static_cast<uint32_t>(end - name.data());
  field.id = id;
  const auto slot = static_cast<size_t>(id);
  if (out_.count_[slot]++ == 0) out_.first_[slot] = static_cast<uint8_t>(count);
}

const HeaderField* MessageReader::Single(HeaderId id, ParseOutcome missing, ParseOutcome repeated) {
  const HeaderField* const field = out_.First(id);
  if (field == nullptr) {
    Note(missing);
    return nullptr;
  }
  if (out_.Count(id) == 1) return field;
  Note(repeated);
  return nullptr;
}

void MessageReader::ReadFields() {
  using Outcome = ParseOutcome;
  const HeaderField* field = Single(HeaderId::kFrom, Outcome::kMissingFrom, Outcome::kRepeatedFrom);
  if (field != nullptr && !ReadAddress(*field, out_.from_)) Note(Outcome::kBadFrom);
  field = Single(HeaderId::kTo, Outcome::kMissingTo, Outcome::kRepeatedTo);
  if (field != nullptr && !ReadAddress(*field, out_.to_)) {
    const bool needs_all = out_.is_request_ && out_.method_ == Method::kRegister;
    if (needs_all || !ReadTagAlone(field->value, out_.to_)) Note(Outcome::kBadTo);
    if (HasEmptyParam(out_.to_.params)) out_.has_odd_lines_ = true;
  }

  field = Single(HeaderId::kCallId, Outcome::kMissingCallId, Outcome::kRepeatedCallId);
  if (field != nullptr) {
    out_.call_id_ = field->value;
    if (!IsCallId(field->value, Bounds(field->value, readable_))) Note(Outcome::kBadCallId);
  }
  field = Single(HeaderId::kCSeq, Outcome::kMissingCSeq, Outcome::kRepeatedCSeq);
  if (field != nullptr) {
    const bool readable = ReadCSeq(field->value, out_.cseq_);
    const bool same_method = out_.is_request_ && out_.cseq_.method_text == out_.method_text_;
    out_.cseq_.method = same_method ? out_.method_ : ParseMethod(out_.cseq_.method_text);
    if (!readable || (out_.is_request_ && !same_method)) Note(Outcome::kBadCSeq);
    if (readable && !IsPlainCSeq(out_.cseq_)) out_.has_odd_lines_ = true;
  }
  ReadVias();
  ReadMaxForwards();
  ReadBody();
}

// The whole value is one address.
bool MessageReader::ReadAddress(const HeaderField& field, NameAddr& address) const {
  const char* stop = nullptr;
  const Bounds in(field.value, readable_);
  return ReadNameAddr(field.value.data(), in, address, stop) == NameAddrOutcome::kOk &&
         stop == in.end;
}

void MessageReader::ReadVias() {
  const HeaderField* const field = out_.First(HeaderId::kVia);
  if (field == nullptr) return Note(ParseOutcome::kMissingVia);
  const Bounds in(field->value, readable_);
  const char* const stop = ReadVia(field->value.data(), in, out_.top_via_);
  if (stop == nullptr || (stop != in.end && *stop != ',')) return Note(ParseOutcome::kBadVia);
  if (stop != in.end) out_.top_via_rest_ = Between(stop + 1, in.end);
}

void MessageReader::ReadMaxForwards() {
  const HeaderField* const field = out_.First(HeaderId::kMaxForwards);
  if (field == nullptr) return;
  if (out_.Count(HeaderId::kMaxForwards) > 1) return Note(ParseOutcome::kRepeatedMaxForwards);
  uint32_t hops = 0;
  if (!ReadDecimal(field->value, 255, hops)) return Note(ParseOutcome::kBadMaxForwards);
  out_.max_forwards_ = static_cast<uint8_t>(hops);
}

// RFC 3261 §18.3.
void MessageReader::ReadBody() {
  const HeaderField* const field = out_.First(HeaderId::kContentLength);
  if (field == nullptr) {
    if (framing_ == Framing::kStream) Note(ParseOutcome::kMissingContentLength);
    return;
  }
  uint32_t length = 0;
  if (!ReadContentLength(field->value, length)) return Note(ParseOutcome::kBadContentLength);
  if (out_.Count(HeaderId::kContentLength) > 1) out_.has_odd_lines_ = true;
  const HeaderField* other = field;
  while ((other = out_.NextSame(other)) != nullptr) {
    uint32_t again = 0;
    if (!ReadContentLength(other->value, again) || again != length) {
      return Note(ParseOutcome::kBadContentLength);
    }
  }
  out_.content_length_ = length;
  if (framing_ == Framing::kStream) {
    if (length != out_.body_.size()) Note(ParseOutcome::kBadContentLength);
    return;
  }
  if (length > out_.body_.size()) return Note(ParseOutcome::kBadBody);
  out_.body_ = out_.body_.substr(0, length);
  out_.bytes_ = bytes_.substr(0, out_.header_block_.size() + length);
}

ParseOutcome ParseMessage(std::string_view bytes, Framing framing, MessageView& out,
                          size_t headers_max) {
  return MessageReader(bytes, framing, std::min(headers_max, kHeadersMax), out).Read();
}

std::string_view ParseOutcomeText(ParseOutcome outcome) {
  switch (outcome) {
    case ParseOutcome::kOk:
      return "OK";
    case ParseOutcome::kBadStartLine:
      return "Malformed Start Line";
    case ParseOutcome::kBadVersion:
      return "Version Not Supported";
    case ParseOutcome::kBadRequestUri:
      return "Malformed Request-URI";
    case ParseOutcome::kBadLineEnd:
      return "Malformed Line End";
    case ParseOutcome::kBadHeaderLine:
      return "Malformed Header Line";
    case ParseOutcome::kUnfinishedHeaders:
      return "Unfinished Headers";
    case ParseOutcome::kTooManyHeaders:
      return "Too Many Or Too Long Headers";
    case ParseOutcome::kMissingFrom:
      return "Missing From";
    case ParseOutcome::kRepeatedFrom:
      return "Repeated From";
    case ParseOutcome::kBadFrom:
      return "Malformed From";
    case ParseOutcome::kMissingTo:
      return "Missing To";
    case ParseOutcome::kRepeatedTo:
      return "Repeated To";
    case ParseOutcome::kBadTo:
      return "Malformed To";
    case ParseOutcome::kMissingCallId:
      return "Missing Call-ID";
    case ParseOutcome::kRepeatedCallId:
      return "Repeated Call-ID";
    case ParseOutcome::kBadCallId:
      return "Malformed Call-ID";
    case ParseOutcome::kMissingCSeq:
      return "Missing CSeq";
    case ParseOutcome::kRepeatedCSeq:
      return "Repeated CSeq";
    case ParseOutcome::kBadCSeq:
      return "Malformed CSeq";
    case ParseOutcome::kMissingVia:
      return "Missing Via";
    case ParseOutcome::kBadVia:
      return "Malformed Via";
    case ParseOutcome::kRepeatedMaxForwards:
      return "Repeated Max-Forwards";
    case ParseOutcome::kBadMaxForwards:
      return "Malformed Max-Forwards";
    case ParseOutcome::kMissingContentLength:
      return "Missing Content-Length";
    case ParseOutcome::kRepeatedContentLength:
      return "Repeated Content-Length";
    case ParseOutcome::kBadContentLength:
      return "Malformed Content-Length";
    case ParseOutcome::kBadBody:
      return "Body Shorter Than Content-Length";
  }
  UNREACHABLE();
}

}  // namespace sallyport::sip
