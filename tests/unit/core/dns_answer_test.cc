#include "core/dns_answer.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/dns_message.h"
#include "tests/support/guarded_copy.h"

namespace sallyport::core {
namespace {

using test::DnsMessage;
using test::GuardedCopy;

DnsName Name(std::string_view text) { return *DnsName::FromText(text); }

DnsAnswer ReadText(std::string_view text, DnsType type, std::string_view name) {
  const GuardedCopy copy(text);
  return ReadDnsAnswer(std::as_bytes(std::span(copy.view().data(), copy.view().size())), type,
                       Name(name));
}

DnsAnswer Read(const DnsMessage& message, DnsType type, std::string_view name) {
  return ReadText(message.text(), type, name);
}

std::vector<std::string> Hosts(const DnsAnswer& answer) {
  std::vector<std::string> hosts;
  for (const DnsRecord& record : answer.records()) {
    hosts.push_back(std::get<SocketAddress>(record).HostToString());
  }
  return hosts;
}

TEST(DnsAnswerTest, AddressesComeWithTheShortestTtl) {
  DnsMessage message("example.com", DnsType::kA);
  message.A("example.com", 300, {192, 0, 2, 1});
  message.A("example.com", 60, {192, 0, 2, 2});
  const DnsAnswer answer = Read(message, DnsType::kA, "example.com");
  EXPECT_EQ(answer.status(), DnsStatus::kOk);
  EXPECT_EQ(answer.ttl(), absl::Seconds(60));
  EXPECT_EQ(Hosts(answer), (std::vector<std::string>{"192.0.2.1", "192.0.2.2"}));
}

TEST(DnsAnswerTest, Ipv6AddressesAreRead) {
  DnsMessage message("example.com", DnsType::kAaaa);
  message.Aaaa("example.com", 300, "2001:db8::7");
  EXPECT_EQ(Hosts(Read(message, DnsType::kAaaa, "example.com")),
            std::vector<std::string>{"2001:db8::7"});
}

TEST(DnsAnswerTest, SrvRecordsCarryTheirFields) {
  DnsMessage message("_sips._tcp.example.com", DnsType::kSrv);
  message.Srv("_sips._tcp.example.com", 120, 10, 60, 5061, "Edge.Example.com");
  message.Srv("_sips._tcp.example.com", 120, 20, 0, 5062, ".");
  const DnsAnswer answer = Read(message, DnsType::kSrv, "_sips._tcp.example.com");
  ASSERT_EQ(answer.records().size(), 2u);
  const DnsSrv& first = std::get<DnsSrv>(answer.records()[0]);
  EXPECT_EQ(first.priority, 10);
  EXPECT_EQ(first.weight, 60);
  EXPECT_EQ(first.port, 5061);
  EXPECT_EQ(answer.text(first.target), "edge.example.com");
  EXPECT_EQ(answer.text(std::get<DnsSrv>(answer.records()[1]).target), "");
}

TEST(DnsAnswerTest, NaptrRecordsCarryTheirFields) {
  DnsMessage message("example.com", DnsType::kNaptr);
  message.Naptr("example.com", 90, 10, 50, "S", "SIPS+D2T", "", "_sips._tcp.example.com");
  message.Naptr("example.com", 90, 20, 60, "u", "E2U+sip", "!^.*$!sip:x@example.com!", ".");
  message.Naptr("example.com", 90, 30, 70, "", "SIP+D2U", "", "other.example.com");
  const DnsAnswer answer = Read(message, DnsType::kNaptr, "example.com");
  ASSERT_EQ(answer.records().size(), 3u);
  const DnsNaptr& first = std::get<DnsNaptr>(answer.records()[0]);
  EXPECT_EQ(first.order, 10);
  EXPECT_EQ(first.preference, 50);
  EXPECT_EQ(first.flag, 's');
  EXPECT_FALSE(first.has_regexp);
  EXPECT_EQ(answer.text(first.services), "SIPS+D2T");
  EXPECT_EQ(answer.text(first.replacement), "_sips._tcp.example.com");
  EXPECT_TRUE(std::get<DnsNaptr>(answer.records()[1]).has_regexp);
  EXPECT_EQ(std::get<DnsNaptr>(answer.records()[2]).flag, 0);
}

TEST(DnsAnswerTest, NamesAreComparedWithoutCase) {
  DnsMessage message("EXAMPLE.com", DnsType::kA);
  message.A("example.COM", 300, {192, 0, 2, 1});
  EXPECT_EQ(Read(message, DnsType::kA, "Example.Com").status(), DnsStatus::kOk);
}

TEST(DnsAnswerTest, CompressedNamesAreFollowed) {
  DnsMessage message("example.com", DnsType::kSrv);
  message.Record(DnsMessage::Pointer(DnsMessage::kQuestionBegin), 33, 300,
                 DnsMessage::Number16(1) + DnsMessage::Number16(2) + DnsMessage::Number16(5060) +
                     std::string("\1a", 2) + DnsMessage::Pointer(DnsMessage::kQuestionBegin));
  const DnsAnswer answer = Read(message, DnsType::kSrv, "example.com");
  ASSERT_EQ(answer.records().size(), 1u);
  EXPECT_EQ(answer.text(std::get<DnsSrv>(answer.records()[0]).target), "a.example.com");
}

TEST(DnsAnswerTest, AliasesAreFollowedInAnyOrder) {
  DnsMessage message("www.example.com", DnsType::kA);
  message.A("c.example.net", 300, {192, 0, 2, 1});
  message.Cname("b.example.net", 40, "c.example.net");
  message.Cname("www.example.com", 50, "B.example.net");
  const DnsAnswer answer = Read(message, DnsType::kA, "www.example.com");
  EXPECT_EQ(answer.status(), DnsStatus::kOk);
  EXPECT_EQ(answer.ttl(), absl::Seconds(40));
}

TEST(DnsAnswerTest, AliasLoopsEnd) {
  DnsMessage message("a.example", DnsType::kA);
  message.Cname("a.example", 50, "b.example");
  message.Cname("b.example", 50, "a.example");
  EXPECT_EQ(Read(message, DnsType::kA, "a.example").status(), DnsStatus::kMalformed);
}

TEST(DnsAnswerTest, AliasChainsAreBounded) {
  for (const int hops : {8, 9}) {
    DnsMessage message("n0", DnsType::kA);
    for (int hop = 0; hop < hops; ++hop) {
      message.Cname("n" + std::to_string(hop), 50, "n" + std::to_string(hop + 1));
    }
    message.A("n" + std::to_string(hops), 50, {192, 0, 2, 1});
    EXPECT_EQ(Read(message, DnsType::kA, "n0").status(),
              hops == 8 ? DnsStatus::kOk : DnsStatus::kMalformed);
  }
}

TEST(DnsAnswerTest, AnAliasThatLeadsNowhereIsNoData) {
  DnsMessage message("www.example.com", DnsType::kA);
  message.Cname("www.example.com", 50, "gone.example.net");
  message.Soa("example.net", 600, 20);
  const DnsAnswer answer = Read(message, DnsType::kA, "www.example.com");
  EXPECT_EQ(answer.status(), DnsStatus::kNoData);
  EXPECT_EQ(answer.ttl(), absl::Seconds(20));
}

// Goal: nobody speaks about what was not asked. Method: records of another owner, class or type in
// the answer, and glue in the additional section.
TEST(DnsAnswerTest, OnlyWhatWasAskedIsTaken) {
  DnsMessage message("example.com", DnsType::kA);
  message.A("other.example.com", 300, {192, 0, 2, 66});
  message.Record(DnsMessage::Name("example.com"), 1, 300, std::string("\xC0\x00\x02\x43", 4), 3);
  message.Aaaa("example.com", 300, "2001:db8::66");
  message.A("example.com", 300, {192, 0, 2, 1});
  message.Additional(DnsMessage::Name("example.com"), 1, 300, std::string("\xC0\x00\x02\x44", 4));
  EXPECT_EQ(Hosts(Read(message, DnsType::kA, "example.com")),
            std::vector<std::string>{"192.0.2.1"});
}

TEST(DnsAnswerTest, AnAnswerToAnotherQuestionIsMalformed) {
  DnsMessage message("example.com", DnsType::kA);
  message.A("example.com", 300, {192, 0, 2, 1});
  EXPECT_EQ(Read(message, DnsType::kA, "example.org").status(), DnsStatus::kMalformed);
  EXPECT_EQ(Read(message, DnsType::kA, "example.co").status(), DnsStatus::kMalformed);
  EXPECT_EQ(Read(message, DnsType::kA, "example").status(), DnsStatus::kMalformed);
  EXPECT_EQ(Read(message, DnsType::kA, "a.example.com").status(), DnsStatus::kMalformed);
  EXPECT_EQ(Read(message, DnsType::kAaaa, "example.com").status(), DnsStatus::kMalformed);
}

TEST(DnsAnswerTest, ResponseCodesAreTold) {
  const auto status = [](uint8_t code) {
    return Read(DnsMessage("example.com", DnsType::kA, code), DnsType::kA, "example.com").status();
  };
  EXPECT_EQ(status(0), DnsStatus::kNoData);
  EXPECT_EQ(status(1), DnsStatus::kServerFailure);
  EXPECT_EQ(status(2), DnsStatus::kServerFailure);
  EXPECT_EQ(status(3), DnsStatus::kNoName);
  EXPECT_EQ(status(5), DnsStatus::kServerFailure);
}

TEST(DnsAnswerTest, AQueryIsNoAnswer) {
  DnsMessage message("example.com", DnsType::kA);
  message.A("example.com", 300, {192, 0, 2, 1});
  message.at(2) = static_cast<char>(message.at(2) & 0x7F);
  EXPECT_EQ(Read(message, DnsType::kA, "example.com").status(), DnsStatus::kMalformed);
}

TEST(DnsAnswerTest, ATruncatedAnswerIsNotTakenInPart) {
  DnsMessage message("example.com", DnsType::kA);
  message.A("example.com", 300, {192, 0, 2, 1});
  message.Truncate();
  EXPECT_EQ(Read(message, DnsType::kA, "example.com").status(), DnsStatus::kServerFailure);
}

TEST(DnsAnswerTest, Rfc2308_5_NegativeAnswersHoldAsLongAsTheSoaSays) {
  for (const auto& [ttl, minimum] : {std::pair(600u, 20u), std::pair(20u, 600u)}) {
    DnsMessage message("gone.example.com", DnsType::kA, 3);
    message.Authority(DnsMessage::Name("example.com"), 2, 5, DnsMessage::Name("ns.example.com"));
    message.Soa("example.com", ttl, minimum);
    const DnsAnswer answer = Read(message, DnsType::kA, "gone.example.com");
    EXPECT_EQ(answer.status(), DnsStatus::kNoName);
    EXPECT_EQ(answer.ttl(), absl::Seconds(20));
  }
  EXPECT_EQ(Read(DnsMessage("example.com", DnsType::kA), DnsType::kA, "example.com").ttl(),
            absl::ZeroDuration());
}

TEST(DnsAnswerTest, Rfc2181_8_ATtlWithTheTopBitIsZero) {
  DnsMessage message("example.com", DnsType::kA);
  message.A("example.com", 0x80000001u, {192, 0, 2, 1});
  EXPECT_EQ(Read(message, DnsType::kA, "example.com").ttl(), absl::ZeroDuration());
}

TEST(DnsAnswerTest, RecordsAreBounded) {
  DnsMessage message("example.com", DnsType::kA);
  for (int index = 0; index < 600; ++index) {
    message.A("example.com", 300,
              {192, 0, static_cast<uint8_t>(index >> 8), static_cast<uint8_t>(index)});
  }
  const DnsAnswer answer = Read(message, DnsType::kA, "example.com");
  EXPECT_EQ(answer.status(), DnsStatus::kOk);
  EXPECT_EQ(answer.records().size(), DnsAnswer::kRecordsMax);
}

TEST(DnsAnswerTest, TextIsBounded) {
  DnsMessage message("example.com", DnsType::kSrv);
  const std::string label(63, 'a');
  for (int index = 0; index < 10; ++index) {
    message.Srv("example.com", 300, 1, 1, 5060, label + '.' + label + '.' + label);
  }
  const DnsAnswer answer = Read(message, DnsType::kSrv, "example.com");
  EXPECT_EQ(answer.records().size(), DnsAnswer::kTextBytesMax / (3 * 64 - 1));
}

TEST(DnsAnswerTest, ATargetThatNamesNoHostIsLeftOut) {
  DnsMessage message("example.com", DnsType::kSrv);
  message.Srv("example.com", 300, 1, 1, 5060, "a b.example.com");
  message.Srv("example.com", 300, 1, 1, 5060, "a.example.com");
  const DnsAnswer answer = Read(message, DnsType::kSrv, "example.com");
  ASSERT_EQ(answer.records().size(), 1u);
  EXPECT_EQ(answer.text(std::get<DnsSrv>(answer.records()[0]).target), "a.example.com");
}

TEST(DnsAnswerTest, RecordDataMustHaveTheirOwnLength) {
  for (const size_t size : {0u, 3u, 5u, 16u}) {
    DnsMessage message("example.com", DnsType::kA);
    message.Record(DnsMessage::Name("example.com"), 1, 300, std::string(size, '\1'));
    EXPECT_EQ(Read(message, DnsType::kA, "example.com").status(), DnsStatus::kMalformed) << size;
  }
  const std::string fields =
      DnsMessage::Number16(1) + DnsMessage::Number16(1) + DnsMessage::Number16(5060);
  for (const std::string& data :
       {fields + DnsMessage::Name("a.example") + 'x', fields, fields.substr(1),
        fields + std::string("\7exam", 5), fields + DnsMessage::Pointer(2000)}) {
    DnsMessage message("example.com", DnsType::kSrv);
    message.Record(DnsMessage::Name("example.com"), 33, 300, data);
    message.A("example.com", 300, {192, 0, 2, 1});  // Bytes behind the record.
    EXPECT_EQ(Read(message, DnsType::kSrv, "example.com").status(), DnsStatus::kMalformed) << data;
  }
}

TEST(DnsAnswerTest, PointersOnlyLeadBack) {
  const size_t owner = 12 + DnsMessage::Name("example.com").size() + 4;
  for (const size_t target : {owner, owner + 1, owner + 2, size_t{0x3FFF}}) {
    DnsMessage message("example.com", DnsType::kA);
    message.Record(DnsMessage::Pointer(target), 1, 300, std::string(4, '\1'));
    EXPECT_EQ(Read(message, DnsType::kA, "example.com").status(), DnsStatus::kMalformed) << target;
  }
}

// Goal: a chain of pointers costs a bounded time. Method: a record full of pointers, each to the
// one before, and a name that enters at the end.
TEST(DnsAnswerTest, PointerChainsAreBounded) {
  for (const int pointers : {60, 70}) {
    DnsMessage message("example.com", DnsType::kA);
    size_t at = message.text().size() + 1 + 10;
    std::string chain = DnsMessage::Pointer(DnsMessage::kQuestionBegin);
    for (int index = 1; index < pointers; ++index, at += 2) chain += DnsMessage::Pointer(at);
    message.Record(std::string(1, '\0'), 99, 300, chain);
    message.Record(DnsMessage::Pointer(at), 1, 300, std::string(4, '\1'));
    EXPECT_EQ(Read(message, DnsType::kA, "example.com").status(),
              pointers == 60 ? DnsStatus::kOk : DnsStatus::kMalformed);
  }
}

TEST(DnsAnswerTest, OddLabelTypesAreMalformed) {
  DnsMessage message("example.com", DnsType::kA);
  message.Record(std::string("\x41"
                             "a\0",
                             3),
                 1, 300, std::string(4, '\1'));
  EXPECT_EQ(Read(message, DnsType::kA, "example.com").status(), DnsStatus::kMalformed);
}

// Goal: no cut is read past its end, and none passes for the whole.
TEST(DnsAnswerTest, EveryProperPrefixIsMalformed) {
  DnsMessage message("example.com", DnsType::kNaptr);
  message.Naptr("example.com", 90, 10, 50, "s", "SIPS+D2T", "", "_sips._tcp.example.com");
  message.Cname("b.example.com", 90, "c.example.com");
  const std::string_view whole = message.text();
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_EQ(ReadText(whole.substr(0, cut), DnsType::kNaptr, "example.com").status(),
              DnsStatus::kMalformed)
        << cut;
  }
  EXPECT_EQ(ReadText(whole, DnsType::kNaptr, "example.com").status(), DnsStatus::kOk);
}

}  // namespace
}  // namespace sallyport::core
