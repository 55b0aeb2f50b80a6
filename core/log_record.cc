#include "core/log_record.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "core/check.h"

namespace sallyport::core {
namespace {

constexpr size_t kFieldHeadBytes = sizeof(const char*) + 2 * sizeof(uint16_t) + 1;

// Length of the UTF-8 sequence at the front of `text`, 0 if it is not one (RFC 3629 §4).
size_t Utf8Length(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xc2 ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                        : lead < 0xf5 ? 4
                                      : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;  // Overlong.
  if (lead == 0xed && byte(1) > 0x9f) return 0;  // Surrogates.
  if (lead == 0xf0 && byte(1) < 0x90) return 0;  // Overlong.
  if (lead == 0xf4 && byte(1) > 0x8f) return 0;  // Above U+10FFFF.
  return length;
}

// Cuts at a character, never inside one.
std::string_view Shortened(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t end = bytes_max;
  while (end > 0 && end + 4 > bytes_max && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

// The character of a UTF-8 sequence of two or three bytes; longer ones are of no interest here.
uint32_t CodePoint(std::string_view sequence) {
  const auto byte = [sequence](size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 2) return (byte(0) & 0x1fu) << 6 | (byte(1) & 0x3fu);
  if (sequence.size() == 3) {
    return (byte(0) & 0x0fu) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
  }
  return 0;
}

// What no eye sees but a terminal or viewer obeys: C1 controls, zero-width characters, line and
// paragraph separators, and the marks that reverse the direction of writing.
bool IsInvisibleSequence(std::string_view sequence) {
  const uint32_t code = CodePoint(sequence);
  return (code >= 0x80 && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

void AppendHex(std::string& out, unsigned char byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

// Backslash escapes that a person reads: \n \r \t \" \\ \xNN.
void AppendTextEscaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const std::string_view piece = text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(piece.size());
    const char c = piece[0];
    if (length == 1 && (c == '"' || c == '\\')) {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (length == 0 ||
               (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) ||
               IsInvisibleSequence(piece)) {
      for (const char raw : piece) AppendHex(out, static_cast<unsigned char>(raw));
    } else {
      out += piece;
    }
  }
}

// RFC 8259 §7; bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const std::string_view piece = text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(piece.size());
    const auto byte = static_cast<unsigned char>(piece[0]);
    if (length == 0) {
      out += "\\ufffd";
    } else if (byte == '"' || byte == '\\') {
      out += '\\';
      out += piece;
    } else if (length == 1 && (byte < 0x20 || byte == 0x7f)) {
      char code[8];
      std::snprintf(code, sizeof(code), "\\u%04x", byte);
      out += code;
    } else if (IsInvisibleSequence(piece)) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", CodePoint(piece));
      out += escape;
    } else {
      out += piece;
    }
  }
  out += '"';
}

// Only what no reader could take for a boundary goes without quotes.
bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  return !std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.:/@+*%,[]").find(c) != std::string_view::npos;
  });
}

void AppendTextValue(std::string& out, std::string_view text) {
  if (!NeedsQuotes(text)) {
    out += text;
    return;
  }
  out += '"';
  AppendTextEscaped(out, text);
  out += '"';
}

// RFC 3339 in UTC, microseconds.
void AppendTime(std::string& out, int64_t time_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t remainder = ((time_ns % kSecond) + kSecond) % kSecond;
  const auto seconds = static_cast<time_t>((time_ns - remainder) / kSecond);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[48];
  const size_t bytes = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  out.append(text, bytes);
  std::snprintf(text, sizeof(text), ".%06" PRId64 "Z", remainder / 1000);
  out += text;
}

std::string NumberText(LogField::Kind kind, uint64_t number) {
  switch (kind) {
    case LogField::Kind::kSigned:
      return std::to_string(static_cast<int64_t>(number));
    case LogField::Kind::kUnsigned:
      return std::to_string(number);
    case LogField::Kind::kBoolean:
      return number != 0 ? "true" : "false";
    case LogField::Kind::kText:
      break;
  }
  UNREACHABLE();
}

}  // namespace

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  UNREACHABLE();
}

// Each field: key address, key bytes (16 bits), kind (8), value bytes (16), value.
class LogRecord::Packer {
 public:
  explicit Packer(LogRecord& record) : record_(record) {}

  void Append(const LogField& field) {
    const std::string_view text = Shortened(field.text(), kLogValueBytesMax);
    const uint64_t number = field.number();
    const std::string_view value =
        field.kind() == LogField::Kind::kText
            ? text
            : std::string_view(reinterpret_cast<const char*>(&number), sizeof(number));
    if (text.size() < field.text().size()) record_.truncated_ = true;
    if (record_.packed_bytes_ + kFieldHeadBytes + value.size() > sizeof(record_.packed_)) {
      record_.truncated_ = true;
      return;
    }
    const char* const key = field.key().data();
    const auto key_bytes = static_cast<uint16_t>(field.key().size());
    const auto kind = static_cast<uint8_t>(field.kind());
    const auto value_bytes = static_cast<uint16_t>(value.size());
    Copy(&key, sizeof(key));
    Copy(&key_bytes, sizeof(key_bytes));
    Copy(&kind, sizeof(kind));
    Copy(&value_bytes, sizeof(value_bytes));
    Copy(value.data(), value.size());
  }

  void Copy(const void* bytes, size_t size) {
    if (size != 0) std::memcpy(record_.packed_ + record_.packed_bytes_, bytes, size);
    record_.packed_bytes_ = static_cast<uint16_t>(record_.packed_bytes_ + size);
  }

 private:
  LogRecord& record_;
};

void LogRecord::Fill(int64_t time_ns, LogLevel level, uint32_t writer, std::string_view event,
                     std::string_view message, std::span<const LogField> fields) {
  const std::string_view shortened = Shortened(message, kLogMessageBytesMax);
  time_ns_ = time_ns;
  event_ = event.data();
  event_bytes_ = static_cast<uint16_t>(event.size());
  message_bytes_ = static_cast<uint16_t>(shortened.size());
  packed_bytes_ = 0;
  level_ = level;
  truncated_ = shortened.size() < message.size();
  writer_ = writer;
  Packer packer(*this);
  packer.Copy(shortened.data(), shortened.size());
  for (const LogField& field : fields) packer.Append(field);
}

template <typename Visitor>
void LogRecord::ForEachField(Visitor visitor) const {
  const char* next = packed_ + message_bytes_;
  const char* const end = packed_ + packed_bytes_;
  const auto take = [&next](auto& value) {
    std::memcpy(&value, next, sizeof(value));
    next += sizeof(value);
  };
  while (next < end) {
    const char* key = nullptr;
    uint16_t key_bytes = 0;
    uint8_t kind = 0;
    uint16_t value_bytes = 0;
    take(key);
    take(key_bytes);
    take(kind);
    take(value_bytes);
    uint64_t number = 0;
    std::string_view text;
    if (static_cast<LogField::Kind>(kind) == LogField::Kind::kText) {
      text = {next, value_bytes};
    } else {
      std::memcpy(&number, next, sizeof(number));
    }
    next += value_bytes;
    visitor(std::string_view(key, key_bytes), static_cast<LogField::Kind>(kind), text, number);
  }
}

std::string LogRecord::AsText() const {
  std::string line;
  AppendTime(line, time_ns_);
  line += ' ';
  for (const char c : LogLevelName(level_)) line += static_cast<char>(c - 'a' + 'A');
  line += ' ';
  line.append(event_, event_bytes_);
  if (message_bytes_ != 0) {
    line += ": ";
    AppendTextEscaped(line, {packed_, message_bytes_});
  }
  ForEachField(
      [&line](std::string_view key, LogField::Kind kind, std::string_view text, uint64_t number) {
        line += ' ';
        line += key;
        line += '=';
        if (kind == LogField::Kind::kText) {
          AppendTextValue(line, text);
        } else {
          line += NumberText(kind, number);
        }
      });
  if (truncated_) line += " truncated=true";
  return line;
}

std::string LogRecord::AsJson() const {
  std::string line = "{\"time\":\"";
  AppendTime(line, time_ns_);
  line += "\",\"level\":\"";
  line += LogLevelName(level_);
  line += "\",\"event\":";
  AppendJsonString(line, {event_, event_bytes_});
  line += ",\"message\":";
  AppendJsonString(line, {packed_, message_bytes_});
  line += ",\"writer\":" + std::to_string(writer_);
  ForEachField(
      [&line](std::string_view key, LogField::Kind kind, std::string_view text, uint64_t number) {
        line += ',';
        AppendJsonString(line, key);
        line += ':';
        if (kind == LogField::Kind::kText) {
          AppendJsonString(line, text);
        } else {
          line += NumberText(kind, number);
        }
      });
  if (truncated_) line += ",\"truncated\":true";
  line += '}';
  return line;
}

}  // namespace sallyport::core
