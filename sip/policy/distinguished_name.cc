#include "sip/policy/distinguished_name.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sallyport::sip {
namespace {

constexpr uint8_t kTagOid = 0x06;
constexpr uint8_t kTagUtf8String = 0x0c;
constexpr uint8_t kTagNumericString = 0x12;
constexpr uint8_t kTagPrintableString = 0x13;
constexpr uint8_t kTagTeletexString = 0x14;
constexpr uint8_t kTagIa5String = 0x16;
constexpr uint8_t kTagVisibleString = 0x1a;
constexpr uint8_t kTagUniversalString = 0x1c;
constexpr uint8_t kTagBmpString = 0x1e;
constexpr uint8_t kTagSequence = 0x30;
constexpr uint8_t kTagSet = 0x31;

struct ShortName {
  std::string_view name;
  std::string_view oid;  // Dotted.
};

// RFC 4514 §3, RFC 4519, RFC 2985, and what openssl(1) prints.
constexpr auto kShortNames = std::to_array<ShortName>({
    {"CN", "2.5.4.3"},
    {"commonName", "2.5.4.3"},
    {"SN", "2.5.4.4"},
    {"surname", "2.5.4.4"},
    {"serialNumber", "2.5.4.5"},
    {"C", "2.5.4.6"},
    {"countryName", "2.5.4.6"},
    {"L", "2.5.4.7"},
    {"localityName", "2.5.4.7"},
    {"ST", "2.5.4.8"},
    {"S", "2.5.4.8"},
    {"stateOrProvinceName", "2.5.4.8"},
    {"STREET", "2.5.4.9"},
    {"streetAddress", "2.5.4.9"},
    {"O", "2.5.4.10"},
    {"organizationName", "2.5.4.10"},
    {"OU", "2.5.4.11"},
    {"organizationalUnitName", "2.5.4.11"},
    {"title", "2.5.4.12"},
    {"postalCode", "2.5.4.17"},
    {"GN", "2.5.4.42"},
    {"givenName", "2.5.4.42"},
    {"dnQualifier", "2.5.4.46"},
    {"organizationIdentifier", "2.5.4.97"},
    {"UID", "0.9.2342.19200300.100.1.1"},
    {"userId", "0.9.2342.19200300.100.1.1"},
    {"DC", "0.9.2342.19200300.100.1.25"},
    {"domainComponent", "0.9.2342.19200300.100.1.25"},
    {"emailAddress", "1.2.840.113549.1.9.1"},
    {"email", "1.2.840.113549.1.9.1"},
    {"E", "1.2.840.113549.1.9.1"},
});

bool IsDigit(char byte) { return byte >= '0' && byte <= '9'; }
bool IsAlpha(char byte) { return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z'; }

// One arc of a dotted OID: no leading zero, at most 63 bits.
std::optional<uint64_t> ReadArc(std::string_view& text) {
  constexpr uint64_t kArcMax = uint64_t{1} << 63;
  size_t size = 0;
  uint64_t arc = 0;
  while (size < text.size() && IsDigit(text[size])) {
    const auto digit = static_cast<uint64_t>(text[size++] - '0');
    if (arc > (kArcMax - digit) / 10) return std::nullopt;
    arc = arc * 10 + digit;
  }
  if (size == 0 || (size > 1 && text.front() == '0')) return std::nullopt;
  text.remove_prefix(size);
  return arc;
}

void AppendBase128(uint64_t arc, std::string& octets) {
  int shift = 63;
  while (shift > 0 && arc >> shift == 0) shift -= 7;
  for (; shift >= 0; shift -= 7) {
    octets.push_back(static_cast<char>((arc >> shift & 0x7f) | (shift > 0 ? 0x80 : 0)));
  }
}

// The content octets of an OID (X.690 §8.19); empty if the text is none.
std::string EncodeOid(std::string_view dotted) {
  std::string octets;
  const std::optional<uint64_t> first = ReadArc(dotted);
  if (!first.has_value() || *first > 2 || dotted.empty()) return {};
  bool is_second = true;
  while (!dotted.empty()) {
    if (dotted.front() != '.') return {};
    dotted.remove_prefix(1);
    const std::optional<uint64_t> arc = ReadArc(dotted);
    if (!arc.has_value() || (is_second && *first < 2 && *arc >= 40)) return {};
    AppendBase128(is_second ? *first * 40 + *arc : *arc, octets);
    is_second = false;
  }
  return octets;
}

// Takes one element off `der`. False: it is not well-formed (definite lengths of at most 3 octets;
// tags of one octet).
struct Element {
  uint8_t tag = 0;
  std::string_view content;
};
bool TakeElement(std::string_view& der, Element& element) {
  if (der.size() < 2) return false;
  element.tag = static_cast<uint8_t>(der[0]);
  size_t length = static_cast<uint8_t>(der[1]);
  size_t header = 2;
  if (length >= 0x80) {
    const size_t octets = length & 0x7f;
    if (octets == 0 || octets > 3 || der.size() < 2 + octets) return false;
    length = 0;
    for (size_t i = 0; i < octets; ++i) length = length << 8 | static_cast<uint8_t>(der[2 + i]);
    header += octets;
  }
  if (der.size() - header < length) return false;
  element.content = der.substr(header, length);
  der.remove_prefix(header + length);
  return true;
}

void AppendUtf8(uint32_t code, std::string& text) {
  const auto push = [&text](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return push(code);
  if (code < 0x800) {
    push(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    push(0xe0 | code >> 12);
    push(0x80 | (code >> 6 & 0x3f));
  } else {
    push(0xf0 | code >> 18);
    push(0x80 | (code >> 12 & 0x3f));
    push(0x80 | (code >> 6 & 0x3f));
  }
  push(0x80 | (code & 0x3f));
}

// Characters of `bytes` bytes each, most significant first, as UTF-8.
std::optional<std::string> Utf8FromWide(std::string_view content, size_t bytes) {
  if (content.size() % bytes != 0) return std::nullopt;
  std::string text;
  for (size_t i = 0; i < content.size(); i += bytes) {
    uint32_t code = 0;
    for (size_t j = 0; j < bytes; ++j) code = code << 8 | static_cast<uint8_t>(content[i + j]);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return std::nullopt;
    AppendUtf8(code, text);
  }
  return text;
}

// The value as UTF-8; nothing if it is not a string. Teletex is read as Latin-1, as everybody does.
std::optional<std::string> TextOf(const Element& value) {
  switch (value.tag) {
    case kTagUtf8String:
    case kTagNumericString:
    case kTagPrintableString:
    case kTagIa5String:
    case kTagVisibleString:
      return std::string(value.content);
    case kTagTeletexString:
      return Utf8FromWide(value.content, 1);
    case kTagBmpString:
      return Utf8FromWide(value.content, 2);
    case kTagUniversalString:
      return Utf8FromWide(value.content, 4);
    default:
      return std::nullopt;
  }
}

// Comparison form: lower case, no spaces at the ends, single ones inside (RFC 5280 §7.1 with RFC
// 4518 §2.6.1; case is folded for ASCII only).
std::string ComparisonForm(std::string_view text) {
  std::string form;
  for (const char byte : text) {
    if (byte == ' ' && (form.empty() || form.back() == ' ')) continue;
    form.push_back(absl::ascii_tolower(static_cast<unsigned char>(byte)));
  }
  if (!form.empty() && form.back() == ' ') form.pop_back();
  return form;
}

}  // namespace

// ---- The encoding -------------------------------------------------------------------------------

bool DistinguishedName::SetValue(std::string_view der, Attribute& attribute) {
  const std::string_view whole = der;
  Element value;
  if (!TakeElement(der, value) || !der.empty()) return false;
  if (std::optional<std::string> text = TextOf(value)) {
    attribute.value = ComparisonForm(*text);
  } else {
    attribute.value = whole;
    attribute.is_string = false;
  }
  return true;
}

bool DistinguishedName::DecodeAttribute(std::string_view der, Attribute& attribute) {
  Element type;
  if (!TakeElement(der, type) || type.tag != kTagOid || type.content.empty()) return false;
  attribute.type = type.content;
  return SetValue(der, attribute);
}

bool DistinguishedName::DecodeRelativeName(std::string_view der, RelativeName& name) {
  while (!der.empty()) {
    Element attribute;
    if (!TakeElement(der, attribute) || attribute.tag != kTagSequence) return false;
    if (!DecodeAttribute(attribute.content, name.emplace_back())) return false;
  }
  std::sort(name.begin(), name.end());
  return !name.empty();
}

absl::StatusOr<DistinguishedName> DistinguishedName::Decode(std::string_view der) {
  const absl::Status malformed = absl::InvalidArgumentError("not an X.501 name");
  Element sequence;
  if (!TakeElement(der, sequence) || sequence.tag != kTagSequence || !der.empty()) {
    return malformed;
  }
  DistinguishedName name;
  std::string_view rest = sequence.content;
  while (!rest.empty()) {
    Element set;
    if (!TakeElement(rest, set) || set.tag != kTagSet) return malformed;
    if (!DecodeRelativeName(set.content, name.relative_names_.emplace_back())) return malformed;
  }
  return name;
}

// ---- The text -----------------------------------------------------------------------------------

class DistinguishedName::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  // One attributeTypeAndValue; stops at what separates it from the next.
  absl::Status ReadAttribute(Attribute& attribute) {
    if (absl::Status status = ReadType(attribute.type); !status.ok()) return status;
    SkipSpaces();
    if (!Take('=')) return Error("expected \"=\" after the attribute type");
    SkipSpaces();
    return Take('#') ? ReadHex(attribute) : ReadString(attribute);
  }

  bool Take(char byte) {
    if (AtEnd() || text_[at_] != byte) return false;
    ++at_;
    return true;
  }
  bool AtEnd() const { return at_ == text_.size(); }
  void SkipSpaces() {
    while (Take(' ')) {
    }
  }
  absl::Status Error(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("distinguished name, character ", at_ + 1, ": ",
                                                   absl::string_view(what.data(), what.size())));
  }

 private:
  absl::Status ReadType(std::string& type) {
    SkipSpaces();
    const size_t begin = at_;
    while (!AtEnd() &&
           (IsAlpha(text_[at_]) || IsDigit(text_[at_]) || text_[at_] == '-' || text_[at_] == '.')) {
      ++at_;
    }
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.empty()) return Error("expected an attribute type such as CN");
    if (IsDigit(name.front())) {
      type = EncodeOid(name);
      return type.empty() ? Error("expected an object identifier such as 2.5.4.3")
                          : absl::OkStatus();
    }
    const auto* const known =
        std::find_if(kShortNames.begin(), kShortNames.end(), [name](const ShortName& candidate) {
          return absl::EqualsIgnoreCase(
              absl::string_view(name.data(), name.size()),
              absl::string_view(candidate.name.data(), candidate.name.size()));
        });
    if (known == kShortNames.end()) {
      return Error("unknown attribute type; write its object identifier, such as 2.5.4.3");
    }
    type = EncodeOid(known->oid);
    return absl::OkStatus();
  }

  // RFC 4514 §2.4: the BER of the value.
  absl::Status ReadHex(Attribute& attribute) {
    const size_t begin = at_;
    while (!AtEnd() && absl::ascii_isxdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
    const std::string_view digits = text_.substr(begin, at_ - begin);
    SkipSpaces();
    const std::string der =
        absl::HexStringToBytes(absl::string_view(digits.data(), digits.size() & ~size_t{1}));
    if (digits.size() % 2 != 0 || !SetValue(der, attribute)) {
      return Error("expected the value's encoding in hexadecimal after \"#\"");
    }
    return absl::OkStatus();
  }

  absl::Status ReadString(Attribute& attribute) {
    std::string value;
    while (!AtEnd() && text_[at_] != ',' && text_[at_] != '+') {
      const char byte = text_[at_];
      if (byte == '\\') {
        if (!ReadEscape(value)) return Error("expected a special character or two digits after \\");
        continue;
      }
      if (byte == '"' || byte == ';' || byte == '<' || byte == '>' || byte == '\0') {
        return Error("write \\ before this character");
      }
      value.push_back(byte);
      ++at_;
    }
    attribute.value = ComparisonForm(value);
    return absl::OkStatus();
  }

  // RFC 4514 §3: pair.
  bool ReadEscape(std::string& value) {
    constexpr std::string_view kEscapable = "\\\"+,;<> #=";
    const std::string_view rest = text_.substr(at_ + 1);
    if (rest.empty()) return false;
    if (kEscapable.find(rest.front()) != std::string_view::npos) {
      value.push_back(rest.front());
      at_ += 2;
      return true;
    }
    if (rest.size() < 2 || !absl::ascii_isxdigit(static_cast<unsigned char>(rest[0])) ||
        !absl::ascii_isxdigit(static_cast<unsigned char>(rest[1]))) {
      return false;
    }
    value += absl::HexStringToBytes(absl::string_view(rest.data(), 2));
    at_ += 3;
    return true;
  }

  const std::string_view text_;
  size_t at_ = 0;
};

absl::StatusOr<DistinguishedName> DistinguishedName::Parse(std::string_view text) {
  DistinguishedName name;
  Parser parser(text);
  parser.SkipSpaces();
  if (parser.AtEnd()) return name;
  do {
    RelativeName& relative_name = name.relative_names_.emplace_back();
    do {
      if (absl::Status status = parser.ReadAttribute(relative_name.emplace_back()); !status.ok()) {
        return status;
      }
    } while (parser.Take('+'));
    std::sort(relative_name.begin(), relative_name.end());
  } while (parser.Take(','));
  if (!parser.AtEnd()) return parser.Error("expected \",\" or \"+\"");
  std::reverse(name.relative_names_.begin(), name.relative_names_.end());
  return name;
}

}  // namespace sallyport::sip
