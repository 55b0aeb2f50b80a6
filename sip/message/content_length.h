// Content-Length (RFC 3261 §20.14). The one reading that the framer and the parser share.
#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::sip {

// Larger values are malformed, never truncated: no body of ours comes near.
inline constexpr uint32_t kContentLengthMax = 0x7fffffff;

// `value` without LWS around it: 1*DIGIT, leading zeros allowed. False: malformed or out of range.
[[nodiscard]] bool ReadContentLength(std::string_view value, uint32_t& content_length);

enum class ContentLengthOutcome : uint8_t { kOk, kMissing, kRepeated, kMalformed };

// Looks for the field in a header block (start line, header lines, empty line) as the parser does:
// names by LookUpHeader, SP and HTAB before the colon, folds. Two fields are kRepeated even if they
// agree.
// `readable`: memory may be read up to there.
[[nodiscard]] ContentLengthOutcome FindContentLength(std::string_view header_block,
                                                     const char* readable,
                                                     uint32_t& content_length);
[[nodiscard]] inline ContentLengthOutcome FindContentLength(std::string_view header_block,
                                                            uint32_t& content_length) {
  return FindContentLength(header_block, header_block.data() + header_block.size(), content_length);
}

}  // namespace sallyport::sip
