#include "bench/sipbench/sip_text.h"

#include <algorithm>
#include <charconv>

namespace sallyport::bench {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

uint64_t LeadingNumber(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

int ValuesIn(std::string_view via) {
  int values = 1;
  bool quoted = false;
  for (const char c : via) {
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted) ++values;
  }
  return values;
}

std::string_view BranchOf(std::string_view via) {
  constexpr std::string_view kBranch = "branch=";
  const size_t at = via.find(kBranch);
  if (at == std::string_view::npos) return {};
  const std::string_view value = via.substr(at + kBranch.size());
  return value.substr(0, value.find_first_of(";, \t"));
}

}  // namespace

bool IsHeader(std::string_view name, std::string_view long_form, char compact) {
  const auto same = [](char a, char b) { return Lower(a) == Lower(b); };
  if (name.size() == 1) return compact != 0 && same(name.front(), compact);
  return std::equal(name.begin(), name.end(), long_form.begin(), long_form.end(), same);
}

size_t MessageLength(std::string_view bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  size_t body = 0;
  ForEachHeader(bytes.substr(0, end + 4), [&](std::string_view name, std::string_view value) {
    if (IsHeader(name, "Content-Length", 'l')) body = static_cast<size_t>(LeadingNumber(value));
  });
  const size_t length = end + 4 + body;
  return length <= bytes.size() ? length : 0;
}

std::optional<MessageFacts> ReadFacts(std::string_view message) {
  MessageFacts facts;
  facts.first_line = message.substr(0, message.find("\r\n"));
  constexpr std::string_view kVersion = "SIP/2.0";
  if (facts.first_line.starts_with(kVersion)) {
    if (facts.first_line.size() < kVersion.size() + 4) return std::nullopt;
    facts.status = static_cast<int>(LeadingNumber(facts.first_line.substr(kVersion.size() + 1)));
  } else if (!facts.first_line.ends_with(kVersion)) {
    return std::nullopt;
  }
  ForEachHeader(message, [&](std::string_view name, std::string_view value) {
    if (IsHeader(name, "Via", 'v')) {
      if (facts.via_count == 0) facts.branch = BranchOf(value);
      facts.via_count += ValuesIn(value);
    } else if (IsHeader(name, "CSeq", 0)) {
      facts.cseq = LeadingNumber(value);
      facts.cseq_method = value.substr(value.find_last_of(" \t") + 1);
    }
  });
  return facts;
}

}  // namespace sallyport::bench
