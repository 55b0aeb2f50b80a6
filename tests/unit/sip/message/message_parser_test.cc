#include "sip/message/message_parser.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/value_list.h"
#include "tests/support/guarded_copy.h"
#include "tests/unit/sip/message/corpus.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;
using O = ParseOutcome;

// A request that parses, with any line replaced or added.
struct Draft {
  std::string start = "OPTIONS sip:b.example SIP/2.0";
  std::string via = "Via: SIP/2.0/TLS c.a.example;branch=z9hG4bK1\r\n";
  std::string max_forwards = "Max-Forwards: 70\r\n";
  std::string from = "From: <sip:alice@a.example>;tag=1\r\n";
  std::string to = "To: <sip:bob@b.example>\r\n";
  std::string call_id = "Call-ID: 1@a\r\n";
  std::string cseq = "CSeq: 1 OPTIONS\r\n";
  std::string more;
  std::string length = "Content-Length: 0\r\n";
  std::string body;

  [[nodiscard]] std::string Wire() const {
    return start + "\r\n" + via + max_forwards + from + to + call_id + cseq + more + length +
           "\r\n" + body;
  }
};

ParseOutcome Parse(const std::string& wire, Framing framing = Framing::kStream) {
  const GuardedCopy copy(wire);
  MessageView view;
  return ParseMessage(copy.view(), framing, view);
}

TEST(MessageParserTest, ReadsTheTypicalInvite) {
  const std::string wire = ReadCorpus("messages/invite_typical.sip");
  const GuardedCopy copy(wire);
  MessageView view;
  ASSERT_EQ(ParseMessage(copy.view(), Framing::kStream, view), O::kOk);
  EXPECT_TRUE(view.is_request());
  EXPECT_EQ(view.method(), Method::kInvite);
  EXPECT_EQ(view.request_uri(), "sip:+4930123456@edge.example;user=phone");
  EXPECT_EQ(view.parsed_request_uri().host, "edge.example");
  EXPECT_EQ(view.headers().size(), 16U);
  EXPECT_EQ(view.from().display, "\"Alice Adams\"");
  EXPECT_EQ(view.from().uri.user, "+4989987654");
  EXPECT_EQ(view.from().tag, "7c1fa3e9");
  EXPECT_EQ(view.to().uri.host, "edge.example");
  EXPECT_EQ(view.to().tag, "");
  EXPECT_EQ(view.call_id(), "5d41402abc4b2a76b9719d911017c592@sbc1.a.example");
  EXPECT_EQ(view.cseq().number, 1U);
  EXPECT_EQ(view.cseq().method, Method::kInvite);
  EXPECT_EQ(view.top_via().transport, "TLS");
  EXPECT_EQ(view.top_via().branch, "z9hG4bK-524287-1---3f2a9c5d7e1b");
  EXPECT_TRUE(view.top_via().has_rport);
  EXPECT_EQ(view.top_via_rest(), "");
  EXPECT_EQ(view.max_forwards(), 69);
  EXPECT_EQ(view.content_length(), 240U);
  EXPECT_EQ(view.body().size(), 240U);
  EXPECT_EQ(view.body().substr(0, 3), "v=0");
  EXPECT_EQ(std::string(view.header_block()) + std::string(view.body()), wire);
  EXPECT_EQ(view.headers_end(), view.body().data() - 2);
  EXPECT_EQ(view.First(HeaderId::kMinSe)->value, "90");
  EXPECT_EQ(view.First(HeaderId::kRoute), nullptr);
}

TEST(MessageParserTest, ReadsAResponse) {
  const std::string wire = ReadCorpus("messages/ok_200.sip");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), O::kOk);
  EXPECT_FALSE(view.is_request());
  EXPECT_EQ(view.status_code(), 200);
  EXPECT_EQ(view.reason(), "OK");
  EXPECT_EQ(view.top_via().host, "edge.example");
  EXPECT_EQ(view.top_via().port, 5070);
  ValueList rest(view.top_via_rest());
  std::string_view second;
  ASSERT_TRUE(rest.Next(second));
  EXPECT_EQ(second.substr(0, 11), "SIP/2.0/TLS");
  EXPECT_EQ(view.Count(HeaderId::kVia), 1U);
}

TEST(MessageParserTest, IndexKeepsLinesWhole) {
  Draft draft;
  draft.more = "X-A : b\r\n c\r\nx_sallyport_peer:d\r\nSubject:\r\nX-A:  e \t\r\n";
  const std::string wire = draft.Wire();
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), O::kOk);
  const HeaderField* field = view.First(HeaderId::kOther);
  ASSERT_NE(field, nullptr);
  EXPECT_EQ(field->name, "X-A");
  EXPECT_EQ(field->value, "b\r\n c");
  EXPECT_EQ(field->line(), "X-A : b\r\n c\r\n");
  field = view.NextSame(field);
  ASSERT_NE(field, nullptr);
  EXPECT_EQ(field->value, "e");
  EXPECT_EQ(view.NextSame(field), nullptr);
  EXPECT_EQ(view.Count(HeaderId::kOther), 2U);
  EXPECT_EQ(view.First(HeaderId::kSallyport)->line(), "x_sallyport_peer:d\r\n");
  EXPECT_EQ(view.First(HeaderId::kSubject)->value, "");
  // The lines and the start line are the header block: nothing is lost between them.
  std::string lines(view.header_block().data(), view.headers_begin());
  for (const HeaderField& each : view.headers()) lines += each.line();
  EXPECT_EQ(lines + "\r\n", view.header_block());
}

struct DraftCase {
  const char* what;
  std::string Draft::*part;
  std::string text;
  ParseOutcome outcome;
};

TEST(MessageParserTest, EveryRuleByItself) {
  const std::string nul("X: a\0b\r\n", 8);
  const std::string escaped_nul("X: \"a\\\0b\"\r\n", 11);
  const DraftCase cases[] = {
      // Start line.
      {"no version", &Draft::start, "OPTIONS sip:b.example", O::kBadStartLine},
      {"two SP", &Draft::start, "OPTIONS  sip:b.example SIP/2.0", O::kBadRequestUri},
      {"two SP before the version", &Draft::start, "OPTIONS sip:b.example  SIP/2.0",
       O::kBadRequestUri},
      {"SP at the end", &Draft::start, "OPTIONS sip:b.example SIP/2.0 ", O::kBadStartLine},
      {"SP at the beginning", &Draft::start, " OPTIONS sip:b.example SIP/2.0", O::kBadStartLine},
      {"HTAB", &Draft::start, "OPTIONS\tsip:b.example SIP/2.0", O::kBadStartLine},
      {"no method", &Draft::start, "sip:b.example SIP/2.0", O::kBadStartLine},
      {"no URI", &Draft::start, "OPTIONS SIP/2.0", O::kBadStartLine},
      {"empty URI", &Draft::start, "OPTIONS  SIP/2.0", O::kBadRequestUri},
      {"version in lower case", &Draft::start, "OPTIONS sip:b.example sip/2.0", O::kOk},
      {"version 7.0", &Draft::start, "OPTIONS sip:b.example SIP/7.0", O::kBadVersion},
      {"version 2.00", &Draft::start, "OPTIONS sip:b.example SIP/2.00", O::kBadVersion},
      {"version 2", &Draft::start, "OPTIONS sip:b.example SIP/2", O::kBadStartLine},
      {"HTTP", &Draft::start, "OPTIONS sip:b.example HTTP/1.1", O::kBadStartLine},
      {"brackets", &Draft::start, "OPTIONS <sip:b.example> SIP/2.0", O::kBadRequestUri},
      {"headers in the URI", &Draft::start, "OPTIONS sip:b.example?Route=x SIP/2.0",
       O::kBadRequestUri},
      {"another scheme", &Draft::start, "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", O::kOk},
      {"bare CR", &Draft::start, "OPTIONS sip:b\r.example SIP/2.0", O::kBadLineEnd},
      {"bare LF", &Draft::start, "OPTIONS sip:b.example SIP/2.0\nX: y", O::kBadLineEnd},
      // Lines.
      {"folded start line", &Draft::via, " From: x\r\nVia: SIP/2.0/TLS c.a.example\r\n",
       O::kBadHeaderLine},
      {"no colon", &Draft::more, "From <sip:bob@b.example>\r\n", O::kBadHeaderLine},
      {"no name", &Draft::more, ": x\r\n", O::kBadHeaderLine},
      {"space in the name", &Draft::more, "Fr om: x\r\n", O::kBadHeaderLine},
      {"VT before the colon", &Draft::more, "X\v: x\r\n", O::kBadHeaderLine},
      {"NBSP before the colon", &Draft::more, "X\xa0: x\r\n", O::kBadHeaderLine},
      {"SP and HTAB before the colon", &Draft::more, "X \t : x\r\n", O::kOk},
      {"bare CR in a value", &Draft::more, "X: a\rb\r\n", O::kBadLineEnd},
      {"bare LF in a value", &Draft::more, "X: a\nb\r\n", O::kBadLineEnd},
      {"LFLF", &Draft::more, "X: a\n\nFrom: <sip:bob@b.example>;tag=1\r\n", O::kBadLineEnd},
      {"CR CRLF", &Draft::more, "X: a\r\r\n", O::kBadLineEnd},
      {"NUL in a value", &Draft::more, nul, O::kBadHeaderLine},
      {"BEL in a value", &Draft::more, "X: a\ab\r\n", O::kBadHeaderLine},
      {"HTAB in a value", &Draft::more, "X: a\tb\r\n", O::kOk},
      {"NUL in a quoted-pair", &Draft::more, escaped_nul, O::kOk},
      {"CR in a quoted-pair", &Draft::more, "X: \"a\\\rb\"\r\n", O::kBadLineEnd},
      {"backslash outside quotes", &Draft::more, "X: a\\\ab\r\n", O::kBadHeaderLine},
      {"fold", &Draft::more, "X: a\r\n\tb\r\n c\r\n", O::kOk},
      {"empty continuation line", &Draft::more, "X: a\r\n \r\nY: b\r\n", O::kBadLineEnd},
      {"empty continuation line inside", &Draft::more, "X: a\r\n \t\r\n b\r\n", O::kBadLineEnd},
      // From.
      {"no From", &Draft::from, "", O::kMissingFrom},
      {"empty From", &Draft::from, "From: \r\n", O::kBadFrom},
      {"two From", &Draft::more, "From: <sip:bob@b.example>;tag=1\r\n", O::kRepeatedFrom},
      {"From and f", &Draft::more, "f: <sip:bob@b.example>;tag=1\r\n", O::kRepeatedFrom},
      {"From and From with SP", &Draft::more, "From : <sip:bob@b.example>;tag=1\r\n",
       O::kRepeatedFrom},
      {"From in a continuation line", &Draft::more, "X: x\r\n From: <sip:bob@b.example>;tag=1\r\n",
       O::kOk},
      {"From list", &Draft::from, "From: <sip:a>;tag=1, <sip:b>;tag=2\r\n", O::kBadFrom},
      {"From folded", &Draft::from, "From:\r\n  <sip:alice@a.example>\r\n ;tag=1\r\n", O::kOk},
      // The other required fields.
      {"no To", &Draft::to, "", O::kMissingTo},
      {"two To", &Draft::more, "t: <sip:x@y>\r\n", O::kRepeatedTo},
      {"two tags in To", &Draft::to, "To: <sip:#@y>;tag=1;tag=2\r\n", O::kBadTo},
      {"To whose tag is quoted", &Draft::to, "To: <sip:#@y>;tag=\"1\"\r\n", O::kBadTo},
      {"To without an end of brackets", &Draft::to, "To: < sip:x@y ;tag=1\r\n", O::kBadTo},
      {"To without an end of quotes", &Draft::to, "To: \"x <sip:x@y>;tag=1\r\n", O::kBadTo},
      {"SP in To's brackets", &Draft::to, "To: < sip:x@y >;tag=1\r\n", O::kBadTo},
      {"no Call-ID", &Draft::call_id, "", O::kMissingCallId},
      {"two Call-ID", &Draft::more, "i: x\r\n", O::kRepeatedCallId},
      {"bad Call-ID", &Draft::call_id, "Call-ID: a b\r\n", O::kBadCallId},
      {"no CSeq", &Draft::cseq, "", O::kMissingCSeq},
      {"two CSeq", &Draft::more, "CSEQ: 1 OPTIONS\r\n", O::kRepeatedCSeq},
      {"CSeq of another method", &Draft::cseq, "CSeq: 1 INVITE\r\n", O::kBadCSeq},
      {"CSeq in lower case", &Draft::cseq, "CSeq: 1 options\r\n", O::kBadCSeq},
      {"CSeq too large", &Draft::cseq, "CSeq: 2147483648 OPTIONS\r\n", O::kBadCSeq},
      {"no Via", &Draft::via, "", O::kMissingVia},
      {"empty Via", &Draft::via, "Via:\r\n", O::kBadVia},
      {"bad Via on top", &Draft::via, "Via: SIP/2.0, SIP/2.0/TLS a\r\n", O::kBadVia},
      {"bad second Via line", &Draft::more, "v: SIP/2.0/\r\n", O::kOk},
      {"bad second Via value", &Draft::via, "Via: SIP/2.0/TLS a, SIP/2.0\r\n", O::kOk},
      {"empty second Via value", &Draft::via, "Via: SIP/2.0/TLS a,\r\n", O::kOk},
      {"two Via values", &Draft::via, "Via: SIP/2.0/TLS a;b=c ,\r\n SIP/2.0/UDP b\r\n", O::kOk},
      {"no Max-Forwards", &Draft::max_forwards, "", O::kOk},
      {"two Max-Forwards", &Draft::more, "max-forwards: 70\r\n", O::kRepeatedMaxForwards},
      {"Max-Forwards 255", &Draft::max_forwards, "Max-Forwards: 255\r\n", O::kOk},
      {"Max-Forwards 256", &Draft::max_forwards, "Max-Forwards: 256\r\n", O::kBadMaxForwards},
      {"Max-Forwards -1", &Draft::max_forwards, "Max-Forwards: -1\r\n", O::kBadMaxForwards},
      {"Max-Forwards empty", &Draft::max_forwards, "Max-Forwards:\r\n", O::kBadMaxForwards},
      {"no length", &Draft::length, "", O::kMissingContentLength},
      {"two lengths that agree", &Draft::more, "l: 0\r\n", O::kOk},
      {"two lengths", &Draft::more, "l: 1\r\n", O::kBadContentLength},
      {"hexadecimal length", &Draft::length, "Content-Length: 0x0\r\n", O::kBadContentLength},
      {"length is not the body's", &Draft::length, "Content-Length: 1\r\n", O::kBadContentLength},
      {"bytes beyond the length", &Draft::body, "x", O::kBadContentLength},
      {"Transfer-Encoding means nothing", &Draft::more, "Transfer-Encoding: chunked\r\n", O::kOk},
      // Contact.
      {"Contact *", &Draft::more, "Contact: *\r\n", O::kOk},
      {"Contact * among others", &Draft::more, "m: *\r\nContact: <sip:a>\r\n", O::kOk},
      {"Contact list", &Draft::more, "m: <sip:a>;q=1, \"b,c\" <sip:b>, sip:c;x=\"d,e\"\r\n",
       O::kOk},
      {"Contact that nobody can read", &Draft::more, "m: \"Joe\" <sip:joe#1@example.org>;;;;,\r\n",
       O::kOk},
  };
  for (const DraftCase& c : cases) {
    Draft draft;
    draft.*c.part = c.text;
    EXPECT_EQ(Parse(draft.Wire()), c.outcome) << c.what;
  }
}

// What deployed devices write, where nothing is decided by it.
TEST(MessageParserTest, ToIsReadForItsTagAlone) {
  for (const std::string to : {"\"J\xf6rg\" <sip:b@b.example>", "J\xf6rg <sip:b@b.example>",
                               "<sip:*72#@b.example>", "sip:*72#@b.example", "<sip:b@my_host>",
                               "<sip:b@b.example;>", "<sip:b@b.example>;x=\"\xff\"",
                               "<sip:b@b.example>;x=a/b", "sip:b;phone-context=+49@b.example",
                               "<sip:b@b.example>;;y", "\"a \\\" b\" <sip:b@b.example>"}) {
    for (const std::string tag : {"", "t1"}) {
      Draft draft;
      draft.to = "To: " + to + (tag.empty() ? "" : ";tag=" + tag) + "\r\n";
      const std::string wire = draft.Wire();
      MessageView view;
      EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), O::kOk) << draft.to;
      EXPECT_EQ(view.to().tag, tag) << draft.to;
    }
    Draft draft;
    draft.start = "REGISTER sip:b.example SIP/2.0";
    draft.cseq = "CSeq: 1 REGISTER\r\n";
    draft.to = "To: J\xf6rg <sip:b@b.example>\r\n";
    EXPECT_EQ(Parse(draft.Wire()), O::kBadTo) << "a registration is judged by it";
  }
}

TEST(MessageParserTest, TopmostViaIsReadForWhatDecides) {
  for (const char* const via :
       {"SIP/2.0/TLS my_phone;branch=z9hG4bK1", "SIP/2.0/TLS a.example;branch=z9hG4bK1;",
        "SIP/2.0/TLS a.example;thinfo=\"\xff;,\";branch=z9hG4bK1",
        "SIP/2.0/TLS a.example;x=a/b;branch=z9hG4bK1"}) {
    Draft draft;
    draft.via = std::string("Via: ") + via + "\r\n";
    const std::string wire = draft.Wire();
    MessageView view;
    EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), O::kOk) << via;
    EXPECT_EQ(view.top_via().branch, "z9hG4bK1") << via;
  }
  for (const char* const via :
       {"SIP/2.0/TLS a.example;branch=\"z9hG4bK1\"", "SIP/2.0/TLS a.example;received=x",
        "SIP/2.0/TLS a.example;rport=0", "SIP/2.0/TLS a.example;;branch=z9hG4bK1",
        "SIP/2.0/TLS a.example;x=\"y;branch=z9hG4bK1", "SIP/2.0/TLS a_b.1"}) {
    Draft draft;
    draft.via = std::string("Via: ") + via + "\r\n";
    EXPECT_EQ(Parse(draft.Wire()), O::kBadVia) << via;
  }
}

TEST(MessageParserTest, StatusLines) {
  const std::pair<const char*, ParseOutcome> cases[] = {
      {"SIP/2.0 100 ", O::kOk},
      {"SIP/2.0 200 OK", O::kOk},
      {"sip/2.0 699 x y", O::kOk},
      {"SIP/2.0 99 x", O::kBadStartLine},
      {"SIP/2.0 099 x", O::kBadStartLine},
      {"SIP/2.0 700 x", O::kBadStartLine},
      {"SIP/2.0 200", O::kBadStartLine},
      {"SIP/2.0  200 OK", O::kBadStartLine},
      {"SIP/2.0 2000 OK", O::kBadStartLine},
      {"SIP/2.0 4294967301 x", O::kBadStartLine},
      {"SIP/2.0 2 0 x", O::kBadStartLine},
      {"SIP/2.0", O::kBadStartLine},
      {"SIP/3.0 200 OK", O::kBadVersion},
      {"SIP/2.0\t200 OK", O::kBadStartLine},
      {"SIP/2.0 200 = 2**3 \xd0\xbd\xd0\xbe", O::kOk},
  };
  for (const auto& [line, outcome] : cases) {
    Draft draft;
    draft.start = line;
    EXPECT_EQ(Parse(draft.Wire()), outcome) << line;
  }
}

TEST(MessageParserTest, Rfc3261_18_3_DatagramsEndWithTheirLength) {
  Draft draft;
  draft.length = "l: 3\r\n";
  draft.body = "abcdef";
  MessageView view;
  const std::string longer = draft.Wire();
  ASSERT_EQ(ParseMessage(longer, Framing::kDatagram, view), O::kOk);
  EXPECT_EQ(view.body(), "abc");
  EXPECT_EQ(view.bytes(), longer.substr(0, longer.size() - 3));
  draft.body = "ab";
  EXPECT_EQ(Parse(draft.Wire(), Framing::kDatagram), O::kBadBody);
  draft.length = "";
  const std::string without = draft.Wire();
  ASSERT_EQ(ParseMessage(without, Framing::kDatagram, view), O::kOk);
  EXPECT_EQ(view.body(), "ab");
  EXPECT_FALSE(view.content_length().has_value());
}

TEST(MessageParserTest, HeaderCountLimitAndLimitPlusOne) {
  for (const size_t limit : {size_t{20}, kHeadersMax}) {
    Draft draft;
    for (size_t i = 7; i < limit; ++i) draft.more += "X: y\r\n";
    MessageView view;
    const std::string at_limit = draft.Wire();
    EXPECT_EQ(ParseMessage(at_limit, Framing::kStream, view, limit), O::kOk);
    EXPECT_EQ(view.headers().size(), limit);
    draft.more += "X: y\r\n";
    const std::string above = draft.Wire();
    EXPECT_EQ(ParseMessage(above, Framing::kStream, view, limit), O::kTooManyHeaders);
    EXPECT_EQ(view.headers().size(), limit);
  }
}

// Whatever is asked for: there is room for no more.
TEST(MessageParserTest, HeaderCountIsBoundedWhateverTheLimit) {
  Draft draft;
  for (size_t i = 0; i < 2 * kHeadersMax; ++i) draft.more += "X: y\r\n";
  const std::string wire = draft.Wire();
  MessageView view;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, view, 1024), O::kTooManyHeaders);
  EXPECT_EQ(view.headers().size(), kHeadersMax);
}

// Methods are case-sensitive (RFC 3261 §7.1), and there are servers that compare them without case:
// what one of them would take for a REGISTER must not pass as a method that we do not know.
TEST(MessageParserTest, MethodsThatDifferOnlyInCaseAreRefused) {
  for (const char* const method : {"register", "Invite", "ReFER", "cancel"}) {
    Draft draft;
    draft.start = std::string(method) + " sip:b.example SIP/2.0";
    draft.cseq = std::string("CSeq: 1 ") + method + "\r\n";
    EXPECT_EQ(Parse(draft.Wire()), O::kBadStartLine) << method;
  }
  Draft draft;
  draft.start = "newmethod sip:b.example SIP/2.0";
  draft.cseq = "CSeq: 1 newmethod\r\n";
  EXPECT_EQ(Parse(draft.Wire()), O::kOk);
}

// What a response needs is there even where the request was refused; broken lines are never in the
// index.
TEST(MessageParserTest, RefusedRequestsAreStillIndexed) {
  Draft draft;
  draft.via = "X: a\nVia: evil\r\nVia: SIP/2.0/TLS c.a.example;branch=z9hG4bK1\r\n: nothing\r\n";
  const std::string wire = draft.Wire();
  MessageView view;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), O::kBadLineEnd);
  EXPECT_EQ(view.method(), Method::kOptions);
  ASSERT_EQ(view.Count(HeaderId::kVia), 1U);
  EXPECT_EQ(view.First(HeaderId::kVia)->value, "SIP/2.0/TLS c.a.example;branch=z9hG4bK1");
  EXPECT_NE(view.First(HeaderId::kFrom), nullptr);
  EXPECT_NE(view.First(HeaderId::kCSeq), nullptr);
  for (const HeaderField& field : view.headers())
    EXPECT_EQ(field.line().find("evil"), std::string_view::npos);
}

// Goal: nothing of the last message remains. Method: a full one, then ever shorter ones through the
// same view.
TEST(MessageParserTest, ViewsAreReusedClean) {
  const std::string wire = ReadCorpus("messages/invite_typical.sip");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), O::kOk);
  EXPECT_EQ(ParseMessage("OPTIONS sip:a SIP/2.0\r\n\r\n", Framing::kStream, view), O::kMissingFrom);
  EXPECT_TRUE(view.headers().empty());
  EXPECT_FALSE(view.Has(HeaderId::kFrom));
  EXPECT_FALSE(view.content_length().has_value());
  EXPECT_FALSE(view.max_forwards().has_value());
  EXPECT_EQ(view.top_via_rest(), "");
  EXPECT_EQ(ParseMessage("", Framing::kStream, view), O::kUnfinishedHeaders);
  EXPECT_EQ(view.request_uri(), "");
  EXPECT_EQ(view.body(), "");
}

// Goal: no read beyond the end, and no prefix is taken for the whole. Method: every prefix at the
// end of a page, as stream and as datagram.
TEST(MessageParserTest, EveryPrefixIsRefused) {
  for (const char* const name :
       {"messages/invite_typical.sip", "messages/register.sip", "messages/ok_200.sip"}) {
    const std::string wire = ReadCorpus(name);
    MessageView view;
    for (size_t size = 0; size < wire.size(); ++size) {
      const GuardedCopy copy(std::string_view(wire).substr(0, size));
      ASSERT_NE(ParseMessage(copy.view(), Framing::kStream, view), O::kOk) << name << ' ' << size;
      ASSERT_NE(ParseMessage(copy.view(), Framing::kDatagram, view), O::kOk) << name << ' ' << size;
    }
  }
}

// Goal: a line end is found wherever it falls in a block of 64. Method: shift the rest of the
// message byte by byte.
TEST(MessageParserTest, LineEndsAtEveryPlaceOfABlock) {
  for (size_t shift = 0; shift < 130; ++shift) {
    Draft draft;
    draft.via = "X: " + std::string(shift, 'x') + "\r\n" + draft.via;
    draft.more = "Y: a\tb\r\n c\r\n";
    EXPECT_EQ(Parse(draft.Wire()), O::kOk) << shift;
    draft.more = "Y: a\rb\r\n";
    EXPECT_EQ(Parse(draft.Wire()), O::kBadLineEnd) << shift;
    draft.more = "Y: a\nb\r\n";
    EXPECT_EQ(Parse(draft.Wire()), O::kBadLineEnd) << shift;
    draft.more = "Y: a\n\tb\r\n";
    EXPECT_EQ(Parse(draft.Wire()), O::kBadLineEnd) << shift;
  }
}

TEST(MessageParserTest, EveryOutcomeHasAText) {
  for (int i = 0; i <= static_cast<int>(O::kBadBody); ++i) {
    const std::string_view text = ParseOutcomeText(static_cast<ParseOutcome>(i));
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(text.find_first_of("\r\n"), std::string_view::npos);
  }
  EXPECT_EQ(ParseOutcomeText(O::kRepeatedCallId), "Repeated Call-ID");
  EXPECT_TRUE(IsFromOutcome(O::kRepeatedFrom));
  EXPECT_FALSE(IsFromOutcome(O::kBadTo));
  for (const ParseOutcome outcome :
       {O::kBadLineEnd, O::kUnfinishedHeaders, O::kMissingContentLength, O::kBadContentLength}) {
    EXPECT_TRUE(LosesFraming(outcome)) << ParseOutcomeText(outcome);
  }
  for (const ParseOutcome outcome :
       {O::kBadHeaderLine, O::kTooManyHeaders, O::kBadFrom, O::kRepeatedContentLength}) {
    EXPECT_FALSE(LosesFraming(outcome)) << ParseOutcomeText(outcome);
  }
}

}  // namespace
}  // namespace sallyport::sip
