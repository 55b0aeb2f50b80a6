// One log event as fixed-size bytes, and how it becomes a line. Pure: no clock, no thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sallyport::core {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

std::string_view LogLevelName(LogLevel level);  // "debug", "info", "warning", "error"

inline constexpr size_t kLogRecordBytes = 1536;
inline constexpr size_t kLogValueBytesMax = 256;    // One field's text; longer is cut.
inline constexpr size_t kLogMessageBytesMax = 400;  // The message: a diagnostic of check must fit.

// The name of an event or a field: a literal, so that a record can hold its address and the set of
// names is closed by the source. Events are kebab-case, fields snake_case.
class LogName {
 public:
  template <size_t n>
  consteval LogName(const char (&literal)[n]) : text_(literal, n - 1) {}  // NOLINT: implicit.
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

// Borrowed until Write returns.
class LogField {
 public:
  enum class Kind : uint8_t { kText, kSigned, kUnsigned, kBoolean };

  LogField(LogName key, std::string_view value) : key_(key.text()), text_(value) {}
  LogField(LogName key, const char* value) : LogField(key, std::string_view(value)) {}
  LogField(LogName key, const std::string& value) : LogField(key, std::string_view(value)) {}
  LogField(LogName key, bool value) : key_(key.text()), kind_(Kind::kBoolean), number_(value) {}
  template <std::signed_integral T>
  LogField(LogName key, T value)
      : key_(key.text()), kind_(Kind::kSigned), number_(static_cast<uint64_t>(int64_t{value})) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) LogField(LogName key, T value)
      : key_(key.text()), kind_(Kind::kUnsigned), number_(value) {}

  std::string_view key() const { return key_; }
  Kind kind() const { return kind_; }
  std::string_view text() const { return text_; }
  uint64_t number() const { return number_; }

 private:
  std::string_view key_;
  Kind kind_ = Kind::kText;
  std::string_view text_;
  uint64_t number_ = 0;
};

// Trivially copyable; Fill overwrites everything that a reader looks at.
class LogRecord {
 public:
  // What does not fit is left out and the line says `truncated`. Never fails.
  void Fill(int64_t time_ns, LogLevel level, uint32_t writer, std::string_view event,
            std::string_view message, std::span<const LogField> fields);

  int64_t time_ns() const { return time_ns_; }
  LogLevel level() const { return level_; }

  // One line without its end. Text: `2026-01-31T12:00:00.000000Z INFO request-refused: message
  // key=value key="va lue"`. Control characters, quotes and bytes that are not UTF-8 are escaped.
  std::string AsText() const;
  // One JSON object: time, level, event, message, writer, then the fields.
  std::string AsJson() const;

 private:
  class Packer;
  template <typename Visitor>
  void ForEachField(Visitor visitor) const;

  int64_t time_ns_;
  const char* event_;
  uint16_t event_bytes_;
  uint16_t message_bytes_;
  uint16_t packed_bytes_;  // The message, then the fields.
  LogLevel level_;
  bool truncated_;
  uint32_t writer_;
  char packed_[kLogRecordBytes - 32];
};
static_assert(sizeof(LogRecord) == kLogRecordBytes);

}  // namespace sallyport::core
