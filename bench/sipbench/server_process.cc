#include "bench/sipbench/server_process.h"

#include <dirent.h>
#include <unistd.h>

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

struct ProcessStat {
  pid_t parent = 0;
  uint64_t cpu_ticks = 0;
};

// proc(5): the name in parentheses may hold anything, so fields are counted from the last one.
std::optional<ProcessStat> ReadStat(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state;
  ProcessStat stat;
  fields >> state >> stat.parent;
  std::string skipped;
  for (int field = 5; field <= 13; ++field) fields >> skipped;
  uint64_t user = 0;
  uint64_t system = 0;
  fields >> user >> system;
  stat.cpu_ticks = user + system;
  return stat;
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
    if (const auto stat = ReadStat(pid)) parents.emplace_back(pid, stat->parent);
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

double ServerProcess::CpuSeconds() const {
  uint64_t ticks = 0;
  for (const pid_t pid : WithDescendants()) {
    if (const auto stat = ReadStat(pid)) ticks += stat->cpu_ticks;
  }
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
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
