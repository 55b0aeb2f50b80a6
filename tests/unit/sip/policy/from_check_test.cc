#include "sip/policy/from_check.h"

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sip/message/message_parser.h"
#include "sip/message/name_addr.h"
#include "tls/peer_identity.h"

namespace sallyport::sip {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

FromVerdict Check(const SipIdentities& identities, std::string_view uri_text) {
  Uri uri;
  EXPECT_EQ(ParseUri(uri_text, uri), UriOutcome::kOk) << uri_text;
  const FromVerdict verdict = CheckFrom(&identities, uri);
  EXPECT_EQ(ExplainFrom(&identities, uri).verdict, verdict) << uri_text;
  return verdict;
}

TEST(FromCheckTest, DomainIdentityCoversEveryUserOfThatDomain) {
  const SipIdentities identities({"a.example"}, {});
  EXPECT_EQ(Check(identities, "sip:alice@a.example"), FromVerdict::kCoveredByDomain);
  EXPECT_EQ(Check(identities, "sips:alice@A.EXAMPLE."), FromVerdict::kCoveredByDomain);
  EXPECT_EQ(Check(identities, "sip:a.example"), FromVerdict::kCoveredByDomain);
  EXPECT_EQ(Check(identities, "sip:alice@a.example:5061;transport=tls"),
            FromVerdict::kCoveredByDomain);
  EXPECT_EQ(Check(identities, "sip:alice@sub.a.example"), FromVerdict::kNotCovered);
  EXPECT_EQ(Check(identities, "sip:alice@b.example;maddr=a.example"), FromVerdict::kNotCovered);
  EXPECT_EQ(Check(identities, "sip:a.example@b.example"), FromVerdict::kNotCovered);
}

TEST(FromCheckTest, UserIdentityCoversThatUserAlone) {
  const SipIdentities identities({}, {{"alice", "a.example"}});
  EXPECT_EQ(Check(identities, "sip:alice@a.example"), FromVerdict::kCoveredByUser);
  EXPECT_EQ(Check(identities, "sip:%61lice@a.example;user=phone"), FromVerdict::kCoveredByUser);
  EXPECT_EQ(Check(identities, "sip:bob@a.example"), FromVerdict::kNotCovered);
  EXPECT_EQ(Check(identities, "sip:Alice@a.example"), FromVerdict::kNotCovered);
  EXPECT_EQ(Check(identities, "sip:a.example"), FromVerdict::kNotCovered);
  EXPECT_EQ(Check(identities, "sip:alice@b.example"), FromVerdict::kNotCovered);
}

// RFC 3261 §19.1.4: a URI with a password equals none without, so it is not that user's. Where the
// whole domain is the peer's, so is whatever stands in front of it.
TEST(FromCheckTest, Rfc3261_19_1_4_WithAPasswordItIsNotThatUser) {
  const SipIdentities alice({}, {{"alice", "a.example"}, {"alice:secret", "a.example"}});
  const SipIdentities domain({"a.example"}, {{"alice", "a.example"}});
  for (const std::string_view uri :
       {"sip:alice:secret@a.example", "sip:alice:@a.example", "sips:alice:secret@a.example",
        "sip:%61lice:%73ecret@a.example;user=phone", "sip:alice:alice@a.example:5061"}) {
    EXPECT_EQ(Check(alice, uri), FromVerdict::kNotCovered) << uri;
    EXPECT_EQ(Check(domain, uri), FromVerdict::kCoveredByDomain) << uri;
  }
  // An escaped colon is part of the user, and no password.
  EXPECT_EQ(Check(alice, "sip:alice%3Asecret@a.example"), FromVerdict::kCoveredByUser);
  EXPECT_EQ(Check(domain, "sip:mallory:secret@b.example"), FromVerdict::kNotCovered);
}

TEST(FromCheckTest, WhatNamesNoDomain) {
  const SipIdentities identities({"a.example"}, {});
  for (const std::string_view uri :
       {"tel:+15551234567", "tel:5551;phone-context=a.example", "mailto:alice@a.example",
        "sipx:alice@a.example", "xsip:alice@a.example", "sip:alice@192.0.2.1",
        "sip:alice@[2001:db8::1]", "urn:service:sos"}) {
    EXPECT_EQ(Check(identities, uri), FromVerdict::kNamesNoDomain) << uri;
  }
}

TEST(FromCheckTest, EmptyIdentitiesCoverNothing) {
  EXPECT_EQ(Check(SipIdentities(), "sip:alice@a.example"), FromVerdict::kNotCovered);
  EXPECT_EQ(Check(SipIdentities(), "sip:a.example"), FromVerdict::kNotCovered);
}

TEST(FromCheckTest, NoIdentityIsItsOwnVerdict) {
  Uri uri;
  ASSERT_EQ(ParseUri("sip:alice@a.example", uri), UriOutcome::kOk);
  EXPECT_EQ(CheckFrom(nullptr, uri), FromVerdict::kNoIdentity);
  EXPECT_EQ(ExplainFrom(nullptr, uri).verdict, FromVerdict::kNoIdentity);
  // A URI that nobody parsed names nothing.
  const SipIdentities identities({"a.example"}, {});
  EXPECT_EQ(CheckFrom(&identities, Uri()), FromVerdict::kNamesNoDomain);
}

TEST(FromCheckTest, OnlyCoveredIsCovered) {
  for (int verdict = 0; verdict <= static_cast<int>(FromVerdict::kMalformed); ++verdict) {
    EXPECT_EQ(IsCovered(static_cast<FromVerdict>(verdict)),
              verdict <= static_cast<int>(FromVerdict::kCoveredByUser));
    EXPECT_FALSE(VerdictText(static_cast<FromVerdict>(verdict)).empty());
  }
}

TEST(FromCheckTest, ExplanationNamesTheRuleAndWhatWasFound) {
  const SipIdentities identities({"a.example"}, {{"carol", "c.example"}});
  Uri uri;
  ASSERT_EQ(ParseUri("sip:alice@b.example", uri), UriOutcome::kOk);
  const FromExplanation explanation = ExplainFrom(&identities, uri);
  EXPECT_EQ(explanation.verdict, FromVerdict::kNotCovered);
  EXPECT_THAT(explanation.steps, Contains(HasSubstr("sip:a.example, sip:carol@c.example")));
  EXPECT_THAT(explanation.steps,
              Contains(HasSubstr("\"b.example\" is none of the domain identities")));
  ASSERT_EQ(ParseUri("sip:carol:secret@c.example", uri), UriOutcome::kOk);
  const FromExplanation password = ExplainFrom(&identities, uri);
  EXPECT_EQ(password.verdict, FromVerdict::kNotCovered);
  EXPECT_THAT(password.steps, Contains(HasSubstr("a password makes it another URI")));
}

// --- identity-bypass.tsv: the ways to be taken for somebody else
// -----------------------------------

std::string Unescaped(std::string_view raw) {
  std::string text;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      text += raw[i];
      continue;
    }
    const char code = raw[++i];
    if (code == 'x') {
      text += static_cast<char>(std::stoi(std::string(raw.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      text += code == 'r'   ? '\r'
              : code == 'n' ? '\n'
              : code == 't' ? '\t'
              : code == '0' ? '\0'
                            : code;
    }
  }
  return text;
}

// {repeat:N:text}; inside a row there is one at most.
std::string Expanded(std::string_view raw) {
  const size_t begin = raw.find("{repeat:");
  if (begin == std::string_view::npos) return Unescaped(raw);
  const size_t count_end = raw.find(':', begin + 8);
  const size_t end = raw.find('}', count_end);
  const int count = std::stoi(std::string(raw.substr(begin + 8, count_end - begin - 8)));
  const std::string piece = Unescaped(raw.substr(count_end + 1, end - count_end - 1));
  std::string text = Unescaped(raw.substr(0, begin));
  for (int i = 0; i < count; ++i) text += piece;
  return text + Unescaped(raw.substr(end + 1));
}

// "URI:sip:a.example, DNS:b.example" as the facts of a certificate.
SipIdentities IdentitiesOf(std::string_view column) {
  std::vector<tls::CertificateName> names;
  for (const absl::string_view entry :
       absl::StrSplit(absl::string_view(column.data(), column.size()), ", ")) {
    const std::string_view text(entry.data(), entry.size());
    if (text.starts_with("URI:")) names.push_back({tls::NameType::kUri, text.substr(4)});
    if (text.starts_with("DNS:")) names.push_back({tls::NameType::kDns, text.substr(4)});
  }
  EXPECT_FALSE(names.empty()) << column;
  return DeriveSipIdentities(*tls::PeerIdentity::Create({.has_subject_alt_name = true}, {}, names),
                             {});
}

// What the whole reading says: the parser's refusal, or the check's.
std::string Verdict(const std::string& from_lines, const SipIdentities& identities) {
  const std::string wire =
      "OPTIONS sip:b.example SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nMax-Forwards: "
      "70\r\n" +
      from_lines +
      "\r\nTo: <sip:b.example>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
  MessageView view;
  if (ParseMessage(wire, Framing::kStream, view) != ParseOutcome::kOk) return "reject-400";
  return IsCovered(CheckFrom(&identities, view.from().uri)) ? "accept" : "reject-403";
}

struct BypassRow {
  std::string id, category, raw, identities, expected;
};

std::vector<BypassRow> BypassRows() {
  std::ifstream file(std::string(SALLYPORT_TEST_CORPUS) + "/identity-bypass.tsv");
  EXPECT_TRUE(file.is_open());
  std::vector<BypassRow> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::vector<std::string> cells = absl::StrSplit(line, '\t');
    EXPECT_GE(cells.size(), 5u) << line;
    rows.push_back({cells[0], cells[1], cells[2], cells[3], cells[4]});
  }
  return rows;
}

// Rows of these categories are one From line and one certificate, so the pure functions decide them
// alone. (The size limit of IB-host-35 is the framer's; the whole product answers every row in the
// integration tests.)
TEST(FromCheckTest, EveryBypassRowOfOneFromLineGetsItsVerdict) {
  std::map<std::string, int> judged;
  for (const BypassRow& row : BypassRows()) {
    const bool one_line = row.category == "baseline" || row.category == "mismatch" ||
                          row.category == "userinfo" || row.category == "host" ||
                          row.category == "uri-params" || row.category == "scheme" ||
                          row.category == "quoting";
    if (!one_line || row.id == "IB-host-35") continue;
    EXPECT_EQ(Verdict(Expanded(row.raw), IdentitiesOf(row.identities)), row.expected)
        << row.id << " " << row.raw;
    ++judged[row.category];
  }
  EXPECT_EQ(judged.size(), 7u);
  int all = 0;
  for (const auto& [category, count] : judged) all += count;
  EXPECT_GE(all, 75);
}

// Of `certificate`, the rows that the names alone decide; the others are about chains, CRLs, EKU,
// mappings or sessions.
TEST(FromCheckTest, EveryBypassRowOfCertificateNamesGetsItsVerdict) {
  int judged = 0;
  for (const BypassRow& row : BypassRows()) {
    const bool names_only = row.category == "certificate" &&
                            row.raw.find(" (") == std::string::npos &&
                            row.identities.find("CN=") == std::string::npos &&
                            row.identities.find("under a CA") == std::string::npos &&
                            row.identities.find("EKU") == std::string::npos &&
                            row.identities.find("\\x00") == std::string::npos;
    if (!names_only) continue;
    EXPECT_EQ(Verdict(Expanded(row.raw), IdentitiesOf(Expanded(row.identities))), row.expected)
        << row.id;
    ++judged;
  }
  EXPECT_GE(judged, 10);
}

}  // namespace
}  // namespace sallyport::sip
