// The layers of the tree (architecture: core <- tls <- sip/policy <- sip/proxy, sip/message a pure
// leaf) as a test: which file may include which of ours, and which outside library is seen by which
// files.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport {
namespace {

struct LayerRule {
  std::string_view files;  // Where the including file lies: the longest that matches counts.
  std::vector<std::string_view> may_include;  // Beginnings of our own paths.
};

const std::vector<LayerRule>& LayerRules() {
  static const std::vector<LayerRule> rules = {
      {"core/", {"core/"}},
      {"tls/", {"core/", "tls/"}},
      {"sip/message/", {"sip/message/", "core/check.h"}},
      {"sip/policy/", {"core/", "tls/peer_identity.h", "sip/message/", "sip/policy/"}},
      {"sip/proxy/", {"core/", "tls/", "sip/message/", "sip/policy/", "sip/proxy/"}},
      {"sip/tools/", {"core/", "tls/", "sip/"}},
      {"sip/main.cc", {"core/", "tls/", "sip/"}},
  };
  return rules;
}

struct LibraryRule {
  std::string_view header;                // Beginning of its name.
  std::vector<std::string_view> seen_by;  // '*' stands for anything without a slash.
};

const std::vector<LibraryRule>& LibraryRules() {
  static const std::vector<LibraryRule> rules = {
      {"liburing", {"core/uring_*.cc"}},
      {"ares", {"core/resolver.cc"}},
      {"toml++", {"core/config_document.cc"}},
      {"spdlog", {"core/log*.cc"}},
      {"nlohmann", {"sip/tools/*"}},
      {"wolfssl", {"tls/*.cc"}},
      {"lmdb", {"sip/policy/*store*.cc"}},
      {"hiredis", {"sip/policy/*store*.cc"}},
      {"CLI/", {"sip/main.cc", "sip/tools/*"}},
  };
  return rules;
}

bool Matches(std::string_view path, std::string_view pattern) {
  if (pattern.empty()) return path.empty();
  if (pattern.front() == '*') {
    for (size_t skip = 0; skip <= path.size(); ++skip) {
      if (Matches(path.substr(skip), pattern.substr(1))) return true;
      if (skip < path.size() && path[skip] == '/') return false;
    }
    return false;
  }
  return !path.empty() && path.front() == pattern.front() &&
         Matches(path.substr(1), pattern.substr(1));
}

bool BeginsWithAny(std::string_view text, const std::vector<std::string_view>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [text](std::string_view begin) { return text.starts_with(begin); });
}

struct Include {
  std::string file;    // Relative to the tree.
  std::string target;  // Between the quotes or brackets.
};

// Empty: none of the rules is broken.
std::string Violation(const Include& include) {
  if (BeginsWithAny(include.target, {"bench/", "tests/"})) return "nobody includes bench or tests";
  if (BeginsWithAny(include.target, {"core/", "tls/", "sip/"})) {
    const LayerRule* rule = nullptr;
    for (const LayerRule& each : LayerRules()) {
      const bool closer = rule == nullptr || each.files.size() > rule->files.size();
      if (include.file.starts_with(each.files) && closer) rule = &each;
    }
    if (rule == nullptr) return "a file in no layer";
    return BeginsWithAny(include.target, rule->may_include) ? "" : "not a layer below";
  }
  for (const LibraryRule& rule : LibraryRules()) {
    if (!include.target.starts_with(rule.header)) continue;
    const bool allowed =
        std::any_of(rule.seen_by.begin(), rule.seen_by.end(),
                    [&](std::string_view pattern) { return Matches(include.file, pattern); });
    return allowed ? "" : "this library belongs to other files";
  }
  // The standard library has no dots; sip/message knows no system. Vector instructions are the
  // exception.
  const bool has_dot = include.target.find('.') != std::string::npos;
  if (include.file.starts_with("sip/message/") && has_dot && include.target != "emmintrin.h" &&
      include.target != "tmmintrin.h" && include.target != "arm_neon.h" &&
      !include.target.starts_with("absl/")) {
    return "sip/message includes abseil and the standard library only";
  }
  return "";
}

std::vector<Include> ReadIncludes(const std::filesystem::path& root, std::string_view folder) {
  std::vector<Include> includes;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
    const std::string extension = entry.path().extension();
    if (extension != ".h" && extension != ".cc") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      const size_t open = line.find_first_of("\"<", 0);
      if (!line.starts_with("#include") || open == std::string::npos) continue;
      const size_t close = line.find(line[open] == '"' ? '"' : '>', open + 1);
      if (close == std::string::npos) continue;
      includes.push_back({std::filesystem::relative(entry.path(), root).string(),
                          line.substr(open + 1, close - open - 1)});
    }
  }
  return includes;
}

TEST(IncludeRulesTest, TheTreeKeepsItsLayers) {
  const std::filesystem::path root = SALLYPORT_SOURCE_DIR;
  size_t read = 0;
  for (const std::string_view folder : {"core", "tls", "sip"}) {
    if (!std::filesystem::exists(root / folder)) continue;
    for (const Include& include : ReadIncludes(root, folder)) {
      EXPECT_EQ(Violation(include), "") << include.file << " includes " << include.target;
      ++read;
    }
  }
  EXPECT_GT(read, 100U);  // The walk found the tree.
}

// Goal: every header compiles alone. Method: one with a source file is this file's first include;
// for the others the build makes a unit each (tests/CMakeLists.txt).
TEST(IncludeRulesTest, EachSourceIncludesItsOwnHeaderFirst) {
  const std::filesystem::path root = SALLYPORT_SOURCE_DIR;
  std::map<std::string, std::string> first;  // Source file to the target of its first include.
  for (const std::string_view folder : {"core", "tls", "sip"})
    for (const Include& include : ReadIncludes(root, folder))
      if (include.file.ends_with(".cc")) first.try_emplace(include.file, include.target);
  size_t seen = 0;
  for (const auto& [file, target] : first) {
    const std::string header = file.substr(0, file.size() - 3) + ".h";
    if (!std::filesystem::exists(root / header)) continue;
    EXPECT_EQ(target, header) << "first include of " << file;
    ++seen;
  }
  EXPECT_GT(seen, 100U);
}

// Goal: the rules catch what they are for. Method: one broken include per rule, and its legal
// neighbour.
TEST(IncludeRulesTest, BrokenIncludesAreCaught) {
  const std::initializer_list<Include> broken = {
      {"core/reactor.cc", "tls/session.h"},
      {"core/reactor.cc", "sip/message/uri.h"},
      {"tls/session.cc", "sip/message/uri.h"},
      {"sip/message/uri.cc", "core/socket_address.h"},
      {"sip/message/uri.cc", "sip/policy/judge.h"},
      {"sip/policy/judge.cc", "tls/session.h"},
      {"sip/policy/judge.cc", "sip/proxy/edge.h"},
      {"sip/proxy/edge.cc", "sip/tools/ca.h"},
      {"sip/proxy/edge.cc", "tests/support/guarded_copy.h"},
      {"core/reactor.cc", "liburing.h"},
      {"core/uring_backend.h", "liburing.h"},
      {"sip/proxy/edge.cc", "wolfssl/ssl.h"},
      {"tls/session.h", "wolfssl/ssl.h"},
      {"core/shard.cc", "spdlog/spdlog.h"},
      {"core/config_value.cc", "toml++/toml.h"},
      {"sip/policy/judge.cc", "lmdb.h"},
      {"sip/message/uri.cc", "sys/socket.h"},
  };
  for (const Include& include : broken)
    EXPECT_NE(Violation(include), "") << include.file << ' ' << include.target;
  const std::initializer_list<Include> legal = {
      {"core/uring_backend.cc", "liburing.h"},
      {"tls/session.cc", "wolfssl/ssl.h"},
      {"sip/message/uri.cc", "core/check.h"},
      {"sip/message/uri.cc", "string_view"},
      {"sip/policy/judge.cc", "tls/peer_identity.h"},
      {"sip/main.cc", "CLI/CLI.hpp"},
      {"sip/tools/explain.cc", "nlohmann/json.hpp"},
      {"sip/message/uri.cc", "absl/strings/match.h"},
  };
  for (const Include& include : legal)
    EXPECT_EQ(Violation(include), "") << include.file << ' ' << include.target;
}

}  // namespace
}  // namespace sallyport
