// [tls.NAME]: a certificate with its key, whom we trust, and how TLS is spoken.
#pragma once

#include <string>
#include <vector>

#include "core/config_document.h"

namespace sallyport::sip {

// As written, with defaults filled in and paths made relative to the configuration's folder. The
// texts of sec-protocol, cipher-list and ciphersuites are judged by tls, not here.
struct TlsProfileConfig {
  std::string name;
  core::ConfigPlace at;
  std::string certificate;      // PEM file: leaf, then intermediates; may hold the key.
  std::string certificate_key;  // Empty: in `certificate`.
  std::string trusted_ca;       // File or directory; empty: nobody is trusted.
  std::string sec_protocol;     // "", "SSLv23", "TLSv12", "TLSv13"
  std::string cipher_list;      // TLS 1.2 suites; "" = the library's safe default.
  std::string ciphersuites;     // TLS 1.3 suites; likewise.
  bool use_email_as_sip = false;
  bool cn_identity = true;
  bool resumption = true;

  // Where to point when one of them is at fault; the table where the key is absent.
  core::ConfigPlace certificate_at;
  core::ConfigPlace certificate_key_at;
  core::ConfigPlace trusted_ca_at;
  core::ConfigPlace sec_protocol_at;
  core::ConfigPlace cipher_list_at;
  core::ConfigPlace ciphersuites_at;

  friend bool operator==(const TlsProfileConfig&, const TlsProfileConfig&) = default;
};

// Reads every [tls.NAME] in file order. `folder` is where relative paths start.
std::vector<TlsProfileConfig> ReadTlsProfiles(core::ConfigTable& root, const std::string& folder);

}  // namespace sallyport::sip
