#include "sip/message/content_length.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "sip/message/class_scan.h"
#include "sip/message/header_name.h"
#include "sip/message/line_scan.h"

namespace sallyport::sip {
namespace {

// A line that is no Content-Length to us and may be one to another reader: the name is there, and
// what follows is not what may stand between a name and its colon.
bool LooksLikeContentLength(std::string_view line) {
  for (const std::string_view name : {"content-length", "l"}) {
    if (line.size() < name.size() || !EqualsIgnoreCase(line.substr(0, name.size()), name)) continue;
    if (line.size() == name.size() || !IsIn(line[name.size()], kTokenChar)) return true;
  }
  return false;
}

// Takes a line from the front, up to any of the line ends.
std::string_view TakeAnyLine(std::string_view& text) {
  const size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + (text.substr(end, 2) == "\r\n" ? 2 : 1), text.size()));
  return line;
}

}  // namespace

bool HasOneLength(std::string_view message) {
  const size_t last_line_end = message.find("\r\n\r\n");
  if (last_line_end == std::string_view::npos) return false;
  const char* const readable = message.data() + message.size();
  std::string_view headers = message.substr(0, last_line_end);
  ContentLengthSearch search;
  for (static_cast<void>(TakeAnyLine(headers)); !headers.empty();) {
    std::string_view line = TakeAnyLine(headers);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    // The end of the headers to some.
    if (line.empty() || search.Take(line, readable) != ContentLengthOutcome::kOk) return false;
  }
  return search.outcome() == ContentLengthOutcome::kOk &&
         search.content_length() == message.size() - last_line_end - 4;
}

bool ReadContentLength(std::string_view value, uint32_t& content_length) {
  return ReadDecimal(value, kContentLengthMax, content_length);
}

ContentLengthOutcome ContentLengthSearch::Take(std::string_view line, const char* readable) {
  const NameAtLine name =
      ReadNameAtLine(line.data(), line.size(), static_cast<size_t>(readable - line.data()));
  if (name.name_bytes == 0 || name.id != HeaderId::kContentLength) {
    return name.name_bytes == 0 && LooksLikeContentLength(line) ? ContentLengthOutcome::kConflicting
                                                                : ContentLengthOutcome::kOk;
  }
  uint32_t length = 0;
  if (!ReadContentLength(TrimLws(line.substr(name.colon + 1)), length)) {
    return ContentLengthOutcome::kMalformed;
  }
  if (found_ && length != content_length_) return ContentLengthOutcome::kConflicting;
  found_ = true;
  content_length_ = length;
  return ContentLengthOutcome::kOk;
}

// l, or Content-Length: its ninth character is an L.
bool ContentLengthSearch::IsCandidate(const char* line, const char* end) {
  const char first = ToLower(*line);
  return first == 'l' || (first == 'c' && end - line > 8 && ToLower(line[8]) == 'l');
}

// A line ends with CRLF that no whitespace follows. Bare CR and LF end nothing: the parser refuses
// such a message, and the flow with it unless HasOneLength.
ContentLengthOutcome FindContentLength(std::string_view header_block, const char* readable,
                                       uint32_t& content_length) {
  const char* const end = header_block.data() + header_block.size();
  const char* candidate =
      nullptr;  // Where the line begins that is being passed, if it may be the one.
  ContentLengthSearch search;
  for (size_t base = 0; base < header_block.size(); base += kScanBlockBytes) {
    const size_t left = header_block.size() - base;
    const char* const block = header_block.data() + base;
    uint64_t controls =
        left >= kScanBlockBytes ? ScanControls(block) : ScanControlsOfTail(block, left);
    for (; controls != 0; controls &= controls - 1) {
      const char* const at = block + std::countr_zero(controls);
      if (end - at < 3 || at[0] != '\r' || at[1] != '\n' || at[2] == ' ' || at[2] == '\t') continue;
      if (candidate != nullptr) {
        const ContentLengthOutcome outcome = search.Take(Between(candidate, at), readable);
        if (outcome != ContentLengthOutcome::kOk) return outcome;
      }
      candidate = ContentLengthSearch::IsCandidate(at + 2, end) ? at + 2 : nullptr;
    }
  }
  content_length = search.content_length();
  return search.outcome();
}

}  // namespace sallyport::sip
