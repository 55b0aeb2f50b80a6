#include "core/http_request.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace sallyport::core {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

bool IsSame(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

std::string_view Trim(std::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace({text.data(), text.size()});
  return {trimmed.data(), trimmed.size()};
}

// Up to `end`, which is removed with it.
std::string_view Take(std::string_view& text, std::string_view end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + end.size(), text.size()));
  return taken;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// "host", "host:port", "[v6]:port". Empty: none of them.
std::string_view HostWithoutPort(std::string_view value) {
  const size_t bracket = value.rfind(']');
  const size_t colon = value.rfind(':');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) {
    return value;
  }
  const std::string_view port = value.substr(colon + 1);
  const bool is_number = std::all_of(port.begin(), port.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  return is_number ? value.substr(0, colon) : std::string_view();
}

bool ReadRequestLine(std::string_view line, HttpRequest& request, bool& is_newer) {
  request.method = Take(line, " ");
  const std::string_view target = Take(line, " ");
  is_newer = line == "HTTP/1.1";
  request.keep_alive = is_newer;
  std::string_view rest = target;
  request.path = Take(rest, "?");
  return IsToken(request.method) && target.starts_with('/') && IsVisible(target) &&
         (is_newer || line == "HTTP/1.0");
}

// False: the request is malformed.
bool ReadField(std::string_view line, HttpRequest& request, bool& has_host) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!IsToken(name)) return false;  // A space before the colon, a folded line.
  if (IsSame(name, "transfer-encoding")) return false;
  if (IsSame(name, "content-length")) return value == "0";
  if (IsSame(name, "connection")) {
    request.keep_alive = request.keep_alive && !IsSame(value, "close");
  } else if (IsSame(name, "host")) {
    if (has_host || !IsVisible(value)) return false;
    has_host = true;
    request.host = HostWithoutPort(value);
    return !request.host.empty();
  }
  return true;
}

}  // namespace

HttpOutcome ReadHttpRequest(std::string_view unread, HttpRequest& request) {
  const size_t end = unread.substr(0, kHttpHeadBytesMax).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return unread.size() < kHttpHeadBytesMax ? HttpOutcome::kNeedMore : HttpOutcome::kTooLarge;
  }
  std::string_view head = unread.substr(0, end + kLineEnd.size());
  HttpRequest read;
  bool is_newer = false;
  bool has_host = false;
  if (!ReadRequestLine(Take(head, kLineEnd), read, is_newer)) return HttpOutcome::kMalformed;
  while (!head.empty()) {
    if (!ReadField(Take(head, kLineEnd), read, has_host)) return HttpOutcome::kMalformed;
  }
  if (is_newer && !has_host) return HttpOutcome::kMalformed;
  read.bytes = end + 2 * kLineEnd.size();
  request = read;
  return HttpOutcome::kRequest;
}

}  // namespace sallyport::core
