#include "sip/tools/ca_command.h"

#include <CLI/CLI.hpp>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sip/message/uri.h"
#include "sip/policy/sip_identities.h"
#include "tls/private_ca.h"

namespace sallyport::sip {
namespace {

constexpr int kExitError = 2;
constexpr int kCaDays = 3650;

int64_t Now() { return static_cast<int64_t>(std::time(nullptr)); }

// Prints the error, if any, and says how to exit.
int Report(const absl::Status& status) {
  if (status.ok()) return 0;
  std::cerr << "sallyport ca: " << status.message() << "\n";
  return kExitError;
}

struct InitArguments {
  std::string folder;
  std::string common_name;
  int days = kCaDays;
};

int RunInit(const InitArguments& arguments) {
  const absl::Status status =
      tls::InitCa(arguments.folder, arguments.common_name, arguments.days, Now());
  if (!status.ok()) return Report(status);
  std::cout << "wrote " << arguments.folder << "/ca.pem: certificate of the CA \""
            << arguments.common_name << "\", valid " << arguments.days
            << " days; give it to whoever shall trust what this CA issues\n"
            << "wrote " << arguments.folder
            << "/ca.key: its private key, mode 0600; keep it secret and back it up\n"
            << "next: sallyport ca issue " << arguments.folder << " edge --domain YOUR.DOMAIN\n";
  return 0;
}

struct IssueArguments {
  std::string folder;
  std::string name;
  tls::LeafRequest request;
  std::vector<std::string> purposes;
};

// A name that our own reading of certificates would ignore (RFC 5922 §7.1) is a mistake better
// found now.
absl::Status CheckNames(const tls::LeafRequest& request) {
  for (const std::string& domain : request.domains) {
    if (NormalDnsName(domain).empty()) {
      return absl::InvalidArgumentError("--domain \"" + domain +
                                        "\": expected a host name such as a.example");
    }
  }
  for (const std::string& user : request.users) {
    const std::string text = user.starts_with("sip:") ? user : "sip:" + user;
    Uri uri;
    const bool is_user = ParseUri(text, uri) == UriOutcome::kOk && !uri.user.empty() &&
                         !uri.has_password && !uri.host_is_ip &&
                         uri.host.data() + uri.host.size() == text.data() + text.size();
    if (!is_user) {
      return absl::InvalidArgumentError("--user \"" + user +
                                        "\": expected user@domain, such as alice@a.example");
    }
  }
  for (const std::string& name : request.dns_names) {
    if (NormalDnsName(name).empty()) {
      return absl::InvalidArgumentError("--dns \"" + name +
                                        "\": expected a host name such as pbx.a.example");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<tls::IssuedPurpose>> ReadPurposes(
    const std::vector<std::string>& texts) {
  std::vector<tls::IssuedPurpose> purposes;
  for (const std::string& text : texts) {
    if (text == "server" || text == "serverAuth") {
      purposes.push_back(tls::IssuedPurpose::kServerAuth);
    } else if (text == "client" || text == "clientAuth") {
      purposes.push_back(tls::IssuedPurpose::kClientAuth);
    } else if (text == "sip-domain" || text == "sipDomain") {
      purposes.push_back(tls::IssuedPurpose::kSipDomain);
    } else {
      return absl::InvalidArgumentError("--eku \"" + text +
                                        "\": expected serverAuth, clientAuth or sip-domain");
    }
  }
  return purposes;
}

// What the certificate says, in the words of the From check.
std::string Describe(const tls::LeafRequest& request) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const std::string& domain : request.domains) add("every user of " + domain);
  for (const std::string& user : request.users) add("user " + user);
  for (const std::string& name : request.dns_names) add("DNS " + name);
  if (!request.device_name.empty()) add("CN " + request.device_name);
  return text;
}

int RunIssue(IssueArguments& arguments) {
  if (const absl::Status status = CheckNames(arguments.request); !status.ok())
    return Report(status);
  if (!arguments.purposes.empty()) {
    absl::StatusOr<std::vector<tls::IssuedPurpose>> purposes = ReadPurposes(arguments.purposes);
    if (!purposes.ok()) return Report(purposes.status());
    arguments.request.purposes = *std::move(purposes);
  }
  const absl::Status status =
      tls::IssueLeaf(arguments.folder, arguments.name, arguments.request, Now());
  if (!status.ok()) return Report(status);
  const std::string stem = arguments.folder + "/" + arguments.name;
  std::cout << "wrote " << stem << ".pem: certificate for " << Describe(arguments.request)
            << ", valid " << arguments.request.days << " days\n"
            << "wrote " << stem << ".key: its private key, mode 0600\n"
            << "next: for this edge, in a [tls.NAME] table: certificate = \"" << stem
            << ".pem\", certificate-key = \"" << stem << ".key\", trusted-ca = \""
            << arguments.folder << "/ca.pem\"\n"
            << "      for a peer, hand over " << stem << ".pem, " << stem << ".key and "
            << arguments.folder << "/ca.pem\n";
  return 0;
}

int RunExport(const std::string& folder) {
  const absl::StatusOr<std::string> certificate = tls::ExportCa(folder);
  if (!certificate.ok()) return Report(certificate.status());
  std::cout << *certificate;
  return 0;
}

void AddInit(CLI::App& ca, int& exit_code) {
  auto arguments = std::make_shared<InitArguments>();
  CLI::App* const init = ca.add_subcommand("init", "make a CA in a folder");
  init->add_option("DIR", arguments->folder, "folder of the CA; created if it is not there")
      ->required();
  init->add_option("--name", arguments->common_name, "common name of the CA")->required();
  init->add_option("--days", arguments->days, "validity")->capture_default_str();
  init->callback([arguments, &exit_code] { exit_code = RunInit(*arguments); });
}

void AddIssue(CLI::App& ca, int& exit_code) {
  auto arguments = std::make_shared<IssueArguments>();
  tls::LeafRequest& request = arguments->request;
  CLI::App* const issue = ca.add_subcommand("issue", "issue a certificate (RFC 5922)");
  issue->add_option("DIR", arguments->folder, "folder of the CA")->required();
  issue->add_option("NAME", arguments->name, "the files become DIR/NAME.pem and DIR/NAME.key")
      ->required();
  issue->add_option("--domain", request.domains, "SIP domain: URI:sip:D and DNS:D; may be repeated")
      ->take_all();
  issue->add_option("--user", request.users, "user@domain: URI:sip:user@domain; may be repeated")
      ->take_all();
  issue->add_option("--device", request.device_name,
                    "common name; alone: a certificate with no other name");
  issue->add_option("--dns", request.dns_names, "further DNS name; may be repeated")->take_all();
  issue
      ->add_option("--eku", arguments->purposes,
                   "serverAuth, clientAuth, sip-domain; may be repeated or joined by commas; "
                   "default the first two")
      ->take_all()
      ->delimiter(',');
  issue->add_option("--days", request.days, "validity")->capture_default_str();
  issue->callback([arguments, &exit_code] { exit_code = RunIssue(*arguments); });
}

void AddExport(CLI::App& ca, int& exit_code) {
  auto folder = std::make_shared<std::string>();
  CLI::App* const export_ca = ca.add_subcommand("export", "print the CA's certificate");
  export_ca->add_option("DIR", *folder, "folder of the CA")->required();
  export_ca->callback([folder, &exit_code] { exit_code = RunExport(*folder); });
}

// Known to the interface, served by a later version.
void AddLater(CLI::App& ca, const std::string& name, int& exit_code) {
  CLI::App* const later = ca.add_subcommand(name, "not available in this version");
  later->allow_extras();
  later->callback([name, &exit_code] {
    std::cerr << "sallyport ca " << name << ": not available in this version\n";
    exit_code = kExitError;
  });
}

}  // namespace

void AddCaCommand(CLI::App& app, int& exit_code) {
  CLI::App* const ca = app.add_subcommand("ca", "a private CA and RFC 5922 certificates");
  ca->require_subcommand(1);
  AddInit(*ca, exit_code);
  AddIssue(*ca, exit_code);
  AddExport(*ca, exit_code);
  AddLater(*ca, "revoke", exit_code);
  AddLater(*ca, "crl", exit_code);
}

}  // namespace sallyport::sip
