// Goal: every value keeps its place, every misuse is reported with place and remedy, nothing
// throws.
#include "core/config_document.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

struct Parsed {
  Diagnostics diagnostics;
  std::optional<ConfigDocument> document;
  ConfigTable root;

  explicit Parsed(std::string_view text) {
    document = ConfigDocument::Parse(text, "f.toml", diagnostics);
    if (document.has_value()) root = ConfigTable(&document->root(), &diagnostics);
  }
  std::vector<std::string> Lines() {
    diagnostics.Sort();
    std::vector<std::string> lines;
    for (const Diagnostic& entry : diagnostics.entries()) lines.push_back(FormatDiagnostic(entry));
    return lines;
  }
};

TEST(ConfigDocumentTest, KeepsThePlaceOfTablesKeysAndValues) {
  Parsed parsed(
      "[edge]\n  domain = \"a\"\n\n[[listener]]\nname = \"x\"\n[[listener]]\nname = 'y'\n");
  ASSERT_TRUE(parsed.document.has_value());
  ConfigTable edge = parsed.root.Table("edge");
  EXPECT_EQ(edge.at(), (ConfigPlace{"f.toml", 1, 1}));
  const ConfigValue* domain = edge.Find("domain");
  ASSERT_NE(domain, nullptr);
  EXPECT_EQ(domain->at, (ConfigPlace{"f.toml", 2, 12}));
  EXPECT_EQ(domain->key_at, (ConfigPlace{"f.toml", 2, 3}));
  EXPECT_EQ(domain->path, "edge.domain");
  std::vector<ConfigTable> listeners = parsed.root.Tables("listener");
  ASSERT_THAT(listeners, SizeIs(2));
  EXPECT_EQ(listeners[1].at().line, 6u);
  EXPECT_EQ(listeners[1].Find("name")->path, "listener[1].name");
  EXPECT_EQ(listeners[1].String("name"), "y");
}

TEST(ConfigDocumentTest, NamedTablesComeInFileOrder) {
  Parsed parsed("[tls.zebra]\n[tls.ant]\n[tls.bee]\n");
  std::vector<std::string> names;
  for (ConfigTable& table : parsed.root.NamedTables("tls")) names.push_back(table.key());
  EXPECT_THAT(names, ElementsAre("zebra", "ant", "bee"));
}

TEST(ConfigDocumentTest, ASyntaxErrorIsOneDiagnosticWithItsPlace) {
  Parsed parsed("[edge]\ndomain = \n[limits\nx = = 3\n");
  EXPECT_FALSE(parsed.document.has_value());
  const std::vector<std::string> lines = parsed.Lines();
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines[0], HasSubstr("f.toml:2:"));
  EXPECT_THAT(lines[0], HasSubstr(": error: syntax: "));
}

TEST(ConfigDocumentTest, ARepeatedKeyIsASyntaxError) {
  Parsed parsed("a = 1\na = 2\n");
  EXPECT_FALSE(parsed.document.has_value());
  EXPECT_EQ(parsed.diagnostics.entries().at(0).place.line, 2u);
}

// Found by config_fuzz: the library asserts on these instead of reporting them.
TEST(ConfigDocumentTest, TableHeadersThatBeginWithNonsenseAreSyntaxErrors) {
  for (const std::string_view text :
       {std::string_view("[!]\n"), std::string_view("[=a]\n"), std::string_view("[.a]\n"),
        std::string_view("[[!]]\n"), std::string_view("[\0edge]\n", 8)}) {
    Parsed parsed(text);
    EXPECT_FALSE(parsed.document.has_value()) << text;
    EXPECT_THAT(parsed.Lines(), SizeIs(1));
  }
}

// Found by config_fuzz: undefined behaviour in the library for letters where white space may be.
TEST(ConfigDocumentTest, LettersOutsideQuotesAreSyntaxErrors) {
  for (const char* text : {"a = \xc3\xa4\n", "a \xc3\x8c= 1\n", "a = 1 \xe3\x81\x82\n",
                           "[\xc3\xa4]\n", "\xe3\x81\x82 = 1\n"}) {
    Parsed parsed(text);
    EXPECT_FALSE(parsed.document.has_value()) << text;
    EXPECT_THAT(parsed.Lines(), SizeIs(1));
  }
}

TEST(ConfigDocumentTest, DeepNestingIsAnErrorNotACrash) {
  Parsed parsed("a = " + std::string(100000, '[') + "\n");
  EXPECT_FALSE(parsed.document.has_value());
}

TEST(ConfigTableTest, AbsentKeysGiveDefaultsAndAbsentTablesTheSame) {
  Parsed parsed("[t]\n");
  for (ConfigTable table : {parsed.root.Table("t"), parsed.root.Table("none")}) {
    EXPECT_EQ(table.String("s", "d"), "d");
    EXPECT_TRUE(table.Boolean("b", true));
    EXPECT_EQ(table.Integer("i", 7, 0, 9), 7);
    EXPECT_EQ(table.Bytes("n", 5, 0, 9), 5u);
    EXPECT_EQ(table.Duration("d", absl::Seconds(3), absl::ZeroDuration(), absl::Hours(1)),
              absl::Seconds(3));
    EXPECT_THAT(table.Strings("l"), IsEmpty());
    table.RefuseUnknown();
  }
  EXPECT_THAT(parsed.Lines(), IsEmpty());
}

TEST(ConfigTableTest, EachWrongValueIsReportedAtItsPlace) {
  Parsed parsed(
      "s = 1\nb = \"yes\"\ni = 10\nj = -1\nn = \"4 KB\"\nd = \"5\"\ne = \"-5s\"\nf = \"2h\"\n"
      "l = \"one\"\nm = [\"a\", 2]\nc = \"rde\"\nt = 5\nts = [1]\n");
  ConfigTable& root = parsed.root;
  root.String("s");
  root.Boolean("b", false);
  root.Integer("i", 1, 0, 9);
  root.Integer("j", 1, 0, 9);
  root.Bytes("n", 1, 0, 9);
  const auto duration = [&root](std::string_view key) {
    root.Duration(key, absl::Seconds(5), absl::Seconds(1), absl::Hours(1));
  };
  duration("d");
  duration("e");
  duration("f");
  root.Strings("l");
  EXPECT_THAT(root.Strings("m"), SizeIs(1));
  EXPECT_EQ(root.Choice<int>("c", {{"red", 1}, {"blue", 2}}, 2), 2);
  EXPECT_FALSE(root.Table("t").present());
  EXPECT_THAT(root.Tables("ts"), IsEmpty());
  const std::string durations =
      "write a number with its unit, such as \"500ms\", \"5s\", \"2m\", \"1h\"; the default is "
      "\"5s\"";
  EXPECT_THAT(
      parsed.Lines(),
      ElementsAre(
          "f.toml:1:5: error: s = 1: expected a string; write s = \"…\"",
          "f.toml:2:5: error: b = \"yes\": expected true or false; write b = false",
          "f.toml:3:5: error: i = 10: too large; use a number from 0 to 9",
          "f.toml:4:5: error: j = -1: too small; use a number from 0 to 9",
          "f.toml:5:5: error: n = \"4 KB\": not a number of bytes; write a number, or \"64KiB\", "
          "\"16MiB\"; the default is 1",
          "f.toml:6:5: error: d = \"5\": not a duration; " + durations,
          "f.toml:7:5: error: e = \"-5s\": not a duration; " + durations,
          "f.toml:8:5: error: f = \"2h\": too long; use \"1s\" to \"1h\"",
          "f.toml:9:5: error: l = \"one\": expected a list; write l = [\"…\"]",
          "f.toml:10:11: error: m[1] = 2: expected a string; put it into quotes",
          "f.toml:11:5: error: c = \"rde\": not a known word; did you mean \"red\"? The words are "
          "\"red\", \"blue\"",
          "f.toml:12:1: error: t must be a table; write [t] on a line of its own",
          "f.toml:13:7: error: ts[0] = 1: expected a table; write [[ts]] with two brackets before "
          "each of them"));
}

TEST(ConfigTableTest, UnknownKeysAreReportedWithTheNearestKnownOne) {
  Parsed parsed("[edge]\ndomian = 1\ncertificate_key = 2\nzzzzzzzz = 3\n");
  ConfigTable edge = parsed.root.Table("edge");
  edge.String("domain");
  edge.String("certificate-key");
  edge.RefuseUnknown();
  parsed.root.RefuseUnknown();
  EXPECT_THAT(parsed.Lines(),
              ElementsAre("f.toml:2:1: error: unknown key edge.domian; did you mean \"domain\"?",
                          "f.toml:3:1: error: unknown key edge.certificate_key; did you mean "
                          "\"certificate-key\"?",
                          "f.toml:4:1: error: unknown key edge.zzzzzzzz; known here: domain, "
                          "certificate-key"));
}

TEST(ConfigTableTest, NotAvailableAllowsOnlyWhatAsksForNothing) {
  Parsed parsed("a = \"\"\nb = []\nc = \"x\"\nd = [1]\ne = \"tls\"\n[f]\n[[g]]\n");
  for (const char* key : {"a", "b", "c", "d"}) parsed.root.NotAvailable(key, "remove it", "");
  parsed.root.NotAvailable("e", "remove it", "tls");
  parsed.root.NotAvailable("f", "remove it");
  parsed.root.NotAvailable("g", "remove it");
  parsed.root.NotAvailable("absent", "remove it");
  std::vector<uint32_t> lines;
  for (const Diagnostic& entry : parsed.diagnostics.entries()) {
    EXPECT_THAT(entry.text, HasSubstr("is not available in this version"));
    lines.push_back(entry.place.line);
  }
  EXPECT_THAT(lines, ElementsAre(3, 4, 6, 7));
}

TEST(ConfigTableTest, RequireNamesTheTable) {
  Parsed parsed("[[listener]]\nname = \"\"\n");
  ConfigTable listener = parsed.root.Tables("listener").at(0);
  EXPECT_FALSE(listener.Require("name", "write a name"));
  EXPECT_FALSE(listener.Require("zone", "write a zone"));
  EXPECT_THAT(parsed.Lines(),
              ElementsAre("f.toml:1:1: error: listener[0]: zone is missing; write a zone",
                          "f.toml:2:8: error: listener[0].name = \"\": must not be empty; write a "
                          "name"));
}

TEST(DiagnosticTest, IsOneLineWhateverTheFileHolds) {
  const Diagnostic diagnostic{Severity::kWarning, {"a\nb", 1, 2}, "x\n\x1b[31m", "y\r"};
  EXPECT_EQ(FormatDiagnostic(diagnostic), "a\\x0ab:1:2: warning: x\\x0a\\x1b[31m; y\\x0d");
}

TEST(ConfigDocumentTest, AQuoteThatIsNotClosedIsNamed) {
  for (const char* text : {"a = \"b\nc = 1\n", "a = 'b\r\nc = 1\n", "a = [\"b\", \"c\n]\n",
                           "\"a = 1\n", "a = \"b", "a = \"\"\"b\nc = 1\n", "x = 1\ny = \"\n"}) {
    EXPECT_THAT(Parsed(text).Lines().at(0),
                HasSubstr("error: syntax: a quote that is opened here is not closed; "))
        << text;
  }
  for (const char* text : {"a = \"b\x01"
                           "c\"\n",
                           "a = b\"\n", "a = \"b\\q\"\n", "a = = 1\n"}) {
    EXPECT_THAT(Parsed(text).Lines().at(0), Not(HasSubstr("closed"))) << text;
  }
}

TEST(DiagnosticTest, SortsByPlaceAndDropsRepetitions) {
  Diagnostics diagnostics;
  diagnostics.Warning({"f", 9, 1}, "c", "");
  diagnostics.Error({"f", 2, 5}, "b", "");
  diagnostics.Error({"f", 2, 5}, "b", "");
  diagnostics.Error({"f", 2, 1}, "a", "");
  diagnostics.Sort();
  std::string order;
  for (const Diagnostic& entry : diagnostics.entries()) order += entry.text;
  EXPECT_EQ(order, "abc");
  EXPECT_TRUE(diagnostics.has_errors());
}

TEST(ConfigValueTest, LongTextIsShortened) {
  Parsed parsed("a = \"" + std::string(5000, 'x') + "\"\n");
  parsed.root.Find("a")->Reject(parsed.diagnostics, "too long", "");
  EXPECT_LT(parsed.Lines().at(0).size(), 200u);
}

TEST(ConfigValueTest, DurationsAndBytes) {
  EXPECT_EQ(ParseConfigDuration("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(ParseConfigDuration("1m30s"), absl::Seconds(90));
  EXPECT_EQ(ParseConfigDuration("0"), absl::ZeroDuration());
  for (const char* bad : {"", "5", "-1s", "inf", "1d", "s", "5 s"}) {
    EXPECT_EQ(ParseConfigDuration(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(ParseConfigBytes("16384"), 16384u);
  EXPECT_EQ(ParseConfigBytes("64KiB"), 65536u);
  EXPECT_EQ(ParseConfigBytes("1GiB"), uint64_t{1} << 30);
  for (const char* bad : {"", "KiB", "-1", "+1", " 1", "1k", "1.5MiB", "18446744073709551615GiB"}) {
    EXPECT_EQ(ParseConfigBytes(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace sallyport::core
