#include "sip/message/name_addr.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/params.h"
#include "sip/message/value_list.h"
#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

TEST(NameAddrTest, BracketedWithDisplayNameAndParameters) {
  NameAddr address;
  ASSERT_EQ(ParseNameAddr(" \"J \\\"R\\\" <sip:x@y>\"\r\n <sip:alice@a.example;user=phone>\r\n ; x "
                          "= \"<sip:b@c>\" ;tag = 1 ",
                          address),
            NameAddrOutcome::kOk);
  EXPECT_EQ(address.display, "\"J \\\"R\\\" <sip:x@y>\"");
  EXPECT_EQ(address.uri_text, "sip:alice@a.example;user=phone");
  EXPECT_EQ(address.uri.host, "a.example");
  EXPECT_TRUE(address.bracketed);
  EXPECT_EQ(address.params, "; x = \"<sip:b@c>\" ;tag = 1");
  EXPECT_EQ(address.tag, "1");
  EXPECT_EQ(FindParam(address.params, "x"), "\"<sip:b@c>\"");
}

// RFC 3261 §20: without brackets ';' begins the header's parameters.
TEST(NameAddrTest, BareAddrSpec) {
  NameAddr address;
  ASSERT_EQ(ParseNameAddr("sip:alice@a.example ; tag=1;user=phone", address), NameAddrOutcome::kOk);
  EXPECT_FALSE(address.bracketed);
  EXPECT_EQ(address.display, "");
  EXPECT_EQ(address.uri_text, "sip:alice@a.example");
  EXPECT_EQ(address.uri.params, "");
  EXPECT_EQ(address.params, "; tag=1;user=phone");
  EXPECT_EQ(address.tag, "1");
}

struct AddressCase {
  std::string_view text;
  NameAddrOutcome outcome;
};

TEST(NameAddrTest, Outcomes) {
  using O = NameAddrOutcome;
  const AddressCase cases[] = {
      {"<sip:a.example>", O::kOk},
      {"caller<sip:caller@example.com>;tag=323", O::kOk},
      {"token1~` token2'+_ token3*%!.- <sip:mundane@example.com>", O::kOk},
      {"isbn:2983792873", O::kOk},
      {"<name:John_Smith>", O::kOk},
      {"<tel:+15551234567>;tag=1", O::kOk},
      {"sip:%75se%72@example.com", O::kOk},
      {"<sip:alice@a.example?Route=%3Csip:x%3E>", O::kOk},
      {"\"\" <sip:a>", O::kOk},
      {"<sip:a>;p=[2001:db8::1];q=2001:db8::1;r", O::kOk},
      {"", O::kBadUri},
      {" ", O::kBadUri},
      {"*;tag=1", O::kBadDisplayName},  // "*" is a token, but no '<' follows.
      {"\\", O::kBadUri},
      {"<>", O::kBadUri},
      {"<alice@a.example>;tag=1", O::kBadUri},
      {"alice@a.example", O::kBadDisplayName},
      {"\"x\\\" <sip:alice@a.example>;tag=1", O::kBadDisplayName},
      {"\"Mr. J. <sip:alice@a.example>;tag=1", O::kBadDisplayName},
      {"\"a\" \"b\" <sip:alice@a.example>;tag=1", O::kBadDisplayName},
      {"\"a\" b <sip:alice@a.example>", O::kBadDisplayName},
      {"a \"b\" <sip:alice@a.example>", O::kBadDisplayName},
      {"Bell, Alexander <sip:alice@a.example>;tag=1", O::kBadDisplayName},
      {"=?utf-8?Q?bob?= <sip:alice@a.example>;tag=1", O::kBadUri},
      {"\"\xff\xfe\" <sip:alice@a.example>;tag=1", O::kBadDisplayName},
      {"<sip:alice@a.example;tag=1", O::kBadBrackets},
      {"< sip:alice@a.example >;tag=1", O::kBadUri},
      {"<sip:alice@a.example >;tag=1", O::kBadUri},
      {"<sip:alice@a.example\r\n >;tag=1", O::kBadUri},
      {"<sip:alice@a.example><sip:bob@b.example>;tag=1", O::kBadBrackets},
      {"Bob <sip:bob@b.example> <sip:alice@a.example>;tag=1", O::kBadBrackets},
      {"<sip:alice@a.example>;tag=1, <sip:bob@b.example>", O::kBadBrackets},
      {"<sip:alice@a.example> x", O::kBadBrackets},
      {"sip:alice@a.example,sip:bob@b.example;tag=1", O::kNeedsBrackets},
      {"sip:alice@a.example?Route=x", O::kNeedsBrackets},
      {"sip:user@example.com x", O::kBadUri},
      {"sip:user;par=x@example.com",
       O::kBadUri},  // The URI is sip:user, and '@' is in no parameter.
      {"sip :user@example.com", O::kBadDisplayName},
      {"<sip:alice@a.example?From=<sip:bob@b.example>>;tag=1", O::kBadUri},
      {"<sip:a>;", O::kBadParameter},
      {"<sip:a>;;tag=1", O::kBadParameter},
      {"<sip:a>;tag", O::kBadParameter},
      {"<sip:a>;tag=", O::kBadParameter},
      {"<sip:a>;tag=\"x\"", O::kBadParameter},
      {"<sip:a>;tag=[::1]", O::kBadParameter},
      {"<sip:a>;tag=1::2", O::kBadParameter},
      {"<sip:a>;tag=1;TAG=2", O::kBadParameter},
      {"<sip:a>;tag=\"", O::kBadParameter},
      {"<sip:a>;x=\"\\", O::kBadParameter},
      {"<sip:a>;x=[::g]", O::kBadParameter},
      {"<sip:a>;x=a:b", O::kBadParameter},
      {"<sip:a>;x=@", O::kBadParameter},
  };
  for (const AddressCase& c : cases) {
    const GuardedCopy copy(c.text);
    NameAddr address;
    const NameAddrOutcome outcome = ParseNameAddr(copy.view(), address);
    // "=?utf..." and others may fail at one of two places; what counts is refused or not, and the
    // named place.
    EXPECT_EQ(outcome, c.outcome) << c.text;
  }
}

TEST(NameAddrTest, EveryPrefixStaysInside) {
  const std::string text =
      "\"A \\\" \xc3\xa4\" <sip:al%41ice:pw@[2001:db8::1]:5061;lr?h=v>;x=\"y\\z\";tag=1;z=[::1]";
  for (size_t size = 0; size <= text.size(); ++size) {
    const GuardedCopy copy(std::string_view(text).substr(0, size));
    NameAddr address;
    static_cast<void>(ParseNameAddr(copy.view(), address));
  }
}

TEST(ValueListTest, CommasInQuotesAndBracketsDoNotSeparate) {
  ValueList values(" \"a,\\\",b\" <sip:x,y@a;p=1>;q=1\r\n , <sip:b>,sip:c;d=\"e,f\" ");
  std::string_view value;
  ASSERT_TRUE(values.Next(value));
  EXPECT_EQ(value, "\"a,\\\",b\" <sip:x,y@a;p=1>;q=1");
  EXPECT_EQ(values.rest(), " <sip:b>,sip:c;d=\"e,f\" ");
  ASSERT_TRUE(values.Next(value));
  EXPECT_EQ(value, "<sip:b>");
  ASSERT_TRUE(values.Next(value));
  EXPECT_EQ(value, "sip:c;d=\"e,f\"");
  EXPECT_EQ(values.rest(), "");
  EXPECT_FALSE(values.Next(value));
}

TEST(ValueListTest, EmptyValuesAreReported) {
  ValueList values(",a,,");
  std::string_view value;
  std::string seen;
  while (values.Next(value)) seen += "[" + std::string(value) + "]";
  EXPECT_EQ(seen, "[][a][][]");
}

TEST(ValueListTest, UnclosedRunsToTheEnd) {
  for (const char* const text : {"\"a,b", "<a,b", "\"a,b\\"}) {
    const GuardedCopy copy(text);
    ValueList values(copy.view());
    std::string_view value;
    ASSERT_TRUE(values.Next(value));
    EXPECT_EQ(value, text);
    EXPECT_FALSE(values.Next(value));
  }
}

TEST(ParamsTest, FindParamSkipsQuotedText) {
  const std::string_view params = ";a=\";b=1;\" ; B = 2 ;flag;c=\"x\\\";tag=3\"";
  EXPECT_EQ(FindParam(params, "b"), "2");
  EXPECT_EQ(FindParam(params, "flag"), "");
  EXPECT_EQ(FindParam(params, "tag"), std::nullopt);
  EXPECT_EQ(FindParam(params, "c"), "\"x\\\";tag=3\"");
  EXPECT_EQ(FindParam("", "a"), std::nullopt);
}

TEST(ParamsTest, ReaderReportsWholeParameters) {
  ParamReader reader(" ; a = b;c ;d=\"e\" ");
  Param param;
  ASSERT_TRUE(reader.Next(param));
  EXPECT_EQ(param.whole, "; a = b");
  EXPECT_TRUE(param.value_is_token);
  ASSERT_TRUE(reader.Next(param));
  EXPECT_EQ(param.whole, ";c");
  EXPECT_FALSE(param.has_value);
  ASSERT_TRUE(reader.Next(param));
  EXPECT_EQ(param.value, "\"e\"");
  EXPECT_FALSE(param.value_is_token);
  EXPECT_FALSE(reader.Next(param));
  EXPECT_FALSE(reader.malformed());
  ParamReader broken(";a=b c");
  EXPECT_TRUE(broken.Next(param));
  EXPECT_FALSE(broken.Next(param));
  EXPECT_TRUE(broken.malformed());
}

}  // namespace
}  // namespace sallyport::sip
