#include "sip/message/cseq.h"

#include <cstddef>

#include "sip/message/grammar.h"

namespace sallyport::sip {

bool ParseCSeq(std::string_view value, CSeq& cseq) {
  if (!ReadCSeq(TrimLws(value), cseq)) return false;
  cseq.method = ParseMethod(cseq.method_text);
  return true;
}

bool ReadCSeq(std::string_view value, CSeq& cseq) {
  const char* const end = value.data() + value.size();
  const char* const digits_end = SkipClass(value.data(), end, kDigitChar);
  const char* const method = SkipLws(digits_end, end);
  cseq.method = Method::kOther;
  cseq.method_text = {method, static_cast<size_t>(end - method)};
  if (method == digits_end || !IsToken(cseq.method_text)) return false;
  return ReadDecimal({value.data(), static_cast<size_t>(digits_end - value.data())}, kCSeqNumberMax,
                     cseq.number);
}

}  // namespace sallyport::sip
