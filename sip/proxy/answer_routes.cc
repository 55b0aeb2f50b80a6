#include "sip/proxy/answer_routes.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "absl/container/inlined_vector.h"
#include "sip/message/name_addr.h"
#include "sip/message/value_list.h"
#include "sip/proxy/canonical_uri.h"
#include "sip/proxy/dialog_pair.h"

namespace sallyport::sip {
namespace {

// Of an answer; more are not as we sent them.
constexpr size_t kAnswerRoutesMax = 64;
constexpr std::string_view kLineBegin = "Record-Route: ";
constexpr std::string_view kLineEnd = "\r\n";

using Values = absl::InlinedVector<std::string_view, 8>;

// False: too many.
bool AddValues(std::string_view field_value, Values& all) {
  ValueList values(field_value);
  for (std::string_view value; values.Next(value);) {
    if (all.size() == kAnswerRoutesMax) return false;
    all.push_back(value);
  }
  return true;
}

void AddLines(std::string_view lines, Values& all) {
  while (lines.size() > kLineBegin.size()) {
    const size_t end = lines.find(kLineEnd);
    all.push_back(lines.substr(kLineBegin.size(), end - kLineBegin.size()));
    lines.remove_prefix(end + kLineEnd.size());
  }
}

using SameUri = bool (*)(const Uri&, const Uri&);

// As text at first: most stacks return what they have received. Name and parameters that another
// reader could take for the URI stay as they were.
bool AreSame(std::span<const std::string_view> returned, std::span<const std::string_view> sent,
             SameUri is_same) {
  for (size_t i = 0; i < sent.size(); ++i) {
    if (returned[i] == sent[i]) continue;
    NameAddr a;
    NameAddr b;
    if (ParseNameAddr(returned[i], a) != NameAddrOutcome::kOk ||
        ParseNameAddr(sent[i], b) != NameAddrOutcome::kOk || a.display != b.display ||
        a.params != b.params || HasNeedlessEscape(a.uri.user) || !is_same(a.uri, b.uri)) {
      return false;
    }
  }
  return true;
}

bool AreReadable(std::span<const std::string_view> values) {
  return std::ranges::all_of(values, [](std::string_view value) {
    NameAddr route;
    return ParseNameAddr(value, route) == NameAddrOutcome::kOk;
  });
}

}  // namespace

bool HasRoutesAsSent(const MessageView& response, std::string_view lines,
                     std::string_view brought) {
  Values returned;
  for (const HeaderField* line = response.First(HeaderId::kRecordRoute); line != nullptr;
       line = response.NextSame(line)) {
    if (!AddValues(line->value, returned)) return false;
  }
  Values ours;
  AddLines(lines, ours);
  Values below;
  if (!brought.empty() && !AddValues(brought, below)) return false;
  if (ours.empty() || returned.size() < ours.size() + below.size()) return false;
  const std::span<const std::string_view> all(returned);
  const size_t above = all.size() - below.size() - ours.size();
  return AreReadable(all.first(above)) &&
         AreSame(all.subspan(above, ours.size()), ours, IsSameLine) &&
         AreSame(all.last(below.size()), below, IsSameUri);
}

void ReplaceRecordRoutes(const MessageView& response, std::string_view lines,
                         std::string_view brought, MessageEdit& edit) {
  const char* const position = response.headers_begin();
  edit.InsertBefore(position, edit.Store({lines}));
  if (!brought.empty()) {
    edit.InsertBefore(position, kLineBegin);
    edit.InsertBefore(position, brought);
    edit.InsertBefore(position, kLineEnd);
  }
  RemoveAll(response, HeaderId::kRecordRoute, edit);
}

}  // namespace sallyport::sip
