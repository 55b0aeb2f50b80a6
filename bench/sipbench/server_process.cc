#include "bench/sipbench/server_process.h"

#include <dirent.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace sallyport::bench {
namespace {

// proc(5): the name in parentheses may hold anything, so fields are counted from the last one.
std::optional<pid_t> ParentOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state;
  pid_t parent = 0;
  fields >> state >> parent;
  return parent;
}

std::vector<pid_t> AllProcesses() {
  std::vector<pid_t> found;
  DIR* const proc = opendir("/proc");
  if (proc == nullptr) return found;
  while (const dirent* entry = readdir(proc)) {
    pid_t pid = 0;
    if (absl::SimpleAtoi(entry->d_name, &pid)) found.push_back(pid);
  }
  closedir(proc);
  return found;
}

}  // namespace

std::vector<pid_t> ServerProcess::WithDescendants() const {
  std::vector<std::pair<pid_t, pid_t>> parents;  // process, parent
  for (const pid_t pid : AllProcesses()) {
    if (const auto parent = ParentOf(pid)) parents.emplace_back(pid, *parent);
  }
  std::vector<pid_t> family = roots_;
  for (size_t i = 0; i < family.size(); ++i) {
    for (const auto& [pid, parent] : parents) {
      const bool known = std::find(family.begin(), family.end(), pid) != family.end();
      if (parent == family[i] && !known) family.push_back(pid);
    }
  }
  return family;
}

double ServerProcess::CpuSecondsOf(const std::vector<pid_t>& processes) {
  double seconds = 0;
  for (const pid_t pid : processes) {
    clockid_t clock{};
    timespec used{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) continue;
    seconds += static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
  }
  return seconds;
}

ServerMemory ServerProcess::Memory() const {
  ServerMemory memory;
  for (const pid_t pid : WithDescendants()) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/smaps_rollup"));
    std::string line;
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::string name;
      uint64_t kilobytes = 0;
      fields >> name >> kilobytes;
      if (name == "Rss:") memory.rss_bytes += kilobytes * 1024;
      if (name == "Pss:") memory.pss_bytes += kilobytes * 1024;
    }
  }
  return memory;
}

}  // namespace sallyport::bench
