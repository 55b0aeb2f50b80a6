#include "sip/message/value_list.h"

#include <cstring>

#include "sip/message/grammar.h"

namespace sallyport::sip {
namespace {

// One past the closing DQUOTE of the string that begins at `at`, or the end. Only where the value
// ends matters here: what is inside is for the field's parser.
const char* SkipQuotes(const char* at, const char* end) {
  for (++at; at != end; ++at) {
    if (*at == '"') return at + 1;
    if (*at == '\\' && ++at == end) break;
  }
  return end;
}

const char* FindComma(const char* at, const char* end) {
  while (at != end) {
    if (*at == ',') return at;
    if (*at == '"') {
      at = SkipQuotes(at, end);
    } else if (*at == '<') {
      // Most of a value, and only its end matters: neither quotes nor commas count there.
      const void* const close = std::memchr(at, '>', static_cast<size_t>(end - at));
      if (close == nullptr) return end;
      at = static_cast<const char*>(close) + 1;
    } else {
      ++at;
    }
  }
  return end;
}

}  // namespace

bool ValueList::Next(std::string_view& value) {
  if (done_) return false;
  const char* const end = rest_.data() + rest_.size();
  const char* const comma = FindComma(rest_.data(), end);
  value = TrimLws({rest_.data(), static_cast<size_t>(comma - rest_.data())});
  done_ = comma == end;
  rest_ = done_ ? std::string_view()
                : std::string_view(comma + 1, static_cast<size_t>(end - comma - 1));
  return true;
}

}  // namespace sallyport::sip
