#include "sip/proxy/max_breadth.h"

#include "sip/message/grammar.h"

namespace sallyport::sip {
namespace {

constexpr std::string_view kValue = "60";
constexpr std::string_view kLine = "Max-Breadth: 60\r\n";
static_assert(kMaxBreadth == 60);

}  // namespace

MaxBreadthOutcome ReadMaxBreadth(const MessageView& request) {
  const HeaderField* const field = request.First(HeaderId::kMaxBreadth);
  if (field == nullptr) return MaxBreadthOutcome::kAbsent;
  const std::string_view text = field->value;
  if (request.Count(HeaderId::kMaxBreadth) > 1 || text.empty() || !IsAll(text, kDigitChar)) {
    return MaxBreadthOutcome::kMalformed;
  }
  uint32_t breadth = 0;
  // Digits without end are above as well.
  if (!ReadDecimal(text, kMaxBreadth, breadth)) return MaxBreadthOutcome::kAbove;
  return breadth == 0 ? MaxBreadthOutcome::kExhausted : MaxBreadthOutcome::kOk;
}

void EditMaxBreadth(const MessageView& request, MessageEdit& edit) {
  switch (ReadMaxBreadth(request)) {
    case MaxBreadthOutcome::kAbsent:
      return edit.InsertBefore(request.headers_end(), kLine);
    case MaxBreadthOutcome::kAbove:
      return edit.Replace(request.First(HeaderId::kMaxBreadth)->value, kValue);
    case MaxBreadthOutcome::kOk:
    case MaxBreadthOutcome::kExhausted:
    case MaxBreadthOutcome::kMalformed:
      return;
  }
}

}  // namespace sallyport::sip
