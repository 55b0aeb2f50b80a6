// The flags that all client subcommands share, and what is made from them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/sipbench/command_line.h"
#include "bench/sipbench/server_process.h"
#include "bench/sipbench/tls_client.h"

namespace sallyport::bench {

struct ClientFlags {
  std::string target;
  TlsIdentity identity;
  std::string tls = "1.3";
  std::string group = "x25519";
  std::vector<std::string> server_pids;
  bool json = false;

  void AddTo(CommandLine* command_line);

  absl::StatusOr<sockaddr_in> Target() const;
  absl::StatusOr<TlsVersion> Version() const;
  absl::StatusOr<std::unique_ptr<TlsClient>> MakeClient(const TlsIdentity& as) const;
  absl::StatusOr<ServerProcess> Server() const;
  // NAME.pem of `folder` with NAME.key, or with --key where there is none, ordered by name; without
  // a folder the one of --cert and --key.
  absl::StatusOr<std::vector<TlsIdentity>> Identities(const std::string& folder) const;
};

// Parses, and prints what is wrong together with the help; false then.
bool ParseOrExplain(CommandLine* command_line, const std::vector<std::string>& arguments,
                    const char* purpose);

// Prints `status` to standard error and returns the exit code for usage.
int Complain(const absl::Status& status);

// Thousands of sockets need more than the usual soft limit of descriptors.
void RaiseDescriptorLimit();

}  // namespace sallyport::bench
