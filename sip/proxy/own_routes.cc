#include "sip/proxy/own_routes.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/message/name_addr.h"
#include "sip/message/params.h"
#include "sip/message/value_list.h"
#include "sip/proxy/dialog_pair.h"
#include "sip/proxy/token_seal.h"

namespace sallyport::sip {
namespace {

bool IsLoose(const Uri& uri) { return FindParam(uri.params, "lr").has_value(); }

OwnRoutes::Token TokenOf(const Uri& uri) {
  if (!uri.is_sip_or_sips() || uri.user.empty()) return OwnRoutes::Token::kNone;
  if (PairLineFormOf(uri.user) != PairLineForm::kNone) return OwnRoutes::Token::kPair;
  return LooksLikeToken(uri.user, TokenKind::kPath) ? OwnRoutes::Token::kPath
                                                    : OwnRoutes::Token::kNone;
}

bool IsHalf(const Uri& uri) {
  if (!uri.is_sip_or_sips()) return false;
  const PairLineForm form = PairLineFormOf(uri.user);
  return form == PairLineForm::kCaller || form == PairLineForm::kCallee;
}

bool FirstRoute(const MessageView& request, NameAddr& route) {
  ValueList values(request.First(HeaderId::kRoute)->value);
  std::string_view value;
  return values.Next(value) && ParseNameAddr(value, route) == NameAddrOutcome::kOk;
}

// Only a strict router puts it there: one line of a pair as Request-URI, the other on top of Route.
bool IsStrictRoute(const MessageView& request) {
  const Uri& uri = request.parsed_request_uri();
  if (TokenOf(uri) != OwnRoutes::Token::kPair) return false;
  NameAddr first;
  return !IsHalf(uri) || (FirstRoute(request, first) && IsHalf(first.uri));
}

bool HasOwnMaddr(const Uri& uri, const ServedNames& names, Zone from) {
  if (!uri.is_sip_or_sips() || uri.params.empty()) return false;
  const std::optional<std::string_view> maddr = FindParam(uri.params, "maddr");
  return maddr.has_value() && names.IsOwnAddress(*maddr, uri.port, from);
}

// Collects what ReadOwnRoutes says about the values, in their order.
class RouteReader {
 public:
  RouteReader(const ServedNames& names, Zone from, OwnRoutes& routes)
      : names_(names), from_(from), routes_(routes) {
    if (!routes_.strict_fixup) return;
    routes_.token = OwnRoutes::Token::kPair;
    routes_.first = routes_.request_uri;
    expects_ = IsHalf(routes_.first) ? Expected::kSecond : Expected::kNothing;
  }

  // False: malformed.
  bool Read(std::string_view value) {
    if (ParseNameAddr(value, route_) != NameAddrOutcome::kOk || !route_.bracketed) return false;
    ++routes_.total;
    if (run_has_ended_) return true;
    if (IsOwn()) {
      ++routes_.count;
    } else {
      run_has_ended_ = true;
      routes_.next_route = route_.uri_text;
      routes_.next_is_strict = !IsLoose(route_.uri);
    }
    return true;
  }
  // Of the last value read.
  [[nodiscard]] const Uri& last() const { return route_.uri; }

 private:
  enum class Expected : uint8_t { kAny, kSecond, kNothing };

  bool IsOwn() {
    if (expects_ == Expected::kNothing) return false;
    if (expects_ == Expected::kSecond) {
      expects_ = Expected::kNothing;
      routes_.has_second = IsHalf(route_.uri);
      if (routes_.has_second) routes_.second = route_.uri;
      return routes_.has_second;
    }
    const OwnRoutes::Token token = TokenOf(route_.uri);
    if (token == OwnRoutes::Token::kNone) {
      return routes_.count < kOwnRoutesMax && names_.IsOwnRoute(route_.uri, from_);
    }
    routes_.token = token;
    routes_.first = route_.uri;
    expects_ = IsHalf(route_.uri) ? Expected::kSecond : Expected::kNothing;
    return true;
  }

  const ServedNames& names_;
  const Zone from_;
  OwnRoutes& routes_;
  NameAddr route_;
  Expected expects_ = Expected::kAny;
  bool run_has_ended_ = false;
};

// The last value has become the Request-URI: it is no route any more.
void TakeLastOff(OwnRoutes& routes) {
  if (routes.count < routes.total) {
    if (routes.count + 1 == routes.total) routes.next_route = {};
    return;
  }
  --routes.count;
  routes.has_second = false;
}

// What is left of a URI's text, in order.
struct UriPieces {
  std::array<std::string_view, 5> texts;
  size_t count = 0;
};

// ":port" as written; empty: none.
std::string_view PortText(const Uri& uri) {
  if (uri.port == 0) return {};
  const char* const end = uri.whole.data() + uri.whole.size();
  const char* begin = uri.host.data() + uri.host.size();
  if (*begin == '.') ++begin;  // The trailing dot is no part of `host`.
  DCHECK(begin != end && *begin == ':');
  const char* const port_end = SkipClass(begin + 1, end, kDigitChar);
  return {begin, static_cast<size_t>(port_end - begin)};
}

// ";name=value" as written; empty: there is none.
std::string_view ParameterText(const Uri& uri, std::string_view name) {
  const std::optional<std::string_view> value = FindParam(uri.params, name);
  if (!value.has_value() || value->empty()) return {};
  const size_t before = name.size() + 2;  // ';' and '='.
  return {value->data() - before, value->size() + before};
}

// As a Request-URI: without headers, which a Route value may have and a Request-URI may not
// (§19.1.1).
UriPieces RequestUriPieces(const Uri& uri, bool strips_maddr) {
  std::array<std::string_view, 4> cuts;
  if (strips_maddr) {
    cuts = {PortText(uri), ParameterText(uri, "maddr"), ParameterText(uri, "transport")};
  }
  if (!uri.headers.empty()) {
    cuts[3] = {uri.headers.data() - 1, uri.headers.size() + 1};
  }
  std::ranges::sort(cuts, {}, [](std::string_view cut) { return cut.data(); });
  UriPieces pieces;
  const char* kept = uri.whole.data();
  for (const std::string_view cut : cuts) {
    if (cut.empty()) continue;
    pieces.texts[pieces.count++] = {kept, static_cast<size_t>(cut.data() - kept)};
    kept = cut.data() + cut.size();
  }
  const char* const end = uri.whole.data() + uri.whole.size();
  pieces.texts[pieces.count++] = {kept, static_cast<size_t>(end - kept)};
  return pieces;
}

void Insert(const char* position, const UriPieces& pieces, MessageEdit& edit) {
  for (size_t i = 0; i < pieces.count; ++i) edit.InsertBefore(position, pieces.texts[i]);
}

void ReplaceRequestUri(const MessageView& request, const UriPieces& pieces, MessageEdit& edit) {
  Insert(request.request_uri().data(), pieces, edit);
  edit.Remove(request.request_uri());
}

// The values of one Route line: from the first character to what follows the last.
struct Extent {
  const char* begin = nullptr;
  const char* end = nullptr;
  void Add(std::string_view value) {
    if (begin == nullptr) begin = value.data();
    end = value.data() + value.size();
  }
};

// Keeps the values numbered first_kept up to, not including, kept_end.
void KeepRoutes(const MessageView& request, uint32_t first_kept, uint32_t kept_end,
                MessageEdit& edit) {
  uint32_t number = 0;
  for (const HeaderField* line = request.First(HeaderId::kRoute); line != nullptr;
       line = request.NextSame(line)) {
    Extent all;
    Extent kept;
    ValueList values(line->value);
    for (std::string_view value; values.Next(value); ++number) {
      all.Add(value);
      if (number >= first_kept && number < kept_end) kept.Add(value);
    }
    if (kept.begin == nullptr) {
      edit.Remove(line->line());
      continue;
    }
    if (kept.begin != all.begin) edit.Remove(all.begin, kept.begin);
    if (kept.end != all.end) edit.Remove(kept.end, all.end);
  }
}

const char* EndOfRoutes(const MessageView& request) {
  const HeaderField* line = request.First(HeaderId::kRoute);
  while (const HeaderField* const next = request.NextSame(line)) line = next;
  return line->line().data() + line->line_bytes;
}

UriPieces OwnRequestUri(const OwnRoutes& routes) {
  return RequestUriPieces(routes.request_uri, routes.strips_maddr);
}

}  // namespace

OwnRoutes ReadOwnRoutes(const MessageView& request, const ServedNames& names, Zone from,
                        StrictRoutes strict) {
  OwnRoutes routes;
  routes.request_uri = request.parsed_request_uri();
  if (request.Has(HeaderId::kRoute)) {
    routes.strict_fixup = strict == StrictRoutes::kUndone && IsStrictRoute(request);
    RouteReader reader(names, from, routes);
    for (const HeaderField* line = request.First(HeaderId::kRoute); line != nullptr;
         line = request.NextSame(line)) {
      ValueList values(line->value);
      std::string_view value;
      while (values.Next(value)) {
        if (!reader.Read(value)) {
          routes.malformed = true;
          return routes;
        }
      }
    }
    DCHECK(routes.total > 0);  // An empty line has one value, and that is malformed.
    if (routes.strict_fixup) {
      routes.request_uri = reader.last();
      TakeLastOff(routes);
    }
    routes.has_route_left = !routes.next_route.empty();
    if (!routes.has_route_left) routes.next_is_strict = false;
  }
  routes.strips_maddr = HasOwnMaddr(routes.request_uri, names, from);
  return routes;
}

void EditOwnRoutes(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit) {
  DCHECK(!routes.malformed);
  if (routes.strict_fixup || routes.strips_maddr) {
    ReplaceRequestUri(request, OwnRequestUri(routes), edit);
  }
  KeepRoutes(request, routes.count, routes.total - (routes.strict_fixup ? 1 : 0), edit);
}

void EditForStrictNextHop(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit) {
  DCHECK(!routes.malformed && routes.has_route_left);
  Uri next;
  CHECK(ParseUri(routes.next_route, next) == UriOutcome::kOk);  // It was read before.
  ReplaceRequestUri(request, RequestUriPieces(next, false), edit);
  KeepRoutes(request, routes.count + 1, routes.total - (routes.strict_fixup ? 1 : 0), edit);
  const char* const end = EndOfRoutes(request);
  edit.InsertBefore(end, "Route: <");
  Insert(end, OwnRequestUri(routes), edit);
  edit.InsertBefore(end, ">\r\n");
}

}  // namespace sallyport::sip
