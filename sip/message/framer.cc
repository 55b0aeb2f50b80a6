#include "sip/message/framer.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "core/check.h"
#include "sip/message/content_length.h"
#include "sip/message/grammar.h"
#include "sip/message/line_scan.h"

namespace sallyport::sip {
namespace {

// Is it worth waiting for the rest of the headers? `line` is a complete first line. Whatever names
// SIP/ or a sip: or sips: URI is: the parser will say what is wrong with it. HTTP, TLS and others
// are not.
bool MayBeStartLine(std::string_view line) {
  if (line.ends_with(" SIP/2.0\r") || line.starts_with("SIP/2.0 ")) return true;
  for (size_t i = 0; i + 4 <= line.size(); ++i) {
    if (ToLower(line[i]) != 's' || !EqualsIgnoreCase(line.substr(i, 3), "sip")) continue;
    const char next = line[i + 3];
    if (next == '/' || next == ':') return true;
    if (ToLower(next) == 's' && i + 4 < line.size() && line[i + 4] == ':') return true;
  }
  return false;
}

// "SIP/2.0 " or a method, not the bytes of another protocol.
bool HasFirstWord(std::string_view line) {
  const size_t word = line.find(' ');
  return word != std::string_view::npos &&
         (IsToken(line.substr(0, word)) || EqualsIgnoreCase(line.substr(0, word), "SIP/2.0"));
}

// No CR without LF; the last character has none yet.
bool HasWholeLineEndsOnly(std::string_view text) {
  for (size_t at = 0; (at = text.find('\r', at)) != std::string_view::npos; ++at) {
    if (at + 1 < text.size() && text[at + 1] != '\n') return false;
  }
  return true;
}

}  // namespace

Frame Framer::Next(std::string_view unread) {
  DCHECK(unread.size() >= searched_bytes_);
  if (unread.empty()) return {};
  if (body_to_skip_ > 0) return SkipBody(unread);
  if (skips_headers_) return SkipHeaders(unread);
  if (searched_bytes_ == 0 && (unread.front() == '\r' || unread.front() == '\n'))
    return SkipLineEnd(unread);
  if (header_bytes_ == 0) {
    if (!start_line_checked_ && !CheckStartLine(unread))
      return Refuse(FrameOutcome::kBadFraming, unread);
    if (!SearchHeaderEnd(unread)) {
      return unread.size() < limits_.header_bytes_max ? Frame() : BeginSkip(unread);
    }
    const std::string_view header_block = unread.substr(0, header_bytes_);
    const char* const readable = unread.data() + unread.size();
    if (FindContentLength(header_block, readable, body_bytes_) != ContentLengthOutcome::kOk) {
      return Refuse(FrameOutcome::kBadFraming, unread);
    }
    if (body_bytes_ > limits_.body_bytes_max) return RefuseBody(unread);
  }
  return MeasureBody(unread);
}

Frame Framer::SkipLineEnd(std::string_view unread) {
  if (unread.front() == '\r' && unread.size() == 1) return {};
  if (unread.substr(0, 2) != "\r\n") return {FrameOutcome::kBadFraming, {}, 0, 0};
  const FrameOutcome outcome = after_line_end_ ? FrameOutcome::kKeepAlive : FrameOutcome::kIgnored;
  after_line_end_ = !after_line_end_;
  return {outcome, unread.substr(0, 2), 0, 0};
}

// False: this cannot be SIP.
bool Framer::CheckStartLine(std::string_view unread) {
  const size_t within = Within(unread);
  for (size_t base = searched_bytes_; base < within; base += kScanBlockBytes) {
    const size_t left = within - base;
    const char* const block = unread.data() + base;
    uint64_t controls =
        left >= kScanBlockBytes ? ScanControls(block) : ScanControlsOfTail(block, left);
    for (; controls != 0; controls &= controls - 1) {
      const size_t at = base + static_cast<size_t>(std::countr_zero(controls));
      const char c = unread[at];
      if (c == '\r' || c == '\t') continue;
      if (c != '\n' && HasFirstWord(unread.substr(0, at))) continue;  // The parser's to refuse.
      if (c != '\n') return false;
      start_line_checked_ = true;
      return MayBeStartLine(unread.substr(0, at));
    }
  }
  return true;
}

// How far a header block may reach.
size_t Framer::Within(std::string_view unread) const {
  return std::min<size_t>(unread.size(), limits_.header_bytes_max);
}

bool Framer::SearchHeaderEnd(std::string_view unread) {
  const size_t within = Within(unread);
  header_bytes_ = static_cast<uint32_t>(FindHeaderEnd(unread.substr(0, within), searched_bytes_));
  searched_bytes_ = static_cast<uint32_t>(within);
  return header_bytes_ != 0;
}

Frame Framer::MeasureBody(std::string_view unread) {
  const uint32_t header_bytes = header_bytes_;
  const uint32_t message_bytes = header_bytes_ + body_bytes_;
  if (unread.size() < message_bytes)
    return {FrameOutcome::kNeedMore, {}, header_bytes, message_bytes};
  *this = Framer(limits_);
  return {FrameOutcome::kMessage, unread.substr(0, message_bytes), header_bytes, message_bytes};
}

Frame Framer::Refuse(FrameOutcome outcome, std::string_view unread) const {
  const size_t within = Within(unread);
  const size_t header_bytes =
      header_bytes_ != 0 ? header_bytes_ : FindHeaderEnd(unread.substr(0, within), 0);
  return {outcome, unread.substr(0, header_bytes), static_cast<uint32_t>(header_bytes), 0};
}

// The header block is whole, its body too large.
Frame Framer::RefuseBody(std::string_view unread) {
  if (body_bytes_ / kSkipFactor > limits_.body_bytes_max) {
    return Refuse(FrameOutcome::kFarTooLarge, unread);
  }
  const Frame frame = Refuse(FrameOutcome::kTooLarge, unread);
  const uint32_t body_bytes = body_bytes_;
  *this = Framer(limits_);
  body_to_skip_ = body_bytes;
  return frame;
}

// -- Messages beyond the limits
// --------------------------------------------------------------------

// No empty line within the limit. The lines that are there are for the answer.
Frame Framer::BeginSkip(std::string_view unread) {
  if (!start_line_checked_) return Refuse(FrameOutcome::kFarTooLarge, unread);
  *this = Framer(limits_);
  skips_headers_ = true;
  Frame frame = SkipHeaders(unread);
  if (frame.outcome == FrameOutcome::kIgnored) frame.outcome = FrameOutcome::kTooLarge;
  return frame;
}

Frame Framer::SkipHeaders(std::string_view unread) {
  const char* const readable = unread.data() + unread.size();
  size_t line = 0;
  size_t at = searched_bytes_;
  while ((at = unread.find('\n', at)) != std::string_view::npos) {
    const size_t next = at + 1;
    if (at == 0 || unread[at - 1] != '\r') return Refuse(FrameOutcome::kBadFraming, {});
    const std::string_view text = unread.substr(line, at - 1 - line);
    if (text.empty() && !in_long_line_) return EndSkippedHeaders(unread.substr(0, next));
    if (next == unread.size()) break;  // What follows says whether the line goes on.
    if (unread[next] != ' ' && unread[next] != '\t') {
      if (!SkipLine(text, readable)) return Refuse(FrameOutcome::kBadFraming, {});
      line = next;
    }
    at = next;
  }
  searched_bytes_ = static_cast<uint32_t>(std::min(at, unread.size()) - line);
  if (line > 0) return Skipped(unread.substr(0, line));
  return unread.size() < limits_.header_bytes_max ? Frame() : SkipLongLine(unread);
}

bool Framer::SkipLine(std::string_view line, const char* readable) {
  if (!HasWholeLineEndsOnly(line) || line.ends_with('\r')) return false;
  if (std::exchange(in_long_line_, false) ||
      !ContentLengthSearch::IsCandidate(line.data(), line.data() + line.size())) {
    return true;
  }
  // As long as that, it is not waited for (SkipLongLine).
  if (line.size() + 3 > limits_.header_bytes_max) return false;
  return skipped_length_.Take(line, readable) == ContentLengthOutcome::kOk;
}

// A line as long as a whole header block may be: all but its end, so that a CRLF is not cut.
Frame Framer::SkipLongLine(std::string_view unread) {
  const bool is_candidate = !in_long_line_ && ContentLengthSearch::IsCandidate(
                                                  unread.data(), unread.data() + unread.size());
  std::string_view bytes = unread.substr(0, unread.size() - 2);
  if (bytes.ends_with('\r')) bytes.remove_suffix(1);
  if (is_candidate || !HasWholeLineEndsOnly(bytes)) return Refuse(FrameOutcome::kBadFraming, {});
  in_long_line_ = true;
  searched_bytes_ = 0;
  return Skipped(bytes);
}

Frame Framer::Skipped(std::string_view bytes) {
  if (bytes.size() > kSkipFactor * size_t{limits_.header_bytes_max} - skipped_bytes_) {
    return Refuse(FrameOutcome::kFarTooLarge, {});
  }
  skipped_bytes_ += static_cast<uint32_t>(bytes.size());
  return {FrameOutcome::kIgnored, bytes, 0, 0};
}

Frame Framer::EndSkippedHeaders(std::string_view bytes) {
  const uint32_t body_bytes = skipped_length_.content_length();
  if (skipped_length_.outcome() != ContentLengthOutcome::kOk) {
    return Refuse(FrameOutcome::kBadFraming, {});
  }
  if (body_bytes / kSkipFactor > limits_.body_bytes_max) {
    return Refuse(FrameOutcome::kFarTooLarge, {});
  }
  const Frame frame = Skipped(bytes);
  *this = Framer(limits_);
  body_to_skip_ = body_bytes;
  return frame;
}

Frame Framer::SkipBody(std::string_view unread) {
  const std::string_view bytes = unread.substr(0, body_to_skip_);
  body_to_skip_ -= static_cast<uint32_t>(bytes.size());
  return {FrameOutcome::kIgnored, bytes, 0, 0};
}

}  // namespace sallyport::sip
