// Content-Length (RFC 3261 §20.14). The one reading that the framer and the parser share.
#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::sip {

// Larger values are malformed, never truncated: no body of ours comes near.
inline constexpr uint32_t kContentLengthMax = 0x7fffffff;

// `value` without LWS around it: 1*DIGIT, leading zeros allowed. False: malformed or out of range.
[[nodiscard]] bool ReadContentLength(std::string_view value, uint32_t& content_length);

// kConflicting: two fields that do not agree, or another line that some reader could take for the
// field: without a colon behind its name, say.
enum class ContentLengthOutcome : uint8_t { kOk, kMissing, kConflicting, kMalformed };

// Collects the field from header lines as the parser reads them: names by LookUpHeader, SP and HTAB
// before the colon, folds. Fields that agree count as one.
class ContentLengthSearch {
 public:
  // A whole header line without its last CRLF. `readable`: memory may be read up to there. kMissing
  // is for outcome() to say.
  [[nodiscard]] ContentLengthOutcome Take(std::string_view line, const char* readable);
  [[nodiscard]] ContentLengthOutcome outcome() const {
    return found_ ? ContentLengthOutcome::kOk : ContentLengthOutcome::kMissing;
  }
  [[nodiscard]] uint32_t content_length() const { return content_length_; }

  // The line may be one for Take; saves looking up most names.
  [[nodiscard]] static bool IsCandidate(const char* line, const char* end);

 private:
  uint32_t content_length_ = 0;
  bool found_ = false;
};

// `message` is whole, as a framer cut it: headers, empty line, body. True: readers that end a line at
// CR, at LF or at CRLF all find that same end; so one that is refused for its line ends is lost
// alone.
[[nodiscard]] bool HasOneLength(std::string_view message);

// Looks for the field in a header block: start line, header lines, empty line.
[[nodiscard]] ContentLengthOutcome FindContentLength(std::string_view header_block,
                                                     const char* readable,
                                                     uint32_t& content_length);
[[nodiscard]] inline ContentLengthOutcome FindContentLength(std::string_view header_block,
                                                            uint32_t& content_length) {
  return FindContentLength(header_block, header_block.data() + header_block.size(), content_length);
}

}  // namespace sallyport::sip
