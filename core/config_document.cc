#include "core/config_document.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/check.h"

// Without exceptions a syntax error is a value; header-only, because Debian's library throws.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace sallyport::core {
namespace {

constexpr size_t kFileBytesMax = size_t{4} << 20;
constexpr size_t kShownTextBytesMax = 80;

// Bytes of the file that reach a terminal or a log: one line, nothing that moves a cursor.
std::string Printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&shown, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      shown.push_back(c);
    }
  }
  return shown;
}

std::string Shown(std::string_view text) {
  std::string shown = Printable(text.substr(0, kShownTextBytesMax));
  if (text.size() > kShownTextBytesMax) shown += "…";
  return shown;
}

// As a person would write it after the equals sign.
std::string ShownValue(const ConfigValue& value) {
  switch (value.kind) {
    case ConfigKind::kString:
      return absl::StrCat("\"", Shown(value.text), "\"");
    case ConfigKind::kArray:
      return value.members.empty() ? "[]" : "[…]";
    case ConfigKind::kTable:
      return value.members.empty() ? "{}" : "{…}";
    case ConfigKind::kInteger:
    case ConfigKind::kFloat:
    case ConfigKind::kBoolean:
    case ConfigKind::kDateTime:
      return Shown(value.text);
  }
  UNREACHABLE();
}

std::string_view KindName(ConfigKind kind) {
  switch (kind) {
    case ConfigKind::kString:
      return "a string";
    case ConfigKind::kInteger:
      return "a number";
    case ConfigKind::kFloat:
      return "a number with a point";
    case ConfigKind::kBoolean:
      return "true or false";
    case ConfigKind::kDateTime:
      return "a date";
    case ConfigKind::kArray:
      return "a list";
    case ConfigKind::kTable:
      return "a table";
  }
  UNREACHABLE();
}

bool Precedes(const ConfigPlace& a, const ConfigPlace& b) {
  return a.line != b.line ? a.line < b.line : a.column < b.column;
}

// Copies the parser's tree into ours. Depth is bounded by the parser (256 nested values).
class TreeBuilder {
 public:
  explicit TreeBuilder(const std::string& file) : file_(file) {}

  ConfigValue Convert(const toml::node& node, std::string key, std::string path) const {
    ConfigValue value;
    value.key = std::move(key);
    value.path = std::move(path);
    value.at = PlaceOf(node.source().begin);
    value.key_at = value.at;
    if (const toml::table* table = node.as_table()) {
      ConvertTable(*table, value);
    } else if (const toml::array* array = node.as_array()) {
      ConvertArray(*array, value);
    } else {
      ConvertScalar(node, value);
    }
    return value;
  }

 private:
  ConfigPlace PlaceOf(const toml::source_position& position) const {
    return {file_, position.line, position.column};
  }

  void ConvertTable(const toml::table& table, ConfigValue& value) const {
    value.kind = ConfigKind::kTable;
    for (const auto& [key, child] : table) {
      std::string path = value.path.empty() ? std::string(key.str())
                                            : absl::StrCat(value.path, ".", std::string(key.str()));
      ConfigValue member = Convert(child, std::string(key.str()), std::move(path));
      if (key.source().begin.line != 0) member.key_at = PlaceOf(key.source().begin);
      value.members.push_back(std::move(member));
    }
    // The parser sorts by name; a person reads by line.
    std::stable_sort(
        value.members.begin(), value.members.end(),
        [](const ConfigValue& a, const ConfigValue& b) { return Precedes(a.key_at, b.key_at); });
  }

  void ConvertArray(const toml::array& array, ConfigValue& value) const {
    value.kind = ConfigKind::kArray;
    for (size_t i = 0; i < array.size(); ++i) {
      value.members.push_back(
          Convert(*array.get(i), std::string(), absl::StrCat(value.path, "[", i, "]")));
    }
  }

  void ConvertScalar(const toml::node& node, ConfigValue& value) const {
    if (const auto* text = node.as_string()) {
      value.kind = ConfigKind::kString;
      value.text = text->get();
    } else if (const auto* integer = node.as_integer()) {
      value.kind = ConfigKind::kInteger;
      value.integer = integer->get();
      value.text = absl::StrCat(value.integer);
    } else if (const auto* boolean = node.as_boolean()) {
      value.kind = ConfigKind::kBoolean;
      value.boolean = boolean->get();
      value.text = value.boolean ? "true" : "false";
    } else {
      value.kind = node.is_floating_point() ? ConfigKind::kFloat : ConfigKind::kDateTime;
      std::ostringstream written;
      node.visit([&written](const auto& typed) {
        if constexpr (toml::is_value<decltype(typed)>) written << typed.get();
      });
      value.text = written.str();
    }
  }

  const std::string& file_;
};

// Edits between two words: a letter more, less or other, or two neighbours swapped.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

// certificate_key and Certificate-Key are slips too.
std::string Folded(std::string_view word) {
  std::string folded(word);
  for (char& c : folded) {
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

std::string QuotedList(const std::vector<std::string_view>& words) {
  return absl::StrJoin(words, ", ", [](std::string* out, std::string_view word) {
    absl::StrAppend(out, "\"", std::string(word), "\"");
  });
}

}  // namespace

// ---- Diagnostics

std::string FormatDiagnostic(const Diagnostic& diagnostic) {
  std::string line = Printable(diagnostic.place.file);
  if (diagnostic.place.line != 0) {
    absl::StrAppend(&line, ":", diagnostic.place.line, ":", diagnostic.place.column);
  }
  absl::StrAppend(&line, diagnostic.severity == Severity::kError ? ": error: " : ": warning: ",
                  Printable(diagnostic.text));
  if (!diagnostic.remedy.empty()) absl::StrAppend(&line, "; ", Printable(diagnostic.remedy));
  return line;
}

void Diagnostics::Error(ConfigPlace place, std::string text, std::string remedy) {
  ++errors_;
  entries_.push_back({Severity::kError, std::move(place), std::move(text), std::move(remedy)});
}

void Diagnostics::Warning(ConfigPlace place, std::string text, std::string remedy) {
  entries_.push_back({Severity::kWarning, std::move(place), std::move(text), std::move(remedy)});
}

void Diagnostics::Sort() {
  std::stable_sort(entries_.begin(), entries_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return Precedes(a.place, b.place);
  });
  const auto same = [](const Diagnostic& a, const Diagnostic& b) {
    return a.place == b.place && a.text == b.text;
  };
  entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
}

// ---- Values

void ConfigValue::Reject(Diagnostics& diagnostics, std::string_view problem,
                         std::string_view remedy) const {
  diagnostics.Error(at,
                    absl::StrCat(Shown(path), " = ", ShownValue(*this), ": ", std::string(problem)),
                    std::string(remedy));
}

void ConfigValue::Warn(Diagnostics& diagnostics, std::string_view problem,
                       std::string_view remedy) const {
  diagnostics.Warning(
      at, absl::StrCat(Shown(path), " = ", ShownValue(*this), ": ", std::string(problem)),
      std::string(remedy));
}

std::optional<absl::Duration> ParseConfigDuration(std::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(std::string(text), &duration)) return std::nullopt;
  if (duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) return std::nullopt;
  return duration;
}

std::optional<uint64_t> ParseConfigBytes(std::string_view text) {
  unsigned shift = 0;
  for (const auto& [suffix, bits] :
       {std::pair<std::string_view, unsigned>{"KiB", 10}, {"MiB", 20}, {"GiB", 30}}) {
    if (text.size() > suffix.size() && text.substr(text.size() - suffix.size()) == suffix) {
      text.remove_suffix(suffix.size());
      shift = bits;
    }
  }
  uint64_t bytes = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, bytes);
  if (text.empty() || error != std::errc() || rest != end) return std::nullopt;
  if (bytes > (UINT64_MAX >> shift)) return std::nullopt;
  return bytes << shift;
}

std::string_view NearestName(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr size_t kWordBytesMax =
      64;  // Nobody mistypes a longer one, and the search is quadratic.
  if (word.size() > kWordBytesMax) return {};
  std::string_view nearest;
  // One slip in a short word, up to three in a long one.
  size_t nearest_distance = std::clamp<size_t>(word.size() / 3, 1, 3) + 1;
  for (const std::string_view candidate : known) {
    const size_t distance = EditDistance(Folded(word), Folded(candidate));
    if (distance >= nearest_distance) continue;
    nearest = candidate;
    nearest_distance = distance;
  }
  return nearest;
}

// ---- Tables

const ConfigPlace& ConfigTable::at() const {
  DCHECK(present());
  return table_->at;
}

const std::string& ConfigTable::path() const {
  DCHECK(present());
  return table_->path;
}

const std::string& ConfigTable::key() const {
  DCHECK(present());
  return table_->key;
}

const ConfigValue* ConfigTable::Find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  if (table_ == nullptr) return nullptr;
  for (const ConfigValue& member : table_->members) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

const ConfigValue* ConfigTable::FindKind(std::string_view key, ConfigKind kind,
                                         std::string_view example) {
  const ConfigValue* value = Find(key);
  if (value == nullptr || value->kind == kind) return value;
  value->Reject(*diagnostics_, absl::StrCat("expected ", std::string(KindName(kind))),
                absl::StrCat("write ", std::string(key), " = ", std::string(example)));
  return nullptr;
}

std::string ConfigTable::String(std::string_view key, std::string_view missing) {
  const ConfigValue* value = FindKind(key, ConfigKind::kString, "\"…\"");
  return value == nullptr ? std::string(missing) : value->text;
}

bool ConfigTable::Boolean(std::string_view key, bool missing) {
  const ConfigValue* value = FindKind(key, ConfigKind::kBoolean, missing ? "true" : "false");
  return value == nullptr ? missing : value->boolean;
}

int64_t ConfigTable::Integer(std::string_view key, int64_t missing, int64_t min, int64_t max) {
  const ConfigValue* value = FindKind(key, ConfigKind::kInteger, absl::StrCat(missing));
  if (value == nullptr) return missing;
  if (value->integer >= min && value->integer <= max) return value->integer;
  value->Reject(*diagnostics_, value->integer < min ? "too small" : "too large",
                absl::StrCat("use a number from ", min, " to ", max));
  return missing;
}

uint64_t ConfigTable::Bytes(std::string_view key, uint64_t missing, uint64_t min, uint64_t max) {
  const ConfigValue* value = Find(key);
  if (value == nullptr) return missing;
  std::optional<uint64_t> bytes;
  if (value->kind == ConfigKind::kInteger && value->integer >= 0) {
    bytes = static_cast<uint64_t>(value->integer);
  } else if (value->kind == ConfigKind::kString) {
    bytes = ParseConfigBytes(value->text);
  }
  if (!bytes.has_value()) {
    value->Reject(
        *diagnostics_, "not a number of bytes",
        absl::StrCat("write a number, or \"64KiB\", \"16MiB\"; the default is ", missing));
    return missing;
  }
  if (*bytes >= min && *bytes <= max) return *bytes;
  value->Reject(*diagnostics_, *bytes < min ? "too small" : "too large",
                absl::StrCat("use ", min, " to ", max, " bytes"));
  return missing;
}

absl::Duration ConfigTable::Duration(std::string_view key, absl::Duration missing,
                                     absl::Duration min, absl::Duration max) {
  const ConfigValue* value = Find(key);
  if (value == nullptr) return missing;
  const std::optional<absl::Duration> duration =
      value->kind == ConfigKind::kString ? ParseConfigDuration(value->text) : std::nullopt;
  if (!duration.has_value()) {
    value->Reject(*diagnostics_, "not a duration",
                  absl::StrCat("write a number with its unit, such as \"500ms\", \"5s\", \"2m\", "
                               "\"1h\"; the default is \"",
                               absl::FormatDuration(missing), "\""));
    return missing;
  }
  if (*duration >= min && *duration <= max) return *duration;
  value->Reject(*diagnostics_, *duration < min ? "too short" : "too long",
                absl::StrCat("use \"", absl::FormatDuration(min), "\" to \"",
                             absl::FormatDuration(max), "\""));
  return missing;
}

std::vector<const ConfigValue*> ConfigTable::Strings(std::string_view key) {
  const ConfigValue* list = FindKind(key, ConfigKind::kArray, "[\"…\"]");
  std::vector<const ConfigValue*> strings;
  if (list == nullptr) return strings;
  for (const ConfigValue& member : list->members) {
    if (member.kind == ConfigKind::kString) {
      strings.push_back(&member);
    } else {
      member.Reject(*diagnostics_, "expected a string", "put it into quotes");
    }
  }
  return strings;
}

std::vector<const ConfigValue*> ConfigTable::StringOrStrings(std::string_view key) {
  const ConfigValue* value = Find(key);
  if (value != nullptr && value->kind == ConfigKind::kString) return {value};
  return Strings(key);
}

std::optional<size_t> ConfigTable::ChoiceIndex(std::string_view key,
                                               const std::vector<std::string_view>& words) {
  const ConfigValue* value =
      FindKind(key, ConfigKind::kString, absl::StrCat("\"", std::string(words.front()), "\""));
  if (value == nullptr) return std::nullopt;
  for (size_t i = 0; i < words.size(); ++i) {
    if (value->text == words[i]) return i;
  }
  const std::string_view nearest = NearestName(value->text, words);
  value->Reject(*diagnostics_, "not a known word",
                nearest.empty() ? absl::StrCat("use one of ", QuotedList(words))
                                : absl::StrCat("did you mean \"", std::string(nearest),
                                               "\"? The words are ", QuotedList(words)));
  return std::nullopt;
}

bool ConfigTable::Require(std::string_view key, std::string_view remedy) {
  const ConfigValue* value = Find(key);
  if (value != nullptr && (value->kind != ConfigKind::kString || !value->text.empty())) return true;
  if (value != nullptr) {
    value->Reject(*diagnostics_, "must not be empty", remedy);
  } else if (table_ != nullptr) {
    diagnostics_->Error(table_->at,
                        absl::StrCat(Shown(table_->path), ": ", std::string(key), " is missing"),
                        std::string(remedy));
  }
  return false;
}

void ConfigTable::NotAvailable(std::string_view key, std::string_view remedy,
                               std::string_view harmless) {
  const ConfigValue* value = Find(key);
  if (value == nullptr) return;
  const bool scalar = value->kind != ConfigKind::kArray && value->kind != ConfigKind::kTable;
  if (scalar ? value->text == harmless : harmless.empty() && value->members.empty()) return;
  diagnostics_->Error(value->key_at,
                      absl::StrCat(Shown(value->path), " is not available in this version"),
                      std::string(remedy));
}

ConfigTable ConfigTable::Table(std::string_view key) {
  const ConfigValue* value = Find(key);
  if (value == nullptr) return ConfigTable(nullptr, diagnostics_);
  if (value->kind == ConfigKind::kTable) return ConfigTable(value, diagnostics_);
  diagnostics_->Error(value->key_at, absl::StrCat(Shown(value->path), " must be a table"),
                      absl::StrCat("write [", std::string(key), "] on a line of its own"));
  return ConfigTable(nullptr, diagnostics_);
}

std::vector<ConfigTable> ConfigTable::Tables(std::string_view key) {
  std::vector<ConfigTable> tables;
  const ConfigValue* value = Find(key);
  if (value == nullptr) return tables;
  const std::string remedy =
      absl::StrCat("write [[", std::string(key), "]] with two brackets before each of them");
  if (value->kind != ConfigKind::kArray) {
    diagnostics_->Error(value->key_at,
                        absl::StrCat(Shown(value->path), " must be a list of tables"), remedy);
    return tables;
  }
  for (const ConfigValue& member : value->members) {
    if (member.kind == ConfigKind::kTable) {
      tables.emplace_back(&member, diagnostics_);
    } else {
      member.Reject(*diagnostics_, "expected a table", remedy);
    }
  }
  return tables;
}

std::vector<ConfigTable> ConfigTable::NamedTables(std::string_view key) {
  std::vector<ConfigTable> tables;
  const ConfigTable parent = Table(key);
  if (!parent.present()) return tables;
  for (const ConfigValue& member : parent.table_->members) {
    if (member.kind == ConfigKind::kTable) {
      tables.emplace_back(&member, diagnostics_);
    } else {
      diagnostics_->Error(member.key_at, absl::StrCat(Shown(member.path), " must be a table"),
                          absl::StrCat("write [", std::string(key), ".NAME] and put it below"));
    }
  }
  return tables;
}

void ConfigTable::RefuseUnknown() {
  if (table_ == nullptr) return;
  const std::vector<std::string_view> known(known_.begin(), known_.end());
  for (const ConfigValue& member : table_->members) {
    if (std::find(known.begin(), known.end(), member.key) != known.end()) continue;
    const std::string_view nearest = NearestName(member.key, known);
    diagnostics_->Error(member.key_at, absl::StrCat("unknown key ", Shown(member.path)),
                        nearest.empty()
                            ? absl::StrCat("known here: ", absl::StrJoin(known_, ", "))
                            : absl::StrCat("did you mean \"", std::string(nearest), "\"?"));
  }
}

// ---- Documents

absl::StatusOr<std::string> ConfigDocument::ReadFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  std::string text;
  absl::Status status;
  char chunk[16384];
  while (true) {
    const ssize_t bytes = read(file, chunk, sizeof(chunk));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) status = absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (bytes <= 0) break;
    text.append(chunk, static_cast<size_t>(bytes));
    if (text.size() > kFileBytesMax) {
      status = absl::OutOfRangeError(absl::StrCat(path, " is larger than 4 MiB"));
      break;
    }
  }
  close(file);
  if (!status.ok()) return status;
  return text;
}

std::optional<ConfigDocument> ConfigDocument::Parse(std::string_view text, const std::string& file,
                                                    Diagnostics& diagnostics) {
  const toml::parse_result parsed = toml::parse(text, std::string_view(file));
  if (!parsed) {
    const toml::source_position& position = parsed.error().source().begin;
    diagnostics.Error({file, position.line, position.column},
                      absl::StrCat("syntax: ", Shown(parsed.error().description())),
                      "the file is TOML 1.0 (https://toml.io); nothing after this place was read");
    return std::nullopt;
  }
  auto root = std::make_unique<ConfigValue>(TreeBuilder(file).Convert(parsed.table(), "", ""));
  return ConfigDocument(std::move(root));
}

}  // namespace sallyport::core
