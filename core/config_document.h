// A configuration file as a person wrote it: every table, key and value with its file:line:column.
// Syntax only: what a key means is decided by the reader (sip/proxy/edge_config). TOML 1.0.
//
// Errors: a syntax error stops at the first. Everything else is collected in Diagnostics, so that
//   one run shows all that is wrong. A reader asks for each key it knows; what nobody asked for is
//   reported by RefuseUnknown with the nearest known key.
// Owns:   the document owns all text; tables and values point into it and die with it.
// Thread: any one thread at a time.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sallyport::core {

// Lines and columns count from 1; line 0 means the file as a whole.
struct ConfigPlace {
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;

  friend bool operator==(const ConfigPlace&, const ConfigPlace&) = default;
};

enum class Severity : uint8_t { kWarning, kError };

// `text` says what is wrong, `remedy` what to do about it; both are sentences without a full stop.
struct Diagnostic {
  Severity severity = Severity::kError;
  ConfigPlace place;
  std::string text;
  std::string remedy;
};

// "edge.toml:14:17: error: timeouts.idle = "5s": too short; use at least 10s". Control characters
// are escaped: one diagnostic is one line whatever the file holds.
std::string FormatDiagnostic(const Diagnostic& diagnostic);

// What is wrong with one file, in the order it was found until Sort() puts it in file order.
class Diagnostics {
 public:
  void Error(ConfigPlace place, std::string text, std::string remedy);
  void Warning(ConfigPlace place, std::string text, std::string remedy);

  // By line and column; equal places keep their order. A place and text already reported is
  // dropped.
  void Sort();

  bool has_errors() const { return errors_ > 0; }
  const std::vector<Diagnostic>& entries() const { return entries_; }
  std::vector<Diagnostic> Take() { return std::move(entries_); }

 private:
  std::vector<Diagnostic> entries_;
  size_t errors_ = 0;
};

enum class ConfigKind : uint8_t {
  kString,
  kInteger,
  kFloat,
  kBoolean,
  kDateTime,
  kArray,
  kTable,
};

// One value of the tree. `path` is the name that a person would use: "edge.domain",
// "listener[1].address", "next-hop[0].targets[2]" (positions count from 0).
struct ConfigValue {
  ConfigKind kind = ConfigKind::kString;
  std::string key;     // Last part of the path; empty for members of an array.
  std::string path;    // Empty for the root.
  ConfigPlace at;      // Of the value; of the header for a table.
  ConfigPlace key_at;  // Of the key; same as `at` where there is none.
  std::string text;    // The value as text: a string without its quotes, a number as digits.
  int64_t integer = 0;
  bool boolean = false;
  std::vector<ConfigValue> members;  // Of an array, or of a table in file order.

  // Reports `path = "text": problem; remedy` at this value. The text is shortened if it is long.
  void Reject(Diagnostics& diagnostics, std::string_view problem, std::string_view remedy) const;
  void Warn(Diagnostics& diagnostics, std::string_view problem, std::string_view remedy) const;
};

// "5s", "500ms", "1m30s", "1h". Finite and not negative; no bare numbers but 0.
std::optional<absl::Duration> ParseConfigDuration(std::string_view text);
// "16384", "64KiB", "16MiB", "1GiB".
std::optional<uint64_t> ParseConfigBytes(std::string_view text);
// The entry nearest to `word` if it is near enough to be a slip of the finger, else empty.
std::string_view NearestName(std::string_view word, const std::vector<std::string_view>& known);

// Reads the keys of one table. A default-made reader stands for a table that is absent: every key
// gets its default and nothing is reported. Each Read function marks its key as known.
class ConfigTable {
 public:
  ConfigTable() = default;
  ConfigTable(const ConfigValue* table, Diagnostics* diagnostics)
      : table_(table), diagnostics_(diagnostics) {}

  bool present() const { return table_ != nullptr; }
  const ConfigPlace& at() const;    // Of the table's header.
  const std::string& path() const;  // "edge", "listener[1]".
  Diagnostics& diagnostics() const { return *diagnostics_; }

  // The raw value, or nullptr if the key is absent.
  const ConfigValue* Find(std::string_view key);

  // Absent: the default. Wrong kind or out of range: reported, and the default.
  std::string String(std::string_view key, std::string_view missing = "");
  bool Boolean(std::string_view key, bool missing);
  int64_t Integer(std::string_view key, int64_t missing, int64_t min, int64_t max);
  uint64_t Bytes(std::string_view key, uint64_t missing, uint64_t min, uint64_t max);
  absl::Duration Duration(std::string_view key, absl::Duration missing, absl::Duration min,
                          absl::Duration max);
  // Members that are not strings are reported and left out. nullptr where the key is absent.
  std::vector<const ConfigValue*> Strings(std::string_view key);
  // As above; one string counts as a list of one.
  std::vector<const ConfigValue*> StringOrStrings(std::string_view key);

  // One of a closed set of words. A wrong word is reported with all of them.
  template <typename Enum>
  Enum Choice(std::string_view key, std::initializer_list<std::pair<std::string_view, Enum>> words,
              Enum missing) {
    std::vector<std::string_view> names;
    for (const auto& word : words) names.push_back(word.first);
    const std::optional<size_t> index = ChoiceIndex(key, names);
    return index.has_value() ? (words.begin() + *index)->second : missing;
  }

  // The key must be there (an empty string does not count): reported at the table otherwise.
  bool Require(std::string_view key, std::string_view remedy);

  // The key is known but not served. Present: "not available in this version". `harmless` is the
  // one text that may be written anyway because it asks for nothing ("" = also empty lists).
  void NotAvailable(std::string_view key, std::string_view remedy,
                    std::string_view harmless = "\x01");

  // Table members by key.
  ConfigTable Table(std::string_view key);                     // [key]
  std::vector<ConfigTable> Tables(std::string_view key);       // [[key]] in file order
  std::vector<ConfigTable> NamedTables(std::string_view key);  // [key.NAME] in file order
  const std::string& key() const;                              // NAME of a [key.NAME] table

  // Reports every key that no function above was asked for. Call it last.
  void RefuseUnknown();

 private:
  // The value if it is there and of that kind; another kind is reported.
  const ConfigValue* FindKind(std::string_view key, ConfigKind kind, std::string_view example);
  std::optional<size_t> ChoiceIndex(std::string_view key,
                                    const std::vector<std::string_view>& words);

  const ConfigValue* table_ = nullptr;
  Diagnostics* diagnostics_ = nullptr;
  std::vector<std::string> known_;
};

inline constexpr size_t kConfigBytesMax = size_t{4} << 20;

class ConfigDocument {
 public:
  // `file` is only the name for places. On a syntax error there is no document and `diagnostics`
  // holds the one error.
  static std::optional<ConfigDocument> Parse(std::string_view text, const std::string& file,
                                             Diagnostics& diagnostics);

  ConfigDocument(ConfigDocument&&) = default;
  ConfigDocument& operator=(ConfigDocument&&) = default;

  const ConfigValue& root() const { return *root_; }

 private:
  explicit ConfigDocument(std::unique_ptr<ConfigValue> root) : root_(std::move(root)) {}

  std::unique_ptr<ConfigValue> root_;
};

}  // namespace sallyport::core
