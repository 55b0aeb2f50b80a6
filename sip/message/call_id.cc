#include "sip/message/call_id.h"

#include "sip/message/grammar.h"

namespace sallyport::sip {

bool IsCallId(std::string_view value, const Bounds& in) {
  const char* const begin = value.data();
  const char* const word_end = SkipRun<kWordChar>(begin, in);
  if (word_end == begin) return false;
  if (word_end == in.end) return true;
  if (*word_end != '@' || word_end + 1 == in.end) return false;
  return SkipRun<kWordChar>(word_end + 1, in) == in.end;
}

}  // namespace sallyport::sip
