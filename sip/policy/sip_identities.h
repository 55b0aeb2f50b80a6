// The SIP identities that a certificate proves (RFC 5922 §7.1): domains ("a.example") and users
// ("alice@a.example"). A domain identity covers every user of exactly that domain, no subdomain; a
// user identity covers that URI alone. Immutable and comparison-ready: hosts are lower case without
// trailing dot, user parts are unescaped. Memory:  one allocation; an object is 16 bytes. Moved,
// not copied: a connection owns its own. Threads: built by whoever has the certificate, then read
// by one shard or by many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tls/peer_identity.h"

namespace sallyport::sip {

struct IdentityOptions {
  bool cn_identity = true;  // The CN counts where there is no subjectAltName extension at all.
  bool use_email_as_sip = false;  // rfc822Name alice@a.example proves sip:alice@a.example.
};

struct UserIdentity {
  std::string_view user;  // Unescaped; case-sensitive (RFC 3261 §19.1.4).
  std::string_view host;
};

class SipIdentities {
 public:
  // Proves nothing.
  SipIdentities() = default;
  SipIdentities(SipIdentities&&) noexcept = default;
  SipIdentities& operator=(SipIdentities&&) noexcept = default;
  SipIdentities(const SipIdentities&) = delete;
  SipIdentities& operator=(const SipIdentities&) = delete;

  struct User {
    std::string user;  // Unescaped.
    std::string host;
  };
  // Hosts in the form that NormalDnsName gives; repetitions are dropped.
  SipIdentities(std::vector<std::string> domains, std::vector<User> users);

  bool empty() const { return domains_size_ == 0 && users_size_ == 0; }
  // In an order of their own, the same for the same names: shorter hosts first.
  size_t domains_size() const { return domains_size_; }
  size_t users_size() const { return users_size_; }
  std::string_view domain(size_t index) const;
  UserIdentity user(size_t index) const;

  // `host` in any case and without trailing dot, as Uri::host is. Whole names only, no wildcard
  // (RFC 5922 §7.2). Cost: logarithmic in the number of identities; no allocation.
  bool CoversDomain(std::string_view host) const;
  // `escaped_user` as it stands in the URI; it is unescaped while it is compared.
  bool CoversUser(std::string_view escaped_user, std::string_view host) const;

  // "sip:a.example, sip:alice@a.example", or "none": the list of identities found, for log lines
  // and `explain`. At most `identities_max`, then how many more. Bytes outside printable ASCII are
  // escaped.
  std::string List(size_t identities_max = 20) const;

 private:
  struct Entry {
    uint32_t host_offset;
    uint32_t user_offset;
    uint16_t host_bytes;
    uint16_t user_bytes;  // 0 for a domain.
  };

  std::string_view Host(const Entry& entry) const {
    return {storage_.get() + entry.host_offset, entry.host_bytes};
  }
  std::string_view UserPart(const Entry& entry) const {
    return {storage_.get() + entry.user_offset, entry.user_bytes};
  }
  Entry entry(size_t index) const;
  void Store(size_t index, const User& identity, size_t& used);

  std::unique_ptr<char[]>
      storage_;  // Entries (domains, then users; each sorted), then their texts.
  uint16_t domains_size_ = 0;
  uint16_t users_size_ = 0;
};

// RFC 5922 §7.1 in full:
// - URI entries of scheme sip (any case) without userinfo give their host; parameters and port are
// ignored.
// - URI entries of scheme sip with userinfo give that user identity and never a domain; with a
// password they give
//   nothing. Other schemes, sips included, and whatever is not a valid SIP URI give nothing.
// - DNS entries give a domain only if no URI entry gave one.
// - The CN (the last one) gives a domain only without any subjectAltName extension, only as a DNS
// name of two labels or
//   more (a device name such as "phone-7" is no domain), and only if options.cn_identity.
// - IP literals, wildcards, escaped hosts, empty labels: nothing.
SipIdentities DeriveSipIdentities(const tls::PeerIdentity& certificate,
                                  const IdentityOptions& options);

// `text` as a DNS name in comparison form: lower case, one trailing dot stripped. Empty if it is no
// host name as ClassifyHost (sip/message/host.h) reads it, so certificate and message are held to
// one grammar.
std::string NormalDnsName(std::string_view text);

}  // namespace sallyport::sip
