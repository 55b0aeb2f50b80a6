#include "sip/message/content_length.h"

#include <bit>
#include <cstddef>

#include "sip/message/class_scan.h"
#include "sip/message/header_name.h"
#include "sip/message/line_scan.h"

namespace sallyport::sip {
namespace {

// Can this line be l or Content-Length (then its ninth character is an L)? Saves looking up most
// names.
bool MayBeContentLength(const char* line, const char* end) {
  const char first = ToLower(*line);
  return first == 'l' || (first == 'c' && end - line > 8 && ToLower(line[8]) == 'l');
}

// Takes one header line, its CRLF excluded, into account.
ContentLengthOutcome TakeLine(std::string_view line, const char* readable, bool& found,
                              uint32_t& content_length) {
  const NameAtLine name =
      ReadNameAtLine(line.data(), line.size(), static_cast<size_t>(readable - line.data()));
  if (name.name_bytes == 0 || name.id != HeaderId::kContentLength) return ContentLengthOutcome::kOk;
  if (found) return ContentLengthOutcome::kRepeated;
  found = true;
  return ReadContentLength(TrimLws(line.substr(name.colon + 1)), content_length)
             ? ContentLengthOutcome::kOk
             : ContentLengthOutcome::kMalformed;
}

}  // namespace

bool ReadContentLength(std::string_view value, uint32_t& content_length) {
  return ReadDecimal(value, kContentLengthMax, content_length);
}

// A line ends with CRLF that no whitespace follows. Bare CR and LF end nothing: the parser refuses
// such a message, and the flow with it (LosesFraming).
ContentLengthOutcome FindContentLength(std::string_view header_block, const char* readable,
                                       uint32_t& content_length) {
  const char* const end = header_block.data() + header_block.size();
  const char* candidate =
      nullptr;  // Where the line begins that is being passed, if it may be the one.
  bool found = false;
  for (size_t base = 0; base < header_block.size(); base += kScanBlockBytes) {
    const size_t left = header_block.size() - base;
    const char* const block = header_block.data() + base;
    uint64_t controls =
        left >= kScanBlockBytes ? ScanControls(block) : ScanControlsOfTail(block, left);
    for (; controls != 0; controls &= controls - 1) {
      const char* const at = block + std::countr_zero(controls);
      if (end - at < 3 || at[0] != '\r' || at[1] != '\n' || at[2] == ' ' || at[2] == '\t') continue;
      if (candidate != nullptr) {
        const ContentLengthOutcome outcome =
            TakeLine(Between(candidate, at), readable, found, content_length);
        if (outcome != ContentLengthOutcome::kOk) return outcome;
      }
      candidate = MayBeContentLength(at + 2, end) ? at + 2 : nullptr;
    }
  }
  return found ? ContentLengthOutcome::kOk : ContentLengthOutcome::kMissing;
}

}  // namespace sallyport::sip
