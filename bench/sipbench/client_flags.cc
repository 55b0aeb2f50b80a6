#include "bench/sipbench/client_flags.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/sipbench/socket_address.h"

namespace sallyport::bench {

void ClientFlags::AddTo(CommandLine* command_line) {
  command_line->Add("--target", &target, "server, IPv4:PORT; required");
  command_line->Add("--ca", &identity.ca,
                    "PEM of the CA that the server must chain to; empty: not verified");
  command_line->Add("--cert", &identity.certificate, "PEM of our certificate, leaf first");
  command_line->Add("--key", &identity.key, "PEM of its key");
  command_line->Add("--tls", &tls, "1.2 or 1.3");
  command_line->Add("--group", &group, "TLS 1.3 key share: x25519 or p256");
  command_line->Add("--server-pid", &server_pids,
                    "process to measure, with its children; may be repeated");
  command_line->Add("--json", &json, "one JSON object instead of lines");
}

absl::StatusOr<sockaddr_in> ClientFlags::Target() const { return ParseSocketAddress(target); }

absl::StatusOr<TlsVersion> ClientFlags::Version() const {
  if (tls == "1.2") return TlsVersion::k12;
  if (tls == "1.3") return TlsVersion::k13;
  return absl::InvalidArgumentError("--tls: expected 1.2 or 1.3");
}

absl::StatusOr<std::unique_ptr<TlsClient>> ClientFlags::MakeClient(const TlsIdentity& as) const {
  const absl::StatusOr<TlsVersion> version = Version();
  if (!version.ok()) return version.status();
  return TlsClient::Create(as, *version, group);
}

absl::StatusOr<ServerProcess> ClientFlags::Server() const {
  std::vector<pid_t> pids;
  for (const std::string& text : server_pids) {
    for (const auto& one : absl::StrSplit(text, ',')) {
      pid_t pid = 0;
      if (!absl::SimpleAtoi(one, &pid)) {
        return absl::InvalidArgumentError(absl::StrCat("--server-pid: not a number: ", text));
      }
      pids.push_back(pid);
    }
  }
  return ServerProcess(pids);
}

absl::StatusOr<std::vector<TlsIdentity>> ClientFlags::Identities(const std::string& folder) const {
  if (folder.empty()) return std::vector<TlsIdentity>{identity};
  std::vector<TlsIdentity> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".pem") continue;
    std::filesystem::path key = entry.path();
    key.replace_extension(".key");
    const bool own_key = std::filesystem::exists(key);
    found.push_back({identity.ca, entry.path().string(), own_key ? key.string() : identity.key});
  }
  if (found.empty()) return absl::NotFoundError(folder + ": no NAME.pem in this directory");
  std::sort(found.begin(), found.end(), [](const TlsIdentity& a, const TlsIdentity& b) {
    return a.certificate < b.certificate;
  });
  return found;
}

bool ParseOrExplain(CommandLine* command_line, const std::vector<std::string>& arguments,
                    const char* purpose) {
  const bool wants_help = arguments.size() == 1 && arguments.front() == "--help";
  const absl::Status status = wants_help ? absl::OkStatus() : command_line->Parse(arguments);
  if (status.ok() && !wants_help) return true;
  if (!status.ok()) std::fprintf(stderr, "sipbench: %s\n\n", std::string(status.message()).c_str());
  std::fprintf(stderr, "%s\n%s", purpose, command_line->Help().c_str());
  return false;
}

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "sipbench: %s\n", std::string(status.message()).c_str());
  return 2;
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace sallyport::bench
