#include "sip/proxy/answer_routes.h"

#include <cstddef>

#include "absl/container/inlined_vector.h"
#include "sip/message/name_addr.h"
#include "sip/message/value_list.h"
#include "sip/proxy/canonical_uri.h"

namespace sallyport::sip {
namespace {

// Of an answer; more are not as we sent them.
constexpr size_t kAnswerRoutesMax = 64;

struct RouteUris {
  absl::InlinedVector<Uri, 4> uris;

  // False: unreadable, or too many.
  bool Add(std::string_view field_value) {
    ValueList values(field_value);
    for (std::string_view value; values.Next(value);) {
      NameAddr route;
      if (uris.size() == kAnswerRoutesMax || ParseNameAddr(value, route) != NameAddrOutcome::kOk) {
        return false;
      }
      uris.push_back(route.uri);
    }
    return true;
  }
};

bool EndsWith(const RouteUris& all, const RouteUris& end) {
  if (all.uris.size() < end.uris.size()) return false;
  const size_t begin = all.uris.size() - end.uris.size();
  for (size_t i = 0; i < end.uris.size(); ++i) {
    if (!IsSameUri(all.uris[begin + i], end.uris[i])) return false;
  }
  return true;
}

}  // namespace

AnswerRoutes ReadAnswerRoutes(const MessageView& response, std::string_view brought,
                              const DialogId& dialog, const DialogPairSigner& pairs) {
  AnswerRoutes answer;
  RouteUris all;
  RouteUris below;
  for (const HeaderField* line = response.First(HeaderId::kRecordRoute); line != nullptr;
       line = response.NextSame(line)) {
    if (!all.Add(line->value)) return answer;
  }
  if (!brought.empty() && !below.Add(brought)) return answer;
  if (!EndsWith(all, below) || all.uris.size() == below.uris.size()) return answer;
  const size_t last = all.uris.size() - below.uris.size() - 1;
  PairLines lines{&all.uris[last], nullptr};
  if (PairLineFormOf(all.uris[last].user) != PairLineForm::kSingle) {
    if (last == 0) return answer;
    lines = {&all.uris[last - 1], &all.uris[last]};
  }
  const PairReading reading = pairs.Read(lines, dialog);
  const bool is_in_order = reading.is_single || !reading.caller_is_first;
  answer.is_as_sent = reading.outcome == PairReading::Outcome::kValid && is_in_order;
  if (answer.is_as_sent) answer.pair = reading.pair;
  return answer;
}

void ReplaceRecordRoutes(const MessageView& response, std::string_view lines,
                         std::string_view brought, MessageEdit& edit) {
  const char* const position = response.headers_begin();
  edit.InsertBefore(position, edit.Store({lines}));
  if (!brought.empty()) {
    edit.InsertBefore(position, "Record-Route: ");
    edit.InsertBefore(position, brought);
    edit.InsertBefore(position, "\r\n");
  }
  RemoveAll(response, HeaderId::kRecordRoute, edit);
}

}  // namespace sallyport::sip
