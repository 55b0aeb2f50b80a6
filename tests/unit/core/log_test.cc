// Goal: one event is one line whatever its values hold; a full ring counts and never blocks; lines
// of several writers come out in time order and complete.
#include "core/log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/log_rate_limiter.h"
#include "core/log_record.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int64_t kNoon = 1'700'000'000'123'456'789;  // 2023-11-14T22:13:20Z

LogRecord Record(std::string_view message, std::initializer_list<LogField> fields) {
  LogRecord record;
  record.Fill(kNoon, LogLevel::kWarning, 3, "request-refused", message,
              std::span(fields.begin(), fields.size()));
  return record;
}

TEST(LogRecordTest, TextAndJsonSayTheSame) {
  const LogRecord record = Record("From not covered", {{"reason", "from-not-covered"},
                                                       {"peer", "a b"},
                                                       {"count", 3u},
                                                       {"delta", -4},
                                                       {"secure", true}});
  EXPECT_EQ(record.AsText(),
            "2023-11-14T22:13:20.123456Z WARNING request-refused: From not covered "
            "reason=from-not-covered peer=\"a b\" count=3 delta=-4 secure=true");
  EXPECT_EQ(record.AsJson(),
            "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"level\":\"warning\",\"event\":"
            "\"request-refused\",\"message\":\"From not covered\",\"writer\":3,\"reason\":"
            "\"from-not-covered\",\"peer\":\"a b\",\"count\":3,\"delta\":-4,\"secure\":true}");
}

// A peer must not be able to end the line, close the quotes or add a field.
TEST(LogRecordTest, PeerBytesCannotForgeLinesOrFields) {
  const std::string hostile =
      "x\" reason=none\r\n2023 INFO \\ \x1b[2J\x7f\xc2\x9b\xff\xe2\x80\xa8\xe2\x80\xae";
  const std::string text = Record(hostile, {{"peer", hostile}}).AsText();
  const std::string json = Record(hostile, {{"peer", hostile}}).AsJson();
  for (const std::string& line : {text, json}) {
    EXPECT_TRUE(std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; }))
        << line;
  }
  EXPECT_THAT(text, HasSubstr("peer=\"x\\\" reason=none\\r\\n2023 INFO \\\\ \\x1b[2J\\x7f\\xc2\\x9b"
                              "\\xff\\xe2\\x80\\xa8\\xe2\\x80\\xae\""));
  EXPECT_THAT(json, HasSubstr("\"peer\":\"x\\\" reason=none\\u000d\\u000a2023 INFO \\\\ \\u001b[2J"
                              "\\u007f\\u009b\\ufffd\\u2028\\u202e\""));
}

TEST(LogRecordTest, ValuesThatLookLikeSeveralAreQuoted) {
  EXPECT_THAT(Record("", {{"a", ""}}).AsText(), HasSubstr(" a=\"\""));
  EXPECT_THAT(Record("", {{"a", "b=c"}}).AsText(), HasSubstr(" a=\"b=c\""));
  EXPECT_THAT(Record("", {{"a", "[::1]:5061"}}).AsText(), HasSubstr(" a=[::1]:5061"));
  EXPECT_THAT(Record("", {{"a", "grün"}}).AsText(), HasSubstr(" a=\"grün\""));
}

TEST(LogRecordTest, LongValuesAreCutAtACharacterAndSaidSo) {
  std::string long_text;
  while (long_text.size() < 2000) long_text += "ü";
  const std::string json = Record(long_text, {{"a", long_text}, {"b", long_text}}).AsJson();
  EXPECT_THAT(json, HasSubstr("\"truncated\":true"));
  EXPECT_EQ(json.find("\\ufffd"), std::string::npos);
}

// One byte more than the bound, in a field of its own: the bound is exact, and no character is cut.
TEST(LogRecordTest, EachValueIsBounded) {
  const std::string exact(kLogValueBytesMax, 'v');
  EXPECT_THAT(Record("m", {{"a", exact}}).AsText(), EndsWith(" a=" + exact));
  EXPECT_THAT(Record("m", {{"a", exact + "w"}}).AsText(),
              EndsWith(" a=" + exact + " truncated=true"));
  const std::string before(kLogValueBytesMax - 1, 'v');
  EXPECT_THAT(Record("m", {{"a", before + "ü"}}).AsText(),
              EndsWith(" a=" + before + " truncated=true"));
}

// Five texts of full length beside the usual small fields: what a refusal has at the most.
TEST(LogRecordTest, FieldsBeyondTheRecordAreLeftOut) {
  const std::string value(kLogValueBytesMax, 'v');
  const std::string line = Record("m", {{"a", value},
                                        {"b", value},
                                        {"c", value},
                                        {"d", value},
                                        {"e", value},
                                        {"f", value},
                                        {"g", 1}})
                               .AsText();
  EXPECT_THAT(line, HasSubstr(" e=v"));
  EXPECT_EQ(line.find(" f="), std::string::npos);
  EXPECT_THAT(line, HasSubstr(" g=1"));
  EXPECT_THAT(line, HasSubstr(" truncated=true"));
}

// Reads what the log wrote into a pipe, on a thread of its own so that the pipe never fills.
class PipeReader {
 public:
  PipeReader() {
    EXPECT_EQ(pipe(ends_.data()), 0);
    thread_ = std::thread([this] {
      char chunk[65536];
      ssize_t bytes = 0;
      while ((bytes = read(ends_[0], chunk, sizeof(chunk))) > 0) {
        text_.append(chunk, static_cast<size_t>(bytes));
      }
    });
  }
  ~PipeReader() { close(ends_[0]); }
  int write_end() const { return ends_[1]; }
  std::vector<std::string> Lines() {
    close(ends_[1]);
    thread_.join();
    std::vector<std::string> lines;
    size_t begin = 0;
    for (size_t end = 0; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      lines.push_back(text_.substr(begin, end - begin));
    }
    return lines;
  }

 private:
  std::array<int, 2> ends_{};
  std::string text_;
  std::thread thread_;
};

LogOptions OptionsFor(const PipeReader& pipe, uint32_t writers) {
  LogOptions options;
  options.writers = writers;
  options.file_descriptor = pipe.write_end();
  return options;
}

TEST(LogTest, NotATerminalMeansJsonLines) {
  PipeReader pipe;
  {
    auto log = Log::Start(OptionsFor(pipe, 1));
    ASSERT_TRUE(log.ok());
    (*log)->writer(0).Write(LogLevel::kInfo, "started", "ready", {{"shards", 2}});
  }
  const std::vector<std::string> lines = pipe.Lines();
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines[0], HasSubstr("\"event\":\"started\",\"message\":\"ready\",\"writer\":0,"
                                  "\"shards\":2}"));
}

TEST(LogTest, LevelsAreLive) {
  PipeReader pipe;
  {
    auto log = Log::Start(OptionsFor(pipe, 1));
    LogWriter& writer = (*log)->writer(0);
    EXPECT_FALSE(writer.Enabled(LogLevel::kDebug));
    writer.Write(LogLevel::kDebug, "hidden", "");
    (*log)->set_level(LogLevel::kDebug);
    writer.Write(LogLevel::kDebug, "shown", "");
    (*log)->set_level(LogLevel::kError);
    writer.Write(LogLevel::kWarning, "hidden", "");
  }
  const std::vector<std::string> lines = pipe.Lines();
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines[0], HasSubstr("shown"));
}

TEST(LogTest, FlushReturnsWhenEverythingBeforeItIsOut) {
  PipeReader pipe;
  auto log = Log::Start(OptionsFor(pipe, 1));
  for (int i = 0; i < 500; ++i) (*log)->writer(0).Write(LogLevel::kInfo, "event", "", {{"i", i}});
  (*log)->Flush();
  const std::vector<std::string> lines = pipe.Lines();
  EXPECT_THAT(lines, SizeIs(500));
}

// Method: each writer numbers its lines; together they must all arrive, each writer's in order, or
// be counted as dropped.
TEST(LogTest, ConcurrentWritersLoseNothingUncounted) {
  constexpr uint32_t kWriters = 4;
  constexpr int kLines = 5000;
  PipeReader pipe;
  uint64_t dropped = 0;
  {
    LogOptions options = OptionsFor(pipe, kWriters);
    options.records_per_writer = 64;  // Small, so that it does fill.
    auto log = Log::Start(options);
    std::vector<std::thread> threads;
    for (uint32_t w = 0; w < kWriters; ++w) {
      threads.emplace_back([&log, w] {
        for (int i = 0; i < kLines; ++i) {
          (*log)->writer(w).Write(LogLevel::kInfo, "event", "text", {{"i", i}});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    (*log)->Flush();
    dropped = (*log)->dropped();
  }
  const std::vector<std::string> lines = pipe.Lines();
  EXPECT_EQ(lines.size() + dropped, size_t{kWriters} * kLines);
  std::array<int, kWriters> last{};
  last.fill(-1);
  for (const std::string& line : lines) {
    const size_t writer = static_cast<size_t>(std::stoi(line.substr(line.find("\"writer\":") + 9)));
    const int i = std::stoi(line.substr(line.find("\"i\":") + 4));
    ASSERT_GT(i, last.at(writer));
    last.at(writer) = i;
  }
}

int64_t CountingClock() {
  static std::atomic<int64_t> now{0};
  return now.fetch_add(1'000'000);
}

TEST(LogTest, LinesOfAllWritersAreInTimeOrder) {
  PipeReader pipe;
  {
    LogOptions options = OptionsFor(pipe, 2);
    options.now_ns = CountingClock;
    auto log = Log::Start(options);
    (*log)->Flush();
    (*log)->writer(1).Write(LogLevel::kInfo, "first", "");
    (*log)->writer(0).Write(LogLevel::kInfo, "second", "");
  }
  const std::vector<std::string> lines = pipe.Lines();
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines[0], HasSubstr("first"));
}

constexpr int64_t kSecond = 1'000'000'000;

TEST(LogRateLimiterTest, HoldsBackAndTellsHowMany) {
  LogRateLimiter limiter({.lines_per_second_max = 2});
  EXPECT_TRUE(limiter.Admit(1, 7, 0).write);
  EXPECT_TRUE(limiter.Admit(1, 7, 10).write);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limiter.Admit(1, 7, 20).write);
  EXPECT_TRUE(limiter.Admit(2, 7, 30).write) << "another reason";
  EXPECT_TRUE(limiter.Admit(1, 8, 40).write) << "another peer";
  const LogAdmission next = limiter.Admit(1, 7, kSecond);
  EXPECT_TRUE(next.write);
  EXPECT_EQ(next.suppressed, 5u);
  EXPECT_EQ(limiter.Admit(1, 7, kSecond + 1).suppressed, 0u);
  EXPECT_EQ(limiter.suppressed_total(), 5u);
}

// An attacker with a new certificate for every request gets new kinds, but not more lines.
TEST(LogRateLimiterTest, TheTotalIsBoundedWhateverThePeers) {
  LogRateLimiter limiter(
      {.lines_per_second_max = 5, .lines_per_second_total_max = 50, .kinds_max = 64});
  int lines = 0;
  for (uint64_t peer = 0; peer < 10000; ++peer) lines += limiter.Admit(1, peer, 5).write ? 1 : 0;
  EXPECT_EQ(lines, 50);
  EXPECT_EQ(limiter.suppressed_total(), 9950u);
}

}  // namespace
}  // namespace sallyport::core
