#include "sip/message/content_length.h"

#include <cstddef>
#include <cstring>

#include "sip/message/grammar.h"
#include "sip/message/header_name.h"

namespace sallyport::sip {
namespace {

bool BeginsContinuation(const char* at, const char* end) {
  return at != end && (*at == ' ' || *at == '\t');
}

// One past the CRLF that ends the line which begins at `line`, continuation lines included. A bare
// LF ends nothing: the parser refuses the message, and the flow with it (LosesFraming).
const char* SkipLine(const char* line, const char* end) {
  const char* at = line;
  while (at != end) {
    const auto* const feed =
        static_cast<const char*>(std::memchr(at, '\n', static_cast<size_t>(end - at)));
    if (feed == nullptr) return end;
    at = feed + 1;
    if (feed != line && feed[-1] == '\r' && !BeginsContinuation(at, end)) return at;
  }
  return end;
}

// Could a line that begins so be Content-Length or l?
bool MayBeContentLength(char first) {
  return first == 'C' || first == 'c' || first == 'L' || first == 'l';
}

}  // namespace

bool ReadContentLength(std::string_view value, uint32_t& content_length) {
  return ReadDecimal(value, kContentLengthMax, content_length);
}

ContentLengthOutcome FindContentLength(std::string_view header_block, uint32_t& content_length) {
  const char* const end = header_block.data() + header_block.size();
  bool found = false;
  for (const char* line = SkipLine(header_block.data(), end); line != end;) {
    const char* const next = SkipLine(line, end);
    if (MayBeContentLength(*line)) {
      const auto line_bytes = static_cast<size_t>(next - line);
      const NameAtLine name = ReadNameAtLine(line, line_bytes, static_cast<size_t>(end - line));
      if (name.id == HeaderId::kContentLength) {
        if (found) return ContentLengthOutcome::kRepeated;
        found = true;
        const char* const value_end = next - 2;  // Before CRLF.
        const std::string_view value(line + name.colon + 1,
                                     static_cast<size_t>(value_end - line) - name.colon - 1);
        if (!ReadContentLength(TrimLws(value), content_length))
          return ContentLengthOutcome::kMalformed;
      }
    }
    line = next;
  }
  return found ? ContentLengthOutcome::kOk : ContentLengthOutcome::kMissing;
}

}  // namespace sallyport::sip
