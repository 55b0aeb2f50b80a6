#include "sip/message/call_id.h"

#include "sip/message/grammar.h"

namespace sallyport::sip {

bool IsCallId(std::string_view value) {
  const char* const begin = value.data();
  const char* const end = begin + value.size();
  const char* const word_end = SkipClass(begin, end, kWordChar);
  if (word_end == begin) return false;
  if (word_end == end) return true;
  if (*word_end != '@' || word_end + 1 == end) return false;
  return SkipClass(word_end + 1, end, kWordChar) == end;
}

}  // namespace sallyport::sip
