// tests/README.md says which test stands for which rule of the standards: each test that it names
// must be there.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sallyport {
namespace {

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// `names` gets "Suite.Name" of every TEST and TEST_F, and "file.test_name" of every Python test.
void CollectTests(const std::filesystem::path& path, std::set<std::string>& names) {
  std::string text = Read(path);
  const bool is_python = path.extension() == ".py";
  const std::string begin = is_python ? "def test_" : "TEST";
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    if (is_python) {
      const size_t name = at + 4;
      names.insert(path.stem().string() + "." + text.substr(name, text.find('(', name) - name));
      continue;
    }
    const size_t open = text.find('(', at);
    const size_t comma = text.find(',', at);
    const size_t close = text.find(')', at);
    if (comma == std::string::npos || close < comma || open > comma) continue;
    const size_t name = text.find_first_not_of(" \n", comma + 1);
    names.insert(text.substr(open + 1, comma - open - 1) + "." + text.substr(name, close - name));
  }
}

std::set<std::string> AllTests(const std::filesystem::path& tests) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tests)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("_test.cc") || name.ends_with("_test.py")) CollectTests(entry.path(), names);
  }
  return names;
}

// What stands in backquotes in the last column of the tables.
std::vector<std::string> NamedTests(const std::string& readme) {
  std::vector<std::string> names;
  std::istringstream lines(readme);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ") || !line.ends_with(" |")) continue;
    const size_t last = line.rfind('|', line.size() - 2);
    for (size_t at = line.find('`', last); at != std::string::npos; at = line.find('`', at + 1)) {
      const size_t end = line.find('`', at + 1);
      names.push_back(line.substr(at + 1, end - at - 1));
      at = end;
    }
  }
  return names;
}

TEST(StandardsTableTest, EveryTestThatItNamesExists) {
  const std::filesystem::path tests = std::filesystem::path(SALLYPORT_SOURCE_DIR) / "tests";
  const std::set<std::string> known = AllTests(tests);
  const std::vector<std::string> named = NamedTests(Read(tests / "README.md"));
  EXPECT_GT(named.size(), 100U);
  for (const std::string& name : named) EXPECT_TRUE(known.contains(name)) << name;
}

}  // namespace
}  // namespace sallyport
