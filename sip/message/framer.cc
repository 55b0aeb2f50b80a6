#include "sip/message/framer.h"

#include <algorithm>
#include <bit>
#include <cstddef>

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

}  // namespace

Frame Framer::Next(std::string_view unread) {
  DCHECK(unread.size() >= searched_bytes_);
  if (unread.empty()) return {};
  if (searched_bytes_ == 0 && (unread.front() == '\r' || unread.front() == '\n'))
    return SkipLineEnd(unread);
  if (header_bytes_ == 0) {
    if (!start_line_checked_ && !CheckStartLine(unread))
      return Refuse(FrameOutcome::kBadFraming, unread);
    if (!SearchHeaderEnd(unread)) {
      return unread.size() < limits_.header_bytes_max ? Frame()
                                                      : Refuse(FrameOutcome::kTooLarge, unread);
    }
    const std::string_view header_block = unread.substr(0, header_bytes_);
    const char* const readable = unread.data() + unread.size();
    if (FindContentLength(header_block, readable, body_bytes_) != ContentLengthOutcome::kOk) {
      return Refuse(FrameOutcome::kBadFraming, unread);
    }
    if (body_bytes_ > limits_.body_bytes_max) return Refuse(FrameOutcome::kTooLarge, unread);
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

}  // namespace sallyport::sip
