#include "sip/message/cseq.h"

#include <cstddef>

#include "sip/message/grammar.h"

namespace sallyport::sip {

bool ParseCSeq(std::string_view value, CSeq& cseq) {
  cseq = CSeq();
  const std::string_view text = TrimLws(value);
  const char* const end = text.data() + text.size();
  const char* const digits_end = SkipClass(text.data(), end, kDigitChar);
  const char* const method = SkipLws(digits_end, end);
  cseq.method_text = {method, static_cast<size_t>(end - method)};
  if (method == digits_end || !IsToken(cseq.method_text)) return false;
  cseq.method = ParseMethod(cseq.method_text);
  return ReadDecimal({text.data(), static_cast<size_t>(digits_end - text.data())}, kCSeqNumberMax,
                     cseq.number);
}

}  // namespace sallyport::sip
