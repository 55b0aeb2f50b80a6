// Distinguished names compared by value, not by spelling (RFC 5280 §7.1): a name that an operator
// wrote (RFC 4514) against the subject that a certificate encodes.
//   written:  "CN = edge.example, OU=SIP + L=Bonn, O=Example\, Inc., C=DE"
// - Attribute types are short names (CN, O, OU, C, L, ST, DC, STREET, UID, emailAddress, ...) in
// any
//   case, or dotted OIDs. A short name that nobody knows is an error, not a mismatch.
// - Values are compared without regard to case (ASCII), to spaces at the ends and to repeated
//   spaces, whatever string type encodes them.
// - RDNs are compared in order; the text begins with the last one of the encoding (RFC 4514 §2.1).
//   Inside an RDN ("+") order means nothing. All must be there on both sides.
// - "\," "\2C" and "#hex" are understood; quoted values and ";" (RFC 2253) are not: errors.
// Pure; any thread. Allocates: a name is read when the configuration is, or a connection opens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::sip {

class DistinguishedName {
 public:
  DistinguishedName() = default;  // The empty one.

  // The error names the place and the remedy.
  [[nodiscard]] static absl::StatusOr<DistinguishedName> Parse(std::string_view text);
  // An X.501 Name in DER, as PeerIdentity::subject_der.
  [[nodiscard]] static absl::StatusOr<DistinguishedName> Decode(std::string_view der);

  bool empty() const { return relative_names_.empty(); }
  friend bool operator==(const DistinguishedName&, const DistinguishedName&) = default;

 private:
  struct Attribute {
    std::string type;   // The OID's content octets.
    std::string value;  // A string in comparison form; or anything else as encoded.
    bool is_string = true;
    friend auto operator<=>(const Attribute&, const Attribute&) = default;
  };
  using RelativeName = std::vector<Attribute>;  // Sorted.

  class Parser;
  static bool DecodeAttribute(std::string_view der, Attribute& attribute);
  static bool SetValue(std::string_view der, Attribute& attribute);
  static bool DecodeRelativeName(std::string_view der, RelativeName& name);

  std::vector<RelativeName> relative_names_;  // In the order of the encoding.
};

}  // namespace sallyport::sip
