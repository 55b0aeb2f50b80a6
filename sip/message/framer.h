// Cuts one flow's plaintext into SIP messages (RFC 3261 §18.3; keep-alive RFC 5626 §3.5.1, §4.4.1).
// Borrows: a frame points into the caller's buffer and dies when that is refilled or released.
// Shard:   lives with one flow; never called from two shards. Small: one per connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/message/content_length.h"

namespace sallyport::sip {

enum class FrameOutcome : uint8_t {
  kMessage,      // `bytes` is one whole message: parse it, then consume it.
  kKeepAlive,    // A ping (CRLFCRLF) is complete: consume `bytes`, answer CRLF at once.
  kIgnored,      // A CRLF before a message, or a pong: consume `bytes`, do nothing.
  kNeedMore,     // Not an error. `message_bytes` says how much there will be, once that is known.
  kTooLarge,     // Beyond a limit: answer 513, consume `bytes`. The rest of it comes as kIgnored.
  kFarTooLarge,  // More than kSkipFactor times a limit, or its end cannot be found. Answer 513 if
                 // `bytes` is there, then close the flow.
  kBadFraming,   // No, unreadable or conflicting Content-Length, or not SIP at all. Answer 400 if
                 // `bytes` is there, then close.
};

struct Frame {
  FrameOutcome outcome = FrameOutcome::kNeedMore;
  // kMessage, kKeepAlive, kIgnored: what to consume. kTooLarge: likewise, header lines from the
  // first on, maybe not all. kFarTooLarge, kBadFraming: the header block where its end was seen
  // within the bound, else empty. kNeedMore: empty.
  std::string_view bytes;
  uint32_t header_bytes = 0;   // Up to and with the empty line; 0: that has not been seen.
  uint32_t message_bytes = 0;  // Headers plus body; 0: not known yet.
};

struct FramerLimits {
  uint32_t header_bytes_max = 16384;
  uint32_t body_bytes_max = 65536;
};

class Framer {
 public:
  static constexpr uint32_t kSkipFactor = 16;

  explicit Framer(FramerLimits limits) : limits_(limits) {}

  // `unread` starts where the previous consumed frame ended and only grows until the next one.
  // A ping comes as two frames, kIgnored for its first CRLF and kKeepAlive for the second: so it is
  // recognised wherever TCP cuts it, and an idle flow never has to keep bytes.
  //
  // A message beyond a limit is read past, without keeping more of it than one line.
  //
  // After kFarTooLarge or kBadFraming close the flow: the next boundary is unknown, and guessing it
  // is how a second request gets smuggled in. Bytes that cannot be SIP (TLS, HTTP, binary) are
  // refused as soon as the first line shows it.
  //
  // Cost: linear in bytes not seen before, even when they arrive one at a time.
  [[nodiscard]] Frame Next(std::string_view unread);

  // True between messages: nothing of a message has been seen since the last frame.
  [[nodiscard]] bool is_between_messages() const {
    return searched_bytes_ == 0 && !skips_headers_ && body_to_skip_ == 0;
  }

 private:
  [[nodiscard]] Frame SkipLineEnd(std::string_view unread);
  [[nodiscard]] bool SearchHeaderEnd(std::string_view unread);
  [[nodiscard]] bool CheckStartLine(std::string_view unread);
  [[nodiscard]] size_t Within(std::string_view unread) const;
  [[nodiscard]] Frame MeasureBody(std::string_view unread);
  [[nodiscard]] Frame Refuse(FrameOutcome outcome, std::string_view unread) const;

  [[nodiscard]] Frame RefuseBody(std::string_view unread);
  [[nodiscard]] Frame BeginSkip(std::string_view unread);
  [[nodiscard]] Frame SkipHeaders(std::string_view unread);
  [[nodiscard]] Frame EndSkippedHeaders(std::string_view bytes);
  [[nodiscard]] Frame SkipBody(std::string_view unread);
  // False: another reader could see other lines, or another Content-Length.
  [[nodiscard]] bool SkipLine(std::string_view line, const char* readable);
  [[nodiscard]] Frame SkipLongLine(std::string_view unread);
  [[nodiscard]] Frame Skipped(std::string_view bytes);

  FramerLimits limits_;
  uint32_t searched_bytes_ = 0;  // Prefix of `unread` known not to contain the header end.
  uint32_t header_bytes_ = 0;    // 0: end not seen yet.
  uint32_t body_bytes_ = 0;
  bool start_line_checked_ = false;  // It is complete and looks like SIP.
  bool after_line_end_ = false;      // The previous frame was a CRLF: another one makes a ping.
  // A message beyond the limits: `unread` begins with one of its header lines, or in a long one.
  bool skips_headers_ = false;
  bool in_long_line_ = false;
  uint32_t skipped_bytes_ = 0;  // Of its headers.
  uint32_t body_to_skip_ = 0;
  ContentLengthSearch skipped_length_;
};

}  // namespace sallyport::sip
