// CSeq (RFC 3261 §20.16; the number is below 2^31, §8.1.1.5). Borrows the value that was given.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/message/method.h"

namespace sallyport::sip {

inline constexpr uint32_t kCSeqNumberMax = 0x7fffffff;

struct CSeq {
  uint32_t number = 0;
  Method method = Method::kOther;
  std::string_view method_text;
};

// False: malformed or out of range.
[[nodiscard]] bool ParseCSeq(std::string_view value, CSeq& cseq);

// The same except that `cseq.method` is left at kOther: for callers that know the method.
[[nodiscard]] bool ReadCSeq(std::string_view value, CSeq& cseq);

}  // namespace sallyport::sip
