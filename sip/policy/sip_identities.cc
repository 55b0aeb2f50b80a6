#include "sip/policy/sip_identities.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "sip/message/host.h"
#include "sip/message/uri.h"

namespace sallyport::sip {
namespace {

uint64_t LoadEight(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// ASCII upper case to lower case in eight bytes at once; every other byte, also above 0x7f, stays
// what it is.
constexpr uint64_t LowerEight(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101u;
  const uint64_t low_bits = word & (kEach * 0x7f);
  const uint64_t at_least_a = low_bits + kEach * (0x80 - 'A');
  const uint64_t above_z = low_bits + kEach * (0x7f - 'Z');
  const uint64_t is_upper = (at_least_a ^ above_z) & ~word & (kEach * 0x80);
  return word | is_upper >> 2;
}
static_assert(LowerEight(0x405a41005b2d61c1u) == 0x407a61005b2d61c1u);

char Lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
}

// A total order over hosts, the shorter first, so that most strangers differ in one integer.
// `stored` is lower case, `given` is not. Which order it is does not matter as long as sorting and
// searching use the same.
int CompareHosts(std::string_view stored, std::string_view given) {
  if (stored.size() != given.size()) return stored.size() < given.size() ? -1 : 1;
  const size_t size = stored.size();
  if (size < 8) {
    for (size_t i = 0; i < size; ++i) {
      const char lower = Lower(given[i]);
      if (stored[i] != lower) return stored[i] < lower ? -1 : 1;
    }
    return 0;
  }
  for (size_t at = 0;; at = std::min(at + 8, size - 8)) {  // The last step overlaps the one before.
    const uint64_t a = LoadEight(stored.data() + at);
    const uint64_t b = LowerEight(LoadEight(given.data() + at));
    if (a != b) return a < b ? -1 : 1;
    if (at == size - 8) return 0;
  }
}

int HexDigit(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const char lower = Lower(byte);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The octet that begins at `position`, which moves behind it (RFC 3261 §19.1.4: %HH is the octet).
uint8_t NextOctet(std::string_view escaped, size_t& position) {
  const char first = escaped[position++];
  if (first != '%' || escaped.size() - position < 2) return static_cast<uint8_t>(first);
  const int high = HexDigit(escaped[position]);
  const int low = HexDigit(escaped[position + 1]);
  if (high < 0 || low < 0) return static_cast<uint8_t>(first);
  position += 2;
  return static_cast<uint8_t>(high * 16 + low);
}

int CompareUsers(std::string_view stored, std::string_view escaped) {
  size_t position = 0;
  for (const char byte : stored) {
    if (position == escaped.size()) return 1;
    const auto mine = static_cast<uint8_t>(byte);
    const uint8_t theirs = NextOctet(escaped, position);
    if (mine != theirs) return mine < theirs ? -1 : 1;
  }
  return position == escaped.size() ? 0 : -1;
}

int CompareTexts(std::string_view a, std::string_view b) { return a.compare(b); }

std::string Unescaped(std::string_view escaped) {
  std::string text(escaped.size(), '\0');
  text.resize(Unescape(escaped, text));
  return text;
}

// Sorted, each once. Identities are only ever compared in stored form here, so the user part is not
// unescaped again.
void SortIdentities(std::vector<SipIdentities::User>& identities) {
  const auto compare = [](const SipIdentities::User& a, const SipIdentities::User& b) {
    const int host = CompareHosts(a.host, b.host);
    return host != 0 ? host : CompareTexts(a.user, b.user);
  };
  std::sort(identities.begin(), identities.end(),
            [&compare](const auto& a, const auto& b) { return compare(a, b) < 0; });
  const auto end =
      std::unique(identities.begin(), identities.end(),
                  [&compare](const auto& a, const auto& b) { return compare(a, b) == 0; });
  identities.erase(end, identities.end());
}

// The index in [begin, end) for which `compare(index)` is 0; `end` if there is none.
template <typename Compare>
size_t Find(size_t begin, size_t end, Compare compare) {
  const size_t none = end;
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    const int order = compare(middle);
    if (order == 0) return middle;
    if (order < 0) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return none;
}

void AppendPrintable(std::string_view text, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char byte : text) {
    const auto code = static_cast<uint8_t>(byte);
    if (code > 0x20 && code < 0x7f) {
      out.push_back(byte);
    } else {
      out.push_back('%');
      out.push_back(kDigits[code >> 4]);
      out.push_back(kDigits[code & 15]);
    }
  }
}

// RFC 5321 §4.1.2 Dot-string. A quoted local part is no SIP user that anybody writes.
bool IsDotAtom(std::string_view text) {
  constexpr std::string_view kAtomPunctuation = "!#$%&'*+-/=?^_`{|}~";
  char previous = '.';
  for (const char byte : text) {
    const bool letter_or_digit =
        (Lower(byte) >= 'a' && Lower(byte) <= 'z') || (byte >= '0' && byte <= '9');
    const bool atom = letter_or_digit || kAtomPunctuation.find(byte) != std::string_view::npos;
    if (!atom && (byte != '.' || previous == '.')) return false;
    previous = byte;
  }
  return previous != '.';
}

// What one certificate gives, before DNS and CN are weighed against each other.
struct Candidates {
  std::vector<std::string> uri_domains;
  std::vector<std::string> dns_domains;
  std::vector<SipIdentities::User> users;
  std::string_view common_name;  // The last one: the most specific.
};

void AddUri(std::string_view text, Candidates& found) {
  Uri uri;
  if (ParseUri(text, uri) != UriOutcome::kOk || uri.scheme != Uri::Scheme::kSip) return;
  if (uri.host_is_ip || uri.has_password) return;
  std::string host = NormalDnsName(uri.host);
  if (host.empty()) return;
  if (uri.user.empty()) {
    found.uri_domains.push_back(std::move(host));
  } else {
    found.users.push_back({Unescaped(uri.user), std::move(host)});
  }
}

void AddEmail(std::string_view text, Candidates& found) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos || !IsDotAtom(text.substr(0, at))) return;
  std::string host = NormalDnsName(text.substr(at + 1));
  if (!host.empty()) found.users.push_back({std::string(text.substr(0, at)), std::move(host)});
}

Candidates Collect(const tls::PeerIdentity& certificate, const IdentityOptions& options) {
  Candidates found;
  for (size_t i = 0; i < certificate.names_size(); ++i) {
    const tls::CertificateName name = certificate.name(i);
    switch (name.type) {
      case tls::NameType::kCommonName:
        found.common_name = name.text;
        break;
      case tls::NameType::kDns:
        if (std::string host = NormalDnsName(name.text); !host.empty())
          found.dns_domains.push_back(std::move(host));
        break;
      case tls::NameType::kUri:
        AddUri(name.text, found);
        break;
      case tls::NameType::kEmail:
        if (options.use_email_as_sip) AddEmail(name.text, found);
        break;
      case tls::NameType::kIpAddress:
        break;
    }
  }
  return found;
}

}  // namespace

SipIdentities::SipIdentities(std::vector<std::string> domains, std::vector<User> users) {
  std::vector<User> all;
  all.reserve(domains.size());
  for (std::string& domain : domains) all.push_back({{}, std::move(domain)});
  SortIdentities(all);
  SortIdentities(users);
  CHECK(all.size() <= UINT16_MAX && users.size() <= UINT16_MAX);
  domains_size_ = static_cast<uint16_t>(all.size());
  users_size_ = static_cast<uint16_t>(users.size());
  std::move(users.begin(), users.end(), std::back_inserter(all));
  if (all.empty()) return;

  size_t bytes = all.size() * sizeof(Entry);
  for (const User& identity : all) {
    CHECK(identity.host.size() <= UINT16_MAX && identity.user.size() <= UINT16_MAX);
    bytes += identity.host.size() + identity.user.size();
  }
  CHECK(bytes <= UINT32_MAX);
  storage_ = std::make_unique<char[]>(bytes);
  size_t used = all.size() * sizeof(Entry);
  for (size_t i = 0; i < all.size(); ++i) Store(i, all[i], used);
}

void SipIdentities::Store(size_t index, const User& identity, size_t& used) {
  const Entry entry = {.host_offset = static_cast<uint32_t>(used),
                       .user_offset = static_cast<uint32_t>(used + identity.host.size()),
                       .host_bytes = static_cast<uint16_t>(identity.host.size()),
                       .user_bytes = static_cast<uint16_t>(identity.user.size())};
  std::memcpy(storage_.get() + index * sizeof(Entry), &entry, sizeof(entry));
  for (const std::string* text : {&identity.host, &identity.user}) {
    std::copy(text->begin(), text->end(), storage_.get() + used);
    used += text->size();
  }
}

SipIdentities::Entry SipIdentities::entry(size_t index) const {
  DCHECK(index < size_t{domains_size_} + users_size_);
  Entry entry;
  std::memcpy(&entry, storage_.get() + index * sizeof(Entry), sizeof(entry));
  return entry;
}

std::string_view SipIdentities::domain(size_t index) const { return Host(entry(index)); }

UserIdentity SipIdentities::user(size_t index) const {
  const Entry found = entry(domains_size_ + index);
  return {UserPart(found), Host(found)};
}

bool SipIdentities::CoversDomain(std::string_view host) const {
  const size_t end = domains_size_;
  return Find(0, end, [&](size_t index) { return CompareHosts(Host(entry(index)), host); }) != end;
}

bool SipIdentities::CoversUser(std::string_view escaped_user, std::string_view host) const {
  const size_t end = size_t{domains_size_} + users_size_;
  const auto compare = [&](size_t index) {
    const Entry candidate = entry(index);
    const int order = CompareHosts(Host(candidate), host);
    return order != 0 ? order : CompareUsers(UserPart(candidate), escaped_user);
  };
  return !escaped_user.empty() && Find(domains_size_, end, compare) != end;
}

std::string SipIdentities::List(size_t identities_max) const {
  if (empty()) return "none";
  const size_t size = size_t{domains_size_} + users_size_;
  const size_t shown = std::min(size, identities_max);
  std::string list;
  for (size_t i = 0; i < shown; ++i) {
    const Entry identity = entry(i);
    if (i > 0) list += ", ";
    list += "sip:";
    if (identity.user_bytes > 0) {
      AppendPrintable(UserPart(identity), list);
      list.push_back('@');
    }
    list += Host(identity);
  }
  if (shown < size) list += (shown > 0 ? " and " : "") + std::to_string(size - shown) + " more";
  return list;
}

SipIdentities DeriveSipIdentities(const tls::PeerIdentity& certificate,
                                  const IdentityOptions& options) {
  Candidates found = Collect(certificate, options);
  std::vector<std::string> domains = std::move(found.uri_domains);
  if (domains.empty()) domains = std::move(found.dns_domains);
  if (!certificate.facts().has_subject_alt_name && options.cn_identity) {
    std::string name = NormalDnsName(found.common_name);
    if (name.find('.') != std::string::npos) domains.push_back(std::move(name));
  }
  return SipIdentities(std::move(domains), std::move(found.users));
}

std::string NormalDnsName(std::string_view text) {
  if (ClassifyHost(text) != HostKind::kName) return {};
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), Lower);
  return name;
}

}  // namespace sallyport::sip
