// Reads the test corpus: tests/corpus, and the RFC corpora in the folder that SALLYPORT_CORPORA
// names.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"

namespace sallyport::sip {

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::string ReadCorpus(std::string_view name) {
  return ReadFile(std::filesystem::path(SALLYPORT_TEST_CORPUS) / name);
}

// Empty: not set, the test skips.
inline std::filesystem::path CorporaFolder() {
  const char* const folder = std::getenv("SALLYPORT_CORPORA");
  return folder == nullptr ? std::filesystem::path() : std::filesystem::path(folder);
}

inline std::vector<std::string> SplitAt(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

// The rows of a tab-separated file without its first line.
inline std::vector<std::vector<std::string>> ReadTable(const std::filesystem::path& path) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : SplitAt(ReadFile(path), '\n')) {
    if (!line.empty()) rows.push_back(SplitAt(line, '\t'));
  }
  CHECK(!rows.empty());
  rows.erase(rows.begin());
  return rows;
}

}  // namespace sallyport::sip
